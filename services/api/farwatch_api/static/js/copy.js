import { toast } from "./toast.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = button.parentElement.querySelector("code, pre");
  try {
    await navigator.clipboard.writeText(source.textContent);
    toast("Copied.");
  } catch {
    // Pages over plain HTTP have no clipboard: select it, so that Ctrl-C does the rest.
    getSelection().selectAllChildren(source);
    toast("Selected: press Ctrl-C to copy.");
  }
});
