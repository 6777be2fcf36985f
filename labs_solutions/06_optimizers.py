# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Optimizers and regularization
#
# **You will be able to** write SGD with momentum, RMSprop, Adam and AdamW yourself, to the last digit as PyTorch's; say what each of their arguments does; give parts of a network rates of their own;
# plan the learning rate over a run; tell a network that learned too little from one that learned its data by heart, and cure the second with weight decay, dropout, augmentation and early stopping.
#
# **Time** 160 min · **Know first** what a gradient is and what `backward()` does (lab 02); what an `nn.Module` is (lab 04)
#
# How to work: run the cells from top to bottom. In an exercise, replace the line that raises `NotAttempted` by your code, run the cell, then run its check.

# %% tags=["setup"]
# (the build writes the setup cell here, the same in every lab)

# %%
import math

import torch
from torch import nn
from torch.nn import functional as F

from utils import data, plotting, runtime, widgets
from utils.checks import NotAttempted, check, hand_in, mine_or_reference, progress
from utils.widgets.lab_06_descent import SURFACES, contours, walk

# %% [markdown]
# ## 1 · All the data, or a few of them
#
# Two hundred points, and a line y = a·x + b to be put through them. The loss is the mean squared error: a number for each pair (a, b), so it is a landscape over a plane, and we can draw it.
# Gradient descent on *all* points takes one step for each pass over the data. Or take ten points at a time, drawn at random, and step at once:

# %% tags=["demo"]
generator = runtime.seed_everything(0)
x = torch.rand(200, generator=generator) * 4 - 1
y = 2 * x - 1 + 0.7 * torch.randn(200, generator=generator)


def line_loss(w, x=x, y=y):
    """Mean squared error of the line w[..., 0] · x + w[..., 1]."""
    return ((w[..., :1] * x + w[..., 1:] - y) ** 2).mean(-1)


def descend(batch_size, lr, epochs, lr_at=lambda step: 1.0):
    """Every (a, b) on the way: a pass over the data in batches, each with a step."""
    generator = torch.Generator().manual_seed(1)
    w = torch.zeros(2, requires_grad=True)
    path = [w.detach().clone()]
    for _ in range(epochs):
        for batch in torch.randperm(200, generator=generator).split(batch_size):
            (gradient,) = torch.autograd.grad(line_loss(w, x[batch], y[batch]), w)
            with torch.no_grad():
                w -= lr * lr_at(len(path) - 1) * gradient
            path.append(w.detach().clone())
    return torch.stack(path)


paths = {"all 200 points a step": descend(200, 0.15, 3), "10 points a step": descend(10, 0.15, 3)}
figure, (left, right) = plotting.subplots(1, 2, size=(9.6, 3.6))
a, b = torch.meshgrid(torch.linspace(-0.5, 3, 120), torch.linspace(-2, 1.5, 120), indexing="xy")
left.contour(a, b, line_loss(torch.stack([a, b], -1)), levels=0.5 + 8 * torch.linspace(0.05, 1, 14) ** 2, colors="gray", linewidths=0.7)
for name, path in paths.items():
    left.plot(*path.T, "o-", markersize=3, linewidth=1, label=name)
    right.semilogy(torch.linspace(0, 3, len(path)), line_loss(path), label=name)
left.set(xlabel="slope a", ylabel="intercept b", title="Three passes over the data")
right.set(xlabel="passes over the data (epochs)", ylabel="loss on all points (log scale)", title="The same, as a loss curve")
left.legend(frameon=False, fontsize=8)
plotting.show(figure, alt="Left: contours of the loss over slope and intercept; the full-batch path makes three smooth steps, the mini-batch path sixty steps that reach the bottom and jitter there. Right: the loss of the mini-batch path falls much further in the same three passes.")

# %% [markdown]
# Both compute the same amount: each point's gradient three times. The full-batch path goes down smoothly, in three steps; the other one staggers, takes sixty, and is near the bottom after the first pass. There it does not come to rest.
#
# Ten points are a **mini-batch**. Its gradient is the full gradient plus noise. How much noise? At the start of the path, for batches of several sizes:

# %% tags=["demo"]
w = torch.zeros(2, requires_grad=True)
(exact,) = torch.autograd.grad(line_loss(w), w)
print(f"gradient on all points: {exact.numpy().round(2)}")
for size in (1, 10, 100):
    batches = [torch.randint(200, (size,), generator=generator) for _ in range(2000)]
    gradients = torch.stack([torch.autograd.grad(line_loss(w, x[i], y[i]), w)[0] for i in batches])
    print(f"batches of {size:3}: mean {gradients.mean(0).numpy().round(2)}, spread of the first number {gradients[:, 0].std():.2f}")

# %% [markdown]
# Right on average, whatever the size; ten times the work makes the noise about three times smaller (√10). So many rough steps beat few exact ones, until the noise is all that is left. What to do about that rest is section 8.
# Words: one pass over the data is an **epoch**; *stochastic* gradient descent, **SGD**, is descent with such noisy gradients.
#
# ## 2 · What an optimizer is
#
# The line `w -= lr * gradient` is an optimizer already. A class around it has three duties: know the parameters, change them (`step`), empty their gradients (`zero_grad`). PyTorch's base class `torch.optim.Optimizer` does all but `step`:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
body, head = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
optimizer = torch.optim.Optimizer([{"params": [body]}, {"params": [head], "lr": 0.5}], {"lr": 0.1})
for group in optimizer.param_groups:
    print([tuple(p.shape) for p in group["params"]], "lr:", group["lr"])
print("state:", dict(optimizer.state))

# %% [markdown]
# The parameters lie in **parameter groups**, and each group is a dictionary with settings of its own; where it has none, the default (here `{"lr": 0.1}`) is filled in. So a `step` reads `group["lr"]`, and the new layer of a network can learn
# faster than the old ones. (Give it `model.parameters()`, and there is one group.) `state` is empty yet: a dictionary for each parameter, for what a step must remember. From section 3 on you need it.

# %% [markdown]
# ### Exercise 06.1 · Gradient descent as an optimizer
# ●○○ · 10 min · 2 points
#
# Write `step`: every parameter that has a gradient moves *against* it, by its group's `lr` times the gradient. With `maximize=True` in its group it moves *along* it: some things, such as a reward, are to become large.
#
# A parameter whose `.grad` is None took no part in the loss: leave it. Change the parameters in place; the model holds these very tensors. (`@torch.no_grad()` above `step` is what `with torch.no_grad():` was in lab 02.)
#
# <details><summary>Hint 1</summary> Two loops: over <code>self.param_groups</code>, and over <code>group["params"]</code>.</details>
# <details><summary>Hint 2</summary> In place: <code>p -= …</code>, or <code>p.sub_(…)</code>. The settings: <code>group["lr"]</code>, <code>group["maximize"]</code>.</details>
# <details><summary>The check says that nothing moved</summary> <code>p = p - …</code> makes a new tensor and calls it p; the model's parameter stays what it was.</details>
# <details><summary>It passes the first case but fails with two groups</summary> <code>self.defaults["lr"]</code> is what groups without a rate get. Each group's own stands in the group.</details>


# %% exercise="06.1"
class GradientDescent(torch.optim.Optimizer):
    """Gradient descent; torch.optim.SGD with no more than lr and maximize.

    Args:
        params: parameters, or parameter groups (dicts with "params", and settings of their own).
        lr: learning rate.
        maximize: whether to climb.
    """

    def __init__(self, params, lr: float = 1e-3, maximize: bool = False):
        super().__init__(params, {"lr": lr, "maximize": maximize})

    @torch.no_grad()
    def step(self) -> None:
        """Move, in place, every parameter of every group that has a gradient."""
        ### BEGIN SOLUTION
        for group in self.param_groups:
            sign = 1 if group["maximize"] else -1
            for p in group["params"]:
                if p.grad is not None:
                    p += sign * group["lr"] * p.grad
        ### END SOLUTION


