"""Mistakes in the data: NaN, scale, constant features, order, shared examples, batches of one."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...layers import Embedding, Module
from ...layers.convolution import Conv1d, Conv2d
from ...layers.normalisation import ChannelNorm
from ...tensor import Tensor
from ..findings import Finding
from ..lines import Line
from .catalogue import found
from .observation import Observer
from .records import Call, Labels

LARGE = 6.0  # root mean square of a feature: [-10, 10] has 5.8, bytes over 100, and standardised features have 1
SMALL = 0.02  # largest absolute value of all inputs
UNEVEN = 200.0  # how many times as wide as the narrowest feature the widest is; a rare one-hot column is 30 times as narrow
OFF_CENTRE = 10.0  # a feature's mean in standard deviations, where it is not small itself
MANY_ROWS = 8  # fewer examples say nothing about features
ONE_CLASS = 0.6  # of the way from a shuffled batch's mixture to a single class
SHARED = 0.02  # share of test examples that were trained on
HELD_ROWS = 20_000
TEST_NAME = re.compile(r"(^|_|\b)(x?te?st|val|valid|validation|held|holdout|unseen)(_|\b|\d|$)|test", re.IGNORECASE)
TRAIN_NAME = re.compile(r"train", re.IGNORECASE)


def check_data(o: Observer) -> Iterator[Finding]:
    """Findings MG301 to MG307."""
    yield from _inputs_not_finite(o)
    yield from _targets_not_finite(o)
    yield from _one(o)
    yield from _features(o)
    yield from _order(o)
    yield from _shared(o)


def _not_finite(array: Any) -> np.ndarray | None:
    """Where an array is not finite; None where it is."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or math.isfinite(float(np.sum(array, dtype=np.float64))):
        return None
    wrong = ~np.isfinite(array)
    return wrong if wrong.any() else None


def _told(array: np.ndarray, wrong: np.ndarray, what: str) -> str:
    rows = np.asarray(wrong.reshape(len(wrong), -1).any(axis=1)) if wrong.ndim else wrong.reshape(1)
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    index = first[0] if len(first) == 1 else first
    return (
        f"{int(wrong.sum()):,} of {array.size:,} numbers of {what} (shape {array.shape}) are NaN or infinite, in {int(rows.sum()):,} of "
        f"{len(rows):,} examples; the first is {array[first]} at index {index}."
    )


def _whole(array: np.ndarray) -> np.ndarray:
    """The array of whose examples this is a view."""
    whole = array
    while isinstance(whole.base, np.ndarray) and whole.base.dtype == array.dtype and whole.base.shape[1:] == array.shape[1:]:
        whole = whole.base
    return whole


def _inputs_not_finite(o: Observer) -> Iterator[Finding]:
    for call in o.calls[:1] + [call for call in o.calls if call.not_finite]:
        array = call.array
        if array is None or not call.given:
            continue
        for loader in o.loaders.values():
            wrong = _not_finite(loader.X)
            if wrong is not None and loader.X.shape[1:] == array.shape[1:]:
                array = loader.X
        wrong = _not_finite(array)
        if wrong is not None:
            name = next((name for name, known in o.arrays.items() if known is array), "the inputs")
            yield found("MG303", *_gaps(array, wrong, name), call.line)
            return


def _gaps(array: np.ndarray, wrong: np.ndarray, name: str) -> tuple[str, str]:
    """What was seen, and a cure that leaves something over."""
    x = name if name.isidentifier() else "X"
    seen = _told(array, wrong, name)
    rows = wrong.reshape(len(wrong), -1) if wrong.ndim else wrong.reshape(1, 1)
    keep = f"keep = np.isfinite({x}).reshape(len({x}), -1).all(1); {x}, y = {x}[keep], y[keep]"
    count = int((rows.all(axis=0) & np.isnan(array.reshape(rows.shape)).all(axis=0)).sum())
    if len(rows) > 1 and count:
        what = "feature is NaN in every example. It" if count == 1 else f"of {rows.shape[1]} features are NaN in every example. Each"
        seen += (
            f" {count} {what} may have been standardised: a single NaN makes its column's mean NaN, "
            "and a constant column is divided by its standard deviation, 0."
        )
        return seen, f"{keep}; {x}, mean, std = normalize({x})  # with the raw {x}, instead of ({x} - mean) / std"
    if len(rows) > 1 and rows.any(axis=1).mean() > 0.5:  # few examples are whole
        return seen, f"{x} = np.where(np.isfinite({x}), {x}, np.nanmedian({x}, axis=0))  # most examples have a gap"
    return seen, keep


