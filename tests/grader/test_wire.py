"""The crossing: any plain value comes back equal, and any bytes at all are a value or a clean refusal."""

import json
import math

import pytest
import torch
from fuzzing import FUZZ
from hypothesis import given
from hypothesis import strategies as st

from course.grader import wire
from course.grader.wire import Bounds, WireError
from utils import checks
from utils.checks import engine
from utils.checks.engine import Strange

SMALL = Bounds(header=20_000, body=20_000, nodes=500, depth=8, text=1_000)


def cross(value):
    return wire.receive(reader(wire.pack(value)))


def reader(data: bytes):
    """`read` of a pipe that holds these bytes and then ends."""
    left = memoryview(data)

    def read(count: int) -> bytes:
        nonlocal left
        if count > len(left):
            raise EOFError
        part, left = left[:count], left[count:]
        return bytes(part)

    return read


def bits(x: torch.Tensor) -> torch.Tensor:
    return x.clone(memory_format=torch.contiguous_format).flatten().view(torch.uint8)  # one element may have any stride


def same(a, b) -> bool:
    """Equal in type and value, to the bit; tensors in dtype, shape and strides too."""
    if isinstance(a, torch.Tensor):
        return (isinstance(b, torch.Tensor) and (a.dtype, a.shape, a.stride()) == (b.dtype, b.shape, b.stride())
                and bits(a).equal(bits(b)))  # fmt: skip
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))  # JSON has one nan
    return a == b


