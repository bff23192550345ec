"""What is kept of a training loop while it is followed: calls of models and losses, operations, rounds."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...layers import Dropout, Dropout2d, Module
from ...layers.normalisation import ChannelNorm
from ...optimizers import Optimizer
from ...rules import Rule
from ...tensor import Tensor
from ..lines import Line

# The loss functions by name, and what kind of answer each compares with what.
LOSSES = {
    "cross_entropy": "classes",
    "nll_loss": "classes",
    "multi_margin_loss": "classes",
    "binary_cross_entropy": "binary",
    "binary_cross_entropy_with_logits": "binary",
    "mse_loss": "regression",
    "l1_loss": "regression",
    "huber_loss": "regression",
    "smooth_l1_loss": "regression",
    "kl_div": "other",
    "hinge_loss": "other",
}


class Enough(BaseException):
    """Raised in a script of which enough was seen; no `except Exception` catches it."""


class Operation(NamedTuple):
    """An operation whose result requires a gradient. `part` is the output's number among several."""

    out: Tensor
    rule: Rule
    inputs: Any
    options: Any
    part: int
    line: Line | None
    module: Module | None


class Call:
    """A call of a model: of a Module that no other was calling."""

    def __init__(self, root: Module, array: Any, number: int, recording: bool, line: Line | None) -> None:
        self.root, self.array, self.number, self.recording, self.line = root, array, number, recording, line
        self.training = root.training
        self.modes = [module.training for module in sensitive(root)]
        self.layer: Module | None = None  # the first that has parameters of its own, and what it was given
        self.layer_input: Any = None
        self.output: Any = None
        self.node: Any = None
        self.given = True  # whether the input is data, not what another model made
        self.not_finite = False
        self.given_input: Any = None
        self.output_shape: tuple[int, ...] = ()
        self.used = False  # whether a backward pass went through it
        self.in_loss = False

    def settle(self) -> None:
        """Find out whether a backward pass went through it, and let go of its graph."""
        if self.node is not None:
            self.used = self.used or self.node.inputs is None
            self.node = None
        self.output = None


class LossCall(NamedTuple):
    """A call of one of the library's loss functions."""

    name: str
    predictions: Any
    targets: Any
    options: dict[str, Any]
    out: Any
    line: Line | None

    @property
    def kind(self) -> str:
        return LOSSES[self.name]


class Labels(NamedTuple):
    """The labels of one call of a loss; `whole` is the array of which they are a view, else they themselves."""

    values: np.ndarray
    whole: np.ndarray
    one_per_example: bool
    weighted: bool
    line: Line | None
    step: int
    kind: str


class Round:
    """From the first operation after a step to the next step, or to several steps if no operation is between them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.operations: list[Operation] = []
        self.leaves: dict[int, Tensor] = {}
        self.constants: list[tuple[int, Tensor]] = []  # leaves that need no gradient, and after how many operations they were made
        self.untracked: list[tuple[int, Operation]] = []  # operations of such alone, likewise
        self.losses: list[Tensor] = []
        self.values: list[float] = []
        self.calls: list[Call] = []
        self.loss_calls: list[LossCall] = []
        self.stepped: list[Optimizer] = []
        self.before: dict[int, np.ndarray] = {}  # the leaves' values before the step
        self.gradients: dict[int, np.ndarray] = {}
        self.lrs: dict[int, float] = {}
        self.by_hand = False
        self.active: dict[Any, np.ndarray] = {}
        self.clipped: tuple[str, float] | None = None

    @property
    def key(self) -> tuple[int, ...]:
        """What the round trains: rounds of a GAN's two networks differ."""
        return (id(self.stepped[0]),) if self.stepped else ()

    @property
    def loss(self) -> float:
        return sum(self.values) if self.values else math.nan

    def lighten(self) -> None:
        """Keep figures only."""
        self.operations, self.leaves, self.constants, self.untracked, self.losses = [], {}, [], [], []
        self.before, self.gradients, self.loss_calls = {}, {}, []


class Accumulated:
    """A sum that grew by losses of several rounds or batches: how many, where, and after how many forward passes."""

    def __init__(self, count: int, line: Line | None, node: Callable[[], Any], calls: int) -> None:
        self.count, self.line, self.node, self.calls = count, line, node, calls


def sensitive(root: Module) -> list[Module]:
    """The modules that compute something else in eval mode."""
    found = getattr(root, "_doctor_sensitive", None)
    if found is None:
        found = [module for _, module in root.named_modules() if _is_sensitive(module)]
    return found


def _is_sensitive(module: Module) -> bool:
    if isinstance(module, ChannelNorm):
        return module.track_running_stats
    if isinstance(module, (Dropout, Dropout2d)):
        return bool(module.p)
    rate = vars(module).get("dropout")
    if isinstance(rate, float):
        return rate > 0 and vars(module).get("num_layers", 2) > 1
    kind: Any = type(module)
    return _reads_training(kind)


@functools.cache
def _reads_training(kind: Any) -> bool:
    if kind.__module__.partition(".")[0] == "micrograd_plus":
        return False
    try:
        return "self.training" in inspect.getsource(kind.forward)
    except (OSError, TypeError):
        return False
