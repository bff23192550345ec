"""A normalizing flow of two coupling layers learns the density of a bent cloud."""

import numpy as np

from micrograd_plus import Adam, Linear, Module, Tanh, Tensor, concatenate, set_seed
from micrograd_plus.nn import Sequential

set_seed(0)
u = np.random.randn(600, 2)
data = np.stack([u[:, 0], 0.5 * u[:, 0] ** 2 - 0.5 + 0.3 * u[:, 1]], axis=1)


class Coupling(Module):
    def __init__(self, first):
        self.first = first
        self.net = Sequential(Linear(1, 24), Tanh(), Linear(24, 2))

    def forward(self, x):
        kept, moved = (x[:, :1], x[:, 1:]) if self.first else (x[:, 1:], x[:, :1])
        out = self.net(kept)
        log_scale = out[:, :1].tanh()
        moved = moved * log_scale.exp() + out[:, 1:]
        return concatenate([kept, moved] if self.first else [moved, kept], axis=1), log_scale


layers = [Coupling(True), Coupling(False), Coupling(True)]
optimizer = Adam([p for layer in layers for p in layer.parameters()], lr=0.01)
for step in range(150):
    x, log_det = Tensor(data[np.random.randint(0, 600, 100)]), 0.0
    for layer in layers:
        x, log_scale = layer(x)
        log_det = log_det + log_scale
    loss = ((x**2).sum(axis=1, keepdims=True) / 2 - log_det).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(step, loss.item())
