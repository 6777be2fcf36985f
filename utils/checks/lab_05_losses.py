"""Checks of lab 05, losses and activations. Oracle: torch's own functions, and their gradients by autograd."""

import math

import torch
import torch.nn.functional as F

from . import exercise

DETACHED = "The value is right, but it has no way back to the input: autograd needs tensors all along, so no `.item()`, `.detach()`, `no_grad` or `torch.tensor(…)` on the way."
REDUCTION = "`reduction` is not obeyed: \"none\" keeps a loss for each element, \"sum\" adds them up, \"mean\" averages them."
ERRORS = {
    "must have same dtype": "Two dtypes meet. Make what you create in the input's dtype.",
    "expected scalar type": "Two dtypes meet. Make what you create in the input's dtype.",
    "leaf Variable that requires grad": "You changed the input itself, in place. Make a new tensor: `torch.where`, or work on `x.clone()`.",
}


def _reduce(loss: torch.Tensor, reduction: str) -> torch.Tensor:
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]


def _others(loss: torch.Tensor, reduction: str) -> list[torch.Tensor]:
    return [_reduce(loss, other) for other in ("mean", "sum", "none") if other != reduction]


def _slope(function, x: torch.Tensor) -> torch.Tensor:
    """Gradient of the sum of function(x)."""
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)[0]


def _finite(case, value, message: str) -> None:
    case.that(not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.isfinite().all(), message)


@exercise("05.1", points=3, needs=["huber_loss"])
class HuberLoss:
    """Huber's loss."""

    errors = ERRORS | {"Boolean value of Tensor": "`if size <= delta:` asks about all elements at once. Choose element by element: `torch.where`."}

    def inputs(rng):
        def case(shape, dtype=torch.float32, scale=3.0, **others):
            return {"input": scale * rng.randn(*shape, dtype=dtype), "target": rng.randn(*shape, dtype=dtype)} | others

        yield case((12,), reduction="mean", delta=1.0) | {"_case": "delta 1, reduction mean"}
        yield case((5, 4), torch.float64, reduction="sum", delta=2.5) | {"_case": "float64, delta 2.5, reduction sum"}
        yield {"input": rng.randn(4, 6).t(), "target": rng.randn(6, 4), "reduction": "none", "delta": 0.3, "_case": "reduction none, delta 0.3, non-contiguous"}
        target = rng.randn(6)
        yield {"input": target + torch.tensor([0.0, 0.0, 2.0, -2.0, 1e4, -1e4]), "target": target, "reduction": "none", "delta": 2.0, "_case": "errors of exactly 0, and of 10,000"}

    def probe(student, input, target, reduction, delta):
        x = input.clone().requires_grad_()
        loss = student.huber_loss(x, target, reduction=reduction, delta=delta)
        tracked = isinstance(loss, torch.Tensor) and loss.requires_grad
        return {"loss": loss, "grad": torch.autograd.grad(loss.sum(), x)[0] if tracked else None}

    def judge(case, input, target, reduction, delta, loss, grad):
        error = input - target
        size = error.abs()
        square, line = size**2 / 2, delta * (size - delta / 2)
        full = F.huber_loss(input, target, reduction="none", delta=delta)

        def variant(inside, outside, near=size <= delta):
            return _reduce(torch.where(near, inside, outside), reduction)

        case.close(
            loss,
            _reduce(full, reduction),
            what="huber_loss(…)",
            mistakes={
                REDUCTION: _others(full, reduction),
                "The ½ is missing in the middle part: error² / 2.": variant(2 * square, line),
                "The two parts do not meet at delta: outside it is delta · (|error| − delta/2).": [variant(square, delta * size), variant(square, size)],
                "Outside, the slope must be delta: delta · (|error| − delta/2).": variant(square, size - delta / 2),
                "The two parts are swapped: squared for small errors, straight for large ones.": variant(line, square),
                "You compare the error itself with delta. An error of −5 is a large one too: compare |error|.": [
                    variant(square, delta * (error - delta / 2), error <= delta), variant(square, line, error <= delta)],
                "This is smooth L1, Huber's loss divided by delta. (They agree only for delta = 1.)": _reduce(full / delta, reduction),
                "delta/2, not ½, and the slope is delta: outside it is delta · (|error| − delta/2). Yours is right for delta 1 only.": [variant(square, size - 0.5), variant(square, delta * (size - 0.5))],
                "`delta` is not used: your parts change over at 1.": [F.huber_loss(input, target, reduction=reduction), variant(square, size - 0.5, size <= 1)],
                "This is the squared error everywhere.": [_reduce(error**2, reduction), _reduce(square, reduction)],
                "This is the absolute error everywhere.": _reduce(size, reduction),
            },
        )
        case.that(grad is not None, DETACHED)
        case.that(not grad.isnan().any(), "The value is right, its gradient is nan where the error is 0: √ has an infinite slope there. Use `.abs()`.")
        case.close(grad, _slope(lambda x: F.huber_loss(x, target, reduction=reduction, delta=delta), input), what="the gradient of huber_loss(…)")


