"use strict";
// The live page. All text of runs is set as text, never as markup.

const place = (id) => document.getElementById(id);
const view = place("view");
const items = new Map();
let order = [];
let about = { folder: "", control: false };
let shown = null; // {id, charts, close, …} of the view there is
let stream = null;
let again = 0;

// Small things

function h(tag, given = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "class") made.className = value;
    else if (name === "width") made.style.width = value;
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...inside.filter((one) => one !== null && one !== undefined && one !== ""));
  return made;
}

async function asked(path, given = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(given))
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined) query.append(name, one);
  const answer = await fetch(`/api/${path}?${query}`, { credentials: "same-origin" });
  if (answer.status === 401) location.assign("/");
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error || answer.statusText);
  return told;
}

function span(seconds) {
  if (seconds === null || seconds === undefined || !isFinite(seconds)) return "";
  if (seconds < 60) return `${seconds < 9.95 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${String(minutes % 60).padStart(2, "0")}` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function moment(text) {
  const at = new Date(text);
  return isNaN(at) ? "" : at.toLocaleString([], { dateStyle: "short", timeStyle: "short" });
}

const chip = (status) => h("span", { class: `status ${status}` }, status);
const to = (id) => `#/at/${encodeURIComponent(id)}`;
const bar = (share) => h("div", { class: "progress" }, h("i", { width: `${Math.round(1000 * Math.min(1, Math.max(0, share))) / 10}%` }));
const key = (name, where) => JSON.stringify([name, where]);

function shareOf(one) {
  if (one.kind === "study") return one.total ? (one.spent + one.under_way) / one.total : null;
  return one.steps && one.step ? one.step / one.steps : null;
}

function table(heads, rows, kind = "dense") {
  const numeric = heads.map((head) => head.startsWith("#"));
  const cell = (value, n, name = "td") => (value instanceof Node && value.tagName === "TD" ? value : h(name, { class: numeric[n] ? "n" : "" }, value ?? ""));
  const top = h("tr", {}, ...heads.map((head, n) => cell(head.replace("#", ""), n, "th")));
  const body = rows.map((row) => h("tr", {}, ...row.map((value, n) => cell(typeof value === "number" ? written(value) : value, n))));
  return h("div", { class: "scroll" }, h("table", { class: kind }, h("thead", {}, top), h("tbody", {}, ...body)));
}

function tile(name, value, small = "", first = false) {
  return h("div", { class: first ? "tile first" : "tile" }, h("div", { class: "name" }, name), h("div", { class: "value" }, value), h("div", { class: "small" }, small));
}

function section(title, ...inside) {
  return h("section", {}, h("h2", {}, title), ...inside);
}

// The stream

function connect() {
  clearTimeout(again);
  stream?.close();
  const source = new EventSource(`/api/stream?${new URLSearchParams({ wishes: JSON.stringify(shown.wishes()) })}`);
  let opened = false;
  stream = source;
  source.onopen = () => {
    say("live");
    if (opened) open(); // it was away: what was missed is read anew
    opened = true;
  };
  source.onerror = () => {
    say("lost");
    if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 5000);
  };
  source.onmessage = (event) => {
    if (stream === source) heard(JSON.parse(event.data));
  };
}

function say(state) {
  const line = place("line");
  line.className = `line-state ${state}`;
  line.textContent = { live: "live", lost: "not connected, trying again" }[state] || "connecting …";
}

function heard(message) {
  if (message.kind === "items") {
    const before = order.length;
    for (const one of message.items) items.set(one.id, one);
    if (message.order) {
      order = message.order;
      for (const id of [...items.keys()]) if (!order.includes(id) && id !== shown.id) items.delete(id);
    }
    shown.items(message.items, message.order && order.length !== before);
  } else if (message.kind === "anew") {
    if (message.id && !shown.follows(message.id)) return;
    clearTimeout(again);
    again = setTimeout(open, message.id ? 200 : 3000); // a machine that does not keep up is not asked at once again
  } else if (message.kind === "news") shown.news(message);
  else if (message.kind === "study" && message.id === shown.id) shown.study(message);
}

// The views

let opening = 0;

