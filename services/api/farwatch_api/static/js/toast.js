import { make } from "./dom.js";

const KEPT = "farwatch-toast";

export function toast(message, isError = false) {
  const place = document.getElementById("toasts");
  if (!place || !message) return;
  const element = make("div", { class: isError ? "toast toast-error" : "toast" }, message);
  place.append(element);
  setTimeout(() => element.remove(), isError ? 8000 : 4000);
}

/** For words about something whose page is being left: the next page says them. */
export function toastLater(message) {
  if (message) sessionStorage.setItem(KEPT, message);
}

const kept = sessionStorage.getItem(KEPT);
sessionStorage.removeItem(KEPT);
toast(kept);
