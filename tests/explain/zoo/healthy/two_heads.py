"""Two tasks on one body: the losses are added, and one backward goes through both."""

from micrograd_plus import Adam, BCEWithLogitsLoss, CrossEntropyLoss, Linear, Module, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()


class TwoHeads(Module):
    def __init__(self):
        self.body = Sequential(Linear(64, 48), ReLU())
        self.heads = {"digit": Linear(48, 10), "even": Linear(48, 1)}

    def forward(self, x):
        h = self.body(x)
        return self.heads["digit"](h), self.heads["even"](h)


model = TwoHeads()
optimizer = Adam(model.parameters(), lr=0.005)
cross_entropy, bce = CrossEntropyLoss(), BCEWithLogitsLoss()
for epoch in range(4):
    total = 0.0
    for x, y in DataLoader(digits.train_images.reshape(-1, 64), digits.train_labels, batch_size=64):
        digit, even = model(Tensor(x))
        loss = cross_entropy(digit, y)
        loss += 0.5 * bce(even, (y % 2 == 0).reshape(-1, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(epoch, total / 23)
