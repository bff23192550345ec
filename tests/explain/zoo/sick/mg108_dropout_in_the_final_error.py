"""Regression with dropout; one number at the end."""

import numpy as np

from micrograd_plus import Adam, Dropout, Linear, MSELoss, SiLU, Tensor, set_seed
from micrograd_plus.nn import Sequential

set_seed(0)
X = np.random.uniform(-1, 1, (700, 3)).astype(np.float32)
y = np.sin(2 * X[:, :1]) + 0.5 * X[:, 1:2] - X[:, 2:]
X_test, y_test, X, y = X[500:], y[500:], X[:500], y[:500]
model = Sequential(Linear(3, 96), SiLU(), Dropout(0.5), Linear(96, 96), SiLU(), Dropout(0.5), Linear(96, 1))
optimizer = Adam(model.parameters(), lr=0.003)
loss_fn = MSELoss()
for epoch in range(30):
    for rows in np.split(np.random.permutation(500), 10):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[rows])), Tensor(y[rows]))
        loss.backward()
        optimizer.step()
print("test error:", loss_fn(model(Tensor(X_test)), Tensor(y_test)).item())
