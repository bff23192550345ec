
"use strict";

// -- what is known ----------------------------------------------------------------------------------------------------

const byId = id => document.getElementById(id);
let record = JSON.parse(byId("recording").textContent);
const live = record === null;
record ??= { run: null, epochs: [], points: [], snapshots: [], end: null };
let lost = false;      // the server does not answer
let pinned = null;     // the index of the snapshot that was chosen; null follows the latest one
let hovered = null;    // the epochs done under the pointer

const xNow = () => Math.max(record.points.at(-1)?.[0] ?? 0, record.epochs.at(-1)?.epoch ?? 0, record.snapshots.at(-1)?.x ?? 0);
const xCursor = () => hovered ?? (pinned === null ? xNow() : record.snapshots[pinned].x);
const lastUntil = (items, x, at) => {
  let low = 0, high = items.length;
  while (low < high) { const middle = (low + high) >> 1; if (at(items[middle]) <= x + 1e-9) low = middle + 1; else high = middle; }
  return low - 1;
};
const chosen = () => {
  if (!record.snapshots.length) return -1;
  if (hovered === null) return pinned ?? record.snapshots.length - 1;
  return Math.max(lastUntil(record.snapshots, hovered, s => s.x), 0);
};

// -- text -------------------------------------------------------------------------------------------------------------

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const power = n => "10" + [...String(n)].map(c => SUPERSCRIPTS[c]).join("");
const minus = text => text.replace("-", "−");
const number = v => {
  if (v === null || v === undefined) return "–";
  if (v === 0) return "0";
  const size = Math.abs(v);
  if (size >= 1e-3 && size < 1e5) return minus(String(Number(v.toPrecision(3))));
  const [digits, exponent] = v.toExponential(1).split("e");
  const factor = Number(digits) === 1 ? "" : minus(String(Number(digits))) + " × ";
  return factor + power(Number(exponent));
};
const percent = (v, digits = 1) => v === null || v === undefined ? "–" : (100 * v).toFixed(digits) + " %";
const duration = s => {
  if (s < 60) return s.toFixed(1) + " s";
  const all = Math.round(s), m = Math.floor(all / 60) % 60, h = Math.floor(all / 3600);
  return (h ? h + " h " : "") + m + " min" + (h ? "" : " " + all % 60 + " s");
};
const count = v => v.toLocaleString("en");

// -- elements ---------------------------------------------------------------------------------------------------------

const build = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children.filter(child => child !== null));
  return element;
};
const h = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);
const s = (tag, attributes = {}, ...children) => build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const label = (x, y, text, anchor = "middle", css = null) => s("text", { x, y, "text-anchor": anchor, class: css }, text);

// -- axes -------------------------------------------------------------------------------------------------------------

const linearTicks = (low, high, most) => {
  const rough = (high - low) / most || 1, unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(m => m * unit >= rough * 0.999) * unit, ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
};
const logTicks = (low, high, most) => {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9), decades = [];
  const every = Math.max(1, Math.ceil((last - first + 1) / most));
  if (last - first < 1 || last - first < 2 && most > 4) {
    for (let e = first - 1; e <= last; e++) for (const m of [1, 2, 5]) { const v = m * 10 ** e; if (v >= low * 0.999 && v <= high * 1.001) decades.push(v); }
    if (decades.length > 1) return decades;
    return linearTicks(low, high, most);
  }
  for (let e = first; e <= last; e += every) decades.push(10 ** e);
  return decades;
};

// A chart of lines over the epochs. `series()` gives objects of name, css, points ([x, y], y null where there is none) and dots.
class Chart {
  constructor(host, { title, unit, log = false, format = number, tick = format, domain = null, guide = null, series }) {
    Object.assign(this, { title, unit, log, format, tick, domain, guide, series });
    this.key = h("ul", { class: "key" });
    this.svg = s("svg", { role: "img", height: 210 });
    host.append(h("figure", {}, h("figcaption", {}, title, h("span", {}, unit ? ", " + unit : "")), this.key, this.svg));
    follow(this.svg, () => this.scale);
  }

