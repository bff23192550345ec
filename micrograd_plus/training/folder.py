"""The folder that a training run writes."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ..files import replacing
from .trainer import Callback, EpochMetrics


class RunFolder(Callback):
    """A new folder for the files of one training run; as a callback it records each epoch's metrics.

    Each file appears whole or not at all; `metrics.jsonl` grows by one whole line per epoch.

    Args:
        path: must not exist, or be an empty folder; None makes `runs/NAME-DATE-TIME`, with a number appended where that is taken.
        name: what the folder that None makes is named after.

    Raises:
        FileExistsError: there is something at `path`.
        OSError: the folder can't be made or written to.
    """

    def __init__(self, path: Path | None, name: str) -> None:
        self._made: list[Path] = []
        self.path = self._make_unused(name) if path is None else self._make_given(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.jsonl"
        self.model = self.path / "model.safetensors"
        self.results = self.path / "results.json"
        self.curves = self.path / "curves.png"
        self.confusion = self.path / "confusion.png"
        self.report = self.path / "report.html"
        self.epochs = 0

    @property
    def files(self) -> tuple[Path, ...]:
        """All that a finished run has written."""
        return self.config, self.metrics, self.model, self.results, self.curves, self.confusion, self.report

    @contextlib.contextmanager
    def writing(self, path: Path) -> Iterator[Path]:
        """Yield a temporary path that becomes `path` on success; an error in writing names `path`."""
        with _naming(path), replacing(path) as temporary:
            yield temporary

    def epoch_finished(self, metrics: EpochMetrics) -> None:
        """Append the epoch to `metrics.jsonl` as one line."""
        line = json.dumps(asdict(metrics)).encode() + b"\n"
        with _naming(self.metrics), self.metrics.open("ab", buffering=0) as file:
            start = file.tell()
            try:
                written = file.write(line)
                if written < len(line):  # the disk is full now: let it say so
                    file.write(line[written:])
            except BaseException:
                file.truncate(start)
                raise
        self.epochs += 1

    def discard(self) -> None:
        """Remove what this run has written, and the folders that it made."""
        for path in self.files:
            path.unlink(missing_ok=True)
        for folder in reversed(self._made):
            try:
                folder.rmdir()
            except OSError:  # another run has put something there
                return

    def _make_given(self, path: Path) -> Path:
        if path.exists() and not path.is_dir():
            raise FileExistsError(f"a run folder must be new or empty; {str(path)!r} is a file. Name another.")
        if path.is_dir() and any(path.iterdir()):
            raise FileExistsError(f"a run folder must be new or empty; {str(path)!r} already holds something. Name another.")
        self._make(path)
        return path

    def _make_unused(self, name: str) -> Path:
        stem = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        self._make(stem.parent)
        attempt = 1
        while True:
            path = stem if attempt == 1 else stem.with_name(f"{stem.name}-{attempt}")
            try:
                path.mkdir()
            except FileExistsError:
                attempt += 1
            else:
                self._made.append(path)
                return path

    def _make(self, path: Path) -> None:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            self._made.append(folder)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = str(path)  # a failed write names no file, and replacing() a temporary one
        raise
