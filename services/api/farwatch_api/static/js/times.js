// <time data-time="relative|age|clock|short|full|date">: in the reader's zone and language, and kept fresh.

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const short = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  for (const [index, [unit, size]] of UNITS.entries()) {
    const count = Math.floor(whole / size);
    if (!count && size !== 1) continue;
    const next = UNITS[index + 1];
    const rest = next && count < 10 ? Math.floor((whole % size) / next[1]) : 0;
    return `${count}${unit}${rest ? ` ${rest}${next[0]}` : ""}`;
  }
  return "0s";
}

export const clockWords = (ms) => {
  const moment = new Date(ms);
  return moment.toDateString() === new Date().toDateString() ? clock.format(moment) : `${short.format(moment)}`;
};

function relative(seconds) {
  if (Math.abs(seconds) < 5) return "now";
  return seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
}

function words(how, moment) {
  const seconds = (Date.now() - moment) / 1000;
  if (how === "age") return span(seconds);
  if (how === "clock") return clockWords(moment);
  if (how === "short") return short.format(moment);
  if (how === "full") return full.format(moment);
  if (how === "date") return date.format(moment);
  return relative(seconds);
}

export function freshen(root = document) {
  for (const element of root.querySelectorAll("time[data-time]")) {
    const moment = Date.parse(element.dateTime);
    if (Number.isNaN(moment)) continue;
    const text = words(element.dataset.time, moment);
    if (element.textContent !== text) element.textContent = text;
    if (!element.title) element.title = full.format(moment);
  }
}

freshen();
setInterval(freshen, 1000);
document.body.addEventListener("htmx:load", (event) => freshen(event.detail.elt.parentElement ?? document));
