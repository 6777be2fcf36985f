"""Pictures that follow a slider: one module a widget, each with a function that draws and a function that shows.

`widgets.logits()` finds `logits` in its module, which is imported then: some take torchvision along, which takes a second.
"""

import importlib

MODULES = {
    "broadcasting": "lab_01_broadcasting",
    "rolling_point": "lab_02_rolling_point",
    "augmentation": "lab_03_augmentation",
    "convolution": "lab_04_convolution",
    "logits": "lab_05_logits",
    "descent": "lab_06_descent",
    "intervals": "lab_09_intervals",
    "feature_maps": "lab_10_feature_maps",
    "what_if": "lab_11_what_if",
}


def __getattr__(name: str):
    if name not in MODULES:
        raise AttributeError(f"utils.widgets has no {name}; it has {', '.join(MODULES)}.")
    return getattr(importlib.import_module(f"{__name__}.{MODULES[name]}"), name)
