import contextlib
import errno
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from micrograd_plus.cli import main
from micrograd_plus.training.interrupts import Interrupts

QUICK = ["train", "--hidden", "16", "--dropout", "0", "--epochs", "2", "--batch-size", "128"]
FILES = ["config.json", "confusion.png", "curves.png", "metrics.jsonl", "model.safetensors", "report.html", "results.json"]


# The command line, pressing Ctrl-C when a function has run for the first time: its first argument maps functions to ways of pressing.
PRESSING = """
import importlib, json, signal, sys
from micrograd_plus import cli

def press():
    signal.raise_signal(signal.SIGINT)

class Fleeting:
    def __del__(self):
        press()

def press_twice():
    press()
    press()
    signal.pause()

WAYS = {"at once": press, "in a text": lambda: exec("press()", globals()), "in a destructor": Fleeting, "twice": press_twice}

def press_after(path, way):
    module, name = path.rsplit(".", 1)
    module = importlib.import_module(module)
    function = getattr(module, name)

    def pressing(*arguments, **options):
        setattr(module, name, function)
        result = function(*arguments, **options)
        WAYS[way]()
        return result

    setattr(module, name, pressing)

for path, way in json.loads(sys.argv.pop(1)).items():
    press_after(path, way)
sys.exit(cli.main())
"""


def start(*arguments, module="micrograd_plus", **options):
    # A shell starts what it runs in the background deaf to Ctrl-C, and its children inherit that.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},
        )
    finally:
        signal.signal(signal.SIGINT, before)


def run(*arguments, **options):
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def run_pressing(folder, moments, *arguments):
    folder.mkdir()
    (folder / "pressing.py").write_text(PRESSING)
    return run(json.dumps(moments), *arguments, module="pressing", cwd=folder)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def is_one_line(err):
    return err.startswith("micrograd-plus") and err.endswith("\n") and err.count("\n") == 1


def wait_for(condition, process):
    for _ in range(600):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("waited for 30 s")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run folder, with what training printed; one real process."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    code, out, err = run(*QUICK, "--out", folder)
    assert (code, err) == (0, "")
    return folder, out


@pytest.fixture
def full_disk(tmp_path):
    """Mount a file system of the given size in bytes; skips where that is not allowed."""
    mounted = []

    def mount(size, *options):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small file system needs root")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


# Training


def test_a_run_folder_holds_everything(finished):
    folder, _ = finished
    assert names(folder) == FILES
    config = json.loads((folder / "config.json").read_text())
    assert (config["data"], config["hidden"], config["epochs"]) == ("digits", [16], 2)
    epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [metrics["epoch"] for metrics in epochs] == [1, 2]
    assert epochs[1]["loss"] < epochs[0]["loss"]
    results = json.loads((folder / "results.json").read_text())
    assert 0.3 < results["test_accuracy"] <= 1
    for figure in ("curves.png", "confusion.png"):
        assert (folder / figure).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_without_a_terminal_it_prints_a_line_per_epoch(finished):
    folder, out = finished
    assert "\x1b" not in out
    assert "\r" not in out
    lines = out.splitlines()
    assert lines[0].startswith("digits: 1,442 images to train on, 355 to test on; network 64-16-10, 1,210 parameters")
    assert [line for line in lines if line.startswith("epoch")] == lines[1:3]
    assert re.fullmatch(r"epoch 1/2  loss \d\.\d{4}  accuracy \d+\.\d%  validation loss \d\.\d{4}  accuracy \d+\.\d%", lines[1])
    assert f"Run folder: {folder}" in lines
    assert lines[-1] == f"Look at its predictions: micrograd-plus predict {folder}"


def test_the_same_seed_gives_the_same_weights_bit_for_bit(finished, tmp_path):
    folder, _ = finished
    for name, seed in (("again", 0), ("other", 1)):
        assert run(*QUICK, "--seed", seed, "--out", tmp_path / name)[0] == 0
    weights = (folder / "model.safetensors").read_bytes()
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == weights
    assert (tmp_path / "other" / "model.safetensors").read_bytes() != weights


