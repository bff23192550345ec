"""Import arrows point one way, importing is light, and every public name is where it should be."""

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import micrograd_plus

PACKAGE = Path(micrograd_plus.__file__).parent

# From the top down: a module imports from earlier ranks, never from its own or later ones.
RANKS = [
    {"rules"},
    {"effects"},
    {"tensor"},
    {"transforms"},
    {"functional"},
    {"init"},
    {"layers"},
    {"losses"},
    {"optimizers"},
    {"files", "progress"},
    {"nn"},
    {"gradcheck"},
    {"utils"},
    {"scalar"},
    {"__init__"},
    {"data"},
    {"explain"},
    {"plots"},
    {"compiler"},
    {"training"},
    {"cli"},
    {"__main__"},
]
RANK = {name: i for i, names in enumerate(RANKS) for name in names}
CORE = [name for name, i in RANK.items() if i <= RANK["scalar"]]
OPTIONAL = {"threadpoolctl", "rich", "matplotlib", "safetensors", "psutil", "torch", "scipy", "onnx", "PIL", "click", "pooch", "sklearn"}

FILES = sorted(path for path in PACKAGE.rglob("*.py"))


def module_of(path):
    """The dotted name of a file of the package, without the package's."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {f"micrograd_plus.{module_of(path)}" for path in FILES}


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(path):
    """(absolute module, whether inside a function) of every import statement."""
    package = ["micrograd_plus", *path.relative_to(PACKAGE).parts[:-1]]
    found = []

    def visit(node, inside):
        for child in ast.iter_child_nodes(node):
            if is_type_checking(child):
                continue
            if isinstance(child, ast.Import):
                found.extend((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = (
                    ".".join([*package[: len(package) - child.level + 1], child.module or ""]).rstrip(".") if child.level else child.module
                )
                for alias in child.names:
                    found.append((f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base, inside))
            visit(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))

    visit(ast.parse(path.read_text()), False)
    return found


def ours(module):
    """The first part below the package of an absolute name: `tensor`, `rules`; None for what is not ours."""
    parts = module.split(".")
    return (parts[1] if len(parts) > 1 else "__init__") if parts[0] == "micrograd_plus" else None


def test_every_module_has_a_rank():
    unknown = {module_of(path).split(".")[0] for path in FILES} - set(RANK) - {""}
    assert not unknown, f"give these a place in RANKS: {unknown}"


@pytest.mark.parametrize("path", [path for path in FILES if path != PACKAGE / "__init__.py"], ids=module_of)
def test_imports_point_up_the_list(path):
    name = module_of(path).split(".")[0]
    for module, _ in imports(path):
        imported = ours(module)
        if imported is None or imported == name:
            continue
        assert imported in RANK, f"{name} imports {module}"
        assert RANK[imported] < RANK[name], f"{name} imports {imported}, which comes after it"


def test_the_compiler_rests_on_the_engine_alone_and_nothing_rests_on_it():
    """It is imported when somebody asks for `compile`."""
    for path in FILES:
        own = module_of(path).split(".")[0] == "compiler"
        for module, inside in imports(path):
            if own:
                assert ours(module) in (None, "compiler", "effects", "explain", "files", "rules", "tensor"), f"{path.name} imports {module}"
            elif ours(module) == "compiler":
                assert inside and module_of(path).split(".")[0] in ("", "training"), f"{path.name} imports {module}"


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "rules"], ids=module_of)
def test_rules_import_numpy_and_the_standard_library_only(path):
    for module, _ in imports(path):
        root = module.split(".")[0]
        assert ours(module) == "rules" or root == "numpy" or root in sys.stdlib_module_names, f"{path.name} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_optional_libraries_are_imported_inside_functions(path):
    """Or at the top of modules that are themselves imported inside functions only."""
    name = module_of(path)
    late = name.startswith("training.") and all(
        inside for other in FILES for module, inside in imports(other) if module == f"micrograd_plus.{name}"
    )
    for module, inside in imports(path):
        root = module.split(".")[0]
        known = root in sys.stdlib_module_names or root in ("numpy", "micrograd_plus")
        assert inside or known or late, f"{path.name} imports {module} at its top"
        assert known or root in OPTIONAL, f"{module} is no library that the project uses"


def test_the_scalar_engine_imports_the_standard_library_only():
    assert {module for module, _ in imports(PACKAGE / "scalar.py")} <= sys.stdlib_module_names | {"collections.abc"}


def test_the_test_of_arrows_sees_a_wrong_one(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "tensor.py").write_text(
        "def f():\n    from . import layers\n    from .nn import train_epoch\n    import rich.table\nimport torch\n"
    )
    found = imports(tmp_path / "tensor.py")
    assert ("micrograd_plus.nn", True) in found
    assert ("torch", False) in found
    assert ("rich.table", True) in found
    with pytest.raises(AssertionError, match="which comes after it"):
        test_imports_point_up_the_list(tmp_path / "tensor.py")
    with pytest.raises(AssertionError, match="at its top"):
        test_optional_libraries_are_imported_inside_functions(tmp_path / "tensor.py")


# -- importing -----------------------------------------------------------------------------------------------------------


def python(program, **variables):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **variables}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True).stdout.split()


def test_importing_the_package_loads_numpy_and_the_standard_library_only():
    program = "import sys, numpy, numpy.random; before = set(sys.modules); import micrograd_plus; print(*sorted(set(sys.modules) - before))"
    loaded = python(program)
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"micrograd_plus", "numpy"}
    assert not foreign
    assert {name for name in loaded if name.startswith("micrograd_plus.")} == {
        f"micrograd_plus.{module_of(path)}" for path in FILES if path != PACKAGE / "__init__.py" and module_of(path).split(".")[0] in CORE
    }


def test_importing_the_package_takes_under_50_ms_beyond_numpy(tmp_path):
    program = """
