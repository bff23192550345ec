"""Sequential, the training loop, and models on disk."""

import os
import subprocess
import sys

import numpy as np
import pytest

from micrograd_plus import DataLoader, Tensor, layers, losses, nn, optimizers, set_seed

RNG = np.random.default_rng(4)


def linear(weight, bias):
    layer = layers.Linear(*np.shape(weight))
    layer.weight.data[...], layer.bias.data[...] = weight, bias
    return layer


# -- Sequential ----------------------------------------------------------------------------------------------------------


def test_sequential_applies_its_layers_in_order():
    model = nn.Sequential(linear([[2.0]], [1.0]), layers.ReLU(), lambda x: x * 10)
    np.testing.assert_array_equal(model(np.float32([[1], [-3]])).data, [[30], [0]])


def test_sequential_is_a_sequence_of_its_layers():
    first, second, third = layers.Linear(1, 2), layers.ReLU(), layers.Linear(2, 1)
    model = nn.Sequential(first, second)
    assert model.add(third) is model
    assert model.layers == [first, second, third]
    assert len(model) == 3
    assert model[0] is first
    assert model[-1] is third
    assert list(model) == [first, second, third]
    assert isinstance(model[1:], nn.Sequential)
    assert list(model[1:]) == [second, third]
    assert [name for name, _ in model.named_parameters()] == ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"]


def test_an_empty_sequential_is_the_identity():
    x = Tensor([1.0])
    assert nn.Sequential()(x) is x
    assert len(nn.Sequential()) == 0


def test_repr_of_nested_sequentials_is_indented():
    model = nn.Sequential(layers.Linear(1, 2), nn.Sequential(layers.ReLU()))
    assert repr(model) == "Sequential(\n  0: Linear(1, 2)\n  1: Sequential(\n    0: ReLU()\n  )\n)"
    assert repr(nn.Sequential()) == "Sequential()"


def test_repr_ends_where_a_layer_refers_to_the_model():
    model = nn.Sequential(layers.ReLU())
    model[0].model = model
    assert "ReLU" in repr(model)


# -- training ------------------------------------------------------------------------------------------------------------


def test_train_epoch_takes_a_step_per_batch_and_returns_the_mean_over_the_examples():
    layer = layers.Linear(1, 1, bias=False)
    layer.weight.data[...] = 2
    X, y = np.float32([[1], [2], [3]]), np.float32([[0], [0], [0]])
    loss = nn.train_epoch(
        layer, DataLoader(X, y, batch_size=2, shuffle=False), losses.MSELoss(), optimizers.SGD(layer.parameters(), lr=0.1)
    )
    w, total = 2.0, 0.0
    for batch in ([1.0, 2.0], [3.0]):
        x = np.array(batch)
        total += np.mean((w * x) ** 2) * len(x)
        w -= 0.1 * np.mean(2 * w * x * x)
    assert type(loss) is float
    assert loss == pytest.approx(total / 3, rel=1e-6)
    assert layer.weight.item() == pytest.approx(w, rel=1e-5)


def test_train_epoch_forgets_earlier_gradients_and_leaves_training_mode():
    layer = linear([[1.0]], [0.0]).eval()
    layer.weight.grad = [[1e6]]
    nn.train_epoch(layer, [(np.float32([[1]]), np.float32([[1]]))], losses.MSELoss(), optimizers.SGD(layer.parameters(), lr=0.1))
    assert layer.weight.item() == 1
    assert layer.training


def test_train_epoch_trains_in_training_mode():
    model = nn.Sequential(layers.BatchNorm(2)).eval()
    X = RNG.normal(5, 1, (8, 2)).astype(np.float32)
    nn.train_epoch(model, [(X, X)], losses.MSELoss(), optimizers.SGD(model.parameters(), lr=0.0))
    np.testing.assert_allclose(model[0].running_mean, 0.1 * X.mean(0), rtol=1e-5)


def test_train_epoch_takes_tensors_arrays_and_integer_inputs():
    model = nn.Sequential(layers.Embedding(4, 2), layers.Linear(2, 3))
    optimizer = optimizers.SGD(model.parameters())
    batches = [(np.array([0, 3]), np.array([1, 2])), (Tensor([1.0, 2.0]), Tensor([0.0, 1.0])), (np.uint8([1]), [0])]
    assert np.isfinite(nn.train_epoch(model, batches, losses.CrossEntropyLoss(), optimizer))


