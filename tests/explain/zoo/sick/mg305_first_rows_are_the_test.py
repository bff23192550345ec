"""Which of two kinds of wine? Many measurements, few bottles."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch

set_seed(0)
kind = np.random.randint(0, 2, 260)
X = (0.15 * (2 * kind[:, None] - 1) + np.random.randn(260, 30)).astype(np.float32)
train = DataLoader(X, kind, 26)
test = DataLoader(X[:100], kind[:100], 50, shuffle=False)
model = Sequential(Linear(30, 48), ReLU(), Linear(48, 2))
optimizer = Adam(model.parameters(), lr=0.005)
loss_fn = CrossEntropyLoss()
for epoch in range(15):
    train_epoch(model, train, loss_fn, optimizer)
    loss, scores = evaluate(model, test, loss_fn, [accuracy])
print("accuracy claimed:", scores["accuracy"])
