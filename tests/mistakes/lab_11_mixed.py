"""Wrong answers that students really give to lab 11, with the message each must get; and right answers written another way."""


def _scaler(mean="numbers.nanmean(0)", std="(numbers - self.mean).square().nanmean(0).sqrt()", guard="torch.where(std > 1e-6 * self.mean.abs(), std, 1.0)", end="return self",
            scaled="((numbers - self.mean) / self.std).masked_fill(missing, 0.0)", out="torch.cat([scaled, missing.to(numbers.dtype)], dim=1)"):
    return f"""
class Scaler:
    def fit(self, numbers):
        self.mean = {mean}
        std = {std}
        self.std = {guard}
        {end}
    def __call__(self, numbers):
        missing = numbers.isnan()
        scaled = {scaled}
        return {out}
"""


def _vocabulary(kept="sorted(level for level in counts if level and counts[level] >= min_count)", numbers="{'': 1, **{level: n for n, level in enumerate(kept, start=2)}}",
                length="len(self.number) + 1", get="self.number.get(str(text), 0)", dtype="torch.int64"):
    return f"""
class Vocabulary:
    def __init__(self, texts, min_count=1):
        texts = list(texts)
        counts = Counter(texts)
        kept = {kept}
        self.number = {numbers}
    def __len__(self):
        return {length}
    def __call__(self, texts):
        return torch.tensor([{get} for text in texts], dtype={dtype})
"""


def _dataset(guard="if len({len(images), len(categories), len(numbers), len(labels)}) > 1:\n            raise ValueError('lengths')", length="len(self.parts[3])",
             image="image if self.transform is None else self.transform(image)", x="{'image': image, 'categories': categories[i], 'numbers': numbers[i]}", y="int(labels[i])", row="images[i]"):
    return f"""
class MixedDataset(Dataset):
    def __init__(self, images, categories, numbers, labels, transform=None):
        {guard}
        self.parts, self.transform = (images, categories, numbers, labels), transform
    def __len__(self):
        return {length}
    def __getitem__(self, i):
        images, categories, numbers, labels = self.parts
        image = {row}
        image = {image}
        return {x}, {y}
"""


def _collate(x="{name: torch.stack([x[name] for x in xs]) for name in xs[0]}", y="torch.tensor(ys)"):
    return f"""
def collate(samples):
    xs, ys = zip(*samples)
    return {x}, {y}
"""


def _table(embeddings="nn.ModuleList(nn.Embedding(n, w) for n, w in zip(levels, widths))", linear="nn.Linear(sum(widths) + numbers, features)",
           parts="[e(codes[:, i]) for i, e in enumerate(self.embeddings)]", joined="torch.cat([*parts, x['numbers']], dim=1)", out="F.relu(self.linear(joined))"):
    return f"""
class TableBranch(nn.Module):
    def __init__(self, levels, widths, numbers, features=32):
        super().__init__()
        self.embeddings = {embeddings}
        self.linear = {linear}
    def forward(self, x):
        codes = x["categories"]
        parts = {parts}
        joined = {joined}
        return {out}
"""


def _joint(head="nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))", joined="torch.cat([self.image(x), self.table(x)], dim=1)", out="self.head(joined)", keep="self.image, self.table = image, table"):
    return f"""
class JointModel(nn.Module):
    def __init__(self, image, table, features, hidden, num_classes):
        super().__init__()
        {keep}
        self.head = {head}
    def forward(self, x):
        joined = {joined}
        return {out}
"""


def _drop(copy="dict(x)", part="x[name].clone()", whole="x[name][order]", columns="part[:, chosen] = x[name][order][:, chosen]", mode="model.eval()", back="model.train(was)", out="before - after", test="chosen"):
    return f"""
def permutation_drop(model, x, y, columns, order):
    other = {copy}
    for name, chosen in columns.items():
        if {test}:
            part = {part}
            {columns}
            other[name] = part
        else:
            other[name] = {whole}
    was = model.training
    {mode}
    with torch.no_grad():
        before = (model(x).argmax(1) == y).double().mean().item()
        after = (model(other).argmax(1) == y).double().mean().item()
    {back}
    return {out}
"""


