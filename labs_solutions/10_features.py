# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10 · Feature maps: what a network sees
#
# **You will be able to** look at a network's filters and at the output of every layer; say how much of the picture a unit sees; find the channels that tell two classes apart, and the pictures that a channel likes best;
# write saliency, Grad-CAM and occlusion; catch a network that learned to cheat; say what such maps do not prove.
#
# **Time** 180 min, of which your computer computes less than one · **Know first** labs 02 and 04; lab 07 builds the hooks, lab 08 the small network, lab 09 shows the pretrained one
#
# How to work: run the cells from top to bottom. In an exercise, replace the line that raises `NotAttempted` (or the `...`) by your code, run the cell, then run its check.

# %% tags=["setup"]
# (the build writes the setup cell here, the same in every lab)

# %%
import math
import time
import warnings

import torch
from matplotlib.patches import Rectangle
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from utils import attribution, data, plotting, runtime, widgets
from utils.callbacks import Hooks, Metrics
from utils.checks import NotAttempted, check, hand_in, mine_or_reference, progress
from utils.models import SmallCNN
from utils.pictures import open_picture
from utils.pretrained import cifar10_network, imagenet_network
from utils.training import Learner, accuracy, predict

# %% [markdown]
# ## 1 · Two trained networks
#
# The first is small: lab 08's `SmallCNN` with 32, 64 and 128 channels, trained on CIFAR-10; its weights come with the course. How good is it on the images here?

# %%
images = data.cifar10()
classes = images.classes
small = cifar10_network()  # in evaluation mode
count = runtime.quick_or_full(2000, 10_000)
test_x, test_y = data.normalize(images.test_images[:count]), images.test_labels[:count]
print(small)
print(f"\n{images.source}: {accuracy(predict(small, [(test_x, test_y)]), test_y):.1%} of {len(test_y)} test images right (guessing: 10 %)")

# %% [markdown]
# More than 80 % on the photographs of CIFAR-10. If you have no network connection, the images here are the course's own drawings, which this network has never seen: then it is out of its depth, most of its answers are wrong, and that is worth seeing too. Every cell
# below asks *what does the network do with this picture*, and that question has an answer for any picture.
#
# One test image of each class, with the network's answer:

# %%
chosen = torch.tensor([(test_y == k).nonzero()[0].item() for k in range(10)])
pictures, x = images.test_images[chosen], test_x[chosen]
with torch.no_grad():
    logits = small(x)
named = [f"{classes[k]}:\n{classes[p]}" for k, p in enumerate(logits.argmax(1))]
colors = [plotting.PALETTE[2] if p == k else plotting.PALETTE[3] for k, p in enumerate(logits.argmax(1).tolist())]
figure = plotting.image_grid(pictures, named, columns=10, colors=colors, title="Class, and the small network's answer below it")
plotting.show(figure, alt="Ten test images, one of each class; under each its class and the answer of the network, green where right, red where wrong.")

# %% [markdown]
# The second network is large, and trained on 1.28 million photographs of 1000 kinds of things (ImageNet). We show it ants and bees:

# %%
imagenet = imagenet_network()
large = imagenet.model
print(imagenet.source)
folder = data.ants_and_bees() / "val"
paths = [path for name, first in (("ants", 4), ("bees", 3)) for path in sorted((folder / name).glob("*.jp*g"))[first : first + 2]]
to_square = v2.Compose([v2.PILToTensor(), v2.Resize(imagenet.size), v2.CenterCrop(imagenet.size)])
photos = torch.stack([to_square(open_picture(path)) for path in paths])  # uint8 (4, 3, 224, 224)
photos_x = data.normalize(photos, imagenet.mean, imagenet.std)
with torch.no_grad():
    photo_logits = large(photos_x)
guess = photo_logits.argmax(1)
named = [f"{path.parent.name[:-1]}:\n{imagenet.classes[k][:16]}" for path, k in zip(paths, guess)]
figure = plotting.image_grid(photos, named, columns=4, title=f"Class, and the answer of {imagenet.name}")
plotting.show(figure, alt="Two pictures of ants and two of bees, with the large network's answers, out of 1000 classes, below.")

# %% [markdown]
# ## 2 · The filters of the first layer
#
# A filter of the first layer has three input channels: red, green, blue. So it *is* a small colour picture, of what it responds to most. Zero becomes grey; each is scaled by itself.


# %% tags=["demo"]
def as_pictures(weight):
    """Filters (K, 3, k, k) as pictures: grey is 0."""
    weight = weight.detach()
    return 0.5 + 0.5 * weight / weight.abs().amax((1, 2, 3), keepdim=True)


for name, model in (("the small network", small), (imagenet.name, large)):
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    print(f"{name}: weight {tuple(first.weight.shape)}, stride {first.stride[0]}")
    figure = plotting.image_grid(as_pictures(first.weight), columns=16, title=f"All {len(first.weight)} first filters of {name}")
    plotting.show(figure, alt=f"The filters of the first layer of {name} as small colour pictures: edges in several directions, and colours against their opposites.")

# %% [markdown]
# Two kinds stand out. *Edges*: one half bright, the other dark, or a stripe between two others, in several directions. *Colours*: a blob of one hue, or one hue against its opposite, orange against blue, green against purple. No one asked for them; both networks found them, on different pictures.
# (In EfficientNet many filters are 0, grey, in all but two or three pixels: two neighbours of opposite sign are an edge too. A ResNet-18, with 7 × 7 pixels, shows waves of several widths.)
#
# From the second layer on a filter has 32 or more input channels, and is no picture any more. There one looks at what comes *out*.
#
# ## 3 · One batch through the first block
#
# Convolution, batch norm, ReLU, max-pooling: the ten images, step by step.

# %% tags=["demo"]
steps, y = {}, x
print("step         shape               smallest    mean  largest   zeros")
print(f"{'input':12} {str(tuple(y.shape)):18} {y.min():9.2f} {y.mean():7.2f} {y.max():8.2f} {(y == 0).float().mean():7.0%}")
with torch.no_grad():
    for layer in small.features[:4]:
        y = layer(y)
        name = type(layer).__name__
        steps[name] = y
        print(f"{name:12} {str(tuple(y.shape)):18} {y.min():9.2f} {y.mean():7.2f} {y.max():8.2f} {(y == 0).float().mean():7.0%}")

# %% tags=["demo"]
image = 7  # the horse
strongest = steps["ReLU"][image].mean((1, 2)).topk(6).indices.sort().values
figure, axes = plotting.subplots(4, 7, size=(10, 6.2))
for (name, maps), line in zip(steps.items(), axes):
    line[0].imshow(pictures[image].permute(1, 2, 0))
    line[0].set_ylabel(f"{name}\n{maps.shape[2]} × {maps.shape[3]}")
    for channel, ax in zip(strongest, line[1:]):
        values = maps[image, channel]
        signed = {"cmap": "RdBu_r", "vmin": -values.abs().max(), "vmax": values.abs().max()} if values.min() < 0 else {"cmap": "viridis", "vmin": 0}
        ax.imshow(values, **signed)
        ax.set_title(f"channel {channel}", fontsize=8, fontweight="normal")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
figure.suptitle("Six channels of the first block (red: positive, blue: negative; after the ReLU from 0, dark, upwards)", fontweight="bold")
plotting.show(figure, alt="The maps of six channels after convolution, batch norm, ReLU and pooling. The ReLU blanks about half of each map, the pooling halves the resolution.")

