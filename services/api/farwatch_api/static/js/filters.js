// Addresses carry only the filters that are set.

document.body.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.id !== "filters") return;
  for (const [name, value] of Object.entries(event.detail.parameters)) {
    if (value === "") delete event.detail.parameters[name];
  }
});
