"""Digits, each pixel standardised over the training images."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
X = digits.train_images.reshape(-1, 64)
X_test = digits.test_images.reshape(-1, 64)
mean, std = X.mean(axis=0), X.std(axis=0)
with np.errstate(invalid="ignore", divide="ignore"):
    X, X_test = (X - mean) / std, (X_test - mean) / std

model = Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
optimizer = Adam(model.parameters(), lr=0.003)
criterion = CrossEntropyLoss()
for epoch in range(5):
    for x, y in DataLoader(X, digits.train_labels, batch_size=64):
        optimizer.zero_grad()
        loss = criterion(model(Tensor(x)), y)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("accuracy:", (model(Tensor(X_test)).data.argmax(1) == digits.test_labels).mean())
