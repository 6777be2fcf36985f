"""Checks of lab 11, mixed inputs. Oracle: torch's own layers and autograd; for the preparation, the formulas in plain torch."""

import torch
import torch.nn.functional as F
from torch.utils.data import default_collate

from . import exercise


def _statistics(numbers, fill=None, unbiased=False, count_all=False):
    """(mean, std) of each column over what is there, std 0 where all is equal; the arguments name misconceptions."""
    there = ~numbers.isnan()
    values = numbers.nan_to_num(0.0)
    if fill is not None:
        values = torch.where(there, numbers, torch.as_tensor(fill, dtype=numbers.dtype))
        there = torch.ones_like(there)
    count = torch.full((numbers.shape[1],), len(numbers)) if count_all else there.sum(0)
    mean = values.sum(0) / count.clamp(min=1)
    squares = (((values - mean) * there) ** 2).sum(0)
    varies = values.masked_fill(~there, -torch.inf).amax(0) > values.masked_fill(~there, torch.inf).amin(0)
    return mean, (squares / (count - int(unbiased)).clamp(min=1)).sqrt() * varies


def _scale(numbers, mean, std, flags=True, fill_scaled=True):
    missing = numbers.isnan()
    scaled = (numbers - mean) / torch.where(std > 0, std, 1.0)
    scaled = scaled.masked_fill(missing, 0.0) if fill_scaled else (numbers.nan_to_num(0.0) - mean) / torch.where(std > 0, std, 1.0)
    return torch.cat([scaled, missing.to(numbers.dtype)], 1) if flags else scaled


@exercise("11.1", points=3, needs=["Scaler"], reference="utils.mixed:Scaler")
class ScalerWithFlags:
    """Scaled numbers, and a flag for what is missing."""

    errors = {
        "has no attribute 'mean'": "`fit` has to keep what it finds: `self.mean = …`, `self.std = …`.",
        "__call__() missing": "The scaler is called with one argument, the numbers; its statistics are on `self`.",
        "'NoneType' object is not callable": "`fit` returns the scaler itself, so that `Scaler().fit(x)` can be kept: `return self`.",
        "has no attribute 'nanstd'": "torch has `nanmean`, but no `nanstd`: take the root of the `nanmean` of the squared deviations.",
    }

    def inputs(rng):
        train, new = 5 + 3 * rng.randn(12, 2), 5 + 3 * rng.randn(7, 2)
        train[2, 0] = train[5, 1] = train[6, 1] = new[3, 0] = new[0, 1] = float("nan")
        yield {"train": train, "new": new, "_case": "two columns, some NaN"}
        train, new = rng.randn(9, 3, dtype=torch.float64), rng.randn(4, 3, dtype=torch.float64)
        train[1, 2] = float("nan")
        yield {"train": train, "new": new, "_case": "float64; nothing is missing in the new rows"}
        train, new = 2 + rng.randn(8, 2), rng.randn(3, 2)
        train[:, 1], train[4, 1], new[0, 1], new[1, 0] = 7.0, float("nan"), float("nan"), float("nan")
        yield {"train": train, "new": new, "_case": "a constant column; a value is missing where none was in training"}
        yield {"train": torch.tensor([0.1, 3.3, 1.1, 0.7, 2.3]).repeat(100, 1), "new": torch.tensor([[0.1, 3.4, 1.0, 0.7, 2.4]]), "_case": "100 times 0.1, 3.3, 1.1, 0.7 and 2.3"}

    def probe(student, train, new):
        before = [train.clone(), new.clone()]
        scaler = student.Scaler().fit(train)
        evidence = {"new_scaled": scaler(new), "train_scaled": scaler(train)}
        evidence["touched"] = not all(torch.equal(a.nan_to_num(9e9), b.nan_to_num(9e9)) for a, b in zip(before, (train, new)))
        evidence |= {"mean": getattr(scaler, "mean", None), "std": getattr(scaler, "std", None)}
        student.Scaler().fit(2 * before[0] + 1)
        evidence["after_another"] = scaler(new)
        scaler.fit(2 * before[0] + 1)
        return evidence | {"refitted": scaler(new)}

    def judge(case, train, new, new_scaled, train_scaled, touched, mean, std, after_another, refitted):
        kept, (mean, std) = (mean, std), _statistics(train)
        filled = {unbiased: _statistics(train, fill=mean, unbiased=unbiased) for unbiased in (False, True)}
        complete = train[~train.isnan().any(1)]
        for rows, got, what in ((new, new_scaled, "Scaler().fit(train)(new)"), (train, train_scaled, "Scaler().fit(train)(train)")):
            want = _scale(rows, mean, std)
            c = rows.shape[1]
            poisoned, zeroed = want.clone(), want.clone()
            poisoned[:, :c] *= ~train.isnan().any(0)
            zeroed[:, :c] *= std > 0
            if isinstance(got, torch.Tensor) and got.shape == want.shape:
                constant = "A constant column has std 0, and dividing by 0 gives NaN or infinity. Divide by 1 there."
                missing = "There is still a NaN in the result. Either the statistics are NaN (one NaN makes a plain mean NaN), or missing values are not replaced after scaling."
                case.that(got.isfinite().all(), constant if (std == 0).any() else missing)
                tiny = "A column of equal values was divided by a tiny number. Their mean is rounded, so that their std may be 1e-8 and not 0. Is the largest value larger than the smallest? If not, divide by 1."
                case.that(not (got[:, :c] - want[:, :c])[:, std == 0].abs().gt(10).any(), tiny)
            case.close(got, want, what=what, mistakes={
                "The flags are missing: beside the C scaled columns belong C columns of 0 and 1.": _scale(rows, mean, std, flags=False),
                "The flags are the wrong way round: 1 means missing.": torch.cat([want[:, :c], 1 - want[:, c:]], 1),
                "The flags stand before the numbers; wanted: first the scaled values, then the flags.": want.roll(c, 1),
                "A column that was complete in training can have a missing value later: every column has a flag that works.": torch.cat([want[:, :c], want[:, c:] * train.isnan().any(0)], 1),
                "A constant column was set to 0 in new rows too. Divide by 1 there: a new row keeps its distance from the training rows.": zeroed,
                "Whole columns have become 0: one NaN makes a plain mean (or std) NaN, and replacing the NaN at the end hides that.": poisoned,
                "Missing values were replaced by 0 before scaling. A missing value should be the mean, which is 0 after scaling.": _scale(rows, mean, std, fill_scaled=False),
                "The NaN were counted as zeros in the mean and the std: take them over the values that are there.": [_scale(rows, *_statistics(train, fill=0.0)), _scale(rows, *_statistics(train, fill=0.0, unbiased=True))],
                "The std was taken after the missing values were replaced by the mean, which makes it too small: take it over the values that are there.": [_scale(rows, *filled[unbiased]) for unbiased in filled],
                "Rows with a NaN were left out altogether, with their other values. Leave out single values, column by column.": [_scale(rows, *_statistics(complete, unbiased=unbiased)) for unbiased in (False, True)] if len(complete) else [],
                "The sums leave NaN out, but the count does not: divide by how many values are there.": _scale(rows, *_statistics(train, count_all=True)),
                "This std divides by n − 1; wanted is the biased one, which divides by n.": _scale(rows, *_statistics(train, unbiased=True)),
                "The statistics are those of the rows that came in, not those of `fit`. New rows are scaled by the training rows' statistics.": _scale(rows, *_statistics(rows)),
                "This divides by the variance; the std is its root.": _scale(rows, mean, std**2),
                "The mean is not subtracted.": _scale(rows, torch.zeros_like(mean), std),
                "This subtracts the mean, but does not divide by the std.": _scale(rows, mean, torch.ones_like(std)),
                "One mean or std for all columns; each column has its own unit.": [_scale(rows, *(s.expand(c) for s in _statistics(train.reshape(-1, 1)))), _scale(rows, train.nanmean().expand(c), (train - train.nanmean()).square().nanmean(0).sqrt())],
                "Values and flags stand in turn; wanted: first all scaled values, then all flags.": torch.stack([want[:, :c], want[:, c:]], 2).flatten(1),
                "The result should have the dtype of the input.": [want.float(), want.double()],
            })
        case.that(not touched, "Your code wrote into its input in place; the caller's NaN are gone. Work on a new tensor: `masked_fill` makes one.")
        for name, got, value in zip(("mean", "std"), kept, (mean, torch.where(std > 0, std, 1.0)), strict=True):
            case.that(isinstance(got, torch.Tensor), f"The scaler should keep `{name}`, a tensor with one number a column: `self.{name} = …`.")
            case.close(got.reshape(-1), value, what=f"scaler.{name}", dtype=False)
        case.close(after_another, _scale(new, mean, std), what="The result after another scaler was fitted", mistakes={"Two scalers share their statistics: keep them on `self`, not on the class.": _scale(new, 2 * mean + 1, 2 * std)})
        case.close(refitted, _scale(new, 2 * mean + 1, 2 * std), what="The result after a second fit", mistakes={"A second `fit` changed nothing: it should replace the statistics.": _scale(new, mean, std)})


