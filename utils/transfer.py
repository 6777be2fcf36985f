"""What lab 09 builds: a trained network takes up another task. Its pictures, the new output layer, cached features,
rates that grow with depth, the intervals of an accuracy, and a file for later use."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from . import data, models
from .callbacks import Device, Metrics, Schedule
from .events import Callback
from .pictures import picture_folder
from .pretrained import fill
from .recipe import one_cycle
from .training import Learner, accuracy, evaluating, train

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


# ------------------------------------------------------------------------------------------ pictures and batches


def preprocess(picture: Image.Image, size: int, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """A picture as a network wants it: its middle square, `size` pixels a side, normalized (lab 09).

    The shorter side is brought to size / 0.875 pixels (256 for 224), the middle is cut out.

    Args:
        picture: RGB, of any size (`utils.pictures.open_picture`).
        mean, std: of the weights' own training; three numbers each, for pixels from 0 to 1.
    Returns:
        float32 (3, size, size).
    """
    steps = [square(size), v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))]
    return v2.Compose(steps)(picture).as_subclass(torch.Tensor)


def square(size: int) -> v2.Transform:
    """The first half of `preprocess`: PIL picture → uint8 (3, size, size)."""
    return v2.Compose([v2.ToImage(), v2.Resize(round(size / 0.875), antialias=True), v2.CenterCrop(size)])


def load_pictures(folder: str | Path, size: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """All pictures of a folder of classes, each decoded and cut to its middle square once.

    Returns:
        images uint8 (N, 3, size, size), labels int64 (N,), the names of the classes.
    Raises:
        DataError: as `utils.pictures.picture_folder`; or a picture is damaged.
    """
    pictures = picture_folder(folder, square(size))
    images = torch.stack([image.as_subclass(torch.Tensor) for image, _ in pictures])
    return images, torch.tensor(pictures.targets), pictures.classes


class PictureBatches:
    """Normalized mini-batches of squares in memory, resized and augmented a whole batch at a time (lab 09).

    Augmentation as in lab 03: one random box, of 70 to 100 % of the side, serves a whole batch; each image is mirrored
    or not by itself. With `augment` the order is shuffled too. Each `iter()` is a new epoch.

    Args:
        images: uint8 (N, 3, S, S).
        labels: int64 (N,).
        size: pixels a side of what comes out.
        mean, std: of the network's weights.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, size: int, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
                 batch_size: int = 32, augment: bool = False, seed: int = 0):
        self.images, self.labels, self.size, self.mean, self.std = images, labels, size, mean, std
        self.batch_size, self.augment = batch_size, augment
        self.generator = torch.Generator().manual_seed(seed)
        if not augment:  # resized once
            self.images = self.resized(images)

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def resized(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.shape[-1] == self.size else v2.functional.resize(x, [self.size, self.size], antialias=True)

    def changed(self, x: torch.Tensor) -> torch.Tensor:
        side = x.shape[-1]
        box = round(side * (0.7 + 0.3 * torch.rand((), generator=self.generator).item()))
        top, left = torch.randint(side - box + 1, (2,), generator=self.generator).tolist()
        x = self.resized(x[:, :, top : top + box, left : left + box])
        mirrored = torch.rand(len(x), generator=self.generator) < 0.5
        return torch.where(mirrored[:, None, None, None], x.flip(3), x)

    def __iter__(self):
        """Yield (x, y): x float32 (B, 3, size, size), channels_last; y int64 (B,)."""
        n = len(self.labels)
        order = torch.randperm(n, generator=self.generator) if self.augment else torch.arange(n)
        for rows in order.split(self.batch_size):
            x = self.changed(self.images[rows]) if self.augment else self.images[rows]
            yield data.normalize(x.contiguous(memory_format=torch.channels_last), self.mean, self.std), self.labels[rows]


def split_off(labels: torch.Tensor, share: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows to train on and rows held out: the same share of each class, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    kept, held = [], []
    for label in labels.unique():
        rows = (labels == label).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        count = round(share * len(rows))
        held.append(rows[:count])
        kept.append(rows[count:])
    return torch.cat(kept), torch.cat(held)


# ------------------------------------------------------------------------------------------------- the network


def top_classes(logits: torch.Tensor, classes: Sequence[str], k: int = 5) -> list[list[tuple[str, float]]]:
    """The k most probable classes of each row with their probabilities, the most probable first (lab 09).

    Args:
        logits: float (B, K).
        classes: K names.
    """
    p, place = logits.softmax(dim=1).topk(k, dim=1)
    return [[(classes[i], value) for i, value in zip(*row)] for row in zip(place.tolist(), p.tolist())]


def new_head(model: nn.Module, head: str, num_classes: int) -> nn.Module:
    """Freeze a network and give it a new output layer, which is not frozen (lab 09).

    Args:
        model: changed in place.
        head: the attribute of `model` that is its output layer, an nn.Linear.
    Returns:
        the model.
    """
    model.requires_grad_(False)
    old = getattr(model, head)
    setattr(model, head, nn.Linear(old.in_features, num_classes).to(old.weight))
    return model


class StillNorms(Callback):
    """Batch norms stay in evaluation mode while the rest trains: their running averages do not move (lab 09)."""

    def before_batch(self, learner):  # before_epoch would be too early: the Learner sets the mode after it
        for module in learner.model.modules():
            if isinstance(module, NORMS):
                module.eval()


def extract_features(model: nn.Module, head: str, batches: Iterable) -> tuple[torch.Tensor, torch.Tensor]:
    """What the output layer would get, for all images of `batches` in their order (lab 09).

    The model is used in evaluation mode and left as it was.

    Args:
        model: its parameters say on which device it works.
        head: the attribute of `model` that is its output layer.
        batches: gives (x, y).
    Returns:
        features float (N, D) and labels (N,), on the CPU.
    """
    device = next(model.parameters()).device
    layer = getattr(model, head)
    setattr(model, head, nn.Identity())
    try:
        with evaluating(model), torch.no_grad():
            pairs = [(model(x.to(device)).cpu(), y.cpu()) for x, y in batches]
    finally:
        setattr(model, head, layer)
    features, labels = zip(*pairs)
    return torch.cat(features), torch.cat(labels)


def stages(model: nn.Module) -> list[nn.Module]:
    """The parts of a network that have parameters, from the input to the output; blocks of an `nn.Sequential` one by one.

    Right for networks that use their parts in the order in which they define them, as torchvision's and timm's do.
    """
    parts = []
    for child in model.children():
        parts += child.children() if isinstance(child, nn.Sequential) else [child]
    return [part for part in parts if any(True for _ in part.parameters())]


def layer_groups(stages: Sequence[nn.Module], lr: float, factor: float = 0.8, weight_decay: float = 0.01) -> list[dict]:
    """Parameter groups whose learning rate grows towards the output (lab 09).

    The last stage has the rate `lr`, each earlier one `factor` times that of the next. Parameters of one dimension
    (biases, and the scales and shifts of norms) have no weight decay; frozen ones are in no group, and no group is empty.

    Args:
        stages: parts of a network, from input to output.
    Returns:
        dicts with "params", "lr" and "weight_decay", for torch.optim.
    """
    groups = []
    for depth, stage in enumerate(stages):
        learnt = [p for p in stage.parameters() if p.requires_grad]
        rate = lr * factor ** (len(stages) - 1 - depth)
        for params, decay in (([p for p in learnt if p.ndim > 1], weight_decay), ([p for p in learnt if p.ndim <= 1], 0.0)):
            if params:
                groups.append({"params": params, "lr": rate, "weight_decay": decay})
    return groups


# ------------------------------------------------------------------------------------------- the three trainings


def train_head(features: torch.Tensor, labels: torch.Tensor, num_classes: int = 2, epochs: int = 60, seed: int = 0) -> nn.Linear:
    """A linear layer trained on cached features: AdamW, batches of 32, a rate of 0.003 (lab 09)."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    layer = nn.Linear(features.shape[1], num_classes)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=3e-3, weight_decay=0.01)
    for _ in range(epochs):
        order = torch.randperm(len(labels), generator=generator)
        train(layer, [(features[rows], labels[rows]) for rows in order.split(32)], F.cross_entropy, optimizer)
    return layer


def fine_tune(model: nn.Module, train_batches: Iterable, val_batches: Iterable | None, epochs: int, lr: float = 3e-5,
              factor: float = 0.8, callbacks: Iterable[Callback] = ()) -> dict[str, list[float]]:
    """Train all layers of a trained network, with small rates near the input and a warm-up (lab 09).

    Args:
        model: with an output layer for this task, best one that is trained already; changed in place.
        lr, factor: as for `layer_groups`.
    Returns:
        the Learner's history.
    """
    model.requires_grad_(True)
    optimizer = torch.optim.AdamW(layer_groups(stages(model), lr, factor))
    steps = epochs * len(train_batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, steps, start=0.1, peak=0.2, end=0.0))
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
    learner = Learner(model, train_batches, val_batches, loss_fn, optimizer,
                      [Device(), Metrics(accuracy=accuracy), Schedule(schedule), StillNorms()])
    return learner.fit(epochs, callbacks)


def scratch_network(num_classes: int = 2) -> nn.Module:
    """A small network with random weights: lab 08's three convolutions, then the mean over all places."""
    small = models.SmallCNN()
    return nn.Sequential(small.features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes))


def from_scratch(train_batches: Iterable, epochs: int, seed: int = 0) -> nn.Module:
    """A `scratch_network` trained on these batches: AdamW, one cycle up to a rate of 0.005 (lab 09)."""
    torch.manual_seed(seed)
    model = scratch_network().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
    steps = epochs * len(train_batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, steps))
    Learner(model, train_batches, None, nn.CrossEntropyLoss(), optimizer, [Device(), Schedule(schedule)]).fit(epochs)
    return model