# %%
check("06.1")

# %% [markdown]
# The rate decides. On a surface that is 25 times steeper in one direction than in the other, a ravine, four rates:

# %% tags=["demo"]
MyGradientDescent = mine_or_reference("06.1", GradientDescent)
ravine = SURFACES["ravine"]
figure, axes = plotting.subplots(2, 2, size=(9.6, 5))
for ax, lr in zip(axes.flat, (0.01, 0.04, 0.076, 0.081)):
    path, losses = walk(ravine, lambda params, lr=lr: MyGradientDescent(params, lr=lr), 30)
    contours(ax, ravine, f"lr {lr}: loss {losses[-1]:.3g} after 30 steps")
    ax.plot(*path.T, "o-", color=plotting.PALETTE[3], markersize=3, linewidth=1)
plotting.show(figure, alt="Four paths in a ravine. Rate 0.01 creeps along the floor; 0.04 advances steadily; 0.076 zigzags across and closes in; 0.081 zigzags with growing swings.")

# %% [markdown]
# Across the ravine the slope is 25 times the second weight, the distance from the floor, so a step of more than 2/25 = 0.08 lands higher on the other side: divergence. Along the floor the slope is just the first weight, and at 0.08 that is slow.
# One rate for both directions is a compromise that the steepest direction dictates. All of sections 3 to 5 is about getting out of it.
#
# ## 3 · Momentum
#
# At rate 0.076 the gradient across the ravine flips its sign at every step; along the floor it keeps it. So add up the last gradients: what flips cancels, what stays grows. That sum is the **velocity** v:
#
# $$v \leftarrow \mu\, v + g \qquad p \leftarrow p - \mathrm{lr}\cdot v$$
#
# μ is `momentum`: how much of the old velocity is kept. If the gradient is always 1, v climbs to 1 + 0.9 + 0.9² + … = 10:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT


def velocities(gradients, **arguments):
    """The step / lr that torch.optim.SGD makes for each of these gradients."""
    p = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=1.0, **arguments)
    steps = []
    for g in gradients:
        before = p.item()
        p.grad = torch.full_like(p, g)
        optimizer.step()
        steps.append(before - p.item())
    return steps


print("                                        1, 1, 1, … (steps 1, 2, 5, 50)     1, −1, 1, … (same steps)")
for arguments in ({}, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.9}, {"momentum": 0.9, "nesterov": True}):
    stays, flips = velocities([1.0] * 50, **arguments), velocities([1.0, -1.0] * 25, **arguments)
    print(f"{str(arguments):39}", *(f"{stays[i]:7.2f}" for i in (0, 1, 4, 49)), "     ", *(f"{flips[i]:7.2f}" for i in (0, 1, 4, 49)))
print("dampening 0.9, gradients 1, 1, 1, 3, 3, 3:", [round(v, 2) for v in velocities([1.0] * 3 + [3.0] * 3, momentum=0.9, dampening=0.9)])

# %% [markdown]
# Read the rows. *Momentum* makes steps up to ten times longer where the gradient stays, and in time about half as long where it flips. *Dampening* τ takes only the share 1 − τ of each new gradient, so that the velocity is an average instead of a sum: when the
# gradient grows to 3, the steps follow slowly. The first velocity is the first gradient, undampened. *Nesterov* looks ahead: it steps along g + μ·v, where v already holds g, as if the gradient had been taken one stride further on. (torch refuses it together with dampening.)
#
# Two more arguments act on the gradient before all else, and in this order: `maximize` turns its sign; `weight_decay` λ adds λ·p to it, which pulls every parameter towards 0 (it is the gradient of ½λp²; "L2" in the books).
# Without any other gradient, each step then multiplies p by 1 − lr·λ:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
p = torch.tensor([4.0, -2.0], requires_grad=True)
optimizer = torch.optim.SGD([p], lr=0.1, weight_decay=1.0)
for _ in range(3):
    p.grad = torch.zeros(2)
    optimizer.step()
    print([round(value, 3) for value in p.tolist()])

# %% tags=["demo"]
figure, axes = plotting.subplots(2, 2, size=(9.6, 5))
variants = {
    "plain, lr 0.076": {"lr": 0.076},
    "momentum 0.5, lr 0.1": {"lr": 0.1, "momentum": 0.5},
    "momentum 0.9, lr 0.02": {"lr": 0.02, "momentum": 0.9},
    "Nesterov 0.9, lr 0.02": {"lr": 0.02, "momentum": 0.9, "nesterov": True},
}
for ax, (name, arguments) in zip(axes.flat, variants.items()):
    path, losses = walk(ravine, lambda params, arguments=arguments: torch.optim.SGD(params, **arguments), 60)
    contours(ax, ravine, f"{name}: {losses[-1]:.2g}")
    ax.plot(*path.T, "o-", color=plotting.PALETTE[3], markersize=2.5, linewidth=1)
figure.suptitle("Sixty steps, and the loss at their end", fontweight="bold")
plotting.show(figure, alt="Four paths in the ravine. Plain descent zigzags across and closes in slowly. With momentum 0.5 the zigzag dies out within a few steps and the path ends at the bottom. With 0.9 it swings wide, across and past the bottom, and returns. With Nesterov it swings less and ends lower.")

# %% [markdown]
# Above: with a momentum of 0.5 the rate may be larger, and the swings cancel; sixty steps end at 10⁻¹⁷ instead of 6·10⁻⁴. Below: 0.9 is too heavy a ball for this ravine; it swings across and runs past the bottom. Nesterov overshoots less.
# (Networks have far longer ravines than 25 to 1; there 0.9 is the custom.)

# %% [markdown]
# ### Exercise 06.2 · SGD
# ●●○ · 20 min · 4 points
#
# Write the step of `torch.optim.SGD`. In this order, for each parameter with a gradient:
#
# 1. g is the gradient, with its sign turned if `maximize`; plus `weight_decay` times the parameter.
# 2. Only if `momentum` μ is not 0: at the parameter's first step v = g; later v ← μ·v + (1 − `dampening`)·g. The new g is v, or g + μ·v if `nesterov`.
# 3. The parameter moves by −lr·g.
#
# v must survive until the next step, and each parameter has its own: `self.state[p]` is a dictionary for p, empty at first, that the base class keeps (and saves in checkpoints).
#
# <details><summary>Hint 1</summary> <code>if "velocity" not in state:</code> tells the first step from the later ones.</details>
# <details><summary>Hint 2</summary> Make new tensors for g (<code>g = g + …</code>, never <code>g += …</code>): the second would change <code>p.grad</code>. For the same reason the first velocity is a <code>clone()</code> of g.</details>
# <details><summary>It passes the first case but fails with several parameters</summary> Is there one velocity for all of them (<code>self.velocity</code>)? And what happens at a step in which one of them has no gradient?</details>
# <details><summary>Only the case with maximize fails</summary> Turn the sign first, then add the decay: it pulls towards 0 also when you climb.</details>


