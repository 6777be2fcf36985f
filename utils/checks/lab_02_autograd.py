"""Checks of lab 02, autograd. Oracle: torch's own derivatives, or the formula where the exercise is about the method."""

import torch
import torch.nn.functional as F
from torch import nn

from . import exercise

TUPLE = "{} is a tuple, as `torch.autograd.grad` returns: take its first item, `[0]`."
LEFT = "The result is right, but the caller's x is not as it was: it now requires a gradient, or its `.grad` was touched. Work on `x.detach().clone()`."


@exercise("02.1", points=2, needs=["sigmoid_grad"])
class SigmoidGrad:
    """The sigmoid's derivative."""

    errors = {
        "grad can be implicitly created only for scalar outputs": "σ(x) has many elements, and `backward()` starts from one number: take the `.sum()` first.",
        "does not require grad": "Nothing was recorded: the tensor that you differentiate with respect to needs `requires_grad_()` before σ is computed.",
    }

    def inputs(rng):
        yield {"x": torch.linspace(-3, 3, 7), "calls": 1}
        yield {"x": rng.randn(4, 3).t(), "calls": 1}
        yield {"x": rng.randn(5, dtype=torch.float64), "calls": 2, "_case": "float64, called twice with the same x"}
        yield {"x": torch.tensor([-100.0, -20.0, 0.0, 20.0, 100.0]), "calls": 1, "_case": "x from −100 to 100"}
        yield {"x": torch.tensor(0.5), "calls": 1, "_case": "x of shape ()"}

    def probe(student, x, calls):
        for _ in range(calls):
            y = student.sigmoid_grad(x)
        return {"y": y, "left": {"requires_grad": x.requires_grad, "has_grad": x.grad is not None}}

    def judge(case, x, calls, y, left):
        s = torch.sigmoid(x)
        want = s * (1 - s)
        case.that(not isinstance(y, list), TUPLE.format("sigmoid_grad(x)"))
        if isinstance(y, torch.Tensor) and y.isnan().any():
            case.that(False, "There is a nan: `exp(100)` is infinite in float32, and inf / inf is nan. `torch.sigmoid` does not overflow; build on it.")
        case.close(
            y,
            want,
            what="sigmoid_grad(x)",
            mistakes={
                "This is σ(x) itself, not its derivative.": s,
                "This is 1 − σ(x); the derivative is σ(x) · (1 − σ(x)).": 1 - s,
                "In s(1 − s), s is σ(x). You used x itself.": x * (1 - x),
                "The sign is wrong: σ rises everywhere, so its slope is positive.": -want,
                "You averaged before `backward()`: every derivative is divided by the number of elements. Use `.sum()`.": want / x.numel(),
                "This is the sum of all derivatives; asked is one derivative per element.": want.sum(),
                "The second call gives twice the derivative: `backward()` adds to the `.grad` that the first call left on the caller's x. Work on `x.detach().clone()`.": 2 * want,
            },
        )
        case.that(calls == 1 or not any(left.values()), LEFT)


@exercise(
    "02.2",
    points=2,
    needs=["h_requires_grad", "h_is_leaf", "d_requires_grad", "n_requires_grad", "h_has_grad", "x_has_grad", "w_grad_first"],
)
class WhoHasAGradient:
    """Predict: who gets a gradient."""

    def inputs(rng):
        yield {}

    def probe(student):
        names = "h_requires_grad h_is_leaf d_requires_grad n_requires_grad h_has_grad x_has_grad w_grad_first"
        return {"answers": {name: getattr(student, name) for name in names.split()}}

    def judge(case, answers):
        x = torch.full((3,), 2.0)
        w = torch.ones(3, requires_grad=True)
        h = w * x
        d = h.detach()
        with torch.no_grad():
            n = w * x
        (h + 10 * d).sum().backward()
        reasons = {
            "h_requires_grad": (h.requires_grad, "`h` is computed from `w`, and one tracked input is enough: the result is tracked too."),
            "h_is_leaf": (h.is_leaf, "`h` is the result of a recorded operation. Leaves are the tensors that no recorded operation made."),
            "d_requires_grad": (d.requires_grad, "`detach()` gives the same numbers without their history."),
            "n_requires_grad": (n.requires_grad, "Under `torch.no_grad()` nothing is recorded, whatever the inputs are."),
            "h_has_grad": (h.is_leaf, "`backward()` passes through `h`, but it keeps a gradient in leaves only; `h.retain_grad()` would change that."),
            "x_has_grad": (x.grad is not None, "`x` is a leaf that does not require a gradient, so none is computed for it."),
        }
        for name, (want, reason) in reasons.items():
            case.equal(answers[name], want, what=name, mistakes={f"{name}: {reason}": not want})
        got = answers["w_grad_first"]
        got = got.item() if isinstance(got, torch.Tensor) and got.numel() == 1 else got
        mistakes = {
            "w_grad_first: you let the gradient flow through `d` as well. `detach()` cut that way; for backward, `d` is a constant.": [22, 20, 66],
            "w_grad_first: the slope of w · x with respect to w is x, and x is 2 here.": 1,
            "w_grad_first: this is the sum over the three elements; each element of `w` has its own derivative.": 6,
        }
        case.that(type(got) in (int, float), "w_grad_first: answer with a single number, such as 5.")
        for message, wrong in mistakes.items():
            case.that(got not in (wrong if isinstance(wrong, list) else [wrong]), message)
        case.that(got == w.grad[0].item(), f"w_grad_first is not {got:g}. Write the loss as a sum over the elements, with d as a constant: what is its slope in w₀?")


