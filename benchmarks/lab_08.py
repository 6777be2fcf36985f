"""Wall time and accuracy of lab 08's recipe: `FastNet` trained for the quick schedule and, if asked, the full-size one.

    python -m benchmarks.lab_08 [--full] [--seeds 3] [--epochs N …] [--widths 16,64,64] [--train-on-all]
                                [--without [PART …]] [--float32] [--short]

The data is whatever `utils.data.cifar10()` gives; the first line says which. As in the lab, a tenth of the training
images is held out for validation; the recipe was chosen on it alone. The test set is measured once a run, after the
last epoch, with no test-time augmentation. `--train-on-all` trains on all 50,000 images and has no validation column:
that is how others count, and what an epoch means in the figures of the literature. `--without` leaves out one part of
the recipe after the other. 16-bit floats are used where they are faster, unless told `--float32`.

Asked of CIFAR-10 on two CPU cores: quick at least 76 %, full at least 84 % on the test set.
"""

import argparse
import statistics
import time

import torch

from utils import data, recipe, runtime, training
from utils.callbacks import MixedPrecision, Schedule
from utils.models import FastNet

QUICK, FULL = 100_000, 550_000  # image presentations, as in the lab
QUICK_WIDTHS, FULL_WIDTHS = (16, 64, 64), (64, 256, 256)
PARTS = ("small images first", "whitening", "augmentation", "Muon", "label smoothing", "schedule")


def run(sets: tuple, epochs: int, seed: int, device: torch.device, widths: tuple[int, ...] = QUICK_WIDTHS,
        without: str = "", half: bool = True) -> tuple[float, float, float]:
    """Train once.

    Args:
        sets: (images, labels) for training, for validation (may be empty) and for the test.
        without: one of `PARTS`, which is left out.
        half: in 16-bit floats where they are faster.
    Returns:
        (seconds from the images in memory to the trained network, validation accuracy, test accuracy).
    """
    (images, labels), validation, test = sets
    runtime.keep_freed_memory()
    start = time.perf_counter()
    runtime.seed_everything(seed)
    sides = recipe.small_first(epochs) if without != "small images first" else ()
    batches = data.Batches(images, labels, 500, shuffle=True, augment=without != "augmentation", seed=seed, device=device, sides=sides)
    model = FastNet(widths)
    if without != "whitening":
        model.whiten(data.normalize(images[:2000]))
    model.to(device, memory_format=torch.channels_last)
    changed = {"label smoothing": {"label_smoothing": 0.0}, "schedule": {"schedule": lambda step, total: 0.5}}.get(without, {})
    rate = 0.18 if epochs * len(images) <= QUICK else 0.1  # of the convolutions
    loss_fn, optimizer, scheduler = recipe.fast_recipe(model, epochs * len(batches), rate, **changed)
    if without == "Muon":  # the convolutions' settings before there was Muon
        old = {"orthogonal": False, "initial_lr": 0.4, "momentum": 0.85, "weight_decay": 0.00125}
        optimizer.param_groups[0].update(old)
        scheduler.base_lrs[0] = 0.4
    callbacks = [Schedule(scheduler)]
    if half and (dtype := runtime.half_precision(device)):
        callbacks.append(MixedPrecision(dtype))
    training.Learner(model, batches, None, loss_fn, optimizer, callbacks).fit(epochs)
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start

    def accuracy(images, labels) -> float:
        if not len(labels):
            return float("nan")
        return training.validate(model, data.Batches(images, labels, device=device), loss_fn)[1]

    return seconds, accuracy(*validation), accuracy(*test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="also the full-size run, one seed")
    parser.add_argument("--seeds", type=int, default=3, help="of all runs but the full-size one")
    parser.add_argument("--epochs", type=int, nargs="*", help="these numbers of epochs in place of the quick run")
    parser.add_argument("--widths", default=",".join(map(str, QUICK_WIDTHS)), help="of all runs but the full-size one")
    parser.add_argument("--train-on-all", action="store_true", help="hold nothing out")
    parser.add_argument("--without", nargs="*", choices=PARTS, metavar="PART",
                        help=f"the same again without one part after the other: {', '.join(PARTS)}; or without these alone")
    parser.add_argument("--float32", action="store_true", help="no 16-bit floats")
    parser.add_argument("--short", action="store_true", help="2,000 images, one epoch, one seed: does it run?")
    args = parser.parse_args()

    images, device = data.cifar10(), runtime.device()
    holdout = 0 if args.train_on_all else len(images.train_images) // 10
    held_in, held_out = data.split(images.train_images, images.train_labels, holdout=holdout)
    sets = (held_in, held_out, (images.test_images, images.test_labels))
    widths = tuple(map(int, args.widths.split(",")))
    quick = round(QUICK / len(held_in[1]))
    parts = PARTS if args.without == [] else args.without or ()
    plan = [(epochs, seed, widths, part) for epochs in args.epochs or [quick] for part in ("", *parts) for seed in range(args.seeds)]
    if args.full:
        plan.append((round(FULL / len(held_in[1])), 0, FULL_WIDTHS, ""))
    if args.short:
        sets, plan = tuple((x[:2000], y[:2000]) for x, y in sets), [(1, 0, (4, 8, 8), part) for part in ("", "Muon")]

    print(f"{images.source}: {len(sets[0][1]):,} training, {len(sets[1][1]):,} validation, {len(sets[2][1]):,} test images; "
          f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
          f"{torch.float32 if args.float32 else runtime.half_precision(device) or torch.float32}")
    print("epochs  seed  seconds  validation %  test %  widths         without")
    results = {}
    for epochs, seed, widths, part in plan:
        seconds, validation, test = run(sets, epochs, seed, device, widths, part, not args.float32)
        results.setdefault((epochs, widths, part), []).append((seconds, validation, test))
        print(f"{epochs:6}  {seed:4}  {seconds:7.1f}  {100 * validation:12.1f}  {100 * test:6.1f}  {widths!s:14} {part}", flush=True)
    for (epochs, _, part), rows in results.items():
        if len(rows) > 1:
            seconds, validation, test = zip(*rows)
            print(f"{epochs} epochs, {len(rows)} seeds{f', without {part}' if part else ''}: {statistics.mean(seconds):.1f} s, "
                  f"validation {100 * statistics.mean(validation):.1f} ± {100 * statistics.stdev(validation):.1f} %, "
                  f"test {100 * statistics.mean(test):.1f} ± {100 * statistics.stdev(test):.1f} %")


if __name__ == "__main__":
    main()
