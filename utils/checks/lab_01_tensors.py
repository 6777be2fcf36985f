"""The checks of lab 01, tensors. The oracle is torch itself; shapes are in the docstrings of the lab's stubs."""

import torch

from . import exercise


def parts(case, answer, names: str):
    """The tensors that an answer returned together, or the end of the case when it did not return that many."""
    count = len(names.split(", "))
    case.that(answer is not None, f"The function returned None. Is a `return` missing? `return {names}`.")
    case.that(isinstance(answer, (tuple, list)) and len(answer) == count,
              f"The function must return {count} tensors: `return {names}`.")
    return answer


@exercise("01.1", points=1, needs=["buffers"])
class Buffers:
    """Tensors from a tensor and from a shape."""

    errors = {
        "check_uniform_bounds": "rand_like keeps the dtype, and uniform numbers in [0, 1) need a floating-point one: override it, dtype=torch.float32.",
        "normal_kernel": "randn_like keeps the dtype; besides, it draws normal numbers. Uniform ones are rand_like(…, dtype=torch.float32).",
    }

    def inputs(rng):
        yield {"images": rng.randint(1, 256, (4, 3, 8, 8)).to(torch.uint8)}
        yield {"images": rng.randn(3, 3, 8, 6, dtype=torch.float64)}
        yield {"images": rng.randint(1, 256, (5, 8, 8, 3)).to(torch.uint8).permute(0, 3, 1, 2)}
        yield {"images": torch.zeros(0, 3, 8, 8, dtype=torch.uint8)}  # a batch may be empty

    def probe(student, images):
        return {"answer": student.buffers(images), "again": student.buffers(images)}

    def judge(case, images, answer, again):
        blank, noise, counts = parts(case, answer, "blank, noise, counts")
        case.close(blank, torch.zeros_like(images), what="blank", mistakes={
            "blank is float32: torch.zeros(shape) knows the shape only. zeros_like(images) keeps the dtype too.": torch.zeros(images.shape),
            "blank holds ones; it must hold zeros.": torch.ones_like(images),
        })
        case.that(isinstance(noise, torch.Tensor), "noise must be a tensor.")
        case.that(noise.shape == images.shape,
                  f"noise has shape {tuple(noise.shape)}; it must have the shape of images, {tuple(images.shape)}.")
        case.that(noise.dtype == torch.float32,
                  f"noise is {noise.dtype}; it must be float32 whatever the dtype of images: override it, dtype=torch.float32.")
        if noise.numel():
            case.that(noise.min() >= 0, "noise has negative numbers: randn draws normal numbers. Uniform ones in [0, 1) come from rand.")
            case.that(noise.max() <= 1, "noise has numbers above 1; uniform numbers in [0, 1) were asked for.")
            case.that(noise.std() > 0.01, "noise is the same number everywhere; it must be random.")
            case.that(len(noise.unique()) > 2, "noise holds two values only, 0 and 1; uniform numbers in [0, 1) were asked for.")
            case.that(noise.unique().numel() > noise.numel() / 2,
                      "The same numbers of noise come again and again: every pixel of every image needs a number of its own, drawn from all of [0, 1).")
            case.that(abs(noise.mean() - 0.5) < 0.08 and abs(noise.std() - 0.289) < 0.06,
                      "noise is not uniform on [0, 1): its mean should be near 0.5, its standard deviation near 0.29.")
            case.that(not torch.equal(noise, parts(case, again, "blank, noise, counts")[1]),
                      "Two calls gave the same noise: a seed is set inside the function, or the noise is made once outside it.")
        n = len(images)
        dtype_slip = ("counts is float32: torch.ones makes floats unless it is told dtype=torch.int64." if n else
                      "counts is float32 for an empty batch: an empty list has no type that torch.tensor could follow. Say dtype=torch.int64.")
        case.close(counts, torch.ones(n, dtype=torch.int64), what="counts", mistakes={
            dtype_slip: torch.ones(n),
            "counts has a 1 for every pixel; one for each image is enough: len(images) of them.":
                [torch.ones_like(images), torch.ones_like(images, dtype=torch.int64)],
            "counts holds zeros; it must hold ones.": torch.zeros(n, dtype=torch.int64),
        })