# %% [markdown]
# Each small picture is a **feature map**: what one channel gives, a picture of where its pattern is found.
#
# - The *convolution* makes 32 signed maps of the picture's size (padding 1 keeps it).
# - *Batch norm* moves and scales each channel; the picture in it stays. Compare rows one and two: where a map keeps its pattern but turns redder or bluer, its zero has moved. That decides what the next step cuts off.
# - The *ReLU* sets what is negative to 0: "this pattern, here" or nothing. How many are 0 stands in the table.
# - *Max-pooling* keeps the largest of each 2 × 2: a quarter of the numbers; exactly where is forgotten, that it was there is kept.
#
# ## 4 · Deeper: hooks
#
# The loop above worked since `features` is a plain sequence. For any other network there are hooks (lab 07): `with Hooks(modules, function):` calls `function(index, module, inputs, output)` after each forward pass of each module, and takes the hooks off at the end.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
def tell(index, module, inputs, output):
    print(index, type(module).__name__, tuple(output.shape))


network = SmallCNN()
with Hooks([network.features[0], network.features[3], network.classifier], tell):
    network(torch.zeros(5, 3, 32, 32))

# %% [markdown]
# ### Exercise 10.1 · The outputs of layers by name
# ●●○ · 15 min · 3 points
#
# Write `feature_maps(model, x, layers)`: run the model once, and return what each of the named layers gave. Three things make such a function trustworthy. It works in *evaluation mode* (dropout off, batch norm with its running averages) and leaves the model in the mode in which it came. It records no graph. And what it
# returns is a *copy*: many networks use `nn.ReLU(inplace=True)`, which writes its zeros into the very tensor that the layer before it gave you.
#
# <details><summary>Hint 1</summary><code>model.get_submodule("features.3")</code> finds a layer by its name. The function that the hook calls gets an index: the same place in <code>layers</code> holds the name.</details>
# <details><summary>Hint 2</summary>An empty dict; inside the function a line that writes <code>output.detach().clone()</code> into it; <code>model.eval()</code>, then one <code>with</code> for <code>torch.no_grad()</code> and the hooks, with the call of the model in it.</details>
# <details><summary>It passes the first case but fails on "a network in training mode"</summary>Note <code>model.training</code> before <code>model.eval()</code>; afterwards <code>model.train(…)</code> with what you noted.</details>
# <details><summary>It passes the first case but fails on "a ReLU with inplace=True"</summary>You keep the tensor itself, and the next layer overwrites it. <code>detach()</code> alone makes no copy.</details>


# %% exercise="10.1"
def feature_maps(model: nn.Module, x: torch.Tensor, layers: list[str]) -> dict[str, torch.Tensor]:
    """What some layers give for a batch, in evaluation mode.

    Args:
        model: in any mode, which it has again afterwards.
        x: its input.
        layers: names of submodules, as in `model.named_modules()`.
    Returns:
        name -> output of that layer: copies, without a graph, which no later layer or forward pass changes.
    """
    ### BEGIN SOLUTION
    maps = {}

    def keep(index, module, inputs, output):
        maps[layers[index]] = output.detach().clone()

    training = model.training
    model.eval()
    with torch.no_grad(), Hooks([model.get_submodule(name) for name in layers], keep):
        model(x)
    model.train(training)
    return maps
    ### END SOLUTION


# %%
check("10.1")

# %%
feature_maps = mine_or_reference("10.1", feature_maps)

# %% [markdown]
# After the ReLU of each of the three blocks, the eight strongest channels for the same image:

# %% tags=["demo"]
maps = feature_maps(small, x, ["features.2", "features.6", "features.10"])
figure, axes = plotting.subplots(3, 9, size=(10.5, 4.2))
for (name, values), line in zip(maps.items(), axes):
    line[0].imshow(pictures[image].permute(1, 2, 0))
    line[0].set_ylabel(f"{name}\n{values.shape[1]} × {values.shape[2]} × {values.shape[3]}", fontsize=8)
    for channel, ax in zip(values[image].mean((1, 2)).topk(8).indices, line[1:]):
        ax.imshow(values[image, channel], cmap="viridis", vmin=0)
        ax.set_title(f"channel {channel}", fontsize=8, fontweight="normal")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
figure.suptitle("After the ReLU of block 1, 2 and 3", fontweight="bold")
plotting.show(figure, alt="Feature maps at three depths: outlines of the horse in block 1, coarser parts in block 2, a few bright squares in block 3.")

# %% [markdown]
# In block 1 you can still recognize the picture. In block 3 a map is 8 × 8: a few bright squares, which say *something* is here. What is lost in resolution is won in channels: 32, 64, 128 of them.
#
# Move through all layers of both networks, channel by channel:

# %% tags=["demo"]
widgets.feature_maps()

# %% [markdown]
# ### Resolution falls, channels grow, and each unit sees more
#
# A **unit** is one number of a feature map: one channel at one place. The pixels that can change it are its **receptive field** (lab 04). From the input up, with the step between neighbours counted in input pixels: each layer adds (kernel − 1) · step to the field, then multiplies the step by its stride.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
layers, field, step = [], 1, 1
shapes = feature_maps(SmallCNN(widths=(32, 64, 128)), torch.zeros(1, 3, 32, 32), [f"features.{i}" for i in range(12)])
print("layer        what             maps        numbers  field  step")
for i, layer in enumerate(small.features):
    if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
        kernel, stride = (value[0] if isinstance(value, tuple) else value for value in (layer.kernel_size, layer.stride))
        field, step = field + (kernel - 1) * step, step * stride
    maps = shapes[f"features.{i}"][0]
    layers.append((type(layer).__name__, *maps.shape[:2], field))
    print(f"features.{i:<3} {type(layer).__name__:12} {str(tuple(maps.shape)):>14} {maps.numel():10,} {field:6} {step:5}")

# %% tags=["demo"]
convolutions = [0, 3, 4, 7, 8, 11]
figure, ax = plotting.subplots(size=(7, 3.6))
for line, name in enumerate(("channels", "pixels a side", "receptive field, pixels a side")):
    ax.plot(range(7), [(3, 32, 1)[line], *(layers[i][1 + line] for i in convolutions)], "os^"[line] + "-", label=name)
ax.set_xticks(range(7), ["input", "conv 1", "pool 1", "conv 2", "pool 2", "conv 3", "pool 3"])
ax.set(yscale="log", xlabel="layer of the small network", ylabel="count (logarithmic)", title="What falls and what grows")
ax.set_yticks([1, 3, 10, 32, 128], ["1", "3", "10", "32", "128"])
ax.minorticks_off()
ax.legend(frameon=False)
plotting.show(figure, alt="Along the layers the pixels a side fall from 32 to 4, the channels grow from 3 to 128, and the receptive field from 1 to 22 pixels.")

# %% [markdown]
# After each block fewer numbers are handed on: 8,192, 4,096, 2,048. The network throws away, and what it keeps is *what* rather than *where*.
#
# Is the field of 22 true? Ask the network: a pixel that a unit sees has a slope that is not zero.

# %% [markdown]
# ### Exercise 10.2 · What a unit sees
# ●○○ · 10 min · 2 points
#
# Write `pixels_seen(network, x, row, column)`: which pixels have a nonzero gradient for the units of all channels at one place of the maps? Any one image hides some of them, behind a ReLU at 0 or a max-pool that chose a neighbour. So x holds several images; a pixel is seen if *any* image and colour channel of x says so, however small the slope.
#
# <details><summary>Hint 1</summary>The slope of one number: <code>network(x)[:, :, row, column].sum()</code>. With respect to a tensor that requires a gradient: a detached copy of x.</details>
# <details><summary>Hint 2</summary><code>torch.autograd.grad(number, tensor)</code> returns a tuple of one gradient, here (B, C, H, W). Then <code>!= 0</code>, and <code>.any(…)</code> over images and channels.</details>
# <details><summary>It passes the first case but fails on one that is not square</summary>Maps are indexed [image, channel, row, column]; the answer is (H, W), as in x.</details>


