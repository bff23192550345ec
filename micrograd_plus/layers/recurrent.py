"""RNN, LSTM and GRU, and their cells.

Names, gate order and semantics are PyTorch's. Weights are in (in, out) order, the transposes of PyTorch's.
"""

import math
import warnings
from typing import Any

import numpy as np

from .. import functional as F
from .. import init
from ..functional.recurrent import State
from ..rules import Array
from ..tensor import concatenate, stack, unstack, zeros
from .module import Module, Parameter, as_tensor, check_sizes

# What `repr` leaves out.
DEFAULTS = {"num_layers": 1, "nonlinearity": "tanh", "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}


class RecurrentModule(Module):
    """What cells and layers share: sizes, parameters by name, and the check of a state.

    Attributes:
        kind: "tanh", "relu", "lstm" or "gru", a key of `functional.CELLS`.
    """

    kind: str

    def __init__(self, input_size: int, hidden_size: int, bias: bool) -> None:
        check_sizes(self, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias

    def _require_known(self, nonlinearity: str) -> str:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity of {type(self).__name__} must be 'tanh' or 'relu', got {nonlinearity!r}.")
        return nonlinearity

    def _add_weights(self, suffix: str, input_size: int, generator: np.random.Generator | None) -> None:
        gates, bound = F.CELLS[self.kind].gates * self.hidden_size, 1 / math.sqrt(self.hidden_size)
        shapes = [(input_size, gates), (self.hidden_size, gates), (gates,), (gates,)]
        for name, shape in zip(F.CellWeights._fields, shapes, strict=True):
            if self.bias or name.startswith("weight"):
                setattr(self, name + suffix, Parameter(init.uniform(shape, bound, generator)))

    def _weights(self, suffix: str) -> F.CellWeights:
        return F.CellWeights._make(getattr(self, name + suffix, None) for name in F.CellWeights._fields)

    def _states(self, hx: Any, shape: tuple[int, ...], axes: str) -> State:
        """The state that a user gave, or zeros, each of its tensors of this shape."""
        names = ("h_0", "c_0")[: F.CELLS[self.kind].states]
        if hx is None:
            dtype = next(parameter.dtype for parameter in self.parameters())
            return tuple(zeros(shape, dtype=dtype) for _ in names)
        given = hx if isinstance(hx, tuple) else (hx,)
        if len(given) != len(names) or [state for state in given if isinstance(state, tuple)]:
            wanted = "a tuple (h_0, c_0)" if len(names) > 1 else "h_0 alone"
            got = " and ".join(type(state).__name__ for state in given)
            raise TypeError(
                f"hx of {type(self).__name__} must be {wanted}, got {f'a tuple of {got}' if isinstance(hx, tuple) else got}. "
                "Of (output, state), what a layer returns, pass the state."
            )
        states = tuple(as_tensor(state) for state in given)
        for name, state in zip(names, states, strict=True):
            if state.shape != shape:
                raise ValueError(
                    f"{name} of {self._name()} must have shape {shape}, that is {axes}, got {state.shape}. "
                    "Leave hx out to start from zeros."
                )
        return states

    def _name(self) -> str:
        return f"{type(self).__name__}({self.input_size}, {self.hidden_size})"

    def extra_repr(self) -> str:
        settings = {name: getattr(self, name, default) for name, default in DEFAULTS.items()}
        changed = [f"{name}={value!r}" for name, value in settings.items() if value != DEFAULTS[name]]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])


class RecurrentCell(RecurrentModule):
    """What RNNCell, LSTMCell and GRUCell share: one time of a sequence.

    Args:
        input_size: size of the last axis of the input.
        hidden_size: size of the last axis of a state.
        bias: whether to add biases, one to what the gates get of the input and one to what they get of the state.
        generator: what the parameters are drawn from: U(-a, a), a = 1 / sqrt(hidden_size).

    Attributes:
        weight_ih: (input_size, G hidden_size): G is 1 of an RNN, 4 of an LSTM (i, f, g, o), 3 of a GRU (r, z, n).
        weight_hh: (hidden_size, G hidden_size).
        bias_ih, bias_hh: (G hidden_size,); absent without bias.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, generator: np.random.Generator | None = None) -> None:
        super().__init__(input_size, hidden_size, bias)
        self._add_weights("", input_size, generator)

    def forward(self, input: Array, hx: Any = None) -> Any:
        """The next state.

        Args:
            input: (N, input_size), or (input_size,).
            hx: the state before, h of shape (N, hidden_size) or (hidden_size,), of an LSTMCell a tuple (h, c); zeros by default.

        Returns:
            h, of an LSTMCell (h, c).
        """
        x = as_tensor(input)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(
                f"{self._name()} needs input of shape (N, {self.input_size}), or ({self.input_size},), got {x.shape}. "
                "Check the layer before it."
            )
        state = self._states(hx, (*x.shape[:-1], self.hidden_size), "(N, hidden_size)" if x.ndim > 1 else "(hidden_size,)")
        state = F.recurrent_cell(self.kind, x, state, self._weights(""))
        return state if len(state) > 1 else state[0]


class RNNCell(RecurrentCell):
    """h' = tanh(x weight_ih + bias_ih + h weight_hh + bias_hh), or relu of it; see `RecurrentCell`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.kind = self.nonlinearity = self._require_known(nonlinearity)
        super().__init__(input_size, hidden_size, bias, generator=generator)


