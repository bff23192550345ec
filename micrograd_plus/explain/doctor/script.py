"""The doctor's look at a script: it is run unchanged, as `__main__`, in a process of its own, and its training followed."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..findings import Finding
from ..lines import Line, is_users
from .diagnosis import Diagnosis
from .examination import examined
from .observation import Observer
from .records import Enough

PATIENCE = 120.0  # seconds of wall-clock time, after which a script that shows nothing is ended


def examine(path: str | os.PathLike[str], arguments: Sequence[str] = (), patience: float = PATIENCE) -> Diagnosis:
    """Run a script in a process of its own, end it once enough was seen, and say what is wrong with its training.

    Args:
        path: a Python file.
        arguments: what the script finds in `sys.argv[1:]`.
        patience: seconds after which the process is ended, whatever it does.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no file of Python source that can be parsed.
        RuntimeError: the process ended without a diagnosis: it was killed, or took longer than `patience`.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"the doctor needs a Python file, {str(path)!r} is not there.")
    if not file.is_file():
        raise ValueError(f"the doctor needs a Python file, {str(path)!r} is a folder.")
    try:
        compile(file.read_bytes(), str(file), "exec")
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"the doctor needs a file of Python source, but {str(path)!r} can't be parsed: {error}.") from None
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "diagnosis.json"
        command = [sys.executable, "-m", __package__, str(answer), str(file), *arguments]
        environment = {
            **os.environ,
            "MPLBACKEND": "Agg",
            "PYTHONPATH": os.pathsep.join([_root(), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        }
        try:
            process = subprocess.run(  # noqa: S603 - the interpreter, on the script that the user named
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=patience, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(
                f"{file.name} must come to its training within {patience:g} seconds, and did not. Give it less data, or a smaller model."
            ) from None
        if not answer.exists():
            said = process.stderr.decode(errors="replace").strip().splitlines()
            raise RuntimeError(
                f"the process that ran {file.name} ended with code {process.returncode} and no diagnosis: {' '.join(said[-3:])}"
            )
        return _read(json.loads(answer.read_text(encoding="utf-8")))


def _root() -> str:
    return str(Path(__file__).parents[3])


def _read(values: dict[str, Any]) -> Diagnosis:
    findings = []
    for value in values["findings"]:
        line = value["line"] and Line(value["line"]["file"], value["line"]["number"])
        fields = {name: value[name] for name in ("code", "level", "title", "seen", "why", "cure")}
        findings.append(Finding(**fields, line=line))
    numbers = [float(values[name]) if isinstance(values[name], str) else values[name] for name in ("first_loss", "last_loss")]
    first, last = numbers
    return Diagnosis(findings, values["subject"], values["steps"], first, last, values["error"], tuple(values["remarks"]))


def run(path: str, arguments: Sequence[str]) -> Diagnosis:
    """Run a script in this process, to its end or until enough was seen, and diagnose."""
    import runpy

    file = str(Path(path).absolute())
    sys.argv = [path, *arguments]
    sys.path[0] = str(Path(file).parent)
    remarks: tuple[str, ...] = ()
    observer, error, ended = Observer(), "", False
    in_thread: list[str] = []
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), _threads(observer, in_thread):
        with observer:
            try:
                names = runpy.run_path(file, run_name="__main__")
                observer.note_names(names)
                observer.finish()
            except (Exception, SystemExit, Enough) as end:  # while it is handled, the script's variables are there
                observer.look_around(_frames(end))
                observer.finish()
                ended = isinstance(end, Enough)
                if isinstance(end, SystemExit):
                    error = f"SystemExit: {end.code}" if end.code not in (None, 0) and not observer.steps else ""
                elif _of_compiled_code(end):
                    remarks = ("Under the doctor, compiled functions run eagerly; where the script asked for native code, it was left.",)
                elif not isinstance(end, Enough) and not observer.truncated:
                    error = _told(end)
        diagnosis = examined(observer, Path(path).name, error or "".join(in_thread[:1]), remarks)
        if diagnosis.unseen:
            diagnosis.remarks += (_unseen(observer, ended),)
        return diagnosis


@contextlib.contextmanager
def _threads(observer: Observer, errors: list[str]) -> Iterator[None]:
    """Within, errors that end a thread are noted, and the end of the thread that is followed as the main thread's is."""
    before = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        error = arguments.exc_value
        if error is not None and observer.follows_this_thread:
            observer.look_around(_frames(error))
        if error is not None and not isinstance(error, Enough) and not observer.truncated:
            errors.append(_told(error))

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def _unseen(observer: Observer, ended: bool) -> str:
    """Why no training step may have been seen."""
    if ended:
        reason = f"The script computed for {observer.patience:g} seconds without one, and was ended. Give it less data before its training."
    elif observer.walks and not observer.backwards:
        reason = (
            "Gradients were computed by gradients() or a transform: such a training is not followed. "
            "Compute them by loss.backward() for the time of the examination."
        )
    elif observer.backwards:
        reason = f"backward() ran {observer.backwards} {'time' if observer.backwards == 1 else 'times'}, and no parameter changed after it."
    elif observer.calls:
        reason = f"A model was called ({observer.calls[0].line}), but no backward() ran. Does the script only predict?"
    else:
        reason = (
            "No model was called. Does the script need arguments, or does it train in another process, or with micrograd_plus.scalar? "
            "Only Modules in the script's own process are seen."
        )
    return f"The doctor looks at training steps: backward(), and a change of the parameters after it. {reason}"


def _frames(error: BaseException) -> list[Any]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__) if is_users(frame.f_code.co_filename)][::-1]


def _of_compiled_code(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).parent.name == "compiler" and not is_users(frames[-1].filename)


def _told(error: BaseException) -> str:
    """A traceback of the user's frames alone."""
    frames = [entry for entry in traceback.extract_tb(error.__traceback__) if is_users(entry.filename) and "runpy" not in entry.filename]
    return "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)])
