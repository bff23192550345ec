"""A GAN for a mixture of two normal distributions: two optimizers, and detached samples for the discriminator."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, LeakyReLU, Linear, Sequential, Tensor, ones, randn, set_seed, zeros

set_seed(0)
N = 64
generator = Sequential(Linear(3, 24), LeakyReLU(0.2), Linear(24, 24), LeakyReLU(0.2), Linear(24, 1))
discriminator = Sequential(Linear(1, 24), LeakyReLU(0.2), Linear(24, 24), LeakyReLU(0.2), Linear(24, 1))
g_optimizer = Adam(generator.parameters(), lr=0.002, betas=(0.5, 0.999))
d_optimizer = Adam(discriminator.parameters(), lr=0.002, betas=(0.5, 0.999))
bce = BCEWithLogitsLoss()
for step in range(200):
    real = Tensor(np.random.choice([-1.0, 1.0], (N, 1)) + 0.2 * np.random.randn(N, 1))
    fake = generator(randn(N, 3))

    d_optimizer.zero_grad()
    d_loss = bce(discriminator(real), ones(N, 1)) + bce(discriminator(fake.detach()), zeros(N, 1))
    d_loss.backward()
    d_optimizer.step()

    g_optimizer.zero_grad()
    g_loss = bce(discriminator(fake), ones(N, 1))
    g_loss.backward()
    g_optimizer.step()
    if step % 50 == 0:
        print(step, d_loss.item(), g_loss.item())
