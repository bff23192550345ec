import numpy as np

from micrograd_plus import Tensor, debug

data = np.random.randn(100, 5)
weights = np.random.randn(4, 1)


def predict(inputs):
    return Tensor(inputs, requires_grad=True) @ weights


with debug():
    predict(data)

# ---
# ValueError: matmul: the last axis of the left operand must be as long as the second to last of the right, or its only
#   one; got shapes (100, 5) and (4, 1). Transpose or reshape one of them.
#   the input of shape (100, 5) was made in shapes_numpy_operand.py, line 10
#   the input of shape (4, 1) is the array `weights`, assigned in shapes_numpy_operand.py, line 6
