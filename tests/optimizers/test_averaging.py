"""Moving averages of weights and running statistics."""

import inspect

import numpy as np
import pytest

from micrograd_plus import Tensor, layers, losses, nn, optimizers, set_seed

from ..raising import unreached

RNG = np.random.default_rng(2)


class Counting(layers.Module):
    """A parameter, a floating buffer and one of whole numbers."""

    def __init__(self):
        self.weight = Tensor([1.0, 2.0], requires_grad=True)
        self.register_buffer("mean", np.zeros(2, np.float32))
        self.register_buffer("count", np.zeros((), np.int64))

    def forward(self, x):
        return x * self.weight


def moved(model, t):
    model.weight.data[...] = [t, -t]
    model.mean[...] = 10 * t
    model.count[...] = t


def test_averages_follow_the_formula():
    p = Tensor([1.0, 2.0], requires_grad=True, dtype=np.float64)
    average = optimizers.ExponentialMovingAverage([p], decay=0.9)
    expected = p.data.copy()
    np.testing.assert_array_equal(average.averages["0"], expected)
    for t in range(20):
        p.data[...] = RNG.normal(size=2)
        average.update()
        expected = 0.9 * expected + 0.1 * p.data
        np.testing.assert_allclose(average.averages["0"], expected, rtol=1e-12)
        assert average.updates == t + 1