@exercise("01.2", points=2, needs=["read_scores"])
class ReadScores:
    """Reading a table of scores: argmax, pairs of indices, a mask."""

    errors = {
        "Index tensor must have the same number of dimensions": "gather wants an index with as many dimensions as scores: labels[:, None], "
        "then take the extra dimension off again.",
        "must match the size": "Two tensors of different sizes met. To compare with labels you need one class for each image, argmax(dim=1); "
        "argmax(dim=0) goes down the columns and gives one number for each class.",
        "shape of the mask": "A mask on the rows has one value for each row: compare the (N,) predictions with the (N,) labels.",
    }

    def inputs(rng):
        yield {"scores": rng.randn(6, 4), "labels": torch.tensor([3, 0, 1, 1, 2, 0])}
        scores = rng.randn(5, 7).t()
        yield {"scores": scores, "labels": scores.argmax(dim=1)}  # all right: no row is missed
        yield {"scores": rng.randn(4, 4, dtype=torch.float64), "labels": rng.randint(0, 4, (8,))[::2]}
        scores = rng.randn(1, 3)
        yield {"scores": scores, "labels": scores.argmin(dim=1)}  # one image, predicted wrong

    def probe(student, scores, labels):
        return {"answer": student.read_scores(scores, labels)}

    def judge(case, scores, labels, answer):
        predicted, true_scores, missed = parts(case, answer, "predicted, true_scores, missed")
        best = scores.argmax(dim=1)
        right = best == labels
        case.that(not isinstance(predicted, list), "predicted holds two tensors: max(dim=1) returns the largest values and their places. Take the second, or use argmax.")
        case.close(predicted, best, what="predicted", mistakes={
            "predicted has one entry for each class: argmax(dim=0) goes down the columns. The dim given is the one that disappears: dim=1.": scores.argmax(dim=0),
            "predicted is a single number: without dim, argmax counts through the whole table.": scores.argmax(),
            "predicted holds the best scores themselves; asked for is their column: argmax, or the second thing that max returns.": scores.amax(dim=1),
            "predicted is the column of the lowest score.": scores.argmin(dim=1),
            "predicted kept a dimension of size 1: leave keepdim out.": best[:, None],
        })
        own = scores[torch.arange(len(labels)), labels]
        case.close(true_scores, own, what="true_scores", mistakes={
            "scores[:, labels] takes all the columns named in labels, in every row: (N, N). Give the rows too, as pairs: row i with labels[i].": scores[:, labels],
            "These are the best scores, not the true class's: index by labels, not by the prediction.": scores.amax(dim=1),
            "true_scores has shape (N, 1): gather keeps the dimension. Take it off: [:, 0].": own[:, None],
            "squeeze() takes off every dimension of size 1, here that of the images too: [:, 0], or squeeze(1).": own.squeeze(),
        })
        case.close(missed, scores[~right], what="missed", mistakes={
            "These are the rows that are predicted *right*; the mask is the wrong way round.": scores[right],
            "missed holds the mask or the row numbers; asked for are the rows themselves: scores[mask].":
                [~right, (~right).nonzero()[:, 0], (~right).nonzero(), labels[~right], best[~right]],
            "missed has a dimension too many: nonzero() gives (M, 1). Index with the mask itself.": scores[(~right).nonzero()],
            "squeeze() takes off every dimension of size 1, here that of the rows too.": scores[~right].squeeze(),
            "missed keeps the shape of scores; a mask as index leaves the other rows out: scores[mask].":
                [scores * (~right)[:, None], scores.masked_fill(right[:, None], 0)],
        })


@exercise("01.3", points=1, needs=["one_hot"])
class OneHot:
    """One-hot rows by indexing."""

    errors = {
        "out of bounds": "An index went past the end. The table needs num_classes columns, and index pairs need the row first: [row numbers, labels].",
        "shape mismatch": "Two index tensors are taken as pairs, so they must have the same length: torch.arange(len(labels)) for the rows.",
    }

    def inputs(rng):
        yield {"labels": torch.tensor([2, 0, 3, 2, 1]), "num_classes": 4}
        yield {"labels": torch.tensor([1, 0, 1]), "num_classes": 6}  # the last classes do not occur
        yield {"labels": rng.randint(0, 3, (12,))[::3], "num_classes": 3}
        yield {"labels": torch.zeros(0, dtype=torch.int64), "num_classes": 3}

    def probe(student, labels, num_classes):
        return {"table": student.one_hot(labels, num_classes)}

    def judge(case, labels, num_classes, table):
        want = torch.eye(num_classes)[labels]
        columns = torch.zeros(len(labels), num_classes)
        columns[:, labels] = 1
        mistakes = {
            "table[:, labels] = 1 fills whole columns, in every row. Give the rows too, as pairs: row i with labels[i].": columns,
            "The values are right but the dtype is not: float32 is asked for.": [want.long(), want.double(), want.bool(), want.to(torch.uint8)],
            "The table is the wrong way round: one row for each label, one column for each class.": want.t(),
        }
        if len(labels):
            seen = int(labels.max()) + 1
            if seen < num_classes:
                mistakes["There are only as many columns as the largest label here; the classes that do not occur need one too: num_classes."] = want[:, :seen]
            if len(labels) > labels.max():
                rows = torch.zeros(len(labels), num_classes)
                rows[labels] = 1
                mistakes["table[labels] = 1 fills whole rows. Give both indices: the row number i and the column labels[i]."] = rows
        case.close(table, want, what="one_hot(labels, num_classes)", mistakes=mistakes)


