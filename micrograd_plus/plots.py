"""Pictures of a training's history and of a computation graph. matplotlib (the extra `train`) is imported when one is drawn."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .explain.names import given_names, variables_for
from .explain.numbers import nested
from .explain.tape import Value, record, unwalked
from .files import replacing
from .layers import Parameter
from .tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES, DOT = (".png", ".svg", ".pdf"), (".dot", ".gv")
MAX_BOXES = 500
FEW = 4  # elements that a box shows
COLOURS = {"leaf": "#d9ead3", "constant": "#eeeeee", "operation": "#d6e4f5", "result": "#fde3c8"}
DARK, GREY = "#5a5a5a", "#8a8a8a"
LINES = ("#1f6fb4", "#d95f02", "#2a9d5c", "#8e5ea2", "#7f7f7f")
DPI, MAX_PIXELS, MAX_SIDE = 150, 60_000_000, 30_000
FONT_SIZE, LINE_HEIGHT, ROW_GAP, COLUMN_GAP, LANE = 9, 0.17, 0.16, 0.55, 0.12  # points, then inches
SWEEPS, STRAIGHTENING = 10, 6


def plot_training_history(history: Mapping[str, Sequence[float]], filename: str | os.PathLike[str] | None = None) -> "Figure":
    """Curves over the epochs: losses on one pair of axes, accuracies on another, any other quantity on its own.

    Args:
        history: for each name, one number per epoch. A name with "loss" or "acc" in it is a loss or an accuracy.
        filename: a `.png`, `.svg` or `.pdf` to write as well.

    Raises:
        ValueError: no curves, a curve that is not a sequence of numbers, or another suffix.
    """
    curves = {name: np.asarray(values, np.float64) for name, values in history.items()}
    wrong = [name for name, values in curves.items() if values.ndim != 1 or not values.size]
    if wrong or not curves:
        got = f"{wrong[0]!r} of shape {curves[wrong[0]].shape}" if wrong else "none"
        raise ValueError(f"a history needs curves, each a sequence of one number per epoch, got {got}.")
    if filename is not None:
        _require_suffix(filename, PICTURES)
    panels: dict[str, list[str]] = {}
    for name in curves:
        kind = "loss" if "loss" in name.lower() else "accuracy" if "acc" in name.lower() else name
        panels.setdefault(kind, []).append(name)
    figure = _new_figure(figsize=(5 * len(panels), 3.6), dpi=DPI, layout="constrained")
    for axes, (kind, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, colour in zip(names, LINES * len(names), strict=False):
            epochs, marker = range(1, len(curves[name]) + 1), "o" if len(curves[name]) < 12 else ""
            axes.plot(epochs, curves[name], color=colour, label=name.replace("_", " "), marker=marker, markersize=3.5)
        axes.set(xlabel="epoch", title=kind.replace("_", " "))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(names) > 1:
            axes.legend(frameon=False)
    if filename is not None:
        _save(figure, DPI, filename)
    return figure


def visualize_computation_graph(tensor: Tensor, filename: str | os.PathLike[str], names: Mapping[str, Any] | None = None) -> None:
    """Draw the graph that `tensor` was computed through, inputs on the left, `tensor` on the right.

    A box is an operation, a leaf that requires a gradient, or a constant. It shows the name of the variable or parameter, where there
    is one; the shape, with the values where they are few and still known; and the gradient of `tensor`, where that is one number: its
    elements, or of many their norm. Constants appear where the graph keeps them: not those of a linear rule, such as the 1 in x + 1.
    No `.grad` changes and nothing is freed.

    Args:
        tensor: one that requires a gradient, before `backward()` frees its graph.
        filename: `.svg`, `.png` or `.pdf`, drawn here; `.dot` or `.gv` for Graphviz's language, which needs no library.
        names: Tensors and Modules, and lists and dicts of them, by name; by default the variables that the caller sees.

    Raises:
        TypeError: `tensor` is no Tensor; or a name in `names` is of something else.
        ValueError: the tensor has no graph, the picture would have more than 500 boxes, or another suffix.
        RuntimeError: a backward() has freed the graph.
    """
    suffix = _require_suffix(filename, PICTURES + DOT)
    boxes = _boxes(tensor, variables_for(names, "visualize_computation_graph()"))
    if suffix in DOT:
        with replacing(filename) as temporary:
            temporary.write_text(_dot(boxes), encoding="utf-8")
        return
    if len(boxes) > MAX_BOXES:
        raise ValueError(
            f"a picture of a graph can have at most {MAX_BOXES} boxes, this one needs {len(boxes):,}. "
            "Draw an intermediate result or a smaller model, or write a .dot file."
        )
    _save(*_drawn(boxes), filename)


# -- the graph -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Box:
    kind: str
    title: str
    lines: list[str]
    inputs: "list[_Box]" = field(default_factory=list)


def _boxes(tensor: Tensor, variables: Mapping[str, Any]) -> list[_Box]:
    """What the graph of a tensor consists of, inputs before what is computed from them, the tensor itself last."""
    with np.errstate(all="ignore"):
        recorded = record if getattr(tensor, "size", None) == 1 else unwalked  # either says so where it is no Tensor
        tape = recorded(tensor, who="visualize_computation_graph()")
    names = given_names(tape, variables)
    boxes: list[_Box] = []
    of_values: list[_Box] = []
    for value in tape.values:
        inputs: list[_Box] = []
        for place, number in zip(value.inputs, value.numbers, strict=True):
            if number is not None:
                boxes.append(_Box("constant", "constant", [f"= {number:.4g}"]))
            if place is not None or number is not None:
                inputs.append(boxes[-1] if place is None else of_values[place])
        of_values.append(_box(value, names.get(value.index), inputs))
        boxes.append(of_values[-1])
    if tape.values[-1].inputs:
        boxes[-1].kind = "result"
    return boxes


def _box(value: Value, name: str | None, inputs: list[_Box]) -> _Box:
    """The box of a value, which a variable may name."""
    if value.kind in ("leaf", "constant"):
        title = name or ("Parameter" if isinstance(value.edge, Parameter) else value.kind)
    else:
        title = f"{name} = {value.name}" if name else value.name
    if isinstance(value.gradient, tuple) or isinstance(value.data, tuple):
        return _Box("operation", title, [f"{len(value.shape)} outputs"], inputs)
    lines = [_described(value.shape, value.data)]
    if value.gradient is not None:
        few = np.size(value.gradient) <= FEW
        lines.append(f"grad {nested(np.asarray(value.gradient))}" if few else f"|grad| {_norm(value.gradient):.4g}")
    return _Box(value.kind if value.kind in ("leaf", "constant") else "operation", title, lines, inputs)


def _norm(x: Any) -> float:
    return float(np.sqrt(np.sum(np.square(np.asarray(x, np.float64)))))


def _described(shape: Any, data: Any) -> str:
    """The shape, with the values where they are known and few."""
    text = str(tuple(shape)) if shape else ""
    return text if data is None or np.size(data) > FEW else f"{text} = {nested(np.asarray(data))}".strip()


def _dot(boxes: list[_Box]) -> str:
    number = {box: i for i, box in enumerate(boxes)}
    lines = ["digraph computation {", "  rankdir=LR;", '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=10];']
    for box, i in number.items():
        label = "\\n".join(text.replace("\\", r"\\").replace('"', r"\"") for text in (box.title, *box.lines))
        lines.append(f'  n{i} [label="{label}", fillcolor="{COLOURS[box.kind]}"];')
    lines += [f"  n{number[x]} -> n{i};" for box, i in number.items() for x in box.inputs]
    return "\n".join([*lines, "}", ""])


# -- the drawing ---------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Cell:
    """A place in a column: a box, or a lane in which a line passes through (`box` is None)."""

    box: _Box | None
    height: float
    y: float = 0.0
    before: "list[_Cell]" = field(default_factory=list)
    after: "list[_Cell]" = field(default_factory=list)


def _columns(boxes: list[_Box]) -> list[list[_Cell]]:
    """Cells from left to right, each box just before its first use, joined to their neighbours in the next column."""
    column = {boxes[-1]: 0}
    for box in reversed(boxes):
        for x in box.inputs:
            column[x] = min(column.get(x, 0), column[box] - 1)
    first = min(column.values())
    columns: list[list[_Cell]] = [[] for _ in range(1 - first)]
    lanes: dict[tuple[_Box, int], _Cell] = {}  # where the lines from a box are, in its column and those after it
    for box in boxes:
        cell = lanes[box, column[box]] = _Cell(box, LINE_HEIGHT * (1 + len(box.lines)) + 0.12)
        columns[column[box] - first].append(cell)
        for x in dict.fromkeys(box.inputs):
            for i in range(column[x] + 1, column[box]):
                if (x, i) not in lanes:
                    lanes[x, i] = lane = _Cell(None, LANE)
                    columns[i - first].append(lane)
                    _join(lanes[x, i - 1], lane)
            _join(lanes[x, column[box] - 1], cell)
    return columns


def _join(left: _Cell, right: _Cell) -> None:
    left.after.append(right)
    right.before.append(left)


def _arrange(columns: list[list[_Cell]]) -> None:
    """Choose each cell's height in its column: near its neighbours, in sweeps to the right and to the left."""
    for cells in columns:
        _spread(cells, [0.0] * len(cells))
    for sweep in range(SWEEPS + STRAIGHTENING):
        rightward, ordering = sweep % 2 == 0, sweep < SWEEPS
        for cells in columns if rightward else columns[::-1]:
            wanted: dict[_Cell, float] = {}
            for c in cells:
                near = (c.before or c.after if rightward else c.after or c.before) if ordering else c.before + c.after
                wanted[c] = sum(other.y for other in near) / len(near) if near else c.y
            if ordering:
                cells.sort(key=lambda c: wanted[c])
            _spread(cells, [wanted[c] for c in cells])


