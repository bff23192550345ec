"""Spirals with a class for the network; forward returns probabilities so that they can be plotted."""

import numpy as np

from micrograd_plus import Adam, Linear, Module, Tensor, set_seed
from micrograd_plus.losses import CrossEntropyLoss

set_seed(0)
k, n = 3, 120
label = np.repeat(np.arange(k), n)
r = np.tile(np.linspace(0.05, 1, n), k)
theta = label * 2 * np.pi / k + 4 * r + 0.1 * np.random.randn(k * n)
points = np.stack([r * np.sin(theta), r * np.cos(theta)], axis=1)


class SpiralNet(Module):
    def __init__(self, hidden=64):
        self.a = Linear(2, hidden)
        self.b = Linear(hidden, k)

    def forward(self, x):
        scores = self.b(self.a(x).relu())
        return scores.softmax(axis=1)


model = SpiralNet()
opt = Adam(model.parameters(), lr=0.02)
criterion = CrossEntropyLoss()
for step in range(200):
    opt.zero_grad()
    loss = criterion(model(Tensor(points)), label)
    loss.backward()
    opt.step()
    if step % 40 == 0:
        print(step, round(loss.item(), 3))
print("loss:", loss.item())
