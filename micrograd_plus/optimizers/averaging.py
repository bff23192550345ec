"""Moving averages of weights, for evaluation."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .. import effects
from ..layers import Module
from ..layers.state import differing, misfits
from ..tensor import Tensor
from .state import plain
from .updates import listed


class ExponentialMovingAverage:
    """Weights averaged over the steps of training: a = d a + (1 - d) p, a = p at first; `update()` after every step.

    With `warmup`, d in update t = 0, 1, ... is min(decay, (1 + t) / (10 + t)), so that the first weights are soon forgotten.

    Of a model, floating buffers such as running statistics are averaged like parameters: statistics of the latest weights would not
    belong to averaged ones. (PyTorch's AveragedModel copies them, unless use_buffers=True.) Other buffers are left alone, and so are
    all where only parameters are given.

    >>> from micrograd_plus import Tensor
    >>> p = Tensor([1.0], requires_grad=True)
    >>> average = ExponentialMovingAverage([p], decay=0.75)
    >>> p.data[...] = 2.0
    >>> average.update()
    >>> with average.swapped():
    ...     print(p)
    Tensor([1.25], requires_grad=True)

    Args:
        model_or_params: a Module, or Tensors.
        decay: d, in [0, 1).
        warmup: see above.

    Attributes:
        averages: arrays by name; the names are the model's, or "0", "1", ...
        updates: how many there have been.

    References: Polyak and Juditsky, 1992, SIAM J. Control Optim. 30, 838-855 (averaging); the warm-up is TensorFlow's.
    """

    def __init__(self, model_or_params: Module | Iterable[Tensor], decay: float = 0.999, warmup: bool = False) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}.")
        self.decay, self.warmup, self.updates = decay, warmup, 0
        self._source = model_or_params if isinstance(model_or_params, Module) else listed(model_or_params)
        self._swapped = False
        self.averages = {name: array.copy() for name, array in self._arrays().items()}
        if not self.averages:
            raise ValueError("an average needs parameters, got none. Pass a model, or model.parameters().")

    def _arrays(self) -> dict[str, np.ndarray]:
        """What is averaged, by name."""
        if not isinstance(self._source, Module):
            return {str(i): p.data for i, p in enumerate(self._source)}
        buffers = {name: array for name, array in self._source.named_buffers() if array.dtype.kind == "f"}
        return {name: p.data for name, p in self._source.named_parameters()} | buffers

    def update(self) -> None:
        """Move the averages towards the weights."""
        if self._swapped:
            raise RuntimeError("update() must see the trained weights, but they are swapped out. Call it outside of swapped().")
        t = effects.scalar(vars(self), "updates")
        decay = effects.read(np.minimum(self.decay, (1 + t) / (10 + t))) if self.warmup else self.decay
        arrays = self._arrays()
        for name, average in self.averages.items():
            effects.assign_blocks([average], lambda a, p: (a + (1 - decay) * (p - a),), arrays[name])
        effects.assign(vars(self), t + 1, "updates")

    @contextlib.contextmanager
    def swapped(self) -> Iterator[None]:
        """Within, the weights are the averages; afterwards what they were before. Their arrays stay the same: `p.data` is written into."""
        arrays, before = self._arrays(), self._swapped
        held = {name: array.copy() for name, array in arrays.items()}
        self._swapped = True
        try:
            for name, array in arrays.items():
                effects.assign(array, self.averages[name])
            yield
        finally:
            for name, array in arrays.items():
                effects.assign(array, held[name])
            self._swapped = before

    def state_dict(self) -> dict[str, Any]:
        """Copies of what a run needs to go on: {"updates": ..., "averages": {name: array}}."""
        return {"updates": self.updates, "averages": {name: array.copy() for name, array in self.averages.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; the averages are written into.

        Raises:
            ValueError: names, shapes or dtypes differ; all of them are listed, and nothing is changed.
        """
        problems = differing(state, ("updates", "averages")) or misfits(state["averages"], self.averages)
        if problems:
            raise ValueError(f"a state dict must fit these averages: {'; '.join(problems)}. Average the same model.")
        for name, average in self.averages.items():
            effects.assign(average, state["averages"][name])
        self.updates = plain(state["updates"])
