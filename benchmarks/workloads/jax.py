"""JAX: `jit` of the whole step, loss, gradients and a hand-written Adam, with donated buffers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from .problems import LR, Problem, Settings, Training

Weights = dict[str, Any]
Loss = Callable[..., tuple[Array, Weights]]  # (weights, running statistics, *inputs) to a scalar and the new statistics


def training(problem: Problem) -> Training:
    """A problem's model, with Adam."""
    make = MODELS[problem.model]
    loss_of, first, running = make(problem.settings, problem.weights)
    inputs = [jnp.asarray(array) for array in problem.inputs]
    weights = jax.tree.map(jnp.array, first)
    state = weights, jax.tree.map(jnp.zeros_like, weights), jax.tree.map(jnp.zeros_like, weights), jnp.float32(0), running
    lr = jnp.float32(LR)

    @partial(jax.jit, donate_argnums=0)
    def update(state: Any, lr: Array, *inputs: Array) -> tuple[Array, Any]:
        w, m, v, t, running = state
        (loss, running), g = jax.value_and_grad(loss_of, has_aux=True)(w, running, *inputs)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate, root = lr / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
        w = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + 1e-8), w, m, v)
        return loss, (w, m, v, t, running)

    def step() -> float:
        nonlocal state
        loss, state = update(state, lr, *inputs)
        return float(loss)

    def set_lr(value: float) -> None:
        nonlocal lr
        lr = jnp.float32(value)

    return Training(step, set_lr)


def _linear(w: Weights, name: str, x: Array) -> Array:
    return x @ w[f"{name}.weight"] + w[f"{name}.bias"]


def _cross_entropy(logits: Array, labels: Array) -> Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1).mean()


def _mlp(s: Settings, weights: Weights) -> tuple[Loss, Weights, Weights]:
    last = len(s["sizes"]) - 2

    def loss(w: Weights, running: Weights, x: Array, y: Array) -> tuple[Array, Weights]:
        for i in range(last):
            x = jax.nn.relu(_linear(w, f"layers.{2 * i}", x))
        x = _linear(w, f"layers.{2 * last}", x)
        return jnp.mean((x - y) ** 2) if s["loss"] == "mse" else _cross_entropy(x, y), running

    return loss, weights, {}


