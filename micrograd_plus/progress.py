"""A progress bar around any iterable."""

from collections.abc import Iterable, Iterator
from typing import Any


class ProgressBar:
    """Iterate over `iterable` and show how far it is, on the terminal; drawn by Rich (the extra `train`).

    Args:
        iterable: what to iterate over.
        total: its length, where it has no `len`.
        description: the text before the bar.
    """

    def __init__(self, iterable: Iterable[Any], total: int | None = None, description: str = "") -> None:
        self.iterable, self.total, self.description = iterable, total, description

    def __iter__(self) -> Iterator[Any]:
        try:
            from rich.progress import track
        except ImportError:
            raise ImportError('a progress bar needs the extra "train": pip install "micrograd-plus[train]".') from None
        return iter(track(self.iterable, description=self.description, total=self.total))
