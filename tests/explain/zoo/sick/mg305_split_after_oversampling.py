"""Churn of customers: few leave, so their rows are repeated; then training and test are split."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, DataLoader, Linear, ReLU, Sequential, evaluate, set_seed, train_epoch, train_test_split

set_seed(0)
rng = np.random.default_rng(0)
leaves = rng.random(400) < 0.15
X = rng.normal(size=(400, 10)).astype(np.float32)
X[leaves, 0] += 0.5
y = leaves.astype(np.float32).reshape(-1, 1)

rare = np.flatnonzero(leaves)
rows = np.concatenate([np.arange(400), np.tile(rare, 5)])
X_train, X_test, y_train, y_test = train_test_split(X[rows], y[rows], test_size=0.25)


def accuracy(logits, targets):
    return ((logits.data > 0) == targets).mean()


model = Sequential(Linear(10, 64), ReLU(), Linear(64, 64), ReLU(), Linear(64, 1))
optimizer = Adam(model.parameters(), lr=0.005)
train, test = DataLoader(X_train, y_train, 32), DataLoader(X_test, y_test, 100, shuffle=False)
loss_fn = BCEWithLogitsLoss()
for epoch in range(15):
    loss = train_epoch(model, train, loss_fn, optimizer)
    test_loss, scores = evaluate(model, test, loss_fn, [accuracy])
    print(f"epoch {epoch}: {loss:.3f}, test {test_loss:.3f}, accuracy {scores['accuracy']:.3f}")
print("accuracy claimed:", scores["accuracy"])
