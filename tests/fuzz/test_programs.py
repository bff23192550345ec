"""Random programs against PyTorch: a few hundred here, as many as wanted by `make fuzz`; and what they found, as tests."""

import warnings

import numpy as np
import pytest

from micrograd_plus import Tensor, default_dtype, einsum, gradients, rules, tensor

from ..rules.table import TABLE

pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")

from .operations import OPERATIONS, Operation, any_one
from .programs import DisagreementError, Program, Step, check, shrunk, written

pytestmark = pytest.mark.oracle

NOT_DRAWN = {  # rules that a program does not reach
    "cast": "the programs are in float64 throughout",
    "gather_rows": "the pullback of take_rows, which replays reach",
    "scatter": "the pullback of indexing, which replays reach",
    "scatter_along": "the pullback of take_along, which replays reach",
}


@pytest.mark.parametrize("block", range(8))
def test_random_programs_agree(block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty slices and the like
        for number in range(40 * block, 40 * (block + 1)):
            check(written(1, number))


def test_every_rule_and_every_operation_is_drawn(monkeypatch):
    applied = set()
    for record in ("_result", "_record_parts"):

        def spy(rule, *args, record=getattr(tensor, record)):  # noqa: B008
            applied.add(rule.__name__)
            return record(rule, *args)

        monkeypatch.setattr(tensor, record, spy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        programs = [written(1, number) for number in range(300)]
        for program in programs[:50]:
            check(program)
    assert {step.operation for program in programs for step in program.steps} == set(OPERATIONS)
    assert set(TABLE) - applied <= set(NOT_DRAWN)


def planted(monkeypatch, ours):
    """A program of three steps, one of which is wrong in our library."""
    monkeypatch.setitem(OPERATIONS, "planted", Operation(any_one(), ours, lambda x: x * x))
    leaf = np.array([0.5, -1.0, 2.0])
    steps = [Step("sin", (0,), {}, 1.0), Step("cos", (0,), {}, 1.0), Step("planted", (1,), {}, 1.0), Step("exp", (3,), {}, 1.0)]
    return Program([leaf], steps, {2: np.ones(3), 4: np.ones(3)}, [np.ones(3)])


@pytest.mark.parametrize(
    ("ours", "text"),
    [
        (lambda x: x * x * 1.001, "the value of v4 is"),
        (lambda x: x * x.detach(), "the gradient at v0 is"),
        (lambda x: x[::-1] * x, "the value of v4 is"),
        (lambda x: x.unsqueeze(1) * x.unsqueeze(0), "the value of v4 is"),
        (lambda x: x @ x, "the value of v4 is"),
        (lambda x: tensor.apply(lambda x: (x * x, (lambda g: g * 2 * rules.primitives.constant(x),)), x), "the Hessian-vector product"),
        (lambda x: x.reshape(7), "it raised ValueError"),
    ],
)
def test_a_planted_disagreement_is_seen_and_shrunk(monkeypatch, ours, text):
    program = planted(monkeypatch, ours)
    with pytest.raises(DisagreementError, match=text):
        check(program)
    if "raised" not in text:
        assert [step.operation for step in shrunk(program).steps] == ["sin", "planted"]


def test_the_same_number_gives_the_same_program():
    assert str(written(3, 5)) == str(written(3, 5))
    assert str(written(3, 5)) != str(written(3, 6))


# -- what random programs have found -------------------------------------------------------------------------------------


def test_an_einsum_of_a_constant_scalar_is_differentiated_twice():
    with default_dtype(np.float64):
        x = Tensor([[1.0, 2.0]], requires_grad=True)
        (slope,) = gradients(einsum("ab,cb->", x, x) * 3.0, [x], create_graph=True)
        (curvature,) = gradients(slope.sum(), [x])
    np.testing.assert_allclose(slope.data, [[6.0, 12.0]])
    np.testing.assert_allclose(curvature.data, [[6.0, 6.0]])


@pytest.mark.parametrize(("left", "right"), [((3, 1, 2), (2, 0)), ((2, 0, 3), (3, 4)), ((0, 2, 3), (3, 4)), ((2, 3, 0), (0, 4))])
def test_a_stack_of_matrices_times_an_empty_one(left, right):
    x, y = Tensor(np.ones(left), requires_grad=True), Tensor(np.ones(right), requires_grad=True)
    z = x @ y
    assert z.shape == (*left[:-1], right[-1])
    z.sum().backward()
    assert np.array_equal(x.grad, np.full(left, right[-1]))
    assert np.array_equal(y.grad, np.full(right, left[0] * left[1]))