class LSTMCell(RecurrentCell):
    """The next (h, c) of an LSTM, of the gates i, f, g, o = x weight_ih + bias_ih + h weight_hh + bias_hh; see `RecurrentCell`.

    c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c').

    References: Hochreiter and Schmidhuber, 1997, Neural Computation 9(8), with the forget gate of Gers et al., 2000.
    """

    kind = "lstm"


class GRUCell(RecurrentCell):
    """The next h of a GRU, of x weight_ih + bias_ih = (x_r, x_z, x_n), h weight_hh + bias_hh = (u_r, u_z, u_n); see `RecurrentCell`.

    r = sigmoid(x_r + u_r), z = sigmoid(x_z + u_z), n = tanh(x_n + r u_n), h' = (1 - z) n + z h.

    References: Cho et al., 2014, arXiv:1406.1078, with r applied after the product with the weight, as PyTorch and cuDNN do.
    """

    kind = "gru"


class RecurrentLayer(RecurrentModule):
    """What RNN, LSTM and GRU share: a cell over a sequence, in several layers, in one direction or both.

    Args:
        input_size: size of the last axis of the input.
        hidden_size: size of the last axis of a state.
        num_layers: layers, each reading the output of the one before it.
        bias: whether to add biases.
        batch_first: input and output are (N, L, ...) instead of (L, N, ...). States are not concerned.
        dropout: the probability with which, in training, elements are dropped from the output of each layer but the last.
        bidirectional: a second cell in each layer reads from the last time to the first; the output has both.
        generator: what the parameters are drawn from, U(-a, a), a = 1 / sqrt(hidden_size), and what is dropped.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: of the first layer, in the shapes of `RecurrentCell`; with suffix
            _l1 those of the second, whose input has the size of an output, and with _l0_reverse those of the second direction.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        check_sizes(self, num_layers=num_layers)
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout of {type(self).__name__} must be in [0, 1], got {dropout}.")
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout of {type(self).__name__} acts between layers, so one layer drops nothing, got dropout={dropout}. "
                "Set num_layers=2 or more, or put a Dropout behind it.",
                UserWarning,
                stacklevel=3 if "__init__" in vars(type(self)) else 2,  # RNN's own lies between
            )
        self.num_layers, self.batch_first, self.dropout, self.bidirectional = num_layers, batch_first, dropout, bidirectional
        self.generator = generator
        for i, suffixes in enumerate(self._suffixes()):
            for suffix in suffixes:
                self._add_weights(suffix, len(suffixes) * hidden_size if i else input_size, generator)

    def _suffixes(self) -> list[list[str]]:
        """What the names of parameters end with, for each layer and in it for each direction."""
        directions = ["", "_reverse"] if self.bidirectional else [""]
        return [[f"_l{i}{direction}" for direction in directions] for i in range(self.num_layers)]

    def forward(self, input: Array, hx: Any = None) -> Any:
        """The h of the last layer at all times, and the state of every layer after its last time.

        Args:
            input: (L, N, input_size), (N, L, input_size) with batch_first, or (L, input_size) for one sequence.
            hx: the state before: h_0 of shape (num_layers * D, N, hidden_size), D the number of directions, or (num_layers * D,
                hidden_size) for one sequence, of an LSTM a tuple (h_0, c_0); zeros by default.

        Returns:
            (output, h_n), of an LSTM (output, (h_n, c_n)): the output (L, N, D hidden_size), or as the input has its axes, forward
            before backward, and the others of the shape of h_0, layer by layer, in each forward before backward.
        """
        x = as_tensor(input)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            axes = "N, L" if self.batch_first else "L, N"
            raise ValueError(
                f"{self._name()} needs input of shape ({axes}, {self.input_size}), or (L, {self.input_size}) for one sequence, "
                f"got {x.shape}. Check the layer before it."
            )
        swap = self.batch_first and x.ndim == 3
        if not x.shape[1 if swap else 0]:
            raise ValueError(f"{self._name()} needs sequences of at least one time, got input of shape {x.shape}. Leave empty ones out.")
        x = x.transpose(1, 0, 2) if swap else x
        suffixes = self._suffixes()
        shape = (len(suffixes) * len(suffixes[0]), *x.shape[1:-1], self.hidden_size)
        axes = f"(num_layers * directions, {'N, ' if x.ndim > 2 else ''}hidden_size){' even with batch_first' if swap else ''}"
        states = self._states(hx, shape, axes)
        before = zip(*map(unstack, states), strict=True)
        after = []
        for i, directions in enumerate(suffixes):
            if i:
                x = F.dropout(x, self.dropout, self.training, self.generator)
            outputs = []
            for suffix in directions:
                output, state = F.recurrent_layer(self.kind, x, next(before), self._weights(suffix), reverse=suffix.endswith("_reverse"))
                outputs.append(output)
                after.append(state)
            x = concatenate(outputs, axis=-1) if self.bidirectional else output
        last = tuple(stack(parts) for parts in zip(*after, strict=True))
        return x.transpose(1, 0, 2) if swap else x, last if len(last) > 1 else last[0]


class RNN(RecurrentLayer):
    """A plain recurrent network, `RNNCell` over a sequence; see `RecurrentLayer`.

    References: Elman, 1990, Cognitive Science 14(2).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.kind = self.nonlinearity = self._require_known(nonlinearity)
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, generator=generator)


class LSTM(RecurrentLayer):
    """Long short-term memory, `LSTMCell` over a sequence; see `RecurrentLayer`."""

    kind = "lstm"


class GRU(RecurrentLayer):
    """Gated recurrent units, `GRUCell` over a sequence; see `RecurrentLayer`."""

    kind = "gru"
