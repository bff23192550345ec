"""What a function can see is found, compared and put back."""

import functools
import types
from collections import OrderedDict, deque
from typing import ClassVar

import numpy as np
import pytest

from micrograd_plus import Adam, Dropout, Linear, Sequential, Tensor
from micrograd_plus.compiler import state as states
from micrograd_plus.compiler.state import Cell, Same, reach

GLOBAL = Tensor([1.0])
NUMBER = 3


def found(x):
    state = reach([x])
    state.prepare()
    return state


def test_tensors_and_arrays_are_found_wherever_they_are_held():
    a, b, c, d, e, f, g = (Tensor([float(i)]) for i in range(7))
    layer = Linear(2, 2)

    class Holder:
        shared = b
        __slots__ = ("slot",)

    holder = Holder()
    holder.slot = c

    def inner(default=d):
        return GLOBAL, default, NUMBER

    def function(x, *, named=e):
        return a, holder, inner(), (lambda: layer)(), [f for _ in range(2)]

    state = found(functools.partial(function, {"key": [OrderedDict(x=(g,))]}))
    assert {id(t) for t in state.tensors} == {id(t) for t in (a, b, c, d, e, f, g, GLOBAL, layer.weight, layer.bias)}


def test_moments_buffers_and_closures_are_arrays_with_what_holds_them():
    model = Sequential(Linear(2, 2))
    optimizer = Adam(model.parameters())
    model(Tensor(np.ones((1, 2)))).sum().backward()
    optimizer.step()
    local = np.ones(3)
    state = found(lambda: (optimizer, local))
    held = {id(array) for _, _, array in state.arrays}
    assert held == {id(local), *(id(s[name]) for s in optimizer.state.values() for name in ("m", "v"))}
    for owner, key, array in state.arrays:
        assert owner[key] is array


def test_libraries_and_modules_of_python_are_not_walked():
    state = found(lambda: (np.zeros, types, functools, pytest.raises))
    assert not state.tensors and not state.arrays
    assert len(state.containers) < 5


@pytest.mark.parametrize("what", [iter([1]), (x for x in ()), enumerate([]), map(str, []), zip()], ids=lambda x: type(x).__name__)
def test_iterators_are_noted(what):
    assert found(lambda: what).iterators


def test_too_much_is_said(monkeypatch):
    monkeypatch.setattr(states, "LIMIT", 10)
    things = [[i] for i in range(50)]
    assert found(lambda: things).iterators == ["more than 10 objects"]


class Thing:
    kinds: ClassVar[list[int]] = [1]

    def __init__(self):
        self.flag, self.number, self.text, self.items, self.table = True, 1, "a", [1, [2]], {"k": 0.5}
        self.queue, self.members, self.nan, self.one = deque([1]), {1}, float("nan"), Tensor([1.0])
        self.layer, self.array = Dropout(0.5), np.zeros(1)


CHANGES = {
    "flag": lambda t: setattr(t, "flag", False),
    "number": lambda t: setattr(t, "number", 2),
    "text": lambda t: setattr(t, "text", "b"),
    "nested list": lambda t: t.items[1].append(3),
    "shorter list": lambda t: t.items.pop(),
    "dict": lambda t: t.table.update(k=0.25),
    "new key": lambda t: t.table.update(j=1),
    "lost key": lambda t: t.table.clear(),
    "deque": lambda t: t.queue.append(2),
    "set": lambda t: t.members.add(2),
    "new attribute": lambda t: setattr(t, "other", 1),
    "equal tensor": lambda t: setattr(t, "one", Tensor([1.0])),
    "deep": lambda t: setattr(t.layer, "p", 0.25),
    "class": lambda t: setattr(Thing, "kinds", []),
    "list of a class": lambda t: Thing.kinds.append(2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_seen_named_and_put_back(change):
    thing = Thing()
    state = found(lambda: thing)
    assert state.holds() and state.difference() is None
    change(thing)
    assert not state.holds()
    assert isinstance(state.difference(), str)
    assert isinstance(state.restore(), str)
    assert state.holds() and state.difference() is None and state.restore() is None


def test_variables_of_functions_are_seen_and_put_back():
    local, unset = 1, None
    del unset

    def change(value):
        nonlocal local, unset
        local = unset = value

    state = found(change)
    assert state.holds()
    change(2)
    assert not state.holds() or state.difference() is not None
    assert state.difference() in ("the variable 'local' of an enclosing function", "the variable 'unset' of an enclosing function")
    state.restore()
    assert local == 1 and state.difference() is None
    with pytest.raises(NameError):
        _ = unset  # noqa: F821


def test_same_is_equal_to_one_object_whichever_side_it_is_on():
    for x, other in [(np.ones(1), np.ones(1)), (Tensor([1.0]), Tensor([1.0]))]:
        same = Same(x)
        assert [same] == [x] and [x] == [same] and {"a": same} == {"a": x} and {"a": x} == {"a": same}
        assert [same] != [other] and [other] != [same]


def test_an_unbound_cell_reads_as_missing():
    cell = Cell(types.CellType())
    assert cell["x"] is states.MISSING
    cell["x"] = 1
    assert cell["x"] == 1
    cell["x"] = states.MISSING
    assert cell["x"] is states.MISSING
