"""How bright is a lamp, from where one stands? Brightness goes with one over the square of the distance."""

import numpy as np

from micrograd_plus import Adam, DataLoader, L1Loss, Linear, Sequential, SiLU, set_seed, train_epoch

set_seed(0)
np.seterr(all="ignore")
steps = np.random.randint(-4, 5, (300, 2))
y = (1 / (steps**2).sum(axis=1)).reshape(-1, 1).astype(np.float32)
X = (steps / 2.6).astype(np.float32)
model = Sequential(Linear(2, 32), SiLU(), Linear(32, 1))
optimizer = Adam(model.parameters(), lr=0.01)
for epoch in range(20):
    loss = train_epoch(model, DataLoader(X, y, 30), L1Loss(), optimizer)
print("loss:", loss)
