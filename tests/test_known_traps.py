"""What an earlier implementation of this library got wrong. Each is a test, under the name of the mistake."""

import gc

import numpy as np
import pytest

from micrograd_plus import (
    Adam,
    AdamW,
    BatchNorm,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    Linear,
    Module,
    MSELoss,
    NLLLoss,
    Sequential,
    Tensor,
    gradient_check,
    load_model,
    numerical_gradient,
    save_model,
)

RNG = np.random.default_rng(0)


def test_a_tensor_with_eq_still_hashes():
    a, b = Tensor([1.0, 2.0]), Tensor([1.0, 2.0])
    assert hash(a) == hash(a)
    assert {a: 1, b: 2} == {a: 1, b: 2}
    assert len({a, b, a}) == 2
    assert a in {a}
    np.testing.assert_array_equal(a == b, [True, True])


def test_gradients_are_checked_in_float64():
    seen = set()

    def f(t):
        seen.add(t.dtype)
        return ((t * 1e-3).exp() * 100 + t**3).sum()

    passed, max_error = gradient_check(f, RNG.normal(size=5).astype(np.float32))
    assert passed
    assert max_error < 1e-7
    assert seen == {np.dtype(np.float64)}
    x = np.float32([1.1, -2.3])
    np.testing.assert_allclose(numerical_gradient(lambda a: (Tensor(a) ** 3).sum(), x), 3 * x.astype(np.float64) ** 2, rtol=1e-8)


def test_a_chain_of_operations_is_not_walked_by_recursion():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1e-5
    y.backward()
    assert x.grad == 1
    del y
    gc.collect()


def test_repeated_indices_add_up():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x[[0, 0, 2, 0]] * Tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    np.testing.assert_array_equal(x.grad, [1011, 0, 100])


def test_batched_matrix_products_transpose_the_last_two_axes_only():
    a, b = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(2, 3, 5, 6))
    g = RNG.normal(size=(2, 3, 4, 6))
    A, B = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
    (A @ B).backward(g)
    np.testing.assert_allclose(A.grad, g @ b.swapaxes(-1, -2), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(B.grad, a.swapaxes(-1, -2) @ g, rtol=1e-4, atol=1e-5)


def test_batch_norm_in_evaluation_has_the_gradient_of_an_affine_map():
    layer = BatchNorm(3).eval()
    layer.running_mean[...], layer.running_var[...], layer.weight.data[...] = [1, 2, 3], [4, 9, 16], [1, 2, 3]
    x, g = Tensor(RNG.normal(size=(5, 3)), requires_grad=True), RNG.normal(size=(5, 3))
    layer(x).backward(g)
    np.testing.assert_allclose(x.grad, g * [1, 2, 3] / np.sqrt(np.array([4, 9, 16]) + 1e-5), rtol=1e-5)


def test_the_huber_loss_applies_delta_once():
    p = Tensor([5.0, 0.5], requires_grad=True)
    loss = HuberLoss(delta=2.0, reduction="none")(p, np.float32([0, 0]))
    loss.sum().backward()
    np.testing.assert_array_equal(loss.data, [2 * (5 - 1), 0.125])
    np.testing.assert_array_equal(p.grad, [2, 0.5])


@pytest.mark.parametrize("loss_fn", [MSELoss(), L1Loss(), HuberLoss()])
@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((4,), (4, 1)), ((4, 1), (1, 4)), ((4,), ())])
def test_a_loss_between_different_shapes_is_refused(loss_fn, shapes):
    with pytest.raises(ValueError, match="predictions and targets must have the same shape"):
        loss_fn(*(Tensor(np.ones(shape)) for shape in shapes))


@pytest.mark.parametrize("loss_fn", [CrossEntropyLoss(), NLLLoss()])
@pytest.mark.parametrize("label", [-1, 3, 0.5])
def test_a_label_that_is_no_class_is_refused(loss_fn, label):
    with pytest.raises(ValueError, match="labels must be"):
        loss_fn(np.zeros((2, 3)), np.array([0, label]))


def test_custom_modules_have_parameters():
    class Net(Module):
        def __init__(self):
            self.layers = [Linear(2, 3), Linear(3, 1)]
            self.scale = Tensor(1.0, requires_grad=True)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x * self.scale

    assert [p.shape for p in Net().parameters()] == [(2, 3), (3,), (3, 1), (1,), ()]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_load_model_refuses_wrong_shapes_and_writes_nothing(tmp_path, suffix):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    save_model(Sequential(Linear(2, 3), Linear(3, 1)), tmp_path / f"model{suffix}")
    target = Sequential(Linear(2, 3), Linear(3, 2))
    before = target.state_dict()
    with pytest.raises(ValueError, match="must be"):
        load_model(target, tmp_path / f"model{suffix}")
    for name, array in target.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_adam_decays_through_the_gradient_and_adamw_the_weights():
    def stepped(optimizer):
        p = Tensor([1.0], requires_grad=True, dtype=np.float64)
        p.grad = [0.0]
        optimizer([p], lr=0.1, weight_decay=0.5).step()
        return p.data

    np.testing.assert_allclose(stepped(Adam), [1 - 0.1], rtol=1e-6)
    np.testing.assert_allclose(stepped(AdamW), [1 - 0.1 * 0.5], rtol=1e-6)
