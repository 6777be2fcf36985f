"""Callbacks for the `Learner` of `utils.training`, and hooks to look into its layers (lab 07)."""

import copy
import math
import os
import random
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from .events import Callback, CancelEpoch, CancelFit, CancelStep
from .training import to_device


class Device(Callback):
    """Moves the model and every batch to a device, by default the one where the model's parameters are.

    Args:
        device: where to. The optimizer goes along: a module's `to` moves parameters in place.
    """

    order = -20

    def __init__(self, device: torch.device | str | None = None):
        self.device = device

    def before_fit(self, learner):
        self.device = self.device or next(learner.model.parameters()).device
        learner.model.to(self.device)

    def before_batch(self, learner):
        learner.x, learner.y = to_device(learner.x, self.device), learner.y.to(self.device)


class Metrics(Callback):
    """Loss and metrics of each pass, over its samples: `learner.history["train_loss"]`, `["val_accuracy"]`, …

    A batch counts by its size: the last one may be shorter. A pass without a sample, all its batches having been
    cancelled, gives nan.

    Args:
        functions: each is called as `function(prediction, y)` and gives the batch's mean.
    """

    order = -10

    def __init__(self, **functions: Callable):
        self.functions = functions

    def before_epoch(self, learner):
        self.sizes = []
        self.values = {name: [] for name in ("loss", *self.functions)}

    def after_loss(self, learner):
        self.sizes.append(len(learner.y))
        self.values["loss"].append(learner.loss.detach())  # not .item(): that would wait for a GPU at every batch
        for name, function in self.functions.items():
            self.values[name].append(function(learner.prediction.detach(), learner.y))

    def after_epoch(self, learner):
        split = "train" if learner.training else "val"
        for name, values in self.values.items():
            total = sum(size * float(value) for size, value in zip(self.sizes, values))
            learner.history.setdefault(f"{split}_{name}", []).append(total / sum(self.sizes) if self.sizes else math.nan)


class Recorder(Callback):
    """The loss and the learning rate of every training batch, over all fits: `losses`, `rates`."""

    def __init__(self):
        self.losses, self.rates = [], []

    def after_loss(self, learner):
        if learner.training:
            self.losses.append(learner.loss.item())
            self.rates.append(learner.optimizer.param_groups[0]["lr"])


class Schedule(Callback):
    """Steps a scheduler of torch's after every training batch, or after every epoch.

    Args:
        scheduler: of the learner's optimizer.
        by_epoch: as `StepLR` and its like are mostly meant.
    """

    def __init__(self, scheduler, by_epoch: bool = False):
        self.scheduler, self.by_epoch = scheduler, by_epoch

    def after_batch(self, learner):
        if learner.training and not self.by_epoch:
            self.scheduler.step()

    def after_epoch(self, learner):
        if learner.training and self.by_epoch:
            self.scheduler.step()

    def state_dict(self) -> dict:
        return self.scheduler.state_dict()

    def load_state_dict(self, state: dict) -> None:
        self.scheduler.load_state_dict(state)


class Progress(Callback):
    """A bar over each pass's batches, and a line an epoch with what `Metrics` has measured.

    Args:
        log: print the line.
    """

    order = 30

    def __init__(self, log: bool = True):
        self.log = log

    def before_epoch(self, learner):
        total = len(learner.batches) if hasattr(learner.batches, "__len__") else None
        self.bar = tqdm(total=total, desc="train" if learner.training else "validate", leave=False)

    def after_batch(self, learner):
        self.bar.update()

    def cleanup_epoch(self, learner):
        self.bar.close()

    def after_epoch(self, learner):
        last_pass = not learner.training or learner.val_batches is None
        if self.log and last_pass:
            values = {name: values[-1] for name, values in learner.history.items()}
            shown = (f"{name.replace('_', ' ')} " + (f"{value:6.1%}" if name.endswith("accuracy") else f"{value:.3f}")
                     for name, value in values.items())
            print("  ".join([f"epoch {learner.epoch + 1:2d}/{learner.epochs}", *shown]))


class GradientClip(Callback):
    """Scales the gradients down so that all of them together have at most this norm (lab 06)."""

    def __init__(self, max_norm: float):
        self.max_norm = max_norm

    def before_step(self, learner):
        nn.utils.clip_grad_norm_(learner.model.parameters(), self.max_norm)


