// One tip for the whole page, placed by us: over what is pointed at, focused or tapped.

import { make } from "./dom.js";

const tip = make("div", { class: "tip", role: "status", hidden: "" });
document.body.append(tip);

export function showTip(anchor, ...content) {
  tip.replaceChildren(...content);
  tip.hidden = false;
  const place = anchor.getBoundingClientRect();
  const width = tip.offsetWidth;
  const left = Math.min(Math.max(8, place.left + place.width / 2 - width / 2), innerWidth - width - 8);
  const above = place.top - tip.offsetHeight - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 8 ? above : place.bottom + 8}px`;
}

export function hideTip() {
  tip.hidden = true;
}

for (const type of ["pointerover", "focusin"]) {
  document.addEventListener(type, (event) => {
    const anchor = event.target.closest?.("[data-tip]");
    if (anchor) showTip(anchor, anchor.dataset.tip);
  });
}
for (const type of ["pointerout", "focusout"]) {
  document.addEventListener(type, (event) => {
    if (event.target.closest?.("[data-tip]")) hideTip();
  });
}
document.addEventListener("scroll", hideTip, { passive: true, capture: true });
document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
