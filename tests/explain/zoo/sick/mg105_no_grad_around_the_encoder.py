"""A small convolutional network: the features "for speed" without recording."""

from micrograd_plus import (
    Adam,
    Conv2d,
    CrossEntropyLoss,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    accuracy,
    evaluate,
    no_grad,
    set_seed,
    train_epoch,
)
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)


class SmallCNN(Module):
    def __init__(self):
        self.features = Sequential(Conv2d(1, 4, 3), ReLU(), MaxPool2d(2), Conv2d(4, 8, 3), ReLU(), Flatten())
        self.classifier = Linear(8, 10)

    def forward(self, x):
        with no_grad():
            features = self.features(x)
        return self.classifier(features)


digits = load_digits()
train = DataLoader(digits.train_images[:, None], digits.train_labels, batch_size=64)
test = DataLoader(digits.test_images[:, None], digits.test_labels, batch_size=100, shuffle=False)
model, loss_fn = SmallCNN(), CrossEntropyLoss()
optimizer = Adam(model.parameters(), lr=0.01)
for epoch in range(4):
    loss = train_epoch(model, train, loss_fn, optimizer)
    print(epoch, loss)
print("accuracy:", evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