@exercise("01.4", points=2, needs=["join"])
class Join:
    """cat or stack?"""

    def inputs(rng):
        yield {"left": rng.randn(2, 3, 4, 4), "right": rng.randn(2, 3, 4, 4)}
        yield {"left": rng.randn(3, 4, 5, 1).permute(0, 3, 1, 2), "right": rng.randn(3, 4, 5, 1).permute(0, 3, 1, 2)}
        yield {"left": rng.randn(1, 2, 3, 6, dtype=torch.float64), "right": rng.randn(1, 2, 3, 6, dtype=torch.float64)}

    def probe(student, left, right):
        return {"answer": student.join(left, right)}

    def judge(case, left, right, answer):
        batch, wide, pairs = parts(case, answer, "batch, wide, pairs")
        both, swapped = [left, right], [right, left]
        case.close(batch, torch.cat(both), what="batch", mistakes={
            "batch has a new dimension: stack makes one. cat lengthens a dimension that is there.": [torch.stack(both), torch.stack(both, dim=1)],
            "batch goes left, right, left, right …; all of left must come before all of right.": torch.stack(both, dim=1).flatten(0, 1),
            "batch has right before left.": torch.cat(swapped),
            "batch has the number of images unchanged and more channels or pixels: join along dimension 0.":
                [torch.cat(both, dim=d) for d in (1, 2, 3)],
        })
        case.close(wide, torch.cat(both, dim=3), what="wide", mistakes={
            "In wide the images stand one above the other: dim=2 is the height. The width is the last dimension.": torch.cat(both, dim=2),
            "In wide the channels are joined: dim=1. The width is the last dimension.": torch.cat(both, dim=1),
            "In wide the images stand in the wrong order: left comes first.": torch.cat(swapped, dim=3),
            "In wide the columns alternate between left and right: that is a stack along a new last dimension, flattened.":
                torch.stack(both, dim=-1).flatten(3),
            "wide has the right shape, but reshape moved nothing: it reads the numbers on in the order of memory. Join along the width: cat.":
                torch.cat(both).reshape(len(left), *left.shape[1:-1], -1),
        })
        case.close(pairs, torch.stack(both, dim=1), what="pairs", mistakes={
            "pairs[0] is all of left: stack put the new dimension first. pairs[i] must be the pair of the images i: dim=1.": torch.stack(both),
            "pairs has no new dimension, so left and right cannot be told apart in it: cat lengthens, stack makes a dimension.":
                [torch.cat(both), torch.cat(both, dim=1)],
            "pairs[i] has right before left.": torch.stack(swapped, dim=1),
            "The new dimension of pairs stands in the wrong place: it must be dimension 1.": [torch.stack(both, dim=d) for d in (2, 3, 4)],
        })


