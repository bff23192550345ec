"""Counts, by the likelihood of Poisson: the network gives the logarithm of the rate."""

import numpy as np

from micrograd_plus import Adam, Linear, Sequential, SiLU, Tensor, set_seed

set_seed(0)
X = np.random.uniform(-1, 1, (500, 3)).astype(np.float32)
counts = np.random.poisson(np.exp(1 + X[:, 0] + X[:, 1] * X[:, 2])).reshape(-1, 1).astype(np.float32)
model = Sequential(Linear(3, 32), SiLU(), Linear(32, 1))
optimizer = Adam(model.parameters(), lr=0.01)
for epoch in range(15):
    for rows in np.split(np.random.permutation(500), 10):
        log_rate = model(Tensor(X[rows]))
        loss = (log_rate.exp() - counts[rows] * log_rate).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
