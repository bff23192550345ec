"""Digits with batch norm; the test accuracy after every epoch."""

from micrograd_plus import SGD, BatchNorm, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, no_grad, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
train = DataLoader(digits.train_images.reshape(-1, 64), digits.train_labels, batch_size=32)
X_test, y_test = Tensor(digits.test_images.reshape(-1, 64)), digits.test_labels

model = Sequential(
    Linear(64, 64), BatchNorm(64), ReLU(), Linear(64, 64), BatchNorm(64), ReLU(), Linear(64, 64), BatchNorm(64), ReLU(), Linear(64, 10)
)
optimizer = SGD(model.parameters(), lr=0.2)
loss_fn = CrossEntropyLoss()
for epoch in range(6):
    for x, y in train:
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(x)), y)
        loss.backward()
        optimizer.step()

    model.eval()
    with no_grad():
        right = (model(X_test).data.argmax(axis=1) == y_test).mean()
    print(f"epoch {epoch}: loss {loss.item():.3f}, test accuracy {right:.3f}")
print("accuracy:", right)
