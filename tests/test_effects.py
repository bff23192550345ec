"""The functions through which all that is impure goes."""

import random
import threading

import numpy as np
import pytest

from micrograd_plus import effects


def test_assign_writes_into_the_array_and_casts_to_its_dtype():
    array = np.zeros((2, 2), np.float32)
    held = array
    effects.assign(array, np.arange(4.0).reshape(2, 2))
    np.testing.assert_array_equal(held, [[0, 1], [2, 3]])
    effects.assign(array, 9, (0, 1))
    np.testing.assert_array_equal(held, [[0, 9], [2, 3]])
    state = {"step": 1}
    effects.assign(state, 2, "step")
    assert state == {"step": 2}


@pytest.mark.parametrize("size", [0, 1, 1000, effects.BLOCK, effects.BLOCK + 1, 3 * effects.BLOCK + 5])
def test_assign_blocks_updates_every_element_once(size):
    p, m, g = (np.random.default_rng(i).normal(size=size).astype(np.float32) for i in range(3))
    held = p, m

    def update(p, m, g):
        m *= 0.5  # in place: already where it belongs
        return p + m * g, m

    expected_m = m * np.float32(0.5)
    expected_p = p + expected_m * g
    effects.assign_blocks([p, m], update, g)
    np.testing.assert_array_equal(held[0], expected_p)
    np.testing.assert_array_equal(held[1], expected_m)


@pytest.mark.parametrize("layout", ["transposed", "Fortran", "every second row", "reversed"])
@pytest.mark.parametrize("which", ["array", "input"])
def test_assign_blocks_writes_into_arrays_of_any_layout(layout, which):
    def laid_out(array):
        out = {
            "transposed": lambda: np.empty(array.shape[::-1]).T,
            "Fortran": lambda: np.empty(array.shape, order="F"),
            "every second row": lambda: np.empty((2 * len(array), array.shape[1]))[::2],
            "reversed": lambda: np.empty(array.shape)[::-1],
        }[layout]()
        out[...] = array
        return out

    values, grad = np.random.default_rng(0).normal(size=(2, 300, 400))
    p, g = (laid_out(values), grad) if which == "array" else (values.copy(), laid_out(grad))
    effects.assign_blocks([p], lambda p, g: (p - 0.1 * g,), g)
    np.testing.assert_array_equal(p, values - 0.1 * grad)


