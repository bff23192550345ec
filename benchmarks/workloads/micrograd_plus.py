"""MicroGrad+: the step as a user writes it, run eagerly or through `compile`."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import micrograd_plus as mg
from micrograd_plus.losses import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from .problems import LR, Problem, Settings, Training, Unsupported


def training(problem: Problem, compiled: bool = False) -> Training:
    """A problem's model, with Adam; compiled or not, the step is the same function."""
    model, loss_of = MODELS[problem.model](problem.settings)
    model.load_state_dict({**model.state_dict(), **problem.weights})
    optimizer = mg.Adam(model.parameters(), lr=LR)

    def step(*inputs: np.ndarray) -> float:
        optimizer.zero_grad()
        loss = loss_of(model, *inputs)
        loss.backward()
        optimizer.step()
        return loss.item()

    if compiled:
        if not hasattr(mg, "compile"):
            raise Unsupported("micrograd_plus.compile is not there yet")
        step = mg.compile(step)
    return Training(lambda: step(*problem.inputs), lambda lr: setattr(optimizer, "lr", lr))


Model = tuple[mg.Module, Callable[..., mg.Tensor]]  # a model, and its loss: (model, *inputs) to a scalar


def _mlp(s: Settings) -> Model:
    model = mg.Sequential()
    for inputs, outputs in itertools.pairwise(s["sizes"]):
        model.add(mg.Linear(inputs, outputs)).add(mg.ReLU())
    criterion = mse_loss if s["loss"] == "mse" else cross_entropy
    return mg.Sequential(*model[:-1]), lambda model, x, y: criterion(model(x), y)


def _cnn(s: Settings) -> Model:
    convolutions: list[mg.Module] = []
    for inputs, outputs in itertools.pairwise(s["channels"]):
        convolutions += [mg.Conv2d(inputs, outputs, 3, padding="same", bias=False), mg.BatchNorm2d(outputs), mg.ReLU(), mg.MaxPool2d(2)]
    features = s["channels"][-1] * (s["side"] // 4) ** 2
    head = [mg.Flatten(), mg.Linear(features, s["hidden"]), mg.ReLU(), mg.Linear(s["hidden"], s["classes"])]
    return mg.Sequential(*convolutions, *head), lambda model, x, y: cross_entropy(model(x), y)


class GPT(mg.Module):
    """Characters (N, L) to the logits of the characters after them (N, L, C)."""

    def __init__(self, s: Settings) -> None:
        width = s["width"]
        self.tokens = mg.Embedding(s["characters"], width)
        self.positions = mg.Embedding(s["context"], width)
        settings: dict[str, Any] = {"dropout": 0.0, "activation": mg.GELU("tanh"), "batch_first": True, "norm_first": True}
        self.blocks = [mg.TransformerEncoderLayer(width, s["heads"], 4 * width, **settings) for _ in range(s["layers"])]
        self.norm = mg.LayerNorm(width)
        self.head = mg.Linear(width, s["characters"])

    def forward(self, x: np.ndarray) -> mg.Tensor:
        hidden = self.tokens(x) + self.positions(np.arange(x.shape[1]))
        for block in self.blocks:
            hidden = block(hidden, is_causal=True)
        return self.head(self.norm(hidden))


class CharacterLSTM(mg.Module):
    """Characters (N, L) to the logits of the characters after them (N, L, C)."""

    def __init__(self, s: Settings) -> None:
        self.embedding = mg.Embedding(s["characters"], s["embedding"])
        self.lstm = mg.LSTM(s["embedding"], s["hidden"], batch_first=True)
        self.head = mg.Linear(s["hidden"], s["characters"])

    def forward(self, x: np.ndarray) -> mg.Tensor:
        output, _ = self.lstm(self.embedding(x))
        return self.head(output)


def _next_character_loss(model: mg.Module, x: np.ndarray, y: np.ndarray) -> mg.Tensor:
    logits = model(x)
    return cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


class VAE(mg.Module):
    """Images (N, pixels) and noise (N, code) to the logits of their reconstruction, and the code's mean and log-variance."""

    def __init__(self, s: Settings) -> None:
        pixels, width, code = s["pixels"], s["width"], s["code"]
        self.encoder = _silu_net(pixels, width, width, 2 * code)
        self.decoder = _silu_net(code, width, width, pixels)

    def forward(self, x: np.ndarray, noise: np.ndarray) -> tuple[mg.Tensor, mg.Tensor, mg.Tensor]:
        mean, log_variance = np.split(self.encoder(x), 2, axis=1)
        z = mean + (log_variance / 2).exp() * noise
        return self.decoder(z), mean, log_variance


def _silu_net(*sizes: int) -> mg.Sequential:
    first, *others = itertools.pairwise(sizes)
    layers: list[mg.Module] = [mg.Linear(*first)]
    for pair in others:
        layers += [mg.SiLU(), mg.Linear(*pair)]
    return mg.Sequential(*layers)


def _vae_loss(model: mg.Module, x: np.ndarray, noise: np.ndarray) -> mg.Tensor:
    logits, mean, log_variance = model(x, noise)
    reconstruction = binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum()
    return (reconstruction + divergence) / len(x)


MODELS: dict[str, Callable[[Settings], Model]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "gpt": lambda s: (GPT(s), _next_character_loss),
    "lstm": lambda s: (CharacterLSTM(s), _next_character_loss),
    "vae": lambda s: (VAE(s), _vae_loss),
}
