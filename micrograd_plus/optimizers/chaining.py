"""Schedules made of others: one after the other, or all at once."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from .schedules import Schedule
from .updates import Optimizer


class SequentialLR(Schedule):
    """One schedule after the other: number k from milestones[k - 1] on, its own t starting there at 0.

    All start from the initial rates of the first: make them in the order of the list.

    >>> from micrograd_plus import SGD, LinearWarmup, StepLR, Tensor
    >>> optimizer = SGD([Tensor(1.0, requires_grad=True)], lr=0.8)
    >>> schedule = SequentialLR(optimizer, [LinearWarmup(optimizer, 2), StepLR(optimizer, 1, gamma=0.5)], milestones=[2])
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(optimizer.lr)
    ...     schedule.step()
    >>> rates
    [0.4, 0.8, 0.8, 0.4]

    Args:
        optimizer: of all the schedules.
        schedulers: the schedules.
        milestones: after how many steps each but the first begins, rising.
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        _require_chainable(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"milestones must be one fewer than the {len(schedulers)} schedules, got {len(milestones)}.")
        if list(milestones) != sorted({milestone for milestone in milestones if milestone > 0}):
            raise ValueError(f"milestones must be positive and rise, got {list(milestones)}.")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer, schedulers[0].initial_lrs)

    def rate(self, t: int, initial: float) -> float:
        k = bisect_right(self.milestones, t)
        return self.schedulers[k].rate(t - (0, *self.milestones)[k], initial)


class ChainedScheduler(Schedule):
    """All schedules at once, each starting from the rate that the one before it gives: factors multiply.

    The first starts from its own initial rates: make the schedules in the order of the list. PyTorch's differs where a schedule is no
    factor, as a cosine to `eta_min` is not.

    Args:
        schedulers: the schedules, of one optimizer.
    """

    def __init__(self, schedulers: Sequence[Schedule]) -> None:
        optimizer = schedulers[0].optimizer if schedulers else None
        _require_chainable(optimizer, schedulers)
        self.schedulers = list(schedulers)
        super().__init__(schedulers[0].optimizer, schedulers[0].initial_lrs)

    def rate(self, t: int, initial: float) -> float:
        for schedule in self.schedulers:
            initial = schedule.rate(t, initial)
        return initial


def _require_chainable(optimizer: Optimizer | None, schedulers: Sequence[Any]) -> None:
    if not schedulers:
        raise ValueError("schedulers must be at least one schedule, got none.")
    for schedule in schedulers:
        if not isinstance(schedule, Schedule) or not schedule.chainable:
            raise TypeError(f"{type(schedule).__name__} can't be chained: its rate must depend on its step count alone. Use it alone.")
        if schedule.optimizer is not optimizer:
            raise ValueError(
                f"schedules must be of the same optimizer, {type(schedule).__name__} is of another. Make all with one optimizer."
            )
