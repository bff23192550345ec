"""A page on which the forward and backward pass of a graph can be stepped through."""

import dataclasses
import html
import json
import linecache
import os
import string
import tempfile
import textwrap
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np

from ..files import replacing
from ..layers import Module
from ..tensor import Tensor
from .formulas import formula_of
from .grouping import grouped
from .names import names_of, user_variables
from .packing import Pack, compressed
from .sources import source_of
from .tape import Event, Tape, Value, dropped_constant, record
from .trace import local_derivative, written

PAGE = Path(__file__).parent / "page"
PARTS = ("style.css", "layout.js", "arrays.js", "drawing.js", "details.js", "explorer.js")
MAX_BYTES = 2_000_000
MAX_VALUES = 20_000
LIMITS = (1024, 576, 256, 144, 64)  # elements kept of an array, the most with which the page is small enough
ARRAYS_SHARE = 1_250_000  # bytes of numbers, before they are compressed and written as text
CONTEXT = 2  # lines shown before and after the user's


class Explorer:
    """A page about one graph, a text; Jupyter shows it in place.

    Attributes:
        html: the page.
        path: the file that holds it.
    """

    def __init__(self, page: str, path: Path, summary: str) -> None:
        self.html, self.path, self._summary = page, path, summary

    def __repr__(self) -> str:
        return f"<{self._summary}, in {self.path}>"

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="Backward, step by step: {html.escape(self._summary)}" srcdoc="{html.escape(self.html)}" '
            'sandbox="allow-scripts" style="width: 100%; height: 720px; border: 1px solid #8886; border-radius: 6px"></iframe>'
        )

    def open(self) -> None:
        """Show the file in the browser."""
        webbrowser.open(self.path.resolve().as_uri())


def explore(
    loss: Tensor,
    filename: str | os.PathLike[str] | None = None,
    model: Module | None = None,
    open: bool = False,
    gradient: Any = None,
) -> Explorer:
    """Write a page on which the forward and backward pass of `loss` can be stepped through: one HTML file that needs no network.

    Operations made within `debug()` show the line that made them and are grouped by module; without it, with `model`, they are grouped
    by the layers whose parameters they use. No `.grad` changes, and nothing of the graph is freed. The numbers are the engine's; of
    large arrays the page holds evenly spaced rows and columns, so that it stays under 2 MB.

    Args:
        loss: a Tensor that requires a gradient, of one element unless `gradient` is given, before `backward()` frees its graph.
        filename: an `.html` or `.htm` file; by default one in a new temporary folder.
        model: names the parameters, and groups the operations.
        open: show the page in the browser.
        gradient: the cotangent of `loss`, of its shape; by default 1.

    Returns:
        An Explorer: Jupyter shows the page, and its `path` is the file.

    Raises:
        TypeError: `loss` is no Tensor, or `model` no Module.
        ValueError: it requires no gradient; `gradient` has another shape; the graph has more than 20,000 values; or another suffix.
        RuntimeError: `loss` has not one element and there is no `gradient`; or a part of the graph was freed before.
        FileNotFoundError: the folder of `filename` does not exist.
    """
    if filename is not None and Path(filename).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"explore() writes an HTML file, whose name must end in .html or .htm, got {str(filename)!r}.")
    tape = record(loss, gradient, model, who="explore()")
    if len(tape.values) > MAX_VALUES:
        raise ValueError(
            f"explore() shows graphs of at most {MAX_VALUES:,} values, this one has {len(tape.values):,}. "
            "Explore fewer steps of it, a smaller batch or model, or an intermediate result with gradient=."
        )
    page = _page(tape, loss, model, names_of(tape, user_variables()))
    path = Path(tempfile.mkdtemp(prefix="micrograd-plus-")) / "explore.html" if filename is None else Path(filename)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    explorer = Explorer(page, path, f"explorer of {_counted(len(tape.values), 'value')} and {_counted(len(tape.events), 'step')} back")
    if open:
        explorer.open()
    return explorer


def _counted(n: int, one: str) -> str:
    return f"{n:,} {one}{'s' * (n != 1)}"


# -- the page ------------------------------------------------------------------------------------------------------------


def _page(tape: Tape, loss: Tensor, model: Module | None, names: list[str]) -> str:
    """The page, with as much of each array as keeps it small."""
    locals_ = [_local(tape, event) for event in tape.events]
    for limit in LIMITS:
        pack = Pack(limit)
        data = _described(tape, loss, model, names, locals_, pack)
        if sum(len(pack.numbers(kind)) for kind in ("f4", "f8")) > ARRAYS_SHARE and limit != LIMITS[-1]:
            continue
        page = _filled(data, pack)
        if len(page.encode()) < MAX_BYTES:
            return page
    raise ValueError(
        f"explore() writes pages under {MAX_BYTES // 10**6} MB, which the {len(tape.values):,} values of this graph exceed. "
        "Explore fewer steps of it, a smaller batch or model, or an intermediate result with gradient=."
    )


