"""PyTorch with its fused Adam: eager, and through `torch.compile` in two ways.

"loss" compiles the forward pass and the loss, and with them the backward pass; "step" compiles gradients and a hand-written Adam
too, as one graph, as JAX's step is.
"""

import itertools
import shutil
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .problems import LR, THREADS, Problem, Settings, Training, Unsupported

Loss = Callable[..., Tensor]  # (model, *inputs) to a scalar


def training(problem: Problem, compiled: str = "", mode: str = "default") -> Training:
    """A problem's model, with Adam.

    Args:
        problem: what to train.
        compiled: "" for eager, "loss" or "step".
        mode: of torch.compile.
    """
    torch.set_num_threads(THREADS)
    if compiled and not shutil.which("g++"):
        raise Unsupported("torch.compile needs a C++ compiler")
    model, loss_of = MODELS[problem.model](problem.settings)
    _load(model, problem)
    inputs = [torch.from_numpy(array) for array in problem.inputs]
    if compiled == "step":
        return _whole_step(model, loss_of, inputs, mode)
    if compiled:
        loss_of = torch.compile(loss_of, mode=mode)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(model, *inputs)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Training(step, lambda lr: optimizer.param_groups[0].update(lr=lr))


def _whole_step(model: nn.Module, loss_of: Loss, inputs: list[Tensor], mode: str) -> Training:
    """Loss, gradients and Adam as one compiled function of tensors."""
    params = [p.detach() for p in model.parameters()]
    names = [name for name, _ in model.named_parameters()]
    buffers = dict(model.named_buffers())
    moments = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    lr, t = torch.tensor(LR), torch.tensor(0.0)

    def loss_at(params: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        state = {**dict(zip(names, params, strict=True)), **{name: b.clone() for name, b in buffers.items()}}
        loss = loss_of(lambda *args: torch.func.functional_call(model, state, args), *inputs)
        return loss, {name: state[name] for name in buffers}

    @torch.compile(mode=mode)
    @torch.no_grad()
    def update() -> Tensor:
        gradients, (loss, new) = torch.func.grad_and_value(loss_at, has_aux=True)(params)
        for name, buffer in buffers.items():
            buffer.copy_(new[name])
        t.add_(1)
        rate, root = lr / (1 - 0.9**t), torch.sqrt(1 - 0.999**t)
        for p, m, v, g in zip(params, *moments, gradients, strict=True):
            m.mul_(0.9).add_(g, alpha=0.1)
            v.mul_(0.999).add_(g * g, alpha=0.001)
            p.sub_(rate * m / (v.sqrt() / root + 1e-8))
        return loss

    return Training(lambda: update().item(), lambda value: lr.fill_(value))


def _load(model: nn.Module, problem: Problem) -> None:
    """Write a problem's weights into a model; PyTorch's matrices, but for embeddings, are transposed."""
    tables = [m.weight for m in model.modules() if isinstance(m, nn.Embedding)]
    params = dict(model.named_parameters())
    with torch.no_grad():
        for name, array in problem.weights.items():
            p, weight = params[name.replace("layers.", "")], torch.from_numpy(array)
            p.copy_(weight.T if weight.ndim == 2 and not any(p is table for table in tables) else weight)


def _mlp(s: Settings) -> tuple[nn.Module, Loss]:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(s["sizes"]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    criterion = F.mse_loss if s["loss"] == "mse" else F.cross_entropy
    return nn.Sequential(*layers[:-1]), lambda model, x, y: criterion(model(x), y)


def _cnn(s: Settings) -> tuple[nn.Module, Loss]:
    """With the channels last in memory, which takes a third of the time off an eager step."""
    convolutions: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(s["channels"]):
        convolutions += [nn.Conv2d(inputs, outputs, 3, padding="same", bias=False), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    features = s["channels"][-1] * (s["side"] // 4) ** 2
    head = [nn.Flatten(), nn.Linear(features, s["hidden"]), nn.ReLU(), nn.Linear(s["hidden"], s["classes"])]
    model = nn.Sequential(*convolutions, *head).to(memory_format=torch.channels_last)
    return model, lambda model, x, y: F.cross_entropy(model(x), y)


class Attention(nn.Module):
    """Causal self-attention, with one product for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        joint = F.linear(x, self.in_proj_weight, self.in_proj_bias).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = joint.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(y.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attn = Attention(width, heads)
        self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.norm1(x))
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    """Characters (N, L) to the logits of the characters after them (N, L, C)."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(s["characters"], s["width"]), nn.Embedding(s["context"], s["width"])
        self.blocks = nn.Sequential(*[Block(s["width"], s["heads"]) for _ in range(s["layers"])])
        self.norm, self.head = nn.LayerNorm(s["width"]), nn.Linear(s["width"], s["characters"])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.tokens(x) + self.positions.weight)))


class CharacterLSTM(nn.Module):
    """Characters (N, L) to the logits of the characters after them (N, L, C)."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.embedding = nn.Embedding(s["characters"], s["embedding"])
        self.lstm = nn.LSTM(s["embedding"], s["hidden"], batch_first=True)
        self.head = nn.Linear(s["hidden"], s["characters"])

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.lstm(self.embedding(x))
        return self.head(output)


def _next_character_loss(model: Any, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


class VAE(nn.Module):
    """Images (N, pixels) and noise (N, code) to the logits of their reconstruction, and the code's mean and log-variance."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        pixels, width, code = s["pixels"], s["width"], s["code"]
        self.encoder = _silu_net(pixels, width, width, 2 * code)
        self.decoder = _silu_net(code, width, width, pixels)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return self.decoder(mean + (log_variance / 2).exp() * noise), mean, log_variance


def _silu_net(*sizes: int) -> nn.Sequential:
    first, *others = itertools.pairwise(sizes)
    layers: list[nn.Module] = [nn.Linear(*first)]
    for pair in others:
        layers += [nn.SiLU(), nn.Linear(*pair)]
    return nn.Sequential(*layers)


def _vae_loss(model: Any, x: Tensor, noise: Tensor) -> Tensor:
    logits, mean, log_variance = model(x, noise)
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum()
    return (reconstruction + divergence) / len(x)


MODELS: dict[str, Callable[[Settings], tuple[nn.Module, Loss]]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "gpt": lambda s: (GPT(s), _next_character_loss),
    "lstm": lambda s: (CharacterLSTM(s), _next_character_loss),
    "vae": lambda s: (VAE(s), _vae_loss),
}
