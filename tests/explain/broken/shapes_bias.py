from micrograd_plus import debug, randn, zeros

with debug():
    x = randn(32, 10)
    scores = x @ randn(10, 3)
    bias = zeros(32, requires_grad=True)
    scores = scores + bias

# ---
# ValueError: add: shapes must broadcast (from the right, axes must be equal or one of them 1), got (32, 3) and (32,).
#   Reshape one of them, for instance with .unsqueeze(axis).
#   the input of shape (32, 3) was made in shapes_bias.py, line 5
#   the input of shape (32,) was made in shapes_bias.py, line 6
