"""Chapter 4, continued: the function of a loop kernel.

Its axes are the finest that all shapes in it need: (12, 64, 128) for values of shape (768, 128) and (12, 64, 128). Each array then has
one stride for each axis, 0 where it is broadcast, and axes that all arrays walk as one are made one. The last axis, or those of a row,
are the inner loop; each phase has one of its own.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .c_values import OPERATORS, Text, accumulate, combine, ctype, expression, identity_of, literal, register
from .graph import Node, slices
from .schedule import CHEAP, Kernel, Schedule, contiguous, offset

BLOCK = 1024  # elements that a sum of one dimension adds up in single numbers, before it adds these up
SCRATCH = 1 << 14  # elements of a row that are kept from one phase to the next


@dataclass
class Access:
    """An array in a loop: which, how its elements are addressed along the loop's axes, and where they begin."""

    name: str
    node: Node
    strides: tuple[int, ...]
    start: int


class Loop:
    """The function of a loop kernel."""

    def __init__(self, plan: Schedule, kernel: Kernel) -> None:
        self.plan, self.kernel, self.fuser = plan, kernel, plan.fuser
        self.arrays: dict[
            Any, tuple[str, Node, bool, int]
        ] = {}  # what the function is given: name, value, whether it writes, where it begins
        self.accesses: dict[Any, Access] = {}
        bounds = sorted(kernel.bounds, reverse=True)
        self.dims = [a // b for a, b in itertools.pairwise(bounds)] or [1]
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

    def text(self) -> Text:
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
        parameters = [f"{'' if written else 'const '}{ctype(node)} *restrict {name}" for name, node, written, _ in self.arrays.values()]
        lines = [f"KERNEL NAME({', '.join(['const int t', *parameters])}) {{"]
        total = self.dims[-1] if flat else math.prod(self.dims[: self.outer])
        if kernel.parallel:
            step = ", 16" if flat else ""
            lines.append(
                f"    const long lo = part{'s' if flat else ''}({total}L, t{step}), hi = part{'s' if flat else ''}({total}L, t + 1{step});"
            )
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
        stores: dict[Node, list[int]] = {}
        for number, store in enumerate(kernel.stores):
            stores.setdefault(fuser.seen(store.node)[0], []).append(number)
        for node in kernel.nodes:
            level = fuser.level[node]
            if level == "row" and node.op == "reduce":
                self._row_reduction(node)
            elif level == "sum":
                self._sum(node)
            for number in stores.get(node, ()) if level != "sum" else ():
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
            return self._full(base, q or 0)
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
        for node in [
            *self.sums[q],
            *(n for n in self.kernel.nodes if n.op == "reduce" and self.fuser.level[n] == "row" and self.phase[n] == q + 1),
        ]:
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


def _direct(node: Node, strided: np.ndarray) -> np.ndarray:
    """How a gather's source is walked along the axes that no index counts."""
    strides = [strided.strides[axis] if axis >= 0 else 0 for axis in node.attrs[1]]
    return np.lib.stride_tricks.as_strided(strided, node.shape, strides, writeable=False)
