// The graph on a canvas: groups, lines, nodes with their values.

const CARD = {width: 156, group: 196, head: 40, label: 14, heat: 42, row: 17, foot: 9};
const FAR = 0.2;  // the scale below which cards are patches of colour and lines are straight
const FONT = '"Inter", system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif';
const MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace';

// How tall the values of a card are: numbers of small arrays, heat maps of others.
function bodyHeight(array) {
  const numbers = array && numbersOf(array, 3, 2);
  return numbers ? numbers.length * CARD.row : array ? CARD.heat : CARD.row;
}

const cardHeight = (array) => CARD.head + CARD.label + bodyHeight(array) + CARD.foot;

class Drawing {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.widths = new Map();
    this.readColours();
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    this.colours = {};
    for (const name of ["ground", "card", "text", "muted", "border", "line", "frame", "frame-edge", "upstream", "target", "select",
      "leaf", "constant", "operation", "result", "part", "empty"]) this.colours[name] = style.getPropertyValue(`--${name}`).trim();
    this.theme = style.getPropertyValue("--theme").trim();
  }

  resize(width, height) {
    this.ratio = window.devicePixelRatio || 1;
    this.width = width;
    this.height = height;
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
  }

  // view: {x, y, k}; scene: {layout, cards: key -> what a box shows, route, step, moving, marked}.
  draw(view, scene) {
    const c = this.context, {k} = view;
    this.k = k;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.fillStyle = this.colours.ground;
    c.fillRect(0, 0, this.canvas.width, this.canvas.height);
    c.setTransform(this.ratio * k, 0, 0, this.ratio * k, this.ratio * view.x, this.ratio * view.y);
    const window_ = {left: -view.x / k, top: -view.y / k, right: (this.width - view.x) / k, bottom: (this.height - view.y) / k};
    const seen = (box) => box.x < window_.right && box.x + box.w > window_.left && box.y < window_.bottom && box.y + box.h > window_.top;
    const boxes = [...scene.layout.boxes].filter(([, box]) => seen(box));
    this.titles = [];  // of frames, where they are: always in view, as long as the frame is
    for (const [key, box] of boxes) if (box.frame) this.frame(key, box, scene.cards(key), window_);
    this.lines(scene, window_);
    const cards = boxes.filter(([, box]) => !box.frame).map(([key, box]) => [box, scene.cards(key)]);
    if (k < FAR) this.patches(cards);
    else for (const [box, card] of cards) this.card(box, card);
    if (scene.route.length) this.pulse(scene);
  }

  frame(key, box, card, window_) {
    const c = this.context;
    this.rounded(box.x, box.y, box.w, box.h, 10);
    c.fillStyle = this.colours.frame;
    c.fill();
    c.lineWidth = card.marked ? 2.5 / Math.min(1, this.k) : 1;
    c.strokeStyle = card.marked ? this.colours.select : this.colours["frame-edge"];
    c.stroke();
    const size = this.legible(12, 23);
    if (!size || box.w * this.k < 40) return;
    const left = Math.min(Math.max(box.x, window_.left) + 12, box.x + box.w - 120), room = Math.min(box.x + box.w - left - 10, 520);
    if (room < 30) return;
    c.textBaseline = "middle";
    this.text(`▾ ${card.title}`, left, box.y + TITLE / 2 + 3, room, size, this.colours.text, "600", FONT, "left", card.kind && ` ${card.kind}`);
    this.titles.push({key, x: left - 4, y: box.y + 2, w: Math.min(room, 240), h: TITLE});
  }

  // The size of a font that is `size` in the graph, at least legible when zoomed out, but not over `most`; 0 where it would not be.
  legible(size, most, least = 8.5) {
    const wanted = Math.max(size, least / this.k);
    return wanted <= most ? wanted : 0;
  }

  lines(scene, window_) {
    const c = this.context;
    const width = Math.max(1.1, Math.min(2.2, 0.75 / this.k));
    c.lineWidth = width;
    c.strokeStyle = this.colours.line;
    c.beginPath();
    const heads = [];
    for (const s of scene.layout.segments) {
      if (s.x2 - s.x1 < 0.7 / this.k && Math.abs(s.y2 - s.y1) < 0.7 / this.k) continue;
      if (s.x1 > window_.right || s.x2 < window_.left || Math.min(s.y1, s.y2) > window_.bottom || Math.max(s.y1, s.y2) < window_.top) continue;
      if (this.k < FAR) {
        c.moveTo(s.x1, s.y1);
        c.lineTo(s.x2, s.y2);
      } else this.trace(s);
      if (s.arrow) heads.push(s);
    }
    c.stroke();
    if (this.k > 0.3) {
      c.fillStyle = this.colours.line;
      c.beginPath();
      for (const s of heads) this.head(s);
      c.fill();
    }
    if (!scene.route.length) return;
    c.strokeStyle = c.fillStyle = scene.backward ? this.colours.upstream : this.colours.select;
    c.lineWidth = Math.max(2.4, Math.min(6, 1.6 / this.k));
    c.beginPath();
    for (const s of scene.route) this.trace(s);
    c.stroke();
    c.beginPath();
    for (const s of scene.route) if (s.arrow) this.head(s);
    c.fill();
  }

  trace(s) {
    const c = this.context, bend = (s.xa + s.xb) / 2;
    c.moveTo(s.x1, s.y1);
    if (s.xa > s.x1) c.lineTo(s.xa, s.y1);
    if (s.y1 === s.y2) c.lineTo(s.xb, s.y2);
    else c.bezierCurveTo(bend, s.y1, bend, s.y2, s.xb, s.y2);
    if (s.x2 > s.xb) c.lineTo(s.x2, s.y2);
  }

  head(s) {
    const c = this.context;
    c.moveTo(s.x2 + 0.5, s.y2);
    c.lineTo(s.x2 - 6, s.y2 - 3.4);
    c.lineTo(s.x2 - 6, s.y2 + 3.4);
    c.closePath();
  }

  // A dot on its way along the lines of a step: forward with the value, backward with the gradient.
  pulse(scene) {
    if (scene.moving === null) return;
    const c = this.context, route = scene.backward ? [...scene.route].reverse() : scene.route;
    const along = scene.moving * route.length, i = Math.min(route.length - 1, Math.floor(along));
    const t = scene.backward ? 1 - (along - i) : along - i, s = route[i];
    const span = [s.xa - s.x1, s.xb - s.xa, s.x2 - s.xb].map((d) => Math.max(0, d)), at = t * (span[0] + span[1] + span[2]);
    let x = s.x1 + at, y = s.y1;
    if (at > span[0] + span[1]) y = s.y2;
    else if (at > span[0] && span[1]) {
      const u = (at - span[0]) / span[1], bend = (s.xa + s.xb) / 2, v = 1 - u;
      x = v ** 3 * s.xa + 3 * v * u * bend + u ** 3 * s.xb;
      x = v ** 3 * s.xa + 3 * v * v * u * bend + 3 * v * u * u * bend + u ** 3 * s.xb;
      y = s.y1 * (v ** 3 + 3 * v * v * u) + s.y2 * (3 * v * u * u + u ** 3);
    }
    c.beginPath();
    c.arc(x, y, Math.max(5.5, 4 / this.k), 0, 2 * Math.PI);
    c.fillStyle = scene.backward ? this.colours.upstream : this.colours.select;
    c.fill();
    c.lineWidth = 2;
    c.strokeStyle = this.colours.ground;
    c.stroke();
  }

  // Cards from far away: patches of colour, drawn many at a time.
  patches(cards) {
    const c = this.context;
    for (const faded of [true, false]) {
      for (const tone of ["leaf", "constant", "operation", "part", "result"]) {
        c.beginPath();
        for (const [box, card] of cards) if (card.tone === tone && !!card.faded === faded) c.rect(box.x, box.y, box.w, box.h);
        c.globalAlpha = faded ? 0.2 : 0.55;
        c.fillStyle = this.colours[tone];
        c.fill();
      }
    }
    c.globalAlpha = 1;
    for (const [box, card] of cards) {
      if (!card.ring && !card.marked) continue;
      const least = 6 / this.k, w = Math.max(box.w, least), h = Math.max(box.h, least);
      c.lineWidth = 2.5 / this.k;
      c.strokeStyle = this.colours[card.ring ?? "select"];
      c.strokeRect(box.x + (box.w - w) / 2, box.y + (box.h - h) / 2, w, h);
    }
  }

  card(box, card) {
    const c = this.context, {x, y, w, h} = box;
    c.globalAlpha = card.faded ? 0.42 : 1;
    if (card.group) {
      for (const shift of [6, 3]) {
        this.rounded(x + shift, y + shift, w, h, 8);
        c.fillStyle = this.colours.card;
        c.strokeStyle = this.colours.border;
        c.lineWidth = 1;
        c.fill();
        c.stroke();
      }
    }
    this.rounded(x, y, w, h, 8);
    c.fillStyle = this.colours.card;
    c.fill();
    c.save();
    c.clip();
    c.fillStyle = this.colours[card.tone];
    c.fillRect(x, y, card.group ? w : 5, card.group ? 4 : h);
    c.restore();
    c.globalAlpha = 1;
    this.rounded(x, y, w, h, 8);
    const ring = card.ring && this.colours[card.ring];
    c.lineWidth = ring ? Math.max(2.6, Math.min(9, 2.2 / this.k)) : 1;
    c.strokeStyle = ring || this.colours.border;
    c.stroke();
    if (card.marked) {
      this.rounded(x - 5, y - 5, w + 10, h + 10, 12);
      c.setLineDash([5, 4]);
      c.lineWidth = Math.max(2, Math.min(8, 2 / this.k));
      c.strokeStyle = this.colours.select;
      c.stroke();
      c.setLineDash([]);
    }
    const size = this.legible(13, 34);
    if (!size) return;
    c.globalAlpha = card.faded ? 0.5 : 1;
    c.textBaseline = "middle";
    const detailed = this.k >= 0.5;
    if (!detailed) {
      const middle = this.k < 0.36 || card.group ? y + h / 2 : y + CARD.head / 2;
      this.text(card.title, x + 14, middle, w - 22, Math.min(size, h * 0.5), this.colours.text, "600");
      if (this.k >= 0.36 && !card.group) this.values(box, card, false);
      c.globalAlpha = 1;
      return;
    }
    if (card.group) {
      this.text(`▸ ${card.title}`, x + 12, y + 22, w - 20, 13, this.colours.text, "600");
      this.text(card.kind, x + 12, y + 40, w - 20, 11, this.colours.muted);
      this.text(card.note, x + 12, y + 56, w - 20, 11, this.colours.muted);
    } else {
      this.text(card.title, x + 14, y + 16, w - 22, 13, this.colours.text, "600", FONT, "left", card.variable && ` ${card.variable}`);
      this.text(card.shape, x + 14, y + 32, w - 22, 10.5, this.colours.muted);
      this.values(box, card, true);
    }
    c.globalAlpha = 1;
  }

  values(box, card, labels) {
    const left = box.x + 14, half = (box.w - 14 - 10 - 8) / 2, top = box.y + CARD.head;
    if (labels) {
      this.text("value", left, top + 6, half, 9.5, this.colours.muted);
      if (card.differentiable) this.text("gradient", left + half + 8, top + 6, half, 9.5, this.colours.muted);
    }
    this.array(card.value, left, top + CARD.label, half, labels, card.missing);
    if (card.differentiable) this.array(card.gradient, left + half + 8, top + CARD.label, half, labels, "");
  }

  array(array, x, y, width, labels, missing) {
    const c = this.context;
    if (!array) {
      if (missing && labels) this.text(missing, x, y + CARD.row / 2, width, 9.5, this.colours.muted);
      else {
        c.fillStyle = this.colours.empty;
        c.fillRect(x, y + 4, Math.min(width, 30), 7);
      }
      return;
    }
    const numbers = numbersOf(array, 3, 2);
    if (numbers) {
      numbers.forEach((row, r) => row.forEach((v, i) => {
        const each = width / row.length, size = labels ? (row.length > 1 ? 10 : 12) : Math.min(CARD.row, 8 / this.k, row.length > 1 ? 12 : 99);
        this.text(short(v), x + i * each, y + (r + 0.5) * CARD.row, each - 2, size, this.colours.text, "500", MONO);
      }));
      return;
    }
    if (!array.size) return;
    const [w, h] = fitted(array, width, CARD.heat, 14);
    c.imageSmoothingEnabled = array.cols * 1.5 > w * this.k * this.ratio || array.rows * 1.5 > h * this.k * this.ratio;
    c.drawImage(pictureOf(array, this.theme), x, y, w, h);
    c.lineWidth = 0.6;
    c.strokeStyle = this.colours.border;
    c.strokeRect(x, y, w, h);
  }

  // Text cut to a width; returns how wide it is.
  text(text, x, y, width, size, colour, weight = "400", family = FONT, align = "left", after = "") {
    if (!text) return 0;
    const c = this.context;
    c.font = `${weight} ${size}px ${family}`;
    c.fillStyle = colour;
    c.textAlign = align;
    const shown = this.cut(text, width, c.font);
    c.fillText(shown, x, y);
    const used = this.measure(shown, c.font);
    const light = `400 ${size}px ${family}`;
    if (after && this.measure(after, light) <= width - used) {
      c.font = light;
      c.fillStyle = this.colours.muted;
      c.fillText(after, x + used, y);
    }
    return used;
  }

  cut(text, width, font) {
    if (this.measure(text, font) <= width) return text;
    const dotted = text.includes(".") && !text.includes(" ");  // of a dotted name, the end tells more
    const part = (n) => dotted ? `…${text.slice(-n)}` : `${text.slice(0, n)}…`;
    let low = 1, high = text.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.measure(part(middle), font) <= width) low = middle;
      else high = middle - 1;
    }
    return part(low);
  }

  measure(text, font) {
    const key = `${font}|${text}`;
    let width = this.widths.get(key);
    if (width === undefined) {
      if (this.widths.size > 50000) this.widths.clear();
      this.context.font = font;
      width = this.context.measureText(text).width;
      this.widths.set(key, width);
    }
    return width;
  }

  rounded(x, y, w, h, r) {
    this.context.beginPath();
    this.context.roundRect(x, y, w, h, r);
  }
}
