"""Chapter 5, first part: a C file becomes a function that Python can call.

The system's C compiler is found at run time. What it makes is kept in a cache folder, named by what it was made of: the text, the
compiler, its options and the machine. A file is written under another name and then renamed, so that of several processes that
build the same one each finds a whole file; one that can't be loaded is built again.
"""

import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

CACHE_VARIABLE = "MICROGRAD_PLUS_CACHE"
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-fPIC", "-shared", "-std=gnu11", "-w")


class BuildError(RuntimeError):
    """There is no way to make native code here; the message says what to install."""


def cache_folder() -> Path:
    """Where built steps are kept: $MICROGRAD_PLUS_CACHE, or the user's cache folder."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "micrograd_plus"


@functools.cache
def compiler() -> tuple[str, str]:
    """The C compiler's path, and what it says of its version."""
    for name in filter(None, (os.environ.get("CC"), "gcc", "cc", "clang")):
        path = shutil.which(name)
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - the user's own compiler
            if version.returncode == 0:
                return path, version.stdout
    raise BuildError("compile() needs a C compiler, and found none. Install gcc (Debian and Ubuntu: apt install gcc), or set CC.")


@functools.cache
def machine() -> str:
    """What -march=native depends on."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("flags"):
                return platform.machine() + line
    return platform.machine() + platform.processor()


@functools.cache
def products() -> tuple[int, int]:
    """The addresses of SciPy's sgemm and dgemm, held to one thread: the step's own threads share out the work.

    SciPy's BLAS is a copy of its own, so that NumPy's keeps its threads.
    """
    missing = [name for name in ("scipy", "threadpoolctl") if importlib.util.find_spec(name) is None]
    if missing:
        raise BuildError(f"compile() needs {' and '.join(missing)}. Install them by: pip install 'micrograd-plus[compile]'.")
    import numpy as np
    import threadpoolctl
    from scipy.linalg import blas, cython_blas

    blas.sgemm(1.0, np.ones((2, 2), np.float32), np.ones((2, 2), np.float32))  # brings its library in
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    found = tuple(pointer(capsule, name(capsule)) for capsule in (cython_blas.__pyx_capi__["sgemm"], cython_blas.__pyx_capi__["dgemm"]))
    pools = threadpoolctl.ThreadpoolController().select(user_api="blas")
    for pool in pools.lib_controllers:
        if "scipy" in Path(pool.filepath).as_posix().lower():
            pool.set_num_threads(1)
    return found[0], found[1]


def build(text: str, extra: tuple[str, ...] = ()) -> Path:
    """The shared library of a C file, from the cache or made now.

    Raises:
        BuildError: there is no compiler, or it fails.
    """
    path, version = compiler()
    key = hashlib.sha256("\0".join([text, path, version, *FLAGS, *extra, machine()]).encode()).hexdigest()[:32]
    folder = cache_folder()
    library = folder / f"{key}.so"
    if _is_whole(library):
        return library
    try:
        folder.mkdir(parents=True, exist_ok=True)
        where = tempfile.mkdtemp(prefix="build-", dir=folder)
    except OSError:  # a home that can't be written to
        folder = Path(tempfile.gettempdir()) / f"micrograd_plus-{os.getuid()}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_uid != os.getuid():
            raise BuildError(f"compile() needs a folder to keep what it builds, {folder} is another user's. Set {CACHE_VARIABLE}.") from None
        library = folder / library.name
        where = tempfile.mkdtemp(prefix="build-", dir=folder)
    try:
        source, made = Path(where) / "step.c", Path(where) / "step.so"
        source.write_text(text)
        command = [path, *FLAGS, *extra, "-o", str(made), str(source), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise BuildError(f"the C compiler {path} failed, so nothing can be compiled: {done.stderr.strip()[-2000:]}")
        total = Path(where) / "step.sum"
        total.write_text(_sum(made))
        source.replace(library.with_suffix(".c"))
        made.replace(library)
        total.replace(library.with_suffix(".sum"))
    finally:
        shutil.rmtree(where, ignore_errors=True)
    return library


def _is_whole(library: Path) -> bool:
    """Whether a cached library is what was written. A damaged one might end the process."""
    try:
        return library.with_suffix(".sum").read_text() == _sum(library)
    except OSError:
        return False


def _sum(library: Path) -> str:
    return hashlib.sha256(library.read_bytes()).hexdigest()


def load(library: Path) -> Callable[..., Any]:
    """The step of a built library, with its products connected."""
    dll = ctypes.CDLL(str(library))
    dll.blas.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    dll.blas.restype = None
    dll.blas(*products())
    step: Any = dll.step
    step.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    step.restype = ctypes.c_int
    return step  # type: ignore[no-any-return]
