"""Is there more up than down? An RNN over sequences, with clipped gradients."""

import numpy as np

from micrograd_plus import RNN, Adam, CrossEntropyLoss, Linear, Module, Tensor, clip_grad_norm, set_seed

set_seed(0)
X = np.random.randn(400, 20, 1).astype(np.float32)
y = (X.sum(axis=(1, 2)) > 0).astype(int)


class UpOrDown(Module):
    def __init__(self):
        self.rnn = RNN(1, 32, batch_first=True)
        self.out = Linear(32, 2)

    def forward(self, x):
        _, last = self.rnn(x)
        return self.out(last[-1])


model = UpOrDown()
optimizer = Adam(model.parameters(), lr=0.005)
loss_fn = CrossEntropyLoss()
for epoch in range(8):
    for rows in np.split(np.random.permutation(400), 10):
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X[rows])), y[rows])
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
    print(epoch, loss.item())
