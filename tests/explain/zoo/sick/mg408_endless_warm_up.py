"""Copy a sequence: a transformer layer with a warm-up, as in the paper."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Embedding, LayerNorm, Linear, LinearWarmup, Module, TransformerEncoderLayer, set_seed

set_seed(0)
rng = np.random.default_rng(0)
X = rng.integers(0, 8, (256, 6))


class Copy(Module):
    def __init__(self, width=24):
        self.embedding = Embedding(8, width)
        self.layer = TransformerEncoderLayer(width, 2, 48, dropout=0.0, batch_first=True, norm_first=True)
        self.norm, self.head = LayerNorm(width), Linear(width, 8)

    def forward(self, x):
        return self.head(self.norm(self.layer(self.embedding(x)))).reshape(-1, 8)


model = Copy()
optimizer = Adam(model.parameters(), lr=0.005)
schedule = LinearWarmup(optimizer, 100_000)
loss_fn = CrossEntropyLoss()
for step in range(100):
    rows = rng.integers(0, 256, 32)
    optimizer.zero_grad()
    loss = loss_fn(model(X[rows]), X[rows].reshape(-1))
    loss.backward()
    optimizer.step()
    schedule.step()
print("loss:", loss.item())
