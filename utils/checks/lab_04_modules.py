"""Checks of lab 04, modules. Oracle: torch's own layers and functions, on weights that the judge draws."""

import math

import torch
import torch.nn.functional as F

from . import exercise

NOT_A_MODULE = "It is not a module: keep `(nn.Module)` behind the class's name, and `super().__init__()` in `__init__`."
NO_SUPER = "`super().__init__()` must come first in `__init__`: it makes the lists that parameters go into."


def _names(case, shapes: dict, weights: dict, where: dict[str, str]) -> None:
    """The student's parameters (name -> shape) are those of `weights`; `where` explains a name that is missing."""
    want = {name: list(value.shape) for name, value in weights.items()}
    for name in want:
        if name not in shapes:
            layer = name.removesuffix(".bias")
            case.that(f"{layer}.weight" not in shapes, f"`{layer}` has a weight, but no bias. Is it made with `bias=False`?")
            hint = where.get(name) or where.get(name.split(".")[0]) or ""
            case.that(False, f"`parameters()` does not know `{name}`; it has {', '.join(shapes) or 'nothing'}. {hint}".strip())
    for name in shapes:
        case.that(name in want, f"There is a parameter too many here: `{name}`. Wanted: {', '.join(want)}.")
    for name, shape in want.items():
        turned = " You have the two numbers the other way round." if shapes[name] == shape[::-1] and len(shape) == 2 else ""
        case.that(shapes[name] == shape, f"`{name}` has shape {tuple(shapes[name])}; wanted {tuple(shape)}.{turned}")


def _draw(rng, shapes: dict, dtype=torch.float32, scale=None) -> dict:
    """Random weights, of a size that keeps the signal's."""
    return {name: rng.randn(*shape, dtype=dtype) * (scale or 1 / math.sqrt(max(math.prod(shape[1:]), 1))) for name, shape in shapes.items()}


@exercise("04.1", points=3, needs=["Dense"])
class OwnLayer:
    """A layer of your own."""

    errors = {
        "has no attribute 'named_parameters'": NOT_A_MODULE,
        "before Module.__init__() call": NO_SUPER,
        "shapes cannot be multiplied": "The last dimension of x meets the weight's in_features, which is its *second* one: transpose the weight.",
        "size mismatch, got input": "The last dimension of x meets the weight's in_features, which is its *second* one: `x @ self.weight.T`.",
        "inconsistent tensor size": "The last dimension of x meets the weight's in_features, which is its *second* one: `x @ self.weight.T`.",
        "is not a Parameter": "A name that is registered as a parameter must stay one: do not assign a plain tensor to it.",
        "can't optimize a non-leaf": "Wrap the finished numbers: `nn.Parameter(...)` goes outermost.",
    }

    def inputs(rng):
        def case(x, n, m, **more):
            return {"weights": {"weight": rng.randn(m, n, dtype=x.dtype), "bias": rng.randn(m, dtype=x.dtype)}, "x": x, "fresh": False} | more

        yield case(rng.randn(5, 4), 4, 3)
        yield case(rng.randn(2, 6, 4), 4, 3, _case="x of shape (2, 6, 4)")
        yield case(rng.randn(3, 7, dtype=torch.float64).t(), 3, 5, _case="float64, x non-contiguous")
        yield case(rng.randn(4), 4, 2, _case="x of shape (4,), a single input")
        yield case(rng.randn(2, 64), 64, 48, fresh=True, _case="how a new Dense(64, 48) starts")

    def probe(student, weights, x, fresh):
        rows, columns = weights["weight"].shape
        layer = student.Dense(columns, rows)
        evidence = {"shapes": {name: list(p.shape) for name, p in layer.named_parameters()}, "y": None, "slope": None, "start": None}
        evidence["kinds"] = {name: type(getattr(layer, name, None)).__name__ for name in weights}
        evidence["buffers"] = [name for name, _ in layer.named_buffers()]
        if evidence["shapes"] != {name: list(value.shape) for name, value in weights.items()}:
            return evidence
        if fresh:
            return evidence | {"start": [dict(layer.named_parameters()), dict(student.Dense(columns, rows).named_parameters())]}
        layer = layer.to(x.dtype)
        layer.load_state_dict(weights)
        y = layer(x)
        if isinstance(y, torch.Tensor) and y.requires_grad:
            y.square().sum().backward()
        return evidence | {"y": y, "slope": layer.weight.grad}

    def judge(case, weights, x, fresh, shapes, y, slope, start, kinds, buffers):
        hints = {}
        for name, kind in kinds.items():
            if name in buffers:
                hints[name] = f"`{name}` is a buffer here; to be trained it must be an `nn.Parameter`."
            elif kind == "Tensor":
                hints[name] = f"`self.{name}` is a plain tensor, which is not noticed: `self.{name} = nn.Parameter(...)`."
            elif kind == "NoneType":
                hints[name] = f"Is it called `self.{name}`?"
        case.that("Linear" not in str(kinds.values()) and not any("." in name for name in shapes), "There is another layer inside. Here the point is to hold the two parameters yourself: `self.weight`, `self.bias`.")
        _names(case, shapes, weights, hints)
        if fresh:
            bound = 1 / math.sqrt(x.shape[-1])
            for name in weights:
                values, other = start[0][name], start[1][name]
                why = "wanted are random numbers here; zeros are another start (section 8)." if name == "bias" else "then all neurons compute the same, and learn the same. Draw them at random."
                case.that(values.min() < values.max(), f"All numbers of a new `{name}` are equal ({values.flatten()[0]:.3g}): {why}")
                case.that(not torch.equal(values, other), f"Two new layers start with the same `{name}`: leave the seed to the caller.")
                case.that(values.min() < 0, f"A new `{name}` has positive numbers only: draw from −1/√in_features to +1/√in_features. (`torch.rand` starts at 0.)")
                case.that(values.abs().max() > 1.2 * bound or values.abs().max() <= bound * 1.0001, f"The largest number in a new `{name}` is a little beyond 1/√in_features = {bound:.3g}. Is it in_features that stands under the root?")
                case.that(values.abs().max() <= bound * 1.0001, f"The numbers of a new `{name}` go up to {values.abs().max():.3g}; wanted are uniform ones up to 1/√in_features = {bound:.3g}.")
                case.that(values.abs().max() > 0.75 * bound, f"The numbers of a new `{name}` go up to {values.abs().max():.3g} only; wanted are uniform ones up to 1/√in_features = {bound:.3g}.")
            return
        w, b = weights["weight"], weights["bias"]
        mistakes = {"The bias is missing.": x @ w.T, "The bias is subtracted; it is added.": x @ w.T - b, "There is a ReLU in it: a layer of neurons without an activation was asked for.": (x @ w.T + b).relu()}
        if x.ndim > 1:
            mistakes["The result is transposed: one row per input, one column per neuron."] = (x @ w.T + b).transpose(-1, -2)
        case.close(y, F.linear(x, w, b), what="Dense(...)(x)", mistakes=mistakes)
        out = F.linear(x, w, b)
        case.that(slope is not None, "No gradient reaches `weight`: between the parameter and the result there is a `.data`, a `.detach()` or a `no_grad`.")
        case.close(slope, 2 * out.reshape(-1, len(b)).T @ x.reshape(-1, x.shape[-1]), what="the gradient in weight")


