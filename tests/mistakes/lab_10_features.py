"""Answers to lab 10: mistakes that students really make, with the message each must get; other right ways; and constants."""


def _changed(code, *changes):
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    return code


_MAPS = """
def feature_maps(model, x, layers):
    maps = {}
    def keep(index, module, inputs, output):
        maps[layers[index]] = output.detach().clone()
    training = model.training
    model.eval()
    with torch.no_grad(), Hooks([model.get_submodule(name) for name in layers], keep):
        model(x)
    model.train(training)
    return maps
"""

_SEEN = """
def pixels_seen(network, x, row, column):
    x = x.detach().clone().requires_grad_()
    y = network(x)[:, :, row, column].sum()
    g = torch.autograd.grad(y, x)[0]
    return (g != 0).any(1).any(0)
"""

_GAP = """
def channel_gap(maps, labels, first, second):
    m = maps.mean((2, 3))
    a, b = m[labels == first], m[labels == second]
    return (a.mean(0) - b.mean(0)) / ((a.var(0) + b.var(0)) / 2).sqrt()
"""

_TOP = """
def top_images(maps, k):
    values, places = maps.flatten(1).max(1)
    best = values.topk(k).indices
    width = maps.shape[2]
    return best, places[best] // width, places[best] % width
"""

_ASCEND = """
def ascend(score, x, shifts, lr=0.1, l2=0.0, blur=None):
    x = x.detach().clone()
    for down, right in shifts:
        z = x.roll((down, right), (2, 3)).requires_grad_()
        g = torch.autograd.grad(score(z).sum(), z)[0]
        g = g.roll((-down, -right), (2, 3))
        g = g / (g.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-8)
        x = x + lr * g
        x = x * (1 - l2)
        if blur is not None:
            x = blur(x)
    return x
"""

_SALIENCY = """
def saliency(model, x, target):
    training = model.training
    model.eval()
    x = x.detach().clone().requires_grad_()
    logits = model(x)
    number = logits.gather(1, target[:, None]).sum()
    g = torch.autograd.grad(number, x)[0]
    model.train(training)
    return g.abs().amax(1)
"""

_CAM = """
def grad_cam(model, layer, x, target):
    kept = []
    training = model.training
    model.eval()
    x = x.detach().clone().requires_grad_()
    with Hooks([layer], lambda index, module, inputs, output: kept.append(output)):
        logits = model(x)
    model.train(training)
    number = logits.gather(1, target[:, None]).sum()
    g = torch.autograd.grad(number, kept[0])[0]
    weights = g.mean((2, 3), keepdim=True)
    heat = (weights * kept[0]).sum(1, keepdim=True)
    heat = heat.relu()
    heat = F.interpolate(heat, size=x.shape[2:], mode="bilinear", align_corners=False)
    return heat[:, 0]
"""

_OCCLUSION = """
def occlusion(model, x, target, patch=8, stride=4, fill=0.0):
    training = model.training
    model.eval()
    rows = math.ceil((x.shape[2] - patch) / stride) + 1
    columns = math.ceil((x.shape[3] - patch) / stride) + 1
    drops = x.new_zeros(len(x), rows, columns)
    pick = target[:, None]
    with torch.no_grad():
        before = model(x).gather(1, pick)[:, 0]
        for i in range(rows):
            for j in range(columns):
                y = x.clone()
                y[:, :, i * stride:i * stride + patch, j * stride:j * stride + patch] = fill
                drops[:, i, j] = before - model(y).gather(1, pick)[:, 0]
    model.train(training)
    return drops
"""

_MARK = """
mark = (28, 1, 3, 3)
def accuracy_without(model, x, labels, box, fill=0.0):
    top, left, height, width = box
    y = x.clone()
    y[:, :, top:top + height, left:left + width] = fill
    with torch.no_grad():
        right = model(y).argmax(1) == labels
    return right.float().mean().item()
"""

