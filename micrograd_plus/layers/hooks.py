"""Functions that run before and after a module's forward(), registered on a Module."""

import itertools
from collections.abc import Callable
from typing import Any, Self

Hook = Callable[..., Any]

_keys = itertools.count()


class Handle:
    """A registered hook, until remove(). A context manager: the hook holds within.

    A deep copy of a module that holds the handle has a handle of its own hook.
    """

    def __init__(self, hooks: dict[int, Hook], hook: Hook) -> None:
        if not callable(hook):
            raise TypeError(f"a hook must be a function, got {hook!r}.")
        self._hooks, self._key = hooks, next(_keys)
        hooks[self._key] = hook

    def remove(self) -> None:
        """Run the hook no more; a second call changes nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class Hooks:
    """The hooks of a module, each kind in the order in which they were registered."""

    def __init__(self) -> None:
        self.before: dict[int, Hook] = {}
        self.after: dict[int, Hook] = {}

    def run(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """module.forward(*args, **kwargs) with hooks around it. Those that are removed meanwhile still run this time."""
        for hook in list(self.before.values()):
            replacement = hook(module, args)
            if replacement is not None:
                args = replacement if isinstance(replacement, tuple) else (replacement,)
        output = module.forward(*args, **kwargs)
        for hook in list(self.after.values()):
            replacement = hook(module, args, output)
            if replacement is not None:
                output = replacement
        return output
