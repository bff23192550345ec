"""Water level from rain on the three days before; the gauge was out of order at times."""

import numpy as np

from micrograd_plus import DataLoader, HuberLoss, Linear, ReLU, RMSprop, Sequential, set_seed, train_epoch

set_seed(0)
rain = np.random.exponential(1.0, 503)
level = 0.5 * rain[2:502] + 0.3 * rain[1:501] + 0.1 * rain[:500] + 0.05 * np.random.randn(500)
level[np.random.rand(500) < 0.03] = np.nan
X = np.stack([rain[2:502], rain[1:501], rain[:500]], axis=1).astype(np.float32) - 1
y = level.reshape(-1, 1).astype(np.float32)

model = Sequential(Linear(3, 16), ReLU(), Linear(16, 1))
optimizer = RMSprop(model.parameters(), lr=0.003)
for epoch in range(10):
    loss = train_epoch(model, DataLoader(X, y, batch_size=50), HuberLoss(), optimizer)
    print(epoch, loss)
print("loss:", loss)