def test_default_training_reaches_97_percent_in_30_seconds(tmp_path):
    begun = time.perf_counter()
    code, _, err = run("train", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert time.perf_counter() - begun < 30
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"digits-\d{8}-\d{6}", folder.name)
    assert json.loads((folder / "results.json").read_text())["test_accuracy"] >= 0.97


def test_mnist_10k_reaches_95_percent(shared_data, tmp_path):
    code, out, err = run("train", "--data", "mnist", "--data-dir", shared_data, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    assert out.startswith("mnist: 9,000 images to train on, 1,000 to test on; network 784-")
    assert json.loads((tmp_path / "run" / "results.json").read_text())["test_accuracy"] > 0.95
    code, out, err = run("predict", tmp_path / "run", "--count", "2", cwd=tmp_path)
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("optimizer", "schedule"), [("sgd", "cosine"), ("adam", "constant"), ("adamw", "exponential"), ("rmsprop", "step")]
)
def test_optimizers_and_schedules(tmp_path, capsys, optimizer, schedule):
    options = ["--optimizer", optimizer, "--schedule", schedule, "--warmup", "1", "--weight-decay", "0.001", "--out", str(tmp_path / "run")]
    assert main([*QUICK, *options]) == 0
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softplus"])
def test_activations(tmp_path, capsys, activation):
    assert main([*QUICK, "--activation", activation, "--hidden", "16,8", "--dropout", "0.1", "--out", str(tmp_path / "run")]) == 0
    assert main(["predict", str(tmp_path / "run"), "--count", "1"]) == 0


def compiling(tmp_path, *options, prelude="pass"):
    """Three trained epochs by --compile in a process of its own: (code, stdout, stderr)."""
    arguments = ["train", "--epochs", "3", "--hidden", "32", "--compile", "--out", str(tmp_path / "run"), *options]
    code = f"import sys; {prelude}; from micrograd_plus.cli import main; sys.exit(main({arguments!r}))"
    environment = {**os.environ, "MICROGRAD_PLUS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("threads", ["1", "2"])
def test_compiled_training_says_what_it_gained_and_gives_the_same_weights(tmp_path, capsys, threads):
    pytest.importorskip("scipy", reason="compile() needs SciPy, of the extra 'compile'")
    code, out, err = compiling(tmp_path, "--threads", threads)
    assert (code, err) == (0, "")
    assert re.search(
        r"Compiled: [0-9.]+ ms a step, [0-9.]+ ms before, [0-9.]+ times as fast; building and checking it took [0-9.]+ s\.", out
    )
    assert list((tmp_path / "cache").glob("*.so"))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["compile"] is True
    seconds = json.loads((tmp_path / "run" / "results.json").read_text())["seconds_per_step"]
    assert 0 < seconds["compiled"] < 1 and 0 < seconds["eager"] < 1
    assert main(["train", "--epochs", "3", "--hidden", "32", "--threads", threads, "--out", str(tmp_path / "eager")]) == 0
    assert "Compiled" not in capsys.readouterr().out
    compiled, eager = (load_file(tmp_path / name / "model.safetensors") for name in ("run", "eager"))
    for name, weights in eager.items():
        np.testing.assert_allclose(compiled[name], weights, atol=1e-3 * abs(weights).max())
    assert main(["predict", str(tmp_path / "run"), "--count", "1"]) == 0


@pytest.mark.parametrize(
    ("prelude", "why"),
    [
        ("import os; os.environ.update(CC='missing', PATH='')", "there is no C compiler here. Install gcc"),
        ("sys.modules['scipy'] = None", "pip install 'micrograd-plus[compile]'."),
    ],
    ids=["compiler", "extra"],
)
def test_training_that_cannot_be_compiled_says_so_and_goes_on(tmp_path, prelude, why):
    code, out, err = compiling(tmp_path, prelude=prelude)
    assert (code, err) == (0, "")
    assert out.count("warning: the training step could not be compiled, so training goes on eagerly: ") == 1
    assert why in out
    assert "times as fast" not in out
    assert "epoch 3/3" in out
    assert "seconds_per_step" not in (tmp_path / "run" / "results.json").read_text()


def test_no_hidden_layer(tmp_path, capsys):
    assert main([*QUICK, "--hidden", "", "--out", str(tmp_path / "run")]) == 0
    assert "network 64-10, 650 parameters" in capsys.readouterr().out


def test_two_runs_in_one_second_have_folders_of_their_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda *_: "20260102-030405")
    assert [main(QUICK), main(QUICK), main(QUICK)] == [0, 0, 0]
    assert names(tmp_path / "runs") == ["digits-20260102-030405", "digits-20260102-030405-2", "digits-20260102-030405-3"]


