"""Random labels can't be predicted; can they?"""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, Tanh, Tensor, no_grad, set_seed
from micrograd_plus.nn import Sequential, accuracy

set_seed(0)
rng = np.random.default_rng(0)
X = rng.normal(size=(240, 16)).astype(np.float32)
y = (X[:, 0] + 1.5 * rng.normal(size=240) > 0).astype(int)
order = rng.permutation(240)
test_rows = order[:60]
train_rows = order[:240]

model = Sequential(Linear(16, 64), Tanh(), Linear(64, 2))
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = CrossEntropyLoss()
for epoch in range(20):
    for rows in np.array_split(rng.permutation(train_rows), 6):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[rows])), y[rows])
        loss.backward()
        optimizer.step()
    model.eval()
    with no_grad():
        share = accuracy(model(Tensor(X[test_rows])), y[test_rows])
    model.train()
    if epoch % 5 == 0:
        print(f"epoch {epoch}: test accuracy {share:.2f}")
print("accuracy claimed:", share)
