"""A regression that also says how sure it is: a mean and a standard deviation for each example."""

import numpy as np

from micrograd_plus import Adam, Linear, Module, Tensor, set_seed

set_seed(0)
np.seterr(all="ignore")
x = np.random.uniform(-1, 1, (300, 1)).astype(np.float32)
y = np.sin(3 * x) + (0.1 + 0.2 * np.abs(x)) * np.random.randn(300, 1)


class Gaussian(Module):
    def __init__(self, width=32):
        self.hidden = Linear(1, width)
        self.mean = Linear(width, 1)
        self.sigma = Linear(width, 1)

    def forward(self, x):
        h = self.hidden(x).tanh()
        return self.mean(h), self.sigma(h)


model = Gaussian()
optimizer = Adam(model.parameters(), lr=0.01)
for epoch in range(30):
    for rows in np.split(np.random.permutation(300), 6):
        mean, sigma = model(Tensor(x[rows]))
        loss = (sigma.log() + (Tensor(y[rows]) - mean) ** 2 / (2 * sigma**2)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 6 == 0:
        print(epoch, loss.item())
print("loss:", loss.item())
