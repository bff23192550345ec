"""Few parameters, many layers: can depth replace width?"""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, ReLU, Sequential, Tensor, init, set_seed

set_seed(1)
x = np.linspace(-1.5, 1.5, 200).reshape(-1, 1)
y = np.abs(x) - 0.75

WIDTH = 2
layers = [Linear(1, WIDTH, initializer=init.kaiming_normal), ReLU()]
for _ in range(12):
    layers += [Linear(WIDTH, WIDTH, initializer=init.kaiming_normal), ReLU()]
model = Sequential(*layers, Linear(WIDTH, 1))
optimizer = Adam(model.parameters(), lr=0.003)
loss_fn = MSELoss()
for step in range(250):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(x)), y)
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(step, loss.item())
print("loss:", loss.item())
