"""Wrong answers that students really give to lab 05, with the message each must get; and right answers written another way."""


def _huber(inside="e**2 / 2", outside="delta * (size - delta / 2)", near="size <= delta", size="e.abs()", end="loss.mean() if reduction == 'mean' else loss.sum() if reduction == 'sum' else loss"):
    return f"""
def huber_loss(input, target, reduction="mean", delta=1.0):
    e = input - target
    size = {size}
    loss = torch.where({near}, {inside}, {outside})
    return {end}
"""


def _log_softmax(body):
    return f"""
def log_softmax(input, dim):
    return {body}
"""


_REDUCE = "loss.mean() if reduction == 'mean' else loss.sum() if reduction == 'sum' else loss"


def _bce(yes="F.logsigmoid(input)", no="F.logsigmoid(-input)", loss="-(w * target * yes + (1 - target) * no)", end=_REDUCE):
    return f"""
def bce_with_logits(input, target, pos_weight=None, reduction="mean"):
    w = 1 if pos_weight is None else pos_weight
    p = torch.sigmoid(input)
    yes = {yes}
    no = {no}
    loss = {loss}
    return {end}
"""


def _mean_ce(body):
    return f"""
def mean_cross_entropy(logits, target):
    rows = torch.arange(len(target))
    log_p = F.log_softmax(logits, dim=1)
    return {body}
"""


def _grad(body, p="torch.softmax(logits / temperature, dim=1)"):
    return f"""
def cross_entropy_grad(logits, target, temperature=1.0):
    p = {p}
    y = F.one_hot(target, logits.shape[1])
    N = len(target)
    return {body}
"""


def _ce(label="torch.where(used, target, 0)", log_p="F.log_softmax(input, 1)", weight="torch.ones(K, dtype=input.dtype) if weight is None else weight",
        loss="(1 - eps) * hard + eps * soft", used="target != ignore_index", soft="-(w * log_p).sum(1) / K", mean="loss.sum() / w[label][used].sum()", none="loss"):
    return f"""
def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    N, K = input.shape
    eps = label_smoothing
    log_p = {log_p}
    used = {used}
    label = {label}
    w = {weight}
    hard = -w[label] * log_p[torch.arange(N), label]
    soft = {soft}
    loss = ({loss}) * used
    if reduction == "none":
        return {none}
    if reduction == "sum":
        return loss.sum()
    return {mean}
"""


_LOSSES = {"sensor": "mse", "prices": "huber", "promise": "mae", "tags": "bce_with_logits", "breed": "cross_entropy", "foreign": "bce"}


def _choose(**other):
    return "\n".join(f"{name} = {value!r}" for name, value in (_LOSSES | other).items())


def _activations(leaky="torch.where(x > 0, x, negative_slope * x)", silu="x * torch.sigmoid(x)", gelu="x * 0.5 * (1 + torch.erf(x / 2**0.5))"):
    return f"""
import math

def leaky_relu(x, negative_slope=0.01):
    return {leaky}

def silu(x):
    return {silu}

def gelu(x):
    return {gelu}
"""


def _dead(count, end="counts", start="counts = []", when="isinstance(layer, nn.ReLU)"):
    return f"""
def dead_units(model, x):
    {start}
    for layer in model:
        x = layer(x)
        if {when}:
            counts.append({count})
    return {end}
"""


