"use strict";
// Shows the values below the pointer on every chart that carries its numbers.
for (const svg of document.querySelectorAll("svg[data-hover]")) {
  const data = JSON.parse(svg.dataset.hover);
  const figure = svg.closest("figure");
  if (!figure || !data.series.length) continue;
  const rule = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const tip = document.createElement("div");
  rule.setAttribute("class", "rule");
  rule.setAttribute("y1", data.top);
  rule.setAttribute("y2", data.bottom);
  tip.className = "tip";
  tip.hidden = true;
  figure.append(tip);
  for (const title of svg.querySelectorAll(".pin title")) title.remove(); // their words are shown below

  const nearest = (values, wanted) => {
    let best = 0;
    for (let i = 1; i < values.length; i++) if (Math.abs(values[i] - wanted) < Math.abs(values[best] - wanted)) best = i;
    return best;
  };
  const written = (value) => (Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4))));

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const across = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const wanted = data.low + ((across - data.start) / (data.end - data.start)) * (data.high - data.low);
    const found = data.series.filter((one) => one.x.length).map((one) => [one, nearest(one.x, wanted)]);
    if (!found.length) return;
    const at = found.map(([one, i]) => one.x[i]).reduce((a, b) => (Math.abs(b - wanted) < Math.abs(a - wanted) ? b : a));
    const x = data.start + ((at - data.low) / (data.high - data.low)) * (data.end - data.start);
    rule.setAttribute("x1", x);
    rule.setAttribute("x2", x);
    svg.append(rule);
    tip.replaceChildren(document.createTextNode(`${data.label} ${written(at)}`));
    for (const [one, i] of found) {
      const line = document.createElement("div");
      line.className = `c${one.colour}`;
      line.textContent = `${one.name} ${written(one.y[i])}`;
      tip.append(line);
    }
    for (const [place, number, severity, said] of data.pins || []) {
      const pin = data.start + ((place - data.low) / (data.high - data.low)) * (data.end - data.start);
      if (Math.abs(Math.min(Math.max(pin, data.start), data.end) - across) > 8) continue;
      const line = document.createElement("div");
      line.className = `said ${severity}`;
      line.textContent = `${number} ${said}`;
      tip.append(line);
    }
    tip.hidden = false;
    const left = box.left - figure.getBoundingClientRect().left + (x / svg.viewBox.baseVal.width) * box.width;
    tip.style.left = left > box.width / 2 ? `${left - tip.offsetWidth - 12}px` : `${left + 12}px`;
    tip.style.top = `${box.top - figure.getBoundingClientRect().top + 16}px`;
  });
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true;
    rule.remove();
  });
}

// Sorts and filters the samples of a check.
const form = document.getElementById("controls");
if (form) {
  const cards = document.getElementById("cards");
  const all = [...cards.children];
  const field = (name) => document.getElementById(name);
  const show = () => {
    const by = field("sort").value;
    const value = (card) => (by === "label" ? card.dataset.label : Number(card.dataset[by]));
    const up = by === "label" || by === "suspicion" || by === "row" ? 1 : -1;
    const compare = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * up;
    let count = 0;
    for (const card of all) {
      const data = card.dataset;
      const kept =
        (!field("by-label").value || data.label === field("by-label").value) &&
        (!field("by-fault").value || data.found.split(" ").includes(field("by-fault").value)) &&
        (!field("wrong").checked || data.wrong === "1") &&
        (field("least").value === "" || Number(data.loss) >= Number(field("least").value)) &&
        (field("shortest").value === "" || Number(data.size) >= Number(field("shortest").value));
      card.hidden = !kept;
      count += kept;
    }
    cards.replaceChildren(...all.sort(compare));
    field("count").textContent = `${count} of ${all.length} rows`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
}
