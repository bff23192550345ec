"""A sine, fitted by a network with tanh."""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, Sequential, Tanh, Tensor, set_seed

set_seed(0)
x = np.linspace(-3, 3, 120).reshape(-1, 1)
y = np.sin(2 * x) + 0.05 * np.random.randn(120, 1)


def build(width=32):
    return Sequential(Linear(1, width), Tanh(), Linear(width, width), Tanh(), Linear(width, 1))


model = build()
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = MSELoss()

# a bit wider
model = build(width=48)

for step in range(300):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(x)), Tensor(y))
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"{step:4d} {loss.item():.4f}")
print("final loss:", loss.item())