MISTAKES = {
    "05.1": [
        (_huber(inside="e**2"), "½ is missing"),
        (_huber(outside="delta * size"), "do not meet"),
        (_huber(outside="size - delta / 2"), "slope must be delta"),
        (_huber(near="size > delta"), "swapped"),
        (_huber(size="e"), "compare |error|"),
        (_huber(end="loss.mean()"), "`reduction` is not obeyed"),
        (_huber(end="loss.mean() if reduction != 'none' else loss"), "`reduction` is not obeyed"),
        ("def huber_loss(input, target, reduction='mean', delta=1.0):\n    return F.smooth_l1_loss(input, target, reduction=reduction, beta=delta)", "smooth L1"),
        ("def huber_loss(input, target, reduction='mean', delta=1.0):\n    return F.huber_loss(input, target, reduction=reduction)", "`delta` is not used"),
        ("def huber_loss(input, target, reduction='mean', delta=1.0):\n    return F.mse_loss(input, target, reduction=reduction)", "squared error everywhere"),
        ("def huber_loss(input, target, reduction='mean', delta=1.0):\n    return F.l1_loss(input, target, reduction=reduction)", "absolute error everywhere"),
        ("def huber_loss(input, target, reduction='mean', delta=1.0):\n    return F.huber_loss(input.detach(), target, reduction=reduction, delta=delta)", "no way back"),
        (_huber(size="((e) ** 2).sqrt()", inside="size**2 / 2"), "gradient is nan"),
        ("def huber_loss(input, target, reduction='mean', delta=1.0):\n    size = (input - target).abs()\n    if size <= delta:\n        return size**2 / 2\n    return size", "asks about all elements at once"),
        (_huber(outside="size - 0.5"), "delta/2, not ½"),
        (_huber(outside="delta * (size - 0.5)"), "delta/2, not ½"),
    ],
    "05.2": [
        (_log_softmax("input - input.exp().sum(dim, keepdim=True).log()"), "subtract each row's largest"),
        (_log_softmax("(input.exp() / input.exp().sum(dim, keepdim=True)).log()"), "subtract each row's largest"),
        (_log_softmax("input.softmax(dim).log()"), "has been rounded to 0"),
        (_log_softmax("(input - input.max()) - (input - input.max()).exp().sum(dim, keepdim=True).log()"), "of the whole tensor"),
        (_log_softmax("input.softmax(dim)"), "These are the probabilities"),
        (_log_softmax("input.log_softmax(-1)"), "Sum along `dim`"),
        (_log_softmax("input - (input - input.amax(dim, keepdim=True)).exp().sum(dim, keepdim=True).log()"), "in the sum only"),
        (_log_softmax("input.logsumexp(dim, keepdim=True)"), "still to be subtracted"),
        (_log_softmax("input - input.amax(dim) - (input - input.amax(dim)).exp().sum(dim).log()"), "keepdim=True"),
        (_log_softmax("input - input.max(dim, keepdim=True)"), "`.values`"),
        (_log_softmax("(input.softmax(dim) + 1e-9).log()"), "A small ε"),
        (_log_softmax("input - input.amax(dim, keepdim=True) - ((input - input.amax(dim, keepdim=True)).exp().sum(dim, keepdim=True) + 1e-6).log()"), "A small ε"),
        (_log_softmax("input.softmax(dim).clamp(min=1e-12).log()"), "A small ε"),
        (_log_softmax("input.clamp(-80, 80) - input.clamp(-80, 80).exp().sum(dim, keepdim=True).log()"), "cut large logits off"),
    ],
    "05.3": [
        (_bce(yes="p.log()", no="(1 - p).log()"), "by way of σ(z)"),
        (_bce(yes="p.log().clamp(min=-100)", no="(1 - p).log().clamp(min=-100)"), "cuts the logarithm off"),
        (_bce(loss="-(1 + (w - 1) * target) * (target * yes + (1 - target) * no)"), "a bit of both"),
        (_bce(yes="(p + 1e-7).log()", no="(1 - p + 1e-7).log()"), "stops growing"),
        (_bce(yes="p.clamp(1e-6, 1 - 1e-6).log()", no="(1 - p.clamp(1e-6, 1 - 1e-6)).log()"), "stops growing"),
        (_bce(loss="w * target * yes + (1 - target) * no"), "sign is wrong"),
        (_bce(loss="-w * target * yes"), "term of the negatives"),
        (_bce(loss="-(target * yes + (1 - target) * no)"), "`pos_weight` is not used"),
        (_bce(loss="-w * (target * yes + (1 - target) * no)"), "multiplies the whole loss"),
        (_bce(loss="-(target * yes + w * (1 - target) * no)"), "at the negatives' term"),
        (_bce(loss="-(w * (1 - target) * yes + target * no)"), "swapped"),
        (_bce(yes="input.log()", no="(1 - input).log()"), "logarithm of a logit"),
        (_bce(loss="(p - target) ** 2"), "squared error of σ(z)"),
        (_bce(end="loss.mean()"), "`reduction` is not obeyed"),
        (_bce(end="loss.sum() / (1 + (w - 1) * target).sum() if reduction == 'mean' else loss.sum() if reduction == 'sum' else loss"), "over the elements"),
        (_bce(yes="input.clamp(max=0) - torch.log1p(torch.exp(-input.abs()))", no="(-input).clamp(max=0) - torch.log1p(torch.exp(-input.abs()))"), "have no corner"),
        (_bce(yes="-F.relu(-input) - torch.log1p(torch.exp(-input.abs()))", no="-F.relu(input) - torch.log1p(torch.exp(-input.abs()))"), "have no corner"),
        (_bce(yes="torch.where(input > -80, p.log(), input)", no="torch.where(input < 15, (1 - p).log(), -input)"), "its gradient is nan"),
        (_bce(yes="-(1 + torch.exp(-input)).log()", no="-(1 + torch.exp(input)).log()"), "without making e^z"),
        (_bce(loss="torch.where(target == 1, -w * yes, -no)"), "took it for 0 or 1"),
        ("def bce_with_logits(input, target, pos_weight=None, reduction='mean'):\n    w = pos_weight or 1\n    loss = w * target * F.softplus(-input) + (1 - target) * F.softplus(input)\n    return " + _REDUCE, "whether it `is None`"),
        ("def bce_with_logits(input, target, pos_weight=None, reduction='mean'):\n    w = 1 if pos_weight is None else pos_weight.item()\n    loss = w * target * F.softplus(-input) + (1 - target) * F.softplus(input)\n    return " + _REDUCE, "it broadcasts"),
        ("def bce_with_logits(input, target, pos_weight=None, reduction='mean'):\n    w = 1 if pos_weight is None else float(pos_weight)\n    loss = w * target * F.softplus(-input) + (1 - target) * F.softplus(input)\n    return " + _REDUCE, "it broadcasts"),
    ],
    "05.4": [
        (_mean_ce("F.cross_entropy(logits.softmax(1), target)"), "softmax stands before"),
        (_mean_ce("log_p[rows, target].mean()"), "sign is wrong"),
        (_mean_ce("-log_p[rows, target].sum()"), "sum over the samples"),
        (_mean_ce("-log_p[rows, target]"), "a loss for each sample"),
        (_mean_ce("-log_p.max(dim=1).values.mean()"), "*predicted* class"),
        (_mean_ce("-log_p[:, target].mean()"), "(N, N)"),
        (_mean_ce("-(F.one_hot(target, logits.shape[1]) * log_p).mean()"), "N · K entries"),
        (_mean_ce("-F.log_softmax(logits, dim=0)[rows, target].mean()"), "you took dim 0"),
        (_mean_ce("-logits[rows, target].mean()"), "logits as they are"),
        (_mean_ce("-logits.softmax(1)[rows, target].log().mean()"), "inf or nan for large logits"),
        (_mean_ce("torch.tensor(F.cross_entropy(logits, target).item(), dtype=logits.dtype)"), "no way back"),
        (_mean_ce("-log_p.gather(1, target).mean()"), "labels as a column"),
    ],
    "05.5": [
        (_grad("(p - y) / temperature"), "1/N of the mean"),
        (_grad("p - y"), "1/N of the mean"),
        (_grad("(y - p) / (N * temperature)"), "sign is wrong"),
        (_grad("p / N"), "one-hot target is still to be subtracted"),
        (_grad("(p - y) / N"), "divides the gradient as well"),
        (_grad("(p - y) / N", p="logits.softmax(1)"), "not used in the softmax"),
        (_grad("(p - y) / (N * temperature)", p="(logits * temperature).softmax(1)"), "You multiplied by the temperature"),
        (_grad("(p - y) / (N * temperature)", p="(logits / temperature).softmax(0)"), "you took dim 0"),
        (_grad("(p - y) / (N * temperature)", p="(logits / temperature).log_softmax(1)"), "off the probabilities"),
        (_grad("(p - y) / (N * temperature)", p="(logits / temperature).exp() / (logits / temperature).exp().sum(1, keepdim=True)"), "overflows"),
        (_grad("(logits - y) / N"), "must become probabilities"),
        (_grad("(p - F.one_hot(target)) / (N * temperature)"), "may lack the last class"),
        (_grad("(F.one_hot(target) - p) / (N * temperature)"), "may lack the last class"),
        (_grad("(p - target) / (N * temperature)"), "Make them one-hot rows"),
        (_grad("(p - target[:, None]) / (N * temperature)"), "class *number*"),
        (_grad("(p - y) / (logits.numel() * temperature)"), "all N · K entries"),
        (_grad("(p - y) / N * temperature"), "you multiplied"),
    ],
    "05.6": [
        (_ce(mean="loss.sum() / used.sum()"), "divided by the sum of *the weights"),
        (_ce(mean="loss.mean()", weight="torch.ones(K, dtype=input.dtype) if weight is None else weight"), "sum of *the weights"),
        (_ce(mean="loss.sum() / w.sum()"), "sum of all classes' weights"),
        (_ce(weight="torch.ones(K, dtype=input.dtype)"), "`weight` is not used"),
        (_ce(label="target"), "used as a column's number"),
        (_ce(label="target", used="target != -100"), "used as a column's number"),
        (_ce(label="target % K", used="torch.ones_like(target, dtype=torch.bool)"), "gives no loss"),
        (_ce(none="loss[used]"), "not left out"),
        (_ce(mean="loss.sum() / w[label].sum()"), "still counted in the mean"),
        (_ce(loss="hard"), "`label_smoothing` is not used"),
        (_ce(soft="(-(w * log_p).sum(1) - hard) / (K - 1)"), "over the K − 1 others"),
        (_ce(soft="-(w * log_p).sum(1)"), "division by the number of classes"),
        (_ce(loss="hard + eps * soft"), "keeps all of it"),
        (_ce(soft="-log_p.mean(1)"), "takes its own weight"),
        (_ce(soft="-w[label] * log_p.mean(1)"), "takes its own weight"),
        (_ce(loss="-((1 - eps) * hard + eps * soft)"), "sign is wrong"),
        (_ce(log_p="F.log_softmax(input.softmax(1), 1)"), "softmax stands before"),
        (_ce(log_p="input.softmax(1).log()"), "inf or a nan"),
        (_ce(none="loss.mean()"), "`reduction` is not obeyed"),
        (_ce(label="F.one_hot(target, K).argmax(1)"), "no class"),
        (_ce(weight="weight"), "may be None"),
        (_ce(label="target.clamp(min=0)"), "may be positive"),
        (_ce(label="torch.where(target >= 0, target, 0)", used="target >= 0"), "may be positive"),
        (_ce(label="F.one_hot(target.clamp(min=0), K).argmax(1)"), "may be positive"),
        (_ce(loss="(1 - eps) * hard + eps * soft + (~used) * 0.0", none="((1 - eps) * hard + eps * soft)"), "thrown away afterwards"),
        (_ce(weight="torch.ones(K, dtype=input.dtype) if weight is None else weight / weight.sum() * K"), "yours were normalized"),
        (_ce(weight="torch.ones(K, dtype=input.dtype)", log_p="F.log_softmax(input if weight is None else input * weight, 1)"), "not the logits"),
        (_ce(mean="loss.sum() / w[label][used].sum().clamp(min=1)"), "may be below 1"),
        (_ce(mean="loss.sum() / (((1 - eps) * w[label] + eps * w.mean()) * used).sum()"), "smoothed targets' weights"),
    ],
    "05.7": [
        (_choose(sensor="huber"), "averaged best by the mean"),
        (_choose(prices="mse"), "let the few wild prices rule"),
        (_choose(prices="mae", promise="huber"), "no small slope near the end"),
        (_choose(promise="mse"), "is the median"),
        (_choose(tags="cross_entropy"), "several tags can be true at once"),
        (_choose(tags="bce"), "linear layer's outputs are logits"),
        (_choose(breed="bce_with_logits"), "the classes compete"),
        (_choose(foreign="bce_with_logits"), "probabilities already"),
        (_choose(breed="nll"), "answer with one of"),
        (_choose(tags="cross_entropy", breed="bce_with_logits"), "breed: not 'bce_with_logits'"),
    ],
    "05.8": [
        (_activations(leaky="torch.relu(x)"), "plain ReLU"),
        (_activations(leaky="torch.where(x > 0, x, torch.full_like(x, negative_slope))"), "not the constant"),
        (_activations(leaky="torch.where(x > 0, negative_slope * x, x)"), "two sides are swapped"),
        (_activations(leaky="torch.where(x > 0, x, -negative_slope * x)"), "sign below 0"),
        (_activations(leaky="F.leaky_relu(x)"), "`negative_slope` is not used"),
        (_activations(leaky="x if x > 0 else negative_slope * x"), "asks about all elements at once"),
        (_activations(silu="torch.sigmoid(x)"), "this is σ(x)"),
        (_activations(silu="x / (1 + torch.exp(x))"), "inside the exponential"),
        (_activations(silu="x * torch.exp(x) / (1 + torch.exp(x))"), "exp overflows for large x"),
        (_activations(silu="x / (1 + torch.exp(-x))"), "its gradient is nan"),
        (_activations(gelu="F.gelu(x, approximate='tanh')"), "approximation by tanh"),
        (_activations(gelu="x * torch.sigmoid(1.702 * x)"), "σ(1.702 x)"),
        (_activations(gelu="x * 0.5 * (1 + torch.erf(x))"), "√2 is missing"),
        (_activations(gelu="x * torch.erf(x / 2**0.5)"), "from −1 to 1"),
        (_activations(gelu="0.5 * (1 + torch.erf(x / 2**0.5))"), "this is Φ(x)"),
        (_activations(gelu="x * (1 + math.erf(x / 2**0.5)) / 2"), "use torch's"),
        ("def leaky_relu(x, negative_slope=0.01):\n    x[x < 0] *= negative_slope\n    return x\n\ndef silu(x):\n    return x * torch.sigmoid(x)\n\ndef gelu(x):\n    return x * (1 + torch.erf(x / 2**0.5)) / 2", "in place"),
    ],
    "05.9": [
        (_dead("(x == 0).sum().item()"), "counted every zero"),
        (_dead("(x == 0).any(dim=0).sum().item()"), "at least one row"),
        (_dead("(x == 0).all(dim=1).sum().item()"), "wrong dimension"),
        (_dead("(x > 0).any(dim=0).sum().item()"), "that are alive"),
        (_dead("(x == 0).all(dim=0).sum().item()", end="sum(counts)"), "Return a list"),
        (_dead("(x == 0).all(dim=0).sum().item()", end="[sum(counts)]"), "sum over all layers"),
        (_dead("(x <= 0).all(dim=0).sum().item()", when="True"), "after each ReLU only"),
        (_dead("(x == 0).all(dim=0).float().mean().item()"), "This is the share"),
        (_dead("(x == 0).all(dim=0).sum().item() / layer.out_features"), "width of what comes out"),
        (_dead("(x == 0).all(dim=0).sum().item())\n            return list(counts"), "inside the loop"),
        (_dead("(x == 0).all(dim=0).sum().item())\n        return list(counts"), "inside the loop"),
        ("def dead_units(model, x):\n    return [(layer(x) == 0).all(dim=0).sum().item() for layer in model if isinstance(layer, nn.ReLU)]", "No unit was counted"),
        ("def dead_units(model, x):\n    counts = []\n    for layer in model:\n        y = layer(x)\n        if isinstance(layer, nn.ReLU):\n            counts.append((y == 0).all(dim=0).sum().item())\n    return counts", "Each layer takes"),
        ("def dead_units(model, x):\n    return [(F.relu(model[0](x)) == 0).all(dim=0).sum().item() for layer in model if isinstance(layer, nn.ReLU)]", "Every count is the first"),
        ("def dead_units(model, x):\n    counts = []\n    for i in range(0, len(model) - 1, 2):\n        x = model[i + 1](model[i](x))\n        counts.append((x == 0).all(dim=0).sum().item())\n    return counts", "not its place"),
        ("def dead_units(model, x):\n    return [int((layer.bias < 0).sum()) for layer in model if isinstance(layer, nn.Linear)][:-1]", "negative bias"),
        ("def dead_units(model, x):\n    model(x).sum().backward()\n    return [int((layer.weight.grad == 0).all(dim=1).sum()) for layer in model if isinstance(layer, nn.Linear)][:-1]", "without a gradient"),
        (_dead("int((x.mean(0) < 1e-6).sum())"), "tiny output is alive"),
        (_dead("int((x.abs() < 1e-3).all(0).sum())"), "tiny output is alive"),
        (_dead("int((x.std(0) == 0).sum())"), "same number for all rows"),
        (_dead("int((x[0] == 0).sum())"), "first row only"),
        (_dead("(x == 0).all(dim=0).sum().item()", when="isinstance(layer, nn.Linear)"), "after each ReLU only"),
    ],
}

