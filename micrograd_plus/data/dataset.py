"""What a data set of labelled images holds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled grey images, split for training and for the final test.

    Attributes:
        train_images: (N, H, W) float32 in [0, 1], 1 being full ink.
        train_labels: (N,) int64, indices into `class_names`.
        test_images: (M, H, W) float32 in [0, 1].
        test_labels: (M,) int64.
        class_names: the name of each class.
    """

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, int]:
        """(H, W), the height and width of each image in pixels."""
        _, height, width = self.train_images.shape
        return height, width
