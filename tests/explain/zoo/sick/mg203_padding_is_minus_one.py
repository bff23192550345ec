"""Tags for the words of sentences of different length: noun, verb or other."""

import numpy as np

from micrograd_plus import GRU, Adam, CrossEntropyLoss, Embedding, Linear, Module, set_seed

set_seed(0)
rng = np.random.default_rng(0)
length = rng.integers(3, 9, 120)
words = rng.integers(1, 31, (120, 8))
tags = words % 3
for row, tag, n in zip(words, tags, length, strict=True):
    row[n:], tag[n:] = 0, -1


class Tagger(Module):
    def __init__(self):
        self.embedding = Embedding(31, 12, padding_idx=0)
        self.gru = GRU(12, 24, batch_first=True, bidirectional=True)
        self.out = Linear(48, 3)

    def forward(self, x):
        h, _ = self.gru(self.embedding(x))
        return self.out(h)


model = Tagger()
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = CrossEntropyLoss()
for epoch in range(8):
    for rows in np.split(rng.permutation(120), 6):
        optimizer.zero_grad()
        loss = loss_fn(model(words[rows]).reshape(-1, 3), tags[rows].reshape(-1))
        loss.backward()
        optimizer.step()
print("loss:", loss.item())
