"""Checks of lab 03, data."""

import io
import math

import numpy as np
import torch
from PIL import Image

from . import exercise

F64 = torch.float64


@exercise("03.1", points=2, needs=["ArrayDataset"])
class InMemory:
    """A dataset in memory."""

    errors = {
        "'NoneType' object is not callable": "Without a transform, `transform` is None and cannot be called: ask first.",
        "takes no arguments": "`__init__` must take images, labels and transform.",
        "is not subscriptable": "`dataset[i]` asks for a method `__getitem__(self, i)`.",
        "object of type 'ArrayDataset' has no len()": "`len(dataset)` asks for a method `__len__(self)`.",
    }

    def inputs(rng):
        yield {"images": rng.randn(5, 2, 3), "labels": rng.randint(0, 9, (5,)), "factor": None, "asked": [0, 3, 4]}
        yield {"images": rng.randn(5, 2, 3), "labels": rng.randint(0, 9, (5,)), "factor": 3, "asked": [2, 2, 0], "_case": "with a transform"}
        yield {"images": rng.randint(0, 256, (7, 1, 4, 4), dtype=torch.uint8), "labels": rng.randint(5, 9, (7,)), "factor": None, "asked": [6, 1]}
        yield {"images": rng.randn(4, 6, dtype=F64).t(), "labels": rng.randint(0, 9, (6,)), "factor": 2, "asked": [5, 5, 1]}

    def probe(student, images, labels, factor, asked):
        calls = []

        def transform(image):  # the k-th call adds k: each call must be a new one
            calls.append(0)
            return image * factor + len(calls)

        dataset = student.ArrayDataset(images, labels) if factor is None else student.ArrayDataset(images, labels, transform)
        early = len(calls)
        samples = [dataset[i] for i in asked]
        return {"length": len(dataset), "samples": samples, "early": early, "calls": len(calls)}

    def judge(case, images, labels, factor, asked, length, samples, early, calls):
        case.equal(length, len(images), what="len(dataset)", mistakes={"`len(dataset)` is the number of samples, not of dimensions.": images.ndim, "`len(dataset)` is the number of samples, not of all numbers in them.": images.numel()})
        case.that(early == 0, "The transform ran in `__init__`, on all images. It must run when a sample is asked for: a random transform shall draw anew each time.")
        for k, (i, sample) in enumerate(zip(asked, samples, strict=True), start=1):
            case.that(isinstance(sample, list) and len(sample) == 2, "A sample is a pair: `return image, label`.")
            image, label = sample
            case.that(not (isinstance(image, int) and isinstance(label, torch.Tensor)), "The image comes first, then the label.")
            case.that(not isinstance(label, torch.Tensor), "The label is a tensor; asked is a plain int: `int(self.labels[i])`.")
            case.that(not isinstance(label, float), "The label is a float; asked is a plain int: `int(self.labels[i])`.")
            case.equal(label, int(labels[i]), what=f"The label of sample {i}", mistakes={"The transform is for the image, not for the label.": int(labels[i]) * (factor or 0) + k, "The label is the sample's position. Take `labels[i]`.": i})
            if factor is None:
                case.close(image, images[i], what=f"The image of sample {i}")
                continue
            mistakes = {"The transform was not applied.": images[i], "The transform ran once, and its result was kept. Call it each time a sample is asked for.": images[i] * factor + asked.index(i) + 1}
            case.that(calls != len(asked) * 2, "The transform ran twice for each sample.")
            case.close(image, images[i] * factor + k, what=f"The image of sample {i}", mistakes=mistakes)


@exercise("03.2", points=3, needs=["ShuffledSampler", "BalancedSampler"])
class Samplers:
    """Two samplers."""

    errors = {
        "without replacement": "A rare class must be drawn again and again: `replacement=True`.",
        "invalid multinomial distribution": "A weight is infinite, nan or negative. Classes that do not occur have a count of 0, and 1/0 is infinite: give weights to samples, not to classes.",
        "is not iterable": "`__iter__` must return an iterator: `iter(a_list)`, or use `yield`.",
        "non-iterator": "`__iter__` must return an iterator: `iter(a_list)`, or use `yield`.",
        "has no len()": "A sampler needs `__len__`: the number of positions in an epoch.",
    }

    def inputs(rng):
        def labels(counts):
            order = rng.randperm(sum(counts.values()))
            return torch.tensor([c for c, count in counts.items() for _ in range(count)])[order]

        yield {"n": 10, "seed": 3, "labels": labels({0: 80, 1: 15, 2: 5}), "num_samples": 3000}
        yield {"n": 37, "seed": 11, "labels": labels({3: 6, 9: 60}), "num_samples": 3000, "_case": "labels 3 and 9"}
        yield {"n": 1, "seed": 5, "labels": labels({0: 700, 1: 100}), "num_samples": None, "_case": "num_samples=None, generator=None"}

    def probe(student, n, seed, labels, num_samples):
        from itertools import islice

        def generator():
            return torch.Generator().manual_seed(seed)

        def epoch(sampler, size):  # one position more than asked tells an epoch that is too long, or never ends
            return list(islice(sampler, size + 1))

        def without_generator(global_seed):
            torch.manual_seed(global_seed)
            return [epoch(student.ShuffledSampler(range(50)), 50), epoch(student.BalancedSampler(labels), len(labels))]

        k = len(labels) if num_samples is None else num_samples
        shuffled = student.ShuffledSampler(range(n), generator=generator())
        evidence = {"length": len(shuffled), "epochs": [epoch(shuffled, n), epoch(shuffled, n)]}
        balanced = student.BalancedSampler(labels, num_samples, generator())
        again = student.BalancedSampler(labels, num_samples, generator())
        evidence |= {"drawn_length": len(balanced), "drawn": [epoch(balanced, k), epoch(balanced, k), epoch(again, k)]}
        return evidence | {"defaults": [without_generator(s) for s in (1, 2, 1)] if num_samples is None else []}

    def judge(case, n, seed, labels, num_samples, length, epochs, drawn_length, drawn, defaults):
        _judge_shuffled(case, n, seed, length, epochs)
        _judge_balanced(case, labels, num_samples or len(labels), drawn_length, drawn)
        case.equal(len(defaults), 3 if num_samples is None else 0, what="The number of samplers without a generator")
        for name, orders in zip(("ShuffledSampler", "BalancedSampler"), zip(*defaults)):
            one, other, one_again = orders
            case.that(one != other and one == one_again, f"{name} without a generator must draw from torch's global one, which `torch.manual_seed` sets: pass None on, `generator=self.generator`.")


def _judge_shuffled(case, n, seed, length, epochs):
    case.equal(length, n, what="len(ShuffledSampler)")
    case.that(not any(isinstance(i, torch.Tensor) for epoch in epochs for i in epoch), "A sampler gave tensors; asked are plain ints: `.tolist()`.")
    first, second = epochs
    case.that(first, "ShuffledSampler gave no positions.")
    case.that(len(first) <= n, f"An epoch has {n} positions; ShuffledSampler goes on after them.")
    case.that(second or not first, "ShuffledSampler is empty in its second epoch: an iterator can be used up only once. Make a new one in each `__iter__`.")
    case.that(sorted(first) != list(range(1, n + 1)), "Positions start at 0.")
    case.that(len(set(first)) == len(first) or len(first) != n, "Some positions come twice, others never: a shuffled order is a permutation (`torch.randperm`).")
    case.equal(sorted(first), list(range(n)), what="ShuffledSampler's positions, sorted")
    generator = torch.Generator().manual_seed(seed)
    want = [torch.randperm(n, generator=generator).tolist() for _ in range(3)]
    torch.manual_seed(0)
    own = torch.randperm(n).tolist()
    mistakes = {
        "You gave the positions in order: draw `torch.randperm`.": list(range(n)),
        "Your order comes from torch's global generator. Pass yours on: `torch.randperm(n, generator=self.generator)`.": own,
        "This is the generator's second permutation: you drew one before that you did not use (in `__init__`?).": want[1],
    }
    case.equal(first, want[0], what="The first epoch's order", mistakes=mistakes | {"This is not the order that `torch.randperm(n, generator=self.generator)` draws. Draw so, from the generator given.": [first]})
    case.that(n == 1 or second != first, "Both epochs have the same order. Draw in `__iter__`, and do not seed the generator again.")
    # (torch's RandomSampler leaves a permutation out between two epochs)
    case.that(second in want[1:], "The second epoch's order is not the generator's next `torch.randperm(n, generator=…)`.")


