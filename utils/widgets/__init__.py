"""Pictures that follow a slider: one module a widget, each with a function that draws and a function that shows."""

from .lab_01_broadcasting import broadcasting
from .lab_02_rolling_point import rolling_point
from .lab_03_augmentation import augmentation
from .lab_04_convolution import convolution
from .lab_05_logits import logits
from .lab_06_descent import descent
from .lab_09_intervals import intervals
from .lab_10_feature_maps import feature_maps
from .lab_11_what_if import what_if

__all__ = ["augmentation", "broadcasting", "convolution", "descent", "feature_maps", "intervals", "logits", "rolling_point", "what_if"]
