"""The idx format, in which MNIST and its relatives are published."""

import gzip
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_BYTES = 2**30
GZIP_MAGIC = b"\x1f\x8b"
CHUNK = 2**20


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an array from an idx file, gzipped or not (its first bytes tell).

    The format: two zero bytes, one for the dtype (0x08 uint8, 0x09 int8, 0x0B int16, 0x0C int32, 0x0D float32, 0x0E float64),
    one for the number of axes, each axis's length as a big-endian uint32, and the values, big-endian, last axis fastest.
    No more is ever inflated than the header declares, and at most 1 GiB.

    Returns:
        A writable array in native byte order, of the declared shape and dtype.

    Raises:
        ValueError: the file is damaged or isn't an idx file; the message says how.
        OSError: it can't be opened or read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            gzipped = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if not gzipped:
                return _read(file, path)
            with gzip.open(file) as inflated:
                return _read(cast(BinaryIO, inflated), path)
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{str(path)!r} must be a sound gzip file, but it is damaged ({error}). Fetch it again.") from error
    except EOFError as error:
        raise ValueError(f"{str(path)!r} must be a sound gzip file, but it is cut short. Fetch it again.") from error


def _read(stream: BinaryIO, path: Path) -> NDArray[Any]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or magic[3] == 0:
        expected = "two zero bytes, a dtype code and a number of axes"
        raise ValueError(f"{str(path)!r} must be an idx file, which starts with {expected}; it starts with {magic.hex(' ') or 'nothing'}.")
    dtype = np.dtype(DTYPES[magic[2]])
    header = stream.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise ValueError(f"{str(path)!r} must give the length of each of its {magic[3]} axes, but it ends before. Fetch it again.")
    shape = tuple(int(length) for length in np.frombuffer(header, dtype=">u4"))
    size = dtype.itemsize
    for length in shape:
        size *= length  # Python's integers: the product can't overflow
    if size > MAX_BYTES:
        raise ValueError(f"{str(path)!r} must hold at most {MAX_BYTES:,} bytes; its header declares shape {shape}, {size:,} bytes.")
    values = bytearray()
    while len(values) < size and (chunk := stream.read(min(CHUNK, size - len(values)))):
        values += chunk
    if len(values) < size:
        raise ValueError(f"{str(path)!r} must hold {size:,} bytes for its shape {shape}, but ends after {len(values):,}. Fetch it again.")
    if stream.read(1):
        raise ValueError(f"{str(path)!r} must end after the {size:,} bytes of its shape {shape}, but more follows. Fetch it again.")
    return np.frombuffer(values, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
