"""Lab 07's solution is the course's own code in the student's hands: the same bits, whatever happens during a fit."""

import copy
import math

import pytest
import torch
from solutions import solutions_of
from torch import nn

from utils import callbacks, recipe, training
from utils.events import Callback, CancelBatch, CancelEpoch, CancelFit, CancelStep

TROUBLES = {
    "nothing": ("", 0, None),
    "a step cancelled": ("before_step", 2, CancelStep),
    "a batch cancelled": ("after_loss", 2, CancelBatch),
    "a validation pass cancelled": ("after_predict", 4, CancelEpoch),
    "the fit cancelled": ("after_batch", 6, CancelFit),
    "a crash": ("after_backward", 5, ZeroDivisionError),
    "a crash before the fit": ("before_fit", 1, ZeroDivisionError),
}


@pytest.fixture(scope="module")
def solution() -> dict:
    return solutions_of("07_training")


def network(dtype=torch.float32, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)).to(dtype)


def batches(sizes=(6, 6, 2), seed: int = 1, dtype=torch.float32) -> list:
    g = torch.Generator().manual_seed(seed)
    return [(torch.randn(n, 5, generator=g).to(dtype), torch.randint(3, (n,), generator=g)) for n in sizes]


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def states_equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(v, b.state_dict()[name]) for name, v in a.state_dict().items())


class Troublemaker(Callback):
    """Hears everything, and raises at one event."""

    def __init__(self, event: str, nth: int, error):
        self.heard, self.at = [], (event, nth)
        self.error = error

    def __getattribute__(self, name):
        if not name.startswith(("before_", "after_", "cleanup_")):
            return object.__getattribute__(self, name)

        def method(learner):
            self.heard.append(name)
            if (name, self.heard.count(name)) == self.at:
                raise self.error

        return method


def run_fit(learner_class, metrics_class, trouble, dtype) -> tuple:
    """A fit with callbacks: (history, events, losses and rates, what escaped, modes, model)."""
    model = network(dtype)
    model[1].eval()
    optimizer = sgd(model)
    recorder = callbacks.Recorder()
    schedule = callbacks.Schedule(torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9))
    stats = callbacks.ActivationStats([model[2]])
    witness = Troublemaker(*trouble)
    learner = learner_class(model, batches(dtype=dtype), batches((4, 3), seed=2, dtype=dtype), nn.CrossEntropyLoss(), optimizer,
                            [callbacks.Device(), metrics_class(accuracy=training.accuracy), schedule])
    escaped = None
    try:
        learner.fit(3, [recorder, callbacks.EarlyStopping(patience=2), stats, witness])
    except ZeroDivisionError as error:
        escaped = type(error).__name__
    assert not any(module._forward_hooks for module in model.modules())
    modes = [module.training for module in model.modules()]
    assert modes == [True, True, False, True, True, True]
    return learner.history, witness.heard, (recorder.losses, recorder.rates, stats.means), escaped, model


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", TROUBLES)
def test_the_labs_learner_and_the_courses_are_the_same(solution, name, dtype):
    mine = run_fit(solution["Learner"], solution["Metrics"], TROUBLES[name], dtype)
    courses = run_fit(training.Learner, callbacks.Metrics, TROUBLES[name], dtype)
    assert mine[:4] == courses[:4]
    assert states_equal(mine[4], courses[4])
    assert (mine[3] is not None) == ("crash" in name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_labs_functions_and_the_courses_are_the_same(solution, dtype):
    results = []
    for train, validate in ((solution["train"], solution["validate"]), (training.train, training.validate)):
        model = network(dtype)
        optimizer = sgd(model)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: recipe.one_cycle(step, 9))
        loss_fn = nn.CrossEntropyLoss()
        log = []
        for _ in range(3):
            log.append(train(model, batches(dtype=dtype), loss_fn, optimizer, scheduler))
            log.append(validate(model, batches(seed=2, dtype=dtype), loss_fn))
        results.append((log, model))
    (mine, my_model), (courses, its_model) = results
    assert mine == courses
    assert states_equal(my_model, its_model)
    logits, y = torch.randn(50, 10, dtype=dtype), torch.randint(10, (50,))
    assert solution["accuracy"](logits, y) == training.accuracy(logits, y)