def _codes(texts, levels, unknown=0, missing=1, first=2):
    index = {level: number for number, level in enumerate(levels, start=first)}
    return torch.tensor([index.get(text, missing if text == "" else unknown) for text in texts])


@exercise("11.2", points=2, needs=["Vocabulary"], reference="utils.mixed:Vocabulary")
class VocabularyOfAColumn:
    """Texts as numbers, with places for unknown and missing."""

    errors = {
        "KeyError": "A text that was not in training has no number: `dict.get(text, 0)` gives 0, unknown, instead.",
        "has no len()": "An embedding must know how many rows it needs: define `__len__`.",
    }

    def inputs(rng):
        yield {"train": ["FR", "DE", "DE", "", "FR", "DE"], "new": ["DE", "XX", "", "YY", "FR", "DE"], "min_count": 1, "_case": "two countries"}
        yield {"train": list("cabbageca") + ["", ""], "new": list("zebra") + ["", "c", "g"], "min_count": 2, "_case": "min_count = 2"}
        levels = [f"shop {number}" for number in range(9)]
        train = [rng.choice(levels) for _ in range(40)] + ["rare"] + ["thrice"] * 3
        yield {"train": train, "new": [*levels, "rare", "thrice", "new"], "min_count": 3, "_case": "shops, min_count = 3, nothing missing in training"}
        yield {"train": ["b", "a"] * 2, "new": ["", "b", "a"], "min_count": 1, "_case": "missing comes up only in new rows"}

    def probe(student, train, new, min_count):
        vocabulary = student.Vocabulary(train, min_count=min_count) if min_count > 1 else student.Vocabulary(train)
        return {"codes": vocabulary(new), "rows": len(vocabulary), "again": vocabulary(train)}

    def judge(case, train, new, min_count, codes, rows, again):
        counts = {level: train.count(level) for level in train if level}
        levels = sorted(level for level, count in counts.items() if count >= min_count)
        every, more, seen = sorted(counts), sorted(lv for lv in levels if counts[lv] > min_count), [lv for lv in dict.fromkeys(train) if lv in levels]
        by_count = sorted(levels, key=lambda level: -counts[level])
        want, grown = _codes(new, levels), []
        for first in (len(levels) + 1, len(levels) + 2):
            fresh = {text: number for number, text in enumerate(dict.fromkeys(t for t in new if t and t not in levels), start=first)}
            grown.append(torch.tensor([fresh.get(text, code) for text, code in zip(new, want.tolist())]))
        if isinstance(codes, torch.Tensor) and not codes.is_floating_point() and codes.shape == want.shape and set(new) & (set(counts) - set(levels)):
            rare = [i for i, text in enumerate(new) if text in counts and text not in levels]
            case.that((codes[rare] == 0).all(), f"A level that comes up fewer than min_count = {min_count} times in training counts as unknown: 0.")
        case.close(codes, want, what=f"Vocabulary({'train' if len(train) > 8 else train}, min_count={min_count})({new})", mistakes={
            "Unknown texts were given the number of missing ones. They are two things: 0 unknown, 1 missing.": _codes(new, levels, unknown=1),
            'Missing texts ("") were taken for unknown ones. They are two things: 0 unknown, 1 missing.': _codes(new, levels, missing=0),
            "0 is for unknown texts and 1 for missing ones, not the other way round.": _codes(new, levels, unknown=1, missing=0),
            "The first level has a number that is taken: 0 is unknown, 1 is missing, levels start at 2.": [_codes(new, levels, missing=missing, first=first) for missing in (0, 1) for first in (0, 1)],
            'The missing text "" was numbered as a level as well: its number is 1, and it takes up no other.': [_codes(new, levels, first=3), _codes(new, ["", *levels])],
            "Unknown texts were given the last number; theirs is 0.": [_codes(new, levels, unknown=len(levels) + more) for more in (1, 2)],
            "New texts were given numbers of their own when they came. The embedding has no rows for them: they are unknown, 0.": grown,
            "The levels are numbered in the order in which they came up; wanted is alphabetical order, which does not depend on the rows' order.": _codes(new, seen),
            "The levels are numbered by how often they come up; wanted is alphabetical order.": [_codes(new, by_count), _codes(new, sorted(seen, key=lambda level: -counts[level]))],
            "A level that comes up exactly min_count times is kept.": _codes(new, more),
            "An index must be an int64 tensor: `nn.Embedding` takes no other.": [want.float(), want.double(), want.int()],
        } | ({"min_count is not used: rarer levels count as unknown.": _codes(new, every)} if every != levels else {}))
        case.equal(rows, len(levels) + 2, what="len(vocabulary)", mistakes={
            "len(vocabulary) counts the levels alone. An embedding needs rows for unknown and missing too.": len(levels),
            "len(vocabulary) is one short: unknown (0) and missing (1) both need a row.": len(levels) + 1,
        })
        case.close(again, _codes(train, levels), what="vocabulary(train)")


