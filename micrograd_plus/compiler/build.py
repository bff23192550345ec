"""Chapter 5, first part: a C file becomes a function that Python can call.

The system's C compiler is found at run time. What it makes is kept in a cache folder, named by what it was made of: the text, the
compiler, its options and the machine. A file is written under another name and then renamed, so that of several processes that
build the same one each finds a whole file; one whose checksum is another is built again.
"""

import contextlib
import ctypes
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CACHE_VARIABLE = "MICROGRAD_PLUS_CACHE"
FLAGS_VARIABLE = "MICROGRAD_PLUS_CFLAGS"  # further options of the compiler, for looking for errors: -g, -fsanitize=address
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
def compiler() -> tuple[tuple[str, ...], str]:
    """The command of the C compiler, and what it says of its version.

    Raises:
        BuildError: there is none.
    """
    for command in filter(None, (os.environ.get("CC"), "gcc", "cc", "clang")):
        words = shlex.split(command)
        path = shutil.which(words[0])
        if path:
            version = _run((path, *words[1:], "--version"))
            if version.returncode == 0:
                return (path, *words[1:]), version.stdout
    raise BuildError("there is no C compiler here. Install gcc (Debian and Ubuntu: apt install gcc), or set CC")


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - the user's own compiler
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


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
    """The addresses of SciPy's sgemm and dgemm, to be held to one thread: the step's own threads share out the work.

    SciPy's BLAS is a copy of its own, so that NumPy's keeps its threads.
    """
    missing = [name for name in ("scipy", "threadpoolctl") if importlib.util.find_spec(name) is None]
    if missing:
        raise BuildError(f"there is no {' and no '.join(missing)} here. Install what it needs: pip install 'micrograd-plus[compile]'")
    try:
        table = _cython_blas().__pyx_capi__
    except (ImportError, AttributeError) as error:
        raise BuildError(f"SciPy can't be imported ({error}). Install it again: pip install 'micrograd-plus[compile]'") from error

    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    found = tuple(pointer(capsule, name(capsule)) for capsule in (table["sgemm"], table["dgemm"]))
    return found[0], found[1]


def _cython_blas() -> Any:
    """The module scipy.linalg.cython_blas, by itself: all of scipy.linalg around it takes 0.2 s to import."""
    name = "scipy.linalg.cython_blas"
    if name not in sys.modules:
        scipy = importlib.util.find_spec("scipy")
        folders = [str(Path(folder) / "linalg") for folder in scipy.submodule_search_locations or ()] if scipy else []
        found = importlib.machinery.PathFinder.find_spec(name, folders)
        if found is not None and found.loader is not None:
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
            return module
    return importlib.import_module(name)


def hold_products() -> None:
    """Hold SciPy's products to one thread, also where somebody has set all libraries' threads since.

    SciPy's BLAS is in a folder of SciPy's; where there is none, both libraries have the same one.
    """
    import threadpoolctl

    pools = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    own = [pool for pool in pools if "scipy" in Path(pool.filepath).parent.name]
    for pool in own or pools:
        pool.set_num_threads(1)


def build(text: str, extra: tuple[str, ...] = ()) -> Path:
    """The shared library of a C file, from the cache or made now.

    Raises:
        BuildError: there is no compiler, or it fails.
    """
    command, version = compiler()
    options = (*FLAGS, *extra, *shlex.split(os.environ.get(FLAGS_VARIABLE, "")))
    key = hashlib.sha256("\0".join([text, *command, version, *options, machine()]).encode()).hexdigest()[:32]
    for find in (cache_folder, _own_folder):
        folder = find()
        library = folder / f"{key}.so"
        if _is_whole(library):
            return library
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            where = Path(tempfile.mkdtemp(prefix="build-", dir=folder))
        except OSError:  # a home that can't be written to
            continue
        try:
            source, made, total = where / "step.c", where / "step.so", where / "step.sum"
            source.write_text(text)
            done = _run((*command, *options, "-o", str(made), str(source), "-lm"))
            if done.returncode:
                raise BuildError(f"the C compiler {command[0]} failed: {done.stderr.strip()[-2000:] or 'it does not say why'}")
            total.write_text(_sum(made))
            for file, suffix in ((source, ".c"), (made, ".so"), (total, ".sum")):
                file.replace(library.with_suffix(suffix))
        except OSError as error:  # a disk that is full
            raise BuildError(f"{str(folder)!r} can't be written to ({error.strerror}). Make room, or set {CACHE_VARIABLE}") from error
        finally:
            shutil.rmtree(where, ignore_errors=True)
        return library
    raise BuildError(f"there is no folder to keep what is built in. Set {CACHE_VARIABLE}")


def _own_folder() -> Path:
    """A folder of this user's among the temporary files.

    Raises:
        BuildError: somebody else has made one of that name.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"micrograd_plus-{user}"
    if folder.is_symlink() or (folder.exists() and hasattr(os, "getuid") and folder.stat().st_uid != user):
        raise BuildError(f"{str(folder)!r} is not this user's. Set {CACHE_VARIABLE}")
    return folder


def _is_whole(library: Path) -> bool:
    """Whether a cached library is what was written. A damaged one might end the process."""
    try:
        return library.with_suffix(".sum").read_text() == _sum(library)
    except OSError:
        return False


def _sum(library: Path) -> str:
    return hashlib.sha256(library.read_bytes()).hexdigest()


def load(library: Path) -> Callable[..., Any]:
    """The step of a built library, with its products connected.

    Raises:
        BuildError: it can't be loaded.
    """
    try:
        dll = ctypes.CDLL(str(library))
    except OSError as error:
        raise BuildError(f"what was built can't be loaded ({error}). If its folder forbids programs, set {CACHE_VARIABLE}") from error
    dll.blas.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    dll.blas.restype = None
    dll.blas(*products())
    step: Any = dll.step
    step.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    step.restype = ctypes.c_int
    return step  # type: ignore[no-any-return]
