"""One encoder, two heads: the digit, and whether it is even. An optimizer for each."""

from micrograd_plus import SGD, BCEWithLogitsLoss, CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, set_seed
from micrograd_plus.data import DataLoader, load_digits

set_seed(0)
digits = load_digits()
images = digits.train_images.reshape(-1, 64)
encoder = Sequential(Linear(64, 64), ReLU(), Linear(64, 32), ReLU())
digit_head, even_head = Linear(32, 10), Linear(32, 1)

digit_optimizer = SGD(encoder.parameters() + digit_head.parameters(), lr=0.12, momentum=0.9)
even_optimizer = SGD(encoder.parameters() + even_head.parameters(), lr=0.12, momentum=0.9)
cross_entropy, bce = CrossEntropyLoss(), BCEWithLogitsLoss()

losses = []
for epoch in range(4):
    for x, y in DataLoader(images, digits.train_labels, batch_size=64):
        hidden = encoder(Tensor(x))
        loss = cross_entropy(digit_head(hidden), y) + bce(even_head(hidden), (y % 2 == 0).reshape(-1, 1))
        digit_optimizer.zero_grad()
        even_optimizer.zero_grad()
        loss.backward()
        digit_optimizer.step()
        even_optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch}: {loss.item():.3f}")
print("loss in the end:", sum(losses[-10:]) / 10)
