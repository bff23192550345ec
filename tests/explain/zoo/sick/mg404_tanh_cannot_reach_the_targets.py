"""How far temperatures are from their mean (in units of 5 degrees) over a year, by a network that ends in tanh."""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, Sequential, Tanh, Tensor, set_seed

set_seed(0)
day = np.linspace(-1, 1, 365).reshape(-1, 1)
temperature = -3 * np.cos(np.pi * day) + 0.2 * np.random.randn(365, 1)

model = Sequential(Linear(1, 24), Tanh(), Linear(24, 1), Tanh())
optimizer = Adam(model.parameters(), lr=0.02)
loss_fn = MSELoss()
for epoch in range(40):
    for rows in np.array_split(np.random.permutation(365), 10):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(day[rows])), temperature[rows])
        loss.backward()
        optimizer.step()
    if epoch % 10 == 0:
        print(epoch, loss.item())
print("loss:", loss.item())
