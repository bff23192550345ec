"""What the command line shows. Imports Rich, so import this late."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.columns import Columns
from rich.console import Console, Group
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from ..nn import count_parameters
from .evaluation import Evaluation
from .run import Run, TrainingResult
from .trainer import BatchMetrics, Callback, EpochMetrics

REFRESH_SECONDS = 0.05
MIN_PICTURE_WIDTH = 16


class TrainingDisplay(Callback):
    """One line per finished epoch and, on a terminal, a bar for the running one. Leaving the context takes the bar away."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[left]} left  loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.1%}"),
            console=console,
            transient=True,
            expand=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._status: Status | None = None
        self._epochs = self._batches = 0
        self._started = self._shown = 0.0

    def __enter__(self) -> "TrainingDisplay":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._progress.stop()
        if self._status is not None:
            self._status.stop()

    def training_started(self, epochs: int, batches: int) -> None:
        """Show the empty bar."""
        self._epochs, self._batches = epochs, batches
        self._started = time.perf_counter()

    def batch_finished(self, metrics: BatchMetrics) -> None:
        """Move the bar, at most 20 times a second."""
        now = time.perf_counter()
        if now - self._shown < REFRESH_SECONDS:
            return
        self._shown = now
        self._show(metrics.epoch, metrics.batch, metrics.loss, metrics.accuracy)

    def epoch_finished(self, metrics: EpochMetrics) -> None:
        """Print the epoch's line, and after the last epoch, on a terminal, what the wait is for."""
        self._show(metrics.epoch, self._batches, metrics.loss, metrics.accuracy)
        self.console.print(
            f"epoch {self._count(metrics.epoch)}  loss {metrics.loss:.4f}  accuracy {metrics.accuracy:.1%}  "
            f"validation loss {metrics.validation_loss:.4f}  accuracy {metrics.validation_accuracy:.1%}",
            soft_wrap=not self.console.is_terminal,
            highlight=False,
        )
        if metrics.epoch == self._epochs:
            self._progress.stop()
            if self.console.is_terminal:
                self._status = self.console.status("testing, and drawing the figures")
                self._status.start()

    def compiling_failed(self, reason: str) -> None:
        """Say that training goes on without native code, and why."""
        text = f"warning: the training step could not be compiled, so training goes on eagerly: {reason.rstrip('.')}."
        self.console.print(text, style="yellow", soft_wrap=not self.console.is_terminal, highlight=False, markup=False)

    def _show(self, epoch: int, batch: int, loss: float, accuracy: float) -> None:
        done = (epoch - 1) * self._batches + batch
        left = (time.perf_counter() - self._started) / done * (self._epochs * self._batches - done)
        fields: dict[str, Any] = {"epoch": self._count(epoch), "loss": loss, "accuracy": accuracy, "left": _duration(left)}
        if self._task is None:
            self._task = self._progress.add_task("", total=self._batches, completed=batch, **fields)
            self._progress.start()
        else:
            self._progress.update(self._task, completed=batch, **fields)

    def _count(self, epoch: int) -> str:
        return f"{epoch:{len(str(self._epochs))}}/{self._epochs}"


def show_address(console: Console, address: str) -> None:
    """Say where the page that follows the run is."""
    console.print(f"Watch it at {address} on this machine, while it trains.", soft_wrap=True, highlight=False)


def show_start(console: Console, run: Run) -> None:
    """Say what is about to be trained, on what."""
    configuration, dataset = run.configuration, run.dataset
    height, width = dataset.image_shape
    sizes = "-".join(str(size) for size in (height * width, *configuration.hidden, len(dataset.class_names)))
    console.print(
        f"[bold]{configuration.data}[/]: {len(dataset.train_images):,} images to train on, {len(dataset.test_images):,} to test on; "
        f"network {sizes}, {count_parameters(run.model):,} parameters; "
        f"{configuration.optimizer}, lr {configuration.lr:g}, seed {configuration.seed}",
        soft_wrap=not console.is_terminal,
        highlight=False,
    )


def show_result(console: Console, result: TrainingResult) -> None:
    """The closing table, where the files are, and what to do with them."""
    last, test = result.history[-1], result.test
    table = Table(box=box.SIMPLE_HEAD, title="Result", pad_edge=False)
    for heading in ("images", "loss", "accuracy"):
        table.add_column(heading, justify="left" if heading == "images" else "right", overflow="fold")
    table.add_row("training", f"{last.loss:.4f}", f"{last.accuracy:.2%}")
    table.add_row("validation", f"{last.validation_loss:.4f}", f"{last.validation_accuracy:.2%}")
    table.add_row("[bold]test[/]", f"{test.loss:.4f}", f"[bold]{test.accuracy:.2%}[/]")
    console.print(table)
    console.print(f"{test.correct:,} of {len(test.labels):,} test images right; trained in {result.seconds:.1f} s.", highlight=False)
    if result.gain is not None:
        eager, compiled, building = result.gain.eager, result.gain.compiled, result.gain.building
        console.print(
            f"Compiled: {1000 * compiled:.2f} ms a step, {1000 * eager:.2f} ms before, {eager / compiled:.1f} times as fast; "
            f"building and checking it took {building:.1f} s.",
            soft_wrap=not console.is_terminal,
            highlight=False,
        )
    console.print(f"Run folder: {result.folder}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"Report: {result.folder / 'report.html'}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"Look at its predictions: micrograd-plus predict {result.folder}", soft_wrap=True, highlight=False, markup=False)


def show_predictions(console: Console, run: Run, test: Evaluation, indices: Iterable[int]) -> None:
    """Draw test images with their labels and the model's predictions."""
    names, predictions, confidences = run.dataset.class_names, test.predictions, test.confidences
    pictures = []
    for index in indices:
        true, predicted = names[test.labels[index]], names[predictions[index]]
        verdict = "green" if true == predicted else "bold red"
        caption = Text.assemble(f"#{index} true {true}\n", (f"predicted {predicted}, {confidences[index]:.1%}", verdict), "\n")
        pictures.append(Group(draw_image(run.dataset.test_images[index], colour=console.color_system is not None), caption))
    console.print(Columns(pictures, padding=(0, 2)))
    console.print(f"test accuracy {test.accuracy:.2%}: {test.correct:,} of {len(test.labels):,} right", highlight=False)


def draw_image(image: NDArray[np.float32], colour: bool) -> Text:
    """Draw an image (H, W) in [0, 1] with half-block characters, two rows of pixels per line, small ones enlarged.

    Without colour a pixel is drawn where it is above one half.
    """
    scale = -(-MIN_PICTURE_WIDTH // image.shape[1])
    pixels = image.repeat(scale, axis=0).repeat(scale, axis=1)
    if len(pixels) % 2:
        pixels = np.vstack([pixels, np.zeros_like(pixels[:1])])
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        pairs = list(zip(upper, lower, strict=True))
        if colour:
            lines.append(Text.assemble(*(("▀", f"{_grey(top)} on {_grey(bottom)}") for top, bottom in pairs)))
        else:
            lines.append(Text("".join(" ▄▀█"[2 * (top > 0.5) + (bottom > 0.5)] for top, bottom in pairs)))
    return Text("\n", no_wrap=True).join(lines)


def _grey(value: float) -> str:
    return "#" + 3 * f"{round(255 * float(value)):02x}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
