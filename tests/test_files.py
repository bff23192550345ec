"""Files appear whole or not at all."""

import os
import stat
import sys

import pytest

from micrograd_plus.files import replacing


def test_the_file_appears_when_the_body_ends(tmp_path):
    path = tmp_path / "data.json"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".json"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_old_file_is_replaced(tmp_path):
    path = tmp_path / "data.json"
    path.write_text("old")
    with replacing(str(path)) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("exception", [ValueError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, "old"])
def test_an_exception_leaves_what_was_there(tmp_path, exception, old):
    path = tmp_path / "data.json"
    if old:
        path.write_text(old)
    with pytest.raises(exception), replacing(path) as temporary:
        temporary.write_text("half")
        raise exception
    assert [p.read_text() for p in tmp_path.iterdir()] == ([old] if old else [])


def test_a_body_that_removes_the_temporary_file_fails_and_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "data.json") as temporary:
        temporary.unlink()
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "none" / "data.json"
    with pytest.raises(FileNotFoundError) as error, replacing(path):
        pass
    assert str(error.value) == f"the folder of a file to write must exist, got {str(path)!r}. Create {str(path.parent)!r} first."


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_others_may_read_the_file_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        with replacing(tmp_path / "data.json") as temporary:
            temporary.write_text("new")
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "data.json").stat().st_mode) == 0o644
