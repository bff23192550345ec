"""Who is ill, from eight blood values? Three in a hundred are."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, Linear, ReLU, Sequential, Tensor, set_seed

set_seed(0)
rng = np.random.default_rng(1)
ill = rng.random(2000) < 0.03
X = rng.normal(size=(2000, 8)).astype(np.float32)
X[ill, :4] += 0.9
y = ill.astype(np.float32).reshape(-1, 1)
X_train, y_train, X_test, y_test = X[:1000], y[:1000], X[1000:], y[1000:]

model = Sequential(Linear(8, 16), ReLU(), Linear(16, 1))
optimizer = Adam(model.parameters(), lr=0.005)
loss_fn = BCEWithLogitsLoss()
for epoch in range(15):
    order = rng.permutation(1000)
    for i in range(0, 1000, 50):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X_train[order[i : i + 50]])), y_train[order[i : i + 50]])
        loss.backward()
        optimizer.step()
predicted = model(Tensor(X_test)).data > 0
print("accuracy:", (predicted == y_test).mean())
print("share of the ill that are found:", predicted[y_test == 1].mean())
