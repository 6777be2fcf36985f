"""Wrong answers that students really give to lab 03, with the message each must get; and right answers written another way."""


def _dataset(init="self.images, self.labels, self.transform = images, labels, transform", length="len(self.images)", item="(self.images[i] if self.transform is None else self.transform(self.images[i])), int(self.labels[i])"):
    return f"""
class ArrayDataset(torch.utils.data.Dataset):
    def __init__(self, images, labels, transform=None):
        {init}
    def __len__(self):
        return {length}
    def __getitem__(self, i):
        return {item}
"""


def _shuffled(init="self.n, self.generator = len(data_source), generator", order="iter(torch.randperm(self.n, generator=self.generator).tolist())"):
    return f"""
class ShuffledSampler:
    def __init__(self, data_source, generator=None):
        {init}
    def __iter__(self):
        return {order}
    def __len__(self):
        return self.n
"""


def _balanced(weights="1 / torch.bincount(labels)[labels].double()", draw="torch.multinomial(self.weights, self.num_samples, replacement=True, generator=self.generator)", length="self.num_samples", end="iter(drawn.tolist())"):
    return f"""
class BalancedSampler:
    def __init__(self, labels, num_samples=None, generator=None):
        self.labels, self.generator = labels, generator
        self.num_samples = len(labels) if num_samples is None else num_samples
        self.weights = {weights}
    def __iter__(self):
        drawn = {draw}
        return {end}
    def __len__(self):
        return {length}
"""


def _samplers(shuffled=None, balanced=None):
    return (shuffled or _shuffled()) + (balanced or _balanced())


_COLLATE = """
def collate(samples):
    return torch.stack([image for image, _ in samples]), torch.tensor([label for _, label in samples])
"""


def _pad(padded="nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=padding)", lengths="torch.tensor([len(s) for s in sequences])", labels="torch.tensor(labels)", collate=_COLLATE):
    return collate + f"""
def pad_collate(samples, padding=0):
    sequences, labels = zip(*samples)
    longest = max(len(s) for s in sequences)
    return {padded}, {lengths}, {labels}
"""


def _loader(body, init="pass", length="-(-len(self.sampler) // self.batch_size) if not self.drop_last else len(self.sampler) // self.batch_size"):
    return f"""
class Loader:
    def __init__(self, dataset, batch_size=1, sampler=None, drop_last=False, collate_fn=None):
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler = range(len(dataset)) if sampler is None else sampler
        self.collate_fn = collate_fn or default_collate
        {init}
    def __len__(self):
        return {length}
    def __iter__(self):
{body}
"""


_BATCHES = """
        positions = []
        for i in self.sampler:
            positions.append(i)
            if len(positions) == self.batch_size:
                yield self.collate_fn([self.dataset[k] for k in positions])
                positions = []
        if positions and not self.drop_last:
            yield self.collate_fn([self.dataset[k] for k in positions])
"""


def _files(test="image.load()", catch="(OSError, SyntaxError)", glob="folder.rglob('*')", keep="path.is_file()", good="good", bad="bad", reason="str(error)", before="pass"):
    return f"""
def sort_files(folder):
    {before}
    good, bad = [], {{}}
    for path in sorted({glob}):
        if not ({keep}):
            continue
        try:
            with Image.open(path) as image:
                {test}
            good.append(path)
        except {catch} as error:
            bad[path] = {reason}
    return {good}, {bad}
"""


def _stats(inside="total += x.sum(dim=(0, 2, 3)); squares += (x * x).sum(dim=(0, 2, 3)); n += len(x) * x.shape[2] * x.shape[3]", end="total / n, (squares / n - (total / n) ** 2).sqrt()", start="total, squares, n = 0, 0, 0", undo="x * std.view(1, -1, 1, 1) + mean.view(1, -1, 1, 1)"):
    return f"""
def channel_stats(batches):
    {start}
    for x, y in batches:
        {inside}
    return {end}

def undo(x, mean, std):
    m, s = mean.view(-1, 1, 1), std.view(-1, 1, 1)
    return {undo}
"""


_LISTS = "means, stds = [], []"
_GROUPS = """
def group_split(groups, share, generator):
    names = groups.unique()
    count = max(1, round(share * len(names)))
    held = names[torch.randperm(len(names), generator=generator)[:count]]
    mask = torch.isin(groups, held)
    return torch.where(~mask)[0], torch.where(mask)[0]
"""


def _leaks(variants="(image, image.flip(-1))", pair="(i, j)", note="seen.setdefault(image.numpy().tobytes(), []).append(i)", collect="found.add", start="set()", end="sorted(found)", key="v.numpy().tobytes()", groups=_GROUPS):
    return f"""
def leaks(train, test):
    seen, found = {{}}, {start}
    for i, image in enumerate(train):
        {note}
    for j, image in enumerate(test):
        for v in {variants}:
            for i in seen.get({key}, []):
                {collect}({pair})
    return {end}
""" + groups