@exercise("05.2", points=2, needs=["log_softmax"], reference="torch.nn.functional:log_softmax")
class LogSoftmax:
    """log_softmax without overflow."""

    errors = ERRORS | {
        "must match the size": "Subtracting a row's own number needs `keepdim=True`, so that (N, 1) meets (N, K).",
        "torch.return_types.max": "`input.max(dim)` gives two things, values and places: take `.values`, or use `amax`.",
    }

    def inputs(rng):
        yield {"input": rng.randn(4, 3), "dim": 1}
        yield {"input": rng.randn(3, 5).t(), "dim": 0, "_case": "dim 0, non-contiguous"}
        yield {"input": rng.randn(2, 3, 4, dtype=torch.float64), "dim": 1, "_case": "float64, three dimensions, dim 1"}
        yield {"input": rng.randn(4), "dim": -1, "_case": "one row, dim −1"}
        yield {"input": torch.tensor([[1000.0, 999.0, 0.0], [-1000.0, -1001.0, -1000.5], [1000.0, -1000.0, 0.0], [0.0, 0.0, 0.0]]), "dim": 1, "_case": "logits of ±1000"}

    def probe(student, input, dim):
        x = input.clone().requires_grad_()
        y = student.log_softmax(x, dim)
        tracked = isinstance(y, torch.Tensor) and y.requires_grad
        # Each element counts differently: the plain sum hides a wrong gradient.
        ramp = torch.arange(1, x.numel() + 1, dtype=x.dtype).reshape(x.shape) / x.numel()
        return {"y": y, "grad": torch.autograd.grad((y * ramp).sum(), x)[0] if tracked and y.shape == x.shape else None}

    def judge(case, input, dim, y, grad):
        want = F.log_softmax(input, dim)
        finite_exp = input.exp()
        sums = finite_exp.sum(dim, keepdim=True)
        shifted = input - input.amax(dim, keepdim=True)
        globally = input - input.max()
        wrong_dims = [F.log_softmax(input, other) for other in range(input.ndim)]
        with_eps = "A small ε, added or as a lower bound, changes the result. None is needed: subtract the log of the sum; with the largest logit taken off, the sum is at least 1."
        padded = []
        for e in (10.0**-k for k in range(3, 17)):
            padded += [lambda x, e=e: (x.softmax(dim) + e).log(), lambda x, e=e: x.softmax(dim).clamp(min=e).log(),
                       lambda x, e=e: x - x.amax(dim, keepdim=True) - ((x - x.amax(dim, keepdim=True)).exp().sum(dim, keepdim=True) + e).log()]
        case.close(
            y,
            want,
            what="log_softmax(…)",
            mistakes={
                "exp(1000) is inf in float32, and inf − inf or inf / inf is nan: subtract each row's largest logit first.": [input - sums.log(), (finite_exp / sums).log()],
                "This is the logarithm of softmax(x): a probability below 1e-45 has been rounded to 0, and ln 0 is −inf. Never make the probability: subtract the log of the sum.": input.softmax(dim).log(),
                "You subtract the largest logit of the whole tensor; where a row is far below it, all of its exponentials are 0. Each row needs its own maximum, along `dim`.": globally - globally.exp().sum(dim, keepdim=True).log(),
                "These are the probabilities; their logarithm is asked.": [input.softmax(dim), *(input.softmax(other) for other in range(input.ndim))],
                "Sum along `dim`: you used another one, or all of them.": [*wrong_dims, F.log_softmax(input.flatten(), 0).reshape(input.shape)],
                "The maximum was taken off in the sum only: take it off both, or add it back to the logarithm.": input - shifted.exp().sum(dim, keepdim=True).log(),
                "The logarithm of the sum has not been subtracted.": shifted,
                with_eps: [wrong(input) for wrong in padded],
                "You cut large logits off: nothing overflows, but 1000 and 999 become the same. Subtract the largest instead.": [
                    F.log_softmax(input.clamp(-limit, limit), dim) for limit in (10, 20, 30, 50, 60, 70, 80, 85, 87, 88, 100, 500)],
                "This is the log of the sum of exponentials. It is still to be subtracted from the logits.": [torch.logsumexp(input, dim), torch.logsumexp(input, dim, keepdim=True)],
            },
        )
        case.that(grad is not None, DETACHED)
        ramp = torch.arange(1, input.numel() + 1, dtype=input.dtype).reshape(input.shape) / input.numel()
        case.close(grad, _slope(lambda x: F.log_softmax(x, dim) * ramp, input), what="the gradient of log_softmax(…)", mistakes={
            with_eps: [_slope(lambda x, wrong=wrong: wrong(x) * ramp, input) for wrong in padded],
        })