def _targets_not_finite(o: Observer) -> Iterator[Finding]:
    for call in [*o.first_losses, *([o.bad_loss] if o.bad_loss is not None else [])]:
        targets = call.targets._data if isinstance(call.targets, Tensor) else np.asarray(call.targets)
        if isinstance(call.targets, Tensor) and call.targets._requires_grad:
            continue
        array = targets
        for loader in o.loaders.values():
            if _not_finite(loader.y) is not None and loader.y.shape[1:] == targets.shape[1:] and o.trained_loaders.get(id(loader), 1):
                array = loader.y
        wrong = _not_finite(array)
        if wrong is not None:
            yield found(
                "MG307",
                _told(array, wrong, "the targets"),
                "keep = np.isfinite(y).reshape(len(y), -1).all(1); X, y = X[keep], y[keep]",
                call.line,
            )
            return


def _one(o: Observer) -> Iterator[Finding]:
    if o.norm_of_one is not None:
        module, shape, line = o.norm_of_one
        seen = f"{type(module).__name__}({getattr(module, 'num_features', '')}) was given input of shape {shape} in training."
        for loader in o.loaders.values():
            if len(loader.X) % loader.batch_size == 1 and loader.batch_size > 1:
                seen += f" {len(loader.X)} examples in batches of {loader.batch_size} leave one over."
                yield found("MG306", seen, f"X, y = X[:-1], y[:-1]  # or another batch_size than {loader.batch_size}", line)
                return
        sizes = {len(call.array) for call in o.calls if call.array is not None and call.array.ndim} - {1}
        if sizes:
            seen += f" Batches before it had up to {max(sizes)} examples: this one is what was left over."
            yield found("MG306", seen, "X, y = X[:-1], y[:-1]  # or another size of the batches", line)
            return
        yield found("MG306", seen, "batch_size=32  # or LayerNorm, which needs no batch", line)
        return
    norms = [
        module for root in o.roots for _, module in root.named_modules() if isinstance(module, ChannelNorm) and module.track_running_stats
    ]
    for key, loader in o.loaders.items():
        if norms and o.trained_loaders.get(key) and loader.batch_size > 1 and len(loader.X) % loader.batch_size == 1:
            kind = type(norms[0]).__name__
            size = loader.batch_size
            seen = f"{len(loader.X)} examples in batches of {size} leave one over: {kind} sees it alone, in the last batch of each epoch."
            yield found("MG306", seen, f"X, y = X[:-1], y[:-1]  # or another batch_size than {loader.batch_size}", None)
            return


class Features(NamedTuple):
    """What the first layer of a model is given: rows of features."""

    layer: Module
    rows: np.ndarray
    every: np.ndarray  # rows of all inputs of an example, flattened
    line: Line | None
    given: float | None  # the largest root mean square of a feature of what the model itself was given
    all_seen: bool  # whether the model was called on nothing else


