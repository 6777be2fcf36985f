"""Checks of lab 08, CIFAR-10. Oracle: torch's own layers, and the same training step written out below."""

import torch
import torch.nn.functional as F

from . import exercise
from .tiny import tiny_batches, tiny_network, tiny_state


@exercise("08.1", points=2, needs=["channel_statistics"])
class ChannelStatistics:
    """Mean and standard deviation of each channel."""

    errors = {
        "could not infer output dtype": "Bytes have no mean: turn the images into floats first (images.float() / 255).",
        "std and var only support": "Bytes have no standard deviation: turn the images into floats first (images.float() / 255).",
    }

    def inputs(rng):
        colour = torch.tensor([250.0, 170.0, 90.0]).view(1, 3, 1, 1)
        yield {"images": (rng.rand(24, 3, 16, 16) * rng.rand(24, 1, 1, 1) * colour).to(torch.uint8)}
        yield {"images": (rng.rand(12, 16, 16, 3) * 255).to(torch.uint8).permute(0, 3, 1, 2)}  # channels_last
        yield {"images": (rng.rand(40, 1, 14, 10) * 90).to(torch.uint8)}  # grey images, not square

    def probe(student, images):
        return {"answer": student.channel_statistics(images)}

    def judge(case, images, answer):
        case.that(isinstance(answer, list) and len(answer) == 2, "The function must return two tensors: `return mean, std`.")
        mean, std = answer
        x = images.double() / 255
        case.close(mean, x.mean((0, 2, 3)).float(), what="mean", rtol=1e-3, mistakes={
            "mean is in units of 0 … 255: divide the bytes by 255 first.": 255 * x.mean((0, 2, 3)).float(),
            "mean is one number for all channels; each channel has its own: dim=(0, 2, 3).": x.mean().float(),
            "mean has one number a pixel: average over rows and columns too, dim=(0, 2, 3).": x.mean(0).float(),
            "mean has one row an image: average over the images too, dim=(0, 2, 3).": x.mean((2, 3)).float(),
            "mean has shape (1, C, 1, 1): leave keepdim out, one number a channel.": x.mean((0, 2, 3), keepdim=True).float(),
        })
        case.close(std, x.std((0, 2, 3), correction=0).float(), what="std", rtol=1e-3, mistakes={
            "std is in units of 0 … 255: divide the bytes by 255 first.": 255 * x.std((0, 2, 3), correction=0).float(),
            "This is the variance; the standard deviation is its square root.": x.var((0, 2, 3), correction=0).float(),
            "This is the mean of the images' own standard deviations. It misses how the images differ from each other: "
            "one std over dim=(0, 2, 3).": [x.std((2, 3)).mean(0).float(), x.std((2, 3), correction=0).mean(0).float()],
            "std is one number for all channels; each channel has its own: dim=(0, 2, 3).": x.std().float(),
        })


