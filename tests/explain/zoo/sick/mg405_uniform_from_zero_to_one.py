"""Digits; the weights are np.random.rand, so that they are between 0 and 1 like the pixels."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
model = Sequential(Linear(64, 100), ReLU(), Linear(100, 100), ReLU(), Linear(100, 10))
for layer in model:
    if isinstance(layer, Linear):
        layer.weight.data[:] = np.random.rand(*layer.weight.shape)
train = DataLoader(digits.train_images.reshape(-1, 64), digits.train_labels, 64)
test = DataLoader(digits.test_images.reshape(-1, 64), digits.test_labels, 100, shuffle=False)
optimizer, loss_fn = Adam(model.parameters(), lr=0.002), CrossEntropyLoss()
for epoch in range(5):
    loss = train_epoch(model, train, loss_fn, optimizer)
    print(epoch, loss)
print("accuracy:", evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
