"""Wrong answers that students really give to lab 01, with the message each must get; and right answers written another way."""


def buffers(blank="torch.zeros_like(images)", noise="torch.rand_like(images, dtype=torch.float32)", counts="torch.ones(len(images), dtype=torch.int64)", first="pass"):
    return f"def buffers(images):\n    {first}\n    return {blank}, {noise}, {counts}"


def read_scores(predicted="scores.argmax(dim=1)", true_scores="scores[torch.arange(len(labels)), labels]", missed="scores[scores.argmax(dim=1) != labels]"):
    return f"def read_scores(scores, labels):\n    return {predicted}, {true_scores}, {missed}"


def one_hot(write, shape="len(labels), num_classes"):
    return f"def one_hot(labels, num_classes):\n    table = torch.zeros({shape})\n    {write}\n    return table"


def join(batch="torch.cat([left, right])", wide="torch.cat([left, right], dim=3)", pairs="torch.stack([left, right], dim=1)"):
    return f"def join(left, right):\n    return {batch}, {wide}, {pairs}"


def predict(**changed):
    answers = {"p1": (4, 3), "p2": "error", "p3": (4, 3), "p4": (5, 3, 4), "p5": (4, 4), "p6": "error"} | changed
    return "\n".join(f"{name} = {answer!r}" for name, answer in answers.items())


def standardize(expression, std="x.std(dim=0, correction=0)"):
    return f"def standardize(x):\n    std = {std}\n    return {expression}"


def distances(expression):
    return f"def squared_distances(a, b):\n    return {expression}"


def products(grey="torch.einsum('nchw,c->nhw', images, weights)", gram="torch.einsum('nchw,ndhw->ncd', features, features)"):
    return f"def to_grey(images, weights):\n    return {grey}\n\ndef gram(features):\n    return {gram}"


SQUARE = "image[:, top:top + size, left:left + size]"


def pieces(window=SQUARE, snapshot=SQUARE + ".clone()", first="pass"):
    arguments = "image, top, left, size"
    return f"def window({arguments}):\n    {first}\n    return {window}\n\ndef snapshot({arguments}):\n    return {snapshot}"


def patches(
    cut="grid.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c, size, size)",
    joined="grid.permute(0, 3, 1, 4, 2, 5).reshape(n, c, height, width)",
    grid="n, height // size, width // size, c, size, size",
):
    return (
        "def to_patches(images, size):\n    n, c, h, w = images.shape\n"
        f"    grid = images.reshape(n, c, h // size, size, w // size, size)\n    return {cut}\n\n"
        "def from_patches(patches, height, width):\n    n, _, c, size, _ = patches.shape\n"
        f"    grid = patches.reshape({grid})\n    return {joined}"
    )


