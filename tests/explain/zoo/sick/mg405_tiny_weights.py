"""Small random weights, because large ones are said to be bad."""

import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Linear, Sequential, Tanh, accuracy, evaluate, init, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()


def small(shape, generator=None):
    return init.normal(shape, 0.001, generator)


model = Sequential(
    *(Linear(64, 64, initializer=small), Tanh()),
    *(Linear(64, 64, initializer=small), Tanh()),
    *(Linear(64, 64, initializer=small), Tanh()),
    Linear(64, 10, initializer=small),
)
optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
train = DataLoader(digits.train_images.reshape(-1, 64), digits.train_labels, batch_size=64)
test = DataLoader(digits.test_images.reshape(-1, 64), digits.test_labels, batch_size=64, shuffle=False)
loss_fn = CrossEntropyLoss()
losses = [train_epoch(model, train, loss_fn, optimizer) for _ in range(5)]
print(np.round(losses, 3))
print("accuracy:", evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
