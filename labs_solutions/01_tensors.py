# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Tensors
#
# **You will be able to** make a tensor from anything; pick, join and combine tensors without a loop; read a shape error and mend it;
# say which tensors share memory before that surprises you; run the same code on a CPU and on a GPU.
#
# **Time** 120 min · **Know first** Python: functions, lists, slices. NumPy helps; it is not needed.
#
# How to work: run the cells from top to bottom with Shift+Enter. In an exercise, replace the line that raises `NotAttempted` (or the `...`) by
# your code, run the cell, then run its check. You may check as often as you like; the hints open with a click.

# %% tags=["setup"]
# (the build writes the setup cell here, the same in every lab)

# %%
import time

import numpy as np
import torch

from utils import plotting, runtime, standin, widgets
from utils.checks import NotAttempted, check, hand_in, progress

# %% [markdown]
# ## 1 · A picture is a grid of numbers
#
# A network sees no picture, no sentence and no sound: it sees numbers in a grid. Here are eight small pictures, and then
# the numbers in one corner of the first: one grid for its red, one for its green, one for its blue light, each from 0 (none) to 255 (full). The colours of the cells only repeat the numbers: bright is large.

# %% tags=["demo"]
pixels, labels = standin.images("train", 8)  # two NumPy arrays; the course draws these pictures itself
figure = plotting.image_grid(pixels, title="Eight pictures of 32 × 32 pixels")
plotting.show(figure, alt="Eight small drawings, of animals and vehicles, each 32 by 32 pixels.")

# %% tags=["demo"]
pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2)  # image, channel, row, column
figure = plotting.tensor_cells(
    pictures[0, :, :4, :5], title="The first picture's upper left corner: red [0], green [1], blue [2]"
)
plotting.show(
    figure,
    alt="Three grids of four rows and five columns of whole numbers, one grid for each colour channel.",
)

# %% [markdown]
# Such a grid, with numbers all of one kind, is a **tensor**. It may have any number of dimensions: the eight pictures are one tensor with four.
# Each tensor knows five things about itself:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
print("shape  ", tuple(pictures.shape))
print("ndim   ", pictures.ndim)
print("dtype  ", pictures.dtype)
print("device ", pictures.device)
print("stride ", pictures.stride())

# %% [markdown]
# | attribute | what it says | here |
# | --- | --- | --- |
# | `shape` (or `size()`) | the size of each dimension | 8 images, 3 channels, 32 rows, 32 columns. This order, (N, C, H, W), is the one torch uses for images |
# | `ndim` | how many dimensions there are | 4 |
# | `dtype` | the kind of number | `uint8`: whole numbers from 0 to 255, one byte each |
# | `device` | the memory it lies in | the CPU's; on a GPU it reads `cuda:0` |
# | `stride()` | how far apart neighbours lie in that memory, for each dimension | see section 8 |
#
# Four dtypes do nearly all the work in this course: `float32` for pixels, weights and scores; `int64` for labels and row numbers; `bool` for
# masks; `uint8` to store pixels in little space. To store only, as the next cell shows.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
bright = torch.tensor([100, 200], dtype=torch.uint8)
print("brighter by 100, in uint8:  ", (bright + 100).tolist())
print("brighter by 100, in float32:", (bright.float() + 100).tolist())

# %% [markdown]
# In `uint8`, 200 + 100 gives 44: the numbers start again at 0 after 255, with no warning. Make pixels floating point first, then calculate.
#
# ## 2 · Making tensors
#
# From **data**: nested lists, or a NumPy array. The dtype follows the data.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
print(torch.tensor([[1, 2, 3], [4, 5, 6]]).dtype)
print(torch.tensor([1, 2.5]).dtype)
print(torch.tensor([True, False]).dtype)
print(torch.tensor(np.array([1, 2.5])).dtype)
print(torch.tensor([1, 2, 3], dtype=torch.float32).dtype)

# %% [markdown]
# Python's `2.5` becomes `float32`, NumPy's becomes `float64`: a tensor from NumPy keeps NumPy's dtype. When an error later speaks of
# *Float and Double* or of *float != double* (a matrix product of the two; a sum says nothing and gives `float64`), an array probably came in like this; `.float()` mends it.
#
# From **another tensor**: the functions that end in `_like` take over its shape, its dtype and its device, unless you override them.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
table = torch.tensor([[1, 2, 3], [4, 5, 6]])
print(torch.ones_like(table))
dice = torch.rand_like(table, dtype=torch.float)  # shape kept, dtype overridden; torch.float is float32
print(dice.shape, dice.dtype)

# %% tags=["demo"]
try:
    torch.rand_like(table)  # whole numbers in [0, 1)? There is only 0
except RuntimeError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# From a **shape**: `zeros`, `ones`, `full`, and random numbers: `rand` (uniform in [0, 1)), `randn` (normal, mean 0, standard deviation 1),
# `randint`. Floating point is `float32` unless you say otherwise. `arange` and `linspace` count. `reshape` puts
# the same numbers, in the same order, into another shape; a -1 in it stands for the size that is left.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
shape = (2, 3)
print(torch.zeros(shape), torch.full(shape, 7.0), torch.eye(2), sep="\n")
print(torch.arange(0, 10, 2), torch.linspace(0, 1, 5), sep="\n")
print(torch.arange(6).reshape(2, 3), torch.arange(6).reshape(3, -1).shape, sep="\n")
print(torch.rand(shape).shape, torch.randn(2, 3).shape, torch.randint(0, 10, shape).dtype)