@exercise("05.3", points=3, needs=["bce_with_logits"])
class BceWithLogits:
    """Binary cross-entropy from logits."""

    errors = ERRORS | {
        "all elements of input should be between 0 and 1": "`F.binary_cross_entropy` wants probabilities; `input` holds logits.",
        "NoneType": "`pos_weight` may be None: then a positive counts once.",
        "Boolean value of Tensor": "A tensor of several numbers is neither true nor false. Of `pos_weight` ask whether it `is None`; the formula itself needs no `if`.",
        "cannot be converted to Scalar": "`pos_weight` may hold a number for each column. Use it as the tensor that it is; it broadcasts.",
        "can be converted to Python scalars": "`pos_weight` may hold a number for each column. Use it as the tensor that it is; it broadcasts.",
    }

    def inputs(rng):
        def case(shape, dtype=torch.float32):
            return {"input": 2 * rng.randn(*shape, dtype=dtype), "target": rng.randint(0, 2, shape).to(dtype)}

        first = case((8,)) | {"pos_weight": None, "reduction": "mean", "_case": "no pos_weight, reduction mean"}
        first["target"][:2] = torch.tensor([0.0, 1.0])
        yield first
        target = rng.randint(0, 2, (6, 3)).float()
        target[0], target[1] = 0, 1
        yield {"input": rng.randn(3, 6).t(), "target": target, "pos_weight": torch.tensor([0.5, 3.0, 20.0]), "reduction": "none", "_case": "a pos_weight for each of 3 columns, reduction none, non-contiguous"}
        yield case((5, 3), torch.float64) | {"target": rng.rand(5, 3, dtype=torch.float64), "pos_weight": torch.tensor([4.0], dtype=torch.float64), "reduction": "mean", "_case": "float64, targets between 0 and 1, pos_weight 4"}
        yield case((7,)) | {"pos_weight": None, "reduction": "sum", "_case": "reduction sum"}
        z = torch.tensor([1000.0, 1000.0, -1000.0, -1000.0, 30.0, -120.0])
        yield {"input": z, "target": torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0, 1.0]), "pos_weight": None, "reduction": "none", "_case": "logits up to ±1000"}
        yield {"input": torch.zeros(4), "target": torch.tensor([1.0, 0.0, 1.0, 0.0]), "pos_weight": None, "reduction": "none", "_case": "all logits 0"}

    def probe(student, input, target, pos_weight, reduction):
        x = input.clone().requires_grad_()
        loss = student.bce_with_logits(x, target, pos_weight=pos_weight, reduction=reduction)
        tracked = isinstance(loss, torch.Tensor) and loss.requires_grad
        return {"loss": loss, "grad": torch.autograd.grad(loss.sum(), x)[0] if tracked else None}

    def judge(case, input, target, pos_weight, reduction, loss, grad):
        w = torch.ones(1, dtype=input.dtype) if pos_weight is None else pos_weight
        positive, negative = F.logsigmoid(input), F.logsigmoid(-input)
        full = F.binary_cross_entropy_with_logits(input, target, pos_weight=pos_weight, reduction="none")
        plain = F.binary_cross_entropy_with_logits(input, target, reduction="none")
        p = input.sigmoid()

        def cut(eps):
            q = p.clamp(eps, 1 - eps)
            return _reduce(-(w * target * q.log() + (1 - target) * (1 - q).log()), reduction)

        def padded(eps):
            return _reduce(-(w * target * (p + eps).log() + (1 - target) * (1 - p + eps).log()), reduction)

        not_finite = "There is a nan: you took the logarithm of a logit, which may be negative. σ(z) makes it a probability."
        if input.abs().max() > 100:
            not_finite = "In float32 σ(z) is exactly 1 from about z = 17 on, and 0 below about −89: 1 − σ(z) or σ(z) is 0, and its logarithm −inf. Do not go by way of σ(z): ln σ(z) = −ln(1 + e^(−z)), which `F.logsigmoid` or `torch.logaddexp` compute safely."
            at_30 = input == 30  # σ(30) is 1 already; e^30 is still far from overflowing
            if isinstance(loss, torch.Tensor) and loss.shape == input.shape and loss[at_30].isfinite().all():
                not_finite = "In float32 e^z is inf from z = 89 on, and ln(1 + inf) is inf. `torch.logaddexp(torch.zeros_like(z), z)` computes ln(1 + e^z) without making e^z."
        _finite(case, loss, not_finite)
        cuts = [made for k in range(3, 13) for make in (cut, padded) if (made := make(10.0**-k)).isfinite().all()]
        case.close(
            loss,
            _reduce(full, reduction),
            what="bce_with_logits(…)",
            mistakes={
                REDUCTION: _others(full, reduction),
                "The sign is wrong: a logarithm of a probability is negative, the loss positive.": -_reduce(full, reduction),
                "The term of the negatives is missing: (1 − y) · ln(1 − σ(z)).": _reduce(-w * target * positive, reduction),
                "The term of the positives is missing: y · ln σ(z).": _reduce(-(1 - target) * negative, reduction),
                "`pos_weight` is not used.": _reduce(plain, reduction),
                "`pos_weight` multiplies the whole loss; it belongs to the positives' term alone.": _reduce(w * plain, reduction),
                "`pos_weight` stands at the negatives' term; it belongs to the positives'.": _reduce(-(target * positive + w * (1 - target) * negative), reduction),
                "The mean here is over the elements, as it is without `pos_weight`; you divided by the sum of the weights (`weight` of `cross_entropy` does that).": full.sum() / (1 + (w - 1) * target).sum(),
                "Positives and negatives are swapped: y goes with ln σ(z).": _reduce(-(w * (1 - target) * positive + target * negative), reduction),
                "This is the squared error of σ(z).": _reduce((p - target) ** 2, reduction),
                "A target between 0 and 1 is a bit of both: `pos_weight` multiplies the term y · ln σ(z) alone, not the sample.": _reduce((1 + (w - 1) * target) * plain, reduction),
                "A target may lie between 0 and 1; you took it for 0 or 1. The formula uses both terms for every element.": [
                    _reduce(torch.where(yes, -w * positive, -negative), reduction) for yes in (target == 1, target > 0.5, target > 0)],
                "`F.binary_cross_entropy` cuts the logarithm off at −100, so a loss of 1000 shows as 100, and its gradient is 0. Work from the logits.": F.binary_cross_entropy(p, target, reduction=reduction),
                "A probability that is cut off at a small ε stays finite, but the loss stops growing, and there the gradient is 0. Work from the logits.": cuts,
            },
        )
        case.that(grad is not None, DETACHED)
        want = _slope(lambda x: F.binary_cross_entropy_with_logits(x, target, pos_weight=pos_weight, reduction=reduction), input)
        _finite(case, grad, "The value is right, its gradient is nan: an inf was made on the way and then thrown away, and backward meets it again. `torch.where` does not help; avoid the inf.")
        case.close(grad, want, what="the gradient of bce_with_logits(…)", mistakes={
            "At z = 0 the gradient should be σ(0) − y = ½ − y. The value is right, the slope is not: autograd gives `relu`, `clamp` and `abs` the slope 0 at their corner, and the first two need ½ here. `torch.logaddexp`, `F.softplus` and `F.logsigmoid` have no corner.": [
                1 - target, -target, 1 - 2 * target, torch.zeros_like(target)],
        })


