"""A GAN on points of a ring."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, LeakyReLU, Linear, Sequential, Tensor, no_grad, ones, randn, set_seed, zeros

set_seed(0)
N = 64
G = Sequential(Linear(2, 32), LeakyReLU(0.2), Linear(32, 2))
D = Sequential(Linear(2, 32), LeakyReLU(0.2), Linear(32, 1))
opt_g = Adam(G.parameters(), lr=0.003, betas=(0.5, 0.999))
opt_d = Adam(D.parameters(), lr=0.003, betas=(0.5, 0.999))
criterion = BCEWithLogitsLoss()


def ring(n):
    angle = np.random.uniform(0, 2 * np.pi, n)
    return Tensor(np.stack([np.cos(angle), np.sin(angle)], 1) + 0.05 * np.random.randn(n, 2))


for step in range(400):
    fake = G(randn(N, 2)).detach()

    opt_d.zero_grad()
    loss_d = criterion(D(ring(N)), ones(N, 1)) + criterion(D(fake), zeros(N, 1))
    loss_d.backward()
    opt_d.step()

    opt_g.zero_grad()
    loss_g = criterion(D(fake), ones(N, 1))
    loss_g.backward()
    opt_g.step()
    if step % 100 == 0:
        print(step, loss_d.item(), loss_g.item())

with no_grad():
    radius = np.linalg.norm(G(randn(500, 2)).data, axis=1)
print("error of the radius:", abs(radius - 1).mean())
