# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11 · Mixed inputs
#
# **You will be able to** prepare a table for a network (scale numbers, flag what is missing, embed categories) from the training rows alone; load an image and a table row as one sample; join two branches so that
# they can act on each other; measure which input a model's prediction rests on, in two ways, and say what each can and cannot tell.
#
# **Time** 150 min · **Know first** labs 03 (dataset, loader), 04 (modules) and 07 (`Learner`), or what they are about: each thing that is used is named with its lab
#
# How to work: run the cells from top to bottom. In an exercise, replace the line that raises `NotAttempted` by your code, run the cell, then run its check.

# %% tags=["setup"]
# (the build writes the setup cell here, the same in every lab)

# %%
import time
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from utils import data, plotting, runtime, training, widgets
from utils.callbacks import Device, Metrics, Schedule
from utils.checks import NotAttempted, check, hand_in, mine_or_reference, progress
from utils.events import Callback
from utils.parcels import CATEGORIES, NUMBERS, ROUTES, parcels

# %% [markdown]
# ## 1 · A picture and a row
#
# A sorting office gets parcels. Of each it has a picture, the last digit of the postcode as somebody wrote it, and a row of a table: country, service, shop, weight, declared value. Each parcel went to one of three hubs, or
# by courier. Which way will the next one go?
#
# The digits are real: the 5,000 that come with the course. **The table is simulated**, by a short program that you may read, `utils/parcels.py`, and the routes follow from a rule in it. So at the end you can compare what
# you find with what is true. Do not read it yet.

# %%
train_parcels, val_parcels, test_parcels = parcels()
print("parcels to train on, to choose by, and for the end:", len(train_parcels), len(val_parcels), len(test_parcels))

# %% tags=["demo"]
columns = (train_parcels.categories["country"], train_parcels.categories["service"], train_parcels.numbers["weight_kg"], train_parcels.routes)
captions = [f"{country or '?'}, {service}\n{weight:.1f} kg\n→ {ROUTES[route]}" for country, service, weight, route in zip(*(column[:12] for column in columns))]
figure = plotting.image_grid(train_parcels.images[:12], captions, title="Twelve parcels, and where they went", columns=4)
plotting.show(figure, alt="Twelve handwritten digits; above each the parcel's country, service and weight, and its route. One weight or another is nan.")

# %% [markdown]
# Can the digit alone tell? Take the digit as read (we have the labels of these images, a network would not), and see what came of each, country by country:

# %% tags=["demo"]
digit = data.mnist(full=False).train_labels[: len(train_parcels)].numpy()
figure, axes = plotting.subplots(1, 3, size=(11, 3.2), sharey=True)
for ax, country in zip(axes, ("DE", "FR", "PL")):
    chosen = train_parcels.categories["country"] == country
    shares = np.zeros((10, len(ROUTES)))
    np.add.at(shares, (digit[chosen], train_parcels.routes.numpy()[chosen]), 1)
    picture = ax.imshow(shares.T / shares.sum(1), vmin=0, vmax=1, cmap="cividis", aspect="auto")
    ax.set(xticks=range(10), xlabel="digit", yticks=range(len(ROUTES)), yticklabels=ROUTES, title=f"{country}: {chosen.sum()} parcels")
axes[0].set_ylabel("route")
figure.colorbar(picture, ax=axes, label="share of the digit's parcels")
plotting.show(figure, alt="Three tables of route against digit, for Germany, France and Poland. In each, a digit's parcels go mostly to one hub, and about a quarter by courier; which hub belongs to which digit differs between the countries.")

# %% [markdown]
# Within a country a digit means one hub. *Which* one, the country decides. And about a quarter go by courier, whatever the digit: the table may know why. So neither input is enough. A model has to look at both, and to
# let one change the meaning of the other.
#
# Before it can look, the table must become numbers. That is where most of the mistakes are made.

# %% [markdown]
# ## 2 · Numbers: scale, and what is missing
#
# Two columns of numbers. What do they look like?

# %% tags=["demo"]
figure, axes = plotting.subplots(2, 2, size=(9, 5))
for (plain, logarithm), name in zip(axes, NUMBERS):
    values = train_parcels.numbers[name]
    there = values[~np.isnan(values)]
    plain.hist(there, bins=60, color=plotting.PALETTE[0])
    plain.set(xlabel=name, ylabel="parcels", title=f"{name}: {len(values) - len(there)} of {len(values)} missing")
    logarithm.hist(np.log(there), bins=60, color=plotting.PALETTE[2])
    logarithm.set(xlabel=f"log {name}", ylabel="parcels", title="its logarithm")
plotting.show(figure, alt="Histograms of weight and value. Both are crowded near zero with a long tail to the right; the weights end abruptly at 30 kg. Their logarithms are bell-shaped, that of the weight cut off on the right.")

# %% [markdown]
# Both are **skewed**: most values small, a few very large, so that one parcel worth 2,000 € counts as much in a mean as fifty of 40 €. The logarithm makes ratios into distances, and the tail goes (the spikes at the left of log weight: the scale rounds to 0.1 kg). Then each column is scaled to mean 0 and
# spread 1 (lab 03 did so with pixels), so that kilograms and euros start with equal say.
#
# And about a tenth of both are missing. A network cannot eat NaN: one of them makes the loss NaN, and the first step all of the network's parameters. The usual repair is to put in the mean. Look at `weight_kg` again, though: the histogram ends at
# 30 kg, as if cut off. What happened to the parcels without a weight?

# %% tags=["demo"]
for name in NUMBERS:
    missing = np.isnan(train_parcels.numbers[name])
    for what, chosen in (("there", ~missing), ("missing", missing)):
        share = (train_parcels.routes.numpy()[chosen] == ROUTES.index("courier")).mean()
        print(f"{name:10} {what:8} {chosen.sum():5} parcels, {share:4.0%} by courier")

# %% [markdown]
# A missing `value_eur` says nothing. A missing `weight_kg` says nearly everything: the scale ends at 30 kg, and what is heavier goes by courier. (Statisticians say: values are not **missing at random**.) With the mean (of the logarithms) in its place, a parcel of
# 50 kg looks like one of 7. So keep the fact: beside the columns of numbers, one column of **flags** each, 1 where the value was missing.