def test_an_empty_folder_may_be_given(tmp_path, capsys):
    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    assert names(tmp_path) == FILES


@pytest.mark.parametrize("columns", [24, 100])
def test_on_a_terminal_it_shows_a_bar(tmp_path, columns):
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        environment.pop(name, None)
    process = start("train", "--epochs", "3", "--out", tmp_path / "run", stdout=follower, env=environment)
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other side has been closed
        while block := os.read(leader, 65536):
            shown += block
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    os.close(leader)
    text = shown.decode()
    assert "\x1b[?25l" in text  # the cursor hidden during the bar,
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # and shown again
    assert columns < 40 or "━" in text
    assert columns < 40 or "left  loss" in text


# Wrong options and files


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["--epochs", "0"], "epochs must be a whole number of at least 1, got 0"),
        (["--lr", "-1"], "lr must be a finite number above 0, got -1.0"),
        (["--lr", "nan"], "lr must be a finite number above 0, got nan"),
        (["--hidden", "16,x"], "argument --hidden: must be whole numbers with commas between, such as 256,128; got '16,x'"),
        (["--hidden", "16,0"], "hidden must be whole numbers of at least 1, got (16, 0)"),
        (["--dropout", "1"], "dropout must be at least 0 and below 1, got 1.0"),
        (["--batch-size", "0"], "batch_size must be a whole number of at least 1, got 0"),
        (["--warmup", "3", "--epochs", "3"], "warmup must be at least 0 and below epochs (3), got 3"),
        (["--validation", "0"], "validation must be above 0 and below 1, got 0.0"),
        (["--seed", "-1"], "seed must be a whole number from 0 to 2**32 - 1, got -1"),
        (["--weight-decay", "inf"], "weight_decay must be a finite number of at least 0, got inf"),
        (["--optimizer", "lion"], "argument --optimizer: invalid choice: 'lion'"),
        (["--colour"], "unrecognized arguments: --colour"),
        (["--data", "mnist"], "data_dir must be the folder of MNIST's files where data is mnist, got None"),
        (["--data-dir", "."], "data_dir must be left out for the digits"),
        (["--data", "mnist", "--data-dir", "nowhere"], "MNIST's files must be in a folder, got"),
        (["--data", "mnist", "--data-dir", "."], "must hold MNIST's t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz"),
    ],
)
def test_wrong_options(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["train", *options])
    except SystemExit as stopped:
        code = stopped.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert is_one_line(err)
    assert message in err
    assert names(tmp_path) == []