# %% exercise="06.2"
class SGD(torch.optim.Optimizer):
    """Stochastic gradient descent with momentum, as torch.optim.SGD.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate.
        momentum: share of the velocity that is kept from step to step; 0 for none.
        dampening: share of each new gradient that is left out of the velocity.
        weight_decay: this times the parameter is added to the gradient.
        nesterov: whether to look one stride ahead.
        maximize: whether to climb.
    """

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening}
        super().__init__(params, {**defaults, "weight_decay": weight_decay, "nesterov": nesterov, "maximize": maximize})

    @torch.no_grad()
    def step(self) -> None:
        """Move, in place, every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]  # a dictionary of this parameter's own
                ### BEGIN SOLUTION
                momentum = group["momentum"]
                g = -p.grad if group["maximize"] else p.grad
                g = g + group["weight_decay"] * p
                if momentum != 0:
                    if "velocity" not in state:
                        state["velocity"] = g.clone()
                    else:
                        state["velocity"] = momentum * state["velocity"] + (1 - group["dampening"]) * g
                    v = state["velocity"]
                    g = g + momentum * v if group["nesterov"] else v
                p -= group["lr"] * g
                ### END SOLUTION


# %%
check("06.2")

# %% [markdown]
# ## 4 · A stride for each weight: RMSprop
#
# Momentum still has one rate for all. Suppose instead each weight divided its gradient by that gradient's own usual size. Then all weights would take steps of about lr, on the steep slope and on the flat one. The usual size is the root of a running mean of squares:
#
# $$s \leftarrow \alpha\, s + (1-\alpha)\, g^2 \qquad p \leftarrow p - \mathrm{lr}\cdot\frac{g}{\sqrt{s} + \epsilon}$$
#
# s starts at 0; everything is done element by element. That is **RMSprop**, *root mean square* propagation. Five weights, whose gradients are always 100, 1, 0.01, 10⁻⁸ and 0. How long is the hundredth step of each, in units of lr?


# %% tags=["demo"]
def strides(optimizer_class, gradients, **arguments):
    """(steps, weights): the step / lr of an optimizer for gradients of that shape, in float64."""
    p = torch.zeros(gradients.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = optimizer_class([p], lr=1.0, **arguments)
    positions = [p.detach().clone()]
    for g in gradients:
        p.grad = g.to(p.dtype)
        optimizer.step()
        positions.append(p.detach().clone())
    return 0.0 - torch.stack(positions).diff(dim=0)


sizes = torch.tensor([100, 1, 0.01, 1e-8, 0], dtype=torch.float64).expand(100, 5)
print("gradients                     ", "".join(f"{g:10.3g}" for g in sizes[0].tolist()))
for arguments in ({"eps": 1e-8}, {"eps": 1e-3}, {"eps": 1.0}, {"momentum": 0.9}):
    last = strides(torch.optim.RMSprop, sizes, alpha=0.9, **arguments)[-1]
    print(f"last step / lr, {str(arguments):15}", "".join(f"{stride:10.3g}" for stride in last.tolist()))
print("last step / lr, plain SGD      " + "".join(f"{stride:10.3g}" for stride in strides(torch.optim.SGD, sizes)[-1].tolist()))

# %% [markdown]
# From 100 to 0.01 the steps are the same: 1·lr. `eps` is the floor: a weight whose gradients are well below it is not pulled up to full steps, and nothing is divided by 0. (With `eps` 1, RMSprop is nearly SGD for all gradients well below 1.)
# `momentum` adds a velocity to g / (√s + ε), so steps grow up to tenfold, as in section 3.
#
# `alpha` is the memory: 0.9 looks back over about 1 / (1 − 0.9) = 10 steps, 0.99 over about 100. `centered` subtracts the running mean of g: it divides by the spread, √(s − mean²), instead of the size. Seen in steps:

# %% tags=["demo"]
figure, (left, right) = plotting.subplots(1, 2, size=(9.6, 3.4))
jump = torch.cat([torch.ones(80, 1), 10 * torch.ones(80, 1)])
for alpha in (0.5, 0.9, 0.99):
    left.plot(strides(torch.optim.RMSprop, jump, alpha=alpha), label=f"alpha {alpha}")
left.set(xlabel="step", ylabel="step / lr", title="The gradient is 1, from step 80 on 10")
left.legend(frameon=False)
noisy = 1 + 0.3 * torch.randn(160, 1, generator=torch.Generator().manual_seed(0))
for centered in (False, True):
    right.plot(strides(torch.optim.RMSprop, noisy, alpha=0.9, centered=centered)[10:], label=f"centered {centered}")
right.set(xlabel="step (from the 10th on)", ylabel="step / lr", title="The gradient is 1 ± 0.3", ylim=(0, 8))
right.legend(frameon=False)
plotting.show(figure, alt="Left: step over lr for three alphas. All start high and fall to 1; at the jump all rise and return to 1, alpha 0.5 at once, 0.9 within some 20 steps, 0.99 very slowly. Right: for a steady gradient with little noise, the centred version takes steps about three times as long.")

# %% [markdown]
# Left, note also the start: s begins at 0, so the first mean of squares is (1 − α)·g², far too small, and the first step is 1 / √(1 − α) times lr: 10 for α = 0.99. Right: a gradient that is *sure* of itself (small spread) gets longer steps when centred.

# %% [markdown]
# ### Exercise 06.3 · RMSprop
# ●●○ · 15 min · 3 points
#
# Write the step of `torch.optim.RMSprop`. Sign and weight decay as in SGD; then s as above. If `centered`, keep a running mean a of g as well (a ← α·a + (1 − α)·g) and use √(s − a²) instead of √s. ε is added *after* the root. If `momentum` μ > 0, keep a velocity b, at first 0: b ← μ·b + g / (root + ε), and the parameter moves by −lr·b.
#
# <details><summary>Hint 1</summary> At the first step fill the state with zeros of the parameter's shape and dtype: <code>torch.zeros_like(p)</code>.</details>
# <details><summary>Hint 2</summary> Build it in three stages: first without <code>centered</code> and <code>momentum</code>; run the check, it tells how far you are.</details>
# <details><summary>Only the case with a large eps fails</summary> √(s + ε) is not √s + ε. With ε = 10⁻⁸ no one sees it.</details>
# <details><summary>nan with centered</summary> It is the mean that is squared and then subtracted, s − a²; g² in its place, or a itself, can be more than s.</details>


# %% exercise="06.3"
class RMSprop(torch.optim.Optimizer):
    """RMSprop, as torch.optim.RMSprop.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate; about the length of a step.
        alpha: share of the running means that is kept from step to step.
        eps: added to the root; the size below which gradients count as small.
        weight_decay: this times the parameter is added to the gradient.
        momentum: share of the velocity that is kept; 0 for none.
        centered: whether to divide by the spread of the gradient instead of its size.
        maximize: whether to climb.
    """

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, maximize=False):
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "momentum": momentum, "centered": centered, "maximize": maximize})

    @torch.no_grad()
    def step(self) -> None:
        """Move, in place, every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state, alpha = self.state[p], group["alpha"]
                ### BEGIN SOLUTION
                if not state:
                    state["square"] = torch.zeros_like(p)
                    state["mean"] = torch.zeros_like(p)
                    state["velocity"] = torch.zeros_like(p)
                g = -p.grad if group["maximize"] else p.grad
                g = g + group["weight_decay"] * p
                state["square"] = alpha * state["square"] + (1 - alpha) * g**2
                spread = state["square"]
                if group["centered"]:
                    state["mean"] = alpha * state["mean"] + (1 - alpha) * g
                    spread = spread - state["mean"] ** 2
                g = g / (spread.sqrt() + group["eps"])
                if group["momentum"] > 0:
                    state["velocity"] = group["momentum"] * state["velocity"] + g
                    g = state["velocity"]
                p -= group["lr"] * g
                ### END SOLUTION


# %%
check("06.3")

# %% [markdown]
# ## 5 · Both at once: Adam
#
# Momentum smooths the direction, RMSprop scales the stride. **Adam** does both: m is a running mean of g (with β₁, as momentum with dampening), v one of g² (with β₂, RMSprop's s):
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\,g \qquad v \leftarrow \beta_2 v + (1-\beta_2)\,g^2$$
#
# Both start at 0, and so are too small at first: if the gradient is always 1, then after t steps m is 1 − β₁ᵗ instead of 1, and v is 1 − β₂ᵗ. Adam knows by how much, and divides by just that:
#
# $$\hat m = \frac{m}{1-\beta_1^t} \qquad \hat v = \frac{v}{1-\beta_2^t} \qquad p \leftarrow p - \mathrm{lr}\cdot\frac{\hat m}{\sqrt{\hat v}+\epsilon}$$
#
# What this **bias correction** is worth, for a gradient of 1 and the usual betas (0.9, 0.999):

