"""The seven models, their data and their initial weights, made once in NumPy for every library.

A weight has the name that it has in MicroGrad+'s model, and its shape: matrices are (in, out), convolutions (out, in, height, width).
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

THREADS = 2
LR = 1e-3
CHECKED_STEPS = 20  # after so many steps from the same weights on the same data, the libraries must agree on every loss
# Afterwards, while time is taken, steps are this small: at the usual rate the one batch would be learnt to the last bit, and
# arithmetic on the denormal numbers that gradients then become is slow.
TIMED_LR = 1e-6

Settings = dict[str, Any]
Weights = dict[str, np.ndarray]


class Problem(NamedTuple):
    """What one library trains.

    Attributes:
        model: "mlp", "cnn", "gpt", "lstm" or "vae".
        settings: its sizes.
        inputs: the arrays of the one batch: examples and targets.
        weights: the initial parameters by name; those of normalisations are not among them, they start as ones and zeros.
    """

    model: str
    settings: Settings
    inputs: tuple[np.ndarray, ...]
    weights: Weights


class Training(NamedTuple):
    """The training of a problem by one library.

    Attributes:
        step: forward, backward and Adam; returns the loss as a number.
        set_lr: changes the learning rate of the steps that follow.
    """

    step: Callable[[], float]
    set_lr: Callable[[float], None]


class Unsupported(Exception):  # noqa: N818, it is no error
    """The library cannot run this problem; the text says why."""


# name: (model, settings)
FULL: dict[str, tuple[str, Settings]] = {
    "tiny": ("mlp", {"sizes": [2, 16, 16, 1], "loss": "mse", "batch": 32}),
    "mlp": ("mlp", {"sizes": [784, 256, 128, 10], "loss": "cross-entropy", "batch": 64}),
    "mlp-wide": ("mlp", {"sizes": [784, 1024, 1024, 10], "loss": "cross-entropy", "batch": 256}),
    "cnn": ("cnn", {"side": 28, "channels": [1, 32, 64], "hidden": 128, "classes": 10, "batch": 64}),
    "gpt": ("gpt", {"layers": 4, "heads": 4, "width": 128, "context": 64, "characters": 65, "batch": 12}),
    "lstm": ("lstm", {"embedding": 64, "hidden": 128, "characters": 65, "length": 32, "batch": 32}),
    "vae": ("vae", {"pixels": 64, "width": 128, "code": 4, "batch": 64}),
}
QUICK: dict[str, tuple[str, Settings]] = {
    "tiny": FULL["tiny"],
    "mlp": FULL["mlp"],
    "cnn": ("cnn", {"side": 8, "channels": [1, 4, 8], "hidden": 16, "classes": 10, "batch": 8}),
    "gpt": ("gpt", {"layers": 1, "heads": 2, "width": 32, "context": 16, "characters": 65, "batch": 4}),
    "lstm": ("lstm", {"embedding": 16, "hidden": 32, "characters": 65, "length": 8, "batch": 8}),
    "vae": ("vae", {"pixels": 64, "width": 32, "code": 4, "batch": 16}),
}


def described(name: str) -> str:
    """The workload in a few words."""
    model, settings = FULL[name]
    batch = settings["batch"]
    if model == "mlp":
        return f"MLP {'-'.join(map(str, settings['sizes']))} [{batch}]"
    if model == "cnn":
        return f"2 convolutions, batch norm, max pool [{batch}]"
    if model == "gpt":
        return f"{settings['layers']} layers of width {settings['width']}, context {settings['context']} [{batch}]"
    if model == "lstm":
        return f"LSTM of {settings['hidden']}, {settings['length']} characters [{batch}]"
    return f"VAE {settings['pixels']}-{settings['width']}-{settings['width']}-{settings['code']} [{batch}]"


def problem(name: str, quick: bool = False) -> Problem:
    """The workload of this name, always the same; `quick` gives the reduced one."""
    return made(*(QUICK if quick else FULL)[name])


def made(model: str, settings: Settings) -> Problem:
    """A problem with a model of these sizes."""
    inputs, weights = MAKERS[model](np.random.default_rng(0), settings)
    return Problem(model, settings, inputs, weights)


def _linear(rng: np.random.Generator, name: str, inputs: int, outputs: int) -> Weights:
    weight = rng.standard_normal((inputs, outputs), np.float32) * np.float32(np.sqrt(2 / (inputs + outputs)))
    return {f"{name}.weight": weight, f"{name}.bias": np.zeros(outputs, np.float32)}


def _uniform(rng: np.random.Generator, shape: Iterable[int], fan: int) -> np.ndarray:
    bound = 1 / np.sqrt(fan)
    return rng.uniform(-bound, bound, tuple(shape)).astype(np.float32)


def _mlp(rng: np.random.Generator, s: Settings) -> tuple[tuple[np.ndarray, ...], Weights]:
    """Linear layers with ReLU between them; mean squared error, or cross-entropy of classes."""
    sizes = s["sizes"]
    x = rng.standard_normal((s["batch"], sizes[0]), np.float32)
    y = rng.standard_normal((s["batch"], 1), np.float32) if s["loss"] == "mse" else rng.integers(0, sizes[-1], s["batch"])
    weights: Weights = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        weights |= _linear(rng, f"layers.{2 * i}", inputs, outputs)
    return (x, y), weights


def _cnn(rng: np.random.Generator, s: Settings) -> tuple[tuple[np.ndarray, ...], Weights]:
    """Twice convolution 3 by 3, batch norm, ReLU, max pool 2; then two linear layers; cross-entropy of classes.

    The convolutions have no bias, which the batch norm would take away again.
    """
    x = rng.standard_normal((s["batch"], s["channels"][0], s["side"], s["side"]), np.float32)
    y = rng.integers(0, s["classes"], s["batch"])
    weights: Weights = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(s["channels"])):
        weights[f"layers.{4 * i}.weight"] = _uniform(rng, (outputs, inputs, 3, 3), 9 * inputs)
    features = s["channels"][-1] * (s["side"] // 4) ** 2
    weights |= _linear(rng, "layers.9", features, s["hidden"])
    weights |= _linear(rng, "layers.11", s["hidden"], s["classes"])
    return (x, y), weights


def _gpt(rng: np.random.Generator, s: Settings) -> tuple[tuple[np.ndarray, ...], Weights]:
    """Pre-norm transformer layers with causal attention and GELU by tanh; cross-entropy of the next character at all positions."""
    width = s["width"]
    text = rng.integers(0, s["characters"], (s["batch"], s["context"] + 1))
    weights: Weights = {
        "tokens.weight": rng.standard_normal((s["characters"], width), np.float32) * np.float32(0.02),
        "positions.weight": rng.standard_normal((s["context"], width), np.float32) * np.float32(0.02),
    }
    for i in range(s["layers"]):
        joint = _linear(rng, "", width, 3 * width)
        weights |= {f"blocks.{i}.self_attn.in_proj_{kind}": joint[f".{kind}"] for kind in ("weight", "bias")}
        weights |= _linear(rng, f"blocks.{i}.self_attn.out_proj", width, width)
        weights |= _linear(rng, f"blocks.{i}.linear1", width, 4 * width)
        weights |= _linear(rng, f"blocks.{i}.linear2", 4 * width, width)
    weights |= _linear(rng, "head", width, s["characters"])
    return (text[:, :-1].copy(), text[:, 1:].copy()), weights


def _lstm(rng: np.random.Generator, s: Settings) -> tuple[tuple[np.ndarray, ...], Weights]:
    """An embedding, an LSTM and a linear layer; cross-entropy of the next character at all times."""
    hidden = s["hidden"]
    text = rng.integers(0, s["characters"], (s["batch"], s["length"] + 1))
    weights = {
        "embedding.weight": rng.standard_normal((s["characters"], s["embedding"]), np.float32),
        "lstm.weight_ih_l0": _uniform(rng, (s["embedding"], 4 * hidden), hidden),
        "lstm.weight_hh_l0": _uniform(rng, (hidden, 4 * hidden), hidden),
        "lstm.bias_ih_l0": _uniform(rng, (4 * hidden,), hidden),
        "lstm.bias_hh_l0": _uniform(rng, (4 * hidden,), hidden),
    }
    weights |= _linear(rng, "head", hidden, s["characters"])
    return (text[:, :-1].copy(), text[:, 1:].copy()), weights


def _vae(rng: np.random.Generator, s: Settings) -> tuple[tuple[np.ndarray, ...], Weights]:
    """Encoder and decoder of three linear layers with SiLU; the negative evidence lower bound per image, with the noise given."""
    x = rng.random((s["batch"], s["pixels"]), np.float32)
    noise = rng.standard_normal((s["batch"], s["code"]), np.float32)
    weights: Weights = {}
    sizes = {
        "encoder": [s["pixels"], s["width"], s["width"], 2 * s["code"]],
        "decoder": [s["code"], s["width"], s["width"], s["pixels"]],
    }
    for part in sizes:
        for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes[part])):
            weights |= _linear(rng, f"{part}.layers.{2 * i}", inputs, outputs)
    return (x, noise), weights


MAKERS = {"mlp": _mlp, "cnn": _cnn, "gpt": _gpt, "lstm": _lstm, "vae": _vae}