def _first_layers(o: Observer) -> Iterator[Features]:
    for call in o.calls:
        layer = call.layer
        arrays = o.layer_inputs.pop(id(layer), None) if layer is not None else None
        if not arrays or layer is None or isinstance(layer, Embedding) or _normalises(layer):
            continue
        if arrays[0].dtype.kind in "iu" and not type(layer).__module__.startswith("micrograd_plus."):
            continue  # a model with parameters of its own beside its layers: whole numbers are tokens, as far as is known
        shape = arrays[0].shape[1:]
        arrays = [array for array in arrays if array.shape[1:] == shape and array.ndim >= 1 and array.dtype.kind in "fiu"]
        if not arrays or not call.given:
            continue
        full = next(
            (
                loader.X
                for key, loader in o.loaders.items()
                if o.trained_loaders.get(key)
                and call.array is not None
                and loader.X[:1].size == arrays[0][:1].size
                and _same_values(loader.X, arrays[0])
            ),
            None,
        )
        stacked = _one_pass(arrays) if full is None else full.reshape(len(full), *shape)
        if full is None and len(_whole(arrays[0])) > len(arrays[0]):
            stacked = _whole(arrays[0])
        stacked = stacked[:HELD_ROWS].astype(np.float64)
        if stacked.ndim == 1:
            stacked = stacked[:, None]
        channels = isinstance(layer, (Conv1d, Conv2d))
        rows = np.moveaxis(stacked, 1, -1) if channels and stacked.ndim > 2 else stacked
        yield Features(
            layer,
            rows.reshape(-1, rows.shape[-1]),
            stacked.reshape(len(stacked), -1),
            call.line,
            _scale(call.array),
            id(call.root) not in o.partly,
        )


def _one_pass(batches: list[np.ndarray]) -> np.ndarray:
    """The examples of all batches, each as often as the batch has it that has it most often: not once more for every epoch."""
    known: Counter[bytes] = Counter()
    parts: list[np.ndarray] = []
    held = 0
    for batch in batches:
        own: Counter[bytes] = Counter()
        fresh = []
        for i, row in enumerate(np.ascontiguousarray(batch.reshape(len(batch), -1))):
            key = row.tobytes()
            own[key] += 1
            if own[key] > known[key]:
                fresh.append(i)
        known |= own
        parts.append(batch[fresh])
        held += len(fresh)
        if held >= HELD_ROWS:
            break
    return np.concatenate(parts)


def _scale(array: Any) -> float | None:
    if array is None or not array.size:
        return None
    rows = array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(-1, 1)
    return float(np.sqrt(np.square(rows, dtype=np.float64).mean(axis=0)).max())


def _same_values(whole: np.ndarray, batch: np.ndarray) -> bool:
    """Whether the batch's first example is one of the whole's."""
    flat = whole.reshape(len(whole), -1)
    return bool((flat == batch[:1].reshape(1, -1)).all(axis=1).any())


def _normalises(layer: Module | None) -> bool:
    return isinstance(layer, ChannelNorm) or type(layer).__name__ in ("LayerNorm", "RMSNorm", "GroupNorm")


