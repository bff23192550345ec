"""Tried out on copies: learning rates from far lower to far higher, and whether one batch can be learnt by heart."""

import copy
import math
import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ... import effects, losses, rules
from ...layers import Module
from ...optimizers import Optimizer
from ...tensor import Tensor
from ..findings import Finding
from .catalogue import found
from .losses import VIEWS, _values
from .network import PRODUCTS, first_rounds
from .observation import Observer
from .records import Call, LossCall, Round
from .replay import Replay, adam, copy_of, descend

RANGE_STEPS = 20  # of each learning rate
RANGE_SECONDS = 0.25  # for each learning rate
FEW_STEPS = 8  # fewer say nothing
JUMPED = 3.0  # times the first loss, or more, along the way
LOWERED = 0.9  # of the first loss, that a good learning rate reaches
LITTLE_LOWER = 0.6  # of the first loss, where it has jumped in between
STILL = 0.97  # of the first loss, or more, is what a learning rate that is too low ends with
SLOW_UPDATE = 1e-4  # of a weight's size, in a step; 1e-3 is usual
LONG_WARMUP = 2000  # steps until a learning rate that is rising would be of use
MUCH_LOWER = 0.8  # of the first loss, that a higher learning rate reaches in as many steps
LARGE_TARGETS = 30.0  # root mean square
FAR_FROM_ANY = 1.5  # times the loss of the best constant answer, which any output bias comes to in time
FADED = 1e-3  # of its highest value, where a schedule has brought the learning rate early

OVERFIT_STEPS = 150
OVERFIT_SECONDS = 0.6
LEARNT = 0.9  # of what the best constant answer would have as its loss; a batch that is learnt comes far below
HARDLY_LEARNT = 0.8  # the same, where the script's own loss is no better than that of a constant answer
STRAIGHT = 0.25  # the same, of a model that is one linear map though it has several layers
NOISE = "the noise drowns what is to be learnt"


def check_rates(o: Observer) -> Iterator[Finding]:
    """Findings MG406 to MG408."""
    if not o.rounds:
        return
    trained = [round_ for round_ in first_rounds(o) if round_.number <= len(first_rounds(o)) + 1]
    alone = len({key for key in o.values if key}) <= 1
    fitted = None
    for round_ in trained[:1]:
        high, low = (None, None) if not alone else _range(o, round_)
        if high is not None:
            yield high
            return
        if low is not None:
            yield low
            return
        if alone:
            fitted = _overfit(o, round_)
            if fitted is not None:
                yield fitted


# -- learning rates ------------------------------------------------------------------------------------------------------


