"""Tomorrow's temperature from those of two weeks, by an RNN."""

import numpy as np

from micrograd_plus import RNN, Adam, Linear, Module, MSELoss, Tensor, clip_grad_norm, set_seed

set_seed(0)
day = np.arange(800)
kelvin = 285 + 8 * np.sin(2 * np.pi * day / 30) + np.random.randn(800)
windows = np.lib.stride_tricks.sliding_window_view(kelvin, 15)
X, y = windows[:, :14, None], (windows[:, 14:] - 285) / 8


class Forecast(Module):
    def __init__(self):
        self.rnn = RNN(1, 24, batch_first=True)
        self.out = Linear(24, 1)

    def forward(self, x):
        _, last = self.rnn(x)
        return self.out(last[0])


model = Forecast()
optimizer = Adam(model.parameters(), lr=0.01)
mse = MSELoss()
for epoch in range(6):
    for rows in np.array_split(np.random.permutation(len(X)), 16):
        optimizer.zero_grad()
        loss = mse(model(Tensor(X[rows])), y[rows])
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
    print(epoch, loss.item())
print("loss:", mse(model(Tensor(X)), y).item())
