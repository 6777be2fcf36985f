"""Pictures that follow a slider: one module a widget, each with a function that draws and a function that shows."""

from .lab_01_broadcasting import broadcasting
from .lab_02_rolling_point import rolling_point
from .lab_06_descent import descent

__all__ = ["broadcasting", "descent", "rolling_point"]
