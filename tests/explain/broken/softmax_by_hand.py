from micrograd_plus import Tensor, debug

debug()
logits = Tensor([[1.0, 2.0, 3.0], [10.0, 90.0, 20.0]], requires_grad=True)
e = logits.exp()
probabilities = e / e.sum(axis=1, keepdims=True)

# ---
# NotFiniteError: the result of exp is inf, in softmax_by_hand.py, line 5:
#     e = logits.exp()
#   its result, shape (2, 3): at [1, 1] alone
#   there its input is 90, made in softmax_by_hand.py, line 4
#   likely cause: e^x is larger than float32 can hold where x is over 88.72.
#   what to do: subtract the maximum first: softmax(), log_softmax() and logsumexp() do, and losses that take logits.
