"""The doctor: what it reports and how, and that nothing of the user's changes. What it finds is measured in test_zoo."""

import copy
import io
import json
import random
import sys
import textwrap

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import (
    SGD,
    Adam,
    BatchNorm,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    DataLoader,
    Dropout,
    Linear,
    Module,
    MSELoss,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    Tensor,
    diagnose,
    effects,
    set_seed,
)
from micrograd_plus.cli import main
from micrograd_plus.explain.doctor import Diagnosis, examine, script
from micrograd_plus.explain.doctor.catalogue import MISTAKES, causes_first, found
from micrograd_plus.explain.doctor.observation import Observer
from micrograd_plus.explain.doctor.report import show
from micrograd_plus.explain.findings import LEVELS
from micrograd_plus.explain.lines import Line

HEALTHY = """
import numpy as np
from micrograd_plus import Adam, CrossEntropyLoss, Linear, ReLU, Sequential, set_seed

set_seed(0)
x = np.random.randn(200, 4).astype(np.float32)
y = (x[:, 0] * x[:, 1] > 0).astype(int)
model = Sequential(Linear(4, 32), ReLU(), Linear(32, 2))
optimizer = Adam(model.parameters(), lr=0.01)
for step in range(60):
    optimizer.zero_grad()
    loss = CrossEntropyLoss()(model(x), y)
    loss.backward()
    optimizer.step()
"""
SICK = HEALTHY.replace("    optimizer.zero_grad()\n", "")


def data(n=60, features=4, classes=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, features)).astype(np.float32)
    return x, np.arange(n) % classes


def model_of(*last, features=4, classes=3):
    return Sequential(Linear(features, 16), ReLU(), Linear(16, classes), *last)


