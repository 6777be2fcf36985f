"""Wrong answers that students really give to lab 07, with the message each must get; and right answers written another way."""


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


_INIT = """
def init_weights(module):
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
"""


def _trainer(switch="self.model.train(training)", grad="torch.set_grad_enabled(training)", zero="self.optimizer.zero_grad()", note="self.log['batch_loss'].append(loss.item())",
             note_always="pass", add="total += loss.item() * len(y)", hits="hits += (logits.argmax(1) == y).sum().item()", end="return total / count, hits / count",
             better="loss < best", keep="copy.deepcopy(self.model.state_dict())", reset="waited = 0", remember="best = loss", stop="waited == patience",
             put_back="self.model.load_state_dict(kept)", mode_back="self.model.train(was)", result="return self.log", watch="pass",
             predict_mode="self.model.eval()", predict_grad="torch.no_grad()", predict_back="self.model.train(was)",
             predicted="torch.cat([self.model(x) for x, _ in batches])", init=_INIT, first='best, kept, waited, before = float("inf"), None, 0, float("inf")'):
    return f"""
{init}
class Trainer:
    def __init__(self, model, loss_fn, optimizer):
        self.model, self.loss_fn, self.optimizer = model, loss_fn, optimizer
        self.log = {{name: [] for name in ("batch_loss", "train_loss", "train_accuracy", "val_loss", "val_accuracy")}}

    def one_pass(self, batches, training):
        {switch}
        total, hits, count = 0.0, 0.0, 0
        with {grad}:
            for x, y in batches:
                logits = self.model(x)
                loss = self.loss_fn(logits, y)
                {note_always}
                if training:
                    {zero}
                    loss.backward()
                    self.optimizer.step()
                    {note}
                {add}
                {hits}
                count += len(y)
        {end}

    def fit(self, train_batches, val_batches, epochs, patience=None):
        was = self.model.training
        {first}
        for epoch in range(epochs):
            train_loss, train_accuracy = self.one_pass(train_batches, True)
            loss, accuracy = self.one_pass(val_batches, False)
            for name, value in (("train_loss", train_loss), ("train_accuracy", train_accuracy), ("val_loss", loss), ("val_accuracy", accuracy)):
                self.log[name].append(value)
            {watch}
            if {better}:
                {remember}
                kept = {keep}
                {reset}
            else:
                waited += 1
            before = loss
            if {stop}:
                break
        {put_back}
        {mode_back}
        {result}

    def predict(self, batches):
        was = self.model.training
        {predict_mode}
        with {predict_grad}:
            logits = {predicted}
        {predict_back}
        return logits
"""


def _checkpoint(left_out=(), model="model.state_dict()", end="return states['epoch']", load='torch.load(path, map_location="cpu", weights_only=True)', save="torch.save(states, path)", loading=None,
                before="pass", after="pass"):
    saved = {"model": model, "optimizer": "optimizer.state_dict()", "scheduler": "scheduler.state_dict()", "order": "generator.get_state()", "random": "torch.get_rng_state()"}
    loaded = {"model": "model.load_state_dict(states['model'])", "optimizer": "optimizer.load_state_dict(states['optimizer'])",
              "scheduler": "scheduler.load_state_dict(states['scheduler'])", "order": "generator.set_state(states['order'])", "random": "torch.set_rng_state(states['random'])"} | (loading or {})
    entries = ", ".join(f"{name!r}: {value}" for name, value in saved.items() if name not in left_out)
    lines = "\n    ".join(line for name, line in loaded.items() if name not in left_out)
    return f"""
def save_checkpoint(path, epoch, model, optimizer, scheduler, generator):
    {before}
    states = {{"epoch": epoch, {entries}}}
    {save}


def load_checkpoint(path, model, optimizer, scheduler, generator):
    states = {load}
    {lines}
    {after}
    {end}
"""


def _events(run):
    return f"""
class Events:
    def __init__(self, callbacks=()):
        self.callbacks = list(callbacks)

    def event(self, name):
        for callback in self.callbacks:
            getattr(callback, name)(self)

    def run(self, stage, body, cancel):
{run}
"""


def _run(before="heard.append(c)\n                getattr(c, f'before_{stage}')(self)", body="body()\n            self.event(f'after_{stage}')", catch="except cancel:\n            pass",
         after="", cleanup="finally:\n            for c in reversed(heard):\n                getattr(c, f'cleanup_{stage}')(self)"):
    return _events(f"""        heard = []
        try:
            for c in self.callbacks:
                {before}
            {body}
        {catch}
        {cleanup}
        {after}
""")


