// <details data-keep="name">: what a reader has unfolded stays so when its part of the page comes again.

const open = new Set();

document.addEventListener(
  "toggle",
  (event) => {
    const name = event.target.dataset?.keep;
    if (!name || !event.target.isConnected) return;
    if (event.target.open) open.add(name);
    else open.delete(name);
  },
  true,
);

function unfold() {
  for (const part of document.querySelectorAll("details[data-keep]:not([open])")) {
    if (open.has(part.dataset.keep)) part.open = true;
  }
}

document.body.addEventListener("htmx:afterSwap", unfold);
document.body.addEventListener("htmx:oobAfterSwap", unfold);
