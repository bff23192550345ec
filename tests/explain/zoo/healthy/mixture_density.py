"""Two answers for one question: a mixture of three normal distributions, given x (Bishop, 1994)."""

import numpy as np

from micrograd_plus import Adam, Linear, Module, Tensor, logsumexp, set_seed

set_seed(0)
y = np.random.uniform(-1, 1, (400, 1))
x = y + 0.4 * np.sin(2 * np.pi * y) + 0.05 * np.random.randn(400, 1)


class Mixture(Module):
    def __init__(self, parts=3):
        self.hidden = Linear(1, 32)
        self.weights, self.means, self.log_sigmas = Linear(32, parts), Linear(32, parts), Linear(32, parts)

    def forward(self, x):
        h = self.hidden(x).tanh()
        return self.weights(h).log_softmax(axis=1), self.means(h), self.log_sigmas(h).clip(-4, 2)


model = Mixture()
optimizer = Adam(model.parameters(), lr=0.01)
for step in range(250):
    rows = np.random.randint(0, 400, 100)
    log_weights, means, log_sigmas = model(Tensor(x[rows]))
    log_density = log_weights - log_sigmas - ((y[rows] - means) / log_sigmas.exp()) ** 2 / 2
    loss = -logsumexp(log_density, axis=1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(step, loss.item())
