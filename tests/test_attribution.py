"""Saliency, Grad-CAM and occlusion agree with captum's, on the course's small network and on the pretrained one.

Tolerance: 1e-4 of the map's largest value in float32 (both sum in another order), 1e-9 in float64; but for occlusion
1e-6, since captum adds its maps up in float32.
"""

import warnings

import pytest
import torch

from utils import attribution
from utils.pretrained import cifar10_network, imagenet_network

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    captum = pytest.importorskip("captum.attr", reason='captum is missing; it comes with: pip install -e ".[more]"')


@pytest.fixture(scope="module", params=["small", "small, float64", "pretrained"])
def case(request):
    """(network, last layer with maps, images, classes, patch, stride, tolerance)"""
    generator = torch.Generator().manual_seed(0)
    if request.param == "pretrained":
        network = imagenet_network("efficientnet_lite0")
        x = torch.rand(2, 3, 224, 224, generator=generator) * 2 - 1
        names = attribution.stages(network.model, x)
        return network.model, network.model.get_submodule(list(names.values())[-1]), x, torch.tensor([310, 859]), 100, 62, 1e-4
    dtype = torch.float64 if "64" in request.param else torch.float32
    model = cifar10_network().to(dtype)
    x = torch.randn(4, 3, 32, 32, generator=generator, dtype=dtype)
    return model, model.features[10], x, torch.tensor([3, 0, 9, 9]), 6, 4, 1e-4 if dtype == torch.float32 else 1e-9


def agree(mine: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    assert mine.shape == theirs.shape and mine.dtype == theirs.dtype
    assert (mine - theirs).abs().max() <= tolerance * theirs.abs().max()
    assert theirs.abs().max() > 0


def test_saliency_is_the_largest_channel_of_captums(case):
    model, _, x, target, *_, tolerance = case
    theirs = captum.Saliency(model).attribute(x.clone().requires_grad_(), target)
    agree(attribution.saliency(model, x, target), theirs.amax(1), tolerance)


def test_grad_cam_is_captums_with_relu_resized_bilinear(case):
    model, layer, x, target, *_, tolerance = case
    cam = captum.LayerGradCam(model, layer)
    theirs = cam.attribute(x.clone().requires_grad_(), target, relu_attributions=True)
    theirs = captum.LayerAttribution.interpolate(theirs, x.shape[2:], interpolate_mode="bilinear")[:, 0]
    agree(attribution.grad_cam(model, layer, x, target), theirs.detach(), tolerance)


@pytest.mark.parametrize("fill", [0.0, 0.5])
def test_occlusion_spread_over_the_pixels_is_captums(case, fill):
    """The strides do not fit, so that the last windows are cut off at the border."""
    model, _, x, target, patch, stride, tolerance = case
    windows = {"sliding_window_shapes": (3, patch, patch), "strides": (3, stride, stride)}
    theirs = captum.Occlusion(model).attribute(x, target=target, baselines=fill, **windows)
    drops = attribution.occlusion(model, x, target, patch, stride, fill)
    mine = attribution.spread(drops, x.shape[2:], patch, stride)
    for channel in range(3):
        agree(mine, theirs[:, channel].to(mine.dtype), max(tolerance, 1e-6))
