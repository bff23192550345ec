"""Learning-rate schedules."""

import math
from abc import ABC, abstractmethod

from .. import effects
from .updates import Optimizer


class Schedule(ABC):
    """A learning rate as a function of the number of steps taken: `step()` after every epoch (or batch) sets `optimizer.lr`.

    Subclasses define `factor(t)`, by which each group's initial rate is multiplied after t steps.

    Args:
        optimizer: whose groups' rates are set, at once for t = 0.
        initial_lrs: the groups' rates to start from; by default those that they have.

    Attributes:
        steps: how often step() was called.
        initial_lrs: the rates that it starts from.
    """

    def __init__(self, optimizer: Optimizer, initial_lrs: list[float] | None = None) -> None:
        self.optimizer, self.steps = optimizer, 0
        self.initial_lrs = initial_lrs or [float(group["lr"]) for group in optimizer.param_groups]
        self._set()

    def step(self) -> None:
        """Count one step and set the learning rates."""
        self.steps += 1
        self._set()

    def _set(self) -> None:
        for group, initial in zip(self.optimizer.param_groups, self.initial_lrs, strict=True):
            effects.assign(group, self.rate(self.steps, initial), "lr")

    @abstractmethod
    def rate(self, t: int, initial: float) -> float:
        """The learning rate after t steps of a group that began with `initial`."""


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
        self.warmup_steps, self.after = warmup_steps, after
        super().__init__(optimizer, None if after is None else after.initial_lrs)

    def rate(self, t: int, initial: float) -> float:
        if t < self.warmup_steps:
            return initial * (t + 1) / self.warmup_steps
        return initial if self.after is None else self.after.rate(t - self.warmup_steps, initial)