# %% tags=["demo"]
t = torch.arange(1, 201, dtype=torch.float64)
figure = plotting.curves(
    {"without correction": (1 - 0.9**t) / (1 - 0.999**t).sqrt(), "as Adam does": torch.ones(200), "torch.optim.Adam": strides(torch.optim.Adam, torch.ones(200, 1))[:, 0]},
    xlabel="step", ylabel="step / lr", title="The first 200 steps when the gradient is always 1",
)
plotting.show(figure, alt="Without correction the steps start at 3, rise above 6 and are still above 2 after 200 steps. With it they are exactly 1, and torch's Adam lies on that line.")

# %% [markdown]
# Without it the first steps are up to six times too long, just when the network knows least: m has caught up after some ten steps, v not before a thousand. What `betas` do, on the ravine:

# %% tags=["demo"]
figure, axes = plotting.subplots(1, 3, size=(11, 3.2))
for ax, betas in zip(axes, ((0.0, 0.999), (0.9, 0.999), (0.9, 0.5))):
    path, losses = walk(ravine, lambda params, betas=betas: torch.optim.Adam(params, lr=0.2, betas=betas), 60)
    contours(ax, ravine, f"betas {betas}: {losses[-1]:.2g}")
    ax.plot(*path.T, "o-", color=plotting.PALETTE[3], markersize=2.5, linewidth=1)
figure.suptitle("Adam, sixty steps at lr 0.2, and the loss at their end", fontweight="bold")
plotting.show(figure, alt="Three paths of Adam in the ravine, all starting diagonally: both weights move by the same stride. They differ in how they settle: with first beta 0 there is no overshooting; with 0.9 the path swings around the bottom; with the second beta at 0.5 the steps stay large and the path does not settle.")

# %% [markdown]
# All three start along the diagonal: steep or flat, each weight moves by lr. β₁ is momentum's heavy ball. A short memory β₂ forgets how large gradients were: near the bottom it scales the small ones up to full steps again.
# On this smooth surface β₁ = 0 ends lowest, since there is no noise to average; mini-batches have it, and there (0.9, 0.999) is rarely changed. β₂ is lowered to 0.95–0.99 when gradients change their size fast. `eps` does as in RMSprop.

# %% [markdown]
# ### Exercise 06.4 · Adam
# ●●● · 20 min · 4 points
#
# Write the step of `torch.optim.Adam`, with the formulas above. Sign and weight decay (added to g, as in SGD) come first. t, a plain number, counts the steps *of this parameter*: 1 at its first. A step without a gradient does not count.
#
# <details><summary>Hint 1</summary> The state holds three things: t, m, v.</details>
# <details><summary>Hint 2</summary> The corrected m̂ and v̂ are for this step only. What the state keeps is m and v.</details>
# <details><summary>inf or nan after the first step</summary> With t = 0 the correction divides by 1 − β⁰ = 0. Count first.</details>
# <details><summary>It passes the first case but fails with several parameters</summary> Does every parameter count its own steps, in its own <code>self.state[p]</code>? A counter in <code>self</code> goes up once a parameter, or also when one has no gradient.</details>


