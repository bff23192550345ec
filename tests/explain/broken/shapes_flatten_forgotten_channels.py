from micrograd_plus import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, debug, randn

debug()
model = Sequential(
    Conv2d(1, 8, 3),
    ReLU(),
    MaxPool2d(2),
    Flatten(),
    Linear(8 * 14 * 14, 10),
)
images = randn(16, 1, 28, 28)
logits = model(images)

# ---
# ValueError: Linear(1568, 10) needs input of shape (..., 1568), got (16, 1352). Check the layer before it, or flatten
#   the input.
#   the input of shape (16, 1352) was made in shapes_flatten_forgotten_channels.py, line 12, in layers.3 of Sequential
#   this Linear was built in shapes_flatten_forgotten_channels.py, line 9
