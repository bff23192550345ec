"""Logistic regression on overlapping clouds. It starts from zero, which is as good as anything: the problem is convex."""

import numpy as np

from micrograd_plus import SGD, BCEWithLogitsLoss, Linear, Tensor, set_seed

set_seed(0)
y = np.random.randint(0, 2, 400)
X = np.random.randn(400, 3) + (2 * y[:, None] - 1) * [0.8, -0.4, 0.0]
model = Linear(3, 1)
model.weight.data[:] = 0
optimizer = SGD(model.parameters(), lr=0.5)
loss_fn = BCEWithLogitsLoss()
for epoch in range(60):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), y.reshape(-1, 1))
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
