// The page: what is open, where the view is, which step is shown, and what keys and buttons do.

const MOST_BOXES = 2000, FIRST_BOXES = 60, FEW_BOXES = 8, ALL_AT_FIRST = 40, MANY = 300;
const by = (id) => document.getElementById(id);
const counted = (n, one) => `${n.toLocaleString("en")} ${n === 1 ? one : `${one}s`}`;
const calm = matchMedia("(prefers-reduced-motion: reduce)"), dark = matchMedia("(prefers-color-scheme: dark)");
const embedded = window.self !== window.top;

// What Python wrote, with what follows from it.
async function readGraph() {
  const [text, f4, f8] = await Promise.all(["data", "f4", "f8"].map(unpacked));
  const data = JSON.parse(new TextDecoder().decode(text));
  const graph = {data, nodes: data.nodes, arrays: readArrays(data.arrays, new Float32Array(f4), new Float64Array(f8))};
  const {nodes} = graph;
  for (const node of nodes) node.source_ = node.kind === "leaf" || node.kind === "constant";

  // The timeline: the start, a step for each operation, the gradient of the result, a step for each pullback.
  graph.timeline = [{phase: "start"}];
  graph.made = nodes.map(() => 0);  // when each is computed
  nodes.forEach((node, i) => {
    if (node.kind === "operation") graph.timeline.push({phase: "forward", node: i});
    if (!node.source_) graph.made[i] = graph.timeline.length - 1;
  });
  graph.forwardCount = graph.timeline.length - 1;
  graph.timeline.push({phase: "seed", node: data.result});
  graph.turn = graph.timeline.length - 1;
  graph.reaches = nodes.map(() => []);  // the steps at which gradient arrives
  graph.arrivals = nodes.map(() => []);  // and what it then is
  graph.reaches[data.result].push(graph.turn);
  graph.arrivals[data.result].push(nodes[data.result].grad);
  data.steps.forEach((event, k) => {
    event.number = k + 1;
    graph.reaches[event.target].push(graph.timeline.length);
    graph.arrivals[event.target].push(event.total);
    graph.timeline.push({phase: "backward", event, node: event.target});
  });
  graph.uses = nodes.map(() => []);
  nodes.forEach((node, i) => { for (const input of new Set(node.inputs)) if (input !== null) graph.uses[input].push(i); });

  // The gradient of a node at a step: a reference, null before the first arrives. Of a rule of several values, a list.
  graph.gradientAt = (i, position) => {
    const node = nodes[i];
    if (Array.isArray(node.data) || Array.isArray(node.shape[0])) {
      const parts = node.shape.map(() => null);
      for (const use of graph.uses[i]) if (nodes[use].kind === "part") parts[nodes[use].part] = graph.gradientAt(use, position);
      return parts.some((part) => part !== null) ? parts : null;
    }
    const steps = graph.reaches[i];
    let low = 0, high = steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle] <= position) low = middle + 1;
      else high = middle;
    }
    return low ? graph.arrivals[i][low - 1] : null;
  };
  graph.label = (i) => nodes[i].source_ ? nodes[i].variable : `${nodes[i].name} ${nodes[i].variable}`;
  graph.kindOf = (i) => {
    const {kind, name} = nodes[i];
    if (kind === "operation") return i === data.result ? `operation ${name}, the result` : `operation ${name}`;
    if (kind === "part") return "one of several values of a rule";
    return kind === "leaf" ? (name === "leaf" ? "leaf, requires a gradient" : `parameter ${name}`) : "constant, requires no gradient";
  };
  graph.moduleOf = (i) => {
    const names = [];
    for (let g = nodes[i].group; g !== null; g = data.groups[g].parent) if (!data.groups[g].stretch) names.unshift(data.groups[g].name);
    return nodes[i].modules?.join(" › ") ?? (data.grouping === "line" ? "" : names.join(" › "));
  };
  graph.inside = data.groups.map(() => 0);
  for (const node of nodes) if (node.kind === "operation") for (let g = node.group; g !== null; g = data.groups[g].parent) graph.inside[g]++;
  return graph;
}