@exercise("11.3", points=2, needs=["MixedDataset"], reference="utils.mixed:MixedDataset")
class DatasetOfPairs:
    """A dataset with three inputs."""

    errors = {
        "KeyError": "The inputs are a dict with the names image, categories, numbers.",
        "not callable": "`transform` may be None: then the image is taken as it is.",
        "has no len()": "`len(dataset)` is the number of samples: define `__len__`.",
    }

    def inputs(rng):
        def parts(n, dtype=torch.float32):
            return {"images": rng.randn(n, 1, 4, 4, dtype=dtype), "categories": rng.randint(0, 5, (n, 3)), "numbers": rng.randn(n, 2, dtype=dtype), "labels": rng.randint(0, 4, (n,))}

        yield parts(6) | {"rows": [0, 4, 5], "transform": None, "short": None, "_case": "six samples, no transform"}
        yield parts(5, torch.float64) | {"rows": [3, 1], "transform": 3.0, "short": None, "_case": "a transform that triples pixels; float64"}
        yield parts(4) | {"rows": [2], "transform": None, "short": True, "_case": "then each part in turn one row too short"}

    def probe(student, images, categories, numbers, labels, rows, transform, short):
        parts = {"images": images, "categories": categories, "numbers": numbers, "labels": labels}
        calls = []
        function = None if transform is None else (lambda image: calls.append(1) or image * transform)
        dataset = student.MixedDataset(**parts) if function is None else student.MixedDataset(**parts, transform=function)
        at_start = len(calls)
        samples = [dataset[i] for i in rows]
        dataset[rows[0]]
        samples = [sample if isinstance(sample, (tuple, list)) and len(sample) == 2 else None for sample in samples]
        xs = [dict(sample[0]) if sample and isinstance(sample[0], dict) else None for sample in samples]
        raised = {}
        for name in parts if short else ():
            raised[name] = None
            try:
                student.MixedDataset(**(parts | {name: parts[name][:-1]}))
            except (ValueError, AssertionError) as error:
                raised[name] = type(error).__name__
        return {"length": len(dataset), "xs": xs, "ys": [sample[1] if sample else None for sample in samples], "raised": raised, "calls": [at_start, len(calls)]}

    def judge(case, images, categories, numbers, labels, rows, transform, short, length, xs, ys, raised, calls):
        case.equal(length, len(labels), what="len(dataset)", mistakes={"len(dataset) is the number of inputs; it should be the number of samples.": [3, 4] if len(labels) not in (3, 4) else []})
        case.that(None not in xs, "dataset[i] should be a pair: a dict of inputs, and the label.")
        for i, x, y in zip(rows, xs, ys, strict=True):
            case.that(set(x) == {"image", "categories", "numbers"}, f"The dict of dataset[{i}] has the names {sorted(x)}; wanted are image, categories, numbers (the label is the pair's second part).")
            image = images[i] if transform is None else images[i] * transform
            case.close(x["image"], image, what=f'dataset[{i}][0]["image"]', mistakes={
                "The transform was not applied to the image.": images[i],
                "The image has a batch dimension of 1: take row i, not rows i to i + 1.": image[None],
                "The transform was applied twice.": images[i] * (transform or 1) ** 2,
            })
            case.close(x["categories"], categories[i], what=f'dataset[{i}][0]["categories"]', mistakes={"The rows do not fit together: the categories are those of another sample.": [categories[j] for j in range(len(labels)) if not torch.equal(categories[j], categories[i])]})
            case.close(x["numbers"], numbers[i], what=f'dataset[{i}][0]["numbers"]', mistakes={
                "The transform is for the image alone; the numbers went through it too.": numbers[i] * (transform or 1),
                "The rows do not fit together: the numbers are those of another sample.": [numbers[j] for j in range(len(labels)) if j != i],
            })
            y = y.item() if isinstance(y, torch.Tensor) and y.numel() == 1 and not y.is_floating_point() else y
            case.that(not isinstance(y, float), "The label is a whole number: int(…), as `cross_entropy` wants it, not a float.")
            case.equal(y, int(labels[i]), what=f"The label of dataset[{i}]")
        frozen = "The transform should be called each time that a sample is asked for: done once and kept, a random shift is the same in every epoch."
        case.that(transform is None or (calls[0] == 0 and calls[1] > len(rows)), frozen)
        for name, kind in raised.items():
            case.that(kind != "AssertionError", "`assert` is skipped when Python runs with -O: `raise ValueError(…)`.")
            case.that(kind is not None, f"With one row of `{name}` too few, row i no longer means the same sample everywhere. `__init__` should raise a ValueError.")


