"""A deeper fit of a bumpy function, with shortcuts around the hidden layers."""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, Sequential, Tensor, set_seed

set_seed(0)
x = np.random.uniform(-2, 2, (256, 1)).astype(np.float32)
y = np.sin(3 * x) * np.exp(-(x**2) / 2)


def shortcut(width):
    inner = Linear(width, width)
    return lambda h: h + inner(h).tanh()


model = Sequential(Linear(1, 24), shortcut(24), shortcut(24), shortcut(24), Linear(24, 1))
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = MSELoss()
for step in range(250):
    batch = np.random.randint(0, len(x), 64)
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(x[batch])), Tensor(y[batch]))
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(step, round(loss.item(), 4))
print("loss on all:", loss_fn(model(Tensor(x)), Tensor(y)).item())
