"""Digits one by one, as they come in; with batch norm."""

from micrograd_plus import SGD, BatchNorm, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
images, labels = digits.train_images.reshape(-1, 64)[:900], digits.train_labels[:900]
loader = DataLoader(images, labels, batch_size=1)
test = DataLoader(digits.test_images.reshape(-1, 64), digits.test_labels, batch_size=50, shuffle=False)
model = Sequential(Linear(64, 32), BatchNorm(32), ReLU(), Linear(32, 10))
optimizer = SGD(model.parameters(), lr=0.02)
loss_fn = CrossEntropyLoss()
for epoch in range(2):
    loss = train_epoch(model, loader, loss_fn, optimizer)
    print(epoch, loss)
print("accuracy:", evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
