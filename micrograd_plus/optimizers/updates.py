"""Optimizers: an elementwise `update` of a parameter and its state; `step` writes it into the parameters' own arrays."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .. import effects
from ..tensor import Tensor
from .state import load_state, saved_state

Group = dict[str, Any]


class Optimizer(ABC):
    """What the optimizers share: parameter groups, the step over them, and the checks on settings.

    Args:
        params: Tensors that require gradients, or dicts {"params": [...], **settings} that make groups with settings of
            their own.
        settings: the settings of every group that does not say otherwise.

    Attributes:
        param_groups: the groups, dicts of "params" and settings, which may be changed between steps.
        state: what is kept for each parameter that has been updated: "step", how often, and arrays of its shape.
        defaults: the settings of groups that do not say otherwise.

    Raises:
        TypeError: a parameter is not a Tensor, a group not a dict.
        ValueError: no parameters; one is listed twice or is the result of an operation; a setting out of range.
    """

    moments: tuple[str, ...] = ()  # the arrays that are kept for each parameter; "velocity" only while the momentum is not 0
    scalars: tuple[str, ...] = ("step",)  # the numbers that are

    def __init__(self, params: Iterable[Any], **settings: Any) -> None:
        entries = listed(params)
        if not entries:
            raise ValueError(
                f"{type(self).__name__} needs parameters, got none. Pass model.parameters(); "
                "a Module finds layers, and tensors with requires_grad=True, in its attributes."
            )
        self.defaults, self.state = settings, dict[Tensor, dict[str, Any]]()
        self.param_groups: list[Group] = []
        for group in entries if isinstance(entries[0], dict) else [{"params": entries}]:
            self.add_param_group(group)

    def add_param_group(self, group: Any) -> None:
        """Update further parameters from now on: a dict {"params": [...], **settings}; other settings are the defaults.

        A schedule knows the groups that there were when it was made: make it afterwards.
        """
        if not isinstance(group, dict) or "params" not in group:
            given = f"one of {sorted(group)}" if isinstance(group, dict) else type(group).__name__
            raise TypeError(f'a parameter group must be a dict with "params" among its names, got {given}.')
        group = {**self.defaults, **group, "params": listed(group["params"])}
        unknown = set(group) - set(self.defaults) - {"params"}
        if unknown:
            raise ValueError(f"{type(self).__name__} has no setting {sorted(unknown)}. It has {sorted(self.defaults)}.")
        self._check(group)
        seen = {id(p) for known in self.param_groups for p in known["params"]}
        for p in group["params"]:
            if not isinstance(p, Tensor):
                raise TypeError(f"an optimizer's parameters must be Tensors, got {type(p).__name__}. Pass model.parameters().")
            if not p.is_leaf:
                raise ValueError(f"an optimizer's parameters must be leaves, got the result of an operation, shape {p.shape}.")
            if id(p) in seen:
                raise ValueError(f"a parameter must be listed once, one of shape {p.shape} is listed twice; it would be updated twice.")
            seen.add(id(p))
        self.param_groups.append(group)

    def _check(self, group: Mapping[str, Any]) -> None:
        for name, value in group.items():
            if name in ("lr", "weight_decay", "eps", "lr_decay", "initial_accumulator_value") and not value >= 0:
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
                state = self._state_of(p, group, moments)
                t = effects.scalar(state, "step") + 1
                effects.assign(state, t, "step")
                if t not in updates:  # parameters that were all updated equally often share it
                    updates[t] = self._update(group, t)
                effects.assign_blocks([p._data, *[state[name] for name in moments]], updates[t], p._grad)

    def _moments(self, group: Group) -> list[str]:
        """The names of the arrays that a group's settings need for each parameter."""
        return [name for name in self.moments if name != "velocity" or group["momentum"]]

    def _first(self, p: Tensor, group: Group) -> np.ndarray:
        """Such an array before the first step."""
        return np.zeros_like(p._data)

    def _state_of(self, p: Tensor, group: Group, moments: list[str]) -> dict[str, Any]:
        """A parameter's state, begun in its first step, and completed where momentum was turned on since."""
        state = self.state.get(p) or self.state.setdefault(p, {"step": 0})
        if len(state) <= len(moments):
            state.update({name: self._first(p, group) for name in moments if name not in state})
        return state

    @abstractmethod
    def _update(self, group: Group, t: int) -> Callable[..., tuple[Any, ...]]:
        """The update of step t: (param, *moments, grad) to the new (param, *moments). It may compute in all but `grad`."""

    def state_dict(self) -> dict[str, Any]:
        """Copies of all that a run needs to go on: {"state": {i: {"step": ..., ...}}, "param_groups": [{..., "params": [i, ...]}]}.

        Parameters are numbered in the order of the groups. All values are arrays, numbers and tuples of numbers.
        """
        return saved_state(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state: settings, learning rates included, step counts and moments. Arrays that exist are written into.

        The optimizer must have groups of the same sizes, in the same order, as the one that was saved.

        Raises:
            ValueError: groups, settings, names, shapes or dtypes differ; all of them are listed, and nothing is changed.
        """
        load_state(self, state_dict)


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

    moments = ("velocity",)

    def __init__(
        self, params: Iterable[Any], lr: float = 0.01, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def _update(self, group: Group, t: int) -> Callable[..., tuple[Any, ...]]:
        lr, momentum, weight_decay = effects.scalar(group, "lr"), effects.scalar(group, "momentum"), group["weight_decay"]

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

        return with_momentum if group["momentum"] else plain


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

    The state holds m / (1 - beta1) and v / (1 - beta2) under the names "m" and "v", and the betas that they are of. PyTorch's
    `exp_avg` and `exp_avg_sq` are m and v.

    References: Kingma and Ba, 2015, arXiv:1412.6980, algorithm 1.
    """

    decoupled = False
    moments = ("m", "v")
    scalars = ("step", "betas")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _state_of(self, p: Tensor, group: Group, moments: list[str]) -> dict[str, Any]:
        state, betas = super()._state_of(p, group, moments), tuple(group["betas"])
        before = state.setdefault("betas", betas)
        if before != betas:
            for name, old, new in zip(moments, before, betas, strict=True):
                effects.assign(state[name], state[name] * ((1 - old) / (1 - new)))
            effects.assign(state, betas, "betas")
        return state

    def _update(self, group: Group, t: int) -> Callable[..., tuple[Any, ...]]:
        lr, (beta1, beta2), decay = effects.scalar(group, "lr"), group["betas"], group["weight_decay"]
        # m and v are kept without their factors (1 - beta): those, and the corrections, move into the two scalars, which
        # saves passes over the arrays.
        scale = ((1 - beta2**t) / (1 - beta2)) ** 0.5
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

    moments = ("v", "velocity")

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

    def _update(self, group: Group, t: int) -> Callable[..., tuple[Any, ...]]:
        lr, alpha, eps = effects.scalar(group, "lr"), group["alpha"], group["eps"]
        weight_decay, momentum = group["weight_decay"], effects.scalar(group, "momentum")

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


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares.

        g = grad + weight_decay p
        s = s + g^2                                          (s = initial_accumulator_value at first)
        p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    References: Duchi et al., 2011, JMLR 12, 2121-2159, with diagonal matrices.
    """

    moments = ("sum",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )

    def _first(self, p: Tensor, group: Group) -> np.ndarray:
        return np.full_like(p._data, group["initial_accumulator_value"])

    def _update(self, group: Group, t: int) -> Callable[..., tuple[Any, ...]]:
        rate = effects.scalar(group, "lr") / (1 + (t - 1) * group["lr_decay"])
        weight_decay, eps = group["weight_decay"], group["eps"]

        def update(p: Any, s: Any, grad: Any) -> tuple[Any, ...]:
            g = grad + weight_decay * p if weight_decay else grad
            s += np.square(g)
            p -= rate * (g / (np.sqrt(s) + eps))
            return p, s

        return update


def listed(params: Any) -> list[Any]:
    """Parameters, or groups of them, as a list; one alone may be given without."""
    if not isinstance(params, (Tensor, dict, Iterable)):
        raise TypeError(f"parameters must be Tensors in a list, got {type(params).__name__}. Call model.parameters().")
    return [params] if isinstance(params, (Tensor, dict)) else list(params)
