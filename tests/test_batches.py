"""Mini-batches: every image once an epoch, under its label, shifted and mirrored as said, repeated by its seed."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.data import MEAN, STD, Batches, normalize, split, unnormalize

examples = settings(deadline=None, max_examples=40, derandomize=True)
few_examples = settings(examples, max_examples=12)
counts = st.integers(1, 40)
seeds = st.integers(0, 2**31)
flags = st.booleans()
batch_sizes = st.integers(1, 50)


def numbered(n: int, size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Images that carry their number in their colour, which neither a shift nor a flip changes; labels likewise."""
    numbers = torch.arange(n)
    colours = torch.stack([numbers // 16, numbers % 16, numbers * 0 + 7], dim=1).to(torch.uint8)
    return colours[:, :, None, None].expand(n, 3, size, size).contiguous(), numbers * 3 + 1


def noise(n: int, height: int = 8, width: int = 7, seed: int = 0) -> torch.Tensor:
    return torch.randint(256, (n, 3, height, width), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def epoch(batches: Batches) -> tuple[torch.Tensor, torch.Tensor]:
    xs, ys = zip(*batches)
    return torch.cat(xs), torch.cat(ys)


def crops(image: torch.Tensor) -> dict:
    """All that augmentation may make of an image: {(mirrored, top, left): pixels}; by NumPy, not as utils does it."""
    padded = np.pad(image.numpy(), ((0, 0), (2, 2), (2, 2)), mode="reflect")
    _, height, width = image.shape
    views = {False: padded, True: padded[:, :, ::-1]}
    return {(mirrored, top, left): views[mirrored][:, top:top + height, left:left + width]
            for mirrored in views for top in range(5) for left in range(5)}


@examples
@given(n=counts, size=batch_sizes, shuffle=flags, augment=flags, seed=seeds)
def test_each_image_once_an_epoch_under_its_label(n, size, shuffle, augment, seed):
    batches = Batches(*numbered(n), batch_size=size, shuffle=shuffle, augment=augment, seed=seed)
    for _ in range(2):
        x, y = epoch(batches)
        pixels = unnormalize(x).long()
        found = pixels[:, 0, 0, 0] * 16 + pixels[:, 1, 0, 0]
        assert sorted(found.tolist()) == list(range(n))
        assert y.tolist() == (found * 3 + 1).tolist()
        assert (pixels == pixels[:, :, :1, :1]).all()


@examples
@given(n=counts, size=batch_sizes, augment=flags)
def test_length_shapes_and_the_short_last_batch(n, size, augment):
    batches = Batches(noise(n), torch.zeros(n, dtype=torch.long), batch_size=size, augment=augment)
    got = list(batches)
    assert len(got) == len(batches)
    assert [len(y) for _, y in got] == [len(part) for part in torch.arange(n).split(size)]
    for x, y in got:
        assert x.shape == (len(y), 3, 8, 7)
        assert x.dtype == torch.float32
        assert x.is_contiguous(memory_format=torch.channels_last)


@few_examples
@given(n=counts, size=batch_sizes, augment=flags, seed=seeds, sides=st.lists(st.integers(1, 6), max_size=3))
def test_the_first_epochs_are_those_without_sides_but_shrunk(n, size, augment, seed, sides):
    images, labels = numbered(n)
    small, whole = (Batches(images, labels, size, True, augment, seed=seed, sides=given) for given in (sides, ()))
    for side in [*sides, 6]:
        for (x, y), (x_whole, y_whole) in zip(small, whole, strict=True):
            assert torch.equal(y, y_whole) and x.is_contiguous(memory_format=torch.channels_last)
            torch.testing.assert_close(x, x_whole[:, :, :side, :side])  # each image has one colour


def test_a_shrunk_pixel_weighs_all_that_it_covers():
    images = noise(1, 4, 4)
    images[:] = images[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3)  # blocks of 2 by 2
    x, _ = epoch(Batches(images, torch.zeros(1), sides=[1]))
    torch.testing.assert_close(x.flatten(), normalize(images).mean((0, 2, 3)))


@examples
@given(n=counts, size=batch_sizes, seed=seeds)
def test_unaugmented_unshuffled_is_normalize(n, size, seed):
    images = noise(n, seed=seed)
    x, y = epoch(Batches(images, torch.arange(n), batch_size=size))
    assert y.tolist() == list(range(n))
    assert torch.equal(unnormalize(x), images)
    torch.testing.assert_close(x, normalize(images))


@few_examples
@given(n=st.integers(2, 12), size=st.integers(1, 6), seed=seeds)
def test_augmentation_is_one_shift_a_batch_and_alternating_flips(n, size, seed):
    images = noise(n, seed=seed)
    options = [crops(image) for image in images]
    batches = Batches(images, torch.arange(n), batch_size=size, augment=True, seed=seed)
    flipped = []
    for _ in range(3):
        this_epoch = []
        for x, y in batches:
            pixels = unnormalize(x).numpy()
            made = [{key for key, crop in options[i].items() if np.array_equal(crop, p)}
                    for p, i in zip(pixels, y.tolist())]
            assert all(len(keys) == 1 for keys in made), "an image that is no crop of its padded self"
            keys = [key for (key,) in made]
            assert len({(top, left) for _, top, left in keys}) == 1
            this_epoch += [mirrored for mirrored, _, _ in keys]
        flipped.append(this_epoch)
    assert sum(flipped[0]) == n // 2
    assert [not f for f in flipped[0]] == flipped[1]
    assert flipped[0] == flipped[2]


def test_all_25_shifts_come_up():
    image = noise(1)
    options = crops(image[0])
    batches = Batches(image.expand(600, -1, -1, -1), torch.zeros(600), batch_size=1, augment=True)
    made = {unnormalize(x).numpy().tobytes() for x, _ in batches}
    assert made == {crop.tobytes() for crop in options.values()}


@examples
@given(n=st.integers(2, 40), size=batch_sizes, augment=flags, seed=seeds)
def test_a_seed_repeats(n, size, augment, seed):
    first, second = (Batches(noise(n), torch.arange(n), size, shuffle=True, augment=augment, seed=seed) for _ in "12")
    for _ in range(3):
        (x1, y1), (x2, y2) = epoch(first), epoch(second)
        assert torch.equal(y1, y2)
        assert torch.equal(x1, x2)


@examples
@given(n=st.integers(1, 40), size=batch_sizes, shuffle=flags, augment=flags, seed=seeds, before=st.integers(0, 3),
       inside=flags)
def test_a_state_resumes_bit_for_bit(n, size, shuffle, augment, seed, before, inside):
    def batches():
        return Batches(noise(n), torch.arange(n), size, shuffle=shuffle, augment=augment, seed=seed)

    first, second = batches(), batches()
    for _ in range(before):
        epoch(first)
    if inside:  # the epoch that was begun does not come again
        next(iter(first))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    expected = [epoch(first) for _ in range(2)]
    epoch(second)  # the state puts it back
    second.load_state_dict(torch.load(file))  # weights_only: plain values and tensors
    for (x1, y1), (x2, y2) in zip(expected, [epoch(second) for _ in range(2)]):
        assert torch.equal(y1, y2)
        assert torch.equal(x1, x2)


def test_a_state_is_a_copy():
    batches = Batches(*numbered(20), batch_size=7, shuffle=True)
    state = batches.state_dict()
    first = epoch(batches)[1]
    batches.load_state_dict(state)
    assert torch.equal(epoch(batches)[1], first)


def test_a_state_of_another_seed_is_refused():
    batches = Batches(*numbered(20), seed=3)
    with pytest.raises(ValueError, match="seed=0; here it is 3"):
        batches.load_state_dict(Batches(*numbered(20)).state_dict())


def test_epochs_and_seeds_differ():
    images, labels = numbered(200)
    batches = Batches(images, labels, 50, shuffle=True)
    orders = [epoch(b)[1].tolist() for b in (batches, batches, batches, Batches(images, labels, 50, True, seed=1))]
    assert len({tuple(order) for order in orders}) == 4


def test_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    list(Batches(*numbered(20), batch_size=7, shuffle=True, augment=True))
    split(*numbered(20), holdout=5)
    assert torch.equal(before, torch.get_rng_state())


def test_an_epoch_that_is_broken_off_spoils_nothing():
    batches = Batches(*numbered(30), batch_size=4, shuffle=True, augment=True)
    next(iter(batches))
    for (x1, y1), (x2, y2) in zip(batches, batches):  # two at once
        assert len(x1) == len(y1) == len(x2) == len(y2)
    assert sorted(epoch(batches)[1].tolist()) == sorted(numbered(30)[1].tolist())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("augment", [False, True])
def test_the_given_images_are_left_alone(layout, augment):
    images = noise(20).contiguous(memory_format=layout)
    before = images.clone()
    x, _ = epoch(Batches(images, torch.arange(20), batch_size=6, augment=augment))
    x.zero_()
    assert torch.equal(images, before)


def test_no_images_no_batches():
    batches = Batches(noise(0), torch.zeros(0, dtype=torch.long))
    assert len(batches) == 0
    assert list(batches) == []


def test_one_channel():
    images = noise(9)[:, :1]
    x, _ = epoch(Batches(images, torch.arange(9), 4, augment=True, mean=[0.13], std=[0.31]))
    assert x.shape == (9, 1, 8, 7)


@pytest.mark.parametrize("arguments, error, message", [
    ((noise(3), torch.zeros(2)), ValueError, "3 images, but 2 labels"),
    ((noise(3).float(), torch.zeros(3)), TypeError, "uint8"),
    ((noise(3)[0], torch.zeros(3)), TypeError, "uint8"),
    ((noise(3), torch.zeros(3), 0), ValueError, "batch_size is 0"),
])
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Batches(*arguments)


@pytest.mark.parametrize("width, sides", [(8, [0]), (8, [4, 9]), (7, [4])])
def test_sides_that_cannot_be_are_named(width, sides):
    with pytest.raises(ValueError, match=f"for images of 8 by {width} pixels: they take square"):
        Batches(noise(3, width=width), torch.zeros(3), sides=sides)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("where", ["given", "asked"])
def test_on_a_gpu_the_same_batches(where):
    images, labels = noise(50), torch.arange(50)
    options = dict(batch_size=16, shuffle=True, augment=True)
    here = Batches(images, labels, **options)
    there = (Batches(images.cuda(), labels.cuda(), **options) if where == "given"
             else Batches(images, labels, device="cuda", **options))
    for (x1, y1), (x2, y2) in zip(here, there):
        assert x2.is_cuda and y2.is_cuda
        assert torch.equal(y1, y2.cpu())
        torch.testing.assert_close(x1, x2.cpu())


@examples
@given(seed=seeds, channels=st.integers(1, 4), batched=flags, last=flags, data=st.data())
def test_normalize_is_the_formula_and_unnormalize_its_inverse(seed, channels, batched, last, data):
    images = noise(4, seed=seed).repeat(1, 2, 1, 1)[:, :channels]
    images = images.contiguous(memory_format=torch.channels_last) if last else images
    images = images if batched else images[0]
    numbers = st.lists(st.floats(0.05, 1), min_size=channels, max_size=channels)
    mean, std = data.draw(numbers), data.draw(numbers)
    before = images.clone()
    x = normalize(images, mean, std)
    m, s = (torch.tensor(v, dtype=torch.float64).view(channels, 1, 1) for v in (mean, std))
    wanted = (images.double() / 255 - m) / s
    torch.testing.assert_close(x, wanted.float(), rtol=1e-5, atol=1e-5)
    assert torch.equal(unnormalize(x, mean, std), images)
    assert torch.equal(images, before)


def test_normalize_refuses_floats():
    with pytest.raises(TypeError, match="uint8"):
        normalize(torch.rand(2, 3, 4, 4))


def test_unnormalize_stays_in_range():
    assert unnormalize(torch.tensor([-9.0, 0.0, 9.0]).expand(3, 2, 3), MEAN, STD).unique().tolist()[::4] == [0, 255]


@examples
@given(n=st.integers(0, 60), data=st.data(), seed=seeds)
def test_split_is_a_partition(n, data, seed):
    holdout = data.draw(st.integers(0, n))
    images, labels = numbered(n)
    (train_x, train_y), (val_x, val_y) = split(images, labels, holdout, seed)
    assert (len(train_x), len(train_y), len(val_x), len(val_y)) == (n - holdout, n - holdout, holdout, holdout)
    assert sorted([*train_y.tolist(), *val_y.tolist()]) == labels.tolist()
    for x, y in ((train_x, train_y), (val_x, val_y)):
        assert ((x[:, 0, 0, 0].long() * 16 + x[:, 1, 0, 0]) * 3 + 1).tolist() == y.tolist()
    again = split(images, labels, holdout, seed)
    assert torch.equal(again[1][1], val_y)


def test_split_draws_at_random():
    images, labels = numbered(200)
    held = [tuple(split(images, labels, 50, seed)[1][1].tolist()) for seed in range(3)]
    assert len(set(held)) == 3
    assert all(sorted(h) != labels[:50].tolist() for h in held)


@pytest.mark.parametrize("holdout", [-1, 21])
def test_split_of_more_than_there_is(holdout):
    with pytest.raises(ValueError, match="there are 20 images"):
        split(*numbered(20), holdout=holdout)