class MixedPrecision(Callback):
    """Forward pass and loss in half precision where that is safe (`torch.autocast`); the weights stay float32.

    Args:
        dtype: `torch.bfloat16` has float32's range. `torch.float16` has not: its loss is scaled up before backward, so
            that small gradients do not vanish, and the gradients are scaled down before the step.
    """

    order = 20  # after those that read the loss, which is scaled here

    def __init__(self, dtype: torch.dtype = torch.bfloat16):
        self.dtype = dtype

    def before_fit(self, learner):
        self.device_type = next(learner.model.parameters()).device.type
        self.scaler = torch.amp.GradScaler(self.device_type, enabled=self.dtype == torch.float16)

    def before_batch(self, learner):
        self.half = ExitStack()
        self.half.enter_context(torch.autocast(self.device_type, self.dtype))

    def after_loss(self, learner):
        self.half.close()
        if learner.training:
            self.loss, learner.loss = learner.loss, self.scaler.scale(learner.loss)

    def after_backward(self, learner):
        learner.loss = self.loss
        self.scaler.unscale_(learner.optimizer)

    def before_step(self, learner):
        if self.scaler.is_enabled():  # it leaves a step out when a gradient has overflowed
            self.scaler.step(learner.optimizer)
            self.scaler.update()
            learner.optimizer.zero_grad()
            raise CancelStep

    def cleanup_batch(self, learner):
        self.half.close()


class EarlyStopping(Callback):
    """Stops when a metric has not become better for `patience` epochs; the best epoch's weights are put back at the end.

    Args:
        patience: epochs.
        metric: a name in `learner.history`; less is better, but for accuracies.
    """

    def __init__(self, patience: int = 3, metric: str = "val_loss"):
        self.patience, self.metric = patience, metric

    def before_fit(self, learner):
        self.best, self.best_epoch, self.weights, self.waited = None, None, None, 0

    def after_epoch(self, learner):
        if learner.training and learner.val_batches is not None:
            return
        value = learner.history[self.metric][-1]
        score = value if self.metric.endswith("accuracy") else -value
        score = -math.inf if math.isnan(score) else score
        if self.best is None or score > self.best:
            self.best, self.best_epoch, self.waited = score, learner.epoch, 0
            self.weights = copy.deepcopy(learner.model.state_dict())
        else:
            self.waited += 1

    def before_epoch(self, learner):
        if learner.training and self.waited >= self.patience:  # here, so that the last epoch is logged and saved
            print(f"stopped: {self.metric} has not become better for {self.waited} epochs")
            raise CancelFit

    def cleanup_fit(self, learner):
        if self.weights is not None:
            learner.model.load_state_dict(self.weights)

    def state_dict(self) -> dict:
        return {name: vars(self)[name] for name in ("best", "best_epoch", "weights", "waited")}

    def load_state_dict(self, state: dict) -> None:
        vars(self).update(state)


