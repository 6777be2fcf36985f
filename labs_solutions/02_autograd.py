# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · Autograd
#
# **You will be able to** take a training step and say what each line of it does; read the graph that torch records; write gradient descent by hand; train on batches larger than
# your memory; freeze part of a network; understand the four errors that everyone meets; build a small autograd yourself.
#
# **Time** 130 min · **Know first** lab 01; what a derivative is
#
# How to work: run the cells from top to bottom. In an exercise, replace the line that raises `NotAttempted` (or the `...`) by your code, run the cell, then run its check.

# %% tags=["setup"]
# (the build writes the setup cell here, the same in every lab)

# %%
import math
import time

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from utils import plotting, runtime, widgets
from utils.checks import NotAttempted, check, hand_in, progress

# %% [markdown]
# ## 1 · One training step
#
# Here is a whole step of training, on a real network: resnet18, which sorts images into 1000 classes. The image and its label are random, and so are the weights
# (`weights=None`: the trained ones are a download, and one step works without). Run it; the next cells take it apart; you need not know resnet18, cross-entropy or SGD yet.

# %% tags=["demo"]
runtime.seed_everything(0)
model = torchvision.models.resnet18(weights=None)
image = torch.rand(1, 3, 64, 64)  # one image: 3 colours, 64 × 64 pixels
label = torch.randint(0, 1000, (1,))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)

logits = model(image)  # forward: the network's scores, one for each class ("logits")
loss = F.cross_entropy(logits, label)  # one number: how wrong the scores are
loss.backward()  # backward: in which direction should each weight move?
one = model.fc.weight[label.item(), 0]  # one of the weights, to look at
before = one.item()
optimizer.step()  # move them all, a little

print(f"loss before the step: {loss.item():.3f}")
print(f"loss after the step:  {F.cross_entropy(model(image), label).item():.3f}")

# %% [markdown]
# One step, and the loss fell by more than half. Which way did the weights move, and who knew? Look at a single weight of the last layer:

# %% tags=["demo"]
print(f"weights in the network   {sum(p.numel() for p in model.parameters()):,}")
slope = model.fc.weight.grad[label.item(), 0].item()
print(f"one of them, before      {before:.5f}")
print(f"the number in its .grad  {slope:.5f}")
print(f"before − 0.01 · .grad    {before - 0.01 * slope:.5f}")
print(f"the weight, after        {one.item():.5f}")

# %% [markdown]
# `loss.backward()` wrote a number into `.grad` for each of the 11.7 million weights, and `optimizer.step()` subtracted a hundredth of it. (`momentum` mixes in the
# gradients of earlier steps; at the first step there are none.) A few more steps on the same image:

# %% tags=["demo"]
history = [loss.item()]
for _ in range(5):
    optimizer.zero_grad()  # section 5 shows why
    loss = F.cross_entropy(model(image), label)
    history.append(loss.item())
    loss.backward()
    optimizer.step()
assert history[-1] < history[0]
figure = plotting.curves({"loss": history}, xlabel="steps taken", title="resnet18 learns one image by heart", x=range(6))
plotting.show(figure, alt="The loss over the first five steps: it falls from about 7 to nearly 0.")

# %% [markdown]
# This lab is about the one line in the middle, `loss.backward()`. At the end you will have written it yourself.
#
# ## 2 · A derivative is a slope
#
# Take a function of one number, f(w) = w³ − 2w, at w = 1.5. Nudge w, and see how much f changes for each unit of nudge:


# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
def f(w):
    return w**3 - 2 * w


for nudge in (0.1, 0.01, 0.001, 0.0001):
    print(f"nudge {nudge:<6}  change per unit of nudge: {(f(1.5 + nudge) - f(1.5)) / nudge:.4f}")

w = torch.tensor(1.5, requires_grad=True)
f(w).backward()
print("torch says:", w.grad.item())

# %% tags=["demo"]
figure, ax = plotting.subplots(size=(5, 3.2))
xs = torch.linspace(-1.2, 2, 100)
ax.plot(xs, f(xs), label="f(w) = w³ − 2w")
ax.plot(xs, f(1.5) + w.grad * (xs - 1.5), "--", color=plotting.PALETTE[3], label="slope 4.75 at w = 1.5")
ax.plot(1.5, f(1.5), "o", color=plotting.PALETTE[3])
ax.set(xlabel="w", ylabel="f(w)", ylim=(-3, 4), title="The derivative is the slope of the curve")
ax.legend(frameon=False)
plotting.show(figure, alt="The curve of w cubed minus 2 w, and a straight line that touches it at w = 1.5 with slope 4.75.")

# %% [markdown]
# The quotients approach 4.75, the **derivative** of f at 1.5. torch got it in one go, without nudging. Two things were needed: `requires_grad=True` ("I will want the slope with respect to this"),
# and `backward()`, which leaves the slope in `w.grad`.
#
# With several inputs there is one slope each; together they are the **gradient**. Now *a* and *b* hold two numbers each, and Q = 3a³ − b²:

# %% tags=["demo"]
a = torch.tensor([2.0, 3.0], requires_grad=True)
b = torch.tensor([6.0, 4.0], requires_grad=True)
Q = 3 * a**3 - b**2
print(Q)
try:
    Q.backward()
except RuntimeError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# Q has two elements. The slope *of what* should torch compute? `backward()` starts from one number. So say how much each element of Q counts: `gradient=` takes
# these weights, in Q's shape. Ones mean the plain sum; `Q.sum().backward()` is the same.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
Q.backward(gradient=torch.tensor([1.0, 1.0]))
print("a.grad =", a.grad, "  9a² =", 9 * a.detach() ** 2)
print("b.grad =", b.grad, "  −2b =", -2 * b.detach())