async function open() {
  const mine = ++opening;
  try {
    const told = await asked("items");
    about = told;
    items.clear();
    for (const one of told.items) items.set(one.id, one);
    order = told.items.map((one) => one.id);
    place("folder").textContent = told.folder;
    const wanted = location.hash.startsWith("#/at/") ? decodeURIComponent(location.hash.slice(5)) : null;
    const id = wanted ?? (order.length === 1 && order[0] === "." ? "." : null);
    const made = id === null ? await overview() : await one(id);
    if (mine !== opening) return made.close();
    shown?.close();
    shown = made;
    view.replaceChildren(...made.nodes);
    document.title = made.title;
    await Promise.all(made.charts().map((chart) => chart.show(null)));
    if (mine === opening) connect();
  } catch (error) {
    if (mine !== opening) return;
    say("lost");
    const empty = h("p", { class: "empty" }, String(error.message || error), " ", h("a", { href: "#/" }, "All runs"));
    if (!shown || location.hash !== shown.hash) view.replaceChildren(empty);
    again = setTimeout(open, 5000);
  }
}

// All runs and searches of a folder

const COMPARED = [["val_loss", "Validation loss"], ["score", "Score"], ["loss", "Loss of a batch"], ["epoch.train_loss", "Training loss, by epoch"], ["lr", "Learning rate"]];
const TOGETHER = 24; // curves in one chart
let compared = "val_loss";

async function overview() {
  const runs = () => order.map((id) => items.get(id)).filter((one) => one?.kind === "run").sort((a, b) => (b.status === "running") - (a.status === "running")).slice(0, TOGETHER);
  const head = h("p", { class: "facts" });
  const body = h("tbody");
  const heads = ["", "name", "progress", "#loss", "best", "found", "begun"];
  const list = h("div", { class: "scroll" }, h("table", { class: "dense rows" }, h("thead", {}, h("tr", {}, ...heads.map((one) => h("th", { class: one.startsWith("#") ? "n" : "" }, one.replace("#", ""))))), body));
  const rows = new Map();
  const drawn = runs(); // those that run first; a run that ends meanwhile stays
  const colours = new Map(drawn.map((one, n) => [one.id, [`c${(n % COLOURS) + 1}`, n >= COLOURS]]));
  const seen = new Map(); // row of the log that was read, by run
  let chart = null;
  const panel = h("div");
  const choice = h("select", { "aria-label": "what is compared" }, ...COMPARED.map(([name, label]) => h("option", { value: name, selected: name === compared }, label)));
  choice.addEventListener("change", () => {
    compared = choice.value;
    open();
  });

  const load = async (first, last, points) => {
    const found = new Map();
    await Promise.all(
      drawn.map(async (one) => {
        const told = await asked("curves", { id: one.id, signal: key(compared, ""), points: Math.min(points, 500), first, last }).catch(() => null);
        if (!told) return;
        seen.set(one.id, told.row);
        if (told.curves[0].steps.length) found.set(one.id, told.curves[0]);
      }),
    );
    return found;
  };
  if (drawn.length) {
    const lines = drawn.map((one) => ({ key: one.id, label: one.name, colour: colours.get(one.id)[0], dashed: colours.get(one.id)[1], points: compared !== "loss" }));
    const all = order.filter((id) => items.get(id)?.kind === "run").length;
    chart = new Chart(panel, { title: COMPARED.find(([name]) => name === compared)[1], lines, load, wide: true, note: all > TOGETHER ? `${TOGETHER} of ${all} runs: those that go on, and the newest` : "" });
  }

  const rowOf = (one) => {
    const share = shareOf(one);
    const left = one.eta_seconds ? `left ${span(one.eta_seconds)}` : "";
    const progress = one.kind === "study" ? `${one.spent} of ${one.total ?? "–"} units` : `${written(one.step)}${one.steps ? ` of ${written(one.steps)}` : ""}`;
    const best = one.kind === "study" ? one.best && `${one.metric} ${written(one.best.score)}` : one.best && `${one.best.metric ?? "score"} ${written(one.best.score)}`;
    const [hue] = colours.get(one.id) || ["c8"];
    const found = one.found ? ["error", "warning"].filter((name) => one.found[name]).map((name) => h("span", { class: `mark ${name}` }, `${one.found[name]} ${name}${one.found[name] > 1 ? "s" : ""}`)) : [`${one.trials} trials`];
    return [
      h("td", {}, chip(one.status)),
      h("td", { class: "name" }, one.kind === "run" ? h("i", { class: `key ${hue}` }) : null, h("a", { href: to(one.id) }, one.id === "." ? one.name : one.id), one.title ? h("small", { class: "under" }, one.title) : null),
      h("td", {}, progress, h("small", { class: "under" }, left), share === null ? null : bar(share)),
      h("td", { class: "n" }, one.kind === "run" ? written(one.loss) : ""),
      h("td", {}, best || ""),
      h("td", {}, ...found),
      h("td", {}, one.created ? moment(one.created) : ""),
    ];
  };
  const draw = (one) => {
    if (!rows.has(one.id)) rows.set(one.id, h("tr"));
    rows.get(one.id).replaceChildren(...rowOf(one));
  };
  const counted = () => {
    const states = {};
    for (const id of order) if (items.has(id)) states[items.get(id).status] = (states[items.get(id).status] || 0) + 1;
    head.textContent = Object.entries(states).map(([name, count]) => `${count} ${name}`).join(" · ");
  };
  order.forEach((id) => items.has(id) && draw(items.get(id)));
  body.replaceChildren(...order.map((id) => rows.get(id)).filter(Boolean));
  counted();
  const nodes = [h("h1", {}, about.folder), head];
  if (chart) nodes.push(h("section", { class: "first" }, h("div", { class: "controls" }, choice), panel));
  nodes.push(section("Runs and searches", list));
  return {
    id: null, hash: location.hash, title: `${about.folder} · Tunesmith`, nodes,
    charts: () => (chart ? [chart] : []),
    follows: (id) => seen.has(id),
    wishes: () => Object.fromEntries([...seen].map(([id, row]) => [id, { row, signals: [[compared, ""]] }])),
    items(changed, moved) {
      changed.forEach(draw);
      counted();
      if (moved) open();
    },
    news(message) {
      for (const curve of message.curves) chart?.add(message.id, curve);
    },
    study() {},
    close: () => chart?.close(),
  };
}

