"""Module, Parameter, and the layers."""

import math
import reprlib
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from . import effects, init
from . import functional as F
from .rules import Array
from .tensor import Tensor, from_numpy


class Parameter(Tensor):
    """A Tensor that a Module trains. A leaf that requires a gradient becomes one when it is assigned to a Module."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, dtype: Any = None) -> None:
        super().__init__(data, requires_grad, dtype)


class Module:
    """A function with parameters. Subclasses assign parameters and modules to attributes and define `forward`.

    Parameters, buffers and modules are found in the attributes, in order of assignment, also inside lists, tuples and dicts,
    at any depth. What occurs twice (a tied weight) counts once, under its first name.

    >>> class Net(Module):
    ...     def __init__(self):
    ...         self.blocks = [Linear(2, 3), Linear(3, 1)]
    ...     def forward(self, x):
    ...         return self.blocks[1](self.blocks[0](x).relu())
    >>> [name for name, parameter in Net().named_parameters()]
    ['blocks.0.weight', 'blocks.0.bias', 'blocks.1.weight', 'blocks.1.bias']
    """

    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        raise TypeError(f"a Module needs a forward() method, {type(self).__name__} has none. Define it.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, _raw(value) if name in vars(self).get("_buffers", ()) else _adopted(value))

    def register_buffer(self, name: str, array: Any) -> None:
        """Keep an array that belongs to the state but is not trained: running statistics, a table of positions."""
        object.__setattr__(self, "_buffers", (*vars(self).get("_buffers", ()), name))
        setattr(self, name, array if isinstance(array, Tensor) else np.array(array))

    def _entries(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, "Parameter | Module | np.ndarray"]]:
        """This module, its parameters, buffers and modules with their names, depth first, each once."""
        seen.add(id(self))
        yield prefix, self
        for name, value in list(vars(self).items()):
            if name in vars(self).get("_buffers", ()):
                yield prefix + name, value
            else:
                yield from _entries_of(value, prefix + name, seen)

    def named_modules(self) -> Iterator[tuple[str, "Module"]]:
        """This module (named "") and all below it, with dotted names."""
        return ((name.removesuffix("."), x) for name, x in self._entries("", set()) if isinstance(x, Module))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Parameters with dotted names, frozen ones included."""
        return ((name, x) for name, x in self._entries("", set()) if isinstance(x, Parameter))

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Buffers with dotted names."""
        return ((name, x) for name, x in self._entries("", set()) if isinstance(x, np.ndarray))

    def parameters(self) -> list[Parameter]:
        """All parameters, frozen ones included."""
        return [parameter for _, parameter in self.named_parameters()]

    def train(self, mode: bool = True) -> Self:
        """Training mode (dropout drops, batch norm uses the batch), for this module and all below it."""
        for _, module in self.named_modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode, for this module and all below it."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers, by dotted name."""
        return {name: array.copy() for name, array in self._state()}

    def _state(self) -> Iterator[tuple[str, np.ndarray]]:
        for name, x in self._entries("", set()):
            if not isinstance(x, Module):
                yield name, x.data if isinstance(x, Parameter) else x

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Write arrays into parameters and buffers of the same names and shapes; nothing is written if any differs.

        Raises:
            ValueError: names are missing or unexpected, or shapes differ; all of them are listed.
        """
        own, given = dict(self._state()), {name: _raw(value) for name, value in state.items()}
        problems = [f"missing {name!r}" for name in own if name not in given]
        problems += [f"unexpected {name!r}" for name in given if name not in own]
        for name in [name for name in own if name in given]:
            if given[name].shape != own[name].shape:
                problems.append(f"{name!r} has shape {given[name].shape}, must be {own[name].shape}")
            elif not np.can_cast(given[name].dtype, own[name].dtype, "same_kind"):
                problems.append(f"{name!r} has dtype {given[name].dtype}, must be {own[name].dtype}")
        if problems:
            raise ValueError(f"a state dict must have this module's names and shapes: {'; '.join(problems)}. Build the same model first.")
        for name, array in own.items():
            effects.assign(array, given[name])

    def extra_repr(self) -> str:
        """What the module's line in `repr` says of its settings."""
        return ""

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        children = [(name, value) for name, value in vars(self).items() if _holds_modules(value)]
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [line for name, value in children for line in f"{name}: {value!r}".split("\n")]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def _adopted(value: Any) -> Any:
    """The same object, where leaves that require a gradient, also inside lists and dicts, have become Parameters."""
    if type(value) is Tensor:
        if value.requires_grad and value.is_leaf:
            value.__class__ = Parameter
    elif isinstance(value, (list, tuple)):
        for item in value:
            _adopted(item)
    elif isinstance(value, dict):
        _adopted(list(value.values()))
    return value