# %% exercise="06.4"
class Adam(torch.optim.Optimizer):
    """Adam, as torch.optim.Adam.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate; about the length of a step.
        betas: shares of the running means of g and of g² that are kept from step to step.
        eps: added to the root.
        weight_decay: this times the parameter is added to the gradient (L2).
        maximize: whether to climb.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    @torch.no_grad()
    def step(self) -> None:
        """Move, in place, every parameter that has a gradient."""
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                ### BEGIN SOLUTION
                if not state:
                    state["t"] = 0
                    state["m"] = torch.zeros_like(p)
                    state["v"] = torch.zeros_like(p)
                g = -p.grad if group["maximize"] else p.grad
                g = g + group["weight_decay"] * p
                state["t"] += 1
                state["m"] = beta1 * state["m"] + (1 - beta1) * g
                state["v"] = beta2 * state["v"] + (1 - beta2) * g**2
                m = state["m"] / (1 - beta1 ** state["t"])
                v = state["v"] / (1 - beta2 ** state["t"])
                p -= group["lr"] * m / (v.sqrt() + group["eps"])
                ### END SOLUTION


# %%
check("06.4")

# %% [markdown]
# ## 6 · L2 in Adam is not weight decay
#
# In SGD, adding λ·p to the gradient makes p shrink by the factor 1 − lr·λ a step (section 3). In Adam what is added to the gradient is then *divided* by the gradient's size. Two weights, both 1 at the start. Their gradients alternate in sign, ±10 and ±0.1, so they pull nowhere; only the decay is left:


# %% tags=["demo"]
def decayed(optimizer_class, weight_decay=0.1, steps=1000):
    p = torch.ones(2, requires_grad=True)
    optimizer = optimizer_class([p], lr=0.01, weight_decay=weight_decay)
    for step in range(steps):
        p.grad = torch.tensor([10.0, 0.1]) * (-1) ** step
        optimizer.step()
    return p.tolist()


print("after 1000 steps             gradients ±10   gradients ±0.1")
for name, optimizer_class in (("SGD, L2", torch.optim.SGD), ("Adam, L2", torch.optim.Adam), ("AdamW", torch.optim.AdamW)):
    large, small = decayed(optimizer_class)
    print(f"{name:10} weight_decay 0.1      {large:8.3f}         {small:8.3f}")
print(f"(1 − 0.01 · 0.1)^1000 = {0.999**1000:.3f}")

# %% [markdown]
# SGD shrinks both to 0.37 of their size (its large gradients still shake the first one a little). Adam with L2 spares the weight with the large gradients and wipes out the other: how strongly a weight is held back depends on its gradients, which no one asked for.
#
# **AdamW** takes the decay out of the gradient. First p ← (1 − lr·λ)·p, then Adam's step with the plain gradient, and both weights shrink alike (to 0.361, not 0.368: the first steps, before m has averaged the flips out, move both a little). This *decoupled* weight decay is what most networks today are trained with. torch's AdamW has `weight_decay=0.01` unless you say otherwise; its Adam has 0.

# %% [markdown]
# ### Exercise 06.5 · AdamW
# ●○○ · 8 min · 2 points
#
# Write the step of `torch.optim.AdamW`: start from your Adam and move the decay.
#
# <details><summary>Hint 1</summary> The decay comes before anything else, and acts on p itself, in place.</details>
# <details><summary>Hint 2</summary> In g there is no λ any more. (<code>p = p * …</code> makes a new tensor, which has no gradient.)</details>
# <details><summary>Close, but not equal</summary> Is lr in the factor? Is the decay done before the step and not after it?</details>


# %% exercise="06.5"
class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay, as torch.optim.AdamW.

    Args:
        params, lr, betas, eps, maximize: as for Adam.
        weight_decay: each step multiplies the parameter by 1 − lr · weight_decay, whatever the gradient is.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, maximize=False):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    @torch.no_grad()
    def step(self) -> None:
        """Move, in place, every parameter that has a gradient."""
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                ### BEGIN SOLUTION
                if not state:
                    state["t"] = 0
                    state["m"] = torch.zeros_like(p)
                    state["v"] = torch.zeros_like(p)
                p *= 1 - group["lr"] * group["weight_decay"]
                g = -p.grad if group["maximize"] else p.grad
                state["t"] += 1
                state["m"] = beta1 * state["m"] + (1 - beta1) * g
                state["v"] = beta2 * state["v"] + (1 - beta2) * g**2
                m = state["m"] / (1 - beta1 ** state["t"])
                v = state["v"] / (1 - beta2 ** state["t"])
                p -= group["lr"] * m / (v.sqrt() + group["eps"])
                ### END SOLUTION


# %%
check("06.5")

# %% [markdown]
# Yours beside torch's, twenty steps each on the same small problem in float64:

# %% tags=["demo"]


def end_of(optimizer_class, **arguments):
    """The weights after twenty steps on a small problem."""
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(6, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.randn(6, generator=generator, dtype=torch.float64)
    optimizer = optimizer_class([w], **arguments)
    for _ in range(20):
        optimizer.zero_grad()
        ((w - target) ** 4).sum().backward()
        optimizer.step()
    return w.detach()


pairs = {
    "SGD": (SGD, torch.optim.SGD, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    "RMSprop": (RMSprop, torch.optim.RMSprop, {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.1}),
    "Adam": (Adam, torch.optim.Adam, {"lr": 0.1, "weight_decay": 0.1}),
    "AdamW": (AdamW, torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0.1}),
}
for name, (mine, theirs, arguments) in pairs.items():
    try:
        print(f"{name:8} largest difference {(end_of(mine, **arguments) - end_of(theirs, **arguments)).abs().max():.1e}   {arguments}")
    except NotAttempted:
        print(f"{name:8} not attempted yet")

# %% [markdown]
# And on three surfaces, each at a rate that suits it:

# %% tags=["demo"]
MySGD, MyRMSprop = mine_or_reference("06.2", SGD), mine_or_reference("06.3", RMSprop)
MyAdam, MyAdamW = mine_or_reference("06.4", Adam), mine_or_reference("06.5", AdamW)
walkers = {
    "SGD": lambda params: MySGD(params, lr=0.05),
    "momentum": lambda params: MySGD(params, lr=0.02, momentum=0.9),
    "Nesterov": lambda params: MySGD(params, lr=0.02, momentum=0.9, nesterov=True),
    "RMSprop": lambda params: MyRMSprop(params, lr=0.05, alpha=0.9),
    "Adam": lambda params: MyAdam(params, lr=0.15),
    "AdamW": lambda params: MyAdamW(params, lr=0.15, weight_decay=0.3),
}
figure, axes = plotting.subplots(1, 3, size=(12, 4.2))
for ax, (name, minimum) in zip(axes, {"ravine": (0, 0), "valley with a saddle": (1, 0), "bent valley": (1, 1)}.items()):
    contours(ax, SURFACES[name], name)
    ax.plot(*minimum, "kx", markersize=16, zorder=5)
    for i, (label, make) in enumerate(walkers.items()):
        path, _ = walk(SURFACES[name], make, 300)
        ax.plot(*path.T, "-", color=plotting.PALETTE[(0, 1, 2, 3, 4, 7)[i]], linewidth=1.4, label=label)
        ax.plot(*path[-1], "*", color=plotting.PALETTE[(0, 1, 2, 3, 4, 7)[i]], markersize=9)
axes[0].legend(frameon=True, fontsize=7, loc="upper right")
figure.suptitle("300 steps; a star marks the end, a cross the minimum", fontweight="bold")
plotting.show(figure, alt="Paths of six optimizers on a ravine, a valley with a saddle and a bent valley. SGD and its momentum versions first fall into the valley and then follow its floor; RMSprop and Adam cut across. After 300 steps all are at the minimum or close to it, but on the bent valley SGD and AdamW are still on the way.")

# %% [markdown]
# SGD falls where it is steepest and then follows the floor; momentum swings around the bends; RMSprop and Adam go for both coordinates at once. Near a saddle, where the slope is almost 0, the adaptive ones hardly slow down: they divide by that small slope. AdamW, here with a strong decay,
# is held back on the bent valley, whose minimum is far from zero. Move the controls. Find, on the ravine, the largest rate at which each of SGD, momentum and Nesterov still comes to rest, and on *two minima* two ways to reach the deeper one on the left:

# %% tags=["demo"]
widgets.descent()

# %% [markdown]
# (On the ravine: SGD up to just under 0.08; Nesterov up to 0.05; momentum up to 0.15, though the larger its rate, the longer it swings. The deep minimum: momentum at 0.05, or SGD at 0.3, or Adam at 1.)
#
# A network has a landscape in 200,000 dimensions, which no one has seen. Same start, same batches, on 3,000 handwritten digits:

# %% tags=["demo"]
digits = data.mnist()
pixels = data.normalize(digits.train_images[:4000], (data.MNIST_MEAN,), (data.MNIST_STD,))
labels = digits.train_labels[:4000]


def mlp(width=256):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))


def losses_of(make_optimizer, epochs=3):
    """Loss of each step of a training on 3,000 digits, batches of 50."""
    generator = runtime.seed_everything(0)
    model, history = mlp(), []
    optimizer = make_optimizer(model.parameters())
    for _ in range(epochs):
        for batch in torch.randperm(3000, generator=generator).split(50):
            loss = F.cross_entropy(model(pixels[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
    return torch.tensor(history)


runs = {
    "SGD, lr 0.05": losses_of(lambda params: MySGD(params, lr=0.05)),
    "momentum 0.9, lr 0.05": losses_of(lambda params: MySGD(params, lr=0.05, momentum=0.9)),
    "RMSprop, lr 0.001": losses_of(lambda params: MyRMSprop(params, lr=0.001)),
    "Adam, lr 0.001": losses_of(lambda params: MyAdam(params, lr=0.001)),
}
smooth = {name: history.unfold(0, 15, 1).mean(-1) for name, history in runs.items()}
assert all(history[-1] < history[0] / 2 for history in smooth.values())
figure = plotting.curves(smooth, xlabel="step", ylabel="loss, mean of 15 batches", title=f"A small network on 3,000 digits ({digits.source.split(',')[0]})")
plotting.show(figure, alt="Loss over 180 steps of four optimizers. Plain SGD is slowest; RMSprop and Adam end lower, momentum lowest.")

# %% [markdown]
# Momentum, at a rate found by trying, ends lowest. Adam and RMSprop are close at the rate that nearly everyone starts with: that, more than the last bit of loss, is why they are so common.

# %% [markdown]
# ## 7 · Parameter groups at work
#
# Two customs use groups every day. A new head on an old body: the head learns fast, the body slowly. And weight decay for the weight matrices only: biases and the scales of norm layers are few, and need not be held small.

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
body, head = list(model[:3].parameters()), list(model[3].parameters())
optimizer = torch.optim.AdamW(
    [
        {"params": [p for p in body if p.ndim >= 2], "lr": 1e-4},
        {"params": [p for p in body if p.ndim < 2], "lr": 1e-4, "weight_decay": 0.0},
        {"params": [p for p in head if p.ndim >= 2]},
        {"params": [p for p in head if p.ndim < 2], "weight_decay": 0.0},
    ],
    lr=1e-2,
    weight_decay=0.1,
)
for group in optimizer.param_groups:
    print(f"lr {group['lr']:<7} weight_decay {group['weight_decay']:<4} shapes {[tuple(p.shape) for p in group['params']]}")

# %% [markdown]
# A group is a plain dictionary: `group["lr"] = …` in the middle of a run is allowed, and it is all that the next section does.
#
# ## 8 · A plan for the rate
#
# In section 1 the mini-batch path reached the bottom and kept jittering. A smaller rate jitters less, but takes longer to get there. So begin large and end small:

# %% tags=["demo"]
best = torch.linalg.lstsq(torch.stack([x, torch.ones(200)], 1), y[:, None]).solution[:, 0]
plans = {
    "lr 0.15 throughout": descend(10, 0.15, 10),
    "lr 0.015 throughout": descend(10, 0.015, 10),
    "0.15, by half a cosine down to 0": descend(10, 0.15, 10, lambda step: 0.5 * (1 + math.cos(math.pi * step / 200))),
}
distances = {name: (path - best).norm(dim=1).unfold(0, 5, 1).mean(-1) for name, path in plans.items()}
figure = plotting.curves(distances, xlabel="step", ylabel="distance from the best line, mean of 5 steps", title="Ten points a step: three plans for the rate")
figure.axes[0].set_yscale("log")
plotting.show(figure, alt="Distance from the minimum over 200 steps. The constant large rate gets near quickly and then stays at a noisy level; the small rate falls slowly; the cosine is as quick as the first and goes on falling to a much smaller distance.")

# %% [markdown]
# Such a plan is a **schedule**. torch has many; each is an object that holds the optimizer and rewrites `group["lr"]` at each `scheduler.step()`. The order is `optimizer.step()`, then `scheduler.step()`; whether once a batch or once an epoch is up to you, but `total_steps` and its like count in that unit.


# %% tags=["demo"]
def rates(make_scheduler, steps=100):
    """The learning rate of each step of a run under a schedule; the optimizer's own rate is 1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make_scheduler(optimizer)
    history = []
    for _ in range(steps):
        history.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return history


