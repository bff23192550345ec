"""The state of optimizers and schedules as dicts of plain arrays and numbers: copied out, checked, and written back."""

import copy
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import effects
from ..layers.state import differing, unfit

if TYPE_CHECKING:
    from .updates import Optimizer


def plain(value: Any) -> Any:
    """Numbers as Python's and sequences as tuples, whatever a file made of them: an array would decide the dtype of an update."""
    if isinstance(value, (np.ndarray, np.generic)) and not value.ndim:
        return effects.read(value)
    return tuple(map(plain, value)) if isinstance(value, (list, tuple, np.ndarray)) else value


def saved_state(optimizer: "Optimizer") -> dict[str, Any]:
    """See `Optimizer.state_dict`."""
    states: dict[int, Any] = {}
    groups, numbers = [], itertools.count()
    for group in optimizer.param_groups:
        numbered = {next(numbers): p for p in group["params"]}
        groups.append({name: plain(value) for name, value in group.items() if name != "params"} | {"params": list(numbered)})
        for i, p in numbered.items():
            if p in optimizer.state:
                # Momentum that was turned on after the last step has no velocity yet.
                first = {name: optimizer._first(p, group) for name in optimizer._moments(group)}
                states.update({i: copy.deepcopy(first | optimizer.state[p])})
    return {"state": states, "param_groups": groups}


def load_state(optimizer: "Optimizer", state: Mapping[str, Any]) -> None:
    """See `Optimizer.load_state_dict`."""
    problems = _problems(optimizer, state)
    if problems:
        name = type(optimizer).__name__
        raise ValueError(f"a state dict must fit this {name}: {'; '.join(problems)}. Make the optimizer as it was when it was saved.")
    for own, given in zip(optimizer.param_groups, state["param_groups"], strict=True):
        for name in optimizer.defaults:
            effects.assign(own, plain(given[name]), name)
        for i, p in zip(plain(given["params"]), own["params"], strict=True):
            if i not in state["state"]:
                optimizer.state.pop(p, None)
                continue
            kept, values = optimizer.state.setdefault(p, {}), state["state"][i]
            arrays = {name: kept[name] if name in kept else optimizer._first(p, own) for name in values if name in optimizer.moments}
            for name, array in arrays.items():
                effects.assign(array, values[name])
            kept.clear()
            kept.update({name: plain(values[name]) for name in optimizer.scalars} | arrays)


def _problems(optimizer: "Optimizer", state: Mapping[str, Any]) -> list[str]:
    problems = differing(state, ("state", "param_groups"))
    if problems:
        return problems
    own_groups, given_groups = optimizer.param_groups, state["param_groups"]
    own_sizes, sizes = [len(group["params"]) for group in own_groups], [len(group.get("params", ())) for group in given_groups]
    if sizes != own_sizes:
        return [f"groups of {sizes} parameters, must be of {own_sizes}"]
    owners = {}
    for number, (own, given) in enumerate(zip(own_groups, given_groups, strict=True)):
        owners.update({i: (p, own | dict(given)) for i, p in zip(plain(given.get("params", ())), own["params"], strict=True)})
        wrong = differing(given, [*optimizer.defaults, "params"]) or _refused(optimizer, given)
        problems.extend(f"group {number}: {text}" for text in wrong)
    for i, values in state["state"].items():
        if i not in owners:
            problems.append(f"no parameter {i!r}")
            continue
        p, group = owners[i]
        wrong = differing(values, [*optimizer.scalars, *optimizer._moments(group)], optimizer.moments)
        wrong.extend(text for name in optimizer.moments if name in values for text in unfit(name, values[name], p.data))
        problems.extend(f"parameter {i}: {text}" for text in wrong)
    return problems


def _refused(optimizer: "Optimizer", group: Mapping[str, Any]) -> list[str]:
    """What the optimizer says of settings out of range."""
    try:
        optimizer._check(group)
    except ValueError as error:
        return [str(error).rstrip(".")]
    return []
