"""Metric learning: points of one class are to lie closer together than points of two."""

import numpy as np

from micrograd_plus import Adam, Linear, Sequential, Tanh, Tensor, set_seed

set_seed(0)
np.seterr(all="ignore")
rng = np.random.default_rng(0)
label = rng.integers(0, 3, 150)
X = (rng.normal(size=(3, 5))[label] + 0.7 * rng.normal(size=(150, 5))).astype(np.float32)

model = Sequential(Linear(5, 24), Tanh(), Linear(24, 2))
optimizer = Adam(model.parameters(), lr=0.01)
for step in range(100):
    rows = rng.permutation(150)[:30]
    z, same = model(Tensor(X[rows])), (label[rows, None] == label[rows]).astype(np.float32)
    squared = ((z.unsqueeze(1) - z.unsqueeze(0)) ** 2).sum(axis=2)
    distance = squared.sqrt()
    loss = (same * squared + (1 - same) * (2 - distance).relu() ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(step, loss.item())
print("loss:", loss.item())
