// Ctrl-K or Cmd-K: jump to any monitor or page.

import { make } from "./dom.js";
import { get } from "./http.js";

const dialog = document.getElementById("palette");
const input = document.getElementById("palette-input");
const list = document.getElementById("palette-list");
const PAGES = [["Monitors", "/"], ["Add monitor", "/monitors/new"], ["Incidents", "/incidents"], ["Channels", "/settings/channels"], ["Maintenance", "/settings/maintenance"], ["Regions", "/settings/regions"], ["API tokens", "/settings/tokens"], ["Account", "/settings/account"], ["API reference", "/api/docs"]];
let asked = 0;
let timer = null;

const entry = (word, href, note) => make("li", {}, make("a", { href }, make("span", { class: "ellipsis" }, word), make("small", {}, note)));

async function look() {
  const question = (asked += 1);
  const wanted = input.value.trim().toLowerCase();
  const pages = PAGES.filter(([word]) => word.toLowerCase().includes(wanted)).map(([word, href]) => entry(word, href, "Page"));
  const answer = await get(`/api/monitors?limit=8&sort=worst${wanted ? `&q=${encodeURIComponent(wanted)}` : ""}`);
  if (question !== asked) return;
  const monitors = (answer.data?.items ?? []).map((monitor) => entry(monitor.name, `/monitors/${monitor.id}`, monitor.state));
  list.replaceChildren(...(wanted ? [...monitors, ...pages] : [...pages, ...monitors]));
  mark(0);
}

function mark(index) {
  const links = [...list.querySelectorAll("a")];
  const at = Math.min(links.length - 1, Math.max(0, index));
  links.forEach((link, position) => link.classList.toggle("on", position === at));
  links[at]?.scrollIntoView({ block: "nearest" });
}

function open() {
  input.value = "";
  dialog.showModal();
  look();
}

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || !dialog) return;
  event.preventDefault();
  if (!dialog.open) open();
});
input?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(look, 120);
});
input?.addEventListener("keydown", (event) => {
  const at = [...list.querySelectorAll("a")].findIndex((link) => link.classList.contains("on"));
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    mark(at + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter") {
    list.querySelector("a.on")?.click();
  }
});
dialog?.addEventListener("click", (event) => event.target === dialog && dialog.close());
