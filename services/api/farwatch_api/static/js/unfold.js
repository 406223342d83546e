// <select data-unfolds> in a form: parts with data-when="its name=value" are shown while it has that value.

function unfold(select) {
  for (const part of select.form.querySelectorAll("[data-when]")) {
    const [name, value] = part.dataset.when.split("=");
    if (name === select.name) part.hidden = value !== select.value;
  }
}

for (const select of document.querySelectorAll("select[data-unfolds]")) {
  select.addEventListener("change", () => unfold(select));
  unfold(select); // a reload may have kept another choice
}
