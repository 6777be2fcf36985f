"""Checks of lab 06, optimizers and regularization. Oracle: torch.optim on the same gradients, step by step."""

import math

import torch

from . import exercise

STEPS = 20
BORROWED = "`torch.optim` took the steps. Here the point is to write them out."
GROUPS = "Both groups are stepped with the same settings. Each group has its own: read them from `group[…]`, not from `self.defaults` or the first group."
FORGETS = "After a checkpoint was loaded, half-way, the optimizer had forgotten its state. Keep it in `self.state[p]`: only that is saved; an attribute of `self` is not."
LR_INSIDE = "The learning rate is inside the velocity: when it changes half-way, the old gradients keep the old rate. Add up without it, and multiply last."
SHARED = "The parameters share one state: what one of them leaves behind, the next one uses. Keep it in `self.state[p]`, a dictionary for each parameter."

STEP_ERRORS = {
    "NoneType": "Did `p = p * …` put a new tensor in the parameter's place? It has no `.grad`; write `p *= …`. (Or is this a parameter that took no part in the loss? Skip it.)",
    "a leaf Variable that requires grad": "The update is being recorded by autograd. Keep `@torch.no_grad()` above `step`.",
    "must match the size": SHARED,
    "broadcast shape": SHARED,
    "KeyError: 'velocity'": "The state of a parameter is empty at its first step: fill it before you read it.",
    "KeyError": "A key is missing. The settings are in `group`, by their names; the state of a parameter is empty until its first step fills it.",
    "'str' object has no attribute": "`group` is a dictionary, and its keys are texts: loop over `group[\"params\"]`.",
    "AttributeError": "An attribute is missing. Settings are in `group[…]`; what a step must remember belongs into `self.state[p]`.",
}


def _case(rng, name, label, shapes, options, dtype=torch.float32, groups=None, skip=False, in_place=False, size=1.0, idle=()):
    """One problem: parameters, and the gradients of twenty steps, drawn beforehand, so that every step can be judged alone.

    `groups` gives each group's own settings and how many of the parameters are in it; with `skip` some gradients are None,
    and always those of the parameters `idle`. With `in_place` a checkpoint is loaded half-way, and the rates change.
    """
    params = [rng.randn(*shape, dtype=dtype) for shape in shapes]
    # A steady part and noise: running means then differ clearly from single gradients.
    steady = [rng.randn(*shape, dtype=dtype) for shape in shapes]
    grads = [[size * (s + 0.5 * rng.randn(*s.shape, dtype=dtype)) for s in steady] for _ in range(STEPS)]
    if skip:  # the second parameter has no gradient at first and now and then, the last one never
        for step, row in enumerate(grads):
            row[1] = None if step in (0, 1, 7) else row[1]
            row[-1] = None
    for row in grads:
        for i in idle:
            row[i] = None
    sizes = [count for _, count in groups] if groups else [len(params)]
    own = [settings for settings, _ in groups] if groups else [{}]
    return {"name": name, "params": params, "grads": grads, "options": options, "sizes": sizes, "own": own, "in_place": in_place, "_case": label}