class Explorer {
  constructor(graph) {
    this.graph = graph;
    this.open = new Set();
    this.view = {x: 0, y: 0, k: 1};
    this.position = graph.turn;
    this.selected = this.focused = null;
    this.playing = null;
    this.matches = [];
    this.drawing = new Drawing(by("canvas"));
    this.details = new Details(graph, {select: (i) => this.select(i, true), theme: () => this.drawing.theme});
    this.buttons = new Map();
    this.titles = graph.nodes.map((node) => node.kind === "leaf" && node.name !== "leaf" ? this.parameter(node) : node.source_ ? node.variable : node.name);
    this.setTheme(dark.matches ? "dark" : "light");
    this.sizes = graph.nodes.map((node) => {
      const data = Array.isArray(node.data) ? null : this.array(node.data) ?? null;
      return {w: CARD.width, h: cardHeight(data)};
    });
    this.openFirst();
    this.listen();
    this.summarise();
    new ResizeObserver(() => this.resized()).observe(by("stage"));
    this.resized();
    this.layOut();
    this.home();
    this.goTo(this.position, {announce: false, move: false});
  }

  // The name of a parameter within its group.
  parameter(node) {
    const around = [];
    for (let g = node.group; g !== null && this.graph.data.groups[g].parent !== null; g = this.graph.data.groups[g].parent) around.unshift(this.graph.data.groups[g].name);
    const path = `${around.join(".")}.`;
    return node.name.startsWith(path) ? node.name.slice(path.length) : node.name;
  }

  array(ref) {
    return typeof ref === "number" ? this.graph.arrays[ref] : null;
  }

  summarise() {
    const {nodes, data} = this.graph, count = (n) => n.toLocaleString("en");
    const leaves = nodes.filter((node) => node.kind === "leaf").length;
    by("summary").textContent = `${counted(this.graph.forwardCount, "operation")} · ${count(leaves)} ${leaves === 1 ? "leaf" : "leaves"} · ${counted(data.steps.length, "step")} back`;
    const sampled = this.graph.arrays.some((array) => array.sampled);
    by("sampling").textContent = sampled
      ? `Arrays of more than ${count(data.limit)} elements are sampled: of these the page holds evenly spaced rows and columns, the first and the last among them; least, greatest and mean are of all elements.`
      : "All arrays are there in full.";
    by("scrub").max = this.graph.timeline.length - 1;
    by("forward").style.flex = `${this.graph.turn} 1 0`;
    by("backward").style.flex = `${this.graph.timeline.length - this.graph.turn} 1 0`;
  }

  // -- groups -----------------------------------------------------------------------------------------------------------

  // How many boxes are shown with these groups open.
  countBoxes(open) {
    const {nodes, data} = this.graph;
    const isOpen = data.groups.map((group, g) => open.has(g));
    const visible = [];  // a group comes after the one around it
    data.groups.forEach((group, g) => { visible[g] = group.parent === null || (visible[group.parent] && isOpen[group.parent]); });
    let count = visible.filter((v, g) => v && !isOpen[g]).length;
    for (const node of nodes) if (node.group === null || (visible[node.group] && isOpen[node.group])) count++;
    return count;
  }

  // Level by level, as long as it stays easy to take in.
  openFirst() {
    const {groups} = this.graph.data, all = new Set(groups.keys());
    if (this.countBoxes(all) <= ALL_AT_FIRST) this.open = all;
    const depth = groups.map(() => 0);
    groups.forEach(({parent}, g) => { if (parent !== null) depth[g] = depth[parent] + 1; });
    for (let level = 0; this.open.size < groups.length; level++) {
      const open = new Set([...groups.keys()].filter((g) => depth[g] <= level));
      const before = this.countBoxes(this.open);
      if (this.countBoxes(open) > (before < FEW_BOXES ? 10 : 1) * FIRST_BOXES) break;
      this.open = open;
    }
  }

  // As many groups as can be open with so many boxes, the outer ones first.
  opened(most) {
    const open = new Set();
    for (const g of this.graph.data.groups.keys()) {
      const {parent} = this.graph.data.groups[g];
      if (parent !== null && !open.has(parent)) continue;
      open.add(g);
      if (this.countBoxes(open) > most) open.delete(g);
    }
    return open;
  }

