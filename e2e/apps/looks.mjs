// What of a page's looks can be measured, in the browser: nothing is cut off, text and
// controls are large enough, contrast and labels are as axe-core wants them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { picture } from "./harness.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The widths that the pages are looked at in, each with its height. */
export const sizes = [[360, 740], [1280, 900], [3840, 2160]];
export const themes = ["light", "dark"];

/** Runs f as a test for each theme and width. */
export function each(test, what, f) {
  for (const [width, height] of sizes) for (const theme of themes) test(`${what}: ${width} pixels, ${theme}`, (t) => f(t, { width, height, colorScheme: theme }, `${width}-${theme}`));
}

/** The frame of the page that the window shows. */
export async function frameOf(page) {
  const frame = await (await page.locator("iframe:visible").elementHandle()).contentFrame();
  return frame;
}

function measure() {
  const wrong = [];
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) wrong.push(`the page is ${scrollWidth} pixels wide in ${clientWidth}`);
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest(".hidden, .skip, .said, .xterm-accessibility, .xterm-helpers");
  const name = (e) => `<${e.localName}> “${(e.textContent.trim() || e.id).slice(0, 30)}”`;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let t; (t = texts.nextNode());) {
    const e = t.parentElement;
    if (!t.data.trim() || ["SCRIPT", "STYLE"].includes(e.tagName) || !shown(e)) continue;
    const size = parseFloat(getComputedStyle(e).fontSize);
    if (size < 12) wrong.push(`${name(e)}: text of ${size} pixels`);
  }
  for (const e of document.querySelectorAll("button, input, select, textarea, summary, a[href]")) {
    if (!shown(e)) continue;
    const { width, height } = e.getBoundingClientRect();
    if (Math.min(width, height) < 24) wrong.push(`${name(e)}: a control of ${width}×${height} pixels`);
    if (e.matches("button, summary") && e.scrollWidth > e.clientWidth) wrong.push(`${name(e)}: its words are cut off`);
  }
  return [...new Set(wrong)];
}

/** Checks the looks of a page, in frame, and keeps a picture of all that page shows. */
export async function looks(page, name, frame = page.mainFrame()) {
  await picture(page, name);
  assert.deepEqual(await frame.evaluate(measure), []);
  if (page.viewportSize().width !== 1280) return; // neither colours nor labels depend on it
  if (!(await frame.evaluate(() => "axe" in window))) await frame.evaluate(axe);
  const { violations } = await frame.evaluate(() => window.axe.run(document, {
    iframes: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"],
  }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.html.slice(0, 150)} (${n.any.concat(n.all, n.none).map((c) => c.message).join("; ")})`).join(" | ")}`), []);
}

/** Goes through a page with the Tab key, from its beginning: each control is reached, and it shows. */
export async function reachable(page, frame = page.mainFrame()) {
  const names = await frame.evaluate(() => {
    const all = [...document.querySelectorAll("button, input, select, textarea, summary, a[href], [tabindex='0']")]
      .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled);
    all.forEach((e, i) => (e.dataset.tab = i));
    return all.map((e) => e.getAttribute("aria-label") || e.textContent.trim().slice(0, 40) || e.id);
  });
  const missing = new Set(names.keys());
  const faint = [];
  for (let i = 0; missing.size && i < names.length + 5; i++) {
    await page.keyboard.press("Tab");
    const [at, outline] = await frame.evaluate(() => {
      const e = document.activeElement;
      const style = getComputedStyle(e.closest("#terminal") ?? e); // a terminal’s own field is not seen
      return [e.dataset.tab, style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth)];
    });
    if (at === undefined) continue;
    if (missing.delete(Number(at)) && outline < 2) faint.push(names[at]);
  }
  assert.deepEqual([...missing].map((i) => names[i]), [], "not reached with the Tab key");
  assert.deepEqual(faint, [], "with a focus that is not seen");
}
