from micrograd_plus import Linear, ReLU, Sequential, Tensor, debug

encoder = Linear(20, 8)
decoder = Sequential(Linear(10, 20), ReLU())
code = encoder(Tensor([[0.5] * 20]))

with debug():
    decoder(code)

# ---
# ValueError: Linear(10, 20) needs input of shape (..., 10), got (1, 8). Check the layer before it, or flatten the
#   input.
#   the input of shape (1, 8) is `code`, assigned in shapes_model_made_before.py, line 5
#   this Linear is layers.0 of decoder
