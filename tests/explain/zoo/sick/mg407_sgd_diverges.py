"""A line through points, by SGD."""

import numpy as np

from micrograd_plus import SGD, Linear, MSELoss, Tensor, set_seed

set_seed(0)
x = np.random.randn(100, 1)
y = 2 * x - 1 + 0.1 * np.random.randn(100, 1)
model = Linear(1, 1)
optimizer = SGD(model.parameters(), lr=3.0)
loss_fn = MSELoss()
for epoch in range(60):
    loss = loss_fn(model(Tensor(x)), Tensor(y))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch}: loss {loss.item()}")
print("loss:", loss.item())
