// "Send me a test": the message as rendered, the request, and what the other side answered.

import { make } from "./dom.js";
import { call } from "./http.js";

function part(title, text) {
  return text ? make("div", { class: "field" }, make("span", { class: "label" }, title), make("pre", { class: "code" }, text)) : null;
}

async function test(button) {
  const panel = document.getElementById("test-result");
  const body = panel.querySelector("[data-body]");
  button.setAttribute("aria-busy", "true");
  const answer = await call("POST", `/api/channels/${button.dataset.channel}/test`);
  button.removeAttribute("aria-busy");
  const result = answer.data ?? {};
  const ok = answer.ok && result.ok !== false;
  const state = panel.querySelector("[data-test-state]");
  state.className = `badge is-${ok ? "up" : "down"}`;
  state.lastElementChild.textContent = ok ? "Delivered" : "Not delivered";
  const problem = ok ? null : make("p", { class: "notice is-down" }, result.error ?? answer.message);
  body.replaceChildren(...[problem, part("Message", result.rendered), part("Request", result.request), part("Answer", result.answer)].filter(Boolean));
  panel.hidden = false;
  panel.scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("#test-channel");
  if (button) test(button);
});
