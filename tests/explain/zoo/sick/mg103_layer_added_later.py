"""How fast a car stops: braking distance from speed, slope and grip."""

import numpy as np

from micrograd_plus import SGD, Linear, MSELoss, ReLU, Sequential, Tensor, normalize, set_seed

set_seed(0)
n = 400
speed, slope, grip = np.random.uniform(5, 40, n), np.random.uniform(-0.1, 0.1, n), np.random.uniform(0.3, 0.9, n)
distance = speed**2 / (2 * 9.81 * (grip + slope))
X, _, _ = normalize(np.stack([speed, slope, grip], axis=1))
y, _, _ = normalize(distance.reshape(-1, 1))

model = Sequential(Linear(3, 32), ReLU())
optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
model.add(Linear(32, 32)).add(ReLU()).add(Linear(32, 1))
criterion = MSELoss()

for epoch in range(40):
    order = np.random.permutation(n)
    total = 0.0
    for i in range(0, n, 40):
        idx = order[i : i + 40]
        optimizer.zero_grad()
        loss = criterion(model(Tensor(X[idx])), y[idx])
        loss.backward()
        optimizer.step()
        total += loss.item()
    if epoch % 10 == 0:
        print(epoch, total / 10)
print("loss:", total / 10)
