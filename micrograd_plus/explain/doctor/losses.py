"""Mistakes between the model and the loss: what is applied twice, labels, shapes, the first loss, rare classes."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import rules
from ...tensor import Tensor
from ..findings import Finding
from ..lines import Line
from .catalogue import found
from .observation import Observer
from .records import Call, LossCall, Operation

VIEWS = {rules.reshape, rules.transpose, rules.getitem, rules.cast, rules.broadcast_to, rules.concatenate, rules.take_rows}
BINARY = {rules.add, rules.subtract, rules.multiply, rules.divide, rules.maximum, rules.minimum, rules.power}
FAR = 2.0  # nats above ln C: logits then have a standard deviation of about 2 already, where good weights give at most 1
MAJORITY = 0.9  # share of one class
RARE = 20.0  # how many times as frequent as the rarest the most frequent class is
MORE_THAN_ALL = 1.05  # the sum over the classes of exp(log-probability), which is 1
FEW_CLASSES = 20
FEW_LABELS = 50
NO_LOGARITHMS = (
    "NLLLoss picks the number at the label and changes its sign. Logarithms of probabilities are at most 0; of other numbers it can fall "
    "below 0, and making it small is not the same as making the right class likely."
)
NEGATED = (
    "backward() and step() make the number small that they are given. Of a loss with a minus before it, that is the largest loss there is."
)


def check_losses(o: Observer) -> Iterator[Finding]:
    """Findings MG201 to MG208."""
    yield from _labels(o)
    yield from _broadcast(o)
    yield from _twice(o)
    yield from _negative(o)
    yield from _first_loss(o)
    yield from _rare(o)


def _calls(o: Observer) -> list[LossCall]:
    """The first and the last calls of losses."""
    calls = [*o.first_losses, *([o.last_loss] if o.last_loss is not None else [])]
    return list({id(call): call for call in calls}.values())


def _values(x: Any) -> np.ndarray:
    return np.asarray(x._data if isinstance(x, Tensor) else x)


def _labels(o: Observer) -> Iterator[Finding]:
    for call in _calls(o):
        scores, targets = _values(call.predictions), _values(call.targets)
        if not np.isfinite(targets).all():
            continue
        if call.kind == "classes" and scores.ndim >= 2:
            yield from _class_labels(call, scores, targets)
        elif call.kind == "binary" and ((targets < 0) | (targets > 1)).any():
            values = np.unique(targets)
            told = (
                f"the values {', '.join(f'{v:g}' for v in values)}" if len(values) <= 4 else f"values from {values[0]:g} to {values[-1]:g}"
            )
            cure = "y = (y + 1) / 2  # -1 and 1 become 0 and 1" if set(values.tolist()) == {-1, 1} else "y = (y > 0).astype(np.float32)"
            yield found("MG203", f"The targets of the binary loss hold {told}; they must be in [0, 1].", cure, call.line)
        if call.kind in ("binary", "regression", "other") and _column_meets_row(scores.shape, targets.shape):
            seen = f"Predictions have shape {scores.shape}, targets {targets.shape}."
            cure = "y = y.reshape(-1, 1)" if targets.ndim == 1 else "predictions = model(x).reshape(-1, 1)"
            yield found("MG206", seen, cure, call.line)


def _column_meets_row(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return sorted([len(a), len(b)]) == [1, 2] and math.prod(a) == math.prod(b) and (max(a, b, key=len)[1] == 1)


def _class_labels(call: LossCall, scores: np.ndarray, targets: np.ndarray) -> Iterator[Finding]:
    classes = scores.shape[1]
    if targets.shape == scores.shape and classes > 1:
        if np.allclose(targets.sum(axis=1), 1, atol=1e-3):
            seen = f"The labels have shape {targets.shape}, as the logits do, and each row sums to 1."
            yield found("MG205", seen, "labels = labels.argmax(1)", call.line)
        return
    if targets.ndim == 2 and targets.shape == (len(scores), 1) and scores.ndim == 2:
        seen = f"The labels have shape {targets.shape}, where one index for each of {len(scores)} rows of logits is due."
        yield found("MG206", seen, "labels = labels.reshape(-1)", call.line)
        return
    ignored = call.options.get("ignore_index", -100)
    counted = targets[targets != ignored] if targets.size else targets
    fractional = counted[counted != np.floor(counted)]
    if fractional.size:
        seen = f"{fractional.size} of {counted.size} labels are no whole numbers: {_some(fractional)}."
        yield found("MG204", seen, "keep the labels as they were: y.astype(np.int64), neither divided nor normalised", call.line)
        return
    wrong = counted[(counted < 0) | (counted >= classes)]
    if wrong.size:
        seen = (
            f"Labels go from {counted.min():g} to {counted.max():g}, and the model has {classes} outputs, for the classes "
            f"0 to {classes - 1}; {wrong.size} of {counted.size} labels are out of range."
        )
        from_one = counted.min() >= 1 and counted.max() == classes
        cure = "y = y - 1  # classes count from 0" if from_one else f"Linear(..., {int(counted.max()) + 1})  # one output per class"
        if counted.min() < 0:
            cure = "y = np.unique(y, return_inverse=True)[1]  # classes become 0, 1, ..."
        yield found("MG203", seen, cure, call.line)


def _some(values: np.ndarray) -> str:
    return ", ".join(f"{value:.4g}" for value in list(dict.fromkeys(values.tolist()))[:3])


def _broadcast(o: Observer) -> Iterator[Finding]:
    """(N, 1) against (N,) in a loss that was written by hand."""
    for round_ in o.rounds:
        for operation in round_.operations:
            shape = operation.out.shape
            if operation.rule in BINARY and len(shape) == 2 and shape[0] == shape[1] > 1:
                shapes = [np.shape(x._data if isinstance(x, Tensor) else x) for x in operation.inputs]
                constant = [not (isinstance(x, Tensor) and x._requires_grad) for x in operation.inputs]
                if sorted(shapes, key=len) == [(shape[0],), (shape[0], 1)] and any(constant):
                    seen = f"{shapes[0]} and {shapes[1]} made {shape}{f' in {operation.line}' if operation.line else ''}."
                    yield found("MG206", seen, "y = y.reshape(-1, 1)  # the shape of the predictions", operation.line)
                    return


def _origin(tensor: Any, by_output: dict[int, Operation]) -> Operation | None:
    """The operation that made these values, looking through reshapes, limits and the like."""
    operation = by_output.get(id(tensor))
    while operation is not None and operation.rule in VIEWS | {rules.clip}:
        operation = by_output.get(id(operation.inputs[0]))
    return operation


def _twice(o: Observer) -> Iterator[Finding]:
    for round_ in o.rounds:
        by_output = {id(operation.out): operation for operation in round_.operations}
        for call in round_.loss_calls:
            origin = _origin(call.predictions, by_output)
            values = _values(call.predictions)
            made = f" in {origin.line}" if origin is not None and origin.line else ""
            inside = type(origin.module).__name__ if origin is not None and origin.module is not None else ""
            where = f" ({inside})" if inside in ("Softmax", "LogSoftmax", "Sigmoid") else made
            line = origin.line if origin is not None and origin.line and not where.startswith(" (") else call.line
            if call.name in ("cross_entropy", "binary_cross_entropy_with_logits") and values.ndim >= 2:
                if origin is not None and origin.rule is rules.log_softmax and call.name == "cross_entropy":
                    seen = f"{call.name} is given what log_softmax made{where}; a second log-softmax changes nothing."
                    yield found("MG201", seen, "loss = NLLLoss()(log_probabilities, y)  # or take the log-softmax away", line, "note")
                    return
                softmax = origin is not None and origin.rule is rules.softmax
                if softmax or (call.name == "cross_entropy" and _distributions(values)):
                    seen = f"{call.name} is given probabilities{where}: from {values.min():.3g} to {values.max():.3g}, each row sums to 1."
                    yield found("MG201", seen, "loss = loss_fn(scores, y)  # without the softmax; apply it only where you print", line)
                    return
            if call.name in ("cross_entropy", "binary_cross_entropy_with_logits") and origin is not None and _is_sigmoid(origin, values):
                seen = f"{call.name} is given what a sigmoid made{where}: numbers from {values.min():.3g} to {values.max():.3g}."
                cure = "loss = loss_fn(scores, y)  # without the sigmoid" + ("; or BCELoss()" if call.name.startswith("binary") else "")
                yield found("MG202", seen, cure, line)
                return


def _negative(o: Observer) -> Iterator[Finding]:
    """A negative log-likelihood of classes that is below 0, as none can be: of what are no log-probabilities, or negated."""
    for round_ in o.rounds:
        by_output = {id(operation.out): operation for operation in round_.operations}
        for call in round_.loss_calls:
            scores = _values(call.predictions)
            if call.name != "nll_loss" or scores.ndim < 2 or not np.isfinite(scores).all():
                continue
            sums = np.exp(np.minimum(scores.astype(np.float64), 700.0)).sum(axis=1)
            if np.median(sums) > MORE_THAN_ALL:
                softmax = _distributions(np.moveaxis(scores, 1, -1).reshape(-1, scores.shape[1]))
                given = "probabilities, of which each row sums to 1" if softmax else "scores that are no logarithms of probabilities"
                out = "" if call.out is None or call.out.size != 1 else f"; the first loss is {float(call.out.data.reshape(-1)[0]):.3g}"
                seen = f"{call.name} is given {given}: from {scores.min():.3g} to {scores.max():.3g}{out}."
                cure = "NLLLoss()(scores.log_softmax(axis=1), y)  # or CrossEntropyLoss()(scores, y)"
                yield found(
                    "MG207", seen, cure, call.line, "error", NO_LOGARITHMS, "Log-probabilities are due, and the logarithm is missing"
                )
                return
        if len(o.optimizers) == 1 and len(round_.losses) == 1 and round_.stepped and round_.loss < 0:
            operation, negated = _negation(round_.losses[0], by_output)
            calls = [call for call in round_.loss_calls if call.out is negated and call.kind in ("classes", "binary", "regression")]
            if operation is not None and calls and (calls[0].out.data >= 0).all():
                seen = f"{calls[0].name} gave {float(calls[0].out.data.sum()):.3g}, and backward() was called on {round_.loss:.3g}."
                yield found(
                    "MG207",
                    seen,
                    "loss.backward()  # of the loss itself, without the minus",
                    operation.line,
                    "error",
                    NEGATED,
                    "A negated loss",
                )
                return


def _negation(loss: Tensor, by_output: dict[int, Operation]) -> tuple[Operation | None, Any]:
    """The operation that negates, of a loss that is a negative multiple of a Tensor, and that Tensor."""
    operation = by_output.get(id(loss))
    while operation is not None and operation.rule in (rules.sum, rules.mean, rules.reshape) and loss.size == 1:
        if np.shape(_values(operation.inputs[0])) not in ((), (1,)):
            return None, None
        operation = by_output.get(id(operation.inputs[0]))
    if operation is None:
        return None, None
    if operation.rule is rules.negative:
        return operation, operation.inputs[0]
    for x, other in (operation.inputs, operation.inputs[::-1]) if len(operation.inputs) == 2 else ():
        number = _values(other)
        if operation.rule is rules.multiply and not isinstance(other, Tensor) and number.size == 1 and (number < 0).all():
            return operation, x
    if operation.rule is rules.subtract and not isinstance(operation.inputs[0], Tensor) and not np.any(operation.inputs[0]):
        return operation, operation.inputs[1]
    return None, None


def _distributions(values: np.ndarray) -> bool:
    return bool(len(values) > 1 and values.shape[1] > 1 and (values >= 0).all() and np.allclose(values.sum(axis=1), 1, atol=1e-3))


def _is_sigmoid(origin: Operation, values: np.ndarray) -> bool:
    if origin.rule is rules.sigmoid:
        return True
    by_hand = origin.rule is rules.divide and not isinstance(origin.inputs[0], Tensor) and np.all(_values(origin.inputs[0]) == 1)
    return bool(by_hand and (values >= 0).all() and (values <= 1).all())


def _first_loss(o: Observer) -> Iterator[Finding]:
    if not o.first_losses or o.first_losses[0].out is None:
        return
    call = o.first_losses[0]
    scores, targets = _values(call.predictions).astype(np.float64), _values(call.targets)
    if not np.isfinite(scores).all():
        return
    if call.name == "cross_entropy":
        classes = scores.shape[1]
        rows = np.moveaxis(scores, 1, -1).reshape(-1, classes)
        labels = targets.reshape(-1).astype(np.int64)
        counted = labels != call.options.get("ignore_index", -100)
        if not counted.any():
            return
        rows, labels = rows[counted], labels[counted]
        shifted = rows - rows.max(1, keepdims=True)
        loss = float((np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(rows)), labels]).mean())
        expected, told = math.log(classes), f"ln {classes}"
    elif call.name == "binary_cross_entropy_with_logits":
        loss = float((np.logaddexp(0, scores) - targets * scores).mean())
        expected, told = math.log(2), "ln 2"
    else:
        return
    if loss > expected + FAR:
        seen = f"The first loss is {loss:.3g}; {told} is {expected:.3g}. The scores go from {scores.min():.3g} to {scores.max():.3g}."
        yield found("MG207", seen, "model[-1].weight.data *= 0.1; model[-1].bias.data[:] = 0  # small scores at first", call.line)


def _rare(o: Observer) -> Iterator[Finding]:
    labels, line, tokens = _all_labels(o)
    if labels is None or len(labels) < FEW_LABELS:
        return
    values, counts = np.unique(labels, return_counts=True)
    if len(values) < 2:
        return
    most, least = counts.argmax(), counts.argmin()
    share, ratio = counts[most] / len(labels), counts[most] / counts[least]
    if share >= MAJORITY or (not tokens and len(values) <= FEW_CLASSES and ratio >= RARE):
        frequent, rare = values[most], values[least]
        seen = (
            f"{counts[most]:,} of {len(labels):,} labels that the loss was given are {frequent:g} ({share:.0%}); "
            f"{counts[least]:,} {'is' if counts[least] == 1 else 'are'} {rare:g}. Always saying {frequent:g} is right in {share:.0%}."
        )
        cure = "CrossEntropyLoss(weight=len(y) / (C * np.bincount(y)))  # C classes"
        if o.labels[0].kind == "binary":
            cure = f"BCEWithLogitsLoss(pos_weight=[{counts[0] / counts[-1]:.3g}])  # negatives per positive"
        yield found("MG208", seen, cure, line)


def _all_labels(o: Observer) -> tuple[np.ndarray | None, Line | None, bool]:
    """The labels of all training examples, one for each; None where there are none, or where the loss weights them."""
    noted = [entry for entry in o.labels if entry.one_per_example]
    if not noted or any(entry.weighted for entry in o.labels):
        return None, None, False
    tokens = _takes_tokens(o.calls)
    for loader_id, loader in o.loaders.items():
        if o.trained_loaders.get(loader_id) and loader.y.reshape(len(loader.y), -1).shape[1] == 1:
            return loader.y.reshape(-1), noted[0].line, tokens
    whole = max((entry.whole for entry in noted), key=len)
    # The same batch again is the next epoch; that few labels are equal may be chance.
    passes = {entry.values.tobytes() if len(entry.values) >= FEW_LABELS else str(i): entry.values for i, entry in enumerate(noted)}
    seen = np.concatenate(list(passes.values()))
    return (whole if len(whole) > len(noted[0].values) else seen), noted[0].line, tokens


def _takes_tokens(calls: list[Call]) -> bool:
    return any(call.array is not None and call.array.dtype.kind in "iu" for call in calls[:3])
