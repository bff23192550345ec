"""A GAN that learns to draw from a normal distribution with mean 4 and standard deviation 1.25."""

import numpy as np

from micrograd_plus import Adam, BCEWithLogitsLoss, LeakyReLU, Linear, Sequential, Tensor, no_grad, ones, randn, set_seed, zeros

set_seed(3)
BATCH = 64
generator = Sequential(Linear(4, 16), LeakyReLU(0.1), Linear(16, 1))
discriminator = Sequential(Linear(1, 16), LeakyReLU(0.1), Linear(16, 16), LeakyReLU(0.1), Linear(16, 1))
g_optimizer = Adam(generator.parameters(), lr=0.005, betas=(0.5, 0.999))
d_optimizer = Adam(discriminator.parameters(), lr=0.005, betas=(0.5, 0.999))
bce = BCEWithLogitsLoss()


def real_samples(n):
    return Tensor(np.random.normal(4, 1.25, (n, 1)) / 4)


for step in range(600):
    # discriminator
    fake = generator(randn(BATCH, 4)).detach()
    d_loss = bce(discriminator(real_samples(BATCH)), ones(BATCH, 1)) + bce(discriminator(fake), zeros(BATCH, 1))
    d_loss.backward()
    d_optimizer.step()

    # generator
    g_optimizer.zero_grad()
    g_loss = bce(discriminator(generator(randn(BATCH, 4))), ones(BATCH, 1))
    g_loss.backward()
    g_optimizer.step()

    if step % 100 == 0:
        print(f"{step}: d {d_loss.item():.3f}, g {g_loss.item():.3f}")

with no_grad():
    samples = 4 * generator(randn(2000, 4)).data
print(f"mean {samples.mean():.2f}, standard deviation {samples.std():.2f}")
print("error of the mean:", abs(samples.mean() - 4))
