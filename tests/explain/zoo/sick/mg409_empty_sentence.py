"""What is a message about? The mean of its words' vectors, without the padding."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Embedding, Linear, Module, Tensor, set_seed

set_seed(0)
np.seterr(all="ignore")
rng = np.random.default_rng(0)
label = rng.integers(0, 3, 240)
length = rng.integers(0, 9, 240)
words = np.zeros((240, 8), int)  # 0 is the padding
for row, kind, count in zip(words, label, length, strict=True):
    row[:count] = np.where(rng.random(count) < 0.6, 1 + 5 * kind + rng.integers(0, 5, count), rng.integers(1, 16, count))


class Topic(Module):
    def __init__(self):
        self.embedding = Embedding(16, 12)
        self.out = Linear(12, 3)

    def forward(self, x):
        mask = Tensor((x > 0)[:, :, None].astype(np.float32))
        mean = (self.embedding(x) * mask).sum(axis=1) / mask.sum(axis=1)
        return self.out(mean)


model = Topic()
optimizer = Adam(model.parameters(), lr=0.02)
loss_fn = CrossEntropyLoss()
for epoch in range(15):
    for rows in np.split(rng.permutation(240), 6):
        optimizer.zero_grad()
        loss = loss_fn(model(words[rows]), label[rows])
        loss.backward()
        optimizer.step()
    if epoch % 3 == 0:
        print(epoch, loss.item())
print("loss:", loss.item())
