"""A variational autoencoder of points on two moons."""

import numpy as np

from micrograd_plus import AdamW, Linear, Module, Tanh, Tensor, randn, set_seed
from micrograd_plus.nn import Sequential

set_seed(0)
t = np.random.uniform(0, np.pi, 500)
up = np.random.rand(500) < 0.5
X = np.stack([np.where(up, np.cos(t), 1 - np.cos(t)) - 0.5, np.where(up, np.sin(t), 0.5 - np.sin(t)) - 0.25], axis=1) * 1.5


class VAE(Module):
    def __init__(self):
        self.encoder = Sequential(Linear(2, 32), Tanh())
        self.mean = Linear(32, 2)
        self.log_variance = Linear(32, 2)
        self.decoder = Sequential(Linear(2, 32), Tanh(), Linear(32, 2))

    def forward(self, x):
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + (0.5 * log_variance).exp() * randn(*mean.shape)
        return self.decoder(z), mean, log_variance


vae = VAE()
optimizer = AdamW(vae.parameters(), lr=0.005)
for step in range(200):
    x = Tensor(X[np.random.randint(0, 500, 64)])
    y, mean, log_variance = vae(x)
    loss = 5 * ((y - x) ** 2).sum(axis=1).mean() + 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(axis=1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(step, loss.item())
