"""Data sets and the loader that cuts them into batches."""

from .dataset import ImageDataset
from .digits import load_digits
from .idx import read_idx
from .loader import DataLoader
from .mnist import load_mnist

__all__ = ["DataLoader", "ImageDataset", "load_digits", "load_mnist", "read_idx"]
