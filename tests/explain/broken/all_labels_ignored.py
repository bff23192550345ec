import numpy as np

from micrograd_plus import CrossEntropyLoss, debug, randn

debug()
loss_fn = CrossEntropyLoss(ignore_index=0)
loss = loss_fn(randn(4, 3, requires_grad=True), np.zeros(4, int))

# ---
# NotFiniteError: cross_entropy got nan from its weights of the labels, in all_labels_ignored.py, line 7, in
#   CrossEntropyLoss:
#     loss = loss_fn(randn(4, 3, requires_grad=True), np.zeros(4, int))
#   likely cause: the mean over no labels: the batch is empty, all labels are ignored, or their weights are 0.
