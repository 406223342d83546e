// "Check now": the real path, a waterfall a region.

import { badge, latencyWords, make, stateWord } from "./dom.js";
import { call } from "./http.js";

function describe(result) {
  const waterfall = make("fw-waterfall", { class: "waterfall", "data-phases": JSON.stringify(result.phases ?? {}), "data-total": result.latency_ms ?? "" });
  const facts = [result.status_code && `Status ${result.status_code}`, result.address, result.attempts > 1 && `${result.attempts} tries`].filter(Boolean);
  const head = make("div", { class: "region-result-head" }, badge(result.outcome, stateWord(result.outcome)), make("b", {}, result.region), make("span", {}, latencyWords(result.latency_ms)), make("span", { class: "muted small" }, facts.join(" · ")));
  const why = result.error ?? (result.reasons ?? []).join("; ");
  return make("div", { class: "region-result" }, head, why ? make("p", {}, why) : null, waterfall);
}

async function check(button) {
  const panel = document.getElementById("check-results");
  const body = panel.querySelector("[data-body]");
  panel.hidden = false;
  body.replaceChildren(make("p", { class: "muted" }, "Asking every region…"));
  button.setAttribute("aria-busy", "true");
  const answer = await call("POST", `/api/monitors/${button.dataset.monitorId}/check`);
  button.removeAttribute("aria-busy");
  const results = answer.data?.results ?? [];
  body.replaceChildren(...results.map(describe), answer.ok && !answer.data?.missing?.length ? "" : make("p", { class: "notice" }, answer.message));
  document.body.dispatchEvent(new CustomEvent("farwatch:changed"));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("#check-now");
  if (button) check(button);
});
