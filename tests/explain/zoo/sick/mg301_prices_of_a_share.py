"""Will the price be higher in five days? The price of a share, made up, over twenty days."""

import numpy as np

from micrograd_plus import GRU, Adam, CrossEntropyLoss, Linear, Module, Tensor, clip_grad_norm, set_seed

set_seed(0)
t = np.arange(1200)
price = 30000 + 2000 * np.sin(t / 6) + 100 * np.random.randn(1200)
windows = np.lib.stride_tricks.sliding_window_view(price, 25)
X, rises = windows[:, :20, None], (windows[:, 24] > windows[:, 19]).astype(int)


class Trend(Module):
    def __init__(self):
        self.gru, self.out = GRU(1, 24, batch_first=True), Linear(24, 2)

    def forward(self, x):
        h, _ = self.gru(x)
        return self.out(h[:, -1])


model = Trend()
optimizer = Adam(model.parameters(), lr=0.01)
criterion = CrossEntropyLoss()
for epoch in range(3):
    for rows in np.array_split(np.random.permutation(len(X)), 20):
        optimizer.zero_grad()
        loss = criterion(model(Tensor(X[rows])), rises[rows])
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
print("loss:", criterion(model(Tensor(X[::5])), rises[::5]).item())
