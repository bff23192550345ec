"""Which half of a chequered field? Noise on the inputs makes the network robust."""

import numpy as np

from micrograd_plus import Adam, CrossEntropyLoss, Linear, Module, Tensor, randn, set_seed

set_seed(0)
rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, (400, 2)).astype(np.float32)
y = (X[:, 0] * X[:, 1] > 0).astype(int)


class RobustNet(Module):
    def __init__(self, noise=10.0):
        self.hidden = Linear(2, 32)
        self.second = Linear(32, 32)
        self.out = Linear(32, 2)
        self.noise = noise

    def forward(self, x):
        if self.training:
            x = x + self.noise * randn(*x.shape)
        h = self.hidden(x).relu()
        return self.out(self.second(h).relu())


model = RobustNet()
optimizer = Adam(model.parameters(), lr=0.01)
loss_fn = CrossEntropyLoss()
for epoch in range(12):
    for rows in np.split(rng.permutation(400), 10):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[rows])), y[rows])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
model.eval()
print("accuracy:", (model(Tensor(X)).data.argmax(1) == y).mean())