# %% [markdown]
# ### Exercise 11.1 · A scaler with flags
# ●●○ · 15 min · 3 points
#
# `fit` looks at the training rows and keeps `mean` and `std` of each column, over the values that are there; calling the scaler with any rows then scales them, by *those* statistics. What is missing becomes 0, which is now the
# mean, and the flags come after the C scaled columns. A column that never varies in training gets std 1: its training rows become 0 (not NaN), a new row its distance from them.
#
# <details><summary>Hint 1</summary><code>numbers.isnan()</code> is the mask. <code>nanmean(dim=0)</code> leaves NaN out of a mean; the std is the root of the mean squared deviation, so it can be had by two of them.</details>
# <details><summary>Hint 2</summary>Scale first, with the NaN still in; then <code>masked_fill</code> the NaN with 0; then <code>torch.cat</code> with the mask as numbers of the same dtype, along dim 1.</details>
# <details><summary>It passes all but a constant column</summary>"Is the std 0?" is the wrong question: the mean of 100 times 0.1 is rounded, their std comes out as 7e-9, and 0.2 would become 13 million (a tiny number added to the std does the same). Ask whether the largest value is larger than the smallest, NaN aside: <code>numbers.nan_to_num(-torch.inf).amax(dim=0)</code> is the largest. Then <code>torch.where</code>.</details>


# %% exercise="11.1"
class Scaler:
    """Numbers in units of the training data's spread, and a flag for each missing one.

    Attributes:
        mean, std: float (C,), of the values that were there at `fit`; a constant column has std 1.
    """

    def fit(self, numbers: torch.Tensor) -> "Scaler":
        """Remember mean and standard deviation (biased: divided by n) of each column; NaN values are left out.

        Args:
            numbers: float (N, C), of the training split; NaN where a value is missing.
        Returns:
            the scaler itself.
        """
        ### BEGIN SOLUTION
        self.mean = numbers.nanmean(dim=0)
        std = (numbers - self.mean).square().nanmean(dim=0).sqrt()
        varies = numbers.nan_to_num(-torch.inf).amax(dim=0) > numbers.nan_to_num(torch.inf).amin(dim=0)
        self.std = torch.where(varies, std, 1.0)
        return self
        ### END SOLUTION

    def __call__(self, numbers: torch.Tensor) -> torch.Tensor:
        """(N, C) with NaN → (N, 2C), of the input's dtype: the scaled values, 0 where missing; then 1.0 where missing, else 0.0."""
        ### BEGIN SOLUTION
        missing = numbers.isnan()
        scaled = ((numbers - self.mean) / self.std).masked_fill(missing, 0.0)
        return torch.cat([scaled, missing.to(numbers.dtype)], dim=1)
        ### END SOLUTION


# %%
check("11.1")


# %%
Scaler = mine_or_reference("11.1", Scaler)


def numbers_of(some) -> torch.Tensor:
    """The columns of numbers, as logarithms: float32 (N, 2), NaN where missing."""
    return torch.stack([torch.from_numpy(some.numbers[name]) for name in NUMBERS], dim=1).log()


scaler = Scaler().fit(numbers_of(train_parcels))

# %% [markdown]
# Why must `fit` see the training rows only? The validation rows stand for parcels of tomorrow. Statistics that know them make the rehearsal easier than the performance. With 3,000 rows and a mean the gain is small. It is not always so: *any* column made with the help of the
# validation rows is a leak, and some are large. Below, each shop is replaced by the share of its parcels that went by courier (a *target encoding*, a popular trick), computed from the training rows, and from
# the rows on which it is then judged. The shop has nothing to do with the route. To leave no doubt, the routes are shuffled first, and 20 parcels judged at a time:

# %% tags=["demo"]
rng = np.random.RandomState(0)
courier = rng.permutation(train_parcels.routes.numpy() == ROUTES.index("courier"))
shop = train_parcels.categories["shop"]


def correlation(judged, seen) -> float:
    encoded = [courier[seen][shop[seen] == name].mean() for name in shop[judged]]
    return np.corrcoef(encoded, courier[judged])[0, 1]


days = np.arange(2000, 3000).reshape(50, 20)
days = [day for day in days if courier[day].any()]
print(f"correlation with the route, encoded from other rows:       {np.mean([correlation(day, np.arange(2000)) for day in days]):+.2f}")
print(f"correlation with the route, encoded from the rows judged:  {np.mean([correlation(day, day) for day in days]):+.2f}")

# %% [markdown]
# Nothing was there to be found, and the second line found it. Whatever is *fitted* (means, vocabularies, encodings, which columns to keep) is fitted on the training split.

# %% [markdown]
# ## 3 · Categories: numbers that are only names
#
# Country, service and shop are texts. Numbered by the alphabet, DE = 0, FR = 1, LU = 2: now FR would be the mean of DE and LU, which is nonsense. One column of 0 and 1 for each level (*one-hot*) claims no order. An
# **embedding** does the same, and goes one step on: each level has a row of a table of weights, and gets that row as its features. It is a linear layer on the one-hot columns, only looked up:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
table = nn.Embedding(6, 3)  # 6 levels, 3 features each
codes = torch.tensor([2, 5, 2])
print("looked up:", tuple(table(codes).shape), "| the same as one-hot @ weight:", torch.equal(table(codes), F.one_hot(codes, 6).float() @ table.weight))

# %% [markdown]
# The rows are weights like any other: they start at random, and training moves levels that act alike towards each other. But only levels that occur in training are ever moved. What else can come?

# %% tags=["demo"]
for name, part in {"training": train_parcels, "validation": val_parcels}.items():
    print(f"{name:11}", dict(Counter(part.categories["country"].tolist()).most_common()))

# %% [markdown]
# Two kinds of trouble. Sometimes nobody wrote a country down (`''`). And `LI` comes up only after training: a table with one row a known level raises `IndexError` the day it arrives, or worse, gives it the row of another. So two rows are kept free: **0 for unknown**, **1 for missing**. They are not the same: a level that
# is *unknown* is rare by nature; a *missing* one can be any, mostly a common one.
#
# One snag: if every level of the training set has its own row, row 0 is never trained, and a new level gets random numbers. So let rare levels of the training set share it: with a `min_count`, the unknown row learns what rare levels are like. (Below, 130 makes `LU` rare, with 104 parcels. Service and shop have no rare level: their rows 0 and 1 stay random, which does no harm as long as nothing new comes.)

