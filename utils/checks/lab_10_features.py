"""Checks of lab 10, feature maps. Oracle: torch's autograd, on a tiny network whose weights come with the inputs."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from . import exercise

MODE = "The model came in training mode: dropout was at work, and batch norm used the batch's own statistics. Call `model.eval()` first."
LEFT = "The result is right, but the model is not in the mode in which it came. Note `model.training` first, and put it back with `model.train(…)`."
MOVED = "The running averages of batch norm have moved: the model was in training mode during a forward pass. Call `model.eval()` first."
GRADS = "The result is right, but the parameters' `.grad` has changed: `backward()` adds to it, and `zero_grad()` erases what was there before. `torch.autograd.grad(number, tensor)` gives the one gradient that you want."
X_GRAD = "The result is right, but the caller's x is not as it was: it now requires a gradient, or has one. Work on `x.detach().clone()`."
NO_GRAPH = {
    "does not require grad": "Nothing was recorded on the way to this number. Is it under `no_grad`, or did you (or your hook) `detach()` it? Where all parameters are frozen, only an input with `requires_grad_()` starts a record.",
    "One of the differentiated Tensors": "The logit does not depend on that very tensor. Take the gradient with respect to the tensor that went through the network, not to a copy or a slice of it.",
    "grad can be implicitly created only for scalar outputs": "There is one logit an image: take their `.sum()` before the gradient. No image's logit depends on another image.",
}
LAYERS = "The result is right, but the model's layers are not in the mode in which they came: `model.training = …` sets one module, `model.train(…)` all of them."
FROZEN = "The result is right, but the parameters' `requires_grad` is not as it was: whoever trains this network next trains others than they think. Leave it alone, or put it back."
HOOKED = "The result is right, but your hook is still on the layer, and runs in every later forward pass. Use a `with Hooks(…)` block, or `handle.remove()`."
TUPLE = "`torch.autograd.grad` returns a tuple, also for one tensor: take its item `[0]`."


def _network(state) -> nn.Module:
    """The network that the probes build; a probe stands alone and cannot import this one. Logits of 3 classes."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1),
                          nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(20, 3)).to(state["0.weight"].dtype)
    model.load_state_dict(state)
    return model.eval()


def _state(rng, dtype=torch.float32) -> dict:
    shapes = {"0.weight": (4, 3, 3, 3), "0.bias": (4,), "1.weight": (4,), "1.bias": (4,), "4.weight": (5, 4, 3, 3), "4.bias": (5,), "9.weight": (3, 20), "9.bias": (3,)}
    state = {name: 0.5 * rng.randn(*shape, dtype=dtype) for name, shape in shapes.items()}
    return state | {"1.running_mean": rng.randn(4, dtype=dtype), "1.running_var": rng.rand(4, dtype=dtype) + 0.5, "1.num_batches_tracked": torch.tensor(3)}


def _layers(state, x) -> list[torch.Tensor]:
    """The output of every layer in evaluation mode, none changed by the next."""
    outputs = []
    with torch.no_grad():
        for layer in _network(state):
            x = layer(x.clone())
            outputs.append(x.clone())
    return outputs


def _in_training_mode(state, x, index) -> torch.Tensor:
    """The output of one layer when the network is in training mode (before its dropout)."""
    model = _network(state).train()
    with torch.no_grad():
        for layer in model[: index + 1]:
            x = layer(x.clone())
    return x


def _untouched(case, state, training, left) -> None:
    """The model is as it came: its mode, batch norm's averages, its hooks, the parameters' flags and gradients; and x."""
    case.close(left["running_mean"], state["1.running_mean"], what="running_mean", mistakes={MOVED: left["running_mean"]})
    case.that(left["modes"][0] == training, LEFT)
    case.that(all(mode == training for mode in left["modes"]), LAYERS)
    if state["0.weight"].dtype == torch.float64 or not left["trainable"]:  # later cases: the values are right
        case.that(all(flag == left["trainable"] for flag in left["flags"]), FROZEN)
        case.that(not left["hooks"], HOOKED)
    if "grads" in left:
        case.that(all(torch.equal(grad, torch.ones_like(grad)) for grad in left["grads"]), GRADS)
        case.that(not left["x"], X_GRAD)


@exercise("10.1", points=3, needs=["feature_maps"], reference="utils.attribution:feature_maps")
class FeatureMaps:
    """The outputs of layers by name."""

    errors = {
        "takes 3 positional arguments but 4": "`Hooks` calls its function with four arguments: index, module, inputs, output.",
        "'str' object has no attribute": "`Hooks` wants the modules themselves: `model.get_submodule(name)` finds one by its name.",
        "list indices must be integers": "The index that `Hooks` passes is a place in the list of modules; the name stands at the same place of `layers`.",
    }

    def inputs(rng):
        yield {"state": _state(rng), "x": rng.randn(2, 3, 8, 8), "layers": ["0", "3", "5"], "training": False, "_case": "three layers of a network in evaluation mode"}
        yield {"state": _state(rng), "x": rng.randn(2, 3, 8, 6), "layers": ["1", "2"], "training": False, "_case": "a layer before a ReLU with inplace=True"}
        yield {"state": _state(rng), "x": rng.randn(3, 3, 6, 8), "layers": ["5", "1"], "training": True, "_case": "a network in training mode"}
        yield {"state": _state(rng, torch.float64), "x": rng.randn(1, 3, 8, 8, dtype=torch.float64), "layers": ["4", "9"], "training": False, "_case": "float64; then another forward pass"}

    def probe(student, state, x, layers, training):
        from torch import nn

        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1),
                              nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(20, 3)).to(state["0.weight"].dtype)
        model.load_state_dict(state)
        model.train(training)
        maps = student.feature_maps(model, x, list(layers))
        left = {"modes": [m.training for m in model.modules()], "running_mean": model[1].running_mean.clone(),
                "trainable": True, "flags": [p.requires_grad for p in model.parameters()], "hooks": any(m._forward_hooks for m in model.modules())}
        tracked = isinstance(maps, dict) and any(getattr(m, "requires_grad", False) for m in maps.values())
        model.eval()(x + 1)  # another forward pass must not change what was returned
        return {"maps": maps, "left": left, "tracked": tracked}

    def judge(case, state, x, layers, training, maps, left, tracked):
        case.that(not isinstance(maps, list), "The answer is a list; asked for is a dict: name → output.")
        case.that(isinstance(maps, dict), "The answer should be a dict: name → output.")
        outputs, later = _layers(state, x), _layers(state, x + 1)
        case.that(maps, "The dict is empty. Is the model called inside the `with` block, while the hooks are there?")
        case.that(set(maps) != set(range(len(layers))), "The keys are the indices that `Hooks` passes; asked for are the names: `layers[index]`.")
        case.equal(sorted(maps), sorted(layers), what="The dict's keys", mistakes={"One layer only is in the dict: each hook must write under the name of its own layer.": [sorted(layers)[-1:], sorted(layers)[:1]]})
        for name in layers:
            i = int(name)
            mistakes = {
                "These are the maps of a *later* forward pass: the hooks are still on the model, and write into the dict that you returned. Remove them; a `with Hooks(…)` block does.": later[i],
                f"This is layer {name} in training mode. {MODE}": _in_training_mode(state, x, i),
                "This is what goes *into* the layer; asked for is what comes out.": outputs[i - 1] if i else x,
                "The next layer, a ReLU with inplace=True, has written into the tensor that your hook kept. Keep a copy: `output.detach().clone()`.": outputs[i].relu(),
                "This is the first image only.": outputs[i][:1] if len(x) > 1 else later[i],
                "These are the maps of another layer: a function made in a loop sees the loop's last value, and the order of the calls is not that of `layers`. Use the index that `Hooks` passes.": [outputs[int(other)] for other in layers if other != name],
            }
            case.close(maps[name], outputs[i], what=f"maps[{name!r}]", mistakes=mistakes)
        _untouched(case, state, training, left)
        # In the last case only: the values are right.
        case.that(not tracked or state["0.weight"].dtype != torch.float64, "The maps are right, but each holds on to the whole graph of its forward pass. Run the model under `torch.no_grad()`, or keep `output.detach()`.")