schedules = torch.optim.lr_scheduler
figure = plotting.curves(
    {
        "StepLR(step_size=30, gamma=0.3)": rates(lambda o: schedules.StepLR(o, step_size=30, gamma=0.3)),
        "CosineAnnealingLR(T_max=100)": rates(lambda o: schedules.CosineAnnealingLR(o, T_max=100)),
        "OneCycleLR(max_lr=1, total_steps=100)": rates(lambda o: schedules.OneCycleLR(o, max_lr=1.0, total_steps=100)),
        "LinearLR(0.1, total_iters=20): a warm-up": rates(lambda o: schedules.LinearLR(o, start_factor=0.1, total_iters=20)),
    },
    xlabel="step", ylabel="learning rate", title="Four schedules", x=range(100),
)
figure.axes[0].legend(fontsize=7, loc="upper right", bbox_to_anchor=(1.75, 1), frameon=False)
plotting.show(figure, alt="Four curves. Step: constant for 30 steps, then multiplied by 0.3 each time. Cosine: half a cosine wave from 1 to 0. One-cycle: up from 0.04 to 1 in 30 steps, then down to 0. Warm-up: a straight line from 0.1 to 1 in 20 steps, then constant.")

# %% [markdown]
# - **step**: constant, then a cut; the oldest. One argument says when, one by how much.
# - **cosine**: falls slowly, then fast, then slowly; nothing to tune but the end.
# - **one-cycle**: a climb before the fall. (torch's also moves the momentum the other way.)
# - **warm-up**: a short climb, then another schedule. At the first steps the running means of Adam rest on few gradients and the weights are random; small steps do no harm there.
#
# Warm-up and cosine together are the standard today. torch's `LambdaLR(optimizer, f)` makes a schedule from any function: the rate of step t, counted from 0, is the optimizer's own rate times f(t).

# %% [markdown]
# ### Exercise 06.6 · Warm-up and cosine
# ●●○ · 12 min · 2 points
#
# Write f. During warm-up the factor climbs in equal parts: 1/`warmup` at step 0, 2/`warmup` at step 1, and 1 at step `warmup` − 1. From step `warmup` on it falls by half a cosine from 1 (at step `warmup`) to `floor` (at step `total`), and stays there.
#
# <details><summary>Hint 1</summary> Three branches: before <code>warmup</code>, after <code>total</code>, between.</details>
# <details><summary>Hint 2</summary> Between: how far along are we, from 0 to 1, not counting the warm-up? The cosine of π times that goes from 1 to −1; shift and shrink it to go from 1 to <code>floor</code>.</details>
# <details><summary>It climbs again at the end</summary> The cosine goes on beyond π. After <code>total</code> the factor is <code>floor</code>.</details>
# <details><summary>The first step trains nothing</summary> Steps count from 0, and the first factor must not be 0.</details>


# %% exercise="06.6"
def warmup_cosine(step: int, warmup: int, total: int, floor: float = 0.0) -> float:
    """Factor of the learning rate at a step, for LambdaLR.

    Args:
        step: counted from 0.
        warmup: steps of the climb; may be 0.
        total: step at which the factor reaches `floor`; more than `warmup`.
        floor: last factor.
    Returns:
        the factor, from 0 to 1.
    """
    ### BEGIN SOLUTION
    if step < warmup:
        return (step + 1) / warmup
    along = min((step - warmup) / (total - warmup), 1.0)
    return floor + (1 - floor) * (1 + math.cos(math.pi * along)) / 2
    ### END SOLUTION


# %%
check("06.6")

# %% tags=["demo"]
try:
    mine = rates(lambda o: schedules.LambdaLR(o, lambda step: warmup_cosine(step, warmup=10, total=90, floor=0.05)))
    figure = plotting.curves({"factor": mine}, xlabel="step", ylabel="learning rate", title="Yours, plugged into LambdaLR: warmup 10, total 90, floor 0.05", x=range(100))
    plotting.show(figure, alt="A straight climb to 1 in ten steps, then half a cosine down to 0.05 at step 90, constant from there.")
except NotAttempted:
    print("The curve appears when you have solved exercise 06.6.")

# %% [markdown]
# ## 9 · When a gradient explodes
#
# A recurrent network multiplies by the same weight again and again. In its simplest form: start with 1, multiply ten times by w, and the result should be 1. The loss is (w¹⁰ − 1)², the best w is 1. From w = 1.5, at lr 0.01:

# %% tags=["demo"]
# NBVAL_CHECK_OUTPUT
w = torch.tensor([1.5], requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.01)
for _ in range(4):
    loss = (w**10 - 1).square().sum()
    optimizer.zero_grad()
    loss.backward()
    print(f"w {w.item():<10.4g} loss {loss.item():<10.4g} gradient {w.grad.item():.4g}")
    optimizer.step()

# %% [markdown]
# The gradient there is 43,000. One step, and w is thrown out of the landscape; from there on everything is `inf` and `nan`. The *direction* was right. So keep the direction and limit the length: if the norm (the length) of the whole gradient, all parameters together in one vector, is more than `max_norm`, scale it down to that.
# This is **gradient clipping**. It stands between `backward()` and `step()`.

# %% [markdown]
# ### Exercise 06.7 · Clip by the total norm
# ●●○ · 10 min · 2 points
#
# The total norm is the length of all gradients laid end to end in one vector: the root of the sum of all their squares. If it exceeds `max_norm`, multiply every gradient, in place, by `max_norm` / (total norm + 10⁻⁶). Return the total norm as it was *before*: it is a number worth watching.
#
# <details><summary>Hint 1</summary> The norm of the norms is the total norm: <code>torch.stack([…]).norm()</code>. It does not take an empty list.</details>
# <details><summary>Hint 2</summary> One factor for all gradients; it is never more than 1.</details>
# <details><summary>The check says that nothing was clipped, with model.parameters()</summary> <code>model.parameters()</code> is a generator: it can be gone through once. Make a list of it first.</details>


# %% exercise="06.7"
def clip_by_norm(params, max_norm: float) -> torch.Tensor:
    """Scale all gradients together so that their total norm is at most `max_norm`, as torch.nn.utils.clip_grad_norm_.

    Args:
        params: iterable of parameters; those whose `.grad` is None are left out.
        max_norm: the largest norm allowed.
    Returns:
        the total norm before the clipping: a tensor of shape (), of the gradients' dtype; with no gradient at all, a tensor 0.
    """
    ### BEGIN SOLUTION
    grads = [p.grad for p in params if p.grad is not None]
    total = torch.stack([g.norm() for g in grads]).norm() if grads else torch.tensor(0.0)
    if total > max_norm:
        for g in grads:
            g *= max_norm / (total + 1e-6)
    return total
    ### END SOLUTION


# %%
check("06.7")

