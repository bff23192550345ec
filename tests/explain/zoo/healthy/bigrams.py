"""Bigrams of names as a matrix of logits, by gradient descent with a rate of 50 (Karpathy, makemore, part 1)."""

import numpy as np

from micrograd_plus import Tensor, set_seed
from micrograd_plus.losses import cross_entropy

set_seed(0)
words = "emma olivia ava isabella sophia charlotte mia amelia harper evelyn abigail emily ella elizabeth camila luna sofia".split()
letters = ".abcdefghijklmnopqrstuvwxyz"
pairs = np.array([[letters.index(a), letters.index(b)] for w in words for a, b in zip("." + w, w + ".", strict=True)])
x, y = np.eye(27)[pairs[:, 0]], pairs[:, 1]

W = Tensor(np.random.randn(27, 27), requires_grad=True)
for k in range(60):
    loss = cross_entropy(Tensor(x) @ W, y) + 0.01 * (W**2).mean()
    W.zero_grad()
    loss.backward()
    W.data -= 50 * W.grad
print("loss:", loss.item())
