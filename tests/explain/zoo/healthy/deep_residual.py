"""Sixteen residual blocks with layer norm; the last layer of each starts at zero, so that each begins as the identity."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, LayerNorm, Linear, ReLU, Residual, Sequential, Tensor, init, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64), digits.train_labels


def block(width):
    last = Linear(width, width)
    last.weight.data[:] = 0
    return Residual(LayerNorm(width), Linear(width, width, initializer=init.kaiming_normal), ReLU(), last)


model = Sequential(Linear(64, 32), *[block(32) for _ in range(16)], LayerNorm(32), Linear(32, 10))
optimizer = Adam(model.parameters(), lr=0.002)
loss_fn = CrossEntropyLoss()
for epoch in range(3):
    for rows in np.array_split(np.random.permutation(len(X)), 23):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[rows])), y[rows])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
