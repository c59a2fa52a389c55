// Builds the pages: each is one HTML file with its styles and scripts in it. Most of
// each is the same library, src/page.ts with all that it imports, so that is built
// once and stored once. What is written is, compressed: the library and then each
// page with a mark where the library goes, each behind its length in four bytes.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { build } from "vite";

const root = fileURLToPath(new URL(".", import.meta.url));
const pages = ["desktop", "terminal", "work"];
const limit = 1024 * 1024;
const mark = "<!-- library -->";

async function bundle(name) {
  const { output } = (await build({
    root, configFile: false, logLevel: "warn",
    build: {
      write: false, target: "es2022", minify: true, cssMinify: true,
      lib: { entry: `src/${name}.ts`, formats: ["iife"], name: name === "page" ? "library" : "_", fileName: name },
      rollupOptions: { external: (id) => name !== "page" && /(?:^|\/)page$/.test(id), output: { globals: () => "library" } },
    },
  }))[0];
  const code = output.filter((o) => o.type === "chunk").map((o) => o.code);
  const style = output.filter((o) => o.type === "asset" && o.fileName.endsWith(".css")).map((o) => o.source).join("");
  if (code.length !== 1 || output.length > 2) throw new Error(`${name}: ${output.map((o) => o.fileName)} is more than a script and a style`);
  // "</script" and "<!--" would end or change the script in HTML.
  const script = code[0].trim().replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
  return { style: `<style>${style.trim()}</style>`, script: `<script>${script}</script>` };
}

function put(html, at, text) {
  const [before, after, more] = html.split(at);
  if (after === undefined || more !== undefined) throw new Error(`a page needs one ${at}`);
  return before + text + after;
}

const library = await bundle("page");
const parts = [library.style + library.script];
for (const page of pages) {
  const { style, script } = await bundle(page);
  let html = readFileSync(`${root}/src/${page}.html`, "utf8");
  html = put(put(html, "<!-- style -->", style), "<!-- script -->", mark + script);
  const size = Buffer.byteLength(put(html, mark, parts[0]));
  if (size >= limit) throw new Error(`${page}: ${size} bytes, less than ${limit} are allowed`);
  console.log(`${page}: ${size} bytes`);
  parts.push(html);
}
const packed = brotliCompressSync(Buffer.concat(parts.flatMap((part) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(part));
  return [length, Buffer.from(part)];
})), { params: { [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS } });
writeFileSync(process.argv[2] ?? `${root}/../internal/apps/pages.br`, packed);
console.log(`together: ${packed.length} bytes compressed`);
