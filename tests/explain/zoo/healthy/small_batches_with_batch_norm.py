"""A CNN with batch norm and batches of four."""

import numpy as np

from micrograd_plus import SGD, BatchNorm2d, Conv2d, CrossEntropyLoss, Flatten, Linear, MaxPool2d, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
images, labels = digits.train_images[:400, None], digits.train_labels[:400]
model = Sequential(
    *(Conv2d(1, 8, 3, padding=1, bias=False), BatchNorm2d(8), ReLU(), MaxPool2d(2)),
    *(Conv2d(8, 16, 3, padding=1, bias=False), BatchNorm2d(16), ReLU(), MaxPool2d(2)),
    *(Flatten(), Linear(64, 10)),
)
optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9)
loss_fn = CrossEntropyLoss()
losses = []
for epoch in range(2):
    model.train()
    for x, y in DataLoader(images, labels, batch_size=4):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(x)), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(epoch, np.mean(losses[-100:]))
model.eval()
print((model(Tensor(digits.test_images[:, None])).data.argmax(1) == digits.test_labels).mean())
