"""CIFAR-10 on a CPU: accuracy against wall time, lab 08's recipe beside the well-known ways, all to the same horizon.

    python -m benchmarks.cifar10 [--seeds 3] [--laptop] [--alone] [--figure FILE] [--short]

The peers are written as their sources have them, data pipeline and all, and each keeps going where its source would
have stopped, until the horizon, or for as long as its source says if that is longer:
- "tutorial": PyTorch's "Training a classifier": LeNet-like, batches of 4, two workers, SGD 0.001, no augmentation;
- "seven convolutions": the class of a well-known article on training and validation accuracy; Adam, batches of 64,
  per-image `ToTensor`, no workers;
- "TinyVGG": ten hidden channels, after the CNN Explainer; Adam, batches of 32 (as in learnpytorch.io);
- "ResNet-18": for CIFAR (kuangliu/pytorch-cifar): SGD 0.1, batches of 128, crops and flips, two workers;
  four minutes, whatever the horizon.
The horizon is the wall time that the tutorial takes for its two epochs, measured first. Ours has a schedule that ends
with the run, so each of its points is a run of its own, from the images in memory to the trained network. No clock runs
while accuracy is measured. The peers' clock starts with their first batch, ours before its network and batches are
made. No test-time augmentation. All train on all 50,000 images, as the sources do: nothing is chosen here, our epochs
and widths were chosen on held-out images before.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models, transforms

from utils import data, plotting, recipe, runtime, training
from utils.models import FastNet, SevenConv

from . import lab_08

HALF = (0.5, 0.5, 0.5)


class Tutorial(nn.Module):
    """https://pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html"""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


def tiny_vgg(hidden: int = 10) -> nn.Module:
    layers, channels = [], 3
    for _ in range(2):
        layers += [nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, hidden, 3, padding=1),
                   nn.ReLU(), nn.MaxPool2d(2)]  # fmt: skip
        channels = hidden
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(hidden * 8 * 8, 10))


def cifar_resnet18() -> nn.Module:
    """ResNet-18 with the stem of its authors for CIFAR: a 3×3 convolution of stride 1, and no pooling."""
    model = models.resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


@dataclass(frozen=True)
class Peer:
    """A network with the training that its source gives it."""

    model: Callable[[], nn.Module]
    optimizer: Callable
    batch_size: int
    workers: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: bool = False
    epochs: int = 0  # at least so many, as in its source; 0: as many as fit
    longer: float = 0.0  # seconds, where the horizon is too near to show anything

    def batches(self, count: int) -> DataLoader:
        steps = [transforms.ToTensor(), transforms.Normalize(self.mean, self.std)]
        if self.augment:
            steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), *steps]
        dataset = Subset(data.CIFAR10Dataset(transform=transforms.Compose(steps)), range(count))
        return DataLoader(dataset, self.batch_size, shuffle=True, num_workers=self.workers)


PEERS = {
    "tutorial": Peer(Tutorial, lambda p: torch.optim.SGD(p, lr=0.001, momentum=0.9), 4, 2, HALF, HALF, epochs=2),
    "seven convolutions": Peer(SevenConv, lambda p: torch.optim.Adam(p, lr=1e-3), 64, 0, (0, 0, 0), (1, 1, 1)),
    "TinyVGG": Peer(tiny_vgg, lambda p: torch.optim.Adam(p, lr=1e-3), 32, 0, (0, 0, 0), (1, 1, 1)),
    "ResNet-18": Peer(cifar_resnet18, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=5e-4), 128, 2,
                      data.MEAN, data.STD, augment=True, longer=240),
}  # fmt: skip


def trace(peer: Peer, count: int, test: tuple, horizon: float | None, points: int = 8) -> list[tuple[float, float]]:
    """Train a peer; (seconds, test accuracy) at equal distances.

    Args:
        count: training images.
        horizon: seconds; None: until its own epochs are done.
    """
    torch.manual_seed(0)
    model, loss_fn = peer.model(), nn.CrossEntropyLoss()
    optimizer, batches = peer.optimizer(model.parameters()), peer.batches(count)
    test_batches = data.Batches(*test, mean=peer.mean, std=peer.std)
    seen, spent, mark, epoch = [], 0.0, 1, 0
    total = peer.epochs * len(batches)
    while epoch < peer.epochs or (horizon and spent < horizon):
        start = time.perf_counter()
        for step, (x, y) in enumerate(batches, start=1):
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
            done = (spent + time.perf_counter() - start) / horizon if horizon else (epoch * len(batches) + step) / total
            if done >= mark / points:
                spent += time.perf_counter() - start
                seen.append((spent, training.validate(model, test_batches, loss_fn)[1]))
                model.train()
                mark = int(done * points) + 1
                start = time.perf_counter()
            if horizon and done >= 1:
                return seen
        spent += time.perf_counter() - start
        epoch += 1
    return seen


def seconds_to(level: float, seen: list[tuple[float, float]]) -> float:
    """When a line through the points reaches a level of accuracy; nan if it does not."""
    for (before, low), (after, high) in zip([(0.0, 0.1), *seen], seen):
        if low < level <= high:
            return before + (level - low) / (high - low) * (after - before)
    return float("nan")


