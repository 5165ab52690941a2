// Small charts by the hour, as SVG the browser draws. Every bar says its hour and value; colours come from style.css.
const SPACE = "http://www.w3.org/2000/svg", WIDTH = 480, HEIGHT = 150, LEFT = 40, BOTTOM = 20, TOP = 10;

function draw(name, attributes, ...children) {
  const node = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** The smallest round number that is not below `value`; 1 where there is nothing. */
export function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * (1 - 1e-9));
}

export function short(value) {
  const notation = value >= 10000 ? "compact" : "standard";
  return new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation }).format(value);
}

/** Hours of a period, the oldest first; `null` for an hour in which nothing happened. */
export function hours(rows, now_ms, count) {
  const last = Math.floor(now_ms / 3_600_000);
  const by = new Map(rows.map((row) => [Math.floor(row.hour_ms / 3_600_000), row]));
  const slots = Array.from({ length: count }, (_, i) => last - count + 1 + i);
  return slots.map((hour) => ({ hour_ms: hour * 3_600_000, row: by.get(hour) ?? null }));
}

function axes(svg, top, slots, when) {
  for (const part of [0, 0.5, 1]) {
    const y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - part);
    svg.append(draw("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y, y2: y }));
    svg.append(draw("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, short(top * part)));
  }
  const middle = slots[slots.length >> 1];
  const labels = [[LEFT, slots[0], "start"], [(LEFT + WIDTH) / 2, middle, "middle"], [WIDTH, slots.at(-1), "end"]];
  for (const [x, slot, anchor] of labels) {
    svg.append(draw("text", { class: "tick", x, y: HEIGHT - 4, "text-anchor": anchor }, when(slot.hour_ms)));
  }
}

/**
 * Stacked bars. `series`: [{name, of: (row) => number|null}], the lowest first; a null is no bar.
 * @returns {SVGSVGElement}
 */
export function bars({ slots, series, label, when, say, highest = 0 }) {
  const values = slots.map(({ row }) => series.map(({ of }) => (row ? of(row) : null)));
  const top = ceiling(Math.max(highest, ...values.map((stack) => stack.reduce((sum, value) => sum + (value ?? 0), 0))));
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  axes(svg, top, slots, when);
  const step = (WIDTH - LEFT) / slots.length, scale = (HEIGHT - TOP - BOTTOM) / top;
  slots.forEach((slot, i) => {
    let y = HEIGHT - BOTTOM;
    values[i].forEach((value, k) => {
      if (!value) return;
      y -= value * scale;
      const x = LEFT + (i + 0.1) * step, rx = Math.min(2, step / 4);
      const box = { x, y, width: step * 0.8, height: value * scale, rx };
      const name = series.length > 1 ? `${series[k].name} ${short(value)}` : short(value);
      svg.append(draw("rect", { class: `bar tone-${k % 6}`, ...box }, draw("title", {}, say(when(slot.hour_ms), name))));
    });
  });
  return svg;
}

/** Lines with a point at each hour that has a value; an hour without one breaks the line. */
export function lines({ slots, series, label, when, say }) {
  const values = series.map(({ of }) => slots.map(({ row }) => (row ? of(row) : null)));
  const top = ceiling(Math.max(0, ...values.flat().map((value) => value ?? 0)));
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  axes(svg, top, slots, when);
  const step = (WIDTH - LEFT) / slots.length, scale = (HEIGHT - TOP - BOTTOM) / top;
  values.forEach((row, k) => {
    let path = "", before = null;
    row.forEach((value, i) => {
      const x = LEFT + (i + 0.5) * step, y = HEIGHT - BOTTOM - (value ?? 0) * scale;
      if (value !== null) path += `${before === null ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
      if (value !== null) {
        const name = `${series[k].name} ${short(value)}`;
        const dot = { class: `tone-${k}`, cx: x, cy: y, r: Math.min(3, step / 3) };
        svg.append(draw("circle", dot, draw("title", {}, say(when(slots[i].hour_ms), name))));
      }
      before = value;
    });
    svg.append(draw("path", { class: `line tone-${k}`, d: path || "M0 0", fill: "none" }));
  });
  return svg;
}