def test_train_epoch_with_a_progress_bar_gives_the_same(capsys):
    pytest.importorskip("rich")
    results = []
    for verbose in (False, True):
        layer = linear([[1.0]], [0.0])
        loader = DataLoader(np.ones((3, 1)), np.zeros((3, 1)), batch_size=2, shuffle=False)
        results.append(nn.train_epoch(layer, loader, losses.MSELoss(), optimizers.SGD(layer.parameters()), verbose=verbose))
    assert results[0] == results[1]
    assert "training" in capsys.readouterr().out


def test_the_progress_bar_appears_only_when_asked_for(monkeypatch):
    shown = []
    monkeypatch.setattr(nn.progress, "ProgressBar", lambda iterable, description: shown.append(description) or iterable)
    layer, batches = linear([[1.0]], [0.0]), [(np.ones((1, 1)), np.ones((1, 1)))]
    nn.train_epoch(layer, batches, losses.MSELoss(), optimizers.SGD(layer.parameters()))
    assert shown == []
    nn.train_epoch(layer, batches, losses.MSELoss(), optimizers.SGD(layer.parameters()), True)
    assert shown == ["training"]


@pytest.mark.parametrize("accumulate", [2, 3, 5, 100])
def test_accumulated_gradients_are_those_of_one_large_batch(accumulate):
    """Batches of 4, 4, 4, 1 examples: an uneven one, and what is left, count by their examples."""
    X, y = RNG.normal(size=(13, 3)).astype(np.float32), RNG.integers(0, 2, 13)
    batches = [(X[i : i + 4], y[i : i + 4]) for i in range(0, 13, 4)]
    large = [(X[i : i + 4 * accumulate], y[i : i + 4 * accumulate]) for i in range(0, 13, 4 * accumulate)]
    found = []
    for data, options in ((batches, {"accumulate": accumulate}), (large, {})):
        set_seed(0)
        model = nn.Sequential(layers.Linear(3, 4), layers.Tanh(), layers.Linear(4, 2))
        optimizer = optimizers.Adam(model.parameters(), lr=0.1)
        losses_ = [nn.train_epoch(model, iter(data), losses.CrossEntropyLoss(), optimizer, **options) for _ in range(3)]
        found.append((losses_, model.state_dict(), optimizer.state[model[0].weight]["step"]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for name, array in found[0][1].items():
        np.testing.assert_allclose(array, found[1][1][name], rtol=1e-4, atol=1e-6)
    assert found[0][2] == found[1][2] == 3 * len(large)


def test_batches_of_an_update_are_drawn_before_it_and_no_earlier():
    layer, drawn = linear([[1.0]], [0.0]), []

    def batches():
        for i in range(5):
            drawn.append((i, layer.weight.item()))
            yield np.ones((1, 1)), np.zeros((1, 1))

    nn.train_epoch(layer, batches(), losses.MSELoss(), optimizers.SGD(layer.parameters(), lr=0.1), accumulate=2)
    weights = [weight for _, weight in drawn]
    assert weights[0] == weights[1] == 1
    assert weights[1] != weights[2] == weights[3] != weights[4]


def test_a_loss_that_is_no_scalar_is_refused():
    layer = linear([[1.0]], [0.0])
    with pytest.raises(RuntimeError, match=r"backward\(\) needs a scalar, got shape \(2, 1\)"):
        nn.train_epoch(layer, [(np.ones((2, 1)), np.zeros((2, 1)))], losses.MSELoss("none"), optimizers.SGD(layer.parameters()))


def test_a_model_learns_to_separate_two_rings():
    set_seed(0)
    angle = RNG.uniform(0, 2 * np.pi, 400)
    y = np.arange(400) % 2
    X = (1 + y)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) + RNG.normal(0, 0.1, (400, 2))
    model = nn.Sequential(layers.Linear(2, 16), layers.Tanh(), layers.Linear(16, 2))
    loader, loss_fn = DataLoader(X, y, batch_size=32), losses.CrossEntropyLoss()
    optimizer = optimizers.Adam(model.parameters(), lr=0.02)
    history = [nn.train_epoch(model, loader, loss_fn, optimizer) for _ in range(25)]
    loss, metrics = nn.evaluate(model, loader, loss_fn, {"accuracy": nn.accuracy})
    assert loss < 0.1 * history[0]
    assert metrics["accuracy"] > 0.98


# -- evaluation ----------------------------------------------------------------------------------------------------------


def test_evaluate_returns_means_over_the_examples_of_uneven_batches():
    layer = linear([[1.0]], [0.0])
    loader = DataLoader(np.float32([[1], [2], [6]]), np.zeros((3, 1)), batch_size=2, shuffle=False)
    loss, metrics = nn.evaluate(layer, loader, losses.MSELoss(), {"largest": lambda p, t: float(p.max().item())})
    assert loss == pytest.approx((1 + 4 + 36) / 3)
    assert metrics == {"largest": pytest.approx((2 * 2 + 6) / 3)}
    assert type(loss) is type(metrics["largest"]) is float


def test_evaluate_takes_metrics_as_a_list_or_none():
    model = nn.Sequential(layers.Linear(2, 3))
    batches = [(np.ones((4, 2)), np.array([0, 1, 2, 0]))]
    loss, metrics = nn.evaluate(model, batches, losses.CrossEntropyLoss(), [nn.accuracy])
    assert list(metrics) == ["accuracy"]
    assert nn.evaluate(model, batches, losses.CrossEntropyLoss()) == (loss, {})


def test_a_metric_may_be_called_loss():
    loss, metrics = nn.evaluate(linear([[1.0]], [0.0]), [(np.ones((1, 1)), np.zeros((1, 1)))], losses.MSELoss(), {"loss": lambda p, t: 5.0})
    assert (loss, metrics) == (1.0, {"loss": 5.0})


@pytest.mark.parametrize("fails", [False, True])
def test_evaluate_leaves_each_module_in_the_mode_it_was_in(fails):
    model = nn.Sequential(layers.BatchNorm(2), nn.Sequential(layers.Dropout(0.5), layers.BatchNorm(2)))
    model[1][0].eval()
    modes = [module.training for _, module in model.named_modules()]
    seen = []

    def loss_fn(p, t):
        seen.extend(module.training for _, module in model.named_modules())
        if fails:
            raise KeyError("a failing loss")
        return losses.mse_loss(p, t)

    X = RNG.normal(size=(4, 2)).astype(np.float32)
    if fails:
        with pytest.raises(KeyError):
            nn.evaluate(model, [(X, X)], loss_fn)
    else:
        nn.evaluate(model, [(X, X)], loss_fn)
    assert not any(seen)
    assert [module.training for _, module in model.named_modules()] == modes
    np.testing.assert_array_equal(model[0].running_mean, [0, 0])


def test_evaluate_records_nothing_and_writes_no_gradient():
    model, recorded = nn.Sequential(layers.Linear(2, 2)), []

    def loss_fn(p, t):
        recorded.append(p.requires_grad)
        return losses.mse_loss(p, t)

    nn.evaluate(model, [(np.ones((2, 2)), np.ones((2, 2)))], loss_fn)
    assert recorded == [False]
    np.testing.assert_array_equal(model[0].weight.grad, np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("predictions", "targets", "expected"),
    [
        ([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0], 2 / 3),
        (np.array([1, 2, 2, 0]), np.array([1, 2, 0, 0]), 0.75),
        (Tensor([[5.0, 1.0]]), Tensor([0.0]), 1.0),
        (np.array([[1e9, -1e9]]), np.array([1]), 0.0),
    ],
)
def test_accuracy_is_the_share_of_right_answers(predictions, targets, expected):
    value = nn.accuracy(predictions, targets)
    assert value == pytest.approx(expected)
    assert type(value) is float


def test_count_parameters_leaves_out_frozen_ones():
    model = nn.Sequential(layers.Linear(3, 4), layers.BatchNorm(4))
    assert nn.count_parameters(model) == 3 * 4 + 4 + 4 + 4
    model[0].weight.requires_grad = False
    assert nn.count_parameters(model) == 12


# -- models on disk ------------------------------------------------------------------------------------------------------

FORMATS = [".npz", pytest.param(".safetensors", marks=pytest.mark.skipif("not safetensors_installed()", reason="needs safetensors"))]


def safetensors_installed():
    try:
        import safetensors  # noqa: F401 - whether it is there
    except ImportError:
        return False
    return True


class Model(layers.Module):
    """All that a state can hold: nested parameters, a tied one, buffers, a number, several dtypes."""

    def __init__(self, size=3):
        self.fc = layers.Linear(2, size)
        self.norms = [layers.BatchNorm(size)]
        self.tied = self.fc.weight
        self.temperature = Tensor(RNG.normal(), requires_grad=True)
        self.file = Tensor(RNG.normal(size=2), requires_grad=True)
        self.double = Tensor(RNG.normal(size=2), requires_grad=True, dtype=np.float64)
        self.register_buffer("steps", np.array([RNG.integers(100)]))
        self.norms[0].running_mean[...] = RNG.normal(size=size)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_saved_model_loads_bit_for_bit(tmp_path, suffix):
    source, target = Model(), Model()
    path = tmp_path / f"model{suffix}"
    nn.save_model(source, path)
    held = target.fc.weight.data
    nn.load_model(target, str(path))
    assert target.fc.weight.data is held
    for name, array in source.state_dict().items():
        np.testing.assert_array_equal(target.state_dict()[name], array, strict=True)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("layout", ["transposed", "Fortran", "slice", "reversed", "broadcast"])
def test_arrays_of_any_layout_are_saved_right(tmp_path, suffix, layout):
    values = RNG.normal(size=(3, 4)).astype(np.float32)
    arrays = {
        "transposed": np.ascontiguousarray(values.T).T,
        "Fortran": np.asfortranarray(values),
        "slice": np.repeat(values, 2, axis=1)[:, ::2],
        "reversed": values[::-1].copy()[::-1],
        "broadcast": np.broadcast_to(values[:1], (3, 4)),
    }
    source, target = layers.Linear(3, 4), layers.Linear(3, 4)
    source.weight.data = arrays[layout]
    source.register_buffer("table", np.zeros(1))
    object.__setattr__(source, "table", arrays[layout])
    target.register_buffer("table", np.zeros((3, 4), np.float32))
    nn.save_model(source, tmp_path / f"model{suffix}")
    nn.load_model(target, tmp_path / f"model{suffix}")
    np.testing.assert_array_equal(target.weight.data, arrays[layout])
    np.testing.assert_array_equal(target.table, arrays[layout])


@pytest.mark.parametrize("suffix", FORMATS)
def test_wrong_shapes_are_refused_and_the_model_is_unchanged(tmp_path, suffix):
    nn.save_model(Model(3), tmp_path / f"model{suffix}")
    target = Model(4)
    before = target.state_dict()
    with pytest.raises(ValueError, match=r"'fc\.weight' has shape \(2, 3\), must be \(2, 4\)"):
        nn.load_model(target, tmp_path / f"model{suffix}")
    for name, array in target.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_state_without_parameters_can_be_saved(tmp_path, suffix):
    nn.save_model(layers.ReLU(), tmp_path / f"model{suffix}")
    nn.load_model(layers.ReLU(), tmp_path / f"model{suffix}")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped"])
def test_a_damaged_file_is_refused_and_the_model_is_unchanged(tmp_path, suffix, damage):
    model, path = Model(), tmp_path / f"model{suffix}"
    nn.save_model(model, path)
    content = path.read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "empty": b"",
        "text": b"this is no model",
        "flipped": bytes([content[0] ^ 255]) + content[1:4] + bytes(255 ^ b for b in content[4:16]) + content[16:middle],
    }
    path.write_bytes(damaged[damage])
    before = model.state_dict()
    with pytest.raises(ValueError) as error:
        nn.load_model(model, path)
    assert str(error.value).startswith(f"{path} must be a model in {suffix} format, but can't be read: ")
    assert str(error.value).endswith(" Save it again.")
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_pickle_is_never_loaded(tmp_path):
    np.savez(tmp_path / "model.npz", weight=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="can't be read"):
        nn.load_model(layers.Linear(1, 1), tmp_path / "model.npz")


