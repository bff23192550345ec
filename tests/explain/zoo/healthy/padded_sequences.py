"""Is the sum of a sequence even? An LSTM over sequences of different length, the padding has an index of its own."""

import numpy as np

from micrograd_plus import LSTM, Adam, BCEWithLogitsLoss, Embedding, Linear, Module, clip_grad_norm, set_seed

set_seed(0)
rng = np.random.default_rng(0)
length = rng.integers(2, 6, 300)
X = rng.integers(1, 3, (300, 5)) * (np.arange(5) < length[:, None])
y = ((X == 1).sum(axis=1) % 2).astype(np.float32)


class Parity(Module):
    def __init__(self):
        self.embedding = Embedding(3, 8, padding_idx=0)
        self.lstm = LSTM(8, 32, batch_first=True)
        self.out = Linear(32, 1)

    def forward(self, x, length):
        h, _ = self.lstm(self.embedding(x))
        return self.out(h[np.arange(len(x)), length - 1]).squeeze(1)


model = Parity()
optimizer = Adam(model.parameters(), lr=0.02)
loss_fn = BCEWithLogitsLoss()
for epoch in range(12):
    for rows in np.split(rng.permutation(300), 6):
        optimizer.zero_grad()
        loss = loss_fn(model(X[rows], length[rows]), y[rows])
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
    print(epoch, loss.item())
