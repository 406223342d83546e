// One box takes one or many targets; one button makes monitors of them all; results then arrive live in the list.

import { make } from "./dom.js";
import { call } from "./http.js";
import { recogniseAll } from "./targets.js";
import { toast } from "./toast.js";

const AT_ONCE = 4;

class QuickAdd {
  constructor(form) {
    this.form = form;
    this.input = form.querySelector("textarea");
    this.list = form.querySelector(".quick-found");
    this.button = form.querySelector("button");
    this.found = [];
    this.input.addEventListener("input", () => this.read());
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || this.button.disabled) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.create();
    });
  }

  read() {
    this.found = recogniseAll(this.input.value);
    this.list.replaceChildren(...this.found.map((target) => this.describe(target)));
    const good = this.found.filter((target) => target.choices.length).length;
    this.button.disabled = !good;
    this.button.textContent = good > 1 ? `Watch all ${good}` : "Start watching";
  }

  describe(target) {
    const text = make("span", { class: "ellipsis mono small", title: target.text }, target.text);
    target.item = make("li", {}, text);
    if (!target.choices.length) {
      target.item.append(make("span", { class: "problem" }, "Neither a URL nor a host"));
    } else if (target.choices.length === 1) {
      target.item.append(make("span", { class: "chip" }, target.choices[0].label));
    } else {
      target.select = make("select", { "aria-label": `How to check ${target.text}` }, ...target.choices.map((choice, index) => make("option", { value: index }, choice.label)));
      target.item.append(target.select);
    }
    return target.item;
  }

  async create() {
    const waiting = this.found.filter((target) => target.choices.length);
    if (!waiting.length || this.button.hasAttribute("aria-busy")) return;
    this.button.setAttribute("aria-busy", "true");
    const made = [];
    const worker = async () => {
      for (let target = waiting.shift(); target; target = waiting.shift()) {
        const answer = await call("POST", "/api/monitors", target.choices[Number(target.select?.value ?? 0)].body);
        if (answer.ok) made.push({ target, id: answer.data.id });
        else target.item.append(make("span", { class: "problem" }, answer.message));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    this.button.removeAttribute("aria-busy");
    this.finish(made);
  }

  /** What could not be made stays in the box with its reason. */
  finish(made) {
    const left = this.found.filter((target) => !made.some((each) => each.target === target));
    if (!left.length) {
      location.assign(made.length === 1 ? `/monitors/${made[0].id}` : "/");
      return;
    }
    for (const { target } of made) target.item.remove();
    this.input.value = left.map((target) => target.text).join("\n");
    if (made.length) toast(`${made.length} added. The rest needs a look.`);
  }
}

for (const form of document.querySelectorAll("[data-quick-add]")) new QuickAdd(form);