# %% tags=["demo"]
clip = mine_or_reference("06.7", clip_by_norm)
w = torch.tensor([1.5], requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.01)
for step in range(61):
    loss = (w**10 - 1).square().sum()
    optimizer.zero_grad()
    loss.backward()
    norm = clip([w], max_norm=1.0)
    if step % 15 == 0:
        print(f"step {step:2}: w {w.item():.3f}, loss {loss.item():.3g}, norm before the clipping {norm.item():.3g}")
    optimizer.step()

# %% [markdown]
# Steps of 0.01 each, and it arrives. Clipping each gradient by itself, or each number of it (`clip_grad_value_`), would change the direction.

# %%
progress("06")

# %% [markdown]
# ## 10 · Too little, too much
#
# So far, lower was better. But the loss on the training data is not the goal: new data are. Take only 300 of the digits to train with, and 1,000 others, the **validation** set, to measure on. Three trainings: a network too small, one far too large (670,000 weights for 300 digits), and the large one with ten times the data (12 epochs instead of 40, which are still three times as many steps):

# %% tags=["demo"]
x_train, y_train = pixels[:300], labels[:300]
x_val, y_val = pixels[3000:4000], labels[3000:4000]


def network(width=512, dropout=None):
    """An MLP with two hidden layers; `dropout` makes a layer after each."""
    layers, inputs = [nn.Flatten()], 784
    for _ in range(2):
        layers += [nn.Linear(inputs, width), nn.ReLU()] + ([dropout()] if dropout else [])
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 10))


def measure(model, x, y):
    """(loss, accuracy) of a model, in eval mode."""
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def fit(model, x, y, epochs=40, weight_decay=0.0, augment=None, seed=0):
    """Train with AdamW in batches of 50; returns per epoch the losses on both sets and the accuracy on validation."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=weight_decay)
    history = {"training loss": [], "validation loss": [], "validation accuracy": []}
    for _ in range(epochs):
        model.train()
        for batch in torch.randperm(len(x), generator=generator).split(50):
            images = augment(x[batch]) if augment else x[batch]
            loss = F.cross_entropy(model(images), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss, accuracy = measure(model, x_val, y_val)
        for values, value in zip(history.values(), (measure(model, x, y)[0], loss, accuracy)):
            values.append(value)
    return history


def seeded(width=512, dropout=None, seed=0):
    runtime.seed_everything(seed)
    return network(width, dropout)


fits = {
    "2 units a layer, 300 digits": fit(seeded(2), x_train, y_train),
    "512 units a layer, 300 digits": fit(seeded(512), x_train, y_train),
    "512 units a layer, 3,000 digits": fit(seeded(512), pixels[:3000], labels[:3000], epochs=12),
}
overfit = fits["512 units a layer, 300 digits"]
assert overfit["validation loss"][-1] > 1.1 * min(overfit["validation loss"]) > overfit["training loss"][-1]
figure, axes = plotting.subplots(1, 3, size=(12, 3.4), sharey=True)
for ax, (name, history) in zip(axes, fits.items()):
    plotting.curves({key: history[key] for key in ("training loss", "validation loss")}, title=f"{name}\nvalidation accuracy {history['validation accuracy'][-1]:.0%}", ax=ax)
axes[0].set_ylim(0, 2.4)
plotting.show(figure, alt="Three pairs of loss curves. Too small: both stay high, close together. Too large for 300 digits: the training loss goes to 0, the validation loss falls, then rises again. With 3,000 digits: the validation loss is less than half of that.")

# %% [markdown]
# - **Underfitting** (left): both losses are high, and close to each other. The network cannot even fit what it sees. Cures: a larger network, a better rate, more epochs, less of all that section 11 does.
# - **Overfitting** (middle): the training loss is 0, the validation loss falls and then *rises*. The network knows its 300 digits by heart. It is surer and surer, also where it is wrong; that is why the loss gets worse while the accuracy hardly moves.
# - More data (right) is the best cure, where there are more: less than half the loss. It is no full one: 3,000 digits are learned by heart too, and the validation loss creeps up again.
#
# The gap between the curves is the sign. You see it only on data that had no part in training.
#
# ## 11 · Four brakes
#
# Whatever makes overfitting harder is called **regularization**.
#
# **Weight decay** you know. Large weights make sharp, special answers; the decay lets no weight grow that does not earn it at each step.
#
# **Dropout**: in training, each activation is set to 0 with probability p, at random, anew at each pass. No unit can rely on another to be there. What is kept is divided by 1 − p, so that the sum over many units stays what it was on average. In `eval()` it does nothing at all:

# %% tags=["demo"]
runtime.seed_everything(0)
layer, ones = nn.Dropout(p=0.4), torch.ones(4, 12)
for _ in range(2):
    plotting.show(plotting.tensor_cells(layer(ones), title="nn.Dropout(0.4) of ones, in training"), alt="A grid of numbers: about 40 percent are 0, all others 1.67. The two grids have their zeros in different places.")
layer.eval()
print("in eval():", layer(ones).unique().tolist())
layer.train()
print(f"mean over a million ones, in training: {layer(torch.ones(1_000_000)).mean():.3f}")

# %% [markdown]
# ### Exercise 06.8 · Dropout
# ●●○ · 12 min · 3 points
#
# Write it as a module. `self.training` says which mode the module is in; `train()` and `eval()` of the whole network set it.
#
# <details><summary>Hint 1</summary> <code>torch.rand_like(x)</code> draws a number from 0 to 1 for each element of x. How often is it at least p?</details>
# <details><summary>Hint 2</summary> A mask of zeros and ones in x's dtype; x times the mask, divided by the probability to be kept.</details>
# <details><summary>In training the mean is wrong</summary> Print the share of zeros: it should be p, not 1 − p. Print the other values: they should be x / (1 − p).</details>
# <details><summary>It fails in the second call</summary> The mask is drawn in <code>forward</code>, anew each time; not in <code>__init__</code>, and with no seed of its own.</details>


# %% exercise="06.8"
class Dropout(nn.Module):
    """Sets activations to 0 at random while training, as nn.Dropout.

    Args:
        p: probability of each element to become 0; 0 ≤ p < 1.
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: any shape, floating point. Returns a tensor of x's shape and dtype."""
        ### BEGIN SOLUTION
        if not self.training:
            return x
        mask = (torch.rand_like(x) >= self.p).to(x.dtype)
        return x * mask / (1 - self.p)
        ### END SOLUTION


# %%
check("06.8")

# %% [markdown]
# **Augmentation**: show each digit a little turned, shifted and resized, differently each time. The label stays, the pixels do not, so there is nothing to learn by heart (lab 03 is about its transforms; this one acts on a whole batch at once):


# %% tags=["demo"]
def jitter(images):
    """Each image of a batch turned by up to 14°, resized by up to 10 %, shifted by up to 2 pixels; (B, 1, 28, 28)."""
    count = len(images)
    angle = (torch.rand(count) - 0.5) * 0.5
    scale = 1 + (torch.rand(count) - 0.5) * 0.2
    shift = (torch.rand(count, 2) - 0.5) * 4 / 14  # a width of 28 pixels is 2 units here
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(count, 2, 2) * scale[:, None, None]
    grid = F.affine_grid(torch.cat([turn, shift[:, :, None]], 2), images.shape, align_corners=False)
    background = images.min()  # grid_sample fills with 0; black is another number after normalization
    return F.grid_sample(images - background, grid, align_corners=False) + background


runtime.seed_everything(0)
shown = torch.cat([x_train[:2].repeat_interleave(8, 0)[:8], jitter(x_train[:1].repeat(8, 1, 1, 1))])
shown = data.unnormalize(shown, (data.MNIST_MEAN,), (data.MNIST_STD,))
figure = plotting.image_grid(shown, title="Above: one digit, as it is. Below: the same, eight times augmented")
plotting.show(figure, alt="Two rows of eight pictures of one handwritten digit: the first all alike, the second slightly turned, resized and shifted, each differently.")

