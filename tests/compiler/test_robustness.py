"""What a trace can't see is said, once, and computed eagerly; threads, forks and interrupts leave right results or clear errors."""

import collections
import functools
import itertools
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import SGD, Adam, Linear, MSELoss, Parameter, ReLU, Sequential, Tensor
from micrograd_plus.compiler import Disagreement, Untraceable
from micrograd_plus.optimizers import StepLR

pytest.importorskip("scipy", reason="compile() needs SciPy, of the extra 'compile'")
pytest.importorskip("threadpoolctl", reason="compile() needs threadpoolctl, of the extra 'compile'")

X = np.array([1.0, 2.0, 3.0], np.float32)
SEEN = []
COUNT = 0


class Held:
    pass


def branches(x):
    return x * 2 if x.sum() > 0 else x


def makes_a_float(x):
    return x * float(x.sum())


def makes_an_int(x):
    return x * int(x[0].data)


def makes_an_array(x):
    return x * np.asarray(x.detach()).max()


def prints(x):
    print(x)
    return x * 2


def formats(x):
    return x * len(f"{x.sum().item():.2f}")


def appends(x):
    SEEN.append(1)
    return x * 2


def counts(x):
    global COUNT
    COUNT += 1
    return x * 2


def draws(x):
    return x * 1 + np.random.rand(3).astype(np.float32) * 0


def draws_by_python(x):
    return x * (random.random() * 0 + 2)


GENERATOR = np.random.default_rng(0)


def draws_from_a_generator(x):
    return x * 2 + GENERATOR.random(3).astype(np.float32) * 0


ITEMS = iter(range(1, 1000))


def takes(x):
    return x * (next(ITEMS) * 0 + 2)


TICKS = itertools.count()


def ticks(x):
    return x * (next(TICKS) * 0 + 2)


def inverts(x):
    return mg.inv(x.reshape(1, 3).T @ x.reshape(1, 3) + mg.eye(3))


def masks(x):
    return x[x.data > 1.5]


def writes_into_the_argument(x):
    x.data[...] = x.data * 2
    return x * 1


class Result:
    def __init__(self, x):
        self.x = x


def returns_an_object(x):
    return Result(x * 2).x if False else [Result(x * 2)]


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (branches, "branch on a traced value"),
        (makes_a_float, "Python number of a traced value"),
        (makes_an_int, "Python number of a traced value"),
        (makes_an_array, "plain array of a traced value"),
        (prints, "print a traced value"),
        (formats, "print a traced value"),
        (appends, "changes Python's objects"),
        (counts, "global variable 'COUNT'"),
        (draws, "draws random numbers by itself"),
        (draws_by_python, "draws random numbers by itself"),
        (draws_from_a_generator, "draws random numbers by itself"),
        (takes, "an iterator, a range_iterator"),
        (ticks, "an iterator, a count"),
        (inverts, "no symbolic form"),
        (masks, "indexing by a mask"),
        (writes_into_the_argument, "argument"),
        (returns_an_object, "returns a Result"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_what_a_trace_cannot_see_runs_eagerly_with_one_warning(function, what):
    strict = mg.compile(function, strict=True)
    with pytest.raises(Untraceable, match=what) as caught:
        strict(Tensor(X))
    if "traced value" in what or "symbolic" in what or "mask" in what:
        line = function.__code__.co_firstlineno
        assert f"test_robustness.py, line {line + 1})" in str(caught.value)
    with pytest.warns(RuntimeWarning, match=rf"compile: {function.__name__} runs eagerly, for .*{what}") as warned:
        f = mg.compile(function)
        results = [f(Tensor(X)) for _ in range(3)]
    assert len(warned) == 1
    assert warned[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(Tensor(X))
    for result in results:
        if isinstance(result, Tensor):
            np.testing.assert_array_equal(result.data, function(Tensor(X)).data)
    with pytest.raises(RuntimeError, match="has no native step: it runs eagerly, for"):
        _ = f.step


def test_nothing_of_a_trace_that_failed_is_left():
    SEEN.clear()
    global COUNT
    COUNT = 0
    np.random.seed(3)
    states = GENERATOR.bit_generator.state
    for f in (appends, counts, draws, draws_from_a_generator):
        with pytest.raises(Untraceable):
            mg.compile(f, strict=True)(Tensor(X))
    assert SEEN == [1] and COUNT == 1  # of the eager call
    after = np.random.rand()
    np.random.seed(3)
    np.random.rand(3)
    assert after == np.random.rand()
    once = np.random.default_rng(0)
    once.bit_generator.state = states
    once.random(3)
    assert GENERATOR.random() == once.random()


def test_traced_values_that_are_kept_are_seen():
    holder, slots, seen, things, queue = Held(), type("Slots", (), {"__slots__": ("x",)})(), {}, set(), collections.deque()
    last = None
    hidden = weak_holder()

    def attribute(x):
        holder.last = x * 2

    def slot(x):
        slots.x = x * 2

    def entry(x):
        seen["last"] = x * 2

    def member(x):
        things.add((x * 2).sum())

    def queued(x):
        queue.append(x * 2)

    def closure(x):
        nonlocal last
        last = x * 2

    def on_the_class(x):
        Held.last = x * 2

    def out_of_sight(x):
        hidden(x * 2)

    for f in (attribute, slot, entry, member, queued, closure, on_the_class, out_of_sight):
        with pytest.raises(Untraceable, match=r"changes Python's objects|keeps a traced value"):
            mg.compile(f, strict=True)(Tensor(X))
    del Held.last


def weak_holder():
    """What keeps a value where no walk from a function finds it: in the cache of a function of Python's own."""
    return functools.cache(lambda x: x)


def test_tensors_out_of_sight_are_found_when_they_take_part():
    w = Parameter([1.0, 2.0, 3.0])
    proxy = weakref.ref(w)

    def f(x):
        p = proxy()
        p.zero_grad()
        (p * x).sum().backward()
        return p * 2

    g = mg.compile(f, strict=True)
    for i in range(6):
        x = Tensor(X + i)
        assert (g(x).data == w.data * 2).all()
        assert type(w._data) is np.ndarray and (w.grad == X + i).all()
    w.data = np.zeros(3)
    assert (g(Tensor(X)).data == 0).all()


def test_a_schedule_inside_is_said():
    model = Linear(3, 1)
    optimizer = SGD(model.parameters(), lr=1.0)
    schedule = StepLR(optimizer, step_size=1, gamma=0.5)

    def step(x):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
        schedule.step()

    f = mg.compile(step)
    with pytest.warns(RuntimeWarning, match="changes Python's objects.*'(lr|last_step|.*)'"):
        f(Tensor(X.reshape(1, 3)))
    assert optimizer.lr == 0.5
    f(Tensor(X.reshape(1, 3)))
    assert optimizer.lr == 0.25


def test_what_changes_from_call_to_call_unseen_is_a_disagreement():
    def f(x):
        return x * np.random.default_rng().random(3).astype(np.float32)

    g = mg.compile(f)
    g(Tensor(X))
    with pytest.raises(Disagreement, match=r"the compiled f does not agree .* in what it returns, leaf 0.*pass that as an argument"):
        g(Tensor(X))


# -- threads, forks, interrupts ----------------------------------------------------------------------------------------------


def training(threads=1, width=16, seed=0):
    mg.set_seed(seed)
    model = Sequential(Linear(3, width), ReLU(), Linear(width, 1))
    optimizer, loss_fn = Adam(model.parameters(), lr=0.01), MSELoss()

    def step(x, y):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    rng = np.random.default_rng(1)
    batch = Tensor(rng.standard_normal((64, 3))), Tensor(rng.standard_normal((64, 1)))
    return mg.compile(step, threads=threads, strict=True), model, batch, step


def test_several_threads_call_one_step_as_if_one_after_another():
    f, model, batch, _ = training()
    _, other, _, plain = training()
    calls = 40

    def work():
        for _ in range(calls):
            f(*batch)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for _ in range(4 * calls):
        plain(*batch)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-3, atol=1e-4)


def heavy(threads):
    """A step whose work is worth two threads."""
    f, model, _, step = training(threads, width=2048)
    rng = np.random.default_rng(2)
    return f, model, (Tensor(rng.standard_normal((512, 3))), Tensor(rng.standard_normal((512, 1)))), step


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_one_and_two_threads_agree_and_a_forked_process_goes_on():
    results = []
    for threads in (1, 2):
        f, model, batch, _ = heavy(threads)
        losses = [f(*batch).item() for _ in range(6)]
        assert f.step.threads == threads
        results.append((losses, model))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-4)
    here = f(*batch).item()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, which is what is tested
        child = os.fork()
    if not child:
        try:
            worker = threading.Thread(target=lambda: os.write(writer, f"{f(*batch).item()} {f.step.threads}".encode()))
            worker.start()
            worker.join()
        finally:
            os._exit(0)
    os.close(writer)
    deadline = time.monotonic() + 60
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, 9)
            pytest.fail("the forked process hangs")
        time.sleep(0.05)
    loss, threads = os.read(reader, 100).split()
    assert int(threads) == 1
    assert float(loss) == pytest.approx(f(*batch).item(), rel=1e-3)
    assert here > 0


