# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Data
#
# **You will be able to** write a data pipeline from nothing (dataset, sampler, collate, loader) and say what each part of PyTorch's does; clean a folder of files; compute statistics and make splits
# without cheating yourself; look at what your network will really see; augment images; measure whether the loader or the model sets the pace.
#
# **Time** 190 min · **Know first** lab 01; from lab 02, what a gradient step is
#
# How to work: run the cells from top to bottom. In an exercise, replace the line that raises `NotAttempted` (or the `...`) by your code, run the cell, then run its check.

# %% tags=["setup"]
# (the build writes the setup cell here, the same in every lab)

# %%
import copy
import hashlib
import io
import math
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from utils import data, plotting, runtime, widgets
from utils.checks import NotAttempted, check, hand_in, mine_or_reference, progress

# %% [markdown]
# ## 1 · Why batches
#
# Here are 4,000 handwritten digits, 28 × 28 grey pixels each, with their labels. They come with the course.

# %%
digits = data.mnist(full=False)
x_all, y_all = digits.train_images.float() / 255, digits.train_labels
print(digits.source, "| images", tuple(x_all.shape), "| labels", tuple(y_all.shape))

# %% tags=["demo"]
figure = plotting.image_grid(digits.train_images[:16], captions=y_all[:16].tolist(), title="Digits and their labels")
plotting.show(figure, alt="Sixteen handwritten digits, each with its label.")

# %% [markdown]
# A training step needs the gradient of the loss. Over which images? The honest answer is *all of them*: the loss is a mean over the training set. But one could also take a few at random, and get an
# estimate. How bad is it? Below, a small network's gradient over all 4,000 images is compared with its gradient over random batches, 60 of each size; beside it, how long 1,000 images take. (How the network and its loss are made is the matter of labs 04 and 05.)


# %% tags=["demo"]
def digit_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


def gradient(model, x, y) -> torch.Tensor:
    parts = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
    return torch.cat([part.flatten() for part in parts])


model, generator = digit_network(), runtime.seed_everything(0)
whole = gradient(model, x_all, y_all)
errors, seconds = {}, {}
for size in (1, 4, 16, 64, 256, 1024):
    batches = [torch.randint(len(x_all), (size,), generator=generator) for _ in range(60)]
    errors[size] = [((gradient(model, x_all[rows], y_all[rows]) - whole).norm() / whole.norm()).item() for rows in batches]
