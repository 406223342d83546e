// A list of rows in a form, such as the steps of a policy: <div data-rows="steps"> with a <template> for a new one.

const READ = {
  text: (control) => control.value.trim(),
  words: (control) => control.value.split(/[\s,]+/).filter(Boolean),
  minutes: (control) => Math.round(Number(control.value.replace(",", ".")) * 60) || 0,
  ids: (control) => [...control.selectedOptions].map((option) => Number(option.value)),
};

function readRow(row) {
  const data = {};
  for (const control of row.querySelectorAll("[data-part]")) {
    const [group, field] = control.dataset.part.split(".");
    const value = READ[control.dataset.read](control);
    if (field === undefined) data[group] = value;
    else data[group] = { ...data[group], [field]: value };
  }
  return data;
}

/** Every list of the form by its name. */
export function readRows(form) {
  return Object.fromEntries([...form.querySelectorAll("[data-rows]")].map((list) => [list.dataset.rows, [...list.querySelectorAll("[data-row-item]")].map(readRow)]));
}

document.addEventListener("click", (event) => {
  const adder = event.target.closest("[data-row-add]");
  if (adder) {
    const list = adder.closest("[data-rows]");
    const place = list.querySelector("[data-row-list]");
    place.append(list.querySelector("template").content.cloneNode(true));
    place.lastElementChild.querySelector("input, select").focus();
  }
  const remover = event.target.closest("[data-row-remove]");
  if (!remover) return;
  remover.closest("form").dataset.changed = "yes";
  remover.closest("[data-row-item]").remove();
});
