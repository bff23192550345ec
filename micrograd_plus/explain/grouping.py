"""The values of a tape in nested groups: by module, by layer of the parameters, or by line of the user's."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Any

from ..layers import Module
from .tape import Value

LARGE = 200  # children: a group of more is cut into stretches
STRETCH = 100

Path = tuple[str, ...]


@dataclasses.dataclass(eq=False)
class Group:
    """A stretch of operations that belong together.

    Attributes:
        parent: the index of the group that it lies in, None at the top.
        name: of the module as its parent knows it, or the line, or which operations.
        kind: of a module its class, where it is known; else "".
        stretch: whether it is only a stretch of many operations, for a group that would be too large.
    """

    parent: int | None
    name: str
    kind: str = ""
    stretch: bool = False


def grouped(values: Sequence[Value], model: Module | None = None) -> tuple[list[Group], list[int | None], str]:
    """The groups, the group of each value (None at the top), and what they are: "module", "layer", "line" or "".

    A group is a stretch of operations made one after another, so what lies outside of it never comes between them. A leaf or constant
    lies in the innermost group that holds all its uses. Groups of one operation are left out.
    """
    paths, kind = _paths(values, model)
    groups: list[Group] = []
    places: list[int | None] = [None] * len(values)
    current: list[tuple[str, int]] = []
    for value in values:
        if value.kind in ("leaf", "constant"):
            continue
        path = paths[value.index]
        common = len(_shared(path, [name for name, _ in current]))
        del current[common:]
        for name in path[common:]:
            groups.append(Group(current[-1][1] if current else None, name))
            current.append((name, len(groups) - 1))
        places[value.index] = current[-1][1] if current else None
    if model is not None and kind != "line":
        _name_kinds(groups, model)
    _drop_small(groups, places)
    _cut(groups, places, values)
    _place_leaves(groups, places, values)
    return *_renumbered(groups, places), kind


# -- where an operation belongs ------------------------------------------------------------------------------------------


def _paths(values: Sequence[Value], model: Module | None) -> tuple[dict[int, Path], str]:
    made = [value for value in values if value.kind not in ("leaf", "constant")]
    modules = {value.index: tuple(getattr(value.origin, "modules", ())) for value in made}
    if any(modules.values()):
        return modules, "module"
    if model is not None:
        layers = _by_layer(made, values, model)
        if any(layers.values()):
            return layers, "layer"
    lines = {value.index: getattr(value.origin, "line", None) for value in made}
    if len(set(lines.values())) > 1 and len(made) >= 4 * len(set(lines.values())):
        return {i: (str(line),) if line else () for i, line in lines.items()}, "line"
    return dict.fromkeys(modules, ()), ""


def _by_layer(made: Sequence[Value], values: Sequence[Value], model: Module) -> dict[int, Path]:
    """By the module that owns an operation's parameter; what lies between two belongs to the innermost module that holds both."""
    owners = {id(p): owner for owner, module in model.named_modules() for p in vars(module).values()}
    known: dict[int, Path] = {}
    for value in made:
        for i in value.inputs:
            if i is not None and id(values[i].edge) in owners:
                known[value.index] = _ancestors(owners[id(values[i].edge)], model)
    found: dict[int, Path] = {value.index: () for value in made}
    found.update(known)
    for before, after in pairwise(known):
        shared = tuple(_shared(known[before], known[after]))
        found.update({value.index: shared for value in made if before < value.index < after})
    return found


def _ancestors(dotted: str, model: Module) -> Path:
    """The path of a module: the model, then the name of each module in the one around it."""
    inside = [name for name, _ in model.named_modules() if name and (dotted == name or dotted.startswith(f"{name}."))]
    return (type(model).__name__, *(name.removeprefix(outer).lstrip(".") for outer, name in pairwise(["", *inside])))


def _name_kinds(groups: list[Group], model: Module) -> None:
    """The classes of modules, by their dotted names below the model."""
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    dotted: list[str | None] = []  # None outside of the model
    for group in groups:
        above = None if group.parent is None else dotted[group.parent]
        if group.parent is None:
            dotted.append("" if group.name == type(model).__name__ else None)
        else:
            dotted.append(None if above is None else f"{above}.{group.name}".lstrip("."))
        kind = kinds.get(dotted[-1] or "", "") if dotted[-1] else ""
        group.kind = "" if kind == group.name else kind


# -- the tree ------------------------------------------------------------------------------------------------------------


def _drop_small(groups: list[Group], places: list[int | None]) -> None:
    """Leave out groups of one operation: it lies in the group around."""
    sizes = [0] * len(groups)
    for place in places:
        for group in _chain(groups, place):
            sizes[group] += 1
    for i, place in enumerate(places):
        while place is not None and sizes[place] < 2:
            place = groups[place].parent
        places[i] = place
    for kept in groups:
        while kept.parent is not None and sizes[kept.parent] < 2:
            kept.parent = groups[kept.parent].parent


def _cut(groups: list[Group], places: list[int | None], values: Sequence[Value]) -> None:
    """Cut groups of too many children into stretches, one after another, and those into longer ones, until all are small enough."""
    children: dict[int | None, list[tuple[int, int | None, int | None]]] = {}  # of a group: (first value, group or None, value or None)
    seen: set[int] = set()
    for value in values:
        if value.kind in ("leaf", "constant"):
            continue
        chain = _chain(groups, places[value.index])
        children.setdefault(chain[0] if chain else None, []).append((value.index, None, value.index))
        for group in chain:
            if group not in seen:
                seen.add(group)
                children.setdefault(groups[group].parent, []).append((value.index, group, None))
    for parent, members in children.items():
        members = sorted(members, key=lambda member: member[0])
        total = 1
        while len(members) > LARGE:
            stretches: list[tuple[int, int | None, int | None]] = []
            for start in range(0, len(members), STRETCH):
                part = members[start : start + STRETCH]
                first = start * total + 1
                groups.append(Group(parent, f"part {first:,} to {first + len(part) * total - 1:,}", stretch=True))
                for _, inner, value_index in part:
                    if inner is not None:
                        groups[inner].parent = len(groups) - 1
                    elif value_index is not None:
                        places[value_index] = len(groups) - 1
                stretches.append((part[0][0], len(groups) - 1, None))
            members, total = stretches, total * STRETCH


def _place_leaves(groups: list[Group], places: list[int | None], values: Sequence[Value]) -> None:
    """Put each leaf and constant into the innermost group that holds all its uses."""
    shared: dict[int, list[int]] = {}
    for value in values:
        for i in value.inputs:
            if i is not None and values[i].kind in ("leaf", "constant"):
                chain = _chain(groups, places[value.index])[::-1]
                shared[i] = _shared(shared[i], chain) if i in shared else chain
    for i, chain in shared.items():
        places[i] = chain[-1] if chain else None


def _shared(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """What two sequences begin with alike."""
    return [x for x, _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))]


def _chain(groups: list[Group], place: int | None) -> list[int]:
    """A group and those around it, from the inside."""
    chain = []
    while place is not None:
        chain.append(place)
        place = groups[place].parent
    return chain


def _renumbered(groups: list[Group], places: list[int | None]) -> tuple[list[Group], list[int | None]]:
    """Only the groups that hold a value, each after the one around it."""
    used = {group for place in places for group in _chain(groups, place)}
    order = sorted(used, key=lambda group: (len(_chain(groups, group)), group))
    number: dict[int | None, int | None] = {None: None, **{group: i for i, group in enumerate(order)}}
    kept = [dataclasses.replace(groups[group], parent=number[groups[group].parent]) for group in order]
    return kept, [number[place] for place in places]
