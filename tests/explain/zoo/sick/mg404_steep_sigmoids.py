"""Digits with hidden units that decide: steep sigmoids."""

from micrograd_plus import Adam, CrossEntropyLoss, Linear, Module, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()


class Deciding(Module):
    def __init__(self, steepness=300.0):
        self.inner = Linear(64, 40)
        self.second = Linear(40, 40)
        self.outer = Linear(40, 10)
        self.steepness = steepness

    def forward(self, x):
        h = (self.steepness * self.inner(x)).sigmoid()
        h = (self.steepness * self.second(h)).sigmoid()
        return self.outer(h)


model = Deciding()
optimizer = Adam(model.parameters(), lr=0.002)
loss_fn = CrossEntropyLoss()
for epoch in range(6):
    for x, y in DataLoader(digits.train_images.reshape(-1, 64), digits.train_labels, batch_size=32):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(x)), y)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
predicted = model(Tensor(digits.test_images.reshape(-1, 64))).data.argmax(1)
print("accuracy:", (predicted == digits.test_labels).mean())
