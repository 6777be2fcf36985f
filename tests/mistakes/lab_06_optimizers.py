"""Wrong answers that students really give to lab 06, with the message each must get; and right answers written another way."""


def _optimizer(name, defaults, body, before=""):
    """An optimizer whose step runs `body` for each parameter p of each group with a gradient."""
    args = ", ".join(f"{key}={value!r}" for key, value in defaults.items())
    pairs = ", ".join(f"{key}={key}" for key in defaults)
    return f"""
class {name}(torch.optim.Optimizer):
    def __init__(self, params, {args}):
        super().__init__(params, dict({pairs}))
        self.shared = {{}}
        self.t = 0

    @torch.no_grad()
    def step(self):
        {before}
        for group in self.param_groups:
            lr = group["lr"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
{_indent(body)}
"""


def _indent(body, by=16):
    return "\n".join(" " * by + line for line in body.strip("\n").splitlines())


def _plain(body="p += (1 if group['maximize'] else -1) * lr * p.grad"):
    return _optimizer("GradientDescent", {"lr": 1e-3, "maximize": False}, body)


_SGD_DEFAULTS = {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "maximize": False}
_ARGUMENTS = """
mu, tau, decay = group["momentum"], group["dampening"], group["weight_decay"]
"""


def _sgd(g="g = (-p.grad if group['maximize'] else p.grad) + decay * p", first="v = g.clone()", later="v = mu * state['v'] + (1 - tau) * g",
         keep="state['v'] = v", use="g = g + mu * v if group['nesterov'] else v", move="p -= lr * g", state="state"):
    return _optimizer("SGD", _SGD_DEFAULTS, _ARGUMENTS + f"""
state = {state}
{g}
if mu:
    if 'v' not in state:
        {first}
    else:
        {later}
    {keep}
    {use}
{move}
""")


_RMS_DEFAULTS = {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False, "maximize": False}


def _rms(g="g = (-p.grad if group['maximize'] else p.grad) + group['weight_decay'] * p", s="state['s'] = alpha * state['s'] + (1 - alpha) * g * g", a="state['a'] = alpha * state['a'] + (1 - alpha) * g",
         centered="var = var - state['a'] ** 2", root="var.sqrt() + eps", b="state['b'] = group['momentum'] * state['b'] + d", move="p -= lr * d", state="state", start="torch.zeros_like(p)"):
    return _optimizer("RMSprop", _RMS_DEFAULTS, f"""
alpha, eps = group["alpha"], group["eps"]
state = {state}
if not state:
    state.update(s={start}, a=torch.zeros_like(p), b=torch.zeros_like(p), t=0)
state['t'] += 1
{g}
{s}
{a}
var = state['s']
if group['centered']:
    {centered}
root = {root}
d = g / root
if group['momentum']:
    {b}
    d = state['b']
{move}
""")


_ADAM_DEFAULTS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "maximize": False}


def _adam(g="g = (-p.grad if group['maximize'] else p.grad) + group['weight_decay'] * p", m="state['m'] = b1 * state['m'] + (1 - b1) * g", v="state['v'] = b2 * state['v'] + (1 - b2) * g ** 2",
          m_hat="state['m'] / (1 - b1 ** t)", v_hat="state['v'] / (1 - b2 ** t)", move="p -= lr * m / (v.sqrt() + eps)", count="state['t'] += 1; t = state['t']", betas="b1, b2 = group['betas']",
          state="state", name="Adam", decay=0.0, before="pass", first="pass"):
    return _optimizer(name, _ADAM_DEFAULTS | {"weight_decay": decay}, f"""
{betas}
eps = group['eps']
state = {state}
if not state:
    state.update(m=torch.zeros_like(p), v=torch.zeros_like(p), t=0)
{first}
{g}
{count}
{m}
{v}
m = {m_hat}
v = {v_hat}
{move}
""", before)


def _adamw(**other):
    usual = {"name": "AdamW", "decay": 0.01, "first": "p.mul_(1 - lr * group['weight_decay'])", "g": "g = -p.grad if group['maximize'] else p.grad"}
    return _adam(**usual | other)


