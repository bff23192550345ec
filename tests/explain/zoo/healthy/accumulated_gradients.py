"""Small batches for little memory; a step uses the gradients of four of them, added up on purpose."""

from micrograd_plus import SGD, CrossEntropyLoss, Flatten, Linear, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
loader = DataLoader(digits.train_images, digits.train_labels, batch_size=16)
model = Sequential(Flatten(), Linear(64, 48), ReLU(), Linear(48, 10))
optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9)
loss_fn = CrossEntropyLoss()
ACCUMULATE = 4

optimizer.zero_grad()
for epoch in range(6):
    for i, (x, y) in enumerate(loader):
        loss = loss_fn(model(Tensor(x)), y) / ACCUMULATE
        loss.backward()
        if (i + 1) % ACCUMULATE == 0:
            optimizer.step()
            optimizer.zero_grad()
    print(epoch, loss.item() * ACCUMULATE)
