"""Everything in functions, with a main, as in the PyTorch examples."""

import argparse

from micrograd_plus import Adam, Conv2d, Dropout2d, Flatten, Linear, MaxPool2d, Module, StepLR, Tensor, no_grad, set_seed
from micrograd_plus.data import DataLoader, load_digits
from micrograd_plus.losses import nll_loss


class Net(Module):
    def __init__(self):
        self.conv1 = Conv2d(1, 8, 3, padding=1)
        self.conv2 = Conv2d(8, 16, 3, padding=1)
        self.pool, self.flatten, self.dropout = MaxPool2d(2), Flatten(), Dropout2d(0.1)
        self.fc1 = Linear(64, 32)
        self.fc2 = Linear(32, 10)

    def forward(self, x):
        x = self.pool(self.conv1(x).relu())
        x = self.pool(self.dropout(self.conv2(x).relu()))
        return self.fc2(self.fc1(self.flatten(x)).relu()).log_softmax(axis=1)


def train(model, loader, optimizer, epoch):
    model.train()
    for i, (data, target) in enumerate(loader):
        optimizer.zero_grad()
        loss = nll_loss(model(Tensor(data)), target)
        loss.backward()
        optimizer.step()
        if i % 10 == 0:
            print(f"epoch {epoch}, batch {i}: {loss.item():.4f}")


def test(model, loader):
    model.eval()
    total, right = 0.0, 0
    with no_grad():
        for data, target in loader:
            output = model(Tensor(data))
            total += nll_loss(output, target, reduction="sum").item()
            right += (output.data.argmax(axis=1) == target).sum()
    print(f"test: {total / 355:.4f}, {right} of 355")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.005)
    options = parser.parse_args()
    set_seed(1)
    digits = load_digits()
    train_loader = DataLoader(digits.train_images[:, None], digits.train_labels, batch_size=64)
    test_loader = DataLoader(digits.test_images[:, None], digits.test_labels, batch_size=100, shuffle=False)
    model = Net()
    optimizer = Adam(model.parameters(), lr=options.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
    for epoch in range(1, options.epochs + 1):
        train(model, train_loader, optimizer, epoch)
        test(model, test_loader)
        scheduler.step()


if __name__ == "__main__":
    main()
