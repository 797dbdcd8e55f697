"use strict";
// A chart over uPlot: curves that grow, with the band from lowest to highest, and windows that are asked for anew.

const COLOURS = 8;

function colour(number) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${number}`).trim() || "#888";
}

function faded(value, share) {
  const digits = value.length === 4 ? [...value.slice(1)].map((one) => one + one).join("") : value.slice(1);
  return `#${digits}${Math.round(share * 255).toString(16).padStart(2, "0")}`;
}

// A number as the report writes it: four digits.
function written(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(4)));
  return value.toExponential(2).replace("e+", "e");
}

function tick(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(4))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(4))}k`;
  if (size > 0 && size < 1e-3) return value.toExponential(0).replace("e-0", "e-");
  return String(Number(value.toPrecision(6)));
}

class Chart {
  // host: where it is drawn. lines: [{key, label, colour, dashed, points, faint, stepped}]. load(first, last, points): a promise of curves by key.
  constructor(host, { title, lines, load, wide = false, logarithmic = false, across = "update", note = "" }) {
    Object.assign(this, { lines, load, logarithmic, across, height: wide ? 300 : 230 });
    this.curves = new Map();
    this.off = new Set();
    this.zoomed = null;
    this.whole = null; // first and last step there are
    this.asked = 0;
    const head = document.createElement("header");
    const name = document.createElement("h3");
    name.textContent = title;
    const tools = document.createElement("span");
    tools.className = "tools";
    this.back = button("whole", () => this.show(null), "plain");
    this.back.hidden = true;
    this.scale = button("log", () => this.rescale(!this.logarithmic), "plain");
    this.scale.setAttribute("aria-pressed", String(logarithmic));
    tools.append(this.back, this.scale);
    head.append(name, tools);
    this.legend = document.createElement("div");
    this.legend.className = "legend";
    this.plot = document.createElement("div");
    this.plot.className = wide ? "plot wide" : "plot";
    this.note = document.createElement("div");
    this.note.className = "note";
    this.note.textContent = note;
    host.classList.add("panel");
    host.append(head, this.legend, this.plot, this.note);
    this.labelled();
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.plot);
  }

  get points() {
    return Math.max(200, Math.min(1600, Math.round(this.plot.clientWidth || 600)));
  }

  labelled() {
    this.values = new Map();
    this.legend.replaceChildren(
      ...this.lines.map((line) => {
        const one = document.createElement("button");
        const key = document.createElement("i");
        const value = document.createElement("span");
        key.className = `key ${line.colour} ${line.dashed ? "dashed" : ""}`;
        one.append(key, `${line.label} `, value);
        one.setAttribute("aria-pressed", String(!this.off.has(line.key)));
        one.addEventListener("click", () => {
          if (!this.off.delete(line.key)) this.off.add(line.key);
          one.setAttribute("aria-pressed", String(!this.off.has(line.key)));
          this.draw();
        });
        this.values.set(line.key, value);
        return one;
      }),
    );
  }

  // The curves of a window, or of the whole; what was asked for before and comes later is not shown.
  async show(zoomed) {
    const mine = ++this.asked;
    const [first, last] = zoomed ? [Math.floor(zoomed[0]), Math.ceil(zoomed[1])] : [null, null];
    const beyond = zoomed ? Math.ceil((last - first) * 0.02) + 1 : 0;
    const found = await this.load(zoomed ? first - beyond : null, zoomed ? last + beyond : null, this.points);
    if (mine !== this.asked) return;
    this.zoomed = zoomed ? [first, last] : null;
    this.back.hidden = !zoomed;
    this.curves = found;
    this.draw();
  }

  // New points of a curve; those that are known already are left out.
  add(key, fresh) {
    if (!this.lines.some((line) => line.key === key)) return;
    const held = this.curves.get(key) || { steps: [], mean: [] };
    const last = held.steps.length ? held.steps[held.steps.length - 1] : -Infinity;
    let start = 0;
    while (start < fresh.steps.length && fresh.steps[start] <= last) start++;
    if (this.whole) this.whole[1] = Math.max(this.whole[1], ...fresh.steps.slice(-1));
    if (start === fresh.steps.length || (this.zoomed && fresh.steps[start] > this.zoomed[1])) return;
    if ((fresh.low || held.low) && !held.low) Object.assign(held, { low: held.mean.slice(), high: held.mean.slice() });
    held.steps.push(...fresh.steps.slice(start));
    held.mean.push(...fresh.mean.slice(start));
    if (held.low) {
      held.low.push(...(fresh.low || fresh.mean).slice(start));
      held.high.push(...(fresh.high || fresh.mean).slice(start));
    }
    this.curves.set(key, held);
    if (held.steps.length > 3 * this.points && !this.zoomed) this.show(null);
    else this.soon();
  }

  soon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  rescale(logarithmic) {
    this.logarithmic = logarithmic;
    this.scale.setAttribute("aria-pressed", String(logarithmic));
    this.draw(true);
  }

  // Columns for uPlot: the steps of all lines, and of each line mean, or mean, low and high.
  columns() {
    const tables = [];
    const shape = [];
    for (const line of this.lines) {
      const curve = this.off.has(line.key) ? null : this.curves.get(line.key);
      const fit = (values) => (this.logarithmic ? values.map((one) => (one > 0 ? one : null)) : values);
      const steps = curve ? curve.steps : [];
      const band = Boolean(curve && curve.low);
      tables.push([steps, fit(curve ? curve.mean : []), ...(band ? [fit(curve.low), fit(curve.high)] : [])]);
      shape.push(band ? "b" : "l");
    }
    return { data: tables.length ? uPlot.join(tables) : [[]], shape: shape.join("") };
  }

  draw(anew = false) {
    const { data, shape } = this.columns();
    if (!data[0].length && !this.u) return;
    if (!this.zoomed && data[0].length) this.whole = [data[0][0], data[0].at(-1)];
    if (anew || !this.u || this.shape !== shape) this.build(shape, data);
    else this.u.setData(data, true);
    if (this.zoomed) this.u.setScale("x", { min: this.zoomed[0], max: this.zoomed[1] });
    this.say(null);
  }

  build(shape, data) {
    this.u?.destroy();
    this.shape = shape;
    const series = [{}];
    const bands = [];
    this.places = new Map();
    this.lines.forEach((line, number) => {
      const hue = colour(line.colour);
      const stroke = line.faint ? faded(hue, 0.55) : hue;
      const wide = devicePixelRatio > 1 ? 1.6 : 1.5;
      this.places.set(line.key, series.length);
      const few = (this.curves.get(line.key)?.steps.length || 0) < 60;
      const points = { show: Boolean(line.points) && few, size: 5, fill: stroke };
      const paths = line.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined;
      series.push({ stroke, paths, width: wide, dash: line.dashed ? [5, 4] : undefined, spanGaps: true, points });
      if (shape[number] === "b") {
        const edge = { stroke: "transparent", width: 0, spanGaps: true, points: { show: false } };
        series.push({ ...edge }, { ...edge });
        bands.push({ series: [series.length - 1, series.length - 2], fill: faded(hue, 0.2) });
      }
    });
    const axis = { stroke: colour("dim"), grid: { stroke: colour("rule"), width: 1 }, ticks: { show: false }, font: "11.5px system-ui, sans-serif" };
    this.u = new uPlot(
      {
        width: this.plot.clientWidth || 300,
        height: this.height,
        legend: { show: false },
        padding: [10, 14, 0, 0],
        series,
        bands,
        scales: { x: { time: false }, y: { distr: this.logarithmic ? 3 : 1, range: this.logarithmic ? undefined : padded } },
        axes: [
          { ...axis, space: 70, size: 30, values: (_, ticks) => ticks.map(tick) },
          { ...axis, size: 54, gap: 4, values: (_, ticks) => ticks.map((one) => (one === null ? "" : tick(one))) },
        ],
        cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, setScale: false } },
        hooks: {
          setSelect: [(u) => this.selected(u)],
          setCursor: [(u) => this.say(u.cursor.idx)],
        },
      },
      data,
      this.plot,
    );
    this.u.over.addEventListener("dblclick", () => this.show(null));
    this.touched(this.u);
  }

  // Fingers: two of them spread or narrow the window, one moves it; up and down the page scrolls as ever.
  touched(u) {
    const fingers = new Map(); // pixels from the left of the plot, by pointer
    let began = null; // the window and the fingers when one of them last came or went
    let moved = false;
    const across = (event) => event.clientX - u.over.getBoundingClientRect().left;
    const begin = () => {
      const { min, max } = u.scales.x;
      began = { min, max, wide: u.over.clientWidth, at: new Map(fingers) };
    };
    u.over.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" || fingers.size === 2) return;
      u.over.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, across(event));
      begin();
    });
    u.over.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      fingers.set(event.pointerId, across(event));
      if (fingers.size === 1 && !this.zoomed) return u.setCursor({ left: across(event), top: 0 }); // the values below the finger
      const window = this.within(spread(began, [...began.at.values()], [...fingers.values()]));
      if (!window) return;
      moved = true;
      this.zoomed = window;
      this.back.hidden = false;
      u.setScale("x", { min: window[0], max: window[1] });
    });
    const gone = (event) => {
      if (!fingers.delete(event.pointerId)) return;
      if (fingers.size) return begin();
      if (moved) this.show(this.covers(this.zoomed) ? null : this.zoomed); // read anew, down to the points as they were written
      moved = false;
    };
    u.over.addEventListener("pointerup", gone);
    u.over.addEventListener("pointercancel", gone);
  }

  // A window moved and narrowed into the whole; null where it is less than two steps wide.
  within([low, high]) {
    const [first, last] = this.whole;
    const wide = Math.min(high - low, last - first);
    if (!(wide >= 2)) return null;
    const start = Math.min(Math.max(low, first), last - wide);
    return [start, start + wide];
  }

  covers([low, high]) {
    const [first, last] = this.whole;
    return high - low >= 0.995 * (last - first);
  }

  selected(u) {
    const { left, width } = u.select;
    if (width < 4) return;
    const window = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (window[1] - window[0] >= 1) this.show(window);
  }

  // The values below the pointer, or the latest, in the legend.
  say(place) {
    const at = place ?? this.u.data[0].length - 1;
    for (const line of this.lines) {
      const values = this.u.data[this.places.get(line.key)] || [];
      let found = at;
      while (found >= 0 && (values[found] === null || values[found] === undefined)) found--;
      this.values.get(line.key).textContent = found >= 0 ? written(values[found]) : "";
    }
    this.plot.title = place === null || place === undefined ? "" : `${this.across} ${written(this.u.data[0][at])}`;
  }

  resize() {
    const width = this.plot.clientWidth;
    if (this.u && width && width !== this.u.width) this.u.setSize({ width, height: this.height });
  }

  close() {
    this.asked++;
    cancelAnimationFrame(this.waiting);
    this.sizes.disconnect();
    this.u?.destroy();
    this.u = null;
  }
}

// The window that fingers leave which were put down on `before` and are now at `now`: what lay below each lies there still.
function spread({ min, max, wide }, before, now) {
  const unit = (max - min) / wide;
  const value = before.map((one) => min + one * unit);
  const apart = now.length === 2 ? Math.abs(now[1] - now[0]) : 0;
  if (now.length === 2 && apart < 8) return [min, max]; // closer, a pixel would move everything
  const fresh = now.length === 2 ? Math.abs(value[1] - value[0]) / apart : unit;
  const low = now.length === 2 ? (value[0] + value[1]) / 2 - ((now[0] + now[1]) / 2) * fresh : value[0] - now[0] * fresh;
  return [low, low + wide * fresh];
}

// Room above and below, so that a flat curve is no edge.
function padded(u, low, high) {
  if (low === null || high === null || !isFinite(low) || !isFinite(high)) return [0, 1];
  const room = high > low ? 0.05 * (high - low) : Math.abs(high) * 0.1 || 0.5;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

function button(label, press, kind = "") {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.className = kind;
  made.addEventListener("click", press);
  return made;
}