MISTAKES = {
    "10.1": [
        (_changed(_MAPS, ("output.detach().clone()", "output.detach()")), "inplace=True, has written"),
        (_changed(_MAPS, ("    model.eval()\n", "")), "in training mode"),
        (_changed(_MAPS, ("    model.train(training)\n", "")), "not in the mode in which it came"),
        (_changed(_MAPS, ("output.detach().clone()", "inputs[0].detach().clone()")), "what goes *into* the layer"),
        (_changed(_MAPS, ("maps[layers[index]]", "maps[index]")), "keys are the indices"),
        (_changed(_MAPS, ("def keep(index, module, inputs, output)", "def keep(module, inputs, output)")), "four arguments"),
        (_changed(_MAPS, ("model.get_submodule(name) for name in layers", "name for name in layers")), "wants the modules themselves"),
        (_changed(_MAPS, ("torch.no_grad(), ", ""), ("output.detach().clone()", "output.clone()")), "whole graph"),
        (_changed(_MAPS, ("return maps", "return list(maps.values())")), "is a list"),
        (_changed(_MAPS, ("        model(x)\n", "        pass\n    model(x)\n")), "The dict is empty"),
        ("""
def feature_maps(model, x, layers):
    maps = {}
    training = model.training
    model.eval()
    for name in layers:
        def keep(module, inputs, output, name=name):
            maps[name] = output.detach().clone()
        model.get_submodule(name).register_forward_hook(keep)
    with torch.no_grad():
        model(x)
    model.train(training)
    return maps
""", "a *later* forward pass"),
        ("""
def feature_maps(model, x, layers):
    maps = {}
    model.eval()
    handles = []
    for name in layers:
        handles.append(model.get_submodule(name).register_forward_hook(lambda m, i, o: maps.__setitem__(name, o.detach().clone())))
    with torch.no_grad():
        model(x)
    for h in handles:
        h.remove()
    return maps
""", "One layer only"),
        (_changed(_MAPS, ("    maps = {}\n", "    out = []\n"), ("maps[layers[index]] = output.detach().clone()", "out.append(output.detach().clone())"), ("return maps", "return dict(zip(layers, out))")), "the order of the calls"),
        (_changed(_MAPS, ("model.train(training)", "model.training = training")), "sets one module"),
        (_changed(_MAPS, ("    model.eval()\n", "    model.eval().requires_grad_(False)\n")), "`requires_grad` is not as it was"),
    ],
    "10.2": [
        (_changed(_SEEN, ("(g != 0)", "(g > 0)")), "Only positive slopes"),
        (_changed(_SEEN, ("return (g != 0).any(1).any(0)", "return g.abs().sum((0, 1))")), "True or False for each pixel"),
        (_changed(_SEEN, ("row, column].sum", "column, row].sum")), "exchanged"),
        (_changed(_SEEN, ("[:, :, row, column]", "[:, 0, row, column]")), "one channel of the maps"),
        (_changed(_SEEN, ("(g != 0).any(1).any(0)", "(g[0] != 0).any(0)")), "first image only"),
        (_changed(_SEEN, ("(g != 0).any(1).any(0)", "(g != 0).any(1)")), "for each image"),
        (_changed(_SEEN, ("[:, :, row, column]", "")), "*all* places"),
        (_changed(_SEEN, (".any(1).any(0)", ".all(1).all(0)")), "only if *all*"),
        (_changed(_SEEN, (".sum()\n", "\n")), "take their `.sum()`"),
        (_changed(_SEEN, (".requires_grad_()", ""), ("x.detach().clone()", "x")), "Nothing was recorded"),
        (_changed(_SEEN, ("x.detach().clone().requires_grad_()", "x.requires_grad_()")), "the caller's x"),
        (_changed(_SEEN, ("(g != 0)", "(g.abs() > 1e-3)")), "Is there a threshold"),
        (_changed(_SEEN, ("(g != 0).any(1).any(0)", "g.sum((0, 1)) != 0")), "Opposite ones cancel"),
    ],
    "10.3": [
        (_changed(_GAP, ("(a.mean(0) - b.mean(0))", "(b.mean(0) - a.mean(0))")), "other way round"),
        (_changed(_GAP, (" / ((a.var(0) + b.var(0)) / 2).sqrt()", "")), "difference alone"),
        (_changed(_GAP, ("/ 2).sqrt()", "/ 2)")), "root is missing"),
        (_changed(_GAP, ("((a.var(0) + b.var(0)) / 2).sqrt()", "(a.var(0) + b.var(0)).sqrt()")), "root of the *sum*"),
        (_changed(_GAP, (".var(0)", ".var(0, correction=0)")), "n − 1"),
        (_changed(_GAP, ("m = maps.mean((2, 3))", "m = maps.amax((2, 3))")), "largest activation"),
        (_changed(_GAP, ("    a, b =", "    p = [maps[labels == k].transpose(0, 1).flatten(1).var(1) for k in (first, second)]\n    a, b ="), ("(a.var(0) + b.var(0))", "(p[0] + p[1])")), "single pixels"),
        (_changed(_GAP, ("((a.var(0) + b.var(0)) / 2).sqrt()", "torch.cat([a, b]).std(0)")), "taken together"),
        (_changed(_GAP, ("((a.var(0) + b.var(0)) / 2).sqrt()", "((a.std(0) + b.std(0)) / 2)")), "mean of the standard deviations"),
        (_changed(_GAP, ("labels == second", "labels != first")), "*all* the others"),
    ],
    "10.4": [
        (_changed(_TOP, ("width = maps.shape[2]", "width = maps.shape[1]")), "divided by the height"),
        (_changed(_TOP, ("topk(k)", "topk(k, largest=False)")), "*least*"),
        (_changed(_TOP, ("values.topk(k).indices", "values.topk(k).indices.flip(0)")), "strongest should come first"),
        (_changed(_TOP, ("values.topk(k).indices", "maps.mean((1, 2)).topk(k).indices")), "largest *mean*"),
        (_changed(_TOP, ("places[best] // width, places[best] % width", "places[best] % width, places[best] // width")), "exchanged"),
        ("def top_images(maps, k):\n    p = maps.flatten().topk(k).indices\n    n = maps[0].numel()\n    w = maps.shape[2]\n    return p // n, p % n // w, p % w", "more than once"),
        (_changed(_TOP, ("places[best] // width, places[best] % width", "places[:k] // width, places[:k] % width")), "images 0, 1, 2"),
        (_changed(_TOP, ("return best,", "return values.topk(k).values,")), "holds activations"),
    ],
    "10.5": [
        (_changed(_ASCEND, ("x + lr * g", "x - lr * g")), "downhill"),
        (_changed(_ASCEND, ("        g = g / (g.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-8)\n", "")), "not divided by its root mean square"),
        (_changed(_ASCEND, ("g.square().mean((1", "g.square().sum((1")), "divided by the norm"),
        (_changed(_ASCEND, ("        g = g.roll((-down, -right), (2, 3))\n", "")), "roll it back"),
        (_changed(_ASCEND, ("g.roll((-down, -right)", "g.roll((down, right)")), "once more in the same direction"),
        (_changed(_ASCEND, ("x.roll((down, right), (2, 3)).requires", "x.clone().requires"), ("g.roll((-down, -right)", "g.roll((0, 0)")), "not shifted"),
        (_changed(_ASCEND, ("for down, right", "for right, down")), "rows first"),
        (_changed(_ASCEND, ("mean((1, 2, 3), keepdim=True)", "mean()")), "whole batch"),
        (_changed(_ASCEND, ("        x = x * (1 - l2)\n", "")), "do not shrink"),
        (_changed(_ASCEND, ("        x = x * (1 - l2)\n", ""), ("x = x + lr * g", "x = x * (1 - l2) + lr * g")), "The step itself did not shrink"),
        (_changed(_ASCEND, ("        x = x * (1 - l2)\n", ""), ("        z = x.roll", "        x = x * (1 - l2)\n        z = x.roll")), "before the step"),
        (_changed(_ASCEND, ("        if blur is not None:\n            x = blur(x)\n", "")), "not blurred"),
        (_changed(_ASCEND, ("        if blur is not None:\n    ", "")), "`blur` is None"),
        (_changed(_ASCEND, ("g / (g.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-8)", "g.sign()")), "own size"),
        (_changed(_ASCEND, (" + 1e-8", "")), "0 / 0, which is NaN"),
        (_changed(_ASCEND, (".sqrt() + 1e-8", ".add(1e-8).sqrt()")), "inside the root"),
        (_changed(_ASCEND, ("g.square().mean((1, 2, 3), keepdim=True).sqrt()", "g.std((1, 2, 3), keepdim=True)")), "standard deviation"),
        (_changed(_ASCEND, ("        if blur is not None:\n            x = blur(x)\n", ""), ("        z = x.roll", "        x = blur(x) if blur else x\n        z = x.roll")), "before the step"),
        (_changed(_ASCEND, ("        if blur is not None:\n            x = blur(x)\n", "    if blur is not None:\n        x = blur(x)\n")), "once, at the end"),
        (_changed(_ASCEND, ("        if blur is not None:\n            x = blur(x)\n", ""), ("        g = g.roll", "        g = blur(g) if blur else g\n        g = g.roll")), "gradient is blurred"),
    ],
    "10.6": [
        (_changed(_SALIENCY, ("g.abs().amax(1)", "g.amax(1)")), "signed"),
        (_changed(_SALIENCY, ("g.abs().amax(1)", "g.amax(1).abs()")), "First the absolute value"),
        (_changed(_SALIENCY, ("g.abs().amax(1)", "g.abs().mean(1)")), "mean over the channels"),
        (_changed(_SALIENCY, ("g.abs().amax(1)", "g.abs().sum(1)")), "sum over the channels"),
        (_changed(_SALIENCY, ("amax(1)", "amax(1, keepdim=True)")), "A dimension too many"),
        (_changed(_SALIENCY, ("logits.gather(1, target[:, None]).sum()", "logits.sum()")), "*all* logits"),
        (_changed(_SALIENCY, ("logits.gather", "logits.softmax(1).gather")), "probability, after softmax"),
        (_changed(_SALIENCY, ("logits.gather(1, target[:, None]).sum()", "F.cross_entropy(logits, target, reduction='sum')")), "log-probability or of a loss"),
        (_changed(_SALIENCY, ("logits.gather(1, target[:, None])", "logits.amax(1)")), "thinks likeliest"),
        (_changed(_SALIENCY, ("logits.gather(1, target[:, None])", "logits[:, target]")), "is a table"),
        (_changed(_SALIENCY, ("logits.gather(1, target[:, None])", "logits[:, target[0]]")), "first image's class"),
        (_changed(_SALIENCY, (".sum()", ".mean()")), "divided by the number of images"),
        (_changed(_SALIENCY, ("    model.eval()\n", "")), "came in training mode"),
        (_changed(_SALIENCY, ("    model.train(training)\n", "")), "not in the mode in which it came"),
        (_changed(_SALIENCY, ("g = torch.autograd.grad(number, x)[0]", "number.backward()\n    g = x.grad")), "`.grad` has changed"),
        (_changed(_SALIENCY, ("x.detach().clone().requires_grad_()", "x.requires_grad_()")), "the caller's x"),
        (_changed(_SALIENCY, ("x = x.detach().clone().requires_grad_()", "pass")), "Nothing was recorded"),
        (_changed(_SALIENCY, ("g.abs().amax(1)", "g.abs().max(1)")), "values and indices"),
        (_changed(_SALIENCY, ("g.abs().amax(1)", "g.norm(dim=1)")), "norm over the channels"),
        (_changed(_SALIENCY, ("g.abs().amax(1)", "(g * x).detach().abs().amax(1)")), "the pixel's own value"),
        (_changed(_SALIENCY, ("g = torch.autograd.grad(number, x)[0]", "number.backward()\n    g = x.grad\n    model.zero_grad()")), "erases what was there"),
        (_changed(_SALIENCY, ("model.train(training)", "model.training = training")), "sets one module"),
        (_changed(_SALIENCY, ("    model.eval()\n", "    model.eval().requires_grad_(False)\n")), "`requires_grad` is not as it was"),
    ],
    "10.7": [
        (_changed(_CAM, ("    heat = heat.relu()\n", "")), "ReLU is missing"),
        (_changed(_CAM, ("g.mean((2, 3), keepdim=True)", "g.sum((2, 3), keepdim=True)")), "added the gradients"),
        (_changed(_CAM, ("weights = g.mean((2, 3), keepdim=True)", "weights = g")), "own gradient"),
        (_changed(_CAM, ("weights = g.mean((2, 3)", "weights = g.abs().mean((2, 3)")), "signed: no `.abs()`"),
        (_changed(_CAM, ("g.mean((2, 3)", "g.mean((0, 2, 3)")), "averaged over the images"),
        (_changed(_CAM, ("(weights * kept[0]).sum", "(weights * kept[0]).relu().sum")), "not before it"),
        (_changed(_CAM, (".sum(1, keepdim=True)\n", ".mean(1, keepdim=True)\n")), "mean over the channels"),
        (_changed(_CAM, ("heat = heat.relu()", "heat = heat.abs()")), "absolute value in place of the ReLU"),
        (_changed(_CAM, ('mode="bilinear", align_corners=False', 'mode="nearest"')), "nearest neighbour"),
        (_changed(_CAM, ("align_corners=False", "align_corners=True")), "align_corners=True"),
        (_changed(_CAM, ('    heat = F.interpolate(heat, size=x.shape[2:], mode="bilinear", align_corners=False)\n', "")), "the layer's size"),
        (_changed(_CAM, ("return heat[:, 0]", "return heat")), "A dimension too many"),
        (_changed(_CAM, ("return heat[:, 0]", "return heat[:, 0] / heat.amax()")), "scaled the map"),
        (_changed(_CAM, ("logits.gather(1, target[:, None])", "logits")), "*all* logits"),
        (_changed(_CAM, ("logits.gather", "logits.softmax(1).gather")), "after softmax"),
        (_changed(_CAM, ("    x = x.detach().clone().requires_grad_()\n", "")), "all parameters are frozen"),
        (_changed(_CAM, ("    model.eval()\n", "")), "came in training mode"),
        (_changed(_CAM, ("    model.train(training)\n", "")), "not in the mode in which it came"),
        (_changed(_CAM, ("g = torch.autograd.grad(number, kept[0])[0]", "kept[0].retain_grad()\n    number.backward()\n    g = kept[0].grad")), "`.grad` has changed"),
        (_changed(_CAM, ("kept.append(output)", "kept.append(output.detach())")), "(or your hook) `detach()`"),
        (_changed(_CAM, ("logits = model(x)", "pass\n    logits = model(x)")), "list of kept maps is empty"),
        (_changed(_CAM, ("weights = g.mean((2, 3), keepdim=True)", "weights = g.mean((2, 3), keepdim=True).abs()")), "no `.abs()`: a channel"),
        (_changed(_CAM, ("kept.append(output)", "kept.append(inputs[0])")), "go *into* the layer"),
        (_changed(_CAM, ("    heat = heat.relu()\n", ""), ("return heat[:, 0]", "return heat[:, 0].relu()")), "after the resizing"),
        (_changed(_CAM, ("logits.gather(1, target[:, None])", "logits.amax(1)")), "thinks likeliest"),
        (_changed(_CAM, ("target[:, None]).sum()", "target[:, None]).mean()")), "divided by the number of images"),
        (_changed(_CAM, ("return heat[:, 0]", "return heat.squeeze()")), "`.squeeze()` drops"),
        (_changed(_CAM, ("    with Hooks([layer], lambda index, module, inputs, output: kept.append(output)):\n        logits", "    layer.register_forward_hook(lambda module, inputs, output: kept.append(output))\n    logits")), "still on the layer"),
        (_changed(_CAM, ("    model.eval()\n", "    model.eval().requires_grad_(True)\n")), "`requires_grad` is not as it was"),
    ],
    "10.8": [
        (_changed(_OCCLUSION, ("before - model(y).gather(1, pick)[:, 0]", "model(y).gather(1, pick)[:, 0] - before")), "other way round"),
        (_changed(_OCCLUSION, ("before - model(y)", "model(y)")), "how much each is below"),
        (_changed(_OCCLUSION, ("math.ceil", "math.floor")), "last patches are missing"),
        (_changed(_OCCLUSION, ("(x.shape[2] - patch) / stride) + 1", "x.shape[2] / stride)"), ("(x.shape[3] - patch) / stride) + 1", "x.shape[3] / stride)")), "too many patches"),
        (_changed(_OCCLUSION, ("    with torch.no_grad():", "    y = x.clone()\n    with torch.no_grad():"), ("                y = x.clone()\n", "")), "The patches stay"),
        (_changed(_OCCLUSION, ("i * stride:i * stride + patch, j * stride:j * stride + patch", "i:i + patch, j:j + patch")), "one pixel at a time"),
        (_changed(_OCCLUSION, ("y[:, :, i", "y[:, 0, i")), "One channel only"),
        (_changed(_OCCLUSION, ("= fill\n", "= 0\n")), "filled with 0"),
        (_changed(_OCCLUSION, ("model(x).gather", "model(x).softmax(1).gather"), ("model(y).gather", "model(y).softmax(1).gather")), "drop of the probability"),
        (_changed(_OCCLUSION, ("pick = target[:, None]", "pick = target[:1, None].expand(len(x), 1)")), "first image's class"),
        (_changed(_OCCLUSION, ("return drops", "return drops.transpose(1, 2)")), "exchanged"),
        (_changed(_OCCLUSION, ("    model.eval()\n", "")), "came in training mode"),
        (_changed(_OCCLUSION, ("    model.train(training)\n", "")), "not in the mode in which it came"),
        (_changed(_OCCLUSION, ("i * stride:i * stride + patch, j * stride:j * stride + patch", "i * patch:i * patch + patch, j * patch:j * patch + patch")), "one `patch` apart"),
        (_changed(_OCCLUSION, ("i * stride:i * stride + patch, j * stride:j * stride + patch", "max(i * stride - patch // 2, 0):i * stride + patch // 2, max(j * stride - patch // 2, 0):j * stride + patch // 2")), "are centred"),
        (_changed(_OCCLUSION, ("y[:, :, i * stride:i * stride + patch, j * stride:j * stride + patch]", "t, l = min(i * stride, x.shape[2] - patch), min(j * stride, x.shape[3] - patch)\n                y[:, :, t:t + patch, l:l + patch]")), "pushed back"),
        (_changed(_OCCLUSION, ("i * stride:i * stride + patch, j * stride:j * stride + patch", "j * stride:j * stride + patch, i * stride:i * stride + patch")), "xchanged"),
        (_changed(_OCCLUSION, ("before - model(y).gather(1, pick)[:, 0]", "(before - model(y).gather(1, pick)[:, 0]).abs()")), "unsigned"),
        (_changed(_OCCLUSION, ("before - model(y).gather(1, pick)[:, 0]", "1 - model(y).gather(1, pick)[:, 0] / before")), "divided by the logit"),
        (_changed(_OCCLUSION, ("model(x).gather(1, pick)[:, 0]", "model(x).amax(1)"), ("model(y).gather(1, pick)[:, 0]", "model(y).amax(1)")), "largest logit"),
        (_changed(_OCCLUSION, ("with torch.no_grad():", "if True:")), "hold on to the graph"),
    ],
    "10.9": [
        (_changed(_MARK, ("(28, 1, 3, 3)", "(1, 28, 3, 3)")), "(row, column, …)"),
        (_changed(_MARK, ("(28, 1, 3, 3)", "(28, 1, 31, 4)")), "not the last row and column"),
        (_changed(_MARK, ("(28, 1, 3, 3)", "(1, 1, 3, 3)")), "counted from the top"),
        (_changed(_MARK, ("(28, 1, 3, 3)", "(12, 12, 8, 8)")), "no mark in this box"),
        (_changed(_MARK, ("(28, 1, 3, 3)", "(29, 0, 3, 2)")), "leaves part of it uncovered"),
        (_changed(_MARK, ("(28, 1, 3, 3)", "(20, 0, 12, 12)")), "much else"),
        (_changed(_MARK, ("(28, 1, 3, 3)", "(28.0, 1.0, 3.0, 3.0)")), "whole numbers"),
        (_changed(_MARK, ("model(y)", "model(x)")), "nothing is covered"),
        (_changed(_MARK, ("== labels", "!= labels")), "*wrong* answers"),
        (_changed(_MARK, ("return right", "return 100 * right")), "in percent"),
        (_changed(_MARK, ("return right.float().mean()", "return right.sum()")), "number of right answers"),
        (_changed(_MARK, ("y = x.clone()", "y = torch.full_like(x, fill)"), ("= fill\n    with", "= x[:, :, top:top + height, left:left + width]\n    with")), "All but the box"),
        (_changed(_MARK, ("y = x.clone()", "y = x")), "changed its input `x`"),
        (_changed(_MARK, ("(28, 1, 3, 3)", "(27, -1, 5, 5)")), "begins outside the image"),
        (_changed(_MARK, ("(28, 1, 3, 3)", "(28, 0, 5, 5)")), "stands out of the image"),
        (_changed(_MARK, ("(28, 1, 3, 3)", "(25, 0, 5, 5)")), "leaves part of it uncovered"),
        (_changed(_MARK, ("top:top + height, left:left + width", "top:height, left:width")), "taken as (top, left, bottom, right)"),
        (_changed(_MARK, ("left:left + width", "left:width")), "taken as (top, left, bottom, right)"),
        (_changed(_MARK, ("top:top + height, left:left + width", "left:left + width, top:top + height")), "Row and column are exchanged"),
        (_changed(_MARK, ("top:top + height, left:left + width", "top:top + height + 1, left:left + width + 1")), "one pixel too large"),
        (_changed(_MARK, ("top:top + height, left:left + width", "top:top + height - 1, left:left + width - 1")), "one pixel too large or too small"),
        (_changed(_MARK, ("= box", "= mark")), "Is it `box` that you cover"),
        (_changed(_MARK, ("y[:, :, top", "y[labels == 1, :, top")), "One class only"),
        (_changed(_MARK, ("y[:, :, top", "y[:, 0, top")), "One channel only"),
        (_changed(_MARK, ("= fill\n", "= 0\n")), "filled with 0"),
        (_changed(_MARK, (".mean().item()", ".mean()")), "asked for is a Python number"),
        (_changed(_MARK, ("    return right", "    model.train()\n    return right")), "now in training mode"),
    ],
}

