"""The doctor on data of all kinds: what it counts, what it refuses, and what it says where it saw nothing."""

import sys
import textwrap

import numpy as np
import pytest

from micrograd_plus import (
    CrossEntropyLoss,
    Embedding,
    Linear,
    Module,
    Parameter,
    ReLU,
    Sequential,
    debug,
    diagnose,
    set_seed,
)
from micrograd_plus.explain.doctor import script

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = np.arange(60) % 3


def model_of(features=4, classes=3):
    set_seed(0)
    return Sequential(Linear(features, 16), ReLU(), Linear(16, classes))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Follows a script in this process."""

    def follow(text):
        monkeypatch.setattr(sys, "argv", list(sys.argv))
        monkeypatch.setattr(sys, "path", list(sys.path))
        path = tmp_path / "train.py"
        path.write_text(textwrap.dedent(text))
        return script.run(str(path), ())

    return follow


def test_debug_mode_makes_no_difference():
    model = model_of()
    model[0].register_forward_hook(lambda module, args, out: None)
    hooked = diagnose(model, (X, Y), CrossEntropyLoss())
    plain = diagnose(model_of(), (X, Y), CrossEntropyLoss())
    with debug():
        assert str(diagnose(model, (X, Y), CrossEntropyLoss())) == str(hooked) and "Hooks" in str(hooked)
        assert str(diagnose(model_of(), (X, Y), CrossEntropyLoss())) == str(plain)
        gaps = np.where(X > 2, np.nan, X)
        assert diagnose(model_of(), (gaps, Y), CrossEntropyLoss()).error == ""
        with pytest.raises(FloatingPointError):
            model_of()(gaps)  # debug mode is on again


# -- tokens are no features ----------------------------------------------------------------------------------------------


class Tokens(Module):
    """Tokens beside a parameter of its own."""

    def __init__(self):
        self.table, self.position = Embedding(40, 8), Parameter(np.zeros((6, 8)))
        self.out = Linear(8, 3)

    def forward(self, ids):
        return self.out((self.table(ids) + self.position).mean(axis=1))


class Table(Module):
    def __init__(self):
        self.table = Parameter(RNG.normal(size=(40, 8)))
        self.out = Linear(8, 3)

    def forward(self, ids):
        return self.out(self.table[np.asarray(ids).astype(int)].mean(axis=1))


class Product(Module):
    """A layer that was written by hand."""

    def __init__(self):
        self.weight = Parameter(RNG.normal(size=(6, 3)) / 100)

    def forward(self, x):
        return x @ self.weight


@pytest.mark.parametrize("kind", [Tokens, Table])
@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_tokens_are_no_inputs_to_be_normalised(kind, dtype):
    set_seed(0)
    ids = RNG.integers(0, 40, (120, 6)).astype(dtype)
    assert "MG301" not in diagnose(kind(), (ids, ids[:, 0].astype(int) % 3), CrossEntropyLoss()).codes


def test_whole_numbers_that_are_multiplied_are_features():
    counts = RNG.integers(0, 40, (120, 6))
    labels = counts[:, 0] % 3
    assert diagnose(Product(), (counts.astype(np.float32), labels), CrossEntropyLoss()).codes[0] == "MG301"
    assert diagnose(model_of(6), (counts, labels), CrossEntropyLoss()).codes[0] == "MG301"


# -- what is counted -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [lambda x, y: (x, y), lambda x, y: [(x[:150], y[:150]), (x[150:], y[150:])]])
def test_examples_are_counted_once_however_many_steps_see_them(cut):
    x = RNG.normal(size=(300, 4))
    x[:, 2] = 1
    y = (RNG.random(300) < 0.01).astype(int)
    told = {finding.code: finding.seen for finding in diagnose(model_of(classes=2), cut(x, y), CrossEntropyLoss())}
    assert told["MG302"].startswith("1 of 4 input features is the same in all 300 examples")
    assert " of 300 labels" in told["MG208"]


def test_one_example_is_no_constant_input_and_many_equal_ones_are():
    assert diagnose(model_of(), (X[:1], Y[:1]), CrossEntropyLoss()).codes == []
    assert diagnose(model_of(), (X[:1].repeat(40, axis=0), Y[:40]), CrossEntropyLoss()).codes == ["MG302"]
    assert "MG302" not in diagnose(model_of(), (X[:7] * 0 + 1, Y[:7]), CrossEntropyLoss()).codes


def test_fixed_points_beside_the_inputs_are_no_constant_inputs(run):
    diagnosis = run("""
        import numpy as np
        from micrograd_plus import *
        set_seed(0)
        net = Sequential(Linear(1, 16), Tanh(), Linear(16, 1))
        optimizer = Adam(net.parameters(), lr=0.01)
        edge = np.zeros((20, 1))
        for _ in range(60):
            x = Tensor(np.random.rand(32, 1), requires_grad=True)
            loss = ((net(x) - x.detach() ** 2) ** 2).mean() + (net(edge) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """)
    assert diagnosis.codes == [] and diagnosis.error == "" and diagnosis.steps == 60
