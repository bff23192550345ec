"""Every operation against PyTorch: values and gradients in float64, and the conventions at ties and kinks."""

import numpy as np
import pytest

from micrograd_plus import Tensor, rules, tensor
from micrograd_plus.tensor import apply, default_dtype, gradients

from .checks import parts
from .table import KINKS, TABLE

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")
F = torch.nn.functional


def scattered(values, index, shape):
    """The adjoint of indexing, by PyTorch's own derivative of it."""
    base = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    taken = base[index]
    return torch.autograd.grad(taken, base, values.expand(taken.shape) if values.ndim else values, create_graph=True)[0]


def scattered_along(values, indices, axis, size):
    values, indices = torch.broadcast_tensors(values, indices % size)
    shape = [size if i == axis % values.ndim else n for i, n in enumerate(values.shape)]
    return torch.zeros(shape, dtype=values.dtype).scatter_add(axis, indices, values)


def lstm_cell(gates, c):
    """PyTorch's, with weights that pass the gates on and keep h out."""
    rows, cells, identity = gates.reshape(-1, gates.shape[-1]), c.reshape(-1, c.shape[-1]), torch.eye(gates.shape[-1], dtype=c.dtype)
    values = torch.lstm_cell(rows, (torch.zeros_like(cells), cells), identity, torch.zeros_like(identity[:, : c.shape[-1]]))
    return tuple(value.reshape(c.shape) for value in values)


def gru_cell(x, u, h):
    """PyTorch's, with weights that pass x on and keep h out of the gates; what these get of the state is a bias, row by row."""
    identity = torch.eye(x.shape[-1], dtype=x.dtype)
    nothing = torch.zeros_like(identity)
    rows = [part.reshape(-1, 1, part.shape[-1]) for part in (x, u, h)]
    values = [torch.gru_cell(a, c, identity, nothing[:, : h.shape[-1]], nothing[0], b[0]) for a, b, c in zip(*rows, strict=True)]
    return torch.cat(values).reshape(h.shape)


def standardized(x, axis, eps):
    mean, var = x.mean(axis, keepdim=True), x.var(axis, correction=0, keepdim=True)
    return (x - mean) / (var + eps).sqrt(), mean, var


def windows(x, size, stride, dilation):
    """By PyTorch's own windows, which have no dilation."""
    for axis, (k, s, d) in enumerate(zip(size, stride, dilation, strict=True), x.ndim - len(size)):
        x = x.unfold(axis, d * (k - 1) + 1, s)[..., ::d]
    return x


def windows_added(w, spatial, stride, dilation):
    """The adjoint of windows, by PyTorch's own derivative of them."""
    base = torch.zeros((*w.shape[: -2 * len(spatial)], *spatial), dtype=torch.float64, requires_grad=True)
    seen = windows(base, w.shape[-len(spatial) :], stride, dilation)
    return torch.autograd.grad(seen, base, w, create_graph=True)[0]


def window_max(x, ndim):
    """By PyTorch's max-pooling of one window at a time."""
    flat = x.flatten(-ndim)
    return F.max_pool1d(flat.reshape(-1, 1, flat.shape[-1]), flat.shape[-1]).reshape(flat.shape[:-1])


def convolve(x, weight, stride, dilation, groups):
    return (None, F.conv1d, F.conv2d, F.conv3d)[x.ndim - 2](x, weight, None, stride, 0, dilation, groups)