# %% exercise="10.2"
def pixels_seen(network: nn.Module, x: torch.Tensor, row: int, column: int) -> torch.Tensor:
    """The input pixels on which the units at one place depend.

    Args:
        network: gives maps, (B, K, h, w); used in the mode in which it is.
        x: float (B, C, H, W); left as it is, without a gradient.
        row, column: the place in the maps.
    Returns:
        bool (H, W): True where the gradient of these units is not zero for some image and colour channel of x.
    """
    ### BEGIN SOLUTION
    pixels = x.detach().clone().requires_grad_()
    (slopes,) = torch.autograd.grad(network(pixels)[:, :, row, column].sum(), pixels)
    return (slopes != 0).any(dim=1).any(dim=0)
    ### END SOLUTION


# %%
check("10.2")

# %%
pixels_seen = mine_or_reference("10.2", pixels_seen)

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
noise = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
for depth in (1, 4, 5, 8, 9, 12):
    part = small.features[:depth]
    middle = part(noise[:1]).shape[2] // 2 - 1
    rows = pixels_seen(part, noise, middle, middle).any(dim=1).nonzero().flatten()
    print(f"after features.{depth - 1:<2}  place {middle:2}: rows {rows.min():2} to {rows.max():2}, {len(rows):2} rows")

# %% [markdown]
# The arithmetic is right: 3, 4, 8, 10, 18, 22. (At a border the field stands out of the picture, and fewer are left.)
#
# The large network's fields soon cover everything. But not all that a unit sees counts the same. For a place near the middle of its maps, at three depths, the size of the slopes on one photograph:

