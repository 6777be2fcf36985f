"""Helpers of the torch-labs notebooks: data, models, training, plotting, widgets and checks.

Importing this package is cheap on purpose: a notebook imports the module that it needs.
"""

COURSE = "torch-labs"  # how a notebook's setup cell tells this package from another one named `utils`
