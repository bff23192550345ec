"""Tune a small CNN on digits; model.eval() was copied from the script that makes predictions."""

import numpy as np

from micrograd_plus import Adam, BatchNorm2d, Conv2d, CrossEntropyLoss, Flatten, Linear, MaxPool2d, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
images, labels = digits.train_images[:, None] - 0.3, digits.train_labels

model = Sequential(
    *(Conv2d(1, 8, 3, padding=1), BatchNorm2d(8), ReLU(), MaxPool2d(2)),
    *(Conv2d(8, 16, 3, padding=1), BatchNorm2d(16), ReLU(), MaxPool2d(2)),
    *(Conv2d(16, 16, 3, padding=1), BatchNorm2d(16), ReLU()),
    *(Flatten(), Linear(64, 10)),
)
model.eval()
criterion, optimizer = CrossEntropyLoss(), Adam(model.parameters(), lr=0.003)
rng = np.random.default_rng(0)
for step in range(45):
    batch = rng.integers(0, len(images), 64)
    optimizer.zero_grad()
    loss = criterion(model(Tensor(images[batch])), labels[batch])
    loss.backward()
    optimizer.step()
    if step % 15 == 0:
        print(step, loss.item())
model.eval()
predicted = model(Tensor(digits.test_images[:, None] - 0.3)).data.argmax(1)
print("test accuracy:", (predicted == digits.test_labels).mean())
