"""A language model that uses its embedding as output layer too."""

import numpy as np

from micrograd_plus import AdamW, Embedding, LayerNorm, Linear, Module, set_seed
from micrograd_plus.losses import cross_entropy

set_seed(0)
TEXT = (
    "the river runs to the sea and the sea does not fill up; the wind goes to the south and turns to the north, "
    "and on its rounds the wind returns; what was is what will be, and there is nothing new under the sun. "
)
letters = sorted(set(TEXT))
codes = np.array([letters.index(c) for c in TEXT])


class TiedModel(Module):
    def __init__(self, width=256, context=6):
        self.embedding = Embedding(len(letters), width)
        self.mix = Linear(context * width, width)
        self.norm = LayerNorm(width)

    def forward(self, x):
        h = self.mix(self.embedding(x).reshape(len(x), -1))
        return self.norm(h) @ self.embedding.weight.T


model = TiedModel()
optimizer = AdamW(model.parameters(), lr=0.001)
for step in range(60):
    starts = np.random.randint(0, len(codes) - 7, (32, 1))
    optimizer.zero_grad()
    loss = cross_entropy(model(codes[starts + np.arange(6)]), codes[starts[:, 0] + 6])
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(step, loss.item())
print("loss:", loss.item())
