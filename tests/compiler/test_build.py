"""A C file becomes a library: where it is kept, what happens where it is damaged or can't be made; and sanitizers over what is made."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("scipy", reason="compile() needs SciPy, of the extra 'compile'")
pytest.importorskip("threadpoolctl", reason="compile() needs threadpoolctl, of the extra 'compile'")

ROOT = Path(__file__).parents[2]
PROGRAM = """
import warnings
import micrograd_plus as mg
from micrograd_plus import Linear, Tensor
mg.set_seed(0)
model = Linear(3, 2)
f = mg.compile(lambda x: (model(x) * 7).tanh(), threads=1)
x = Tensor([[1.0, 2.0, 3.0]])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    ok = all(abs(f(x).data - (model(x) * 7).tanh().data).max() < 1e-5 for _ in range(5))
print(ok, len(caught), "native" if f._traces else "eager")
for w in caught:
    print(w.category.__name__, w.message)
"""


def run(program=PROGRAM, **variables):
    environment = {k: v for k, v in os.environ.items() if k not in ("CC", "MICROGRAD_PLUS_CFLAGS")}
    environment |= {"PYTHONPATH": str(ROOT), **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_what_is_built_is_kept_in_the_folder_of_the_variable_and_used_again(tmp_path):
    folder = tmp_path / "a" / "b"
    assert run(MICROGRAD_PLUS_CACHE=folder) == "True 0 native\n"
    files = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert sorted(Path(name).suffix for name in files) == [".c", ".so", ".sum"]
    assert run(MICROGRAD_PLUS_CACHE=folder) == "True 0 native\n"
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == files


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "sum", "no sum", "folder"])
def test_a_damaged_entry_is_built_again(damage, tmp_path):
    run(MICROGRAD_PLUS_CACHE=tmp_path)
    library = next(tmp_path.glob("*.so"))
    whole = library.read_bytes()
    match damage:
        case "truncated":
            library.write_bytes(whole[: len(whole) // 2])
        case "garbage":
            library.write_bytes(b"\x7fELF" + os.urandom(1000))
        case "empty":
            library.write_bytes(b"")
        case "sum":
            library.with_suffix(".sum").write_text("0" * 64)
        case "no sum":
            library.with_suffix(".sum").unlink()
        case "folder":
            library.unlink()
            library.mkdir()
    if damage == "folder":  # nothing can take its place: it is kept elsewhere, or said
        assert run(MICROGRAD_PLUS_CACHE=tmp_path).startswith("True ")
        return
    assert run(MICROGRAD_PLUS_CACHE=tmp_path) == "True 0 native\n"
    assert len(library.read_bytes()) == len(whole)


def test_a_folder_that_cannot_be_written_to_is_replaced_by_one_of_the_users(tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert run(MICROGRAD_PLUS_CACHE=tmp_path / "file" / "cache", TMPDIR=tmp_path) == "True 0 native\n"
    assert len(list((tmp_path / f"micrograd_plus-{os.getuid()}").glob("*.so"))) == 1


def test_two_processes_build_one_step_at_once(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MICROGRAD_PLUS_CACHE": str(tmp_path)}
    started = [subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=120)[0] for process in started] == ["True 0 native\n"] * 3
    assert run(MICROGRAD_PLUS_CACHE=tmp_path) == "True 0 native\n"
    assert len(list(tmp_path.iterdir())) == 3


def fake(folder, text):
    path = folder / "cc"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_without_a_compiler_it_runs_eagerly_with_one_warning(tmp_path):
    out = run(CC="missing-compiler", PATH="", MICROGRAD_PLUS_CACHE=tmp_path)
    assert out.startswith("True 1 eager\nRuntimeWarning compile: <lambda> runs eagerly, for there is no C compiler here. Install gcc")


@pytest.mark.parametrize("fails", ["always", "at work", "to start"])
def test_a_compiler_that_fails(fails, tmp_path):
    text = {"always": "exit 1", "at work": '[ "$1" = --version ] && exit 0; echo no space left >&2; exit 1', "to start": ""}[fails]
    path = fake(tmp_path, text)
    if fails == "to start":
        path.write_text("#!/nowhere\n")
    out = run(CC=path, PATH="", MICROGRAD_PLUS_CACHE=tmp_path)
    expected = f"the C compiler {path} failed: no space left" if fails == "at work" else "there is no C compiler here. Install gcc"
    assert out.startswith(f"True 1 eager\nRuntimeWarning compile: <lambda> runs eagerly, for {expected}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cc"]


def test_a_compiler_with_options(tmp_path):
    assert run(CC="gcc -DNOTHING", MICROGRAD_PLUS_CACHE=tmp_path) == "True 0 native\n"


@pytest.mark.parametrize("missing", ["scipy", "threadpoolctl"])
def test_without_the_extra_it_runs_eagerly_with_one_warning(missing, tmp_path):
    out = run(f"import sys\nsys.modules[{missing!r}] = None\n{PROGRAM}", MICROGRAD_PLUS_CACHE=tmp_path)
    assert out.startswith(
        f"True 1 eager\nRuntimeWarning compile: <lambda> runs eagerly, for there is no {missing} here. Install what it needs: "
    )
    assert "pip install 'micrograd-plus[compile]'." in out


def test_of_scipy_only_the_table_of_products_is_imported(tmp_path):
    report = "import sys\nprint([name for name in ('scipy.linalg.blas', 'scipy.linalg') if name in sys.modules])"
    assert run(f"{PROGRAM}\n{report}\nimport scipy.linalg.blas", MICROGRAD_PLUS_CACHE=tmp_path) == "True 0 native\n[]\n"


# -- sanitizers --------------------------------------------------------------------------------------------------------------

SANITIZED = """
import ctypes, os, sys, warnings
import numpy as np
import micrograd_plus as mg
from micrograd_plus import *
from micrograd_plus import compile
from micrograd_plus.compiler import run as compiled