def _spread(cells: list[_Cell], wanted: list[float]) -> None:
    """Set heights as near to the wanted ones (least squares) as the order and the gaps between cells allow."""
    ends = np.cumsum([c.height + ROW_GAP for c in cells])
    offsets = [float(end) - c.height / 2 for end, c in zip(ends, cells, strict=True)]
    pools: list[tuple[float, int]] = []  # means and sizes: the pool-adjacent-violators algorithm
    for value, offset in zip(wanted, offsets, strict=True):
        mean, size = value - offset, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    means = [mean for mean, size in pools for _ in range(size)]
    for cell, mean, offset in zip(cells, means, offsets, strict=True):
        cell.y = mean + offset


def _drawn(boxes: list[_Box]) -> "tuple[Figure, float]":
    """The figure, one inch per unit of its axes, and the resolution that keeps a wide one within bounds."""
    figure = _new_figure()
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import FancyBboxPatch, PathPatch
    from matplotlib.path import Path as Curve
    from matplotlib.textpath import TextPath

    fonts = {title: FontProperties(size=FONT_SIZE, weight="bold" if title else "normal") for title in (True, False)}
    columns = _columns(boxes)
    _arrange(columns)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    x = 0.0
    spans: dict[_Cell, tuple[float, float]] = {}
    for cells in columns:
        texts = {(text, i == 0) for c in cells if c.box for i, text in enumerate((c.box.title, *c.box.lines))}
        widths = [TextPath((0, 0), text.replace("$", "S"), prop=fonts[title]).vertices[:, 0] for text, title in texts]
        width = max(np.ptp(xs) for xs in widths) / 72 + 0.3
        spans.update((c, (x, x + width)) for c in cells)
        x += width + COLUMN_GAP
    for cell, (left, right) in spans.items():
        middle = (left + right) / 2
        if cell.box is None:
            axes.plot((left, right), (cell.y, cell.y), color=GREY, linewidth=1, solid_capstyle="butt")
        else:
            y, height = cell.y + cell.height / 2, cell.height
            corner, rounded = (left, y - height), "round,pad=0,rounding_size=0.06"
            axes.add_patch(FancyBboxPatch(corner, right - left, height, rounded, facecolor=COLOURS[cell.box.kind], edgecolor=DARK))
            for i, text in enumerate((cell.box.title, *cell.box.lines)):
                top = y - 0.06 - LINE_HEIGHT * (i + 0.5)
                axes.text(middle, top, text, ha="center", va="center_baseline", font=fonts[i == 0], parse_math=False)
        for other in cell.after:
            start, end = (right, cell.y), (spans[other][0], other.y)
            bend = (start[0] + end[0]) / 2
            curve = Curve([start, (bend, cell.y), (bend, other.y), end], [Curve.MOVETO, *[Curve.CURVE4] * 3])
            axes.add_patch(PathPatch(curve, fill=False, edgecolor=GREY))
            if other.box is not None:
                axes.plot(*end, marker=5, color=DARK, markersize=5)  # a triangle with its tip there
    low = min(c.y - c.height / 2 for c in spans)
    high = max(c.y + c.height / 2 for c in spans)
    left, right, low, high = -0.2, x - COLUMN_GAP + 0.2, low - 0.2, high + 0.2
    axes.set(xlim=(left, right), ylim=(low, high))
    width, height = right - left, high - low
    figure.set_size_inches(width, height)
    return figure, min(DPI, MAX_SIDE / max(width, height), (MAX_PIXELS / (width * height)) ** 0.5)


# -- files ---------------------------------------------------------------------------------------------------------------


def _new_figure(**options: Any) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('pictures need the extra "train": pip install "micrograd-plus[train]".') from None
    return Figure(**options)


def _require_suffix(filename: str | os.PathLike[str], suffixes: Iterable[str]) -> str:
    suffix = Path(filename).suffix.lower()
    if suffix not in suffixes:
        raise ValueError(f"a picture's file must end in {', '.join(suffixes)}, got {str(filename)!r}.")
    return suffix


def _save(figure: "Figure", dpi: float, filename: str | os.PathLike[str]) -> None:
    """Write a figure, the same bytes for the same figure, text in an SVG as text."""
    import matplotlib

    dates: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with replacing(filename) as temporary, matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "micrograd_plus"}):
        figure.savefig(temporary, dpi=dpi, metadata=dates.get(temporary.suffix))
