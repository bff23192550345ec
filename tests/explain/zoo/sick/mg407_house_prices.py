"""Prices of houses from three figures of each."""

import numpy as np

from micrograd_plus import SGD, Linear, MSELoss, ReLU, Sequential, Tensor, set_seed

set_seed(0)
np.seterr(all="ignore")
houses = np.random.randn(400, 3).astype(np.float32)
prices = 300_000 + 50_000 * (houses[:, :1] + 0.3 * np.random.randn(400, 1)).astype(np.float32)
model = Sequential(Linear(3, 32), ReLU(), Linear(32, 1))
optimizer = SGD(model.parameters(), lr=0.01)
loss_fn = MSELoss()
for epoch in range(200):
    loss = loss_fn(model(Tensor(houses)), Tensor(prices))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 50 == 0:
        print(epoch, loss.item())
print("loss, of their variance:", loss.item() / prices.var())
