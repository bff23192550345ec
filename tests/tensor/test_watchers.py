"""Watchers: what `explain` follows operations and backward walks with."""

import contextlib
import threading

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import Tensor, rules
from micrograd_plus import tensor as engine
from micrograd_plus.tensor import apply, watch


class Notes:
    """A watcher that keeps what it is told."""

    def __init__(self, factor=None):
        self.made_, self.pulled, self.factor = [], [], factor

    def made(self, out, rule, inputs, options, pullbacks):
        self.made_.append((out, rule, inputs, options, pullbacks))

    def pulling(self, node, g, edges, pullbacks):
        self.pulled.append((node.rule, g, list(edges)))
        return pullbacks if self.factor is None else [p and (lambda c, p=p: self.factor * p(c)) for p in pullbacks]


@contextlib.contextmanager
def noted(factor=None):
    """Within, a watcher takes note, the first there ever was."""
    found, watching = Notes(factor), engine._watching
    engine._watching = False
    before = watch(found)
    try:
        yield found
    finally:
        watch(*before)
        engine._watching = watching


def test_nobody_watches_at_first():
    assert watch() == ()


def test_watch_returns_who_watched_before():
    with noted() as notes:
        other = Notes()
        assert watch(notes, other) == (notes,)
        assert watch(notes) == (notes, other)


def test_every_new_tensor_is_told_of_with_what_made_it():
    with noted() as notes:
        a = Tensor([1.0, 2.0], requires_grad=True)
        b = a.sum(axis=0)
        c = b * 3.0
        d = c.detach()
        whole = apply(rules.unstack, Tensor([[1.0], [2.0]], requires_grad=True), axis=0)
        outs = [entry[0] for entry in notes.made_]
        assert [x is y for x, y in zip(outs, [a, b, c, d], strict=False)] == [True] * 4
        assert [x is y for x, y in zip(outs[-2:], whole, strict=True)] == [True] * 2
        assert [entry[1] for entry in notes.made_] == [None, rules.sum, rules.multiply, None, None, rules.unstack, rules.unstack]
        assert notes.made_[1][2][0] is a  # the inputs themselves, also of a linear rule, whose node keeps edges alone
        assert notes.made_[2][2][0] is b and notes.made_[2][2][1] == 3.0
        assert notes.made_[1][3]["axis"] == 0
        np.testing.assert_array_equal(notes.made_[2][4][0](np.float32(2.0)), 6.0)


def test_a_tensor_that_needs_no_gradient_is_told_of_too():
    with noted() as notes:
        x = Tensor([1.0])
        with mg.no_grad():
            y = x.exp()
        assert notes.made_[-1][0] is y


def test_a_walk_asks_before_each_node_newest_first():
    with noted() as notes:
        a = Tensor([1.0, 2.0], requires_grad=True)
        b = a * a
        (b.sum() * 2.0).backward()
        assert [rule for rule, _, _ in notes.pulled] == [rules.multiply, rules.sum, rules.multiply]
        assert notes.pulled[0][1] == 1.0
        assert notes.pulled[-1][2] == [a, a]
        np.testing.assert_array_equal(a.grad, [4.0, 8.0])


def test_functions_in_the_place_of_pullbacks_are_called():
    a = Tensor([1.0, 2.0], requires_grad=True)
    loss = (a * 5.0).sum()
    with noted(factor=10.0):
        loss.backward()
    np.testing.assert_array_equal(a.grad, [500.0, 500.0])  # two nodes


def test_other_threads_are_not_watched():
    with noted() as notes:

        def work():
            assert watch() == ()
            (Tensor([1.0], requires_grad=True) * 2.0).sum().backward()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert notes.made_ == [] and notes.pulled == []
        x = Tensor([1.0])  # and a thread without watchers changes nothing here
        assert notes.made_[0][0] is x


def test_an_error_of_shapes_names_the_lines_that_a_watcher_noted():
    a, b = Tensor(np.ones((2, 3))), Tensor(np.ones(4))
    a._line, b._line = "prog.py, line 3", "prog.py, line 4"
    with pytest.raises(
        ValueError, match=r"(?s)got \(2, 3\) and \(4,\).*shape \(2, 3\) was made in prog.py, line 3.*\(4,\) was made in prog.py, line 4"
    ):
        a + b
    with pytest.raises(ValueError, match="unsqueeze") as caught:
        Tensor(np.ones((2, 3))) + Tensor(np.ones(4))
    assert "was made in" not in str(caught.value)
