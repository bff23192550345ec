"""Random programs, run in both libraries in float64: value, gradients, and one Hessian-vector product must agree.

A program has one to four leaves and then steps; each step applies an operation to earlier values, chosen at random, so that
values are reused, broadcast and viewed. The loss weighs every value that no later step uses. Values that grow are scaled down by
a power of two. Everything follows from (seed, number), so that a disagreement can be run again.
"""

import warnings
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import torch

import micrograd_plus as mg

from .operations import LARGEST, OPERATIONS

TOLERANCE = 1e-8  # relative to the largest element, at least 1; a Hessian-vector product loses some digits more
BOUND = 4.0  # above which a value is scaled down


class Step(NamedTuple):
    operation: str
    inputs: tuple[int, ...]
    options: dict[str, Any]
    scale: float


class Program(NamedTuple):
    leaves: list[np.ndarray]
    steps: list[Step]
    weights: dict[int, np.ndarray]  # of the loss, by value
    directions: list[np.ndarray]  # of the Hessian-vector product, by leaf

    def __str__(self) -> str:
        lines = [f"v{i} = leaf{x.shape}" for i, x in enumerate(self.leaves)]
        for i, step in enumerate(self.steps, len(self.leaves)):
            inputs = ", ".join([*(f"v{j}" for j in step.inputs), *(f"{key}={value!r}" for key, value in step.options.items())])
            lines.append(f"v{i} = {step.operation}({inputs})" + (f" * {step.scale}" if step.scale != 1 else ""))
        return "\n".join([*lines, f"loss = sum of weighted {', '.join(f'v{i}' for i in self.weights)}"])


class DisagreementError(AssertionError):
    """The libraries differ, or ours raised."""


def random_shape(random: np.random.Generator) -> tuple[int, ...]:
    ndim = random.choice(5, p=[0.1, 0.25, 0.35, 0.2, 0.1])
    return tuple(int(n) for n in random.choice([0, 1, 2, 3, 4], ndim, p=[0.02, 0.25, 0.28, 0.3, 0.15]))


def written(seed: int, number: int, without: Collection[str] = ()) -> Program:
    """The program of that number: written while it runs, for the shapes and values decide what may come next.

    Args:
        seed, number: decide all.
        without: operations that it may not use.
    """
    random = np.random.default_rng([seed, number])
    leaves = [random.standard_normal(random_shape(random)) for _ in range(random.integers(1, 5))]
    pool, steps, length = [np.asarray(x) for x in leaves], [], int(random.integers(5, 41))
    names = sorted(set(OPERATIONS) - set(without))
    with mg.default_dtype(np.float64), mg.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty slices and the like: they are looked at when the program runs
        for _ in range(20 * length):
            if len(steps) == length:
                break
            name = names[random.integers(len(names))]
            chosen = OPERATIONS[name].choose(random, pool)
            if chosen is None:
                continue
            inputs, options = chosen
            try:
                value = OPERATIONS[name].ours(*(mg.Tensor(pool[i]) for i in inputs), **options).data
            except Exception as error:
                shapes = [pool[i].shape for i in inputs]
                raise DisagreementError(f"{name} raised on inputs of shapes {shapes} with options {options}: {error!r}") from error
            if value.size > LARGEST or not np.isfinite(value).all():
                continue
            largest = float(np.abs(value).max(initial=0))
            scale = 1.0 if largest <= BOUND else float(2.0 ** np.floor(np.log2(BOUND / largest)))
            steps.append(Step(name, inputs, options, scale))
            pool.append(value * scale)
    used = {i for step in steps for i in step.inputs}
    weights = {i: random.standard_normal(x.shape) for i, x in enumerate(pool) if i not in used}
    return Program(leaves, steps, weights, [random.standard_normal(x.shape) for x in leaves])