# %% [markdown]
# Random numbers come from a generator with a seed. After `runtime.seed_everything(0)` the same calls give the same numbers again, on the same machine with the same version of torch.
#
# ### Exercise 01.1 · Room to work in
# ●○○ · 5 min · 1 point
#
# Before a training step one often makes the tensors that the step will fill. Given a batch of images (of whatever dtype), return three:
# `blank`, zeros with the shape **and** dtype of the images; `noise`, uniform random numbers in [0, 1) with the shape of the images,
# `float32` whatever the images are; `counts`, a 1 for each image of the batch, `int64`.
#
# <details><summary>Hint 1</summary> Two of the three come from another tensor (<code>…_like</code>), one from a shape. Which?</details>
# <details><summary>Hint 2</summary> <code>zeros_like</code> keeps the dtype. <code>rand_like</code> keeps it too, unless you give it <code>dtype=</code>. <code>len(images)</code> is the number of images.</details>
# <details><summary>It says NotImplementedError: "check_uniform_bounds"</summary> You asked for uniform random numbers in <code>uint8</code>. Override the dtype.</details>


# %% exercise="01.1"
def buffers(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three tensors to work in, made to fit a batch of images.

    Args:
        images: (N, C, H, W), any dtype; N may be 0.
    Returns:
        blank: (N, C, H, W), the images' dtype, zeros.
        noise: (N, C, H, W), float32, uniform in [0, 1), new numbers at each call.
        counts: (N,), int64, ones.
    """
    ### BEGIN SOLUTION
    blank = torch.zeros_like(images)
    noise = torch.rand_like(images, dtype=torch.float32)
    counts = torch.ones(len(images), dtype=torch.int64)
    return blank, noise, counts
    ### END SOLUTION


# %%
check("01.1")

# %% [markdown]
# ## 3 · Picking
#
# Why: the third image, the red channel, every second row, the scores above a half, the right answer's score in each row. All of these are
# one expression in square brackets, with no loop. The frames show what each one picks.


# %% tags=["demo"]
def show_pick(text: str, *index) -> None:
    """Draw a 4 × 6 grid with the cells of grid[index] framed."""
    grid = torch.arange(24).reshape(4, 6)
    picked = torch.zeros(4, 6, dtype=torch.bool)
    picked[index] = True  # an index works on the left of = too: it writes there
    figure = plotting.tensor_cells(
        grid, title=f"grid[{text}]: shape {tuple(grid[index].shape)}", highlight=picked
    )
    plotting.show(figure, alt=f"A grid of 4 by 6 numbers; framed are {grid[index].flatten().tolist()}.")


show_pick("1", 1)
show_pick("1:3, ::2", slice(1, 3), slice(None, None, 2))
show_pick("[0, 1, 3], [5, 0, 2]", [0, 1, 3], [5, 0, 2])

# %% [markdown]
# - A **number** picks one entry and its dimension disappears: `grid[1]` has shape (6,). Negative numbers count from the end.
# - A **slice** `start:stop:step` picks a range, up to but not including `stop`, and the dimension stays. The step must be positive: `grid[::-1]` is an error (`grid.flip(0)` does it). `:` alone is all of it; `...` is "all the dimensions in between".
# - **Lists or tensors of numbers** in several places are taken *as pairs*: row 0 with column 5, row 1 with column 0, row 3 with column 2. Three pairs, three numbers; not a 3 × 3 block.
# - **One list** alone picks whole rows, in its order: `grid[[2, 0]]` is row 2, then row 0.
#
# Two more, without a picture: a **mask** (a bool tensor) picks where it is True, and `None` makes a new dimension of size 1.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
grid = torch.arange(24).reshape(4, 6)
print("grid[1]       ", tuple(grid[1].shape))
print("grid[1:2]     ", tuple(grid[1:2].shape))
print("grid[..., -1] ", grid[..., -1].tolist())
print("grid[grid>20] ", grid[grid > 20].tolist())
print("grid[:, None] ", tuple(grid[:, None].shape))
print("grid[[2, 0]]  ", grid[[2, 0]].tolist())
first, best = grid.float().max(dim=1)  # the largest of each row, and where it is
print("max           ", first.tolist(), "in columns", best.tolist())
print("gather        ", grid.gather(1, torch.tensor([[5], [0], [1], [2]])).tolist())

# %% [markdown]
# With `dim=1` the maximum is taken along each row, over the columns, and that dimension disappears (section 5): one result for each row. `max(dim=1)` returns two tensors, `argmax(dim=1)` the
# places alone. `gather(1, columns)` is another way to pick one column in each row: its index has as many dimensions as the tensor, and the result has the index's shape, (4, 1) here.
#
# ### Exercise 01.2 · Reading a table of scores
# ●●○ · 7 min · 2 points
#
# A classifier gives a score for each image (row) and class (column); the class with the highest score is its prediction, and `labels` says which class was right. Return
# `predicted`, the predicted class of each image; `true_scores`, the score that each image's *right* class got; `missed`, the rows of `scores` whose prediction is wrong.
#
# <details><summary>Hint 1</summary> One each: <code>argmax</code>, index pairs, a mask.</details>
# <details><summary>Hint 2</summary> For the right class's score you need the pairs (0, labels[0]), (1, labels[1]), …: the row numbers are <code>torch.arange(len(labels))</code>.</details>
# <details><summary>Hint 3</summary> Comparing two tensors of shape (N,) with <code>!=</code> gives a mask of shape (N,); a mask of that length picks rows.</details>
# <details><summary>true_scores comes out as (N, N)</summary> <code>:</code> says "all rows", for each of the labels. Pairs need a row number for each label.</details>


# %% exercise="01.2"
def read_scores(
    scores: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What a table of scores says about each image.

    Args:
        scores: (N, K) floating point; row i has the K classes' scores of image i.
        labels: (N,) int64 in 0 … K − 1, the right classes.
    Returns:
        predicted: (N,) int64, the class with the highest score.
        true_scores: (N,), the dtype of scores: the score of the right class.
        missed: (M, K), the rows of scores whose prediction is wrong, in order; M may be 0.
    """
    ### BEGIN SOLUTION
    predicted = scores.argmax(dim=1)
    true_scores = scores[torch.arange(len(labels)), labels]
    missed = scores[predicted != labels]
    return predicted, true_scores, missed
    ### END SOLUTION


# %%
check("01.2")

# %% [markdown]
# Index pairs also write. That is all it takes for a **one-hot** table: a row for each label, all 0 but for a 1 in the label's column.
# It turns "class 2" into numbers that a network can be compared with.

# %% tags=["demo"]
answers = torch.tensor([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
plotting.show(
    plotting.tensor_cells(answers, title="Labels 2, 0, 3, 2 as one-hot rows"),
    alt="A grid of 4 by 4: in the rows, the 1 stands in columns 2, 0, 3 and 2.",
)

# %% [markdown]
# ### Exercise 01.3 · One-hot by indexing
# ●○○ · 5 min · 1 point
#
# Write it with indexing: no loop is needed (`F.one_hot`, which you will meet later, does the same). Not every class need occur among the labels; its column is there all the same.
#
# <details><summary>Hint 1</summary> Start from zeros of the final shape, then write all the ones by a single assignment.</details>
# <details><summary>Hint 2</summary> The pairs are those of exercise 01.2. Another way: which rows of <code>torch.eye(num_classes)</code> do you need?</details>
# <details><summary>It passes the first case but fails on the second</summary> How many columns does your table have when the last classes do not occur? The labels cannot tell; <code>num_classes</code> does.</details>


# %% exercise="01.3"
def one_hot(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """A row for each label, with a 1 in the label's column.

    Args:
        labels: (N,) int64 in 0 … num_classes − 1; N may be 0.
        num_classes: number of columns.
    Returns:
        (N, num_classes) float32.
    """
    ### BEGIN SOLUTION
    table = torch.zeros(len(labels), num_classes)
    table[torch.arange(len(labels)), labels] = 1
    return table
    ### END SOLUTION


# %%
check("01.3")

# %% [markdown]
# ## 4 · Joining: `cat` and `stack`
#
# Two tensors of shape (2, 3), one with the tens and one with the units. There are two things that "put them together" can mean.

# %% tags=["demo"]
tens, units = torch.tensor([[10, 20, 30], [40, 50, 60]]), torch.tensor([[1, 2, 3], [4, 5, 6]])
for text, joined in (
    ("torch.cat([tens, units], dim=0)", torch.cat([tens, units], dim=0)),
    ("torch.stack([tens, units], dim=0)", torch.stack([tens, units], dim=0)),
):
    figure = plotting.tensor_cells(joined, title=f"{text}: shape {tuple(joined.shape)}")
    plotting.show(figure, alt=f"{text} gives {joined.tolist()}.")

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
for dim in range(2):
    print(f"cat   along dim {dim}:", tuple(torch.cat([tens, units], dim=dim).shape))
for dim in range(3):
    print(f"stack along dim {dim}:", tuple(torch.stack([tens, units], dim=dim).shape))

# %% [markdown]
# **`cat`** makes a dimension that is there longer: the sizes add up, and the number of dimensions stays. **`stack`** makes a new dimension, as
# long as the list, at the place that `dim` names. Single images become a batch by `stack`; two batches become one by `cat`.
# The other sizes must agree:

# %% tags=["demo"]
for operation in (torch.cat, torch.stack):
    try:
        operation([torch.zeros(2, 3), torch.zeros(2, 4)])
    except RuntimeError as error:
        print(f"{operation.__name__}: {error}")

# %% [markdown]
# ### Exercise 01.4 · `cat` or `stack`?
# ●●○ · 6 min · 2 points
#
# Two cameras, left and right, took N pictures each. Return `batch`, one batch with all the left pictures, then all the right ones; `wide`, N
# pictures in which left and right stand side by side, left first; `pairs`, in which `pairs[i]` is the pair (left picture i, right picture i).
#
# <details><summary>Hint 1</summary> For each, write the shape of the result first. Has it one dimension more than <code>left</code>, or is one of its sizes doubled?</details>
# <details><summary>Hint 2</summary> (2N, C, H, W), (N, C, H, 2W), (N, 2, C, H, W). The place of the doubled or new size is <code>dim</code>.</details>
# <details><summary>The shape is right but the values are not</summary> In <code>batch</code>, look at the order of the pictures. In <code>pairs</code> with N = 2, a new dimension at place 0 has the same shape as one at place 1.</details>


# %% exercise="01.4"
def join(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The pictures of two cameras, put together in three ways.

    Args:
        left, right: (N, C, H, W), the same shape and dtype.
    Returns:
        batch: (2N, C, H, W).
        wide: (N, C, H, 2W).
        pairs: (N, 2, C, H, W).
    """
    ### BEGIN SOLUTION
    batch = torch.cat([left, right], dim=0)
    wide = torch.cat([left, right], dim=-1)
    pairs = torch.stack([left, right], dim=1)
    return batch, wide, pairs
    ### END SOLUTION


# %%
check("01.4")

# %% [markdown]
# ## 5 · Reductions: which dimension disappears?
#
# A sum, a mean, a maximum takes many numbers and leaves fewer. Of all, or along one dimension: look at which numbers went into each result.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
sales = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])  # 2 shops, 3 days
print("sum()                   ", sales.sum().item())
print("sum(dim=0)              ", sales.sum(dim=0).tolist())
print("sum(dim=1)              ", sales.sum(dim=1).tolist())
print("sum(dim=1, keepdim=True)", sales.sum(dim=1, keepdim=True).tolist())
print("mean(dim=0)             ", sales.mean(dim=0).tolist())

# %% [markdown]
# **The `dim` that you give is the one that disappears.** `sum(dim=0)` adds over the shops, so the shops are gone and the three days are left. A mean *of each column* runs down
# the rows, so it is `dim=0`. `keepdim=True` leaves the dimension in place with size 1; the next section shows what that is good for. `dim` may also be a tuple: `pictures.float().mean(dim=(0, 2, 3))`
# is one mean for each colour channel. A negative `dim` counts from the end: -1 is the last. `amax(dim=…)` and `amin(dim=…)` give the largest and the smallest value along a dimension, `argmax` and `argmin` their places.
#
# Two things to know about `std` and `mean`. `std` divides by N − 1 unless you say `correction=0`. And a mean of whole numbers is refused:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
values = torch.tensor([1.0, 2.0, 3.0, 4.0])
print(f"std, divided by N - 1: {values.std().item():.4f}   by N: {values.std(correction=0).item():.4f}")

# %% tags=["demo"]
try:
    torch.tensor([1, 2, 3]).mean()
except (RuntimeError, NotImplementedError) as error:
    print(error)

# %% [markdown]
# ## 6 · Broadcasting
#
# To take each column's mean off a (4, 3) table, three means must meet twelve numbers. `table - means` simply works, although the shapes differ: the small
# tensor is used again for each row. Nothing is copied; torch reads the same numbers again. Move the sliders. Find two shapes that *both* stretch, and two that do not fit.

# %% tags=["demo"]
widgets.broadcasting()

# %% [markdown]
# This is **broadcasting**, and it has one rule. Write the shapes one under the other, **lined up on the right**. A missing size on the left counts as 1. Each pair of sizes must be
# equal, or one of the two must be 1; a 1 is stretched to the other size. Everything else is an error:

# %% tags=["demo"]
try:
    torch.zeros(4, 3) + torch.zeros(4)
except RuntimeError as error:
    print(error)

# %% [markdown]
# Read it as: *in dimension 1, 3 meets 4, and neither is 1*. (A "singleton" dimension has size 1.) If the 4 was meant to go down the rows, give it a dimension of size 1 on the right: (4, 1). Three ways to write that: `v[:, None]`, `v.unsqueeze(1)`, `v.reshape(4, 1)`; and
# `keepdim=True` when it comes out of a reduction.
#
# ### Exercise 01.5 · Predict, then run
# ●○○ · 5 min · 1 point
#
# Which shape comes out? Decide **before** you run anything: replace each `...` by a shape such as `(4, 3)`, without quotes, or by exactly `"error"`. Then check; for each one that surprises you, write the shapes one under the other.
#
# <details><summary>Hint 1</summary> Line up on the right. Fill gaps on the left with 1.</details>
# <details><summary>Hint 2</summary> The result has, in each place, the larger of the two sizes, if the smaller one is 1 or the same.</details>
# <details><summary>I think that p5 must be (4,)</summary> Fill the gap: (1, 4) against (4, 1). Both have a 1 that stretches.</details>

# %% exercise="01.5"
p1 = ...  # (4, 3) + (3,)
p2 = ...  # (4, 3) + (4,)
p3 = ...  # (4, 1) + (3,)
p4 = ...  # (5, 1, 4) * (3, 1)
p5 = ...  # (4,) - (4, 1)
p6 = ...  # (2, 3) + (3, 2)
### BEGIN SOLUTION
p1 = (4, 3)
p2 = "error"
p3 = (4, 3)
p4 = (5, 3, 4)
p5 = (4, 4)
p6 = "error"
### END SOLUTION

# %%
check("01.5")

# %% [markdown]
# `p5` deserves a second look: it runs, and gives something else than was meant. Predictions of shape (N, 1) minus targets of shape (N,) make an
# N × N table, and its mean looks like a loss. When a loss makes no sense, print the shapes.
#
# Now use it. The columns of a table often have very different sizes: age in years, height in metres. Bringing each column to mean 0 and standard deviation 1 is called
# **standardizing**.

# %% tags=["demo"]
runtime.seed_everything(0)
people = torch.stack(
    [torch.randn(6) * 12 + 45, torch.randn(6) * 0.1 + 1.7, torch.full((6,), 2.0)], dim=1
).round(decimals=2)
plotting.show(
    plotting.tensor_cells(people, title="Six people: age, height in metres, legs"),
    alt="A grid of six rows and three columns: ages of about 45, heights of about 1.7, and a column of twos.",
)
print("column means:", people.mean(dim=0).tolist())
print("column stds: ", people.std(dim=0, correction=0).tolist())

# %% [markdown]
# ### Exercise 01.6 · Standardize the columns
# ●●○ · 7 min · 2 points
#
# Subtract from each column its mean, and divide it by its standard deviation (the one with N, `correction=0`). A column whose values are all equal, like the legs, has nothing to divide by;
# it must come out as zeros, not as `nan`. Constant means: its largest value equals its smallest. Its standard deviation does not tell, because rounding can make it 0.00000001 in place of 0; and any other column, however small its spread, is standardized. Return a new tensor, leave `x` as it was.
#
# <details><summary>Hint 1</summary> Which <code>dim</code> must disappear so that one number for each column is left? Does that shape broadcast against (N, D)?</details>
# <details><summary>Hint 2</summary> In a constant column the differences from the mean are 0 already (up to rounding). Divided by 1, they stay so: put a 1 in the place of that standard deviation, through a mask (<code>std[mask] = 1</code>) or by <code>torch.where(mask, a, b)</code>, which takes a where the mask is True and b elsewhere.</details>
# <details><summary>A constant column comes out as 1, -1 or a huge number</summary> 0.1 is not exact in binary, so the mean of a column of 0.1 may be a little off; then the differences, the deviation you compute, or both are 0.00000001 in place of 0. Adding a small number to std hides that and spoils columns of small spread. Ask the column itself: are its largest and its smallest value (<code>amax</code>, <code>amin</code>) the same?</details>


# %% exercise="01.6"
def standardize(x: torch.Tensor) -> torch.Tensor:
    """Columns with mean 0 and standard deviation 1.

    Args:
        x: (N, D) floating point, N ≥ 1.
    Returns:
        (N, D), x's dtype; a constant column (largest value = smallest) becomes zeros, up to rounding.
    """
    ### BEGIN SOLUTION
    std = x.std(dim=0, correction=0)
    std[x.amax(dim=0) == x.amin(dim=0)] = 1
    return (x - x.mean(dim=0)) / std
    ### END SOLUTION


# %%
check("01.6")

# %% [markdown]
# The strongest use of broadcasting: *every a with every b*. A column of shape (4, 1) against a row of shape (1, 3) gives all 12 pairs.

# %% tags=["demo"]
towns_a, towns_b = torch.tensor([0, 2, 5, 9]), torch.tensor([1, 4, 10])  # kilometres along a road
apart = (towns_a[:, None] - towns_b[None, :]).abs()
plotting.show(
    plotting.tensor_cells(apart, title="Distance of a[i] (row) from b[j] (column)"),
    alt=f"A grid of 4 by 3 distances: {apart.tolist()}.",
)

# %% [markdown]
# ### Exercise 01.7 · All pairs at once
# ●●○ · 8 min · 2 points
#
# The same for points in D dimensions (no loop is needed): `a` has N points, `b` has M. Return the (N, M) table of **squared** distances, $\sum_d (a_{id} - b_{jd})^2$. A nearest-neighbour search is this table and an `argmin`.
#
# <details><summary>Hint 1</summary> First make all the differences: a tensor of shape (N, M, D). Which shapes must <code>a</code> and <code>b</code> have so that broadcasting makes it?</details>
# <details><summary>Hint 2</summary> (N, 1, D) against (1, M, D). Then square, and let the right dimension disappear.</details>
# <details><summary>It says "must match the size"</summary> <code>a - b</code> lines row i up with row i. Where N = M it even runs, and pairs row i with row i only. Print the shape of your differences: it must have three dimensions.</details>


# %% exercise="01.7"
def squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances of all pairs of rows.

    Args:
        a: (N, D) floating point.
        b: (M, D), a's dtype.
    Returns:
        (N, M); entry [i, j] belongs to a[i] and b[j].
    """
    ### BEGIN SOLUTION
    differences = a[:, None, :] - b[None, :, :]
    return differences.square().sum(dim=2)
    ### END SOLUTION


# %%
check("01.7")

# %% tags=["demo"]
progress("01")

# %% [markdown]
# ## 7 · Two products
#
# The same two tables, multiplied in two ways. Find out from the numbers what each one does.

# %% tags=["demo"]
left, right = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[10, 100], [1, 1000]])
products = torch.stack([left, right, left * right, left @ right])
figure = plotting.tensor_cells(products, title="left [0], right [1], left * right [2], left @ right [3]")
plotting.show(
    figure,
    alt="Four grids: left [[1, 2], [3, 4]], right [[10, 100], [1, 1000]], left * right [[10, 200], [3, 4000]], left @ right [[12, 2100], [34, 4300]].",
)

# %% [markdown]
# `*` multiplies **cell by cell**, and broadcasts. `@` is the **matrix product**: entry [i, j] is row i of the left times column j of the right, cell by cell, and *summed*:
# 12 = 1·10 + 2·1. The dimension that the two share disappears in the sum: (n, k) @ (k, m) → (n, m). Each has several spellings:
#
# | | operator | method | function | letters |
# | --- | --- | --- | --- | --- |
# | cell by cell | `a * b` | `a.mul(b)` | `torch.mul(a, b)` | `torch.einsum("ij,ij->ij", a, b)` |
# | matrix product | `a @ b` | `a.matmul(b)` | `torch.matmul(a, b)` | `torch.einsum("ik,kj->ij", a, b)` |
#
# With more than two dimensions, `@` multiplies the last two and treats those before them as a batch: (8, n, k) @ (8, k, m) is eight products at once.
#
# **`einsum`** spells a product out: a letter for each dimension of each tensor, and after the arrow the letters to keep. Letters that are not kept are summed over. `"ik,kj->ij"` says:
# multiply where the k agree, and sum over k.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
print(
    torch.equal(left @ right, torch.matmul(left, right)),
    torch.equal(left @ right, left.matmul(right)),
    torch.equal(left @ right, torch.einsum("ik,kj->ij", left, right)),
)
print(
    torch.equal(left * right, torch.mul(left, right)),
    torch.equal(left * right, left.mul(right)),
    torch.equal(left * right, torch.einsum("ij,ij->ij", left, right)),
)
print(
    "sum of all:",
    torch.einsum("ij->", left).item(),
    " columns:",
    torch.einsum("ij->j", left).tolist(),
    " transposed:",
    torch.einsum("ij->ji", left).tolist(),
)
print("a batch:   ", (torch.zeros(8, 5, 2) @ torch.zeros(8, 2, 3)).shape)

# %% tags=["demo"]
try:
    torch.zeros(2, 3) @ torch.zeros(2, 3)
except RuntimeError as error:
    print(error)

# %% [markdown]
# The message names the two shapes; the inner sizes, 3 and 2, are the ones that must be equal. Often one factor has to be transposed: `.T` (for a table only), or `.transpose(-2, -1)` for a batch of tables.
#
# ### Exercise 01.8 · Sums of products
# ●●○ · 8 min · 2 points
#
# `to_grey`: make colour images grey, as the weighted sum of their three channels (the eye sees green brighter than blue). `gram`: for each image, the table of products of its channels c and d, *summed over all pixels*; two
# channels that light up in the same places get a large entry. (The Gram matrix; style transfer compares pictures by it.)
#
# <details><summary>Hint 1</summary> Write the letters first: <code>n</code> image, <code>c</code> channel, <code>h</code> row, <code>w</code> column. Which ones does the result keep?</details>
# <details><summary>Hint 2</summary> Grey: <code>"nchw,c->…"</code>. Gram: the same features twice, with <code>d</code> for the second one's channels.</details>
# <details><summary>Hint 3, without einsum</summary> <code>weights[:, None, None]</code> lines up with the channels. <code>features.flatten(2)</code> makes one dimension of all from dimension 2 on, (N, C, H·W): multiply it with its own transpose of the last two dimensions.</details>
# <details><summary>It says "must match the size" in to_grey</summary> <code>images * weights</code> lines the weights up with the <em>last</em> dimension, the width. Were the width 3 as well, nothing would fail, and it would still be wrong.</details>


# %% exercise="01.8"
def to_grey(images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted sum of the channels.

    Args:
        images: (N, 3, H, W) floating point.
        weights: (3,), one for each channel; they add up to 1.
    Returns:
        (N, H, W).
    """
    ### BEGIN SOLUTION
    return torch.einsum("nchw,c->nhw", images, weights)
    ### END SOLUTION


def gram(features: torch.Tensor) -> torch.Tensor:
    """Products of all pairs of channels, summed over the pixels, for each image.

    Args:
        features: (N, C, H, W) floating point.
    Returns:
        (N, C, C); entry [n, c, d] is the sum over h, w of features[n, c, h, w] · features[n, d, h, w].
    """
    ### BEGIN SOLUTION
    return torch.einsum("nchw,ndhw->ncd", features, features)
    ### END SOLUTION


# %%
check("01.8")

# %% [markdown]
# ## 8 · Memory: views, copies, strides
#
# Why it matters: changing one tensor can change another one, and a `.view(…)` that worked yesterday fails today. Both have the same cause.
#
# First, change a tensor **in place**: methods whose name ends in `_` (`add_`, `mul_`, `zero_`, `copy_`), an assignment to an index, and `+=`.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
x = torch.zeros(3)
y = x  # a second name for the same tensor
x += 1  # in place
print("after x += 1:   ", y.tolist())
x = x + 1  # a new tensor, which now has the name x
print("after x = x + 1:", y.tolist())
y.mul_(5)
y[0] = -1
print("in place:       ", y.tolist(), " and x:", x.tolist())

# %% [markdown]
# Now the surprising part. Ten tensors are made from `a`, then `a` is set to zero. Which of the ten become zero as well? **Write your guess down**, then run the cell.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
a = torch.arange(1, 7).reshape(2, 3)
made = {
    "a[0]": a[0],
    "a[:, 1:]": a[:, 1:],
    "a[:, [1, 2]]": a[:, [1, 2]],
    "a[a > 2]": a[a > 2],
    "a.T": a.T,
    "a.reshape(3, 2)": a.reshape(3, 2),
    "a.T.reshape(6)": a.T.reshape(6),
    "a.to(torch.int64)": a.to(torch.int64),
    "a.float()": a.float(),
    "a.clone()": a.clone(),
}
a.zero_()
for name, tensor in made.items():
    print(f"{name:18}", "changed: shares memory" if tensor.eq(0).all() else "kept: a copy")

# %% [markdown]
# A tensor is two things: a run of numbers in memory, and a note how to read it (shape and strides). `a[0]`, a slice, `.T`, `permute`, `expand`, `view` write only
# a new note over the same numbers: a **view**. Lists of indices, masks, arithmetic and `clone()` make new numbers. `reshape`, `to`, `contiguous` and `flatten` do *whichever suffices*: a view where
# that is possible, else a copy. So never write through a `reshape`, and never rely on it for a copy.
#
# The note, seen: twelve numbers in memory, and a (3, 4) table over them. The column framed in the table is framed in memory too.

# %% tags=["demo"]
memory = torch.arange(12)
table = memory.view(3, 4)
column = torch.zeros(3, 4, dtype=torch.bool)
column[:, 1] = True
plotting.show(
    plotting.tensor_cells(
        table, title=f"table: shape {tuple(table.shape)}, strides {table.stride()}", highlight=column
    ),
    alt="A grid of 3 by 4 with the numbers 0 to 11; framed is the second column: 1, 5, 9.",
)
plotting.show(
    plotting.tensor_cells(memory, title="the same numbers in memory", highlight=column.flatten()),
    alt="The numbers 0 to 11 in one row; framed are 1, 5 and 9: every fourth.",
)

# %% [markdown]
# **Strides** (4, 1): one step down is 4 numbers further in memory, one step to the right is 1. Entry [i, j] is number 4·i + 1·j. A transpose swaps the strides and moves nothing.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
for text, tensor in (
    ("table", table),
    ("table.T", table.T),
    ("table[:, 1]", table[:, 1]),
    ("table[:, ::2]", table[:, ::2]),
    ("table[0].expand(5, 4)", table[0].expand(5, 4)),
):
    print(
        f"{text:22} shape {tuple(tensor.shape)!s:7} strides {tensor.stride()!s:7} contiguous: {tensor.is_contiguous()}"
    )
print(table.T.reshape(12).tolist())

# %% tags=["demo"]
try:
    table.T.view(12)
except RuntimeError as error:
    print(error)

# %% [markdown]
# A tensor is **contiguous** when reading it row by row walks through memory without a jump. `view` needs a note that can be written over the numbers as they lie; for one row of the twelve, after a transpose, there is
# none, hence the error. `reshape` then copies, as it did above, and `contiguous()` copies into the right order.
#
# Two strides that you have met already: `expand` is the broadcasting of section 6, and its stride 0 reads the same numbers five times. And the pictures of section 1 have strides (3072, 1, 96, 3): the NumPy array keeps
# the red, green and blue of a pixel side by side, and `permute` moved none of it.
#
# ### Exercise 01.9 · A window and a snapshot
# ●●○ · 6 min · 2 points
#
# Both functions give the same square of an image. What is written into a `window` must appear in the image; a `snapshot` must stay as it is whatever happens to the image later.
#
# <details><summary>Hint 1</summary> The window is one slice for the channels, one for the rows, one for the columns.</details>
# <details><summary>Hint 2</summary> Of the ways to copy in the list above, which one copies whatever the tensor looks like?</details>
# <details><summary>snapshot passes the first cases but fails on the last</summary> There the square is the whole image, so <code>contiguous()</code> has nothing to do and returns the image's own memory. Ask for a copy, not for something that may be one.</details>


# %% exercise="01.9"
def window(image: torch.Tensor, top: int, left: int, size: int) -> torch.Tensor:
    """A square of an image, sharing its memory.

    Args:
        image: (C, H, W).
        top, left: the square's first row and column, in pixels.
        size: its height and width, in pixels; it lies inside the image.
    Returns:
        (C, size, size), a view: writing into it writes into the image.
    """
    ### BEGIN SOLUTION
    return image[:, top : top + size, left : left + size]
    ### END SOLUTION


def snapshot(image: torch.Tensor, top: int, left: int, size: int) -> torch.Tensor:
    """The same square with memory of its own.

    Args:
        image, top, left, size: as for `window`.
    Returns:
        (C, size, size), a copy: changing the image later does not change it.
    """
    ### BEGIN SOLUTION
    return window(image, top, left, size).clone()
    ### END SOLUTION


# %%
check("01.9")

# %% [markdown]
# `reshape` splits and joins dimensions and never reorders numbers; `permute` reorders dimensions and never splits one. Used in turn they cut a picture into patches. A 4 × 6 image and 2 × 2 patches:

# %% tags=["demo"]
image = torch.arange(24).reshape(4, 6)
first = torch.zeros(4, 6, dtype=torch.bool)
first[:2, :2] = True
plotting.show(
    plotting.tensor_cells(image, title="A 4 × 6 image; framed is the first 2 × 2 patch", highlight=first),
    alt="A grid of 4 by 6 with the numbers 0 to 23; framed are 0, 1, 6 and 7.",
)
print("image.reshape(6, 2, 2)[0] is not it:", image.reshape(6, 2, 2)[0].tolist())
split = image.reshape(2, 2, 3, 2)  # row of patches, y in the patch, column of patches, x in the patch
print("split[0, :, 0] is:                  ", split[0, :, 0].tolist())
squares = split.permute(0, 2, 1, 3).reshape(
    6, 2, 2
)  # row of patches, column of patches, y, x; then one number for both
print("squares[0], squares[1]:             ", squares[0].tolist(), squares[1].tolist())

# %% [markdown]
# `split` has both patch numbers and both places within the patch as dimensions of their own, in the wrong order: patch row, **y**, patch column, **x**. What is left is to bring the two patch numbers to the front (`permute`),
# and to make one number of the two (`reshape`). In `permute` the k-th number says which old dimension comes k-th: `permute(0, 2, 1, 3)` keeps the first and the last, and swaps the two between.
#
# ### Exercise 01.10 · Patches and back
# ●●● · 12 min · 3 points
#
# A vision transformer reads an image as a sequence of patches. Cut each image of a batch into squares, row by row as one reads (`to_patches`), and put such squares together again (`from_patches`); no loop is needed. The two sides of an image may differ; `size` divides both.
#
# <details><summary>Hint 1</summary> Split: (N, C, H, W) → (N, C, H/p, p, W/p, p). Name the six dimensions on paper: n, c, patch row, y, patch column, x.</details>
# <details><summary>Hint 2</summary> Wanted: n, patch row, patch column, c, y, x. Write for each where it stood before: that is the argument of <code>permute</code>. A last <code>reshape</code> makes one dimension of the two patch numbers.</details>
# <details><summary>Hint 3</summary> Back, the same steps in reverse order: split the patch number into (H/p, W/p), permute to n, c, patch row, y, patch column, x, reshape to (N, C, H, W).</details>
# <details><summary>It says "view size is not compatible"</summary> After <code>permute</code> the numbers do not lie in the order that <code>view</code> needs. Use <code>reshape</code>.</details>
# <details><summary>The shape is right, but the values are pieces of rows</summary> You split and joined without <code>permute</code> between, so nothing moved.</details>


# %% exercise="01.10"
def to_patches(images: torch.Tensor, size: int) -> torch.Tensor:
    """Cut images into square patches.

    Args:
        images: (N, C, H, W); size divides H and W.
        size: height and width of a patch, in pixels.
    Returns:
        (N, P, C, size, size) with P = (H / size) · (W / size), row by row.
    """
    ### BEGIN SOLUTION
    n, c, h, w = images.shape
    grid = images.reshape(n, c, h // size, size, w // size, size)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c, size, size)
    ### END SOLUTION


def from_patches(patches: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Put patches together again: the inverse of `to_patches`.

    Args:
        patches: (N, P, C, size, size), row by row.
        height, width: of the images, in pixels; size divides both.
    Returns:
        (N, C, height, width).
    """
    ### BEGIN SOLUTION
    n, _, c, size, _ = patches.shape
    grid = patches.reshape(n, height // size, width // size, c, size, size)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(n, c, height, width)
    ### END SOLUTION


# %%
check("01.10")

# %% [markdown]
# Your function on one of the pictures, once it is there. It should give sixteen patches of 8 × 8 pixels.

# %% tags=["demo"]
patches, note = None, "to_patches(pictures[-1:], 8) does not have the shape (1, 16, 3, 8, 8) yet."
try:
    patches = to_patches(pictures[-1:], 8)
except NotAttempted:
    note = "Exercise 01.10 comes first."
except Exception as error:
    note = f"{type(error).__name__}: {error}"
if getattr(patches, "shape", None) == (1, 16, 3, 8, 8):
    figure = plotting.image_grid(patches[0], title="The last picture, as to_patches cuts it", columns=4)
    plotting.show(
        figure, alt="Sixteen squares in four rows; cut rightly, they make up the last of the eight pictures."
    )
else:
    print(note)

# %% [markdown]
# ## 9 · The bridge to NumPy
#
# Plotting, tables and files speak NumPy. The bridge goes both ways, and on a CPU it is made of views: no number is copied, so a change on one side is a change on the other.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
tensor = torch.ones(3)
array = tensor.numpy()  # tensor -> array, shared
tensor.add_(1)
print("the array sees the tensor change:", array)

array = np.zeros(3)
shared, copied = torch.from_numpy(array), torch.tensor(array)
np.add(array, 7, out=array)  # in place; array = array + 7 would make a new array
print("from_numpy:", shared.tolist(), " torch.tensor:", copied.tolist(), " dtype:", shared.dtype)

# %% [markdown]
# | from → to | shares | copies |
# | --- | --- | --- |
# | array → tensor | `torch.from_numpy(array)`, `torch.as_tensor(array)` | `torch.tensor(array)` |
# | tensor → array | `tensor.numpy()`, `np.asarray(tensor)` | `tensor.numpy().copy()`, `np.array(tensor)` |
#
# Three things stop at the bridge: an array with a negative stride (`array[::-1]`; use `array[::-1].copy()`), a tensor on a GPU (use `.cpu()` first), and a tensor that tracks gradients (`.detach()` first; lab 02 says why).

# %% tags=["demo"]
try:
    torch.from_numpy(np.arange(3)[::-1])
except ValueError as error:
    print(error)

# %% [markdown]
# ## 10 · Moving to a GPU
#
# A GPU does the same arithmetic on thousands of numbers at a time. Two rules: a tensor lives on one device, and the tensors in one operation must live on the same one. So pick the device once, at the top, and send
# things there; the code below is the same with a GPU and without.

# %% tags=["demo"]
device = runtime.device()  # cuda, else mps (Apple), else cpu
made_there = torch.rand(1000, 1000, device=device)  # made in its memory: better than made here and moved
moved = torch.rand(1000, 1000).to(device)
print("device: ", device)
print("product:", (made_there @ moved).device, " back:", (made_there @ moved).cpu().device)
print("to() where it is already there returns the same tensor:", moved.to(device) is moved)

# %% [markdown]
# What does it bring? On a GPU, calls return before the work is done, so a clock must wait for it (`synchronize`); the first call also pays for the start.


# %% tags=["demo"]
def seconds(where: torch.device, size: int = 1000, repeats: int = 5) -> float:
    """Time of one (size × size) matrix product on a device, in seconds."""
    x = torch.rand(size, size, device=where)
    x @ x  # warm up
    if where.type != "cpu":
        torch.accelerator.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        x @ x
    if where.type != "cpu":
        torch.accelerator.synchronize()
    return (time.perf_counter() - start) / repeats


for where in dict.fromkeys([torch.device("cpu"), device]):
    print(f"{where}: {1000 * seconds(where):.2f} ms for 1000 × 1000 times 1000 × 1000")

# %% [markdown]
# ## Recap
#
# - A tensor is a grid of numbers of one kind, with a shape, a dtype, a device, and strides that say how it lies in memory.
# - A number as index drops a dimension, a slice keeps it; lists of numbers in several places are pairs; masks pick where they are True.
# - `cat` lengthens a dimension, `stack` makes one. The `dim` of a reduction is the one that disappears.
# - Broadcasting: line up on the right; equal, or one of them 1. Most wrong results with right-looking code come from a shape: print it.
# - `*` is cell by cell, `@` multiplies and sums, `einsum` names the dimensions.
# - Slices, `.T` and `view` share memory; masks, index lists and `clone()` copy; `reshape` and `to` do whichever suffices.
# - `from_numpy` and `.numpy()` share memory; `torch.tensor` copies. `.to(device)` moves.
#
# ## Read on
#
# - PyTorch, [Tensors](https://pytorch.org/tutorials/beginner/basics/tensorqs_tutorial.html) and [Tensor views](https://docs.pytorch.org/docs/stable/tensor_view.html): which operations are views.
# - PyTorch, [Broadcasting semantics](https://docs.pytorch.org/docs/stable/notes/broadcasting.html): the rule, in full.
# - PyTorch, [`torch.einsum`](https://docs.pytorch.org/docs/stable/generated/torch.einsum.html): with an ellipsis and repeated letters.
# - NumPy, [Broadcasting](https://numpy.org/doc/stable/user/basics.broadcasting.html): the same rule, with pictures.
# - Edward Yang, [PyTorch internals](https://blog.ezyang.com/2019/05/pytorch-internals/): strides and what lies beneath.
#
# ## Hand in

# %%
hand_in("01")
