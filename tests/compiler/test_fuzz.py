"""Random programs, compiled: a few hundred by NumPy from their graphs, some by native code; `make fuzz ARGS=--compiled` runs more."""

import warnings

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import effects

from .checks import native

pytest.importorskip("torch", reason="PyTorch, whose operations the random programs name, is not installed")

from ..fuzz import compiled
from ..fuzz.operations import OPERATIONS, Operation, any_one
from ..fuzz.programs import DisagreementError, Program, Step


@pytest.mark.parametrize("block", range(6))
def test_graphs_of_random_programs(block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty slices and the like
        skipped = compiled.check_block(2, range(20 * block, 20 * (block + 1)), native=False)
    assert len(skipped) < 15


@native
@pytest.mark.parametrize("block", range(2))
def test_native_code_of_random_programs(block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        skipped = compiled.check_block(3, range(10 * block, 10 * (block + 1)), native=True)
    assert len(skipped) < 8


def test_a_planted_disagreement_is_seen(monkeypatch):
    """An operation that tells a trace from a call."""

    def ours(x):
        return x * (2.0 if effects.is_traced() else 1.0)

    monkeypatch.setitem(OPERATIONS, "planted", Operation(any_one(), ours, lambda x: x))
    leaf = np.array([0.5, -1.0, 2.0])
    program = Program([leaf], [Step("sin", (0,), {}, 1.0), Step("planted", (1,), {}, 1.0)], {2: np.ones(3)}, [np.ones(3)])
    with mg.default_dtype(np.float64), pytest.raises(DisagreementError, match="the value of v2 is"):
        compiled.check([program], native=False)