@exercise("01.5", points=1, needs=["p1", "p2", "p3", "p4", "p5", "p6"])
class Predict:
    """Which shape comes out?"""

    def inputs(rng):
        yield {}

    def probe(student):
        answers = (student.p1, student.p2, student.p3, student.p4, student.p5, student.p6)
        return {"answers": [list(p) if isinstance(p, (tuple, list)) else p for p in answers]}

    def judge(case, answers):
        right = [("p1: (4, 3) + (3,)", (4, 3)), ("p2: (4, 3) + (4,)", "error"), ("p3: (4, 1) + (3,)", (4, 3)),
                 ("p4: (5, 1, 4) * (3, 1)", (5, 3, 4)), ("p5: (4,) - (4, 1)", (4, 4)), ("p6: (2, 3) + (3, 2)", "error")]
        slips = [
            {"error": "p1: b has no rows, and that is no obstacle: a missing dimension on the left counts as 1 and is stretched."},
            {(4, 3): "p2: sizes are lined up from the right, so b's 4 stands under a's 3, not under its 4."},
            {"error": "p3: 1 stretches to whatever stands in the same place: a to (4, 3), and b too.",
             (4, 1): "p3: both stretch. b's 3 stands under a's 1, so a grows to 3 columns."},
            {"error": "p4: line up from the right: 4 with 1, 1 with 3, 5 with nothing. Each pair has a 1 or a gap.",
             (5, 1, 4): "p4: the middle 1 of a meets b's 3 and is stretched.",
             (5, 3, 1): "p4: the last 1 is b's; it meets a's 4 and is stretched."},
            {(4,): "p5: no error, and not (4,) either: (4,) is a row, (4, 1) a column; row against column fills a square. No error tells you so.",
             (4, 1): "p5: (4,) counts as (1, 4). Its 4 stands under b's 1 and stretches it.",
             "error": "p5: 4 meets 1, and the gap meets 4: both stretch. No error, and that is the trouble with it."},
            {(2, 2): "p6: that is a matrix product's shape. + goes cell by cell.",
             (6, 6): "p6: stretching needs a 1; 3 is not stretched to 6.",
             (3, 3): "p6: only a size of 1 is stretched; 2 is not stretched to 3.",
             (2, 3): "p6: having the same number of cells is not enough: 3 meets 2, and neither is 1."},
        ]
        for (what, want), given, slip in zip(right, answers, slips, strict=True):
            given = tuple(given) if isinstance(given, list) else given
            if isinstance(given, int) and not isinstance(given, bool):
                given = (given,)
            case.that(isinstance(given, (tuple, str)), f'{what}: answer with a shape such as (4, 3), or with "error".')
            if isinstance(given, tuple):
                case.that(all(isinstance(size, (int, float)) for size in given), f"{what}: one shape, made of numbers, such as (4, 3).")
            if isinstance(given, str):
                given = given.strip().lower()
                case.that(given == "error", f'{what}: "{given}" cannot be read. Write a shape without quotes, such as (4, 3), or exactly "error".')
            case.that(given == want, slip.get(given, f"{what}: not {given}. Write one shape under the other, lined up on the right, and go pair by pair."))


@exercise("01.6", points=2, needs=["standardize"])
class Standardize:
    """Standardize the columns of a table."""

    errors = {
        "must match the size": "A (rows,) tensor does not broadcast against (rows, columns). Is dim the right way round? It is the dimension that disappears.",
        "correction": "std takes the dimension as dim=, and correction=0 as a keyword too.",
    }

    def inputs(rng):
        yield {"x": rng.randn(6, 4) * torch.tensor([1.0, 10.0, 0.1, 3.0]) + torch.tensor([0.0, 5.0, -1.0, 2.0])}
        x = rng.randn(8, 3)
        x[:, 1] = 3.0
        yield {"x": x}
        yield {"x": rng.randn(3, 9, dtype=torch.float64).t()}
        yield {"x": rng.randn(50, 2) + 1000.0}  # far from zero: mean(x²) − mean(x)² loses its digits
        yield {"x": rng.randn(1, 3)}  # one row: every column is constant
        yield {"x": torch.full((10, 1), 0.1)}  # its mean is rounded, and its std comes out as 7e-9
        for rows in (7, 9, 13):
            x = rng.randn(rows, 3)
            x[:, 0] = 0.1  # its mean is rounded, and its std comes out as 0
            yield {"x": x}
        yield {"x": rng.randn(8, 3) * torch.tensor([1.0, 1e-3, 3e-7])}  # a small spread is not a constant column

    def probe(student, x):
        return {"y": student.standardize(x)}

    def judge(case, x, y):
        centred = x - x.mean(dim=0)
        std = x.std(dim=0, correction=0)
        constant = x.amax(dim=0) == x.amin(dim=0)
        want = torch.where(constant, 0, centred / std)
        by_row = x.std(dim=1, keepdim=True, correction=0)
        mistakes = {
            "You divided by the standard deviation with N − 1; here it is the one with N: correction=0.": centred / x.std(dim=0),
            "One mean and one standard deviation for the whole table; each column needs its own: dim=0.":
                [(x - x.mean()) / x.std(correction=0), (x - x.mean()) / x.std()],
            "You standardized the rows. The dimension that disappears is the one along which you go: dim=0.":
                [(x - x.mean(dim=1, keepdim=True)) / by_row, (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True)],
            "You divided by the variance; the standard deviation is its square root.": [centred / std**2, centred / x.var(dim=0)],
            "The mean is taken off, but nothing is divided: the columns still have different spreads.": centred,
            "You divided, but did not take the mean off.": x / std,
            "The mean is each column's own, the standard deviation is not: dim=0 there too.": [centred / x.std(correction=0), centred / x.std()],
            "The standard deviation is each column's own, the mean is not: dim=0 there too.": (x - x.mean()) / std,
        }
        if isinstance(y, torch.Tensor) and y.shape == x.shape:
            case.that(not y.isnan().any() or not constant.any(),
                      "A column whose values are all equal became NaN: its standard deviation is 0, and 0 / 0 is NaN. It must become zeros.")
            case.that(not y.isinf().any(), "A column became infinite: something was divided by 0. A constant column must become zeros.")
            if constant.any():
                case.that(bool(y[:, constant].abs().max() < 0.02),
                          "A column whose values are all equal did not become zeros. Its mean is rounded, so that x - mean and std can be 1e-8 in place of 0, "
                          "and their quotient 1 or huge: do not ask std, compare the column's largest value with its smallest.")
            small = ~constant & (std < 1e-2)
            if small.any() and x.isfinite().all():
                case.that(bool(((y - want).abs() < 0.01)[:, small].all()) or not bool(((y - want).abs() < 0.01)[:, ~small].all()),
                          "A column with a small spread is not constant, and it is off: a number added to std, or a threshold on std, is too large for it. "
                          "Constant is where the largest value equals the smallest.")
            if x.abs().max() > 500:
                case.that(bool(((y - want).abs() < 0.02).all()) or bool(((centred - y).abs() < 1e-3).all()),
                          "The result is off where the values are far from 0: mean(x²) − mean(x)² subtracts two large numbers and loses the digits. "
                          "Subtract the mean first, or let std do it.")
        case.close(y, want, what="standardize(x)", mistakes=mistakes, rtol=1e-3, atol=1e-2 if constant.any() else 1e-3)


