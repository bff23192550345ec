"""Several answers at once: which of three properties a number from 0 to 63 has, from its six bits."""

import numpy as np

from micrograd_plus import SGD, BCEWithLogitsLoss, CosineAnnealingLR, Linear, Module, Tensor, set_seed

set_seed(0)
numbers = np.arange(64)
bits = ((numbers[:, None] >> np.arange(6)) & 1) * 2.0 - 1
answers = np.stack([numbers % 2 == 0, numbers % 3 < 2, numbers > 31], axis=1).astype(float)


class Properties(Module):
    def __init__(self):
        self.hidden = Linear(6, 48)
        self.out = Linear(48, 3)

    def forward(self, x):
        return self.out(self.hidden(x).tanh()).sigmoid()


model = Properties()
optimizer = SGD(model.parameters(), lr=0.5, momentum=0.9)
schedule = CosineAnnealingLR(optimizer, 300)
criterion = BCEWithLogitsLoss()
for step in range(300):
    optimizer.zero_grad()
    loss = criterion(model(Tensor(bits)), answers)
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 60 == 0:
        print(step, loss.item())
print("loss:", loss.item())
