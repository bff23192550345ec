"""Digits: the last layer is to learn faster than the others."""

from micrograd_plus import SGD, CosineAnnealingLR, CrossEntropyLoss, Flatten, Linear, ReLU, Sequential, set_seed, train_epoch
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
loader = DataLoader(digits.train_images, digits.train_labels, 32)
model = Sequential(Flatten(), Linear(64, 32), ReLU(), Linear(32, 10))
optimizer = SGD(
    [
        {"params": model.parameters(), "lr": 0.05},
        {"params": model[-1].parameters(), "lr": 0.2},
    ],
    momentum=0.9,
)
schedule = CosineAnnealingLR(optimizer, 5)
for epoch in range(5):
    loss = train_epoch(model, loader, CrossEntropyLoss(), optimizer)
    schedule.step()
    print(f"epoch {epoch}: {loss:.4f}")
print("loss:", loss)
