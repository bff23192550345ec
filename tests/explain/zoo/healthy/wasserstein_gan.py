"""A Wasserstein GAN: three steps of the critic for one of the generator, and clamped weights."""

import numpy as np

from micrograd_plus import LeakyReLU, Linear, RMSprop, Sequential, Tensor, no_grad, randn, set_seed

set_seed(0)
critic = Sequential(Linear(2, 32), LeakyReLU(0.2), Linear(32, 32), LeakyReLU(0.2), Linear(32, 1))
generator = Sequential(Linear(2, 32), LeakyReLU(0.2), Linear(32, 2))
critic_optimizer = RMSprop(critic.parameters(), lr=0.001)
generator_optimizer = RMSprop(generator.parameters(), lr=0.001)


def real(n):
    return Tensor(np.random.randn(n, 2) * [1.0, 0.3] + [0.5, -0.5])


for step in range(100):
    for _ in range(3):
        with no_grad():
            fake = generator(randn(64, 2))
        critic_loss = critic(fake).mean() - critic(real(64)).mean()
        critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_optimizer.step()
        for p in critic.parameters():
            np.clip(p.data, -0.1, 0.1, out=p.data)
    generator_loss = -critic(generator(randn(64, 2))).mean()
    generator_optimizer.zero_grad()
    generator_loss.backward()
    generator_optimizer.step()
print(critic_loss.item(), generator_loss.item())
