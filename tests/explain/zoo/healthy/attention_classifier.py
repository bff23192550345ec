"""Does a sequence hold the same symbol twice in a row? A transformer layer with positions."""

import numpy as np

from micrograd_plus import AdamW, CrossEntropyLoss, Embedding, LayerNorm, Linear, Module, TransformerEncoderLayer, set_seed

set_seed(0)
rng = np.random.default_rng(0)
X = rng.integers(0, 4, (400, 6))
y = (X[:, 0] == X[:, 1]).astype(int)
flip = (y == 0) & (rng.random(400) < 0.35)
X[flip, 1], y[flip] = X[flip, 0], 1


class Model(Module):
    def __init__(self, width=24):
        self.tokens, self.positions = Embedding(4, width), Embedding(6, width)
        self.tokens.weight.data *= 0.5
        self.positions.weight.data *= 0.5
        self.layer = TransformerEncoderLayer(width, 2, 48, dropout=0.0, batch_first=True, norm_first=True)
        self.norm, self.head = LayerNorm(width), Linear(width, 2)

    def forward(self, x):
        return self.head(self.norm(self.layer(self.tokens(x) + self.positions(np.arange(6)))).mean(axis=1))


model, loss_fn = Model(), CrossEntropyLoss()
optimizer = AdamW(model.parameters(), lr=0.005)
for step in range(100):
    rows = rng.integers(0, 400, 40)
    optimizer.zero_grad()
    loss = loss_fn(model(X[rows]), y[rows])
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