import time, numpy, numpy.random
started = time.perf_counter()
import micrograd_plus
print(1000 * (time.perf_counter() - started))
"""
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    assert min(float(python(program, **compiled)[0]) for _ in range(6)) < 50


def test_the_package_reads_its_version_and_is_typed():
    assert re.fullmatch(r"\d+\.\d+\.\d+", micrograd_plus.__version__)
    assert (PACKAGE / "py.typed").exists()


# -- public names --------------------------------------------------------------------------------------------------------

CONTRACT = {
    "tensor": "Tensor gradients no_grad zeros ones full randn rand arange eye from_numpy concatenate stack where maximum minimum einsum",
    "layers": "Module Parameter Linear ReLU LeakyReLU ELU GELU SiLU Sigmoid Tanh Softplus Softmax LogSoftmax Dropout BatchNorm BatchNorm1d "
    "BatchNorm2d LayerNorm Embedding Flatten",
    "losses": "MSELoss L1Loss HuberLoss CrossEntropyLoss NLLLoss BCELoss BCEWithLogitsLoss",
    "optimizers": "SGD Adam AdamW RMSprop StepLR ExponentialLR CosineAnnealingLR LinearWarmup clip_grad_norm clip_grad_value",
    "nn": "Sequential train_epoch evaluate accuracy count_parameters save_model load_model",
    "utils": "set_seed numerical_gradient gradient_check check_all_gradients DataLoader one_hot normalize train_test_split "
    "get_memory_usage ProgressBar plot_training_history visualize_computation_graph",
    "scalar": "Value Neuron Layer MLP",
}
NAMES = [(module, name) for module, names in CONTRACT.items() for name in names.split()]


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_name_of_the_contract_is_in_its_module_and_at_the_top(module, name):
    offered = getattr(importlib.import_module(f"micrograd_plus.{module}"), name)
    assert getattr(micrograd_plus, name) is offered
    assert offered.__doc__
    assert name in dir(micrograd_plus) or name in getattr(micrograd_plus, "__all__", ())


def test_every_name_that_is_listed_exists():
    for path in FILES:
        module = importlib.import_module(f"micrograd_plus.{module_of(path)}".rstrip(".")) if path.name != "__main__.py" else None
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{module.__name__}.__all__ lists {name}"


@pytest.mark.parametrize("path", [path for path in FILES if module_of(path).split(".")[0] in CORE], ids=module_of)
def test_every_public_name_of_the_core_is_documented(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)

    def undocumented(node, prefix, inherited=frozenset()):
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
                decorators = {ast.unparse(decorator) for decorator in child.decorator_list}
                told_elsewhere = (
                    child.name in inherited or any(d.endswith((".setter", "overload")) for d in decorators) or "property" in decorators
                )
                if not ast.get_docstring(child) and not told_elsewhere:
                    yield prefix + child.name
                if isinstance(child, ast.ClassDef):
                    yield from undocumented(
                        child, f"{child.name}.", {"forward", "extra_repr", "rate", "edges", "parameters"} if child.bases else set()
                    )

    assert not list(undocumented(tree, ""))


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_module_has_a_name_that_says_nothing(path):
    assert not {"helpers", "common", "misc", "base"} & set(module_of(path).split("."))


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_the_library_neither_asserts_nor_prints(path):
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Assert), f"{path.name}:{node.lineno}"
        called = isinstance(node, ast.Call) and ast.unparse(node.func)
        assert called != "print" or module_of(path) == "cli" or module_of(path).startswith("training"), f"{path.name}:{node.lineno}"
