"""NumPy's functions of arrays beside PyTorch: value, gradient and second order in float64, over a grid of options."""

import itertools
import math

import numpy as np
import pytest

from micrograd_plus import Tensor, functional, gradients

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")

F = functional
inf = math.inf
RANDOM = np.random.default_rng(8)


def normal(*shape):
    return RANDOM.standard_normal(shape)


def sparse(*shape):
    """About half of the elements are 0."""
    return normal(*shape) * (RANDOM.random(shape) < 0.5)


def regular(*shape):
    return RANDOM.uniform(-1, 1, shape) + 2 * shape[-1] * np.eye(shape[-1])


def norm_there(x, ord, axis, keepdims):
    return torch.linalg.vector_norm(x, 2 if ord is None else ord, axis, keepdim=keepdims)


def prod_there(x, axis, keepdims):
    for i in sorted(axis, reverse=True):
        x = x.prod(i, keepdim=keepdims)
    return x


def padded_there(mode, x, width):
    """PyTorch pads the last axes of a batch of channels."""
    pairs = [n for pair in reversed(width) for n in pair]
    return torch.nn.functional.pad(x[None, None], pairs, {"edge": "replicate", "wrap": "circular"}.get(mode, mode))[0, 0]


def numbered(indices):
    return torch.as_tensor(np.asarray(indices))


# name: (the arrays, our function of Tensors, the same in PyTorch)
CASES = {}


def add(name, arrays, here, there):
    CASES[f"{name}-{sum(key.startswith(name + '-') for key in CASES)}"] = (arrays, here, there)


for make, axis, keepdims in itertools.product((normal, sparse), ((0,), (1,), (-1,), (0, 2), (0, 1, 2)), (False, True)):
    add(
        "prod",
        [make(3, 4, 2)],
        lambda x, axis=axis, keepdims=keepdims: F.prod(x, axis, keepdims=keepdims),
        lambda x, axis=axis, keepdims=keepdims: prod_there(x, axis, keepdims),
    )
