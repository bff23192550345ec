"""The same digit or not? One tower for both images, and the cosine of what it makes of them."""

import numpy as np

from micrograd_plus import Adam, CosineEmbeddingLoss, Linear, Module, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
rng = np.random.default_rng(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64), digits.train_labels


class Siamese(Module):
    def __init__(self):
        self.tower = Sequential(Linear(64, 48), ReLU(), Linear(48, 16))

    def forward(self, a, b):
        return self.tower(a), self.tower(b)


model = Siamese()
optimizer = Adam(model.parameters(), lr=0.003)
loss_fn = CosineEmbeddingLoss(margin=0.2)
for step in range(150):
    a = rng.integers(0, len(X), 64)
    b = rng.integers(0, len(X), 64)
    for i in range(32):
        b[i] = rng.choice(np.flatnonzero(y == y[a[i]]))
    optimizer.zero_grad()
    loss = loss_fn(*model(Tensor(X[a]), Tensor(X[b])), np.where(y[a] == y[b], 1, -1))
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
