"""The power of a wind turbine from the speed of the wind; robust, by the mean absolute error."""

import numpy as np

from micrograd_plus import Adam, Linear, Module, Tensor, set_seed

set_seed(0)
speed = np.random.uniform(3, 15, 400)
power = np.clip(speed / 12, 0, 1) ** 3 + 0.02 * np.random.standard_t(2, 400)


def mae(prediction, target):
    return (prediction - target).abs().mean()


class Turbine(Module):
    def __init__(self):
        self.hidden = Linear(1, 32)
        self.out = Linear(32, 1)

    def forward(self, v):
        return self.out(self.hidden(v).silu())


model = Turbine()
optimizer = Adam(model.parameters(), lr=0.01)
v = ((speed - 9) / 3.5).reshape(-1, 1)
for epoch in range(20):
    order = np.random.permutation(400)
    for batch in order.reshape(-1, 40):
        optimizer.zero_grad()
        loss = mae(model(Tensor(v[batch])), power[batch])
        loss.backward()
        optimizer.step()
print("mean absolute error:", np.abs(model(Tensor(v)).data[:, 0] - power).mean())