def _judge_balanced(case, labels, k, length, drawn):
    case.equal(length, k, what="len(BalancedSampler)", mistakes={"`len` of the sampler is the number of positions in an epoch, num_samples.": [len(labels), len(labels.unique())]})
    flat = [i for epoch in drawn for i in epoch]
    case.that(not any(isinstance(i, torch.Tensor) for i in flat), "A sampler gave tensors; asked are plain ints: `.tolist()`.")
    case.that(all(type(i) is int and 0 <= i < len(labels) for i in flat), f"BalancedSampler gave something that is no position from 0 to {len(labels) - 1}.")
    first, second, again = drawn
    case.that(second or not first, "BalancedSampler is empty in its second epoch. Make a new iterator in each `__iter__`.")
    case.that(len(first) <= k, f"An epoch has num_samples = {k} positions; BalancedSampler goes on after them.")
    case.equal([len(first), len(second)], [k, k], what="The number of positions in the first and the second epoch")
    case.that(first == again, "The same seed gave two different balanced orders: draw from the generator given.")
    case.that(first != second, "BalancedSampler gave the same positions in both epochs. Draw in `__iter__`.")
    values, counts = labels.unique(return_counts=True)
    case.that(set(flat) - set(range(len(values))), "Only 0, 1, …: these are classes, or you gave one weight a class. Wanted are positions of samples: one weight a sample.")
    hits = torch.tensor(first + second).bincount(minlength=len(labels)).double()
    share = torch.stack([hits[labels == c].sum() for c in values]) / hits.sum()
    fair = torch.full_like(share, 1 / len(values))
    slack = 5 * math.sqrt(0.25 / (2 * k)) + 0.005

    def near(other):
        return bool((share - other / other.sum()).abs().max() < slack)

    as_counted = counts.double()
    if not near(fair):
        case.that(not near(as_counted), "The classes come as often as in the data: nothing is balanced. A sample's weight is one over the size of its class.")
        case.that(not near(as_counted.square()), "The frequent class has become even more frequent: the weight is one *over* the count.")
        case.that(not near(as_counted.sqrt()), "With one over the *root* of the count, the classes are only half balanced.")
        shares = ", ".join(f"class {c}: {s:.0%}" for c, s in zip(values.tolist(), share.tolist()))
        case.that(False, f"The classes should be equally frequent; they are not ({shares}).")
    rounds = 2 * k / len(values)  # draws of each class
    for c, count in zip(values.tolist(), counts.tolist()):
        of_class = hits[labels == c]
        mean = rounds / count
        case.that(mean < 12 or bool((of_class > 0).all()), f"Class {c} has {count} samples, of which only {int((of_class > 0).sum())} are ever drawn.")
        case.that(bool((of_class < mean + 7 * math.sqrt(mean) + 4).all()), f"Within class {c} some samples come far more often than others; each should have the same chance.")
        case.that(mean >= 12 or int((of_class > 0).sum()) > 0.6 * count * (1 - math.exp(-mean)), f"Within class {c}, too few different samples are drawn; each should have the same chance.")


@exercise("03.3", points=3, needs=["collate", "pad_collate"])
class Collate:
    """Two collate functions."""

    errors = {
        "stack expects each tensor to be equal size": "`torch.stack` wants equal shapes: sequences must be padded first, along their first dimension (`F.pad(s, (0, n))` pads the last).",
        "Sizes of tensors must match": "Tensors of unequal length cannot be joined as they are: pad first.",
        "same number of dimensions": "The padding has another shape than the steps of the sequence: a step may be more than one number, `sequence.shape[1:]`.",
        "must match the existing size": "A sequence does not fit into its place: write to `row[: len(sequence)]`. Has a step more than one number?",
        "must match the size of tensor": "A sequence does not fit into its place: write to `row[: len(sequence)]`. Has a step more than one number?",
        "but got int": "Labels are ints, which cannot be stacked: `torch.tensor(labels)`.",
        "expected Tensor as element": "`samples` is a list of pairs: take them apart first, `images, labels = zip(*samples)`.",
    }

    def inputs(rng):
        def samples(lengths, step=(), make=rng.randn):
            return [[make(length, *step), rng.integer(0, 10)] for length in lengths]

        def letters(length, *step):
            return rng.randint(1, 27, (length, *step))

        images = [[rng.randn(3, 4), rng.integer(0, 10)] for _ in range(4)]
        words = samples([3, 8, 4], make=letters)
        words[1][0][-2:] = 0
        yield {"images": images, "sequences": words, "padding": 0, "_case": "words; one ends in zeros of its own"}
        yield {"images": [[rng.randint(0, 256, (1, 2, 2), dtype=torch.uint8), 7]], "sequences": samples([2, 5, 5, 1], (2,)), "padding": -1, "_case": "steps of two numbers, padding −1"}
        yield {"images": [[rng.randn(2, dtype=F64), k] for k in (3, 1)], "sequences": [[rng.randn(n, 2, 3, dtype=F64), n] for n in (4, 2)], "padding": 0.5, "_case": "float64, padding 0.5"}
        yield {"images": images[:2], "sequences": samples([6, 6]), "padding": 9, "_case": "equal lengths"}

    def probe(student, images, sequences, padding):
        together = student.collate([tuple(sample) for sample in images])
        pairs = [tuple(sample) for sample in sequences]
        return {"together": together, "padded": student.pad_collate(pairs, padding) if padding != 0 else student.pad_collate(pairs)}

    def judge(case, images, sequences, padding, together, padded):
        case.that(isinstance(together, list) and len(together) == 2, "`collate` returns two things: (images, labels).")
        stacked, labels = torch.stack([image for image, _ in images]), torch.tensor([label for _, label in images])
        case.that(not isinstance(together[1], list), "collate's labels are a list; asked is an int64 tensor: `torch.tensor(labels)`.")
        case.close(together[0], stacked, what="collate's images", mistakes={"You joined the images along their first dimension (`cat`). A batch has a new dimension in front: `stack`.": torch.cat([image for image, _ in images])})
        case.close(together[1], labels, what="collate's labels")
        case.that(isinstance(padded, list) and len(padded) == 3, "`pad_collate` returns three things: (padded, lengths, labels).")
        parts = [sequence for sequence, _ in sequences]
        lengths = torch.tensor([len(part) for part in parts])
        longest = int(lengths.max())
        want = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=padding)
        front = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=padding, padding_side="left")
        mistakes = {
            "Time comes first in your result: (longest, B, …). The batch's dimension is the first; `batch_first=True`.": want.transpose(0, 1).contiguous(),
            "You padded in front of the sequences; the padding comes at the end.": front,
            "You padded with 0; the value is the argument `padding`.": torch.nn.utils.rnn.pad_sequence(parts, batch_first=True),
            "You cut all sequences to the shortest. Nothing may get lost: fill up the short ones.": torch.stack([part[: int(lengths.min())] for part in parts]),
            "Your result has another dtype than the sequences. Make it with `sequence.new_full(…)`, or give `dtype=`.": [want.float(), want.double(), want.long()],
        }
        case.close(padded[0], want, what="The padded sequences", mistakes=mistakes)
        case.that(not isinstance(padded[1], list), "The lengths are a list; asked is an int64 tensor.")
        case.close(padded[1], lengths, what="The lengths", mistakes={
            "These are the padded lengths, all the same. Wanted is how long each sequence was *before*.": torch.full_like(lengths, longest),
            "This is the number of padded places. Wanted is the number of real ones.": longest - lengths,
            "You counted the places that differ from the padding; but a sequence may hold this value, too. Ask each for its `len`.": (want != padding).flatten(2).any(dim=2).sum(dim=1) if want.ndim > 2 else (want != padding).sum(dim=1),
            "You counted all numbers of a sequence; its length is `len(sequence)`.": torch.tensor([part.numel() for part in parts]),
        } if longest > int(lengths.min()) else {})
        case.close(padded[2], torch.tensor([label for _, label in sequences]), what="pad_collate's labels", mistakes={"The labels are the lengths.": lengths})


