"""A rate that starts again and again, and clipped gradient values."""

import numpy as np

from micrograd_plus import SGD, CosineAnnealingWarmRestarts, HuberLoss, Linear, ReLU, Sequential, Tensor, clip_grad_value, set_seed

set_seed(0)
X = np.random.randn(320, 6).astype(np.float32)
y = np.maximum(X[:, :2].sum(axis=1, keepdims=True), X[:, 2:3])
model = Sequential(Linear(6, 40), ReLU(), Linear(40, 1))
optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
schedule = CosineAnnealingWarmRestarts(optimizer, T_0=5)
criterion = HuberLoss()
for epoch in range(15):
    for rows in np.split(np.random.permutation(320), 10):
        optimizer.zero_grad()
        loss = criterion(model(Tensor(X[rows])), Tensor(y[rows]))
        loss.backward()
        clip_grad_value(model.parameters(), 0.5)
        optimizer.step()
    schedule.step()
    print(epoch, loss.item())
