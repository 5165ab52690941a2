// The cards of a slate: title, year, genres, one line why, and what a person can say about each.
import { make, strings } from "./strings.js";

const ACTIONS = ["more_like_this", "not_for_me", "seen_it"];
const TINTS = 8;

/** Any text gives the same one of the eight tints each time. */
function tint(text) {
  let sum = 7;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return sum % TINTS;
}

const initials = (title) =>
  title.replace(/^(the|a|an) /i, "").split(/\s+/).slice(0, 2).map((word) => [...word][0]).join("");
const named = (item) => (item.year ? item.title.replace(` (${item.year})`, "") : item.title);

/**
 * One card. `on(kind)` is told of a click and of each button; `describe()` fetches `{text}` for a card that is opened.
 * @returns {HTMLLIElement}
 */
export function card(item, on, describe, say) {
  const title = named(item), genres = (item.genres ?? []).join(", ");
  const more = make("p", { class: "more", hidden: true, id: `more-${crypto.getRandomValues(new Uint32Array(1))[0]}` });
  const open = make("button", { type: "button", class: "title", "aria-controls": more.id, "aria-expanded": "false" }, title);
  open.addEventListener("click", async () => {
    const opened = open.getAttribute("aria-expanded") !== "true";
    open.setAttribute("aria-expanded", String(opened));
    more.hidden = !opened;
    if (!opened) return;
    on("click");
    if (more.textContent) return;
    more.textContent = strings.loading;
    more.textContent = await describe().then((found) => found.text, () => null) || strings.no_details;
  });
  const buttons = ACTIONS.map((kind) => make("button", {
    type: "button", value: kind, "aria-pressed": "false", "aria-label": strings.about(strings[kind], title),
  }, strings[kind]));
  const row = make("p", { class: "actions" }, ...buttons);
  const node = make("li", { class: "card" },
    make("span", { class: `poster tint-${tint(item.title)}`, "aria-hidden": "true" }, initials(title)),
    make("div", { class: "facts" },
      make("h3", {}, open),
      make("p", { class: "meta" }, [item.year, genres].filter(Boolean).join(" · ")),
      item.why ? make("p", { class: "why" }, item.why) : "", more),
    row);
  row.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || button.getAttribute("aria-pressed") === "true") return;
    judge(buttons, button);
    if (button.value !== "seen_it") node.classList.toggle("refused", button.value === "not_for_me");
    say(strings.noted[button.value]);
    on(button.value);
  });
  return node;
}

/** Liked and refused exclude each other; seen stands beside either. */
function judge(buttons, pressed) {
  pressed.setAttribute("aria-pressed", "true");
  if (pressed.value === "seen_it") return;
  for (const other of buttons) {
    if (other !== pressed && other.value !== "seen_it") other.setAttribute("aria-pressed", "false");
  }
}

export function slate(items, on, describe, say) {
  const sorted = [...items].sort((a, b) => a.position - b.position);
  const made = (item) => card(item, (kind) => on(kind, item), () => describe(item), say);
  const nodes = new Map(sorted.map((item) => [item, made(item)]));
  return { list: make("ol", { class: "slate", "aria-label": strings.items }, ...nodes.values()), nodes };
}
