"""The training functions and the fast recipe, and that lab 08's solutions are the same code in the student's hands."""


import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from solutions import solutions_of
from torch import nn

from utils import recipe, training
from utils.callbacks import Metrics, Schedule
from utils.models import FastNet, SmallCNN
from utils.training import Learner, accuracy


@pytest.fixture(scope="module")
def solution() -> dict:
    return solutions_of("08_cifar10")


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def batches(sizes=(6, 6, 2), seed: int = 1) -> list:
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(n, 5, generator=generator), torch.randint(3, (n,), generator=generator)) for n in sizes
    ]


def states_equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(v, b.state_dict()[name]) for name, v in a.state_dict().items())


def test_the_lab_and_the_course_measure_alike(solution):
    logits, y = torch.randn(50, 10), torch.randint(10, (50,))
    predicted = logits.argmax(dim=1)
    assert torch.equal(solution["confusion"](predicted, y, 10), recipe.confusion(predicted, y, 10))
    for step in range(41):
        assert solution["one_cycle"](step, 40) == recipe.one_cycle(step, 40)


def test_the_lab_builds_the_courses_small_network(solution):
    net, courses = solution["Net"](), SmallCNN()
    sizes = [[tuple(p.shape) for p in model.parameters() if p.ndim > 1] for model in (net, courses)]
    assert sizes[0] == sizes[1]


def test_the_labs_learner_is_the_course_assembled_by_hand(solution):
    torch.manual_seed(0)
    mine, its = network(), network()
    learner = solution["make_learner"](mine, batches(), batches(seed=2), 3, 0.1, recipe.one_cycle)
    optimizer = torch.optim.SGD(its.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: recipe.one_cycle(step, 9))
    torch.manual_seed(3)
    history = learner.fit(3)
    torch.manual_seed(3)
    by_hand = Learner(its, batches(), batches(seed=2), nn.CrossEntropyLoss(), optimizer, [Metrics(accuracy=accuracy), Schedule(scheduler)])
    assert by_hand.fit(3) == history
    assert states_equal(mine, its)


def test_the_labs_callback_and_its_confusion_matrix_agree(solution):
    model, by_class = network(), solution["ClassAccuracy"](3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Learner(model, batches(), batches((20, 11), seed=2), nn.CrossEntropyLoss(), optimizer).fit(2, [by_class])
    predicted = training.predict(model, batches((20, 11), seed=2)).argmax(dim=1)
    matrix = recipe.confusion(predicted, torch.cat([y for _, y in batches((20, 11), seed=2)]), 3)
    assert len(by_class.by_epoch) == 2
    torch.testing.assert_close(by_class.by_epoch[-1], matrix.diag() / matrix.sum(dim=1))


def test_train_returns_the_mean_over_the_images():
    model = network()
    model[3].p = 0.0
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    loss = training.train(model, batches(), nn.CrossEntropyLoss(), frozen)
    model.train()
    total = sum(nn.functional.cross_entropy(model(x), y, reduction="sum").item() for x, y in batches())
    assert loss == pytest.approx(total / 14, rel=1e-5)
    assert model.training


def test_train_is_an_epoch_of_the_learner_bit_for_bit():
    mine, its = network(), network()
    losses, history = [], None
    for model in (mine, its):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: recipe.one_cycle(step, 6))
        torch.manual_seed(3)
        if model is mine:
            losses = [training.train(model, batches(), nn.CrossEntropyLoss(), optimizer, scheduler) for _ in range(2)]
        else:
            history = Learner(model, batches(), None, nn.CrossEntropyLoss(), optimizer, [Metrics(), Schedule(scheduler)]).fit(2)
    assert history["train_loss"] == pytest.approx(losses, rel=1e-12)
    assert states_equal(mine, its)


@pytest.mark.parametrize("mode", [True, False])
def test_validate_and_predict_leave_the_model_as_it_was(mode):
    model, before = network().train(mode), network()
    loss, share = training.validate(model, batches(), nn.CrossEntropyLoss())
    logits = training.predict(model, batches())
    assert model.training == mode and states_equal(model, before)
    y = torch.cat([y for _, y in batches()])
    assert loss == pytest.approx(nn.functional.cross_entropy(logits, y).item(), rel=1e-5)
    assert share == pytest.approx(accuracy(logits, y))
    assert not logits.requires_grad


def test_the_confusion_matrix_counts_rows_by_the_truth():
    matrix = recipe.confusion(torch.tensor([1, 1, 0]), torch.tensor([0, 0, 0]), 3)
    assert matrix.tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 0]]


def test_one_cycle_goes_up_and_down():
    factors = [recipe.one_cycle(step, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.2) and factors[23] == pytest.approx(1) and factors[-1] == pytest.approx(0.07)
    assert factors.index(max(factors)) == 23


def test_the_fast_recipe_orthogonalizes_convolutions_and_decays_the_rest():
    model = FastNet()
    _, optimizer, scheduler = recipe.fast_recipe(model, steps=10)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in model.parameters() if p.requires_grad}
    convolutions, others = optimizer.param_groups
    assert convolutions["orthogonal"] and all(p.ndim == 4 for p in convolutions["params"]) and convolutions["weight_decay"] == 0
    assert not others["orthogonal"] and others["weight_decay"] > 0
    first = optimizer.param_groups[0]["lr"]
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] > first


@pytest.mark.parametrize(("epochs", "sides"), [(1, []), (2, [24]), (3, [24]), (4, [20, 24]), (8, [20, 20, 24, 24])])
def test_small_images_come_first(epochs, sides):
    assert recipe.small_first(epochs) == sides


@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 1000))
def test_an_orthogonalized_matrix_has_singular_values_near_one(rows, columns, seed):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    got = recipe.orthogonalize(matrix, steps=8)
    assert torch.allclose(got @ matrix.T, matrix @ got.T, atol=1e-3 * matrix.norm().item() ** 2)  # the same directions
    found = torch.linalg.svdvals(got)[values > 0.05 * values[0]]
    assert found.min() > 0.6 and found.max() < 1.3


def test_without_orthogonal_groups_muon_is_torchs_sgd_with_nesterov_momentum():
    start = [torch.randn(3, 4), torch.randn(5)]
    mine, theirs = ([p.clone().requires_grad_() for p in start] for _ in range(2))
    optimizers = (recipe.Muon(mine, lr=0.1, momentum=0.8, weight_decay=0.01),
                  torch.optim.SGD(theirs, lr=0.1, momentum=0.8, weight_decay=0.01, nesterov=True))
    for _ in range(4):
        for parameters, optimizer in zip((mine, theirs), optimizers):
            optimizer.zero_grad()
            sum((p**3).sum() for p in parameters).backward()
            optimizer.step()
    for a, b in zip(mine, theirs):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("size", [1e-3, 1e3])
def test_in_an_orthogonal_group_neither_the_size_of_weight_nor_of_gradient_counts(size):
    weight, gradient = torch.randn(2, 6, 4, 3, 3)
    steps = []
    for scale in (1.0, size):
        p = (scale * weight).requires_grad_()
        p.grad = scale * gradient
        recipe.Muon([p], lr=0.1, momentum=0.6, orthogonal=True).step()
        steps.append(p.detach())
    assert torch.allclose(steps[0], steps[1], atol=1e-4)
    moved = (weight * 6**0.5 / weight.norm() - steps[0]).flatten(1) / 0.1  # six filters: the size is √6
    assert torch.allclose(moved, recipe.orthogonalize(gradient.flatten(1)), atol=1e-4)
