"""The rewriting passes: each rule fires, what it gives has the same values bit by bit, and what is not exact is left alone."""

import math

import numpy as np
import pytest

from micrograd_plus.compiler.graph import Node, evaluate, ordered
from micrograd_plus.compiler.simplify import simplify
from micrograd_plus.compiler.trace import Trace

X = np.array([[-1.5, 0.0, -0.0, 2.0], [np.nan, np.inf, -np.inf, 1e-42], [3.0, -4.0, 0.5, 1e30]], np.float32)


def values_of(outputs, given):
    """What nodes are, computed by NumPy."""
    values = {}
    for node in ordered(outputs):
        values[node] = given[node.attrs[0]] if node.op == "input" else evaluate(node, [values[x] for x in node.inputs])
    return [values[node] for node in outputs]


def traced(f, *arrays):
    """The node that f gives on symbols, and the arrays by the names of their inputs."""
    trace = Trace()
    given = dict(enumerate(arrays))
    return f(*[trace.input(i, array.shape, array.dtype) for i, array in given.items()]).node, given


def check(f, *arrays, ops):
    """f simplified has exactly these operations, besides sources, and the same values bit by bit."""
    node, given = traced(f, *arrays)
    (new,) = simplify([node])
    (before,), (after,) = values_of([node], given), values_of([new], given)
    np.testing.assert_array_equal(np.signbit(before)[before == before], np.signbit(after)[before == before])
    np.testing.assert_array_equal(before, after)
    assert before.dtype == after.dtype
    found = [node.op for node in ordered([new]) if node.op not in ("input", "array", "constant", "iota")]
    assert sorted(found) == sorted(ops)


@pytest.mark.parametrize(
    ("f", "ops"),
    [
        (lambda x: x * 1.0, []),
        (lambda x: 1.0 * x, []),
        (lambda x: x / 1, []),
        (lambda x: x - 0.0, []),
        (lambda x: x * -1.0, ["negative"]),
        (lambda x: np.negative(-x), []),
        (lambda x: x / 4, ["multiply"]),
        (lambda x: x**2, ["square"]),
        (lambda x: x**0.5, ["sqrt"]),
        (lambda x: x**-1, ["divide"]),
        (lambda x: x.astype(np.float32), []),
        (lambda x: x * np.ones((3, 4), np.float32), []),
        (lambda x: x + (np.float32(2) * 3 - 5), ["add"]),
        (lambda x: np.exp(x) + np.exp(x), ["add", "exp"]),
        (lambda x: np.maximum(x, 0) * (x > 0), ["cast", "greater", "maximum", "multiply"]),
    ],
)
def test_algebra(f, ops):
    with np.errstate(all="ignore"):
        check(f, X, ops=ops)


@pytest.mark.parametrize(
    ("f", "ops"),
    [
        (lambda x: x + 0.0, ["add"]),  # -0.0 + 0.0 is 0.0
        (lambda x: x * 0.0, ["multiply"]),  # of NaN and infinity NaN
        (lambda x: x - x, ["subtract"]),
        (lambda x: x / x, ["divide"]),
        (lambda x: x / 3, ["divide"]),  # times 1 / 3 rounds twice
        (lambda x: x - (-0.0), ["subtract"]),  # -0.0 - -0.0 is 0.0
    ],
)
def test_what_holds_for_real_numbers_alone_is_left(f, ops):
    with np.errstate(all="ignore"):
        check(f, X, ops=ops)


def test_relus_mask_is_taken_from_its_result_so_that_the_input_need_not_be_kept():
    node, _ = traced(lambda x: np.maximum(x, 0) * (x > 0), X)
    (new,) = simplify([node])
    mask = next(node for node in ordered([new]) if node.op == "greater")
    assert mask.inputs[0].op == "maximum"


Y = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("f", "ops"),
    [
        (lambda x: x.reshape(6, 4).reshape(2, 3, 4), []),
        (lambda x: x.reshape(6, 4).reshape(24), ["reshape"]),
        (lambda x: x.transpose(1, 2, 0).transpose(2, 0, 1), []),
        (lambda x: x.transpose(1, 2, 0).transpose(1, 0, 2), ["transpose"]),
        (lambda x: np.exp(x.transpose(2, 0, 1)).transpose(1, 2, 0), ["exp"]),
        (lambda x: x.transpose(2, 0, 1).sum(0), ["reduce", "reshape"]),
        (lambda x: x[:, 1:][:, :1], ["slice"]),
        (lambda x: x[0:2], []),
        (lambda x: np.concatenate([x, x * 2], 1)[:, 3:5], ["multiply", "slice"]),
        (lambda x: np.concatenate([x[:, :1], x[:, 1:]], 1), ["place", "slice", "slice"]),
        (lambda x: x[None].transpose(0, 2, 1, 3)[0], ["transpose"]),
        (lambda x: np.broadcast_to(x[:, :1], (2, 3, 4)).sum(1), ["broadcast", "reduce", "reshape", "slice"]),
        (lambda x: x.reshape(2, 3, 2, 2)[:, 1, 0], ["reshape", "slice"]),
        (lambda x: x.sum(0, keepdims=True).sum(1), ["reduce", "reshape"]),
    ],
)
def test_views(f, ops):
    check(f, Y, ops=ops)


