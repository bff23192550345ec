"""Words that mean the same: cosines of word vectors, which are brought to length 1."""

import numpy as np

from micrograd_plus import Adam, Embedding, Linear, Module, set_seed

set_seed(0)
np.seterr(all="ignore")
rng = np.random.default_rng(0)
sentences = rng.integers(0, 13, (200, 5))  # 0 is the padding
topic = (sentences > 6).sum(axis=1) > 2


class Sentences(Module):
    def __init__(self):
        self.embedding = Embedding(13, 8, padding_idx=0)
        self.direction = Linear(8, 1)

    def forward(self, x):
        v = self.embedding(x)
        v = v / (v**2).sum(axis=2, keepdims=True).sqrt()
        return self.direction(v).sum(axis=1)


model = Sentences()
optimizer = Adam(model.parameters(), lr=0.02)
for epoch in range(15):
    for rows in np.split(rng.permutation(200), 5):
        y = topic[rows].astype(np.float32).reshape(-1, 1)
        loss = ((model(sentences[rows]) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print("loss:", loss.item())
