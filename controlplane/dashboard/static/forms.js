// Shows the progress of a submitted form and prevents a second submission. Without this script, the
// server executes a form once, by its key. A page that the browser restores from its cache is ready
// again, and one that showed a secret is fetched again.
const announce = document.getElementById("announce");

// A download shows no new page, so its form is ready again after a moment. The limit is for a
// response that never comes.
const downloadTime = 3000, limit = 30000;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.busy) { event.preventDefault(); return; }
  form.dataset.busy = "1";
  const button = event.submitter ?? form.querySelector("button");
  button?.setAttribute("aria-busy", "true");
  button?.setAttribute("aria-disabled", "true");
  announce.textContent = `${(button?.getAttribute("aria-label") ?? button?.textContent ?? "").trim()}: in progress`;
  setTimeout(() => ready(form), "download" in form.dataset ? downloadTime : limit);
});

function ready(form) {
  delete form.dataset.busy;
  for (const button of form.querySelectorAll("[aria-busy]")) {
    button.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
  }
}

addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  if (document.querySelector("[data-secret]")) { location.reload(); return; }
  for (const form of document.querySelectorAll("form[data-busy]")) ready(form);
});