def _filled(data: Any, pack: Pack) -> str:
    parts = {name.replace(".", "_"): (PAGE / name).read_text(encoding="utf-8") for name in PARTS}
    described = json.dumps({**data, "arrays": pack.described}, separators=(",", ":"), allow_nan=False).encode()
    payload = {"data": compressed(described), "f4": compressed(pack.numbers("f4")), "f8": compressed(pack.numbers("f8"))}
    return string.Template((PAGE / "template.html").read_text(encoding="utf-8")).substitute(parts, **payload)


def _described(tape: Tape, loss: Tensor, model: Module | None, names: list[str], locals_: list[Any], pack: Pack) -> dict[str, Any]:
    """What the page is told, but the numbers, which go into the pack. The script says what each name means."""
    groups, places, kind = grouped(tape.values, model)
    lines: dict[Any, int] = {}
    sources: dict[Any, int] = {}
    nodes = [_node(tape, value, places[value.index], names, lines, sources, pack) for value in tape.values]
    steps = [
        {
            **{"source": event.source, "target": event.target, "position": event.position, "first": event.first},
            **{"axes": list(event.axes), "upstream": pack.add(event.upstream), "local": pack.add(local)},
            **{"contribution": pack.add(event.contribution), "reduced": pack.add(event.reduced), "total": pack.add(event.total)},
        }
        for event, local in zip(tape.events, locals_, strict=True)
    ]
    result = tape.value_of(loss)
    return {
        "nodes": nodes,
        "steps": steps,
        "groups": [dataclasses.asdict(group) for group in groups],
        "grouping": kind,
        "lines": [_shown_line(line) for line in lines],
        "sources": [_shown_source(rule) for rule in sources],
        "result": len(nodes) - 1 if result is None else result.index,
        "limit": pack.limit,
    }


def _node(
    tape: Tape, value: Value, place: int | None, names: list[str], lines: dict[Any, int], sources: dict[Any, int], pack: Pack
) -> dict[str, Any]:
    line = getattr(value.origin, "line", None)
    numbers = [_number(tape, value, k) for k in range(len(value.inputs))]
    node = {
        **{"kind": value.kind, "name": value.name, "variable": names[value.index], "group": place, "inputs": list(value.inputs)},
        **{"shape": _plain(value.shape), "dtype": _plain(value.dtype), "data": pack.add(value.data), "grad": pack.add(value.gradient)},
    }
    more = {
        "numbers": numbers if any(numbers) else None,
        "options": {name: _short(x) for name, x in value.options.items()},
        "line": None if line is None else lines.setdefault(line, len(lines)),
        "source": None if value.rule is None else sources.setdefault(value.rule, len(sources)),
        "modules": list(getattr(value.origin, "modules", ())),
        "part": value.part,
    }
    if value.rule is not None:
        more |= _formulas(tape, value, names)
    return {**node, **{name: x for name, x in more.items() if x is not None and x != [] and x != {}}}


def _number(tape: Tape, value: Value, position: int) -> str | None:
    """An input that is a number, also where the graph did not keep it and it can be told."""
    x = value.numbers[position]
    if x is None and value.rule is not None and value.inputs[position] is None:
        x = dropped_constant(tape, value, position)
    return None if x is None or np.size(x) != 1 else str(np.asarray(x).item())


def _formulas(tape: Tape, value: Value, names: list[str]) -> dict[str, Any]:
    """What the rule computes, and for each input what its pullback does, in names; of the latter, whether it is a local derivative."""
    formula = formula_of(tape, value)
    terms = [[written(tape, names, value, term.text), term.local] for term in formula.terms]
    return {"formula": written(tape, names, value, formula.text), "terms": terms}


def _local(tape: Tape, event: Event) -> Any:
    """The local derivative of a step, None where the rule is not elementwise."""
    value = tape.values[event.source]
    return local_derivative(value, event) if formula_of(tape, value).terms[event.position].local else None


def _plain(x: Any) -> Any:
    """Shapes and dtypes, of several values too, in JSON's terms."""
    if isinstance(x, tuple | list):
        return [_plain(part) for part in x]
    return int(x) if isinstance(x, int | np.integer) else str(x)


def _short(x: Any) -> str:
    text = f"array of shape {x.shape}" if isinstance(x, np.ndarray) else repr(x)
    return text if len(text) <= 200 else f"{text[:199]}…"


def _shown_line(line: Any) -> dict[str, Any]:
    """A line of the user's, with those around it."""
    numbers = range(max(1, line.number - CONTEXT), line.number + CONTEXT + 1)
    around = textwrap.dedent("".join(linecache.getline(line.file, number).rstrip() + "\n" for number in numbers)).split("\n")
    return {"place": str(line), "number": line.number, "around": [*zip(numbers, around, strict=False)] if line.text else []}


def _shown_source(rule: Any) -> dict[str, Any]:
    source = source_of(rule)
    return {} if source is None else source._asdict()
