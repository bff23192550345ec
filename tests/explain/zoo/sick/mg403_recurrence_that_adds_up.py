"""The moving average of a series, with weights that fall back in time, learnt by a recurrent network of my own."""

import numpy as np

from micrograd_plus import SGD, Linear, Module, MSELoss, Tensor, set_seed, zeros

set_seed(0)
rng = np.random.default_rng(0)
LENGTH, WIDTH = 40, 24
X = rng.normal(size=(256, LENGTH, 1)).astype(np.float32)
weights = 0.8 ** np.arange(LENGTH)[::-1]
y = (X[:, :, 0] * weights).sum(axis=1, keepdims=True)


class Recurrent(Module):
    def __init__(self):
        self.read = Linear(1, WIDTH)
        self.step = Linear(WIDTH, WIDTH)
        self.out = Linear(WIDTH, 1)

    def forward(self, x):
        h = zeros(x.shape[0], WIDTH)
        for t in range(x.shape[1]):
            h = h + (self.read(x[:, t]) + self.step(h)).relu()
        return self.out(h)


model = Recurrent()
optimizer = SGD(model.parameters(), lr=0.02)
mse = MSELoss()
for step in range(120):
    rows = rng.integers(0, 256, 32)
    optimizer.zero_grad()
    loss = mse(model(Tensor(X[rows])), y[rows])
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(step, loss.item())
print("loss:", loss.item())