@exercise("10.2", points=2, needs=["pixels_seen"], reference="utils.attribution:pixels_seen")
class PixelsSeen:
    """What a unit sees, by its gradient."""

    errors = NO_GRAPH | {"'tuple' object": TUPLE}

    def inputs(rng):
        def case(shape, place, dilation=1, dtype=torch.float32, opposite=False, **more):
            columns = torch.eye(3, dtype=dtype)[:, None, None]  # each channel of the maps looks at another column: all are needed
            weights = [rng.randn(2, shape[1], 3, 3, dtype=dtype), rng.randn(3, 2, 3, 3, dtype=dtype) * columns]
            if opposite:
                weights = [1e-3 * torch.cat([weights[0][:, :1], -weights[0][:, :1]], 1), 1e-3 * weights[1]]
            return {"weights": weights, "x": rng.randn(*shape, dtype=dtype), "row": place[0], "column": place[1], "dilation": dilation} | more

        yield case((8, 1, 12, 12), (3, 2), _case="a place in the middle")
        yield case((8, 2, 10, 16), (0, 6), _case="a place at the border of a picture that is not square")
        yield case((6, 1, 16, 14), (5, 1), dilation=2, dtype=torch.float64, _case="float64, dilation 2")
        yield case((1, 3, 12, 12), (4, 4), _case="one image: a max-pool looks at four pixels, and passes one on")
        yield case((1, 2, 12, 10), (3, 2), opposite=True, _case="tiny slopes, opposite in the two colour channels")

    def probe(student, weights, x, row, column, dilation):
        from torch import nn

        network = nn.Sequential(nn.Conv2d(x.shape[1], 2, 3, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 3, padding=dilation, dilation=dilation, bias=False)).to(x.dtype)
        with torch.no_grad():
            network[0].weight.copy_(weights[0])
            network[3].weight.copy_(weights[1])
        return {"seen": student.pixels_seen(network, x, row, column), "left": x.requires_grad or x.grad is not None}

    def judge(case, weights, x, row, column, dilation, seen, left):
        leaf = x.clone().requires_grad_()
        y = F.conv2d(F.max_pool2d(F.conv2d(leaf, weights[0], padding=1).relu(), 2), weights[1], padding=dilation, dilation=dilation)

        def slopes(at, channels=slice(None)):
            return torch.autograd.grad(y[:, channels, at[0], at[1]].sum(), leaf, retain_graph=True)[0]

        g = slopes((row, column))
        want = (g != 0).any(1).any(0)
        case.that(not isinstance(seen, list), TUPLE)
        if isinstance(seen, torch.Tensor) and seen.dtype.is_floating_point:
            case.that(False, "The answer holds numbers; asked for is True or False for each pixel: compare the gradient with 0.")
        mistakes = {
            "Pixels are missing. Is there a threshold? A slope may be tiny; asked for is `!= 0`. Or are slopes added up before they are compared? Opposite ones cancel: first `!= 0`, then `.any(…)`.": [
                (g.abs() > 10.0**-k).any(1).any(0) for k in range(9)],
            "Rows and columns are exchanged: maps are indexed [image, channel, row, column].": (slopes((column, row)) != 0).any(1).any(0) if max(row, column) < min(y.shape[2:]) else want,
            "Only positive slopes count here. A pixel with a negative slope is seen too: `!= 0`.": [(g > 0).any(1).any(0), (g.sum((0, 1)) > 0), g.sum(1).gt(0).any(0)],
            "This is the first image only; what a max-pool hides in it, another image shows: any of them counts.": (g[0] != 0).any(0),
            "This is for each image; asked for is one answer, (H, W): True where any image says so.": (g != 0).any(1),
            "This is one channel of the maps only. A unit of any channel counts: `[:, :, row, column]`.": [(slopes((row, column), slice(k, k + 1)) != 0).any(1).any(0) for k in range(3)],
            "This is what *all* places of the maps together see. Take one place: `[:, :, row, column]`.": (torch.autograd.grad(y.sum(), leaf, retain_graph=True)[0] != 0).any(1).any(0),
            "A pixel counts here only if *all* images or channels show it. Any of them is enough.": [(g != 0).all(1).all(0), (g != 0).any(1).all(0), (g != 0).all(1).any(0)],
        }
        case.close(seen, want, what="pixels_seen(…)", mistakes=mistakes)
        case.that(not left, X_GRAD)


