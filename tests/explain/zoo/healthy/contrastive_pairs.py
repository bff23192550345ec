"""Two noisy views of a digit belong together, among 48: the label of view i is i (InfoNCE, temperature 0.2)."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, Sequential, SiLU, Tensor, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
images = load_digits().train_images.reshape(-1, 64)
encoder = Sequential(Linear(64, 64), SiLU(), Linear(64, 16))
optimizer = Adam(encoder.parameters(), lr=0.003)
loss_fn = CrossEntropyLoss()


def view(rows):
    z = encoder(Tensor(images[rows] + 0.1 * np.random.randn(len(rows), 64)))
    return z / ((z**2).sum(axis=1, keepdims=True) + 1e-6).sqrt()


for step in range(100):
    rows = np.random.permutation(len(images))[:48]
    scores = view(rows) @ view(rows).T / 0.2
    loss = loss_fn(scores, np.arange(48))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(step, loss.item())