warnings.simplefilter("error", RuntimeWarning)

# NumPy's arrays come from malloc, which the sanitizer guards. The buffers of the arena lie side by side, so here each has a place of
# its own with room behind it, which is poisoned.
planning = sys.modules["micrograd_plus.compiler.schedule"]
room, allocate, make_memory = planning._room, planning.allocate, compiled.Step._memory
planning._room = lambda node: room(node) + 256
planning.allocate = lambda plan, reuse: allocate(plan, False)
poison = ctypes.CDLL(None).__asan_poison_memory_region
poison.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
poisoned = 0

def memory(step):
    global poisoned
    make_memory(step)
    begin = compiled.address(step._arena)
    for node, where in step.plan.memory.items():
        if isinstance(where, int):
            used = node.size * node.dtype.itemsize
            poison(begin + where + used, planning._room(node) - used)
            poisoned += 1

compiled.Step._memory = memory
mg.set_seed(0)
rng = np.random.default_rng(0)
MODELS = {
    "mlp": (lambda: Sequential(Linear(5, 7), ReLU(), LayerNorm(7), GELU(), Dropout(0.3), Linear(7, 3)), (6, 5)),
    "cnn": (lambda: Sequential(Conv2d(1, 3, 3, padding=1), BatchNorm2d(3), ReLU(), MaxPool2d(2), Flatten(), Linear(27, 3)), (5, 1, 7, 7)),
    "attention": (lambda: Sequential(TransformerEncoderLayer(6, 2, 9, dropout=0.0), Flatten(), Linear(18, 3)), (5, 3, 6)),
}
name, threads = os.environ["MODEL"].split()
make, shape = MODELS[name]
model = make()
optimizer, loss_fn = AdamW(model.parameters(), lr=0.01), CrossEntropyLoss()

@compile(threads=int(threads), strict=True)
def step(x, labels):
    optimizer.zero_grad()
    loss = loss_fn(model(x), labels)
    loss.backward()
    clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()
    return loss

