"""A cubic by a small network."""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, Sequential, Tanh, Tensor, set_seed

set_seed(0)
x = np.linspace(-1, 1, 80).reshape(-1, 1)
y = 2 * x**3 - x
model = Sequential(Linear(1, 16), Tanh(), Linear(16, 1))
optimizer = Adam(model.parameters(), lr=0.02)
mse = MSELoss()
for step in range(200):
    loss = mse(model(Tensor(x)), y)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    if step % 50 == 0:
        print(step, loss.item())
print("loss:", loss.item())