  openAll() {
    const all = new Set(this.graph.data.groups.keys()), count = this.countBoxes(all);
    if (count > MOST_BOXES) {
      this.open = this.opened(MOST_BOXES);
      this.say(`All groups would show ${count.toLocaleString("en")} nodes. As many are open as show ${MOST_BOXES.toLocaleString("en")}; open others one by one after closing some.`);
    } else this.open = all;
    this.layOut();
    this.home();
  }

  closeAll() {
    this.open = new Set();
    this.layOut();
    this.home();
  }

  toggle(group, anchor = true) {
    if (!this.open.has(group) && this.countBoxes(new Set([...this.open, group])) > MOST_BOXES) {
      this.say(`Opening it would show more than ${MOST_BOXES.toLocaleString("en")} nodes. Close another group first.`);
      return;
    }
    const key = groupKey(group), before = this.layout.boxes.get(key);
    if (this.open.has(group)) this.open.delete(group);
    else this.open.add(group);
    this.layOut();
    const after = this.layout.boxes.get(key);
    if (anchor && before && after) {  // its corner stays where it is
      this.view.x += (before.x - after.x) * this.view.k;
      this.view.y += (before.y - after.y) * this.view.k;
    }
    this.focused = key;
    this.moved();
    if (this.hadFocus) this.buttons.get(key)?.focus({preventScroll: true});
  }

  // Open what hides a node.
  reveal(i) {
    let hidden = false;
    for (let g = this.graph.nodes[i].group; g !== null; g = this.graph.data.groups[g].parent) {
      if (!this.open.has(g)) hidden = true;
      this.open.add(g);
    }
    if (hidden) this.layOut();
  }

  layOut() {
    this.hadFocus = by("nodes").contains(document.activeElement);
    const {nodes, data} = this.graph;
    const started = performance.now();
    this.layout = layoutGraph(
      nodes.map((node) => ({group: node.group, inputs: node.inputs, source: node.source_})), data.groups, this.open,
      (key) => key >= 0 ? this.sizes[key] : {w: CARD.group, h: 70},
    );
    this.layoutTime = performance.now() - started;
    this.placeButtons();
    this.setRoute();
    this.dirty();
  }

  // -- nodes as buttons over the canvas, for pointers, keyboards and screen readers -------------------------------------------

  placeButtons() {
    const container = by("nodes"), old = this.buttons;
    this.buttons = new Map();
    const keys = [...this.layout.boxes.keys()].sort((a, b) => this.orderOf(a) - this.orderOf(b));
    for (const key of keys) {
      const box = this.layout.boxes.get(key);
      const button = old.get(key) ?? element("button", {type: "button", tabIndex: -1});
      button.dataset.key = key;
      button.style.cssText = `left:${box.x}px;top:${box.y}px;width:${box.frame ? Math.min(box.w, 540) : box.w}px;height:${box.frame ? TITLE + 6 : box.h}px`;
      if (key < 0) button.setAttribute("aria-expanded", String(box.frame));
      this.buttons.set(key, button);
      this.name(key);
    }
    container.replaceChildren(...this.buttons.values());
    if (!this.buttons.has(this.focused)) this.focused = this.layout.shown[this.graph.data.result];
    this.buttons.get(this.focused).tabIndex = 0;
  }

  orderOf(key) {
    if (key >= 0) return key;
    this.firsts ??= this.graph.data.groups.map(() => Infinity);
    if (this.firsts[-1 - key] === Infinity) {
      this.graph.nodes.forEach((node, i) => { for (let g = node.group; g !== null; g = this.graph.data.groups[g].parent) this.firsts[g] = Math.min(this.firsts[g], i); });
    }
    return this.firsts[-1 - key] - 0.5 / (1 + Math.abs(key));
  }

  name(key) {
    const {graph} = this;
    let text;
    if (key < 0) {
      const group = graph.data.groups[-1 - key];
      text = `group ${group.name} ${group.kind}, ${counted(graph.inside[-1 - key], "operation")}`;
    } else {
      const node = graph.nodes[key], part = (ref) => {
        const array = this.array(ref);
        return !array ? null : array.size === 1 ? short(array.values[0]) : this.details.ranged(array);
      };
      const title = graph.label(key);
      const value = graph.made[key] <= this.position ? part(node.data) : null, gradient = part(graph.gradientAt(key, this.position));
      text = [title, `shape ${Array.isArray(node.shape[0]) ? "of several values" : node.shape.length ? node.shape.join(" by ") : "scalar"}`,
        value && `value ${value}`, gradient && `gradient ${gradient}`, node.kind === "constant" && "constant"].filter(Boolean).join(", ");
    }
    const button = this.buttons.get(key);
    if (button && button.ariaLabel !== text) button.ariaLabel = text;
  }

