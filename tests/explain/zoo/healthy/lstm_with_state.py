"""A long text in stretches: the LSTM's state goes on from one to the next, detached."""

import numpy as np

from micrograd_plus import LSTM, Adam, Embedding, Linear, Module, clip_grad_norm, set_seed
from micrograd_plus.losses import cross_entropy

set_seed(0)
text = "one two three four five six seven eight nine ten eleven twelve; " * 60
letters = sorted(set(text))
codes = np.array([letters.index(c) for c in text])
streams = codes[: len(codes) // 8 * 8].reshape(8, -1)


class Model(Module):
    def __init__(self):
        self.embedding = Embedding(len(letters), 16)
        self.lstm = LSTM(16, 48, batch_first=True)
        self.head = Linear(48, len(letters))

    def forward(self, x, state=None):
        h, state = self.lstm(self.embedding(x), state)
        return self.head(h), state


model = Model()
optimizer = Adam(model.parameters(), lr=0.01)
for epoch in range(4):
    state = None
    for start in range(0, streams.shape[1] - 21, 20):
        x, y = streams[:, start : start + 20], streams[:, start + 1 : start + 21]
        logits, state = model(x, state)
        state = tuple(s.detach() for s in state)
        loss = cross_entropy(logits.reshape(-1, len(letters)), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
    print(epoch, loss.item())
