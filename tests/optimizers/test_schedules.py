"""One cycle, restarts, chains and plateaus, against formulas; and how every schedule goes on from a saved state."""

import inspect
import itertools
import math

import numpy as np
import pytest

from micrograd_plus import Tensor, optimizers

from ..raising import unreached


def optimizer_of(name="SGD", groups=1, lr=0.8, **settings):
    return getattr(optimizers, name)([{"params": [Tensor([1.0], requires_grad=True)]} for _ in range(groups)], lr=lr, **settings)


def course(schedule, steps, setting="lr"):
    """A setting of the first group before each of so many steps."""
    found = []
    for _ in range(steps):
        found.append(schedule.optimizer.param_groups[0][setting])
        schedule.step()
    return found


# -- one cycle -----------------------------------------------------------------------------------------------------------


def curve(t, points, strategy):
    """Through points (time, value), by half cosines or lines."""
    for (start, before), (end, after) in itertools.pairwise(points):
        if t <= end:
            share = (t - start) / (end - start)
            return after + (before - after) * ((1 + math.cos(math.pi * share)) / 2 if strategy == "cos" else 1 - share)
    return points[-1][1]


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize(("steps", "share"), [(20, 0.3), (50, 0.25), (7, 0.5)])
def test_one_cycle(strategy, steps, share):
    optimizer = optimizer_of(momentum=0.5)
    schedule = optimizers.OneCycleLR(optimizer, 0.5, steps, pct_start=share, anneal_strategy=strategy, div_factor=10, final_div_factor=100)
    rates, momenta = [], []
    for _ in range(steps):
        rates.append(optimizer.lr)
        momenta.append(optimizer.param_groups[0]["momentum"])
        schedule.step()
    peak, end = share * steps - 1, steps - 1
    np.testing.assert_allclose(rates, [curve(t, [(0, 0.05), (peak, 0.5), (end, 0.0005)], strategy) for t in range(steps)], rtol=1e-12)
    np.testing.assert_allclose(momenta, [curve(t, [(0, 0.95), (peak, 0.85), (end, 0.95)], strategy) for t in range(steps)], rtol=1e-12)
    assert optimizer.lr == rates[-1] == 0.0005  # t = T: as at the end


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_one_cycle_of_three_phases(share):
    optimizer = optimizer_of("AdamW", betas=(0.5, 0.75))
    schedule = optimizers.OneCycleLR(
        optimizer, 1.0, epochs=4, steps_per_epoch=5, pct_start=share, three_phase=True, base_momentum=0.6, max_momentum=0.7
    )
    rates = [(0, 1 / 25), (20 * share - 1, 1.0), (40 * share - 2, 1 / 25), (19, 1 / 25 / 1e4)]
    momenta = [(0, 0.7), (20 * share - 1, 0.6), (40 * share - 2, 0.7), (19, 0.7)]
    for t in range(20):
        assert optimizer.lr == pytest.approx(curve(t, rates, "cos"), rel=1e-12)
        beta1, beta2 = optimizer.param_groups[0]["betas"]
        assert beta1 == pytest.approx(curve(t, momenta, "cos"), rel=1e-12)
        assert beta2 == 0.75
        schedule.step()


def test_settings_at_the_edge_of_their_ranges():
    o = optimizer_of(momentum=0.5)
    schedule = optimizers.OneCycleLR(o, 0.5, 10, div_factor=1.0, final_div_factor=1.0, base_momentum=0.0, max_momentum=0.0)
    assert course(schedule, 10) == [0.5] * 10
    assert o.param_groups[0]["momentum"] == 0
    assert optimizers.OneCycleLR(o, 1.0, total_steps=10, epochs=2, steps_per_epoch=3).total_steps == 10
    o = optimizer_of("Adagrad", groups=2)
    optimizers.OneCycleLR(o, 1.0, 10, cycle_momentum=False)
    assert [group["lr"] for group in o.param_groups] == [1 / 25, 1 / 25]


