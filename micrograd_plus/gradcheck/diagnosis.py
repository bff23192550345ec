"""Which bug a wrong gradient looks like, with the evidence: patterns in its numbers, and the operations that it came through."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .comparison import MATCH, Comparison, Element
from .uses import Use

FEW = 8  # elements whose contributions are looked at
LISTED = 4  # places that are named


def diagnosed(comparison: Comparison, elements: list[Element], uses: list[Use], whole: list[Use], sizes: Mapping[int, str]) -> str:
    """What is wrong with a gradient, in words.

    Args:
        comparison, elements: of an argument; some of the elements disagree.
        uses: by the operations that its gradient came through, in the order of computation.
        whole: the function as the one use of the argument, if it has one value.
        sizes: of axes and arrays, with whose they are: a constant factor may come from one.
    """
    own = [use for use in uses if use.edge is uses[0].edge]  # the first operation uses the argument
    found = list(patterns(comparison, elements, [own, whole], sizes))
    known = [use for use in uses if use.known]
    culprit = ""
    for use in known:
        local = Comparison(use.name, use.x, use.pull(use.cotangent), use.projected, comparison.tolerance, use.largest_term)
        error, looked_at = local.run()
        if error > comparison.tolerance:
            pullback = f"the pullback of {use.name}{use.slot}"
            culprit = f"T{pullback[1:]} does not fit the value of {use.name}."
            if not _same(use.pull(2 * use.cotangent), 2 * local.analytic):
                found = [f"a cotangent g left out: {pullback} is not linear in it"]
            elif not found:
                found = [f"{pattern}, in {pullback}" for pattern in patterns(local, looked_at, [[use]], sizes)]
            break
    else:
        if known and len(known) == len(uses):
            culprit = "The pullback of every operation fits its value: look at how gradients are added up, and at what is not recorded."
    agree = [element.position for element in elements if element.error <= comparison.tolerance]
    fits = (
        [f"Likely {found[0]}."] if found else [f"It fits no known bug; {f'what agrees: {listed(agree)}' if agree else 'nothing agrees'}."]
    )
    return " ".join([*fits, *(f"It would also fit {other}." for other in found[1:]), culprit]).rstrip()


def listed(places: list[tuple[int, ...]]) -> str:
    """The first few of them."""
    return ", ".join(map(str, places[:LISTED])) + (", ..." if len(places) > LISTED else "")


def patterns(comparison: Comparison, elements: list[Element], views: list[list[Use]], sizes: Mapping[int, str]) -> Iterator[str]:
    """The known bugs that the elements which disagree fit, the most specific first.

    Args:
        views: lists of uses of the array, each complete.
    """
    wrong = [element for element in elements if element.error > comparison.tolerance and not element.kink]
    right = [element for element in elements if element.error <= comparison.tolerance]
    a, n = np.array([element.analytic for element in wrong]), np.array([element.numerical for element in wrong])
    if wrong and not a.any():
        where = "there" if comparison.analytic.any() else "everywhere"
        yield f"cut off from the graph: the gradient is 0 {where}. Look for .detach(), .data, or a pullback that is None"
    elif wrong:
        if _same(a, -n):
            yield "a wrong sign: analytic = -numerical there"
        if not _same(n, n[0]):
            yield from _rearranged(comparison.analytic, elements)
        incomplete = (_incomplete(wrong[:FEW], right[:FEW], uses) for uses in views if uses)
        yield from itertools.islice(filter(None, incomplete), 1)
        yield from _scaled(a, n, sizes)


def _same(found: Any, expected: Any) -> bool:
    """Whether numbers are the same, each relatively, but for what is nothing beside the largest."""
    size = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
    return np.allclose(found, expected, rtol=MATCH, atol=MATCH**2 * size)


def _rearranged(analytic: np.ndarray, elements: list[Element]) -> Iterator[str]:
    """The right numbers in wrong places."""
    numerical = np.array([element.numerical for element in elements])
    places = tuple(np.array([element.position for element in elements]).T)
    for i, j in itertools.combinations(range(analytic.ndim), 2):
        shape = list(analytic.shape)
        shape[i], shape[j] = shape[j], shape[i]
        if _same(analytic.reshape(shape).swapaxes(i, j)[places], numerical):
            how = "" if shape[i] == shape[j] else ", as by a reshape in place of a transpose"
            yield f"a transpose: analytic is numerical with axes {i} and {j} swapped{how}"
            return
    if len(elements) == analytic.size and _same(np.sort(analytic, axis=None), np.sort(numerical)):
        yield "a wrong order: analytic has the numbers of numerical, in other places"


def _incomplete(wrong: list[Element], right: list[Element], uses: list[Use]) -> str:
    """One part alone of what should be added up: the contribution of one use, of one slice or of one element of a value."""
    a, n = np.array([element.analytic for element in wrong]), np.array([element.numerical for element in wrong])
    try:
        parts = [[use.contributions(element.position) for element in (*wrong, *right)] for use in uses]
    except (TypeError, ValueError, IndexError):  # it does not run with what stands for inputs that are not known
        return ""
    sums = np.array([[part.sum() for part in of_use[: len(wrong)]] for of_use in parts])
    if not _same(sums.sum(0), n):
        return ""
    if len(uses) > 1:
        alone = [f"{use.name}{use.slot}" for use, of_use in zip(uses, sums, strict=True) if _same(of_use, a)]
        return (
            f"overwritten instead of accumulated: the argument is used {len(uses)} times, "
            f"and analytic is what the use by {alone[0]} contributes alone"
            if alone
            else ""
        )
    of_wrong, name = parts[0][: len(wrong)], uses[0].name
    times = [np.count_nonzero(part) for part in parts[0][len(wrong) :]]
    single = all(np.isclose(part, each, rtol=MATCH).any() for part, each in zip(of_wrong, a, strict=True))
    if right and single and max(times) <= 1:
        return (
            f"overwritten instead of accumulated: elements that {name} takes once agree, "
            "and of those that it takes several times, analytic is what one of the times contributes alone"
        )
    for axis, size in enumerate(of_wrong[0].shape):
        for i in range(size):
            if _same([part.take(i, axis).sum() for part in of_wrong], a):
                return (
                    f"a missing sum over axis {axis} of the value of {name}, of size {size}: analytic is what slice {i} contributes alone"
                )
    return ""


def _scaled(a: np.ndarray, n: np.ndarray, sizes: Mapping[int, str]) -> Iterator[str]:
    """The right numbers times a factor."""
    ratio = float(a @ n) / float(n @ n) if n.any() else 0.0
    if not _same(a, ratio * n) or _same(ratio, -1):
        return
    if _same(ratio, 2):
        yield "counted twice: analytic = 2 x numerical there"
    for factor, text, bug in (
        (ratio, "{} x numerical", "as if a mean's division were missing"),
        (1 / ratio, "numerical / {}", "as if a mean were taken in place of a sum"),
    ):
        for size, whose in sizes.items():
            if _same(factor, size):
                yield f"a constant factor: analytic = {text.format(size)} there, and {size} is {whose}, {bug}"
                return
    if _same(ratio, 0.5):
        yield "a constant factor: analytic = numerical / 2 there, as if a factor 2 were missing"
    elif len(a) > 1 and not _same(ratio, 2):
        yield f"a constant factor: analytic = {ratio:.6g} x numerical there"
