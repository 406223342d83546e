// The assertion editor: rows that come and go; which operators and values fit is what the subject says.

const PLACEHOLDERS = { status: "200-299", number: "1000", text: "", values: "", any: "" };
const KEYS = { header: "x-cache", "body.json": "status, or items[0].id" };

const part = (row, name) => row.querySelector(`[data-part="${name}"]`);
const editorOf = (row) => row.closest("[data-assertions]");
const rowsOf = (editor) => [...editor.querySelectorAll("[data-row]")];

/** The assertions of the editor as the server takes them. A value nobody touched keeps its type. */
export function readAssertions(editor) {
  return rowsOf(editor).map((row) => ({
    subject: part(row, "key").hidden ? part(row, "subject").value : subjectOf(row),
    operator: part(row, "operator").value,
    value: valueOf(row),
    severity: part(row, "severity").value,
  }));
}

function subjectOf(row) {
  const prefix = part(row, "subject").value;
  const key = part(row, "key").value.trim();
  return key || prefix === "header" ? `${prefix}.${key}` : prefix;
}

function valueOf(row) {
  const operator = part(row, "operator").value;
  if (operator === "exists") return part(row, "truth").value === "true";
  const written = part(row, "value").value;
  if (row.dataset.shown === written && row.dataset.operator === operator) return JSON.parse(row.dataset.given);
  return operator === "one_of" ? written.split(",").map((each) => each.trim()).filter(Boolean) : written;
}

/** The row that "assertions.2.value" is about, or null. */
export function placeOf(form, name) {
  const [field, index] = name.split(".");
  return field === "assertions" && index ? form.querySelectorAll("[data-assertions] [data-row]")[Number(index)] ?? null : null;
}

function options(select, entries) {
  const before = select.value;
  select.replaceChildren(...entries.map(([value, word]) => new Option(word, value)));
  if (entries.some(([value]) => value === before)) select.value = before;
}

/** Shows what the chosen subject and operator need, and nothing else. */
function fit(row) {
  const { subjects, operators, operator_words: words } = JSON.parse(editorOf(row).dataset.assertions);
  const known = subjects[typeOf(row)] ?? [];
  const subject = known.find((each) => each.value === part(row, "subject").value) ?? known[0];
  if (!subject) return;
  options(part(row, "operator"), operators[subject.kind].map((each) => [each, words[each]]));
  const operator = part(row, "operator").value;
  const key = part(row, "key");
  key.hidden = !subject.key;
  key.placeholder = KEYS[subject.value] ?? "";
  const value = part(row, "value");
  value.parentElement.hidden = operator === "exists";
  part(row, "truth").hidden = operator !== "exists";
  value.placeholder = operator === "one_of" ? "one, another" : operator === "matches" ? "a pattern (RE2)" : PLACEHOLDERS[subject.kind];
  row.querySelector("[data-unit]").textContent = operator === "matches" ? "" : subject.unit;
}

const typeOf = (row) => {
  const { form } = part(row, "subject");
  return form.querySelector('[name="type"]:checked')?.value;
};

function add(editor) {
  const { subjects } = JSON.parse(editor.dataset.assertions);
  const row = editor.querySelector("template").content.firstElementChild.cloneNode(true);
  editor.querySelector("[data-assertion-list]").append(row);
  options(part(row, "subject"), (subjects[typeOf(row)] ?? []).map((each) => [each.value, each.word]));
  fit(row);
  part(row, "subject").focus();
}

/** Another check type has other subjects; a row about one it does not have begins anew. */
function retype(editor) {
  const { subjects } = JSON.parse(editor.dataset.assertions);
  for (const row of rowsOf(editor)) {
    const known = subjects[typeOf(row)];
    if (!known) continue;
    options(part(row, "subject"), known.map((each) => [each.value, each.word]));
    fit(row);
  }
}

for (const editor of document.querySelectorAll("[data-assertions]")) {
  for (const row of rowsOf(editor)) {
    row.dataset.operator = part(row, "operator").value;
    row.dataset.shown = part(row, "value").value; // a line break in it is not in the control
    fit(row);
  }
  editor.addEventListener("change", (event) => event.target.matches('[data-part="subject"], [data-part="operator"]') && fit(event.target.closest("[data-row]")));
  editor.addEventListener("click", (event) => {
    if (event.target.closest("[data-add-row]")) add(editor);
    const gone = event.target.closest("[data-remove-row]")?.closest("[data-row]");
    if (!gone) return;
    (gone.nextElementSibling ?? gone.previousElementSibling)?.querySelector("select").focus();
    gone.remove();
    editor.dispatchEvent(new Event("input", { bubbles: true }));
  });
  editor.closest("form").addEventListener("change", (event) => event.target.name === "type" && retype(editor));
}
