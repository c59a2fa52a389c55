// Starts code-server in this process: its own start gives a child of it ten seconds, which a
// busy machine may need more than.
const { parse, readConfigFile, setDefaults } = require("code-server/out/node/cli");
const { runCodeServer } = require("code-server/out/node/main");

(async () => {
  const args = parse(process.argv.slice(2));
  await runCodeServer(await setDefaults(args, await readConfigFile(args.config)));
})().catch((err) => {
  console.error(err);
  process.exit(1);
});
