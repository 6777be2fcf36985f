"""Wrong answers that students really give to lab 09, with the message each must get; and right answers written another way."""


def _preprocess(first="v2.ToImage()", resize="v2.Resize(round(size / 0.875), antialias=True)", crop="v2.CenterCrop(size)",
                scale="v2.ToDtype(torch.float32, scale=True)", norm="v2.Normalize(mean, std)", end=""):
    steps = ", ".join(step for step in (first, resize, crop, scale, norm) if step)
    return f"def preprocess(picture, size, mean, std):\n    return v2.Compose([{steps}])(picture){end}"


def _top(p="logits.softmax(dim=1)", top="topk(k, dim=1)", pair="(classes[i], v)", rows="zip(place.tolist(), best.tolist())"):
    return f"""
def top_classes(logits, classes, k=5):
    p = {p}
    best, place = p.{top}
    return [[{pair} for i, v in zip(*row)] for row in {rows}]
"""


def _head(freeze="model.requires_grad_(False)", layer="nn.Linear(old.in_features, num_classes).to(old.weight)", name="head", after="pass", end="return model"):
    return f"""
def new_head(model, head, num_classes):
    {freeze}
    old = getattr(model, head)
    setattr(model, {name}, {layer})
    {after}
    {end}
"""


def _norms(event="before_batch", test="isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))", do="module.eval()", modules="learner.model.modules()", otherwise="pass"):
    return f"""
class StillNorms(Callback):
    def {event}(self, learner):
        for module in {modules}:
            if {test}:
                {do}
            else:
                {otherwise}
"""


def _features(mode="model.eval()", grad="torch.no_grad()", out="nn.Identity()", keep="features.append(model(x))", back="setattr(model, head, layer)",
              mode_back="model.train(was)", end="return torch.cat(features), torch.cat(labels)"):
    return f"""
def extract_features(model, head, batches):
    layer, was = getattr(model, head), model.training
    setattr(model, head, {out})
    {mode}
    features, labels = [], []
    with {grad}:
        for x, y in batches:
            {keep}
            labels.append(y)
    {back}
    {mode_back}
    {end}
"""


def _groups(place="len(stages) - 1 - i", learnt="p.requires_grad", rate="lr * factor ** k", flat="p.ndim <= 1", no_decay="0.0", members="stage.parameters()", keep="if params:"):
    return f"""
def layer_groups(stages, lr, factor=0.8, weight_decay=0.01):
    groups = []
    for i, stage in enumerate(stages):
        k = {place}
        found = [p for p in {members} if {learnt}]
        for params, decay in (([p for p in found if not ({flat})], weight_decay), ([p for p in found if {flat}], {no_decay})):
            {keep}
                groups.append(dict(params=params, lr={rate}, weight_decay=decay))
    return groups
"""


def _wilson(middle="(p + z * z / (2 * n)) / (1 + z * z / n)", half="z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)", end="return middle - half, middle + half"):
    return f"def wilson(right, n, z=1.96):\n    p = right / n\n    middle = {middle}\n    half = {half}\n    {end}"


def _mcnemar(a="(a_right & ~b_right).sum().item()", b="(b_right & ~a_right).sum().item()", terms="range(min(a, b) + 1)", p="min(1.0, 2 * tail)", end="return a, b, p"):
    return f"""
def mcnemar(a_right, b_right):
    a, b = {a}, {b}
    tail = sum(math.comb(a + b, i) for i in {terms}) / 2 ** (a + b)
    p = {p}
    {end}
"""


def _later(weights="model.state_dict()", facts="classes=list(classes), size=size, mean=list(mean), std=list(std)", load="torch.load(path, weights_only=True)",
           put="model.load_state_dict(kept.pop('weights'))", mode="model.eval()", end="return kept"):
    return f"""
def save_classifier(path, model, classes, size, mean, std):
    torch.save(dict(weights={weights}, {facts}), path)


def load_classifier(path, model):
    kept = {load}
    {put}
    {mode}
    {end}
"""