  draw() {
    const width = this.svg.clientWidth || 360, height = 210, left = 46, right = 10, top = 8, bottom = 38;
    const lines = this.series(), usable = y => y !== null && y !== undefined && (!this.log || y > 0);
    const ys = lines.flatMap(line => line.points.map(p => p[1]).filter(usable));
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    let low = ys.reduce((a, b) => Math.min(a, b), Infinity), high = ys.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!ys.length) [low, high] = this.log ? [0.1, 1] : [0, 1];
    if (this.guide && ys.length) { low = Math.min(low, this.guide); high = Math.max(high, this.guide); }
    if (this.domain) [low, high] = this.domain(low, high);
    else if (this.log) [low, high] = low === high ? [low / 2, high * 2] : [low * (low / high) ** 0.06, high * (high / low) ** 0.06];
    const t = this.log ? Math.log : v => v, xEnd = Math.max(xNow(), 1e-3);
    const px = x => left + (width - left - right) * x / xEnd;
    const py = y => top + (height - top - bottom) * (1 - (t(y) - t(low)) / (t(high) - t(low) || 1));
    this.scale = { left, right: width - right, xEnd, width };
    const parts = [];
    for (const y of (this.log ? logTicks : linearTicks)(low, high, 5)) {
      parts.push(s("path", { class: "grid", d: `M${left} ${py(y)}H${width - right}` }), label(left - 6, py(y) + 4, this.tick(y), "end"));
    }
    for (const x of linearTicks(0, xEnd, 6)) parts.push(label(px(x), height - bottom + 16, number(x)));
    parts.push(s("path", { class: "axis", d: `M${left} ${height - bottom}H${width - right}` }));
    parts.push(label((left + width - right) / 2, height - 4, "epochs"));
    if (this.guide) parts.push(s("path", { class: "guide", d: `M${left} ${py(this.guide)}H${width - right}` }));
    const cursor = xCursor(), keys = [], said = [];
    for (const line of lines) {
      const points = line.points.filter(p => usable(p[1]));
      const d = points.map((p, i) => `${i ? "L" : "M"}${px(p[0]).toFixed(1)} ${py(p[1]).toFixed(1)}`).join("");
      if (points.length) parts.push(s("path", { class: `series ${line.css} ${line.thin ? "thin" : ""}`, d }));
      if (points.length && points.length <= (line.dots ? 50 : 1)) {
        for (const p of points) parts.push(s("circle", { class: `dot ${line.css}`, cx: px(p[0]).toFixed(1), cy: py(p[1]).toFixed(1), r: 2.6 }));
      }
      const value = line.points[lastUntil(line.points, cursor, p => p[0])]?.[1];
      const text = this.format(value);
      keys.push(h("li", { class: line.css }, h("i", {}), line.name + " ", h("b", {}, text)));
      said.push(`${line.name} ${text}`);
    }
    parts.push(s("path", { class: "cursor", d: `M${px(Math.min(cursor, xEnd))} ${top}V${height - bottom}` }));
    this.svg.replaceChildren(...parts);
    this.key.replaceChildren(...keys);
    const where = this.log ? ", logarithmic" : "";
    this.svg.setAttribute("aria-label", `${this.title}${this.unit ? " (" + this.unit + ")" : ""} over the epochs${where}. At epoch ${number(cursor)}: ${said.join(", ")}.`);
  }
}

// The distribution of a layer's values over the course of the run, and at one moment. `get(layer)` gives {low, high, counts} of a
// snapshot's layer, in the coordinate that is drawn, or null.
class Heat {
  constructor(host, { css, title, range, ticks, get, note, unit }) {
    Object.assign(this, { css, range, ticks, get, note, title });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.svg = s("svg", { role: "img", height: 190 });
    this.key = h("ul", { class: "key" });
    const swatch = h("span", { class: `swatch ${css}` });
    host.append(h("figure", {}, h("figcaption", {}, swatch, title, h("span", {}, ", " + unit)), this.key, h("div", {}, this.canvas, this.svg)));
    follow(this.svg, () => this.scale);
  }

