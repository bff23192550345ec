"""A schedule that watches a measure and lowers the learning rate when it no longer improves."""

import math
from collections.abc import Sequence
from typing import Any

from .. import effects
from ..layers.state import differing
from .cycles import per_group
from .state import plain
from .updates import Optimizer


class ReduceLROnPlateau:
    """lr = max(factor lr, min_lr) once the measure has not improved for more than `patience` steps: `step(measure)` after every epoch.

    A measure improves on the best by more than a threshold: in mode "min" where it is less than best (1 - threshold), or
    best - threshold if the threshold is absolute; in mode "max" where it is greater than best (1 + threshold), or
    best + threshold. NaN improves on nothing.

    Args:
        optimizer: whose groups' rates are lowered.
        mode: "min" for a loss, "max" for an accuracy.
        factor: in (0, 1).
        patience: how many steps without improvement are borne.
        threshold: not negative.
        threshold_mode: "rel" or "abs".
        cooldown: for how many steps after a reduction none is counted as bad.
        min_lr: the least rate, of all groups or of each.
        eps: a change of at most this is left out.

    Attributes:
        best: the best measure so far.
        num_bad_epochs: steps without improvement since the best, the last reduction or the cooldown.
        cooldown_counter: steps of the cooldown that are left.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}.")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}.")
        if not 0 < factor < 1:
            raise ValueError(f"factor must be in (0, 1), got {factor}.")
        for name, value in (("patience", patience), ("threshold", threshold), ("cooldown", cooldown), ("eps", eps)):
            if not value >= 0:
                raise ValueError(f"{name} must not be negative, got {value}.")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.min_lrs = per_group("min_lr", min_lr, optimizer)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: Any) -> None:
        """Take note of a measure, a number or an array of one, and lower the rates if it is time."""
        measure = effects.read(metrics)
        if self._improves(measure):
            self.best, self.num_bad_epochs = measure, 0
        else:
            self.num_bad_epochs = self.num_bad_epochs + 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            self._reduce()

    def _improves(self, measure: float) -> bool:
        margin = self.threshold if self.mode == "max" else -self.threshold
        bound = self.best + margin if self.threshold_mode == "abs" else self.best * (1 + margin)
        return measure > bound if self.mode == "max" else measure < bound

    def _reduce(self) -> None:
        for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            lr = max(group["lr"] * self.factor, least)
            if group["lr"] - lr > self.eps:
                effects.assign(group, lr, "lr")

    def state_dict(self) -> dict[str, Any]:
        """The best measure and the counts. The rates are part of the optimizer's state, the settings of neither."""
        return {"best": self.best, "num_bad_epochs": self.num_bad_epochs, "cooldown_counter": self.cooldown_counter}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state of a schedule with the same settings.

        Raises:
            ValueError: other names; nothing is changed.
        """
        problems = differing(state, self.state_dict())
        if problems:
            raise ValueError(f"a state dict must fit this ReduceLROnPlateau: {'; '.join(problems)}.")
        self.best, self.num_bad_epochs, self.cooldown_counter = (plain(state[name]) for name in self.state_dict())