def _descend(x, y, lr, steps, slip=""):
    """(w, b, losses) of gradient descent on the mean squared error, by the formula; `slip` names a misconception."""
    w, b = torch.zeros(x.shape[1], dtype=x.dtype), torch.zeros((), dtype=x.dtype)
    kept_w, kept_b, losses = torch.zeros_like(w), torch.zeros_like(b), []
    scale = {"half": 0.5, "double": 2, "sum": len(y), "ascent": -1, "no lr": 1 / lr}.get(slip, 1)
    for _ in range(steps):
        # Broadcasting (N, 1) with (N,) compares every prediction with every target: in the gradient, with their mean.
        error = x @ w + b - (y.mean() if slip == "outer" else y)
        losses.append((error**2).mean().item())
        keep_w, keep_b = slip in ("no zeroing", "w not emptied"), slip in ("no zeroing", "b not emptied")
        kept_w = keep_w * kept_w + scale * 2 * (x * error[:, None]).mean(0)
        kept_b = keep_b * kept_b + scale * 2 * error.mean()
        w, b = w - lr * kept_w, b - lr * kept_b * (slip != "no b")
    losses.append(((x @ w + b - y) ** 2).mean().item())
    return w, b, losses


@exercise("02.3", points=3, needs=["fit_line"])
class FitLine:
    """Linear regression by gradient descent."""

    errors = {
        "a leaf Variable that requires grad": "The update changes `w` in place while autograd is watching. Put it under `with torch.no_grad():`.",
        "NoneType": "Something is None where a tensor was expected: a `.grad`? Was `backward()` called? Does the loss use both `w` and `b`? Or did `w = w - …` put a new tensor in the leaf's place? (Update in place: `w -= …`, under `torch.no_grad()`.)",
        "same dtype": "x is float64 here and meets a float32 tensor: make `w` and `b` in x's dtype.",
        "does not require grad": "Nothing was recorded. Only the update stands under `no_grad`, not the loss. `w` and `b` need `requires_grad=True`, and must keep it: `w = w - …` under `no_grad` makes a new tensor without it, `w -= …` changes the one that has it.",
        "a second time": "Compute the loss anew in every step: the graph of the last one is used up.",
    }

    def inputs(rng):
        x = rng.randn(20, 1)
        yield {"x": x, "y": 2 * x[:, 0] + 1 + 0.1 * rng.randn(20), "lr": 0.1, "steps": 5}
        x = rng.randn(3, 30, dtype=torch.float64).t()
        y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) - 3
        yield {"x": x, "y": y, "lr": 0.05, "steps": 20}
        yield {"x": rng.randn(12, 2), "y": rng.randn(24)[::2], "lr": 0.2, "steps": 1}

    def probe(student, x, y, lr, steps):
        from torch.optim.optimizer import register_optimizer_step_pre_hook

        taken = []
        hook = register_optimizer_step_pre_hook(lambda *_: taken.append(1))
        try:
            result = student.fit_line(x, y, lr, steps)
        finally:
            hook.remove()
        losses = result[2] if isinstance(result, (tuple, list)) and len(result) == 3 else None
        tracked = isinstance(losses, list) and any(isinstance(loss, torch.Tensor) and loss.requires_grad for loss in losses)
        return {"result": result, "tracked": tracked, "optimizer_steps": len(taken)}

    def judge(case, x, y, lr, steps, result, tracked, optimizer_steps):
        case.that(isinstance(result, list) and len(result) == 3, "Return three things: `return w, b, losses`.")
        w, b, losses = result
        b_shape = list(b.shape) if isinstance(b, torch.Tensor) else []
        b = b.reshape(()) if isinstance(b, torch.Tensor) and b.numel() == 1 else b
        case.that(isinstance(losses, list), "`losses` should be a list with one number per step.")
        tensors = any(isinstance(loss, torch.Tensor) for loss in losses)
        case.that(len(losses) in (steps, steps + 1), f"`losses` has {len(losses)} items, and `steps` was {steps} here: does the loop run `steps` times, and note each loss once?")
        want_w, want_b, want_losses = _descend(x, y, lr, steps)
        slips = {
            "You climb: the gradient points uphill, so the step goes against it (`w -= lr * w.grad`).": "ascent",
            "The gradients of earlier steps are still in `.grad`: `backward()` adds. Set them to zero (or None) after each step.": "no zeroing",
            "You took the sum of the squared errors; asked is their mean.": "sum",
            "Every step is half as long as it should be: the loss is the mean squared error, without ½.": "half",
            "Prediction and target have different shapes: (N, 1) − (N,) broadcasts to (N, N), so each prediction is compared with every target. Give both the shape (N,).": "outer",
            "The gradients of earlier steps are still in `w.grad`: empty both, `w.grad` and `b.grad`, after each step.": "w not emptied",
            "The gradients of earlier steps are still in `b.grad`: empty both, `w.grad` and `b.grad`, after each step.": "b not emptied",
            "The learning rate is missing: a step is `lr` times the gradient.": "no lr",
            "`b` never moved: it needs `requires_grad=True` and an update too.": "no b",
            "Every step is twice as long as it should be: the 2 from the square is in `.grad` already.": "double",
        }
        wrong = {message: _descend(x, y, lr, steps, slip) for message, slip in slips.items()}
        wrong["You took one step too many."] = _descend(x, y, lr, steps + 1)
        start = {}
        if type(losses[0]) is float and not any(abs(losses[0] / want_losses[0] - k) < 1e-3 for k in (1, 0.5, len(y))):
            for message, value in (("You took the root of the mean squared error; asked is the mean itself.", y.square().mean().sqrt()),
                                   ("You took absolute errors; asked is the mean of their squares.", y.abs().mean())):
                if abs(losses[0] - value.item()) < 1e-4:
                    start[message] = w
            start["Your first loss is not that of w = 0 and b = 0: start both at zero, and note the loss before the step."] = w
        case.close(w, want_w, what="w", mistakes={message: [values[0], values[0][:, None]] for message, values in wrong.items()} | start)
        case.close(b, want_b, what="b", mistakes={message: values[1] for message, values in wrong.items()})
        case.that(b_shape == [], f"`b` has shape {tuple(b_shape)}; asked is one number, of shape (): `torch.zeros(())`, or `b[0]` at the end.")
        case.that(tracked or not tensors, "`losses` holds tensors; asked are plain numbers: `loss.item()`.")
        case.that(not tensors, "`losses` holds tensors, and each keeps its whole graph in memory. Keep the number: `loss.item()`.")
        case.that(all(type(loss) in (float, int) for loss in losses), "`losses` should hold plain numbers.")
        case.close(
            torch.tensor(losses, dtype=torch.float64),
            torch.tensor(want_losses[:-1], dtype=torch.float64),
            what="losses",
            mistakes={
                "`losses` starts after the first step; asked is the loss before each step.": torch.tensor(want_losses[1:], dtype=torch.float64),
                "`losses` holds one loss too many: one before each step, none after the last.": torch.tensor(want_losses, dtype=torch.float64),
            },
            rtol=1e-4,
            atol=1e-5,
        )
        # In one case only: who leaves the steps to torch.optim has half the points, not none.
        case.that(not optimizer_steps or steps > 1, "All is right, but `torch.optim` took the steps. Here the point is to write them out: `w -= lr * w.grad` under `no_grad`, then empty the gradients.")


