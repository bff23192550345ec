"""A multilayer perceptron with weights from a normal distribution, as in the lecture."""

import numpy as np

from micrograd_plus import SGD, Module, Tensor, set_seed
from micrograd_plus.data import load_digits
from micrograd_plus.losses import cross_entropy

set_seed(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64), digits.train_labels


def weight(n_in, n_out):
    return Tensor(np.random.randn(n_in, n_out), requires_grad=True)


class MyMLP(Module):
    def __init__(self):
        self.w1, self.w2, self.w3, self.w4 = weight(64, 128), weight(128, 128), weight(128, 128), weight(128, 10)

    def forward(self, x):
        h = (x @ self.w1).relu()
        h = (h @ self.w2).relu()
        h = (h @ self.w3).relu()
        return h @ self.w4


model = MyMLP()
optimizer = SGD(model.parameters(), lr=0.05)
for epoch in range(6):
    for rows in np.array_split(np.random.permutation(len(X)), 24):
        optimizer.zero_grad()
        loss = cross_entropy(model(Tensor(X[rows])), y[rows])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
predicted = model(Tensor(digits.test_images.reshape(-1, 64))).data.argmax(1)
print("accuracy:", (predicted == digits.test_labels).mean())