@exercise("01.7", points=2, needs=["squared_distances"])
class SquaredDistances:
    """All pairs of rows at once."""

    errors = {
        "must match the size": "The two tables do not line up: give each an extra dimension of size 1, so that rows of a run down and rows of b run across.",
        "cannot be multiplied": "For the inner products of all pairs, one of the two must be transposed: a @ b.T.",
    }

    def inputs(rng):
        yield {"a": rng.randn(4, 3), "b": rng.randn(5, 3)}
        yield {"a": rng.randn(4, 2), "b": rng.randn(4, 2)}  # as many rows: a - b runs, and is wrong
        yield {"a": rng.randn(3, 6, dtype=torch.float64).t(), "b": rng.randn(8, 3, dtype=torch.float64)[::4]}
        yield {"a": rng.randn(3, 1), "b": rng.randn(1, 1)}

    def probe(student, a, b):
        return {"table": student.squared_distances(a, b)}

    def judge(case, a, b, table):
        gaps = a[:, None, :] - b[None, :, :]
        want = gaps.square().sum(dim=2)
        mistakes = {
            "These are distances; asked for are their squares.": want.sqrt(),
            "The table is the wrong way round: row i belongs to a[i], column j to b[j].": want.t(),
            "You averaged over the columns; a squared distance is their sum.": gaps.square().mean(dim=2),
            "The differences are not squared before they are summed, so that they cancel.": gaps.sum(dim=2),
            "These are sums of absolute differences; squares were asked for.": gaps.abs().sum(dim=2),
            "These are inner products, not distances.": a @ b.t(),
            "The squared differences are still to be summed over the last dimension.": gaps.square(),
            "In (a − b)² = a² + b² − 2ab the last term is subtracted.": (a[:, None, :] + b[None, :, :]).square().sum(dim=2),
            "A dimension of size 1 is left over: keepdim is not needed here.": want[:, :, None],
            "squeeze() takes off every dimension of size 1, here that of the single point too.": want.squeeze(),
            "These are the differences, one for each column: square them, then sum over the last dimension.": gaps,
            "You summed first and squared then; each difference must be squared before the sum.": gaps.sum(dim=2).square(),
            "You summed over the wrong dimension: the columns are the last one.": [gaps.square().sum(dim=0), gaps.square().sum(dim=1)],
        }
        if a.shape == b.shape:
            pairwise = (a - b).square()
            mistakes["a - b pairs row i with row i only: as many distances as rows. Every row must meet every row."] = [pairwise, pairwise.sum(dim=1)]
        precise = a.dtype == torch.float64
        case.close(table, want, what="squared_distances(a, b)", mistakes=mistakes, rtol=1e-4, atol=1e-8 if precise else 1e-4)


