"""The sources of rules: as they are written, and which part is the pullback to which input."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..rules import Rule


class Source(NamedTuple):
    """The text of a rule.

    Attributes:
        text: its source, without indentation.
        place: the file and line where it begins.
        inputs: the names of its inputs, as far as it names them.
        pullbacks: for each input, the source of its pullback, where it can be told apart.
    """

    text: str
    place: str
    inputs: tuple[str, ...]
    pullbacks: tuple[str | None, ...]


def source_of(rule: Rule) -> Source | None:
    """The source of a rule; None where Python can't find it, as that of one typed into a prompt."""
    function = inspect.unwrap(rule)
    try:
        lines, number = inspect.getsourcelines(function)
        file = inspect.getsourcefile(function) or ""
    except (OSError, TypeError):
        return None
    text = textwrap.dedent("".join(lines)).rstrip()
    names = tuple(
        parameter.name for parameter in inspect.signature(function).parameters.values() if parameter.kind == parameter.POSITIONAL_OR_KEYWORD
    )
    return Source(text, f"{Path(file).name}, line {number}", names, _pullbacks(function, text))


def _pullbacks(rule: Rule, text: str) -> tuple[str | None, ...]:
    """The source of each pullback of a rule that ends in `return value, (pullback, …)`; as many as can be told apart.

    `*pullbacks` in it are those of the rule that they came from: `value, pullbacks = matmul(x, y)`.
    """
    try:
        function = ast.parse(text).body[0]
    except SyntaxError:  # a lambda in the midst of a line
        return ()
    if not isinstance(function, ast.FunctionDef) or not isinstance(function.body[-1], ast.Return):
        return ()
    match function.body[-1].value:
        case ast.Tuple(elts=[_, ast.Tuple(elts=pullbacks)]):
            return tuple(_each(rule, text, function, pullbacks))
    return ()


def _each(rule: Rule, text: str, function: ast.FunctionDef, pullbacks: list[ast.expr]) -> Iterator[str | None]:
    named = {inner.name: inner for inner in function.body if isinstance(inner, ast.FunctionDef)}
    for pullback in pullbacks:
        if isinstance(pullback, ast.Starred):
            other = _maker(rule, function, ast.unparse(pullback.value))
            if other is None:
                return
            yield from other.pullbacks
            continue
        node = named.get(pullback.id) if isinstance(pullback, ast.Name) else pullback
        written = ast.get_source_segment(text, node, padded=True) if isinstance(node, ast.Lambda | ast.FunctionDef) else None
        yield written and textwrap.dedent(written)


def _maker(rule: Rule, function: ast.FunctionDef, name: str) -> Source | None:
    """The source of the rule that `name` was assigned the pullbacks of."""
    for statement in function.body:
        match statement:
            case ast.Assign(targets=[ast.Tuple(elts=[_, ast.Name(id=target)])], value=ast.Call(func=ast.Name(id=called))) if target == name:
                other = getattr(rule, "__globals__", {}).get(called)
                return None if other is None else source_of(other)
    return None