MISTAKES = {
    "01.1": [
        (buffers(noise="torch.rand(images.shape[1:]).expand(images.shape)"), "again and again"),
        (buffers(noise="torch.rand_like(images)"), "rand_like keeps the dtype"),
        (buffers(noise="torch.randn_like(images)"), "rand_like(…, dtype=torch.float32)"),
        (buffers(noise="torch.rand(images.shape, dtype=torch.float64)"), "it must be float32 whatever the dtype"),
        (buffers(noise="torch.randn(images.shape)"), "randn draws normal numbers"),
        (buffers(noise="torch.randint(0, 256, images.shape).float()"), "numbers above 1"),
        (buffers(noise="torch.randint(0, 2, images.shape).float()"), "two values only"),
        (buffers(noise="torch.full(images.shape, 0.5)"), "the same number everywhere"),
        (buffers(noise="torch.rand(len(images), 1)"), "it must have the shape of images"),
        (buffers(first="torch.manual_seed(0)"), "Two calls gave the same noise"),
        (buffers(blank="torch.zeros(images.shape)"), "torch.zeros(shape) knows the shape only"),
        (buffers(counts="torch.ones(len(images))"), "torch.ones makes floats"),
        (buffers(counts="torch.ones_like(images, dtype=torch.int64)"), "a 1 for every pixel"),
        (buffers(counts="torch.tensor([1] * len(images))"), "an empty list has no type"),
        ("def buffers(images):\n    return torch.zeros_like(images)", "must return 3 tensors"),
        (buffers().replace("return", "answer ="), "Is a `return` missing?"),
        (buffers(blank="images.zero_()"), "changed its input `images`"),
    ],
    "01.2": [
        (read_scores(predicted="scores.argmax(dim=1, keepdim=True)"), "leave keepdim out"),
        (read_scores(true_scores="scores.gather(1, labels[:, None]).squeeze()"), "every dimension of size 1"),
        (read_scores(missed="scores[scores.argmax(dim=1) != labels].squeeze()"), "that of the rows too"),
        (read_scores(predicted="scores.argmax(dim=0)"), "one entry for each class"),
        (read_scores(predicted="scores.argmax()", missed="scores"), "counts through the whole table"),
        (read_scores(predicted="scores.max(dim=1).values"), "the best scores themselves"),
        (read_scores(true_scores="scores[:, labels]"), "takes all the columns"),
        (read_scores(true_scores="scores.max(dim=1).values"), "not the true class's"),
        (read_scores(true_scores="scores.gather(1, labels[:, None])"), "gather keeps the dimension"),
        (read_scores(true_scores="scores.gather(1, labels)"), "gather wants an index with as many dimensions"),
        (read_scores(missed="scores[scores.argmax(dim=1) == labels]"), "the wrong way round"),
        (read_scores(missed="scores.argmax(dim=1) != labels"), "the rows themselves"),
        (read_scores(missed="scores * (scores.argmax(dim=1) != labels)[:, None]"), "leaves the other rows out"),
        (read_scores(missed="scores[scores.argmax(dim=0) != labels[:4]]"), "one value for each row"),
        (read_scores(predicted="scores.argmax(dim=0)", missed="scores[scores.argmax(dim=0) != labels]"), "one class for each image, argmax(dim=1)"),
        (read_scores(predicted="scores.max(dim=1)"), "max(dim=1) returns the largest values and their places"),
        (read_scores(predicted="scores.max(dim=1)", missed="scores[scores.max(dim=1) != labels]"), "max(dim=1) returns the largest values and their places"),
    ],
    "01.3": [
        (one_hot("table[:, labels] = 1"), "fills whole columns"),
        (one_hot("table[labels] = 1"), "fills whole rows"),
        (one_hot("table[torch.arange(len(labels)), labels] = 1", "len(labels), num_classes, dtype=torch.int64"), "float32 is asked for"),
        (one_hot("table[torch.arange(len(labels)), labels] = 1", "len(labels), int(labels.max()) + 1"), "as many columns as the largest label"),
        (one_hot("table[labels, torch.arange(len(labels))] = 1", "num_classes, len(labels)"), "the wrong way round"),
        (one_hot("table[torch.arange(num_classes), labels] = 1"), "they must have the same length"),
        (one_hot("table[labels, torch.arange(len(labels))] = 1"), "An index went past the end"),
    ],
    "01.4": [
        (join(wide="torch.cat([left, right]).reshape(*left.shape[:3], -1)"), "reshape moved nothing"),
        (join(batch="torch.stack([left, right])"), "stack makes one"),
        (join(batch="torch.stack([left, right], dim=1).flatten(0, 1)"), "all of left must come before"),
        (join(batch="torch.cat([left, right], dim=1)"), "along dimension 0"),
        (join(batch="torch.cat([right, left])"), "batch has right before left"),
        (join(wide="torch.cat([left, right], dim=2)"), "one above the other"),
        (join(wide="torch.cat([left, right], dim=1)"), "the channels are joined"),
        (join(wide="torch.cat([right, left], dim=3)"), "left comes first"),
        (join(pairs="torch.stack([left, right])"), "stack put the new dimension first"),
        (join(pairs="torch.cat([left, right], dim=1)"), "pairs has no new dimension"),
        (join(pairs="torch.stack([left, right], dim=2)"), "it must be dimension 1"),
    ],
    "01.5": [
        (predict(p1=((4, 3),)), "made of numbers"),
        (predict(p1="error"), "a missing dimension on the left counts as 1"),
        (predict(p2=(4, 3)), "lined up from the right"),
        (predict(p3="error"), "1 stretches to whatever"),
        (predict(p3=(4, 1)), "a grows to 3 columns"),
        (predict(p4="error"), "Each pair has a 1 or a gap"),
        (predict(p4=(5, 1, 4)), "the middle 1 of a"),
        (predict(p4=(5, 3, 1)), "the last 1 is b's"),
        (predict(p5=(4,)), "fills a square"),
        (predict(p5=(4, 1)), "(4,) counts as (1, 4)"),
        (predict(p5="error"), "that is the trouble with it"),
        (predict(p6=(2, 2)), "a matrix product's shape"),
        (predict(p6=(6, 6)), "3 is not stretched to 6"),
        (predict(p6=(3, 3)), "2 is not stretched to 3"),
        (predict(p6=(2, 3)), "the same number of cells is not enough"),
        (predict(p5=(5, 5)), "go pair by pair"),
        (predict(p1=12.5), "answer with a shape"),
        (predict(p2="runtime error"), 'exactly "error"'),
        (predict(p1="(4, 3)"), "without quotes"),
    ],
    "01.6": [
        (standardize("(x - x.mean(dim=0)) / torch.where(std < 1e-6, 1, std)"), "A column with a small spread"),
        (standardize("(x - x.mean()) / std"), "the mean is not"),
        (standardize("(x - x.mean(dim=0)) / x.std(correction=0)"), "the standard deviation is not"),
        (standardize("(x - x.mean(dim=0)) / x.std(dim=0)"), "the one with N: correction=0"),
        (standardize("(x - x.mean()) / x.std()"), "for the whole table"),
        (standardize("(x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True, correction=0)"), "You standardized the rows"),
        (standardize("(x - x.mean(dim=1)) / x.std(dim=1)"), "Is dim the right way round"),
        (standardize("(x - x.mean(dim=0)) / x.var(dim=0, correction=0)"), "You divided by the variance"),
        (standardize("x - x.mean(dim=0)"), "nothing is divided"),
        (standardize("x / x.std(dim=0, correction=0)"), "did not take the mean off"),
        (standardize("(x - x.mean(dim=0)) / x.std(dim=0, correction=0)"), "0 / 0 is NaN"),
        (standardize("torch.nan_to_num((x - x.mean(dim=0)) / (x.square().mean(dim=0) - x.mean(dim=0).square()).sqrt())"), "loses the digits"),
        *[(standardize(expression), "did not become zeros") for expression in (
            "(x - x.mean(dim=0)) / torch.where(std == 0, 1, std)",
            "torch.nan_to_num((x - x.mean(dim=0)) / std)",
            "torch.nan_to_num((x - x.mean(dim=0)) / std, posinf=0, neginf=0)",
            "((x - x.mean(dim=0)) / std).where(std > 0, 0)",
            "((z := (x - x.mean(dim=0)) / std).masked_fill(z.isnan(), 0))",
            "(x - x.mean(dim=0)) / (std + 1e-8)",
            "(x - x.mean(dim=0)) / std.clamp(min=1e-8)",
        )],
        *[(standardize(expression), "A column with a small spread") for expression in (
            "(x - x.mean(dim=0)) / torch.where(std < 1e-2, 1, std)",
            "(x - x.mean(dim=0)) / torch.where(std < 1e-5, 1, std)",
            "((x - x.mean(dim=0)) / std).where(std > 1e-2, 0)",
            "(x - x.mean(dim=0)) / (std + 1e-5)",
            "(x - x.mean(dim=0)) / std.clamp_min(1e-5)",
            "(x - x.mean(dim=0)) / torch.sqrt(std ** 2 + 1e-10)",
        )],
        ("def standardize(x):\n    std = x.std(dim=0, correction=0)\n    std[std == 0] = 1\n    x -= x.mean(dim=0)\n    return x / std", "changed its input `x`"),
    ],
    "01.7": [
        (distances("(a[:, None] - b).square().sum(dim=2).squeeze()"), "that of the single point"),
        (distances("(a[:, None] - b).square().sum(dim=2, keepdim=True)"), "keepdim is not needed"),
        (distances("a - b"), "rows of a run down and rows of b run across"),
        (distances("(a[:, None] - b).square().sum(dim=2).sqrt()"), "These are distances"),
        (distances("torch.cdist(a, b)"), "These are distances"),
        (distances("(b[:, None] - a).square().sum(dim=2)"), "The table is the wrong way round"),
        (distances("(a[:, None] - b).square().mean(dim=2)"), "You averaged over the columns"),
        (distances("(a[:, None] - b).sum(dim=2)"), "so that they cancel"),
        (distances("(a[:, None] - b).abs().sum(dim=2)"), "absolute differences"),
        (distances("a @ b.T"), "inner products"),
        (distances("a @ b"), "a @ b.T"),
        (distances("(a[:, None] - b).square()"), "still to be summed"),
        (distances("a[:, None] - b"), "square them, then sum"),
        (distances("(a[:, None] - b).sum(-1) ** 2"), "summed first and squared then"),
        (distances("(a[:, None] - b).square().sum(dim=0)"), "the wrong dimension"),
        (distances("(a - b).square().sum(dim=1) if a.shape == b.shape else (a[:, None] - b).square().sum(dim=2)"), "pairs row i with row i only"),
    ],
    "01.8": [
        (products(grey="0.3 * images[:, 0] + 0.6 * images[:, 1] + 0.1 * images[:, 2]"), "written into the function"),
        (products(grey="images.mean(dim=1)"), "the plain mean of the channels"),
        (products(grey="(images * weights[:, None, None]).mean(dim=1)"), "they are to be summed"),
        (products(grey="images * weights[:, None, None]"), "still to be summed over dimension 1"),
        (products(grey="(images * weights[:, None, None]).sum(dim=1, keepdim=True)"), "a channel dimension of size 1"),
        (products(grey="(images * weights).sum(dim=1)"), "broadcasting lines up on the right"),
        (products(grey="(images * weights).sum(dim=1) if images.shape[3] == 3 else (images * weights[:, None, None]).sum(dim=1)"), "The weights went along the width"),
        (products(grey="torch.einsum('chw,c->hw', images, weights)"), "as many letters as"),
        (products(gram="torch.einsum('nchw,ndhw->cd', features, features)"), "summed over the images too"),
        (products(gram="torch.einsum('nchw,ndhw->ncd', features, features) / features[0, 0].numel()"), "the plain sum is asked for"),
        (products(gram="features.flatten(2).transpose(1, 2) @ features.flatten(2)"), "pixels with pixels"),
        (products(gram="torch.einsum('nchw,nchw->nc', features, features)"), "multiplied with itself only"),
        (products(gram="torch.einsum('nchw,ndab->ncd', features, features)"), "the product of the channels' sums"),
        (products(gram="features.flatten(2) @ features.flatten(2)"), "one factor must be transposed"),
        (products(gram="features @ features.T"), "`.T` reverses all the dimensions"),
        (products(gram="features.flatten(2) @ features.flatten(2).T"), "`.T` reverses all the dimensions"),
        (products(gram="features.flatten(2) * features.flatten(2).transpose(1, 2)"), "(@, not *)"),
        (products(gram="features.flatten(1) @ features.flatten(1)"), "one product of the whole batch"),
        (products(gram="features @ features.transpose(2, 3)"), "within one channel"),
        (products(gram="features[:, :, None] * features[:, None]"), "still to be summed over the pixels"),
        (products(gram="(f := features.reshape(len(features), -1, features.shape[1])).transpose(1, 2) @ f"), "flatten(2) keeps each channel whole"),
        (products(gram="torch.einsum('nchw,nchw->ncc', features, features)"), "kept only once"),
        (products(gram="torch.einsum('nchw,ndhw->ncd', features)"), "one group of letters per tensor"),
        (products(gram="torch.einsum('nchw->nc', features, features)"), "one group of letters per tensor"),
        (products(grey="torch.einsum('nchw,h->nhw', images, weights)"), "stands for two different sizes"),
        (products(grey="torch.einsum('nchw,c->nxhw', images, weights)"), "must occur before it"),
        (products(grey="torch.einsum('[nchw],c->nhw', images, weights)"), "letters, commas and one arrow"),
        (products(grey="images @ weights"), "the channels are dimension 1"),
        (products(grey="images @ weights[:, None]"), "the channels are dimension 1"),
        (products(grey="images.reshape(len(images), images.shape[2], images.shape[3], 3) @ weights"), "permute(0, 2, 3, 1) moves them"),
    ],
    "01.9": [
        (pieces(window="image[:, top:top + size + 1, left:left + size + 1]"), "leaves out its stop"),
        (pieces(window=SQUARE + ".to(torch.float32)"), "window(…) has dtype"),
        (pieces(window=SQUARE + ".clone()"), "it is a copy"),
        (pieces(window="image[:, range(top, top + size)][:, :, range(left, left + size)]"), "it is a copy"),
        (pieces(window="image[:, top:size, left:size]"), "it must end at top + size"),
        (pieces(window="image[:, left:left + size, top:top + size]"), "rows come before columns"),
        (pieces(window="image[top:top + size, left:left + size]"), "The first dimension is the channels"),
        (pieces(first="image[:, top:top + size, left:left + size] = 0"), "window() itself changed the image"),
        (pieces(snapshot="image[:, top:top + size, left:left + size].mul_(1.5)"), "snapshot() itself changed the image"),
        (pieces(snapshot=SQUARE), "A slice is a view"),
        (pieces(snapshot=SQUARE + ".contiguous()"), "copy only when they must"),
        (pieces(snapshot=SQUARE + ".flatten(1).reshape(-1, size, size)"), "copy only when they must"),
    ],
    "01.10": [
        (patches(cut="images.reshape(n, c, w // size, size, h // size, size).permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c, size, size)"), "Height and width are swapped"),
        (patches(cut="images.reshape(n, -1, c, size, size)"), "in the order of memory: pieces of rows"),
        (patches(cut="grid.reshape(n, -1, c, size, size)"), "in the order of memory: pieces of rows"),
        (patches(cut="grid.permute(0, 4, 2, 1, 3, 5).reshape(n, -1, c, size, size)"), "go column by column"),
        (patches(cut="grid.permute(0, 2, 4, 1, 5, 3).reshape(n, -1, c, size, size)"), "Each patch is transposed: its rows"),
        (patches(cut="grid.permute(0, 1, 2, 4, 3, 5).reshape(n, c, -1, size, size)"), "each channel is kept apart"),
        (patches(cut="grid.permute(0, 2, 4, 1, 3, 5)"), "still on a grid"),
        (patches(cut="grid.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c * size * size)"), "flat or still on a grid"),
        (patches(cut="grid.permute(0, 2, 4, 1, 3, 5).view(n, -1, c, size, size)"), "use reshape"),
        (patches(cut="grid.permute(0, 3, 1, 4, 2, 5).reshape(n, -1, c, size, size)"), "the one of the way back"),
        (patches(cut="images.reshape(n, c, size, h // size, size, w // size).permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c, size, size)"), "Height was split into (size, H // size)"),
        (patches(cut="images.reshape(n, c, size, h // size, size, w // size).permute(0, 3, 5, 1, 2, 4).reshape(n, -1, c, size, size)"), "Height was split into (size, H // size)"),
        (patches(cut="grid.permute(2, 4, 0, 1, 3, 5).reshape(n, -1, c, size, size)"), "The images are mixed"),
        (patches(cut="grid.permute(0, 1, 2, 4, 3, 5).reshape(n, -1, c, size, size)"), "it must come behind them"),
        (patches(cut="grid.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, c, size, size)"), "c must come before y and x"),
        (patches(cut="grid.permute(2, 4, 1, 3, 5).reshape(n, -1, c, size, size)"), "all the dimensions, here six"),
        (patches(cut="grid.permute(0, 2, 4, 1, 3, 3).reshape(n, -1, c, size, size)"), "each of the numbers 0 to 5 once"),
        (patches(cut="images.reshape(n, c, h / size, size, w / size, size)"), "use //"),
        (patches(grid="n, height / size, width / size, c, size, size"), "use //"),
        (patches(joined="grid.permute(0, 2, 4, 1, 3, 5).reshape(n, c, height, width)"), "the one of to_patches"),
        (patches(joined="grid.permute(0, 3, 2, 4, 1, 5).reshape(n, c, height, width)"), "Patch row and patch column are swapped"),
        (patches(grid="n, width // size, height // size, c, size, size"), "column by column: the patch number"),
        (patches(joined="patches.reshape(n, c, height, width)"), "each one lies in a row"),
        (patches(grid="n, width // size, height // size, c, size, size", joined="grid.permute(0, 3, 2, 4, 1, 5).reshape(n, c, height, width)"), "column by column: the patch number"),
        (patches(joined="grid.permute(0, 3, 1, 5, 2, 4).reshape(n, c, height, width)"), "transposed on its way back"),
        (patches(joined="grid.permute(0, 3, 1, 2, 4, 5).reshape(n, c, height, width)"), "The pixels of different patches alternate"),
        (patches(grid="n, height, width, c, size, size"), "The sizes do not multiply"),
    ],
}