@exercise("01.8", points=2, needs=["to_grey", "gram"])
class Products:
    """Sums of products: matmul and einsum."""

    errors = {
        "does not broadcast with previously seen size": "In einsum the same letter stands for two different sizes here. Only dimensions that run together, and so have one size, may share a letter.",
        "more than once in the output": "In einsum a letter can be kept only once: give the second tensor's channels another letter, d.",
        "operands were provided": "einsum needs one group of letters per tensor, separated by commas: two tensors, two groups.",
        "does not match the number of dimensions": "In einsum each letter names one dimension: a tensor's group needs as many letters as the tensor has dimensions.",
        "does not appear in the equation": "In einsum a letter behind the arrow must occur before it, in the group of some tensor.",
        "invalid subscript": "einsum takes letters, commas and one arrow only, such as \"ik,kj->ij\".",
        "gram: RuntimeError: The size of tensor": "Two tensors of different sizes met. On a batch `.T` reverses all the dimensions; make the pixels one dimension, flatten(2), "
        "then multiply (@, not *) with the transpose of the last two: .transpose(-2, -1).",
        "gram: RuntimeError: Expected size for first two dimensions": "@ sums over the last dimension of the first and the last but one of the second: one factor must be transposed, .transpose(-2, -1).",
        "gram: RuntimeError: mm: ": "@ on tables made one product of the whole batch. Keep the images apart: flatten(2) leaves (N, C, pixels), and transpose one factor, .transpose(-2, -1).",
        "to_grey: RuntimeError: The size of tensor": "The weights met the wrong dimension: broadcasting lines up on the right. Give them the shape (3, 1, 1), or name the dimensions in einsum.",
        "to_grey: RuntimeError: size mismatch": "@ sums over the last dimension, the width; the channels are dimension 1. Move them to the end with permute, or name the dimensions in einsum.",
        "to_grey: RuntimeError: mm: ": "@ sums over the last dimension, the width; the channels are dimension 1. Move them to the end with permute, or name the dimensions in einsum.",
    }

    def inputs(rng):
        weights = torch.tensor([0.3, 0.6, 0.1])
        yield {"images": rng.rand(2, 3, 4, 5), "weights": weights, "features": rng.randn(2, 3, 4, 5)}
        yield {"images": rng.rand(2, 3, 3, 3), "weights": torch.tensor([0.2, 0.3, 0.5]), "features": rng.randn(4, 4, 2, 2)}  # width 3: weights broadcast along it without an error
        yield {"images": rng.rand(1, 4, 6, 3, dtype=torch.float64).permute(0, 3, 1, 2), "weights": torch.tensor([0.1, 0.7, 0.2], dtype=torch.float64),
               "features": rng.randn(1, 5, 3, 1, dtype=torch.float64).permute(0, 2, 1, 3)}

    def probe(student, images, weights, features):
        return {"grey": student.to_grey(images, weights), "products": student.gram(features)}

    def judge(case, images, weights, features, grey, products):
        weighted = images * weights[:, None, None]
        want_shape = weighted[:, 0].shape
        mistakes = {
            "You took the plain mean of the channels; each has its own weight.": images.mean(dim=1),
            "You took the plain sum of the channels; each has its own weight.": images.sum(dim=1),
            "The weights are written into the function; use those that it is given.": torch.einsum("nchw,c->nhw", images, weights.new_tensor([0.3, 0.6, 0.1])),
            "You averaged the weighted channels: they are to be summed, the weights add up to 1 already.": weighted.mean(dim=1),
            "The weighted channels are still to be summed over dimension 1.": weighted,
            "reshape does not move the channels, it only cuts the row of numbers anew; permute(0, 2, 3, 1) moves them.": images.reshape(*want_shape, 3) @ weights,
            "There is still a channel dimension of size 1: take it off, or sum without keepdim.": weighted.sum(dim=1, keepdim=True),
        }
        if images.shape[3] == len(weights):
            mistakes["The weights went along the width: here it is 3 too, so nothing failed, and every value is wrong. Line them up with dimension 1."] = [
                (images * weights).sum(dim=1), images @ weights, (images * weights).sum(dim=3)]
        case.close(grey, weighted.sum(dim=1), what="to_grey(images, weights)", mistakes=mistakes, rtol=1e-4)

        flat = features.flatten(2)
        want = flat @ flat.transpose(1, 2)
        n, channels, height, width = features.shape
        cut = features.reshape(n, height * width, channels)
        norms = flat.square().sum(dim=2)
        case.close(products, want, what="gram(features)", rtol=1e-4, atol=1e-5, mistakes={
            "The products are summed over the images too: keep n on the right of the arrow, or use a batched product.": [want.sum(dim=0)],
            "You divided by the number of pixels (or of all values); the plain sum is asked for.":
                [want / (height * width), want / flat[0].numel()],
            "These are the products of pixels with pixels, summed over the channels: transpose the other factor.": flat.transpose(1, 2) @ flat,
            "Each channel is multiplied with itself only; every pair of channels is asked for: give the second one another letter.":
                [norms, torch.diag_embed(norms)],
            "reshape does not move the channels, it only cuts the row of numbers anew: flatten(2) keeps each channel whole.": cut.transpose(1, 2) @ cut,
            "@ multiplied the rows of each picture, within one channel. Make the pixels one dimension first: flatten(2).": features @ features.mT,
            "The products are still to be summed over the pixels.": features[:, :, None] * features[:, None],
            "The pixels are not summed one by one: this is the product of the channels' sums.": torch.einsum("nck,ndl->ncd", flat, flat),
        })


