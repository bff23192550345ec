"""Moons, with a class for the network."""

import numpy as np

from micrograd_plus import SGD, BCEWithLogitsLoss, Linear, Module, Tensor, set_seed

set_seed(5)
n = 400
label = np.random.randint(0, 2, n)
t = np.random.uniform(0, np.pi, n)
X = np.where(label[:, None] == 0, np.stack([np.cos(t), np.sin(t)], 1), np.stack([1 - np.cos(t), 0.5 - np.sin(t)], 1))
X = (X + 0.1 * np.random.randn(n, 2) - [0.5, 0.25]) / [0.8, 0.5]


class MoonNet(Module):
    def __init__(self):
        self.layer1 = Linear(2, 2)
        self.layer2 = Linear(2, 32)
        self.out = Linear(2, 1)
        self.wide = Linear(32, 1)

    def forward(self, x):
        narrow = self.layer1(x).relu()
        wide = self.layer2(x).relu()
        return self.out(narrow) + self.wide(wide).detach()


model = MoonNet()
optimizer = SGD(model.parameters(), lr=1.0)
loss_fn = BCEWithLogitsLoss()
for epoch in range(300):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), label.reshape(-1, 1))
    loss.backward()
    optimizer.step()
    if epoch % 60 == 0:
        print(f"epoch {epoch}: loss {loss.item():.4f}")
print("accuracy:", ((model(Tensor(X)).data.reshape(-1) > 0) == label).mean())