@pytest.fixture
def written(tmp_path):
    """Writes a script, and returns its path."""

    def write(text, name="train.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def run(written, monkeypatch):
    """Follows a script in this process."""

    def follow(text, *arguments):
        monkeypatch.setattr(sys, "argv", list(sys.argv))
        monkeypatch.setattr(sys, "path", list(sys.path))
        return script.run(str(written(text)), arguments)

    return follow


# -- nothing changes -----------------------------------------------------------------------------------------------------


def everything(model, optimizer, *generators):
    """All that diagnose() could change, as plain copies."""
    legacy = np.random.get_state()
    return {
        "values": [p.data.copy() for p in model.parameters()],
        "arrays": [id(p.data) for p in model.parameters()],
        "gradients": [None if p._grad is None else p._grad.copy() for p in model.parameters()],
        "required": [p.requires_grad for p in model.parameters()],
        "buffers": [b.copy() for _, b in model.named_buffers()],
        "modes": [m.training for _, m in model.named_modules()],
        "optimizer": copy.deepcopy(optimizer.state_dict()),
        "generators": [copy.deepcopy(g.bit_generator.state) for g in (effects.default_generator(), *generators)],
        "legacy": (legacy[0], legacy[1].copy(), *legacy[2:]),
        "python": random.getstate(),
    }


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def used_model():
    """A model and its optimizer after two steps, with gradients, running statistics, a frozen part, and a layer's own generator."""
    set_seed(0)
    generator = np.random.default_rng(5)
    model = Sequential(Linear(4, 16), BatchNorm(16), ReLU(), Dropout(0.3), Linear(16, 3))
    model[3].generator = generator
    optimizer = Adam(model.parameters(), lr=0.01)
    x, y = data()
    for _ in range(2):
        optimizer.zero_grad()
        CrossEntropyLoss()(model(x), y).backward()
        optimizer.step()
    model[0].bias.requires_grad = False
    model[1].training = False
    return model, optimizer, generator


def noisy(model):
    """A loss that refers to the user's own model, and draws from every generator."""

    def loss(predictions, targets):
        predictions = predictions * (1 + 0 * (np.random.rand() + random.random() + effects.draw(None, "random")))
        return CrossEntropyLoss()(predictions, targets) + 1e-4 * sum((p**2).sum() for p in model.parameters())

    return loss


def raising(model):
    def loss(predictions, targets):
        model.eval()
        model[0].weight.data *= 2
        raise ValueError("no loss today")

    return loss


@pytest.mark.parametrize("make_loss", [lambda model: CrossEntropyLoss(), noisy, raising])
@pytest.mark.parametrize("loaded", [False, True])
def test_nothing_of_the_users_changes(make_loss, loaded):
    model, optimizer, generator = used_model()
    x, y = data()
    order = np.random.default_rng(7)
    batches = DataLoader(x, y, 16, generator=order) if loaded else (x, y)
    before = everything(model, optimizer, generator, order)
    kept = x.copy()
    diagnosis = diagnose(model, batches, make_loss(model), optimizer)
    after = everything(model, optimizer, generator, order)
    for name in before:
        assert same(before[name], after[name]), name
    assert np.array_equal(x, kept)
    assert diagnosis.steps == (0 if make_loss is raising else 40)


def test_a_loader_of_the_librarys_generator_draws_the_order_that_it_would_have_drawn():
    x, y = data()
    orders = []
    for looked_at in (False, True):
        set_seed(3)
        loader = DataLoader(x, y, 16)
        model = model_of()
        if looked_at:
            diagnose(model, loader, CrossEntropyLoss())
        orders.append(np.concatenate([labels for _, labels in loader]))
    assert np.array_equal(*orders)


def test_classes_and_functions_are_afterwards_what_they_were():
    watched = [
        (Module, "__call__"),
        (Tensor, "backward"),
        (mg.Optimizer, "step"),
        (mg.losses, "cross_entropy"),
        (mg.optimizers, "clip_grad_norm"),
    ]
    before = [getattr(owner, name) for owner, name in watched]
    with pytest.raises(KeyError), Observer():
        assert Module.__call__ is not before[0] and mg.losses.cross_entropy is not before[3]
        raise KeyError
    assert [getattr(owner, name) for owner, name in watched] == before
    assert mg.tensor.watch() == ()


def test_a_training_that_is_followed_computes_the_same():
    def trained():
        set_seed(0)
        model = Sequential(Linear(4, 8), BatchNorm(8), ReLU(), Dropout(0.2), Linear(8, 3))
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
        for x, y in DataLoader(*data(), 16):
            optimizer.zero_grad()
            CrossEntropyLoss()(model(x), y).backward()
            mg.clip_grad_norm(model.parameters(), max_norm=1.0)
            optimizer.step()
        return model.state_dict()

    alone = trained()
    with Observer(stops=False) as observer:
        followed = trained()
    assert observer.steps == 4 and all(np.array_equal(alone[name], followed[name]) for name in alone)


def test_hooks_are_left_out_and_that_is_said():
    model, seen = model_of(), []
    model[0].register_forward_hook(lambda module, args, out: seen.append(out.shape))
    diagnosis = diagnose(model, data(), CrossEntropyLoss())
    assert seen == [] and "Hooks" in diagnosis.remarks[0]
    model(data()[0])
    assert len(seen) == 1


# -- what may be given ---------------------------------------------------------------------------------------------------


class Pair(Module):
    def __init__(self):
        self.first, self.second = Linear(4, 3), Linear(2, 3)

    def forward(self, a, b):
        return self.first(a) + self.second(b)


X, Y = data()
MANY = [(X[:20], Y[:20]), (X[20:40], Y[20:40])]


@pytest.mark.parametrize(
    ("model", "batches"),
    [
        (model_of(), (X, Y)),
        (model_of(), [X, Y]),
        (model_of(), (Tensor(X), Tensor(Y))),
        (model_of(), MANY),
        (model_of(), tuple(MANY)),
        (model_of(), DataLoader(X, Y, 16)),
        (Pair(), (X, X[:, :2], Y)),
        (Pair(), ((X, X[:, :2]), Y)),
        (Pair(), [((X, X[:, :2]), Y)]),
    ],
)
def test_batches_come_in_many_forms(model, batches):
    diagnosis = diagnose(model, batches, CrossEntropyLoss(), Adam(model.parameters(), lr=0.01))
    assert diagnosis.steps == 40 and diagnosis.error == "" and diagnosis.remarks == ()
    assert diagnosis.last_loss < diagnosis.first_loss


def test_an_iterator_is_refused_and_not_used_up():
    batches = iter(MANY)
    with pytest.raises(
        TypeError, match=r"without using them up, got a list_iterator\. Pass one batch \(x, y\), a list of batches, or a DataLoader"
    ):
        diagnose(model_of(), batches, CrossEntropyLoss())
    assert len(list(batches)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((len, (X, Y), CrossEntropyLoss()), "needs a Module, got builtin_function_or_method. Pass the model itself"),
        ((model_of(), (X, Y), 3), "needs a loss function, got int"),
        ((model_of(), (X, Y), CrossEntropyLoss(), 0.1), "needs an Optimizer, got float"),
        ((model_of(), X, CrossEntropyLoss()), r"needs one batch \(x, y\), a list of batches or a DataLoader, got ndarray"),
        ((model_of(), [X[0]], CrossEntropyLoss()), r"a batch must be \(x, y\), inputs and targets, got ndarray"),
        ((model_of(), [], CrossEntropyLoss()), "needs at least one batch, got none"),
    ],
)
def test_what_can_not_be_diagnosed_is_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        diagnose(*arguments)


