"""A round of training as a function of its parameters: what the doctor tries out, it tries on copies.

The operations that were noted between two steps are run again, on other values of the parameters and with the same data and the same
random numbers. Whatever the script computed, in whatever code, can so be trained further without running the script.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ...optimizers import Adam, Optimizer, clip_grad_norm, clip_grad_value
from ...tensor import Tensor, apply, enable_grad
from .records import Operation, Round


class Replay:
    """The losses of a round as one function of its parameters.

    Args:
        round_: a round whose operations were kept, with at least one loss.
    """

    def __init__(self, round_: Round) -> None:
        self.round = round_
        self.keys = list(round_.leaves)
        self.operations = _leading_to(round_.operations, round_.losses)
        self.fixed = {key: round_.before.get(key, leaf._data) for key, leaf in round_.leaves.items()}

    def loss(self, parameters: dict[int, Tensor]) -> Tensor:
        """The sum of the round's losses, for other values of the parameters."""
        made: dict[int, Any] = {}
        for operation in self.operations:
            inputs = [made.get(id(x), parameters.get(id(x), x)) if isinstance(x, Tensor) else x for x in operation.inputs]
            result: Any = apply(operation.rule, *inputs, **operation.options)
            made[id(operation.out)] = result[operation.part] if isinstance(result, tuple) else result
        losses = [made[id(loss)] if id(loss) in made else parameters.get(id(loss), loss) for loss in self.round.losses]
        total = losses[0].sum()
        for loss in losses[1:]:
            total = total + loss.sum()
        return total

    def parameters(self) -> dict[int, Tensor]:
        """Copies of the parameters, with the values that they had in the round."""
        return {key: Tensor(self.fixed[key], requires_grad=True, dtype=self.fixed[key].dtype) for key in self.keys}

    def descend(
        self,
        make: Callable[[dict[int, Tensor]], Optimizer],
        steps: int,
        seconds: float,
        clipped: tuple[str, float] | None = None,
    ) -> list[float]:
        """The losses of some steps on copies; fewer where time runs out or a loss is not finite."""
        parameters = self.parameters()
        return descend(lambda: self.loss(parameters), make(parameters), list(parameters.values()), steps, seconds, clipped)


def descend(
    compute: Callable[[], Tensor],
    optimizer: Optimizer,
    parameters: list[Tensor],
    steps: int,
    seconds: float,
    clipped: tuple[str, float] | None = None,
) -> list[float]:
    """The losses before each of so many steps, and after the last."""
    values: list[float] = []
    end = time.process_time() + seconds
    with enable_grad(), np.errstate(all="ignore"):
        for step in range(steps + 1):
            for p in parameters:
                p.zero_grad()
            loss = compute()
            values.append(float(loss.data.sum()))
            if not math.isfinite(values[-1]) or step == steps or time.process_time() > end:
                break
            loss.backward()
            if clipped is not None:
                (clip_grad_norm if clipped[0] == "norm" else clip_grad_value)(parameters, clipped[1])
            optimizer.step()
    return values


def copy_of(optimizer: Optimizer, parameters: dict[int, Tensor], factor: float = 1.0, lr: float | None = None) -> Optimizer:
    """An optimizer of the same kind and settings for copies of its parameters, with its learning rates times a factor."""
    copy: Any = object.__new__(type(optimizer))
    vars(copy).update(vars(optimizer))
    copy.defaults, copy.state = dict(optimizer.defaults), {}
    copy.param_groups = []
    for group in optimizer.param_groups:
        params = [parameters[id(p)] for p in group["params"] if id(p) in parameters]
        rate = (group["lr"] if lr is None else lr) * factor
        copy.param_groups.append({**group, "params": params, "lr": rate})
    return copy  # type: ignore[no-any-return]


def adam(parameters: dict[int, Tensor], lr: float) -> Optimizer:
    """A plain optimizer that suits most scales."""
    return Adam(list(parameters.values()), lr=lr)


def _leading_to(operations: list[Operation], losses: list[Tensor]) -> list[Operation]:
    """The operations that the losses were computed by, oldest first."""
    wanted = {id(loss) for loss in losses}
    chosen = []
    for operation in reversed(operations):
        if id(operation.out) in wanted:
            chosen.append(operation)
            wanted |= {id(x) for x in operation.inputs if isinstance(x, Tensor)}
    return chosen[::-1]
