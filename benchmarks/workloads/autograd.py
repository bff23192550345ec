"""HIPS autograd, with Adam by hand in NumPy: multilayer perceptrons and the variational autoencoder."""

from collections.abc import Callable
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad

from .numpy_adam import Adam
from .problems import Problem, Settings, Training, Unsupported

Weights = dict[str, Any]
Loss = Callable[..., Any]  # (weights, *inputs) to a scalar


def training(problem: Problem) -> Training:
    """A problem's model, with Adam."""
    if problem.model not in MODELS:
        raise Unsupported(f"autograd has no {MISSING[problem.model]}")
    loss_at = value_and_grad(MODELS[problem.model](problem.settings))
    weights = {name: array.copy() for name, array in problem.weights.items()}
    optimizer = Adam(list(weights.values()))

    def step() -> float:
        loss, gradients = loss_at(weights, *problem.inputs)
        optimizer.step([gradients[name] for name in weights])
        return float(loss)

    return Training(step, lambda lr: setattr(optimizer, "lr", lr))


def _linear(w: Weights, name: str, x: Any) -> Any:
    return np.dot(x, w[f"{name}.weight"]) + w[f"{name}.bias"]


def _mlp(s: Settings) -> Loss:
    last = len(s["sizes"]) - 2

    def loss(w: Weights, x: Any, y: Any) -> Any:
        for i in range(last):
            x = np.maximum(_linear(w, f"layers.{2 * i}", x), 0)
        x = _linear(w, f"layers.{2 * last}", x)
        if s["loss"] == "mse":
            return np.mean((x - y) ** 2)
        shifted = x - np.max(x, axis=1, keepdims=True)
        return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - shifted[np.arange(len(y)), y])

    return loss


def _vae(s: Settings) -> Loss:
    def silu(x: Any) -> Any:
        return x / (1 + np.exp(-x))

    def net(w: Weights, name: str, x: Any) -> Any:
        x = silu(_linear(w, f"{name}.layers.0", x))
        return _linear(w, f"{name}.layers.4", silu(_linear(w, f"{name}.layers.2", x)))

    def loss(w: Weights, x: Any, noise: Any) -> Any:
        code = net(w, "encoder", x)
        mean, log_variance = code[:, : s["code"]], code[:, s["code"] :]
        logits = net(w, "decoder", mean + np.exp(log_variance / 2) * noise)
        reconstruction = np.sum(np.logaddexp(0, logits) - logits * x)
        divergence = 0.5 * np.sum(mean**2 + np.exp(log_variance) - log_variance - 1)
        return (reconstruction + divergence) / len(x)

    return loss


MODELS: dict[str, Callable[[Settings], Loss]] = {"mlp": _mlp, "vae": _vae}
MISSING = {"cnn": "pooling or batch norm", "gpt": "layers of a transformer", "lstm": "recurrent layers"}
