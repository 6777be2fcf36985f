"""Wrong answers that students really give to lab 02, with the message each must get; and right answers written another way."""

_PREDICTIONS = {
    "h_requires_grad": True,
    "h_is_leaf": False,
    "d_requires_grad": False,
    "n_requires_grad": False,
    "h_has_grad": False,
    "x_has_grad": False,
    "w_grad_first": 2,
}


def _predict(**other):
    return "\n".join(f"{name} = {value!r}" for name, value in (_PREDICTIONS | other).items())


def _fit(zero="w.grad = b.grad = None", update="w -= lr * w.grad; b -= lr * b.grad", loss="((x @ w + b - y) ** 2).mean()", kept="losses.append(loss.item())", start="x.shape[1]", end="return w, b, losses"):
    return f"""
def fit_line(x, y, lr, steps):
    w = torch.zeros({start}, dtype=x.dtype, requires_grad=True)
    b = torch.zeros((), dtype=x.dtype, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = {loss}
        loss.backward()
        {kept}
        with torch.no_grad():
            {update}
        {zero}
    {end}
"""


def _accumulate(loss, start="model.zero_grad()", inside="pass", end="pass"):
    return f"""
def accumulate(model, batches):
    total = sum(len(y) for _, y in batches)
    {start}
    for x, y in batches:
        {inside}
        loss = {loss}
        loss.backward()
    {end}
"""


def _difference(value, before="pass"):
    return f"""
def central_difference(f, x, eps):
    grad = torch.empty_like(x)
    for i in range(x.numel()):
        step = torch.zeros(x.numel(), dtype=x.dtype)
        step[i] = eps
        step = step.reshape(x.shape)
        {before}
        grad[tuple(torch.unravel_index(torch.tensor(i), x.shape)) if x.ndim else ...] = {value}
    return grad
"""


def _head(body):
    return f"""
def new_head(model, num_classes):
    {body}
    return model
"""


def _swish(forward="x * torch.sigmoid(beta * x)", backward="grad_output * (s + beta * x * s * (1 - s)), None", save="ctx.save_for_backward(x)", load="(x,) = ctx.saved_tensors"):
    return f"""
class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, beta):
        {save}
        ctx.beta = beta
        return {forward}

    @staticmethod
    def backward(ctx, grad_output):
        {load}
        beta = ctx.beta
        s = torch.sigmoid(beta * x)
        return {backward}
"""


_TOPOLOGICAL = """
        order, seen = [], set()
        def visit(node):
            if node not in seen:
                seen.add(node)
                for source, _ in node.inputs:
                    visit(source)
                order.append(node)
        visit(self)
        for node in order:
            if node.inputs:
                node.grad = 0.0
        self.grad = 1.0
        for node in reversed(order):
            for source, slope in node.inputs:
                source.grad += slope * node.grad
"""


def _engine(add="1.0), (other, 1.0", mul="other.data), (other, self.data", tanh="1 - t * t", backward=_TOPOLOGICAL):
    return f"""
import math

class Value:
    def __init__(self, data, inputs=()):
        self.data = float(data)
        self.grad = 0.0
        self.inputs = inputs

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, ((self, {add}),))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, ((self, {mul}),))

    def tanh(self):
        x = self.data
        t = math.tanh(x)
        return Value(t, ((self, {tanh}),))

    def backward(self):
{backward}

    __radd__ = __add__
    __rmul__ = __mul__
"""


