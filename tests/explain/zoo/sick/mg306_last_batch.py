"""Is a sentence about food or about weather? Mean of the words, batch norm, a linear layer."""

import numpy as np

from micrograd_plus import Adam, BatchNorm1d, BCEWithLogitsLoss, Embedding, Linear, Module, set_seed

set_seed(0)
rng = np.random.default_rng(0)
FOOD = "bread soup apple cheese we eat good warm".split()
WEATHER = "rain wind cloud snow it falls cold warm".split()
vocabulary = sorted({*FOOD, *WEATHER})
sentences, labels = [], rng.integers(0, 2, 161)
for label in labels:
    chosen = rng.choice(WEATHER if label else FOOD, 5)
    sentences.append([vocabulary.index(word) for word in chosen])
sentences = np.array(sentences)


class Topic(Module):
    def __init__(self):
        self.embedding = Embedding(len(vocabulary), 16)
        self.norm = BatchNorm1d(16)
        self.out = Linear(16, 1)

    def forward(self, x):
        return self.out(self.norm(self.embedding(x).mean(axis=1)))


model = Topic()
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = BCEWithLogitsLoss()
BATCH = 16
for epoch in range(3):
    losses = []
    for i in range(0, 161, BATCH):
        optimizer.zero_grad()
        loss = loss_fn(model(sentences[i : i + BATCH]), labels[i : i + BATCH].reshape(-1, 1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(epoch, np.mean(losses))
print("loss:", np.mean(losses))
