"""Sales from visits and clicks of small shops."""

import numpy as np

from micrograd_plus import SGD, Linear, MSELoss, Tanh, Tensor, set_seed
from micrograd_plus.nn import Sequential

set_seed(0)
np.seterr(all="ignore")
visits, clicks = np.random.poisson(4, 400), np.random.poisson(2, 400) + 1
X = np.stack([(visits - 4) / 2, (clicks - 3) / 1.5, clicks / visits - 0.8], axis=1)
y = (0.3 * visits + 0.2 * clicks - 1.6 + 0.1 * np.random.randn(400)).reshape(-1, 1)
model = Sequential(Linear(3, 16), Tanh(), Linear(16, 1))
optimizer = SGD(model.parameters(), lr=0.05)
mse = MSELoss()
for epoch in range(20):
    for rows in np.split(np.random.permutation(400), 10):
        optimizer.zero_grad()
        loss = mse(model(Tensor(X[rows])), Tensor(y[rows]))
        loss.backward()
        optimizer.step()
print("loss:", loss.item())
