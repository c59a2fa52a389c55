// What a session of a coding agent starts, and what it must not leave behind.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

// leftovers are the processes that have this home, pid → command line.
function leftovers(home) {
  const found = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`HOME=${home}`)) continue;
      found.set(Number(pid), readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "));
    } catch {
      // It has ended, or is another user's.
    }
  }
  return found;
}

// nothingLeft waits until all of them have ended, and ends those that do not.
export async function nothingLeft(home) {
  if (process.platform !== "linux") return;
  // Nothing tells when others' children end, so this looks again and again.
  const deadline = performance.now() + 10_000;
  let left;
  while ((left = leftovers(home)).size > 0 && performance.now() < deadline) await sleep(50);
  for (const pid of left.keys()) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (err) {
      if (err.code !== "ESRCH") throw err;
    }
  }
  assert.deepEqual([...left.values()], [], "no process outlives the agent");
}