@exercise("05.4", points=2, needs=["mean_cross_entropy"])
class MeanCrossEntropy:
    """Cross-entropy, written out."""

    errors = ERRORS | {"same number of dimensions": "`gather` wants the labels as a column, (N, 1): `target[:, None]`."}

    def inputs(rng):
        yield {"logits": 2 * rng.randn(6, 4), "target": torch.tensor([0, 3, 1, 1, 2, 0])}
        yield {"logits": rng.randn(5, 7, dtype=torch.float64).t(), "target": rng.randint(0, 5, (7,)), "_case": "float64, non-contiguous"}
        yield {"logits": rng.randn(1, 10), "target": torch.tensor([7]), "_case": "one sample, ten classes"}
        yield {"logits": torch.tensor([[1000.0, 0.0, -1000.0], [-1000.0, 0.0, 1000.0], [0.0, 0.0, 0.0]]), "target": torch.tensor([0, 0, 1]), "_case": "logits of ±1000"}

    def probe(student, logits, target):
        x = logits.clone().requires_grad_()
        loss = student.mean_cross_entropy(x, target)
        tracked = isinstance(loss, torch.Tensor) and loss.requires_grad
        return {"loss": loss, "grad": torch.autograd.grad(loss.sum(), x)[0] if tracked else None}

    def judge(case, logits, target, loss, grad):
        want = F.cross_entropy(logits, target)
        log_p = F.log_softmax(logits, 1)
        if logits.abs().max() > 100:
            _finite(case, loss, "inf or nan for large logits: a probability was rounded to 0 before its logarithm was taken, or exp overflowed. Use `log_softmax`.")
        case.close(
            loss,
            want,
            what="mean_cross_entropy(…)",
            mistakes={
                "A softmax stands before the log_softmax: probabilities were taken for logits.": F.cross_entropy(logits.softmax(1), target),
                "The sign is wrong: −ln of a probability is positive.": -want,
                "This is the sum over the samples; asked is their mean.": want * len(target),
                "This is a loss for each sample; asked is their mean.": -log_p[torch.arange(len(target)), target],
                "You took the probability of the *predicted* class. The loss asks for that of the true one.": -log_p.amax(1).mean(),
                "`log_p[:, target]` picks, for every row, the columns of all labels: (N, N). One column for each row: `log_p[torch.arange(N), target]`, or `gather`.": -log_p[:, target].mean(),
                "You averaged over all N · K entries, also those that the true class does not ask for. The mean is over the N samples.": want / logits.shape[1],
                "The softmax goes over the classes, dim 1; you took dim 0.": F.nll_loss(F.log_softmax(logits, 0), target),
                "You took the logits as they are. They become log-probabilities first.": -logits[torch.arange(len(target)), target].mean(),
                "This is the mean probability of the true class without its logarithm.": [(1 - log_p.exp()[torch.arange(len(target)), target]).mean(), -log_p.exp()[torch.arange(len(target)), target].mean()],
            },
        )
        case.that(grad is not None, DETACHED)
        case.close(grad, _slope(lambda x: F.cross_entropy(x, target), logits), what="the gradient of mean_cross_entropy(…)")


@exercise("05.5", points=2, needs=["cross_entropy_grad"])
class CrossEntropyGrad:
    """The gradient on the logits."""

    errors = ERRORS | {
        # The first case: 5 samples, 4 classes, of which the last does not occur.
        "(3) must match the size": "`F.one_hot(target)` makes columns up to the largest label only; the batch may lack the last class. Say how many: `F.one_hot(target, K)`.",
        "must match the size of tensor b (3)": "`F.one_hot(target)` makes columns up to the largest label only; the batch may lack the last class. Say how many: `F.one_hot(target, K)`.",
        "must match the size": "p is (N, K), `target` (N,): class numbers. Make them one-hot rows before you subtract.",
    }

    def inputs(rng):
        yield {"logits": 2 * rng.randn(5, 4), "target": torch.tensor([0, 2, 1, 1, 2]), "temperature": 1.0, "_case": "temperature 1"}
        yield {"logits": rng.randn(3, 6, dtype=torch.float64).t(), "target": rng.randint(0, 3, (6,)), "temperature": 2.5, "_case": "float64, temperature 2.5, non-contiguous"}
        yield {"logits": torch.tensor([[1000.0, 0.0, -1000.0], [-1000.0, 0.0, 1000.0]]), "target": torch.tensor([0, 0]), "temperature": 0.5, "_case": "logits of ±1000, temperature ½"}

    def probe(student, logits, target, temperature):
        return {"grad": student.cross_entropy_grad(logits, target, temperature)}

    def judge(case, logits, target, temperature, grad):
        want = _slope(lambda x: F.cross_entropy(x / temperature, target), logits)
        y, n = F.one_hot(target, logits.shape[1]).to(logits.dtype), len(target)
        scaled = logits / temperature
        _finite(case, grad, "There is a nan: `exp` overflows for large logits. `torch.softmax` does not.")
        case.close(
            grad,
            want,
            what="cross_entropy_grad(…)",
            mistakes={
                "The 1/N of the mean is missing: each sample's share of the mean is a N-th.": [n * want, n * temperature * want],
                "The sign is wrong: p − y. Where p is too small, the gradient is negative, and a step *against* it raises the logit.": -want,
                "These are the probabilities (divided by N); the one-hot target is still to be subtracted.": [scaled.softmax(1) / n, scaled.softmax(1), scaled.softmax(1) / n / temperature],
                "The temperature divides the logits, so by the chain rule it divides the gradient as well.": temperature * want,
                "The temperature is not used in the softmax: p = softmax(logits / temperature).": [(logits.softmax(1) - y) / n, (logits.softmax(1) - y) / n / temperature],
                "You multiplied by the temperature; the logits are divided by it.": [((logits * temperature).softmax(1) - y) / n / temperature, ((logits * temperature).softmax(1) - y) / n, ((logits * temperature).softmax(1) - y) / n * temperature],
                "You divided by all N · K entries; the mean is over the N samples.": [want / logits.shape[1], temperature * want / logits.shape[1]],
                "The chain rule *divides* by the temperature once more; you multiplied.": temperature**2 * want,
                "You subtracted the class *number* from every probability. The target is a one-hot row: 1 at the true class, else 0.": [
                    (scaled.softmax(1) - target[:, None]) / n / temperature, (scaled.softmax(1) - target[:, None]) / n],
                "The softmax goes over the classes, dim 1; you took dim 0.": [(scaled.softmax(0) - y) / n / temperature, (scaled.softmax(0) - y) / n],
                "You subtracted the target from the log-probabilities; it goes off the probabilities.": [(scaled.log_softmax(1) - y) / n / temperature, (scaled.log_softmax(1) - y) / n],
                "You subtracted the target from the logits; they must become probabilities first.": [(scaled - y) / n / temperature, (scaled - y) / n],
            },
        )


