"""Digits out of ten folders, one per class, read in order."""

import numpy as np

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Flatten, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
folders = [digits.train_images[digits.train_labels == d] for d in range(10)]
images = np.concatenate(folders)
labels = np.concatenate([np.full(len(folder), d) for d, folder in enumerate(folders)])

loader = DataLoader(images, labels, batch_size=32, shuffle=False)
test = DataLoader(digits.test_images, digits.test_labels, batch_size=100, shuffle=False)
model = Sequential(Flatten(), Linear(64, 48), ReLU(), Linear(48, 10))
optimizer = SGD(model.parameters(), lr=0.1)
criterion = CrossEntropyLoss()
for epoch in range(6):
    loss = train_epoch(model, loader, criterion, optimizer)
    _, result = evaluate(model, test, criterion, [accuracy])
    print(f"epoch {epoch}: loss {loss:.3f}, accuracy {result['accuracy']:.2f}")
print("accuracy:", result["accuracy"])
