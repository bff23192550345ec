import json

import numpy as np
import pytest

from micrograd_plus.layers import GELU, Dropout, Linear
from micrograd_plus.training import Configuration


def rates(configuration, batches=10):
    """The learning rate of every step of a run."""
    dataset = configuration.load_data()
    optimizer = configuration.build_optimizer(configuration.build_model(dataset).parameters())
    schedule = configuration.build_schedule(optimizer, batches)
    seen = []
    for _ in range(configuration.epochs * batches):
        seen.append(optimizer.lr)
        if schedule is not None:
            schedule.step()
    return np.array(seen)


def test_json_round_trip(tmp_path):
    configuration = Configuration(hidden=(7, 5), lr=0.1, epochs=3, warmup=1, compile=True)
    (tmp_path / "config.json").write_text(configuration.to_json())
    assert Configuration.read(tmp_path / "config.json") == configuration


def test_unknown_option_in_a_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(Configuration().to_json()), "colour": 1}))
    with pytest.raises(ValueError, match=r"config.json' must hold options .*, got unknown ones: colour"):
        Configuration.read(path)


def test_an_option_that_a_file_lacks_has_its_default(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"hidden": [3]}')
    assert Configuration.read(path) == Configuration(hidden=(3,))


def test_model():
    configuration = Configuration(hidden=(20, 30), activation="gelu", dropout=0.3)
    model = configuration.build_model(configuration.load_data())
    linear = [layer for layer in model.layers if isinstance(layer, Linear)]
    assert [layer.weight.shape for layer in linear] == [(64, 20), (20, 30), (30, 10)]
    assert sum(isinstance(layer, GELU) for layer in model.layers) == 2
    assert [layer.p for layer in model.layers if isinstance(layer, Dropout)] == [0.3, 0.3]


def test_constant():
    np.testing.assert_allclose(rates(Configuration(schedule="constant", lr=0.2, epochs=3)), 0.2)


def test_cosine():
    expected = 0.2 * (1 + np.cos(np.pi * np.arange(30) / 30)) / 2
    np.testing.assert_allclose(rates(Configuration(schedule="cosine", lr=0.2, epochs=3)), expected, atol=1e-12)


def test_step():
    np.testing.assert_allclose(rates(Configuration(schedule="step", lr=0.2, epochs=3)), np.repeat([0.2, 0.02, 0.002], 10))


def test_exponential():
    np.testing.assert_allclose(rates(Configuration(schedule="exponential", lr=0.2, epochs=3)), 0.2 * 0.01 ** (np.arange(30) / 30))


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "exponential"])
def test_warmup_rises_linearly_and_then_the_schedule_takes_all_remaining_steps(schedule):
    seen = rates(Configuration(schedule=schedule, lr=0.2, epochs=6, warmup=2))
    without = rates(Configuration(schedule=schedule, lr=0.2, epochs=4))
    assert seen[0] > 0
    np.testing.assert_allclose(np.diff(seen[:20]), seen[1] - seen[0])
    np.testing.assert_allclose(seen[20:], without, atol=1e-12)
