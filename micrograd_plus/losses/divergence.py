"""The divergence of one distribution from another."""

from .. import effects
from ..rules import Array
from ..tensor import Tensor, where
from .reduction import REDUCTIONS, Loss, pair, reduced, require_reduction

KL_REDUCTIONS = (*REDUCTIONS, "batchmean")


def kl_div(log_probabilities: Array, targets: Array, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """t (log t - x), of which the sum is the Kullback-Leibler divergence KL(t || exp(x)); 0 where t = 0, whatever x.

    With `log_target`, exp(t) (t - x). Derivatives where the probability t is 0 are 0, also with respect to t.

    Args:
        log_probabilities: x, of the model, as log_softmax gives them.
        targets: t, of the same shape: probabilities, or with `log_target` their logarithms.
        reduction: "batchmean", the sum divided by the size of the first axis, is the mean divergence per example. "mean" divides by
            the number of elements, as in PyTorch. Or "sum" or "none".
        log_target: whether the targets are logarithms.

    Raises:
        ValueError: shapes differ; a probability is negative.

    References: Kullback and Leibler, 1951, Annals of Mathematical Statistics 22, 79-86.
    """
    require_reduction(reduction, KL_REDUCTIONS)
    x, t = pair(log_probabilities, targets)
    if not log_target:
        effects.require(
            t.data >= 0, lambda: f"targets of kl_div must be probabilities, got {t.data.min()}. Logarithms need log_target=True."
        )
    p = t.exp() if log_target else t
    # Masked before they meet, as -inf - -inf is NaN.
    log_p = where(p > 0, t, 0.0) if log_target else where(p > 0, t, 1.0).log()
    loss = p * (log_p - where(p > 0, x, 0.0))
    if reduction == "batchmean":
        return loss.sum(tuple(range(1, loss.ndim))).mean()
    return reduced(loss, reduction)


class KLDivLoss(Loss):
    """Kullback-Leibler divergence of targets from log-probabilities. The settings are those of `kl_div`."""

    reductions = KL_REDUCTIONS

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, log_probabilities: Array, targets: Array) -> Tensor:
        return kl_div(log_probabilities, targets, self.reduction, self.log_target)
