import re
import shutil

import numpy as np
import pytest

from micrograd_plus.data import load_mnist


def test_all_four_files(write_mnist, images):
    train, t10k = images(30), images(20)
    mnist = load_mnist(str(write_mnist(train=train, t10k=t10k)))
    np.testing.assert_array_equal(np.rint(mnist.train_images * 255), train[0])
    np.testing.assert_array_equal(mnist.train_labels, train[1])
    np.testing.assert_array_equal(np.rint(mnist.test_images * 255), t10k[0])
    np.testing.assert_array_equal(mnist.test_labels, t10k[1])
    assert mnist.train_images.dtype == np.float32
    assert mnist.train_labels.dtype == np.int64
    assert mnist.image_shape == (28, 28)
    assert mnist.class_names == tuple("0123456789")


def test_t10k_alone_is_split(write_mnist, images):
    t10k = images(10_000)
    mnist = load_mnist(write_mnist(t10k=t10k))
    assert mnist.train_images.shape == (9000, 28, 28)
    assert mnist.test_images.shape == (1000, 28, 28)
    np.testing.assert_array_equal(mnist.train_labels, t10k[1][:9000])
    np.testing.assert_array_equal(mnist.test_labels, t10k[1][9000:])
    np.testing.assert_array_equal(np.rint(mnist.test_images[0] * 255), t10k[0][9000])


def test_the_original_files(shared_data):
    mnist = load_mnist(shared_data)
    assert mnist.train_images.shape == (9000, 28, 28)
    assert mnist.test_images.shape == (1000, 28, 28)
    np.testing.assert_array_equal(mnist.train_labels[:10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"must be in a folder, got {str(tmp_path / 'none')!r}, which doesn't exist")):
        load_mnist(tmp_path / "none")


@pytest.mark.parametrize(
    "name", ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"]
)
def test_missing_file(write_mnist, images, name):
    folder = write_mnist(train=images(30), t10k=images(20))
    (folder / name).unlink()
    stem = name.removesuffix(".gz")
    with pytest.raises(FileNotFoundError, match=re.escape(f"must hold MNIST's {stem} or {stem}.gz, but neither is there")):
        load_mnist(folder)


def test_counts_that_disagree(write_mnist, images):
    (pictures, _), (_, labels) = images(30), images(29)
    with pytest.raises(ValueError, match=r"one label per image is needed; .* has 30 train images and 29 labels"):
        load_mnist(write_mnist(train=(pictures, labels), t10k=images(20)))


def test_labels_out_of_range(write_mnist, images):
    pictures, labels = images(20)
    labels[7] = 10
    with pytest.raises(ValueError, match=r"labels-idx1-ubyte' must hold labels from 0 to 9, got 10 at index 7"):
        load_mnist(write_mnist(t10k=(pictures, labels)))


@pytest.mark.parametrize("shape", [(20, 28, 27), (20, 784), (0, 28, 28)])
def test_images_of_another_shape(write_mnist, shape):
    pictures, labels = np.zeros(shape, np.uint8), np.zeros(shape[0], np.uint8)
    with pytest.raises(ValueError, match=re.escape(f"must hold images of shape (N, 28, 28) uint8, got {shape} uint8")):
        load_mnist(write_mnist(t10k=(pictures, labels)))


def test_labels_of_another_dtype(write_mnist, images):
    pictures, labels = images(20)
    with pytest.raises(ValueError, match=re.escape("must hold labels of shape (N,) uint8, got (20,) int32")):
        load_mnist(write_mnist(t10k=(pictures, labels.astype(np.int32))))


def test_t10k_alone_must_be_whole(write_mnist, images):
    with pytest.raises(ValueError, match=r"t10k files must hold 10,000 images, .* hold 9,999"):
        load_mnist(write_mnist(t10k=images(9_999)))


def test_images_and_labels_exchanged(write_mnist, images):
    folder = write_mnist(t10k=images(20))
    shutil.copy(folder / "t10k-labels-idx1-ubyte", folder / "t10k-images-idx3-ubyte")  # found before the .gz
    with pytest.raises(ValueError, match=re.escape("images-idx3-ubyte' must hold images of shape (N, 28, 28) uint8, got (20,) uint8")):
        load_mnist(folder)
