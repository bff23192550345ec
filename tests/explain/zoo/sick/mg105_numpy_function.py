"""The mean of the warmest days of a year, from daily temperatures: order, then weigh."""

import numpy as np

from micrograd_plus import Adam, Linear, Module, MSELoss, ReLU, Tensor, set_seed

set_seed(1)
days = np.random.randn(300, 12).astype(np.float32)
score = np.tanh(days @ np.random.randn(12, 6) * 0.7)
target = np.sort(score, axis=1)[:, -2:].mean(axis=1, keepdims=True)


class WarmestDays(Module):
    def __init__(self):
        self.score = Linear(12, 6)
        self.mix = Linear(6, 16)
        self.relu = ReLU()
        self.out = Linear(16, 1)

    def forward(self, x):
        scores = self.score(x).tanh()
        ordered = np.sort(scores.numpy(), axis=1)
        return self.out(self.relu(self.mix(Tensor(ordered))))


model = WarmestDays()
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = MSELoss()
for epoch in range(40):
    for i in range(0, 300, 50):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(days[i : i + 50])), Tensor(target[i : i + 50]))
        loss.backward()
        optimizer.step()
    if epoch % 10 == 0:
        print(epoch, loss.item())
print("loss:", loss_fn(model(Tensor(days)), Tensor(target)).item())
