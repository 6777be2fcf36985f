"""The Learner's callbacks: checkpoints that resume bit for bit, early stopping, the rate finder, half precision, hooks."""

import math
import random
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_learner import EVENTS, Log, make, network, sgd, some_batches, states_equal, throw
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from utils import callbacks
from utils.callbacks import (
    ActivationStats,
    Checkpoint,
    Device,
    EarlyStopping,
    GradientClip,
    Hooks,
    LRFinder,
    Metrics,
    MixedPrecision,
    Progress,
    Recorder,
    Schedule,
)
from utils.data import Batches
from utils.events import Callback, CancelBatch
from utils.training import Learner, accuracy

EPOCHS = 4


# -------------------------------------------------------------------------- checkpoints: stopped and resumed

IMAGES = torch.randint(256, (20, 3, 6, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
LABELS = torch.arange(20) % 3


def data_of(kind: str):
    """Training batches that come in a random order, in one of the ways in which that is done."""
    flat = TensorDataset(IMAGES.float() / 255, LABELS)
    if kind == "Batches":
        return Batches(IMAGES, LABELS, batch_size=8, shuffle=True, augment=True)
    if kind == "DataLoader, own generator":
        return DataLoader(flat, batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(5))
    if kind == "DataLoader, the sampler's generator":
        return DataLoader(flat, batch_size=8, sampler=RandomSampler(flat, generator=torch.Generator().manual_seed(5)))
    if kind == "DataLoader":
        return DataLoader(flat, batch_size=8, shuffle=True)

    class Noisy:  # draws from every source of random numbers
        def __iter__(self):
            x, y = flat.tensors
            for rows in torch.randperm(len(y)).split(8):
                yield x[rows] * random.random() + float(np.random.rand()), y[rows]

    return Noisy()


class Run:
    """A learner with momentum, dropout, a cycle of the rate and early stopping (patience 2: after the third epoch)."""

    def __init__(self, kind: str, seed: int, more=(), adam=False, patience=9):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(108, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.4), nn.Linear(6, 3))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01) if adam else sgd(self.model)
        train = data_of(kind)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, 0.05, total_steps=3 * EPOCHS)
        self.stopping = EarlyStopping(patience)
        val = [(IMAGES.float() / 255, LABELS.roll(1))]
        self.learner = Learner(self.model, train, val, nn.CrossEntropyLoss(), self.optimizer,
                               [Metrics(accuracy=accuracy), Schedule(self.scheduler), self.stopping, *more])

    def fit(self, *more) -> "Run":
        self.learner.fit(EPOCHS, more)
        return self

    def end(self) -> list:
        stopping = {name: vars(self.stopping)[name] for name in ("best", "best_epoch", "weights", "waited")}
        return [self.model.state_dict(), self.optimizer.state_dict(), self.learner.history, stopping,
                self.scheduler.last_epoch, torch.get_rng_state(), random.random(), np.random.rand()]


KINDS = ["DataLoader", "DataLoader, own generator", "DataLoader, the sampler's generator", "Batches", "every generator"]


@settings(deadline=None, max_examples=150, derandomize=True)
@given(kind=st.sampled_from(KINDS), event=st.sampled_from(EVENTS), nth=st.integers(0, 14), adam=st.booleans(),
       patience=st.sampled_from([2, 9]), order=st.sampled_from([-50, 5, 39, 41]),
       error=st.sampled_from([ZeroDivisionError, KeyboardInterrupt]))
def test_a_broken_fit_goes_on_bit_for_bit(tmp_path_factory, kind, event, nth, adam, patience, order, error):
    path = tmp_path_factory.mktemp("run") / "last.pt"
    whole = Run(kind, 0, (), adam, patience).fit().end()
    broken = Run(kind, 0, [Checkpoint(path)], adam, patience)
    bomb = Log(at=event, nth=nth, act=throw(error()))
    bomb.order = order
    try:
        broken.fit(bomb)
    except error:
        pass
    seed = 77 if path.exists() else 0  # nothing saved yet: what is resumed begins anew
    resumed = Run(kind, seed, [Checkpoint(path, resume=True)], adam, patience).fit()
    assert states_equal(resumed.end(), whole)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epoch", range(EPOCHS - 1))
