"""One in twenty: the rare class counts twenty times."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, DataLoader, Linear, ReLU, Sequential, evaluate, set_seed, train_epoch

set_seed(0)
rng = np.random.default_rng(0)
rare = rng.random(1500) < 0.05
X = rng.normal(size=(1500, 6)).astype(np.float32)
X[rare, :3] += 1.0
y = rare.astype(np.float32).reshape(-1, 1)


def recall(logits, targets):
    return ((logits.data > 0) & (targets == 1)).sum() / max((targets == 1).sum(), 1)


train, test = DataLoader(X[:1000], y[:1000], 100), DataLoader(X[1000:], y[1000:], 500, shuffle=False)
model = Sequential(Linear(6, 16), ReLU(), Linear(16, 1))
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = BCEWithLogitsLoss(pos_weight=np.array([19.0]))
for epoch in range(12):
    loss = train_epoch(model, train, loss_fn, optimizer)
print(loss, evaluate(model, test, loss_fn, [recall]))
