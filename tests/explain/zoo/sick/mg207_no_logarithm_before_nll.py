"""Digits, with probabilities from the model and a negative log-likelihood as the loss."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, Module, NLLLoss, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()


class Classifier(Module):
    def __init__(self):
        self.hidden = Linear(64, 32)
        self.out = Linear(32, 10)

    def scores(self, x):
        return self.out(self.hidden(x).relu())

    def forward(self, x):
        return self.scores(x).softmax(axis=1)


model = Classifier()
optimizer = Adam(model.parameters(), lr=0.005)
loss_fn = NLLLoss()
for epoch in range(6):
    for x, y in DataLoader(digits.train_images.reshape(-1, 64), digits.train_labels, batch_size=64):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(x)), y)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
scores = model.scores(Tensor(digits.test_images.reshape(-1, 64)))
print("test cross-entropy:", CrossEntropyLoss()(scores, np.asarray(digits.test_labels)).item())
