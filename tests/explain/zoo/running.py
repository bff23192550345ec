"""The doctor over scripts, each in a process that is forked off one in which the package is loaded already.

    python tests/explain/zoo/running.py SCRIPT... [-- ARGUMENTS...]

prints a line of JSON for each: the diagnosis, or what went wrong, and the seconds it took.
"""

import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

from micrograd_plus.explain.doctor import script


def diagnosed(path, arguments=()):
    """The diagnosis of a script as plain values, from a child process that works in an empty folder."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        child = os.fork()
        if not child:
            os.chdir(folder)
            try:
                with open(os.devnull, "w") as nowhere:
                    os.dup2(nowhere.fileno(), 2)
                warnings.resetwarnings()
                answer.write_text(script.run(str(path), list(arguments)).to_json())
            except BaseException as error:
                answer.write_text(json.dumps({"failed": f"{type(error).__name__}: {error}"}))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        result = json.loads(answer.read_text()) if answer.exists() else {"failed": "the process ended without an answer"}
    return {"name": Path(path).stem, "seconds": time.perf_counter() - started, **result}


if __name__ == "__main__":
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    for path in given[:end]:
        print(json.dumps(diagnosed(Path(path).absolute(), given[end + 1 :])), flush=True)