def _mlp(weights: dict, x, between=True, last=False):
    depth = len(weights) // 2
    for i in range(depth):
        x = F.linear(x, weights[f"layers.{i}.weight"], weights[f"layers.{i}.bias"])
        x = x.relu() if (last if i == depth - 1 else between) else x
    return x


@exercise("04.2", points=3, needs=["MLP"])
class AnyDepth:
    """An MLP of any depth."""

    errors = {
        "has no attribute 'named_parameters'": NOT_A_MODULE,
        "before Module.__init__() call": NO_SUPER,
        '"forward" function': "An `nn.ModuleList` is a list, it cannot be called: loop over it in forward.",
        "shapes cannot be multiplied": "What comes out of one layer does not fit the next one. Are all layers applied, each to the result of the one before?",
        "is not a Module subclass": "An `nn.ModuleList` holds modules: a list of `nn.Linear(n, m)`, for each pair of neighbouring sizes.",
    }

    def inputs(rng):
        def case(sizes, count, dtype=torch.float32, **more):
            shapes = {}
            for i, (n, m) in enumerate(zip(sizes, sizes[1:])):
                shapes |= {f"layers.{i}.weight": (m, n), f"layers.{i}.bias": (m,)}
            return {"sizes": sizes, "weights": _draw(rng, shapes, dtype), "x": rng.randn(sizes[0], count, dtype=dtype).t()} | more

        yield case([4, 8, 6, 3], 12, _case="sizes 4, 8, 6, 3")
        yield case([5, 3], 7, _case="sizes 5, 3: one layer")
        yield case([5, 3, 6, 3], 8, _case="sizes 5, 3, 6, 3")
        yield case([6, 4, 4, 4, 4, 2], 9, torch.float64, _case="sizes 6, 4, 4, 4, 4, 2, float64")

    def probe(student, sizes, weights, x):
        model = student.MLP(sizes)
        shapes = {name: list(p.shape) for name, p in model.named_parameters()}
        kept = type(getattr(model, "layers", None)).__name__
        if shapes != {name: list(value.shape) for name, value in weights.items()}:
            return {"shapes": shapes, "kept": kept, "y": None}
        model = model.to(x.dtype)
        model.load_state_dict(weights)
        return {"shapes": shapes, "kept": kept, "y": model(x)}

    def judge(case, sizes, weights, x, shapes, kept, y):
        case.that(shapes or kept not in ("list", "tuple"), f"`self.layers` is a plain {kept}: the module does not look into it, so `parameters()` is empty. Use `nn.ModuleList`.")
        case.that(shapes or kept != "generator", "`self.layers` is a generator, used up after one pass. Put it into an `nn.ModuleList`.")
        got, want = list(shapes), list(weights)
        case.that(len(got) != len(want) or got == want or not all(name.startswith("layers.") for name in got),
                  f"The parameters are called {', '.join(got[:4])} …; wanted {', '.join(want[:4])} …: something without weights, a ReLU perhaps, takes a place in `layers`. Keep the linear layers only, and call ReLU in forward.")
        matrices = [name for name in got if name.endswith("weight")]
        case.that(2 * len(matrices) >= len(want) or not set(got) < set(want), f"The model has {len(matrices)} weights for {len(sizes) - 1} layers: {', '.join(got)}. Is one and the same layer used several times, or one forgotten?")
        _names(case, shapes, weights, {"layers": "Assign the layers to `self.layers`."})
        case.close(y, _mlp(weights, x), what="MLP(sizes)(x)", mistakes={
            "There is a ReLU after the last layer too: its scores may be negative.": _mlp(weights, x, last=True),
            "There is no ReLU between the layers: then all of them are one linear layer.": _mlp(weights, x, between=False),
            "The ReLU stands after the last layer, and not between the layers.": _mlp(weights, x, between=False, last=True),
            "There is a softmax at the end: return the scores.": _mlp(weights, x).softmax(1),
        } | {
            "Another activation than ReLU stands between the layers.": [_other(weights, x, bend) for bend in (torch.tanh, torch.sigmoid, F.gelu, F.leaky_relu)],
            "The ReLU is left out after each layer that has as many outputs as the last one: ask for a layer's place, not for its size.": _other(weights, x, lambda x: x if x.shape[1] == sizes[-1] else x.relu()),
            "A ReLU stands in front of the first layer: it cuts off the negative inputs.": _mlp(weights, x.relu()),
        })


def _other(weights: dict, x, activation):
    depth = len(weights) // 2
    for i in range(depth):
        x = F.linear(x, weights[f"layers.{i}.weight"], weights[f"layers.{i}.bias"])
        x = activation(x) if i < depth - 1 else x
    return x


LENET = {"conv1.weight": (6, 1, 5, 5), "conv1.bias": (6,), "conv2.weight": (16, 6, 5, 5), "conv2.bias": (16,), "fc1.weight": (120, 400), "fc1.bias": (120,),
         "fc2.weight": (84, 120), "fc2.bias": (84,), "fc3.weight": (10, 84), "fc3.bias": (10,)}


