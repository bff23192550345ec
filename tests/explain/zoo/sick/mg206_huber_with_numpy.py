"""Robust regression, with the pseudo-Huber loss of a textbook."""

import numpy as np

from micrograd_plus import Adam, Linear, ReLU, Sequential, Tensor, set_seed

set_seed(0)
X = np.random.randn(256, 4).astype(np.float32)
y = (np.maximum(X[:, 0], 0) - X[:, 1] + 0.1 * np.random.standard_cauchy(256)).clip(-5, 5)
model = Sequential(Linear(4, 24), ReLU(), Linear(24, 1))
optimizer = Adam(model.parameters(), lr=0.01)
for epoch in range(30):
    for i in range(0, 256, 32):
        difference = model(Tensor(X[i : i + 32])) - y[i : i + 32]
        loss = np.mean(np.sqrt(1 + difference**2) - 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print("mean absolute error:", np.abs(model(Tensor(X)).data.ravel() - y).mean())