def _factor(climb="(step + 1) / warmup", along="(step - warmup) / (total - warmup)", clamp="min(along, 1)", end="floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * along))"):
    return f"""
import math

def warmup_cosine(step, warmup, total, floor=0.0):
    if step < warmup:
        return {climb}
    along = {along}
    along = {clamp}
    return {end}
"""


def _clip(body):
    return f"""
def clip_by_norm(params, max_norm):
{_indent(body, 4)}
"""


_LIST = "params = [p for p in params if p.grad is not None]\nif not params:\n    return torch.tensor(0.0)\n"
_NORM = _LIST + "total = sum((p.grad ** 2).sum() for p in params).sqrt()\n"


def _dropout(train="x * (torch.rand(x.shape, dtype=x.dtype) >= self.p) / (1 - self.p)", rest="x", start="pass", before="pass"):
    return f"""
class Dropout(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.p = p
        {start}

    def forward(self, x):
        {before}
        if self.training:
            return {train}
        return {rest}
"""


def _stop(better="loss < losses[best]", enough="bad >= patience", end="len(losses) - 1, best", reset="bad = 0", answer="epoch, best"):
    return f"""
def early_stop(losses, patience):
    best, bad = 0, 0
    for epoch, loss in enumerate(losses):
        if epoch == 0:
            continue
        if {better}:
            best = epoch
            {reset}
        else:
            bad += 1
        if {enough}:
            return {answer}
    return {end}
"""