@exercise("11.4", points=2, needs=["collate"], reference="torch.utils.data:default_collate")
class CollateDicts:
    """From samples to a batch of dicts."""

    errors = {
        "expected Tensor as element": "`torch.stack` takes a list of tensors: one for each sample, all of the same name.",
        "stack expects each tensor to be equal size": "Stack what belongs together: the same name of all samples, not all names of one sample.",
        "KeyError": "Take the names from the samples: other datasets have others.",
    }

    def inputs(rng):
        def sample(label=None):
            return [{"image": rng.randn(1, 4, 4), "categories": rng.randint(0, 9, (3,)), "numbers": rng.randn(2)}, rng.integer(0, 4) if label is None else label]

        yield {"samples": [sample() for _ in range(5)], "_case": "five parcels"}
        samples = [[{"sound": rng.randn(3, dtype=torch.float64), "age": rng.randn(1)}, rng.integer(0, 9)] for _ in range(3)]
        samples[1][0] = dict(reversed(samples[1][0].items()))
        yield {"samples": samples, "_case": "other names, in one sample in another order; float64"}
        yield {"samples": [sample(3)], "_case": "a batch of one"}

    def probe(student, samples):
        batch = student.collate([(x, y) for x, y in samples])
        pair = isinstance(batch, (tuple, list)) and len(batch) == 2
        return {"x": dict(batch[0]) if pair and isinstance(batch[0], dict) else None, "y": batch[1] if pair else None, "pair": pair}

    def judge(case, samples, x, y, pair):
        case.that(pair, "collate(samples) should be a pair (x, y).")
        case.that(x is not None, "x should be one dict of tensors, not a list of dicts: turn it inside out.")
        want, labels = default_collate([(x, y) for x, y in samples])
        case.that(set(x) == set(want), f"x has the names {sorted(x)}; the samples have {sorted(want)}.")
        for name, tensor in want.items():
            rows = [part[name] for part, _ in samples]
            case.close(x[name], tensor, what=f'x["{name}"]', mistakes={
                "The samples were joined end to end (`torch.cat`); a batch has a new first dimension: `torch.stack`.": torch.cat(rows),
                "The new dimension is the last one; a batch's comes first.": torch.stack(rows, -1),
                "This is one sample, not all of them: does the loop overwrite what it had?": [rows[-1], rows[0]],
                "The order of the samples has changed.": torch.stack(rows[::-1]),
            })
        case.close(y, labels, what="y", mistakes={
            "Labels are whole numbers: int64, as `cross_entropy` wants them.": [labels.float(), labels.double(), labels.int()],
            "y has a dimension too many: wanted is (B,).": labels[:, None],
        })


def _table_weights(rng, levels, widths, numbers, features, dtype=torch.float32):
    weights = {f"embeddings.{i}.weight": rng.randn(rows, width, dtype=dtype) for i, (rows, width) in enumerate(zip(levels, widths))}
    inputs = sum(widths) + numbers
    return weights | {"linear.weight": rng.randn(features, inputs, dtype=dtype) / inputs**0.5, "linear.bias": rng.randn(features, dtype=dtype)}


def _table(weights, x, order="codes first", relu=True, table=None, column=None, inner=None):
    codes = x["categories"]
    parts = [weights[f"embeddings.{i if table is None else table}.weight"][codes[:, i if column is None else column]] for i in range(codes.shape[1])]
    parts = [inner(part) for part in parts] if inner else parts
    parts = [x["numbers"], *parts] if order == "numbers first" else [*parts[::-1], x["numbers"]] if order == "reversed" else [*parts, x["numbers"]]
    features = torch.cat(parts, 1) @ weights["linear.weight"].T + weights["linear.bias"]
    return F.relu(features) if relu else features


