"""The doctor on data of all kinds: what it counts, what it refuses, and what it says where it saw nothing."""

import json
import re
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
    normalize,
    set_seed,
)
from micrograd_plus.cli import main
from micrograd_plus.explain.doctor import script
from micrograd_plus.explain.doctor.diagnosis import shortened
from micrograd_plus.explain.doctor.observation import Observer

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
    """A layer that was written by hand; it has a table beside it, of whose rows some are chosen."""

    def __init__(self, chosen):
        self.weight, self.table, self.chosen = Parameter(RNG.normal(size=(6, 3)) / 100), Parameter(np.zeros((100, 3))), chosen

    def forward(self, x):
        return x @ self.weight + self.table[self.chosen]


@pytest.mark.parametrize("kind", [Tokens, Table])
@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_tokens_are_no_inputs_to_be_normalised(kind, dtype):
    set_seed(0)
    ids = RNG.integers(0, 40, (120, 6)).astype(dtype)
    assert "MG301" not in diagnose(kind(), (ids, ids[:, 0].astype(int) % 3), CrossEntropyLoss()).codes


def test_whole_numbers_that_are_multiplied_are_features():
    counts = RNG.integers(0, 40, (120, 6))
    labels = counts[:, 0] % 3
    features = counts.astype(np.float32)
    features[0, 0] = 40
    for x, chosen in ((features, [99]), (features + 0.5, [1])):
        assert diagnose(Product(np.array(chosen)), (x, labels), CrossEntropyLoss()).codes[0] == "MG301"
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


# -- what is not seen ----------------------------------------------------------------------------------------------------

TRAINING = """
import threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from micrograd_plus import *

def train(steps=60):
    set_seed(0)
    x = np.random.randn(200, 4)
    y = (x[:, 0] > 0).astype(int)
    model = Sequential(Linear(4, 16), ReLU(), Linear(16, 2))
    optimizer = Adam(model.parameters(), lr=0.01)
    while steps != 0:
        loss = CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        steps -= 1

"""
THREAD = "thread = threading.Thread(target=train, args=({steps},))\nthread.start()\nthread.join()\n"


@pytest.mark.parametrize(
    ("start", "steps"),
    [
        (THREAD, 60),
        (THREAD, -1),
        ("ThreadPoolExecutor(2).submit(train, {steps}).result()\n", 60),
        ("ThreadPoolExecutor(2).submit(train, {steps}).result()\n", -1),
        ("Linear(4, 2)(np.zeros((3, 4)))\n" + THREAD, 60),
    ],
)
def test_a_thread_that_trains_is_followed(start, steps, run):
    diagnosis = run(TRAINING + start.format(steps=steps))
    assert diagnosis.codes == ["MG101"] and diagnosis.error == "" and diagnosis.steps >= 60
    assert "optimizer.zero_grad()" in diagnosis[0].cure or steps == 60  # the thread's own names, where it is interrupted


def test_threads_after_the_first_that_trains_are_not_followed(run):
    healthy = TRAINING.replace("        loss.backward", "        optimizer.zero_grad()\n        loss.backward")
    others = "for _ in range(3):\n    t = threading.Thread(target=train)\n    t.start()\n    t.join()\n"
    diagnosis = run(healthy + "train()\n" + others)
    assert diagnosis.codes == [] and diagnosis.steps == 60 and diagnosis.error == ""


def test_an_error_in_a_thread_is_told(run):
    diagnosis = run(TRAINING + "thread = threading.Thread(target=train, args=('6',))\nthread.start()\nthread.join()\n")
    assert diagnosis.error.rstrip().endswith("TypeError: unsupported operand type(s) for -=: 'str' and 'int'")
    assert "train.py" in diagnosis.error and not diagnosis.healthy


@pytest.mark.parametrize("raised", ["raise KeyError(steps)", "model[0].weight.data[:] = np.nan"])
def test_a_thread_that_ends_early_is_looked_at_where_it_ends(raised, run):
    text = TRAINING.replace("        steps -= 1", f"        steps -= 1\n        if steps == 40:\n            {raised}").replace(
        "model", "net"
    )
    diagnosis = run(text + THREAD.format(steps=60))
    assert diagnosis.codes[0] == "MG101" and "net.layers.0.weight" in diagnosis[0].seen
    assert ("KeyError: 40" in diagnosis.error) == ("KeyError" in raised) and bool(diagnosis.error) == ("KeyError" in raised)


