// The page that shows and deletes what is stored about the person in front of it.
import { Session, keep, optedOut } from "./server.js";
import { make, say, strings } from "./strings.js";

const $ = (id) => document.getElementById(id);
const tell = (...words) => $("said").replaceChildren(...words);

function nothing() {
  $("stored").hidden = true;
  tell(strings.mine_none, " ", strings.mine_none_more);
}

/** One conversation: what was said, in the order of its turns. */
function talk(exposures) {
  const lines = exposures.flatMap(({ words }) => [
    words?.asked && make("p", { class: "you" }, words.asked),
    words?.said && make("p", { class: "words" }, words.said),
  ]).filter(Boolean);
  const when = new Date(exposures[0].created_ms).toLocaleString();
  return make("details", {}, make("summary", {}, when), ...lines);
}

function show(data, session) {
  tell(strings.mine_as(session.user));
  $("stored").hidden = false;
  const sessions = Map.groupBy
    ? Map.groupBy(data.exposures, (one) => one.session_id)
    : data.exposures.reduce((all, one) => all.set(one.session_id, [...(all.get(one.session_id) ?? []), one]), new Map());
  const events = data.exposures.reduce((sum, one) => sum + (one.events?.length ?? 0), 0);
  const counts = { sessions: sessions.size, exposures: data.exposures.length, events };
  $("counts").replaceChildren(...Object.entries(counts).map(([name, count]) =>
    make("li", {}, strings.mine_names[name], " ", make("strong", {}, count.toLocaleString()))));
  $("talks").replaceChildren(...[...sessions.values()].map(talk).reverse());
  const all = JSON.stringify(data, null, 2);
  $("raw").textContent = all;
  $("save").href = URL.createObjectURL(new Blob([all], { type: "application/json" }));
  mark(session);
}

function mark(session) {
  for (const button of $("choice").children) {
    button.setAttribute("aria-pressed", String(button.value === session.consent));
    button.hidden = button.value === "train" && optedOut();
  }
  $("gpc").hidden = !optedOut();
}

function listen(session) {
  $("choice").addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    await session.agree(button.value).catch(() => tell(strings.consent_failed));
    mark(session);
  });
  $("delete").addEventListener("click", () => $("sure").showModal());
  $("sure").addEventListener("close", async () => {
    if ($("sure").returnValue !== "yes") return;
    try {
      await session.erase();
      $("stored").hidden = true;
      tell(strings.mine_deleted);
    } catch {
      tell(strings.failed);
    }
  });
}

async function start() {
  say();
  if (!keep.browser()) return nothing();
  try {
    const session = await Session.open();
    if (!session.consent) return nothing();
    show(await session.data(), session);
    listen(session);
  } catch {
    tell(strings.failed);
  }
}

start();
