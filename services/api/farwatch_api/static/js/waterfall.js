// <fw-waterfall data-phases='{"dns_ms": …}' data-total="143">: where the time of one check went.

import { latencyWords, make, makeSvg } from "./dom.js";

const PHASES = [["dns", "DNS"], ["connect", "Connect"], ["tls", "TLS"], ["wait", "Wait"], ["transfer", "Transfer"]];

class Waterfall extends HTMLElement {
  connectedCallback() {
    const phases = JSON.parse(this.dataset.phases || "{}") ?? {};
    const parts = PHASES.map(([name, word]) => [name, word, phases[`${name}_ms`]]).filter(([, , ms]) => typeof ms === "number");
    const sum = parts.reduce((total, [, , ms]) => total + ms, 0);
    const total = Math.max(Number(this.dataset.total) || 0, sum);
    if (!parts.length || total <= 0) {
      this.hidden = true;
      return;
    }
    let x = 0;
    const bars = parts.map(([name, , ms]) => {
      const width = (ms / total) * 1000;
      const bar = makeSvg("rect", { x: x.toFixed(1), y: 0, width: Math.max(width, 2).toFixed(1), height: 14, class: `phase-${name}` });
      x += width;
      return bar;
    });
    const words = parts.map(([name, word, ms]) => `${word} ${latencyWords(ms)}`).join(", ");
    const rest = makeSvg("rect", { x: 0, y: 0, width: 1000, height: 14, class: "phase-rest" });
    const chart = makeSvg("svg", { viewBox: "0 0 1000 14", preserveAspectRatio: "none", role: "img", "aria-label": words }, rest, ...bars);
    const legend = parts.map(([name, word, ms]) => make("span", {}, make("i", { class: `phase-${name}` }), word, make("b", {}, latencyWords(ms))));
    this.replaceChildren(chart, make("div", { class: "waterfall-legend" }, ...legend));
  }
}

customElements.define("fw-waterfall", Waterfall);
