"""The UCI handwritten digits, which come with the package."""

from importlib import resources

import numpy as np

from .dataset import ImageDataset

TEST_EVERY = 5


def load_digits() -> ImageDataset:
    """The UCI handwritten digits: 1,442 training and 355 test images of 8 by 8 pixels, labels 0 to 9.

    The split is always the same: of each digit, every fifth image of the original order is a test image.
    The writers of the test images also wrote training images.

    References:
        E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998
        (CC BY 4.0; the notice is beside the data, in `uci_digits.txt`).

    >>> digits = load_digits()
    >>> digits.train_images.shape, digits.test_images.shape
    ((1442, 8, 8), (355, 8, 8))
    """
    file = resources.files("micrograd_plus.data").joinpath("uci_digits.npz")
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        images = arrays["images"].astype(np.float32) / 16
        labels = arrays["labels"].astype(np.int64)
    test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        # Within each digit: the file repeats 0 to 9 in runs, so every fifth image overall would be mostly fours and nines.
        test[np.flatnonzero(labels == digit)[TEST_EVERY - 1 :: TEST_EVERY]] = True
    return ImageDataset(images[~test], labels[~test], images[test], labels[test], tuple("0123456789"))
