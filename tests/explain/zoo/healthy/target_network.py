"""Q-learning on a corridor, with a target network that is copied now and then."""

import copy

import numpy as np

from micrograd_plus import Adam, HuberLoss, Linear, ReLU, Sequential, Tensor, no_grad, set_seed

set_seed(0)
rng = np.random.default_rng(0)
CELLS, GAMMA = 8, 0.9
q = Sequential(Linear(CELLS, 32), ReLU(), Linear(32, 2))
target = copy.deepcopy(q)
optimizer = Adam(q.parameters(), lr=0.01)
huber = HuberLoss()
for step in range(200):
    cell, action = rng.integers(0, CELLS, 32), rng.integers(0, 2, 32)
    following = np.clip(cell + 2 * action - 1, 0, CELLS - 1)
    reward = (following == CELLS - 1).astype(np.float32)
    with no_grad():
        value = reward + GAMMA * (1 - reward) * target(Tensor(np.eye(CELLS)[following])).data.max(axis=1)
    optimizer.zero_grad()
    loss = huber(q(Tensor(np.eye(CELLS)[cell]))[np.arange(32), action], value)
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        target.load_state_dict(q.state_dict())
print(q(Tensor(np.eye(CELLS))).data.argmax(axis=1))
