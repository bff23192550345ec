"""A new head on features that stay as they are: the first layers are frozen, and the optimizer holds the head only."""

from micrograd_plus import Adam, CrossEntropyLoss, DataLoader, Linear, ReLU, Sequential, Tensor, accuracy, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
X, y = digits.train_images.reshape(-1, 64), digits.train_labels

features = Sequential(Linear(64, 96), ReLU())
for p in features.parameters():
    p.requires_grad = False
model = Sequential(features, Linear(96, 10))
optimizer = Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
loss_fn = CrossEntropyLoss()
for epoch in range(6):
    print(epoch, train_epoch(model, DataLoader(X, y, batch_size=64), loss_fn, optimizer))
print("accuracy:", accuracy(model(Tensor(digits.test_images.reshape(-1, 64))), digits.test_labels))