# %% [markdown]
# Because the first element of Q depends only on the first elements of *a* and *b*, the sum's gradient holds each element's own derivative. That trick is all the next exercise needs.
#
# There is a second way to ask. `torch.autograd.grad(output, inputs)` *returns* the gradients (a tuple, one per input) and leaves every `.grad` alone.

# %% [markdown]
# ### Exercise 02.1 · The sigmoid's derivative
# ●○○ · 6 min · 2 points
#
# The sigmoid σ(x) = 1 / (1 + e⁻ˣ) (`torch.sigmoid`) squeezes any number into (0, 1). Return its derivative at every element of x. Let autograd find it, or derive the formula;
# best do both, and compare. Leave the caller's x as it was.
#
# <details><summary>Hint 1</summary> Autograd: make a copy of x that requires a gradient, apply σ, reduce to one number, ask for the gradient.</details>
# <details><summary>Hint 2</summary> <code>x.detach().clone().requires_grad_()</code> is such a copy. The sum of the σ's has, with respect to each element, that element's own derivative.</details>
# <details><summary>It passes the first case but fails for x from −100 to 100</summary> <code>exp(100)</code> does not fit into float32. Write the derivative by means of σ(x) itself: σ(x) times something.</details>
# <details><summary>It fails when it is called twice</summary> <code>backward()</code> <em>adds</em> to <code>.grad</code>, and you let it do so on the caller's tensor.</details>


# %% exercise="02.1"
def sigmoid_grad(x: torch.Tensor) -> torch.Tensor:
    """Derivative of the sigmoid at each element.

    Args:
        x: any shape, floating point; not to be changed.
    Returns:
        tensor of x's shape and dtype.
    """
    ### BEGIN SOLUTION
    x = x.detach().clone().requires_grad_()
    (slopes,) = torch.autograd.grad(torch.sigmoid(x).sum(), x)
    return slopes
    ### END SOLUTION


# %%
check("02.1")

# %% [markdown]
# ## 3 · What torch records
#
# How can torch know the slope of code that you wrote a second ago? It watches. Print Q again:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
Q = 3 * a**3 - b**2
print(Q)
print("made by", Q.grad_fn.name(), "from the results of", [node.name() for node, _ in Q.grad_fn.next_functions])
print("a was made by", a.grad_fn)

# %% [markdown]
# `grad_fn` is the record of the operation that made a tensor: subtraction. Its `next_functions` are the records of the operations before it. Follow them all the way
# down, and you have a **graph**. The picture is drawn from these very objects:

# %% tags=["demo"]
figure = plotting.autograd_graph(Q, {"a": a, "b": b}, title="What torch recorded for Q = 3a³ − b²")
plotting.show(figure, alt="A graph: the result points to SubBackward0, that to MulBackward0 and PowBackward0; the ways end at a and b, called AccumulateGrad, and at one input without gradient, the factor 3.")

# %% [markdown]
# `backward()` starts at the top with slope 1 and walks down the arrows. Each box knows one rule (the slope of a power is exponent · base^(exponent − 1)) and multiplies what arrives by its own slope: the chain rule.
# What reaches the bottom is added to `.grad`. That is the work of `AccumulateGrad`. The results in between pass their slopes on and keep none: only what stands at the bottom has a `.grad`.
#
# The green boxes are **leaves**: tensors that no recorded operation made, such as weights. The grey one is the factor 3: no slope is wanted there, so that way ends.
# (The exponents 3 and 2 are settings of `PowBackward0`, not inputs.)
#
# Recording spreads. A result is recorded as soon as *one* of its inputs is:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
data = torch.ones(2)  # plain data: requires_grad is False unless you ask
for name, tensor in {"data": data, "a": a, "data * 2": data * 2, "data * a": data * a, "data * a + data": data * a + data}.items():
    print(f"{name:16}  requires_grad {tensor.requires_grad!s:5}  is_leaf {tensor.is_leaf!s:5}  grad_fn {tensor.grad_fn.name() if tensor.grad_fn else None}")

# %% [markdown]
# ### The graph is new each time
#
# torch does not read your code; it records what happens when the code runs. So `if`, `while` and recursion need nothing special. The same function, on two inputs:


# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
def double_until_ten(x):
    x = x * 2
    while x < 10:
        x = x * 2
    return x


results = []
for start in (3.0, 1.0):
    x = torch.tensor(start, requires_grad=True)
    y = double_until_ten(x)
    y.backward()
    results.append((x, y))
    print(f"x = {start}: y = {y.item()}, slope {x.grad.item()}")

# %% tags=["demo"]
for x, y in results:
    figure = plotting.autograd_graph(y, {"x": x}, title=f"double_until_ten({x.item()})")
    plotting.show(figure, alt=f"The graph for x = {x.item()}: a chain of {int(math.log2(y.item() / x.item()))} multiplications down to the leaf x.")

# %% [markdown]
# Two doublings give slope 2 · 2 = 4; four give 2⁴ = 16. Each pass through the code makes a new graph, and `backward()` throws away what the graph had kept.
#
# The step of section 1 recorded a graph too, only larger. These are its first rows:

# %% tags=["demo"]
loss = F.cross_entropy(model(image), label)
figure = plotting.autograd_graph(loss, dict(model.named_parameters()), title="resnet18: the first rows of the graph under the loss", depth=5)
plotting.show(figure, alt="The top of resnet18's graph: NllLoss, LogSoftmax, Addmm; from there to fc.bias, to fc.weight, and on into the body of the network.")

# %% [markdown]
# ## 4 · Not recording
#
# A record costs memory: torch keeps what each rule will need. For eight images in resnet18, how much?