def _cross_entropy(x, y, weight, ignore, reduction, smoothing, slip="", fill=0):
    """Cross-entropy with all options, by its formula; `slip` names a misconception, `fill` is the class put in for ignored labels."""
    classes = x.shape[1]
    w = torch.ones(classes, dtype=x.dtype) if weight is None or slip == "no weight" else weight
    log_p = F.log_softmax(x * w if slip == "on logits" else x, 1)
    if slip == "on logits":
        w = torch.ones_like(w)
    elif slip == "to K":
        w = w * classes / w.sum()
    elif slip == "to 1":
        w = w / w.sum()
    used = torch.ones_like(y, dtype=torch.bool) if slip == "ignored counts" else y != ignore
    label = y % classes if slip == "ignored counts" else torch.where(used, y, fill)
    eps = 0.0 if slip == "no smoothing" else smoothing
    hard = -log_p.gather(1, label[:, None])[:, 0]
    soft = -log_p.mean(1)
    if slip == "smooth unweighted":
        loss = (1 - eps) * w[label] * hard + eps * soft
    elif slip == "smooth true weight":
        loss = w[label] * ((1 - eps) * hard + eps * soft)
    elif slip == "K - 1":
        others = -(w * log_p).sum(1) - w[label] * hard
        loss = (1 - eps) * w[label] * hard + eps * others / (classes - 1)
    elif slip == "no K":
        loss = (1 - eps) * w[label] * hard - eps * (w * log_p).sum(1)
    elif slip == "true keeps 1":
        loss = w[label] * hard - eps * (w * log_p).mean(1)
    else:
        loss = (1 - eps) * w[label] * hard - eps * (w * log_p).mean(1)
    if slip != "not zeroed":
        loss = torch.where(used, loss, 0)
    if reduction != "mean":
        return _reduce(loss, reduction)
    weights = (w[label] * used).sum()
    below = {"over N": used.sum(), "over all": len(y), "over used of weight": w[label].sum(), "over classes": w.sum(),
             "over smoothed": (1 - eps) * weights + eps * w.mean() * used.sum(), "at least 1": weights.clamp(min=1)}
    return loss.sum() / below.get(slip, weights)


