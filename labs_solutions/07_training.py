# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · The training loop
#
# **You will be able to** write training, validation and prediction so that nothing is forgotten; stop a run early with its best weights; break it off and resume it bit for bit; open the loop with callbacks, so that a schedule, a learning-rate finder or
# half precision need no change to it; look into a network's layers while it learns; read the same training in PyTorch Lightning.
#
# **Time** 210 min · **Know first** a training step (lab 02), `nn.Module` (lab 04), optimizers and schedules (lab 06)
#
# How to work: run the cells from top to bottom. In an exercise, replace the line that raises `NotAttempted` (or the `...`) by your code, run the cell, then run its check.
# Where a later cell needs an answer that you have not given yet, it takes the course's own and says so.

# %% tags=["setup"]
# (the build writes the setup cell here, the same in every lab)

# %%
import copy
import inspect
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from utils import data, plotting, runtime
from utils.checks import NotAttempted, check, hand_in, mine_or_reference, progress
from utils.events import Callback, CancelBatch, CancelEpoch, CancelFit, CancelStep

device = runtime.device()

# %% [markdown]
# ## 1 · A loop goes wrong in silence
#
# The task of this lab is small, so that each run takes seconds: handwritten digits, and a network of two convolutions. A fifth of the training images is held out for validation (lab 03); the test images wait until section 8.