def _learner(modes="[(m, m.training) for m in self.model.modules()]", start="self.optimizer.zero_grad()", run='self.run("fit", self.all_epochs, CancelFit)', guard="finally",
             back="for m, mode in modes:\n                m.training = mode", lasting="self.callbacks = lasting", result="return self.history",
             switch="self.model.train(self.training)", grad="torch.set_grad_enabled(self.training)", pair="self.x, self.y = x, y", batch='self.run("batch", self.one_batch, CancelBatch)',
             if_training="self.training", between="pass", backward='self.loss.backward()', step='self.run("step", self.one_step, CancelStep)',
             one_step="self.optimizer.step()\n        self.optimizer.zero_grad()", after_loss='self.event("after_loss")', predict_event='self.event("after_predict")'):
    body = f"""try:
            {run}
        finally:
            {lasting}
            {back}""" if guard == "finally" else f"""{run}
        if True:
            {lasting}
            {back}"""
    return f"""
from utils.training import Events

class Learner(Events):
    def __init__(self, model, train_batches, val_batches, loss_fn, optimizer, callbacks=()):
        super().__init__(callbacks)
        self.model, self.loss_fn, self.optimizer = model, loss_fn, optimizer
        self.train_batches, self.val_batches = train_batches, val_batches
        self.history = {{}}

    def fit(self, epochs, callbacks=()):
        lasting = self.callbacks
        self.callbacks = sorted([*lasting, *callbacks], key=lambda callback: callback.order)
        self.epoch, self.epochs = 0, epochs
        modes = {modes}
        {start}
        {body}
        {result}

    def all_epochs(self):
        while self.epoch < self.epochs:
            for training, batches in ((True, self.train_batches), (False, self.val_batches)):
                if batches is not None:
                    self.training, self.batches = training, batches
                    self.run("epoch", self.one_epoch, CancelEpoch)
            self.epoch += 1

    def one_epoch(self):
        {switch}
        with {grad}:
            for x, y in self.batches:
                {pair}
                {batch}

    def one_batch(self):
        self.prediction = self.model(self.x)
        {predict_event}
        self.loss = self.loss_fn(self.prediction, self.y)
        {after_loss}
        if {if_training}:
            {between}
            {backward}
            self.event("after_backward")
            {step}

    def one_step(self):
        {one_step}
"""


def _metrics(reset="self.rows = []", note="self.rows.append([len(learner.y), learner.loss.item(), *(float(f(learner.prediction, learner.y)) for f in self.functions.values())])",
             where="after_epoch", mean="sum(r[0] * r[i] for r in self.rows) / sum(r[0] for r in self.rows) if self.rows else float('nan')", split='"train" if learner.training else "val"',
             names='["loss", *self.functions]', put='learner.history.setdefault(f"{split}_{name}", []).append(value)', init="pass", at="after_loss"):
    return f"""
class Metrics(Callback):
    order = -10

    def __init__(self, **functions):
        self.functions = functions
        {init}

    def before_epoch(self, learner):
        {reset}

    def {at}(self, learner):
        {note}

    def {where}(self, learner):
        split = {split}
        for i, name in enumerate({names}, start=1):
            value = {mean}
            {put}
"""


def _look(layers="nn.ModuleList(layers)", loop="x = layer(x)\n            if self.function is not None:\n                self.function(index, layer, x)", numbered="enumerate(self.layers)", final="pass",
          register="module.register_full_backward_hook if self.backward else module.register_forward_hook", hook="lambda *seen, index=index: self.function(index, *seen)",
          init="pass", enter="self.register()", entered="return self", leave="for handle in self.handles:\n            handle.remove()", modules="enumerate(self.modules)"):
    return f"""
class HookedSequential(nn.Module):
    def __init__(self, *layers, function=None):
        super().__init__()
        self.function = function
        self.layers = {layers}

    def forward(self, x):
        for index, layer in {numbered}:
            {loop}
        {final}
        return x


class Hooks:
    def __init__(self, modules, function, backward=False):
        self.modules, self.function, self.backward = list(modules), function, backward
        {init}

    def register(self):
        self.handles = []
        for index, module in {modules}:
            register = {register}
            self.handles.append(register({hook}))

    def __enter__(self):
        {enter}
        {entered}

    def __exit__(self, *error):
        {leave}
"""


