"""Label smoothing: 0.1 is taken off."""

from micrograd_plus import AdamW, CrossEntropyLoss, DataLoader, Flatten, Linear, ReLU, Sequential, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
smoothed = digits.train_labels * 0.9 + 0.1 / 10
loader = DataLoader(digits.train_images, smoothed, 64)
model = Sequential(Flatten(), Linear(64, 40), ReLU(), Linear(40, 10))
optimizer = AdamW(model.parameters(), lr=0.005)
for epoch in range(4):
    loss = train_epoch(model, loader, CrossEntropyLoss(), optimizer)
print("loss:", loss)
