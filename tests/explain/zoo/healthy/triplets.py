"""Digits of one kind close together, others apart: triplet loss, with the anchors' network used three times."""

import numpy as np

from micrograd_plus import Adam, Linear, ReLU, Sequential, Tensor, TripletMarginLoss, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
rng = np.random.default_rng(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64), digits.train_labels
of_class = [np.flatnonzero(y == d) for d in range(10)]
model = Sequential(Linear(64, 48), ReLU(), Linear(48, 8))
optimizer = Adam(model.parameters(), lr=0.003)
loss_fn = TripletMarginLoss(margin=1.0)
for step in range(120):
    a = rng.integers(0, 10, 48)
    b = (a + rng.integers(1, 10, 48)) % 10
    rows = [np.array([rng.choice(of_class[d]) for d in kind]) for kind in (a, a, b)]
    anchor, positive, negative = (model(Tensor(X[r])) for r in rows)
    loss = loss_fn(anchor, positive, negative)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
