import errno
import io
import json
from pathlib import Path

import pytest

from micrograd_plus.training import EpochMetrics
from micrograd_plus.training.folder import RunFolder

METRICS = EpochMetrics(epoch=1, loss=0.5, accuracy=0.75, validation_loss=0.625, validation_accuracy=0.5, lr=0.001, seconds=2.0)


def test_metrics_are_a_line_per_epoch(tmp_path):
    folder = RunFolder(tmp_path / "run", "digits")
    folder.epoch_finished(METRICS)
    folder.epoch_finished(METRICS)
    lines = folder.metrics.read_text().splitlines()
    assert len(lines) == folder.epochs == 2
    assert json.loads(lines[0]) == {
        "epoch": 1,
        "loss": 0.5,
        "accuracy": 0.75,
        "validation_loss": 0.625,
        "validation_accuracy": 0.5,
        "lr": 0.001,
        "seconds": 2.0,
    }


@pytest.mark.parametrize("taken", [0, 5])
def test_a_line_that_does_not_fit_leaves_nothing_of_itself(tmp_path, monkeypatch, taken):
    folder = RunFolder(tmp_path / "run", "digits")
    folder.epoch_finished(METRICS)
    before = folder.metrics.read_bytes()

    class FullDisk(io.FileIO):
        calls = 0

        def write(self, line):
            self.calls += 1
            if taken and self.calls == 1:
                return super().write(line[:taken])
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, mode, buffering: FullDisk(self, "a"))
        with pytest.raises(OSError, match="No space left on device") as raised:
            folder.epoch_finished(METRICS)
    assert raised.value.filename == str(folder.metrics)
    assert folder.metrics.read_bytes() == before
    assert folder.epochs == 1


def test_a_failed_write_names_the_file_and_leaves_none(tmp_path):
    folder = RunFolder(tmp_path / "run", "digits")
    with pytest.raises(OSError, match=r"model\.safetensors") as raised, folder.writing(folder.model) as path:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert raised.value.filename == str(folder.model)
    assert list(folder.path.iterdir()) == []


def test_discard_removes_what_it_made_and_nothing_else(tmp_path):
    (tmp_path / "mine").mkdir()
    folder = RunFolder(tmp_path / "mine" / "new" / "run", "digits")
    folder.epoch_finished(METRICS)
    folder.discard()
    assert list((tmp_path / "mine").iterdir()) == []


def test_discard_keeps_a_folder_that_was_there(tmp_path):
    folder = RunFolder(tmp_path, "digits")
    folder.epoch_finished(METRICS)
    folder.discard()
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.is_dir()


def test_discard_keeps_the_folder_of_another_run(tmp_path):
    first = RunFolder(tmp_path / "runs" / "first", "digits")
    second = RunFolder(tmp_path / "runs" / "second", "digits")
    first.discard()
    assert second.path.is_dir()
    assert not first.path.exists()
