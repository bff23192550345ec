"""Schedules that rise as well as fall: one cycle of rate and momentum, and cosines with restarts."""

import math
from collections.abc import Sequence

from .. import effects
from .schedules import Schedule
from .updates import Optimizer


class OneCycleLR(Schedule):
    """Up to `max_lr` and down to almost nothing, while the momentum goes down and up: `step()` after every batch.

        t:         0                    pct_start T - 1        T - 1
        rate:      max_lr / div_factor  max_lr                 max_lr / div_factor / final_div_factor
        momentum:  max_momentum         base_momentum          max_momentum

    in between along half a cosine, or a line. With `three_phase` the rate is back at its first value, and the momentum at its largest,
    at 2 pct_start T - 2, and the rate falls further from there. At t = T it stays as it was (PyTorch goes on along the curve).

    Args:
        optimizer: whose groups' rates, and momenta, are set; the rates that they have don't matter.
        max_lr: the largest rate, of all groups or of each.
        total_steps: T; or give `epochs` and `steps_per_epoch`, whose product it is.
        epochs: see total_steps.
        steps_per_epoch: see total_steps.
        pct_start: the share of the steps for which the rate rises, in [0, 1]; with three phases at most 0.5.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether to set the optimizer's `momentum`, or the first of its `betas`.
        base_momentum: the smallest momentum.
        max_momentum: the largest momentum, in [0, 1).
        div_factor: the largest rate by the first.
        final_div_factor: the first rate by the last.
        three_phase: see above.

    Raises:
        ValueError: a setting out of range; in `step()`, there were T steps already.

    References: Smith and Topin, 2018, arXiv:1708.07120; with cosines and two phases as in fastai, and PyTorch.
    """

    chainable = False

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        if total_steps is None and epochs is not None and steps_per_epoch is not None:
            total_steps = epochs * steps_per_epoch
        if total_steps is None or total_steps < 1:
            raise ValueError(f"total_steps, or epochs times steps_per_epoch, must be at least 1, got {total_steps}.")
        if not 0 <= pct_start <= (0.5 if three_phase else 1):
            raise ValueError(f"pct_start must be in [0, {0.5 if three_phase else 1}], got {pct_start}.")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}.")
        if not (div_factor > 0 and final_div_factor > 0):
            raise ValueError(f"div_factor and final_div_factor must be positive, got {div_factor} and {final_div_factor}.")
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(
                f"cycle_momentum needs an optimizer with momentum or betas, not {type(optimizer).__name__}. Pass cycle_momentum=False."
            )
        if not 0 <= base_momentum <= max_momentum < 1:
            raise ValueError(f"momenta must be 0 <= base_momentum <= max_momentum < 1, got {base_momentum} and {max_momentum}.")
        rise = pct_start * total_steps - 1
        self.ends = (rise, 2 * rise, total_steps - 1) if three_phase else (rise, total_steps - 1)
        self.total_steps, self.anneal_strategy, self.three_phase = total_steps, anneal_strategy, three_phase
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        self.cycle_momentum, self.base_momentum, self.max_momentum = cycle_momentum, base_momentum, max_momentum
        super().__init__(optimizer, [largest / div_factor for largest in per_group("max_lr", max_lr, optimizer)])

    def step(self) -> None:
        """Count one step, of at most T, and set rates and momenta."""
        if self.steps >= self.total_steps:
            raise ValueError(
                f"OneCycleLR must not take more than its {self.total_steps} steps, got one more. Make it with as many as there are batches."
            )
        super().step()

    def rate(self, t: int, initial: float) -> float:
        largest, last = initial * self.div_factor, initial / self.final_div_factor
        return self._between(t, initial, largest, *((initial,) if self.three_phase else ()), last)

    def _set(self) -> None:
        super()._set()
        if not self.cycle_momentum:
            return
        momentum = self._between(self.steps, self.max_momentum, self.base_momentum, self.max_momentum, self.max_momentum)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                effects.assign(group, (momentum, *group["betas"][1:]), "betas")
            else:
                effects.assign(group, momentum, "momentum")

    def _between(self, t: int, *values: float) -> float:
        """The value at t of a curve that starts with the first of `values` and reaches the others at the ends of the phases."""
        start = 0.0
        for end, before, after in zip(self.ends, values, values[1:], strict=False):
            if t <= end:
                share = (t - start) / (end - start) if end > start else 1.0
                left = (1 + math.cos(math.pi * share)) / 2 if self.anneal_strategy == "cos" else 1 - share
                return before * left + after * (1 - left)
            start = end
        return values[-1]


class CosineAnnealingWarmRestarts(Schedule):
    """eta_min + (initial - eta_min) (1 + cos(pi t / T)) / 2, begun anew after T = T_0 steps, T_0 T_mult, T_0 T_mult^2, ...

    References: Loshchilov and Hutter, 2017, arXiv:1608.03983, eq. 5.
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        if T_0 < 1 or T_mult < 1:
            raise ValueError(f"T_0 and T_mult must be at least 1, got {T_0} and {T_mult}.")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer)

    def rate(self, t: int, initial: float) -> float:
        length = self.T_0
        for _ in range(t // self.T_0):  # at most so many restarts
            if t >= length:
                t, length = t - length, length * self.T_mult
        return self.eta_min + (initial - self.eta_min) * (1 + math.cos(math.pi * t / length)) / 2


def per_group(name: str, value: float | Sequence[float], optimizer: Optimizer) -> list[float]:
    """A setting of all groups, or one for each, as a list."""
    count = len(optimizer.param_groups)
    values = [*value] if isinstance(value, Sequence) else [value] * count
    if len(values) != count:
        raise ValueError(f"{name} must be one number, or one for each of the {count} groups, got {len(values)}.")
    return values
