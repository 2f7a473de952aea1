// Updates relative times by the rules of moment.go and adds the local time to the UTC time in the
// tooltip. Times are relative to the server's clock.
const server = Date.parse(document.body.dataset.now);
const skew = Number.isNaN(server) ? 0 : server - Date.now();
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function relative(ms) {
  const past = ms < 0, s = Math.abs(ms) / 1000;
  if (s < 2) return "now";
  const units = [[1, "s", 60], [60, "min", 60], [3600, "h", 48], [86400, "days", 730], [365 * 86400, "years", Infinity]];
  const [size, unit] = units.find(([size, , most]) => Math.round(s / size) < most);
  const text = `${Math.round(s / size)} ${unit}`;
  return past ? `${text} ago` : `in ${text}`;
}

function refresh() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = Date.parse(time.dateTime);
    const text = relative(at - Date.now() - skew);
    if (time.textContent !== text) time.textContent = text;
    if (!time.dataset.local) {
      time.dataset.local = "1";
      time.title += `\n${local.format(at)} local time`;
    }
  }
}

refresh();
setInterval(refresh, 1000);
document.addEventListener("visibilitychange", refresh);