@exercise("10.3", points=2, needs=["channel_gap"], reference="utils.attribution:channel_gap")
class ChannelGap:
    """Which channels tell two classes apart."""

    errors = {"mean(): could not infer output dtype": "A mask has no mean: use it to choose rows, `activations[labels == first]`."}

    def inputs(rng):
        def case(counts, shape, dtype=torch.float32, **more):
            labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
            labels = labels[rng.randperm(len(labels))]
            maps = rng.randn(len(labels), *shape, dtype=dtype) * (1 + rng.rand(1, shape[0], 1, 1, dtype=dtype)) + labels[:, None, None, None] * rng.randn(1, shape[0], 1, 1, dtype=dtype)
            return {"maps": maps, "labels": labels} | more

        yield case((5, 5), (4, 3, 3), first=0, second=1, _case="two classes, five images each")
        yield case((4, 7, 3), (6, 2, 5), first=2, second=0, _case="three classes of different sizes, maps that are not square")
        yield case((2, 3), (3, 4, 4), torch.float64, first=1, second=0, _case="float64")

    def probe(student, maps, labels, first, second):
        return {"gap": student.channel_gap(maps, labels, first, second)}

    def judge(case, maps, labels, first, second, gap):
        a, b = (maps.mean((2, 3))[labels == k] for k in (first, second))
        difference, spread = a.mean(0) - b.mean(0), ((a.var(0) + b.var(0)) / 2).sqrt()
        pixels = [maps[labels == k].transpose(0, 1).flatten(1).var(1) for k in (first, second)]
        both = torch.cat([a, b])
        case.close(gap, difference / spread, what="channel_gap(…)", mistakes={
            "The sign is the other way round: positive where `first` is the stronger class.": -difference / spread,
            "This is the difference alone; divide it by the standard deviation.": difference,
            "You divided by the variance; the root is missing.": difference / spread**2,
            "You divided by the root of the *sum* of the variances; asked for is the root of their mean.": difference / (a.var(0) + b.var(0)).sqrt(),
            "The variance here is that of single pixels. First average each image over its positions; then take the variance over the images.": difference / (sum(pixels) / 2).sqrt(),
            "You divided by the mean of the standard deviations; asked for is the root of the mean variance.": difference / ((a.std(0) + b.std(0)) / 2),
            "These are variances with n; asked for are those with n − 1, which `.var(0)` gives.": difference / ((a.var(0, correction=0) + b.var(0, correction=0)) / 2).sqrt(),
            "This is the deviation of both classes taken together, which the gap itself widens. Take each class's variance, then their mean.": difference / both.std(0),
            "This is unsigned; keep the sign: it tells which class is the stronger.": (difference / spread).abs(),
            "You took each image's largest activation; asked for is its mean over the positions.": _gap_of(maps.amax((2, 3)), labels, first, second),
            "These are `first` and *all* the others; asked for is the class `second`: `labels == second`.": _gap_of(maps.mean((2, 3)), (labels == first).int(), 1, 0),
            "You added over the positions instead of averaging, and left the spread as it was.": difference * maps[0, 0].numel() / spread,
        })


def _gap_of(activations, labels, first, second):
    a, b = activations[labels == first], activations[labels == second]
    return (a.mean(0) - b.mean(0)) / ((a.var(0) + b.var(0)) / 2).sqrt()


