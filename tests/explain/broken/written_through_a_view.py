from micrograd_plus import Linear, debug, randn

debug()
x = randn(8, 5)
layer = Linear(5, 2)
first_row = layer.weight.data[0]
hidden = layer(x)
out = hidden @ layer.weight.T
first_row += 1.0
out.sum().backward()

# ---
# ChangedInPlaceError: backward() needs an array as it was when matmul was computed, but it has been changed in place
#   since
#   the array: the right operand of matmul, shape (2, 5), made in written_through_a_view.py, line 8:
#     out = hidden @ layer.weight.T
#   its memory is that of weight of layer, `first_row`
#   needed by: matmul in written_through_a_view.py, line 8:
#     out = hidden @ layer.weight.T
#   changed by: a write into .data, or into a NumPy array that shares its memory, it seems in written_through_a_view.py,
#     line 9:
#     first_row += 1.0
#   what to do: write after backward(), or compute a new tensor, such as x = x + 1, or write into a copy, x.numpy().
