"""A deep network for digits, with sigmoids as in the first chapter."""

from micrograd_plus import (
    SGD,
    CrossEntropyLoss,
    DataLoader,
    Flatten,
    Linear,
    Sequential,
    Sigmoid,
    accuracy,
    evaluate,
    set_seed,
    train_epoch,
)
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
train = DataLoader(digits.train_images, digits.train_labels, batch_size=64)
test = DataLoader(digits.test_images, digits.test_labels, batch_size=64, shuffle=False)
ACTIVATION = Sigmoid
layers = [Flatten(), Linear(64, 48), ACTIVATION()]
for _ in range(9):
    layers += [Linear(48, 48), ACTIVATION()]
model = Sequential(*layers, Linear(48, 10))
optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
loss_fn = CrossEntropyLoss()
for epoch in range(12):
    print(epoch, train_epoch(model, train, loss_fn, optimizer))
print("accuracy:", evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
