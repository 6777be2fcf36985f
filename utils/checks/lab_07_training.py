"""Checks of lab 07, the training loop. Oracle: the same loops written out below, on small networks in float64."""

import contextlib
import functools
import math

import torch
import torch.nn.functional as F
from torch import nn

from . import exercise
from .engine import Rng
from .tiny import tiny_batches, tiny_network, tiny_state


@exercise("07.1", points=1, needs=["accuracy"], reference="utils.training:accuracy")
class Accuracy:
    """Accuracy of a batch."""

    errors = {
        "must match the size": "argmax(dim=0) goes down the columns. The dim given is the one that disappears; the classes are dim=1.",
        "'bool' object has no attribute": "max(1) returns values *and* places, which equal no label: use argmax(1).",
        "could not infer output dtype": "Bools have no mean: .float() first.",
        "only one element tensors can be converted": "float() or .item() needs a single number: average over the batch first.",
        "a Tensor with": "float() or .item() needs a single number: average over the batch first.",
    }

    def inputs(rng):
        y = torch.tensor([0, 2, 1, 1, 3, 0, 2])
        logits = rng.randn(7, 5)
        logits[torch.arange(4), y[:4]] += 9  # right
        logits[torch.arange(4, 7), (y[4:] + 1) % 5] += 9  # wrong
        yield {"logits": logits, "y": y}
        yield {"logits": rng.randn(3, 40).t() - 20, "y": rng.randint(0, 3, (40,))}  # all negative
        yield {"logits": torch.tensor([[0.1, 0.3]]), "y": torch.tensor([1])}

    def probe(student, logits, y):
        return {"got": student.accuracy(logits, y)}

    def judge(case, logits, y, got):
        hits = (logits.argmax(1) == y).double()
        case.that(not isinstance(got, torch.Tensor), "The answer is a tensor; asked for is a Python number: .item().")
        case.that(isinstance(got, (int, float)) and not isinstance(got, bool), "The answer must be a Python number.")
        p = logits.softmax(1)
        case.close(torch.tensor(float(got)), hits.mean().float(), what="accuracy(logits, y)", mistakes={
            "This is the number of right answers; divide by how many there are.": hits.sum().float(),
            "This is in percent; asked for is a fraction from 0 to 1.": 100 * hits.mean().float(),
            "This is the share of *wrong* answers.": 1 - hits.mean().float(),
            "This is the mean probability of the right class; accuracy asks only which logit is largest.": p[torch.arange(len(y)), y].mean(),
            "This divides by the number of classes, not of images.": hits.sum().float() / logits.shape[1],
            "No image is right: are the largest *values* compared with the labels, or places in the whole batch? Take the place in each row: argmax(dim=1).": torch.tensor(0.0),
            "argmax() without a dim is the place in the whole batch; each row has its own: argmax(dim=1).": (logits.argmax() == y).float().mean(),
            "Each prediction is compared with every label: (B, 1) == (B,) broadcasts to (B, B). Leave keepdim out.": (logits.argmax(1, keepdim=True) == y).float().mean(),
        })


def _flat(state) -> torch.Tensor:
    """All floating-point entries of a state dict as one vector."""
    return torch.cat([v.double().flatten() for _, v in sorted(state.items()) if isinstance(v, torch.Tensor) and v.is_floating_point()])


def _loss(logits, y) -> torch.Tensor:
    """The loss that the probes of 07.2 and 07.3 hand over: not the plain one, so that whoever writes that in their code is seen."""
    return F.cross_entropy(logits, y, label_smoothing=0.3)


def _train(state, batches, rate, scheduled, mode=True, zero="before", step=True, schedule="batch", grads=True, loss_fn=_loss):
    """Train as asked, or with one of the bugs. Returns (losses, the parameters and buffers as a vector)."""
    model = tiny_network(state).train(mode)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    losses = []
    for x, y in batches:
        loss = loss_fn(model(x), y)
        if zero == "before":
            optimizer.zero_grad()
        if grads:
            loss.backward()
        if zero == "after backward":
            optimizer.zero_grad()
        if scheduled and schedule == "too early":
            scheduler.step()
        if step:
            optimizer.step()
        if scheduled and schedule == "batch":
            scheduler.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64), _flat(model.state_dict())


@exercise("07.2", points=3, needs=["train"], reference="utils.training:train")
class Train:
    """One epoch of training."""

    errors = {
        "takes 4 positional arguments": "`train(model, batches, loss_fn, optimizer, scheduler)` must work: keep the five arguments of the stub.",
        "'NoneType' object has no attribute 'step'": "The scheduler may be None: step it only `if scheduler is not None`.",
        "not implemented for 'Long'": "loss_fn(logits, y): logits first.",
        "grad can be implicitly created only for scalar outputs": "backward() starts from one number: the loss, not the logits.",
        "not iterable": "`for x, y in batches` gives the pairs; batches itself may be any collection of them.",
    }

    def inputs(rng):
        yield {"state": tiny_state(rng), "batches": tiny_batches(rng, (8, 8, 3)), "rate": 0.05, "scheduled": False}
        yield {"state": tiny_state(rng), "batches": tiny_batches(rng, (8, 8, 8, 5)), "rate": 0.1, "scheduled": True, "_case": "with a scheduler"}
        yield {"state": tiny_state(rng), "batches": tiny_batches(rng, (4,)), "rate": 0.1, "scheduled": False, "_case": "one batch"}

    def probe(student, state, batches, rate, scheduled):
        from torch import nn

        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
        model.load_state_dict(state)
        model.eval()  # as the last validation may have left it
        calls = []
        model.register_forward_hook(lambda *seen: calls.append(1))
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        arguments = [model, batches, nn.CrossEntropyLoss(label_smoothing=0.3), optimizer]
        if scheduled:
            arguments.append(torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step))
        loss = student.train(*arguments)
        return {"loss": loss, "after": dict(model.state_dict()), "mode": model.training, "calls": len(calls)}

    def judge(case, state, batches, rate, scheduled, loss, after, mode, calls):
        setting = (state, batches, rate, scheduled)
        case.that(calls <= len(batches), "The model is called more than once for a batch, and each call moves the batch norm's running averages: keep the loss of the first.")
        losses, want = _train(*setting)
        sizes = torch.tensor([float(len(y)) for _, y in batches], dtype=torch.float64)
        names = {
            "The network did not change: optimizer.step() is missing, or it found no gradient (no backward(), or zero_grad() between backward() and step()).":
                [_train(*setting, step=False)[1], _train(*setting, zero="after backward")[1], _train(*setting, grads=False)[1], _flat(state)],
            "The gradients of earlier batches are still in .grad: call optimizer.zero_grad() before each backward().": _train(*setting, zero="never")[1],
            "The model was not in training mode: its batch norm used and kept the running averages. Call model.train() first.": _train(*setting, mode=False)[1],
            "Only the first batch was trained on: does `return` stand inside the loop?": _train(state, batches[:1], rate, scheduled)[1],
            "Use the loss_fn that train is given, not cross-entropy always: the caller may want another loss.": _train(*setting, loss_fn=F.cross_entropy)[1],
            "A softmax stands before the loss: loss_fn takes the logits as they are.": _train(*setting, loss_fn=lambda z, y: _loss(z.softmax(1), y))[1],
        }
        if scheduled:
            names["The learning rate did not change during the epoch: step the scheduler after every batch."] = _train(*setting, schedule="never")[1]
            names["The scheduler steps before optimizer.step(): the step is then taken at the next batch's rate."] = _train(*setting, schedule="too early")[1]
        case.close(_flat(after), want, what="After one epoch, the vector of all parameters and running averages", rtol=1e-6, atol=1e-8, mistakes=names)
        case.that(loss is not None, "The network is trained, but train returns None: return the mean loss.")
        case.that(not isinstance(loss, torch.Tensor), "The loss comes back as a tensor. Add up loss.item(): a tensor keeps the graph of its batch in memory.")
        case.that(isinstance(loss, (int, float)), "train must return a number, the mean loss.")
        case.close(torch.tensor(float(loss), dtype=torch.float64), (losses * sizes).sum() / sizes.sum(), what="The mean loss", rtol=1e-6, mistakes={
            "You averaged the batch means; the last batch is shorter, so its images count too much. Add up loss · images, then divide by all images.": losses.mean(),
            "The sum over the images is not divided by their number.": (losses * sizes).sum(),
            "This is the sum of the batches' losses; asked for is the mean over the images.": losses.sum(),
            "This is the loss of the last batch only.": losses[-1],
            "The batches' mean losses are divided by the number of images. Multiply each by its number of images first.": losses.sum() / sizes.sum(),
            "The sum over the images is divided by the number of batches; divide by the number of images.": (losses * sizes).sum() / len(sizes),
        })
        case.that(mode is True, "train should leave the model in training mode: no model.eval() at its end, no going back to the old mode.")


