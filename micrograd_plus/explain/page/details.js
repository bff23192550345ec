// The panel: the current step as an equation, and the selected node.

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name in made && !name.startsWith("aria")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const css = ([r, g, b], alpha = 1) => `rgba(${r}, ${g}, ${b}, ${alpha})`;

class Details {
  constructor(graph, actions) {
    this.graph = graph;
    this.actions = actions;  // select(node), theme()
  }

  // An array as numbers or as a heat map with its range; tuples, of rules of several values, as one after another.
  term(caption, ref, {large = false, key = false} = {}) {
    const refs = Array.isArray(ref) ? ref : [ref];
    const figure = element("figure", {className: key ? "term key" : "term"});
    if (caption) figure.append(element("figcaption", {}, caption));
    refs.forEach((one, i) => {
      if (refs.length > 1) figure.append(element("div", {className: "sample"}, `output ${i}${one === null ? ": none" : ""}`));
      if (one !== null && one !== undefined) figure.append(...this.array(this.graph.arrays[one], large));
    });
    return figure;
  }

  array(array, large) {
    const theme = this.actions.theme();
    const numbers = large ? numbersOf(array, 12, 8) : numbersOf(array, 4, 3);
    if (numbers) {
      const table = element("table", {className: "numbers", role: "presentation"}, numbers.map((row) => element("tr", {}, row.map((x) => {
        const cell = element("td", {title: full(x, array.kind)}, short(x));
        cell.dataset.value = full(x, array.kind);
        if (array.size > 1 && Number.isFinite(x)) cell.style.background = css(colourOf(x, array.top, theme), 0.28);
        return cell;
      }))));
      const shape = array.shape.length && (array.size > 1 || large) ? [element("div", {className: "sample"}, shapeText(array.shape))] : [];
      return [element("div", {className: "scroll"}, table), ...shape];
    }
    if (!array.size) return [element("div", {className: "sample"}, `${shapeText(array.shape)}: no elements`)];
    const [w, h] = fitted(array, large ? 340 : 92, large ? 150 : 64, 16);
    const canvas = element("canvas", {className: "heat", width: array.cols, height: array.rows, role: "img", "aria-label": this.described(array)});
    canvas.style.width = `${w}px`;
    canvas.style.height = `${h}px`;
    canvas.getContext("2d").drawImage(pictureOf(array, theme), 0, 0);
    const reading = element("div", {className: "reading"}, shapeText(array.shape));
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      const col = Math.min(array.cols - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * array.cols)));
      const row = Math.min(array.rows - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * array.rows)));
      reading.textContent = `[${indexOf(array, row, col).join(", ")}] = ${full(array.values[row * array.cols + col], array.kind)}`;
    });
    canvas.addEventListener("pointerleave", () => { reading.textContent = shapeText(array.shape); });
    return [canvas, this.legend(array, theme), reading,
      array.bad ? element("div", {className: "sample"}, `${array.bad.toLocaleString("en")} NaN or infinite`) : null,
      array.sampled ? element("div", {className: "sample"}, `shown: ${array.rows} × ${array.cols} of ${array.total.map((n) => n.toLocaleString("en")).join(" × ")}`) : null,
    ].filter(Boolean);
  }

  // From the least to the greatest value.
  legend(array, theme) {
    const bar = element("i");
    const stops = Array.from({length: 9}, (_, i) => css(colourOf(array.min + (array.max - array.min) * i / 8, array.top, theme)));
    bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    return element("div", {className: "legend", "aria-hidden": "true"}, bar, element("span", {}, short(array.min)), element("span", {}, short(array.max)));
  }

  described(array) {
    if (array.min === null) return `shape ${shapeText(array.shape)}, no finite number`;
    return `shape ${shapeText(array.shape)}, from ${short(array.min)} to ${short(array.max)}, mean ${short(array.mean)}`;
  }

  link(i) {
    const link = element("button", {className: "link", type: "button"}, this.graph.label(i));
    link.addEventListener("click", () => this.actions.select(i));
    return link;
  }

  // Terms and signs in a row; where a term has several columns of numbers, below one another, each after its sign.
  equation(...parts) {
    const terms = parts.filter((part) => typeof part !== "string");
    const wide = terms.some((term) => term.querySelector("tr")?.children.length > 1);
    const shape = wide ? " below" : terms.length === 3 ? " three" : "";
    const sign = (text) => element("span", {className: "sign"}, text);
    return element("div", {className: `equation${shape}`}, wide ? sign("") : null, parts.map((part) => typeof part === "string" ? sign(part) : part));
  }

  // -- the step ---------------------------------------------------------------------------------------------------------

  step(position) {
    const {graph} = this, step = graph.timeline[position];
    const section = document.getElementById("step");
    const heading = (phase, where, ...title) => [
      element("p", {className: `phase ${phase}`}, element("b", {}, phase === "forward" ? "Forward" : "Backward"), ` ${where}`),
      element("h2", {}, ...title),
    ];
    let content;
    if (step.phase === "start") {
      content = [...heading("forward", "before the first operation", "Inputs and parameters"),
        element("p", {}, `The forward pass runs ${counted(graph.forwardCount, "operation")} from left to right, in the order of your program. The backward pass then takes ${counted(graph.data.steps.length, "step")} from right to left.`)];
    } else if (step.phase === "forward") content = this.forward(step, position, heading);
    else if (step.phase === "seed") {
      const result = graph.nodes[graph.data.result], {size, values} = graph.arrays[result.grad];
      const one = size === 1 && values[0] === 1, given = one ? "Of one number, it is 1." : "It is what was passed as gradient=: all gradients here are those of the sum of the result times it.";
      content = [...heading("backward", "begins", one ? "The gradient of the result with respect to itself" : "The gradient given"),
        element("p", {}, `${given} From here, each step takes the gradient of a value, complete by then, and pulls it back through the operation that made it.`),
        this.equation(this.term([element("b", {}, "gradient"), " of ", this.link(graph.data.result)], result.grad, {key: true}))];
    } else content = this.backward(step.event, position, heading);
    section.replaceChildren(...content.filter(Boolean));
  }

  forward(step, position, heading) {
    const {graph} = this, node = graph.nodes[step.node];
    const inputs = node.inputs.map((i, k) => i !== null
      ? this.term([element("b", {}, this.inputName(node, k)), " = ", this.link(i)], graph.nodes[i].data)
      : element("figure", {className: "term"}, element("figcaption", {}, element("b", {}, this.inputName(node, k))),
        node.numbers?.[k] ?? element("span", {className: "sample"}, "not kept by the graph")));
    const parts = inputs.flatMap((input, k) => k ? [",", input] : [input]);
    return [...heading("forward", `step ${position} of ${graph.forwardCount}`, graph.label(step.node)),
      element("p", {}, element("code", {}, `${node.variable} = ${node.formula}`)),
      this.equation(...parts, "→", this.term([element("b", {}, "value"), " of ", this.link(step.node)], node.data, {key: true}))];
  }

  backward(event, position, heading) {
    const {graph} = this, node = graph.nodes[event.source], target = graph.nodes[event.target];
    const source = graph.data.sources[node.source] ?? {}, name = this.inputName(node, event.position);
    const uses = graph.reaches[event.target], which = uses.indexOf(position) + 1;
    const pullback = source.pullbacks?.[event.position], [formula, isLocal] = node.terms?.[event.position] ?? [];
    const upstream = this.term([element("b", {}, "upstream"), " gradient, of ", this.link(event.source)], event.upstream);
    const unbroadcast = event.axes.length > 0, meets = !event.first;
    const product = this.term([element("b", {}, event.local !== null ? "product" : "pulled back"), ` to ${name}`], event.contribution, {key: !unbroadcast && !meets});
    const out = [...heading("backward", `step ${event.number} of ${graph.data.steps.length}`, this.link(event.source), " → ", this.link(event.target))];
    out.push(element("p", {}, element("code", {}, `${node.variable} = ${node.formula}`), `, pulled back to ${target.variable}${name === target.variable ? "" : `, its input ${name}`}.`));
    if (event.local !== null) {
      out.push(this.equation(upstream, "×", this.term([element("b", {}, "local"), " derivative", formula && isLocal ? [", ", element("code", {}, formula)] : ""], event.local), "=", product));
    } else {
      out.push(this.equation(upstream, "→", product));
      if (formula) out.push(element("p", {}, isLocal ? "g times " : "", element("code", {}, formula), ", where g is the upstream gradient."));
    }
    if (pullback) out.push(element("h3", {}, "The pullback, as the engine has it"), element("pre", {}, ...this.coloured(pullback)));
    else if (source.text) out.push(element("p", {className: "note"}, `The pullback is in the source of ${node.name}, below.`));
    if (unbroadcast) {
      const axes = event.axes.length === 1 ? `axis ${event.axes[0]}` : `axes ${event.axes.join(", ")}`;
      const from = graph.arrays[event.contribution];
      out.push(element("h3", {}, "Un-broadcast"),
        element("p", {}, `${graph.label(event.target)} has the shape ${shapeText(target.shape)}, and was repeated to meet ${shapeText(from.shape)}. Each element was used several times, so its gradient is the sum over ${axes}.`),
        this.equation(this.term([element("b", {}, event.local !== null ? "product" : "pulled back")], event.contribution), "Σ", this.term([element("b", {}, "un-broadcast"), ` over ${axes}`], event.reduced, {key: !meets})));
    }
    if (meets) {
      const before = graph.gradientAt(event.target, position - 1);
      out.push(element("h3", {}, "Paths meet: add up"),
        element("p", {}, graph.label(event.target), ` is reached on ${uses.length} paths; this is number ${which}.`),
        this.equation(this.term([element("b", {}, "so far")], before), "+", this.term([element("b", {}, "this path")], event.reduced), "=", this.term([element("b", {}, "gradient"), ` of ${graph.label(event.target)}`], event.total, {key: true})));
    } else if (uses.length > 1) {
      out.push(element("p", {className: "note"}, `The first of ${uses.length} paths that reach ${graph.label(event.target)}; what comes on the others will be added to it.`));
    } else {
      out.push(element("p", {className: "note"}, `This is the only path to ${graph.label(event.target)}, so it is its whole gradient.`));
    }
    return out;
  }

  inputName(node, k) {
    const names = this.graph.data.sources[node.source]?.inputs ?? [];
    return node.kind === "part" ? "all outputs" : names[k] ?? `input ${k}`;
  }

  line(node) {
    const line = this.graph.data.lines[node.line];
    if (!line) return null;
    return element("div", {}, element("h3", {}, `Your line: ${line.place}`), this.code(line));
  }

  code(line) {
    const width = String(line.around.at(-1)?.[0] ?? "").length;
    const rows = line.around.map(([number, text]) => {
      const row = [element("span", {className: "number-of-line"}, `${String(number).padStart(width)}  `), ...this.coloured(text)];
      return element(number === line.number ? "mark" : "div", {}, row);
    });
    return element("pre", {}, ...(rows.length ? rows : ["(the file can't be read)"]));
  }

  // -- the selected node ------------------------------------------------------------------------------------------------

  node(i, position, selected) {
    const section = document.getElementById("node"), {graph} = this;
    if (i === undefined) {
      section.replaceChildren(element("p", {className: "note"}, "Select a node to see its values, its rule's source and the line of yours that made it."));
      return;
    }
    const node = graph.nodes[i], source = graph.data.sources[node.source];
    const facts = [["kind", graph.kindOf(i)], ["shape", shapeText(node.shape)],
      ["dtype", [node.dtype].flat().join(", ")]];
    if (graph.moduleOf(i)) facts.push(["module", graph.moduleOf(i)]);
    for (const [name, value] of Object.entries(node.options ?? {})) facts.push([`option ${name}`, value]);
    if (node.inputs.length) facts.push(["inputs", node.inputs.map((input, k) => [k ? ", " : "", node.kind === "part" ? "" : `${this.inputName(node, k)} = `, input !== null ? this.link(input) : node.numbers?.[k] ?? "not kept"]).flat()]);
    const uses = graph.uses[i];
    if (uses.length) facts.push(["used by", uses.slice(0, 12).flatMap((use, k) => [k ? ", " : "", this.link(use)]).concat(uses.length > 12 ? [` and ${uses.length - 12} more`] : [])]);
    const out = [element("p", {className: "phase"}, selected ? "Selected" : "The operation of this step"), element("h2", {}, graph.label(i)),
      element("dl", {className: "facts"}, facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]))];
    const range = (ref) => typeof ref === "number" && graph.arrays[ref].size > 1 ? element("p", {className: "note"}, this.ranged(graph.arrays[ref])) : null;
    out.push(element("h3", {}, "Value"));
    if (node.data === null) out.push(element("p", {className: "note"}, "The graph did not keep it. Compute the loss within debug() to see it."));
    else out.push(this.term("", node.data, {large: true}), range(node.data));
    if (node.kind !== "constant") {
      const gradient = graph.gradientAt(i, position), arrived = graph.reaches[i].filter((p) => p <= position).length, all = graph.reaches[i].length;
      out.push(element("h3", {}, all > 1 && arrived < all && arrived ? `Gradient so far: ${arrived} of ${all} paths` : "Gradient"));
      if (gradient === null) out.push(element("p", {className: "note"}, node.grad === null ? "None reaches it." : "Not reached yet at this step."));
      else out.push(this.term("", gradient, {large: true}), range(gradient));
    }
    out.push(this.line(node));
    if (source?.text) {
      out.push(element("h3", {}, `The rule: ${source.place}`), element("pre", {className: "source"}, ...this.coloured(source.text)));
    } else if (node.kind === "operation") out.push(element("p", {className: "note"}, "Python can't find the source of this rule."));
    section.replaceChildren(...out.filter(Boolean));
  }

  ranged(array) {
    if (array.min === null) return "No finite number.";
    return `from ${short(array.min)} to ${short(array.max)}, mean ${short(array.mean)}`;
  }

  // Python's text, coloured.
  coloured(text) {
    const pattern = /("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(#[^\n]*)|\b(def|return|lambda|if|else|elif|for|in|not|and|or|is|None|True|False|with|as|import|from|class|while|yield|raise|try|except|finally|pass)\b|(?<![\w.])(\d[\d_.]*(?:e[+-]?\d+)?)/g;
    const out = [];
    let end = 0;
    for (const match of text.matchAll(pattern)) {
      out.push(text.slice(end, match.index));
      const kind = match[1] ? "string" : match[2] ? "comment" : match[3] ? "keyword" : "literal";
      out.push(element("span", {className: kind}, match[0]));
      end = match.index + match[0].length;
    }
    out.push(text.slice(end));
    return out.filter(Boolean);
  }
}
