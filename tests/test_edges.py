"""The edges of arithmetic beside PyTorch's: huge logits, certain probabilities, nothing in a batch, axes of size one, no axes, no
variance, inf and NaN. Where PyTorch is known to be poor, the exact result is asked for instead."""

import warnings

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import Tensor

torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")
F = torch.nn.functional
pytestmark = pytest.mark.oracle

INF, NAN = np.inf, np.nan


def compared(ours, theirs, *arrays, dtype=np.float64, rtol=1e-12, atol=1e-300):
    """Value and gradients of the sum in both libraries; NaN and inf must be in the same places."""
    with mg.default_dtype(dtype), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        xs = [Tensor(np.array(x, dtype), requires_grad=True) for x in arrays]
        ys = [torch.tensor(np.array(x, dtype), requires_grad=True) for x in arrays]
        found, expected = ours(*xs), theirs(*ys)
        np.testing.assert_allclose(found.data, expected.detach().numpy(), rtol, atol)
        found.sum().backward()
        expected.sum().backward()
        for x, y in zip(xs, ys, strict=True):
            np.testing.assert_allclose(x.grad, np.zeros(y.shape) if y.grad is None else y.grad.numpy(), rtol, atol)


# -- large logits and certain probabilities ------------------------------------------------------------------------------

HUGE = [[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4]]
LABELS = np.array([1, 2, 0, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_huge_logits(dtype, reduction):
    theirs = torch.tensor(LABELS)
    compared(
        lambda x: mg.CrossEntropyLoss(reduction=reduction)(x, LABELS),
        lambda x: F.cross_entropy(x, theirs, reduction=reduction),
        HUGE,
        dtype=dtype,
        rtol=1e-6,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_and_its_logarithm_of_huge_logits(dtype):
    compared(lambda x: x.softmax() * x.softmax(), lambda x: x.softmax(-1) ** 2, HUGE, dtype=dtype, rtol=1e-6, atol=1e-7)
    compared(lambda x: x.log_softmax() * 2, lambda x: x.log_softmax(-1) * 2, HUGE, dtype=dtype, rtol=1e-6, atol=3e-7)


def test_the_logarithm_of_a_softmax_where_pytorch_s_composition_is_infinite():
    x = Tensor([[1e4, 0.0]], requires_grad=True)
    y = x.log_softmax()
    np.testing.assert_array_equal(y.data, [[0.0, -1e4]])
    assert np.isinf(torch.tensor([[1e4, 0.0]]).softmax(-1).log().numpy()).any()


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_binary_cross_entropy_of_huge_logits(target):
    logits = [1e4, -1e4, 0.0, 40.0, -40.0]
    targets = np.full(5, target)
    compared(
        lambda x: mg.BCEWithLogitsLoss(reduction="none")(x, targets),
        lambda x: F.binary_cross_entropy_with_logits(x, torch.tensor(targets), reduction="none"),
        logits,
        atol=1e-17,
    )


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_binary_cross_entropy_of_certain_probabilities(target):
    targets = np.full(2, target)
    compared(
        lambda p: mg.BCELoss(reduction="none")(p, targets),
        lambda p: F.binary_cross_entropy(p, torch.tensor(targets), reduction="none"),
        [0.0, 1.0],
        rtol=1e-7,  # PyTorch writes its bound 1e-12 in single precision
    )


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "silu", "gelu", "elu", "relu"])
def test_activations_of_huge_values(name):
    theirs = (lambda x: torch.logaddexp(x, torch.zeros_like(x))) if name == "softplus" else getattr(torch, name, None) or getattr(F, name)
    compared(getattr(Tensor, name), theirs, [1e4, -1e4, 700.0, -700.0, 30.0, -30.0, 0.0], rtol=1e-7, atol=1e-30)


# -- nothing in a batch, one, and no axes --------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_losses_of_an_empty_batch(reduction):
    """A mean over nothing is NaN, a sum 0, as in PyTorch."""
    none = np.empty((0, 3))
    for ours, theirs in [
        (mg.MSELoss(reduction=reduction), torch.nn.MSELoss(reduction=reduction)),
        (mg.L1Loss(reduction=reduction), torch.nn.L1Loss(reduction=reduction)),
        (mg.HuberLoss(reduction=reduction), torch.nn.HuberLoss(reduction=reduction)),
        (mg.BCEWithLogitsLoss(reduction=reduction), torch.nn.BCEWithLogitsLoss(reduction=reduction)),
    ]:
        compared(lambda x, f=ours: f(x, none), lambda x, f=theirs: f(x, torch.tensor(none)), none)
    compared(
        lambda x: mg.CrossEntropyLoss(reduction=reduction)(x, np.empty(0, int)),
        lambda x: F.cross_entropy(x, torch.empty(0, dtype=torch.long), reduction=reduction),
        none,
    )


@pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4), (0, 0, 4)])
def test_layers_of_an_empty_batch(shape):
    model = mg.Sequential(mg.Linear(4, 3), mg.ReLU(), mg.LayerNorm(3), mg.Dropout(0.5), mg.Linear(3, 2))
    x = Tensor(np.empty(shape), requires_grad=True)
    y = model(x)
    assert y.shape == (*shape[:-1], 2)
    y.sum().backward()
    assert x.grad.shape == shape
    for p in model.parameters():
        np.testing.assert_array_equal(p.grad, np.zeros(p.shape))


