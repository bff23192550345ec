"""Next letters by an RNN; the mean loss of each epoch is printed."""

import numpy as np

from micrograd_plus import RNN, Adam, Embedding, Linear, Module, Tensor, clip_grad_norm, get_memory_usage, set_seed
from micrograd_plus.losses import cross_entropy

set_seed(0)
text = "she sells sea shells by the sea shore, and the shells she sells are sea shells for sure. " * 4
letters = sorted(set(text))
codes = np.array([letters.index(c) for c in text])


class Model(Module):
    def __init__(self):
        self.embed = Embedding(len(letters), 24)
        self.rnn = RNN(24, 64, batch_first=True)
        self.out = Linear(64, len(letters))

    def forward(self, x):
        h, _ = self.rnn(self.embed(x))
        return self.out(h)


model = Model()
optimizer = Adam(model.parameters(), lr=0.005)
start = get_memory_usage()["rss"]
total = Tensor(0.0)
for step in range(120):
    starts = np.random.randint(0, len(codes) - 31, (32, 1)) + np.arange(30)
    optimizer.zero_grad()
    loss = cross_entropy(model(codes[starts]).reshape(-1, len(letters)), codes[starts + 1].reshape(-1))
    total = total + loss
    loss.backward(retain_graph=True)
    clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()
    if step % 40 == 39:
        print("mean loss so far:", total.item() / (step + 1))
print("more memory, MB:", round(get_memory_usage()["rss"] - start))
