// <fw-waterfall data-phases='{"dns_ms": …}' data-total="143">: where the time of one check went.
// With data-rows each phase has a line of its own that begins where the one before ended.

import { latencyWords, make, makeSvg } from "./dom.js";

const PHASES = [["dns", "DNS", "Name lookup"], ["connect", "Connect", "Connect"], ["tls", "TLS", "TLS handshake"], ["wait", "Wait", "First byte"], ["transfer", "Transfer", "Transfer"]];

class Waterfall extends HTMLElement {
  connectedCallback() {
    const phases = JSON.parse(this.dataset.phases || "{}") ?? {};
    const parts = PHASES.map(([name, short, long]) => ({ name, short, long, ms: phases[`${name}_ms`] })).filter(({ ms }) => typeof ms === "number");
    const sum = parts.reduce((total, { ms }) => total + ms, 0);
    const total = Math.max(Number(this.dataset.total) || 0, sum);
    if (!parts.length || total <= 0) {
      this.hidden = true;
      return;
    }
    let x = 0;
    for (const each of parts) {
      each.x = x;
      each.width = Math.max((each.ms / total) * 1000, 2);
      x += (each.ms / total) * 1000;
    }
    this.replaceChildren(...("rows" in this.dataset ? lines(parts, total) : bar(parts)));
  }
}

const block = ({ name, x, width }, height) => makeSvg("rect", { x: Math.min(x, 998).toFixed(1), y: 0, width: width.toFixed(1), height, class: `phase-${name}` });
const canvas = (attributes, ...children) => makeSvg("svg", { viewBox: "0 0 1000 14", preserveAspectRatio: "none", ...attributes }, makeSvg("rect", { x: 0, y: 0, width: 1000, height: 14, class: "phase-rest" }), ...children);

function bar(parts) {
  const words = parts.map(({ short, ms }) => `${short} ${latencyWords(ms)}`).join(", ");
  const legend = parts.map(({ name, short, ms }) => make("span", {}, make("i", { class: `phase-${name}` }), short, make("b", {}, latencyWords(ms))));
  return [canvas({ role: "img", "aria-label": words }, ...parts.map((each) => block(each, 14))), make("div", { class: "waterfall-legend" }, ...legend)];
}

function lines(parts, total) {
  const rows = parts.map((each) => make("li", {}, make("span", {}, each.long), canvas({ "aria-hidden": "true" }, block(each, 14)), make("b", {}, latencyWords(each.ms))));
  const all = make("li", { class: "waterfall-total" }, make("span", {}, "In all"), make("span", {}), make("b", {}, latencyWords(total)));
  return [make("ol", { class: "waterfall-lines" }, ...rows, all)];
}

customElements.define("fw-waterfall", Waterfall);
