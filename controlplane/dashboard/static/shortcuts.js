// Keyboard shortcuts, with a sheet that lists them and can turn them off (WCAG 2.1.4). They never
// take a key from a field, and none is needed: each has a link or a button.
const sheet = document.getElementById("shortcuts");
const enabled = document.getElementById("shortcuts-on");
const key = "shortcuts";
const pages = JSON.parse(document.body.dataset.pages ?? "{}");

if (sheet) {
  let goes = -Infinity; // when “g” was pressed
  try { enabled.checked = localStorage.getItem(key) !== "off"; } catch { /* nothing is remembered */ }
  enabled.addEventListener("change", () => {
    try { localStorage.setItem(key, enabled.checked ? "on" : "off"); } catch { /* as above */ }
  });
  document.getElementById("shortcuts-open").addEventListener("click", () => {
    for (const menu of document.querySelectorAll("details.account[open]")) menu.open = false;
    sheet.showModal();
  });

  document.addEventListener("keydown", (event) => {
    if (!enabled.checked || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (sheet.open || event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]")) return;
    const went = event.timeStamp - goes < 1500;
    goes = -Infinity;
    if (went && pages[event.key]) { event.preventDefault(); location.assign(pages[event.key]); return; }
    switch (event.key) {
      case "g": goes = event.timeStamp; return;
      case "/": focus(event, document.querySelector('[role="search"] input[type="search"], main input[type="search"]')); return;
      case "?": event.preventDefault(); sheet.showModal(); return;
      case "j": move(event, 1); return;
      case "k": move(event, -1); return;
    }
  });
}

function focus(event, element) {
  if (!element) return;
  event.preventDefault();
  element.focus();
  element.select?.();
}

// move focuses the first link of the next or the previous row of the page's first list.
function move(event, by) {
  const links = [...document.querySelectorAll("main table.rows tbody tr")].
    map((row) => row.querySelector("a")).filter(Boolean);
  if (!links.length) return;
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  focus(event, links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1)]);
}

// The menu of the account closes with Escape, and when something else is used.
for (const menu of document.querySelectorAll("details.account")) {
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
}
