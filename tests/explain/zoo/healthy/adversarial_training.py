"""Every batch twice: as it is, and moved along the sign of the gradient at the inputs."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64), digits.train_labels
model = Sequential(Linear(64, 64), ReLU(), Linear(64, 10))
optimizer = Adam(model.parameters(), lr=0.003)
loss_fn = CrossEntropyLoss()
for epoch in range(4):
    for rows in np.array_split(np.random.permutation(len(X)), 23):
        x = Tensor(X[rows], requires_grad=True)
        loss_fn(model(x), y[rows]).backward()
        moved = np.clip(X[rows] + 0.05 * np.sign(x.grad), 0, 1)

        optimizer.zero_grad()
        loss = 0.5 * loss_fn(model(Tensor(X[rows])), y[rows]) + 0.5 * loss_fn(model(Tensor(moved)), y[rows])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
