"""Lines of code of the core, without comments, docstrings and blank lines: `python benchmarks/count_lines.py`."""

import ast
import io
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "micrograd_plus"
# What a first reader reads, in this order: rules, the engine, layers, losses, optimizers, the training loop. All else of the core
# stands beside it. The lists of names in __init__.py are left out of both.
FIRST_READ = [
    *(f"rules/{name}.py" for name in ("rule", "arithmetic", "activations", "reductions", "products", "shapes")),
    *(f"rules/{name}.py" for name in ("normalisation", "likelihoods", "primitives")),
    *("tensor.py", "effects.py", "functional/feedforward.py", "functional/normalisation.py", "init.py"),
    *(f"layers/{name}.py" for name in ("module", "feedforward", "activations", "normalisation")),
    *(f"losses/{name}.py" for name in ("reduction", "regression", "classification")),
    *("optimizers/updates.py", "nn.py"),
]
BESIDE = ("rules", "functional", "layers", "losses", "optimizers", "gradcheck", ".")
OUTSIDE = ("cli.py", "plots.py", "__main__.py")  # further down the list of modules than the core
LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.ENCODING, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """The number of lines that hold code."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def beside() -> list[str]:
    """The files of the core that a first reader may leave."""
    found = [path.relative_to(PACKAGE).as_posix() for folder in BESIDE for path in sorted((PACKAGE / folder).glob("*.py"))]
    return [name for name in found if name not in FIRST_READ and not name.endswith(("__init__.py", *OUTSIDE))]


def main() -> None:
    """Print the count of each file, and the sums."""
    for title, names in (("the core, as a first reader reads it", FIRST_READ), ("beside it", beside())):
        counts = {name: code_lines((PACKAGE / name).read_text(encoding="utf-8")) for name in names}
        for name, count in counts.items():
            print(f"{count:6}  {name}")
        print(f"{sum(counts.values()):6}  {title}\n")


if __name__ == "__main__":
    main()