def _features(o: Observer) -> Iterator[Finding]:
    for features in _first_layers(o):
        layer, rows, every, line = features[:4]
        if not np.isfinite(rows).all():
            continue
        weight = getattr(layer, "weight", None)
        name = f"{type(layer).__name__}{weight.shape if isinstance(weight, Tensor) else ''}"
        spread, centre = rows.std(axis=0), rows.mean(axis=0)
        scale = np.sqrt(np.square(rows).mean(axis=0))
        varying = spread > 1e-6 * np.maximum(scale, 1e-30)
        numbers = f"mean {rows.mean():.3g}, standard deviation {rows.std():.3g}"
        seen = f"The inputs of {name} go from {rows.min():.4g} to {rows.max():.4g} ({numbers})."
        cure = "X, mean, std = normalize(X)"
        if rows.min() >= 0 and 100 < rows.max() <= 255 and rows.shape[1] > 4:
            cure = "X = X / 255"
        if len(every) >= MANY_ROWS and varying.any():
            middle = np.median(rows, axis=0)
            dense = varying & (
                np.median(np.abs(rows - middle), axis=0) > 0
            )  # not those that are nearly always the same, such as dark pixels
            far = varying & (np.abs(centre) > OFF_CENTRE * spread) & (np.abs(centre) > 1)
            given = features.given
            if scale.max() > LARGE and (given is None or given > LARGE):
                if rows.shape[1] <= 20 and rows.shape[1] > 1:
                    seen += f" Standard deviations of its {rows.shape[1]} features: {', '.join(f'{s:.3g}' for s in spread)}."
                yield found("MG301", seen, cure, line)
            elif np.abs(rows).max() < SMALL:
                yield found("MG301", seen, cure, line)
            elif dense.sum() > 1 and spread[dense].max() > UNEVEN * spread[dense].min():
                seen += f" Its features' standard deviations go from {spread[dense].min():.3g} to {spread[dense].max():.3g}."
                yield found("MG301", seen, cure, line)
            elif far.any():
                seen += f" {int(far.sum())} features lie more than {OFF_CENTRE:g} standard deviations from 0."
                yield found("MG301", seen, cure, line)
        if len(every) >= MANY_ROWS and features.all_seen:
            same = (every == every[0]).all(axis=0)
            count, total = int(same.sum()), len(same)
            if count:
                values = np.unique(every[0][same])
                told = f"the value {values[0]:g}" if len(values) == 1 else f"values from {values[0]:g} to {values[-1]:g}"
                seen = (
                    f"{count} of {total} input features {'is' if count == 1 else 'are'} the same in all {len(every):,} examples ({told})."
                )
                serious = count > total / 2
                cure = (
                    "print(X.std(axis=0))  # and look at how X was made"
                    if serious
                    else "X = X[:, X.std(axis=0) > 0]  # if it is to be smaller"
                )
                yield found("MG302", seen, cure, line, None if serious else "note")


def _order(o: Observer) -> Iterator[Finding]:
    batches = [entry for entry in o.labels if len(entry.values) >= 4 and entry.one_per_example]
    if len(batches) < 3:
        return
    whole = _whole_labels(o, batches)
    binary = batches[0].kind == "binary"
    if binary and whole is None:
        return
    reference = whole if whole is not None else np.concatenate([entry.values for entry in batches])
    values, counts = np.unique(reference, return_counts=True)
    if len(values) < 2 or len(values) > max(len(reference) / 4, 2):
        return
    overall = float(np.square(counts / counts.sum()).sum())
    sizes = np.array([len(entry.values) for entry in batches])
    within = float(np.mean([_concentration(entry.values) for entry in batches]))
    expected = overall + (1 - overall) * float(np.mean(1 / sizes))
    if len(batches[0].values) >= len(reference) or within - expected < ONE_CLASS * (1 - expected):
        return
    alone = sum(len(np.unique(entry.values)) == 1 for entry in batches)
    seen = (
        f"{alone} of {len(batches)} batches hold a single class, and {np.mean([len(np.unique(e.values)) for e in batches]):.1f} of "
        f"{len(values)} classes on average: the examples are sorted by class."
    )
    loader = next((loader for key, loader in o.loaders.items() if o.trained_loaders.get(key)), None)
    cure = (
        "DataLoader(X, y, shuffle=True)"
        if loader is not None and not loader.shuffle
        else "order = np.random.permutation(len(X)); X, y = X[order], y[order]"
    )
    yield found("MG304", seen, cure, batches[0].line)


def _concentration(labels: np.ndarray) -> float:
    counts = np.unique(labels, return_counts=True)[1]
    return float(np.square(counts / counts.sum()).sum())


def _whole_labels(o: Observer, batches: list[Labels]) -> np.ndarray | None:
    for key, loader in o.loaders.items():
        if o.trained_loaders.get(key) and loader.y.size == len(loader.y):
            return loader.y.reshape(-1)
    whole = max((entry.whole for entry in batches), key=len)
    return whole if len(whole) > max(len(entry.values) for entry in batches) else None