@exercise("03.4", points=4, needs=["Loader"], reference="torch.utils.data:DataLoader")
class TheLoader:
    """The loader."""

    errors = {
        "stack expects a non-empty": "An empty batch was collated: when the size divides the number of samples, no rest is left over.",
        "not enough values to unpack": "An empty batch was collated: when the size divides the number of samples, no rest is left over.",
        "list index out of range": "An empty batch was collated: when the size divides the number of samples, no rest is left over.",
        "tuple indices must be": "The dataset is asked with one position at a time: `[dataset[i] for i in positions]`.",
        "list indices must be": "The dataset is asked with one position at a time: `[dataset[i] for i in positions]`.",
        "is not iterable": "`__iter__` must give the batches: write it with `yield`.",
        "non-iterator": "`__iter__` must give the batches: write it with `yield`.",
        "'NoneType' object is not callable": "`collate_fn` is None unless one is given: use `collate` then.",
        "more than 1000 samples": "Your loader does not end. One `for` over it is one epoch: stop when the sampler has given its positions.",
        "has no len()": "`len(loader)` asks for `__len__`, which counts the sampler's positions.",
    }

    def inputs(rng):
        def case(label, n, batch_size, order=None, drop_last=False, own=False, dtype=torch.float32, **more):
            return {"x": rng.randn(n, 2, dtype=dtype), "y": rng.randint(0, 9, (n,)), "batch_size": batch_size, "order": order, "drop_last": drop_last, "own": own, "_case": label}

        yield case("10 samples in batches of 4", 10, 4)
        yield case("8 samples in batches of 4", 8, 4)
        yield case("drop_last", 10, 4, drop_last=True)
        yield case("a sampler that gives 5 of 12 positions", 12, 2, order=[7, 0, 7, 11, 3])
        yield case("a sampler that gives 9 of 4 positions, drop_last", 4, 3, order=[1, 1, 0, 2, 3, 3, 0, 1, 2], drop_last=True)
        yield case("a collate_fn of its own, float64", 7, 3, own=True, dtype=F64)
        yield case("3 samples in batches of 8", 3, 8)
        yield case("3 samples in batches of 8, drop_last", 3, 8, drop_last=True)

    def probe(student, x, y, batch_size, order, drop_last, own):
        read = []

        class Samples:
            def __len__(self):
                return len(x)

            def __getitem__(self, i):
                if isinstance(i, (list, slice)):
                    raise TypeError("list indices must be integers: this dataset has one sample at a time")
                if not 0 <= i < len(x):
                    raise IndexError("position out of range")
                read.append(int(i))
                if len(read) > 1000:
                    raise RuntimeError("more than 1000 samples were read")
                return x[i], int(y[i])

        class Turning:  # gives its positions in the other direction each second epoch
            def __init__(self):
                self.epoch = 0

            def __iter__(self):
                self.epoch += 1
                return iter(order if self.epoch % 2 else order[::-1])

            def __len__(self):
                return len(order)

        def last_first(samples):
            return [float(samples[-1][0][0]), len(samples), [label for _, label in samples]]

        options = {"drop_last": drop_last} | ({"collate_fn": last_first} if own else {})

        def loader():
            return student.Loader(Samples(), batch_size=batch_size, sampler=None if order is None else Turning(), **options)

        one = loader()
        evidence = {"length": len(one)}
        batches = iter(one)
        try:
            next(batches)
        except StopIteration:
            pass
        evidence["read_for_first"] = list(read)
        one = loader()
        evidence["epochs"] = [list(one), list(one)]
        one = loader()
        evidence["pairs"] = None if order else [[a, b] for a, b in zip(one, one)]  # two loops at a time
        return evidence

    def judge(case, x, y, batch_size, order, drop_last, own, length, read_for_first, epochs, pairs):
        def expected(positions):
            groups = [positions[k : k + batch_size] for k in range(0, len(positions), batch_size)]
            if drop_last:
                groups = [group for group in groups if len(group) == batch_size]
            if own:
                return [[float(x[g[-1], 0]), len(g), y[g].tolist()] for g in groups], groups
            return [[x[g], y[g]] for g in groups], groups

        positions = list(range(len(x))) if order is None else order
        want, groups = expected(positions)
        down, up = len(positions) // batch_size, -(-len(positions) // batch_size)
        case.equal(length, len(want), what="len(loader)", mistakes={} if down == up else {
            "`len(loader)` leaves out the shorter last batch, which your loader must give unless drop_last.": down if not drop_last else -1,
            "`len(loader)` counts a shorter last batch, although drop_last is True.": up if drop_last else -1,
            "`len(loader)` is the number of samples; wanted is that of batches.": len(positions),
        } | ({"`len(loader)` follows the dataset; the sampler decides how many samples an epoch has.": [len(x) // batch_size, -(-len(x) // batch_size)]} if order else {}))
        first, second = epochs
        _judge_epoch(case, first, want, groups, x, y, drop_last, own)
        if order:
            want = expected(order[::-1])[0]
            case.that(not _same_batches(second, expected(order)[0]) or order == order[::-1], "The second epoch repeats the first one's order. Ask the sampler anew in each `__iter__`.")
        case.that(second or not want, "The second `for` over the loader gives nothing: make a new iterator in each `__iter__`.")
        case.that(_same_batches(second, want), "The first epoch is right, the second is not.")
        if pairs is not None:
            case.that(all(_same_batches([a], [b]) for a, b in pairs) and len(pairs) == len(want), "Two loops over one loader at a time disturb each other: keep the state of a loop in `__iter__`'s own variables, not in `self`.")
        case.that(len(read_for_first) <= len(groups[0]) + 1 if groups else True, f"Before it gave its first batch of {batch_size}, your loader read {len(read_for_first)} samples. Read a sample only when its batch is asked for: use `yield`.")


def _same_batches(got, want):
    def same(a, b):
        if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
            return isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
        if isinstance(a, list) and isinstance(b, list):
            return len(a) == len(b) and all(map(same, a, b))
        return type(a) is type(b) and a == b

    return same(got, want)


def _judge_epoch(case, got, want, groups, x, y, drop_last, own):
    if _same_batches(got, want):
        return
    case.that(isinstance(got, list) and got or not want, "The loader gives no batches.")
    if own:
        case.that(False, "With a `collate_fn` of the caller's, the batches are wrong: it is called with the list of a batch's samples, and its result is the batch.")
    case.that(len(got) != len(x) or len(got) == len(want), "The loader gives single samples, not batches.")
    case.that(all(isinstance(batch, list) and len(batch) == 2 for batch in got), "A batch should be what collate returns: (images, labels). Is the list of samples collated?")
    case.that(all(isinstance(part, torch.Tensor) for batch in got for part in batch), "A batch should be what collate returns: two tensors. Is the list of samples collated?")
    sizes, wanted = [len(batch[1]) for batch in got], [len(group) for group in groups]
    case.that(not (drop_last and len(sizes) > len(wanted)), "drop_last is True, and the shorter last batch is still there.")
    case.that(not (not drop_last and sizes == wanted[:-1]), "The last batch is missing: give the rest, too, when the samples are used up.")
    case.that(0 not in sizes, "There is an empty batch.")
    rows = torch.cat([batch[0] for batch in got]) if got else x[:0]
    in_order = torch.equal(rows, x[: len(rows)]) and not torch.equal(rows, x[[i for group in groups for i in group]][: len(rows)])
    case.that(not in_order, "The samples come in the dataset's order; the sampler's order counts.")
    case.equal(sizes, wanted, what="The sizes of the batches")
    for number, (batch, right) in enumerate(zip(got, want, strict=True)):
        case.close(batch[0], right[0], what=f"x of batch {number}")
        case.close(batch[1], right[1], what=f"y of batch {number}")


def _bytes(content: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.zeros(0, dtype=torch.uint8)


def _encoded(rng, kind: str, size: int = 40) -> bytes:
    pixels = rng.randint(0, 256, (size, size, 3), dtype=torch.uint8).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@exercise("03.5", points=2, needs=["sort_files"])
class UnreadableFiles:
    """Find the files that are no images."""

    errors = {
        "UnidentifiedImageError": "A file that is no image made your function stop. Catch it: `except (OSError, SyntaxError) as error`.",
        "image file is truncated": "A file that broke off made your function stop. `.load()` must stand inside of the `try`, too.",
        "IsADirectoryError": "A folder is no file: `if path.is_file()`.",
        "PermissionError": "A folder is no file: `if path.is_file()`.",
    }

    def inputs(rng):
        jpeg, png, gif = (_encoded(rng, kind) for kind in ("JPEG", "PNG", "GIF"))
        page = b"<html><body>404</body></html>"
        plain = {"ants/a.jpg": jpeg, "ants/cut.jpg": jpeg[: len(jpeg) // 2], "ants/page.jpg": page, "bees/b.png": png, "bees/notes.txt": b"3 May"}
        yield {"names": list(plain), "contents": [_bytes(content) for content in plain.values()]}
        names = {"top.jpg": _encoded(rng, "JPEG"), "deep/er/c.JPG": jpeg, "deep/er/cut.png": png[: len(png) // 2], "deep/ok.gif": gif, "deep/empty.jpg": b"", "deep/png_inside.jpg": png, "deep/no_suffix": png, "z.bin": bytes(range(200))}
        yield {"names": list(names), "contents": [_bytes(content) for content in names.values()], "_case": "files in subfolders, names that lie"}
        good = {"x/1.jpg": jpeg, "x/2.jpg": _encoded(rng, "JPEG", 20)}
        yield {"names": list(good), "contents": [_bytes(content) for content in good.values()], "_case": "nothing to find"}

    def probe(student, names, contents):
        import tempfile
        from pathlib import Path

        from PIL import ImageFile

        ImageFile.LOAD_TRUNCATED_IMAGES = False
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file, content in zip(names, contents):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(bytes(content.tolist()))
            result = student.sort_files(folder)
            left = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

            def short(path):
                text = Path(str(path)).as_posix()
                return text.removeprefix(folder.as_posix() + "/")

            if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], list) and isinstance(result[1], dict)):
                return {"good": None, "bad": None, "texts": None, "relative": None, "left": left, "lenient": bool(ImageFile.LOAD_TRUNCATED_IMAGES)}
            good, bad = result
            texts = [str(path) for path in [*good, *bad] if not isinstance(path, Path)]
            relative = [str(path) for path in [*good, *bad] if not Path(str(path)).is_absolute()]
            evidence = {"good": [short(path) for path in good], "bad": {short(path): reason for path, reason in bad.items()}}
            lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            return evidence | {"texts": texts, "relative": relative, "left": left, "lenient": bool(lenient)}

    def judge(case, names, good, bad, texts, relative, left, lenient):
        case.that(good is not None, "Return two things: a list of the good paths, and a dictionary from each bad path to the reason.")
        case.that(not lenient, "With LOAD_TRUNCATED_IMAGES, PIL fills up what is missing with grey, and a file that broke off seems good. Leave it off.")
        case.that(left == sorted(names), "Your function changed the folder: a file is gone, or is new. Only read.")
        folders = {name[:k] for name in names for k, letter in enumerate(name) if letter == "/"}
        case.that(not folders & {*good, *bad}, "A folder is in your lists; only files belong there: `if path.is_file()`.")
        broken = {"ants/cut.jpg", "ants/page.jpg", "bees/notes.txt", "deep/er/cut.png", "deep/empty.jpg", "z.bin"} & set(names)
        right = sorted(set(names) - broken)
        passed = sorted(broken & set(good))
        case.that(good or not right, "No file counts as good. Do you look into the subfolders (`rglob`)?")
        cut = [name for name in passed if "cut" in name]
        by_name = [name for name in passed if name.endswith((".jpg", ".png"))]
        case.that(not (cut and len(passed) > len(cut) and passed == by_name), f"{', '.join(passed)}: counted as good. The name says nothing; open the file and decode it.")
        case.that(not cut, f"{', '.join(cut)}: broken off, but counted as good. `Image.open` reads the header only, `.verify()` does not decode; `.load()` does.")
        case.that(not passed, f"{', '.join(passed)}: counted as good, and is no image.")
        missing = sorted(set(right) - set(good))
        case.that(not set(missing) & set(bad), f"{', '.join(missing)}: a readable image, counted as bad. The content decides, not the name.")
        flat = {name.rsplit("/", 1)[-1] for name in right}
        case.that(not (missing and set(good) <= flat), "Give whole paths, not names of files: two folders may hold the same name.")
        case.that(missing != ["deep/no_suffix"], "deep/no_suffix: in neither list. Not every name has a dot: `rglob(\"*\")`.")
        case.that(not missing, f"{', '.join(missing)}: in neither list. Do you look into all subfolders (`rglob`)?")
        case.equal(good, right, what="The list of good files", mistakes={"The good files are not sorted.": [good] if sorted(good) == right else [None]})
        case.equal(sorted(bad), sorted(broken), what="The list of bad files", mistakes={"Files whose names are not those of images are missing from the bad ones: every file is either good or bad.": [sorted(name for name in broken if name.endswith((".jpg", ".png")))]})
        case.that(not relative, f"{relative[0] if relative else ''}: from here, this path leads to no file. Give whole paths, as `rglob` finds them.")
        case.that(not texts, "Some of your paths are texts. Give them as they are found, as `Path`s.")
        case.that(all(isinstance(reason, str) and reason.strip() for reason in bad.values()), "Every bad file needs a reason, a text that is not empty: `str(error)`, or the error's type.")


def _stats(x: torch.Tensor, unbiased: bool = False):
    return x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3), correction=int(unbiased))


@exercise("03.6", points=3, needs=["channel_stats", "undo"])
class Statistics:
    """Statistics, and back to a picture."""

    errors = {
        "channel_stats: RuntimeError: The size of tensor": "A batch's sums do not fit to the totals. There need not be 3 channels: start from the number 0.",
        "is invalid for input of size": "There need not be 3 channels: `.view(-1, 1, 1)`.",
        "object has no attribute 'sqrt'": "Nothing was added up: `batches` can be gone through only once. Add the pixels and their squares in the same `for`.",
        "division by zero": "Nothing was counted: `batches` can be gone through only once. Add up and count in the same `for`.",
        "must match the size of tensor": "The shapes do not line up: `mean` (C,) meets the last dimension, the width. `mean.view(-1, 1, 1)` meets the channels.",
        "too many values to unpack": "Each batch is a pair (x, y): `for x, _ in batches`.",
        "'tuple' object has no attribute": "Each batch is a pair (x, y): `for x, _ in batches`.",
        "not subscriptable": "`batches` can only be gone through in a `for`, once.",
        "has no len()": "`batches` can only be gone through in a `for`, once; count as you go.",
        "Sizes of tensors must match": "Images of two batches may differ in size; they cannot be joined. Keep running sums.",
    }

    def inputs(rng):
        def batches(shapes, channels, dtype=torch.float32):
            scale = torch.tensor([0.2, 0.5, 0.1], dtype=dtype).view(3, 1, 1)[:channels]
            shift = torch.tensor([0.1, 0.4, 0.7], dtype=dtype).view(3, 1, 1)[:channels]
            # the brightness differs from batch to batch
            return [scale * rng.rand(b, channels, h, w, dtype=dtype) + shift * (0.5 + k / len(shapes)) for k, (b, h, w) in enumerate(shapes)]

        def case(label, shapes, channels=3, dtype=torch.float32):
            xs = batches(shapes, channels, dtype)
            x = rng.randn(2, channels, 4, 5, dtype=dtype)
            mean, std = torch.tensor([[0.1, 0.5, 0.8], [0.2, 0.3, 0.6]], dtype=dtype)[:, :channels]
            return {"xs": xs, "x": x, "mean": mean, "std": std, "_case": label}

        yield case("equal batches", [(4, 6, 5)] * 3)
        yield case("a shorter last batch", [(5, 4, 6), (5, 4, 6), (1, 4, 6)])
        yield case("float64, two channels, images of two sizes", [(2, 8, 8), (3, 4, 3)], 2, F64)
        yield case("one batch", [(2, 5, 3)]) | {"x": rng.randn(2, 3, 4, 3)}

    def probe(student, xs, x, mean, std):
        given = [x.clone() for x in xs]
        stats = student.channel_stats((x, torch.zeros(len(x))) for x in given)
        return {"stats": stats, "given": given, "pixels": student.undo(x, mean, std)}

    def judge(case, xs, x, mean, std, stats, given, pixels):
        case.that(isinstance(stats, list) and len(stats) == 2, "`channel_stats` returns two things: (mean, std).")
        flat = torch.cat([part.transpose(0, 1).flatten(1) for part in xs], dim=1)
        want_mean, want_std = flat.mean(dim=1), flat.std(dim=1, correction=0)
        each = [_stats(part) for part in xs]
        means = torch.stack([m for m, _ in each])
        sizes = torch.tensor([len(part) for part in xs], dtype=flat.dtype)
        case.close(stats[0], want_mean, what="The mean", mistakes={
            "You averaged the batches' means; a batch with fewer pixels must count less.": [means.mean(dim=0), (means * sizes[:, None]).sum(dim=0) / sizes.sum()],
            "This is one number for all channels; wanted is one a channel: leave out dimension 1, `dim=(0, 2, 3)`.": [flat.mean(), flat.mean().expand(len(flat))],
            "Only the last batch is in it. Add up over all batches.": each[-1][0],
            "Only the first batch is in it. Add up over all batches.": each[0][0],
            "You divided by the number of images, not of pixels: B · H · W.": flat.sum(dim=1) / sizes.sum(),
            "You divided by the number of all values, B · C · H · W. A channel has B · H · W of them.": flat.sum(dim=1) / flat.numel(),
        })
        got = stats[1]
        unbiased = flat.std(dim=1, correction=1)
        if not (isinstance(got, torch.Tensor) and got.shape == unbiased.shape and got.dtype == unbiased.dtype and torch.allclose(got, unbiased, rtol=1e-4)):
            squares = flat.square().mean(dim=1)
            case.close(got, want_std, what="The std", rtol=1e-3 if flat.dtype == torch.float32 else None, mistakes={
                "This is the variance; its root is missing.": [want_std.square(), unbiased.square()],
                "You averaged the batches' stds. That forgets how the batches differ from each other.": [torch.stack([_stats(part, u)[1] for part in xs]).mean(dim=0) for u in (False, True)]
                + [(torch.stack([_stats(part, u)[1] for part in xs]) * sizes[:, None]).sum(dim=0) / sizes.sum() for u in (False, True)],
                "You averaged the batches' variances. That forgets how the batches differ from each other.": [torch.stack([_stats(part, u)[1].square() for part in xs]).mean(dim=0).sqrt() for u in (False, True)],
                "This is the root of the mean of the squares. Subtract the square of the mean first.": squares.sqrt(),
                "This is one number for all channels; wanted is one a channel.": [flat.std(), flat.std().expand(len(flat))],
                "Nothing was added up: `batches` can be gone through only once. Add the pixels and their squares in the same `for`.": torch.zeros_like(want_std),
                "The std is nan: a negative number under the root. Wanted is mean of squares − square of the mean. (`batches` can be gone through only once: add up both in the same `for`.)": torch.full_like(want_std, math.nan),
            })
        case.that(all(map(torch.equal, given, xs)), "`channel_stats` changed the batch `x` in place: `x.square()`, not `x.pow_(2)`; `x - m`, not `x -= m`.")
        m, s = mean.view(-1, 1, 1), std.view(-1, 1, 1)
        mistakes = {
            "This normalizes once more. To undo (p − mean) / std, multiply by std, then add the mean.": (x - m) / s,
            "You added the mean first, then multiplied. Undo the last step first: times std, plus mean.": (x + m) * s,
            "You divided by std; to undo it, multiply.": [x / s + m, (x + m) / s],
            "mean and std have changed places.": x * m + s,
            "The mean is missing: x · std + mean.": x * s,
            "The std is missing: x · std + mean.": x + m,
            "You subtracted the mean; to undo it, add.": x * s - m,
            "You cut the pixels to 0 … 1 (`clamp`); asked is the inverse alone.": (x * s + m).clamp(0, 1),
        }
        if x.shape[-1] == 3:
            mistakes["mean and std ran along the width, not along the channels: `.view(-1, 1, 1)`."] = x * std + mean
        case.close(pixels, x * s + m, what="undo(x, mean, std)", mistakes=mistakes)


@exercise("03.7", points=4, needs=["leaks", "group_split"])
class Leaks:
    """Leaks."""

    errors = {
        "unhashable type": "A tensor or an array cannot be the key of a dictionary by its content; its bytes can: `image.numpy().tobytes()`.",
        "Boolean value of Tensor with more than one": "`==` compares element by element: `torch.equal(a, b)` says whether all agree.",
    }

    def inputs(rng):
        def images(n, shape=(1, 6, 5)):
            return rng.randint(0, 256, (n, *shape), dtype=torch.uint8)

        groups = torch.tensor([3, 3, 8, 5, 8, 8, 1, 5, 9, 3])
        train, test = images(8), images(6)
        test[1], test[4], test[2] = train[5], train[2].flip(-1), train[2].flip(-2)
        train[7] = train[6]  # twice in training: no leak
        test[0] = train[3].flatten()[rng.randperm(30)].view(1, 6, 5)  # the same pixels elsewhere
        test[3] = train[1][..., [2, 0, 1, 4, 3]]  # the same columns in another order
        yield {"train": train, "test": test, "groups": groups, "share": 0.35, "seed": 1}
        train, test = images(9, (3, 4, 4)), images(7, (3, 4, 4))
        train[4] = train[1]
        test[0], test[3], test[6] = train[1], train[8], train[8].flip(-1)
        test[1], test[1, 2] = train[0], test[1, 2].clone()  # the last channel differs
        yield {"train": train, "test": test, "groups": groups.repeat(3), "share": 0.25, "seed": 2, "_case": "a picture twice in the training set"}
        train, test = images(5), images(5)
        train[2] = torch.arange(6).view(1, 6, 1).to(torch.uint8)  # its own mirror image
        test[3], test[0] = train[2], train[1]
        test[0, 0, 0, 0] ^= 1
        yield {"train": train, "test": test, "groups": 7 * torch.arange(12) + 3, "share": 0.04, "seed": 3, "_case": "a picture that is its own mirror image, and one with a pixel changed"}
        base = images(6, (4, 5, 3)).permute(0, 3, 1, 2)
        test = images(4, (4, 5, 3)).permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)
        test[2], test[0] = base[3], base[3].flip(-1)
        yield {"train": base, "test": test, "groups": torch.tensor([7] * 20 + [2] * 3 + [4]), "share": 0.67, "seed": 4, "_case": "tensors that are not contiguous"}

    def probe(student, train, test, groups, share, seed):
        def generator(seed):
            return torch.Generator().manual_seed(seed)

        found = student.leaks(train, test)
        splits = [student.group_split(groups, share, generator(seed)) for _ in range(2)]
        others = [student.group_split(groups, share, generator(seed + k))[1] for k in range(1, 31)]
        return {"found": found, "splits": splits, "others": others}

    def judge(case, train, test, groups, share, found, splits, others):
        def same(a, b):
            return torch.equal(a, b)

        pairs = [(i, j) for i in range(len(train)) for j in range(len(test))]
        exact = [p for p in pairs if same(train[p[0]], test[p[1]])]
        mirrored = [p for p in pairs if same(train[p[0]].flip(-1), test[p[1]])]
        upside = [p for p in pairs if same(train[p[0]].flip(-2), test[p[1]])]
        want = sorted({*exact, *mirrored})
        case.that(isinstance(found, list) and all(isinstance(p, list) and len(p) == 2 and all(type(k) is int for k in p) for p in found), "`leaks` returns a list of pairs of ints: [(i, j), …].")
        found = [tuple(p) for p in found]
        within = {(i, j) for i in range(len(train)) for j in range(len(train)) if i != j and same(train[i], train[j])}
        one_each = sorted({j: (i, j) for i, j in want}.values())
        case.that(not (set(found) & within) - set(want), "Two training images that are equal are no leak; compare training with test.")
        first_each = sorted({j: (i, j) for i, j in reversed(want)}.values())
        case.that(len(found) == len(set(found)), "A pair is in your list twice. A picture may be its own mirror image: collect the pairs in a set.")
        swapped = sorted((j, i) for i, j in want)
        mistakes = {
            "Mirrored copies are missing: look up `image.flip(-1)`, too.": [exact],
            "Exact copies are missing: look up the image as it is, too.": [mirrored],
            "You mirrored top to bottom. Left to right is the last dimension: `flip(-1)`.": [sorted({*exact, *upside})],
            "Pictures turned upside down are not asked for: left to right only, `flip(-1)`.": [sorted({*want, *upside})],
            "The pairs are (test, training); wanted is (training, test).": [swapped, sorted(swapped)],
            "Where the training set holds a picture twice, one of the pairs is missing. Keep a list of positions for each key.": [one_each, first_each],
            "Nothing was found. (Python's own `hash` of a tensor is about the object, not its content.)": [[]],
        }
        if sorted(found) != want:
            mistakes = {message: others for message, variants in mistakes.items() if (others := [v for v in variants if v != want])}
            known = {str(sorted(variant)) for variants in mistakes.values() for variant in variants}
            false = [p for p in sorted(found) if p not in want]
            case.that(not false or str(sorted(found)) in known, f"The pair {false[0] if false else ''} is in your list, but these two pictures differ. (Python's own `hash` of a tensor is about the object; a sum, sorted pixels or one channel leave out what differs.)")
            case.equal(sorted(found), [list(p) for p in want], what="leaks(train, test)", mistakes=mistakes)
        case.equal(found, want, what="leaks(train, test)", mistakes={"The pairs are right, but not sorted.": [found]})
        _judge_groups(case, groups, share, splits, others)


def _judge_groups(case, groups, share, splits, others):
    case.that(all(isinstance(split, list) and len(split) == 2 for split in splits), "`group_split` returns two things: (positions to train on, positions held out).")
    kept, held = splits[0]
    case.that(all(isinstance(part, torch.Tensor) for part in [kept, held, *others]), "`group_split` returns tensors of positions.")
    case.that(kept.dtype != torch.bool and held.dtype != torch.bool, "`group_split` returned masks; wanted are positions: `mask.nonzero().flatten()`.")
    case.that(kept.ndim == held.ndim == 1 and kept.dtype == held.dtype == torch.int64, "Positions are int64 tensors of one dimension: `mask.nonzero().flatten()`.")
    case.that(len(kept) + len(held) != len(groups.unique()) or len(groups) == len(groups.unique()), "These are positions in the list of groups, or the groups' names; wanted are positions of samples.")
    together = torch.cat([kept, held]).sort().values
    case.that(torch.equal(together, torch.arange(len(groups))), "Together, the two parts should hold each position from 0 to N − 1 once.")
    both = set(groups[kept].tolist()) & set(groups[held].tolist())
    case.that(not both, f"Group {min(both, default=0)} is on both sides: its samples in training give the held-out ones away. Shuffle the groups, not the samples.")
    names = groups.unique()
    choices = {tuple(sorted(groups[other].unique().tolist())) for other in [held, *others]}
    ever = {name for choice in choices for name in choice}
    varies = len({len(choice) for choice in choices}) > 1
    case.that(not (varies and ever <= set(range(len(names)))), "You hold out the groups 0, 1, …: these are positions in `groups.unique()`, not the groups. Index it with them.")
    case.that(not varies, "The number of groups held out differs from seed to seed. Draw among the groups that occur, each once: shuffle `groups.unique()`.")
    count, wanted = len(groups[held].unique()), max(1, round(share * len(names)))
    case.that(count != len(names) - wanted or count == wanted, "The two parts have changed places, or the share is that of the groups to train on. `share` is held out.")
    case.that(count > 0, "Nothing is held out: at least one group should be.")
    case.equal(count, wanted, what="The number of groups held out", mistakes={
        "You cut off the fraction; wanted is the nearest number of groups: `round`, not `int`.": max(1, int(share * len(names))),
        "You rounded up; wanted is the nearest number of groups: `round`.": math.ceil(share * len(names)),
    })
    case.that(torch.equal(kept, splits[1][0]) and torch.equal(held, splits[1][1]), "The same seed gave two different splits: draw from the generator given.")
    case.that(len(choices) > 1, "Every seed holds out the same groups: draw them at random.")
    case.that(len(ever) == len(names) or wanted * 31 < 8 * len(names), "Some groups are never held out, whatever the seed.")


@exercise("03.8", points=3, needs=["crop_box", "random_flip"])
class RandomCrop:
    """A random box, and a coin."""

    errors = {
        "random_ expects 'from' to be less than 'to'": "`randint(low, high)` leaves out high, so a box as high (or wide) as the image needs `randint(0, 1)`: high is `height - h + 1`. Or the box does not fit: draw again.",
        "math domain error": "The logarithm or the root of a number that is not positive.",
        "Expected a 'cpu' device type": "Draw from the generator given, with torch's functions: `torch.rand((), generator=generator)`.",
    }

    def inputs(rng):
        def case(label, height, width, scale, ratio, p, count=600):
            image = rng.randint(0, 256, (2, 3, 4), dtype=torch.uint8)
            return {"height": height, "width": width, "scale": scale, "ratio": ratio, "p": p, "count": count, "seed": rng.integer(0, 1000), "image": image, "_case": label}

        yield case("boxes of 10 % to 25 % of 400 × 500 pixels, ratio 1/2 to 3", 400, 500, [0.1, 0.25], [1 / 2, 3.0], 0.5, 2000)
        yield case("the usual ratio, 3/4 to 4/3; p = 0.2", 300, 300, [0.08, 0.4], [3 / 4, 4 / 3], 0.2)
        yield case("boxes nearly as large as the image; p = 1", 12, 12, [0.8, 0.9], [0.95, 1.05], 1.0)
        yield case("a ratio that does not fit; p = 0", 10, 200, [0.9, 1.0], [3 / 4, 4 / 3], 0.0, 30)
        yield case("the whole image", 50, 50, [1.0, 1.0], [1.0, 1.0], 0.5, 60)
        yield case("often the first draw does not fit", 60, 120, [0.3, 1.0], [3 / 4, 4 / 3], 0.5)
        yield case("often none of ten draws fits", 60, 120, [0.5, 0.9], [3 / 4, 4 / 3], 0.5) | {"image": rng.randn(2, 3, 4)}

    def probe(student, height, width, scale, ratio, p, count, seed, image):
        class Endless(BaseException):
            pass

        class Limit(torch.overrides.TorchFunctionMode):  # sees every call of torch; ten draws need far fewer than 1,000
            calls = 0

            def __torch_function__(self, func, types, args=(), kwargs=None):
                self.calls += 1
                if self.calls > 1000:
                    raise Endless
                return func(*args, **(kwargs or {}))

        def box(generator):
            with Limit():
                return student.crop_box(height, width, tuple(scale), tuple(ratio), generator)

        generator = torch.Generator().manual_seed(seed)
        try:
            boxes = [box(generator) for _ in range(count)]
            again = box(torch.Generator().manual_seed(seed))
        except Endless:
            return {"boxes": None, "again": None, "flips": None, "flips_again": None, "kept": None}
        generator = torch.Generator().manual_seed(seed)
        flips = [student.random_flip(image.clone(), p, generator) for _ in range(min(count, 600))]
        generator = torch.Generator().manual_seed(seed)
        flips_again = [student.random_flip(image.clone(), p, generator) for _ in range(50)]
        kept = []
        for _ in range(8):
            kept.append(image.clone())
            student.random_flip(kept[-1], p, generator)
        return {"boxes": boxes, "again": again, "flips": flips, "flips_again": flips_again, "kept": kept}

    def judge(case, height, width, scale, ratio, p, count, image, boxes, again, flips, flips_again, kept):
        case.that(boxes is not None, "Your function draws on and on where no box fits. Ten draws, `for _ in range(10)`, then the whole image.")
        case.that(all(isinstance(box, list) and len(box) == 4 for box in boxes), "A box is four numbers: (top, left, h, w).")
        case.that(all(type(value) is int for box in boxes for value in box), "The box's numbers should be plain ints: `round(…)`, and `.item()` for what torch drew.")
        case.equal(boxes[0], again, what="The first box of a generator and of another one with the same seed", mistakes={"The same seed gave two different boxes: draw everything from the generator given.": [boxes[0]]})
        top, left, h, w = torch.tensor(boxes, dtype=F64).T
        _judge_order(case, height, width, top, left, h, w)
        inside = (top >= 0) & (left >= 0) & (h >= 1) & (w >= 1) & (top + h <= height) & (left + w <= width)
        case.that(inside.all(), f"A box lies outside of the image of {height} × {width}: (top, left, h, w) = {boxes[int((~inside).nonzero()[0])] if not inside.all() else ''}.")
        _judge_boxes(case, height, width, scale, ratio, count, top, left, h, w)
        _judge_flips(case, image, p, flips, flips_again, kept)


def _judge_order(case, height, width, top, left, h, w):
    """Where boxes do not fit: do they, if the four numbers are read in another order?"""

    def fit(top, left, h, w):
        return bool(((top >= 0) & (left >= 0) & (h >= 1) & (w >= 1) & (top + h <= height) & (left + w <= width)).all())

    if fit(top, left, h, w) or width == height:
        return
    order = "Height and width have changed places: the order is (top, left, h, w), and the box is √(A·r) *wide*."
    case.that(not fit(top, left, w, h) and not fit(left, top, w, h), order)
    case.that(not fit(left, top, h, w), "top and left have changed places: the order is (top, left, h, w).")
    corners = fit(top, left, h - top, w - left) or fit(left, top, w - left, h - top)
    case.that(not corners, "These are two corners of the box. Wanted is one corner and the size: (top, left, h, w).")


def _judge_flips(case, image, p, flips, flips_again, kept):
    case.that(not any(f is None for f in flips), "`random_flip` returned None: give the image back when it is not mirrored.")
    case.that(all(isinstance(f, torch.Tensor) and f.shape == image.shape for f in flips), "`random_flip` returns a tensor of the image's shape.")
    case.that(all(f.dtype == image.dtype for f in flips), "`random_flip` changed the dtype; a mirrored image has the same as before.")
    is_mirrored = torch.tensor([torch.equal(f, image.flip(-1)) for f in flips])
    is_same = torch.tensor([torch.equal(f, image) for f in flips])
    case.that(all(torch.equal(k, image) for k in kept), "`random_flip` changed its image in place. Return a new tensor.")
    case.that(not any(torch.equal(f, image.flip(-2)) for f in flips), "You mirrored top to bottom. Left to right is the last dimension: `flip(-1)`.")
    case.that((is_mirrored | is_same).all(), "`random_flip` returned something that is neither the image nor its mirror image.")
    case.that(all(map(torch.equal, flips, flips_again)), "The same seed gave different flips: draw from the generator given, `torch.rand((), generator=generator)`.")
    share, slack = is_mirrored.double().mean().item(), 5 * math.sqrt(max(p * (1 - p), 1e-9) / len(flips))
    case.that(abs(share - p) <= slack or abs(share - (1 - p)) > slack or p == 0.5, f"With p = {p}, {share:.0%} were mirrored: it is the other way round.")
    case.that(abs(share - p) <= slack or abs(share - 0.5) > 0.12, f"With p = {p}, {share:.0%} were mirrored: use p.")
    case.that(abs(share - p) <= slack, f"With p = {p}, {share:.0%} of {len(flips)} images were mirrored.")


def _judge_boxes(case, height, width, scale, ratio, count, top, left, h, w):
    area, low, high = h * w / (height * width), *scale
    whole = (h == height) & (w == width)
    r = w / h
    cut = "A box is cut to fit into the image; its ratio is wrong then. When it does not fit, draw again."
    if height < 20 < width:  # nothing fits
        case.that(len(w.unique()) == 1, cut)
        case.that(whole.all(), "If ten draws do not fit, take the whole image: (0, 0, height, width).")
        return
    if low == 1:
        case.that(whole.all(), "With scale = (1, 1) on a square image the box is the whole image.")
        return
    if width == 2 * height:  # some draws do not fit: those that count are still in range
        inner = ~whole
        case.that((r[inner] < ratio[1] * 1.06).all() and (r[inner] > ratio[0] / 1.06).all(), cut)
        wanted, share = _share_of_whole_images(height, width, scale, ratio), whole.double().mean().item()
        spread = 5 * math.sqrt(wanted * (1 - wanted) / count) + 0.01
        case.that(share < wanted + spread, f"{share:.0%} of the boxes are the whole image; with ten draws it would be {wanted:.0%}. When a box does not fit, draw again, up to ten times, both the share and the ratio.")
        case.that(share > wanted - spread, f"{share:.0%} of the boxes are the whole image; with ten draws it would be {wanted:.0%}. Do you draw more than ten times?")
        return
    slack = 3 / math.sqrt(float((h * w).min()))  # rounding to whole pixels
    if height > 20:
        mean = (low + high) / 2
        sigma = (high - low) / math.sqrt(12 * count)
        case.that(not (area.max() < high**2 + slack and abs(area.mean() - (high**3 - low**3) / (3 * (high - low))) < 6 * sigma),
                  "You took scale as the share of the *side*. It is that of the area: a side of one half is a quarter of the area.")
        case.that((area > low - slack).all() and (area < high + slack).all(), f"The boxes take from {area.min():.0%} to {area.max():.0%} of the area; wanted: {low:.0%} to {high:.0%}.")

        def in_range(r):
            return bool((r < ratio[1] * (1 + slack)).all() and (r > ratio[0] * (1 - slack)).all())

        case.that(in_range(r) or not in_range(1 / r), "Height and width have changed places: with the ratio r, the box is √(A·r) *wide* and √(A/r) high.")
        case.that(in_range(r), f"width / height of the boxes goes from {r.min():.2f} to {r.max():.2f}; wanted: {ratio[0]:.2f} to {ratio[1]:.2f}.")
        case.that(area.std() > 0.2 * (high - low), "All boxes have (nearly) the same area; it should be uniform between the two ends of scale.")
        logs = r.log()
        span = math.log(ratio[1] / ratio[0])
        case.that(logs.std() > 0.2 * span, "All boxes have (nearly) the same ratio of width to height; its logarithm should be uniform between those of ratio's two ends.")
        wide = (logs > (math.log(ratio[0]) + math.log(ratio[1])) / 2).double().mean().item()
        mid = (ratio[1] - math.sqrt(ratio[0] * ratio[1])) / (ratio[1] - ratio[0])  # share of wide ones if the ratio itself is uniform
        coin = 5 * math.sqrt(0.25 / count)
        case.that(abs(wide - 0.5) < coin or abs(wide - mid) > coin, f"{wide:.0%} of the boxes are wide: the ratio itself is uniform. Its *logarithm* should be: draw that, then take exp.")
        steps = (logs.sort().values - math.log(ratio[0])) / span - torch.linspace(0, 1, count, dtype=F64)
        case.that(steps.abs().max() < 2.5 / math.sqrt(count) + 0.01, "The logarithm of the boxes' ratio is not uniform: draw it evenly from that of one end to that of the other, then take exp.")
        case.that(abs(torch.corrcoef(torch.stack([area, logs]))[0, 1]) < 6 / math.sqrt(count), "The box's ratio depends on its area: draw each on its own.")
        case.that(abs(area.mean() - mean) < 6 * sigma + slack / 10, f"The boxes' mean share of the area is {area.mean():.1%}; uniform between {low:.0%} and {high:.0%} it would be {mean:.1%}.")
    room_y, room_x = height - h, width - w
    for name, place, room in (("top", top, room_y), ("left", left, room_x)):
        if height <= 20:
            last = (place[room > 0] == room[room > 0]).any()
            case.that(last, f"`{name}` never takes the last place where the box fits. `randint` leaves out its upper end: `height - h + 1`.")
        case.that(not (place == 0).all(), f"`{name}` is always 0: draw the box's place at random.")
        free = room > 0
        where = place[free] / room[free]
        case.that(where.std() > 0.05, f"`{name}` is always in the same place (the middle?): draw it at random.")
        case.that(abs(where.mean() - 0.5) < 0.12 if len(where) > 100 else True, f"`{name}` is not uniform between 0 and the last place where the box fits.")
    if height > 20:
        together = torch.corrcoef(torch.stack([top / room_y, left / room_x]))[0, 1]
        case.that(abs(together) < 6 / math.sqrt(count), "`left` follows `top`: draw each on its own.")


def _share_of_whole_images(height, width, scale, ratio):
    """How often none of ten draws fits; the sizes are rounded to whole pixels."""
    steps = torch.linspace(0, 1, 401, dtype=F64)
    area = (scale[0] + (scale[1] - scale[0]) * steps) * height * width
    r = ratio[0] * (ratio[1] / ratio[0]) ** steps[:, None]
    fits = ((area / r).sqrt() < height + 0.5) & ((area * r).sqrt() < width + 0.5)
    return (1 - fits.double().mean().item()) ** 10


@exercise("03.9", points=2, needs=["throughput"])
class Throughput:
    """Throughput."""

    errors = {
        "ZeroDivisionError": "You divided by zero seconds: does the time come from `clock()`, called before and after?",
        "float division by zero": "You divided by zero seconds: does the time come from `clock()`, called before and after?",
        "not subscriptable": "`batches` may be any iterable: go through it with one `for`.",
        "has no len()": "`batches` may be any iterable: count as you go, with `len(x)` for each batch.",
        "values to unpack": "Each batch is a pair (x, y).",
    }

    def inputs(rng):
        pace = 2.0 ** rng.integer(-2, 3)  # else a table of the right numbers would do

        def timed(seconds):
            return [pace * each for each in seconds]

        yield {"sizes": [10, 10, 10, 10, 10], "seconds": timed([6.0, 0.5, 0.5, 0.5, 0.5]), "warmup": 1, "begin": 100.0}
        yield {"sizes": [8, 8, 8, 8, 3], "seconds": timed([3.0, 0.25, 0.5, 0.25, 0.125]), "warmup": 1, "begin": 5.0, "_case": "a shorter last batch"}
        yield {"sizes": [4, 6, 5, 5], "seconds": timed([2.0, 1.0, 0.25, 0.5]), "warmup": 2, "begin": 0.0, "_case": "warmup=2"}
        yield {"sizes": [7, 7, 2], "seconds": timed([1.5, 0.5, 0.5]), "warmup": 0, "begin": 9.0, "_case": "warmup=0"}

    def probe(student, sizes, seconds, warmup, begin):
        now = [begin]

        def batches():
            for size, duration in zip(sizes, seconds):
                now[0] += duration
                yield torch.zeros(size, 2, 3), torch.zeros(size)

        def clock():
            return now[0]

        return {"rate": student.throughput(batches(), warmup, clock) if warmup != 1 else student.throughput(batches(), clock=clock)}

    def judge(case, sizes, seconds, warmup, rate):
        if isinstance(rate, torch.Tensor) and rate.numel() == 1:
            rate = rate.item()
        case.that(isinstance(rate, (int, float)) and not isinstance(rate, bool), "`throughput` returns one number, samples per second.")
        samples, time = sum(sizes[warmup:]), sum(seconds[warmup:])
        want = samples / time
        if math.isclose(rate, want, rel_tol=1e-6):
            return
        whole = sum(sizes) / sum(seconds)
        count = len(sizes) - warmup
        messages = {
            "The first batches are in the time and in the count. Start both after `warmup` batches.": [whole],
            "The samples of the warm-up are counted, its time is not.": [sum(sizes) / time],
            "The time of the warm-up is counted, its samples are not. Start the clock when its last batch has arrived.": [samples / sum(seconds), samples / sum(seconds[: warmup] + seconds[warmup:])],
            "These are batches a second; count the samples, `len(x)`.": [count / time, len(sizes) / time, len(sizes) / sum(seconds)],
            "These are seconds a sample; wanted are samples a second.": [time / samples, sum(seconds) / sum(sizes)],
            "You took every batch to be as large as the first (or the last) one. Add up `len(x)`.": [count * sizes[0] / time, count * sizes[-1] / time],
            "The clock starts one batch too late: when batch number `warmup` has arrived.": [sum(sizes[warmup + 1 :]) / sum(seconds[warmup + 1 :]), samples / sum(seconds[warmup + 1 :])],
            "You counted the numbers in x, not its rows.": [6 * want],
            "These are samples, not samples a second: divide by the time.": [samples, sum(sizes)],
            "This is the mean of the batches' speeds. Divide all samples by all the time.": [float(np.mean([s / t for s, t in zip(sizes[warmup:], seconds[warmup:])]))],
        }
        for message, variants in messages.items():
            case.that(not any(math.isclose(rate, value, rel_tol=1e-6) for value in variants), message)
        case.that(rate < 1000, f"{rate:,.0f} samples a second: that is your computer's time. Call the argument `clock()`, not `time`'s functions.")
        case.that(False, f"throughput: got {rate:.6g}, wanted {want:.6g} samples a second.")
