"""Random programs in debug mode: none is refused, and no write into one of its arrays makes a wrong gradient in silence."""

import warnings

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import Tensor, debug
from micrograd_plus.explain.debug import ChangedInPlaceError

pytest.importorskip("torch", reason="PyTorch, which the module of random programs imports, is not installed")

from ..fuzz.operations import OPERATIONS
from ..fuzz.programs import run_ours, written

pytestmark = pytest.mark.oracle

COUNT = 50


def programs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty slices and the like
        for number in range(COUNT):
            yield number, written(77, number)


def test_they_give_the_same():
    for _, program in programs():
        expected = run_ours(program)
        with debug():
            found = run_ours(program)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b)


def gradients_after(program, write=lambda pool: None):
    """The gradients of the leaves, with a write between forward and backward."""
    pool = [Tensor(x, requires_grad=True) for x in program.leaves]
    leaves = list(pool)
    for step in program.steps:
        value = OPERATIONS[step.operation].ours(*(pool[i] for i in step.inputs), **step.options)
        pool.append(value * step.scale if step.scale != 1 else value)
    loss = sum(((pool[i] * w).sum() for i, w in program.weights.items()), Tensor(0.0))
    write(pool)
    if loss.requires_grad:
        loss.backward()
    return [x.grad for x in leaves]


def test_no_write_makes_a_wrong_gradient_in_silence():
    caught = let_through = 0
    for number, program in programs():
        with mg.default_dtype(np.float64):
            expected = gradients_after(program)
            for which in np.random.default_rng(number).permutation(len(program.leaves) + len(program.steps))[:3]:

                def write(pool, which=which, number=number):
                    data = pool[which].data
                    if data.flags.writeable:
                        data[...] = 2 * np.random.default_rng(number).standard_normal(data.shape)

                found = gradients_after(program, write)
                wrong = any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(found, expected, strict=True))
                try:
                    with debug():
                        gradients_after(program, write)
                    let_through += 1
                    assert not wrong, f"v{which} of program {number}"
                except ChangedInPlaceError:
                    caught += 1
    assert caught > COUNT / 2 and let_through > COUNT / 2
