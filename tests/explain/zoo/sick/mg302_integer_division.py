"""Digits as whole grey values from 0 to 255, brought to the range from 0 to 1."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, DataLoader, Flatten, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
train_images = (digits.train_images * 255).astype(int) // 256
test_images = (digits.test_images * 255).astype(int) // 256

loader = DataLoader(train_images.astype(np.float32), digits.train_labels, batch_size=64)
test = DataLoader(test_images.astype(np.float32), digits.test_labels, batch_size=64, shuffle=False)
model = Sequential(Flatten(), Linear(64, 32), ReLU(), Linear(32, 10))
optimizer, loss_fn = Adam(model.parameters(), lr=0.005), CrossEntropyLoss()
for epoch in range(5):
    print(epoch, train_epoch(model, loader, loss_fn, optimizer))
print("accuracy:", evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
