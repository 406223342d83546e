// <fw-beats>: unpacks what the server packed (presentation/beats.py), draws it, lets people walk through it.

import { latencyWords, make, stateWord } from "./dom.js";
import { hideTip, showTip } from "./tips.js";
import { clockWords } from "./times.js";

const SHOWN = 40;
const OUTCOMES = { u: "up", g: "degraded", d: "down", x: "unknown", m: "maintenance" };
const CODES = Object.fromEntries(Object.entries(OUTCOMES).map(([code, outcome]) => [outcome, code]));

/** Beats with absolute slots, oldest first; null stands for a slot that nobody looked at. */
function unpack(packed, newestMs, stepSeconds, reasons) {
  const beats = [];
  let slot = newestMs;
  for (const word of packed.split(" ").filter(Boolean).reverse()) {
    const [code, gap, latency, reason] = word.split(",");
    beats.unshift({ slot, code, latency: latency ? Number(latency) : null, reason: reason ? reasons[Number(reason)] : "" });
    const missed = gap ? Math.min(SHOWN, Math.round(Number(gap) / stepSeconds) - 1) : 0;
    for (let i = 0; i < missed; i += 1) beats.unshift(null);
    slot -= Number(gap || 0) * 1000;
  }
  return beats.slice(-SHOWN);
}

class Beats extends HTMLElement {
  connectedCallback() {
    const { beats, newest, step, reasons } = this.dataset;
    this.step = Number(step) || 60;
    this.items = unpack(beats, Number(newest), this.step, reasons ? JSON.parse(reasons) : []);
    this.selected = -1;
    this.draw();
    if (this.bound) return;
    this.bound = true;
    this.addEventListener("pointermove", (event) => this.point(event));
    this.addEventListener("click", (event) => this.point(event));
    this.addEventListener("pointerleave", () => this.select(-1));
    this.addEventListener("blur", () => this.select(-1));
    this.addEventListener("keydown", (event) => this.walk(event));
  }

  draw(isNew = false) {
    const padding = Array.from({ length: Math.max(0, SHOWN - this.items.length) }, () => make("i", { class: "pad" }));
    const drawn = this.items.map((beat) => make("i", { class: beat ? beat.code : "n" }));
    if (isNew && drawn.length) drawn.at(-1).classList.add("new");
    this.replaceChildren(...padding, ...drawn);
    this.offset = padding.length;
  }

  /** A result as it happens. A second region's word on the same slot joins the first. */
  push({ slot, outcome, latency_ms: latency }) {
    const at = Date.parse(slot);
    const code = CODES[outcome] ?? "x";
    const last = this.items.at(-1);
    if (last && at <= last.slot) {
      if (at === last.slot && last.code !== code) last.code = last.code === "x" ? code : code === "x" ? last.code : "g";
      this.draw();
      return;
    }
    const missed = last ? Math.min(SHOWN, Math.round((at - last.slot) / 1000 / this.step) - 1) : 0;
    for (let i = 0; i < missed; i += 1) this.items.push(null);
    this.items.push({ slot: at, code, latency, reason: "" });
    this.items = this.items.slice(-SHOWN);
    this.draw(true);
    if (this.selected >= 0) this.select(-1);
  }

  point(event) {
    const index = [...this.children].indexOf(event.target);
    if (index >= 0 && index !== this.selected) this.select(index);
  }

  walk(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") this.select(-1);
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const from = this.selected < 0 ? (by < 0 ? this.children.length : this.offset - 1) : this.selected;
    this.select(Math.min(this.children.length - 1, Math.max(this.offset, from + by)));
  }

  select(index) {
    this.querySelector(".on")?.classList.remove("on");
    this.selected = index;
    const element = this.children[index];
    if (!element) {
      hideTip();
      return;
    }
    element.classList.add("on");
    const beat = this.items[index - this.offset];
    if (!beat) showTip(element, "No data");
    else showTip(element, make("b", {}, stateWord(OUTCOMES[beat.code])), ` · ${clockWords(beat.slot)}`, beat.latency === null ? "" : ` · ${latencyWords(beat.latency)}`, beat.reason ? make("div", {}, beat.reason) : "");
  }
}

customElements.define("fw-beats", Beats);
