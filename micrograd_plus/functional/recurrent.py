"""Recurrent cells, and the loop of one over time."""

from collections.abc import Callable
from typing import NamedTuple

from .. import rules
from ..tensor import Tensor, apply, stack, unstack
from .feedforward import linear

State = tuple[Tensor, ...]  # h, and c of an LSTM: each (N, hidden)


class CellWeights(NamedTuple):
    """What a cell computes with, G gates to each hidden unit, in (in, out) order.

    Attributes:
        weight_ih: (in, G hidden), for the input.
        weight_hh: (hidden, G hidden), for the state.
        bias_ih: (G hidden,), or None.
        bias_hh: (G hidden,), or None.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None


class Cell(NamedTuple):
    """A kind of recurrence, in two halves: only the second needs the state, so the first is done for all times at once.

    Attributes:
        gates: numbers computed of the input for each hidden unit.
        states: tensors that a state consists of, the first of them the output.
        project: the input (..., in) and the weights to what the gates get of it, (..., gates hidden).
        step: what `project` gave for one time, the state before it and the weights, to the state after it.
    """

    gates: int
    states: int
    project: Callable[[Tensor, CellWeights], Tensor]
    step: Callable[[Tensor, State, CellWeights], State]


def _with_one_bias(x: Tensor, w: CellWeights) -> Tensor:
    return linear(x, w.weight_ih, w.bias_ih)


def _with_both_biases(x: Tensor, w: CellWeights) -> Tensor:
    given = [bias for bias in (w.bias_ih, w.bias_hh) if bias is not None]
    return linear(x, w.weight_ih, sum(given[1:], given[0]) if given else None)


def _tanh_step(x: Tensor, state: State, w: CellWeights) -> State:
    return (apply(rules.affine, state[0], w.weight_hh, x).tanh(),)


def _relu_step(x: Tensor, state: State, w: CellWeights) -> State:
    return (apply(rules.affine, state[0], w.weight_hh, x).relu(),)


def _lstm_step(x: Tensor, state: State, w: CellWeights) -> State:
    h, c = state
    return tuple(apply(rules.lstm_cell, apply(rules.affine, h, w.weight_hh, x), c))


def _gru_step(x: Tensor, state: State, w: CellWeights) -> State:
    (h,) = state
    return (apply(rules.gru_cell, x, linear(h, w.weight_hh, w.bias_hh), h),)


CELLS = {
    "tanh": Cell(1, 1, _with_both_biases, _tanh_step),
    "relu": Cell(1, 1, _with_both_biases, _relu_step),
    "lstm": Cell(4, 2, _with_both_biases, _lstm_step),
    "gru": Cell(3, 1, _with_one_bias, _gru_step),
}


def recurrent_cell(kind: str, x: Tensor, state: State, weights: CellWeights) -> State:
    """The state after x (N, in), of the state before it; see `rules.lstm_cell` and `rules.gru_cell` for the formulas.

    A plain cell is h' = tanh(x weight_ih + bias_ih + h weight_hh + bias_hh), or relu of it.

    Args:
        kind: "tanh", "relu", "lstm" or "gru".
        x: (N, in).
        state: (h,), of an LSTM (h, c), each (N, hidden).
        weights: see `CellWeights`.
    """
    cell = CELLS[kind]
    return cell.step(cell.project(x, weights), state, weights)


def recurrent_layer(kind: str, x: Tensor, state: State, weights: CellWeights, reverse: bool = False) -> tuple[Tensor, State]:
    """A sequence read by a cell: the h of all times, (L, N, hidden), each at the place of its input, and the state after the last.

    Args:
        kind: "tanh", "relu", "lstm" or "gru".
        x: (L, N, in), L >= 1, time first.
        state: (h,), of an LSTM (h, c), each (N, hidden): the state before the first time.
        weights: see `CellWeights`.
        reverse: read from the last time to the first.
    """
    cell, outputs = CELLS[kind], []
    steps = unstack(cell.project(x, weights))
    for projected in reversed(steps) if reverse else steps:
        state = cell.step(projected, state, weights)
        outputs.append(state[0])
    return stack(outputs[::-1] if reverse else outputs), state
