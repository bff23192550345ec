"""A CNN with train_epoch(accumulate=4), group norm and average pooling."""

from micrograd_plus import (
    AdamW,
    AvgPool2d,
    Conv2d,
    CrossEntropyLoss,
    DataLoader,
    Flatten,
    GroupNorm,
    Linear,
    Sequential,
    SiLU,
    accuracy,
    evaluate,
    set_seed,
    train_epoch,
)
from micrograd_plus.data import load_digits

set_seed(0)
digits = load_digits()
train = DataLoader(digits.train_images[:, None], digits.train_labels, batch_size=16)
test = DataLoader(digits.test_images[:, None], digits.test_labels, batch_size=71, shuffle=False)
model = Sequential(
    *(Conv2d(1, 8, 3, padding=1), GroupNorm(2, 8), SiLU(), AvgPool2d(2)),
    *(Conv2d(8, 16, 3, padding=1), GroupNorm(4, 16), SiLU(), AvgPool2d(2)),
    *(Flatten(), Linear(64, 10)),
)
optimizer = AdamW(model.parameters(), lr=0.005)
loss_fn = CrossEntropyLoss(label_smoothing=0.1)
for epoch in range(3):
    loss = train_epoch(model, train, loss_fn, optimizer, accumulate=4)
    print(epoch, loss, evaluate(model, test, loss_fn, [accuracy]))