def test_no_command(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert capsys.readouterr().err == "micrograd-plus: error: the following arguments are required: COMMAND. See micrograd-plus --help.\n"


def test_a_damaged_data_file(tmp_path, capsys):
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8b\x08\0\0")
    assert main(["train", "--data", "mnist", "--data-dir", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert is_one_line(err)
    assert "t10k-images-idx3-ubyte.gz' must be a sound gzip file, but it is cut short" in err
    assert not (tmp_path / "run").exists()


def test_an_existing_run_folder_is_never_written_to(finished, capsys):
    folder, _ = finished
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main([*QUICK, "--out", str(folder)]) == 2
    err = capsys.readouterr().err
    assert is_one_line(err)
    assert f"a run folder must be new or empty; {str(folder)!r} already holds something" in err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_where_the_run_folder_should_be(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("mine")
    assert main([*QUICK, "--out", str(file)]) == 2
    assert f"{str(file)!r} is a file" in capsys.readouterr().err
    assert main([*QUICK, "--out", str(file / "run")]) == 2
    assert is_one_line(capsys.readouterr().err)
    assert file.read_text() == "mine"


# What fails on the way


def test_an_unwritable_folder(full_disk):
    disk = full_disk(65536, "ro")
    code, _, err = run(*QUICK, "--out", disk / "run")
    assert code == 1
    assert is_one_line(err)
    assert "Read-only file system" in err
    assert str(disk / "run") in err


def test_a_disk_that_is_full_at_the_start(full_disk):
    disk = full_disk(65536)
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    code, _, err = run(*QUICK, "--out", disk / "new" / "run")
    assert code == 1
    assert is_one_line(err)
    assert "No space left on device" in err
    assert names(disk) == ["filler"]


@pytest.mark.parametrize(("size", "missing"), [(40, "model.safetensors"), (250, "curves.png")])
def test_a_disk_that_fills_up(full_disk, size, missing):
    disk = full_disk(size * 1024)
    code, _, err = run("train", "--hidden", "256,128", "--epochs", "2", "--out", disk / "run")
    assert code == 1
    assert is_one_line(err)
    assert "No space left on device" in err
    assert f"{disk / 'run'} keeps what 2 of 2 epochs wrote: config.json, metrics.jsonl" in err
    assert str(disk / "run" / missing) in err
    left = names(disk / "run")
    assert left == [
        name
        for name in FILES
        if name in ("config.json", "metrics.jsonl") or (missing == "curves.png" and name in ("model.safetensors", "results.json"))
    ]
    assert len((disk / "run" / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_full_disk_in_the_middle_of_the_metrics(tmp_path, monkeypatch, capsys):
    from micrograd_plus.training.folder import RunFolder

    record = RunFolder.epoch_finished

    def fail(self, metrics):
        if metrics.epoch == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.metrics))
        record(self, metrics)

    monkeypatch.setattr(RunFolder, "epoch_finished", fail)
    assert main([*QUICK, "--out", str(tmp_path / "run")]) == 1
    err = capsys.readouterr().err
    assert is_one_line(err)
    assert err.endswith(f"No space left on device. {tmp_path / 'run'} keeps what 1 of 2 epochs wrote: config.json, metrics.jsonl.\n")


def test_ctrl_c_after_some_epochs(tmp_path):
    folder = tmp_path / "run"
    process = start("train", "--epochs", "100000", "--out", folder)
    wait_for(lambda: (folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").read_bytes().count(b"\n") >= 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert is_one_line(err)
    content = (folder / "metrics.jsonl").read_text()
    epochs = content.count("\n")
    assert content.endswith("\n")
    assert [json.loads(line)["epoch"] for line in content.splitlines()] == list(range(1, epochs + 1))
    assert err == f"micrograd-plus: error: interrupted. {folder} keeps what {epochs} of 100000 epochs wrote: config.json, metrics.jsonl.\n"
    assert names(folder) == ["config.json", "metrics.jsonl"]
    code, _, err = run("predict", folder)
    assert code == 2
    assert is_one_line(err)
    assert "must hold model.safetensors" in err
    assert "its training did not finish" in err


def test_ctrl_c_in_the_first_epoch(tmp_path):
    folder = tmp_path / "new" / "run"
    process = start("train", "--hidden", "2000,2000", "--batch-size", "1", "--out", folder)
    wait_for((folder / "config.json").exists, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "micrograd-plus: error: interrupted.\n"
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "moments",
    [
        {"os.mkdir": "at once"},  # the folder is there, and nothing knows that this run made it
        {"tempfile.mkstemp": "at once"},
        {"os.mkdir": "in a text"},  # as dataclasses and namedtuples are made: https://github.com/python/cpython/pull/11862
        {"os.mkdir": "in a destructor"},  # where an exception is printed and lost
        {"threadpoolctl.threadpool_limits": "twice"},  # and then it would wait for ever
        {"threadpoolctl.threadpool_limits": "at once", "os.unlink": "at once"},  # again while it tidies up
    ],
    ids=str,
)
def test_ctrl_c_at_a_bad_moment(tmp_path, moments):
    code, _, err = run_pressing(tmp_path / "work", moments, *QUICK, "--out", "new/run")
    assert (code, err) == (130, "micrograd-plus: error: interrupted.\n")
    assert "new" not in names(tmp_path / "work")


def test_ctrl_c_after_the_last_epoch(tmp_path):
    moments = {"micrograd_plus.training.run.save_model": "at once"}
    code, _, err = run_pressing(tmp_path / "work", moments, *QUICK, "--out", "run")
    written = "config.json, metrics.jsonl, model.safetensors"
    assert (code, err) == (130, f"micrograd-plus: error: interrupted. run keeps what 2 of 2 epochs wrote: {written}.\n")
    assert ", ".join(names(tmp_path / "work" / "run")) == written


def test_ctrl_c_when_all_is_done(tmp_path):
    moments = {"micrograd_plus.training.display.show_result": "at once"}
    code, out, err = run_pressing(tmp_path / "work", moments, *QUICK, "--out", "run")
    assert (code, err) == (130, "micrograd-plus: error: interrupted.\n")
    assert "Run folder: run" in out
    assert names(tmp_path / "work" / "run") == FILES


def test_ctrl_c_while_the_process_ends(tmp_path):
    code, _, err = run_pressing(tmp_path / "work", {"micrograd_plus.cli.main": "at once"}, *QUICK, "--out", "run")
    assert (code, err) == (0, "")
    assert names(tmp_path / "work" / "run") == FILES


def test_ctrl_c_in_predict(finished, tmp_path):
    code, out, err = run_pressing(tmp_path / "work", {"micrograd_plus.cli.load": "in a destructor"}, "predict", finished[0])
    assert (code, out, err) == (130, "", "micrograd-plus: error: interrupted.\n")


def test_what_fails_after_ctrl_c_counts_as_interrupted():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as caught, Interrupts():
            signal.raise_signal(signal.SIGINT)
            error = BrokenPipeError("the reader has gone")
            error.add_note("run keeps what was written.")
            raise error
        assert caught.value.__notes__ == error.__notes__
        assert caught.value.__cause__ is error
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_another_handling_of_ctrl_c_stays(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with Interrupts(last=True):
            assert signal.getsignal(signal.SIGINT) is handler
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_loss_that_is_not_finite(tmp_path):
    code, _, err = run("train", "--optimizer", "sgd", "--lr", "1e20", "--schedule", "constant", "--out", tmp_path / "run")
    assert code == 1
    assert is_one_line(err)
    assert re.search(r"the loss must stay finite; it became (nan|inf) in epoch 1, batch \d+\. Lower the learning rate, now 1e\+20", err)
    assert names(tmp_path) == []


def test_too_large_a_model(tmp_path, capsys):
    assert main(["train", "--hidden", "1000000000000", "--out", str(tmp_path / "run")]) in (1, 2)
    assert is_one_line(capsys.readouterr().err)


def test_a_reader_that_goes_away(tmp_path):
    process = start("train", "--epochs", "1000", "--out", tmp_path / "run")
    process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        assert process.wait(timeout=30) == 1
        assert process.stderr.read() == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_output_that_cannot_be_written(finished):
    with open("/dev/full", "w") as full:
        process = start("predict", finished[0], stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err == "micrograd-plus: error: could not read or write its output: No space left on device.\n"


@pytest.mark.parametrize("codec", ["ascii", "latin-1"])
def test_a_terminal_without_unicode(finished, codec):
    code, out, err = run("predict", finished[0], "--count", "1", env={**os.environ, "PYTHONIOENCODING": codec}, encoding=codec)
    assert (code, err) == (0, "")
    assert "?" in out
    assert "test accuracy" in out


@pytest.mark.parametrize(
    ("command", "missing"), [("train", "rich"), ("train", "matplotlib"), ("train", "safetensors"), ("predict", "rich")]
)
def test_a_missing_extra_is_named(finished, tmp_path, command, missing):
    arguments = [*QUICK, "--out", str(tmp_path / "run")] if command == "train" else ["predict", str(finished[0])]
    code = f"import sys; sys.modules[{missing!r}] = None; from micrograd_plus.cli import main; sys.exit(main({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == (f'micrograd-plus: error: {missing} is needed, but not installed. Run: pip install "micrograd-plus[train]"\n')
    assert names(tmp_path) == []


def test_help_needs_no_extra_and_says_the_defaults():
    blocked = "import sys; sys.modules.update(rich=None, matplotlib=None, safetensors=None)"
    code = f"{blocked}; from micrograd_plus.cli import main; main(['train', '-h'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--hidden SIZES" in done.stdout
    assert "None" not in done.stdout
    assert "512,256 for digits, 256,128 for mnist" in " ".join(done.stdout.split())
    assert "0.05 for sgd, 0.003 for adam" in " ".join(done.stdout.split())


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("micrograd-plus 0.")


# Prediction


def test_predict_shows_pictures_and_the_accuracy_of_the_run(finished):
    folder, _ = finished
    code, out, err = run("predict", folder, "--count", "3")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert out.count("true ") == 3
    assert "█" in out
    accuracy = json.loads((folder / "results.json").read_text())["test_accuracy"]
    assert f"test accuracy {accuracy:.2%}" in out


def test_predict_mistakes(finished, capsys):
    folder, _ = finished
    assert main(["predict", str(folder), "--mistakes", "--count", "5"]) == 0
    out = capsys.readouterr().out
    pairs = list(zip(re.findall(r"true (\d)", out), re.findall(r"predicted (\d)", out), strict=True))
    assert len(pairs) == 5
    assert all(true != predicted for true, predicted in pairs)
    confidences = [float(share) for share in re.findall(r"predicted \d, (\d+\.\d)%", out)]
    assert confidences == sorted(confidences, reverse=True)


@pytest.mark.parametrize("count", ["0", "-1", "x", "1.5"])
def test_predict_count(finished, capsys, count):
    with pytest.raises(SystemExit, match="2"):
        main(["predict", str(finished[0]), f"--count={count}"])
    err = capsys.readouterr().err
    assert is_one_line(err)
    assert f"argument --count: must be a whole number of at least 1, got {count!r}" in err


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of a run folder, to be damaged."""
    for path in finished[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def predict_fails(folder, capsys, *words, code=2):
    assert main(["predict", str(folder)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert is_one_line(err)
    for word in words:
        assert word in err


def test_predict_of_no_run_folder(tmp_path, capsys):
    predict_fails(tmp_path, capsys, "a run folder must hold config.json")
    predict_fails(tmp_path / "none", capsys, "a run folder must hold config.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "must be a JSON file, but it is damaged"),
        (b"\xff\xfe", "must be a JSON file, but it is damaged"),
        (b"[]", "must hold a JSON object, the options of a training run, got list"),
        (b'{"data": "digits", "colour": 1}', "must hold options of a training run, got unknown ones: colour"),
    ],
)
def test_predict_with_a_damaged_configuration(copy, capsys, content, message):
    (copy / "config.json").write_bytes(content)
    predict_fails(copy, capsys, str(copy / "config.json"), message)


@pytest.mark.parametrize(
    ("name", "value"),
    [("hidden", "16"), ("hidden", [16, "x"]), ("data", ["digits"]), ("lr", None), ("epochs", 1.5), ("epochs", True), ("data_dir", 3)],
)
def test_predict_with_a_wrong_value_in_the_configuration(copy, capsys, name, value):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, name: value}))
    predict_fails(copy, capsys, str(copy / "config.json"), f"{name} must be ")


def test_predict_with_a_damaged_model(copy, capsys):
    model = copy / "model.safetensors"
    content = model.read_bytes()
    for damaged in (b"", content[:4], content[:100], content[:-1], content + b"more", b"\xff" * 200, np.random.default_rng(0).bytes(500)):
        model.write_bytes(damaged)
        predict_fails(copy, capsys, str(model))


def test_predict_with_the_model_of_another_run(copy, capsys):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "hidden": [32]}))
    predict_fails(copy, capsys, str(copy), "(64, 16)", "(64, 32)")


def test_predict_with_data_that_has_moved(shared_data, tmp_path, capsys):
    here = tmp_path / "here"
    here.mkdir()
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (here / name).write_bytes((shared_data / name).read_bytes())
    assert main([*QUICK, "--data", "mnist", "--data-dir", str(here), "--out", str(tmp_path / "run")]) == 0
    here.rename(tmp_path / "there")
    capsys.readouterr()
    predict_fails(tmp_path / "run", capsys, "MNIST's files must be in a folder")
    assert main(["predict", str(tmp_path / "run"), "--data-dir", str(tmp_path / "there")]) == 0
