"""A deep regression network, layer by layer in a list."""

import numpy as np

from micrograd_plus import Adam, Linear, Module, MSELoss, Tensor, set_seed

set_seed(0)
X = np.random.uniform(-1, 1, (300, 3)).astype(np.float32)
y = np.sin(2 * X[:, :1]) + X[:, 1:2] * X[:, 2:]


class Deep(Module):
    def __init__(self, depth=8, width=32):
        self.first = Linear(3, width)
        self.hidden = [Linear(width, width) for _ in range(depth)]
        self.last = Linear(width, 1)

    def forward(self, x):
        x = self.first(x).sigmoid()
        for layer in self.hidden:
            x = layer(x).sigmoid()
        return self.last(x)


model = Deep()
optimizer = Adam(model.parameters(), lr=0.003)
criterion = MSELoss()
for epoch in range(25):
    for rows in np.split(np.random.permutation(300), 6):
        optimizer.zero_grad()
        loss = criterion(model(Tensor(X[rows])), Tensor(y[rows]))
        loss.backward()
        optimizer.step()
    if epoch % 5 == 0:
        print(f"{epoch}: {loss.item():.4f}")
print("loss:", criterion(model(Tensor(X)), y).item())
