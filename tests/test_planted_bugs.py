"""Planted bugs: the tests of all modules above the engine, from transforms to utils, and of effects and scalar, must see every one.

Each mutant is the source of a module with one operator, constant, comparison, condition or write changed, loaded as a module
of its own. The tests of that module run on it, in this process, with the mutant in the place of the module; in a package
(layers, losses, ...), with a stand-in for the package in which the mutant, and the modules that import it, are loaded anew.
None may survive, but for those listed as equivalent, with the reason.
"""

import collections
import contextlib
import functools
import importlib
import inspect
import itertools
import re
import sys
import tempfile
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import micrograd_plus

from .planting import loaded, planted, unchanged

TESTS = Path(__file__).parent

# module: the files of its tests
SUITES = {
    "effects": ["test_effects"],
    "transforms": ["test_transforms"],
    "functional.arrays": ["functional/test_arrays"],
    "functional.attention": ["layers/test_attention"],
    "functional.convolution": ["layers/test_convolution", "layers/test_pooling"],
    "functional.pooling": ["layers/test_pooling"],
    "functional.feedforward": ["test_functional", "test_messages"],
    "functional.positions": ["layers/test_attention"],
    "functional.recurrent": ["layers/test_recurrent"],
    "functional.normalisation": ["functional/test_normalisation", "test_functional"],
    "functional.group_normalisation": ["functional/test_normalisation"],
    "init": ["test_init", "test_messages"],
    "layers.attention": ["layers/test_attention"],
    "layers.state": ["layers/test_state"],
    "layers.module": ["test_layers", "layers/test_hooks", "layers/test_containers", "test_messages"],
    "layers.hooks": ["layers/test_hooks"],
    "layers.containers": ["layers/test_containers"],
    "layers.convolution": ["layers/test_convolution"],
    "layers.pooling": ["layers/test_pooling"],
    "layers.feedforward": ["test_layers", "test_messages"],
    "layers.positions": ["layers/test_attention"],
    "layers.recurrent": ["layers/test_recurrent"],
    "layers.transformer": ["layers/test_attention"],
    "layers.activations": ["test_layers", "test_messages"],
    "layers.normalisation": ["layers/test_normalisation", "test_layers"],
    "layers.group_normalisation": ["layers/test_normalisation"],
    "losses.classification": ["losses/test_classification", "test_losses", "test_messages"],
    "losses.divergence": ["losses/test_divergence"],
    "losses.margin": ["losses/test_margin"],
    "losses.reduction": ["test_losses", "losses/test_classification", "losses/test_divergence", "losses/test_margin", "test_messages"],
    "losses.regression": ["test_losses", "test_messages"],
    "optimizers.averaging": ["optimizers/test_averaging"],
    "optimizers.chaining": ["optimizers/test_schedules"],
    "optimizers.clipping": ["test_optimizers", "test_messages"],
    "optimizers.cycles": ["optimizers/test_schedules"],
    "optimizers.plateau": ["optimizers/test_schedules"],
    "optimizers.schedules": ["test_optimizers", "optimizers/test_schedules", "test_messages"],
    "optimizers.state": ["optimizers/test_state", "optimizers/test_averaging", "optimizers/test_schedules"],
    "optimizers.updates": ["test_optimizers", "optimizers/test_state", "optimizers/test_schedules", "test_messages"],
    "nn": ["test_nn", "test_messages"],
    # of gradcheck not comparison, differences and uses: they weigh errors of rounding, where many a change only shifts a bound;
    # they are tested by the bugs that they must name, and by rules and functions that must pass
    "gradcheck.check": ["test_gradcheck", "gradcheck/test_diagnosis", "test_messages"],
    "gradcheck.diagnosis": ["gradcheck/test_diagnosis", "test_gradcheck"],
    "gradcheck.findings": ["gradcheck/test_diagnosis", "test_gradcheck", "test_messages"],
    "utils": ["test_utils", "test_messages"],
    "scalar": ["test_scalar"],
}
# Other tests see the same bugs.
SLOW = {
    "test_jvp_of_every_rule",
    "test_a_chain_of_100_000_values",
    "test_micrograd_s_demo_runs_and_learns",
    "test_a_large_parameter_is_updated_like_a_small_one",
    "test_a_full_disk_leaves_the_old_file_and_nothing_else",
    "test_a_model_learns_to_separate_two_rings",
    "test_a_long_sequence_has_a_graph_of_linear_size_and_no_recursion",
    "test_a_long_sequence_s_graph_is_freed_without_the_collector",
}
BESIDE = {"test_every_error_has_an_entry", "test_the_engine_is_about_a_hundred_lines_of_code"}  # they read the source on disk

