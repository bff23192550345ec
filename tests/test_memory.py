"""Graphs are freed by reference counting, at any depth; training holds no more at its end than at its start."""

import gc
import platform
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest

from micrograd_plus import Tensor, gradients, no_grad
from micrograd_plus.layers import BatchNorm, Dropout, Embedding, LayerNorm, Linear, ReLU
from micrograd_plus.losses import CrossEntropyLoss
from micrograd_plus.nn import Sequential
from micrograd_plus.optimizers import Adam
from micrograd_plus.tensor import apply, concatenate, einsum, maximum, stack, where

DEPTH = 1_000_000
X = np.array([[0.5, -1.0, 2.0], [0.1, 0.7, -0.3]])


@pytest.fixture
def no_collector():
    """Runs without Python's collector, after which it must find nothing."""
    gc.collect()
    gc.disable()
    try:
        yield
        assert gc.collect() == 0
    finally:
        gc.enable()


def sine_and_cosine(x):
    s, c = np.sin(x), np.cos(x)
    return (s, c), (lambda g: g[0] * c - g[1] * s,)


def many_operations(x):
    y = (x * 2 + x / 3 - x**2).tanh() @ x.T
    y = concatenate([y, y]).reshape(-1)[:4] + stack([y[0, 0], y[1, 1]]).sum()
    y = where(y > 0, y, maximum(y, 0.1)).softmax() + einsum("ij,kj->i", x, x)[:1]
    s, c = apply(sine_and_cosine, y)
    return (s * c + s).var() + y.max() + y.log_softmax().mean() + y.std()


def raised(act):
    """The kind of error, none of whose frames live on."""
    try:
        act()
    except Exception as error:
        return type(error)
    return None


def nodes_of(*tensors):
    """Weak references to the tensors and to the graph's nodes."""
    seen, pending = {}, [t._node for t in tensors]
    while pending:
        node = pending.pop()
        if node is not None and id(node) not in seen and not isinstance(node, Tensor):
            seen[id(node)] = weakref.ref(node)
            pending += node.edges()
    return [weakref.ref(t) for t in tensors] + list(seen.values())


