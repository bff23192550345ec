"""Module and Parameter: functions with parameters, which are found in attributes by themselves."""

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from .. import effects
from ..rules import Array
from ..tensor import Tensor, from_numpy
from .hooks import Handle, Hook, Hooks
from .state import misfits


class Parameter(Tensor):
    """A Tensor that a Module trains. A leaf that requires a gradient becomes one when it is assigned to a Module."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, dtype: Any = None) -> None:
        super().__init__(data, requires_grad, dtype)


class Module:
    """A function with parameters. Subclasses assign parameters and modules to attributes and define `forward`.

    Parameters, buffers and modules are found in the attributes, in order of assignment, also inside lists, tuples and dicts,
    at any depth. What occurs twice (a tied weight) counts once, under its first name.

    >>> from micrograd_plus import Linear
    >>> class Net(Module):
    ...     def __init__(self):
    ...         self.blocks = [Linear(2, 3), Linear(3, 1)]
    ...     def forward(self, x):
    ...         return self.blocks[1](self.blocks[0](x).relu())
    >>> [name for name, parameter in Net().named_parameters()]
    ['blocks.0.weight', 'blocks.0.bias', 'blocks.1.weight', 'blocks.1.bias']
    """

    training: bool = True
    _forward_hooks: Hooks | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        raise TypeError(f"a Module needs a forward() method, {type(self).__name__} has none. Define it.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_hooks is None:
            return self.forward(*args, **kwargs)
        return self._forward_hooks.run(self, args, kwargs)

    def register_forward_pre_hook(self, hook: Hook) -> Handle:
        """Run `hook(module, args)` before each forward(); what it returns, unless None, replaces the positional arguments.

        Hooks run in the order in which they were registered, until their handle is removed. They are no part of the state.
        A deep copy of the module has the same hooks, which the handles of the original do not remove.
        """
        self._forward_hooks = self._forward_hooks or Hooks()
        return Handle(self._forward_hooks.before, hook)

    def register_forward_hook(self, hook: Hook) -> Handle:
        """Run `hook(module, args, output)` after each forward(); what it returns, unless None, replaces the output.

        >>> from micrograd_plus import ReLU
        >>> layer, seen = ReLU(), []
        >>> with layer.register_forward_hook(lambda module, args, output: seen.append(output.shape)):
        ...     y = layer([1.0, 2.0])
        >>> seen
        [(2,)]
        """
        self._forward_hooks = self._forward_hooks or Hooks()
        return Handle(self._forward_hooks.after, hook)

    def __setattr__(self, name: str, value: Any) -> None:
        value = _raw(value) if name in vars(self).get("_buffers", ()) else _adopted(value)
        if isinstance(vars(self).get(name), Parameter) and not isinstance(value, (Parameter, Module, type(None))):
            raise TypeError(
                f"{name} of {type(self).__name__} is a Parameter, so it can only become another or None, got {type(value).__name__}, "
                f"which would not be trained. Write values by .{name}.data[...] = values, or pass a Parameter."
            )
        object.__setattr__(self, name, value)

    def register_buffer(self, name: str, array: Any) -> None:
        """Keep an array that belongs to the state but is not trained: running statistics, a table of positions."""
        object.__setattr__(self, "_buffers", (*vars(self).get("_buffers", ()), name))
        setattr(self, name, array if isinstance(array, Tensor) else np.array(array))

    def _members(self) -> Iterable[tuple[str, Any]]:
        """Where parameters, buffers and modules are looked for, by name."""
        return vars(self).items()

    def _entries(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, "Parameter | Module | np.ndarray"]]:
        """This module, its parameters, buffers and modules with their names, depth first, each once."""
        seen.add(id(self))
        yield prefix, self
        for name, value in list(self._members()):
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

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Write arrays into parameters and buffers of the same names and shapes; nothing is written if any differs.

        Raises:
            ValueError: names are missing or unexpected, or shapes differ; all of them are listed.
            TypeError: `state` is no dict.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"a state dict must map names to arrays, got {type(state).__name__}. "
                "A file is read by load_model(model, path), and another module's state is its state_dict()."
            )
        own, given = dict(self._state()), {name: _raw(value) for name, value in state.items()}
        problems = misfits(given, own)
        if problems:
            raise ValueError(f"a state dict must have this module's names and shapes: {'; '.join(problems)}. Build the same model first.")
        for name, array in own.items():
            effects.assign(array, given[name])

    def extra_repr(self) -> str:
        """What the module's line in `repr` says of its settings."""
        return ""

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        children = [(name, value) for name, value in self._members() if _holds_modules(value)]
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


def as_tensor(x: Array) -> Tensor:
    """What a layer was given, as a Tensor; an array is shared, not copied.

    Raises:
        TypeError: a tuple that holds Tensors, which is what a layer returns that has several results.
    """
    if isinstance(x, Tensor):
        return x
    if isinstance(x, tuple) and [part for part in x if isinstance(part, Tensor)]:
        raise TypeError(
            f"a layer takes one Tensor, got a tuple of {' and '.join(type(part).__name__ for part in x)}. "
            "Of the results of a recurrent layer or of attention, pass on the first."
        )
    return from_numpy(x)


def check_sizes(layer: Any, **sizes: Any) -> None:
    """Raise unless each size is an int of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"{name} of {type(layer).__name__} must be an int of at least 1, got {size!r}.")


def _raw(x: Any) -> np.ndarray:
    return x.data if isinstance(x, Tensor) else np.asarray(x)
