"""Learning-rate schedules."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from .. import effects
from ..layers.state import differing
from .state import plain
from .updates import Optimizer


class Schedule(ABC):
    """A learning rate as a function of the number of steps taken: `step()` after every epoch (or batch) sets `optimizer.lr`.

    Subclasses define `rate(t, initial)`, the rate after t steps of a group that began with `initial`.

    Args:
        optimizer: whose groups' rates are set, at once for t = 0.
        initial_lrs: the groups' rates to start from; by default those that they have.

    Attributes:
        steps: how often step() was called.
        initial_lrs: the rates that it starts from.
    """

    chainable = True  # whether the rate depends on t and `initial` alone, so that others may build on it

    def __init__(self, optimizer: Optimizer, initial_lrs: list[float] | None = None) -> None:
        self.optimizer, self.steps = optimizer, 0
        self.initial_lrs = initial_lrs or [float(group["lr"]) for group in optimizer.param_groups]
        self._set()

    def step(self) -> None:
        """Count one step and set the learning rates."""
        self.steps += 1
        self._set()

    def _set(self) -> None:
        if len(self.optimizer.param_groups) != len(self.initial_lrs):
            raise ValueError(
                f"the optimizer must have the {len(self.initial_lrs)} groups that it had when the schedule was made, "
                f"it has {len(self.optimizer.param_groups)}. Make the schedule after add_param_group()."
            )
        for group, initial in zip(self.optimizer.param_groups, self.initial_lrs, strict=True):
            effects.assign(group, self.rate(self.steps, initial), "lr")

    @abstractmethod
    def rate(self, t: int, initial: float) -> float:
        """The learning rate after t steps of a group that began with `initial`."""

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on: {"steps": ..., "initial_lrs": [...]}. The settings are not part of it."""
        return {"steps": self.steps, "initial_lrs": list(self.initial_lrs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state of a schedule with the same settings, and set the optimizer's rates accordingly.

        Raises:
            ValueError: other names, or another number of groups; nothing is changed.
        """
        problems = differing(state, ("steps", "initial_lrs"))
        if not problems and len(state["initial_lrs"]) != len(self.initial_lrs):
            problems = [f"{len(state['initial_lrs'])} groups, must be {len(self.initial_lrs)}"]
        if problems:
            raise ValueError(f"a state dict must fit this {type(self).__name__}: {'; '.join(problems)}.")
        self.steps, self.initial_lrs = plain(state["steps"]), list(plain(state["initial_lrs"]))
        self._set()


class StepLR(Schedule):
    """initial * gamma^floor(t / step_size)."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise ValueError(f"step_size must be at least 1, got {step_size}.")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, t: int, initial: float) -> float:
        return initial * self.gamma ** (t // self.step_size)


class ExponentialLR(Schedule):
    """initial * gamma^t."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, t: int, initial: float) -> float:
        return initial * self.gamma**t


class PolynomialLR(Schedule):
    """initial * (1 - t / total_iters)^power, 0 after total_iters."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        if total_iters < 1:
            raise ValueError(f"total_iters must be at least 1, got {total_iters}.")
        if not power > 0:
            raise ValueError(f"power must be positive, got {power}.")
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer)

    def rate(self, t: int, initial: float) -> float:
        return initial * math.pow(1 - min(t / self.total_iters, 1), self.power)


class LambdaLR(Schedule):
    """initial * lr_lambda(t)."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate(self, t: int, initial: float) -> float:
        return initial * self.lr_lambda(t)


class CosineAnnealingLR(Schedule):
    """eta_min + (initial - eta_min) (1 + cos(pi t / T_max)) / 2; it stays at eta_min after T_max (PyTorch's rises again).

    References: Loshchilov and Hutter, 2017, arXiv:1608.03983, eq. 5, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0) -> None:
        if T_max < 1:
            raise ValueError(f"T_max must be at least 1, got {T_max}.")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, t: int, initial: float) -> float:
        return self.eta_min + (initial - self.eta_min) * (1 + math.cos(math.pi * min(t / self.T_max, 1))) / 2


class LinearWarmup(Schedule):
    """initial * (t + 1) / warmup_steps while t < warmup_steps, then another schedule, or a constant rate.

    Args:
        optimizer: whose learning rates are set.
        warmup_steps: how many steps the rise takes.
        after: a schedule of the same optimizer, whose t starts when the warm-up is over.
    """

    def __init__(self, optimizer: Optimizer, warmup_steps: int, after: Schedule | None = None) -> None:
        if warmup_steps < 1:
            raise ValueError(f"warmup_steps must be at least 1, got {warmup_steps}.")
        if after is not None and after.optimizer is not optimizer:
            raise ValueError("the schedule after a warm-up must be of the same optimizer, got another. Make both with one optimizer.")
        if after is not None and not after.chainable:
            raise TypeError(f"{type(after).__name__} can't follow a warm-up, it sets more than a rate from its step count. Use it alone.")
        self.warmup_steps, self.after = warmup_steps, after
        super().__init__(optimizer, None if after is None else after.initial_lrs)

    def rate(self, t: int, initial: float) -> float:
        if t < self.warmup_steps:
            return initial * (t + 1) / self.warmup_steps
        return initial if self.after is None else self.after.rate(t - self.warmup_steps, initial)