RIGHT = {
    "05.1": [
        "def huber_loss(input, target, reduction='mean', delta=1.0):\n    size = (input - target).abs()\n    inner = size.clamp(max=delta)\n    loss = inner**2 / 2 + delta * (size - inner)\n    return " + _REDUCE,
        "def huber_loss(pred, true, reduction='mean', delta=1.0):\n    return delta * F.smooth_l1_loss(pred, true, reduction=reduction, beta=delta)",
    ],
    "05.2": [
        "def log_softmax(input, dim):\n    m = input.max(dim, keepdim=True).values\n    return input - (m + torch.exp(input - m).sum(dim, keepdim=True).log())",
        "def log_softmax(input, dim):\n    m = input.detach().amax(dim).unsqueeze(dim)\n    shifted = input - m\n    return shifted - torch.log(torch.sum(torch.exp(shifted), dim).unsqueeze(dim))",
    ],
    "05.3": [
        _bce(),
        "def bce_with_logits(input, target, pos_weight=None, reduction='mean'):\n    w = 1 if pos_weight is None else pos_weight\n    loss = w * target * F.softplus(-input) + (1 - target) * F.softplus(input)\n    return " + _REDUCE,
        "def bce_with_logits(input, target, pos_weight=None, reduction='mean'):\n    pair = torch.log_softmax(torch.stack([input, torch.zeros_like(input)]), 0)\n    w = 1 if pos_weight is None else pos_weight\n    loss = -(w * target * pair[0] + (1 - target) * pair[1])\n    return " + _REDUCE,
        "def bce_with_logits(input, target, pos_weight=None, reduction='mean'):\n    w = 1 if pos_weight is None else pos_weight\n    log1p = torch.log1p(torch.exp(-input.abs()))\n    zero = torch.zeros_like(input)\n    loss = w * target * (torch.maximum(-input, zero) + log1p) + (1 - target) * (torch.maximum(input, zero) + log1p)\n    return " + _REDUCE,
    ],
    "05.4": [
        _mean_ce("-(F.one_hot(target, logits.shape[1]) * log_p).sum(1).mean()"),
        _mean_ce("(torch.logsumexp(logits, 1) - logits[rows, target]).mean()"),
    ],
    "05.5": [
        "def cross_entropy_grad(logits, target, temperature=1.0):\n    p = F.softmax(logits / temperature, 1)\n    p[torch.arange(len(target)), target] -= 1\n    return p / temperature / len(target)",
        "def cross_entropy_grad(logits, target, temperature=1.0):\n    z = logits.clone().requires_grad_()\n    return torch.autograd.grad(F.cross_entropy(z / temperature, target), z)[0]",
    ],
    "05.6": [
        _ce(),
        """
def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    K = input.shape[1]
    keep = (target != ignore_index).nonzero().squeeze(1)
    w = torch.ones(K).to(input) if weight is None else weight
    kept = target[keep]
    t = F.one_hot(kept, K).to(input) * (1 - label_smoothing) + label_smoothing / K
    loss = -(t * w * torch.log_softmax(input[keep], 1)).sum(1)
    if reduction == "none":
        return input.new_zeros(len(target)).index_add(0, keep, loss)
    return loss.sum() if reduction == "sum" else loss.sum() / w[kept].sum()
""",
    ],
    "05.7": ["sensor, prices, promise = 'mse', 'huber', 'mae'\ntags, breed, foreign = 'bce_with_logits', 'cross_entropy', 'bce'"],
    "05.8": [
        _activations(),
        _activations(leaky="x.clamp(min=0) + negative_slope * x.clamp(max=0)", silu="x * (1 + torch.tanh(x / 2)) / 2", gelu="x * torch.distributions.Normal(0.0, 1.0).cdf(x)"),
    ],
    "05.9": [
        _dead("int(((x > 0).sum(0) == 0).sum())"),
        """
def dead_units(model, x):
    counts = []
    def count(module, inputs, output):
        counts.append(len(output.T[output.amax(0) == 0]))
    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.ReLU)]
    model(x)
    for hook in hooks:
        hook.remove()
    return counts
""",
    ],
}

CONSTANTS = {
    "05.1": "def huber_loss(input, target, reduction='mean', delta=1.0):\n    loss = 0 * input\n    return " + _REDUCE,
    "05.2": "def log_softmax(input, dim):\n    return 0 * input",
    "05.3": "def bce_with_logits(input, target, pos_weight=None, reduction='mean'):\n    loss = 0 * input + 0.6931\n    return " + _REDUCE,
    "05.4": "def mean_cross_entropy(logits, target):\n    return 0 * logits.sum() + 1.386",
    "05.5": "def cross_entropy_grad(logits, target, temperature=1.0):\n    return torch.zeros_like(logits)",
    "05.6": "def cross_entropy(input, target, weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0):\n    loss = 0 * input.sum(1)\n    return " + _REDUCE,
    "05.7": "sensor = prices = promise = tags = breed = foreign = 'mse'",
    "05.8": "def leaky_relu(x, negative_slope=0.01):\n    return 0 * x\n\ndef silu(x):\n    return 0 * x\n\ndef gelu(x):\n    return 0 * x",
    "05.9": "def dead_units(model, x):\n    return [0 for layer in model if isinstance(layer, nn.ReLU)]",
}
