"""Chapter 4, C: each kernel becomes a function, and the step a list of their calls.

The generated file has three parts. First comes what does not depend on the step: the types, the few functions that C lacks, the
declarations that let the compiler use the vector versions of expf and its like (`PRELUDE`, in c_prelude.py). Then one function for
each kernel; kernels that differ in nothing but the arrays they are given share one, as the layers of a network do. Last the step:

    static void run(int t, char *const *p, char *m, int *failed, double *times) {
        k0(t, (const float *)p[0], (const float *)p[1], (float *)(m + 0));
        BARRIER
        k1(t, ...);
    }

Every function is called by every thread with the thread's number t, and does that thread's part: rows lo to hi of a loop, a slice of
the rows of a product. Between kernels, threads wait for one another only where one reads what another wrote, or writes what another
may still read: where a thread reads just what it wrote itself, as from a product to the activation after it, none waits (`barriers`).

A loop is written as NumPy would write it, with one stride for each axis. Axes along which all arrays can be walked as one are made
one; the last is the inner loop, which the compiler makes vector instructions of (`#pragma omp simd`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .c_prelude import PRELUDE
from .graph import Node, slices
from .schedule import CHEAP, Kernel, Place, Schedule, contiguous, offset

TYPES = {
    "float32": "float",
    "float64": "double",
    "bool": "unsigned char",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long",
}
INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "bitwise_and": "&",
    "bitwise_or": "|",
    "bitwise_xor": "^",
}
CALLS = {
    **{name: name for name in ("expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "tanh", "sqrt", "floor", "ceil")},
    **{"exp": "exponential", "power": "pow", "arctan": "atan", "trunc": "trunc", "rint": "rint", "copysign": "copysign", "absolute": "fabs"},
    **{name: name for name in ("logistic", "normal_cdf", "sign")},
}
IDENTITY = {"sum": "0", "prod": "1", "all": "1", "any": "0", "max": "-INFINITY", "min": "INFINITY"}
BLOCK = 1024  # elements that a sum of one dimension adds up in single numbers, before it adds these up
SCRATCH = 1 << 14  # elements of a row that are kept from one phase to the next


@dataclass
class Access:
    """An array in a loop: which, how its elements are addressed along the loop's axes, and where they begin."""

    name: str
    node: Node
    strides: tuple[int, ...]
    start: int


def ctype(node: Node) -> str:
    """The C type of a value in memory."""
    return TYPES[node.dtype.name]


def register(node: Node) -> str:
    """The C type of a value in a register: a bool is an int."""
    return "int" if node.dtype == bool else ctype(node)


def literal(value: Any, dtype: Any) -> str:
    """A number in C."""
    if dtype.kind == "f":
        if math.isnan(value):
            return "NAN"
        if math.isinf(value):
            return "INFINITY" if value > 0 else "-INFINITY"
        text = repr(float(np.float32(value))) if dtype == np.float32 else repr(float(value))
        text = f"{text}f" if dtype == np.float32 else text
        return f"({text})" if text.startswith("-") else text
    text = str(int(value)) if dtype == bool else f"{int(value)}{'L' if dtype.itemsize == 8 else ''}"
    return f"({text})" if text.startswith("-") else text


def expression(node: Node, inputs: Sequence[str]) -> str:
    """A node's value as an expression of its inputs'."""
    op, x, kind = node.op, node.inputs[0] if node.inputs else node, node.dtype.kind
    if op in ("copy",):
        return inputs[0]
    if op == "cast":
        return f"({inputs[0]} != 0)" if node.dtype == bool else f"({register(node)}){inputs[0]}"
    if op == "where":
        return f"({inputs[0]} ? {inputs[1]} : {inputs[2]})"
    if op == "negative":
        return f"(-{inputs[0]})"
    if op == "square":
        return f"({inputs[0]} * {inputs[0]})"
    if op in ("maximum", "minimum"):
        sign = ">=" if op == "maximum" else "<="
        if kind != "f":
            return f"({inputs[0]} {sign} {inputs[1]} ? {inputs[0]} : {inputs[1]})"
        value = node.inputs[1].attrs[0] if node.inputs[1].op == "constant" else math.nan
        if not math.isnan(value):  # a NaN on the left is neither more nor less
            return f"({inputs[0]} {'<=' if op == 'maximum' else '>='} {inputs[1]} ? {inputs[1]} : {inputs[0]})"
        return f"{op}{'f' if node.dtype == np.float32 else ''}({inputs[0]}, {inputs[1]})"
    if op in INFIX:
        return f"({inputs[0]} {INFIX[op]} {inputs[1]})"
    if op in ("logical_not", "invert") and x.dtype == bool:
        return f"(!{inputs[0]})"
    if op == "invert":
        return f"(~{inputs[0]})"
    if op in ("logical_and", "logical_or"):  # both sides are there already, and branches are no vector instructions
        return f"(({inputs[0]} != 0) {'&' if op == 'logical_and' else '|'} ({inputs[1]} != 0))"
    if op == "logical_xor":
        return f"(!{inputs[0]} != !{inputs[1]})"
    if op == "isnan":
        return f"({inputs[0]} != {inputs[0]})"
    if op == "isinf":
        return f"(fabs({inputs[0]}) == INFINITY)"
    if op == "isfinite":
        return f"(fabs({inputs[0]}) < INFINITY)"
    if op == "signbit":
        return f"(copysign(1.0, {inputs[0]}) < 0)"
    if kind != "f":
        if op == "absolute":
            return f"({inputs[0]} < 0 ? -{inputs[0]} : {inputs[0]})"
        if op == "sign":
            return f"(({inputs[0]} > 0) - ({inputs[0]} < 0))"
        raise NotImplementedError(f"{op} of whole numbers has no form in C")
    suffix = "f" if node.dtype == np.float32 else ""
    return f"{CALLS[op]}{suffix}({', '.join(inputs)})"


