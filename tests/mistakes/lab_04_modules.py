"""Answers to lab 04: mistakes that students really make, with the message each must get; other right ways; and constants."""


def _dense(weight="nn.Parameter((torch.rand(m, n) * 2 - 1) / n**0.5)", bias="nn.Parameter((torch.rand(m) * 2 - 1) / n**0.5)", forward="x @ self.weight.T + self.bias", base="nn.Module"):
    return f"""
class Dense({base}):
    def __init__(self, in_features, out_features):
        super().__init__()
        n, m = in_features, out_features
        self.weight = {weight}
        self.bias = {bias}

    def forward(self, x):
        return {forward}
"""


def _mlp(layers="nn.ModuleList(nn.Linear(n, m) for n, m in zip(sizes, sizes[1:]))", forward="for layer in self.layers[:-1]:\n            x = layer(x).relu()\n        return self.layers[-1](x)"):
    return f"""
class MLP(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = {layers}

    def forward(self, x):
        {forward}
"""


_LENET = """
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)
"""


def _lenet(*changes):
    code = _LENET
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    return code


def _count(**changes):
    right = {"conv1_count": "156", "conv2_count": "2416", "fc1_count": "48120", "total_count": "61706", "conv1_count_64": "156"}
    return "\n".join(f"{name} = {value}" for name, value in (right | changes).items())


def _size(formula, prepare="pass"):
    return f"def output_size(size, kernel, stride=1, padding=0, dilation=1):\n    {prepare}\n    return {formula}"


_RESIDUAL = """
class Residual(nn.Module):
    def __init__(self, channels_in, channels_out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1)
        self.skip = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.skip = nn.Conv2d(channels_in, channels_out, 1, stride)

    def forward(self, x):
        y = F.relu(self.conv1(x))
        y = self.conv2(y)
        return F.relu(y + self.skip(x))
"""


def _residual(*changes):
    code = _RESIDUAL
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    return code


_CENTER = """
class Center(nn.Module):
    def __init__(self, features, momentum=0.1):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(features))

    def forward(self, x):
        if self.training:
            mean = x.mean(0)
            self.mean = (1 - self.momentum) * self.mean + self.momentum * mean.detach()
            return x - mean
        return x - self.mean
"""


def _center(*changes):
    code = _CENTER
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    return code


def _he(std="(2 / part.weight[0].numel()) ** 0.5", loop="model.modules()", test="isinstance(part, (nn.Linear, nn.Conv2d))", draw="part.weight.normal_(0, std)", bias="if part.bias is not None:\n                part.bias.zero_()"):
    return f"""
@torch.no_grad()
def he_init_(model):
    for part in {loop}:
        if {test}:
            std = {std}
            {draw}
            {bias}
"""


def _load(fit="name in own and own[name].shape == value.shape", load="model.load_state_dict(good, strict=False)", back="[name for name in state if name not in good]", own="model.state_dict()"):
    return f"""
def load_matching(model, state):
    own = {own}
    good = {{}}
    for name, value in state.items():
        if {fit}:
            good[name] = value
    {load}
    return {back}
"""


