"""A model of the next word whose output layer is its embedding."""

import numpy as np

from micrograd_plus import Adam, Embedding, Linear, Module, set_seed
from micrograd_plus.losses import cross_entropy

set_seed(0)
WORDS = "the cat sat on the mat and the dog sat on the rug and the cat saw the dog and the dog saw the mat".split()
vocabulary = sorted(set(WORDS))
codes = np.array([vocabulary.index(word) for word in WORDS])


class WordModel(Module):
    def __init__(self, words, width):
        self.embedding = Embedding(words, width)
        self.embedding.weight.data *= 0.1
        self.hidden = Linear(2 * width, width)

    def forward(self, x):
        e = self.embedding(x).reshape(len(x), -1)
        return self.hidden(e).tanh() @ self.embedding.weight.T


model = WordModel(len(vocabulary), 16)
output_weight = model.embedding.weight
optimizer = Adam([*model.parameters(), output_weight], lr=0.02)

x = np.stack([codes[:-2], codes[1:-1]], axis=1)
y = codes[2:]
for step in range(100):
    optimizer.zero_grad()
    loss = cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
