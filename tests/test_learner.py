"""The Learner: the same bits as a plain loop; its events, its ways to cancel, and what it leaves behind however it ends."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from utils.callbacks import (
    ActivationStats,
    Device,
    EarlyStopping,
    Hooks,
    Metrics,
    MixedPrecision,
    Progress,
    Recorder,
    Schedule,
)
from utils.events import Callback, CancelBatch, CancelEpoch, CancelFit, CancelStep
from utils.recipe import one_cycle
from utils.training import Learner, accuracy

EVENTS = [name for name in vars(Callback) if name.startswith(("before_", "after_", "cleanup_"))]


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def some_batches(sizes=(6, 6, 2), seed: int = 1) -> list:
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(n, 5, generator=generator), torch.randint(3, (n,), generator=generator)) for n in sizes]


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def make(callbacks=(), model=None, val=True, sizes=(6, 6, 2)) -> Learner:
    model = model or network()
    val_batches = some_batches((4, 3), seed=2) if val else None
    return Learner(model, some_batches(sizes), val_batches, nn.CrossEntropyLoss(), sgd(model), callbacks)


def states_equal(a: dict, b: dict) -> bool:
    """Two state dicts, nested or not, hold the same bits."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(states_equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(states_equal, a, b))
    return a == b


class Log(Callback):
    """Writes each event down, and does something at the n-th of one kind, if asked."""

    def __init__(self, name: str = "", log: list | None = None, at: str = "", nth: int = 0, act=None):
        self.name, self.log = name, [] if log is None else log
        self.at, self.nth, self.act = at, nth, act

    def hear(self, event: str, learner: Learner) -> None:
        self.log.append(f"{self.name}{event}")
        if event == self.at:
            self.nth -= 1
            if self.nth < 0:
                self.at = ""
                self.act(learner)


for event in EVENTS:
    setattr(Log, event, lambda self, learner, event=event: self.hear(event, learner))


def throw(error: BaseException):
    def act(learner):
        raise error

    return act


# ------------------------------------------------------------------------------------------------ a plain loop


def plain_fit(model, train_batches, val_batches, loss_fn, optimizer, scheduler, epochs) -> dict:
    history = {"train_loss": [], "train_accuracy": [], "val_loss": [], "val_accuracy": []}
    for _ in range(epochs):
        for split, batches in (("train", train_batches), ("val", val_batches)):
            model.train(split == "train")
            total, right, count = 0.0, 0, 0
            for x, y in batches:
                with torch.set_grad_enabled(split == "train"):
                    logits = model(x)
                    loss = loss_fn(logits, y)
                if split == "train":
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    scheduler.step()
                total += loss.item() * len(y)
                right += (logits.argmax(1) == y).sum().item()
                count += len(y)
            history[f"{split}_loss"].append(total / count)
            history[f"{split}_accuracy"].append(right / count)
    return history


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_it_is_the_plain_loop_bit_for_bit(kind, dtype):
    def run(fit):
        model = network().to(dtype)
        optimizer = kind(model.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, 12))
        train, val = ([(x.to(dtype), y) for x, y in some_batches(sizes, seed)] for sizes, seed in (((6, 6, 2), 1), ((4, 3), 2)))
        torch.manual_seed(3)  # of the dropout
        history = fit(model, train, val, nn.CrossEntropyLoss(), optimizer, scheduler, 4)
        return history, model.state_dict(), optimizer.state_dict(), scheduler.state_dict()

    def learner_fit(model, train, val, loss_fn, optimizer, scheduler, epochs):
        return Learner(model, train, val, loss_fn, optimizer, [Metrics(accuracy=accuracy), Schedule(scheduler)]).fit(epochs)

    (expected, *states), (history, *its_states) = run(plain_fit), run(learner_fit)
    assert states_equal(states[:2], its_states[:2])
    assert states[2]["last_epoch"] == its_states[2]["last_epoch"] == 12
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        assert history[name] == pytest.approx(values, rel=1e-6 if name.endswith("accuracy") else 1e-12)


def test_a_second_fit_goes_on():
    once, twice = make([Metrics()]), make([Metrics()])
    torch.manual_seed(3)
    whole = once.fit(4)
    torch.manual_seed(3)
    first = twice.fit(1)
    assert len(first["train_loss"]) == 1
    assert twice.fit(3) is first and first == whole
    assert states_equal(once.model.state_dict(), twice.model.state_dict())