BY_GRADIENTS = """
from micrograd_plus import *
model = Linear(2, 1)
for _ in range(5):
    for p, g in zip(model.parameters(), gradients((model([[1.0, 2.0]]) ** 2).mean(), list(model.parameters()))):
        p.data -= 0.1 * g.data
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "from micrograd_plus import Linear\nprint(Linear(2, 3)([1.0, 2.0]))\n",
            r"A model was called \(train.py, line 2\), but no backward",
        ),
        (BY_GRADIENTS, "computed by gradients() or a transform: such a training is not followed. Compute them by loss.backward()"),
        (
            "import subprocess\n",
            "No model was called. Does the script need arguments, or does it train in another process, or with micrograd_plus.scalar?",
        ),
        ("from micrograd_plus import *\n(Linear(2, 1)([1.0, 2.0]) ** 2).sum().backward()\n", "ran 1 time, and no parameter changed"),
    ],
)
def test_a_script_that_never_trains_gets_no_clean_bill(text, reason, run):
    diagnosis = run(text)
    assert diagnosis.unseen and not diagnosis.healthy
    assert str(diagnosis).startswith("train.py: no training step seen; nothing to go by.\n\nThe doctor looks at training steps: ")
    assert reason.replace("\\", "") in diagnosis.remarks[0]


def test_the_command_has_an_exit_code_for_it_and_needs_no_arguments(tmp_path, capsys):
    path = tmp_path / "train.py"
    path.write_text("x = 3\n")
    assert main(["doctor", str(path)]) == 2
    assert "no training step seen" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "FILE.py [ARGS ...]" in text and "2: no script, or no training step was seen" in text


# -- what is told --------------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_is_told_as_such(run):
    text = TRAINING.replace("        loss.backward", "        optimizer.zero_grad()\n        loss.backward")
    for value in ("nan", "inf"):
        diagnosis = run(text.replace("model(x), y)", f"model(x), y) + (0.0 if steps != 57 else np.{value})") + "train()\n")
        assert re.search(rf"loss 0\.\d+ to {value}; 1 error", diagnosis.summary()), diagnosis.summary()
        assert json.loads(diagnosis.to_json())["last_loss"] == value


def test_long_lines_are_shortened():
    line = "loss = " + " + ".join(["loss"] * 40)
    assert shortened(line) == line[:90] + " ..." and len(shortened(line)) == 94
    assert shortened("loss.backward()") == "loss.backward()"


# -- odd data ------------------------------------------------------------------------------------------------------------


class Untouched(Module):
    """Fails where it is called."""

    def __init__(self):
        self.weight = Parameter([1.0])

    def forward(self, x):
        raise AssertionError("the model was called")


NAMES = ["cat", "dog", "cow"] * 20


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ((X[:0], Y[:0]), r"at least one example in a batch, got inputs of shape \(0, 4\)\. Look at how they were made"),
        ([(X, Y[:0])], r"got targets of shape \(0,\)"),
        ((X, NAMES), r"targets must be numbers, got text, such as 'cat'\. Number the classes: names, y = np.unique"),
        ((X, np.array(NAMES)), "targets must be numbers, got text"),
        ((X, np.array(NAMES, dtype=object)), "targets must be numbers, got text"),
        ((np.array(NAMES), Y), r"inputs must be numbers, got text, such as 'cat'\. Convert words and names to numbers"),
        ((X.tolist(), NAMES), "targets must be numbers, got text"),
        ((X.astype(object), Y), r"inputs must be numbers, got an array of dtype object\. Convert it: np.asarray"),
    ],
)
def test_data_that_are_none_are_refused_before_anything_runs(batches, message):
    with pytest.raises((TypeError, ValueError), match=message):
        diagnose(Untouched(), batches, CrossEntropyLoss())


class Table2:
    """What pandas' tables have of an array."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


@pytest.mark.parametrize(
    "batches",
    [
        (X.tolist(), Y.tolist()),
        [X.tolist(), Y.tolist()],
        (X, Y.tolist()),
        ([tuple(row) for row in X.tolist()], Y.tolist()),
        (Table2(X), Table2(Y)),
        [(X[:30].tolist(), Y[:30].tolist()), (X[30:].tolist(), Y[30:].tolist())],
    ],
)
def test_lists_and_tables_are_as_good_as_arrays(batches):
    diagnosis = diagnose(model_of(), batches, CrossEntropyLoss())
    assert diagnosis.codes == [] and diagnosis.steps == 40 and diagnosis.error == "" and diagnosis.remarks == ()


def test_an_error_of_the_model_is_not_of_a_script():
    text = str(diagnose(model_of(5), (X, Y), CrossEntropyLoss()))
    assert "A training step raised:\n    ValueError: " in text and "script" not in text


# -- cures of gaps -------------------------------------------------------------------------------------------------------


def spoilt(kind):
    x = RNG.normal(size=(60, 4))
    if kind == "before standardising":
        x[3, 2] = np.nan
    elif kind == "constant":
        x[:, 1] = 7
    return x


@pytest.mark.parametrize("kind", ["before standardising", "constant"])
def test_a_column_of_nan_is_cured_where_it_was_made(kind):
    x = spoilt(kind)
    with np.errstate(all="ignore"):
        standardised = (x - x.mean(0)) / x.std(0)
    finding = diagnose(model_of(), (standardised, Y), CrossEntropyLoss())[0]
    assert finding.code == "MG303" and "1 feature is NaN in every example. It may have been standardised: a single NaN" in finding.seen
    cured = cured_by(finding.cure, x)
    assert len(cured["X"]) >= 59 and diagnose(model_of(), (cured["X"], cured["y"]), CrossEntropyLoss()).healthy


def test_gaps_are_cured_by_leaving_rows_out_or_by_filling():
    few, many = spoilt(""), spoilt("")
    few[3, 2], few[5, 0] = np.nan, np.inf
    many[np.arange(60), np.arange(60) % 4] = np.nan
    for x, left in ((few, 58), (many, 60)):
        cured = cured_by(diagnose(model_of(), (x, Y), CrossEntropyLoss())[0].cure, x)
        assert len(cured["X"]) == left and np.isfinite(cured["X"]).all()
    few[:, 1] = many[:, 1] = np.nan
    assert (
        " 2 of 4 features are NaN in every example. Each may"
        in diagnose(model_of(), (np.where(np.arange(4) < 2, np.nan, few), Y), CrossEntropyLoss())[0].seen
    )


def cured_by(cure, x):
    """The variables after a cure."""
    variables = {"X": x, "y": Y, "np": np, "normalize": normalize}
    exec(cure, variables)
    return variables


def test_a_script_that_computes_for_long_is_ended_and_that_is_said(run, monkeypatch):
    monkeypatch.setattr(script, "Observer", lambda: Observer(patience=0.05))
    diagnosis = run("from micrograd_plus import *\nx = Tensor([1.0])\nwhile True:\n    x = x * 1.0\n")
    assert "The script computed for 0.05 seconds without one, and was ended" in diagnosis.remarks[0]