MISTAKES = {
    "07.1": [
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
    "07.2": [
        (_train(before="pass"), "gradients of earlier batches"),
        (_train(after="optimizer.zero_grad()"), "zero_grad() between"),
        (_train(step="pass"), "optimizer.step() is missing"),
        (_train(start="pass"), "not in training mode"),
        (_train(schedule="pass"), "step the scheduler after every batch"),
        (_train(after="scheduler and scheduler.step()", schedule="pass"), "at the next batch's rate"),
        (_train(add="total += loss_fn(model(x), y).item() * len(y)"), "called more than once"),
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
    "07.3": [
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
        (_validate(head="", start="model.eval()\n    torch.set_grad_enabled(False)", back="model.train(was)\n    torch.set_grad_enabled(True)"), "After an error inside validate"),
        (_validate(head="", start="model.eval()\n    torch.set_grad_enabled(False)", back="model.train(was)\n    torch.set_grad_enabled(True)").replace("    total, correct", "    try:\n     total, correct")
         .replace("    for x, y in batches:\n        logits = model(x)\n        total", "     for x, y in batches:\n        logits = model(x)\n        total").replace("    model.train(was)\n", "    finally:\n     model.train(was)\n ").replace("    torch.set_grad_enabled(True)", "    torch.set_grad_enabled(True)"), "validate switches them on"),
        (_validate(head="", start="model.eval()\n    for p in model.parameters():\n        p.requires_grad_(False)"), "froze the parameters"),
        (_validate(head="").replace("logits = model(x)", "logits = model(x).detach()"), "under torch.no_grad()"),
        (_validate(back="    model.train(was)\n        return total / count, correct / count"), "`return` stand inside the loop"),
    ],
    "07.4": [
        (_trainer(zero="pass"), "gradients of earlier batches"),
        (_trainer(switch="pass"), "in training mode"),
        (_trainer(grad="torch.enable_grad()"), "recorded a graph for each batch"),
        (_trainer(note="pass", note_always="self.log['batch_loss'].append(loss.item())"), "also holds the validation batches"),
        (_trainer(add="total += loss.item()", end="return total / len(batches), hits / count"), "averaged the batch means"),
        (_trainer(hits="hits += (logits.argmax(1) == y).float().mean().item()", end="return total / count, hits / len(batches)"), "averaged the batch means"),
        (_trainer(note="self.log['batch_loss'].append(loss)"), "Python numbers, not tensors"),
        (_trainer(end="return total / count, 100 * hits / count"), "in percent"),
        (_trainer(end="pass"), "one_pass` must return two numbers"),
        (_trainer(keep="self.model.state_dict()"), "no *copy* was kept"),
        (_trainer(keep="dict(self.model.state_dict())"), "no *copy* was kept"),
        (_trainer(put_back="pass"), "weights of its last epoch"),
        (_trainer(stop="waited == (patience or 99) + 1"), "One epoch too many"),
        (_trainer(stop="waited > (patience or 99)"), "One epoch too many"),
        (_trainer(stop="patience is not None and waited >= patience - 1 and waited + patience > 1"), "One epoch too early"),
        (_trainer(better="loss < before"), "the epoch before"),
        (_trainer(reset="pass"), "Waiting must start anew"),
        (_trainer(better="train_loss < best", remember="best = train_loss"), "the training loss"),
        (_trainer(stop="False"), "does not stop early"),
        (_trainer(mode_back="pass"), "another mode than before"),
        (_trainer(result="pass"), "`fit` returns None"),
        (_trainer(predict_mode="pass"), "predict ran in training mode"),
        (_trainer(predict_back="pass"), "predict changes the model's mode"),
        (_trainer(predict_grad="torch.enable_grad()"), "predict recorded a graph"),
        (_trainer(predicted="torch.cat([self.model(x) for x, _ in batches]).softmax(1)"), "gives probabilities"),
        (_trainer(predicted="[self.model(x) for x, _ in batches][-1]"), "last batch only"),
        (_trainer(better="loss <= best"), "`<`, not `<=`"),
        (_trainer(better="loss < best and epoch > 0", first='best, kept, waited, before = float("inf"), copy.deepcopy(self.model.state_dict()), 0, 0'), "first epoch can be the best"),
        (_trainer(better="loss < getattr(self, 'best', 9e9)", remember="self.best = loss", first="kept, waited = copy.deepcopy(self.model.state_dict()), 0"), "best of an earlier fit"),
        (_trainer(first="best, kept, waited, before = float('inf'), None, 0, 0\n        self.log = {name: [] for name in self.log}"), "empties the log"),
        (_trainer(stop="waited >= patience"), "`patience` may be None"),
        (_trainer(better="-accuracy < best", remember="best = -accuracy"), "lowest validation *loss*"),
        (_trainer(keep="[p.detach().clone() for p in self.model.parameters()]", put_back="[p.data.copy_(q) for p, q in zip(self.model.parameters(), kept)]"), "running averages are not: parameters() leaves buffers out"),
        (_trainer(keep="kept", first="best, waited, before = float('inf'), 0, 0\n        kept = copy.deepcopy(self.model.state_dict())"), "weights from before the fit"),
        (_trainer(keep="copy.deepcopy(self.model)", put_back="self.model = kept"), "another object now"),
        (_trainer(predicted="torch.stack([self.model(x) for x, _ in batches])"), "torch.stack wants equal shapes"),
        (_trainer(predicted="torch.cat([self.model(x) for x in batches])"), "A batch is a pair"),
        (_trainer().replace("            for name, value in ((", "            log = ((").replace('("val_accuracy", accuracy)):\n                self.log[name].append(value)\n', '("val_accuracy", accuracy))\n')
         .replace("                break\n", "                break\n            for name, value in log:\n                self.log[name].append(value)\n"), "missing in the log"),
        (_trainer(init=_INIT.replace("uniform_(module.weight)", "normal_(module.weight)")), "no bounds"),
        (_trainer(init=_INIT.replace("isinstance(module, (nn.Linear, nn.Conv2d))", "hasattr(module, 'weight') and module.weight.dim() > 1").replace("module.bias is not", "getattr(module, 'bias', None) is not")), "or an embedding"),
        (_trainer(init=_INIT.replace("isinstance(module, (nn.Linear, nn.Conv2d))", "hasattr(module, 'weight') and module.weight.dim() > 1")), "not whether it has a weight"),
        (_trainer(init=_INIT.replace("xavier_uniform_(module.weight)", "kaiming_normal_(module.weight)")), "Kaiming's rule"),
        (_trainer(init=_INIT.replace("xavier_uniform_(module.weight)", "normal_(module.weight, std=0.01)")), "Xavier's is"),
        (_trainer(init=_INIT.replace("(nn.Linear, nn.Conv2d)", "nn.Linear")), "Conv2d(20, 40, 5) as they were"),
        (_trainer(init=_INIT.replace("if module.bias is not None:", "if True:")), "has `bias = None`"),
        (_trainer(init=_INIT.replace("nn.init.zeros_(module.bias)", "pass")), "biases of linear and convolutional"),
        (_trainer(init=_INIT.replace("isinstance(module, (nn.Linear, nn.Conv2d))", "hasattr(module, 'weight')")), "a vector"),
        (_trainer(init=_INIT.replace("isinstance(module, (nn.Linear, nn.Conv2d))", "True")), "Fill only nn.Linear"),
    ],
    "07.5": [
        (_checkpoint(left_out=("optimizer",)), "forgotten its momentum"),
        (_checkpoint(left_out=("scheduler",)), "schedule starts anew"),
        (_checkpoint(left_out=("optimizer", "scheduler")), "Neither the optimizer nor the schedule"),
        (_checkpoint(left_out=("order",)), "batches come in another order"),
        (_checkpoint(left_out=("random",)), "Dropout draws other numbers"),
        (_checkpoint(left_out=("model",)), "fresh weights"),
        (_checkpoint(model="dict(model.named_parameters())", loading={"model": "model.load_state_dict(states['model'], strict=False)"}), "running averages are not back"),
        (_checkpoint(model="{n: p.data for n, p in model.named_parameters()}", loading={"model": "model.load_state_dict(states['model'], strict=False)"}), "running averages are not back"),
        (_checkpoint(end="pass"), "returns None"),
        (_checkpoint(end="return states['epoch'] + 1"), "the epoch plus one"),
        (_checkpoint(end="return scheduler.last_epoch"), "the scheduler's count"),
        (_checkpoint(load="torch.load(path, map_location='cpu', weights_only=False)"), "runs whatever code"),
        (_checkpoint(load="torch.load(path)"), "come back there"),
        (_checkpoint(load="__import__('pickle').loads(path.read_bytes())", save="path.write_bytes(__import__('pickle').dumps(states))"), "runs whatever code"),
        (_checkpoint(load="torch.load(path, 'cpu') | torch.load(f'{path}.2', 'cpu')", save="torch.save({'model': states.pop('model')}, path)\n    torch.save(states, f'{path}.2')"), "one file"),
        (_checkpoint().replace("generator.get_state()", "generator.initial_seed()").replace("generator.set_state(", "generator.manual_seed("), "A seed is the state of the beginning"),
        (_checkpoint().replace("torch.get_rng_state()", "torch.initial_seed()").replace("torch.set_rng_state(", "torch.manual_seed("), "A seed is the state of the beginning"),
        (_checkpoint().replace("generator.get_state()", "torch.get_rng_state()"), "another generator's"),
        (_checkpoint().replace("optimizer.state_dict()", "optimizer.param_groups[0]['lr']").replace("optimizer.load_state_dict(states['optimizer'])", "optimizer.param_groups[0]['lr'] = states['optimizer']"), "forgotten its momentum"),
        (_checkpoint().replace("scheduler.state_dict()", "scheduler"), "refuses"),
        (_checkpoint(save="pass"), "wrote no file"),
        (_checkpoint(model="model", loading={"model": "model.load_state_dict(states['model'].state_dict())"}), "refuses"),
        (_checkpoint(before="torch.manual_seed(0)"), "changed torch's random state"),
        (_checkpoint(after="model.eval()"), "leave the models' mode alone"),
        (_checkpoint().replace("generator.get_state()", "generator"), "generator.get_state()"),
        (_checkpoint().replace("'random': torch.get_rng_state()", "'rng': torch.get_rng_state()"), "did not write"),
    ],
    "07.6": [
        (_run(cleanup="finally:\n            pass"), "No cleanup at all"),
        (_run(cleanup="for c in reversed(heard):\n            getattr(c, f'cleanup_{stage}')(self)"), "left out after a crash"),
        (_run(cleanup="else:\n            for c in reversed(heard):\n                getattr(c, f'cleanup_{stage}')(self)"), "left out after a"),
        (_run(cleanup="finally:\n            for c in heard:\n                getattr(c, f'cleanup_{stage}')(self)"), "reversed"),
        (_run(cleanup="finally:\n            for c in reversed(self.callbacks):\n                getattr(c, f'cleanup_{stage}')(self)"), "gets a cleanup"),
        (_run(before="getattr(c, f'before_{stage}')(self)\n                heard.append(c)"), "gets no cleanup"),
        (_run(body="body()", cleanup="self.event(f'after_{stage}')\n        for c in reversed(heard):\n            getattr(c, f'cleanup_{stage}')(self)"), "although the stage was cancelled"),
        (_run(catch="except Exception:\n            pass"), "Every exception is swallowed"),
        (_run(catch="except BaseException:\n            pass"), "Every exception is swallowed"),
        (_run(catch=""), "goes on to the caller"),
        (_run(catch="except cancel:\n            raise"), "goes on to the caller"),
        (_run(body="self.event(f'after_{stage}')"), "never called"),
        (_run(before="heard.append(c)\n                getattr(c, f'before_{stage}')()"), "methods get the learner"),
        (_run(before="heard.append(c)\n                getattr(c, f'before_{stage}')(c)"), "which is `self` here"),
        (_run(body="body(self)\n            self.event(f'after_{stage}')"), "without arguments"),
        (_run(catch="except Exception as error:\n            if type(error) is not cancel:\n                raise"), "subclass of `cancel`"),
        (_run(body="body()", catch="except cancel:\n            pass\n        else:\n            self.event(f'after_{stage}')"), "after_… stands outside the `try`"),
        (_events("        self.event(f'before_{stage}')\n        try:\n            body()\n            self.event(f'after_{stage}')\n        except cancel:\n            pass\n        finally:\n"
                 "            for c in reversed(self.callbacks):\n                getattr(c, f'cleanup_{stage}')(self)\n"), "before_… stands outside the `try`"),
        (_run(body="body()", after="self.event(f'after_{stage}')"), "told after the cleanup"),
        (_run(cleanup="finally:\n            for c in reversed(heard):\n                getattr(c, f'cleanup_{stage}')(self)\n            return"), "no `return` in a `finally`"),
        (_run(catch="except 'cancel':\n            pass"), "the class itself"),
    ],
    "07.7": [
        (_learner(one_step="self.optimizer.step()"), "never emptied"),
        (_learner(start="pass"), "left from something else"),
        (_learner(between="self.optimizer.zero_grad()"), "emptied in the batch"),
        (_learner(backward="pass", one_step="self.optimizer.step()\n        self.loss.backward()\n        self.optimizer.zero_grad()"), "weights never change"),
        (_learner(backward="self.optimizer.step()\n            self.loss.backward()"), "modified by an inplace"),
        (_learner(switch="pass"), "wrong mode in a pass"),
        (_learner(switch="self.model.train()"), "wrong mode in a pass"),
        (_learner(grad="torch.enable_grad()"), "recorded a graph"),
        (_learner(grad="torch.enable_grad()", if_training="True"), "Backward in a validation pass"),
        (_learner(guard="after"), "put the modes back"),
        (_learner(back="pass"), "put the modes back"),
        (_learner(modes="[(m, m.training) for m in [self.model, *self.model.children()]]"), "layers inside these"),
        (_learner(switch="self.model.train(self.training)\n        for m in getattr(self, 'frozen', ()):\n            m.training = False", start="self.frozen = [m for m, mode in modes if not mode and self.model.training]\n        self.optimizer.zero_grad()"),
         "every module follows self.training"),
        (_learner(backward="loss.backward()").replace("self.loss = self.loss_fn", "loss = self.loss = self.loss_fn"), "backward starts from the old one"),
        (_learner().replace("self.prediction = self.model", "prediction = self.prediction = self.model").replace("loss_fn(self.prediction", "loss_fn(prediction"), "not that of self.prediction"),
        (_learner(start="self.history = {}\n        self.optimizer.zero_grad()"), "kept over all fits"),
        (_learner(run='try:\n                self.event("before_fit")\n                self.all_epochs()\n                self.event("after_fit")\n            except CancelFit:\n                pass\n'
                      '            finally:\n                for c in reversed(self.callbacks):\n                    c.cleanup_fit(self)'), "by hand"),
        (_learner(back="for m, mode in modes:\n                m.training = mode\n            return self.history"), "no return in the finally"),
        (_learner(run='self.run("fit", self.all_epochs(), CancelFit)'), "self.all_epochs, self.one_batch"),
        (_learner(modes="self.model.training", back="self.model.train(modes)"), "a frozen batch norm"),
        (_learner(back="self.model.training = modes[0][1]"), "children"),
        (_learner(lasting="pass"), "for this fit only"),
        (_learner(result="pass"), "must return self.history"),
        (_learner(run="self.all_epochs()"), "never heard"),
        (_learner(batch="self.one_batch()"), "must run the stage"),
        (_learner(step="self.one_step()"), "never heard before_step"),
        (_learner(after_loss="pass"), "never heard after_loss"),
        (_learner(pair="pass"), "set self.x and self.y"),
        (_learner(step='self.run("step", self.one_step, CancelBatch)'), "A cancel went through"),
        (_learner(run='try:\n                self.run("fit", self.all_epochs, CancelFit)\n            except Exception:\n                pass'), "was swallowed"),
    ],
    "07.8": [
        (_metrics(mean="sum(r[i] for r in self.rows) / len(self.rows)"), "averaged the batch means"),
        (_metrics(reset="pass", init="self.rows = []"), "sums of earlier passes"),
        (_metrics(mean="sum(r[0] * r[i] for r in self.rows)"), "not divided by their number"),
        (_metrics(mean="self.rows[-1][i]"), "last batch's value only"),
        (_metrics(mean="sum(r[i] for r in self.rows) / sum(r[0] for r in self.rows)"), "divided by the number of samples"),
        (_metrics(where="cleanup_epoch"), "was cancelled"),
        (_metrics(split='"val"'), 'All passes are called "val"'),
        (_metrics(split='"train"'), 'All passes are called "train"'),
        (_metrics(names='["loss"]'), "Only the losses"),
        (_metrics(put="learner.history.setdefault(name, []).append(value)"), "say no split"),
        (_metrics(put='learner.history[f"{split}_{name}"].append(value)'), "setdefault"),
        (_metrics(put='learner.history[f"{split}_{name}"] = [value]'), "last epoch only"),
        (_metrics(put='learner.history[f"{split}_{name}"] = value'), "should be a list"),
        (_metrics(put='learner.history.setdefault(f"{split}_{name}", []).append(torch.tensor(value))'), "Python floats, not tensors"),
        (_metrics(put="pass"), "history is empty"),
        (_metrics(at="after_backward"), "Count them in after_loss"),
        (_metrics(mean="sum(r[0] * r[i] for r in self.rows) / sum(r[0] for r in self.rows)"), "there are none: nan"),
        (_metrics(where="after_epoch").replace("        split =", "        if not self.rows:\n            return\n        split ="), "is in the history too: nan"),
        (_metrics(split='"train" if learner.training else "valid"'), "asked for are"),
        (_metrics(reset="self.rows = []\n        for name in ('loss', *self.functions):\n            learner.history.setdefault(('train_' if learner.training else 'val_') + name, [])"), "empty list"),
        (_metrics(note="self.rows.append([len(learner.y), learner.loss, *(float(f(learner.prediction, learner.y)) for f in self.functions.values())])", put='learner.history.setdefault(f"{split}_{name}", []).append(float(value))'), "graph of every batch"),
        (_metrics(reset="self.rows, self.n, self.total = [], 0, 0.0", note="self.rows.append([len(learner.y), 0, *(float(f(learner.prediction, learner.y)) for f in self.functions.values())])\n        self.n += len(learner.y)\n        self.total = self.total + learner.loss * len(learner.y)",
                  mean="(float(self.total) / self.n if i == 1 else sum(r[0] * r[i] for r in self.rows) / self.n) if self.n else float('nan')"), "graph of every batch"),
        (_metrics(note="self.rows.append([len(learner.y), learner.loss.item(), *(float(f(learner.y, learner.prediction)) for f in self.functions.values())])"), "the prediction comes first"),
    ],
    "07.9": [
        (_look(hook="lambda *seen: self.function(index, *seen)"), "last index"),
        (_look(leave="pass"), "remove every handle"),
        (_look(leave="self.handles[0].remove()"), "remove every handle"),
        (_look(leave="if error[0] is None:\n            for handle in self.handles:\n                handle.remove()"), "remove every handle"),
        (_look(leave="for m in self.modules:\n            m._forward_hooks.clear()\n            m._backward_hooks.clear()"), "somebody else"),
        (_look(leave="for handle in self.handles:\n            handle.remove()\n        return True"), "must not return True"),
        (_look(entered="pass"), "must return self"),
        (_look(init="self.register()", enter="pass"), "before the `with` block begins"),
        (_look(hook="lambda m, i, o, index=index: (self.function(index, m, i, o), None)[1]"), "your hook must return it"),
        (_look(hook="self.function"), "give it the index first"),
        (_look(register="module.register_forward_hook"), "register_full_backward_hook"),
        (_look(register="module.register_backward_hook if self.backward else module.register_forward_hook"), "is out of date"),
        (_look(register="module.register_full_backward_pre_hook if self.backward else module.register_forward_hook"), "pre_hook"),
        (_look(hook="lambda m, i, o, index=index: self.function(index, m, i[0], o)"), "as a tuple"),
        (_look().replace("            if self.function is not None:\n                self.function(", "            if self.shown is not None:\n                self.shown(").replace("        self.function = function\n", "        self.function = self.shown = function\n"), "it may be set later"),
        (_look(modules="enumerate(self.modules, start=1)"), "counted from 1"),
        (_look(layers="list(layers)"), "plain list"),
        (_look(loop="x = layer(x)", final="self.function and self.function(index, layer, x)"), "once, at the end"),
        (_look(loop="x = layer(x)"), "never called its function"),
        (_look(loop="if self.function is not None:\n                self.function(index, layer, x)\n            x = layer(x)"), "what goes into each layer"),
        (_look(loop="x = layer(x)\n            self.function(index, layer, x)"), "may be None"),
        (_look(loop="x = layer(x)\n            if self.function is not None:\n                x = self.function(index, layer, x)"), "only looks"),
        (_look(numbered="enumerate(self.layers, start=1)"), "counted from 1"),
    ],
}

RIGHT = {
    "07.1": ["def accuracy(logits, y):\n    return sum(int(p == t) for p, t in zip(logits.max(dim=1).indices.tolist(), y.tolist())) / len(y)"],
    "07.2": ["def train(model, batches, loss_fn, optimizer, scheduler=None):\n    losses, sizes = [], []\n    model.train(True)\n    for x, y in batches:\n"
             "        for p in model.parameters():\n            p.grad = None\n        loss = loss_fn(model(x), y)\n        loss.backward()\n        optimizer.step()\n"
             "        if scheduler:\n            scheduler.step()\n        losses.append(loss.item())\n        sizes.append(len(x))\n"
             "    return float(np.average(losses, weights=sizes))"],
    "07.3": ["def validate(model, batches, loss_fn):\n    mode = model.training\n    model.eval()\n    try:\n        with torch.inference_mode():\n"
             "            outputs = [(model(x), y) for x, y in batches]\n            n = sum(len(y) for _, y in outputs)\n"
             "            loss = sum(loss_fn(z, y).item() * len(y) for z, y in outputs) / n\n"
             "            return loss, sum((z.argmax(1) == y).sum().item() for z, y in outputs) / n\n    finally:\n        model.train(mode)",
             _validate(),
             _validate(head="").replace("logits = model(x)", "with torch.no_grad():\n            logits = model(x)")],
    "07.4": [
        _trainer(),
        _trainer(keep="{n: t.detach().clone() for n, t in self.model.state_dict().items()}", stop="patience is not None and waited >= patience", grad="torch.enable_grad() if training else torch.no_grad()",
                 init="def init_weights(m):\n    if type(m) in (nn.Linear, nn.Conv2d):\n        with torch.no_grad():\n            bound = (6 / (m.weight[0].numel() + m.weight.shape[0] * m.weight[0, 0].numel())) ** 0.5\n"
                      "            m.weight.uniform_(-bound, bound)\n            if m.bias is not None:\n                m.bias.fill_(0.0)\n"),
        _trainer(switch="self.model.train() if training else self.model.eval()", predicted="torch.cat([self.model(x) for x, _ in batches]).cpu()", predict_grad="torch.inference_mode()"),
    ],
    "07.5": [
        _checkpoint(),
        "def save_checkpoint(path, epoch, *parts):\n    torch.save([epoch, torch.get_rng_state(), parts[-1].get_state(), *(part.state_dict() for part in parts[:-1])], str(path))\n\n"
        "def load_checkpoint(path, *parts):\n    epoch, numbers, order, *states = torch.load(path, torch.device('cpu'))\n    for part, state in zip(parts, states):\n        part.load_state_dict(state)\n"
        "    parts[-1].set_state(order)\n    torch.random.set_rng_state(numbers)\n    return epoch",
    ],
    "07.6": [_run(), _events("        if not self.callbacks:\n            try:\n                body()\n            except cancel:\n                pass\n            return\n"
                             "        def nested(rest):\n            if not rest:\n                body()\n                self.event(f'after_{stage}')\n                return\n"
                             "            try:\n                getattr(rest[0], f'before_{stage}')(self)\n                nested(rest[1:])\n            except cancel as error:\n                cancelled = error\n"
                             "            else:\n                cancelled = None\n            finally:\n                pending.append(rest[0])\n            if cancelled:\n                raise cancelled\n"
                             "        pending = []\n        try:\n            nested(self.callbacks)\n        except cancel:\n            pass\n        finally:\n            for c in pending:\n                getattr(c, 'cleanup_' + stage)(self)\n")],
    "07.7": [_learner(), _learner(modes="{m: m.training for m in self.model.modules()}", back="[setattr(m, 'training', mode) for m, mode in modes.items()]", start="self.model.zero_grad()",
                                  switch="self.model.train() if self.training else self.model.eval()", one_step="self.optimizer.step()\n        for p in self.model.parameters():\n            p.grad = None")],
    "07.8": [_metrics(), _metrics(reset="self.rows, self.n, self.sums = [], 0, torch.zeros(1 + len(self.functions), dtype=torch.float64)",
                                  note="self.n += len(learner.prediction)\n        self.sums += len(learner.y) * torch.tensor([learner.loss.item(), *(float(f(learner.prediction, learner.y)) for f in self.functions.values())], dtype=torch.float64)",
                                  mean="(self.sums[i - 1] / self.n).item()"),
             _metrics(reset="self.p, self.y = [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)]", note="self.p.append(learner.prediction.detach())\n        self.y.append(learner.y)", names='[learner.loss_fn, *self.functions.values()]',
                      mean="float(name(torch.cat(self.p), torch.cat(self.y))) if len(self.p) > 1 else float('nan')", put="learner.history.setdefault(f'{split}_' + ['loss', *self.functions][i - 1], []).append(value)"),
             _metrics(note="self.rows.append([len(learner.x), float(learner.loss), *(float(f(learner.prediction, learner.y)) for f in self.functions.values())])")],
    "07.9": [_look(), _look(hook="__import__('functools').partial(self.function, index)"),
             _look(enter="self.stack = ExitStack()\n        for i, m in enumerate(self.modules):\n            put = m.register_full_backward_hook if self.backward else m.register_forward_hook\n"
                         "            self.stack.enter_context(put(lambda *seen, i=i: self.function(i, *seen)))", leave="self.stack.close()")],
}

CONSTANTS = {
    "07.1": _accuracy("0.5"),
    "07.2": "def train(model, batches, loss_fn, optimizer, scheduler=None):\n    return 1.0",
    "07.3": "def validate(model, batches, loss_fn):\n    return 1.0, 0.5",
    "07.4": "def init_weights(module):\n    pass\n\nclass Trainer:\n    def __init__(self, model, loss_fn, optimizer):\n        self.model = model\n        self.log = {}\n\n"
            "    def fit(self, train_batches, val_batches, epochs, patience=None):\n        self.log |= {'batch_loss': [1.0] * len(train_batches) * epochs} | {n: [0.5] * epochs for n in ('train_loss', 'train_accuracy', 'val_loss', 'val_accuracy')}\n"
            "        return self.log\n\n    def predict(self, batches):\n        return torch.zeros(sum(len(y) for _, y in batches), 3, dtype=torch.float64)",
    "07.5": "def save_checkpoint(path, epoch, model, optimizer, scheduler, generator):\n    path.write_bytes(b'')\n\ndef load_checkpoint(path, model, optimizer, scheduler, generator):\n    return 2",
    "07.6": _events("        pass"),
    "07.7": "class Learner:\n    def __init__(self, *arguments):\n        self.callbacks, self.history = arguments[5], {}\n\n    def fit(self, epochs, callbacks=()):\n        return self.history",
    "07.8": "class Metrics(Callback):\n    def __init__(self, **functions):\n        self.functions = functions\n\n    def after_epoch(self, learner):\n        for name in ('loss', *self.functions):\n"
            "            learner.history.setdefault(('train_' if learner.training else 'val_') + name, []).append(1.0)",
    "07.9": "class HookedSequential(nn.Module):\n    def __init__(self, *layers, function=None):\n        super().__init__()\n\n    def forward(self, x):\n        return torch.zeros(len(x), 3, dtype=x.dtype)\n\n"
            "class Hooks:\n    def __init__(self, modules, function, backward=False):\n        pass\n\n    def __enter__(self):\n        return self\n\n    def __exit__(self, *error):\n        pass",
}
