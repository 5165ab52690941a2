// The operator's dashboard: the server's own aggregates, fetched every few seconds and drawn here.
import { bars, hours, lines, short } from "./charts.js";
import { Session, call } from "./server.js";
import { make, say, strings } from "./strings.js";

const $ = (id) => document.getElementById(id);
const EVERY_MS = 5000;
let read, latest = null, timer = 0;
const clock = (date = new Date()) => date.toLocaleTimeString("en-GB");

const sum = (rows, name) => rows.reduce((total, row) => total + (row[name] ?? 0), 0);
const share = (part, whole) => (whole ? part / whole : null);
const percent = (value) => (value === null ? "–" : `${short(value * 100)} %`);
const number = (value) => (value === null ? "–" : short(value));
const seconds = (row) => (row.dwell_slates ? row.dwell_ms / row.dwell_slates / 1000 : null);

/** The figure of the middle turn: of hours' medians, the one that half of the turns lie below. */
function middle(rows) {
  const known = rows.filter((row) => row.first_byte_ms?.p50 != null);
  known.sort((a, b) => a.first_byte_ms.p50 - b.first_byte_ms.p50);
  let left = sum(known, "turns") / 2;
  for (const row of known) if ((left -= row.turns) <= 0) return row.first_byte_ms.p50;
  return known.at(-1)?.first_byte_ms.p50 ?? null;
}

function tiles(rows) {
  const slates = sum(rows, "slates"), first = middle(rows);
  const figures = {
    conversations: number(sum(rows, "conversations")), turns: number(sum(rows, "turns")), slates: number(slates),
    clicks: number(share(sum(rows, "clicks"), slates)),
    dwell: number(share(sum(rows, "dwell_ms") / 1000, sum(rows, "dwell_slates"))),
    rejections: number(share(sum(rows, "rejections"), slates)), explore: percent(share(sum(rows, "explored"), slates)),
    first: first === null ? "–" : `${short(first)} ms`, errors: number(sum(rows, "errors") + sum(rows, "shed")),
  };
  $("tiles").replaceChildren(...Object.entries(figures).map(([name, value]) =>
    make("li", {}, make("span", { class: "figure" }, value), make("span", { class: "what" }, strings.tiles[name]))));
}

/** Versions in the order in which they first answered; one that is not there yet has no bar. */
function versions(rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.policy_versions ?? {})))];
  return names.map((name) => ({ name: name.slice(0, 8), of: (row) => row.policy_versions?.[name] ?? 0 }));
}

const quantile = (name) => ({ name: strings.quantiles[name], of: (row) => row.first_byte_ms?.[name] ?? null });

function plots(rows) {
  const one = (of) => [{ name: "", of }], count = (name) => ["bars", one((row) => row[name])];
  return {
    conversations: count("conversations"),
    slates: count("slates"),
    clicks: count("clicks"),
    dwell: ["bars", one(seconds)],
    rejections: count("rejections"),
    latency: ["lines", ["p50", "p95"].map(quantile)],
    explore: ["bars", one((row) => (row.explore_share == null ? null : row.explore_share * 100))],
    versions: ["bars", versions(rows)],
  };
}

function moment(count) {
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  return (ms) => (count > 24 ? day : clock).format(ms);
}

function key(series) {
  if (series.length < 2) return "";
  return make("p", { class: "key" }, ...series.map(({ name }, k) =>
    make("span", {}, make("span", { class: `swatch tone-${k % 6}`, "aria-hidden": "true" }), name)));
}

function charts(rows, slots, count) {
  const when = moment(count), kinds = { bars, lines };
  $("charts").replaceChildren(...Object.entries(plots(rows)).map(([name, [kind, series]]) => {
    const label = strings.charts[name], drawn = kinds[kind]({ slots, series, label, when, say: strings.an_hour });
    return make("figure", {}, make("figcaption", {}, label), drawn, key(series));
  }));
}

function table(rows, count) {
  const names = Object.keys(strings.columns), when = moment(count);
  const titles = [strings.hour, ...Object.values(strings.columns)];
  const head = make("tr", {}, ...titles.map((name) => make("th", { scope: "col" }, name)));
  const body = [...rows].reverse().map((row) => make("tr", {}, make("th", { scope: "row" }, when(row.hour_ms)),
    ...names.map((name) => make("td", {}, row[name] == null ? "–" : row[name].toLocaleString("en")))));
  $("table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}

function state(data) {
  const facts = [strings.policy_now(data.policy_version.slice(0, 12))];
  if (data.beside_version) facts.push(strings.policy_now(data.beside_version.slice(0, 12)));
  facts.push(strings.catalog_now(data.catalog_version.slice(0, 12)));
  facts.push(strings.waiting_now(data.waiting.chat, data.waiting.log));
  const log = data.log_ok ? make("li", {}, strings.log_fine) : make("li", { class: "fault" }, strings.log_down);
  $("now").replaceChildren(...facts.map((fact) => make("li", {}, fact)), log);
}

function show() {
  const count = Number($("period").value), slots = hours(latest.hours, latest.now_ms, count);
  const rows = slots.map(({ row }) => row).filter(Boolean);
  $("figures").hidden = false;
  $("quiet").hidden = rows.length > 0;
  state(latest);
  tiles(rows);
  charts(rows, slots, count);
  table(rows, count);
}

/** False where the token may not read the figures; a server that does not answer is asked again. */
async function load() {
  clearTimeout(timer);
  let fine = true;
  try {
    latest = await (await read()).json();
  } catch (fault) {
    if (fault.status === 401 || fault.status === 403) return false;
    fine = false;
  }
  const heard = latest ? new Date(latest.now_ms) : new Date();
  $("live").textContent = fine ? strings.live(clock()) : strings.lost(clock(heard));
  $("live").classList.toggle("lost", !fine);
  if (latest) show();
  timer = setTimeout(load, document.hidden ? EVERY_MS * 12 : EVERY_MS);
  return true;
}

function ask() {
  $("live").textContent = "";
  $("ask").hidden = false;
  $("token").focus();
  $("ask").addEventListener("submit", async (event) => {
    event.preventDefault();
    const headers = { Authorization: `Bearer ${$("token").value.trim()}` };
    read = () => call("v1/aggregates", { headers });
    const fine = await load();
    $("ask").hidden = fine;
    $("token-fault").textContent = fine ? "" : strings.token_wrong;
  });
}

async function start() {
  say();
  for (const [value, name] of Object.entries(strings.periods)) $("period").append(make("option", { value }, name));
  $("period").addEventListener("change", () => latest && show());
  document.addEventListener("visibilitychange", () => { if (!document.hidden && latest) load(); });
  const session = await Session.open().catch(() => null); // with --dev a browser's own token may read the figures
  read = () => session.authorised("v1/aggregates");
  if (!session?.dev || !(await load())) ask();
}

start();
