"""Every optimizer with its options, compiled: parameters, moments, step counts, settings that change between steps, clipping."""

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import optimizers

from .checks import check_training, differences, native, state_of

pytestmark = native

OPTIMIZERS = {
    "SGD": [{}, {"momentum": 0.9}, {"weight_decay": 0.1}, {"momentum": 0.8, "weight_decay": 0.01, "nesterov": True}],
    "Adam": [{}, {"betas": (0.8, 0.99), "eps": 1e-4}, {"weight_decay": 0.1}],
    "AdamW": [{}, {"weight_decay": 0.3, "betas": (0.5, 0.6)}],
    "RMSprop": [{}, {"alpha": 0.5, "momentum": 0.9}, {"weight_decay": 0.1, "eps": 1e-3}],
    "Adagrad": [{}, {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}],
}
CASES = [(name, settings) for name, several in OPTIMIZERS.items() for settings in several]
X, Y = np.random.default_rng(0).standard_normal((2, 16, 3))


def net(seed=0):
    generator = np.random.default_rng(seed)
    return mg.Sequential(mg.Linear(3, 5, generator=generator), mg.Tanh(), mg.Linear(5, 3, generator=generator))


def batches(count, dtype):
    return [[(X + i).astype(dtype), Y.astype(dtype)] for i in range(count)]


def test_every_optimizer_is_among_the_cases():
    found = {name for name, x in vars(optimizers).items() if isinstance(x, type) and issubclass(x, optimizers.Optimizer)} - {"Optimizer"}
    assert found == set(OPTIMIZERS)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_optimizers_with_their_options(dtype):
    """Those of all cases, each with its own model, in one step."""

    def build():
        models = [net(i) for i in range(len(CASES))]
        several = [getattr(optimizers, name)(model.parameters(), lr=0.05, **s) for (name, s), model in zip(CASES, models, strict=True)]

        def step(x, y):
            losses = []
            for model, optimizer in zip(models, several, strict=True):
                optimizer.zero_grad()
                losses.append(((model(x) - y) ** 2).mean())
                losses[-1].backward()
                optimizer.step()
            return losses

        return models, All(several), step

    with mg.default_dtype(dtype):
        check_training(build, batches(8, dtype), 1e-9 if dtype is np.float64 else 1e-3)


class All:
    """The state of several optimizers."""

    def __init__(self, several):
        self.several = several

    def state_dict(self):
        return [optimizer.state_dict() for optimizer in self.several]


def trained(make, between=lambda i, optimizer: None, inside=lambda model: None, steps=12):
    """The states after each step of an eager and of a compiled run; `between` is called between steps, `inside` before an update."""
    runs = []
    for compiling in (False, True):
        model = net()
        optimizer = make(model)

        def step(x, y, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            extra = inside(model)
            optimizer.step()
            return [loss, extra]

        step = compiled = mg.compile(step, strict=True) if compiling else step
        states = []
        for i in range(steps):
            loss, extra = step(mg.Tensor(X + i), mg.Tensor(Y))
            states.append([loss.data, *([] if extra is None else [extra]), *state_of([model], optimizer)])
            between(i, optimizer)
        runs.append(states)
    for i, (eager, ours) in enumerate(zip(*runs, strict=True)):
        wrong = differences(ours, eager, 1e-9)
        assert not wrong, f"step {i}: {'; '.join(wrong)}"
    return compiled


@pytest.fixture(autouse=True)
def double():
    with mg.default_dtype(np.float64):
        yield


SCHEDULES = {
    "StepLR": lambda o: mg.StepLR(o, 2, 0.5),
    "CosineAnnealingLR": lambda o: mg.CosineAnnealingLR(o, 20),
    "LinearWarmup": lambda o: mg.LinearWarmup(o, 4),
    "OneCycleLR": lambda o: mg.OneCycleLR(o, 0.1, 20),
    "LambdaLR": lambda o: mg.LambdaLR(o, lambda t: 1 / (1 + t)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_changes_the_rate_without_another_trace(name):
    schedules = {}

    def make(model):
        optimizer = mg.SGD(model.parameters(), lr=0.05, momentum=0.9)
        schedules[id(optimizer)] = SCHEDULES[name](optimizer)
        return optimizer

    compiled = trained(make, lambda i, optimizer: schedules[id(optimizer)].step())
    assert len(compiled._traces) == 1


def test_betas_that_a_schedule_moves_are_constants_of_a_trace():
    schedules = {}

    def make(model):
        optimizer = mg.Adam(model.parameters(), lr=0.05)
        schedules[id(optimizer)] = mg.OneCycleLR(optimizer, 0.1, 12)
        return optimizer

    trained(make, lambda i, optimizer: schedules[id(optimizer)].step(), steps=4)


@pytest.mark.parametrize("warmup", [False, True])
def test_moving_averages_of_the_weights(warmup):
    results = []
    for compiling in (False, True):
        model = net()
        optimizer = mg.SGD(model.parameters(), lr=0.1)
        average = mg.ExponentialMovingAverage(model, 0.9, warmup)

        def step(x, y, model=model, optimizer=optimizer, average=average):
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            average.update()
            return loss

        step = mg.compile(step, strict=True) if compiling else step
        found = []
        for i in range(8):
            step(mg.Tensor(X + i), mg.Tensor(Y))
            found += [average.updates, *(array.copy() for array in average.averages.values())]
        results.append(found)
    assert not differences(results[1], results[0], 1e-9)


def test_groups_of_parameters_and_a_rate_that_is_set_by_hand():
    def make(model):
        first, second = list(model.parameters())[:2], list(model.parameters())[2:]
        return mg.SGD([{"params": first, "lr": 0.1}, {"params": second, "momentum": 0.5, "weight_decay": 0.1}], lr=0.01)

    def between(i, optimizer):
        optimizer.param_groups[i % 2]["lr"] *= 0.9

    assert len(trained(make, between)._traces) == 1


@pytest.mark.parametrize("limit", [0.05, 1e6])
def test_clipping_by_norm_and_by_value(limit):
    def inside(model):
        norm = mg.clip_grad_norm(model.parameters(), limit)
        mg.clip_grad_value(model.parameters(), limit / 10)
        return norm

    trained(lambda model: mg.Adam(model.parameters(), lr=0.05), inside=inside)


def test_frozen_parameters_and_such_without_a_gradient():
    def make(model):
        model[0].bias.requires_grad = False
        return mg.Adam([*model.parameters(), mg.Parameter(np.ones(3))], lr=0.05, weight_decay=0.1)

    trained(make)


def test_gradients_added_up_over_two_batches():
    results = []
    for compiling in (False, True):
        model = net()
        optimizer = mg.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x, y, last, model=model, optimizer=optimizer):
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            if last:
                optimizer.step()
                optimizer.zero_grad()
            return loss

        step = mg.compile(step, strict=True) if compiling else step
        states = []
        for i in range(12):
            step(mg.Tensor(X + i), mg.Tensor(Y), i % 2 == 1)
            states.append(state_of([model], optimizer))
        results.append(states)
    for i, (eager, ours) in enumerate(zip(*results, strict=True)):
        wrong = differences(ours, eager, 1e-9)
        assert not wrong, f"step {i}: {'; '.join(wrong)}"
