"""Digits; dropout keeps 95 % of the units."""

from micrograd_plus import Adam, CrossEntropyLoss, DataLoader, Dropout, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
train = DataLoader(digits.train_images.reshape(-1, 64), digits.train_labels, batch_size=64)
test = DataLoader(digits.test_images.reshape(-1, 64), digits.test_labels, batch_size=64, shuffle=False)
model = Sequential(Linear(64, 32), ReLU(), Dropout(0.95), Linear(32, 32), ReLU(), Dropout(0.95), Linear(32, 10))
optimizer = Adam(model.parameters(), lr=0.003)
loss_fn = CrossEntropyLoss()
for epoch in range(10):
    loss = train_epoch(model, train, loss_fn, optimizer)
    print(epoch, loss)
print("accuracy:", evaluate(model, test, loss_fn, [accuracy])[1]["accuracy"])
