"""What must hold of a rule, for one case of the table. Each check raises AssertionError, naming the case."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .table import Case, Kink

TOLERANCE = 1e-7


def differentiable(case: Case, constants: Sequence[int]) -> list[int]:
    """The positions of the inputs that have a pullback and take a gradient."""
    return [i for i, x in enumerate(case.inputs) if isinstance(x, np.ndarray) and x.dtype.kind == "f" and i not in constants]


def in_dtype(case: Case, dtype: Any) -> Case:
    """The case with floating arrays in another dtype."""
    inputs = [x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in case.inputs]
    options = {name: dtype if name == "dtype" else value for name, value in case.options.items()}
    return Case(tuple(inputs), options)


def read_only(x: Any) -> Any:
    """A rule that writes into what it is given raises on this."""
    if isinstance(x, np.ndarray):
        x = x.copy()
        x.flags.writeable = False
    return x


def close(found: Any, expected: Any, tolerance: float = TOLERANCE) -> bool:
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return False
    finite = np.isfinite(expected)
    if not np.array_equal(found[~finite], expected[~finite]):
        return False
    found, expected = found[finite], expected[finite]
    return bool(np.all(np.abs(found - expected) <= tolerance * np.maximum(1, np.abs(expected))))


def parts(value: Any) -> tuple[Any, ...]:
    """The values of a rule that returns several, or its one."""
    return value if isinstance(value, tuple) else (value,)


def cotangent(random: np.random.Generator, value: Any, dtype: Any = np.float64) -> Any:
    """A random cotangent of each value, in a tuple where the rule returns one."""
    g = tuple(np.asarray(random.standard_normal(np.shape(part)), dtype) for part in parts(value))
    return g if isinstance(value, tuple) else g[0]


def projected(value: Any, g: Any) -> Any:
    """<value, g>, summed over the values."""
    return sum(np.sum(part * along) for part, along in zip(parts(value), parts(g), strict=True))


def difference(f: Callable[[float], float], step: float = 5e-4) -> float:
    """f'(0) by two central differences and Richardson's extrapolation: the error is O(step^4)."""

    def central(h: float) -> float:
        return (f(h) - f(-h)) / (2 * h)

    return (4 * central(step / 2) - central(step)) / 3


def check_value(rule: Callable[..., Any], formula: Callable[..., Any], case: Case) -> None:
    value, _ = rule(*map(read_only, case.inputs), **case.options)
    wanted = formula(*case.inputs, **case.options)
    for found, expected in zip(parts(value), parts(wanted), strict=True):
        assert np.shape(found) == np.shape(expected), f"value of shape {np.shape(found)}, not {np.shape(expected)}"
        assert close(found, expected, 1e-12), f"value {found}, not {expected}"


def check_pullbacks(rule: Callable[..., Any], case: Case, constants: Sequence[int]) -> None:
    """One pullback per input, each the transpose of the derivative: <pullback(g), v> = <g, d value / d input (v)>."""
    random = np.random.default_rng(1)
    value, pullbacks = rule(*map(read_only, case.inputs), **case.options)
    assert len(pullbacks) == len(case.inputs), f"{len(pullbacks)} pullbacks for {len(case.inputs)} inputs"
    assert [i for i, pullback in enumerate(pullbacks) if pullback is None] == list(constants)
    for i in differentiable(case, constants):
        x = case.inputs[i]
        v, g = random.standard_normal(x.shape), cotangent(random, value)

        def along(h: float, i: int = i, x: Any = x, v: Any = v, g: Any = g) -> float:
            return projected(rule(*case.inputs[:i], x + h * v, *case.inputs[i + 1 :], **case.options)[0], g)

        pulled = pullbacks[i](tuple(map(read_only, g)) if isinstance(g, tuple) else read_only(g))
        assert np.broadcast_shapes(pulled.shape, x.shape) == pulled.shape, f"pullback {i} returned shape {pulled.shape} for {x.shape}"
        found, expected = np.sum(pulled * np.broadcast_to(v, pulled.shape)), difference(along)
        assert close(found, expected), f"pullback {i} gives {found} along a direction, differences {expected}"
        assert np.array_equal(pullbacks[i](g), pulled), f"pullback {i} gives something else the second time"


def check_dtype(rule: Callable[..., Any], case: Case, constants: Sequence[int], dtype: Any = np.float32) -> None:
    if "dtype" in case.options:  # it decides, whatever the input's dtype
        assert rule(*case.inputs, **case.options | {"dtype": dtype})[0].dtype == dtype
    case = in_dtype(case, dtype)
    value, pullbacks = rule(*case.inputs, **case.options)
    if not any(isinstance(x, np.ndarray) and x.dtype == dtype for x in case.inputs):
        return
    assert all(part.dtype == dtype for part in parts(value)), f"values of dtypes {[part.dtype for part in parts(value)]}"
    g = cotangent(np.random.default_rng(0), value, dtype)
    for i in differentiable(case, constants):
        pulled = pullbacks[i](g)
        assert pulled.dtype == dtype, f"pullback {i} returned dtype {pulled.dtype}"


def check_kink(rule: Callable[..., Any], kink: Kink) -> None:
    """The value, and the gradients of its sum, where differences can't tell."""
    with np.errstate(**({"divide": "ignore", "invalid": "ignore"} if kink.singular else {})):
        value, pullbacks = rule(*kink.inputs, **kink.options)
        g = tuple(np.full(np.shape(part), 3.0) for part in parts(value))
        g = g if isinstance(value, tuple) else g[0]
        gradients = [pull(g) / 3 if wanted is not None else None for pull, wanted in zip(pullbacks, kink.gradients, strict=True)]
    if kink.value is not None:
        for found, expected in zip(parts(value), parts(kink.value), strict=True):
            assert close(found, expected, 1e-12), f"value {found}, not {expected}"
    for i, (found, expected) in enumerate(zip(gradients, kink.gradients, strict=True)):
        assert expected is None or close(found, expected), f"pullback {i} gives {found}, not {expected}"