def _range(o: Observer, round_: Round) -> tuple[Finding | None, Finding | None]:
    """A finding if the learning rate is too high, and one if it is too low."""
    if not round_.stepped:
        return None, None
    optimizer = round_.stepped[0]
    lrs = [r.lrs[id(optimizer)] for r in o.rounds if id(optimizer) in r.lrs]
    values = o.values.get(round_.key, [])
    diverged = o.bad is not None and o.bad.number > 0
    if not lrs or (len(values) < FEW_STEPS and not diverged):
        return None, None
    lr = max(lrs)
    first, last = values[0], _typical(values[-max(len(values) // 4, 3) :])
    peak = max((v for v in values if math.isfinite(v)), default=math.inf)
    stands = LOWERED if peak <= JUMPED * first else LITTLE_LOWER
    rose = not math.isfinite(last) or not math.isfinite(values[-1]) or last > stands * first
    faded = sum(rate < FADED * lr for rate in lrs) >= len(lrs) / 4
    fell = math.isfinite(last) and last < STILL * _typical(values[:5])
    if not rose and not faded and fell:
        return None, None
    replay = Replay(round_)
    clipped = round_.clipped

    def tried(factor: float) -> list[float]:
        return replay.descend(lambda parameters: copy_of(optimizer, parameters, factor, lr), RANGE_STEPS, RANGE_SECONDS, clipped)

    if rose and first > 0:
        own = tried(1.0)
        jumped = (
            not math.isfinite(own[-1])
            or max(own) > JUMPED * own[0]
            or not math.isfinite(last)
            or last > JUMPED * first
            or peak > JUMPED * first
        )
        if jumped and math.isfinite(own[0]):
            lower = {factor: tried(factor) for factor in [0.1**i for i in range(1, 7)]}
            good = {
                factor: run
                for factor, run in lower.items()
                if math.isfinite(run[-1]) and run[-1] < LOWERED * run[0] and max(run) < JUMPED * run[0]
            }
            if good:
                factor = min(good, key=lambda f: good[f][-1])
                own_end = own[-1] if math.isfinite(own[-1]) else math.inf
                seen = (
                    f"At lr={lr:g} the loss went from {first:.3g} to {last:.3g} in {len(values)} steps (highest {peak:.3g}). "
                    f"{len(own) - 1} steps on one batch, tried on copies: {own[0]:.3g} to {own_end:.3g} at lr={lr:g}, "
                    f"to {good[factor][-1]:.3g} at lr={lr * factor:g}."
                )
                if own_end > good[factor][-1]:
                    cure = f"{o.names.get(id(optimizer), 'optimizer')}.lr = {lr * factor:g}"
                    targets = _large_targets(round_)
                    if targets is not None:
                        seen += f" The targets go from {targets.min():.4g} to {targets.max():.4g}, and gradients are as large as they are."
                        cure = f"y = (y - y.mean()) / y.std()  # and back in what is predicted; or {cure}"
                    return found("MG407", seen, cure, _made_at(o, optimizer)), None
    if faded:
        worst = lrs[-1]
        seen = f"The learning rate fell from {lr:g} to {worst:.2g} within {len(lrs)} steps; the loss stands at {last:.3g}."
        late = next((r for r in reversed(o.rounds) if r.key == round_.key and r.operations and r.losses), None)
        if late is not None and first > 0 and last > 0.02 * first:
            return None, found("MG408", seen, "scheduler.step()  # after an epoch, not after a batch", o.step_line)
    if not fell and math.isfinite(last):
        far = _far_targets(o, round_, lr, first, last, len(values))
        if far is not None:
            return None, far
    if not fell and first > 0:
        moved = _moved(o, round_, len(lrs))
        own = tried(1.0)
        rise = (lrs[-1] - lrs[0]) / len(lrs) if lrs[-1] == lr else 0.0  # per step, of a warm-up
        if moved < SLOW_UPDATE and math.isfinite(own[-1]) and own[-1] > STILL * own[0]:
            higher = {factor: tried(factor) for factor in [10.0**i for i in range(1, 8)]}
            good = {
                f: run
                for f, run in higher.items()
                if math.isfinite(run[-1]) and run[-1] < MUCH_LOWER * run[0] and max(run) < JUMPED * run[0]
            }
            if good and not (rise > 0 and min(good) * lr / rise < LONG_WARMUP):
                factor = min(good, key=lambda f: good[f][-1])
                seen = (
                    f"At lr={lr:g} the loss went from {first:.4g} to {last:.4g} in {len(values)} steps; a step changes the weights by "
                    f"{moved:.1g} of their size. {len(own) - 1} steps on one batch, tried on copies: {own[0]:.3g} to {own[-1]:.3g} "
                    f"at lr={lr:g}, to {good[factor][-1]:.3g} at lr={lr * factor:g}."
                )
                return None, found("MG408", seen, f"{o.names.get(id(optimizer), 'optimizer')}.lr = {lr * factor:g}", _made_at(o, optimizer))
    return None, None


def _large_targets(round_: Round) -> np.ndarray | None:
    """The targets of a regression, where they are far larger than what a new network gives."""
    for call in round_.loss_calls:
        targets = _values(call.targets)
        if call.kind == "regression" and targets.size and float(np.square(targets, dtype=np.float64).mean()) > LARGE_TARGETS**2:
            return targets
    return None


def _far_targets(o: Observer, round_: Round, lr: float, first: float, last: float, steps: int) -> Finding | None:
    """A finding if targets are so large that steps of this size don't come near them."""
    targets, call = _large_targets(round_), round_.loss_calls[0] if len(round_.loss_calls) == 1 else None
    baseline = None if call is None else _constant_answer(call)
    if targets is None or call is None or baseline is None or last < FAR_FROM_ANY * baseline:
        return None
    predictions = _values(call.predictions)
    seen = (
        f"The targets go from {targets.min():.4g} to {targets.max():.4g}, the first predictions from {predictions.min():.3g} to "
        f"{predictions.max():.3g}. At lr={lr:g} the loss went from {first:.4g} to {last:.4g} in {steps} steps; "
        f"always giving the same best answer has {baseline:.3g}."
    )
    why = "A step changes what the network gives by some times the learning rate, and such targets are thousands of steps away."
    cure = "y = (y - y.mean()) / y.std()  # and back in what is predicted"
    return found("MG408", seen, cure, call.line, why=why, title="The learning rate is too low for such targets")


def _typical(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return statistics.median(finite) if finite and len(finite) == len(values) else math.nan if not finite else statistics.median(values)


def _moved(o: Observer, round_: Round, steps: int) -> float:
    """By what share of their size the parameters moved in a step, on average."""
    moved = size = 0.0
    for key, p in round_.leaves.items():
        if key in o.initial and key in round_.gradients:
            moved += float(np.square(p.data.astype(np.float64) - o.initial[key]).sum())
            size += float(np.square(o.initial[key], dtype=np.float64).sum())
    return math.sqrt(moved / size) / max(o.steps, steps, 1) if size else math.inf


def _made_at(o: Observer, optimizer: Optimizer) -> Any:
    return next((line for made, _, line in o.made_with if made is optimizer), None)


# -- one batch -----------------------------------------------------------------------------------------------------------


class Direct(NamedTuple):
    """A round in which a loss was taken of a model's own output."""

    call: Call
    loss: LossCall


def _overfit(o: Observer, round_: Round) -> Finding | None:
    """A finding if one batch can't be learnt by heart."""
    loss_call = round_.loss_calls[0] if len(round_.loss_calls) == 1 else None
    if loss_call is None or not round_.losses:
        return None
    baseline = _constant_answer(loss_call)
    if baseline is None or baseline <= 1e-6:
        return None
    lr = max(round_.lrs.values(), default=0.01)
    rates = [0.01] if lr < 1e-3 else [min(lr, 0.01), 0.01]
    replay = Replay(round_)
    runs = [replay.descend(lambda p, rate=rate: adam(p, rate), OVERFIT_STEPS, OVERFIT_SECONDS) for rate in dict.fromkeys(rates)]  # type: ignore[misc]
    done = max(len(run) for run in runs) - 1
    best = min((value for run in runs for value in run if math.isfinite(value)), default=math.inf)
    if done < OVERFIT_STEPS / 2:
        return None
    values = o.values.get(round_.key, [])
    stands = _typical(values[-5:]) if values else math.nan
    learnt = (LEARNT if stands < STILL * baseline else HARDLY_LEARNT) * baseline
    reached, fixed = best, True
    straight = best > STRAIGHT * baseline and _is_linear(round_, loss_call)
    if best < learnt and not straight:  # with random numbers that are drawn anew in each step, too?
        drawn = _with_new_draws(o, round_, loss_call, rates[-1])
        if drawn is None or drawn < LEARNT * baseline:
            return None
        reached, fixed = drawn, False
    if stands < LEARNT * baseline and not straight:
        return None
    if best > FAR_FROM_ANY * baseline and _large_targets(round_) is not None:  # so many steps don't bring the output's bias there
        return None
    line = loss_call.line
    size = len(_values(loss_call.targets))
    seen = (
        f"After {done} steps of Adam on one batch of {size}, on copies, the loss is {reached:.3g}; "
        f"always giving the same best answer has {baseline:.3g}."
    )
    if straight:
        seen += " All layers are linear: without a nonlinearity between them they are one linear map, however many there are."
    if not fixed:
        seen += f" With the random numbers of one step kept, it comes down to {best:.3g}: {NOISE}."
        return found("MG406", seen, "Dropout(0.2)  # less noise", line)
    return found(
        "MG406", seen, "Sequential(Linear(n, 64), ReLU(), Linear(64, C))  # a nonlinearity between layers, outputs of the right range", line
    )


def _is_linear(round_: Round, loss_call: LossCall) -> bool:
    """Whether several weights, and nothing else, lead from the inputs to what the loss is given."""
    made = {id(operation.out): operation for operation in round_.operations}
    pending, weights, seen = [loss_call.predictions], 0, set()
    while pending:
        operation = made.get(id(pending.pop()))
        if operation is None or id(operation.out) in seen:
            continue
        seen.add(id(operation.out))
        if operation.rule not in PRODUCTS | VIEWS | {rules.add}:
            return False
        products = [x for x in operation.inputs if isinstance(x, Tensor) and x.requires_grad and not x.is_leaf]
        if operation.rule in PRODUCTS and len(products) > 1:
            return False
        weights += operation.rule in PRODUCTS
        pending += products
    given = round_.calls[0].array if round_.calls else None
    return weights > 1 and (given is None or np.shape(loss_call.targets) != given.shape)


def _constant_answer(call: LossCall) -> float | None:
    """The loss of the best answer that is the same for every example; None where there is no telling."""
    targets = _values(call.targets)
    if call.options.get("reduction") != "mean" or call.options.get("weight") is not None or len(targets) < 4:
        return None
    if call.name in ("cross_entropy", "nll_loss") and not call.options.get("label_smoothing"):
        if targets.ndim != 1:
            return None
        counted = targets[targets != call.options.get("ignore_index", -100)]
        shares = np.unique(counted, return_counts=True)[1] / max(len(counted), 1)
        return float(-(shares * np.log(shares)).sum())
    if call.name in ("binary_cross_entropy", "binary_cross_entropy_with_logits") and call.options.get("pos_weight") is None:
        if not np.isin(targets, (0, 1)).all():
            return None
        means = np.clip(targets.reshape(len(targets), -1).mean(axis=0, dtype=np.float64), 1e-9, 1 - 1e-9)
        return float(-(means * np.log(means) + (1 - means) * np.log(1 - means)).mean())
    if isinstance(call.targets, Tensor) and call.targets._requires_grad:
        return None
    if call.name == "mse_loss":
        return float(targets.astype(np.float64).var(axis=0).mean())
    if call.name == "l1_loss":
        return float(np.abs(targets - np.median(targets, axis=0)).mean())
    return None


def _with_new_draws(o: Observer, round_: Round, loss_call: LossCall, lr: float) -> float | None:
    """The loss that Adam reaches on a copy of the model itself, which draws its random numbers anew; None where nothing random is drawn."""
    calls = [call for call in round_.calls if call.used and call.array is not None]
    if len(calls) != 1 or not o.draws:
        return None
    call = calls[0]
    root = call.root
    if np.shape(loss_call.predictions) != call.output_shape:
        return None
    twin = copied_with_values(root, round_).train(call.training)
    function = getattr(losses, loss_call.name)
    state = copy.deepcopy(effects.default_generator().bit_generator.state)
    parameters: dict[int, Tensor] = {id(p): p for p in twin.parameters() if p.requires_grad}
    if not parameters:
        return None
    compute: Callable[[], Tensor] = lambda: function(twin(call.given_input), loss_call.targets, **loss_call.options)  # noqa: E731
    try:
        run = descend(compute, adam(parameters, lr), list(parameters.values()), OVERFIT_STEPS, OVERFIT_SECONDS)
    except Exception:  # the model's code may depend on what the script has changed since
        return None
    finally:
        effects.default_generator().bit_generator.state = state
    if len(run) < OVERFIT_STEPS / 2 or not math.isfinite(run[-1]):
        return None
    return statistics.mean(run[-10:])


def copied_with_values(root: Module, round_: Round) -> Module:
    """A deep copy of a model with the parameters that it had in a round."""
    own = dict(root.named_parameters())
    twin = copy.deepcopy(root)
    for name, p in twin.named_parameters():
        if id(own[name]) in round_.before:
            p.data[...] = round_.before[id(own[name])]
    return twin
