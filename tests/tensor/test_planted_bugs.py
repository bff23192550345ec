"""Planted bugs in the engine: the tests beside this file must see each of them.

Each mutant is the tensor module with one operator, constant, comparison, call, condition or write changed: un-broadcasting
skipped, a cotangent not cast, the order of the walk reversed, a sum overwritten, a copy not made, and so on in each place. The
tests run on it in this process, with the mutant in the place of the module.
"""

import collections
import contextlib
import functools
import itertools
import re
import sys
import threading
import types
import warnings
from pathlib import Path

import pytest

import micrograd_plus
from micrograd_plus import rules, tensor

from ..planting import loaded, planted, unchanged

SUITES = ["test_walk", "test_watchers", "test_dtypes", "test_dispatch", "test_messages", "test_tensor"]
BESIDE = {
    "test_every_raise_in_the_module_is_among_these",
    "test_the_check_for_missing_messages_finds_raises",
}  # they read the source on disk

# (function, line, change): why no test can see it
SLOWER = "the other way gives the same, slower"
SYMBOLS = "only what is traced sees it, in tests/compiler"
EQUIVALENT = {
    ("Tensor.backward", "sole = g.__class__ is _ndarray", "operand 0 dropped"): "NumPy's scalars are read-only",
    ("Tensor.backward", "sole = g.__class__ is _ndarray", "IsNot for Is"): "then all gradients are copied",
    ("Tensor.flatten", "self.reshape(-1)", "constant [+] 1"): "NumPy reads any negative size as the unknown one",
    ("Tensor.__array_function__", '.replace("numpy", "np", 1)', "constant .*"): "no module's name has it twice",
    ("apply", "x.__class__ is Tensor or isinstance(x, Tensor)", "operand 0 dropped"): SLOWER,
    ("apply", "x.__class__ is float or x.__class__ is int", "and for or|operand . dropped"): SLOWER,
    ("apply", 'if required or array.dtype.kind == "f"', "operand 0 dropped"): "of whole numbers and floats it runs again",
    ("_apply_binary", "y.__class__ is float or y.__class__ is int", ".*"): SLOWER,
    ("_apply_binary", "value.dtype is not a.dtype or", "operand 1 dropped|Is for IsNot"): "the dtype is right; casting only costs",
    ("_seed", "replay: bool = False", "constant flipped"): "what a leaf gets of a Tensor is its values",
    ("_seed", "seed = gradient if replay and", "operand 0 dropped"): "what a leaf gets of a Tensor is its values",
    ("_seed", "seed = gradient if replay and", "constant flipped"): SLOWER,
    ("_as_traced", "if output._data.__class__ is not", ".*"): SYMBOLS,
    ("_as_traced", "return g * np.ones_like(", ".*"): SYMBOLS,
    ("_constant", "plain = type(x) is np.ndarray or", "operand 1 dropped|Not dropped"): SYMBOLS,
    ("_walk", "node.rule(*node.inputs, **node.options)[1]", "constant negated"): "of two, the second is the last",
    ("_walk", "since: int = 0", "constant [+] 1"): "nodes are numbered from 1",
    ("_graph", "since: int = 0", "constant [+] 1"): "nodes are numbered from 1",
    ("_unbroadcast", "if extra > 0:", "GtE for Gt"): "a sum over no axes is the array",
    ("_sole_count", "np.empty(1)", "constant [+] 1"): "an array of any size",
    ("eye", "dtype or _state.default_dtype", ".*"): "zeros and ones are exact in any dtype",
}

found_by: collections.Counter = collections.Counter()  # (test, number of its case): what found the most is tried first


@functools.cache
def code_of(suite):
    path = Path(__file__).with_name(f"{suite}.py")
    return compile(path.read_text(), str(path), "exec")


@contextlib.contextmanager
def in_place_of_the_module(mutant):
    """What `import micrograd_plus` and its `tensor` give is made of the mutant."""
    package = types.ModuleType(micrograd_plus.__name__)
    vars(package).update(vars(micrograd_plus))
    package.tensor = mutant
    for name, value in vars(micrograd_plus).items():
        if name in vars(tensor) and value is vars(tensor)[name] and name in vars(mutant):
            setattr(package, name, vars(mutant)[name])
    replaced = {micrograd_plus.__name__: package, tensor.__name__: mutant}
    originals = {name: sys.modules[name] for name in replaced}
    linear, excepthook = set(rules.LINEAR), threading.excepthook
    sys.modules.update(replaced)
    threading.excepthook = lambda args: None  # a thread's failure shows in what it left undone
    try:
        yield
    finally:
        sys.modules.update(originals)
        threading.excepthook = excepthook
        rules.LINEAR.clear()
        rules.LINEAR.update(linear)


def cases():
    """(name, number), function and arguments of every test that needs no fixture."""
    for suite in SUITES:
        tests = types.ModuleType(f"planted_{suite}")
        tests.__file__ = str(Path(__file__).with_name(f"{suite}.py"))
        exec(code_of(suite), vars(tests))
        for name, function in list(vars(tests).items()):
            if not name.startswith("test_") or name in BESIDE:
                continue
            axes = []
            for mark in getattr(function, "pytestmark", ()):
                names = [part.strip() for part in mark.args[0].split(",")] if isinstance(mark.args[0], str) else mark.args[0]
                several = [value.values if type(value).__name__ == "ParameterSet" else value for value in mark.args[1]]
                several = [value if len(names) > 1 or (type(value) is tuple and len(value) == 1) else (value,) for value in several]
                axes.append([dict(zip(names, value, strict=True)) for value in several])
            for i, parts in enumerate(itertools.product(*axes)):
                yield (name, i), function, {argument: value for part in parts for argument, value in part.items()}


def first_failure(mutant):
    """The first test that fails on the mutant; None if all pass."""
    with warnings.catch_warnings(), in_place_of_the_module(mutant):
        warnings.simplefilter("error")
        number = None
        try:
            for case in sorted(cases(), key=lambda case: -found_by[case[0]]):
                number, function, arguments = case
                function(**arguments)
        except (Exception, pytest.fail.Exception) as error:
            found_by[number] += 1
            return f"{number}: {error!r}"
    return None


def excuse(mutant):
    return [key for key in EQUIVALENT if key[0] == mutant.function and key[1] in mutant.line and re.fullmatch(key[2], mutant.what)]


def test_the_unchanged_module_passes():
    assert first_failure(loaded(tensor, unchanged(tensor))) is None
    with in_place_of_the_module(loaded(tensor, unchanged(tensor))):
        assert len(list(cases())) > 500


def test_every_planted_bug_is_found(capsys):
    count, survivors, excused = 0, [], set()
    for mutant in planted(tensor):
        try:
            failure = first_failure(loaded(tensor, mutant.code))
        except Exception as error:  # it does not even import
            failure = repr(error)
        count += failure is not None
        if failure is None:
            reasons = excuse(mutant)
            excused.update(reasons)
            if not reasons:
                survivors.append(f"{mutant.function}: {mutant.line}    [{mutant.what}]")
    with capsys.disabled():
        print(f"\ntensor: {count} of {count + len(survivors)} planted bugs found", end="")
    assert not survivors, "survived:\n" + "\n".join(survivors)
    assert not set(EQUIVALENT) - excused, f"these are found after all: {set(EQUIVALENT) - excused}"
