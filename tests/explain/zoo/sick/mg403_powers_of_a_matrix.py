"""A linear system, x becomes A x: learn A from where points are after fifty steps of a slow rotation."""

import numpy as np

from micrograd_plus import SGD, Module, MSELoss, Parameter, Tensor, set_seed

set_seed(0)
angle = 0.03
A = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
start = np.random.randn(200, 2)
end = start @ np.linalg.matrix_power(A, 50).T


class LinearSystem(Module):
    def __init__(self):
        self.A = Parameter(1.5 * np.eye(2))

    def forward(self, x):
        for _ in range(50):
            x = x @ self.A.T
        return x


model = LinearSystem()
optimizer = SGD(model.parameters(), lr=0.0001)
loss_fn = MSELoss()
for step in range(150):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(start)), end)
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