MISTAKES = {
    "06.1": [
        (_plain("p += lr * p.grad"), "You climb"),
        (_plain("p -= lr * p.grad"), "You go down, and `maximize=True`"),
        (_plain("p = p - lr * p.grad"), "Nothing moved"),
        (_plain("p -= p.grad"), "The learning rate is missing"),
        (_plain("p += (1 if group['maximize'] else -1) * self.defaults['lr'] * p.grad"), "each has its own"),
        (_plain("p += (1 if group['maximize'] else -1) * lr * p.grad.sign()"), "Only the sign of the gradient"),
        (_plain("p += (1 if group['maximize'] else -1) * lr * p.grad\nbreak"), "Only the first parameter of each group moved"),
        (_plain("group = self.param_groups[0]\np += (1 if group['maximize'] else -1) * group['lr'] * p.grad"), "Both groups are stepped with the same settings"),
        (_plain("g = p.grad\ng *= lr\np += g if group['maximize'] else -g"), "a `.grad` was changed"),
        (_plain().replace("if p.grad is None:", "if False:"), "Skip it"),
        (_plain().replace("@torch.no_grad()", ""), "being recorded by autograd"),
        (_plain("p.grad.zero_()"), "Nothing moved"),
        (_plain().replace("continue", "return"), "(`return`): go on with the next one"),
        (_plain().replace("continue", "break"), "(`break`): go on with the next one"),
        (_plain().replace('group["params"]', "group"), "`group` is a dictionary"),
        ("class GradientDescent(torch.optim.SGD):\n    pass", "`torch.optim` took the steps"),
    ],
    "06.2": [
        (_sgd(keep="pass"), "starts anew at each step"),
        (_sgd(first="v = (1 - mu) * g", later="v = mu * state['v'] + (1 - mu) * g"), "Your velocity is an average"),
        (_sgd(first="v = (1 - tau) * g"), "dampened the first velocity too"),
        (_sgd(later="v = mu * state['v'] + g"), "`dampening` has no effect"),
        (_sgd(later="v = (1 - tau) * (mu * state['v'] + g)"), "not off the whole velocity"),
        (_sgd(use="g = v"), "`nesterov` has no effect"),
        (_sgd(use="g = mu * v if group['nesterov'] else v"), "the gradient itself is missing"),
        (_sgd(use="g = g + v if group['nesterov'] else v"), "the μ is missing"),
        (_sgd(use="g = g + mu * v"), "not only with `nesterov=True`"),
        (_sgd(state="self.shared"), "share one state"),
        (_sgd(state="self.shared.setdefault(p, {})"), "After a checkpoint was loaded"),
        (_sgd(first="v = lr * g", later="v = mu * state['v'] + (1 - tau) * lr * g", use="g = (lr * g + mu * v if group['nesterov'] else v) / lr"), "The learning rate is inside the velocity"),
        (_sgd().replace("if mu:", "if True:"), "Without momentum there is no velocity"),
        (_sgd(later="v = mu * state['v'] + tau * g"), "1 − dampening goes in"),
        (_sgd(use="g = v + mu * g if group['nesterov'] else v"), "you turned it round"),
        (_sgd(g="p.mul_(1 - lr * decay)\ng = -p.grad if group['maximize'] else p.grad"), "The decay goes around the velocity"),
        (_sgd(first="v = g.clone(); old = torch.zeros_like(p)", later="old = state['v']; v = mu * old + (1 - tau) * g", use="g = g + mu * old if group['nesterov'] else v"), "or v does not hold g yet"),
        (_sgd(g="g = p.grad + decay * p"), "asks to climb"),
        (_sgd(g="g = -(p.grad + decay * p) if group['maximize'] else p.grad + decay * p"), "turned the sign of the decay as well"),
        (_sgd(g="g = -p.grad if group['maximize'] else p.grad"), "`weight_decay` has no effect"),
        (_sgd(g="g = (-p.grad if group['maximize'] else p.grad) - decay * p"), "decay has the wrong sign"),
        (_sgd(move="p += lr * g"), "You climb"),
        (_sgd(move="p = p - lr * g"), "Nothing moved"),
        (_sgd(move="p -= g"), "The learning rate is missing"),
        (_sgd(later="v = mu * state['v'] - (1 - tau) * g"), "from the second step on you climb"),
        (_sgd(g="g = -p.grad if group['maximize'] else p.grad\nif decay: g = g + decay * p", first="v = g"), "is the same tensor as `p.grad`"),
        (_sgd(g="g = -p.grad if group['maximize'] else p.grad\nif decay: g = g + decay * p", first="v = g", later="v = state['v'].mul_(mu).add_(g, alpha=1 - tau)"), "each overwrites the other"),
        (_sgd(g="g = p.grad.neg_() if group['maximize'] else p.grad\ng = g + decay * p"), "a `.grad` was changed"),
        (_sgd(g="g = self.param_groups[0] and (-p.grad if group['maximize'] else p.grad) + self.defaults['weight_decay'] * p"), "`weight_decay` has no effect"),
        (_sgd(first="v = state['v'] * 0 + g"), "A key is missing"),
        ("class SGD(torch.optim.SGD):\n    pass", "`torch.optim` took the steps"),
        ("class SGD(torch.optim.SGD):\n    def step(self, closure=None):\n        return super().step(closure)", "`torch.optim` took the steps"),
    ],
    "06.3": [
        (_rms(root="var + eps"), "The root is missing"),
        (_rms(root="(var + eps).sqrt()"), "ε stands inside the root"),
        (_rms(root="var.sqrt()"), "ε has no effect"),
        (_rms(s="state['s'] = (1 - alpha) * state['s'] + alpha * g * g"), "swapped"),
        (_rms(s="state['s'] = alpha * state['s'] + g * g"), "s is a sum here"),
        (_rms(s="state['s'] = alpha * state['s'] + (1 - alpha) * g.abs()"), "not of |g|"),
        (_rms(start="p.grad ** 2"), "Your mean starts at g²"),
        (_rms(root="(var / (1 - alpha ** state['t'])).sqrt() + eps"), "as Adam does"),
        (_rms(centered="pass"), "`centered` has no effect"),
        (_rms(centered="var = var - state['a']"), "*squared* before it is subtracted"),
        (_rms(centered="var = var - g ** 2"), "you subtract g² itself"),
        (_rms(a="state['a'] = alpha * state['a'] + (1 - alpha) * g * g"), "yours is of g²"),
        (_rms(centered="var -= state['a'] ** 2"), "kept for the next step"),
        (_rms().replace("if group['centered']:", "if True:"), "You centre always"),
        (_rms(root="var.mean().sqrt() + eps"), "each *element* has its own s"),
        (_rms().replace('group["alpha"]', "self.defaults['alpha'] if len(self.param_groups) > 1 else group['alpha']"), "`alpha` is the same for all groups"),
        (_rms(b="state['b'] = group['momentum'] * state['b'] + lr * d", move="p -= d if group['momentum'] else lr * d"), "The learning rate is inside the velocity"),
        (_rms(state="self.shared.setdefault(p, {})"), "After a checkpoint was loaded"),
        (_rms(b="state['b'] = d"), "`momentum` has no effect"),
        (_rms(b="state['b'] = (1 - group['momentum']) * d + group['momentum'] * state['b']"), "Your velocity is an average"),
        (_rms(b="state['v'] = group['momentum'] * state.get('v', 0) + g; state['b'] = state['v'] / root"), "divide first"),
        (_rms(g="p -= lr * group['weight_decay'] * p\ng = -p.grad if group['maximize'] else p.grad"), "as in AdamW"),
        (_rms(g="g = p.grad + group['weight_decay'] * p"), "asks to climb"),
        (_rms(g="g = -p.grad if group['maximize'] else p.grad"), "`weight_decay` has no effect"),
        (_rms(state="self.shared"), "share one state"),
        (_rms(start="torch.zeros(p.shape)", s="state['s'] = (alpha * state['s'] + (1 - alpha) * g * g).float()"), "part of the state is float32"),
        (_rms(move="p += lr * d"), "You climb"),
        (_rms(move="p = p - lr * d"), "Nothing moved"),
        ("class RMSprop(torch.optim.RMSprop):\n    pass", "`torch.optim` took the steps"),
    ],
    "06.4": [
        (_adam(m_hat="state['m']", v_hat="state['v']"), "The bias correction is missing"),
        (_adam(v_hat="state['v']"), "v is not corrected"),
        (_adam(m_hat="state['m']"), "m is not corrected"),
        (_adam(m_hat="state['m'] / (1 - b1)", v_hat="state['v'] / (1 - b2)"), "to the power of t"),
        (_adam(m_hat="state['m'] = state['m'] / (1 - b1 ** t)", v_hat="state['v'] = state['v'] / (1 - b2 ** t)"), "corrected again"),
        (_adam(move="p -= lr * m / (v + eps).sqrt()"), "ε stands inside the root"),
        (_adam(move="p -= lr * m / v.sqrt()"), "ε has no effect"),
        (_adam(v_hat="state['v']", move="p -= lr * m * (1 - b2 ** t) ** 0.5 / (v.sqrt() + eps)"), "before the correction of v"),
        (_adam(move="p -= lr * m / (v + eps)"), "The root is missing"),
        (_adam(move="p -= lr * g / (v.sqrt() + eps)"), "not along g"),
        (_adam(betas="b2, b1 = group['betas']"), "The two betas are swapped"),
        (_adam(v="state['v'] = b2 * state['v'] + (1 - b2) * g"), "not of g"),
        (_adam(count="t = state['t']; state['t'] += 1"), "t is one too small"),
        (_adam(count="state['t'] += 1; t = state['t'] + 1"), "t is one too large"),
        (_adam(m="state['m'] = b1 * state['m'] + g"), "m is a sum"),
        (_adam(v="state['v'] = b2 * state['v'] + g ** 2"), "v is a sum"),
        (_adam(v="state['v'] = b2 * state['v'] + (1 - b2) * state['m'] ** 2"), "v is made from m²"),
        (_adam(betas="b1, b2 = self.defaults['betas']"), "`betas` is the same for all groups"),
        (_adam(g="g = (-p.grad if group['maximize'] else p.grad) + (self.defaults if len(self.param_groups) > 1 else group)['weight_decay'] * p"), "`weight_decay` is the same for all groups"),
        (_adam(count="state['t'] = torch.tensor(float(state['t'])) + 1; t = state['t']"), "t is a tensor"),
        (_adam(state="self.shared.setdefault(p, {})"), "After a checkpoint was loaded"),
        (_adam(count="self.t += 1; t = self.t"), "once for every *parameter*"),
        (_adam(count="t = self.t", before="self.t += 1"), "t counts the steps of the optimizer"),
        (_adam(state="self.shared"), "share one state"),
        (_adam(g="g = -p.grad if group['maximize'] else p.grad", first="p.mul_(1 - lr * group['weight_decay'])"), "that is AdamW"),
        (_adam(g="g = p.grad + group['weight_decay'] * p"), "asks to climb"),
        (_adam(g="g = -(p.grad + group['weight_decay'] * p) if group['maximize'] else p.grad + group['weight_decay'] * p"), "turned the sign of the decay as well"),
        (_adam(move="p = p - lr * m / (v.sqrt() + eps)"), "Nothing moved"),
        (_adam(move="p += lr * m / (v.sqrt() + eps)"), "You climb"),
        (_adam(m="state['m'] = (1 - b1) * g", v="state['v'] = (1 - b2) * g ** 2"), "start anew at each step"),
        ("class Adam(torch.optim.Adam):\n    pass", "`torch.optim` took the steps"),
    ],
    "06.5": [
        (_adamw(first="pass", g="g = (-p.grad if group['maximize'] else p.grad) + group['weight_decay'] * p"), "that is Adam with L2"),
        (_adamw(g="g = (-p.grad if group['maximize'] else p.grad) + group['weight_decay'] * p"), "The decay comes twice"),
        (_adamw(first="p.mul_(1 - group['weight_decay'])"), "the lr is missing"),
        (_adamw(first="p.mul_(1 + lr * group['weight_decay'])"), "The parameter grows"),
        (_adamw(first="pass"), "The decay has no effect"),
        (_adamw(first="p = p * (1 - lr * group['weight_decay'])"), "put a new tensor in the parameter's place"),
        (_adamw(first="pass", move="p -= lr * m / (v.sqrt() + eps); p.mul_(1 - lr * group['weight_decay'])"), "*before* Adam's step"),
        (_adamw(g="g = p.grad"), "With `maximize` you go down"),
        (_adamw(first="p.mul_(1 + (1 if group['maximize'] else -1) * lr * group['weight_decay'])"), "not that of the decay"),
        (_adamw(m_hat="state['m']", v_hat="state['v']"), "The bias correction is missing"),
        (_adamw(move="p -= lr * m / (v + eps).sqrt()"), "ε stands inside the root"),
        (_adamw(state="self.shared"), "share one state"),
        (_adamw(m="state['m'] = b1 * state['m'] + g"), "m is a sum"),
        (_adamw(v="state['v'] = b2 * state['v'] + (1 - b2) * state['m'] ** 2"), "v is made from m²"),
        (_adamw(first="p.mul_(1 - lr * (self.defaults if len(self.param_groups) > 1 else group)['weight_decay'])"), "`weight_decay` is the same for all groups"),
        ("class AdamW(torch.optim.AdamW):\n    pass", "`torch.optim` took the steps"),
    ],
    "06.6": [
        (_factor(climb="step / warmup"), "the first step trains nothing"),
        (_factor(climb="(step + 1) / (warmup + 1)"), "one step too late"),
        (_factor(along="step / total"), "The cosine begins at step 0"),
        (_factor(along="(step - warmup) / total"), "does not end at `total`"),
        (_factor(clamp="along"), "climbs again after `total`"),
        (_factor(end="floor + (1 - floor) * (1 - along)"), "straight line"),
        (_factor(end="floor + (1 - floor) * math.cos(math.pi * along)"), "from 1 to −1"),
        (_factor(end="floor + (1 - floor) * math.cos(math.pi * along / 2)"), "quarter of a cosine"),
        (_factor(end="0.5 * (1 + math.cos(math.pi * along))"), "`floor` has no effect"),
        (_factor(end="floor + 0.5 * (1 + math.cos(math.pi * along))"), "added `floor` on top"),
        (_factor(end="max(floor, 0.5 * (1 + math.cos(math.pi * along)))"), "cut the cosine off"),
        (_factor().replace("if step < warmup:", "if step <= warmup:"), "one step too many"),
        (_factor(along="(step - warmup + 1) / (total - warmup)"), "one step ahead"),
        (_factor(along="(step - warmup) / (total - 1 - warmup)"), "not `total - 1`"),
        (_factor(climb="floor + (1 - floor) * (step + 1) / warmup"), "The climb begins at `floor`"),
        (_factor(clamp="along\n    if step >= total:\n        return 0.0"), "`floor`, not 0"),
        (_factor(end="floor + (1 - floor) * 0.5 * (1 + math.cos(2 * math.pi * along)) if along < 1 else floor"), "whole cosine wave"),
        (_factor(end="print(along)"), "is a `return` missing"),
    ],
    "06.7": [
        (_clip(_LIST + "for p in params:\n    n = p.grad.norm()\n    if n > max_norm:\n        p.grad *= max_norm / (n + 1e-6)\nreturn torch.stack([p.grad.norm() for p in params]).norm()"), "Each gradient is clipped by itself"),
        (_clip(_LIST + "for p in params:\n    p.grad.clamp_(-max_norm, max_norm)\nreturn torch.tensor(1.0)"), "Each number is clipped by itself"),
        (_clip(_NORM + "for p in params:\n    p.grad *= max_norm / (total + 1e-6)\nreturn total"), "Small gradients were scaled *up*"),
        (_clip(_NORM.replace(".sqrt()", "") + "for p in params:\n    p.grad *= min(1, max_norm / (total + 1e-6))\nreturn total"), "*square* of the norm"),
        (_clip(_LIST + "total = sum(p.grad.norm() for p in params)\nfor p in params:\n    p.grad *= min(1, max_norm / (total + 1e-6))\nreturn total"), "The sum of the norms"),
        (_clip(_NORM + "for p in params:\n    g = p.grad * min(1, max_norm / (total + 1e-6))\nreturn total"), "Scale the gradients in place"),
        (_clip(_NORM + "for p in params:\n    p.grad *= min(1, max_norm / (total + 1e-6))\nreturn sum((p.grad ** 2).sum() for p in params).sqrt()"), "*after* the clipping"),
        (_clip("total = torch.stack([p.grad.norm() for p in params if p.grad is not None]).norm()\nfor p in params:\n    if p.grad is not None:\n        p.grad *= min(1, max_norm / (total + 1e-6))\nreturn total"), "`params` may be a generator"),
        (_clip("params = list(params)\ntotal = torch.stack([p.grad.norm() for p in params]).norm()\nfor p in params:\n    p.grad *= min(1, max_norm / (total + 1e-6))\nreturn total"), "`.grad` is None here"),
        (_clip(_LIST + "total = max(p.grad.norm() for p in params)\nfor p in params:\n    p.grad *= min(1, max_norm / (total + 1e-6))\nreturn total"), "largest of the norms"),
        (_clip(_NORM + "for p in params:\n    p.grad = p.grad * min(1.0, max_norm / total)\nreturn total"), "is a new tensor now"),
        (_clip("return torch.nn.utils.clip_grad_norm_(params, max_norm)"), "`torch.nn.utils` did the clipping"),
        (_clip(_NORM + "for p in params:\n    p.grad *= min(1, max_norm / (total + 1e-6))\nreturn total.item()"), "a number of Python"),
        (_clip((_NORM + "for p in params:\n    p.grad *= min(1, max_norm / (total + 1e-6))\nreturn total").replace("return torch.tensor(0.0)", "return 0")), "a number of Python"),
        (_clip("params = [p for p in params if p.grad is not None]\ntotal = sum((p.grad ** 2).sum() for p in params).sqrt()\nfor p in params:\n    p.grad *= min(1, max_norm / (total + 1e-6))\nreturn total"), "`sum` of nothing is the number 0"),
        (_clip("params = [p for p in params if p.grad is not None]\ntotal = torch.stack([p.grad.norm() for p in params]).norm()\nfor p in params:\n    p.grad *= min(1, max_norm / (total + 1e-6))\nreturn total"), "nothing to stack"),
        (_clip(_NORM + "with torch.no_grad():\n    for p in params:\n        p *= min(1, max_norm / (total + 1e-6))\nreturn total"), "The parameters themselves were changed"),
        (_clip(_NORM + "for p in params:\n    p.grad /= total\nreturn total"), "did not multiply by `max_norm`"),
    ],
    "06.8": [
        ("class Dropout(nn.Module):\n    def __init__(self, p=0.5):\n        super().__init__()\n        self.p = p\n\n    def forward(self, x):\n        return torch.dropout(x, self.p, self.training)", "did the work"),
        (_dropout(train="x * (torch.rand(x.shape, dtype=x.dtype) >= self.p)"), "must be scaled up"),
        (_dropout(train="x * (torch.rand(x.shape, dtype=x.dtype) >= self.p) / self.p"), "is divided by p"),
        (_dropout(train="x * (torch.rand(x.shape, dtype=x.dtype) >= self.p) * (1 - self.p)"), "multiplied by 1 − p"),
        (_dropout(train="x * (torch.rand(x.shape, dtype=x.dtype) < self.p) / (1 - self.p)"), "You *keep* with probability p"),
        (_dropout(train="x * (torch.rand(len(x), *[1] * (x.ndim - 1), dtype=x.dtype) >= self.p) / (1 - self.p)"), "Whole rows or columns"),
        (_dropout(rest="x * (1 - self.p)"), "In `eval()` the output is x itself"),
        (_dropout(rest="x * (torch.rand(x.shape) >= self.p) / (1 - self.p)"), "In `eval()` dropout does nothing"),
        (_dropout(before="torch.manual_seed(0)"), "A second call drops the same elements"),
        (_dropout(train="x.detach() * (torch.rand(x.shape, dtype=x.dtype) >= self.p) / (1 - self.p)"), "No gradient flows back"),
        (_dropout(train="x * (torch.randn(x.shape, dtype=x.dtype) >= self.p) / (1 - self.p)"), "`rand`, not `randn`"),
        (_dropout(train="x * (torch.rand(x.shape, dtype=x.dtype) >= 0.5) / (1 - self.p)"), "compared with `self.p` as it is"),
        (_dropout(train="x * (torch.randint(0, 10, x.shape) >= int(self.p * 10)) / (1 - self.p)"), "compared with `self.p` as it is"),
        (_dropout(train="x * (torch.randperm(x.numel()) >= round(self.p * x.numel())).view(x.shape) / (1 - self.p)"), "so the number varies"),
        (_dropout(train="x.mul_((torch.rand(x.shape, dtype=x.dtype) >= self.p) / (1 - self.p))"), "x belongs to the caller"),
        (_dropout(before="if self.training:\n            x[torch.rand(x.shape) < self.p] = 0", train="x / (1 - self.p)"), "x belongs to the caller"),
        (_dropout(before="return F.dropout(x, self.p, self.training)"), "`F.dropout` did the work"),
        (_dropout(train="x"), "Nothing is dropped in training"),
        (_dropout(train="x / (1 - self.p)"), "the whole input is scaled"),
        (_dropout(train="x + (x * (torch.rand(x.shape, dtype=x.dtype) >= self.p) / (1 - self.p) - x).detach()"), "in a way that autograd sees"),
        (_dropout(start="self.m = torch.rand(200, 50) >= p", train="x * self.m / (1 - self.p)"), "A second call drops the same elements"),
    ],
    "06.9": [
        (_stop(enough="bad > patience"), "one epoch too late"),
        (_stop(enough="bad >= patience - 1 and bad"), "one epoch too early"),
        (
            "def early_stop(losses, patience):\n    best, bad = 0, 0\n    for e in range(len(losses)):\n        if losses[e] < losses[best]:\n            best = e\n        bad = 0 if e == 0 or losses[e] < losses[e - 1] else bad + 1\n        if bad >= patience:\n            return e, best\n    return e, best",
            "You compare with the epoch before"),
        (_stop(better="loss <= losses[best]"), "An equal loss is no improvement"),
        (_stop(reset="pass"), "count those in a row"),
        (_stop(answer="best, epoch", end="best, len(losses) - 1"), "The two numbers are swapped"),
        (_stop(answer="epoch + 1, best + 1", end="len(losses), best + 1"), "Epochs count from 0"),
        (_stop(answer="epoch, losses.index(min(losses))", end="len(losses) - 1, best"), "nobody knows those losses"),
        (_stop(end="len(losses), best"), "the last epoch is len(losses) − 1"),
        ("def early_stop(losses, patience):\n    best = 0\n    for e, loss in enumerate(losses):\n        if e - best >= patience:\n            return e, best\n        if loss < losses[best]:\n            best = e\n    return len(losses) - 1, best", "first update the best"),
        (_stop(answer="epoch, losses[best]"), "These are losses"),
        (_stop(end="None"), "Return two numbers"),
    ],
}

