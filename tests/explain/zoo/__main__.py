"""Run the doctor over both zoos and print what it says: `python -m tests.explain.zoo [--write]`."""

import argparse
import ast
import re
from pathlib import Path

from . import ROOT, diagnosed, examples, healthy, mistakes, sick

PAGE = ROOT / "docs/doctor.md"
MARKS = "<!-- the zoo -->\n", "<!-- the end of the zoo -->\n"


def first_sentence(path):
    """What a script says of itself."""
    return re.split(r"[.:;?](?:\s|$)", ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))))[0]


def table(rows, texts, titles):
    """Lines of Markdown."""
    lines = [f"| {' | '.join(titles)} |", "|---|---|---|"]
    return lines + [f"| `{row.name}` | {texts[row.name]} | {row.told if row.right else f'**{row.told}**'} |" for row in rows]


def main():
    """Print the tables, and write them into the page where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="the folder of shared data, for the examples")
    options = parser.parse_args()
    ill = diagnosed(sick())
    well = diagnosed(healthy())
    shown = [row for path, arguments in examples(options.data) for row in diagnosed([path], arguments)]
    texts = {name: entry["mistake"] for name, entry in mistakes().items()}
    texts |= {path.stem: first_sentence(path) for path in [*healthy(), *ROOT.glob("examples/*.py")]}
    seconds = sum(row.seconds for row in [*ill, *well]) / len([*ill, *well])
    spared = sum(row.right for row in [*well, *shown])
    lines = [
        f"Of {len(ill)} sick scripts, {sum(row.right for row in ill)} are named by their code first. Of {len([*well, *shown])} healthy ones, "
        f"{len(shown)} of them the project's examples, {spared} get nothing but notes. "
        f"A script takes {seconds:.1f} seconds on average, without starting Python.",
        "",
        *table(ill, texts, ("Sick script", "What is wrong", "Findings, notes in brackets")),
        "",
        *table([*well, *shown], texts, ("Healthy script", "What it is", "Findings, notes in brackets")),
    ]
    print("\n".join(lines))
    if options.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        PAGE.write_text("\n".join([before + MARKS[0], *lines, "", MARKS[1]]) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
