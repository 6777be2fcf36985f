"""One augmented epoch of CIFAR-10's training images, no model: `utils.data.Batches` beside torchvision's pipelines.

    python -m benchmarks.pipeline [--short] [--repeats 5] [--batch-size 500]

The first peer is what the tutorials do: a PIL image at a time through `RandomCrop(32, padding=2)`, `RandomHorizontalFlip`,
`ToTensor` and `Normalize`, in a `DataLoader` with two workers. It gets every advantage that costs the comparison
nothing: its arrays lie in memory, its workers are started and warm before the clock runs (`persistent_workers`). The
second is torchvision's v2 on whole batches of a tensor, where a crop and a flip are drawn for the batch. All pad with
mirrored pixels. `Batches` sets up once; that time is printed apart. All shuffle, and give float32 batches of the same
size, whose mean and standard deviation are printed: they do the same to the images. They run in turn, so that a change
in the machine's pace meets all.
"""

import argparse
import os
import statistics
import time

import torch
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.transforms import v2

from utils.data import MEAN, STD, Batches, CIFAR10Dataset, cifar10


def epoch(batches) -> tuple[float, int]:
    """Seconds for one pass over `batches`, and how many images came."""
    start = time.perf_counter()
    count = sum(len(x) for x, _ in batches)
    return time.perf_counter() - start, count


def peer(count: int, batch_size: int) -> DataLoader:
    """torchvision's per-image pipeline over the first `count` training images."""
    augment = transforms.Compose([
        transforms.RandomCrop(32, padding=2, padding_mode="reflect"),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])
    dataset = CIFAR10Dataset(transform=augment)
    if count < len(dataset):
        dataset = Subset(dataset, range(count))
    return DataLoader(dataset, batch_size, shuffle=True, num_workers=2, persistent_workers=True)


class WholeBatches:
    """torchvision's v2 on the whole batches of a tensor."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, batch_size: int):
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.augment = v2.Compose([
            v2.RandomCrop(32, padding=2, padding_mode="reflect"), v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD),
        ])  # fmt: skip

    def __iter__(self):
        for rows in torch.randperm(len(self.images)).split(self.batch_size):
            yield self.augment(self.images[rows]), self.labels[rows]


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
    images, labels = data.train_images[:count], data.train_labels[:count]
    pipelines = {"PIL, 2 workers": peer(count, options.batch_size),
                 "v2 on batches": WholeBatches(images, labels, options.batch_size), "utils.data.Batches": ours}  # fmt: skip

    seconds = {name: [] for name in pipelines}
    for repeat in range(-1, repeats):  # the first round only warms up
        for name, batches in pipelines.items():
            took, came = epoch(batches)
            assert came == count, f"{name} gave {came} images of {count}"
            if repeat >= 0:
                seconds[name].append(took)

    print(f"\n{'':24}{'median s':>10}{'best s':>10}{'worst s':>10}{'images/s (median)':>20}{'mean':>8}{'std':>8}")
    for name, times in seconds.items():
        middle = statistics.median(times)
        pixels = torch.cat([x for x, _ in pipelines[name]])
        print(f"{name:24}{middle:10.3f}{min(times):10.3f}{max(times):10.3f}{count / middle:20,.0f}{pixels.mean():8.3f}{pixels.std():8.3f}")
    *peers, mine = seconds
    for name in peers:
        ratios = [theirs / own for theirs, own in zip(seconds[name], seconds[mine])]
        print(f"\nBatches is {statistics.median(ratios):.1f} times as fast as {name} (median of {repeats} rounds; "
              f"lowest {min(ratios):.1f}, highest {max(ratios):.1f})")


if __name__ == "__main__":
    main()