# %% tags=["demo"]
def kept_for_backward(model, images) -> int:
    """Bytes of intermediate results that a forward pass keeps for backward."""
    weights = {p.data_ptr() for p in model.parameters()}
    kept = {}

    def note(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(images)
    return sum(kept.values())


images = torch.rand(8, 3, 64, 64)
print(f"recorded:       {kept_for_backward(model, images) / 1e6:.1f} MB")
with torch.no_grad():
    print(f"under no_grad:  {kept_for_backward(model, images) / 1e6:.1f} MB")

# %% [markdown]
# To predict, you need none of it. There are three ways to do without:
#
# | | what it does | use it |
# | --- | --- | --- |
# | `with torch.no_grad():` | nothing inside is recorded | to evaluate, and to update weights by hand |
# | `with torch.inference_mode():` | the same, slightly cheaper; torch refuses to record a calculation that would need its results | to predict, when you are sure |
# | `x.detach()` | the same numbers (the same memory, too) without their history | to use one value as a constant, to plot, for NumPy |

# %% tags=["demo"]
w = torch.tensor([1.0, 2.0], requires_grad=True)
with torch.no_grad():
    print("no_grad:       ", (w * 3).requires_grad)
with torch.inference_mode():
    prediction = w * 3
print("inference_mode:", prediction.requires_grad)
print("detach:        ", (w * 3).detach().requires_grad)
try:
    (prediction * w).sum()  # w is recorded, and its slope would need `prediction`
except RuntimeError as error:
    print(f"\n{type(error).__name__}: {error}")

# %% [markdown]
# ### Exercise 02.2 · Predict: who gets a gradient
# ●○○ · 5 min · 2 points
#
# Do not run this; read it, and say what will be true after its last line.
#
# ```python
# x = torch.full((3,), 2.0)
# w = torch.ones(3, requires_grad=True)
# h = w * x
# d = h.detach()
# with torch.no_grad():
#     n = w * x
# loss = (h + 10 * d).sum()
# loss.backward()
# ```
#
# Replace each `...` by `True` or `False`, the last one by a number. Then check, and only then run the code in a cell of your own, with `print(h.is_leaf, h.grad, w.grad)` and so on.
# (Reading `h.grad` draws a long `UserWarning`: it says why it is None.)
#
# <details><summary>Hint 1</summary> Which of these tensors were made by a recorded operation? Which were made from scratch?</details>
# <details><summary>Hint 2</summary> For backward, <code>d</code> is a constant: the same numbers, no way back to w.</details>
# <details><summary>w_grad_first is not what you expect</summary> Write the loss as a sum over the elements, with d as a constant: wᵢ · 2 + 10 · dᵢ. Its slope in w₀?</details>

# %% exercise="02.2"
h_requires_grad = ...  # h.requires_grad
h_is_leaf = ...  # h.is_leaf
d_requires_grad = ...  # d.requires_grad
n_requires_grad = ...  # n.requires_grad
h_has_grad = ...  # is there a tensor in h.grad?
x_has_grad = ...  # is there a tensor in x.grad?
w_grad_first = ...  # the number w.grad[0]
### BEGIN SOLUTION
h_requires_grad = True
h_is_leaf = False
d_requires_grad = False
n_requires_grad = False
h_has_grad = False
x_has_grad = False
w_grad_first = 2
### END SOLUTION

# %%
check("02.2")

# %% [markdown]
# ## 5 · Downhill
#
# The gradient points uphill. So a step *against* it lowers the loss, if the step is not too long. Its length is slope × **learning rate** (`lr`). Below, a point rolls down a
# loss curve under your learning rate. Try, on the curve with one valley, 0.02, 0.5, 0.95, 1.0, 1.05; then find, on the curve with two valleys, a rate that escapes from the shallow one.

# %% tags=["demo"]
widgets.rolling_point()

# %% [markdown]
# On the first curve, loss = w² + 0.2 has the slope 2w, so a step takes w to w − lr · 2w = (1 − 2 · lr) · w. Below lr = 0.5 the point creeps down one side; above it, it jumps across; at 1
# it jumps back and forth for ever; beyond 1 each jump is longer than the last, and it **diverges**. A loss that grows, then shows `inf` and `nan`, is the sign of a learning rate that is too large.
#
# By hand, such a descent is four lines. Here it is on the same curve, once as it should be and once with a line missing:


# %% tags=["demo"]
def descend(empty_grad: bool) -> list[float]:
    w = torch.tensor(-2.0, requires_grad=True)
    history = []
    for _ in range(30):
        loss = w**2 + 0.2
        history.append(loss.item())
        loss.backward()
        with torch.no_grad():  # the update itself is no part of the loss: do not record it
            w -= 0.1 * w.grad
        if empty_grad:
            w.grad = None
    return history


figure = plotting.curves(
    {"grad emptied after each step": descend(True), "that line missing": descend(False)}, xlabel="steps taken", title="The same descent, one line apart", x=range(30)
)
figure.axes[0].set_ylim(0, 6)
plotting.show(figure, alt="Two loss curves over 30 steps. With the gradient emptied the loss falls smoothly; without, it swings up and down.")

# %% [markdown]
# The second one overshoots again and again. `backward()` does not set `.grad`, it *adds* to it (`AccumulateGrad`!):

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
w = torch.tensor(2.0, requires_grad=True)
for _ in range(3):
    (5 * w).backward()
    print(w.grad.item())

# %% [markdown]
# So empty it before the next step: `w.grad = None`, or, for all weights of a model, `model.zero_grad()` or `optimizer.zero_grad()`. Section 6 shows what the adding is good for.

# %% [markdown]
# ### Exercise 02.3 · Linear regression by gradient descent
# ●●○ · 12 min · 3 points
#
# Fit y ≈ x·w + b: start with w and b at zero, and take `steps` steps of gradient descent on the mean squared error (the mean of (prediction − y)², no ½), with one learning rate for both.
# Write the loop out, as in `descend`. Return w, b, and the list of losses, each taken *before* its step.
#
# <details><summary>Hint 1</summary> Two leaves this time. In each step: prediction, loss, note it, <code>backward()</code>, update both, empty both gradients.</details>
# <details><summary>Hint 2</summary> <code>x @ w</code> with x (N, d) and w (d,) has shape (N,), like y. Make w and b in x's dtype.</details>
# <details><summary>"a leaf Variable that requires grad is being used in an in-place operation"</summary> The update must stand under <code>with torch.no_grad():</code>.</details>
# <details><summary>w.grad is None in the second step</summary> <code>w = w - …</code> makes a new tensor, which is not the leaf any more; <code>w -= …</code> changes the leaf.</details>
# <details><summary>The check speaks of (N, N)</summary> Print the shapes of prediction and y. (N, 1) minus (N,) is (N, N).</details>


# %% exercise="02.3"
def fit_line(x: torch.Tensor, y: torch.Tensor, lr: float, steps: int) -> tuple[torch.Tensor, torch.Tensor, list[float]]:
    """Least squares by gradient descent from zero.

    Args:
        x: (N, d) floating point, one row per sample.
        y: (N,) targets, of x's dtype.
        lr: learning rate.
        steps: number of steps.
    Returns:
        w (d,) and b () of x's dtype, and `steps` Python floats: the mean squared error before each step.
    """
    ### BEGIN SOLUTION
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    b = torch.zeros((), dtype=x.dtype, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = ((x @ w + b - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            w -= lr * w.grad
            b -= lr * b.grad
        w.grad = b.grad = None
    return w, b, losses
    ### END SOLUTION


# %%
check("02.3")

# %% [markdown]
# Your line, on forty points around y = 2x − 1:

# %% tags=["demo"]
generator = runtime.seed_everything(0)
x = torch.rand(40, 1, generator=generator) * 4 - 2
y = 2 * x[:, 0] - 1 + 0.5 * torch.randn(40, generator=generator)
try:
    figure, (left, right) = plotting.subplots(1, 2, size=(9, 3.2))
    left.plot(x, y, ".", color=plotting.PALETTE[7], label="data")
    for steps in (2, 5, 50):
        w, b, losses = fit_line(x, y, lr=0.1, steps=steps)
        left.plot([-2, 2], [(-2 * w + b).item(), (2 * w + b).item()], label=f"after {steps} steps")
    left.set(xlabel="x", ylabel="y", title="The line turns into place")
    left.legend(frameon=False, fontsize=8)
    plotting.curves({"loss": losses}, x=range(50), xlabel="steps taken", ylabel="mean squared error", title="The loss", ax=right)
    plotting.show(figure, alt=f"Left: forty points, and the line after 2, 5 and 50 steps, closer each time. Right: the loss falls from {losses[0]:.2f} to {losses[-1]:.2f}.")
except NotAttempted:
    print("The picture appears when you have solved exercise 02.3.")

# %% [markdown]
# ## 6 · Adding up on purpose
#
# A **batch** is the samples that go through the model together. One of 256 images may not fit into your GPU's memory. Because gradients add up, it need not: send four batches of 64 through, one after another, let their gradients add up,
# and take one step. Here with four samples, at once and in two batches of two:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
w = torch.tensor(1.0, requires_grad=True)
samples = torch.tensor([1.0, 2.0, 3.0, 6.0])
((w * samples) ** 2).mean().backward()
print("all four at once:        ", w.grad.item())

w.grad = None
for batch in samples.split(2):
    ((w * batch) ** 2).mean().backward()
print("two batches, added up:   ", w.grad.item())

# %% [markdown]
# Twice too much: the sum of two means is not the mean. Halving mends it, *here*. With batches of 3 and 1, it does not:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
w.grad = None
for batch in samples.split(3):
    (((w * batch) ** 2).mean() / 2).backward()
print("batches of 3 and 1, halved:", w.grad.item())

# %% [markdown]
# ### Exercise 02.4 · Small batches, one large gradient
# ●●○ · 10 min · 3 points
#
# Leave in every parameter's `.grad` the gradient of the *mean cross-entropy over all samples of all batches*, as one large batch would give it, though the model sees one batch at a time. Batches
# may differ in size; whatever was in `.grad` before does not count. Call `backward()` once a batch, so that only one graph is in memory at a time. Take no step.
#
# <details><summary>Hint 1</summary> The mean over all samples is the sum over all samples, divided by their number. Sums do add up.</details>
# <details><summary>Hint 2</summary> <code>F.cross_entropy(logits, y, reduction="sum")</code> is a batch's sum. The number of all samples is known before the first batch goes through.</details>
# <details><summary>It passes for batches of 5, 5, 5 but fails on 6, 6, 2</summary> You divide by the number of batches. In the batch of 2, each sample then counts three times as much as in a batch of 6.</details>
# <details><summary>It fails when .grad is not empty</summary> <code>model.zero_grad()</code>, once, before the loop.</details>


# %% exercise="02.4"
def accumulate(model: nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Fill `.grad` with the gradient of the mean cross-entropy over all samples.

    Args:
        model: gives logits (B, K) for inputs (B, d).
        batches: pairs x (B, d), y (B,) int64; B differs from pair to pair.
    """
    ### BEGIN SOLUTION
    total = sum(len(y) for _, y in batches)
    model.zero_grad()
    for x, y in batches:
        loss = F.cross_entropy(model(x), y, reduction="sum") / total
        loss.backward()
    ### END SOLUTION


# %%
check("02.4")

# %%
progress("02")

# %% [markdown]
# ## 7 · Is it right? Nudge and see
#
# A gradient that is wrong raises no error; the loss just falls badly. To test one, go back to section 2: nudge, and measure. How long should the nudge be? Here is the error of two ways
# to measure the slope of eˣ at 1, for nudges ε from 0.1 down to 10⁻¹²: the **forward difference** (f(x + ε) − f(x)) / ε, and the **central difference** (f(x + ε) − f(x − ε)) / (2ε), which looks to both sides.

# %% tags=["demo"]
nudges = [10.0**-k for k in range(1, 13)]
errors = {"forward, float64": [], "central, float64": [], "forward, float32": [], "central, float32": []}
for dtype in (torch.float64, torch.float32):
    one = torch.ones((), dtype=dtype)
    name = str(dtype).removeprefix("torch.")
    for eps in nudges:
        forward = (torch.exp(one + eps) - torch.exp(one)) / eps
        central = (torch.exp(one + eps) - torch.exp(one - eps)) / (2 * eps)
        errors[f"forward, {name}"].append(abs(forward.item() - math.e))
        errors[f"central, {name}"].append(abs(central.item() - math.e))
figure = plotting.curves(errors, x=nudges, xlabel="nudge ε", ylabel="error of the slope", title="Too long a nudge is inexact, too short a nudge is noise")
figure.axes[0].set(xscale="log", yscale="log", ylim=(1e-11, 1e6))
plotting.show(figure, alt="Four curves of error against nudge; those of float64 are V-shaped. The lowest, the central difference in float64, reaches errors near 1e-10 for nudges from 1e-5 to 1e-7; in float32 the best is 4e-5, and below 1e-7 the curves lie flat near 2.7.")

# %% [markdown]
# On the right of each V the nudge is so long that the curve bends on the way; on the left, f(x + ε) and f(x − ε) agree in nearly all their digits, and their difference is rounding noise. (In float32,
# below 10⁻⁷, 1 + ε *is* 1: the difference is exactly 0, and the error is the whole slope, 2.7.) So take
# the central difference, in float64, with ε near 10⁻⁵ or 10⁻⁶. In float32 even the best nudge leaves four or five correct digits.

# %% [markdown]
# ### Exercise 02.5 · Finite differences
# ●●○ · 8 min · 3 points
#
# Return the central difference of f with respect to *each* element of x, without autograd. The check uses large ε, so that a forward difference shows.
#
# <details><summary>Hint 1</summary> Two calls of f per element: that element moved up, that element moved down, the others as they were.</details>
# <details><summary>Hint 2</summary> A tensor of zeros with one ε in it, added to x, moves one element. The rows of <code>eps * torch.eye(x.numel(), dtype=x.dtype)</code>, in x's shape, are all of these.</details>
# <details><summary>It passes the first case but fails on a matrix that is not contiguous</summary> <code>x.flatten()</code> and <code>x.reshape(-1)</code> copy such an x: what you change there does not arrive in x. Build moved copies instead.</details>
# <details><summary>It says that x was changed</summary> Adding ε in place and taking it off again does not give back the same float. Work on a copy.</details>


# %% exercise="02.5"
def central_difference(f, x: torch.Tensor, eps: float) -> torch.Tensor:
    """Numerical gradient, element by element.

    Args:
        f: function of a tensor of x's shape; returns a scalar tensor.
        x: any shape, also (); not to be changed.
        eps: the nudge ε.
    Returns:
        (f(x + ε) − f(x − ε)) / (2ε) for each element; x's shape and dtype.
    """
    ### BEGIN SOLUTION
    nudges = eps * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape)
    slopes = [(f(x + nudge) - f(x - nudge)) / (2 * eps) for nudge in nudges]
    return torch.stack(slopes).reshape(x.shape)
    ### END SOLUTION


# %%
check("02.5")

# %% [markdown]
# For a network with n weights this takes 2n forward passes; for resnet18, 23 million. `backward()` costs about as much as two to four of them. That difference is why deep learning is possible.
#
# ## 8 · Several outputs
#
# What does `backward(gradient=v)` compute? Take f(x) = (x₀·x₁, x₀ + x₁²) at x = (2, 3), and three choices of v:


# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
def two_outputs(x):
    return torch.stack([x[0] * x[1], x[0] + x[1] ** 2])


for v in ([1.0, 0.0], [0.0, 1.0], [1.0, 10.0]):
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    two_outputs(x).backward(gradient=torch.tensor(v))
    print(f"v = {v}:  x.grad = {x.grad.tolist()}")

# %% [markdown]
# With v = (1, 0) come the slopes of the first output, (x₁, x₀); with (0, 1) those of the second, (1, 2·x₁). Any other v mixes the two: the third line is the first plus ten times the second.
#
# All slopes in one table, a row per output and a column per input, are the **Jacobian** J. So `backward` computes vᵀJ (v as a row, times the table), a **vector–Jacobian product**, and never builds J. It pays: between two layers of 4096 numbers,
# J has 17 million entries, v has 4096. Training needs just this, because a loss is one number: backward carries one v from layer to layer.

# %% [markdown]
# ### Exercise 02.6 · The vector–Jacobian product
# ●●○ · 6 min · 2 points
#
# Return vᵀJ for any f and v, at x; there is no need to build J. x and f(x) may be matrices: vᵀJ is then the gradient of `(v * f(x)).sum()`. Calling it twice must give the same result twice.
#
# <details><summary>Hint 1</summary> x may not require a gradient, and should be left alone: start from a copy that does.</details>
# <details><summary>Hint 2</summary> <code>torch.autograd.grad</code> has an argument for v: <code>grad_outputs</code>. Or use the number whose gradient it is.</details>
# <details><summary>It works for 3 numbers to 3 (ℝ³ to ℝ³) but not for 5 to 2</summary> v has the shape of f(x), not of x. It goes in where backward starts, not at the end.</details>


# %% exercise="02.6"
def vjp(f, x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The vector–Jacobian product of f at x.

    Args:
        f: function of a tensor of x's shape; returns a tensor of v's shape.
        x: any shape; not to be changed.
        v: the weight of each element of f(x).
    Returns:
        the gradient of the weighted sum of f(x); x's shape and dtype.
    """
    ### BEGIN SOLUTION
    x = x.detach().clone().requires_grad_()
    (product,) = torch.autograd.grad(f(x), x, grad_outputs=v)
    return product
    ### END SOLUTION


# %%
check("02.6")

# %% [markdown]
# ## 9 · Freezing a network
#
# You have a network that somebody trained on a million photographs, and 200 photographs of your own, of ten kinds of mushroom. Its body already sees edges, fur and stems; only its last layer, its **head** `fc`, answers
# the wrong question. So keep the body as it is (**freeze** it), and train a new last layer. Freezing means: no gradient wanted. See what that does to the graph:

# %% tags=["demo"]
model = torchvision.models.resnet18(weights=None)
for name, p in model.named_parameters():
    p.requires_grad = name.startswith("fc.")
loss = F.cross_entropy(model(images), torch.arange(8))
figure = plotting.autograd_graph(loss, dict(model.named_parameters()), title="resnet18 with a frozen body: the whole graph")
plotting.show(figure, alt="A graph of six boxes: NllLoss, LogSoftmax and Addmm; under Addmm the leaf fc.bias, the transposed leaf fc.weight, and an input without gradient: the body.")

# %% [markdown]
# The whole body has shrunk to one grey box. Nothing in it is recorded, so a step is faster too:


# %% tags=["demo"]
def seconds_per_step(model) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        F.cross_entropy(model(images), torch.arange(8)).backward()
        times.append(time.perf_counter() - start)
    return min(times)  # the first also pays for warming up


frozen = seconds_per_step(model)
for p in model.parameters():
    p.requires_grad = True
print(f"forward and backward, frozen body:     {1000 * frozen:.0f} ms")
print(f"forward and backward, all parameters:  {1000 * seconds_per_step(model):.0f} ms")

# %% [markdown]
# ### Exercise 02.7 · A frozen body and a new head
# ●●○ · 12 min · 3 points
#
# An `nn.Linear(d, k)` turns d numbers into k by its parameters `weight` and `bias`; `model.fc` is one, and `model.parameters()` walks over all parameters of the model.
# Freeze the model, replace `model.fc` by a fresh `nn.Linear` with `num_classes` outputs, and return the model. Afterwards a step of training must change `fc.weight` and `fc.bias`, and nothing else. The check tries
# it on resnet18 with ten classes, and on another network that ends in `fc`.
#
# <details><summary>Hint 1</summary> Two statements. Their order matters: the parameters of a new layer require gradients.</details>
# <details><summary>Hint 2</summary> <code>requires_grad_</code> (with the underscore) exists for modules too, and takes True or False. The old layer's <code>in_features</code> says how many numbers come in.</details>
# <details><summary>Everything is still trainable</summary> <code>model.requires_grad = False</code> gives the <em>module</em> a new attribute that nobody reads. The parameters must change.</details>
# <details><summary>resnet18 works, the other network fails</summary> 512 is resnet18's number. Ask the layer.</details>


# %% exercise="02.7"
def new_head(model: nn.Module, num_classes: int) -> nn.Module:
    """Freeze a model and give it a new last layer.

    Args:
        model: its last layer is `model.fc`, an `nn.Linear`.
        num_classes: outputs of the new layer.
    Returns:
        the model, of which only `fc.weight` and `fc.bias` are trainable.
    """
    ### BEGIN SOLUTION
    model.requires_grad_(False)
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    return model
    ### END SOLUTION


# %%
check("02.7")

# %% [markdown]
# One trap remains. Batch norm layers, which rescale what passes through them to mean 0 and spread 1, also keep running averages of the data. These are no parameters, so freezing does not stop them:

# %% tags=["demo"]
for p in model.parameters():
    p.requires_grad = False
for mode in ("train", "eval"):
    getattr(model, mode)()  # model.train(), model.eval()
    average = model.bn1.running_mean.clone()
    model(images)
    print(f"{mode + ':':6} running_mean moved by up to {(model.bn1.running_mean - average).abs().max().item():.4f}")

# %% [markdown]
# `eval()` stops them. It does not freeze parameters, as `requires_grad` does not stop averages: a frozen body wants both.
#
# ## 10 · Four errors, read aloud
#
# You will meet these. Each says precisely what is wrong, once you know its words.
#
# **1. Backward twice.**

# %% tags=["demo"]
w = torch.tensor(3.0, requires_grad=True)
y = w.exp()
y.backward()
try:
    y.backward()
except RuntimeError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# *"Saved intermediate values of the graph are freed when you call .backward()"*: the slope of eʷ needs eʷ, and the first pass threw it away. Most often the cause is a loss that was computed once, outside the loop, or a tensor from
# the last step that still carries its history (`detach()` it). Only if you mean it, two passes through one graph, say `retain_graph=True` at the first.
#
# **2. A value that backward needs was overwritten.**

# %% tags=["demo"]
w = torch.tensor([1.0, 2.0], requires_grad=True)
y = w.exp()
y += 1
try:
    y.sum().backward()
except RuntimeError as error:
    print(f"{type(error).__name__}: {error}")

y = 2 * w
y += 1  # the slope of 2w is 2, whatever y is: nothing that is needed is lost
y.sum().backward()
print("\nafter 2 * w instead:", w.grad)

# %% [markdown]
# *"output 0 of Exp, is at version 1; expected version 0"*: each tensor counts its in-place changes. `exp` kept its own output for backward, at version 0; `+=` made it version 1. Write `y = y + 1`. That some operations forgive it (2w) makes
# the error look random. It is not: it depends on what the rule of the operation needs.
#
# **3. A leaf, changed in place.**

# %% tags=["demo"]
w = torch.tensor([1.0, 2.0], requires_grad=True)
try:
    w -= 0.1
except RuntimeError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# *"a leaf Variable that requires grad"*: a weight that is being watched ("Variable" is an old word for tensor). Should the subtraction be part of the loss, or is it an update? If an update: `with torch.no_grad():`.
#
# **4. NumPy.**

# %% tags=["demo"]
try:
    w.numpy()
except RuntimeError as error:
    print(f"{type(error).__name__}: {error}")
print(w.detach().numpy())

# %% [markdown]
# NumPy cannot record, so a gradient would get lost without a word; torch wants you to say so. The message contains its own cure. For a single number, use `.item()`. (Do not keep `loss` itself in a list, as in `losses.append(loss)`: it holds on to its whole graph.)
#
# ## 11 · A backward of your own
#
# For an operation that torch does not know, or to save memory, give it both directions yourself: `forward` computes the result and keeps what backward will need in `ctx`; `backward` gets the gradient
# with respect to the result, and returns the gradient with respect to each input of `forward`, in their order.


# %% tags=["demo"]
class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return u**3

    @staticmethod
    def backward(ctx, grad_output):
        (u,) = ctx.saved_tensors  # a tuple, also for one tensor
        return grad_output * 3 * u**2


x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
y = Cube.apply(x)
print(y)
y.backward(gradient=torch.tensor([1.0, 10.0], dtype=torch.float64))
print("gradient:", x.grad)
print("gradcheck:", torch.autograd.gradcheck(Cube.apply, (x,)))

# %% [markdown]
# `gradcheck` is your exercise 02.5, done by torch: it compares `backward` with central differences, in float64. See it catch a mistake. Here, an exponent is lost:


# %% tags=["demo"]
class WrongCube(Cube):
    @staticmethod
    def backward(ctx, grad_output):
        (u,) = ctx.saved_tensors
        return grad_output * 3 * u


try:
    torch.autograd.gradcheck(WrongCube.apply, (x,))
except RuntimeError as error:
    print(error)

# %% [markdown]
# *numerical* is the Jacobian as measured, *analytical* as `backward` claims it. They agree at x = 1, where 3x² = 3x, and differ at x = 2: test at several points, and at random ones.

# %% [markdown]
# ### Exercise 02.8 · A function with a backward of its own
# ●●○ · 10 min · 3 points
#
# Swish, x · σ(βx), is the activation (the function between two layers) of several well-known networks (with β = 1 torch calls it SiLU). Written with torch's operations, it keeps two tensors for backward, x and σ(βx). Write it as a `Function` that keeps only x.
# β is a plain Python number, not to be trained: it gets `None` for a gradient. The slope, by the product rule and with s = σ(βx): s + β·x·s·(1 − s).
#
# <details><summary>Hint 1</summary> Follow <code>Cube</code>. A tensor goes into <code>ctx.save_for_backward</code>, a plain number into an attribute: <code>ctx.beta = beta</code>.</details>
# <details><summary>Hint 2</summary> In backward, compute s again from the saved x and β. The chain rule: what came in (<code>grad_output</code>) <em>times</em> the slope.</details>
# <details><summary>"returned an incorrect number of gradients (expected 2, got 1)"</summary> forward took two inputs besides ctx. Return two things; None for the second.</details>
# <details><summary>It passes the first case, with β = 1, but not the next</summary> Look for places where β is missing: in σ(βx), and as the inner derivative.</details>


# %% exercise="02.8"
class Swish(torch.autograd.Function):
    """x · σ(βx), keeping only x for backward. Call it as `Swish.apply(x, beta)`."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, beta: float) -> torch.Tensor:
        """x: any shape, floating point. Returns x · σ(beta · x), of x's shape and dtype."""
        ### BEGIN SOLUTION
        ctx.save_for_backward(x)
        ctx.beta = beta
        return x * torch.sigmoid(beta * x)
        ### END SOLUTION

    @staticmethod
    def backward(ctx, grad_output: torch.Tensor) -> tuple[torch.Tensor, None]:
        """grad_output: gradient with respect to the result. Returns the gradient for x, and None for beta."""
        ### BEGIN SOLUTION
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(ctx.beta * x)
        return grad_output * (s + ctx.beta * x * s * (1 - s)), None
        ### END SOLUTION


# %%
check("02.8")

# %% [markdown]
# And torch's own verdict on it:

# %% tags=["demo"]
try:
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    print("gradcheck:", torch.autograd.gradcheck(Swish.apply, (x, 1.7)))
except NotAttempted:
    print("gradcheck runs here when you have solved exercise 02.8.")

# %% [markdown]
# ## 12 · Autograd in thirty lines
#
# Now build it. Take single numbers, and three operations. This is the graph of y = tanh(a·b + c), and what torch finds for a = 0.5, b = −1.25, c = 2:

# %% tags=["demo"]
a, b, c = (torch.tensor(value, requires_grad=True) for value in (0.5, -1.25, 2.0))
y = torch.tanh(a * b + c)
figure = plotting.autograd_graph(y, {"a": a, "b": b, "c": c}, title="y = tanh(a·b + c)")
plotting.show(figure, alt="A graph: the result, TanhBackward0, AddBackward0, then MulBackward0 and the leaf c, then the leaves a and b.")
y.backward()
print(f"y = {y.item():.4f}, slopes: a {a.grad.item():.4f}, b {b.grad.item():.4f}, c {c.grad.item():.4f}")

# %% [markdown]
# By hand: tanh has slope 1 − y² = 0.2259, and the sum passes that on unchanged to both sides. So c gets 0.2259. The product passes it on times *the other factor*: a gets 0.2259 · (−1.25), b gets 0.2259 · 0.5.
#
# So each number has to remember **its inputs, and its slope with respect to each**. Three questions decide whether it works:
#
# - *Used twice?* In a·a both factors are a. Each use reports a slope; a needs their **sum**.
# - *Who goes first?* In u + u·c, u gets reports from two places. It must not pass anything on before both are in. So each node comes **before its inputs** in the order of work, and after all who use it: a *topological order*.
#   A walk that visits inputs first, and appends a node when all of its inputs are done, yields the reverse of it.
# - *Where to start?* At the result, whose slope with respect to itself is 1.

# %% [markdown]
# ### Exercise 02.9 · A reverse-mode engine
# ●●● · 30 min · 5 points
#
# "Reverse mode" is the way from the result back to the inputs. Fill in `+`, `*`, `tanh` and `backward`. The leaves' `grad` must then agree with torch, on any expression of these operations. As in torch,
# gradients add up in the leaves: a second `backward`, also through nodes that the first went through, adds to what is there. (torch would want `retain_graph=True` for that.)
#
# <details><summary>Hint 1</summary> An operation makes a new <code>Value</code> from the result, with a pair (input, slope) for each input. For the sum both slopes are 1.0; for tanh use <code>math.tanh</code>.</details>
# <details><summary>Hint 2</summary> backward, first half: a function <code>visit(node)</code>: if the node was seen, return; else note it as seen, visit its inputs, append it to a list.</details>
# <details><summary>Hint 3</summary> backward, second half: first set to 0 the grad of every node <em>that has inputs</em>; leaves keep theirs. The result's own <code>grad</code> is 1.0. Then for each node, from the end of that list to its start: to the grad of each input, add slope times the node's grad.</details>
# <details><summary>a·a is wrong by half</summary> The second report overwrote the first: <code>+=</code>.</details>
# <details><summary>The plain case works, u + u·c does not</summary> You pass gradients on while you walk. Make the whole list first; then pass them on.</details>
# <details><summary>Only the second call of backward is wrong</summary> A node in between still holds what the first call left in it: see hint 3.</details>


# %% exercise="02.9"
class Value:
    """A number that remembers how it was made.

    Attributes:
        data: the number (float).
        grad: slope of the result with respect to this number, filled by `backward` (float).
        inputs: pairs (Value, slope): what it was made from, and its slope with respect to that (float).
    """

    def __init__(self, data, inputs=()):
        self.data = float(data)
        self.grad = 0.0
        self.inputs = inputs

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        ### BEGIN SOLUTION
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])
        ### END SOLUTION

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        ### BEGIN SOLUTION
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])
        ### END SOLUTION

    def tanh(self):
        ### BEGIN SOLUTION
        t = math.tanh(self.data)
        return Value(t, [(self, 1 - t**2)])
        ### END SOLUTION

    def backward(self):
        """Add to the `grad` of each leaf that this number was made from its slope there; the numbers in between get theirs anew."""
        ### BEGIN SOLUTION
        order, seen = [], set()

        def visit(node):
            if node in seen:
                return
            seen.add(node)
            for source, _ in node.inputs:
                visit(source)
            order.append(node)

        visit(self)
        for node in order:
            if node.inputs:
                node.grad = 0.0
        self.grad = 1.0
        for node in reversed(order):
            for source, slope in node.inputs:
                source.grad += slope * node.grad
        ### END SOLUTION

    __radd__ = __add__  # 3.0 + a
    __rmul__ = __mul__  # 0.5 * a


# %%
check("02.9")

# %% [markdown]
# Yours and torch's, side by side, on an expression in which everything is used more than once:


# %% tags=["demo"]
def expression(a, b):
    u = a * b + 0.5
    v = (u * u + a).tanh()
    return v * u + v * b


try:
    mine = [Value(0.8), Value(-0.3)]
    expression(*mine).backward()
    theirs = [torch.tensor(value.data, dtype=torch.float64, requires_grad=True) for value in mine]
    expression(*theirs).backward()
    for name, yours, torchs in zip("ab", mine, theirs):
        print(f"d/d{name}:  yours {yours.grad:.12f}   torch {torchs.grad.item():.12f}")
except NotAttempted:
    print("The comparison appears when you have solved exercise 02.9.")

# %% [markdown]
# What torch adds to this: tensors in place of numbers, hundreds of rules, GPUs, and the care of section 10. The idea is the one you wrote.
#
# ## Recap
#
# - A training step: forward, loss, `backward()`, `step()`, and empty the gradients.
# - torch records operations as they run, starting from leaves with `requires_grad=True`; `grad_fn` is the record. One tracked input is enough. The graph is new in each pass.
# - `backward()` carries vᵀJ from the result down to the leaves, and *adds* it to their `.grad`.
# - `no_grad` and `inference_mode` record nothing; `detach` cuts one tensor off; `requires_grad_(False)` freezes parameters, and `eval()` is something else.
# - Means of batches average correctly only when the batches have the same size.
# - Check a gradient with central differences, in float64, at random points.
#
# ## Read on
#
# - PyTorch, [Autograd mechanics](https://docs.pytorch.org/docs/stable/notes/autograd.html): what is saved, when, and what `no_grad` and `inference_mode` promise.
# - PyTorch, [Extending PyTorch](https://docs.pytorch.org/docs/stable/notes/extending.html): `Function` in full.
# - Baydin, Pearlmutter, Radul and Siskind, [Automatic differentiation in machine learning: a survey](https://arxiv.org/abs/1502.05767): forward and reverse mode, and their history.
# - Andrej Karpathy, [micrograd](https://github.com/karpathy/micrograd): an engine like yours, with a small network on top.
# - Ramachandran, Zoph and Le, [Searching for activation functions](https://arxiv.org/abs/1710.05941): where swish comes from.
#
# ## Hand in

# %%
hand_in("02")
