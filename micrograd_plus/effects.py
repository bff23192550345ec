"""All that is not a pure function of arrays: writes, random numbers, checks on values, changing scalars and reads.

Layers, losses, clipping and optimizers go through these functions and do nothing impure besides, so that the same code
runs at once on arrays and can be traced. A `Run` lets a function run a second time without its effects; a `Trace`, the
compiler's, takes them over.
"""

import contextlib
import copy
import operator
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, cast

import numpy as np

BLOCK = 32_768  # elements: the arrays of one block stay in the second-level cache through all passes over it

_generator: list[np.random.Generator] = []


class _ThreadState(threading.local):
    runs: "tuple[Run, ...]" = ()  # those that take note of what this thread draws and writes
    trace: "Trace | None" = None  # what records this thread's effects instead of their taking place


_state = _ThreadState()


def default_generator() -> np.random.Generator:
    """The library's own generator, from which everything random draws where no `generator=` is given."""
    if not _generator:
        _generator.append(np.random.default_rng())
    return _generator[0]


def set_seed(seed: int) -> None:
    """Seed the library's generator, NumPy's legacy global one, and Python's (which `scalar` uses).

    Args:
        seed: an int in [0, 2**32).
    """
    seed = operator.index(seed)
    if not 0 <= seed < 2**32:
        raise ValueError(f"a seed must be in [0, 2**32), got {seed}.")
    default_generator().bit_generator.state = np.random.default_rng(seed).bit_generator.state
    np.random.seed(seed)
    random.seed(seed)


def assign(target: Any, value: Any, index: Any = ...) -> None:
    """Write `value` into `target[index]`: into a parameter, a moment, a running mean (cast to its dtype), a dict's step count."""
    if _state.trace is not None:
        _state.trace.assign(target, value, index)
        return
    for run in _state.runs:
        run.note_write(target, index)
    target[index] = value


def assign_blocks(arrays: Sequence[np.ndarray], update: Callable[..., Sequence[Any]], *inputs: np.ndarray) -> None:
    """Write `update(*arrays, *inputs)` into `arrays`, one block of elements at a time.

    `update` is elementwise. It is given the arrays to compute in: a value made by augmented assignment is in its place
    already, any other is copied there. Block by block, temporaries stay in the cache.

    Args:
        arrays: arrays of one shape, to be replaced by the values that `update` returns, in that order.
        update: a function of len(arrays) + len(inputs) arrays that returns len(arrays) values.
        inputs: further arrays of that shape, read only.
    """
    if _state.trace is not None:
        for target, value in zip(arrays, update(*arrays, *inputs), strict=False):
            _state.trace.assign(target, value)
        return
    for run in _state.runs:
        for array in arrays:
            run.note_write(array)
    every = (*arrays, *inputs)
    size = arrays[0].size
    if size <= BLOCK or not all(array.flags.c_contiguous for array in every):
        blocks: Any = (every,)
    else:
        flat = [array.reshape(-1) for array in every]
        blocks = ([array[start : start + BLOCK] for array in flat] for start in range(0, size, BLOCK))
    for block in blocks:
        for target, value in zip(block, update(*block), strict=False):
            if value is not target:
                target[...] = value


def draw(generator: np.random.Generator | None, distribution: str, *args: Any, **kwargs: Any) -> Any:
    """A random array: `getattr(generator, distribution)(*args, **kwargs)`; `None` means the library's generator.

    Raises:
        TypeError: `generator` is none, a seed for instance.
    """
    generator = default_generator() if generator is None else generator
    if not hasattr(generator, distribution):
        raise TypeError(f"a generator must be a NumPy Generator, got {generator!r}. Make one by np.random.default_rng(seed).")
    if _state.trace is not None:
        return _state.trace.draw(generator, distribution, args, kwargs)
    for run in _state.runs:
        run.note_draw(generator)
    return getattr(generator, distribution)(*args, **kwargs)


def require(condition: Any, message: Callable[[], str]) -> None:
    """Check a condition on the values of arrays.

    Args:
        condition: a bool or bool array, true throughout if all is well.
        message: makes the text of the error; called only where the check fails.

    Raises:
        ValueError: with that message.
    """
    if _state.trace is not None and not isinstance(condition, (bool, np.bool, np.ndarray)):
        _state.trace.require(condition)
    elif not (condition.all() if isinstance(condition, np.ndarray) else condition):
        raise ValueError(message())


def scalar(owner: Any, name: str) -> Any:
    """The number `owner.name`, or `owner[name]` of a dict, that may change between steps: a learning rate, a step count."""
    if _state.trace is not None:
        return _state.trace.scalar(owner, name)
    return owner[name] if isinstance(owner, dict) else getattr(owner, name)


def read(array: Any) -> float:
    """The value of a one-element array as a Python number; of a traced one, a symbol that may be returned, but not looked at."""
    if _state.trace is not None and not isinstance(array, (np.ndarray, np.generic)):
        return cast(float, _state.trace.read(array))
    return cast(float, np.asarray(array).item())


class Trace(Protocol):
    """What takes the place of the effects of a function that runs on symbols. Each method is the function of that name."""

    def assign(self, target: Any, value: Any, index: Any = ...) -> None:
        """See `assign`."""

    def draw(self, generator: np.random.Generator, distribution: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See `draw`."""

    def require(self, condition: Any) -> None:
        """See `require`."""

    def scalar(self, owner: Any, name: str) -> Any:
        """See `scalar`."""

    def read(self, array: Any) -> Any:
        """See `read`."""


def is_traced() -> bool:
    """Whether a trace takes over this thread's effects."""
    return _state.trace is not None


@contextlib.contextmanager
def traced_by(trace: Trace) -> Iterator[None]:
    """Within, on this thread, the trace takes over all effects."""
    before, _state.trace = _state.trace, trace
    try:
        yield
    finally:
        _state.trace = before


class Run:
    """One run of a function, which takes note of its draws and writes so that the function can be run again without any.

        with run.first(): y = f(x)      effects take place
        with run.again(): y = f(x)      f finds what it found the first time, and leaves what it drew from and wrote into as it is

    Runs nest. While a function is run again, no other thread may use the same generators and arrays.
    """

    def __init__(self) -> None:
        self._generators: dict[np.random.Generator, Any] = {}
        self._written: list[tuple[Any, Any, Any]] = []

    def note_draw(self, generator: np.random.Generator) -> None:
        """Keep the state of a generator before its first draw."""
        if generator not in self._generators:
            self._generators[generator] = generator.bit_generator.state

    def note_write(self, target: Any, index: Any = ...) -> None:
        """Keep what is in `target[index]` before a write."""
        self._written.append((target, index, copy.copy(target[index])))

    def first(self) -> contextlib.AbstractContextManager[None]:
        """Within, take note."""
        return _noted_by((*_state.runs, self))

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        """Within, generators and arrays are as they were when the first run began; then all go back."""
        generators = {generator: generator.bit_generator.state for generator in self._generators}
        written = [(target, index, copy.copy(target[index])) for target, index, _ in self._written]
        _put_back(self._generators, self._written[::-1])
        try:
            with _noted_by(()):
                yield
        finally:
            _put_back(generators, written)


@contextlib.contextmanager
def _noted_by(runs: tuple[Run, ...]) -> Iterator[None]:
    before, _state.runs = _state.runs, runs
    try:
        yield
    finally:
        _state.runs = before


def _put_back(generators: dict[np.random.Generator, Any], written: list[tuple[Any, Any, Any]]) -> None:
    for generator, state in generators.items():
        generator.bit_generator.state = state
    for target, index, value in written:
        target[index] = value
