"""First the head alone, then everything, with a new optimizer and a smaller rate."""

import numpy as np

from micrograd_plus import SGD, Adam, Linear, MSELoss, ReLU, Sequential, Tensor, set_seed

set_seed(0)
X = np.random.uniform(-1, 1, (300, 4)).astype(np.float32)
y = np.sin(2 * X[:, :1]) - X[:, 1:2] * X[:, 2:3]
body = Sequential(Linear(4, 32), ReLU(), Linear(32, 32), ReLU())
head = Linear(32, 1)
model = Sequential(body, head)
loss_fn = MSELoss()


def train(optimizer, epochs):
    for _ in range(epochs):
        for rows in np.split(np.random.permutation(300), 10):
            optimizer.zero_grad()
            loss = loss_fn(model(Tensor(X[rows])), y[rows])
            loss.backward()
            optimizer.step()
    return loss.item()


for p in body.parameters():
    p.requires_grad = False
print("head:", train(Adam(head.parameters(), lr=0.01), 5))
for p in body.parameters():
    p.requires_grad = True
print("all:", train(SGD(model.parameters(), lr=0.02, momentum=0.9), 20))