@exercise("10.4", points=2, needs=["top_images"], reference="utils.attribution:top_images")
class TopImages:
    """The images that a channel likes best."""

    errors = {"selected index k out of range": "topk was asked for more than there is: there are N maxima, one an image. Does `.max` run over the positions?"}

    def inputs(rng):
        yield {"maps": rng.randn(7, 4, 4), "k": 3}
        yield {"maps": rng.randn(9, 3, 6) - 5, "k": 4, "_case": "maps that are not square, all values negative"}
        peaked = rng.rand(6, 5, 3, dtype=torch.float64)
        peaked[2] += 3  # most of the largest numbers are in one image
        yield {"maps": peaked, "k": 6, "_case": "float64; one image holds most of the largest values"}

    def probe(student, maps, k):
        return {"answer": student.top_images(maps, k)}

    def judge(case, maps, k, answer):
        case.that(isinstance(answer, list) and len(answer) == 3, "Return three things: `return images, rows, columns`.")
        values, places = maps.flatten(1).max(1)
        order = values.argsort(descending=True)
        height, width = maps.shape[1:]
        everything = maps.flatten().topk(k).indices
        images, rows, columns = answer
        if isinstance(images, torch.Tensor) and images.is_floating_point():
            case.that(False, "The first answer holds activations; asked for are the images' indices: topk's `.indices`.")
        case.close(images, order[:k], what="images", mistakes={
            "These are the images that the channel likes *least*.": order.flip(0)[:k],
            "The right images, but the strongest should come first.": order[:k].flip(0),
            "An image is in the list more than once: you took the largest of all values. First each image's maximum, then the largest of those.": everything // (height * width),
            "These are the images with the largest *mean*; asked for is the largest maximum.": maps.mean((1, 2)).argsort(descending=True)[:k],
            "These are indices into all values of all maps. First each image's maximum over its positions, then topk.": everything,
            "These are the images with the largest sum of row maxima or the like; each image counts by its single largest value.": maps.amax(1).mean(1).argsort(descending=True)[:k],
        })
        best = places[order[:k]]
        swapped = {
            "Rows and columns are exchanged: the row is place // width, the column place % width.": best % width,
            "You divided by the height. In a flattened map one row after another stands, each of them `width` long.": best // height,
            "These are the rows of images 0, 1, 2, …; asked for are those of the best images: index with `images`.": places[:k] // width,
        }
        case.close(rows, best // width, what="rows", mistakes=swapped)
        case.close(columns, best % width, what="columns", mistakes={
            "You divided by the height. In a flattened map one row after another stands, each of them `width` long.": best % height,
            "These are places in the flattened map; the column is what remains of the division by the width.": best,
            "These are the columns of images 0, 1, 2, …; asked for are those of the best images: index with `images`.": places[:k] % width,
        })


def _ascend(weights, x, shifts, lr, l2, blurred, slip="") -> torch.Tensor:
    """Gradient ascent on sin(weights · x) by the formula; `slip` names a misconception."""
    for down, right in shifts:
        down, right = {"no jitter": (0, 0), "shift exchanged": (right, down)}.get(slip, (down, right))
        if slip == "decay first":
            x = (1 - l2) * x
        if slip == "blur first":
            x = F.avg_pool2d(x, 3, 1, 1)
        g = weights * torch.cos(weights * x.roll((down, right), (2, 3)))
        g = F.avg_pool2d(g, 3, 1, 1) if slip == "blur of the gradient" else g
        g = g.roll({"not rolled back": (0, 0), "rolled twice": (down, right)}.get(slip, (-down, -right)), (2, 3))
        dims = (0, 1, 2, 3) if slip == "batch" else (1, 2, 3)
        size = {"raw": torch.ones(()), "norm": g.square().sum(dims, keepdim=True).sqrt(), "largest": g.abs().amax(dims, keepdim=True),
                "mean": g.abs().mean(dims, keepdim=True), "sign": g.abs(), "deviation": g.std(dims, keepdim=True),
                "inside": (g.square().mean(dims, keepdim=True) + 1e-8).sqrt()}.get(slip, g.square().mean(dims, keepdim=True).sqrt())
        step = lr * g / (size + (slip not in ("raw", "no eps", "inside")) * 1e-8) * (-1 if slip == "down" else 1)
        decay = {"no l2": 1, "decay first": 1, "lr": 1 - lr * l2, "l2 is what stays": l2}.get(slip, 1 - l2)
        x = x + step
        x = x - l2 * (x - step) if slip == "decay of the old" else decay * x
        if blurred and slip not in ("no blur", "blur first", "blur of the gradient", "blur once"):
            x = F.avg_pool2d(x, 3, 1, 1)
    return F.avg_pool2d(x, 3, 1, 1) if slip == "blur once" else x


@exercise("10.5", points=3, needs=["ascend"], reference="utils.attribution:ascend")
class Ascend:
    """Gradient ascent on the image."""

    errors = NO_GRAPH | {
        "'NoneType' object is not callable": "`blur` is None where no blur is wanted: ask before you call it.",
        "a leaf Variable that requires grad": "The step changes the image in place while autograd is watching: make a new tensor, `x = x + …`.",
        "unsupported operand type(s) for *: 'float' and 'NoneType'": "The gradient is None: `.grad` is filled for leaves only. `torch.autograd.grad(number, tensor)` returns it for the tensor that you name.",
        "bad operand type for unary -": "A shift is a pair: `(-down, -right)`.",
    }

    def inputs(rng):
        def case(shape, shifts, lr=0.2, l2=0.0, blurred=False, dtype=torch.float32, **more):
            return {"weights": rng.randn(*shape[1:], dtype=dtype), "x": rng.randn(*shape, dtype=dtype), "shifts": shifts, "lr": lr, "l2": l2, "blurred": blurred} | more

        yield case((1, 3, 6, 6), [(0, 0)] * 4, _case="one image, no jitter, no decay, no blur")
        yield case((1, 2, 5, 7), [(1, 0), (-2, 3), (0, -1)], _case="jitter")
        yield case((1, 3, 4, 4), [(0, 0), (1, 1)], l2=0.1, _case="l2")
        yield case((2, 3, 6, 5), [(0, 1), (2, 0)], l2=0.05, blurred=True, dtype=torch.float64, _case="two images, float64, blur")
        some = case((3, 2, 4, 5), [(0, 0), (1, 0)], l2=0.05, dtype=torch.float64, _case="an image without a slope, and one with tiny slopes")
        some["weights"] = torch.stack([some["weights"], 0 * some["weights"], 1e-4 * some["weights"]])  # by image
        yield some

    def probe(student, weights, x, shifts, lr, l2, blurred):
        def score(images):
            return torch.sin(weights * images).sum(dim=(1, 2, 3))

        def blur(images):
            return torch.nn.functional.avg_pool2d(images, 3, 1, 1)

        # (The slopes of two images differ, so do their sizes.)
        if blurred:
            x = torch.cat([x[:1], 0.01 * x[1:]])
        return {"got": student.ascend(score, x, [tuple(shift) for shift in shifts], lr, l2, blur if blurred else None)}

    def judge(case, weights, x, shifts, lr, l2, blurred, got):
        if blurred:
            x = torch.cat([x[:1], 0.01 * x[1:]])
        slips = {
            "You go downhill: the score should grow, so the step goes *along* the gradient.": "down",
            "The gradient is not divided by its root mean square: its size differs from step to step and from network to network.": "raw",
            "You divided by the norm, the root of the *sum* of squares. The root of their mean makes `lr` independent of the image's size.": "norm",
            "You divided by the largest slope; asked for is the root mean square.": "largest",
            "You divided by the mean absolute slope; asked for is the root mean square.": "mean",
            "Every pixel makes a step of the same length: you divided each slope by its own size. Divide by one number an image.": "sign",
            "The images are not shifted: `x.roll(shift, dims=(2, 3))` before the gradient, and the gradient rolled back after it.": "no jitter",
            "The gradient belongs to the shifted image: roll it back, by (−down, −right), before you add it.": "not rolled back",
            "The gradient was rolled once more in the same direction; back is (−down, −right).": "rolled twice",
            "A shift is (down, right): rows first, dims (2, 3).": "shift exchanged",
            "The images do not shrink: multiply by 1 − l2 after each step.": "no l2",
            "The images shrink before the step; asked for is after it, the step included.": "decay first",
            "The images shrink by lr · l2; asked for is the factor 1 − l2.": "lr",
            "You multiplied by l2 itself; the factor is 1 − l2.": "l2 is what stays",
            "The step itself did not shrink: first the step, then the factor 1 − l2 for all of it.": "decay of the old",
            "The images were not blurred after each step.": "no blur",
            "The images are blurred before the step; asked for is after it.": "blur first",
            "The gradient is blurred, not the images.": "blur of the gradient",
            "The images are blurred once, at the end; asked for is after each step.": "blur once",
            "An image without a slope became 0 / 0, which is NaN: divide by the root mean square *plus 1e-8*.": "no eps",
            "The 1e-8 is inside the root; asked for is the root mean square plus 1e-8.": "inside",
            "You divided by the standard deviation, which is taken from the mean; asked for is the root mean square.": "deviation",
            "The root mean square is that of the whole batch. Each image has its own: `.mean(dim=(1, 2, 3), keepdim=True)`.": "batch",
        }
        want = _ascend(weights, x, shifts, lr, l2, blurred)
        loose = x.dtype == torch.float32 or weights.ndim == 4  # the second: `.clamp(min=1e-8)` in place of a sum is right too
        mistakes = {message: _ascend(weights, x, shifts, lr, l2, blurred, slip) for message, slip in slips.items() if blurred or "blur" not in slip}
        mistakes["This is the start: nothing has moved. Is the new image kept from step to step?"] = x
        mistakes["Only one step was made, or each starts at x again: keep the image from step to step."] = [_ascend(weights, x, shifts[:1], lr, l2, blurred), _ascend(weights, x, shifts[-1:], lr, l2, blurred)]
        case.close(got, want, what="ascend(…)", mistakes=mistakes, rtol=1e-3 if loose else None, atol=1e-4 if loose else None)


def _slopes(state, x, target, of="logit", training=False) -> torch.Tensor:
    """Gradient of a number an image with respect to x, (B, C, H, W)."""
    model = _network(state)
    model[1].train(training)  # the batch norm; what dropout does cannot be foreseen
    leaf = x.clone().requires_grad_()
    logits = model(leaf)
    mine = target[:, None]
    number = {
        "logit": logits.gather(1, mine), "all": logits, "probability": logits.softmax(1).gather(1, mine), "log": logits.log_softmax(1).gather(1, mine),
        "first": logits[:, target[0]], "best": logits.amax(1), "column": logits[:, target].sum(1),
    }[of]
    return torch.autograd.grad(number.sum(), leaf)[0]


@exercise("10.6", points=3, needs=["saliency"], reference="utils.attribution:saliency")
class Saliency:
    """A saliency map."""

    errors = NO_GRAPH | {"'tuple' object": TUPLE, "'NoneType' object has no attribute": "`x.grad` is None: did x have `requires_grad_()` before the forward pass, and is it the leaf itself that went in, not a copy?"}

    def inputs(rng):
        state, x = _state(rng), rng.randn(1, 3, 8, 8)
        unlikely = _layers(state, x)[-1].argmin(1)
        yield {"state": state, "x": x, "target": unlikely, "training": False, "frozen": False, "_case": "one image"}
        yield {"state": _state(rng), "x": rng.randn(3, 3, 6, 10), "target": torch.tensor([2, 0, 2]), "training": False, "frozen": True, "_case": "three images that are not square, a frozen network"}
        yield {"state": _state(rng), "x": rng.randn(4, 3, 8, 8), "target": torch.tensor([0, 1, 1, 2]), "training": True, "frozen": False, "_case": "a network in training mode"}
        yield {"state": _state(rng, torch.float64), "x": rng.randn(2, 3, 8, 6, dtype=torch.float64), "target": torch.tensor([1, 2]), "training": False, "frozen": False, "_case": "float64"}

    def probe(student, state, x, target, training, frozen):
        from torch import nn

        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1),
                              nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(20, 3)).to(state["0.weight"].dtype)
        model.load_state_dict(state)
        model.train(training)
        for p in model.parameters():
            p.grad = torch.ones_like(p)
            p.requires_grad_(not frozen)
        heat = student.saliency(model, x, target)
        left = {"modes": [m.training for m in model.modules()], "running_mean": model[1].running_mean.clone(),
                "trainable": not frozen, "flags": [p.requires_grad for p in model.parameters()], "hooks": any(m._forward_hooks for m in model.modules()), "grads": [torch.zeros(1) if p.grad is None else p.grad.clone() for p in model.parameters()],
                "x": x.requires_grad or x.grad is not None}
        return {"heat": heat, "left": left}

    def judge(case, state, x, target, training, frozen, heat, left):
        g = _slopes(state, x, target)
        want = g.abs().amax(1)
        case.that(not (isinstance(heat, list) and len(heat) == 2), "`max(dim)` gives two things, values and indices: take `.values`, or use `amax`.")
        case.that(not isinstance(heat, list), TUPLE)
        if training and isinstance(heat, torch.Tensor) and not torch.equal(left["running_mean"], state["1.running_mean"]):
            case.that(False, MODE)
        case.close(heat, want, what="saliency(…)", mistakes={
            "This is signed: you took the largest slope, not the largest absolute slope. First `.abs()`, then the maximum over the channels.": g.amax(1),
            "First the absolute value, then the maximum: a slope of −5 counts more than one of 2.": g.amax(1).abs(),
            "This is the mean over the channels; asked for is the largest.": g.abs().mean(1),
            "This is the sum over the channels; asked for is the largest.": g.abs().sum(1),
            "This is the norm over the channels; asked for is the largest absolute slope.": g.norm(dim=1),
            "This is the slope times the pixel's own value; asked for is the slope alone.": [(g * x).abs().amax(1), (g.abs() * x).amax(1)],
            "This keeps the channels, (B, C, H, W); take the maximum over dim 1.": g.abs(),
            "A dimension too many: (B, 1, H, W). Leave `keepdim` out.": g.abs().amax(1, keepdim=True),
            "This is the gradient of *all* logits together. Take each image's own class: `logits.gather(1, target[:, None])`.": _slopes(state, x, target, "all").abs().amax(1),
            "This is the gradient of the probability, after softmax, which the other classes enter too. Asked for is the logit's.": _slopes(state, x, target, "probability").abs().amax(1),
            "This is the gradient of the log-probability or of a loss, which the other classes enter too. Asked for is the logit's.": _slopes(state, x, target, "log").abs().amax(1),
            "This is the first image's class for all images: each has its own.": _slopes(state, x, target, "first").abs().amax(1),
            "`logits[:, target]` is a table: every image with every target. One logit an image: `logits.gather(1, target[:, None])`.": _slopes(state, x, target, "column").abs().amax(1),
            "This is the gradient of the class that the network thinks likeliest; asked for is that of `target`.": _slopes(state, x, target, "best").abs().amax(1),
            "The slopes are divided by the number of images: use `.sum()`, not `.mean()`.": want / len(x),
            "This is the largest slope in each image; asked for is a map, (B, H, W): the maximum over the channels only, dim 1.": g.abs().amax((1, 2, 3)),
            "You scaled the map to a maximum of 1: then maps of two images cannot be compared. Leave it as it is.": want / want.amax((1, 2), keepdim=True),
            MODE: _slopes(state, x, target, training=True).abs().amax(1) if training else want,
        })
        _untouched(case, state, training, left)


