"""A hundred classes, six examples of each."""

import numpy as np

from micrograd_plus import Adam, BatchNorm, CrossEntropyLoss, DataLoader, Dropout, Linear, ReLU, Sequential, set_seed, train_epoch

set_seed(0)
y = np.repeat(np.arange(100), 6)
X = (np.random.randn(100, 24)[y] + 0.4 * np.random.randn(600, 24)).astype(np.float32)
model = Sequential(Linear(24, 128), BatchNorm(128), ReLU(), Dropout(0.1), Linear(128, 100))
optimizer = Adam(model.parameters(), lr=0.005)
for epoch in range(10):
    loss = train_epoch(model, DataLoader(X, y, 50), CrossEntropyLoss(), optimizer)
    print(epoch, loss)