# ------------------------------------------------------------------------------------ what is noise, what is not


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Interval of an accuracy of which `right` of `n` images are known (Wilson, 1927; lab 09).

    The true accuracies p for which the observed one is at most z standard deviations, √(p (1 − p) / n), away.

    Args:
        right: 0 … n.
        z: 1.96 for 95 %.
    Returns:
        (low, high), from 0 to 1.
    """
    p = right / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar(a_right: torch.Tensor, b_right: torch.Tensor) -> tuple[int, int, float]:
    """Exact test of two classifiers on the same images (McNemar, 1947; lab 09).

    Images that both get right, or both wrong, say nothing. Were the two equally good, each of the others would be a
    throw of a fair coin.

    Args:
        a_right, b_right: bool (N,): which images each gets right.
    Returns:
        how many only a gets right, how many only b, and p: the chance of a split at least as uneven, either way; 1 where
        there is nothing to split.
    """
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    return only_a, only_b, split_p(only_a, only_b)


def split_p(a: int, b: int) -> float:
    """The chance that a fair coin, thrown a + b times, splits at least as unevenly as a : b, either way."""
    tail = sum(math.comb(a + b, i) for i in range(min(a, b) + 1)) / 2 ** (a + b)
    return min(1.0, 2 * tail)


# ----------------------------------------------------------------------------------------------- for later use


def save_classifier(path: str | Path, model: nn.Module, classes: Sequence[str], size: int, mean, std) -> None:
    """Write a network's weights with what its use needs: the classes' names and the preprocessing (lab 09)."""
    facts = {"classes": list(classes), "size": size, "mean": list(mean), "std": list(std)}
    torch.save({"weights": model.state_dict(), **facts}, path)


def load_classifier(path: str | Path, model: nn.Module) -> dict:
    """Read what `save_classifier` wrote into a model of the same architecture, and put it in evaluation mode (lab 09).

    Returns:
        {"classes": [...], "size": ..., "mean": [...], "std": [...]}
    Raises:
        DataError: the weights are those of another architecture; the model is left as it was.
    """
    kept = torch.load(path, map_location="cpu", weights_only=True)
    fill(model, kept.pop("weights"), path).eval()
    return kept
