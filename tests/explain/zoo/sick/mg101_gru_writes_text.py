"""The next letter of a text, by a GRU."""

import numpy as np

from micrograd_plus import GRU, SGD, Embedding, Linear, Module, clip_grad_norm, set_seed
from micrograd_plus.losses import cross_entropy

set_seed(0)
TEXT = """a tensor holds numbers and remembers how they were made. the loss is a tensor with one number. walking back from
the loss, every operation hands each of its inputs a share of the gradient, and a number that was used twice adds up two shares.
the optimizer then moves every parameter a little against its gradient, and the loss becomes smaller. """
characters = sorted(set(TEXT))
codes = np.array([characters.index(c) for c in TEXT])


class LetterModel(Module):
    def __init__(self, letters, width):
        self.embedding = Embedding(letters, 16)
        self.gru = GRU(16, width, batch_first=True)
        self.head = Linear(width, letters)

    def forward(self, x):
        hidden, _ = self.gru(self.embedding(x))
        return self.head(hidden)


model = LetterModel(len(characters), 48)
optimizer = SGD(model.parameters(), lr=1.0)
rng = np.random.default_rng(0)
losses = []
for step in range(120):
    starts = rng.integers(0, len(codes) - 21, 32)[:, None] + np.arange(20)
    logits = model(codes[starts])
    loss = cross_entropy(logits.reshape(-1, len(characters)), codes[starts + 1].reshape(-1))
    loss.backward()
    clip_grad_norm(model.parameters(), 5.0)
    optimizer.step()
    losses.append(loss.item())
    if step % 20 == 0:
        print(step, loss.item())
print("mean of the last losses:", np.mean(losses[-10:]))
