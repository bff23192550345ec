"""The usual: digits, two layers, Adam, train_epoch and evaluate."""

from micrograd_plus import Adam, CrossEntropyLoss, DataLoader, Flatten, Linear, ReLU, Sequential, accuracy, evaluate, set_seed, train_epoch
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
train = DataLoader(digits.train_images, digits.train_labels, batch_size=64)
test = DataLoader(digits.test_images, digits.test_labels, batch_size=64, shuffle=False)
model = Sequential(Flatten(), Linear(64, 64), ReLU(), Linear(64, 10))
optimizer = Adam(model.parameters(), lr=0.003)
loss_fn = CrossEntropyLoss()
for epoch in range(8):
    loss = train_epoch(model, train, loss_fn, optimizer)
    test_loss, scores = evaluate(model, test, loss_fn, [accuracy])
    print(f"epoch {epoch}: {loss:.3f}, test {test_loss:.3f}, {scores['accuracy']:.3f}")
