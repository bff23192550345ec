"""What is computed together, where values lie, and where threads wait."""

import numpy as np
import pytest

from micrograd_plus.compiler.barriers import Touch, Touches, part
from micrograd_plus.compiler.c import program
from micrograd_plus.compiler.graph import ordered
from micrograd_plus.compiler.schedule import Output, Place, schedule
from micrograd_plus.compiler.simplify import simplify
from micrograd_plus.compiler.trace import Trace


def planned(f, *shapes, threads=1, dtypes=None, checks=0, reuse=True):
    """The schedule of f on inputs of these shapes, its outputs each in a place of their own."""
    trace = Trace()
    inputs = [trace.input(i, shape, (dtypes or {}).get(i, np.float32)) for i, shape in enumerate(shapes)]
    result = f(*inputs)
    nodes = [x.node for x in (result if isinstance(result, tuple) else (result,))]
    new = simplify([*nodes, *trace.checks])
    outputs, checked = new[: len(nodes)], new[len(nodes) :]
    sources = {node: Place(node.attrs[0]) for node in ordered(new) if node.op == "input"}
    first = len(shapes)
    return schedule([Output(node, Place(first + i)) for i, node in enumerate(outputs)], checked, sources, threads, reuse)


def kinds(plan):
    return [kernel.kind for kernel in plan.kernels]


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def standardised(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.exp(x * 2 + 1) - np.tanh(x),
        softmax,
        standardised,
        lambda x: softmax(standardised(x) * 3),
        lambda x: softmax(x.reshape(4, 3, 5)).reshape(12, 5) + x,
        lambda x: (x - x.max(axis=1, keepdims=True)).sum(axis=0),
        lambda x: np.log(np.exp(x).sum(axis=1)),
        lambda x: (x * x).sum(),
    ],
)
def test_elementwise_work_and_rows_are_one_kernel(f):
    plan = planned(f, (12, 5))
    assert kinds(plan) == ["loop"]


def test_what_reads_a_sum_over_the_batch_is_another_kernel():
    plan = planned(lambda x: x - x.mean(axis=0), (12, 5))
    assert kinds(plan) == ["loop", "loop", "loop"]  # the sum, the mean, the difference
    assert plan.kernels[2].before == 1 << plan.kernels[0].index | 1 << plan.kernels[1].index


def test_kernels_of_one_shape_become_one_where_a_node_needs_both():
    plan = planned(lambda x, y: np.exp(x) * np.tanh(y), (12, 5), (12, 5))
    assert kinds(plan) == ["loop"]
    # but not where a product stands between them
    plan = planned(lambda x, y: np.exp(x) * (np.tanh(x) @ y), (5, 5), (5, 5))
    assert kinds(plan) == ["loop", "matmul", "loop"]


def test_cheap_values_are_computed_again_and_dear_ones_kept():
    def f(x, w):
        h = np.maximum(x, 0)
        return h @ w, (h > 0) * x

    plan = planned(f, (40, 5), (5, 3))
    stored = [store.node.op for kernel in plan.kernels for store in kernel.stores]
    assert "greater" not in stored
    assert stored.count("maximum") == 1


def test_an_optimizer_reads_and_writes_each_array_once():
    def update(p, m, g):
        m = m * 0.9 + g
        return p - m * 0.1, m

    trace = Trace()
    p, m, g = (trace.input(i, (1000,), np.float32) for i in range(3))
    nodes = simplify([*(x.node for x in update(p, m, g)), p.node, m.node])
    sources = {node: Place(node.attrs[0]) for node in ordered(nodes) if node.op == "input"}
    plan = schedule([Output(nodes[0], Place(0), nodes[2]), Output(nodes[1], Place(1), nodes[3])], [], sources, 1)
    assert kinds(plan) == ["loop"]
    _, calls = program(plan)
    assert len(calls[0].arrays) == 3  # p and m in place, and g
    assert plan.arena == 0


def test_a_value_is_replaced_after_all_that_reads_it():
    def f(p, x):
        return p - (x.T @ (x @ p)), (x @ p).sum()

    trace = Trace()
    p, x = trace.input(0, (4, 3), np.float32), trace.input(1, (6, 4), np.float32)
    nodes = simplify([*(y.node for y in f(p, x)), p.node])
    sources = {node: Place(node.attrs[0]) for node in ordered(nodes) if node.op == "input"}
    plan = schedule([Output(nodes[0], Place(0), nodes[2]), Output(nodes[1], Place(2))], [], sources, 1)
    writer = next(i for i, kernel in enumerate(plan.kernels) if any(plan.memory[store.target] == Place(0) for store in kernel.stores))
    readers = [i for i, kernel in enumerate(plan.kernels) if any(plan.memory.get(node) == Place(0) for node in kernel.reads)]
    assert readers
    assert max(readers) <= writer


