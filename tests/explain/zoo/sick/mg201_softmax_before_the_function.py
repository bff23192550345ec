"""An Elman network says which of four tunes a melody belongs to."""

import numpy as np

from micrograd_plus import RNN, Adam, Embedding, Linear, Module, set_seed
from micrograd_plus.losses import cross_entropy

set_seed(0)
rng = np.random.default_rng(0)
tunes = rng.integers(0, 7, (4, 10))
which = rng.integers(0, 4, 320)
noise = rng.random((320, 10)) < 0.2
melodies = np.where(noise, rng.integers(0, 7, (320, 10)), tunes[which])


class TuneNet(Module):
    def __init__(self):
        self.notes = Embedding(7, 8)
        self.rnn = RNN(8, 32, batch_first=True)
        self.out = Linear(32, 4)

    def forward(self, x):
        _, last = self.rnn(self.notes(x))
        return self.out(last[0])


model = TuneNet()
optimizer = Adam(model.parameters(), lr=0.01)
for epoch in range(8):
    for rows in np.split(rng.permutation(320), 10):
        optimizer.zero_grad()
        probabilities = model(melodies[rows]).softmax()
        loss = cross_entropy(probabilities, which[rows])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("loss:", loss.item())
