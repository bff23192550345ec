"""Dropout and batch norm; a validation within the epoch, every ten steps, and back to training."""

import numpy as np

from micrograd_plus import Adam, BatchNorm, CrossEntropyLoss, Dropout, Linear, ReLU, Sequential, Tensor, no_grad, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64), digits.train_labels
X_val, y_val = X[1200:], y[1200:]
X, y = X[:1200], y[:1200]
model = Sequential(Linear(64, 64), BatchNorm(64), ReLU(), Dropout(0.3), Linear(64, 10))
optimizer = Adam(model.parameters(), lr=0.003)
loss_fn = CrossEntropyLoss()
for step in range(100):
    model.train()
    rows = np.random.randint(0, 1200, 64)
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X[rows])), y[rows])
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        model.eval()
        with no_grad():
            scores = model(Tensor(X_val))
        print(step, loss.item(), (scores.data.argmax(1) == y_val).mean())
