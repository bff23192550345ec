"""Very deep: residual blocks on digits, without a norm."""

from micrograd_plus import SGD, CrossEntropyLoss, DataLoader, Linear, ReLU, Residual, Sequential, init, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
loader = DataLoader(digits.train_images.reshape(-1, 64), digits.train_labels, batch_size=64)


def block(width):
    return Residual(
        Linear(width, width, initializer=init.kaiming_normal),
        ReLU(),
        Linear(width, width, initializer=init.kaiming_normal),
    )


model = Sequential(Linear(64, 32), *[block(32) for _ in range(30)], Linear(32, 10))
optimizer = SGD(model.parameters(), lr=0.01)
loss_fn = CrossEntropyLoss()
for epoch in range(2):
    loss = train_epoch(model, loader, loss_fn, optimizer)
    print(epoch, loss)
print("loss:", loss)
