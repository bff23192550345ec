"""NumPy's functions of arrays, on Tensors: each under NumPy's name and with NumPy's arguments, so that np.name works too."""

import numpy as np

from .. import rules
from ..rules import Array
from ..tensor import Tensor, apply, implements


@implements(np.take_along_axis)
def take_along_axis(x: Tensor, indices: Array, axis: int | None = -1) -> Tensor:
    """The elements of x at `indices` along `axis`; of the flattened x if `axis` is None.

    Args:
        x: (..., n, ...).
        indices: int, of as many axes as x; along `axis` of any length, in [-n, n), the others broadcasting with those of x.
        axis: the axis that `indices` count along.
    """
    if axis is None:
        x, axis = x.reshape(-1), 0
    return apply(rules.take_along, x, indices, axis=axis)
