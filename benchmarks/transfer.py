"""Lab 09: frozen features, fine-tuning, from scratch; on the photographs of ants and bees, and on the drawn stand-in.

    python -m benchmarks.transfer [--seeds 3] [--per-class 4,16,64] [--offline] [--short]

A seed draws which images are trained on. With all of them, a fifth of the training images is held out to choose the
epoch; with few, the number of steps is fixed. The validation images choose nothing: each run is measured on them once, after
its end. Mean ± standard deviation over the seeds; beside it the 95 % interval (Wilson) that the number of validation
images alone gives.
"""

import argparse
import copy
import math
import os
import statistics
import time
from typing import NamedTuple

import torch

from utils import transfer
from utils.callbacks import EarlyStopping
from utils.pretrained import ImageNetNetwork, imagenet_network
from utils.training import predict

SCRATCH_SIZE = 64
SCRATCH_STEPS, TUNED_STEPS = 300, 26  # of batches of 16
MARGIN = 10.0  # points by which frozen features must beat scratch on the stand-in, few images a class


class Task(NamedTuple):
    """Pictures in memory, a network without its output layer's task, and the features of both parts."""

    network: ImageNetNetwork
    images: torch.Tensor  # uint8 (N, 3, 224, 224)
    labels: torch.Tensor
    val_images: torch.Tensor
    val_labels: torch.Tensor
    features: torch.Tensor  # (N, D)
    val_features: torch.Tensor
    seconds: float  # for the features


def prepare() -> Task:
    """Read the pictures that are there and compute the features once."""
    from utils import data

    folder, network = data.ants_and_bees(), imagenet_network()
    images, labels, _ = transfer.load_pictures(folder / "train", network.size)
    val_images, val_labels, _ = transfer.load_pictures(folder / "val", network.size)
    transfer.new_head(network.model.to(memory_format=torch.channels_last), network.head, 2)
    start = time.perf_counter()
    features, val_features = (transfer.extract_features(network.model, network.head, transfer.PictureBatches(
        x, y, network.size, network.mean, network.std))[0] for x, y in ((images, labels), (val_images, val_labels)))
    return Task(network, images, labels, val_images, val_labels, features, val_features, time.perf_counter() - start)


