"""Mistakes in the network: initial weights, dead and saturated units, gradients that vanish, explode or become NaN."""

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import rules
from ...layers import Embedding
from ...tensor import Tensor
from ..findings import Finding
from ..lines import Line
from .blame import DEBUG, blamed
from .catalogue import found
from .loop import listed, name_of
from .losses import VIEWS, _origin, _values
from .observation import Observer
from .records import Operation, Round

PRODUCTS = {rules.matmul, rules.affine, rules.convolution, rules.einsum}
LARGE_WEIGHTS = 5.0  # root mean square times sqrt(fan_in): 1 keeps the scale of activations, He's is 1.4, Glorot's at most 1.4
LARGE_RESULTS = 3.0  # root mean square of what is computed with such weights; of one-hot inputs it stays small
SMALL_WEIGHTS = 0.012  # the same; a GPT's 0.02 at width 16 has 0.08
DEAD = 0.8  # share of a layer's units; half of them may be dead where a network trains well
FEW_UNITS = 4
LAST_ROUNDS = 10
SATURATED = 0.7  # share of a layer's outputs; a normal pre-activation of scale 1 has 1 %, of scale 5 has 60 %
TANH_END, SIGMOID_ENDS = 0.99, 0.01
VANISHED = 1e-4  # of the relative gradient of the last layers, that of the first ones
EXPLODED = 1e4  # ||gradient|| ||weights|| / loss, which is below about 700 even in good networks of 13 layers
OVERSHOT = 1e3  # times what is usual, by the first loss: the mean square of the targets, or ln C
OVERFLOWING = 1e6  # a loss


def check_network(o: Observer) -> Iterator[Finding]:
    """Findings MG401 to MG405, MG409."""
    yield from _initial(o)
    yield from _dead(o)
    yield from _saturated(o)
    yield from _flow(o)
    yield from _not_finite(o)


def first_rounds(o: Observer) -> list[Round]:
    """The first kept round of each kind."""
    rounds: dict[tuple[int, ...], Round] = {}
    for round_ in o.rounds:
        if round_.operations and round_.losses:
            rounds.setdefault(round_.key, round_)
    return list(rounds.values())


def _embeddings(o: Observer) -> set[int]:
    return {id(p) for root in o.roots for _, module in root.named_modules() if isinstance(module, Embedding) for p in module.parameters()}


def _weights(round_: Round, embeddings: set[int]) -> list[tuple[Tensor, int, Line | None]]:
    """The matrices and kernels of a round that inputs are multiplied by, in the order of their first use, with their fan-in."""
    found_: dict[int, tuple[Tensor, int, Line | None]] = {}
    leaves, views = round_.leaves, dict[int, Tensor]()
    for operation in round_.operations:
        source = operation.inputs[0] if operation.rule in VIEWS else None
        if isinstance(source, Tensor) and (id(source) in leaves or id(source) in views):
            views[id(operation.out)] = views.get(id(source), source)
        if operation.rule not in PRODUCTS:
            continue
        for position, given in enumerate(operation.inputs):
            x = views.get(id(given), given)
            if isinstance(x, Tensor) and id(x) in leaves and x.ndim >= 2 and id(x) not in embeddings and id(x) not in found_:
                fan_in = math.prod(x.shape[1:]) if operation.rule is rules.convolution else given.shape[-2 if position else -1]
                found_[id(x)] = (x, int(fan_in), operation.line)
    return list(found_.values())


