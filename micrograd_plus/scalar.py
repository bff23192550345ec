"""The scalar engine: an autograd engine of one class, to be read before the rest. The names are those of Karpathy's micrograd.

A `Value` is a number that remembers what it was computed from. Each operation leaves in its result a function that passes the
result's gradient on to the operands, multiplied by the local derivative: the chain rule. `backward` calls these functions,
the newest Value first, so that every gradient is complete before it is passed on.

    >>> a, b = Value(2.0), Value(-3.0)
    >>> c = (a * b + b**2).relu()
    >>> c.backward()
    >>> c.data, a.grad, b.grad
    (3.0, -3.0, -4.0)
"""

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

_creation = itertools.count()


class Value:
    """A number and, after `backward()`, its gradient."""

    def __init__(self, data: float, _children: tuple["Value", ...] = (), _op: str = "") -> None:
        self.data = data
        self.grad = 0.0
        self._prev = _children
        self._op = _op
        self._order = next(_creation)
        # Given this Value's gradient, what each of _prev gets of it. It does not refer to this Value: no reference cycle.
        self._pullback: Callable[[float], tuple[float, ...]] = lambda g: ()

    def _result(self, data: float, children: tuple["Value", ...], op: str, pullback: Callable[[float], tuple[float, ...]]) -> "Value":
        out = Value(data, children, op)
        out._pullback = pullback
        return out

    def __add__(self, other: "Value | float") -> "Value":
        x, y = self, _value(other)
        return self._result(x.data + y.data, (x, y), "+", lambda g: (g, g))

    def __mul__(self, other: "Value | float") -> "Value":
        x, y = self, _value(other)
        return self._result(x.data * y.data, (x, y), "*", lambda g: (y.data * g, x.data * g))

    def __pow__(self, other: float) -> "Value":
        if not isinstance(other, (int, float)):
            raise TypeError(f"a Value's exponent must be a number, got {type(other).__name__}.")
        return self._result(self.data**other, (self,), f"**{other}", lambda g: (other * self.data ** (other - 1) * g,))

    def relu(self) -> "Value":
        """max(0, x); its derivative at 0 is 0."""
        return self._result(max(0, self.data), (self,), "ReLU", lambda g: ((self.data > 0) * g,))

    def backward(self) -> None:
        """Add d(self)/d(v) to the `grad` of every Value v that this one was computed from, and of this one."""
        graph, pending = {self}, [self]
        while pending:
            for child in pending.pop()._prev:
                if child not in graph:
                    graph.add(child)
                    pending.append(child)
        self.grad = 1.0
        for value in sorted(graph, key=lambda v: v._order, reverse=True):
            for child, gradient in zip(value._prev, value._pullback(value.grad), strict=True):
                child.grad += gradient

    def __neg__(self) -> "Value":
        return self * -1

    def __radd__(self, other: float) -> "Value":
        return self + other

    def __sub__(self, other: "Value | float") -> "Value":
        return self + (-other)

    def __rsub__(self, other: float) -> "Value":
        return other + (-self)

    def __rmul__(self, other: float) -> "Value":
        return self * other

    def __truediv__(self, other: "Value | float") -> "Value":
        return self * _value(other) ** -1

    def __rtruediv__(self, other: float) -> "Value":
        return other * self**-1

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"


def _value(x: "Value | float") -> Value:
    return x if isinstance(x, Value) else Value(x)


class Module:
    """What has parameters."""

    def parameters(self) -> list[Value]:
        """All weights and biases."""
        return []

    def zero_grad(self) -> None:
        """Set their gradients to 0."""
        for p in self.parameters():
            p.grad = 0.0


class Neuron(Module):
    """relu(w . x + b), or w . x + b where `nonlin` is false; weights uniform in [-1, 1], the bias 0."""

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]  # noqa: S311 - weights, no secrets
        self.b = Value(0)
        self.nonlin = nonlin

    def __call__(self, x: Sequence[Any]) -> Value:
        act = sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b)
        return act.relu() if self.nonlin else act

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(Module):
    """`nout` neurons side by side."""

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        out = [n(x) for n in self.neurons]
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Value]:
        return [p for n in self.neurons for p in n.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(n) for n in self.neurons)}]"


class MLP(Module):
    """Layers one after the other, of the sizes `nouts`; the last is linear."""

    def __init__(self, nin: int, nouts: list[int]) -> None:
        sizes = [nin, *nouts]
        self.layers = [Layer(sizes[i], sizes[i + 1], nonlin=i != len(nouts) - 1) for i in range(len(nouts))]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Value]:
        return [p for layer in self.layers for p in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"