def test_the_labs_trainer_agrees_with_the_learner(solution):
    model, twin = network(), network()
    trainer = solution["Trainer"](model, nn.CrossEntropyLoss(), sgd(model))
    torch.manual_seed(0)
    log = trainer.fit(batches(), batches((4, 3), seed=2), epochs=8, patience=2)
    recorder = callbacks.Recorder()
    learner = training.Learner(twin, batches(), batches((4, 3), seed=2), nn.CrossEntropyLoss(), sgd(twin),
                               [callbacks.Metrics(accuracy=training.accuracy), recorder])
    torch.manual_seed(0)
    history = learner.fit(8, [callbacks.EarlyStopping(patience=2)])
    assert log["batch_loss"] == recorder.losses
    for name, values in history.items():
        assert log[name] == pytest.approx(values, rel=1e-6)
    assert states_equal(model, twin)
    assert torch.equal(trainer.predict(batches()), training.predict(twin, batches()))


def test_init_weights_is_xaviers(solution):
    layer = nn.Conv2d(20, 40, 5)
    torch.manual_seed(0)
    layer.apply(solution["init_weights"])
    torch.manual_seed(0)
    assert torch.equal(layer.weight, nn.init.xavier_uniform_(torch.empty_like(layer.weight)))
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (500 + 1000)), rel=0.02)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_resumed_run_is_the_same_run(solution, done, tmp_path):
    images = torch.randint(0, 256, (30, 1, 4, 4), dtype=torch.uint8)
    labels = torch.randint(3, (30,))

    def parts(seed):
        from utils.data import Batches

        torch.manual_seed(seed)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, 3))
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
        return model, optimizer, scheduler, Batches(images, labels, batch_size=8, shuffle=True, seed=seed, mean=(0.5,), std=(0.25,))

    def go_on(model, optimizer, scheduler, its_batches, epochs):
        for _ in range(epochs):
            solution["train"](model, its_batches, nn.CrossEntropyLoss(), optimizer)
            scheduler.step()

    first, second = parts(1), parts(2)
    go_on(*first, done)
    solution["save_checkpoint"](tmp_path / "run.pt", done, *first[:3], first[3].generator)
    go_on(*first, 4 - done)
    torch.manual_seed(99)
    assert solution["load_checkpoint"](tmp_path / "run.pt", *second[:3], second[3].generator) == done
    go_on(*second, 4 - done)
    assert states_equal(first[0], second[0])


@pytest.mark.parametrize("backward", [False, True])
def test_the_labs_hooks_and_the_courses_are_the_same(solution, backward):
    results = []
    for hooks in (solution["Hooks"], callbacks.Hooks):
        model, seen = network().eval(), []
        with pytest.raises(ZeroDivisionError):
            with hooks([model[0], model[4]], lambda *found, seen=seen: seen.append(found), backward):
                model(batches()[0][0].requires_grad_()).square().sum().backward()  # else torch warns of the first layer
                raise ZeroDivisionError
        assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
        results.append([(index, after[0] if backward else after) for index, _, _, after in seen])
    assert [index for index, _ in results[0]] == [index for index, _ in results[1]] == ([1, 0] if backward else [0, 1])
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(*results))


def test_the_hooked_sequential_shows_what_a_sequential_does(solution):
    model, shown = network().eval(), []
    hooked = solution["HookedSequential"](*copy.deepcopy(model), function=lambda index, layer, output: shown.append((index, output)))
    x = batches()[0][0]
    assert torch.equal(hooked(x), model(x))
    assert [index for index, _ in shown] == [0, 1, 2, 3, 4]
    assert len(list(hooked.parameters())) == len(list(model.parameters()))
