"""Digits, with the Kullback-Leibler divergence of the right answer from the model's, as the formula has it."""

import numpy as np

from micrograd_plus import SGD, Linear, ReLU, Sequential, Tensor, one_hot, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
np.seterr(all="ignore")
digits = load_digits()


def kl_divergence(targets, logits):
    p = Tensor(targets)
    return (p * (p.log() - logits.log_softmax(axis=1))).sum(axis=1).mean()


model = Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(4):
    for x, y in DataLoader(digits.train_images.reshape(-1, 64), one_hot(digits.train_labels, 10), batch_size=64):
        optimizer.zero_grad()
        loss = kl_divergence(y, model(Tensor(x)))
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("loss:", loss.item())
