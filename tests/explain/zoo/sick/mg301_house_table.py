"""House prices from a small table: area, rooms, year, metres to the next station."""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, ReLU, Sequential, Tensor, set_seed

set_seed(0)
n = 400
area = np.random.uniform(40, 220, n)
rooms = np.round(area / 30 + np.random.randn(n))
year = np.random.uniform(1900, 2020, n)
metres = np.random.uniform(50, 4000, n)
price = 0.01 * area + 0.2 * rooms + 0.01 * (year - 1960) - 0.0005 * metres
y = ((price - price.mean()) / price.std()).reshape(-1, 1)
X = np.stack([area, rooms, year, metres], axis=1)

model = Sequential(Linear(4, 32), ReLU(), Linear(32, 1))
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = MSELoss()
losses = []
for epoch in range(20):
    order = np.random.permutation(n)
    for i in range(0, n, 40):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[order[i : i + 40]])), y[order[i : i + 40]])
        loss.backward()
        optimizer.step()
    losses.append(loss.item())
print("loss:", loss_fn(model(Tensor(X)), y).item())
