// Updates a domain's page. An event stream sends the current state. If the page shows another
// state, its elements with data-live are replaced by those of a newly fetched page. After a
// reconnect, the stream first sends the current state, so nothing is missed. A hidden page keeps
// no connection open.
const root = document.getElementById("live-root");
if (root?.dataset.events) follow(root);

function follow(root) {
  const note = document.getElementById("live-note");
  const announce = document.getElementById("announce");
  const state = () => document.getElementById("state")?.textContent.trim().replace(/\s+/g, " ");
  let source, retry, wait = 1000, busy = false, again = false;

  function open() {
    clearTimeout(retry);
    if (document.hidden || source) return;
    source = new EventSource(root.dataset.events);
    source.addEventListener("open", () => { wait = 1000; say("This page updates automatically."); });
    source.addEventListener("state", (event) => { if (event.data !== root.dataset.state) refresh(); });
    source.addEventListener("gone", () => { close(); location.reload(); });
    source.addEventListener("error", () => {
      say("Connection lost. Reconnecting…");
      if (source?.readyState === EventSource.CLOSED) refresh(); // rejected: the page states why
      close();
      retry = setTimeout(open, wait);
      wait = Math.min(wait * 2, 30000);
    });
  }

  function close() {
    source?.close();
    source = undefined;
  }

  function say(text) { if (note.textContent !== text) note.textContent = text; }

  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      do {
        again = false;
        const response = await fetch(location.pathname, { headers: { Accept: "text/html" } });
        if (response.redirected || response.status === 404) { close(); location.reload(); return; }
        if (response.ok) replace(new DOMParser().parseFromString(await response.text(), "text/html"));
      } while (again);
    } catch { /* the stream also disconnects, and sends the state after the reconnect */ }
    finally { busy = false; }
  }

  function replace(page) {
    const focused = document.activeElement?.id;
    const before = state();
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (!fresh || bare(fresh) === bare(part)) continue;
      for (const open of part.querySelectorAll("details[open][id]")) {
        fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
      }
      part.replaceWith(document.adoptNode(fresh));
    }
    root.dataset.state = page.getElementById("live-root")?.dataset.state ?? root.dataset.state;
    if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
    const after = state();
    if (after && after !== before) announce.textContent = `Status: ${after}`;
  }

  document.addEventListener("visibilitychange", () => { if (document.hidden) { clearTimeout(retry); close(); } else open(); });
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}

// bare returns an element's HTML without the changes by scripts and by the user, so that an
// unchanged element keeps its selection and its open details.
function bare(part) {
  const copy = part.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) {
    time.removeAttribute("title");
    time.removeAttribute("data-local");
    time.textContent = "";
  }
  for (const details of copy.querySelectorAll("details")) details.removeAttribute("open");
  for (const key of copy.querySelectorAll("input[name=form_key]")) key.remove();
  for (const button of copy.querySelectorAll("[data-copy]")) button.textContent = "";
  for (const button of copy.querySelectorAll("[data-copy].copied")) button.classList.remove("copied");
  return copy.outerHTML;
}