MISTAKES = {
    "09.1": [
        (_preprocess(norm=""), "but not normalized"),
        (_preprocess(resize="v2.Resize((size, size), antialias=True)", crop=""), "squeezed into a square"),
        (_preprocess(resize="v2.Resize(size, antialias=True)"), "resized to `size` itself"),
        (_preprocess(norm="v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])"), "ImageNet's usual mean and std"),
        (_preprocess(scale="v2.ToDtype(torch.float32)"), "divide by 255 first"),
        (_preprocess(resize=""), "without resizing"),
        (_preprocess(crop=""), "not square"),
        (_preprocess(scale=""), "wants floats"),
        (_preprocess(end="[None]"), "batch dimension"),
        (_preprocess(resize="v2.Resize(round(size / 0.875), antialias=False)"), "without antialiasing"),
        (_preprocess(resize="v2.Resize(round(size / 0.875), v2.InterpolationMode.BICUBIC, antialias=True)"), "another interpolation"),
        (_preprocess(resize="v2.Resize(int(size / 0.875), antialias=True)"), "cut off to a whole number"),
        (_preprocess(resize="v2.Resize(None, max_size=round(size / 0.875), antialias=True)"), "The *longer* side"),
        (_preprocess(norm="v2.Lambda(lambda x: (x - torch.tensor(mean).view(3, 1, 1)) * torch.tensor(std).view(3, 1, 1))"), "multiplied by `std`"),
        (_preprocess(norm="v2.Lambda(lambda x: (x - x.mean((1, 2), keepdim=True)) / x.std((1, 2), keepdim=True))"), "own mean and std"),
        (_preprocess(end=".permute(1, 2, 0).contiguous().reshape(3, size, size)"), "mixes the pixels"),
    ],
    "09.2": [
        (_top(p="logits"), "These are the logits"),
        (_top(p="logits.softmax(dim=0)").replace("p.topk(k, dim=1)", "(p, logits.topk(k, dim=1)[1]); best = p.gather(1, place)").replace("best, place = (p, logits", "p, place = (p, logits"), "ran down the columns"),
        (_top(pair="(i, v)"), "places of the classes"),
        (_top(pair="(v, classes[i])"), "the name first"),
        (_top(top="topk(k, dim=1, largest=False)"), "least* probable"),
        (_top(pair="(classes[i], 100 * v)"), "in percent"),
        ("def top_classes(logits, classes, k=5):\n    best, place = logits.topk(k, dim=1)\n    best = best.softmax(dim=1)\n    return [[(classes[i], v) for i, v in zip(*row)] for row in zip(place.tolist(), best.tolist())]", "k largest only"),
        ("def top_classes(logits, classes, k=5):\n    best, place = logits[0].softmax(0).topk(k)\n    return [(classes[i], v) for i, v in zip(place.tolist(), best.tolist())]", "one such list for each row"),
        (_top(p="logits.softmax(dim=0)"), "ran down the columns"),
        (_top(p="logits.exp() / logits.exp().sum(dim=1, keepdim=True)"), "inf / inf is nan"),
    ],
    "09.3": [
        (_head(freeze="pass", after="model.requires_grad_(False)"), "Freeze first, then replace"),
        (_head(freeze="pass"), "Nothing is frozen"),
        (_head(name="'head'"), "makes a new attribute"),
        (_head(layer="nn.Linear(6, num_classes)", name="'fc'").replace("old = getattr(model, head)", "old = model.fc"), "calls its output layer otherwise"),
        (_head(layer="nn.Linear(1280, num_classes)"), "takes another number of inputs"),
        (_head(layer="nn.Linear(old.in_features, num_classes)"), "the new layer float32"),
        (_head(end="pass"), "returns None"),
        (_head(end="return getattr(model, head)"), "return the model"),
        (_head(freeze="[p.requires_grad_(False) for n, p in model.named_parameters() if 'weight' in n]"), "A part of the body is not frozen"),
        (_head(layer="nn.Sequential(old, nn.Linear(old.out_features, num_classes).to(old.weight))"), "more than one layer"),
        (_head(layer="nn.Sequential(nn.Linear(old.in_features, num_classes).to(old.weight), nn.Softmax(dim=1))"), "more than one layer"),
        ("def new_head(model, head, num_classes):\n    model.requires_grad_(False)\n    layer = getattr(model, head)\n    layer.weight = nn.Parameter(layer.weight[:num_classes].detach().clone())\n    layer.bias = nn.Parameter(layer.bias[:num_classes].detach().clone())\n    return model", "first rows"),
    ],
    "09.4": [
        (_norms(event="before_epoch"), "switched back"),
        (_norms(event="before_fit"), "switched back"),
        (_norms(do="module.momentum = 0.0"), "momentum 0 does that"),
        (_norms(do="module.requires_grad_(False)"), "no gradient moves"),
        (_norms(test="True"), "Dropout was in evaluation mode"),
        (_norms(test="isinstance(module, nn.BatchNorm2d)"), "BatchNorm2d only"),
        (_norms(modules="learner.model.children()"), "`modules()` any depth"),
        (_norms(event="before_predict"), "No event is called before_predict"),
        (_norms(test="isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout))"), "Dropout was in evaluation mode"),
        (_norms(event="after_predict"), "Too late"),
        (_norms(event="after_batch"), "Too late"),
        (_norms(otherwise="module.train()"), "validation pass too"),
        (_norms().replace("        for module", "        if getattr(self, 'done', False):\n            return\n        self.done = True\n        for module"), "switched once"),
        ("class StillNorms(Callback):\n    def __init__(self):\n        super().__init__()\n        for module in self.model.modules():\n            if isinstance(module, nn.BatchNorm2d):\n                module.eval()", "comes with the event"),
    ],
    "09.5": [
        (_features(out="layer"), "These are the logits"),
        (_features(mode="pass"), "each batch's own statistics"),
        (_features(grad="torch.enable_grad()"), "hang on the graph"),
        ("@torch.inference_mode()" + _features(), "inference tensors"),
        (_features(back="pass"), "without its output layer"),
        (_features(mode_back="pass"), "is not any more"),
        (_features(keep="features = [model(x)]"), "last batch only"),
        (_features(end="return torch.cat(features)"), "Return two tensors"),
        (_features(keep="pass").replace("    {keep}", "").replace("    return torch.cat(features), torch.cat(labels)", "    return features, torch.cat(labels)").replace("    setattr(model, head, layer)", "        features = torch.cat([model(x) for x, _ in batches])\n    setattr(model, head, layer)"), "through `batches` twice"),
        (_features(grad="torch.enable_grad()", mode="model.eval(); torch.set_grad_enabled(False)").replace("with torch.enable_grad():", "if True:"), "switched off for good"),
        (_features(mode="model.eval().requires_grad_(False)"), "came back with frozen parameters"),
        (_features(back="setattr(model, head, nn.Linear(6, 4).to(features[0]))"), "another output layer"),
        (_features(end="return torch.stack(features), torch.cat(labels)"), "`torch.cat` puts one after the other"),
    ],
    "09.6": [
        (_groups(place="i"), "wrong way round"),
        (_groups(place="len(stages) - i"), "Off by one"),
        (_groups(rate="lr"), "All stages have the same rate"),
        (_groups(learnt="True"), "A frozen parameter is in a group"),
        (_groups(no_decay="weight_decay"), "Biases and norms have weight decay"),
        (_groups(members="[p for m in stage.modules() for p in m.parameters()]"), "in two groups"),
        (_groups(place="sum(any(p.requires_grad for p in s.parameters()) for s in stages[i + 1:])"), "count too"),
        (_groups(members="stage.parameters(recurse=False)").replace("enumerate(stages):", "enumerate(stages):\n        stage = stage if len(list(stage.parameters(recurse=False))) else next(iter(stage.values()))"), "left out"),
        (_groups(keep="if True:"), "A group is empty"),
        ("def layer_groups(stages, lr, factor=0.8, weight_decay=0.01):\n    groups = []\n    for i, stage in enumerate(stages):\n        for name, p in stage.named_parameters():\n            if p.requires_grad:\n"
         "                groups.append({'params': [p], 'lr': lr * factor ** (len(stages) - 1 - i), 'weight_decay': 0.0 if 'bias' in name else weight_decay})\n    return groups", "called `weight` too"),
    ],
    "09.7": [
        (_wilson(middle="p", half="z * math.sqrt(p * (1 - p) / n)"), "the simple interval"),
        (_wilson(middle="p"), "centred on p"),
        (_wilson(half="z * math.sqrt(p * (1 - p) / n + z * z / (4 * n)) / (1 + z * z / n)"), "you have z² / (4 n)"),
        (_wilson(middle="p + z * z / (2 * n)", half="z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))"), "division by 1 + z²/n"),
        (_wilson(half="math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)"), "before the root"),
        (_wilson(end="return 100 * (middle - half), 100 * (middle + half)"), "in percent"),
        (_wilson(end="return middle, half"), "asked for are the ends"),
        (_wilson().replace("p = right / n", "p, z = right / n, 1.96"), "whatever was asked"),
        (_wilson(half="z * math.sqrt(p * (1 - p) / n + z**2 / 4 * n**2) / (1 + z**2 / n)"), "Brackets are missing"),
        (_wilson(middle="(p + z**2 / 2 * n) / (1 + z**2 / n)"), "Brackets are missing"),
        (_wilson(middle="(p + z**2 / 2 * n) / (1 + z**2 / n)", half="z * math.sqrt(p * (1 - p) / n + z**2 / 4 * n**2) / (1 + z**2 / n)", end="return max(0.0, middle - half), min(1.0, middle + half)"), "Brackets are missing"),
        (_wilson(middle="(p + z**2 / (2 * n)) / 1 + z**2 / n"), "Brackets are missing"),
        (_wilson(middle="p + z * z / (2 * n)"), "division of the middle"),
        (_wilson(half="z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))"), "division of half the width"),
    ],
    "09.8": [
        (_mcnemar(p="tail"), "twice that"),
        (_mcnemar(p="2 * tail"), "p is more than 1"),
        (_mcnemar(terms="range(min(a, b))"), "split itself is missing"),
        (_mcnemar(terms="[a]", p="tail"), "exactly this split"),
        (_mcnemar(a="a_right.sum().item()", b="b_right.sum().item()"), "both get right cancel"),
        (_mcnemar(end="return b, a, p"), "exchanged"),
        (_mcnemar(p="math.erfc(math.sqrt((a - b) ** 2 / (a + b) / 2))"), "χ² approximation"),
        (_mcnemar(p="min(1.0, 2 * tail) if a + b else 0.0"), "With n = 0"),
        ("def mcnemar(a_right, b_right):\n    a, b, n = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum()), len(a_right)\n    return a, b, min(1.0, 2 * sum(math.comb(n, i) for i in range(min(a, b) + 1)) / 2**n)", "number of all pictures"),
        (_mcnemar(terms="range(max(a, b) + 1)"), "the *smaller*"),
        (_mcnemar(a="(a_right and not b_right).sum().item()"), "`and`, `or`, `not` are for single values"),
        (_mcnemar(a="(a_right - b_right).sum().item()"), "not subtracted"),
        (_mcnemar(p="min(1.0, 2 * sum(math.comb(a + b, i) * 0.5 ** (a + b) for i in range(min(a, b) + 1)))"), "a float overflows"),
    ],
    "09.9": [
        (_later(facts="").replace(", )", ")"), "The facts lack classes, size, mean, std"),
        (_later(weights="model", load="torch.load(path, weights_only=False)", put="model.load_state_dict(kept.pop('weights').state_dict())"), "whole model"),
        (_later(mode="pass"), "in training mode"),
        (_later(put="model.load_state_dict(kept.pop('weights'), strict=False)").replace("model.load_state_dict(", "own = model.state_dict(); w = kept.pop('weights'); model.load_state_dict({n: v for n, v in w.items() if own[n].shape == v.shape}, strict=False) or (lambda *a, **k: None)("), "another architecture"),
        (_later(weights="dict(model.named_parameters())", put="model.load_state_dict(kept.pop('weights'), strict=False)"), "running averages"),
        (_later(put="model.load_state_dict(kept['weights'])"), "among the facts"),
        (_later(end="pass"), "return the facts"),
        (_later(facts="classes=list(classes), size=224, mean=[0.5] * 3, std=[0.5] * 3"), "save the arguments"),
        (_later(put="model.load_state_dict(kept.pop('weights'), strict=False)"), "another architecture took the file"),
        (_later(weights="dict(model.named_parameters())"), "running averages"),
        (_later(load="torch.load('x.pt', weights_only=True)").replace(", path)\n\n", ", 'x.pt')\n\n"), "no file at `path`"),
        (_later(facts="classes=sorted(classes), size=size, mean=list(mean), std=list(std)"), "names are sorted"),
        (_later(facts="").replace(", )", ")").replace("    torch.save", "    global FACTS\n    FACTS = dict(classes=list(classes), size=size, mean=list(mean), std=list(std))\n    torch.save").replace("return kept", "return FACTS"), "saved last"),
        (_later(facts="").replace(", )", ")").replace("    torch.save", "    import json\n    Path(f'{path}.json').write_text(json.dumps(dict(classes=list(classes), size=size, mean=list(mean), std=list(std))))\n    torch.save")
         .replace("return kept", "import json\n    return json.loads(Path(f'{path}.json').read_text())"), "into one file"),
        (_later(put="model = copy.deepcopy(model); model.load_state_dict(kept.pop('weights'))"), "into a copy"),
    ],
}

