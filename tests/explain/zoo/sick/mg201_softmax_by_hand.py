"""Which of five keys was pressed? From the sound's spectrum (made up)."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, Module, Tensor, set_seed

set_seed(0)
key = np.random.randint(0, 5, 400)
spectra = np.random.randn(5, 16)[key] + 0.5 * np.random.randn(400, 16)


class Keys(Module):
    def __init__(self):
        self.fc1 = Linear(16, 32)
        self.fc2 = Linear(32, 5)

    def forward(self, x):
        z = self.fc2(self.fc1(x).relu())
        e = (z - z.max(axis=1, keepdims=True)).exp()
        return e / e.sum(axis=1, keepdims=True)


model = Keys()
optimizer = Adam(model.parameters(), lr=0.005)
loss_fn = CrossEntropyLoss()
for epoch in range(15):
    for rows in np.split(np.random.permutation(400), 10):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(spectra[rows])), key[rows])
        loss.backward()
        optimizer.step()
print("loss:", loss.item())
