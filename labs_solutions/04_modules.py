# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Modules
#
# **You will be able to** write a layer and a network as an `nn.Module`; say what `parameters()`, `named_modules()` and `state_dict()` hold; take a convolutional network apart layer by layer
# and compute each shape and each parameter count beforehand; build networks that branch; start a network so that its signal survives; save, load, and read a shape mismatch.
#
# **Time** 170 min · **Know first** labs 01 and 02: shapes, `@`, broadcasting; that `backward()` fills `.grad`, and a step of gradient descent
#
# How to work: run the cells from top to bottom. In an exercise, replace the line that raises `NotAttempted` (or the `...`) by your code, run the cell, then run its check.

# %% tags=["setup"]
# (the build writes the setup cell here, the same in every lab)

# %%
import math
import tempfile
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from utils import data, plotting, runtime, widgets
from utils.checks import NotAttempted, check, hand_in, progress

# %% [markdown]
# ## 1 · A neuron, a layer, a network
#
# A **neuron** multiplies each of its inputs by a **weight**, adds the products up, and adds one more number, the **bias**. Then an activation decides what gets out; the commonest, ReLU, lets positive numbers pass and makes the others 0.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
x = torch.tensor([0.5, -1.0, 2.0])
w, b = torch.tensor([2.0, 1.0, 0.5]), torch.tensor(-0.25)
total = (w * x).sum() + b
print("weighted sum + bias:", total.item())
print("after ReLU:         ", total.relu().item())
print("for −x, after ReLU: ", ((w * -x).sum() + b).relu().item())

# %% tags=["demo"]
figure, ax = plotting.subplots(size=(7, 2.6))
for i, (value, weight) in enumerate(zip(x.tolist(), w.tolist())):
    ax.annotate("", xy=(2, 0), xytext=(0.25, 1 - i), arrowprops={"arrowstyle": "-|>", "color": "#777777", "shrinkB": 28})
    ax.scatter(0, 1 - i, s=900, color="#BFE3D5", edgecolor="black")
    ax.text(0, 1 - i, f"{value:g}", ha="center", va="center")
    ax.text(0.8, 0.69 * (1 - i) + 0.13, f"· {weight:g}", ha="center", va="bottom")
ax.annotate("", xy=(5.2, 0), xytext=(2, 0), arrowprops={"arrowstyle": "-|>", "color": "#777777"})
ax.text(2, 0, f"add up\nbias {b.item():g}", ha="center", va="center", bbox={"boxstyle": "circle,pad=0.4", "facecolor": "#CFE6F5"})
ax.text(4, 0, "ReLU", ha="center", va="center", bbox={"boxstyle": "round,pad=0.4", "facecolor": "#CFE6F5"})
ax.text(3.1, 0.1, f"{total.item():g}", ha="center", va="bottom")
ax.text(5.3, 0, f"{total.relu().item():g}", ha="left", va="center")
ax.set(xlim=(-0.4, 6), ylim=(-1.4, 1.4), title="A neuron")
ax.set_axis_off()
plotting.show(figure, alt="Three inputs, 0.5, −1 and 2, each with an arrow that carries its weight, 2, 1 and 0.5, to a circle that adds up with bias −0.25; its sum 0.75 goes through ReLU and comes out as 0.75.")

# %% [markdown]
# A **layer** is several neurons that look at the same inputs. Put the weights of each neuron into a row of a matrix W, and the layer is one product: Wx + b. For a whole batch of inputs, one a row, it is XWᵀ + b.
# That is all that `nn.Linear` does:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
layer = nn.Linear(in_features=3, out_features=4)  # four neurons, three inputs each
batch = torch.randn(5, 3)
print("weight", tuple(layer.weight.shape), " bias", tuple(layer.bias.shape))
print("batch", tuple(batch.shape), "→", tuple(layer(batch).shape))
print("the same as X @ W.T + b:", torch.allclose(layer(batch), batch @ layer.weight.T + layer.bias))


# %% [markdown]
# Let the outputs of one layer be the inputs of the next, and you have a network: a **multilayer perceptron**, MLP. Every line in the picture is one weight.


# %% tags=["demo"]
def draw_mlp(sizes):
    """Neurons as circles, weights as lines, with the number of parameters between two layers."""
    figure, ax = plotting.subplots(size=(8, 3.6))
    heights = [[(n - 1) / 2 - i for i in range(n)] for n in sizes]
    for i, (left, right) in enumerate(zip(heights, heights[1:])):
        for a in left:
            for b in right:
                ax.plot([i, i + 1], [a, b], color="#AAAAAA", linewidth=0.8, zorder=1)
        n, m = sizes[i : i + 2]
        ax.text(i + 0.5, -3.1, f"{n} · {m} weights\n+ {m} biases", ha="center", va="top", fontsize=9)
    for i, column in enumerate(heights):
        color = plotting.PALETTE[2] if i == 0 else plotting.PALETTE[0]
        ax.scatter([i] * len(column), column, s=330, color=color, zorder=2)
        name = "input" if i == 0 else "output" if i == len(sizes) - 1 else "hidden layer + ReLU"
        ax.text(i, 3.0, f"{name}\n{sizes[i]} numbers", ha="center", va="bottom", fontsize=9)
    ax.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(-4.3, 4.1))
    ax.set_title("An MLP with sizes " + ", ".join(map(str, sizes)), pad=8)
    ax.set_axis_off()
    return figure


plotting.show(draw_mlp([3, 5, 4, 2]), alt="Four columns of circles, 3, 5, 4 and 2 of them; every circle is joined to every circle of the next column. Between the columns: 15 weights and 5 biases, 20 and 4, 8 and 2.")

# %% [markdown]
# 20 + 24 + 10 = 54 parameters. What are the ReLUs for? Leave them out, and the layers collapse into one:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
first, second = nn.Linear(3, 5), nn.Linear(5, 2)
W = second.weight @ first.weight
b = second.weight @ first.bias + second.bias
print("two layers without ReLU = one layer:", torch.allclose(second(first(batch)), batch @ W.T + b, atol=1e-5))
print("with ReLU between them:             ", torch.allclose(second(first(batch).relu()), batch @ W.T + b, atol=1e-5))

# %% [markdown]
# ## 2 · `nn.Module`: what a layer remembers
#
# A layer is a function with numbers of its own. In PyTorch it is a class: `__init__` makes the numbers, `forward` says what happens to an input. Here is a small one, with a number of each kind:


