"""What an operation was given, in words: which parameter, variable or batch an array is, and which line it comes from."""

import contextlib
import gc
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType, GeneratorType
from typing import Any

import numpy as np

from ..data import DataLoader
from ..layers import Module
from ..tensor import Tensor
from .lines import PACKAGE, user_frames, variable_of

SHAPE = re.compile(r"\(\d+,(?: \d+,?)*\)")
_LOADER = sys.modules[DataLoader.__module__].__file__
NAMED = 6  # operands that an error names at most


def variables(frames: Iterable[FrameType]) -> Iterator[tuple[str, Any]]:
    """All variables of the user's frames, from the innermost outward; `self` is named by its class."""
    for frame in frames:
        for name, value in (*frame.f_locals.items(), *frame.f_globals.items()):
            if not name.startswith("_"):
                yield type(value).__name__ if name == "self" else name, value


def parameter_name(parameter: Tensor, frames: Iterable[FrameType]) -> str:
    """A parameter as "layers.0.weight of model", by a variable that holds its Module, or as "`w`"."""
    for variable, value in variables(frames):
        if value is parameter:
            return f"`{variable}`"
        if isinstance(value, Module):
            name = next((name for name, p in value.named_parameters() if p is parameter), None)
            if name is not None:
                return f"{name} of {variable}"
    return f"the parameter of shape {parameter.shape}"


def module_name(module: Module, frames: Iterable[FrameType]) -> str | None:
    """A module as "layers.0 of model", or "`model`", by a variable that holds it or one around it."""
    for variable, value in variables(frames):
        if isinstance(value, Module) and value is not module:
            name = next((name for name, m in value.named_modules() if m is module), None)
            if name is not None:
                return f"{name} of {variable}"
        if value is module and variable != type(module).__name__:
            return f"`{variable}`"
    return None


def root_of(array: np.ndarray) -> np.ndarray:
    """The array that a view, or a view of one, shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def sharing(array: np.ndarray, frames: Iterable[FrameType]) -> dict[str, str]:
    """The user's parameters and variables that share the memory of an array, as "weight of layer", "`first_row`"; and the variables."""
    root, found = root_of(array), {}
    for frame in frames:
        for variable, value in (*frame.f_locals.items(), *frame.f_globals.items()):
            held = value.data if isinstance(value, Tensor) else value
            if isinstance(held, np.ndarray) and root_of(held) is root:
                found[f"`{variable}`"] = variable
            elif isinstance(value, Module):
                of = type(value).__name__ if variable == "self" else variable
                found.update({f"{name} of {of}": variable for name, p in value.named_parameters() if root_of(p.data) is root})
    return found


def whereabouts(x: Any, frames: Iterable[FrameType]) -> str | None:
    """Where a Tensor was made, or which variable it or an array is and where that was assigned; None where neither is known."""
    noted = getattr(x, "_line", None)
    held = x if noted is None else noted.given if not noted.users else None
    variable = None if held is None else variable_of(held, frames)
    if variable is None:
        return None if noted is None else f"was made in {noted.place}"
    kind = "" if isinstance(held, Tensor) else "the array "
    return f"is {kind}`{variable.name}`" + (f", assigned in {variable.line}" if variable.line else "")


# -- batches -------------------------------------------------------------------------------------------------------------


def batch_of(array: np.ndarray) -> tuple[int, np.ndarray] | None:
    """The batch of a DataLoader that an array is or was computed from: its number, from 0, and its examples' places in the data.

    It is that of a loop over a loader that is going on, where just the same elements are not finite.
    """
    wrong = ~np.isfinite(array)
    for x in gc.get_objects():  # by type, for isinstance asks proxies for their class
        if type(x) is GeneratorType and x.gi_code.co_filename == _LOADER and x.gi_frame is not None:
            loop = x.gi_frame.f_locals
            if not {"self", "batch"} <= set(loop):
                continue
            for data in (loop["self"].X, loop["self"].y):
                examples = data[loop["batch"]]
                if (
                    examples.dtype.kind == "f"
                    and examples.size == wrong.size
                    and np.array_equal(~np.isfinite(examples).reshape(wrong.shape), wrong)
                ):
                    return loop["start"] // loop["self"].batch_size, loop["batch"]
    return None


def first_row(view: Any) -> int | None:
    """Where the rows of an array begin in the one that it was sliced from; None where it was not."""
    base = getattr(view, "base", None)
    if not isinstance(base, np.ndarray) or base.ndim != view.ndim or not base.ndim or base.strides != view.strides or not base.strides[0]:
        return None
    offset, rest = divmod(view.__array_interface__["data"][0] - base.__array_interface__["data"][0], base.strides[0])
    return offset if rest == 0 and base.shape[1:] == view.shape[1:] else None


# -- errors of shapes ----------------------------------------------------------------------------------------------------


def explain_shapes(error: BaseException | None) -> None:
    """Add to an error of shapes, of an operation or a layer, the lines that made what it was given, where it lacks them."""
    with contextlib.suppress(Exception):  # the user's own error must be seen, whatever else goes wrong
        _explain_shapes(error)


def _explain_shapes(error: BaseException | None) -> None:
    if not isinstance(error, ValueError | TypeError | IndexError) or len(error.args) != 1 or not isinstance(error.args[0], str):
        return
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours: list[FrameType] = []
    while frames and Path(frames[-1].f_code.co_filename).is_relative_to(PACKAGE):
        ours.append(frames.pop())
    text = error.args[0]
    named = set(SHAPE.findall(text.partition("\n")[0]))
    if not ours or not named:
        return
    users = [*reversed([frame for frame in frames if frame in set(user_frames(frame))]), *user_frames(ours[-1].f_back)]
    untold = [x for x in _given(ours, named) if f"the input of shape {x.shape} was made in {getattr(x, '_line', None)}" not in text]
    lines = [f"the input of shape {x.shape} {where}" for x in untold if (where := whereabouts(x, users))]
    owner = next((frame.f_locals["self"] for frame in ours if isinstance(frame.f_locals.get("self"), Module)), None)
    if owner is not None:
        built = next((p._line for p in owner.parameters() if hasattr(p, "_line")), None)
        name = module_name(owner, users)
        if built is not None:
            lines.append(f"this {type(owner).__name__} was built in {built.place}")
        elif name is not None and owner.parameters():
            lines.append(f"this {type(owner).__name__} is {name}")
    new = [line for line in dict.fromkeys(lines) if line not in text]
    error.args = ("".join([text, *(f"\n  {line}" for line in new[:NAMED])]),)


def _given(frames: Iterable[FrameType], named: set[str]) -> list[Any]:
    """The Tensors and arrays among the variables of frames, from the innermost outward, whose shapes are named, each once."""
    found: dict[int, Any] = {}
    for frame in frames:
        for value in frame.f_locals.values():
            for x in value if isinstance(value, tuple | list) else (value,):
                if isinstance(x, Tensor | np.ndarray) and str(x.shape) in named:
                    array = x.data if isinstance(x, Tensor) else x
                    if not isinstance(found.get(id(array)), Tensor):
                        found[id(array)] = x
    return list(found.values())
