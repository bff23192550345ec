"""Chapter 4, continued: the functions of kernels of one node: products, convolutions, and what goes by index or along an axis."""

import math
from collections.abc import Sequence

import numpy as np

from .c_loop import Loop
from .c_values import Argument, Text, combine, ctype, literal
from .graph import Node
from .schedule import Kernel, Schedule, contiguous, offset


def function(plan: Schedule, kernel: Kernel) -> list[Text]:
    """The functions of a kernel, each with the arrays that it is to be called with, and whether it writes them."""
    if kernel.kind == "loop":
        return [Loop(plan, kernel).text(), *(_combination(plan, node, part) for node, part in kernel.partial.items())]
    if kernel.kind == "check":
        node = next(iter(kernel.reads))
        return [
            ("KERNEL NAME(const int t, const unsigned char *x, int *failed) {\n    if (!t && !*x) *failed = 1;\n}\n", [(node, False, 0)])
        ]
    node = kernel.nodes[0]
    if kernel.kind == "fill":
        head = _head([(node, True, 0)], "y")
        body = f"    for (long i = lo; i < hi; i++) y[i] = {literal(kernel.fill, node.dtype)};\n"
        return [(head + _range(kernel, node.size, True) + body + "}\n", [(node, True, 0)])]
    return [SINGLE[kernel.kind](plan, kernel, node), *(_combination(plan, node, part) for node, part in kernel.partial.items())]


def _head(arrays: Sequence[Argument], names: str) -> str:
    parameters = [
        f"{'' if written else 'const '}{ctype(node)} *restrict {name}"
        for (node, written, _), name in zip(arrays, names.split(), strict=True)
    ]
    return f"KERNEL NAME({', '.join(['const int t', *parameters])}) {{\n"


def _range(kernel: Kernel, total: int, lines: bool = False) -> str:
    """The part of a thread: lo to hi of so many, where `lines` on borders of cache lines."""
    if not kernel.parallel:
        return f"    if (t) return;\n    const long lo = 0, hi = {total}L;\n"
    name, step = ("parts", ", 16") if lines else ("part", "")
    return f"    const long lo = {name}({total}L, t{step}), hi = {name}({total}L, t + 1{step});\n"


def _combination(plan: Schedule, node: Node, partial: Node) -> Text:
    arrays = [(partial, False, 0), (node, True, 0)]
    kind = node.attrs[0] if node.op == "reduce" else "sum"
    lines = [_head(arrays, "x y")]
    lines.append(f"    const long lo = part({node.size}L, t), hi = part({node.size}L, t + 1);\n")
    lines.append("    for (long i = lo; i < hi; i++) {\n")
    lines.append(f"        {ctype(node)} v = x[i];\n")
    for k in range(1, plan.threads):
        lines += [f"        {line}\n" for line in combine(kind, "v", f"x[i + {k * node.size}L]", node)]
    lines.append("        y[i] = v;\n    }\n}\n")
    return "".join(lines), arrays


def _coordinates(names: str, sizes: Sequence[int], flat: str, pad: str) -> str:
    """The coordinates, name0 and so on, of a flat index."""
    lines, rest = [], math.prod(sizes)
    for d, n in enumerate(sizes):
        rest //= n
        lines.append(f"{pad}const long {names}{d} = {flat}{f' / {rest}' if rest > 1 else ''}{f' % {n}' if d else ''};\n")
    return "".join(lines)


def _at(strided: np.ndarray, names: Sequence[str], start: int | None = None) -> str:
    """The offset of an element of a strided array, from the beginning of its memory, or from where it begins itself."""
    begin = offset(strided) if start is None else start
    terms = [str(begin)] if begin else []
    for name, stride, n in zip(names, strided.strides, strided.shape, strict=True):
        step = stride // strided.itemsize
        if step and n > 1 and name != "0":
            terms.append(name if step == 1 else f"{name} * {step}L")
    return " + ".join(terms) or "0"