def _crop(area="uniform(*scale) * height * width", ratio="math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))", sizes="round(math.sqrt(area / r)), round(math.sqrt(area * r))", place="torch.randint(0, height - h + 1, (), generator=generator).item(), torch.randint(0, width - w + 1, (), generator=generator).item()", order="top, left, h, w", fits="h <= height and w <= width", else_="pass", rand="torch.rand((), generator=generator).item()", tries=10, flip="image.flip(-1) if torch.rand((), generator=generator) < p else image"):
    return f"""
def crop_box(height, width, scale, ratio, generator):
    def uniform(a, b):
        return a + (b - a) * {rand}
    for _ in range({tries}):
        area = {area}
        r = {ratio}
        h, w = {sizes}
        if {fits}:
            top, left = {place}
            return {order}
        {else_}
    return 0, 0, height, width

def random_flip(image, p, generator):
    return {flip}
"""


def _rate(body):
    return f"""
def throughput(batches, warmup=1, clock=time.perf_counter):
{body}
"""


_COUNTED = """
    start, n = clock(), 0
    for k, (x, y) in enumerate(batches):
        n += {count}
        if k + 1 == {when}:
            start{reset} = clock(){zero}
    return {result}
"""


def _counted(count="len(x)", when="warmup", reset=", n", zero=", 0", result="n / (clock() - start)"):
    return _rate(_COUNTED.format(count=count, when=when, reset=reset, zero=zero, result=result))


