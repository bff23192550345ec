import gzip
import struct

import numpy as np
import pytest

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


@pytest.fixture
def idx_bytes():
    """Encode an array in the idx format."""

    def encode(array):
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.str[1:]], array.ndim, *array.shape)
        return header + array.astype(array.dtype.newbyteorder(">")).tobytes()

    return encode


@pytest.fixture
def write_mnist(tmp_path, idx_bytes):
    """Write made-up MNIST files: write_mnist(train=(images, labels), t10k=(images, labels))."""

    def write(**splits):
        for split, (images, labels) in splits.items():
            (tmp_path / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
            (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
        return tmp_path

    return write


@pytest.fixture
def images():
    """Random images and labels like MNIST's: images(n) -> (n, 28, 28) uint8, (n,) uint8."""
    generator = np.random.default_rng(0)

    def draw(count):
        return generator.integers(0, 256, (count, 28, 28), np.uint8), generator.integers(0, 10, count, np.uint8)

    return draw
