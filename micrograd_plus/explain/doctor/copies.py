"""Copies of a model, an optimizer and data to try things on, and the promise that the originals stay as they are."""

import contextlib
import copy
import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ... import effects
from ...data import DataLoader
from ...layers import Module
from ...layers.hooks import Hooks
from ...optimizers import Optimizer
from ...tensor import Tensor, watch


@contextlib.contextmanager
def untouched(model: Module, optimizer: Optimizer | None) -> Iterator[None]:
    """Within, random numbers may be drawn, and code may run that refers to the model; afterwards all is as it was before.

    That is: parameters, their gradients and whether they require any, buffers, modes, the optimizer's state and settings, and the random
    generators: the library's, NumPy's legacy global one, Python's. Nobody who watched operations sees
    them meanwhile, debug mode neither.
    """
    parameters: dict[int, Tensor] = {id(p): p for p in model.parameters()}
    if optimizer is not None:
        parameters.update({id(p): p for group in optimizer.param_groups for p in group["params"]})
    held = [
        (p, p._data, p._data.copy(), p._grad, None if p._grad is None else p._grad.copy(), p._requires_grad) for p in parameters.values()
    ]
    buffers = [(array, array.copy()) for _, array in model.named_buffers()]
    modes = [(module, module.training) for _, module in model.named_modules()]
    states = {} if optimizer is None else {p: {k: copy.copy(v) for k, v in state.items()} for p, state in optimizer.state.items()}
    groups = [] if optimizer is None else [dict(group) for group in optimizer.param_groups]
    watchers, runs = watch(), effects._state.runs
    effects._state.runs = ()  # debug mode too: it would end a training that goes wrong, and say less
    library = effects.default_generator().bit_generator
    state, legacy, python = library.state, np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        watch(*watchers)
        effects._state.runs = runs
        library.state = state
        np.random.set_state(legacy)
        random.setstate(python)
        for p, array, values, gradient, gradient_values, required in held:
            p._data = array
            _write(array, values)
            p._grad, p._requires_grad = gradient, required
            if gradient is not None and gradient_values is not None:
                _write(gradient, gradient_values)
        for array, values in buffers:
            _write(array, values)
        for module, mode in modes:
            object.__setattr__(module, "training", mode)
        if optimizer is not None:
            for p in list(optimizer.state):
                if p not in states:
                    del optimizer.state[p]
            for p, kept in states.items():
                for name, value in kept.items():
                    own = optimizer.state[p].get(name)
                    if isinstance(own, np.ndarray) and isinstance(value, np.ndarray):
                        _write(own, value)
                    else:
                        optimizer.state[p][name] = value
            for group, settings in zip(optimizer.param_groups, groups, strict=True):
                group.update(settings)


def _write(array: np.ndarray, values: np.ndarray) -> None:
    """Write where something has changed; an array that can't be written to can't have."""
    if not np.array_equal(array, values, equal_nan=array.dtype.kind == "f"):
        array[...] = values


def model_copy(model: Module) -> tuple[Module, dict[int, Tensor]]:
    """A deep copy without hooks, and its parameters by the identity of the originals. Its layers' generators are copies too."""
    memo: dict[int, Any] = {}
    for _, module in model.named_modules():
        if module._forward_hooks is not None:
            memo[id(module._forward_hooks)] = None  # hooks belong to the user, and may do anything
    twin = copy.deepcopy(model, memo)
    pairs = zip(model.named_parameters(), twin.named_parameters(), strict=True)
    parameters: dict[int, Tensor] = {id(p): copied for (_, p), (_, copied) in pairs}
    for copied in parameters.values():
        copied._grad = None
    return twin, parameters


def has_hooks(model: Module) -> bool:
    """Whether functions are registered on it."""
    hooks = [module._forward_hooks for _, module in model.named_modules()]
    return any(isinstance(own, Hooks) and (own.before or own.after) for own in hooks)  # in debug mode something else stands there