MISTAKES = {
    "03.1": [
        (_dataset(item="self.transform(self.images[i]), int(self.labels[i])"), "is None and cannot be called"),
        (_dataset(item="(self.images[i] if self.transform is None else self.transform(self.images[i])), self.labels[i]"), "The label is a tensor"),
        (_dataset(item="(self.images[i] if self.transform is None else self.transform(self.images[i])), float(self.labels[i])"), "The label is a float"),
        (_dataset(item="int(self.labels[i]), self.images[i]"), "The image comes first"),
        (_dataset(item="self.images[i], int(self.labels[i])"), "was not applied"),
        (_dataset(init="self.images = images if transform is None else torch.stack([transform(im) for im in images]); self.labels = labels", item="self.images[i], int(self.labels[i])"), "ran in `__init__`"),
        (_dataset(length="self.images.ndim"), "not of dimensions"),
        (_dataset(length="self.images.numel()"), "not of all numbers"),
        (_dataset(item="self.images[i]"), "A sample is a pair"),
        (_dataset(item="(self.images[i] if self.transform is None else self.transform(self.images[i])), i"), "sample's position"),
        (_dataset(item="(self.images[i] if self.transform is None else [self.transform(self.images[i]), self.transform(self.images[i])][0]), int(self.labels[i])"), "ran twice"),
    ],
    "03.2": [
        (_samplers(_shuffled(order="iter(range(self.n))")), "You gave the positions in order"),
        (_samplers(_shuffled(order="iter(torch.randperm(self.n).tolist())")), "torch's global generator"),
        (_samplers(_shuffled(order="iter(torch.randperm(self.n, generator=self.generator))")), "tensors; asked are plain ints"),
        (_samplers(_shuffled(order="iter(torch.randint(self.n, (self.n,), generator=self.generator).tolist())")), "Some positions come twice"),
        (_samplers(_shuffled("self.n = len(data_source); self.order = torch.randperm(self.n, generator=generator).tolist()", "iter(self.order)")), "Both epochs have the same order"),
        (_samplers(_shuffled("self.n = len(data_source); self.order = iter(torch.randperm(self.n, generator=generator).tolist())", "self.order")), "empty in its second epoch"),
        (_samplers(_shuffled("self.n, self.generator = len(data_source), generator; torch.randperm(self.n, generator=generator)")), "drew one before"),
        (_samplers(_shuffled(order="iter((torch.randperm(self.n, generator=self.generator) + 1).tolist())")), "start at 0"),
        (_samplers(_shuffled(order="iter(np.random.permutation(self.n).tolist())")), "is not the order that `torch.randperm"),
        (_samplers(_shuffled().replace("        return iter(", "        while True:\n            yield from (")), "goes on after them"),
        (_samplers(_shuffled("self.n, self.generator = len(data_source), generator or torch.Generator().manual_seed(0)")), "from torch's global one"),
        (_samplers(balanced=_balanced().replace("labels, generator\n", "labels, generator or torch.Generator().manual_seed(0)\n")), "from torch's global one"),
        (_samplers(balanced=_balanced().replace("        drawn =", "        while True:\n            yield from").replace("        return iter(drawn.tolist())\n", "").replace("generator=self.generator)", "generator=self.generator).tolist()")), "goes on after them"),
        (_samplers(_shuffled(order="torch.randperm(self.n, generator=self.generator).tolist()")), "must return an iterator"),
        (_samplers(balanced=_balanced(weights="torch.ones(len(labels))")), "nothing is balanced"),
        (_samplers(balanced=_balanced(weights="torch.bincount(labels)[labels].double()")), "even more frequent"),
        (_samplers(balanced=_balanced(weights="1 / torch.bincount(labels)[labels].sqrt()")), "only half balanced"),
        (_samplers(balanced=_balanced(weights="1 / labels.unique(return_counts=True)[1].double()")), "one weight a sample"),
        (_samplers(balanced=_balanced(weights="(1 / torch.bincount(labels))[:10].nan_to_num(posinf=9e9) * float('inf')")), "infinite, nan or negative"),
        (_samplers(balanced=_balanced(draw="torch.multinomial(self.weights, self.num_samples, generator=self.generator)")), "must be drawn again and again"),
        (_samplers(balanced=_balanced(draw="torch.multinomial(self.weights, self.num_samples, replacement=True)")), "the generator given"),
        (_samplers(balanced=_balanced(length="len(self.labels)")), "num_samples"),
        (_samplers(balanced=_balanced(draw="torch.stack([(self.labels == c).nonzero()[0, 0] for c in self.labels.unique()])[torch.randint(len(self.labels.unique()), (self.num_samples,), generator=self.generator)]")), "are ever drawn"),
        (_samplers(balanced=_balanced(end="iter(drawn)")), "asked are plain ints"),
    ],
    "03.3": [
        (_pad(collate="def collate(samples):\n    return torch.cat([x for x, _ in samples]), torch.tensor([y for _, y in samples])"), "along their first dimension"),
        (_pad(collate="def collate(samples):\n    return torch.stack([x for x, _ in samples]), [y for _, y in samples]"), "collate's labels are a list"),
        (_pad(collate="def collate(samples):\n    return torch.stack([x for x, _ in samples])"), "returns two things"),
        (_pad(collate="def collate(samples):\n    return torch.stack(samples), None"), "take them apart first"),
        (_pad(collate="def collate(samples):\n    images, labels = zip(*samples)\n    return torch.stack(images), torch.stack(labels)"), "Labels are ints"),
        (_pad(padded="torch.stack([F.pad(s, (0, longest - len(s)), value=padding) for s in sequences])"), "along their first dimension (`F.pad"),
        (_pad(lengths="(nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=padding) != padding).sum(dim=1)"), "a sequence may hold this value"),
        (_pad(padded="nn.utils.rnn.pad_sequence(sequences, padding_value=padding)"), "Time comes first"),
        (_pad(padded="nn.utils.rnn.pad_sequence(sequences, batch_first=True)"), "You padded with 0"),
        (_pad(padded="nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=padding, padding_side='left')"), "in front of the sequences"),
        (_pad(padded="torch.stack([s[: min(map(len, sequences))] for s in sequences])"), "to the shortest"),
        (_pad(padded="nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=padding).float()"), "another dtype"),
        (_pad(padded="torch.stack(sequences)"), "must be padded first"),
        (_pad(lengths="torch.full((len(samples),), longest)"), "padded lengths, all the same"),
        (_pad(lengths="torch.tensor([longest - len(s) for s in sequences])"), "number of padded places"),
        (_pad(lengths="torch.tensor([s.numel() for s in sequences])"), "all numbers of a sequence"),
        (_pad(lengths="[len(s) for s in sequences]"), "The lengths are a list"),
        (_pad(padded="torch.stack([torch.cat([s, s.new_full((longest - len(s),), padding)]) for s in sequences])"), "a step may be more than one number"),
    ],
    "03.4": [
        (_loader(_BATCHES.replace("        if positions and not self.drop_last:\n            yield self.collate_fn([self.dataset[k] for k in positions])\n", "")), "The last batch is missing"),
        (_loader(_BATCHES.replace("if positions and not self.drop_last", "if positions")), "still there"),
        (_loader(_BATCHES.replace("if positions and not self.drop_last", "if not self.drop_last")), "An empty batch was collated"),
        (_loader(_BATCHES.replace("self.collate_fn([", "(["), ), "Is the list of samples collated"),
        (_loader(_BATCHES.replace("self.collate_fn(", "default_collate(")), "collate_fn"),
        (_loader(_BATCHES.replace("in self.sampler", "in range(len(self.dataset))")), "the sampler's order counts"),
        (_loader("        batches = [self.collate_fn([self.dataset[k] for k in part]) for part in BatchSampler(self.sampler, self.batch_size, self.drop_last)]\n        return iter(batches)"), "Read a sample only when"),
        (_loader("        for part in BatchSampler(self.order, self.batch_size, self.drop_last):\n            yield self.collate_fn([self.dataset[k] for k in part])", init="self.order = list(self.sampler)"), "repeats the first one's order"),
        (_loader("        for part in self.parts:\n            yield self.collate_fn([self.dataset[k] for k in part])", init="self.parts = iter(BatchSampler(self.sampler, batch_size, drop_last))"), "The second `for` over the loader gives nothing"),
        ("class Loader:\n    def __init__(self, dataset, batch_size=1, sampler=None, drop_last=False, collate_fn=None):\n        self.size = batch_size\n        self.parts = BatchSampler(sampler or range(len(dataset)), batch_size, drop_last)\n        self.fetch = lambda part: (collate_fn or default_collate)([dataset[k] for k in part])\n    def __len__(self):\n        return len(self.parts)\n    def __iter__(self):\n        self.left = iter(self.parts)\n        return self\n    def __next__(self):\n        return self.fetch(next(self.left))\n", "disturb each other"),
        (_loader(_BATCHES, length="len(self.sampler)"), "number of samples; wanted is that of batches"),
        (_loader(_BATCHES, length="len(self.sampler) // self.batch_size"), "leaves out the shorter last batch"),
        (_loader(_BATCHES, length="-(-len(self.sampler) // self.batch_size)"), "although drop_last is True"),
        (_loader(_BATCHES, length="-(-len(self.dataset) // self.batch_size) if not self.drop_last else len(self.dataset) // self.batch_size"), "follows the dataset"),
        (_loader("        for i in self.sampler:\n            yield self.dataset[i]"), "single samples"),
        (_loader("        for part in BatchSampler(self.sampler, self.batch_size, self.drop_last):\n            yield self.dataset[part]"), "one position at a time"),
        (_loader("        while True:" + _BATCHES.replace("\n", "\n    ")), "does not end"),
        (_loader(_BATCHES).replace("collate_fn or default_collate", "collate_fn"), "is None unless one is given"),
    ],
    "03.5": [
        (_files(test="pass"), "reads the header only"),
        (_files(test="image.verify()"), "reads the header only"),
        ("def sort_files(folder):\n    files = sorted(p for p in folder.rglob('*') if p.is_file())\n    return [p for p in files if p.suffix in ('.jpg', '.png')], {p: 'name' for p in files if p.suffix not in ('.jpg', '.png')}", "The name says nothing"),
        (_files(keep="path.is_file() and path.suffix in ('.jpg', '.png')"), "are missing from the bad ones"),
        (_files(glob="folder.rglob('*.*')"), "Not every name has a dot"),
        (_files(good="[str(p) for p in good]"), "Some of your paths are texts"),
        (_files(bad="{str(p): why for p, why in bad.items()}"), "Some of your paths are texts"),
        (_files(good="[p.relative_to(folder) for p in good]"), "leads to no file"),
        (_files(glob="folder.iterdir()"), "No file counts as good"),
        (_files(keep="True"), "A folder is in your lists"),
        (_files(catch="ValueError"), "made your function stop"),
        (_files(before="from PIL import ImageFile; ImageFile.LOAD_TRUNCATED_IMAGES = True"), "LOAD_TRUNCATED_IMAGES"),
        (_files(bad="list(bad)"), "Return two things"),
        (_files(good="good[::-1]"), "not sorted"),
        (_files(reason="None"), "needs a reason"),
        (_files(good="[p.name for p in good]"), "Give whole paths"),
        (_files(bad="{**bad, **{p: 'gif' for p in good if p.suffix not in ('.jpg', '.png')}}", good="[p for p in good if p.suffix in ('.jpg', '.png')]"), "counted as bad"),
        (_files().replace("    return good, bad", "    for path in bad:\n        path.unlink()\n    return good, bad"), "changed the folder"),
    ],
    "03.6": [
        (_stats("means.append(x.mean(dim=(0, 2, 3))); stds.append(x.std(dim=(0, 2, 3)))", "torch.stack(means).mean(dim=0), torch.stack(stds).mean(dim=0)", _LISTS), "averaged the batches' stds"),
        (_stats("total += x.sum(dim=(0, 2, 3)); squares += (x * x).sum(dim=(0, 2, 3)); n += 1; means.append(x.mean(dim=(0, 2, 3))); everything.append(x.transpose(0, 1).flatten(1))", "torch.stack(means).mean(dim=0), torch.cat(everything, dim=1).std(dim=1)", "total, squares, n, means, everything = 0, 0, 0, [], []"), "averaged the batches' means"),
        (_stats(end="total / n, squares / n - (total / n) ** 2"), "This is the variance"),
        (_stats(end="total / n, (squares / n).sqrt()"), "Subtract the square of the mean"),
        (_stats("total += x.sum(); squares += (x * x).sum(); n += x.numel()"), "one number for all channels"),
        (_stats("total += x.sum(dim=(0, 2, 3)); squares += (x * x).sum(dim=(0, 2, 3)); n += len(x)"), "not of pixels"),
        (_stats("total, squares, n = x.sum(dim=(0, 2, 3)), (x * x).sum(dim=(0, 2, 3)), x.numel() // 3"), "Only the last batch"),
        (_stats("total += x.sum(dim=(0, 2, 3)); squares += (x * x).sum(dim=(0, 2, 3)); n += x.numel()"), "number of all values"),
        (_stats("total += x.sum(dim=(0, 2, 3)); n += x.numel() // x.shape[1]", "total / n, (squares / n - (total / n) ** 2).sqrt()").replace("    return total", "    for x, y in batches:\n        squares += (x * x).sum(dim=(0, 2, 3))\n    return total"), "gone through only once"),
        (_stats("total += x.sum(dim=(0, 2, 3)); n += x.numel() // x.shape[1]", "total / n, (squares / n) ** 0.5").replace("    return total", "    squares = torch.zeros_like(total)\n    for x, y in batches:\n        squares += (x - total.view(-1, 1, 1) / n).square().sum(dim=(0, 2, 3))\n    return total"), "gone through only once"),
        (_stats("total += x.sum(dim=(0, 2, 3)); n += x.numel() // x.shape[1]", "total / n, (squares / n).sqrt()").replace("    return total", "    for x, y in batches:\n        squares += (x - total.view(-1, 1, 1) / n).square().sum(dim=(0, 2, 3))\n    return total"), "gone through only once"),
        (_stats(end="total / n, ((total / n) ** 2 - squares / n).sqrt()"), "mean of squares − square of the mean"),
        (_stats(start="total, squares, n = torch.zeros(3), torch.zeros(3), 0"), "There need not be 3 channels"),
        (_stats("total += x.sum(dim=(0, 2, 3)); n += len(x) * x.shape[2] * x.shape[3]; squares += x.pow_(2).sum(dim=(0, 2, 3))"), "the batch `x` in place"),
        (_stats(undo="x * std.view(1, 3, 1, 1) + mean.view(1, 3, 1, 1)"), "There need not be 3 channels"),
        (_stats(undo="(x * s + m).clamp(0, 1)"), "(`clamp`)"),
        (_stats("parts.append(x)", "torch.cat(parts).mean(dim=(0, 2, 3)), torch.cat(parts).std(dim=(0, 2, 3))", "parts = []"), "cannot be joined"),
        (_stats(undo="(x - m) / s"), "normalizes once more"),
        (_stats(undo="(x + m) * s"), "added the mean first"),
        (_stats(undo="x / s + m"), "to undo it, multiply"),
        (_stats(undo="x * m + s"), "changed places"),
        (_stats(undo="x * s"), "The mean is missing"),
        (_stats(undo="x * s - m"), "to undo it, add"),
        (_stats(undo="x * std + mean"), "The shapes do not line up"),
        (_stats(undo="x * std + mean if x.shape[-1] == 3 else x * s + m"), "along the width"),
        (_stats().replace("for x, y in batches", "for x in batches"), "Each batch is a pair"),
    ],
    "03.7": [
        (_leaks(variants="(image,)"), "Mirrored copies are missing"),
        (_leaks(variants="(image.flip(-1),)"), "Exact copies are missing"),
        (_leaks(variants="(image, image.flip(-2))"), "top to bottom"),
        (_leaks(variants="(image, image.flip(-1), image.flip(-2))"), "Pictures turned upside down"),
        (_leaks(pair="(j, i)"), "The pairs are (test, training)"),
        (_leaks(note="seen[image.numpy().tobytes()] = [i]"), "twice, one of the pairs is missing"),
        (_leaks(note="seen.setdefault(hash(image), []).append(i)", key="hash(v)").replace("seen, found = {}", "train, test, seen, found = list(train), list(test), {}"), "Nothing was found"),
        (_leaks(note="seen.setdefault(int(image.long().sum()), []).append(i)", key="int(v.long().sum())"), "these two pictures differ"),
        (_leaks(note="seen.setdefault(image[0].numpy().tobytes(), []).append(i)", key="v[0].numpy().tobytes()"), "these two pictures differ"),
        (_leaks(note="seen.setdefault(image.sort().values.numpy().tobytes(), []).append(i)", key="v.sort().values.numpy().tobytes()"), "these two pictures differ"),
        (_leaks(groups=_GROUPS.replace("round(", "int(")), "You cut off the fraction"),
        (_leaks(groups=_GROUPS.replace("round(", "math.ceil(")), "You rounded up"),
        (_leaks(groups=_GROUPS.replace("torch.randperm(len(names), generator=generator)[:count]", "torch.randint(len(names), (count,), generator=generator)")), "shuffle `groups.unique()`"),
        (_leaks(groups=_GROUPS.replace("groups.unique()", "groups")), "shuffle `groups.unique()`"),
        (_leaks(groups=_GROUPS.replace("groups.unique()", "torch.arange(int(groups.max()) + 1)")), "shuffle `groups.unique()`"),
        (_leaks(groups=_GROUPS.replace("names[torch.randperm(len(names), generator=generator)[:count]]", "torch.randperm(len(names), generator=generator)[:count]")), "these are positions in `groups.unique()`"),
        (_leaks(start="[]", collect="found.append"), "A pair is in your list twice"),
        (_leaks(end="sorted(found, reverse=True)"), "not sorted"),
        (_leaks(note="seen.setdefault(image.numpy(), []).append(i)", key="v.numpy()"), "cannot be the key"),
        (_leaks(groups="def group_split(groups, share, generator):\n    order = torch.randperm(len(groups), generator=generator)\n    n = round(share * len(groups))\n    return order[n:], order[:n]"), "is on both sides"),
        (_leaks(groups=_GROUPS.replace("return torch.where(~mask)[0], torch.where(mask)[0]", "return ~mask, mask")), "returned masks"),
        (_leaks(groups=_GROUPS.replace("return torch.where(~mask)[0], torch.where(mask)[0]", "return torch.where(mask)[0], torch.where(~mask)[0]")), "have changed places"),
        (_leaks(groups=_GROUPS.replace("max(1, round(share * len(names)))", "round(share * len(names))")), "Nothing is held out"),
        (_leaks(groups=_GROUPS.replace("torch.randperm(len(names), generator=generator)[:count]", "torch.arange(count)")), "the same groups"),
        (_leaks(groups=_GROUPS.replace("torch.randperm(len(names), generator=generator)", "torch.randperm(len(names))")), "two different splits"),
    ],
    "03.8": [
        (_crop(area="uniform(*scale) ** 2 * height * width"), "share of the *side*"),
        (_crop(ratio="uniform(*ratio)"), "the ratio itself is uniform"),
        (_crop(sizes="round(math.sqrt(area * r)), round(math.sqrt(area / r))", order="top, left, w, h"), "changed places"),
        (_crop(order="left, top, w, h"), "changed places"),
        (_crop(sizes="round(math.sqrt(area * r)), round(math.sqrt(area / r))"), "Height and width have changed places"),
        (_crop(order="left, top, h, w"), "top and left have changed places"),
        (_crop(order="top, left, top + h, left + w"), "two corners"),
        (_crop(order="left, top, left + w, top + h"), "two corners"),
        (_crop().replace("for _ in range(10)", "while True"), "draws on and on"),
        (_crop(tries=10000), "draws on and on"),
        (_crop(tries=25), "more than ten times"),
        (_crop(tries=4), "up to ten times"),
        (_crop().replace("return 0, 0, height, width", "side = min(height, width); return (height - side) // 2, (width - side) // 2, side, side"), "take the whole image"),
        (_crop(ratio="uniform(1, ratio[1]) if torch.rand((), generator=generator) < 0.5 else uniform(ratio[0], 1)"), "ratio is not uniform"),
        (_crop(ratio="math.exp(math.log(ratio[0]) + (area / height / width - scale[0]) / max(1e-9, scale[1] - scale[0]) * math.log(ratio[1] / ratio[0]))"), "depends on its area"),
        (_crop(place="(z := uniform(0, 1)) and round(z * (height - h)), round(z * (width - w))"), "`left` follows `top`"),
        (_crop(flip="image.flip(-1) if torch.rand(()) < p else image"), "different flips"),
        (_crop(flip="image.float().flip(-1) if torch.rand((), generator=generator) < p else image"), "changed the dtype"),
        (_crop(place="(height - h) // 2, (width - w) // 2"), "the middle"),
        (_crop(place="0, 0"), "is always 0"),
        (_crop(place="torch.randint(0, max(1, height - h), (), generator=generator).item(), torch.randint(0, max(1, width - w), (), generator=generator).item()"), "never takes the last place"),
        (_crop(place="torch.randint(0, height - h, (), generator=generator).item(), torch.randint(0, width - w, (), generator=generator).item()"), "leaves out high"),
        (_crop(place="torch.randint(0, height, (), generator=generator).item(), torch.randint(0, width, (), generator=generator).item()"), "outside of the image"),
        (_crop(area="scale[1] * height * width"), "the same area"),
        (_crop(ratio="1.0"), "the same ratio"),
        (_crop(rand="torch.rand(()).item()"), "two different boxes"),
        (_crop(sizes="math.sqrt(area / r), math.sqrt(area * r)", place="0, 0"), "plain ints"),
        (_crop(fits="True", sizes="min(height, round(math.sqrt(area / r))), min(width, round(math.sqrt(area * r)))"), "cut to fit"),
        (_crop(tries=1), "draw again, up to ten times"),
        (_crop(flip="image.flip(-2) if torch.rand((), generator=generator) < p else image"), "top to bottom"),
        (_crop(flip="image.flip(-1) if torch.rand((), generator=generator) > p else image"), "the other way round"),
        (_crop(flip="image.flip(-1) if torch.rand((), generator=generator) < 0.5 else image"), "use p"),
        (_crop(flip="image.flip(-1) if torch.rand((), generator=generator) < p else None"), "returned None"),
        (_crop(flip="image.copy_(image.flip(-1)) if torch.rand((), generator=generator) < p else image"), "in place"),
    ],
    "03.9": [
        (_counted(when="-1"), "in the time and in the count"),
        (_counted(reset="", zero=""), "its time is not"),
        (_rate("    start, n = clock(), 0\n    for k, (x, y) in enumerate(batches):\n        n += len(x) if k >= warmup else 0\n    return n / (clock() - start)"), "its samples are not"),
        (_counted(count="1"), "These are batches a second"),
        (_counted(result="(clock() - start) / n"), "seconds a sample"),
        (_counted(count="10 if k == 0 else size; size = 10 if k == 0 else size").replace("n += 10 if k == 0 else size; size = 10 if k == 0 else size", "size = len(x) if k == 0 else size; n += size"), "as large as the first"),
        (_counted(when="warmup + 1"), "one batch too late"),
        (_counted(count="x.numel()"), "the numbers in x"),
        (_counted(result="n"), "not samples a second"),
        (_counted().replace("clock()", "time.perf_counter()"), "your computer's time"),
        (_counted(count="len((x, y))").replace("(x, y) in enumerate(batches)", "(x, y, z) in enumerate(batches)"), "Each batch is a pair"),
    ],
}

