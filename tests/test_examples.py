"""Every example runs, learns something in a few steps, and says in its docstring what it reached in full."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))

# script: its arguments for a few steps, whether it reads shared data, and what it must then have reached
RUNS = {
    "char_gpt": (["--steps", "40", "--width", "32", "--layers", "2", "--characters", "20"], "tinyshakespeare.txt", lambda loss: loss < 3.4),
    "heat_equation": (["--steps", "150"], None, lambda error: error < 0.1),
    "lenet": (["--epochs", "2", "--limit", "1500"], "", lambda accuracy: accuracy > 0.6),
    "names_lstm": (["--steps", "60", "--width", "32"], "names.txt", lambda loss: loss < 2.75),
    "newton": (["--steps", "5", "--descent-steps", "5"], None, lambda norm: norm < 0.01),
    "residual_cnn": (["--epochs", "4", "--width", "8", "--blocks", "1"], None, lambda accuracy: accuracy > 0.5),
    "vae": (["--epochs", "5"], None, lambda bound: bound < 36),
}


def test_every_example_is_run_here():
    assert [path.stem for path in SCRIPTS] == sorted(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_an_example_learns_in_a_few_steps(name, monkeypatch, capsys, request):
    arguments, data, reached = RUNS[name]
    if data is not None:
        folder = request.getfixturevalue("shared_data")
        arguments = [*arguments, *(["--data", str(folder / data)] if data else ["--data-dir", str(folder)])]
    monkeypatch.setattr("sys.argv", [f"{name}.py", *arguments])
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert reached(example.main())
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_is_about_a_page_and_says_how_to_run_it_and_what_it_reached(path):
    source = path.read_text()
    docstring = ast.get_docstring(ast.parse(source))
    assert f"python examples/{path.name}" in docstring
    assert re.search(r"^Result: .*\d", docstring, re.MULTILINE)
    assert len(source.splitlines()) < 150
