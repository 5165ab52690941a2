// The chat page: a conversation, its slates, and what is reported of them once the person agreed.
import { capture } from "./capture.js";
import { slate } from "./cards.js";
import { Refusal, Session, address, keep, optedOut } from "./server.js";
import { make, say, strings } from "./strings.js";

const $ = (id) => document.getElementById(id);
const panel = $("panel"), turns = $("turns"), text = $("text"), send = $("send");
const beside = $("beside").querySelector("input");
const announce = (words) => { $("news").textContent = words; };

let session, watch = null, stop = null;
let messages = []; // of the conversation, as OpenAI has them
let open = []; // the answers of the last turn: {answer, shown}, reported until the person goes on

/** Nothing is observed, and nothing kept in this tab, without consent. */
function observe() {
  if (session.consent && !watch) watch = capture({ root: panel, url: address("v1/events"), token: () => session.token });
  if (!session.consent && watch) {
    watch.end();
    watch = null;
    open.forEach((one) => { one.shown = null; });
  }
  const status = $("status");
  status.hidden = false;
  status.textContent = strings.status[session.consent ?? "none"];
  status.dataset.consent = session.consent ?? "none";
  save();
}

function save() {
  const { token, session_id } = session;
  if (session.consent) keep.saveTab({ token, session_id, messages });
  else keep.forgetTab();
}

function bubble(words) {
  return make("p", { class: "you" }, make("span", { class: "hidden" }, `${strings.you}: `), words);
}

/** The frame of an answer: its words come in while it is written. */
function frame(name, named) {
  const words = make("p", { class: "words" });
  const node = make("article", { class: "answer writing", "aria-busy": "true" });
  const wait = make("p", { class: "wait" }, make("span", { class: "hidden" }, strings.writing));
  node.append(make("h2", { class: named ? "letter" : "hidden" }, name), words, wait);
  return { node, words };
}

async function write(model, place, signal) {
  const { node, words } = place;
  try {
    return await session.reply(model, messages, (piece) => words.append(piece), signal);
  } finally {
    node.classList.remove("writing");
    node.removeAttribute("aria-busy");
    node.querySelector(".wait").remove();
  }
}

/** An answer that is whole: its cards appear, and the clock of what is seen of it starts. */
function finish(place, answer) {
  const { exposure_id, signature, items } = answer.recommendations;
  const one = { answer, shown: null, exposure_id, ...place };
  const on = (kind, item) => {
    one.shown?.send(kind, item.id);
    if (kind === "more_like_this") ask(strings.more_wish(item.title));
  };
  const cards = items.length ? slate(items, on, (item) => session.item(item.id), announce) : null;
  if (cards) place.node.append(cards.list);
  if (watch && exposure_id) {
    one.shown = watch.reply(place.node, { exposure_id, signature });
    cards?.nodes.forEach((node, item) => one.shown.item(node, item.id));
  }
  return one;
}

function fault(turn, error, words) {
  if (error.name === "AbortError") {
    turn.append(make("p", { class: "fault" }, strings.stopped));
  } else {
    const busy = error instanceof Refusal && error.retry;
    const told = busy ? strings.busy(error.retry) : error instanceof Refusal ? strings.failed : strings.offline;
    const again = make("button", { type: "button", onclick: () => { turn.remove(); ask(words); } }, strings.again);
    turn.append(make("p", { class: "fault", role: "alert" }, told, " ", again));
  }
  messages.pop(); // what was not answered was not said
  if (!text.value) text.value = words;
}

async function ask(words) {
  if (stop || !words.trim()) return;
  open.forEach((one) => one.shown?.replied());
  settle();
  $("hello").hidden = true;
  messages.push({ role: "user", content: words.trim() });
  const names = beside.checked && session.side_by_side ? models() : [session.models[0]];
  const two = names.length > 1;
  const places = names.map((_, i) => frame(two ? strings.answer_named("AB"[i]) : strings.answer, two));
  const answers = make("div", { class: two ? "answers two" : "answers" }, ...places.map((place) => place.node));
  const turn = make("section", { class: "turn" }, bubble(words.trim()), answers);
  turns.append(turn);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  turn.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  stop = new AbortController();
  send.textContent = strings.stop;
  try {
    const written = await Promise.all(names.map((name, i) => write(name, places[i], stop.signal)));
    open = written.map((answer, i) => finish(places[i], answer));
    messages.push({ role: "assistant", content: open[0].answer.text });
    if (open.length > 1) vote(turn);
    save();
  } catch (error) {
    stop.abort();
    fault(turn, error, words);
  }
  stop = null;
  send.textContent = strings.send;
}

