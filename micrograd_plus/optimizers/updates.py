"""Optimizers: an elementwise `update` of a parameter and its state; `step` writes it into the parameters' own arrays."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import effects
from ..tensor import Tensor

Group = dict[str, Any]


class Optimizer(ABC):
    """What the optimizers share: parameter groups, the step over them, and the checks on settings.

    Args:
        params: Tensors that require gradients, or dicts {"params": [...], **settings} that make groups with settings of
            their own.
        settings: the settings of every group that does not say otherwise.

    Attributes:
        param_groups: the groups, dicts of "params" and settings, which may be changed between steps.

    Raises:
        TypeError: a parameter is not a Tensor.
        ValueError: no parameters; one is listed twice or is the result of an operation; a setting out of range.
    """

    def __init__(self, params: Iterable[Any], **settings: Any) -> None:
        entries = listed(params)
        if not entries:
            raise ValueError(
                f"{type(self).__name__} needs parameters, got none. Pass model.parameters(); "
                "a Module finds layers, and tensors with requires_grad=True, in its attributes."
            )
        groups = entries if isinstance(entries[0], dict) else [{"params": entries}]
        self.param_groups: list[Group] = [{**settings, **group, "params": listed(group["params"])} for group in groups]
        self.state: dict[Tensor, dict[str, Any]] = {}
        seen: set[int] = set()
        for group in self.param_groups:
            unknown = set(group) - set(settings) - {"params"}
            if unknown:
                raise ValueError(f"{type(self).__name__} has no setting {sorted(unknown)}. It has {sorted(settings)}.")
            self._check(group)
            for p in group["params"]:
                if not isinstance(p, Tensor):
                    raise TypeError(f"an optimizer's parameters must be Tensors, got {type(p).__name__}. Pass model.parameters().")
                if not p.is_leaf:
                    raise ValueError(f"an optimizer's parameters must be leaves, got the result of an operation, shape {p.shape}.")
                if id(p) in seen:
                    raise ValueError(f"a parameter must be listed once, one of shape {p.shape} is listed twice; it would be updated twice.")
                seen.add(id(p))

    def _check(self, group: Group) -> None:
        for name, value in group.items():
            if name in ("lr", "weight_decay", "eps") and not value >= 0:
                raise ValueError(f"{name} of {type(self).__name__} must not be negative, got {value}.")
            if name in ("momentum", "alpha") and not 0 <= value < 1:
                raise ValueError(f"{name} of {type(self).__name__} must be in [0, 1), got {value}.")
            if name == "betas" and not all(0 <= beta < 1 for beta in value):
                raise ValueError(f"betas of {type(self).__name__} must be in [0, 1), got {value}.")
            if name == "nesterov" and value and not group["momentum"] > 0:
                raise ValueError(f"nesterov needs momentum > 0, got {group['momentum']}.")

    @property
    def lr(self) -> float:
        """The first group's learning rate; setting it sets that of all groups."""
        return float(self.param_groups[0]["lr"])

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.param_groups:
            self._check({"lr": value})
            group["lr"] = value

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters; they then read as zeros, and `step` skips them."""
        for group in self.param_groups:
            for p in group["params"]:
                p.zero_grad()

    def step(self) -> None:
        """Update every parameter that has a gradient and requires one."""
        for group in self.param_groups:
            moments, updates = self._moments(group), {}
            for p in group["params"]:
                if p._grad is None or not p._requires_grad:
                    continue
                state = self.state.get(p) or self.state.setdefault(p, {"step": 0})
                if len(state) <= len(moments):
                    state.update({name: np.zeros_like(p._data) for name in moments if name not in state})
                t = effects.scalar(state, "step") + 1
                effects.assign(state, t, "step")
                if t not in updates:  # parameters that were all updated equally often share it
                    updates[t] = self._update(group, t)
                effects.assign_blocks([p._data, *[state[name] for name in moments]], updates[t], p._grad)

    @abstractmethod
    def _moments(self, group: Group) -> tuple[str, ...]:
        """The names of the arrays that are kept for each parameter, zeros at first."""

    @abstractmethod
    def _update(self, group: Group, t: int) -> Callable[..., tuple[Any, ...]]:
        """The update of step t: (param, *moments, grad) to the new (param, *moments). It may compute in all but `grad`."""


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

        g = grad + weight_decay p
        v = momentum v + g            (v = g in the first step)
        p = p - lr v                  (nesterov: p - lr (g + momentum v))

    Args:
        params: see Optimizer.
        lr: learning rate.
        momentum: in [0, 1).
        weight_decay: L2 penalty.
        nesterov: look ahead along the momentum.

    References: Sutskever et al., 2013, ICML; in PyTorch's form, where lr multiplies the velocity.
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 0.01, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def _moments(self, group: Group) -> tuple[str, ...]:
        return ("velocity",) if group["momentum"] else ()

    def _update(self, group: Group, t: int) -> Callable[..., tuple[Any, ...]]:
        lr, momentum, weight_decay = effects.scalar(group, "lr"), group["momentum"], group["weight_decay"]

        def plain(p: Any, grad: Any) -> tuple[Any, ...]:
            g = grad + weight_decay * p if weight_decay else grad
            p -= lr * g
            return (p,)

        def with_momentum(p: Any, v: Any, grad: Any) -> tuple[Any, ...]:
            g = grad + weight_decay * p if weight_decay else grad
            v *= momentum  # zero in the first step, so that v becomes g
            v += g
            p -= lr * (g + momentum * v) if group["nesterov"] else lr * v
            return p, v

        return with_momentum if momentum else plain


class Adam(Optimizer):
    """Adaptive moments.

        g = grad + weight_decay p
        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        p = p - lr m' / (sqrt(v') + eps),   m' = m / (1 - beta1^t),  v' = v / (1 - beta2^t)

    Args:
        params: see Optimizer.
        lr: learning rate.
        betas: decay of the two moments.
        eps: added to the root.
        weight_decay: L2 penalty, added to the gradient; AdamW decays the weights themselves.

    References: Kingma and Ba, 2015, arXiv:1412.6980, algorithm 1.
    """

    decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _moments(self, group: Group) -> tuple[str, ...]:
        return ("m", "v")

    def _update(self, group: Group, t: int) -> Callable[..., tuple[Any, ...]]:
        lr, (beta1, beta2), decay = effects.scalar(group, "lr"), group["betas"], group["weight_decay"]
        # m and v are kept without their factors (1 - beta): those, and the corrections, move into the two scalars, which
        # saves passes over the arrays.
        scale = math.sqrt((1 - beta2**t) / (1 - beta2))
        rate, eps = lr * (1 - beta1) / (1 - beta1**t) * scale, group["eps"] * scale

        def update(p: Any, m: Any, v: Any, grad: Any) -> tuple[Any, ...]:
            g = grad + decay * p if decay and not self.decoupled else grad
            if decay and self.decoupled:
                p *= 1 - lr * decay
            m *= beta1
            m += g
            v *= beta2
            v += np.square(g)
            root = np.sqrt(v)
            root += eps
            new = -rate / root
            new *= m
            new += p  # and not p -= ...: the products' other thread shares p, and writing it is cheapest as one copy
            return new, m, v

        return update


class AdamW(Adam):
    """Adam with decoupled weight decay: p = p - lr weight_decay p before Adam's step, which never sees the decay.

    References: Loshchilov and Hutter, 2019, arXiv:1711.05101, algorithm 2, with lr multiplying the decay as in PyTorch.
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)


