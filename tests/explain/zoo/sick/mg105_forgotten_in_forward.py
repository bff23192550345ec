"""Which digit stood at the front of a sequence? Attention with embeddings of positions."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Embedding, LayerNorm, Linear, Module, MultiheadAttention, set_seed

set_seed(0)
rng = np.random.default_rng(0)
sequences = rng.integers(0, 6, (400, 8))
first = sequences[:, 0]


class FirstSymbol(Module):
    def __init__(self, symbols=6, length=8, width=24):
        self.tokens = Embedding(symbols, width)
        self.positions = Embedding(length, width)
        self.attention = MultiheadAttention(width, 2, batch_first=True)
        self.norm = LayerNorm(width)
        self.head = Linear(width, symbols)

    def forward(self, x):
        h = self.tokens(x)
        mixed, _ = self.attention(h, h, h)
        return self.head(self.norm(h + mixed).mean(axis=1))


model = FirstSymbol()
optimizer = Adam(model.parameters(), lr=0.01)
criterion = CrossEntropyLoss()
for step in range(150):
    batch = rng.integers(0, 400, 64)
    optimizer.zero_grad()
    loss = criterion(model(sequences[batch]), first[batch])
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(step, loss.item())
print("loss:", criterion(model(sequences), first).item())