def check_engine(tensor: Any, rule: Callable[..., Any], case: Case, constants: Sequence[int], dtype: Any = np.float64) -> None:
    """Through `backward`, every gradient has its input's shape and dtype, and is the pullback's sum over broadcast axes."""
    case = in_dtype(case, dtype)
    wanted = differentiable(case, constants)
    value, pullbacks = rule(*case.inputs, **case.options)
    g = cotangent(np.random.default_rng(2), value, dtype)
    with tensor.default_dtype(dtype):
        inputs = [tensor.Tensor(x, requires_grad=True) if i in wanted else x for i, x in enumerate(case.inputs)]
        output = tensor.apply(rule, *inputs, **case.options)
        for found, expected in zip(parts(output), parts(value), strict=True):
            assert found.dtype == dtype
            assert found.shape == np.shape(expected)
        if not wanted:
            return
        if isinstance(output, tuple):
            projected(output, g).backward()
        else:
            output.backward(g)
    for i in wanted:
        x, pulled, grad = case.inputs[i], pullbacks[i](g), inputs[i].grad
        v = np.random.default_rng(3).standard_normal(x.shape)
        assert grad.shape == x.shape, f"gradient {i} of shape {grad.shape}, not {x.shape}"
        assert grad.dtype == dtype
        assert close(np.sum(grad * v), np.sum(pulled * np.broadcast_to(v, pulled.shape)), 1e-9 if dtype is np.float64 else 1e-4)


def check_second_order(tensor: Any, rule: Callable[..., Any], case: Case, constants: Sequence[int]) -> None:
    """The derivative of the gradient, by replay, against differences of the gradient.

    Of the value's projection on a random cotangent, plus a multiple of its square: so rules that are linear are seen too.
    """
    random = np.random.default_rng(4)
    wanted = differentiable(case, constants)
    if not wanted:
        return
    directions = {i: random.standard_normal(case.inputs[i].shape) for i in wanted}
    weights = {i: random.standard_normal(case.inputs[i].shape) for i in wanted}
    c, d = (cotangent(random, rule(*case.inputs, **case.options)[0]) for _ in range(2))

    def gradient(h: float, create_graph: bool = False) -> tuple[list[Any], Any]:
        """The inputs moved by h, and the projection of the gradient there."""
        inputs = [tensor.Tensor(x + h * directions[i], requires_grad=True) if i in directions else x for i, x in enumerate(case.inputs)]
        value = tensor.apply(rule, *inputs, **case.options)
        leaves = [inputs[i] for i in wanted]
        squares = tuple(part * part for part in parts(value))
        slopes = tensor.gradients(projected(value, c) + projected(squares, d), leaves, create_graph=create_graph)
        return leaves, sum((slope * weights[i]).sum() for i, slope in zip(wanted, slopes, strict=True))

    with tensor.default_dtype(np.float64):
        leaves, slope = gradient(0, create_graph=True)
        curvatures = tensor.gradients(slope, leaves)
        found = sum(np.sum(k.data * directions[i]) for i, k in zip(wanted, curvatures, strict=True))
        expected = difference(lambda h: gradient(h)[1].item())
    assert close(found, expected), f"second derivative {found} along a direction, differences {expected}"