def test_gradients_from_before_a_fit_do_not_count():
    clean, stale = make(), make()
    for parameter in stale.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for learner in (clean, stale):
        torch.manual_seed(3)
        learner.fit(1)
    assert states_equal(clean.model.state_dict(), stale.model.state_dict())


# ------------------------------------------------------------------------------------------------- the events

TRAINED = ["before_batch", "after_predict", "after_loss", "after_backward", "before_step", "after_step", "cleanup_step",
           "after_batch", "cleanup_batch"]
VALIDATED = ["before_batch", "after_predict", "after_loss", "after_batch", "cleanup_batch"]
PASS_ENDS = ["after_epoch", "cleanup_epoch"]
ONE_EPOCH = ["before_epoch", *3 * TRAINED, *PASS_ENDS, "before_epoch", *2 * VALIDATED, *PASS_ENDS]


def test_the_events_and_their_order():
    log = Log()
    make([log]).fit(2)
    assert log.log == ["before_fit", *2 * ONE_EPOCH, "after_fit", "cleanup_fit"]
    assert set(log.log) == set(EVENTS)


def test_what_a_callback_finds():
    class Look(Callback):
        def __init__(self):
            self.seen = []

        def after_loss(self, learner):
            assert learner.prediction.requires_grad == learner.loss.requires_grad == learner.training
            assert learner.model.training == learner.training
            assert torch.equal(learner.loss, learner.loss_fn(learner.prediction, learner.y))
            assert learner.batches is (learner.train_batches if learner.training else learner.val_batches)
            self.seen.append((learner.epoch, learner.training, len(learner.x)))

    look = Look()
    learner = make([look])
    learner.fit(2)
    one = [(True, 6), (True, 6), (True, 2), (False, 4), (False, 3)]
    assert look.seen == [(epoch, *rest) for epoch in range(2) for rest in one]
    assert learner.epochs == 2


def test_without_validation_batches():
    log = Log()
    make([log], val=False).fit(1)
    assert log.log == ["before_fit", "before_epoch", *3 * TRAINED, *PASS_ENDS, "after_fit", "cleanup_fit"]


def test_callbacks_hear_in_their_order_and_clean_up_in_reverse():
    log = []
    first, second, third = Log("1 ", log), Log("2 ", log), Log("3 ", log)
    first.order, third.order = -1, 1
    learner = make([third])
    learner.fit(1, [second, first])
    assert log[:3] == ["1 before_fit", "2 before_fit", "3 before_fit"]
    assert log[-6:] == ["1 after_fit", "2 after_fit", "3 after_fit", "3 cleanup_fit", "2 cleanup_fit", "1 cleanup_fit"]
    assert learner.callbacks == [third]  # the others were there for this fit only


# ---------------------------------------------------------------------------------------------------- to cancel


def test_cancel_step():
    log = Log(at="before_step", nth=1, act=throw(CancelStep()))
    learner = make([log], val=False, sizes=(6, 6))
    weights = []
    learner.fit(1, [Log(at="after_loss", nth=1, act=lambda l: weights.append(copy.deepcopy(dict(l.model.named_parameters()))))])
    left_out = [event for event in TRAINED if event != "after_step"]
    assert log.log == ["before_fit", "before_epoch", *TRAINED, *left_out, *PASS_ENDS, "after_fit", "cleanup_fit"]
    assert states_equal(weights[0], dict(learner.model.named_parameters()))
    assert all(parameter.grad is not None for parameter in learner.model.parameters())  # they stay, and add up


def test_cancelled_steps_accumulate_gradients():
    """Two halves of a batch, one step: as one step on the whole batch (no dropout, no batch norm)."""
    def small(batches):
        torch.manual_seed(0)
        model = nn.Linear(5, 3)
        return Learner(model, batches, None, nn.CrossEntropyLoss(reduction="sum"), torch.optim.SGD(model.parameters(), lr=0.1))

    (x, y), = some_batches((8,))
    whole, halves = small([(x, y)]), small([(x[:4], y[:4]), (x[4:], y[4:])])
    whole.fit(1)
    halves.fit(1, [Log(at="before_step", act=throw(CancelStep()))])
    torch.testing.assert_close(halves.model.weight, whole.model.weight)


def test_cancel_batch():
    log = Log(at="after_predict", nth=1, act=throw(CancelBatch()))
    make([log], val=False, sizes=(6, 6)).fit(1)
    assert log.log == ["before_fit", "before_epoch", *TRAINED, "before_batch", "after_predict", "cleanup_batch", *PASS_ENDS,
                       "after_fit", "cleanup_fit"]