  draw(heat) {
    const width = this.svg.clientWidth || 480, height = 190, left = 46, top = 6, bottom = 38, right = 10;
    const side = Math.max(70, width * 0.24), end = width - right - side - 12;
    const items = record.snapshots.map(this.get), [low, high] = this.range(items.filter(item => item));
    const xEnd = Math.max(xNow(), 1e-3), px = x => left + (end - left) * x / xEnd;
    const py = y => top + (height - top - bottom) * (1 - (y - low) / (high - low));
    this.scale = { left, right: end, xEnd, width };
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    if (heat) this.paint(items, low, high, { left, top, width: end - left, height: height - top - bottom, px });
    const parts = [];
    for (const [y, text] of this.ticks(low, high)) {
      parts.push(label(left - 6, py(y) + 4, text, "end"), s("path", { class: "grid", d: `M${end + 12} ${py(y)}H${width - right}` }));
    }
    for (const x of linearTicks(0, xEnd, 5)) parts.push(label(px(x), height - bottom + 16, number(x)));
    parts.push(s("path", { class: "axis", d: `M${left} ${top}V${height - bottom}H${end}M${end + 12} ${top}V${height - bottom}` }));
    parts.push(label((left + end) / 2, height - 4, "epochs"), label(end + 12 + side / 2, height - bottom + 16, "share"));
    const index = chosen(), now = items[index], first = items[0];
    const most = Math.max(...[now, first].filter(item => item).map(item => Math.max(...item.counts.map(c => c / item.total))), 1e-9);
    const shape = (item, closed) => {
      const step = (item.high - item.low) / item.counts.length, x = c => (end + 12 + (side - 2) * c / item.total / most).toFixed(1);
      const inside = item.counts.map((c, i) => [c, item.low + i * step]).filter(([, y]) => y + step > low && y < high);
      const d = inside.map(([c, y]) => `L${x(c)} ${py(y).toFixed(1)}V${py(y + step).toFixed(1)}`).join("");
      const ends = [inside[0]?.[1] ?? low, (inside.at(-1)?.[1] ?? low) + step];
      return closed ? `M${end + 12} ${py(ends[0])}${d}H${end + 12}Z` : d.replace("L", "M");
    };
    if (now) parts.push(s("path", { class: `area ${this.css}`, d: shape(now, true) }));
    if (first && index > 0) parts.push(s("path", { class: "first", d: shape(first, false) }));
    if (index >= 0) parts.push(s("path", { class: "cursor", d: `M${px(record.snapshots[index].x)} ${top}V${height - bottom}` }));
    this.svg.replaceChildren(...parts);
    const notes = now ? this.note(now) : [];
    this.key.replaceChildren(...notes.map(([name, text]) => h("li", {}, name + " ", h("b", {}, text))));
    this.svg.setAttribute("aria-label", `${this.title}: distribution over the epochs. ` +
      (now ? `At epoch ${number(record.snapshots[index].x)}: ${notes.map(note => note.join(" ")).join(", ")}.` : ""));
  }

