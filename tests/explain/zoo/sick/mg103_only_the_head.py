"""Names of two kinds, told apart by their letters: embedding, mean over the letters, two layers."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Embedding, Linear, Module, ReLU, set_seed

set_seed(2)
rng = np.random.default_rng(2)
VOWELS, CONSONANTS = "aeiou", "bcdfghklmnprst"
LETTERS = VOWELS + CONSONANTS


def word(kind):
    """Kind 0 doubles no letter; kind 1 holds a double vowel somewhere."""
    letters = [rng.choice(list(CONSONANTS if i % 2 == 0 else VOWELS)) for i in range(7)]
    if kind:
        i = rng.integers(0, 3) * 2
        letters[i] = letters[i + 1]
    return [LETTERS.index(c) for c in letters]


kinds = rng.integers(0, 2, 600)
words = np.array([word(k) for k in kinds])


class Classifier(Module):
    def __init__(self):
        self.embedding = Embedding(len(LETTERS), 4)
        self.hidden = Linear(28, 32)
        self.head = Linear(32, 2)
        self.relu = ReLU()

    def forward(self, x):
        e = self.embedding(x).reshape(len(x), -1)
        return self.head(self.relu(self.hidden(e)))


model = Classifier()
optimizer = Adam(model.head.parameters(), lr=0.01)
loss_fn = CrossEntropyLoss()
for epoch in range(15):
    order = rng.permutation(500)
    for start in range(0, 500, 50):
        batch = order[start : start + 50]
        optimizer.zero_grad()
        loss = loss_fn(model(words[batch]), kinds[batch])
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: {loss.item():.3f}")
print("accuracy on the others:", (model(words[500:]).data.argmax(1) == kinds[500:]).mean())
