"""The doctor on what goes wrong between loss and network: operations that make NaN, graphs that are cut, signs, scales."""

import runpy
import sys
import textwrap

import numpy as np
import pytest

from micrograd_plus import debug
from micrograd_plus.explain.doctor import script
from micrograd_plus.explain.finite import NotFiniteError

HEAD = """
import numpy as np
from micrograd_plus import *

set_seed(0)
rng = np.random.default_rng(0)
np.random.seed(0)
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "train.py"
        path.write_text(HEAD + textwrap.dedent(text))
        return str(path)

    return write


@pytest.fixture
def run(written, monkeypatch):
    """Follows a script in this process."""

    def follow(text):
        monkeypatch.setattr(sys, "argv", list(sys.argv))
        monkeypatch.setattr(sys, "path", list(sys.path))
        with np.errstate(all="ignore"):
            return script.run(written(text), ())

    return follow


# -- NaN and inf ---------------------------------------------------------------------------------------------------------

# By name: the program, the operation to blame, the text that is wrong, what mends it, and what the cure must say.
BROKEN = {
    "log of a masked softmax": (
        """
        X = rng.normal(size=(200, 4))
        y = (X[:, 0] > 0).astype(int)
        allowed = np.array([1.0, 1.0, 0.0])
        model = Linear(4, 3)
        optimizer = Adam(model.parameters(), lr=0.01)
        with np.errstate(divide="ignore"):
            mask = np.log(allowed)
        for step in range(40):
            z = model(X) + mask
            p = z.softmax(axis=-1)
            loss = CrossEntropyLoss()(z, y) + 0.01 * (p * p.log()).sum(axis=-1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "log",
        "p.log()",
        "(p + 1e-8).log()",
        "(p + 1e-8).log()",
    ),
    "log of a softmax": (
        """
        X = rng.normal(size=(60, 4))
        y = (X[:, 0] > 0).astype(int)
        model = Linear(4, 3)
        optimizer = Adam(model.parameters(), lr=0.01)
        for step in range(40):
            z = 200 * model(X)
            loss = -z.softmax(axis=-1).log()[np.arange(60), y].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "log",
        "z.softmax(axis=-1).log()",
        "z.log_softmax(axis=-1)",
        "log_softmax(axis=-1)",
    ),
    "softmax of what is all hidden": (
        """
        X = rng.normal(size=(50, 5, 8)).astype(np.float32)
        y = rng.integers(0, 2, 50)
        mask = np.arange(5) < rng.integers(0, 6, 50)[:, None]
        query, out = Linear(8, 1), Linear(8, 2)
        optimizer = Adam([*query.parameters(), *out.parameters()], lr=0.01)
        for step in range(40):
            w = where(mask, query(X).squeeze(-1), -np.inf).softmax(axis=-1)
            loss = CrossEntropyLoss()(out((X * w.unsqueeze(-1)).sum(axis=1)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "softmax",
        "-np.inf",
        "-1e9",
        "-1e9",
    ),
    "gradient of a root at 0, beside a harmless mask": (
        """
        X = rng.normal(size=(30, 3))
        y = X[:, :1]
        mask = np.where(np.eye(30) > 0, -np.inf, 0.0)
        model, head = Linear(3, 4), Linear(4, 1)
        optimizer = Adam([*model.parameters(), *head.parameters()], lr=0.01)
        for step in range(40):
            z = model(X)
            d = ((z.unsqueeze(0) - z.unsqueeze(1)) ** 2).sum(axis=-1).sqrt()
            a = (mask - d).softmax(axis=-1)
            loss = ((head(a @ z) - y) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "sqrt",
        "((z.unsqueeze(0) - z.unsqueeze(1)) ** 2).sum(axis=-1).sqrt()",
        "(((z.unsqueeze(0) - z.unsqueeze(1)) ** 2).sum(axis=-1) + 1e-8).sqrt()",
        "(x + 1e-8).sqrt()",
    ),
    "log of a negative number": (
        """
        X = rng.normal(size=(200, 3))
        y = np.exp(X[:, :1])
        model = Sequential(Linear(3, 16), ReLU(), Linear(16, 1))
        optimizer = Adam(model.parameters(), lr=0.01)
        for step in range(40):
            loss = ((model(X).log() - np.log(y)) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "log",
        "model(X).log()",
        "(model(X).softplus() + 1e-8).log()",
        "softplus() + 1e-8).log()",
    ),
    "log of one-hot targets": (
        """
        X = rng.normal(size=(60, 4))
        y = one_hot((X[:, 0] > 0).astype(int), 2)
        model = Linear(4, 2)
        optimizer = Adam(model.parameters(), lr=0.01)
        for step in range(40):
            p = Tensor(y)
            loss = (p * (p.log() - model(X).log_softmax(axis=1))).sum(axis=1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "log",
        "p.log()",
        "(p + 1e-8).log()",
        "(p + 1e-8).log()",
    ),
    "a column divided by its deviation": (
        """
        X = np.maximum(rng.normal(size=(60, 4)), 0)
        X[:, 3] = 0
        y = X[:, :1]
        model, scale = Linear(4, 1), Tensor(np.ones(4), requires_grad=True)
        optimizer = Adam([*model.parameters(), scale], lr=0.01)
        for step in range(40):
            h = X * scale
            loss = ((model(h / (h**2).mean(axis=0).sqrt()) - y) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "divide",
        "(h**2).mean(axis=0).sqrt()",
        "((h**2).mean(axis=0) + 1e-8).sqrt()",
        "(squares + 1e-8).sqrt()",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_operation_that_debug_stops_at_is_blamed(name, run, written):
    text, operation, old, new, cure = BROKEN[name]
    with np.errstate(all="ignore"), debug(), pytest.raises(NotFiniteError) as stopped:
        runpy.run_path(written(text), run_name="__main__")
    finding = next(finding for finding in run(text) if finding.code == "MG409")
    assert stopped.value.operation == operation and operation in finding.seen
    assert finding.line.number == stopped.value.line.number
    assert stopped.value.cause[:-1] in finding.seen
    assert cure in finding.cure
    assert text.count(old) == 1
    assert "MG409" not in run(text.replace(old, new)).codes


def test_an_infinite_number_that_a_softmax_makes_0_of_is_not_blamed(run):
    text = BROKEN["log of a masked softmax"][0].replace("z = model(X) + mask", "z = model(X) + Tensor(allowed).log()")
    finding = run(text)[0]
    assert finding.code == "MG409" and finding.line.text.startswith("loss = ")
    assert not run(text.replace("p.log()", "(p + 1e-8).log()")).codes


def test_what_overflows_since_parameters_grew_is_the_rates(run):
    finding = next(
        finding
        for finding in run("""
    X, y = rng.normal(size=(60, 4)), rng.normal(size=(60, 1))
    first, second = Linear(4, 8), Linear(8, 1)
    optimizers = [SGD(first.parameters(), lr=30.0), SGD(second.parameters(), lr=30.0)]
    for step in range(60):
        for optimizer in optimizers:
            loss = ((second(first(X).tanh()) ** 2 - y) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    """)
        if finding.code == "MG409"
    )
    assert "first.bias has grown to" in finding.seen and "lr=3)" in finding.cure


def test_numbers_that_numpy_made_are_told_as_such(run):
    finding = run("""
    X, y = rng.normal(size=(60, 4)), rng.normal(size=(60, 1))
    importance = np.ones((60, 1))
    importance[5] = np.nan
    model = Linear(4, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    for step in range(20):
        loss = (importance * (model(X) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """)[0]
    assert finding.code == "MG409" and finding.line.text.startswith("loss = ")
    assert "multiply got nan in step 1 from what no operation on a Tensor made" in finding.seen


def test_a_parameter_that_was_made_with_nan_is_named(run):
    finding = run("""
    X, y = rng.normal(size=(60, 4)), rng.normal(size=(60, 1))
    model = Linear(4, 1)
    model.bias.data[0] = np.nan
    optimizer = Adam(model.parameters(), lr=0.01)
    for step in range(20):
        loss = ((model(X) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """)[0]
    assert (
        finding.code == "MG409" and "affine (x @ weight + bias) got model.bias with nan in it, in step 1: it was made so." in finding.seen
    )


def test_gradients_that_the_script_spoils_are_told_as_such(run):
    finding = run("""
    X, y = rng.normal(size=(60, 4)), rng.normal(size=(60, 1))
    model = Linear(4, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    for step in range(20):
        loss = ((model(X) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        model.bias.grad[:] /= np.zeros(1)
        optimizer.step()
    """)[0]
    assert finding.code == "MG409" and "no operation of the loss made it so" in finding.seen


# -- the loss ------------------------------------------------------------------------------------------------------------

CLASSES = """
X = {x}
y = (X[:, 0] > 0).astype(int)
model = Sequential(Linear(4, 16), ReLU(), Linear(16, 2))
optimizer = Adam(model.parameters(), lr=0.01)
for step in range(40):
    p = model(X)
    loss = {loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
NORMAL, RAW = "rng.normal(size=(300, 4))", "100 * rng.normal(size=(300, 4))"
NLL, NEGATED = "Log-probabilities are due, and the logarithm is missing", "A negated loss"


@pytest.mark.parametrize("x", [NORMAL, RAW])
@pytest.mark.parametrize(
    ("loss", "mended", "title", "cure"),
    [
        ("NLLLoss()(p.softmax(axis=1), y)", "NLLLoss()(p.log_softmax(axis=1), y)", NLL, "log_softmax"),
        ("NLLLoss()(p, y)", "NLLLoss()(p.log_softmax(axis=1), y)", NLL, "log_softmax"),
        ("-CrossEntropyLoss()(p, y)", "CrossEntropyLoss()(p, y)", NEGATED, "without the minus"),
        ("-1.0 * CrossEntropyLoss()(p, y)", "1.0 * CrossEntropyLoss()(p, y)", NEGATED, "without the minus"),
        ("0 - CrossEntropyLoss()(p, y)", "0 + CrossEntropyLoss()(p, y)", NEGATED, "without the minus"),
    ],
)
def test_a_likelihood_that_can_not_be_is_told_first(run, x, loss, mended, title, cure):
    finding = run(CLASSES.format(x=x, loss=loss))[0]
    assert (finding.code, finding.level, finding.title) == ("MG207", "error", title) and cure in finding.cure
    assert finding.line.text.startswith("loss = ")
    assert "MG207" not in run(CLASSES.format(x=NORMAL, loss=mended)).codes


def test_a_loss_that_something_is_subtracted_from_may_be_negative(run):
    assert "MG207" not in run(CLASSES.format(x=NORMAL, loss="CrossEntropyLoss()(p, y) - 2.0")).codes


def test_what_the_discriminator_loses_the_generator_may_gain(run):
    diagnosis = run("""
    real = rng.normal(size=(64, 2)) + 2
    g, d = Linear(2, 2), Sequential(Linear(2, 16), ReLU(), Linear(16, 1))
    of_g, of_d = Adam(g.parameters(), lr=0.01), Adam(d.parameters(), lr=0.01)
    loss_fn = BCEWithLogitsLoss()
    for step in range(20):
        fake = g(rng.normal(size=(64, 2)))
        of_d.zero_grad()
        (loss_fn(d(real), np.ones((64, 1))) + loss_fn(d(fake.detach()), np.zeros((64, 1)))).backward()
        of_d.step()
        of_g.zero_grad()
        (-loss_fn(d(fake), np.zeros((64, 1)))).backward()
        of_g.step()
    """)
    assert "MG207" not in diagnosis.codes


@pytest.mark.parametrize("limited", ["p.clip(1e-7, 1 - 1e-7)", "p.clip(1e-6, 1 - 1e-6).reshape(-1, 1)"])
def test_a_sigmoid_is_seen_behind_limits(run, limited):
    text = """
    X = rng.normal(size=(300, 4))
    y = (X[:, :1] > 0).astype(np.float32)
    model = Sequential(Linear(4, 16), ReLU(), Linear(16, 1))
    optimizer = Adam(model.parameters(), lr=0.01)
    for step in range(40):
        p = model(X).sigmoid()
        loss = BCEWithLogitsLoss()({0}, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """
    assert run(text.format(limited))[0].code == "MG202"
    assert not run(text.format(limited).replace("BCEWithLogitsLoss", "BCELoss")).codes


# -- gradients that never arrive -----------------------------------------------------------------------------------------

CUT = """
X = rng.normal(size=(300, 4))
y = (X[:, :1] > 0).astype(float)
model = Sequential(Linear(4, 16), ReLU(), Linear(16, 1), Sigmoid())
optimizer = Adam(model.parameters(), lr=0.01)
for step in range(40):
    {forward}
    loss = {loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
SAME = "MSELoss()(out, y)"


@pytest.mark.parametrize(
    ("forward", "loss", "at"),
    [
        ("out = Tensor(model(X).numpy(), requires_grad=True)", SAME, "out = "),
        ("out = Tensor(model(X).data, requires_grad=True)", SAME, "out = "),
        ("out = model(X).data.round()", "MSELoss()(Tensor(out, requires_grad=True), y)", "loss = "),
        ("out = Tensor(np.round(model(X).data) + 0.0, requires_grad=True)", SAME, "out = "),
    ],
)
def test_a_loss_that_no_parameter_reaches_is_told_with_the_line_where_the_graph_was_cut(run, forward, loss, at):
    finding = run(CUT.format(forward=forward, loss=loss))[0]
    assert finding.code == "MG105" and "None of the 4 parameters" in finding.seen
    assert finding.line.text.startswith(at)


def test_a_forward_pass_without_recording_is_told_too(run):
    text = CUT.format(forward="with no_grad(): p = model(X)\n    out = Tensor(p.data, requires_grad=True)", loss=SAME)
    finding = run(text)[0]
    assert finding.code == "MG105" and "no_grad()" in finding.seen


@pytest.mark.parametrize(
    ("forward", "loss", "at", "how"),
    [
        ("p = model(X)\n    hard = where(p > 0.5, 1.0, 0.0)", "((hard - y) ** 2 + 0 * p).mean()", "hard = ", "a product with 0"),
        ("p, target = model(X), Tensor(y)", "((10 * p).clip(20.0, 30.0) - target).mean()", "loss = ", "beyond the limits"),
        ("p = model(X)", "(where(p > 2, p, 1.0) - y).mean()", "loss = ", "other branch"),
    ],
)
def test_gradients_that_are_all_0_are_told_with_what_makes_them_so(run, forward, loss, at, how):
    finding = run(CUT.format(forward=forward, loss=loss))[0]
    assert (finding.code, finding.title) == ("MG105", "All gradients are 0") and how in finding.seen
    assert finding.line.text.startswith(at)
    assert "MG105" not in run(CUT.format(forward="out = model(X)", loss=SAME)).codes


def test_gradients_that_dead_units_make_0_are_those_units(run):
    text = CUT.format(forward="out = (model(X) - 2).relu()", loss="((out - y) ** 2).mean()")
    diagnosis = run(text)
    assert diagnosis[0].code == "MG401" and not diagnosis.remarks


def test_inputs_that_are_optimised_themselves_are_no_mistake(run):
    diagnosis = run("""
    model = Sequential(Linear(4, 16), Tanh(), Linear(16, 1))
    for p in model.parameters():
        p.requires_grad = False
    image = Tensor(rng.normal(size=(8, 4)), requires_grad=True)
    optimizer = Adam([image], lr=0.05)
    for step in range(40):
        loss = ((model(image) - 1.0) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """)
    assert "MG105" not in diagnosis.codes


# -- large targets -------------------------------------------------------------------------------------------------------

PRICES = """
X = rng.normal(size=(400, 3))
y = {mean} + {std} * X[:, :1]
model = Sequential(Linear(3, 32), ReLU(), Linear(32, 1))
optimizer = {optimizer}
for step in range({steps}):
    loss = {loss}()(model(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
SCALED = "model = ", "y = (y - y.mean()) / y.std()\nmodel = "
FAST, SLOW = "SGD(model.parameters(), lr=0.01)", "Adam(model.parameters(), lr=0.01)"


@pytest.mark.parametrize(("mean", "std"), [(300_000, 50_000), (300, 50)])
def test_a_rate_at_which_large_targets_overflow_comes_first(run, mean, std):
    text = PRICES.format(mean=mean, std=std, optimizer=FAST, loss="MSELoss", steps=40)
    diagnosis = run(text)
    assert diagnosis.codes == ["MG407"]
    assert "The targets go from" in diagnosis[0].seen and "y.std()" in diagnosis[0].cure
    assert not run(text.replace(*SCALED)).codes
    rate = diagnosis[0].cure.rpartition("= ")[2]
    assert not run(text.replace("lr=0.01", f"lr={rate}")).codes


@pytest.mark.parametrize("loss", ["MSELoss", "L1Loss"])
def test_targets_that_no_step_comes_near_are_told(run, loss):
    text = PRICES.format(mean=300_000, std=50_000, optimizer=SLOW, loss=loss, steps=40)
    diagnosis = run(text)
    assert diagnosis.codes == ["MG408"] and "y.std()" in diagnosis[0].cure
    assert diagnosis[0].title.endswith("for such targets")
    assert not run(text.replace(*SCALED)).codes


@pytest.mark.parametrize(("mean", "std"), [(300, 50), (100, 1)])
@pytest.mark.parametrize("loss", ["MSELoss", "L1Loss"])
def test_targets_that_are_come_near_to_in_time_are_no_mistake(run, mean, std, loss):
    assert not run(PRICES.format(mean=mean, std=std, optimizer=SLOW, loss=loss, steps=120)).codes


def test_targets_that_the_bias_begins_at_are_not_far(run):
    text = PRICES.format(mean=300, std=50, optimizer="SGD(model.parameters(), lr=1e-6)", loss="MSELoss", steps=40)
    diagnosis = run(text.replace("optimizer = ", "model[-1].bias.data[:] = 300\noptimizer = "))
    assert not any("for such targets" in finding.title for finding in diagnosis)
