"""What lab 08 builds: accuracy on each class, the confusion matrix, the schedule, and the fast recipe of its last part."""

from collections.abc import Callable

import torch
from torch import nn

from .events import Callback


class ClassAccuracy(Callback):
    """Accuracy on each class of the validation images, after every epoch (lab 08).

    Args:
        num_classes: K.
    Attributes:
        by_epoch: a list with one tensor an epoch: float (K,), from 0 to 1; nan for a class that has no image.
    """

    def __init__(self, num_classes: int):
        self.num_classes, self.by_epoch = num_classes, []

    def before_epoch(self, learner):
        self.right, self.images = torch.zeros(self.num_classes), torch.zeros(self.num_classes)

    def after_predict(self, learner):
        y = learner.y.cpu()
        hits = learner.prediction.argmax(dim=1).cpu() == y
        self.right += torch.bincount(y[hits], minlength=self.num_classes)
        self.images += torch.bincount(y, minlength=self.num_classes)

    def after_epoch(self, learner):
        if not learner.training:
            self.by_epoch.append(self.right / self.images)


def confusion(predicted: torch.Tensor, y: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Counts of (true class, predicted class) (lab 08).

    Args:
        predicted: int64 (N,), classes from 0 to num_classes - 1.
        y: int64 (N,), the labels.
    Returns:
        int64 (num_classes, num_classes): row = true class, column = predicted class.
    """
    pairs = y * num_classes + predicted  # each pair of classes as one number
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def one_cycle(step: int, total: int, start: float = 0.2, peak: float = 0.23, end: float = 0.07) -> float:
    """Factor on the learning rate at `step` of `total`: up in a straight line from `start` to 1, then down to `end`.

    Args:
        step: 0 … total.
        peak: where the factor is 1, as a fraction of `total`.
    """
    top = peak * total
    if step < top:
        return start + (1 - start) * step / top
    return 1 + (end - 1) * (step - top) / (total - top)


def orthogonalize(matrix: torch.Tensor, steps: int = 3) -> torch.Tensor:
    """About the nearest matrix whose rows (or columns, if these are fewer) are orthogonal and of length 1 (lab 08).

    Newton and Schulz's iteration, with the coefficients of https://kellerjordan.github.io/posts/muon/: all singular
    values come near 1, the directions stay.

    Args:
        matrix: float (rows, columns).
    """
    is_tall = len(matrix) > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if is_tall else x


class Muon(torch.optim.Optimizer):
    """SGD with Nesterov momentum; in groups with `orthogonal=True` the step is orthogonalized first (lab 08).

    A convolution's gradient is mostly about a few directions. Orthogonalized, all directions get a step of the same
    size. Such a weight is also brought back to one size (√filters) before each step, in place of weight decay.
    torch's own `torch.optim.Muon` takes matrices only. Source: https://kellerjordan.github.io/posts/muon/.
    """

    def __init__(self, params, lr: float, momentum: float, weight_decay: float = 0.0, orthogonal: bool = False):
        settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "orthogonal": orthogonal}
        super().__init__(params, settings)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                grad = p.grad + group["weight_decay"] * p
                average = self.state[p].setdefault("average", torch.zeros_like(p))
                average.mul_(group["momentum"]).add_(grad)
                step = grad + group["momentum"] * average
                if group["orthogonal"]:
                    p.mul_(len(p) ** 0.5 / p.norm())
                    step = orthogonalize(step.flatten(1)).view_as(p)
                p.sub_(group["lr"] * step)
        return loss


def small_first(epochs: int) -> list[int]:
    """The `sides` for `data.Batches`: 20 pixels in the first quarter of the epochs, 24 in the second, then all (lab 08)."""
    return [20] * (epochs // 4) + [24] * (epochs // 2 - epochs // 4)


def fast_recipe(model: nn.Module, steps: int, conv_lr: float = 0.18, lr: float = 0.4, weight_decay: float = 0.00125,
                label_smoothing: float = 0.2, schedule: Callable = one_cycle):
    """Loss, optimizer and schedule that train `FastNet` fast, for batches of 500 (lab 08).

    After https://arxiv.org/abs/2404.00498 and its successor with Muon, https://github.com/KellerJordan/cifar10-airbench.

    Args:
        model: parameters that need no gradient are left out.
        steps: batches in the whole run; the schedule ends there.
        conv_lr, lr: learning rates of the convolutions and of all else, where the schedule is at its peak. `conv_lr` is
            that for two epochs; four and more want 0.1.
        schedule: called as `schedule(step, steps)`, returns the factor on the learning rates.
    Returns:
        (loss_fn, optimizer, scheduler).
    """
    learnt = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learnt if p.ndim == 4], "lr": conv_lr, "momentum": 0.6, "orthogonal": True},
        {"params": [p for p in learnt if p.ndim < 4], "weight_decay": weight_decay},
    ]
    loss_fn = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    optimizer = Muon(groups, lr=lr, momentum=0.85)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(step, steps))
    return loss_fn, optimizer, scheduler