def matrix(strided: np.ndarray) -> tuple[bool, int]:
    """Whether a matrix is stored by columns, and the distance between its rows, or columns, in elements."""
    (m, n), (row, column), item = strided.shape[-2:], strided.strides[-2:], strided.itemsize
    if (n == 1 or column == item) and (m == 1 or row >= n * item):
        return False, max(n, row // item if m > 1 else n)
    return True, max(m, column // item if n > 1 else m)


def product_split(plan: Schedule, kernel: Kernel, node: Node) -> str:
    """Along what a product is shared out: "batch", "rows" or "columns"; "all" is one thread's."""
    *batch, m, n = node.shape
    if not kernel.parallel:
        return "all"
    if math.prod(batch) >= plan.threads and len(batch):
        return "batch"
    return "rows" if m >= n or n < 16 * plan.threads else "columns"


def _matmul(plan: Schedule, kernel: Kernel, node: Node) -> Text:
    (a, sa), (b, sb) = (plan.fuser.seen(x) for x in plan.fuser.operands[node])
    *batch, m, n = node.shape
    k = node.inputs[0].shape[-1]
    (ta, lda), (tb, ldb) = matrix(sa), matrix(sb)
    split = product_split(plan, kernel, node)
    arrays = [(a, False, 0), (b, False, 0), (node, True, 0)]
    lines = [_head(arrays, "a b c")]
    letter = "s" if node.dtype == np.float32 else "d"
    count = math.prod(batch)
    names = [f"i{d}" for d in range(len(batch))]
    rows, columns = str(m), str(n)
    arrays = [(a, False, offset(sa)), (b, False, offset(sb)), (node, True, 0)]
    oa, ob, oc = _at(sa, [*names, "0", "0"], 0), _at(sb, [*names, "0", "0"], 0), f"i * {m * n}L" if batch else "0"
    if split == "rows":
        lines.append(f"    const long lo = part({m}L, t), hi = part({m}L, t + 1);\n    if (lo == hi) return;\n")
        rows, oa, oc = "hi - lo", f"{oa} + lo{'' if ta else f' * {lda}L'}", f"{oc} + lo * {n}L"
    elif split == "columns":
        lines.append(f"    const long lo = parts({n}L, t, 16), hi = parts({n}L, t + 1, 16);\n    if (lo == hi) return;\n")
        columns, ob, oc = "hi - lo", f"{ob} + lo{f' * {ldb}L' if tb else ''}", f"{oc} + lo"
    elif split == "batch":
        lines.append(f"    const long lo = part({count}L, t), hi = part({count}L, t + 1);\n")
    else:
        lines.append("    if (t) return;\n")
    call = f"product_{letter}({int(ta)}, {int(tb)}, {rows}, {columns}, {k}, a + {oa}, {lda}, b + {ob}, {ldb}, c + {oc}, {n});\n"
    if batch:
        begin, end = ("lo", "hi") if split == "batch" else ("0", f"{count}L")
        lines.append(f"    for (long i = {begin}; i < {end}; i++) {{\n")
        lines.append(_coordinates("i", batch, "i", "        ") if batch else "")
        lines.append(f"        {call}    }}\n}}\n")
    else:
        lines.append(f"    {call}}}\n")
    return "".join(lines), arrays


def _scatter(plan: Schedule, kernel: Kernel, node: Node) -> Text:
    """Values are added one after another; each thread takes some columns, where there are columns."""
    (x, sx), *indices = (plan.fuser.seen(part) for part in node.inputs)
    axes, runs = node.attrs
    shape = node.inputs[0].shape
    columns = runs[-1] == len(node.shape) - 1 and shape[-1] >= 16 * plan.threads and kernel.parallel
    real = [(base, strided) for base, strided in indices if base.op not in ("constant", "iota")]
    arrays = [(x, False, 0), *((base, False, 0) for base, _ in real), (node, True, 0)]
    names = [f"i{d}" for d in range(len(shape))]
    lines = [_head(arrays, " ".join(["x", *(f"k{i}" for i in range(len(real))), "y"]))]
    width = node.shape[-1] if node.shape else 1
    if columns:
        lines.append(f"    const long lo = parts({width}L, t, 16), hi = parts({width}L, t + 1, 16);\n")
        lines.append(
            f"    for (long r = 0; r < {node.size // width}L; r++)\n        for (long c = lo; c < hi; c++) y[r * {width}L + c] = 0;\n"
        )
    else:
        lines.append(f"    if (t) return;\n    for (long i = 0; i < {node.size}L; i++) y[i] = 0;\n")
    strides = [s // node.dtype.itemsize for s in contiguous(node).strides]
    terms, number = [], 0
    for axis, (base, strided) in zip(axes, indices, strict=True):
        if base.op == "constant":
            value = str(base.attrs[0])
        elif base.op == "iota":
            value = f"({_at(strided, names)})"
        else:
            value = f"k{number}[{_at(strided, names)}]"
            number += 1
        terms.append(f"{value} * {strides[axis]}L")
    terms += [f"{names[d]} * {strides[axis]}L" for d, axis in enumerate(runs) if axis >= 0]
    for d, n in enumerate(shape):
        begin, end = ("lo", "hi") if columns and d == len(shape) - 1 else ("0", f"{n}L")
        lines.append("    " * (d + 1) + f"for (long i{d} = {begin}; i{d} < {end}; i{d}++)\n")
    source = "0" if x.op == "constant" else f"x[{_at(sx, names)}]"
    lines.append("    " * (len(shape) + 1) + f"y[{' + '.join(terms) or '0'}] += {source};\n}}\n")
    return "".join(lines), arrays


def _fold(plan: Schedule, kernel: Kernel, node: Node) -> Text:
    ((x, sx),) = (plan.fuser.seen(part) for part in node.inputs)
    spatial, stride, dilation = node.attrs
    n = len(spatial)
    shape = node.inputs[0].shape
    lead, positions, size, channels = shape[: -2 * n - 1], shape[-2 * n - 1 : -n - 1], shape[-n - 1 : -1], shape[-1]
    arrays = [(x, False, 0), (node, True, 0)]
    block = math.prod(spatial) * channels
    lines = [_head(arrays, "x y"), _range(kernel, math.prod(lead))]
    lines.append("    for (long l = lo; l < hi; l++) {\n" + _coordinates("l", lead, "l", "        "))
    lines.append(f"        {ctype(node)} *const restrict z = y + l * {block}L;\n")
    lines.append(f"        for (long i = 0; i < {block}L; i++) z[i] = 0;\n")
    pad = "        "
    for d in range(n):
        lines.append(f"{pad}for (long p{d} = 0; p{d} < {positions[d]}L; p{d}++)\n")
        pad += "    "
    for d in range(n):
        lines.append(f"{pad}for (long q{d} = 0; q{d} < {size[d]}L; q{d}++)\n")
        pad += "    "
    lines.append(f"{pad}for (long c = 0; c < {channels}L; c++)\n")
    names = [*(f"l{d}" for d in range(len(lead))), *(f"p{d}" for d in range(n)), *(f"q{d}" for d in range(n)), "c"]
    place = "0"
    for d in range(n):
        at = f"p{d} * {stride[d]} + q{d} * {dilation[d]}"
        place = f"({place}) * {spatial[d]}L + {at}" if d else at
    lines.append(f"{pad}    z[({place}) * {channels}L + c] += x[{_at(sx, names)}];\n    }}\n}}\n")
    return "".join(lines), arrays


def _along(plan: Schedule, kernel: Kernel, node: Node) -> Text:
    """Running sums, and the positions of extrema, along one axis."""
    ((x, sx),) = (plan.fuser.seen(part) for part in node.inputs)
    scan = node.op == "scan"
    axis = node.attrs[0] if scan else node.attrs[1]
    shape = node.inputs[0].shape
    others = [n for d, n in enumerate(shape) if d != axis]
    names = [f"i{d - (d > axis)}" if d != axis else "j" for d in range(len(shape))]
    arrays = [(x, False, 0), (node, True, 0)]
    lines = [_head(arrays, "x y"), _range(kernel, math.prod(others)), "    for (long i = lo; i < hi; i++) {\n"]
    lines.append(_coordinates("i", others, "i", "        "))
    source, target = f"x[{_at(sx, names)}]", f"y[{_at(contiguous(node), names)}]"
    if scan:
        lines.append(
            f"        {ctype(node)} v = 0;\n        for (long j = 0; j < {shape[axis]}L; j++) {{ v += {source}; {target} = v; }}\n"
        )
    else:
        sign = ">" if node.attrs[0] == "argmax" else "<"
        first = f"x[{_at(sx, ['0' if name == 'j' else name for name in names])}]"
        lines.append(f"        {ctype(x)} v = {first};\n        long k = 0;\n")
        lines.append(f"        for (long j = 1; j < {shape[axis]}L; j++) {{\n            const {ctype(x)} w = {source};\n")
        lines.append(f"            if (w {sign} v || (w != w && v == v)) {{ v = w; k = j; }}\n        }}\n        {target} = k;\n")
    return "".join([*lines, "    }\n}\n"]), arrays


ROWS = 1 << 15  # elements of the matrix of windows that a thread makes at a time, which then stays in its cache


class _Correlation:
    """Convolution and its two gradients: matrix products with blocks of windows, of one example at a time.

    Three matrices are at work, of P positions, K elements of a window and O channels: windows (P, K), weight (K, O) and values
    (P, O). `correlate` makes values = windows @ weight, `correlate_weight` weight = sum windows^T @ values, and `correlate_input` adds
    values @ weight^T to where the windows lie. Groups are done one after another.
    """

    def __init__(self, plan: Schedule, kernel: Kernel, node: Node) -> None:
        (self.p, sp), (self.q, sq) = (plan.fuser.seen(x) for x in plan.fuser.operands.get(node, node.inputs))
        settings = dict(node.attrs)
        self.plan, self.kernel, self.node, self.op = plan, kernel, node, node.op
        self.stride, self.dilation, self.size = settings["stride"], settings["dilation"], settings["size"]
        self.groups, self.n = settings["groups"], len(settings["stride"])
        self.letter, self.kind = ("s", "float") if node.dtype == np.float32 else ("d", "double")
        self.examples = node.inputs[0].shape[0]
        self.matrix = sq  # of correlate and correlate_input, the weight
        if self.op == "correlate":
            self.pixels, self.spatial, self.channels = sp, sp.shape[2:], sp.shape[1]
            self.positions, self.outs = node.shape[1:-1], node.shape[-1]
        else:
            self.values = sp if self.op == "correlate_input" else sq
            self.positions, self.outs = self.values.shape[2:], self.values.shape[1]
            self.pixels = sp
            self.spatial = settings["spatial"] if self.op == "correlate_input" else sp.shape[2:]
            self.channels = node.shape[-1] if self.op == "correlate_input" else sp.shape[1]
        self.inside, self.outside = self.channels // self.groups, self.outs // self.groups
        self.window = math.prod(self.size) * self.inside
        self.width = math.prod(self.positions[1:])
        self.rows = max(1, min(self.positions[0], ROWS // max(1, self.width * self.window)))  # of positions, in a block

    def text(self) -> Text:
        node, op, kind = self.node, self.op, self.kind
        result = self.kernel.partial.get(node, node)
        arrays: list[Argument] = [(self.p, False, 0), (self.q, False, 0), (result, True, 0)]
        lines = [_head(arrays, "p q y")]
        if result is not node:  # each thread adds up its own
            lines.append(f"    y += {node.size}L * t;\n")
        lines.append(_range(self.kernel, self.examples))
        room = self.rows * self.width * (self.window + self.outside)
        lines.append(f"    {kind} *const rows = scratch(t, {room}L * sizeof({kind}));\n")
        lines.append(f"    {kind} *const columns = rows + {self.rows * self.width * self.window}L;\n")
        if op == "correlate_weight":
            lines.append(f"    for (long i = 0; i < {node.size}L; i++) y[i] = 0;\n")
        lines.append("    for (long e = lo; e < hi; e++) {\n")
        if op == "correlate_input":
            area = math.prod(self.spatial) * self.channels
            lines.append(f"        {kind} *const z = y + e * {area}L;\n        for (long i = 0; i < {area}L; i++) z[i] = 0;\n")
        depth = self.positions[0]
        lines.append(f"        for (long b = 0; b < {depth}L; b += {self.rows}) {{\n")
        lines.append(f"            const long stop = b + {self.rows} < {depth}L ? b + {self.rows} : {depth}L;\n")
        lines.append(f"            const long count = (stop - b) * {self.width}L;\n")
        for group in range(self.groups):
            lines += getattr(self, f"_{op}")(group * self.inside, group * self.outside)
        lines.append("        }\n    }\n}\n")
        return "".join(lines), arrays

    def _correlate(self, ci: int, co: int) -> list[str]:
        out = f"y + (e * {self.positions[0]}L + b) * {self.width * self.outs}L + {co}"
        transposed, distance, weight = self._weight(co)
        call = f"product_{self.letter}(0, {int(transposed)}, count, {self.outside}, {self.window}, rows, {self.window}"
        return [self._made(ci), f"            {call}, {weight}, {distance}, {out}, {self.outs});\n"]

    def _correlate_weight(self, ci: int, co: int) -> list[str]:
        copy, values, distance = self._values(co, "q")
        call = f"accumulate_{self.letter}(1, 0, {self.window}, {self.outside}, count, rows, {self.window}, {values}, {distance}"
        return [self._made(ci), copy, f"            {call}, y + {co}, {self.outs});\n"]

    def _correlate_input(self, ci: int, co: int) -> list[str]:
        copy, values, distance = self._values(co, "p")
        transposed, apart, weight = self._weight(co)
        call = f"product_{self.letter}(0, {int(not transposed)}, count, {self.window}, {self.outside}, {values}, {distance}"
        return [copy, f"            {call}, {weight}, {apart}, rows, {self.window});\n", self._added(ci)]

    def _weight(self, co: int) -> tuple[bool, int, str]:
        """Whether the weight is stored by columns, the distance between these or its rows, and where a group's part begins."""
        transposed, distance = matrix(self.matrix)
        return transposed, distance, f"q + {offset(self.matrix) + co * (distance if transposed else 1)}"

    def _values(self, co: int, name: str) -> tuple[str, str, int]:
        """Code that brings the values of a block of positions together, if they are no rows in memory; where they are; their distance."""
        item = self.values.itemsize
        channel, spatial = self.values.strides[1] // item, [s // item for s in self.values.strides[2:]]
        nested = all(spatial[d] == spatial[d + 1] * self.positions[d + 1] for d in range(self.n - 1))
        if channel == 1 and nested and spatial[-1] >= self.outside:
            return "", f"{name} + {offset(self.values) + co} + e * {self.values.strides[0] // item}L + b * {spatial[0]}L", spatial[-1]
        names = ["e", "o", *(f"w{d}" for d in range(self.n))]
        source = f"{name}[{_at(self.values, names)} + {co * channel}L]"
        loop = f"                for (long o = 0; o < {self.outside}L; o++) columns[({self._row()}) * {self.outside}L + o] = {source};\n"
        return self._over_positions() + loop, "columns", self.outside

    def _over_positions(self) -> str:
        lines = ["            for (long w0 = b; w0 < stop; w0++)\n"]
        lines += [f"            for (long w{d} = 0; w{d} < {self.positions[d]}L; w{d}++)\n" for d in range(1, self.n)]
        return "".join(lines)

    def _row(self) -> str:
        """The row of a position in a block."""
        row = "w0 - b"
        for d in range(1, self.n):
            row = f"({row}) * {self.positions[d]}L + w{d}"
        return row

    def _over_windows(self) -> tuple[str, str, list[str]]:
        """Loops over the elements of all windows of a block, the element in the rows, and its coordinates in the example."""
        loops = [f"            for (long k{d} = 0; k{d} < {self.size[d]}L; k{d}++)\n" for d in range(self.n)]
        loops.append(f"                for (long c = 0; c < {self.inside}L; c++) ")
        place = "k0"
        for d in range(1, self.n):
            place = f"({place}) * {self.size[d]}L + k{d}"
        element = f"rows[(({self._row()}) * {math.prod(self.size)}L + {place}) * {self.inside}L + c]"
        at = [f"(w{d} * {self.stride[d]} + k{d} * {self.dilation[d]})" for d in range(self.n)]
        return self._over_positions() + "".join(loops), element, at

    def _made(self, ci: int) -> str:
        """The windows of a block, copied into rows."""
        loops, element, at = self._over_windows()
        example, channel, *spatial = (s // self.pixels.itemsize for s in self.pixels.strides)
        terms = [f"{offset(self.pixels) + ci * channel} + e * {example}L", *(f"{a} * {s}L" for a, s in zip(at, spatial, strict=True))]
        terms.append("c" if channel == 1 else f"c * {channel}L")
        return f"{loops}{element} = p[{' + '.join(terms)}];\n"

    def _added(self, ci: int) -> str:
        """Rows added to where the windows of a block lie."""
        loops, element, at = self._over_windows()
        where = at[0]
        for d in range(1, self.n):
            where = f"({where} * {self.spatial[d]}L + {at[d]})"
        return f"{loops}z[{where} * {self.channels}L + {ci} + c] += {element};\n"


def _correlate(plan: Schedule, kernel: Kernel, node: Node) -> Text:
    return _Correlation(plan, kernel, node).text()


SINGLE = {
    "matmul": _matmul,
    "scatter": _scatter,
    "fold": _fold,
    "scan": _along,
    "arg": _along,
    "correlate": _correlate,
    "correlate_input": _correlate,
    "correlate_weight": _correlate,
}