@exercise("07.3", points=3, needs=["validate"], reference="utils.training:validate")
class Validate:
    """Loss and accuracy over a whole set."""

    errors = {
        "not implemented for 'Long'": "loss_fn(logits, y): logits first.",
        "not iterable": "`for x, y in batches` gives the pairs; batches itself may be any collection of them.",
    }

    def inputs(rng):
        yield {"state": tiny_state(rng), "batches": tiny_batches(rng, (8, 8, 3)), "training": True}
        yield {"state": tiny_state(rng), "batches": tiny_batches(rng, (6, 2)), "training": False, "_case": "the model is in evaluation mode already"}
        yield {"state": tiny_state(rng), "batches": tiny_batches(rng, (4, 4, 4, 1)), "training": True, "_case": "the last batch is a single image"}

    def probe(student, state, batches, training):
        from torch import nn

        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
        model.load_state_dict(state)
        model.train(training)
        graphs = []

        model[-1].register_forward_hook(lambda layer, inputs, logits: graphs.append(logits.requires_grad))
        answer = student.validate(model, batches, nn.CrossEntropyLoss(label_smoothing=0.3))
        grad_on, modes = torch.is_grad_enabled(), [m.training for m in model.modules()]
        with torch.no_grad():
            student.validate(model, batches, nn.CrossEntropyLoss())
            grad_inside = torch.is_grad_enabled()
        try:
            student.validate(model, batches, lambda logits, y: logits / y.nothing)
        except AttributeError:
            grad_on = grad_on and (torch.is_grad_enabled() or "not after an error")
        torch.set_grad_enabled(True)
        return {"answer": answer, "graphs": graphs, "after": dict(model.state_dict()), "modes": modes,
                "grad_on": grad_on, "grad_inside": grad_inside, "learnable": [p.requires_grad for p in model.parameters()]}

    def judge(case, state, batches, training, answer, graphs, after, modes, grad_on, grad_inside, learnable):
        case.that(isinstance(answer, list) and len(answer) == 2, "validate must return two numbers: `return loss, accuracy`.")
        case.that(not any(isinstance(value, torch.Tensor) for value in answer), "Return Python numbers, not tensors: .item().")
        case.that(all(isinstance(value, (int, float)) for value in answer), "validate must return two numbers: `return loss, accuracy`.")
        sizes = torch.tensor([float(len(y)) for _, y in batches], dtype=torch.float64)

        def measured(train_mode, loss_fn=_loss):
            model = tiny_network(state).train(train_mode)
            with torch.no_grad():
                logits = [model(x) for x, _ in batches]
            losses = torch.stack([loss_fn(z, y) for z, (_, y) in zip(logits, batches)])
            hits = torch.stack([(z.argmax(1) == y).double().sum() for z, (_, y) in zip(logits, batches)])
            return losses, hits

        losses, hits = measured(False)
        mean_loss, share = (losses * sizes).sum() / sizes.sum(), hits.sum() / sizes.sum()
        wrong_loss = {
            "You averaged the batch means; the last batch is shorter, so its images count too much. Add up loss · images, then divide by all images.": losses.mean(),
            "The batches' mean losses are divided by the number of images. Multiply each by its number of images first.": losses.sum() / sizes.sum(),
            "The loss is the sum over the batches; asked for is the mean over the images.": losses.sum(),
            "The sum over the images is not divided by their number.": (losses * sizes).sum(),
            "The two numbers are the wrong way round: (loss, accuracy).": share,
            "Use the loss_fn that validate is given, not cross-entropy always: the caller may want another loss.":
                (measured(False, F.cross_entropy)[0] * sizes).sum() / sizes.sum(),
            "Only the first batch was measured: does `return` stand inside the loop?": losses[0],
        }
        if min(sizes) > 1:  # else a batch norm in training mode raises an error
            wild, lucky = measured(True)
            wrong_loss["The model was in training mode: its batch norm used the batch's own averages. Call model.eval() first."] = \
                [(wild * sizes).sum() / sizes.sum(), wild.mean()]
        got_loss, got_share = (torch.tensor(float(value), dtype=torch.float64) for value in answer)
        case.close(got_loss, mean_loss, what="The loss", rtol=1e-6, mistakes=wrong_loss)
        case.close(got_share, share, what="The accuracy", rtol=1e-6, mistakes={
            "The accuracy is the mean of the batches' accuracies; the last batch is shorter. Count the right answers, then divide by all images.": (hits / sizes).mean(),
            "This is the number of right answers; divide it by the number of images.": hits.sum(),
            "The accuracy is in percent; asked for is a fraction from 0 to 1.": 100 * share,
            "The number of right answers is divided by the number of batches, not of images.": hits.sum() / len(sizes),
        })
        case.close(_flat(after), _flat(state), what="The vector of parameters and running averages", mistakes={})
        case.that(grad_on, "After validate, gradients are switched off for good: use `with torch.no_grad():`, which switches them on again at its end.")
        if not training:  # the second case
            case.that(grad_on is True, "After an error inside validate, gradients stay switched off: a `with torch.no_grad():` undoes itself in any case.")
            case.that(not grad_inside, "Called where gradients are off, validate switches them on: `with torch.no_grad():` goes back to what was before.")
        case.that(all(learnable), "validate froze the parameters (requires_grad_(False)): the next epoch could not train. Use `with torch.no_grad():`.")
        case.that(not any(graphs), "The result is right, but torch recorded a graph for each batch: compute under torch.no_grad().")
        left = "evaluation" if training else "training"
        case.that(set(modes) == {training},
                  f"The model comes back in {left} mode. Remember model.training before eval(), and set it again at the end: whoever called you may go on training.")


def _trainer(state, train, val, rate, epochs, patience, fits=1, bug=None):
    """Train with early stopping as asked, or with one of the bugs: (log, vector of the final state, final model)."""
    model = tiny_network(state)
    model[1].momentum = 0.1 if rate else 0.0  # at rate 0 nothing moves: every epoch is a tie
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    log = {name: [] for name in ("batch_loss", "train_loss", "train_accuracy", "val_loss", "val_accuracy")}
    best, weights = math.inf, None
    for _ in range(fits):
        waited = 0
        if bug != "best of all fits":
            best, weights = math.inf, None
        for epoch in range(epochs):
            for split, batches in (("train", train), ("val", val)):
                training = split == "train"
                model.train(training if bug != "no eval" else True)
                if bug == "no train" and log["val_loss"]:
                    model.eval()
                losses, hits, sizes = [], [], []
                for x, y in batches:
                    with torch.set_grad_enabled(training):
                        logits = model(x)
                        loss = _loss(logits, y)
                    if training:
                        if bug != "no zero":
                            optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
                    if training or bug == "validation logged":
                        log["batch_loss"].append(loss.item())
                    losses.append(loss.item())
                    hits.append((logits.argmax(1) == y).sum().item())
                    sizes.append(len(y))
                if bug == "batch means":
                    log[f"{split}_loss"].append(sum(losses) / len(losses))
                    log[f"{split}_accuracy"].append(sum(h / s for h, s in zip(hits, sizes)) / len(sizes))
                else:
                    log[f"{split}_loss"].append(sum(a * s for a, s in zip(losses, sizes)) / sum(sizes))
                    log[f"{split}_accuracy"].append(sum(hits) / sum(sizes))
            value = log["train_loss" if bug == "watches training" else "val_loss"][-1]
            if bug == "last epoch":  # compares with the epoch before, not with the best
                better, best = value < best, value
            else:
                if "accuracy" in str(bug):
                    value = log["val_accuracy"][-1] * (-1 if bug == "best accuracy" else 1)
                better = value <= best if bug == "ties" else value < best and not (bug == "not the first" and epoch == 0)
                best = value if better else best
            if better:
                weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            waited = waited if better and bug == "waiting adds up" else 0 if better else waited + 1
            limit = None if patience is None else patience + {"late": 1, "early": -1}.get(bug, 0)
            if limit is not None and bug != "no stop" and waited >= limit and (waited or limit > 0):
                break
        if bug == "initial weights":
            model.load_state_dict(state)
        elif bug == "parameters only":
            model.load_state_dict({name: value for name, value in weights.items() if "running" not in name}, strict=False)
        elif bug != "not restored":
            model.load_state_dict(weights)
    return log, _flat(model.state_dict()), model


def _stop(losses, patience: int, bug=None) -> int:
    """After how many epochs a run with these losses stops, or would stop with one of the bugs."""
    best, before, waited = math.inf, math.inf, 0
    patience += {"late": 1, "early": -1}.get(bug, 0)
    for epoch, value in enumerate(losses, start=1):
        better = value < (before if bug == "last epoch" else best)
        best, before = min(best, value), value
        if not better:
            waited += 1
        elif bug != "waiting adds up":
            waited = 0
        if waited >= patience and not better:
            return epoch
    return len(losses)


@functools.cache  # the search takes a second
def _turning(seed: int) -> dict:
    """A run that puts patience 2 to the test: its validation loss gets worse, then better than ever, then worse for good."""
    rng = Rng(seed)
    for _ in range(1000):
        setting = {"state": tiny_state(rng), "train": tiny_batches(rng, (7, 7, 4)), "val": tiny_batches(rng, (9, 5)), "rate": 0.05 + 0.3 * float(rng.rand(1)), "epochs": 10, "patience": 2}
        log, _, _ = _trainer(**setting, bug="no stop")
        losses = log["val_loss"]
        end = _stop(losses, 2)
        late, early, last, adds = others = [_stop(losses, 2, bug) for bug in ("late", "early", "last epoch", "waiting adds up")]
        if end < 9 and end not in others and _stop(log["train_loss"], 2) == 10 and len({late, early, last}) == 3 and late < 10 and adds != early and losses[:end].index(min(losses[:end])) > 1:
            return setting
    raise RuntimeError("no run found")