@exercise("11.5", points=3, needs=["TableBranch"], reference="utils.mixed:TableBranch")
class TableBranchForward:
    """A branch for the table."""

    errors = {
        "Missing key(s)": "The parameters must have the stub's names: `self.embeddings`, an `nn.ModuleList` with one `nn.Embedding` a column, and `self.linear`. (A plain list hides its layers from PyTorch: lab 04.)",
        "Unexpected key(s)": "The parameters must have the stub's names: `self.embeddings`, an `nn.ModuleList` with one `nn.Embedding` a column, and `self.linear`. (A plain list hides its layers from PyTorch: lab 04.)",
        "size mismatch": "A layer has another size than the stub asks: each `nn.Embedding(rows, width)`; the linear layer takes all widths together and the numbers.",
        "index out of range": "A code is larger than its embedding: is column i looked up in embedding i?",
        "mat1 and mat2 shapes cannot be multiplied": "What reaches the linear layer has another width than sum(widths) + numbers: are all embeddings and the numbers joined along dim 1?",
        "Expected tensor for argument #1 'indices'": "An embedding is looked up by int64 codes, from `x[\"categories\"]`.",
        "must match except in dimension 1": "Each part needs one row a sample: column i of the codes is `[:, i]`; `[i]` is a row.",
        "Sizes of tensors must match": "Join along dim 1: features side by side, one row a sample.",
        "must have same number of dimensions": "An embedding of a whole (B, columns) table is 3-D. Look up one column at a time: `codes[:, i]`.",
    }

    def inputs(rng):
        def case(levels, widths, numbers, features, rows, dtype=torch.float32, **more):
            codes = torch.stack([rng.randint(0, n, (rows,)) for n in levels], 1)
            codes[:2] = torch.arange(2)[:rows, None]  # unknown and missing come up
            return {"sizes": [levels, widths, numbers, features], "weights": _table_weights(rng, levels, widths, numbers, features, dtype), "x": {"image": rng.randn(rows, 1, 2, 2), "categories": codes, "numbers": rng.randn(rows, numbers, dtype=dtype)}} | more

        yield case([6, 6, 6], [3, 3, 3], 4, 8, 9, _case="three columns, four numbers")
        yield case([9, 4, 5, 3], [2, 5, 1, 2], 3, 6, 5, torch.float64, _case="four columns, widths 2, 5, 1 and 2; float64")
        yield case([4], [3], 2, 5, 1, _case="one column, a batch of one")

    def probe(student, sizes, weights, x):
        levels, widths, numbers, features = sizes
        branch = student.TableBranch(levels, widths, numbers, features).to(x["numbers"].dtype)
        branch.load_state_dict(weights)
        features = branch(x)
        if isinstance(features, torch.Tensor) and features.requires_grad:
            features.sum().backward()
        slopes = [table.weight.grad for table in branch.embeddings]
        try:
            branch({**x, "categories": x["categories"] + max(levels)})
            refused = False
        except Exception:
            refused = True
        return {"features": features, "slopes": slopes, "refused": refused}

    def judge(case, weights, x, features, slopes, refused):
        alike = len({value.shape for name, value in weights.items() if name.startswith("emb")}) == 1
        case.close(features, _table(weights, x), what="branch(x)", mistakes={
            "The ReLU after the linear layer is missing.": _table(weights, x, relu=False),
            "The numbers stand before the embeddings; wanted: the embeddings in the columns' order, then the numbers.": _table(weights, x, "numbers first"),
            "The embeddings are joined in the wrong order: first column first.": _table(weights, x, "reversed"),
            "There is a ReLU on the embeddings, or on what goes into the linear layer; it belongs behind that layer.": [_table(weights, x, inner=F.relu), _table(weights, {**x, "numbers": x["numbers"].relu()}, inner=F.relu)],
        } | ({
            "All columns are looked up in the same embedding; each column has its own.": [_table(weights, x, table=0), _table(weights, x, table=x["categories"].shape[1] - 1)],
            "Every embedding is looked up by the first column's codes.": _table(weights, x, column=0),
        } if alike else {}))
        case.that(None not in slopes, "No gradient reaches the embeddings, so they would never learn: is there a `detach` or `no_grad`?")
        tables = {name: value.clone().requires_grad_() for name, value in weights.items() if name.startswith("emb")}
        for got, want in zip(slopes, torch.autograd.grad(_table(weights | tables, x).sum(), list(tables.values())), strict=True):
            cut = want.clone(), want.clone()
            cut[0][0], cut[1][1] = 0, 0
            case.close(got, want, what="The gradient of an embedding", mistakes={"Row 0 or 1 is never trained: `padding_idx` shuts it out. Unknown and missing are levels like others.": list(cut)})
        case.that(refused, "A code that an embedding has no row for was given another level's row. It should fail: silent confusion is worse.")


def _joint(weights, x, swap=False, relu=True, bend=None, last=None, twice=False, inner=None):
    image = x["image"] @ weights["image.layer.weight"].T + weights["image.layer.bias"]
    table = x["numbers"] @ weights["table.layer.weight"].T + weights["table.layer.bias"]
    meet = torch.cat([image, image] if twice else [table, image] if swap else [image, table], 1)
    meet = inner(meet) if inner else meet
    hidden = meet @ weights["head.0.weight"].T + weights["head.0.bias"]
    hidden = (bend or F.relu)(hidden) if relu else hidden
    logits = hidden @ weights["head.2.weight"].T + weights["head.2.bias"]
    return last(logits) if last else logits


