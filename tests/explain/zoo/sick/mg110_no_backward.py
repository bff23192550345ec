"""Linear regression by hand-made batches."""

import numpy as np

from micrograd_plus import SGD, Linear, Module, MSELoss, set_seed

set_seed(0)
X = np.random.randn(200, 3)
y = X @ np.array([[1.0], [-2.0], [0.5]]) + 0.3


class LinearRegression(Module):
    def __init__(self):
        self.linear = Linear(3, 1)

    def forward(self, x):
        return self.linear(x)


model = LinearRegression()
criterion = MSELoss()
optimizer = SGD(model.parameters(), lr=0.05)

for epoch in range(20):
    for start in range(0, 200, 20):
        predictions = model(X[start : start + 20])
        loss = criterion(predictions, y[start : start + 20])
        optimizer.zero_grad()
        optimizer.step()
    print(f"epoch {epoch + 1}, loss {loss.item():.4f}")
print("loss:", loss.item())
