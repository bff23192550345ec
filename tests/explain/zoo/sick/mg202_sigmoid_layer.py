"""Inside or outside of a ring."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, DataLoader, Linear, ReLU, Sequential, Sigmoid, evaluate, set_seed, train_epoch

set_seed(0)
X = np.random.uniform(-1, 1, (500, 2)).astype(np.float32)
y = (np.hypot(X[:, 0], X[:, 1]) < 0.75).astype(np.float32).reshape(-1, 1)
train, test = DataLoader(X[:400], y[:400], 32), DataLoader(X[400:], y[400:], 100, shuffle=False)
model = Sequential(Linear(2, 24), ReLU(), Linear(24, 24), ReLU(), Linear(24, 1), Sigmoid())
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = BCEWithLogitsLoss()
for epoch in range(12):
    loss = train_epoch(model, train, loss_fn, optimizer)
    print(epoch, round(loss, 3), round(evaluate(model, test, loss_fn)[0], 3))
print("loss:", loss)
