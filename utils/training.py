"""Training, plainly: the functions that lab 08 builds, and the recipe of its last part."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from tqdm.auto import tqdm


def accuracy(logits: torch.Tensor, y: torch.Tensor) -> float:
    """Fraction of the rows whose largest logit is the label's (lab 08).

    Args:
        logits: float (B, K).
        y: int64 (B,), the labels.
    Returns:
        a float from 0 to 1.
    """
    return (logits.argmax(dim=1) == y).float().mean().item()


def train(model: nn.Module, batches: Iterable, loss_fn: Callable, optimizer, scheduler=None) -> float:
    """Train for one epoch (lab 08).

    Args:
        model: any module; left in training mode.
        batches: gives (x, y) pairs; they are moved to the model's device.
        loss_fn: called as `loss_fn(logits, y)`, returns the batch's mean loss.
        optimizer: holds the model's parameters.
        scheduler: stepped after every batch, if there is one.
    Returns:
        the mean loss over the images, as they were seen during the epoch.
    """
    device = next(model.parameters()).device
    model.train()
    total, count = 0.0, 0
    for x, y in tqdm(batches, desc="train", leave=False):
        x, y = x.to(device), y.to(device)
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += loss.item() * len(y)
        count += len(y)
    return total / count


def validate(model: nn.Module, batches: Iterable, loss_fn: Callable) -> tuple[float, float]:
    """Mean loss and accuracy over all images of `batches` (lab 08).

    Sums over images, not the mean of batch means: the last batch may be shorter. The model is put in evaluation mode
    and afterwards back in the mode it was in.

    Returns:
        (loss, accuracy), two floats; accuracy from 0 to 1.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for x, y in batches:
            x, y = x.to(device), y.to(device)
            logits = model(x)
            total += loss_fn(logits, y).item() * len(y)
            correct += (logits.argmax(dim=1) == y).sum().item()
            count += len(y)
    model.train(was_training)
    return total / count, correct / count


@torch.no_grad()
def predict(model: nn.Module, batches: Iterable) -> torch.Tensor:
    """Logits for all images of `batches`, in their order, on the CPU: float (N, K). The model's mode is restored."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    logits = torch.cat([model(x.to(device)).cpu() for x, _ in batches])
    model.train(was_training)
    return logits


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


def fit(model, train_batches, val_batches, loss_fn, optimizer, epochs, scheduler=None,
        log=True) -> dict[str, list[float]]:
    """Train for some epochs, validating after each.

    Args:
        scheduler: stepped after every batch, if there is one.
        log: print a line an epoch.
    Returns:
        {"train_loss": […], "val_loss": […], "val_accuracy": […]}, one number an epoch in each.
    """
    history = {"train_loss": [], "val_loss": [], "val_accuracy": []}
    for epoch in range(1, epochs + 1):
        train_loss = train(model, train_batches, loss_fn, optimizer, scheduler)
        val_loss, val_accuracy = validate(model, val_batches, loss_fn)
        for name, value in zip(history, (train_loss, val_loss, val_accuracy)):
            history[name].append(value)
        if log:
            print(f"epoch {epoch:2d}/{epochs}  train loss {train_loss:.3f}  "
                  f"val loss {val_loss:.3f}  val accuracy {val_accuracy:6.1%}")
    return history


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


def fast_recipe(model: nn.Module, steps: int, lr: float = 0.4, momentum: float = 0.85, weight_decay: float = 0.00125,
                bias_boost: float = 64, label_smoothing: float = 0.2, schedule: Callable = one_cycle):
    """Loss, optimizer and schedule that train `FastNet` fast, for batches of 250 (lab 08).

    After https://arxiv.org/abs/2404.00498.

    Args:
        model: its biases are those of the batch norms; parameters that need no gradient are left out.
        steps: batches in the whole run; the schedule ends there.
        schedule: called as `schedule(step, steps)`, returns the factor on the learning rate.
    Returns:
        (loss_fn, optimizer, scheduler).
    """
    learnt = {name: p for name, p in model.named_parameters() if p.requires_grad}
    biases = [p for name, p in learnt.items() if "norm" in name]
    weights = [p for name, p in learnt.items() if "norm" not in name]
    groups = [
        {"params": weights},
        # The norms' biases move far and get small gradients: a large rate, and so much less decay to the same pull.
        {"params": biases, "lr": lr * bias_boost, "weight_decay": weight_decay / bias_boost},
    ]
    loss_fn = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=True, weight_decay=weight_decay)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(step, steps))
    return loss_fn, optimizer, scheduler