RIGHT = {
    "03.1": [
        """
class ArrayDataset:
    def __init__(self, images, labels, transform=None):
        self.pairs = list(zip(images, labels.tolist()))
        self.transform = transform or (lambda image: image)
    def __len__(self):
        return len(self.pairs)
    def __getitem__(self, i):
        image, label = self.pairs[i]
        return self.transform(image), label
""",
    ],
    "03.2": [
        # class by class: first a class, then one of its samples
        _samplers(balanced=_balanced(weights="[(labels == c).nonzero().flatten() for c in labels.unique()]", draw="[p[torch.randint(len(p), (), generator=self.generator)].item() for p in (self.weights[torch.randint(len(self.weights), (), generator=self.generator)] for _ in range(self.num_samples))]", end="iter(drawn)")),
        # equal quotas, shuffled
        """
class ShuffledSampler(RandomSampler):
    def __init__(self, data_source, generator=None):
        super().__init__(data_source, generator=generator)

class BalancedSampler:
    def __init__(self, labels, num_samples=None, generator=None):
        self.places = [(labels == c).nonzero().flatten() for c in labels.unique()]
        self.num_samples, self.generator = num_samples or len(labels), generator
    def __iter__(self):
        each = -(-self.num_samples // len(self.places))
        rows = [p[torch.randint(len(p), (each,), generator=self.generator)] for p in self.places]
        mixed = torch.stack(rows, dim=1).flatten()[: self.num_samples]
        yield from mixed[torch.randperm(len(mixed), generator=self.generator)].tolist()
    def __len__(self):
        return self.num_samples
""",
    ],
    "03.3": [
        _pad(),
        """
def collate(samples):
    return default_collate(samples)

def pad_collate(samples, padding=0):
    lengths = torch.tensor([s.shape[0] for s, _ in samples])
    parts = []
    for sequence, _ in samples:
        end = torch.full((int(lengths.max()) - len(sequence), *sequence.shape[1:]), padding, dtype=sequence.dtype)
        parts.append(torch.cat([sequence, end]))
    return torch.stack(parts), lengths, torch.tensor([label for _, label in samples])
""",
    ],
    "03.4": [
        """
class Loader:
    def __init__(self, dataset, batch_size=1, sampler=None, drop_last=False, collate_fn=None):
        self.dataset = dataset
        self.batches = BatchSampler(sampler or SequentialSampler(dataset), batch_size, drop_last)
        self.collate_fn = collate_fn or default_collate
    def __len__(self):
        return len(self.batches)
    def __iter__(self):
        return (self.collate_fn([self.dataset[i] for i in positions]) for positions in self.batches)
""",
        _loader("""
        order = list(self.sampler)
        for k in range(len(self)):
            yield self.collate_fn([self.dataset[i] for i in order[k * self.batch_size : (k + 1) * self.batch_size]])
"""),
    ],
    "03.5": [
        """
def sort_files(folder):
    good, bad = [], {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            try:
                np.asarray(Image.open(path).convert("RGB"))
                good.append(path)
            except Exception as error:
                bad[path] = type(error).__name__
    return sorted(good), bad
""",
    ],
    "03.6": [
        _stats(),
        """
def channel_stats(batches):
    rows = torch.cat([x.permute(1, 0, 2, 3).flatten(1) for x, _ in batches], dim=1)
    return rows.mean(dim=1), rows.std(dim=1)

def undo(x, mean, std):
    return torch.einsum("bchw,c->bchw", x, std) + mean[:, None, None]
""",
    ],
    "03.7": [
        """
def leaks(train, test):
    def key(image):
        return hashlib.sha256(np.ascontiguousarray(image.numpy())).hexdigest()
    keys = [(key(image), key(image.flip(-1))) for image in test]
    return sorted((i, j) for i, image in enumerate(train) for j, pair in enumerate(keys) if key(image) in pair)

def group_split(groups, share, generator):
    names = sorted(set(groups.tolist()))
    order = torch.rand(len(names), generator=generator).argsort().tolist()
    held = {names[k] for k in order[: max(1, round(share * len(names)))]}
    is_held = torch.tensor([g in held for g in groups.tolist()])
    return (is_held == 0).nonzero()[:, 0], is_held.nonzero()[:, 0]
""",
        _leaks(),
        """
def leaks(train, test):
    same = (train[:, None] == test[None]).flatten(2).all(dim=2) | (train.flip(-1)[:, None] == test[None]).flatten(2).all(dim=2)
    return [tuple(pair) for pair in same.nonzero().tolist()]
""" + _GROUPS,
    ],
    "03.8": [
        """
def crop_box(height, width, scale, ratio, generator):
    draws = torch.rand(10, 4, generator=generator).tolist()
    for a, b, c, d in draws:
        area = height * width * (scale[0] + a * (scale[1] - scale[0]))
        r = ratio[0] * (ratio[1] / ratio[0]) ** b
        w, h = int(round((area * r) ** 0.5)), int(round((area / r) ** 0.5))
        if w <= width and h <= height:
            return int(c * (height - h + 1)), int(d * (width - w + 1)), h, w
    return 0, 0, height, width

def random_flip(image, p, generator):
    if torch.bernoulli(torch.tensor(p), generator=generator):
        return torch.flip(image, dims=[2])
    return image.clone()
""",
        _crop(),
    ],
    "03.9": [
        _counted(),
        _rate("""
    iterator = iter(batches)
    for _ in range(warmup):
        next(iterator)
    start = clock()
    samples = sum(len(x) for x, _ in iterator)
    return samples / (clock() - start)
"""),
    ],
}

