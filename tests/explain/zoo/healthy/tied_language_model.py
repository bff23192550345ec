"""The next letter; the output layer is the embedding's own table, scaled down."""

import numpy as np

from micrograd_plus import AdamW, Embedding, LayerNorm, Linear, Module, set_seed
from micrograd_plus.losses import cross_entropy

set_seed(0)
text = "what is written without effort is in general read without pleasure, and the rest is silence. " * 4
letters = sorted(set(text))
codes = np.array([letters.index(c) for c in text])


class Model(Module):
    def __init__(self, width=64, context=5):
        self.embedding = Embedding(len(letters), width)
        self.embedding.weight.data *= width**-0.5
        self.mix = Linear(width * context, width)
        self.norm = LayerNorm(width)

    def forward(self, x):
        h = self.mix(self.embedding(x).reshape(len(x), -1)).gelu()
        return self.norm(h) @ self.embedding.weight.T


model = Model()
optimizer = AdamW(model.parameters(), lr=0.005)
for step in range(120):
    starts = np.random.randint(0, len(codes) - 6, 32)
    optimizer.zero_grad()
    loss = cross_entropy(model(codes[starts[:, None] + np.arange(5)]), codes[starts + 5])
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
