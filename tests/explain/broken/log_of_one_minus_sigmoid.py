from micrograd_plus import Tensor, debug

debug()
z = Tensor([0.3, 40.0, -2.0], requires_grad=True)
t = Tensor([1.0, 1.0, 0.0])
p = z.sigmoid()
loss = -(t * p.log() + (1 - t) * (1 - p).log()).mean()

# ---
# NotFiniteError: the result of log is -inf, in log_of_one_minus_sigmoid.py, line 7:
#     loss = -(t * p.log() + (1 - t) * (1 - p).log()).mean()
#   its result, shape (3,): at [1] alone
#   there its input is 0, made by subtract in log_of_one_minus_sigmoid.py, line 7
#   likely cause: the logarithm of 0 is -inf.
#   what to do: sigmoid has rounded a probability to 0 or 1. BCEWithLogitsLoss takes logits, and needs no logarithm.