@functools.cache
def _worsening(seed: int) -> dict:
    """Two fits that only make things worse: the first epoch of the first is the best of all."""
    rng = Rng(seed)
    for _ in range(1000):
        setting = {"state": tiny_state(rng), "train": tiny_batches(rng, (7, 7, 4)), "val": tiny_batches(rng, (9, 5)), "rate": 0.3, "epochs": 3, "patience": None, "fits": 2}
        losses = _trainer(**setting)[0]["val_loss"]
        if min(losses[1:3]) > losses[0] < min(losses[3:]):
            return setting
    raise RuntimeError("no run found")


@exercise("07.4", points=5, needs=["Trainer", "init_weights"])
class ATrainer:
    """A trainer."""

    errors = {
        "'NoneType' object is not iterable": "`one_pass` returns nothing, or `fit` looks into something that returned nothing: is a `return` missing?",
        "'int' and 'NoneType'": "`patience` may be None: then the run never stops early.",
        "stack expects each tensor": "The batches' logits have different lengths: torch.cat puts them one below the other, torch.stack wants equal shapes.",
        "object has no attribute 'to'": "A batch is a pair: `for x, y in batches`, also in predict.",
        "not tuple": "A batch is a pair: `for x, y in batches`, also in predict.",
        "not list": "A batch is a pair: `for x, y in batches`, also in predict.",
        "cannot unpack non-iterable NoneType": "`one_pass` must return two numbers: (mean loss, accuracy).",
        "does not require grad": "The graph is switched off during training too: torch.set_grad_enabled(training), or no_grad() for validation alone.",
        "Expected state_dict to be dict-like": "load_state_dict wants the copy of model.state_dict() that was kept, and got None: was the best epoch ever noted?",
        "init_weights: AttributeError: 'NoneType'": "A layer made with bias=False has `bias = None`: look before you fill it.",
        "'Embedding' object has no attribute": "`apply` comes by every module: ask isinstance(module, (nn.Linear, nn.Conv2d)), not whether it has a weight.",
        "'ReLU' object has no attribute": "`apply` comes by every module, also those without weights: ask isinstance(module, (nn.Linear, nn.Conv2d)).",
        "Fan in and fan out can not be computed": "Xavier needs a matrix; a batch norm's weight is a vector. Fill only nn.Linear and nn.Conv2d.",
    }

    def inputs(rng):
        plain = {"state": tiny_state(rng), "train": tiny_batches(rng, (8, 8, 3)), "val": tiny_batches(rng, (6, 2)), "rate": 0.05, "epochs": 3, "patience": None, "fits": 1}
        yield plain | {"training": True, "init": False}
        yield _turning(rng.integer(0, 2**31)) | {"fits": 1, "training": False, "init": False, "_case": "early stopping with patience 2"}
        yield _worsening(rng.integer(0, 2**31)) | {"training": True, "init": False, "_case": "two fits; the first epoch is the best"}
        yield plain | {"rate": 0.0, "epochs": 6, "patience": 2, "training": True, "init": False, "_case": "the validation loss never changes; patience 2"}
        yield plain | {"state": tiny_state(rng), "training": True, "init": True, "_case": "init_weights"}

    def probe(student, state, train, val, rate, epochs, patience, fits, training, init):
        from torch import nn

        if init:
            layers = nn.Linear(300, 200), nn.BatchNorm1d(200), nn.ReLU(), nn.Linear(200, 150, bias=False), nn.Conv2d(20, 40, 5), nn.Embedding(10, 8)
            model = nn.Sequential(*layers)
            for parameter in model.parameters():
                nn.init.constant_(parameter, 0.7)
            model.apply(student.init_weights)
            return {"weights": [model[i].weight for i in (0, 3, 4)], "biases": [model[0].bias, model[4].bias], "norm": [model[1].weight, model[1].bias, model[5].weight],
                    "log": None, "after": None, "predicted": None, "modes": None, "graphs": None, "swapped": None, "cold": None}
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
        model.load_state_dict(state)
        model.train(training)
        model[1].momentum = 0.1 if rate else 0.0
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        trainer = student.Trainer(model, nn.CrossEntropyLoss(label_smoothing=0.3), optimizer)
        graphs = []
        handle = model[-1].register_forward_hook(lambda layer, inputs, logits: graphs.append([layer.training, logits.requires_grad]))
        for _ in range(fits):
            log = trainer.fit(train, val, epochs, patience)
        modes = [model.training]
        after = {name: value.clone() for name, value in model.state_dict().items()}
        learnt = len(graphs)
        predicted = []
        for mode in (True, False):
            model.train(mode)
            predicted.append(trainer.predict(val))
            modes.append(model.training)
        handle.remove()
        return {"log": log, "after": after, "predicted": predicted, "modes": modes, "graphs": graphs[:learnt], "cold": [tracked for _, tracked in graphs[learnt:]],
                "swapped": trainer.model is not model, "weights": None, "biases": None, "norm": None}

    def judge(case, state, train, val, rate, epochs, patience, fits, training, init, log, after, predicted, modes, graphs, cold, swapped, weights, biases, norm):
        if init:
            for got, name, (inward, outward) in zip(weights, ("Linear(300, 200)", "Linear(200, 150)", "Conv2d(20, 40, 5)"), ((300, 200), (200, 150), (500, 1000)), strict=True):
                spread, want = got.double().std().item(), math.sqrt(2 / (inward + outward))
                case.that((got != 0.7).any(), f"init_weights leaves the weights of {name} as they were: isinstance of nn.Linear or nn.Conv2d, and a function that ends in _ (in place).")
                case.that(abs(spread - math.sqrt(2 / inward)) > 0.03 * spread, f"The weights of {name} have the deviation √(2 / fan in): that is Kaiming's rule. Asked for is Xavier's.")
                case.that(abs(spread / want - 1) < 0.03, f"The weights of {name} have a standard deviation of {spread:.4f}; Xavier's is √(2 / (fan in + fan out)) = {want:.4f}: nn.init.xavier_uniform_.")
                case.that(got.abs().max() <= math.sqrt(6 / (inward + outward)) + 1e-6, f"The weights of {name} have the right deviation but no bounds, as from a normal distribution. Asked for is the uniform one: nn.init.xavier_uniform_.")
            case.that(all((bias == 0).all() for bias in biases), "The biases of linear and convolutional layers should be 0: nn.init.zeros_(module.bias).")
            case.that(all((value == 0.7).all() for value in norm), "init_weights changed a batch norm or an embedding: fill only nn.Linear and nn.Conv2d, by isinstance.")
            return
        setting = (state, train, val, rate, epochs, patience, fits)
        want, final, model = _trainer(*setting)
        names = ("batch_loss", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
        case.that(log is not None, "`fit` returns None: return the log.")
        case.that(isinstance(log, dict) and set(names) <= set(log), f"The log must hold {', '.join(names)}.")
        case.that(all(isinstance(log[name], list) for name in names), "Each entry of the log is a list.")
        case.that(all(isinstance(value, (int, float)) for name in names for value in log[name]), "The log should hold Python numbers, not tensors (a tensor keeps the graph of its batch in memory): .item().")

        def lists(name, bug=None):
            return torch.tensor(_trainer(*setting, bug=bug)[0][name] if bug else want[name], dtype=torch.float64)

        passes = len(graphs) // (len(train) + len(val))
        case.that(fits == 1 or len(log["val_loss"]) != epochs, "`fit` empties the log; it goes on over all fits.")
        case.that(len(log["val_loss"]) != passes - 1, "The last epoch is missing in the log: note it before the `break`.")
        if patience is not None and len(log["val_loss"]) != len(want["val_loss"]):
            ended, asked = len(log["val_loss"]), len(want["val_loss"])
            story = {
                "A loss that only equals the best is not *below* it: `<`, not `<=`.": "ties",
                "The first epoch can be the best too: start with a best loss of infinity.": "not the first",
                "The run watches the accuracy; asked for is the lowest validation *loss*.": "best accuracy",
                "One epoch too many: stop as soon as `patience` epochs in a row have brought no new best.": "late",
                "One epoch too early: `patience` epochs in a row without a new best are allowed, and the run stops after the last of them.": "early",
                "The run does not stop early. Is there a `break` when the count has reached the patience? Is the loss compared with the best so far, not with that of the epoch before? Is it the validation loss, not the training loss?": "no stop",
                "The run stops when the loss is worse than in the epoch before; compare it with the best so far.": "last epoch",
                "Waiting must start anew at each new best: set the count back to 0.": "waiting adds up",
                "The run watches the training loss, which goes on falling; early stopping is about the validation loss.": "watches training",
                "The run watches the accuracy as if less of it were better.": "accuracy as a loss",
            }
            for message, bug in story.items():
                case.that(len(lists("val_loss", bug)) != ended, message)
            case.that(False, f"The run stopped after {ended} epochs; wanted {asked}. Its validation losses: {', '.join(f'{value:.3f}' for value in want['val_loss'])}.")
        for name in ("batch_loss", "train_loss", "val_loss", "train_accuracy", "val_accuracy"):
            mistakes = {"The first epoch can be the best too: start with a best loss of infinity.": lists(name, "not the first")} if fits > 1 else {}
            mistakes |= {
                "The gradients of earlier batches are still in .grad: zero_grad() once for each step.": lists(name, "no zero"),
                "The validation pass ran in training mode (its batch norm used the batch's own averages): self.model.train(training).": lists(name, "no eval"),
                "After the first validation the model stays in evaluation mode: switch it at the start of each pass.": lists(name, "no train"),
            }
            if name == "batch_loss":
                mistakes["batch_loss also holds the validation batches: note it only `if training`."] = lists(name, "validation logged")
            else:
                mistakes["You averaged the batch means; the last batch is shorter, so its images count too much."] = lists(name, "batch means")
                mistakes["The sum over the images is not divided by their number."] = lists(name) * sum(len(y) for _, y in (train if name.startswith("train") else val))
            if name.endswith("accuracy"):
                mistakes["The accuracy is in percent; asked for is a fraction from 0 to 1."] = 100 * lists(name)
            got = torch.tensor([float(value) for value in log[name]], dtype=torch.float64)
            case.close(got, lists(name), what=f'log["{name}"]', rtol=1e-6, atol=1e-9, mistakes=mistakes)
        case.that(not swapped, "`self.model` is another object now than the model that the trainer was given, and whoever holds that one has the last weights: load the best weights into it (load_state_dict).")
        case.close(_flat(after), final, what="After fit, the vector of all parameters and running averages", rtol=1e-6, atol=1e-8, mistakes={
            "The model has the weights of its last epoch, not of its best. Either they are not put back; or no *copy* was kept (state_dict() hands out the tensors that training goes on to change: copy.deepcopy(…)); or the training loss decided which epoch is best.":
                _trainer(*setting, bug="not restored")[1],
            "The weights are the best epoch's, the batch norm's running averages are not: parameters() leaves buffers out. Copy the state_dict().": _trainer(*setting, bug="parameters only")[1],
            "The model has the weights from before the fit: the copy must be made in the epoch of the best.": _trainer(*setting, bug="initial weights")[1],
            "The model has the weights of the epoch with the best accuracy; asked for is the lowest validation *loss*.": _trainer(*setting, bug="best accuracy")[1],
            "The best of an earlier fit is still remembered: each fit begins with a best loss of infinity.": _trainer(*setting, bug="best of all fits")[1],
        })
        case.that(modes[0] == training, "After fit the model is in another mode than before: remember model.training first, and set it again at the end.")
        case.that(not any(tracked for mode, tracked in graphs if not mode), "The validation pass recorded a graph for each batch: with torch.set_grad_enabled(training).")
        logits = torch.cat([model.eval()(x) for x, _ in val]).detach()
        for got in predicted:
            case.close(got, logits, what="predict(batches)", rtol=1e-6, atol=1e-9, mistakes={
                "predict gives the logits of the last batch only: torch.cat of all.": torch.cat([model.eval()(x) for x, _ in val[-1:]]).detach(),
                "predict ran in training mode (its batch norm used the batch's own averages): model.eval().": torch.cat([_copy(model).train()(x) for x, _ in val]).detach(),
                "predict gives probabilities; asked for are the logits.": logits.softmax(1),
                "predict gives classes; asked for are the logits.": logits.argmax(1),
            })
        case.that(modes[1:] == [True, False], "predict changes the model's mode: remember it, and set it again at the end.")
        case.that(not any(cold), "predict recorded a graph: compute under torch.no_grad().")


def _copy(model) -> nn.Module:
    twin = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
    twin.load_state_dict(model.state_dict())
    return twin


def _noisy(state) -> tuple:
    """The model of 07.5's probe, with dropout, and its optimizer and schedule."""
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, 3)).double()
    model.load_state_dict(state)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)


