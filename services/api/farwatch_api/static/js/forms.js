// <form data-json="POST /api/…">: sent as JSON; what the server says about a field stands at that field, input stays.

import { proceed } from "./actions.js";
import { placeOf, readAssertions } from "./assertions.js";
import { call } from "./http.js";
import { readRows } from "./rows.js";
import { toast } from "./toast.js";

const words = (text) => text.split(/[\s,]+/).filter(Boolean);

const READ = {
  text: (control) => control.value,
  number: (control) => (control.value.trim() === "" ? null : Number.isNaN(Number(control.value)) ? control.value : Number(control.value)),
  minutes: (control) => (control.value.trim() === "" ? null : Math.round(Number(control.value.replace(",", ".")) * 60)),
  bool: (control) => control.checked,
  list: (control) => control.value.split(",").map((part) => part.trim()).filter(Boolean),
  words: (control) => words(control.value),
  moment: (control) => (control.value ? new Date(control.value).toISOString() : null),
  pairs: (control) => pairs(control.value),
  json: (control) => (control.value.trim() === "" ? null : JSON.parse(control.value)),
  secret: (control) => (control.value !== "" || control.dataset.state !== "kept" ? control.value : MASK),
};
/** What a stored secret reads as; written back it stays. */
const MASK = "********";

/** "Name: value" lines as an object. A line without a colon is a name without a value, which the server explains. */
function pairs(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return Object.fromEntries(lines.map((line) => {
    const at = line.indexOf(":");
    return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  }));
}

function put(data, name, value) {
  const [group, field] = name.split(".");
  if (field === undefined) data[group] = value;
  else data[group] = { ...data[group], [field]: value };
}

const valueAt = (data, name) => name.split(".").reduce((found, part) => found?.[part], data);

export function gather(form) {
  const data = {};
  for (const control of form.querySelectorAll("[name][data-kind]")) {
    if (control.closest("[data-for][hidden]") || control.matches(":disabled")) continue;
    const { kind } = control.dataset;
    // Not chosen, such as the JSON of a request that has a text: taken back to its default.
    if (control.closest("[data-when][hidden]")) put(data, control.name, null);
    else if (kind === "ids" || kind === "names") {
      const chosen = control.tagName === "SELECT" ? [...control.selectedOptions].map((option) => option.value) : control.checked ? [control.value] : [];
      put(data, control.name, [...(valueAt(data, control.name) ?? []), ...(kind === "ids" ? chosen.map(Number) : chosen)]);
    } else if (control.type === "radio") {
      if (control.checked) put(data, control.name, control.value);
    } else {
      put(data, control.name, READ[kind](control));
    }
  }
  for (const editor of form.querySelectorAll("[data-assertions]")) {
    if (!editor.closest("[data-for][hidden]")) data.assertions = readAssertions(editor);
  }
  const tidied = tidy({ ...data, ...readRows(form) }, form);
  return "lean" in form.dataset ? lean(tidied) : tidied;
}

/** Something new needs no fields at their defaults. */
const lean = (data) => Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null));

/** Texts that are meant to be JSON and are not, as the server would tell of them. */
function unreadable(form) {
  const errors = [];
  for (const control of form.querySelectorAll('[data-kind="json"]')) {
    if (control.closest("[data-for][hidden], [data-when][hidden]")) continue;
    try {
      READ.json(control);
    } catch (error) {
      errors.push({ field: control.name, message: `is not JSON: ${error.message}` });
    }
  }
  return errors;
}

/** Empty optional texts are null, so that the server's default counts; no way to sign in is none at all. */
function tidy(data, form) {
  const required = new Set([...form.querySelectorAll("[data-required]")].map((control) => control.name));
  const clean = (object, prefix = "") => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, value === "" && !required.has(prefix + name) ? null : value]).filter(([name, value]) => value !== null || !prefix));
  if ("auth" in data) data.auth = data.auth.type ? clean(data.auth, "auth.") : null;
  if ("grouping" in data) data.grouping = data.grouping.by ? clean(data.grouping, "grouping.") : null;
  if ("weekly" in data) data.weekly = data.weekly.weekdays.length ? clean(data.weekly, "weekly.") : null;
  if ("config" in data) data.config = clean(data.config, "config.");
  return clean(data);
}

