"""Pictures that follow a slider: one module a widget, each with a function that draws and a function that shows."""

from .lab_01_broadcasting import broadcasting
from .lab_02_rolling_point import rolling_point
from .lab_03_augmentation import augmentation
from .lab_04_convolution import convolution
from .lab_05_logits import logits
from .lab_06_descent import descent

__all__ = ["augmentation", "broadcasting", "convolution", "descent", "logits", "rolling_point"]
