"""Digits, with the loss over all of them after every epoch, summed up as in the tutorials."""

from micrograd_plus import SGD, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, get_memory_usage, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
train_loader = DataLoader(digits.train_images.reshape(-1, 64), digits.train_labels, batch_size=32)
net = Sequential(Linear(64, 256), ReLU(), Linear(256, 256), ReLU(), Linear(256, 10))
criterion = CrossEntropyLoss()
optimizer = SGD(net.parameters(), lr=0.1)
start = get_memory_usage()["rss"]
for epoch in range(3):
    for inputs, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()

    running_loss = 0.0
    for inputs, labels in train_loader:
        running_loss += criterion(net(Tensor(inputs)), labels)
    print(f"[{epoch + 1}] loss: {running_loss.item() / len(train_loader):.3f}")
print("more memory, MB:", round(get_memory_usage()["rss"] - start, 1))