def _epochs(parts, generator, x, y, count) -> None:
    model, optimizer, scheduler = parts
    for _ in range(count):
        for rows in torch.randperm(len(y), generator=generator).split(5):
            optimizer.zero_grad()
            _loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
            scheduler.step()


def _resumed(state, fresh, x, y, done, more, seed, forgotten=None):
    """The vectors of the weights after `done` epochs and a break, and after `more` epochs; or with some weights forgotten."""
    parts, order = _noisy(state), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    _epochs(parts, order, x, y, done)
    if forgotten:
        parts[0].load_state_dict({name: value for name, value in fresh.items() if forgotten == "model" or "running" in name}, strict=False)
    loaded = _flat(parts[0].state_dict())
    _epochs(parts, order, x, y, more)
    return loaded, _flat(parts[0].state_dict())


def _deeper(rng) -> dict:
    state = tiny_state(rng)
    return {name.replace("3.", "4."): value for name, value in state.items()}


@exercise("07.5", points=3, needs=["save_checkpoint", "load_checkpoint"])
class ACheckpoint:
    """A checkpoint."""

    errors = {
        "pickle local object": "The file should hold the parts' state_dict() (of the generator: generator.get_state()), not the parts.",
        "No such file": "load_checkpoint looks for a file other than `path`: all belongs into one file, which may be moved.",
        "Weights only load failed": "The file holds whole objects, which weights_only=True refuses: save the parts' state_dict() (of the generator: generator.get_state()), not the parts.",
        "RNG state must be a torch.ByteTensor": "A random state is put back as it was taken, a tensor of bytes on the CPU.",
        "'Generator' object has no attribute": "A generator has get_state() and set_state(), no state_dict().",
        "cannot pickle 'torch._C.Generator'": "The generator itself cannot be saved; its state can: generator.get_state().",
        "cannot pickle 'Generator'": "The generator itself cannot be saved; its state can: generator.get_state().",
        "'_IncompatibleKeys'": "`load_state_dict` fills its owner in place and returns a report; do not assign it.",
        "KeyError": "load_checkpoint looks for a name in the file that save_checkpoint did not write.",
    }

    def inputs(rng):
        for done, more in ((2, 2), (1, 3), (3, 1)):
            yield {"state": _deeper(rng), "fresh": _deeper(rng), "x": rng.randn(17, 6, dtype=torch.float64), "y": rng.randint(0, 3, (17,)), "done": done, "more": more,
                   "seed": rng.integer(0, 10_000), "_case": f"broken off after {done} of {done + more} epochs"}

    def probe(student, state, fresh, x, y, done, more, seed):
        import pathlib
        import tempfile

        from torch import nn

        def make(weights):
            model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, 3)).double()
            model.load_state_dict(weights)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
            return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)

        def go_on(parts, generator, count):
            model, optimizer, scheduler = parts
            for _ in range(count):
                for rows in torch.randperm(len(y), generator=generator).split(5):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(x[rows]), y[rows], label_smoothing=0.3).backward()
                    optimizer.step()
                    scheduler.step()

        def flat(model):
            return {name: value.clone() for name, value in model.state_dict().items()}

        def states(model, optimizer, scheduler, generator):
            momentum = [value.clone() for state in optimizer.state_dict()["state"].values() for value in state.values() if value is not None]
            return {"momentum": momentum, "rate": optimizer.param_groups[0]["lr"], "steps": scheduler.last_epoch, "order": generator.get_state(), "random": torch.get_rng_state()}

        asked, load = [], torch.load

        def watched(file, map_location=None, *others, **options):
            asked.append([str(map_location), options.get("weights_only")])
            return load(file, map_location, *others, **options)

        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "run.pt"
            first, order = make(state), torch.Generator().manual_seed(seed)
            torch.manual_seed(seed)
            go_on(first, order, done)
            at_save = torch.get_rng_state()
            student.save_checkpoint(path, 10 + done, *first, order)  # after ten epochs of another schedule
            undisturbed = torch.equal(at_save, torch.get_rng_state())
            if not path.exists():
                return {"written": False, "epoch": None, "loaded": None, "resumed": None, "whole": None, "undisturbed": undisturbed, "modes": None, "saved": None, "found": None, "asked": None}
            mode, saved = first[0].training, states(*first, order)
            go_on(first, order, more)  # the run that was not broken off; the file must not follow it
            second, other = make(fresh), torch.Generator().manual_seed(seed + 2)
            torch.manual_seed(seed + 1)
            path = path.rename(path.with_name("moved.pt"))
            torch.load = watched
            try:
                epoch = student.load_checkpoint(path, *second, other)
            finally:
                torch.load = load
            found, loaded = states(*second, other), flat(second[0])
            go_on(second, other, more)
            return {"written": True, "epoch": epoch, "loaded": loaded, "resumed": flat(second[0]), "whole": flat(first[0]), "undisturbed": undisturbed, "modes": [mode, second[0].training],
                    "saved": saved, "found": found, "asked": asked}

    def judge(case, state, fresh, x, y, done, more, seed, written, epoch, loaded, resumed, whole, undisturbed, modes, saved, found, asked):
        case.that(written, "save_checkpoint wrote no file at `path`.")
        case.that(undisturbed, "save_checkpoint changed torch's random state: it only reads it (get_rng_state), the run goes on.")
        case.that(modes == [True, True], "Saving and loading leave the models' mode alone: whoever called them goes on training.")
        setting = (state, fresh, x, y, done, more, seed)
        at_load, want = _resumed(*setting)
        case.close(_flat(loaded), at_load, what="Right after loading, the vector of all weights and buffers", mistakes={
            "The model still has its fresh weights: model.load_state_dict(…) is missing.": _resumed(*setting, "model")[0],
            "The batch norm's running averages are not back: parameters() leaves buffers out. Save model.state_dict().": _resumed(*setting, "buffers")[0],
        })
        case.that(epoch is not None, "load_checkpoint returns None: return the epoch.")
        forgetful = not found["momentum"] or not all(map(torch.equal, found["momentum"], saved["momentum"]))
        case.that(not forgetful or found["steps"] == saved["steps"], "Neither the optimizer nor the schedule is back: both have a state_dict().")
        case.that(not forgetful, "The optimizer has forgotten its momentum: save and load optimizer.state_dict() too.")
        case.that(found["steps"] == saved["steps"], "The schedule starts anew: save and load scheduler.state_dict() too.")
        case.that(torch.equal(found["order"], saved["order"]), "The batches come in another order: save generator.get_state(), and put it back with generator.set_state(…). (A seed is the state of the beginning; and torch.get_rng_state() is another generator's.)")
        case.that(torch.equal(found["random"], saved["random"]), "Dropout draws other numbers: save torch.get_rng_state(), and put it back with torch.set_rng_state(…), last of all. (A seed is the state of the beginning.)")
        case.close(_flat(resumed), want, what="After the resumed epochs, the vector of all weights and buffers", rtol=1e-7, atol=1e-9)
        case.close(_flat(resumed), _flat(whole), what="Bit for bit: the resumed run's weights, beside those of the run in one go", rtol=0, atol=0, mistakes={})
        case.that(not isinstance(epoch, bool), "load_checkpoint must return the epoch that was saved.")
        case.equal(epoch, 10 + done, what="The epoch that load_checkpoint returns", mistakes={
            "load_checkpoint returns the epoch plus one: asked for is the number that was saved.": 11 + done,
            "load_checkpoint returns the scheduler's count, which need not be that of the epochs: save the epoch, and return that.": saved["steps"],
        })
        if done == 3:  # the last case: how the file was read
            case.that(all(only is not False for _, only in asked), "weights_only=False runs whatever code is in the file. The states are tensors and plain values: weights_only=True.")
            case.that(all(where == "cpu" for where, _ in asked), "A file written on a GPU would come back there, and random states must lie on the CPU: map_location=\"cpu\".")


