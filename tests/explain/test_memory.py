"""memory_report: what a graph holds, counted once, and who keeps it alive."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import Tensor, debug, memory_report
from micrograd_plus.explain import memory
from micrograd_plus.explain.memory import size
from micrograd_plus.transforms import checkpoint

from .graphs import GRAPHS

N = 10_000  # elements, 40 kB of float32
KB = 4 * N


def leaf(count=N):
    return Tensor(np.linspace(0.1, 1, count), requires_grad=True)


def places(report):
    return {held.place: held.bytes for held in report.by_place}


# -- bytes ---------------------------------------------------------------------------------------------------------------


def test_each_array_counts_once():
    x, y = leaf(), Tensor(np.ones(N))
    report = memory_report((x.exp() * y * x).sum())  # exp's result is kept by its pullback and as an input
    assert (report.leaves, report.constants, report.operations) == (KB, KB, 4)
    assert places(report) == {"exp": KB, "multiply": KB, "sum": 4}  # of the last product nothing is kept
    assert report.results == 2 * KB + 4 and report.total == 4 * KB + 4


def test_views_count_as_what_they_are_views_of_and_once():
    x = leaf()
    part = x.exp().reshape(100, 100)[:10].transpose()
    report = memory_report((part * part).sum())
    assert places(report) == {"exp": KB, "sum": 4}
    mask = np.zeros((2, N), np.float32)
    assert memory_report((x * mask[0]).sum()).constants == 2 * KB


def test_linear_operations_keep_nothing():
    x = leaf()
    y = x
    for _ in range(10):
        y = y + x
    report = memory_report(y.sum())
    assert places(report) == {"sum": 4, "add": KB}  # the one that `y` holds
    assert report.operations == 11


def test_what_pullbacks_keep_of_their_own_counts():
    x = leaf()
    report = memory_report(x.gelu().sum())
    assert places(report)["gelu"] >= KB  # the distribution function
    report = memory_report(checkpoint(lambda x: x.exp().exp().exp(), x).sum())
    assert report.results == 4 and report.leaves == KB  # nothing of the middle


def test_a_leaf_alone():
    report = memory_report(leaf())
    assert (report.leaves, report.results, report.operations, report.by_place) == (KB, 0, 0, [])


@pytest.mark.parametrize("name", ["mlp", "gpt", "convolution", "recurrent"])
def test_totals_are_those_of_tracemalloc(name):
    mg.set_seed(0)
    if name == "mlp":
        model = mg.Sequential(mg.Linear(50, 100), mg.GELU(), mg.LayerNorm(100), mg.Dropout(0.5), mg.Linear(100, 10))
        x = Tensor(np.ones((400, 50)))
    elif name == "gpt":
        model, x = mg.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True), Tensor(np.ones((8, 32, 32)))
    elif name == "convolution":
        model, x = mg.Sequential(mg.Conv2d(2, 8, 3), mg.BatchNorm(8), mg.ReLU(), mg.MaxPool2d(2)), Tensor(np.ones((8, 2, 32, 32)))
    else:
        model, x = mg.LSTM(16, 64), Tensor(np.ones((20, 16, 16)))

    def forward():
        y = model(x)
        return ((y[0] if isinstance(y, tuple) else y) ** 2).mean()

    forward()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        loss = forward()
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    report = memory_report(loss)
    made = report.results + report.constants - (name != "convolution") * x.data.nbytes  # which is padded, a copy
    nodes = 4000 * report.operations  # bytes, at most, of Python's objects
    assert held - nodes <= made <= held * 1.001
    assert made > 0.8 * held


def test_lines_within_debug():
    with debug():
        x = leaf()
        y = x.exp()
        z = y.exp() * y.exp()
        loss = z.sum()
    report = memory_report(loss)
    assert report.lines and [(held.bytes, held.arrays, held.operations) for held in report.by_place[:2]] == [
        (3 * KB, 3, ("exp", "multiply")),
        (KB, 1, ("exp",)),
    ]
    first, second, _ = (held.place for held in report.by_place)
    assert first.startswith("test_memory.py, line ") and first.endswith(": z = y.exp() * y.exp()") and second.endswith(": y = x.exp()")


def test_the_report():
    x = leaf()
    loss = (x.exp() * x).sum()
    loss.data[...] = 1.0
    assert (
        str(memory_report(loss))
        == repr(memory_report(loss))
        == """\
A graph of 3 operations that refers to 80.0 kB of arrays:
  40.0 kB of results, which are freed with it,
  0 B of inputs and constants, freed unless others hold them,
  40.0 kB of leaves that require gradients, such as parameters, which stay.

Results, by what made them:
  made by    bytes  arrays
  exp      40.0 kB       1
  sum          4 B       1