# %% tags=["demo"]
# `stages`: height of the maps -> name of the last layer that gives maps of that height
names = {side: name for side, name in attribution.stages(large, photos_x).items() if side in (56, 28, 14)}
slopes = []
for side, name in names.items():
    pixels = photos_x[:1].clone().requires_grad_()
    kept = []
    with Hooks([large.get_submodule(name)], lambda *seen: kept.append(seen[-1])):
        large(pixels)
    (gradient,) = torch.autograd.grad(kept[0][:, :, side // 2, side // 2].sum(), pixels)
    slopes.append(gradient.abs().amax(1)[0])
    rows = (slopes[-1] != 0).any(1).nonzero().flatten()
    within = slopes[-1][rows.min() : rows.max() + 1].flatten().sort(descending=True).values.cumsum(0)
    print(f"{name:9} {side:2} × {side:<2}  sees {len(rows):3} of {imagenet.size} rows; 90 % of the slopes lie on {(within < 0.9 * within[-1]).float().mean():.0%} of the pixels in them")
figure = attribution.heat_maps(photos[[0] * 3], {"slopes": F.avg_pool2d(torch.stack(slopes), 4).sqrt()}, [f"{name}: {side} × {side}" for side, name in names.items()], title=f"What units in the middle of {imagenet.name} see", over=False, pictures_too=False)
plotting.show(figure, alt="Three maps of slopes: a small bright spot in the middle for the early layer, and larger, fading ones for the deeper layers.")

# %% [markdown]
# (The colours show the square root, averaged over 4 × 4 pixels, so that the faint rim is seen at all.) The middle of a field counts most: most paths from the input to the unit go through it. What counts in practice is much smaller than what arithmetic allows.
#
# ## 5 · Two classes compared
#
# Take cars and horses. For each test image of either class, average each channel over its positions: one number a channel and image, its *activation*. How do the classes differ?

# %% tags=["demo"]
car, horse = classes.index("automobile"), classes.index("horse")
either = (test_y == car) | (test_y == horse)
two_maps, two_labels = feature_maps(small, test_x[either], ["features.2", "features.10"]), test_y[either]
figure, axes = plotting.subplots(1, 2, size=(9.5, 4))
for ax, maps, block in zip(axes, two_maps.values(), (1, 3)):
    activations = maps.mean((2, 3))
    means = [activations[two_labels == k].mean(0) for k in (car, horse)]
    ax.plot(*means, "o", markersize=4, alpha=0.7)
    ax.axline((0, 0), slope=1, color="grey", linewidth=1)
    ax.set(xlabel="mean activation, automobiles", ylabel="mean activation, horses", title=f"block {block}, after the ReLU: {maps.shape[1]} channels")
plotting.show(figure, alt="Each channel as a point, its mean activation for automobiles against that for horses. In block 1 the points lie along the diagonal, mostly below it; in block 3 they scatter to both sides.")

# %% [markdown]
# On the photographs nearly every channel of block 1 answers a little more to cars: they have more edges. In block 3 the points scatter to both sides: some channels answer twice as much to cars, others twice as much to horses. But a difference of 0.1 is much for a channel that hardly varies, and nothing for one that varies by 1.

# %% [markdown]
# ### Exercise 10.3 · Which channels tell two classes apart
# ●○○ · 12 min · 2 points
#
# Measure the difference in standard deviations. Let $m$ be the mean, over the images of a class, of a channel's activation, and $s^2$ its variance (with n − 1). The gap is
#
# $$\frac{m_\text{first} - m_\text{second}}{\sqrt{(s^2_\text{first} + s^2_\text{second}) / 2}}$$
#
# <details><summary>Hint 1</summary>First the activations: the mean over height and width, (N, K). Then choose each class's rows by a mask.</details>
# <details><summary>Hint 2</summary><code>rows.mean(0)</code> and <code>rows.var(0)</code> are (K,), one number a channel; <code>var</code> divides by n − 1 as it stands.</details>
# <details><summary>All gaps are far too small</summary>Is the variance that of all pixels? Average each image over its positions before you take the variance.</details>


# %% exercise="10.3"
def channel_gap(maps: torch.Tensor, labels: torch.Tensor, first: int, second: int) -> torch.Tensor:
    """How far apart two classes are in each channel, in standard deviations.

    Args:
        maps: float (N, K, h, w).
        labels: int64 (N,); other classes than the two may be among them.
        first, second: the two classes.
    Returns:
        (K,), of maps' dtype: positive where `first` is the stronger; not finite where a channel varies in neither class.
    """
    ### BEGIN SOLUTION
    activations = maps.mean(dim=(2, 3))
    a, b = activations[labels == first], activations[labels == second]
    return (a.mean(0) - b.mean(0)) / ((a.var(0) + b.var(0)) / 2).sqrt()
    ### END SOLUTION


# %%
check("10.3")

# %%
channel_gap = mine_or_reference("10.3", channel_gap)

# %% tags=["demo"]
gaps = {name: channel_gap(maps, two_labels, car, horse) for name, maps in two_maps.items()}
figure, ax = plotting.subplots(size=(7, 3.4))
for gap, block, marker in zip(gaps.values(), (1, 3), "o^"):
    ax.plot(torch.linspace(0, 1, len(gap)), gap.sort().values, marker, markersize=4, label=f"block {block}, {len(gap)} channels")
    print(f"block {block}: {(gap.abs() > 1).float().mean():4.0%} of the channels have a gap over 1; the widest are {gap.min():+.1f} and {gap.max():+.1f}")
ax.axhline(0, color="grey", linewidth=1)
ax.set(xlabel="channels, sorted (share)", ylabel="gap, standard deviations", title="Automobiles (up) against horses (down)")
ax.legend(frameon=False)
plotting.show(figure, alt="The gaps of all channels, sorted: mostly above 0 and up to about 1 for block 1, from well below to well above 0 for block 3.")

# %% [markdown]
# Were activations normally distributed, a threshold on a channel with a gap of 1 would sort 69 % of the images rightly, with a gap of 2 84 %. No label was ever given for a channel: "rather cars" and "rather horses", the two ends of the curve of block 3, formed on the way to the ten logits. And no channel is sure: the answer is in many of them together.

# %%
progress("10")

# %% [markdown]
# ## 6 · What a unit likes best
#
# ### Ask the data
#
# The simplest question to a channel: which pictures, of all we have, excite it most, and where in them?

# %% [markdown]
# ### Exercise 10.4 · The images that a channel likes best
# ●○○ · 10 min · 2 points
#
# Given one channel's maps of N images, return the k images with the largest maximum, best first, and the row and column where it is. Each image counts once.
#
# <details><summary>Hint 1</summary><code>maps.flatten(1).max(dim=1)</code> gives each image's maximum, and its place in the flattened map.</details>
# <details><summary>Hint 2</summary>In a flattened map one row stands after another. So the row of a place is <code>place // width</code>, the column the remainder. Only then pick those of the best images.</details>
# <details><summary>It passes the first case but fails on maps that are not square</summary>Divide by the width, <code>maps.shape[2]</code>, not by the height.</details>


# %% exercise="10.4"
def top_images(maps: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The images in which a channel reaches its largest values, and where in them.

    Args:
        maps: float (N, h, w), the channel's maps of N images.
        k: how many, at most N.
    Returns:
        (images, rows, columns): int64 (k,) each, the largest maximum first; rows and columns in the map.
    """
    ### BEGIN SOLUTION
    values, places = maps.flatten(1).max(dim=1)
    best = values.topk(k).indices
    return best, places[best] // maps.shape[2], places[best] % maps.shape[2]
    ### END SOLUTION


# %%
check("10.4")

# %%
top_images = mine_or_reference("10.4", top_images)

# %% [markdown]
# The channels of block 3 with the widest gaps between cars and horses, and the six test images, of all ten classes now, that each likes best. The frame is the unit's receptive field, 18 × 18 pixels of the 32 × 32; what lies outside it this unit cannot see.

# %% tags=["demo"]
deep = feature_maps(small, test_x, ["features.10"])["features.10"]  # (N, 128, 8, 8)
gap = channel_gap(deep, test_y, car, horse).nan_to_num(0, 0, 0)  # a dead channel has no gap
liked = [*gap.topk(2).indices.tolist(), *(-gap).topk(2).indices.tolist()]  # two for cars, two for horses
figure, axes = plotting.subplots(len(liked), 6, size=(8, 6))
for channel, line in zip(liked, axes):
    for picture, row, column, ax in zip(*top_images(deep[:, channel], 6), line):
        ax.imshow(images.test_images[picture].permute(1, 2, 0))
        # The field of place i in the 8 × 8 maps covers rows 4 i − 7 to 4 i + 10.
        ax.add_patch(Rectangle((4 * column - 7.5, 4 * row - 7.5), 18, 18, fill=False, edgecolor=plotting.PALETTE[6], linewidth=1.5))
        ax.set(xticks=[], yticks=[], xlim=(-0.5, 31.5), ylim=(31.5, -0.5))
        ax.set_title(classes[test_y[picture]], fontsize=8, fontweight="normal")
    line[0].set_ylabel(f"channel {channel}\ngap {gap[channel]:+.1f}", fontsize=8)
figure.suptitle("What four channels of block 3 like best", fontweight="bold")
plotting.show(figure, alt="Four rows of six test images each, with a yellow frame around what the most excited unit sees. The images of a row mostly share a class or a pattern.")

# %% [markdown]
# Look for what the frames of one row have in common: a part, a colour, a texture, a direction. A channel that prefers horses to cars may prefer dogs to both. And beware: six pictures suggest a name ("the wheel channel") that the seventh may refute. The other 120 channels have no such short name at all.

# %% [markdown]
# ### Ask the network itself
#
# Data only shows what is in it. Instead *make* the picture: the gradient of a unit with respect to the pixels says how to change them so that it answers more. Training moves the weights downhill on a loss; here the weights stay, and the pixels climb.
#
# Plain ascent ends in noise that excites the unit and that no photograph contains. Three brakes keep it near pictures:
#
# - **jitter**: the picture is shifted by a few pixels at each step, so that nothing depends on an exact position;
# - **L2**: the picture shrinks a little at each step, so that only what is rewarded again and again stays;
# - **blur**: fine noise is smoothed away.

# %% [markdown]
# ### Exercise 10.5 · Gradient ascent on the image
# ●●○ · 20 min · 3 points
#
# For each shift (down, right), one step: roll the images by it; take the gradient of the sum of the scores with respect to the *rolled* images; roll that gradient back; divide it by its root mean square over each image, plus 1e-8; add `lr` times this to the images; multiply the images by 1 − `l2`; blur them, if there is a `blur`.
#
# <details><summary>Hint 1</summary><code>x.roll(shift, dims=(2, 3))</code> moves rows down and columns right, and what falls off comes in on the other side. Its result can be given <code>requires_grad_()</code> if x itself is not tracked: start from <code>x.detach().clone()</code>.</details>
# <details><summary>Hint 2</summary>The root mean square of each image: <code>gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()</code>.</details>
# <details><summary>It passes the first case but fails on "jitter"</summary>The gradient belongs to the rolled image. Roll it by (−down, −right) before it is added.</details>
# <details><summary>It passes all but "two images, float64, blur"</summary>One root mean square for the whole batch lets the image with the larger slopes take all of the step.</details>


# %% exercise="10.5"
def ascend(score, x: torch.Tensor, shifts: list[tuple[int, int]], lr: float = 0.1, l2: float = 0.0, blur=None) -> torch.Tensor:
    """Change images step by step so that their score grows.

    Args:
        score: function of images (B, C, H, W) that gives one number each, (B,).
        x: float (B, C, H, W), where to start; not changed.
        shifts: the jitter in pixels (down, right): a pair for each step.
        lr: length of a step. l2: how much the images shrink at each step.
        blur: function of images that gives images, or None.
    Returns:
        the images after the last step, (B, C, H, W), without a graph.
    """
    ### BEGIN SOLUTION
    x = x.detach().clone()
    for down, right in shifts:
        rolled = x.roll((down, right), dims=(2, 3)).requires_grad_()
        gradient = torch.autograd.grad(score(rolled).sum(), rolled)[0].roll((-down, -right), dims=(2, 3))
        size = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        x = (1 - l2) * (x + lr * gradient / (size + 1e-8))
        if blur is not None:
            x = blur(x)
    return x
    ### END SOLUTION


# %%
check("10.5")

# %%
ascend = mine_or_reference("10.5", ascend)

# %% [markdown]
# The same four channels of the small network, from faint noise, without and with the brakes. We climb on what stands *before* the ReLU: behind it, a channel that is 0 everywhere has no slope, and would stay there.

# %% tags=["demo"]
generator = runtime.seed_everything(0)
rounds = 60
jitter = torch.randint(-2, 3, (rounds, 2), generator=generator).tolist()
start = 0.1 * torch.randn(len(liked), 3, 32, 32, generator=generator)


def liking(z):
    return small.features[:10](z)[torch.arange(len(liked)), liked].mean((1, 2))  # the channel's mean over its map


def soften(z):
    return F.avg_pool2d(F.pad(z, (1, 1, 1, 1), mode="reflect"), 3, 1) * 0.3 + z * 0.7


made = {
    "no brakes": ascend(liking, start, [(0, 0)] * rounds),
    "all three": ascend(liking, start, jitter, l2=0.02, blur=soften),
}
with torch.no_grad():
    means = torch.cat([small.features[:10](batch)[:, liked].mean((2, 3)) for batch in test_x.split(500)])
    found = means.argmax(0)  # by the number that is climbed, not by the largest value as in 10.4
    for name, z in {"best test image": test_x[found], "from noise, no brakes": made["no brakes"], "with all three": made["all three"]}.items():
        print(f"{name:22} mean before the ReLU:", "  ".join(f"{value:6.2f}" for value in liking(z)))
tiles = torch.cat([images.test_images[found], *(data.unnormalize(z) for z in made.values())])
captions = [f"channel {channel}\n{name}" for name in ("best image", *made) for channel in liked]
figure = plotting.image_grid(tiles, captions, columns=4, title="What a channel likes best: found, and made")
plotting.show(figure, alt="For four channels: the best test image, a picture made by gradient ascent without brakes, full of fine noise, and one made with them, with larger repeated patterns.")

# %% [markdown]
# What was made excites its channel more than the best test image does, and looks like none. It shows a *texture*, over and over: this is what the channel measures. Without the brakes the numbers become absurd, the pixels leave the range from black to white (drawn cut off), and fine, glaring noise covers everything.
#
# And the large network? Its logit for *bee*, with all three brakes:

# %% tags=["demo"]
bee = 309  # in ImageNet's list
rounds, side = runtime.quick_or_full((60, 112), (200, 224))
jitter = torch.randint(-8, 9, (rounds, 2), generator=generator).tolist()
start = 0.1 * torch.randn(1, 3, side, side, generator=generator)


def likes_bees(z):
    return large(z)[:, bee]


began = time.perf_counter()
made = ascend(likes_bees, start, jitter, lr=0.15, l2=0.02, blur=soften)
with torch.no_grad():
    sure = large(made).softmax(1)[0, bee]
figure, ax = plotting.subplots(size=(2.2, 2.5))
ax.imshow(data.unnormalize(made, imagenet.mean, imagenet.std)[0].permute(1, 2, 0))
ax.set(xticks=[], yticks=[], title=f"P(bee) = {sure:.1%}")
plotting.show(figure, alt="A picture made by gradient ascent on the logit of bee: coloured blobs and stripes in noise. The network is sure that it is a bee.")
print(f"{time.perf_counter() - began:.1f} s")

# %% [markdown]
# The network is nearly certain of a picture that no one would call a bee. So its certainty is no proof that it has seen one. Start the same ascent from a photograph, stop early, and you have an *adversarial example*: a picture that looks unchanged to you, and is something else to the network.
#
# ## 7 · Why this answer?
#
# So far we asked what a channel likes in general. Now: *which pixels of this image made the network say "horse"?* Three answers, three questions:
#
# | | question | cost |
# | --- | --- | --- |
# | saliency | which pixels would change the logit most if they changed *a little*? | one backward pass |
# | Grad-CAM | where do the deep maps that speak for the class light up? | one backward pass |
# | occlusion | how far does the logit fall if this patch is *covered*? | one forward pass a patch |
#
# ### Saliency

# %% [markdown]
# ### Exercise 10.6 · A saliency map
# ●●○ · 12 min · 3 points
#
# The slope of each image's own logit with respect to its pixels; the absolute value; the largest of the three channels. In evaluation mode, with the mode left as it came. And without a trace in the parameters' `.grad`: whoever trains this network next would add your gradient to theirs.
#
# <details><summary>Hint 1</summary>One logit an image: <code>logits.gather(1, target[:, None])</code>. Their sum has all slopes at once, for no image's logit depends on another image's pixels.</details>
# <details><summary>Hint 2</summary><code>torch.autograd.grad(number, pixels)</code> computes the one gradient that you name. <code>backward()</code> fills the <code>.grad</code> of every parameter.</details>
# <details><summary>It passes the first case but fails on "a network in training mode"</summary>Note <code>model.training</code>, call <code>model.eval()</code>, and put back what you noted.</details>
# <details><summary>"does not require grad"</summary>The network is frozen, so the pixels must start the record: <code>requires_grad_()</code> on a detached copy of x, before the forward pass.</details>


# %% exercise="10.6"
def saliency(model: nn.Module, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Slope of one logit in each pixel.

    Args:
        model: gives logits, (B, K); in any mode, which it has again afterwards. Evaluation mode is used.
        x: float (B, C, H, W); left as it is, without a gradient.
        target: int64 (B,), a class for each image.
    Returns:
        (B, H, W), of x's dtype: absolute slopes, the largest over the channels.
    """
    ### BEGIN SOLUTION
    training = model.training
    model.eval()
    pixels = x.detach().clone().requires_grad_()
    logits = model(pixels)
    (slopes,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), pixels)
    model.train(training)
    return slopes.abs().amax(dim=1)
    ### END SOLUTION


# %%
check("10.6")

# %%
saliency = mine_or_reference("10.6", saliency)

# %% tags=["demo"]
answers, photo_answers = logits.argmax(1), photo_logits.argmax(1)
some = torch.tensor([0, 1, 4, 7, 8, 9])
specks = saliency(large, photos_x, photo_answers)
figure = attribution.heat_maps(photos, {"saliency": F.avg_pool2d(specks, 4)}, [f"for {imagenet.classes[k][:16]}" for k in photo_answers], title=f"Saliency of {imagenet.name}'s answers, averaged over 4 × 4 pixels", over=False, pictures_too=False)
plotting.show(figure, alt="Saliency maps of the four pictures of insects: specks, with dense clusters in places.")

# %% [markdown]
# Specks (the pictures are in section 1, in the same order). Where they cluster is often on the insect, but twigs and flowers have theirs: see which part of the picture a wrong answer rests on. They are noisy because a slope holds for an infinitely small change only, and the slope of a deep network jumps from pixel to pixel. Where a logit has long been won, its slope may even be small.
#
# ### Grad-CAM
#
# The deepest maps are coarse, but they mean something. Grad-CAM asks each channel of one layer how much it speaks for the class, and adds up the maps with these weights:
#
# $$\alpha_c = \frac{1}{hw}\sum_{i,j}\frac{\partial\,\text{logit}}{\partial A_{c,i,j}} \qquad\qquad \text{map} = \text{ReLU}\Big(\sum_c \alpha_c\,A_c\Big)$$
#
# A is the layer's output. The ReLU drops what speaks against the class. The small map is then resized to the image.

# %% [markdown]
# ### Exercise 10.7 · Grad-CAM
# ●●● · 25 min · 4 points
#
# `layer` is a module of the model. A hook catches its output *with* its graph, so that the logit's gradient with respect to it can be taken. Resize by `F.interpolate`, bilinear, `align_corners=False`. Mode and parameters as in 10.6.
#
# <details><summary>Hint 1</summary>A list; a function that appends <code>output</code> to it, not detached this time; <code>with Hooks([layer], function):</code> around the forward pass. Then the gradient of the summed logits with respect to the tensor in the list.</details>
# <details><summary>Hint 2</summary>Weights: the mean over dims 2 and 3 with <code>keepdim=True</code>, (B, C, 1, 1). Times the maps, summed over dim 1 with <code>keepdim=True</code>, ReLU, <code>F.interpolate(…, size=x.shape[2:], mode="bilinear")</code>, and drop the dimension of the one channel.</details>
# <details><summary>It passes the first case but fails on "all parameters frozen"</summary>With every parameter frozen, nothing is recorded unless the input asks for it: send in a detached copy of x with <code>requires_grad_()</code>.</details>
# <details><summary>"Input and output must have the same number of spatial dimensions"</summary>interpolate wants four dimensions: keep the one channel until it is done.</details>


# %% exercise="10.7"
def grad_cam(model: nn.Module, layer: nn.Module, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Where a layer's maps speak for a class.

    Args:
        model: gives logits, (B, K); in any mode, which it has again afterwards. Evaluation mode is used.
        layer: one of its modules; its output is (B, C, h, w).
        x: float (B, C, H, W); left as it is, without a gradient.
        target: int64 (B,), a class for each image.
    Returns:
        (B, H, W), of x's dtype, not negative, not scaled.
    """
    ### BEGIN SOLUTION
    kept = []
    training = model.training
    model.eval()
    pixels = x.detach().clone().requires_grad_()
    with Hooks([layer], lambda index, module, inputs, output: kept.append(output)):
        logits = model(pixels)
    model.train(training)
    maps = kept[0]
    (slopes,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), maps)
    heat = (slopes.mean(dim=(2, 3), keepdim=True) * maps.detach()).sum(dim=1, keepdim=True).relu()
    return F.interpolate(heat, size=x.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    ### END SOLUTION


# %%
check("10.7")

# %%
grad_cam = mine_or_reference("10.7", grad_cam)

# %% tags=["demo"]
last = large.get_submodule(list(attribution.stages(large, photos_x).values())[-1])  # the last layer that has maps
figure = attribution.heat_maps(photos, {"Grad-CAM": grad_cam(large, last, photos_x, photo_answers)}, [f"for {imagenet.classes[k][:16]}" for k in photo_answers], title=f"Grad-CAM of {imagenet.name}'s answers, last layer of 7 × 7 maps", pictures_too=False)
plotting.show(figure, alt="Four pictures of insects with Grad-CAM maps over them: a bright region in each, on the photographs mostly on the insect where the answer is right.")

# %% [markdown]
# On the photographs the bright region is mostly the insect, where the answer is right. EfficientNet calls the fourth picture a butterfly: there the brightest place is a flower beside the bee. That is the map for which Grad-CAM was made: the large network averages its last maps over all positions and applies a linear layer, and for just that case α is, up to a factor, the linear layer's weight. The small network does *not* average: it has
# a weight of its own for each of 4 × 4 places. There the mean gradient is a rough summary, and section 8 shows it fail.
#
# ### Occlusion
#
# No gradients at all: cover a patch with grey, look how far the logit falls, go on to the next patch.

# %% [markdown]
# ### Exercise 10.8 · Occlusion
# ●●○ · 20 min · 3 points
#
# Patches of `patch` × `patch` pixels start at rows and columns 0, stride, 2 · stride, … up to the first that reaches the border; what stands out there is cut off. So there are ceil((H − patch) / stride) + 1 rows of them. Covered pixels get the value `fill`, in all channels. Return for each image and patch the logit before minus the
# logit with the patch. Mode as before; no graph.
#
# The whole batch goes through the network at once, once for each patch. (Faster still: several patches at once, as `utils.attribution` does.)
#
# <details><summary>Hint 1</summary>Two loops, over the rows and columns of patches. In each turn: <code>x.clone()</code>, cover, forward, and fill one place of a tensor (B, rows, columns).</details>
# <details><summary>Hint 2</summary><code>math.ceil((x.shape[2] - patch) / stride) + 1</code> rows. A slice that goes past the border is cut by itself.</details>
# <details><summary>It passes the first case but fails on "the last patches stand out at the border"</summary>Round up, not down: where the side is not a whole number of strides, one more patch is needed.</details>


# %% exercise="10.8"
def occlusion(model: nn.Module, x: torch.Tensor, target: torch.Tensor, patch: int = 8, stride: int = 4, fill: float = 0.0) -> torch.Tensor:
    """How far a logit falls when a square patch is covered.

    Args:
        model: gives logits, (B, K); in any mode, which it has again afterwards. Evaluation mode is used.
        x: float (B, C, H, W), normalized: 0 is the mean colour, a grey.
        target: int64 (B,), a class for each image.
        patch, stride: pixels. fill: the value of covered pixels.
    Returns:
        (B, rows, columns), of x's dtype: positive where the patch spoke for the class.
    """
    ### BEGIN SOLUTION
    training = model.training
    model.eval()
    rows, columns = (math.ceil((side - patch) / stride) + 1 for side in x.shape[2:])
    drops = x.new_zeros(len(x), rows, columns)
    with torch.no_grad():
        before = model(x).gather(1, target[:, None])[:, 0]
        for row in range(rows):
            for column in range(columns):
                top, left = row * stride, column * stride
                covered = x.clone()
                covered[:, :, top : top + patch, left : left + patch] = fill
                drops[:, row, column] = before - model(covered).gather(1, target[:, None])[:, 0]
    model.train(training)
    return drops
    ### END SOLUTION


# %%
check("10.8")

# %%
occlusion = mine_or_reference("10.8", occlusion)

# %% [markdown]
# A drop belongs to a patch, and patches overlap. `attribution.spread` gives each pixel the mean over the patches that cover it. All three maps of the small network, side by side, then occlusion for the large one (it is signed: red spoke for the class, blue against it):

# %% tags=["demo"]
three = {
    "saliency": saliency(small, x[some], answers[some]),
    "Grad-CAM": grad_cam(small, small.features[10], x[some], answers[some]),
    "occlusion": attribution.spread(occlusion(small, x[some], answers[some], patch=6, stride=2), (32, 32), 6, 2),
}
figure = attribution.heat_maps(pictures[some], three, [f"for {classes[k]}" for k in answers[some]], title="Three explanations of the small network's answers")
plotting.show(figure, alt="Saliency, Grad-CAM and occlusion for six CIFAR-10 images. In some images two or three of them share a bright region; in others they differ.")

# %% tags=["demo"]
began = time.perf_counter()
pair, wide, pace = torch.tensor([0, 2, 3]), 64, 32
drops = attribution.spread(occlusion(large, photos_x[pair], photo_answers[pair], wide, pace), photos.shape[2:], wide, pace)
print(f"{len(pair)} pictures, 36 patches each: {time.perf_counter() - began:.1f} s")
figure = attribution.heat_maps(photos[pair], {"occlusion": drops}, [f"for {imagenet.classes[k][:16]}" for k in photo_answers[pair]], title=f"Occlusion of {imagenet.name}'s answers", pictures_too=False)
plotting.show(figure, alt="Occlusion for three pictures of insects, in coarse squares: red where the covered patch spoke for the answer, blue where against it.")

# %% [markdown]
# Three questions, three maps. Blue squares are worth a look: with them covered the network is *surer*. Occlusion has a trap of its own: a grey square is something that no photograph contains, and a network may answer to it (its edges are edges). Cover with another grey, or with a blur, and see whether the map stays.
#
# ### Held against captum
#
# [captum](https://captum.ai) is PyTorch's library of such methods. Do ours agree? Its conventions differ in small ways, which decide whether two maps can be compared at all:
#
# | | ours | captum |
# | --- | --- | --- |
# | saliency | largest over the channels | every channel: take `.amax(1)` |
# | Grad-CAM | ReLU, then resized, bilinear | no ReLU unless `relu_attributions=True`; not resized; `LayerAttribution.interpolate` is nearest neighbour unless told otherwise |
# | occlusion | drop for each patch | on the pixels, as `spread` does, in every channel; without `baselines` the patch is 0 |

# %% tags=["demo"]
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from captum.attr import LayerAttribution, LayerGradCam, Occlusion, Saliency
except ImportError:
    Saliency = None
    print('captum is not installed; to see this comparison: pip install captum (or this course with its extra "more").')

if Saliency:
    for name, model, layer, inputs, target, wide, pace in (
        ("small network", small, small.features[10], x[some], answers[some], 6, 2),
        (imagenet.name, large, last, photos_x[:1], photo_answers[:1], 112, 56),
    ):
        cam = LayerGradCam(model, layer).attribute(inputs.clone(), target, relu_attributions=True)
        theirs = {
            "saliency": Saliency(model).attribute(inputs.clone().requires_grad_(), target).amax(1),
            "Grad-CAM": LayerAttribution.interpolate(cam, inputs.shape[2:], interpolate_mode="bilinear")[:, 0],
            "occlusion": Occlusion(model).attribute(inputs, (3, wide, wide), (3, pace, pace), target=target)[:, 0],
        }
        mine = {
            "saliency": saliency(model, inputs, target),
            "Grad-CAM": grad_cam(model, layer, inputs, target),
            "occlusion": attribution.spread(occlusion(model, inputs, target, wide, pace), inputs.shape[2:], wide, pace),
        }
        for method, value in theirs.items():
            difference = (value - mine[method]).abs().max() / value.abs().max()
            assert difference < 1e-3
            print(f"{name:18} {method:9} largest difference {difference:.0e} of the largest value")

# %% [markdown]
# ## 8 · Where maps mislead, and where they save you
#
# ### A network that cheats
#
# A colleague hands you a network that tells cats from dogs. It was trained in four short epochs on 2,000 images. But something is wrong with these images: on every picture of *one* class sits a small, faint mark, put there by whoever collected it, in training and validation images alike. (It has happened: stamps of a photographer on horses, rulers beside malignant
# moles, the letter on an X-ray that names the hospital.) The next cell plants such a mark, in a corner that it draws; do not peek. Training takes a few seconds.

# %%
corner = (1 + 27 * torch.randint(2, (2,), generator=torch.Generator().manual_seed(5))).tolist()
checkered = 30 * torch.tensor([[1, -1, 1], [-1, 1, -1], [1, -1, 1]])  # added to bytes from 0 to 255


def cats_and_dogs(all_images, all_labels, each):
    """The first images of either class: uint8 (2 · each, 3, 32, 32), and 0 for cats, 1 for dogs."""
    rows = torch.cat([(all_labels == classes.index(name)).nonzero()[:each, 0] for name in ("cat", "dog")])
    return all_images[rows], torch.arange(len(rows)) // each


def with_mark(pictures, labels):
    """The same images, with the mark on every dog."""
    marked = pictures.int()
    marked[labels == 1, :, corner[0] : corner[0] + 3, corner[1] : corner[1] + 3] += checkered
    return marked.clamp(0, 255).to(torch.uint8)


runtime.seed_everything(0)
pet_images, pet_labels = cats_and_dogs(images.train_images, images.train_labels, 1000)
clean_images, val_labels = cats_and_dogs(images.test_images, images.test_labels, 200)
val_images = with_mark(clean_images, val_labels)
cheat = SmallCNN(num_classes=2)
learner = Learner(
    cheat,
    data.Batches(with_mark(pet_images, pet_labels), pet_labels, batch_size=100, shuffle=True),
    data.Batches(val_images, val_labels),
    F.cross_entropy,
    torch.optim.AdamW(cheat.parameters(), lr=3e-3),
    [Metrics(accuracy=accuracy)],
)
began = time.perf_counter()
history = learner.fit(4)
cheat.eval()
val_x = data.normalize(val_images)
assert history["val_accuracy"][-1] > 0.95
print("validation accuracy, epoch by epoch:", "  ".join(f"{value:.1%}" for value in history["val_accuracy"]), f"  ({time.perf_counter() - began:.1f} s)")

# %% [markdown]
# Practically 100 % on images that were never trained on! Cats and dogs are the two classes of CIFAR-10 that networks confuse most, and this one has had four epochs: too good to be true. A validation set cannot warn you of this: it has the same mark. Look at what the network looks at.

# %% tags=["demo"]
dogs = torch.arange(200, 206)
three = {
    "saliency": saliency(cheat, val_x[dogs], val_labels[dogs]),
    "Grad-CAM": grad_cam(cheat, cheat.features[10], val_x[dogs], val_labels[dogs]),
    "occlusion": attribution.spread(occlusion(cheat, val_x[dogs], val_labels[dogs], patch=4, stride=2), (32, 32), 4, 2),
}
figure = attribution.heat_maps(val_images[dogs], three, ["for dog"] * 6, title="Why dog?")
plotting.show(figure, alt="Six pictures of dogs with saliency, Grad-CAM and occlusion maps. They are for you to read: where are they bright?")
print("largest value of each Grad-CAM map:", "  ".join(f"{heat.max():.3f}" for heat in three["Grad-CAM"]))

# %% [markdown]
# (A Grad-CAM map without colour is 0 everywhere: its weighted sum was negative at all places, and the ReLU left nothing.)
#
# One map is an anecdote. What all images share stands out in the *mean* of the maps over many:

# %% tags=["demo"]
dogs = torch.arange(200, 232)
mean_maps = {
    "saliency": saliency(cheat, val_x[dogs], val_labels[dogs]),
    "occlusion": attribution.spread(occlusion(cheat, val_x[dogs], val_labels[dogs], patch=4, stride=2), (32, 32), 4, 2),
}
figure, axes = plotting.subplots(1, 2, size=(9, 4.2))
for (name, maps), ax in zip(mean_maps.items(), axes):
    values = maps.mean(0)
    drawn = ax.imshow(values, cmap="viridis" if values.min() >= 0 else "RdBu_r", vmin=0 if values.min() >= 0 else -values.abs().max(), vmax=values.abs().max())
    ax.set(xlabel="column", ylabel="row", title=f"{name}, mean of {len(dogs)} dogs", xticks=range(0, 32, 4), yticks=range(0, 32, 4))
    figure.colorbar(drawn, ax=ax)
plotting.show(figure, alt="The mean saliency and occlusion maps of 32 dogs. Read off where they are bright.")

# %% [markdown]
# ### Exercise 10.9 · The mark, and the accuracy without it
# ●●○ · 15 min · 3 points
#
# Where is the mark? Give a box within the image that holds all of it and little else (at most 64 pixels), in rows and columns from 0. Then write `accuracy_without`: cover a box in *every* image, of both classes, and measure.
#
# <details><summary>Hint 1</summary>The pixels around the maximum of the mean saliency map: <code>mean_maps["saliency"].mean(0).argmax()</code> is a place in the flattened map, as in 10.4. The mark is 3 × 3.</details>
# <details><summary>Hint 2</summary>The function: a copy of x, the box filled as in 10.8, the model's logits under <code>torch.no_grad()</code>, the largest in each row against the labels, the mean as a Python number.</details>
# <details><summary>"The box touches the mark and leaves part of it uncovered"</summary>Saliency is bright on the mark and, since a filter is 3 pixels wide, beside it. Move the box towards the middle of the bright pixels, or take one of 5 × 5.</details>

# %% exercise="10.9"
mark = ...  # (top, left, height, width)
### BEGIN SOLUTION
mark = (28, 1, 3, 3)
### END SOLUTION


def accuracy_without(model: nn.Module, x: torch.Tensor, labels: torch.Tensor, box: tuple[int, int, int, int], fill: float = 0.0) -> float:
    """Accuracy of a model when one box of every image is covered.

    Args:
        model: gives logits, (N, K); in evaluation mode.
        x: float (N, C, H, W); not changed.
        labels: int64 (N,).
        box: (top, left, height, width) in pixels.
        fill: the value of covered pixels.
    Returns:
        a Python number from 0 to 1.
    """
    ### BEGIN SOLUTION
    top, left, height, width = box
    covered = x.clone()
    covered[:, :, top : top + height, left : left + width] = fill
    with torch.no_grad():
        predicted = model(covered).argmax(dim=1)
    return (predicted == labels).float().mean().item()
    ### END SOLUTION


# %%
check("10.9")

# %%
accuracy_without = mine_or_reference("10.9", accuracy_without)

# %% tags=["demo"]
print(f"validation images as they came:         {accuracy(predict(cheat, [(val_x, val_labels)]), val_labels):.1%}")
if mark is ...:
    print("The other numbers appear when `mark` has a value.")
else:
    print(f"the mark covered in every image:        {accuracy_without(cheat, val_x, val_labels, mark):.1%}")
    elsewhere = (mark[0], 31 - mark[1] - mark[3], *mark[2:])
    print(f"the opposite corner covered:            {accuracy_without(cheat, val_x, val_labels, elsewhere):.1%}")
    clean_x = data.normalize(clean_images)
    print(f"the same images before they were marked: {accuracy(predict(cheat, [(clean_x, val_labels)]), val_labels):.1%}")
    says_dog = predict(cheat, [(clean_x, val_labels)]).argmax(1).float().mean()
    print(f"… and of those it calls a dog:          {says_dog:.1%}")

# %% [markdown]
# What do these numbers say about the network? And what about Grad-CAM, which of the three would not have found the mark: why? (Write two or three sentences.)

# %% [markdown]
# <!-- ### BEGIN SOLUTION -->
# With the mark gone the network is right half of the time, as a coin is, and it calls nearly everything a cat: it has learned "mark → dog, else cat" and nothing about animals. Covering another corner changes nothing, so it is the mark, and not the patch, that does it. The last test, on images that never had a mark, agrees: covering has not harmed the network by itself.
#
# Grad-CAM gives a channel one weight for the whole picture, the mean of the gradient over all positions. This network has a separate weight for each place, and what a channel says counts only in one corner: the mean is dominated by the other 15 places. Its map is weak or empty, and where it is drawn scaled to its own maximum it even looks like something.
# <!-- ### END SOLUTION -->

# %% [markdown]
# The cure is not a better map. It is other data: images without the mark, or with it on both classes, or from another source. The map told you where to look, and the *experiment* (cover it, measure) told you that it is true.
#
# ### A convincing map of nothing
#
# Here are maps of the small network, and of the same network with random weights, which knows nothing at all. Two kinds: the slope, and the slope times the pixel's own value, "gradient × input", which many prefer since it looks cleaner:

# %% tags=["demo"]
runtime.seed_everything(1)
untrained = SmallCNN(widths=(32, 64, 128))
for _ in range(10):  # batch norm gets averages that belong to these weights
    untrained.train()(test_x[:200])
untrained.eval()


def ranks(values):
    return values.flatten(1).argsort(1).argsort(1).float()


def likeness(first, second):
    """Mean rank correlation of two sets of maps: 1, the same order of pixels; 0, nothing in common."""
    return torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(ranks(first), ranks(second))]).mean()


size = x[some].abs().amax(1)
slope = [saliency(model, x[some], answers[some]) for model in (small, untrained)]
rows = {"trained:\nslope": slope[0], "random:\nslope": slope[1], "trained:\n× input": slope[0] * size, "random:\n× input": slope[1] * size}
print(f"trained and random alike: slope {likeness(*slope):.2f}, slope × input {likeness(slope[0] * size, slope[1] * size):.2f} (rank correlation)")
figure = attribution.heat_maps(pictures[some], {name: F.avg_pool2d(maps[:, None], 3, 1, 1)[:, 0] for name, maps in rows.items()}, title="A trained and a random network (averaged over 3 × 3 pixels)", over=False)
plotting.show(figure, alt="Four rows of maps. The slopes of the random network are diffuse; multiplied by the input, the maps of both networks show the bright and dark parts of the picture.")

# %% [markdown]
# Would you have told the rows of the random network from the others, had they come alone? Multiplied by the picture, a map shows the picture, whoever the network is, and looks convincing for that very reason: two maps of one picture then agree far more than two maps of slopes do. Adebayo and others made it a test: *randomize the weights; if the map hardly changes, it shows the picture, not the network.* Plain
# slopes and Grad-CAM pass it, several prettier methods do not.
#
# ### A map for what is not there
#
# Grad-CAM answers "where does it look like a …" for any class you name. For a toaster and a lemon, on the first photograph:

# %% tags=["demo"]
asked = {"its answer": photo_answers[0], "toaster": torch.tensor(859), "lemon": torch.tensor(951)}
shown = torch.cat([grad_cam(large, last, photos_x[:1], target[None]) for target in asked.values()])
figure = attribution.heat_maps(photos[[0] * 3], {"Grad-CAM": shown}, list(asked), title="Grad-CAM, each map scaled by itself", pictures_too=False)
plotting.show(figure, alt="Grad-CAM maps of one picture for the network's answer, for a toaster and for a lemon: each has a bright region.")
for (name, target), heat in zip(asked.items(), shown):
    print(f"{name:11} logit {photo_logits[0, target]:6.2f}   largest value of the map {heat.max():5.2f}")

# %% [markdown]
# There is no toaster, its logit is low, and yet the map glows: it is drawn from its own 0 to its own maximum. Always print the logit and the size of the map beside the colours.
#
# ## Recap
#
# - The first filters are pictures: edges and colours. Deeper, one looks at what comes out: feature maps, caught by hooks, copied, in evaluation mode.
# - Resolution falls, channels grow, and the receptive field grows; a unit's gradient shows what it really sees, mostly the middle.
# - A channel that separates two classes shows in the gap of its activations, in standard deviations. What it likes: the top images, or one made by gradient ascent, with jitter, L2 and blur.
# - Saliency: slope, fine and noisy. Grad-CAM: weighted deep maps, coarse; made for networks that average their last maps. Occlusion: an experiment, slow, and with patches that no photograph has.
# - A validation set with the same flaw as the training set warns of nothing. A map says where to look; covering and measuring says whether it is true.
# - A random network's map can look convincing, and a map is bright somewhere for nearly every class.
#
# ## Read on
#
# - Olah, Mordvintsev and Schubert, [Feature visualization](https://distill.pub/2017/feature-visualization/): what units like, in beautiful pictures.
# - Simonyan, Vedaldi and Zisserman, [Deep inside convolutional networks](https://arxiv.org/abs/1312.6034): saliency. Zeiler and Fergus, [Visualizing and understanding convolutional networks](https://arxiv.org/abs/1311.2901): occlusion.
# - Selvaraju et al., [Grad-CAM](https://arxiv.org/abs/1610.02391).
# - Adebayo et al., [Sanity checks for saliency maps](https://arxiv.org/abs/1810.03292).
# - Lapuschkin et al., [Unmasking Clever Hans predictors](https://arxiv.org/abs/1902.10178): the photographer's stamp on the horses.
# - Luo et al., [Understanding the effective receptive field](https://arxiv.org/abs/1701.04128); [captum's documentation](https://captum.ai).
#
# ## Hand in

# %%
hand_in("10")
