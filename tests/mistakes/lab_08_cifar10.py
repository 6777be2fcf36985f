"""Wrong answers that students really give to lab 08, with the message each must get; and right answers written another way."""


def _statistics(mean="x.mean((0, 2, 3))", std="x.std((0, 2, 3))", x="images.float() / 255"):
    return f"def channel_statistics(images):\n    x = {x}\n    return {mean}, {std}"


def _size(value):
    return f"def output_size(size, kernel, stride=1, padding=0):\n    return {value}"


def _net(forward, layers="", classes="num_classes", head="self.head = nn.Linear(16 * 16, num_classes)"):
    return f"""
class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        {head.replace("num_classes", classes)}
        {layers or "pass"}

    def features(self, x):
        return F.max_pool2d(F.relu(self.conv(x)), 8).flatten(1)

    def forward(self, x):
        {forward}
"""


_COUNTS = {"first_conv": 224, "first_norm": 16, "last_conv": 147_584, "classifier": 258, "total_two": 197_898, "total_ten": 198_930}


def _counts(**other):
    return "\n".join(f"{name} = {value}" for name, value in (_COUNTS | other).items())


def _accuracy(value):
    return f"def accuracy(logits, y):\n    return {value}"


def _train(start="model.train()", before="optimizer.zero_grad()", after="pass", step="optimizer.step()",
           schedule="scheduler.step()", add="total += loss.item() * len(y)", end="return total / count"):
    return f"""
def train(model, batches, loss_fn, optimizer, scheduler=None):
    {start}
    total, count = 0.0, 0
    for x, y in batches:
        loss = loss_fn(model(x), y)
        {before}
        loss.backward()
        {after}
        {step}
        if scheduler is not None:
            {schedule}
        {add}
        count += len(y)
    {end}
"""


def _validate(head="@torch.no_grad()", start="model.eval()", loss="total += loss_fn(logits, y).item() * len(y)",
              hits="correct += (logits.argmax(1) == y).sum().item()", back="model.train(was)", end="return total / count, correct / count"):
    return f"""
{head}
def validate(model, batches, loss_fn):
    was = model.training
    {start}
    total, correct, count = 0.0, 0.0, 0
    for x, y in batches:
        logits = model(x)
        {loss}
        {hits}
        count += len(y)
    {back}
    {end}
"""


def _files(save="torch.save(model.state_dict(), path)", load="model.load_state_dict(torch.load(path, weights_only=True))", end="return model.eval()"):
    return f"def save_model(model, path):\n    {save}\n\n\ndef load_model(model, path):\n    {load}\n    {end}"


_LOGS = {"log_a": "batch means", "log_b": "softmax", "log_c": "order", "log_d": "eval", "log_e": "test set"}


def _logs(**other):
    return "\n".join(f"{name} = {value!r}" for name, value in (_LOGS | other).items())


def _cycle(up="start + (1 - start) * step / top", down="1 + (end - 1) * (step - top) / (total - top)"):
    return f"""
def one_cycle(step, total, start=0.2, peak=0.23, end=0.07):
    top = peak * total
    if step < top:
        return {up}
    return {down}
"""