# %% tags=["demo"]
class Thermometer(nn.Module):
    """Celsius → Fahrenheit; the factor and the offset are to be learned."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(1.0))
        self.offset = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("highest", torch.tensor(-273.15))
        self.note = torch.tensor(7.0)

    def forward(self, celsius):
        self.highest = torch.maximum(self.highest, celsius.max())
        return self.factor * celsius + self.offset


# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
thermometer = Thermometer()
print(thermometer(torch.tensor([10.0, 20.0])))
print("parameters: ", [name for name, _ in thermometer.named_parameters()])
print("buffers:    ", [name for name, _ in thermometer.named_buffers()])
print("state_dict: ", dict(thermometer.state_dict()))
thermometer.double()
print("after .double():", {name: getattr(thermometer, name).dtype for name in ("factor", "highest", "note")})

# %% [markdown]
# | what you assign | trained | saved in `state_dict()` | follows `.to(device)`, `.double()` |
# | --- | --- | --- | --- |
# | `nn.Parameter(tensor)` | yes: it is in `parameters()`, which the optimizer gets | yes | yes |
# | `register_buffer(name, tensor)` | no | yes (by default) | yes |
# | a plain tensor | no | **no** | **no** |
#
# A buffer is a number that belongs to the layer but is not learned: here the highest temperature seen, elsewhere a running average.
#
# A module notices parameters when you assign them to `self`. For that its lists must be there already, and `super().__init__()` makes them. Forget that line:


# %% tags=["demo"]
class Forgetful(nn.Module):
    def __init__(self):
        self.weight = nn.Parameter(torch.zeros(3))


try:
    Forgetful()
except AttributeError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# You write `forward`, but you call `model(x)`, not `model.forward(x)`. The call does more: it runs the **hooks**, functions that were hung onto the module, and that see each input and output. We shall use one to look inside networks.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
def look(module, inputs, output):
    print("   the hook sees", tuple(inputs[0].shape), "→", tuple(output.shape))


hook = layer.register_forward_hook(look)
print("layer(batch)")
layer(batch)
print("layer.forward(batch)")
layer.forward(batch)
hook.remove()

# %% [markdown]
# ### Exercise 04.1 · A layer of your own
# ●●○ · 15 min · 3 points
#
# Write `nn.Linear` yourself. Its parameters are called `weight`, of shape (out_features, in_features), and `bias`, of shape (out_features,). Each starts as random numbers, uniform between
# −1/√in_features and +1/√in_features; that is how torch starts them, too. (Section 8 asks why such a range.)
#
# <details><summary>Hint 1</summary><code>torch.empty(rows, columns).uniform_(low, high)</code> is a tensor of such random numbers. Wrap it as a parameter, and assign it to <code>self.weight</code>.</details>
# <details><summary>Hint 2</summary>In forward, the last dimension of x meets the last dimension of the weight: transpose the weight, and <code>@</code> does the rest, for any number of dimensions before it.</details>
# <details><summary>"parameters() does not know weight"</summary>A plain tensor is not noticed. It must be an <code>nn.Parameter</code>.</details>


# %% exercise="04.1"
class Dense(nn.Module):
    """A layer of neurons: y = x Wᵀ + b.

    Attributes:
        weight: parameter (out_features, in_features).
        bias: parameter (out_features,).
    """

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        ### BEGIN SOLUTION
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (..., in_features), floating point. Returns (..., out_features)."""
        ### BEGIN SOLUTION
        return x @ self.weight.T + self.bias
        ### END SOLUTION


# %%
check("04.1")

# %% [markdown]
# ## 3 · Modules made of modules
#
# A module that is assigned to `self` is noticed too, with all that it holds. So a network is a module made of modules, and so on. The simplest frame is `nn.Sequential`: one after the other.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
mlp = nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Sequential(nn.Linear(100, 50), nn.ReLU()), nn.Linear(50, 10))
print(mlp)
print("\nnamed_modules():   ", [name for name, _ in mlp.named_modules()])
print("named_children():  ", [name for name, _ in mlp.named_children()])
print("named_parameters():", [name for name, _ in mlp.named_parameters()])

# %% [markdown]
# `named_modules()` walks through everything, the network itself (its name is the empty text) and modules in modules; `named_children()` takes one step only. A name is the way to a part: `3.0.weight` is the weight of part 0 of part 3.
# Flatten and ReLU have no numbers to learn, so they give no parameters.
#
# ### The plain list
#
# For several layers a list comes to mind. This network has two hidden layers in a list, and a head:


# %% tags=["demo"]
class InAList(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(4, 8), nn.Linear(8, 8)]
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        for layer in self.hidden:
            x = layer(x).relu()
        return self.head(x)


def train_a_little(model):
    """Thirty steps of gradient descent (SGD does what lab 02 did by hand); which layers moved?"""
    x, y = torch.randn(64, 4), torch.randint(2, (64,))
    layers = [*model.hidden, model.head]
    before = [layer.weight.detach().clone() for layer in layers]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()  # a loss for scores: lab 05
        optimizer.step()
    return [not torch.equal(old, layer.weight) for old, layer in zip(before, layers)]


# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
runtime.seed_everything(0)
listed = InAList()
print("plain list: ", list(listed.state_dict()), " moved:", train_a_little(listed))
listed = InAList()
listed.hidden = nn.ModuleList(listed.hidden)
print("ModuleList: ", list(listed.state_dict()), " moved:", train_a_little(listed))

# %% [markdown]
# (The second list of names begins with `head` because `hidden` was assigned anew, after it.) No error: the network computes, the loss may even fall, because the head learns. But the layers in the plain list stay as random as they were, are not saved, and stay on the CPU when the rest goes to a GPU.
# A module looks for modules and parameters among its attributes; into a list it does not look. `nn.ModuleList` is a list that is a module (and `nn.ModuleDict` a dict). It has no `forward`: you write the loop.
#
# When in doubt, `print(model)`: what is missing there is not registered.

# %% [markdown]
# ### Exercise 04.2 · An MLP of any depth
# ●●○ · 12 min · 3 points
#
# Write an MLP whose sizes come as a list: `MLP([784, 100, 50, 10])` has three `nn.Linear` layers. Keep these, and only these, in `self.layers`, so that the parameters are called `layers.0.weight`, `layers.0.bias`, `layers.1.weight` …
# A ReLU stands *between* the layers, none after the last: its outputs are scores, which may be negative.
#
# <details><summary>Hint 1</summary>Neighbours in a list come in pairs from <code>zip(sizes, sizes[1:])</code>.</details>
# <details><summary>Hint 2</summary>In forward: apply all layers but the last (<code>self.layers[:-1]</code>) with a ReLU after each, then the last one without.</details>
# <details><summary>It fails for sizes of one layer only, or of many</summary>Do not write the number of layers down anywhere: loop. For a single layer there is no ReLU at all.</details>