RIGHT = {
    "10.1": ["""
def feature_maps(model, x, layers):
    maps, handles, modes = {}, [], [m.training for m in model.modules()]
    for name, module in model.named_modules():
        if name in layers:
            handles.append(module.register_forward_hook(lambda m, i, o, name=name: maps.update({name: o.clone()})))
    try:
        with torch.inference_mode(False), torch.no_grad():
            model.eval()(x)
    finally:
        for handle in handles:
            handle.remove()
        for m, mode in zip(model.modules(), modes):
            m.training = mode
    return {name: maps[name] for name in layers}
"""],
    "10.2": ["""
def pixels_seen(network, x, row, column):
    seen = torch.zeros(x.shape[2:], dtype=torch.bool)
    for image in x:
        leaf = image[None].clone().requires_grad_()
        y = network(leaf)
        for k in range(y.shape[1]):
            g = torch.autograd.grad(y[0, k, row, column], leaf, retain_graph=True)[0]
            seen |= g[0].abs().amax(0) > 0
    return seen
"""],
    "10.3": ["""
def channel_gap(maps, labels, first, second):
    gaps = []
    for channel in range(maps.shape[1]):
        a = maps[labels == first, channel].flatten(1).mean(1)
        b = maps[labels == second, channel].flatten(1).mean(1)
        pooled = torch.sqrt(0.5 * a.std() ** 2 + 0.5 * b.std() ** 2)
        gaps.append((a.mean() - b.mean()) / pooled)
    return torch.stack(gaps)
"""],
    "10.4": ["""
def top_images(maps, k):
    best = maps.amax((1, 2)).sort(descending=True).indices[:k]
    rows = torch.stack([maps[i].amax(1).argmax() for i in best])
    columns = torch.stack([maps[i].amax(0).argmax() for i in best])
    return [best, rows, columns]
"""],
    "10.5": ["""
def ascend(score, x, shifts, lr=0.1, l2=0.0, blur=None):
    z = x.clone()
    for shift in shifts:
        leaf = z.clone().requires_grad_()
        score(torch.roll(leaf, tuple(shift), (-2, -1))).sum().backward()
        rms = torch.stack([g.pow(2).mean().sqrt() for g in leaf.grad])[:, None, None, None]
        z = z + lr * leaf.grad / (rms + 1e-8)
        z = z - l2 * z
        z = blur(z) if blur else z
    return z
"""],
    "10.6": ["""
def saliency(model, x, target):
    mode = model.training
    model.eval()
    frozen = [(p, p.requires_grad) for p in model.parameters()]
    for p, _ in frozen:
        p.requires_grad_(False)
    leaf = x.clone().requires_grad_()
    model(leaf)[torch.arange(len(x)), target].sum().backward()
    for p, flag in frozen:
        p.requires_grad_(flag)
    model.train(mode)
    return leaf.grad.abs().max(1).values
"""],
    "10.7": ["""
def grad_cam(model, layer, x, target):
    seen = {}
    handle = layer.register_forward_hook(lambda m, i, o: seen.update(maps=o))
    mode, result = model.training, []
    model.eval()
    try:
        for image, k in zip(x, target):
            logit = model(image[None].clone().requires_grad_())[0, k]
            g, = torch.autograd.grad(logit, seen["maps"])
            heat = torch.einsum("c,chw->hw", g[0].mean((1, 2)), seen["maps"][0].detach()).clamp(min=0)
            result.append(F.interpolate(heat[None, None], x.shape[2:], mode="bilinear")[0, 0])
    finally:
        handle.remove()
        model.train(mode)
    return torch.stack(result)
"""],
    "10.8": ["""
def occlusion(model, x, target, patch=8, stride=4, fill=0.0):
    mode = model.training
    model.eval()
    starts = [list(range(0, max(side - patch + stride, 1), stride)) for side in x.shape[2:]]
    with torch.no_grad():
        many = []
        for top in starts[0]:
            for left in starts[1]:
                mask = torch.ones(x.shape[2:], dtype=torch.bool)
                mask[top:top + patch, left:left + patch] = False
                many.append(torch.where(mask, x, torch.tensor(fill, dtype=x.dtype)))
        logits = model(torch.cat([x, *many]))[torch.arange(len(x) * (len(many) + 1)), target.repeat(len(many) + 1)]
    model.train(mode)
    logits = logits.view(-1, len(x)).T
    return (logits[:, :1] - logits[:, 1:]).reshape(len(x), len(starts[0]), len(starts[1]))
"""],
    "10.9": ["""
place = torch.tensor(29 * 32 + 2)
mark = (place // 32 - 2, place % 32 - 2, 5, 5)  # tensors, as from argmax
def accuracy_without(model, x, labels, box, fill=0.0):
    rows = torch.arange(x.shape[2])[:, None]
    columns = torch.arange(x.shape[3])[None]
    inside = (rows >= box[0]) & (rows < box[0] + box[2]) & (columns >= box[1]) & (columns < box[1] + box[3])
    right = 0
    for image, label in zip(x, labels):
        right += int(model(image.masked_fill(inside, fill)[None])[0].argmax() == label)
    return right / len(x)
"""],
}

