"""What is wrong with a state dict, in words: for modules, optimizers, schedules and averages alike."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def differing(given: Iterable[str], needed: Iterable[str], possible: Iterable[str] = ()) -> list[str]:
    """What is to be said of names that are missing, and of those that are neither needed nor possible."""
    given, needed = list(given), list(needed)
    missing = [f"missing {name!r}" for name in needed if name not in given]
    return missing + [f"unexpected {name!r}" for name in given if name not in [*needed, *possible]]


def unfit(name: str, value: Any, array: np.ndarray) -> list[str]:
    """What is to be said of a value that can't be written into an array."""
    value = np.asarray(value)
    if value.shape != array.shape:
        return [f"{name!r} has shape {value.shape}, must be {array.shape}"]
    if not np.can_cast(value.dtype, array.dtype, "same_kind"):
        return [f"{name!r} has dtype {value.dtype}, must be {array.dtype}"]
    return []


def misfits(given: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[str]:
    """What is to be said of values by name that are to be written into arrays of the same names."""
    return differing(given, arrays) + [text for name in arrays if name in given for text in unfit(name, given[name], arrays[name])]
