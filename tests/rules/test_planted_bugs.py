"""Planted bugs: what is checked of every rule must see each of them.

Each mutant is a module of rules with one operator, constant, comparison, call or sign changed. The modules that import it are
loaded anew around it, and the checks of the table run on its rules.
"""

import contextlib
import functools
import importlib
import inspect
import re
import sys
import warnings

import pytest

from micrograd_plus import rules, tensor

from ..planting import loaded, planted, unchanged
from .checks import check_dtype, check_engine, check_kink, check_pullbacks, check_second_order, check_value
from .table import KINKS, TABLE

# module: those that import it, in order
DEPENDENTS = {
    "primitives": [
        "activations",
        "normalisation",
        "likelihoods",
        "recurrent",
        "reductions",
        "aggregation",
        "shapes",
        "windows",
        "convolution",
    ],
    "activations": [],
    "aggregation": [],
    "arithmetic": [],
    "elementary": [],
    "likelihoods": [],
    "linalg": [],
    "normalisation": ["likelihoods"],
    "products": [],
    "recurrent": [],
    "reductions": [],
    "selection": [],
    "shapes": [],
    "windows": ["convolution"],
    "convolution": [],
}

UNKNOWN_SIZE = "NumPy reads any negative size as the unknown one"
# (function, line, change): why no test can see it
EQUIVALENT = {
    ("normal_cdf", "x.size <= CDF_BLOCK", ".*"): "both ways give the same, at different speed",
    ("normal_cdf", "x.reshape(-1)", "reshape dropped"): "both ways give the same, at different speed",
    ("normal_cdf", "x.reshape(-1)", "constant [+] 1"): UNKNOWN_SIZE,
    ("_normal_cdf", "itemsize > 4", "(?!branches).*"): "more terms for float32 change nothing beyond rounding",
    ("_normal_cdf", "tail = 0.5", "constant negated"): "the sign is taken from x",
    ("_mean", "if isinstance(axis, tuple)", ".*"): "both ways give the same, but for rounding",
    ("scatter_add", "if all(part is None", "(?!condition).*"): "np.add.at does what a plain write does, slower",
    ("scatter_rows", "count <= ONE_HOT_LIMIT", ".*"): "both ways give the same, at different speed",
    ("scatter_rows", ".astype(values.dtype) @ table", "astype dropped"): "the product casts",
    ("scatter_rows", "table.shape[1]", "constant negated"): "of two axes, the second is the last",
    ("cross_entropy", "1", "constant negated"): "of two axes, the second is the last",
    ("power", "np.where(at_zero, 1.0, y)", "constant [+] 1"): "any power of 0 is 0 there, times an exponent of 0",
    ("power", "np.log(np.where(at_limit, 1, x))", "constant [+] 1"): "any number whose logarithm is finite, for a value that is not used",
    ("_product", "if x.ndim > 2 and y.ndim == 2", ".*"): "both ways give the same, at different speed",
    ("_product", "y.shape[-1])", "USub dropped|constant negated"): "of two axes, the second is the last",
    ("_transposed", "x.ndim == 2", "constant negated"): "both ways give the same, at different speed",
    ("matmul", "if y.ndim == 2 and x.ndim > 2", ".*"): "both ways give the same, at different speed",
    ("einsum", "if letter in target", ".*"): "every index may have a twin, on the diagonal of an identity; it only costs time",
    ("_explicit", "not in inputs + output", "right operand dropped"): "the output has no letter that the inputs lack",
    ("_explicit", "default=0", "constant [+] 1"): "no ellipsis takes the letter",
    ("_others", "if n % 2", "constant negated"): "what is left is not 0 for odd numbers only",
    ("logsumexp", "constant(x) * 1.0", "Div for Mult"): "by one",
    ("logsumexp", "np.where(np.isfinite(top), top, 0)", "constant [+] 1"): "any shift will do for sums of 0 and of infinity",
    ("norm", "np.square(x) if p == 2", "constant negated"): "the square by another way",
    ("norm", "0 if p > 0", "GtE for Gt"): "p is not 0",
    ("norm", "np.where(at_zero, 1, total)", "constant [+] 1"): "any length but 0, to divide zeros by",
    ("norm", "np.where(x == 0, 1, np.abs(x) / length)", "constant [+] 1"): "any power of it, times a sign of 0",
    ("_kept", "(1,) * len(shape)", "right operand dropped"): "the axes that lack are put in front by broadcasting",
    ("_spread", "<= SMALL", ".*"): "both ways give the same, at different speed",
    ("_spread", "g * np.ones", "Div for Mult"): "by ones",
    ("mean", "x.size // total.size", "Div for FloorDiv"): "the division leaves no remainder",
    ("slide", "writeable=False", "constant flipped"): "no rule writes into what it is given",
    ("_repacked", "if c < 0", "LtE for Lt|constant [+] 1"): "only the order in memory is another",
    ("_repacked", "g.reshape(-1)", "reshape dropped"): "only the order in memory is another",
    ("_repacked", "g.reshape(-1)", "constant [+] 1"): UNKNOWN_SIZE,
    ("_blocks", "length + shape[0]", ".*"): "blocks of any size give the same, at different speed",
    ("_blocks", "windows[block].reshape(-1, length)", "constant [+] 1"): UNKNOWN_SIZE,
    ("_examples", "", ".*"): "blocks of any size give the same, at different speed",
    ("_depthwise", "(groups, 1)", "constant .*"): "one group after the other gives the same, slower",
    ("_each", "columns.shape[1]", "constant negated"): "of two axes, the second is the last",
    ("_each", "rows.reshape(len(rows), -1, ", "constant [+] 1"): UNKNOWN_SIZE,
    ("correlate", ", -1)", "constant [+] 1"): UNKNOWN_SIZE,
    ("correlate_input", ".reshape(-1, ", "constant [+] 1"): UNKNOWN_SIZE,
    ("correlate_input", "reshape(-1, ", "reshape dropped"): "one product or one for each row of an image, at different speed",
    ("correlate_input", "x.shape[-1])", "USub dropped|constant negated"): "of two axes, the second is the last",
    ("correlate_weight", ".reshape(len(rows), -1)", "constant [+] 1"): UNKNOWN_SIZE,
    ("take_rows", "indices.reshape(-1)", "constant [+] 1"): UNKNOWN_SIZE,
}