def _stage(count, stage, troubles, bug=None):
    """What `count` callbacks hear, and what escapes. troubles: [who, event, kind]; who -1 is the body."""
    heard, told, escaped = [], [], None

    class Trouble(Exception):
        pass

    def tell(who, event):
        heard.append(f"{event}_{stage} {who}" if who >= 0 else "body")
        for person, when, kind in troubles:
            if (person, when) == (who, event):
                raise Trouble(kind)

    try:
        try:
            for who in range(count):
                if bug != "raised in before: no cleanup":
                    told.append(who)
                tell(who, "before")
                if bug == "raised in before: no cleanup":
                    told.append(who)
            tell(-1, "body")
            for who in range(count):
                tell(who, "after")
        except Trouble as trouble:
            kind = str(trouble)
            cancels = kind == "cancel" or kind == "subclass" and bug != "exact class"
            if bug == "after although cancelled" and kind == "cancel":
                escaped = None
                for who in range(count):
                    heard.append(f"after_{stage} {who}")
            elif bug == "swallows all" or cancels and bug not in ("cancel goes through", "before outside the try"):
                pass
            else:
                escaped = "cancel" if kind == "subclass" else kind
    finally:
        order = range(count) if bug == "cleanup for all" else told
        skip = bug in ("no cleanup", "before outside the try") or escaped and bug == "crash: no cleanup" or bug == "cancelled: no cleanup" and len(heard) and any(k == "cancel" for *_, k in troubles)
        if not skip:
            for who in (order if bug == "cleanup in order" else reversed(list(order))):
                heard.append(f"cleanup_{stage} {who}")
        if bug == "after after cleanup":
            heard.sort(key=lambda name: name.startswith("after"))
    return [heard, escaped]


@exercise("07.6", points=3, needs=["Events"], reference="utils.training:Events")
class AStage:
    """A stage."""

    errors = {
        "missing 1 required positional argument": "A callback's methods get the learner, which is `self` here: getattr(callback, name)(self).",
        "catching classes that do not inherit": "`except cancel`: cancel is the class itself, not a string and not a call of it.",
        "attribute name must be string": "getattr(callback, name): the name is a string such as f\"before_{stage}\".",
        "takes 0 positional arguments but 1 was given": "`body` is called without arguments.",
    }

    def inputs(rng):
        def case(stage, *troubles, count=3, label=None):
            return {"count": count, "stage": stage, "troubles": [list(trouble) for trouble in troubles], **({"_case": label} if label else {})}

        yield case("batch", label="nobody cancels, nothing crashes")
        yield case("epoch", (-1, "body", "cancel"), label="the body cancels")
        yield case("batch", (1, "before", "cancel"), label="the second of three callbacks cancels in before_…")
        yield case("fit", (0, "after", "cancel"), label="the first callback cancels in after_…")
        yield case("step", (-1, "body", "crash"), label="the body crashes")
        yield case("epoch", (-1, "body", "another"), label="the body cancels another stage")
        yield case("step", (-1, "body", "subclass"), label="the body raises a subclass of `cancel`")
        yield case("fit", (2, "before", "crash"), count=4, label="a callback crashes in before_…")
        yield case("fit", (1, "after", "another"), label="a callback cancels another stage in after_…")
        yield case("batch", (-1, "body", "crash"), count=0, label="no callbacks; the body crashes")

    def probe(student, count, stage, troubles):
        heard = []

        class Cancel(Exception):
            pass

        class Another(Exception):
            pass

        class Sharper(Cancel):
            pass

        kinds = {"cancel": Cancel, "subclass": Sharper, "another": Another, "crash": ZeroDivisionError}

        def tell(who, event):
            heard.append(f"{event}_{stage} {who}" if who >= 0 else "body")
            for person, when, kind in troubles:
                if (person, when) == (who, event):
                    raise kinds[kind]

        class Witness:
            order = 0

            def __init__(self, who):
                self.who = who

            def __getattr__(self, name):
                event, _, its_stage = name.partition("_")
                if its_stage != stage or event not in ("before", "after", "cleanup"):
                    raise AttributeError(name)

                def method(learner):
                    if learner is not events:
                        heard.append("not the learner")
                    tell(self.who, event)

                return method

        events = student.Events([Witness(who) for who in range(count)])
        escaped = None
        try:
            events.run(stage, lambda: tell(-1, "body"), Cancel)
        except Cancel:
            escaped = "cancel"
        except Another:
            escaped = "another"
        except ZeroDivisionError:
            escaped = "crash"
        return {"heard": heard, "escaped": escaped}

    def judge(case, count, stage, troubles, heard, escaped):
        setting = (count, stage, troubles)
        want = _stage(*setting)
        case.that("not the learner" not in heard, "A callback's method must get the learner, which is `self` here.")
        case.that("body" in heard or "body" not in want[0], "`body()` was never called.")
        case.that(sum(name == "body" for name in heard) <= 1, "`body()` was called more than once.")
        story = {
            "The cleanup is left out after a crash: it belongs into a `finally`.": "crash: no cleanup",
            "The cleanup is left out after a cancel: it belongs into a `finally`.": "cancelled: no cleanup",
            "No cleanup at all: it belongs into a `finally`.": "no cleanup",
            "The cleanup comes in the order of the callbacks; what was set up last must be taken down first: reversed.": "cleanup in order",
            "A callback whose before_… was never called gets a cleanup: keep a list of those who were told.": "cleanup for all",
            "The callback that raised in its before_… gets no cleanup, though it may have set up half of its things: note it *before* you call it.": "raised in before: no cleanup",
            "after_… is told although the stage was cancelled: it must stand inside the `try`, after the body.": "after although cancelled",
            "Every exception is swallowed, crashes and the cancelling of other stages too: `except cancel`, not `except Exception`, and no `return` in a `finally`.": "swallows all",
            "before_… stands outside the `try`: a callback may cancel there too, and has its cleanup then.": "before outside the try",
            "after_… is told after the cleanup: it stands inside the `try`, after the body.": "after after cleanup",
            "An exception of a subclass of `cancel` goes on to the caller: `except cancel` catches it too.": "exact class",
        }
        after = any(event == "after" for _, event, _ in troubles)
        story["after_… stands outside the `try`: a callback may cancel there too." if after else "The exception that cancels this stage goes on to the caller: `except cancel: pass`."] = "cancel goes through"
        case.equal([heard, escaped], want, what="[what was heard, what escaped]", mistakes={message: [_stage(*setting, bug)] for message, bug in story.items()})


