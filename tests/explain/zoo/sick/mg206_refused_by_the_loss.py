"""A regression with train_epoch."""

import numpy as np

from micrograd_plus import Adam, DataLoader, Linear, MSELoss, ReLU, Sequential, set_seed, train_epoch

set_seed(0)
X = np.random.randn(256, 8).astype(np.float32)
y = np.maximum(X[:, 0], X[:, 1]) - 0.5 * X[:, 2]
model = Sequential(Linear(8, 32), ReLU(), Linear(32, 1))
optimizer = Adam(model.parameters(), lr=0.01)
loader = DataLoader(X, y, batch_size=32)
for epoch in range(10):
    loss = train_epoch(model, loader, MSELoss(), optimizer)
    print(epoch, loss)
print("loss:", loss)