def _lenet(weights: dict, x, skip=(), bend=F.relu, pool=F.max_pool2d, last=lambda x: x, flat=lambda x: x.flatten(1)):
    """LeNet by functions; `skip` names the layers whose ReLU is forgotten."""
    for name in ("conv1", "conv2"):
        x = F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
        x = pool(x if name in skip else bend(x), 2)
    x = flat(x)
    for name in ("fc1", "fc2"):
        x = F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
        x = x if name in skip else bend(x)
    return last(F.linear(x, weights["fc3.weight"], weights["fc3.bias"]))


@exercise("04.3", points=3, needs=["LeNet"])
class LessonNetwork:
    """The network as a class."""

    errors = {
        "has no attribute 'named_parameters'": NOT_A_MODULE,
        "before Module.__init__() call": NO_SUPER,
        "shapes cannot be multiplied": "Not 400 numbers an image arrive at `fc1` (the message says how many). Is a pooling missing, or one too many? Is it `flatten(1)`? Print `x.shape` line by line.",
        "is invalid for input of size": "The numbers do not divide into rows of that length: is a pooling missing? `x.flatten(1)` needs no number at all.",
        "to have 1 channels": "`conv1` takes one channel, `conv2` six: are they applied in this order?",
        "to have 6 channels": "`conv1` takes one channel, `conv2` six: are they applied in this order?",
        "missing 1 required positional argument": "`F.max_pool2d(x, 2)` is a function of x; `nn.MaxPool2d(2)` makes a module, which is then applied to x.",
        "must be Tensor, not": "A module was passed where a tensor belongs: `nn.ReLU(x)` makes a module; `F.relu(x)` or `x.relu()` computes.",
        "'ReLU' object": "`nn.ReLU(x)` makes a module; `F.relu(x)` or `x.relu()` computes.",
    }

    def inputs(rng):
        yield {"weights": _draw(rng, LENET), "x": rng.randn(4, 1, 32, 32)}
        yield {"weights": _draw(rng, LENET), "x": rng.randn(1, 1, 32, 32), "_case": "a batch of one image"}
        yield {"weights": _draw(rng, LENET, torch.float64), "x": rng.randn(32, 3, 32, 1, dtype=torch.float64).permute(1, 3, 0, 2), "_case": "float64, x non-contiguous"}

    def probe(student, weights, x):
        model = student.LeNet()
        shapes = {name: list(p.shape) for name, p in model.named_parameters()}
        if shapes != {name: list(value.shape) for name, value in weights.items()}:
            return {"shapes": shapes, "y": None}
        model = model.to(x.dtype)
        model.load_state_dict(weights)
        return {"shapes": shapes, "y": model(x)}

    def judge(case, weights, x, shapes, y):
        _names(case, shapes, weights, {name: f"Make it in `__init__`, as `self.{name}`." for name in ("conv1", "conv2", "fc1", "fc2", "fc3")})
        case.close(y, _lenet(weights, x), what="LeNet()(x)", mistakes={
            "There is a ReLU after fc3: the scores may be negative.": _lenet(weights, x, last=F.relu),
            "There is a softmax at the end: return the scores, the loss does the rest (lab 05).": [_lenet(weights, x, last=lambda x: x.softmax(1)), _lenet(weights, x, last=lambda x: x.log_softmax(1))],
            "The pooling averages; wanted is the maximum.": _lenet(weights, x, pool=F.avg_pool2d),
            "There is no ReLU at all: without it the linear layers are one.": _lenet(weights, x, skip=("conv1", "conv2", "fc1", "fc2")),
            "The ReLUs after the convolutions are missing.": _lenet(weights, x, skip=("conv1", "conv2")),
            "The ReLUs after fc1 and fc2 are missing.": _lenet(weights, x, skip=("fc1", "fc2")),
            "Another activation than ReLU is used.": [_lenet(weights, x, bend=bend) for bend in (torch.tanh, torch.sigmoid, F.leaky_relu)],
            "The images' numbers are mixed up before `fc1`: `x.flatten(1)` keeps one row an image; `reshape(400, -1).T` does not.": _lenet(weights, x, flat=lambda x: x.reshape(400, -1).T),
        } | {f"The ReLU after {name} is missing.": _lenet(weights, x, skip=(name,)) for name in ("conv1", "conv2", "fc1", "fc2")})


@exercise("04.4", points=2, needs=["conv1_count", "conv2_count", "fc1_count", "total_count", "conv1_count_64"])
class CountByHand:
    """Count by hand."""

    def inputs(rng):
        yield {}

    def probe(student):
        return {"counts": {name: getattr(student, name) for name in ("conv1_count", "conv2_count", "fc1_count", "total_count", "conv1_count_64")}}

    def judge(case, counts):
        right = {"conv1_count": 156, "conv2_count": 2416, "fc1_count": 48_120, "total_count": 61_706, "conv1_count_64": 156}
        wrong = [name for name, want in right.items() if isinstance(counts[name], torch.Tensor) or counts[name] != want]
        lead = f"{len(wrong)} of the 5 are wrong: {', '.join(wrong)}. " if len(wrong) > 1 else ""

        def ask(name, mistakes):
            case.equal(counts[name], right[name], what=lead + name, mistakes={f"{lead}{name}: {message}": value for message, value in mistakes.items()})

        ask("conv1_count", {
            "each of the 6 kernels has a bias too.": 150,
            "one bias a kernel, so six in all, not one.": 151,
            "there are six kernels; this is one of them.": [25, 26],
            "the same kernels serve at all 28 × 28 places: they count once.": [156 * 784, 150 * 784],
        })
        ask("conv2_count", {
            "each of the 16 kernels has a bias too.": 2400,
            "a kernel looks at all 6 channels at once, so it has 5 · 5 · 6 weights.": [16 * 26, 16 * 25],
            "one bias a kernel, not one for each channel that it looks at.": 16 * 6 * 26,
            "one bias a kernel, so sixteen in all, not one.": 2401,
        })
        ask("fc1_count", {
            "each of the 120 neurons has a bias too.": 48_000,
            "one bias a neuron, 120 in all, not one for each input.": 48_400,
            "16 channels of 5 × 5 arrive: 400 numbers, not 16.": [120 * 17, 120 * 16],
            "the pooling comes before it: 5 × 5 places are left, not 10 × 10.": [120 * 1601, 120 * 1600],
        })
        ask("total_count", {
            "the biases are missing.": 61_470,
            "fc3 is missing.": 60_856,
            "fc2 is missing.": 51_542,
            "fc2 and fc3 are missing.": 50_692,
        })
        ask("conv1_count_64", {
            "the size of the image does not matter to a convolution: the same kernels slide further.": [624, 600, 6 * 64 * 64, 6 * (64 * 64 + 1), 156 * 2],
            "each of the 6 kernels has a bias too.": 150,
        })