def _initial(o: Observer) -> Iterator[Finding]:
    names, embeddings = o.parameter_names(), _embeddings(o)
    for round_ in first_rounds(o):
        weights = _weights(round_, embeddings)
        equal, large, small = [], [], []
        results = {id(x): _scale(operation.out) for operation in round_.operations if operation.rule in PRODUCTS for x in operation.inputs}
        for weight, fan_in, line in weights:
            value, gradient = o.initial.get(id(weight)), round_.gradients.get(id(weight))
            if value is None or gradient is None or round_.number > 1 or not np.isfinite(value).all():
                continue
            units = value.reshape(len(value), -1) if value.ndim > 2 else value.T
            gradients = gradient.reshape(len(gradient), -1) if gradient.ndim > 2 else gradient.T
            if len(units) > 1 and _equal(units) and (_equal(gradients) or not gradients.any()) and len(weights) > 1:
                equal.append((weight, value, line))
                continue
            scale = float(np.sqrt(np.square(value, dtype=np.float64).mean()) * math.sqrt(fan_in))
            if scale > LARGE_WEIGHTS and results.get(id(weight), 0.0) > LARGE_RESULTS:
                large.append((weight, value, line))
            elif scale < SMALL_WEIGHTS and value.any():
                small.append((weight, value, line))
        cure = "leave the layers' own initial values, or w = randn(n_in, n_out) * n_in**-0.5"
        for chosen, told in ((equal, "the same for all units"), (large, "far too large"), (small, "far too small")):
            if not chosen or (chosen is small and len(small) < 2):
                continue
            weight, value, line = chosen[0]
            spread = f"all {value.reshape(-1)[0]:g}" if _equal(value.reshape(-1, 1)) else f"with a standard deviation of {value.std():.3g}"
            own = getattr(weight, "_line", None) or line
            right = math.sqrt(1 / max(next(fan for w, fan, _ in weights if w is weight), 1))
            expected = "" if chosen is equal else f"; {right:.2g} would keep the scale of its inputs"
            which = listed([name_of(w, names) for w, _, _ in chosen])
            seen = f"{len(chosen)} of {len(weights)} weights are {told} at first: {which} ({spread}{expected})."
            yield found("MG405", seen, cure, own)
            return


def _scale(x: Tensor) -> float:
    """The root mean square of its numbers."""
    return float(np.sqrt(np.square(x._data, dtype=np.float64).mean())) if x.size else 0.0


def _equal(rows: np.ndarray) -> bool:
    return bool(np.ptp(rows, axis=0).max() <= 1e-7 * max(float(np.abs(rows).max()), 1e-30)) if len(rows) else False


def _place(o: Observer, operation: Operation) -> str:
    """What a reader calls the place of an operation: the module's name, else the line."""
    module = operation.module
    for root in o.roots:
        for name, part in root.named_modules():
            if part is module and name and type(part).__module__.startswith("micrograd_plus.layers"):
                return f"{o.name_of(root)}.{name}"
    return str(operation.line) if operation.line is not None else operation.rule.__name__


def _dead(o: Observer) -> Iterator[Finding]:
    sites: dict[Any, list[np.ndarray]] = defaultdict(list)
    for round_ in o.rounds:
        for site, active in round_.active.items():
            sites[site].append(active)
    last = next((r for r in reversed(o.rounds) if r.operations and r.active), None)
    if last is None:
        return
    places = _sites(last)
    dead, units, examples, early = 0, 0, [], False
    for site, noted in sites.items():
        shapes = {active.shape for active in noted}
        if len(shapes) > 1 or site not in places:
            continue
        alive = np.logical_or.reduce(noted[-LAST_ROUNDS:])
        count, total = int((~alive).sum()), len(alive)
        if count == total or (count >= FEW_UNITS and count >= DEAD * total):
            dead, units = dead + count, units + total
            examples.append(f"{count} of {total} after {_place(o, places[site])}")
            early = early or int((~np.logical_or.reduce(noted[:LAST_ROUNDS])).sum()) >= DEAD * total
    if examples:
        rounds = min(LAST_ROUNDS, max(map(len, sites.values())))
        seen = f"In {'the first' if early else 'the last'} {rounds} steps these units were 0 for every example: {listed(examples)}."
        line = next(iter(places.values())).line if len(places) == 1 else next((places[s].line for s in sites if s in places), None)
        cure = "LeakyReLU()  # in place of ReLU(), or a lower learning rate, and biases that begin at 0"
        yield found("MG401", seen, cure, line)