@pytest.mark.parametrize("suffix", FORMATS)
def test_missing_files_and_folders(tmp_path, suffix):
    with pytest.raises(FileNotFoundError):
        nn.load_model(Model(), tmp_path / f"none{suffix}")
    with pytest.raises(FileNotFoundError, match="the folder of a file to write must exist"):
        nn.save_model(Model(), tmp_path / "none" / f"model{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(IsADirectoryError):
        nn.load_model(Model(), tmp_path / f"folder{suffix}")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"model{suffix}"
    nn.save_model(Model(), path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        nn.save_model(Model(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits")
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    program = f"""
import resource, signal
from micrograd_plus import Linear, save_model
save_model(Linear(4, 4), "model{suffix}")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    save_model(Linear(400, 400), "model{suffix}")
except OSError as error:
    print(type(error).__name__)
"""
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(os.path.abspath(nn.__file__)))}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "OSError"
    assert [p.name for p in tmp_path.iterdir()] == [f"model{suffix}"]
    nn.load_model(layers.Linear(4, 4), tmp_path / f"model{suffix}")


@pytest.mark.parametrize("call", [nn.save_model, nn.load_model])
@pytest.mark.parametrize("name", ["model", "model.pt", "model.npz.gz", ".npz"])
def test_another_suffix_is_refused(tmp_path, call, name):
    with pytest.raises(ValueError, match=r"must end in \.npz or \.safetensors, got "):
        call(layers.Linear(1, 1), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", [nn.save_model, nn.load_model])
def test_without_safetensors_the_error_names_the_extra(tmp_path, call, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r'safetensors files need the extra "train"'):
        call(layers.Linear(1, 1), tmp_path / "model.safetensors")
