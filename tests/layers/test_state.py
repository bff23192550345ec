"""What is said of a state dict that does not fit."""

import numpy as np
import pytest

from micrograd_plus import layers


def test_names_that_differ_in_order_of_what_is_needed_then_of_what_is_given():
    assert layers.state.differing(["b", "y", "x"], ["a", "b", "c"]) == ["missing 'a'", "missing 'c'", "unexpected 'y'", "unexpected 'x'"]
    assert layers.state.differing(iter(["a", "x"]), iter(["a"]), ["x"]) == []
    assert layers.state.differing(["a"], ["a", "b"], ["x"]) == ["missing 'b'"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((2, 3), np.float64), []),  # narrowed, as a copy would
        (np.zeros((2, 3), np.int64), []),
        ([[1, 2, 3], [4, 5, 6]], []),
        (np.zeros(6, np.float32), ["'w' has shape (6,), must be (2, 3)"]),
        (np.zeros((2, 3), complex), ["'w' has dtype complex128, must be float32"]),
        (np.zeros(6, complex), ["'w' has shape (6,), must be (2, 3)"]),
    ],
)
def test_a_value_that_can_be_written_and_others(value, said):
    assert layers.state.unfit("w", value, np.zeros((2, 3), np.float32)) == said


def test_all_that_does_not_fit():
    own = {"a": np.zeros(2), "b": np.zeros(3), "c": np.zeros(4)}
    given = {"x": np.zeros(1), "b": np.zeros(2), "c": np.zeros(4)}
    assert layers.state.misfits(given, own) == ["missing 'a'", "unexpected 'x'", "'b' has shape (2,), must be (3,)"]
    assert layers.state.misfits(own, own) == []
