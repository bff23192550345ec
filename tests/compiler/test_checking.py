"""What tells rounding from an error: a step is compared with its function, and its values with what they are computed from."""

import ctypes
import platform
import subprocess
import sys
import time

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus.compiler import Disagreement, c_values, checking
from micrograd_plus.compiler.graph import Node
from micrograd_plus.losses import cross_entropy, mse_loss

from .checks import native


@pytest.mark.parametrize(
    ("a", "b", "before", "same"),
    [
        ([1.0, 2.0], [1.0, 2.0], None, True),
        ([1.0, 2.0001], [1.0, 2.0], None, True),
        ([1.0, 2.01], [1.0, 2.0], None, False),
        ([1e-6, 2.0], [0.0, 2.0], None, True),  # small beside the largest
        ([1e-3, 2.0], [0.0, 2.0], None, False),
        ([0.1001, 2.0], [0.1, 2.0], [0.0, 1.0], True),  # beside the largest change
        ([np.nan, np.inf], [np.nan, np.inf], None, True),
        ([np.nan, 1.0], [0.0, 1.0], None, False),
        ([-np.inf, 1.0], [np.inf, 1.0], None, False),
    ],
)
def test_close(a, b, before, same):
    a, b = np.array(a, np.float32), np.array(b, np.float32)
    assert checking.close(a, b, None if before is None else np.array(before, np.float32)) is same
    assert not checking.close(a.astype(np.float64), b)
    assert not checking.close(a[:1], b)
    assert checking.close(np.array([1, 2]), np.array([1, 2]))
    assert not checking.close(np.array([1, 2]), np.array([1, 3]))


def test_the_size_of_a_sum_is_that_of_its_terms():
    x = Node("input", (), ("x",), (3,), np.float32)
    node = Node("reduce", (x,), ("sum", (0,)), (1,), np.float32)
    values = {x: np.array([1e6, -1e6, 1.0], np.float32), node: np.array([1.0], np.float32)}
    (size,) = checking._size(node, values, {x: np.abs(values[x])})
    assert size == 2e6 + 1
    assert checking._agrees(np.array([1.5], np.float32), values[node], np.array([size]))
    assert not checking._agrees(np.array([200.0], np.float32), values[node], np.array([size]))


def test_few_comparisons_may_turn_out_otherwise():
    wanted = np.zeros(1000, bool)
    found = wanted.copy()
    found[:5] = True
    assert checking._agrees(found, wanted, np.ones(1000))
    found[:6] = True
    assert not checking._agrees(found, wanted, np.ones(1000))


def step_of(model, loss_fn=cross_entropy, optimizer=None):
    optimizer = optimizer or mg.Adam(model.parameters(), lr=0.01)

    def step(x, y):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


@native
def test_gradients_that_are_zero_but_for_rounding_are_no_disagreement():
    # A bias before a batch norm: Adam makes whole steps of the rounding errors of its gradient.
    mg.set_seed(0)
    model = mg.Sequential(mg.Conv2d(1, 4, 3, padding=1), mg.BatchNorm2d(4), mg.Tanh(), mg.Flatten(), mg.Linear(4 * 36, 3))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 1, 6, 6), np.float32), rng.integers(0, 3, 16)
    compiled = mg.compile(step_of(model), strict=True)
    for _ in range(5):
        compiled(x, y)
    assert not compiled.step.unchecked


@native
@pytest.mark.parametrize("seed", range(4))
def test_maxima_that_two_values_nearly_share_are_no_disagreement(seed):
    mg.set_seed(seed)
    layers = [mg.Conv2d(1, 8, 3, padding=1, bias=False), mg.BatchNorm2d(8), mg.ReLU(), mg.MaxPool2d(2)]
    model = mg.Sequential(*layers, mg.Flatten(), mg.Linear(8 * 49, 10))
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((32, 1, 14, 14), np.float32), rng.integers(0, 10, 32)
    compiled = mg.compile(step_of(model), strict=True)
    for _ in range(5):
        compiled(x, y)
    assert not compiled.step.unchecked


@native
def test_a_kernel_that_is_wrong_is_named(monkeypatch):
    monkeypatch.setitem(c_values.CALLS, "tanh", "sin")
    model = mg.Sequential(mg.Linear(3, 4), mg.Tanh(), mg.Linear(4, 1))
    compiled = mg.compile(step_of(model, mse_loss), strict=True)
    x, y = np.ones((5, 3), np.float32), np.ones((5, 1), np.float32)
    compiled(x, y)
    before = model.state_dict()
    with pytest.raises(
        Disagreement, match=r"does not agree with the function itself in .*\. It begins in tanh float32 \(5, 4\).*kernel \d+"
    ):
        compiled(x, y)
    for name, value in model.state_dict().items():  # as it was before the call
        np.testing.assert_array_equal(value, before[name])


@native
def test_a_trace_that_is_not_what_the_function_does_is_named():
    compiled = mg.compile(lambda x: x * float(time.perf_counter_ns() % 1_000_003), strict=True)
    x = mg.Tensor([1.0, 2.0])
    compiled(x)
    with pytest.raises(Disagreement, match="The trace is not what the function does: if it depends on something that changes"):
        compiled(x)


@native
def test_another_dtype_is_named():
    calls = ctypes.c_int(0)  # whose changes are not seen

    def scaled(x):
        calls.value += 1
        return x * mg.Tensor(np.ones(2), dtype=np.float64 if calls.value == 2 else np.float32)  # the trace is the second call

    compiled = mg.compile(scaled, strict=True)
    x = mg.Tensor([1.0, 2.0])
    compiled(x)
    with pytest.raises(Disagreement, match=r"leaf 0: float64 of shape \(2,\) instead of float32 of shape \(2,\)\. The trace is not what"):
        compiled(x)


@native
def test_a_sum_that_is_wrong_is_named(monkeypatch):
    monkeypatch.setattr(c_values, "IDENTITY", {**c_values.IDENTITY, "sum": "1"})
    compiled = mg.compile(lambda x: x.sum(0), strict=True)
    x = mg.Tensor(np.ones((4, 3), np.float32))
    compiled(x)
    with pytest.raises(Disagreement, match="It begins in reduce"):
        compiled(x)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does with freed memory")
def test_memory_of_eager_calls_goes_back():
    program = """
import numpy as np
import micrograd_plus
from micrograd_plus.compiler.memory import give_back

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

arrays = [np.ones(100_000) for _ in range(50)]
del arrays[1::2], arrays
before = resident()
give_back()
print(before - resident())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 20e6
