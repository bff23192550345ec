"""A regression with a validation loss in every epoch, and early stopping."""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, Sequential, Tanh, Tensor, get_memory_usage, set_seed, train_test_split

set_seed(0)
X = np.random.uniform(-1, 1, (1000, 4))
y = (np.sin(3 * X[:, :1]) + X[:, 1:2] * X[:, 2:3]).astype(np.float32)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.4)
model = Sequential(Linear(4, 128), Tanh(), Linear(128, 128), Tanh(), Linear(128, 1))
optimizer = Adam(model.parameters(), lr=0.003)
mse = MSELoss()
history = []
start = get_memory_usage()["rss"]
for epoch in range(60):
    for i in range(0, len(X_train), 100):
        optimizer.zero_grad()
        mse(model(Tensor(X_train[i : i + 100])), y_train[i : i + 100]).backward()
        optimizer.step()
    history.append(mse(model(Tensor(X_val)), y_val))
    if min(loss.item() for loss in history) < min(loss.item() for loss in history[-20:]):
        break
print(f"best validation loss {min(loss.item() for loss in history):.4f} of {len(history)}")
print("more memory, MB:", round(get_memory_usage()["rss"] - start))
