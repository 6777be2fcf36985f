"""Training: the functions and the `Learner` that lab 07 builds. Callbacks for it stand in `utils.callbacks`."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from .events import Callback, CancelBatch, CancelEpoch, CancelFit, CancelStep


def accuracy(logits: torch.Tensor, y: torch.Tensor) -> float:
    """Fraction of the rows whose largest logit is the label's (lab 07).

    Args:
        logits: float (B, K).
        y: int64 (B,), the labels.
    Returns:
        a float from 0 to 1.
    """
    return (logits.argmax(dim=1) == y).float().mean().item()


@contextmanager
def evaluating(model: nn.Module):
    """Evaluation mode while a `with` block lasts; then each module has its own mode again."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def to_device(x, device: torch.device | str):
    """A tensor on a device; of a dict of tensors (lab 11), each."""
    return {name: part.to(device) for name, part in x.items()} if isinstance(x, dict) else x.to(device)


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
    for x, y in batches:
        x, y = to_device(x, device), y.to(device)
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
            x, y = to_device(x, device), y.to(device)
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
    logits = torch.cat([model(to_device(x, device)).cpu() for x, _ in batches])
    model.train(was_training)
    return logits


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