@exercise("05.6", points=5, needs=["cross_entropy"], reference="torch.nn.functional:cross_entropy")
class CrossEntropy:
    """Cross-entropy with all its options."""

    errors = ERRORS | {
        "255 is out of bounds": "`ignore_index` may be positive, here 255: looking for negative labels does not find it. Compare with it: `target != ignore_index`.",
        "smaller than num_classes": "`ignore_index` may be positive, here 255: looking for negative labels does not find it. Compare with it: `target != ignore_index`.",
        "is out of bounds": "A label of `ignore_index`, such as −100, was used as a column's number. Replace these labels by any valid class first, and set their loss to 0.",
        "non-negative": "A label of `ignore_index`, such as −100, is no class: `one_hot` cannot take it. Replace these labels by any valid class first, and set their loss to 0.",
        "NoneType": "`weight` may be None: then every class counts once.",
        "same number of dimensions": "`gather` wants the labels as a column, (N, 1): `target[:, None]`.",
    }

    def inputs(rng):
        def case(n, k, label, dtype=torch.float32, weight=0, ignored=0, ignore=-100, reduction="mean", smoothing=0.0):
            target = rng.randint(0, k, (n,))
            target[:2] = torch.tensor([0, k - 1])
            target[n - ignored:] = ignore
            weights = weight * (0.2 + 3 * rng.rand(k, dtype=dtype)) if weight else None
            return {"input": 2 * rng.randn(k, n, dtype=dtype).t(), "target": target, "weight": weights, "ignore_index": ignore,
                    "reduction": reduction, "label_smoothing": smoothing, "_case": label}

        yield case(6, 4, "with weight, reduction none", weight=1, reduction="none")
        yield case(6, 4, "with weight, reduction mean", weight=1)
        yield case(6, 4, "with weights far below 1, reduction mean", weight=0.01)
        yield case(7, 3, "two labels of −100, reduction none", ignored=2, reduction="none")
        yield case(7, 3, "two labels of −100, reduction mean", ignored=2)
        yield case(6, 4, "ignore_index −1, with weight", ignored=3, ignore=-1, weight=1)
        yield case(6, 4, "ignore_index 255, with weight, reduction sum", ignored=2, ignore=255, weight=1, reduction="sum")
        yield case(5, 4, "label_smoothing 0.1", smoothing=0.1)
        yield case(5, 4, "label_smoothing 0.2 with weight, reduction none", smoothing=0.2, weight=1, reduction="none")
        yield case(8, 5, "all options at once, float64", dtype=torch.float64, weight=1, ignored=2, smoothing=0.3)
        yield {"input": torch.tensor([[1000.0, 0.0, -1000.0], [-1000.0, 0.0, 1000.0], [0.0, 0.0, 0.0]]), "target": torch.tensor([0, 0, -100]), "weight": None,
               "ignore_index": -100, "reduction": "mean", "label_smoothing": 0.1, "_case": "logits of ±1000"}

    def probe(student, input, target, weight, ignore_index, reduction, label_smoothing):
        x = input.clone().requires_grad_()
        loss = student.cross_entropy(x, target, weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
        tracked = isinstance(loss, torch.Tensor) and loss.requires_grad
        return {"loss": loss, "grad": torch.autograd.grad(loss.sum(), x)[0] if tracked else None}

    def judge(case, input, target, weight, ignore_index, reduction, label_smoothing, loss, grad):
        options = {"weight": weight, "ignore_index": ignore_index, "label_smoothing": label_smoothing}
        want = F.cross_entropy(input, target, reduction=reduction, **options)

        def slip(name, fill=0):
            return _cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing, name, fill)

        used = target != ignore_index
        _finite(case, loss, "There is an inf or a nan: a probability was rounded to 0 before its logarithm was taken, or exp overflowed. Use `log_softmax`.")
        mistakes = {
            "The sum of the weights may be below 1; then `clamp(min=1)` changes the mean.": slip("at least 1"),
            REDUCTION: [F.cross_entropy(input, target, reduction=other, **options) for other in ("none", "sum", "mean") if other != reduction],
            "`weight` is not used.": slip("no weight"),
            "With `weight`, the mean is the sum of the weighted losses divided by the sum of *the weights of the samples' classes*, not by their number.": slip("over N"),
            "You divided by the sum of all classes' weights. Each *sample* counts: divide by the sum of `weight[target]`.": slip("over classes"),
            "A sample of `ignore_index` gives no loss; yours counts as a class: −1 as an index means *the last one*.": slip("ignored counts"),
            "The ignored samples are still counted in the mean: divide by what the others weigh.": [slip("over all"), slip("over used of weight")],
            "The loss of an ignored sample is 0: with a valid class put in for its label, its loss must be thrown away afterwards.": [slip("not zeroed", c) for c in range(input.shape[1])],
            "The weights are used as they are; yours were normalized first.": [slip("to K"), slip("to 1")],
            "`weight` multiplies the loss, not the logits.": [slip("on logits"), F.cross_entropy(input * (1 if weight is None else weight), target, reduction=reduction, **options)],
            "With smoothing, the mean divides by the same number as without: the sum of `weight[target]`, not of the smoothed targets' weights.": slip("over smoothed"),
            "`label_smoothing` is not used.": slip("no smoothing"),
            "Label smoothing spreads ε over all K classes, the true one included: ε/K each. You spread it over the K − 1 others.": slip("K - 1"),
            "Each class gets ε/K; the division by the number of classes is missing.": slip("no K"),
            "The true class keeps 1 − ε of its term, and gets ε/K like the others; yours keeps all of it.": slip("true keeps 1"),
            "In the smoothed part every class's term takes its own weight.": [slip("smooth unweighted"), slip("smooth true weight")],
            "The sign is wrong: −ln of a probability is positive.": -want,
            "A softmax stands before the log_softmax: probabilities were taken for logits.": F.cross_entropy(input.softmax(1), target, reduction=reduction, **options),
        }
        if reduction == "none" and used.any():
            mistakes[REDUCTION].append(want.mean())
            mistakes["With reduction \"none\" there is one loss for each sample; an ignored one has the loss 0, it is not left out."] = want[used]
        case.close(loss, want, what="cross_entropy(…)", mistakes=mistakes)
        case.that(grad is not None, DETACHED)
        case.close(grad, _slope(lambda x: F.cross_entropy(x, target, reduction=reduction, **options), input), what="the gradient of cross_entropy(…)")


@exercise("05.7", points=2, needs=["sensor", "prices", "promise", "tags", "breed", "foreign"])
class WhichLoss:
    """Which loss."""

    def inputs(rng):
        yield {}

    def probe(student):
        return {"answers": {name: getattr(student, name) for name in ("sensor", "prices", "promise", "tags", "breed", "foreign")}}

    def judge(case, answers):
        losses = ("mse", "mae", "huber", "bce", "bce_with_logits", "cross_entropy")
        right = {
            "sensor": ("mse", "gentle noise around the truth is averaged best by the mean, and a large error shall cost much more than a small one."),
            "prices": ("huber", "squares let the few wild prices rule; the absolute error alone has no small slope near the end. One loss is squared near 0 and straight far out."),
            "promise": ("mae", "as many too high as too low is the median. Which loss has its minimum there?"),
            "tags": ("bce_with_logits", "several tags can be true at once, so each is a yes-or-no question of its own; and a linear layer's outputs are logits."),
            "breed": ("cross_entropy", "exactly one of the 37 is true: the classes compete. And the last layer's outputs are logits."),
            "foreign": ("bce", "the numbers are probabilities already; a loss *with logits* would apply a sigmoid to them again."),
        }
        notes = []
        for name, (want, reason) in right.items():
            got = answers[name]
            if got not in losses:
                notes.append(f"{name}: answer with one of {', '.join(map(repr, losses))}.")
            elif got != want:
                notes.append(f"{name}: not {got!r}: {reason}")
        case.that(not notes, "\n".join(notes))


