"""Activation functions as modules."""

from ..rules import Array
from ..tensor import Tensor
from .module import Module, as_tensor


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Array) -> Tensor:
        return as_tensor(x).relu()


class LeakyReLU(Module):
    """x where x > 0, negative_slope * x elsewhere."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> Tensor:
        return as_tensor(x).leaky_relu(self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where x > 0, alpha (e^x - 1) elsewhere."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Array) -> Tensor:
        return as_tensor(x).elu(self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class GELU(Module):
    """x Phi(x), Phi the standard normal distribution function; `approximate="tanh"` takes less than half the time, to 5e-4."""

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"approximate of GELU must be 'none' or 'tanh', got {approximate!r}.")
        self.approximate = approximate

    def forward(self, x: Array) -> Tensor:
        return as_tensor(x).gelu(self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x sigmoid(x)."""

    def forward(self, x: Array) -> Tensor:
        return as_tensor(x).silu()


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, x: Array) -> Tensor:
        return as_tensor(x).sigmoid()


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Array) -> Tensor:
        return as_tensor(x).tanh()


class Softplus(Module):
    """log(1 + e^x)."""

    def forward(self, x: Array) -> Tensor:
        return as_tensor(x).softplus()


class Softmax(Module):
    """exp(x) / sum(exp(x)) over `axis`. Not before CrossEntropyLoss, which takes logits."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Tensor:
        return as_tensor(x).softmax(self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class LogSoftmax(Module):
    """log(softmax(x)) over `axis`, as NLLLoss takes it."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Tensor:
        return as_tensor(x).log_softmax(self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"