CONSTANTS = {
    "10.1": "def feature_maps(model, x, layers):\n    return {'0': torch.zeros(2, 4, 8, 8), '3': torch.zeros(2, 4, 4, 4), '5': torch.zeros(2, 5, 4, 4)}",
    "10.2": "def pixels_seen(network, x, row, column):\n    return torch.ones(x.shape[2:], dtype=torch.bool)",
    "10.3": "def channel_gap(maps, labels, first, second):\n    return torch.zeros(maps.shape[1])",
    "10.4": "def top_images(maps, k):\n    return torch.arange(k), torch.zeros(k, dtype=torch.int64), torch.zeros(k, dtype=torch.int64)",
    "10.5": "def ascend(score, x, shifts, lr=0.1, l2=0.0, blur=None):\n    return torch.zeros_like(x)",
    "10.6": "def saliency(model, x, target):\n    return torch.zeros(len(x), *x.shape[2:])",
    "10.7": "def grad_cam(model, layer, x, target):\n    return torch.zeros(len(x), *x.shape[2:])",
    "10.8": "def occlusion(model, x, target, patch=8, stride=4, fill=0.0):\n    return torch.zeros(len(x), 3, 3)",
    "10.9": "mark = (0, 0, 3, 3)\ndef accuracy_without(model, x, labels, box, fill=0.0):\n    return 0.5",
}