@exercise("01.9", points=2, needs=["window", "snapshot"])
class SharedMemory:
    """A window on an image, and a copy of it."""

    def inputs(rng):
        yield {"image": rng.rand(3, 6, 8) + 1, "top": 1, "left": 3, "size": 4}
        yield {"image": (rng.rand(7, 5, 2, dtype=torch.float64) + 1).permute(2, 1, 0), "top": 2, "left": 0, "size": 3}
        yield {"image": rng.rand(1, 4, 4) + 1, "top": 0, "left": 0, "size": 4}  # the whole image: contiguous() copies nothing

    def probe(student, image, top, left, size):
        seen = image.clone()
        window = student.window(seen, top, left, size)
        evidence = {"window": window, "after_window": seen.clone(), "drawn": None}
        if isinstance(window, torch.Tensor):
            evidence["window"] = window.clone()
            window.zero_()  # write into the window ...
            evidence["drawn"] = seen  # ... and look at the image
        seen = image.clone()
        snapshot = student.snapshot(seen, top, left, size)
        evidence.update(snapshot=snapshot, after_snapshot=seen.clone(), kept=None)
        if isinstance(snapshot, torch.Tensor):
            evidence["snapshot"] = snapshot.clone()
            seen.zero_()  # wipe the image ...
            evidence["kept"] = snapshot  # ... and look at the snapshot
        return evidence

    def judge(case, image, top, left, size, window, after_window, drawn, snapshot, after_snapshot, kept):
        square = (slice(None), slice(top, top + size), slice(left, left + size))
        want = image[square]
        slips = {
            "The slice ends at size; it must end at top + size and left + size.": image[:, top:size, left:size],
            "One row and one column too many: a slice leaves out its stop, so it ends at top + size.": image[:, top : top + size + 1, left : left + size + 1],
            "The columns start at the edge, not at left.": image[:, top : top + size, :size],
            "A number as index drops the dimension; all channels are wanted: `:`.": image[0, top : top + size, left : left + size],
            "top and left are swapped: rows come before columns.": image[:, left : left + size, top : top + size],
            "The first dimension is the channels; all of them are wanted: image[:, rows, columns].": image[top : top + size, left : left + size],
        }
        case.that(torch.equal(after_window, image), "window() itself changed the image; it must only look.")
        case.close(window, want, what="window(…)", mistakes=slips)
        painted = image.clone()
        painted[square] = 0
        case.that(not torch.equal(drawn, image),
                  "Writing into the window did not reach the image: it is a copy. Slices share memory; clone() and lists of indices copy.")
        case.close(drawn, painted, what="the image after writing zeros into the window")
        case.that(torch.equal(after_snapshot, image), "snapshot() itself changed the image; it must only look.")
        case.close(snapshot, want, what="snapshot(…)", mistakes=slips)
        whole = want.shape == image.shape
        case.that(not torch.equal(kept, torch.zeros_like(kept)),
                  "Here the square is the whole image, and the snapshot shares its memory: contiguous(), reshape() and to() copy only when they must. clone() always copies."
                  if whole else "The snapshot changed when the image did: it shares its memory. A slice is a view; clone() copies.")
        case.close(kept, want, what="the snapshot after the image was wiped")