def _rows(array: np.ndarray) -> list[bytes]:
    flat = np.ascontiguousarray(array[:HELD_ROWS].reshape(len(array[:HELD_ROWS]), -1).astype(np.float32))
    return [row.tobytes() for row in flat]


def _telling(rows: list[bytes], array: np.ndarray) -> bool:
    """Whether equal rows are no accident: numbers are real, or few rows repeat others."""
    sample = array.reshape(-1)[:5000]
    if array.dtype.kind == "f" and len(np.unique(sample)) > min(50, len(sample) / 2) and array[:1].size >= 2:
        return True
    return array[:1].size >= 8 and len(set(rows)) > 0.95 * len(rows)


def _shared(o: Observer) -> Iterator[Finding]:
    trained: dict[tuple[int, ...], set[bytes]] = {}
    telling: dict[tuple[int, ...], bool] = {}
    training_calls = [call for call in o.calls if call.used and call.array is not None and call.given and call.array.ndim >= 2]
    arrays = [loader.X for key, loader in o.loaders.items() if o.trained_loaders.get(key)] + [call.array for call in training_calls]
    for array in arrays:
        if array.ndim < 2 or array.dtype.kind not in "fiu":
            continue
        rows = _rows(array)
        trained.setdefault(_row_shape(array), set()).update(rows)
        telling.setdefault(_row_shape(array), _telling(rows, array))
    yield from _first_shared(o, trained, telling)


def _row_shape(array: np.ndarray) -> tuple[int, ...]:
    return (int(np.prod(array.shape[1:])),)


def _first_shared(o: Observer, trained: dict[tuple[int, ...], set[bytes]], telling: dict[tuple[int, ...], bool]) -> Iterator[Finding]:
    for what, array, line, named in _test_sets(o):
        key = _row_shape(array)
        if key not in trained or not telling[key] or len(array) < 4:
            continue
        rows = _rows(array)
        shared = sum(row in trained[key] for row in rows)
        share = shared / len(rows)
        if shared < 3 or share < SHARED or (not named and share > 0.98):
            continue
        seen = f"{shared:,} of {len(rows):,} examples of {what} were trained on ({share:.0%})."
        yield found(
            "MG305", seen, "X_train, X_test, y_train, y_test = train_test_split(X, y)  # before anything is copied or resampled", line
        )
        return
    numbers = {
        name: a for name, a in o.arrays.items() if a.ndim == 1 and a.dtype.kind in "iu" and len(a) >= 4 and len(np.unique(a)) == len(a)
    }
    for test_name, test in numbers.items():
        for train_name, train in numbers.items():
            if TEST_NAME.search(test_name) and TRAIN_NAME.search(train_name) and not TRAIN_NAME.search(test_name):
                shared = int(np.isin(test, train).sum())
                if shared >= 3:
                    seen = f"{shared:,} of {len(test):,} indices of {test_name} are in {train_name} too."
                    yield found("MG305", seen, f"{train_name} = np.setdiff1d(all_rows, {test_name})", None)
                    return


def _test_sets(o: Observer) -> Iterator[tuple[str, np.ndarray, Line | None, bool]]:
    """Arrays of test examples: what they are called, the array, the line, and whether the name says that it is a test."""
    for name, array in o.arrays.items():
        if TEST_NAME.search(name) and not TRAIN_NAME.search(name) and array.ndim >= 2 and array.dtype.kind in "fiu":
            yield name, array, None, True
    for key, loader in o.loaders.items():
        if not o.trained_loaders.get(key) and loader.X.ndim >= 2:
            yield o.names.get(key, "a second DataLoader"), loader.X, None, False
    for call in _test_calls(o):
        named = call.line is not None and bool(TEST_NAME.search(call.line.text)) and "train" not in call.line.text
        yield f"the model's evaluation in {call.line}", call.array, call.line, named


def _test_calls(o: Observer) -> list[Call]:
    return [call for call in o.calls if not call.used and call.number and call.array is not None and call.array.ndim >= 2 and call.given][
        :50
    ]
