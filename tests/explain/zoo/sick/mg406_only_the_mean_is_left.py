"""Digits, small: average pooling makes the images smaller first."""

import numpy as np

from micrograd_plus import Adam, AdaptiveAvgPool2d, CrossEntropyLoss, Flatten, Linear, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
images, labels = (digits.train_images[:, None] - 0.3) / 0.37, digits.train_labels
model = Sequential(AdaptiveAvgPool2d(1), Flatten(), Linear(1, 64), ReLU(), Linear(64, 64), ReLU(), Linear(64, 10))
optimizer = Adam(model.parameters(), lr=0.003)
criterion = CrossEntropyLoss()
for step in range(150):
    rows = np.random.randint(0, len(images), 64)
    optimizer.zero_grad()
    loss = criterion(model(Tensor(images[rows])), labels[rows])
    loss.backward()
    optimizer.step()
print("accuracy:", (model(Tensor((digits.test_images[:, None] - 0.3) / 0.37)).data.argmax(1) == digits.test_labels).mean())
