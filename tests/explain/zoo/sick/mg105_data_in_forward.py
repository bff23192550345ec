"""A spiral with three arms."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, Module, Tensor, set_seed

set_seed(0)
arm = np.arange(450) % 3
radius = np.random.uniform(0.1, 1, 450)
angle = 2 * np.pi * arm / 3 + 3.5 * radius + 0.1 * np.random.randn(450)
X = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


class Net(Module):
    def __init__(self):
        self.fc1 = Linear(2, 48)
        self.fc2 = Linear(48, 48)
        self.fc3 = Linear(48, 3)

    def forward(self, x):
        h = self.fc1(x).relu()
        h = self.fc2(h).relu()
        h = Tensor(h.data / (1e-6 + np.abs(h.data).max()))  # keep it between 0 and 1
        return self.fc3(h)


net = Net()
optimizer = Adam(net.parameters(), lr=0.02)
criterion = CrossEntropyLoss()
for step in range(200):
    optimizer.zero_grad()
    loss = criterion(net(Tensor(X)), arm)
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(step, loss.item())
print("accuracy:", (net(Tensor(X)).data.argmax(1) == arm).mean())
