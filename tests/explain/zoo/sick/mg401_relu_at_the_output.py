"""Depth of the sea floor in kilometres, negative below the surface, from position."""

import numpy as np

from micrograd_plus import SGD, Linear, Module, MSELoss, Tensor, set_seed

set_seed(0)
position = np.random.uniform(-1, 1, (500, 2)).astype(np.float32)
depth = -2 - np.sin(3 * position[:, :1]) * np.cos(2 * position[:, 1:])


class SeaFloor(Module):
    def __init__(self):
        self.fc1 = Linear(2, 32)
        self.fc2 = Linear(32, 32)
        self.fc3 = Linear(32, 1)

    def forward(self, x):
        x = self.fc1(x).relu()
        x = self.fc2(x).relu()
        return self.fc3(x).relu()


model = SeaFloor()
optimizer = SGD(model.parameters(), lr=0.005, momentum=0.9)
loss_fn = MSELoss()
for epoch in range(30):
    for rows in np.split(np.random.permutation(500), 10):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(position[rows])), depth[rows])
        loss.backward()
        optimizer.step()
    if epoch % 10 == 0:
        print(epoch, loss.item())
print("loss:", loss.item())
