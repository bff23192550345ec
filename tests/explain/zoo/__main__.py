"""Run the doctor over both zoos and print what it says: `python -m tests.explain.zoo [--write]`."""

import argparse
import ast
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from . import ROOT, cured, diagnosed, examples, healthy, mistakes, sick

PAGE = ROOT / "docs/doctor.md"
MARKS = "<!-- the zoo -->\n", "<!-- the end of the zoo -->\n"


def first_sentence(path):
    """What a script says of itself."""
    return re.split(r"\.(?:\s|$)", ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))))[0]


def ending(path, folder):
    """What a script prints last, shortly: "accuracy: 0.93"; or that it raises."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", str(path)]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    if process.returncode:
        return "raises " + process.stderr.strip().splitlines()[-1].partition(":")[0]
    what, _, number = process.stdout.strip().splitlines()[-1].rpartition(":")
    return f"{what.strip()} {float(number):.{2 if abs(float(number)) < 100 else 3}g}"


def harm():
    """By the name of a sick script: how it ends, and how it ends without its mistake."""
    with tempfile.TemporaryDirectory() as folder:
        both = {path.stem: (ending(path, folder), ending(cured(path.stem, Path(folder)), folder)) for path in sick()}
    return {
        name: f"{before}, cured {after.split()[-1] if before.split()[0] != 'raises' else after}" for name, (before, after) in both.items()
    }


def table(rows, titles, *columns):
    """Lines of Markdown."""
    lines = [f"| {' | '.join(titles)} |", "|" + len(titles) * "---|"]
    for row in rows:
        cells = [f"`{row.name}`", *(column[row.name] for column in columns), row.told if row.right else f"**{row.told}**"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


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
    named, spared = sum(row.right for row in ill), sum(row.right for row in [*well, *shown])
    seconds = sum(row.seconds for row in [*ill, *well]) / len([*ill, *well])
    lines = [
        f"Of {len(ill)} sick scripts, {named} are named by their code first. Of {len([*well, *shown])} healthy ones, {len(shown)} of them "
        f"the project's examples, {spared} get nothing but notes. A script takes {seconds:.1f} seconds on average, beside Python's start. "
        "Notes are in brackets; what is wrong is in bold.",
        "",
        *table(ill, ("Sick script", "What is wrong", "How it ends", "Findings"), texts, harm()),
        "",
        *table([*well, *shown], ("Healthy script", "What it is", "Findings"), texts),
    ]
    print("\n".join(lines))
    if options.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        PAGE.write_text("\n".join([before + MARKS[0], *lines, "", MARKS[1]]) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
