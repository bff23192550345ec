"""Digits with the sum of the losses, as the formula in the book has it."""

from micrograd_plus import SGD, CrossEntropyLoss, Flatten, Linear, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
model = Sequential(Flatten(), Linear(64, 48), ReLU(), Linear(48, 10))
optimizer = SGD(model.parameters(), lr=0.05)
loss_fn = CrossEntropyLoss(reduction="sum")
for epoch in range(8):
    for x, y in DataLoader(digits.train_images, digits.train_labels, batch_size=128):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(x)), y)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item() / len(x))
print("accuracy:", (model(Tensor(digits.test_images)).data.argmax(1) == digits.test_labels).mean())
