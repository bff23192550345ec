"""Transforms: functions that take a function of Tensors and return another, made of its derivatives.

All come from one, the vector-Jacobian product. Of a function from a to b, whose tangent spaces are T a and T b:

    vjp:          (a -> b), a -> b, (T b -> T a)        the value, and the pullback, a linear function
    grad:         (a -> R) -> (a -> T a)                the pullback of 1
    jvp:          (a -> b), a, T a -> b, T b            the pullback of the pullback
    hvp:          (a -> R), a, T a -> T a               the pullback of the gradient
    jacobian:     (a -> b) -> (a -> T b x T a)          the pullback of each basis vector
    hessian:      (a -> b) -> (a -> T b x T a x T a)    the Jacobian of the Jacobian

a and b may be lists, tuples and dicts of Tensors, nested; what belongs to one has its structure. An argument may also be an
array of floats or a number, which takes the default dtype.

f runs once, on *variables*, which stand for its arguments; no Tensor of the caller's changes. A variable is the identity,
recorded: of an argument that requires a gradient, it is a node of that argument's graph. So transforms nest, and no derivative
mistakes another's variable for its own.

A derivative can be differentiated again where it depends on Tensors, other than the variables, that require gradients: on
arguments that do, among them the variables of an enclosing transform, and on what f closes over, such as a model's parameters.
Elsewhere nothing is recorded, and walks are fast. Within `no_grad()`, transforms compute the same and record nothing for their
caller; a `no_grad()` in f counts.
"""

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from . import effects, rules
from .rules import Pulled, Rule
from .tensor import (
    Edge,
    Tensor,
    _array,
    _as_traced,
    _creation,
    _name,
    _record_parts,
    _result,
    _state,
    _walk,
    apply,
    default_dtype,
    enable_grad,
    from_numpy,
    stack,
    zeros,
)

Function = Callable[..., Any]
Tree = Any  # a leaf, which is a Tensor, an array or a number; or a list, tuple or dict of trees
Argnums = int | Sequence[int]


# -- derivatives ---------------------------------------------------------------------------------------------------------


