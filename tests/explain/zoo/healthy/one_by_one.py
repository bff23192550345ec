"""Online learning: a step after every example, with layer norm."""

import numpy as np

from micrograd_plus import SGD, LayerNorm, Linear, Module, MSELoss, Tensor, set_seed

set_seed(0)
X = np.random.randn(500, 5).astype(np.float32)
y = X[:, :1] - 0.5 * np.abs(X[:, 1:2])


class Net(Module):
    def __init__(self):
        self.a, self.norm, self.b = Linear(5, 24), LayerNorm(24), Linear(24, 1)

    def forward(self, x):
        return self.b(self.norm(self.a(x)).relu())


net, mse = Net(), MSELoss()
optimizer = SGD(net.parameters(), lr=0.01)
mean = 1.0
for epoch in range(2):
    for i in np.random.permutation(500):
        optimizer.zero_grad()
        loss = mse(net(Tensor(X[i : i + 1])), Tensor(y[i : i + 1]))
        loss.backward()
        optimizer.step()
        mean = 0.99 * mean + 0.01 * loss.item()
    print(epoch, mean)