def convolution_input(g, weight, spatial, **settings):
    """The pullback of a convolution to its input, by PyTorch's own derivative of it."""
    x = torch.zeros((len(g), weight.shape[1] * settings["groups"], *spatial), dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(convolve(x, weight, **settings), x, g, create_graph=True)[0]


def convolution_weight(x, g, size, **settings):
    """The pullback of a convolution to its weight, by PyTorch's own derivative of it."""
    weight = torch.zeros((g.shape[1], x.shape[1] // settings["groups"], *size), dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(convolve(x, weight, **settings), weight, g, create_graph=True)[0]


def reduction(function):
    def reduce(x, axis=None, keepdims=False):
        axes = tuple(range(x.ndim)) if axis is None else tuple(int(i) for i in axis) if isinstance(axis, tuple) else (int(axis),)
        return function(x, axes, keepdims) if axes else x

    return reduce


def norm(x, p, axis=None, keepdims=False):
    over_axes = reduction(lambda x, axes, keepdims: torch.linalg.vector_norm(x, p, axes, keepdims))
    return over_axes(x, axis, keepdims) if np.shape(axis) != (0,) else x.abs()


def as_tensor(x):
    return torch.as_tensor(x, dtype=torch.float64)


# rule: the same in PyTorch
PEERS = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "power": lambda x, y: x**y,
    "negative": lambda x: -x,
    "maximum": lambda x, y: torch.maximum(as_tensor(x), as_tensor(y)),
    "minimum": lambda x, y: torch.minimum(as_tensor(x), as_tensor(y)),
    "where": lambda c, x, y: torch.where(c != 0, as_tensor(x), as_tensor(y)),
    "clip": lambda x, low, high: torch.clip(x, -np.inf if low is None else low, high),
    "absolute": torch.abs,
    "exp": torch.exp,
    "log": torch.log,
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "sin": torch.sin,
    "cos": torch.cos,
    "relu": torch.relu,
    "leaky_relu": lambda x, slope: F.leaky_relu(x, slope),
    "elu": lambda x, alpha: F.elu(x, alpha),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "silu": F.silu,
    "phi": torch.special.ndtr,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "sum": reduction(torch.sum),
    "mean": reduction(torch.mean),
    "max": reduction(torch.amax),
    "min": reduction(torch.amin),
    "prod": lambda x, axis: torch.prod(x, axis),
    "cumsum": lambda x, axis: torch.cumsum(x, axis),
    "logsumexp": reduction(torch.logsumexp),
    "norm": norm,
    "solve": torch.linalg.solve,
    "log2": torch.log2,
    "log10": torch.log10,
    "tan": torch.tan,
    "arctan": torch.arctan,
    "matmul": torch.matmul,
    "affine": lambda x, weight, bias: F.linear(x, weight.T, bias),
    "einsum": lambda *operands, subscripts: torch.einsum(subscripts, *operands),
    "cast": lambda x, dtype: x.to(torch.float64),
    "reshape": lambda x, shape: torch.reshape(x, shape),
    "transpose": lambda x, axes=None: x.permute(axes or tuple(reversed(range(x.ndim)))),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "concatenate": lambda *arrays, axis=0: torch.cat(arrays, axis),
    "stack": lambda *arrays, axis=0: torch.stack(arrays, axis),
    "unstack": lambda x, axis=0: torch.unbind(x, axis),
    "getitem": lambda x, index: x[index],
    "scatter": lambda values, index, shape: scattered(values, index, shape),
    "take_rows": lambda x, indices: x[indices],
    "gather_rows": lambda values, indices, count: torch.zeros((count, *values.shape[1:]), dtype=values.dtype).index_add(0, indices, values),
    "take_along": lambda x, indices, axis: torch.take_along_dim(x, indices % x.shape[axis], axis),
    "scatter_along": scattered_along,
    "pad": lambda x, widths, value=0.0: F.pad(x, [width for pair in reversed(widths) for width in pair], value=value),
    "windows": windows,
    "scatter_windows": windows_added,
    "window_max": window_max,
    "convolution": convolve,
    "convolution_input": convolution_input,
    "convolution_weight": convolution_weight,
    "softmax": lambda x, axis=-1: F.softmax(x, axis),
    "log_softmax": lambda x, axis=-1: F.log_softmax(x, axis),
    "standardize": standardized,
    "lstm_cell": lstm_cell,
    "gru_cell": gru_cell,
    "cross_entropy": lambda logits, labels, weights: F.cross_entropy(logits, labels, reduction="none", ignore_index=-1) * weights.detach(),
    "binary_cross_entropy": lambda p, t: F.binary_cross_entropy(*torch.broadcast_tensors(p, t), reduction="none"),
    "binary_cross_entropy_with_logits": lambda x, t, w: -w * t * F.logsigmoid(x) - (1 - t) * F.logsigmoid(-x),
}
# PyTorch writes the bound 1e-12 in single precision, and bounds the logarithms in the value but not in the target's gradient.
TOLERANCE_AT_KINKS = {"binary_cross_entropy": 1e-8}
GRADIENTS_COMPARED_AT_KINKS = {"binary_cross_entropy": 1}


def torch_index(index):
    """PyTorch reads a list as a tuple."""
    if isinstance(index, tuple):
        return tuple(torch_index(part) for part in index)
    return torch.as_tensor(index) if isinstance(index, (list, np.ndarray)) else int(index) if isinstance(index, np.integer) else index


def has_peer(case):
    """PyTorch has no negative steps."""
    index = case.options.get("index")
    parts = index if isinstance(index, tuple) else (index,)
    return not any(isinstance(part, slice) and (part.step or 1) < 0 for part in parts)


def both(name, inputs, options, g=None):
    """(values, gradients) of our rule and of its peer, with a random cotangent, or with one of equal numbers."""
    with default_dtype(np.float64):
        ours = [Tensor(x, requires_grad=True) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in inputs]
        y = apply(getattr(rules, name), *ours, **options)
    random = np.random.default_rng(5)
    cotangents = [random.standard_normal(part.shape) if g is None else np.full(part.shape, g) for part in parts(y)]
    sum((part * along).sum() for part, along in zip(parts(y), cotangents, strict=True)).backward()
    theirs = [torch.tensor(x, requires_grad=x.dtype.kind == "f") if isinstance(x, np.ndarray) else x for x in inputs]
    options = {key: torch_index(value) if key == "index" else value for key, value in options.items()}
    z = PEERS[name](*theirs, **options)
    torch.autograd.backward(parts(z), [torch.tensor(along) for along in cotangents])
    return ([part.data for part in parts(y)], [x.grad for x in ours if isinstance(x, Tensor)]), (
        [part.detach().numpy() for part in parts(z)],
        [
            torch.zeros_like(x).numpy() if x.grad is None else x.grad.numpy()
            for x in theirs
            if isinstance(x, torch.Tensor) and x.requires_grad
        ],
    )


cases = [
    pytest.param(name, case, id=f"{name}-{i}")
    for name, entry in TABLE.items()
    for i, case in enumerate(entry.cases)
    if has_peer(case) and any(isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in case.inputs)
]
kinks = [pytest.param(name, kink, id=f"{name}-{i}") for name, several in KINKS.items() for i, kink in enumerate(several)]


def test_every_rule_has_a_peer():
    assert set(PEERS) == set(TABLE)


@pytest.mark.parametrize(("name", "case"), cases)
def test_value_and_gradients(name, case):
    (values, grads), (expected, expected_grads) = both(name, case.inputs, case.options)
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-13)
    for grad, wanted in zip(grads, expected_grads, strict=True):
        np.testing.assert_allclose(grad, wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("name", "kink"), kinks)
def test_conventions_at_ties_kinks_and_limits(name, kink):
    with np.errstate(divide="ignore", invalid="ignore"):
        (values, grads), (expected, expected_grads) = both(name, kink.inputs, kink.options, g=1.0)
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-13)
    for grad, wanted in list(zip(grads, expected_grads, strict=True))[: GRADIENTS_COMPARED_AT_KINKS.get(name)]:
        defined = ~np.isnan(wanted)  # PyTorch's log-sum-exp of nothing but -inf has no gradient, nor has its norm of nothing but inf
        np.testing.assert_allclose(grad[defined], wanted[defined], rtol=TOLERANCE_AT_KINKS.get(name, 1e-11), atol=1e-12)