@st.composite
def tensors(draw):
    """Of any dtype and shape, with strides that a view may have."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    dtype = draw(st.sampled_from(sorted(wire.DTYPES)))
    numel = math.prod(shape)
    itemsize = wire.DTYPES[dtype].itemsize
    raw = draw(st.binary(min_size=numel * itemsize, max_size=numel * itemsize))
    if not numel:
        return torch.empty(shape, dtype=wire.DTYPES[dtype])
    flat = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
    flat = flat.ne(127) if dtype == "bool" else flat.view(wire.DTYPES[dtype])
    value = flat.view(shape)
    if shape and draw(st.booleans()):
        value = value.permute(*draw(st.permutations(range(len(shape)))))
    if shape and draw(st.booleans()):
        value = value[:: draw(st.integers(1, 3))]
    if draw(st.booleans()):
        value = value.unsqueeze(0).expand(3, *value.shape)
    return value


numbers = st.one_of(st.none(), st.booleans(), st.integers(), st.integers(-(10**399), 10**399), st.floats())
texts = st.text(max_size=50)
values = st.recursive(
    st.one_of(numbers, texts, tensors(), st.builds(Strange, texts, texts)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(texts, st.integers()), inner, max_size=5),
    ),
    max_leaves=20,
)  # fmt: skip


@FUZZ
@given(values)
def test_any_plain_value_comes_back_equal(value):
    assert same(cross(value), value)


@FUZZ
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_refusal(data):
    try:
        wire.receive(reader(data), SMALL)
    except (WireError, EOFError):
        pass


nodes = st.recursive(
    st.one_of(numbers, texts, st.sampled_from([*wire.DTYPES, "qint8", "object"]), st.integers(-3, 5), st.just(2**62)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(texts, inner, max_size=3),
        st.dictionaries(st.sampled_from(["tensor", "dict", "strange", "tuple"]), inner, max_size=2),
        st.tuples(st.sampled_from(["float32", "bool", "int64"]), inner, inner, inner).map(lambda t: {"tensor": list(t)}),
        st.tuples(st.lists(st.integers(0, 5), max_size=3), st.lists(st.integers(0, 2**62), max_size=3), st.integers(0, 99))
        .map(lambda t: {"tensor": ["float32", *t]}),
    ),
    max_leaves=15,
)  # fmt: skip


@FUZZ
@given(nodes, st.binary(max_size=64))
def test_any_header_is_a_value_or_a_refusal(node, body):
    header = json.dumps(node).encode()
    try:
        value = wire.unpack(header, body, SMALL)
    except WireError:
        return
    engine.describe(value)
    wire.pack(value)  # what was let in can be written down


@FUZZ
@given(values, st.data())
def test_a_damaged_frame_is_a_value_or_a_refusal(value, data):
    frame = bytearray(wire.pack(value))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        wire.receive(reader(bytes(frame)), Bounds())
    except (WireError, EOFError):
        pass


@pytest.mark.parametrize(("header", "body"), [
    (b"[" * 9_000 + b"]" * 9_000, b""),
    (b"[" + b"0," * 9_000 + b"0]", b""),
    (b'{"dict":[' + b",".join(b'["%d",0]' % i for i in range(600)) + b"]}", b""),
    (b"1" * 5_000, b""),
    (b'"' + b"x" * 5_000 + b'"', b""),
    (b'{"tensor":["float32",[4],[1],4]}', b"short"),
    (b'{"tensor":["float32",[1000000,1000000],[0,0],1]}', bytes(4)),  # looks like four terabytes
    (b'{"tensor":["float32",[3],[-1],3]}', bytes(12)),
    (b'{"tensor":["float32",[2],[4611686018427387904],4611686018427387905]}', bytes(12)),
    (b'{"tensor":["float32",[0,4611686018427387903,4611686018427387903],[1,1,1],0]}', b""),
    (b'{"tensor":["float32",[true],[1],1]}', bytes(4)),
    (b'{"tensor":["qint8",[1],[1],1]}', bytes(1)),
    (b'{"tensor":[["float32"],[1],[1],1]}', bytes(4)),
    (b'{"dict":[[["a"],1]]}', b""),
    (b'{"dict":[[1.5,1]]}', b""),
    (b'{"strange":[1,2]}', b""),
    (b'{"tuple":1}', b""),
    (b'{"tuple":[],"dict":[]}', b""),
    (b"{}", b""),
    (b"0", b"more"),
    (b"\xff", b""),
    (b"", b""),
])  # fmt: skip
def test_hostile_frames_are_refused(header, body):
    with pytest.raises(WireError):
        wire.unpack(header, body, SMALL)


def test_nothing_is_read_of_a_frame_that_says_it_is_too_large():
    asked = []

    def read(count):
        asked.append(count)
        return wire.FRAME.pack(wire.MARK, 1, 1 << 62)

    with pytest.raises(WireError, match="larger"):
        wire.receive(read, SMALL)
    assert asked == [wire.FRAME.size]


def test_a_bool_is_true_or_false_whatever_its_byte():
    """A byte of 2 would be a bool that equals both."""
    value = wire.unpack(b'{"tensor":["bool",[3],[1],3]}', bytes([0, 1, 2]))
    assert value.view(torch.uint8).tolist() == [0, 1, 1]


def test_half_a_surrogate_pair_is_not_let_in():
    assert cross("\ud800 a") == "? a"
    assert wire.unpack(rb'"\ud800 a"', b"") == "? a"
    assert wire.unpack(rb'{"dict":[["\ud800",1]]}', b"") == {"?": 1}


@pytest.mark.parametrize("value", [
    object(), {1, 2}, b"bytes", {1.5: 0}, 10**400, "x" * 2_000, [[[[[[[[[[]]]]]]]]]], list(range(600)), torch.zeros(10_000),
    torch.zeros(1).expand(10**9), torch.zeros(2, 2).to_sparse(), torch.empty(2, device="meta"), torch.int32,
])  # fmt: skip
def test_what_is_not_plain_or_too_large_is_not_sent(value):
    with pytest.raises(WireError):
        wire.pack(value, SMALL)


def test_a_view_sends_what_it_shows_and_no_more():
    large = torch.arange(1_000_000)
    assert len(wire.pack(large[10:20])) < 300
    assert same(cross(large[10:20:3]), large[10:20:3])
    value = torch.randn(3, 4, dtype=torch.complex64)
    assert torch.equal(cross(value.conj().t()), value.conj().t().resolve_conj())


def test_what_comes_has_memory_of_its_own():
    value = cross([torch.zeros(3), torch.zeros(3)])
    value[0].add_(1)
    assert value[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("lab", checks.labs())
def test_every_question_of_the_course_crosses(lab):
    for item in checks.exercises(lab).values():
        for case in engine.draw_cases(item):
            question = engine.ask_about(item, case)
            assert same(cross(question), question), item.id