def vjp(f: Function, *primals: Tree, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of f and its pullback, g -> (g^T J_1, g^T J_2, ...), J_i the Jacobian with respect to primal i.

    vjp: (a -> b), a -> b, (T b -> T a). The pullback can be called any number of times, and keeps the graph; a backward() from a
    recorded value would free it, unless called with retain_graph=True.

    Args:
        f: a function of the primals; if `has_aux`, it returns a pair of what is differentiated and anything else.
        primals: where; f is differentiated with respect to all of them.
        has_aux: return also what f returns besides: (value, pullback, aux).

    Raises:
        TypeError: a primal is of integers; f returns other things than floating Tensors, or no pair where `has_aux`.
        ValueError: by the pullback, where the cotangent has not the structure and shapes of the value.

    >>> value, pullback = vjp(lambda x, y: x * y, Tensor([1.0, 2.0]), Tensor([3.0, 4.0]))
    >>> pullback(np.array([1.0, 10.0]))
    (Tensor([ 3., 40.]), Tensor([ 1., 20.]))
    """
    return _vjp(f, primals, next(_creation), has_aux)


def _vjp(f: Function, primals: tuple[Tree, ...], since: int, has_aux: bool = False) -> tuple[Any, ...]:
    """`vjp`, where what was created after `since` is f's own: its variables, and what it computes from them and from older Tensors."""
    recording = _state.recording
    with enable_grad():
        variables = [_variable(x) for x in _leaves(primals)]
        result = f(*_rebuilt(primals, variables))
    if has_aux and not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"with has_aux=True a function must return a pair, (value, aux), got {type(result).__name__}.")
    value, aux = result if has_aux else (result, None)
    outputs = _leaves(value)
    for y in outputs:
        if not isinstance(y, Tensor) or y.dtype.kind != "f":
            given = f"a Tensor of dtype {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
            raise TypeError(
                f"a function to be differentiated must return Tensors of floats, got {given}. "
                "Compute with Tensors throughout; with has_aux=True it may return anything else in a pair, (value, aux)."
            )

    def settled(y: Any) -> Any:
        """As the caller gets it: recorded only if something from before `since` gets a gradient through it."""
        constant = not recording or next(_reached([y], since), None) is None
        return y.detach() if constant and isinstance(y, Tensor) else y

    value, aux = _map(settled, value), _map(settled, aux)
    closes_over = any(y.requires_grad for y in _leaves(value))

    def pullback(cotangent: Tree) -> tuple[Tree, ...]:
        _require_shapes(cotangent, value, "the cotangent must have the structure and shapes of the function's value")
        given = _leaves(cotangent, like=value)
        traced = _state.recording and any(isinstance(g, Tensor) and g.requires_grad for g in given)
        cotangents = [g if traced and isinstance(g, Tensor) else _array(g) for g in given]
        pulled = _pulled(outputs, since, cotangents, variables, replay=traced or (_state.recording and closes_over))
        tensors = [g if isinstance(g, Tensor) else Tensor(g, dtype=g.dtype) for g in pulled]
        tree: tuple[Tree, ...] = _rebuilt(primals, tensors if traced else map(settled, tensors))
        return tree

    return (value, pullback, aux) if has_aux else (value, pullback)


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function of the same arguments that returns the value of f and its gradient: (a -> R) -> (a -> R, T a).

    Args:
        f: returns a Tensor of one element; if `has_aux`, a pair of that and anything else.
        argnums: the position of the argument to differentiate with respect to, or a tuple of positions, for a tuple of gradients.
        has_aux: return ((value, aux), gradient).

    Raises:
        ValueError: f returns not one element; `argnums` are not positions of arguments, each once.
        TypeError: as `vjp`; `argnums` are no whole numbers.

    >>> value_and_grad(lambda x, y: (x * y).sum(), argnums=(0, 1))(Tensor([1.0, 2.0]), Tensor([3.0, 4.0]))
    (Tensor(11.), (Tensor([3., 4.]), Tensor([1., 2.])))
    """

    @functools.wraps(f, updated=())
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Tree]:
        function, primals = _restricted(f, argnums, args, kwargs)
        value, pullback, *aux = vjp(function, *primals, has_aux=has_aux)
        if not isinstance(value, Tensor) or value.size != 1:
            raise ValueError(
                f"grad() and value_and_grad() need a function that returns one number, got {_shapes(value)}. "
                "Reduce it with .sum() or .mean(), or use jacobian() or vjp(). With has_aux=True it may return a pair, (value, aux)."
            )
        gradient = pullback(np.ones(value.shape))
        return (value, *aux) if has_aux else value, gradient if isinstance(argnums, Sequence) else gradient[0]

    return value_and_gradient


def grad(f: Function, argnums: Argnums = 0) -> Function:
    """A function of the same arguments that returns the gradient of f: (a -> R) -> (a -> T a). As `value_and_grad`.

    >>> grad(lambda x: (x**3).sum())(Tensor([1.0, 2.0]))
    Tensor([ 3., 12.])
    >>> grad(grad(lambda x: x**3))(2.0)
    Tensor(12.)
    """
    both = value_and_grad(f, argnums)

    @functools.wraps(f, updated=())
    def gradient(*args: Any, **kwargs: Any) -> Tree:
        return both(*args, **kwargs)[1]

    return gradient


def jvp(f: Function, primals: Sequence[Tree], tangents: Sequence[Tree]) -> tuple[Tree, Tree]:
    """The value of f, and J v, its derivative along the tangents v: (a -> b), a, T a -> b, T b.

    The pullback g -> g^T J is a linear function, so its own pullback, anywhere, is v -> J v.

    Args:
        f: a function of the primals.
        primals, tangents: tuples of the same structure and shapes.

    Raises:
        TypeError: primals or tangents are no tuples or lists; as `vjp`.
        ValueError: tangents of another structure or other shapes than the primals.

    References: Townsend, A new trick for calculating Jacobian vector products, 2017.

    >>> jvp(lambda x: x**2, (Tensor([1.0, 2.0]),), (Tensor([1.0, 0.5]),))
    (Tensor([1., 4.]), Tensor([2., 2.]))
    """
    primals, tangents = _tangents_of(primals, tangents)
    since = next(_creation)
    value, pullback = _vjp(f, primals, since)
    _, push = _vjp(pullback, (_map(lambda y: Tensor(np.ones_like(y), dtype=y.dtype), value),), since)
    (tangent_out,) = push(tangents)
    return value, tangent_out


def hvp(f: Function, primals: Sequence[Tree], tangents: Sequence[Tree]) -> tuple[Tree, ...]:
    """H v, of the Hessian H of f, which is not built: (a -> R), a, T a -> T a.

    H is the Jacobian of the gradient, and symmetric: H v is the pullback of the gradient at v. It takes two walks, whatever the size.

    Args:
        f: a function of the primals that returns a Tensor of one element.
        primals, tangents: tuples of the same structure and shapes; the result, too, is a tuple.

    >>> hvp(lambda x: (x**3).sum(), (Tensor([1.0, 2.0]),), (Tensor([1.0, 0.5]),))
    (Tensor([6., 6.]),)
    """
    primals, tangents = _tangents_of(primals, tangents)
    _, pullback = vjp(grad(f, tuple(range(len(primals)))), *primals)
    product: tuple[Tree, ...] = pullback(tangents)
    return product


def jacobian(f: Function, argnums: Argnums = 0) -> Function:
    """A function of the same arguments that returns the Jacobian of f: (a -> b) -> (a -> T b x T a).

    Of an output of shape s and an argument of shape t, it has shape s + t. Trees are nested in this order too.
    f runs once; there is one walk for each element of its value.

    >>> jacobian(lambda x: x**2)(Tensor([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    """

    @functools.wraps(f, updated=())
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Tree:
        function, primals = _restricted(f, argnums, args, kwargs)
        value, pullback = vjp(function, *primals)
        outputs, blocks = _leaves(value), []
        for k, y in enumerate(outputs):
            rows = []
            for i in range(y.size):
                basis = [((np.arange(x.size) == i) * (j == k)).reshape(x.shape) for j, x in enumerate(outputs)]
                rows.append(_leaves(pullback(_rebuilt(value, basis))))
            columns = []
            for j, x in enumerate(_leaves(primals)):
                shape, dtype = y.shape + np.shape(x), x.dtype if isinstance(x, Tensor) else None
                columns.append(stack([row[j] for row in rows]).reshape(shape) if rows else zeros(shape, dtype=dtype))
            block = _rebuilt(primals, columns)
            blocks.append(block if isinstance(argnums, Sequence) else block[0])
        return _rebuilt(value, blocks)

    return jacobian_of_f


def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """A function of the same arguments that returns the Hessian of f: (a -> b) -> (a -> T b x T a x T a), symmetric in the last two.

    It is jacobian(jacobian(f)): for each element of the value of f one recorded walk, and then one walk for each element of the gradient.

    >>> hessian(lambda x: (x**3).sum())(Tensor([1.0, 2.0]))
    Tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacobian(jacobian(f, argnums), argnums)


# -- control over what is recorded ---------------------------------------------------------------------------------------


def stop_gradient(x: Tree) -> Tree:
    """The same values, of derivative 0.

    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    Tensor(3.)
    """
    return _map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, x)


def checkpoint(f: Function, *args: Any, **kwargs: Any) -> Any:
    """f(*args, **kwargs), of which only the inputs are kept: the backward walk runs f again for its intermediate results.

    `checkpoint(f)`, without arguments, is f so changed; it serves as a decorator. Gradients are those of f, to its arguments and
    to all that it closes over; only where a Tensor is used in f and elsewhere may they be added in another order. It costs a
    second run of f, and memory for the intermediate results of one f at a time.

    The second run finds what the first one found, and leaves no trace: generators, and arrays written by `effects.assign` such as the
    running statistics of a BatchNorm, are wound back for it and are then as they were. What else decides what f computes, such as
    the mode of a module, must not change in between.

    Args:
        f: any function. What it returns besides Tensors that require gradients is passed on.

    Raises:
        RuntimeError: f can't be run again, for a Tensor that it used is gone; or, in the walk, it returns something else.

    References: Chen et al., 2016, arXiv:1604.06174.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: (x.exp() * x).sin(), x).sum().backward()
    """

    @functools.wraps(f, updated=())
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        if effects.is_traced():  # the compiler decides what is kept
            return f(*args, **kwargs)
        run, since, dtype = effects.Run(), next(_creation), _state.default_dtype
        with run.first():
            result = f(*args, **kwargs)
        leaves, shapes = _leaves(result), _shapes(result)
        recorded = [isinstance(y, Tensor) and y.requires_grad for y in leaves]
        inputs: list[Any] = [edge if isinstance(edge, Tensor) else edge.output() for edge in _reached(leaves, since)]
        if any(x is None for x in inputs):
            raise RuntimeError(
                "checkpoint() must be able to run its function again, but a Tensor that it used is gone. Hold it until after backward()."
            )
        if not inputs:
            return result

        def again() -> tuple[list[Tensor], int]:
            since = next(_creation)
            with enable_grad(), default_dtype(dtype), run.again():
                second = f(*args, **kwargs)
            if _shapes(second) != shapes:
                raise RuntimeError(
                    "checkpoint() needs a function that returns the same when it is run again, "
                    f"got {shapes} and then {_shapes(second)}. Leave what decides that as it was until after backward()."
                )
            return list(itertools.compress(_leaves(second, like=shapes), recorded)), since

        values = [y.data for y in itertools.compress(leaves, recorded)]
        pullbacks: Any = _Jointly(lambda g: _pulled(*again(), g, inputs, replay=False), len(inputs))
        outputs = iter(_record_parts(_recomputed, inputs, {"again": again}, values, pullbacks, record=True))
        return _rebuilt(result, [next(outputs) if replaced else y for y, replaced in zip(leaves, recorded, strict=True)])

    return checkpointed(*args, **kwargs) if args or kwargs else checkpointed


def _recomputed(*inputs: Tensor, again: Callable[[], tuple[list[Tensor], int]]) -> tuple[Any, Any]:
    """The rule of a checkpoint: `again()` runs its function, whose graph begins at the inputs."""
    outputs, since = again()
    return tuple(y.data for y in outputs), _Jointly(lambda g: _pulled(outputs, since, g, inputs, replay=True), len(inputs))


class _Jointly:
    """The pullbacks of several inputs, computed all at once when the first is called; afresh in every walk that goes through them."""

    def __init__(self, pulled: Callable[[Any], list[Any]], count: int) -> None:
        self.pulled, self.count = pulled, count

    def __iter__(self) -> Iterator[Callable[[Any], Any]]:
        found: list[Any] = []

        def pullback(i: int, g: Any) -> Any:
            if not found:
                found.extend(self.pulled(g))
            return found[i]

        return (functools.partial(pullback, i) for i in range(self.count))


def custom_rule(rule: Rule) -> Function:
    """An operation of one's own, from its value and pullbacks, as a function of Tensors.

    Args:
        rule: a function of arrays, and of options as keywords, that returns its value and a tuple with one pullback for each array:
            the map from the cotangent of the value to that of the array, or None where there is no derivative. See `rules.rule`.
            For second derivatives it is run on Tensors, so it and its pullbacks must be written in NumPy's functions and operators,
            and not write into arrays. A rule may return a tuple of values; its pullbacks then take a tuple.

    Raises:
        TypeError: by the operation, where the rule does not return a value and a tuple of functions, or the value is not of floats
            though an input requires a gradient; in the backward walk, where a pullback returns no array.
        ValueError: where there are not as many pullbacks as arrays.
        RuntimeError: in the backward walk, where a pullback returns a wrong shape.

    Check it with `gradient_check`.

    >>> @custom_rule
    ... def cube(x):
    ...     return x**3, (lambda g: 3 * g * x**2,)
    >>> grad(cube)(2.0), grad(grad(cube))(2.0)
    (Tensor(12.), Tensor(12.))
    """

    @functools.wraps(rule, updated=())
    def checked(*arrays: Any, **options: Any) -> Pulled:
        result: Any = rule(*arrays, **options)
        value, pullbacks = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
        if not isinstance(pullbacks, tuple) or not all(pullback is None or callable(pullback) for pullback in pullbacks):
            raise TypeError(
                f"a rule must return its value and a tuple of pullbacks, got {_map(lambda x: type(x).__name__, result)}. "
                "Write it as: return value, (pullback_x, pullback_y)."
            )
        if len(pullbacks) != len(arrays):
            raise ValueError(
                f"a rule must return one pullback for each of its {len(arrays)} inputs, got {len(pullbacks)}. "
                "Give None for an input without a derivative; options are keywords."
            )
        return value, tuple([pullback and functools.partial(_pulled_array, pullback) for pullback in pullbacks])

    @functools.wraps(rule, updated=())
    def operation(*inputs: Any, **options: Any) -> Any:
        result: Any = apply(checked, *inputs, **options)
        for y in result if isinstance(result, tuple) else (result,):
            if y.dtype.kind not in ("f" if y.requires_grad else "fiub"):
                raise TypeError(
                    f"{_name(rule)}: a rule must return floats where an input requires a gradient, else numbers, got dtype {y.dtype}. "
                    "Compute what has no derivative outside of it."
                )
        return result

    return operation


def _pulled_array(pullback: Callable[[Any], Any], g: Any) -> Any:
    """pullback(g), which must have a shape to be compared with the input's."""
    found = pullback(g)
    if not hasattr(found, "shape"):
        raise TypeError(f"a pullback must return an array of its input's shape, got {type(found).__name__}. Mend the rule.")
    return found


# -- variables, and the graph between them and the outputs ---------------------------------------------------------------


def _variable(x: Any) -> Tensor:
    """What stands for an argument: the same values, recorded in the graph of the argument if that has one, else at the root of its own."""
    x = x if isinstance(x, Tensor) else from_numpy(x)
    if x.dtype.kind != "f":
        raise TypeError(f"only floating arguments can be differentiated, got dtype {x.dtype}. Pass floats, or leave it out of argnums.")
    options = {"dtype": x.dtype}
    return _result(rules.cast, (x,), options, *rules.cast(x.data, **options), required=True)


def _pulled(outputs: Sequence[Tensor], since: int, cotangents: Sequence[Any], inputs: Sequence[Tensor], replay: bool) -> list[Any]:
    """The cotangent of each input, arrays, or Tensors where it was recorded; the walk stays within what was created after `since`.

    It starts from a node that joins the outputs: the function <outputs, cotangents>, whose gradients are the cotangents, and whose
    value nobody needs.
    """
    seeds = [_as_traced(g, y) for g, y in zip(cotangents, outputs, strict=True)]
    pullbacks = tuple(lambda _, g=g: g for g in seeds)
    with enable_grad():
        joint = _result(lambda *_: (None, pullbacks), tuple(outputs), {}, np.zeros(()), pullbacks, required=True)
        edges = [x._node or x for x in inputs]
        found = _walk(joint, joint.data, targets=set(edges), replay=replay, since=since)
    return [found.get(edge, np.zeros(edge.shape, edge.dtype)) for edge in edges]


def _reached(outputs: Iterable[Any], since: int) -> Iterator[Edge]:
    """What the outputs were computed from that was there before `since`: leaves that require gradients, and nodes."""
    seen: set[Edge] = set()
    pending: list[Edge | None] = [y._node or y for y in outputs if isinstance(y, Tensor) and y.requires_grad]
    while pending:
        edge = pending.pop()
        if edge is None or edge in seen:
            continue
        seen.add(edge)
        if isinstance(edge, Tensor) or edge.order < since:
            yield edge
        else:
            pending += edge.edges()


# -- arguments -----------------------------------------------------------------------------------------------------------


def _restricted(f: Function, argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Function, tuple[Tree, ...]]:
    """f as a function of the arguments at positions `argnums` alone, and those arguments."""
    try:
        numbers = [operator.index(n) for n in (argnums if isinstance(argnums, Sequence) else (argnums,))]
    except TypeError:
        raise TypeError(f"argnums must be a whole number or a tuple of them, got {argnums!r}.") from None
    positions = [n + len(args) if n < 0 else n for n in numbers]
    if len(set(positions) & set(range(len(args)))) < len(positions):
        raise ValueError(f"argnums must be positions of the arguments given, each once, got {argnums} for {len(args)} arguments.")

    def function(*chosen: Any) -> Any:
        given = dict(zip(positions, chosen, strict=True))
        return f(*[given.get(i, x) for i, x in enumerate(args)], **kwargs)

    return function, tuple(args[i] for i in positions)


def _tangents_of(primals: Any, tangents: Any) -> tuple[tuple[Tree, ...], tuple[Tree, ...]]:
    """Both as tuples, checked."""
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        given = f"{type(primals).__name__} and {type(tangents).__name__}"
        raise TypeError(f"primals and tangents must be tuples, with one entry for each argument, got {given}. Write (x,) for a single one.")
    primals, tangents = tuple(primals), tuple(tangents)
    _require_shapes(tangents, primals, "tangents must have the structure and shapes of the primals")
    return primals, tangents


def _require_shapes(given: Tree, like: Tree, message: str) -> None:
    if _shapes(given) != _shapes(like):
        raise ValueError(f"{message}, {_shapes(like)}, got {_shapes(given)}.")


# -- trees ---------------------------------------------------------------------------------------------------------------


def _map(function: Function, *trees: Tree) -> Any:
    """The tree of `function` of the leaves at each place of trees of one structure, from left to right as in the first."""
    tree = trees[0]
    if isinstance(tree, dict):
        return {key: _map(function, *[tree[key] for tree in trees]) for key in tree}
    if isinstance(tree, (list, tuple)):
        return getattr(tree, "_make", type(tree))([_map(function, *items) for items in zip(*trees, strict=True)])
    return function(*trees)


def _leaves(tree: Tree, like: Tree = None) -> list[Any]:
    """The leaves from left to right, or in the order of another tree of the same structure."""
    leaves: list[Any] = []
    _map(lambda _, leaf: leaves.append(leaf), tree if like is None else like, tree)
    return leaves


def _rebuilt(tree: Tree, leaves: Iterable[Any]) -> Any:
    """A tree of the same structure with other leaves."""
    others = iter(leaves)
    return _map(lambda _: next(others), tree)


def _shapes(tree: Tree) -> Any:
    """The structure of a tree, told by the shapes of its leaves."""
    return _map(lambda leaf: f"shape {np.shape(leaf)}", tree)
