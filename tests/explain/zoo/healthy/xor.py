"""XOR with two hidden layers of four units: the smallest network there is."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, Linear, Sequential, Tanh, Tensor, set_seed

set_seed(0)
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
y = np.array([[0], [1], [1], [0]], dtype=np.float32)
model = Sequential(Linear(2, 4), Tanh(), Linear(4, 4), Tanh(), Linear(4, 1))
optimizer = Adam(model.parameters(), lr=0.05)
loss_fn = BCEWithLogitsLoss()
for step in range(150):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), Tensor(y))
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
