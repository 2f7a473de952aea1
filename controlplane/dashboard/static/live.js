// Follows a domain: a stream tells the state that is true, and where the page shows another,
// its parts marked data-live are taken anew from the server. A stream that was cut off tells
// the state first when it is back, so nothing is missed. A hidden page does not hold a
// connection.
const root = document.getElementById("live-root");
if (root?.dataset.events) follow(root);

function follow(root) {
  const note = document.getElementById("live-note");
  const announce = document.getElementById("announce");
  let source, retry, wait = 1000, busy = false, again = false;

  function open() {
    clearTimeout(retry);
    if (document.hidden || source) return;
    source = new EventSource(root.dataset.events);
    source.addEventListener("open", () => { wait = 1000; say("This page follows the domain by itself."); });
    source.addEventListener("state", (event) => { if (event.data !== root.dataset.state) refresh(); });
    source.addEventListener("gone", () => { close(); location.reload(); });
    source.addEventListener("error", () => {
      say("The connection was lost. Trying again…");
      if (source?.readyState === EventSource.CLOSED) refresh(); // refused: the page itself says why
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
        const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
        if (answer.redirected || answer.status === 404) { close(); location.reload(); return; }
        if (answer.ok) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      } while (again);
    } catch { /* the stream's end says so, and its return brings the state again */ }
    finally { busy = false; }
  }

  function replace(page) {
    const focused = document.activeElement?.id;
    const before = document.getElementById("pill")?.textContent.trim();
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
    const after = document.getElementById("pill")?.textContent.trim();
    if (after && after !== before) announce.textContent = `Status: ${after}`;
  }

  document.addEventListener("visibilitychange", () => { if (document.hidden) { clearTimeout(retry); close(); } else open(); });
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}

// bare returns what the server made of a part, without what the scripts and the reader have
// changed since, so that a part that did not move keeps its selection and its open details.
function bare(part) {
  const copy = part.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) {
    time.removeAttribute("title");
    time.removeAttribute("data-local");
    time.textContent = "";
  }
  for (const details of copy.querySelectorAll("details")) details.removeAttribute("open");
  for (const button of copy.querySelectorAll("[data-copy]")) button.textContent = "";
  for (const button of copy.querySelectorAll("[data-copy].copied")) button.classList.remove("copied");
  return copy.outerHTML;
}
