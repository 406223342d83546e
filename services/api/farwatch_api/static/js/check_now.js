// "Check now": the real path. Each region: where the time went, what was expected and seen, who answered.

import { badge, latencyWords, make, stateWord } from "./dom.js";
import { call } from "./http.js";

function describe(result) {
  const title = make("h3", {}, result.region);
  const head = make("div", { class: "region-result-head" }, badge(result.outcome, stateWord(result.outcome)), title, make("b", { class: "region-latency" }, latencyWords(result.latency_ms)));
  const why = result.error ? [result.error] : result.reasons ?? [];
  const waterfall = make("fw-waterfall", { class: "waterfall", "data-rows": "", "data-phases": JSON.stringify(result.phases ?? {}), "data-total": result.latency_ms ?? "" });
  return make("div", { class: "region-result" }, head, reasons(why, result.outcome), waterfall, expectations(result.assertions ?? []), facts(result), tries(result.tries ?? []));
}

function reasons(sentences, outcome) {
  if (!sentences.length) return null;
  return make("div", { class: `notice is-${outcome}` }, make("ul", { class: "lines" }, ...sentences.map((each) => make("li", {}, each))));
}

function expectations(assertions) {
  if (!assertions.length) return null;
  const row = (each) => make("li", { class: each.ok ? "is-up" : `is-${each.severity}` }, make("i", { class: "mark", role: "img", "aria-label": each.ok ? "Holds" : "Does not hold" }, each.ok ? "✓" : "✕"), make("span", {}, each.sentence), make("span", { class: "seen" }, "saw ", make("b", {}, each.seen_words)));
  return make("ul", { class: "expectations", "aria-label": "Assertions" }, ...assertions.map(row));
}

function facts(result) {
  const { certificate } = result;
  const known = [
    ["Status", result.status_code],
    ["Address", result.address],
    ["Certificate", certificate && `${certificate.days < 0 ? "expired" : `${certificate.days} days left`}, for ${certificate.subject}, issued by ${certificate.issuer}`],
    ["Tries", result.attempts > 1 && result.attempts],
  ].filter(([, value]) => value);
  return known.length ? make("dl", { class: "facts" }, ...known.flatMap(([word, value]) => [make("dt", {}, word), make("dd", {}, value)])) : null;
}

/** Only worth a look when there was more than one. */
function tries(all) {
  if (all.length < 2) return null;
  return make("ol", { class: "tries" }, ...all.map((each) => make("li", {}, `${latencyWords(each.latency_ms)} · ${each.error ?? "went well"}${each.address ? ` (${each.address})` : ""}`)));
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
  const short = answer.ok && !answer.data?.missing?.length;
  body.replaceChildren(make("div", { class: "region-results" }, ...results.map(describe)), short ? "" : make("p", { class: "notice" }, answer.message));
  document.body.dispatchEvent(new CustomEvent("farwatch:changed"));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("#check-now");
  if (button) check(button);
});