# -- what is found -------------------------------------------------------------------------------------------------------


def nan_inputs():
    x, y = data()
    x[3, 1] = np.nan
    return model_of(), (x, y), CrossEntropyLoss()


CASES = {
    "MG201": lambda: (model_of(Softmax()), data(), CrossEntropyLoss()),
    "MG202": lambda: (model_of(Sigmoid(), classes=1), (X, (Y > 1).reshape(-1, 1)), BCEWithLogitsLoss()),
    "MG203": lambda: (model_of(), (X, Y + 1), CrossEntropyLoss()),
    "MG204": lambda: (model_of(), (X, Y / 2), CrossEntropyLoss()),
    "MG205": lambda: (model_of(), (X, np.eye(3)[Y]), CrossEntropyLoss()),
    "MG206": lambda: (model_of(classes=1), (X, X[:, 0]), lambda p, t: ((p - t) ** 2).mean()),
    "MG301": lambda: (model_of(), (X * 100, Y), CrossEntropyLoss()),
    "MG302": lambda: (model_of(), (X * 0 + 1, Y), CrossEntropyLoss()),
    "MG303": nan_inputs,
    "MG307": lambda: (model_of(classes=1), (X, np.where(X[:, :1] > 1, np.nan, X[:, :1])), MSELoss()),
    "MG306": lambda: (Sequential(Linear(4, 8), BatchNorm(8), Linear(8, 3)), (X[:1], Y[:1]), CrossEntropyLoss()),
    "MG304": lambda: (model_of(), DataLoader(X, np.sort(Y), 10, shuffle=False), CrossEntropyLoss()),
    "MG404": lambda: (Sequential(Linear(4, 8), Tanh(), Linear(8, 1), Tanh()), (X, 5 + X[:, :1]), MSELoss()),
}


@pytest.mark.parametrize("code", CASES)
def test_diagnose_finds_the_mistake_first_and_without_an_optimizer(code):
    diagnosis = diagnose(*CASES[code]())
    assert diagnosis.codes[0] == code and not diagnosis.remarks, str(diagnosis)


def test_a_healthy_model_gets_no_finding():
    model = model_of()
    diagnosis = diagnose(model, data(), CrossEntropyLoss(), SGD(model.parameters(), lr=0.1, momentum=0.9))
    assert list(diagnosis) == [] and diagnosis.healthy and len(diagnosis) == 0


def test_the_optimizer_of_another_model_and_its_rate_are_found():
    model = model_of()
    assert diagnose(model, data(), CrossEntropyLoss(), SGD(model_of().parameters(), lr=0.1)).codes == ["MG102"]
    assert diagnose(model, data(), CrossEntropyLoss(), SGD(model[0].parameters(), lr=0.1)).codes[0] == "MG103"
    assert diagnose(model, data(), CrossEntropyLoss(), SGD(model.parameters(), lr=1e-7)).codes[0] == "MG408"
    assert diagnose(model, data(), CrossEntropyLoss(), SGD(model.parameters(), lr=1e4)).codes[0] == "MG407"


def test_a_model_in_eval_mode_is_diagnosed_as_it_is():
    model = Sequential(Linear(4, 16), ReLU(), Dropout(0.2), Linear(16, 3))
    assert diagnose(model, data(), CrossEntropyLoss()).codes == []
    assert diagnose(model.eval(), data(), CrossEntropyLoss()).codes[0] == "MG107"


def test_no_grad_around_the_call_changes_nothing():
    with mg.no_grad():
        diagnosis = diagnose(model_of(), data(), CrossEntropyLoss())
    assert diagnosis.healthy and diagnosis.last_loss < diagnosis.first_loss


def test_causes_come_before_consequences_and_notes_last():
    codes = ["MG109", "MG407", "MG301", "MG303"]
    assert [f.code for f in causes_first([found(code, "", "") for code in codes])] == ["MG303", "MG301", "MG407", "MG109"]
    weak = found("MG302", "", "", level="note")
    assert causes_first([weak, found("MG106", "", "")])[0].code == "MG106"


@pytest.mark.parametrize("code", MISTAKES)
def test_every_mistake_is_told_in_full(code):
    finding = found(code, "this.", "that")
    assert finding.level in LEVELS and finding.link == f"docs/troubleshooting.md#{code.lower()}"
    assert finding.title[0].isupper() or finding.title[0] == "("
    assert not finding.title.endswith(".") and finding.why.endswith(".") and 40 < len(finding.why) < 300


