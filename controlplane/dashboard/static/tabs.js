// Turns a row of <details>, which work without JavaScript, into tabs (WAI-ARIA APG, Tabs). The
// selected tab is remembered for other pages.
for (const box of document.querySelectorAll("[data-tabs]")) {
  const panels = [...box.querySelectorAll(":scope > details")];
  const key = `tab:${box.dataset.tabs}`;
  const list = document.createElement("div");
  list.className = "tablist";
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", box.getAttribute("aria-label") || "");

  const tabs = panels.map((panel) => {
    const summary = panel.querySelector(":scope > summary");
    // a tabpanel cannot be the <details> (ARIA in HTML)
    const content = panel.querySelector(":scope > .panel");
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `${panel.id}-tab`;
    tab.textContent = summary.textContent;
    tab.setAttribute("role", "tab");
    content.id = `${panel.id}-panel`;
    tab.setAttribute("aria-controls", content.id);
    panel.removeAttribute("name");
    content.setAttribute("role", "tabpanel");
    content.setAttribute("aria-labelledby", tab.id);
    summary.hidden = true;
    list.append(tab);
    return tab;
  });

  function select(i, focus) {
    panels.forEach((panel, j) => {
      panel.open = i === j;
      panel.hidden = i !== j;
      tabs[j].setAttribute("aria-selected", String(i === j));
      tabs[j].tabIndex = i === j ? 0 : -1;
    });
    if (focus) tabs[i].focus();
    try { localStorage.setItem(key, panels[i].id); } catch { /* not available: nothing is remembered */ }
  }

  tabs.forEach((tab, i) => tab.addEventListener("click", () => select(i, false)));
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    select((to + tabs.length) % tabs.length, true);
  });

  let kept = null;
  try { kept = localStorage.getItem(key); } catch { /* as above */ }
  box.prepend(list);
  box.classList.add("on");
  select(Math.max(0, panels.findIndex((panel) => panel.id === kept)), false);
}
