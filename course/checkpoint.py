"""Trains the small network that ships with the course (`utils.pretrained.cifar10_network`, lab 10) and writes its files.

`python -m course checkpoint` makes `utils/weights/small_cnn_cifar10.safetensors` and, beside it, `README.md` with its
facts. Nothing was tuned on the test images: they are looked at once, after the last epoch.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from utils import data, runtime, training
from utils.callbacks import Metrics, Progress, Schedule
from utils.models import SmallCNN
from utils.pretrained import CIFAR10_WEIGHTS, CIFAR10_WIDTHS
from utils.recipe import one_cycle

EPOCHS = 36  # an even number: `Batches` mirrors an image in every other epoch
SEED = 0
LOWEST = 0.80  # validation accuracy below which nothing is written


class CheckpointError(RuntimeError):
    """The network is not made, or not kept. The message says why."""


def make(out: Path | None = None, short: bool = False, say: Callable = print) -> dict:
    """Train, measure, and write both files.

    Args:
        out: the folder to write to; by default the one that ships with the course.
        short: 2,000 images, one epoch, any data and any accuracy: does it run? Needs `out`.
        say: called with each line of progress that is not the epochs' own.
    Returns:
        the facts that are written.
    Raises:
        CheckpointError: the data is the stand-in, the accuracy too low, or `out` is missing.
    """
    if short and out is None:
        raise CheckpointError("--short needs --out: its network must not take the shipped one's place.")
    images = data.cifar10()
    if images.source != "CIFAR-10" and not short:
        raise CheckpointError(f"The data is the {images.source}, and the shipped network is one of CIFAR-10's "
                              f"photographs. Put them into the data folder (LABS_DATA), or try --short.")
    training_set, validation_set = data.split(images.train_images, images.train_labels,
                                              holdout=len(images.train_images) // 10)
    if short:
        training_set, validation_set = (tuple(part[:2000] for part in s) for s in (training_set, validation_set))
    epochs = 1 if short else EPOCHS
    device = runtime.device()
    say(f"{images.source}: {len(training_set[1]):,} training and {len(validation_set[1]):,} validation images, "
        f"epochs: {epochs}; {device}, {torch.get_num_threads()} threads."
        + ("" if short else " About 9 minutes on two idle CPU cores."))
    start = time.perf_counter()
    model, validation_accuracy = train(training_set, validation_set, epochs, device)
    seconds = time.perf_counter() - start
    if validation_accuracy < LOWEST and not short:
        raise CheckpointError(f"{validation_accuracy:.1%} of the validation images are right, and a network under "
                              f"{LOWEST:.0%} is not worth shipping: nothing was written.")
    test = data.Batches(images.test_images, images.test_labels, device=device)
    facts = {
        "architecture": type(model).__name__,
        "widths": CIFAR10_WIDTHS,
        "classes": images.classes,
        "mean": data.MEAN,
        "std": data.STD,
        "test_accuracy": round(training.validate(model, test, nn.CrossEntropyLoss())[1], 4),
        "validation_accuracy": round(validation_accuracy, 4),
        "data": images.source,
        "data_sha256": sha256_of_arrays(images),
        "seed": SEED,
        "epochs": epochs,
        "torch": torch.__version__,
        "device": f"{device.type}, {torch.get_num_threads()} threads",
        "seconds": round(seconds),
    }
    write(model, facts, CIFAR10_WEIGHTS.parent if out is None else out)
    say(f"Validation {facts['validation_accuracy']:.2%}, test {facts['test_accuracy']:.2%}, {seconds:.0f} s.")
    return facts


def train(training_set: tuple, validation_set: tuple, epochs: int, device: torch.device) -> tuple[SmallCNN, float]:
    """Nesterov SGD with one cycle of the rate, on augmented images.

    The labels are hardly smoothed: lab 10 looks at gradients of the logits, which are clearer for a confident network.

    Args:
        training_set, validation_set: (images uint8, labels).
    Returns:
        (the network of the last epoch, its accuracy on the validation images).
    """
    runtime.seed_everything(SEED)
    model = SmallCNN(widths=CIFAR10_WIDTHS).to(device, memory_format=torch.channels_last)
    batches = data.Batches(*training_set, batch_size=250, shuffle=True, augment=True, seed=SEED, device=device)
    validation = data.Batches(*validation_set, device=device)
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.02)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = epochs * len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, steps, end=0.0))
    callbacks = [Metrics(accuracy=training.accuracy), Schedule(schedule), Progress()]
    history = training.Learner(model, batches, validation, loss_fn, optimizer, callbacks).fit(epochs)
    return model, history["val_accuracy"][-1]


def sha256_of_arrays(images: data.ImageData) -> str:
    """Hash of the bytes of the four tensors, in the order of `data.ARRAYS`: says which data it was."""
    digest = hashlib.sha256()
    for name in data.ARRAYS:
        digest.update(getattr(images, name).contiguous().numpy())
    return digest.hexdigest()


def write(model: SmallCNN, facts: dict, folder: Path) -> None:
    """Both files; each is there whole or as it was before."""
    state = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    weights = save(state, {name: json.dumps(value) for name, value in facts.items()})
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((CIFAR10_WEIGHTS.name, weights), ("README.md", readme(facts, weights).encode())):
        partial = folder / f".{name}.part"
        try:
            partial.write_bytes(content)
            os.replace(partial, folder / name)
        finally:
            partial.unlink(missing_ok=True)


def readme(facts: dict, weights: bytes) -> str:
    """What is to be known about the file of weights, as Markdown."""
    widths = ", ".join(map(str, facts["widths"]))
    rows = {
        "test accuracy": f"{facts['test_accuracy']:.2%}, looked at once",
        "validation accuracy": f"{facts['validation_accuracy']:.2%}",
        "network": f"`utils.models.{facts['architecture']}(widths=({widths}))`, float32, last epoch",
        "classes": ", ".join(facts["classes"]),
        "input": "RGB, 32 × 32, pixels from 0 to 1, then (x − mean) / std: `utils.data.normalize`",
        "mean, std": " and ".join(", ".join(map(str, facts[name])) for name in ("mean", "std")),
        "data": facts["data"],
        "data, SHA-256": f"`{facts['data_sha256']}` (`course.checkpoint.sha256_of_arrays`)",
        "seed, epochs": f"{facts['seed']}, {facts['epochs']}",
        "torch, device": f"{facts['torch']}, {facts['device']}",
        "training time": f"{facts['seconds']} s, whatever else the machine did",
        "file": f"{len(weights):,} bytes, SHA-256 `{hashlib.sha256(weights).hexdigest()}`",
        "licence": "MIT, as the course",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (f"# {CIFAR10_WEIGHTS.name}\n\nA small network trained on CIFAR-10; `utils.pretrained.cifar10_network()` "
            f"loads it.\n\n| | |\n| --- | --- |\n{table}\n\nMade by `python -m course checkpoint`, which writes this "
            f"page too. Made again, it is as good but not the same to the bit\non another machine, number of threads "
            f"or version of torch.\n")