def module_named(name):
    return importlib.import_module(f"{rules.__name__}.{name}")


@functools.cache
def code_of(name):
    return unchanged(module_named(name))


@contextlib.contextmanager
def mutated(name, code):
    """The rules of a mutant and of what imports it, by name; the registries and modules are put back afterwards."""
    linear, primitives = set(rules.LINEAR), dict(rules.PRIMITIVES)
    modules = {f"{rules.__name__}.{part}": module_named(part) for part in DEPENDENTS}
    try:
        found = {}
        for part in [name, *DEPENDENTS[name]]:
            mutant = loaded(module_named(part), code if part == name else code_of(part))
            sys.modules[mutant.__name__] = mutant
            found |= {
                key: getattr(mutant, key)
                for key in TABLE
                if getattr(mutant, key, None) and getattr(rules, key).__module__ == mutant.__name__
            }
        yield found
    finally:
        sys.modules.update(modules)
        rules.LINEAR.clear()
        rules.LINEAR.update(linear)
        rules.PRIMITIVES.clear()
        rules.PRIMITIVES.update(primitives)


def check(name, rule):
    """All that is checked of a rule, the cheapest first."""
    entry = TABLE[name]
    for case in entry.cases:
        check_value(rule, entry.formula, case)
        check_pullbacks(rule, case, entry.constants)
    for kink in KINKS.get(name, ()):
        check_kink(rule, kink)
    for case in entry.cases:
        check_dtype(rule, case, entry.constants)
        check_engine(tensor, rule, case, entry.constants)
        check_second_order(tensor, rule, case, entry.constants)


@functools.cache
def users_of(function):
    """The rules whose source mentions a function, or one that does."""
    sources = {name: inspect.getsource(f) for part in DEPENDENTS for name, f in vars(module_named(part)).items() if inspect.isfunction(f)}
    names, before = {function}, set()
    while names != before:
        before = names
        names = names | {user for user, source in sources.items() if any(re.search(rf"\b{name}\(", source) for name in names)}
    return names & set(TABLE)


def first_failure(rules_to_check, found):
    """The first check that fails; None if all pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in sorted(rules_to_check):
            try:
                check(name, found[name])
            except Exception as error:
                return f"{name}: {error!r}"
    return None


def excuse(mutant):
    return [key for key in EQUIVALENT if key[0] == mutant.function and key[1] in mutant.line and re.fullmatch(key[2], mutant.what)]


@pytest.mark.parametrize("name", DEPENDENTS)
def test_every_planted_bug_is_found(name, capsys):
    with mutated(name, code_of(name)) as found:
        assert first_failure(found, found) is None
    count, survivors, excused = 0, [], set()
    for mutant in planted(module_named(name)):
        try:
            with mutated(name, mutant.code) as found:
                failure = first_failure({mutant.function} if mutant.function in found else users_of(mutant.function) & set(found), found)
        except Exception as error:  # it does not even import
            failure = repr(error)
        count += failure is not None
        if failure is None:
            reasons = excuse(mutant)
            excused.update(reasons)
            if not reasons:
                survivors.append(f"{mutant.function}: {mutant.line}    [{mutant.what}]")
    with capsys.disabled():
        print(f"\nrules.{name}: {count} of {count + len(survivors)} planted bugs found", end="")
    assert not survivors, "survived:\n" + "\n".join(survivors)
    functions = {mutant.function for mutant in planted(module_named(name))}
    stale = {key for key in EQUIVALENT if key[0] in functions} - excused
    assert not stale, f"these are found after all: {stale}"