def _learn(state, train, val, rate, epochs, trouble, stale, frozen, meddle, bug=None):
    """A fit as asked, or with one of the bugs: dict of evidence. trouble: [event, how often it was heard before, kind]."""
    model = tiny_network(state)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    if stale:
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
    if frozen:
        model[1].eval()
    heard, losses, counts = [], [], {}
    now = {}

    class Trouble(Exception):
        pass

    def tell(event):
        mark = "" if event.endswith("fit") else " train" if now["training"] else " val"
        heard.append(event + mark)
        counts[event] = counts.get(event, 0) + 1
        if event == "after_loss":
            losses.append(now["loss"].item())
        if meddle and event in ("after_predict", "after_loss"):
            name = event.removeprefix("after_").replace("predict", "prediction")
            now[name] = 3 * now[name]
        if [event, counts[event]] == trouble[:2]:
            raise Trouble(trouble[2])

    def stage(name, body):
        try:
            tell(f"before_{name}")
            body()
            tell(f"after_{name}")
        except Trouble as error:
            if str(error) != name:
                raise
        finally:
            tell(f"cleanup_{name}")

    def step():
        if bug != "no step":
            optimizer.step()
        if bug != "no zero":
            optimizer.zero_grad()

    def batch():
        training = now["training"]
        if bug == "zero before backward":
            optimizer.zero_grad()
        prediction = now["prediction"] = model(now["x"])
        tell("after_predict")
        loss = now["loss"] = _loss(prediction if bug == "own prediction" else now["prediction"], now["y"])
        tell("after_loss")
        if training:
            (loss if bug == "own loss" else now["loss"]).backward()
            tell("after_backward")
            stage("step", step)

    def epoch():
        model.train(now["training"])
        if bug == "stays frozen" and frozen:
            model[1].eval()
        with torch.set_grad_enabled(now["training"]):
            for x, y in now["batches"]:
                now.update(x=x, y=y)
                stage("batch", batch)

    def fit():
        for _ in range(epochs):
            for training, batches in ((True, train), (False, val)):
                now.update(training=training, batches=batches)
                if batches is not None:
                    stage("epoch", epoch)

    if bug != "stale":
        optimizer.zero_grad()
    with contextlib.suppress(Trouble):
        stage("fit", fit)
    return {"heard": heard, "losses": torch.tensor(losses, dtype=torch.float64), "after": _flat(model.state_dict())}


@exercise("07.7", points=3, needs=["Learner"], reference="utils.training:Learner")
class TheLearner:
    """The Learner."""

    errors = {
        "object has no attribute 'prediction'": "Callbacks find the prediction on the learner: self.prediction = …, before the event after_predict.",
        "object has no attribute 'loss'": "Callbacks find the loss on the learner: self.loss = …, before the event after_loss.",
        "object has no attribute 'x'": "Callbacks may change the batch: set self.x and self.y before the stage \"batch\".",
        "does not require grad": "The graph is off while training: torch.set_grad_enabled(self.training).",
        "'NoneType' object is not iterable": "val_batches may be None; leave that to all_epochs, and go through self.batches.",
        "'NoneType' object is not callable": "self.run(stage, body, cancel): the body is a method without parentheses, self.all_epochs, self.one_batch or self.one_step.",
        "'method' object is not iterable": "Go through self.batches.",
        "modified by an inplace operation": "The step is taken before backward: it changes the weights that backward still needs.",
    }

    def inputs(rng):
        def case(trouble=("", 0, ""), label=None, val=True, **other):
            setting = {"state": tiny_state(rng), "train": tiny_batches(rng, (6, 6, 3)), "val": tiny_batches(rng, (5, 2)) if val else None, "rate": 0.1, "epochs": 2,
                       "trouble": list(trouble), "stale": False, "frozen": False, "meddle": False, "training": True}
            return setting | other | ({"_case": label} if label else {})

        yield case(label="a plain fit of two epochs")
        yield case(stale=True, label="gradients and a history are left from something else")
        yield case(val=False, training=False, label="no validation batches; the model was in evaluation mode")
        yield case(meddle=True, label="a callback puts another prediction and another loss in place")
        yield case(("before_step", 2, "step"), label="a callback cancels the second step")
        yield case(("after_predict", 2, "batch"), label="a callback cancels the second batch")
        yield case(("after_loss", 4, "epoch"), label="a callback cancels the first validation pass")
        yield case(("after_batch", 6, "fit"), frozen=True, label="a callback cancels the fit; one module was in evaluation mode")
        yield case(("after_backward", 2, "crash"), training=False, label="a callback crashes")
        yield case(("before_fit", 1, "fit"), training=False, label="a callback cancels the fit at once")

    def probe(student, state, train, val, rate, epochs, trouble, stale, frozen, meddle, training):
        from torch import nn

        from utils.events import Callback, CancelBatch, CancelEpoch, CancelFit, CancelStep

        kinds = {"step": CancelStep, "batch": CancelBatch, "epoch": CancelEpoch, "fit": CancelFit, "crash": ZeroDivisionError}
        flat = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
        flat.load_state_dict(state)
        model = nn.Sequential(flat[:3], flat[3])  # layers below the model's own children
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        if stale:
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
        model.train(training)
        if frozen:
            flat[1].eval()
        heard, losses, counts, graphs, inside, last = [], [], {}, [], [], []

        class Witness(Callback):
            def __getattribute__(self, name):
                event, _, stage = name.partition("_")
                if event not in ("before", "after", "cleanup") or not stage:
                    return object.__getattribute__(self, name)

                def method(learner):
                    heard.append(name + ("" if stage == "fit" else " train" if learner.training else " val"))
                    counts[name] = counts.get(name, 0) + 1
                    if name == "after_predict":
                        graphs.append([learner.training, learner.prediction.requires_grad])
                        inside.append([learner.training, learner.model.training])
                    if name == "after_loss":
                        losses.append(learner.loss.item())
                    if meddle and name == "after_predict":
                        learner.prediction = 3 * learner.prediction
                    if meddle and name == "after_loss":
                        learner.loss = 3 * learner.loss
                    if [name, counts[name]] == trouble[:2]:
                        raise kinds[trouble[2]]

                return method

        class Last(Callback):
            order = 5

            def before_fit(self, learner):
                last.append("before")

            def cleanup_fit(self, learner):
                last.append("cleanup")

        lasting = Callback()
        learner = student.Learner(model, train, val, nn.CrossEntropyLoss(label_smoothing=0.3), optimizer, [lasting])
        escaped, result = None, None
        try:
            if stale:
                learner.history["noted"] = [1.0]
            result = learner.fit(epochs, [Last(), Witness()])
        except (CancelStep, CancelBatch, CancelEpoch, CancelFit, ZeroDivisionError) as error:
            escaped = next(kind for kind, cls in kinds.items() if type(error) is cls)
        return {"heard": heard, "losses": losses, "after": dict(model.state_dict()), "left": [m.training for m in model.modules()], "escaped": escaped, "graphs": graphs, "inside": inside,
                "returned": result is learner.history, "history": learner.history, "last": last, "kept": len(learner.callbacks) == 1 and learner.callbacks[0] is lasting, "grad_on": torch.is_grad_enabled()}

    def judge(case, state, train, val, rate, epochs, trouble, stale, frozen, meddle, training, heard, losses, after, left, escaped, graphs, inside, returned, history, last, kept, grad_on):
        setting = (state, train, val, rate, epochs, trouble, stale, frozen, meddle)
        want = _learn(*setting)
        case.that("before_fit" in heard, "The callbacks never heard before_fit: `fit` must run the stage \"fit\", self.run(\"fit\", self.all_epochs, CancelFit). (Is 07.6 correct?)")
        case.that(any(name.startswith("before_batch") for name in heard) or not any(name.startswith("before_batch") for name in want["heard"]),
                  "The callbacks never heard of a batch: one_epoch must run the stage \"batch\", with the body self.one_batch.")
        for event in ("after_predict", "after_loss", "after_backward", "before_step"):
            case.that(any(name.startswith(event) for name in heard) or not any(name.startswith(event) for name in want["heard"]), f"The callbacks never heard {event}.")
        case.that(not any(name.startswith("after_backward") and name.endswith("val") for name in heard), "Backward in a validation pass: only `if self.training`.")
        case.that(all(a == b for a, b in inside), "The model was in the wrong mode in a pass: one_epoch must call self.model.train(self.training).")
        case.that(not any(tracked for mode, tracked in graphs if not mode), "The validation pass recorded a graph: with torch.set_grad_enabled(self.training).")
        case.that(last != ["cleanup"], "A callback that never heard before_fit gets a cleanup_fit: `fit` must not tell the events by hand; self.run(\"fit\", self.all_epochs, CancelFit) does.")
        case.equal(escaped, "crash" if trouble[2] == "crash" else None, what="What escaped from fit", mistakes={
            "The crash of a callback was swallowed: let it through (try … finally, no except, and no return in the finally).": None,
            "A cancel went through to the caller: each stage is run with the class that cancels it (CancelStep, CancelBatch, CancelEpoch, CancelFit).": ["step", "batch", "epoch", "fit"],
        })
        case.equal(heard, want["heard"], what="The sequence of events")
        case.close(torch.tensor(losses, dtype=torch.float64), want["losses"], what="The losses of the batches", rtol=1e-6, atol=1e-9, mistakes={
            message: _learn(*setting, bug)["losses"] for message, bug in _LEARNER_BUGS.items()})
        case.close(_flat(after), want["after"], what="After the fit, the vector of all parameters and running averages", rtol=1e-6, atol=1e-8, mistakes={
            message: _learn(*setting, bug)["after"] for message, bug in _LEARNER_BUGS.items()})
        before = [training] * 6  # the model, its first child, three layers in that, its second child
        if frozen:
            before[3] = False
        case.equal(left, before, what="The modes of all modules after the fit", mistakes={
            "One module was in evaluation mode before (a frozen batch norm) and is in training mode now: remember each module's mode, and set module.training, not module.train(…).":
                [[training] * 6] if frozen else [[None]],
            "After the fit the model is in the mode of its last pass: put the modes back, in a `finally`.": [[True] * 6, [False] * 6],
            "Only the model itself is back in its mode; its children, layers and all below, have modes of their own: self.model.modules().": [[training] + [not training] * 5, [training] + [False] * 5],
            "Only the model and its children are back in their modes; the layers inside these have modes of their own: self.model.modules().":
                [[training, training, mode, mode, mode, training] for mode in (True, False)],
        })
        case.that(kept, "After the fit, `learner.callbacks` still holds those that were meant for this fit only: put `lasting` back, in a `finally`.")
        case.that(grad_on, "After the fit, gradients are switched off for good: use `with torch.set_grad_enabled(…):`.")
        case.that(not stale or "noted" in history, "fit empties self.history; it is kept over all fits.")
        case.that(returned or escaped, "fit must return self.history.")


