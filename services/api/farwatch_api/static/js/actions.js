// <button data-action="POST /api/…" data-then="reload|refresh|/path" data-confirm="Sure?">, and what shows and hides.

import { call } from "./http.js";
import { toast, toastLater } from "./toast.js";

function confirmed(button) {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-title").textContent = button.dataset.confirm;
  document.getElementById("confirm-text").textContent = button.dataset.confirmText ?? "";
  document.getElementById("confirm-yes").textContent = button.dataset.confirmYes ?? "Yes";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

export function proceed(then, data, message) {
  if (!then || then === "refresh") toast(message);
  else toastLater(message);
  if (then === "refresh") document.body.dispatchEvent(new CustomEvent("farwatch:changed"));
  else if (then === "reload") location.reload();
  else if (then) location.assign(then.replace("{id}", data?.id ?? ""));
}

async function act(button) {
  if (button.dataset.confirm && !(await confirmed(button))) return;
  button.setAttribute("aria-busy", "true");
  const [method, path] = button.dataset.action.split(" ");
  const answer = await call(method, path);
  button.removeAttribute("aria-busy");
  if (!answer.ok) {
    toast(answer.message, true);
    return;
  }
  proceed(button.dataset.then, answer.data, answer.message);
}

function show(panel, opener, visible) {
  panel.hidden = !visible;
  opener?.setAttribute("aria-expanded", String(visible));
  if (visible) panel.querySelector("input, textarea, button")?.focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (button) act(button);
  const opener = event.target.closest("[data-toggles]");
  if (opener) {
    const panel = document.getElementById(opener.dataset.toggles);
    show(panel, opener, panel.hidden);
  }
  const closer = event.target.closest("[data-hides]");
  if (closer) document.getElementById(closer.dataset.hides).hidden = true;
});