def test_a_checkpoint_after_each_epoch_resumes(tmp_path, kind, epoch):
    whole = Run(kind, 0).fit().end()
    first = Log(at="before_epoch", nth=2 * (epoch + 1), act=throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        Run(kind, 0, [Checkpoint(tmp_path / "last.pt")]).fit(first)
    resumed = Run(kind, 77, [Checkpoint(tmp_path / "last.pt", resume=True)])
    heard = Log()
    resumed.fit(heard)
    assert heard.log.count("after_epoch") == 2 * (EPOCHS - epoch - 1)
    assert states_equal(resumed.end(), whole)


def test_a_finished_fit_is_not_run_again(tmp_path):
    whole = Run("Batches", 0, [Checkpoint(tmp_path / "last.pt")]).fit()
    again = Run("Batches", 77, [Checkpoint(tmp_path / "last.pt", resume=True)])
    heard = Log()
    again.fit(heard)
    assert "before_batch" not in heard.log and again.learner.history == whole.learner.history


def test_without_resume_a_fit_begins_anew(tmp_path):
    fresh = Run("Batches", 0).fit().end()
    Run("Batches", 3, [Checkpoint(tmp_path / "last.pt")]).fit()
    assert states_equal(Run("Batches", 0, [Checkpoint(tmp_path / "last.pt")]).fit().end(), fresh)


def test_a_checkpoint_without_validation(tmp_path):
    def run(seed, *more):
        torch.manual_seed(seed)
        model = network(seed)
        Learner(model, some_batches(), None, nn.CrossEntropyLoss(), sgd(model), [Metrics()]).fit(3, more)
        return model.state_dict()

    whole, bomb = run(0), Log(at="before_epoch", nth=1, act=throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run(0, Checkpoint(tmp_path / "last.pt"), bomb)
    assert states_equal(run(8, Checkpoint(tmp_path / "last.pt", resume=True)), whole)


def test_a_kill_while_writing_leaves_the_last_file_whole(tmp_path, monkeypatch):
    path, whole = tmp_path / "last.pt", Run("Batches", 0).fit().end()
    save, times = torch.save, []

    def die(state, where):
        times.append(where)
        if len(times) < 3:
            return save(state, where)
        where.write_bytes(b"half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.torch, "save", die)
        with pytest.raises(KeyboardInterrupt):
            Run("Batches", 0, [Checkpoint(path)]).fit()
    assert torch.load(path, weights_only=True)["epoch"] == 1
    assert states_equal(Run("Batches", 77, [Checkpoint(path, resume=True)]).fit().end(), whole)


# ------------------------------------------------------------------------------------------- the rate finder


@pytest.mark.parametrize("kind", KINDS)
def test_the_finder_puts_everything_back(tmp_path, kind):
    without = Run(kind, 0).fit().end()
    run, finder = Run(kind, 0, [Checkpoint(tmp_path / "last.pt")]), LRFinder(steps=7)
    history = run.learner.history
    lasting = list(run.learner.callbacks)
    assert run.learner.fit(100, [finder]) is history and history == {}
    assert run.learner.callbacks == lasting and not (tmp_path / "last.pt").exists()
    assert states_equal(run.fit().end(), without)


def test_the_finder_saves_nothing(tmp_path):
    make([Checkpoint(tmp_path / "last.pt")], val=False).fit(100, [LRFinder(steps=7)])  # two epochs and a batch
    assert not any(tmp_path.iterdir())


def test_the_finder_in_the_middle_of_a_run():
    def two_fits(*between):
        run = Run("Batches", 0)
        run.learner.fit(2)
        for callback in between:
            run.learner.fit(100, [callback])
        run.learner.fit(2)
        return run.end()

    assert states_equal(two_fits(LRFinder(steps=4)), two_fits())


def test_the_finder_puts_everything_back_after_a_crash():
    run = Run("DataLoader", 0)
    with pytest.raises(ZeroDivisionError):
        run.learner.fit(100, [LRFinder(), Log(at="after_backward", nth=4, act=throw(ZeroDivisionError()))])
    assert states_equal(run.fit().end(), Run("DataLoader", 0).fit().end())


def test_the_finders_rates():
    finder, seen = LRFinder(1e-6, 1e-3, steps=10), []
    learner = make([finder, Log(at="before_step", act=lambda l: seen.append(l.optimizer.param_groups[0]["lr"]))])
    learner.fit(100)
    assert finder.rates == pytest.approx(np.geomspace(1e-6, 1e-3, 10)) and len(finder.losses) == 10
    assert seen == [finder.rates[0]] and learner.optimizer.param_groups[0]["lr"] == 0.1


def test_the_finder_stops_where_the_loss_explodes():
    finder = LRFinder(1e-3, 1e6, steps=60)
    make([finder]).fit(100)
    assert len(finder.losses) < 60 and len(finder.losses) == len(finder.rates)
    assert not finder.losses[-1] < 4 * min(finder.losses)
    assert all(loss < 4 * min(finder.losses[: i + 1]) for i, loss in enumerate(finder.losses[:-1]))


# -------------------------------------------------------------------------------------------- early stopping


class Script(Callback):
    """Says what the metric is, and keeps the weights of each epoch."""

    order = -5

    def __init__(self, name: str, values):
        self.name, self.values, self.weights = name, values, []

    def after_epoch(self, learner):
        if not learner.training:
            learner.history[self.name] = self.values[: learner.epoch + 1]
            self.weights.append({name: v.clone() for name, v in learner.model.state_dict().items()})


@settings(deadline=None, max_examples=60, derandomize=True)
@given(values=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), min_size=1, max_size=9), patience=st.integers(1, 4),
       metric=st.sampled_from(["val_loss", "val_accuracy"]))
def test_early_stopping(values, patience, metric):
    best, best_epoch, epochs = None, None, len(values)
    for epoch, value in enumerate(values):  # what it should do, in plain words
        better = best is None or (value < best if metric == "val_loss" else value > best)
        if better:
            best, best_epoch = value, epoch
        elif epoch - best_epoch >= patience:
            epochs = epoch + 1
            break
    script, stopping = Script(metric, values), EarlyStopping(patience, metric)
    learner = make([script, stopping])
    learner.fit(len(values))
    assert len(script.weights) == epochs
    assert stopping.best_epoch == best_epoch
    assert states_equal(learner.model.state_dict(), script.weights[best_epoch])


def test_early_stopping_says_so_and_begins_each_fit_anew(capsys):
    learner = make([Script("val_loss", [1.0, 2.0, 3.0, 4.0, 5.0]), EarlyStopping(patience=2)])
    learner.fit(5)
    assert "val_loss has not become better for 2 epochs" in capsys.readouterr().out
    assert learner.epoch == 3
    learner.fit(5)
    assert learner.epoch == 3


def test_early_stopping_holds_no_nan_for_the_best():
    learner = make([Script("val_loss", [math.nan, 3.0, 2.0, math.nan]), stopping := EarlyStopping(patience=3)])
    learner.fit(4)
    assert stopping.best_epoch == 2


def test_early_stopping_on_the_training_loss():
    class Worse(Callback):
        order = -5

        def after_epoch(self, learner):
            learner.history.setdefault("train_loss", []).append(float(learner.epoch))

    for val in (True, False):
        learner = make([Worse(), EarlyStopping(patience=2, metric="train_loss")], val=val)
        learner.fit(9)
        assert learner.epoch == 3


# ----------------------------------------------------------------------------------------- half precision


class Seen(Callback):
    """The dtypes of a forward pass, and the losses that callbacks read after backward."""

    order = 100

    def __init__(self):
        self.predictions, self.losses, self.gradients = [], [], []

    def after_predict(self, learner):
        self.predictions.append(learner.prediction.dtype)

    def after_backward(self, learner):
        self.losses.append(learner.loss.item())
        self.gradients.append([parameter.grad.clone() for parameter in learner.model.parameters()])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype):
    half, whole, seen, seen_whole = make([Metrics()]), make([Metrics()]), Seen(), Seen()
    for learner, more in ((half, [MixedPrecision(dtype), seen]), (whole, [seen_whole])):
        torch.manual_seed(3)
        learner.fit(3, more)
    assert set(seen.predictions) == {dtype} and set(seen_whole.predictions) == {torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in half.model.parameters())
    assert not states_equal(half.model.state_dict(), whole.model.state_dict())
    for a, b in zip(half.model.parameters(), whole.model.parameters()):
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.05)
    assert seen.losses == pytest.approx(seen_whole.losses, rel=0.05)  # not the scaled ones
    assert half.history["train_loss"] == pytest.approx(whole.history["train_loss"], rel=0.05)
    for mine, theirs in zip(seen.gradients[0], seen_whole.gradients[0]):
        torch.testing.assert_close(mine, theirs, rtol=0.1, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_is_torchs_recipe_bit_for_bit(dtype):
    learner, model = make(val=False), network()
    torch.manual_seed(3)
    learner.fit(2, [MixedPrecision(dtype)])
    optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu", enabled=dtype == torch.float16)
    torch.manual_seed(3)
    for _ in range(2):
        for x, y in some_batches():
            with torch.autocast("cpu", dtype):
                loss = nn.functional.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    assert states_equal(learner.model.state_dict(), model.state_dict())
    assert states_equal(learner.optimizer.state_dict(), optimizer.state_dict())


def test_float16_leaves_a_step_out_when_a_gradient_overflows():
    def overflow(learner):
        next(learner.model.parameters()).grad.fill_(math.inf)

    bomb = Log(at="after_backward", nth=0, act=overflow)
    bomb.order = 15  # before the gradients are scaled down, and looked at
    learner, half = make(val=False, sizes=(6,)), MixedPrecision(torch.float16)
    before = {name: p.detach().clone() for name, p in learner.model.named_parameters()}
    learner.fit(1, [half, bomb])
    assert states_equal(dict(learner.model.named_parameters()), before)
    assert half.scaler.get_scale() == 2.0**15


@pytest.mark.parametrize("more", [[], [MixedPrecision(torch.float16)], [MixedPrecision(torch.bfloat16)]])
def test_gradient_clip(more):
    norms = []

    class Norm(Callback):
        order = 10  # after the clip, before a scaled step

        def before_step(self, learner):
            norms.append(nn.utils.get_total_norm([p.grad for p in learner.model.parameters()]).item())

    make([Norm()]).fit(1, more)
    free, norms[:] = list(norms), []
    make([GradientClip(0.1), Norm()]).fit(1, more)
    assert min(free) > 0.2 and norms == pytest.approx([0.1] * 3, rel=1e-3)


# ----------------------------------------------------------------------- metrics, schedule, log, device


def test_metrics_weigh_a_batch_by_its_size():
    model = nn.Linear(5, 3)  # no batch norm: a sample's loss does not depend on its batch
    learner = make([Metrics(accuracy=accuracy, largest=lambda z, y: z.max(dim=1).values.mean())], model, sizes=(6, 1, 5, 2))
    learner.optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    history = learner.fit(1)
    for split, batches in (("train", learner.train_batches), ("val", learner.val_batches)):
        x, y = (torch.cat(part) for part in zip(*batches))
        logits = model(x)
        assert history[f"{split}_loss"] == [pytest.approx(nn.functional.cross_entropy(logits, y).item(), rel=1e-5)]
        assert history[f"{split}_accuracy"] == [pytest.approx(accuracy(logits, y))]
        assert history[f"{split}_largest"] == [pytest.approx(logits.max(dim=1).values.mean().item(), rel=1e-5)]
    assert all(type(value) is float for values in history.values() for value in values)


@pytest.mark.parametrize("by_epoch", [False, True])
def test_the_schedule_and_the_recorder(by_epoch):
    learner, recorder = make(), Recorder()
    scheduler = torch.optim.lr_scheduler.LambdaLR(learner.optimizer, lambda step: 0.5**step)
    learner.fit(2, [recorder, Schedule(scheduler, by_epoch)])
    assert recorder.rates == [0.1 * 0.5 ** (step // 3 if by_epoch else step) for step in range(6)]
    assert len(recorder.losses) == 6 and all(type(loss) is float for loss in recorder.losses)
    learner.fit(1, [recorder])
    assert len(recorder.losses) == 9


def test_progress_writes_a_line_an_epoch(capsys):
    make([Metrics(accuracy=accuracy), Progress()]).fit(2)
    out, _ = capsys.readouterr()
    number, percent = r"\d+\.\d{3}", r" *\d+\.\d%"
    line = rf"epoch  (\d)/2  train loss {number}  train accuracy {percent}  val loss {number}  val accuracy {percent}"
    lines = out.splitlines()
    assert [re.fullmatch(line, text)[1] for text in lines] == ["1", "2"]


def test_a_pass_whose_batches_were_all_cancelled_gives_nan():
    class Skip(Callback):
        def before_batch(self, learner):
            if not learner.training:
                raise CancelBatch

    history = make([Metrics(), Skip()]).fit(1)
    assert math.isnan(history["val_loss"][0]) and not math.isnan(history["train_loss"][0])


@pytest.mark.parametrize("total", [True, False])
def test_progress_without_validation_metrics_or_a_length(capsys, total):
    learner = make([Progress()], val=False)
    learner.train_batches = learner.train_batches if total else map(tuple, learner.train_batches)
    learner.fit(1)
    assert capsys.readouterr().out.splitlines() == ["epoch  1/1"]
    learner.fit(1, [Progress(log=False)])
    assert len(capsys.readouterr().out.splitlines()) == 1  # the lasting one's


def test_progress_closes_its_bars_however_a_pass_ends(monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total, desc, leave):
            self.total, self.desc, self.updates, self.closed = total, desc, 0, False
            bars.append(self)

        def update(self):
            self.updates += 1

        def close(self):
            self.closed = True

    monkeypatch.setattr(callbacks, "tqdm", Bar)
    learner = make([Progress(log=False)])
    learner.fit(1)
    with pytest.raises(ZeroDivisionError):
        learner.fit(1, [Log(at="after_predict", nth=1, act=throw(ZeroDivisionError()))])
    assert [(bar.desc, bar.total, bar.updates) for bar in bars] == [("train", 3, 3), ("validate", 2, 2), ("train", 3, 1)]
    assert all(bar.closed for bar in bars)


def test_device_moves_model_and_batches():
    class Where(Callback):
        def before_batch(self, learner):
            places.append((learner.x.device.type, learner.y.device.type, next(learner.model.parameters()).device.type))

    places = []
    learner = make([Device("meta"), Where()])
    with pytest.raises((NotImplementedError, RuntimeError)):  # meta tensors have no values to learn from
        learner.fit(1, [Metrics()])
    assert places[0] == ("meta", "meta", "meta")
    places.clear()
    make([Device(), Where()]).fit(1)
    assert set(places) == {("cpu", "cpu", "cpu")}


# --------------------------------------------------------------------------------------- looking into layers


def test_forward_hooks_see_and_replace_and_go():
    model, seen = network().eval(), []
    x = torch.randn(4, 5)
    plain = model(x)

    def look(index, module, inputs, output):
        seen.append((index, module, inputs[0].shape, output.shape))
        return output * 0 if index == 1 else None

    with Hooks([model[0], model[4]], look):
        changed = model(x)
    assert seen == [(0, model[0], (4, 5), (4, 8)), (1, model[4], (4, 8), (4, 3))]
    assert not changed.any() and torch.equal(model(x), plain) and len(seen) == 2


def test_backward_hooks_see_gradients_and_go():
    model, seen = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)), []
    x = torch.randn(6, 5, requires_grad=True)

    def look(index, module, grad_input, grad_output):
        seen.append((index, grad_output[0]))

    with pytest.raises(ZeroDivisionError), Hooks(model, look, backward=True):
        model(x).sum().backward()
        raise ZeroDivisionError
    assert [index for index, _ in seen] == [2, 1, 0]
    assert torch.equal(seen[0][1], torch.ones(6, 1))
    assert torch.equal(seen[1][1], model[2].weight.expand(6, 4))
    model(x).sum().backward()
    assert len(seen) == 3


def test_activation_stats():
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        model[0].weight[:2] = 0.0
        model[0].bias[:2] = -1.0  # two of eight units are dead
        model[0].bias[2:] = 9.0
    stats = ActivationStats([model[0], model[1]])
    learner = make([stats], model)
    learner.optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    learner.fit(2)
    outputs = [model[:1](x) for x, _ in some_batches()] * 2  # of the training batches only
    assert stats.means[0] == pytest.approx([out.mean().item() for out in outputs])
    assert stats.deviations[1] == pytest.approx([out.relu().std().item() for out in outputs])
    assert stats.dead == [[0.0] * 6, [0.25] * 6]


def test_activation_stats_count_a_channel_dead_over_all_places():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    x = torch.rand(5, 1, 6, 6)
    with torch.no_grad():
        model(x)
        model[0].weight.fill_(1.0)
        model[0].bias.copy_(torch.tensor([-99.0, -99.0, -99.0, 0.0]))
    stats = ActivationStats([model[1]])
    Learner(model, [(x, torch.arange(5) % 3)], None, nn.CrossEntropyLoss(), sgd(model), [stats]).fit(1)
    assert stats.dead == [[0.75]]
