"""Training: the functions and the `Learner` that lab 07 builds, and the recipe of lab 08's last part.

What a `Learner` can be told by callbacks stands in `utils.callbacks`.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack

import torch
from torch import nn
from tqdm.auto import tqdm


def accuracy(logits: torch.Tensor, y: torch.Tensor) -> float:
    """Fraction of the rows whose largest logit is the label's (lab 07).

    Args:
        logits: float (B, K).
        y: int64 (B,), the labels.
    Returns:
        a float from 0 to 1.
    """
    return (logits.argmax(dim=1) == y).float().mean().item()


def train(model: nn.Module, batches: Iterable, loss_fn: Callable, optimizer, scheduler=None) -> float:
    """Train for one epoch (lab 07).

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
    """Mean loss and accuracy over all images of `batches` (lab 07).

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
    """Logits for all images of `batches`, in their order, on the CPU: float (N, K). The model's mode is restored (lab 07)."""
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


class CancelStep(Exception):
    """Raised by a callback: the optimizer makes no step for this batch, and the gradients stay."""


class CancelBatch(Exception):
    """Raised by a callback: leave out the rest of this batch."""


class CancelEpoch(Exception):
    """Raised by a callback: leave out the rest of this pass over the training or the validation batches."""


class CancelFit(Exception):
    """Raised by a callback: stop training."""


class Callback:
    """Something that a `Learner` tells of its events (lab 07). Override those that matter; each gets the learner.

    A fit, an epoch, a batch and a step of the optimizer have three events each: *before*; *after*, unless cancelled; and
    *cleanup*, for every callback that heard the *before*, in reverse order, however the stage ended. An epoch is one
    pass over the training or over the validation batches: `learner.training` tells which.
    """

    order = 0  # callbacks with a lower one hear of an event first

    def before_fit(self, learner): pass
    def after_fit(self, learner): pass
    def cleanup_fit(self, learner): pass
    def before_epoch(self, learner): pass
    def after_epoch(self, learner): pass
    def cleanup_epoch(self, learner): pass
    def before_batch(self, learner): pass
    def after_predict(self, learner): pass  # learner.prediction is there
    def after_loss(self, learner): pass  # learner.loss is there
    def after_backward(self, learner): pass  # training only, as are the three of a step
    def before_step(self, learner): pass
    def after_step(self, learner): pass
    def cleanup_step(self, learner): pass
    def after_batch(self, learner): pass
    def cleanup_batch(self, learner): pass


class Events:
    """Callbacks, and how they are told (lab 07)."""

    def __init__(self, callbacks: Iterable[Callback] = ()):
        self.callbacks = list(callbacks)

    def event(self, name: str) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(self)

    def run(self, stage: str, body: Callable, cancel: type[Exception]) -> None:
        """One stage: the *before* events, `body`, the *after* events; and *cleanup* in any case."""
        with ExitStack() as cleanups:
            try:
                for callback in self.callbacks:
                    cleanups.callback(getattr(callback, f"cleanup_{stage}"), self)
                    getattr(callback, f"before_{stage}")(self)
                body()
                self.event(f"after_{stage}")
            except cancel:
                pass


class Learner(Events):
    """A training loop that callbacks can look into and change at every step, without touching it (lab 07).

    Args:
        model: any module.
        train_batches, val_batches: give (x, y) pairs each time they are iterated over; val_batches may be None.
        loss_fn: called as `loss_fn(prediction, y)`, returns a scalar tensor.
        optimizer: holds the model's parameters.
        callbacks: told of the events of every fit.

    For callbacks, during a fit: `epoch` (from 0), `epochs`, `training`, `batches`, `x`, `y`, `prediction`, `loss`; and
    `history`, a dict in which they keep what they measure, over all fits.
    """

    def __init__(self, model: nn.Module, train_batches: Iterable, val_batches: Iterable | None, loss_fn: Callable,
                 optimizer: torch.optim.Optimizer, callbacks: Iterable[Callback] = ()):
        super().__init__(callbacks)
        self.model, self.loss_fn, self.optimizer = model, loss_fn, optimizer
        self.train_batches, self.val_batches = train_batches, val_batches
        self.history = {}

    def fit(self, epochs: int, callbacks: Iterable[Callback] = ()) -> dict[str, list[float]]:
        """Train for some epochs and validate after each; `callbacks` are told of this fit only.

        However it ends, every module of the model is left in the mode, training or evaluation, in which it was.

        Returns:
            `history`.
        """
        modes = [(module, module.training) for module in self.model.modules()]
        lasting = self.callbacks
        self.callbacks = sorted([*lasting, *callbacks], key=lambda callback: callback.order)
        self.epoch, self.epochs = 0, epochs
        self.optimizer.zero_grad()
        try:
            self.run("fit", self.all_epochs, CancelFit)
        finally:
            self.callbacks = lasting
            for module, mode in modes:
                module.training = mode
        return self.history

    def all_epochs(self) -> None:
        while self.epoch < self.epochs:
            for training, batches in ((True, self.train_batches), (False, self.val_batches)):
                if batches is not None:
                    self.training, self.batches = training, batches
                    self.run("epoch", self.one_epoch, CancelEpoch)
            self.epoch += 1

    def one_epoch(self) -> None:
        self.model.train(self.training)
        with torch.set_grad_enabled(self.training):
            for x, y in self.batches:
                self.x, self.y = x, y
                self.run("batch", self.one_batch, CancelBatch)

    def one_batch(self) -> None:
        self.prediction = self.model(self.x)
        self.event("after_predict")
        self.loss = self.loss_fn(self.prediction, self.y)
        self.event("after_loss")
        if self.training:
            self.loss.backward()
            self.event("after_backward")
            self.run("step", self.one_step, CancelStep)

    def one_step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()


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
