import numpy as np
import pytest

from micrograd_plus import Tensor
from micrograd_plus.training import Callback, Configuration, load, prepare, train

QUICK = Configuration(hidden=(16,), dropout=0.0, epochs=2, batch_size=128)


def test_a_run_from_python(tmp_path):
    result = train(prepare(QUICK), tmp_path / "run")
    assert result.folder == tmp_path / "run"
    assert [metrics.epoch for metrics in result.history] == [1, 2]
    assert result.seconds > 0
    loaded = load(result.folder)
    assert loaded.configuration == QUICK
    images = Tensor(loaded.dataset.test_images)
    loaded.model.eval()
    np.testing.assert_array_equal(loaded.model(images).numpy().argmax(1), result.test.predictions)


def test_the_test_images_change_nothing_in_training(tmp_path):
    from dataclasses import replace

    run = prepare(QUICK)
    blank = replace(run.dataset, test_images=np.zeros_like(run.dataset.test_images))
    results = [train(replace(prepare(QUICK), dataset=dataset), tmp_path / name) for name, dataset in (("a", run.dataset), ("b", blank))]
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    assert [replace(m, seconds=0) for m in results[0].history] == [replace(m, seconds=0) for m in results[1].history]


def test_runs_prepared_together_train_alike(tmp_path):
    for name, run in (("a", prepare(QUICK)), ("b", prepare(QUICK))):
        train(run, tmp_path / name)
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()


class Stop(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def epoch_finished(self, metrics):
        if metrics.epoch == self.epoch:
            raise KeyboardInterrupt


def test_a_note_says_what_stays(tmp_path):
    with pytest.raises(KeyboardInterrupt) as raised:
        train(prepare(QUICK), tmp_path / "run", [Stop(1)])
    assert raised.value.__notes__ == [f"{tmp_path / 'run'} keeps what 1 of 2 epochs wrote: config.json, metrics.jsonl."]