def _cnn(s: Settings, weights: Weights) -> tuple[Loss, Weights, Weights]:
    """With the channels last, which is faster: the weights are put in that order, the rows of the first linear layer's too."""
    channels, places = s["channels"], s["side"] // 4
    weights = dict(weights)
    running: Weights = {}
    for i, outputs in enumerate(channels[1:]):
        weights[f"layers.{4 * i}.weight"] = weights[f"layers.{4 * i}.weight"].transpose(2, 3, 1, 0)
        weights |= {f"layers.{4 * i + 1}.weight": np.ones(outputs, np.float32), f"layers.{4 * i + 1}.bias": np.zeros(outputs, np.float32)}
        running |= {f"{i}.mean": jnp.zeros(outputs), f"{i}.var": jnp.ones(outputs)}
    rows = weights["layers.9.weight"].reshape(channels[-1], places, places, -1)
    weights["layers.9.weight"] = rows.transpose(1, 2, 0, 3).reshape(-1, s["hidden"])

    def loss(w: Weights, running: Weights, x: Array, y: Array) -> tuple[Array, Weights]:
        x, new = x.transpose(0, 2, 3, 1), {}
        for i in range(len(channels) - 1):
            x = lax.conv_general_dilated(x, w[f"layers.{4 * i}.weight"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
            count = x.size / x.shape[-1]
            new[f"{i}.mean"] = 0.9 * running[f"{i}.mean"] + 0.1 * mean
            new[f"{i}.var"] = 0.9 * running[f"{i}.var"] + 0.1 * var * (count / (count - 1))
            x = (x - mean) * lax.rsqrt(var + 1e-5) * w[f"layers.{4 * i + 1}.weight"] + w[f"layers.{4 * i + 1}.bias"]
            x = _pool(jax.nn.relu(x))
        x = jax.nn.relu(_linear(w, "layers.9", x.reshape(len(x), -1)))
        return _cross_entropy(_linear(w, "layers.11", x), y), new

    return loss, weights, running


def _pool(x: Array) -> Array:
    """The maximum of each two by two; `lax.reduce_window` takes twice as long with its gradient."""
    rows = jnp.maximum(x[:, ::2], x[:, 1::2])
    return jnp.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def _layer_norm(w: Weights, name: str, x: Array) -> Array:
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def _gpt(s: Settings, weights: Weights) -> tuple[Loss, Weights, Weights]:
    names = ["norm", *(f"blocks.{i}.norm{j}" for i in range(s["layers"]) for j in (1, 2))]
    width, heads = s["width"], s["heads"]
    norms: Weights = {}
    for name in names:
        norms |= {f"{name}.weight": np.ones(width, np.float32), f"{name}.bias": np.zeros(width, np.float32)}

    def attention(w: Weights, name: str, x: Array) -> Array:
        joint = (x @ w[f"{name}.in_proj_weight"] + w[f"{name}.in_proj_bias"]).reshape(*x.shape[:2], 3, heads, width // heads)
        y = jax.nn.dot_product_attention(*(joint[:, :, i] for i in range(3)), is_causal=True)
        return _linear(w, f"{name}.out_proj", y.reshape(x.shape))

    def loss(w: Weights, running: Weights, x: Array, y: Array) -> tuple[Array, Weights]:
        x = w["tokens.weight"][x] + w["positions.weight"]
        for i in range(s["layers"]):
            x = x + attention(w, f"blocks.{i}.self_attn", _layer_norm(w, f"blocks.{i}.norm1", x))
            hidden = jax.nn.gelu(_linear(w, f"blocks.{i}.linear1", _layer_norm(w, f"blocks.{i}.norm2", x)), approximate=True)
            x = x + _linear(w, f"blocks.{i}.linear2", hidden)
        return _cross_entropy(_linear(w, "head", _layer_norm(w, "norm", x)), y), running

    return loss, weights | norms, {}


def _lstm(s: Settings, weights: Weights) -> tuple[Loss, Weights, Weights]:
    def loss(w: Weights, running: Weights, x: Array, y: Array) -> tuple[Array, Weights]:
        def cell(state: tuple[Array, Array], projected: Array) -> tuple[tuple[Array, Array], Array]:
            h, c = state
            i, f, g, o = jnp.split(projected + h @ w["lstm.weight_hh_l0"], 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        embedded = w["embedding.weight"][x.T]
        projected = embedded @ w["lstm.weight_ih_l0"] + (w["lstm.bias_ih_l0"] + w["lstm.bias_hh_l0"])
        start = jnp.zeros((len(x), s["hidden"]))
        _, output = lax.scan(cell, (start, start), projected)
        return _cross_entropy(_linear(w, "head", output), y.T), running

    return loss, weights, {}


def _vae(s: Settings, weights: Weights) -> tuple[Loss, Weights, Weights]:
    def net(w: Weights, name: str, x: Array) -> Array:
        x = jax.nn.silu(_linear(w, f"{name}.layers.0", x))
        return _linear(w, f"{name}.layers.4", jax.nn.silu(_linear(w, f"{name}.layers.2", x)))

    def loss(w: Weights, running: Weights, x: Array, noise: Array) -> tuple[Array, Weights]:
        mean, log_variance = jnp.split(net(w, "encoder", x), 2, axis=1)
        logits = net(w, "decoder", mean + jnp.exp(log_variance / 2) * noise)
        reconstruction = (jnp.maximum(logits, 0) - logits * x + jnp.log1p(jnp.exp(-jnp.abs(logits)))).sum()
        divergence = 0.5 * (mean**2 + jnp.exp(log_variance) - log_variance - 1).sum()
        return (reconstruction + divergence) / len(x), running

    return loss, weights, {}


MODELS = {"mlp": _mlp, "cnn": _cnn, "gpt": _gpt, "lstm": _lstm, "vae": _vae}
