"""Air quality: some sensors failed on some days."""

import numpy as np

from micrograd_plus import AdamW, DataLoader, Linear, MSELoss, Sequential, SiLU, set_seed, train_epoch

set_seed(0)
rng = np.random.default_rng(0)
X = rng.normal(size=(500, 6)).astype(np.float32)
y = (X[:, :1] * X[:, 1:2] + X[:, 2:3]).astype(np.float32)
X[rng.random(X.shape) < 0.02] = np.nan

model = Sequential(Linear(6, 48), SiLU(), Linear(48, 1))
optimizer = AdamW(model.parameters(), lr=0.01)
loader = DataLoader(X, y, batch_size=50)
for epoch in range(20):
    loss = train_epoch(model, loader, MSELoss(), optimizer)
print("loss:", loss)
