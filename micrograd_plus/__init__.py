"""MicroGrad+: automatic differentiation and neural networks on NumPy."""

from typing import Any

from . import utils
from .functional import embedding, linear
from .gradcheck import check_all_gradients, gradient_check, numerical_gradient
from .layers import (
    ELU,
    GELU,
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Module,
    Parameter,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, HuberLoss, L1Loss, MSELoss, NLLLoss
from .nn import Sequential, accuracy, count_parameters, evaluate, load_model, save_model, train_epoch
from .optimizers import (
    SGD,
    Adam,
    AdamW,
    CosineAnnealingLR,
    ExponentialLR,
    LinearWarmup,
    RMSprop,
    StepLR,
    clip_grad_norm,
    clip_grad_value,
)
from .scalar import MLP, Layer, Neuron, Value
from .tensor import (
    Tensor,
    apply,
    arange,
    concatenate,
    default_dtype,
    einsum,
    eye,
    from_numpy,
    full,
    gradients,
    maximum,
    minimum,
    no_grad,
    ones,
    rand,
    randn,
    stack,
    where,
    zeros,
)
from .utils import ProgressBar, get_memory_usage, normalize, one_hot, set_seed, train_test_split

__version__ = "0.1.0"
