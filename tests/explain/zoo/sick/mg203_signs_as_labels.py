"""Two clouds of points; labels are -1 and 1, as in the lecture on support vector machines."""

import numpy as np

from micrograd_plus import SGD, BCEWithLogitsLoss, Linear, Tensor, set_seed

set_seed(0)
y = np.where(np.random.rand(200, 1) < 0.5, -1.0, 1.0)
X = np.random.randn(200, 2) + y * [1.0, 0.5]
model = Linear(2, 1)
optimizer = SGD(model.parameters(), lr=0.1)
loss_fn = BCEWithLogitsLoss()
for i in range(100):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), Tensor(y))
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