MISTAKES = {
    "08.1": [
        (_statistics(x="images"), "Bytes have no mean"),
        (_statistics(x="images.float()"), "units of 0 … 255"),
        (_statistics(mean="x.mean()"), "one number for all channels"),
        (_statistics(mean="x.mean(0)"), "one number a pixel"),
        (_statistics(mean="x.mean((0, 2, 3), keepdim=True)"), "leave keepdim out"),
        (_statistics(std="x.std((2, 3)).mean(0)"), "how the images differ"),
        (_statistics(std="x.var((0, 2, 3))"), "variance"),
        ("def channel_statistics(images):\n    return (images.float() / 255).mean((0, 2, 3))", "return mean, std"),
    ],
    "08.2": [
        (_size("(size + 2 * padding - kernel) // stride"), "The + 1 is missing"),
        (_size("(size + padding - kernel) // stride + 1"), "counts twice"),
        (_size("(size - kernel) // stride + 1"), "padding is not counted"),
        (_size("(size + 2 * padding - kernel) / stride + 1"), "round down"),
        (_size("-(-(size + 2 * padding - kernel) // stride) + 1"), "Rounded up"),
        (_size("size + 2 * padding - kernel + 1"), "stride is not used"),
        (_size("(size + 2 * padding - kernel + 1) // stride"), "after the division, not before"),
        (_size("None"), "returns None"),
    ],
    "08.3": [
        (_net("return self.head(self.features(x)).softmax(1)"), "there is a softmax at the end"),
        (_net("return F.log_softmax(self.head(self.features(x)), 1)"), "There is a log_softmax at the end"),
        (_net("return F.relu(self.head(self.features(x)))"), "is there a ReLU, sigmoid or softmax"),
        (_net("return self.head(self.features(x)).sigmoid()"), "is there a ReLU, sigmoid or softmax"),
        (_net("return 10 * self.head(self.features(x)).softmax(1)"), "is there a ReLU, sigmoid or softmax"),
        (_net("return self.head(self.features(x)).tanh()"), "squashes the logits between two bounds"),
        (_net("return self.head(self.features(x)).sigmoid() - 0.5"), "squashes the logits between two bounds"),
        (_net("return self.head(self.features(x).detach())"), "cuts it off"),
        (_net("with torch.no_grad():\n            return self.head(self.features(x))"), "cuts it off"),
        (_net("return self.head(self.features(self.more[0](x)))", layers="self.more = [nn.Conv2d(3, 3, 1)]"), "net.parameters() does not know them"),
        (_net("return self.head(self.features(self.more['a'](x)))", layers="self.more = {'a': nn.BatchNorm2d(3)}"), "net.parameters() does not know them"),
        (_net("return self.head(self.features(nn.Conv2d(3, 3, 1)(x)))"), "made in forward"),
        ("class Net(nn.Sequential):\n    def __init__(self, num_classes=10):\n"
         "        super().__init__(nn.Flatten(), nn.Linear(3072, 100), nn.BatchNorm1d(100), nn.Tanh(), nn.Linear(100, num_classes))", "no convolution"),
        (_net("return self.head(self.features(x))", layers="self.spare = nn.Linear(10, 10)"), "No gradient reaches spare"),
        (_net("return self.head(self.features(x))", classes="10"), "still gives 10 logits"),
        (_net("self.head(self.features(x))"), "forward returns None"),
        (_net("return self.head(F.dropout(self.features(x), 0.5))"), "or is random"),
        (_net("x = self.features(x)\n        return self.head(x - x.mean(0))"), "looks at the whole batch"),
        (_net("return self.head(self.features(x)).squeeze()"), "squeeze() and view()"),
        (_net("return self.head(self.conv(x).flatten(1))", head="self.head = nn.Linear(16 * 32 * 32, num_classes)"), "straight-line function"),
        (_net("return self.head(F.relu(self.conv(x)).flatten(1))"), "expects another number of inputs"),
        (_net("return self.head(F.relu(self.big(x.flatten(1))))", layers="self.big = nn.Linear(3072, 256)"), "at most 500,000"),
        ("class Net(nn.Module):\n    def __init__(self, num_classes=10):\n        super().__init__()\n        self.layers = [nn.Flatten(), nn.Linear(3072, num_classes)]\n\n"
         "    def forward(self, x):\n        for layer in self.layers:\n            x = layer(x)\n        return x", "no parameters"),
    ],
    "08.4": [
        (_counts(first_conv=216), "has a bias too"),
        (_counts(first_conv=80), "all 3 input channels"),
        (_counts(first_norm=32), "buffers, not parameters"),
        (_counts(last_conv=147_456), "128 filters has a bias"),
        (_counts(classifier=2 * (128 * 9 + 1)), "kernel is 1 × 1"),
        (_counts(total_two=197_226), "batch norms are missing"),
        (_counts(total_ten=197_898 + 1024), "brings a bias"),
        (_counts(total_ten=5 * 197_898), "only the 1 × 1 convolution"),
    ],
    "08.5": [
        (_accuracy("(logits.argmax(1) == y).float().mean()"), "Python number"),
        (_accuracy("(logits.argmax(1) == y).sum().item()"), "divide by how many"),
        (_accuracy("100 * (logits.argmax(1) == y).float().mean().item()"), "in percent"),
        (_accuracy("(logits.argmax(1) != y).float().mean().item()"), "*wrong* answers"),
        (_accuracy("(logits.argmax(0) == y).float().mean().item()"), "the classes are dim=1"),
        (_accuracy("logits.softmax(1)[torch.arange(len(y)), y].mean().item()"), "mean probability"),
        (_accuracy("(logits.max(1) == y).float().mean().item()"), "use argmax(1)"),
        (_accuracy("(logits.max(1).values == y).float().mean().item()"), "largest *values*"),
        (_accuracy("(logits.argmax(1) == y).mean().item()"), "Bools have no mean"),
        (_accuracy("(logits.argmax(1, keepdim=True) == y).float().mean().item()"), "Leave keepdim out"),
    ],
    "08.6": [
        (_train(before="pass"), "gradients of earlier batches"),
        (_train(after="optimizer.zero_grad()"), "zero_grad() between"),
        (_train(step="pass"), "optimizer.step() is missing"),
        (_train(start="pass"), "not in training mode"),
        (_train(schedule="pass"), "step the scheduler after every batch"),
        (_train(add="total += loss.item()", end="return total / len(batches)"), "averaged the batch means"),
        (_train(add="total += loss.item()"), "Multiply each by its number"),
        (_train(add="total = loss.item()", end="return total"), "last batch only"),
        (_train(add="total = total + loss * len(y)"), "comes back as a tensor"),
        (_train(end="pass"), "returns None"),
        (_train(end="    return total / count"), "`return` stand inside the loop"),
        (_train(end="return total"), "not divided by their number"),
        (_train(end="model.eval()\n    return total / count"), "leave the model in training mode"),
        (_train(start="was = model.training\n    model.train()", end="model.train(was)\n    return total / count"), "leave the model in training mode"),
        (_train().replace("loss_fn(model(x), y)", "F.cross_entropy(model(x), y)"), "Use the loss_fn that train is given"),
        (_train().replace("loss_fn(model(x), y)", "loss_fn(model(x).softmax(1), y)"), "A softmax stands before the loss"),
        (_train().replace("loss_fn(model(x), y)", "loss_fn(y, model(x))"), "logits first"),
        (_train().replace("if scheduler is not None:", "if True:"), "The scheduler may be None"),
    ],
    "08.7": [
        (_validate(start="pass"), "in training mode"),
        (_validate(back="pass"), "comes back in evaluation mode"),
        (_validate(back="model.train()"), "comes back in training mode"),
        (_validate(head=""), "under torch.no_grad()"),
        (_validate(loss="total += loss_fn(logits, y).item()", end="return total / len(batches), correct / count"), "averaged the batch means"),
        (_validate(hits="correct += (logits.argmax(1) == y).float().mean().item()", end="return total / count, correct / len(batches)"), "mean of the batches' accuracies"),
        (_validate(end="return total / count, 100 * correct / count"), "in percent"),
        (_validate(end="return correct / count, total / count"), "wrong way round"),
        (_validate(loss="total += loss_fn(logits, y) * len(y)"), "not tensors"),
        (_validate(loss="total += F.cross_entropy(logits, y).item() * len(y)"), "Use the loss_fn that validate is given"),
        (_validate(head="", start="model.eval()\n    torch.set_grad_enabled(False)"), "switched off for good"),
        (_validate(head="", start="model.eval()\n    for p in model.parameters():\n        p.requires_grad_(False)"), "froze the parameters"),
        (_validate(head="").replace("logits = model(x)", "logits = model(x).detach()"), "under torch.no_grad()"),
        (_validate(back="    model.train(was)\n        return total / count, correct / count"), "`return` stand inside the loop"),
    ],
    "08.8": [
        (_files(save="torch.save(model, path)"), "holds the whole model"),
        (_files(save="torch.save(dict(model.named_parameters()), path)"), "running averages are missing"),
        (_files(save="pass"), "wrote no file"),
        (_files(save="torch.save({'model': model.state_dict()}, path)", load="model.load_state_dict(torch.load(path, weights_only=True)['model'])"),
         "state_dict() itself"),
        (_files(load="torch.load(path, weights_only=True)"), "fresh random weights"),
        (_files(end="pass"), "must return the model"),
        (_files(end="return model"), "in training mode"),
        (_files(load="model.load_state_dict(torch.load(path, weights_only=False))"), "can run any code"),
        (_files(load="try:\n        model.load_state_dict(torch.load(path, weights_only=True))\n    except Exception:\n        pass"), "try/except hides"),
        (_files(load="model.load_state_dict(torch.load(path, weights_only=True), strict=False)"), "strict=False"),
        (_files(load="import copy\n    model = copy.deepcopy(model)\n    model.load_state_dict(torch.load(path, weights_only=True))"), "not a copy"),
        (_files(save="model.eval()\n    torch.save(model.state_dict(), path)"), "save_model changed the model's mode"),
        (_files(save="torch.save(model.state_dict, path)"), "without its parentheses"),
        (_files(save="torch.save(path, model.state_dict())"), "the path comes second"),
        (_files(load="model = model.load_state_dict(torch.load(path, weights_only=True))"), "do not assign it"),
    ],
    "08.9": [
        ("def confusion(predicted, y, num_classes):\n    pairs = predicted * num_classes + y\n"
         "    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)", "wrong way round"),
        ("def confusion(predicted, y, num_classes):\n    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)\n    matrix[y, predicted] += 1\n    return matrix",
         "counted once only"),
        ("def confusion(predicted, y, num_classes):\n    matrix = torch.zeros(num_classes, num_classes)\n    for t, p in zip(y, predicted):\n        matrix[t, p] += 1\n    return matrix",
         "as floats"),
        ("def confusion(predicted, y, num_classes):\n    matrix = torch.zeros(num_classes, num_classes)\n    for t, p in zip(y, predicted):\n        matrix[t, p] += 1\n"
         "    return matrix / matrix.sum(1, keepdim=True)", "These are shares"),
        ("def confusion(predicted, y, num_classes):\n    return torch.bincount(y * num_classes + predicted).reshape(num_classes, num_classes)", "minlength=num_classes**2"),
        ("def confusion(predicted, y, num_classes):\n    k = int(y.max()) + 1\n    return torch.bincount(y * k + predicted, minlength=k * k).reshape(k, k)", "has shape"),
    ],
    "08.10": [
        (_logs(log_a="eval"), "special about 1,001"),
        (_logs(log_a="test set"), "third batch"),
        (_logs(log_b="eval"), "1.461"),
        (_logs(log_b="order"), "could not get 87 %"),
        (_logs(log_c="softmax"), "cannot exceed 2.46"),
        (_logs(log_b="batch means"), "in training, not in measuring"),
        (_logs(log_c="eval"), "2.30, not 7.89"),
        (_logs(log_c="test set"), "in training, not in measuring"),
        (_logs(log_d="order"), "What does validation switch off"),
        (_logs(log_e="batch means"), "how the one number"),
        (_logs(log_a="B"), "should be one of"),
    ],
    "08.11": [
        (_cycle(up="step / top"), "begin at `start`"),
        (_cycle(down="1 - (step - top) / (total - top)"), "end at `end`"),
        (_cycle(down="1.0"), "stays at 1"),
        (_cycle(up="1 + (end - 1) * step / total", down="1 + (end - 1) * step / total"), "goes down at once"),
        (_cycle(down="1 + (end - 1) * (step - top) / total"), "not measured from the peak"),
        (_cycle(up="start + step / top"), "ends above 1"),
        (_cycle(up="start + (peak - start) * step / top", down="peak + (end - peak) * (step - top) / (total - top)"), "the height there is 1"),
        (_cycle().replace("top = peak * total", "top = peak"), "the top lies at peak · total"),
        (_cycle(down="1 - (end - 1) * (step - top) / (total - top)"), "The way down goes up"),
        (_cycle().replace("top = peak * total", "top = round(peak * total)"), "rounded to a whole step"),
        (_cycle().replace("top = peak * total", "top = int(peak * total)"), "rounded to a whole step"),
        ("def one_cycle(step, total, start=0.2, peak=0.23, end=0.07):\n    if step < peak * total:\n        return start + (1 - start) * step / (peak * total)", "one of the two branches"),
    ],
}

