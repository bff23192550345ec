"""REINFORCE on a bandit with four arms: the loss is no measure of success, the reward is."""

import numpy as np

from micrograd_plus import Adam, Linear, Sequential, Tanh, Tensor, set_seed

set_seed(0)
rng = np.random.default_rng(0)
policy = Sequential(Linear(4, 16), Tanh(), Linear(16, 4))
optimizer = Adam(policy.parameters(), lr=0.02)
baseline = 0.0
for step in range(200):
    states = rng.integers(0, 4, 32)
    log_chances = policy(Tensor(np.eye(4)[states])).log_softmax()
    chances = np.exp(log_chances.data.astype(float)).cumsum(axis=1)
    actions = np.minimum((rng.random((32, 1)) > chances).sum(axis=1), 3)
    rewards = (actions == (states + 1) % 4) + 0.1 * rng.normal(size=32)
    loss = -(log_chances[np.arange(32), actions] * (rewards - baseline)).mean()
    baseline = 0.9 * baseline + 0.1 * rewards.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("mean reward:", rewards.mean())
