"""A function of two variables, with weights of my own choice."""

import numpy as np

from micrograd_plus import SGD, Module, MSELoss, Tensor, full, set_seed, zeros

set_seed(0)
X = np.random.uniform(-1, 1, (256, 2)).astype(np.float32)
y = X[:, :1] * X[:, 1:]


class TwoLayers(Module):
    def __init__(self, hidden=24):
        self.w1 = full((2, hidden), 0.5, requires_grad=True)
        self.b1 = zeros(hidden, requires_grad=True)
        self.w2 = full((hidden, 1), 0.2, requires_grad=True)
        self.b2 = zeros(1, requires_grad=True)

    def forward(self, x):
        return (x @ self.w1 + self.b1).tanh() @ self.w2 + self.b2


model = TwoLayers()
optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
loss_fn = MSELoss()
for step in range(300):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), y)
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(step, loss.item())
print("loss:", loss.item())