MISTAKES = {
    "04.1": [
        (_dense(weight="(torch.rand(m, n) * 2 - 1) / n**0.5"), "plain tensor"),
        (_dense(weight="nn.Parameter((torch.rand(n, m) * 2 - 1) / n**0.5)", forward="x @ self.weight + self.bias"), "the other way round"),
        (_dense(forward="x @ self.weight + self.bias"), "transpose the weight"),
        (_dense(forward="self.weight @ x + self.bias"), "transpose the weight"),
        (_dense(forward="(self.weight @ x.T).T"), "The bias is missing"),
        (_dense(forward="x @ self.weight.T"), "The bias is missing"),
        (_dense(forward="self.weight @ x.T + self.bias[:, None]"), "The result is transposed"),
        (_dense(forward="(x @ self.weight.T + self.bias).relu()"), "There is a ReLU in it"),
        (_dense(forward="x @ self.weight.data.T + self.bias"), "No gradient reaches `weight`"),
        (_dense(weight="nn.Parameter(torch.zeros(m, n))"), "are equal"),
        (_dense(bias="nn.Parameter(torch.zeros(m))"), "zeros are another start (section 8)"),
        (_dense(bias="nn.Parameter(torch.ones(m) * torch.rand(1) / n**0.5)"), "All numbers of a new `bias` are equal"),
        (_dense(weight="nn.Parameter(torch.randn(m, n))"), "wanted are uniform ones"),
        (_dense(weight="nn.Parameter(torch.rand(m, n) / n**0.5)"), "positive numbers only"),
        (_dense(weight="nn.Parameter((torch.rand(m, n) * 2 - 1) / n)"), "only; wanted are uniform"),
        (_dense(weight="nn.Parameter((torch.rand(m, n) * 2 - 1) / m**0.5)"), "Is it in_features that stands under the root"),
        (_dense().replace("n, m = in_features, out_features", "n, m = in_features, out_features; torch.manual_seed(1)"), "leave the seed to the caller"),
        (_dense().replace("self.weight", "self.w"), "Is it called `self.weight`"),
        (_dense(base="object"), "It is not a module"),
        (_dense().replace("super().__init__()", "pass"), "must come first"),
        ("class Dense(nn.Module):\n    def __init__(self, n, m):\n        super().__init__()\n        self.layer = nn.Linear(n, m)\n    def forward(self, x):\n        return self.layer(x)", "There is another layer inside"),
        (_dense().replace("self.weight =", "self.register_buffer('weight', torch.zeros(m, n)); weight ="), "is a buffer here"),
    ],
    "04.2": [
        (_mlp(layers="[nn.Linear(n, m) for n, m in zip(sizes, sizes[1:])]"), "is a plain list"),
        (_mlp(forward="for layer in self.layers:\n            x = layer(x).relu()\n        return x"), "after the last layer too"),
        (_mlp(forward="for layer in self.layers:\n            x = layer(x)\n        return x"), "no ReLU between the layers"),
        (_mlp(forward="for layer in self.layers:\n            x = layer(x)\n        return x.relu()"), "stands after the last layer, and not between"),
        (_mlp(forward="for layer in self.layers:\n            x = layer(x.relu())\n        return x"), "in front of the first layer"),
        (_mlp(forward="for layer in self.layers[:-1]:\n            x = layer(x).tanh()\n        return self.layers[-1](x)"), "Another activation"),
        (_mlp(forward="for layer in self.layers[:-1]:\n            x = layer(x).relu()\n        return self.layers[-1](x).softmax(1)"), "softmax at the end"),
        (_mlp(forward="return self.layers(x)"), "cannot be called"),
        (_mlp(layers="nn.Sequential(*[part for n, m in zip(sizes, sizes[1:]) for part in (nn.Linear(n, m), nn.ReLU())][:-1])", forward="return self.layers(x)"), "a ReLU perhaps"),
        (_mlp(layers="nn.ModuleList(nn.Linear(n, m) for n, m in zip(sizes[:-1], sizes[1:-1]))"), "or one forgotten"),
        (_mlp(layers="nn.ModuleList(nn.Linear(m, n) for n, m in zip(sizes, sizes[1:]))"), "the other way round"),
        (_mlp().replace("self.layers", "self.parts"), "Assign the layers to `self.layers`"),
        (_mlp(layers="nn.ModuleList([nn.Linear(sizes[0], sizes[1]), nn.Linear(sizes[1], sizes[2]), nn.Linear(sizes[2], sizes[3])])"), "The plain case works"),
        (_mlp(layers="nn.ModuleList(zip(sizes, sizes[1:]))"), "holds modules"),
        (_mlp().replace("super().__init__()", "pass"), "must come first"),
        (_mlp(layers="nn.ModuleList(nn.Linear(n, m, bias=False) for n, m in zip(sizes, sizes[1:]))"), "made with `bias=False`"),
        (_mlp(forward="for layer in self.layers:\n            x = layer(x)\n            x = x if layer.out_features == self.layers[-1].out_features else x.relu()\n        return x"), "not for its size"),
        (_mlp(forward="for layer in self.layers[:-1]:\n            x = F.leaky_relu(layer(x))\n        return self.layers[-1](x)"), "Another activation"),
        (_mlp().replace("super().__init__()", "super().__init__()\n        first = sizes.pop(0)\n        sizes = [first, *sizes]"), "`sizes = list(sizes)`"),
    ],
    "04.3": [
        (_lenet(("F.relu(self.conv1(x))", "self.conv1(x)")), "The ReLU after conv1 is missing"),
        (_lenet(("F.relu(self.conv1(x))", "self.conv1(x)"), ("F.relu(self.conv2(x))", "self.conv2(x)")), "ReLUs after the convolutions are missing"),
        (_lenet(("F.relu(self.fc2(x))", "self.fc2(x)")), "The ReLU after fc2 is missing"),
        (_lenet(("F.relu", "")), "There is no ReLU at all"),
        (_lenet(("return self.fc3(x)", "return F.relu(self.fc3(x))")), "ReLU after fc3"),
        (_lenet(("return self.fc3(x)", "return F.softmax(self.fc3(x), dim=1)")), "softmax at the end"),
        (_lenet(("F.max_pool2d", "F.avg_pool2d")), "The pooling averages"),
        (_lenet(("F.relu", "torch.sigmoid")), "Another activation than ReLU"),
        (_lenet(("F.relu", "F.leaky_relu")), "Another activation than ReLU"),
        (_lenet(("torch.flatten(x, 1)", "x.reshape(400, -1).T")), "keeps one row an image"),
        (_lenet(("84, 10)", "84, 10, bias=False)")), "`fc3` has a weight, but no bias"),
        (_lenet(("F.max_pool2d(F.relu(self.conv2(x)), 2)", "F.relu(self.conv2(x))")), "Is a pooling missing"),
        (_lenet(("torch.flatten(x, 1)", "torch.flatten(x)")), "Is it `flatten(1)`"),
        (_lenet(("torch.flatten(x, 1)", "x.view(len(x), 200)")), "do not divide into rows"),
        (_lenet(("self.fc1 = nn.Linear(400, 120)", "self.fc1 = nn.Linear(256, 120)")), "`fc1.weight` has shape (120, 256)"),
        (_lenet(("self.conv1", "self.c1")), "as `self.conv1`"),
        (_lenet(("super().__init__()", "pass")), "must come first"),
        (_lenet(("F.relu(self.fc1(x))", "nn.ReLU(self.fc1(x))")), "`nn.ReLU(x)` makes a module"),
        (_lenet(("(x)), 2)\n        x = torch", "(x)))\n        x = torch")), "is a function of x"),
        (_lenet(("        return self.fc3(x)", "        self.fc3(x)")), "Is a `return` missing"),
    ],
    "04.4": [
        (_count(conv1_count="150"), "a bias too"),
        (_count(conv1_count="26"), "there are six kernels"),
        (_count(conv1_count="156 * 28 * 28"), "they count once"),
        (_count(conv2_count="16 * 26"), "all 6 channels at once"),
        (_count(conv2_count="2400"), "a bias too"),
        (_count(conv2_count="16 * 6 * 26"), "one bias a kernel"),
        (_count(fc1_count="48000"), "a bias too"),
        (_count(fc1_count="120 * 17"), "400 numbers, not 16"),
        (_count(fc1_count="120 * 1601"), "the pooling comes before it"),
        (_count(total_count="61470"), "the biases are missing"),
        (_count(total_count="50692"), "fc2 and fc3 are missing"),
        (_count(conv1_count_64="624"), "slide further"),
        (_count(conv1_count="150", fc1_count="48000"), "2 of the 5 are wrong: conv1_count, fc1_count. conv1_count: each"),
    ],
    "04.5": [
        (_size("(size + 2 * padding - kernel) // stride + 1"), "The dilation is not used"),
        (_size("(size + 2 * padding - kernel * dilation) // stride + 1"), "one gap too many"),
        (_size("(size + 2 * padding - dilation * (kernel - 1)) // stride + 1"), "one more than the steps between them"),
        (_size("(size + 2 * padding - dilation * (kernel - 1) - 1) // stride"), "The + 1 is missing"),
        (_size("(size + 2 * padding - dilation * (kernel - 1) - 1 + 1) // stride"), "add it after the division"),
        (_size("(size + padding - dilation * (kernel - 1) - 1) // stride + 1"), "it counts twice"),
        (_size("(size - dilation * (kernel - 1) - 1) // stride + 1"), "The padding is not counted"),
        (_size("(size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1"), "// in place of /"),
        (_size("math.ceil((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1"), "Rounded up"),
        (_size("size + 2 * padding - dilation * (kernel - 1)"), "The stride is not used"),
        (_size("float((size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)"), "an int"),
        (_size("None"), "is a `return` missing"),
        (_size("(size + 2 * padding - (kernel + dilation - 1)) // stride + 1"), "in each gap"),
    ],
    "04.6": [
        (_residual(("F.relu(y + self.skip(x))", "F.relu(y)")), "The input is not added"),
        (_residual(("F.relu(y + self.skip(x))", "F.relu(y) + self.skip(x)")), "The ReLU stands before the sum"),
        (_residual(("F.relu(y + self.skip(x))", "y + self.skip(x)")), "The last ReLU is missing"),
        (_residual(("y = F.relu(self.conv1(x))", "y = self.conv1(x)")), "between the two convolutions is missing"),
        (_residual(("F.relu", "")), "Both ReLUs are missing"),
        (_residual(("self.skip(x))", "self.skip(x).relu())")), "should let its input through"),
        (_residual(("if stride != 1 or channels_in != channels_out:", "if True:")), "needs no convolution"),
        (_residual(("if stride != 1 or channels_in != channels_out:", "if channels_in != channels_out:")), "needs a 1 × 1 convolution"),
        (_residual(("channels_out, 1, stride)", "channels_out, 3, stride, 1)")), "as cheap as possible"),
        (_residual(("channels_out, 1, stride)", "channels_out, 1)")), "needs the block's stride"),
        (_residual(("channels_out, 3, 1, 1)", "channels_out, 3, stride, 1)")), "`conv2` has stride 1"),
        (_residual(("channels_out, 3, stride, 1)", "channels_out, 3, stride)")), "have padding 1"),
        (_residual(("nn.Identity()", "None")), "`self.skip` is None"),
        (_residual(("3, 1, 1)", "3, 1, 1, bias=False)")), "made with `bias=False`"),
        (_residual(("y = self.conv2(y)", "y = F.relu(self.conv2(y))")), "There is a ReLU before the sum too"),
        (_residual(("self.skip(x))", "self.skip(self.conv1(x)))")), "is `conv1`'s output"),
        (_residual(("        y = F.relu(self.conv1(x))", "        x = y = F.relu(self.conv1(x))")), "is `conv1`'s output"),
        (_residual(("channels_out, 3, stride, 1)", "channels_out, 3, 1, 1)"), ("channels_out, channels_out, 3, 1, 1)", "channels_out, channels_out, 3, stride, 1)")), "The stride is `conv2`'s here"),
        (_residual(("nn.Conv2d(channels_in, channels_out, 1, stride)", "nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride))")), "not a `Sequential` that holds it"),
        (_residual(("y + self.skip(x)", "y + x")), "different shapes"),
    ],
    "04.7": [
        (_center(('self.register_buffer("mean", torch.zeros(features))', "self.mean = torch.zeros(features)")), "plain attribute"),
        (_center(('self.register_buffer("mean", torch.zeros(features))', "self.mean = nn.Parameter(torch.zeros(features))")), "the optimizer would train it"),
        (_center(("(1 - self.momentum) * self.mean + self.momentum * mean.detach()", "self.momentum * self.mean + (1 - self.momentum) * mean.detach()")), "The shares are swapped"),
        (_center(("(1 - self.momentum) * self.mean +", "self.mean +")), "keeps its full weight"),
        (_center(("(1 - self.momentum) * self.mean + self.momentum * mean.detach()", "mean.detach()")), "is the last batch's mean"),
        (_center(("            self.mean =", "            running =")), "does not move in training"),
        (_center(("return x - mean\n", "return x - self.mean\n")), "subtracted the running mean"),
        (_center(("        if self.training:", "        if not self.training:")), "subtracted the running mean"),
        (_center(("        if self.training:", "        if True:")), "subtracted the mean of this batch"),
        (_center(("mean.detach()", "mean")), "requires a gradient"),
        (_center(("x.mean(0)", "x.mean()")), "one mean for all"),
        (_center(("mean = x.mean(0)", "mean = x.mean(1, keepdim=True)"), ("mean.detach()", "mean.detach().mean()")), "the mean of each row"),
        (_center(("return x - mean\n", "return (x - mean) / x.std(0)\n")), "divided by the spread"),
        (_center(("return x - mean\n        return x - self.mean", "return x - mean\n        return x")), "nothing was subtracted"),
        (_center(("        if self.training:\n", "        batch = x.detach().mean(0)\n        self.mean = self.mean.lerp(batch, self.momentum)\n        if self.training:\n"), ("            self.mean = (1 - self.momentum) * self.mean + self.momentum * mean.detach()\n", "")), "moved before it was subtracted"),
        (_center(("        return x - self.mean", "        y = x - self.mean\n        self.mean = self.mean.lerp(x.mean(0), self.momentum)\n        return y")), "moved in evaluation"),
        (_center(("torch.zeros(features)", "torch.ones(features)")), "starts at 1"),
        (_center(("torch.zeros(features)", "torch.zeros(1)")), "is one number; it has one a feature"),
        (_center(("    def forward", "    @torch.no_grad()\n    def forward")), "no gradient comes back"),
        (_center(("return x - mean\n", "return x - mean.detach()\n")), "The mean that you subtract is detached"),
        (_center(("            return x - mean\n", "            x -= mean\n            return x\n")), "You changed x in place"),
        (_center(("        return x - self.mean", "        x -= self.mean\n        return x")), "changed its input `x`"),
        (_center(("torch.zeros(features)", "torch.zeros(1, features)")), "has shape (1, features)"),
        (_center(("torch.zeros(features)", "torch.zeros(features), persistent=False")), "`persistent=False`"),
        (_center(("(1 - self.momentum) * self.mean + self.momentum * mean", "0.9 * self.mean + 0.1 * mean")), "whatever `momentum` is"),
        (_center(("super().__init__()", "pass")), "must come first"),
        (_center(('"mean", torch', '"running", torch')).replace("self.mean", "self.running"), "has no `mean`"),
    ],
    "04.8": [
        (_he(std="(1 / part.weight[0].numel()) ** 0.5"), "the 2 that makes up for the ReLU is missing"),
        (_he(std="2 / part.weight[0].numel()"), "it is the variance"),
        (_he(std="(2 / part.weight.shape[0]) ** 0.5"), "fan-*out*"),
        (_he(draw="nn.init.xavier_normal_(part.weight)"), "Xavier"),
        (_he(std="1"), "standard normal"),
        (_he(draw="nn.init.kaiming_normal_(part.weight, mode='fan_out')"), "fan-*out*"),
        (_he(std="(2 / part.weight.shape[1]) ** 0.5"), "The kernel's size is missing"),
        (_he(std="(2 / part.weight.numel()) ** 0.5"), "all numbers in the weight"),
        (_he(draw="nn.init.kaiming_uniform_(part.weight, nonlinearity='relu')"), "the numbers are uniform"),
        (_he(draw="part.weight.fill_(std)"), "are equal: draw them at random"),
        (_he(bias="pass"), "set it to 0"),
        (_he(bias="part.bias.zero_()"), "made with bias=False"),
        (_he(loop="model.children()"), "Look at *all* depths"),
        (_he(test="hasattr(part, 'weight')", std="0.08", draw="part.weight.normal_(0, (2 / part.weight[0].numel()) ** 0.5)"), "belongs to neither"),
        (_he(test="hasattr(part, 'weight')", draw="nn.init.kaiming_normal_(part.weight, nonlinearity='relu')"), "has one dimension"),
        (_he(test="isinstance(part, nn.Linear)"), "Convolutions are asked for, too"),
        (_he(draw="w = torch.randn(part.weight.shape) * std"), "`w = …` names a new tensor"),
        ("def he_init_(model):\n    for name, p in model.named_parameters():\n        model.state_dict()[name] = torch.randn(p.shape) * (2 / p[0].numel()) ** 0.5 if p.ndim > 1 else p.detach().zero_()", "changes a dict, not the model"),
        (_he(draw="part.weight.mul_(6**0.5)"), "depend on the old ones"),
        (_he(draw="part.weight.mul_(std / part.weight.std())"), "depend on the old ones"),
        (_he(draw="part.weight.fill_(torch.randn(1).item() * std)"), "are equal: draw them at random"),
        (_he().replace("    for part", "    torch.manual_seed(0)\n    for part"), "is there a seed inside"),
        (_he().replace("@torch.no_grad()\n", ""), "must not be recorded"),
        (_he(draw="torch.manual_seed(0); part.weight.normal_(0, std)"), "is there a seed inside"),
        (_he(draw="part.weight = torch.randn(part.weight.shape) * std"), "Change the numbers in place"),
        (_he(draw="part.weight = nn.Parameter(torch.randn(part.weight.shape) * std, requires_grad=False)"), "no longer requires a gradient"),
        (_he(draw="part.weight.normal_(std, std)"), "has mean"),
        (_he(draw="part.weight = nn.Parameter(torch.randn_like(part.weight) * std)"), "a new parameter in its place"),
    ],
    "04.9": [
        ("def load_matching(model, state):\n    model.load_state_dict(state, strict=False)\n    return []", "not shapes"),
        ("def load_matching(model, state):\n    model.load_state_dict(state)\n    return []", "not shapes"),
        (_load(load="model.load_state_dict(good)"), "load with `strict=False`"),
        (_load(fit="own[name].shape == value.shape"), "ask `name in own` first"),
        (_load(fit="name in own and own[name].numel() == value.numel()"), "not shapes"),
        (_load(load="own.update(good)"), "nothing was loaded"),
        (_load(back="list(good)"), "names that were loaded"),
        (_load(back="[name for name in own if name not in good]"), "that the *model* has"),
        (_load(back="[name for name in state if name not in own]"), "Names with another shape are left out too"),
        (_load(back="None"), "Is a `return` missing"),
        (_load(load="report = model.load_state_dict(good, strict=False)", back="report"), "returns is another thing"),
        (_load(own="dict(model.named_parameters())"), "These are buffers"),
        (_load(load="model.load_state_dict(good, strict=False, assign=True)"), "now share the numbers"),
        (_load(load="for name, p in model.named_parameters():\n        if name in good:\n            p.data = good.pop(name)\n    model.load_state_dict(good, strict=False)", back="[name for name in state if name not in own or own[name].shape != state[name].shape]"), "now share the numbers"),
        (_load(fit="all(k in own and own[k].shape == state[k].shape for k in state if k.rpartition('.')[0] == name.rpartition('.')[0])"), "fits by name and shape, and was left out"),
        ("def load_matching(model, state):\n    own, out = model.state_dict(), []\n    for mine, (name, value) in zip(own.values(), state.items()):\n        if mine.shape == value.shape:\n            mine.copy_(value)\n        else:\n            out.append(name)\n    return out", "by its name, not by its place"),
        ("def load_matching(model, state):\n    own = model.state_dict()\n    out = [name for name in state if name not in own or own[name].shape != state[name].shape]\n    for name in out:\n        del state[name]\n    model.load_state_dict(state, strict=False)\n    return out", "`state = dict(state)`"),
        ("def load_matching(model, state):\n    own = model.state_dict()\n    out = []\n    for name in state:\n        if name not in own or own[name].shape != state[name].shape:\n            out.append(name)\n            state.pop(name)\n    model.load_state_dict(state, strict=False)\n    return out", "while you loop over it"),
        (_load(fit="name in own and own[name].shape == value.shape and 'head' not in name"), "fits by name and shape, and was not loaded"),
        ("def load_matching(model, state):\n    own, out = model.state_dict(), []\n    for name, value in state.items():\n        try:\n            own[name].copy_(value)\n        except RuntimeError:\n            out.append(name)\n    return out", "ask `name in own` first"),
    ],
}

