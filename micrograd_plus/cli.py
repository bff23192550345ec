"""The command line: `micrograd-plus train`, `micrograd-plus predict` and `micrograd-plus doctor`.

Exit codes: 0 done; 1 something failed; 2 an option or an input file is wrong; 130 interrupted by Ctrl-C.
"""

import argparse
import contextlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from . import __version__
from .training import Configuration, evaluate_test, load, prepare, train
from .training.configuration import ACTIVATIONS, DATA, DEFAULT_LR, DEFAULTS, OPTIMIZERS, SCHEDULES
from .training.extras import require_extra
from .training.interrupts import Interrupts
from .training.recording import Recording

PROGRAM = "micrograd-plus"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: what follows the program's name; None takes them from `sys.argv`, and ignores Ctrl-C once the command is done,
            while the process ends.

    Raises:
        SystemExit: a wrong option (code 2), `--help` or `--version` (code 0).
    """
    try:
        with Interrupts(last=arguments is None) as interrupts:
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, io.TextIOWrapper):
                    stream.reconfigure(errors="replace")  # a terminal without Unicode shows question marks and no error
            options = _parser().parse_args(arguments)
            code = options.command(options, interrupts) or 0
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        return _fail(130, "interrupted.", error)
    except (ValueError, FileNotFoundError, FileExistsError, NotADirectoryError) as error:
        return _fail(2, str(error), error)
    except OSError as error:
        file = "" if error.filename is None else f" {str(error.filename)!r}"
        return _fail(1, f"could not read or write{file or ' its output'}: {error.strerror or error}.", error)
    except (RuntimeError, ArithmeticError, ImportError, MemoryError) as error:
        return _fail(1, str(error), error)
    return code


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        # No "(default: None)" or "(default: False)", which tell nothing.
        return action.help if action.default in (None, False) else super()._get_help_string(action)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}. See {self.prog} --help.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="Train a neural network on handwritten digits, and look at what it predicts.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands.add_parser("train", help="train a network and write a run folder", formatter_class=_Help))
    _add_predict(commands.add_parser("predict", help="show what a trained network says of test images", formatter_class=_Help))
    _add_doctor(commands.add_parser("doctor", help="say what is wrong with a training script", formatter_class=_Help))
    return parser


def _add_train(parser: argparse.ArgumentParser) -> None:
    default, suppressed = Configuration(), argparse.SUPPRESS
    parser.set_defaults(command=_train)
    parser.description = "Train a multilayer perceptron on images of handwritten digits and write a run folder."

    data = parser.add_argument_group("data")
    data.add_argument("--data", choices=DATA, default=default.data, help="the UCI digits, which come with the package, or MNIST")
    data.add_argument("--data-dir", metavar="DIR", help="where MNIST's original idx files are, gzipped or not")
    data.add_argument(
        "--validation", metavar="SHARE", type=float, default=default.validation, help="held out of the training images, to watch by"
    )

    model = parser.add_argument_group("model")
    model.add_argument(
        "--hidden", metavar="SIZES", type=_sizes, default=suppressed, help=f"units of each hidden layer {_by_data('hidden')}"
    )
    model.add_argument("--activation", choices=ACTIVATIONS, default=default.activation, help="after each hidden layer")
    model.add_argument("--dropout", metavar="P", type=float, default=suppressed, help=f"after each activation {_by_data('dropout')}")

    training = parser.add_argument_group("training")
    training.add_argument("--optimizer", choices=OPTIMIZERS, default=default.optimizer, help="sgd has momentum 0.9")
    rates = ", ".join(f"{lr:g} for {name}" for name, lr in DEFAULT_LR.items())
    training.add_argument("--lr", metavar="LR", type=float, default=suppressed, help=f"learning rate (default: {rates})")
    training.add_argument("--weight-decay", metavar="W", type=float, default=default.weight_decay, help="L2 penalty; decoupled for adamw")
    training.add_argument("--schedule", choices=SCHEDULES, default=default.schedule, help="of the learning rate")
    training.add_argument("--warmup", metavar="EPOCHS", type=int, default=default.warmup, help="of linearly rising learning rate at first")
    training.add_argument("--batch-size", metavar="N", type=int, default=suppressed, help=f"images per step {_by_data('batch_size')}")
    training.add_argument("--epochs", metavar="N", type=int, default=suppressed, help=f"passes over the images {_by_data('epochs')}")
    training.add_argument(
        "--threads", metavar="N", type=int, default=default.threads, help="of BLAS and compiled steps; more than one pays for wide layers"
    )
    training.add_argument("--compile", action="store_true", help="make native code of the training step; says what it gained")
    training.add_argument("--seed", metavar="N", type=int, default=default.seed, help="the same seed gives the same weights")
    training.add_argument("--live", action="store_true", help="serve a page on this machine that follows the run while it trains")
    training.add_argument("--port", metavar="N", type=_port, help="of the page of --live (default: a free one)")
    training.add_argument("--out", metavar="RUN", type=Path, help="the run folder, new or empty (default: runs/DATA-DATE-TIME)")


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_predict)
    parser.description = "Draw test images in the terminal, with the true digit and what a trained network says."
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder that `train` wrote")
    parser.add_argument("--count", metavar="N", type=_count, default=12, help="how many images")
    parser.add_argument("--mistakes", action="store_true", help="only what it gets wrong, the surest mistakes first")
    parser.add_argument("--data-dir", metavar="DIR", type=Path, help="where MNIST's files are now, if not where they were")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_doctor)
    parser.usage = "%(prog)s [-h] [--json] FILE.py [ARGS ...]"
    parser.description = (
        "Run a training script, follow its steps for some seconds, and report mistakes in its loop, loss, data and network. "
        "Exit code 0: nothing but notes; 1: warnings or errors; 2: no script, or no training step was seen."
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("file", metavar="FILE.py", help="the script; what it prints is not shown")
    parser.add_argument("arguments", metavar="ARGS", nargs=argparse.REMAINDER, help="what the script finds in sys.argv, if anything")


def _train(options: argparse.Namespace, interrupts: Interrupts) -> None:
    values = dict(DEFAULTS[options.data])
    values |= {field.name: getattr(options, field.name) for field in fields(Configuration) if hasattr(options, field.name)}
    values.setdefault("lr", DEFAULT_LR[options.optimizer])
    if options.data_dir is not None:
        values["data_dir"] = str(Path(options.data_dir).absolute())  # `predict` may be run from elsewhere
    configuration = Configuration(**values)
    if options.port is not None and not options.live:
        raise ValueError("--port is that of the page of --live, which was not given. Add --live, or leave --port out.")
    require_extra("train", "rich", "matplotlib", "safetensors", "threadpoolctl")
    from rich.console import Console

    from .training import display

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its news about font caches would break into the display
    console, recording = Console(), Recording()
    with contextlib.ExitStack() as stack:
        if options.live:
            from .training.live import LiveServer

            display.show_address(console, stack.enter_context(LiveServer(recording, options.port)).address)
        run = prepare(configuration)
        interrupts.check()
        display.show_start(console, run)
        with display.TrainingDisplay(console) as progress:
            result = train(run, options.out, [interrupts, progress], recording)
    display.show_result(console, result)


def _predict(options: argparse.Namespace, interrupts: Interrupts) -> None:
    require_extra("train", "rich", "safetensors")
    from rich.console import Console

    from .training import display

    run = load(options.run, options.data_dir)
    interrupts.check()
    test = evaluate_test(run)
    interrupts.check()
    indices = test.mistakes if options.mistakes else range(len(test.labels))
    display.show_predictions(Console(), run, test, indices[: options.count])


def _doctor(options: argparse.Namespace, interrupts: Interrupts) -> int:
    from .explain.doctor import examine
    from .explain.doctor.report import show

    diagnosis = examine(options.file, options.arguments)
    interrupts.check()
    if options.json:
        print(diagnosis.to_json())  # noqa: T201 - the command line speaks here
    else:
        show(diagnosis, sys.stdout)
    return 2 if diagnosis.unseen else 0 if diagnosis.healthy else 1


def _by_data(option: str) -> str:
    values = {data: defaults[option] for data, defaults in DEFAULTS.items()}
    texts = {data: ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}" for data, value in values.items()}
    return f"(default: {', '.join(f'{text} for {data}' for data, text in texts.items())})"


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in text.split(",")) if text else ()
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be whole numbers with commas between, such as 256,128; got {text!r}") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 65535, got {text!r}")
    return int(text)


def _fail(code: int, message: str, error: BaseException) -> int:
    notes = getattr(error, "__notes__", [])
    text = " ".join(" ".join([message, *notes]).split())
    try:
        sys.stdout.flush()
    except OSError:  # its reader has gone; let Python's own flush at exit say nothing more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    print(f"{PROGRAM}: error: {text}", file=sys.stderr)  # noqa: T201 - the command line speaks here
    return code