# %% exercise="04.2"
class MLP(nn.Module):
    """Linear layers with ReLU between them.

    Args:
        sizes: numbers that go in, then those that come out of each layer; two or more.
    """

    def __init__(self, sizes: list[int]):
        super().__init__()
        ### BEGIN SOLUTION
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in zip(sizes, sizes[1:]))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, sizes[0]). Returns (B, sizes[-1])."""
        ### BEGIN SOLUTION
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)
        ### END SOLUTION


# %%
check("04.2")

# %% [markdown]
# ## 4 · A convolutional network, taken apart
#
# An MLP sees 784 numbers and does not know which of them are neighbours. A **convolution** does: a small window slides over the picture, and at each place it computes one weighted sum of what it sees. The weights, the **kernel**, are the same at every place.
# Two kernels, chosen by hand, on a real digit:

# %% tags=["demo"]
digits = data.mnist(full=False)
pixels = F.pad(digits.train_images.float() / 255, (2, 2, 2, 2))  # 28 × 28 → 32 × 32: two black pixels on each side
digit = pixels[(digits.train_labels == 7).nonzero()[0]]  # (1, 1, 32, 32): one image, one (grey) channel
upright = torch.tensor([-1.0, -1, 0, 1, 1]).repeat(5, 1) / 5  # dark on the left, bright on the right
kernels = torch.stack([upright, upright.T])[:, None]  # (2, 1, 5, 5): two kernels for one input channel
seen = F.conv2d(digit, kernels).relu()
pooled = F.max_pool2d(seen, 2)
pictures = [digit[0, 0], *seen[0], *pooled[0]]
figure, axes = plotting.subplots(1, 5, size=(10, 2.6))
titles = ("a digit", "left edges", "upper edges", "left, pooled", "upper, pooled")
for ax, picture, title in zip(axes, pictures, titles):
    ax.imshow(picture, cmap="gray")
    ax.set(title=title, xlabel=f"{picture.shape[1]} pixels", ylabel=f"{picture.shape[0]} pixels", xticks=[], yticks=[])
plotting.show(figure, alt="A seven, 32 by 32 pixels; where it has left edges and where it has upper edges, 28 by 28 pixels each; and both after pooling, 14 by 14.")

# %% [markdown]
# Each kernel answers one question everywhere ("is there a left edge?") and its answers form a new picture, a **channel**. **Max-pooling** keeps the largest of each 2 × 2 answers: the picture gets smaller, and it matters less where exactly the edge was.
# The kernels of a network are not chosen but learned. And the kernels of the next layer look at all channels at once.
#
# The network that most courses start with (it goes back to LeNet, 1998) does this twice, then lets an MLP of three layers decide. In: one grey image of 32 × 32 pixels. Out: ten scores.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
runtime.seed_everything(0)
lenet = nn.Sequential(
    nn.Conv2d(1, 6, kernel_size=5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(6, 16, kernel_size=5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(400, 120),
    nn.ReLU(),
    nn.Linear(120, 84),
    nn.ReLU(),
    nn.Linear(84, 10),
)
x = digit
print(f"{'the image':<56} {tuple(x.shape)}")
for i, layer in enumerate(lenet):
    x = layer(x)
    settings = str(layer).replace(", padding=0, dilation=1, ceil_mode=False", "")  # the defaults
    print(f"{i:2}  {settings:<52} {tuple(x.shape)}")

# %% [markdown]
# Read it line by line. A shape is (images, channels, height, width).
#
# - A window of 5 pixels has 28 places along 32 pixels, so 32 becomes 28. One channel went in, six come out: six kernels.
# - ReLU changes numbers, not shapes.
# - Pooling halves: 28 becomes 14.
# - Sixteen kernels, each 6 channels deep: 14 → 10. Pooling: 5.
# - `Flatten` lays 16 channels of 5 × 5 side by side: 400 numbers an image. The first dimension, the images, it leaves alone.
# - The head: 400 → 120 → 84 → 10.
#
# What the sixth layer's 400 numbers look like, before they are laid flat (the network has random weights; nothing has been learned):

# %% tags=["demo"]
figure, axes = plotting.subplots(2, 8, size=(9, 2.9))
channels = lenet[:6](digit)[0].detach()
for i, (ax, channel) in enumerate(zip(axes.flat, channels)):
    ax.imshow(channel, cmap="gray", vmin=0, vmax=channels.max())
    ax.set_title(f"channel {i}", fontsize=8, fontweight="normal")
    ax.set(xticks=[], yticks=[])
figure.suptitle("16 channels of 5 × 5 after the second pooling", fontweight="bold", fontsize=10)
plotting.show(figure, alt="Sixteen small grey pictures of five by five pixels: some are black, others have bright spots at different places.")

# %% [markdown]
# ### The batch dimension
#
# Layers expect many images at once. A single picture from a dataset has the shape (1, 32, 32): that 1 is its channel. What happens if you forget the batch?

# %% tags=["demo"]
one = digit[0]
print("one image:", tuple(one.shape))
print("after the convolutions:", tuple(lenet[:6](one).shape))
try:
    lenet(one)
except RuntimeError as error:
    print(f"{type(error).__name__}: {error}")
print("one.unsqueeze(0):", tuple(one.unsqueeze(0).shape), "→", tuple(lenet(one.unsqueeze(0)).shape))

# %% [markdown]
# The convolutions were content: they take (channels, height, width) as well. `Flatten` then took the 16 channels for 16 images of 25 numbers each, and only the linear layer protested, far from the cause.
# *mat1* is what arrives, 16 × 25; *mat2* is the layer's weight, ready for 400 numbers. `unsqueeze(0)` puts a dimension of size 1 in front (as `one[None]` does): a batch of one image.

# %% [markdown]
# ### Exercise 04.3 · The network as a class
# ●●○ · 12 min · 3 points
#
# `Sequential` is enough for this network. But in a class the parts have names, and `forward` may do whatever Python can; sections 6 and 7 need that. Write the network above as a class. Its five layers with weights are called `conv1`, `conv2`, `fc1`, `fc2`, `fc3`
# ("fully connected"); for ReLU, pooling and flattening use functions in `forward`.
#
# <details><summary>Hint 1</summary><code>F.relu(x)</code> or <code>x.relu()</code>; <code>F.max_pool2d(x, 2)</code>; <code>x.flatten(1)</code> flattens everything from dimension 1 on.</details>
# <details><summary>Hint 2</summary>Print <code>x.shape</code> after each line of forward, and compare with the list above.</details>
# <details><summary>mat1 and mat2 shapes cannot be multiplied</summary>Is a pooling missing? Is it <code>flatten(1)</code>, not <code>flatten()</code>, which would take the batch along?</details>
# <details><summary>The shapes are right, the numbers are not</summary>Count the ReLUs: there are four, none of them after <code>fc3</code>.</details>


# %% exercise="04.3"
class LeNet(nn.Module):
    """Grey images of 32 × 32 pixels → ten scores each."""

    def __init__(self):
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, 1, 32, 32), floating point. Returns scores (B, 10)."""
        ### BEGIN SOLUTION
        x = F.max_pool2d(self.conv1(x).relu(), 2)
        x = F.max_pool2d(self.conv2(x).relu(), 2)
        x = self.fc1(x.flatten(1)).relu()
        x = self.fc2(x).relu()
        return self.fc3(x)
        ### END SOLUTION


