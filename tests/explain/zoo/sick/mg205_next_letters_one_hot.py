"""The next letter from the three before it (Bengio et al., 2003)."""

import numpy as np

from micrograd_plus import Adam, Embedding, Flatten, Linear, Sequential, Tanh, set_seed
from micrograd_plus.losses import cross_entropy

set_seed(0)
words = "anna maria elena irina nina marina alina karina sabina lena mira vera dora nora clara sara tamara".split()
letters = ".abcdefghijklmnopqrstuvwxyz"
X, Y = [], []
for word in words:
    context = [0, 0, 0]
    for letter in word + ".":
        X.append(context)
        Y.append(letters.index(letter))
        context = [*context[1:], Y[-1]]
X, Y = np.array(X), np.eye(27)[Y]

model = Sequential(Embedding(27, 8), Flatten(), Linear(24, 64), Tanh(), Linear(64, 27))
optimizer = Adam(model.parameters(), lr=0.01)
for step in range(150):
    rows = np.random.randint(0, len(X), 32)
    optimizer.zero_grad()
    loss = cross_entropy(model(X[rows]), Y[rows])
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