def _in_child(queue, f, batch):
    queue.put(f(*batch).item())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_multiprocessing_by_fork():
    f, _, batch, _ = training()
    for _ in range(5):
        f(*batch)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        worker = context.Process(target=_in_child, args=(queue, f, batch))
        worker.start()
    theirs = queue.get(timeout=60)
    worker.join()
    assert theirs == pytest.approx(f(*batch).item(), rel=1e-5)


def test_an_interrupt_anywhere_in_the_first_calls_leaves_arrays_and_goes_on():
    """KeyboardInterrupt raised after every so many lines of the compiler and of the function."""
    f, _, batch, _ = training()
    f(*batch)
    for after in range(3, 4000, 371):
        f, model, batch, _ = training()
        left = after

        def tracer(frame, event, arg):
            nonlocal left
            if event == "line" and "micrograd_plus" in frame.f_code.co_filename:
                left -= 1
                if left == 0:
                    raise KeyboardInterrupt
            return tracer

        sys.settrace(tracer)
        try:
            for _ in range(3):
                f(*batch)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        assert all(type(p._data) is np.ndarray and (p._grad is None or type(p._grad) is np.ndarray) for p in model.parameters()), after
        assert not mg.effects.is_traced()
        done = threading.Event()
        other = threading.Thread(target=lambda done=done, f=f, batch=batch: (f(*batch), done.set()))
        other.start()
        other.join(60)
        assert done.is_set(), "the lock is still held"


def test_omp_num_threads_and_threads(monkeypatch):
    assert mg.compile(lambda x: x, threads=3)._threads == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert mg.compile(lambda x: x)._threads == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "no")
    assert mg.compile(lambda x: x)._threads == len(os.sched_getaffinity(0))


def test_openmp_that_gives_fewer_threads_is_worked_around():
    program = """
import warnings; warnings.simplefilter("error")
from tests.compiler.test_robustness import heavy
f, model, batch, step = heavy(2)
losses = [f(*batch).item() for _ in range(6)]
g, _, _, _ = heavy(1)
expected = [g(*batch).item() for _ in range(6)]
print(f.step.threads, all(abs(a - b) < 1e-3 * abs(b) for a, b in zip(losses, expected)))
"""
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.split() == ["1", "True"], done.stderr