def _sites(round_: Round) -> dict[Any, Operation]:
    """The ReLUs of a round, keyed as the observer keys them."""
    counts: dict[Any, int] = defaultdict(int)
    places: dict[Any, Operation] = {}
    for operation in round_.operations:
        if operation.rule is rules.relu:
            place = (id(operation.module), operation.line.number if operation.line else 0)
            places[(*place, counts[place])] = operation
            counts[place] += 1
    return places


def _saturated(o: Observer) -> Iterator[Finding]:
    yielded = False
    for round_ in [*first_rounds(o), *[r for r in o.rounds[-1:] if r.operations]]:
        inner = _inner(round_)
        for operation in round_.operations:
            if operation.rule in (rules.tanh, rules.sigmoid) and id(operation.out) in inner and operation.out.ndim >= 2:
                share = _saturation(operation)
                if share > SATURATED and not yielded:
                    kind = operation.rule.__name__
                    ends = f"beyond {TANH_END} or -{TANH_END}" if kind == "tanh" else f"below {SIGMOID_ENDS} or above {1 - SIGMOID_ENDS}"
                    seen = f"{share:.0%} of the outputs of {kind} ({_place(o, operation)}) are {ends} in step {round_.number + 1}."
                    cure = f"scale what the {kind} is given to about -2 to 2: normalised inputs, smaller weights"
                    yield found("MG404", seen, cure, operation.line)
                    yielded = True
        by_output = {id(operation.out): operation for operation in round_.operations}
        for call in round_.loss_calls:
            origin = _origin(call.predictions, by_output)
            if call.kind == "regression" and origin is not None and origin.rule in (rules.tanh, rules.sigmoid) and not yielded:
                low, high = (-1, 1) if origin.rule is rules.tanh else (0, 1)
                targets = _values(call.targets)
                outside = float(((targets < low) | (targets > high)).mean())
                if outside > 0.05:
                    kind = origin.rule.__name__
                    seen = (
                        f"The predictions come from a {kind} and lie between {low} and {high}; {outside:.0%} of the targets do not "
                        f"({targets.min():.3g} to {targets.max():.3g})."
                    )
                    yield found("MG404", seen, f"take the {kind} after the last layer away, or scale the targets", origin.line)
                    yielded = True


def _saturation(operation: Operation) -> float:
    values = operation.out._data
    if operation.rule is rules.tanh:
        return float((np.abs(values) > TANH_END).mean())
    return float(((values < SIGMOID_ENDS) | (values > 1 - SIGMOID_ENDS)).mean())


def _inner(round_: Round) -> set[int]:
    """Results from which products with other parameters are computed: the hidden ones."""
    inner: set[int] = set()
    for operation in reversed(round_.operations):
        sources = [x for x in operation.inputs if isinstance(x, Tensor)]
        if id(operation.out) in inner or (operation.rule in PRODUCTS and any(id(x) in round_.leaves for x in sources)):
            inner |= {id(x) for x in sources}
    return inner


