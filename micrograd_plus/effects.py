"""All that is not a pure function of arrays: writes, random numbers, checks on values, changing scalars and reads.

Layers, losses, clipping and optimizers go through these functions and do nothing impure besides, so that the same code
runs at once on arrays and can be traced.
"""

import operator
import random
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

BLOCK = 32_768  # elements: the arrays of one block stay in the second-level cache through all passes over it

_generator: list[np.random.Generator] = []


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
    """A random array: `getattr(generator, distribution)(*args, **kwargs)`; `None` means the library's generator."""
    return getattr(default_generator() if generator is None else generator, distribution)(*args, **kwargs)


def require(condition: Any, message: Callable[[], str]) -> None:
    """Check a condition on the values of arrays.

    Args:
        condition: a bool or bool array, true throughout if all is well.
        message: makes the text of the error; called only where the check fails.

    Raises:
        ValueError: with that message.
    """
    if not (condition.all() if isinstance(condition, np.ndarray) else condition):
        raise ValueError(message())


def scalar(owner: Any, name: str) -> Any:
    """The number `owner.name`, or `owner[name]` of a dict, that may change between steps: a learning rate, a step count."""
    return owner[name] if isinstance(owner, dict) else getattr(owner, name)


def read(array: Any) -> float:
    """The value of a one-element array as a Python number."""
    return cast(float, np.asarray(array).item())
