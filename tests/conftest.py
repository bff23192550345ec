import os
from pathlib import Path

# Before NumPy is imported: when several test processes spin BLAS threads on few cores, each is many times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings

import micrograd_plus.compiler  # noqa: F401 - imported when first asked for, which must not be while planted bugs stand in for modules

settings.register_profile("micrograd_plus", deadline=None)  # a busy machine is no failure
settings.load_profile("micrograd_plus")


@pytest.fixture(scope="session")
def shared_data():
    """The folder of MNIST's t10k files: $MICROGRAD_PLUS_DATA, or shared/data beside the repository."""
    folder = Path(os.environ.get("MICROGRAD_PLUS_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "t10k-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"{folder} does not hold MNIST's t10k files; MICROGRAD_PLUS_DATA may name another folder")
    return folder


CHROMIUM = Path("/usr/bin/chromium")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a screen."""
    api = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS.split())
        yield browser
        browser.close()
