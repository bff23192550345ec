"""Broken programs, as learners write them, and what `debug()` says of each.

A file of `broken/` ends in a comment, below a line of dashes: the error's class and its text, `...` for any text. Lines are
broken anywhere.
"""

import re
import warnings
from pathlib import Path

import pytest

import micrograd_plus as mg

PROGRAMS = sorted(path for path in (Path(__file__).parent / "broken").glob("*.py") if path.name != "conftest.py")
KINDS = {"shapes": 8, "NotFiniteError": 25, "ChangedInPlaceError": 10}  # at least so many of each


def run(path):
    """The error of a program that is run as `python path` would."""
    mg.set_seed(0)
    code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    with warnings.catch_warnings(), pytest.raises(Exception) as caught:
        warnings.simplefilter("ignore")
        try:
            exec(code, {"__name__": "__main__"})
        finally:
            mg.debug(False)
    return caught.value


def told(path):
    """What the program's last comment says of its error."""
    comment = path.read_text(encoding="utf-8").rpartition("# ---\n")[2]
    return " ".join(comment.replace("\n# ", " ").removeprefix("# ").split())


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_broken_program_is_told_what_is_wrong(path):
    error = run(path)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    pattern = ".*?".join(map(re.escape, told(path).split("...")))
    assert re.fullmatch(pattern, text), f"\n{type(error).__name__}: {error}"


def test_there_are_enough_of_each_kind():
    assert len(PROGRAMS) >= 25
    for kind, least in KINDS.items():
        assert sum(path.stem.startswith(kind) or told(path).startswith(kind) for path in PROGRAMS) >= least


@pytest.mark.parametrize("path", [path for path in PROGRAMS if told(path).startswith("ChangedInPlaceError")], ids=lambda path: path.stem)
def test_without_debug_a_wrong_gradient_passes_in_silence(path, monkeypatch):
    monkeypatch.setattr("micrograd_plus.explain.debug.debug", lambda on=True: None)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"__name__": "__main__"})
