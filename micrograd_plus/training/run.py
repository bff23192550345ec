"""A training run from its configuration to its folder, and back."""

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..data import DataLoader, ImageDataset
from ..losses import CrossEntropyLoss
from ..nn import Sequential, load_model, save_model
from ..utils import set_seed, train_test_split
from .configuration import Configuration
from .evaluation import Evaluation, evaluate_classifier
from .extras import require_extra
from .folder import RunFolder
from .recording import Recording
from .report import describe, write_report
from .statistics import Statistics
from .trainer import Callback, EpochMetrics, Gain, Trainer


@dataclass(frozen=True, eq=False)
class Run:
    """A configuration with the data and the model that it stands for.

    Attributes:
        configuration: what defines the run.
        dataset: its data; within a run nothing is trained on the test images or chosen by them.
        model: maps images (N, H, W) to logits (N, C).
    """

    configuration: Configuration
    dataset: ImageDataset
    model: Sequential


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What training came to.

    Attributes:
        folder: where the files of the run are.
        history: the metrics of each epoch.
        test: the trained model on the test images.
        seconds: the time that training took, without data, figures and test.
        gain: what compiling the training step gained; None if it was not compiled, or there were too few steps to tell.
    """

    folder: Path
    history: list[EpochMetrics]
    test: Evaluation
    seconds: float
    gain: Gain | None = None


def prepare(configuration: Configuration) -> Run:
    """Load the data and build the untrained model. Seeds the library's generator."""
    dataset = configuration.load_data()
    set_seed(configuration.seed)
    return Run(configuration, dataset, configuration.build_model(dataset))


def train(run: Run, out: Path | None = None, callbacks: Sequence[Callback] = (), recording: Recording | None = None) -> TrainingResult:
    """Train the model of a prepared run, test it once at the end, and write the run folder. Seeds the library's generator.

    If training fails or is interrupted before its first epoch is over, nothing is left of the folder. After that the files
    written so far stay, each of them whole, and the exception carries a note that says where.

    Args:
        run: what `prepare` made.
        out: the run folder, new or empty; None makes `runs/DATA-DATE-TIME`.
        callbacks: told of each batch, epoch and file.
        recording: where the course of the run is written while it trains, for a `LiveServer` or other readers; `report.html` shows it.

    Raises:
        FileExistsError: there is something in `out`.
        FloatingPointError: the loss became infinite or NaN.
        ModuleNotFoundError: a library of the extra `train` is missing.
        OSError: a file can't be written.
    """
    require_extra("train", "matplotlib", "safetensors", "threadpoolctl")  # now, and not when the training is done
    configuration, dataset = run.configuration, run.dataset
    folder = RunFolder(out, configuration.data)
    recording = recording or Recording()

    @contextlib.contextmanager
    def writing(path: Path) -> Iterator[Path]:
        with folder.writing(path) as temporary:
            yield temporary
        for callback in callbacks:
            callback.file_written(path)

    try:
        with writing(folder.config) as path:
            path.write_text(configuration.to_json(), encoding="utf-8")
        started = time.perf_counter()
        history, gain = _fit(run, [folder, *callbacks], recording)
        seconds = time.perf_counter() - started
        with writing(folder.model) as path:
            save_model(run.model, path)
        test = evaluate_test(run)
        with writing(folder.results) as path:
            results: dict[str, Any] = {"test_loss": test.loss, "test_accuracy": test.accuracy, "seconds": seconds}
            if gain is not None:
                results["seconds_per_step"] = {"eager": gain.eager, "compiled": gain.compiled}
            path.write_text(json.dumps(results) + "\n", encoding="utf-8")
        from . import figures

        with writing(folder.curves) as path:
            figures.draw_curves(history).savefig(path)
        with writing(folder.confusion) as path:
            figures.draw_confusion(test, dataset.test_images, dataset.class_names).savefig(path)
        recording.end("finished", f"Run folder: {folder.path}", test.loss, test.accuracy)
        with writing(folder.report) as path:
            path.write_text(write_report(recording), encoding="utf-8")
    except BaseException as error:
        if folder.epochs == 0:
            folder.discard()
        else:
            written = ", ".join(path.name for path in folder.files if path.exists())
            error.add_note(f"{folder.path} keeps what {folder.epochs} of {configuration.epochs} epochs wrote: {written}.")
        raise
    return TrainingResult(folder.path, history, test, seconds, gain)


def load(folder: Path, data_dir: Path | None = None) -> Run:
    """Load the configuration, data and trained model of a run folder.

    Args:
        folder: what `train` wrote.
        data_dir: where the data is now, if not where it was.

    Raises:
        FileNotFoundError: it isn't a run folder, or not that of a finished run, or the data has gone.
        ValueError: a file in it is damaged.
    """
    config, model = folder / "config.json", folder / "model.safetensors"
    if not config.is_file():
        raise FileNotFoundError(f"a run folder must hold config.json; {str(folder)!r} doesn't. Name one that a training run wrote.")
    if not model.is_file():
        raise FileNotFoundError(f"a run folder must hold model.safetensors; {str(folder)!r} doesn't: its training did not finish.")
    configuration = Configuration.read(config)
    if data_dir is not None:
        configuration = replace(configuration, data_dir=str(data_dir))
    try:
        run = prepare(configuration)
    except FileNotFoundError as error:
        error.add_note("If the data has moved, give its folder as data_dir (--data-dir).")
        raise
    try:
        load_model(run.model, model)
    except ValueError as error:
        error.add_note(f"That is the model of the run folder {folder}.")
        raise
    return run


def evaluate_test(run: Run) -> Evaluation:
    """Let the model classify the test images; leaves it in eval mode."""
    return evaluate_classifier(run.model, run.dataset.test_images, run.dataset.test_labels)


def _fit(run: Run, callbacks: Sequence[Callback], recording: Recording) -> tuple[list[EpochMetrics], Gain | None]:
    from threadpoolctl import threadpool_limits

    configuration, dataset = run.configuration, run.dataset
    set_seed(configuration.seed)
    train_images, validation_images, train_labels, validation_labels = train_test_split(
        dataset.train_images, dataset.train_labels, test_size=configuration.validation
    )
    training = DataLoader(train_images, train_labels, batch_size=configuration.batch_size)
    validation = DataLoader(validation_images, validation_labels, batch_size=1024, shuffle=False)
    optimizer = configuration.build_optimizer(run.model.parameters())
    schedule = configuration.build_schedule(optimizer, len(training))
    loss_fn = CrossEntropyLoss()
    statistics = Statistics(recording, run.model, loss_fn, optimizer, training, validation)
    recording.begin(describe(configuration, dataset, run.model, statistics))
    threads = configuration.threads if configuration.compile else None
    trainer = Trainer(run.model, loss_fn, optimizer, schedule, [*callbacks, statistics], threads)
    with threadpool_limits(configuration.threads, user_api="blas"):
        history = trainer.fit(training, validation, configuration.epochs)
        statistics.training_finished(configuration.epochs)
    return history, trainer.gain