def _cam(state, x, target, layer, slip="") -> torch.Tensor:
    """Grad-CAM by the formula; `slip` names a misconception."""
    model = _network(state)
    with torch.no_grad():
        layer -= slip == "input"
        maps = model[: layer + 1](x)
    maps.requires_grad_()
    logits = model[layer + 1 :](maps.clone())
    number = {"all": logits, "probability": logits.softmax(1).gather(1, target[:, None]), "first": logits[:, target[0]], "best": logits.amax(1), "loss": -logits.log_softmax(1).gather(1, target[:, None])}.get(slip, logits.gather(1, target[:, None]))
    g = torch.autograd.grad(number.sum(), maps)[0]
    maps = maps.detach()
    weights = {"sum": g.sum((2, 3), keepdim=True), "abs": g.abs().mean((2, 3), keepdim=True), "abs of the mean": g.mean((2, 3), keepdim=True).abs(), "batch": g.mean((0, 2, 3), keepdim=True), "no mean": g,
               "relu of weights": g.mean((2, 3), keepdim=True).relu(), "largest": g.amax((2, 3), keepdim=True)}.get(slip, g.mean((2, 3), keepdim=True))
    heat = weights * maps
    heat = heat.relu() if slip == "relu first" else heat
    heat = heat.mean(1, keepdim=True) if slip == "mean over channels" else heat.sum(1, keepdim=True)
    heat = {"no relu": heat, "relu last": heat, "absolute": heat.abs()}.get(slip, heat.relu())
    if slip == "small":
        return heat[:, 0]
    how = {"nearest": {"mode": "nearest"}, "corners": {"mode": "bilinear", "align_corners": True}, "bicubic": {"mode": "bicubic", "align_corners": False}}
    heat = F.interpolate(heat, size=x.shape[2:], **how.get(slip, {"mode": "bilinear", "align_corners": False}))
    heat = heat.relu() if slip == "relu last" else heat
    if slip == "scaled":
        heat = heat / heat.amax((2, 3), keepdim=True).clamp(min=1e-8)
    return heat if slip == "keepdim" else heat[:, 0]


