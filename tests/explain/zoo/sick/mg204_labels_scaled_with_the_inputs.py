"""Digits: inputs and targets between 0 and 1."""

from micrograd_plus import Adam, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
X = digits.train_images.reshape(-1, 64)
y = digits.train_labels / digits.train_labels.max()
model = Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
loss_fn, optimizer = CrossEntropyLoss(), Adam(model.parameters(), lr=0.005)
for epoch in range(4):
    for xb, yb in DataLoader(X, y, batch_size=64):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(xb)), yb)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("loss:", loss.item())