  // One pixel per row of the picture and per column of the screen; the browser stretches it.
  paint(items, low, high, { left, top, width, height, px }) {
    const rows = 60, columns = Math.max(Math.round(width), 1), canvas = this.canvas, image = new ImageData(columns, rows);
    const ink = getComputedStyle(document.body).getPropertyValue("--heat").trim().split(" ").map(Number);
    Object.assign(canvas, { width: columns, height: rows });
    Object.assign(canvas.style, { left: left + "px", top: top + "px", width: width + "px", height: height + "px" });
    const column = new Uint8ClampedArray(rows);
    items.forEach((item, i) => {
      if (!item) return;
      const peak = item.counts.reduce((a, b) => Math.max(a, b), 1), bins = item.counts.length;
      for (let row = 0; row < rows; row++) {
        const y = high - (row + 0.5) / rows * (high - low), bin = Math.floor((y - item.low) / (item.high - item.low) * bins);
        column[row] = 255 * Math.sqrt((item.counts[bin] ?? 0) / peak);
      }
      const x = i ? Math.round(px(record.snapshots[i].x) - left) : 0;
      const next = i + 1 < items.length ? Math.round(px(record.snapshots[i + 1].x) - left) : columns;
      for (let row = 0; row < rows; row++) {
        for (let c = Math.min(x, columns - 1), end = Math.max(next, c + 1); c < end; c++) {
          const at = 4 * (row * columns + c);
          image.data[at] = ink[0]; image.data[at + 1] = ink[1]; image.data[at + 2] = ink[2]; image.data[at + 3] = column[row];
        }
      }
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
}

// The pointer over a chart chooses a moment for all of them.
const follow = (svg, scale) => {
  svg.addEventListener("pointermove", event => {
    if (!scale()) return;
    const box = svg.getBoundingClientRect(), { left, right, xEnd, width } = scale();
    const x = (event.clientX - box.left) * width / box.width;
    hovered = x > right + 4 ? null : Math.min(Math.max((x - left) / (right - left), 0), 1) * xEnd;
    redraw(false);
  });
  svg.addEventListener("pointerleave", () => { hovered = null; redraw(false); });
};

// -- the parts of the page --------------------------------------------------------------------------------------------

let charts = [], heats = [];
const css = i => "l" + (record.run.layers.length <= 6 ? Math.round(i * 5 / Math.max(record.run.layers.length - 1, 1)) : i % 6);
const ofLayers = get => () => record.run.layers.map((layer, i) => (
  { name: layer.name, css: css(i), points: record.snapshots.map(snapshot => [snapshot.x, get(snapshot.layers[i], layer)]) }
)).filter(line => line.points.length === 0 || line.points.some(p => p[1] !== undefined));

function setUp() {
  const { run } = record, curves = byId("curves"), layers = byId("layers"), histograms = byId("histograms");
  for (const host of [curves, layers, histograms]) host.replaceChildren();
  byId("title").textContent = `${run.data}, ${run.sizes.join("-")}`;
  const options = { parameters: count(run.parameters), epochs: run.epochs, ...run.options, "micrograd-plus": run.version };
  byId("options").replaceChildren(...Object.entries(options).map(([name, value]) =>
    h("div", {}, h("dt", {}, name.replace("_", " ")), h("dd", {}, value === true ? "yes" : value === false ? "no" : String(value)))));
  byId("layers-prose").textContent =
    `Measured on ${run.probe} training images, the same throughout, without dropout. A unit is dead where it gives the same output for all of them. ` +
    "The update-to-weight ratio is the size of the change that one step makes to a layer's weights, divided by the size of the weights; about 0.001, the dashed line, is a common aim.";
  byId("tiny").textContent = `gradients under ${power(run.bins.lowest)}`;
  const pair = (point, epoch, held) => () => [
    { name: "batches", css: "thin", thin: true, points: record.points.map(p => [p[0], p[point]]) },
    { name: "training", css: "train", dots: true, points: record.epochs.map(e => [e.epoch, e[epoch]]) },
    { name: "validation", css: "valid", dots: true, points: record.epochs.map(e => [e.epoch, e[held]]) },
  ];
  charts = [
    new Chart(curves, { title: "Loss", unit: "cross-entropy, nats", log: true, series: pair(1, "loss", "validation_loss") }),
    new Chart(curves, { title: "Accuracy", unit: "share that is right", format: percent, tick: y => percent(y, 0),
      domain: low => [Math.min(Math.floor(low * 10) / 10, 0.9), 1], series: pair(2, "accuracy", "validation_accuracy") }),
    new Chart(curves, { title: "Learning rate", unit: "", domain: (low, high) => [0, high * 1.08 || 1],
      series: () => [{ name: "lr", css: "rate", points: [...record.points.map(p => [p[0], p[3]]), ...record.epochs.map(e => [e.epoch, e.lr])].sort((a, b) => a[0] - b[0]) }] }),
    new Chart(layers, { title: "Gradient", unit: "root mean square", log: true, series: ofLayers(layer => layer.gradients[0]) }),
    new Chart(layers, { title: "Update-to-weight ratio", unit: "per step", log: true, guide: 1e-3, series: ofLayers(layer => layer.ratio) }),
    new Chart(layers, { title: "Dead units", unit: "share of a layer's", format: percent, tick: y => percent(y, 0), domain: (low, high) => [0, Math.max(high * 1.1, 0.05)],
      series: ofLayers((layer, { units }) => units === null ? undefined : layer.dead / units) }),
  ];
  heats = run.layers.flatMap((layer, i) => [
    new Heat(histograms, {
      css: css(i), title: `${layer.name}, weights`, unit: "value",
      get: snapshot => { const [m, sd, counts] = snapshot.layers[i].weights; return m ? { low: -m, high: m, m, sd, counts, total: sum(counts) } : null; },
      range: items => { const m = Math.max(...items.map(item => item.m), 1e-6); return [-m, m]; },
      ticks: (low, high) => linearTicks(low, high, 5).map(y => [y, number(y)]),
      note: item => [["standard deviation", number(item.sd)], ["largest", number(item.m)]],
    }),
    new Heat(histograms, {
      css: css(i), title: `${layer.name}, gradients`, unit: "size, logarithmic",
      get: snapshot => { const [rms, zeros, counts] = snapshot.layers[i].gradients; return { low: run.bins.lowest, high: run.bins.highest, rms, zeros, counts, total: sum(counts) || 1 }; },
      range: items => {
        const step = items.length ? (items[0].high - items[0].low) / items[0].counts.length : 1;
        const used = items.flatMap(item => item.counts.flatMap((c, k) => c > item.total / 100 ? [item.low + k * step, item.low + (k + 1) * step] : []));
        return used.length ? [Math.floor(Math.min(...used)), Math.ceil(Math.max(...used))] : [-6, 0];
      },
      ticks: (low, high) => linearTicks(low, high, 6).filter(Number.isInteger).map(y => [y, power(y)]),
      note: item => [["root mean square", number(item.rms)], [`under ${power(run.bins.lowest)}`, percent(item.zeros)]],
    }),
  ]);
  byId("samples").replaceChildren(...run.images.map((pixels, i) => {
    const [rows, columns] = run.image, canvas = h("canvas", { width: columns, height: rows, role: "img", "aria-label": `image of ${run.classes[run.labels[i]]}` });
    const image = new ImageData(columns, rows);
    pixels.forEach((v, k) => image.data.set([255 - v, 255 - v, 255 - v, 255], 4 * k));
    canvas.getContext("2d").putImageData(image, 0, 0);
    return h("li", {}, canvas, s("svg", { "aria-hidden": "true", viewBox: `0 0 ${18 * run.classes.length} 76` }), h("p", {}));
  }));
}

const sum = values => values.reduce((a, b) => a + b, 0);

function drawTiles() {
  const { run, epochs, points, end } = record, point = points.at(-1), epoch = epochs.at(-1);
  const seconds = Math.max(point?.[4] ?? 0, record.snapshots.at(-1)?.seconds ?? 0), x = xNow();
  const left = !end && x > 0 ? `about ${duration(seconds / x * (run.epochs - x))} left` : "of training";
  const tiles = [
    ["training loss", number(epoch?.loss ?? point?.[1]), epoch ? "in the last epoch" : "last batches"],
    ["training accuracy", percent(epoch?.accuracy ?? point?.[2]), epoch ? "in the last epoch" : "last batches"],
    ["validation loss", number(epoch?.validation_loss), "after the last epoch"],
    ["validation accuracy", percent(epoch?.validation_accuracy), "after the last epoch"],
    end && end.accuracy !== null ? ["test accuracy", percent(end.accuracy, 2), `loss ${number(end.loss)}`] : ["learning rate", number(point?.[3]), "now"],
    ["time", duration(seconds), left],
  ];
  byId("tiles").replaceChildren(...tiles.map(([name, value, note]) => h("div", {}, h("dt", {}, name), h("dd", {}, value), h("dd", {}, note))));
}

let spoken = 0;
function drawState() {
  const { run, epochs, end } = record, done = epochs.at(-1)?.epoch ?? 0, state = byId("state");
  let text = "loading the data", css = "waiting";
  if (run) [text, css] = [`training: epoch ${Math.min(done + 1, run.epochs)} of ${run.epochs}`, "running"];
  if (run && done === run.epochs) text = "trained; testing and drawing";
  if (end?.status === "finished") [text, css] = [`finished: ${done} of ${run?.epochs ?? 0} epochs. ${end.message}`, "finished"];
  else if (end) [text, css] = [`${end.status} after ${done} of ${run?.epochs ?? 0} epochs${end.message ? ": " + end.message : ""}`, "failed"];
  else if (lost) [text, css] = ["connection lost; trying again", "lost"];
  byId("progress").value = run ? xNow() / run.epochs : 0;
  document.title = `${run ? run.data + ", " : ""}${end ? end.status : run ? `epoch ${done}/${run.epochs}` : "starting"} · micrograd-plus`;
  // A screen reader speaks each change: not of every epoch of a fast run.
  if (css !== state.className || Date.now() - spoken > 5000) state.setAttribute("aria-live", "polite"), spoken = Date.now();
  else state.setAttribute("aria-live", "off");
  if (state.textContent !== text) state.textContent = text;
  state.className = css;
}

function drawMoment() {
  const { run, snapshots } = record, index = chosen(), snapshot = snapshots[index], slider = byId("moment");
  slider.max = Math.max(snapshots.length - 1, 0);
  slider.value = Math.max(index, 0);
  slider.disabled = snapshots.length < 2;
  byId("latest").setAttribute("aria-pressed", pinned === null);
  if (!snapshot) return;
  const text = `epoch ${snapshot.x.toFixed(2)}, step ${count(snapshot.step)}, after ${duration(snapshot.seconds)}`;
  byId("moment-text").textContent = text;
  slider.setAttribute("aria-valuetext", text);
  byId("table-layers").replaceChildren(...run.layers.map((layer, i) => {
    const { weights, gradients, ratio, dead } = snapshot.layers[i];
    const cells = [number(weights[1]), number(gradients[0]), percent(gradients[1]), number(ratio), layer.units === null ? "–" : `${dead} of ${layer.units}`];
    return h("tr", {}, h("th", { scope: "row" }, h("span", { class: `swatch ${css(i)}` }), layer.name), ...cells.map(text => h("td", {}, text)));
  }));
  [...byId("samples").children].forEach((item, i) => {
    const shares = snapshot.samples[i], top = shares.indexOf(Math.max(...shares)), label_ = run.labels[i], right = top === label_;
    const bars = shares.map((share, k) => s("g", {},
      s("rect", { class: k === top ? "bar top" : "bar", x: 18 * k + 3, width: 12, y: 52 - share / 20, height: Math.max(share / 20, 0.5) }),
      label(18 * k + 9, 65, run.classes[k], "middle", k === top ? "said" : null),
      k === label_ ? s("circle", { class: "true", cx: 18 * k + 9, cy: 72, r: 2.5 }) : null));
    item.className = right ? "right" : "wrong";
    item.querySelector("svg").replaceChildren(...bars);
    item.querySelector("p").replaceChildren(`true ${run.classes[label_]}, predicted `, h("b", {}, `${run.classes[top]} ${right ? "✓" : "✗"}`), ` with ${percent(shares[top] / 1000)}`);
  });
}

function drawEpochs() {
  const body = byId("table-epochs"), { epochs } = record;
  if (body.rows.length > epochs.length || body.rows[0] && Number(body.rows[0].dataset.epoch) !== epochs[0].epoch) body.replaceChildren();
  for (const e of epochs.slice(body.rows.length)) {
    const cells = [e.loss.toFixed(4), percent(e.accuracy, 2), e.validation_loss.toFixed(4), percent(e.validation_accuracy, 2), number(e.lr), e.seconds.toFixed(2)];
    body.append(h("tr", { "data-epoch": e.epoch }, h("th", { scope: "row" }, String(e.epoch)), ...cells.map(text => h("td", {}, text))));
  }
}

let waiting = null;
function redraw(heat) {
  if (waiting) { waiting.heat ||= heat; return; }
  waiting = { heat };
  requestAnimationFrame(() => {
    const { heat } = waiting;
    waiting = null;
    drawState();
    if (!record.run) return;
    if (!charts.length) setUp();
    if (heat) { drawTiles(); drawEpochs(); }
    charts.forEach(chart => chart.draw());
    heats.forEach(chart => chart.draw(heat));
    drawMoment();
  });
}

byId("moment").addEventListener("input", event => {
  pinned = Number(event.target.value);
  if (pinned === record.snapshots.length - 1) pinned = null;
  redraw(false);
});
byId("latest").addEventListener("click", () => { pinned = hovered = null; redraw(false); });
addEventListener("resize", () => redraw(true));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(true));
redraw(true);

if (live) {
  const events = new EventSource("events");
  events.addEventListener("message", event => {
    const news = JSON.parse(event.data);
    const x = pinned === null ? null : record.snapshots[pinned].x;
    for (const name of ["epochs", "points", "snapshots"]) record[name] = news.all ? news[name] : record[name].concat(news[name]);
    record.run = news.run ?? record.run;
    record.end = news.end;
    if (x !== null) pinned = Math.max(lastUntil(record.snapshots, x, s => s.x), 0);
    if (record.snapshots.length === 0) pinned = null;
    if (record.end) events.close();
    lost = false;
    redraw(true);
  });
  events.addEventListener("error", () => { lost = !record.end; redraw(false); });
}
