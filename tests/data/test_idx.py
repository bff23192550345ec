import gzip
import re
import struct
import tracemalloc

import numpy as np
import pytest

from micrograd_plus.data import read_idx


def refused(path, *words):
    """read_idx must raise one ValueError that names the file and says these words, in this order."""
    with pytest.raises(ValueError, match=".*".join([re.escape(repr(str(path))), *map(re.escape, words)])):
        read_idx(path)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4), (0, 3)])
@pytest.mark.parametrize("gzipped", [False, True])
def test_reads_what_was_written(tmp_path, idx_bytes, dtype, shape, gzipped):
    array = np.random.default_rng(0).normal(size=shape, scale=100).astype(dtype)
    path = tmp_path / "array"  # the first bytes tell whether it is gzipped, and not the name
    path.write_bytes(gzip.compress(idx_bytes(array)) if gzipped else idx_bytes(array))
    read = read_idx(path)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert read.flags.writeable


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["must be an idx file", "starts with nothing"]),
        (b"\0\0", ["must be an idx file", "starts with 00 00."]),
        (b"\x89PNG\r\n", ["must be an idx file", "two zero bytes, a dtype code and a number of axes", "starts with 89 50 4e 47"]),
        (b"\0\0\x0a\x01\0\0\0\1\0", ["must be an idx file", "00 00 0a 01"]),
        (b"\0\0\x08\0", ["must be an idx file", "00 00 08 00"]),
        (b"\0\0\x08\x02\0\0\0\5\0\0", ["length of each of its 2 axes", "ends before"]),
        (b"\0\0\x08\x01\0\0\0\5abcd", ["must hold 5 bytes for its shape (5,)", "ends after 4"]),
        (b"\0\0\x0c\x01\0\0\0\2abcdefg", ["must hold 8 bytes for its shape (2,)", "ends after 7"]),
        (b"\0\0\x08\x01\0\0\0\5abcdef", ["must end after the 5 bytes of its shape (5,)", "more follows"]),
        (b"\0\0\x08\x03" + b"\xff" * 12 + b"abc", ["must hold at most 1,073,741,824 bytes", "(4294967295, 4294967295, 4294967295)"]),
    ],
)
def test_damage_is_named(tmp_path, content, words, gzipped):
    path = tmp_path / "damaged"
    path.write_bytes(gzip.compress(content) if gzipped else content)
    refused(path, *words)


@pytest.mark.parametrize("cut", [3, 12, 40, -1, -8])
def test_gzip_cut_short(tmp_path, idx_bytes, cut):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.random.default_rng(0).integers(0, 256, (50, 8), np.uint8)))[:cut])
    refused(path, "must be a sound gzip file", "cut short")


def test_a_flipped_bit_never_gives_other_values(tmp_path, idx_bytes):
    array = np.random.default_rng(0).integers(0, 256, (40,), np.uint8)
    sound = gzip.compress(idx_bytes(array), mtime=0)
    path = tmp_path / "damaged.gz"
    refusals = 0
    for position in range(8 * len(sound)):
        damaged = bytearray(sound)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_idx(path), array)  # a bit of gzip's time or padding
        except ValueError:
            refusals += 1
    assert refusals > 0.8 * 8 * len(sound)


def test_text_after_the_gzip_member(tmp_path, idx_bytes):
    path = tmp_path / "long.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(3, dtype="u1"))) + b"more")
    refused(path, "must be a sound gzip file", "Not a gzipped file")


def test_a_decompression_bomb_is_not_inflated(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 1000) + bytes(100_000_000)))
    tracemalloc.start()
    refused(path, "must end after the 1,000 bytes")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_declared_size_is_not_allocated_before_it_is_read(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 2**30) + b"abc")
    tracemalloc.start()
    refused(path, "must hold 1,073,741,824 bytes", "ends after 3")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        read_idx(tmp_path / "missing")