def test_cancel_epoch_ends_the_pass_only():
    log = Log(at="after_loss", nth=0, act=throw(CancelEpoch()))
    make([log]).fit(1)
    assert log.log == ["before_fit", "before_epoch", "before_batch", "after_predict", "after_loss", "cleanup_batch", "cleanup_epoch",
                       "before_epoch", *2 * VALIDATED, *PASS_ENDS, "after_fit", "cleanup_fit"]


def test_cancel_fit():
    log = Log(at="after_backward", nth=0, act=throw(CancelFit()))
    make([log, Metrics()]).fit(5)
    assert log.log == ["before_fit", "before_epoch", "before_batch", "after_predict", "after_loss", "after_backward",
                       "cleanup_batch", "cleanup_epoch", "cleanup_fit"]


@pytest.mark.parametrize("stage", ["fit", "epoch", "batch", "step"])
def test_cleanup_is_for_those_that_started(stage):
    log = []
    bad = Log("2 ", log, at=f"before_{stage}", act=throw(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        make([Log("1 ", log), bad, Log("3 ", log)]).fit(1)
    place = log.index(f"2 before_{stage}")
    assert log[place - 1 : place + 3] == [f"1 before_{stage}", f"2 before_{stage}", f"2 cleanup_{stage}", f"1 cleanup_{stage}"]
    assert f"3 before_{stage}" not in log and f"3 cleanup_{stage}" not in log
    assert log[-1] == "1 cleanup_fit"


@pytest.mark.parametrize("stage", ["fit", "epoch", "batch", "step"])
def test_cleanup_goes_on_when_one_fails(stage):
    log = []
    bad = Log("2 ", log, at=f"cleanup_{stage}", act=throw(ZeroDivisionError()))
    learner = make([Log("1 ", log), bad, Log("3 ", log)])
    learner.model[1].eval()
    with pytest.raises(ZeroDivisionError):
        learner.fit(1)
    place = log.index(f"2 cleanup_{stage}")
    assert log[place - 1 : place + 2] == [f"3 cleanup_{stage}", f"2 cleanup_{stage}", f"1 cleanup_{stage}"]
    assert log[-1] == "1 cleanup_fit"
    assert [module.training for module in learner.model] == [True, False, True, True, True]


# -------------------------------------------------------------------------------------- however a fit has ended


def hooks_on(model: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    event=st.sampled_from(EVENTS),
    nth=st.integers(0, 6),
    error=st.sampled_from([CancelStep, CancelBatch, CancelEpoch, CancelFit, ZeroDivisionError, KeyboardInterrupt]),
    order=st.sampled_from([-100, -15, 5, 22, 35, 100]),
    modes=st.lists(st.booleans(), min_size=6, max_size=6),
    dtype=st.sampled_from([torch.bfloat16, torch.float16]),
)
def test_however_a_fit_ends_it_leaves_nothing_behind(event, nth, error, order, modes, dtype):
    model = network()
    for module, mode in zip(model.modules(), modes):
        module.training = mode
    bomb, witness = Log(at=event, nth=nth, act=throw(error())), Log()
    bomb.order, witness.order = order, -200
    lasting = [Device(), Metrics(accuracy=accuracy), Progress(log=False), Recorder()]
    learner = make(lasting, model)
    try:
        learner.fit(2, [witness, bomb, MixedPrecision(dtype), EarlyStopping(), ActivationStats([model[0], model[2]])])
    except (error, CancelStep, CancelBatch, CancelEpoch):  # those three outside their stage are errors like others
        pass
    assert [module.training for module in model.modules()] == modes
    assert hooks_on(model) == 0
    assert learner.callbacks == lasting
    assert torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
    for callback in (witness, bomb):
        for stage in ("fit", "epoch", "batch", "step"):
            assert callback.log.count(f"before_{stage}") == callback.log.count(f"cleanup_{stage}")
    assert learner.fit(1) is learner.history  # and it can be used again


def test_a_failing_model_leaves_no_hook_either():
    class Fails(nn.Module):
        def forward(self, x):
            raise RuntimeError("in the model")

    model = nn.Sequential(nn.Linear(5, 3), Fails()).eval()
    learner = make([ActivationStats([model[0]]), MixedPrecision()], model)
    with pytest.raises(RuntimeError, match="in the model"), Hooks(model.modules(), lambda *seen: None):
        learner.fit(1)
    assert hooks_on(model) == 0 and not any(module.training for module in model.modules())
    assert not torch.is_autocast_enabled("cpu")