UNKNOWN_SIZE = "NumPy reads any negative size as the unknown one"
# (module, line of source, change): why no test can see it
EQUIVALENT = {
    ("functional.attention", "np.where(has_key, bias, 0)", "constant .*"): "what is added to a whole row does not matter to a softmax",
    ("functional.positions", "column % 2", "constant negated"): "a remainder of -1 holds too",
    ("functional.positions", "x.shape[-1] % 2", "constant negated"): "a remainder of -1 holds too",
    ("functional.positions", "x.reshape(*x.shape[:-1], dim // 2, 2)", "constant negated"): UNKNOWN_SIZE,
    ("layers.attention", "len(shapes[0]) == 3", "constant .*"): "all three have as many axes",
    ("layers.attention", 'raise ValueError(f"attn_mask must have', "constant negated"): "of two, the second is the last",
    ("layers.attention", "padding.reshape((*batch, 1, 1, keys))", "constant negated"): UNKNOWN_SIZE,
    ("layers.attention", "together.reshape(*query.shape[:-1], 3, *split)", "constant negated"): UNKNOWN_SIZE,
    ("layers.attention", "reshape(dim, 3, dim)", "constant negated"): UNKNOWN_SIZE,
    ("layers.attention", "reshape(3, dim)", "constant negated"): UNKNOWN_SIZE,
    ("effects", "if size <= BLOCK or", "operand 0 dropped|Lt for LtE"): "one block, by a view of it",
    ("effects", "array.reshape(-1)", "constant .*"): UNKNOWN_SIZE,
    ("effects", "if not 0 <= seed < 2**32", "constant negated"): "an even power",
    ("transforms", "both(*args, **kwargs)[1]", "constant negated"): "of two, the second is the last",
    ("transforms", "joint = _result(", "ones for zeros"): "a value that nobody reads",
    ("transforms", "edge.order < since", "LtE for Lt"): "no node has that number",
    ("functional.arrays", "else x * 1.0", "Div for Mult"): "by one",
    ("functional.arrays", "min(found, default=0)", "constant [+] 1"): "without counts there is no negative one",
    ("functional.arrays", "def topk(", "constant flipped"): "sorted=False leaves the order open",
    ("functional.arrays", "max(x.shape[i], 1)", "constant [+] 1"): "an axis of one element or none is rolled into itself",
    ("functional.arrays", "np.reshape(x, (1, -1))", "constant [+] 1"): UNKNOWN_SIZE,
    ("functional.arrays", "np.reshape(x, 1)", "constant negated"): UNKNOWN_SIZE,
    (
        "functional.arrays",
        "np.reshape(a, (-1, 1)), np.reshape(b, -1)",
        "constant [+] 1",
    ): UNKNOWN_SIZE,
    ("functional.arrays", '_diagonal("diag", x, k, (0, 1))', "constant negated"): "of two axes, the second is the last",
    ("functional.arrays", "if np.ndim(b) <= 2", "Lt for LtE"): "tensordot gives the same, more slowly",
    ("functional.arrays", "np.expand_dims(b, 1)", "constant negated"): "a vector has its columns behind its first axis and at the end",
    ("functional.arrays", "np.eye(shape[-1])", "constant [+] 1"): "the matrices are square",
    ("functional.convolution", "bias.reshape(-1, ", "constant [+] 1"): UNKNOWN_SIZE,
    ("functional.convolution", "x.reshape(1, *x.shape)", "constant negated"): UNKNOWN_SIZE,
    ("functional.pooling", "if widths != ((0, 0),) * n", "(?!condition).*"): "padding by nothing only copies",
    ("functional.group_normalisation", "x * 1.0", "Div for Mult"): "by one",
    ("functional.feedforward", "if not 0 <= p <= 1", "Lt for LtE"): "no mask is made for p = 0",
    ("functional.feedforward", "if p < 1 else 0.0", "constant .*"): "at p = 1 nothing is kept, and the factor multiplies zeros",
    ("functional.feedforward", "np.astype(keep, dtype)", "astype dropped"): "the product with x gives the mask its dtype",
    ("init", "(0.01 if param is None else param) ** 2", "constant negated"): "the slope is squared",
    ("init", "q * np.sign(np.diagonal(r))", "Div for Mult"): "by signs",
    ("init", "q if rows >= columns else q.T", "Gt for GtE"): "of a square matrix, the transpose is as uniform",
    ("optimizers.updates", "self.state.get(p) or self.state.setdefault", "operand 0 dropped"): "setdefault does the same, more slowly",
    ("optimizers.updates", "if decay and", "operand 0 dropped"): "a decay of zero adds zeros",
    ("optimizers.cycles", 'group["betas"][1:]', "constant negated"): "of two, the second is the last",
    ("optimizers.cycles", "range(t // self.T_0)", "right operand dropped"): "turns that are left over change nothing",
    ("optimizers.clipping", "factor.astype(g.dtype)", "astype dropped"): "the write casts the product",
    ("functional.feedforward", "(*x.shape[:2], 1, 1)", "constant negated"): "of four axes, the first two are all but the last two",
    ("functional.normalisation", "values.reshape(-1, *", "constant [+] 1"): UNKNOWN_SIZE,
    ("functional.normalisation", "count = x.size // x.shape[1]", "Div for FloorDiv"): "the division leaves no remainder",
    ("losses.classification", "one_hot = np.astype", "astype dropped"): "the product with the logarithms gives it their dtype",
    ("losses.classification", "rows.shape[1", "constant negated"): "of two axes, the second is the last",
    ("losses.classification", "losses = where(classes >= 0", "constant negated"): "of two axes, the second is the last",
    ("losses.classification", "losses = where(classes >= 0", "constant [+] 1"): "times a share of 0",
    ("losses.classification", "elif scores.ndim > 2", "GtE for Gt"): "labels of shape (N,) are right where the scores have two axes",
    ("losses.classification", "_array(labels).reshape(-1)", "constant [+] 1"): UNKNOWN_SIZE,
    ("losses.classification", "_array(weight).astype(rows.dtype", "astype dropped|constant flipped"): "the logits decide the dtype",
    ("losses.classification", "scores = scores * 1.0", "Div for Mult"): "by one",
    ("losses.classification", "if scores.ndim > 2:", "GtE for Gt|constant negated"): "two axes stay as they are",
    ("losses.classification", "classes.astype(np.int64, copy=False)", "constant flipped"): "it only costs time",
    ("losses.classification", "if len(shape) == 1", "constant negated"): "labels of one axis keep their shape",
    ("losses.divergence", "where(p > 0, t, 0.0)", "constant [+] 1"): "times a probability of 0",
    ("losses.margin", "np.arange(s.shape[1])", "constant negated"): "of two axes, the second is the last",
    ("losses.margin", "excess = where(own", "constant negated"): "of two axes, the second is the last",
    ("losses.margin", "s.shape[1]), reduction)", "constant negated"): "of two axes, the second is the last",
    ("losses.margin", "where(t > 0, 1 - cosine", "GtE for Gt"): "a target is 1 or -1",
    ("losses.margin", "where(total > 0, total, 1.0)", "constant [+] 1"): "any positive number, for a value that is not used",
    ("gradcheck.diagnosis", "comparison.tolerance", "(Lt|GtE) for .*"): "no error is the tolerance to the last digit",
    ("gradcheck.diagnosis", "np.array([element.", "array dropped"): "NumPy's functions take lists too",
    ("gradcheck.diagnosis", "rtol=MATCH, atol=MATCH**2 * size", "constant [+] 1"): "it shifts a bound",
    ("gradcheck.diagnosis", "if n.any() else 0.0", "constant [+] 1"): "no multiple of zeros is the gradient, which is none",
    ("gradcheck.findings", "default=0.0", "constant [+] 1"): "where nothing is recorded, the gradient is exactly 0",
    ("gradcheck.findings", "tolerance", "(Lt|GtE) for .*"): "no error is the tolerance to the last digit",
    ("gradcheck.findings", "round(element.error, 6)", "constant [+] 1"): "errors that differ by rounding alone do so by far less",
    ("gradcheck.findings", "*element.kink or ()", "operand 1 dropped"): "a kink has both slopes; the types do not say so",
    ("nn", "classes = p.argmax(1)", "constant negated"): "of two axes, the second is the last",
    ("nn", "force_zip64=True", "constant flipped"): "it is needed for arrays of over 2 GB",
    ("nn", "write_array(file, array, allow_pickle=False)", "constant flipped"): "a state holds no objects, and loading refuses them",
}


