"""Digits with strong dropout."""

from micrograd_plus import Adam, CrossEntropyLoss, Dropout, Linear, ReLU, Sequential, Tensor, no_grad, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
loader = DataLoader(digits.train_images.reshape(-1, 64), digits.train_labels, batch_size=64)
model = Sequential(Linear(64, 100), ReLU(), Dropout(0.5), Linear(100, 50), ReLU(), Dropout(0.5), Linear(50, 10))
optimizer = Adam(model.parameters(), lr=0.005)
loss_fn = CrossEntropyLoss()

for epoch in range(8):
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(x)), y)
        loss.backward()
        optimizer.step()
    with no_grad():
        scores = model(Tensor(digits.test_images.reshape(-1, 64)))
    accuracy = (scores.data.argmax(1) == digits.test_labels).mean()
    print(f"epoch {epoch + 1}: train loss {loss.item():.3f}, test accuracy {accuracy:.3f}")
print("test accuracy:", accuracy)
