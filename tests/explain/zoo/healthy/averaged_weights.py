"""A moving average of the weights is what is evaluated."""

import numpy as np

from micrograd_plus import SGD, ExponentialMovingAverage, Linear, MSELoss, Sequential, Tanh, Tensor, no_grad, set_seed

set_seed(0)
x = np.random.uniform(-2, 2, (256, 1)).astype(np.float32)
y = np.sin(2 * x) + 0.3 * np.random.randn(256, 1).astype(np.float32)
model = Sequential(Linear(1, 32), Tanh(), Linear(32, 32), Tanh(), Linear(32, 1))
optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
average = ExponentialMovingAverage(model, decay=0.98)
mse = MSELoss()
for step in range(200):
    rows = np.random.randint(0, 256, 32)
    optimizer.zero_grad()
    loss = mse(model(Tensor(x[rows])), Tensor(y[rows]))
    loss.backward()
    optimizer.step()
    average.update()
with average.swapped(), no_grad():
    print("loss:", mse(model(Tensor(x)), y).item())