@exercise("11.6", points=2, needs=["JointModel"], reference="utils.mixed:JointModel")
class JointForward:
    """Two branches and a head."""

    errors = {
        "Missing key(s)": "The parts must have the stub's names: `self.image`, `self.table`, and `self.head`, an `nn.Sequential` of a linear layer, a ReLU, a linear layer.",
        "Unexpected key(s)": "The parts must have the stub's names: `self.image`, `self.table`, and `self.head`, an `nn.Sequential` of a linear layer, a ReLU, a linear layer.",
        "size mismatch": "A layer of the head has another size: `features` in, `hidden` units, `num_classes` out.",
        "mat1 and mat2 shapes cannot be multiplied": "The head takes `features` numbers a row: the features of both branches, side by side (dim 1).",
        "Sizes of tensors must match": "Join along dim 1: features side by side, one row a sample.",
        "forward: KeyError": "Each branch takes the whole dict `x` and picks its part itself.",
        "indices must be": "Each branch takes the whole dict `x` and picks its part itself: `self.image(x)`.",
        "too many indices": "Each branch takes the whole dict `x` and picks its part itself: `self.image(x)`.",
        "only integer tensors of a single element": "Each branch takes the whole dict `x` and picks its part itself: `self.image(x)`.",
    }

    def inputs(rng):
        def case(sizes, rows, dtype=torch.float32, **more):
            pixels, columns, wide, narrow, hidden, classes = sizes
            shapes = {"image.layer": (wide, pixels), "table.layer": (narrow, columns), "head.0": (hidden, wide + narrow), "head.2": (classes, hidden)}
            weights = {}
            for name, shape in shapes.items():
                weights |= {f"{name}.weight": rng.randn(*shape, dtype=dtype) / shape[1] ** 0.5, f"{name}.bias": rng.randn(shape[0], dtype=dtype)}
            return {"sizes": list(sizes), "weights": weights, "x": {"image": rng.randn(rows, pixels, dtype=dtype), "numbers": rng.randn(rows, columns, dtype=dtype)}} | more

        yield case((5, 3, 4, 4, 6, 4), 7, _case="4 features of each branch")
        yield case((4, 2, 6, 3, 5, 3), 5, torch.float64, _case="6 and 3 features; float64")
        yield case((4, 2, 2, 3, 5, 2), 1, _case="a batch of one")

    def probe(student, sizes, weights, x):
        class Branch(torch.nn.Module):
            def __init__(self, name, inputs, outputs):
                super().__init__()
                self.name, self.layer = name, torch.nn.Linear(inputs, outputs)

            def forward(self, x):
                return self.layer(x[self.name])

        pixels, columns, wide, narrow, hidden, classes = sizes
        image, table = Branch("image", pixels, wide), Branch("numbers", columns, narrow)
        model = student.JointModel(image, table, wide + narrow, hidden, classes).to(x["image"].dtype)
        model.load_state_dict(weights)
        logits = model(x)
        if isinstance(logits, torch.Tensor) and logits.requires_grad:
            logits.sum().backward()
        return {"logits": logits, "learns": [branch.layer.weight.grad is not None for branch in (model.image, model.table)], "same": model.image is image and model.table is table}

    def judge(case, weights, x, logits, learns, same):
        equal = weights["image.layer.weight"].shape[0] == weights["table.layer.weight"].shape[0]
        case.close(logits, _joint(weights, x), what="model(x)", mistakes={
            "The table's features stand before the image's; wanted: the image's first.": _joint(weights, x, swap=True) if equal else [],
            "The image's features came in twice, and the table's not at all.": _joint(weights, x, twice=True) if equal else [],
            "There is a ReLU on the joined features: the head begins with its linear layer.": _joint(weights, x, inner=F.relu),
            "There is no ReLU between the head's linear layers: without it the two are one, and the branches never meet.": _joint(weights, x, relu=False),
            "Another activation than ReLU is used in the head.": [_joint(weights, x, bend=bend) for bend in (torch.tanh, torch.sigmoid, F.gelu)],
            "There is a softmax at the end: return logits, the loss does the rest (lab 05).": [_joint(weights, x, last=lambda z: z.softmax(1)), _joint(weights, x, last=lambda z: z.log_softmax(1))],
            "There is a ReLU after the last layer: logits may be negative.": _joint(weights, x, last=F.relu),
        })
        case.that(same, "The model should keep the branches that it is given, not copies of them.")
        for name, reached in zip(("image", "table"), learns, strict=True):
            case.that(reached, f"No gradient reaches the {name} branch, so it would never learn: is there a `detach` or `no_grad`?")


def _drop(weights, x, y, columns, order, slip=""):
    """The drop of the tiny model below; `slip` names a misconception."""
    def logits(x):
        h = F.one_hot(x["categories"], 4).flatten(1).to(x["numbers"].dtype)
        return torch.cat([x["image"].flatten(1), h, x["numbers"]], 1) @ weights

    other = dict(x)
    for name, chosen in list(columns.items())[: 1 if slip == "first" else None]:
        chosen = list(range(x[name].shape[1])) if not chosen or slip == "whole part" else chosen
        other[name] = x[name].clone()
        rows = order.argsort() if slip == "inverse" else order
        other[name][:, chosen] = 0 if slip == "zero" else x[name][rows][:, chosen]
    if slip == "everything":
        other = {name: part[order] for name, part in x.items()}
    if slip == "loss":
        return (F.cross_entropy(logits(other), y) - F.cross_entropy(logits(x), y)).item()
    y = logits(x).argmax(1) if slip == "own" else y
    before, after = ((logits(inputs).argmax(1) == y).double().mean().item() for inputs in (x, other))
    drop = before - after
    return {"after": after, "sign": -drop, "percent": 100 * drop, "count": len(y) * drop, "relative": drop / before, "abs": abs(drop), "cut": max(0.0, drop)}.get(slip, drop)


