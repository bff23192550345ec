"""Moons by SGD with momentum."""

import numpy as np

from micrograd_plus import SGD, BCEWithLogitsLoss, DataLoader, Linear, ReLU, Sequential, set_seed, train_epoch

set_seed(0)
n = 400
label = np.arange(n) % 2
t = np.random.uniform(0, np.pi, n)
X = np.stack([np.where(label, 1 - np.cos(t), np.cos(t)) - 0.5, np.where(label, 0.5 - np.sin(t), np.sin(t)) - 0.25], axis=1)
X = (X + 0.1 * np.random.randn(n, 2)).astype(np.float32)

model = Sequential(Linear(2, 32), ReLU(), Linear(32, 32), ReLU(), Linear(32, 1))
optimizer = SGD(model.parameters(), lr=2.0, momentum=0.9)
loader = DataLoader(X, label.reshape(-1, 1), batch_size=40)
for epoch in range(15):
    loss = train_epoch(model, loader, BCEWithLogitsLoss(), optimizer)
    if epoch % 5 == 0:
        print(epoch, loss)
print("loss:", loss)
