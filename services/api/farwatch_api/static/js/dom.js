// Small builders: text is always text, never markup.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function badge(state, word) {
  return make("span", { class: `badge is-${state}` }, make("span", { class: "pulse" }), word);
}

const WORDS = { up: "Up", degraded: "Degraded", down: "Down", unknown: "Unknown", maintenance: "Maintenance", paused: "Paused", pending: "Pending" };
export const stateWord = (state) => WORDS[state] ?? state;

export function latencyWords(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms >= 10 ? 0 : 1)} ms`;
}