RIGHT = {
    "01.1": [
        buffers("torch.zeros(images.shape, dtype=images.dtype)", "torch.rand(images.shape)", "torch.full((images.shape[0],), 1)"),
        buffers("images * 0", "torch.empty(images.shape).uniform_()", "torch.tensor([1] * len(images), dtype=torch.long)"),
    ],
    "01.2": [
        read_scores("scores.max(dim=1).indices", "scores.gather(1, labels[:, None]).squeeze(1)", "scores[(scores.argmax(1) != labels).nonzero()[:, 0]]"),
        "def read_scores(scores, labels):\n    best = scores.topk(1).indices[:, 0]\n    return [best, torch.take_along_dim(scores, labels.unsqueeze(1), 1)[:, 0], scores[~best.eq(labels)]]",
    ],
    "01.3": [
        "def one_hot(labels, num_classes):\n    return torch.eye(num_classes)[labels]",
        "def one_hot(labels, num_classes):\n    return (labels[:, None] == torch.arange(num_classes)).float()",
        "def one_hot(labels, num_classes):\n    return torch.zeros(len(labels), num_classes).scatter_(1, labels[:, None], 1)",
    ],
    "01.4": [
        join("torch.vstack((left, right))", "torch.concat((left, right), -1)", "torch.cat([left[:, None], right[:, None]], dim=1)"),
        join("torch.stack([left, right]).flatten(0, 1)", "torch.stack([left, right], dim=3).flatten(3)", "torch.stack([left, right]).transpose(0, 1)"),
    ],
    "01.5": ["p1, p2, p3 = [4, 3], 'Error', torch.Size([4, 3])\np4, p5, p6 = torch.broadcast_shapes((5, 1, 4), (3, 1)), (4, 4), 'error'"],
    "01.6": [
        standardize("torch.nan_to_num((x - x.mean(0)) / torch.where(x.amax(0) > x.amin(0), x.std(0, unbiased=False), torch.inf))"),
        "def standardize(x):\n    centred = x - x.mean(dim=0, keepdim=True)\n    std = centred.square().mean(dim=0).sqrt()\n    return torch.where((x == x[0]).all(dim=0), 0, centred / std)",
        "def standardize(x):\n    columns = [c - c.mean() if (c == c[0]).all() else (c - c.mean()) / c.std(correction=0) for c in x.T]\n    return torch.stack(columns, dim=1)",
    ],
    "01.7": [
        distances("a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T"),
        distances("torch.cdist(a, b) ** 2"),
        distances("torch.stack([((row - b) ** 2).sum(-1) for row in a])"),
    ],
    "01.8": [
        products("(images * weights[:, None, None]).sum(dim=1)", "features.flatten(2) @ features.flatten(2).transpose(1, 2)"),
        products("(images.permute(0, 2, 3, 1) @ weights)", "(features[:, :, None] * features[:, None]).sum(dim=(3, 4))"),
        products("torch.tensordot(images, weights, dims=([1], [0]))", "torch.stack([f.flatten(1) @ f.flatten(1).T for f in features])"),
    ],
    "01.9": [
        pieces("image.narrow(1, top, size).narrow(2, left, size)", SQUARE + " + 0"),
        pieces("image[..., top:top + size, left:left + size]", "torch.tensor(" + SQUARE + ")"),
    ],
    "01.10": [
        patches(
            "images.unfold(2, size, size).unfold(3, size, size).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)",
            "torch.einsum('nijcyx->nciyjx', grid).reshape(n, c, height, width)",
        ),
        "def to_patches(images, size):\n"
        "    rows = [torch.stack(strip.split(size, dim=3), dim=1) for strip in images.split(size, dim=2)]\n    return torch.cat(rows, dim=1)\n\n"
        "def from_patches(patches, height, width):\n    size = patches.shape[-1]\n    across = width // size\n"
        "    strips = [torch.cat(list(patches[:, i:i + across].unbind(1)), dim=3) for i in range(0, patches.shape[1], across)]\n    return torch.cat(strips, dim=2)",
    ],
}

CONSTANTS = {
    "01.1": buffers(noise="torch.zeros(images.shape)"),
    "01.2": read_scores("torch.zeros(len(labels), dtype=torch.int64)", "torch.zeros(len(labels))", "scores[:0]"),
    "01.3": one_hot("pass"),
    "01.4": join("torch.zeros_like(torch.cat([left, right]))", "torch.zeros_like(torch.cat([left, right], dim=3))", "torch.zeros_like(torch.stack([left, right], dim=1))"),
    "01.5": predict(p1=(), p2=(), p3=(), p4=(), p5=(), p6=()),
    "01.6": standardize("torch.zeros_like(x)"),
    "01.7": distances("torch.zeros(len(a), len(b), dtype=a.dtype)"),
    "01.8": products("torch.zeros_like(images[:, 0])", "torch.zeros(len(features), features.shape[1], features.shape[1], dtype=features.dtype)"),
    "01.9": pieces("torch.zeros(len(image), size, size)", "torch.zeros(len(image), size, size)"),
    "01.10": patches("torch.zeros(n, (h // size) * (w // size), c, size, size, dtype=images.dtype)", "torch.zeros(n, c, height, width, dtype=patches.dtype)"),
}
