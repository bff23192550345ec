import numpy as np

from micrograd_plus import Linear, Sequential, Tanh, debug, randn

debug()
model = Sequential(Linear(3, 4), Tanh(), Linear(4, 1))
saved = model.state_dict()
saved["layers.2.weight"][1] = np.nan
model.load_state_dict(saved)
model(randn(5, 3))

# ---
# NotFiniteError: affine (x @ weight + bias) got a parameter that is not finite, in weights_loaded_with_nan.py, line 10,
#   in layers.2 of Sequential:
#     model(randn(5, 3))
#   layers.2.weight of model holds nan, shape (4, 1): at [1, 0] alone
#   it was made in weights_loaded_with_nan.py, line 6
#   likely cause: it was made, or loaded, with such numbers. The library last wrote into it in
#     weights_loaded_with_nan.py, line 9.
