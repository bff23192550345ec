"""A bump in the plane; weights and biases of my own."""

import numpy as np

from micrograd_plus import Adam, Module, MSELoss, Parameter, Tensor, set_seed

set_seed(0)
X = np.random.uniform(-2, 2, (400, 2))
y = np.exp(-(X**2).sum(axis=1, keepdims=True))


class Bump(Module):
    def __init__(self, width=48):
        self.w1 = Parameter(np.random.randn(2, width) / np.sqrt(2))
        self.b1 = Parameter(np.random.normal(-6, 1, width))
        self.w2 = Parameter(np.random.randn(width, 1) / np.sqrt(width))
        self.b2 = Parameter(np.zeros(1))

    def forward(self, x):
        return (x @ self.w1 + self.b1).relu() @ self.w2 + self.b2


model = Bump()
optimizer = Adam(model.parameters(), lr=0.01)
mse = MSELoss()
for step in range(300):
    rows = np.random.randint(0, 400, 50)
    optimizer.zero_grad()
    loss = mse(model(Tensor(X[rows])), Tensor(y[rows]))
    loss.backward()
    optimizer.step()
print("loss:", mse(model(Tensor(X)), Tensor(y)).item())