ACTIVATIONS = ["sigmoid", "tanh", "softplus", "silu", "gelu", "gelu_tanh", "elu", "relu"]


@pytest.mark.parametrize("name", [*ACTIVATIONS, "exp", "sin", "cos", "square", "log1p", "softmax", "log_softmax"])
def test_second_derivatives(name):
    x = np.random.default_rng(0).standard_normal((3, 4)) * 0.5
    options = {"alpha": 1.3} if name == "elu" else {}
    c, d = np.random.default_rng(1).standard_normal((2, 3, 4))
    with default_dtype(np.float64):
        ours = Tensor(x, requires_grad=True)
        (slope,) = gradients(apply(getattr(rules, name), ours, **options), [ours], gradient=c, create_graph=True)
        if slope.requires_grad:
            (curvature,) = gradients(slope, [ours], gradient=d)
        else:
            curvature = tensor.zeros(3, 4)
    theirs = torch.tensor(x, requires_grad=True)
    (slope_there,) = torch.autograd.grad(PEERS[name](theirs, **options), theirs, torch.tensor(c), create_graph=True)
    (curvature_there,) = torch.autograd.grad(slope_there, theirs, torch.tensor(d))
    np.testing.assert_allclose(slope.data, slope_there.detach(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(curvature.data, curvature_there, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softplus", "exp", "sin", "cos", "abs"])
def test_float32_values_agree_to_rounding(name):
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32) * 3
    peer = getattr(F, name, None) or getattr(torch, name)
    np.testing.assert_allclose(getattr(Tensor(x), name)().data, peer(torch.tensor(x)), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["var", "std"])
def test_variance_with_numpys_divisor(name):
    x = np.random.default_rng(0).standard_normal((3, 4))
    for axis in (None, 0, (0, 1)):
        ours, theirs = Tensor(x, requires_grad=True, dtype=np.float64), torch.tensor(x, requires_grad=True)
        y, z = getattr(ours, name)(axis), getattr(theirs, name)(axis, correction=0)
        np.testing.assert_allclose(y.data, z.detach())
        y.sum().backward()
        z.sum().backward()
        np.testing.assert_allclose(ours.grad, theirs.grad)


def test_a_chain_with_reuse_and_broadcasting():
    a, b = np.random.default_rng(0).standard_normal((4, 1)), np.random.default_rng(1).standard_normal(3)
    results = []
    for make, exp in (
        (lambda x: Tensor(x, requires_grad=True, dtype=np.float64), Tensor.exp),
        (lambda x: torch.tensor(x, requires_grad=True), torch.exp),
    ):
        x, y = make(a), make(b)
        z = x * y + y * y - x / (y * y + 1)
        (exp(z * 0.1) * z + x).sum().backward()
        results.append((np.asarray(x.grad), np.asarray(y.grad)))
    np.testing.assert_allclose(results[0][0], results[1][0])
    np.testing.assert_allclose(results[0][1], results[1][1])