_NO_ORDER = """
        self.grad = 1.0
        seen = set()
        def visit(node):
            if node in seen:
                return
            seen.add(node)
            for source, slope in node.inputs:
                source.grad += slope * node.grad
            for source, _ in node.inputs:
                visit(source)
        visit(self)
"""
_EVERY_PATH = """
        self.grad = 1.0
        def visit(node):
            for source, slope in node.inputs:
                source.grad += slope * node.grad
                visit(source)
        visit(self)
"""
_FROM_ZERO = """
        for source, slope in self.inputs:
            source.grad += slope * self.grad
            source.backward()
"""
_WIPES = _TOPOLOGICAL.replace("if node.inputs:", "if True:")
_KEEPS = _TOPOLOGICAL.replace("if node.inputs:", "if False:")
_TWICE = _TOPOLOGICAL.replace("if node not in seen:", "if True:")
_BACKWARDS = _TOPOLOGICAL.replace("reversed(order)", "order")
_PATHS = """
        def push(node, gradient):
            node.grad += gradient
            for source, slope in node.inputs:
                push(source, slope * gradient)
        push(self, 1.0)
"""
_CLOSURES = """
import math

class Value:
    def __init__(self, data, children=()):
        self.data, self.grad, self.children, self.push = data, 0.0, children, lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))
        def push():
            self.grad += out.grad
            other.grad += out.grad
        out.push = push
        return out

    __radd__ = __add__

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))
        def push():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out.push = push
        return out

    def tanh(self):
        out = Value((math.exp(2 * self.data) - 1) / (math.exp(2 * self.data) + 1), (self,))
        def push():
            self.grad += (1 - out.data ** 2) * out.grad
        out.push = push
        return out

    def backward(self):
        waiting, nodes = {}, [self]
        for node in nodes:
            if node.children:
                node.grad = 0.0
            for child in node.children:
                waiting[id(child)] = waiting.get(id(child), 0) + 1
                if waiting[id(child)] == 1:
                    nodes.append(child)
        self.grad = 1.0
        ready = [self]
        while ready:
            node = ready.pop()
            node.push()
            for child in node.children:
                waiting[id(child)] -= 1
                if waiting[id(child)] == 0:
                    ready.append(child)
"""