@exercise("01.10", points=3, needs=["to_patches", "from_patches"])
class Patches:
    """Images into patches and back."""

    errors = {
        "view size is not compatible": "permute changes the strides only, and view cannot join dimensions that are not neighbours in memory: use reshape, which copies where it must.",
        "duplicate dims": "permute needs each of the numbers 0 to 5 once.",
        "length of the desired ordering": "permute needs all the dimensions, here six: one number for each, the first, 0, too.",
        "but got float": "A size must be a whole number, and / makes a float: use //.",
        "is invalid for input of size": "The sizes do not multiply to the number of values: height // size rows of patches, width // size columns of patches.",
    }

    def inputs(rng):
        def images(n, c, h, w, dtype=torch.float32):
            return torch.arange(n * c * h * w).reshape(n, c, h, w).to(dtype)

        yield {"images": images(2, 3, 4, 6), "size": 2, "patches": rng.randn(2, 6, 3, 2, 2), "height": 4, "width": 6}
        yield {"images": images(1, 2, 9, 3), "size": 3, "patches": rng.randn(1, 3, 1, 3, 3), "height": 9, "width": 3}
        yield {"images": rng.randn(2, 8, 8, 3, dtype=torch.float64).permute(0, 3, 1, 2), "size": 4,
               "patches": rng.randn(2, 3, 8, 2, 2, dtype=torch.float64).transpose(1, 2), "height": 8, "width": 4}
        yield {"images": images(3, 2, 4, 4, torch.uint8), "size": 4, "patches": images(3, 2, 4, 4, torch.uint8)[:, None], "height": 4, "width": 4}

    def probe(student, images, size, patches, height, width):
        return {"cut": student.to_patches(images, size), "joined": student.from_patches(patches, height, width)}

    def judge(case, images, size, patches, height, width, cut, joined):
        n, c, h, w = images.shape
        grid = images.reshape(n, c, h // size, size, w // size, size)  # n, c, row of patches, y, column of patches, x
        split = images.reshape(n, c, size, h // size, size, w // size)
        case.close(cut, grid.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c, size, size), what="to_patches(images, size)", mistakes={
            "The values are cut in the order of memory: pieces of rows, not squares. Split height and width first, then permute, then join.":
                [images.reshape(n, -1, c, size, size), images.reshape(n, c, -1, size, size).transpose(1, 2)],
            "The patches go column by column; they must go row by row, as one reads.": grid.permute(0, 4, 2, 1, 3, 5).reshape(n, -1, c, size, size),
            "Each patch is transposed: its rows became its columns. y stands before x in permute.": grid.permute(0, 2, 4, 1, 5, 3).reshape(n, -1, c, size, size),
            "The patches are right, but each channel is kept apart: the patch's number must come before the channel.":
                grid.permute(0, 1, 2, 4, 3, 5).reshape(n, c, -1, size, size),
            "The patches are right, but flat or still on a grid of rows and columns: shape (N, patches, C, size, size).":
                [grid.permute(0, 2, 4, 1, 3, 5).reshape(n, (h // size) * (w // size), -1), grid.permute(0, 2, 4, 1, 3, 5)],
            "This permute is the one of the way back. Wanted are n, patch row, patch column, c, y, x: for each, the place where it stands in the split.":
                grid.permute(0, 3, 1, 4, 2, 5).reshape(n, -1, c, size, size),
            "Height was split into (size, H // size): the patch row must come first, (H // size, size); likewise the width. As it is, a patch collects pixels that lie far apart.":
                [split.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c, size, size), split.permute(0, 3, 5, 1, 2, 4).reshape(n, -1, c, size, size)],
            "Height and width are swapped where you split: h // size belongs to the rows.":
                images.reshape(n, c, w // size, size, h // size, size).permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c, size, size),
            "The images are mixed: n must stay in front, before the patch numbers.": grid.permute(2, 4, 0, 1, 3, 5).reshape(n, -1, c, size, size),
            "The channels of a patch are mixed: c stands before the patch numbers in permute, it must come behind them.":
                grid.permute(0, 1, 2, 4, 3, 5).reshape(n, -1, c, size, size),
            "The channels of a patch are mixed: c must come before y and x in permute.":
                grid.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, c, size, size),
        })
        p = patches.shape[-1]
        tiles = patches.reshape(n, height // p, width // p, patches.shape[2], p, p)  # n, row of patches, column, c, y, x
        shape = (n, patches.shape[2], height, width)
        turned = patches.reshape(n, width // p, height // p, shape[1], p, p)
        case.close(joined, tiles.permute(0, 3, 1, 4, 2, 5).reshape(shape), what="from_patches(patches, height, width)", mistakes={
            "The patches are joined in the order of memory, so each one lies in a row. Split the patch number into row and column, permute, then join.":
                patches.reshape(shape),
            "The image is made of patches column by column: the patch number counts row by row, height // size rows first.":
                [turned.permute(0, 3, 2, 4, 1, 5).reshape(shape), turned.permute(0, 3, 1, 4, 2, 5).reshape(shape)],
            "This permute is the one of to_patches; on the way back the order to reach is n, c, patch row, y, patch column, x.":
                tiles.permute(0, 2, 4, 1, 3, 5).reshape(shape),
            "Patch row and patch column are swapped in permute: y belongs behind the patch row, x behind the patch column.":
                tiles.permute(0, 3, 2, 4, 1, 5).reshape(shape),
            "Each patch is transposed on its way back: y goes with the rows of patches, x with their columns.":
                tiles.permute(0, 3, 1, 5, 2, 4).reshape(shape),
            "The pixels of different patches alternate: after permute, y must stand right behind the row of patches, x behind the column.":
                [tiles.permute(0, 3, 4, 1, 5, 2).reshape(shape), tiles.permute(0, 3, 1, 2, 4, 5).reshape(shape)],
        })
