"""`diagnose`: some steps of training on copies, followed as a script's are."""

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...layers import Module
from ...optimizers import Adam, Optimizer
from ...tensor import Tensor, enable_grad
from ..lines import is_users
from .copies import as_batch, batches_of, has_hooks, model_copy, optimizer_copy, untouched
from .diagnosis import Diagnosis
from .examination import examined
from .observation import Observer

STEPS = 40
SECONDS = 2.0
OWN_RATE = 0.003  # of the optimizer that is used where none is given


def diagnose(model: Module, batch_or_loader: Any, loss_fn: Callable[..., Tensor], optimizer: Optimizer | None = None) -> Diagnosis:
    """Train copies for some steps, and say what is wrong with the loss, the data, the network and the learning rate.

    Nothing of yours changes: parameters, gradients, buffers, modes, the optimizer's state, random generators and a loader's place are
    afterwards what they were. The steps are zero_grad(), loss_fn(model(x), y), backward(), step(), in the mode that the model is in; for
    mistakes of your own loop, run `micrograd-plus doctor FILE.py`.

    >>> from micrograd_plus import SGD, CrossEntropyLoss, Linear, ReLU, Sequential, Softmax, set_seed
    >>> set_seed(0)
    >>> x, y = np.random.randn(64, 4), np.arange(64) % 3
    >>> model = Sequential(Linear(4, 16), ReLU(), Linear(16, 3), Softmax())
    >>> diagnose(model, (x, y), CrossEntropyLoss(), SGD(model.parameters(), lr=0.1)).codes
    ['MG201']

    Args:
        model: maps the inputs of a batch to predictions.
        batch_or_loader: one batch (x, y), a list of batches, a DataLoader, or whatever can be iterated over more than once. Of a batch of
            more parts, the last are the targets and the model is called with the others.
        loss_fn: (predictions, targets) to a scalar.
        optimizer: of the model's parameters; without it, optimizer and learning rate are not looked at.

    Returns:
        The findings, causes first: `print` it, iterate over it, or look at its `codes`.

    Raises:
        TypeError: no Module; an iterator, which would be used up; a batch without targets.
        ValueError: no batches.
    """
    if not isinstance(model, Module):
        raise TypeError(f"diagnose() needs a Module, got {type(model).__name__}. Pass the model itself.")
    if not callable(loss_fn):
        raise TypeError(f"diagnose() needs a loss function, got {type(loss_fn).__name__}. Pass one such as CrossEntropyLoss().")
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise TypeError(f"diagnose() needs an Optimizer, got {type(optimizer).__name__}. Make one, such as Adam(model.parameters()).")
    with untouched(model, optimizer), warnings.catch_warnings(), np.errstate(all="ignore"), enable_grad():
        warnings.simplefilter("ignore")
        batches = batches_of(batch_or_loader)
        twin, parameters = model_copy(model)
        if optimizer is not None:
            stepping: Optimizer | None = optimizer_copy(optimizer, parameters)
        else:
            trainable = [p for p in parameters.values() if p.requires_grad]
            stepping = Adam(trainable, lr=OWN_RATE) if trainable else None
        observer = Observer(STEPS, SECONDS, stops=False)
        names = _names_of(model, optimizer)
        observer.names[id(twin)] = names.get(id(model), "model")
        if optimizer is not None:
            observer.names[id(stepping)] = names.get(id(optimizer), "optimizer")
        error = ""
        with observer:
            if stepping is not None:
                observer.optimizers[id(stepping)] = stepping
            try:
                _train(twin, batches, loss_fn, stepping)
            except Exception as raised:
                if not observer.calls:
                    raise
                error = f"{type(raised).__name__}: {raised}"
            observer.finish()
        remarks = ("Hooks of the model were left out: they may change what is yours.",) if has_hooks(model) else ()
        diagnosis = examined(observer, names.get(id(model), "the model"), error, remarks, optimizer is not None)
        diagnosis.raised_by = "A training step"
        return diagnosis


def _train(model: Module, batches: Any, loss_fn: Callable[..., Tensor], optimizer: Optimizer | None) -> None:
    end = time.process_time() + SECONDS
    done = 0
    while done < STEPS and time.process_time() < end:
        before = done
        for batch in batches:
            inputs, targets = as_batch(batch)
            if optimizer is not None:
                optimizer.zero_grad()
            loss = loss_fn(model(*inputs), targets)
            if not isinstance(loss, Tensor):
                raise TypeError(f"a loss function must return a Tensor, got {type(loss).__name__}.")
            loss.backward()
            if optimizer is not None:
                optimizer.step()
            done += 1
            if done >= STEPS or time.process_time() > end:
                return
        if done == before:
            raise ValueError("diagnose() needs at least one batch, got none.")


def _names_of(*objects: Any) -> dict[int, str]:
    """What the caller calls these objects."""
    names: dict[int, str] = {}
    frame: Any = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            for name, value in [*frame.f_locals.items(), *frame.f_globals.items()]:
                if name.isidentifier() and any(value is known for known in objects if known is not None):
                    names.setdefault(id(value), name)
            break
        frame = frame.f_back
    return names
