"""The slope of a noisy line, from ten points of it."""

import numpy as np

from micrograd_plus import SGD, Linear, MSELoss, Sequential, Tanh, Tensor, set_seed

set_seed(0)
rng = np.random.default_rng(0)
slopes = rng.uniform(-1, 1, 300)
t = np.linspace(-1, 1, 10)
features = np.zeros((300, 10), np.float32)
for row, slope in zip(features, slopes, strict=True):
    row = slope * t + 0.1 * rng.normal(size=10)
targets = slopes.reshape(-1, 1)

model = Sequential(Linear(10, 16), Tanh(), Linear(16, 1))
optimizer = SGD(model.parameters(), lr=0.1)
loss_fn = MSELoss()
for step in range(200):
    rows = rng.integers(0, 300, 50)
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(features[rows])), targets[rows])
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(step, loss.item())
print("loss:", loss.item())