if int(threads) > 1:
    compiled.SMALL = 0
for i in range(6):
    loss = step(rng.standard_normal(shape).astype(np.float32), rng.integers(0, 3, shape[0]))
assert np.isfinite(loss.item())
try:
    step(rng.standard_normal(shape).astype(np.float32), np.full(shape[0], 3))
except ValueError:
    pass
s = step.step
assert s.threads == int(threads) and poisoned > 5
if os.environ.get("SPOIL"):  # a node that is larger than what the plan gave it: the sanitizer must see it
    poison(compiled.address(s._arena), s.plan.arena)
    step(rng.standard_normal(shape).astype(np.float32), rng.integers(0, 3, shape[0]))
print("done", os.path.basename(str(s.library)))
"""


def sanitizer(name):
    path = (
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=False).stdout.strip()
        if shutil.which("gcc")
        else ""
    )
    return path if os.path.isabs(path) else None


@pytest.mark.skipif(sanitizer("libasan.so") is None, reason="gcc with libasan is not installed")
@pytest.mark.parametrize("model", ["mlp 1", "mlp 2", "cnn 1", "attention 2"])
def test_sanitizers_find_nothing(model, tmp_path):
    assert sanitized(model, tmp_path).startswith("done")


@pytest.mark.skipif(sanitizer("libasan.so") is None, reason="gcc with libasan is not installed")
def test_the_sanitizer_sees_the_arena(tmp_path):
    with pytest.raises(AssertionError, match="use-after-poison"):
        sanitized("mlp 1", tmp_path, SPOIL="1")


def sanitized(model, tmp_path, **variables):
    """Run the program under the sanitizers."""
    flags = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
    return run(
        SANITIZED,
        MODEL=model,
        MICROGRAD_PLUS_CACHE=tmp_path,
        MICROGRAD_PLUS_CFLAGS=flags,
        LD_PRELOAD=sanitizer("libasan.so"),
        ASAN_OPTIONS="detect_leaks=0:abort_on_error=0:exitcode=23",
        PYTHONMALLOC="malloc",
        CC="gcc",
        OMP_NUM_THREADS="2",
        **variables,
    )


OVERRUN = """
import ctypes, sys
from micrograd_plus.compiler import build
text = '''
void blas(void *s, void *d) {}
int step(void **table, char *arena, double *times) { float *x = table[0]; return (int)x[3]; }
'''
import numpy as np
step = build.load(build.build(text))
x = np.zeros(3, np.float32)
table = (ctypes.c_void_p * 1)(x.ctypes.data)
step(ctypes.addressof(table), 0, None)
"""


@pytest.mark.skipif(sanitizer("libasan.so") is None, reason="gcc with libasan is not installed")
def test_the_sanitizer_sees_an_overrun(tmp_path):
    with pytest.raises(AssertionError, match="heap-buffer-overflow"):
        run(
            OVERRUN,
            MICROGRAD_PLUS_CACHE=tmp_path,
            MICROGRAD_PLUS_CFLAGS="-O0 -fsanitize=address",
            LD_PRELOAD=sanitizer("libasan.so"),
            ASAN_OPTIONS="detect_leaks=0",
            PYTHONMALLOC="malloc",
        )


def test_scipys_products_are_held_to_one_thread_and_numpys_keep_theirs():
    import threadpoolctl

    from micrograd_plus.compiler import build

    build.products()
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        build.hold_products()
        threads = {
            pool["filepath"].rsplit("/", 2)[-2]: pool["num_threads"]
            for pool in threadpoolctl.threadpool_info()
            if pool["user_api"] == "blas"
        }
    if len(threads) < 2:
        pytest.skip("NumPy and SciPy have the same BLAS here")
    assert {folder: count for folder, count in threads.items() if "scipy" in folder} == {"scipy.libs": 1}
    assert {folder: count for folder, count in threads.items() if "numpy" in folder} == {"numpy.libs": 2}
