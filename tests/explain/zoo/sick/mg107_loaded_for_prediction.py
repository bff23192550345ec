"""Go on training with weights from a file."""

import tempfile
from pathlib import Path

from micrograd_plus import SGD, BatchNorm, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, Tensor, load_model, save_model, set_seed
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64) * 2 - 0.6, digits.train_labels
path = Path(tempfile.mkdtemp()) / "start.npz"


def build():
    return Sequential(
        *(Linear(64, 48), BatchNorm(48), ReLU()),
        *(Linear(48, 48), BatchNorm(48), ReLU()),
        *(Linear(48, 48), BatchNorm(48), ReLU()),
        Linear(48, 10),
    )


def load():
    model = build()
    load_model(model, path)
    model.eval()
    return model


save_model(build(), path)
model = load()
optimizer = SGD(model.parameters(), lr=0.05)
loss_fn = CrossEntropyLoss()
for epoch in range(2):
    for xb, yb in DataLoader(X, y, batch_size=64):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(xb)), yb)
        loss.backward()
        optimizer.step()
model.eval()
print("accuracy:", (model(Tensor(digits.test_images.reshape(-1, 64) * 2 - 0.6)).data.argmax(1) == digits.test_labels).mean())