class RMSprop(Optimizer):
    """Gradients divided by a running root mean square.

        g = grad + weight_decay p
        v = alpha v + (1 - alpha) g^2
        p = p - lr g / (sqrt(v) + eps)       (momentum: b = momentum b + g / (sqrt(v) + eps), p = p - lr b)

    References: Tieleman and Hinton, 2012, COURSERA lecture 6.5; eps outside the root, as in PyTorch.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)

    def _moments(self, group: Group) -> tuple[str, ...]:
        return ("v", "velocity") if group["momentum"] else ("v",)

    def _update(self, group: Group, t: int) -> Callable[..., tuple[Any, ...]]:
        lr, alpha, eps = effects.scalar(group, "lr"), group["alpha"], group["eps"]
        weight_decay, momentum = group["weight_decay"], group["momentum"]

        def update(p: Any, v: Any, *rest: Any) -> tuple[Any, ...]:
            *velocity, grad = rest
            g = grad + weight_decay * p if weight_decay else grad
            v *= alpha
            v += (1 - alpha) * np.square(g)
            step = g / (np.sqrt(v) + eps)
            if not velocity:
                p -= lr * step
                return p, v
            (b,) = velocity
            b *= momentum
            b += step
            p -= lr * b
            return p, v, b

        return update


def listed(params: Any) -> list[Any]:
    """Parameters, or groups of them, as a list; one alone may be given without."""
    if not isinstance(params, (Tensor, dict, Iterable)):
        raise TypeError(f"parameters must be Tensors in a list, got {type(params).__name__}. Call model.parameters().")
    return [params] if isinstance(params, (Tensor, dict)) else list(params)
