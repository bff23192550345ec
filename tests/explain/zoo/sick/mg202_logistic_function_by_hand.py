"""Above or below a curve."""

import numpy as np

from micrograd_plus import SGD, BCEWithLogitsLoss, Linear, Tensor, set_seed

set_seed(0)
X = np.random.uniform(-1.5, 1.5, (400, 2))
above = (X[:, 1:] > np.sin(2 * X[:, :1])).astype(float)
hidden, out = Linear(2, 32), Linear(32, 1)
optimizer = SGD(hidden.parameters() + out.parameters(), lr=0.3, momentum=0.9)
loss_fn = BCEWithLogitsLoss()


def model(x):
    z = out(hidden(x).tanh())
    return 1 / (1 + (-z).exp())


for step in range(200):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(X)), above)
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
