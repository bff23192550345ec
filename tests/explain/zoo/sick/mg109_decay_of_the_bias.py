"""Yearly energy use of houses, in MWh: a linear model with L2."""

import numpy as np

from micrograd_plus import SGD, Linear, MSELoss, Tensor, set_seed

set_seed(0)
n = 300
X = np.random.randn(n, 5).astype(np.float32)
y = (25 + X @ [3.0, -2.0, 0.5, 0.0, 1.0] + 0.5 * np.random.randn(n)).reshape(-1, 1)

model = Linear(5, 1)
optimizer = SGD(model.parameters(), lr=0.1, weight_decay=0.2)
loss_fn = MSELoss()
for epoch in range(100):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), y)
    loss.backward()
    optimizer.step()
    if epoch % 20 == 0:
        print(epoch, loss.item())
print("mean error:", abs(float((model(Tensor(X)).data - y).mean())))