CONSTANTS = {
    "03.1": _dataset(item="torch.zeros_like(self.images[i]), 0"),
    "03.2": _samplers(_shuffled(order="iter([0] * self.n)"), _balanced(draw="torch.zeros(self.num_samples, dtype=torch.int64)")),
    "03.3": _pad(padded="torch.zeros(len(samples), longest, *sequences[0].shape[1:], dtype=sequences[0].dtype)"),
    "03.4": _loader("        for part in BatchSampler(self.sampler, self.batch_size, self.drop_last):\n            yield torch.zeros(len(part), 2), torch.zeros(len(part), dtype=torch.int64)"),
    "03.5": "def sort_files(folder):\n    return [], {}",
    "03.6": "def channel_stats(batches):\n    return torch.zeros(3), torch.ones(3)\n\ndef undo(x, mean, std):\n    return torch.zeros_like(x)",
    "03.7": "def leaks(train, test):\n    return []\n\ndef group_split(groups, share, generator):\n    return torch.arange(len(groups)), torch.arange(0)",
    "03.8": "def crop_box(height, width, scale, ratio, generator):\n    return 0, 0, height // 2, width // 2\n\ndef random_flip(image, p, generator):\n    return image",
    "03.9": "def throughput(batches, warmup=1, clock=time.perf_counter):\n    return 0.0",
}
