"""Who likes which film? Two tables of vectors, made without a Module, and ratings that are mostly missing."""

import numpy as np

from micrograd_plus import Adam, Tensor, set_seed

set_seed(0)
rng = np.random.default_rng(0)
true = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 30)) / np.sqrt(3)
who, what = np.nonzero(rng.random((40, 30)) < 0.4)
rating = true[who, what] + 0.1 * rng.normal(size=len(who))

users = Tensor(0.3 * rng.normal(size=(40, 4)), requires_grad=True)
films = Tensor(0.3 * rng.normal(size=(30, 4)), requires_grad=True)
optimizer = Adam([users, films], lr=0.02)
for step in range(200):
    rows = rng.integers(0, len(who), 100)
    predicted = (users[who[rows]] * films[what[rows]]).sum(axis=1)
    loss = ((predicted - rating[rows]) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
