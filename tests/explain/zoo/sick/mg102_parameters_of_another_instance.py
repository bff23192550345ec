"""Petals and sepals, made up; a class for the network."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, Module, Tensor, set_seed

set_seed(0)
kind = np.random.randint(0, 3, 200)
X = np.array([[-1, 0, 1, 0], [1, 0.5, 0, -1], [0, -1, -1, 1]])[kind] + 0.4 * np.random.randn(200, 4)


class FlowerNet(Module):
    def __init__(self):
        self.first, self.second = Linear(4, 20), Linear(20, 3)

    def forward(self, x):
        return self.second(self.first(x).silu())


optimizer = Adam(FlowerNet().parameters(), lr=0.02)
criterion = CrossEntropyLoss()
net = FlowerNet()

for epoch in range(80):
    optimizer.zero_grad()
    out = net(Tensor(X))
    loss = criterion(out, kind)
    loss.backward()
    optimizer.step()
print("accuracy:", (net(Tensor(X)).data.argmax(1) == kind).mean())