# %% [markdown]
# ### Exercise 11.2 · A vocabulary
# ●○○ · 12 min · 2 points
#
# `Vocabulary(texts, min_count)` numbers the levels of one column; calling it turns texts into codes; its length is the number of rows that an embedding needs.
#
# <details><summary>Hint 1</summary><code>Counter(texts)</code> counts them. Which levels are kept? Not <code>""</code>, and not the rare. <code>sorted</code>, then numbered from 2.</details>
# <details><summary>Hint 2</summary>A dict from level to number; <code>""</code> can stand in it like a level. <code>dict.get</code> takes a second argument, for what is not there.</details>
# <details><summary>The codes are right, the length is not</summary>Rows 0 and 1 exist, whether or not the training texts had something unknown or missing.</details>


# %% exercise="11.2"
class Vocabulary:
    """Texts of one column as whole numbers: 0 unknown, 1 missing, then the levels in alphabetical order, from 2.

    Args:
        texts: of the training split; "" where nothing was written down.
        min_count: a level that comes up fewer times counts as unknown.
    """

    def __init__(self, texts: Iterable[str], min_count: int = 1):
        ### BEGIN SOLUTION
        counts = Counter(str(text) for text in texts)
        kept = sorted(level for level in counts if level and counts[level] >= min_count)
        self.number = {"": 1, **{level: number for number, level in enumerate(kept, start=2)}}
        ### END SOLUTION

    def __len__(self) -> int:
        """Rows that an embedding of this column needs."""
        ### BEGIN SOLUTION
        return len(self.number) + 1
        ### END SOLUTION

    def __call__(self, texts: Iterable[str]) -> torch.Tensor:
        """N texts → codes, int64 (N,)."""
        ### BEGIN SOLUTION
        return torch.tensor([self.number.get(str(text), 0) for text in texts], dtype=torch.int64)
        ### END SOLUTION


# %%
check("11.2")


# %%
Vocabulary = mine_or_reference("11.2", Vocabulary)
vocabularies = [Vocabulary(train_parcels.categories[name], min_count=130) for name in CATEGORIES[:2]]
vocabularies.append(Vocabulary(train_parcels.categories["shop"], min_count=20))
print("rows of the embeddings:", dict(zip(CATEGORIES, map(len, vocabularies))))


def categories_of(some) -> torch.Tensor:
    """The codes of the categorical columns: int64 (N, 3)."""
    return torch.stack([encode(some.categories[name]) for encode, name in zip(vocabularies, CATEGORIES)], dim=1)


# %% [markdown]
# ## 4 · One sample, three tensors
#
# A sample is now an image, three codes, four numbers (two values, two flags) and a label. How should a dataset hand them over? As in lab 03, as a pair (x, y), so that every loop that we have goes on working; only, x is a **dict**. A dict has names: a tuple of three tensors invites the day when two of them are swapped.

# %% [markdown]
# ### Exercise 11.3 · A dataset with three inputs
# ●○○ · 10 min · 2 points
#
# `dataset[i]` is `({"image": …, "categories": …, "numbers": …}, label)`, all of row i, the label an int. The transform, if there is one, is applied to the image. Refuse parts of different lengths: rows that have slipped by one raise no error later, the model just learns nothing.
#
# <details><summary>Hint 1</summary>Keep the five arguments in <code>__init__</code>; take row i of each in <code>__getitem__</code>. <code>images[i]</code> has shape (C, H, W).</details>
# <details><summary>Hint 2</summary><code>len({len(images), len(categories), …})</code> is 1 when all lengths agree; else <code>raise ValueError(…)</code>, not <code>assert</code>-and-forget.</details>
# <details><summary>It fails when there is no transform</summary>It is None then, and None cannot be called.</details>


# %% exercise="11.3"
class MixedDataset(Dataset):
    """Samples ({"image": …, "categories": …, "numbers": …}, label), aligned by row.

    Args:
        images: (N, C, H, W).
        categories: int64 (N, columns).
        numbers: float (N, columns).
        labels: int64 (N,).
        transform: applied to each image, if there is one.
    Raises:
        ValueError: the parts have different lengths.
    """

    def __init__(self, images, categories, numbers, labels, transform: Callable | None = None):
        ### BEGIN SOLUTION
        if not len(images) == len(categories) == len(numbers) == len(labels):
            raise ValueError("images, categories, numbers and labels have different lengths")
        self.images, self.categories, self.numbers, self.labels = images, categories, numbers, labels
        self.transform = transform
        ### END SOLUTION

    def __len__(self) -> int:
        ### BEGIN SOLUTION
        return len(self.labels)
        ### END SOLUTION

    def __getitem__(self, i: int) -> tuple[dict[str, torch.Tensor], int]:
        ### BEGIN SOLUTION
        image = self.images[i]
        if self.transform is not None:
            image = self.transform(image)
        return {"image": image, "categories": self.categories[i], "numbers": self.numbers[i]}, int(self.labels[i])
        ### END SOLUTION


# %%
check("11.3")

# %% [markdown]
# A loader collects samples, and calls its `collate_fn` to make a batch of them. Lab 03's knew pairs of a tensor and a label. Samples now come as a list of dicts, and a model wants a dict of batches: the list is to be turned inside out.

# %% [markdown]
# ### Exercise 11.4 · Collate
# ●○○ · 8 min · 2 points
#
# `collate([(x₀, y₀), (x₁, y₁), …])` gives `(x, y)`: x a dict with the names of the samples' dicts, each a tensor with a new first dimension; y int64 (B,). Do not count on the three names of this lab.
#
# <details><summary>Hint 1</summary><code>zip(*samples)</code> separates inputs and labels. Any sample's dict has the names.</details>
# <details><summary>Hint 2</summary>For each name, <code>torch.stack</code> that entry of all samples.</details>
# <details><summary>The shapes are (B·C, H, W), not (B, C, H, W)</summary><code>torch.cat</code> joins along a dimension that is there; <code>torch.stack</code> makes a new one.</details>


