"""Random programs compiled: their values, gradients and Hessian-vector products beside those of eager runs.

Several programs are one function, for each trace and each call of the C compiler costs time.
"""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

import micrograd_plus as mg
from micrograd_plus.compiler.capture import map_tree
from micrograd_plus.compiler.trace import Untraceable

from ..compiler.checks import by_graph, differences, leaves
from .operations import OPERATIONS
from .programs import DisagreementError, Program, written

TOLERANCE = 1e-9  # relative to the largest element, at least 1
WITHOUT = ("inv", "solve", "sort", "topk")  # operations that have no symbolic form
NOT_COMPILED = "an array without elements"


def frozen(program: Program) -> Any:
    """A program without dicts: the arrays that one holds may change, and are inputs."""
    steps = [(step.operation, step.inputs, tuple(step.options.items()), step.scale) for step in program.steps]
    return tuple(steps), tuple(program.weights.items()), tuple(program.directions)


def copied(x: Any) -> Any:
    return x.copy() if isinstance(x, np.ndarray) else x


def run(program: Any, arrays: Any) -> list[Any]:
    """As `programs.run_ours`, of a frozen program, and leaves that are given."""
    steps, weights, directions = program
    pool: list[Any] = [mg.tensor._wrap(x) for x in arrays]
    through = list(pool)
    for x in through:
        x.requires_grad = True
    for operation, inputs, options, scale in steps:
        value = OPERATIONS[operation].ours(*(pool[i] for i in inputs), **{key: map_tree(copied, x) for key, x in options})
        pool.append(value * scale if scale != 1 else value)
    loss = sum(((pool[i] * w).sum() for i, w in weights), mg.Tensor(0.0))
    outputs = [pool[i] for i, _ in weights]
    if not loss.requires_grad:
        return outputs
    slopes = mg.gradients(loss, through, create_graph=True)
    projected = sum(((g * v).sum() for g, v in zip(slopes, directions, strict=True)), mg.Tensor(0.0))
    return [*outputs, *slopes, *(mg.gradients(projected, through) if projected.requires_grad else [])]


def names(program: Program) -> list[str]:
    count = range(len(program.leaves))
    return [
        *(f"the value of v{i}" for i in program.weights),
        *(f"the {what} at v{i}" for what in ("gradient", "Hessian-vector product") for i in count),
    ]


def check(programs: list[Program], native: bool) -> None:
    """Raise DisagreementError unless the compiled programs give what the eager ones do; Untraceable where they can't be compiled."""
    with mg.default_dtype(np.float64), np.errstate(all="ignore"):
        plans = tuple(frozen(program) for program in programs)

        def together(*args: Any) -> list[Any]:
            return [run(plan, arrays) for plan, arrays in zip(plans, args, strict=True)]

        given = [program.leaves for program in programs]
        expected = [leaves(results) for results in together(*given)]
        try:
            if native:
                compiled = mg.compile(together, strict=True, threads=1)
                compiled(*given)
                compiled.step.unchecked = 0  # its own comparison has no scale for a sum that cancels
                found = {"native code": [leaves(results) for results in compiled(*given)]}
            else:
                found = {}
                for which, values in by_graph(together, given).items():
                    ends = np.cumsum([0, *(len(results) for results in expected)]).tolist()
                    found[which] = [values[a:b] for a, b in itertools.pairwise(ends)]
        except Untraceable:
            raise
        except Exception as error:
            raise DisagreementError(f"it raised {error!r}") from error
    for which, values in found.items():
        for program, ours, wanted in zip(programs, values, expected, strict=True):
            for name, a, b in zip(names(program), ours, wanted, strict=False):
                if differences([a], [b], TOLERANCE):
                    raise DisagreementError(f"{name} is {a}, eagerly {b}, by {which}")


def check_block(seed: int, numbers: Iterable[int], native: bool) -> list[int]:
    """Check programs by their numbers, as many together as can be; those that meet arrays without elements are returned."""
    programs = {number: written(seed, number, WITHOUT) for number in numbers}
    fitting = [number for number in programs if has_elements(programs[number])]
    pending, skipped = [fitting], [number for number in programs if number not in fitting]
    while pending:
        some = pending.pop()
        try:
            check([programs[number] for number in some], native)
        except (DisagreementError, Untraceable) as error:
            if len(some) > 1:
                pending += [some[len(some) // 2 :], some[: len(some) // 2]]
            elif isinstance(error, Untraceable) and NOT_COMPILED in str(error):
                skipped += some
            else:
                raise DisagreementError(f"program {some[0]} of seed {seed}: {error}\n{programs[some[0]]}") from error
    return skipped


def has_elements(program: Program) -> bool:
    """Whether all of a program's values have elements; what an operation computes on the way may still have none."""
    with mg.default_dtype(np.float64), mg.no_grad(), np.errstate(all="ignore"):
        pool = [mg.Tensor(x) for x in program.leaves]
        for step in program.steps:
            pool.append(OPERATIONS[step.operation].ours(*(pool[i] for i in step.inputs), **step.options) * step.scale)
    return all(x.size for x in pool)