# %% tags=["demo"]
digits = data.mnist()
(train_images, train_labels), (val_images, val_labels) = data.split(digits.train_images, digits.train_labels, holdout=len(digits.train_labels) // 5, seed=0)


def batches_of(images, labels, shuffle=False, seed=0):
    """Mini-batches of 100 normalized digits; the last one is shorter where 100 does not divide them."""
    return data.Batches(images, labels, batch_size=100, shuffle=shuffle, seed=seed, mean=(data.MNIST_MEAN,), std=(data.MNIST_STD,))


def network(seed=0):
    """28 × 28 grey pixels → 14 × 14 → 7 × 7 → ten logits."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(16 * 7 * 7, 10),
    ).to(device)


def sgd(model, lr=0.05):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


print(digits.source, "·", len(train_labels), "to train,", len(val_labels), "to validate,", len(digits.test_labels), "for the test")
print("parameters:", sum(p.numel() for p in network().parameters()))
plotting.show(plotting.image_grid(train_images[:16], train_labels[:16].tolist(), title="Sixteen training digits"), alt="Sixteen handwritten digits with their labels.")

# %% [markdown]
# Below, a training loop with two lines that can be left out. Nothing crashes without them.

# %% tags=["demo"]
def careless(zero=True, switch=True, epochs=5):
    """The validation loss after each epoch."""
    torch.manual_seed(0)
    model, found = network(), []
    optimizer = sgd(model)
    images, labels = train_images[:2000], train_labels[:2000]
    learning, measuring = batches_of(images, labels, shuffle=True), batches_of(val_images, val_labels)
    for _ in range(epochs):
        model.train()
        for x, y in learning:
            if zero:
                optimizer.zero_grad()
            F.cross_entropy(model(x.to(device)), y.to(device)).backward()
            optimizer.step()
        if switch:
            model.eval()
        with torch.no_grad():
            sums = [F.cross_entropy(model(x.to(device)), y.to(device), reduction="sum").item() for x, y in measuring]
        found.append(sum(sums) / len(val_labels))
    return found


runs = {"as it should be": careless(), "no zero_grad()": careless(zero=False), "no eval()": careless(switch=False)}
figure = plotting.curves(runs, ylabel="validation loss", title="One line left out")
figure.axes[0].set(yscale="log")
plotting.show(figure, alt="Validation loss over five epochs for three loops. The right one is the lowest throughout; without eval() it measures too high a loss; without zero_grad() the loss is many times higher and does not come down.")
assert runs["as it should be"][-1] < min(runs["no zero_grad()"][-1], runs["no eval()"][-1])

# %% [markdown]
# Without `zero_grad()` each step follows the sum of *all* gradients so far (lab 02). Without `eval()` the network is as good as the first, but it is measured wrongly: dropout goes on removing units, and the batch norms use each
# validation batch's own statistics; worse, they *learn* their running averages from the validation images.
#
# So a loop is a list of things to do and to undo, in an order:
#
# | | what | when | without it |
# | --- | --- | --- | --- |
# | **moved** | the model, to the device | before the optimizer is made | on some setups the optimizer holds the old tensors |
# | | every batch, to the model's device | first thing in the batch | an error on a GPU; nothing on a CPU, so you notice late |
# | **switched** | `model.train()`, `model.eval()` | before each pass | dropout and batch norm do the other thing |
# | | the graph: `torch.no_grad()` | around validation | memory and time |
# | **zeroed** | gradients | once for each step: before `backward()`, or after `step()` | steps along old gradients |
# | | sums of losses and hits | before each pass | the log mixes epochs |
# | **undone** | the mode, as it was before | after validation and prediction | the next epoch trains without dropout |
# | | `no_grad`, hooks, autocast | by `with`, which undoes them after an error too | the next cell behaves strangely |
#
# ## 2 · Three functions
#
# You will carry these from project to project. First the easy one.
#
# ### Exercise 07.1 · Accuracy of a batch
# ●○○ · 4 min · 1 point
#
# Return the fraction of the images whose largest logit is that of their label.
#
# <details><summary>Hint 1</summary>The predicted class is the place of the largest logit in its row. No softmax needed: it does not change which is largest.</details>
# <details><summary>Hint 2</summary><code>argmax</code> along the classes, <code>==</code>, then a mean; bools have no mean before <code>.float()</code>. At the end, <code>.item()</code>.</details>
# <details><summary>The size of tensor a must match the size of tensor b</summary><code>dim</code> names the dimension that disappears: that of the classes.</details>

# %% exercise="07.1"
def accuracy(logits: torch.Tensor, y: torch.Tensor) -> float:
    """Fraction of the rows whose largest logit is the label's.

    Args:
        logits: float (B, K).
        y: int64 (B,), the labels.
    Returns:
        a Python float from 0 to 1.
    """
    ### BEGIN SOLUTION
    return (logits.argmax(dim=1) == y).float().mean().item()
    ### END SOLUTION

# %%
check("07.1")

# %%
accuracy = mine_or_reference("07.1", accuracy)

# %% [markdown]
# An epoch's loss is the mean over its *images*. A loss function gives the mean over a batch, and the last batch of an epoch is often shorter. With 1,001 images in batches of 500, a single image gone wrong:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
sizes, means = [500, 500, 1], [0.20, 0.20, 2.00]
print(f"mean of the batches' means: {sum(means) / len(means):.3f}")
print(f"mean over the images:       {sum(size * mean for size, mean in zip(sizes, means)) / sum(sizes):.3f}")

# %% [markdown]
# ### Exercise 07.2 · One epoch of training
# ●●○ · 12 min · 3 points
#
# Put the model in training mode. For each batch: move it to the device of the model's parameters; compute the loss; empty the gradients, backward, step; if there is a scheduler (an object that changes the learning rate, lab 06), call its `.step()` once a batch.
# Return the mean loss over the **images** of the epoch. (The check runs on the CPU and cannot see whether you move the batches.)
#
# <details><summary>Hint 1</summary>Lab 02's training step, in a loop. <code>next(model.parameters()).device</code> says where the model is.</details>
# <details><summary>Hint 2</summary>Two running sums: of the images' losses, and of the images. <code>loss_fn</code> returns the batch's <em>mean</em>, and a tensor with its graph.</details>
# <details><summary>The parameters are right, the loss is not</summary>The last batch is shorter. A mean of the batches' means gives its images too much weight: add <code>loss.item()</code> times the number of images.</details>

# %% exercise="07.2"
def train(model: nn.Module, batches: Iterable, loss_fn: Callable, optimizer, scheduler=None) -> float:
    """Train for one epoch.

    Args:
        model: any module; left in training mode.
        batches: gives (x, y) pairs; x (B, …), y (B,).
        loss_fn: called as loss_fn(logits, y), returns the batch's mean loss.
        optimizer: holds the model's parameters.
        scheduler: stepped after every batch, if there is one.
    Returns:
        the mean loss over all images, a Python float.
    """
    ### BEGIN SOLUTION
    where = next(model.parameters()).device
    model.train()
    total, count = 0.0, 0
    for x, y in batches:
        x, y = x.to(where), y.to(where)
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += loss.item() * len(y)
        count += len(y)
    return total / count
    ### END SOLUTION

# %%
check("07.2")

# %%
train = mine_or_reference("07.2", train)

# %% [markdown]
# ### Exercise 07.3 · Loss and accuracy over a whole set
# ●●○ · 12 min · 3 points
#
# The same loop without learning. Evaluation mode, no graph, sums over images; and leave the model **in the mode in which you found it**.
#
# <details><summary>Hint 1</summary><code>model.training</code> is a bool; <code>model.train(value)</code> takes one.</details>
# <details><summary>Hint 2</summary>Evaluation mode and no graph are two things: <code>model.eval()</code> changes how dropout and batch norm work, <code>torch.no_grad()</code> stops the recording. You need both.</details>
# <details><summary>Right for full batches, wrong when the last is shorter</summary>Count right answers and images, and divide once, at the end.</details>

# %% exercise="07.3"
def validate(model: nn.Module, batches: Iterable, loss_fn: Callable) -> tuple[float, float]:
    """Mean loss and accuracy over all images of `batches`.

    Args:
        model: any module; its mode is the same afterwards.
        batches: gives (x, y) pairs; x (B, …), y (B,).
        loss_fn: called as loss_fn(logits, y), returns the batch's mean loss.
    Returns:
        (loss, accuracy), two Python floats; accuracy from 0 to 1.
    """
    ### BEGIN SOLUTION
    where = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for x, y in batches:
            x, y = x.to(where), y.to(where)
            logits = model(x)
            total += loss_fn(logits, y).item() * len(y)
            correct += (logits.argmax(dim=1) == y).sum().item()
            count += len(y)
    model.train(was_training)
    return total / count, correct / count
    ### END SOLUTION

# %%
check("07.3")

# %%
validate = mine_or_reference("07.3", validate)

# %% [markdown]
# With the three, training is a loop of two lines:

# %% tags=["demo"]
runtime.seed_everything(0)
train_batches, val_batches = batches_of(train_images, train_labels, shuffle=True), batches_of(val_images, val_labels)
model = network()
optimizer, loss_fn = sgd(model), nn.CrossEntropyLoss()
for epoch in range(3):
    train_loss = train(model, train_batches, loss_fn, optimizer)
    val_loss, val_accuracy = validate(model, val_batches, loss_fn)
    print(f"epoch {epoch + 1}/3  train loss {train_loss:.3f}  val loss {val_loss:.3f}  val accuracy {val_accuracy:.1%}")
assert val_loss < train_loss < 1, "the loss should fall: is your `train` (07.2) stepping every batch and using loss_fn?"

# %% [markdown]
# The validation loss lies *below* the training loss, and no image was leaked. The training loss is an average over an epoch in which the network was still learning, with dropout at work; the validation loss is taken at its end, without.
#
# ## 3 · A class that remembers
#
# Functions forget. A log, the best weights so far, the number of epochs without progress: these belong to a run, and a run is an object. Two things are still to be seen before you write it.
#
# **Initialization.** `model.apply(function)` calls the function with every module, the innermost first:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
small = nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nn.Linear(3, 2))
small.apply(lambda module: print(type(module).__name__, "→", [name for name, _ in module.named_parameters(recurse=False)]))

# %% [markdown]
# So the function looks at what it was given (`isinstance`) and fills in only the layers that it means. Xavier's rule draws weights with variance 2 / (fan in + fan out), so that neither the activations nor the gradients grow or shrink from layer to layer (lab 04); `nn.init.xavier_uniform_` does it.
#
# **Early stopping.** A network too large for its 300 images, trained for 40 epochs:

# %% tags=["demo"]
runtime.seed_everything(0)
few = batches_of(train_images[:300], train_labels[:300], shuffle=True)
large = nn.Sequential(nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Dropout(0.5), nn.Linear(200, 10)).to(device)
optimizer = torch.optim.SGD(large.parameters(), lr=0.05, momentum=0.9)
long_run = {"training": [], "validation": []}
for _ in range(40):
    long_run["training"].append(train(large, few, loss_fn, optimizer))
    long_run["validation"].append(validate(large, val_batches, loss_fn)[0])
held_out = long_run["validation"]


def stop_at(losses, patience):
    """The epoch, from 1, at which a run that waits `patience` epochs for a better loss ends; and its best epoch."""
    for epoch in range(1, len(losses) + 1):
        best = int(np.argmin(losses[:epoch])) + 1
        if epoch - best == patience:
            break
    return epoch, best


figure = plotting.curves(long_run, ylabel="loss", title="When to stop?")
ax = figure.axes[0]
for patience, colour in ((1, 3), (3, 2), (6, 4)):
    last, best = stop_at(held_out, patience)
    ax.axvline(last, color=plotting.PALETTE[colour], linestyle=":", label=f"patience {patience}: stops after {last}, takes {best}")
ax.legend(fontsize=8, framealpha=1, edgecolor="none")
plotting.show(figure, alt="Training loss falls to nearly zero over 40 epochs; validation loss falls, wavers for some twenty epochs, then creeps up. Vertical lines show where patience 1, 3 and 6 would stop.")
print("patience  stops after  best epoch  its validation loss")
for patience in (1, 3, 6):
    last, best = stop_at(held_out, patience)
    print(f"{patience:8}  {last:11}  {best:10}  {held_out[best - 1]:19.4f}")

# %% [markdown]
# The training loss goes towards 0, the validation loss turns back up. Stop there. But a loss that is noisy turns often: who stops at the first bad epoch may stop too soon. **Patience** is how many epochs in a row without a new best one is willing to wait;
# the price is that the last weights are not the best ones. So keep a copy of the best weights, and put it back at the end.
#
# A copy: `state_dict()` hands out the model's own tensors, not copies of them.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
layer = nn.Linear(1, 1)
with torch.no_grad():
    layer.weight.fill_(1.0)
    kept, copied = layer.state_dict(), copy.deepcopy(layer.state_dict())
    layer.weight.fill_(2.0)  # training goes on
print("kept:  ", kept["weight"].item())
print("copied:", copied["weight"].item())

# %% [markdown]
# ### Exercise 07.4 · A trainer
# ●●● · 40 min · 5 points
#
# `init_weights` is for `model.apply`. `Trainer` has three methods:
#
# - `one_pass` is your `train` and your `validate` in one: the mode and the recording of a graph depend on `training`; it leaves the mode as it has set it. While training, it also notes every batch's loss in `self.log["batch_loss"]`.
# - `fit` does, for each epoch, a pass over the training batches and one over the validation batches, notes the four numbers, and stops when the validation loss has not gone *below its best* for `patience` epochs in a row (`None`: it never stops early).
#   At its end the model has the weights of this fit's best epoch and the mode that it had before.
# - `predict` gives the logits of all batches, in their order, as one tensor on the CPU; evaluation mode, no graph, the mode as it was.
#
# <details><summary>Hint 1</summary><code>model.train(training)</code> and <code>with torch.set_grad_enabled(training):</code> are two switches that take a bool. Only zero, backward, step and the batch's log stand under <code>if training:</code>.</details>
# <details><summary>Hint 2</summary>In <code>fit</code>, three variables: the best loss, a copy of the best <code>state_dict()</code>, and how many epochs you have waited. What are they before the first epoch, and what does a new best do to each?</details>
# <details><summary>The case with patience fails, the plain one passes</summary>A new best sets the waiting to 0, any other epoch adds 1; equal to the patience, <code>break</code>. Write down the validation losses 5, 4, 6, 3, 7, 8 with patience 2: the run sees all six, and takes the weights of the 3. Waiting starts anew at each new best, and the copy must be made in the epoch of the best, not at the end.</details>
# <details><summary>'NoneType' object has no attribute 'fill_' …</summary>A layer made with <code>bias=False</code> has <code>bias = None</code>; and batch norms have a weight too, which stays as it is.</details>

# %% exercise="07.4"
def init_weights(module: nn.Module) -> None:
    """For `model.apply(init_weights)`: Xavier-uniform weights and zero biases in `nn.Linear` and `nn.Conv2d`; other modules stay."""
    ### BEGIN SOLUTION
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    ### END SOLUTION


class Trainer:
    """Trains a classifier, keeps a log, stops early, predicts.

    `log`, which goes on over all fits, holds a list under each name: "batch_loss" for every batch that was trained on, and for every epoch the mean
    over the images of "train_loss", "train_accuracy", "val_loss", "val_accuracy".

    Args:
        model: any module, already on its device.
        loss_fn: called as loss_fn(logits, y), returns the batch's mean loss.
        optimizer: holds the model's parameters.
    """

    def __init__(self, model: nn.Module, loss_fn: Callable, optimizer: torch.optim.Optimizer):
        self.model, self.loss_fn, self.optimizer = model, loss_fn, optimizer
        self.device = next(model.parameters()).device
        self.log = {name: [] for name in ("batch_loss", "train_loss", "train_accuracy", "val_loss", "val_accuracy")}

    def one_pass(self, batches: Iterable, training: bool) -> tuple[float, float]:
        """Once through `batches`, learning or only measuring: (mean loss, accuracy) over their images, two floats."""
        ### BEGIN SOLUTION
        self.model.train(training)
        total, correct, count = 0.0, 0, 0
        with torch.set_grad_enabled(training):
            for x, y in batches:
                x, y = x.to(self.device), y.to(self.device)
                logits = self.model(x)
                loss = self.loss_fn(logits, y)
                if training:
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()
                    self.log["batch_loss"].append(loss.item())
                total += loss.item() * len(y)
                correct += (logits.argmax(dim=1) == y).sum().item()
                count += len(y)
        return total / count, correct / count
        ### END SOLUTION

    def fit(self, train_batches: Iterable, val_batches: Iterable, epochs: int, patience: int | None = None) -> dict[str, list[float]]:
        """Train and validate; stop after `patience` epochs in a row without a new lowest validation loss.

        At the end the model has the weights (and buffers) of this fit's best epoch, and the mode that it had before.

        Returns:
            the log.
        """
        ### BEGIN SOLUTION
        was_training = self.model.training
        best, best_weights, waited = float("inf"), None, 0
        for _ in range(epochs):
            for split, batches in (("train", train_batches), ("val", val_batches)):
                loss, share = self.one_pass(batches, training=split == "train")
                self.log[f"{split}_loss"].append(loss)
                self.log[f"{split}_accuracy"].append(share)
            if loss < best:
                best, best_weights, waited = loss, copy.deepcopy(self.model.state_dict()), 0
            else:
                waited += 1
            if waited == patience:
                break
        self.model.load_state_dict(best_weights)
        self.model.train(was_training)
        return self.log
        ### END SOLUTION

    def predict(self, batches: Iterable) -> torch.Tensor:
        """Logits of all images of `batches`, in their order: float (N, K), on the CPU, without a graph. The mode stays as it was."""
        ### BEGIN SOLUTION
        was_training = self.model.training
        self.model.eval()
        with torch.no_grad():
            logits = torch.cat([self.model(x.to(self.device)).cpu() for x, _ in batches])
        self.model.train(was_training)
        return logits
        ### END SOLUTION

# %%
check("07.4")

# %% [markdown]
# Your trainer on the digits, with patience 2. The right picture is why one looks at losses by batch, too: within the first epoch most has happened already.

# %% tags=["demo"]
try:
    model = network().apply(init_weights)
    trainer = Trainer(model, nn.CrossEntropyLoss(), sgd(model))
    log = trainer.fit(batches_of(train_images, train_labels, shuffle=True), val_batches, epochs=6, patience=2)
    figure, (left, right) = plotting.subplots(1, 2, size=(9, 3.4))
    plotting.curves({"training": log["train_loss"], "validation": log["val_loss"]}, ylabel="mean loss", title="By epoch", ax=left)
    plotting.curves({"loss": log["batch_loss"]}, xlabel="batch", title="By batch (training)", ax=right)
    plotting.show(figure, alt="Left: training and validation loss by epoch, both falling. Right: the loss by batch, which falls from above 2 to about 0.3 within the first epoch and then goes on falling slowly and noisily.")
    kept = int(np.argmin(log["val_loss"]))
    print(f"best: epoch {kept + 1} with validation accuracy {log['val_accuracy'][kept]:.1%};", f"predicted again: {accuracy(trainer.predict(val_batches), val_labels):.1%}")
except NotAttempted:
    print("The picture appears when you have solved exercise 07.4.")

# %% [markdown]
# ## 4 · Break off, and go on
#
# A run of a day will be broken off: power, quota, a colleague. A **checkpoint** is a file from which it goes on. Is it enough to save the weights? Four epochs in one go; and twice two epochs, the second two with everything new but the model's weights:

# %% tags=["demo"]
def parts(seed=1):
    """A model and all that moves along with it during training."""
    model = network(seed)
    optimizer = sgd(model)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.6), batches_of(train_images[:2000], train_labels[:2000], shuffle=True, seed=seed)


def go_on(epochs, model, optimizer, scheduler, batches):
    losses = []
    for _ in range(epochs):
        losses.append(train(model, batches, loss_fn, optimizer))
        scheduler.step()
    return losses


whole = parts()
runtime.seed_everything(0)
in_one_go = go_on(4, *whole)

first, second = parts(), parts(seed=2)
runtime.seed_everything(0)
first_half = go_on(2, *first)
second[0].load_state_dict(first[0].state_dict())
second_half = go_on(2, *second)
print("training loss in one go:      ", *(f"{loss:.6f}" for loss in in_one_go))
print("two epochs, then weights only:", *(f"{loss:.6f}" for loss in first_half + second_half))

# %% [markdown]
# The second half is another run. What else does the next step depend on? The optimizer's memory (momentum, Adam's averages); where the schedule is; the order in which the next epoch will draw its batches; the random numbers of dropout. With all of them, the two
# runs agree not nearly but *bit for bit*; that is worth having, since then any difference is a bug.
#
# | | state | back |
# | --- | --- | --- |
# | model, optimizer, scheduler | `.state_dict()` | `.load_state_dict(…)` |
# | torch's random numbers, on the CPU | `torch.get_rng_state()` | `torch.set_rng_state(…)` |
# | a `torch.Generator`, such as that which shuffles | `generator.get_state()` | `generator.set_state(…)` |
#
# (With a GPU also `torch.cuda.get_rng_state_all()`; Python's and NumPy's random numbers where a transform uses them.)
#
# ### Exercise 07.5 · A checkpoint
# ●●○ · 15 min · 3 points
#
# `save_checkpoint` writes one file with all six, the epoch included; `load_checkpoint` gets freshly made parts, puts everything back and returns the epoch. Read the file with `weights_only=True` (the dictionary holds only tensors and plain values), and `map_location="cpu"`: random states must lie on the CPU.
#
# <details><summary>Hint 1</summary>A dictionary of dictionaries: <code>{"epoch": epoch, "model": …, …}</code>, each part with its state. Five of the parts have a state; the sixth is a number.</details>
# <details><summary>Hint 2</summary>Loading is the same list once more, with the other method of each. The random state last, so that nothing draws a number after it.</details>
# <details><summary>The model is right after loading, but the runs part after the first step</summary>The optimizer's momentum, or the learning rate, is not back: does your file hold <code>optimizer.state_dict()</code> <em>and</em> <code>scheduler.state_dict()</code>, and do you load both?</details>

# %% exercise="07.5"
def save_checkpoint(path: Path, epoch: int, model: nn.Module, optimizer, scheduler, generator: torch.Generator) -> None:
    """Write all that the next epochs depend on to the file `path`.

    Args:
        epoch: how many epochs are done.
        scheduler: of torch.optim.lr_scheduler.
        generator: draws the order of the batches.
    """
    ### BEGIN SOLUTION
    states = {
        "epoch": epoch,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "order": generator.get_state(),
        "random": torch.get_rng_state(),
    }
    torch.save(states, path)
    ### END SOLUTION


def load_checkpoint(path: Path, model: nn.Module, optimizer, scheduler, generator: torch.Generator) -> int:
    """Put the parts, freshly made with the same arguments, into the state that was saved; returns the epoch."""
    ### BEGIN SOLUTION
    states = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(states["model"])
    optimizer.load_state_dict(states["optimizer"])
    scheduler.load_state_dict(states["scheduler"])
    generator.set_state(states["order"])
    torch.set_rng_state(states["random"])
    return states["epoch"]
    ### END SOLUTION

# %%
check("07.5")

# %% tags=["demo"]
try:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.pt"
        first, second = parts(), parts(seed=2)
        runtime.seed_everything(0)
        first_half = go_on(2, *first)
        save_checkpoint(path, 2, *first[:3], first[3].generator)
        torch.manual_seed(99)  # another day, another process
        load_checkpoint(path, *second[:3], second[3].generator)
        second_half = go_on(2, *second)
        print(f"the file has {path.stat().st_size / 1000:.0f} kB")
    print("in one go:        ", *(f"{loss:.6f}" for loss in in_one_go))
    print("from a checkpoint:", *(f"{loss:.6f}" for loss in first_half + second_half))
    print("weights the same, bit for bit:", all(torch.equal(a, b) for a, b in zip(whole[0].state_dict().values(), second[0].state_dict().values())))
except NotAttempted:
    print("The comparison appears when you have solved exercise 07.5.")

# %%
progress("07")

# %% [markdown]
# Two habits more. Write to `run.pt.part` and then rename it over `run.pt` (`os.replace`): a crash while writing then costs the new checkpoint, not both. And *make the first-day run resume*, once, on purpose: a checkpoint that has never been loaded is a hope.
#
# ## 5 · The loop, opened
#
# Now add to your trainer: a progress bar. A schedule that steps by batch. Gradient clipping. Half precision. Mixed-up batches as augmentation. A plot after each epoch. Each is three lines, but somewhere in the *middle* of `one_pass` or `fit`, under an `if`. After five of them nobody can read the loop, and no two projects have the same one.
#
# Another way: the loop says at every step what it is about to do and what it has done, and things that want to know are told. They are **callbacks**, the moments are **events**:
#
# ```text
# before_fit
#   before_epoch                     an epoch here: one pass, over the training or over the validation batches
#     before_batch
#       after_predict                learner.prediction is there
#       after_loss                   learner.loss is there
#       after_backward               (this and the step: in training only)
#       before_step   after_step   cleanup_step
#     after_batch
#     cleanup_batch
#   after_epoch
#   cleanup_epoch
# after_fit
# cleanup_fit
# ```
#
# Four stages, fit, epoch, batch and step, each with *before*, *after* and *cleanup*. Anything a callback wants to know or change, it finds on the learner: `learner.x`, `learner.loss`, `learner.optimizer`, `learner.history`. In `utils.events`, `Callback` is a class with all these methods, each empty, so that you
# write only those that matter:

# %% tags=["demo"]
print(inspect.getsource(Callback))
print(inspect.getsource(CancelBatch))

# %% [markdown]
# A callback can also say *no*: by raising `CancelStep`, `CancelBatch`, `CancelEpoch` or `CancelFit` it ends the stage of that name, from wherever in it. The stage then has no *after*. But it has its *cleanup*: what a callback set up before (a bar, a hook, a file, autocast) it can take down there, whether the
# stage ended well, was cancelled, or crashed.
#
# All four stages follow the same rule, so it is written once.
#
# ### Exercise 07.6 · A stage
# ●●● · 20 min · 3 points
#
# Write `run`, the one place in which callbacks are told of a stage:
#
# 1. every callback, in order, hears `before_<stage>`; then `body()` runs; then every callback hears `after_<stage>`;
# 2. an exception of the class `cancel` in any of these ends the stage, quietly; every other exception goes on to the caller;
# 3. however the stage ended, `cleanup_<stage>` is called, in *reverse* order, for those callbacks whose `before_<stage>` was called (also where that call raised).
#
# A method whose name is in a string is found by `getattr(callback, name)`; `event` shows how.
#
# <details><summary>Hint 1</summary><code>try</code> … <code>except cancel</code> … <code>finally</code>: Python has a place for each of the three sentences.</details>
# <details><summary>Hint 2</summary>Sentence 3 needs a list of those who were told. When does a callback get onto it, if one that raises in its <code>before_…</code> is to be there too? (Or let <code>contextlib.ExitStack</code> keep the list: <code>stack.callback(function, argument)</code>.)</details>
# <details><summary>The plain case passes, one where a callback raises in before_… does not</summary>The calls of <code>before_…</code> must stand inside the <code>try</code>, and a callback that raised there has been told: append it to the list <em>before</em> you call it. Those after it get no cleanup. In the <code>finally</code>, go through <code>reversed(…)</code> of the list.</details>

# %% exercise="07.6"
class Events:
    """Callbacks, and how they are told."""

    def __init__(self, callbacks: Iterable[Callback] = ()):
        self.callbacks = list(callbacks)

    def event(self, name: str) -> None:
        """Tell every callback: call its method of this name with the learner."""
        for callback in self.callbacks:
            getattr(callback, name)(self)

    def run(self, stage: str, body: Callable, cancel: type[Exception]) -> None:
        """One stage: the *before* events, `body()`, the *after* events; and *cleanup* in any case.

        Args:
            stage: "fit", "epoch", "batch" or "step".
            body: called without arguments.
            cancel: an exception of this class ends the stage; it goes no further.
        """
        ### BEGIN SOLUTION
        with ExitStack() as cleanups:
            try:
                for callback in self.callbacks:
                    cleanups.callback(getattr(callback, f"cleanup_{stage}"), self)
                    getattr(callback, f"before_{stage}")(self)
                body()
                self.event(f"after_{stage}")
            except cancel:
                pass
        ### END SOLUTION

# %%
check("07.6")

# %%
Events = mine_or_reference("07.6", Events)

# %% [markdown]
# (An `ExitStack` does one thing more than a `finally` with a loop: when one callback's cleanup crashes, the others still get theirs.)
#
# ### Exercise 07.7 · The Learner
# ●●● · 30 min · 3 points
#
# The rest is your training loop, cut into pieces that `run` can run. `all_epochs` is given: two passes an epoch. Write
#
# - `fit`: remember the mode of *every* module (they may differ); empty the gradients, which may be left from something else; run the stage "fit" with the body `all_epochs`. However that ends, `self.callbacks` is as it was, and each module has its own mode again; during the fit all follow `self.training`. Return the history.
# - `one_epoch`: switch the model's mode and the recording of graphs; for every batch set `self.x`, `self.y`, and run the stage "batch".
# - `one_batch`: prediction, event, loss, event; in training also backward, event, and the stage "step". A callback may put another `self.prediction` or `self.loss` in place: go on with what is there after the event.
# - `one_step`: step, and empty the gradients *after* it. (So a cancelled step leaves them, and the next batch adds to them: lab 02's accumulation for free.)
#
# The classes that cancel are those imported above, one for each stage.
#
# <details><summary>Hint 1</summary>A stage is run as <code>all_epochs</code> runs the stage "epoch": with its body, a method without parentheses, and the class that cancels it. Events are told by <code>self.event("…")</code>. Which two attributes must be there before <code>after_predict</code> and <code>after_loss</code> are told?</details>
# <details><summary>Hint 2</summary>In <code>fit</code>: a list of pairs (module, its mode) over <code>self.model.modules()</code>, then <code>try</code> and <code>finally</code>. Set <code>module.training</code> of each: <code>train(mode)</code> goes through all that is below a module.</details>
# <details><summary>Everything passes but the mode after a crash</summary>What must happen in any case belongs into <code>finally</code>, and the modes must be read before the first pass changes them.</details>

# %% exercise="07.7"
class Learner(Events):
    """A training loop that callbacks can look into and change at every step.

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
        """Train for some epochs and validate after each; `callbacks` are told of this fit only. Returns `history`."""
        lasting = self.callbacks
        self.callbacks = sorted([*lasting, *callbacks], key=lambda callback: callback.order)
        self.epoch, self.epochs = 0, epochs
        ### BEGIN SOLUTION
        modes = [(module, module.training) for module in self.model.modules()]
        self.optimizer.zero_grad()
        try:
            self.run("fit", self.all_epochs, CancelFit)
        finally:
            self.callbacks = lasting
            for module, mode in modes:
                module.training = mode
        return self.history
        ### END SOLUTION

    def all_epochs(self) -> None:
        """From `self.epoch` on (a callback may have set it): a training pass, and a validation pass if there are batches for it."""
        while self.epoch < self.epochs:
            for training, batches in ((True, self.train_batches), (False, self.val_batches)):
                if batches is not None:
                    self.training, self.batches = training, batches
                    self.run("epoch", self.one_epoch, CancelEpoch)
            self.epoch += 1

    def one_epoch(self) -> None:
        """One pass over `self.batches`; `self.training` says whether to learn."""
        ### BEGIN SOLUTION
        self.model.train(self.training)
        with torch.set_grad_enabled(self.training):
            for x, y in self.batches:
                self.x, self.y = x, y
                self.run("batch", self.one_batch, CancelBatch)
        ### END SOLUTION

    def one_batch(self) -> None:
        """From `self.x` and `self.y` to `self.prediction`, `self.loss` and, in training, a step."""
        ### BEGIN SOLUTION
        self.prediction = self.model(self.x)
        self.event("after_predict")
        self.loss = self.loss_fn(self.prediction, self.y)
        self.event("after_loss")
        if self.training:
            self.loss.backward()
            self.event("after_backward")
            self.run("step", self.one_step, CancelStep)
        ### END SOLUTION

    def one_step(self) -> None:
        """Step, then empty the gradients."""
        ### BEGIN SOLUTION
        self.optimizer.step()
        self.optimizer.zero_grad()
        ### END SOLUTION

# %%
check("07.7")

# %%
Learner = mine_or_reference("07.7", Learner)

# %% [markdown]
# Nothing in it moves, counts, prints or draws. Here is what a callback hears, once undisturbed and once with a neighbour who cancels the second batch. `Echo` has no methods of its own but one: it makes any that is asked for.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
class Echo:
    """Writes down every event."""

    order = 0

    def __init__(self):
        self.heard = []

    def __getattr__(self, name):
        return lambda learner: self.heard.append(name)


class NoSecondBatch(Callback):
    order = 1

    def before_fit(self, learner):
        self.seen = 0

    def after_loss(self, learner):
        self.seen += 1
        if self.seen == 2:
            raise CancelBatch


two = [(torch.ones(3, 2), torch.zeros(3, dtype=torch.int64)), (torch.zeros(1, 2), torch.ones(1, dtype=torch.int64))]
line = nn.Linear(2, 2)
learner = Learner(line, two, None, nn.CrossEntropyLoss(), torch.optim.SGD(line.parameters(), lr=0.1))
for others in ([], [NoSecondBatch()]):
    echo = Echo()
    learner.fit(1, [echo, *others])
    cut = [i for i, name in enumerate(echo.heard) if name == "before_batch"]
    print("CANCELLED" if others else "UNDISTURBED")
    for start, end in zip([0, *cut], [*cut, None]):
        print("  ", " ".join(echo.heard[start:end]))

# %% [markdown]
# In the second run the last line goes from `after_loss` straight to `cleanup_batch`: no backward, no step, no `after_batch`. The epoch and the fit went on and ended as ever.
#
# With what is there, accumulating gradients over several batches is a callback of four lines:

# %% tags=["demo"]
class Accumulate(Callback):
    """One step for every `count` batches, along the sum of their gradients."""

    def __init__(self, count):
        self.count, self.seen = count, 0

    def before_step(self, learner):
        self.seen += 1
        if self.seen % self.count:
            raise CancelStep


steps = []
model = network()
learner = Learner(model, [(x.to(device), y.to(device)) for x, y in batches_of(train_images[:1000], train_labels[:1000])], None, loss_fn, sgd(model, lr=0.01))


class CountSteps(Callback):
    def after_step(self, learner):
        steps.append(learner.loss.item())


learner.fit(1, [Accumulate(5), CountSteps()])
print("10 batches,", len(steps), "steps")

# %% [markdown]
# ## 6 · Callbacks
#
# The Learner measures nothing. That is the first callback's work.
#
# ### Exercise 07.8 · Metrics
# ●●○ · 12 min · 2 points
#
# For each pass, note the mean loss and the mean of each given function, over the pass's samples, in `learner.history`: under "train_loss", "train_accuracy" for `Metrics(accuracy=accuracy)`, and under "val_…" for a validation pass; a list with one float an epoch. The loss and the functions give *batch means*, and batches differ in size.
# A pass that was cancelled (no `after_epoch`) leaves nothing behind, one without a sample (every batch cancelled) nan. Keep no batch's graph.
#
# <details><summary>Hint 1</summary>Three events: reset in <code>before_epoch</code>, note in <code>after_loss</code>, write in <code>after_epoch</code>. <code>learner.training</code> says which split it is.</details>
# <details><summary>Hint 2</summary><code>history.setdefault(name, [])</code> gives the list of that name, and makes it at the first time. Weight by <code>len(learner.y)</code>. Detach what you keep.</details>
# <details><summary>The first epoch is right, the second is not</summary>The sums of the last pass are still there: they have to be emptied at the beginning of <em>each</em> pass, as the training pass may have been cancelled.</details>

# %% exercise="07.8"
class Metrics(Callback):
    """Loss and metrics of each pass, over its samples: `learner.history["train_loss"]`, `["val_accuracy"]`, …

    A pass without a sample, all its batches having been cancelled, gives nan.

    Args:
        functions: each is called as `function(prediction, y)` and gives the batch's mean.
    """

    order = -10  # hears of each event before callbacks of order 0, which may want to read the history

    def __init__(self, **functions: Callable):
        self.functions = functions

    def before_epoch(self, learner):
        """A pass begins: nothing is noted yet."""
        ### BEGIN SOLUTION
        self.sizes = []
        self.values = {name: [] for name in ("loss", *self.functions)}
        ### END SOLUTION

    def after_loss(self, learner):
        """A batch is measured: `learner.loss`, `learner.prediction` and `learner.y` are there."""
        ### BEGIN SOLUTION
        self.sizes.append(len(learner.y))
        self.values["loss"].append(learner.loss.detach())  # not .item(): that would wait for a GPU at every batch
        for name, function in self.functions.items():
            self.values[name].append(function(learner.prediction.detach(), learner.y))
        ### END SOLUTION

    def after_epoch(self, learner):
        """The pass went through: its means go into `learner.history`."""
        ### BEGIN SOLUTION
        split = "train" if learner.training else "val"
        for name, values in self.values.items():
            total = sum(size * float(value) for size, value in zip(self.sizes, values))
            learner.history.setdefault(f"{split}_{name}", []).append(total / sum(self.sizes) if self.sizes else float("nan"))
        ### END SOLUTION

# %%
check("07.8")

# %%
Metrics = mine_or_reference("07.8", Metrics)

# %% [markdown]
# The others stand in `utils.callbacks`. Four of them, whole; read them as examples of what an event is good for. `order` decides who hears first: the device before all others, the bar late, to show what was measured.

# %% tags=["demo"]
from utils import callbacks

for name in ("Device", "Recorder", "Schedule", "EarlyStopping"):
    print(inspect.getsource(getattr(callbacks, name)))

# %% [markdown]
# Compare `EarlyStopping` with your trainer: the same lines, in another place. It notes the best in `after_epoch`, restores it in `cleanup_fit`, so also when you interrupt the fit by hand, and knows nothing of the loop.
#
# A full run, with a one-cycle schedule by batch. The `Progress` callback draws the bar and prints the lines:

# %% tags=["demo"]
def learner_for(model, lr=0.05, images=train_images, labels=train_labels, extra=()):
    """A Learner on the digits, with the same order of batches each time it is made."""
    batches = batches_of(images, labels, shuffle=True)
    always = [callbacks.Device(device), Metrics(accuracy=accuracy)]
    return Learner(model, batches, val_batches, nn.CrossEntropyLoss(), sgd(model, lr), [*always, *extra])


epochs = 12
runtime.seed_everything(0)
best_learner = learner_for(network())
best_model = best_learner.model
cycle = torch.optim.lr_scheduler.OneCycleLR(best_learner.optimizer, max_lr=0.1, total_steps=epochs * len(best_learner.train_batches))
recorder, stopping = callbacks.Recorder(), callbacks.EarlyStopping(patience=3)
start = time.perf_counter()
history = best_learner.fit(epochs, [callbacks.Schedule(cycle), recorder, stopping, callbacks.Progress()])
print(f"{time.perf_counter() - start:.1f} s; the weights are those of epoch {stopping.best_epoch + 1}")
assert history["val_accuracy"][-1] > 0.9

# %% tags=["demo"]
figure, (left, middle, right) = plotting.subplots(1, 3, size=(12, 3.4))
plotting.curves({"training": history["train_loss"], "validation": history["val_loss"]}, title="History: by epoch", ax=left)
plotting.curves({"loss": recorder.losses}, xlabel="batch", title="Recorder: the loss by batch", ax=middle)
plotting.curves({"rate": recorder.rates}, xlabel="batch", ylabel="learning rate", title="Schedule: the rate by batch", ax=right)
plotting.show(figure, alt="Three panels. Losses by epoch fall for both splits; the loss by batch falls quickly, then slowly; the learning rate rises to 0.1 in the first third and falls to nearly 0.")

# %% [markdown]
# ### Which learning rate?
#
# Try them all: start tiny, multiply after each batch, and note the loss until it explodes. Less than two epochs buy the answer (Smith, 2015). As a callback this needs `before_batch` (set the rate), `after_batch` (note, and `raise CancelFit` when the loss is four times its best), and above all `cleanup_fit`: afterwards
# the weights, the optimizer, the order of batches and the random numbers are as if nothing had been, from a snapshot as in exercise 07.5.

# %% tags=["demo"]
runtime.seed_everything(0)
learner = learner_for(network())
before = copy.deepcopy(learner.model.state_dict())
finder = callbacks.LRFinder(start=1e-4, end=10, steps=60)
learner.fit(100, [finder])
print(f"stopped after {len(finder.rates)} batches at a rate of {finder.rates[-1]:.2g};",
      "weights as before:", all(torch.equal(value, learner.model.state_dict()[name]) for name, value in before.items()))
print("history as before:", learner.history)

smooth = np.convolve(finder.losses, np.ones(3) / 3, mode="valid")
figure, ax = plotting.subplots()
ax.plot(finder.rates, finder.losses, color=plotting.PALETTE[5], label="each batch")
ax.plot(finder.rates[1:-1], smooth, color=plotting.PALETTE[0], label="mean of three")
lowest = finder.rates[int(smooth.argmin()) + 1]
ax.axvspan(lowest / 10, lowest / 2, color=plotting.PALETTE[2], alpha=0.15, label=f"a tenth to a half of it: {lowest / 10:.2g} to {lowest / 2:.2g}")
ax.axvline(lowest, color=plotting.PALETTE[3], linestyle=":", label=f"lowest mean: {lowest:.2g}")
ax.set(xscale="log", xlabel="learning rate", ylabel="training loss", title=f"{len(finder.rates)} batches, {len(finder.rates)} learning rates", ylim=(0, 5))
ax.legend(frameon=False)
plotting.show(figure, alt="Training loss against the learning rate on a logarithmic axis: flat near 2.4 for tiny rates, falling from about 0.003 on, lowest between 0.05 and 0.15, then rising, and steeply beyond 1. The rates from a tenth to a half of the lowest point's are shaded.")

# %% [markdown]
# Read it from the left: too small to matter; then the loss falls; then it flattens and explodes. Take the rate of the lowest loss divided by 2 to 10 (shaded); the peak of a schedule may go up to the lowest point itself. What lies beyond is too large, though nothing has exploded yet.
#
# ### Half precision
#
# A number of 16 bits takes half the memory and, on hardware made for it, a fraction of the time. `bfloat16` keeps float32's range and has only 8 bits of precision. `torch.autocast` runs layers that bear it (linear layers, convolutions) in half precision and leaves the weights, and sensitive operations, in float32.
# It must be on for the forward pass and the loss, off for backward, and off again if the batch is cancelled or crashes; the callback is all about *when*. (Its `GradScaler`, `unscale_` and `CancelStep` are for `float16` alone, whose range is so small that gradients vanish unless the loss is scaled up.)

# %% tags=["demo"]
print(inspect.getsource(callbacks.MixedPrecision))

# %% tags=["demo"]
class WatchTypes(Callback):
    """The dtypes of one batch."""

    order = 15

    def after_predict(self, learner):
        self.seen = {"weights": learner.model[0].weight.dtype, "logits": learner.prediction.dtype}

    def after_backward(self, learner):
        self.seen["gradients"] = learner.model[0].weight.grad.dtype


for name, extra in (("float32", []), ("bfloat16", [callbacks.MixedPrecision()])):
    runtime.seed_everything(0)
    watch = WatchTypes()
    learner = learner_for(network(), images=train_images[:1500], labels=train_labels[:1500], extra=[watch, *extra])
    start = time.perf_counter()
    result = learner.fit(2)
    print(f"{name:9} {time.perf_counter() - start:4.1f} s  val loss {result['val_loss'][-1]:.4f}  val accuracy {result['val_accuracy'][-1]:.1%} ", {key: str(value).removeprefix("torch.") for key, value in watch.seen.items()})

# %% [markdown]
# The accuracy stays as good. Whether time is saved depends on the hardware: GPUs and recent server processors have units for bfloat16, many laptops do not, and are slower with it. Measure.
#
# ### A crash leaves nothing behind
#
# Here a callback crashes in the middle of an epoch, while another one has hooks on the layers. The model was in evaluation mode before the fit:

# %% tags=["demo"]
class Crash(Callback):
    def after_backward(self, learner):
        raise ZeroDivisionError("something went wrong")


learner = learner_for(network().eval(), images=train_images[:500], labels=train_labels[:500])
statistics = callbacks.ActivationStats([learner.model[2], learner.model[5]])
try:
    learner.fit(1, [statistics, Crash()])
except ZeroDivisionError as error:
    print("crashed:", error)
print("back in evaluation mode:", not learner.model.training, "· hooks left:", sum(len(module._forward_hooks) for module in learner.model.modules()), "· callbacks:", [type(callback).__name__ for callback in learner.callbacks])

# %% [markdown]
# ## 7 · Looking into layers
#
# A loss curve says that a network learns badly, not why. For that one looks at what comes out of its layers while it learns. One way needs no new tool: a `Sequential` of your own, which shows each result to a function before it passes it on. It works for networks that you write that way. For all others PyTorch has **hooks**:
# `handle = module.register_forward_hook(function)` calls `function(module, inputs, output)` after each forward pass of that module; if it returns something, that takes the output's place. `module.register_full_backward_hook(function)` calls `function(module, grad_input, grad_output)` in the backward pass. A hook stays until
# `handle.remove()`. Forgotten hooks are the classic leak of a notebook: they go on working, and hold memory, long after their cell. So they belong into a `with`.
#
# ### Exercise 07.9 · Two ways to look
# ●●○ · 20 min · 3 points
#
# `HookedSequential` applies its layers one after another and calls `function(index, layer, output)` after each. `Hooks` puts a hook on each of the given modules when its `with` block begins and removes them all when it ends, by an error too. Its function gets the module's index first, then what PyTorch hands to a hook.
#
# <details><summary>Hint 1</summary>In <code>HookedSequential</code> the layers must be in an <code>nn.ModuleList</code>, or <code>parameters()</code> will not find them (lab 04). In <code>Hooks</code> keep the handles in a list.</details>
# <details><summary>Hint 2</summary>PyTorch calls the hook with three arguments, your function wants four. Make a small function for each module: <code>functools.partial(self.function, index)</code>, or a lambda with <code>index=index</code> among its parameters.</details>
# <details><summary>Every call comes with the last index</summary>A lambda looks <code>index</code> up when it is called, and by then the loop has ended. Bind it when the lambda is made: <code>lambda …, index=index: …</code>.</details>

# %% exercise="07.9"
class HookedSequential(nn.Module):
    """Layers one after another; after each, `function(index, layer, output)` is shown what came out (its answer is not used).

    Args:
        layers: the modules, in order.
        function: or None, to look at nothing; it may be set later.
    """

    def __init__(self, *layers: nn.Module, function: Callable | None = None):
        super().__init__()
        self.function = function
        ### BEGIN SOLUTION
        self.layers = nn.ModuleList(layers)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ### BEGIN SOLUTION
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if self.function is not None:
                self.function(index, layer, x)
        return x
        ### END SOLUTION


class Hooks:
    """Hooks on some modules while a `with` block lasts; they are removed however it ends.

    Args:
        modules: where to look.
        function: called as `function(index, module, inputs, output)` after each forward pass of a module; what it
            returns takes the output's place, unless it is None.
        backward: call it as `function(index, module, grad_input, grad_output)` in the backward pass instead.
    """

    def __init__(self, modules: Iterable[nn.Module], function: Callable, backward: bool = False):
        self.modules, self.function, self.backward = list(modules), function, backward

    def __enter__(self) -> "Hooks":
        ### BEGIN SOLUTION
        self.handles = []
        for index, module in enumerate(self.modules):
            register = module.register_full_backward_hook if self.backward else module.register_forward_hook
            self.handles.append(register(lambda *seen, index=index: self.function(index, *seen)))
        return self
        ### END SOLUTION

    def __exit__(self, *error) -> None:
        ### BEGIN SOLUTION
        for handle in self.handles:
            handle.remove()
        ### END SOLUTION

# %%
check("07.9")

# %%
Hooks = mine_or_reference("07.9", Hooks)

# %% [markdown]
# Six layers of 100 ReLU units, without batch norm, and three initializations: Kaiming's (standard deviation √(2 / fan in)), half of that, and a third more. One batch, before any training; forward hooks on the ReLUs, backward hooks on the linear layers:

# %% tags=["demo"]
def deep(scale, depth=6, width=100):
    """An MLP on digits whose linear layers are initialized `scale` times as large as Kaiming's."""
    torch.manual_seed(0)
    layers, inputs = [nn.Flatten()], 784
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    model = nn.Sequential(*layers, nn.Linear(width, 10))

    def fill(module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=scale * (2 / module.in_features) ** 0.5)
            nn.init.constant_(module.bias, 0.0)

    return model.apply(fill).to(device)


scales = {"Kaiming": 1.0, "half": 0.5, "4/3": 4 / 3}
x, y = next(iter(batches_of(train_images, train_labels)))
figure, axes = plotting.subplots(1, 2, size=(9, 3.4))
for position, (name, scale) in enumerate(scales.items()):
    model = deep(scale)
    relus, linears = ([m for m in model if isinstance(m, kind)] for kind in (nn.ReLU, nn.Linear))
    forward, backward = [], []
    with Hooks(relus, lambda index, module, inputs, output: forward.append(output.std().item())):
        with Hooks(linears, lambda index, module, grad_input, grad_output: backward.append(grad_output[0].std().item()), backward=True):
            pixels = x.to(device).requires_grad_()  # a backward hook on the first layer wants an input with a gradient
            F.cross_entropy(model(pixels), y.to(device)).backward()
    for ax, values in zip(axes, (forward, backward[::-1])):  # backward goes from the last layer to the first
        ax.plot(range(1, len(values) + 1), values, "-o", markersize=4, color=plotting.PALETTE[position], label=name)
for ax, title in zip(axes, ("Activations: forward hooks", "Gradients: backward hooks")):
    ax.set(yscale="log", xlabel="layer", ylabel="standard deviation", title=title)
    ax.legend(frameon=False)
plotting.show(figure, alt="Standard deviation of activations and gradients by layer for three initializations. With Kaiming's both stay level up to the last hidden layer; with half of it activations shrink by half at each layer and gradients do so on their way back; with four thirds both grow. At the output layer, 7, the gradients of all three are near 0.003 to 0.004.")

# %% [markdown]
# With half the deviation, each layer halves what it is given: after six, 1/64 is left, and of the gradient on its way back as well. With a third more, it grows by about a third at each layer. (Layer 7 is the output: ten gradients spread over 100 units, hence the step from 7 to 6 in all three.) And during training? `ActivationStats` is a callback with such hooks; its `before_fit` puts them on, its `cleanup_fit` takes them off.

# %% tags=["demo"]
print(inspect.getsource(callbacks.ActivationStats))

# %% tags=["demo"]
def watched(model):
    """Train an MLP with statistics of its ReLUs; (statistics, history)."""
    runtime.seed_everything(0)
    statistics = callbacks.ActivationStats(module for module in model if isinstance(module, nn.ReLU))
    return statistics, learner_for(model).fit(3, [statistics])


stories = {name: watched(deep(scale)) for name, scale in scales.items()}
figure, axes = plotting.subplots(3, 3, size=(12, 8), sharex=True)
for row, (name, (statistics, _)) in zip(axes, stories.items()):
    for ax, values, title in zip(row, (statistics.means, statistics.deviations, statistics.dead), ("mean", "standard deviation", "share of dead units")):
        for index, line in enumerate(values):
            ax.plot(line, color=plotting.PALETTE[(0, 1, 2, 3, 4, 7)[index]], linewidth=1, label=f"layer {index + 1}")
        ax.set(title=f"{name}: {title}", ylabel=title, ylim=(0, 1.02) if title.startswith("share") else None)
for ax in axes[-1]:
    ax.set(xlabel="training batch")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", frameon=False, ncols=6)
plotting.show(figure, alt="Nine panels: mean, standard deviation and share of dead units of six layers over the training batches, for three runs. With Kaiming's initialization the layers swing together, and 40 % of the first layer's units die, few of the others; with half of it the deep layers start near zero and stay there for some 30 batches, and few units die; with four thirds of it the deviations leap up in the first batches, then fall, and most units of every layer are dead for good.")
for name, (statistics, story) in stories.items():
    print(f"{name:8} val accuracy by epoch:", *(f"{value:6.1%}" for value in story["val_accuracy"]), f"  dead units in the last layer at the end: {statistics.dead[-1][-1]:.0%}")

# %% [markdown]
# Even with Kaiming's deviation some 40 % of layer 1 ends up silent, of the other layers about 10 % or less: the first steps at a rate of 0.05 are long ones, and a unit of layer 1 that they push below zero for all images gets no gradient and stays there, since the images do not change. Deeper units can wake up again when the layers before them move.
#
# *Write down* how you would tell the three runs apart from these pictures alone, without their losses.

# %% [markdown]
# <!-- ### BEGIN SOLUTION -->
# With Kaiming's deviation the lines of all layers run side by side, start at a deviation of about 1 and move together; some 40 % of the first layer's units die, few of the others.
# With half of it the lines fan out at the start, each layer lower than the one before it: hardly a signal reaches the end, hardly a gradient comes back, and for the first epoch nothing happens; then the layers wake up and it learns, an epoch late.
# With four thirds the deviations at the start grow from layer to layer; the first steps are far too long, most units of all layers are pushed below zero for every image, and a ReLU that is 0 everywhere gets no gradient: the share of dead units jumps up and stays. That run is lost, whatever comes after.
# <!-- ### END SOLUTION -->

# %% [markdown]
# ## 8 · Unseen data
#
# All choices (the rate, the epochs, when to stop) were made on the validation images. Now the test images, once, with the model of section 6. `predict` needs no labels, as in life; they come in only to count.

# %% tags=["demo"]
from utils import training as course

test_batches = batches_of(digits.test_images, digits.test_labels)
logits = course.predict(best_model, test_batches)
test_accuracy = accuracy(logits, digits.test_labels)
margin = (test_accuracy * (1 - test_accuracy) / len(digits.test_labels)) ** 0.5
print(f"test accuracy {test_accuracy:.1%} ± {margin:.1%} (one standard error of {len(digits.test_labels):,} images); on the validation images it was {history['val_accuracy'][stopping.best_epoch]:.1%}")
assert test_accuracy >= 0.95
predicted = logits.argmax(dim=1)
sureness = logits.softmax(dim=1).max(dim=1).values * (predicted != digits.test_labels)
worst = sureness.argsort(descending=True)[:12]
figure = plotting.image_grid(digits.test_images[worst], [f"{predicted[i]}? is {digits.test_labels[i]}" for i in worst], columns=6, title="The surest mistakes")
plotting.show(figure, alt="Twelve test digits that the network gets wrong with the greatest confidence, each with the predicted and the true digit.")

# %% [markdown]
# The model was in evaluation mode for this and is back in the mode that it had. If a new image came from a scanner: the same preprocessing as in training (bytes to 0 … 1, the training images' mean and deviation), a batch dimension of 1, `eval()`, `no_grad()`.
#
# ## 9 · The same in PyTorch Lightning
#
# Lightning is a library with such a loop, grown large: a `LightningModule` says what happens to a batch, its `Trainer` has the loop, the modes, the devices and the callbacks (its names for events are much like ours: `on_train_batch_start`, `on_validation_epoch_end`, …). Side by side, the same seed, batches and optimizer:

# %% tags=["demo"]
try:
    import logging
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lightning
    for name in ("lightning.pytorch", "lightning.fabric"):  # no news of devices and tips
        logging.getLogger(name).setLevel(logging.ERROR)
except ImportError:
    lightning = None
    print('Lightning is not installed; to see this part: pip install lightning (or this course with its extra "more").')

# %% tags=["demo"]
runtime.seed_everything(0)
learner = learner_for(network(), images=train_images[:2000], labels=train_labels[:2000])
ours = learner.fit(2)

if lightning:
    class Digits(lightning.LightningModule):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def training_step(self, batch, index):  # Lightning zeroes, goes backward and steps
            x, y = batch
            return F.cross_entropy(self.model(x), y)

        def on_validation_start(self):
            self.total, self.count = 0.0, 0

        def validation_step(self, batch, index):  # Lightning has switched to eval() and no_grad()
            x, y = batch
            self.total += F.cross_entropy(self.model(x), y).item() * len(y)
            self.count += len(y)

        def configure_optimizers(self):
            return sgd(self.model)

    runtime.seed_everything(0)
    theirs = Digits(network())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on workers and logging
        trainer = lightning.Trainer(max_epochs=2, accelerator="cpu" if device.type == "cpu" else "auto", devices=1, logger=False, enable_checkpointing=False,
                                    enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0)
        trainer.fit(theirs, batches_of(train_images[:2000], train_labels[:2000], shuffle=True), val_batches)
    print(f"validation loss: Learner {ours['val_loss'][-1]:.6f}, Lightning {theirs.total / theirs.count:.6f}")
    print("weights the same, bit for bit:", all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(learner.model.state_dict().values(), theirs.model.state_dict().values())))

