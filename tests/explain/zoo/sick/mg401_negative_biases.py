"""Sparse features: few units are to be active for each example, so their biases begin below zero."""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, ReLU, Sequential, Tensor, set_seed

set_seed(0)
X = np.random.randn(400, 6).astype(np.float32)
y = np.maximum(X[:, :1] + X[:, 1:2], 0) - 0.5

model = Sequential(Linear(6, 40), ReLU(), Linear(40, 1))
model[0].bias.data[:] = -8.0
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = MSELoss()
for step in range(200):
    rows = np.random.randint(0, 400, 50)
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X[rows])), y[rows])
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(step, loss.item())
print("loss:", loss.item())