def test_a_check_that_fails_is_told_of_and_costs_no_other(monkeypatch):
    from micrograd_plus.explain.doctor import examination

    def broken(observer):
        raise ZeroDivisionError("by zero")
        yield

    monkeypatch.setattr(examination, "check_data", broken)
    diagnosis = diagnose(*CASES["MG201"]())
    assert diagnosis.codes == ["MG201"]
    assert diagnosis.remarks == ("The check of the data failed, which is a mistake of the doctor's: ZeroDivisionError: by zero",)


# -- the report ----------------------------------------------------------------------------------------------------------


def told():
    finding = found("MG101", "9 of 10 steps used old gradients, " + "and so on " * 12, "optimizer.zero_grad()", Line(__file__, 1))
    note = found("MG109", "weight_decay=0.1 pulls on 2 biases.", "weight_decay=0")
    return Diagnosis([note, finding], "train.py", 10, 2.5, 0.25)


def test_the_report_is_text_to_be_read():
    assert str(told()) == textwrap.dedent(
        '''\
        train.py: 10 training steps followed, loss 2.5 to 0.25; 1 error, 1 note.

        MG101 error: Gradients are not zeroed between steps  (test_doctor.py, line 1)
            > """The doctor: what it reports and how, and that nothing of the user's changes. What it fi ...
            seen: 9 of 10 steps used old gradients, and so on and so on and so on and so on and so on and so
                  on and so on and so on and so on and so on and so on and so on
            why:  backward() adds to .grad: each step then moves along the sum of all gradients since the
                  last zero_grad(), old ones included.
            cure: optimizer.zero_grad()
            more: docs/troubleshooting.md#mg101

        MG109 note: Weight decay on biases and norms
            seen: weight_decay=0.1 pulls on 2 biases.
            why:  Pulling biases and the scales of normalisation towards 0 does not regularise; most recipes
                  leave them out.
            cure: weight_decay=0
            more: docs/troubleshooting.md#mg109'''
    )


def test_the_summary_counts():
    assert Diagnosis([], "the model").summary() == "the model: no training step seen; nothing to go by."
    assert Diagnosis([found("MG208", "", "")] * 2, "a.py", 1).summary() == "a.py: 1 training step followed; 2 warnings."


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_colours_and_the_same_words(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    diagnosis = told()
    diagnosis.findings.insert(1, found("MG208", "", ""))
    show(diagnosis, stream)
    text = stream.getvalue()
    assert "\x1b[" in text
    for words in ("MG101 error", "(start here)", "test_doctor.py, line 1", "optimizer.zero_grad()", "docs/troubleshooting.md#mg109"):
        assert words in text


def test_a_file_gets_plain_text_and_so_does_who_has_no_rich(monkeypatch):
    stream = io.StringIO()
    show(told(), stream)
    assert stream.getvalue() == f"{told()}\n"
    monkeypatch.setitem(sys.modules, "rich.console", None)
    stream = Terminal()
    show(told(), stream)
    assert stream.getvalue() == f"{told()}\n"


def test_json_holds_all_and_no_nan():
    def refuse(word):
        raise AssertionError(word)

    diagnosis = diagnose(*CASES["MG303"]())
    values = json.loads(diagnosis.to_json(), parse_constant=refuse)
    assert values["healthy"] is False and values["steps"] == diagnosis.steps
    assert values["findings"][0] == {
        "code": "MG303",
        "level": "error",
        "title": "NaN or infinity in the inputs",
        "seen": diagnosis[0].seen,
        "why": diagnosis[0].why,
        "cure": diagnosis[0].cure,
        "line": {"file": __file__, "number": diagnosis[0].line.number, "text": diagnosis[0].line.text},
        "link": "docs/troubleshooting.md#mg303",
    }
    assert "the first is nan at index (3, 1)" in diagnosis[0].seen
    exploded = json.loads(Diagnosis([], "a.py", 2, 1.0, float("inf")).to_json(), parse_constant=refuse)
    assert exploded["last_loss"] == "inf"


# -- scripts -------------------------------------------------------------------------------------------------------------


def test_the_command_says_by_its_exit_code_whether_something_was_found(written, capsys):
    assert main(["doctor", str(written(HEALTHY))]) == 0
    assert capsys.readouterr().out.startswith("train.py: 60 training steps followed, loss ")
    assert main(["doctor", "--json", str(written(SICK))]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert [finding["code"] for finding in printed["findings"]] == ["MG101"]
    assert printed["findings"][0]["line"]["text"] == "loss.backward()"
    read = examine(written(SICK))
    assert read.to_dict() == {**printed, "first_loss": read.first_loss, "last_loss": read.last_loss}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"the doctor needs a Python file, '.*train.py' is not there\."),
        ("for", r"needs a file of Python source, but '.*train.py' can't be parsed: invalid syntax"),
        ("x = '\0'", "can't be parsed"),
    ],
)
def test_a_wrong_file_is_refused_with_code_2(text, message, tmp_path, capsys):
    path = tmp_path / "train.py"
    if text is not None:
        path.write_text(text)
    assert main(["doctor", str(path)]) == 2
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        examine(path)
    with pytest.raises(ValueError, match="is a folder"):
        examine(tmp_path)