function one(id) {
  const kind = items.get(id)?.kind ?? "run";
  return kind === "study" ? studyView(id) : runView(id);
}

// What every view of one place begins with

function headOf(id) {
  const name = h("h1");
  const facts = h("p", { class: "facts" });
  const share = h("div");
  const buttons = h("div", { class: "buttons" });
  let asking = ""; // what was asked of it, as long as it runs
  let sure = 0;
  const press = async (how) => {
    asking = how;
    draw(items.get(id));
    try {
      const answer = await fetch("/api/stop", { method: "POST", credentials: "same-origin", headers: { "content-type": "application/json" }, body: JSON.stringify({ id, how }) });
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.error);
    } catch (error) {
      asking = "";
      draw(items.get(id));
      buttons.append(h("span", { class: "aside" }, error.message));
    }
  };
  const draw = (summary) => {
    if (!summary) return;
    const text = summary.id === "." ? summary.name : summary.id;
    name.replaceChildren(text, " ", chip(summary.status));
    const told = summary.kind === "study" ? [summary.title, `${summary.trials} trials`, `${summary.spent} of ${summary.total ?? "–"} units spent`] : [summary.title, summary.model, summary.epoch != null && `epoch ${written(summary.epoch)}${summary.epochs ? ` of ${summary.epochs}` : ""}`, summary.step && `update ${written(summary.step)}${summary.steps ? ` of ${written(summary.steps)}` : ""}`, summary.created && `begun ${moment(summary.created)}`, summary.eta_seconds && `about ${span(summary.eta_seconds)} left`, summary.status !== "running" && summary.ending && summary.ending !== summary.status && `ended: ${summary.ending}`];
    facts.textContent = told.filter(Boolean).join(" · ");
    const part = shareOf(summary);
    share.replaceChildren(...(part === null || summary.status !== "running" ? [] : [bar(part)]));
    if (summary.status !== "running") asking = "";
    if (!about.control || !summary.obeys) return buttons.replaceChildren();
    if (asking) return buttons.replaceChildren(h("span", { class: "aside" }, asking === "save" ? "asked to save and stop …" : "asked to stop …"));
    if (buttons.childElementCount) return;
    if (summary.kind === "study") return buttons.replaceChildren(button("Stop the search", () => press("save")));
    const stop = button("Stop", () => {
      if (sure) return press("stop");
      stop.textContent = "Stop without saving?";
      stop.classList.add("sure");
      sure = setTimeout(() => {
        sure = 0;
        stop.textContent = "Stop";
        stop.classList.remove("sure");
      }, 4000);
    });
    buttons.replaceChildren(button("Save and stop", () => press("save")), stop);
  };
  return { node: h("div", { class: "head" }, h("div", {}, name, facts, share), buttons), draw };
}