@exercise("05.8", points=3, needs=["leaky_relu", "silu", "gelu"])
class Activations:
    """Leaky ReLU, SiLU and GELU."""

    errors = ERRORS | {
        "Boolean value of Tensor": "`if x > 0:` asks about all elements at once. Choose element by element: `torch.where`.",
        "only one element tensors": "The functions of `math` take one number; use torch's: `torch.erf`, `torch.exp`.",
        "can be converted to Python scalars": "The functions of `math` take one number; use torch's: `torch.erf`, `torch.exp`.",
    }

    def inputs(rng):
        names = ["leaky_relu", "silu", "gelu"]
        plain = {"x": torch.tensor([-3.0, -1.0, -0.2, 0.3, 1.0, 2.5]), "negative_slope": 0.1}
        yield plain | {"names": names[:2], "_case": "leaky_relu and silu, negative_slope 0.1"}
        yield plain | {"names": names[2:], "_case": "gelu"}
        yield {"x": rng.randn(4, 3).t(), "negative_slope": 0.3, "names": names, "_case": "all three, non-contiguous, negative_slope 0.3"}
        yield {"x": 2 * rng.randn(2, 3, 2, dtype=torch.float64), "negative_slope": 0.01, "names": names, "_case": "float64"}
        yield {"x": torch.tensor([-1000.0, -100.0, 100.0, 1000.0]), "negative_slope": 0.01, "names": names, "_case": "x of ±1000"}

    def probe(student, x, negative_slope, names):
        calls = {"leaky_relu": lambda x: student.leaky_relu(x, negative_slope), "silu": student.silu, "gelu": student.gelu}
        values, slopes = {}, {}
        for name in names:
            function = calls[name]
            leaf = x.clone().requires_grad_()
            values[name] = y = function(leaf)
            tracked = isinstance(y, torch.Tensor) and y.requires_grad
            slopes[name] = torch.autograd.grad(y.sum(), leaf)[0] if tracked else None
        return {"values": values, "slopes": slopes}

    def judge(case, x, negative_slope, names, values, slopes):
        want = {"leaky_relu": lambda x: F.leaky_relu(x, negative_slope), "silu": F.silu, "gelu": F.gelu}
        phi = (1 + torch.erf(x / math.sqrt(2))) / 2
        mistakes = {
            "leaky_relu": {
                "leaky_relu: this is the plain ReLU; below 0 a leaky one is negative_slope · x.": x.relu(),
                "leaky_relu: below 0 it is negative_slope · x, not the constant.": [torch.where(x > 0, x, negative_slope), torch.where(x > 0, x, -negative_slope)],
                "leaky_relu: the two sides are swapped; above 0 it is x itself.": torch.where(x > 0, negative_slope * x, x),
                "leaky_relu: the sign below 0 is wrong: negative_slope · x is negative there.": torch.where(x > 0, x, -negative_slope * x),
                "leaky_relu: `negative_slope` is not used.": [F.leaky_relu(x, 0.01), F.leaky_relu(x, 0.1)],
            },
            "silu": {
                "silu: this is σ(x); SiLU is x · σ(x).": x.sigmoid(),
                "silu: the sign inside the exponential is wrong: σ(x) = 1 / (1 + e^(−x)).": x * (-x).sigmoid(),
                "silu: this is x · tanh(x).": x * x.tanh(),
                "silu: this is GELU; SiLU is x · σ(x).": F.gelu(x),
                "silu: exp overflows for large x: x · e^x / (1 + e^x) is inf / inf there. `torch.sigmoid` does not overflow.": x * x.exp() / (1 + x.exp()),
            },
            "gelu": {
                "gelu: this is the approximation by tanh; asked is the exact one, with `torch.erf`.": F.gelu(x, approximate="tanh"),
                "gelu: this is the approximation x · σ(1.702 x); asked is the exact one, with `torch.erf`.": x * (1.702 * x).sigmoid(),
                "gelu: Φ(x) is (1 + erf(x/√2)) / 2; the √2 is missing.": x * (1 + torch.erf(x)) / 2,
                "gelu: this is Φ(x); GELU is x · Φ(x).": phi,
                "gelu: Φ(x) is (1 + erf(x/√2)) / 2; the division by 2 is missing.": 2 * x * phi,
                "gelu: erf runs from −1 to 1; Φ(x) = (1 + erf(x/√2)) / 2 from 0 to 1.": [x * torch.erf(x / math.sqrt(2)), x * torch.erf(x)],
                "gelu: this is SiLU; GELU is x · Φ(x).": F.silu(x),
                "gelu: multiply x by the normal distribution's *cumulative* Φ, not by its density.": x * (-(x**2) / 2).exp() / math.sqrt(2 * math.pi),
            },
        }
        for name in names:
            function = want[name]
            case.close(values[name], function(x), what=f"{name}(x)", mistakes=mistakes[name])
            case.that(slopes[name] is not None, f"{name}: " + DETACHED)
            _finite(case, slopes[name], f"{name}: the value is right, its gradient is nan: exp overflowed on the way, and backward meets the inf. Build on `torch.sigmoid`.")
            case.close(slopes[name], _slope(function, x), what=f"the slope of {name}")