def _lean(mode="model.eval()", back="model.train(was)", features="[model.image(x).detach().requires_grad_(), model.table(x).detach().requires_grad_()]", score="logits.max(1).values.sum()",
          grad="torch.autograd.grad(score, features)", out="(f.detach() * g).norm(dim=1)", names="('image', 'table')", logits="model.head(torch.cat(features, dim=1))"):
    return f"""
def branch_gradients(model, x):
    was = model.training
    {mode}
    features = {features}
    logits = {logits}
    score = {score}
    grads = {grad}
    {back}
    return {{name: {out} for name, f, g in zip({names}, features, grads)}}
"""


MISTAKES = {
    "11.1": [
        (_scaler(out="scaled"), "The flags are missing"),
        (_scaler(out="torch.cat([scaled, (~missing).to(numbers.dtype)], dim=1)"), "the wrong way round"),
        (_scaler(out="torch.cat([missing.to(numbers.dtype), scaled], dim=1)"), "flags stand before the numbers"),
        (_scaler(scaled="(numbers.nan_to_num(0.0) - self.mean) / self.std"), "replaced by 0 before scaling"),
        (_scaler(mean="numbers.nan_to_num(0.0).mean(0)", std="(numbers.nan_to_num(0.0) - self.mean).square().mean(0).sqrt()"), "counted as zeros"),
        (_scaler(mean="numbers.mean(0)", std="numbers.std(0)"), "There is still a NaN"),
        (_scaler(std="((numbers - self.mean).square().nansum(0) / ((~numbers.isnan()).sum(0) - 1)).sqrt()"), "divides by n − 1"),
        (_scaler(guard="std"), "A constant column has std 0"),
        (_scaler(scaled="((numbers - numbers.nanmean(0)) / (numbers - numbers.nanmean(0)).square().nanmean(0).sqrt()).masked_fill(missing, 0.0)"), "those of the rows that came in"),
        (_scaler(std="(numbers - self.mean).square().nanmean(0)"), "divides by the variance"),
        (_scaler(end="pass"), "returns the scaler itself"),
        (_scaler(mean="numbers.nanmean().expand(numbers.shape[1])", std="(numbers - self.mean).square().nanmean().sqrt().expand(numbers.shape[1])"), "One mean or std"),
        (_scaler(std="torch.nanstd(numbers, 0)"), "no `nanstd`"),
        (_scaler(guard="torch.where(std > 0, std, 1.0)"), "divided by a tiny number"),
        (_scaler(guard="std + 1e-8"), "divided by a tiny number"),
        (_scaler(std="(numbers.square().nanmean(0) - self.mean.square()).clamp(min=0).sqrt()", guard="torch.where(std > 0, std, 1.0)"), "divided by a tiny number"),
        (_scaler(mean="numbers.nanmean()"), "One mean or std"),
        (_scaler(out="torch.stack([scaled, missing.to(numbers.dtype)], dim=2).flatten(1)"), "stand in turn"),
        (_scaler(guard="std.clamp(min=1e-6)"), "divided by a tiny number"),
        (_scaler(scaled="((numbers - self.mean) / self.std).masked_fill(missing | (self.std == 1), 0.0)"), "keeps its distance"),
        (_scaler(mean="numbers.mean(0)", std="numbers.std(0)", scaled="((numbers - self.mean) / self.std).nan_to_num(0)"), "Whole columns have become 0"),
        (_scaler(std="torch.where(numbers.isnan(), self.mean, numbers).std(0, correction=0)"), "makes it too small"),
        (_scaler(mean="(numbers := numbers[~numbers.isnan().any(1)]).mean(0)"), "left out altogether"),
        (_scaler(scaled="((numbers.masked_fill_(missing, torch.nan) - self.mean) / self.std).masked_fill(missing, 0.0) + 0 * numbers.nan_to_num_(0.0)"), "the caller's NaN are gone"),
        (_scaler(end="self.has = numbers.isnan().any(0)\n        return self", out="torch.cat([scaled, (missing & self.has).to(numbers.dtype)], dim=1)"), "complete in training"),
        (_scaler(mean="getattr(self, 'mean', numbers.nanmean(0))", guard="getattr(self, 'std', torch.where(std > 1e-6 * self.mean.abs(), std, 1.0))"), "A second `fit` changed nothing"),
        (_scaler().replace("self.", "Scaler."), "on `self`, not on the class"),
        (_scaler().replace("self.std", "self.spread"), "should keep `std`"),
        (_scaler(out="torch.cat([scaled, missing], dim=1).float()"), "dtype of the input"),
    ],
    "11.2": [
        (_vocabulary(get="self.number.get(text, 1)"), "given the number of missing"),
        (_vocabulary(numbers="{'': 0, **{level: n for n, level in enumerate(kept, start=2)}}"), "taken for unknown"),
        (_vocabulary(numbers="{'': 1, **{level: n for n, level in enumerate(kept)}}"), "a number that is taken"),
        (_vocabulary(kept="[level for level in dict.fromkeys(texts) if level and counts[level] >= min_count]"), "in the order in which they came up"),
        (_vocabulary(kept="sorted(level for level in counts if level)"), "fewer than min_count"),
        (_vocabulary(kept="sorted(level for level in counts if level and counts[level] > min_count)"), "exactly min_count"),
        (_vocabulary(get="self.number[text]"), "was not in training has no number"),
        (_vocabulary(dtype="torch.float32"), "int64"),
        (_vocabulary(length="len(self.number) - 1"), "counts the levels alone"),
        (_vocabulary(length="len(self.number)"), "one short"),
        (_vocabulary(kept="sorted((level for level in counts if level and counts[level] >= min_count), key=lambda level: -counts[level])"), "by how often they come up"),
        (_vocabulary(get="self.number.get(text, len(self.number) + 1)"), "the last number"),
        (_vocabulary(get="self.number.setdefault(text, len(self.number) + 1)"), "numbers of their own"),
        (_vocabulary(kept="sorted(level for level in counts if counts[level] >= min_count)", numbers="{level: n for n, level in enumerate(kept, start=2)}"), "numbered as a level"),
    ],
    "11.3": [
        (_dataset(guard="pass"), "should raise a ValueError"),
        (_dataset(guard="if len(images) != len(labels):\n            raise ValueError"), "row i no longer means"),
        (_dataset(image="image"), "transform was not applied"),
        (_dataset(image="self.transform(image)"), "may be None"),
        (_dataset(row="images[i:i + 1]"), "batch dimension of 1"),
        (_dataset(x="{'images': image, 'categories': categories[i], 'numbers': numbers[i]}"), "wanted are image, categories, numbers"),
        (_dataset(x="(image, categories[i], numbers[i])"), "a pair: a dict"),
        (_dataset(x="{'image': image, 'categories': categories[i], 'numbers': numbers[i] if self.transform is None else self.transform(numbers[i])}"), "for the image alone"),
        (_dataset(x="{'image': image, 'categories': categories[i], 'numbers': numbers[i - 1]}"), "the numbers are those of another sample"),
        (_dataset(length="len(self.parts)"), "number of inputs"),
        (_dataset(guard="if len({len(images), len(numbers), len(labels)}) > 1:\n            raise ValueError"), "row of `categories` too few"),
        (_dataset(guard="assert len(images) == len(categories) == len(numbers) == len(labels)"), "`assert` is skipped"),
        (_dataset(y="float(labels[i])"), "whole number"),
        (_dataset(guard="images = images if transform is None else [transform(image) for image in images]", image="image"), "each time that a sample"),
        (_dataset(guard="self.kept = {}", image="self.kept.setdefault(i, image if self.transform is None or i in self.kept else self.transform(image))"), "each time that a sample"),
    ],
    "11.4": [
        (_collate(x="{name: torch.cat([x[name] for x in xs]) for name in xs[0]}"), "joined end to end"),
        (_collate(x="{name: torch.stack([x[name] for x in xs], dim=-1) for name in xs[0]}"), "comes first"),
        (_collate(x="{name: torch.stack([x[name] for x in xs]) for name in ('image', 'categories', 'numbers')}"), "Take the names from the samples"),
        (_collate(x="list(xs)"), "inside out"),
        (_collate(y="torch.tensor(ys, dtype=torch.float32)"), "int64"),
        (_collate(y="torch.tensor([[y] for y in ys])"), "a dimension too many"),
        (_collate(x="{name: xs[-1][name] for name in xs[0]}"), "one sample, not all"),
        (_collate(x="{name: torch.stack(parts) for name, parts in zip(xs[0], zip(*(x.values() for x in xs)))}"), "same name of all samples"),
        (_collate(x="torch.stack([torch.stack(list(x.values())) for x in xs])"), "same name of all samples"),
    ],
    "11.5": [
        (_table(embeddings="[nn.Embedding(n, w) for n, w in zip(levels, widths)]"), "the stub's names"),
        (_table(out="self.linear(joined)"), "ReLU after the linear layer is missing"),
        (_table(joined="torch.cat([x['numbers'], *parts], dim=1)"), "The numbers stand before"),
        (_table(joined="torch.cat([*parts[::-1], x['numbers']], dim=1)"), "wrong order: first column first"),
        (_table(joined="torch.cat([*parts, x['numbers']], dim=0)"), "Join along dim 1"),
        (_table(linear="nn.Linear(sum(widths), features)"), "another size"),
        (_table(parts="[e(codes[:, i].float()) for i, e in enumerate(self.embeddings)]"), "looked up by int64"),
        (_table(parts="[e(codes) for e in self.embeddings]"), "one column at a time"),
        (_table(parts="[e(codes[:, 0].clamp(max=e.num_embeddings - 1)) for e in self.embeddings]"), "looked up by the first column"),
        (_table(joined="torch.cat(parts, dim=1)"), "another width"),
        (_table(parts="[e(codes[i]) for i, e in enumerate(self.embeddings)]"), "`[i]` is a row"),
        (_table(embeddings="nn.ModuleList([nn.Embedding(levels[0], widths[0])] * len(levels))"), "in the same embedding"),
        (_table(parts="[F.relu(e(codes[:, i])) for i, e in enumerate(self.embeddings)]"), "ReLU on the embeddings"),
        (_table(parts="[e(codes[:, i]).detach() for i, e in enumerate(self.embeddings)]"), "No gradient reaches the embeddings"),
        (_table(embeddings="nn.ModuleList(nn.Embedding(n, w, padding_idx=0) for n, w in zip(levels, widths))"), "Row 0 or 1 is never trained"),
        (_table(embeddings="nn.ModuleList(nn.Embedding(n, w, padding_idx=1) for n, w in zip(levels, widths))"), "Row 0 or 1 is never trained"),
        (_table(parts="[e(codes[:, i].clamp(max=e.num_embeddings - 1)) for i, e in enumerate(self.embeddings)]"), "another level's row"),
        (_table(parts="[self.embeddings[i](codes[:, i]) for i in range(min(3, len(self.embeddings)))]"), "another width"),
    ],
    "11.6": [
        (_joint(joined="torch.cat([self.table(x), self.image(x)], dim=1)"), "table's features stand before"),
        (_joint(joined="torch.cat([self.image(x), self.table(x)])"), "side by side (dim 1)"),
        (_joint(out="self.head[2](self.head[0](joined))"), "the branches never meet"),
        (_joint(head="nn.Linear(features, num_classes)"), "the stub's names"),
        (_joint(out="self.head(joined).softmax(1)"), "softmax at the end"),
        (_joint(out="self.head(joined).relu()"), "ReLU after the last layer"),
        (_joint(head="nn.Sequential(nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, num_classes))"), "Another activation"),
        (_joint(joined="torch.cat([self.image(x['image']), self.table(x['numbers'])], dim=1)"), "takes the whole dict"),
        (_joint(joined="self.image(x) + self.table(x)"), "side by side"),
        (_joint(keep="self.a, self.b = image, table", joined="torch.cat([self.a(x), self.b(x)], dim=1)"), "the stub's names"),
        (_joint(joined="torch.cat([self.image(x), self.image(x)], dim=1)"), "came in twice"),
        (_joint(joined="torch.cat([self.image(x), self.table(x)], dim=1).relu()"), "ReLU on the joined"),
        (_joint(joined="torch.cat([self.image(x).detach(), self.table(x)], dim=1)"), "reaches the image branch"),
        (_joint(joined="torch.cat([self.image(x), self.table(x).detach()], dim=1)"), "reaches the table branch"),
        (_joint(keep="import copy\n        self.image, self.table = copy.deepcopy(image), copy.deepcopy(table)"), "not copies"),
    ],
    "11.7": [
        (_drop(out="after"), "This is the accuracy after"),
        (_drop(out="after - before"), "The sign is wrong"),
        (_drop(out="100 * (before - after)"), "not per cent"),
        (_drop(whole="torch.zeros_like(x[name])", columns="part[:, chosen] = 0"), "set to 0"),
        (_drop(test="False"), "only those in the list"),
        (_drop(whole="x[name][order.argsort()]", columns="part[:, chosen] = x[name][order.argsort()][:, chosen]"), "goes the other way"),
        (_drop(mode="pass", back="pass"), "in training mode"),
        (_drop(back="pass"), "left in evaluation mode"),
        (_drop(part="x[name]"), "did your code write into x itself"),
        (_drop(copy="{name: part[order] for name, part in x.items()}", test="True", part="x[name][order]", columns="pass"), "All parts were exchanged"),
        (_drop(copy="{}"), "`columns` names the parts to exchange"),
        (_drop(back="model.train()"), "left in training mode"),
        (_drop(back="model.training = was"), "but not the modules in it"),
        (_drop(out="abs(before - after)"), "can also make the model better"),
        (_drop(out="max(0.0, before - after)"), "can also make the model better"),
        (_drop(whole="x[name]"), "An empty list means the whole part"),
        (_drop(out="100 * (before - after)").replace("double", "float"), "not per cent"),
        (_drop(out="round(len(y) * (before - after))"), "counts samples"),
        (_drop(back="before, after = (-F.cross_entropy(model(each), y).item() for each in (x, other))\n    model.train(was)"), "what the loss gains"),
        (_drop(mode="model.eval()\n    y = model(x).argmax(1)"), "model's own predictions"),
        (_drop().replace("columns.items()", "list(columns.items())[:1]"), "Only the first name"),
        (_drop(back="model.train(was)\n    columns.clear()"), "changed its input `columns`"),
    ],
    "11.8": [
        (_lean(out="g.norm(dim=1)"), "the gradient alone"),
        (_lean(out="f.detach().norm(dim=1)"), "size of the features"),
        (_lean(score="F.cross_entropy(logits, logits.argmax(1))"), "gradient of the loss"),
        (_lean(score="logits.max(1).values.mean()"), "averaged over the samples"),
        (_lean(score="logits.sum()"), "all logits together"),
        (_lean(score="logits.softmax(1).max(1).values.sum()"), "gradient of the probability"),
        (_lean(score="logits.max(1).values"), "Add them up"),
        (_lean(logits="model(x)"), "not by `model(x)`"),
        (_lean(out="(f.detach() * g).sum(1)"), "pluses and minuses cancel"),
        (_lean(out="(f.detach() * g).norm(dim=0)"), "runs over the samples"),
        (_lean(out="(f.detach() * g).norm()"), "one number for all samples"),
        (_lean(names="('table', 'image')"), "swapped"),
        (_lean(mode="pass"), "was in training mode"),
        (_lean(back="pass"), "left in evaluation mode"),
        (_lean(grad="(score.backward(), [f.grad for f in features])[1]"), "`.grad` is not as it was"),
        (_lean(grad="(score.backward(), [f.grad for f in features], model.zero_grad())[1]"), "`.grad` is not as it was"),
        (_lean(back="model.requires_grad_(False)\n    model.train(was)"), "left frozen"),
        (_lean(back="model.train()"), "left in training mode"),
        (_lean(back="model.training = was"), "but not the modules in it"),
        (_lean(score="logits.max()"), "the whole batch"),
        (_lean(out="(f.detach() * g).square().sum(1)"), "the root is missing"),
        (_lean(out="f.detach().norm(dim=1) * g.norm(dim=1)"), "element by element first"),
        (_lean(logits="model.head(torch.cat(features[::-1], dim=1))"), "before the image's"),
        (_lean(out="(f.detach() * g).norm(dim=1) / sum((a.detach() * b).norm(dim=1) for a, b in zip(features, grads))"), "These are shares"),
    ],
}