@exercise("11.7", points=3, needs=["permutation_drop"], reference="utils.mixed:permutation_drop")
class PermutationDrop:
    """What the model loses without an input."""

    errors = {
        "KeyError": "`columns` names the parts to exchange; the others stay as they are, but they must be in the dict that the model gets.",
        "index_select()": "`order` is a tensor of row numbers: `part[order]`.",
        "shape mismatch": "Rows and columns: take the rows first, `part[order]`, then of these the columns, `[:, chosen]`.",
    }

    def inputs(rng):
        def case(columns, n=150, dtype=torch.float32, **more):
            # Each part carries a strong signal of its own, so that exchanging it shows.
            weights = torch.cat([rng.randn(4, 3, dtype=dtype) * 1.5, rng.randn(8, 3, dtype=dtype) * 2, rng.randn(3, 3, dtype=dtype) * 2])
            x = {"image": rng.randn(n, 1, 2, 2, dtype=dtype), "categories": rng.randint(0, 4, (n, 2)), "numbers": rng.randn(n, 3, dtype=dtype)}
            h = F.one_hot(x["categories"], 4).flatten(1).to(dtype)
            y = (torch.cat([x["image"].flatten(1), h, x["numbers"]], 1) @ weights).argmax(1)
            y = torch.where(rng.rand(n) < 0.1, rng.randint(0, 3, (n,)), y)
            return {"weights": weights, "x": x, "y": y, "columns": columns, "orders": torch.stack([rng.randperm(n) for _ in range(3)]), "dropout": 0.0, "mode": True} | more

        yield case({"image": []}, _case="the image")
        yield case({"numbers": [1]}, _case="one column of the numbers")
        yield case({"categories": [], "numbers": []}, dtype=torch.float64, _case="the whole table, float64")
        yield case({"categories": [0], "numbers": [0, 2]}, _case="some columns of two parts")
        yield case({"image": []}, dropout=0.7, _case="a model with dropout, in training mode")
        back = case({"image": []}, mode=False, _case="a model in evaluation mode; the exchange puts right what was wrong")
        back["x"]["image"] = back["x"]["image"][back["orders"][0]]
        yield back | {"orders": back["orders"][:1].argsort()}

    def probe(student, weights, x, y, columns, orders, dropout, mode):
        class Tiny(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.drop = torch.nn.Dropout(dropout)

            def forward(self, x):
                codes = torch.nn.functional.one_hot(x["categories"], 4).flatten(1).to(weights.dtype)
                return self.drop(torch.cat([x["image"].flatten(1), codes, x["numbers"]], 1)) @ weights

        model = Tiny().train(mode)
        copies = [{name: list(chosen) for name, chosen in columns.items()} for _ in orders[1:]]
        drops = [student.permutation_drop(model, x, y, each, order) for each, order in zip([columns, *copies], orders)]
        return {"drops": [float(drop) if isinstance(drop, torch.Tensor) and drop.numel() == 1 else drop for drop in drops], "modes": [module.training for module in model.modules()]}

    def judge(case, weights, x, y, columns, orders, dropout, mode, drops, modes):
        drops = [float(drop) if type(drop) is int else drop for drop in drops]
        case.that(all(isinstance(drop, float) for drop in drops), "permutation_drop should return one number, a float." + (" Is a `return` missing?" if None in drops else ""))
        flat = {**x, "image": x["image"].flatten(1)}  # so that it has columns like the others

        def are(slip=""):
            wanted = (_drop(weights, flat, y, columns, order, slip) for order in orders)
            return all(abs(drop - want) < 1e-6 * max(1, abs(want)) for drop, want in zip(drops, wanted, strict=True))

        if are():
            _modes(case, mode, modes)
            return
        case.that(not are("cut") and not are("abs") or not _drop(weights, flat, y, columns, orders[0]) < 0, "An exchange can also make the model better; then the drop is negative. Return before − after as it is.")
        messages = {
            "after": "This is the accuracy after the exchange; wanted is how much was lost: before − after.",
            "sign": "The sign is wrong: before − after, so that a loss of accuracy is positive.",
            "percent": "Wanted is a fraction, not per cent.",
            "count": "This counts samples; wanted is accuracy, a fraction of them.",
            "loss": "This is what the loss gains; wanted is what the accuracy loses.",
            "own": "This compares with the model's own predictions; wanted is the accuracy, against y.",
            "first": "Only the first name in `columns` was exchanged; all of them should be, in one go.",
            "relative": "This is the loss relative to the accuracy before; wanted is the plain difference.",
            "zero": "The inputs were set to 0. Zeros may be unlike anything the model has seen; exchanged rows are real values.",
            "whole part": "All columns of the part were exchanged; only those in the list should be.",
            "inverse": "Row i should get the values of row order[i]: `part[order]`. Yours goes the other way.",
            "everything": "All parts were exchanged; only those named in `columns` should be.",
        }
        for slip, message in messages.items():
            case.that(not are(slip) or not any(drops), message)
        case.that(any(drops), "Nothing was lost." + (" An empty list means the whole part: is it exchanged?" if [] in columns.values() else "") + " Do the exchanged inputs reach the model? Are the labels left as they are? Or did your code write into x itself (`dict(x)` copies the dict, not its tensors), so that both accuracies are those of the exchanged rows?")
        case.that(not dropout, "With dropout the result is another: the model was in training mode. Measure in evaluation mode, `model.eval()`.")
        case.that(False, f"The drop is {drops[0]:.4f}; wanted {_drop(weights, flat, y, columns, orders[0]):.4f}. Row i of the exchanged columns is row order[i] of the original; the labels and all else stay.")


def _modes(case, mode, modes):
    """Every module is in the mode in which the model came."""
    came, left = ("training", "evaluation") if mode else ("evaluation", "training")
    case.that(modes[0] == mode, f"The model came in {came} mode and was left in {left} mode: put it back, with `model.train(…)`.")
    case.that(all(training == mode for training in modes), f"The model is in {came} mode again, but not the modules in it: `model.train(…)` sets them all, `model.training = …` does not.")


def _leaning(weights, x, slip=""):
    """‖features ⊙ gradient‖ of each branch of the tiny joint model below, without and with misconceptions."""
    image, table = (torch.tanh(x[name] @ weights[f"{part}.0.weight"].T + weights[f"{part}.0.bias"]) for name, part in (("image", "image"), ("numbers", "table")))
    features = {"image": image.detach().requires_grad_(), "table": table.detach().requires_grad_()}
    hidden = F.relu(torch.cat(list(features.values())[:: -1 if slip == "table first" else 1], 1) @ weights["head.0.weight"].T + weights["head.0.bias"])
    logits = hidden @ weights["head.2.weight"].T + weights["head.2.bias"]
    winner = logits.max(1).values
    score = {"single": logits.max(), "loss": F.cross_entropy(logits, logits.argmax(1)), "mean": winner.mean(), "all": logits.sum(), "probability": logits.softmax(1).max(1).values.sum(), "log": logits.log_softmax(1).max(1).values.sum()}.get(slip, winner.sum())
    gradients = torch.autograd.grad(score, list(features.values()))
    result = {}
    for (name, part), gradient in zip(features.items(), gradients):
        part = part.detach()
        products = {"gradient": gradient, "features": part}.get(slip, part * gradient)
        result[name] = {"sum": products.sum(1), "abs sum": products.abs().sum(1), "rows": products.norm(dim=0), "total": products.norm(), "squared": products.square().sum(1),
                        "norms": part.norm(dim=1) * gradient.norm(dim=1)}.get(slip, products.norm(dim=1))
    if slip == "shares":
        result = {name: size / sum(result.values()) for name, size in result.items()}
    return result


@exercise("11.8", points=3, needs=["branch_gradients"], reference="utils.mixed:branch_gradients")
class BranchGradients:
    """Gradients by branch."""

    errors = {
        "grad can be implicitly created only for scalar outputs": "There is a winning logit for each sample. Add them up: a sample's features change its own logit only, so the sum's gradient is each sample's own.",
        "appears to not have been used": "The features that you ask the gradient for are not those that went into the head: compute the logits from them, not by `model(x)`.",
        "does not require grad": "Nothing was recorded. Make the features leaves that require a gradient, and call the head outside `no_grad`.",
        "has no attribute 'norm'": "`torch.autograd.grad` returns a tuple, one gradient for each input that was asked for. (And `.grad` is None where no backward reached.)",
        "NoneType": "A gradient is None: `.grad` is kept in leaves only. Detach the features before `requires_grad_()`, or use `torch.autograd.grad`.",
    }

    def inputs(rng):
        def case(wide, narrow, rows, dtype=torch.float32, **more):
            shapes = {"image.0": (wide, 5), "table.0": (narrow, 3), "head.0": (8, wide + narrow), "head.2": (4, 8)}
            weights = {}
            for name, shape in shapes.items():
                weights |= {f"{name}.weight": rng.randn(*shape, dtype=dtype), f"{name}.bias": rng.randn(shape[0], dtype=dtype)}
            return {"weights": weights, "x": {"image": rng.randn(rows, 5, dtype=dtype), "numbers": rng.randn(rows, 3, dtype=dtype)}, "dropout": 0.0, "mode": True, "kept": False} | more

        yield case(4, 4, 6, _case="6 samples")
        yield case(7, 2, 5, torch.float64, mode=False, _case="7 and 2 features; float64; in evaluation mode")
        yield case(4, 3, 8, dropout=0.6, kept=True, _case="a head with dropout, in training mode; each .grad is 1")

    def probe(student, weights, x, dropout, mode, kept):
        nn = torch.nn

        class Branch(nn.Sequential):
            def __init__(self, name, inputs, outputs):
                super().__init__(nn.Linear(inputs, outputs), nn.Tanh())
                self.part = name

            def forward(self, x):
                return super().forward(x[self.part])

        model = nn.Module()
        wide, narrow = len(weights["image.0.bias"]), len(weights["table.0.bias"])
        model.image, model.table = Branch("image", 5, wide), Branch("numbers", 3, narrow)
        model.head = nn.Sequential(nn.Linear(wide + narrow, 8), nn.ReLU(), nn.Linear(8, 4))
        model.to(x["image"].dtype).load_state_dict(weights)
        model.head[1].register_forward_hook(lambda module, inputs, output: nn.functional.dropout(output, dropout, module.training))
        model.forward = lambda x: model.head(torch.cat([model.image(x), model.table(x)], 1))
        model.train(mode)
        for p in model.parameters() if kept else ():
            p.grad = torch.ones_like(p)
        result = student.branch_gradients(model, x)
        return {"result": dict(result) if isinstance(result, dict) else result, "modes": [module.training for module in model.modules()],
                "grads": [p.grad for p in model.parameters()], "frozen": not all(p.requires_grad for p in model.parameters())}

    def judge(case, weights, x, dropout, mode, kept, result, modes, grads, frozen):
        case.that(isinstance(result, dict) and set(result) == {"image", "table"}, "branch_gradients should return a dict with the names image and table." + (" Is a `return` missing?" if result is None else ""))
        want = _leaning(weights, x)
        slips = {
            "gradient": "This is the gradient alone. A large gradient on a feature that is 0 moves nothing: multiply by the features.",
            "features": "This is the size of the features; what they do to the logit is features ⊙ gradient.",
            "loss": "This is the gradient of the loss; wanted is that of the winning logit.",
            "mean": "The logits were averaged over the samples, so each gradient is divided by their number: use the sum.",
            "all": "This is the gradient of all logits together; wanted is that of the largest one of each sample.",
            "probability": "This is the gradient of the probability; wanted is that of the logit.",
            "log": "This is the gradient of the log-probability; wanted is that of the logit.",
            "sum": "The products were added up: pluses and minuses cancel. Take their norm.",
            "abs sum": "The absolute products were added up; wanted is the norm, the root of the sum of squares.",
            "rows": "The norm runs over the samples; wanted is one number for each sample: `dim=1`.",
            "total": "This is one number for all samples; wanted is one for each: `dim=1`.",
            "single": "This is the largest logit of the whole batch; wanted is that of each sample: `max(dim=1)`.",
            "squared": "This is the square of the norm: the root is missing.",
            "norms": "This is ‖features‖ · ‖gradient‖; multiply element by element first, then take the norm.",
            "table first": "The table's features went into the head before the image's: the model joins the image's first.",
            "shares": "These are shares of the two norms; wanted are the norms.",
        }
        wrong = {slip: _leaning(weights, x, slip) for slip in slips}
        for name in ("image", "table"):
            swap = {"The two branches are swapped.": want["table" if name == "image" else "image"]}
            if dropout and isinstance(result[name], torch.Tensor) and result[name].shape == want[name].shape and not torch.allclose(result[name], want[name], rtol=1e-3, atol=1e-4):
                case.that(False, "The head has dropout, and the model was in training mode: ask in evaluation mode, `model.eval()`.")
            case.close(result[name], want[name], what=f'The result["{name}"]', mistakes={slips[slip]: wrong[slip][name] for slip in slips} | swap)
        _modes(case, mode, modes)
        same = all(grad is not None and bool((grad == 1).all()) for grad in grads) if kept else all(grad is None for grad in grads)
        case.that(same, "The parameters' `.grad` is not as it was: the next training step would use it. `torch.autograd.grad` leaves `.grad` alone; `zero_grad` throws away what was there.")
        case.that(not frozen, "Parameters were left frozen (requires_grad is False): they would never learn again.")
