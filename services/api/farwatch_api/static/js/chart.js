// <fw-chart data-monitor data-hours>: response times, a line a region, true gaps, incidents as ribbons.

import { latencyWords, make, makeSvg } from "./dom.js";
import { get } from "./http.js";
import { showTip, hideTip } from "./tips.js";
import { clockWords } from "./times.js";

const HEIGHT = 240;
const LINES = ["--accent", "--maintenance", "--phase-connect", "--phase-wait", "--phase-transfer", "--phase-tls"];
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A colour as the canvas understands it: custom properties may hold light-dark(), which only elements resolve. */
function resolved(element, name) {
  element.style.color = `var(${name})`;
  const value = getComputedStyle(element).color;
  element.style.color = "";
  return value;
}

/** uPlot's columns: seconds, then p50 a region, and p95 when there is one region only. Missing steps are gaps. */
function columns(data) {
  const step = data.step_seconds;
  const rows = new Map();
  for (const point of data.points) {
    if (point.region === null) continue;
    const at = Date.parse(point.at) / 1000;
    if (!rows.has(at)) rows.set(at, {});
    rows.get(at)[point.region] = point;
  }
  const times = [];
  for (const at of [...rows.keys()].sort((a, b) => a - b)) {
    if (times.length && at - times.at(-1) > step * 1.6) times.push(times.at(-1) + step);
    times.push(at);
  }
  const pick = (region, name) => times.map((at) => rows.get(at)?.[region]?.[name] ?? null);
  const lines = data.regions.length === 1 ? [["p50", pick(data.regions[0], "p50")], ["p95", pick(data.regions[0], "p95")]] : data.regions.map((region) => [region, pick(region, "p50")]);
  return { times, lines, rows };
}

class Chart extends HTMLElement {
  connectedCallback() {
    this.ranges = document.querySelector("[data-chart-ranges]");
    this.ranges?.addEventListener("click", (event) => this.choose(event.target.closest("[data-hours]")));
    this.resize = new ResizeObserver(() => this.plot?.setSize({ width: this.clientWidth, height: HEIGHT }));
    this.resize.observe(this);
    this.redraw = () => this.draw();
    document.addEventListener("farwatch:theme", this.redraw);
    this.timer = setInterval(() => !document.hidden && !this.zoomed && this.load(), 30000);
    this.load();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    this.resize.disconnect();
    document.removeEventListener("farwatch:theme", this.redraw);
    this.plot?.destroy();
  }

  choose(button) {
    if (!button) return;
    for (const other of this.ranges.children) other.setAttribute("aria-pressed", String(other === button));
    this.dataset.hours = button.dataset.hours;
    this.zoomed = false;
    this.load();
  }

  async load() {
    const { monitor, hours } = this.dataset;
    const since = new Date(Date.now() - hours * 3600e3).toISOString();
    const [latency, incidents] = await Promise.all([
      get(`/api/monitors/${monitor}/latency?hours=${hours}`),
      get(`/api/incidents?monitor_id=${monitor}&limit=50&since=${encodeURIComponent(since)}`),
    ]);
    if (hours !== this.dataset.hours) return;
    this.answer = latency;
    this.incidents = incidents.data?.items ?? [];
    this.draw();
  }

  draw() {
    if (!this.answer) return;
    this.plot?.destroy();
    this.plot = null;
    if (!this.answer.ok) return this.replaceChildren(make("p", { class: "chart-note" }, this.answer.message));
    const { times, lines } = columns(this.answer.data);
    if (!times.length) return this.replaceChildren(make("p", { class: "chart-note" }, "No response was measured in this time."));
    this.replaceChildren();
    const strokes = lines.map((_, index) => resolved(this, lines.length === 2 && lines[1][0] === "p95" && index === 1 ? "--line-strong" : LINES[index % LINES.length]));
    this.plot = new uPlot(this.options(lines, strokes), [times, ...lines.map(([, values]) => values)], this);
    this.append(this.legend(lines, strokes));
  }