RIGHT = {
    "09.1": ["""
def preprocess(picture, size, mean, std):
    scale = round(size / 0.875) / min(picture.size)
    width, height = [round(scale * side) for side in picture.size]
    left, top = (width - size) // 2, (height - size) // 2
    cut = picture.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
    x = np.asarray(cut, dtype=np.float32) / 255
    return torch.from_numpy((x - np.array(mean, dtype=np.float32)) / np.array(std, dtype=np.float32)).permute(2, 0, 1)
"""],
    "09.2": ["""
def top_classes(logits, classes, k=5):
    result = []
    for row in logits:
        p = row.exp() / row.exp().sum() if row.max() < 50 else torch.softmax(row, 0)
        order = sorted(range(len(p)), key=lambda i: -row[i])
        result.append([(classes[i], float(p[i])) for i in order[:k]])
    return result
"""],
    "09.3": ["""
def new_head(model, head, num_classes):
    for p in model.parameters():
        p.requires_grad = False
    old = model._modules[head]
    model._modules[head] = nn.Linear(old.weight.shape[1], num_classes, dtype=old.weight.dtype, device=old.weight.device)
    return model
""", _head(after="nn.init.zeros_(getattr(model, head).weight)")],
    "09.4": [_norms(), """
class StillNorms(Callback):
    def before_batch(self, learner):
        learner.model.apply(lambda m: m.train(False) if type(m).__name__.startswith("BatchNorm") else None)
"""],
    "09.5": ["""
def extract_features(model, head, batches):
    was, seen, labels = model.training, [], []
    handle = getattr(model, head).register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].detach()))
    model.eval()
    for x, y in batches:
        model(x)
        labels.append(y)
    handle.remove()
    model.train(was)
    return torch.cat(seen), torch.cat(labels)
""", _features(mode="first = next(iter(batches)); model.eval()")],
    "09.6": ["""
def layer_groups(stages, lr, factor=0.8, weight_decay=0.01):
    groups, rate = [], lr
    for stage in reversed(stages):
        for p in stage.parameters():
            if p.requires_grad:
                groups.append({"params": [p], "lr": rate, "weight_decay": weight_decay * (p.ndim > 1)})
        rate *= factor
    return groups
"""],
    "09.7": ["""
def wilson(right, n, z=1.96):
    # the two roots of (p - right/n)^2 = z^2 p (1 - p) / n
    a, b, c = 1 + z**2 / n, -(2 * right / n + z**2 / n), (right / n) ** 2
    root = math.sqrt(max(b * b - 4 * a * c, 0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)
"""],
    "09.8": ["""
def mcnemar(a_right, b_right):
    differ = a_right != b_right
    n, a = int(differ.sum()), int(a_right[differ].sum())
    chances = [math.comb(n, i) / 2**n for i in range(n + 1)]
    p = sum(c for i, c in enumerate(chances) if abs(2 * i - n) >= abs(2 * a - n))
    return a, n - a, min(p, 1.0)
"""],
    "09.9": ["""
def save_classifier(path, model, classes, size, mean, std):
    torch.save([model.state_dict(), [list(classes), size, tuple(mean), tuple(std)]], path)


def load_classifier(path, model):
    weights, facts = torch.load(path, weights_only=True)
    model.load_state_dict(weights)
    model.train(False)
    return dict(zip(("classes", "size", "mean", "std"), facts))
"""],
}

CONSTANTS = {
    "09.1": "def preprocess(picture, size, mean, std):\n    return torch.zeros(3, size, size)",
    "09.2": "def top_classes(logits, classes, k=5):\n    return [[(name, 1 / len(classes)) for name in classes[:k]] for _ in logits]",
    "09.3": "def new_head(model, head, num_classes):\n    return model",
    "09.4": "class StillNorms(Callback):\n    pass",
    "09.5": "def extract_features(model, head, batches):\n    n = sum(len(y) for _, y in batches)\n    return torch.zeros(n, 6), torch.zeros(n, dtype=torch.int64)",
    "09.6": "def layer_groups(stages, lr, factor=0.8, weight_decay=0.01):\n    return [{'params': list(stages[0].parameters()), 'lr': lr, 'weight_decay': 0.0}]",
    "09.7": "def wilson(right, n, z=1.96):\n    return 0.0, 1.0",
    "09.8": "def mcnemar(a_right, b_right):\n    return 0, 0, 1.0",
    "09.9": "def save_classifier(path, model, classes, size, mean, std):\n    torch.save({}, path)\n\ndef load_classifier(path, model):\n    return {'classes': ['ants'], 'size': 224, 'mean': [0.5] * 3, 'std': [0.5] * 3}",
}