MISTAKES = {
    "02.1": [
        ("def sigmoid_grad(x):\n    return torch.sigmoid(x)", "not its derivative"),
        ("def sigmoid_grad(x):\n    return 1 - torch.sigmoid(x)", "This is 1 − σ(x)"),
        ("def sigmoid_grad(x):\n    return x * (1 - x)", "You used x itself"),
        ("def sigmoid_grad(x):\n    e = torch.exp(-x)\n    return -e / (1 + e) ** 2", "The sign is wrong"),
        ("def sigmoid_grad(x):\n    e = torch.exp(-x)\n    return e / (1 + e) ** 2", "infinite in float32"),
        ("def sigmoid_grad(x):\n    x = x.clone().requires_grad_()\n    torch.sigmoid(x).backward()\n    return x.grad", "take the `.sum()` first"),
        ("def sigmoid_grad(x):\n    x = x.clone().requires_grad_()\n    torch.sigmoid(x).mean().backward()\n    return x.grad", "You averaged before"),
        ("def sigmoid_grad(x):\n    torch.sigmoid(x).sum().backward()\n    return x.grad", "Nothing was recorded"),
        ("def sigmoid_grad(x):\n    x.requires_grad_()\n    torch.sigmoid(x).sum().backward()\n    return x.grad", "second call gives twice"),
        ("def sigmoid_grad(x):\n    s = torch.sigmoid(x)\n    return (s * (1 - s)).sum()", "one derivative per element"),
        ("def sigmoid_grad(x):\n    x = x.clone().requires_grad_()\n    return torch.autograd.grad(torch.sigmoid(x).sum(), x)", "take its first item"),
        ("def sigmoid_grad(x):\n    x.requires_grad_()\n    x.grad = None\n    torch.sigmoid(x).sum().backward()\n    grad, x.grad = x.grad, None\n    return grad", "is not as it was"),
        ("def sigmoid_grad(x):\n    x.requires_grad_()\n    x.grad = None\n    torch.sigmoid(x).sum().backward()\n    x.requires_grad_(False)\n    return x.grad", "is not as it was"),
    ],
    "02.2": [
        (_predict(w_grad_first=0), "Write the loss as a sum"),
        (_predict(h_requires_grad=False), "one tracked input is enough"),
        (_predict(h_is_leaf=True), "result of a recorded operation"),
        (_predict(d_requires_grad=True), "without their history"),
        (_predict(n_requires_grad=True), "nothing is recorded"),
        (_predict(h_has_grad=True), "keeps a gradient in leaves only"),
        (_predict(x_has_grad=True), "does not require a gradient"),
        (_predict(w_grad_first=22), "cut that way"),
        (_predict(w_grad_first=1.0), "x is 2 here"),
        (_predict(w_grad_first=6), "sum over the three elements"),
    ],
    "02.3": [
        ("""
def fit_line(x, y, lr, steps):
    layer = nn.Linear(x.shape[1], 1, dtype=x.dtype)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.mse_loss(layer(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return layer.weight[0], layer.bias[0], losses
""", "took the steps"),
        (_fit(kept="losses.append(loss.detach())"), "holds tensors; asked are plain"),
        (_fit(start="x.shape[1], 1"), "broadcasts to (N, N)"),
        (_fit().replace(", dtype=x.dtype", ""), "in x's dtype"),
        (_fit().replace("range(steps)", "range(steps + 1)"), "one step too many"),
        (_fit(loss="((x @ w + b - y) ** 2).mean().sqrt()"), "You took the root"),
        (_fit(loss="(x @ w + b - y).abs().mean()"), "absolute errors"),
        (_fit(zero="pass"), "`backward()` adds"),
        (_fit(update="w += lr * w.grad; b += lr * b.grad"), "You climb"),
        (_fit(loss="((x @ w + b - y) ** 2).sum()"), "sum of the squared errors"),
        (_fit(loss="((x @ w + b - y) ** 2).mean() / 2"), "without ½"),
        (_fit(loss="((x @ w + b - y) ** 2).mean()", update="w -= lr * w.grad"), "`b` never moved"),
        (_fit(loss="((x * w + b - y) ** 2).mean()"), "broadcasts to (N, N)"),
        (_fit(kept="losses.append(loss)"), "keeps its whole graph"),
        (_fit(update="w -= lr * w.grad; b -= lr * b.grad; losses.append(((x @ w + b - y) ** 2).mean().item())", kept="pass"), "starts after the first step"),
        (_fit(end="return w, b"), "Return three things"),
        (_fit(update="w = w - lr * w.grad; b = b - lr * b.grad", zero="pass"), "makes a new tensor without it"),
        (_fit().replace("with torch.no_grad():", "if True:"), "while autograd is watching"),
        (_fit(update="pass", zero="w = w - lr * w.grad; b = b - lr * b.grad"), "Update in place"),
        (_fit().replace("loss.backward()", "pass"), "Was `backward()` called?"),
        (_fit(loss="((x @ w - y) ** 2).mean()"), "Does the loss use both"),
        (_fit(zero="w.grad = None"), "still in `b.grad`"),
        (_fit(zero="b.grad = None"), "still in `w.grad`"),
        (_fit(update="w -= w.grad; b -= b.grad"), "The learning rate is missing"),
        (_fit().replace("w = torch.zeros(x.shape[1]", "w = torch.randn(x.shape[1]"), "start both at zero"),
        (_fit().replace("range(steps)", "range(steps - 1)"), "does the loop run `steps` times"),
        (_fit(kept="losses.append(loss.item())", update="w -= lr * w.grad; b -= lr * b.grad; losses.append(0.0)"), "note each loss once"),
        (_fit().replace("b = torch.zeros(()", "b = torch.zeros(1"), "`b` has shape (1,)"),
    ],
    "02.4": [
        (_accumulate("F.cross_entropy(model(x), y, reduction='sum').detach() / total"), "cut off from the model"),
        (_accumulate("F.cross_entropy(model(x), y) / len(batches)"), "You averaged the batches' mean losses"),
        (_accumulate("F.cross_entropy(model(x), y)"), "never divided"),
        (_accumulate("F.cross_entropy(model(x), y, reduction='sum')"), "divide by their number"),
        (_accumulate("F.cross_entropy(model(x), y, reduction='sum') / total", inside="model.zero_grad()"), "Only the last batch"),
        (_accumulate("F.cross_entropy(model(x), y, reduction='sum') / total", start="pass"), "its old content"),
        (_accumulate("F.cross_entropy(model(x), y) / total"), "You divided twice"),
        (_accumulate("F.cross_entropy(model(x), y, reduction='sum') / total", end="model.zero_grad()"), "set to None afterwards"),
        ("def accumulate(model, batches):\n    model.zero_grad()\n    x, y = (torch.cat(parts) for parts in zip(*batches))\n    F.cross_entropy(model(x), y).backward()", "you joined the batches"),
        (_accumulate("F.cross_entropy(model(x), y, reduction='sum') / total", end="torch.optim.SGD(model.parameters(), lr=0.1).step()"), "changed the weights"),
        (_accumulate("F.cross_entropy(model(x), y, reduction='sum') / n", start="model.zero_grad(); n = 0", inside="n += len(y)"), "samples seen so far"),
        (_accumulate("F.cross_entropy(model(x), y, reduction='sum') / elements", start="model.zero_grad(); elements = sum(x.numel() for x, _ in batches)"), "number of elements of x"),
        ("def accumulate(model, batches):\n    total = sum(len(y) for _, y in batches)\n    model.zero_grad()\n    losses = [F.cross_entropy(model(x), y, reduction='sum') for x, y in batches]\n    (sum(losses) / total).backward()", "all graphs stay in memory"),
        ("def accumulate(model, batches):\n    total = sum(len(y) for _, y in batches)\n    model.zero_grad()\n    losses = [F.cross_entropy(model(x), y, reduction='sum') / total for x, y in batches]\n    for loss in losses:\n        loss.backward()", "inside the loop"),
    ],
    "02.5": [
        (_difference("(f(x + step / 2) - f(x - step / 2)) / eps"), "You moved by ε/2"),
        (_difference("(f(x + step) - f(x - step)) / (2 * eps)").replace("empty_like(x)", "zeros(x.shape)"), "right but float32"),
        ("def central_difference(f, x, eps):\n    grad = torch.zeros_like(x)\n    x = x.clone()\n    flat = x.reshape(-1)\n    for i in range(x.numel()):\n        flat[i] += eps\n        up = f(x)\n        flat[i] -= 2 * eps\n        grad.reshape(-1)[i] = (up - f(x)) / (2 * eps)\n        flat[i] += eps\n    return grad", "Nothing arrived"),
        (_difference("(f(x + step) - f(x)) / eps"), "forward difference"),
        (_difference("(f(x) - f(x - step)) / eps"), "backward difference"),
        (_difference("(f(x + step) - f(x - step)) / eps"), "2ε long"),
        (_difference("(f(x - step) - f(x + step)) / (2 * eps)"), "The sign is wrong"),
        (_difference("(f(x + step) - f(x - step)) / 2 * eps"), "then multiplies by ε"),
        (_difference("(f(x + step) - f(x - step)) / 2"), "but not by ε"),
        ("def central_difference(f, x, eps):\n    grad = torch.zeros_like(x)\n    for i in range(len(x)):\n        up, down = x.clone(), x.clone()\n        up[i] += eps\n        down[i] -= eps\n        grad[i] = (f(up) - f(down)) / (2 * eps)\n    return grad", "a whole row at once"),
        ("def central_difference(f, x, eps):\n    slopes = []\n    for i in range(len(x)):\n        up, down = x.clone(), x.clone()\n        up[i] += eps\n        down[i] -= eps\n        slopes.append((f(up) - f(down)) / (2 * eps))\n    return torch.stack(slopes)", "a whole row at once"),
        ("def central_difference(f, x, eps):\n    x = x.clone()\n    flat, grad = x.view(-1), torch.zeros(x.numel(), dtype=x.dtype)\n    for i in range(len(flat)):\n        flat[i] += eps\n        up = f(x)\n        flat[i] -= 2 * eps\n        grad[i] = (up - f(x)) / (2 * eps)\n        flat[i] += eps\n    return grad.reshape(x.shape)", "is not contiguous"),
        ("def central_difference(f, x, eps):\n    return ((f(x + eps) - f(x - eps)) / (2 * eps)).expand(x.shape)", "all elements at once"),
        ("def central_difference(f, x, eps):\n    x = x.clone().requires_grad_()\n    return torch.autograd.grad(f(x), x)[0]", "exact derivative"),
        (_difference("(f(x + step) - f(x - step)) / (2 * eps); x = x - step"), "Put each back"),
        (_difference("(f(x + step) - f(x - step)) / (2 * eps); x = x.clone(); x += step"), "Put each back"),
        (_difference("(f(x + step) - f(x - step)) / (2 * eps)").replace("    return", "    x += eps\n    return"), "changed its input"),
    ],
    "02.6": [
        ("def vjp(f, x, v):\n    x = x.clone().requires_grad_()\n    (f(x) * v).mean().backward()\n    return x.grad", "You took the mean"),
        ("def vjp(f, x, v):\n    x = x.detach().clone().requires_grad_()\n    f(x).sum().backward()\n    return x.grad", "v has no effect"),
        ("def vjp(f, x, v):\n    return torch.func.jvp(f, (x,), (v,))[1]", "This is J v"),
        ("def vjp(f, x, v):\n    return torch.autograd.functional.jacobian(f, x)", "the Jacobian itself"),
        ("def vjp(f, x, v):\n    x = x.detach().clone().requires_grad_()\n    f(x).sum().backward()\n    return v * x.grad", "You multiplied by v at the end"),
        ("def vjp(f, x, v):\n    x = x.detach().clone().requires_grad_()\n    f(x).backward()\n    return x.grad", "That is v."),
        ("def vjp(f, x, v):\n    f(x).backward(gradient=v)\n    return x.grad", "Nothing was recorded"),
        ("def vjp(f, x, v):\n    x.requires_grad_()\n    f(x).backward(gradient=v)\n    return x.grad", "second call gives twice"),
        ("def vjp(f, x, v):\n    x.requires_grad_()\n    x.grad = None\n    f(x).backward(gradient=v)\n    grad, x.grad = x.grad, None\n    return grad", "is not as it was"),
        ("def vjp(f, x, v):\n    x = x.detach().clone().requires_grad_()\n    return torch.autograd.grad(f(x), x, v)", "take its first item"),
        ("def vjp(f, x, v):\n    x = x.detach().clone().requires_grad_()\n    (v @ f(x)).backward()\n    return x.grad", "fit vectors only"),
        ("def vjp(f, x, v):\n    x = x.detach().clone().requires_grad_()\n    torch.dot(v, f(x)).backward()\n    return x.grad", "fit vectors only"),
    ],
    "02.7": [
        (_head("model.requires_grad_(False); model.fc = nn.Sequential(nn.Linear(model.fc.in_features, num_classes))"), "must be one `nn.Linear`"),
        ("def new_head(model, num_classes):\n    model.requires_grad_(False)\n    return nn.Linear(model.fc.in_features, num_classes)", "not only the new layer"),
        (_head("for name, p in model.named_parameters():\n        p.requires_grad = 'weight' not in name\n    model.fc = nn.Linear(model.fc.in_features, num_classes)"), "Still trainable, though it belongs to the body"),
        (_head("model.requires_grad = False; model.fc = nn.Linear(model.fc.in_features, num_classes)"), "only puts a new attribute"),
        (_head("model.fc = nn.Linear(model.fc.in_features, num_classes); model.requires_grad_(False)"), "Nothing is trainable any more"),
        (_head("model.requires_grad_(False); model.fc.requires_grad_(True); model.fc.out_features = num_classes"), "changes a label"),
        (_head("model.requires_grad_(False); model.fc = nn.Linear(512, num_classes)"), "model.fc.in_features"),
        (_head("model.requires_grad_(False); model.fc = nn.Linear(model.fc.in_features, 10)"), "`num_classes` was 3"),
        ("def new_head(model, num_classes):\n    model.requires_grad_(False)\n    model.fc = nn.Linear(model.fc.in_features, num_classes)", "Return the model"),
        (_head("model.requires_grad_(False); list(model.parameters())[0].requires_grad_(True); model.fc = nn.Linear(model.fc.in_features, num_classes)"), "belongs to the body"),
        (_head("model.fc = nn.Linear(model.fc.in_features, num_classes)\n    for n, p in model.named_parameters():\n        p.requires_grad = 'fc' in n"), "compare with `fc.`"),
        (_head("model.fc = nn.Linear(model.fc.in_features, num_classes)\n    for n, p in model.named_parameters():\n        p.requires_grad = n.startswith('fc')"), "compare with `fc.`"),
        (_head("model.requires_grad_(False); model.fc = nn.Linear(num_classes, model.fc.in_features)"), "the numbers that come in first"),
    ],
    "02.8": [
        (_swish(load="(x,) = ctx.saved_tensors; e = torch.exp(-ctx.beta * x); return grad_output * (1 + e + ctx.beta * x * e) / (1 + e) ** 2, None"), "infinite in float32"),
        (_swish(save="pass"), "Nothing was saved"),
        (_swish().replace("ctx.beta", "Swish.beta"), "belongs into its own ctx"),
        (_swish(backward="grad_output.mul_(s + beta * x * s * (1 - s)), None"), "in place"),
        (_swish(backward="grad_output * (s - beta * x * s * (1 - s)), None"), "not subtracted"),
        (_swish(backward="s + beta * x * s * (1 - s), None"), "`grad_output` is missing"),
        (_swish(backward="grad_output * beta * s * (1 - s), None"), "derivative of σ(βx) alone"),
        (_swish(backward="grad_output * s, None"), "second term is missing"),
        (_swish(backward="grad_output * (s + x * s * (1 - s)), None"), "The inner derivative is missing"),
        (_swish(backward="grad_output * (s + beta * x * s * (1 - s))"), "None for beta"),
        (_swish(backward="grad_output * (s + beta * x * s * (1 - s)), grad_output"), "return None in its place"),
        (_swish(forward="x * torch.sigmoid(x)"), "β is missing"),
        (_swish(forward="torch.sigmoid(beta * x)"), "swish is x · σ(βx)"),
        (_swish(load="x = ctx.saved_tensors"), "is a tuple"),
        (_swish(save="ctx.save_for_backward(x, beta)"), "takes tensors only"),
        (_swish(backward="None, None"), "No gradient comes back"),
        (_swish(save="s = torch.sigmoid(beta * x); ctx.save_for_backward(x, s)", load="x, s = ctx.saved_tensors"), "another tensor than x is kept"),
        (_swish(save="ctx.s = torch.sigmoid(beta * x); ctx.save_for_backward(x)"), "another tensor than x is kept"),
        (_swish(load="(x,) = ctx.saved_tensors; beta = ctx.beta; p = torch.sigmoid(x)", backward="grad_output * (p + beta * x * p * (1 - p)), None"), "where σ(βx) belongs"),
    ],
    "02.9": [
        (_engine(backward=_TOPOLOGICAL.replace("node not in seen", "node.data not in seen").replace("seen.add(node)", "seen.add(node.data)")), "taken for one"),
        (_engine(mul="1.0), (other, 1.0"), "1.0 is the sum's"),
        (_engine(backward=_TOPOLOGICAL.replace("+=", "=")), "`+=`, not `=`"),
        (_engine(backward=_NO_ORDER), "topological order"),
        (_engine(backward=_EVERY_PATH), "topological order"),
        (_engine(backward=_FROM_ZERO), "starts from `self.grad = 1.0`"),
        (_engine(tanh="1 - x * x"), "You put the input there"),
        (_engine(tanh="1 - t"), "you have 1 − t"),
        (_engine(mul="self.data), (other, other.data"), "the other way round"),
        (_engine(backward=_TOPOLOGICAL.replace("slope * node.grad", "slope")), "the chain rule"),
        (_engine(backward=_WIPES), "wiped out"),
        (_engine(backward=_KEEPS), "every node that has inputs"),
        (_engine(backward=_TWICE), "stands in your list twice"),
        (_engine(backward=_BACKWARDS), "end of the list"),
        (_engine(mul="other), (other, self"), "where a Python float belongs"),
        (_engine().replace("math.tanh(x)", "torch.tanh(torch.tensor(x)).item()"), "that is float32"),
    ],
}

