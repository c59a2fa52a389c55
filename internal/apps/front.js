// Copy buttons; without this script, the page is whole but for them.
"use strict";
(() => {
  const said = document.getElementById("said");

  // Browsers offer navigator.clipboard on https and localhost alone.
  async function copy(pre, text) {
    if (navigator.clipboard) {
      try {
        await navigator.clipboard.writeText(text);
        return true;
      } catch {
        // Not allowed: the other way may be.
      }
    }
    const range = document.createRange();
    range.selectNodeContents(pre);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  }

  for (const box of document.querySelectorAll(".code")) {
    const pre = box.querySelector("pre");
    const button = document.createElement("button");
    const label = pre.getAttribute("aria-label").replace(/: to copy$/, "");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${label}`);
    let timer;
    button.addEventListener("click", async () => {
      const done = await copy(pre, pre.textContent.trimEnd());
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      said.textContent = done ? `Copied: ${label}` : "Selected; copy it with your keyboard";
      button.classList.toggle("done", done);
      clearTimeout(timer);
      timer = setTimeout(() => {
        button.textContent = "Copy";
        button.classList.remove("done");
        said.textContent = "";
      }, 2500);
    });
    box.append(button);
  }

  // A link to one client opens it.
  function open() {
    const chosen = document.getElementById(location.hash.slice(1));
    if (chosen instanceof HTMLDetailsElement) chosen.open = true;
  }
  addEventListener("hashchange", open);
  open();
})();