def test_the_cycle_of_one_step_and_cycles_whose_rise_takes_none():
    assert course(optimizers.OneCycleLR(optimizer_of(), 1.0, 1), 1) == [1 / 25 / 1e4]
    for strategy in ("cos", "linear"):
        assert course(optimizers.OneCycleLR(optimizer_of(), 1.0, 10, pct_start=0.1, anneal_strategy=strategy), 3)[0] == 1.0
    falling = course(optimizers.OneCycleLR(optimizer_of(), 1.0, 10, pct_start=0.0, anneal_strategy="linear"), 10)
    np.testing.assert_allclose(falling, [1 - (t + 1) / 10 * (1 - 1 / 25e4) for t in range(10)], rtol=1e-9)
    rising = course(optimizers.OneCycleLR(optimizer_of(), 1.0, 10, pct_start=1.0, anneal_strategy="linear"), 10)
    np.testing.assert_allclose(rising, [1 / 25 + t / 9 * 24 / 25 for t in range(10)], rtol=1e-9)


def test_each_group_has_its_largest_rate_and_momentum_may_be_left_alone():
    optimizer = optimizer_of(groups=2, momentum=0.5)
    schedule = optimizers.OneCycleLR(optimizer, [1.0, 0.5], 10, cycle_momentum=False)
    assert schedule.initial_lrs == [1 / 25, 0.5 / 25]
    schedule.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1.0, 0.5])
    assert [group["momentum"] for group in optimizer.param_groups] == [0.5, 0.5]


def test_one_cycle_takes_no_more_steps_than_it_has():
    schedule = optimizers.OneCycleLR(optimizer_of(), 1.0, 3)
    for _ in range(3):
        schedule.step()
    with pytest.raises(ValueError, match="OneCycleLR must not take more than its 3 steps"):
        schedule.step()
    assert schedule.steps == 3


def test_momentum_that_is_cycled_is_used():
    """SGD without momentum has it turned on, as in PyTorch."""
    p = Tensor([1.0], requires_grad=True, dtype=np.float64)
    optimizer = optimizers.SGD([p])
    schedule = optimizers.OneCycleLR(optimizer, 1.0, 10)
    value, velocity = 1.0, 0.0
    for _ in range(10):
        group = optimizer.param_groups[0]
        velocity = group["momentum"] * velocity + 2.0
        value -= group["lr"] * velocity
        p.grad = [2.0]
        optimizer.step()
        schedule.step()
        assert p.item() == pytest.approx(value, rel=1e-12)


# -- restarts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "by"), [(3, 1), (1, 1), (2, 2), (3, 3)])
def test_cosines_with_restarts(first, by):
    found = course(optimizers.CosineAnnealingWarmRestarts(optimizer_of(), first, by, eta_min=0.2), 30)
    expected, length = [], first
    while len(expected) < 30:
        expected += [0.2 + 0.3 * (1 + math.cos(math.pi * t / length)) for t in range(length)]
        length *= by
    np.testing.assert_allclose(found, expected[:30], rtol=1e-12)


# -- chains --------------------------------------------------------------------------------------------------------------


