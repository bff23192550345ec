"""A character model: GRU and Adam."""

import numpy as np

from micrograd_plus import GRU, Adam, Embedding, Linear, Module, clip_grad_norm, set_seed
from micrograd_plus.losses import cross_entropy

set_seed(0)
text = "round and round the ragged rock the ragged rascal ran. " * 6
letters = sorted(set(text))
codes = np.array([letters.index(c) for c in text])


class CharModel(Module):
    def __init__(self):
        self.embedding = Embedding(len(letters), 16)
        self.gru = GRU(16, 32, batch_first=True)
        self.head = Linear(32, len(letters))

    def forward(self, x):
        h, _ = self.gru(self.embedding(x))
        return self.head(h).reshape(-1, len(letters))


model = CharModel()
optimizer = Adam(model.parameters(), lr=1e-6)
for step in range(120):
    rows = np.random.randint(0, len(codes) - 21, (24, 1)) + np.arange(20)
    optimizer.zero_grad()
    loss = cross_entropy(model(codes[rows]), codes[rows + 1].reshape(-1))
    loss.backward()
    clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()
print("loss:", loss.item())