def flop_per_image(model: nn.Module, epochs: int) -> float:
    """Floating-point operations of an image's forward and backward pass, convolutions and matrix products; mean of the epochs."""
    sides = recipe.small_first(epochs)
    with FlopCounterMode(display=False) as counter:
        for side in [*sides, *[32] * (epochs - len(sides))]:
            model(torch.randn(2, 3, side, side)).sum().backward()
    return counter.get_total_flops() / 2 / epochs


def matrix_flops(dtype: torch.dtype, size: int = 2048, repeats: int = 5) -> float:
    """FLOP/s of a plain matrix product on these cores."""
    a, best = torch.randn(size, size, dtype=dtype), float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def ours(images: data.ImageData, count: int, epochs: int, widths: tuple[int, ...], seeds: int) -> tuple[float, list[float]]:
    """(mean seconds, test accuracies) of runs of lab 08's recipe on a CPU."""
    nothing = (images.train_images[:0], images.train_labels[:0])
    sets = ((images.train_images[:count], images.train_labels[:count]), nothing, (images.test_images, images.test_labels))
    rows = [lab_08.run(sets, epochs, seed, torch.device("cpu"), widths) for seed in range(seeds)]
    return statistics.mean(row[0] for row in rows), [row[2] for row in rows]


PLAN = {  # epochs, widths, as chosen on held-out images: the best for about so many seconds
    "ours, one epoch": (1, (16, 64, 64)),
    "ours, to 80 %": (2, (16, 64, 64)),
    "ours, in the tutorial's time": (4, (48, 112, 128)),
}
LAPTOP = {"ours, laptop": (8, (64, 256, 256))}


def draw(curves: dict[str, list[tuple[float, float]]], points: list[tuple[float, float]], horizon: float, path: Path) -> None:
    """Accuracy against wall time: the peers' curves, and a point for each of our runs."""
    fig, ax = plotting.subplots(size=(8, 5))
    for color, (name, seen) in zip(plotting.PALETTE[1:], curves.items()):
        ax.plot(*zip(*[(seconds, 100 * accuracy) for seconds, accuracy in seen]), "o-", color=color, label=name, markersize=4)
    ax.plot(*zip(*[(seconds, 100 * accuracy) for seconds, accuracy in points]), "s", color=plotting.PALETTE[0], label="lab 08, a run each")
    ax.axvline(horizon, color="0.7", linestyle=":", label="the tutorial's two epochs")
    ax.set(xscale="log", xlabel="wall time of training, s (log scale)", ylabel="test accuracy, %", title="CIFAR-10 on two CPU cores")
    ax.set_xticks(ticks := [10, 30, 100, 300], labels=map(str, ticks))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    fig.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="of our runs")
    parser.add_argument("--laptop", action="store_true", help="also the long run, at most 20 minutes")
    parser.add_argument("--alone", action="store_true", help="ours and the tutorial only")
    parser.add_argument("--figure", type=Path, help="where to draw accuracy against wall time")
    parser.add_argument("--short", action="store_true", help="400 images: does it run?")
    options = parser.parse_args()

    images = data.cifar10()
    count = 400 if options.short else len(images.train_images)
    test = images.test_images[:count], images.test_labels[:count]
    dtypes = [torch.float32, *filter(None, [runtime.half_precision(torch.device("cpu"))])]
    products = ", ".join(f"{matrix_flops(dtype) / 1e9:.0f} GFLOP/s in {str(dtype)[6:]}" for dtype in dtypes)
    print(f"{count:,} images of {images.source}; {os.cpu_count()} CPU cores, {torch.get_num_threads()} torch threads, "
          f"torch {torch.__version__}; a matrix product: {products}\n")

    curves, points = {"tutorial": trace(PEERS["tutorial"], count, test, None)}, []
    horizon = curves["tutorial"][-1][0]
    plan = PLAN | (LAPTOP if options.laptop else {})
    print(f"{'':30}{'seconds':>9}{'test %':>9}  GFLOP an image, GFLOP/s")
    print(f"{'tutorial, two epochs':30}{horizon:9.1f}{100 * curves['tutorial'][-1][1]:9.2f}", flush=True)
    for name, (epochs, widths) in plan.items():
        epochs, widths, seeds = (1, (4, 8, 8), 1) if options.short else (epochs, widths, 1 if name in LAPTOP else options.seeds)
        seconds, accuracies = ours(images, count, epochs, widths, seeds)
        points += [(seconds, accuracy) for accuracy in accuracies]
        flop = flop_per_image(FastNet(widths), epochs)
        spread = f" ± {100 * statistics.stdev(accuracies):.2f}" if seeds > 1 else ""
        print(f"{name:30}{seconds:9.1f}{100 * statistics.mean(accuracies):9.2f}{spread}  {flop / 1e9:.3f}, "
              f"{flop * count * epochs / seconds / 1e9:.0f}; {epochs} epochs of {widths}", flush=True)
    for name, peer in [] if options.alone else list(PEERS.items())[1:]:
        longer = 0 if options.short else peer.longer
        curves[name] = trace(peer, count, test, max(horizon, longer), points=2 if options.short else 8)
        seconds, accuracy = curves[name][-1]
        print(f"{name:30}{seconds:9.1f}{100 * accuracy:9.2f}", flush=True)
    to_55 = seconds_to(0.55, curves["tutorial"])
    print(f"\nThe tutorial is at 55 % after {to_55:.0f} s.")
    if options.figure:
        draw(curves, points, horizon, options.figure)


if __name__ == "__main__":
    main()