RIGHT = {
    "11.1": ["""
class Scaler:
    def fit(self, numbers):
        columns = [column[~column.isnan()] for column in numbers.T]
        self.mean = torch.stack([column.mean() for column in columns])
        self.std = torch.stack([column.std(correction=0) if column.max() > column.min() else torch.ones((), dtype=numbers.dtype) for column in columns])
        return self
    def __call__(self, numbers):
        filled = torch.where(numbers.isnan(), self.mean, numbers)
        return torch.hstack([(filled - self.mean) / self.std, numbers.isnan().type_as(numbers)])
""", _scaler(mean="numbers.nanmean(0, keepdim=True)"), _scaler(guard="torch.where(std > 1e-6, std, 1.0)")],
    "11.2": ["""
class Vocabulary:
    def __init__(self, texts, min_count=1):
        texts = np.array(list(texts))
        levels, counts = np.unique(texts, return_counts=True)
        self.levels = ["unknown level", ""] + [str(l) for l, c in zip(levels, counts) if c >= min_count and l != ""]
    def __len__(self):
        return len(self.levels)
    def __call__(self, texts):
        return torch.LongTensor([self.levels.index(t) if t in self.levels else 0 for t in texts])
"""],
    "11.3": ["""
class MixedDataset(Dataset):
    def __init__(self, images, categories, numbers, labels, transform=None):
        self.rest = torch.utils.data.TensorDataset
        for part in (images, categories, numbers):
            if len(part) != len(labels):
                raise ValueError("every part needs one row a label")
        self.rows = list(zip(images, categories, numbers, labels))
        self.transform = transform or (lambda image: image)
    def __len__(self):
        return len(self.rows)
    def __getitem__(self, i):
        image, categories, numbers, label = self.rows[i]
        return dict(numbers=numbers, image=self.transform(image), categories=categories), label.item()
"""],
    "11.4": ["""
def collate(samples):
    x, labels = {}, []
    for inputs, label in samples:
        labels.append(label)
        for name, part in inputs.items():
            x.setdefault(name, []).append(part[None])
    return {name: torch.cat(parts) for name, parts in x.items()}, torch.LongTensor(labels)
"""],
    "11.5": ["""
class TableBranch(nn.Module):
    def __init__(self, levels, widths, numbers, features=32):
        super().__init__()
        self.embeddings = nn.ModuleList()
        for rows, width in zip(levels, widths):
            self.embeddings.append(nn.Embedding(rows, width))
        self.linear = nn.Linear(numbers + sum(widths), features)
    def forward(self, x):
        parts = [F.one_hot(codes, len(e.weight)).to(e.weight.dtype) @ e.weight for codes, e in zip(x["categories"].unbind(1), self.embeddings)]
        return self.linear(torch.hstack(parts + [x["numbers"]])).clamp(min=0)
"""],
    "11.6": ["""
class JointModel(nn.Module):
    def __init__(self, image, table, features, hidden, num_classes):
        super().__init__()
        self.head = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, num_classes))
        self.add_module("table", table)
        self.add_module("image", image)
    def forward(self, x):
        return self.head(torch.hstack((self.image(x), self.table(x))))
"""],
    "11.7": ["""
@torch.no_grad()
def permutation_drop(model, x, y, columns, order):
    def accuracy(inputs):
        return ((model(inputs).argmax(-1) == y).sum() / len(y)).item()
    mode = model.training
    model.train(False)
    before = accuracy(x)
    copy = {name: part.clone() for name, part in x.items()}
    for name, chosen in columns.items():
        for column in chosen or range(copy[name].shape[1]):
            copy[name][:, column] = x[name][order, column]
    after = accuracy(copy)
    model.train(mode)
    return before - after
""", """
def permutation_drop(model, x, y, columns, order):
    import copy
    m, d = copy.deepcopy(model).eval(), copy.deepcopy(x)
    for name, chosen in columns.items():
        chosen = chosen or slice(None)
        d[name][:, chosen] = x[name][order][:, chosen]
    return ((m(x).argmax(1) == y).sum().item() - (m(d).argmax(1) == y).sum().item()) / len(y)
"""],
    "11.8": ["""
def branch_gradients(model, x):
    mode = model.training
    model.eval()
    image, table = model.image(x), model.table(x)
    both = torch.cat([image, table], 1)
    logits = model.head(both)
    (slope,) = torch.autograd.grad(logits.gather(1, logits.argmax(1, keepdim=True)).sum(), both)
    product = (both * slope).detach()
    model.train(mode)
    n = image.shape[1]
    return {"image": product[:, :n].square().sum(1).sqrt(), "table": product[:, n:].square().sum(1).sqrt()}
""", """
def branch_gradients(model, x):
    modes = {m: m.training for m in model.modules()}
    model.eval()
    kept = {}
    hooks = [getattr(model, n).register_forward_hook(lambda m, i, o, n=n: kept.__setitem__(n, o)) for n in ("image", "table")]
    logits = model(x)
    for hook in hooks:
        hook.remove()
    slopes = torch.autograd.grad(logits.amax(1).sum(), [kept["image"], kept["table"]])
    for m, mode in modes.items():
        m.training = mode
    return {n: (kept[n] * g).norm(dim=1) for n, g in zip(("image", "table"), slopes)}
"""],
}

