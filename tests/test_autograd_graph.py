"""The picture of autograd's graph (lab 02), against the graph that torch recorded."""

import pytest
import torch
import torchvision

from utils import plotting


def boxes(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def places(figure) -> list[tuple]:
    return [text.get_position() for text in figure.axes[0].texts if text.get_text()]


def test_every_record_is_drawn_once():
    a, b = (torch.tensor([1.0, 2.0], requires_grad=True) for _ in "ab")
    figure = plotting.autograd_graph(3 * a**3 - b**2, {"a": a, "b": b}, title="Q")
    leaves = ["a (2,)\nAccumulateGrad", "b (2,)\nAccumulateGrad"]
    operations = ["MulBackward0", "PowBackward0", "PowBackward0", "SubBackward0"]
    assert sorted(boxes(figure)) == sorted([*leaves, *operations, "no gradient", "result (2,)"])
    assert figure.axes[0].get_title() == "Q"
    assert len(set(places(figure))) == 8


def test_a_shared_node_is_one_box_below_all_its_users():
    w = torch.ones(2, requires_grad=True)
    h = w.exp()
    figure = plotting.autograd_graph((h.tanh() * h).sum(), {"w": w})
    rows = {text: y for text, (_, y) in zip(boxes(figure), places(figure))}
    assert boxes(figure).count("ExpBackward0") == 1
    assert rows["ExpBackward0"] > rows["TanhBackward0"] > rows["MulBackward0"]


def test_unnamed_leaves_and_one_operation():
    figure = plotting.autograd_graph(torch.ones((), requires_grad=True) * torch.ones(()))
    assert sorted(boxes(figure)) == ["MulBackward0", "leaf ()\nAccumulateGrad", "no gradient", "result ()"]


def test_a_large_graph_is_cut_at_the_depth_and_says_so():
    model = torchvision.models.resnet18()
    loss = model(torch.rand(2, 3, 32, 32)).sum()
    names = dict(model.named_parameters())
    part = plotting.autograd_graph(loss, names, depth=5)
    assert any(text.endswith("…") for text in boxes(part)) and len(boxes(part)) < 20
    whole = plotting.autograd_graph(loss, names, depth=200)
    assert not any(text.endswith("…") for text in boxes(whole))
    drawn = {text.split(" ")[0] for text in boxes(whole) if "AccumulateGrad" in text}
    assert drawn == set(names)
    assert len(set(places(whole))) == len(places(whole))


@pytest.mark.parametrize("tensor", [torch.ones(2), torch.ones(2, requires_grad=True)])
def test_nothing_recorded_is_an_error(tensor):
    with pytest.raises(ValueError, match="no grad_fn"):
        plotting.autograd_graph(tensor)
