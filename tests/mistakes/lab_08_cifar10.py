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


def _class_accuracy(init="self.k, self.by_epoch = num_classes, []", before="self.right, self.images = torch.zeros(self.k), torch.zeros(self.k)",
                    training="return", hits="y[p == y]", add="+=", count="y", after="self.by_epoch.append(self.right / self.images)", test="not learner.training"):
    return f"""
class ClassAccuracy(Callback):
    def __init__(self, num_classes):
        {init}

    def before_epoch(self, learner):
        {before}

    def after_predict(self, learner):
        if learner.training:
            {training}
        p, y = learner.prediction.argmax(1), learner.y
        self.right {add} torch.bincount({hits}, minlength=self.k)
        self.images {add} torch.bincount({count}, minlength=self.k)

    def after_epoch(self, learner):
        if {test}:
            {after}
"""


def _make(total="epochs * len(train_batches)", loss="nn.CrossEntropyLoss()", optimizer="torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)",
          factor="lambda step: schedule(step, total)", callbacks="[Metrics(accuracy=accuracy), Schedule(scheduler)]", sets="train_batches, val_batches", end="return learner"):
    return f"""
def make_learner(model, train_batches, val_batches, epochs, lr, schedule):
    total = {total}
    optimizer = {optimizer}
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, {factor})
    learner = Learner(model, {sets}, {loss}, optimizer, {callbacks})
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
        (_class_accuracy(training="pass", test="True"), "two entries for each epoch"),
        (_class_accuracy(init="self.k, self.by_epoch = num_classes, []\n        self.right, self.images = torch.zeros(self.k), torch.zeros(self.k)", before="pass"), "go on from epoch to epoch"),
        (_class_accuracy(after="self.by_epoch.append(self.right)"), "These are counts"),
        (_class_accuracy(after="self.by_epoch.append(self.right / self.images.sum())"), "number of all images"),
        (_class_accuracy(count="p"), "that is precision"),
        (_class_accuracy(after="self.by_epoch.append(100 * self.right / self.images)"), "In percent"),
        (_class_accuracy(add="="), "Only the last batch was counted"),
        (_class_accuracy(after="self.by_epoch.append(self.right.sum() / self.images.sum())"), "one number"),
        (_class_accuracy(hits="y[p != y]"), "*wrong* answers"),
        (_class_accuracy(after="self.by_epoch.append(self.right / self.images.clamp(min=1))"), "no accuracy: nan"),
        (_class_accuracy(after="pass"), "by_epoch is empty"),
        (_class_accuracy().replace(".argmax(1)", ""), "argmax(dim=1)"),
        (_class_accuracy().replace(".argmax(1)", ".argmax(0)"), "argmax(dim=1)"),
        (_class_accuracy(hits="y[y == p]").replace(".argmax(1)", ".argmax(0)"), "argmax(dim=1)"),
        (_class_accuracy(init="self.k = num_classes").replace("    def __init__", "    by_epoch = []\n\n    def __init__"), "in the class body"),
        (_class_accuracy(training="pass", test="learner.training"), "shares of the training pass"),
        (_class_accuracy(after="self.by_epoch.append((self.right / self.images)[None])"), "one dimension is too many"),
        (_class_accuracy(after="self.by_epoch.append(torch.tensor([a / b for a, b in zip(self.right.tolist(), self.images.tolist())]))"), "raise this error"),
        (_class_accuracy(init="self.k, self.by_epoch, self.right, self.images = num_classes, [], torch.zeros(num_classes), torch.zeros(num_classes)", training="pass", before="pass"),
         "The images of the training pass"),
        ("class ClassAccuracy(Callback):\n    def __init__(self, num_classes):\n        self.k, self.by_epoch = num_classes, []\n\n    def before_epoch(self, learner):\n        self.shares = []\n\n"
         "    def after_predict(self, learner):\n        p, y = learner.prediction.argmax(1), learner.y\n        right, images = (torch.bincount(v, minlength=self.k) for v in (y[p == y], y))\n"
         "        self.shares.append(right / images)\n\n    def after_epoch(self, learner):\n        if not learner.training:\n            self.by_epoch.append(torch.stack(self.shares).mean(0))",
         "mean of the batches' shares"),
        (_class_accuracy(after="self.by_epoch = self.right / self.images"), "a list with one tensor an epoch"),
        (_class_accuracy(init="self.k = num_classes"), "by_epoch must be there from the start"),
        (_class_accuracy(before="pass"), "before it is set"),
        (_class_accuracy().replace("def before_epoch(self, learner)", "def before_epoch(self)"), "get the learner"),
        (_class_accuracy().replace("(Callback)", ""), "must be a Callback"),
        (_class_accuracy(after="pass").replace("minlength=self.k)\n\n", "minlength=self.k)\n        self.by_epoch.append(self.right / self.images)\n\n"), "an entry for each validation batch"),
        (_class_accuracy(init="self.k, self.by_epoch = num_classes, []\n        self.shares = torch.zeros(num_classes)", after="self.shares.copy_(self.right / self.images)\n            self.by_epoch.append(self.shares)"),
         "the same tensor was appended"),
        ("class ClassAccuracy(Callback):\n    def __init__(self, num_classes):\n        self.k, self.by_epoch = num_classes, []\n\n    def before_epoch(self, learner):\n        self.shares = []\n\n"
         "    def after_predict(self, learner):\n        p, y = learner.prediction.argmax(1), learner.y\n        right, images = (torch.bincount(v, minlength=self.k) for v in (y[p == y], y))\n"
         "        self.shares.append(right / images)\n\n    def after_epoch(self, learner):\n        if not learner.training:\n            self.by_epoch.append(torch.stack(self.shares).nanmean(0))",
         "mean of the batches' shares"),
        (_class_accuracy(init="self.k, self.by_epoch, self.right, self.images = num_classes, [], torch.zeros(num_classes), torch.zeros(num_classes)", training="pass",
                         before="if learner.training:\n            self.right.zero_()\n            self.images.zero_()"), "The images of the training pass"),
    ],
    "08.6": [
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
    "08.7": [
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
    "08.8": [
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
    "08.9": [
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
    "08.10": [
        (_make(callbacks="[Metrics(accuracy=accuracy)]"), "nobody steps it"),
        (_make(callbacks="[Metrics(accuracy=accuracy), Schedule(scheduler, by_epoch=True)]"), "stepped once an epoch"),
        (_make(total="epochs", callbacks="[Metrics(accuracy=accuracy), Schedule(scheduler, by_epoch=True)]"), "stepped once an epoch"),
        (_make(total="epochs"), "told the number of epochs"),
        (_make(total="len(train_batches)"), "told the batches of one epoch"),
        (_make(total="epochs * sum(len(y) for _, y in train_batches)"), "counts images here"),
        (_make(factor="lambda step: lr * schedule(step, total)"), "multiplied in twice"),
        (_make(factor="lambda step: schedule(step, total) ** 2"), "multiplied in twice"),
        (_make(optimizer="torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)"), "fixed at 0.01"),
        (_make(factor="lambda step: schedule(step / total, 1)"), "not their ratio"),
        (_make(factor="lambda step: max(schedule(step, total), 0.1)"), "clamped"),
        (_make(factor="lambda step: schedule(total, step)"), "are swapped"),
        (_make(total="epochs * len(val_batches)"), "number of validation batches"),
        (_make(total="epochs * len(train_batches) - 1"), "is 11; wanted 12"),
        (_make(total="epochs * train_batches"), "the number of steps in the whole run"),
        (_make(total="0"), "total of 0"),
        (_make(factor="lambda step: 0.2 + step / total"), "never called"),
        (_make(factor="lambda step: schedule(step + 1, total)"), "one step ahead"),
        (_make(end="scheduler.step()\n    return learner"), "one step ahead"),
        (_make(callbacks="[Metrics(accuracy=accuracy), Each()]").replace("    learner = ", "\n    class Each(Callback):\n        def after_batch(self, learner):\n            scheduler.step()\n\n    learner = "),
         "for the validation batches too"),
        (_make(factor="[schedule(step, total) for step in range(total)].__getitem__"), "one factor more"),
        (_make(optimizer="torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True)"), "nesterov=True"),
        (_make(optimizer="torch.optim.SGD(model.parameters(), lr=lr, momentum=0.85)"), "momentum is 0.85"),
        (_make(optimizer="torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=0.001)"), "weight_decay=0.001"),
        (_make(optimizer="torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, dampening=0.1)"), "dampening=0.1"),
        (_make(optimizer="torch.optim.Adam(model.parameters(), lr=lr)"), "The optimizer is Adam"),
        (_make(optimizer="torch.optim.SGD(nn.Linear(6, 8).parameters(), lr=lr, momentum=0.9)"), "exactly this network's parameters"),
        (_make(loss="nn.CrossEntropyLoss(reduction='sum')"), "reduction='sum'"),
        (_make(loss="lambda z, y: F.cross_entropy(z, y, reduction='sum')"), "sum over the batch"),
        (_make(callbacks="Metrics(accuracy=accuracy), Schedule(scheduler)"), "one argument, a list"),
        (_make().replace("nn.CrossEntropyLoss(), optimizer", "optimizer, nn.CrossEntropyLoss()"), "The loss comes fourth"),
        (_make().replace("nn.CrossEntropyLoss(), optimizer", "nn.CrossEntropyLoss(), scheduler"), "wants the optimizer itself"),
        (_make(optimizer="torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)"), "the factors alone"),
        (_make(optimizer="torch.optim.SGD(model.parameters(), momentum=0.9)"), "default rate"),
        (_make(optimizer="torch.optim.SGD(model.parameters(), lr=lr)"), "momentum is missing"),
        (_make(loss="nn.CrossEntropyLoss(label_smoothing=0.1)"), "The loss is smoothed"),
        (_make(loss="lambda z, y: F.cross_entropy(z.softmax(1), y)"), "softmaxed logits"),
        (_make(loss="nn.CrossEntropyLoss"), "with parentheses"),
        (_make(callbacks="[Schedule(scheduler)]"), "nobody measures"),
        (_make(callbacks="[Metrics(), Schedule(scheduler)]"), "Metrics measures the loss by itself"),
        (_make(callbacks="[Metrics(accuracy), Schedule(scheduler)]"), "takes its functions by name"),
        (_make(callbacks="[Metrics(accuracy=accuracy), Schedule(schedule)]"), "not the function"),
        (_make(callbacks="[Metrics(accuracy=accuracy), Schedule(scheduler), Schedule(scheduler)]"), "stepped twice a batch"),
        (_make(callbacks="Metrics(accuracy=accuracy)"), "The callbacks are a list"),
        (_make(factor="schedule"), "with the step alone"),
        (_make(sets="val_batches, train_batches"), "trains on the validation batches"),
        (_make(sets="train_batches, None"), "no validation"),
        (_make(end="return learner.fit(epochs)"), "leave .fit() to the caller"),
        (_make(end="learner.fit(epochs)\n    return learner"), "leave .fit() to the caller"),
        (_make(end="learner"), "returns None"),
        (_make(callbacks="[Metrics(accuracy=lambda z, y: 100 * accuracy(z, y)), Schedule(scheduler)]"), "In percent"),
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
    "08.5": [
        "class ClassAccuracy(Callback):\n    def __init__(self, num_classes):\n        self.classes, self.by_epoch = range(num_classes), []\n\n"
        "    def before_epoch(self, learner):\n        self.pairs = []\n\n"
        "    def after_predict(self, learner):\n        self.pairs.append((learner.prediction.detach().argmax(1), learner.y))\n\n"
        "    def after_epoch(self, learner):\n        if learner.training:\n            return\n        guess, y = (torch.cat(part) for part in zip(*self.pairs))\n"
        "        self.by_epoch.append(torch.stack([(guess[y == k] == k).double().mean() for k in self.classes]))",
        _class_accuracy(),
    ],
    "08.6": ["def save_model(model, path):\n    with open(path, 'wb') as file:\n        torch.save({k: v.cpu() for k, v in model.state_dict().items()}, file)\n\n"
             "def load_model(model, path):\n    state = torch.load(path, map_location='cpu')\n    model.load_state_dict(state)\n    model.eval()\n    return model"],
    "08.7": ["def confusion(predicted, y, num_classes):\n    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)\n"
             "    return matrix.index_put_((y, predicted), torch.tensor(1), accumulate=True)"],
    "08.8": ["log_a, log_b, log_c, log_d, log_e = 'batch means', 'softmax', 'order', 'eval', 'test set'"],
    "08.9": ["def one_cycle(step, total, start=0.2, peak=0.23, end=0.07):\n    return float(np.interp(step, [0, peak * total, total], [start, 1, end]))"],
    "08.10": [
        "def make_learner(model, train_batches, val_batches, epochs, lr, schedule):\n    steps = epochs * len(train_batches)\n"
        "    opt = torch.optim.SGD([{'params': [p]} for p in model.parameters()], lr=lr, momentum=0.9)\n\n"
        "    class Rate(Callback):\n        def before_fit(self, learner):\n            self.step = 0\n\n        def before_step(self, learner):\n            for group in learner.optimizer.param_groups:\n"
        "                group['lr'] = lr * schedule(self.step, steps)\n            self.step += 1\n\n"
        "    return Learner(model, train_batches, val_batches, F.cross_entropy, opt, [Rate(), Progress(), Metrics(accuracy=accuracy), Device('cpu')])",
        _make(),
    ],
}

CONSTANTS = {
    "08.1": "def channel_statistics(images):\n    return torch.zeros(images.shape[1]), torch.ones(images.shape[1])",
    "08.2": _size("16"),
    "08.3": "class Net(nn.Module):\n    def __init__(self, num_classes=10):\n        super().__init__()\n        self.logits = nn.Parameter(torch.randn(num_classes))\n\n"
            "    def forward(self, x):\n        return self.logits.expand(len(x), -1)",
    "08.4": _counts(**dict.fromkeys(_COUNTS, 0)),
    "08.5": _class_accuracy(after="self.by_epoch.append(torch.zeros(self.k))"),
    "08.6": "def save_model(model, path):\n    torch.save({k: torch.zeros_like(v) for k, v in model.state_dict().items()}, path)\n\ndef load_model(model, path):\n    return model.eval()",
    "08.7": "def confusion(predicted, y, num_classes):\n    return torch.zeros(num_classes, num_classes, dtype=torch.int64)",
    "08.8": _logs(**dict.fromkeys(_LOGS, "softmax")),
    "08.9": "def one_cycle(step, total, start=0.2, peak=0.23, end=0.07):\n    return 1.0",
    "08.10": _make(optimizer="torch.optim.SGD(model.parameters(), lr=0.0)"),
}
