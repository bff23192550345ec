"""Ctrl-C, heard where nothing is half done."""

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType

from .trainer import BatchMetrics, Callback, EpochMetrics


class Interrupts(Callback):
    """While this context is entered, Ctrl-C raises KeyboardInterrupt at the next `check`, and at its end at the latest.

    Python's own handler raises between any two instructions, and some are bad ones. In `__del__` or a weak reference's callback the
    exception is printed and lost. Between making a folder and noting that it was made, the folder is left behind. In a text that
    `exec` runs, such as the methods of a dataclass, CPython marks the exception as unhandled, and a process of `python -m` dies of
    SIGINT in the end although it was caught.

    So the first Ctrl-C is only noted. If a second one comes before the next check, something may be stuck, and it raises where that is.
    Further ones are ignored, so that nothing disturbs the tidying up. Whatever ends a block in which Ctrl-C came, what leaves it is
    KeyboardInterrupt, with the notes of the exception that it replaces: in a pipe the reader dies of the same Ctrl-C.

    As a callback it checks before training and after each batch, epoch and file. Outside the main thread, or where SIGINT is ignored or
    handled by something else, it leaves Ctrl-C alone.

    Args:
        last: the process has nothing to do after the block but to end; Ctrl-C is ignored from there on.
    """

    def __init__(self, last: bool = False) -> None:
        self._after = signal.SIG_IGN if last else signal.default_int_handler
        self._installed = self._noted = self._raised = False

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._installed = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._raised = True
        if self._installed:
            signal.signal(signal.SIGINT, self._after)
        if self._noted and not isinstance(error, KeyboardInterrupt):
            interrupt = KeyboardInterrupt()
            for note in getattr(error, "__notes__", ()):
                interrupt.add_note(note)
            raise interrupt from error

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C came."""
        if self._noted:
            self._raised = True
            raise KeyboardInterrupt

    def training_started(self, epochs: int, batches: int) -> None:
        self.check()

    def batch_finished(self, metrics: BatchMetrics) -> None:
        self.check()

    def epoch_finished(self, metrics: EpochMetrics) -> None:
        self.check()

    def file_written(self, path: Path) -> None:
        self.check()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted and not self._raised:
            self._raised = True
            raise KeyboardInterrupt
        self._noted = True