RIGHT = {
    "04.1": [
        _dense(forward="F.linear(x, self.weight, self.bias)"),
        _dense(weight="nn.Parameter(torch.empty(m, n))", bias="nn.Parameter(torch.empty(m)); [nn.init.uniform_(p, -1 / n**0.5, 1 / n**0.5) for p in (self.weight, self.bias)]", forward="torch.einsum('...n,mn->...m', x, self.weight) + self.bias"),
        _dense(weight="nn.Parameter(torch.empty(m, n)); nn.init.kaiming_uniform_(self.weight, a=5**0.5)"),
    ],
    "04.2": [
        _mlp(forward="for i, layer in enumerate(self.layers):\n            x = layer(x)\n            if i < len(self.layers) - 1:\n                x = F.relu(x)\n        return x"),
        _mlp(layers="nn.Sequential(*[nn.Linear(n, m) for n, m in zip(sizes, sizes[1:])])", forward="*first, last = self.layers\n        for layer in first:\n            x = layer(x).clamp(min=0)\n        return last(x)"),
        _mlp(layers="nn.ModuleList()\n        for n, m in zip(sizes, sizes[1:]):\n            self.layers.append(nn.Linear(n, m))"),
    ],
    "04.3": [
        _lenet(("F.max_pool2d(F.relu(self.conv1(x)), 2)", "F.relu(F.max_pool2d(self.conv1(x), (2, 2)))"), ("torch.flatten(x, 1)", "x.reshape(-1, 400)")),
        _lenet(("super().__init__()", "super().__init__()\n        self.pool, self.act = nn.MaxPool2d(2), nn.ReLU()"), ("F.relu", "self.act"), ("F.max_pool2d(self.act(self.conv1(x)), 2)", "self.pool(self.act(self.conv1(x)))")),
    ],
    "04.4": [_count(conv1_count="6 * 25 + 6", total_count="156 + 2416 + 48120 + 10164 + 850"), "net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10))\nconv1_count, conv2_count, fc1_count, *_ = [sum(p.numel() for p in part.parameters()) for part in net]\ntotal_count, conv1_count_64 = sum(p.numel() for p in net.parameters()), conv1_count"],
    "04.5": [
        _size("len(range(0, size + 2 * padding - dilation * (kernel - 1), stride))"),
        _size("int((size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1)"),
    ],
    "04.6": [
        _residual(),
        "class Residual(nn.Module):\n    def __init__(self, channels_in, channels_out, stride=1):\n        super().__init__()\n        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1)\n        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding='same')\n        self.skip = nn.Sequential() if (channels_in, 1) == (channels_out, stride) else nn.Conv2d(channels_in, channels_out, 1, stride=stride)\n    def forward(self, x):\n        y = self.skip(x)\n        y = y + self.conv2(self.conv1(x).clamp(min=0))\n        return torch.relu(y)",
    ],
    "04.7": [
        _center(("self.mean = (1 - self.momentum) * self.mean + self.momentum * mean.detach()", "self.mean.mul_(1 - self.momentum).add_(self.momentum * mean.detach())")),
        _center(("            self.mean = (1", "            self.mean += self.momentum * (mean.detach() - self.mean)\n            unused = (1")),
        "class Center(nn.Module):\n    def __init__(self, features, momentum=0.1):\n        super().__init__()\n        self.m = momentum\n        self.register_buffer('mean', torch.zeros(features))\n    def forward(self, x):\n        mean = x.mean(0) if self.training else self.mean\n        if self.training:\n            self.mean.data += self.m * (mean.data - self.mean)\n        return x - mean",
    ],
    "04.8": [
        "def he_init_(model):\n    def start(part):\n        if isinstance(part, (nn.Linear, nn.Conv2d)):\n            nn.init.kaiming_normal_(part.weight, nonlinearity='relu')\n            if part.bias is not None:\n                nn.init.zeros_(part.bias)\n    model.apply(start)",
        _he(std="(2 / (part.in_features if isinstance(part, nn.Linear) else part.in_channels * part.kernel_size[0] * part.kernel_size[1])) ** 0.5", draw="part.weight.copy_(torch.randn_like(part.weight) * std)"),
    ],
    "04.9": [
        "def load_matching(model, state):\n    own, out = model.state_dict(), []\n    for name, value in state.items():\n        if name in own and own[name].shape == value.shape:\n            own[name] = value\n        else:\n            out.append(name)\n    model.load_state_dict(own)\n    return out",
        "def load_matching(model, state):\n    own, out = model.state_dict(), set(state)\n    for name in set(own) & set(state):\n        if own[name].shape == state[name].shape:\n            own[name].copy_(state[name])\n            out.remove(name)\n    return out",
    ],
}

CONSTANTS = {
    "04.1": "class Dense(nn.Module):\n    def __init__(self, n, m):\n        super().__init__()\n        self.weight, self.bias = nn.Parameter(torch.zeros(m, n)), nn.Parameter(torch.zeros(m))\n    def forward(self, x):\n        return x.new_zeros(*x.shape[:-1], len(self.bias))",
    "04.2": _mlp(forward="return x.new_zeros(len(x), self.layers[-1].out_features)"),
    "04.3": _lenet(("return self.fc3(x)", "return torch.zeros_like(self.fc3(x))")),
    "04.4": _count(conv1_count="0", conv2_count="0", fc1_count="0", total_count="0", conv1_count_64="0"),
    "04.5": _size("28"),
    "04.6": _residual(("F.relu(y + self.skip(x))", "torch.zeros_like(y)")),
    "04.7": _center(("return x - mean\n        return x - self.mean", "return torch.zeros_like(x)\n        return torch.zeros_like(x)")),
    "04.8": _he(draw="part.weight.zero_()"),
    "04.9": "def load_matching(model, state):\n    return []",
}
