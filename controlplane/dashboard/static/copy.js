// Copies the text of a copy button and confirms it on the button and to screen readers.
const announce = document.getElementById("announce");
let reset;

async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { /* not allowed: use the fallback */ }
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hidden";
  area.setAttribute("aria-hidden", "true");
  document.body.append(area);
  const focus = document.activeElement;
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focus?.focus();
  return done;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const what = (button.getAttribute("aria-label") || "").replace(/^Copy /, "");
  const done = await copy(button.dataset.copy);
  const word = button.querySelector(".word");
  clearTimeout(reset);
  for (const other of document.querySelectorAll("[data-copy].copied")) back(other);
  word.textContent = done ? "Copied" : "Copy failed";
  button.classList.add("copied");
  announce.textContent = "";
  setTimeout(() => { announce.textContent = done ? `${what} copied` : `Copying ${what} failed: select the text and copy it manually`; }, 50);
  reset = setTimeout(() => back(button), 2500);
});

function back(button) {
  button.classList.remove("copied");
  button.querySelector(".word").textContent = "Copy";
}