for size in (1, 4, 16, 64, 256, 1024, 4000):
    repeats = max(1, 1000 // size)
    start = time.perf_counter()
    for _ in range(repeats):
        gradient(model, x_all[:size], y_all[:size])
    seconds[size] = (time.perf_counter() - start) * 1000 / (repeats * size)

figure, (left, right) = plotting.subplots(1, 2, size=(9, 3.4))
sizes = list(errors)
means = [np.mean(errors[size]) for size in sizes]
left.loglog(sizes, means, "o-", label="measured (mean of 60 batches)")
left.loglog(sizes, [means[0] / math.sqrt(size) for size in sizes], "--", color=plotting.PALETTE[3], label="1 / √(batch size)")
left.set(xlabel="batch size", ylabel="error of the gradient / its length", title="A batch's gradient is noisy")
left.legend(frameon=False)
right.loglog(list(seconds), [1000 * s for s in seconds.values()], "o-", color=plotting.PALETTE[2])
right.set(xlabel="batch size", ylabel="milliseconds for 1,000 images", title="Small batches waste time")
plotting.show(figure, alt="Left: the error of a batch's gradient falls with one over the root of the batch size. Right: the time for 1,000 images falls steeply up to some hundred images a batch, then stays flat.")

# %% [markdown]
# Two facts meet here. **The noise falls like 1/√B**: four times the images, half the error. **The time per image falls, then stays flat**: each step has a fixed cost in Python, and beyond some hundred images
# there is nothing left to save. So 4,000 images cost about thirty times what 64 cost, and have an eighth of the error. Thirty noisy steps go further than one nearly exact step. One pass through the same images:

# %% tags=["demo"]
test_x, test_y = digits.test_images.float() / 255, digits.test_labels
for size in (4000, 400, 40, 4):
    model = digit_network()
    start = time.perf_counter()
    for rows in torch.randperm(len(x_all), generator=torch.Generator().manual_seed(0)).split(size):
        loss = F.cross_entropy(model(x_all[rows]), y_all[rows])
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for p, slope in zip(model.parameters(), slopes):
                p -= 0.1 * slope
    accuracy = (model(test_x).argmax(dim=1) == test_y).float().mean().item()
    print(f"batches of {size:>4}: {len(x_all) // size:>4} steps in {time.perf_counter() - start:5.2f} s → accuracy {accuracy:.0%} on digits not seen")

# %% [markdown]
# One pass through all the images is called an **epoch**, the few that make one step a **mini-batch**. There is a third reason for them: what `backward` keeps (lab 02) grows with the batch, and
# a hundred thousand photographs fit into no memory.
#
# So somebody must cut the data into batches, in a new order each epoch, and read, decode and prepare each image in time. In PyTorch that is `DataLoader`. You will now build one.
#
# ## 2 · A dataset: a length, and square brackets
#
# What must a loader know about the data? How many samples there are, and how to get number *i*. In Python, anything that answers `len(d)` and `d[i]` does. A list will do:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
colours = [("red", 0), ("green", 1), ("blue", 2)]
print(len(colours), "samples; number 1 is", colours[1])
for batch in DataLoader(colours, batch_size=2):  # torch asks for no more than that, either
    print(batch)

# %% [markdown]
# A list holds what is there already. A class can do its work *when asked*: open a file, draw a crop at random. That is what `torch.utils.data.Dataset` stands for; it adds nothing but a name.
#
# One more thing belongs there: a **slot for a transform**, a function that prepares an image (to float, normalized, mirrored at random). It runs each time a sample is asked for,
# so chance can give another picture in each epoch, and the stored images stay as they were.

# %% [markdown]
# ### Exercise 03.1 · A dataset in memory
# ●○○ · 8 min · 2 points
#
# Write `ArrayDataset`. A sample is the pair (image, label): the image passed through the transform, if there is one; the label as a plain Python `int`.
#
# <details><summary>Hint 1</summary> <code>__init__</code> only stores what it is given. All work is done in <code>__getitem__</code>.</details>
# <details><summary>Hint 2</summary> <code>labels[i]</code> is a tensor without dimensions. <code>int(…)</code> or <code>.item()</code> makes it a number.</details>
# <details><summary>'NoneType' object is not callable</summary> Without a transform, <code>self.transform</code> is None: ask <code>if self.transform is not None</code>.</details>


# %% exercise="03.1"
class ArrayDataset(torch.utils.data.Dataset):
    """Images and labels that are in memory, one pair at a time.

    Args:
        images: tensor (N, ...), of any dtype; never changed.
        labels: int64 tensor (N,).
        transform: function of one image (a tensor (...)), called anew each time a sample is asked for; or None.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, transform=None):
        ### BEGIN SOLUTION
        self.images, self.labels, self.transform = images, labels, transform
        ### END SOLUTION

    def __len__(self) -> int:
        """Number of samples."""
        ### BEGIN SOLUTION
        return len(self.images)
        ### END SOLUTION

    def __getitem__(self, i: int) -> tuple:
        """Sample i: (image, transformed if there is a transform; label, an int)."""
        ### BEGIN SOLUTION
        image = self.images[i]
        if self.transform is not None:
            image = self.transform(image)
        return image, int(self.labels[i])
        ### END SOLUTION


# %%
check("03.1")

# %% [markdown]
# Your dataset, with a transform that draws anew each time. The same sample, asked for four times:

# %% tags=["demo"]
try:
    torch.manual_seed(0)
    moving = ArrayDataset(digits.train_images, digits.train_labels, transform=v2.RandomAffine(degrees=30, translate=(0.2, 0.2)))
    figure = plotting.image_grid(torch.stack([moving[3][0] for _ in range(4)]), captions=[f"moving[3], time {k}" for k in range(1, 5)], title="One sample, asked for four times")
    plotting.show(figure, alt="The same digit four times, turned and shifted differently.")
except NotAttempted:
    print("The picture appears when you have solved exercise 03.1.")

# %% [markdown]
# ## 3 · A sampler: in which order
#
# Files often come sorted by class. Let us take 240 ones, 60 sevens and 20 fours, in this order, and see what ten batches of 32 hold when the order of the samples is chosen in three ways:

# %%
few = torch.cat([(y_all == digit).nonzero().flatten()[:count] for digit, count in ((1, 240), (7, 60), (4, 20))])
sorted_x, sorted_y = x_all[few], y_all[few]  # 320 digits, sorted by class: 240 × 1, 60 × 7, 20 × 4

# %% tags=["demo"]
weights = (1 / sorted_y.bincount())[sorted_y]  # of each sample: one over the size of its class
orders = {
    "in the given order": SequentialSampler(sorted_y),
    "shuffled": RandomSampler(sorted_y, generator=torch.Generator().manual_seed(0)),
    "balanced": WeightedRandomSampler(weights, 320, generator=torch.Generator().manual_seed(0)),
}
figure, axes = plotting.subplots(1, 3, size=(10, 3.2), sharey=True)
for ax, (name, order) in zip(axes, orders.items()):
    batches = sorted_y[torch.tensor(list(order))].view(10, 32)
    bottom = np.zeros(10)
    for color, digit in zip(plotting.PALETTE, (1, 7, 4)):
        counts = (batches == digit).sum(dim=1).numpy()
        ax.bar(range(1, 11), counts, bottom=bottom, color=color, label=f"digit {digit}")
        bottom += counts
    ax.set(xlabel="batch", ylabel="images of each digit", title=name)
axes[0].legend(loc="lower left", framealpha=1)
plotting.show(figure, alt="What ten batches hold. In the given order: ones only, then sevens, then fours. Shuffled: each batch has mostly ones. Balanced: each batch has about a third of each.")

# %% [markdown]
# In the given order, each of the first seven batches teaches "everything is a 1". **Shuffled**, each batch is a small picture of the whole; do this for training. For testing the order does not matter, so leave
# it **sequential**. **Balanced**, the three digits come equally often: the fours are drawn again and again, most ones not at all in this epoch. That helps when a rare class is what you care about, and it
# changes what the network believes about how frequent the classes are. Never balance the test data.
#
# An order is an object with `__iter__`, which gives the positions of one epoch, and `__len__`: a **sampler**. The simplest, complete:
#
# ```python
# class InOrder:
#     def __init__(self, data_source):
#         self.n = len(data_source)
#     def __iter__(self):
#         return iter(range(self.n))
#     def __len__(self):
#         return self.n
# ```
#
# Each `for` calls `__iter__` anew, so each `for` is a new epoch. Chance comes from a `torch.Generator`: a seeded source of random numbers that nobody else draws from.

# %% [markdown]
# ### Exercise 03.2 · Two samplers
# ●●○ · 15 min · 3 points
#
# `ShuffledSampler`: every position once, in a new random order each epoch. Draw it with `torch.randperm(n, generator=…)`, once an epoch, so that torch's sampler and yours agree on the order.
#
# `BalancedSampler`: `num_samples` positions, with repetition, so that every class that occurs has the same chance, and so has each sample within its class.
# You may draw as you like, from the generator given. Both give plain `int`s.
#
# <details><summary>Hint 1</summary> Draw in <code>__iter__</code>, not in <code>__init__</code>: what is drawn there stays the same for ever.</details>
# <details><summary>Hint 2</summary> <code>torch.multinomial(weights, k, replacement=True, generator=…)</code> draws k positions, with chances in proportion to <code>weights</code>: one weight a sample. With what weight do 240 ones weigh as much as 20 fours?</details>
# <details><summary>The second epoch is empty, or the same as the first</summary> An iterator can be used up only once. Return a new one from each <code>__iter__</code>; <code>.tolist()</code>, then <code>iter(…)</code>.</details>
# <details><summary>The positions are all 0, 1, 2, or it fails for the labels 3 and 9</summary> You gave one weight a class; wanted is one a sample. Index the classes' weights by each sample's class; <code>torch.unique(labels, return_inverse=True, return_counts=True)</code> numbers those that occur.</details>


# %% exercise="03.2"
class ShuffledSampler:
    """Positions 0 to len(data_source) − 1 in random order, a new one each epoch; `len()` of it is their number.

    Args:
        data_source: anything with a length.
        generator: torch.Generator to draw from, or None for torch's global one.
    """

    def __init__(self, data_source, generator: torch.Generator | None = None):
        ### BEGIN SOLUTION
        self.data_source, self.generator = data_source, generator
        ### END SOLUTION

    def __iter__(self):
        ### BEGIN SOLUTION
        return iter(torch.randperm(len(self.data_source), generator=self.generator).tolist())
        ### END SOLUTION

    def __len__(self) -> int:
        ### BEGIN SOLUTION
        return len(self.data_source)
        ### END SOLUTION


class BalancedSampler:
    """Positions drawn with repetition so that each class is equally likely; `len()` of it is num_samples.

    Args:
        labels: int64 tensor (N,): the class of each sample.
        num_samples: positions in an epoch; None for N.
        generator: torch.Generator to draw from, or None for torch's global one.
    """

    def __init__(self, labels: torch.Tensor, num_samples: int | None = None, generator: torch.Generator | None = None):
        ### BEGIN SOLUTION
        _, place, counts = labels.unique(return_inverse=True, return_counts=True)
        self.weights = 1 / counts[place].double()
        self.num_samples = len(labels) if num_samples is None else num_samples
        self.generator = generator
        ### END SOLUTION

    def __iter__(self):
        ### BEGIN SOLUTION
        drawn = torch.multinomial(self.weights, self.num_samples, replacement=True, generator=self.generator)
        return iter(drawn.tolist())
        ### END SOLUTION

    def __len__(self) -> int:
        ### BEGIN SOLUTION
        return self.num_samples
        ### END SOLUTION


# %%
check("03.2")

# %% [markdown]
# ## 4 · Collate: from samples to a batch
#
# The dataset gives one sample at a time. The network wants one tensor. What stands between is called **collate** ("put in order"): a list of samples comes in, a batch goes out. For images of one size it is `torch.stack`, which adds
# a dimension in front. For anything else, that fails:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
words = [torch.tensor([ord(letter) - ord("a") + 1 for letter in word]) for word in ("cat", "airplane", "frog")]  # a = 1, b = 2, …
print(words)
try:
    torch.stack(words)
except RuntimeError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# Sentences, sounds, tracks of a sensor: samples of unequal length are the rule outside of pictures. Fill the short ones up at the end (**padding**), and remember how long each one was:

# %% tags=["demo"]
padded = nn.utils.rnn.pad_sequence(words, batch_first=True, padding_value=0)
lengths = torch.tensor([len(word) for word in words])
mask = torch.arange(padded.shape[1]) < lengths[:, None]  # True where there is a letter
figure = plotting.tensor_cells(padded, title="cat, airplane, frog: framed are the real letters", highlight=mask)
plotting.show(figure, alt="Three rows of eight cells. The letters' numbers are framed: 3, 8 and 4 of them; the rest is zero.")
print("mean of each row, padding included:", [f"{value:.2f}" for value in padded.double().mean(dim=1).tolist()])
print("mean of each row's letters:        ", [f"{value:.2f}" for value in ((padded * mask).sum(dim=1) / lengths).tolist()])

# %% [markdown]
# The **mask**, made from the lengths, keeps the padding out of sums, means and losses. Without it, "cat" looks like a weaker word for no other reason than that "airplane" was in its batch.

# %% [markdown]
# ### Exercise 03.3 · Two collate functions
# ●●○ · 15 min · 3 points
#
# `collate`: samples (image, label), all images of one shape. `pad_collate`: samples (sequence, label), where a sequence has the shape (L, ...) and L differs from sample to sample; pad at the end, with the value `padding`,
# up to the longest *of this batch*.
#
# <details><summary>Hint 1</summary> <code>zip(*samples)</code> turns a list of pairs into a pair of tuples: the images, the labels.</details>
# <details><summary>Hint 2</summary> <code>sequence.new_full((B, longest, *rest), padding)</code> makes a tensor of the sequence's dtype; then copy each sequence into its row. Or find torch's own function in the cell above.</details>
# <details><summary>It passes with (L,) but fails with (L, 2)</summary> A step of a sequence may be more than one number: <code>sequence.shape[1:]</code> is the shape of a step.</details>


# %% exercise="03.3"
def collate(samples: list[tuple[torch.Tensor, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of samples of one shape.

    Args:
        samples: B pairs (image (...), label).
    Returns:
        (images (B, ...), of the images' dtype; labels, int64 (B,)).
    """
    ### BEGIN SOLUTION
    images, labels = zip(*samples)
    return torch.stack(images), torch.tensor(labels)
    ### END SOLUTION


def pad_collate(samples: list[tuple[torch.Tensor, int]], padding=0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A batch of sequences of unequal length.

    Args:
        samples: B pairs (sequence (L, ...), label); L differs, the rest of the shape does not.
        padding: the value after a sequence's end.
    Returns:
        (padded (B, longest L, ...), of the sequences' dtype; lengths, int64 (B,); labels, int64 (B,)).
    """
    ### BEGIN SOLUTION
    sequences, labels = zip(*samples)
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    padded = sequences[0].new_full((len(samples), int(lengths.max()), *sequences[0].shape[1:]), padding)
    for row, sequence in zip(padded, sequences):
        row[: len(sequence)] = sequence
    return padded, lengths, torch.tensor(labels)
    ### END SOLUTION


# %%
check("03.3")

# %% [markdown]
# ## 5 · The loader
#
# Now join them. For each batch: take the next `batch_size` positions from the sampler, ask the dataset for these samples, collate, hand over. The last batch may be shorter, or is dropped.
#
# Why drop it? A batch of one is noisy, and some code wants equal sizes. In training, little is lost: the next epoch's order leaves out others. In testing, never drop: you
# would report on other data than you claim.

# %% [markdown]
# ### Exercise 03.4 · The loader
# ●●● · 20 min · 4 points
#
# Write `Loader`, without help of `DataLoader`, so that `for xb, yb in loader:` is one epoch. It reads a sample only when its batch is asked for. Two loops over one loader at a time must not disturb each other.
#
# <details><summary>Hint 1</summary> Write <code>__iter__</code> with <code>yield</code>: each call then makes a new, independent iterator, that runs only as far as somebody asks.</details>
# <details><summary>Hint 2</summary> Collect positions in a list. Full? Yield the collated samples, and start a new list. After the loop: is there a rest, and is it wanted?</details>
# <details><summary>The number of batches is wrong</summary> Count the <em>sampler's</em> positions, not the dataset's. <code>-(-n // size)</code> rounds up, <code>n // size</code> down.</details>
# <details><summary>An empty batch comes at the end</summary> When the size divides the number of samples, the rest is an empty list. Do not yield it.</details>


# %% exercise="03.4"
class Loader:
    """Mini-batches of a dataset; each `for` over it is one epoch.

    Args:
        dataset: has `len()` and `[i]`.
        batch_size: samples in a batch.
        sampler: gives the positions of an epoch, each time it is iterated; None for 0, 1, 2, …
        drop_last: leave out a last batch that is shorter.
        collate_fn: list of samples -> batch; None for a default: `collate` of exercise 03.3 or torch's `default_collate`, either will do.
    """

    def __init__(self, dataset, batch_size: int = 1, sampler=None, drop_last: bool = False, collate_fn=None):
        ### BEGIN SOLUTION
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler = range(len(dataset)) if sampler is None else sampler
        self.collate_fn = collate if collate_fn is None else collate_fn
        ### END SOLUTION

    def __len__(self) -> int:
        """Batches in an epoch."""
        ### BEGIN SOLUTION
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        ### END SOLUTION

    def __iter__(self):
        """Yield the batches of one epoch."""
        ### BEGIN SOLUTION
        positions = []
        for position in self.sampler:
            positions.append(position)
            if len(positions) == self.batch_size:
                yield self.collate_fn([self.dataset[i] for i in positions])
                positions = []
        if positions and not self.drop_last:
            yield self.collate_fn([self.dataset[i] for i in positions])
        ### END SOLUTION


# %%
check("03.4")

# %%
progress("03")

# %% [markdown]
# ### Part by part beside torch's
#
# | yours | torch's, in `torch.utils.data` | |
# | --- | --- | --- |
# | `ArrayDataset` | `Dataset`; `TensorDataset` where no transform is needed | an `IterableDataset`, for streams, has no `[i]` |
# | `InOrder` | `SequentialSampler` | the default |
# | `ShuffledSampler` | `RandomSampler`, or `shuffle=True` | |
# | `BalancedSampler` | `WeightedRandomSampler` | you give it the weights |
# | the list that fills up in `Loader` | `BatchSampler` | |
# | `collate` | `default_collate` | goes into dicts and tuples, takes numbers, strings, arrays |
# | `Loader` | `DataLoader` | plus workers, section 10 |
#
# Same seed, same batches? All three kinds of order, in float32 and float64:


# %% tags=["demo"]
def seeded(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


try:
    for dtype in (torch.float32, torch.float64):
        dataset = ArrayDataset(sorted_x.to(dtype), sorted_y)
        pairs = {
            "sequential": (None, None),
            "shuffled": (ShuffledSampler(dataset, seeded()), RandomSampler(dataset, generator=seeded())),
            "balanced": (BalancedSampler(sorted_y, 320, seeded()), WeightedRandomSampler(weights, 320, generator=seeded())),
        }
        for name, (mine, theirs) in pairs.items():
            yours = list(Loader(dataset, batch_size=48, sampler=mine))
            torchs = list(DataLoader(dataset, batch_size=48, sampler=theirs))
            same = len(yours) == len(torchs) and all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(yours, torchs))
            print(f"{str(dtype):14} {name:10} {len(yours)} batches, last of {len(yours[-1][1])}: {'the same as torch' if same else 'NOT the same as torch'}")
    for padded, lengths, _ in Loader([(word, k) for k, word in enumerate(words)], batch_size=2, collate_fn=pad_collate):
        print("a batch of words:", tuple(padded.shape), "with lengths", lengths.tolist())
except NotAttempted:
    print("The comparison appears when you have solved exercises 03.1 to 03.4.")

# %% [markdown]
# (Did you draw the balanced order in another way than by `torch.multinomial` with one weight a sample? Then it is as good, and another.)
#
# Now a puzzle that costs people days. The same generator, the same seed, but `shuffle=True` in place of a sampler; and then a second epoch:

# %% tags=["demo"]
ten = torch.arange(10)
print("randperm, first draw:              ", torch.randperm(10, generator=seeded()).tolist())
print("RandomSampler(generator=g):        ", list(RandomSampler(ten, generator=seeded())))
print("DataLoader(shuffle, generator=g):  ", torch.cat(list(DataLoader(ten, 5, shuffle=True, generator=seeded()))).tolist())
g = seeded()
torch.empty((), dtype=torch.int64).random_(generator=g)  # one number drawn, and thrown away
print("randperm, after one number drawn:  ", torch.randperm(10, generator=g).tolist())

g = seeded()
permutations = [torch.randperm(10, generator=g).tolist() for _ in range(3)]
sampler = RandomSampler(ten, generator=seeded())
epochs = [list(sampler), list(sampler)]
print("\nRandomSampler, second epoch:       ", epochs[1])
print("randperm, second and third draw:   ", *permutations[1:])

# %% [markdown]
# A `DataLoader` with a generator of its own first draws **one number** from it, the base of its workers' seeds, even when there are no workers; then the sampler draws the order. And `RandomSampler` draws **a second
# permutation** at the end of each epoch (to take none of it: it serves `num_samples` that are no multiple of n), so that its next epoch uses the third.
#
# Nothing is broken. A seed repeats *the same program with the same versions*, no more. To compare two programs, make what is random explicit: give each epoch a generator of its own, seeded by seed + epoch, or
# save the order itself.
#
# From here on the lab uses your `Loader`, under the name `LabLoader`; unless you have it, torch's.

# %%
LabLoader = mine_or_reference("03.4", Loader)

# %% [markdown]
# ## 6 · Images in a folder
#
# The digits were in memory. Photographs usually come as files in folders, a folder a class:

# %% tags=["demo"]
insects = data.ants_and_bees()

# %% tags=["demo"]
for part in ("train", "val"):
    for name in ("ants", "bees"):
        files = sorted((insects / part / name).iterdir())
        kinds = sorted({file.suffix for file in files})
        print(f"{part}/{name}: {len(files):>3} files {kinds}, such as {files[0].name}")
photos = ImageFolder(insects / "train")
print("\nImageFolder:", len(photos), "images;", photos.class_to_idx)
image, label = photos[0]
print(f"sample 0: a PIL image, mode {image.mode}, size {image.size}, with label {label}")

# %% [markdown]
# `ImageFolder` is a dataset like yours. It lists the files once; the name of the folder gives the label, by the alphabet; a file is opened, decoded and turned to RGB only when its sample is asked for. It takes a `transform`, too.
#
# You need it: the photographs have different sizes, and a batch must have one. `torchvision.transforms.v2` has the parts; they chain with `Compose`:

# %%
to_square = v2.Compose([
    v2.ToImage(),  # PIL image → uint8 tensor (3, H, W)
    v2.Resize(96, antialias=True),  # the shorter side to 96 pixels
    v2.CenterCrop(96),
])
to_float = v2.ToDtype(torch.float32, scale=True)  # 0 … 255 → 0 … 1

# %% tags=["demo"]
photos = ImageFolder(insects / "train", transform=v2.Compose([to_square, to_float]))
print("sizes as they are:", sorted({Image.open(path).size for path, _ in photos.samples[:40]})[:6], "…")
spread = RandomSampler(photos, generator=seeded(1))
xb, yb = next(iter(LabLoader(photos, batch_size=8, sampler=spread)))
figure = plotting.image_grid(xb, captions=[photos.classes[label] for label in yb], title="A batch from files")
plotting.show(figure, alt="Eight square photographs of ants and bees, each with its class.")

# %% [markdown]
# ### What does not belong there
#
# Look at the counts again. The folder `train/ants` holds one file more than `ImageFolder` took from it: a GIF. `ImageFolder` goes by the **name**: it takes files that end in .jpg, .jpeg, .png and a few more, and passes over others without a word.
# This is what it passed over:

# %% tags=["demo"]
gif = Image.open(insects / "train" / "ants" / "imageNotFound.gif")
print("opens and decodes without an error:", gif.size, gif.mode)
figure, ax = plotting.subplots(size=(3.2, 3.4))
ax.imshow(gif.convert("RGB"))
ax.set_axis_off()
ax.set_title("train/ants/imageNotFound.gif")
plotting.show(figure, alt="A grey card that says: we're sorry, this image could not be found.")

# %% [markdown]
# A web site's apology, downloaded a thousand times, labelled "ants". It is a perfect image file. That it is no ant, only looking tells you; that it was left out was luck: as .jpg it would be in.
#
# And names lie the other way, too. Below, a small copy of the folder gets what real downloads have: notes, a web page saved as .jpg, a .jpg whose download broke off.

# %% tags=["demo"]
messy = tempfile.TemporaryDirectory()
folder = Path(messy.name)
for name in ("ants", "bees"):
    (folder / name).mkdir()
    for path in sorted((insects / "train" / name).iterdir())[:10]:
        shutil.copy(path, folder / name)
shutil.copy(insects / "train" / "ants" / "imageNotFound.gif", folder / "ants")
whole_file = sorted((insects / "train" / "bees").iterdir())[10].read_bytes()
(folder / "bees" / "broken_off.jpg").write_bytes(whole_file[: len(whole_file) // 2])
(folder / "bees" / "page.jpg").write_text("<html><body>404: no such photograph</body></html>")
(folder / "ants" / "notes.txt").write_text("taken in the garden, 3 May")
print(sum(path.is_file() for path in folder.rglob("*")), "files")

# %% tags=["demo"]
careless = ImageFolder(folder, transform=to_square)
print("ImageFolder took", len(careless), "of them")
for i in range(len(careless)):
    try:
        careless[i]
    except (OSError, SyntaxError) as error:  # what PIL raises for a file that it cannot read
        print(f"sample {i}, {Path(careless.samples[i][0]).name}:\n    {type(error).__name__}: {str(error).replace(messy.name, '…')}")

# %% [markdown]
# In training, that error comes in the middle of an epoch, perhaps at night. So try every file once, before.
#
# To open is not enough: `Image.open` reads the first bytes only, to find out the format and the size; the pixels come with `.load()` (or anything that needs them). `.verify()` checks some formats' sums,
# but passes a JPEG that has lost its lower half.

# %% [markdown]
# ### Exercise 03.5 · Find the files that are no images
# ●●○ · 12 min · 2 points
#
# Go through all files of a folder and its subfolders. Good is what decodes to the last pixel, whatever its name; all else is bad, and you say why.
#
# <details><summary>Hint 1</summary> <code>folder.rglob("*")</code> gives all that lies below; <code>path.is_file()</code> tells files from folders. <code>sorted(…)</code> helps.</details>
# <details><summary>Hint 2</summary> <code>try</code> to open and load; on <code>except (OSError, SyntaxError) as error</code>, note <code>str(error)</code>. PIL's <code>UnidentifiedImageError</code> is an <code>OSError</code>.</details>
# <details><summary>The file that broke off counts as good</summary> Opening reads only the header. Call <code>.load()</code> (or <code>.convert("RGB")</code>) on what you opened.</details>


# %% exercise="03.5"
def sort_files(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """Which files below a folder are readable images.

    Args:
        folder: searched with its subfolders.
    Returns:
        (paths of the files that decode as images, sorted; path of every other file -> the reason, a text).
    """
    ### BEGIN SOLUTION
    good, bad = [], {}
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        try:
            with Image.open(path) as image:
                image.load()
            good.append(path)
        except (OSError, SyntaxError) as error:
            bad[path] = f"{type(error).__name__}: {error}"
    return good, bad
    ### END SOLUTION


# %%
check("03.5")

# %% [markdown]
# Found, named, skipped: `ImageFolder` takes a function that decides in place of the file's name.

# %% tags=["demo"]
try:
    good, bad = sort_files(folder)
    for path, reason in bad.items():
        print(f"skipped {path.relative_to(folder)}: {reason.replace(messy.name, '…')}")
    keep = {str(path) for path in good if path.suffix != ".gif"}  # and the card that is no ant, which only looking found
    clean = ImageFolder(folder, transform=v2.Compose([to_square, to_float]), is_valid_file=lambda path: path in keep)
    print("\none whole epoch:", sum(len(yb) for _, yb in LabLoader(clean, batch_size=8)), "images, no error")
except NotAttempted:
    print("The clean folder appears when you have solved exercise 03.5.")

# %% [markdown]
# ## 7 · Look at what the network will see
#
# Networks learn faster from inputs with mean 0 and spread 1. So each channel is **normalized**: (x − mean) / std, with two numbers a channel. Here are some 40 of the photographs before and after:

# %% tags=["demo"]
photos = ImageFolder(insects / "train", transform=v2.Compose([to_square, to_float]))
val_photos = ImageFolder(insects / "val", transform=v2.Compose([to_square, to_float]))
pixels = torch.stack([photos[i][0] for i in range(0, len(photos), max(1, len(photos) // 40))])  # some 40 of them, (N, 3, 96, 96)
mean, std = pixels.mean(dim=(0, 2, 3)), pixels.std(dim=(0, 2, 3))
normalized = (pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1)

# %% tags=["demo"]
figure, (left, right) = plotting.subplots(1, 2, size=(9, 3))
for c, (name, color) in enumerate((("red", plotting.PALETTE[3]), ("green", plotting.PALETTE[2]), ("blue", plotting.PALETTE[0]))):
    left.hist(pixels[:, c].flatten().numpy(), bins=60, histtype="step", color=color, label=f"{name}: {mean[c]:.2f} ± {std[c]:.2f}", density=True)
    right.hist(normalized[:, c].flatten().numpy(), bins=60, histtype="step", color=color, label=name, density=True)
left.set(xlabel="pixel value", ylabel="density", title="before (some 40 photographs)")
right.set(xlabel="value that the network sees", ylabel="density", title="after: mean 0, spread 1")
left.legend(frameon=False)
plotting.show(figure, alt="Histograms of the three colour channels. Before: from 0 to 1, with different means. After: around zero, with equal spread.")
figure = plotting.image_grid(torch.cat([normalized[:5], pixels[:5]]), captions=["as it goes in"] * 5 + ["undone"] * 5, columns=5, title="Normalized images, shown as they are, and undone")
plotting.show(figure, alt="Upper row: normalized photographs shown directly, with black areas and glaring colours. Lower row: the same with the normalization undone, natural.")

# %% [markdown]
# Shown as it is, a normalized image looks broken: half of its values lie below 0 and become black. So before you look, **undo** the normalization: x · std + mean. And do look. These three pipelines run without an error, give the right
# shape and dtype, and train, badly:

# %% tags=["demo"]
photo = pixels[0]
as_array = (photo.permute(1, 2, 0) * 255).round().to(torch.uint8)  # (H, W, 3), as a file gives it
faults = {
    "right": photo,
    "fault A": as_array.flip(-1).permute(2, 0, 1) / 255,
    "fault B": as_array.reshape(3, 96, 96) / 255,
    "fault C": (photo - mean.view(3, 1, 1)) / std.view(3, 1, 1),
}
figure = plotting.image_grid(torch.stack(list(faults.values())), captions=list(faults), columns=4, title="After undoing the normalization once: which is which?")
plotting.show(figure, alt="One photograph four times: right; with exchanged colours; a scramble of stripes; with black shadows and glaring colours.")

# %% [markdown]
# Say first what went wrong in each; then open the answers.
#
# <details><summary>A</summary> Red and blue are exchanged: OpenCV reads files as BGR. Pretrained networks lose some points by it, silently.</details>
# <details><summary>B</summary> <code>reshape</code> where <code>permute</code> belongs: the numbers stay in their order and get other places. Three neighbours in a row are one pixel's red, green and blue; hence the stripes.</details>
# <details><summary>C</summary> Normalized twice (once in the dataset, once in the training loop), undone once.</details>
#
# ### Whose mean, whose std
#
# **The training images', and only theirs.** Validation and test images are prepared with the training images' numbers: they stand for data that you have not seen yet, and cannot have averaged. It also is the only way that works when images come one at a time.
#
# A whole dataset may not fit into memory, but its batches come one by one. Then keep running sums: of the pixels, of their squares, and of their number. std² = mean of squares − square of the mean.

# %% [markdown]
# ### Exercise 03.6 · Statistics, and back to a picture
# ●●○ · 15 min · 3 points
#
# `channel_stats`: each channel's mean and standard deviation over all pixels of all batches. (Whether you divide by the number of pixels or by one less does not matter.) The last batch may be shorter.
#
# `undo`: from a normalized batch back to pixels.
#
# <details><summary>Hint 1</summary> Of <code>x</code> (B, C, H, W), <code>x.sum(dim=(0, 2, 3))</code> is a sum for each channel.</details>
# <details><summary>Hint 2</summary> Three totals start at 0 and grow with each batch: sum, sum of squares, number of pixels (B·H·W). Divide once, at the end.</details>
# <details><summary>"The size of tensor a must match the size of tensor b"</summary> <code>mean</code> has the shape (C,) and lines up with the <em>last</em> dimension, the width. <code>mean.view(-1, 1, 1)</code> lines up with the channels (lab 01).</details>
# <details><summary>It passes the first case but fails when the last batch is shorter</summary> A mean of means counts the few images of the last batch too much. And the std of all pixels is not the mean of the batches' stds.</details>


# %% exercise="03.6"
def channel_stats(batches) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel.

    Args:
        batches: iterable of (x, y), gone through once; x floating point (B, C, H, W), B and H and W may differ.
    Returns:
        (mean (C,), std (C,)), of x's dtype.
    """
    ### BEGIN SOLUTION
    total = squares = count = 0
    for x, _ in batches:
        total = total + x.sum(dim=(0, 2, 3))
        squares = squares + x.square().sum(dim=(0, 2, 3))
        count += x.numel() // x.shape[1]
    mean = total / count
    return mean, (squares / count - mean.square()).sqrt()
    ### END SOLUTION


def undo(x: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """The inverse of (pixels − mean) / std.

    Args:
        x: normalized, floating point (B, C, H, W).
        mean, std: (C,).
    Returns:
        pixels, (B, C, H, W), of x's dtype.
    """
    ### BEGIN SOLUTION
    return x * std.view(-1, 1, 1) + mean.view(-1, 1, 1)
    ### END SOLUTION


# %%
check("03.6")

# %% tags=["demo"]
try:
    for name, part in (("train", photos), ("val", val_photos)):
        m, s = channel_stats(LabLoader(part, batch_size=32))
        print(f"{name:5}  mean {[f'{v:.3f}' for v in m.tolist()]}  std {[f'{v:.3f}' for v in s.tolist()]}")
except NotAttempted:
    print("The numbers of the photographs appear when you have solved exercise 03.6.")
print("ImageNet, a million photographs: mean ['0.485', '0.456', '0.406']  std ['0.229', '0.224', '0.225']")

# %% [markdown]
# The two parts differ a little, as samples do; so did the 40 photographs of the histogram. The last line is worth knowing: a network that was trained on ImageNet wants *its own* training images' numbers, not those of your photographs.
#
# ## 8 · Splits that do not leak
#
# | part | what it is for | how often you may look |
# | --- | --- | --- |
# | training | the weights are fitted to it | always |
# | validation | you choose by it: learning rate, network, when to stop | often; each choice fits it a little |
# | test | the number that you report | once, at the end |
#
# The test answers: how good will it be on data that nobody has seen? If it *has* been seen, the answer is worth nothing. Watch. The labels below are **pure chance**, so nothing can be learned, and 10 % is the best that anyone
# can do. The "model" looks up the nearest training image. Then 200 of the 1,000 test images get into the training set:


# %% tags=["demo"]
def nearest_neighbour_accuracy(train_x, train_y, test_x, test_y) -> float:
    nearest = torch.cdist(test_x.flatten(1), train_x.flatten(1)).argmin(dim=1)
    return (train_y[nearest] == test_y).float().mean().item()


generator = seeded(0)
chance_train, chance_test = (torch.randint(10, (n,), generator=generator) for n in (4000, 1000))
print(f"clean split:       {nearest_neighbour_accuracy(x_all, chance_train, test_x, chance_test):.1%}")
leaky_x, leaky_y = torch.cat([x_all[200:], test_x[:200]]), torch.cat([chance_train[200:], chance_test[:200]])
print(f"200 images leaked: {nearest_neighbour_accuracy(leaky_x, leaky_y, test_x, chance_test):.1%}")

# %% [markdown]
# Some eighteen points out of nothing. Large networks learn their training images by heart as well (lab 06), so they profit in the same way. This is no curiosity: 3.3 % of CIFAR-10's test images, and 10 % of CIFAR-100's, have a (near) duplicate in the
# training set ([Barz and Denzler](https://arxiv.org/abs/1902.00423)).
#
# How to find duplicates among many images? Comparing each with each is N × M comparisons. A **hash** is a short number made from the bytes; equal bytes have equal hashes, so a dictionary from hash to position finds a copy in one step:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
first = torch.zeros(1, 2, 3, dtype=torch.uint8)
second = first.clone()
third = first.clone()
third[0, 0, 0] = 1
for name, tensor in {"first": first, "its copy": second, "one pixel changed": third}.items():
    print(f"{name:18} {hashlib.sha256(tensor.numpy().tobytes()).hexdigest()[:16]}")
print("Python's own hash() of a tensor knows the object, not its content:", hash(first) == hash(second))

# %% [markdown]
# One changed pixel, and the hash is another. So a picture that was mirrored, brightened or saved again escapes. A mirrored one you can look for: hash that, too.
#
# And there is a second kind of leak, without any copy. Ten photographs of one ant, ten sentences of one speaker, ten X-rays of one patient: put some into training and some into the test, and the test asks for the ant, not for ants.
# Samples that belong together form a **group**. Split the groups first; then each sample follows its group.

# %% [markdown]
# ### Exercise 03.7 · Leaks
# ●●○ · 20 min · 4 points
#
# `leaks`: all pairs (i, j) such that `test[j]` is `train[i]`, or `train[i]` mirrored left to right (the last dimension reversed), pixel by pixel.
#
# `group_split`: hold out whole groups, drawn at random from the generator: `round(share × number of groups)` of them, but at least one.
#
# <details><summary>Hint 1</summary> A dictionary finds a key in one step, so no image need be compared with all others. What of an image can be a key that only its copies share?</details>
# <details><summary>Hint 2</summary> <code>image.numpy().tobytes()</code> may be a key as it is. Which two keys do you look up for a test image? And what if the two are equal?</details>
# <details><summary>A pair is missing where the training set holds a picture twice</summary> The second overwrote the first in your dictionary: keep a list of positions for each key.</details>
# <details><summary>group_split: a group is on both sides</summary> Shuffle <code>groups.unique()</code>, not the samples. <code>torch.isin(groups, held)</code> then says for each sample whether its group is held out.</details>


# %% exercise="03.7"
def leaks(train: torch.Tensor, test: torch.Tensor) -> list[tuple[int, int]]:
    """Images of the test set that are in the training set, as they are or mirrored.

    Args:
        train: uint8 (N, C, H, W).
        test: uint8 (M, C, H, W).
    Returns:
        pairs (i, j), sorted, each once: test[j] equals train[i], or train[i] mirrored left to right.
    """
    ### BEGIN SOLUTION
    positions = {}
    for i, image in enumerate(train):
        positions.setdefault(image.numpy().tobytes(), []).append(i)
    pairs = set()
    for j, image in enumerate(test):
        for variant in (image, image.flip(-1)):
            pairs.update((i, j) for i in positions.get(variant.numpy().tobytes(), []))
    return sorted(pairs)
    ### END SOLUTION


def group_split(groups: torch.Tensor, share: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Hold out whole groups.

    Args:
        groups: int64 (N,): the group of each sample; any numbers.
        share: of the groups to hold out, between 0 and 1.
        generator: to draw from.
    Returns:
        (positions to train on, positions held out): int64 tensors that together hold each of 0 … N − 1 once.
    """
    ### BEGIN SOLUTION
    names = groups.unique()
    count = max(1, round(share * len(names)))
    held = names[torch.randperm(len(names), generator=generator)[:count]]
    is_held = torch.isin(groups, held)
    return (~is_held).nonzero().flatten(), is_held.nonzero().flatten()
    ### END SOLUTION


# %%
check("03.7")

# %% [markdown]
# Plant three leaks among the digits, one of them mirrored and one with a single pixel changed, and search:

# %% tags=["demo"]
planted = digits.test_images.clone()
planted[10], planted[20], planted[30] = digits.train_images[111], digits.train_images[222].flip(-1), digits.train_images[333]
planted[30, 0, 0, 0] += 1
try:
    start = time.perf_counter()
    print("found:", leaks(digits.train_images, planted), f"in {time.perf_counter() - start:.2f} s among {len(digits.train_images):,} × {len(planted):,} pairs")
    print("between the digits as they are:", leaks(digits.train_images, digits.test_images))
except NotAttempted:
    print("The search runs here when you have solved exercise 03.7.")

# %% [markdown]
# The third one escaped. For *near* duplicates one wants the opposite of a good hash: a short code that hardly changes when the picture hardly changes. A classic one shrinks the picture to 9 × 8 grey pixels and notes for each of them whether its
# right neighbour is brighter: 64 bits. Two pictures are compared by the number of bits in which they differ.


# %% tags=["demo"]
def difference_hash(image: Image.Image) -> np.ndarray:
    """64 bits: is each of 8 × 8 places darker than its right neighbour?"""
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BILINEAR)).astype(int)
    return (small[:, 1:] > small[:, :-1]).flatten()


original = Image.open(photos.samples[1][0]).convert("RGB")
file = io.BytesIO()
original.save(file, "JPEG", quality=30)
width, height = original.size
variants = {
    "saved again, quality 30": Image.open(file),
    "half the size": original.resize((width // 2, height // 2)),
    "30 % brighter": original.point(lambda value: min(255, int(value * 1.3))),
    "5 % cut off each side": original.crop((width // 20, height // 20, width - width // 20, height - height // 20)),
    "mirrored": original.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "another photograph": Image.open(photos.samples[2][0]),
}
for name, variant in variants.items():
    print(f"{name:24} {(difference_hash(original) != difference_hash(variant)).sum():>2} of 64 bits differ")

# %% [markdown]
# Copies stay within a few bits, a mirrored or another picture does not. (Half of 64 would be chance.) Now all the photographs, training against validation. Which pair comes closest?

# %% tags=["demo"]
codes = [np.stack([difference_hash(Image.open(path)) for path, _ in part.samples]) for part in (photos, val_photos)]
distance = (codes[0][:, None] != codes[1][None]).sum(axis=-1)
i, j = np.unravel_index(distance.argmin(), distance.shape)
figure = plotting.image_grid(torch.stack([photos[i][0], val_photos[j][0]]), captions=["training", "validation"], title=f"The closest pair: {distance[i, j]} bits")
plotting.show(figure, alt="The training image and the validation image whose difference hashes are closest.")

# %% [markdown]
# Look before you delete: a hash of 64 bits raises alarms, your eyes decide. In the real photographs the closest pair, at 10 bits, shows two different ants from the front.
#
# ## 9 · Augmentation
#
# A mirrored bee is a bee; so is one that is nearer, or to the left. If the training set is small, show each image differently each time: **augmentation**. The workhorse for photographs is `RandomResizedCrop`: cut a random box out of the image and resize it to a fixed size.
# Here are twelve of its boxes, and what came of eight:

# %% tags=["demo"]
photo = v2.functional.pil_to_tensor(Image.open(photos.samples[0][0]).convert("RGB"))
height, width = photo.shape[1:]
torch.manual_seed(3)
boxes = [v2.RandomResizedCrop(96).make_params([photo]) for _ in range(12)]
figure, ax = plotting.subplots(size=(5.5, 4))
ax.imshow(photo.permute(1, 2, 0).numpy())
for box in boxes:
    ax.add_patch(plotting.mpl.patches.Rectangle((box["left"], box["top"]), box["width"], box["height"], fill=False, edgecolor=plotting.PALETTE[6], linewidth=1.5))
ax.set(title="Twelve boxes of RandomResizedCrop", xlabel="column", ylabel="row")
plotting.show(figure, alt="A photograph with twelve yellow boxes: small and large, a little wider or higher than a square, anywhere in the image.")
views = torch.stack([v2.functional.resized_crop(photo, **box, size=[96, 96]) for box in boxes[:8]])
plotting.show(plotting.image_grid(views, columns=8, captions=[f"{box['height'] * box['width'] / (height * width):.0%}" for box in boxes[:8]], title="Eight of them, resized (share of the area)"), alt="The contents of eight boxes, all of one size, under each its share of the image's area.")

# %% [markdown]
# How is a box drawn? By two numbers:
#
# - `scale=(0.08, 1)`: the box's share of the image's **area**, uniform between the two. (Not of its side: a side of one half is a quarter of the area.)
# - `ratio=(3/4, 4/3)`: width / height. Its **logarithm** is uniform, so that twice as wide is as likely as twice as high; between 3/4 and 1 then falls one half, between 1 and 4/3 the other.
#
# With area $A$ and ratio $r$ the box is $\sqrt{A r}$ wide and $\sqrt{A / r}$ high; its place is uniform among all where it fits. If it does not fit, draw both again, up to ten times; then take the whole image. (torch's takes, after ten, the largest
# central box of an allowed ratio.)

# %% [markdown]
# ### Exercise 03.8 · A random box, and a coin
# ●●○ · 20 min · 3 points
#
# Write the drawing of the box and, much simpler, the random flip. Draw with torch's functions from the generator given, in any way you like: the check looks at many draws. Round sizes to whole pixels.
#
# <details><summary>Hint 1</summary> <code>low + (high − low) * torch.rand((), generator=generator).item()</code> is uniform between low and high. Of which two quantities is that wanted, and how do you come from them to h and w?</details>
# <details><summary>Hint 2</summary> For the place, <code>torch.randint</code>: it leaves its upper end out, and the last place, height − h, is a good one.</details>
# <details><summary>"random_ expects 'from' to be less than 'to'"</summary> A box as high as the image has one place, 0: that is <code>randint(0, 1)</code>. Or the box did not fit, and you did not draw again.</details>
# <details><summary>Wide boxes come too often</summary> The ratio itself is uniform in your code; its logarithm should be.</details>


# %% exercise="03.8"
def crop_box(height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator) -> tuple[int, int, int, int]:
    """A random box inside an image, as RandomResizedCrop draws it.

    Args:
        height, width: of the image, in pixels.
        scale: least and greatest share of the image's area.
        ratio: least and greatest width / height of the box.
        generator: to draw from.
    Returns:
        (top, left, h, w) in pixels; the whole image if ten draws do not fit.
    """
    ### BEGIN SOLUTION
    def uniform(low, high):
        return low + (high - low) * torch.rand((), generator=generator).item()

    for _ in range(10):
        area = uniform(*scale) * height * width
        r = math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))
        h, w = round(math.sqrt(area / r)), round(math.sqrt(area * r))
        if 0 < h <= height and 0 < w <= width:
            top = torch.randint(0, height - h + 1, (), generator=generator).item()
            left = torch.randint(0, width - w + 1, (), generator=generator).item()
            return top, left, h, w
    return 0, 0, height, width
    ### END SOLUTION


def random_flip(image: torch.Tensor, p: float, generator: torch.Generator) -> torch.Tensor:
    """Mirror an image left to right with probability p, else give it back as it is.

    Args:
        image: (C, H, W); not to be changed.
        p: chance to be mirrored, 0 to 1.
        generator: to draw from.
    Returns:
        (C, H, W), of the same dtype.
    """
    ### BEGIN SOLUTION
    return image.flip(-1) if torch.rand((), generator=generator).item() < p else image
    ### END SOLUTION


# %%
check("03.8")

# %% tags=["demo"]
try:
    generator, mine = seeded(5), []
    for _ in range(8):
        top, left, h, w = crop_box(height, width, (0.3, 1.0), (3 / 4, 4 / 3), generator)
        crop = photo[:, top : top + h, left : left + w]
        mine.append(random_flip(v2.functional.resize(crop, [96, 96], antialias=True), 0.5, generator))
    plotting.show(plotting.image_grid(torch.stack(mine), columns=8, title="Your own crops and flips, scale from 0.3"), alt="Eight crops of one photograph, some of them mirrored.")
except NotAttempted:
    print("Your crops appear when you have solved exercise 03.8.")

# %% [markdown]
# ### torchvision's, and albumentations'
#
# In `transforms.v2`, the training pipeline and the one for validation are these. **Only the training images are augmented**: a test must not depend on chance.

# %%
imagenet_mean, imagenet_std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
train_transform = v2.Compose([
    v2.ToImage(),
    v2.RandomResizedCrop(96, scale=(0.3, 1.0), ratio=(3 / 4, 4 / 3), antialias=True),
    v2.RandomHorizontalFlip(p=0.5),
    v2.ToDtype(torch.float32, scale=True),
    v2.Normalize(imagenet_mean, imagenet_std),
])
val_transform = v2.Compose([to_square, to_float, v2.Normalize(imagenet_mean, imagenet_std)])

# %% [markdown]
# (Crop while the image is still bytes, make it float last: that is a quarter of the memory traffic. If boxes or masks belong to the image, v2 moves them along with it: wrap them as `torchvision.tv_tensors`.)
#
# Another library, [albumentations](https://albumentations.ai), is popular for its long list of transforms. It works on NumPy arrays (H, W, C), takes and returns a dictionary, and draws from generators of its own: `torch.manual_seed` does not reach it, `seed=` does.

# %% tags=["demo"]
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else, when imported, it asks the network for a newer version
try:
    import albumentations as A
except ImportError:
    A = None
    print("albumentations is not installed here. To see it: pip install albumentations")
torch.manual_seed(0)
pipelines = {"torchvision v2": v2.Compose([v2.RandomResizedCrop(96, scale=(0.3, 1.0), antialias=True), v2.RandomHorizontalFlip(p=0.5)])}
if A:
    theirs = A.Compose([A.RandomResizedCrop(size=(96, 96), scale=(0.3, 1.0), ratio=(3 / 4, 4 / 3)), A.HorizontalFlip(p=0.5)], seed=0)
    pipelines["albumentations"] = lambda image: torch.from_numpy(theirs(image=image.permute(1, 2, 0).numpy())["image"]).permute(2, 0, 1)
for name, pipeline in pipelines.items():
    plotting.show(plotting.image_grid(torch.stack([pipeline(photo) for _ in range(8)]), columns=8, title=name), alt=f"Eight random crops and flips of one photograph by {name}.")

# %% [markdown]
# Try the transforms yourself. Each picture shows eight draws. How small may a crop be until you no longer see what it shows? What you cannot tell, the network can only learn by heart.

# %% tags=["demo"]
widgets.augmentation()

# %% [markdown]
# Not every transform keeps the label. Which of these would you still call by their old name?

# %% tags=["demo"]
chosen = [int((digits.train_labels == label).nonzero()[0]) for label in (2, 3, 4, 6, 7, 8)]
rows = digits.train_images[chosen]
figure = plotting.image_grid(torch.cat([rows, rows.flip(-1), rows.rot90(2, (2, 3))]), columns=6, captions=[f"{label}{how}" for how in ("", ", mirrored", ", turned by 180°") for label in (2, 3, 4, 6, 7, 8)], title="Augmented digits")
plotting.show(figure, alt="The digits 2, 3, 4, 6, 7, 8; below them mirrored, below that turned upside down: the 6 has become a 9, the mirrored ones are no digits.")

# %% [markdown]
# A mirrored 2 is no digit, a 6 upside down is a 9. The transform must be one that the *task* does not care about. What augmentation is worth in accuracy, lab 06 measures, on held-out data.
#
# ## 10 · How fast is it?
#
# While the loader prepares a batch, the model waits, unless somebody prepares the next one meanwhile. So the first question is which of the two is slower: how many samples a second does the loader give when nobody uses them?
#
# Two traps. The first batches pay for starting up (worker processes, caches, files read for the first time): leave them out. And count samples, not batches.

# %% [markdown]
# ### Exercise 03.9 · Throughput
# ●○○ · 10 min · 2 points
#
# Go through all batches. Let the time start when the first `warmup` batches have arrived, and count only the samples that come after. `clock()` gives the time in seconds; it is an argument so that your code can be tried with a clock
# that is known (the check does so: your computer's speed plays no part).
#
# <details><summary>Hint 1</summary> With <code>warmup=0</code> the clock starts before the first batch is asked for; else when batch number <code>warmup</code> has arrived.</details>
# <details><summary>Hint 2</summary> <code>start = clock()</code> before the loop; in the loop count the samples; and after batch number <code>warmup</code> set the start anew and the count to 0.</details>
# <details><summary>It fails where the last batch is shorter</summary> Add up <code>len(x)</code> of each batch.</details>


# %% exercise="03.9"
def throughput(batches, warmup: int = 1, clock=time.perf_counter) -> float:
    """Samples a second that come out of a loader.

    Args:
        batches: iterable of (x, y); x has as many rows as the batch has samples. More batches than `warmup`.
        warmup: batches at the start that are not counted, nor their time.
        clock: function that gives the time, in seconds.
    Returns:
        samples per second.
    """
    ### BEGIN SOLUTION
    start, samples = clock(), 0
    for number, (x, _) in enumerate(batches, start=1):
        samples += len(x)
        if number == warmup:
            start, samples = clock(), 0
    return samples / (clock() - start)
    ### END SOLUTION


# %%
check("03.9")

# %% [markdown]
# Now measure four loaders: small images (32 × 32) cut out of a tensor as whole batches (`data.Batches`, lab 08's); the same one by one through your `Loader`; one by one as PIL images through torchvision's transforms; and photographs from files.

# %% tags=["demo"]
small = data.cifar10()
per_image = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(data.MEAN, data.STD)])
part = torch.arange(3000)
candidates = {
    "whole batches from a tensor (Batches)": data.Batches(small.train_images[:10000], small.train_labels[:10000], batch_size=250, shuffle=True),
    "tensors one by one (Loader)": LabLoader(TensorDataset(small.train_images[part].float() / 255, small.train_labels[part]), batch_size=250),
    "PIL images, transformed (DataLoader)": DataLoader(torch.utils.data.Subset(data.CIFAR10Dataset(transform=per_image), part.tolist()), batch_size=250),
    "JPEG files, augmented (DataLoader)": DataLoader(ImageFolder(insects / "train", transform=train_transform), batch_size=32),
}
try:
    speeds = {name: throughput(batches) for name, batches in candidates.items()}
    figure, ax = plotting.subplots(size=(8, 2.6))
    ax.scatter(list(speeds.values()), list(speeds), color=plotting.PALETTE[: len(speeds)], s=60)
    for row, speed in enumerate(speeds.values()):
        ax.annotate(f"{speed:,.0f}", (speed, row), xytext=(8, 0), textcoords="offset points", va="center")
    ax.set(xscale="log", xlabel="images a second (log scale)", title="What a loader delivers on this machine")
    ax.set_xlim(min(speeds.values()) / 2, max(speeds.values()) * 6)
    ax.set_ylim(-0.5, len(speeds) - 0.5)
    ax.invert_yaxis()
    plotting.show(figure, alt="Dots: " + "; ".join(f"{name}: {speed:,.0f} images a second" for name, speed in speeds.items()))
except NotAttempted:
    print("Your measurement appears when you have solved exercise 03.9.")

# %% [markdown]
# On an idle machine with two cores, the first is about a thousand times as fast as the last. The slowest two pay for Python and for PIL, once per image; the first pays once per *batch*. So:
#
# - **The data fit into memory as bytes** (CIFAR-10: 180 MB; 50,000 photographs of 96 × 96: 1.4 GB): keep one uint8 tensor, cut out whole batches, normalize and augment whole batches. No loader will catch up.
# - **They do not fit**, or each image needs work of its own: a loader, and workers.
#
# ### Workers
#
# With `num_workers=2`, two more processes prepare batches while the main one trains. They cost time to start, at every `for` over the loader (unless `persistent_workers=True`), and each batch must travel from one process to the other.
# A worker is started by *fork* (a copy of the running process, in an instant; Linux before Python 3.14) or afresh, by *spawn* (macOS, Windows) or *forkserver* (Linux from 3.14): a new Python, which imports torch and receives the dataset as a pickle.
#
# So a dataset class **defined in a notebook** works with fork only: a fresh Python cannot import your notebook. Put it into a .py file. Here torchvision's is used, which can be imported anywhere. (The cell takes about 5 s.)

# %% tags=["demo"]
photo_files = ImageFolder(insects / "train", transform=train_transform)
methods = ["fork", "spawn"] if sys.platform == "linux" else ["spawn"]
settings = [("no workers", {}), *((f"2 workers, {method}", {"num_workers": 2, "multiprocessing_context": method}) for method in methods)]
print(f"{'':20}  {'first batch':>12}  {'all 256 images':>15}")
for name, options in settings:
    chosen = RandomSampler(photo_files, replacement=True, num_samples=256, generator=seeded())
    try:
        start, first_batch = time.perf_counter(), None
        for _ in DataLoader(photo_files, batch_size=16, sampler=chosen, **options):
            first_batch = first_batch or time.perf_counter() - start
        print(f"{name:20}  {first_batch:>10.2f} s  {time.perf_counter() - start:>13.2f} s")
    except (RuntimeError, OSError) as error:  # a container with little shared memory, a system that forbids processes
        print(f"{name:20}  could not run here: {str(error).splitlines()[0][:80]}")

# %% [markdown]
# Here they are worth nothing: the epoch is too short to pay for the start, and this course counts on two cores, which the model needs as well. Measured with two cores on the machine that made this page:
#
# | | first batch | all 256 photographs |
# | --- | --- | --- |
# | no workers | 0.01 s | 0.19 s |
# | 2 workers, fork | 0.09 s | 0.23 s |
# | 2 workers, spawn | 2.3 s | 3.4 s |
#
# Workers pay when an image takes long, the epoch is long, and cores are idle while a GPU computes. The labs of this course keep `num_workers=0`.
#
# ### Seeds in workers
#
# A worker gets a *copy* of the dataset. If the dataset holds a generator of random numbers, each worker has a copy of that, too. What follows? Here are two "workers" by hand, two copies for each epoch:


# %% tags=["demo"]
class Noisy:
    """Sample i is i, "augmented" by a random number from a generator that the dataset holds."""

    def __init__(self):
        self.generator = np.random.default_rng(0)

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return i, int(self.generator.integers(100))


dataset = Noisy()
for epoch in (1, 2):
    worker0, worker1 = copy.deepcopy(dataset), copy.deepcopy(dataset)
    print(f"epoch {epoch}:  worker 0 draws {[worker0[i][1] for i in (0, 1, 2, 3)]}   worker 1 draws {[worker1[i][1] for i in (4, 5, 6, 7)]}")

# %% [markdown]
# **The same augmentation in both workers, and again in each epoch**: the copies change, the original never does. Nothing fails; the augmentation is only much poorer than you think. And the real thing, in real processes. The loader's collate function runs in the workers, so a NumPy
# generator's `permutation` as `collate_fn` shows what each of them draws:

# %% tags=["demo"]
try:
    for epoch in (1, 2):
        workers = DataLoader(range(8), batch_size=4, num_workers=2, collate_fn=np.random.default_rng(0).permutation, multiprocessing_context=methods[0])
        first, second = workers
        print(f"epoch {epoch}:  worker 0 shuffles 0 1 2 3 → {first}   worker 1 shuffles 4 5 6 7 → {second}")
except (RuntimeError, OSError) as error:
    print("workers cannot run here:", str(error).splitlines()[0][:80])

# %% [markdown]
# Twice the same pattern. (For years NumPy's *global* generator, `np.random.rand()`, had this bug in nearly every project; since version 1.9 torch seeds it, Python's and its own global one in each worker, with a base seed + the worker's number, new in each epoch.) The cure:
# draw from the global generators inside of `__getitem__`, as torchvision's transforms do; or make your generator in the worker, from its seed:
#
# ```python
# def worker_init_fn(worker_id):
#     info = torch.utils.data.get_worker_info()  # None in the main process
#     info.dataset.generator = np.random.default_rng(info.seed)  # the base seed + worker_id
# ```
#
# With workers, "same seed, same result" also needs the same *number* of workers.
#
# ### Pinned memory
#
# A GPU fetches data from main memory by itself, while the processor does something else; but only from pages that the system promises not to move: **pinned** memory. From ordinary memory, the driver first copies into a pinned buffer of its own, and everybody waits.
# `DataLoader(pin_memory=True)` puts each batch into pinned memory; the other half is `x.to(device, non_blocking=True)`, which returns before the copy is done. Without a GPU it does nothing (but warn).

# %% tags=["demo"]
if torch.cuda.is_available():
    ordinary = torch.empty(256, 3, 224, 224)
    for name, tensor in (("ordinary", ordinary), ("pinned", ordinary.pin_memory())):
        tensor.to("cuda")
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(10):
            tensor.to("cuda", non_blocking=True)
        returned = time.perf_counter() - start
        torch.cuda.synchronize()
        print(f"{name:9} memory: back in Python after {100 * returned:6.2f} ms a batch, copied after {100 * (time.perf_counter() - start):6.2f} ms")
else:
    print("No CUDA device here, so nothing to pin for. On a machine with one, this cell measures the difference.")

# %% [markdown]
# ## Recap
#
# - Mini-batches: the noise falls like 1/√B, the cost per step rises like B; many rough steps beat one exact one.
# - Dataset: `len` and `[i]`, with a slot for a transform. Sampler: the order. Collate: samples → batch; pad what is of unequal length, keep the lengths. Loader: joins them; one `for` is one epoch.
# - Try to decode every file before training. What decodes may still be no ant: look.
# - Statistics come from the training split. Undo the normalization, and look at what goes in.
# - Split by group, then search for copies, mirrored ones too. A leak is worth points that nobody earned.
# - Augment the training images only, by what the task does not care about.
# - Measure the loader alone. If the data fit into memory, whole batches from one tensor win; workers cost time to start, and copy the dataset's generators.
#
# ## Read on
#
# - PyTorch, [torch.utils.data](https://docs.pytorch.org/docs/stable/data.html): samplers, collate, workers, their seeds, pinned memory.
# - torchvision, [Transforms v2](https://docs.pytorch.org/vision/stable/transforms.html), with a gallery.
# - Barz and Denzler, [Do we train on test data? Purging CIFAR of near-duplicates](https://arxiv.org/abs/1902.00423).
# - Szegedy et al., [Going deeper with convolutions](https://arxiv.org/abs/1409.4842): where the random crop of 8 % to 100 %, 3/4 to 4/3, comes from.
# - PyTorch, [Transfer learning for computer vision](https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html): the tutorial that the ants and bees come from.
#
# ## Hand in

# %%
hand_in("03")
