"""Lines of the user's program: where an operation was called from."""

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


def user_line() -> Line | None:
    """The line of the innermost frame that is neither this package's nor NumPy's, nor of what they call through."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((PACKAGE, NUMPY)) and not name.startswith("<") and "contextlib" not in name and "functools" not in name:
            return Line(name, frame.f_lineno)
        frame = frame.f_back
    return None
