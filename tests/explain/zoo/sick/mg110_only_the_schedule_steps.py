"""A schedule for the learning rate: steep at first, fine in the end."""

import numpy as np

from micrograd_plus import SGD, HuberLoss, Linear, ReLU, Sequential, StepLR, Tensor, set_seed
from micrograd_plus.data import DataLoader

set_seed(0)
rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (320, 2)).astype(np.float32)
y = np.abs(X[:, :1]) - np.abs(X[:, 1:])

model = Sequential(Linear(2, 24), ReLU(), Linear(24, 1))
optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
scheduler = StepLR(optimizer, step_size=100, gamma=0.3)
loss_fn = HuberLoss()
for epoch in range(20):
    total = 0.0
    for inputs, targets in DataLoader(X, y, batch_size=32):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(inputs)), targets)
        loss.backward()
        scheduler.step()
        total += loss.item() * len(inputs)
    if epoch % 5 == 0:
        print(f"epoch {epoch}: {total / len(X):.4f}, lr {optimizer.lr:.3f}")
print("loss:", total / len(X))
