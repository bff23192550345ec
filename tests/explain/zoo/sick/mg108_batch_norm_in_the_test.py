"""Train with batch norm, then classify the test digits class by class, to see which are hard."""

import numpy as np

from micrograd_plus import BatchNorm, Linear, Module, RMSprop, no_grad, set_seed
from micrograd_plus.data import load_digits
from micrograd_plus.losses import cross_entropy

set_seed(0)
data = load_digits()
train_x, train_y = data.train_images.reshape(-1, 64), data.train_labels
test_x, test_y = data.test_images.reshape(-1, 64), data.test_labels


class Net(Module):
    def __init__(self):
        self.one, self.norm, self.two = Linear(64, 64), BatchNorm(64), Linear(64, 10)

    def forward(self, x):
        return self.two(self.norm(self.one(x)).relu())


net = Net()
optimizer = RMSprop(net.parameters(), lr=0.003)
for epoch in range(6):
    order = np.random.permutation(len(train_x))
    for rows in np.array_split(order, 30):
        optimizer.zero_grad()
        loss = cross_entropy(net(train_x[rows]), train_y[rows])
        loss.backward()
        optimizer.step()

right = []
with no_grad():
    for digit in range(10):
        rows = np.flatnonzero(test_y == digit)
        right.append((net(test_x[rows]).data.argmax(1) == digit).mean())
        print(f"{digit}: {right[-1]:.2f}")
print("accuracy:", np.mean(right))
