"""Do models rank on the drawn stand-in as they do on CIFAR-10?

    python -m benchmarks.standin_ranks [--seeds 3] [--columns both] [--real-images 10000] [--short]

Trains a linear model, an MLP, a small CNN (`FastNet`, lab 08's) and the same CNN with augmentation, each from `--seeds`
starts, for 100,000 image presentations (lab 08's quick schedule), on the stand-in's 10,000 drawings and on as many real
images where the data folder has them (`LABS_DATA`; nothing is downloaded). Prints accuracy on the test images, which
serve for nothing else, as mean ± standard deviation over the starts, and the step from each model to the next.

Asked of the stand-in: each step at least 3 points, the last model between 70 and 92 %.
"""

import argparse
import statistics

import torch
from torch import nn
from tqdm.auto import tqdm

from utils import data, models, recipe, standin, training

# name: (model, augmentation, learning rate, seconds for 100,000 presentations on two idle cores); the network's rate is
# the recipe's own, the other two are within half a point of the best of three tried on each kind of image
MODELS = {
    "linear": (models.linear, False, 0.01, 3),
    "MLP": (models.mlp, False, 0.1, 4),
    "small CNN": (models.FastNet, False, None, 40),
    "+ augmentation": (models.FastNet, True, None, 40),
}
STEP, LOWEST, HIGHEST = 3.0, 70.0, 92.0  # points, %, %
SHORT = (2000, 10_000)  # training images, presentations


def stand_in(train: int, test: int) -> tuple[torch.Tensor, ...]:
    """The stand-in's images uint8 (N, 3, 32, 32) and labels: training, then test."""
    arrays = [*standin.images("train", train), *standin.images("test", test)]
    return tuple(torch.from_numpy(a).permute(0, 3, 1, 2) if a.ndim == 4 else torch.from_numpy(a) for a in arrays)


def real(train: int) -> tuple[torch.Tensor, ...] | None:
    """The first `train` training images and all test images of CIFAR-10; None where they are not on this machine."""
    if not (data.data_folder() / "cifar10.npz").exists():
        return None
    images = data.cifar10()
    return images.train_images[:train], images.train_labels[:train], images.test_images, images.test_labels


def accuracy(name: str, images: tuple[torch.Tensor, ...], presentations: int, seed: int,
             batch_size: int = 250) -> float:
    """Train one model once; its accuracy on the test images in %."""
    make, augment, lr, _ = MODELS[name]
    x, y, x_test, y_test = images
    torch.manual_seed(seed)
    batches = data.Batches(x, y, batch_size, shuffle=True, augment=augment, seed=seed)
    epochs = max(1, presentations // len(y))
    steps = epochs * len(batches)
    model = make().to(memory_format=torch.channels_last)
    if isinstance(model, models.FastNet):
        model.whiten(data.normalize(x[:2000]))
        loss_fn, optimizer, schedule = recipe.fast_recipe(model, steps)
    else:
        loss_fn = nn.CrossEntropyLoss(label_smoothing=0.2)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.85, nesterov=True, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: recipe.one_cycle(step, steps))
    for _ in range(epochs):
        training.train(model, batches, loss_fn, optimizer, schedule)
    return 100 * training.validate(model, data.Batches(x_test, y_test), loss_fn)[1]


def column(title: str, images: tuple[torch.Tensor, ...], presentations: int, seeds: int) -> dict[str, list[float]]:
    """{model: accuracies in %, one a seed}."""
    runs = [(name, seed) for name in MODELS for seed in range(seeds)]
    results = {name: [] for name in MODELS}
    for name, seed in tqdm(runs, desc=title, unit="run"):
        results[name].append(accuracy(name, images, presentations, seed))
    return results


def table(columns: dict[str, dict[str, list[float]]]) -> str:
    """Markdown: a row a model, and in each column mean ± sd (step from the row above)."""
    lines = ["| model | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    names = list(MODELS)
    for above, name in zip([None, *names], names):
        cells = []
        for results in columns.values():
            values = results[name]
            mean = statistics.mean(values)
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            step = f" ({mean - statistics.mean(results[above]):+.1f})" if above else ""
            cells.append(f"{mean:.1f}{spread}{step}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def teaches_the_lesson(results: dict[str, list[float]]) -> bool:
    """Whether each model is `STEP` points better than the one before, and the last within bounds."""
    means = [statistics.mean(values) for values in results.values()]
    return all(b - a >= STEP for a, b in zip(means, means[1:])) and LOWEST <= means[-1] <= HIGHEST


def main(arguments: list[str] | None = None) -> dict[str, dict[str, list[float]]]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.standin_ranks", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="starts of each model (3)")
    parser.add_argument("--columns", choices=("both", "stand-in", "real"), default="both")
    parser.add_argument("--real-images", type=int, default=10_000, metavar="N",
                        help="how many real training images, up to 50,000; always as many presentations (10,000)")
    parser.add_argument("--short", action="store_true", help="fewer images, one start: only to see that it runs")
    options = parser.parse_args(arguments)
    size, presentations = SHORT if options.short else (10_000, 100_000)
    seeds = 1 if options.short else options.seeds

    columns = {}
    drawn = options.columns in ("both", "stand-in")
    photographs = real(size if options.short else options.real_images) if options.columns != "stand-in" else None
    if options.columns != "stand-in" and photographs is None:
        print(f"No column of real images: {data.data_folder()} has no cifar10.npz (LABS_DATA says where to look).")
    count = seeds * (drawn + (photographs is not None))
    seconds = count * presentations / 100_000 * sum(cost for *_, cost in MODELS.values())
    print(f"This takes about {seconds / 60:.1f} minutes on two idle cores.", flush=True)
    if drawn:
        columns[f"stand-in, {size:,}"] = column("stand-in", stand_in(size, 500 if options.short else 2000),
                                                presentations, seeds)
    if photographs is not None:
        columns[f"CIFAR-10, {len(photographs[1]):,}"] = column("CIFAR-10", photographs, presentations, seeds)
    if columns:
        print(f"\nTest accuracy in % after {presentations:,} image presentations, {seeds} start(s):\n")
        print(table(columns))
    if drawn and not options.short:
        verdict = "yes" if teaches_the_lesson(next(iter(columns.values()))) else "NO"
        print(f"\nEach step on the stand-in at least {STEP:g} points, the last from {LOWEST:g} to {HIGHEST:g} %: {verdict}")
    return columns


if __name__ == "__main__":
    main()
