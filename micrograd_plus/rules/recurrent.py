"""What a unit with gates makes of their pre-activations and its state, elementwise.

Each is a composition of other rules, fused into one: a step of a small LSTM or GRU then takes half of the time.
"""

import numpy as np

from .primitives import logistic
from .rule import Array, Pulled


def lstm_cell(gates: Array, c: Array) -> Pulled:
    """The next h and c of an LSTM: gates (..., 4 hidden) before their activations, in PyTorch's order i, f, g, o; c (..., hidden).

    c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c').

    References: Hochreiter and Schmidhuber, 1997, Neural Computation 9(8), with the forget gate of Gers et al., 2000.
    """
    i, f, new, o = _parts(gates, 4)
    i, f, new, o = logistic(i), logistic(f), np.tanh(new), logistic(o)
    c_next = f * c + i * new
    squashed = np.tanh(c_next)

    def at_c_next(g: Array) -> Array:
        g_h, g_c = g
        return g_c + g_h * o * (1 - squashed * squashed)

    def pullback_gates(g: Array) -> Array:
        d = at_c_next(g)
        slopes = [
            d * new * (i * (1 - i)),
            d * c * (f * (1 - f)),
            d * i * (1 - new * new),
            g[0] * squashed * (o * (1 - o)),
        ]
        return np.concatenate(slopes, axis=-1)

    return (o * squashed, c_next), (pullback_gates, lambda g: at_c_next(g) * f)


def gru_cell(x: Array, u: Array, h: Array) -> Pulled:
    """The next h of a GRU: what its gates get of the input, x, and of the state, u, each (..., 3 hidden), in PyTorch's order r, z, n.

    r = sigmoid(x_r + u_r), z = sigmoid(x_z + u_z), n = tanh(x_n + r u_n), h' = (1 - z) n + z h.

    References: Cho et al., 2014, arXiv:1406.1078, with r applied after the product with the weight, as PyTorch and cuDNN do.
    """
    (x_r, x_z, x_n), (u_r, u_z, u_n) = _parts(x, 3), _parts(u, 3)
    r, z = logistic(x_r + u_r), logistic(x_z + u_z)
    n = np.tanh(x_n + r * u_n)

    def at_gates(g: Array) -> tuple[Array, Array, Array]:
        d = g * (1 - z) * (1 - n * n)
        return d * u_n * (r * (1 - r)), g * (h - n) * (z * (1 - z)), d

    def pullback_u(g: Array) -> Array:
        of_r, of_z, of_n = at_gates(g)
        return np.concatenate([of_r, of_z, of_n * r], axis=-1)

    return n + z * (h - n), (lambda g: np.concatenate(at_gates(g), axis=-1), pullback_u, lambda g: g * z)


def _parts(x: Array, count: int) -> list[Array]:
    """The last axis cut into parts of one size."""
    size = x.shape[-1] // count
    return [x[..., k * size : (k + 1) * size] for k in range(count)]