REDUCTIONS = {
    "sum": lambda x, axis, keep: x.sum(axis, keepdim=keep),
    "mean": lambda x, axis, keep: x.mean(axis, keepdim=keep),
    "max": lambda x, axis, keep: x.amax(axis, keepdim=keep),
    "min": lambda x, axis, keep: x.amin(axis, keepdim=keep),
    "var": lambda x, axis, keep: x.var(axis, correction=0, keepdim=keep),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("shape", "axis"), [((1,), 0), ((3, 1), 1), ((3, 1), -1), ((1, 1, 1), (0, 2)), ((2, 1, 3), 1)])
def test_reductions_over_axes_of_size_one(name, keep, shape, axis):
    x = np.random.default_rng(0).standard_normal(shape)
    compared(lambda t: getattr(t, name)(axis, keep), lambda t: REDUCTIONS[name](t, axis, keep), x)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_reductions_without_axes(name):
    compared(lambda t: getattr(t, name)(), lambda t: getattr(t, name)(), 2.5)


def test_arithmetic_without_axes():
    compared(lambda x, y: x * y + x / y - x**y, lambda x, y: x * y + x / y - x**y, 2.5, 1.5)
    compared(lambda x, y: (x * y).exp() @ y, lambda x, y: (x * y).exp() @ y, [2.0, 0.5], [0.1, 0.3])


def test_sums_over_nothing():
    compared(lambda x: x.sum(0), lambda x: x.sum(0), np.empty((0, 3)))
    compared(lambda x: x.sum(1), lambda x: x.sum(1), np.empty((2, 0)))
    compared(lambda x: x.mean(0), lambda x: x.mean(0), np.empty((0, 3)))
    compared(lambda x: x @ np.ones((0, 4)), lambda x: x @ torch.ones((0, 4), dtype=torch.float64), np.empty((2, 0)))
    with pytest.raises(ValueError, match="max"):
        Tensor(np.empty((0, 3))).max(0)


def test_softmax_over_an_axis_of_one_is_one_with_no_gradient():
    compared(lambda x: x.softmax(1) * 3, lambda x: x.softmax(1) * 3, [[5.0], [-2.0]])
    compared(lambda x: x.log_softmax(1) * 3, lambda x: x.log_softmax(1) * 3, [[5.0], [-2.0]])


# -- no variance ---------------------------------------------------------------------------------------------------------


