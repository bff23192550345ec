// A layered layout of nested groups, left to right.
//
// Each open group is laid out by itself, from the inside out, and is then one box in the group around it. In a group, boxes stand in
// layers, each after what it is computed from; a line that passes over layers has a place of its own in each of them; boxes are
// ordered to have few crossings and moved to have straight lines. Lines enter and leave a group at ports on its sides.
//
// A box is known by a key: a node by its number, a group by -1 - its number.

const PAD = 14, TITLE = 24, ROW_GAP = 16, LINE_GAP = 9, COLUMN_GAP = 44, PORT_GAP = 16;
const SWEEPS = 6, MOST_PLACES = 12000, LONG = 40;
const SLIGHT = 0.05;  // how much a line from a leaf or constant pulls, so that what is computed runs straight on
const EXIT = "exit";
const groupKey = (group) => -1 - group;

// nodes: [{group, inputs, source: is it a leaf or constant}], groups: [{parent}], open: the numbers of open groups,
// size(key): the width and height of a node or closed group.
// Returns boxes (key -> {x, y, w, h, frame}), segments [{x1, xa, y1, xb, x2, y2, from, arrow}], width, height, and route(from, to),
// the segments from one node to another.
function layoutGraph(nodes, groups, open, size) {
  const levels = new Map([[null, newLevel(null)]]);
  const paths = nodes.map((node) => pathOf(node.group));
  const shown = nodes.map((_, i) => paths[i].items.at(-1) ?? i);

  function newLevel(group) {
    return {group, items: new Map(), links: new Map()};
  }

  // The open groups around a group, from the outside, and in each of them the group that leads to it.
  function pathOf(group) {
    const chain = [];
    for (let g = group; g !== null; g = groups[g].parent) chain.unshift(g);
    const path = {levels: [null], items: []};
    for (const g of chain) {
      path.items.push(groupKey(g));
      if (!open.has(g)) break;
      path.levels.push(g);
    }
    if (path.items.length < path.levels.length) path.items.push(null);  // the node itself
    return path;
  }
  const itemAt = (i, depth) => paths[i].items[depth] ?? i;

  for (let i = 0; i < nodes.length; i++) {
    shown[i] = paths[i].items.at(-1) ?? i;
    paths[i].levels.forEach((group, depth) => {
      if (!levels.has(group)) levels.set(group, newLevel(group));
      const items = levels.get(group).items, key = itemAt(i, depth);
      if (!items.has(key)) items.set(key, {key, rank: nodes[i].source ? Infinity : i, source: nodes[i].source});
      if (!nodes[i].source) {
        const item = items.get(key);
        item.rank = Math.min(item.rank, i);
        item.source = false;
      }
    });
  }

  // The links of each level that a line from node u to node v is made of: [level, link's name, from, to].
  function linksOf(u, v) {
    const a = paths[u], b = paths[v];
    let common = 0;
    while (common + 1 < a.levels.length && common + 1 < b.levels.length && a.levels[common + 1] === b.levels[common + 1]) common++;
    if (itemAt(u, common) === itemAt(v, common)) return [];
    const links = [], source = shown[u];
    for (let d = a.levels.length - 1; d > common; d--) links.push([a.levels[d], itemAt(u, d), EXIT]);
    links.push([a.levels[common], itemAt(u, common), itemAt(v, common)]);
    for (let d = common + 1; d < b.levels.length; d++) links.push([b.levels[d], null, itemAt(v, d)]);
    return links.map(([level, from, to]) => [level, `${source}>${to}`, {source, from, to, weight: nodes[u].source ? SLIGHT : 1}]);
  }

  nodes.forEach((node, v) => {
    for (const u of node.inputs) {
      if (u === null) continue;
      for (const [level, name, link] of linksOf(u, v)) levels.get(level).links.set(name, link);
    }
  });

  const placed = new Map();  // of each open group, its level laid out
  function place(group) {
    const level = levels.get(group);
    for (const item of level.items.values()) {
      const inner = item.key < 0 && open.has(-1 - item.key) ? place(-1 - item.key) : null;
      Object.assign(item, inner
        ? {w: inner.width + 2 * PAD, h: inner.height + 2 * PAD + TITLE, inner}
        : {...size(item.key), inner: null});
    }
    const result = layoutLevel([...level.items.values()], [...level.links.values()]);
    placed.set(group, result);
    return result;
  }

  const boxes = new Map(), segments = [], routes = new Map();
  function emit(group, result, x0, y0) {
    for (const item of result.items) {
      const box = {x: x0 + item.x, y: y0 + item.y - item.h / 2, w: item.w, h: item.h, frame: item.inner !== null};
      boxes.set(item.key, box);
      if (item.inner) emit(-1 - item.key, item.inner, box.x + PAD, box.y + PAD + TITLE);
    }
    const moved = new Map();
    for (const [name, pieces] of result.routes) {
      routes.set(`${group}:${name}`, pieces.map((piece) => {
        if (!moved.has(piece)) {
          const segment = {...piece, y1: y0 + piece.y1, y2: y0 + piece.y2};
          for (const x of ["x1", "xa", "xb", "x2"]) segment[x] = x0 + piece[x];
          moved.set(piece, segment);
          segments.push(segment);
        }
        return moved.get(piece);
      }));
    }
  }
  const all = place(null);
  emit(null, all, 0, 0);

  return {
    boxes, segments, width: all.width, height: all.height, shown,
    route: (u, v) => linksOf(u, v).flatMap(([level, name]) => routes.get(`${level}:${name}`) ?? []),
  };
}

