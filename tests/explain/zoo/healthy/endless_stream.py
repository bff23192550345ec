"""Examples are made anew for every step; there is no data set."""

import numpy as np

from micrograd_plus import AdamW, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, set_seed

set_seed(0)


def stream(batch):
    while True:
        a, b = np.random.randint(0, 8, (2, batch))
        bits = [(number[:, None] >> np.arange(3)) & 1 for number in (a, b)]
        yield np.concatenate(bits, axis=1) * 2.0 - 1, (a + b) % 2 + 2 * (a > b)


model = Sequential(Linear(6, 64), ReLU(), Linear(64, 4))
optimizer = AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
loss_fn = CrossEntropyLoss()
for step, (x, y) in zip(range(200), stream(32), strict=False):
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(x)), y)
    loss.backward()
    optimizer.step()
print("loss:", loss.item())
