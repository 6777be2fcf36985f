"""What lab 11 builds for a table beside an image: scaler, vocabulary, dataset, branches, and how to see what a model uses.

A batch is a pair (x, y); x is a dict of three tensors, row i of each being sample i:
`image` float (B, C, H, W) · `categories` int64 (B, columns) · `numbers` float (B, columns).
"""

from collections import Counter
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.utils.data import Dataset

from .training import evaluating


class Scaler:
    """Numbers in units of the training data's spread, and a flag for each missing one (lab 11).

    Attributes:
        mean, std: float (C,), of the values that were there at `fit`; a constant column has std 1.
    """

    def fit(self, numbers: torch.Tensor) -> "Scaler":
        """Remember mean and (biased) standard deviation of each column; NaN values are left out.

        Args:
            numbers: float (N, C), of the training split; NaN where a value is missing.
        Returns:
            the scaler itself.
        """
        self.mean = numbers.nanmean(dim=0).nan_to_num(0.0)  # 0 for a column of nothing but NaN
        std = (numbers - self.mean).square().nanmean(dim=0).sqrt()
        # Not `std > 0`: the mean of equal values is rounded, and their std may be 1e-8.
        varies = numbers.nan_to_num(-torch.inf).amax(dim=0) > numbers.nan_to_num(torch.inf).amin(dim=0)
        self.std = torch.where(varies, std, 1.0)
        return self

    def __call__(self, numbers: torch.Tensor) -> torch.Tensor:
        """(N, C) with NaN → (N, 2C), of the input's dtype: the scaled values, 0 where missing; then 1 where missing, else 0."""
        missing = numbers.isnan()
        scaled = (numbers - self.mean) / self.std
        return torch.cat([scaled.masked_fill(missing, 0.0), missing.to(numbers.dtype)], dim=1)


class Vocabulary:
    """Texts of one column as whole numbers: 0 unknown, 1 missing, then the levels in alphabetical order (lab 11).

    Args:
        texts: of the training split; "" where nothing was written down.
        min_count: a level that comes up more rarely counts as unknown.
    """

    def __init__(self, texts: Iterable[str], min_count: int = 1):
        counts = Counter(str(text) for text in texts)
        levels = sorted(level for level, count in counts.items() if level and count >= min_count)
        self.index = {"": 1} | {level: number for number, level in enumerate(levels, start=2)}

    def __len__(self) -> int:
        """Rows that an embedding of this column needs."""
        return len(self.index) + 1

    def __call__(self, texts: Iterable[str]) -> torch.Tensor:
        """N texts → int64 (N,)."""
        return torch.tensor([self.index.get(str(text), 0) for text in texts], dtype=torch.int64)


class MixedDataset(Dataset):
    """Samples ({"image": …, "categories": …, "numbers": …}, label), aligned by row (lab 11).

    Args:
        images: (N, C, H, W).
        categories: int64 (N, columns).
        numbers: float (N, columns).
        labels: int64 (N,).
        transform: applied to each image, if there is one.
    Raises:
        ValueError: the parts have different lengths.
    """

    def __init__(self, images, categories, numbers, labels, transform: Callable | None = None):
        lengths = {len(images), len(categories), len(numbers), len(labels)}
        if len(lengths) > 1:
            raise ValueError(f"the parts have different lengths: {sorted(lengths)}")
        self.images, self.categories, self.numbers, self.labels = images, categories, numbers, labels
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[dict[str, torch.Tensor], int]:
        image = self.images[i] if self.transform is None else self.transform(self.images[i])
        return {"image": image, "categories": self.categories[i], "numbers": self.numbers[i]}, int(self.labels[i])


class ImageBranch(nn.Module):
    """A grey 28 × 28 image → `features` numbers, none below 0: two convolutions and a linear layer (lab 11).

    It takes the whole batch's dict, and looks at `x["image"]` only.
    """

    def __init__(self, features: int = 64):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 7 * 7, features), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.layers(x["image"])


class TableBranch(nn.Module):
    """An embedding for each categorical column, beside the numbers; then one layer (lab 11).

    Args:
        levels: rows of each embedding, one number a categorical column.
        widths: columns of each embedding.
        numbers: columns of `x["numbers"]`.
        features: numbers that come out, none below 0.
    """

    def __init__(self, levels: list[int], widths: list[int], numbers: int, features: int = 32):
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(rows, width) for rows, width in zip(levels, widths, strict=True))
        self.linear = nn.Linear(sum(widths) + numbers, features)

    def forward(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        codes = x["categories"]
        parts = [embedding(codes[:, column]) for column, embedding in enumerate(self.embeddings)]
        return self.linear(torch.cat([*parts, x["numbers"]], dim=1)).relu()


class JointModel(nn.Module):
    """Two branches, their features side by side, and a head with a hidden layer above them (lab 11).

    Args:
        image, table: modules that take the batch's dict and return float (B, features of the branch).
        features: of both branches together.
        hidden: units in which they meet.
        num_classes: K.
    """

    def __init__(self, image: nn.Module, table: nn.Module, features: int, hidden: int, num_classes: int):
        super().__init__()
        self.image, self.table = image, table
        self.head = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))

    def forward(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.head(torch.cat([self.image(x), self.table(x)], dim=1))


@torch.no_grad()
def permutation_drop(model: nn.Module, x: dict[str, torch.Tensor], y: torch.Tensor, columns: dict[str, list[int]],
                     order: torch.Tensor) -> float:
    """How much accuracy a model loses when some inputs come from other samples' rows (lab 11).

    Breiman's permutation importance (https://doi.org/10.1023/A:1010933404324); his came from the samples that a tree
    had not seen.

    Args:
        model: takes x, returns logits (N, K); left in the mode in which it was.
        x: samples that the model was not trained on; not changed.
        y: int64 (N,).
        columns: name of a part of x -> its columns to exchange; an empty list means the whole part.
        order: int64 (N,), a permutation of the rows: the same for all columns, so that they stay together.
    Returns:
        accuracy before − accuracy after, from −1 to 1.
    """
    exchanged = dict(x)
    for name, chosen in columns.items():
        exchanged[name] = x[name].clone()
        if chosen:
            exchanged[name][:, chosen] = x[name][order][:, chosen]
        else:
            exchanged[name] = x[name][order]
    with evaluating(model):
        before, after = ((model(inputs).argmax(1) == y).double().mean().item() for inputs in (x, exchanged))
    return before - after


def branch_gradients(model: JointModel, x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What each branch's features do to the winning logit, to first order: ‖features ⊙ gradient‖ (lab 11).

    Args:
        model: a joint model; its mode and the `.grad` of its parameters stay as they are.
        x: N samples.
    Returns:
        {"image": float (N,), "table": float (N,)}.
    """
    with evaluating(model):
        with torch.no_grad():
            features = {"image": model.image(x), "table": model.table(x)}
        for part in features.values():
            part.requires_grad_()
        logits = model.head(torch.cat(list(features.values()), dim=1))
        gradients = torch.autograd.grad(logits.max(1).values.sum(), list(features.values()))
    return {name: (part.detach() * gradient).norm(dim=1) for (name, part), gradient in zip(features.items(), gradients)}