/** Which answer stands left is drawn anew each time, so that its place does not decide the vote. */
function models() {
  const [first, second] = session.models;
  return crypto.getRandomValues(new Uint8Array(1))[0] < 128 ? [first, second] : [second, first];
}

function vote(turn) {
  const [a, b] = open, both = open;
  const choose = (value) => {
    const liked = value < 0 ? b : a;
    if (a.shown) a.shown.send("vote", undefined, { value, against: b.exposure_id });
    if (messages.at(-1).role === "assistant" && open === both) messages[messages.length - 1].content = liked.answer.text;
    if (value) liked.node.prepend(make("p", { class: "picked" }, strings.picked));
    box.replaceChildren(strings.thanks);
    box.setAttribute("role", "status");
    save();
  };
  const button = (words, value) => make("button", { type: "button", onclick: () => choose(value) }, words);
  const box = make("p", { class: "vote choices" }, make("span", {}, strings.which),
    button(strings.better("A"), 1), button(strings.same, 0), button(strings.better("B"), -1));
  turn.append(box);
}

/** A question that was not answered before the person went on is taken away. */
function settle() {
  turns.querySelectorAll(".vote:has(button)").forEach((box) => box.remove());
  open = [];
}

async function restart() {
  stop?.abort();
  open.at(-1)?.shown?.send("session_end");
  watch?.end();
  watch = null;
  open = [];
  messages = [];
  turns.replaceChildren();
  $("hello").hidden = false;
  keep.forgetTab();
  await session.renew();
  observe();
  text.focus();
}

function askConsent() {
  const box = $("consent");
  box.hidden = session.consent !== null;
  $("gpc").hidden = !optedOut();
  box.querySelector("[value=train]").hidden = optedOut();
  box.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    try {
      if (button.value) await session.agree(button.value);
      box.hidden = true;
      observe();
      announce(strings.status[session.consent ?? "none"]);
      text.focus();
    } catch {
      $("consent-fault").textContent = strings.consent_failed;
    }
  });
}

/** A tab that is loaded again shows what was said; slates of before are over. */
function restore(before) {
  messages = before?.messages ?? [];
  $("hello").hidden = messages.length > 0;
  for (const { role, content } of messages) {
    if (role === "user") turns.append(make("section", { class: "turn" }, bubble(content)));
    else turns.lastElementChild?.append(make("article", { class: "answer" }, make("p", { class: "words" }, content)));
  }
}

function listen() {
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (stop) { stop.abort(); return; }
    const words = text.value;
    text.value = "";
    ask(words);
  });
  text.addEventListener("input", () => open.forEach((one) => one.shown?.typed()));
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!stop) $("form").requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stop?.abort();
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input, textarea")) return;
    event.preventDefault();
    text.focus();
  });
  $("new").addEventListener("click", restart);
  // What was agreed to may have been changed, or all of it deleted, on another page meanwhile.
  addEventListener("pageshow", (event) => event.persisted && session.renew(session).then(observe, () => {}));
  addEventListener("storage", (event) => {
    if (event.key !== null && (event.key !== "tacit.browser" || event.newValue !== null)) return;
    session.consent = null;
    observe();
  });
  setInterval(() => document.hidden || session.fresh().catch(() => {}), 30_000);
}

async function start() {
  say();
  for (const wish of strings.wishes) {
    $("wishes").append(make("li", {}, make("button", { type: "button", onclick: () => ask(wish) }, wish)));
  }
  const before = keep.tab();
  try {
    session = await Session.open(before);
  } catch {
    turns.append(make("p", { class: "fault", role: "alert" }, strings.failed));
    return;
  }
  if (before && before.session_id === session.session_id) restore(before);
  else keep.forgetTab();
  $("beside").hidden = !session.side_by_side;
  askConsent();
  observe();
  listen();
  if (matchMedia("(pointer: fine)").matches) text.focus();
}

start();