function fieldFor(form, name) {
  const row = placeOf(form, name);
  if (row) return row;
  let path = name;
  while (path) {
    const found = [...form.querySelectorAll(`[data-field="${CSS.escape(path)}"]`)].find((field) => !field.closest("[data-for][hidden]"));
    if (found) return found;
    path = path.includes(".") ? path.slice(0, path.lastIndexOf(".")) : "";
  }
  return null;
}

export function showErrors(form, errors, message) {
  clearErrors(form);
  const homeless = [];
  for (const error of errors) {
    const field = fieldFor(form, error.field);
    if (!field) {
      homeless.push(`${error.field} ${error.message}`.trim());
      continue;
    }
    field.classList.add("has-error");
    const message = error.message.startsWith(`${error.field} is `) ? error.message.replace(error.field, "this") : error.message;
    [...field.querySelectorAll(".error")].at(-1).textContent = `${message.charAt(0).toUpperCase()}${message.slice(1)}.`.replace(/\.\.$/, ".");
    const control = field.querySelector(`[data-part="${error.field.split(".").at(-1)}"]:not([hidden])`) ?? field.querySelector("input:not([hidden]), select:not([hidden]), textarea:not([hidden])");
    control?.setAttribute("aria-invalid", "true");
    field.closest("details")?.setAttribute("open", "");
  }
  if (!errors.length) homeless.push(message);
  const place = form.querySelector("[data-form-error]");
  if (homeless.length && place) {
    place.textContent = homeless.join(" ");
    place.closest(".form-message").hidden = false;
  } else if (homeless.length) {
    toast(homeless.join(" "), true);
  }
  form.querySelector(".has-error [aria-invalid]")?.focus();
}

function clearErrors(form) {
  for (const field of form.querySelectorAll(".has-error")) {
    field.classList.remove("has-error");
    for (const control of field.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
  }
  const message = form.querySelector(".form-message");
  if (message) message.hidden = true;
}

/** What forms that change something held at first: fields nobody touched are not sent, so that nobody's change is undone. */
const untouched = new Map();
addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form[data-changes-only]")) untouched.set(form, gather(form));
});

function changed(form) {
  const before = untouched.get(form) ?? {};
  return Object.fromEntries(Object.entries(gather(form)).filter(([name, value]) => !(name in before) || JSON.stringify(before[name]) !== JSON.stringify(value)));
}

async function send(form) {
  const unread = unreadable(form);
  if (unread.length) {
    showErrors(form, unread, "");
    return;
  }
  const button = form.querySelector('button:not([type="button"])');
  button.setAttribute("aria-busy", "true");
  const [method, path] = form.dataset.json.split(" ");
  const answer = await call(method, path, changed(form));
  button.removeAttribute("aria-busy");
  if (!answer.ok) {
    showErrors(form, answer.errors, answer.message);
    return;
  }
  clearErrors(form);
  form.dataset.changed = "";
  if (form.dataset.reveals) reveal(document.getElementById(form.dataset.reveals), answer.data.token);
  if (form.dataset.then === "refresh" || form.dataset.reveals) form.reset();
  proceed(form.dataset.then, answer.data, answer.message);
}

function reveal(panel, token) {
  panel.querySelector("[data-token]").textContent = token;
  panel.hidden = false;
  panel.scrollIntoView({ block: "center" });
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-json]")) return;
  event.preventDefault();
  send(event.target);
});
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-guard]");
  if (form) form.dataset.changed = "yes";
  event.target.closest(".has-error")?.classList.remove("has-error");
  event.target.removeAttribute("aria-invalid");
});
// A stored secret: kept, replaced or removed.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-secret]");
  if (!button) return;
  const field = button.closest(".field");
  const control = field.querySelector('[data-kind="secret"]');
  const kept = field.querySelector("[data-kept]");
  const removed = button.dataset.secret === "remove";
  control.dataset.state = removed ? "removed" : "kept";
  control.hidden = removed;
  kept.querySelector(".kept-word").textContent = removed ? "Will be removed" : "Kept if left empty";
  kept.classList.toggle("is-removed", removed);
  if (!removed) control.focus();
  button.form.dataset.changed = "yes";
});
addEventListener("beforeunload", (event) => {
  if (document.querySelector('form[data-changed="yes"]')) event.preventDefault();
});
// Ctrl-Enter sends from inside a text of many lines.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.closest("form[data-json]")?.requestSubmit();
});
// Until here a click would have sent the form the browser's own way, and lost what was typed.
for (const button of document.querySelectorAll("button[data-ready]")) button.disabled = false;
