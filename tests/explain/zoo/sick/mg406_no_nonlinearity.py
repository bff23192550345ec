"""Spirals with four layers."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, DataLoader, Linear, Sequential, Tensor, set_seed, train_epoch

set_seed(0)
n = 400
y = np.random.randint(0, 2, n)
r = np.random.uniform(0.2, 1.6, n)
angle = 3 * r + np.pi * y
X = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1).astype(np.float32)

model = Sequential(Linear(2, 64), Linear(64, 64), Linear(64, 64), Linear(64, 2))
optimizer = Adam(model.parameters(), lr=0.005)
loader = DataLoader(X, y, batch_size=40)
for epoch in range(25):
    loss = train_epoch(model, loader, CrossEntropyLoss(), optimizer)
    if epoch % 5 == 0:
        print(epoch, loss)
print("accuracy:", (model(Tensor(X)).data.argmax(1) == y).mean())
