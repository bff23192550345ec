"""Planted bugs: the tests of the modules from functional to utils, and of scalar, must see every one of them.

Each mutant is the source of a module with one operator, constant, comparison, condition or write changed, loaded as a module
of its own. The tests of that module run on it, in this process, with the mutant in the place of the module. None may survive,
but for those listed as equivalent, with the reason.
"""

import collections
import functools
import inspect
import itertools
import re
import tempfile
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import micrograd_plus
from micrograd_plus import functional, gradcheck, init, layers, losses, nn, optimizers, scalar, utils

from .planting import loaded, planted, unchanged

TESTS = Path(__file__).parent

# module: the files of its tests
SUITES = {
    functional: ["test_functional", "test_messages"],
    init: ["test_init"],
    losses: ["test_losses", "test_messages"],
    optimizers: ["test_optimizers", "test_messages"],
    layers: ["test_layers", "test_messages"],
    nn: ["test_nn", "test_messages"],
    gradcheck: ["test_gradcheck", "test_messages"],
    utils: ["test_utils", "test_messages"],
    scalar: ["test_scalar"],
}
# Other tests see the same bugs.
SLOW = {
    "test_a_chain_of_100_000_values",
    "test_micrograd_s_demo_runs_and_learns",
    "test_a_large_parameter_is_updated_like_a_small_one",
    "test_a_full_disk_leaves_the_old_file_and_nothing_else",
    "test_a_model_learns_to_separate_two_rings",
}
BESIDE = {"test_every_error_has_an_entry", "test_the_engine_is_about_a_hundred_lines_of_code"}  # they read the source on disk

# (module, line of source, change): why no test can see it
EQUIVALENT = {
    ("functional", "if p < 1 else 0.0", "constant .*"): "at p = 1 nothing is kept, and the factor multiplies zeros",
    ("functional", "np.astype(keep, x.dtype)", "astype dropped"): "the product with x gives the mask its dtype",
    ("optimizers", "self.state.get(p) or self.state.setdefault", "operand 0 dropped"): "setdefault does the same, more slowly",
    ("optimizers", "if decay and", "operand 0 dropped"): "a decay of zero adds zeros",
    ("optimizers", "factor.astype(g.dtype)", "astype dropped"): "the write casts the product",
    ("gradcheck", "output.reshape(())", "reshape dropped"): "item() and gradients() take any one element",
    ("functional", "channels = (-1, *", "constant .*"): "NumPy reads any negative size as the unknown one",
    ("functional", "count = x.size // x.shape[1]", "Div for FloorDiv"): "the division leaves no remainder",
    ("losses", "scores.ndim != 2 or shape != scores.shape[:1]", "constant negated"): "of two axes, the first is all but the last",
    ("losses", "F.whole_numbers(labels, scores.shape[1]", "constant negated"): "of two axes, the second is the last",
    ("nn", "classes = p.argmax(1)", "constant negated"): "of two axes, the second is the last",
    ("nn", "force_zip64=True", "constant flipped"): "it is needed for arrays of over 2 GB",
    ("nn", "write_array(file, array, allow_pickle=False)", "constant flipped"): "a state holds no objects, and loading refuses them",
    ("gradcheck", "eps: float = 1e-5", "constant negated"): "a central difference is the same forwards and backwards",
    ("gradcheck", "np.random.default_rng(0)", "Div for Mult"): "another random direction",
    ("gradcheck", "np.random.default_rng(0)", "constant .*"): "another random direction",
}


@functools.cache
def source_of(suite):
    path = TESTS / f"{suite}.py"
    return compile(path.read_text(), str(path), "exec")


def cases(suite, name, module):
    """(name, function, arguments) of every test of a file that needs no fixture, the file loaded with `module` under `name`."""
    original = getattr(micrograd_plus, name)
    tests = types.ModuleType(f"planted_{suite}")
    setattr(micrograd_plus, name, module)  # what `from micrograd_plus import name` gives
    try:
        exec(source_of(suite), vars(tests))
    finally:
        setattr(micrograd_plus, name, original)
    for test, function in list(vars(tests).items()):
        if not test.startswith("test_") or test in SLOW | BESIDE:
            continue
        axes = []
        for mark in getattr(function, "pytestmark", ()):
            if mark.name == "parametrize":
                names = [n.strip() for n in mark.args[0].split(",")] if isinstance(mark.args[0], str) else mark.args[0]
                rows = [
                    values if isinstance(values, type(pytest.param())) else pytest.param(*as_row(values, names)) for values in mark.args[1]
                ]
                axes.append([dict(zip(names, row.values, strict=True)) for row in rows])
        given = {argument for axis in axes if axis for argument in axis[0]}
        fixtures = set(inspect.signature(function).parameters) - given
        if fixtures <= {"tmp_path", "monkeypatch"}:
            for parts in itertools.product(*axes):
                call = functools.partial(with_fixtures, function, fixtures) if fixtures else function
                yield test, call, {k: v for part in parts for k, v in part.items()}


def as_row(values, names):
    return values if len(names) > 1 else [values]


def with_fixtures(function, fixtures, **arguments):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        offered = {"tmp_path": Path(folder), "monkeypatch": monkeypatch}
        function(**arguments, **{name: offered[name] for name in fixtures})


found_by = collections.Counter()  # (suite, number of the case): those that found the most are tried first


def first_failure(suites, name, module):
    """The first test that fails with the module in the place of its namesake; None if all pass."""
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        for suite in suites:
            case = None
            try:
                found = list(cases(suite, name, module))
                for case in sorted(range(len(found)), key=lambda case: -found_by[suite, case]):
                    _, function, arguments = found[case]
                    function(**arguments)
            except (Exception, pytest.fail.Exception) as error:
                found_by[suite, case] += 1
                return f"{suite}: {error!r}"
    return None


@pytest.mark.parametrize("module", SUITES, ids=lambda module: module.__name__.split(".")[-1])
def test_every_planted_bug_is_found(module, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some mutants write where they should refuse
    name = module.__name__.split(".")[-1]
    suites = SUITES[module]
    assert first_failure(suites, name, loaded(module, unchanged(module))) is None
    count, survivors, excused = 0, [], set()
    for _, line, what, code in planted(module):
        try:
            mutant = loaded(module, code)
        except Exception:  # it does not even import
            count += 1
            continue
        if first_failure(suites, name, mutant) is None:
            reasons = [key for key in EQUIVALENT if key[0] == name and key[1] in line and re.fullmatch(key[2], what)]
            if reasons:
                excused.update(reasons)
                continue
            survivors.append(f"{line}    [{what}]")
        count += 1
    with capsys.disabled():
        print(f"\n{name}: {count - len(survivors)} of {count} planted bugs found", end="")
    assert not survivors, "survived:\n" + "\n".join(survivors)
    stale = {key for key in EQUIVALENT if key[0] == name} - excused
    assert not stale, f"these are found after all: {stale}"