  options(lines, strokes) {
    const muted = resolved(this, "--muted");
    const grid = { stroke: resolved(this, "--line"), width: 1 };
    const axis = { stroke: muted, grid, ticks: { show: false }, font: `11px ${color("--font")}` };
    const now = Date.now() / 1000;
    const from = now - this.dataset.hours * 3600;
    return {
      width: this.clientWidth,
      height: HEIGHT,
      padding: [8, 6, 0, 0],
      cursor: { y: false, drag: { x: true, y: false }, points: { size: 7 } },
      legend: { show: false },
      scales: { x: { range: (_plot, low, high) => (this.zoomed ? [low, high] : [from, now]) }, y: { range: (_plot, _low, high) => [0, (high || 10) * 1.15] } },
      axes: [{ ...axis, size: 30, space: 70, values: this.timeLabels() }, { ...axis, size: 62, values: (_plot, ticks) => ticks.map(latencyWords) }],
      series: [{}, ...lines.map(([name], index) => ({ label: name, stroke: strokes[index], width: 1.75, spanGaps: false, points: { show: this.sparse(), size: 4 } }))],
      hooks: { drawClear: [(plot) => this.ribbons(plot)], setSelect: [() => (this.zoomed = true)], setCursor: [(plot) => this.hover(plot, lines)] },
    };
  }

  sparse() {
    return this.answer.data.points.length < 30;
  }

  timeLabels() {
    const long = Number(this.dataset.hours) > 48;
    const format = new Intl.DateTimeFormat(undefined, long ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    return (_plot, ticks) => ticks.map((at) => format.format(at * 1000));
  }

  ribbons(plot) {
    const { ctx, bbox } = plot;
    for (const incident of this.incidents) {
      const start = Math.max(plot.valToPos(Date.parse(incident.opened_at) / 1000, "x", true), bbox.left);
      const end = Math.min(incident.resolved_at ? plot.valToPos(Date.parse(incident.resolved_at) / 1000, "x", true) : bbox.left + bbox.width, bbox.left + bbox.width);
      if (end <= bbox.left || start >= bbox.left + bbox.width) continue;
      ctx.save();
      ctx.fillStyle = resolved(this, incident.severity === "down" ? "--down" : "--degraded");
      ctx.globalAlpha = 0.15;
      ctx.fillRect(start, bbox.top, Math.max(end - start, 2), bbox.height);
      ctx.globalAlpha = 1;
      ctx.fillRect(start, bbox.top, Math.max(end - start, 2), 3 * devicePixelRatio);
      ctx.restore();
    }
  }

  hover(plot, lines) {
    const { idx, left } = plot.cursor;
    if (idx === null || idx === undefined || left < 0) return hideTip();
    const words = lines.map(([name, values]) => make("div", {}, `${name}  ${latencyWords(values[idx])}`));
    const place = plot.over.getBoundingClientRect();
    const anchor = { getBoundingClientRect: () => ({ left: place.left + left, width: 0, top: place.top + 8, bottom: place.bottom }) };
    return showTip(anchor, make("b", {}, clockWords(plot.data[0][idx] * 1000)), ...words);
  }

  legend(lines, strokes) {
    const line = (stroke, word) => make("span", {}, makeSvg("svg", { viewBox: "0 0 16 8" }, makeSvg("path", { d: "M0 4h16", stroke, "stroke-width": 2.5 })), word);
    const notes = lines.map(([name], index) => line(strokes[index], name === "p50" ? "Median" : name === "p95" ? "95th percentile" : name));
    if (this.incidents.length) notes.push(line(resolved(this, "--down"), "Incident"));
    return make("div", { class: "chart-legend" }, ...notes, make("span", {}, "Drag to zoom, double-click to see all"));
  }
}

customElements.define("fw-chart", Chart);
