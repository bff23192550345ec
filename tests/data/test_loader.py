import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from micrograd_plus import Tensor, set_seed
from micrograd_plus.data import DataLoader
from micrograd_plus.utils import DataLoader as DataLoaderOfUtils


def epoch(loader):
    return np.concatenate([y for _, y in loader])


@given(count=st.integers(1, 50), batch_size=st.integers(1, 60), shuffle=st.booleans())
def test_every_example_once_with_its_target(count, batch_size, shuffle):
    loader = DataLoader(np.arange(count) * 10, np.arange(count), batch_size, shuffle)
    batches = list(loader)
    assert len(batches) == len(loader)
    assert [len(y) for _, y in batches[:-1]] == [batch_size] * (len(loader) - 1)
    assert 1 <= len(batches[-1][1]) <= batch_size
    assert all((X == 10 * y).all() for X, y in batches)
    assert sorted(epoch(loader)) == list(range(count))


def test_default_batch_size():
    assert [len(y) for _, y in DataLoader(np.zeros((70, 2)), np.zeros(70))] == [32, 32, 6]


def test_order_is_kept_without_shuffle():
    loader = DataLoader(np.arange(10), np.arange(10), batch_size=3, shuffle=False)
    np.testing.assert_array_equal(epoch(loader), np.arange(10))


def test_each_epoch_has_a_new_order():
    loader = DataLoader(np.arange(100), np.arange(100))
    assert not np.array_equal(epoch(loader), epoch(loader))


def test_set_seed_repeats_the_orders():
    loader = DataLoader(np.arange(100), np.arange(100))
    set_seed(7)
    first, second = epoch(loader), epoch(loader)
    set_seed(7)
    np.testing.assert_array_equal(epoch(loader), first)
    np.testing.assert_array_equal(epoch(loader), second)


def test_its_own_generator():
    orders = [epoch(DataLoader(np.arange(100), np.arange(100), generator=np.random.default_rng(3))) for _ in range(2)]
    np.testing.assert_array_equal(*orders)


def test_tensors_lists_and_dtypes():
    X, y = Tensor(np.ones((4, 3)), requires_grad=True), Tensor(np.arange(4))
    X_batch, y_batch = next(iter(DataLoader(X, y, batch_size=2)))
    assert type(X_batch) is type(y_batch) is np.ndarray
    assert Tensor(X_batch).shape == (2, 3)
    assert (X_batch.dtype, y_batch.dtype) == (np.float32, np.int64)
    X_batch, _ = next(iter(DataLoader([[1.0, 2.0], [3.0, 4.0]], [0, 1])))
    assert Tensor(X_batch).shape == (2, 2)


def test_a_batch_is_a_copy():
    X = np.zeros((4, 1))
    for X_batch, _ in DataLoader(X, np.zeros(4), shuffle=False):
        X_batch += 1
    assert X.sum() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((3, 2)), np.zeros(4)), "one target per example, got 3 examples in X and 4 targets in y"),
        ((np.zeros((0, 2)), np.zeros(0)), "at least one example, got none"),
        ((np.zeros(3), np.float64(1)), "y must have a first axis of examples, got a single float64 number"),
        ((np.zeros(3), np.zeros(3), 0), "batch_size must be an int of at least 1, got 0"),
        ((np.zeros(3), np.zeros(3), -5), "got -5"),
        ((np.zeros(3), np.zeros(3), 2.5), "got 2.5"),
        ((np.zeros(3), np.zeros(3), True), "got True"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(*arguments)


def test_utils_offers_the_same_class():
    assert DataLoaderOfUtils is DataLoader