# %%
check("04.3")

# %% [markdown]
# ### Shapes of any network
#
# A class cannot be looped through like a `Sequential`; its `forward` decides who is called when. A forward hook on each part tells the shapes all the same. Here on resnet18, which you did not write, from lab 02:


# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
def print_shapes(model, x):
    """Run the model once and print what comes out of each of its direct parts."""
    names = {part: name for name, part in model.named_children()}

    def show(part, inputs, output):
        print(f"{names[part]:8} {type(part).__name__:18} {tuple(output.shape)}")

    hooks = [part.register_forward_hook(show) for part in names]
    try:
        model(x)
    finally:  # hooks stay on the model until they are removed
        for hook in hooks:
            hook.remove()


print_shapes(torchvision.models.resnet18(weights=None).eval(), torch.zeros(1, 3, 64, 64))

# %% [markdown]
# The same pattern as in LeNet: places become fewer, channels more; at the end, one row of numbers an image.
#
# ### How many parameters?
#
# A kernel of the first layer has 5 · 5 · 1 weights, and one bias. A kernel of a later layer is as deep as there are channels coming in. A neuron of a linear layer has one weight for each number that comes in, and one bias.

# %% [markdown]
# ### Exercise 04.4 · Count by hand
# ●○○ · 8 min · 2 points
#
# Count LeNet's parameters on paper, weights and biases. The last question: if the images had 64 × 64 pixels, how many would `conv1` need? Write numbers, or products such as `3 * 7 + 2`.
#
# <details><summary>Hint 1</summary><code>conv1</code>: 6 kernels of 5 · 5 · 1 weights, each with a bias.</details>
# <details><summary>Hint 2</summary>A kernel of <code>conv2</code> looks at all 6 channels. <code>fc1</code>: 120 neurons, each with 400 inputs.</details>
# <details><summary>The total is not right</summary>Five layers: two convolutions and three linear ones. ReLU, pooling and flatten have nothing to learn.</details>

# %% exercise="04.4"
conv1_count = ...  # parameters of conv1
conv2_count = ...  # of conv2
fc1_count = ...  # of fc1
total_count = ...  # of the whole network
conv1_count_64 = ...  # of conv1, for images of 64 × 64 pixels
### BEGIN SOLUTION
conv1_count = 6 * (5 * 5 * 1 + 1)
conv2_count = 16 * (5 * 5 * 6 + 1)
fc1_count = 120 * (400 + 1)
total_count = conv1_count + conv2_count + fc1_count + 84 * (120 + 1) + 10 * (84 + 1)
conv1_count_64 = conv1_count
### END SOLUTION

# %%
check("04.4")

# %% [markdown]
# By code it is one line, `sum(p.numel() for p in model.parameters())`. The share of each layer, for two networks:


# %% tags=["demo"]
def shares(model):
    """Name of each layer with weights -> its number of parameters."""
    layers = [(name, part) for name, part in model.named_children() if list(part.parameters())]
    return {f"{name} {type(part).__name__}": sum(p.numel() for p in part.parameters()) for name, part in layers}