// One run

const MAIN = [
  { title: "Loss", lines: [["loss", "batch"], ["epoch.train_loss", "training, by epoch", true], ["val_loss", "validation", true]] },
  { title: "Score", lines: [["score", "score", true]] },
  { title: "Gradient norm", lines: [["grad_norm", "before clipping"]], logarithmic: true },
  { title: "Learning rate", lines: [["lr", "of the first group"]] },
];
const PLACES = 8; // curves of one signal in a chart
const added = new Map(); // charts that were asked for, by run

async function runView(id) {
  const told = await asked("place", { id });
  items.set(id, told.summary);
  const head = headOf(id);
  const tiles = h("div", { class: "tiles" });
  const found = h("div");
  const board = h("div", { class: "board" });
  const more = h("select", { "aria-label": "another chart" });
  const judged = h("div");
  const decided = h("div");
  const events = { evaluation: told.evaluations, finding: told.findings, decision: told.decisions };
  const names = new Map(); // places of each signal
  const charts = new Map(); // by title
  let row = told.row;
  told.signals.forEach(([name, where]) => names.set(name, [...(names.get(name) || []), where]));

  const load = (keys) => async (first, last, points) => {
    const answer = await asked("curves", { id, signal: keys, points, first, last });
    return new Map(answer.curves.filter((curve) => curve.steps.length).map((curve) => [key(curve.name, curve.where), curve]));
  };
  const make = (title, lines, rest = {}) => {
    const host = h("div");
    const chart = new Chart(host, { title, lines, load: load(lines.map((line) => line.key)), ...rest });
    charts.set(title, chart);
    board.append(host);
    return chart;
  };
  const mainCharts = () => {
    for (const { title, lines, logarithmic } of MAIN) {
      if (charts.has(title) || !lines.some(([name]) => names.get(name)?.includes(""))) continue;
      const metric = title === "Score" ? events.evaluation.at(-1)?.metric : "";
      make(metric ? `Score: ${metric}` : title, lines.map(([name, label, points], n) => ({ key: key(name, ""), label: metric || label, colour: `c${n + 1}`, points, faint: !points && lines.length > 1 })), { logarithmic });
      if (metric) charts.set("Score", charts.get(`Score: ${metric}`));
    }
  };
  const known = new Set(MAIN.flatMap(({ lines }) => lines.map(([name]) => name)));
  const asking = () => [...names].filter(([name, places]) => !known.has(name) || places.some(Boolean)).map(([name]) => name).filter((name) => !charts.has(`${name} `)).sort();
  const add = (name) => {
    const places = names.get(name).filter((where) => !known.has(name) || where);
    const some = places.slice(0, PLACES);
    const note = places.length > PLACES ? `${PLACES} of ${places.length} places` : "";
    return make(`${name} `, some.map((where, n) => ({ key: key(name, where), label: where || name, colour: `c${n + 1}` })), { note });
  };
  const offered = () => {
    const left = asking();
    more.replaceChildren(h("option", { value: "" }, left.length ? `add a chart (${left.length})` : "no other signals"), ...left.map((name) => h("option", { value: name }, names.get(name).length > 1 ? `${name}, ${names.get(name).length} places` : name)));
    more.disabled = !left.length;
  };
  more.addEventListener("change", async () => {
    if (!more.value) return;
    const name = more.value;
    added.set(id, [...(added.get(id) || []), name]);
    await add(name).show(null);
    offered();
    connect();
  });

  const summarised = () => {
    const one = items.get(id);
    const last = one.evaluation || {};
    tiles.replaceChildren(
      tile(one.best ? `best ${one.best.metric ?? "score"}` : "best score", written(one.best?.score), one.best ? `update ${written(one.best.step)}` : "not judged yet", true),
      tile("batch loss", written(one.loss), one.step ? `update ${written(one.step)}` : ""),
      tile("validation loss", written(last.val_loss), last.train_loss != null ? `training ${written(last.train_loss)}` : ""),
      tile("an epoch takes", span(last.seconds) || "–", last.memory_mb ? `${written(Math.round(last.memory_mb))} MB` : ""),
    );
  };
  const findings = (fresh = new Set()) => {
    const nodes = [...events.finding].reverse().map((one) =>
      h("div", { class: `finding ${one.severity} ${fresh.has(one.number) ? "new" : ""}` },
        h("div", {}, h("span", { class: `chip ${one.severity}` }, one.severity), " ", h("code", {}, one.fault), " ", h("small", {}, `${one.status ?? ""}${one.confidence != null ? `, confidence ${Math.round(100 * one.confidence)} %` : ""}${one.step != null ? `, update ${written(one.step)}` : ""}`)),
        h("p", {}, one.because),
        one.remedies.length ? h("ul", {}, ...one.remedies.map((remedy) => h("li", {}, `${remedy.title} `, Object.keys(remedy.change).length ? h("code", {}, Object.entries(remedy.change).map(([path, value]) => `--set ${path}=${value}`).join(" ")) : null))) : null));
    found.replaceChildren(...(nodes.length ? nodes : [h("p", { class: "aside" }, "Nothing found so far.")]));
    const loud = events.finding.filter((one) => one.severity !== "note").length;
    document.title = `${loud ? `(${loud}) ` : ""}${items.get(id).name} · Tunesmith`;
  };
  const evaluated = () => {
    const rows = [...events.evaluation].reverse().slice(0, 12).map((one) => [one.epoch, one.step, one.train_loss, one.val_loss, `${written(one.score)}${one.best ? " ★" : ""}`, one.lr, span(one.seconds)]);
    const metric = events.evaluation.at(-1)?.metric ?? "score";
    judged.replaceChildren(rows.length ? table(["#epoch", "#update", "#training", "#validation", `#${metric}`, "#rate", "#took"], rows) : h("p", { class: "aside" }, "Not judged yet."));
  };
  const decisions = () => {
    const rows = [...events.decision].reverse().slice(0, 30).map((one) => [one.step, one.what, h("td", { class: "why" }, one.because)]);
    decided.replaceChildren(rows.length ? table(["#update", "what", "because"], rows) : h("p", { class: "aside" }, "None so far."));
  };
  mainCharts();
  for (const name of added.get(id) || []) if (names.has(name)) add(name);
  offered();
  head.draw(told.summary);
  summarised();
  findings();
  evaluated();
  decisions();
  const title = document.title;
  const unique = () => [...new Set(charts.values())];
  const keysOf = () => unique().flatMap((chart) => chart.lines.map((line) => JSON.parse(line.key)));
  return {
    id, hash: location.hash, title,
    nodes: [head.node, tiles, section("Findings", found), section("Curves", board, h("div", { class: "controls" }, more), h("p", { class: "aside" }, "Drag across a chart, or spread two fingers on it, to look closer; twice a click for the whole. The band is lowest to highest, the line the mean.")), h("section", {}, h("div", { class: "board" }, h("div", {}, h("h2", {}, "Evaluations"), judged), h("div", {}, h("h2", {}, "Decisions"), decided)))],
    charts: unique,
    follows: (other) => other === id,
    wishes: () => ({ [id]: { row, signals: keysOf(), events: true } }),
    items(changed) {
      const mine = changed.find((one) => one.id === id);
      if (!mine) return;
      items.set(id, mine);
      head.draw(mine);
      summarised();
    },
    news(message) {
      if (message.id !== id) return;
      row = message.row;
      for (const curve of message.curves) for (const chart of unique()) chart.add(key(curve.name, curve.where), curve);
      const fresh = new Set();
      for (const event of message.events) {
        const held = events[event.kind];
        if (!held || held.some((one) => one.number === event.number)) continue;
        held.push(event);
        if (held.length > 200) held.shift();
        fresh.add(event.number);
      }
      if (fresh.size) {
        findings(fresh);
        evaluated();
        decisions();
      }
      const before = charts.size;
      let grown = false;
      for (const [name, where] of message.names)
        if (!names.get(name)?.includes(where)) {
          names.set(name, [...(names.get(name) || []), where]);
          grown = true;
        }
      if (grown) {
        mainCharts();
        offered();
        if (charts.size !== before) Promise.all(unique().map((chart) => chart.u || chart.show(null))).then(connect);
      }
    },
    study() {},
    close: () => unique().forEach((chart) => chart.close()),
  };
}