def optimizer_copy(optimizer: Optimizer, parameters: dict[int, Tensor]) -> Optimizer:
    """An optimizer of the same kind, settings and state for copied parameters; those that are not the model's are copied too."""
    twin: Any = object.__new__(type(optimizer))
    vars(twin).update(vars(optimizer))
    known = dict(parameters)
    twin.defaults, twin.state, twin.param_groups = dict(optimizer.defaults), {}, []
    for group in optimizer.param_groups:
        params = []
        for p in group["params"]:
            if id(p) not in known:
                known[id(p)] = copy.deepcopy(p)
                known[id(p)]._grad = None
            params.append(known[id(p)])
        twin.param_groups.append({**group, "params": params})
    for p, state in optimizer.state.items():
        if id(p) in known:
            twin.state[known[id(p)]] = {name: copy.copy(value) for name, value in state.items()}
    return twin  # type: ignore[no-any-return]


Batch = tuple[tuple[Any, ...], Any]


def batches_of(batch_or_loader: Any) -> Iterable[Any]:
    """What yields the batches, again and again; a loader's own random generator is copied, so that none is drawn from.

    Raises:
        TypeError: an iterator, which would be used up, or what holds no batches.
    """
    given = batch_or_loader
    if isinstance(given, DataLoader):
        loader = copy.copy(given)
        loader.generator = copy.deepcopy(given.generator)
        return loader
    if isinstance(given, (tuple, list)):
        parts = [_is_array(part) or _is_arrays(part) or _is_numbers(part) for part in given]
        if len(given) >= 2 and all(parts) and not all(_is_arrays(part) for part in given):
            return [given]
        return given
    if isinstance(given, Iterator):
        raise TypeError(
            f"diagnose() needs batches that can be looked at without using them up, got a {type(given).__name__}. "
            "Pass one batch (x, y), a list of batches, or a DataLoader."
        )
    if not hasattr(given, "__iter__") or isinstance(given, (str, bytes, dict, np.ndarray, Tensor)):
        raise TypeError(f"diagnose() needs one batch (x, y), a list of batches or a DataLoader, got {type(given).__name__}.")
    return copy.deepcopy(given)  # it may draw from a generator


def as_batch(batch: Any) -> Batch:
    """A batch's inputs and targets, as copies: the last part is the targets, all before are what the model is called with.

    Raises:
        TypeError: a batch that has no two parts, or whose parts are no numbers.
        ValueError: a batch without examples.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise TypeError(f"a batch must be (x, y), inputs and targets, got {type(batch).__name__}. A DataLoader yields such pairs.")
    *inputs, targets = batch
    if len(inputs) == 1 and _is_arrays(inputs[0]):
        inputs = list(inputs[0])
    return tuple(_copied(x, "inputs") for x in inputs), _copied(targets, "targets")


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, Tensor)) or (hasattr(x, "__array__") and not isinstance(x, np.generic))  # such as pandas' tables


def _is_arrays(x: Any) -> bool:
    return isinstance(x, (tuple, list)) and len(x) > 0 and all(map(_is_array, x))


def _is_numbers(x: Any) -> bool:
    """Whether it is a list of numbers, or of lists of them, all of one length; or of words, which are refused later."""
    if not isinstance(x, list) or not x or any(map(_is_array, x)):
        return False
    try:
        return np.array(x).dtype.kind in "fiubU"
    except ValueError:
        return False


def _copied(x: Any, what: str) -> Any:
    if isinstance(x, str):
        x = [x]
    if isinstance(x, Tensor):
        copied: Any = Tensor(x._data.copy(), x._requires_grad, x.dtype)
    elif _is_array(x) or _is_numbers(x):
        copied = np.array(x)
    else:
        return x
    if copied.ndim and not len(copied):
        raise ValueError(
            f"diagnose() needs at least one example in a batch, got {what} of shape {copied.shape}. Look at how they were made."
        )
    if isinstance(copied, np.ndarray) and copied.dtype.kind not in "fiubc":
        raise TypeError(_no_numbers(copied, what))
    return copied


def _no_numbers(array: np.ndarray, what: str) -> str:
    words = [value for value in array.reshape(-1)[:1000] if isinstance(value, str)]
    if not words:
        return f"{what} must be numbers, got an array of dtype {array.dtype}. Convert it: np.asarray(x, dtype=np.float32)."
    cure = (
        "Number the classes: names, y = np.unique(y, return_inverse=True)." if what == "targets" else "Convert words and names to numbers."
    )
    return f"{what} must be numbers, got text, such as {str(words[0])!r}. {cure}"