RIGHT = {
    "06.1": [_plain("p.data = p.data + (lr if group['maximize'] else -lr) * p.grad"), _plain("p.add_(p.grad, alpha=lr if group['maximize'] else -lr)")],
    "06.2": [
        _sgd(g="g = p.grad.neg() if group['maximize'] else p.grad.clone()\ng.add_(p, alpha=decay)", later="v = state['v'].mul_(mu).add_(g, alpha=1 - tau)", move="p.sub_(lr * g)"),
        _sgd(first="v = torch.zeros_like(p) + g"),
    ],
    "06.3": [
        _rms(s="state['s'].mul_(alpha).addcmul_(g, g, value=1 - alpha)", a="state['a'].lerp_(g, 1 - alpha)", b="state['b'].mul_(group['momentum']).add_(d)", move="p.add_(d, alpha=-lr)"),
    ],
    "06.4": [
        _adam(m="state['m'].lerp_(g, 1 - b1)", v="state['v'].mul_(b2).addcmul_(g, g, value=1 - b2)", m_hat="state['m']", v_hat="state['v']",
              move="p.addcdiv_(m, v.sqrt() / (1 - b2 ** t) ** 0.5 + eps, value=-lr / (1 - b1 ** t))"),
    ],
    "06.5": [
        _adamw(first="p -= lr * group['weight_decay'] * p", m="state['m'] += (1 - b1) * (g - state['m'])"),
        _adamw(first="old = p.clone()", move="p -= lr * (m / (v.sqrt() + eps) + group['weight_decay'] * old)"),
    ],
    "06.6": [
        "import math\n\ndef warmup_cosine(step, warmup, total, floor=0.0):\n    if step >= total:\n        return floor\n    if step >= warmup:\n        return 1 - (1 - floor) * math.sin(math.pi / 2 * (step - warmup) / (total - warmup)) ** 2\n    return (step + 1) / warmup",
    ],
    "06.7": [
        _clip(_NORM + "for p in params:\n    p.grad.mul_((max_norm / (total + 1e-6)).clamp(max=1))\nreturn total"),
        _clip("grads = [p.grad for p in params if p.grad is not None]\ntotal = torch.cat([torch.zeros(0)] + [g.flatten() for g in grads]).norm()\nif total > max_norm:\n    torch._foreach_mul_(grads, (max_norm / (total + 1e-6)).item())\nreturn total"),
    ],
    "06.8": [
        _dropout(train="x * torch.bernoulli(torch.full_like(x, 1 - self.p)) / (1 - self.p)"),
        _dropout(train="torch.where(torch.rand(x.shape) < self.p, torch.zeros_like(x), x / (1 - self.p))"),
        _dropout(train="x.masked_fill(torch.rand(x.shape) < self.p, 0) / (1 - self.p)"),
    ],
    "06.9": [
        _stop(),
        "def early_stop(losses, patience):\n    for stop in range(len(losses)):\n        seen = losses[: stop + 1]\n        best = seen.index(min(seen))\n        if stop - best == patience:\n            break\n    return stop, best",
    ],
}


def _still(name, defaults):
    return _optimizer(name, defaults, "p.zero_()")


CONSTANTS = {
    "06.1": _still("GradientDescent", {"lr": 1e-3, "maximize": False}),
    "06.2": _still("SGD", _SGD_DEFAULTS),
    "06.3": _still("RMSprop", _RMS_DEFAULTS),
    "06.4": _still("Adam", _ADAM_DEFAULTS),
    "06.5": _still("AdamW", _ADAM_DEFAULTS),
    "06.6": "def warmup_cosine(step, warmup, total, floor=0.0):\n    return 1.0",
    "06.7": "def clip_by_norm(params, max_norm):\n    for p in params:\n        if p.grad is not None:\n            p.grad.zero_()\n    return torch.tensor(1.0)",
    "06.8": "class Dropout(nn.Module):\n    def __init__(self, p=0.5):\n        super().__init__()\n\n    def forward(self, x):\n        return 0 * x",
    "06.9": "def early_stop(losses, patience):\n    return 0, 0",
}
