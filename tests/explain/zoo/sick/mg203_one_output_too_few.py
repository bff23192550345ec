"""A CNN for digits; the digits go from 0 to 9."""

from micrograd_plus import AdamW, Conv2d, CrossEntropyLoss, Flatten, Linear, MaxPool2d, ReLU, Sequential, set_seed, train_epoch
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
loader = DataLoader(digits.train_images.reshape(-1, 1, 8, 8), digits.train_labels, batch_size=64)
model = Sequential(Conv2d(1, 8, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(8 * 4 * 4, 9))
optimizer = AdamW(model.parameters(), lr=0.01)
for epoch in range(4):
    loss = train_epoch(model, loader, CrossEntropyLoss(), optimizer)
    print(epoch + 1, loss)
print("loss:", loss)