def _network(weights: dict) -> nn.Module:
    model = nn.Sequential(nn.Linear(weights["0.weight"].shape[1], 8), nn.Tanh(), nn.Linear(8, 3)).to(weights["0.weight"].dtype)
    model.load_state_dict(weights)
    return model


def _gradient(weights: dict, x, y, reduction="mean") -> torch.Tensor:
    """Gradient of the cross-entropy with respect to all parameters, as one vector."""
    model = _network(weights)
    loss = F.cross_entropy(model(x), y, reduction=reduction)
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


@exercise("02.4", points=3, needs=["accumulate"])
class Accumulate:
    """Small batches, one large gradient."""

    errors = {
        "a second time": "Each batch needs a forward pass of its own before its `backward()`.",
        "does not require grad": "The loss is cut off from the model: no `detach()`, `.item()` or `no_grad()` between the model and `backward()`.",
    }

    def inputs(rng):
        def case(sizes, dtype=torch.float32, stale=False):
            model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
            weights = {name: 0.5 * rng.randn(*value.shape, dtype=dtype) for name, value in model.state_dict().items()}
            batches = [(rng.randn(4, size, dtype=dtype).t(), rng.randint(0, 3, (size,))) for size in sizes]
            return {"weights": weights, "batches": batches, "stale": stale}

        yield case((5, 5, 5)) | {"_case": "three batches of 5"}
        yield case((6, 6, 2)) | {"_case": "batches of 6, 6 and 2"}
        yield case((3, 5), stale=True) | {"_case": "`.grad` is not empty when your function starts"}
        yield case((1, 9, 1, 2), torch.float64) | {"_case": "batches of 1, 9, 1 and 2, float64"}

    def probe(student, weights, batches, stale):
        inputs, dtype = weights["0.weight"].shape[1], weights["0.weight"].dtype
        model = torch.nn.Sequential(torch.nn.Linear(inputs, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).to(dtype)
        model.load_state_dict(weights)
        for p in model.parameters():
            p.grad = torch.full_like(p, 3.0) if stale else None
        import weakref

        sizes, waiting, graphs, done = [], [], [], set()

        class Mark:
            """Lives as long as the graph whose hook holds it."""

        def watch(module, args, output):
            sizes.append(len(args[0]))
            waiting.append(sum(graph() is not None and i not in done for i, graph in enumerate(graphs)))
            if output.requires_grad:
                mark, i = Mark(), len(graphs)
                graphs.append(weakref.ref(mark))
                output.register_hook(lambda grad, mark=mark: done.add(i))  # runs when backward comes here

        model.register_forward_hook(watch)
        student.accumulate(model, batches)
        return {"grads": [p.grad for p in model.parameters()], "sizes": sizes, "waiting": waiting, "after": model.state_dict()}

    def judge(case, weights, batches, stale, grads, sizes, waiting, after):
        batches = [tuple(batch) for batch in batches]
        case.that(all(isinstance(g, torch.Tensor) for g in grads), "The parameters' `.grad` is None: `backward()` was not called, or the gradients were set to None afterwards.")
        grads = torch.cat([g.flatten() for g in grads])
        total, count = sum(len(y) for _, y in batches), len(batches)
        x, y = (torch.cat(parts) for parts in zip(*batches))
        want = _gradient(weights, x, y)
        means = [_gradient(weights, *batch) for batch in batches]
        sums = [_gradient(weights, *batch, reduction="sum") for batch in batches]
        seen = torch.tensor([len(y) for _, y in batches]).cumsum(0).tolist()
        old = torch.full_like(want, 3.0) if stale else None
        left = {"`.grad` was not empty when your function started, and its old content is still in there. Empty it first.": [old + want, (old + sum(sums)) / total, old + sum(means) / count, old + sum(sums)]} if stale else {}
        case.close(
            grads,
            want,
            what="The gradient",
            mistakes=left
            | {
                "You averaged the batches' mean losses. A sample in a small batch then counts for more than one in a large batch: divide the *sum* over all samples by their number.": sum(means) / count,
                "You added the batches' mean losses and never divided: the gradient grows with the number of batches.": sum(means),
                "This is the gradient of the sum over all samples: divide by their number.": sum(sums),
                "Only the last batch is left in `.grad`: you emptied it inside the loop.": [means[-1], sums[-1], sums[-1] / total, means[-1] / count],
                "You divide by the number of samples seen so far. Count all samples first, before the loop.": sum(g / n for g, n in zip(sums, seen)),
                "You divided by the number of elements of x; samples are its rows: `len(x)`.": sum(sums) / x.numel(),
                "You divided twice: the batch's mean is divided by the number of samples again.": sum(means) / total,
            },
        )
        largest = max(len(y) for _, y in batches)
        case.that(not sizes or max(sizes) <= largest, "The gradient is right, but you joined the batches: the model saw more rows at once than the largest batch has. The point is that they do not fit into memory together.")
        case.that(max(waiting, default=0) < 2, "The gradient is right, but all graphs stay in memory until the end: call `backward()` inside the loop, before the next batch goes through.")
        same = all(torch.equal(after[name], value) for name, value in weights.items())
        case.that(same, "The gradient is right, but your function changed the weights; it should only fill `.grad`.")


@exercise("02.5", points=3, needs=["central_difference"])
class CentralDifference:
    """Finite differences."""

    errors = {
        "view size is not compatible": "This x is not contiguous, so `x.view(-1)` cannot be. Build moved copies of x, or make a flat copy with `x.reshape(-1).clone()` and bring it back to x's shape for f.",
        "must be Tensor, not float": "`f` returns one number per call; put the slopes into a tensor of x's shape (`torch.stack` takes tensors, `torch.tensor` numbers).",
    }

    def inputs(rng):
        f64 = torch.float64
        yield {"x": rng.randn(5, dtype=f64), "c": 1 + rng.rand(5, dtype=f64), "eps": 0.1}
        yield {"x": rng.randn(4, 3, dtype=f64).t(), "c": 1 + rng.rand(3, 4, dtype=f64), "eps": 0.2}
        yield {"x": rng.randn(1, dtype=f64)[0], "c": torch.tensor(2.0, dtype=f64), "eps": 0.5, "_case": "x of shape ()"}
        yield {"x": rng.randn(6), "c": torch.ones(6), "eps": 0.1}

    def probe(student, x, c, eps):
        return {"grad": student.central_difference(lambda v: (c * v**3).sum() + v.sum() ** 2, x, eps)}

    def judge(case, x, c, eps, grad):
        exact = 3 * c * x**2 + 2 * x.sum()
        want = exact + c * eps**2  # the cubic's own error: ((x + e)³ − (x − e)³) / 2e = 3x² + e²
        every = (c * (3 * x**2 + eps**2)).sum() + 2 * x.sum() * x.numel()
        drift = 2 * eps * torch.arange(x.numel(), dtype=x.dtype).reshape(x.shape)
        rows = (c * (3 * x**2 + eps**2)).sum(1) + 2 * x.sum() * x.shape[1] if x.ndim == 2 else None
        loose = {} if x.dtype == torch.float64 else {"rtol": 1e-3, "atol": 1e-3}
        case.close(
            grad,
            want,
            what="central_difference(f, x, eps)",
            mistakes={
                "This is the forward difference, (f(x + ε) − f(x)) / ε. The central one looks to both sides.": want + 3 * c * x * eps + eps,
                "This is the backward difference, (f(x) − f(x − ε)) / ε. The central one looks to both sides.": want - 3 * c * x * eps - eps,
                "`/ 2 * eps` divides by 2 and then multiplies by ε. Write `/ (2 * eps)`.": want * eps**2,
                "You divided by 2, but not by ε: write `/ (2 * eps)`.": want * eps,
                "Twice too large: from x − ε to x + ε the way is 2ε long.": 2 * want,
                "The sign is wrong: it is f(x + ε) − f(x − ε).": -want,
                "You moved all elements at once. A partial derivative moves one element and holds the others still.": [every.expand(x.shape), every],
                "This is the exact derivative, as autograd, or an ε of your own that is much smaller, gives it. Asked is the difference quotient with the given ε.": exact,
                "You moved by ε/2 to each side; asked is ε to each side, and 2ε below.": exact + c * eps**2 / 4,
                "The values are right but float32: `torch.zeros(…)` and `torch.tensor(…)` make float32 unless they are told dtype=x.dtype.": want.float(),
                "The slopes are right, but flat: bring them into x's shape.": want.flatten(),
                "The elements before this one were left where you moved them. Put each back before you move the next.": [want - drift, want + drift],
            }
            | ({} if rows is None else {"Nothing arrived: x is not contiguous here, so `reshape(-1)` and `flatten()` are copies, and what you write into them stays there.": torch.zeros_like(want)})
            | ({} if rows is None else {"You moved a whole row at once: `x[i]` of a matrix is a row, and `len(x)` counts rows. There are `x.numel()` elements.": [rows, rows[:, None].expand(x.shape)]}),
            **loose,
        )


MATRICES = "`@` and `dot` with v fit vectors only; x and f(x) may be matrices. The sum of v · f(x) over all elements is `(v * f(x)).sum()`."


@exercise("02.6", points=2, needs=["vjp"])
class VectorJacobian:
    """The vector–Jacobian product."""

    errors = {
        "grad can be implicitly created only for scalar outputs": "f(x) is a vector: `backward()` and `torch.autograd.grad` need to know how its elements are weighted. That is v.",
        "does not require grad": "Nothing was recorded: f must be applied to a tensor with `requires_grad=True`.",
        "shapes cannot be multiplied": MATRICES,
        "1D tensors expected": MATRICES,
    }

    def inputs(rng):
        f64 = torch.float64
        yield {"a": rng.randn(3, 3, dtype=f64), "x": rng.randn(3, dtype=f64), "v": rng.randn(3, dtype=f64), "calls": 1, "_case": "f from ℝ³ to ℝ³"}
        yield {"a": rng.randn(2, 5, dtype=f64), "x": rng.randn(5, dtype=f64), "v": rng.randn(2, dtype=f64), "calls": 1, "_case": "f from ℝ⁵ to ℝ²"}
        yield {"a": rng.randn(4, 3), "x": rng.randn(5, 3).t(), "v": rng.randn(5, 4).t(), "calls": 1, "_case": "x and f(x) are matrices"}
        yield {"a": rng.randn(2, 2), "x": rng.randn(2), "v": rng.randn(2), "calls": 2, "_case": "called twice with the same x"}

    def probe(student, a, x, v, calls):
        for _ in range(calls):
            result = student.vjp(lambda x: torch.tanh(a @ x), x, v)
        return {"result": result, "left": {"requires_grad": x.requires_grad, "has_grad": x.grad is not None}}

    def judge(case, a, x, v, calls, result, left):
        case.that(not isinstance(result, list), TUPLE.format("vjp(f, x, v)"))
        slopes = 1 - torch.tanh(a @ x) ** 2
        want = a.t() @ (v * slopes)
        mistakes = {
            "v has no effect on your result: this is the gradient of the plain sum of f(x).": a.t() @ slopes,
            "You took the mean of v · f(x); vᵀJ is the gradient of the sum.": want / v.numel(),
            "v is summed before it meets f(x): weight each element of f(x) with its own.": v.sum() * (a.t() @ slopes),
        }
        if x.ndim == 1:
            jacobian = slopes[:, None] * a
            mistakes["This is the Jacobian itself; asked is its product with v."] = [jacobian, jacobian.t()]
        if x.ndim == 1 and len(x) == len(v):
            mistakes |= {
                "This is J v. Backward computes vᵀ J, which is Jᵀ v.": jacobian @ v,
                "You multiplied by v at the end. Its elements belong to those of f(x), not to those of x: it must go in where backward starts.": v * (a.t() @ slopes),
            }
        if calls == 2:
            mistakes["The second call gives twice the result: `backward()` adds to the `.grad` that the first call left on the caller's x. Work on `x.detach().clone()`, or use `torch.autograd.grad`."] = 2 * want
        case.close(result, want, what="vjp(f, x, v)", mistakes=mistakes)
        case.that(calls == 1 or not any(left.values()), LEFT)


class _Handed(Exception):
    """A network that was handed over: its argument."""


def _untrained(**inputs) -> nn.Module:
    """The network that the probe of 02.7 hands to the student's function."""

    class Judge:
        @staticmethod
        def new_head(model, num_classes):
            raise _Handed(model)

    try:
        NewHead.probe(Judge, **inputs)
    except _Handed as handed:
        return handed.args[0]


@exercise("02.7", points=3, needs=["new_head"])
class NewHead:
    """A frozen body and a new head."""

    errors = {
        "shapes cannot be multiplied": "The new layer does not fit behind the body. `nn.Linear` takes the numbers that come in first, then those that go out. How many come in differs between models: `model.fc.in_features`.",
        "no attribute 'in_features'": "Read `in_features` from the old layer before you replace it.",
    }

    def inputs(rng):
        yield {"arch": "resnet18", "num_classes": 10, "x": rng.rand(2, 3, 64, 64), "labels": torch.tensor([3, 7]), "seed": rng.integer(0, 1000), "_case": "resnet18, 10 classes"}
        yield {"arch": "tiny", "num_classes": 3, "x": rng.rand(4, 3, 32, 32), "labels": torch.tensor([0, 2, 1, 2]), "seed": rng.integer(0, 1000), "_case": "a network with 24 features, 3 classes"}

    def probe(student, arch, num_classes, x, labels, seed):
        import torchvision
        from torch import nn

        class Tiny(nn.Module):  # like resnet18, a body and `fc`; but 24 features, 5 classes, and `fc1` in the body
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
                self.fc1 = nn.Linear(8, 24)
                self.fc = nn.Linear(24, 5)

            def forward(self, x):
                return self.fc(self.fc1(self.body(x)).relu())

        # The random numbers of resnet18's own start take longer than all the rest: here a few, again and again.
        with torch.device("meta"):
            model = torchvision.models.resnet18() if arch == "resnet18" else Tiny()
        model.to_empty(device="cpu")
        torch.manual_seed(seed)
        noise = 2 * torch.rand(10_007) - 1
        for name, value in model.state_dict().items():
            if value.ndim > 1:
                value.view(-1).copy_(noise.repeat(value.numel() // len(noise) + 1)[: value.numel()] * (6 / value[0].numel()) ** 0.5)
            else:
                value.fill_(name.endswith(("var", ".weight")))
        model = student.new_head(model.eval(), num_classes)
        evidence = dict.fromkeys(["trainable", "changed", "before", "after", "head", "moved"])
        evidence["frozen"] = None
        if not isinstance(model, nn.Module) or not hasattr(model, "fc"):
            return evidence | {"returned": model}
        model.eval()
        evidence["frozen"] = [name for name, p in model.named_parameters() if not p.requires_grad]
        evidence |= {"returned": "a model", "trainable": [name for name, p in model.named_parameters() if p.requires_grad]}
        evidence["before"] = model(x)
        if not evidence["trainable"] or len(evidence["before"]) != len(labels) or evidence["before"].shape[1] != num_classes:
            return evidence
        old = {name: p.detach().clone() for name, p in model.named_parameters()}
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        nn.functional.cross_entropy(evidence["before"], labels).backward()
        optimizer.step()
        new = dict(model.named_parameters())
        evidence["changed"] = [name for name in old if not torch.equal(old[name], new[name])]
        evidence["head"] = [old.get("fc.weight"), old.get("fc.bias")]
        evidence["moved"] = [new.get("fc.weight"), new.get("fc.bias")]
        evidence["after"] = model(x)
        return evidence

    def judge(case, arch, num_classes, x, labels, seed, returned, frozen, trainable, changed, before, after, head, moved):
        case.that(trainable is not None, "Return the model: all of it, not only the new layer.")
        classes = before.shape[1]
        case.that(classes != 1000 and (arch != "tiny" or classes != 5), f"The model still gives {classes} numbers per image. Writing to `fc.out_features` changes a label, not the weights: `model.fc` must become a new `nn.Linear`.")
        case.that(classes == num_classes, f"The model gives {classes} numbers per image; `num_classes` was {num_classes} here.")
        case.that(trainable, "Nothing is trainable any more: the new layer is frozen too. Freeze first, then replace `fc`: a new layer starts with requires_grad=True.")
        body = [name for name in trainable if not name.startswith("fc.")]
        case.that(
            not body or frozen,
            "The whole body is still trainable. `model.requires_grad = False` only puts a new attribute on the module, and `eval()` or `no_grad()` freeze nothing: "
            "each parameter has its own `requires_grad`, and `model.requires_grad_(False)` sets them all.",
        )
        alike = " Such a name contains `fc`, too: compare with `fc.`." if any("fc" in name for name in body) else ""
        case.that(not body, f"Still trainable, though it belongs to the body: {', '.join(body[:4])}{' …' if len(body) > 4 else ''}.{alike}")
        case.that(all(name in ("fc.weight", "fc.bias") for name in trainable), "`model.fc` must be one `nn.Linear`, not a sequence of layers.")
        case.that(len(trainable) == 2, f"The new layer needs a weight and a bias, both trainable; trainable is only {trainable[0]}.")
        case.equal(sorted(trainable), ["fc.bias", "fc.weight"], what="The list of trainable parameters")
        case.equal(sorted(changed), ["fc.bias", "fc.weight"], what="The list of parameters that a step of SGD changed")
        # Everything else is computed again, from the same untrained body: its features, the head's gradient and its step.
        twin = _untrained(arch=arch, num_classes=num_classes, x=x, labels=labels, seed=seed)
        twin.fc = nn.Identity()
        with torch.no_grad():
            features = twin(x)
        weight, bias = (tensor.clone().requires_grad_() for tensor in head)
        logits = F.linear(features, weight, bias)
        case.close(before, logits.detach(), what="The output, computed from the body as it was and your fc")
        grads = torch.autograd.grad(F.cross_entropy(logits, labels), (weight, bias))
        for name, start, grad, end in zip(("fc.weight", "fc.bias"), head, grads, moved, strict=True):
            case.close(end, start - 0.1 * grad, what=f"{name} after a step of SGD")
        case.close(after, F.linear(features, *moved), what="The output after a step of SGD")


@exercise("02.8", points=3, needs=["Swish"])
class SwishFunction:
    """A function with a backward of its own."""

    errors = {
        "(expected 1, got 0)": "Nothing was saved: `forward` must call `ctx.save_for_backward(x)`.",
        "has no attribute 'beta'": "`backward` does not know β: note it in forward, `ctx.beta = beta`.",
        "has no attribute 'children'": "`Swish` must be a `torch.autograd.Function`; a Module's `apply` is something else.",
        "is a view and its": "`forward` changed x in place. Make a new tensor.",
        "incorrect number of gradients": "`forward` took two inputs, x and beta, so `backward` returns two things: the gradient for x, and None for beta, which is a plain number.",
        "gradient different than None": "beta is a plain number and gets no gradient: return None in its place.",
        "positional argument": "`forward` takes (ctx, x, beta), `backward` takes (ctx, grad_output); both are static methods.",
        "not enough values to unpack": "`ctx.saved_tensors` is a tuple with one entry per saved tensor: `(x,) = ctx.saved_tensors`.",
        "save_for_backward can only save variables": "`save_for_backward` takes tensors only; a plain number goes to an attribute, `ctx.beta = beta`.",
        "multiply sequence by non-int": "`ctx.saved_tensors` is a tuple, also when it holds a single tensor: `(x,) = ctx.saved_tensors`.",
    }

    def inputs(rng):
        f64 = torch.float64
        yield {"x": torch.linspace(-3, 3, 7, dtype=f64), "beta": 1.0, "v": rng.randn(7, dtype=f64)}
        yield {"x": rng.randn(4, 3, dtype=f64).t(), "beta": 1.7, "v": rng.randn(3, 4, dtype=f64)}
        yield {"x": rng.randn(2, 3, 4), "beta": -0.5, "v": rng.randn(2, 3, 4)}
        yield {"x": 3 * rng.randn(6), "beta": 2.0, "v": torch.tensor(1.0).expand(6)}
        yield {"x": torch.tensor([-100.0, -50.0, 0.0, 50.0, 100.0]), "beta": 1.5, "v": torch.ones(5), "_case": "x from −100 to 100"}

    def probe(student, x, beta, v):
        evidence = dict.fromkeys(["grad", "changed", "twice", "grad_twice"])
        x = x.clone().requires_grad_()
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
            y = student.Swish.apply(x, beta)
        attributes = getattr(getattr(y, "grad_fn", None), "__dict__", {})  # ctx is the result's grad_fn
        for value in attributes.values():
            kept += [item for item in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(item, torch.Tensor)]
        evidence["kept"] = list(kept)
        if not isinstance(y, torch.Tensor) or y.shape != x.shape:
            return evidence | {"y": y}
        twice = student.Swish.apply(y, 2 * beta - 1)  # another β, except in the plain case, where it is 1
        sent = v.clone()
        grad = torch.autograd.grad(y, x, sent, retain_graph=True, allow_unused=True)[0]
        evidence |= {"grad": None if grad is None else grad.clone(), "changed": not torch.equal(sent, v)}
        evidence["grad_twice"] = torch.autograd.grad(twice, x, v.clone(), allow_unused=True)[0]
        return evidence | {"y": y, "twice": twice}

    def judge(case, x, beta, v, y, kept, grad, changed, twice, grad_twice):
        s = torch.sigmoid(beta * x)
        slope = s + beta * x * s * (1 - s)
        plain = torch.sigmoid(x)
        case.close(y, x * s, what="Swish.apply(x, beta)", mistakes={
            "β is missing: this is x · σ(x).": x * plain,
            "This is σ(βx); swish is x · σ(βx).": s,
            "You put β in front: swish is x · σ(βx).": [beta * x * plain, beta * x * s],
        })
        case.that(isinstance(grad, torch.Tensor), "No gradient comes back for x: `backward` returned None for it.")
        case.that(not grad.isnan().any(), "There is a nan in the gradient: `exp(100)` is infinite in float32, and inf / inf is nan. Build on `torch.sigmoid`.")
        later = 2 * beta - 1
        late = torch.sigmoid(later * x)
        case.close(grad, v * slope, what="The gradient for x", mistakes={
            "`grad_output` is missing: backward returns the gradient that came in *times* the slope (the chain rule).": slope,
            "This is the derivative of σ(βx) alone. By the product rule, x · σ(βx) has two terms.": [v * s * (1 - s), v * beta * s * (1 - s)],
            "The product rule's second term is missing: x changes inside σ too.": v * s,
            "The product rule's first term is missing: σ(βx) · 1.": v * (beta * x * s * (1 - s)),
            "The inner derivative is missing: d σ(βx)/dx = β · s(1 − s).": v * (s + x * s * (1 - s)),
            "In backward, σ(x) stands where σ(βx) belongs.": v * (plain + beta * x * plain * (1 - plain)),
            "This is the slope for the β of another, later call. What a call keeps belongs into its own ctx: `ctx.beta`.": v * (late + later * x * late * (1 - late)),
            "Only one β comes out of σ(βx): β·x·s·(1 − s).": v * (s + beta**2 * x * s * (1 - s)),
            "The second term's factor x is missing: s + β·x·s·(1 − s).": v * (s + beta * s * (1 - s)),
            "The two terms of the product rule are added, not subtracted.": v * (s - beta * x * s * (1 - s)),
            "`grad_output` is to be multiplied by the slope, not added to it (the chain rule).": v + slope,
            "In backward you used β = 1.": v * (plain + x * plain * (1 - plain)),
            "This is `grad_output` itself: it has to be multiplied by the slope of swish at x.": v,
        })
        middle = (x * s).requires_grad_()
        case.that(not changed, "`backward` changed grad_output in place; others may still need it.")
        want = middle * torch.sigmoid(later * middle)
        case.close(twice, want.detach(), what="Swish.apply(Swish.apply(x, beta), 2 * beta - 1)")
        (through,) = torch.autograd.grad(want, middle, v)
        case.close(grad_twice, through * slope, what="The gradient of Swish applied twice")
        others = [tensor for tensor in kept if tensor.numel() > 1 and not (tensor.shape == x.shape and torch.equal(tensor, x))]
        # In one case only: who keeps more has half the points, not none.
        case.that(beta != 2.0 or not others, "The gradient is right, but another tensor than x is kept for backward. Keep x alone, and compute σ(βx) again in backward.")


def _operate(op, a, b):
    if op in ("add", "mul"):
        return a + b if op == "add" else a * b
    return {"tanh": torch.tanh(a), "add number": 3.0 + a, "mul number": a * 0.5}[op]


def _torch_graph(values, program, roots):
    """(result, gradients at the leaves after `backward` from each of these nodes) of a program, by torch in float64."""
    leaves = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]
    nodes = list(leaves)
    for op, i, j in program:
        nodes.append(_operate(op, nodes[i], nodes[j]))
    grads = torch.autograd.grad(sum(nodes[root] for root in roots), leaves, allow_unused=True, materialize_grads=True)
    return nodes[-1].detach(), torch.stack(grads)


@exercise("02.9", points=5, needs=["Value"])
class Engine:
    """A reverse-mode engine."""

    errors = {
        "unsupported operand type": "An operator returned no Value: does every branch `return` one?",
        "maximum recursion depth exceeded": "`backward` calls itself without end: visit each node once.",
    }

    def inputs(rng):
        def case(label, values, program, roots=(-1,)):
            return {"values": values, "program": program, "roots": roots, "_case": label}

        yield case("tanh(a * b + c)", [0.5, -1.25, 2.0], [("mul", 0, 1), ("add", 3, 2), ("tanh", 4, 4)])
        yield case("a * a", [3.0], [("mul", 0, 0)])
        yield case("a + a", [3.0], [("add", 0, 0)])
        yield case("u = a * b; u + u * c", [2.0, -0.5, 1.5], [("mul", 0, 1), ("mul", 3, 2), ("add", 3, 4)])
        yield case("u = a * b; u * c + u", [2.0, -0.5, 1.5], [("mul", 0, 1), ("mul", 3, 2), ("add", 4, 3)])
        yield case("(3.0 + a) * 0.5", [0.7], [("add number", 0, 0), ("mul number", 1, 1)])
        yield case("tanh(a), then a * b: two calls of backward", [0.3, -0.8], [("tanh", 0, 0), ("mul", 0, 1)], roots=(-2, -1))
        shared = [("mul", 0, 1), ("add number", 2, 2), ("mul number", 2, 2)]
        yield case("u = a * b; y = 3.0 + u; z = u * 0.5: y.backward(), then z.backward()", [0.5, 3.0], shared, roots=(-2, -1))
        yield case("u = a * b; z = u * 0.5: z.backward(), twice", [0.5, 3.0], shared, roots=(-1, -1))
        yield case("(a * b) * (c * d), both products 6", [2.0, 3.0, 1.5, 4.0], [("mul", 0, 1), ("mul", 2, 3), ("mul", 4, 5)])
        for _ in range(3):
            values = [round(value, 3) for value in (2 * rng.rand(4) - 1).tolist()]
            program = []
            for node in range(4, 18):
                recent = max(0, node - 6)
                program.append((rng.choice(["add", "mul", "tanh", "mul"]), rng.integer(recent, node), rng.integer(recent, node)))
            yield case("14 random operations on 4 values", values, program)

    def probe(student, values, program, roots):
        leaves = [student.Value(value) for value in values]
        nodes = list(leaves)
        for op, i, j in program:
            a, b = nodes[i], nodes[j]
            if op == "add":
                nodes.append(a + b)
            elif op == "mul":
                nodes.append(a * b)
            elif op == "tanh":
                nodes.append(a.tanh())
            else:
                nodes.append(3.0 + a if op == "add number" else a * 0.5)
        for root in roots:
            nodes[root].backward()
        return {"data": nodes[-1].data, "grads": [leaf.grad for leaf in leaves]}

    def judge(case, values, program, roots, _case, data, grads):
        numbers = [data, *grads]
        values_inside = any(str(getattr(number, "type_name", "")).endswith("Value") for number in numbers)
        case.that(not values_inside, "`data` or `grad` is a Value where a Python float belongs. Is a slope a Value? The slopes of a product are `other.data` and `self.data`.")
        case.that(all(type(number) in (int, float) for number in numbers), "`data` and `grad` should be Python floats.")
        want, want_grads = _torch_graph(values, program, roots)
        case.that(not 1e-9 < abs(data - want.item()) < 1e-6, "The result's `data` has only seven right digits: that is float32. Use `math.tanh`, and Python floats throughout.")
        case.close(torch.tensor(float(data), dtype=torch.float64), want, what="The result's `data`")
        f64 = {"dtype": torch.float64}
        a, b, c = (*values, 0.0, 0.0)[:3]
        mistakes = {
            "No gradient arrived at the leaves. `backward` starts from `self.grad = 1.0` and must go on through all nodes, not only to the direct inputs, from the result's end of the list to the inputs'.": torch.zeros_like(want_grads)
        }
        if _case == "tanh(a * b + c)":
            z, t = a * b + c, want.item()
            inner = torch.tensor([b, a, 1.0], **f64)
            mistakes |= {
                "The slope of tanh is 1 − t², where t is the *result*. You put the input there.": (1 - z * z) * inner,
                "The slope of tanh is 1 − t² with t = tanh(x); you have 1 − t.": (1 - t) * inner,
                "In a product, a's slope is b and b's slope is a. You have them the other way round.": (1 - t * t) * torch.tensor([a, b, 1.0], **f64),
                "The slopes are not multiplied along the way: an input receives its slope *times the gradient of the node itself* (the chain rule). Or is it tanh's own slope that is missing?": inner,
                "In a product, a's slope is b and b's slope is a; 1.0 is the sum's.": (1 - t * t) * torch.tensor([1.0, 1.0, 1.0], **f64),
                "Both slopes of a sum are 1.0, whatever the numbers are.": (1 - t * t) * torch.tensor([c * b, c * a, a * b], **f64),
            }
        if _case in ("a * a", "a + a"):
            mistakes["A value that is used twice must add up what both uses report: `+=`, not `=`."] = want_grads / 2
        if _case.startswith("u = "):
            # u's share k arrives too early (1 or c), or is passed on twice (2 + c, 1 + 2c)
            early = [torch.tensor([b * k, a * k, a * b], **f64) for k in (1, c, 2 + c, 1 + 2 * c)]
            mistakes["A node passed its gradient on before all nodes that use it had reported. Sort the nodes so that each comes before its inputs (topological order)."] = early
            mistakes["A node passed its gradient on twice: it stands in your list twice. Keep a set of the nodes you have seen."] = torch.tensor([2 * b * (1 + c), 2 * a * (1 + c), a * b], **f64)
        if _case.startswith("(a * b) * (c * d)"):
            mistakes["Two different nodes with the same number were taken for one: note the node itself as seen, not its data (and define no `__eq__`)."] = [
                want_grads * torch.tensor(part, **f64) for part in ([1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0])]
        if len(roots) == 2:
            factor = torch.tensor([b, a], **f64)  # of a product a · b, by which z has 0.5 and y has 1
            mistakes["The second `backward` wiped out what the first had left in the leaves. As in torch, gradients add up."] = [factor, 0.5 * factor]
            if "u = " in _case:
                first = 1.0 if roots[0] == -2 else 0.5
                mistakes["`u` still had its `grad` from the first `backward`, and passed it on again. At the start, set the grad of every node that has inputs to 0; only leaves keep theirs."] = (2 * first + 0.5) * factor
        case.close(torch.tensor(grads, **f64), want_grads, what="The leaves' `grad`", mistakes=mistakes)
