"""Spirals; the network starts from zero so that every run is the same."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, Linear, Sequential, Tanh, Tensor, set_seed

set_seed(0)
t = np.sqrt(np.random.rand(300, 1)) * 2 * np.pi
sign = np.where(np.arange(300) % 2, 1, -1).reshape(-1, 1)
X = sign * np.concatenate([t * np.cos(t), t * np.sin(t)], axis=1) / 4 + 0.03 * np.random.randn(300, 2)
y = (sign + 1) // 2

model = Sequential(Linear(2, 32), Tanh(), Linear(32, 32), Tanh(), Linear(32, 1))
for p in model.parameters():
    p.data[:] = 0.0
optimizer = Adam(model.parameters(), lr=0.02)
loss_fn = BCEWithLogitsLoss()
for epoch in range(200):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), y)
    loss.backward()
    optimizer.step()
    if epoch % 40 == 0:
        print(epoch, loss.item())
print("accuracy:", ((model(Tensor(X)).data > 0) == y).mean())