# %% exercise="11.4"
def collate(samples: list[tuple[dict[str, torch.Tensor], int]]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """A batch of samples.

    Args:
        samples: B pairs (dict of tensors, label), all with the same names and shapes.
    Returns:
        x, a dict of tensors (B, …) under the same names; y, int64 (B,).
    """
    ### BEGIN SOLUTION
    xs, ys = zip(*samples)
    return {name: torch.stack([x[name] for x in xs]) for name in xs[0]}, torch.tensor(ys)
    ### END SOLUTION


# %%
check("11.4")

# %% [markdown]
# (`torch.utils.data.default_collate` does this for any nesting of dicts, lists and tuples; a `DataLoader` uses it unless told otherwise.) Now all parts of lab 03 stand in a row: dataset, transform, sampler (here the loader's own, `shuffle=True`), collate, loader. The transform pads the digit and crops it at random, so that it
# stands a little to the left or right each time. It touches the training images, and no others; and only the images: what would a random shift of a weight mean?

# %%
MixedDataset = mine_or_reference("11.3", MixedDataset)
collate = mine_or_reference("11.4", collate)


def dataset_of(some, transform=None, numbers=None) -> Dataset:
    images = data.normalize(some.images, (data.MNIST_MEAN,), (data.MNIST_STD,))
    numbers = scaler(numbers_of(some)) if numbers is None else numbers
    return MixedDataset(images, categories_of(some), numbers, some.routes, transform)


black = -data.MNIST_MEAN / data.MNIST_STD  # of a normalized image


def shift(image: torch.Tensor) -> torch.Tensor:
    """As v2.RandomCrop(28, padding=2, fill=black), without what that does for other kinds of images: three times as fast."""
    top, left = torch.randint(5, (2,)).tolist()
    return F.pad(image, (2, 2, 2, 2), value=black)[:, top : top + 28, left : left + 28]


train_set, val_set, test_set = dataset_of(train_parcels, shift), dataset_of(val_parcels), dataset_of(test_parcels)
x, y = next(iter(DataLoader(train_set, batch_size=64, shuffle=True, collate_fn=collate)))
for name, part in x.items():
    print(f"{name:10} {str(part.dtype):13} {tuple(part.shape)}")
print(f"labels     {str(y.dtype):13} {tuple(y.shape)}")

# %% [markdown]
# Look at what the network will see, as always. Row i of the image and row i of the table must still be the same parcel (the country says what its digit means, see the tables in § 1):

# %% tags=["demo"]
pictures = data.unnormalize(x["image"], (data.MNIST_MEAN,), (data.MNIST_STD,))
countries = {code: name or "?" for name in ("DE", "FR", "PL", "") for code in vocabularies[0]([name]).tolist()}
flagged = int(x["numbers"][:, 2].argmax())  # at least one without a weight
rows = [flagged, *(i for i in range(8) if i != flagged)][:8]
captions = [f"{codes.tolist()} {countries.get(int(codes[0]), 'rare')}\n{numbers[0]:+.1f} {numbers[1]:+.1f} | {numbers[2]:.0f} {numbers[3]:.0f}\n{ROUTES[route]}" for codes, numbers, route in zip(x["categories"][rows], x["numbers"][rows], y[rows])]
figure = plotting.image_grid(pictures[rows], captions, title="Codes and country, scaled numbers | flags", columns=4)
plotting.show(figure, alt="Eight digits, shifted a little, each with its three codes, its country, two scaled numbers, two flags and its route. The first has no weight: its flag is 1.")

# %% [markdown]
# ## 5 · A branch for each input
#
# A **branch** turns one input into a row of features. For the image a small convolutional network will do (lab 04 built larger ones): two convolutions, then a linear layer to 64 features. Each branch gets the whole dict, and takes from it what is its own; so a branch alone,
# with a layer or two on top (a **head**) that turn features into logits, is a model, and will be our comparison.


# %%
class ImageBranch(nn.Module):
    """A grey 28 × 28 image → `features` numbers, none below 0. Looks at `x["image"]` only."""

    def __init__(self, features: int = 64):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU(),  # 28 → 14 pixels a side
            nn.Conv2d(16, 32, kernel_size=3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),  # 14 → 7
            nn.Flatten(), nn.Linear(32 * 7 * 7, features), nn.ReLU(),
        )

    def forward(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.layers(x["image"])


# %% [markdown]
# The branch for the table is yours.

# %% [markdown]
# ### Exercise 11.5 · A branch for the table
# ●●○ · 15 min · 3 points
#
# One embedding for each categorical column; their outputs side by side, in the columns' order, and the numbers last; a linear layer; ReLU.
#
# <details><summary>Hint 1</summary>The number of columns is not fixed, so the embeddings go into an <code>nn.ModuleList</code> (in a plain list PyTorch does not find them: lab 04). How many inputs has the linear layer? All widths, and the numbers.</details>
# <details><summary>Hint 2</summary>Column i of the codes is <code>x["categories"][:, i]</code>, shape (B,); embedding i makes (B, widths[i]) of it. <code>torch.cat([…, x["numbers"]], dim=1)</code>.</details>
# <details><summary>IndexError: index out of range in self</summary>A code is larger than the embedding has rows: column and embedding do not belong together.</details>


# %% exercise="11.5"
class TableBranch(nn.Module):
    """An embedding for each categorical column, beside the numbers; then one layer.

    Args:
        levels: rows of each embedding, one number a categorical column.
        widths: columns of each embedding.
        numbers: columns of `x["numbers"]`.
        features: numbers that come out, none below 0.

    The layers are `embeddings` (an nn.ModuleList) and `linear`.
    """

    def __init__(self, levels: list[int], widths: list[int], numbers: int, features: int = 32):
        super().__init__()
        ### BEGIN SOLUTION
        self.embeddings = nn.ModuleList(nn.Embedding(rows, width) for rows, width in zip(levels, widths))
        self.linear = nn.Linear(sum(widths) + numbers, features)
        ### END SOLUTION

    def forward(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        """A batch's dict, with "categories" int64 (B, columns) and "numbers" float (B, numbers) → float (B, features)."""
        ### BEGIN SOLUTION
        looked_up = [embedding(x["categories"][:, i]) for i, embedding in enumerate(self.embeddings)]
        return F.relu(self.linear(torch.cat([*looked_up, x["numbers"]], dim=1)))
        ### END SOLUTION


# %%
check("11.5")

# %% [markdown]
# How wide should an embedding be? There is no law. A level needs few numbers unless it acts in many ways; 2 to 8 do for a handful of levels, and a common rule of thumb is the fourth root of the number of levels, or a little more. Here: 4 for the country, 2 for the service, 4 for the shop.
#
# Now the first two models: each branch by itself. The training is lab 07's `Learner` with three callbacks, the rate goes up and down again in one cycle (lab 06), and one line was changed in it for this lab: where x is a dict, each of its parts is moved to the device.
# On two cores, a training with images takes 5 to 10 seconds here and below, the table alone about 1.

# %%
TableBranch = mine_or_reference("11.5", TableBranch)
LEVELS, WIDTHS = [len(vocabulary) for vocabulary in vocabularies], [4, 2, 4]


def image_branch() -> nn.Module:
    return ImageBranch(features=64)


def table_branch() -> nn.Module:
    return TableBranch(LEVELS, WIDTHS, numbers=4, features=32)


def with_head(branch: nn.Module, features: int) -> nn.Module:
    """One branch as a model of its own, with the same head as the joint model will have."""
    return nn.Sequential(branch, nn.Linear(features, 128), nn.ReLU(), nn.Linear(128, len(ROUTES)))


def learn(make: Callable, epochs: int, seed: int = 0, callbacks=(), sampler=None, sets=None) -> tuple[nn.Module, list[float]]:
    """Make a model and train it: (the model in evaluation mode, its validation accuracy after each epoch)."""
    generator = runtime.seed_everything(seed)
    model = make().to(runtime.device())
    train_part, val_part = sets or (train_set, val_set)
    batches = DataLoader(train_part, batch_size=64, shuffle=sampler is None, sampler=sampler, collate_fn=collate, generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=epochs * len(batches))
    val_batches = DataLoader(val_part, batch_size=500, collate_fn=collate)
    learner = training.Learner(model, batches, val_batches, nn.CrossEntropyLoss(), optimizer, [Device(), Metrics(accuracy=training.accuracy), Schedule(schedule), *callbacks])
    start = time.perf_counter()
    history = learner.fit(epochs)
    print(f"{time.perf_counter() - start:5.1f} s   training accuracy {history['train_accuracy'][-1]:.1%}   validation accuracy {history['val_accuracy'][-1]:.1%}")
    return model.eval(), history["val_accuracy"]


def everything(some_set) -> tuple[dict, torch.Tensor]:
    """A whole dataset as one batch, on the device."""
    x, y = next(iter(DataLoader(some_set, batch_size=len(some_set), collate_fn=collate)))
    return training.to_device(x, runtime.device()), y.to(runtime.device())


EPOCHS = runtime.quick_or_full(10, 30)  # 10 show who is ahead; more still help the joint model a little
histories, models = {}, {}

# %% tags=["demo"]
print("the image alone")
models["image"], histories["image alone"] = learn(lambda: with_head(image_branch(), 64), EPOCHS)
print("the table alone")
table_sets = dataset_of(train_parcels), val_set  # no shift: nobody looks at the images
models["table"], histories["table alone"] = learn(lambda: with_head(table_branch(), 32), EPOCHS, sets=table_sets)

# %% [markdown]
# Each knows something: always guessing the most common route would be right for about 30 %. Neither gets far beyond one half, and no longer training helps: what they would need is in the other input.
#
# While we are here: the table branch again, with the numbers as they are, no logarithm, no scaling:

# %% tags=["demo"]
def prepared(how: Callable) -> tuple[Dataset, Dataset]:
    """Training and validation set with the numbers prepared by `how`."""
    return dataset_of(train_parcels, numbers=how(train_parcels)), dataset_of(val_parcels, numbers=how(val_parcels))


def not_scaled(some) -> torch.Tensor:
    raw, mean = numbers_of(some).exp(), numbers_of(train_parcels).exp().nanmean(0)
    return torch.cat([torch.where(raw.isnan(), mean, raw), raw.isnan().float()], dim=1)


print("the table alone, in kilograms and euros")
_, without_scaling = learn(lambda: with_head(table_branch(), 32), EPOCHS, sets=prepared(not_scaled))
figure = plotting.curves({"logarithm, scaled": histories["table alone"], "as it is": without_scaling}, ylabel="validation accuracy", title="The table alone, prepared in two ways")
plotting.show(figure, alt="Validation accuracy of the table branch over the epochs, scaled and not scaled: not scaled, it is far behind in the first three epochs; in the end the two are about equal.")

# %% [markdown]
# Unscaled, the model loses the first epochs, in which the layer learns what a euro is; in the end there is no difference to speak of. AdamW gives each weight its own pace (lab 06), which forgives much. With plain SGD, or with columns of very different
# units, an unscaled column can stop a training altogether. It costs one line; do it.
#
# And what are the flags worth? Once more, with the two columns of flags set to 0, so that a missing weight is an average weight and nothing says otherwise:

# %% tags=["demo"]
def no_flags(some) -> torch.Tensor:
    return scaler(numbers_of(some)) * torch.tensor([1.0, 1.0, 0.0, 0.0])


print("the table alone, without flags")
sets = prepared(no_flags)
without_flags, _ = learn(lambda: with_head(table_branch(), 32), EPOCHS, sets=sets)
for name, model, some_set in (("with", models["table"], val_set), ("without", without_flags, sets[1])):
    x, y = everything(some_set)
    not_weighed = everything(val_set)[0]["numbers"][:, 2] == 1
    with torch.no_grad():
        right = (model(x).argmax(1) == y)[not_weighed].float().mean()
    print(f"{name:7} flags: {right:.0%} right of the {int(not_weighed.sum())} parcels without a weight")

# %% [markdown]
# About a tenth of the parcels has no weight, and of these most go by courier; without the flag they look like the most ordinary parcels there are.
#
# ## 6 · Joined
#
# The simplest way to use both: add the two models' logits, and train the sum. Each branch has its say, and neither knows what the other has seen.


# %% tags=["demo"]
class SumOfLogits(nn.Module):
    def __init__(self):
        super().__init__()
        self.image, self.table = with_head(image_branch(), 64), with_head(table_branch(), 32)

    def forward(self, x):
        return self.image(x) + self.table(x)


models["sum"], histories["sum of logits"] = learn(SumOfLogits, EPOCHS)

# %% [markdown]
# Better, and far from good. In a sum, the digit 1 adds the same to "hub north" whether the parcel is German or French. The rule says something else: the country decides what a 1 *means*. That is an **interaction**, and no sum of a function of the image and a function of the table can express it. (Features side by side,
# with one linear layer on top, are such a sum: the layer has some weights for the one and some for the other.)
#
# So the branches must meet *before* a nonlinearity. Put their features side by side, and a hidden layer on top: now a unit can fire for "looks like a 1, and French".

# %% [markdown]
# ### Exercise 11.6 · The joint model
# ●●○ · 12 min · 2 points
#
# Keep the two branches as `image` and `table`; make `head`, an `nn.Sequential` of a linear layer to `hidden` units, a ReLU, and a linear layer to the classes. Forward: both branches, features side by side, the image's first, then the head.
#
# <details><summary>Hint 1</summary>Each branch takes the whole dict: <code>self.image(x)</code>, not <code>self.image(x["image"])</code>.</details>
# <details><summary>Hint 2</summary><code>torch.cat([…, …], dim=1)</code> of the two; <code>features</code> is the width of the result.</details>
# <details><summary>It fails at loading the weights</summary>The three parts must have the names image, table and head, and the head's linear layers stand at 0 and 2 of the <code>nn.Sequential</code>.</details>


# %% exercise="11.6"
class JointModel(nn.Module):
    """Two branches, their features side by side, and a head with a hidden layer above them.

    Args:
        image, table: modules that take the batch's dict and return float (B, features of the branch).
        features: of both branches together.
        hidden: units in which they meet.
        num_classes: K.

    The parts are `image`, `table` and `head`.
    """

    def __init__(self, image: nn.Module, table: nn.Module, features: int, hidden: int, num_classes: int):
        super().__init__()
        ### BEGIN SOLUTION
        self.image, self.table = image, table
        self.head = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))
        ### END SOLUTION

    def forward(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        """A batch's dict → logits, float (B, K)."""
        ### BEGIN SOLUTION
        features = torch.cat([self.image(x), self.table(x)], dim=1)
        return self.head(features)
        ### END SOLUTION


# %%
check("11.6")


# %%
JointModel = mine_or_reference("11.6", JointModel)


def joint_model() -> nn.Module:
    return JointModel(image_branch(), table_branch(), features=64 + 32, hidden=128, num_classes=len(ROUTES))



# %% tags=["demo"]
models["joint"], histories["joint"] = learn(joint_model, EPOCHS)
assert histories["joint"][-1] > max(histories["image alone"][-1], histories["table alone"][-1]) + 0.10

# %% tags=["demo"]
figure = plotting.curves(histories, ylabel="validation accuracy", title="One input, two inputs, two inputs that meet")
plotting.show(figure, alt="Validation accuracy over the epochs. Each branch alone stays near one half, the sum of logits near 70 %, the joint model climbs above 85 %.")

# %% [markdown]
# About half for each branch, about 70 % for the sum, more than 85 % for the joint model: the whole is more than its parts. Note when it rises: for the first two epochs it is no better than the sum. It has to learn to read digits from nothing but routes (nobody ever told it that there are ten), and what they mean
# in three countries. Is a difference of this size luck? Other starts: `python -m benchmarks.mixed`. And each accuracy from 1,000 parcels is uncertain by about ±3 points (twice √(p(1 − p)/1000)); from the sum to the joint model it is five times that.
#
# Where does the joint model still fail? By country:


# %% tags=["demo"]
def by_country(*chosen: str) -> None:
    x, y = everything(val_set)
    with torch.no_grad():
        right = {name: (models[name](x).argmax(1) == y).cpu().numpy() for name in chosen}
    country = val_parcels.categories["country"]
    for name in ("DE", "FR", "PL", "LU", "LI", ""):
        rows = country == name
        print(f"{name or '(none)':7} {(train_parcels.categories['country'] == name).sum():5} in training, {rows.sum():4} here", *(f"| {model} {hits[rows].mean():4.0%}" for model, hits in right.items()))


by_country("joint")

# %% [markdown]
# Poland has little more than half of France's parcels in training, and is served as well. That is what a shared branch does: reading digits is learned from *all* parcels; only what a digit means has to be learned country by country. And `LI`, never seen in training, goes the way of
# `LU`, because they share the row *unknown*: that was the use of `min_count`. It works because the new small country happens to act like the old one, which nothing guarantees. (Where twenty parcels stand in a line, one of them is five points.)
#
# Had the rare countries done badly, lab 03's sampler could draw them more often, say by the root of their share. It goes in where the loader's own order was, and neither dataset nor loop would notice:

# %% tags=["demo"]
country_codes = categories_of(train_parcels)[:, 0]
weights = 1 / country_codes.bincount()[country_codes].double().sqrt()
sampler = WeightedRandomSampler(weights, num_samples=len(weights), generator=torch.Generator().manual_seed(0))
for name, chosen in (("as they are", country_codes), ("as drawn", country_codes[list(sampler)])):
    print(f"{name:12}", *(f"| code {code}: {share:4.0%}" for code, share in enumerate((chosen.bincount() / len(chosen)).tolist())))

# %% [markdown]
# (`learn` above takes it: `learn(joint_model, EPOCHS, sampler=sampler)`. Here it gains nothing, as nothing was amiss.)

# %% [markdown]
# ## 7 · What does it rest on?
#
# The model uses both inputs, or it would not be that good. How much of each? And does it look at the shop, or at the value?
#
# Taking a branch away and training again, as above, tells what can be known *without* an input. It says nothing about *this* model. For that: leave the model as it is, and spoil one input. Zeros will not do: what is 0, a black image, a country called unknown? Rather give each parcel the image of *another* parcel: a real image,
# only the wrong one. What the accuracy loses is the **permutation importance** of the image. The same goes for single columns.

# %% [markdown]
# ### Exercise 11.7 · Permutation importance
# ●●○ · 18 min · 3 points
#
# `columns` says what to exchange: `{"image": []}` the whole image, `{"numbers": [0, 2]}` columns 0 and 2 of the numbers. In these, row i gets the values of row `order[i]`; all else stays, the labels too. Return accuracy before minus accuracy after. Measure in evaluation mode, leave the model's mode and `x` as they were.
#
# <details><summary>Hint 1</summary>Start from <code>dict(x)</code>, a new dict with the same tensors. For each name in <code>columns</code>, put a new tensor in: a clone, before you write into it.</details>
# <details><summary>Hint 2</summary><code>part[order]</code> has the rows exchanged. With a list of columns, only those go into the clone: <code>[:, chosen]</code> on both sides.</details>
# <details><summary>The result is right, but an input was changed</summary><code>dict(x)</code> copies the dict, not its tensors.</details>


# %% exercise="11.7"
def permutation_drop(model: nn.Module, x: dict[str, torch.Tensor], y: torch.Tensor, columns: dict[str, list[int]], order: torch.Tensor) -> float:
    """How much accuracy a model loses when some inputs come from other samples' rows.

    Args:
        model: takes x, returns logits (N, K); left in the mode in which it was.
        x: dict of tensors with N rows each; not changed.
        y: int64 (N,).
        columns: name of a part of x -> its columns to exchange; an empty list means the whole part.
        order: int64 (N,), a permutation of the rows: the same for all columns, so that they stay together.
    Returns:
        accuracy before − accuracy after, from −1 to 1.
    """
    ### BEGIN SOLUTION
    spoiled = dict(x)
    for name, chosen in columns.items():
        other = x[name][order]
        if chosen:
            spoiled[name] = x[name].clone()
            spoiled[name][:, chosen] = other[:, chosen]
        else:
            spoiled[name] = other
    was_training = model.training
    model.eval()
    with torch.no_grad():
        before, after = [(model(inputs).argmax(dim=1) == y).double().mean().item() for inputs in (x, spoiled)]
    model.train(was_training)
    return before - after
    ### END SOLUTION


# %%
check("11.7")


# %%
permutation_drop = mine_or_reference("11.7", permutation_drop)

# %% [markdown]
# A value and its flag are one fact, so they are exchanged together. Three random orders each (some seconds), on the validation parcels: on parcels that the model was trained on, it would also show what it learned by heart.

# %% tags=["demo"]
x, y = everything(val_set)
inputs = {"image": {"image": []}, "whole table": {"categories": [], "numbers": []}}
inputs |= {name: {"categories": [i]} for i, name in enumerate(CATEGORIES)} | {name: {"numbers": [i, i + 2]} for i, name in enumerate(NUMBERS)}
generator = torch.Generator().manual_seed(0)
orders = [torch.randperm(len(y), generator=generator).to(y.device) for _ in range(3)]
drops = {name: [permutation_drop(models["joint"], x, y, columns, order) for order in orders] for name, columns in inputs.items()}
figure, ax = plotting.subplots(size=(7, 3.2))
means, spreads = [np.mean(d) for d in drops.values()], [np.std(d) for d in drops.values()]
ax.barh(list(drops), means, xerr=spreads, color=[plotting.PALETTE[1], plotting.PALETTE[0], *[plotting.PALETTE[5]] * 5])
ax.invert_yaxis()
ax.set(xlabel="accuracy lost when it is another parcel's", ylabel="input", title="Permutation importance in the joint model")
plotting.show(figure, alt="Bars of the accuracy lost: " + ", ".join(f"{name} {mean:.2f}" for name, mean in zip(drops, means)) + ".")

# %% [markdown]
# The image is worth about 40 points, the table about 50. Together that is more than the model is better than chance: each is needed for the other to be of use, so each gets the credit for both. In the table it is country, weight and service; shop and value are worth next to nothing, as they should.
#
# Two warnings. Exchanged rows can make parcels that do not exist (an express parcel of a shop that has none). And where two columns say the same, exchanging one hurts little, because the other is still there: *both* look unimportant. Exchange them together, then.

# %% [markdown]
# ## 8 · Gradients by branch
#
# Permutation tells about the model on the whole. For *one* parcel: what did the prediction rest on? Ask the gradient. The branches' features are where the two inputs still stand apart. How would the winning logit change if one feature became a little smaller, relative to its size? To first order in proportion to feature times gradient. Of all features of a branch: features ⊙ gradient
# (⊙: element by element). In its sum pluses and minuses would cancel, so take the norm: a measure of what that branch does to the prediction.

# %% [markdown]
# ### Exercise 11.8 · What each branch does to the logit
# ●●● · 20 min · 3 points
#
# For every sample, for both branches: ‖features ⊙ ∂(largest logit)/∂features‖, the Euclidean norm. In evaluation mode; leave the model's mode, and the `.grad` of its parameters, as they were.
#
# <details><summary>Hint 1</summary>Compute the two branches' features, make them leaves (<code>.detach().requires_grad_()</code>), and go on from there with <code>model.head</code>.</details>
# <details><summary>Hint 2</summary>Add up the samples' largest logits: the sum's gradient on a sample's features is that of the sample's own. <code>torch.autograd.grad(number, [a, b])</code> returns both gradients, and writes into no <code>.grad</code>.</details>
# <details><summary>The plain case passes, the one with dropout does not</summary>Was the model in evaluation mode when it was asked? And is it afterwards in the mode in which it came?</details>


# %% exercise="11.8"
def branch_gradients(model: nn.Module, x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What each branch's features do to the winning logit, to first order: ‖features ⊙ gradient‖.

    Args:
        model: a joint model, with `image`, `table` and `head`; its mode and the `.grad` of its parameters stay as they are.
        x: N samples.
    Returns:
        {"image": float (N,), "table": float (N,)}.
    """
    ### BEGIN SOLUTION
    was_training = model.training
    model.eval()
    image = model.image(x).detach().requires_grad_()
    table = model.table(x).detach().requires_grad_()
    winner = model.head(torch.cat([image, table], dim=1)).max(dim=1).values
    slopes = torch.autograd.grad(winner.sum(), [image, table])
    model.train(was_training)
    return {name: (part.detach() * slope).norm(dim=1) for name, part, slope in zip(("image", "table"), (image, table), slopes)}
    ### END SOLUTION


# %%
check("11.8")


# %%
branch_gradients = mine_or_reference("11.8", branch_gradients)

# %% [markdown]
# The image's part of the two, for the validation parcels, once for those that the model sends by courier and once for those that it sends to a hub:

# %% tags=["demo"]
sizes = branch_gradients(models["joint"], x)
share = (sizes["image"] / (sizes["image"] + sizes["table"])).cpu()
with torch.no_grad():
    by_courier = (models["joint"](x).argmax(1) == ROUTES.index("courier")).cpu()
figure, ax = plotting.subplots(size=(6, 3.2))
for name, chosen, color in (("to a hub", ~by_courier, plotting.PALETTE[0]), ("by courier", by_courier, plotting.PALETTE[1])):
    ax.hist(share[chosen].numpy(), bins=np.linspace(0, 1, 31), density=True, alpha=0.7, color=color, label=f"{name}: mean {share[chosen].mean():.2f}")
ax.set(xlabel="the image's share of the two norms", ylabel="density of parcels", title="What the winning logit rests on")
ax.legend(frameon=False)
plotting.show(figure, alt=f"Two histograms of the image's share: parcels sent to a hub have a mean of {share[~by_courier].mean():.2f}, those sent by courier {share[by_courier].mean():.2f}.")

# %% [markdown]
# The model was told nothing about couriers, and yet: for a hub it looks at the digit more, for the courier at the table. Check it against permutation, which needs no calculus: does exchanging the image hurt the parcels that the model sends by courier?

# %% tags=["demo"]
generator = torch.Generator().manual_seed(0)
for name, chosen in (("to a hub", ~by_courier), ("by courier", by_courier)):
    chosen = chosen.to(y.device)
    part = {key: value[chosen] for key, value in x.items()}
    orders = [torch.randperm(int(chosen.sum()), generator=generator).to(y.device) for _ in range(3)]
    lost = {key: np.mean([permutation_drop(models["joint"], part, y[chosen], inputs[key], order) for order in orders]) for key in ("image", "whole table")}
    print(f"parcels sent {name:10}", *(f"| {key} exchanged among them: {value:+.1%}" for key, value in lost.items()))

# %% [markdown]
# The two measures need not agree. A gradient speaks of small changes at one point: where a ReLU is shut, or a prediction is sure, it can be small though the input matters. An exchange is a large change, and an average. (Exchanged *among* those by courier, the table loses little: other parcels by courier have heavy weights and the word express, too. Say
# always among whom you exchange.) Lab 10 has more such measures for images, and more ways for them to mislead.

# %% [markdown]
# ### When an input does not come
#
# One day the camera fails. What does the joint model do with a black image? It has never seen one. **Modality dropout** prepares it: in training, replace the whole image of a random part of the samples by black. With lab 07's callbacks that is six lines, and the loop does not change:


# %% tags=["demo"]
class ImageDropout(Callback):
    """In training, a black image for each sample with probability p."""

    def __init__(self, p: float = 0.2):
        self.p = p

    def before_batch(self, learner):
        if learner.training:
            lost = torch.rand(len(learner.y), device=learner.x["image"].device) < self.p
            learner.x = {**learner.x, "image": learner.x["image"].masked_fill(lost[:, None, None, None], black)}


models["with dropout"], _ = learn(joint_model, EPOCHS, callbacks=[ImageDropout()])
no_camera = {**x, "image": torch.full_like(x["image"], black)}
with torch.no_grad():
    for name in ("joint", "with dropout", "table"):
        logits = models[name](no_camera)
        print(f"{name:12} with images: right {(models[name](x).argmax(1) == y).float().mean():.0%}; with black ones: right {(logits.argmax(1) == y).float().mean():.0%}, "
              f"sure of it {logits.softmax(1).max(1).values.mean():.0%}, loss {F.cross_entropy(logits, y):.2f}")

# %% [markdown]
# (*Sure of it*: the mean of the largest probability.) Without an image no model can be right much more often than the table branch, and none is; the training with black images does not change that. But the plain joint model does not know that it is blind: it is right
# about half of the time, and sure as if it were more. The one trained with black images is about as sure as it is right, and its loss is near the table branch's: the gain is there, not in accuracy. The price is a little accuracy with the camera, if any.

# %% [markdown]
# ## 9 · What if
#
# One parcel, in your hands. Change the country, and watch the bars move to another hub; set the service to express, and watch the digit lose its say; take the weight away. (The network in the picture is a joint model like yours, trained when the picture is first drawn: 5 to 10 seconds.)

# %% tags=["demo"]
widgets.what_if()

# %% [markdown]
# Now the test parcels, once. All choices (the preparation, the joining, the number of epochs) were made on the validation parcels, so these are still new:

# %% tags=["demo"]
test_x, test_y = everything(test_set)
with torch.no_grad():
    scores = {name: (models[name](test_x).argmax(1) == test_y).float().mean().item() for name in ("image", "table", "sum", "joint")}
print("  ".join(f"{name} {score:.1%}" for name, score in scores.items()))
assert scores["joint"] > max(scores["image"], scores["table"]) + 0.10

# %% [markdown]
# Then read `utils/parcels.py`. Did you find all of the rule: what goes by courier, what a digit means where, what does not matter? How near is the joint model to the best possible, with 3 parcels in 100 routed by error, and some weights and countries unknown?
#
# ## Recap
#
# - Everything fitted (mean, std, vocabulary, encoding) is fitted on the training split.
# - Missing values: a neutral number in their place, *and* a flag. That something is missing can be the best column of all.
# - Categories by embeddings, with rows for *unknown* and *missing*; rare levels share the unknown row, or it is never trained.
# - A sample is a dict of tensors; dataset, collate and model agree on its names; rows stay aligned.
# - Train each branch alone: that is what the joint model has to beat. Join features before a nonlinearity, or the inputs cannot act on each other.
# - Permutation tells what a model loses without an input; gradients by branch, what one prediction rests on. Neither is the truth about the world.
#
# ## Read on
#
# - Guo and Berkhahn, [Entity embeddings of categorical variables](https://arxiv.org/abs/1604.06737): embeddings for tables, and what they learn about German states.
# - Gorishniy, Rubachev, Khrulkov and Babenko, [Revisiting deep learning models for tabular data](https://arxiv.org/abs/2106.11959): which networks suit tables, and when trees do better.
# - Perez, Strub, de Vries, Dumoulin and Courville, [FiLM](https://arxiv.org/abs/1709.07871): another way to join: one input scales and shifts the features of the other.
# - Breiman, [Random forests](https://doi.org/10.1023/A:1010933404324): permutation importance, in its section 10.
# - PyTorch, [torch.utils.data](https://docs.pytorch.org/docs/stable/data.html): collating, and loaders for data of any structure.
#
# ## Hand in

# %%
hand_in("11")