wide = nn.Sequential(nn.Flatten(), nn.Linear(1024, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
figure, axes = plotting.subplots(1, 2, size=(9, 3), sharex=True)
for ax, model, name in ((axes[0], lenet, "LeNet"), (axes[1], wide, "The head alone, on the pixels")):
    counts = shares(model)
    bars = ax.barh(list(counts), list(counts.values()), color=[plotting.PALETTE[1 if "Conv" in part else 0] for part in counts])
    ax.bar_label(bars, [f" {n:,}" for n in counts.values()], fontsize=9)
    ax.invert_yaxis()
    ax.set(xlabel="parameters", xlim=(0, 165_000), xticks=(0, 50_000, 100_000, 150_000), title=f"{name}: {sum(counts.values()):,}")
plotting.show(figure, alt="Bars. LeNet has 61,706 parameters: 156 and 2,416 in the convolutions, 48,120, 10,164 and 850 in the linear layers. The head alone on 1,024 pixels has 134,014, of these 123,000 in its first layer.")

# %% [markdown]
# The convolutions, which do most of the seeing, hold 4 % of LeNet's numbers: the same kernel serves everywhere. For that reason the size of the image does not matter to them. It does matter to the first linear layer.
#
# ## 5 · How large is the output, and how far does it see?
#
# Four settings decide the size of a convolution's or a pooling's output:
#
# - **kernel**: pixels under the window;
# - **stride**: how far the window moves each time;
# - **padding**: pixels of 0 that are put on *each* side;
# - **dilation**: distance between the pixels that the window looks at; with 2, it looks at every second one.
#
# Move the sliders. On the left is one row of the picture, layer above layer; on the right is which input pixels one output sees: its **receptive field**. Try: kernel 3 with one, two, three layers; then with stride 2; then with dilation 2.
# Which padding keeps the size for kernel 3, for 5, for kernel 3 with dilation 2?

# %% tags=["demo"]
widgets.convolution()

# %% [markdown]
# (The size stays with padding 1, 2 and 2.) Two settings are worth knowing by heart: kernel 3 with padding 1 keeps the size, and kernel 2 with stride 2 (pooling) halves it.

# %% [markdown]
# ### Exercise 04.5 · The output size
# ●○○ · 8 min · 2 points
#
# Write the formula. Read it off the widget, or think: where can the window's left edge stand, if the whole window must fit?
#
# <details><summary>Hint 1</summary>With padding the row is longer: by how much? How many pixels does a window with dilation cover from its first to its last? For kernel 3 and dilation 2 it is 5.</details>
# <details><summary>Hint 2</summary>The left edge stands first at 0 and last at (length with padding − pixels covered).</details>
# <details><summary>Hint 3</summary>Of these places every <code>stride</code>-th is used, from the first on: as many as whole strides fit, and one more.</details>
# <details><summary>Right for stride 1, wrong for larger strides</summary>A window that would stick out is left out: which way do you round? And is the first place added after the division, or before?</details>


# %% exercise="04.5"
def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Pixels a side that come out of a convolution or a pooling.

    Args:
        size: pixels a side that go in.
        kernel: pixels a side that the window looks at.
        stride: pixels that the window moves each time (`MaxPool2d(k)` has stride k unless told otherwise).
        padding: pixels of 0 on each of the two sides.
        dilation: distance between neighbours under the window; 1 means no gaps.
    """
    ### BEGIN SOLUTION
    covered = dilation * (kernel - 1) + 1
    return (size + 2 * padding - covered) // stride + 1
    ### END SOLUTION


# %%
check("04.5")

# %% [markdown]
# ### The receptive field
#
# How many input pixels does one of LeNet's last 5 × 5 places see? Ask autograd: the slope of that one number is not zero for just these pixels. (To let every pixel show, all weights are 1 here, and the pooling averages: a maximum would pass on one pixel only.)

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
counter = nn.Sequential(nn.Conv2d(1, 1, 5), nn.AvgPool2d(2), nn.Conv2d(1, 1, 5), nn.AvgPool2d(2))
for p in counter.parameters():
    nn.init.ones_(p)
x = torch.zeros(1, 1, 32, 32, requires_grad=True)
counter(x)[0, 0, 2, 2].backward()  # the place in the middle
rows = (x.grad[0, 0].sum(1) != 0).nonzero().flatten()
print(f"it sees rows {rows.min()} to {rows.max()}: {len(rows)} of 32")

# %% [markdown]
# By hand, from the input upwards, with a step that says how far apart two neighbours of a layer are, in input pixels: start at field 1, step 1. Each layer adds dilation · (kernel − 1) · step to the field, then multiplies the step by its stride.
# Convolution 5: field 5, step 1. Pooling 2: field 6, step 2. Convolution 5: 6 + 4 · 2 = 14. Pooling: 14 + 1 · 2 = 16.
#
# ### Other input sizes
#
# The digits have 28 × 28 pixels, and we padded them to 32. What if not?

# %% tags=["demo"]
for size in (28, 64, 12):
    image = torch.zeros(1, 1, size, size)
    try:
        print(size, lenet(image).shape)
    except RuntimeError as error:
        print(f"{size} × {size}: {str(error).splitlines()[0]}")

# %% [markdown]
# Read the first aloud: *mat1*, what arrives at the linear layer, is 1 × 256: one image, 16 channels · 4 · 4 places (28 → 24 → 12 → 8 → 4). *mat2*, the weight, wants 400. The number that arrives tells you where you are: 256 = 16 · 4 · 4, 2704 = 16 · 13 · 13.
# The last message is another: 12 → 8 → 4, and a window of 5 does not fit into 4 pixels.
#
# So the convolutions take any picture that is not too small; the head takes 400 numbers. Put something between them that always makes 5 × 5 places. `nn.AdaptiveAvgPool2d(5)` does: it averages over as many pixels as it must (and uses some twice where the size is no multiple of 5).

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
flexible = nn.Sequential(*lenet[:6], nn.AdaptiveAvgPool2d(5), *lenet[6:])  # the very same layers, and one more
for size in (20, 28, 32, 64, 200):
    image = torch.zeros(2, 1, size, size)
    print(f"{size:3} → {tuple(lenet[:6](image).shape)} → {tuple(flexible[:7](image).shape)} → {tuple(flexible(image).shape)}")
print("at 32 nothing has changed:", torch.equal(flexible(digit), lenet(digit)))

# %% [markdown]
# Many networks pool to 1 × 1 there, resnet18 too (`avgpool`, above): then the head needs as many inputs as there are channels. That a size is *accepted* does not mean that it is *understood*: a network that has seen small digits only need not know large ones.

# %%
progress("04")

# %% [markdown]
# ## 6 · Networks that branch
#
# So far each layer had one input, the output of the one before. `forward` is plain Python, so an output may be used twice, or two results come out.
#
# ### A skip connection
#
# Let gradients run back through forty layers of 64 neurons, and look at the size of the gradient that each layer gets, compared with the last one's:


# %% tags=["demo"]
def gradient_sizes(skip: bool, depth: int = 40):
    """Norm of the weights' gradient in each layer, first to last, as a multiple of the last one's."""
    runtime.seed_everything(0)
    layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
    x = torch.randn(100, 64)
    for layer in layers:
        step = layer(x).relu()
        x = x + step if skip else step
    x.square().mean().backward()
    norms = [layer.weight.grad.norm().item() for layer in layers]
    return [norm / norms[-1] for norm in norms]


sizes = {"each layer on the last one's output": gradient_sizes(False), "with a skip: x + layer(x)": gradient_sizes(True)}
figure = plotting.curves(sizes, xlabel="layer, first to last", ylabel="norm of the gradient (last layer: 1)", title="What arrives at each of forty layers")
figure.axes[0].set_yscale("log")
plotting.show(figure, alt="Two lines over forty layers, on a logarithmic scale. Without skips the gradient falls steadily from the last layer to the first, to 1e-15 of what it was; with skips it stays between 0.2 and 1.2 times the last one's.")

# %% [markdown]
# Without the skip, and with torch's default start (section 8), each layer passes on less than half of what it gets, and after forty layers nothing is left: the first ones cannot learn. With it, each layer only adds something to x, and x itself goes through untouched; so does its gradient, because the slope of x + f(x) contains a plain 1.
# This is what made networks of a hundred layers possible (ResNet, 2015).
#
# A sum needs two equal shapes. If the layers on the long way change the number of channels, or the size (stride 2), then the short way must do the same, as cheaply as possible: by a 1 × 1 convolution with the same stride.

# %% [markdown]
# ### Exercise 04.6 · A residual block
# ●●○ · 15 min · 3 points
#
# Two convolutions of 3 × 3 with a ReLU between them; then add what came in; then a ReLU on the sum. The parts are called `conv1` (with the stride), `conv2` (stride 1) and `skip`; each convolution has a bias, and the 3 × 3 ones a padding of 1.
# Where the shape does not change, `skip` is `nn.Identity()`, which returns its input; otherwise it is a 1 × 1 convolution (itself, not inside a `Sequential`).
#
# <details><summary>Hint 1</summary>forward: the long way is conv1, ReLU, conv2; the short way is <code>self.skip(x)</code>. Add, then ReLU.</details>
# <details><summary>Hint 2</summary>Two reasons to need a convolution on the short way: <code>channels_in != channels_out</code>, or the stride is not 1.</details>
# <details><summary>The size of tensor a must match the size of tensor b</summary>The two ways do not end in the same shape. Has the 1 × 1 convolution the block's stride? Is the padding 1 in both others?</details>


# %% exercise="04.6"
class Residual(nn.Module):
    """Two 3 × 3 convolutions, and a short way around them.

    Args:
        channels_in, channels_out: of the block.
        stride: of conv1, and of the short way.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1):
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1 = nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1)
        if stride == 1 and channels_in == channels_out:
            self.skip = nn.Identity()
        else:
            self.skip = nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=stride)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, channels_in, H, W). Returns (B, channels_out, H', W'), with H' = H for stride 1."""
        ### BEGIN SOLUTION
        long_way = self.conv2(self.conv1(x).relu())
        return (long_way + self.skip(x)).relu()
        ### END SOLUTION


