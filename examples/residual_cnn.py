"""A residual convolutional network with batch norm, on the UCI handwritten digits (8 by 8 pixels, in the package).

    python examples/residual_cnn.py

A block computes x + f(x), so that the gradient has a way round f: depth no longer makes it vanish (He et al., 2016).

Result: 99.7 % of the 355 test images after 20 epochs, in 12 seconds.
"""

import argparse
import time

from micrograd_plus import (
    AdamW,
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    CosineAnnealingLR,
    CrossEntropyLoss,
    DataLoader,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    accuracy,
    count_parameters,
    evaluate,
    set_seed,
    train_epoch,
)
from micrograd_plus.data import load_digits


def block(channels: int) -> Sequential:
    """x + f(x), then ReLU: f is two 3x3 convolutions, each normalised over the batch."""
    return Sequential(
        Residual(
            *(Conv2d(channels, channels, 3, padding="same", bias=False), BatchNorm2d(channels), ReLU()),
            *(Conv2d(channels, channels, 3, padding="same", bias=False), BatchNorm2d(channels)),
        ),
        ReLU(),
    )


def residual_cnn(width: int, blocks: int) -> Sequential:
    """1x8x8 to 10 logits: a convolution, residual blocks, pooling to half, residual blocks, and a mean over all places."""
    return Sequential(
        *(Conv2d(1, width, 3, padding="same", bias=False), BatchNorm2d(width), ReLU()),
        *(block(width) for _ in range(blocks)),
        *(MaxPool2d(2), Conv2d(width, 2 * width, 1)),
        *(block(2 * width) for _ in range(blocks)),
        *(AdaptiveAvgPool2d(1), Flatten(), Linear(2 * width, 10)),
    )


def main() -> float:
    """Train, and return the test accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=2, help="residual blocks before the pooling, and after it")
    parser.add_argument("--limit", type=int, default=None, help="train on the first images only")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    set_seed(options.seed)
    digits = load_digits()
    train = DataLoader(digits.train_images[: options.limit, None], digits.train_labels[: options.limit], 64)
    test = DataLoader(digits.test_images[:, None], digits.test_labels, 355, shuffle=False)
    model, loss_fn = residual_cnn(options.width, options.blocks), CrossEntropyLoss(label_smoothing=0.1)
    optimizer = AdamW(model.parameters(), lr=0.003)
    schedule = CosineAnnealingLR(optimizer, options.epochs)
    print(f"{count_parameters(model):,} parameters")
    scores = {"accuracy": 0.0}
    for epoch in range(options.epochs):
        started = time.perf_counter()
        train_loss = train_epoch(model, train, loss_fn, optimizer)
        schedule.step()
        _, scores = evaluate(model, test, loss_fn, [accuracy])
        print(f"epoch {epoch + 1:2}: loss {train_loss:.4f}, test accuracy {scores['accuracy']:.1%}, {time.perf_counter() - started:.1f} s")
    return scores["accuracy"]


if __name__ == "__main__":
    main()