@functools.cache
def source_of(suite):
    path = TESTS / f"{suite}.py"
    return compile(path.read_text(), str(path), "exec")


def module_named(name):
    return importlib.import_module(f"micrograd_plus.{name}")


@functools.cache
def importers_of(name):
    """The modules of the same package that import a module, directly or not, in an order in which they can be loaded."""
    package, _, own = name.rpartition(".")
    if not package:
        return []
    files = sorted(Path(module_named(package).__file__).parent.glob("*.py"))
    imported = {file.stem: set(re.findall(r"^from \.(\w+) import", file.read_text(), re.MULTILINE)) for file in files}
    del imported["__init__"]
    found, before = {own}, set()
    while found != before:
        before = found
        found = found | {stem for stem in imported if imported[stem] & found}
    order = []
    while len(order) < len(found):
        order.append(next(stem for stem in sorted(found) if stem not in order and not imported[stem] & found - set(order) - {stem}))
    return [f"{package}.{stem}" for stem in order[1:]]


@functools.cache
def unchanged_code(name):
    return unchanged(module_named(name))


@contextlib.contextmanager
def in_place_of(name, code):
    """The attribute of `micrograd_plus` that tests import, made of a mutant: the module, or a stand-in for its package."""
    package = name.partition(".")[0]
    originals = dict(sys.modules)
    whole = getattr(micrograd_plus, package)
    implemented = dict(micrograd_plus.tensor.IMPLEMENTATIONS)
    try:
        mutant = loaded(module_named(name), code)
        if "." in name:
            stand_in = types.ModuleType(whole.__name__)
            vars(stand_in).update(vars(whole))
            for part in [name, *importers_of(name)]:
                module = mutant if part == name else loaded(module_named(part), unchanged_code(part))
                sys.modules[module.__name__] = module
                setattr(stand_in, part.rpartition(".")[2], module)
                for key, value in vars(module_named(part) if part == name else sys.modules[module.__name__]).items():
                    if getattr(value, "__module__", None) == module.__name__ or key.isupper():
                        vars(stand_in)[key] = vars(module).get(key, value)
            mutant = stand_in
        setattr(micrograd_plus, package, mutant)
        yield
    finally:
        setattr(micrograd_plus, package, whole)
        sys.modules.update({key: value for key, value in originals.items() if key.startswith("micrograd_plus")})
        micrograd_plus.tensor.IMPLEMENTATIONS.clear()
        micrograd_plus.tensor.IMPLEMENTATIONS.update(implemented)


