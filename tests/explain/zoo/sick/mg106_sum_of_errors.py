"""Mean absolute error on a test set, batch by batch."""

import numpy as np

from micrograd_plus import Adam, Linear, MSELoss, ReLU, Sequential, Tensor, get_memory_usage, set_seed

set_seed(0)
X = np.random.randn(6000, 8).astype(np.float32)
y = np.abs(X[:, :1]) - X[:, 1:2] * X[:, 2:3]
model = Sequential(Linear(8, 96), ReLU(), Linear(96, 96), ReLU(), Linear(96, 1))
optimizer = Adam(model.parameters(), lr=0.003)
loss_fn = MSELoss()
start = get_memory_usage()["rss"]
for epoch in range(4):
    for i in range(0, 1000, 50):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[i : i + 50])), Tensor(y[i : i + 50]))
        loss.backward()
        optimizer.step()
    error = Tensor(0.0)
    for i in range(1000, 6000, 250):
        error = error + (model(Tensor(X[i : i + 250])) - y[i : i + 250]).abs().mean()
    print(epoch, error.item() / 20)
print("more memory, MB:", round(get_memory_usage()["rss"] - start))
