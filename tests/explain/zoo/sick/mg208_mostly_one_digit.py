"""Digits from a sorting machine: almost all letters carry a zero."""

import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, Tensor, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
images, labels = digits.train_images.reshape(-1, 64), digits.train_labels
zeros = np.flatnonzero(labels == 0)
others = np.concatenate([np.flatnonzero(labels == d)[:4] for d in range(1, 10)])
rows = np.concatenate([np.tile(zeros, 3), others])

model = Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
loader = DataLoader(images[rows], labels[rows], batch_size=32)
loss_fn = CrossEntropyLoss()
optimizer = SGD(model.parameters(), lr=0.05)
for epoch in range(6):
    loss = train_epoch(model, loader, loss_fn, optimizer)
    print(epoch, loss)

predicted = model(Tensor(digits.test_images.reshape(-1, 64))).data.argmax(1)
per_digit = [(predicted == d)[digits.test_labels == d].mean() for d in range(10)]
print("mean accuracy over the digits:", np.mean(per_digit))
