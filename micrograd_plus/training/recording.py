"""What is known of a run, written by the thread that trains and read by others."""

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .trainer import EpochMetrics

MOST_EPOCHS, MOST_POINTS, MOST_SNAPSHOTS = 2000, 2000, 160  # that are kept


@dataclass(frozen=True)
class Seen:
    """How much of a recording a reader has: what has been dropped since, and how many of each it was given."""

    thinned: int
    begun: bool
    epochs: int
    points: int
    snapshots: int
    ended: bool


class Recording:
    """The course of one run, in memory of a bounded size. Every method may be called by any thread.

    As JSON it is an object of

    - `run`: what `begin` was given, null before;
    - `epochs`: objects with the fields of `EpochMetrics`;
    - `points`: `[epochs done, loss, accuracy, learning rate, seconds]`, loss and accuracy being means over the batches since the point
      before, or over those of the epoch so far where that is shorter;
    - `snapshots`: what `Statistics` measured of the layers, see there;
    - `end`: null, or an object of `status` ("finished", "interrupted", "failed"), `message` and the test's `loss` and `accuracy`, if any.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._run: str | None = None
        self._epochs, self._points, self._snapshots = _Series(MOST_EPOCHS), _Series(MOST_POINTS), _Series(MOST_SNAPSHOTS)
        self._end: str | None = None
        self._thinned = 0

    def begin(self, run: Mapping[str, Any]) -> None:
        """Say what is trained."""
        with self._changed:
            self._run = _json(run)
            self._changed.notify_all()

    def add_epoch(self, metrics: EpochMetrics) -> None:
        """Add what an epoch came to."""
        self._add(self._epochs, metrics.epoch, _json(asdict(metrics)))

    def add_point(self, x: float, *values: float | None) -> None:
        """Add a point of the curves; x, the epochs done, is more than that of the point before."""
        self._add(self._points, x, _json((x, *values)))

    def add_snapshot(self, snapshot: Mapping[str, Any]) -> None:
        """Add the layers' state."""
        self._add(self._snapshots, snapshot["x"], _json(snapshot))

    def end(self, status: str, message: str = "", loss: float | None = None, accuracy: float | None = None) -> None:
        """Say how the run ended. The first time counts."""
        with self._changed:
            if self._end is None:
                self._end = _json({"status": status, "message": message, "loss": loss, "accuracy": accuracy})
                self._changed.notify_all()

    def to_json(self) -> str:
        """All of it, as one line of JSON."""
        with self._changed:
            return self._since(None)

    def wait(self, seen: Seen | None, timeout: float) -> tuple[str, Seen] | None:
        """What a reader lacks, as soon as there is something, and what it then has seen.

        Args:
            seen: what the last call returned; None asks for all.
            timeout: in seconds.

        Returns:
            An object like that of `to_json`, with only what is new in its lists, and `run` null where that is known; `all` is true where
            it replaces what there was.
            None after the timeout.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._now() != seen, timeout):
                return None
            now = self._now()
            new = self._since(seen if seen is not None and seen.thinned == now.thinned else None)
        return new, now

    def _add(self, series: "_Series", x: float, text: str) -> None:
        with self._changed:
            self._thinned += series.add(x, text)
            self._changed.notify_all()

    def _now(self) -> Seen:
        epochs, points, snapshots = (len(series.items) for series in (self._epochs, self._points, self._snapshots))
        return Seen(self._thinned, self._run is not None, epochs, points, snapshots, self._end is not None)

    def _since(self, seen: Seen | None) -> str:
        starts = (seen.epochs, seen.points, seen.snapshots) if seen is not None else (0, 0, 0)
        lists = zip(("epochs", "points", "snapshots"), (self._epochs, self._points, self._snapshots), starts, strict=True)
        parts = ", ".join(f'"{name}": [{", ".join(text for _, text in series.items[start:])}]' for name, series, start in lists)
        run = self._run if seen is None or not seen.begun else None  # its images are most of it
        return f'{{"all": {"true" if seen is None else "false"}, "run": {run or "null"}, {parts}, "end": {self._end or "null"}}}'


class _Series:
    """Texts at growing places x, at most so many: of old ones only the first in each cell of a grid stays, which widens with the run."""

    def __init__(self, most: int) -> None:
        self.items: list[tuple[float, str]] = []
        self._most = most
        self._cell = 0.0

    def add(self, x: float, text: str) -> bool:
        """Add one; whether others were dropped."""
        full = len(self.items) >= self._most
        if full:
            start, cells = self.items[0][0], 3 * self._most // 4
            self._cell = self._cell or (x - start) / cells or 1.0
            while (x - start) / self._cell > cells:
                self._cell *= 2
            firsts: dict[float, tuple[float, str]] = {}
            for item in self.items:
                firsts.setdefault((item[0] - start) // self._cell, item)
            self.items = list(firsts.values())
        self.items.append((x, text))
        return full


def rounded(value: Any) -> float | None:
    """Five significant digits, all that a picture needs; None for what is not finite, which JSON can't say."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
