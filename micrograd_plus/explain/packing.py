"""Arrays as a page needs them: their numbers as base64, of large ones a sample."""

import base64
import zlib
from typing import Any

import numpy as np

WHOLE = 64  # elements: an array of no more is never sampled


class Pack:
    """Arrays, each once, in the order in which they are added.

    Args:
        limit: how many elements of an array are kept; of a larger one, evenly spaced rows and columns.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.described: list[list[Any]] = []
        self._numbers: dict[str, list[np.ndarray]] = {"f4": [], "f8": []}
        self._index: dict[Any, int] = {}
        self._held: list[Any] = []

    def add(self, array: Any) -> Any:
        """A reference to an array: its number; of a tuple of arrays, a list of numbers; None for None."""
        if array is None:
            return None
        if isinstance(array, tuple):
            return [self.add(part) for part in array]
        if id(array) in self._index:
            return self._index[id(array)]
        self._held.append(array)  # so that no other object gets its id
        x = np.asarray(array)
        key: Any = (x.shape, x.dtype.str, x.tobytes()) if x.size <= WHOLE else None  # equal small arrays are kept once
        if key not in self._index:
            self._index[key] = len(self.described)
            self._append(x)
        index = self._index[id(array)] = self._index[key]
        if key is None:
            del self._index[key]
        return index

    def _append(self, x: np.ndarray) -> None:
        """Described by shape, dtype, the kind of numbers, rows and columns kept, and of a sampled one what is so of all elements."""
        table = x.reshape(-1, x.shape[-1]) if x.ndim and x.size else x.reshape(1, x.size)
        rows, columns = _sampled(*table.shape, max(self.limit, WHOLE))
        kind = "f4" if (x.dtype.kind == "f" and x.dtype.itemsize <= 4) or x.dtype.kind == "b" else "f8"
        described = [list(x.shape), str(x.dtype), kind, len(rows), len(columns)]
        if rows.size * columns.size < x.size:
            finite = x[np.isfinite(x)].astype(np.float64)
            described += [finite.min(), finite.max(), finite.mean(), np.abs(finite).max()] if finite.size else [None] * 4
            described.append(int(x.size - finite.size))
        self.described.append(described)
        self._numbers[kind].append(table[np.ix_(rows, columns)].astype(f"<{kind}").ravel())

    def numbers(self, kind: str) -> bytes:
        """All numbers of a kind, "f4" or "f8", one array after the other."""
        return b"".join(x.tobytes() for x in self._numbers[kind])


def _sampled(rows: int, columns: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows and columns are kept: all where they are few enough, else evenly spaced, the first and the last among them."""
    if rows * columns <= limit:
        return np.arange(rows), np.arange(columns)
    side = int(limit**0.5)
    kept_rows = min(rows, max(side, limit // columns))
    kept_columns = min(columns, limit // kept_rows)
    return spaced(rows, kept_rows), spaced(columns, kept_columns)


def spaced(count: int, kept: int) -> np.ndarray:
    """`kept` of the numbers 0 to count - 1, evenly spaced. The page has the same formula."""
    return np.arange(count) if kept >= count else np.floor(np.arange(kept) * ((count - 1) / max(kept - 1, 1)) + 0.5).astype(int)


def compressed(data: bytes) -> str:
    """zlib's, as base64."""
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")