# %%
check("04.6")

# %% [markdown]
# ### Two heads
#
# One picture, two questions: which digit is it, and how much ink has it? The layers that see serve both; then the ways part. `forward` returns both answers, here as a dict.


# %% tags=["demo"]
class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16 * 16, 32), nn.ReLU())
        self.digit = nn.Linear(32, 10)
        self.ink = nn.Linear(32, 1)

    def forward(self, x):
        features = self.body(x)
        return {"digit": self.digit(features), "ink": self.ink(features).squeeze(1)}


runtime.seed_everything(0)
model = TwoHeads()
x, y = pixels[:100], digits.train_labels[:100]
ink = x.mean((1, 2, 3))
answers = model(x)
print({name: tuple(answer.shape) for name, answer in answers.items()})
losses = {"digit": F.cross_entropy(answers["digit"], y), "ink": F.mse_loss(answers["ink"], ink)}
weight = model.body[0].weight
parts = {name: torch.autograd.grad(loss, weight, retain_graph=True)[0] for name, loss in losses.items()}
(losses["digit"] + losses["ink"]).backward()
print("the body's gradient is the sum of both:", torch.allclose(weight.grad, parts["digit"] + parts["ink"], atol=1e-6))
print("norms:", {name: round(part.norm().item(), 4) for name, part in parts.items()})

# %% [markdown]
# One sum, one `backward()`; at the fork the gradients add up, as in lab 02. The two need not be of the same size. If one question drowns the other, give its loss a factor.
#
# ## 7 · `train()` and `eval()`
#
# Some layers behave in one way while they learn, and in another when they are used. Two of them, in both modes:

# %% tags=["demo"]
runtime.seed_everything(0)
dropping = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5))
normed = nn.Sequential(nn.Linear(6, 8), nn.Sequential(nn.BatchNorm1d(8), nn.ReLU()))
x = torch.randn(4, 6)
for mode in ("train", "eval"):
    for model in (dropping, normed):
        getattr(model, mode)()
    print(f"{mode}(), flags:", {name or "all": part.training for name, part in normed.named_modules()})
    print("   dropout: twice the same result:                   ", torch.equal(dropping(x), dropping(x)))
    print("   batch norm: two rows, the same without the others:", torch.allclose(normed(x[:2]), normed(x)[:2], atol=1e-6))

# %% [markdown]
# `train()` and `eval()` set one flag, `training`, in the module and in all that it holds. Layers look at it:
#
# - **Dropout** (lab 06) sets random numbers to 0 in training, and does nothing in evaluation.
# - **Batch norm** (lab 08) subtracts the *batch's* mean in training, so that a row's result depends on its neighbours, and one row alone has no spread to be measured by. It also keeps running averages, in buffers; in evaluation it uses these.
#
# Nothing else changes: `eval()` switches off no gradient and freezes no weight (lab 02). A new module starts in training mode. So predictions that vary from call to call, or depend on who else is in the batch, mean a missing `eval()`.

# %% [markdown]
# ### Exercise 04.7 · A layer with two modes
# ●●○ · 15 min · 3 points
#
# Write the half of batch norm that centres. In training: take the mean of each feature over the batch, subtract it, and move the running mean towards it by a tenth of the way (`momentum`):
# `mean ← (1 − momentum) · mean + momentum · (the batch's mean)`. In evaluation: subtract the running mean, and leave it as it is. The running mean is a buffer called `mean`, zeros at the start.
#
# <details><summary>Hint 1</summary>A buffer is registered in __init__ by its name and its first value, zeros; <code>if self.training:</code> asks for the mode in forward.</details>
# <details><summary>Hint 2</summary>The running mean is a record, not part of the calculation: use <code>batch_mean.detach()</code> for it, or put the update, and only the update, under <code>torch.no_grad()</code>.</details>
# <details><summary>"mean requires a gradient", or memory grows from batch to batch</summary>The update was recorded: each running mean holds the graph of all batches before it. See hint 2.</details>