def _cam_case(rng, count, size, layer, dtype=torch.float32, **more) -> dict:
    """A case whose map is neither all 0 nor all positive, so that every part of the formula shows."""
    for _ in range(200):
        state, x = _state(rng, dtype), rng.randn(count, 3, *size, dtype=dtype)
        target = rng.randint(0, 3, (count,))
        raw = _cam(state, x, target, layer, "no relu").flatten(1)
        if (raw.amax(1) > 0.02).all() and (raw.amin(1) < -0.02).all() and len(set(target.tolist())) == min(count, 3):
            break
    return {"state": state, "x": x, "target": target, "layer": layer, "training": False, "frozen": False} | more


@exercise("10.7", points=4, needs=["grad_cam"], reference="utils.attribution:grad_cam")
class GradCam:
    """Grad-CAM."""

    errors = NO_GRAPH | {
        "Cannot access data pointer": "The hook's output is needed as it is: no `.numpy()`, no `.tolist()`.",
        "Input and output must have the same number of spatial dimensions": "`F.interpolate` wants (B, C, h, w): keep a dimension for the one channel until it is done, then drop it.",
        "not enough values to unpack": "The list of kept maps is empty. Is the model called inside the `with` block?",
        "list index out of range": "The list of kept maps is empty. Is the model called inside the `with` block?",
    }

    def inputs(rng):
        yield _cam_case(rng, 1, (8, 8), 4, _case="one image, the maps of a convolution")
        yield _cam_case(rng, 3, (8, 12), 5, _case="three images that are not square, the maps after a ReLU") | {"frozen": False}
        yield _cam_case(rng, 2, (8, 8), 4, _case="all parameters frozen") | {"frozen": True}
        yield _cam_case(rng, 3, (8, 8), 4, _case="a network in training mode") | {"training": True}
        yield _cam_case(rng, 2, (12, 8), 5, torch.float64, _case="float64")

    def probe(student, state, x, target, layer, training, frozen):
        from torch import nn

        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1),
                              nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(20, 3)).to(state["0.weight"].dtype)
        model.load_state_dict(state)
        model.train(training)
        for p in model.parameters():
            p.grad = torch.ones_like(p)
            p.requires_grad_(not frozen)
        heat = student.grad_cam(model, model[layer], x, target)
        left = {"modes": [m.training for m in model.modules()], "running_mean": model[1].running_mean.clone(),
                "trainable": not frozen, "flags": [p.requires_grad for p in model.parameters()], "hooks": any(m._forward_hooks for m in model.modules()), "grads": [torch.zeros(1) if p.grad is None else p.grad.clone() for p in model.parameters()],
                "x": x.requires_grad or x.grad is not None}
        model.eval()
        again = student.grad_cam(model, model[layer], x.flip(0), target.flip(0))  # a hook left behind would disturb it
        return {"heat": heat, "again": again, "left": left}

    def judge(case, state, x, target, layer, training, frozen, heat, again, left):
        want = _cam(state, x, target, layer)
        slips = {
            "The ReLU is missing: what speaks against the class should be 0.": "no relu",
            "You added the gradients over the positions; the weight is their *mean*.": "sum",
            "The weights are signed: no `.abs()` of the gradients. A channel may speak against the class.": "abs",
            "The weights are signed, no `.abs()`: a channel may speak against the class.": "abs of the mean",
            "These are the maps that go *into* the layer; asked for is what comes out, the last argument of a hook.": "input",
            "The ReLU comes after the resizing here; asked for is before it: else what speaks against the class eats into its neighbours.": "relu last",
            "This is the gradient of the class that the network thinks likeliest; asked for is that of `target`.": "best",
            "The weights are averaged over the images too. Each image has its own: the mean over dims (2, 3) only.": "batch",
            "Each position is weighted by its own gradient. Grad-CAM averages the gradient over the positions first: one weight a channel.": "no mean",
            "The ReLU belongs after the sum over the channels, not before it: channels may cancel each other.": "relu first",
            "The ReLU is on the weights; it belongs after the sum over the channels.": "relu of weights",
            "You took the largest gradient of each channel; the weight is their mean.": "largest",
            "This is the mean over the channels; asked for is the sum.": "mean over channels",
            "Positive and negative both show here: you took the absolute value in place of the ReLU.": "absolute",
            "The map still has the layer's size; resize it to the image's: `F.interpolate(…, size=x.shape[2:], mode=\"bilinear\")`.": "small",
            "This is resized by nearest neighbour; asked for is mode=\"bilinear\".": "nearest",
            "This is resized with align_corners=True; asked for is False.": "corners",
            "This is resized with mode=\"bicubic\"; asked for is \"bilinear\".": "bicubic",
            "A dimension too many: (B, 1, H, W). Drop the channel at the end: `[:, 0]`.": "keepdim",
            "You scaled the map to a maximum of 1: then maps of two images cannot be compared. Leave it as it is.": "scaled",
            "This is the gradient of *all* logits together. Take each image's own class: `logits.gather(1, target[:, None])`.": "all",
            "This is the gradient of the probability, after softmax. Asked for is the logit's.": "probability",
            "This is the gradient of the loss: what lowers the loss has a negative slope in it. Asked for is the logit's.": "loss",
            "This is the first image's class for all images: each has its own.": "first",
        }
        case.that(not isinstance(heat, list), TUPLE)
        if training and not torch.equal(left["running_mean"], state["1.running_mean"]):
            case.that(False, MODE)
        mistakes = {message: _cam(state, x, target, layer, slip) for message, slip in slips.items()}
        mistakes["The map is divided by the number of images: sum the logits, do not average them."] = want / len(x)
        mistakes["`.squeeze()` drops the dimension of a batch of one image too: take `[:, 0]`."] = want.squeeze()
        case.close(heat, want, what="grad_cam(…)", mistakes=mistakes, atol=1e-5)
        case.close(again, want.flip(0), what="A second call, with the images in reverse order,", atol=1e-5, mistakes={
            "The second call gives the first call's maps: the hook of the first call is still there, or its list of maps is. Use a `with Hooks(…)` block and a new list in each call.": want})
        _untouched(case, state, training, left)