class Loop:
    """The function of a loop kernel."""

    def __init__(self, plan: Schedule, kernel: Kernel) -> None:
        self.plan, self.kernel, self.fuser = plan, kernel, plan.fuser
        self.arrays: dict[Any, tuple[str, Node, bool, int]] = {}  # what the function is given: name, value, whether it writes, where it begins
        self.accesses: dict[Any, Access] = {}
        bounds = sorted(kernel.bounds, reverse=True)
        self.dims = [a // b for a, b in zip(bounds, bounds[1:], strict=False)] or [1]
        self.outer = len(self.dims) if kernel.inner is None else sum(1 for b in bounds[1:] if b >= kernel.inner)
        self._collect()
        self._collapse()

    # -- what is addressed, and how -----------------------------------------------------------------------------------------

    def _array(self, node: Node, start: int, written: bool) -> str:
        where = self.plan.memory[node], start
        name, known, before, _ = self.arrays.get(where, (f"a{len(self.arrays)}", node, False, start))
        self.arrays[where] = (name, known, before or written, start)
        return name

    def _access(self, key: Any, node: Node, strided: np.ndarray, written: bool = False) -> None:
        """Address an array whose elements are seen as `strided`, of the loop's elements or of its rows."""
        if key in self.accesses:
            return
        size = strided.size
        if size == self.kernel.size:
            shape: Sequence[int] = self.dims
            strides = np.reshape(strided, shape, copy=False).strides if size else ()
        else:
            shape = self.dims[: self.outer]
            strides = (*np.reshape(strided, shape, copy=False).strides, *(0,) * (len(self.dims) - self.outer))
        item = strided.itemsize
        start = offset(strided)
        name = "" if node.op == "iota" else self._array(node, start, written)
        self.accesses[key] = Access(name, node, tuple(s // item for s in strides), start)

    def _collect(self) -> None:
        kernel, fuser = self.kernel, self.fuser
        for node in kernel.nodes:
            for position, x in enumerate(node.inputs):
                base, strided = fuser.seen(x)
                if base.op == "constant" or fuser.home.get(base) is kernel:
                    continue
                if node.op == "gather" and position == 0:
                    self._access(("gather", node), base, _direct(node, strided))
                else:
                    self._access(self._key(base, strided), base, strided)
            if fuser.level[node] == "sum":
                base, strided = fuser.seen(node.inputs[0])
                out = np.broadcast_to(contiguous(node), node.inputs[0].shape)
                self._access(("sum", node), kernel.partial.get(node, node), out, True)
        for number, store in enumerate(kernel.stores):
            base, _ = fuser.seen(store.node)
            if fuser.level[base] == "sum":
                continue
            target = contiguous(store.target)
            if store.slices is not None:
                target = target[slices(store.slices)]
            self._access(("store", number), store.target, np.reshape(target, store.node.shape, copy=False), True)

    def _key(self, base: Node, strided: np.ndarray) -> Any:
        return base, strided.shape, strided.strides, offset(strided)

    def _collapse(self) -> None:
        """Make axes one that all arrays can be walked along as one."""
        dims, strides = list(self.dims), [list(access.strides) for access in self.accesses.values()]
        i = 0
        while i < len(dims):
            if dims[i] == 1 and len(dims) > 1 and not (i >= self.outer and len(dims) - self.outer == 1):
                del dims[i]
                for row in strides:
                    del row[i]
                self.outer -= i < self.outer
            else:
                i += 1
        i = 0
        while i + 1 < len(dims):
            inside = (i + 1 < self.outer) or (i >= self.outer)
            if inside and all(row[i] == row[i + 1] * dims[i + 1] for row in strides):
                dims[i : i + 2] = [dims[i] * dims[i + 1]]
                for row in strides:
                    del row[i]
                self.outer -= i + 1 < self.outer
            else:
                i += 1
        if self.kernel.inner is None:
            self.outer = len(dims) - 1
        self.dims = dims
        for access, row in zip(self.accesses.values(), strides, strict=True):
            access.strides = tuple(row)

    # -- the function's text ------------------------------------------------------------------------------------------------

    def text(self) -> "Text":
        """The function, with NAME for its name, and the arrays that it is to be called with."""
        kernel = self.kernel
        self.pointers = {key: f"x{i}" for i, key in enumerate(self.accesses)}
        self.phase: dict[Node, int] = {}
        self.names = {node: f"v{i}" for i, node in enumerate(kernel.nodes)}
        self._phases()
        last = max(self.phase.values(), default=0)
        self.bodies: list[list[str]] = [[] for _ in range(last + 1)]
        self.rows: list[list[str]] = [[] for _ in range(last + 2)]
        self.known: list[dict[Any, str]] = [{} for _ in range(last + 1)]
        self.at_row: dict[Any, str] = {}
        self.sums: list[list[Node]] = [[] for _ in range(last + 1)]
        self.kept: dict[Node, str] = {}
        self.tails: list[list[str]] = [[] for _ in range(last + 1)]
        self._emit()
        flat = not self.dims[: self.outer]
        lines = self._opening(flat)
        pad = "    " if flat else "        "
        if not flat:
            lines.append("    for (long r = lo; r < hi; r++) {")
            lines += [f"{pad}{line}" for line in self._coordinates()]
        lines += [f"{pad}{line}" for line in self._pointer_lines(flat)]
        for q in range(last + 1):
            lines += [f"{pad}{line}" for line in self.rows[q]]
            lines += [f"{pad}{line}" for line in self._inner(q, flat)]
        lines += [f"{pad}{line}" for line in self.rows[last + 1]]
        if not flat:
            lines.append("    }")
        lines.append("}")
        arguments = [(node, written, start) for _, node, written, start in self.arrays.values()]
        return "\n".join(lines) + "\n", arguments

    def _opening(self, flat: bool) -> list[str]:
        kernel, fuser = self.kernel, self.fuser
        parameters = [
            f"{'' if written else 'const '}{ctype(node)} *restrict {name}"
            for name, node, written, _ in self.arrays.values()
        ]
        lines = [f"KERNEL NAME({', '.join(['const int t', *parameters])}) {{"]
        total = self.dims[-1] if flat else math.prod(self.dims[: self.outer])
        if kernel.parallel:
            step = ", 16" if flat else ""
            lines.append(f"    const long lo = part{'s' if flat else ''}({total}L, t{step}), hi = part{'s' if flat else ''}({total}L, t + 1{step});")
        else:
            lines.append("    if (t) return;")
            lines.append(f"    const long lo = 0, hi = {total}L;")
        for node in kernel.nodes:
            if fuser.level[node] == "sum":
                access = self.accesses[("sum", node)]
                identity = identity_of(node)
                if node in kernel.partial:
                    lines.append(f"    {access.name} += {node.size}L * t;")
                lines.append(f"    for (long i = 0; i < {node.size}L; i++) {access.name}[i] = {identity};")
        for node, name in self.kept.items():
            lines.append(f"    {register(node)} {name}[{math.prod(self.dims[self.outer :])}] __attribute__((aligned(64)));")
        return lines

    def _coordinates(self) -> list[str]:
        """The coordinates of row r along the outer axes."""
        outer = self.dims[: self.outer]
        self.outer_names = ["r"] if len(outer) == 1 else [f"i{d}" for d in range(len(outer))]
        if len(outer) == 1:
            return []
        lines, rest = [], math.prod(outer)
        for d, n in enumerate(outer):
            rest //= n
            term = "r" if rest == 1 else f"r / {rest}"
            lines.append(f"const long i{d} = {term}{f' % {n}' if d else ''};")
        return lines

    def _pointer_lines(self, flat: bool) -> list[str]:
        lines = []
        for key, access in self.accesses.items():
            if access.node.op == "iota":
                continue
            terms = []
            if not flat:
                terms = [f"{name} * {s}L" for name, s in zip(self.outer_names, access.strides, strict=False) if s]
            const = "" if self.arrays[self.plan.memory[access.node], access.start][2] else "const "
            place = " + ".join([access.name, *terms])
            lines.append(f"{const}{ctype(access.node)} *{self.pointers[key]} = {place};")
        return lines

    def _address(self, access: Access, key: Any, extra: str = "") -> str:
        """An element inside of the inner loops."""
        inner = access.strides[self.outer :]
        names = [*(f"j{d}" for d in range(len(inner) - 1)), "c"]
        terms = [name if s == 1 else f"{name} * {s}L" for name, s in zip(names, inner, strict=True) if s]
        terms += [extra] if extra else []
        if access.node.op == "iota":
            outer = []
            if self.dims[: self.outer]:
                outer = [f"{name} * {s}L" for name, s in zip(self.outer_names, access.strides, strict=False) if s]
            return "(" + (" + ".join([*([str(access.start)] if access.start else []), *outer, *terms]) or "0") + ")"
        return f"{self.pointers[key]}[{' + '.join(terms) or '0'}]"

    # -- statements ---------------------------------------------------------------------------------------------------------

    def _phases(self) -> None:
        """The phase in which each node is first known: a row reduction after the one in which its input is."""
        kernel, fuser = self.kernel, self.fuser
        for node in kernel.nodes:
            phase = 0
            for x in node.inputs:
                base, _ = fuser.seen(x)
                if fuser.home.get(base) is kernel:
                    phase = max(phase, self.phase[base])
            self.phase[node] = phase + (node.op == "reduce" and fuser.level[node] == "row")

    def _emit(self) -> None:
        kernel, fuser = self.kernel, self.fuser
        if self.dims[: self.outer]:
            self._coordinates()
        else:
            self.outer_names = []
        for node in kernel.nodes:
            level = fuser.level[node]
            if level == "row" and node.op == "reduce":
                self._row_reduction(node)
            elif level == "sum":
                self._sum(node)
            for number, store in enumerate(kernel.stores):
                if fuser.seen(store.node)[0] is not node or level == "sum":
                    continue
                key = ("store", number)
                access = self.accesses[key]
                q = self.phase[node]
                if level == "full":
                    self.bodies[q].append(f"{self._address(access, key)} = {self._full(node, q)};")
                else:
                    self.rows[min(q, len(self.rows) - 1)].append(f"{self.pointers[key]}[0] = {self._row(node)};")

    def _load(self, x: Node, q: int | None) -> str:
        """An input: a constant, a value of this kernel, or an element in memory; q is the phase, None at the level of rows."""
        base, strided = self.fuser.seen(x)
        if base.op == "constant":
            return literal(base.attrs[0], base.dtype)
        if self.fuser.home.get(base) is self.kernel:
            if self.fuser.level[base] == "row":
                return self._row(base)
            assert q is not None
            return self._full(base, q)
        key = self._key(base, strided)
        access = self.accesses[key]
        if q is None:
            return f"{self.pointers[key]}[0]" if base.op != "iota" else self._address(access, key)
        found = self.known[q].get(key)
        if found is None:
            if not any(access.strides[self.outer :]) and base.op != "iota":
                found = self.at_row.get(key)
                if found is None:
                    found = self.at_row[key] = f"u{len(self.at_row)}"
                    self.rows[0].insert(0, f"const {register(base)} {found} = {self.pointers[key]}[0];")
            else:
                found = f"w{sum(len(known) for known in self.known)}"
                self.bodies[q].append(f"const {register(base)} {found} = {self._address(access, key)};")
            self.known[q][key] = found
        return found

    def _row(self, node: Node) -> str:
        """A value of a row."""
        if node in self.at_row or node.op == "reduce":
            return self.names[node]
        inputs = [self._load(x, None) for x in node.inputs] if node.op != "gather" else []
        text = self._gathered(node, None) if node.op == "gather" else expression(node, inputs)
        self.at_row[node] = self.names[node]
        self.rows[self.phase[node]].append(f"const {register(node)} {self.names[node]} = {text};")
        return self.names[node]

    def _gathered(self, node: Node, q: int | None) -> str:
        """An element found by indices."""
        base, strided = self.fuser.seen(node.inputs[0])
        key = ("gather", node)
        terms = []
        for axis, x in zip(node.attrs[0], node.inputs[1:], strict=True):
            stride = strided.strides[axis] // strided.itemsize
            terms.append(f"{self._load(x, q)} * {stride}L")
        if base.op == "iota":
            return self._address(self.accesses[key], key, " + ".join(terms))
        if q is None:
            return f"{self.pointers[key]}[{' + '.join(terms)}]"
        return self._address(self.accesses[key], key, " + ".join(terms))

    def _full(self, node: Node, q: int) -> str:
        """A value of an element, in phase q: computed there, kept from before, or computed again."""
        found = self.known[q].get(node)
        if found is not None:
            return found
        before = self.phase[node]
        if q > before and not self._is_cheap(node):
            stored = next((i for i, store in enumerate(self.kernel.stores) if store.node is node and store.target is node), None)
            if stored is not None:
                key = ("store", stored)
                text = self._address(self.accesses[key], key)
            else:
                if node not in self.kept:
                    self.kept[node] = f"s{len(self.kept)}"
                    value = self._full(node, before)
                    self.tails[before].append(f"{self.kept[node]}[{self._position()}] = {value};")
                text = f"{self.kept[node]}[{self._position()}]"
        elif node.op == "gather":
            text = self._gathered(node, q)
        else:
            text = expression(node, [self._load(x, q) for x in node.inputs])
        name = self.names[node]
        self.known[q][node] = name
        self.bodies[q].append(f"const {register(node)} {name} = {text};")
        return name

    def _position(self) -> str:
        """The number of an element in its row."""
        inner = self.dims[self.outer :]
        names, terms, step = [*(f"j{d}" for d in range(len(inner) - 1)), "c"], [], 1
        for name, n in zip(reversed(names), reversed(inner), strict=True):
            terms.append(name if step == 1 else f"{name} * {step}L")
            step *= n
        return " + ".join(reversed(terms))

    def _is_cheap(self, node: Node, depth: int = 3) -> bool:
        """Whether a value is computed again rather than kept."""
        if math.prod(self.dims[self.outer :]) > SCRATCH:
            return True
        if node.op not in CHEAP or depth == 0:
            return False
        for x in node.inputs:
            base, _ = self.fuser.seen(x)
            if self.fuser.home.get(base) is self.kernel and self.fuser.level[base] == "full" and not self._is_cheap(base, depth - 1):
                return False
        return True

    def _row_reduction(self, node: Node) -> None:
        kind = node.attrs[0]
        q = self.phase[node] - 1
        name = self.names[node]
        x = self._full(self.fuser.seen(node.inputs[0])[0], q) if self._inside(node.inputs[0]) else self._load(node.inputs[0], q)
        self.rows[q].append(f"{register(node)} {name} = {identity_of(node)};")
        self.at_row[node] = name
        self.bodies[q] += accumulate(kind, name, x, node)
        if kind in ("max", "min") and node.dtype.kind == "f":
            self.rows[q].append(f"int {name}_nan = 0;")
            self.rows[q + 1].append(f"if ({name}_nan) {name} = NAN;")

    def _inside(self, x: Node) -> bool:
        base, _ = self.fuser.seen(x)
        return self.fuser.home.get(base) is self.kernel and self.fuser.level[base] == "full"

    def _sum(self, node: Node) -> None:
        key = ("sum", node)
        access, kind = self.accesses[key], node.attrs[0]
        size = node.inputs[0].size
        if size != self.kernel.size:  # of values of rows
            base, _ = self.fuser.seen(node.inputs[0])
            q = self.phase[base] if self.fuser.home.get(base) is self.kernel else 0
            x = self._load(node.inputs[0], None)
            self.rows[max(q, 0)].extend(combine(kind, f"{self.pointers[key]}[0]", x, node))
            return
        base, _ = self.fuser.seen(node.inputs[0])
        q = self.phase[node]
        x = self._load(node.inputs[0], q)
        if access.strides and access.strides[-1]:
            self.bodies[q] += combine(kind, self._address(access, key), x, node)
        else:
            self.sums[q].append(node)
            self.bodies[q] += accumulate(kind, f"w_{self.names[node]}", x, node)

    def _inner(self, q: int, flat: bool) -> list[str]:
        """The inner loops of a phase."""
        body = [*self.bodies[q], *self.tails[q]]
        if not body:
            return []
        inner = self.dims[self.outer :]
        lines, depth = [], 0
        for d, n in enumerate(inner[:-1]):
            lines.append("    " * depth + f"for (long j{d} = 0; j{d} < {n}L; j{d}++) {{")
            depth += 1
        pad = "    " * depth
        clauses = []
        for node in [*self.sums[q], *(n for n in self.kernel.nodes if n.op == "reduce" and self.fuser.level[n] == "row" and self.phase[n] == q + 1)]:
            summed = node in self.sums[q]
            name = f"w_{self.names[node]}" if summed else self.names[node]
            kind = node.attrs[0]
            clauses.append(f" reduction({OPERATORS[kind]}:{name})")
            if kind in ("max", "min") and node.dtype.kind == "f":
                clauses.append(f" reduction(|:{name}_nan)")
        bounds = ("lo", "hi") if flat else ("0", f"{inner[-1]}L")
        blocked = flat and self.sums[q]
        if blocked:
            lines.append(f"{pad}for (long b = lo; b < hi; b += {BLOCK}) {{")
            bounds = ("b", f"(b + {BLOCK} < hi ? b + {BLOCK} : hi)")
            pad += "    "
        for node in self.sums[q]:
            lines.append(f"{pad}{register(node)} w_{self.names[node]} = {identity_of(node)};")
            if node.attrs[0] in ("max", "min") and node.dtype.kind == "f":
                lines.append(f"{pad}int w_{self.names[node]}_nan = 0;")
        lines.append(f"{pad}#pragma omp simd{''.join(clauses)}")
        lines.append(f"{pad}for (long c = {bounds[0]}; c < {bounds[1]}; c++) {{")
        lines += [f"{pad}    {line}" for line in body]
        lines.append(f"{pad}}}")
        for node in self.sums[q]:
            key, name = ("sum", node), f"w_{self.names[node]}"
            access = self.accesses[key]
            names = [f"j{d}" for d in range(len(inner) - 1)]
            terms = [f"{n} * {s}L" for n, s in zip(names, access.strides[self.outer :], strict=False) if s]
            if node.attrs[0] in ("max", "min") and node.dtype.kind == "f":
                lines.append(f"{pad}if ({name}_nan) {name} = NAN;")
            lines += [f"{pad}{line}" for line in combine(node.attrs[0], f"{self.pointers[key]}[{' + '.join(terms) or '0'}]", name, node)]
        if blocked:
            pad = pad[4:]
            lines.append(f"{pad}}}")
        lines += ["    " * d + "}" for d in reversed(range(depth))]
        return lines


OPERATORS = {"sum": "+", "prod": "*", "max": "max", "min": "min", "all": "&", "any": "|"}


def identity_of(node: Node) -> str:
    """What a reduction begins with."""
    kind = node.attrs[0]
    if kind in ("max", "min") and node.dtype.kind != "f":
        info = np.iinfo(node.dtype) if node.dtype != bool else None
        if info is None:
            return "0" if kind == "max" else "1"
        return literal(info.min + (info.min < 0), node.dtype) if kind == "max" else literal(info.max, node.dtype)
    return IDENTITY[kind]


def accumulate(kind: str, name: str, x: str, node: Node) -> list[str]:
    """Take one more element into a reduction in a register."""
    match kind:
        case "sum":
            return [f"{name} += {x};"]
        case "prod":
            return [f"{name} *= {x};"]
        case "all":
            return [f"{name} &= {x} != 0;"]
        case "any":
            return [f"{name} |= {x} != 0;"]
    sign = ">" if kind == "max" else "<"
    lines = [f"{name} = {x} {sign} {name} ? {x} : {name};"]
    return [*lines, f"{name}_nan |= {x} != {x};"] if node.dtype.kind == "f" else lines


def combine(kind: str, place: str, x: str, node: Node) -> list[str]:
    """Take one more value into a reduction in memory."""
    match kind:
        case "sum":
            return [f"{place} += {x};"]
        case "prod":
            return [f"{place} *= {x};"]
        case "all":
            return [f"{place} = {place} && {x};"]
        case "any":
            return [f"{place} = {place} || {x};"]
    sign = ">" if kind == "max" else "<"
    nan = f" || {x} != {x}" if node.dtype.kind == "f" else ""
    return [f"{place} = {x} {sign} {place}{nan} ? {x} : {place};"]


def _direct(node: Node, strided: np.ndarray) -> np.ndarray:
    """How a gather's source is walked along the axes that no index counts."""
    strides = [strided.strides[axis] if axis >= 0 else 0 for axis in node.attrs[1]]
    return np.lib.stride_tricks.as_strided(strided, node.shape, strides, writeable=False)



# -- kernels of one node -------------------------------------------------------------------------------------------------

Argument = tuple[Node, bool, int]  # an array that a function is called with, whether it writes it, and the element it begins at
Text = tuple[str, list[Argument]]


def function(plan: Schedule, kernel: Kernel) -> list[Text]:
    """The functions of a kernel, each with the arrays that it is to be called with, and whether it writes them."""
    if kernel.kind == "loop":
        return [Loop(plan, kernel).text(), *(_combination(plan, node, part) for node, part in kernel.partial.items())]
    if kernel.kind == "check":
        node = next(iter(kernel.reads))
        return [("KERNEL NAME(const int t, const unsigned char *x, int *failed) {\n    if (!t && !*x) *failed = 1;\n}\n", [(node, False, 0)])]
    node = kernel.nodes[0]
    if kernel.kind == "fill":
        head = _head([(node, True, 0)], "y")
        body = f"    for (long i = lo; i < hi; i++) y[i] = {literal(kernel.fill, node.dtype)};\n"
        return [(head + _range(kernel, node.size, True) + body + "}\n", [(node, True, 0)])]
    return [SINGLE[kernel.kind](plan, kernel, node), *(_combination(plan, node, part) for node, part in kernel.partial.items())]


def _head(arrays: Sequence[Argument], names: str) -> str:
    parameters = [
        f"{'' if written else 'const '}{ctype(node)} *restrict {name}" for (node, written, _), name in zip(arrays, names.split(), strict=True)
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
        lines.append(f"    for (long r = 0; r < {node.size // width}L; r++)\n        for (long c = lo; c < hi; c++) y[r * {width}L + c] = 0;\n")
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
        lines.append(f"        {ctype(node)} v = 0;\n        for (long j = 0; j < {shape[axis]}L; j++) {{ v += {source}; {target} = v; }}\n")
    else:
        sign = ">" if node.attrs[0] == "argmax" else "<"
        first = f"x[{_at(sx, ['0' if name == 'j' else name for name in names])}]"
        lines.append(f"        {ctype(x)} v = {first};\n        long k = 0;\n")
        lines.append(f"        for (long j = 1; j < {shape[axis]}L; j++) {{\n            const {ctype(x)} w = {source};\n")
        lines.append(f"            if (w {sign} v || (w != w && v == v)) {{ v = w; k = j; }}\n        }}\n        {target} = k;\n")
    return "".join([*lines, "    }\n}\n"]), arrays


ROWS = 1 << 15  # elements of the matrix of windows that a thread makes at a time, which then stays in its cache


def _correlate(plan: Schedule, kernel: Kernel, node: Node) -> Text:
    """Convolution and its two gradients: matrix products with blocks of windows, of one example at a time.

    Three matrices are at work, of P positions, K elements of a window and O channels: windows (P, K), weight (K, O) and values
    (P, O). `correlate` makes values = windows @ weight, `correlate_weight` weight = sum windows^T @ values, `correlate_input` adds
    values @ weight^T back to where the windows lie.
    """
    (p, sp), (q, sq) = (plan.fuser.seen(part) for part in plan.fuser.operands.get(node, node.inputs))
    settings, op = dict(node.attrs), node.op
    stride, dilation, groups, size = settings["stride"], settings["dilation"], settings["groups"], settings["size"]
    n = len(stride)
    letter, kind = ("s", "float") if node.dtype == np.float32 else ("d", "double")
    pixels = None if op == "correlate_input" else sp  # (N, C, *spatial)
    spatial = settings["spatial"] if pixels is None else pixels.shape[2:]
    channels = node.shape[-1] if pixels is None else pixels.shape[1]
    if op == "correlate":
        outs, positions = node.shape[-1], node.shape[1:-1]
    else:
        values = sp if op == "correlate_input" else sq  # (N, O, *positions)
        outs, positions = values.shape[1], values.shape[2:]
    examples = node.inputs[0].shape[0]
    inside, outside, window = channels // groups, outs // groups, math.prod(size) * (channels // groups)
    depth = positions[0]  # windows are made for some rows of positions at a time
    width = math.prod(positions[1:])
    rows = max(1, min(depth, ROWS // max(1, width * window)))
    arrays = [(p, False, 0), (q, False, 0), (node, True, 0)]
    by_columns, distance = matrix(sq) if sq.ndim == 2 else (False, 0)  # the weight
    text = [_head(arrays, "p q y")]
    by_thread = op == "correlate_weight"
    whole = node.size
    if by_thread and kernel.parallel:  # each thread adds up its own
        partial = kernel.partial[node]
        arrays[2] = (partial, True, 0)
        text.append(f"    y += {whole}L * t;\n")
    text.append(_range(kernel, examples))
    text.append(f"    {kind} *const rows = scratch(t, {rows * width * max(window, 1)}L * sizeof({kind}));\n")
    if op != "correlate":
        text.append(f"    {kind} *const columns = rows + {rows * width * window}L;\n")
        text[-2] = f"    {kind} *const rows = scratch(t, {rows * width * (window + outside)}L * sizeof({kind}));\n"
    if by_thread:
        text.append(f"    for (long i = 0; i < {whole}L; i++) y[i] = 0;\n")
    text.append("    for (long e = lo; e < hi; e++) {\n")
    area = math.prod(spatial)
    if op == "correlate_input":
        text.append(f"        {kind} *const z = y + e * {area * channels}L;\n        for (long i = 0; i < {area * channels}L; i++) z[i] = 0;\n")
    text.append(f"        for (long b = 0; b < {depth}L; b += {rows}) {{\n            const long stop = b + {rows} < {depth}L ? b + {rows} : {depth}L;\n")
    text.append(f"            const long count = (stop - b) * {width}L;\n")
    for g in range(groups):
        ci, co = g * inside, g * outside
        if op != "correlate_input":
            text.append(_windows(sp, spatial, positions, size, stride, dilation, ci, inside, "make"))
        if op == "correlate":
            out = f"y + (e * {depth}L + b) * {width * outs}L + {co}"
            weight = f"q + {offset(sq) + co * (distance if by_columns else 1)}"
            text.append(
                f"            product_{letter}(0, {int(by_columns)}, count, {outside}, {window}, rows, {window}, {weight}, {distance}, {out}, {outs});\n"
            )
        else:
            values = sp if op == "correlate_input" else sq
            source, ld = _values(values, "p" if op == "correlate_input" else "q", positions, width, co, outside)
            text.append(source)
            where = "columns" if ld == outside and "columns" in source else source_pointer(values, "p" if op == "correlate_input" else "q", co, width)
            if op == "correlate_weight":
                text.append(
                    f"            accumulate_{letter}(1, 0, {window}, {outside}, count, rows, {window}, {where}, {ld}, y + {co}, {outs});\n"
                )
            else:
                weight = f"q + {offset(sq) + co * (distance if by_columns else 1)}"
                text.append(
                    f"            product_{letter}(0, {int(not by_columns)}, count, {window}, {outside}, {where}, {ld}, "
                    f"{weight}, {distance}, rows, {window});\n"
                )
                text.append(_windows(None, spatial, positions, size, stride, dilation, ci, inside, "add", channels))
    text.append("        }\n    }\n}\n")
    return "".join(text), arrays


def _values(values: np.ndarray, name: str, positions: Sequence[int], width: int, first: int, outside: int) -> tuple[str, int]:
    """Code that brings the values (count, O) of a block of positions together where they are not rows in memory, and their distance."""
    item = values.itemsize
    channel, spatial = values.strides[1] // item, [s // item for s in values.strides[2:]]
    regular = channel == 1 and all(
        spatial[d] == spatial[d + 1] * positions[d + 1] or positions[d] == 1 for d in range(len(positions) - 1)
    )
    if regular and spatial[-1] >= outside:
        return "", spatial[-1]
    names = ["e", "o", *(f"w{d}" for d in range(len(positions)))]
    lines = ["            for (long w0 = b; w0 < stop; w0++)\n"]
    lines += [f"            for (long w{d} = 0; w{d} < {positions[d]}L; w{d}++)\n" for d in range(1, len(positions))]
    row = "w0 - b"
    for d in range(1, len(positions)):
        row = f"({row}) * {positions[d]}L + w{d}"
    at = _at(values, names)
    lines.append(f"                for (long o = 0; o < {outside}L; o++) columns[({row}) * {outside}L + o] = {name}[{at} + {first * channel}L];\n")
    return "".join(lines), outside


def source_pointer(values: np.ndarray, name: str, first: int, width: int) -> str:
    """Where the values of a block of positions begin."""
    item = values.itemsize
    return f"{name} + {offset(values)} + e * {values.strides[0] // item}L + b * {values.strides[2] // item}L + {first}"


def _windows(
    pixels: np.ndarray | None,
    spatial: Sequence[int],
    positions: Sequence[int],
    size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    first: int,
    inside: int,
    what: str,
    channels: int = 0,
) -> str:
    """Code that copies the windows of a block of positions into rows, or adds rows back to where the windows lie."""
    n = len(positions)
    lines, pad = [], "            "
    lines.append(f"{pad}for (long w0 = b; w0 < stop; w0++)\n")
    lines += [f"{pad}for (long w{d} = 0; w{d} < {positions[d]}L; w{d}++)\n" for d in range(1, n)]
    row = "w0 - b"
    for d in range(1, n):
        row = f"({row}) * {positions[d]}L + w{d}"
    lines += [f"{pad}for (long k{d} = 0; k{d} < {size[d]}L; k{d}++)\n" for d in range(n)]
    place = "k0"
    for d in range(1, n):
        place = f"({place}) * {size[d]}L + k{d}"
    target = f"rows[(({row}) * {math.prod(size)}L + {place}) * {inside}L + c]"
    at = [f"w{d} * {stride[d]} + k{d} * {dilation[d]}" for d in range(n)]
    if what == "make":
        assert pixels is not None
        item = pixels.itemsize
        terms = [f"({a}) * {pixels.strides[d + 2] // item}L" for d, a in enumerate(at)]
        c = pixels.strides[1] // item
        source = f"p[{offset(pixels) + first * c} + e * {pixels.strides[0] // item}L + {' + '.join(terms)} + c{'' if c == 1 else f' * {c}L'}]"
        lines.append(f"{pad}    for (long c = 0; c < {inside}L; c++) {target} = {source};\n")
    else:
        where = "0"
        for d, a in enumerate(at):
            where = f"({where}) * {spatial[d]}L + {a}" if d else a
        lines.append(f"{pad}    for (long c = 0; c < {inside}L; c++) z[({where}) * {channels}L + {first} + c] += {target};\n")
    return "".join(lines)


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


# -- the step ------------------------------------------------------------------------------------------------------------


@dataclass
class Call:
    """A call of a function by all threads: for which kernel, on what, and whether all wait before it."""

    kernel: Kernel
    name: str
    arrays: list[Argument]
    barrier: bool = False


def program(plan: Schedule) -> tuple[str, list[Call]]:
    """The C file of a schedule, and the calls that its step makes."""
    names: dict[str, str] = {}
    calls: list[Call] = []
    texts = []
    for kernel in plan.kernels:
        for text, arrays in function(plan, kernel):
            name = names.get(text)
            if name is None:
                name = names[text] = f"k{len(names)}_{_title(kernel)}"
                texts.append(f"// {_comment(kernel)}\n{text.replace('NAME', name, 1)}")
            calls.append(Call(kernel, name, arrays))
    barriers(plan, calls)
    lines = ["static void run(const int t, char *const *p, char *m, int *failed, double *times) {"]
    for i, call in enumerate(calls):
        if call.barrier:
            lines.append("    BARRIER")
        pointers = [_pointer(plan, *argument) for argument in call.arrays]
        pointers += ["failed"] if call.kernel.kind == "check" else []
        lines.append(f"    {call.name}({', '.join(['t', *pointers])});")
        lines.append(f"    MARK({i})")
        if call.kernel.kind == "check":
            lines.append("    BARRIER\n    if (*failed) return;")
    lines.append("}\n")
    head = f"#define THREADS {plan.threads}\n"
    return "\n".join([head + PRELUDE, *texts, "\n".join(lines)]) + STEP, calls


STEP = """
// 0 if all is well, 1 if a check failed, 2 if there are fewer threads than this was made for. Nothing has been written then.
int step(char *const *p, char *m, double *times) {
    int failed = 0;
#if THREADS > 1
    #pragma omp parallel num_threads(THREADS)
    {
        if (omp_get_num_threads() == THREADS) run(omp_get_thread_num(), p, m, &failed, times);
        else failed = 2;
    }
#else
    run(0, p, m, &failed, times);
#endif
    return failed;
}
"""


def _title(kernel: Kernel) -> str:
    if kernel.kind != "loop":
        return kernel.kind
    ops: dict[str, None] = {}
    for node in kernel.nodes:
        if node.op not in ("cast", "copy", "where", "multiply", "add", "subtract"):
            ops[node.attrs[0] if node.op == "reduce" else node.op] = None
    chosen = list(ops) or [kernel.nodes[-1].op]
    return "_".join(chosen[:3])


def _comment(kernel: Kernel) -> str:
    ops = ", ".join(node.attrs[0] if node.op == "reduce" else node.op for node in kernel.nodes[:12]) or "check"
    more = f", and {len(kernel.nodes) - 12} more" if len(kernel.nodes) > 12 else ""
    line = next((node.line for node in kernel.nodes if node.line), None)
    where = f"; {line[0].rpartition('/')[2]}, line {line[1]}" if line else ""
    shape = kernel.nodes[-1].shape if kernel.nodes else ()
    return f"{ops}{more}: {shape}{where}"


def _pointer(plan: Schedule, node: Node, written: bool, start: int) -> str:
    where = plan.memory[node]
    kind = f"({'' if written else 'const '}{ctype(node)} *)"
    if isinstance(where, Place):
        return f"{kind}p[{where.index}]{f' + {start}' if start else ''}"
    return f"{kind}(m + {where + start * node.dtype.itemsize})"


# -- barriers ------------------------------------------------------------------------------------------------------------

Ranges = tuple[tuple[int, int], ...]  # the elements that each thread touches


@dataclass
class Touch:
    """An array that a call reads or writes: its memory, and the elements that each thread touches."""

    memory: Any
    begin: int
    end: int
    ranges: Ranges
    written: bool


def barriers(plan: Schedule, calls: Sequence[Call]) -> None:
    """Let all threads wait before a call that touches what another thread may still be writing or reading."""
    since: list[Touch] = []
    for call in calls:
        touches = _touches(plan, call)
        call.barrier = any(_conflict(a, b) for a in touches for b in since)
        if call.barrier:
            since = []
        since += touches
        if call.kernel.kind == "check":
            since = []


def _conflict(a: Touch, b: Touch) -> bool:
    if not (a.written or b.written):
        return False
    if isinstance(a.memory, Place) or isinstance(b.memory, Place):
        if a.memory != b.memory:
            return False
    elif a.begin >= b.end or b.begin >= a.end:
        return False
    if a.memory != b.memory or len(a.ranges) == 0:
        return any(s[0] < s[1] and u[0] < u[1] for i, s in enumerate(a.ranges) for k, u in enumerate(b.ranges) if i != k)
    return any(
        max(s[0], u[0]) < min(s[1], u[1]) for i, s in enumerate(a.ranges) for k, u in enumerate(b.ranges) if i != k
    )


def part(n: int, t: int, threads: int, step: int = 1) -> int:
    """Where thread t's share of n begins; the C functions part and parts."""
    return min(n, -(-n * t // threads // step) * step) if step > 1 else n * t // threads


def _touches(plan: Schedule, call: Call) -> list[Touch]:
    kernel, threads = call.kernel, plan.threads
    found = []
    for node, written, _ in call.arrays:
        where = plan.memory[node]
        begin = 0 if isinstance(where, Place) else where
        end = begin + node.size * node.dtype.itemsize
        everything = ((0, node.size),) * threads
        if not kernel.parallel:
            ranges: Ranges = ((0, node.size), *((0, 0) for _ in range(threads - 1)))
        elif node.op == "partial" and written:
            size = node.size // threads
            ranges = tuple((t * size, (t + 1) * size) for t in range(threads))
        else:
            ranges = _ranges(plan, call, node, written) or everything
        found.append(Touch(where, begin, end, ranges, written))
    return found


def _ranges(plan: Schedule, call: Call, node: Node, written: bool) -> Ranges | None:
    """For each thread, a run of elements that holds all that it touches of an array; None where that is all of it."""
    kernel, threads = call.kernel, plan.threads
    if call.arrays[0][0].op == "partial" and not call.arrays[0][1]:  # a combination
        return tuple((part(node.size, t, threads), part(node.size, t + 1, threads)) for t in range(threads)) if written else None
    if kernel.kind == "fill":
        return tuple((part(node.size, t, threads, 16), part(node.size, t + 1, threads, 16)) for t in range(threads))
    if kernel.kind == "loop":
        loop, memory = Loop(plan, kernel), plan.memory[node]
        outer, step = (loop.dims[: loop.outer], 1) if loop.outer else (loop.dims, 16)
        every = []
        for access in loop.accesses.values():
            if access.node.op != "iota" and plan.memory[access.node] == memory:
                inner = list(zip(loop.dims[len(outer) :], access.strides[len(outer) :], strict=True))
                every.append(_run(outer, access.strides[: len(outer)], access.start, inner, threads, step))
        return _hull(every)
    if kernel.kind in ("matmul", "correlate", "correlate_input"):
        return _product_ranges(plan, kernel, node, written)
    return None


def _product_ranges(plan: Schedule, kernel: Kernel, node: Node, written: bool) -> Ranges | None:
    """Those of products: by batch, by rows, or by examples, of the result and of what is read in the same order."""
    single = kernel.nodes[0]
    split = "examples" if single.op != "matmul" else product_split(plan, kernel, single)
    if split not in ("rows", "batch", "examples"):
        return None
    every = []
    views = [contiguous(single)] if written else [
        strided for base, strided in map(plan.fuser.seen, plan.fuser.operands[single]) if plan.memory.get(base) == plan.memory[node]
    ]
    last = plan.fuser.seen(plan.fuser.operands[single][1])[0]  # what rows and examples are all multiplied by
    if not written and split != "batch" and plan.memory.get(last) == plan.memory[node]:
        return None
    for strided in views:
        axes = {"rows": strided.ndim - 1, "batch": strided.ndim - 2, "examples": 1}[split]
        if split == "rows" and strided.ndim > 2:
            return None
        strides = [s // strided.itemsize for s in strided.strides]
        inner = list(zip(strided.shape[axes:], strides[axes:], strict=True))
        every.append(_run(strided.shape[:axes], strides[:axes], offset(strided), inner, plan.threads, 1))
    return _hull(every)


def _hull(every: Sequence[Ranges | None]) -> Ranges | None:
    known = [ranges for ranges in every if ranges is not None]
    if not every or len(known) < len(every):
        return None
    return tuple((min(a for a, _ in each), max(b for _, b in each)) for each in zip(*known, strict=True))


def _run(
    outer: Sequence[int], strides: Sequence[int], start: int, inner: Sequence[tuple[int, int]], threads: int, step: int
) -> Ranges | None:
    """The elements from the first to the last that each thread touches, where it takes its share of the outer axes in C order."""
    if any(s < 0 for s in strides) or any(s < 0 for _, s in inner):
        return None
    for (n, s), before in zip(list(zip(outer, strides, strict=True))[1:], strides, strict=False):
        if before < s * (n - 1):  # not in the order of memory
            return None
    width = sum((n - 1) * s for n, s in inner) + 1
    total, found = math.prod(outer), []
    for t in range(threads):
        lo, hi = part(total, t, threads, step), part(total, t + 1, threads, step)
        if lo >= hi:
            found.append((0, 0))
            continue
        first, last = (sum(i * s for i, s in zip(np.unravel_index(at, outer), strides, strict=True)) for at in (lo, hi - 1))
        found.append((start + int(first), start + int(last) + width))
    return tuple(found)