The graph is kept alive by:
  loss, a variable of test_the_report()"""
    )
    assert [size(count) for count in (0, 999, 1000, 2_500_000, 3 * 10**9)] == ["0 B", "999 B", "1.0 kB", "2.5 MB", "3.0 GB"]


def test_a_long_report_is_cut():
    x = leaf(2)
    names = ("exp", "sin", "cos", "tanh", "sigmoid", "silu", "softplus", "log1p", "expm1", "abs", "gelu", "sqrt", "relu", "elu")
    functions = {"log1p": np.log1p, "expm1": np.expm1, "abs": np.abs}
    y = x
    for name in names:
        y = functions[name](y) if name in functions else getattr(y, name)()
        y = y * y
    text = str(memory_report(y.sum()))
    assert "  ... and " in text and text.count("\n") < 30


# -- holders -------------------------------------------------------------------------------------------------------------

OF_MODULE = []


class Trainer:
    def __init__(self):
        self.history = {"loss": []}


def test_variables_lists_and_attributes_that_hold_a_graph():
    x = leaf(3)
    middle = x.exp()
    loss = middle.sum()
    trainer, losses = Trainer(), [loss]
    trainer.history["loss"].append(loss)
    OF_MODULE.append(middle)
    try:
        holders = memory_report(loss).holders
    finally:
        OF_MODULE.clear()
    function = "a variable of test_variables_lists_and_attributes_that_hold_a_graph()"
    assert {f"loss, {function}", f"middle, {function}", f"losses[0], {function}", f"trainer.history['loss'][0], {function}"} <= set(holders)
    assert "OF_MODULE[0], a variable of test_memory.py" in holders
    assert not any(holder.startswith("x, ") for holder in holders)  # a leaf keeps no graph
    assert len(losses) == 1


def test_a_running_total_is_told():
    x = leaf(3)
    total, kept = 0.0, []
    for _ in range(5):
        loss = (x * x).sum()
        total = total + loss
        kept.append(total)
    holders = memory_report(loss).holders
    of = "a variable of test_a_running_total_is_told()"
    assert f"total, {of}, whose graph contains this one" in " ".join(holders) or f"total, {of}" in " ".join(holders)
    assert any(holder.startswith("kept[4], ") and "whose graph contains this one" in holder for holder in holders)
    assert f"kept, {of}, in 5 places, the first of them kept[0]" in memory_report(total).holders
    assert memory_report(total).operations == 15


def test_the_variable_of_another_thread_is_told():
    ready, done = threading.Event(), threading.Event()
    found = []

    def work():
        in_thread = leaf(3).exp()
        found.append(weakref.ref(in_thread))
        ready.set()
        done.wait()
        return in_thread

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    try:
        holders = memory_report(found[0]()).holders
    finally:
        done.set()
        thread.join()
    assert "in_thread, a variable of work()" in holders


def test_a_closure_that_no_variable_leads_to_is_told_by_its_kind():
    def made():
        hidden = leaf(3).exp()
        return [lambda: hidden], weakref.ref(hidden)

    functions, reference = made()
    holders = memory_report(reference()).holders
    assert holders == ["a closure that no variable seen from here leads to"]
    assert len(functions) == 1


def test_the_collector_is_asked_only_where_more_than_the_graph_refers_to_a_result(monkeypatch):
    """It takes time in proportion to the square of what it is asked for."""
    loss = (leaf(3).exp().sin() * 2.0).sum()
    asked = []
    monkeypatch.setattr(memory.gc, "get_referrers", lambda *tensors: asked.append(tensors) or [])
    assert memory_report(loss).holders == [
        "loss, a variable of test_the_collector_is_asked_only_where_more_than_the_graph_refers_to_a_result()"
    ]
    assert asked == []


def test_a_report_keeps_nothing_alive():
    def run():
        loss = (leaf(3) ** 2).sum()
        report = memory_report(loss)
        found = weakref.ref(loss)
        loss = None
        return report, found()

    report, found = run()
    assert found is None and report.holders == ["loss, a variable of run()"]


def test_the_graph_of_an_argument_alone_is_kept_by_nothing_that_was_found():
    text = str(memory_report((leaf(3) ** 2).sum()))
    assert text.endswith("kept alive by:\n  nothing that was found")


# -- errors --------------------------------------------------------------------------------------------------------------


def test_errors_name_the_function():
    with pytest.raises(TypeError, match=r"^memory_report\(\) needs a Tensor"):
        memory_report(3.0)
    with pytest.raises(ValueError, match=r"^memory_report\(\) needs a graph"):
        memory_report(Tensor(3.0))
    loss = GRAPHS["mlp"]()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"^memory_report\(\) needs the whole graph"):
        memory_report(loss)
