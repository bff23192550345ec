"""Which operation of a round made NaN or inf, and why: a round is run again on copies, under the rules of `debug()`.

Of a loss that is not finite, only what its NaN or inf came through is looked at: a mask of -inf that a softmax makes zeros of is harmless.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import rules
from ...rules import Rule
from ...tensor import Node, Part, Tensor, apply, enable_grad, watch
from ..causes import Cause, Failure, name_of
from ..finite import TIMES, Finiteness, NotFiniteError
from ..lines import Line
from ..origins import Origin
from .records import Operation, Round

DEBUG = "with micrograd_plus.debug(): ...  # around the loop: stops at the operation, and shows its inputs"


class Blame(NamedTuple):
    """Where NaN or inf came up first: what is to be said of it, the cure, and the line."""

    seen: str
    cure: str
    line: Line | None
    grown: Tensor | None = None  # the parameter whose growth explains it


class _StoppedError(Exception):
    """An operation made it: the failure, and its cause."""

    def __init__(self, failure: Failure, cause: Cause, found: Origin | None) -> None:
        super().__init__()
        self.failure, self.cause, self.found = failure, cause, found


class _CameInError(Exception):
    """An operation got it from something that no operation made."""

    def __init__(self, rule: Rule, x: Any) -> None:
        super().__init__()
        self.rule, self.x = rule, x


class _Rules(Finiteness):
    """The rules of debug(), whose failures are returned rather than told."""

    def _stop(self, f: Failure, cause: Cause, found: Origin | None, count: int) -> None:
        raise _StoppedError(f, cause, found)

    def _came_in(self, rule: Rule, k: int, x: Any, found: Origin) -> None:
        raise _CameInError(rule, x)


class _Follower:
    """Watches a round that is run again."""

    def __init__(self, tainted: set[int]) -> None:
        self.finite, self.tainted = _Rules(lambda array: None), tainted
        self.at: Operation

    def made(self, out: Tensor, rule: Rule | None, inputs: Any, options: Any, pullbacks: Any) -> None:
        """See `tensor.Watcher`."""
        out._line = found = Origin(self.at.line, (), out._data, rule)
        node = out._node.whole if isinstance(out._node, Part) else out._node
        if node is not None:
            node.line = found
        if rule is not None and id(self.at.out) in self.tainted:
            self.finite.made(out, rule, inputs, options, found)

    def pulling(self, node: Node, g: Any, edges: Sequence[Any], pullbacks: Any) -> Any:
        """See `tensor.Watcher`."""
        self.finite.pulling(node, g, edges, pullbacks, getattr(node, "line", None))
        kept: tuple[Any, Any] = node.inputs, node.options
        return [
            pullback and (lambda g, position=i, edge=edge, pullback=pullback: self._pulled(node, kept, position, edge, pullback, g))
            for i, (edge, pullback) in enumerate(zip(edges, pullbacks, strict=True))
        ]

    def _pulled(self, node: Node, kept: tuple[Any, Any], position: int, edge: Any, pullback: Callable[[Any], Any], g: Any) -> Any:
        return self.finite.pulled(node, kept[0], kept[1], position, edge, g, pullback(g))


def blamed(round_: Round, initial: dict[int, np.ndarray], name: Callable[[Tensor], str]) -> Blame | None:
    """What made the loss of a round, or a gradient of it, NaN or inf; None where no operation did.

    Args:
        round_: a round whose operations were kept.
        initial: by id, the parameters' values when they were first used.
        name: what to call a parameter.
    """
    operations = _leading_to_losses(round_)
    leaves = {key: Tensor(round_.before.get(key, p._data), True, p.dtype) for key, p in round_.leaves.items()}
    originals = {id(leaves[key]): p for key, p in round_.leaves.items()}
    follower = _Follower(_tainted(operations, round_.losses))
    for key, copied in leaves.items():
        follower.finite._first[id(copied)] = weakref.ref(copied), _size(initial.get(key, copied._data))
    before = watch()
    try:
        with enable_grad(), np.errstate(all="ignore"):
            watch(follower)
            _run_again(operations, round_.losses, leaves, follower)
    except _StoppedError as stopped:
        return _told(stopped, round_, _growth(round_, initial), name, follower)
    except _CameInError as came:
        return _told_of_input(came, originals, round_, name, follower.at.line)
    except NotFiniteError as error:
        grown = _growth(round_, initial)
        return Blame(f"In step {round_.number + 1}, {error.cause}", "clip_grad_norm(model.parameters(), 1.0)", error.line, grown)
    finally:
        watch(*before)
    return None


def _leading_to_losses(round_: Round) -> list[Operation]:
    """The operations that the losses were computed by, those of constants too, oldest first."""
    untracked = iter([*round_.untracked, (len(round_.operations) + 1, None)])
    merged: list[Operation] = []
    position, waiting = next(untracked)
    for i, operation in enumerate(round_.operations):
        while position <= i and waiting is not None:
            merged.append(waiting)
            position, waiting = next(untracked)
        merged.append(operation)
    wanted = {id(loss) for loss in round_.losses}
    chosen = []
    for operation in reversed(merged):
        if id(operation.out) in wanted:
            chosen.append(operation)
            wanted |= {id(x) for x in operation.inputs if isinstance(x, Tensor)}
    return chosen[::-1]


def _tainted(operations: list[Operation], losses: list[Tensor]) -> set[int]:
    """The ids of results through which NaN or inf came into the losses."""
    tainted = {id(loss) for loss in losses if not np.isfinite(loss._data).all()}
    for operation in reversed(operations):
        if id(operation.out) in tainted:
            tainted |= {id(x) for x in operation.inputs if isinstance(x, Tensor) and not np.isfinite(x._data).all()}
    return tainted


def _run_again(operations: list[Operation], losses: list[Tensor], leaves: dict[int, Tensor], follower: _Follower) -> None:
    """Forward, and where all losses are finite backward."""
    made: dict[int, Any] = {}
    for operation in operations:
        follower.at = operation
        inputs = [made.get(id(x), leaves.get(id(x), x)) if isinstance(x, Tensor) else x for x in operation.inputs]
        result: Any = apply(operation.rule, *inputs, **operation.options)
        made[id(operation.out)] = result[operation.part] if isinstance(result, tuple) else result
    if not follower.tainted:
        for loss in losses:
            if id(loss) in made and made[id(loss)]._requires_grad:
                made[id(loss)].backward(np.ones(loss.shape, loss.dtype), retain_graph=True)


def _size(array: np.ndarray) -> float:
    return float(np.abs(array).max()) if array.size else 0.0


def _growth(round_: Round, initial: dict[int, np.ndarray]) -> Tensor | None:
    """The parameter that has grown most since it was first used, if one has by much."""
    grown = []
    for key, p in round_.leaves.items():
        now = _size(round_.before.get(key, p._data))
        grown.append((now / max(_size(initial.get(key, p._data)), 0.3), key))
    times, key = max(grown, default=(0.0, 0))
    return round_.leaves[key] if not times <= TIMES else None


def _told(stopped: _StoppedError, round_: Round, grown: Tensor | None, name: Callable[[Tensor], str], follower: _Follower) -> Blame:
    f, cause, step = stopped.failure, stopped.cause, round_.number + 1
    what, bad = name_of(f.rule), f"{f.value[f.index]:g}"
    backward = f.position is not None
    told = f"{what} gave {bad} first, in step {step}"
    if backward:
        told = f"The loss is finite, but in step {step} the gradient of {what} is {bad}"
    seen = f"{told}: {cause.fact}{_range_of(f)}"
    line = stopped.found.line if stopped.found is not None else None
    if cause.grows and grown is not None:
        size = _size(round_.before.get(id(grown), grown._data))
        return Blame(f"{seen} {name(grown)} has grown to {size:.3g}.", "optimizer.lr = optimizer.lr / 10", line, grown)
    return Blame(seen, _cure(f, cause), line)


def _range_of(f: Failure) -> str:
    arrays = [x for x in f.arrays if isinstance(x, np.ndarray) and x.size and x.dtype.kind == "f"]
    return f" Its input went from {arrays[0].min():.4g} to {arrays[0].max():.4g}." if arrays else ""


def _told_of_input(
    came: _CameInError, originals: dict[int, Tensor], round_: Round, name: Callable[[Tensor], str], line: Line | None
) -> Blame:
    what, step, p = name_of(came.rule), round_.number + 1, originals.get(id(came.x))
    array = np.asarray(came.x._data if isinstance(came.x, Tensor) else came.x)
    bad = "nan" if np.isnan(array).any() else "inf"
    if p is not None:
        got = f"{what} got {name(p)} with {bad} in it, in step {step}"
        if round_.number:
            return Blame(f"{got}: the update before made it so.", "optimizer.lr = optimizer.lr / 10", line, p)
        return Blame(f"{got}: it was made so.", "leave the layers' own initial values", line)
    if came.rule is rules.cross_entropy and not array.ndim:
        return Blame(f"{what} has no labels to take the mean over, in step {step}.", "if len(y): ...  # skip batches without labels", line)
    seen = f"{what} got {bad} in step {step} from what no operation on a Tensor made: the data, or what NumPy computed of them."
    return Blame(seen, "x, y = x[np.isfinite(x).all(1)], y[np.isfinite(x).all(1)]", line)


def _cure(f: Failure, cause: Cause) -> str:
    """A line that keeps the operation away from where it fails."""
    rule, x, y = f.rule, f.at(0), f.at(1)
    called = getattr(rule, "__name__", "f")
    if f.mask:
        return f"where(x > 0, where(x > 0, x, 1).{called}(), 0)  # a safe argument where the branch is not taken"
    if rule in (rules.log, rules.log2, rules.log10):
        makers = f.makers()
        if x is not None and x < 0:
            return "(x.softplus() + 1e-8).log()  # what must be positive is made so first; or predict the logarithm itself"
        if makers[:1] == [rules.softmax] and not _masked(f.inputs[0]):
            return "logits.log_softmax(axis=-1)  # in place of logits.softmax(axis=-1).log()"
        if makers[:1] == [rules.sigmoid]:
            return "BCEWithLogitsLoss()(logits, y)  # needs no logarithm; or (p + 1e-8).log()"
        return "(p + 1e-8).log()"
    if rule is rules.divide and y is not None:
        if set(f.makers(1)[:1]) & {rules.sqrt}:
            return "x / (squares + 1e-8).sqrt()  # 1e-8 under the root, whose slope at 0 is infinite"
        return "x / (y + 1e-8)"
    if rule is rules.sqrt:
        return "x.clip(1e-12, None).sqrt()" if f.position is None else "(x + 1e-8).sqrt()  # the slope of the root at 0 is infinite"
    if rule is rules.power:
        return "x.clip(1e-8, None) ** y  # keep the base above 0"
    if rule in (rules.exp, rules.expm1):
        return "x.clip(-20, 20).exp()  # or softmax(), log_softmax(), logsumexp(), which subtract the maximum"
    if rule in (rules.softmax, rules.log_softmax, rules.logsumexp, rules.cross_entropy) and "-inf" in cause.fact:
        return "where(mask, scores, -1e9)  # not -inf: a row of which all is hidden stays finite"
    if rule is rules.multiply and np.isnan(f.value[f.index]):
        return "where(mask, x, -1e9)  # in place of a product with inf"
    if rule is rules.standardize:
        return "LayerNorm(n, eps=1e-5)  # not eps=0"
    if rule is rules.mean and f.arrays[0].size == 0:
        return "if len(x): ...  # skip what is empty"
    return cause.advice or DEBUG


def _masked(probabilities: Any) -> bool:
    """Whether a softmax was given -inf, so that its zeros are meant."""
    node = getattr(probabilities, "_node", None)
    given = node.inputs[0] if isinstance(node, Node) and node.inputs else None
    return given is not None and bool(np.isneginf(given._data if isinstance(given, Tensor) else given).any())