def test_a_warm_up_of_the_decay():
    p = Tensor([1.0], requires_grad=True, dtype=np.float64)
    average, expected = optimizers.ExponentialMovingAverage(p, decay=0.3, warmup=True), 1.0
    for t in range(8):
        p.data[...] = t
        average.update()
        decay = min(0.3, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * t
        np.testing.assert_allclose(average.averages["0"], [expected], rtol=1e-12)
    assert (1 + 7) / (10 + 7) > 0.3 > 1 / 10


def test_the_average_of_constant_weights_is_exactly_these():
    p = Tensor(RNG.normal(size=50), requires_grad=True)
    average = optimizers.ExponentialMovingAverage([p], decay=0.7)
    for _ in range(10):
        average.update()
    np.testing.assert_array_equal(average.averages["0"], p.data)


def test_without_decay_the_average_is_the_latest():
    p = Tensor([1.0], requires_grad=True)
    average = optimizers.ExponentialMovingAverage([p], decay=0)
    p.data[...] = 3
    average.update()
    np.testing.assert_array_equal(average.averages["0"], [3])


def test_a_model_s_floating_buffers_are_averaged_and_others_left():
    model = Counting()
    average = optimizers.ExponentialMovingAverage(model, decay=0.5)
    assert list(average.averages) == ["weight", "mean"]
    moved(model, 4)
    average.update()
    with average.swapped():
        np.testing.assert_array_equal(model.weight.data, [2.5, -1])
        np.testing.assert_array_equal(model.mean, [20, 20])
        assert model.count == 4
    np.testing.assert_array_equal(model.weight.data, [4, -4])
    np.testing.assert_array_equal(model.mean, [40, 40])


def test_a_buffer_that_was_replaced_is_found():
    model = Counting()
    average = optimizers.ExponentialMovingAverage(model, decay=0.5)
    model.mean = np.float32([6, 8])
    average.update()
    np.testing.assert_array_equal(average.averages["mean"], [3, 4])


def test_of_parameters_buffers_are_unknown():
    model = Counting()
    average = optimizers.ExponentialMovingAverage(model.parameters(), decay=0.5)
    assert list(average.averages) == ["0"]
    moved(model, 4)
    with average.swapped():
        np.testing.assert_array_equal(model.mean, [40, 40])
        np.testing.assert_array_equal(model.weight.data, [1, 2])


@pytest.mark.parametrize("fails", [False, True])
def test_swapping_writes_into_the_arrays_and_back(fails):
    model = Counting()
    average = optimizers.ExponentialMovingAverage(model, decay=0.5)
    moved(model, 3)
    weight, mean = model.weight.data, model.mean
    try:
        with average.swapped():
            assert model.weight.data is weight
            assert model.mean is mean
            np.testing.assert_array_equal(weight, [1, 2])
            weight[...] = 100  # no average is changed by this
            if fails:
                raise KeyError("evaluation failed")
    except KeyError:
        assert fails
    assert model.weight.data is weight
    np.testing.assert_array_equal(weight, [3, -3])
    np.testing.assert_array_equal(mean, [30, 30])
    np.testing.assert_array_equal(average.averages["weight"], [1, 2])
    average.update()


def test_swapping_within_swapping():
    p = Tensor([1.0], requires_grad=True)
    average = optimizers.ExponentialMovingAverage([p], decay=0.5)
    p.data[...] = 3
    with average.swapped():
        with average.swapped():
            assert p.item() == 1
        assert p.item() == 1
        with pytest.raises(RuntimeError):
            average.update()
    assert p.item() == 3


def test_a_large_parameter_and_float32():
    p = Tensor(RNG.normal(size=100_000), requires_grad=True)
    average, before = optimizers.ExponentialMovingAverage([p], decay=0.75), p.data.copy()
    p.data[...] = RNG.normal(size=100_000)
    average.update()
    assert average.averages["0"].dtype == np.float32
    np.testing.assert_allclose(average.averages["0"], 0.75 * before + 0.25 * p.data, rtol=1e-5, atol=1e-6)


def test_a_run_goes_on_from_a_saved_state():
    model, other = Counting(), Counting()
    average, twin = (optimizers.ExponentialMovingAverage(m, decay=0.9, warmup=True) for m in (model, other))
    for t in range(3):
        moved(model, t)
        average.update()
    saved = average.state_dict()
    assert saved["updates"] == 3
    held = twin.averages["weight"]
    twin.load_state_dict({**saved, "updates": np.array(3)})
    assert type(twin.updates) is int
    assert twin.averages["weight"] is held
    for t in range(3, 6):
        for m, a in ((model, average), (other, twin)):
            moved(m, t)
            a.update()
    for name in ("weight", "mean"):
        np.testing.assert_array_equal(twin.averages[name], average.averages[name])
        assert not np.array_equal(saved["averages"][name], average.averages[name])  # a copy


def test_averaged_weights_of_noisy_steps_are_nearer_to_the_optimum():
    set_seed(0)
    layer = layers.Linear(4, 1)
    X = RNG.normal(size=(64, 4)).astype(np.float32)
    y = X @ np.float32([[1], [-2], [3], [0.5]]) + RNG.normal(size=(64, 1)).astype(np.float32)
    optimizer, average = optimizers.SGD(layer.parameters(), lr=0.15), optimizers.ExponentialMovingAverage(layer, decay=0.98)
    for _t in range(600):
        rows = RNG.integers(0, 64, 2)
        optimizer.zero_grad()
        losses.mse_loss(layer(X[rows]), y[rows]).backward()
        optimizer.step()
        average.update()
    latest, _ = nn.evaluate(layer, [(X, y)], losses.MSELoss())
    with average.swapped():
        averaged, _ = nn.evaluate(layer, [(X, y)], losses.MSELoss())
    assert averaged < latest


def test_defaults():
    parameters = inspect.signature(optimizers.ExponentialMovingAverage).parameters
    assert (parameters["decay"].default, parameters["warmup"].default) == (0.999, False)


def update_within():
    average = optimizers.ExponentialMovingAverage(Counting())
    with average.swapped():
        average.update()


def load(**changes):
    average = optimizers.ExponentialMovingAverage(Counting())
    state = {**average.state_dict(), **changes}
    average.load_state_dict({name: value for name, value in state.items() if value is not None})


MESSAGES = [
    (lambda: optimizers.ExponentialMovingAverage(Counting(), 1.0), ValueError, "decay must be in [0, 1), got 1.0."),
    (lambda: optimizers.ExponentialMovingAverage(Counting(), -0.1), ValueError, "decay must be in [0, 1), got -0.1."),
    (
        lambda: optimizers.ExponentialMovingAverage([]),
        ValueError,
        "an average needs parameters, got none. Pass a model, or model.parameters().",
    ),
    (
        update_within,
        RuntimeError,
        "update() must see the trained weights, but they are swapped out. Call it outside of swapped().",
    ),
    (
        lambda: load(updates=None, steps=3),
        ValueError,
        "a state dict must fit these averages: missing 'updates'; unexpected 'steps'. Average the same model.",
    ),
    (
        lambda: load(averages={"weight": np.zeros((2, 2)), "bias": np.zeros(2)}),
        ValueError,
        "a state dict must fit these averages: missing 'mean'; unexpected 'bias'; 'weight' has shape (2, 2), must be (2,). "
        "Average the same model.",
    ),
    (
        lambda: load(averages={"weight": np.zeros(2, complex), "mean": np.zeros(2)}),
        ValueError,
        "a state dict must fit these averages: 'weight' has dtype complex128, must be float32. Average the same model.",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES)
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


def test_a_state_that_is_refused_changes_nothing():
    average = optimizers.ExponentialMovingAverage(Counting())
    with pytest.raises(ValueError):
        average.load_state_dict({"updates": 5, "averages": {"weight": np.ones(2), "mean": np.ones(3)}})
    assert average.updates == 0
    np.testing.assert_array_equal(average.averages["weight"], [1, 2])


def test_every_error_has_an_entry():
    assert not unreached(optimizers.averaging, MESSAGES)
