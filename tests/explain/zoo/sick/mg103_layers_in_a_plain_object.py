"""A network whose hidden part is a class of its own."""

import numpy as np

from micrograd_plus import Linear, Module, MSELoss, RMSprop, Tensor, set_seed

set_seed(0)
x = np.random.uniform(-2, 2, (300, 2)).astype(np.float32)
y = np.sin(2 * x[:, :1]) * x[:, 1:]


class Hidden:
    def __init__(self, width):
        self.up = Linear(2, width)
        self.across = Linear(width, width)

    def __call__(self, x):
        return self.across(self.up(x).tanh()).tanh()


class Surface(Module):
    def __init__(self, width=32):
        self.hidden = Hidden(width)
        self.out = Linear(width, 1)

    def forward(self, x):
        return self.out(self.hidden(x))


model = Surface()
optimizer = RMSprop(model.parameters(), lr=0.003)
loss_fn = MSELoss()
for step in range(300):
    rows = np.random.randint(0, 300, 64)
    loss = loss_fn(model(Tensor(x[rows])), Tensor(y[rows]))
    model.zero_grad()
    loss.backward()
    optimizer.step()
print("loss:", loss_fn(model(Tensor(x)), Tensor(y)).item())
