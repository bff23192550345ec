"""Systems of linear equations."""

import numpy as np

from .rule import Array, Pulled


def solve(a: Array, b: Array) -> Pulled:
    """x of a @ x = b: a (..., n, n), b (..., n, k).

    db = y and da = -y x^T, with y of a^T y = g.

    References: Giles, 2008, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation",
    section 2.3.1.
    """
    x = np.linalg.solve(a, b)

    def pullback_b(g: Array) -> Array:
        return np.linalg.solve(np.swapaxes(a, -1, -2), g)

    return x, (lambda g: -pullback_b(g) @ np.swapaxes(x, -1, -2), pullback_b)