def test_assign_blocks_hands_out_blocks_that_fit_the_cache():
    sizes = []

    def update(p):
        sizes.append(p.size)
        return (p,)

    effects.assign_blocks([np.zeros((10, effects.BLOCK // 4))], update)
    assert max(sizes) <= effects.BLOCK
    assert sum(sizes) == 10 * (effects.BLOCK // 4)


def test_draw_calls_the_distribution_of_the_generator():
    first = effects.draw(np.random.default_rng(1), "normal", 2.0, 3.0, size=(2, 2))
    np.testing.assert_array_equal(first, np.random.default_rng(1).normal(2.0, 3.0, (2, 2)))


def test_draw_refuses_what_is_no_generator():
    with pytest.raises(TypeError, match=r"a generator must be a NumPy Generator, got 42\. Make one by np\.random\.default_rng\(seed\)\."):
        effects.draw(42, "random", 3)


def test_draw_without_a_generator_follows_the_seed():
    effects.set_seed(4)
    first = effects.draw(None, "random", 3)
    effects.set_seed(4)
    np.testing.assert_array_equal(effects.draw(None, "random", 3), first)
    assert not np.array_equal(effects.draw(None, "random", 3), first)


def test_the_library_has_a_generator_without_a_seed(monkeypatch):
    monkeypatch.setattr(effects, "_generator", [])
    assert effects.default_generator() is effects.default_generator()
    assert effects.draw(None, "random") != effects.draw(None, "random")


@pytest.mark.parametrize("condition", [True, np.True_, np.array([True, True]), np.array([], bool)])
def test_require_is_silent_where_all_holds(condition):
    effects.require(condition, lambda: pytest.fail("the message is made only where the check fails"))


@pytest.mark.parametrize("condition", [False, np.array([True, False]), 0])
def test_require_raises_its_message(condition):
    with pytest.raises(ValueError, match=r"^the message$"):
        effects.require(condition, lambda: "the message")


def test_scalar_reads_an_attribute_or_an_item():
    class Owner:
        lr = 0.5

    assert effects.scalar(Owner(), "lr") == 0.5
    assert effects.scalar({"lr": 0.25}, "lr") == 0.25


@pytest.mark.parametrize("array", [np.float32(1.5), np.array(1.5), np.array([1.5]), np.array([[1.5]]), 1.5])
def test_read_gives_a_python_number(array):
    assert effects.read(array) == 1.5
    assert type(effects.read(array)) is float


def test_the_seed_reaches_all_generators():
    def sample():
        return effects.draw(None, "random"), np.random.random_sample(), random.random()

    effects.set_seed(3)
    first = sample()
    assert sample() != first
    effects.set_seed(3)
    assert sample() == first
    effects.set_seed(2**32 - 1)
    assert sample() != first


# -- a run, and the same run again ---------------------------------------------------------------------------------------


def drawn(generator, count=3):
    return effects.draw(generator, "random", count)


def test_a_run_is_repeated_with_the_same_draws_and_all_goes_back():
    own, state, table = np.random.default_rng(1), np.zeros(3), {"step": 1}

    def function():
        effects.assign(state, state + 1)
        effects.assign(state, 5.0, 1)
        effects.assign(table, table["step"] + 1, "step")
        return [drawn(own), drawn(None), drawn(own), state.copy(), table["step"]]

    run = effects.Run()
    with run.first():
        first = function()
    drawn(own)
    drawn(None)
    effects.assign(state, 100.0)
    effects.assign(table, 7, "step")
    before = own.bit_generator.state, effects.default_generator().bit_generator.state
    for _ in range(2):
        with run.again():
            again = function()
        assert all(np.array_equal(a, b) for a, b in zip(again, first, strict=True))
        np.testing.assert_array_equal(state, [100, 100, 100])
        assert table == {"step": 7}
        assert before == (own.bit_generator.state, effects.default_generator().bit_generator.state)


def test_blocks_that_a_run_writes_go_back_too():
    state = np.ones(3)
    run = effects.Run()
    with run.first():
        effects.assign_blocks([state], lambda p: (p * 2,))
    with run.again():
        np.testing.assert_array_equal(state, [1, 1, 1])
        effects.assign_blocks([state], lambda p: (p * 2,))
    np.testing.assert_array_equal(state, [2, 2, 2])


def test_all_goes_back_after_an_error_too():
    own, state = np.random.default_rng(1), np.zeros(1)

    def function():
        effects.assign(state, state + 1)
        drawn(own)

    run = effects.Run()
    with run.first():
        function()
    before = own.bit_generator.state
    with pytest.raises(RuntimeError), run.again():
        function()
        raise RuntimeError
    assert own.bit_generator.state == before
    assert state[0] == 1


def test_outside_of_a_first_run_nothing_is_noted():
    own, state = np.random.default_rng(1), np.zeros(1)
    run = effects.Run()
    with run.first():
        pass
    drawn(own)
    effects.assign(state, 1.0)
    before = own.bit_generator.state
    with run.again():
        assert own.bit_generator.state == before
        assert state[0] == 1
        effects.assign(state, 2.0)
        drawn(own)
    assert state[0] == 2
    assert own.bit_generator.state != before


def test_runs_nest():
    """The outer one takes note of what the inner one does, and not of what is done in an inner one's repetition."""
    own, state = np.random.default_rng(1), np.zeros(1)

    def step():
        effects.assign(state, state + 1)
        return drawn(own), state.copy()

    outer, inner = effects.Run(), effects.Run()
    with outer.first():
        a = step()
        with inner.first():
            b = step()
        c = step()
        with inner.again():
            assert all(np.array_equal(x, y) for x, y in zip(step(), b, strict=True))
        d = step()
    assert state[0] == 4
    with outer.again():
        again = effects.Run()
        found = [step()]
        with again.first():
            found.append(step())
        found += [step(), step()]
    for expected, values in zip((a, b, c, d), found, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(expected, values, strict=True))
    with again.again():
        assert all(np.array_equal(x, y) for x, y in zip(step(), b, strict=True))
    assert state[0] == 4


def test_a_run_holds_for_its_own_thread():
    own, state = np.random.default_rng(1), np.zeros(1)
    run = effects.Run()

    def other():
        effects.assign(state, 1.0)
        drawn(own)

    with run.first():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    before = own.bit_generator.state
    with run.again():
        assert state[0] == 1
        assert own.bit_generator.state == before


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=rf"^a seed must be in \[0, 2\*\*32\), got {seed}\.$"):
        effects.set_seed(seed)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_a_seed_of_the_range_is_taken(seed):
    effects.set_seed(seed)
    assert effects.draw(None, "random") == np.random.default_rng(seed).random()


class Noted:
    """A trace that notes what it is given."""

    def __init__(self):
        self.seen = []

    def assign(self, target, value, index=...):
        self.seen.append(("assign", index))

    def draw(self, generator, distribution, args, kwargs):
        self.seen.append(("draw", distribution, args, kwargs))
        return "drawn"

    def require(self, condition):
        self.seen.append(("require", condition))

    def scalar(self, owner, name):
        self.seen.append(("scalar", name))
        return "scalar"

    def read(self, array):
        self.seen.append(("read", array))
        return "read"


def test_a_trace_takes_over_what_is_not_known_yet():
    trace, target = Noted(), np.zeros(2)
    assert not effects.is_traced()
    with effects.traced_by(trace):
        assert effects.is_traced()
        effects.assign(target, 1.0, 0)
        effects.assign_blocks([target], lambda x: (x + 1,))
        assert effects.draw(np.random.default_rng(0), "random", 3, dtype=np.float32) == "drawn"
        assert effects.scalar({"lr": 0.1}, "lr") == "scalar"
        effects.require("symbol", lambda: "")
        assert effects.read("symbol") == "read"
        # What is known is checked and read at once.
        for condition in (False, np.bool(False), np.array([True, False])):
            with pytest.raises(ValueError, match="wrong"):
                effects.require(condition, lambda: "wrong")
        effects.require(np.array([True]), lambda: "wrong")
        assert effects.read(np.array([2.0])) == 2.0
        assert effects.read(np.float32(3)) == 3.0
    assert not effects.is_traced()
    effects.assign(target, 5.0, 1)
    np.testing.assert_array_equal(target, [0, 5])
    assert [name for name, *_ in trace.seen] == ["assign", "assign", "draw", "scalar", "require", "read"]
    assert trace.seen[2] == ("draw", "random", (3,), {"dtype": np.float32})
