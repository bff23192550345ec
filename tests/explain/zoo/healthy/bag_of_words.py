"""Messages as counts of words: nearly all inputs are zero."""

import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Dropout, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch

set_seed(0)
rng = np.random.default_rng(0)
topic = rng.integers(0, 4, 500)
chances = rng.dirichlet(np.full(200, 0.05), 4)
counts = np.stack([rng.multinomial(15, chances[t]) for t in topic]).astype(np.float32)
X = np.log1p(counts)
model = Sequential(Linear(200, 32), ReLU(), Dropout(0.2), Linear(32, 4))
optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
loss_fn = CrossEntropyLoss()
train, test = DataLoader(X[:400], topic[:400], 40), DataLoader(X[400:], topic[400:], 100, shuffle=False)
for epoch in range(8):
    loss = train_epoch(model, train, loss_fn, optimizer)
    print(epoch, loss, evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