@pytest.mark.usefixtures("no_collector")
class TestFreedByReferenceCounting:
    def test_a_graph_that_was_never_walked(self):
        x = Tensor(X, requires_grad=True)
        loss = many_operations(x)
        references = nodes_of(loss)
        assert len(references) > 30
        del loss
        assert not any(reference() for reference in references)

    def test_a_graph_after_backward(self):
        x = Tensor(X, requires_grad=True)
        loss = many_operations(x)
        references = nodes_of(loss)
        loss.backward()
        del loss
        assert not any(reference() is not None for reference in references)

    @pytest.mark.parametrize("retain_graph", [False, True])
    def test_what_hangs_on_the_graph_while_the_loss_is_held(self, retain_graph):
        x = Tensor(np.ones(3), requires_grad=True)
        middle = x * 2
        array = weakref.ref(middle)
        loss = (middle * middle).sum()
        del middle
        loss.backward(retain_graph=retain_graph)
        assert (array() is not None) == retain_graph

    def test_a_second_order_graph(self):
        x = Tensor(X, requires_grad=True)
        (slope,) = gradients(many_operations(x), [x], create_graph=True)
        loss = (slope * slope).sum()
        references = nodes_of(loss)
        loss.backward()
        del loss, slope
        assert not any(reference() is not None for reference in references)

    def test_a_graph_whose_walk_failed(self):
        def wrong(x):
            return x * 1, (lambda g: g[:1],)

        x = Tensor(np.ones(3), requires_grad=True)
        loss = apply(wrong, x).sum()
        references = nodes_of(loss)
        assert raised(loss.backward) is RuntimeError
        del loss
        assert not any(reference() is not None for reference in references)

    def test_operations_that_raise(self):
        x = Tensor(np.ones(3), requires_grad=True)
        reference = weakref.ref(x)
        assert raised(lambda x=x: x + np.ones(2)) is ValueError
        del x
        assert reference() is None

    def test_training_steps_of_a_model_with_every_kind_of_layer(self):
        model = Sequential(Embedding(10, 4), LayerNorm(4), Linear(4, 8), BatchNorm(8), ReLU(), Dropout(0.5), Linear(8, 3))
        optimizer = Adam(model.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            logits = model(np.array([1, 5, 9, 1]))
            loss = CrossEntropyLoss()(logits, np.array([0, 1, 2, 0]))
            references = nodes_of(loss, logits)
            loss.backward()
            optimizer.step()
            del loss, logits
            assert not any(reference() is not None for reference in references)


def test_gradients_without_recording_keep_nothing_of_the_graph():
    x = Tensor(np.ones(3), requires_grad=True)
    y = (x * x).sum()
    reference = weakref.ref(y._node)
    (slope,) = gradients(y, [x])
    del y
    assert reference() is None
    assert slope.is_leaf


def test_no_grad_keeps_no_inputs():
    x = Tensor(np.ones(3), requires_grad=True)
    with no_grad():
        y = x * 2
        reference = weakref.ref(y)
        z = y * y
        del y
    assert reference() is None
    assert z.is_leaf


# -- depth ---------------------------------------------------------------------------------------------------------------


def run(program):
    """In a process of its own; the last line that it prints."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_chain_of_a_million_operations_runs_and_is_freed():
    """Half of them linear, whose nodes hold edges, half not, whose nodes hold tensors."""
    found = run(f"""
        import gc
        from micrograd_plus import Tensor
        gc.collect()
        gc.disable()
        x = y = Tensor(1.0, requires_grad=True)
        for _ in range({DEPTH} // 2):
            y = (y * 1.0) + 1e-6
        y.backward()
        del y
        print(x.grad.item(), gc.collect())
    """)
    assert found == "1.0 0"


def test_a_deep_chain_that_is_dropped_unwalked():
    found = run(f"""
        import gc, weakref
        from micrograd_plus import Tensor
        gc.collect()
        gc.disable()
        x = y = Tensor(1.0, requires_grad=True)
        for i in range({DEPTH} // 10):
            y = (y * 1.0) + 1e-6
            if i == 1000:
                early = weakref.ref(y._node)
        assert early() is not None
        del y
        print(early(), gc.collect())
    """)
    assert found == "None 0"


def test_second_order_through_a_deep_chain():
    x = y = Tensor(1.0, requires_grad=True)
    for _ in range(20_000):
        y = y * 1.0
    (slope,) = gradients(y * x, [x], create_graph=True)
    (curvature,) = gradients(slope, [x])
    assert (slope.item(), curvature.item()) == (2, 2)


# -- training ------------------------------------------------------------------------------------------------------------


def test_100_000_training_steps_end_with_the_memory_that_they_started_with():
    """The collector is off, so a single reference cycle per step would show as tens of megabytes."""
    found = run("""
        import gc
        import numpy as np
        from micrograd_plus import Tensor
        from micrograd_plus.layers import Linear, Tanh
        from micrograd_plus.losses import MSELoss
        from micrograd_plus.nn import Sequential
        from micrograd_plus.optimizers import Adam
        from micrograd_plus.utils import get_memory_usage

        model, loss_fn = Sequential(Linear(2, 4), Tanh(), Linear(4, 1)), MSELoss()
        optimizer = Adam(model.parameters(), lr=0.001)
        x, t = np.ones((2, 2), np.float32), np.ones((2, 1), np.float32)

        def train(steps):
            for _ in range(steps):
                optimizer.zero_grad()
                loss_fn(model(x), t).backward()
                optimizer.step()

        train(1000)
        get_memory_usage()
        gc.collect()
        gc.disable()
        before = get_memory_usage()["rss"]
        train(100_000)
        print(get_memory_usage()["rss"] - before, gc.collect())
    """)
    megabytes, garbage = found.split()
    assert float(megabytes) < 2
    assert garbage == "0"


@pytest.mark.skipif(not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc", reason="what glibc does with freed memory")
def test_large_arrays_do_not_get_fresh_pages_each_time():
    program = """
        import resource
        import numpy as np
        {0}

        def faults():
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

        def work():
            for _ in range(20):
                a = np.ones(1_000_000)
                b = a + 1
                del a, b

        work()
        start = faults()
        work()
        print(faults() - start)
    """
    counts = []
    for line in ("", "import micrograd_plus"):
        command = [sys.executable, "-c", textwrap.dedent(program.format(line))]
        counts.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    assert counts[0] > 5000  # else there is nothing to avoid
    assert counts[1] < 1000
