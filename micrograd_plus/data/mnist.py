"""MNIST from its original files."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dataset import ImageDataset
from .idx import read_idx

IMAGE_SHAPE = (28, 28)
REDUCED_SIZE, REDUCED_TRAIN_SIZE = 10_000, 9_000


def load_mnist(folder: str | os.PathLike[str]) -> ImageDataset:
    """MNIST's handwritten digits, 28 by 28 pixels, labels 0 to 9, read from its original idx files in `folder`.

    With `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte` there,
    gzipped (`.gz`) or not: the 60,000 training and 10,000 test images. With the two `t10k` files alone: MNIST-10k, which
    trains on the first 9,000 of them and tests on the last 1,000.

    Raises:
        FileNotFoundError: the folder or a file of it is missing.
        ValueError: a file is damaged, or the files don't fit together; the message says how.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"MNIST's files must be in a folder, got {str(folder)!r}, which doesn't exist or isn't one.")
    test_images, test_labels = _read_pair(folder, "t10k")
    if _find(folder, "train-images-idx3-ubyte") or _find(folder, "train-labels-idx1-ubyte"):
        train_images, train_labels = _read_pair(folder, "train")
    else:
        if len(test_images) != REDUCED_SIZE:
            raise ValueError(
                f"without MNIST's train files its t10k files must hold {REDUCED_SIZE:,} images, to be split into training and test; "
                f"those in {str(folder)!r} hold {len(test_images):,}."
            )
        train_images, train_labels = test_images[:REDUCED_TRAIN_SIZE], test_labels[:REDUCED_TRAIN_SIZE]
        test_images, test_labels = test_images[REDUCED_TRAIN_SIZE:], test_labels[REDUCED_TRAIN_SIZE:]
    return ImageDataset(train_images, train_labels, test_images, test_labels, tuple("0123456789"))


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _read_pair(folder: Path, split: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    images_path, images = _read_named(folder, f"{split}-images-idx3-ubyte")
    labels_path, labels = _read_named(folder, f"{split}-labels-idx1-ubyte")
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != IMAGE_SHAPE or len(images) == 0:
        raise ValueError(f"{str(images_path)!r} must hold images of shape (N, 28, 28) uint8, got {images.shape} {images.dtype}.")
    if labels.dtype != np.uint8 or labels.ndim != 1:
        raise ValueError(f"{str(labels_path)!r} must hold labels of shape (N,) uint8, got {labels.shape} {labels.dtype}.")
    if len(images) != len(labels):
        raise ValueError(f"one label per image is needed; {str(folder)!r} has {len(images):,} {split} images and {len(labels):,} labels.")
    if labels.max() > 9:
        raise ValueError(f"{str(labels_path)!r} must hold labels from 0 to 9, got {labels.max()} at index {labels.argmax()}.")
    return images.astype(np.float32) / np.float32(255), labels.astype(np.int64)


def _read_named(folder: Path, name: str) -> tuple[Path, NDArray[Any]]:
    path = _find(folder, name)
    if path is None:
        raise FileNotFoundError(f"the folder {str(folder)!r} must hold MNIST's {name} or {name}.gz, but neither is there.")
    return path, read_idx(path)
