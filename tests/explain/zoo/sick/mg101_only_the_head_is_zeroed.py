"""Two numbers from a noisy signal: its frequency and its phase."""

import numpy as np

from micrograd_plus import SGD, Linear, Module, SmoothL1Loss, Tensor, set_seed

set_seed(0)
t = np.linspace(0, 1, 24)
frequency, phase = np.random.uniform(1, 2, 500), np.random.uniform(-1, 1, 500)
signals = np.sin(2 * np.pi * frequency[:, None] * t + phase[:, None]) + 0.05 * np.random.randn(500, 24)
targets = np.stack([frequency - 1.5, phase], axis=1)


class Reader(Module):
    def __init__(self):
        self.body = [Linear(24, 48), Linear(48, 48)]
        self.head = Linear(48, 2)

    def forward(self, x):
        for layer in self.body:
            x = layer(x).gelu()
        return self.head(x)


reader = Reader()
optimizer = SGD(reader.parameters(), lr=0.1, momentum=0.9)
loss_fn = SmoothL1Loss()
for epoch in range(15):
    for rows in np.array_split(np.random.permutation(500), 10):
        reader.head.zero_grad()
        loss = loss_fn(reader(Tensor(signals[rows])), targets[rows])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("loss:", loss.item())