// One level. Items have w and h, and inner where they are open groups; links go from an item (null: from outside) to an item or EXIT.
function layoutLevel(items, links) {
  const byKey = new Map(items.map((item) => [item.key, item]));
  const ordered = [...items].sort((a, b) => (b.source - a.source) || (a.rank - b.rank) || (a.key - b.key));
  const position = new Map(ordered.map((item, i) => [item.key, i]));
  const into = new Map(items.map((item) => [item.key, []])), outOf = new Map(items.map((item) => [item.key, []]));
  for (const link of links) {
    if (link.from === null || link.to === EXIT || position.get(link.from) >= position.get(link.to)) continue;
    into.get(link.to).push(link.from);
    outOf.get(link.from).push(link.to);
  }

  // Layers: each item after what it is computed from, sources just before their first use.
  const layer = new Map();
  for (const item of ordered) layer.set(item.key, Math.max(-1, ...into.get(item.key).map((key) => layer.get(key))) + 1);
  for (const item of ordered) {
    const uses = outOf.get(item.key);
    if (item.source && uses.length) layer.set(item.key, Math.min(...uses.map((key) => layer.get(key))) - 1);
  }
  const enters = links.some((link) => link.from === null), leaves = links.some((link) => link.to === EXIT);
  if (enters) for (const item of items) layer.set(item.key, layer.get(item.key) + 1);
  const lastLayer = Math.max(0, ...layer.values()) + (leaves ? 1 : 0);
  const layers = Array.from({length: lastLayer + 1}, () => []);

  const vertices = [];
  function vertex(kind, at, h, more) {
    const v = {kind, layer: at, w: 0, h, y: 0, before: [], after: [], ...more};
    vertices.push(v);
    layers[at].push(v);
    return v;
  }
  for (const item of ordered) item.vertex = vertex("item", layer.get(item.key), item.h, {w: item.w, item});

  // Lines: all that carry the same value share their places in the layers between.
  const bundles = new Map();
  for (const link of links) {
    const name = `${link.source}|${link.from}`;
    if (!bundles.has(name)) bundles.set(name, {source: link.source, from: link.from, weight: link.weight, links: []});
    bundles.get(name).links.push(link);
  }
  let places = 0;
  const joints = [];
  const chains = new Map();  // of a link, the joints that it consists of
  for (const bundle of bundles.values()) {
    const start = bundle.from === null ? vertex("entry", 0, 0, {source: bundle.source}) : byKey.get(bundle.from).vertex;
    const ends = bundle.links.map((link) => ({
      link, end: link.to === EXIT ? vertex("exit", lastLayer, 0, {source: bundle.source}) : byKey.get(link.to).vertex,
    }));
    const span = Math.max(...ends.map(({end}) => end.layer)) - start.layer;
    const direct = places > MOST_PLACES && span > LONG;
    const through = [];
    if (!direct) {
      let before = start;
      for (let at = start.layer + 1; at < start.layer + span; at++) {
        const v = vertex("place", at, 0, {source: bundle.source});
        through.push(join(before, v));
        before = v;
      }
      places += Math.max(0, span - 1);
    }
    for (const {link, end} of ends) {
      const passed = direct ? [] : through.slice(0, Math.max(0, end.layer - start.layer - 1));
      chains.set(link, [...passed, join(passed.length ? passed.at(-1).b : start, end)]);
    }
    function join(a, b) {
      const joint = {a, b, source: bundle.source, weight: bundle.weight};
      if (b.layer === a.layer + 1) {
        a.after.push(joint);
        b.before.push(joint);
      }
      joints.push(joint);
      return joint;
    }
  }

  orderLayers(layers);
  placeRows(layers);

  // Columns.
  let x = 0;
  const columns = layers.map((column, at) => {
    const w = Math.max(0, ...column.map((v) => v.w));
    const crowd = Math.min(50, 1.5 * column.reduce((n, v) => n + v.after.filter(({b}) => Math.abs(b.y - v.y) > 4).length, 0));
    const gap = at === layers.length - 1 ? 0 : (w && layers[at + 1].some((v) => v.w) ? COLUMN_GAP + crowd : PORT_GAP + crowd / 2);
    const span = {left: x, right: x + w};
    x += w + gap;
    return span;
  });
  const width = x;
  let top = Infinity, bottom = -Infinity;
  for (const v of vertices) {
    top = Math.min(top, v.y - v.h / 2);
    bottom = Math.max(bottom, v.y + v.h / 2);
  }
  for (const v of vertices) v.y -= top;
  for (const item of items) {
    const {left, right} = columns[item.vertex.layer];
    item.x = item.source ? right - item.w : left;
    item.y = item.vertex.y;
  }

  // What enters a node is spread over its side, in the order in which it arrives.
  const arrivals = new Map();
  for (const joint of joints) {
    if (joint.b.kind !== "item" || joint.b.item.inner) continue;
    if (!arrivals.has(joint.b)) arrivals.set(joint.b, []);
    arrivals.get(joint.b).push(joint);
  }
  for (const [v, arriving] of arrivals) {
    arriving.sort((p, q) => leaveAt(p.a, p.source) - leaveAt(q.a, q.source));
    const step = Math.min(14, (v.h - 20) / arriving.length);
    arriving.forEach((joint, i) => { joint.at = v.y + (i - (arriving.length - 1) / 2) * step; });
  }

  const pieces = new Map();
  for (const joint of joints) {
    const {a, b, source} = joint;
    const begin = columns[a.layer], end = columns[b.layer];
    pieces.set(joint, {
      source,
      x1: a.kind === "item" ? a.item.x + a.w : a.kind === "entry" ? -PAD : begin.left,
      xa: begin.right,
      y1: leaveAt(a, source),
      xb: end.left,
      x2: b.kind === "item" ? b.item.x : b.kind === "exit" ? width + PAD : end.left,
      y2: joint.at ?? arriveAt(b, source),
      arrow: b.kind === "item" && !b.item.inner,
    });
  }
  const routes = new Map();
  for (const [link, chain] of chains) routes.set(`${link.source}>${link.to}`, chain.map((joint) => pieces.get(joint)));
  const ports = {in: new Map(), out: new Map()};
  for (const v of vertices) {
    if (v.kind === "entry") ports.in.set(v.source, v.y);
    if (v.kind === "exit") ports.out.set(v.source, v.y);
  }
  return {items, routes, ports, width, height: bottom - top};
}

