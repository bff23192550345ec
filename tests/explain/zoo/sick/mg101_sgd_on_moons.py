"""Two half moons, told apart by a small network."""

import numpy as np

from micrograd_plus import SGD, BCEWithLogitsLoss, Linear, ReLU, Sequential, Tensor, no_grad, set_seed

set_seed(0)


def moons(n, noise=0.15):
    angle = np.random.rand(n) * np.pi
    label = np.arange(n) % 2
    x = np.where(label == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(label == 0, np.sin(angle), 0.5 - np.sin(angle))
    points = np.stack([x, y], axis=1) + noise * np.random.randn(n, 2)
    return (points - [0.5, 0.25]).astype(np.float32), label


X, y = moons(300)
X_test, y_test = moons(200)
model = Sequential(Linear(2, 16), ReLU(), Linear(16, 16), ReLU(), Linear(16, 1))
optimizer = SGD(model.parameters(), lr=1.0)
loss_fn = BCEWithLogitsLoss()

for epoch in range(120):
    logits = model(Tensor(X))
    loss = loss_fn(logits, y.reshape(-1, 1))
    loss.backward()
    optimizer.step()
    if epoch % 20 == 0:
        print(f"epoch {epoch}: loss {loss.item():.3f}")

with no_grad():
    predicted = (model(Tensor(X_test)).data > 0).reshape(-1)
print("test accuracy:", (predicted == y_test).mean())
