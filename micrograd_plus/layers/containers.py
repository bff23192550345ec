"""Modules that hold others: a list, a dict, a residual connection; and the one that does nothing."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any

from ..rules import Array
from ..tensor import Tensor
from .module import Module, as_tensor


class Identity(Module):
    """x itself. Arguments of the constructor are ignored, so that it can stand in for another layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        return x


class _Container(Module):
    """What ModuleList and ModuleDict share: the Modules that they hold, named by position or key."""

    _held: Any

    def _members(self) -> Iterator[tuple[str, Any]]:
        for name, value in super()._members():
            if name == "_held":
                yield from ((str(key), module) for key, module in (value.items() if isinstance(value, dict) else enumerate(value)))
            else:
                yield name, value

    def _checked(self, module: Any) -> Module:
        if not isinstance(module, Module):
            raise TypeError(f"a {type(self).__name__} holds Modules, got {module!r}. Pass an instance of one, such as ReLU().")
        return module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """A container computes nothing."""
        raise TypeError(f"a {type(self).__name__} only holds Modules, so it can't be called. Call each of them, or use Sequential.")

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._held)

    def __delitem__(self, index: Any) -> None:
        del self._held[index]


class ModuleList(_Container, MutableSequence[Module]):
    """A list of Modules, with a list's methods; their names are their positions: `0.weight`. A slice is a ModuleList.

    Modules find those in a plain list too, under the same names.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._held: list[Module] = []
        self.extend(modules)

    def __getitem__(self, index: Any) -> Any:
        return ModuleList(self._held[index]) if isinstance(index, slice) else self._held[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._held[index] = [self._checked(module) for module in value] if isinstance(index, slice) else self._checked(value)

    def insert(self, index: int, value: Module) -> None:
        """Insert a Module before position `index`."""
        self._held.insert(index, self._checked(value))


class ModuleDict(_Container, MutableMapping[str, Module]):
    """A dict of Modules, with a dict's methods; their names are their keys: `name.weight`.

    Modules find those in a plain dict too, under the same names.
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        self._held: dict[str, Module] = {}
        self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._held[key]

    def __setitem__(self, key: Any, value: Module) -> None:
        if not isinstance(key, str) or not key or "." in key:
            raise ValueError(f"a key of a ModuleDict must be a name without a dot, got {key!r}.")
        self._held[key] = self._checked(value)

    __eq__, __hash__ = object.__eq__, object.__hash__  # a Module is equal to itself alone


class Residual(Module):
    """x + f(x), where f applies the layers given one after the other.

    Args:
        layers: Modules or functions of a Tensor; their composition keeps the shape of x.

    References: He et al., 2016, arXiv:1512.03385, eq. 1.
    """

    def __init__(self, *layers: Any) -> None:
        if not layers:
            raise ValueError("Residual needs at least one layer, got none.")
        for layer in layers:
            if not callable(layer) or isinstance(layer, type):
                raise TypeError(f"a layer must be a Module or a function, got {layer!r}. Pass an instance, such as ReLU().")
        self.layers = list(layers)

    def forward(self, x: Array) -> Tensor:
        skipped = y = as_tensor(x)
        for layer in self.layers:
            y = layer(y)
        if y.shape != skipped.shape:
            raise ValueError(
                f"the layers of Residual must keep the shape of their input, got {skipped.shape} and made {y.shape}. "
                "Choose sizes that agree, or project x by a layer of its own."
            )
        return skipped + y