def _flow(o: Observer) -> Iterator[Finding]:
    names, embeddings = o.parameter_names(), _embeddings(o)
    for round_ in first_rounds(o):
        entries = []
        for weight, _, line in _weights(round_, embeddings):
            value, gradient = round_.before.get(id(weight), o.initial.get(id(weight))), round_.gradients.get(id(weight))
            if value is not None and gradient is not None and np.isfinite(gradient).all() and np.isfinite(value).all():
                size = float(np.linalg.norm(value.astype(np.float64)))
                entries.append((weight, float(np.linalg.norm(gradient.astype(np.float64))), size, line))
        entries = [entry for entry in entries if entry[2] > 0]
        if round_ is o.bad and round_.number == 0 and OVERFLOWING < abs(round_.loss) < math.inf:
            seen = f"In the first step the loss is {round_.loss:.3g}, and the gradients overflow."
            cure = "clip_grad_norm(model.parameters(), 1.0)  # and normalise inside: what is added up at each step or layer grows"
            yield found("MG403", seen, cure, o.backward_line)
            return
        loss = abs(round_.loss)
        total = math.sqrt(sum(gradient**2 for _, gradient, _, _ in entries))
        size = math.sqrt(sum(size**2 for _, _, size, _ in entries))
        relative = [gradient / size for _, gradient, size, _ in entries]
        overshot = _overshot(round_)
        if round_.number == 0 and overshot > OVERSHOT:
            seen = (
                f"The first predictions are so large that the loss is {round_.loss:.3g}, {overshot:.1g} times what small predictions "
                f"would give; the gradients have a norm of {total:.3g}, the weights one of {size:.3g}."
            )
            cure = "clip_grad_norm(model.parameters(), 1.0)  # and normalise inside: what each step or layer adds or multiplies grows"
            yield found("MG403", seen, cure, o.backward_line)
        elif entries and round_.number <= 4 and math.isfinite(loss) and loss > 0 and total * size / loss > EXPLODED and not round_.clipped:
            worst = int(np.argmax(relative))
            seen = (
                f"In step {round_.number + 1} the gradients have a norm of {total:.3g}, the weights one of {size:.3g}, at a loss of "
                f"{loss:.3g}; the largest, {entries[worst][1]:.3g}, is that of {name_of(entries[worst][0], names)}."
            )
            yield found(
                "MG403",
                seen,
                "clip_grad_norm(model.parameters(), 1.0)  # between backward() and step(); and normalise inside",
                o.backward_line,
            )
        elif len(entries) >= 4 and 0 < relative[0] < VANISHED * max(relative[-2:]):
            seen = (
                f"From the last layer to the first, gradients shrink from {relative[-1]:.2g} to {relative[0]:.2g} of their weights' size: "
                f"{name_of(entries[-1][0], names)} to {name_of(entries[0][0], names)}, {len(entries)} weights."
            )
            yield found("MG402", seen, "ReLU(), GELU() or Residual(...) in place of sigmoids; a LayerNorm between layers", entries[0][3])


def _overshot(round_: Round) -> float:
    """By what factor the loss exceeds what is usual: the mean square of the targets, or ln C."""
    call = round_.loss_calls[0] if len(round_.loss_calls) == 1 else None
    if call is None or call.options.get("reduction") != "mean" or call.name not in ("mse_loss", "cross_entropy"):
        return 0.0
    if call.name == "mse_loss":
        usual = float(np.square(_values(call.targets), dtype=np.float64).mean())
    else:
        usual = math.log(max(_values(call.predictions).shape[1], 2))
    return round_.loss / usual if usual > 0 else 0.0


def _not_finite(o: Observer) -> Iterator[Finding]:
    if o.bad is None:
        return
    names, round_ = o.parameter_names(), o.bad
    blame = blamed(round_, o.initial, lambda p: name_of(p, names)) if round_.operations else None
    if blame is not None:
        cure, optimizer = blame.cure, round_.stepped[0] if round_.stepped else next(iter(o.optimizers.values()), None)
        if blame.grown is not None and optimizer is not None:
            name = o.names.get(id(optimizer), "optimizer")
            lr = round_.lrs.get(id(optimizer), float(optimizer.param_groups[0]["lr"]))
            cure = f"{name} = {type(optimizer).__name__}(..., lr={lr / 10:g})  # and clip_grad_norm() before the steps"
        yield found("MG409", blame.seen, cure, blame.line)
    elif math.isfinite(round_.loss):
        step = round_.number + 1
        seen = f"In step {step} a gradient was not finite, and no operation of the loss made it so: look at what writes into .grad."
        yield found("MG409", seen, DEBUG, o.step_line or o.backward_line)
    else:
        yield found("MG409", f"The loss was {round_.loss:g} in step {round_.number + 1}.", DEBUG, o.backward_line)
