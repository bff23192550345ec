"""A small CNN for digits, with Adam."""

from micrograd_plus import (
    Adam,
    Conv2d,
    CrossEntropyLoss,
    DataLoader,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    accuracy,
    evaluate,
    set_seed,
    train_epoch,
)
from micrograd_plus.data import load_digits

set_seed(0)


class CNN(Module):
    def __init__(self):
        self.conv = Conv2d(1, 6, 3, padding=1)
        self.pool = MaxPool2d(2)
        self.flatten = Flatten()
        self.fc1 = Linear(96, 32)
        self.fc2 = Linear(32, 10)
        self.relu = ReLU()

    def forward(self, x):
        x = self.pool(self.relu(self.conv(x)))
        x = self.relu(self.fc1(self.flatten(x)))
        return self.fc2(x)


digits = load_digits()
train = DataLoader(digits.train_images[:, None], digits.train_labels, batch_size=64)
test = DataLoader(digits.test_images[:, None], digits.test_labels, batch_size=64, shuffle=False)
model, loss_fn = CNN(), CrossEntropyLoss()
optimizer = Adam(model.parameters(), lr=1.0)
for epoch in range(4):
    print(epoch, train_epoch(model, train, loss_fn, optimizer))
print("accuracy:", evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
