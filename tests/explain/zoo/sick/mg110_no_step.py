"""Spirals; I print the loss, and it stays where it is."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, Linear, Sequential, Tanh, Tensor, set_seed

set_seed(0)
t = np.sqrt(np.random.rand(400, 1)) * 2.2 * np.pi
sign = np.where(np.arange(400) % 2, 1, -1).reshape(-1, 1)
X = sign * np.concatenate([t * np.cos(t), t * np.sin(t)], axis=1) / 5 + 0.03 * np.random.randn(400, 2)
y = (sign + 1) // 2

model = Sequential(Linear(2, 32), Tanh(), Linear(32, 32), Tanh(), Linear(32, 1))
optimizer = Adam(model.parameters(), lr=0.02)
loss_fn = BCEWithLogitsLoss()
for epoch in range(250):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), y)
    loss.backward()
    if epoch % 50 == 0:
        print(f"epoch {epoch}: {loss.item():.4f}")
print("accuracy:", ((model(Tensor(X)).data > 0) == y).mean())
