"""A variational autoencoder of the UCI handwritten digits (8 by 8 pixels, in the package).

    python examples/vae.py

The encoder gives a normal distribution over four numbers, the decoder makes an image of them. What is minimised is the negative
evidence lower bound, with one sample by reparametrisation (Kingma and Welling, 2014):

    -log p(x | z) + KL(N(mean, variance) || N(0, 1)),   z = mean + exp(log_variance / 2) noise

Result: 23.7 nats per test image after 150 epochs, in 3 seconds; the reconstructions can be told, the inventions look like digits.
"""

import argparse
import time

import numpy as np

from micrograd_plus import Adam, DataLoader, Linear, Module, Sequential, SiLU, Tensor, no_grad, randn, set_seed
from micrograd_plus.data import load_digits
from micrograd_plus.losses import binary_cross_entropy_with_logits

SHADES = " .:-=+*#%@"


class VAE(Module):
    """Images (N, 64), each pixel in [0, 1], to the logits of their reconstruction, and the code's mean and log-variance (N, d)."""

    def __init__(self, code: int = 4, width: int = 128) -> None:
        self.encoder = Sequential(Linear(64, width), SiLU(), Linear(width, width), SiLU(), Linear(width, 2 * code))
        self.decoder = Sequential(Linear(code, width), SiLU(), Linear(width, width), SiLU(), Linear(width, 64))

    def forward(self, x: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = np.split(self.encoder(x), 2, axis=1)
        z = mean + (log_variance / 2).exp() * randn(*mean.shape)
        return self.decoder(z), mean, log_variance


def loss_of(model: VAE, x: np.ndarray) -> Tensor:
    """The negative evidence lower bound, in nats per image."""
    logits, mean, log_variance = model(x)
    reconstruction = binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum()
    return (reconstruction + divergence) / len(x)


def drawn(images: np.ndarray) -> str:
    """Images (N, 64) beside one another, in characters."""
    shades = np.array(list(SHADES))[(np.clip(images, 0, 1) * (len(SHADES) - 1)).round().astype(int)].reshape(-1, 8, 8)
    return "\n".join("   ".join("".join(2 * shade for shade in row) for row in rows) for rows in shades.transpose(1, 0, 2))


def main() -> float:
    """Train, draw some digits, and return the bound on the test images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--limit", type=int, default=None, help="train on the first images only")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    set_seed(options.seed)
    digits = load_digits()
    images, test = (part.reshape(-1, 64) for part in (digits.train_images[: options.limit], digits.test_images))
    model = VAE()
    optimizer = Adam(model.parameters(), lr=0.002)
    started = time.perf_counter()
    test_loss = 0.0
    for epoch in range(options.epochs):
        for x, _ in DataLoader(images, images, 64):
            optimizer.zero_grad()
            loss = loss_of(model, x)
            loss.backward()
            optimizer.step()
        if (epoch + 1) % 10 == 0 or epoch + 1 == options.epochs:
            with no_grad():
                test_loss = float(np.mean([loss_of(model, test).item() for _ in range(10)]))
            print(f"epoch {epoch + 1}: {test_loss:.2f} nats per test image, {time.perf_counter() - started:.0f} s")
    with no_grad():
        reconstructed, invented = model(test[:6])[0].sigmoid().data, model.decoder(randn(6, 4)).sigmoid().data
    print(f"test images:\n{drawn(test[:6])}\nreconstructed from four numbers:\n{drawn(reconstructed)}\ninvented:\n{drawn(invented)}")
    return test_loss


if __name__ == "__main__":
    main()