RIGHT = {
    "02.1": [
        "def sigmoid_grad(x):\n    return 1 / (4 * torch.cosh(x / 2) ** 2)",
        "def sigmoid_grad(x):\n    s = torch.sigmoid(x)\n    return s * (1 - s)",
    ],
    "02.2": [_predict(w_grad_first=2.0), _predict() + "\nimport torch\nw_grad_first = torch.tensor(2.0)"],
    "02.3": [
        """
def fit_line(x, y, lr, steps):
    w, b, losses = torch.zeros(x.shape[1], dtype=x.dtype), x.new_zeros(()), []
    for _ in range(steps):
        w, b = w.detach().requires_grad_(), b.detach().requires_grad_()
        loss = F.mse_loss(x @ w + b, y)
        losses.append(float(loss.detach()))
        slope_w, slope_b = torch.autograd.grad(loss, (w, b))
        w, b = w - lr * slope_w, b - lr * slope_b
    return w, b, losses
"""
    ],
    "02.4": [
        _accumulate("F.cross_entropy(model(x), y) * len(y) / total"),
        _accumulate("F.cross_entropy(model(x), y) * len(y) / total", inside="shape = model(x).shape"),
        _accumulate("F.cross_entropy(model(x), y) * len(y) / total", start="model.zero_grad(set_to_none=False)"),
        """
def accumulate(model, batches):
    parameters = list(model.parameters())
    sums = [torch.zeros_like(p) for p in parameters]
    count = 0
    for x, y in batches:
        loss = -F.log_softmax(model(x), dim=1)[torch.arange(len(y)), y].sum()
        for kept, grad in zip(sums, torch.autograd.grad(loss, parameters)):
            kept += grad
        count += len(y)
    for p, kept in zip(parameters, sums):
        p.grad = kept / count
""",
        """
def accumulate(model, batches):
    total = sum(len(y) for _, y in batches)
    weights = dict(model.named_parameters())
    def loss(weights, x, y):
        return F.cross_entropy(torch.func.functional_call(model, weights, (x,)), y, reduction="sum") / total
    parts = [torch.func.grad(loss)({name: p.detach() for name, p in weights.items()}, x, y) for x, y in batches]
    for name, p in weights.items():
        p.grad = sum(part[name] for part in parts)
""",
    ],
    "02.5": [
        _difference("(f(x + step) - f(x - step)) / (2 * eps)"),
        """
def central_difference(f, x, eps):
    grad = torch.zeros(x.numel(), dtype=x.dtype)
    for i in range(x.numel()):
        up, down = x.reshape(-1).clone(), x.reshape(-1).clone()
        up[i] += eps
        down[i] -= eps
        grad[i] = (f(up.reshape(x.shape)) - f(down.reshape(x.shape))) / (2 * eps)
    return grad.reshape(x.shape)
""",
    ],
    "02.6": [
        "def vjp(f, x, v):\n    return torch.func.vjp(f, x)[1](v)[0]",
        "def vjp(f, x, v):\n    x = x.detach().clone().requires_grad_()\n    (f(x) * v).sum().backward()\n    return x.grad",
    ],
    "02.7": [
        _head("features = model.fc.in_features\n    for name, p in model.named_parameters():\n        p.requires_grad = name.startswith('fc.')\n    model.fc = nn.Linear(features, num_classes)"),
    ],
    "02.8": [
        _swish(backward="grad_output * s * (1 + beta * x * (1 - s)), None"),
        _swish(save="ctx.x = x", load="x = ctx.x"),
        _swish(save="ctx.save_for_backward(x, torch.tensor(beta))", load="x, _ = ctx.saved_tensors"),
    ],
    "02.9": [_engine(backward=_PATHS), _CLOSURES],
}

