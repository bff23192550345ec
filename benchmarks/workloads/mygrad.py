"""MyGrad, with Adam by hand in NumPy: multilayer perceptrons and the variational autoencoder."""

from collections.abc import Callable
from typing import Any

import mygrad as mg
from mygrad.nnet.activations import relu
from mygrad.nnet.losses import softmax_crossentropy

from .numpy_adam import Adam
from .problems import Problem, Settings, Training, Unsupported

Weights = dict[str, mg.Tensor]
Loss = Callable[..., mg.Tensor]  # (weights, *inputs) to a scalar


def training(problem: Problem) -> Training:
    """A problem's model, with Adam. MyGrad's checks of memory are off, as its documentation advises for speed."""
    if problem.model not in MODELS:
        raise Unsupported(f"MyGrad has no {MISSING[problem.model]}")
    mg.turn_memory_guarding_off()
    loss_of = MODELS[problem.model](problem.settings)
    weights = {name: mg.tensor(array.copy()) for name, array in problem.weights.items()}
    optimizer = Adam([w.data for w in weights.values()])

    def step() -> float:
        loss = loss_of(weights, *problem.inputs)
        loss.backward()
        optimizer.step([w.grad for w in weights.values()])
        return float(loss.item())

    return Training(step, lambda lr: setattr(optimizer, "lr", lr))


def _linear(w: Weights, name: str, x: Any) -> mg.Tensor:
    return mg.matmul(x, w[f"{name}.weight"]) + w[f"{name}.bias"]


def _mlp(s: Settings) -> Loss:
    last = len(s["sizes"]) - 2

    def loss(w: Weights, x: Any, y: Any) -> mg.Tensor:
        for i in range(last):
            x = relu(_linear(w, f"layers.{2 * i}", x))
        x = _linear(w, f"layers.{2 * last}", x)
        return mg.mean((x - y) ** 2) if s["loss"] == "mse" else softmax_crossentropy(x, y)

    return loss


def _vae(s: Settings) -> Loss:
    def silu(x: mg.Tensor) -> mg.Tensor:
        return x / (1 + mg.exp(-x))

    def net(w: Weights, name: str, x: Any) -> mg.Tensor:
        x = silu(_linear(w, f"{name}.layers.0", x))
        return _linear(w, f"{name}.layers.4", silu(_linear(w, f"{name}.layers.2", x)))

    def loss(w: Weights, x: Any, noise: Any) -> mg.Tensor:
        code = net(w, "encoder", x)
        mean, log_variance = code[:, : s["code"]], code[:, s["code"] :]
        logits = net(w, "decoder", mean + mg.exp(log_variance / 2) * noise)
        reconstruction = mg.sum(mg.logaddexp(0, logits) - logits * x)
        divergence = 0.5 * mg.sum(mean**2 + mg.exp(log_variance) - log_variance - 1)
        return (reconstruction + divergence) / len(x)

    return loss


MODELS: dict[str, Callable[[Settings], Loss]] = {"mlp": _mlp, "vae": _vae}
MISSING = {"cnn": "running statistics in its batch norm", "gpt": "layers of a transformer", "lstm": "LSTM"}