def _entries_of(value: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Module):
        if id(value) not in seen:
            yield from value._entries(f"{name}.", seen)
    elif isinstance(value, Tensor):
        if isinstance(_adopted(value), Parameter) and id(value) not in seen:
            seen.add(id(value))
            yield name, value
    elif isinstance(value, (list, tuple, dict)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in list(items):
            yield from _entries_of(item, f"{name}.{key}", seen)


def _holds_modules(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, Module) or (isinstance(value, (list, tuple)) and any(_holds_modules(item) for item in value))


def _as_tensor(x: Array) -> Tensor:
    return x if isinstance(x, Tensor) else from_numpy(x)


def _raw(x: Any) -> np.ndarray:
    return x.data if isinstance(x, Tensor) else np.asarray(x)


class Linear(Module):
    """y = x @ weight + bias.

    Args:
        in_features: size of the last axis of x.
        out_features: size of the last axis of y.
        bias: whether to add a bias.
        initializer: makes the weight; Xavier normal by default, scale sqrt(2 / (in + out)). The bias starts at zero.
        generator: what the weight is drawn from.

    Attributes:
        weight: (in_features, out_features).
        bias: (out_features,), or None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        initializer: Callable[..., np.ndarray] = init.xavier_normal,
        generator: np.random.Generator | None = None,
    ) -> None:
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if size < 1:
                raise ValueError(f"{name} of Linear must be at least 1, got {size}.")
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(initializer((in_features, out_features), generator))
        self.bias = Parameter(np.zeros(out_features)) if bias else None

    def forward(self, x: Array) -> Tensor:
        """x (..., in_features) to y (..., out_features)."""
        x = _as_tensor(x)
        if x.shape[-1:] != (self.in_features,):
            raise ValueError(
                f"Linear({self.in_features}, {self.out_features}) needs input of shape (..., {self.in_features}), got {x.shape}. "
                "Check the layer before it, or flatten the input."
            )
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + (", bias=False" if self.bias is None else "")


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Array) -> Tensor:
        return _as_tensor(x).relu()


class LeakyReLU(Module):
    """x where x > 0, negative_slope * x elsewhere."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> Tensor:
        return _as_tensor(x).leaky_relu(self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where x > 0, alpha (e^x - 1) elsewhere."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Array) -> Tensor:
        return _as_tensor(x).elu(self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class GELU(Module):
    """x Phi(x), Phi the standard normal distribution function."""

    def forward(self, x: Array) -> Tensor:
        return _as_tensor(x).gelu()


class SiLU(Module):
    """x sigmoid(x)."""

    def forward(self, x: Array) -> Tensor:
        return _as_tensor(x).silu()


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, x: Array) -> Tensor:
        return _as_tensor(x).sigmoid()


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Array) -> Tensor:
        return _as_tensor(x).tanh()


class Softplus(Module):
    """log(1 + e^x)."""

    def forward(self, x: Array) -> Tensor:
        return _as_tensor(x).softplus()


class Softmax(Module):
    """exp(x) / sum(exp(x)) over `axis`. Not before CrossEntropyLoss, which takes logits."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Tensor:
        return _as_tensor(x).softmax(self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class LogSoftmax(Module):
    """log(softmax(x)) over `axis`, as NLLLoss takes it."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Tensor:
        return _as_tensor(x).log_softmax(self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class Dropout(Module):
    """In training, zero each element with probability p and scale the others by 1 / (1 - p); the identity in eval mode."""

    def __init__(self, p: float = 0.5, generator: np.random.Generator | None = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"the probability p of Dropout must be in [0, 1], got {p}.")
        self.p, self.generator = p, generator

    def forward(self, x: Array) -> Tensor:
        return F.dropout(_as_tensor(x), self.p, self.training, self.generator)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class BatchNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias per channel, x (N, C) or (N, C, H, W).

    In training, mean and variance are the batch's; in eval mode, running averages of those.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: share of the newest batch in the running averages.

    Attributes:
        weight, bias: (C,), ones and zeros at first.
        running_mean, running_var: (C,) buffers, zeros and ones at first; the variance is the unbiased one.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(np.ones(num_features))
        self.bias = Parameter(np.zeros(num_features))
        self.register_buffer("running_mean", np.zeros_like(self.bias.data))
        self.register_buffer("running_var", np.ones_like(self.bias.data))

    def forward(self, x: Array) -> Tensor:
        x = _as_tensor(x)
        if x.ndim not in (2, 4) or x.shape[1] != self.num_features:
            raise ValueError(
                f"BatchNorm({self.num_features}) needs input of shape (N, {self.num_features}) or (N, {self.num_features}, H, W), "
                f"got {x.shape}. Check the layer before it."
            )
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps)

    running_mean: np.ndarray
    running_var: np.ndarray

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


BatchNorm1d = BatchNorm
BatchNorm2d = BatchNorm


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, over the last axes of each example.

    Args:
        normalized_shape: the sizes of those axes, an int for one.
        eps: added to the variance.

    Attributes:
        weight, bias: of the normalized shape, ones and zeros at first.
    """

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5) -> None:
        self.normalized_shape: tuple[int, ...] = tuple(np.atleast_1d(normalized_shape).tolist())
        self.eps = eps
        self.weight = Parameter(np.ones(self.normalized_shape))
        self.bias = Parameter(np.zeros(self.normalized_shape))

    def forward(self, x: Array) -> Tensor:
        x, ndim = _as_tensor(x), len(self.normalized_shape)
        if x.shape[-ndim:] != self.normalized_shape:
            raise ValueError(
                f"LayerNorm({self.normalized_shape}) needs input whose last axes have sizes {self.normalized_shape}, got shape {x.shape}. "
                "Check the layer before it."
            )
        return F.layer_norm(x, ndim, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class Embedding(Module):
    """weight[indices]: a learned vector for each of `num_embeddings` symbols.

    Args:
        num_embeddings: rows of the table.
        embedding_dim: size of a vector.
        generator: what the table is drawn from, N(0, 1).
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, generator: np.random.Generator | None = None) -> None:
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(init.normal((num_embeddings, embedding_dim), 1.0, generator))

    def forward(self, indices: Array) -> Tensor:
        """Indices of any shape, whole numbers in [0, num_embeddings), to vectors (*shape, embedding_dim)."""
        return F.embedding(indices, self.weight)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"


class Flatten(Module):
    """The axes from `start_dim` on made one: (N, C, H, W) to (N, C H W) by default."""

    def __init__(self, start_dim: int = 1) -> None:
        self.start_dim = start_dim

    def forward(self, x: Array) -> Tensor:
        tensor = _as_tensor(x)
        shape = tensor.shape
        return tensor.reshape(*shape[: self.start_dim], math.prod(shape[self.start_dim :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}"