CONSTANTS = {
    "02.1": "def sigmoid_grad(x):\n    return torch.full_like(x, 0.25)",
    "02.2": "h_requires_grad = h_is_leaf = d_requires_grad = n_requires_grad = h_has_grad = x_has_grad = True\nw_grad_first = 1",
    "02.3": "def fit_line(x, y, lr, steps):\n    return torch.zeros(x.shape[1], dtype=x.dtype), torch.zeros((), dtype=x.dtype), [0.0] * steps",
    "02.4": "def accumulate(model, batches):\n    for p in model.parameters():\n        p.grad = torch.zeros_like(p)",
    "02.5": "def central_difference(f, x, eps):\n    return torch.zeros_like(x)",
    "02.6": "def vjp(f, x, v):\n    return torch.zeros_like(x)",
    "02.7": "def new_head(model, num_classes):\n    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))",
    "02.8": "class Swish(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x, beta):\n        return torch.zeros_like(x)\n\n    @staticmethod\n    def backward(ctx, grad_output):\n        return torch.zeros_like(grad_output), None",
    "02.9": "class Value:\n    def __init__(self, data):\n        self.data, self.grad = float(data), 0.0\n    def __add__(self, other):\n        return Value(0.0)\n    __radd__ = __mul__ = __rmul__ = __add__\n    def tanh(self):\n        return Value(0.0)\n    def backward(self):\n        pass",
}
