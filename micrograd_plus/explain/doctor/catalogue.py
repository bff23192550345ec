"""The mistakes that the doctor knows: code, level, title and why it matters; in the order in which causes come before consequences."""

from typing import NamedTuple

from ..findings import LEVELS, Finding
from ..lines import Line


class Mistake(NamedTuple):
    """A kind of finding."""

    level: str
    title: str
    why: str


# A mistake further up can make those further down appear, and is told first.
MISTAKES: dict[str, Mistake] = {
    "MG303": Mistake(
        "error",
        "NaN or infinity in the inputs",
        "Every number that is computed from a NaN is NaN: after one step with it all parameters are.",
    ),
    "MG307": Mistake(
        "error",
        "NaN or infinity in the targets",
        "The loss against a NaN is NaN, and so is every gradient: after one step with it all parameters are.",
    ),
    "MG205": Mistake(
        "error",
        "One-hot labels where class indices are due",
        "Cross-entropy picks the log-probability at the index that the label is; a row of zeros and a one is no index.",
    ),
    "MG204": Mistake(
        "error",
        "Fractional labels where class indices are due",
        "A label is the position of its class: a whole number from 0 to C - 1. Scaling or normalising labels destroys that.",
    ),
    "MG203": Mistake(
        "error",
        "Labels out of range",
        "A model with C outputs knows the classes 0 to C - 1; any other label has no output that could be right.",
    ),
    "MG206": Mistake(
        "error",
        "(N, 1) meets (N,)",
        "Broadcasting makes (N, N) of them: every prediction is compared with every target, so the model learns the mean of all targets.",
    ),
    "MG306": Mistake(
        "error",
        "Batch norm on a batch of one",
        "The mean of one example is the example: what is left after subtracting it says nothing, and its variance is not defined.",
    ),
    "MG104": Mistake(
        "error",
        "A parameter is updated twice per step",
        "Each update is computed as if it were the only one: the parameter moves too far, with a momentum of its own in each.",
    ),
    "MG102": Mistake(
        "error",
        "The optimizer holds none of the model's parameters",
        "step() moves what the optimizer was given when it was made. The model that computes the loss never changes.",
    ),
    "MG110": Mistake(
        "error",
        "The loop never updates the parameters",
        "Learning needs backward(), which computes gradients, and then step(), which moves the parameters against them.",
    ),
    "MG105": Mistake(
        "error",
        "A parameter never gets a gradient",
        "Without a gradient the optimizer skips it: the parameter stays as it was drawn, and what depends on it can't be learnt.",
    ),
    "MG101": Mistake(
        "error",
        "Gradients are not zeroed between steps",
        "backward() adds to .grad: each step then moves along the sum of all gradients since the last zero_grad(), old ones included.",
    ),
    "MG103": Mistake(
        "warning",
        "The optimizer lacks some of the model's parameters",
        "They get gradients, but nothing moves them: that part of the model stays as it was drawn.",
    ),
    "MG107": Mistake(
        "warning",
        "The model trains in eval mode",
        "In eval mode dropout does nothing, and batch norm uses running statistics that no longer follow the data.",
    ),
    "MG201": Mistake(
        "error",
        "A softmax before a cross-entropy that has one",
        "The loss applies log-softmax itself. Applied twice, scores lie in [0, 1]: gradients are small, and the loss can't come near 0.",
    ),
    "MG202": Mistake(
        "error",
        "A sigmoid before a loss that has one",
        "The loss squashes its input itself. A sigmoid before it keeps scores in [0, 1]: gradients are small, and no answer can be sure.",
    ),
    "MG405": Mistake(
        "warning",
        "Bad initial weights",
        "Equal units get equal gradients and stay equal. Weights far too large or small make activations and gradients grow or fade "
        "by that factor in every layer.",
    ),
    "MG302": Mistake(
        "warning",
        "Constant inputs",
        "What is the same for every example says nothing about any of them.",
    ),
    "MG301": Mistake(
        "warning",
        "Inputs are not normalised",
        "Gradients of first-layer weights are proportional to the inputs: a scale far from 1 makes steps too large or too small, "
        "and saturates units.",
    ),
    "MG304": Mistake(
        "warning",
        "The data are not shuffled",
        "A batch of one class pulls the model to that class alone, the next one to another: it forgets what it learnt before.",
    ),
    "MG404": Mistake(
        "warning",
        "Saturated units",
        "On the flat ends of a sigmoid or tanh the derivative is nearly 0: no gradient passes, and what is below learns nothing.",
    ),
    "MG403": Mistake(
        "warning",
        "Exploding gradients",
        "Each layer multiplies the gradient; factors above 1 grow exponentially with depth or with the length of a sequence, "
        "and one step undoes what was learnt.",
    ),
    "MG402": Mistake(
        "warning",
        "Vanishing gradients",
        "Each layer multiplies the gradient; factors below 1 shrink it exponentially with depth, and the first layers hardly learn.",
    ),
    "MG207": Mistake(
        "warning",
        "The first loss is far from ln C",
        "Untrained, a model of C classes should give each about 1/C, a loss of ln C. More means that it is confident and wrong: "
        "the first steps only undo that.",
    ),
    "MG407": Mistake(
        "warning",
        "The learning rate is too high",
        "A step that is too long lands higher on the other side of the valley: the loss jumps or grows instead of falling.",
    ),
    "MG401": Mistake(
        "warning",
        "Dead ReLUs",
        "A unit whose input is negative for every example gives 0 and gets no gradient: it can't recover.",
    ),
    "MG409": Mistake(
        "error",
        "The loss or a gradient becomes NaN or infinite",
        "From there on every number is NaN: nothing that the model learnt before is left.",
    ),
    "MG408": Mistake(
        "warning",
        "The learning rate is too low",
        "The steps are so small that training would need many times as many of them.",
    ),
    "MG406": Mistake(
        "warning",
        "One batch can't be overfitted",
        "A model that can't even learn a single batch by heart has a mistake in its code, or is too weak for the task.",
    ),
    "MG208": Mistake(
        "warning",
        "Some classes are rare",
        "A model that always says the frequent class is nearly always right, and the loss rewards it for that.",
    ),
    "MG305": Mistake(
        "warning",
        "Examples are shared between training and test",
        "What was seen in training is known by heart: the test says better things than new data will.",
    ),
    "MG108": Mistake(
        "warning",
        "The model is evaluated in training mode",
        "Dropout drops and batch norm uses the batch's statistics: the result is worse than it should be, depends on chance, "
        "and running statistics see the test data.",
    ),
    "MG106": Mistake(
        "warning",
        "Losses keep their graphs alive",
        "A Tensor knows how it was computed: who keeps a loss, or a sum of losses, keeps the whole graph of each, and memory grows.",
    ),
    "MG109": Mistake(
        "note",
        "Weight decay on biases and norms",
        "Pulling biases and the scales of normalisation towards 0 does not regularise; most recipes leave them out.",
    ),
}
ORDER = {code: i for i, code in enumerate(MISTAKES)}


def found(
    code: str, seen: str, cure: str, line: Line | None = None, level: str | None = None, why: str | None = None, title: str | None = None
) -> Finding:
    """A finding with its title and reasons from the table, where no others are given."""
    mistake = MISTAKES[code]
    return Finding(code, level or mistake.level, title or mistake.title, seen, why or mistake.why, cure, line)


def causes_first(findings: list[Finding]) -> list[Finding]:
    """Notes last; of the others, what can cause others first."""
    return sorted(findings, key=lambda finding: (finding.level == LEVELS[2], rank(finding)))


def rank(finding: Finding) -> int:
    """The place in the order. A loss that can't be right is a mistake like that of MG201, and no sign of bad weights as MG207 else is."""
    return ORDER["MG201" if finding.code == "MG207" and finding.level == "error" else finding.code]
