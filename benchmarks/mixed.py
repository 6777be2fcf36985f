"""Lab 11's claim: the joint model of image and table against each branch alone, and against the sum of their logits.

    python -m benchmarks.mixed [--short] [--seeds 3] [--epochs 10]

The parcels of `utils.parcels` and the models of `utils.mixed`, with the lab's training (AdamW, one cycle up to 1e-2,
batches of 64, digits shifted by up to 2 pixels). Everything was chosen on the validation parcels; the test parcels are
measured once a run, after its last epoch. The seconds are those of the training alone.
"""

import argparse
import os
import statistics
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from utils import data, mixed, training
from utils.callbacks import Metrics, Schedule
from utils.parcels import CATEGORIES, MIN_COUNT, ROUTES, logarithms, parcels

BLACK = -data.MNIST_MEAN / data.MNIST_STD


class Prepared:
    """Datasets of the three splits; everything fitted on the training parcels.

    Args:
        flags: keep the indicators of missing values; without them these are the mean and nothing says so.
    """

    def __init__(self, flags: bool = True):
        splits = parcels()
        scaler = mixed.Scaler().fit(logarithms(splits[0].numbers))
        vocabularies = [mixed.Vocabulary(splits[0].categories[name], least) for name, least in zip(CATEGORIES, MIN_COUNT)]
        self.levels = [len(vocabulary) for vocabulary in vocabularies]
        kept = torch.tensor([1.0, 1.0, flags, flags])

        def dataset(some, transform=None):
            images = data.normalize(some.images, (data.MNIST_MEAN,), (data.MNIST_STD,))
            codes = torch.stack([encode(some.categories[name]) for encode, name in zip(vocabularies, CATEGORIES)], dim=1)
            return mixed.MixedDataset(images, codes, scaler(logarithms(some.numbers)) * kept, some.routes, transform)

        self.train = dataset(splits[0], v2.RandomCrop(28, padding=2, fill=BLACK))
        self.val, self.test = dataset(splits[1]), dataset(splits[2])


class Sum(nn.Module):
    """The sum of two models' logits."""

    def __init__(self, image: nn.Module, table: nn.Module):
        super().__init__()
        self.image, self.table = image, table

    def forward(self, x):
        return self.image(x) + self.table(x)


def model_of(name: str, levels: list[int]) -> nn.Module:
    """"image", "table", "sum" or "joint"."""
    image, table = mixed.ImageBranch(64), mixed.TableBranch(levels, [4, 2, 4], 4, 32)
    if name == "joint":
        return mixed.JointModel(image, table, 64 + 32, 128, len(ROUTES))
    alone = {
        part: nn.Sequential(branch, nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, len(ROUTES)))
        for part, branch, width in (("image", image, 64), ("table", table, 32))
    }
    return Sum(**alone) if name == "sum" else alone[name]


def run(name: str, prepared: Prepared, epochs: int, seed: int) -> tuple[float, float, float]:
    """(seconds, validation accuracy, test accuracy)."""
    torch.manual_seed(seed)
    model = model_of(name, prepared.levels)
    batches = DataLoader(prepared.train, 64, shuffle=True, generator=torch.Generator().manual_seed(seed))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=epochs * len(batches))
    learner = training.Learner(model, batches, None, nn.CrossEntropyLoss(), optimizer, [Metrics(), Schedule(schedule)])
    start = time.perf_counter()
    learner.fit(epochs)
    seconds = time.perf_counter() - start
    accuracies = (training.validate(model, DataLoader(part, 500), nn.CrossEntropyLoss())[1] for part in (prepared.val, prepared.test))
    return seconds, *accuracies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one epoch, one seed: does it run?")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    epochs, seeds = (1, 1) if options.short else (options.epochs, options.seeds)

    print(f"3,000 parcels, {epochs} epochs, {seeds} seeds; {os.cpu_count()} CPU cores, "
          f"{torch.get_num_threads()} torch threads, torch {torch.__version__}\n")
    print(f"{'':28}seconds  validation %   test %")
    with_flags, without = Prepared(), Prepared(flags=False)
    rows = {"image alone": ("image", with_flags), "table alone": ("table", with_flags),
            "table alone, no flags": ("table", without), "sum of logits": ("sum", with_flags),
            "joint": ("joint", with_flags)}
    test = {}
    for title, (name, prepared) in rows.items():
        runs = [run(name, prepared, epochs, seed) for seed in range(seeds)]
        seconds, val, test[title] = zip(*runs)
        shown = (f"{100 * statistics.mean(v):6.1f} ± {100 * (statistics.stdev(v) if seeds > 1 else 0):.1f}" for v in (val, test[title]))
        print(f"{title:28}{statistics.mean(seconds):7.1f}  {'  '.join(shown)}", flush=True)
    gaps = [joint - max(image, table) for joint, image, table in zip(test["joint"], test["image alone"], test["table alone"])]
    print(f"\njoint − best branch alone, test, seed by seed: {', '.join(f'{100 * gap:+.1f}' for gap in gaps)} points")


if __name__ == "__main__":
    main()
