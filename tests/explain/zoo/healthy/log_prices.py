"""Prices over four orders of magnitude: their logarithm is what is predicted."""

import numpy as np

from micrograd_plus import Adam, DataLoader, HuberLoss, Linear, Sequential, SiLU, normalize, set_seed, train_epoch

set_seed(0)
rng = np.random.default_rng(0)
area, age = rng.lognormal(4, 0.6, 500), rng.uniform(0, 100, 500)
price = 1500 * area * np.exp(-age / 40 + 0.8 * rng.normal(size=500))
X, _, _ = normalize(np.stack([np.log(area), age], axis=1).astype(np.float32))
y, mean, std = normalize(np.log(price).reshape(-1, 1).astype(np.float32))
model = Sequential(Linear(2, 24), SiLU(), Linear(24, 1))
optimizer = Adam(model.parameters(), lr=0.01)
loader = DataLoader(X, y, batch_size=50)
for epoch in range(15):
    loss = train_epoch(model, loader, HuberLoss(), optimizer)
print("loss:", loss)