# %% [markdown]
# | | your Learner | Lightning |
# | --- | --- | --- |
# | the step of a batch | `one_batch`, the same for all | `training_step`, written for each model |
# | what moves batches, switches modes, zeroes | `Device`, `one_epoch`, `one_step` | built in |
# | extras | callbacks | callbacks, and arguments of `Trainer` |
# | when it breaks | a hundred lines to read | a large library to search |
# | many GPUs, many machines | no | yes |
#
# ## Recap
#
# - Moved, switched, zeroed, undone: four lists to go through when a loop misbehaves.
# - Means over images, not of batch means; training and validation in the right modes.
# - Early stopping keeps a *copy* of the best weights; patience bridges the noise.
# - A checkpoint holds the model, the optimizer, the schedule, the order of batches and the random numbers; then a resumed run is the same run.
# - A stage: before, body, after; cancel leaves the rest out, cleanup comes in any case. With it, everything else is a callback.
# - Hooks in a `with`; activations that shrink, grow or die from layer to layer say what the loss curve cannot.
#
# ## Read on
#
# - Jeremy Howard and others, [miniai: the Learner](https://github.com/fastai/course22p2): where this design comes from.
# - Leslie Smith, [Cyclical learning rates for training neural networks](https://arxiv.org/abs/1506.01186): the learning-rate finder.
# - Xavier Glorot and Yoshua Bengio, [Understanding the difficulty of training deep feedforward neural networks](https://proceedings.mlr.press/v9/glorot10a.html): activations and gradients by layer.
# - PyTorch, [Saving and loading a general checkpoint](https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html), [Reproducibility](https://docs.pytorch.org/docs/stable/notes/randomness.html) and [Automatic mixed precision](https://docs.pytorch.org/docs/stable/amp.html).
# - Lightning, [LightningModule](https://lightning.ai/docs/pytorch/stable/common/lightning_module.html).
#
# ## Hand in

# %%
hand_in("07")
