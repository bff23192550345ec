"""The price of a used car from age, mileage and power, with a falling learning rate."""

import numpy as np

from micrograd_plus import Adam, ExponentialLR, Linear, MSELoss, ReLU, Sequential, Tensor, set_seed

set_seed(0)
X = np.random.randn(600, 3).astype(np.float32)
y = np.exp(-0.5 * X[:, :1]) - 0.4 * X[:, 1:2] + 0.3 * np.abs(X[:, 2:]) - 1

model = Sequential(Linear(3, 32), ReLU(), Linear(32, 1))
optimizer = Adam(model.parameters(), lr=0.01)
scheduler = ExponentialLR(optimizer, gamma=0.7)
criterion = MSELoss()
for epoch in range(12):
    for rows in np.split(np.random.permutation(600), 20):
        optimizer.zero_grad()
        loss = criterion(model(Tensor(X[rows])), y[rows])
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(f"epoch {epoch}: loss {loss.item():.3f}")
print("loss:", criterion(model(Tensor(X)), y).item())
