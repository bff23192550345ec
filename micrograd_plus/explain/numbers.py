"""Numbers and arrays in few characters, for text and LaTeX."""

import math
from typing import Any

import numpy as np

DIGITS = 4
MAX_SHOWN = 8  # elements of an array that a line shows


def number(x: Any, digits: int = DIGITS) -> str:
    """Rounded to a number of significant digits, in the shortest form.

    >>> number(2.0), number(0.1234567), number(-1.5e-7), number(float("nan"))
    ('2', '0.1235', '-1.5e-07', 'nan')
    """
    x = float(x)
    if abs(x) < 1e6 and x == round(x):
        return str(round(x))
    return f"{x:.{digits}g}"


def shortened(x: Any) -> str:
    """An array in a line: its elements, or, of many, shape, range and norm.

    >>> shortened(np.array([[1.0, 0.25], [-2.0, 0.0]]))
    '[[1, 0.25], [-2, 0]]'
    >>> shortened(np.full((3, 5), 0.5))
    '(3, 5), all 0.5'
    """
    if isinstance(x, tuple):
        return f"({'; '.join('none' if part is None else shortened(part) for part in x)})"
    x = np.asarray(x)
    if x.size <= MAX_SHOWN:
        return nested(x)
    bad = int(np.count_nonzero(~np.isfinite(x))) if x.dtype.kind == "f" else 0
    if bad:
        return f"{x.shape}, {bad:,} of {x.size:,} elements NaN or inf"
    low, high = x.min(), x.max()
    if low == high:
        return f"{x.shape}, all {number(low)}"
    norm = math.sqrt(float(np.sum(np.square(x, dtype=np.float64))))
    return f"{x.shape}, from {number(low)} to {number(high)}, norm {number(norm)}"


def nested(x: np.ndarray) -> str:
    """An array's elements in brackets."""
    if x.ndim == 0:
        return number(x)
    return f"[{', '.join(nested(part) for part in x)}]"


def latex_number(x: Any, digits: int = DIGITS) -> str:
    r"""As `number`, in LaTeX.

    >>> latex_number(1.5e-07), latex_number(float("-inf"))
    ('1.5 \\times 10^{-7}', '-\\infty')
    """
    text = number(x, digits).replace("inf", r"\infty").replace("nan", r"\mathrm{NaN}")
    mantissa, e, exponent = text.partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if e else text


def latex_array(x: Any) -> str:
    """A number, or a matrix; of more than two axes, the stack of matrices."""
    x = np.asarray(x)
    if x.ndim == 0:
        return latex_number(x)
    if x.ndim > 2:
        return rf"\left[{', '.join(latex_array(part) for part in x)}\right]"
    rows = r" \\ ".join(" & ".join(latex_number(element) for element in row) for row in np.atleast_2d(x))
    return rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}"
