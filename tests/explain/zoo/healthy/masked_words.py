"""Words are hidden, and the network says which they were; all other places have a label that the loss ignores."""

import numpy as np

from micrograd_plus import AdamW, CrossEntropyLoss, Embedding, LayerNorm, Linear, Module, TransformerEncoderLayer, set_seed

set_seed(0)
rng = np.random.default_rng(0)
start = rng.integers(0, 10, 300)
sentences = (start[:, None] + np.arange(8)) % 10 + 1  # word after word, in a circle; 0 hides one


class Masked(Module):
    def __init__(self, width=32):
        self.tokens, self.positions = Embedding(11, width), Embedding(8, width)
        self.layer = TransformerEncoderLayer(width, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
        self.norm, self.head = LayerNorm(width), Linear(width, 11)

    def forward(self, x):
        return self.head(self.norm(self.layer(self.tokens(x) + self.positions(np.arange(8)))))


model = Masked()
optimizer = AdamW(model.parameters(), lr=0.003)
loss_fn = CrossEntropyLoss(ignore_index=-100)
for step in range(120):
    x = sentences[rng.integers(0, 300, 32)]
    hidden = rng.random(x.shape) < 0.2
    hidden[:, 0] |= ~hidden.any(axis=1)
    logits = model(np.where(hidden, 0, x))
    loss = loss_fn(logits.reshape(-1, 11), np.where(hidden, x, -100).reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(step, loss.item())
