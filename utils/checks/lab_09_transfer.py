"""Checks of lab 09, transfer learning. Oracle: torchvision's transforms, torch on small networks, and exact binomials."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms import v2

from . import exercise


def _scene(rng, height, width):
    """A smooth picture, uint8 (H, W, 3): waves in each channel, so that the way of resizing hardly matters."""
    y, x = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)[None, :]
    a = rng.rand(3, 3)
    waves = [0.5 + 0.25 * torch.sin(2 * math.pi * (y * (1 + a[c, 0]) + a[c, 1])) + 0.22 * torch.cos(2 * math.pi * (x * (1.2 + a[c, 2]) + a[c, 0])) for c in range(3)]
    return (255 * torch.stack(waves, dim=2)).round().clamp(0, 255).to(torch.uint8)


@exercise("09.1", points=2, needs=["preprocess"], reference="utils.transfer:preprocess")
class Preprocess:
    """A picture as the weights want it."""

    errors = {
        "Input tensor should be a float tensor": "`Normalize` wants floats: scale to 0 … 1 first (`v2.ToDtype(torch.float32, scale=True)`).",
        "PIL": "That step works on tensors, and this is still a PIL picture: `v2.ToImage()` makes a tensor of it.",
    }

    def inputs(rng):
        yield {"pixels": _scene(rng, 60, 90), "size": 28, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "_case": "90 × 60 pixels, size 28"}
        yield {"pixels": _scene(rng, 120, 70), "size": 56, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "_case": "an upright picture, ImageNet's numbers"}
        yield {"pixels": _scene(rng, 20, 26), "size": 42, "mean": [0.1, 0.9, 0.4], "std": [0.2, 0.3, 0.9], "_case": "a picture smaller than the size"}
        yield {"pixels": rng.randint(0, 256, (120, 200, 3), dtype=torch.uint8), "size": 26, "mean": [0.5] * 3, "std": [0.5] * 3, "_case": "a larger picture, full of detail"}

    def probe(student, pixels, size, mean, std):
        from PIL import Image

        return {"got": student.preprocess(Image.fromarray(pixels.numpy()), size, mean, std)}

    def judge(case, pixels, size, mean, std, got):
        image = pixels.permute(2, 0, 1)

        def norm(x, mean=mean, std=std):
            return (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

        def cut(shorter, crop=size, antialias=True, way=v2.InterpolationMode.BILINEAR):
            steps = v2.Compose([v2.Resize(shorter, way, antialias=antialias), v2.CenterCrop(crop), v2.ToDtype(torch.float32, scale=True)])
            return steps(image)

        x = cut(round(size / 0.875))
        want = norm(x)
        if isinstance(got, torch.Tensor):
            case.that(got.shape != (1, *want.shape), "The result has a batch dimension; asked for is one picture, (3, size, size).")
            case.that(got.shape != (size, size, 3), "The channels are last: a network wants them first, (3, size, size).")
            case.that(got.ndim != 3 or got.shape[1] == got.shape[2], "The result is not square. `Resize(n)` with one number brings the shorter side to n; then `CenterCrop` cuts the middle out.")
            case.that(got.shape != (3, round(size / 0.875), round(size / 0.875)), "The middle is not cut out: size / 0.875 is for the resizing, the crop has `size` pixels.")
        n = round(size / 0.875)
        longer = v2.functional.center_crop(v2.functional.resize(image, None, max_size=n, antialias=True), [size, size]).float() / 255
        imagenet, halves = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), ([0.5] * 3, [0.5] * 3)
        case.close(got, want, what="preprocess(picture, …)", rtol=0, atol=0.03 / min(std), mistakes={
            "The pixels are from 0 to 1, but not normalized: subtract `mean`, divide by `std`.": x,
            "The pixels are still from 0 to 255.": 255 * x,
            "Pixels from 0 to 255 were normalized with numbers meant for 0 to 1: divide by 255 first.": norm(255 * x),
            "This is ImageNet's usual mean and std whatever was asked for: use the arguments.": norm(x, *imagenet),
            "This is 0.5 and 0.5 whatever was asked for: use the arguments `mean` and `std`.": norm(x, *halves),
            "The picture was squeezed into a square: an insect becomes thinner or fatter. Resize the *shorter side* (one number), then crop.":
                [norm(cut([side, side])) for side in (size, n)],
            "The shorter side was resized to `size` itself. Resize to size / 0.875, then cut out `size`: the weights were measured so.": norm(cut(size)),
            "The picture was cropped without resizing: the network sees a small piece of it.": norm(v2.functional.center_crop(image, [size, size]).float() / 255),
            "Divide by `std` after subtracting `mean`; here std was subtracted or the order is reversed.": [x / torch.tensor(std).view(3, 1, 1) - torch.tensor(mean).view(3, 1, 1)],
            "You multiplied by `std`; divide by it.": (x - torch.tensor(mean).view(3, 1, 1)) * torch.tensor(std).view(3, 1, 1),
            "This is the picture's own mean and std; the weights want theirs, the arguments.": (x - x.mean((1, 2), keepdim=True)) / x.std((1, 2), keepdim=True),
            "`reshape` does not move the channels to the front, it mixes the pixels: `permute(2, 0, 1)`.": want.permute(1, 2, 0).reshape(want.shape),
            "The *longer* side was resized; it is the shorter one that becomes size / 0.875.": norm(longer),
            "The side was cut off to a whole number, `int(size / 0.875)`; asked for is `round`.": norm(cut(int(size / 0.875))),
            "The picture was made smaller without antialiasing: fine detail turns into noise. `antialias=True`.": norm(cut(n, antialias=False)),
            "This is another interpolation than bilinear. PIL's `resize` is bicubic unless told: `Image.Resampling.BILINEAR`.":
                [norm(cut(n, way=way)) for way in (v2.InterpolationMode.BICUBIC, v2.InterpolationMode.NEAREST)],
        })


@exercise("09.2", points=2, needs=["top_classes"], reference="utils.transfer:top_classes")
class TopClasses:
    """From logits to names."""

    errors = {
        "only integer tensors": "A tuple takes a Python int: `.item()`, or `.tolist()` on the whole tensor of places.",
        "must be integers or slices": "A tuple takes a Python int: `.item()`, or `.tolist()` on the whole tensor of places.",
        "only one element tensors": "Each row has its own places: loop over the rows, or call `.tolist()` first.",
        "a Tensor with": "Each row has its own places: loop over the rows, or call `.tolist()` first.",
    }

    def inputs(rng):
        names = ["ant", "bee", "fly", "wasp", "moth", "mite", "tick"]
        yield {"logits": 2 * rng.randn(3, 7), "classes": names, "k": 3}
        yield {"logits": 3 * rng.randn(7, 4, dtype=torch.float64).t(), "classes": names, "k": 5}
        yield {"logits": 200 + 5 * rng.randn(1, 7), "classes": names, "k": 7, "_case": "large logits, all the classes"}

    def probe(student, logits, classes, k):
        return {"got": student.top_classes(logits, tuple(classes), k)}

    def judge(case, logits, classes, k, got):
        p = logits.softmax(1)
        order = logits.argsort(dim=1, descending=True)[:, :k]
        names = [[classes[i] for i in row] for row in order.tolist()]
        chances = p.gather(1, order)

        def pair(item):
            return isinstance(item, list) and len(item) == 2

        case.that(isinstance(got, list) and got, "The result should be a list with one entry a row of logits.")
        if len(logits) > 1:
            case.that(not pair(got[0]), "This is one list of pairs; asked for is one such list for each row of logits.")
        case.that(len(got) == len(logits), f"There are {len(logits)} rows of logits, and {len(got)} entries in the result.")
        case.that(all(isinstance(row, list) and all(map(pair, row)) for row in got), "Each row's entry should be a list of pairs (name, probability).")
        case.that(all(len(row) == k for row in got), f"Each row should have k = {k} pairs.")
        case.that(not any(type(item[1]) is float and item[1] != item[1] for row in got for item in row), "A probability is nan: exp of a large logit is inf, and inf / inf is nan. `softmax` takes care of that.")
        first = [[item[0] for item in row] for row in got]
        case.that(first != order.tolist(), "These are the places of the classes; asked for are their names, `classes[i]`.")
        case.that(all(type(item[0]) is str for row in got for item in row), "A pair is (name, probability): the name first, a text.")
        case.equal(first, names, what="the names", mistakes={
            "These are the *least* probable classes.": [[classes[i] for i in row] for row in logits.argsort(dim=1)[:, :k].tolist()],
            "The right classes, but the most probable one should come first.": [row[::-1] for row in names],
            "The right classes, in the order of `classes`; the most probable one should come first.": [sorted(row, key=classes.index) for row in names],
            "Every row got the names of the first one.": [names[0]] * len(names),
            "The softmax ran down the columns, over the pictures. It goes over the classes: dim=1.": [[classes[i] for i in row] for row in logits.softmax(0).argsort(dim=1, descending=True)[:, :k].tolist()],
        })
        case.that(all(type(item[1]) in (int, float) for row in got for item in row), "The probability should be a Python number: `.item()` or `.tolist()`.")
        values = torch.tensor([[float(item[1]) for item in row] for row in got], dtype=logits.dtype)
        case.close(values, chances, what="the probabilities", mistakes={
            "These are the logits; `softmax` makes probabilities of them.": logits.gather(1, order),
            "The softmax ran down the columns, over the pictures. It goes over the classes: dim=1.": logits.softmax(0).gather(1, order),
            "The softmax was taken over the k largest only, so they sum to 1. Take it over all classes first.": logits.gather(1, order).softmax(1),
            "This is in percent; asked for are probabilities from 0 to 1.": 100 * chances,
            "These are logarithms of probabilities.": logits.log_softmax(1).gather(1, order),
            "This is a sigmoid of each logit; with one label an image, the classes compete: softmax.": logits.gather(1, order).sigmoid(),
        })


def _body(state, x, training=False, head=None):
    """The small network of 09.3 and 09.5: linear, batch norm, ReLU; features (B, 6), or logits where `head` is named."""
    running = [state[f"body.1.running_{name}"].clone() for name in ("mean", "var")]
    x = F.linear(x, state["body.0.weight"], state["body.0.bias"])
    x = F.batch_norm(x, *running, state["body.1.weight"], state["body.1.bias"], training).relu()
    return x if head is None else F.linear(x, state[f"{head}.weight"], state[f"{head}.bias"])


def _state(rng, head, dtype=torch.float32):
    shapes = {"body.0.weight": (6, 5), "body.0.bias": (6,), "body.1.weight": (6,), "body.1.bias": (6,), "body.1.running_mean": (6,), f"{head}.weight": (4, 6), f"{head}.bias": (4,)}
    state = {name: rng.randn(*shape, dtype=dtype) for name, shape in shapes.items()}
    return state | {"body.1.running_var": rng.rand(6, dtype=dtype) + 0.5, "body.1.num_batches_tracked": torch.tensor(3)}


@exercise("09.3", points=3, needs=["new_head"], reference="utils.transfer:new_head")
class NewHead:
    """Freeze, and replace the output layer."""

    errors = {
        "shapes cannot be multiplied": "The new layer takes another number of inputs than the body gives. Ask the old layer: `in_features`.",
        "same dtype": "The body is float64 here, and the new layer float32: bring it to the old layer's dtype, `.to(old.weight)`.",
        "has no attribute 'fc'": "This network calls its output layer otherwise: the name is in `head`; `getattr(model, head)`.",
        "has no attribute 'classifier'": "This network calls its output layer otherwise: the name is in `head`; `getattr(model, head)`.",
        "has no attribute 'in_features'": "`head` is a text, the *name* of the layer: `getattr(model, head)` is the layer.",
    }

    def inputs(rng):
        yield {"head": "fc", "state": _state(rng, "fc"), "num_classes": 2, "x": rng.randn(3, 5), "_case": "an output layer called `fc`"}
        yield {"head": "classifier", "state": _state(rng, "classifier"), "num_classes": 7, "x": rng.randn(3, 5), "_case": "an output layer called `classifier`, seven classes"}
        yield {"head": "fc", "state": _state(rng, "fc", torch.float64), "num_classes": 3, "x": rng.randn(2, 5, dtype=torch.float64), "_case": "float64"}

    def probe(student, head, state, num_classes, x):
        class Small(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.body = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU())
                setattr(self, head, torch.nn.Linear(6, 4))

            def forward(self, x):
                return getattr(self, head)(self.body(x))

        model = Small().to(x.dtype).eval()
        model.load_state_dict(state)
        result = student.new_head(model, head, num_classes)
        used = result if hasattr(result, "body") else model
        y = used.eval()(x)
        return {"returned": "model" if result is model else type(result).__name__, "y": y, "weights": dict(used.state_dict()),
                "learnt": {name: p.requires_grad for name, p in used.named_parameters()}}

    def judge(case, head, state, num_classes, x, returned, y, weights, learnt):
        case.that(returned != "NoneType", "The function returns None: is a `return model` missing?")
        case.that(returned != "Linear", "You returned the new layer; return the model.")
        extra = [name for name in weights if name not in state]
        case.that(not any(name.startswith(f"{head}.") for name in extra), "In the output layer's place stands more than one layer: put one `nn.Linear` there, in the place of the old one.")
        case.that(not extra, f"The model has a part that it had not before, {extra[0] if extra else ''}: `model.head = …` makes a new attribute of that name. The name is *in* the variable: `setattr(model, head, …)`.")
        case.that(set(weights) == set(state), "The new model has not the parts of the old one: the body stays, and the new layer has a bias.")
        out = y.shape[-1] if isinstance(y, torch.Tensor) else None
        old = state[f"{head}.weight"]
        case.that(out == 4 or not torch.equal(weights[f"{head}.weight"], old[:out]), "The layer is made of the old one's first rows, which answer other questions; a new `nn.Linear` has random weights (and may have more rows).")
        case.that(out != 4, "The old output layer is still there: it gives four logits, as before. `setattr(model, head, …)` puts the new one into its place.")
        case.that(out == num_classes, f"The new layer gives {out} logits; wanted are {num_classes}.")
        body = [name for name in state if name.startswith("body.")]
        case.that(all(torch.equal(weights[name], state[name]) for name in body), "The body's weights are not those that it came with. They are what you want to keep.")
        heads, bodies = [learnt[name] for name in learnt if name.startswith(head)], [learnt[name] for name in learnt if name.startswith("body")]
        case.that(any(heads), "The new layer is frozen too: nothing would be learnt. Freeze first, then replace.")
        case.that(all(heads), "A part of the new layer is frozen: both its weight and its bias should learn.")
        case.that(not all(bodies), "Nothing is frozen: every parameter of the body still has `requires_grad` True.")
        case.that(not any(bodies), "A part of the body is not frozen; `model.requires_grad_(False)` reaches all of it, batch norms too.")
        case.close(y, _body(state | {n: weights[n] for n in (f"{head}.weight", f"{head}.bias")}, x, head=head), what="new_head(…)(x)")
        case.that(returned == "model", "Change the model that you were given and return it; you returned another object.")


def _norm_state(rng, conv):
    first = {"0.0.weight": (4, 2, 3, 3) if conv else (4, 6), "0.0.bias": (4,), "0.1.weight": (4,), "0.1.bias": (4,), "0.1.running_mean": (4,), "2.weight": (3, 4 * 9 if conv else 4), "2.bias": (3,)}
    state = {name: rng.randn(*shape, dtype=torch.float64) for name, shape in first.items()}
    return state | {"0.1.running_var": rng.rand(4, dtype=torch.float64) + 0.5, "0.1.num_batches_tracked": torch.tensor(3)}


def _norm_run(conv, state, xs, ys, epochs, slip=""):
    """Running mean, running variance and weights after training with norms in evaluation mode; `slip` names a misconception."""
    layer, norm = (nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)) if conv else (nn.Linear(6, 4), nn.BatchNorm1d(4))
    model = nn.Sequential(nn.Sequential(layer, norm, nn.ReLU(), nn.Flatten()), nn.Dropout(0.5), nn.Linear(36 if conv else 4, 3)).double()
    model.load_state_dict(state)
    if slip == "momentum 0":
        norm.momentum = 0.0
    if slip == "parameters":
        norm.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(7)
    for _ in range(epochs):
        for x, y in zip(xs, ys):
            model.train()
            if not slip:
                norm.eval()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
    return torch.cat([norm.running_mean, norm.running_var]), torch.cat([p.detach().flatten() for p in model.parameters()])


@exercise("09.4", points=3, needs=["StillNorms"], reference="utils.transfer:StillNorms")
class StillNorms:
    """Norms that stay put."""

    errors = {
        "object has no attribute 'model'": "The model comes with the event: `def before_batch(self, learner):`, then `learner.model`.",
        "positional argument": "Every event of a callback gets the learner: `def before_batch(self, learner):`.",
        "has no attribute 'modules'": "The model is `learner.model`; its parts, at any depth, are `learner.model.modules()`.",
    }

    def inputs(rng):
        for conv in (True, False):
            shape = (6, 2, 3, 3) if conv else (6, 6)
            yield {"conv": conv, "state": _norm_state(rng, conv), "xs": [2 * rng.randn(*shape, dtype=torch.float64) + 1 for _ in range(3)],
                   "ys": [rng.randint(0, 3, (6,)) for _ in range(3)], "epochs": 2, "_case": "a BatchNorm2d" if conv else "a BatchNorm1d"}

    def probe(student, conv, state, xs, ys, epochs):
        from torch import nn

        from utils.events import Callback
        from utils.training import Learner

        layer, norm = (nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)) if conv else (nn.Linear(6, 4), nn.BatchNorm1d(4))
        model = nn.Sequential(nn.Sequential(layer, norm, nn.ReLU(), nn.Flatten()), nn.Dropout(0.5), nn.Linear(36 if conv else 4, 3)).double()
        model.load_state_dict(state)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        batches = list(zip(xs, ys))
        learner = Learner(model, batches, batches, nn.CrossEntropyLoss(), optimizer)
        callback = student.StillNorms()
        seen = {}  # the mode of norm and dropout in each forward pass
        for name, part in (("norm", norm), ("dropout", model[1])):
            part.register_forward_pre_hook(lambda part, _, name=name: seen.setdefault(f"{name} {'train' if learner.training else 'val'}", []).append(part.training))
        torch.manual_seed(7)
        learner.fit(epochs, [callback])
        events = [name for name in vars(type(callback)) if name.startswith(("before_", "after_", "cleanup_"))]
        return {"seen": seen, "events": events, "unknown": [name for name in events if not hasattr(Callback, name)],
                "running": torch.cat([norm.running_mean, norm.running_var]), "weights": torch.cat([p.detach().flatten() for p in model.parameters()]),
                "modes": [module.training for module in model.modules()]}

    def judge(case, conv, state, xs, ys, epochs, seen, events, unknown, running, weights, modes):
        want_running, want = _norm_run(conv, state, xs, ys, epochs)
        if isinstance(weights, torch.Tensor) and weights.shape == want.shape:
            frozen = _norm_run(conv, state, xs, ys, epochs, "parameters")
            case.that(not torch.allclose(weights, frozen[1]), "You froze the norm's weight and bias; its running averages are buffers, which no gradient moves and `requires_grad` does not hold.")
        norm, passes = seen["norm train"], len(xs)
        moving = not torch.allclose(running, want_running)
        if moving and all(norm):
            case.that(not unknown, f"No event is called {', '.join(unknown)}, so the method was never called. Lab 07's events: before_ and after_ of fit, epoch, batch, step; after_predict, after_loss, after_backward.")
            if "before_batch" in events:
                case.that(conv, "There is a BatchNorm1d here, and it stayed in training mode. Did you think of BatchNorm2d only?")
                case.that(False, "`before_batch` is the right event, but the norm stayed in training mode. It lies inside a block: `children()` sees the first level only, `modules()` any depth.")
            case.that(not events, "The running averages moved: in the training pass the norm was in training mode. The Learner calls model.train() at the start of each pass, *after* `before_fit` and `before_epoch`: "
                      "what you switched there is switched back.")
        case.that(not moving or norm[0] or not any(norm[passes:]), "The norm was switched once; the Learner switches back at the start of every pass. Switch at every batch.")
        case.that(not moving or not (norm[0] and not norm[1]), "Too late: the forward pass of this batch had already moved the averages. Switch before it.")
        case.that(any(seen["dropout train"]), "Dropout was in evaluation mode too, so it no longer drops anything. Switch the batch norms only.")
        case.that(not any(seen["dropout val"]), "`before_batch` comes in the validation pass too, and there your callback switched dropout to training mode. Switch norms to evaluation mode, and nothing else.")
        case.close(running, want_running, what="the running averages after training")
        case.close(weights, want, what="the network's weights after training", mistakes={
            "The running averages stand still, but the norm still normalizes each batch by its own mean and variance (momentum 0 does that). Evaluation mode uses the averages.": _norm_run(conv, state, xs, ys, epochs, "momentum 0")[1],
            "Nothing was trained: the weights are those of the start.": torch.cat([state[name].flatten() for name in ("0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias", "2.weight", "2.bias")]),
        })
        case.that(all(modes), "After the fit a module is no longer in the mode in which it was.")


@exercise("09.5", points=3, needs=["extract_features"], reference="utils.transfer:extract_features")
class ExtractFeatures:
    """Features, computed once."""

    errors = {
        "has no attribute 'classifier'": "This network calls its output layer otherwise: the name is in `head`; `getattr(model, head)`.",
        "has no attribute 'fc'": "This network calls its output layer otherwise: the name is in `head`; `getattr(model, head)`.",
        "too many values to unpack": "`batches` gives pairs (x, y).",
        "equal size": "The last batch is shorter than the others, so `torch.stack` cannot pile them up: `torch.cat` puts one after the other.",
    }

    def inputs(rng):
        for head, dtype, training in (("fc", torch.float32, True), ("classifier", torch.float32, False), ("fc", torch.float64, True)):
            yield {"head": head, "state": _state(rng, head, dtype), "xs": [rng.randn(n, 5, dtype=dtype) + 1 for n in (4, 4, 3)],
                   "ys": [rng.randint(0, 2, (n,)) for n in (4, 4, 3)], "training": training,
                   "_case": f"output layer `{head}`, the model in {'training' if training else 'evaluation'} mode"}

    def probe(student, head, state, xs, ys, training):
        class Small(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.body = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU())
                setattr(self, head, torch.nn.Linear(6, 4))

            def forward(self, x):
                return getattr(self, head)(self.body(x))

        model = Small().to(xs[0].dtype).train(training)
        model.load_state_dict(state)
        class Shuffled:  # another order in each pass, as with augment=True
            passes = 0

            def __len__(self):
                return len(xs)

            def __iter__(self):
                self.passes += 1
                return iter(list(zip(xs, ys))[:: 1 if self.passes == 1 else -1])

        layer, batches = getattr(model, head), Shuffled()
        result = student.extract_features(model, head, batches)
        grad = torch.is_grad_enabled()
        learns = all(p.requires_grad for p in model.parameters())
        pair = isinstance(result, (tuple, list)) and len(result) == 2
        features, labels = result if pair else (result, None)
        tensor = isinstance(features, torch.Tensor)
        return {"passes": batches.passes, "grad": grad, "learns": learns, "pair": pair, "features": features, "labels": labels, "graph": tensor and features.requires_grad, "inference": tensor and features.is_inference(),
                "weights": dict(model.state_dict()), "same_layer": getattr(model, head) is layer, "mode": model.training, "logits": model.eval()(xs[0])}

    def judge(case, head, state, xs, ys, training, passes, grad, learns, pair, features, labels, graph, inference, weights, same_layer, mode, logits):
        first = xs[0]
        if passes > 1 and isinstance(features, torch.Tensor):  # a look at the first batch before the pass is no fault
            back = torch.cat([_body(state, x) for x in xs[::-1]])
            if features.shape == back.shape and torch.allclose(features.to(back), back, atol=1e-5):
                xs, ys = xs[::-1], ys[::-1]
        want = torch.cat([_body(state, x) for x in xs])
        case.that(pair, "Return two tensors: the features and the labels.")
        case.that(not isinstance(features, list), "The features are a list of batches: `torch.cat` makes one tensor of it.")
        case.close(features, want, what="the features", mistakes={
            "These are the logits: the output layer was still there. With `nn.Identity()` in its place, what it would get comes out.": torch.cat([_body(state, x, head=head) for x in xs]),
            "The batch norm used each batch's own statistics: `model.eval()` is missing.": torch.cat([_body(state, x, True) for x in xs]),
            "These are the features of the last batch only.": _body(state, xs[-1]),
            "These are the features of the first batch only.": _body(state, xs[0]),
            "Each batch was averaged; asked for is one row a picture.": [torch.stack([_body(state, x).mean(0) for x in xs])],
        })
        case.close(labels, torch.cat(ys), what="the labels", mistakes={
            "These are the labels of the last batch only.": ys[-1],
            "You went through `batches` twice, for features and for labels. Where batches are shuffled, the second pass has another order, and the labels belong to other pictures: one loop for both.": torch.cat(ys[::-1]),
        })
        case.that(grad, "Gradients are switched off for good: in this notebook no later `backward()` would work. `with torch.no_grad():` switches them on again at its end.")
        case.that(learns, "The model came back with frozen parameters (`requires_grad` False); leave it as you found it, and work under `torch.no_grad()`.")
        case.that(not graph, "The features hang on the graph of the network (`requires_grad` is True): memory grows with every batch. Work under `torch.no_grad()`.")
        case.that(not inference, "The features are inference tensors: a layer that is trained on them raises an error. Use `torch.no_grad()`, or clone them outside.")
        changed = not torch.equal(weights["body.1.running_mean"], state["body.1.running_mean"]) if "body.1.running_mean" in weights else True
        case.that(not changed, "Computing the features has moved the batch norm's running averages.")
        case.that(logits.shape[-1] == 4, "The model came back without its output layer: put it back at the end.")
        case.that(same_layer, "The model came back with another output layer than it had: keep the old one in a variable, and put that back.")
        case.close(logits, _body(state, first, head=head), what="the model's output afterwards")
        case.that(mode == training, f"The model was in {'training' if training else 'evaluation'} mode before, and is not any more.")


@exercise("09.6", points=4, needs=["layer_groups"], reference="utils.transfer:layer_groups")
class LayerGroups:
    """Rates by depth."""

    errors = {
        "some parameters appear in more than one parameter group": "A parameter is in two groups.",
        "unsupported operand": "`factor ** k` wants numbers: is it the stage's place from the end, an int?",
    }

    def inputs(rng):
        yield {"widths": [4, 5, 6, 2], "norm": True, "frozen": [], "lr": 0.01, "factor": 0.5, "weight_decay": 0.1, "_case": "three stages"}
        yield {"widths": [3, 4, 4, 4, 2], "norm": True, "frozen": ["0.weight", "0.bias", "2.weight"], "lr": 0.2, "factor": 0.8, "weight_decay": 0.05, "_case": "some parameters are frozen"}
        yield {"widths": [3, 5, 4, 2], "norm": False, "frozen": ["1.weight", "1.bias"], "lr": 0.1, "factor": 0.3, "weight_decay": 0.0, "_case": "a whole stage is frozen, no weight decay"}

    def probe(student, widths, norm, frozen, lr, factor, weight_decay):
        from torch import nn

        stages = []
        for i, (a, b) in enumerate(zip(widths, widths[1:])):
            if i == 0:
                parts = {"conv": nn.Conv2d(a, b, 3)}
                if norm:
                    parts["block"] = nn.ModuleDict({"inner": nn.BatchNorm2d(b), "more": nn.Sequential(nn.Conv2d(b, b, 1, bias=False))})
                stages.append(nn.ModuleDict(parts))
            else:
                stages.append(nn.Linear(a, b))
        named = {f"{i}.{name}": p for i, stage in enumerate(stages) for name, p in stage.named_parameters()}
        for name, p in named.items():
            p.requires_grad_(name not in frozen)
        names = {id(p): name for name, p in named.items()}
        result = student.layer_groups(stages, lr, factor, weight_decay)
        if not isinstance(result, list) or not all(isinstance(group, dict) and "params" in group for group in result):
            return {"kind": type(result).__name__, "groups": []}
        groups = []
        for group in result:
            members = group["params"] if isinstance(group["params"], (list, tuple)) else list(group["params"])
            groups.append({"names": [names.get(id(p), "another") for p in members], "lr": group.get("lr"), "weight_decay": group.get("weight_decay")})
        return {"kind": "list", "groups": groups}

    def judge(case, widths, norm, frozen, lr, factor, weight_decay, kind, groups):
        case.that(kind == "list" and groups, "The result should be a list of dicts, each with \"params\", \"lr\" and \"weight_decay\".")
        # the network is the judge's own knowledge: what the probe built is written down here once more
        known = {"0.conv.weight": 4, "0.conv.bias": 1}
        if norm:
            known |= {"0.block.inner.weight": 1, "0.block.inner.bias": 1, "0.block.more.0.weight": 4}
        for i in range(1, len(widths) - 1):
            known |= {f"{i}.weight": 2, f"{i}.bias": 1}
        learnt = {name: ndim for name, ndim in known.items() if name not in frozen}
        seen = [name for group in groups for name in group["names"]]
        case.that(len(seen) <= 100, f"The groups hold {len(seen):,} parameters, many times more than the stages have.")
        case.that("another" not in seen, "A group holds something that is no parameter of these stages.")
        case.that(len(set(seen)) == len(seen), f"A parameter is in two groups: {next((n for n in seen if seen.count(n) > 1), '')}. `stage.parameters()` already reaches all that lies inside.")
        missing = [name for name in learnt if name not in seen]
        inner = [name for name in missing if ".block." in name]
        case.that(not inner or inner != missing, "Parameters deep inside a stage are left out: `parameters(recurse=False)` stops at the first level.")
        case.that(not missing, f"A parameter is in no group, so it would never learn: {', '.join(missing[:3])}.")
        case.that(not any(name in seen for name in frozen), "A frozen parameter is in a group: leave out what has `requires_grad` False.")
        case.that(all(group["names"] for group in groups), "A group is empty: leave it out.")
        case.that(all(type(group["lr"]) in (int, float) for group in groups), "Each group should have its \"lr\", a number.")
        depth, rates = len(widths) - 1, {name: group["lr"] for group in groups for name in group["names"]}

        def by(rule):
            return {name: rule(int(name.split(".")[0])) for name in seen}

        def near(other):
            return all(math.isclose(rates[name], other[name], rel_tol=1e-9) for name in seen)

        want = by(lambda i: lr * factor ** (depth - 1 - i))
        lively = sorted({int(name.split(".")[0]) for name in seen})
        if not near(want):
            case.that(not near(by(lambda i: lr)), "All stages have the same rate; the last has `lr`, each earlier one `factor` times that of the next.")
            case.that(not near(by(lambda i: lr * factor**i)), "The rates are the wrong way round: the largest belongs near the *output*, the last stage.")
            case.that(not near(by(lambda i: lr * factor ** (depth - i))), "Off by one: the last stage has the rate `lr` itself, not `lr` times `factor`.")
            case.that(not near(by(lambda i: lr * factor ** (len(lively) - 1 - lively.index(i)))), "Stages without a trainable parameter count too: the depth is the place in `stages`.")
            case.that(not near(by(lambda i: lr * factor * (depth - 1 - i) or lr)), "The factor is multiplied by the distance from the end; it should be raised to its power.")
            case.that(False, "The rates are not lr · factor^k, where k is the number of stages that follow.")
        decays = {name: group["weight_decay"] for group in groups for name in group["names"]}
        case.that(all(type(value) in (int, float) for value in decays.values()), "Each group should have its \"weight_decay\", 0.0 for those without.")
        flat = [name for name in seen if learnt[name] == 1]
        case.that(weight_decay == 0 or not all(math.isclose(decays[name], weight_decay) for name in flat), "Biases and norms have weight decay; those of one dimension should have 0.")
        norms = [name for name in flat if ".inner." in name]
        case.that(weight_decay == 0 or not any(decays[name] for name in norms), "The norm's scale is called `weight` too, so its name does not tell; its number of dimensions, `p.ndim`, does.")
        case.that(not any(decays[name] for name in flat), "Some bias has weight decay; parameters of one dimension should have 0.")
        case.that(all(math.isclose(decays[name], weight_decay) for name in seen if learnt[name] > 1), "A weight matrix or filter should have the weight decay given.")


def _wilson(right, n, z):
    p, z2 = right / n, z * z
    middle, half = (p + z2 / (2 * n)) / (1 + z2 / n), z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return torch.tensor([middle - half, middle + half], dtype=torch.float64)


@exercise("09.7", points=2, needs=["wilson"], reference="utils.transfer:wilson")
class Wilson:
    """The interval of an accuracy."""

    errors = {"math domain error": "A negative number under the root: are p and 1 − p both from 0 to 1?", "expected a nonnegative input": "A negative number under the root: are p and 1 − p both from 0 to 1?"}

    def inputs(rng):
        yield {"right": 144, "n": 153, "z": 1.96}
        yield {"right": 10, "n": 10, "z": 1.96, "_case": "10 of 10"}
        yield {"right": 0, "n": 25, "z": 1.96, "_case": "0 of 25"}
        yield {"right": rng.integer(20, 80), "n": 100, "z": 2.576, "_case": "another z"}

    def probe(student, right, n, z):
        got = student.wilson(right, n, z) if z != 1.96 else student.wilson(right, n)
        return {"got": [float(v) if isinstance(v, torch.Tensor) and v.numel() == 1 else v for v in got] if isinstance(got, (tuple, list)) else got}

    def judge(case, right, n, z, got):
        case.that(isinstance(got, list) and len(got) == 2 and all(type(v) in (int, float) for v in got), "Return two numbers, (low, high).")
        p, z2 = right / n, z * z
        want = _wilson(right, n, z)
        middle, half = want.mean(), (want[1] - want[0]) / 2

        def pair(m, h):
            return torch.tensor([m - h, m + h], dtype=torch.float64)

        def ends(m, h):
            return [pair(m, h), pair(m, h).clamp(0, 1)]

        above, below = p + z2 / (2 * n), 1 + z2 / n
        plain = z * math.sqrt(p * (1 - p) / n)
        case.close(torch.tensor([float(v) for v in got], dtype=torch.float64), want, what="(low, high)", rtol=0, atol=1e-6, mistakes={
            "This is p ± z √(p (1 − p) / n), the simple interval: with 10 of 10 it has no width, as if 10 pictures were proof. Use Wilson's.":
                [pair(p, plain), pair(p, plain).clamp(0, 1)],
            "This is for z = 1.96 whatever was asked for: use the argument.": _wilson(right, n, 1.96),
            "The division by 1 + z²/n is missing.": ends(above, half * below),
            "The division of the middle by 1 + z²/n is missing.": ends(above, half),
            "The division of half the width by 1 + z²/n is missing.": ends(middle, half * below),
            "Brackets are missing: `z**2 / 2 * n` is (z²/2) · n; divide by `(2 * n)`, by `(4 * n**2)`, by `(1 + z**2 / n)`.":
                [w for m in (middle, (p + z2 / 2 * n) / below, above + z2 / n) for h in (half, z * math.sqrt(p * (1 - p) / n + z2 / 4 * n**2) / below, half * below + z2 / n) for w in ends(m, h)],
            "The interval is centred on p; Wilson's is centred nearer to one half: (p + z²/2n) / (1 + z²/n).": [pair(p, half), pair(p, half).clamp(0, 1)],
            "Under the root it is z² / (4 n²); you have z² / (4 n).": pair(middle, z * math.sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2 / n)),
            "The factor z before the root is missing.": pair(middle, half / z),
            "This is in percent; asked for are fractions from 0 to 1.": 100 * want,
            "These are numbers of pictures; divide by n.": n * want,
            "The two numbers are the middle and half the width; asked for are the ends.": torch.tensor([middle, half], dtype=torch.float64),
            "The higher number comes first; asked for is (low, high).": want.flip(0),
            "This is one standard deviation in the place of z of them, or z is used only in some places.": _wilson(right, n, 1.0),
        })


def _tail(only_a, only_b):
    n = only_a + only_b
    return sum(math.comb(n, i) for i in range(min(only_a, only_b) + 1)) / 2**n


@exercise("09.8", points=3, needs=["mcnemar"], reference="utils.transfer:mcnemar")
class McNemar:
    """Two networks, the same pictures."""

    errors = {
        "ZeroDivisionError": "With no picture on which they differ there is nothing to divide by: p is 1 then.",
        "bad operand type for unary ~": "`~` is for bool tensors; or compare, `a_right == False`.",
        "Overflow": "n may be more than 1,000, and a float overflows there. Keep to whole numbers, and divide their sum by `2**n` at the end.",
        "with two bool tensors is not supported": "Bool tensors are not subtracted: `a_right & ~b_right` is \"a and not b\".",
        "is ambiguous": "`and`, `or`, `not` are for single values; for tensors, element by element, they are `&`, `|`, `~`.",
    }

    def inputs(rng):
        def pair(both, only_a, only_b, neither):
            a = torch.tensor([True] * (both + only_a) + [False] * (only_b + neither))
            b = torch.tensor([True] * both + [False] * only_a + [True] * only_b + [False] * neither)
            order = rng.randperm(len(a))
            return {"a_right": a[order], "b_right": b[order]}

        for both, only_a, only_b, neither in ((138, 9, 2, 4), (100, 3, 14, 1), (40, 5, 5, 3)):
            more = rng.integer(0, 3)  # else a table of the right numbers would do
            yield pair(both, only_a + more, only_b + more, neither) | {"_case": f"{only_a + more} against {only_b + more}"}
        yield pair(30, 0, 0, 4) | {"_case": "no difference at all"}
        yield pair(5000, 640 + rng.integer(0, 20), 560, 100) | {"_case": "many pictures"}

    def probe(student, a_right, b_right):
        got = student.mcnemar(a_right, b_right)
        return {"got": [v.item() if isinstance(v, torch.Tensor) and v.numel() == 1 else v for v in got] if isinstance(got, (tuple, list)) else got}

    def judge(case, a_right, b_right, got):
        case.that(isinstance(got, list) and len(got) == 3 and all(type(v) in (int, float) for v in got), "Return three numbers: only a, only b, p.")
        only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
        both, n = int((a_right & b_right).sum()), only_a + only_b
        case.equal(got[:2], [only_a, only_b], what="(only a, only b)", mistakes={
            "The two are exchanged: first the pictures that only *a* gets right.": [only_b, only_a] if only_a != only_b else [-1, -1],
            "You counted all that each gets right; those that both get right cancel. Count where a is right and b is not.": [both + only_a, both + only_b] if both else [-1, -1],
            "You counted all that each gets wrong; count where exactly one of them is right.": [int((~a_right).sum()), int((~b_right).sum())],
        })
        want = min(1.0, 2 * _tail(only_a, only_b)) if n else 1.0
        one = _tail(only_a, only_b)
        lower = sum(math.comb(n, i) for i in range(only_a + 1)) / 2**n
        strict = 2 * sum(math.comb(n, i) for i in range(min(only_a, only_b))) / 2**n
        exactly = math.comb(n, only_a) / 2**n
        chi = math.erfc(math.sqrt((only_a - only_b) ** 2 / n / 2)) if n else 1.0
        corrected = math.erfc(math.sqrt(max(abs(only_a - only_b) - 1, 0) ** 2 / n / 2)) if n else 1.0
        size = len(a_right)
        shares = (both + only_a) / size, (both + only_b) / size
        spread = math.sqrt(sum(s * (1 - s) / size for s in shares))
        unpaired = math.erfc(abs(shares[0] - shares[1]) / spread / math.sqrt(2)) if spread else 1.0
        case.that(n or got[2] == 1, "With n = 0, no picture on which they differ, p is 1: nothing speaks against their being equally good.")
        case.that(got[2] <= 1 + 1e-9, "p is more than 1: twice the tail counts the middle twice when the split is even. Cut it at 1.")
        case.close(torch.tensor(float(got[2]), dtype=torch.float64), torch.tensor(want, dtype=torch.float64), what="p", rtol=1e-6, atol=1e-9, mistakes={
            "This is the chance of a split so uneven in one direction; the other direction would have surprised us as much: twice that.": [one, lower],
            "This is the chance of exactly this split. Add up all that are at least as uneven.": [exactly, min(1.0, 2 * exactly)],
            "The split itself is missing in the sum: \"at least as uneven\" includes it.": [strict, strict / 2],
            "This is the χ² approximation; with few pictures it is off. Add up the binomial's terms.": [chi, corrected],
            "This compares the two accuracies as if they came from different pictures; these are the same ones.": unpaired,
            "This is 1 − p.": 1 - want,
            "n is the number of all pictures here; only those on which the two differ are throws of the coin.": min(1.0, 2 * sum(math.comb(size, i) for i in range(min(only_a, only_b) + 1)) / 2**size),
            "m is the *smaller* of the two counts; with the larger one nearly everything is in the sum.": 1.0,
        })


@exercise("09.9", points=3, needs=["save_classifier", "load_classifier"])
class ForLater:
    """Save for later use."""

    errors = {
        "No such file": "A file is looked for that is not there. All belongs into one file, at `path`, and that file may have been moved since.",
        'Missing key(s) in state_dict: "body.1.running': "The weights are there, but not the batch norm's running averages: save the whole `state_dict()`, not only the parameters.",
        "Missing key(s)": "The weights did not arrive under their names: save `model.state_dict()`, load it into the model that you are given.",
        "Can't pickle": "`torch.save` was given the whole model, and wants to write its code down too. Save `model.state_dict()`.",
        "Weights only load failed": "The file holds more than tensors and plain values (the whole model?). Save `model.state_dict()` in a dict beside lists and numbers, and read with `weights_only=True`.",
        "'NoneType' object is not subscriptable": "Something is None where a dict was expected: does `torch.load` get the path?",
    }

    def inputs(rng):
        for dtype, size in ((torch.float32, 224), (torch.float64, 64)):
            yield {"state": _state(rng, "fc", dtype), "x": rng.randn(3, 5, dtype=dtype), "classes": ["wasps", "ants", "flies", "bees"], "size": size, "mean": [0.5, 0.4, 0.3],
                   "std": [0.2, 0.25, 0.3], "_case": "weights, names and preprocessing" if dtype == torch.float32 else "float64"}

    def probe(student, state, x, classes, size, mean, std):
        import os
        import shutil
        import tempfile
        from pathlib import Path
        from pickle import UnpicklingError

        class Small(torch.nn.Module):
            def __init__(self, outputs=4, head="fc"):
                super().__init__()
                self.body = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU())
                self.head = head
                setattr(self, head, torch.nn.Linear(6, outputs))

            def forward(self, x):
                return getattr(self, self.head)(self.body(x))

        model, fresh = Small().to(x.dtype).eval(), Small().to(x.dtype).train()
        model.load_state_dict(state)
        start = {name: value.clone() for name, value in fresh.state_dict().items()}
        here = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # an answer with a path of its own leaves nothing behind
            try:
                path = Path(folder) / "classifier.pt"
                student.save_classifier(path, model, classes, size, mean, std)
                made = path.is_file()
                with torch.no_grad():
                    for p in model.parameters():
                        p.zero_()  # later use: the old model is gone
                student.save_classifier(Path(folder) / "second.pt", model, classes[:1] * 4, size + 1, std, mean)
                moved = Path(folder) / "elsewhere" / "moved.pt"  # that one file alone
                moved.parent.mkdir()
                moved = Path(shutil.move(path, moved)) if made else path
                facts = student.load_classifier(moved, fresh)
                mode = fresh.training
                try:
                    torch.load(moved, weights_only=True)
                    plain = True
                except UnpicklingError:
                    plain = False
                except (RuntimeError, EOFError, FileNotFoundError, IsADirectoryError):
                    plain = True  # another format is fine
                refused = []
                for other in (Small(2), Small(head="out")):  # other shapes; other names
                    try:
                        student.load_classifier(moved, other.to(x.dtype))
                    except (RuntimeError, ValueError, KeyError) as error:
                        refused.append(type(error).__name__)
            finally:
                os.chdir(here)
        same = all(torch.equal(value, start[name]) for name, value in fresh.state_dict().items())
        return {"made": made, "same": same, "facts": facts, "y": fresh.eval()(x), "mode": mode, "plain": plain, "refused": refused, "weights": dict(fresh.state_dict())}

    def judge(case, state, x, classes, size, mean, std, made, same, facts, y, mode, plain, refused, weights):
        case.that(made, "After `save_classifier` there is no file at `path`: write to the path that you are given, and read from it.")
        case.that(isinstance(facts, dict), "`load_classifier` should return the facts as a dict; is a `return` missing?")
        case.that(not same, "The model that you were given is unchanged: load the weights into it, not into a copy.")
        case.close(y, _body(state, x, head="fc"), what="the loaded model's prediction", mistakes={
            "The weights are those of another model: of the one that was saved last, or of the emptied one.": torch.zeros_like(y) if isinstance(y, torch.Tensor) else x,
            "The weights are there, but not the batch norm's running averages: save the whole `state_dict()`, not only the parameters.": _body(state | {"body.1.running_mean": torch.zeros(6, dtype=x.dtype), "body.1.running_var": torch.ones(6, dtype=x.dtype)}, x, head="fc"),
        })
        untouched = [name for name in ("body.0.weight", "fc.weight") if not torch.equal(weights[name], state[name])]
        case.that(not untouched, "The loaded weights are not those that were saved.")
        lacking = [name for name in ("classes", "size", "mean", "std") if name not in facts]
        case.that(not lacking, f"The facts lack {', '.join(lacking)}: without the preprocessing and the names, nobody can use the weights.")
        for name, value in (("classes", classes), ("size", size), ("mean", mean), ("std", std)):
            case.equal(facts[name], value, what=f"facts[{name!r}]", mistakes={
                "These are the facts of the classifier that was saved last: they should be in the file, not in a variable.": {"classes": classes[:1] * 4, "size": size + 1, "mean": std, "std": mean}[name],
                "The names are sorted; their order says which logit is which class.": sorted(classes),
                "The facts are fixed numbers; save the arguments.": [[0.5] * 3, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], 224, ["ants", "bees"]],
            })
        case.that("weights" not in facts and not any(isinstance(value, dict) for value in facts.values()), "The weights are among the facts; return only the four facts.")
        case.that(not mode, "The loaded model is in training mode: with dropout and batch norm it would predict otherwise. Call `model.eval()`.")
        case.that(plain, "The file holds more than tensors and plain values (the whole model?): whoever loads it must run its code. Save `model.state_dict()` and lists.")
        case.that(len(refused) == 2, "A model of another architecture took the file without a word: load strictly (strict=False leaves what does not fit as it was).")