for x in ([2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [0.0], [1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 7.0]):
    add("prod", [np.array(x)], F.prod, torch.prod)
for axis in (0, 1, -1):
    add("cumsum", [normal(3, 4, 2)], lambda x, axis=axis: F.cumsum(x, axis), lambda x, axis=axis: torch.cumsum(x, axis))
for axis, keepdims in itertools.product((0, -1, (0, 2), (0, 1, 2)), (False, True)):
    add(
        "logsumexp",
        [30 * normal(3, 4, 2)],
        lambda x, axis=axis, keepdims=keepdims: F.logsumexp(x, axis, keepdims),
        lambda x, axis=axis, keepdims=keepdims: torch.logsumexp(x, axis, keepdims),
    )
for ord, axis, keepdims in itertools.product((None, 1, 2, 3, 2.5, 1.5, 0.5, -1, inf, -inf), (0, -1), (False, True)):
    add(
        "norm",
        [normal(3, 4)],
        lambda x, ord=ord, axis=axis, keepdims=keepdims: F.norm(x, ord, axis, keepdims),
        lambda x, ord=ord, axis=axis, keepdims=keepdims: norm_there(x, ord, axis, keepdims),
    )
for ord in (1, 2, 3):
    add(
        "norm",
        [np.array([[0.0, 2.0, -1.0], [3.0, 0.0, 0.0]])],
        lambda x, p=ord: F.norm(x, p, 1),
        lambda x, p=ord: norm_there(x, p, 1, False),
    )
add("norm", [normal(3, 4)], lambda x: F.norm(x, "fro"), lambda x: torch.linalg.matrix_norm(x))
add("norm", [normal(3, 4, 2)], lambda x: F.norm(x, axis=(0, 2)), lambda x: torch.linalg.matrix_norm(x, dim=(0, 2)))
for axis in (0, -1):
    add("sort", [normal(3, 4)], lambda x, axis=axis: F.sort(x, axis), lambda x, axis=axis: torch.sort(x, axis).values)
for k, axis, largest in itertools.product((1, 2), (0, -1), (True, False)):
    add(
        "topk",
        [normal(3, 4)],
        lambda x, k=k, axis=axis, largest=largest: F.topk(x, k, axis, largest)[0],
        lambda x, k=k, axis=axis, largest=largest: torch.topk(x, k, axis, largest).values,
    )
for axis, index in ((0, [[2, 0], [2, 1], [1, 1]]), (1, [[3, 3, 0], [1, 2, 1]]), (-1, [[0]])):
    add(
        "gather",
        [normal(3, 4)],
        lambda x, axis=axis, index=index: F.gather(x, axis, index),
        lambda x, axis=axis, index=index: torch.gather(x, axis, numbered(index)),
    )
for axis, index in ((0, [[2, 0, 1, 1]]), (1, [[3, 3], [0, 1], [2, 2]]), (1, [[0], [3], [1]])):
    add(
        "take_along_axis",
        [normal(3, 4)],
        lambda x, axis=axis, index=index: F.take_along_axis(x, index, axis),
        lambda x, axis=axis, index=index: torch.take_along_dim(x, numbered(index), axis),
    )
add("take", [normal(3, 4)], lambda x: F.take(x, [[5, 0], [11, 5]]), lambda x: torch.take(x, numbered([[5, 0], [11, 5]])))
add("take", [normal(3, 4)], lambda x: F.take(x, [2, 2, 0], -1), lambda x: torch.index_select(x, -1, numbered([2, 2, 0])))
for mode, width in itertools.product(("constant", "edge", "reflect", "wrap"), (((1, 2), (0, 3)), ((0, 0), (2, 1)))):
    add(
        f"pad {mode}",
        [normal(3, 4)],
        lambda x, mode=mode, width=width: F.pad(x, width, mode),
        lambda x, mode=mode, width=width: padded_there(mode, x, width),
    )
add("split", [normal(6, 4)], lambda x: F.split(x, 3)[1], lambda x: torch.tensor_split(x, 3)[1])
add("split", [normal(6, 4)], lambda x: F.split(x, [1, 3], 1)[-1], lambda x: torch.tensor_split(x, [1, 3], 1)[-1])
for i in range(3):
    add("array_split", [normal(7, 2)], lambda x, i=i: F.array_split(x, 3)[i], lambda x, i=i: torch.tensor_split(x, 3)[i])
for reps in ((2,), (2, 3), (2, 1, 3)):
    add("tile", [normal(3, 2)], lambda x, reps=reps: F.tile(x, reps), lambda x, reps=reps: torch.tile(x, reps))
for repeats, axis in ((2, None), (3, 0), ([0, 2], 1), ([1, 0, 3], 0)):
    add(
        "repeat",
        [normal(3, 2)],
        lambda x, repeats=repeats, axis=axis: F.repeat(x, repeats, axis),
        lambda x, repeats=repeats, axis=axis: torch.repeat_interleave(x, numbered(repeats), axis),
    )
for shift, axis in ((2, None), (-1, 0), ((1, -3), (0, 1))):
    add(
        "roll",
        [normal(3, 4)],
        lambda x, shift=shift, axis=axis: F.roll(x, shift, axis),
        lambda x, shift=shift, axis=axis: torch.roll(x, shift, axis),
    )
for axis in ((0,), (0, 1)):
    add("flip", [normal(3, 4)], lambda x, axis=axis: F.flip(x, axis), lambda x, axis=axis: torch.flip(x, axis))
for k in (-2, 0, 1):
    add("tril", [normal(2, 3, 4)], lambda x, k=k: F.tril(x, k), lambda x, k=k: torch.tril(x, k))
    add("triu", [normal(2, 3, 4)], lambda x, k=k: F.triu(x, k), lambda x, k=k: torch.triu(x, k))
    add("diagonal", [normal(2, 3, 4)], lambda x, k=k: F.diagonal(x, k, 2, 0), lambda x, k=k: torch.diagonal(x, k, 2, 0))
    add("diag", [normal(3)], lambda x, k=k: F.diag(x, k), lambda x, k=k: torch.diag(x, k))
    add("diag", [normal(3, 4)], lambda x, k=k: F.diag(x, k), lambda x, k=k: torch.diag(x, k))
add("trace", [normal(3, 4)], F.trace, torch.trace)
add("moveaxis", [normal(2, 3, 4)], lambda x: F.moveaxis(x, (0, -1), (1, 0)), lambda x: torch.moveaxis(x, (0, -1), (1, 0)))
add("vstack", [normal(3), normal(2, 3)], lambda *x: F.vstack(x), lambda *x: torch.vstack(x))
add("hstack", [normal(3, 1), normal(3, 2)], lambda *x: F.hstack(x), lambda *x: torch.hstack(x))
add("hstack", [normal(3), normal(2)], lambda *x: F.hstack(x), lambda *x: torch.hstack(x))
add("outer", [normal(3), normal(2)], F.outer, torch.outer)
add("inner", [normal(2, 3), normal(4, 3)], F.inner, torch.inner)
add("dot", [normal(3), normal(3)], F.dot, torch.dot)
for axes in (1, ((1, 2), (1, 0)), ((0, 2), (2, 0))):
    add(
        "tensordot",
        [normal(2, 3, 4), normal(4, 3, 2)],
        lambda x, y, axes=axes: F.tensordot(x, y, axes),
        lambda x, y, axes=axes: torch.tensordot(x, y, axes),
    )
for a, b in (((3, 3), (3,)), ((3, 3), (3, 2)), ((4, 2, 2), (4, 2, 3)), ((4, 2, 2), (2, 1)), ((2, 2), (4, 2, 3)), ((2, 1, 2, 2), (3, 2, 1))):
    add("solve", [regular(*a), normal(*b)], F.solve, torch.linalg.solve)
for a in ((3, 3), (4, 2, 2)):
    add("inv", [regular(*a)], F.inv, torch.linalg.inv)
for name in ("log2", "log10", "tan", "arctan"):
    add(name, [RANDOM.uniform(0.3, 1.2, (3, 4))], getattr(np, name), getattr(torch, name))


@pytest.mark.parametrize("case", CASES)
def test_value_gradient_and_second_order(case):
    arrays, here, there = CASES[case]
    random = np.random.default_rng(9)
    ours = [Tensor(x, requires_grad=True, dtype=np.float64) for x in arrays]
    theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
    y, z = here(*ours), there(*theirs)
    np.testing.assert_allclose(y.data, z.detach(), rtol=1e-11, atol=1e-12)
    # The square makes the second derivative of a linear function differ from 0.
    c, d = random.standard_normal((2, *y.shape))
    slopes = gradients((y * c + y * y * d).sum(), ours, create_graph=True)
    slopes_there = torch.autograd.grad((z * torch.tensor(c) + z * z * torch.tensor(d)).sum(), theirs, create_graph=True)
    for slope, wanted in zip(slopes, slopes_there, strict=True):
        np.testing.assert_allclose(slope.data, wanted.detach(), rtol=1e-10, atol=1e-11)
    weights = [random.standard_normal(x.shape) for x in arrays]
    curvatures = gradients(sum((s * w).sum() for s, w in zip(slopes, weights, strict=True)), ours)
    projected = sum((s * torch.tensor(w)).sum() for s, w in zip(slopes_there, weights, strict=True))
    for curvature, wanted in zip(curvatures, torch.autograd.grad(projected, theirs), strict=True):
        np.testing.assert_allclose(curvature.data, wanted, rtol=1e-9, atol=1e-10)


def test_all_but_a_few_functions_are_compared():
    """PyTorch has no argsort with a gradient either."""
    compared = {case.rpartition("-")[0].split(" ")[0] for case in CASES}
    assert {"argsort"} == {
        name for name, f in vars(F.arrays).items() if getattr(f, "__module__", "") == F.arrays.__name__ and name[0] != "_"
    } - compared


@pytest.mark.parametrize("ord", [None, 1, 2, 3, 1.5, 0.5, inf, -inf, -1])
def test_the_gradient_of_a_norm_of_zeros_is_pytorchs(ord):
    x = np.array([[0.0, 0.0], [0.0, -2.0], [3.0, 0.0], [3.0, -3.0]])
    ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        F.norm(ours, ord, 1).sum().backward()
    norm_there(theirs, ord, 1, False).sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-6)


@pytest.mark.parametrize("row", [[-inf, 1.0], [inf, 0.0], [inf, inf], [inf, -inf], [math.nan, 0.0], [-inf, -inf]])
def test_log_sum_exp_at_infinities_is_pytorchs_but_for_the_gradient_of_nothing(row):
    ours, theirs = Tensor(row, requires_grad=True), torch.tensor(row, requires_grad=True)
    y, z = F.logsumexp(ours), torch.logsumexp(theirs, 0)
    np.testing.assert_array_equal(y.data, z.detach())
    z.backward()
    with np.errstate(invalid="ignore"):
        y.backward()
    np.testing.assert_array_equal(ours.grad, [0, 0] if row == [-inf, -inf] else theirs.grad)


@pytest.mark.parametrize("largest", [True, False])
def test_the_positions_of_topk_are_pytorchs(largest):
    x = RANDOM.permutation(60).reshape(3, 20).astype(np.float64)
    for k in (0, 1, 5, 20):
        np.testing.assert_array_equal(F.topk(x, k, largest=largest)[1], torch.topk(torch.tensor(x), k, largest=largest).indices)