RIGHT = {
    "08.1": [
        "def channel_statistics(images):\n    x = images.permute(1, 0, 2, 3).flatten(1).double() / 255\n    return x.mean(1).float(), x.std(1, correction=0).float()",
        "def channel_statistics(images):\n    x = images.float() / 255\n    mean = x.mean((0, 2, 3))\n"
        "    return mean, ((x - mean.view(-1, 1, 1)) ** 2).mean((0, 2, 3)).sqrt()",
    ],
    "08.2": ["import math\n\ndef output_size(size, kernel, stride=1, padding=0):\n    return math.floor((size + 2 * padding - kernel) / stride + 1)"],
    "08.3": [
        "Net = lambda num_classes=10: nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.GELU(), nn.Conv2d(8, 16, 3, stride=2), nn.GELU(), nn.AdaptiveAvgPool2d(2), "
        "nn.Flatten(), nn.Dropout(0.3), nn.Linear(64, num_classes))",
        _net("return self.head(self.features(x))"),
        "Net = lambda num_classes=10: nn.Sequential(nn.Conv2d(3, 12, 4, stride=4), nn.Tanh(), nn.Conv2d(12, 24, 3, groups=6), nn.ReLU(inplace=True), "
        "nn.Conv2d(24, num_classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())",
        "class Net(nn.Module):\n    def __init__(self, num_classes=10):\n        super().__init__()\n        self.w = nn.Parameter(torch.randn(8, 3, 3, 3) / 5)\n"
        "        self.head = nn.ParameterList([torch.randn(num_classes, 8 * 64) / 20])\n\n    def forward(self, x):\n"
        "        return F.max_pool2d(torch.sigmoid(F.conv2d(x, self.w, padding=1)), 4).flatten(1) @ self.head[0].T",
        _net("return self.head(self.features(x))", layers="self.conv.requires_grad_(False)"),
        "class Net(nn.Module):\n    def __init__(self, num_classes=10):\n        super().__init__()\n        self.layers = nn.ModuleList("
        "[nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3, stride=2)), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 225, num_classes)])\n\n"
        "    def forward(self, x):\n        for layer in self.layers:\n            x = layer(x)\n        return x / 9",
    ],
    "08.4": ["conv = lambda i, o, k: o * (i * k * k + 1)\nfirst_conv, first_norm, last_conv, classifier = conv(3, 8, 3), 2 * 8, conv(128, 128, 3), conv(128, 2, 1)\n"
             "body = sum(conv(i, o, 3) + 2 * o for i, o in [(3, 8), (8, 8), (8, 32), (32, 32), (32, 128), (128, 128)])\n"
             "total_two, total_ten = body + classifier, body + conv(128, 10, 1)"],
    "08.5": ["def accuracy(logits, y):\n    return sum(int(p == t) for p, t in zip(logits.max(dim=1).indices.tolist(), y.tolist())) / len(y)"],
    "08.6": ["def train(model, batches, loss_fn, optimizer, scheduler=None):\n    losses, sizes = [], []\n    model.train(True)\n    for x, y in batches:\n"
             "        for p in model.parameters():\n            p.grad = None\n        loss = loss_fn(model(x), y)\n        loss.backward()\n        optimizer.step()\n"
             "        if scheduler:\n            scheduler.step()\n        losses.append(loss.item())\n        sizes.append(len(x))\n"
             "    return float(np.average(losses, weights=sizes))"],
    "08.7": ["def validate(model, batches, loss_fn):\n    mode = model.training\n    model.eval()\n    try:\n        with torch.inference_mode():\n"
             "            outputs = [(model(x), y) for x, y in batches]\n            n = sum(len(y) for _, y in outputs)\n"
             "            loss = sum(loss_fn(z, y).item() * len(y) for z, y in outputs) / n\n"
             "            return loss, sum((z.argmax(1) == y).sum().item() for z, y in outputs) / n\n    finally:\n        model.train(mode)",
             _validate(),
             _validate(head="").replace("logits = model(x)", "with torch.no_grad():\n            logits = model(x)")],
    "08.8": ["def save_model(model, path):\n    with open(path, 'wb') as file:\n        torch.save({k: v.cpu() for k, v in model.state_dict().items()}, file)\n\n"
             "def load_model(model, path):\n    state = torch.load(path, map_location='cpu')\n    model.load_state_dict(state)\n    model.eval()\n    return model"],
    "08.9": ["def confusion(predicted, y, num_classes):\n    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)\n"
             "    return matrix.index_put_((y, predicted), torch.tensor(1), accumulate=True)"],
    "08.10": ["log_a, log_b, log_c, log_d, log_e = 'batch means', 'softmax', 'order', 'eval', 'test set'"],
    "08.11": ["def one_cycle(step, total, start=0.2, peak=0.23, end=0.07):\n    return float(np.interp(step, [0, peak * total, total], [start, 1, end]))"],
}

