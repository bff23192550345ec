"""Digits, with a temperature on the scores to make the answers sure."""

import numpy as np

from micrograd_plus import SGD, Linear, Module, Tensor, set_seed
from micrograd_plus.data import load_digits
from micrograd_plus.losses import cross_entropy

set_seed(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64), digits.train_labels


class Net(Module):
    def __init__(self, temperature=0.005):
        self.hidden = Linear(64, 48)
        self.scores = Linear(48, 10)
        self.temperature = temperature

    def forward(self, x):
        return self.scores(self.hidden(x).relu()) / self.temperature


net = Net()
optimizer = SGD(net.parameters(), lr=0.1)
for epoch in range(5):
    for rows in np.array_split(np.random.permutation(len(X)), 24):
        optimizer.zero_grad()
        loss = cross_entropy(net(Tensor(X[rows])), y[rows])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("test loss:", cross_entropy(net(Tensor(digits.test_images.reshape(-1, 64))), digits.test_labels).item())