// Where a value leaves or enters a box: of an open group, at its port.
function portOf(v, source, side) {
  const port = v.item?.inner?.ports[side].get(source);
  return port === undefined ? 0 : port + PAD + TITLE - v.h / 2;
}
const leaveAt = (v, source) => v.y + portOf(v, source, "out");
const arriveAt = (v, source) => v.y + portOf(v, source, "in");

// Sort each layer by the mean place of its neighbours, to and fro; keep the order with the fewest crossings.
function orderLayers(layers) {
  const number = () => { for (const column of layers) column.forEach((v, i) => { v.place = i; }); };
  // Two ports of one box are told apart by where they are on its side.
  const seen = (v, source, side) => v.place + portOf(v, source, side) / (v.h + 1);
  const sort = (column, joints, other, side) => {
    for (const v of column) {
      const near = v[joints];
      v.wish = near.length ? near.reduce((sum, joint) => sum + seen(joint[other], joint.source, side), 0) / near.length : v.place;
    }
    column.sort((a, b) => a.wish - b.wish || a.place - b.place);
    column.forEach((v, i) => { v.place = i; });
  };
  number();
  let best = layers.map((column) => [...column]), fewest = crossings(layers);
  for (let sweep = 0; sweep < SWEEPS && fewest; sweep++) {
    for (let at = layers.length - 2; at >= 0; at--) sort(layers[at], "after", "b", "in");
    for (let at = 1; at < layers.length; at++) sort(layers[at], "before", "a", "out");
    const count = crossings(layers);
    if (count < fewest) {
      fewest = count;
      best = layers.map((column) => [...column]);
    }
  }
  best.forEach((column, at) => { layers[at] = column; });
  number();
}