def run_ours(program: Program) -> list[np.ndarray]:
    """The outputs, the loss's gradients by backward(), and the Hessian-vector product, which goes through a replay of every rule."""
    with mg.default_dtype(np.float64):
        pool: list[Any] = [mg.Tensor(x, requires_grad=True) for x in program.leaves]
        leaves = list(pool)
        for step in program.steps:
            value = OPERATIONS[step.operation].ours(*(pool[i] for i in step.inputs), **step.options)
            pool.append(value * step.scale if step.scale != 1 else value)
        loss = sum(((pool[i] * w).sum() for i, w in program.weights.items()), mg.Tensor(0.0))
        slopes = mg.gradients(loss, leaves, create_graph=True)
        loss.backward(retain_graph=True)
        grads = [x.grad for x in leaves]
        for slope, grad in zip(slopes, grads, strict=True):
            if not close(slope.data, grad):
                raise DisagreementError(f"backward() gives {grad}, gradients(create_graph=True) {slope.data}")
        projected = sum(((g * v).sum() for g, v in zip(slopes, program.directions, strict=True)), mg.Tensor(0.0))
        if projected.requires_grad:
            products = [h.data for h in mg.gradients(projected, leaves)]
        else:
            products = [np.zeros_like(x) for x in program.leaves]
    return [*(pool[i].data for i in program.weights), *grads, *products]


def run_theirs(program: Program) -> list[np.ndarray]:
    pool = [torch.tensor(x, requires_grad=True) for x in program.leaves]
    leaves = list(pool)
    for step in program.steps:
        pool.append(OPERATIONS[step.operation].theirs(*(pool[i] for i in step.inputs), **step.options) * step.scale)
    loss = sum(((pool[i] * torch.as_tensor(w)).sum() for i, w in program.weights.items()), torch.zeros((), dtype=torch.float64))

    def differentiated(output: Any, create_graph: bool) -> list[Any]:
        if not output.requires_grad:
            return [torch.zeros_like(x) for x in leaves]
        found = torch.autograd.grad(output, leaves, create_graph=create_graph, allow_unused=True)
        return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]

    slopes = differentiated(loss, create_graph=True)
    projected = sum((g * torch.as_tensor(v)).sum() for g, v in zip(slopes, program.directions, strict=True))
    products = differentiated(projected, create_graph=False)
    return [x.detach().numpy(force=True) for x in (*(pool[i] for i in program.weights), *slopes, *products)]


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    if found.shape != expected.shape:
        return False
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return bool(np.all(np.abs(found - expected) <= tolerance * scale))


def check(program: Program) -> None:
    """Raise DisagreementError unless both libraries agree."""
    try:
        found = run_ours(program)
    except DisagreementError:
        raise
    except Exception as error:
        raise DisagreementError(f"it raised {error!r}") from error
    expected = run_theirs(program)
    names = [f"the value of v{i}" for i in program.weights]
    names += [f"the {what} at v{i}" for what in ("gradient", "Hessian-vector product") for i in range(len(program.leaves))]
    for name, ours, theirs in zip(names, found, expected, strict=True):
        if not close(ours, theirs, 100 * TOLERANCE if "Hessian" in name else TOLERANCE):
            raise DisagreementError(f"{name} is {ours}, PyTorch's {theirs}")


def shrunk(program: Program) -> Program:
    """The shortest program found that still disagrees: cut after the first wrong value, then to what one value depends on."""

    def disagrees(candidate: Program) -> bool:
        try:
            check(candidate)
        except DisagreementError:
            return True
        except Exception:
            return False
        return False

    random = np.random.default_rng(0)
    count = len(program.leaves)
    for last in range(count, count + len(program.steps)):
        needed = {last}
        for i in range(last, count - 1, -1):
            if i in needed:
                needed.update(program.steps[i - count].inputs)
        kept = [*range(count), *(i for i in range(count, last + 1) if i in needed)]
        renamed = {old: new for new, old in enumerate(kept)}
        steps = [program.steps[i - count] for i in kept[count:]]
        steps = [step._replace(inputs=tuple(renamed[j] for j in step.inputs)) for step in steps]
        shape = value_shape(program.leaves, steps)
        candidate = Program(program.leaves, steps, {len(kept) - 1: random.standard_normal(shape)}, program.directions)
        if disagrees(candidate):
            return candidate
    return program


def value_shape(leaves: list[np.ndarray], steps: list[Step]) -> tuple[int, ...]:
    """The shape of the last value."""
    with mg.default_dtype(np.float64), mg.no_grad():
        pool: list[Any] = [mg.Tensor(x) for x in leaves]
        for step in steps:
            pool.append(OPERATIONS[step.operation].ours(*(pool[i] for i in step.inputs), **step.options) * step.scale)
    return pool[-1].shape
