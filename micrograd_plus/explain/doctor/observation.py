"""What the doctor sees of a training loop: rounds of forward, backward and step, calls of models and of losses.

An `Observer` wraps Module.__call__, the loss functions, Tensor.backward, the optimizers and DataLoader while it is in place, and
follows the operations of its thread as a watcher. It changes no value.
"""

import contextlib
import functools
import inspect
import math
import sys
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ... import effects, losses, nn, optimizers, rules
from ... import tensor as engine
from ...data import DataLoader
from ...layers import Module
from ...layers.normalisation import ChannelNorm
from ...losses import Loss
from ...optimizers import Optimizer
from ...rules import Rule
from ...tensor import Part, Tensor
from ..lines import Line, is_users, user_line
from .records import LOSSES, Accumulated, Call, Enough, Labels, LossCall, Operation, Round

KEPT_ROUNDS = 2  # at the end; the first is kept too
KEPT_INPUTS = 2_000_000  # numbers
HELD_INPUTS = 20_000_000
KEPT_LABELS = 2000  # batches
KEPT_UNTRACKED = 1000  # operations of a round


class Observer:
    """Follows one thread's training while it is in place (`with observer:`).

    In a script (`stops`) that is the thread that trains first: until a backward() was seen, another that calls a model takes over.

    Args:
        rounds: how many rounds are followed closely.
        seconds: of this process's time, how long at most.
        further: seconds after that in which only calls, losses and modes are noted, so as to see how the script goes on.
        patience: seconds of this process's time without a step, after which there is none to be expected.
        stops: whether to raise `Enough` at the end.
    """

    def __init__(self, rounds: int = 40, seconds: float = 3.0, further: float = 1.0, patience: float = 10.0, stops: bool = True) -> None:
        self.limit, self.seconds, self.further, self.patience, self.stops = rounds, seconds, further, patience, stops
        self.rounds: list[Round] = []
        self.round = Round(0)
        self.bad: Round | None = None  # the round in which a number was first not finite
        self.models: dict[int, Module] = {}
        self.optimizers: dict[int, Optimizer] = {}
        self.made_with: list[tuple[Optimizer | None, list[Any], Line | None]] = []
        self.loaders: dict[int, DataLoader] = {}
        self.trained_loaders: dict[int, int] = defaultdict(int)
        self.calls: list[Call] = []
        self.called: dict[int, tuple[bool, Line | None]] = {}  # each module that was: whether ever while recording, and where from
        self.first_losses: list[LossCall] = []
        self.labels: list[Labels] = []
        self.last_loss: LossCall | None = None
        self.bad_loss: LossCall | None = None  # the first whose value was not finite
        self.layer_inputs: dict[int, list[np.ndarray]] = defaultdict(list)
        self.partly: set[int] = set()  # models that were also called on what is no plain data, so that layer_inputs are not all
        self.kept_inputs = self.held_inputs = 0
        self.names: dict[int, str] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.values: dict[tuple[int, ...], list[float]] = defaultdict(list)
        self.steps = 0
        self.optimizer_steps: dict[int, int] = defaultdict(int)
        self.step_order: list[int] = []
        self.backwards = 0
        self.walks = 0  # those of backward() and of gradients()
        self.useless_backwards: list[Line | None] = []
        self.backward_line: Line | None = None
        self.loss_line: Line | None = None
        self.step_line: Line | None = None
        self.stale: dict[int, int] = defaultdict(int)
        self.stale_line: Line | None = None
        self.empty_steps = 0
        self.zeroed_between = 0
        self.zeroed_line: Line | None = None
        self.got_gradient: dict[int, Tensor] = {}
        self.norm_of_one: tuple[Module, tuple[int, ...], Line | None] | None = None
        self.sums: dict[int, Accumulated] = {}
        self.worst_sum: Accumulated | None = None
        self.living_losses: list[Tensor] = []
        self.close = True
        self.draws = False
        self.second_order = False
        self.truncated = False
        self.modes_at_steps: list[tuple[int, bool]] = []
        self._contaminated: set[int] = set()
        self._stepped: set[int] = set()
        self._fresh = False
        self._finished = False
        self._print: dict[int, tuple[Tensor, float]] = {}
        self._stack: list[Module] = []
        self._call: Call | None = None
        self._patches: list[tuple[Any, str, Any]] = []
        self._thread = 0
        self._turning = threading.Lock()
        self._made = 0
        self._started = 0.0
        self._closed_at = 0.0
        self._loss_nodes: dict[int, tuple[Any, int]] = {}
        self.initial: dict[int, np.ndarray] = {}

    # -- in place --------------------------------------------------------------------------------------------------------

    def __enter__(self) -> "Observer":
        self._thread = threading.get_ident()
        self._started = time.process_time()
        self._before = engine.watch()
        engine.watch(*self._before, self)
        self._wrap(Module, "__call__", self._module_call, self._turn_to)
        self._wrap(Tensor, "backward", self._backward)
        self._wrap(Tensor, "zero_grad", self._tensor_zero_grad)
        self._wrap(Optimizer, "__init__", self._optimizer_made)
        self._wrap(Optimizer, "step", self._step)
        self._wrap(Optimizer, "zero_grad", self._optimizer_zero_grad)
        self._wrap(DataLoader, "__init__", self._loader_made)
        self._wrap(DataLoader, "__iter__", self._iterate)
        self._wrap_function(effects.draw, self._draw)
        self._wrap_function(engine._walk, self._walk)
        for name in LOSSES:
            self._wrap_function(getattr(losses, name), functools.partial(self._loss_call, name))
        self._wrap_function(optimizers.clip_grad_norm, functools.partial(self._clip, "norm"))
        self._wrap_function(optimizers.clip_grad_value, functools.partial(self._clip, "value"))
        self._wrap_function(nn.accuracy, self._accuracy)
        return self

    def __exit__(self, *error: object) -> None:
        for owner, name, original in reversed(self._patches):
            setattr(owner, name, original)
        self._patches.clear()
        engine.watch(*self._before)
        self._thread = 0
        for call in self.round.calls:
            call.settle()

    def _mine(self) -> bool:
        return threading.get_ident() == self._thread and not effects.is_traced()

    @property
    def follows_this_thread(self) -> bool:
        """Whether the calling thread is the one that is followed."""
        return threading.get_ident() == self._thread

    def _turn_to(self, module: Module) -> None:
        """Follow this thread from here on, where it may be the one that trains."""
        with self._turning:
            if self.stops and self._thread and not self.backwards and not self._stack and module.training and engine._state.recording:
                self._thread = threading.get_ident()
                engine.watch(*[watcher for watcher in engine.watch() if watcher is not self], self)

    def _wrap(self, owner: Any, name: str, wrapper: Callable[..., Any], elsewhere: Callable[..., None] | None = None) -> None:
        original = vars(owner)[name]

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if elsewhere is not None and not self.follows_this_thread:
                elsewhere(args[0])
            return wrapper(original, *args, **kwargs) if self._mine() else original(*args, **kwargs)

        self._patches.append((owner, name, original))
        setattr(owner, name, wrapped)

    def _wrap_function(self, original: Any, wrapper: Callable[..., Any]) -> None:
        """A function, wherever a module of this package holds it."""

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs) if self._mine() else original(*args, **kwargs)

        for module_name, module in list(sys.modules.items()):
            if module_name.partition(".")[0] == "micrograd_plus" and not module_name.startswith(__package__):
                for name, value in list(vars(module).items()):
                    if value is original:
                        self._patches.append((module, name, original))
                        setattr(module, name, wrapped)

    # -- a watcher -------------------------------------------------------------------------------------------------------

    def made(self, out: Tensor, rule: Rule | None, inputs: Any, options: Any, pullbacks: Any) -> None:
        """See `tensor.Watcher`."""
        if not self.follows_this_thread:
            return
        self._made += 1
        if self._made % 1000 == 0:
            self._check_patience()
        if not self.close:
            if rule is rules.add and out._requires_grad:
                self._follow_sum(out, inputs, None)
            return
        if rule is None:
            if out._requires_grad:
                out._line = user_line()
            else:
                if self._finished:
                    self._begin()
                out._line = user_line()
                self.round.constants.append((len(self.round.operations), out))
            return
        if self._call is not None and self._call.layer_input is not None and rule in (rules.take_rows, rules.getitem):
            self._note_look_up(self._call, inputs[1] if rule is rules.take_rows else options.get("index"))
        if not out._requires_grad:
            if engine._state.recording and not self._finished and len(self.round.untracked) < KEPT_UNTRACKED:
                operation = Operation(out, rule, inputs, options, 0, user_line(), None)
                self.round.untracked.append((len(self.round.operations), operation))
            return
        if self._finished or (self.round.losses and not self.optimizers and self._moved_by_hand()):
            self._begin()
        line = user_line()
        node, operations = out._node, self.round.operations
        index = node.index if isinstance(node, Part) else 0
        operations.append(Operation(out, rule, inputs, options, index, line, self._stack[-1] if self._stack else None))
        for x in inputs:
            if isinstance(x, Tensor) and x._requires_grad and x._node is None:
                self.round.leaves[id(x)] = x
                if id(x) not in self.initial:
                    self.initial[id(x)] = x._data.copy()
        if rule is rules.add:
            self._follow_sum(out, inputs, line)

    def pulling(self, node: Any, g: Any, edges: Any, pullbacks: Any) -> Any:
        """See `tensor.Watcher`."""
        return pullbacks

    def _follow_sum(self, out: Tensor, inputs: Any, line: Line | None) -> None:
        """Note sums to which losses of different batches, or other numbers that several forward passes made, are added."""
        if out.size != 1:
            return
        calls = len(self.calls)
        sides = [x for x in inputs if isinstance(x, Tensor) and x._requires_grad]
        known = [self.sums[id(x._node)] for x in sides if id(x._node) in self.sums and self.sums[id(x._node)].node() is x._node]
        fresh = [x for x in sides if self._is_loss(x)]
        if calls and len(sides) == 1 and not known:  # total = 0.0 before
            other = [_raw(x) for x in inputs if x is not sides[0]]
            if other and np.size(other[0]) == 1 and not np.any(other[0]):
                self._note_sum(out, 1, line)
        elif known and (fresh or calls > known[0].calls):
            self._note_sum(out, known[0].count + 1, line)
        elif len(fresh) == 2:
            numbers = {self._loss_nodes[id(x._node)][1] for x in fresh}
            if len(numbers) == 2:
                self._note_sum(out, 2, line)

    def _note_sum(self, out: Tensor, count: int, line: Line | None) -> None:
        self.sums[id(out._node)] = Accumulated(count, line or user_line(), weakref.ref(out._node), len(self.calls))

    def _is_loss(self, x: Tensor) -> bool:
        noted = self._loss_nodes.get(id(x._node))
        return noted is not None and noted[0]() is x._node

    def _note_loss(self, node: Any) -> None:
        self._loss_nodes[id(node)] = (weakref.ref(node), len(self.calls))

    # -- rounds ----------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """The round before is over."""
        done = self.round
        if not done.stepped:
            done.by_hand = True
        for call in done.calls:
            call.settle()
        self._finished = False
        self.rounds.append(done)
        first = next((r for r in self.rounds if r.key == done.key), done)
        same = [r for r in self.rounds if r.key == done.key]
        for old in same[:-KEPT_ROUNDS]:
            if old is not first:
                old.lighten()
        self.round = Round(len(self.rounds))

    def _moved_by_hand(self) -> bool:
        """Whether the script changed a parameter itself since the last backward()."""
        moved = any(float(p._data.sum(dtype=np.float64)) != total for p, total in self._print.values())
        if moved:
            self._stepped |= set(self._print)
            self.steps += 1
            self.round.by_hand = True
            self._record_values()
            self._print = {}
            self._check_time()
        return moved

    def _check_time(self) -> None:
        used = time.process_time() - self._started
        if self.close and (len(self.rounds) >= self.limit or used > self.seconds or (self.bad is not None and self.steps > 2)):
            self.look_around()
            self.close = False
            self._closed_at = time.process_time()
            if self.bad is not None and self.stops:
                raise Enough
        if not self.close:
            spent = time.process_time() - self._closed_at
            if spent > self.further / 2:
                self.truncated = True
            if self.stops and spent > self.further:
                raise Enough

    def _check_patience(self) -> None:
        """End a script that computes and computes, and never comes to a step."""
        if self.stops and not self.steps and time.process_time() - self._started > self.patience:
            self.look_around()
            raise Enough

    def _record_values(self) -> None:
        round_ = self.round
        self.values[round_.key].append(round_.loss)

    # -- modules ---------------------------------------------------------------------------------------------------------

    def _module_call(self, original: Any, module: Module, *args: Any, **kwargs: Any) -> Any:
        if isinstance(module, Loss):
            return original(module, *args, **kwargs)
        outermost = not self._stack
        if outermost:
            self._check_finished_call(module, args, kwargs)
        elif self._call is not None and self._call.layer is None and _own_parameters(module):
            given = args[0] if args else None
            if given is None or not (isinstance(given, Tensor) and given._requires_grad):
                self._call.layer, self._call.layer_input = module, _array_of(given)
        if outermost and self._call is not None and _own_parameters(module) and self._call.layer is None:
            self._call.layer, self._call.layer_input = module, self._call.array
        if isinstance(module, ChannelNorm) and args and module.training:
            shape = np.shape(args[0])
            if len(shape) >= 2 and (math.prod(shape) // max(shape[1], 1) == 1 or (shape[0] == 1 and type(module).__name__ == "BatchNorm")):
                self.norm_of_one = self.norm_of_one or (module, shape, user_line())
        if self.close:
            recording, _ = self.called.get(id(module), (False, None))
            self.called[id(module)] = (recording or engine._state.recording, user_line())
        self._stack.append(module)
        try:
            out = original(module, *args, **kwargs)
        finally:
            self._stack.pop()
            if outermost:
                call, self._call = self._call, None
        if outermost and call is not None:
            self._note_output(call, out)
        return out

    def _check_finished_call(self, module: Module, args: Any, kwargs: Any) -> None:
        if (self._finished and self.close) or (self.close and self.round.losses and not self.optimizers and self._moved_by_hand()):
            self._begin()
        self.models.setdefault(id(module), module)
        given = args[0] if args else next(iter(kwargs.values()), None)
        call = Call(module, _array_of(given), self.steps, engine._state.recording, user_line())
        if self.close and not self.rounds and not kwargs and len(args) == 1:
            call.given_input = given
        call.given = not (isinstance(given, Tensor) and given._requires_grad)
        if not call.given:
            self.partly.add(id(module))
        if call.array is not None and call.array.dtype.kind == "f":
            call.not_finite = not math.isfinite(float(call.array.sum(dtype=np.float64)))
        self.held_inputs += 0 if call.array is None else call.array.size
        if self.held_inputs > HELD_INPUTS and not call.not_finite:
            call.array = None
        self.calls.append(call)
        self.round.calls.append(call)
        self._call = call
        if len(self.calls) > 4000:
            self.calls[2000:2001] = []

    def _note_look_up(self, call: Call, positions: Any) -> None:
        """Inputs by which rows of a table are chosen are no features."""
        positions, given = np.asarray(_raw(positions)) if not isinstance(positions, tuple) else None, np.asarray(call.layer_input)
        if positions is None or positions.dtype.kind not in "iu" or not positions.ndim or not positions.size:
            return
        if np.array_equal(given, np.round(given)) and np.isin(positions, given).all():
            call.layer_input = None

    def _note_output(self, call: Call, out: Any) -> None:
        first = out[0] if isinstance(out, tuple) and out else out
        if isinstance(first, Tensor):
            node = first._node
            call.node = node.whole if isinstance(node, Part) else node
            call.output = first
            call.output_shape = first.shape
        if call.layer_input is not None and self.kept_inputs < KEPT_INPUTS and self.close:
            array = np.asarray(call.layer_input)
            self.kept_inputs += array.size
            self.layer_inputs[id(call.layer)].append(array)
        call.layer_input = None

    # -- losses ----------------------------------------------------------------------------------------------------------

    def _loss_call(self, name: str, original: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            bound = inspect.signature(original).bind(*args, **kwargs)
        except TypeError:
            return original(*args, **kwargs)  # which says what it needs
        bound.apply_defaults()
        predictions, targets, *_ = bound.arguments.values()
        options = dict(list(bound.arguments.items())[2:])
        line = user_line()
        call = LossCall(name, predictions, targets, options, None, line)
        recorded = engine._state.recording
        if not recorded:
            for root_call in self.round.calls[-4:]:
                root_call.in_loss = True
        if recorded and self.close:
            self.round.loss_calls.append(call)
        if recorded:
            self.last_loss = call
        if recorded and len(self.first_losses) < 4:
            self.first_losses.append(call)
        out = original(*args, **kwargs)
        if recorded and isinstance(out, Tensor):
            done = call._replace(out=out)
            if not hasattr(out, "_line"):
                out._line = line
            if self.close:
                self.round.loss_calls[-1] = done
            if self.first_losses and self.first_losses[-1] is call:
                self.first_losses[-1] = done
            self.last_loss = done
            if self.bad_loss is None and not np.isfinite(out._data).all():
                self.bad_loss = done
            if out._node is not None and out.size == 1:
                self._note_loss(out._node)
            if call.kind in ("classes", "binary") and len(self.labels) < KEPT_LABELS:
                self._note_labels(call)
        return out

    def _note_labels(self, call: LossCall) -> None:
        array = np.asarray(_raw(call.targets))
        if array.ndim > 1 and (call.kind == "classes" or array.size != len(array)):
            return
        values = whole = array.reshape(-1)
        while isinstance(whole.base, np.ndarray):
            whole = whole.base
        if whole.size != len(whole) or whole.dtype != array.dtype:
            whole = values
        calls = [c for c in self.round.calls if c.array is not None]
        one = bool(calls) and len(calls[-1].array) == len(values)
        weighted = call.options.get("weight") is not None or call.options.get("pos_weight") is not None
        self.labels.append(Labels(values.copy(), whole.reshape(-1), one, weighted, call.line, self.steps, call.kind))

    def _accuracy(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        for call in self.round.calls[-2:]:
            call.in_loss = True
        return original(*args, **kwargs)

    # -- backward and step -----------------------------------------------------------------------------------------------

    def _known_parameters(self) -> dict[int, Tensor]:
        known = dict(self.round.leaves)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                known.update({id(p): p for p in group["params"]})
        return known

    def _backward(self, original: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        line = user_line()
        self.backward_line = line
        if not tensor._requires_grad:
            self.useless_backwards.append(line)
            return original(tensor, *args, **kwargs)
        node = tensor._node
        if node is not None and tensor.size == 1:
            self._note_loss(node)
        self._forget_sums(node)
        self.backwards += 1
        value = float(tensor._data.reshape(-1)[0]) if tensor.size == 1 else math.nan
        if self.close:
            if self._finished:
                self._begin()
            for key, p in self._known_parameters().items():
                if key in self._stepped and p._grad is not None and p._grad.any():
                    self._contaminated.add(key)
                    self.stale_line = line
                else:
                    self._contaminated.discard(key)
                    self._stepped.discard(key)
            self.round.losses.append(tensor)
            if not math.isfinite(value) and tensor.size == 1 and self.bad is None:
                self.bad = self.round
        self.round.values.append(value)
        if kwargs.get("retain_graph") or len(args) > 1:  # nothing will be freed, so nothing else tells what was used
            for call in self.round.calls:
                call.used = call.used or call.recording
        original(tensor, *args, **kwargs)
        self._fresh = True
        if self.close:
            for key, p in self._known_parameters().items():
                if p._grad is not None:
                    self.got_gradient[key] = p
                    self.round.gradients[key] = p._grad
            if not self.optimizers:
                self._print = {key: (p, float(p._data.sum(dtype=np.float64))) for key, p in self.round.leaves.items()}
                for key in self._contaminated:
                    self.stale[key] += 1
                if self.bad is None and not _finite(self.round.gradients.values()):
                    self.bad = self.round
        elif not math.isfinite(value) and tensor.size == 1 and self.bad is None:
            self.bad = self.round
        return None

    def _forget_sums(self, node: Any) -> None:
        """Sums that are differentiated are what they should be."""
        pending = [node]
        while pending:
            current = pending.pop()
            if id(current) in self.sums and self.sums[id(current)].node() is current:
                del self.sums[id(current)]
                pending.extend(
                    edge for edge in (current.inputs or ()) if edge is not None and not isinstance(edge, (int, float, np.ndarray))
                )

    def _tensor_zero_grad(self, original: Any, tensor: Tensor) -> None:
        if self._fresh and tensor._grad is not None and id(tensor) not in self._stepped:
            self.zeroed_line = user_line()
        original(tensor)

    def _optimizer_zero_grad(self, original: Any, optimizer: Optimizer) -> None:
        original(optimizer)

    def _optimizer_made(self, original: Any, optimizer: Optimizer, params: Any, *args: Any, **kwargs: Any) -> None:
        params = list(params) if not isinstance(params, (Tensor, dict)) and hasattr(params, "__iter__") else params
        if isinstance(params, list):
            params = [
                {**entry, "params": list(entry["params"]) if not isinstance(entry["params"], Tensor) else entry["params"]}
                if isinstance(entry, dict) and "params" in entry
                else entry
                for entry in params
            ]
        flat: list[Any] = []
        for entry in params if isinstance(params, list) else [params]:
            given = entry.get("params", ()) if isinstance(entry, dict) else entry
            flat.extend(given if isinstance(given, (list, tuple)) else [given])
        self.made_with.append((optimizer, flat, user_line()))
        original(optimizer, params, *args, **kwargs)
        self.optimizers[id(optimizer)] = optimizer

    def _step(self, original: Any, optimizer: Optimizer) -> None:
        self.optimizers.setdefault(id(optimizer), optimizer)
        self.step_line = user_line()
        params = [p for group in optimizer.param_groups for p in group["params"]]
        if self.close:
            round_ = self.round
            if not round_.before:
                round_.before = {key: p._data.copy() for key, p in self._known_parameters().items()}
            with_gradient = [p for p in params if p._grad is not None]
            if not with_gradient:
                self.empty_steps += 1
                if self._fresh and self.zeroed_line is not None:
                    self.zeroed_between += 1
            for p in with_gradient:
                if id(p) in self._contaminated:
                    self.stale[id(p)] += 1
            round_.gradients.update({id(p): p._grad for p in with_gradient})
            if self.bad is None and not _finite(round_.gradients.values()):
                self.bad = round_
            self._stepped |= {id(p) for p in params}
            round_.stepped.append(optimizer)
            round_.lrs[id(optimizer)] = max(float(group["lr"]) for group in optimizer.param_groups)
            if not self._finished and round_.operations:
                self._note_activity(round_)
                self._record_values()
        else:
            if self.round.values:
                self.values[(id(optimizer),)].append(self.round.loss)
            self.got_gradient.update({id(p): p for p in params if p._grad is not None})
        self.step_order.append(id(optimizer))
        self.optimizer_steps[id(optimizer)] += 1
        if not self._finished or not self.close:
            self.steps += 1
        for call in self.round.calls:
            if call.node is not None and not self.close:
                call.settle()
        original(optimizer)
        self._fresh = False
        self.zeroed_line = None
        if self.close:
            self._finished = True
        else:
            self.round = Round(self.steps)
        self._check_time()

    def _note_activity(self, round_: Round) -> None:
        """Which units of each ReLU are positive for some example of the round."""
        counts: dict[Any, int] = defaultdict(int)
        for operation in round_.operations:
            if operation.rule is rules.relu:
                place = (id(operation.module), operation.line.number if operation.line else 0)
                site = (*place, counts[place])
                counts[place] += 1
                values = operation.out._data
                if values.ndim >= 2:
                    axis = 1 if values.ndim == 4 else values.ndim - 1
                    round_.active[site] = np.asarray((values > 0).any(axis=tuple(i for i in range(values.ndim) if i != axis)))

    def _draw(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        self.draws = self.draws or bool(self._stack)  # by a model, not by a loader
        return original(*args, **kwargs)

    def _clip(self, kind: str, original: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        self.round.clipped = (kind, float(args[1] if len(args) > 1 else next(value for name, value in kwargs.items() if name != "params")))
        return result

    def _walk(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        self.second_order = self.second_order or bool(kwargs.get("replay"))
        self.walks += 1
        return original(*args, **kwargs)

    # -- data ------------------------------------------------------------------------------------------------------------

    def _loader_made(self, original: Any, loader: DataLoader, *args: Any, **kwargs: Any) -> None:
        original(loader, *args, **kwargs)
        self.loaders[id(loader)] = loader

    def _iterate(self, original: Any, loader: DataLoader) -> Iterator[Any]:
        self.loaders.setdefault(id(loader), loader)
        return self._batches(original, loader)

    def _batches(self, original: Any, loader: DataLoader) -> Iterator[Any]:
        for i, batch in enumerate(original(loader)):
            if i >= 2 and self.truncated and self.stops:
                return  # the rest of the epoch would show nothing new; what comes after it may
            before = self.steps
            yield batch
            if self.steps > before:
                self.trained_loaders[id(loader)] += 1

    # -- the script's names ----------------------------------------------------------------------------------------------

    def look_around(self, frames: list[Any] | None = None) -> None:
        """Note under which names the script knows its models, optimizers and arrays."""
        if frames is None:
            frames, frame = [], sys._getframe(1)
            while frame is not None:
                if is_users(frame.f_code.co_filename):
                    frames.append(frame)
                frame = frame.f_back  # type: ignore[assignment]
        for frame in frames:
            self.note_names(frame.f_locals)
            self.note_names(frame.f_globals)

    def note_names(self, namespace: dict[str, Any]) -> None:
        """Note the names of a namespace."""
        for name, value in list(namespace.items()):
            if name.startswith("_"):
                continue
            if isinstance(value, (Module, Optimizer, Tensor, DataLoader)):
                self.names.setdefault(id(value), name)
            if isinstance(value, Tensor):
                self.arrays.setdefault(name, value._data)
            elif isinstance(value, np.ndarray):
                self.arrays.setdefault(name, value)
            elif isinstance(value, DataLoader):
                self.arrays.setdefault(name, value.X)

    # -- afterwards ------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """The last round is over too."""
        if self.close and (self._finished or self.round.losses):
            if not self.round.stepped and self._moved_by_hand_quietly():
                self.round.by_hand = True
            self._begin()
        held = {id(operation.out) for round_ in self.rounds for operation in round_.operations}
        held |= {id(operation.out) for operation in self.round.operations}
        for reference, _ in self._loss_nodes.values():
            node = reference()
            tensor = None if node is None or node.inputs is None or isinstance(node, Part) else node.output()
            if tensor is not None and id(tensor) not in held:
                self.living_losses.append(tensor)
        live = [note for note in self.sums.values() if note.count >= 3]
        self.worst_sum = max(live, key=lambda note: note.count, default=None)

    def _moved_by_hand_quietly(self) -> bool:
        with contextlib.suppress(Enough):
            return self._moved_by_hand()
        return True

    @property
    def roots(self) -> list[Module]:
        """The models: Modules that were called by the script and are part of no other that was."""
        inside = {id(part) for root in self.models.values() for _, part in root.named_modules() if part is not root}
        return [root for key, root in self.models.items() if key not in inside]

    def name_of(self, root: Module) -> str:
        return self.names.get(id(root), type(root).__name__)

    def parameter_names(self) -> dict[int, str]:
        """Names of parameters, with the model's in front where there are several."""
        names: dict[int, str] = {}
        for root in self.roots:
            for name, p in root.named_parameters():
                names.setdefault(id(p), f"{self.name_of(root)}.{name}")
        return names


def _own_parameters(module: Module) -> bool:
    return any(isinstance(value, Tensor) and value._requires_grad for value in vars(module).values())


def _raw(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x


def _array_of(x: Any) -> Any:
    array = _raw(x)
    if isinstance(array, (list, tuple)):
        try:
            array = np.asarray(array)
        except ValueError:
            return None
    return array if isinstance(array, np.ndarray) and array.dtype.kind in "fiub" else None


def _finite(arrays: Any) -> bool:
    return all(math.isfinite(float(np.sum(array, dtype=np.float64))) or bool(np.isfinite(array).all()) for array in arrays)