def _sizes(settings, divide=lambda a, s: a // s, plus=1, pads=2):
    return [divide(size + pads * padding - kernel, stride) + plus for size, kernel, stride, padding in settings]


@exercise("08.2", points=1, needs=["output_size"])
class OutputSize:
    """The size formula."""

    def inputs(rng):
        yield {"settings": [[32, 3, 1, 1], [32, 5, 1, 0], [32, 2, 2, 0], [31, 2, 2, 0], [32, 7, 3, 2]]}
        yield {"settings": [[rng.integer(9, 40), rng.integer(1, 9), rng.integer(1, 5), rng.integer(0, 4)] for _ in range(12)]}
        yield {"settings": [[4, 4, 1, 0], [4, 4, 3, 0]], "_case": "the kernel covers the whole image"}

    def probe(student, settings):
        sizes = [student.output_size(size, kernel, stride, padding) for size, kernel, stride, padding in settings]
        return {"sizes": sizes, "default": student.output_size(settings[0][0], settings[0][1])}

    def judge(case, settings, sizes, default):
        want = [F.conv2d(torch.zeros(1, 1, n, n), torch.zeros(1, 1, k, k), stride=s, padding=p).shape[-1] for n, k, s, p in settings]
        case.that(None not in sizes, "output_size returns None: is a `return` missing?")
        case.equal(sizes, want, what=f"The list of sizes for (size, kernel, stride, padding) = {settings}", mistakes={
            "The + 1 is missing: a kernel as large as the image still has one place to stand.": _sizes(settings, plus=0),
            "The + 1 is for the first place: add it after the division, not before.": _sizes(settings, lambda a, s: (a + 1) // s, plus=0),
            "The padding is on both sides: it counts twice.": _sizes(settings, pads=1),
            "The padding is not counted: it makes the image larger, on both sides.": _sizes(settings, pads=0),
            "A kernel that does not fit any more is left out, so round down: // in place of /.": _sizes(settings, lambda a, s: a / s),
            "Rounded up; a kernel that would stick out is left out, so round down: //.":
                [_sizes(settings, lambda a, s: -(-a // s)), _sizes(settings, lambda a, s: round(a / s))],
            "The stride is not used: it divides the number of steps.": _sizes(settings, lambda a, s: a),
        })
        case.that(all(isinstance(size, int) for size in sizes), "A size is a whole number, an int: divide with // .")
        case.equal(default, settings[0][0] - settings[0][1] + 1, what="output_size(size, kernel), with stride 1 and padding 0,")


@exercise("08.3", points=3, needs=["Net"], reference="utils.models:SmallCNN")
class OwnNetwork:
    """A network of your own."""

    errors = {
        "mat1 and mat2 shapes cannot be multiplied": "The linear layer expects another number of inputs than arrive: channels · height · width after the last "
        "pooling. And flatten from dimension 1 on (x.flatten(1)), so that the batch stays.",
        "to have 3 channels": "A convolution's first number must be the channels that arrive: 3 for the image, then what the layer before gives.",
        "Given groups=1, weight of size": "A convolution's first number must be the channels that arrive: 3 for the image, then what the layer before gives.",
        "unexpected keyword argument": "`Net(num_classes)` must work: __init__(self, num_classes=10).",
        "positional argument": "`Net(num_classes)` must work: __init__(self, num_classes=10).",
        "__init__() call": "super().__init__() must come first in __init__: it sets up the list of parameters.",
        "Expected more than 1 value per channel": "A batch norm got one value a channel, too few to normalize: pool less before it, or leave that norm out.",
    }

    def inputs(rng):
        yield {"x": rng.randn(6, 3, 32, 32), "num_classes": 10}
        yield {"x": rng.randn(5, 3, 32, 32), "num_classes": 4}

    def probe(student, x, num_classes):
        net = student.Net(num_classes)
        net.train()
        zero = torch.zeros((), requires_grad=True)  # so that even a frozen layer is in the graph
        logits = net(x + zero)
        if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
            return {"logits": logits, "count": 0, "unreached": [], "strays": [], "nodes": [], "batch": None, "alone": [],
                    "twice": None, "none": None, "scaled": None}
        known, seen, strays, queue = {id(zero), *map(id, net.parameters())}, set(), [], [logits.grad_fn]
        while queue:  # the graph, from the logits back to the tensors that it starts from
            node = queue.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            queue += [before for before, _ in node.next_functions]
            leaf = getattr(node, "variable", None)
            if leaf is not None and id(leaf) not in known:
                strays.append(list(leaf.shape))
        direction = torch.linspace(-1, 2, logits.numel()).reshape(logits.shape)
        if logits.requires_grad:
            (logits * direction).sum().backward()
        unreached = [name for name, p in net.named_parameters() if p.requires_grad and p.grad is None]
        count = sum(p.numel() for p in net.parameters())
        net.eval()
        with torch.no_grad():
            alone = [net(image[None]) for image in x]
            found = {"logits": logits, "count": count, "unreached": unreached, "strays": strays, "nodes": sorted({node.name() for node in seen}),
                     "batch": net(x), "alone": alone, "twice": net(2 * x), "none": net(0 * x)}
            for p in net.parameters():
                p.mul_(100)
            return found | {"scaled": net(x)}

    def judge(case, x, num_classes, logits, count, unreached, strays, nodes, batch, alone, twice, none, scaled):
        case.that(logits is not None, "forward returns None: is a `return` missing?")
        case.that(isinstance(logits, torch.Tensor), "forward must return one tensor, the logits.")
        case.that(logits.ndim == 2, f"The logits have shape {tuple(logits.shape)}; wanted (batch, classes) = {(len(x), num_classes)}. Flatten before the last linear layer.")
        case.that(logits.shape[1] == num_classes or logits.shape[1] != 10,
                  f"Net({num_classes}) still gives 10 logits: use num_classes in the last layer.")
        case.that(logits.shape == (len(x), num_classes), f"The logits have shape {tuple(logits.shape)}; wanted {(len(x), num_classes)}.")
        case.that(count > 0, "The network has no parameters: assign the layers to self (self.conv = …), in an nn.Sequential or nn.ModuleList where there are many.")
        case.that(count <= 500_000, f"The network has {count:,} parameters; at most 500,000 are allowed. The first linear layer is usually the large one: pool more before it.")
        case.that(not strays, f"Weights of shape {', '.join(str(tuple(shape)) for shape in strays[:3])} are used, but net.parameters() does not know them: layers in a plain "
                  "list or dict, or made in forward, are not registered. Make them in __init__, in an nn.Sequential or nn.ModuleList.")
        case.that(all(isinstance(a, torch.Tensor) and a.shape == (1, num_classes) for a in alone),
                  "For a batch of one image the result is not (1, classes): squeeze() and view() take away the batch's dimension too. x.flatten(1) keeps it.")
        case.that(all(isinstance(y, torch.Tensor) and y.shape == logits.shape for y in (batch, twice, none, scaled)),
                  "For the same images the result has another shape when it is asked again.")
        case.that(batch.isfinite().all(), "Some logits are not finite numbers.")
        probabilities = bool((batch >= 0).all() and torch.allclose(batch.sum(1), torch.ones(len(x)), atol=1e-4))
        case.that(not probabilities, "Each row is positive and sums to 1: there is a softmax at the end. Return the logits; nn.CrossEntropyLoss applies the softmax itself.")
        case.that(not torch.allclose(batch.exp().sum(1), torch.ones(len(x)), atol=1e-4),
                  "There is a log_softmax at the end. Return the logits themselves; nn.CrossEntropyLoss applies it.")
        case.that((batch - batch[:1]).abs().max() > 1e-7, "All images get the same logits: the input does not reach the output.")
        case.that(torch.allclose(torch.cat(alone), batch, rtol=1e-3, atol=1e-4),
                  "In evaluation mode, an image gets other logits alone than in a batch: something still looks at the whole batch (a norm without running averages, "
                  "a mean or softmax over dimension 0), or is random (F.dropout needs training=self.training).")
        bend = (twice - 2 * batch + none).abs().max()
        case.that(bend > 1e-4 * batch.abs().max(), "The network is a straight-line function of its input: without a nonlinearity (ReLU …) between them, all layers are one linear layer.")
        case.that(not unreached, f"No gradient reaches {', '.join(unreached[:3])}: the layer is made in __init__ but not used in forward (or its result is thrown away), "
                  "or .detach() or no_grad cuts it off.")
        case.that(any("onv" in name or "Im2Col" in name for name in nodes), "There is no convolution in the network (at least one is asked for): nn.Conv2d.")
        case.that(logits.min() < 0, "No logit is below 0: is there a ReLU, sigmoid or softmax after the last layer? Logits may have either sign.")
        case.that(not scaled.isfinite().all() or scaled.abs().max() > 1.001,
                  "With weights a hundred times as large, all logits are still between −1 and 1: something (tanh, sigmoid …) squashes the logits between two bounds. Return them as they are.")


@exercise("08.4", points=2, needs=["first_conv", "first_norm", "last_conv", "classifier", "total_two", "total_ten"])
class CountParameters:
    """The parameters of the seven convolutions, by hand."""

    def inputs(rng):
        yield {}

    def probe(student):
        names = ("first_conv", "first_norm", "last_conv", "classifier", "total_two", "total_ten")
        return {name: getattr(student, name) for name in names}

    def judge(case, first_conv, first_norm, last_conv, classifier, total_two, total_ten):
        case.equal(first_conv, 8 * (3 * 9 + 1), what="first_conv", mistakes={
            "first_conv: each of the 8 filters has a bias too.": 8 * 3 * 9,
            "first_conv: a filter looks at all 3 input channels, so it has 3 · 3 · 3 weights.": [8 * 9, 8 * 9 + 8, 8 * (9 + 1)],
            "first_conv: one bias a filter, that is 8 in all, not one.": 8 * 3 * 9 + 1,
            "first_conv: the size of the image does not matter; the same filter is used everywhere.": [8 * 32 * 32, 8 * 3 * 32 * 32],
        })
        case.equal(first_norm, 16, what="first_norm", mistakes={
            "first_norm: running mean and variance are buffers, not parameters; no gradient changes them.": 32,
            "first_norm: a scale and a shift for each channel, so two numbers a channel.": [8, 2],
        })
        case.equal(last_conv, 128 * (128 * 9 + 1), what="last_conv", mistakes={
            "last_conv: each of the 128 filters has a bias too.": 128 * 128 * 9,
            "last_conv: a filter looks at all 128 input channels.": [128 * 9, 128 * 10],
            "last_conv: 32 channels go into the *fifth* convolution; the sixth gets 128.": [128 * (32 * 9 + 1), 128 * 32 * 9],
        })
        case.equal(classifier, 2 * (128 + 1), what="classifier", mistakes={
            "classifier: the two classes have a bias each.": 256,
            "classifier: its kernel is 1 × 1, one weight a channel, not nine.": [2 * 128 * 9, 2 * (128 * 9 + 1)],
            "classifier: this one is for two classes.": 10 * 129,
            "classifier: it is a convolution, applied at each of the 4 × 4 places with the same weights.": [2 * (128 * 16 + 1), 2 * 128 * 16],
        })
        case.equal(total_two, 197_898, what="total_two", mistakes={
            "total_two: the six batch norms are missing.": 197_898 - 672,
            "total_two: with buffers of the batch norms counted; they are no parameters.": [197_898 + 672, 197_898 + 678],
            "total_two: no biases counted.": [197_898 - 338, 197_898 - 336],
            "total_two: the 1 × 1 convolution is missing.": 197_898 - 258,
        })
        case.equal(total_ten, 198_930, what="total_ten", mistakes={
            "total_ten: only the last layer changes, but it does change.": 197_898,
            "total_ten: each new class brings a bias besides its 128 weights.": [197_898 + 8 * 128],
            "total_ten: only the 1 × 1 convolution has to do with the classes; the rest stays as it is.": [5 * 197_898, 197_898 * 10],
            "total_ten: eight classes are new, not ten.": 197_898 + 10 * 129,
        })


def _flat(state) -> torch.Tensor:
    """All floating-point entries of a state dict as one vector."""
    return torch.cat([v.double().flatten() for _, v in sorted(state.items()) if isinstance(v, torch.Tensor) and v.is_floating_point()])


def _fit(state, train_batches, val_batches, epochs, lr, factor=lambda step: 1.0, momentum=0.9, by_epoch=False, loss_fn=F.cross_entropy) -> dict:
    """Train in a plain loop. The rates of all steps, the last weights as a vector, of each epoch the logits of both passes, and the history."""
    model = tiny_network(state)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    rates, seen_logits, logits, history = [], [], [], {}
    for epoch in range(epochs):
        model.train()
        seen = []
        for x, y in train_batches:
            rates.append(lr * factor(epoch if by_epoch else len(rates)))
            optimizer.param_groups[0]["lr"] = rates[-1]
            seen.append(model(x))
            optimizer.zero_grad()
            loss_fn(seen[-1], y).backward()
            optimizer.step()
        seen_logits.append(seen)
        model.eval()
        with torch.no_grad():
            logits.append([model(x) for x, _ in val_batches])
        for split, outputs, batches in (("train", seen, train_batches), ("val", logits[-1], val_batches)):
            z, y = torch.cat([output.detach() for output in outputs]), torch.cat([y for _, y in batches])
            history.setdefault(f"{split}_loss", []).append(loss_fn(z, y).item())
            history.setdefault(f"{split}_accuracy", []).append((z.argmax(1) == y).double().mean().item())
    return {"rates": rates, "weights": _flat(model.state_dict()), "logits": logits, "train_logits": seen_logits, "history": history}


_NO_ARGMAX = "The prediction is logits, (B, K): the class that the network says is their argmax(dim=1), one for each image."


@exercise("08.5", points=3, needs=["ClassAccuracy"], reference="utils.recipe:ClassAccuracy")
class ClassAccuracyByEpoch:
    """A callback: the accuracy on each class."""

    errors = {
        "object has no attribute 'by_epoch'": "by_epoch must be there from the start: self.by_epoch = [] in __init__.",
        "object has no attribute": "A name is used before it is set: set what lasts over the fit in __init__, and what belongs to one pass in before_epoch, with self. in front.",
        "takes 1 positional argument": "A callback's methods get the learner: def after_predict(self, learner).",
        **{f"tensor {which} ({size})": _NO_ARGMAX for which in "ab" for size in (8, 12)},  # the first case's batches
        "ZeroDivisionError": "A class without an image has no accuracy: nan. Tensors give it by themselves (0 / 0); Python's numbers raise this error instead.",
        "must match the size": "Counts of different lengths: bincount needs minlength=num_classes, else it stops at the largest class that occurs in the batch.",
        "argument 'input' (position 1) must be Tensor": "bincount wants a tensor of labels.",
    }

    def inputs(rng):
        state = tiny_state(rng)
        balance = torch.arange(8, dtype=torch.float64) % 2  # so that the three classes win about as often
        state |= {"3.weight": 3 * state["3.weight"] * (0.5 + balance), "3.bias": 0 * state["3.bias"]}
        val = [(rng.randn(n, 6, dtype=torch.float64), torch.arange(n) % 3 % (2 if n == 7 else 3)) for n in (12, 12, 7)]
        yield {"state": state, "train_batches": tiny_batches(rng, (8, 8)), "val_batches": val, "classes": 3, "epochs": 3}
        yield {"state": tiny_state(rng), "train_batches": tiny_batches(rng, (6, 6, 6)), "val_batches": tiny_batches(rng, (9, 4)), "classes": 3, "epochs": 1, "_case": "one epoch"}
        val = [(x, y.clamp(max=1)) for x, y in tiny_batches(rng, (10, 10))]
        yield {"state": tiny_state(rng), "train_batches": tiny_batches(rng, (8, 3)), "val_batches": val, "classes": 3, "epochs": 2,
               "_case": "one class has no validation image"}

    def probe(student, state, train_batches, val_batches, classes, epochs):
        from torch import nn

        from utils.events import Callback
        from utils.training import Learner

        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
        model.load_state_dict(state)
        callback = student.ClassAccuracy(classes)
        if not isinstance(callback, Callback):
            return {"by_epoch": None, "after": {}, "is_callback": False, "shared": False}
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        Learner(model, train_batches, val_batches, nn.CrossEntropyLoss(), optimizer).fit(epochs, [callback])
        shared = getattr(student.ClassAccuracy(classes), "by_epoch", None) is callback.by_epoch
        return {"by_epoch": callback.by_epoch, "after": dict(model.state_dict()), "is_callback": True, "shared": shared}

    def judge(case, state, train_batches, val_batches, classes, epochs, by_epoch, after, is_callback, shared):
        case.that(is_callback, "ClassAccuracy must be a Callback: class ClassAccuracy(Callback).")
        ran = _fit(state, train_batches, val_batches, epochs, lr=0.1)
        y = torch.cat([labels for _, labels in val_batches])

        def counts(labels):
            return torch.bincount(labels, minlength=classes).float()

        predicted = [torch.cat(outputs).argmax(1) for outputs in ran["logits"]]
        right = torch.stack([counts(y[guess == y]) for guess in predicted])  # (epochs, classes)
        images = counts(y)
        going_on = right.cumsum(0)
        said = torch.stack([counts(guess) for guess in predicted])
        batch_means = []
        for outputs in ran["logits"]:
            shares = torch.stack([counts(t[z.argmax(1) == t]) / counts(t) for z, (_, t) in zip(outputs, val_batches)])
            batch_means.append([shares.nanmean(0), shares.nan_to_num().mean(0), shares.mean(0)])
        means = [torch.stack(variant) for variant in zip(*batch_means)]
        case.that(isinstance(by_epoch, list), "by_epoch should be a list with one tensor an epoch.")
        case.that(not shared, "All ClassAccuracy objects share one list: by_epoch = [] in the class body belongs to the class. Make it in __init__: self.by_epoch = [].")
        case.that(by_epoch, "by_epoch is empty after the fit: append to it in after_epoch, in the validation pass (`not learner.training`).")
        case.that(len(by_epoch) != 2 * epochs, "by_epoch has two entries for each epoch: the pass over the training batches is told of too. Append only if `not learner.training`.")
        case.that(len(by_epoch) == epochs or len(by_epoch) % (epochs * len(val_batches)),
                  "by_epoch has an entry for each validation batch: append once for the whole pass, in after_epoch.")
        case.that(len(by_epoch) == epochs, f"by_epoch has {len(by_epoch)} entries after {epochs} epochs; one an epoch is asked for.")
        case.that(all(isinstance(v, torch.Tensor) for v in by_epoch), "Each entry of by_epoch should be a tensor with one number for each class.")
        case.that(all(v.ndim for v in by_epoch), "An entry of by_epoch is one number; asked for is one for each class.")
        case.that(all(v.ndim == 1 or v.shape[-1] != classes for v in by_epoch),
                  f"The entries of by_epoch have the shapes {[tuple(v.shape) for v in by_epoch]}: one dimension is too many, ({classes},) is asked for.")
        case.that(all(v.shape == (classes,) for v in by_epoch),
                  f"The entries of by_epoch have the shapes {[tuple(v.shape) for v in by_epoch]}; one number for each of the {classes} classes is asked for: minlength=num_classes.")
        y_train = torch.cat([labels for _, labels in train_batches])
        right_train = torch.stack([counts(y_train[torch.cat(outputs).argmax(1) == y_train]) for outputs in ran["train_logits"]])
        want = right / images
        case.close(torch.stack(by_epoch).float(), want, what="by_epoch, stacked to (epochs, classes),", rtol=1e-3, finite=False, mistakes={
            "A class without an image has no accuracy: nan, not 0 (0 / 0 gives it by itself).": want.nan_to_num(),
            "The counts go on from epoch to epoch: set them back to 0 in before_epoch.":
                [going_on / (images * torch.arange(1, epochs + 1)[:, None]), going_on / images],
            "All entries are the last epoch's: the same tensor was appended each time, and then changed in place. Append a new one (right / images makes one).":
                [want[-1:].expand_as(want), (right[-1:]).expand_as(want)],
            "These are counts of right answers; divide by the number of images of the class.": right,
            "Divided by the number of all images: each class has its own number of images.": right / len(y),
            "Divided by how often the network *says* the class (that is precision). Asked for is the share of the class's own images.": [right / said, (right / said).nan_to_num()],
            "In percent; asked for is a fraction from 0 to 1.": 100 * want,
            "The mean of the batches' shares: the last batch is shorter, and may lack a class. Count over the whole pass, and divide once.": means,
            "Only the last batch was counted: add up over the pass, += in place of =.":
                torch.stack([counts(t[z.argmax(1) == t]) / counts(t) for outputs in ran["logits"] for z, (_, t) in [(outputs[-1], val_batches[-1])]]),
            "The overall accuracy, repeated; each class has its own.": (right.sum(1, keepdim=True) / len(y)).expand_as(want),
            "This is the share of *wrong* answers.": 1 - want,
            "The images of the training pass are counted too: leave after_predict at once when `learner.training`.":
                [(right + right_train) / (images + counts(y_train)), (right + right_train).cumsum(0) / ((images + counts(y_train)) * torch.arange(1, epochs + 1)[:, None])],
            "These are the shares of the training pass: append in the other one, if `not learner.training`.": right_train / counts(y_train),
        })
        case.close(_flat(after), ran["weights"], what="The vector of weights after the fit, with your callback", rtol=1e-6, mistakes={
            "The callback changed the training: it should only look.": _flat(state),
        })


@exercise("08.6", points=2, needs=["save_model", "load_model"])
class SaveAndLoad:
    """Save and load the weights."""

    errors = {
        "Weights only load failed": "The file holds more than tensors (the whole model object?), and torch.load refuses to run its code. Save model.state_dict().",
        "Missing key(s) in state_dict": "The file does not hold all entries of model.state_dict(): with parameters alone, the batch norm's running averages are missing.",
        "'_IncompatibleKeys'": "`load_state_dict` fills the model in place and returns a report; do not assign it.",
        "expected 'f' to be string, path": "torch.save(what, where): the path comes second.",
        "Expected state_dict to be dict-like": "load_state_dict wants the dictionary that torch.load returns.",
    }

    def inputs(rng):
        yield {"state": tiny_state(rng), "x": rng.randn(5, 6, dtype=torch.float64), "written": "by you"}
        yield {"state": tiny_state(rng), "x": rng.randn(4, 6, dtype=torch.float64), "written": "by the course", "_case": "a file that the course wrote"}
        yield {"state": tiny_state(rng), "x": rng.randn(4, 6, dtype=torch.float64), "written": "by a stranger", "_case": "a file that is no state_dict"}
        yield {"state": tiny_state(rng), "x": rng.randn(4, 6, dtype=torch.float64), "written": "in part", "_case": "a file that lacks an entry"}

    def probe(student, state, x, written):
        import fractions
        import pathlib
        import pickle
        import tempfile

        from torch import nn

        def build():
            layers = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)
            return nn.Sequential(*layers).double()

        found = {"problem": None, "content": None, "y": None, "fresh": None, "mode": None, "saved_mode": None, "same": None}
        model, other = build(), build()
        model.load_state_dict(state)
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            path = pathlib.Path(folder) / "model.pt"
            if written == "by you":
                student.save_model(model, path)
                found["saved_mode"] = model.training
                if not path.exists():
                    return found | {"problem": "no file"}
                try:
                    found["content"] = torch.load(path, weights_only=True)
                except pickle.UnpicklingError:
                    return found | {"problem": "more than weights"}
            elif written == "by the course":
                torch.save(state, path)
            elif written == "in part":
                torch.save({name: value for name, value in state.items() if name != "1.running_mean"}, path)
                try:
                    student.load_model(other, path)
                except RuntimeError:
                    return found | {"problem": "refused"}
                return found | {"problem": "filled in part"}
            else:
                torch.save(fractions.Fraction(1, 3), path)  # an object: reading it runs code of its class
                try:
                    student.load_model(other, path)
                except pickle.UnpicklingError:
                    return found | {"problem": "refused"}
                except (TypeError, AttributeError, RuntimeError):
                    pass
                return found | {"problem": "unpickled"}
            found["fresh"] = other.eval()(x)
            other.train()
            loaded = student.load_model(other, path)
            if not isinstance(loaded, nn.Module):
                return found | {"problem": "no model"}
            found["same"] = loaded is other
            found["mode"] = loaded.training
            found["y"] = loaded.eval()(x)
        return found

    def judge(case, state, x, written, problem, content, y, fresh, mode, saved_mode, same):
        case.that(problem != "no file", "save_model wrote no file at `path`.")
        case.that(problem != "more than weights", "torch.load(path, weights_only=True) refuses your file: it holds the whole model, an object with code "
                  "(or `model.state_dict` without its parentheses?). Save model.state_dict().")
        case.that(problem != "unpickled", "The file holds something else than weights, and load_model raised no UnpicklingError: either it unpickled the file, which can run "
                  "any code (so weights_only=True), or a try/except hides torch.load's error.")
        case.that(problem != "filled in part", "The file lacks an entry, and load_model says nothing: that one keeps its random value. Leave out strict=False, and let load_state_dict's error through.")
        if written == "in part":
            return
        if written == "by a stranger":
            case.that(problem == "refused", "load_model must leave the file to torch.load(path, weights_only=True) and let its error through.")
            return
        if written == "by you":
            case.that(isinstance(content, dict), "The file should hold a dictionary: model.state_dict().")
            missing = sorted(set(state) - set(content))
            case.that(content or not missing, "The file holds an empty dictionary.")
            case.that("running_mean" not in str(missing) or len(missing) > 3,
                      "The running averages of the batch norm are missing: parameters() leaves buffers out. Save model.state_dict().")
            case.that(not missing, f"The file should hold model.state_dict() itself; it has the keys {list(content)[:3]}.")
            case.that(all(isinstance(v, torch.Tensor) for v in content.values()), "The values in the file should be tensors.")
            case.close(_flat(content), _flat(state), what="The vector of all saved values", mistakes={})
            case.that(saved_mode is True, "save_model changed the model's mode: it only writes a file; whoever called it may go on training.")
        case.that(problem != "no model", "load_model must return the model (load_state_dict returns only a report).")
        case.close(y, tiny_network(state).eval()(x).detach(), what="The loaded model's logits", mistakes={
            "The model still has its fresh random weights: model.load_state_dict(…) is missing.": fresh,
        })
        case.that(same is True, "load_model must fill in and return the model that it is given, not a copy.")
        case.that(mode is False, "The loaded model is in training mode: return it in evaluation mode, ready to predict.")


@exercise("08.7", points=2, needs=["confusion"], reference="utils.recipe:confusion")
class Confusion:
    """The confusion matrix."""

    errors = {
        "out of bounds": "The matrix needs num_classes rows and columns, whichever classes occur.",
        "is invalid for input of size": "bincount stops at the largest pair that occurs: minlength=num_classes**2.",
    }

    def inputs(rng):
        y = rng.randint(0, 4, (60,))
        predicted = torch.where(rng.rand(60) < 0.6, y, rng.randint(0, 4, (60,)))
        yield {"predicted": predicted, "y": y, "num_classes": 4}
        yield {"predicted": rng.randint(0, 3, (15,)), "y": rng.randint(0, 3, (15,)), "num_classes": 6, "_case": "the last classes do not occur"}
        yield {"predicted": rng.randint(0, 10, (50,))[::2], "y": rng.randint(0, 10, (25,)), "num_classes": 10}
        yield {"predicted": torch.zeros(0, dtype=torch.int64), "y": torch.zeros(0, dtype=torch.int64), "num_classes": 3, "_case": "no images"}

    def probe(student, predicted, y, num_classes):
        return {"matrix": student.confusion(predicted, y, num_classes)}

    def judge(case, predicted, y, num_classes, matrix):
        want = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        for true, guess in zip(y.tolist(), predicted.tolist()):
            want[true, guess] += 1
        case.close(matrix, want, what="confusion(predicted, y, num_classes)", mistakes={
            "Rows and columns are the wrong way round: a row is a true class, a column a predicted one.": want.t(),
            "Each pair is counted once only: matrix[y, predicted] += 1 adds 1 to a cell, however often the pair occurs. "
            "Count with bincount, a loop, or index_put_(…, accumulate=True).": [(want > 0).long(), (want.t() > 0).long()],
            "The counts are right, but as floats: int64 is asked for.": [want.float(), want.double()],
            "These are shares; asked for are counts.": [want / want.sum(1, keepdim=True).clamp(min=1), want / max(len(y), 1)],
            "These are the counts for the right answers only; the mistakes belong off the diagonal.": want.diag().diag(),
        })


_BUGS = ("softmax", "eval", "order", "batch means", "test set")


@exercise("08.8", points=2, needs=["log_a", "log_b", "log_c", "log_d", "log_e"])
class Clinic:
    """Five logs, five bugs."""

    def inputs(rng):
        yield {}

    def probe(student):
        return {name: getattr(student, name) for name in ("log_a", "log_b", "log_c", "log_d", "log_e")}

    def judge(case, log_a, log_b, log_c, log_d, log_e):
        answers = {"log_a": log_a, "log_b": log_b, "log_c": log_c, "log_d": log_d, "log_e": log_e}
        for name, value in answers.items():
            case.that(value in _BUGS if isinstance(value, str) else False, f"{name} should be one of {', '.join(map(repr, _BUGS))}.")
        case.equal(log_a, "batch means", what="log_a", mistakes={
            "log_a: nothing is wrong with the training, its loss falls smoothly. One number jumps by a third, and back. What is special about 1,001 images in batches of 500?":
                ["eval", "order", "softmax"],
            "log_a: the test set is not in this log. Look at how many images the third batch holds.": "test set",
        })
        case.equal(log_b, "softmax", what="log_b", mistakes={
            "log_b: it learns the images, and yet its loss stops far from 0, where a healthy run arrives. What bounds it from below? (−ln(e / (e + 9)) = 1.461)": "eval",
            "log_b: the bug is in training, not in measuring: the *training* loss stops far from 0. What bounds it from below?": ["batch means", "test set"],
            "log_b: with sorted labels the network could not get 87 % of its training images right.": "order",
        })
        case.equal(log_c, "order", what="log_c", mistakes={
            "log_c: a training loss of 7.9, far above ln 10 = 2.303, says the network is *sure* and wrong. A loss on softmaxed logits cannot exceed 2.46.": "softmax",
            "log_c: eval() before epoch 1 gives a loss of 2.30, not 7.89: this network is *sure* of a wrong class. What makes it sure?": "eval",
            "log_c: the bug is in training, not in measuring. Look at the first training loss: what makes the network sure of a wrong class?": ["batch means", "test set"],
        })
        case.equal(log_d, "eval", what="log_d", mistakes={
            "log_d: after the first epoch the training loss falls much faster, as if the dropout were gone. What does validation switch off?":
                ["softmax", "order", "batch means", "test set"],
        })
        case.equal(log_e, "test set", what="log_e", mistakes={
            "log_e: both runs are sound. What differs is how the one number to report was picked.": ["softmax", "order", "eval", "batch means"],
        })


def _piecewise(steps, top, up, down) -> torch.Tensor:
    """`up(step)` before `top`, `down(step)` from there on."""
    return torch.tensor([float(up(s)) if s < top else float(down(s)) for s in steps], dtype=torch.float64)


@exercise("08.9", points=2, needs=["one_cycle"], reference="utils.recipe:one_cycle")
class OneCycle:
    """A one-cycle schedule."""

    errors = {"ZeroDivisionError": "One of the two slopes has no length. Which number did you divide by?"}

    def inputs(rng):
        yield {"steps": [0, 5, 10, 20, 21, 30, 50, 75, 99, 100], "total": 100, "settings": [0.2, 0.2, 0.05]}
        total = rng.integer(40, 90)
        yield {"steps": list(range(0, total + 1, 3)), "total": total, "settings": [0.1, 0.37, 0.0], "_case": "the peak lies between two steps"}
        yield {"steps": list(range(8)), "total": 7, "settings": [0.5, 0.5, 0.5], "_case": "seven steps, a low start"}

    def probe(student, steps, total, settings):
        return {"factors": [student.one_cycle(step, total, *settings) for step in steps]}

    def judge(case, steps, total, settings, factors):
        start, peak, end = settings
        factors = [f.item() if isinstance(f, torch.Tensor) and f.numel() == 1 else f for f in factors]
        case.that(all(f is not None for f in factors), "one_cycle returns None for some steps: is a `return` missing in one of the two branches?")
        case.that(all(isinstance(f, (int, float)) for f in factors), "one_cycle must return one number.")
        top = peak * total

        def up(s):
            return start + (1 - start) * s / top

        def down(s):
            return 1 + (end - 1) * (s - top) / (total - top)

        want = _piecewise(steps, top, up, down)
        case.close(torch.tensor(factors, dtype=torch.float64), want, what=f"The factors (at [i] = at the i-th, from 0 on, of the steps {steps[:4]} …)", rtol=1e-6, atol=1e-9, mistakes={
            "The way up begins at 0; it should begin at `start`.": _piecewise(steps, top, lambda s: s / top, down),
            "The way down ends at 0; it should end at `end`.": _piecewise(steps, top, up, lambda s: 1 - (s - top) / (total - top)),
            "After the peak the factor stays at 1; it should go down to `end`.": _piecewise(steps, top, up, lambda s: 1),
            "The factor goes down at once; first it should rise to 1, at peak · total.": _piecewise(steps, 0, up, lambda s: 1 + (end - 1) * s / total),
            "The way down is not measured from the peak on: (step − top) / (total − top) goes from 0 to 1.":
                [_piecewise(steps, top, up, lambda s: 1 + (end - 1) * s / total),
                 _piecewise(steps, top, up, lambda s: 1 + (end - 1) * (s - top) / total),
                 _piecewise(steps, top, up, lambda s: 1 + (end - 1) * s / (total - top))],
            "`peak` says when, as a fraction of total; the height there is 1.":
                [_piecewise(steps, top, lambda s: start + (peak - start) * s / top, lambda s: peak + (end - peak) * (s - top) / (total - top)),
                 _piecewise(steps, top, lambda s: start + (peak - start) * s / top, down)],
            "`peak` is a fraction: the top lies at peak · total.":
                _piecewise(steps, peak, lambda s: start + (1 - start) * s / peak, lambda s: 1 + (end - 1) * (s - peak) / (total - peak)),
            "The way down goes up: end − 1 is negative already, so add it.": _piecewise(steps, top, up, lambda s: 1 - (end - 1) * (s - top) / (total - top)),
            "peak · total is rounded to a whole step, which changes both slopes a little: leave it as it is.":
                [_piecewise(steps, whole, lambda s, t=whole: start + (1 - start) * s / t, lambda s, t=whole: 1 + (end - 1) * (s - t) / (total - t))
                 for whole in (int(top), round(top), int(top) + 1)],
            "The way up adds a full rise to `start`, so it ends above 1: it climbs 1 − start.": _piecewise(steps, top, lambda s: start + s / top, down),
        })


def _factor(step, total) -> float:
    """The schedule that the probe of 08.10 hands over: it depends on step and total, not on their ratio alone."""
    return 0.03 + 0.9 * (1 - step / total) ** 2 * total / (total + 2)


@exercise("08.10", points=3, needs=["make_learner"])
class MakeLearner:
    """Assemble a run with a schedule."""

    errors = {
        "'function' object has no attribute 'step'": "Schedule wants the scheduler, the object that LambdaLR(optimizer, …) gives, not the function.",
        "missing 1 required positional argument: 'total'": "LambdaLR calls its function with the step alone: hand it lambda step: schedule(step, total).",
        "Boolean value of Tensor with more than one value": "nn.CrossEntropyLoss is a class: the loss is nn.CrossEntropyLoss(), with parentheses.",
        "takes 1 positional argument but 2 were given": "Metrics takes its functions by name: Metrics(accuracy=accuracy).",
        "is not an Optimizer": "LambdaLR(optimizer, function): make the optimizer first, and hand it over.",
        "takes from 6 to 7 positional": "The callbacks are one argument, a list: Learner(model, train_batches, val_batches, loss_fn, optimizer, [callbacks]).",
        "'LambdaLR' object has no attribute 'zero_grad'": "The Learner wants the optimizer itself; the scheduler goes into the callback Schedule(scheduler).",
        "has no attribute 'zero_grad'": "The loss comes fourth, the optimizer fifth: Learner(model, train_batches, val_batches, loss_fn, optimizer, [callbacks]).",
        "'SGD' object is not callable": "The loss comes fourth, the optimizer fifth: Learner(model, train_batches, val_batches, loss_fn, optimizer, [callbacks]).",
        "list index out of range": "LambdaLR asks for one factor more than there are steps: after the last batch it wants factor(total). A function, lambda step: schedule(step, total), has it.",
        "is not iterable": "The callbacks are a list, and the batches come second and third: Learner(model, train_batches, val_batches, loss_fn, optimizer, [callbacks]).",
        "can't multiply sequence": "The number of steps is epochs * len(train_batches).",
    }

    def inputs(rng):
        yield {"state": tiny_state(rng), "train_batches": tiny_batches(rng, (8, 8, 8, 3)), "val_batches": tiny_batches(rng, (7, 7, 5)), "epochs": 3, "lr": 0.07}
        yield {"state": tiny_state(rng), "train_batches": tiny_batches(rng, (5,)), "val_batches": tiny_batches(rng, (4, 4, 1)), "epochs": 3, "lr": 0.05, "_case": "one batch an epoch"}
        yield {"state": tiny_state(rng), "train_batches": tiny_batches(rng, (6, 6, 6, 2)), "val_batches": tiny_batches(rng, (9,)), "epochs": 1, "lr": 0.2, "_case": "one epoch"}

    def probe(student, state, train_batches, val_batches, epochs, lr):
        from torch import nn

        from utils.events import Callback
        from utils.training import Learner

        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
        model.load_state_dict(state)
        rates, calls = [], []

        class Watch(Callback):
            order = 100

            def before_step(self, learner):
                rates.append(learner.optimizer.param_groups[0]["lr"])

        def schedule(step, total):
            calls.append([step, total])
            if not isinstance(total, (int, float)) or total == 0:
                return 0.5 + 0.01 * len(calls)  # told by `calls`
            return 0.03 + 0.9 * (1 - step / total) ** 2 * total / (total + 2)

        made = student.make_learner(model, train_batches, val_batches, epochs, lr, schedule)
        started = any(not torch.equal(value, state[name]) for name, value in model.state_dict().items())
        if not isinstance(made, Learner):
            return {"kind": type(made).__name__, "started": started, "rates": [], "calls": [], "after": {}, "history": {}, "settings": {}}
        made.fit(epochs, [Watch()])
        held = [id(p) for group in made.optimizer.param_groups for p in group["params"]]
        settings = {name: made.optimizer.param_groups[0].get(name, 0) for name in ("momentum", "nesterov", "weight_decay", "dampening")}
        settings |= {"optimizer": type(made.optimizer).__name__, "all": set(held) == {id(p) for p in model.parameters()}, "reduction": getattr(made.loss_fn, "reduction", "mean")}
        return {"kind": "Learner", "started": started, "rates": rates, "calls": calls, "after": dict(model.state_dict()), "history": made.history, "settings": settings}

    def judge(case, state, train_batches, val_batches, epochs, lr, kind, started, rates, calls, after, history, settings):
        steps, checks = len(train_batches), len(val_batches)
        total = epochs * steps
        case.that(not started, "The network has been trained already when make_learner returns: leave .fit() to the caller, and return the learner.")
        case.that(kind != "NoneType", "make_learner returns None: is a `return` missing?")
        case.that(kind != "dict", "make_learner returned a dictionary, the history? Leave .fit() to the caller, and return the learner.")
        case.that(kind == "Learner", f"make_learner should return a Learner; it returned a {kind}.")
        setting = (state, train_batches, val_batches, epochs, lr)
        want = _fit(*setting, lambda step: _factor(step, total))

        def vector(values):
            return torch.tensor([float(v) for v in values], dtype=torch.float64)

        def run(factor, base=lr):
            return vector([base * factor(step) for step in range(total)])

        case.that(bool(rates), "The learner made no step: did you swap the batches, or pass an empty list?")
        swapped = len(rates) == epochs * checks != total
        case.that(not swapped, "It trains on the validation batches: Learner(model, train_batches, val_batches, …).")
        case.that(len(rates) == total, f"The learner made {len(rates)} steps in {epochs} epochs of {steps} batches; wanted {total}.")
        seen = vector(rates).view(epochs, steps)
        constant = bool(total > 1 and (seen == seen[0, 0]).all())
        case.that(not constant or not torch.allclose(seen, torch.tensor(lr).double(), rtol=1e-6),
                  "The rate is `lr` at every step: there is no scheduler, or it is of another optimizer.")
        case.that(calls, "`schedule` is never called: the factor comes from this argument, whatever else the notebook defines.")
        case.that(not constant or seen[0, 0] != 0, "The learning rate is 0 at every step: hand the optimizer lr=lr.")
        case.that(not constant, "The rate stays where it began: the scheduler is made, but nobody steps it. Add Schedule(scheduler) to the callbacks.")
        case.that(steps == 1 or epochs == 1 or not (seen == seen[:, :1]).all(),
                  "The scheduler is stepped once an epoch: a step is a batch here, so Schedule(scheduler) without by_epoch.")
        case.that(any(first != total for first, _ in calls), "The two arguments are swapped: the step comes first, schedule(step, total).")
        told = next((second for _, second in calls if second != total), total)
        case.equal(told, total, what="The schedule's `total`, the number of steps in the whole run, epochs * len(train_batches),", mistakes={
            "The schedule was told the number of epochs; `total` is in steps: epochs * len(train_batches).": epochs,
            "The schedule was told the batches of one epoch; `total` is that of the whole run: epochs * len(train_batches).": steps,
            "The schedule was told the number of validation batches; it is stepped after the training batches: epochs * len(train_batches).": [checks, epochs * checks],
            "`total` counts images here; a step is a batch: epochs * len(train_batches).": epochs * sum(len(y) for _, y in train_batches),
            "The schedule was told a total of 1: it wants the step and the number of steps, not their ratio.": 1,
            "The schedule was told a total of 0: hand it epochs * len(train_batches).": 0,
        })

        def factor(step):
            return _factor(step, total)

        base = rates[0] / factor(0)
        case.close(vector(rates), vector(want["rates"]), what=f"The learning rates of the {total} steps", rtol=1e-6, atol=1e-9, mistakes={
            "The factor is multiplied in twice: LambdaLR itself multiplies the optimizer's rate by what its function returns.":
                [run(lambda step: factor(step) ** 2), run(factor, lr * lr)],
            "The optimizer's rate is 1, not `lr`: these are the factors alone.": run(factor, 1.0),
            "The optimizer has its default rate: hand it lr=lr.": run(factor, 0.001),
            f"The optimizer's rate is fixed at {base:.4g}; `lr` is ignored: hand it lr=lr.": run(factor, base),
            "The scheduler is stepped twice a batch: one Schedule is enough.": run(lambda step: factor(2 * step)),
            "The rates are one step ahead: the first step takes schedule(0, total). Is there a + 1, or a .step() before the fit?": run(lambda step: factor(step + 1)),
            "The scheduler is stepped for the validation batches too: Schedule(scheduler) steps it after training batches only.":
                run(lambda step: factor(step + step // steps * checks)),
            "The factor is clamped: take it as `schedule` returns it.": [run(lambda step, least=least: max(factor(step), least)) for least in (0.05, 0.1, 0.2)],
        })
        schedule = (*setting, factor)
        weights = _flat(after)
        if not torch.allclose(weights, want["weights"], rtol=1e-6, atol=1e-8):
            case.that(settings["all"], "The optimizer does not hold exactly this network's parameters: hand it model.parameters(), of the argument `model`.")
            case.that(settings["optimizer"] == "SGD", f"The optimizer is {settings['optimizer']}; asked for is torch.optim.SGD with momentum 0.9.")
            case.that(settings["momentum"], "Right rates, but the momentum is missing: SGD(…, momentum=0.9).")
            case.that(settings["momentum"] == 0.9, f"The momentum is {settings['momentum']}; asked for is 0.9.")
            for name in ("nesterov", "weight_decay", "dampening"):
                case.that(not settings[name], f"The optimizer has {name}={settings[name]}; asked for is plain SGD with momentum 0.9.")
            case.that(settings["reduction"] == "mean", f"The loss has reduction={settings['reduction']!r}; plain cross-entropy is the mean over the batch.")
        case.close(weights, want["weights"], what="After the fit, the vector of all parameters and running averages", rtol=1e-6, atol=1e-8, mistakes={
            "The loss gets softmaxed logits: nn.CrossEntropyLoss takes the logits as they are.":
                _fit(*schedule, loss_fn=lambda z, y: F.cross_entropy(z.softmax(1), y))["weights"],
            "The loss is smoothed; asked for is plain cross-entropy.": [_fit(*schedule, loss_fn=lambda z, y, e=e: F.cross_entropy(z, y, label_smoothing=e))["weights"] for e in (0.1, 0.2)],
            "The loss is the sum over the batch; plain cross-entropy is the mean.": _fit(*schedule, loss_fn=lambda z, y: F.cross_entropy(z, y, reduction="sum"))["weights"],
        })
        case.that(bool(history), "The training is right, but the history is empty: nobody measures. Add Metrics(accuracy=accuracy) to the callbacks.")
        case.that("train_accuracy" in history, f"The history has only {', '.join(history)}: Metrics measures the loss by itself, the accuracy if it is given: Metrics(accuracy=accuracy).")
        case.that("val_loss" in history, "The history has no validation: hand the Learner val_batches.")
        for name, values in want["history"].items():
            got = history.get(name)
            case.that(isinstance(got, list) and len(got) == epochs and all(isinstance(v, (int, float)) for v in got),
                      f"history[{name!r}] should be a list of {epochs} numbers: one Metrics(accuracy=accuracy) among the callbacks is what it takes.")
            case.close(vector(got), vector(values), what=f"history[{name!r}]", rtol=1e-5, mistakes={"In percent; asked for is a fraction from 0 to 1.": 100 * vector(values)})