def few(labels: torch.Tensor, per_class: int, seed: int) -> torch.Tensor:
    """Rows of `per_class` images of each class, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    rows = [(labels == c).nonzero().flatten() for c in labels.unique()]
    return torch.cat([r[torch.randperm(len(r), generator=generator)[:per_class]] for r in rows])


def accuracy(logits: torch.Tensor, task: Task) -> float:
    return 100 * (logits.argmax(dim=1) == task.val_labels).float().mean().item()


def frozen(task: Task, rows: torch.Tensor, seed: int) -> tuple[float, torch.nn.Linear]:
    layer = transfer.train_head(task.features[rows], task.labels[rows], seed=seed)
    with torch.no_grad():
        return accuracy(layer(task.val_features), task), layer


def batches(task: Task, rows: torch.Tensor | None, size: int, augment: bool, seed: int = 0) -> transfer.PictureBatches:
    """Batches of 16 of these training images, or of the validation images where `rows` is None."""
    x, y = (task.val_images, task.val_labels) if rows is None else (task.images[rows], task.labels[rows])
    return transfer.PictureBatches(x, y, size, task.network.mean, task.network.std, 16, augment, seed)


def tuned(task: Task, rows: torch.Tensor, held: torch.Tensor | None, seed: int) -> float:
    """Fine-tuned from the head of `frozen`; the epoch is chosen on `held`, where there is one."""
    model = copy.deepcopy(task.network.model)
    setattr(model, task.network.head, frozen(task, rows, seed)[1])
    learning = batches(task, rows, task.network.size, True, seed)
    stopping = None if held is None else batches(task, held, task.network.size, False)
    callbacks = [] if held is None else [EarlyStopping(patience=2, metric="val_loss")]
    torch.manual_seed(seed)
    transfer.fine_tune(model, learning, stopping, math.ceil(TUNED_STEPS / len(learning)), callbacks=callbacks)
    return accuracy(predict(model, batches(task, None, task.network.size, False)), task)


def scratch(task: Task, rows: torch.Tensor, seed: int) -> float:
    learning = batches(task, rows, SCRATCH_SIZE, True, seed)
    model = transfer.from_scratch(learning, math.ceil(SCRATCH_STEPS / len(learning)), seed)
    return accuracy(predict(model, batches(task, None, SCRATCH_SIZE, False)), task)


def measure(task: Task, per_class: int | None, seeds: int, with_tuning: bool) -> dict[str, list[float]]:
    """{way: accuracies in %, one a seed} with so many images a class; with None, all but the held-out fifth."""
    results = {"frozen, cached features": [], "fine-tuned": [], "from scratch": []}
    for seed in range(seeds):
        rows, held = transfer.split_off(task.labels, 0.2, seed) if per_class is None else (few(task.labels, per_class, seed), None)
        results["frozen, cached features"].append(frozen(task, rows, seed)[0])
        if with_tuning:
            results["fine-tuned"].append(tuned(task, rows, held, seed))
        results["from scratch"].append(scratch(task, rows, seed))
    return {way: values for way, values in results.items() if values}


def row(name: str, results: dict[str, list[float]], n: int) -> str:
    """A row of the table: mean ± sd (interval)."""
    cells = []
    for values in results.values():
        mean = statistics.mean(values)
        low, high = transfer.wilson(round(mean / 100 * n), n)
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        cells.append(f"{mean:.1f}{spread} ({100 * low:.0f} to {100 * high:.0f})")
    return f"| {name} | " + " | ".join(cells) + " |"


def margin(results: dict[str, list[float]]) -> float:
    """Points by which frozen features beat training from scratch, mean over the seeds."""
    return statistics.mean(results["frozen, cached features"]) - statistics.mean(results["from scratch"])


def main(arguments: list[str] | None = None) -> dict[str, dict[str, list[float]]]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transfer", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--per-class", default="4,16,64", metavar="K,K", help="few images a class (4,16,64)")
    parser.add_argument("--offline", action="store_true", help="the drawn stand-in, as with LABS_OFFLINE=1")
    parser.add_argument("--short", action="store_true", help="four images a class, one seed, no fine-tuning: only to see that it runs")
    options = parser.parse_args(arguments)
    if options.offline:
        os.environ["LABS_OFFLINE"] = "1"
    seeds = 1 if options.short else options.seeds
    task = prepare()
    n, count = len(task.val_labels), len(task.labels)
    source = "ants and bees, photographs" if count > 100 else "stand-in, drawn ants and bees"
    print(f"{source}: {count} to train, {n} to validate; {task.network.source}")
    print(f"features of {count + n} images: {task.seconds:.1f} s", flush=True)
    sizes = [4] if options.short else [k for k in map(int, options.per_class.split(",")) if k <= min(task.labels.bincount())]
    start = time.perf_counter()
    frozen(task, torch.arange(count), 0)
    print(f"the head on all of them: {time.perf_counter() - start:.2f} s")
    tables = {f"{k} a class": measure(task, k, seeds, not options.short) for k in sizes}
    if not options.short:
        tables["four fifths of all"] = measure(task, None, seeds, True)
    ways = list(next(iter(tables.values())))
    print(f"\nValidation accuracy in %, {seeds} seed(s):\n")
    print("| training images | " + " | ".join(ways) + " |\n| --- |" + " ---: |" * len(ways))
    for name, results in tables.items():
        print(row(name, results, n))
    for name, results in tables.items():
        print(f"{name}: frozen features lead by {margin(results):.1f} points")
    return tables


if __name__ == "__main__":
    main()
