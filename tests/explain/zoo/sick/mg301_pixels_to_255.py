"""Digits as 8-bit grey values, as image files hold them."""

import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
train_pixels = np.round(digits.train_images * 255).reshape(-1, 64)
test_pixels = np.round(digits.test_images * 255).reshape(-1, 64)

train = DataLoader(train_pixels, digits.train_labels, batch_size=64)
test = DataLoader(test_pixels, digits.test_labels, batch_size=64, shuffle=False)
model = Sequential(Linear(64, 64), ReLU(), Linear(64, 10))
optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
loss_fn = CrossEntropyLoss()
for epoch in range(6):
    loss = train_epoch(model, train, loss_fn, optimizer)
    print(f"epoch {epoch}: loss {loss:.4f}")
print("accuracy:", evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