def cases(suite):
    """(name, function, arguments) of every test of a file that needs no fixture, the file loaded anew."""
    tests = types.ModuleType(f"planted_{suite}")
    tests.__package__ = ".".join([__package__, *suite.split("/")[:-1]])
    exec(source_of(suite), vars(tests))
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


def first_failure(name, code):
    """The first test that fails with the mutant in the place of a module; None if all pass."""
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        try:
            with in_place_of(name, code):
                return first_failing_case(SUITES[name])
        except Exception as error:  # it does not even import
            return repr(error)


def first_failing_case(suites):
    case = None
    try:
        found = [(suite, *case) for suite in suites for case in cases(suite)]
        for case in sorted(range(len(found)), key=lambda case: -found_by[found[case][0], case]):
            _, _, function, arguments = found[case]
            function(**arguments)
    except (Exception, pytest.fail.Exception) as error:
        if case is not None:
            found_by[found[case][0], case] += 1
        return repr(error)
    return None


@pytest.mark.parametrize("name", SUITES)
def test_every_planted_bug_is_found(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some mutants write where they should refuse
    assert first_failure(name, unchanged_code(name)) is None
    count, survivors, excused = 0, [], set()
    for _, line, what, code in planted(module_named(name)):
        if first_failure(name, code) is None:
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
