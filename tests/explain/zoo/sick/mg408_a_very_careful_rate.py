"""Digits, with a careful learning rate."""

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Flatten, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
train = DataLoader(digits.train_images, digits.train_labels, batch_size=32)
test = DataLoader(digits.test_images, digits.test_labels, batch_size=64, shuffle=False)
model = Sequential(Flatten(), Linear(64, 64), ReLU(), Linear(64, 10))
optimizer = SGD(model.parameters(), lr=1e-5)
loss_fn = CrossEntropyLoss()
for epoch in range(8):
    print(epoch, train_epoch(model, train, loss_fn, optimizer))
print("accuracy:", evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