CONSTANTS = {
    "08.1": "def channel_statistics(images):\n    return torch.zeros(images.shape[1]), torch.ones(images.shape[1])",
    "08.2": _size("16"),
    "08.3": "class Net(nn.Module):\n    def __init__(self, num_classes=10):\n        super().__init__()\n        self.logits = nn.Parameter(torch.randn(num_classes))\n\n"
            "    def forward(self, x):\n        return self.logits.expand(len(x), -1)",
    "08.4": _counts(**dict.fromkeys(_COUNTS, 0)),
    "08.5": _accuracy("0.5"),
    "08.6": "def train(model, batches, loss_fn, optimizer, scheduler=None):\n    return 1.0",
    "08.7": "def validate(model, batches, loss_fn):\n    return 1.0, 0.5",
    "08.8": "def save_model(model, path):\n    torch.save({k: torch.zeros_like(v) for k, v in model.state_dict().items()}, path)\n\ndef load_model(model, path):\n    return model.eval()",
    "08.9": "def confusion(predicted, y, num_classes):\n    return torch.zeros(num_classes, num_classes, dtype=torch.int64)",
    "08.10": _logs(**dict.fromkeys(_LOGS, "softmax")),
    "08.11": "def one_cycle(step, total, start=0.2, peak=0.23, end=0.07):\n    return 1.0",
}
