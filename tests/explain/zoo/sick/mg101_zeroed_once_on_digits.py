"""Handwritten digits with a multilayer perceptron and a loop of my own."""

from micrograd_plus import SGD, CrossEntropyLoss, Flatten, Linear, ReLU, Sequential, Tensor, accuracy, evaluate, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(1)
digits = load_digits()
train_loader = DataLoader(digits.train_images, digits.train_labels, batch_size=64)
test_loader = DataLoader(digits.test_images, digits.test_labels, batch_size=64, shuffle=False)

model = Sequential(Flatten(), Linear(64, 48), ReLU(), Linear(48, 10))
criterion = CrossEntropyLoss()
optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)

optimizer.zero_grad()
for epoch in range(6):
    running_loss = 0.0
    for images, labels in train_loader:
        outputs = model(Tensor(images))
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print(f"epoch {epoch + 1}: loss {running_loss / len(train_loader):.4f}")

_, metrics = evaluate(model, test_loader, criterion, [accuracy])
print("test accuracy:", metrics["accuracy"])