  focus(key) {
    if (!this.buttons.has(key)) return;
    const before = this.buttons.get(this.focused);
    if (before) before.tabIndex = -1;
    this.focused = key;
    const button = this.buttons.get(key);
    button.tabIndex = 0;
    button.focus({preventScroll: true});
    this.bringIn([key]);
  }

  select(i, reveal = false) {
    this.selected = i;
    if (reveal) {
      this.reveal(i);
      this.bringIn([this.layout.shown[i]]);
    }
    this.showNode();
    this.dirty();
  }

  // The selected node; where none is, the operation of the step.
  showNode() {
    const step = this.graph.timeline[this.position];
    this.details.node(this.selected ?? step.event?.source ?? step.node, this.position, this.selected !== null);
  }

  activate(key) {
    if (key < 0) this.toggle(-1 - key);
    else {
      this.select(key);
      this.announce(`${this.graph.label(key)} selected. Its values, rule and line are in the details.`);
    }
  }

  // -- steps ------------------------------------------------------------------------------------------------------------

  goTo(position, {announce = true, move = true} = {}) {
    const {graph} = this, before = this.position;
    this.position = Math.max(0, Math.min(graph.timeline.length - 1, position));
    const step = graph.timeline[this.position];
    by("scrub").value = this.position;
    by("scrub").setAttribute("aria-valuetext", this.stepText(false));
    by("clock").textContent = `${this.position.toLocaleString("en")} / ${(graph.timeline.length - 1).toLocaleString("en")}`;
    this.details.step(this.position);
    this.showNode();
    this.setRoute();
    if (Math.abs(this.position - before) <= 1) {
      for (const p of [before, this.position]) this.renameAround(graph.timeline[p]);
    } else for (const key of this.buttons.keys()) this.name(key);
    if (announce) this.announce(this.stepText(true));
    if (move && by("follow").checked && step.phase !== "start") this.bringIn(this.concerned(step));
    this.animate(Math.abs(this.position - before) === 1);
    this.dirty();
    if (this.playing !== null && this.position === graph.timeline.length - 1) this.pause();
  }

  renameAround(step) {
    for (const i of [step.node, step.event?.source]) if (i !== undefined && this.buttons.has(i)) this.name(i);
  }

  // The boxes that a step is about.
  concerned(step) {
    const {shown} = this.layout;
    if (step.phase === "forward") return [...new Set([step.node, ...this.graph.nodes[step.node].inputs.filter((i) => i !== null)].map((i) => shown[i]))];
    return [...new Set([step.event?.source ?? step.node, step.node].map((i) => shown[i]))];
  }

  stepText(long) {
    const {graph} = this, step = graph.timeline[this.position], {label} = graph;
    const said = (ref) => { const array = this.array(ref); return array ? (array.size === 1 ? short(array.values[0]) : this.details.described(array)) : "several arrays"; };
    if (step.phase === "start") return "Start, before the first operation";
    if (step.phase === "forward") return `Forward ${this.position} of ${graph.forwardCount}: ${label(step.node)}${long ? `, value ${said(graph.nodes[step.node].data)}` : ""}`;
    if (step.phase === "seed") return `Backward begins: the gradient of ${label(step.node)} is ${said(graph.nodes[step.node].grad)}`;
    const {event} = step, text = `Backward ${event.number} of ${graph.data.steps.length}: ${label(event.source)} to ${label(event.target)}`;
    if (!long) return text;
    const parts = [text, `upstream gradient ${said(event.upstream)}`];
    if (event.local !== null) parts.push(`local derivative ${said(event.local)}`);
    parts.push(`${event.local !== null ? "product" : "pulled back"} ${said(event.contribution)}`);
    if (event.axes.length) parts.push(`summed over ${event.axes.length === 1 ? "axis" : "axes"} ${event.axes.join(" and ")}: ${said(event.reduced)}`);
    if (!event.first) parts.push(`added to what came before: ${said(event.total)}`);
    return `${parts.join(". ")}.`;
  }