_LEARNER_BUGS = {
    "The weights never change: is there a step, and does it come after backward and before the gradients are emptied?": "no step",
    "The gradients are never emptied: one_step ends with self.optimizer.zero_grad().": "no zero",
    "fit must begin with self.optimizer.zero_grad(): gradients may be left from something else.": "stale",
    "The gradients are emptied in the batch, not after the step: a cancelled step should leave its gradients to the next batch.": "zero before backward",
    "A module that was in evaluation mode before the fit stays so during it. During the fit every module follows self.training; afterwards each has its own mode again.": "stays frozen",
    "A callback has put another prediction on the learner, and the loss is not that of self.prediction: callbacks may change it.": "own prediction",
    "A callback has put another loss on the learner, and backward starts from the old one: self.loss.backward().": "own loss",
}


@exercise("07.8", points=2, needs=["Metrics"], reference="utils.callbacks:Metrics")
class MetricsCallback:
    """Metrics."""

    errors = {
        "KeyError": "The list of that name does not exist yet at the first epoch: history.setdefault(name, []).",
        "'NoneType' object is not iterable": "before_epoch must make the lists, or sums, that the other events use.",
        "ZeroDivisionError": "The samples were not counted in this pass: count them in after_loss, which also validation has. (If all its batches were cancelled there are none: nan.)",
        "Dimension out of range": "function(prediction, y): the prediction comes first.",
    }

    def inputs(rng):
        def passes(*kinds):
            """[training, cancelled, batches of [prediction, y]]"""
            return [[training, cancelled, [[rng.randn(size, 4, dtype=dtype), rng.randint(0, 4, (size,))] for size in sizes]] for training, cancelled, dtype, sizes in kinds]

        single, double = torch.float32, torch.float64
        yield {"passes": passes((True, False, single, (6, 6, 2)), (False, False, single, (5, 3))), "_case": "one epoch"}
        yield {"passes": passes(*[(True, False, double, (6, 6, 1)), (False, False, double, (7, 2))] * 3), "_case": "three epochs"}
        yield {"passes": passes((True, True, single, (4, 4)), (False, False, single, (5, 2)), (True, False, single, (4, 1)), (False, True, single, (5,))), "_case": "passes that were cancelled"}
        yield {"passes": passes((True, True, single, (4, 4)), (False, False, single, ())), "_case": "only a cancelled training pass, and a validation pass without a sample"}

    def probe(student, passes):
        import types
        import weakref

        class Tap(torch.autograd.Function):  # lives as long as the graph that it is in
            @staticmethod
            def forward(ctx, x, token):
                ctx.token = token
                return x.clone()

            @staticmethod
            def backward(ctx, grad):
                return grad, None

        class Token:
            pass

        learner = types.SimpleNamespace(history={}, epoch=0, epochs=len(passes), training=None, x=None, y=None, prediction=None, loss=None)
        learner.model, learner.loss_fn = torch.nn.Linear(1, 1), torch.nn.CrossEntropyLoss()
        held = 0

        def hits(prediction, y):
            return (prediction.argmax(1) == y).float().mean()

        def margin(prediction, y):
            best = prediction.topk(2, dim=1).values
            return (best[:, 0] - best[:, 1]).mean().item()

        metrics = student.Metrics(accuracy=hits, margin=margin)
        metrics.before_fit(learner)
        for training, cancelled, batches in passes:
            learner.training, learner.batches = training, batches
            metrics.before_epoch(learner)
            graphs = []
            for prediction, y in batches:
                learner.x, learner.y = prediction[:, :2], y
                metrics.before_batch(learner)
                token = Token()
                graphs.append(weakref.ref(token))
                learner.prediction = Tap.apply(prediction.clone().requires_grad_(training), token)
                del token
                metrics.after_predict(learner)
                learner.loss = torch.nn.functional.cross_entropy(learner.prediction, y)
                metrics.after_loss(learner)
                if training:
                    learner.loss.backward()
                    for event in ("after_backward", "before_step", "after_step", "cleanup_step"):
                        getattr(metrics, event)(learner)
                metrics.after_batch(learner)
                metrics.cleanup_batch(learner)
            held += sum(graph() is not None for graph in graphs[:-1])
            if not cancelled:
                metrics.after_epoch(learner)
            metrics.cleanup_epoch(learner)
        metrics.after_fit(learner)
        metrics.cleanup_fit(learner)
        return {"history": learner.history, "held": held}

    def judge(case, passes, history, held):
        def measured(how):
            found, left = {}, []
            for training, cancelled, batches in passes:
                rows = []
                for prediction, y in batches:
                    best = prediction.topk(2, dim=1).values
                    rows.append([F.cross_entropy(prediction, y).item(), (prediction.argmax(1) == y).double().mean().item(), (best[:, 0] - best[:, 1]).mean().item(), len(y)])
                left = left + rows if how == "sums of earlier passes" else rows
                table = torch.tensor(left or [[math.nan] * 4], dtype=torch.float64)
                values, sizes = table[:, :3], table[:, 3:]
                mean = {"batch means": values.mean(0), "sum": (values * sizes).sum(0), "last": values[-1], "by count": values.sum(0) / sizes.sum()}.get(how, (values * sizes).sum(0) / sizes.sum())
                if not cancelled or how == "cancelled too":
                    for name, value in zip(("loss", "accuracy", "margin"), mean.tolist()):
                        found.setdefault(("train_" if training and how != "one split" else "val_") + name, []).append(value)
            return found

        want = measured("right")
        case.that(passes[-1][2] or set(want) <= set(history), "A pass without a sample, all its batches having been cancelled, is in the history too: nan.")
        case.that(history, "learner.history is empty: write it in after_epoch.")
        case.that(set(history) != {name.partition("_")[2] for name in want}, 'The names in the history say no split: "train_loss", "val_loss", …')
        case.that(set(history) != {name for name in want if name.endswith("loss")} , "Only the losses are there: call each of `functions` as well.")
        prefixes = {name.partition("_")[0] for name in history}
        case.that(prefixes <= {"train", "val"}, f'The names in the history begin with {", ".join(sorted(prefixes - {"train", "val"}))}; asked for are "train_…" and "val_…".')
        case.that(set(measured("cancelled too")) == set(want) or set(history) != set(measured("cancelled too")) or any(isinstance(values, list) and not values for values in history.values()),
                  "A pass that was cancelled is in the history: write in after_epoch, which it has not, not in cleanup_epoch.")
        case.that(not any(isinstance(values, list) and not values for values in history.values()), "There is an empty list in the history, of a pass that was cancelled: write in after_epoch only.")
        case.that("train_loss" in history or "train_loss" not in want or "val_loss" not in history, 'All passes are called "val": learner.training says which split it is.')
        case.that("val_loss" in history or "val_loss" not in want or "train_loss" not in history, 'All passes are called "train": learner.training says which split it is.')
        case.equal(sorted(history), sorted(want), what="The names in learner.history")
        for name, values in want.items():
            got = history[name]
            case.that(isinstance(got, list), f'history["{name}"] should be a list with one number an epoch.')
            case.that(all(isinstance(value, (int, float)) for value in got), f'history["{name}"] should hold Python floats, not tensors.')
            if len(got) != len(values):
                case.that(len(got) != len(measured("cancelled too").get(name, ())), "A pass that was cancelled is in the history: write in after_epoch, which it has not, not in cleanup_epoch.")
                case.that(len(got) != sum(len(batches) for training, _, batches in passes if training == name.startswith("train")), f'history["{name}"] has one number a batch; asked for is one an epoch.')
                case.that(len(got) != 1, f'history["{name}"] holds the last epoch only: append to the list.')
            case.that(all(math.isnan(value) <= math.isnan(right) for value, right in zip(got, values)), f'history["{name}"] is nan: the samples were not counted in this pass. Count them in after_loss, which also validation has.')
            case.close(torch.tensor([float(value) for value in got], dtype=torch.float64), torch.tensor(values, dtype=torch.float64), what=f'history["{name}"]', rtol=1e-5, atol=1e-6, finite=False, mistakes={
                message: torch.tensor(measured(how).get(name, [math.nan]), dtype=torch.float64) for message, how in {
                    "You averaged the batch means; the last batch is shorter, so its samples count too much: weight by len(learner.y).": "batch means",
                    "The sums of earlier passes are still in it: start anew in before_epoch.": "sums of earlier passes",
                    "The sum over the samples is not divided by their number.": "sum",
                    "This is the last batch's value only: add up over the pass.": "last",
                    "The batches' means are divided by the number of samples. Multiply each by its number of samples first.": "by count",
                }.items()})
        case.that(not held or len(passes) < 3, "The graph of every batch is kept until the end of the pass, and all its memory: keep numbers, or loss.detach() and prediction.detach().")


