"""Digits, class by class."""

import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64), digits.train_labels
model = Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
optimizer = SGD(model.parameters(), lr=0.05)
criterion = CrossEntropyLoss()
for epoch in range(10):
    order = np.concatenate([np.flatnonzero(y == digit) for digit in range(10)])
    for i in range(0, len(order), 24):
        rows = order[i : i + 24]
        optimizer.zero_grad()
        loss = criterion(model(Tensor(X[rows])), y[rows])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("accuracy:", (model(Tensor(digits.test_images.reshape(-1, 64))).data.argmax(1) == digits.test_labels).mean())
