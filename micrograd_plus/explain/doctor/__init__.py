"""The doctor: what is wrong with a training loop, its data, its loss or its network."""

from .diagnosis import Diagnosis
from .practice import diagnose
from .script import examine

__all__ = ["Diagnosis", "diagnose", "examine"]