def test_a_sum_of_slices_put_back_is_one_array_of_them():
    def f(x):
        trace = x.trace
        parts = [trace.scatter(x[:, i], (slice(None), i), x.shape) for i in range(3)]
        return parts[0] + parts[1] + parts[2]

    node, given = traced(f, Y)
    (new,) = simplify([node])
    places = [node for node in ordered([new]) if node.op == "place"]
    assert len(places) == 1
    assert places[0].attrs[1] is None  # nothing is left to fill
    assert not [node for node in ordered([new]) if node.op == "add"]
    np.testing.assert_array_equal(values_of([new], given)[0], Y)


def test_slices_that_overlap_are_added():
    def f(x):
        return x.trace.scatter(x[:, :2], (slice(None), slice(0, 2)), x.shape) + x.trace.scatter(
            x[:, 1:], (slice(None), slice(1, 3)), x.shape
        )

    node, given = traced(f, Y)
    (new,) = simplify([node])
    assert [node for node in ordered([new]) if node.op == "add"]
    np.testing.assert_array_equal(values_of([new], given)[0], Y * np.array([1, 2, 1], np.float32)[:, None])


def test_windows_that_do_not_overlap_are_put_beside_one_another():
    from micrograd_plus.rules.windows import add_windows, slide

    x = np.arange(32.0, dtype=np.float32).reshape(1, 2, 4, 4)
    settings = {"stride": (2, 2), "dilation": (1, 1)}
    node, given = traced(lambda x: add_windows(slide(x, size=(2, 2), **settings), spatial=(4, 4), **settings), x)
    (new,) = simplify([node])
    assert not [node for node in ordered([new]) if node.op == "fold"]
    np.testing.assert_array_equal(values_of([new], given)[0], x)
    node, given = traced(lambda x: add_windows(slide(x, size=(3, 3), **settings), spatial=(4, 4), **settings), x)
    assert [node for node in ordered(simplify([node])) if node.op == "fold"]


@pytest.mark.parametrize("count", [2, 3, 8])
def test_sums_of_small_products_are_joined(count):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for _ in range(count) for shape in ((6, 2), (2, 5))]

    def f(*xs):
        total = xs[0] @ xs[1]
        for x, y in zip(xs[2::2], xs[3::2], strict=True):
            total = total + x @ y
        return total + 1.0

    node, given = traced(f, *arrays)
    (new,) = simplify([node])
    products = [node for node in ordered([new]) if node.op == "matmul"]
    assert len(products) == (1 if count > 2 else 2)
    np.testing.assert_allclose(values_of([new], given)[0], values_of([node], given)[0], rtol=1e-12)


def test_products_that_are_used_elsewhere_are_not_joined():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for _ in range(3) for shape in ((6, 2), (2, 5))]

    def f(a, b, c, d, e, g):
        first = a @ b
        return (first + c @ d + e @ g) * first

    node, given = traced(f, *arrays)
    (new,) = simplify([node])
    assert len([node for node in ordered([new]) if node.op == "matmul"]) == 3
    np.testing.assert_allclose(values_of([new], given)[0], values_of([node], given)[0], rtol=1e-12)


def test_a_gather_along_short_rows_becomes_a_sum_over_them():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((5, 7)).astype(np.float32), rng.integers(0, 7, 5)
    check(
        lambda x, labels: x[np.arange(5), labels],
        x,
        labels,
        ops=["add", "broadcast", "broadcast", "equal", "less", "reduce", "reshape", "reshape", "where", "where"],
    )


def test_constants_of_all_kinds_are_told_apart():
    trace = Trace()
    x = trace.input(0, (3,), np.float32)
    outputs = simplify([(x + c).node for c in (0.0, -0.0, math.nan, 1.0, 0.0)])
    assert len({id(node) for node in outputs}) == 4
    assert outputs[0] is outputs[4]


def test_what_no_output_needs_is_not_made():
    trace = Trace()
    x = trace.input(0, (3,), np.float32)
    np.exp(x)
    assert [node.op for node in ordered(simplify([(x * 2).node]))] == ["input", "constant", "multiply"]


def test_nodes_have_their_numbers_in_order():
    a = Node("input", (), (0,), (2,), np.float32)
    b = Node("negative", (a,), (), (2,), np.float32)
    assert a.order < b.order
    assert ordered([b, a]) == [a, b]
