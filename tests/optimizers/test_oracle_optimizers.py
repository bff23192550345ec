"""Optimizers, schedules and averages beside PyTorch's, over whole courses; and after a resume in mid-course."""

import copy
import warnings

import numpy as np
import pytest

from micrograd_plus import Tensor, layers, optimizers

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make oracle, or the extra bench, brings it")
pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(13)
STEPS = 200
START = RNG.normal(size=(2, 5, 7)).astype(np.float32)
GRADIENTS = RNG.normal(size=(STEPS, 2, 5, 7)).astype(np.float32)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch wants optimizer.step() before the schedule's first, and warns of old habits
        yield


def pair(name, settings, groups=False):
    """Our parameters and optimizer, and PyTorch's."""
    p, q = [Tensor(a, requires_grad=True) for a in START], [torch.tensor(a, requires_grad=True) for a in START]
    mine, theirs = ([{"params": x[:1], "lr": 0.02}, {"params": x[1:]}] if groups else x for x in (p, q))
    return p, q, getattr(optimizers, name)(mine, **settings), getattr(torch.optim, name)(theirs, **settings)


def stepped(ours, theirs, p, q, grads):
    for parameter, twin, g in zip(p, q, grads, strict=True):
        parameter.grad, twin.grad = g, torch.tensor(g)
    ours.step()
    theirs.step()


def close(p, q):
    for parameter, twin in zip(p, q, strict=True):
        np.testing.assert_allclose(parameter.data, twin.detach(), rtol=2e-5, atol=5e-6)


# -- Adagrad, groups and states ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lr": 0.1},
        {"lr": 0.1, "lr_decay": 0.02},
        {"lr": 0.1, "weight_decay": 0.1},
        {"lr": 0.1, "initial_accumulator_value": 0.5},
        {"lr": 0.1, "eps": 0.1, "lr_decay": 0.01, "weight_decay": 0.2, "initial_accumulator_value": 0.1},
    ],
)
def test_200_steps_of_adagrad(settings):
    p, q, ours, theirs = pair("Adagrad", settings)
    for grads in GRADIENTS:
        stepped(ours, theirs, p, q, grads)
    close(p, q)


EVERY = [
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.05}),
    ("RMSprop", {"lr": 0.05, "momentum": 0.5}),
    ("Adagrad", {"lr": 0.05, "lr_decay": 0.01, "initial_accumulator_value": 0.1}),
]


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_200_steps_with_a_resume_halfway_and_a_group_added(name, settings):
    p, q, ours, theirs = pair(name, settings, groups=True)
    extra, twin = Tensor(START[0], requires_grad=True), torch.tensor(START[0], requires_grad=True)
    for t, grads in enumerate(GRADIENTS):
        if t == 50:
            ours.add_param_group({"params": [extra], "lr": 0.01})
            theirs.add_param_group({"params": [twin], "lr": 0.01})
            p, q, grads = [*p, extra], [*q, twin], [*grads, grads[0]]
        if t == 100:
            saved = copy.deepcopy(ours.state_dict())
            ours = getattr(optimizers, name)([{"params": [x]} for x in p], **{**settings, "lr": 1.0})
            ours.load_state_dict(saved)
            restored = getattr(torch.optim, name)([{"params": [x]} for x in q], **{**settings, "lr": 1.0})
            restored.load_state_dict(theirs.state_dict())
            theirs = restored
        stepped(ours, theirs, p, q, [*grads, grads[0]][: len(p)])
    close(p, q)


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_the_shape_of_a_state(name, settings):
    p, q, ours, theirs = pair(name, settings, groups=True)
    stepped(ours, theirs, p, q, GRADIENTS[0])
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine.keys() == other.keys()
    assert mine["state"].keys() == other["state"].keys()
    for group, twin in zip(mine["param_groups"], other["param_groups"], strict=True):
        assert group.keys() <= twin.keys()
        assert group["params"] == twin["params"]


# -- schedules -----------------------------------------------------------------------------------------------------------

S = torch.optim.lr_scheduler
# name: ours and PyTorch's, of an optimizer; how many steps
SCHEDULES = {
    "PolynomialLR": (lambda o: optimizers.PolynomialLR(o, 30, 2.5), lambda o: S.PolynomialLR(o, 30, 2.5), 40),
    "PolynomialLR, defaults": (lambda o: optimizers.PolynomialLR(o), lambda o: S.PolynomialLR(o), 10),
    "LambdaLR": (lambda o: optimizers.LambdaLR(o, lambda t: 0.9**t), lambda o: S.LambdaLR(o, lambda t: 0.9**t), 40),
    "CosineAnnealingWarmRestarts": (
        lambda o: optimizers.CosineAnnealingWarmRestarts(o, 4, 2, 0.01),
        lambda o: S.CosineAnnealingWarmRestarts(o, 4, 2, 0.01),
        70,
    ),
    "CosineAnnealingWarmRestarts of one length": (
        lambda o: optimizers.CosineAnnealingWarmRestarts(o, 7),
        lambda o: S.CosineAnnealingWarmRestarts(o, 7),
        30,
    ),
    "SequentialLR": (
        lambda o: optimizers.SequentialLR(
            o, [optimizers.ExponentialLR(o, 0.9), optimizers.StepLR(o, 5, 0.5), optimizers.CosineAnnealingLR(o, 20)], [10, 25]
        ),
        lambda o: S.SequentialLR(o, [S.ExponentialLR(o, 0.9), S.StepLR(o, 5, 0.5), S.CosineAnnealingLR(o, 20)], [10, 25]),
        45,
    ),
    "SequentialLR, warm-up": (
        lambda o: optimizers.SequentialLR(o, [optimizers.LinearWarmup(o, 8), optimizers.ExponentialLR(o, 0.9)], [8]),
        lambda o: S.SequentialLR(o, [S.LambdaLR(o, lambda t: (t + 1) / 8), S.ExponentialLR(o, 0.9)], [8]),
        30,
    ),
    "ChainedScheduler": (
        lambda o: optimizers.ChainedScheduler([optimizers.PolynomialLR(o, 20), optimizers.ExponentialLR(o, 0.9)]),
        lambda o: S.ChainedScheduler([S.PolynomialLR(o, 20), S.ExponentialLR(o, 0.9)]),
        40,
    ),
}