// One search

async function studyView(id) {
  const told = await asked("place", { id });
  items.set(id, told.summary);
  const head = headOf(id);
  const tiles = h("div", { class: "tiles" });
  const body = h("div");
  let now = told;
  const parts = { far: h("div"), curves: h("div") };
  const soFar = () => {
    const points = now.so_far.filter(([, score]) => score !== null);
    const steps = points.map(([units]) => units);
    const mean = points.map(([, score]) => score);
    if (steps.length && now.summary.spent > steps.at(-1)) {
      steps.push(now.summary.spent);
      mean.push(mean.at(-1));
    }
    return { steps, mean };
  };
  const lines = () => now.curves.slice(0, 2 * COLOURS).map((one, n) => ({ key: String(one.trial), label: `trial ${one.trial}${one.running ? " …" : ""}`, colour: `c${(n % COLOURS) + 1}`, dashed: one.running, points: true }));
  const curvesNow = () => new Map(now.curves.map((one) => [String(one.trial), { steps: one.scores.map(([unit]) => unit), mean: one.scores.map(([, score]) => score) }]));
  const metric = () => now.summary.metric;
  const far = new Chart(parts.far, { title: `Best ${metric()} so far, by units spent`, lines: [{ key: "best", label: "best", colour: "c1", points: true, stepped: true }], load: async () => new Map([["best", soFar()]]), across: "unit" });
  const trials = new Chart(parts.curves, { title: `Trials: ${metric()} by unit`, lines: lines(), load: async () => curvesNow(), across: "unit", note: "the best trials, and those that run (dashed)" });
  const rowsOf = (rows) => rows.map((one) => [
    one.run ? h("td", { class: "n" }, h("a", { href: to(`${id}/trials/${one.trial}`) }, String(one.trial))) : one.trial,
    h("td", {}, chip(one.state)), one.upto ? `${one.units} of ${one.upto}` : one.units, one.score, ...now.parameters.map((name) => one.config[name]),
  ]);
  const heads = () => ["#trial", "state", "#units", `#${metric()}`, ...now.parameters.map((name) => `#${name}`)];
  const draw = () => {
    const one = now.summary;
    items.set(id, one);
    head.draw(one);
    const states = Object.entries(one.states).filter(([, count]) => count);
    tiles.replaceChildren(
      tile(`best ${one.metric}`, written(one.best?.score), one.best ? `trial ${one.best.trial}, ${one.best.units} units` : "no score yet", true),
      tile("spent", written(one.spent + one.under_way), `of ${one.total ?? "–"} units, ${one.max_budget} a full training`),
      tile("trials", written(one.trials), states.map(([name, count]) => `${count} ${name}`).join(", ")),
      tile("sampler", typeof now.sampler === "string" ? now.sampler : "own", typeof now.budget === "string" ? `scheme ${now.budget}` : ""),
    );
    trials.lines = lines();
    trials.labelled();
    trials.curves = curvesNow();
    trials.draw(true);
    far.curves = new Map([["best", soFar()]]);
    far.draw();
    const best = one.best ? table(["setting", "value"], Object.entries(one.best.config).filter(([, value]) => value !== null).map(([name, value]) => [h("td", {}, h("code", {}, name)), typeof value === "number" ? written(value) : String(value)])) : h("p", { class: "aside" }, "No trial has a score yet.");
    body.replaceChildren(
      section("Best configuration", best),
      ...(now.running.length ? [section("Running", table(heads(), rowsOf(now.running)))] : []),
      section("Best trials", now.rows.length ? table(heads(), rowsOf(now.rows)) : h("p", { class: "aside" }, "None yet.")),
      ...(now.ended.length ? [section("Ended before their time, the latest first", table(["#trial", "state", "why", "#units", `#${metric()}`], now.ended.map((row) => [row.trial, h("td", {}, chip(row.state)), h("td", { class: "why" }, row.reason), row.units, row.score])))] : []),
      ...(now.reasons.length ? [section("Why trials ended", table(["state", "why", "#trials"], now.reasons.map(([state, why, count]) => [h("td", {}, chip(state)), h("td", { class: "why" }, why), count])))] : []),
    );
  };
  draw();
  return {
    id, hash: location.hash, title: `${told.summary.name} · Tunesmith`,
    nodes: [head.node, tiles, h("section", {}, h("div", { class: "board" }, parts.far, parts.curves)), body],
    charts: () => [far, trials],
    follows: (other) => other === id,
    wishes: () => ({ [id]: {} }),
    items(changed) {
      const mine = changed.find((one) => one.id === id);
      if (mine) head.draw(mine);
    },
    news() {},
    study(message) {
      now = message;
      draw();
    },
    close() {
      far.close();
      trials.close();
    },
  };
}

window.addEventListener("hashchange", open);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown?.charts().forEach((chart) => chart.u && chart.draw(true)));
open();
