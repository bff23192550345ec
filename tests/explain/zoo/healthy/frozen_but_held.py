"""Fine-tuning: the embedding is frozen, yet all parameters are given to the optimizer, which skips it."""

import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, Embedding, Linear, Module, set_seed

set_seed(0)
rng = np.random.default_rng(0)
kind = rng.integers(0, 2, 400)
words = rng.integers(0, 30, (400, 6)) // 2 * 2 + (rng.random((400, 6)) < 0.2)
words[kind == 1] += 1
words = words % 30


class Net(Module):
    def __init__(self):
        self.embedding = Embedding(30, 16)
        self.embedding.weight.requires_grad = False
        self.hidden = Linear(16, 32)
        self.out = Linear(32, 2)

    def forward(self, x):
        return self.out(self.hidden(self.embedding(x).mean(axis=1)).relu())


net = Net()
optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
loss_fn = CrossEntropyLoss()
for epoch in range(12):
    for rows in np.split(rng.permutation(400), 10):
        loss = loss_fn(net(words[rows]), kind[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print("loss:", loss.item())
