"""Chapter 5, continued: arrays as the native step sees them, by where they begin."""

import ctypes
import os
import sys

import numpy as np

_pointer_at = ctypes.c_size_t.from_address
_OFFSET = object.__basicsize__  # an array's pointer to its values follows what every object begins with (NumPy's C interface)


def _slow_address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]  # type: ignore[no-any-return]


def _fast_address(array: np.ndarray) -> int:
    return _pointer_at(id(array) + _OFFSET).value


_example = np.zeros(3)
address = _fast_address if sys.implementation.name == "cpython" and _fast_address(_example) == _slow_address(_example) else _slow_address


def aligned(size: int) -> np.ndarray:
    """Bytes that begin at a cache line."""
    room = np.empty(size + 64, np.uint8)
    start = -address(room) % 64
    return room[start : start + size] if size else room


def give_back() -> None:
    """Hand memory that is free back to the system, where the C library can: that of eager calls, which come no more."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
