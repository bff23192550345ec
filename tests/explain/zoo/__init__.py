"""The scripts of the zoos, the doctor over them, and the table of what it says."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ZOO = Path(__file__).parent
ROOT = ZOO.parents[2]


@dataclass(frozen=True)
class Row:
    """What the doctor said of a script."""

    name: str
    codes: tuple[str, ...]  # of its findings, in their order
    serious: tuple[str, ...]  # those of level warning or above
    failure: str  # what the script raised, or why there is no diagnosis
    seconds: float

    @property
    def expected(self):
        """The code in the script's name, None of a healthy one."""
        return self.name[:5].upper() if re.match(r"mg\d{3}_", self.name) else None

    @property
    def right(self):
        if self.expected is None:
            return not self.serious and not self.failure
        return self.codes[:1] == (self.expected,)

    @property
    def told(self):
        """The findings' codes, notes in brackets."""
        return ", ".join(code if code in self.serious else f"({code})" for code in self.codes) or "nothing"


def sick():
    return sorted(ZOO.glob("sick/*.py"))


def healthy():
    return sorted(ZOO.glob("healthy/*.py"))


def examples(data):
    """The project's examples with arguments for a short run; the folder of shared data is given."""
    from ...test_examples import RUNS

    for name, (arguments, needed, _) in RUNS.items():
        path = [] if needed is None else ["--data", str(data / needed)] if needed else ["--data-dir", str(data)]
        yield ROOT / "examples" / f"{name}.py", [*arguments, *path]


def mistakes():
    """By the name of a sick script: "mistake", what is wrong; "better", the way its last number should go; "cure", [old, new] texts."""
    return tomllib.loads((ZOO / "cures.toml").read_text(encoding="utf-8"))


def cured(name, folder):
    """The sick script without its mistake, written into a folder, under a name without a code."""
    text = (ZOO / "sick" / f"{name}.py").read_text(encoding="utf-8")
    for old, new in mistakes()[name]["cure"]:
        text = text.replace(old, new)
    path = folder / f"cured_{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


def diagnosed(paths, arguments=()):
    """A Row for each script; all run in one process that forks."""
    command = [sys.executable, str(ZOO / "running.py"), *map(str, paths), "--", *arguments]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    lines = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout.splitlines()
    return [row_of(json.loads(line)) for line in lines]


def row_of(answer):
    findings = answer.get("findings", [])
    return Row(
        answer["name"],
        tuple(finding["code"] for finding in findings),
        tuple(finding["code"] for finding in findings if finding["level"] != "note"),
        answer.get("failed") or answer["error"],
        answer["seconds"],
    )


def documented(page):
    """The names of the scripts in the page's tables."""
    return re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