def test_one_schedule_after_the_other():
    o = optimizer_of()
    parts = [optimizers.LinearWarmup(o, 4), optimizers.StepLR(o, 2, 0.5), optimizers.CosineAnnealingLR(o, 10)]
    found = course(optimizers.SequentialLR(o, parts, [4, 9]), 25)
    expected = [0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.4, 0.4, 0.2]
    expected += [0.4 * (1 + math.cos(math.pi * min(t, 10) / 10)) for t in range(16)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_chains_of_one():
    o = optimizer_of()
    assert course(optimizers.SequentialLR(o, [optimizers.ExponentialLR(o, 0.5)], []), 3) == [0.8, 0.4, 0.2]
    o = optimizer_of()
    assert course(optimizers.ChainedScheduler([optimizers.ExponentialLR(o, 0.5)]), 3) == [0.8, 0.4, 0.2]


def test_the_first_of_a_sequence_may_take_one_step():
    o = optimizer_of()
    parts = [optimizers.LambdaLR(o, lambda t: 0.25), optimizers.ExponentialLR(o, 0.5)]
    assert course(optimizers.SequentialLR(o, parts, [1]), 4) == [0.2, 0.8, 0.4, 0.2]


def test_factors_multiply():
    o = optimizer_of()
    parts = [optimizers.LinearWarmup(o, 3), optimizers.ExponentialLR(o, 0.9), optimizers.StepLR(o, 5, 0.1)]
    found = course(optimizers.ChainedScheduler(parts), 12)
    np.testing.assert_allclose(found, [0.8 * min((t + 1) / 3, 1) * 0.9**t * 0.1 ** (t // 5) for t in range(12)], rtol=1e-12)


def test_chains_of_chains():
    o = optimizer_of()
    warm = optimizers.SequentialLR(o, (optimizers.LinearWarmup(o, 2), optimizers.LambdaLR(o, lambda t: 1.0)), (2,))
    found = course(optimizers.ChainedScheduler((warm, optimizers.ExponentialLR(o, 0.5))), 4)
    assert found == [0.4, 0.4, 0.2, 0.1]


# -- plateaus ------------------------------------------------------------------------------------------------------------


def reductions(measures, lr=1.0, **settings):
    optimizer = optimizer_of(lr=lr)
    schedule = optimizers.ReduceLROnPlateau(optimizer, **settings)
    found = []
    for measure in measures:
        schedule.step(measure)
        found.append(optimizer.lr)
    return found


def test_the_rate_falls_after_more_than_patience_steps_without_improvement():
    assert reductions([1, 2, 2, 2, 2, 2, 2], factor=0.5, patience=2) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert reductions([3, 2, 1, 0.5, 0.4], factor=0.5, patience=0) == [1] * 5
    assert reductions([1, 1, 0.5, 0.5], factor=0.5, patience=0) == [1, 0.5, 0.5, 0.25]


def test_an_improvement_starts_the_count_anew():
    assert reductions([1, 2, 2, 0.5, 2, 2, 2], factor=0.5, patience=2) == [1] * 6 + [0.5]


def test_in_mode_max_more_is_better():
    assert reductions([1, 2, 3, 3, 3], factor=0.5, patience=1, mode="max") == [1, 1, 1, 1, 0.5]


@pytest.mark.parametrize(
    ("settings", "better", "not_better"),
    [
        ({}, 0.9998, 0.99995),
        ({"threshold": 0.25}, 0.7499, 0.75),
        ({"threshold": 0.25, "threshold_mode": "abs"}, 0.7499, 0.75),
        ({"threshold": 0.25, "mode": "max"}, 1.2501, 1.25),
        ({"threshold": 0.0}, 0.9999999, 1.0),
    ],
)
def test_the_threshold(settings, better, not_better):
    assert reductions([1.0, better], factor=0.5, patience=0, **settings) == [1, 1]
    assert reductions([1.0, not_better], factor=0.5, patience=0, **settings) == [1, 0.5]


def test_a_threshold_is_relative_unless_it_is_absolute():
    assert reductions([100.0, 75.1], factor=0.5, patience=0, threshold=0.25) == [1, 0.5]
    assert reductions([100.0, 99.7], factor=0.5, patience=0, threshold=0.25, threshold_mode="abs") == [1, 1]
    assert reductions([100.0, 100.3], factor=0.5, patience=0, threshold=0.25, threshold_mode="abs", mode="max") == [1, 1]
    assert reductions([100.0, 100.2], factor=0.5, patience=0, threshold=0.25, threshold_mode="abs", mode="max") == [1, 0.5]


def test_the_cooldown():
    assert reductions([1] * 9, factor=0.5, patience=0, cooldown=2) == [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125]
    assert reductions([1, 2, 2, 2, 2, 2], factor=0.5, patience=1, cooldown=1) == [1, 1, 0.5, 0.5, 0.5, 0.25]


def test_the_rate_does_not_fall_below_the_least_nor_by_next_to_nothing():
    assert reductions([1] * 4, factor=0.5, patience=0, min_lr=0.3) == [1, 0.5, 0.3, 0.3]
    assert reductions([1] * 4, factor=0.5, patience=0, eps=0.25) == [1, 0.5, 0.5, 0.5]
    assert reductions([1] * 3, lr=1e-9, factor=0.5, patience=0) == [1e-9] * 3
    assert reductions([1] * 3, lr=0.1, factor=0.5, patience=0, min_lr=0.3) == [0.1] * 3


def test_each_group_has_its_least_rate():
    optimizer = optimizer_of(groups=2, lr=1.0)
    schedule = optimizers.ReduceLROnPlateau(optimizer, factor=0.1, patience=0, min_lr=[0.5, 0.01])
    for _ in range(3):
        schedule.step(1.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, pytest.approx(0.01)]


def test_nan_and_what_is_no_python_number():
    assert reductions([1.0, np.nan, np.nan], factor=0.5, patience=1) == [1, 1, 0.5]
    assert reductions([np.float32(1), np.array([2.0]), Tensor(3.0)], factor=0.5, patience=1) == [1, 1, 0.5]


def test_defaults_are_those_of_pytorch():
    def defaults(name):
        return {k: p.default for k, p in inspect.signature(getattr(optimizers, name)).parameters.items() if p.default is not p.empty}

    cycle = {"total_steps": None, "epochs": None, "steps_per_epoch": None, "pct_start": 0.3, "anneal_strategy": "cos"}
    cycle |= {"cycle_momentum": True, "base_momentum": 0.85, "max_momentum": 0.95, "div_factor": 25.0, "final_div_factor": 1e4}
    assert defaults("OneCycleLR") == cycle | {"three_phase": False}
    plateau = {"mode": "min", "factor": 0.1, "patience": 10, "threshold": 1e-4, "threshold_mode": "rel", "cooldown": 0}
    assert defaults("ReduceLROnPlateau") == plateau | {"min_lr": 0.0, "eps": 1e-8}
    assert defaults("CosineAnnealingWarmRestarts") == {"T_mult": 1, "eta_min": 0.0}
    assert defaults("PolynomialLR") == {"total_iters": 5, "power": 1.0}


# -- states --------------------------------------------------------------------------------------------------------------

SCHEDULES = {
    "StepLR": lambda o: optimizers.StepLR(o, 3, 0.5),
    "ExponentialLR": lambda o: optimizers.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: optimizers.PolynomialLR(o, 12, 2.0),
    "LambdaLR": lambda o: optimizers.LambdaLR(o, lambda t: 0.5**t),
    "CosineAnnealingLR": lambda o: optimizers.CosineAnnealingLR(o, 12),
    "CosineAnnealingWarmRestarts": lambda o: optimizers.CosineAnnealingWarmRestarts(o, 2, 2),
    "LinearWarmup": lambda o: optimizers.LinearWarmup(o, 4, optimizers.StepLR(o, 3)),
    "OneCycleLR": lambda o: optimizers.OneCycleLR(o, [1.0, 2.0], 20),
    "SequentialLR": lambda o: optimizers.SequentialLR(o, [optimizers.LinearWarmup(o, 4), optimizers.StepLR(o, 3)], [4]),
    "ChainedScheduler": lambda o: optimizers.ChainedScheduler([optimizers.LinearWarmup(o, 4), optimizers.StepLR(o, 3)]),
}


def settings_of(optimizer):
    return [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("taken", [0, 5])
def test_a_schedule_goes_on_exactly(name, taken):
    one, other = optimizer_of(groups=2, momentum=0.5), optimizer_of(groups=2, momentum=0.5, lr=0.3)
    one.param_groups[1]["lr"] = 0.4
    schedule, twin = SCHEDULES[name](one), SCHEDULES[name](other)
    for _ in range(taken):
        schedule.step()
    saved = schedule.state_dict()
    twin.load_state_dict(saved)
    assert saved == twin.state_dict() == {"steps": taken, "initial_lrs": schedule.initial_lrs}
    assert settings_of(one) == settings_of(other)
    for _ in range(10):
        schedule.step()
        twin.step()
        assert settings_of(one) == settings_of(other)
    assert saved["steps"] == taken  # a copy


def test_a_saved_state_shares_no_list():
    schedule = optimizers.ExponentialLR(optimizer_of(), 0.5)
    saved = schedule.state_dict()
    saved["initial_lrs"][0] = 5.0
    schedule.step()
    assert schedule.optimizer.lr == 0.4
    schedule.load_state_dict(saved)
    saved["initial_lrs"][0] = 7.0
    schedule.step()
    assert schedule.optimizer.lr == 2.5


def test_a_plateau_goes_on_exactly():
    settings = {"factor": 0.5, "patience": 2, "cooldown": 3}
    measures = [3, 2, 2, 2, 2, 2.5, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1]
    for taken in range(len(measures)):
        one, other = optimizer_of(), optimizer_of()
        schedule, twin = optimizers.ReduceLROnPlateau(one, **settings), optimizers.ReduceLROnPlateau(other, **settings)
        for measure in measures[:taken]:
            schedule.step(measure)
        twin.load_state_dict(schedule.state_dict())
        other.load_state_dict(one.state_dict())
        assert schedule.state_dict() == twin.state_dict()
        for measure in measures[taken:]:
            schedule.step(measure)
            twin.step(measure)
            assert one.lr == other.lr
            assert schedule.state_dict() == twin.state_dict()
    assert one.lr < 0.8


def test_the_state_of_a_plateau_says_where_it_stands():
    schedule = optimizers.ReduceLROnPlateau(optimizer_of(), patience=1, cooldown=5)
    assert schedule.state_dict() == {"best": math.inf, "num_bad_epochs": 0, "cooldown_counter": 0}
    for measure in (2.0, 1.0, 1.5):
        schedule.step(measure)
    assert schedule.state_dict() == {"best": 1.0, "num_bad_epochs": 1, "cooldown_counter": 0}
    schedule.step(1.5)
    schedule.step(1.5)
    assert schedule.state_dict() == {"best": 1.0, "num_bad_epochs": 0, "cooldown_counter": 4}
    assert optimizers.ReduceLROnPlateau(optimizer_of(), mode="max").best == -math.inf


def test_numbers_that_a_file_made_arrays_of():
    schedule = optimizers.ExponentialLR(optimizer_of(), 0.5)
    schedule.load_state_dict({"steps": np.array(2), "initial_lrs": np.array([1.0])})
    assert type(schedule.steps) is int
    assert schedule.optimizer.lr == 0.25
    plateau = optimizers.ReduceLROnPlateau(optimizer_of())
    plateau.load_state_dict({"best": np.array(0.5), "num_bad_epochs": np.int64(3), "cooldown_counter": 0})
    assert plateau.state_dict() == {"best": 0.5, "num_bad_epochs": 3, "cooldown_counter": 0}
    assert type(plateau.num_bad_epochs) is int


# -- messages ------------------------------------------------------------------------------------------------------------

O = optimizer_of(momentum=0.5)  # noqa: E741 - as short as the calls below
STEP = optimizers.StepLR(O, 1)


def cycle(**settings):
    return lambda: optimizers.OneCycleLR(O, **{"max_lr": 1.0, "total_steps": 10, **settings})


def plateau(**settings):
    return lambda: optimizers.ReduceLROnPlateau(O, **settings)


def stepped_too_often():
    schedule = cycle(total_steps=1)()
    schedule.step()
    schedule.step()


TOTAL = "total_steps, or epochs times steps_per_epoch, must be at least 1, got {}."
FACTORS = "div_factor and final_div_factor must be positive, got {} and {}."
MOMENTA = "momenta must be 0 <= base_momentum <= max_momentum < 1, got {} and {}."
CYCLES = [
    (cycle(total_steps=0), ValueError, TOTAL.format(0)),
    (cycle(total_steps=None), ValueError, TOTAL.format(None)),
    (cycle(total_steps=None, epochs=3), ValueError, TOTAL.format(None)),
    (cycle(total_steps=None, steps_per_epoch=3), ValueError, TOTAL.format(None)),
    (cycle(total_steps=None, epochs=3, steps_per_epoch=0), ValueError, TOTAL.format(0)),
    (cycle(pct_start=1.5), ValueError, "pct_start must be in [0, 1], got 1.5."),
    (cycle(pct_start=-0.1), ValueError, "pct_start must be in [0, 1], got -0.1."),
    (cycle(pct_start=0.6, three_phase=True), ValueError, "pct_start must be in [0, 0.5], got 0.6."),
    (cycle(anneal_strategy="cosine"), ValueError, "anneal_strategy must be 'cos' or 'linear', got 'cosine'."),
    (cycle(div_factor=0), ValueError, FACTORS.format(0, 10000.0)),
    (cycle(final_div_factor=0), ValueError, FACTORS.format(25.0, 0)),
    (cycle(max_momentum=1.0), ValueError, MOMENTA.format(0.85, 1.0)),
    (cycle(base_momentum=0.96), ValueError, MOMENTA.format(0.96, 0.95)),
    (cycle(base_momentum=-0.1), ValueError, MOMENTA.format(-0.1, 0.95)),
    (cycle(max_lr=[1.0, 2.0]), ValueError, "max_lr must be one number, or one for each of the 1 groups, got 2."),
    (
        lambda: optimizers.OneCycleLR(optimizer_of("Adagrad"), 1.0, 10),
        ValueError,
        "cycle_momentum needs an optimizer with momentum or betas, not Adagrad. Pass cycle_momentum=False.",
    ),
    (
        stepped_too_often,
        ValueError,
        "OneCycleLR must not take more than its 1 steps, got one more. Make it with as many as there are batches.",
    ),
    (
        lambda: optimizers.CosineAnnealingWarmRestarts(O, 0),
        ValueError,
        "T_0 and T_mult must be at least 1, got 0 and 1.",
    ),
    (lambda: optimizers.CosineAnnealingWarmRestarts(O, 5, 0), ValueError, "T_0 and T_mult must be at least 1, got 5 and 0."),
]
CHAINS = [
    (lambda: optimizers.SequentialLR(O, [], []), ValueError, "schedulers must be at least one schedule, got none."),
    (lambda: optimizers.ChainedScheduler([]), ValueError, "schedulers must be at least one schedule, got none."),
    (
        lambda: optimizers.ChainedScheduler([STEP, optimizers.StepLR(optimizer_of(), 1)]),
        ValueError,
        "schedules must be of the same optimizer, StepLR is of another. Make all with one optimizer.",
    ),
    (
        lambda: optimizers.SequentialLR(optimizer_of(), [STEP], []),
        ValueError,
        "schedules must be of the same optimizer, StepLR is of another. Make all with one optimizer.",
    ),
    (
        lambda: optimizers.ChainedScheduler([plateau()()]),
        TypeError,
        "ReduceLROnPlateau can't be chained: its rate must depend on its step count alone. Use it alone.",
    ),
    (
        lambda: optimizers.SequentialLR(O, [STEP, cycle()()], [2]),
        TypeError,
        "OneCycleLR can't be chained: its rate must depend on its step count alone. Use it alone.",
    ),
    (
        lambda: optimizers.SequentialLR(O, [STEP, STEP], []),
        ValueError,
        "milestones must be one fewer than the 2 schedules, got 0.",
    ),
    (lambda: optimizers.SequentialLR(O, [STEP] * 3, [4, 4]), ValueError, "milestones must be positive and rise, got [4, 4]."),
    (lambda: optimizers.SequentialLR(O, [STEP] * 3, (4, 2)), ValueError, "milestones must be positive and rise, got [4, 2]."),
    (lambda: optimizers.SequentialLR(O, [STEP] * 2, [0]), ValueError, "milestones must be positive and rise, got [0]."),
]
PLATEAUS = [
    (plateau(mode="least"), ValueError, "mode must be 'min' or 'max', got 'least'."),
    (plateau(threshold_mode="relative"), ValueError, "threshold_mode must be 'rel' or 'abs', got 'relative'."),
    (plateau(factor=1.0), ValueError, "factor must be in (0, 1), got 1.0."),
    (plateau(factor=0), ValueError, "factor must be in (0, 1), got 0."),
    (plateau(patience=-1), ValueError, "patience must not be negative, got -1."),
    (plateau(threshold=math.nan), ValueError, "threshold must not be negative, got nan."),
    (plateau(cooldown=-2), ValueError, "cooldown must not be negative, got -2."),
    (plateau(eps=-1e-8), ValueError, "eps must not be negative, got -1e-08."),
    (plateau(min_lr=[0.1, 0.2, 0.3]), ValueError, "min_lr must be one number, or one for each of the 1 groups, got 3."),
    (
        lambda: plateau()().load_state_dict({"best": 1.0, "num_bad_epochs": 0, "last_epoch": 3}),
        ValueError,
        "a state dict must fit this ReduceLROnPlateau: missing 'cooldown_counter'; unexpected 'last_epoch'.",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), CYCLES + CHAINS + PLATEAUS)
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


def test_every_error_has_an_entry():
    assert not unreached(optimizers.cycles, CYCLES)
    assert not unreached(optimizers.chaining, CHAINS)
    assert not unreached(optimizers.plateau, PLATEAUS)
