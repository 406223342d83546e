import { make } from "./dom.js";

export function toast(message, isError = false) {
  const place = document.getElementById("toasts");
  if (!place || !message) return;
  const element = make("div", { class: isError ? "toast toast-error" : "toast" }, message);
  place.append(element);
  setTimeout(() => element.remove(), isError ? 8000 : 4000);
}
