// Whether a reply ends with a question. Replies come from anywhere, so this takes no
// longer for a strange one: regular expressions see single short lines alone.

const choice = /^(?:[-*•]|\d{1,3}[.)]|[A-Za-z][.)])\s/;
const closing = " \t\r\n\"'”’)*_`";

/** How much of the end of a reply is enough. */
export const enough = 2000;

/** Whether a text ends with a question, perhaps with the answers to choose from below it. */
export function asks(text: string): boolean {
  const lines = text.slice(-enough).split("\n");
  for (let line = lines.pop(); line !== undefined; line = lines.pop()) {
    let end = line.length;
    while (end > 0 && closing.includes(line[end - 1])) end--;
    if (end === 0) continue;
    if ("?？".includes(line[end - 1])) return true;
    if (!choice.test(line.trimStart())) return false;
  }
  return false;
}
