import json
import threading
import time
from dataclasses import asdict
from itertools import pairwise

import pytest

from micrograd_plus.training import EpochMetrics, recording
from micrograd_plus.training.recording import Recording, rounded


def epoch(number):
    return EpochMetrics(number, loss=0.5, accuracy=0.75, validation_loss=0.6, validation_accuracy=0.7, lr=0.1, seconds=1.5)


def news(recording, seen=None, timeout=0.0):
    found = recording.wait(seen, timeout)
    return (json.loads(found[0]), found[1]) if found else (None, seen)


def test_a_reader_gets_all_and_then_what_is_new():
    record = Recording()
    record.begin({"data": "digits"})
    record.add_epoch(epoch(1))
    first, seen = news(record)
    assert first["all"] and first["run"] == {"data": "digits"}
    assert first["epochs"] == [asdict(epoch(1))]
    assert news(record, seen) == (None, seen)
    record.add_point(1.5, 0.25, 0.5, 0.1, 2.0)
    record.add_snapshot({"x": 1.5})
    second, seen = news(record, seen)
    assert second == {
        "all": False,
        "run": None,
        "epochs": [],
        "points": [[1.5, 0.25, 0.5, 0.1, 2.0]],
        "snapshots": [{"x": 1.5}],
        "end": None,
    }
    record.end("finished", "all is well", 0.3, 0.9)
    record.end("failed")  # too late
    third, seen = news(record, seen)
    assert third["end"] == {"status": "finished", "message": "all is well", "loss": 0.3, "accuracy": 0.9}
    assert third["points"] == third["snapshots"] == [] and seen.ended
    everything = json.loads(record.to_json())
    assert [len(everything[name]) for name in ("epochs", "points", "snapshots")] == [1, 1, 1]


def test_a_reader_that_came_before_the_run_is_told_of_it():
    record = Recording()
    first, seen = news(record)
    assert first["run"] is None
    record.begin({"data": "mnist"})
    assert news(record, seen)[0]["run"] == {"data": "mnist"}


def test_its_size_is_bounded_and_a_reader_starts_again_after_thinning(monkeypatch):
    monkeypatch.setattr(recording, "MOST_POINTS", 16)
    record = Recording()
    for i in range(16):
        record.add_point(i)
    before, seen = news(record)
    record.add_point(16)
    after, _ = news(record, seen)
    assert [x for (x,) in before["points"]] == list(range(16))
    assert after["all"] and 6 <= len(after["points"]) <= 13 and [after["points"][0], after["points"][-1]] == [[0], [16]]
    for i in range(17, 10_000):
        record.add_point(i)
        points = [x for (x,) in json.loads(record.to_json())["points"]]
        assert len(points) <= 16 and points[0] == 0 and points[-1] == i
        gaps = [b - a for a, b in pairwise(points)]
        assert min(gaps) > 0 and max(gaps) <= i / 3  # no part of the run is forgotten


def test_waiting_ends_when_something_is_added():
    record = Recording()
    _, seen = news(record)
    timer = threading.Timer(0.05, record.add_epoch, [epoch(1)])
    timer.start()
    began = time.monotonic()
    assert news(record, seen, timeout=20)[0]["epochs"][0]["epoch"] == 1
    assert time.monotonic() - began < 10
    timer.join()


def test_numbers_that_json_cannot_say_are_none():
    assert [rounded(x) for x in (float("nan"), float("inf"), 1.23456789e-7)] == [None, None, 1.2346e-7]
    with pytest.raises(ValueError, match="JSON"):
        Recording().add_snapshot({"x": float("nan")})