def _occluded(state, x, target, patch, stride, fill, slip="") -> torch.Tensor:
    """The drops, window by window; `slip` names a misconception."""
    model = _network(state)
    if slip == "training":
        model[1].train()

    def number(images):
        with torch.no_grad():
            logits = model(images)
        logits = {"probability": logits.softmax(1), "log": logits.log_softmax(1)}.get(slip, logits)
        if slip == "best":
            return logits.amax(1)
        return logits[:, target[0]] if slip == "first" else logits.gather(1, target[:, None])[:, 0]

    height, width = x.shape[2:]
    round_ = math.floor if slip == "whole" else math.ceil
    rows, columns = (round_((side - patch) / stride) + 1 for side in (height, width))
    if slip == "to the end":
        rows, columns = -(-height // stride), -(-width // stride)
    before, canvas = number(x), x.clone()
    drops = torch.zeros(len(x), rows, columns, dtype=x.dtype)
    for row in range(rows):
        for column in range(columns):
            covered = canvas if slip == "stays" else x.clone()
            top, left = {"no stride": (row, column), "exchanged": (column * stride, row * stride), "step": (row * patch, column * patch),
                         "pushed back": (min(row * stride, height - patch), min(column * stride, width - patch)),
                         "centred": (max(row * stride - patch // 2, 0), max(column * stride - patch // 2, 0))}.get(slip, (row * stride, column * stride))
            channels = slice(0, 1) if slip == "one channel" else slice(None)
            bottom, right = (row * stride + patch // 2, column * stride + patch // 2) if slip == "centred" else (top + patch, left + patch)
            covered[:, channels, top:bottom, left:right] = 0.0 if slip == "fill" else fill
            drops[:, row, column] = number(covered)
    if slip == "logit":
        return drops
    drops = before[:, None, None] - drops
    return {"sign": -drops, "absolute": drops.abs(), "relative": drops / before[:, None, None]}.get(slip, drops)


@exercise("10.8", points=3, needs=["occlusion"], reference="utils.attribution:occlusion")
class Occlusion:
    """Occlusion."""

    errors = {"only one element tensors can be converted": "There is one drop an image: fill `drops[:, row, column]`, not a single number.",
              "a Tensor with": "There is one drop an image: fill `drops[:, row, column]`, not a single number."}

    def inputs(rng):
        def case(count, size, patch, stride, fill, dtype=torch.float32, **more):
            return {"state": _state(rng, dtype), "x": rng.randn(count, 3, *size, dtype=dtype), "target": rng.randperm(3)[:count], "patch": patch, "stride": stride, "fill": fill, "training": False} | more

        yield case(1, (8, 8), 4, 2, 0.0, _case="one image, patches that fit")
        yield case(3, (8, 12), 4, 3, 0.5, _case="three images that are not square; the last patches stand out at the border; fill 0.5")
        yield case(3, (8, 8), 2, 2, 0.0, _case="a network in training mode") | {"training": True}
        yield case(2, (9, 7), 3, 3, -1.0, torch.float64, _case="float64, fill −1")

    def probe(student, state, x, target, patch, stride, fill, training):
        from torch import nn

        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1),
                              nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(20, 3)).to(state["0.weight"].dtype)
        model.load_state_dict(state)
        model.train(training)
        drops = student.occlusion(model, x, target, patch, stride, fill)
        left = {"modes": [m.training for m in model.modules()], "running_mean": model[1].running_mean.clone(),
                "trainable": True, "flags": [p.requires_grad for p in model.parameters()], "hooks": any(m._forward_hooks for m in model.modules())}
        return {"drops": drops, "left": left, "tracked": getattr(drops, "requires_grad", False)}

    def judge(case, state, x, target, patch, stride, fill, training, drops, left, tracked):
        slips = {
            "The sign is the other way round: a drop is the logit *before* minus the logit with the patch.": "sign",
            "These are the logits of the covered images; asked for is how much each is below the logit of the whole image.": "logit",
            "The last patches are missing: where the side is not a whole number of strides, one more stands out at the border. rows = ceil((H − patch) / stride) + 1.": "whole",
            "There are too many patches: the first that reaches the border is the last. rows = ceil((H − patch) / stride) + 1.": "to the end",
            "The patches stay: each covered image must start from a fresh copy of x (`x.clone()`).": "stays",
            "The patches move one pixel at a time; they start at multiples of `stride`.": "no stride",
            "The patches are one `patch` apart; they start at multiples of `stride`.": "step",
            "The patches are centred on the multiples of `stride`; they start there.": "centred",
            "The last patches are pushed back into the image; they stay at multiples of `stride`, and what stands out is cut off.": "pushed back",
            "Rows and columns of the patch are exchanged: images are indexed [image, channel, row, column].": "exchanged",
            "This is unsigned; keep the sign: where the logit rises, the patch spoke against the class.": "absolute",
            "The drop is divided by the logit; asked for is the difference.": "relative",
            "This is the drop of the largest logit; asked for is that of `target`.": "best",
            "One channel only was covered: `covered[:, :, rows, columns] = fill`.": "one channel",
            "The patch is filled with 0, whatever `fill` is.": "fill",
            "This is the drop of the probability; asked for is that of the logit.": "probability",
            "This is the drop of the log-probability; asked for is that of the logit.": "log",
            "This is the first image's class for all images: each has its own.": "first",
            MODE: "training",
        }
        want = _occluded(state, x, target, patch, stride, fill)
        if training and not torch.equal(left["running_mean"], state["1.running_mean"]):
            case.that(False, MODE)
        mistakes = {message: _occluded(state, x, target, patch, stride, fill, slip) for message, slip in slips.items()}
        mistakes["Rows and columns are exchanged: (B, rows, columns)."] = want.transpose(1, 2)
        mistakes["A map in one row: give it the shape (B, rows, columns)."] = [want.flatten(1), want.flatten()]
        case.close(drops, want, what="occlusion(…)", mistakes=mistakes, atol=2e-5 if x.dtype == torch.float32 else None)
        _untouched(case, state, training, left)
        # In the last case only: the values are right.
        case.that(not tracked or x.dtype != torch.float64, "The drops are right, but they hold on to the graph of every forward pass, which fills the memory. Run the model under `torch.no_grad()`.")


MARK = (28, 1, 3, 3)  # as lab 10 draws it, from a generator seeded with 5


def _coverings(x, labels, box, fill) -> dict:
    """Images covered by mistake: message -> list of images."""
    top, left, height, width = box

    def covered(rows, columns, value=fill, images=slice(None), channels=slice(None)):
        y, inside = x.clone(), torch.zeros(x.shape, dtype=torch.bool)
        inside[images, channels, slice(*rows), slice(*columns)] = True
        y[inside & (torch.ones(len(x), dtype=torch.bool) if isinstance(images, slice) else images)[:, None, None, None]] = value
        return y

    rows, columns = (top, top + height), (left, left + width)
    return {
        "": [covered(rows, columns)],
        "This is the accuracy on the whole images: nothing is covered. Is it `box` that you cover, not `mark`? Is the covered copy what goes into the model?": [x],
        "The box is taken as (top, left, bottom, right); it is (top, left, height, width): rows `top : top + height`.": [
            covered(r, c) for r, c in (((top, height), (left, width)), ((top, height), columns), (rows, (left, width)))],
        "Row and column are exchanged: box is (top, left, height, width), and images are indexed [image, channel, row, column].": [
            covered(columns, rows), covered((left, left + height), (top, top + width)), covered((top, top + width), (left, left + height))],
        "The box is one pixel too large or too small: it has the rows from top to top + height − 1, which the slice `top : top + height` gives.": [
            covered((rows[0], rows[1] + d), (columns[0], columns[1] + d)) for d in (1, -1)],
        "The patch is filled with 0, whatever `fill` is.": [covered(rows, columns, 0.0)],
        "All but the box is covered; asked for is the box.": [torch.where(covered(rows, columns, float("nan")).isnan(), x, torch.tensor(fill, dtype=x.dtype))],
        "One channel only was covered: `covered[:, :, rows, columns] = fill`.": [covered(rows, columns, channels=slice(0, 1))],
        "One class only was covered. Cover the box in *every* image: else it is the cover that tells the classes apart.": [covered(rows, columns, images=labels == k) for k in range(3)],
    }


def _share(w, images, labels) -> float:
    """Accuracy of a linear classifier."""
    return ((images.flatten(1) @ w.T).argmax(1) == labels).double().mean().item()


def _cover_case(rng, count, box, fill, dtype=torch.float32, **more) -> dict:
    """A case in which every wrong covering has an accuracy of its own."""
    for _ in range(200):
        w, x = rng.randn(3, 3 * 8 * 10, dtype=dtype), rng.randn(count, 3, 8, 10, dtype=dtype)
        covered = x.clone()
        covered[:, :, box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = fill
        labels = (covered.flatten(1) @ w.T).argmax(1)
        labels[: count // 4] = (labels[: count // 4] + 1) % 3  # three quarters are right
        ways = [(message, images) for message, wrong in _coverings(x, labels, box, fill).items() for images in wrong]
        shares = [(message, images, _share(w, images, labels)) for message, images in ways]
        if all(a == b or torch.equal(y, z) or abs(p - q) > 1e-6 for i, (a, y, p) in enumerate(shares) for b, z, q in shares[:i]):
            break
    return {"w": w, "x": x, "labels": labels, "box": box, "fill": fill} | more


@exercise("10.9", points=3, needs=["mark", "accuracy_without"], reference="utils.attribution:accuracy_without")
class Watermark:
    """The mark, and the accuracy without it."""

    def inputs(rng):
        yield _cover_case(rng, 400, (2, 3, 4, 5), 0.0, _case="a box in the middle")
        yield _cover_case(rng, 200, (1, 7, 6, 3), 2.0, torch.float64, _case="a box at the right border, fill 2, float64")

    def probe(student, w, x, labels, box, fill):
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(w.shape[1], 3, bias=False)).to(w.dtype).eval()
        model[1].load_state_dict({"weight": w})
        return {"mark": student.mark, "got": student.accuracy_without(model, x, labels, tuple(box), fill), "training": model.training}

    def judge(case, w, x, labels, box, fill, mark, got, training):
        _judge_mark(case, mark)
        tensor = isinstance(got, torch.Tensor)
        got = got.item() if tensor and got.numel() == 1 else got
        case.that(isinstance(got, (int, float)) and not isinstance(got, bool), "accuracy_without(…) should be one number.")
        coverings = _coverings(x, labels, box, fill)
        want = _share(w, coverings.pop("")[0], labels)
        wrong = {
            "This is in percent; asked for is a fraction from 0 to 1.": [100 * want],
            "This is the number of right answers; divide by how many there are.": [want * len(labels)],
            "This is the share of *wrong* answers.": [1 - want],
        } | {message: [_share(w, images, labels) for images in some] for message, some in coverings.items()}
        for message, values in wrong.items():
            case.that(not any(abs(got - value) < 1e-6 and abs(value - want) > 1e-6 for value in values), message)
        case.close(torch.tensor(float(got), dtype=torch.float64), torch.tensor(want, dtype=torch.float64), what="accuracy_without(…)", rtol=1e-5, atol=1e-6)
        # In the last case only: the value is right.
        case.that(not tensor or x.dtype != torch.float64, "The value is right, but it is a tensor; asked for is a Python number: `.item()`.")
        case.that(not training or x.dtype != torch.float64, "The value is right, but the model came in evaluation mode and is now in training mode.")


def _judge_mark(case, mark) -> None:
    """`mark` is a box that holds MARK and little else."""
    mark = mark.tolist() if isinstance(mark, torch.Tensor) else mark
    mark = [n.item() if isinstance(n, torch.Tensor) and n.numel() == 1 else n for n in mark] if isinstance(mark, list) else mark
    case.that(isinstance(mark, list) and len(mark) == 4 and all(type(n) is int for n in mark), "`mark` should be four whole numbers: (top, left, height, width).")
    top, left, height, width = mark
    case.that(top >= 0 and left >= 0, "`mark` begins outside the image: a slice from a negative number counts from the other end, and covers nothing here. Rows and columns begin at 0.")
    inside = _overlap(mark, MARK)
    case.that(not (inside < 9 and _overlap((left, top, width, height), MARK) == 9), "Row and column are exchanged: (top, left, …) is (row, column, …).")
    corners = (top, left, height - top, width - left)
    case.that(not (max(height, width) > 12 and _overlap(corners, MARK) == 9), "The last two numbers are height and width, not the last row and column.")
    case.that((top, left) not in ((31 - 28, 1), (1, 1)), "Rows are counted from the top: the first row of pixels is 0, the last is 31.")
    case.that(top + height <= 32 and left + width <= 32, "`mark` stands out of the image, which has 32 rows and columns: top + height and left + width are at most 32.")
    case.that(inside > 0, "There is no mark in this box. Where is the mean saliency map, `mean_maps[\"saliency\"].mean(0)`, brightest?")
    case.that(inside == 9, "The box touches the mark and leaves part of it uncovered. Look at which pixels are bright in the mean saliency map.")
    case.that(height * width <= 64, "The box covers the mark and much else: with so much of the picture gone, what you measure is no longer the effect of the mark. Make it smaller.")


def _overlap(box, other) -> int:
    """Pixels that two boxes (top, left, height, width) have in common."""
    rows = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])
    columns = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
    return max(rows, 0) * max(columns, 0)
