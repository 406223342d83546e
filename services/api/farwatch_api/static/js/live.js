// What the server tells while the page is open: rows are patched where they stand, and never change their order.

import { latencyWords, stateWord } from "./dom.js";

const light = document.getElementById("live");
const offline = document.getElementById("offline");
const PATIENCE_MS = 4000;
const OFFLINE_MS = 12000;
const RESYNC_MS = 5000;
if (light) light.hidden = !document.querySelector("[sse-connect]");
let trouble = null;
let worse = null;
let refreshedAt = -Infinity;

function show(state, word) {
  if (!light) return;
  light.dataset.state = state;
  light.lastElementChild.textContent = word;
  light.title = word;
}

document.body.addEventListener("htmx:sseOpen", () => {
  clearTimeout(trouble);
  clearTimeout(worse);
  const wasAway = light?.dataset.state === "reconnecting";
  trouble = worse = null;
  show("live", "Live");
  if (offline) offline.hidden = true;
  if (wasAway) refresh();
});

// The server ends each stream now and then; only a connection that stays away is worth a word.
document.body.addEventListener("htmx:sseError", () => {
  trouble ??= setTimeout(() => show("reconnecting", "Reconnecting"), PATIENCE_MS);
  worse ??= setTimeout(() => offline && (offline.hidden = false), OFFLINE_MS);
});

document.body.addEventListener("htmx:sseBeforeMessage", (event) => {
  if (!event.target.matches("[data-live-sink]")) return;
  event.preventDefault();
  const message = event.detail;
  if (message.type === "resync") resync();
  else patch(JSON.parse(message.data));
});

/** Behind several api processes every new stream may ask for this: never more often than people can read. */
function resync() {
  const wait = Math.max(0, refreshedAt + RESYNC_MS - performance.now());
  refreshedAt = performance.now() + wait;
  setTimeout(refresh, wait);
}

/** Everything anew, for whoever missed something. */
function refresh() {
  if (document.getElementById("rows")) htmx.ajax("GET", location.pathname + location.search, { target: "#results", select: "#results", swap: "outerHTML" });
  document.body.dispatchEvent(new CustomEvent("farwatch:changed"));
}

function patch({ monitors, counts }) {
  if (counts) showCounts(counts);
  for (const monitor of monitors) patchMonitor(monitor);
}

function patchMonitor(monitor) {
  for (const bar of document.querySelectorAll(`[data-monitor="${monitor.monitor_id}"] fw-beats, fw-beats[data-monitor="${monitor.monitor_id}"]`)) {
    for (const result of monitor.results) bar.push(result);
  }
  const row = document.getElementById(`monitor-${monitor.monitor_id}`);
  if (row) patchRow(row, monitor);
  const hero = document.getElementById("hero");
  const changed = hero && hero.dataset.state !== monitor.state;
  if (!row && (changed || monitor.verdict_changed || monitor.results.length)) document.body.dispatchEvent(new CustomEvent("farwatch:changed"));
}

function patchRow(row, monitor) {
  const latency = row.querySelector("[data-latency]");
  if (monitor.latency_ms !== null || monitor.outcome === "down") latency.textContent = latencyWords(monitor.latency_ms);
  if (row.dataset.state === monitor.state) return;
  row.classList.replace(`is-${row.dataset.state}`, `is-${monitor.state}`);
  row.dataset.state = monitor.state;
  const badge = row.querySelector("[data-badge]");
  badge.className = `badge is-${monitor.state}`;
  badge.querySelector("[data-badge-word]").textContent = stateWord(monitor.state);
  row.classList.add("fresh");
  // The reason and the uptime come from the server, unless somebody is reading this very row.
  setTimeout(() => !row.contains(document.activeElement) && row.isConnected && htmx.ajax("GET", `/monitors/${monitor.monitor_id}/row`, { target: row, swap: "outerHTML" }), 1600);
}

function showCounts(counts) {
  const all = Object.values(counts).reduce((sum, number) => sum + number, 0);
  for (const place of document.querySelectorAll("[data-count]")) {
    const number = place.dataset.count === "all" ? all : counts[place.dataset.count];
    place.textContent = number.toLocaleString("en");
    const tally = place.closest("[data-state]");
    if (tally) tally.hidden = !number && !tally.hasAttribute("aria-current");
  }
  const title = document.getElementById("headline");
  if (title) title.textContent = headline(counts);
  const incidents = document.getElementById("incident-count");
  if (incidents) incidents.textContent = counts.down || "";
}

function headline(counts) {
  const word = (number) => `${number.toLocaleString("en")} ${number === 1 ? "monitor" : "monitors"}`;
  if (counts.down) return `${word(counts.down)} ${counts.down === 1 ? "is" : "are"} down`;
  if (counts.degraded) return `${word(counts.degraded)} degraded`;
  if (counts.unknown) return `${word(counts.unknown)} unknown`;
  if (counts.pending && !counts.up) return "First checks are running";
  if (counts.up) return counts.up > 1 ? "Everything is up" : "It is up";
  return "Nothing is being checked";
}
