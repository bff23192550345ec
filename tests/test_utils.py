"""Seeds and small helpers."""

import random
import sys
import types

import numpy as np
import pytest

from micrograd_plus import DataLoader, Dropout, Embedding, Linear, Tensor, default_dtype, init, rand, randn, scalar, utils

RNG = np.random.default_rng(6)


def everything_random():
    """A sample of each source of randomness of the library and of NumPy's and Python's global generators."""
    X = np.arange(20)
    return [
        *(draw((3, 2)) for draw in (init.normal, init.uniform, init.xavier_normal, init.xavier_uniform, init.kaiming_normal)),
        init.kaiming_uniform((3, 2)),
        Linear(3, 4).weight.data,
        Embedding(3, 4).weight.data,
        Dropout(0.5)(np.ones(40)).data,
        randn(3).data,
        rand(3).data,
        utils.train_test_split(X, X)[0],
        np.concatenate([x for x, _ in DataLoader(X, X, batch_size=7)]),
        np.random.random_sample(3),
        np.array([random.random(), scalar.Neuron(1).w[0].data]),
    ]


def test_everything_random_follows_the_seed():
    utils.set_seed(3)
    first = everything_random()
    second = everything_random()
    utils.set_seed(3)
    again = everything_random()
    utils.set_seed(4)
    other = everything_random()
    for a, b, c, d in zip(first, second, again, other, strict=True):
        np.testing.assert_array_equal(a, c)
        assert not np.array_equal(a, b)
        assert not np.array_equal(a, d)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, np.int64(5)])
def test_seeds_that_are_taken(seed):
    utils.set_seed(seed)
    first = randn(3).data
    utils.set_seed(int(seed))
    np.testing.assert_array_equal(randn(3).data, first)


@pytest.mark.parametrize("labels", [[0, 2, 1], np.uint8([0, 2, 1]), Tensor([0.0, 2.0, 1.0])])
def test_one_hot_rows(labels):
    rows = utils.one_hot(labels, 3)
    np.testing.assert_array_equal(rows, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert rows.dtype == np.float32
    assert type(rows) is np.ndarray


def test_one_hot_of_labels_of_any_shape():
    assert utils.one_hot([], 3).shape == (0, 3)
    np.testing.assert_array_equal(utils.one_hot(1, 3), [0, 1, 0])
    assert utils.one_hot(np.zeros((2, 4), int), 3).shape == (2, 4, 3)


@pytest.mark.parametrize("wrong", [-1, 3, 0.5, np.nan, np.inf])
def test_one_hot_refuses_what_is_no_class(wrong):
    with pytest.raises(ValueError, match=r"^labels must be "):
        utils.one_hot([0, wrong], 3)


def test_normalize_columns():
    X = RNG.normal(5, 3, (50, 4))
    Z, mean, std = utils.normalize(X)
    np.testing.assert_allclose(mean, X.mean(0), rtol=1e-5)
    np.testing.assert_allclose(std, X.std(0), rtol=1e-5)
    np.testing.assert_allclose(Z, (X - X.mean(0)) / X.std(0), rtol=1e-4, atol=1e-5)
    assert Z.dtype == mean.dtype == std.dtype == np.float32


def test_normalize_only_centres_a_constant_column():
    Z, mean, std = utils.normalize(np.float32([[1, 7, 0], [2, 7, 8]]))
    np.testing.assert_array_equal(Z, [[-1, 0, -1], [1, 0, 1]])
    np.testing.assert_array_equal(mean, [1.5, 7, 4])
    np.testing.assert_array_equal(std, [0.5, 1, 4])


@pytest.mark.parametrize("X", [[[1, 2], [3, 6]], np.uint8([[1, 2], [3, 6]]), Tensor([[1.0, 2.0], [3.0, 6.0]])])
def test_normalize_takes_integers_lists_and_tensors(X):
    Z, mean, std = utils.normalize(X)
    np.testing.assert_array_equal(Z, [[-1, -1], [1, 1]])
    np.testing.assert_array_equal([mean, std], [[2, 4], [1, 2]])
    assert Z.dtype == mean.dtype == std.dtype == np.float32


def test_normalize_keeps_float64_where_that_is_the_default():
    with default_dtype(np.float64):
        assert utils.normalize(np.ones((2, 2)))[0].dtype == np.float64


def test_normalize_changes_nothing_of_its_input():
    X = np.float32([[1, 2], [3, 6]])
    X.flags.writeable = False
    assert utils.normalize(X)[0] is not X


@pytest.mark.parametrize(("test_size", "count"), [(0.2, 2), (0.25, 2), (0.5, 5), (0.01, 1), (0.99, 9)])
def test_a_split_keeps_pairs_together_and_every_example_once(test_size, count):
    X, y = np.arange(10).reshape(10, 1), np.arange(10) * 10
    X_train, X_test, y_train, y_test = utils.train_test_split(X, y, test_size, np.random.default_rng(0))
    assert len(X_test) == len(y_test) == count
    assert len(X_train) == len(y_train) == 10 - count
    np.testing.assert_array_equal(X_train[:, 0] * 10, y_train)
    np.testing.assert_array_equal(X_test[:, 0] * 10, y_test)
    assert sorted([*y_train, *y_test]) == list(y)


def test_a_split_is_random_a_fifth_by_default_and_takes_lists_and_tensors():
    assert [len(part) for part in utils.train_test_split([1, 2], [3, 4], 0.5)] == [1, 1, 1, 1]
    parts = utils.train_test_split(list(range(50)), Tensor(np.arange(50.0)))
    assert [len(part) for part in parts] == [40, 10, 40, 10]
    assert not np.array_equal(parts[0], np.arange(40))
    np.testing.assert_array_equal(parts[0], parts[2])


def test_memory_usage_in_megabytes_and_percent():
    psutil = pytest.importorskip("psutil")
    usage = utils.get_memory_usage()
    assert list(usage) == ["rss", "vms", "percent"]
    assert usage["rss"] == pytest.approx(psutil.Process().memory_info().rss / 1e6, rel=0.2)
    assert usage["vms"] == pytest.approx(psutil.Process().memory_info().vms / 1e6, rel=0.2)
    assert usage["percent"] == pytest.approx(psutil.Process().memory_percent(), rel=0.2)


def test_memory_usage_of_a_known_process(monkeypatch):
    psutil = pytest.importorskip("psutil")

    class Process:
        def memory_info(self):
            return types.SimpleNamespace(rss=5_000_000, vms=7_500_000)

        def memory_percent(self):
            return 12.5

    monkeypatch.setattr(psutil, "Process", Process)
    assert utils.get_memory_usage() == {"rss": 5.0, "vms": 7.5, "percent": 12.5}


def test_memory_usage_without_psutil_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(ImportError) as error:
        utils.get_memory_usage()
    assert str(error.value) == 'get_memory_usage needs the extra "memory": pip install "micrograd-plus[memory]".'


def test_every_public_name_can_be_had_and_no_other():
    for name in utils.__all__:
        assert callable(getattr(utils, name))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = utils.nothing