def snapshot(learner) -> dict:
    """All that the next epochs depend on: weights, optimizer, callbacks, history, the batches' order, random numbers.

    Of the callbacks and the training batches, what their `state_dict()` gives; of batches without one, the state of
    their `generator` and of their `sampler`'s. The tensors are not copied.
    """
    legacy = np.random.get_state()
    batches = learner.train_batches
    state = {
        "model": learner.model.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "callbacks": [c.state_dict() for c in learner.callbacks if hasattr(c, "state_dict")],
        "history": learner.history,
        "epoch": learner.epoch,
        "random": {"python": random.getstate(), "numpy": (legacy[0], legacy[1].tolist(), *legacy[2:]),
                   "torch": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
    }
    if hasattr(batches, "state_dict"):
        state["batches"] = batches.state_dict()
    else:
        state["generators"] = [generator.get_state() for generator in _generators(batches)]
    return state


def _generators(batches) -> list[torch.Generator]:
    """The random generators that a loader owns: its own and its sampler's."""
    holders = (batches, getattr(batches, "sampler", None))
    return [holder.generator for holder in holders if getattr(holder, "generator", None) is not None]


def restore(learner, state: dict) -> None:
    """Put a learner, made with the same arguments, back into the state of a `snapshot`."""
    learner.model.load_state_dict(state["model"])
    learner.optimizer.load_state_dict(state["optimizer"])
    for callback, its in zip((c for c in learner.callbacks if hasattr(c, "state_dict")), state["callbacks"], strict=True):
        callback.load_state_dict(its)
    learner.history.clear()
    learner.history.update(state["history"])
    learner.epoch = state["epoch"]
    if "batches" in state:
        learner.train_batches.load_state_dict(state["batches"])
    else:
        for generator, its in zip(_generators(learner.train_batches), state["generators"], strict=True):
            generator.set_state(its)
    numbers = state["random"]
    random.setstate(numbers["python"])
    name, keys, *rest = numbers["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(numbers["torch"])
    torch.cuda.set_rng_state_all(numbers["cuda"])


class Checkpoint(Callback):
    """Writes a `snapshot` after every epoch; a fit that was broken off goes on from it, bit for bit on a CPU.

    Args:
        path: of the file. It is replaced at once, never half written.
        resume: start from the file, if it is there.
    """

    order = 40

    def __init__(self, path: str | Path, resume: bool = False):
        self.path, self.resume = Path(path), resume

    def before_fit(self, learner):
        if self.resume and self.path.exists():
            restore(learner, torch.load(self.path, map_location="cpu", weights_only=True))
            learner.epoch += 1

    def after_epoch(self, learner):
        if learner.training and learner.val_batches is not None:
            return
        partial = self.path.with_name(f"{self.path.name}.part")
        torch.save(snapshot(learner), partial)
        os.replace(partial, self.path)


class LRFinder(Callback):
    """Tries learning rates from small to large, one a batch, and then puts everything back (L. Smith, arXiv:1506.01186).

    `learner.fit(100, [LRFinder()])` stops by itself: after `steps` batches, or when the loss is four times its best.
    `rates` and `losses` hold what was seen.
    """

    order = 25

    def __init__(self, start: float = 1e-5, end: float = 10.0, steps: int = 100):
        self.start, self.end, self.steps = start, end, steps

    def before_fit(self, learner):
        self.rates, self.losses = [], []
        self.before, self.callbacks = copy.deepcopy(snapshot(learner)), learner.callbacks
        others = (Schedule, EarlyStopping, Checkpoint)  # the rate is the finder's, and this fit is not worth keeping
        learner.callbacks = [callback for callback in learner.callbacks if not isinstance(callback, others)]

    def before_epoch(self, learner):
        if not learner.training:
            raise CancelEpoch

    def before_batch(self, learner):
        self.rates.append(self.start * (self.end / self.start) ** (len(self.rates) / (self.steps - 1)))
        for group in learner.optimizer.param_groups:
            group["lr"] = self.rates[-1]

    def after_batch(self, learner):
        self.losses.append(learner.loss.item())
        if len(self.losses) == self.steps or not self.losses[-1] < 4 * min(self.losses):
            raise CancelFit

    def cleanup_fit(self, learner):
        learner.callbacks = self.callbacks
        restore(learner, self.before)


class Hooks:
    """Forward hooks on some modules while a `with` block lasts; they are removed however it ends (lab 07).

    Args:
        modules: where to look.
        function: called as `function(index, module, inputs, output)` after each forward pass of a module; what it
            returns takes the output's place, unless it is None.
        backward: call it as `function(index, module, grad_input, grad_output)` in the backward pass instead.
    """

    def __init__(self, modules: Iterable[nn.Module], function: Callable, backward: bool = False):
        self.modules, self.function, self.backward = list(modules), function, backward

    def __enter__(self) -> "Hooks":
        self.handles = []
        for index, module in enumerate(self.modules):
            register = module.register_full_backward_hook if self.backward else module.register_forward_hook
            self.handles.append(register(lambda *seen, index=index: self.function(index, *seen)))
        return self

    def __exit__(self, *error) -> None:
        for handle in self.handles:
            handle.remove()


class ActivationStats(Callback):
    """Mean and standard deviation of some modules' outputs, and the share of dead units, for every training batch.

    A unit, or channel, is dead in a batch when it is 0 for all of its samples and positions. `means`, `deviations` and
    `dead` hold a list for each module, a number for each batch.

    Args:
        modules: where to look.
    """

    def __init__(self, modules: Iterable[nn.Module]):
        self.modules = list(modules)
        self.means, self.deviations, self.dead = ([[] for _ in self.modules] for _ in range(3))

    def before_fit(self, learner):
        self.hooks = Hooks(self.modules, self.record)
        self.hooks.__enter__()

    def record(self, index, module, inputs, output):
        if module.training:
            output = output.detach()
            self.means[index].append(output.mean().item())
            self.deviations[index].append(output.std().item())
            units = output.transpose(0, 1).flatten(1)
            self.dead[index].append((units == 0).all(dim=1).float().mean().item())

    def cleanup_fit(self, learner):
        self.hooks.__exit__()
