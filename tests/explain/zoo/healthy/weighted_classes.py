"""Four classes of very different size, and cross-entropy weighted by one over their size."""

import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, set_seed

set_seed(0)
rng = np.random.default_rng(0)
label = rng.choice(4, 800, p=[0.87, 0.06, 0.04, 0.03])
X = (rng.normal(size=(4, 6))[label] * 1.5 + rng.normal(size=(800, 6))).astype(np.float32)
weight = 1 / np.bincount(label)
model = Sequential(Linear(6, 24), ReLU(), Linear(24, 4))
optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
loss_fn = CrossEntropyLoss(weight=4 * weight / weight.sum())
for epoch in range(12):
    for rows in np.split(rng.permutation(800), 16):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[rows])), label[rows])
        loss.backward()
        optimizer.step()
print("loss:", loss.item())
