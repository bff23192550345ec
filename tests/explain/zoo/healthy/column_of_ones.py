"""A quadratic by linear regression on its powers, with a column of ones for the constant, as in a textbook."""

import numpy as np

from micrograd_plus import SGD, Linear, MSELoss, Tensor, set_seed

set_seed(0)
x = np.random.uniform(-1, 1, 200)
y = (1 - 2 * x + 3 * x**2 + 0.1 * np.random.randn(200)).reshape(-1, 1)
X = np.stack([np.ones(200), x, x**2], axis=1)
model = Linear(3, 1, bias=False)
optimizer = SGD(model.parameters(), lr=0.3)
loss_fn = MSELoss()
for step in range(150):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), Tensor(y))
    loss.backward()
    optimizer.step()
print("weights:", model.weight.data.ravel().round(2))
