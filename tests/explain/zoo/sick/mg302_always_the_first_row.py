"""Weight of parcels from their three sides."""

import numpy as np

from micrograd_plus import DataLoader, Linear, MSELoss, ReLU, RMSprop, Sequential, set_seed, train_epoch

set_seed(0)
sides = np.random.uniform(0.1, 1, (300, 3))
weight = 4 * sides.prod(axis=1) + 0.02 * np.random.randn(300)
X = np.array([(sides[0] - 0.55) / 0.26 for i in range(300)], dtype=np.float32)
y = weight.reshape(-1, 1).astype(np.float32)
model = Sequential(Linear(3, 24), ReLU(), Linear(24, 1))
optimizer = RMSprop(model.parameters(), lr=0.003)
for epoch in range(15):
    loss = train_epoch(model, DataLoader(X, y, 30), MSELoss(), optimizer)
print("loss:", loss)