def test_a_script_is_main_with_its_arguments_and_its_neighbours(written, run):
    written("SCALE = 3\n", "neighbour.py")
    diagnosis = run(
        """
        import argparse, sys
        import neighbour
        from pathlib import Path
        parser = argparse.ArgumentParser()
        parser.add_argument("--steps", type=int, required=True)
        options = parser.parse_args()
        assert __name__ == "__main__" and Path(__file__).name == Path(sys.argv[0]).name == "train.py", sys.argv
        assert sys.argv[1:] == ["--steps", "7"] and neighbour.SCALE == 3
        from micrograd_plus import SGD, Linear
        model = Linear(2, 1)
        optimizer = SGD(model.parameters(), lr=0.1)
        for _ in range(options.steps):
            optimizer.zero_grad()
            (model([[1.0, 2.0]]) ** 2).mean().backward()
            optimizer.step()
        """,
        "--steps",
        "7",
    )
    assert diagnosis.error == "" and diagnosis.steps == 7
    assert "neighbour" in sys.modules
    del sys.modules["neighbour"]


def test_a_script_that_raises_is_told_with_its_own_lines_alone(run):
    diagnosis = run(HEALTHY + "\ndef last():\n    return [][3]\n\nlast()\n")
    assert not diagnosis.healthy and diagnosis.codes == []
    assert diagnosis.error.rstrip().endswith("IndexError: list index out of range")
    assert "train.py" in diagnosis.error and "return [][3]" in diagnosis.error and "runpy" not in diagnosis.error
    assert "The script raised:\n      File" in str(diagnosis)


@pytest.mark.parametrize(("code", "well"), [("0", True), ("", True), ("3", False), ("'no data'", False)])
def test_a_script_that_leaves(code, well, run):
    diagnosis = run(f"import sys\nsys.exit({code})\n")
    assert diagnosis.unseen == well and not diagnosis.healthy
    assert well or diagnosis.error.startswith("SystemExit: ")


def test_training_without_an_end_is_ended_whatever_the_script_catches(run, capsys):
    text = HEALTHY.replace("for step in range(60):", "while True:").replace(
        "    loss.backward()", "    print(loss.item())\n    loss.backward()"
    )
    body = text.partition("while True:\n")
    text = f"{body[0]}while True:\n    try:\n{textwrap.indent(body[2], '    ')}    except Exception:\n        pass\n"
    diagnosis = run(text)
    assert diagnosis.healthy and diagnosis.steps > 40
    assert capsys.readouterr().out == ""  # what the script prints is not shown


def test_a_script_that_does_nothing_for_long_is_ended(written):
    with pytest.raises(RuntimeError, match=r"train.py must come to its training within 1 seconds, and did not\. Give it less data"):
        examine(written("import time\ntime.sleep(60)\n"), patience=1)


def test_a_process_that_dies_is_told_of(written):
    with pytest.raises(RuntimeError, match=r"that ran train.py ended with code 9 and no diagnosis: last words"):
        examine(written("import os, sys\nprint('last words', file=sys.stderr, flush=True)\nos._exit(9)\n"))


def test_compiled_functions_are_followed_too(run):
    before, _, loop = SICK.replace("set_seed\n", "set_seed, compile\n", 1).partition("for step in range(60):\n")
    diagnosis = run(f"{before}@compile\ndef step(x, y):\n{loop}    return loss\n\nfor _ in range(60):\n    step(x, y)\n")
    assert diagnosis.codes == ["MG101"] and diagnosis.error == ""


def test_a_loop_that_updates_by_hand_is_followed(run):
    text = HEALTHY.replace("    optimizer.step()", "    for p in model.parameters():\n        p.data -= 0.5 * p.grad").replace(
        "optimizer = Adam(model.parameters(), lr=0.01)\n", ""
    )
    assert run(text.replace("optimizer.zero_grad()", "model.zero_grad()")).codes == []
    assert run(text.replace("    optimizer.zero_grad()\n", "")).codes == ["MG101"]
