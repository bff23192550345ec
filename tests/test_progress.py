"""The progress bar."""

import sys

import pytest

from micrograd_plus.progress import ProgressBar


@pytest.mark.parametrize("items", [[1, 2, 3], range(3), iter([4, 5]), []])
def test_it_yields_every_item_once(items, capsys):
    pytest.importorskip("rich")
    expected = list(items) if not hasattr(items, "__next__") else [4, 5]
    assert list(ProgressBar(items, description="reading")) == expected
    assert "reading" in capsys.readouterr().out


def test_a_total_may_be_given_where_there_is_no_length(capsys):
    pytest.importorskip("rich")
    bar = ProgressBar(iter("ab"), total=2)
    assert list(bar) == ["a", "b"]
    assert "100%" in capsys.readouterr().out


def test_without_rich_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError) as error:
        iter(ProgressBar([1]))
    assert str(error.value) == 'a progress bar needs the extra "train": pip install "micrograd-plus[train]".'
