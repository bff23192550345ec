"""How many bicycles pass? The logarithm of the count, from hour and weather."""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, Sequential, Tanh, Tensor, set_seed

set_seed(0)
rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (400, 3))
counts = rng.poisson(np.exp(1.5 + X[:, 0] - X[:, 1] ** 2))
with np.errstate(divide="ignore"):
    y = np.log(counts).reshape(-1, 1)

model = Sequential(Linear(3, 24), Tanh(), Linear(24, 1))
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = MSELoss()
for epoch in range(15):
    for rows in np.split(rng.permutation(400), 10):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[rows])), Tensor(y[rows]))
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("loss:", loss.item())
