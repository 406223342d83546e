// The monitor form shows the fields of the chosen type; those of other types keep their input, unsent.

const form = document.getElementById("monitor-form");

function reveal(type) {
  for (const part of form.querySelectorAll("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(type);
  const interval = form.querySelector('[data-field="interval_seconds"] label');
  interval.textContent = type === "push" ? "Expect a call every" : "Check every";
}

/** A name nobody typed follows the target. */
function suggestName() {
  const name = form.elements.namedItem("name");
  const target = form.elements.namedItem("url").closest("[hidden]") ? form.elements.namedItem("host").value : form.elements.namedItem("url").value;
  if (name.dataset.typed || !target) return;
  name.placeholder = target.replace(/^https?:\/\//, "").replace(/\/$/, "");
}

/** data-when="method=POST|PUT": shown while the control named there has one of these values. */
function unfold() {
  for (const part of form.querySelectorAll("[data-when]")) {
    const [name, values] = part.dataset.when.split("=");
    part.hidden = !values.split("|").includes(form.elements.namedItem(name).value);
  }
}

/** Few servers read the body of a GET. */
function suggestMethod(body) {
  const method = form.elements.namedItem("method");
  if (body && method.value === "GET") method.value = "POST";
}

if (form) {
  form.addEventListener("change", (event) => {
    if (event.target.name === "type") reveal(event.target.value);
    if (event.target.name === "body_kind") suggestMethod(event.target.value);
    unfold();
  });
  form.addEventListener("input", suggestName);
  form.addEventListener("submit", () => {
    const name = form.elements.namedItem("name");
    if (!name.value.trim() && name.placeholder !== name.defaultPlaceholder) name.value = name.placeholder;
  }, { capture: true });
  const name = form.elements.namedItem("name");
  name.defaultPlaceholder = name.placeholder;
  reveal(form.querySelector('[name="type"]:checked').value);
  unfold();
}