# %% [markdown]
# **Early stopping** needs no change to the network: stop when the validation loss has not improved for a while, and go back to the weights of the best epoch. "A while" is the **patience**. (Lab 07 builds it into the training loop, weights and all; here is the rule.)

# %% [markdown]
# ### Exercise 06.9 · When to stop
# ●●○ · 10 min · 2 points
#
# Given the validation loss after each epoch, say at which epoch training stops and which epoch's weights are kept. An epoch is an improvement if its loss is *lower than all before*. Training stops after the first epoch that is the `patience`-th in a row without improvement; if there is none, it runs to the end. The rule may not look at
# losses that come after the stop: there would be none. Epochs count from 0.
#
# <details><summary>Hint 1</summary> Go through the losses once; remember the best epoch so far.</details>
# <details><summary>Hint 2</summary> How many epochs have passed since the best one? When that reaches <code>patience</code>, return.</details>
# <details><summary>It stops too late, on a noisy curve</summary> Compare with the best loss so far, not with the epoch before.</details>


# %% exercise="06.9"
def early_stop(losses: list[float], patience: int) -> tuple[int, int]:
    """Early stopping as a rule.

    Args:
        losses: validation loss of each epoch; at least one.
        patience: epochs in a row without improvement after which training stops; at least 1.
    Returns:
        (the last epoch that is trained, the best epoch up to there).
    """
    ### BEGIN SOLUTION
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        if epoch - best >= patience:
            return epoch, best
    return len(losses) - 1, best
    ### END SOLUTION


# %%
check("06.9")

# %% [markdown]
# ## 12 · Measured
#
# Each brake by itself, then all together, on the same 300 digits, with two seeds each. (It takes about a quarter of a minute.)

# %% tags=["demo"]
MyDropout = mine_or_reference("06.8", Dropout)
seeds = runtime.quick_or_full((0, 1), range(5))
recipes = {
    "nothing": {},
    "weight decay 2": {"weight_decay": 2.0},
    "dropout 0.8": {"dropout": 0.8},
    "augmentation": {"augment": jitter},
    "all three": {"weight_decay": 1.0, "dropout": 0.3, "augment": jitter},
}
histories, models = {}, {}
for name, recipe in recipes.items():
    p = recipe.get("dropout")
    fit_options = {key: value for key, value in recipe.items() if key != "dropout"}
    for seed in seeds:
        models[name] = seeded(dropout=(lambda p=p: MyDropout(p)) if p else None, seed=seed)
        histories.setdefault(name, []).append(fit(models[name], x_train, y_train, seed=seed, **fit_options))
figure, (left, right) = plotting.subplots(1, 2, size=(11, 3.8))
for ax, key in ((left, "validation loss"), (right, "validation accuracy")):
    plotting.curves({name: [run[key] for run in runs] for name, runs in histories.items()}, ylabel=key, title=f"{key} on 1,000 digits", ax=ax, x=range(40))
left.set_ylim(0.15, 1)
right.set_ylim(0.75, 1)
plotting.show(figure, alt="Validation loss and accuracy over 40 epochs for five recipes. With nothing the loss rises again after a few epochs; weight decay and dropout hold it lower and leave the accuracy as it is; augmentation lowers it much further and lifts the accuracy by several points; all three together end about there.")

# %% tags=["demo"]
print(f"{'':16} last epoch: training loss, validation loss, accuracy   best epoch by validation loss: loss, accuracy")
for name, runs in histories.items():
    last = [sum(run[key][-1] for run in runs) / len(runs) for key in ("training loss", "validation loss", "validation accuracy")]
    at = [min(range(len(run["validation loss"])), key=run["validation loss"].__getitem__) for run in runs]
    loss, accuracy = (sum(run[key][epoch] for run, epoch in zip(runs, at)) / len(runs) for key in ("validation loss", "validation accuracy"))
    print(f"{name:16} {last[0]:22.4f} {last[1]:16.3f} {last[2]:9.1%} {'epoch ' + '/'.join(map(str, at)):>27} {loss:14.3f} {accuracy:9.1%}")
try:
    print()
    for name in ("nothing", "all three"):
        stop, best_epoch = early_stop(histories[name][0]["validation loss"], patience=8)
        print(f"early stopping with patience 8, {name}: stop after epoch {stop}, keep epoch {best_epoch}")
except NotAttempted:
    print("What early stopping does here appears when you have solved exercise 06.9.")
assert histories["all three"][0]["validation loss"][-1] < histories["nothing"][0]["validation loss"][-1]

# %% [markdown]
# (The bands are the spread over the seeds. The brakes are set unusually hard, because this network is far too large for 300 digits: the customary decay of 0.1 and dropout of 0.5 bring the last epoch's loss only from about 0.80 to 0.77 and 0.78. Note also that the epoch of the lowest loss
# need not be that of the highest accuracy: on "nothing" about 82.4 % against 83.2 % at the end.)
#
# What do these numbers say? Which brake would you try first on a new problem, and which one costs nothing? Write two or three sentences.

# %% [markdown]
# <!-- ### BEGIN SOLUTION -->
# Augmentation does most: it alone brings new information (a turned 7 is still a 7), and lifts the accuracy by several points. Weight decay and dropout lower the loss, which means that the network is less sure of its errors; the accuracy hardly moves. Early stopping costs nothing, it even saves
# epochs, and without the other brakes it saves most of the loss; with them there is less to stop early. So: augmentation first where one is known that keeps the label, early stopping always, the other two tuned on the validation set.
# <!-- ### END SOLUTION -->

# %% [markdown]
# We have looked at the validation set many times, and picked what was best on it: rates, recipes, epochs. So its numbers are a little too good; we chose among them. For an honest number there is the **test** set, used once, at the end, with nothing left to choose:

# %% tags=["demo"]
x_test = data.normalize(digits.test_images, (data.MNIST_MEAN,), (data.MNIST_STD,))
for name in ("nothing", "all three"):
    loss, accuracy = measure(models[name], x_test, digits.test_labels)
    print(f"{name:10} on {len(x_test):,} test digits: loss {loss:.3f}, accuracy {accuracy:.1%}")
assert accuracy > 0.85

# %% [markdown]
# ## Recap
#
# - A mini-batch gives the gradient with noise; many rough steps beat few exact ones.
# - Momentum adds up gradients; RMSprop divides each by its usual size; Adam does both and corrects the start; AdamW shrinks the weights apart from that.
# - A step changes parameters in place, under `no_grad`, group by group; what it must remember lies in `state[p]`.
# - A schedule rewrites `lr`: `optimizer.step()`, then `scheduler.step()`. Warm-up, then cosine, is a good default.
# - Clip between `backward()` and `step()`, by the norm of all gradients together.
# - Compare training with validation loss: both high, underfitting; a gap that widens, overfitting. Then: more data, augmentation, weight decay, dropout, early stopping. Choose on validation; test once.
#
# ## Read on
#
# - PyTorch, [torch.optim](https://docs.pytorch.org/docs/stable/optim.html): all optimizers and schedules, with their formulas.
# - Goh, [Why momentum really works](https://distill.pub/2017/momentum/): the ravine, with mathematics that moves.
# - Kingma and Ba, [Adam](https://arxiv.org/abs/1412.6980), and Loshchilov and Hutter, [Decoupled weight decay regularization](https://arxiv.org/abs/1711.05101): sections 5 and 6.
# - Srivastava and others, [Dropout](https://jmlr.org/papers/v15/srivastava14a.html): a simple way to prevent neural networks from overfitting.
# - Google, [Deep learning tuning playbook](https://github.com/google-research/tuning_playbook): what to tune, in which order.
#
# ## Hand in

# %%
hand_in("06")
