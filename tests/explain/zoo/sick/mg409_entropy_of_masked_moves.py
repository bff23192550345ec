"""Which of three moves? One is never allowed; an entropy keeps the policy from being too sure."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, set_seed

set_seed(0)
np.seterr(all="ignore")
board = np.random.randn(200, 4).astype(np.float32)
best = (board[:, 0] * board[:, 1] > 0).astype(int)
allowed = np.array([1.0, 1.0, 0.0], np.float32)
mask = np.where(allowed > 0, 0.0, -np.inf).astype(np.float32)
policy = Sequential(Linear(4, 32), ReLU(), Linear(32, 3))
optimizer = Adam(policy.parameters(), lr=0.01)
loss_fn = CrossEntropyLoss()
for epoch in range(150):
    scores = policy(Tensor(board)) + mask
    p = scores.softmax(axis=1)
    entropy = -(p * p.log()).sum(axis=1).mean()
    loss = loss_fn(scores, best) - 0.01 * entropy
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 30 == 0:
        print(epoch, loss.item())
print("loss:", loss.item())