function crossings(layers) {
  let count = 0;
  for (let at = 1; at < layers.length; at++) {
    const ends = [];
    for (const v of layers[at - 1]) ends.push(...v.after.map(({b}) => b.place).sort((p, q) => p - q));
    const size = layers[at].length, tree = new Uint32Array(size + 1);
    ends.forEach((end, i) => {  // those before it that end after it
      let below = 0;
      for (let k = end + 1; k > 0; k -= k & -k) below += tree[k];
      count += i - below;
      for (let k = end + 1; k <= size; k += k & -k) tree[k]++;
    });
  }
  return count;
}

// Move each layer's boxes towards their neighbours, without changing their order.
function placeRows(layers) {
  const gap = (a, b) => (a.h + b.h) / 2 + (a.kind === "item" || b.kind === "item" ? ROW_GAP : LINE_GAP);
  for (const column of layers) {
    let y = 0;
    column.forEach((v, i) => { y = v.y = i ? y + gap(column[i - 1], v) : 0; });
    for (const v of column) v.y -= y / 2;
  }
  const settle = (column, sides) => {
    const offsets = [];
    const blocks = [];  // least squares under a fixed order: neighbours that would collide move as one block, to their mean
    column.forEach((v, i) => {
      offsets.push(i ? offsets[i - 1] + gap(column[i - 1], v) : 0);
      let sum = 0, count = 0;
      if (sides.includes("before")) {
        for (const {a, source, weight} of v.before) { sum += weight * (leaveAt(a, source) - portOf(v, source, "in")); count += weight; }
      }
      if (sides.includes("after")) {
        for (const {b, source, weight} of v.after) { sum += weight * (arriveAt(b, source) - portOf(v, source, "out")); count += weight; }
      }
      const wish = (count ? sum / count : v.y) - offsets[i];
      const weight = v.kind === "item" ? count + 0.01 : 3 * count + 0.01;
      let block = {sum: wish * weight, weight, count: 1};
      while (blocks.length && blocks.at(-1).sum / blocks.at(-1).weight >= block.sum / block.weight) {
        const before = blocks.pop();
        block = {sum: before.sum + block.sum, weight: before.weight + block.weight, count: before.count + block.count};
      }
      blocks.push(block);
    });
    let i = 0;
    for (const {sum, weight, count} of blocks) {
      for (let k = 0; k < count; k++, i++) column[i].y = sum / weight + offsets[i];
    }
  };
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (let at = layers.length - 2; at >= 0; at--) settle(layers[at], ["after"]);
    for (let at = 1; at < layers.length; at++) settle(layers[at], ["before"]);
  }
  for (let at = layers.length - 1; at >= 0; at--) settle(layers[at], ["before", "after"]);
}