  setRoute() {
    const step = this.graph.timeline[this.position];
    if (step.phase === "forward") {
      this.route = [...new Set(this.graph.nodes[step.node].inputs.filter((i) => i !== null).flatMap((i) => this.layout.route(i, step.node)))];
      this.path = [];
    } else if (step.phase === "backward") this.route = this.path = this.layout.route(step.node, step.event.source);
    else this.route = this.path = [];
  }

  animate(single) {
    this.moving = null;
    if (!single || calm.matches || !this.route.length || this.graph.timeline[this.position].phase !== "backward") return;
    const pace = this.playing === null ? 450 : Math.min(700, 700 / +by("speed").value), started = performance.now();
    const token = this.token = {};
    const frame = (now) => {
      if (token !== this.token) return;
      const t = Math.min(1, (now - started) / pace);
      this.moving = t < 1 ? t * t * (3 - 2 * t) : null;
      this.dirty();
      if (t < 1) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  play() {
    if (this.playing !== null) return;
    if (this.position === this.graph.timeline.length - 1) this.goTo(0, {announce: false});
    by("play").dataset.playing = "";
    by("play").ariaLabel = "Pause";
    const tick = () => {
      this.playing = setTimeout(tick, 1000 / +by("speed").value);
      this.goTo(this.position + 1, {announce: +by("speed").value <= 1});
    };
    this.playing = setTimeout(tick, 150);
  }

  pause() {
    if (this.playing === null) return;
    clearTimeout(this.playing);
    this.playing = null;
    delete by("play").dataset.playing;
    by("play").ariaLabel = "Play";
    this.announce(`Paused. ${this.stepText(true)}`);
  }

  announce(text) {
    by("announcer").textContent = text;
  }

  say(text) {
    by("hint").textContent = text;
    this.announce(text);
    clearTimeout(this.hintTimer);
    this.hintTimer = setTimeout(() => { by("hint").textContent = ""; }, 7000);
  }

  // -- view -------------------------------------------------------------------------------------------------------------

  resized() {
    const stage = by("stage"), {width, height} = this.drawing;
    this.drawing.resize(stage.clientWidth, stage.clientHeight);
    if (width && this.layout) {
      this.view.x += (stage.clientWidth - width) / 2;
      this.view.y += (stage.clientHeight - height) / 2;
    }
    this.moved();
  }

  fitScale() {
    return Math.min((this.drawing.width - 48) / this.layout.width, (this.drawing.height - 48) / this.layout.height);
  }

  fit() {
    const k = Math.min(1.4, this.fitScale());
    this.view = {k, x: (this.drawing.width - k * this.layout.width) / 2, y: (this.drawing.height - k * this.layout.height) / 2};
    this.moved();
  }

  // The whole graph where it can be read so; else the part around the result, where the backward pass begins.
  home() {
    this.fit();
    const least = 0.75;
    if (this.view.k >= least) return;
    this.view.k = least;
    const box = this.layout.boxes.get(this.layout.shown[this.graph.timeline[this.position].node ?? this.graph.data.result]);
    const wide = this.layout.width * least > this.drawing.width - 48, tall = this.layout.height * least > this.drawing.height - 48;
    this.view.x = wide ? Math.min(24, Math.max(this.drawing.width - 24 - this.layout.width * least, this.drawing.width * 0.7 - (box.x + box.w) * least)) : (this.drawing.width - this.layout.width * least) / 2;
    this.view.y = tall ? Math.min(24, Math.max(this.drawing.height - 24 - this.layout.height * least, this.drawing.height / 2 - (box.y + box.h / 2) * least)) : (this.drawing.height - this.layout.height * least) / 2;
    this.moved();
  }

  zoom(factor, x = this.drawing.width / 2, y = this.drawing.height / 2) {
    const k = Math.max(Math.min(0.02, this.fitScale()), Math.min(6, this.view.k * factor)), by_ = k / this.view.k;
    this.view = {k, x: x - (x - this.view.x) * by_, y: y - (y - this.view.y) * by_};
    this.moved();
  }

  // Move the view so that these boxes are in it.
  bringIn(keys) {
    const boxes = keys.map((key) => this.layout.boxes.get(key)).filter(Boolean);
    if (!boxes.length) return;
    const {k} = this.view, margin = 22;
    const left = Math.min(...boxes.map((b) => b.x)), right = Math.max(...boxes.map((b) => b.x + b.w));
    const top = Math.min(...boxes.map((b) => b.y)), bottom = Math.max(...boxes.map((b) => b.y + (b.frame ? TITLE : b.h)));
    const shift = (low, high, at, room, first) => {
      if ((high - low) * k > room - 2 * margin) return room / 2 - first * k - at;
      if (low * k + at < margin) return margin - low * k - at;
      return high * k + at > room - margin ? room - margin - high * k - at : 0;
    };
    const last = boxes.at(-1);
    const dx = shift(left, right, this.view.x, this.drawing.width, last.x + last.w / 2);
    const dy = shift(top, bottom, this.view.y, this.drawing.height, last.y + Math.min(last.h, 100) / 2);
    if (Math.abs(dx) > 0.5 || Math.abs(dy) > 0.5) this.glide(dx, dy);
  }

  glide(dx, dy) {
    const from = {...this.view}, token = this.gliding = {};
    if (calm.matches || document.hidden) {
      this.view = {...from, x: from.x + dx, y: from.y + dy};
      this.moved();
      return;
    }
    const started = performance.now();
    const frame = (now) => {
      if (token !== this.gliding) return;
      const t = Math.min(1, (now - started) / 260), ease = 1 - (1 - t) ** 3;
      this.view = {k: from.k, x: from.x + dx * ease, y: from.y + dy * ease};
      this.moved();
      if (t < 1) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  // Many buttons take longer to move than the canvas to draw: they come after, once the view rests.
  moved() {
    clearTimeout(this.resting);
    if (this.buttons.size > MANY) this.resting = setTimeout(() => this.moveButtons(), 80);
    else this.moveButtons();
    this.dirty();
  }

  moveButtons() {
    const {x, y, k} = this.view;
    by("nodes").style.transform = `translate(${x}px, ${y}px) scale(${k})`;
    by("nodes").style.setProperty("--thick", Math.max(1, 1 / k));
  }

  dirty() {
    if (this.waiting || !this.layout) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      const started = performance.now();
      this.draw();
      this.drawTime = performance.now() - started;
    });
  }

  draw() {
    const {graph, position} = this, step = graph.timeline[position], marked = new Set(this.matches.map((i) => this.layout.shown[i]));
    const source = step.event ? this.layout.shown[step.event.source] : null, target = step.phase === "start" ? null : this.layout.shown[step.node];
    const selected = this.selected === null ? null : this.layout.shown[this.selected];
    const cards = (key) => {
      const ring = key === target ? (step.phase === "forward" ? "select" : "target") : key === source ? "upstream" : key === selected ? "select" : null;
      if (key < 0) {
        const group = graph.data.groups[-1 - key], count = graph.inside[-1 - key];
        return {group: true, title: group.name, kind: group.kind, note: counted(count, "operation"), tone: "part", ring, marked: marked.has(key)};
      }
      const node = graph.nodes[key], several = Array.isArray(node.data) || Array.isArray(node.shape[0]);
      const known = graph.made[key] <= position, gradient = graph.gradientAt(key, position);
      return {
        title: this.titles[key], variable: node.source_ ? (node.kind === "constant" ? "constant" : "") : node.variable,
        shape: several ? `${node.shape.length} values` : node.shape.length ? shapeText(node.shape) : "scalar",
        tone: key === graph.data.result ? "result" : node.kind, faded: !known, ring, marked: marked.has(key),
        value: known && !several ? this.array(node.data) : null, missing: several ? "see outputs" : known && node.data === null ? "not kept" : "",
        gradient: several ? null : this.array(gradient), differentiable: node.kind !== "constant" && !several,
      };
    };
    this.drawing.draw(this.view, {
      layout: this.layout, cards, route: this.route ?? [], backward: step.phase === "backward", moving: this.moving ?? null,
    });
  }

  setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    this.drawing.readColours();
    by("theme").setAttribute("aria-pressed", String(theme === "dark"));
    if (this.layout) {
      this.details.step(this.position);
      this.showNode();
      this.dirty();
    }
  }

  // -- search -----------------------------------------------------------------------------------------------------------

  search(text) {
    const {nodes} = this.graph, words = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.texts ??= nodes.map((node, i) => [node.name, node.variable, shapeText(node.shape), node.shape.join("x"),
      this.graph.moduleOf(i), node.kind, this.graph.data.lines[node.line]?.place ?? ""].join(" ").toLowerCase());
    this.matches = words.length ? nodes.map((_, i) => i).filter((i) => words.every((word) => this.texts[i].includes(word))) : [];
    this.match = -1;
    by("found").textContent = words.length ? `${this.matches.length.toLocaleString("en")} found` : "";
    this.dirty();
  }

  nextMatch(by_) {
    if (!this.matches.length) return;
    this.match = (this.match + by_ + this.matches.length) % this.matches.length;
    by("found").textContent = `${this.match + 1} of ${this.matches.length}`;
    this.select(this.matches[this.match], true);
    this.announce(`${this.graph.label(this.matches[this.match])}, ${by("found").textContent}`);
  }

  // -- input ------------------------------------------------------------------------------------------------------------

  listen() {
    const on = (id, event, action) => by(id).addEventListener(event, action);
    on("first", "click", () => { this.pause(); this.goTo(0); });
    on("back", "click", () => { this.pause(); this.goTo(this.position - 1); });
    on("play", "click", () => this.playing === null ? this.play() : this.pause());
    on("forth", "click", () => { this.pause(); this.goTo(this.position + 1); });
    on("last", "click", () => { this.pause(); this.goTo(Infinity); });
    on("scrub", "input", () => { this.pause(); this.goTo(+by("scrub").value); });
    on("expand", "click", () => this.openAll());
    on("collapse", "click", () => this.closeAll());
    on("larger", "click", () => this.zoom(1.3));
    on("smaller", "click", () => this.zoom(1 / 1.3));
    on("fit", "click", () => this.fit());
    on("theme", "click", () => this.setTheme(this.drawing.theme === "dark" ? "light" : "dark"));
    on("help", "click", () => by("keys").showModal());
    on("query", "input", () => this.search(by("query").value));
    on("search", "submit", (event) => { event.preventDefault(); this.nextMatch(1); });
    on("query", "keydown", (event) => {
      if (event.key === "Escape") { by("query").value = ""; this.search(""); by("query").blur(); event.stopPropagation(); }
      if (event.key === "Enter" && event.shiftKey) { event.preventDefault(); this.nextMatch(-1); }
    });
    on("nodes", "click", (event) => {
      const button = event.target.closest("button");
      if (!button || this.dragged) return;
      this.hadFocus = true;
      this.focused = +button.dataset.key;
      this.activate(this.focused);
    });
    on("stage", "click", (event) => {
      if (this.dragged || event.target.closest("button")) return;
      const box = by("stage").getBoundingClientRect(), x = (event.clientX - box.left - this.view.x) / this.view.k, y = (event.clientY - box.top - this.view.y) / this.view.k;
      const title = this.drawing.titles.find((t) => x >= t.x && x <= t.x + t.w && y >= t.y && y <= t.y + t.h);
      if (title) this.toggle(-1 - title.key);
      else this.select(null);
    });
    on("nodes", "focusin", (event) => {
      const before = this.buttons.get(this.focused);
      if (before) before.tabIndex = -1;
      this.focused = +event.target.dataset.key;
      event.target.tabIndex = 0;
    });
    dark.addEventListener("change", () => this.setTheme(dark.matches ? "dark" : "light"));
    document.addEventListener("keydown", (event) => this.key(event));
    this.pointers();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || by("keys").open) return;
    const {target, key} = event, typing = target.matches("input[type=search], select"), inGraph = by("nodes").contains(target);
    if (typing) return;
    const arrows = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    if (inGraph && arrows[key]) {
      event.preventDefault();
      this.walk(...arrows[key]);
      return;
    }
    if (target.matches("input[type=range]") && /^(Arrow|Home|End|Page)/.test(key)) return;
    const actions = {
      " ": () => by("play").click(), k: () => by("play").click(), j: () => by("back").click(), l: () => by("forth").click(),
      ArrowLeft: () => by("back").click(), ArrowRight: () => by("forth").click(), Home: () => by("first").click(), End: () => by("last").click(),
      b: () => { this.pause(); this.goTo(this.graph.turn); }, g: () => this.focus(this.focused), x: () => this.closeAround(), Escape: () => this.select(null),
      e: () => this.openAll(), c: () => this.closeAll(), "+": () => this.zoom(1.3), "=": () => this.zoom(1.3), "-": () => this.zoom(1 / 1.3),
      0: () => this.fit(), "/": () => by("query").focus(), f: () => by("follow").click(), t: () => by("theme").click(), "?": () => by("keys").showModal(),
    };
    if (key === " " && target.matches("button, input") && !inGraph) return;
    const action = actions[key.length === 1 ? key.toLowerCase() : key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  closeAround() {
    let key = this.focused;
    if (!by("nodes").contains(document.activeElement) && this.selected !== null) key = this.layout.shown[this.selected];
    this.hadFocus = by("nodes").contains(document.activeElement);
    const group = key >= 0 ? this.graph.nodes[key].group : this.open.has(-1 - key) ? -1 - key : this.graph.data.groups[-1 - key].parent;
    if (group !== null && this.open.has(group)) this.toggle(group);
  }

  // The focus goes along a line, or to the nearest box above or below.
  walk(dx, dy) {
    const key = this.focused, box = this.layout.boxes.get(key), {nodes} = this.graph, {shown} = this.layout;
    const middle = (b) => [b.x + (b.frame ? 20 : b.w / 2), b.y + (b.frame ? TITLE / 2 : b.h / 2)];
    const [x, y] = middle(box);
    let near;
    if (dx && !box.frame) {
      near = new Set();
      nodes.forEach((node, v) => {
        for (const u of node.inputs) {
          if (u === null || shown[u] === shown[v]) continue;
          if (dx > 0 && shown[u] === key) near.add(shown[v]);
          if (dx < 0 && shown[v] === key) near.add(shown[u]);
        }
      });
    }
    if (!near?.size) near = new Set(this.layout.boxes.keys());
    let best = null, least = Infinity;
    for (const other of near) {
      if (other === key) continue;
      const [ox, oy] = middle(this.layout.boxes.get(other)), along = dx ? (ox - x) * dx : (oy - y) * dy, across = dx ? oy - y : ox - x;
      if (along <= 1) continue;
      const far = along + 2.5 * Math.abs(across);
      if (far < least) { least = far; best = other; }
    }
    if (best !== null) this.focus(best);
  }

  pointers() {
    const stage = by("stage"), down = new Map();
    let start = null;
    stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      down.set(event.pointerId, event);
      this.dragged = false;
      start = {x: event.clientX, y: event.clientY};
      this.gliding = null;
    });
    window.addEventListener("pointermove", (event) => {
      const before = down.get(event.pointerId);
      if (!before) return;
      if (Math.hypot(event.clientX - start.x, event.clientY - start.y) > 4) this.dragged = true;
      if (!this.dragged) return;
      stage.classList.add("moving");
      const others = [...down.values()].filter((other) => other.pointerId !== event.pointerId), box = stage.getBoundingClientRect();
      if (others.length === 1) {
        const span = (e) => Math.hypot(e.clientX - others[0].clientX, e.clientY - others[0].clientY);
        this.zoom(span(event) / Math.max(1, span(before)), (event.clientX + others[0].clientX) / 2 - box.left, (event.clientY + others[0].clientY) / 2 - box.top);
      } else {
        this.view.x += event.clientX - before.clientX;
        this.view.y += event.clientY - before.clientY;
        this.moved();
      }
      down.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      window.addEventListener(end, (event) => {
        down.delete(event.pointerId);
        if (!down.size) stage.classList.remove("moving");
      });
    }
    stage.addEventListener("wheel", (event) => {
      if (embedded && !event.ctrlKey && !stage.contains(document.activeElement)) return;  // the notebook scrolls
      event.preventDefault();
      const box = stage.getBoundingClientRect(), lines = event.deltaMode === 1 ? 16 : 1;
      this.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0018)), event.clientX - box.left, event.clientY - box.top);
    }, {passive: false});
  }
}

try {
  globalThis.explorer = new Explorer(await readGraph());
  document.documentElement.dataset.ready = "";
} catch (error) {
  by("summary").textContent = "This page needs a browser of 2023 or later, and could not read its data in this one.";
  throw error;
}
