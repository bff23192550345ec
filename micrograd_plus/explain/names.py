"""Names for the values of a tape: those of the user's variables, or x1, v1, c1 where there are none."""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ..layers import Module
from ..tensor import Tensor
from .lines import PACKAGE
from .tape import Tape

LETTERS = {"leaf": "x", "constant": "c", "operation": "v", "part": "v"}
MAX_ITEMS = 100  # of a list or dict that is looked into


def user_variables() -> dict[str, Any]:
    """The variables that the innermost frame outside of this package sees: its own, the attributes of its `self`, those of its module."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    if frame is None:
        return {}
    own = variables_of(frame)
    return {**frame.f_globals, **_attributes(own.get("self")), **own}


def _attributes(owner: Any) -> dict[str, Any]:
    """The attributes of a method's `self`, as expressions for them."""
    attributes = getattr(owner, "__dict__", None)
    return {f"self.{name}": x for name, x in attributes.items()} if type(attributes) is dict else {}


def variables_for(names: Mapping[str, Any] | None, who: str) -> Mapping[str, Any]:
    """What names the values: `names`, which `who` was given, or the variables that its caller sees.

    Raises:
        TypeError: `names` is no dict of Tensors, Modules, or lists and dicts of them, by name.
    """
    if names is None:
        return user_variables()
    if not isinstance(names, Mapping):
        raise TypeError(f"{who} needs names= as a dict of Tensors and Modules by name, got {type(names).__name__}.")
    for name, x in names.items():
        items = x.values() if isinstance(x, dict) else x if isinstance(x, list | tuple) else [x]
        wrong = [item for item in items if not isinstance(item, Tensor | Module)]
        if wrong or not isinstance(name, str):
            got = f"{type(wrong[0]).__name__} for {name!r}" if wrong else f"the name {name!r}"
            raise TypeError(f"{who} needs names= as a dict of Tensors and Modules, or lists and dicts of them, by name, got {got}.")
    return names


def variables_of(frame: Any) -> dict[str, Any]:
    """A frame's own variables, in a dict of its own.

    Before Python 3.13, a function's frame keeps the dict that `f_locals` gives, and with it every value in it, until it ends: a
    graph would not be freed. Where nobody else refers to that dict, it is emptied.
    """
    variables = frame.f_locals
    found = dict(variables)
    if type(variables) is dict and frame.f_code.co_flags & inspect.CO_OPTIMIZED and sys.getrefcount(variables) <= 3:
        variables.clear()
    return found


def given_names(tape: Tape, variables: Mapping[str, Any]) -> dict[int, str]:
    """The names that variables give to values of a tape, by index.

    A variable that is a Tensor names its value; one that is a Module, list, tuple or dict, what it holds: model.weight, xs[0].
    """
    names: dict[int, str] = {}
    for name, x in variables.items():
        if re.match(r"_|Out$|In$", name):  # an interactive session's own
            continue
        for path, tensor in _tensors(name, x):
            value = tape.value_of(tensor)
            if value is not None and len(names.get(value.index, path)) >= len(path):
                names[value.index] = path
    return names


def names_of(tape: Tape, variables: Mapping[str, Any]) -> list[str]:
    """A name for each value of a tape, all different: that which a variable gives it, else x1 (a leaf), c1 (a constant), v1 (a result)."""
    names = given_names(tape, variables)
    taken = {*names.values(), *variables}
    if len(tape.values) - 1 not in names and "loss" not in taken:
        names[len(tape.values) - 1] = "loss"
    counts = dict.fromkeys(LETTERS.values(), 0)
    for value in tape.values:
        if value.index not in names and value.kind == "leaf" and value.name != "leaf":
            names[value.index] = value.name
        while value.index not in names:
            letter = LETTERS[value.kind]
            counts[letter] += 1
            if f"{letter}{counts[letter]}" not in taken:
                names[value.index] = f"{letter}{counts[letter]}"
    return [names[value.index] for value in tape.values]


def _tensors(name: str, x: Any) -> Iterator[tuple[str, Tensor]]:
    """The Tensors that a variable refers to, each with the expression for it."""
    if isinstance(x, Tensor):
        yield name, x
    elif isinstance(x, Module):
        yield from ((f"{name}.{path}", p) for path, p in x.named_parameters())
    elif type(x) in (list, tuple) and len(x) <= MAX_ITEMS:
        for i, item in enumerate(x):
            if isinstance(item, Tensor | Module):
                yield from _tensors(f"{name}[{i}]", item)
    elif type(x) is dict and len(x) <= MAX_ITEMS:
        for key, item in x.items():
            if isinstance(item, Tensor | Module):
                yield from _tensors(f"{name}[{key!r}]", item)


def latex_name(name: str) -> str:
    r"""A name as a LaTeX symbol: x, v_{1}, and upright where it is a word.

    >>> latex_name("w1"), latex_name("loss"), latex_name("model.0.weight")
    ('w_{1}', '\\mathrm{loss}', '\\mathrm{model.0.weight}')
    """
    if (numbered := re.fullmatch(r"([A-Za-z]+)_?(\d+)", name)) is not None:
        return f"{latex_name(numbered[1])}_{{{numbered[2]}}}"
    if len(name) == 1:
        return name
    escaped = re.sub(r"[^\w.\[\] '-]", "?", name, flags=re.ASCII).replace("_", r"\_").replace(" ", r"\ ").replace("'", r"{'}")
    return rf"\mathrm{{{escaped}}}"
