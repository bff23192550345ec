"""A time series in its order, without shuffling; the end of it is the test."""

import numpy as np

from micrograd_plus import GRU, Adam, DataLoader, Linear, Module, MSELoss, Tensor, evaluate, set_seed

set_seed(0)
t = np.arange(600)
series = (np.sin(t / 8) + 0.5 * np.sin(t / 3.1) + 0.1 * np.random.randn(600)).astype(np.float32)
windows = np.lib.stride_tricks.sliding_window_view(series, 17)
X, y = windows[:, :16, None], windows[:, 16:]
train, test = DataLoader(X[:450], y[:450], 32, shuffle=False), DataLoader(X[470:], y[470:], 64, shuffle=False)


class Forecast(Module):
    def __init__(self):
        self.gru = GRU(1, 24, batch_first=True)
        self.out = Linear(24, 1)

    def forward(self, x):
        h, _ = self.gru(x)
        return self.out(h[:, -1])


model = Forecast()
optimizer = Adam(model.parameters(), lr=0.01)
mse = MSELoss()
for epoch in range(8):
    for x, target in train:
        optimizer.zero_grad()
        loss = mse(model(Tensor(x)), Tensor(target))
        loss.backward()
        optimizer.step()
    print(epoch, loss.item(), evaluate(model, test, mse)[0])