def _sizes(settings, divide=lambda a, s: a // s, plus=1, pads=2, covered=lambda k, d: d * (k - 1) + 1):
    return [divide(n + pads * p - covered(k, d), s) + plus for n, k, s, p, d in settings]


@exercise("04.5", points=2, needs=["output_size"])
class SizeFormula:
    """The output size."""

    errors = {"unexpected keyword argument": "Keep the names of the stub: size, kernel, stride, padding, dilation."}

    def inputs(rng):
        yield {"settings": [[32, 5, 1, 0, 1], [32, 3, 1, 1, 1], [32, 3, 2, 1, 1], [31, 2, 2, 0, 1], [32, 5, 3, 0, 1]], "_case": "no dilation"}
        yield {"settings": [[32, 3, 1, 0, 2], [32, 4, 3, 2, 3]], "_case": "with dilation"}
        drawn = [[rng.integer(15, 40), rng.integer(1, 6), rng.integer(1, 5), rng.integer(0, 4), rng.integer(1, 4)] for _ in range(16)]
        yield {"settings": drawn, "_case": "sixteen random settings"}
        yield {"settings": [[5, 5, 1, 0, 1], [5, 5, 3, 0, 1], [9, 5, 2, 0, 2], [7, 1, 1, 0, 3]], "_case": "the window covers the whole image, or one pixel"}

    def probe(student, settings):
        sizes = [student.output_size(size, kernel, stride, padding, dilation) for size, kernel, stride, padding, dilation in settings]
        return {"sizes": sizes, "default": student.output_size(settings[0][0], settings[0][1]), "named": student.output_size(size=20, kernel=3, stride=2, padding=1, dilation=1)}

    def judge(case, settings, sizes, default, named):
        want = [F.conv2d(torch.zeros(1, 1, n, n), torch.zeros(1, 1, k, k), stride=s, padding=p, dilation=d).shape[-1] for n, k, s, p, d in settings]
        case.that(None not in sizes, "output_size returns None: is a `return` missing?")
        case.equal(sizes, want, what=f"The list of sizes for (size, kernel, stride, padding, dilation) = {settings}", mistakes={
            "The dilation is not used: with gaps the window covers more pixels.": _sizes(settings, covered=lambda k, d: k),
            "kernel · dilation counts one gap too many: between k pixels there are k − 1 steps.": _sizes(settings, covered=lambda k, d: k * d),
            "From its first to its last pixel the window covers one more than the steps between them: dilation · (kernel − 1) + 1.": _sizes(settings, covered=lambda k, d: d * (k - 1)),
            "The dilation adds pixels in each gap, not once: there are kernel − 1 gaps.": _sizes(settings, covered=lambda k, d: k + d - 1),
            "The + 1 is missing: a window as large as the image still has one place to stand.": _sizes(settings, plus=0),
            "The + 1 is for the first place: add it after the division, not before.": _sizes(settings, lambda a, s: (a + 1) // s, plus=0),
            "The padding is on both sides: it counts twice.": _sizes(settings, pads=1),
            "The padding is not counted: it makes the image larger, on both sides.": _sizes(settings, pads=0),
            "A window that does not fit is left out, so round down: // in place of /.": _sizes(settings, lambda a, s: a / s),
            "Rounded up; a window that would stick out is left out: round down, //.": [_sizes(settings, lambda a, s: -(-a // s)), _sizes(settings, lambda a, s: round(a / s))],
            "The stride is not used: it divides the number of steps.": _sizes(settings, lambda a, s: a),
        })
        case.that(all(isinstance(size, int) for size in sizes), "A size is a whole number, an int: divide with // .")
        case.equal(default, settings[0][0] - settings[0][1] + 1, what="output_size(size, kernel), with stride 1, padding 0, dilation 1,")
        case.equal(named, 10, what="output_size(size=20, kernel=3, stride=2, padding=1, dilation=1)")


def _residual(weights: dict, x, stride, skip=True, between=F.relu, last=F.relu, inner=False, bend_skip=False, late=False, last_too=False):
    """The block by functions; `late`: the stride is conv2's; `inner`: ReLU before the sum (`last_too`: and after it)."""
    w = weights
    x1 = F.conv2d(x, w["conv1.weight"], w["conv1.bias"], stride=1 if late else stride, padding=1)
    long_way = F.conv2d(between(x1), w["conv2.weight"], w["conv2.bias"], stride=stride if late else 1, padding=1)
    short = F.conv2d(x, w["skip.weight"], w["skip.bias"], stride=stride) if "skip.weight" in w else x
    if inner:
        y = last(long_way) + short
        return last(y) if last_too else y
    return last(long_way + (F.relu(short) if bend_skip else short)) if skip else last(long_way)


@exercise("04.6", points=3, needs=["Residual"])
class ResidualBlock:
    """A residual block."""

    errors = {
        "has no attribute 'named_parameters'": NOT_A_MODULE,
        "before Module.__init__() call": NO_SUPER,
        "must match the size": "The long and the short way end in different shapes. The 1 × 1 convolution needs the block's stride, `conv2` has stride 1, and both 3 × 3 convolutions have padding 1.",
        "'NoneType' object is not callable": "`self.skip` is None here; `nn.Identity()` is the module that returns its input.",
        "'Identity' object has no attribute": "`nn.Identity()` is called like any module: `self.skip(x)`.",
        "channels, but got": "The channels that come in do not fit. `conv2` gets what `conv1` gives: channels_out. The short way starts from x, which has channels_in.",
        "has no attribute 'relu'": "A module has no ReLU of its own: apply it to the result, `self.conv1(x).relu()`.",
    }

    def inputs(rng):
        def case(n, m, stride, size, dtype=torch.float32, **more):
            shapes = {"conv1.weight": (m, n, 3, 3), "conv1.bias": (m,), "conv2.weight": (m, m, 3, 3), "conv2.bias": (m,)}
            if n != m or stride != 1:
                shapes |= {"skip.weight": (m, n, 1, 1), "skip.bias": (m,)}
            return {"channels": [n, m], "stride": stride, "weights": _draw(rng, shapes, dtype), "x": rng.randn(2, n, *size, dtype=dtype)} | more

        yield case(4, 4, 1, (8, 8), _case="4 → 4 channels, stride 1")
        yield case(3, 6, 1, (7, 9), _case="3 → 6 channels, stride 1")
        yield case(3, 6, 2, (8, 8), torch.float64, _case="3 → 6 channels, stride 2, float64")
        yield case(4, 4, 2, (9, 7), _case="4 → 4 channels, stride 2")

    def probe(student, channels, stride, weights, x):
        block = student.Residual(*channels) if stride == 1 else student.Residual(*channels, stride=stride)
        shapes = {name: list(p.shape) for name, p in block.named_parameters()}
        if shapes != {name: list(value.shape) for name, value in weights.items()}:
            return {"shapes": shapes, "y": None}
        block = block.to(x.dtype)
        block.load_state_dict(weights)
        return {"shapes": shapes, "y": block(x)}

    def judge(case, channels, stride, weights, x, shapes, y):
        case.that("skip.weight" in weights or "skip.weight" not in shapes, "The shape does not change here, so the short way needs no convolution: `nn.Identity()`.")
        case.that("skip.0.weight" not in shapes, "`self.skip` is the 1 × 1 convolution itself, not a `Sequential` that holds it.")
        case.that("skip.weight" not in weights or "skip.weight" in shapes, f"With {channels[0]} → {channels[1]} channels and stride {stride} the shape changes, and the short way needs a 1 × 1 convolution, in `self.skip`.")
        case.that("skip.weight" not in weights or shapes["skip.weight"][2:] == [1, 1], f"The kernel of `skip` is {tuple(shapes.get('skip.weight', [])[2:])}: the short way is as cheap as possible, 1 × 1.")
        _names(case, shapes, weights, {})
        mixed = []  # the short way starts behind conv1: possible where it is no convolution
        if "skip.weight" not in weights:
            first = F.conv2d(x, weights["conv1.weight"], weights["conv1.bias"], padding=1)
            long_way = F.conv2d(first.relu(), weights["conv2.weight"], weights["conv2.bias"], padding=1)
            mixed = [(long_way + first).relu(), (long_way + first.relu()).relu()]
        case.close(y, _residual(weights, x, stride), what="Residual(...)(x)", mistakes={
            "The input is not added: there is no skip in it.": _residual(weights, x, stride, skip=False),
            "The ReLU stands before the sum: add first, then ReLU.": _residual(weights, x, stride, inner=True),
            "The last ReLU is missing: it comes after the sum.": _residual(weights, x, stride, last=lambda x: x),
            "The ReLU between the two convolutions is missing.": _residual(weights, x, stride, between=lambda x: x),
            "Both ReLUs are missing: one stands between the convolutions, one after the sum.": _residual(weights, x, stride, between=lambda x: x, last=lambda x: x),
            "There is a ReLU before the sum too: the long way ends with conv2; the ReLU comes after the sum.": _residual(weights, x, stride, inner=True, last_too=True),
            "What is added is `conv1`'s output; it should be what came in, x.": mixed,
            "The stride is `conv2`'s here; it belongs to `conv1`.": _residual(weights, x, stride, late=True),
            "The short way has a ReLU: it should let its input through as it is.": _residual(weights, x, stride, bend_skip=True),
        })


@exercise("04.7", points=3, needs=["Center"])
class TwoModes:
    """A layer with two modes."""

    errors = {
        "has no attribute 'named_parameters'": NOT_A_MODULE,
        "before Module.__init__() call": NO_SUPER,
        "a leaf Variable that requires grad": "You changed x in place (`x -= …`): `x - mean` makes a new tensor.",
        "as parameter 'mean'": "`mean` is a parameter, which refuses plain numbers. It is no parameter: `self.register_buffer(\"mean\", torch.zeros(features))`.",
        "already exists": "`self.mean` is there already when it is registered: `self.register_buffer(\"mean\", torch.zeros(features))` makes it, nothing before.",
        "unexpected keyword argument": "`Center(features, momentum=0.1)`: keep the arguments of the stub.",
        "a second time": "The running mean carries the graph of the batch before: use `batch_mean.detach()` for it.",
        "same dtype": "The running mean must have x's dtype: a buffer follows `.double()`, a plain tensor does not.",
    }

    def inputs(rng):
        def case(features, momentum, sizes, dtype=torch.float32, **more):
            batches = [2 * rng.randn(features, size, dtype=dtype).t() + 3 * rng.randn(features, dtype=dtype) for size in sizes]
            return {"momentum": momentum, "batches": batches, "x": rng.randn(4, features, dtype=dtype), "saved": rng.randn(features, dtype=dtype)} | more

        yield case(3, None, (8,), _case="one batch, then evaluation")
        yield case(5, 0.25, (6, 6, 4), torch.float64, _case="three batches, momentum 0.25, float64")

    def probe(student, momentum, batches, x, saved):
        layer = student.Center(x.shape[1]) if momentum is None else student.Center(x.shape[1], momentum)
        evidence = {"parameters": [name for name, _ in layer.named_parameters()], "state": {name: value.clone() for name, value in layer.state_dict().items()}, "attribute": hasattr(layer, "mean")}
        evidence |= {"outputs": [], "slopes": [], "means": [], "quiet": None, "after": None, "loaded": None, "tracked": None, "flag": None}
        evidence["buffers"] = [name for name, _ in layer.named_buffers()]
        if evidence["parameters"] or list(evidence["state"]) != ["mean"] or evidence["state"]["mean"].shape != saved.shape:
            return evidence
        layer = layer.to(x.dtype)
        for batch in batches:
            leaf = batch.clone().requires_grad_()
            y = layer(leaf)
            tracks = isinstance(y, torch.Tensor) and y.requires_grad and y.shape == leaf.shape
            evidence["outputs"].append(y)
            evidence["slopes"].append(torch.autograd.grad(y, leaf, batch, retain_graph=True, allow_unused=True)[0] if tracks else None)
            evidence["means"].append(layer.mean.detach().clone() if isinstance(layer.mean, torch.Tensor) else layer.mean)
        evidence["tracked"] = layer.mean.requires_grad
        layer.eval()
        evidence["quiet"] = layer(x.clone())
        evidence["after"] = layer.mean.detach().clone()
        evidence["flag"] = layer.training
        layer.load_state_dict({"mean": saved})
        evidence["loaded"] = layer(x)
        return evidence

    def judge(case, momentum, batches, x, saved, parameters, buffers, state, attribute, outputs, slopes, means, quiet, after, loaded, tracked, flag):
        m = 0.1 if momentum is None else momentum
        case.that("mean" not in parameters, "`mean` is a parameter: the optimizer would train it. It is a buffer: `self.register_buffer(\"mean\", ...)`.")
        case.that(not parameters, f"There is nothing to train in this layer, but it has parameters: {', '.join(parameters)}.")
        case.that("mean" in state or "mean" not in buffers, "`mean` is a buffer with `persistent=False`, which `state_dict()` leaves out: leave `persistent` as it is.")
        case.that("mean" in state or not attribute, "`self.mean` is a plain attribute: `state_dict()` does not have it. Use `self.register_buffer(\"mean\", ...)`.")
        case.that("mean" in state, f"`state_dict()` has no `mean`; it has {', '.join(state) or 'nothing'}. Use `self.register_buffer(\"mean\", ...)`.")
        case.that(list(state) == ["mean"], f"There are more buffers than `mean`: {', '.join(state)}.")
        case.close(state["mean"], torch.zeros(x.shape[1]), what="the running mean of a new layer", mistakes={
            "The running mean of a new layer is one number; it has one a feature.": [torch.zeros(()), torch.zeros(1)],
            "The running mean starts at 1; it should start at 0.": torch.ones(x.shape[1]),
            "The running mean has shape (1, features); wanted is (features,).": torch.zeros(1, x.shape[1]),
        })
        running, swapped, summed, centred, whole, fixed = (torch.zeros_like(x[0]) for _ in range(6))
        for i, batch in enumerate(batches):
            mean = batch.mean(0)
            before, running = running, (1 - m) * running + m * mean
            swapped, summed, centred, fixed = m * swapped + (1 - m) * mean, summed + m * mean, mean, 0.9 * fixed + 0.1 * mean
            whole = (1 - m) * whole + m * batch.mean()
            case.close(outputs[i], batch - mean, what=f"the result for batch {i + 1}, in training", mistakes={
                "In training the batch's own mean is subtracted; you subtracted the running mean.": [batch - running, batch - before, batch - summed],
                "Each feature (column) has its own mean: `x.mean(0)`. You took one mean for all.": batch - batch.mean(),
                "You took the mean of each row; each feature (column) has its own: `x.mean(0)`.": batch - batch.mean(1, keepdim=True),
                "You also divided by the spread: only the mean is subtracted here.": [(batch - mean) / batch.std(0), (batch - mean) / batch.std(0, correction=0)],
                "The batch came back unchanged: is `self.training` asked the wrong way round?": batch,
            })
            case.close(means[i], running, what=f"the running mean after {i + 1} batch{'es' if i else ''}", mistakes={
                "The shares are swapped: (1 − momentum) of the old, momentum of the new.": swapped,
                "The old running mean keeps its full weight: it should count (1 − momentum).": summed,
                "The running mean does not move in training.": torch.zeros_like(running),
                "The running mean is the last batch's mean; it should move by `momentum` of the way only.": centred,
                "The running mean gets one number for all features.": whole,
                "The shares are 0.9 and 0.1 whatever `momentum` is: keep the argument in __init__, as `self.momentum`.": fixed,
            })
            case.that(slopes[i] is not None, "In training no gradient comes back through the result: the layers before could not learn. Only the update of the running mean belongs under `torch.no_grad()`, not all of `forward`.")
            case.close(slopes[i], batch - mean, what="the gradient that comes back to x, in training", mistakes={
                "The mean that you subtract is detached: x gets a wrong gradient. Only the running mean takes `batch_mean.detach()`.": batch,
            })
        case.close(quiet, x - running, what="the result in evaluation", mistakes={
            "In evaluation the *running* mean is subtracted; you subtracted the mean of this batch.": x - x.mean(0),
            "In evaluation the running mean moved before it was subtracted: leave it as it is.": x - ((1 - m) * running + m * x.mean(0)),
            "In evaluation nothing was subtracted.": x,
        })
        case.close(after, running, what="the running mean after evaluation", mistakes={"The running mean moved in evaluation: leave it as it is.": (1 - m) * running + m * x.mean(0)})
        case.close(loaded, x - saved, what="the result in evaluation after `load_state_dict`")
        case.that(flag is False, "After `eval()` the flag `training` is True again: your forward sets it. Only ask it.")
        case.that(not tracked, "The running mean requires a gradient: the update was recorded, and each batch's graph stays in memory. Use `batch_mean.detach()`, or update under `torch.no_grad()`.")


@exercise("04.8", points=3, needs=["he_init_"])
class KaimingStart:
    """Kaiming's start."""

    errors = {
        "a leaf Variable that requires grad": "The change must not be recorded: put it under `with torch.no_grad():`.",
        "cannot assign": "A parameter's place takes an `nn.Parameter` only. Change the numbers in place: `part.weight.normal_(...)` under `torch.no_grad()`.",
        "'NoneType' object has no attribute": "A layer made with bias=False has `bias` None: ask before you zero it.",
        "has no attribute 'weight'": "Not every module has weights: ask `isinstance(part, (nn.Linear, nn.Conv2d))` first.",
        "Fan in and fan out can not be computed": "A batch norm's weight has one dimension, and is none of your business: ask `isinstance(part, (nn.Linear, nn.Conv2d))`.",
    }

    def inputs(rng):
        yield {"arch": "linear", "dtype": "float32", "_case": "linear layers"}
        yield {"arch": "conv", "dtype": "float32", "_case": "convolutions, batch norm, a linear layer"}
        yield {"arch": "nested", "dtype": "float64", "_case": "modules in modules, bias=False, float64"}

    def probe(student, arch, dtype):
        from torch import nn

        if arch == "linear":
            model = nn.Sequential(nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 250), nn.ReLU(), nn.Linear(250, 100), nn.ReLU(), nn.Linear(100, 250))
        elif arch == "conv":
            model = nn.Sequential(nn.Conv2d(8, 40, 3), nn.BatchNorm2d(40), nn.ReLU(), nn.Conv2d(40, 16, 5), nn.Flatten(), nn.Linear(144, 60))
        else:
            inner = nn.Sequential(nn.Conv2d(12, 24, (3, 5), bias=False), nn.BatchNorm2d(24))
            model = nn.ModuleDict({"body": nn.Sequential(inner, nn.ReLU()), "norm": nn.LayerNorm(7), "head": nn.Linear(200, 90, bias=False), "words": nn.Embedding(9, 5)})
        model = model.to(getattr(torch, dtype))
        with torch.no_grad():
            for p in model.parameters():
                p.fill_(0.75)  # so that what was not touched is seen
        before = dict(model.named_parameters())
        student.he_init_(model)
        after = dict(model.named_parameters())
        first = {name: p.detach().clone() for name, p in after.items()}
        with torch.no_grad():
            for p in model.parameters():
                p.fill_(1.5)  # a second call, from other numbers
        student.he_init_(model)
        return {"after": first, "again": dict(model.named_parameters()), "replaced": [name for name in before if after.get(name) is not before[name]], "free": [name for name, p in model.named_parameters() if not p.requires_grad]}

    def judge(case, arch, dtype, after, again, replaced, free):
        seen = {}
        layers = {"linear": "0246", "conv": "035", "nested": ["body.0.0", "head"]}[arch]
        names = {"linear": "0.weight 0.bias 2.weight 2.bias 4.weight 4.bias 6.weight 6.bias",
                 "conv": "0.weight 0.bias 1.weight 1.bias 3.weight 3.bias 5.weight 5.bias",
                 "nested": "body.0.0.weight body.0.1.weight body.0.1.bias norm.weight norm.bias head.weight words.weight"}[arch].split()
        case.that(set(after) == set(again) == set(names), "The model no longer has the parameters that it had: change their numbers in place.")
        for name, values in after.items():
            layer, kind = name.rsplit(".", 1)
            if layer not in layers:
                case.that((values == 0.75).all(), f"`{name}` belongs to neither an nn.Linear nor an nn.Conv2d, and was changed. Ask `isinstance(part, (nn.Linear, nn.Conv2d))`.")
                continue
            if kind == "bias":
                case.that((values == 0).all(), f"`{name}` is not 0 everywhere: set it to 0, `part.bias.zero_()`.")
                continue
            why = {"linear": "Change its numbers in place, `part.weight.normal_(…)`: `w = …` names a new tensor, and `state_dict()[…] = …` changes a dict, not the model.",
                   "conv": "Convolutions are asked for, too: `nn.Conv2d`.",
                   "nested": "Look at *all* depths: `model.modules()`, not `children()`."}[arch]
            case.that(not (values == 0.75).all(), f"`{name}` was not touched. {why}")
            fan_in, fan_out = values[0].numel(), values.numel() // values.shape[1]
            want, got = math.sqrt(2 / fan_in), values.std().item()
            case.that(not values.any() or not torch.allclose(again[name], 2 * values, equal_nan=True), f"The new numbers of `{name}` depend on the old ones: draw them anew.")
            case.that(values.min() < values.max(), f"All numbers in `{name}` are equal: draw them at random.")
            case.that(not torch.equal(again[name], values), f"`{name}` has the same numbers after each call: is there a seed inside your function? Leave it to the caller.")
            case.that(not any(values.shape == other.shape and torch.equal(values, other) for other in seen.values()), f"`{name}` holds the very numbers of another layer: is there a seed inside your function?")
            seen[name] = values
            conv = values.ndim == 4
            slips = [
                ("This is 1 / √fan-in: the 2 that makes up for the ReLU is missing.", math.sqrt(1 / fan_in)),
                ("You used 2 / fan-in as the standard deviation; it is the variance. Take the root.", 2 / fan_in),
                ("This is the fan-*out*: count the numbers that one output adds up, not the outputs.", math.sqrt(2 / fan_out)),
                ("This is Xavier's start, √(2 / (fan-in + fan-out)).", math.sqrt(2 / (fan_in + fan_out))),
                ("These are standard normal numbers: multiply by √(2 / fan-in).", 1.0),
                ("This is torch's default, uniform within ±1/√fan-in.", math.sqrt(1 / (3 * fan_in))),
                ("Root and quotient are mixed up: √2 / fan-in.", math.sqrt(2) / fan_in),
                ("Your fan-in is all numbers in the weight; one output sees `weight[0]` only.", math.sqrt(2 / values.numel())),
            ]
            if conv:
                slips += [
                    ("The kernel's size is missing in the fan-in: one output adds up channels · height · width numbers.", math.sqrt(2 / values.shape[1])),
                    ("Your fan-in is the number of *output* channels: `shape[0]` is out, `shape[1]` is in.", math.sqrt(2 / values.shape[0])),
                    ("Your fan-in is the kernel's size without the channels.", math.sqrt(2 / values[0, 0].numel())),
                    ("Only one side of the kernel is in your fan-in: it is channels · height · width.", math.sqrt(2 / (values.shape[1] * values.shape[2]))),
                ]
            for message, wrong in slips:
                case.that(abs(got / want - 1) < 0.07 or abs(got / wrong - 1) > 0.07, f"`{name}`: {message}")
            case.that(abs(got / want - 1) < 0.07, f"`{name}` has standard deviation {got:.4f}; wanted is √(2 / {fan_in}) = {want:.4f}.")
            case.that(abs(values.mean().item()) < 5 * want / math.sqrt(values.numel()), f"`{name}` has mean {values.mean().item():.4f}; wanted is 0.")
            case.that(values.abs().max() > 2.5 * want, f"`{name}`: the standard deviation is right, but the numbers are uniform; wanted is the normal distribution.")
            tails = (values.abs() < want).double().mean().item()  # 0.683 of a normal distribution lie within one deviation
            case.that(abs(tails - 0.683) < 0.06, f"`{name}`: the standard deviation is right, but the numbers are not normal: {tails:.0%} of them lie within one deviation, where 68 % should.")
        case.that(not free, f"{', '.join(free[:3])} no longer requires a gradient: it could not be trained.")
        case.that(not replaced, f"{', '.join(replaced[:3])}: there is a new parameter in its place, which an optimizer made before would not know. Change the numbers of the old one: `part.weight.normal_(...)`.")


@exercise("04.9", points=3, needs=["load_matching"])
class LoadWhatFits:
    """Load what fits."""

    errors = {
        "size mismatch": "`strict=False` forgives missing and unexpected names, not shapes: leave those entries out before you load.",
        "Unexpected key": "Names that the model does not have must be left out before you load, or forgiven by `strict=False`.",
        "Missing key": "The rest of the model is not in your dict: load with `strict=False`, or start from the model's own `state_dict()` and update it.",
        "KeyError": "A name in `state` that the model does not have: ask `name in own` first.",
        "must match the size": "`copy_` needs equal shapes: compare the shapes first.",
        "changed size during iteration": "Do not take entries out of a dict while you loop over it, and leave `state` as it is: build a new dict.",
    }

    def inputs(rng):
        def state(inputs, hidden, classes, dtype=torch.float32, norm=True):
            shapes = {"body.0.weight": (hidden, inputs), "body.0.bias": (hidden,), "body.1.weight": (hidden,), "body.1.bias": (hidden,), "body.1.running_mean": (hidden,), "body.1.running_var": (hidden,)}
            values = _draw(rng, shapes | {"head.weight": (classes, hidden), "head.bias": (classes,)}, dtype, scale=1)
            values["body.1.running_var"] = values["body.1.running_var"].abs() + 0.5
            values["body.1.num_batches_tracked"] = torch.tensor(rng.integer(1, 50))
            return values

        yield {"own": state(6, 8, 3), "state": state(6, 8, 5), "_case": "another number of classes"}
        other = state(6, 8, 3, torch.float64)
        extra = {"old_head.weight": rng.randn(2, 8, dtype=torch.float64)}
        yield {"own": state(6, 8, 3, torch.float64), "state": extra | {name: value for name, value in other.items() if name != "body.0.bias"}, "_case": "a name too many, a name too few, float64"}
        turned = state(8, 6, 3)
        yield {"own": state(6, 8, 3), "state": turned | {"body.0.bias": rng.randn(8)}, "_case": "a weight of shape (6, 8) for one of (8, 6)"}
        yield {"own": state(4, 5, 2), "state": state(4, 5, 2), "_case": "all fits"}

    def probe(student, own, state):
        from torch import nn

        hidden, inputs = own["body.0.weight"].shape
        model = nn.ModuleDict({"body": nn.Sequential(nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU()), "head": nn.Linear(hidden, len(own["head.bias"]))})
        model = model.to(own["head.bias"].dtype)
        model.load_state_dict(own)
        left_out = student.load_matching(model, state)
        if isinstance(left_out, (set, tuple)) or type(left_out).__name__ == "dict_keys":
            left_out = list(left_out)
        after = {name: value.clone() for name, value in model.state_dict().items()}
        kept = {name: value.clone() for name, value in state.items()}
        for value in model.state_dict().values():
            value.add_(1)  # as training would
        shared = [name for name in kept if not torch.equal(kept[name], state[name])]
        return {"left_out": left_out, "after": after, "shared": shared, "free": [name for name, p in model.named_parameters() if not p.requires_grad]}

    def judge(case, own, state, left_out, after, shared, free):
        fits = {name for name in state if name in own and own[name].shape == state[name].shape}
        changed = {name for name in own if not torch.equal(after[name], own[name])}
        dropped = [name for name in fits if isinstance(left_out, list) and name in left_out]
        case.that(changed or not dropped, f"`{min(dropped, default='')}` fits by name and shape, and was left out. Ask about each entry by itself.")
        case.that(changed or not fits, "The model is as it was: nothing was loaded. `model.state_dict()` is a new dict each time; writing into it does not reach the model (only `load_state_dict`, or `copy_` into its tensors, does).")
        missing = [name for name in own if name in fits and not torch.equal(after[name], state[name])]
        buffers = [name for name in own if name in fits and name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
        case.that(not missing or missing != buffers, f"`{', '.join(missing)}` were not loaded. These are buffers, not parameters: take names from `state_dict()`, which has both.")
        for name in own:
            if name not in fits:
                case.that(torch.equal(after[name], own[name]), f"`{name}` does not fit by name and shape, and should stay as the model had it; it was changed.")
        case.that(not missing, f"`{min(missing, default='')}` fits by name and shape, and was not loaded. (Ask about each entry by itself, and by its name, not by its place.)")
        wanted = sorted(name for name in state if name not in fits)
        case.that(isinstance(left_out, list), "Return the names that were left out, as a list." + (" Is a `return` missing?" if left_out is None else ""))
        case.that(all(isinstance(name, str) for name in left_out), "The list should hold names (texts) only; what `load_state_dict` returns is another thing.")
        case.equal(sorted(left_out), wanted, what="The list of names left out", mistakes={
            "Names with another shape are left out too, not only unknown names.": [sorted(name for name in state if name not in own)],
            "You returned the names that were loaded; asked are those that were left out.": [sorted(fits)],
            "You returned the names that the *model* has and that were not filled; asked are the names in `state` that were left out.": [sorted(set(own) - fits), sorted(set(own) - set(state))],
            "You put the model's missing names into the list too; asked are names in `state`.": [sorted((set(own) | set(state)) - fits)],
            "Unknown names are left out too, not only those with another shape.": [sorted(name for name in state if name in own and name not in fits)],
        })
        case.that(not shared, f"The model and `state` now share the numbers of {', '.join(shared[:2])}: training the one changes the other. Copy them: `load_state_dict` without `assign=True`, or `copy_`.")
        case.that(not free, f"{', '.join(free[:3])} no longer requires a gradient: it could not be trained.")