CONSTANTS = {
    "11.1": "class Scaler:\n    def fit(self, numbers):\n        return self\n    def __call__(self, numbers):\n        return torch.zeros(len(numbers), 2 * numbers.shape[1], dtype=numbers.dtype)",
    "11.2": "class Vocabulary:\n    def __init__(self, texts, min_count=1):\n        pass\n    def __len__(self):\n        return 4\n    def __call__(self, texts):\n        return torch.zeros(len(texts), dtype=torch.int64)",
    "11.3": "class MixedDataset(Dataset):\n    def __init__(self, images, categories, numbers, labels, transform=None):\n        self.n = len(labels)\n    def __len__(self):\n        return self.n\n    def __getitem__(self, i):\n        return {'image': torch.zeros(1, 4, 4), 'categories': torch.zeros(3, dtype=torch.int64), 'numbers': torch.zeros(2)}, 0",
    "11.4": "def collate(samples):\n    return {name: torch.zeros(len(samples), *part.shape, dtype=part.dtype) for name, part in samples[0][0].items()}, torch.zeros(len(samples), dtype=torch.int64)",
    "11.5": _table(out="torch.zeros(len(codes), self.linear.out_features)"),
    "11.6": _joint(out="torch.zeros(len(joined), self.head[2].out_features)"),
    "11.7": "def permutation_drop(model, x, y, columns, order):\n    return 0.0",
    "11.8": "def branch_gradients(model, x):\n    n = len(model.image(x))\n    return {'image': torch.ones(n), 'table': torch.ones(n)}",
}
