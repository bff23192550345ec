"""Digits with one-hot labels."""

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Flatten, Linear, ReLU, Sequential, one_hot, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
loader = DataLoader(digits.train_images, one_hot(digits.train_labels, 10), batch_size=64)
model = Sequential(Flatten(), Linear(64, 64), ReLU(), Linear(64, 10))
optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
loss_fn = CrossEntropyLoss()
for epoch in range(5):
    loss = train_epoch(model, loader, loss_fn, optimizer)
    print(f"epoch {epoch}: {loss:.4f}")
print("loss:", loss)
