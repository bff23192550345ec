"""The process in which a script is followed: `python -m micrograd_plus.explain.doctor ANSWER FILE [ARGS...]`."""

import sys
from pathlib import Path

from ...files import replacing
from .script import run

if __name__ == "__main__":
    answer, file, *arguments = sys.argv[1:]
    diagnosis = run(file, arguments)
    with replacing(Path(answer)) as temporary:
        temporary.write_text(diagnosis.to_json(), encoding="utf-8")
