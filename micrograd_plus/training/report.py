"""The page that shows a recording, live or from a file: the same HTML, that needs nothing else.

`page/` holds its parts. The policy in it lets the browser run its own script and style, by their hashes, and nothing else; the live page
may also connect to where it came from.
"""

import base64
import functools
import hashlib
from importlib import resources
from typing import Any

import numpy as np

from .. import __version__
from ..data import ImageDataset
from ..nn import Sequential, count_parameters
from .configuration import Configuration
from .recording import Recording
from .statistics import HIGHEST, LOWEST, Statistics

OPTIONS = (
    *("activation", "dropout", "optimizer", "lr", "weight_decay", "schedule", "warmup"),
    *("batch_size", "validation", "threads", "compile", "seed"),
)  # of the configuration, shown as they are


def write_report(recording: Recording) -> str:
    """The text of `report.html`: the page with the recording in it."""
    return _page(recording.to_json(), live=False)


@functools.cache
def live_page() -> str:
    """The text of the page that gets its recording from the server that it came from."""
    return _page("null", live=True)


@functools.cache
def policy(live: bool) -> str:
    """The page's Content-Security-Policy."""
    script, style = (base64.b64encode(hashlib.sha256(_part(name).encode()).digest()).decode() for name in ("page.js", "page.css"))
    connect = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def describe(configuration: Configuration, dataset: ImageDataset, model: Sequential, statistics: Statistics) -> dict[str, Any]:
    """What `Recording.begin` is to be given of a run whose course these statistics record."""
    height, width = dataset.image_shape
    layers, images = statistics.layers, statistics.images.data
    units = [None if layer.activation is None else layer.weight.shape[-1] for layer in layers]
    return {
        "data": configuration.data,
        "sizes": [height * width, *configuration.hidden, len(dataset.class_names)],
        "parameters": count_parameters(model),
        "epochs": configuration.epochs,
        "options": {name: getattr(configuration, name) for name in OPTIONS},
        "version": __version__,
        "classes": list(dataset.class_names),
        "layers": [{"name": layer.name, "units": count} for layer, count in zip(layers, units, strict=True)],
        "bins": {"lowest": LOWEST, "highest": HIGHEST},
        "probe": len(statistics.probe[1]),
        "image": [height, width],
        "images": np.rint(255 * images).astype(int).reshape(len(images), -1).tolist(),
        "labels": statistics.labels.tolist(),
    }


def _page(data: str, live: bool) -> str:
    text = _part("page.html")
    for name, value in (
        ("policy", policy(live)),  # which has no double quotes
        ("style", _part("page.css")),
        ("script", _part("page.js")),
        ("data", data.replace("<", "\\u003c")),  # last, and without "</script>", which would end the element
    ):
        text = text.replace(f"{{{{{name}}}}}", value)
    return text


@functools.cache
def _part(name: str) -> str:
    return resources.files("micrograd_plus.training").joinpath("page", name).read_text(encoding="utf-8")
