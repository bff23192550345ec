// Arrays of the page: their numbers, as text and as colours.

async function unpacked(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// Each described array with its numbers: {shape, dtype, rows, cols, total: [rows, cols] of all elements, values, min, max, mean, top, bad}.
function readArrays(described, f4, f8) {
  const kinds = {f4: {numbers: f4, start: 0}, f8: {numbers: f8, start: 0}};
  return described.map(([shape, dtype, kind, rows, cols, min, max, mean, top, bad]) => {
    const of = kinds[kind], values = of.numbers.subarray(of.start, of.start += rows * cols);
    const size = shape.reduce((a, b) => a * b, 1), last = shape.length ? shape.at(-1) : 1;
    const array = {shape, dtype, kind, rows, cols, total: [last ? size / last : 0, last], values, size, sampled: rows * cols < size};
    if (array.sampled) Object.assign(array, {min, max, mean, top, bad});
    else Object.assign(array, statistics(values));
    return array;
  });
}

function statistics(values) {
  let min = null, max = null, sum = 0, bad = 0;
  for (const x of values) {
    if (!Number.isFinite(x)) { bad++; continue; }
    if (min === null || x < min) min = x;
    if (max === null || x > max) max = x;
    sum += x;
  }
  const count = values.length - bad;
  return {min, max, mean: count ? sum / count : null, top: count ? Math.max(Math.abs(min), Math.abs(max)) : null, bad};
}

// The index of a kept element among all: Python's `spaced`.
const spaced = (i, kept, total) => kept >= total ? i : Math.floor(i * ((total - 1) / Math.max(kept - 1, 1)) + 0.5);

function indexOf(array, row, col) {
  let flat = spaced(row, array.rows, array.total[0]);
  const index = array.shape.length ? [spaced(col, array.cols, array.total[1])] : [];
  for (const size of array.shape.slice(0, -1).reverse()) {
    index.unshift(flat % size);
    flat = Math.floor(flat / size);
  }
  return index;
}

// A shape as Python writes it; of several values, their shapes.
const shapeText = (shape) => Array.isArray(shape[0]) ? shape.map(shapeText).join(", ") : `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;

// Rounded for display.
function short(x) {
  if (x === null) return "–";
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  let text;
  if (Number.isInteger(x) && size < 1e6) text = String(x);
  else if (size >= 1e5 || size < 1e-3) text = x.toExponential(2);
  else text = x.toPrecision(4).includes("e") ? x.toExponential(2) : x.toPrecision(4);
  return text.replace(/-/g, "−");
}

// All digits: the shortest text that reads back as the same number of the array's kind.
function full(x, kind) {
  if (!Number.isFinite(x) || kind === "f8") return String(x);
  for (let digits = 1; digits < 10; digits++) {
    const text = x.toPrecision(digits);
    if (Math.fround(+text) === x) return String(+text);
  }
  return String(x);
}

// Blue over the ground to orange, which all common kinds of colour vision tell apart; weak values are shown stronger than in proportion.
// Infinite ones are grey, NaN a magenta checker.
const SCALES = {
  light: [[24, 74, 140], [117, 168, 216], [246, 246, 243], [240, 165, 85], [166, 70, 0]],
  dark: [[130, 190, 255], [47, 103, 168], [35, 40, 48], [168, 98, 26], [255, 190, 105]],
};
const NAN_COLOURS = {light: [[205, 105, 172], [242, 212, 232]], dark: [[165, 72, 134], [84, 40, 70]]};
const STRENGTH = 0.6;

function colourOf(x, top, theme) {
  const scale = SCALES[theme];
  const t = top ? Math.sign(x) * Math.min(1, Math.abs(x) / top) ** STRENGTH : 0;
  const at = (t + 1) * 2, i = Math.min(3, Math.floor(at)), f = at - i;
  return scale[i].map((c, k) => Math.round(c + (scale[i + 1][k] - c) * f));
}

// A picture of an array, a pixel for each element.
function pictureOf(array, theme) {
  array.pictures ??= {};
  if (array.pictures[theme]) return array.pictures[theme];
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, array.cols);
  canvas.height = Math.max(1, array.rows);
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  array.values.forEach((x, i) => {
    let rgb;
    if (Number.isFinite(x)) rgb = colourOf(x, array.top, theme);
    else if (!Number.isNaN(x)) rgb = [140, 144, 152];
    else rgb = NAN_COLOURS[theme][(i + Math.floor(i / array.cols)) % 2];
    image.data.set([...rgb, 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
  return array.pictures[theme] = canvas;
}

// Rows of numbers where the array is that small, else null.
function numbersOf(array, mostRows, mostCols) {
  if (array.sampled || array.rows > mostRows || array.cols > mostCols || !array.size) return null;
  return Array.from({length: array.rows}, (_, r) => Array.from(array.values.subarray(r * array.cols, (r + 1) * array.cols)));
}

// Width and height of an array's picture in a box, its elements as square as can be.
function fitted(array, width, height, least = 6) {
  const cell = Math.min(width / array.cols, height / array.rows);
  return [Math.max(least, Math.min(width, cell * array.cols)), Math.max(least, Math.min(height, cell * array.rows))];
}