@exercise("05.9", points=3, needs=["dead_units"])
class DeadUnits:
    """Count the dead units."""

    errors = ERRORS | {
        "has no attribute 'out_features'": "A ReLU has no sizes; the number of its units is the width of what comes out of it.",
        "shapes cannot be multiplied": "Each layer takes what the layer before it gave, the first one x: `x = layer(x)`.",
    }

    def inputs(rng):
        def case(widths, dead, label, n=16, kind="relu", dtype=torch.float32):
            """A network with `dead[i]` dead units in hidden layer i; others are off for some rows only, one of them with a negative bias."""
            weights = {}
            for i, (inside, outside) in enumerate(zip(widths, widths[1:])):
                weights[f"{2 * i}.weight"] = 2 * rng.randn(outside, inside, dtype=dtype)
                weights[f"{2 * i}.bias"] = 0.5 * rng.rand(outside, dtype=dtype)
                if i < len(dead):
                    units = rng.randperm(outside)
                    weights[f"{2 * i}.bias"][units[: dead[i] + 1]] *= -1
                    weights[f"{2 * i}.bias"][units[: dead[i]]] = -1e6
            return {"widths": widths, "weights": weights, "x": rng.randn(n, widths[0], dtype=dtype), "kind": kind, "_case": label}

        counts = []
        while len(set(counts)) < 7:  # no two misconceptions give the same number
            first = case([5, 8, 3], [3], "one hidden layer")
            off = first["x"] @ first["weights"]["0.weight"].T + first["weights"]["0.bias"] <= 0
            counts = [0, 3, 5, int((first["weights"]["0.bias"] < 0).sum()), int(off[0].sum()), int(off.all(1).sum()), int(off.any(0).sum())]
        yield first
        yield case([4, 10, 7, 6, 3], [4, 1, 5], "three hidden layers, float64", dtype=torch.float64)
        yield case([4, 9, 12, 2], [0, 12], "one layer wholly alive, one wholly dead")
        near = case([5, 8, 3], [], "one unit dead, two constant, one always below 1e-6")
        near["weights"]["0.weight"][[0, 3]], near["weights"]["0.bias"][[0, 3]] = 0.0, 0.5
        near["weights"]["0.weight"][1] *= 1e-8
        near["weights"]["0.bias"][1], near["weights"]["0.bias"][2] = 0, -1e6
        yield near
        yield case([4, 9, 9, 5], [2, 4], "an image-like input: Flatten first", kind="flatten")
        yield case([4, 9, 6, 5], [3, 2], "ReLU after the first layer, tanh after the second", kind="tanh")

    def probe(student, widths, weights, x, kind):
        layers = []
        for i, (inside, outside) in enumerate(zip(widths, widths[1:])):
            layers += [torch.nn.Linear(inside, outside), torch.nn.Tanh() if kind == "tanh" and i == 1 else torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1]).to(x.dtype)
        model.load_state_dict(weights)
        if kind == "flatten":
            model, x = torch.nn.Sequential(torch.nn.Flatten(), *model), x.reshape(len(x), 1, 2, -1)
        return {"dead": student.dead_units(model, x)}

    def judge(case, widths, weights, x, kind, dead):
        h, outputs, pre, all_layers = x, [], [], []
        last = len(widths) - 2
        relus = [i for i in range(last) if not (kind == "tanh" and i == 1)]
        matrices = [weights[f"{2 * i}.weight"].clone().requires_grad_() for i in range(last + 1)]
        biases = [weights[f"{2 * i}.bias"] for i in range(last + 1)]
        for i in range(last):
            z = h @ matrices[i].T + biases[i]
            h = z.relu() if i in relus else z.tanh()
            all_layers += [z, h]
            if i in relus:
                outputs.append(h)
                pre.append(z)
        final = h @ matrices[last].T + biases[last]
        slopes = torch.autograd.grad(final.sum(), matrices)
        want = [int((h == 0).all(0).sum()) for h in outputs]
        case.that(isinstance(dead, list), "Return a list with one number for each ReLU: `return counts`.")
        dead = [item.item() if isinstance(item, torch.Tensor) and item.numel() == 1 else item for item in dead]
        case.that(dead or not want, "The list is empty: does `return` stand inside the loop? It belongs behind it.")
        case.that(len(dead) != 1 or len(want) == 1 or dead[0] != sum(want), "This is the sum over all layers; asked is a number for each ReLU.")
        case.equal(
            dead,
            want,
            what="dead_units(model, x)",
            mistakes={
                "A unit without a gradient may itself be alive, when all that follows it is off. Look at what comes out of it.": [
                    [int((slopes[i] == 0).all(1).sum()) for i in relus], [int((s == 0).all(1).sum()) for s in slopes[:-1]]],
                "You counted every zero: (row, unit) pairs. A unit is dead when it is 0 for *all* rows: `.all(dim=0)` first, then count.": [int((h == 0).sum()) for h in outputs],
                "You counted units that are 0 for at least one row; dead means 0 for *all* of them.": [int((h == 0).any(0).sum()) for h in outputs],
                "You went along the wrong dimension: that counts rows for which every unit is off. Rows are dim 0: `.all(dim=0)`.": [int((h == 0).all(1).sum()) for h in outputs],
                "You counted the units that are alive.": [h.shape[1] - n for h, n in zip(outputs, want)],
                "`return` stands inside the loop: that is the first ReLU's count alone.": [want[:1]],
                "A negative bias does not make a unit dead; what comes out of it for these samples does.": [[int((biases[i] < 0).sum()) for i in relus], [int((b < 0).sum()) for b in biases[:-1]]],
                "A tiny output is alive: it has its full slope. Dead is exactly 0, for all rows.": [
                    [int(((h < 1e-4).all(0)).sum()) for h in outputs], [int((h.mean(0) < 1e-4).sum()) for h in outputs]],
                "A unit that gives the same number for all rows is not dead, unless that number is 0.": [[int((h.amax(0) == h.amin(0)).sum()) for h in outputs]],
                "Every count is the first layer's. Each layer takes what the layer before it gave: `x = layer(x)`.": [want[:1] * len(want)],
                "No unit was counted: look at what comes *out of* each ReLU, when it has got what the layer before it gave.": [[0] * len(want)],
                "You looked at the first row only; a unit is dead when it is 0 for all rows.": [[int((h[0] == 0).sum()) for h in outputs]],
                "Its type tells which layer is a ReLU, not its place; here a Flatten comes first: `isinstance(layer, nn.ReLU)`.": [
                    [int((z == 0).all(0).sum()) for z in many] for many in ((*pre, final), pre) if kind == "flatten"],
                "Count after each ReLU only: the linear layers (the last one too) have no dead units.": [
                    [int((z == 0).all(0).sum()) for z in (*all_layers, final)], [int((z <= 0).all(0).sum()) for z in (*all_layers, final)],
                    *([int(off(z).all(0).sum()) for z in (*all_layers[::2], final)] for off in (lambda z: z <= 0, lambda z: z == 0)), [*want, 0]],
                "This is the share; asked is the number of units.": [n / h.shape[1] for h, n in zip(outputs, want)],
                "You summed over the rows and looked for negative sums: a unit with one positive row is alive.": [int((z.sum(0) <= 0).sum()) for z in pre],
            },
        )
