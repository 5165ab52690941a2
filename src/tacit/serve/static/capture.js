// What a person saw of a reply and its items, and how long. For any chat page: docs/capture.md.
const SEEN = 1000, IDLE = 30000, BATCH = 50;
const now = () => performance.now(), ms = (x) => Math.max(0, Math.round(x));
const touched = matchMedia("(pointer: coarse)").matches, narrow = Math.min(screen.width, screen.height) < 600;
const device = !touched ? "desktop" : narrow ? "phone" : "tablet";
let store = {};
try { store = sessionStorage; } catch { /* forbidden */ }

function uuid7() {
  const t = Date.now().toString(16).padStart(12, "0"), digit = () => crypto.getRandomValues(new Uint8Array(1))[0] & 15;
  return `${t.slice(0, 8)}-${t.slice(8)}-7xxx-8xxx-xxxxxxxxxxxx`.replace(/x/g, () => digit().toString(16));
}

export function capture({ root, url, token }) {
  const spent = { active: 0, idle: 0, hidden: 0 }, parts = new Map(), flying = new Set(), off = new AbortController();
  let mode = document.hidden ? "hidden" : "active", since = now(), acted = since, away = false, ticks = 0;
  let { queue, seq } = JSON.parse(store.tacit ?? '{"queue":[],"seq":0}'), last;

  const total = (what) => spent[what] + (mode === what ? now() - since : 0);
  // A stretch in view counts from its start, once it lasts a second.
  const stretch = (p, at) => (p.from && at - p.from >= SEEN ? at - p.from : 0);

  function view(p, at) {
    const on = mode === "active" && !!p.inside;
    if (on === !!p.from) return;
    p.seen += stretch(p, at);
    p.from = on && at;
    p.toggles += on;
  }

  function turn(next, at) {
    spent[mode] += at - since;
    [mode, since] = [next, at];
    parts.forEach((p) => view(p, at));
  }

  function doze() { // however late the timer: idle began when the 30 s were over
    if (mode !== "active" || now() < acted + IDLE) return;
    turn("idle", acted + IDLE);
    report("idle");
  }

  function act() {
    doze();
    acted = now();
    if (mode === "idle") turn("active", acted);
  }

  function show() {
    doze();
    const gone = away || document.hidden;
    if (gone !== (mode === "hidden")) turn(gone ? "hidden" : "active", (acted = now()));
    if (!gone) return;
    report("tab_hidden");
    flush();
  }

  const observer = new IntersectionObserver((entries) => entries.forEach((e) => {
    const p = parts.get(e.target), box = e.boundingClientRect, panel = e.rootBounds;
    // Half of it; of one taller than the panel, half the panel.
    p.inside = e.isIntersecting && e.intersectionRect.height >= Math.min(box.height, panel.height) / 2;
    p.ratio = Math.max(p.ratio, Math.min(1, e.intersectionRatio));
    p.depth = Math.max(p.depth, Math.min(1, (panel.bottom - box.top) / (box.height || 1)));
    view(p, e.time);
  }), { root, threshold: [...Array(21).keys()].map((i) => i / 20) });

  function report(reason) {
    parts.forEach((p) => {
      const visible_ms = ms(p.seen + stretch(p, now())), censored = !p.of.settled;
      const news = [visible_ms, p.ratio, p.depth, censored, away].join();
      if (news === p.news) return;
      p.news = news;
      push(p.of, p.name ? "visible" : "dwell", p.name, {
        visible_ms, idle_ms: ms(total("idle") - p.of.idle), hidden_ms: ms(total("hidden") - p.of.hidden),
        max_ratio: p.ratio, scroll_depth: p.name ? undefined : p.depth, toggles: p.toggles,
        censored, reason: censored ? (away ? "closed" : reason) : undefined,
      });
    });
  }

  function keep(events) {
    queue = events;
    try { store.tacit = JSON.stringify({ queue, seq }); } catch { /* no room */ }
  }

  function push(of, kind, item_id, more) {
    const event = { event_id: uuid7(), ...of.exposure, kind, item_id, seq: seq++, mono_ms: ms(now()), device, ...more };
    keep([...queue, event].slice(-500));
  }

  function flush() {
    const ready = queue.filter((e) => !flying.has(e));
    for (let i = 0; i < ready.length; i += BATCH) post(ready.slice(i, i + BATCH));
  }

  async function post(events) { // what fails goes again, under the same ids
    const body = JSON.stringify({ token: token(), events }); // a beacon has no headers
    events.forEach((e) => flying.add(e));
    try {
      const { status } = await fetch(url, { method: "POST", keepalive: true, body });
      if (status < 500 && ![401, 408, 429].includes(status)) keep(queue.filter((e) => !events.includes(e)));
    } catch {
      if (mode === "hidden" && navigator.sendBeacon(url, body)) keep(queue.filter((e) => !events.includes(e)));
    }
    events.forEach((e) => flying.delete(e));
  }

  const timer = setInterval(() => {
    doze();
    if (++ticks % 10) return;
    if (mode === "active") report("still_open");
    flush();
  }, 1000);
  const on = (name, then) => addEventListener(name, then, { capture: true, passive: true, signal: off.signal });
  ["pointerdown", "pointermove", "keydown", "scroll"].forEach((name) => on(name, act));
  on("visibilitychange", show);
  on("pageshow", () => { away = false; show(); }); // out of the back/forward cache
  on("pagehide", (e) => {
    away = true;
    if (last && !e.persisted) push(last, "session_end");
    show();
  });
  flush();

  function reply(element, exposure) { // streaming has ended: the clock starts
    const of = (last = { exposure, ended: now(), idle: total("idle"), hidden: total("hidden") });
    let latency_ms;
    const item = (node, name) => {
      parts.set(node, { of, name, seen: 0, ratio: 0, depth: 0, toggles: 0 });
      observer.observe(node);
    };
    const send = (kind, name, more) => { push(of, kind, name, more); flush(); };
    const typed = () => { latency_ms ??= ms(now() - of.ended - total("hidden") + of.hidden); };
    const replied = () => { // they went on: no lower bound any more
      of.settled = true;
      report();
      send("reply", undefined, { latency_ms });
    };
    item(element);
    return { item, send, typed, replied };
  }

  function end() { // also forgets what was not sent yet
    off.abort();
    clearInterval(timer);
    observer.disconnect();
    seq = 0;
    keep([]);
  }
  return { reply, end };
}
