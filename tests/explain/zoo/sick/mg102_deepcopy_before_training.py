"""Keep the untrained network for later comparison, train a copy of it."""

import copy

from micrograd_plus import AdamW, CrossEntropyLoss, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch
from micrograd_plus.data import DataLoader, load_digits

set_seed(4)
digits = load_digits()
X_train = digits.train_images.reshape(len(digits.train_images), -1)
X_test = digits.test_images.reshape(len(digits.test_images), -1)
train = DataLoader(X_train, digits.train_labels, 32)
test = DataLoader(X_test, digits.test_labels, 128, shuffle=False)

untrained = Sequential(Linear(64, 64), ReLU(), Linear(64, 10))
optimizer = AdamW(untrained.parameters(), lr=0.003)
model = copy.deepcopy(untrained)
loss_fn = CrossEntropyLoss()

for epoch in range(5):
    loss = train_epoch(model, train, loss_fn, optimizer)
    _, scores = evaluate(model, test, loss_fn, {"accuracy": accuracy})
    print(f"epoch {epoch + 1}: loss {loss:.3f}, accuracy {scores['accuracy']:.3f}")
print("accuracy:", scores["accuracy"])
