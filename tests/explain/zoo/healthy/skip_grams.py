"""Word vectors by skip-grams with negative samples: integers in, and most rows get no gradient in a step."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, Embedding, Module, set_seed

set_seed(0)
rng = np.random.default_rng(0)
sentence = "the king rules the land and the queen rules the land and the cat chases the mouse and the dog chases the cat".split()
words = sorted(set(sentence))
codes = np.array([words.index(w) for w in sentence])
pairs = np.array([(codes[i], codes[j]) for i in range(len(codes)) for j in range(max(0, i - 2), min(len(codes), i + 3)) if i != j])


class SkipGram(Module):
    def __init__(self, words, width=12):
        self.centre, self.context = Embedding(words, width), Embedding(words, width)
        self.context.weight.data *= 0.1

    def forward(self, centre, context):
        return (self.centre(centre) * self.context(context)).sum(axis=1)


model = SkipGram(len(words))
optimizer = Adam(model.parameters(), lr=0.02)
loss_fn = BCEWithLogitsLoss()
for step in range(150):
    chosen = pairs[rng.integers(0, len(pairs), 4)]
    centre = np.concatenate([chosen[:, 0], chosen[:, 0]])
    context = np.concatenate([chosen[:, 1], rng.integers(0, len(words), 4)])
    optimizer.zero_grad()
    loss = loss_fn(model(centre, context), np.repeat([1.0, 0.0], 4))
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