def _three(state) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    model.load_state_dict(state)
    return model


@exercise("07.9", points=3, needs=["Hooks", "HookedSequential"], reference="utils.callbacks:Hooks")
class TwoWaysToLook:
    """Two ways to look."""

    errors = {
        "object is not subscriptable": "`self.layers` is not there yet, or holds no list: nn.ModuleList(layers).",
        "takes 3 positional arguments but 4 were given": "PyTorch's hook gets three arguments, your function four: put the index before them.",
        "missing 1 required positional argument": "PyTorch calls the hook with three arguments and your function wants four: give it the index first, by functools.partial or a lambda.",
        "'NoneType' object is not callable": "The function may be None: look before you call it.",
        "'NoneType' object has no attribute 'remove'": "Keep the handles that register_…_hook returns; the hook itself has no remove().",
        "'function' object has no attribute 'remove'": "Keep the handles that register_…_hook returns; the hook itself has no remove().",
    }

    def inputs(rng):
        def case(what, **other):
            state = {"0.weight": (5, 4), "0.bias": (5,), "2.weight": (3, 5), "2.bias": (3,)}
            return {"state": {name: rng.randn(*shape, dtype=torch.float64) for name, shape in state.items()}, "x": rng.randn(6, 4, dtype=torch.float64), "what": what, **other}

        yield case("both", _case="HookedSequential, and Hooks on two modules, forward")
        yield case("crash", _case="an error inside the with block")
        yield case("replace", _case="a function that returns another output")
        yield case("backward", _case="backward=True")

    def probe(student, state, x, what):
        from torch import nn

        layers = [nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)]
        model = nn.Sequential(*layers).double()
        model.load_state_dict(state)
        found = {"y": None, "silent": None, "shown": None, "names": None, "set_later": [], "calls": None, "value": None, "later": None, "left": None, "own": None, "escaped": None, "result": None, "learnable": None}
        calls = []

        def look(*seen):
            index, module, inputs, output = (seen + (None,) * 4)[:4]
            calls.append([index, type(module).__name__, len(inputs) if isinstance(inputs, tuple) else None, (output[0] if isinstance(output, tuple) else output), len(seen)])
            return 2 * output if what == "replace" else None

        if what == "both":
            shown = []

            def show(index, layer, output):
                shown.append([index, type(layer).__name__, output])
                return torch.zeros_like(output)

            hooked = student.HookedSequential(*layers, function=show)
            found["silent"] = student.HookedSequential(*layers)(x)
            found |= {"y": hooked(x), "shown": shown, "names": len(list(hooked.parameters()))}
        if what == "crash":
            hooked = student.HookedSequential(*layers)
            hooked.function = lambda index, layer, output: found["set_later"].append(index)
            hooked(x)
        own = model[0].register_forward_hook(lambda *seen: None)  # somebody else's hook, which must stay
        hooks = student.Hooks([model[0], model[2]], look, backward=what == "backward")
        early = len(calls)
        model(x)
        early = len(calls) - early
        try:
            with hooks as entered:
                result = model(x)
                if what == "backward":
                    (result**2).sum().backward()
                if what == "crash":
                    raise ZeroDivisionError
        except ZeroDivisionError:
            found["escaped"] = "crash"
            entered = hooks
        seen = len(calls)
        found |= {"calls": list(calls), "early": early, "same": entered is hooks, "result": result}
        later = model(x)
        (later**2).sum().backward()
        found["value"] = later
        found["later"] = len(calls) - seen
        found["left"] = sum(len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules())
        found["own"] = len(model[0]._forward_hooks)
        own.remove()
        return found

    def judge(case, state, x, what, y, silent, shown, names, set_later, calls, early, same, result, value, later, left, own, escaped):
        model = _three(state)
        first = model[0](x)
        plain = model[2](model[1](first))
        steps = [first, model[1](first), plain]
        if what == "both":
            case.close(silent, plain.detach(), what="HookedSequential without a function: its output")
            case.close(y, plain.detach(), what="The output of HookedSequential", mistakes={
                "HookedSequential returned what the function returned: the function only looks.": torch.zeros_like(plain),
                "HookedSequential applies only its first layer.": steps[0].detach() if steps[0].shape == plain.shape else torch.tensor(math.nan),
                "Is the input of the first layer given to every layer? x = layer(x).": x,
            })
            case.equal(names, 4, what="The number of parameters that HookedSequential knows", mistakes={
                "HookedSequential has no parameters: the layers are in a plain list or tuple, where nn.Module does not find them. nn.ModuleList(layers).": 0,
            })
            case.that(shown, "HookedSequential never called its function.")
            case.equal([[index, kind] for index, kind, _ in shown], [[0, "Linear"], [1, "Tanh"], [2, "Linear"]], what="The indices and layers that its function was shown", mistakes={
                "The function of HookedSequential was called once, at the end; call it after each layer.": [[[2, "Linear"]]],
                "The layers are counted from 1; index 0 is the first.": [[1, "Linear"], [2, "Tanh"], [3, "Linear"]],
            })
            for (_, _, got), want, before in zip(shown, steps, [x, *steps[:-1]], strict=True):
                case.close(got, want.detach(), what="What the function of HookedSequential was shown", mistakes={
                    "The function is shown what goes into each layer; show it what comes out.": before.detach()})
        if what == "crash":
            case.equal(set_later, [0, 1, 2], what="The indices that a function was shown which was set after HookedSequential was made", mistakes={
                "HookedSequential keeps to the function that it was made with; it may be set later: look at self.function in forward.": []})
        case.equal(early, 0, what="How often the function of Hooks was called before the `with` block", mistakes={
            "The hooks are there before the `with` block begins: register them in __enter__, not in __init__.": [1, 2]})
        case.that(calls, "Inside the `with` block the function of Hooks was never called.")
        case.that(all(count != 3 or isinstance(index, int) for index, *_, count in calls), "PyTorch calls the hook with three arguments and your function wants four: give it the index first, by functools.partial or a lambda.")
        case.that(all(count == 4 for *_, count in calls), f"The function of Hooks got {calls[0][-1]} arguments; wanted are four. (A …_pre_hook comes before the pass, with one fewer: register_forward_hook, register_full_backward_hook.)")
        order = [[1, "Linear"], [0, "Linear"]] if what == "backward" else [[0, "Linear"], [1, "Linear"]]
        case.equal([[index, kind] for index, kind, *_ in calls], order, what="The indices and modules with which Hooks called its function", mistakes={
            "Every call of Hooks' function comes with the last index: a lambda looks `index` up only when it is called. Bind it: lambda *seen, index=index: …": [[[1, "Linear"], [1, "Linear"]]],
            "The modules are counted from 1; index 0 is the first.": [[1, "Linear"], [2, "Linear"]],
            "With backward=True the function was called in the forward pass: register_full_backward_hook.": [[[0, "Linear"], [1, "Linear"]]] if what == "backward" else [["", ""]],
        })
        case.that(all(count is not None for _, _, count, *_ in calls), "PyTorch hands a hook its inputs (or grad_input) as a tuple; pass it on as it is.")
        if what == "backward":
            case.that(all(count == 1 for _, _, count, *_ in calls), "A Linear has one input and got more gradients than that: register_backward_hook is out of date, and sees a module's last operation only. register_full_backward_hook.")
            taps = [steps[0], plain]
            grads = torch.autograd.grad((plain**2).sum(), taps)
            for (index, _, _, got, _), want in zip(calls, (grads[1], grads[0]), strict=True):
                case.close(got, want, what=f"The grad_output of module {index}")
        elif what == "replace":
            half = 2 * model[0](x)
            case.close(result, (2 * model[2](model[1](half))).detach(), what="The output where the function returns twice the output", mistakes={
                "What the function returns does not take the output's place: your hook must return it.": plain.detach()})
        else:
            case.close(calls[0][3], steps[0].detach(), what="The output that the function was called with")
            case.close(result, plain.detach(), what="The model's output inside the block", mistakes={})
        case.equal(later, 0, what="How often the function was called after the `with` block", mistakes={
            "After the `with` block the function is still called: remove every handle in __exit__.": [1, 2, 4]})
        case.that(own == 1, "Hooks removed a hook that somebody else had put there: remove only your own handles.")
        case.equal(left, 1, what="The hooks on the modules after the block (one is not yours)", mistakes={
            "After the `with` block hooks are left on the modules: remove every handle in __exit__.": [2, 3, 4]})
        case.close(value, plain.detach(), what="The model's output after the block")
        case.equal(escaped, "crash" if what == "crash" else None, what="What escaped from the `with` block", mistakes={
            "An error inside the `with` block was swallowed: __exit__ must not return True.": None})
        case.that(same, "`with Hooks(…) as hooks` gives another object, or None: __enter__ must return self.")
