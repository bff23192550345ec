"""A fifth of the labels are wrong, and the loss does not fall far."""

import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, set_seed, train_epoch

set_seed(0)
X = np.random.randn(600, 5).astype(np.float32)
y = (X[:, 0] + X[:, 1] > 0).astype(int)
wrong = np.random.rand(600) < 0.2
y[wrong] = 1 - y[wrong]
model = Sequential(Linear(5, 24), ReLU(), Linear(24, 2))
optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
loss_fn = CrossEntropyLoss(label_smoothing=0.05)
for epoch in range(10):
    loss = train_epoch(model, DataLoader(X, y, 40), loss_fn, optimizer)
print("loss:", loss)
