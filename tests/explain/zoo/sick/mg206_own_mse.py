"""A parabola, with the mean squared error written out."""

import numpy as np

from micrograd_plus import SGD, Linear, Sequential, Tanh, Tensor, set_seed

set_seed(0)
x = np.linspace(-1, 1, 100)
y = 2 * x**2 - 1 + 0.05 * np.random.randn(100)

model = Sequential(Linear(1, 20), Tanh(), Linear(20, 1))
optimizer = SGD(model.parameters(), lr=0.2)
inputs, targets = Tensor(x.reshape(-1, 1)), Tensor(y)
for epoch in range(500):
    predictions = model(inputs)
    loss = ((predictions - targets) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 100 == 0:
        print(epoch, loss.item())
print("mean squared error:", np.mean((model(inputs).data.reshape(-1) - y) ** 2))
