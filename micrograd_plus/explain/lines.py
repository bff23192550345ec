"""Lines of the user's program: where an operation was called from."""

import functools
import linecache
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PACKAGE = str(Path(__file__).parent.parent)
NUMPY = str(Path(np.__file__).parent)


class Line(NamedTuple):
    """A line of a file, numbered from 1; `str` gives "train.py, line 12"."""

    file: str
    number: int

    @property
    def text(self) -> str:
        """What stands there, without the spaces around it; "" where the file can't be read."""
        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        return f"{Path(self.file).name}, line {self.number}"


@functools.cache
def is_users(file: str) -> bool:
    """Whether the user wrote a file of this name: not one of this package or NumPy, nor what they call through."""
    return not file.startswith((PACKAGE, NUMPY, "<")) and "contextlib" not in file and "functools" not in file


def user_line() -> Line | None:
    """The line of the innermost frame that is neither this package's nor NumPy's, nor of what they call through."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return Line(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None
