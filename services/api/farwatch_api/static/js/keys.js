// Keys for people who do not want to leave the keyboard. Never while somebody types.

const PLACES = { m: "/", i: "/incidents", s: "/settings/channels" };
let leader = false;

const isTyping = (target) => target.closest?.("input, textarea, select, [contenteditable], dialog[open]");
const links = () => [...document.querySelectorAll(".row-link")];

function move(by) {
  const all = links();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement);
  all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + by))].focus();
}

const KEYS = {
  "/": () => document.getElementById("search")?.focus(),
  j: () => move(1),
  k: () => move(-1),
  n: () => location.assign("/monitors/new"),
  c: () => document.getElementById("check-now")?.click(),
  e: () => document.getElementById("edit-monitor")?.click(),
  a: () => document.getElementById("acknowledge")?.click(),
  "?": () => document.getElementById("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (leader) {
    leader = false;
    if (PLACES[event.key]) location.assign(PLACES[event.key]);
    return;
  }
  if (event.key === "g") {
    leader = true;
    setTimeout(() => (leader = false), 1200);
  } else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});
document.getElementById("help-button")?.addEventListener("click", KEYS["?"]);
