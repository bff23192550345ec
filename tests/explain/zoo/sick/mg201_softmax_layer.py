"""Digits; the model ends in probabilities."""

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Flatten, Linear, ReLU, Sequential, Softmax, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
loader = DataLoader(digits.train_images, digits.train_labels, batch_size=64)
model = Sequential(Flatten(), Linear(64, 32), ReLU(), Linear(32, 10), Softmax())
optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
loss_fn = CrossEntropyLoss()
for epoch in range(10):
    loss = train_epoch(model, loader, loss_fn, optimizer)
    print(f"epoch {epoch + 1}: loss {loss:.4f}")
print("loss:", loss)
