"""Slopes by differences: right where there is one, with an honest error; sides at a kink; nothing where there is none."""

import math

import numpy as np
import pytest

from micrograd_plus import gradcheck


def found(phi, term=0.0):
    return gradcheck.differences.slope(phi, math.nan, 0.0, term)


SMOOTH = {
    "line": (lambda t: 3 * t + 1, 3),
    "parabola": (lambda t: (t - 2) ** 2, -4),
    "fifth power": (lambda t: (t + 1) ** 5, 5),
    "exp": (math.exp, 1),
    "steep": (lambda t: math.exp(30 * t), 30),
    "sine": (lambda t: math.sin(t + 1), math.cos(1)),
    "fast sine": (lambda t: math.sin(1e5 * t + 1), 1e5 * math.cos(1)),
    "tiny": (lambda t: 1e-200 * math.sin(t + 1), 1e-200 * math.cos(1)),
    "huge": (lambda t: 1e200 * math.sin(t + 1), 1e200 * math.cos(1)),
    "far from 0": (lambda t: 1e6 + math.sin(t + 1), math.cos(1)),
    "near a pole": (lambda t: 1 / (t + 1e-6), -1e12),
    "near a kink": (lambda t: max(t + 1e-6, 0), 1),
    "near the other side of one": (lambda t: max(t - 1e-6, 0), 0),
    "defined nearby only": (lambda t: math.log(t + 1e-4) if t > -1e-4 else math.nan, 1e4),
    "infinite further on": (lambda t: math.inf if t > 1e-3 else math.sin(t), 1),
    "flat": (lambda t: 7.0, 0),
    "flat at its top": (lambda t: math.cos(t), 0),
    "cubic": (lambda t: t**3, 0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_slope_is_within_its_uncertainty_and_that_is_small(name):
    phi, expected = SMOOTH[name]
    slope = found(phi)
    assert slope.sides is None
    assert abs(slope.value - expected) <= slope.uncertainty
    assert slope.uncertainty <= 1e-5 * max(abs(expected), 1e-3 * abs(phi(0.0)), 1e-3 if name in ("flat at its top", "cubic") else 0)


def test_the_believed_step_is_the_one_that_fits():
    """Errors of a few roundings where the function is tame: no single step reaches that for all of these."""
    for scale in (1e-3, 1.0, 1e3):
        slope = found(lambda t, scale=scale: math.sin(scale * t + 1))
        assert slope.value == pytest.approx(scale * math.cos(1), rel=1e-10)


def test_a_cheap_difference_is_taken_if_it_is_near_the_guess():
    calls = []

    def phi(t):
        calls.append(t)
        return math.exp(t)

    slope = gradcheck.differences.slope(phi, 1 + 1e-7, 1e-6)
    assert slope == (pytest.approx(1, abs=1e-10), 0, None)
    assert sorted(calls) == [-(8.0**-3), -(8.0**-4), 0, 8.0**-4, 8.0**-3]
    calls.clear()
    slope = gradcheck.differences.slope(phi, 1 + 1e-5, 1e-6)
    assert slope.uncertainty > 0
    assert len(calls) == 5 + 24
    assert min(abs(t) for t in calls if t) == 8.0**-12
    assert max(map(abs, calls)) == 1 / 8


def test_the_cheap_difference_is_taken_up_to_enough_and_no_further():
    def phi(t):
        return 2 * t

    assert gradcheck.differences.slope(phi, 2.25, 0.25).uncertainty == 0
    assert gradcheck.differences.slope(phi, 2.25, 0.2499).uncertainty > 0
    assert gradcheck.differences.slope(phi, 1.75, 0.25).uncertainty == 0
    assert gradcheck.differences.slope(phi, 1.75, 0.2499).uncertainty > 0


def test_a_kink_is_seen_where_the_central_difference_is_as_guessed():
    slope = gradcheck.differences.slope(abs, 0.0, 1e-6)
    assert slope.sides == (pytest.approx(-1), pytest.approx(1))


@pytest.mark.parametrize(
    ("phi", "left", "right"),
    [
        (abs, -1, 1),
        (lambda t: -abs(t), 1, -1),
        (lambda t: max(t, 0), 0, 1),
        (lambda t: min(t, 0), 1, 0),
        (lambda t: max(math.sin(t), -math.sin(3 * t)), -3, 1),
        (lambda t: abs(t) + 1e4 * t, 9999, 10001),
        (lambda t: 5 + max(t, 1.001 * t), 1, 1.001),
        (lambda t: 1e-200 * abs(t), -1e-200, 1e-200),
        (lambda t: abs(t) if abs(t) < 1e-2 else math.nan, -1, 1),
        (lambda t: max(t + 1e-13, 0), 0, 1),
    ],
)
def test_at_a_kink_the_sides_differ_and_the_value_is_their_mean(phi, left, right):
    slope = found(phi)
    assert slope.sides == (pytest.approx(left, rel=1e-7, abs=1e-6 * abs(right)), pytest.approx(right, rel=1e-7, abs=1e-6 * abs(left)))
    assert slope.value == pytest.approx((left + right) / 2, abs=1e-6 * abs(right - left))
    assert slope.uncertainty <= 1e-5 * max(abs(left), abs(right))


def test_sides_that_hardly_differ_are_one():
    assert found(lambda t: max(t, (1 + 0.9e-5) * t)).sides is None
    assert found(lambda t: max(t, (1 + 1.1e-5) * t)).sides is not None


def test_the_distance_of_a_slope():
    slope = gradcheck.differences.Slope
    assert slope(2.0, 0.0).distance(5.0) == 3
    assert slope(2.0, 0.0).distance(1.5) == 0.5
    for sides in ((-1.0, 2.0), (2.0, -1.0)):
        kink = slope(0.5, 0.0, sides)
        assert [kink.distance(x) for x in (-1.5, -1.0, 0.0, 2.0, 4.0)] == [0.5, 0, 0, 0, 2]


@pytest.mark.parametrize(
    ("phi", "expected"),
    [
        (lambda t: math.exp(t) if t >= 0 else math.nan, 1),
        (lambda t: math.sin(2 * t) if t <= 0 else math.nan, 2),
        (lambda t: t**1.5 if t >= 0 else math.nan, 0),
    ],
)
def test_at_the_edge_of_where_it_is_defined_the_one_side_counts(phi, expected):
    slope = found(phi)
    assert slope.sides is None
    assert slope.value == pytest.approx(expected, abs=1e-4)
    assert abs(slope.value - expected) <= slope.uncertainty < 1e-3


@pytest.mark.parametrize(
    "phi",
    [
        lambda t: float(t > 0),
        lambda t: math.copysign(math.sqrt(abs(t)), t),
        lambda t: math.sqrt(t) if t >= 0 else math.nan,
        lambda t: 1 / (t + 1e-14),
        lambda t: 0.0 if t == 0 else math.nan,
        lambda t: t if t == 0 else math.inf,
        lambda t: math.log(t + 1e-300) if t >= 0 else math.nan,
    ],
)
def test_where_there_is_no_slope_nothing_is_certain(phi):
    assert found(phi).uncertainty == math.inf


@pytest.mark.parametrize("grid", [1e-6, 1e-4, 2e-3, 3e-2])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_the_treads_of_a_staircase_are_not_believed(grid, offset):
    """sin(t + 1), rounded to a grid: steps smaller than the grid see no change at all."""
    slope = found(lambda t: grid * math.floor(math.sin(t + 1) / grid + offset))
    assert abs(slope.value - math.cos(1)) <= slope.uncertainty or math.isnan(slope.value)
    assert slope.uncertainty > 1e-7


def test_a_flat_place_between_slopes_is_believed():
    for phi in (lambda t: max(t - 1e-3, 0), lambda t: min(t + 1e-3, 0), lambda t: max(t - 1e-3, 0) + min(t + 1e-2, 0)):
        slope = found(phi)
        assert slope.value == 0
        assert slope.uncertainty < 1e-9
        assert slope.sides is None


def test_a_function_that_is_smooth_from_afar_is_believed_near_by():
    """From afar this is a hinge, to all digits; here its slope is a half."""
    slope = found(lambda t: t / (1 + math.exp(-max(t / 1e-6, -700))))
    assert slope.sides is None
    assert abs(slope.value - 0.5) <= slope.uncertainty < 1e-3


def test_noise_makes_uncertain():
    noise, random = {}, np.random.default_rng(0)

    def phi(t):
        return math.sin(t + 1) + noise.setdefault(t, 1e-7 * random.standard_normal())

    slope = found(phi)
    assert abs(slope.value - math.cos(1)) <= slope.uncertainty
    assert 1e-8 < slope.uncertainty < 1e-2
    assert slope.sides is None


def test_rounding_of_terms_that_do_not_show_counts_where_it_is_told():
    """The value is exactly 0, a difference of terms of size 1e3."""
    assert found(lambda t: 0.0).uncertainty == 0
    assert found(lambda t: 0.0, term=1e3).uncertainty == pytest.approx(10 * 2.0**-52 * 1e3 * 8**3)


def test_rounding_of_the_value_counts():
    for size in (1.0, 1e6):
        assert found(lambda t, size=size: size).uncertainty == pytest.approx(10 * 2.0**-52 * 2 * size * 8**3)