def test_two_values_that_change_places():
    trace = Trace()
    p, q = trace.input(0, (4,), np.float32), trace.input(1, (4,), np.float32)
    nodes = simplify([q.node, p.node])
    sources = {node: Place(node.attrs[0]) for node in nodes}
    plan = schedule([Output(nodes[0], Place(0), nodes[1]), Output(nodes[1], Place(1), nodes[0])], [], sources, 1)
    arrays = {Place(0): "p", Place(1): "q"}  # each kernel copies what it reads to where it writes
    for kernel in plan.kernels:
        (read,), (store,) = kernel.reads, kernel.stores
        arrays[plan.memory[store.target]] = arrays[plan.memory[read]]
    assert arrays[Place(0)] == "q"
    assert arrays[Place(1)] == "p"


def test_checks_come_before_indices_are_used_and_before_anything_is_replaced():
    def f(table, index):
        index.trace.require((index >= 0) & (index < 7))
        return table[index] * 2

    plan = planned(f, (7, 3), (5,), dtypes={1: np.int64})
    gathers = [i for i, kernel in enumerate(plan.kernels) if any(node.op == "gather" for node in kernel.nodes)]
    checks = [i for i, kernel in enumerate(plan.kernels) if kernel.kind == "check"]
    assert checks
    assert max(checks) < min(gathers)


def test_memory_is_used_again_and_never_by_two_at_once():
    def f(x, w):
        for _ in range(6):
            x = np.tanh(x @ w)
        return x

    tight, loose = planned(f, (32, 32), (32, 32)), planned(f, (32, 32), (32, 32), reuse=False)
    assert tight.arena < loose.arena / 3
    for plan in (tight, loose):
        spans = {}
        for time, kernel in enumerate(plan.kernels):
            for node in [store.target for store in kernel.stores] + list(kernel.reads):
                where = plan.memory[node]
                if isinstance(where, int):
                    first, _ = spans.get(node, (time, time))
                    spans[node] = (first, time)
        for a, (start, end) in spans.items():
            for b, (other, last) in spans.items():
                if a is not b and start <= last and other <= end:
                    x, y = plan.memory[a], plan.memory[b]
                    assert x + a.size * 4 <= y or y + b.size * 4 <= x


def test_kernels_that_differ_in_their_arrays_alone_share_a_function():
    def f(x, *weights):
        for w in weights:
            x = np.tanh(x @ w)
        return x

    text, calls = program(planned(f, (32, 16), *[(16, 16)] * 5))
    assert len(calls) == 10
    assert len({call.name for call in calls}) <= 3  # the last activation writes elsewhere, by the same function
    assert text.count("KERNEL k") == len({call.name for call in calls})


def test_no_thread_waits_between_a_product_and_the_activation_of_its_rows():
    plan = planned(lambda x, w, v: np.tanh(np.tanh(x @ w) @ v), (512, 64), (64, 64), (64, 64), threads=2)
    _, calls = program(plan)
    assert [call.barrier for call in calls] == [False] * 4


def test_threads_wait_where_one_reads_what_another_wrote():
    plan = planned(lambda x, w: np.tanh(x).T @ w, (512, 64), (512, 64), threads=2)
    _, calls = program(plan)
    assert [call.kernel.kind for call in calls] == ["loop", "matmul"]
    assert calls[1].barrier


def test_shares_cover_everything_once():
    for n in (0, 1, 5, 16, 17, 1000):
        for threads in (1, 2, 3, 7):
            for step in (1, 16):
                edges = [part(n, t, threads, step) for t in range(threads + 1)]
                assert edges[0] == 0
                assert edges[-1] == n
                assert edges == sorted(edges)


def conflicting(a, b):
    touches = Touches()
    touches.add([a])
    return touches.conflict(b)


@pytest.mark.parametrize(
    ("a", "b", "conflict"),
    [
        (((0, 5), (5, 10)), ((0, 5), (5, 10)), False),
        (((0, 5), (5, 10)), ((0, 6), (6, 10)), True),
        (((0, 10), (0, 0)), ((0, 10), (0, 0)), False),
        (((0, 10), (0, 0)), ((0, 5), (5, 10)), True),
        (((0, 10), (0, 10)), ((0, 5), (5, 10)), True),
    ],
)
def test_conflicts(a, b, conflict):
    place = Place(0)
    assert conflicting(Touch(place, 0, 40, a, True), Touch(place, 0, 40, b, False)) is conflict
    assert conflicting(Touch(place, 0, 40, a, False), Touch(place, 0, 40, b, True)) is conflict
    assert not conflicting(Touch(place, 0, 40, a, False), Touch(place, 0, 40, b, False))
    assert not conflicting(Touch(place, 0, 40, a, True), Touch(Place(1), 0, 40, b, True))
    # places in the arena that overlap belong to different values: any two threads may meet there
    assert conflicting(Touch(0, 0, 40, ((0, 5), (5, 10)), True), Touch(20, 20, 60, ((0, 5), (5, 10)), False))
    assert not conflicting(Touch(0, 0, 40, ((0, 10), (0, 0)), True), Touch(20, 20, 60, ((0, 10), (0, 0)), False))
    assert not conflicting(Touch(0, 0, 40, ((0, 5), (5, 10)), True), Touch(40, 40, 60, ((0, 5), (5, 10)), False))
