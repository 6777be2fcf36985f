# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · Transfer learning
#
# **You will be able to** take a network that has learnt from a million photographs and make it tell ants from bees with two hundred; freeze, replace, cache and fine-tune; say which of your results are noise; keep what you trained so that others can use it.
#
# **Time** 170 min · **Know first** images as batches (lab 03), `nn.Module` (lab 04), schedules (lab 06), the Learner (lab 07)
#
# How to work: run the cells from top to bottom. In an exercise, replace the line that raises `NotAttempted` by your code, run the cell, then run its check.
# Where a later cell needs an answer that you have not given yet, it takes the course's own and says so. Times in the text are for two idle CPU cores.

# %% tags=["setup"]
# (the build writes the setup cell here, the same in every lab)

# %%
import copy
import math
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from utils import data, plotting, runtime, widgets
from utils.checks import NotAttempted, check, hand_in, mine_or_reference, progress
from utils.events import Callback

device = runtime.device()

# %% [markdown]
# ## The path
#
# A deep-learning project is nine steps. Each is a heading of this lab.
#
# | step | the question | who helps |
# | --- | --- | --- |
# | 1 | what goes into the network, what comes out? | you, in this lab |
# | 2 | the dataset: what is there, what is broken? | lab 03 |
# | 3 | the loader: batches, augmentation | lab 03 |
# | 4 | the network: what stays, what is new? | you |
# | 5 | the forward pass: shapes, and a first loss | lab 04 |
# | 6 | the loss | lab 05 |
# | 7 | the optimizer | lab 06 |
# | 8 | training and validation: three ways to do it, and how sure we are | lab 07, and you |
# | 9 | inference: on new pictures, and later | you |
#
# ## Step 1 · What goes in, what comes out
#
# The network comes trained on ImageNet: 1.28 million photographs of 1,000 kinds of things. Which network you have depends on your connection: ResNet-18 where it can be downloaded, else EfficientNet-Lite0, which was installed with the course. The lab works with both.

# %% tags=["demo"]
from utils import transfer
from utils.pictures import odd_pictures, open_picture, picture_folder
from utils.pretrained import imagenet_network, load_weights

network = imagenet_network()
folder = data.ants_and_bees()
with torch.no_grad():
    logits = network.model(torch.zeros(2, 3, network.size, network.size))
print(network.source)
print(f"parameters: {sum(p.numel() for p in network.model.parameters()):,}")
print(f"in:  float (B, 3, {network.size}, {network.size}), pixels from 0 to 1, then minus {network.mean}, divided by {network.std}")
print(f"out: {tuple(logits.shape)} for B = 2: one logit for each of {network.classes[0]!r}, {network.classes[1]!r}, … {network.classes[-1]!r}")
print(f"output layer: model.{network.head} = {getattr(network.model, network.head)}")

# %% [markdown]
# The weights were made for inputs of one kind: a size, a crop, a mean and a standard deviation. These numbers **belong to the weights**. They are not properties of your photographs, as in lab 03; they come with the file. A network that gets something else does not complain. It only sees worse.
#
# ### Exercise 09.1 · A picture as the weights want it
# ●○○ · 8 min · 2 points
#
# Bring the *shorter* side to `round(size / 0.875)` pixels (256 for 224), cut the middle `size × size` out, scale to 0 … 1, normalize. Bilinear and antialiased, as `v2.Resize` does by default; PIL's `resize` with `Image.Resampling.BILINEAR` is as good.
#
# <details><summary>Hint 1</summary>Lab 03's chain: <code>v2.Compose([…])</code> of <code>v2.ToImage()</code>, a resizing, a crop, a change of dtype, a normalization.</details>
# <details><summary>Hint 2</summary><code>v2.Resize(n)</code> with <em>one</em> number keeps the proportions. <code>v2.ToDtype(torch.float32, scale=True)</code> divides by 255.</details>
# <details><summary>The result is not square, or the insects are thin</summary>Not square: the crop is missing. Thin: <code>Resize</code> got two numbers.</details>

