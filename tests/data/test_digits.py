from importlib import resources

import numpy as np

from micrograd_plus.data import load_digits


def test_shapes_and_ranges():
    digits = load_digits()
    assert digits.train_images.shape == (1442, 8, 8)
    assert digits.test_images.shape == (355, 8, 8)
    assert digits.image_shape == (8, 8)
    assert digits.class_names == tuple("0123456789")
    for images, labels in ((digits.train_images, digits.train_labels), (digits.test_images, digits.test_labels)):
        assert images.dtype == np.float32
        assert labels.dtype == np.int64
        assert images.min() == 0
        assert images.max() == 1
        assert len(images) == len(labels)


def test_the_original_values():
    digits = load_digits()
    np.testing.assert_array_equal(digits.train_labels[:10], np.arange(10))
    np.testing.assert_array_equal(digits.train_images[0, 0] * 16, [0, 0, 5, 13, 9, 1, 0, 0])
    assert float(digits.train_images.sum(dtype=np.float64) + digits.test_images.sum(dtype=np.float64)) * 16 == 561718


def test_each_digit_is_split_alike():
    digits = load_digits()
    for digit in range(10):
        test, train = (digits.test_labels == digit).sum(), (digits.train_labels == digit).sum()
        assert test == (test + train) // 5


def test_no_test_image_is_also_a_training_image():
    digits = load_digits()
    training = {image.tobytes() for image in digits.train_images}
    assert not any(image.tobytes() in training for image in digits.test_images)


def test_the_notice_comes_with_the_data():
    notice = resources.files("micrograd_plus.data").joinpath("uci_digits.txt").read_text(encoding="utf-8")
    assert "Alpaydin" in notice
    assert "Creative Commons Attribution 4.0" in notice
