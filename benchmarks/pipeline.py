"""One augmented epoch of CIFAR-10's training images, no model: `utils.data.Batches` beside torchvision's pipeline.

    python -m benchmarks.pipeline [--short] [--repeats 5] [--batch-size 500]

The peer is what the tutorials do: a PIL image at a time through `RandomCrop(32, padding=2)`, `RandomHorizontalFlip`,
`ToTensor` and `Normalize`, in a `DataLoader` with two workers. It gets every advantage that costs the comparison
nothing: its arrays lie in memory, its workers are started and warm before the clock runs (`persistent_workers`), and
it pads with zeros, which is faster for it than the mirrored pixels that `Batches` pads with. `Batches` sets up once,
too; that time is printed apart. Both shuffle, and give float32 batches of the same size. They run in turn, so that
a change in the machine's pace meets both.
"""

import argparse
import os
import statistics
import time

import torch
from torch.utils.data import DataLoader, Subset
from torchvision import transforms

from utils.data import MEAN, STD, Batches, CIFAR10Dataset, cifar10


def epoch(batches) -> tuple[float, int]:
    """Seconds for one pass over `batches`, and how many images came."""
    start = time.perf_counter()
    count = sum(len(x) for x, _ in batches)
    return time.perf_counter() - start, count


def peer(count: int, batch_size: int) -> DataLoader:
    """torchvision's per-image pipeline over the first `count` training images."""
    augment = transforms.Compose([
        transforms.RandomCrop(32, padding=2),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])
    dataset = CIFAR10Dataset(transform=augment)
    if count < len(dataset):
        dataset = Subset(dataset, range(count))
    return DataLoader(dataset, batch_size, shuffle=True, num_workers=2, persistent_workers=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="4,000 images, two repeats: does it run?")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=500)
    options = parser.parse_args()
    repeats = 2 if options.short else options.repeats

    data = cifar10()
    count = min(4_000 if options.short else 50_000, len(data.train_images))
    print(f"{count:,} images of {data.source}, batches of {options.batch_size}; {os.cpu_count()} CPU cores, "
          f"{torch.get_num_threads()} torch threads, torch {torch.__version__}")

    start = time.perf_counter()
    ours = Batches(data.train_images[:count], data.train_labels[:count], options.batch_size, shuffle=True, augment=True)
    print(f"Batches is set up in {time.perf_counter() - start:.2f} s")
    pipelines = {"torchvision, 2 workers": peer(count, options.batch_size), "utils.data.Batches": ours}

    seconds = {name: [] for name in pipelines}
    for repeat in range(-1, repeats):  # the first round only warms up
        for name, batches in pipelines.items():
            took, came = epoch(batches)
            assert came == count, f"{name} gave {came} images of {count}"
            if repeat >= 0:
                seconds[name].append(took)

    print(f"\n{'':24}{'median s':>10}{'best s':>10}{'worst s':>10}{'images/s (median)':>20}")
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"{name:24}{middle:10.3f}{min(times):10.3f}{max(times):10.3f}{count / middle:20,.0f}")
    ratios = [theirs / mine for theirs, mine in zip(*seconds.values())]
    print(f"\nBatches is {statistics.median(ratios):.1f} times as fast (median of {repeats} pairs; "
          f"lowest {min(ratios):.1f}, highest {max(ratios):.1f})")


if __name__ == "__main__":
    main()