# %% exercise="04.7"
class Center(nn.Module):
    """Subtracts the batch's mean in training, a running mean in evaluation.

    Args:
        features: numbers in a row.
        momentum: share of the newest batch in the running mean.
    Attributes:
        mean: buffer (features,), the running mean; zeros at the start.
    """

    def __init__(self, features: int, momentum: float = 0.1):
        super().__init__()
        ### BEGIN SOLUTION
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(features))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, features), floating point. Returns the same shape."""
        ### BEGIN SOLUTION
        if not self.training:
            return x - self.mean
        batch_mean = x.mean(0)
        with torch.no_grad():
            self.mean.lerp_(batch_mean, self.momentum)
        return x - batch_mean
        ### END SOLUTION


# %%
check("04.7")

# %% [markdown]
# ## 8 · How to start
#
# Before the first step of training, the weights are random. How large should they be? Send real digits through ten layers of 256 neurons with ReLU, for four ways of drawing the weights, and look at the numbers that come out of some of the layers. (*std*, *spread*: the standard deviation.)


# %% tags=["demo"]
def deep_mlp(depth: int = 10, width: int = 256) -> nn.Sequential:
    """`depth` hidden layers with ReLU, and a last layer of ten scores."""
    layers, inputs = [nn.Flatten()], 32 * 32
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(width, 10))


STARTS = {
    "std 0.01": lambda weight: nn.init.normal_(weight, std=0.01),
    "std 0.3": lambda weight: nn.init.normal_(weight, std=0.3),
    "Xavier": nn.init.xavier_normal_,
    "Kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
}


def start(model: nn.Module, draw) -> nn.Module:
    """Draw all weights of the linear layers anew; biases become 0."""
    for part in model.modules():
        if isinstance(part, nn.Linear):
            draw(part.weight)
            nn.init.zeros_(part.bias)
    return model


def outputs_of_relus(model, x) -> list[torch.Tensor]:
    found = []
    with torch.no_grad():
        for part in model:
            x = part(x)
            if isinstance(part, nn.ReLU):
                found.append(x.flatten())
    return found


x = F.pad(data.normalize(digits.train_images[:500], (data.MNIST_MEAN,), (data.MNIST_STD,)), (2, 2, 2, 2))
shown = (0, 2, 4, 6, 9)
figure, axes = plotting.subplots(len(STARTS), len(shown), size=(10, 6.4))
for row, (name, draw) in zip(axes, STARTS.items()):
    runtime.seed_everything(0)
    outputs = outputs_of_relus(start(deep_mlp(), draw), x)
    for ax, i in zip(row, shown):
        values = outputs[i]
        ax.hist(values[values > 0].clamp(max=3).numpy(), bins=30, range=(0, 3), color=plotting.PALETTE[0])
        ax.set_title(f"layer {i + 1}: spread {values.std():.1g}", fontsize=9, fontweight="normal")
        ax.tick_params(labelsize=8)
        ax.set_yticks([])
    row[0].set_ylabel(name, fontsize=9, fontweight="bold")
for ax in axes[-1]:
    ax.set_xlabel("value after ReLU", fontsize=8)
figure.suptitle("What comes out of the layers (numbers above 0; the last bar: 3 and more)", fontweight="bold", fontsize=10)
plotting.show(figure, alt="Histograms of four ways to start, for layers 1, 3, 5, 7 and 10. With weights of 0.01 everything is at 0 from layer 3 on, and the spread falls to 6e-10; with 0.3 nearly everything is at 3 or more, and the spread grows to 4e5; with Xavier the histogram narrows from layer to layer; with Kaiming it looks alike in all of them.")

# %% [markdown]
# Weights with a standard deviation of 0.01 make the signal about nine times smaller in each layer: soon all is 0. Weights of 0.3 make it more than three times larger. Xavier's lose a little each time, Kaiming's keep it. Every layer multiplies by some factor, and a factor to the tenth power is tiny or huge, unless it is 1.
#
# Which weights give the factor 1? A neuron adds up *n* products, input times weight; n is its **fan-in**. If the weights have mean 0 and variance *v*, and do not depend on the inputs, the variances add up:
#
# $$\operatorname{Var}[\text{sum}] = n \cdot v \cdot \operatorname{E}[x^2].$$
#
# So v = 1/n keeps the size. But the inputs went through a ReLU, which makes half of them 0 and so halves E[x²], the mean of their squares. Therefore **v = 2/n**, a standard deviation of √(2/n): Kaiming He's start (2015). Xavier Glorot's (2010), v = 2 / (fan-in + fan-out), is a compromise for forward and backward, made for tanh, which does not halve.
#
# Does it matter for learning? 120 steps each, same data, same learning rate:


# %% tags=["demo"]
def first_losses(draw, steps: int = 120, lr: float = 0.02) -> list[float]:
    """The loss at each step, as the mean of the last 20 steps."""
    runtime.seed_everything(0)
    model = start(deep_mlp(), draw)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    scale = {"mean": (data.MNIST_MEAN,), "std": (data.MNIST_STD,)}
    batches = data.Batches(digits.train_images, digits.train_labels, batch_size=200, shuffle=True, **scale)
    while len(losses) < steps:
        for x, y in batches:  # 200 images at a time, in random order (lab 03)
            loss = F.cross_entropy(model(F.pad(x, (2, 2, 2, 2))), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(min(loss.item(), 4.0) if loss.isfinite() else 4.0)
    return [sum(losses[max(0, i - 20) : i]) / min(i, 20) for i in range(1, steps + 1)]


curves = {name: first_losses(draw) for name, draw in STARTS.items()}
assert curves["Kaiming"][-1] < 0.5 * curves["std 0.01"][-1]
figure = plotting.curves(curves, xlabel="step", ylabel="mean loss of the last 20 steps (cut off at 4)", title="The first 120 steps of four networks")
plotting.show(figure, alt="Four loss curves. Kaiming falls at once, Xavier late and slowly, 0.01 stays at 2.3, the loss of guessing among ten digits; 0.3 stays at the cut, 4 or more.")

# %% [markdown]
# With 0.01 the ten scores hardly depend on the image, and hardly any gradient comes back: the loss stays at ln 10 ≈ 2.3, that of guessing. With 0.3 the scores are enormous, and the steps throw the weights about. Xavier's network begins late; with more layers it would wait longer.
# Same network, same data; only the start differs.
#
# `model.apply(f)` calls f on each module, however deep, which suits a start. Weights are changed in place, by functions that end in `_`, and without being recorded: under `torch.no_grad()`, as the functions of `nn.init` do by themselves.

# %% [markdown]
# ### Exercise 04.8 · Kaiming's start
# ●●○ · 15 min · 3 points
#
# Draw the weights of every `nn.Linear` and `nn.Conv2d` in a model, at any depth, from the *normal* distribution with mean 0 and standard deviation √(2 / fan-in); set their biases to 0. Leave all other modules as they are (the weight of a batch norm starts at 1, and should).
# The fan-in: how many numbers does one output add up?
#
# <details><summary>Hint 1</summary>Loop over <code>model.modules()</code>, and ask <code>isinstance(part, (nn.Linear, nn.Conv2d))</code>.</details>
# <details><summary>Hint 2</summary>A linear weight is (out, in): fan-in is in. A convolution's is (out, in, height, width): one output adds up in · height · width numbers.</details>
# <details><summary>Hint 3</summary>In both cases that is <code>weight[0].numel()</code>. To draw: the weight's <code>normal_(mean, std)</code>, under <code>torch.no_grad()</code>.</details>
# <details><summary>"a leaf Variable that requires grad is being used in an in-place operation"</summary>The change must not be recorded: <code>with torch.no_grad():</code> around it.</details>
# <details><summary>It works for linear layers, not for convolutions</summary>Is the kernel's size in your fan-in? And some convolutions have no bias: it is None then.</details>


# %% exercise="04.8"
def he_init_(model: nn.Module) -> None:
    """Start all linear and convolutional layers of a model as He et al. do; in place.

    Args:
        model: weights become normal with mean 0 and standard deviation √(2 / fan-in), biases 0; what is
            neither nn.Linear nor nn.Conv2d stays as it is.
    """
    ### BEGIN SOLUTION
    for part in model.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d)):
            fan_in = part.weight[0].numel()
            with torch.no_grad():
                part.weight.normal_(0, math.sqrt(2 / fan_in))
                if part.bias is not None:
                    part.bias.zero_()
    ### END SOLUTION


# %%
check("04.8")

# %% [markdown]
# Your network with your start, on the digits: four passes over the training images, then a thousand that it has never seen. (Lab 07 builds such a loop with care.)

# %% tags=["demo"]
scale = {"mean": (data.MNIST_MEAN,), "std": (data.MNIST_STD,)}
try:
    runtime.seed_everything(0)
    model = LeNet()
    he_init_(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(4):
        for x, y in data.Batches(digits.train_images, digits.train_labels, batch_size=50, shuffle=True, **scale):
            optimizer.zero_grad()
            F.cross_entropy(model(F.pad(x, (2, 2, 2, 2))), y).backward()
            optimizer.step()
    with torch.no_grad():
        (x, y), = data.Batches(digits.test_images, digits.test_labels, batch_size=1000, **scale)
        right = model(F.pad(x, (2, 2, 2, 2))).argmax(1) == y
    print(f"{right.float().mean():.0%} of {len(y)} new digits are recognized")
except NotAttempted:
    print("This cell needs exercises 04.3 and 04.8.")
except Exception as error:
    print(f"Your network does not run yet. {type(error).__name__}: {error}")

# %% [markdown]
# torch's own default is neither: it draws uniformly within ±1/√n, a variance of 1/(3n). That shrinks the signal in deep networks, as in the figure of the forty layers; few notice, because batch norm and skips repair it.
#
# ## 9 · Saving and loading
#
# What a network has learned is its `state_dict()`: names and tensors, parameters and buffers. Save that, not the object: the file then needs none of your code to be opened, and outlives changes to it. To load, build the same network, and fill it.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
runtime.seed_everything(0)
model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).eval()
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "model.pt"
    torch.save(model.state_dict(), file)
    state = torch.load(file, weights_only=True, map_location="cpu")
for name, tensor in state.items():
    print(f"{name:24} {tuple(tensor.shape)}")
again = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).eval()
x = torch.randn(2, 6)
print("a new network agrees:", torch.equal(again(x), model(x)))
print(again.load_state_dict(state))
print("after loading:       ", torch.equal(again(x), model(x)))

# %% [markdown]
# Batch norm's running averages are there, as they must be. `weights_only=True` refuses to run code from the file (a file from the internet may hold some), and `map_location` says where the tensors go if they come from a GPU that is not here.
# The mode, training or evaluation, is *not* in it.
#
# ### A mismatch, read aloud
#
# Now the network has changed: four classes in place of three, no batch norm, and one more layer.

# %% tags=["demo"]
runtime.seed_everything(0)
changed = nn.Sequential(nn.Linear(6, 8), nn.Identity(), nn.ReLU(), nn.Linear(8, 4), nn.Linear(4, 4))
try:
    changed.load_state_dict(state)
except RuntimeError as error:
    print(error)
print("\nand yet the first layer was filled:", torch.equal(changed[0].weight, state["0.weight"]))

# %% [markdown]
# Three kinds of complaint, each a fact:
#
# - **Missing key(s)**: the network has these, the file has not. Nothing fills them.
# - **Unexpected key(s)**: the file has these, the network has no place for them.
# - **size mismatch**: both have it, in different shapes. First the file's (*from checkpoint*), then the network's (*in current model*).
#
# Note the last line: what fitted was filled before the error came. The network is now half one thing and half the other; build it anew.
#
# If only a prefix differs (`module.0.weight` for `0.weight`), then the network was wrapped in something when it was saved: rename the keys. `strict=False` lets missing and unexpected keys pass, and tells you which they were. Sizes it does not forgive:

# %% tags=["demo"]
try:
    changed.load_state_dict(state, strict=False)
except RuntimeError as error:
    print(error)
body = {name: tensor for name, tensor in state.items() if not name.startswith("3.")}  # without the old head
report = changed.load_state_dict(body, strict=False)
print("\nwithout the old head:\n  missing   ", report.missing_keys, "\n  unexpected", report.unexpected_keys)

# %% [markdown]
# Read what `strict=False` returns. If a whole network is "missing", then not a single name agreed, and you go on with random weights, without an error.

# %% [markdown]
# ### Exercise 04.9 · Load what fits
# ●●○ · 12 min · 3 points
#
# To reuse a trained network for other classes, you want all of its weights but those of the head. Load from `state` the entries whose name the model has, in the same shape; return the names of the others, those of `state` that were left out. Do not change `state`.
#
# <details><summary>Hint 1</summary>The model's own entries are in <code>model.state_dict()</code>. An entry of <code>state</code> fits if its name is there, and then if the two shapes agree.</details>
# <details><summary>Hint 2</summary>Collect the fitting entries in a new dict, and load it with <code>strict=False</code>: all the rest of the model is "missing" then, and stays.</details>
# <details><summary>The model has not changed at all</summary><code>model.state_dict()</code> is a new dict each time: writing into it changes that dict, not the model. It must go back in by <code>load_state_dict</code>.</details>


# %% exercise="04.9"
def load_matching(model: nn.Module, state: dict[str, torch.Tensor]) -> list[str]:
    """Load the entries of a state dict that fit the model by name and shape.

    Args:
        model: is changed in place.
        state: name -> tensor; not to be changed.
    Returns:
        names in `state` that were left out.
    """
    ### BEGIN SOLUTION
    own = model.state_dict()
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    model.load_state_dict(fitting, strict=False)
    return [name for name in state if name not in fitting]
    ### END SOLUTION


# %%
check("04.9")

# %% [markdown]
# ## Recap
#
# - A layer is Wx + b for several neurons; a nonlinearity between two layers keeps them from being one.
# - A module notices parameters, buffers and modules assigned to `self`; plain tensors and plain lists it does not. Call `model(x)`, so that hooks run.
# - Shapes are (batch, channels, height, width). The size of an output is the number of places where the whole window fits. Convolutions take any size; a linear layer takes one, and `AdaptiveAvgPool2d` makes it.
# - `forward` is plain Python: skips and several heads are a line each.
# - `train()` and `eval()` set a flag that dropout and batch norm look at.
# - Weights of variance 2 / fan-in keep the signal's size through ReLU layers.
# - Save `state_dict()`; read missing, unexpected, and size mismatch for what they say.
#
# ## Read on
#
# - PyTorch, [Neural networks](https://docs.pytorch.org/tutorials/beginner/blitz/neural_networks_tutorial.html), from the 60-minute blitz: the network of section 4, trained.
# - PyTorch, [Modules](https://docs.pytorch.org/docs/stable/notes/modules.html), and [Conv2d](https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html) with the size formula.
# - LeCun, Bottou, Bengio and Haffner, [Gradient-based learning applied to document recognition](https://doi.org/10.1109/5.726791), 1998: LeNet.
# - Glorot and Bengio, [Understanding the difficulty of training deep feedforward neural networks](https://proceedings.mlr.press/v9/glorot10a.html); He et al., [Delving deep into rectifiers](https://arxiv.org/abs/1502.01852): the two starts.
# - He et al., [Deep residual learning for image recognition](https://arxiv.org/abs/1512.03385): skips.
# - Dumoulin and Visin, [A guide to convolution arithmetic](https://arxiv.org/abs/1603.07285): sizes, with pictures.
#
# ## Hand in

# %%
hand_in("04")