# %% exercise="09.1"
def preprocess(picture: Image.Image, size: int, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """A picture as a network wants it: the middle square of `size` pixels a side, normalized.

    Args:
        picture: RGB, of any size.
        mean, std: three numbers each, for pixels from 0 to 1.
    Returns:
        float32 (3, size, size).
    """
    ### BEGIN SOLUTION
    return v2.Compose([
        v2.ToImage(),
        v2.Resize(round(size / 0.875), antialias=True),
        v2.CenterCrop(size),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(list(mean), list(std)),
    ])(picture).as_subclass(torch.Tensor)
    ### END SOLUTION

# %%
check("09.1")

# %%
preprocess = mine_or_reference("09.1", preprocess)

# %% [markdown]
# What comes out are 1,000 logits. A reader wants names and probabilities: **postprocessing**.
#
# ### Exercise 09.2 · From logits to names
# ●○○ · 8 min · 2 points
#
# For each row, the `k` most probable classes with their probabilities, the most probable first. The probabilities are those among *all* classes.
#
# <details><summary>Hint 1</summary><code>softmax</code> over the classes, then <code>topk</code>: it returns values and places.</details>
# <details><summary>Hint 2</summary><code>.tolist()</code> on both gives plain numbers; <code>zip</code> pairs them, row by row.</details>
# <details><summary>The probabilities of a row sum to 1</summary>The softmax ran over the k largest only. Softmax first, then choose.</details>

# %% exercise="09.2"
def top_classes(logits: torch.Tensor, classes: Sequence[str], k: int = 5) -> list[list[tuple[str, float]]]:
    """The k most probable classes of each row, the most probable first.

    Args:
        logits: float (B, K).
        classes: K names.
    Returns:
        B lists of k pairs (name, probability).
    """
    ### BEGIN SOLUTION
    best, places = logits.softmax(dim=1).topk(k, dim=1)
    return [[(classes[i], p) for i, p in zip(*row)] for row in zip(places.tolist(), best.tolist())]
    ### END SOLUTION

# %%
check("09.2")

# %%
top_classes = mine_or_reference("09.2", top_classes)

# %% tags=["demo"]
model = network.model.to(device, memory_format=torch.channels_last)
paths = [sorted((folder / "val" / name).glob("*.jp*g"))[i] for name in ("ants", "bees") for i in (1, 3)]
pictures = [open_picture(path) for path in paths]
with torch.no_grad():
    logits = model(torch.stack([preprocess(picture, network.size, network.mean, network.std) for picture in pictures]).to(device)).cpu()
figure, axes = plotting.subplots(2, 4, size=(11, 4.6), height_ratios=[1.3, 1])
for picture, path, best, above, below in zip(pictures, paths, top_classes(logits, network.classes), *axes):
    above.imshow(picture)
    above.set_axis_off()
    above.set_title(path.parent.name)
    names, chances = zip(*best[::-1])
    below.barh(range(5), chances, color=plotting.PALETTE[0])
    below.set_yticks(range(5), names, fontsize=8)
    below.set(xlim=(0, 1), xlabel="probability")
axes[1][0].set_ylabel("ImageNet class")
figure.suptitle("What the network says, in ImageNet's words", fontweight="bold")
plotting.show(figure, alt="Two pictures of ants and two of bees, and below each the five most probable ImageNet classes with their probabilities: " + "; ".join(f"{path.parent.name}: {best[0][0]} {best[0][1]:.2f}" for path, best in zip(paths, top_classes(logits, network.classes))) + ".")

# %% [markdown]
# "Ant" and "bee" happen to be among the 1,000 classes: the photographs are a subset of ImageNet, so the network may even have seen some of them. Keep that in mind: on *your* photographs it will do a little worse. (Offline, the pictures are drawings, and the names beside them are guesses; what the layers see in them is still of use, as you will find.)
#
# What does the wrong preprocessing cost? The network as it is, on half of the validation pictures; right is what is called "ant" or "bee" before all other 999 names (about 4 s).

# %% tags=["demo"]
val_images, val_labels, classes = transfer.load_pictures(folder / "val", network.size)  # decoded once, kept as bytes
usual = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
other = ("0.5 and 0.5", ((0.5,) * 3, (0.5,) * 3)) if network.name == "resnet18" else ("ImageNet's usual mean and std", usual)
as_named = {}  # share of the pictures that are called by their ImageNet name
pixels = torch.tensor([network.classes.index("ant"), network.classes.index("bee")])[val_labels[::2]]
for name, (mean, std) in {"the weights' own numbers": (network.mean, network.std), other[0]: other[1], "0 to 1, not normalized": ((0.0,) * 3, (1.0,) * 3)}.items():
    with torch.no_grad():
        hits = [(model(x.to(device)).argmax(dim=1).cpu() == y) for x, y in transfer.PictureBatches(val_images[::2], pixels, network.size, mean, std)]
    as_named[name] = torch.cat(hits).float().mean().item()
    print(f"{name:32} {as_named[name]:6.1%} right")

# %% [markdown]
# On the photographs, wrong numbers cost many points, without an error message. This is the most frequent fault of all in transfer learning, and you cannot see it in the code of the network.
#
# ## Step 2 · The dataset
#
# A folder with one subfolder a class, as `ImageFolder` reads it. Pictures come from cameras, scanners and web sites, and not all are plain RGB. A few strange ones, made on the spot:

# %% tags=["demo"]
def strange_folder(root: Path) -> None:
    """Pictures of the kinds that real folders hold."""
    pixels = np.asarray(pictures[0].resize((64, 48)))
    good = Image.fromarray(pixels)
    for name in ("ants", "bees"):
        (root / name).mkdir(parents=True)
        good.save(root / name / "good.jpg")
    good.convert("L").save(root / "ants" / "grey.png")
    good.convert("CMYK").save(root / "ants" / "for_print.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held sideways
    good.save(root / "bees" / "sideways.jpg", exif=exif)
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(root / "bees" / "sixteen_bits.png")
    whole = (root / "ants" / "good.jpg").read_bytes()
    (root / "bees" / "truncated.jpg").write_bytes(whole[: len(whole) // 2])


def refused(action) -> None:
    """Run something that should be refused, and print the sentence."""
    try:
        action()
    except (OSError, RuntimeError, ValueError) as error:
        print("refused:", str(error).replace(str(strange), "…"))


with tempfile.TemporaryDirectory() as strange:
    root = Path(strange) / "insects"
    strange_folder(root)
    for path, sentence in odd_pictures(root).items():
        print(f"{path:22} {sentence.replace(strange, '…')}")
    print()
    refused(lambda: picture_folder(root / "ants"))  # one level too deep
    (root / "wasps").mkdir()
    refused(lambda: picture_folder(root))  # a class without a picture
    (root / "bees").rename(Path(strange) / "elsewhere")
    (root / "wasps").rmdir()
    refused(lambda: picture_folder(root))  # one class
    torch.save(nn.Linear(3, 2).state_dict(), Path(strange) / "other.pt")
    refused(lambda: load_weights(network.model, Path(strange) / "other.pt"))  # weights of another architecture

# %% [markdown]
# Each sentence would otherwise be an error in the middle of an epoch, or, worse, no error at all: a 16-bit picture converted carelessly is white, a sideways one is learnt sideways. `picture_folder` is `ImageFolder` with these cares.
#
# Now ours: every picture decoded and cut **once**, kept as bytes. Decoding a JPEG is slow, and an epoch should not pay for it again.

# %% tags=["demo"]
for path, sentence in odd_pictures(folder).items():
    print(f"{path}: {sentence}")
start = time.perf_counter()
images, labels, classes = transfer.load_pictures(folder / "train", network.size)
print(f"decoded in {time.perf_counter() - start:.1f} s: {tuple(images.shape)} {images.dtype}, {images.numel() / 2**20:.0f} MB")
keep, held = transfer.split_off(labels, 0.2)  # a fifth of each class
for name, part in (("to train on", labels[keep]), ("held out", labels[held]), ("validation", val_labels)):
    print(f"{name:12} {len(part):4}: " + ", ".join(f"{count} {label}" for label, count in zip(classes, part.bincount().tolist())))
plotting.show(plotting.image_grid(images[keep[:: max(1, len(keep) // 16)]][:16], [classes[labels[i]] for i in keep[:: max(1, len(keep) // 16)]][:16], title="Of the training pictures"), alt="Sixteen training pictures of ants and bees.")

# %% [markdown]
# The one odd file shows no ants but a web site's apology for a missing picture. That it is left out is luck: look at what is odd before you train on it.
#
# Look at the pictures. Among the photographs one "ant", the third here, is grey rubbish: its file decodes without a complaint, so no program finds it, only an eye.
#
# Why hold some out, when there is a validation folder? Because you will *choose* something: the epoch at which to stop. Who picks the best of ten epochs on the 153 validation pictures and reports that best number, reports the luckiest of ten. So the choice is made on the pictures held out of training, and the validation pictures are only measured.
# In this lab they play the part of a test set.
#
# ## Step 3 · The loader
#
# The bytes lie in memory, so a batch is an index, a crop that is a slice, a resizing and a flip, for all its images at once (lab 03). One random box serves a batch; each image is mirrored or not by itself.

# %% tags=["demo"]
def batches_of(rows: torch.Tensor | None, size: int = network.size, augment: bool = False, batch_size: int = 16, seed: int = 0):
    """Batches of these training pictures, or of the validation pictures where `rows` is None."""
    x, y = (val_images, val_labels) if rows is None else (images[rows], labels[rows])
    return transfer.PictureBatches(x, y, size, network.mean, network.std, batch_size, augment, seed)


start = time.perf_counter()
count = sum(len(y) for _, y in batches_of(keep, augment=True))
print(f"an augmented epoch of {count} pictures, no network: {time.perf_counter() - start:.2f} s")
x, y = next(iter(batches_of(keep, augment=True, batch_size=8)))
plotting.show(plotting.image_grid(data.unnormalize(x, network.mean, network.std), [classes[i] for i in y], title="What the network gets: one augmented batch"), alt="Eight augmented pictures, cropped by the same box, some of them mirrored.")

# %% [markdown]
# ## Step 4 · The network: what stays, what is new
#
# The first layers have learnt edges and textures, the last ones parts of things (lab 10 shows them). All of that is of use for ants and bees. Only the output layer answers the wrong question: it has 1,000 logits, and we want two.
#
# So: **freeze** everything, then **replace** the output layer. Frozen is what has `requires_grad=False`: no gradient is computed for it, and no optimizer moves it.
#
# ### Exercise 09.3 · Freeze, and replace the output layer
# ●●○ · 10 min · 3 points
#
# Networks call their output layer by different names, `fc` in ResNet, `classifier` in EfficientNet; the name is in `head`. The new layer takes as many inputs as the old one, and has its dtype and device.
#
# <details><summary>Hint 1</summary><code>getattr(model, head)</code> is the layer, <code>setattr(model, head, …)</code> puts another one there. A layer knows its <code>in_features</code>.</details>
# <details><summary>Hint 2</summary><code>requires_grad_(False)</code>, called on the model, reaches every parameter that the model has <em>at that moment</em>. <code>layer.to(tensor)</code> takes over dtype and device.</details>
# <details><summary>"The new layer is frozen too"</summary>The order: a new layer has <code>requires_grad=True</code> by default, so freeze first.</details>

# %% exercise="09.3"
def new_head(model: nn.Module, head: str, num_classes: int) -> nn.Module:
    """Freeze a network and give it a new output layer, which is not frozen.

    Args:
        model: changed in place.
        head: the name of the attribute of `model` that is its output layer, an nn.Linear.
    Returns:
        the model.
    """
    ### BEGIN SOLUTION
    model.requires_grad_(False)
    old = getattr(model, head)
    setattr(model, head, nn.Linear(old.in_features, num_classes).to(old.weight))
    return model
    ### END SOLUTION

# %%
check("09.3")

# %%
new_head = mine_or_reference("09.3", new_head)

# %% [markdown]
# A **stage** is one part of the network that has parameters: a convolution, a norm that stands by itself, or a block of several layers.

# %% tags=["demo"]
runtime.seed_everything(0)
model = new_head(copy.deepcopy(network.model), network.head, len(classes))
parts = transfer.stages(model)
frozen = [sum(p.numel() for p in part.parameters() if not p.requires_grad) for part in parts]
learnt = [sum(p.numel() for p in part.parameters() if p.requires_grad) for part in parts]
print(f"parameters: {sum(frozen):,} frozen, {sum(learnt):,} to be learnt ({sum(learnt) / sum(frozen + learnt):.2%})")
figure, ax = plotting.subplots(size=(7.5, 3.2))
places = range(1, len(parts) + 1)
ax.bar(places, frozen, color=plotting.PALETTE[0], label="frozen")
ax.bar(places, learnt, color=plotting.PALETTE[1], label="to be learnt")
for place, number in zip(places, [a + b for a, b in zip(frozen, learnt)]):
    ax.annotate(f"{number:,}", (place, number), xytext=(0, 2), textcoords="offset points", ha="center", fontsize=7)
ax.set(yscale="log", xlabel="stage, from the input to the output", ylabel="parameters (log scale)", title="What is frozen, and what is new")
ax.set_xticks(places)
ax.legend(frameon=False, loc="upper left")
plotting.show(figure, alt=f"Bars of the number of parameters in each of {len(parts)} stages; all are frozen but the last, which has {learnt[-1]:,}.")

# %% [markdown]
# One thing is not held by `requires_grad`. A batch norm has two running averages (lab 04), and these are **buffers**: no gradient moves them, but every forward pass *in training mode* does. A frozen network that only looks at pictures, twelve batches of eight (about 3 s):

# %% tags=["demo"]
watched = copy.deepcopy(network.model).requires_grad_(False)
norm = next(module for module in watched.modules() if isinstance(module, nn.BatchNorm2d))
before = norm.running_mean[:4].tolist()
watched.train()
with torch.no_grad():
    for _, (x, _) in zip(range(12), batches_of(keep, augment=True, batch_size=8)):
        watched(x.to(device))
    watched.eval()
    right = torch.cat([watched(x.to(device)).argmax(dim=1).cpu() == y for x, y in transfer.PictureBatches(val_images[::2], pixels, network.size, network.mean, network.std)]).float().mean()
print("running means before:", [round(value, 3) for value in before], f"· called by the ImageNet name: {next(iter(as_named.values())):.0%}")
print("running means after: ", [round(value, 3) for value in norm.running_mean[:4].tolist()], f"· called by the ImageNet name: {right:.0%}")

# %% [markdown]
# Not one weight has changed. The averages of a million photographs were replaced by those of a few batches of eight, and the features no longer mean what the later layers think they mean. So in transfer learning the norms stay in evaluation mode, also while the rest trains.
#
# The Learner (lab 07) calls `model.train()` at the start of each pass, just after its `before_epoch` events, and tells callbacks of each batch by `before_batch`.
#
# ### Exercise 09.4 · Norms that stay put
# ●●○ · 10 min · 3 points
#
# Write a callback that keeps every batch norm in evaluation mode during training. Every other module keeps the mode that the Learner gave it, in training and in validation. Replace the stub's `__init__` by the method of the event that you choose. (After a fit the Learner puts every module back into the mode it had.)
#
# <details><summary>Hint 1</summary><code>learner.model.modules()</code> gives all the parts, at any depth; <code>isinstance</code> tells the norms: <code>nn.BatchNorm1d</code>, <code>nn.BatchNorm2d</code>, <code>nn.BatchNorm3d</code>.</details>
# <details><summary>Hint 2</summary>Which event comes <em>after</em> <code>model.train()</code> and before the forward pass?</details>
# <details><summary>The averages still move</summary>You switched in <code>before_fit</code> or <code>before_epoch</code>; the Learner switches back after these.</details>

# %% exercise="09.4"
class StillNorms(Callback):
    """Batch norms stay in evaluation mode while the rest trains: their running averages do not move."""

    def __init__(self):  # takes nothing; the work is done in the method of an event, which you add
        ### BEGIN SOLUTION
        super().__init__()

    def before_batch(self, learner):
        for module in learner.model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
                module.eval()
        ### END SOLUTION

# %%
check("09.4")

# %%
StillNorms = mine_or_reference("09.4", StillNorms)

# %% [markdown]
# ## Steps 5, 6, 7 · Forward, loss, optimizer
#
# Before any training: one batch through, the shapes, the loss. Two classes and an untrained output layer: the loss should be near ln 2 = 0.69 (lab 05). If it is 5, or nan, stop and look.

# %% tags=["demo"]
x, y = next(iter(batches_of(keep, augment=True)))
loss_fn = nn.CrossEntropyLoss()
logits = model.eval()(x.to(device))
loss = loss_fn(logits, y.to(device))
loss.backward()
print("in", tuple(x.shape), "→ out", tuple(logits.shape), f"→ loss {loss.item():.2f}; ln 2 is {math.log(2):.2f}")
print("parameters with a gradient:", [name for name, p in model.named_parameters() if p.grad is not None])
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-4, weight_decay=0.01)

# %% [markdown]
# ## Step 8 · Training and validation, in three ways
#
# ### The first way: only the new layer
#
# One epoch with the Learner (about 3 s), for the time it takes:

# %% tags=["demo"]
from utils.callbacks import Device, EarlyStopping, Metrics, Schedule
from utils.recipe import one_cycle
from utils.training import Learner, accuracy, predict

mixed = keep[torch.randperm(len(keep), generator=torch.Generator().manual_seed(0))]  # `keep` lies sorted by class
learner = Learner(model, batches_of(mixed), batches_of(held), loss_fn, optimizer, [Device(device), Metrics(accuracy=accuracy), StillNorms()])
start = time.perf_counter()
history = learner.fit(1)
slow = time.perf_counter() - start
print(f"one epoch in {slow:.1f} s: training loss {history['train_loss'][-1]:.2f}, {history['val_accuracy'][-1]:.1%} of the pictures held out are right")
assert history["val_accuracy"][-1] > 0.75 or len(keep) < 100

# %% [markdown]
# The network is frozen. So in the second epoch each picture would go through the same hundreds of millions of multiplications to the same numbers, the **features** that the output layer gets. Compute them once, and train the layer on them.
#
# (The price: no augmentation, unless you cache several versions of each picture.)
#
# ### Exercise 09.5 · Features, computed once
# ●●○ · 15 min · 3 points
#
# Pass all batches through the model without its output layer, in their order, in evaluation mode, without a graph. Return features and labels, each as one tensor on the CPU. Leave the model as you found it: its output layer, its mode.
#
# <details><summary>Hint 1</summary><code>nn.Identity()</code> gives back what it gets: put it in the place of the output layer, and the model returns what the layer would have got. Remember the layer.</details>
# <details><summary>Hint 2</summary>Two lists, one of features, one of labels; <code>torch.cat</code> at the end. The device is that of the model's parameters.</details>
# <details><summary>"The features hang on the graph", or "inference tensors"</summary>Use <code>torch.no_grad()</code>. <code>torch.inference_mode()</code> is a little faster, but nothing can be trained on the tensors that it makes.</details>

# %% exercise="09.5"
def extract_features(model: nn.Module, head: str, batches: Iterable) -> tuple[torch.Tensor, torch.Tensor]:
    """What the output layer would get, for all images of `batches` in their order.

    Args:
        model: left as it was, mode and output layer.
        head: the name of the attribute of `model` that is its output layer.
        batches: gives (x, y).
    Returns:
        features float (N, D) and labels (N,), on the CPU.
    """
    ### BEGIN SOLUTION
    where = next(model.parameters()).device
    layer, was_training = getattr(model, head), model.training
    setattr(model, head, nn.Identity())
    model.eval()
    features, found = [], []
    with torch.no_grad():
        for x, y in batches:
            features.append(model(x.to(where)).cpu())
            found.append(y.cpu())
    setattr(model, head, layer)
    model.train(was_training)
    return torch.cat(features), torch.cat(found)
    ### END SOLUTION

# %%
check("09.5")

# %%
extract_features = mine_or_reference("09.5", extract_features)

# %% [markdown]
# All pictures, once (about 6 s):

# %% tags=["demo"]
start = time.perf_counter()
features, _ = extract_features(model, network.head, transfer.PictureBatches(images, labels, network.size, network.mean, network.std))
val_features, _ = extract_features(model, network.head, batches_of(None, batch_size=32))
once = time.perf_counter() - start
start = time.perf_counter()
layer = transfer.train_head(features[keep], labels[keep])  # 60 epochs of AdamW
fast = time.perf_counter() - start
logits_of = {}  # of the validation pictures, for each way
with torch.no_grad():
    logits_of["frozen"] = layer(val_features)
print(f"features of {len(features)} + {len(val_features)} pictures: {tuple(features.shape)}, {once:.1f} s, once")
print(f"60 epochs on them: {fast:.2f} s; 60 epochs through the network would take about {60 * slow:.0f} s: {60 * slow / (once + fast):.0f} times as long")
print(f"validation accuracy: {accuracy(logits_of['frozen'], val_labels):.1%}")
assert accuracy(logits_of["frozen"], val_labels) > 0.85, "frozen features should do better: is the normalization the weights' own (09.1), the model in evaluation mode (09.5)?"

# %% [markdown]
# ### The second way: fine-tuning
#
# Now let all layers learn. Two dangers. A new output layer is random, and its first gradients are large: they shake layers that were good. And the early layers, edges and textures, hardly need to change, while the last ones should adapt.
#
# So: start from the output layer that you have just trained; small rates, smaller towards the input; a warm-up. An optimizer takes a list of **parameter groups**, each with a rate of its own.
#
# ### Exercise 09.6 · Rates by depth
# ●●● · 20 min · 4 points
#
# `stages` are the parts of a network from the input to the output. The last has the rate `lr`, each earlier one `factor` times the rate of the one after it. Within a stage, parameters of one dimension (biases; scales and shifts of norms) get weight decay 0.0, all others the one given. Leave out frozen parameters and empty groups. A stage with nothing to learn still counts as a stage.
#
# <details><summary>Hint 1</summary>Of n stages, number i (from 0) has n − 1 − i stages after it.</details>
# <details><summary>Hint 2</summary>Up to two groups a stage: <code>{"params": […], "lr": …, "weight_decay": …}</code>. <code>p.ndim</code> tells which.</details>
# <details><summary>"called `weight` too"</summary>A batch norm's scale has the name <code>weight</code>, so names mislead. Count dimensions.</details>
# <details><summary>"A parameter is in two groups"</summary><code>stage.parameters()</code> goes down to the bottom by itself; with <code>modules()</code> around it you meet each parameter several times.</details>

# %% exercise="09.6"
def layer_groups(stages: Sequence[nn.Module], lr: float, factor: float = 0.8, weight_decay: float = 0.01) -> list[dict]:
    """Parameter groups whose learning rate grows towards the output.

    Args:
        stages: parts of a network, from input to output.
        lr: of the last stage.
        factor: a stage's rate over that of the next one.
        weight_decay: of parameters with two dimensions or more; the others have none.
    Returns:
        dicts with "params" (a list), "lr" and "weight_decay".
    """
    ### BEGIN SOLUTION
    groups = []
    for i, stage in enumerate(stages):
        rate = lr * factor ** (len(stages) - 1 - i)
        learnt = [p for p in stage.parameters() if p.requires_grad]
        flat, deep = [p for p in learnt if p.ndim <= 1], [p for p in learnt if p.ndim > 1]
        groups += [{"params": deep, "lr": rate, "weight_decay": weight_decay}] if deep else []
        groups += [{"params": flat, "lr": rate, "weight_decay": 0.0}] if flat else []
    return groups
    ### END SOLUTION

# %%
check("09.6")

# %%
layer_groups = mine_or_reference("09.6", layer_groups)

# %% [markdown]
# Two epochs, at 160 × 160 pixels (about 8 s; every step goes backwards through all layers):

# %% tags=["demo"]
def tuned(rows, size, epochs, held_out=None, seed=0, lr=3e-5):
    """(a fine-tuned network, its history, its optimizer): all layers, starting from the output layer trained on features."""
    torch.manual_seed(seed)
    model = copy.deepcopy(network.model).requires_grad_(True)
    setattr(model, network.head, transfer.train_head(features[rows], labels[rows], seed=seed))
    model.to(device)
    optimizer = torch.optim.AdamW(layer_groups(transfer.stages(model), lr))
    learning = batches_of(rows, size, augment=True, seed=seed)
    steps = epochs * len(learning)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, steps, start=0.1, peak=0.2, end=0.0))  # warm-up, then down
    learner = Learner(model, learning, None if held_out is None else batches_of(held_out, size), nn.CrossEntropyLoss(label_smoothing=0.1), optimizer,
                      [Device(device), Metrics(accuracy=accuracy), Schedule(schedule), StillNorms()])
    return model, learner.fit(epochs, [] if held_out is None else [EarlyStopping(patience=2)]), optimizer


epochs = runtime.quick_or_full(2, 12)
side = runtime.quick_or_full(160, network.size)
start = time.perf_counter()
model, history, optimizer = tuned(keep, side, epochs, held)
print(f"{len(history['val_loss'])} epochs of all layers: {time.perf_counter() - start:.1f} s")
for epoch, values in enumerate(zip(history["train_loss"], history["val_loss"], history["val_accuracy"]), start=1):
    print("epoch {}: training loss {:.3f}; held out: loss {:.3f}, accuracy {:.1%}".format(epoch, *values))
logits_of["fine-tuned"] = predict(model, batches_of(None, side))
print(f"validation accuracy: {accuracy(logits_of['fine-tuned'], val_labels):.1%}")
assert accuracy(logits_of["fine-tuned"], val_labels) > 0.8

# %% tags=["demo"]
figure, (left, right) = plotting.subplots(1, 2, size=(9.5, 3.2))
rates = sorted({group["initial_lr"] for group in optimizer.param_groups})
left.semilogy(range(1, len(rates) + 1), rates, "o-", color=plotting.PALETTE[0])
left.set(xlabel="stage, from the input to the output", ylabel="largest learning rate", title="Rates by depth")
steps = epochs * len(batches_of(keep))
right.plot(range(steps), [one_cycle(step, steps, start=0.1, peak=0.2, end=0.0) for step in range(steps)], color=plotting.PALETTE[1])
right.set(xlabel="step", ylabel="factor on all rates", title="Warm-up, then down")
plotting.show(figure, alt=f"Left: learning rates grow from {rates[0]:.1g} at the input to {rates[-1]:.1g} at the output. Right: the factor climbs from 0.1 to 1 over a fifth of the steps, then falls to 0.")

# %% [markdown]
# The epoch was chosen on the pictures held out: `EarlyStopping` watches their loss, stops when it has not fallen for two epochs, and puts the best epoch's weights back. Two epochs are too few to stop before the end; `LABS_FULL=1` runs twelve, at full size.
#
# ### The third way: from scratch
#
# The honest comparison: what would these pictures have given *without* ImageNet? The same architecture with random weights would need hundreds of epochs, so scratch gets what suits it: lab 08's small network of three convolutions, 64 × 64 pixels, dozens of times as many pictures a second, a large learning rate, augmentation (about 3 s).

# %% tags=["demo"]
def scratch(rows, steps, seed=0):
    """Validation logits of a small network trained from random weights, for about so many steps of 16 pictures."""
    learning = batches_of(rows, 64, augment=True, seed=seed)
    model = transfer.from_scratch(learning, math.ceil(steps / len(learning)), seed)
    return predict(model, batches_of(None, 64))


start = time.perf_counter()
logits_of["from scratch"] = scratch(keep, runtime.quick_or_full(300, 3000))
print(f"from scratch in {time.perf_counter() - start:.1f} s")
for name, logits in logits_of.items():
    print(f"{name:13} {accuracy(logits, val_labels):6.1%} of the validation pictures")

# %% [markdown]
# ### How many pictures does each way need?
#
# The same three, on 4, 16 and 64 pictures a class, drawn anew for each seed; fewer steps than above, and 160 × 160 pixels for fine-tuning, so that it takes about 15 s (and no early stopping: with few pictures there is nothing to hold out).

# %% tags=["demo"]
def draw_rows(per_class, seed):
    """So many training pictures of each class."""
    generator = torch.Generator().manual_seed(seed)
    rows = [(labels == c).nonzero().flatten() for c in range(len(classes))]
    return torch.cat([r[torch.randperm(len(r), generator=generator)[:per_class]] for r in rows])


def head_only(rows, seed):
    return transfer.train_head(features[rows], labels[rows], seed=seed)(val_features).detach()


def few_tuned(rows, seed):
    model = tuned(rows, 160, math.ceil(runtime.quick_or_full(6, 60) / len(batches_of(rows))), seed=seed)[0]
    return predict(model, batches_of(None, 160))


most = int(labels.bincount().min())
sizes = [size for size in (4, 16, 64) if size <= most]
ways = {"frozen features": (head_only, 5), "fine-tuned": (few_tuned, 2), "from scratch": (lambda rows, seed: scratch(rows, runtime.quick_or_full(60, 300), seed), 3)}
found = {name: [[100 * accuracy(way(draw_rows(size, seed), seed), val_labels) for size in sizes] for seed in range(seeds)] for name, (way, seeds) in ways.items()}
figure, ax = plotting.subplots(size=(6.5, 3.8))
for i, (name, runs) in enumerate(found.items()):
    runs = np.array(runs)
    ax.errorbar(np.array(sizes) * (0.96 + 0.04 * i), runs.mean(axis=0), runs.std(axis=0, ddof=1), marker="o", capsize=3, label=f"{name} ({len(runs)} seeds)", color=plotting.PALETTE[i])
ax.axhline(50, color="grey", linestyle=":", label="guessing")
ax.set(xscale="log", xlabel="training pictures a class (log scale)", ylabel="validation accuracy, %", title="Accuracy against training pictures", ylim=(35, 102))
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.legend(framealpha=1, edgecolor="none", loc="lower right", fontsize=8)
plotting.show(figure, alt="Mean validation accuracy with error bars of one standard deviation over seeds, for " + " and ".join(map(str, sizes)) + " pictures a class. " + "; ".join(f"{name}: " + ", ".join(f"{value:.0f} %" for value in np.mean(runs, axis=0)) for name, runs in found.items()) + ".")
assert np.mean(found["frozen features"], axis=0)[0] > np.mean(found["from scratch"], axis=0)[0] + 5

# %% [markdown]
# The frozen curve is nearly flat because ImageNet has ants and bees already.
#
# *Write down*: what does each way need, in pictures and in time? How would the three curves change if your pictures were X-rays, unlike anything in ImageNet, and which way would you then choose, with how many pictures?

# %% [markdown]
# <!-- ### BEGIN SOLUTION -->
# Here frozen features need fewest: some ten pictures a class, and seconds, since only the output layer is learnt and ImageNet's features tell ants from bees already. (The bars are long at four a class: it matters which four.) Fine-tuning gets about as far here, at many times the cost; it has no more to gain, because ImageNet holds ants and bees already. From scratch is far behind on the photographs at every size, and would need many times as many pictures.
# For X-rays the late features fit badly: frozen features would be worse, fine-tuning gains more (larger rates, more of the late layers), and with many pictures scratch comes closer. The first layers' edges serve there too. On drawings (the stand-in) scratch catches up sooner: two kinds of drawing vary much less than photographs.
# <!-- ### END SOLUTION -->

# %% [markdown]
# ### How sure are we?
#
# An accuracy on n pictures is a share in a sample. Other 153 pictures would have given another number. If the true accuracy is p, the observed one scatters around it with standard deviation √(p (1 − p) / n): at 94 % and 153 pictures, two points.
#
# Which true accuracies fit what was seen? All p for which the observed share p̂ is at most z standard deviations away (z = 1.96: 95 %). Solving for p gives **Wilson's interval**:
#
# $$\frac{\hat p + \frac{z^2}{2n} \;\pm\; z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4 n^2}}}{1 + \frac{z^2}{n}}$$
#
# The simpler p̂ ± z √(p̂ (1 − p̂) / n) fails where you need it: with 10 of 10 right it has no width at all.
#
# ### Exercise 09.7 · The interval of an accuracy
# ●○○ · 8 min · 2 points
#
# Compute the two ends of Wilson's interval.
#
# <details><summary>Hint 1</summary>Two intermediate values, the middle and half the width; both are divided by 1 + z²/n.</details>
# <details><summary>Hint 2</summary>In Python, <code>math.sqrt</code>; z² / 4n² is <code>z**2 / (4 * n**2)</code>.</details>
# <details><summary>The width is right, the place is not</summary>The middle is not p̂: it is pulled towards one half.</details>

# %% exercise="09.7"
def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Interval of the true accuracy.

    Args:
        right: pictures that are right, 0 … n.
        n: pictures, at least 1.
        z: standard deviations; 1.96 for 95 %.
    Returns:
        (low, high), from 0 to 1.
    """
    ### BEGIN SOLUTION
    p = right / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
    ### END SOLUTION

# %%
check("09.7")

# %%
wilson = mine_or_reference("09.7", wilson)

# %% tags=["demo"]
right_of = {name: logits.argmax(dim=1) == val_labels for name, logits in logits_of.items()}
figure, ax = plotting.subplots(size=(7, 2.4))
shown = []
for place, (name, right) in enumerate(right_of.items()):
    share, (low, high) = right.float().mean().item(), wilson(int(right.sum()), len(right))
    ax.errorbar(100 * share, place, xerr=[[100 * (share - low)], [100 * (high - share)]], fmt="o", capsize=4, color=plotting.PALETTE[place])
    shown.append(f"{name} {share:.1%}, from {low:.1%} to {high:.1%}")
ax.set_yticks(range(len(right_of)), right_of)
ax.set(xlabel="validation accuracy, %", ylabel="way", ylim=(-0.6, len(right_of) - 0.4), title=f"95 % intervals, {len(val_labels)} pictures")
ax.invert_yaxis()
plotting.show(figure, alt="Accuracy and its interval: " + "; ".join(shown) + ".")
print("\n".join(shown))

# %% [markdown]
# Four times as many pictures would halve the width. But two intervals that overlap do not yet mean "no difference": both networks saw the **same** pictures, and on most of them they agree. What tells is the pictures on which they differ.
#
# Say 9 are right only in network a, and 2 only in network b. If the two were equally good, each of these 11 would be a throw of a fair coin. How often does a fair coin give a split at least as uneven as 9 : 2, either way? This chance is the p-value of **McNemar's test**. Small: hardly noise. Large: it may well be noise.
#
# ### Exercise 09.8 · Two networks, the same pictures
# ●●○ · 15 min · 3 points
#
# Count the pictures that only a gets right, and those that only b does. Then the exact p: with n = their sum and m = the smaller, twice the chance of m or fewer heads in n throws, at most 1. With n = 0, p is 1.
#
# $$p = \min\Bigl(1,\; \frac{2}{2^n} \sum_{i=0}^{m} \binom{n}{i}\Bigr)$$
#
# <details><summary>Hint 1</summary>For bool tensors, <code>&</code> is "and", <code>~</code> is "not"; <code>int(….sum())</code> counts.</details>
# <details><summary>Hint 2</summary><code>math.comb(n, i)</code> is the binomial; <code>range(m + 1)</code> includes m. Divide whole numbers by <code>2**n</code>: Python's ints do not overflow.</details>
# <details><summary>5 against 5 gives more than 1</summary>Twice the tail counts the middle term twice: cut at 1.</details>

# %% exercise="09.8"
def mcnemar(a_right: torch.Tensor, b_right: torch.Tensor) -> tuple[int, int, float]:
    """Exact test of two classifiers on the same pictures.

    Args:
        a_right, b_right: bool (N,): which pictures each gets right; they may differ on more than 1,000.
    Returns:
        (how many only a gets right, how many only b, p).
    """
    ### BEGIN SOLUTION
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    n = only_a + only_b
    tail = sum(math.comb(n, i) for i in range(min(only_a, only_b) + 1)) / 2**n
    return only_a, only_b, min(1.0, 2 * tail)
    ### END SOLUTION

# %%
check("09.8")

# %%
mcnemar = mine_or_reference("09.8", mcnemar)

# %% tags=["demo"]
for a, b in (("frozen", "fine-tuned"), ("frozen", "from scratch"), ("fine-tuned", "from scratch")):
    only_a, only_b, p = mcnemar(right_of[a], right_of[b])
    verdict = "hardly noise" if p < 0.01 else "may be noise" if p > 0.05 else "perhaps"
    print(f"{a:11} against {b:13} only the first right: {only_a:3}, only the second: {only_b:3}, p = {p:.2g}: {verdict}")

# %% [markdown]
# Move the number of pictures, the two accuracies, and the share of pictures on which only one network is right ("differ"). How many pictures does it take until a difference of two points stands out?

# %% tags=["demo"]
widgets.intervals()

# %% [markdown]
# On the photographs, ImageNet's help against none is beyond doubt; whether to fine-tune, these 153 pictures cannot say. Two more sources of noise are not in these numbers: the seed, and which pictures were there to train on (the error bars above). And the more comparisons you make, the more of them come out "significant" by chance: at 5 %, one in twenty.

# %% [markdown]
# ## Step 9 · Inference, now and later
#
# The frozen way, for later use: as good as any here, and the quickest. A file of weights alone is not enough: whoever loads it has to know the size, the normalization (step 1!) and which logit is which class. These belong **beside the weights**.
#
# ### Exercise 09.9 · Save for later use
# ●●○ · 15 min · 3 points
#
# `save_classifier` writes one file: weights, class names, size, mean, std. `load_classifier` gets a *new* model of the same architecture, loads the weights into it, puts it into evaluation mode and returns the four facts. The file must open with `weights_only=True`: tensors, numbers, texts, lists and dicts only. A model of another architecture raises an error (the one that `load_state_dict` raises will do).
#
# <details><summary>Hint 1</summary><code>torch.save</code> writes a dict as well as a tensor. Under one name the <code>state_dict()</code>, under four others the facts.</details>
# <details><summary>Hint 2</summary><code>dict.pop(name)</code> takes an entry out and returns it; what is left are the facts. The weights must fit exactly: <code>load_state_dict</code> as it is, strict.</details>
# <details><summary>"Can't pickle", or "Weights only load failed"</summary>You save the model itself. Save <code>model.state_dict()</code>.</details>

# %% exercise="09.9"
def save_classifier(path: Path, model: nn.Module, classes: Sequence[str], size: int, mean: Sequence[float], std: Sequence[float]) -> None:
    """Write a network's weights with what its use needs."""
    ### BEGIN SOLUTION
    facts = {"classes": list(classes), "size": size, "mean": list(mean), "std": list(std)}
    torch.save({"weights": model.state_dict(), **facts}, path)
    ### END SOLUTION


def load_classifier(path: Path, model: nn.Module) -> dict:
    """Read what `save_classifier` wrote into a model of the same architecture, and put it into evaluation mode.

    Returns:
        {"classes": [...], "size": ..., "mean": [...], "std": [...]}
    """
    ### BEGIN SOLUTION
    kept = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(kept.pop("weights"))
    model.eval()
    return kept
    ### END SOLUTION

# %%
check("09.9")

# %% [markdown]
# The same picture through the network in memory, and through the file. To try one of your own, upload it beside this notebook and write its name into `my_picture`.

# %% tags=["demo"]
my_picture = None  # for example "garden.jpg"

path = Path(my_picture) if my_picture else paths[0]
picture = open_picture(path)
best = new_head(copy.deepcopy(network.model), network.head, len(classes)).cpu()
setattr(best, network.head, layer)  # the output layer trained on features; the rest is as it came
best.eval()


def ask(model, classes, size, mean, std):
    """The classes of the picture with their probabilities."""
    with torch.no_grad():
        return top_classes(model(preprocess(picture, size, mean, std)[None]), classes, k=len(classes))[0]


print(path.name, "in memory: ", [f"{name} {p:.4f}" for name, p in ask(best, classes, network.size, network.mean, network.std)])
try:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "ants_and_bees.pt"
        save_classifier(file, best, classes, network.size, network.mean, network.std)
        fresh = new_head(imagenet_network(network.name).model, network.head, len(classes))
        facts = load_classifier(file, fresh)
        print(path.name, "from a file:", [f"{name} {p:.4f}" for name, p in ask(fresh, **facts)], f"({file.stat().st_size / 2**20:.0f} MB)")
    assert torch.equal(getattr(fresh, network.head).weight, layer.weight)
except NotAttempted:
    print("The prediction from a file appears when you have solved exercise 09.9.")

# %% [markdown]
# Give it a picture of a cat, and it says ant or bee, perhaps with 95 %. A softmax over two classes knows no "neither". Where that matters, train with a third class of other things, or ask the 1,000 old logits first.

# %%
progress("09")

# %% [markdown]
# ## Recap
#
# - Size, crop, mean and std belong to the weights. Wrong ones cost accuracy, in silence.
# - Freeze (`requires_grad_(False)`), then replace the output layer by its name. Running averages are buffers: keep batch norms in evaluation mode.
# - A frozen network needs to see each picture once: cache the features, train the output layer in a second.
# - Fine-tune from a trained output layer, with small rates that shrink towards the input and a warm-up; choose the epoch on pictures that you do not report.
# - From scratch, a few hundred photographs are not enough.
# - 153 pictures: two points mean nothing. Wilson for one accuracy, McNemar for two networks on the same pictures.
# - Keep class names and preprocessing beside the weights.
#
# ## Read on
#
# - Jason Yosinski and others, [How transferable are features in deep neural networks?](https://arxiv.org/abs/1411.1792): layer by layer.
# - Simon Kornblith and others, [Do better ImageNet models transfer better?](https://arxiv.org/abs/1805.08974): frozen, fine-tuned, scratch on twelve datasets.
# - Ananya Kumar and others, [Fine-tuning can distort pretrained features](https://arxiv.org/abs/2202.10054): why to train the output layer first.
# - Hugo Touvron and others, [Fixing the train-test resolution discrepancy](https://arxiv.org/abs/1906.06423): what the size of the pictures does.
# - PyTorch, [Transfer learning tutorial](https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html): where these ants and bees come from.
#
# ## Hand in

# %%
hand_in("09")