def test_normalisation_of_what_does_not_vary():
    same = np.full((4, 3), 2.5)
    weights = np.arange(12.0).reshape(4, 3)
    with mg.default_dtype(np.float64):
        batch, layer = mg.BatchNorm1d(3), mg.LayerNorm(3)
    compared(
        lambda x: batch(x) * weights,
        lambda x: F.batch_norm(x, None, None, training=True) * torch.tensor(weights),
        same,
        rtol=1e-10,
        atol=1e-10,
    )
    compared(lambda x: layer(x) * weights, lambda x: F.layer_norm(x, (3,)) * torch.tensor(weights), same, rtol=1e-10, atol=1e-10)


def test_variance_of_what_does_not_vary():
    compared(lambda x: x.var(1), lambda x: x.var(1, correction=0), np.full((2, 3), 1e8))


# -- inf and NaN ---------------------------------------------------------------------------------------------------------

STRANGE = [INF, -INF, NAN, 0.0, -0.0, 1.5]


@pytest.mark.parametrize("name", ["exp", "sqrt", "sigmoid", "tanh", "sin", "cos"])
def test_elementary_functions_of_inf_and_nan(name):
    compared(getattr(Tensor, name), getattr(torch, name), STRANGE)


@pytest.mark.parametrize("name", ["abs", "relu"])
def test_values_with_a_kink_of_inf_and_nan(name):
    """At NaN the value is NaN. The slopes there are nobody's: PyTorch's are 0 for abs and 1 for relu, here NaN and 0."""
    compared(getattr(Tensor, name), getattr(torch, name), [x for x in STRANGE if not np.isnan(x)])
    x = Tensor([NAN], requires_grad=True)
    y = getattr(x, name)()
    assert np.isnan(y.data).all()


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_reductions_of_inf_and_nan(name):
    theirs = {"max": "amax", "min": "amin"}.get(name, name)
    compared(lambda x: getattr(x, name)(1), lambda x: getattr(x, theirs)(1), [[INF, 1.0], [-INF, INF], [3.0, -INF]])
    with np.errstate(invalid="ignore"):
        assert np.isnan(getattr(Tensor([1.0, NAN]), name)().data)


def test_arithmetic_of_inf_and_nan():
    x, y = np.meshgrid(STRANGE, STRANGE)
    for f in (lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b):
        compared(f, f, x, y)


def test_softmax_with_a_masked_entry():
    """-inf takes no part: weight 0, gradient 0."""
    x = [[1.0, -INF, 2.0], [-INF, -INF, 0.5]]
    compared(lambda x: x.softmax() ** 2, lambda x: x.softmax(-1) ** 2, x)


def test_a_nan_in_one_example_stays_in_it():
    x = Tensor([[1.0, NAN], [1.0, 2.0]], requires_grad=True)
    y = x.softmax()
    (y * y).sum(1)[1].backward()
    assert np.isnan(y.data[0]).all()
    assert np.isfinite(y.data[1]).all()
    assert np.isfinite(x.grad[1]).all()


# -- the branch not taken ------------------------------------------------------------------------------------------------


def test_where_with_an_infinite_derivative_in_the_branch_not_taken():
    """NaN through the single `where`, as in PyTorch; none through the double one, as documented."""
    x = [-1.0, 0.0, 4.0]
    compared(lambda x: mg.where(x.data > 0, x.sqrt(), 0.0), lambda x: torch.where(x > 0, x.sqrt(), 0.0), x)

    def safely(x):
        return mg.where(x.data > 0, mg.where(x.data > 0, x, 1.0).sqrt(), 0.0)

    tensor = Tensor(x, requires_grad=True)
    safely(tensor).sum().backward()
    np.testing.assert_array_equal(tensor.grad, [0.0, 0.0, 0.25])


# -- roots and norms at 0 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ord_", [None, 1, 2, 3, np.inf])
def test_the_norm_of_zero_has_the_gradient_zero(ord_):
    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    y = np.linalg.norm(x, ord_, axis=1)
    y.sum().backward()
    np.testing.assert_array_equal(y.data, 0)
    np.testing.assert_array_equal(x.grad, 0)


def test_the_square_root_at_zero_is_infinitely_steep():
    compared(lambda x: x.sqrt(), torch.sqrt, [0.0, 1e-300, 4.0])
