"""Lines of code of the core, without comments, docstrings and blank lines: `python benchmarks/count_lines.py`."""

import ast
import io
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "micrograd_plus"
CORE = [
    *sorted(path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "rules").glob("*.py")),
    *(f"{name}.py" for name in ("effects", "tensor", "functional", "init", "layers", "losses", "optimizers")),
    *(f"{name}.py" for name in ("files", "progress", "nn", "gradcheck", "utils", "scalar")),
]
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


def main() -> None:
    """Print the count of each file, and the sum."""
    counts = {name: code_lines((PACKAGE / name).read_text(encoding="utf-8")) for name in CORE}
    for name, count in counts.items():
        print(f"{count:6}  {name}")
    print(f"{sum(counts.values()):6}  in all")


if __name__ == "__main__":
    main()