def probe(student, name, params, grads, options, sizes, own, in_place):
    """The probe of all five optimizers: every parameter, and every `.grad`, after each step."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    params = [p.clone().requires_grad_() for p in params]

    def make():
        parts, rest = [], list(params)
        for size, settings in zip(sizes, own):
            parts.append({"params": rest[:size], **settings})
            rest = rest[size:]
        return getattr(student, name)(parts if len(parts) > 1 else parts[0]["params"], **options)

    optimizer = make()
    steppers, path, left = [], [], []
    hook = register_optimizer_step_pre_hook(lambda optimizer, *_: steppers.extend(type(optimizer).__mro__))
    try:
        for step, row in enumerate(grads):
            if in_place and step == len(grads) // 2:  # as after a break: a new optimizer, a checkpoint, another rate
                saved, optimizer = optimizer.state_dict(), make()
                optimizer.load_state_dict(saved)
                for group in optimizer.param_groups:
                    group["lr"] *= 0.25
            for p, g in zip(params, row):
                if in_place and p.grad is not None and g is not None:
                    p.grad.copy_(g)
                else:
                    p.grad = None if g is None else g.clone()
            optimizer.step()
            path.append([p.detach().clone() for p in params])
            left.append([None if p.grad is None else p.grad.clone() for p in params])
    finally:
        hook.remove()
    return {"path": path, "left": left, "borrowed": any(kind.__module__.startswith("torch.optim.") and kind is not torch.optim.Optimizer for kind in steppers)}


def _walk(make, params, grads, sizes, own, in_place, forget=False):
    """Every parameter after every step of `make(groups)`, an optimizer; with `forget` it loses its state half-way."""
    params = [p.clone().requires_grad_() for p in params]
    groups = [{"params": list(part)} | settings for part, settings in zip(_split(params, sizes), own)]
    optimizer = make(groups)
    path = []
    for step, row in enumerate(grads):
        if in_place and step == len(grads) // 2:
            if forget:
                optimizer.state.clear()
            for group in optimizer.param_groups:
                group["lr"] *= 0.25
        for p, g in zip(params, row):
            p.grad = None if g is None else g.clone()
        optimizer.step()
        path.append([p.detach().clone() for p in params])
    return path


def _split(items, sizes):
    items = iter(items)
    return [[next(items) for _ in range(size)] for size in sizes]


class Slip(torch.optim.Optimizer):
    """An optimizer whose `rule(p, g, state, group)` has a misconception; `rule` returns the change of p."""

    def __init__(self, params, defaults, rule, shared=False, keep_lr=False):
        super().__init__(params, defaults)
        self.rule, self.one = rule, {} if shared else None
        if keep_lr:
            self.param_groups = [self.param_groups[0] | {"params": group["params"]} for group in self.param_groups]

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p += self.rule(p, p.grad, self.state[p] if self.one is None else self.one, group)


def _slip(options, rule, params, grads, sizes, own, in_place, forget=False, **extra):
    """The path of a misconception; None where one state for several parameters does not fit their shapes."""
    try:
        return _walk(lambda groups: Slip(groups, options, rule, **extra), params, grads, sizes, own, in_place, forget)
    except RuntimeError:
        if extra.get("shared"):
            return None
        raise


def _judge_path(case, want, slips, start, path, grads, left, borrowed, in_place, length=STEPS):
    """Compare all parameters after each step; the first wrong step is named, and the misconception whose path it is."""
    case.that(isinstance(path, list) and len(path) == length, "Not all of the steps came to an end.")
    slips = {} if _agree(path, want) else {message: wrong for message, wrong in slips().items() if wrong is not None}
    moved = any(isinstance(a, torch.Tensor) and a.shape == b.shape and not torch.equal(a, b) for row in path for a, b in zip(row, start))
    case.that(moved, "Nothing moved. Change the parameters in place (`p -= …`): `p = p - …` makes a new tensor, and the model's parameter stays as it was.")
    # A misconception is named when all steps are as it would have them; failing that, all up to three from the first wrong one.
    whole = [message for message, wrong in slips.items() if _agree(path, wrong)]
    for step in range(length):
        for i, (got, right) in enumerate(zip(path[step], want[step], strict=True)):
            what = f"Step {step + 1}: parameter {i + 1} of {len(start)}, of shape {tuple(right.shape)},"
            named = whole or [message for message, wrong in slips.items() if _agree(path[: step + 3], wrong[: step + 3])]
            if isinstance(got, torch.Tensor) and got.shape == right.shape and got.dtype == right.dtype == torch.float64:
                near, equal = torch.allclose(got, right, rtol=1e-5, atol=1e-5), torch.allclose(got, right, rtol=1e-7, atol=1e-9)
                case.that(equal or not near, f"{what} has only some seven right digits, and it is float64: part of the state is float32 (or t is a tensor: a plain number is enough). `torch.zeros_like(p)` has p's dtype.")
            if isinstance(got, torch.Tensor) and got.isnan().any() and not named:
                case.that(False, f"{what} has a nan: 0 / 0, or the root of a negative number.")
            case.close(got, right, what=what, mistakes={message: slips[message][step][i] for message in named})
    for step, (row, sent) in enumerate(zip(left, grads, strict=True)):
        same = all(a is None if b is None else isinstance(a, torch.Tensor) and torch.equal(a, b) for a, b in zip(row, sent, strict=True))
        case.that(same, f"Step {step + 1}: the parameters are right, but a `.grad` was changed. It belongs to the caller: write `g = g + …`, not `g += …`.")
    # In one case only: who leaves the steps to torch.optim has half the points, not none.
    case.that(not borrowed or not in_place, BORROWED)


def _agree(a, b):
    pairs = [(x, y) for row, other in zip(a, b) for x, y in zip(row, other)]
    return all(isinstance(x, torch.Tensor) and x.shape == y.shape and torch.allclose(x.double(), y.double(), rtol=1e-4, atol=1e-5, equal_nan=True) for x, y in pairs)


def _from_defaults(walk, rule, options, own):
    """Misconceptions: one setting is read from the defaults, for all groups."""
    def without(key):
        def defaults(p, g, s, o):
            return rule(p, g, s, {k: v for k, v in o.items() if k != key} | ({key: options[key]} if key in options else {}))

        return defaults

    keys = sorted({key for settings in own for key in settings})
    return {f"`{key}` is the same for all groups here. Each has its own: `group[\"{key}\"]`.": walk(without(key)) for key in keys if key != "lr"}


def _signed(p, g, o):
    return (-g if o.get("maximize") else g) + o.get("weight_decay", 0) * p


def _decay_slips(make):
    """Misconceptions about sign and L2 decay that all optimizers share; `make(direction)` walks with that gradient."""
    return {
        "You go down, and `maximize=True` asks to climb: turn the gradient's sign.": make(lambda p, g, o: g + o.get("weight_decay", 0) * p),
        "You turned the sign of the decay as well. `maximize` turns the gradient; then the decay is added: it pulls towards 0 also when you climb.": make(lambda p, g, o: (-1 if o.get("maximize") else 1) * (g + o.get("weight_decay", 0) * p)),
        "`weight_decay` has no effect: add `weight_decay` times the parameter to the gradient.": make(lambda p, g, o: -g if o.get("maximize") else g),
        "The decay has the wrong sign: it is *added* to the gradient, which is then subtracted from the parameter.": make(lambda p, g, o: (-g if o.get("maximize") else g) - o.get("weight_decay", 0) * p),
    }


@exercise("06.1", points=2, needs=["GradientDescent"], reference="torch.optim:SGD")
class PlainDescent:
    """Gradient descent as an optimizer."""

    errors = STEP_ERRORS | {"NoneType": "A parameter's `.grad` is None here: it took no part in the loss. Skip it."}

    def inputs(rng):
        yield _case(rng, "GradientDescent", "one parameter", [(3,)], {"lr": 0.1})
        yield _case(rng, "GradientDescent", "several parameters; some have no gradient", [(4, 3), (3,), (2, 2)], {"lr": 0.05}, skip=True)
        yield _case(rng, "GradientDescent", "maximize", [(4,)], {"lr": 0.1, "maximize": True})
        yield _case(rng, "GradientDescent", "two groups; one parameter of each has no gradient", [(4,), (3,), (2,), (5,), (3,)], {"lr": 0.1}, groups=[({}, 3), ({}, 2)], idle=(1, 4))
        yield _case(rng, "GradientDescent", "two groups, float64", [(4,), (2, 3), (3,)], {"lr": 0.1}, torch.float64, groups=[({}, 1), ({"lr": 0.01, "maximize": True}, 2)], in_place=True)

    probe = probe

    def judge(case, params, grads, options, sizes, own, in_place, path, left, borrowed):
        def walk(rule, **extra):
            return _slip(options, rule, params, grads, sizes, own, in_place, **extra)

        want = _walk(lambda groups: torch.optim.SGD(groups, **options), params, grads, sizes, own, in_place)
        sign = lambda o: 1 if o.get("maximize") else -1  # noqa: E731

        def slips():
            return {
                "You climb: the step goes against the gradient.": walk(lambda p, g, s, o: o["lr"] * g),
                "The learning rate is missing: a step is `lr` times the gradient.": walk(lambda p, g, s, o: sign(o) * g),
                "You go down, and `maximize=True` asks to climb.": walk(lambda p, g, s, o: -o["lr"] * g),
                GROUPS: walk(lambda p, g, s, o: sign(o) * o["lr"] * g, keep_lr=True),
                "You took the first group's (or the default) rate for both groups; each has its own: `group[\"lr\"]`.": walk(lambda p, g, s, o: sign(o) * options["lr"] * g),
                "You stop at a parameter without a gradient (`break`): go on with the next one, `continue`.": _stops(want, params, sizes, grads, "break"),
                "You stop at a parameter without a gradient (`return`): go on with the next one, `continue`.": _stops(want, params, sizes, grads, "return"),
                "Only the first parameter of each group moved: is there a `return` or `break` inside the loop?": _only_first(want, params, sizes),
                "Only the first group moved: loop over all of `self.param_groups`.": _only_group(want, params, sizes),
                "Only the sign of the gradient is used, not its size.": walk(lambda p, g, s, o: sign(o) * o["lr"] * g.sign()),
                "The step is divided by the number of elements.": walk(lambda p, g, s, o: sign(o) * o["lr"] * g / g.numel()),
            }

        _judge_path(case, want, slips, params, path, grads, left, borrowed, in_place)


def _only_first(want, start, sizes):
    first = {sum(sizes[:k]) for k in range(len(sizes))}
    return [[p if i in first else s for i, (p, s) in enumerate(zip(row, start))] for row in want]


def _stops(want, start, sizes, grads, way):
    """Nothing after a parameter without a gradient moves: in its group (break), or at all (return)."""
    still, live = set(), True
    for part in _split(list(range(len(start))), sizes):
        live = live or way == "break"
        for i in part:
            live = live and any(row[i] is not None for row in grads)
            if not live:
                still.add(i)
    return [[s if i in still else p for i, (p, s) in enumerate(zip(row, start))] for row in want]


def _only_group(want, start, sizes):
    return [[p if i < sizes[0] else s for i, (p, s) in enumerate(zip(row, start))] for row in want]


def _momentum(direction=_signed, slip=""):
    def rule(p, g, s, o):
        if slip == "decoupled":
            p, g = -o["lr"] * o.get("weight_decay", 0) * p, _signed(p, g, {**o, "weight_decay": 0})
        else:
            p, g = torch.zeros_like(p), direction(p, g, o)
        mu, tau = o.get("momentum", 0), o.get("dampening", 0)
        share = 1 if slip == "no dampening" else tau if slip == "dampening swapped" else 1 - tau
        if slip == "lr inside":
            g = o["lr"] * g
        if mu or slip == "always":
            first = "v" not in s
            if first and slip != "dampened first" and slip != "ema":
                s["v"] = g.clone()
            elif slip == "ema":
                s["v"] = mu * s.get("v", 0) + (1 - mu) * g
            elif slip == "minus":
                s["v"] = mu * s["v"] - share * g
            elif slip == "dampening on velocity":
                s["v"] = share * (mu * s["v"] + g)
            else:
                s["v"] = mu * s.get("v", torch.zeros_like(p)) + share * g
            v = s["v"]
            if slip == "forgets":
                del s["v"]
            if slip == "no momentum":
                v = g
            if slip == "swapped":
                v = g + mu * v if not o.get("nesterov") else v
            elif o.get("nesterov") and slip != "no nesterov":
                v = mu * v if slip == "no gradient" else g + v if slip == "no mu" else v + mu * g if slip == "turned round" else g + mu * v
            g = v
        return p - (1 if slip == "lr inside" else o["lr"]) * g

    return rule


@exercise("06.2", points=4, needs=["SGD"], reference="torch.optim:SGD")
class Momentum:
    """SGD with momentum, dampening, Nesterov, weight decay, maximize."""

    errors = STEP_ERRORS

    def inputs(rng):
        yield _case(rng, "SGD", "momentum 0.9", [(3,)], {"lr": 0.1, "momentum": 0.9})
        yield _case(rng, "SGD", "no momentum, weight_decay 0.5, dampening 0.5", [(4,)], {"lr": 0.1, "weight_decay": 0.5, "dampening": 0.5})
        yield _case(rng, "SGD", "two parameters of the same shape", [(3,), (3,)], {"lr": 0.05, "momentum": 0.8})
        yield _case(rng, "SGD", "several parameters; some have no gradient", [(4, 3), (3,), (2, 2)], {"lr": 0.05, "momentum": 0.9}, skip=True)
        yield _case(rng, "SGD", "dampening 0.3", [(4,)], {"lr": 0.1, "momentum": 0.9, "dampening": 0.3})
        yield _case(rng, "SGD", "nesterov", [(2, 3)], {"lr": 0.1, "momentum": 0.9, "nesterov": True})
        yield _case(rng, "SGD", "maximize and weight_decay", [(4,)], {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.3, "maximize": True})
        yield _case(rng, "SGD", "two groups, float64, gradients overwritten in place; half-way a checkpoint is loaded and the rates change", [(4,), (2, 3), (3,)], {"lr": 0.1}, torch.float64,
                    groups=[({"momentum": 0.9}, 1), ({"lr": 0.01, "weight_decay": 0.1, "momentum": 0.5}, 2)], in_place=True)

    probe = probe

    def judge(case, params, grads, options, sizes, own, in_place, path, left, borrowed):
        def walk(rule, **extra):
            return _slip(options, rule, params, grads, sizes, own, in_place, **extra)

        want = _walk(lambda groups: torch.optim.SGD(groups, **options), params, grads, sizes, own, in_place)

        def slips():
            return {
                "You climb: the step goes against the velocity, `p -= lr * v`.": walk(lambda p, g, s, o: -_momentum()(p, g, s, o)),
                "The learning rate is missing.": walk(lambda p, g, s, o: _momentum()(p, g, s, o) / o["lr"]),
                "Momentum has no effect: the velocity starts anew at each step. Keep it in `self.state[p]`.": walk(_momentum(slip="forgets")),
                "Your velocity is an average, μ·v + (1 − μ)·g; SGD's is a sum, μ·v + g (only `dampening` takes a share off g).": walk(_momentum(slip="ema")),
                "The gradient is subtracted from the velocity *and* the velocity from the parameter: from the second step on you climb.": walk(_momentum(slip="minus")),
                "You dampened the first velocity too. At a parameter's first step v is the gradient itself.": walk(_momentum(slip="dampened first")),
                "`dampening` has no effect: (1 − dampening) times the gradient goes into the velocity, from the second step on.": walk(_momentum(slip="no dampening")),
                "`dampening` takes a share off the new gradient, not off the whole velocity.": walk(_momentum(slip="dampening on velocity")),
                "`nesterov` has no effect (or v does not hold g yet): the step goes along g + μ·v, with the new v.": walk(_momentum(slip="no nesterov")),
                "With `nesterov` the step is g + μ·v; the gradient itself is missing.": walk(_momentum(slip="no gradient")),
                "With `nesterov` the step is g + μ·v; the μ is missing.": walk(_momentum(slip="no mu")),
                "With `nesterov` the step is g + μ·v; you turned it round, v + μ·g.": walk(_momentum(slip="turned round")),
                "You took `dampening` times the gradient: it is the share that is left *out*; 1 − dampening goes in.": walk(_momentum(slip="dampening swapped")),
                "Without momentum there is no velocity, and no dampening: that step is only for μ ≠ 0.": walk(_momentum(slip="always")),
                "The decay goes around the velocity, as in AdamW. Add it to the gradient, before the momentum.": walk(_momentum(slip="decoupled")),
                LR_INSIDE: walk(_momentum(slip="lr inside")),
                FORGETS: walk(_momentum(), forget=True),
                "You take Nesterov's step always, not only with `nesterov=True`.": walk(_momentum(slip="swapped")),
                SHARED: walk(_momentum(), shared=True),
                GROUPS: walk(_momentum(), keep_lr=True),
                "The velocity is the same tensor as `p.grad`, and changed with it. Its first value must be a copy: `g.clone()`.": _aliased(walk, same=False),
                "The velocity is the same tensor as `p.grad`: each overwrites the other. Its first value must be a copy: `g.clone()`.": _aliased(walk, same=True),
            } | _decay_slips(lambda direction: walk(_momentum(direction)))

        _judge_path(case, want, slips, params, path, grads, left, borrowed, in_place)


def _aliased(walk, same):
    """SGD whose first velocity is the `.grad` tensor itself, where gradients are overwritten in place.

    `same`: the velocity is updated in place too, so that it stays that tensor for ever.
    """
    def rule(p, g, s, o):
        g, mu = _signed(p, g, o), o.get("momentum", 0)
        s["n"] = s.get("n", 0) + 1
        if s["n"] == 1 or not mu:
            s["v"] = g.clone()
        elif same and not o.get("weight_decay"):
            s["v"] = 2 * mu * g
        else:
            s["v"] = mu * (g if s["n"] == 2 and not o.get("weight_decay") else s["v"]) + g
        return -o["lr"] * s["v"]

    return walk(rule)


def _rmsprop(direction=_signed, slip=""):
    def rule(p, g, s, o):
        alpha, eps, mu = o.get("alpha", 0.99), o.get("eps", 1e-8), o.get("momentum", 0)
        if slip == "decoupled":
            shrink, g = -o["lr"] * o.get("weight_decay", 0) * p, direction(p, g, {**o, "weight_decay": 0})
        else:
            shrink, g = 0, direction(p, g, o)
        if not s:
            s |= {"s": g**2 if slip == "starts full" else torch.zeros_like(p), "a": torch.zeros_like(p), "b": torch.zeros_like(p), "t": 0}
        s["t"] += 1
        a = 1 - alpha if slip == "alpha swapped" else alpha
        s["s"] = a * s["s"] + (1 if slip == "sum" else 1 - a) * (g.abs() if slip == "no square" else g**2)
        if slip == "forgets":
            s["s"] = (1 - a) * g**2
        s["a"] = a * s["a"] + (1 - a) * (g**2 if slip == "mean of squares" else g)
        var = s["s"] / (1 - alpha ** s["t"]) if slip == "corrected" else s["s"]
        if slip == "over the tensor":
            var = var.mean()
        if (o.get("centered") or slip == "always centered") and slip != "not centered":
            var = var - (s["a"] if slip == "mean not squared" else g**2 if slip == "g squared" else s["a"] ** 2)
            if slip == "kept":
                s["s"] = var
        if slip == "eps inside":
            root = (var + eps).sqrt()
        elif slip == "no root":
            root = var + eps
        else:
            root = var.sqrt() + (0 if slip == "no eps" else eps)
        step = o["lr"] * g / root if slip == "lr inside" else g / root
        if mu and slip != "no momentum":
            s["b"] = mu * s["b"] + (g if slip == "momentum before" else (1 - mu) * step if slip == "ema" else step)
            step = s["b"] / root if slip == "momentum before" else s["b"]
        return shrink - (1 if slip == "lr inside" else o["lr"]) * step

    return rule


@exercise("06.3", points=3, needs=["RMSprop"], reference="torch.optim:RMSprop")
class RootMeanSquare:
    """RMSprop."""

    errors = STEP_ERRORS

    def inputs(rng):
        yield _case(rng, "RMSprop", "alpha 0.9", [(3,)], {"lr": 0.1, "alpha": 0.9})
        yield _case(rng, "RMSprop", "two parameters of the same shape", [(3,), (3,)], {"lr": 0.05, "alpha": 0.8})
        yield _case(rng, "RMSprop", "several parameters; some have no gradient", [(4, 3), (3,), (2, 2)], {"lr": 0.05}, skip=True)
        yield _case(rng, "RMSprop", "small gradients, eps 0.01", [(4,)], {"lr": 0.1, "alpha": 0.9, "eps": 0.01}, size=0.01)
        yield _case(rng, "RMSprop", "centered", [(2, 3)], {"lr": 0.1, "alpha": 0.9, "eps": 0.1, "centered": True})
        yield _case(rng, "RMSprop", "momentum 0.9", [(4,)], {"lr": 0.02, "alpha": 0.9, "momentum": 0.9})
        yield _case(rng, "RMSprop", "maximize and weight_decay", [(4,)], {"lr": 0.1, "alpha": 0.9, "weight_decay": 0.5, "maximize": True})
        yield _case(rng, "RMSprop", "two groups, float64, everything at once; half-way a checkpoint is loaded and the rates change", [(4,), (2, 3), (3,)], {"lr": 0.1}, torch.float64,
                    groups=[({"alpha": 0.9, "centered": True, "eps": 0.1}, 1), ({"lr": 0.01, "weight_decay": 0.1, "momentum": 0.5}, 2)], in_place=True)

    probe = probe

    def judge(case, params, grads, options, sizes, own, in_place, path, left, borrowed):
        def walk(rule, **extra):
            return _slip(options, rule, params, grads, sizes, own, in_place, **extra)

        want = _walk(lambda groups: torch.optim.RMSprop(groups, **options), params, grads, sizes, own, in_place)

        def slips():
            return {
                "You climb: the step goes against the gradient.": walk(lambda p, g, s, o: -_rmsprop()(p, g, s, o)),
                "The learning rate is missing.": walk(lambda p, g, s, o: _rmsprop()(p, g, s, o) / o["lr"]),
                "The root is missing: s is a mean of *squares*, so divide by √s.": walk(_rmsprop(slip="no root")),
                "`alpha` and 1 − `alpha` are swapped: alpha is the share of the old mean that is kept.": walk(_rmsprop(slip="alpha swapped")),
                "s is a sum here, not a mean: the new g² goes in with the factor 1 − alpha.": walk(_rmsprop(slip="sum")),
                "The running mean is of g², not of |g|.": walk(_rmsprop(slip="no square")),
                "The mean of squares starts anew at each step. Keep it in `self.state[p]`.": walk(_rmsprop(slip="forgets")),
                "Your mean starts at g²; RMSprop's starts at 0.": walk(_rmsprop(slip="starts full")),
                "You corrected the start of the mean, as Adam does. RMSprop does not.": walk(_rmsprop(slip="corrected")),
                "ε stands inside the root. It is added after: √s + ε.": walk(_rmsprop(slip="eps inside")),
                "ε has no effect: add `eps` to the root.": walk(_rmsprop(slip="no eps")),
                "`centered` has no effect: with it the root is of s − a².": walk(_rmsprop(slip="not centered")),
                "With `centered` the mean of g is *squared* before it is subtracted: s − a².": walk(_rmsprop(slip="mean not squared")),
                "With `centered` you subtract g² itself; asked is the square of the running mean of g.": walk(_rmsprop(slip="g squared")),
                "With `centered` a is the running mean of g; yours is of g².": walk(_rmsprop(slip="mean of squares")),
                "a² is taken off the s that is kept for the next step. Subtract into a new tensor, not `s -= …`.": walk(_rmsprop(slip="kept")),
                "You centre always, not only with `centered=True`.": walk(_rmsprop(slip="always centered")),
                "One size for the whole tensor: each *element* has its own s.": walk(_rmsprop(slip="over the tensor")),
                LR_INSIDE: walk(_rmsprop(slip="lr inside")),
                FORGETS: walk(_rmsprop(), forget=True),
                "`momentum` has no effect: the parameter moves along b ← μ·b + g / (root + ε).": walk(_rmsprop(slip="no momentum")),
                "The velocity takes up g / (root + ε), not g: divide first.": walk(_rmsprop(slip="momentum before")),
                "Your velocity is an average; RMSprop's is a sum, μ·b + g / (root + ε).": walk(_rmsprop(slip="ema")),
                "The decay is decoupled, as in AdamW. Here `weight_decay` times the parameter is added to the gradient, before all else.": walk(_rmsprop(slip="decoupled")),
                SHARED: walk(_rmsprop(), shared=True),
                GROUPS: walk(_rmsprop(), keep_lr=True),
            } | _decay_slips(lambda direction: walk(_rmsprop(direction))) | _from_defaults(walk, _rmsprop(), options, own)

        _judge_path(case, want, slips, params, path, grads, left, borrowed, in_place)


def _adam(direction=_signed, slip="", decoupled=False):
    def rule(p, g, s, o):
        (b1, b2), eps, lr = o.get("betas", (0.9, 0.999)), o.get("eps", 1e-8), o["lr"]
        decay = o.get("weight_decay", 1e-2 if decoupled else 0)
        if decoupled:
            shrink = {"no lr": -decay * p, "grows": lr * decay * p, "no decay": 0 * p}.get(slip, -lr * decay * p)
            g = direction(p, g, {**o, "weight_decay": 0})
        else:
            shrink, g = 0, direction(p, g, o)
        if not s:
            s |= {"m": torch.zeros_like(p), "v": torch.zeros_like(p), "t": 0}
        s["t"] += 1
        if slip == "betas swapped":
            b1, b2 = b2, b1
        m = s["m"] = b1 * s["m"] + (1 if slip == "m sum" else 1 - b1) * g
        v = s["v"] = b2 * s["v"] + (1 if slip == "v sum" else 1 - b2) * (g if slip == "no square" else m**2 if slip == "v of m" else g**2)
        if slip == "forgets":
            m, v = (1 - b1) * g, (1 - b2) * g**2
        t = s["t"] + (slip == "ahead") - (slip == "late")
        t = torch.tensor(float(t)) if slip == "t tensor" else t
        if slip != "no correction" and slip != "v only":
            m = m / (1 - (b1 if slip == "first only" else b1**t))
        if slip not in ("no correction", "m only", "eps early"):
            v = v / (1 - (b2 if slip == "first only" else b2**t))
        if slip == "stored":
            s["m"], s["v"] = m, v
        if slip == "eps inside":
            root = (v + eps).sqrt()
        elif slip == "no root":
            root = v + eps
        elif slip == "eps early":
            root = (v.sqrt() + eps) / math.sqrt(1 - b2**t)
        else:
            root = v.sqrt() + (0 if slip == "no eps" else eps)
        move = -lr * (g if slip == "no m" else m) / root
        if slip == "after":
            shrink = -lr * decay * (p + move)
        return shrink + move

    return rule


def _miscounted(groups, options, decoupled, way):
    """Adam with one step counter for all: it goes up once a parameter ("each"), or once a step ("step")."""
    optimizer = Slip(groups, options, None)
    count, rule = {"t": 0}, _adam(decoupled=decoupled)

    def counted(p, g, s, o):
        if way == "each":
            count["t"] += 1
        if not s:
            s |= {"m": torch.zeros_like(p), "v": torch.zeros_like(p)}
        s["t"] = count["t"] - 1
        return rule(p, g, s, o)

    optimizer.rule, plain = counted, optimizer.step

    def step():
        count["t"] += way == "step"
        plain()

    optimizer.step = step
    return optimizer


def _adam_slips(params, grads, options, sizes, own, in_place, decoupled):
    """Misconceptions of Adam and AdamW alike."""
    def walk(rule, **extra):
        return _slip(options, rule, params, grads, sizes, own, in_place, **extra)

    def adam(slip, **extra):
        return walk(_adam(slip=slip, decoupled=decoupled), **extra)

    def counted(way):
        return _walk(lambda groups: _miscounted(groups, options, decoupled, way), params, grads, sizes, own, in_place)

    return {
        "You climb: the step goes against the gradient.": walk(lambda p, g, s, o: -_adam(decoupled=decoupled)(p, g, s, {**o, "weight_decay": 0})),
        "The learning rate is missing.": walk(lambda p, g, s, o: _adam(decoupled=decoupled)(p, g, s, {**o, "weight_decay": 0}) / o["lr"]),
        "The bias correction is missing: m and v start at 0; divide m by 1 − β₁ᵗ and v by 1 − β₂ᵗ.": adam("no correction"),
        "v is not corrected: divide it by 1 − β₂ᵗ.": adam("m only"),
        "m is not corrected: divide it by 1 − β₁ᵗ.": adam("v only"),
        "The correction stays what it is at the first step, 1 − β; it is 1 − β to the power of t.": adam("first only"),
        "The *corrected* means are kept for the next step, and corrected again. Keep m and v; m̂ and v̂ are for this step only.": adam("stored"),
        "m is a sum here, not a mean: the new g goes in with the factor 1 − β₁.": adam("m sum"),
        "v is a sum here, not a mean: the new g² goes in with the factor 1 − β₂.": adam("v sum"),
        "v is made from m²; it is the running mean of g².": adam("v of m"),
        "t is one too large: it is 1 at a parameter's first step.": adam("ahead"),
        "t is a tensor of float32 here, and 1 − β₂ᵗ loses digits. Count with a plain number.": adam("t tensor"),
        "t is one too small: it is 1 at a parameter's first step.": adam("late"),
        "The two betas are swapped: the first is m's, the second v's.": adam("betas swapped"),
        "The root is missing: v is a mean of *squares*, so divide by √v̂.": adam("no root"),
        "v is the running mean of g², not of g.": adam("no square"),
        "The step goes along m̂, not along g.": adam("no m"),
        "m and v start anew at each step. Keep them in `self.state[p]`.": adam("forgets"),
        "ε stands inside the root. It is added after: √v̂ + ε.": adam("eps inside"),
        "ε is added before the correction of v; it is added to √v̂, last.": adam("eps early"),
        "ε has no effect: add `eps` to the root.": adam("no eps"),
        "t is counted once for every *parameter*, not once a step. Each parameter counts its own steps, in `self.state[p]`.": counted("each"),
        "t counts the steps of the optimizer; it should count this *parameter's* steps. One without a gradient does not count. Keep it in `self.state[p]`.": counted("step"),
        SHARED: adam("", shared=True),
        GROUPS: adam("", keep_lr=True),
        FORGETS: adam("", forget=True),
    } | _from_defaults(walk, _adam(decoupled=decoupled), options, own)


@exercise("06.4", points=4, needs=["Adam"], reference="torch.optim:Adam")
class AdaptiveMoments:
    """Adam."""

    errors = {"ZeroDivisionError": "1 − β⁰ is 0: t is 1 at the first step. Count first, then correct."} | STEP_ERRORS

    def inputs(rng):
        yield _case(rng, "Adam", "betas (0.9, 0.95)", [(3,)], {"lr": 0.05, "betas": (0.9, 0.95)})
        yield _case(rng, "Adam", "two parameters of the same shape", [(3,), (3,)], {"lr": 0.05})
        yield _case(rng, "Adam", "several parameters; some have no gradient", [(4, 3), (3,), (2, 2)], {"lr": 0.05, "betas": (0.8, 0.95)}, skip=True)
        yield _case(rng, "Adam", "small gradients, eps 0.01", [(4,)], {"lr": 0.1, "betas": (0.9, 0.99), "eps": 0.01}, size=0.01)
        yield _case(rng, "Adam", "weight_decay 0.5", [(2, 3)], {"lr": 0.1, "weight_decay": 0.5})
        yield _case(rng, "Adam", "maximize and weight_decay", [(4,)], {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.5, "maximize": True})
        yield _case(rng, "Adam", "two groups, float64; half-way a checkpoint is loaded and the rates change", [(4,), (2, 3), (3,)], {"lr": 0.1}, torch.float64,
                    groups=[({"betas": (0.8, 0.9), "eps": 0.1}, 1), ({"lr": 0.01, "weight_decay": 0.1}, 2)], in_place=True)

    probe = probe

    def judge(case, params, grads, options, sizes, own, in_place, path, left, borrowed):
        def walk(rule):
            return _slip(options, rule, params, grads, sizes, own, in_place)

        want = _walk(lambda groups: torch.optim.Adam(groups, **options), params, grads, sizes, own, in_place)

        def slips():
            decoupled = "The decay is decoupled: that is AdamW, the next exercise. In Adam `weight_decay` times the parameter is added to the gradient."
            return _adam_slips(params, grads, options, sizes, own, in_place, decoupled=False) | _decay_slips(lambda direction: walk(_adam(direction))) | {decoupled: walk(_adam(decoupled=True))}

        _judge_path(case, want, slips, params, path, grads, left, borrowed, in_place)


@exercise("06.5", points=2, needs=["AdamW"], reference="torch.optim:AdamW")
class DecoupledDecay:
    """AdamW."""

    errors = AdaptiveMoments.errors

    def inputs(rng):
        yield _case(rng, "AdamW", "weight_decay 0.5", [(3,)], {"lr": 0.05, "betas": (0.9, 0.99), "weight_decay": 0.5})
        yield _case(rng, "AdamW", "several parameters; some have no gradient; the decay as it is by default", [(4, 3), (3,), (2, 2)], {"lr": 0.3}, skip=True)
        yield _case(rng, "AdamW", "small gradients, eps 0.01", [(4,)], {"lr": 0.1, "eps": 0.01, "weight_decay": 0.1}, size=0.01)
        yield _case(rng, "AdamW", "maximize", [(2, 3)], {"lr": 0.1, "weight_decay": 0.5, "maximize": True})
        yield _case(rng, "AdamW", "two groups, float64; half-way a checkpoint is loaded and the rates change", [(4,), (2, 3), (3,)], {"lr": 0.1}, torch.float64,
                    groups=[({"betas": (0.8, 0.9), "weight_decay": 0.0}, 1), ({"lr": 0.01, "weight_decay": 0.9}, 2)], in_place=True)

    probe = probe

    def judge(case, params, grads, options, sizes, own, in_place, path, left, borrowed):
        def walk(rule, change=None):
            return _slip(options | (change or {}), rule, params, grads, sizes, own, in_place)

        def adamw(slip):
            return walk(_adam(slip=slip, decoupled=True))

        want = _walk(lambda groups: torch.optim.AdamW(groups, **options), params, grads, sizes, own, in_place)
        default = {"weight_decay": options.get("weight_decay", 1e-2)}

        def slips():
            return {
                "The decay is part of the gradient: that is Adam with L2. Here it shrinks the parameter itself, and g stays as it is.": walk(_adam(), default),
                "The decay comes twice: it shrinks the parameter and is also added to the gradient.": walk(_twice, default),
                "The factor is 1 − lr·weight_decay; the lr is missing.": adamw("no lr"),
                "`maximize` turns the gradient's sign, not that of the decay: it shrinks the parameter also when you climb.": walk(_grows_when_climbing),
                "The parameter grows: the factor is 1 − lr·weight_decay.": adamw("grows"),
                "The decay has no effect: multiply the parameter by 1 − lr·weight_decay.": adamw("no decay"),
                "The decay comes *before* Adam's step; you shrank the parameter after it had moved.": adamw("after"),
                "With `maximize` you go down: turn the gradient's sign.": walk(_adam(lambda p, g, o: g, decoupled=True)),
            } | _adam_slips(params, grads, options, sizes, own, in_place, decoupled=True)

        _judge_path(case, want, slips, params, path, grads, left, borrowed, in_place)


def _twice(p, g, s, o):
    shrink = -o["lr"] * o["weight_decay"] * p
    return shrink + _adam()(p + shrink, g, s, o)


def _grows_when_climbing(p, g, s, o):
    return _adam(slip="grows" if o.get("maximize") else "", decoupled=True)(p, g, s, o)


def _warmup_cosine(step, warmup, total, floor, slip=""):
    if step < warmup:
        climb = (step if slip == "from zero" else step + 1) / (warmup + (slip == "late peak"))
        return floor + (1 - floor) * climb if slip == "from floor" else climb
    along = (step + (slip == "early") - (0 if slip == "over all" else warmup)) / (total - (slip == "total - 1") - (0 if slip in ("over all", "ends late") else warmup))
    if slip == "zero after" and step >= total:
        return 0.0
    if slip != "climbs again":
        along = min(along, 1.0)
    if slip == "linear":
        return floor + (1 - floor) * (1 - along)
    if slip == "one more" and step == warmup and warmup:
        return (step + 1) / warmup
    if slip == "whole wave":
        along = 2 * along if step < total else 1.0
    half = math.cos(math.pi * along) if slip == "not halved" else math.cos(math.pi * along / 2) if slip == "quarter" else (1 + math.cos(math.pi * along)) / 2
    if slip == "added floor":
        return floor + half
    if slip == "cut floor":
        return max(floor, half)
    return half if slip == "no floor" else floor + (1 - floor) * half


@exercise("06.6", points=2, needs=["warmup_cosine"])
class WarmupCosine:
    """Warm-up and cosine."""

    errors = {"ZeroDivisionError": "A division by 0: `warmup` may be 0; then there is no climb, and step 0 has the factor 1."}

    def inputs(rng):
        yield {"steps": list(range(20)), "warmup": 5, "total": 20, "floor": 0.0, "_case": "warmup 5, total 20, floor 0"}
        yield {"steps": list(range(40)), "warmup": 4, "total": 25, "floor": 0.1, "_case": "floor 0.1, and steps beyond total"}
        yield {"steps": list(range(12)), "warmup": 0, "total": 10, "floor": 0.0, "_case": "no warm-up"}
        warmup = rng.integer(1, 10)
        total = warmup + rng.integer(5, 50)
        yield {"steps": rng.randperm(total + 5).tolist(), "warmup": warmup, "total": total, "floor": 0.02, "_case": "steps in any order"}

    def probe(student, steps, warmup, total, floor):
        options = {"floor": floor} if floor else {}
        factors = [student.warmup_cosine(step, warmup, total, **options) for step in steps]
        plain = [float(f) if isinstance(f, torch.Tensor) and f.numel() == 1 else f for f in factors]
        rates = []
        if all(isinstance(f, (int, float)) for f in plain) and steps == sorted(steps):
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: student.warmup_cosine(step, warmup, total, **options))
            for _ in steps:
                rates.append(float(optimizer.param_groups[0]["lr"]))
                optimizer.step()
                scheduler.step()
        return {"factors": plain, "rates": rates}

    def judge(case, steps, warmup, total, floor, factors, rates):
        def all_of(slip=""):
            return torch.tensor([_warmup_cosine(step, warmup, total, floor, slip) for step in steps], dtype=torch.float64)

        case.that(all(type(f) in (int, float) for f in factors), "The factor should be a number; is a `return` missing in one of the branches?")
        want = all_of()
        mistakes = {
            "The first factor is 0, so the first step trains nothing: steps count from 0, and the first factor is 1/warmup.": all_of("from zero"),
            "The climb reaches 1 one step too late: it has `warmup` steps, the last one at 1.": all_of("late peak"),
            "The climb has one step too many: at step `warmup` the cosine begins, with 1. Is it `step < warmup`?": all_of("one more"),
            "The cosine begins at step 0. It begins where the warm-up ends: count from there, `step - warmup`, over `total - warmup` steps.": all_of("over all"),
            "The cosine does not end at `total`: it takes `total - warmup` steps, not `total`.": all_of("ends late"),
            "The factor climbs again after `total`: there it stays at `floor`.": all_of("climbs again"),
            "The cosine runs one step ahead: at step `warmup` the factor is still 1.": all_of("early"),
            "The cosine reaches its end one step too early: at step `total`, not `total - 1`.": all_of("total - 1"),
            "The climb begins at `floor`; it is in equal parts from 0: 1/`warmup`, 2/`warmup`, …": all_of("from floor"),
            "From `total` on the factor is `floor`, not 0.": all_of("zero after"),
            "That is a whole cosine wave, down and up again; asked is half of it, π · ….": all_of("whole wave"),
            "The factor falls in a straight line; asked is half a cosine.": all_of("linear"),
            "The cosine goes from 1 to −1: (1 + cos) / 2 goes from 1 to 0.": all_of("not halved"),
            "That is a quarter of a cosine wave, cos(π/2 · …); asked is the half, flat at both ends.": all_of("quarter"),
            "`floor` has no effect: the last factor is `floor`.": all_of("no floor"),
            "You added `floor` on top: the cosine must go from 1 to `floor`, so stretch it by 1 − floor.": all_of("added floor"),
            "You cut the cosine off at `floor`; asked is a cosine that ends there.": all_of("cut floor"),
        }
        what = "The list of factors" if steps != sorted(steps) else f"The list of factors for steps 0 to {len(steps) - 1}"
        case.close(torch.tensor(factors, dtype=torch.float64), want, what=what, mistakes=mistakes, rtol=1e-6, atol=1e-7)
        if rates:
            case.close(torch.tensor(rates, dtype=torch.float64), 0.5 * want, what="The learning rate under LambdaLR", rtol=1e-6, atol=1e-7)


@exercise("06.7", points=2, needs=["clip_by_norm"], reference="torch.nn.utils:clip_grad_norm_")
class ClipByNorm:
    """Clip by the total norm."""

    errors = {
        "NoneType": "A parameter's `.grad` is None here: leave it out.",
        "non-empty": "No parameter has a gradient here: there is nothing to stack; the total norm is a tensor 0.",
        "'int' object has no attribute": "No parameter has a gradient here: `sum` of nothing is the number 0; the total norm is a tensor 0.",
        "must be Tensor, not int": "No parameter has a gradient here: `sum` of nothing is the number 0; the total norm is a tensor 0.",
        "same dtype": "Two dtypes met. The norm should have the dtype of the gradients.",
        "a leaf Variable": "Change the gradients (`p.grad`), not the parameters.",
    }

    def inputs(rng):
        def case(label, shapes, max_norm, dtype=torch.float32, size=1.0, missing=(), generator=False):
            grads = [None if i in missing else size * rng.randn(math.prod(shape), dtype=dtype).reshape(shape) for i, shape in enumerate(shapes)]
            return {"grads": grads, "shapes": [list(shape) for shape in shapes], "max_norm": max_norm, "generator": generator, "_case": label}

        yield case("a norm above max_norm", [(3, 4), (4,)], 1.5)
        yield case("a norm below max_norm", [(3, 4), (4,)], 1.0, size=0.01)
        yield case("a generator, as model.parameters() is", [(3, 2), (5,), (2, 2)], 0.7, generator=True)
        yield case("a parameter without a gradient", [(3,), (4,), (2, 2)], 0.5, missing=(1,))
        yield case("float64, large gradients", [(5,), (2, 2), ()], 2.0, torch.float64, size=1e4)
        yield case("no gradient at all", [(3,)], 1.0, missing=(0,))

    def probe(student, grads, shapes, max_norm, generator):
        params = []
        for shape, g in zip(shapes, grads):
            p = torch.ones(shape, dtype=torch.float32 if g is None else g.dtype).requires_grad_()
            p.grad = None if g is None else g.clone()
            params.append(p)
        before = [p.grad for p in params]
        called, torchs = [], torch.nn.utils.clip_grad_norm_
        torch.nn.utils.clip_grad_norm_ = lambda *args, **options: called.append(1) or torchs(*args, **options)
        try:
            total = student.clip_by_norm((p for p in params) if generator else params, max_norm)
        finally:
            torch.nn.utils.clip_grad_norm_ = torchs
        total = total.clone() if isinstance(total, torch.Tensor) else total
        in_place = all(p.grad is g for p, g in zip(params, before))
        return {"total": total, "clipped": [p.grad for p in params], "values": [p.detach() for p in params], "in_place": in_place, "borrowed": bool(called)}

    def judge(case, grads, max_norm, generator, total, clipped, values, in_place, borrowed):
        there = [g for g in grads if g is not None]
        case.that(all((a is None) == (b is None) for a, b in zip(clipped, grads, strict=True)), "A `.grad` that was None is no longer, or one that was there is None.")
        case.that(all(torch.equal(v, torch.ones_like(v)) for v in values), "The parameters themselves were changed; only their gradients should be.")
        norm = torch.stack([g.norm() for g in there]).norm() if there else torch.tensor(0.0)
        factor = min(1.0, (max_norm / (norm + 1e-6)).item())
        flat = torch.cat([g.flatten() for g in there]) if there else torch.zeros(0)
        got = torch.cat([g.flatten() for g in clipped if g is not None]) if there else flat
        each = [g * min(1.0, max_norm / (g.norm().item() + 1e-6)) for g in there]
        sum_of_norms = sum((g.norm() for g in there), torch.tensor(0.0, dtype=norm.dtype))
        largest = torch.stack([g.norm() for g in there]).max() if there else norm
        wrong = {
            "Nothing was clipped: `params` may be a generator, as `model.parameters()` is; it can be gone through only once. Make a list first." if generator else
            "Nothing was clipped. Scale the gradients in place: `g *= …` (`g = g * …` makes a new tensor).": flat,
            "Each gradient is clipped by itself: that changes the direction. Take one norm over all, and one factor.": torch.cat([g.flatten() for g in each]) if there else flat,
            "Each number is clipped by itself: that changes the direction. Multiply all gradients by one factor.": flat.clamp(-max_norm, max_norm),
            "Small gradients were scaled *up*. The factor is never more than 1.": flat * max_norm / (norm + 1e-6),
            "All gradients have norm 1 × max_norm each: asked is the norm of all together.": torch.cat([(g * max_norm / g.norm()).flatten() for g in there]) if there else flat,
            "You divided by the *square* of the norm: the root is missing.": flat * min(1.0, (max_norm / norm**2).item()) if there else flat,
            "That is the largest of the norms; the total norm is the root of the sum of their squares.": flat * min(1.0, (max_norm / largest).item()) if there else flat,
            "The sum of the norms is not the total norm: take the root of the sum of their squares.": flat * min(1.0, (max_norm / sum_of_norms).item()) if there else flat,
            "You divided by the norm but did not multiply by `max_norm`.": flat / norm if there else flat,
            "The gradients were scaled by the norm instead of max_norm / norm.": flat * norm,
        }
        case.close(got, flat * factor, what="The gradients, end to end,", mistakes=wrong, rtol=1e-5, atol=1e-7)
        case.that(type(total) not in (int, float), f"The total norm is a number of Python, {total}. Return a tensor of shape (), of the gradients' dtype.")
        case.close(total, norm, what="The total norm", rtol=1e-5, atol=1e-7, mistakes={
            "This is the norm *after* the clipping; return the one before.": (flat * factor).norm(),
            "This is the square of the norm: the root is missing.": norm**2,
            "This is the sum of the norms; the total norm is the root of the sum of their squares.": sum_of_norms,
            "This is the largest of the norms; the total norm is the root of the sum of their squares.": largest,
            "This is the factor, not the norm.": torch.tensor(factor, dtype=norm.dtype),
        })
        # In one case only: the gradients are right, so half the points.
        case.that(in_place or not generator, "`p.grad` is a new tensor now. Change the one that is there, in place: `p.grad *= …`, not `p.grad = p.grad * …`.")
        case.that(not borrowed or not generator, "`torch.nn.utils` did the clipping. Here the point is to write it out.")


ALWAYS = "In `eval()` dropout does nothing; here numbers are dropped. Ask `self.training`."


@exercise("06.8", points=3, needs=["Dropout"], reference="torch.nn:Dropout")
class DropoutModule:
    """Dropout."""

    errors = {
        "Expected p_keep": "A probability must be between 0 and 1.",
        "leaf Variable": "x belongs to the caller: make a new tensor, do not change x in place.",
        "same dtype": "The mask has another dtype than x: `.to(x.dtype)`.",
        "not implemented for 'Bool'": "The mask is bool: `.to(x.dtype)`.",
    }

    def inputs(rng):
        def case(label, p, shape, dtype=torch.float32, mode="train"):
            x = rng.randn(*shape, dtype=dtype).sign() * (0.5 + rng.rand(*shape, dtype=dtype))  # no zeros
            return {"x": x, "v": rng.randn(*shape, dtype=dtype), "p": p, "mode": mode, "_case": label}

        yield case("p = 0.2, in training", 0.2, (200, 50))
        yield case("in eval()", 0.5, (40, 10), mode="eval")
        yield case("p = 0", 0.0, (40, 10))
        yield case("p = 0.37, four dimensions, float64", 0.37, (20, 5, 10, 10), torch.float64)
        yield case("eval(), then train() again", 0.5, (100, 50), mode="eval, train")
        yield {"x": rng.rand(50, 100).t() + 0.5, "v": rng.randn(100, 50), "p": 0.5, "mode": "inside", "_case": "inside a network, non-contiguous"}

    def probe(student, x, v, p, mode):
        module = student.Dropout(p)
        outer = torch.nn.Sequential(module) if mode == "inside" else module
        if mode.startswith("eval"):
            outer.eval()
        if mode == "eval, train":
            outer.train()
        leaf = x.clone().requires_grad_()
        called = []

        class Watch(torch.overrides.TorchFunctionMode):
            def __torch_function__(self, function, types, args=(), kwargs=None):
                called.append(getattr(function, "__name__", ""))
                return function(*args, **(kwargs or {}))

        with Watch():
            y = outer(leaf)
        gradient = None
        if isinstance(y, torch.Tensor) and y.requires_grad and y.shape == x.shape:
            gradient = torch.autograd.grad(y, leaf, v.to(y.dtype), allow_unused=True)[0]
        again = outer(x)
        counts = [int((outer(x) == 0).sum()) for _ in range(4)] if x.dim() == 4 else []
        outer.eval()
        return {"y": y, "gradient": gradient, "again": again, "counts": counts, "borrowed": any("dropout" in name for name in called), "at_rest": outer(x)}

    def judge(case, x, v, p, mode, y, gradient, again, counts, borrowed, at_rest):
        scaled = x / (1 - p)
        if mode == "eval":
            case.that(not (isinstance(y, torch.Tensor) and y.shape == x.shape and (y == 0).any()), ALWAYS)
            case.close(y, x, what="The output in eval()", mistakes={
                "In `eval()` the output is x itself. The scaling by 1 / (1 − p) belongs to training.": [scaled, x * (1 - p), x * p],
            })
            return case.close(gradient, v, what="The gradient in eval()")
        case.close(y, y if isinstance(y, torch.Tensor) and y.shape == x.shape and y.dtype == x.dtype else x, what="The output in training")
        dropped = y == 0
        share, n = dropped.double().mean().item(), x.numel()
        spread = 6 * math.sqrt(p * (1 - p) / n)
        if p > 0 and share == 0:
            same = torch.allclose(y, x)
            case.that(False, "Nothing is dropped in training: with probability p an element becomes 0." if same else "Nothing is dropped; the whole input is scaled.")
        case.that(share < 1 or p > 0.9, "Everything is 0.")
        rows = dropped.reshape(len(x), -1).double().mean(1)
        columns = dropped.reshape(len(x), -1).double().mean(0)
        whole = p > 0 and (((rows == 0) | (rows == 1)).all() or ((columns == 0) | (columns == 1)).all())
        case.that(not whole, "Whole rows or columns are dropped together: draw one random number for each *element* of x.")
        if abs(share - p) > spread:
            swapped = abs(share - (1 - p)) <= spread
            case.that(False, f"A share of {share:.2f} is dropped, and p = {p}. " + ("You *keep* with probability p; p is the probability to be dropped." if swapped else "Is the random number from 0 to 1 (`rand`, not `randn`), and compared with `self.p` as it is?"))
        kept = torch.where(dropped, torch.zeros_like(x), scaled)
        mask = (~dropped).to(x.dtype)
        case.close(y, kept, what="What is kept", mistakes={
            "What is kept must be scaled up by 1 / (1 − p), so that the mean stays what it was.": mask * x,
            "What is kept is divided by p; divide it by the probability to be *kept*, 1 − p.": mask * x / p if p else mask * x,
            "What is kept is multiplied by 1 − p; divide by it.": mask * x * (1 - p),
        })
        case.that(gradient is not None, "No gradient flows back to x: it was cut off (`detach`, `.data`, `no_grad`?).")
        case.close(gradient, torch.where(dropped, torch.zeros_like(v), v / (1 - p)), what="The gradient", mistakes={
            "The gradient goes through elements that were dropped: multiply x by the mask, in a way that autograd sees.": [v, v / (1 - p)],
        })
        case.that(p == 0 or not torch.equal(again == 0, dropped), "A second call drops the same elements. Draw a new mask in each call of `forward`, without a seed of your own.")
        case.equal(len(counts), 4 if x.dim() == 4 else 0, what="The number of calls")
        case.that(len(set(counts)) != 1, f"Each call drops exactly {max(counts, default=0)} elements. Each element is dropped by a chance of its own, so the number varies.")
        case.that(p == 0 or not (at_rest == 0).any(), ALWAYS)
        case.close(at_rest, x, what="The output in eval()", mistakes={
            "In `eval()` the output is x itself: ask `self.training`.": [scaled, x * (1 - p)],
        })
        # In one case only: half the points.
        case.that(not borrowed or mode != "inside", "`F.dropout` did the work. Here the point is to write it out.")


def _early_stop(losses, patience, slip=""):
    best, bad = 0, 0
    for epoch in range(1, len(losses)):
        before = losses[epoch - 1] if slip == "previous" else losses[best]
        if losses[epoch] < losses[best]:
            best = epoch
        if losses[epoch] < before or (slip == "ties" and losses[epoch] == before):
            best = epoch if slip == "ties" else best
            bad = bad if slip == "never reset" else 0
        else:
            bad += 1
        if bad >= patience + (slip == "late") - (slip == "early"):
            return epoch, min(range(len(losses)), key=losses.__getitem__) if slip == "peeks" else best
    return len(losses) - 1, best


def _early_stop_late_best(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if epoch - best >= patience:
            return epoch, best
        best = epoch if loss < losses[best] else best
    return len(losses) - 1, best


@exercise("06.9", points=2, needs=["early_stop"])
class EarlyStop:
    """When to stop."""

    errors = {"NoneType": "For some losses nothing is returned: what if training runs to the end?"}

    def inputs(rng):
        yield {"losses": [1.0, 0.8, 0.7, 0.75, 0.72, 0.9, 0.95, 0.6, 0.5], "patience": 3, "_case": "losses 1.0, 0.8, 0.7, 0.75, 0.72, 0.9, 0.95, 0.6, 0.5; patience 3"}
        yield {"losses": [0.9, 0.7, 0.8, 0.6, 0.65, 0.5, 0.7, 0.45], "patience": 3, "_case": "runs to the end"}
        yield {"losses": [1.0, 0.5, 0.9, 0.8, 0.7, 0.6, 0.4], "patience": 3, "_case": "after the best epoch it falls, but not below the best"}
        yield {"losses": [0.5, 0.5, 0.5, 0.5], "patience": 2, "_case": "always the same loss"}
        yield {"losses": [0.5, 0.4, 0.45, 0.3], "patience": 1, "_case": "patience 1"}
        yield {"losses": [0.7], "patience": 1, "_case": "one epoch"}
        for _ in range(3):
            yield {"losses": [round(v, 2) for v in (rng.rand(30) + 3 / torch.arange(1, 31)).tolist()], "patience": rng.integer(1, 6), "_case": "thirty random losses"}

    def probe(student, losses, patience):
        return {"answer": student.early_stop(losses, patience)}

    def judge(case, losses, patience, answer):
        case.that(isinstance(answer, list) and len(answer) == 2, "Return two numbers: `return last_epoch, best_epoch`.")
        want = _early_stop(losses, patience)
        answer = [int(a) if isinstance(a, torch.Tensor) and a.numel() == 1 else a for a in answer]
        case.equal(answer, want, what="(last epoch, best epoch)", mistakes={
            "The best epoch comes after the stop: at that time nobody knows those losses.": _early_stop(losses, patience, "peeks"),
            "You stop one epoch too late: after the `patience`-th epoch in a row without improvement.": _early_stop(losses, patience, "late"),
            "You stop one epoch too early: after the `patience`-th epoch in a row without improvement.": _early_stop(losses, patience, "early"),
            "Training runs to the end, and the last epoch is len(losses) − 1: epochs count from 0.": (len(losses), want[1]),
            "You ask whether to stop before you have looked whether this epoch is the best: first update the best.": _early_stop_late_best(losses, patience),
            "You compare with the epoch before; compare with the best loss so far.": _early_stop(losses, patience, "previous"),
            "An equal loss is no improvement: only one *lower than all before* is.": _early_stop(losses, patience, "ties"),
            "You count all epochs without improvement; count those in a row: an improvement sets the count back to 0.": _early_stop(losses, patience, "never reset"),
            "The two numbers are swapped: first the last epoch, then the best.": want[::-1],
            "Epochs count from 0 here.": [w + 1 for w in want],
            "These are losses; asked are the numbers of the epochs.": [[want[0], losses[want[1]]], [losses[want[0]], losses[want[1]]]],
            "The second number should be the best epoch; training may run to the end, and the last need not be the best.": [(want[0], want[0])],
        })
