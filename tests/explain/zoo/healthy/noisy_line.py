"""A line through points that scatter widely: the loss can't fall below the noise."""

import numpy as np

from micrograd_plus import SGD, DataLoader, Linear, MSELoss, set_seed, train_epoch

set_seed(0)
x = np.random.randn(300, 1).astype(np.float32)
y = 0.5 * x + 0.2 + np.random.randn(300, 1).astype(np.float32)
model = Linear(1, 1)
optimizer = SGD(model.parameters(), lr=0.05)
for epoch in range(10):
    loss = train_epoch(model, DataLoader(x, y, batch_size=30), MSELoss(), optimizer)
print("loss:", loss)