@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_over_its_whole_course(name, groups):
    make, make_theirs, steps = SCHEDULES[name]
    _, _, ours, theirs = pair("SGD", {"lr": 0.8}, groups)
    schedule, twin = make(ours), make_theirs(theirs)
    for _ in range(steps):
        for group, other in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert group["lr"] == pytest.approx(other["lr"], rel=1e-9, abs=1e-12)
        schedule.step()
        twin.step()


CYCLES = [
    {"max_lr": 0.5, "total_steps": 30},
    {"max_lr": 0.5, "epochs": 5, "steps_per_epoch": 7},
    {"max_lr": 0.5, "total_steps": 31, "anneal_strategy": "linear"},
    {"max_lr": [0.5, 0.25], "total_steps": 31, "pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 50.0},
    {"max_lr": 0.5, "total_steps": 30, "three_phase": True},
    {"max_lr": 0.5, "total_steps": 47, "three_phase": True, "anneal_strategy": "linear", "pct_start": 0.5},
    {"max_lr": 0.5, "total_steps": 30, "pct_start": 0.01},
    {"max_lr": 0.5, "total_steps": 30, "pct_start": 0.0},
    {"max_lr": 0.5, "total_steps": 30, "pct_start": 1.0},
    {"max_lr": 0.5, "total_steps": 1},
    {"max_lr": 0.5, "total_steps": 30, "base_momentum": 0.6, "max_momentum": 0.7},
    {"max_lr": 0.5, "total_steps": 30, "cycle_momentum": False},
]


@pytest.mark.parametrize(("name", "settings"), [("SGD", {}), ("SGD", {"momentum": 0.9}), ("AdamW", {}), ("RMSprop", {})])
@pytest.mark.parametrize("cycle", CYCLES)
def test_one_cycle_over_its_whole_course(cycle, name, settings):
    p, q, ours, theirs = pair(name, {"lr": 0.1, **settings}, groups=True)
    schedule, twin = optimizers.OneCycleLR(ours, **cycle), S.OneCycleLR(theirs, **cycle)
    for t in range(schedule.total_steps):
        for group, other in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert group["lr"] == pytest.approx(other["lr"], rel=1e-9)
            for setting in {"momentum", "betas"} & set(group):
                assert group[setting] == pytest.approx(other[setting], rel=1e-9)
        stepped(ours, theirs, p, q, GRADIENTS[t])
        schedule.step()
        if t < schedule.total_steps - 1:  # there PyTorch's goes on along the curve
            twin.step()
    close(p, q)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(
    "settings",
    [
        {"patience": 2},
        {"patience": 0, "cooldown": 3},
        {"factor": 0.5, "threshold": 0.1, "min_lr": 0.05},
        {"patience": 1, "min_lr": [0.01, 0.1]},
    ],
)
def test_a_plateau_over_its_whole_course(settings, threshold_mode, mode):
    _, _, ours, theirs = pair("SGD", {"lr": 0.8}, groups=True)
    settings = {"mode": mode, "threshold_mode": threshold_mode, **settings}
    schedule, twin = optimizers.ReduceLROnPlateau(ours, **settings), S.ReduceLROnPlateau(theirs, **settings)
    random = np.random.default_rng(3)
    for t in range(120):
        measure = float(np.exp(-t / 40) + 0.1 * random.normal()) if t % 17 else float("nan")
        schedule.step(measure)
        twin.step(measure)
        for group, other in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert group["lr"] == pytest.approx(other["lr"], rel=1e-9)
        assert schedule.state_dict() == {name: getattr(twin, name) for name in schedule.state_dict()}
        if t == 60:
            saved = schedule.state_dict()
            schedule = optimizers.ReduceLROnPlateau(ours, **settings)
            schedule.load_state_dict(saved)
    assert ours.param_groups[1]["lr"] < 0.8


# -- averages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("buffers", [False, True])
def test_averages_of_weights_and_buffers(buffers):
    ours, theirs = layers.BatchNorm(3), torch.nn.BatchNorm1d(3)
    average = optimizers.ExponentialMovingAverage(ours if buffers else ours.parameters(), decay=0.9)
    peer = torch.optim.swa_utils.AveragedModel(theirs, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=buffers)
    peer.update_parameters(theirs)  # PyTorch's first update copies
    for _ in range(50):
        for name in ("weight", "bias", "running_mean", "running_var"):
            value = RNG.normal(size=3).astype(np.float32)
            array = getattr(ours, name)
            (array if isinstance(array, np.ndarray) else array.data)[...] = value
            with torch.no_grad():
                getattr(theirs, name).copy_(torch.tensor(value))
        average.update()
        peer.update_parameters(theirs)
    expected = dict(peer.module.named_parameters()) | (dict(peer.module.named_buffers()) if buffers else {})
    expected.pop("num_batches_tracked", None)
    assert len(expected) == len(average.averages)
    for (name, array), wanted in zip(average.averages.items(), expected.values(), strict=True):
        np.testing.assert_allclose(array, wanted.detach(), rtol=1e-5, atol=1e-6, err_msg=name)
