"""What crosses between the grader and a student's process: plain values and tensors in bounded frames, never pickle.

A frame is `FRAME` (a mark, the length of a header, the length of a body), a header in JSON and a body of tensors' bytes.
The receiver reads it as if an attacker had written it: every length, count and depth is bounded before memory is asked
for, and whatever does not fit is a `WireError` and nothing else.
"""

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

import torch

from utils.checks.engine import Strange

FRAME = struct.Struct(">4sIQ")
MARK = b"LAB1"
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32),
        *(torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
    )
}
DIGITS = 400  # of an integer: more than a float64 can have


class WireError(ValueError):
    """A value that may not be sent, or bytes that are not a frame."""


@dataclass(frozen=True)
class Bounds:
    """The largest frame; a receiver refuses more, and a sender does not send it."""

    header: int = 4 << 20  # bytes of JSON
    body: int = 64 << 20  # bytes of tensors, also of what a view with stride 0 looks like
    nodes: int = 100_000  # values: items of lists, keys, tensors, …
    depth: int = 24
    text: int = 200_000  # characters of one text
    dims: int = 64  # of one tensor


# What the grader sends, cells of a notebook among it: their code has a limit already, `submission.MAX_CODE`, which fits here.
QUESTION = Bounds(header=64 << 20, nodes=1_000_000, text=4_000_000)


# ------------------------------------------------------------------------------------------------------------- send


def pack(value, bounds: Bounds = Bounds()) -> bytes:
    """A value as one frame.

    Args:
        value: None, bool, int, float, str, a dense tensor, `Strange`, or lists, tuples and dicts (keys: str or int) of these.
            A character that no file could hold (half of a surrogate pair) is sent as a question mark.
    Raises:
        WireError: it holds something else, or is larger than the bounds.
    """
    packer = _Packer(bounds)
    header = json.dumps(packer.node(value, 0), separators=(",", ":")).encode("ascii")
    if len(header) > bounds.header:
        raise WireError(f"its text is larger than {bounds.header:,} bytes")
    return b"".join([FRAME.pack(MARK, len(header), sum(map(len, packer.chunks))), header, *packer.chunks])


class _Packer:
    """Turns values into JSON's own, and tensors into chunks of the body."""

    def __init__(self, bounds: Bounds):
        self.bounds, self.chunks, self.nodes, self.size = bounds, [], 0, 0

    def node(self, value, depth: int):
        self.nodes += 1
        if depth > self.bounds.depth or self.nodes > self.bounds.nodes:
            raise WireError(f"it is nested too deeply, or has more than {self.bounds.nodes:,} values")
        if value is None or type(value) in (bool, float):
            return value
        if type(value) is int:
            return _bounded_int(value)
        if type(value) is str:
            return _bounded_text(value, self.bounds)
        if type(value) in (list, tuple):
            items = [self.node(item, depth + 1) for item in value]
            return items if type(value) is list else {"tuple": items}
        if type(value) is dict:
            return {"dict": [[_key(key, self.bounds), self.node(item, depth + 1)] for key, item in value.items()]}
        if type(value) is Strange:
            return {"strange": [_bounded_text(value.type_name, self.bounds), _bounded_text(value.text, self.bounds)]}
        if isinstance(value, torch.Tensor):
            return {"tensor": self.tensor(value)}
        raise WireError(f"it holds a {type(value).__name__}")

    def tensor(self, value: torch.Tensor) -> list:
        """[dtype, shape, strides, elements of storage that follow in the body]"""
        name = str(value.dtype).removeprefix("torch.")
        if name not in DTYPES or value.layout != torch.strided or value.is_meta or value.dim() > self.bounds.dims:
            raise WireError(f"it holds a {value.dtype} tensor of {value.layout} layout on {value.device}, of {value.dim()} dims")
        value = value.detach().resolve_conj().resolve_neg().cpu()
        shape, stride = list(value.shape), list(value.stride())
        span = _span(shape, stride)
        self.size += max(span, value.numel()) * value.itemsize
        if self.size > self.bounds.body:
            raise WireError(f"its tensors are larger than {self.bounds.body:,} bytes")
        flat = value.as_strided((span,), (1,))
        self.chunks.append(flat.view(torch.uint8).numpy().tobytes() if span else b"")
        return [name, shape, stride, span]


def _span(shape: list[int], stride: list[int]) -> int:
    """Elements of storage from a tensor's first to its last."""
    return 0 if 0 in shape else 1 + sum((size - 1) * step for size, step in zip(shape, stride))


def _bounded_int(value: int) -> int:
    if abs(value) >= 10**DIGITS:
        raise WireError(f"it holds an integer of more than {DIGITS} digits")
    return value


def _bounded_text(value: str, bounds: Bounds) -> str:
    if len(value) > bounds.text:
        raise WireError(f"it holds a text of more than {bounds.text:,} characters")
    return value.encode("utf-8", "replace").decode("utf-8")


def _key(key, bounds: Bounds) -> str | int:
    if type(key) is str:
        return _bounded_text(key, bounds)
    if type(key) is int:
        return _bounded_int(key)
    raise WireError(f"it holds a dict with a {type(key).__name__} as a key")


# ---------------------------------------------------------------------------------------------------------- receive


def receive(read: Callable[[int], bytes | bytearray], bounds: Bounds = Bounds()):
    """Read one frame.

    Args:
        read: gives exactly that many bytes, or raises.
    Raises:
        WireError: it is not a frame, or is larger than the bounds. Nothing is known then of what follows it.
    """
    mark, header, body = FRAME.unpack(read(FRAME.size))
    if mark != MARK:
        raise WireError("its first bytes are not those of a frame")
    if header > bounds.header or body > bounds.body:
        raise WireError(f"it says that it is larger than {bounds.header:,} bytes of text or {bounds.body:,} of tensors")
    return unpack(read(header), read(body), bounds)


def unpack(header: bytes, body: bytes, bounds: Bounds = Bounds()):
    """The value of a frame's header and body. Raises WireError."""
    if header.count(b",") + header.count(b"[") + header.count(b"{") > 16 * bounds.nodes:  # before they become objects
        raise WireError(f"it has far more than {bounds.nodes:,} values")
    try:
        node = json.loads(header, parse_int=_parse_int)
    except (ValueError, RecursionError) as error:
        raise WireError(f"its header is not JSON: {str(error)[:80]}") from None
    unpacker = _Unpacker(bounds, body)
    value = unpacker.value(node, 0)
    if unpacker.place != len(body):
        raise WireError("its body is longer than its tensors")
    return value


def _parse_int(digits: str) -> int:
    if len(digits) > DIGITS + 1:
        raise ValueError("an integer has too many digits")
    return int(digits)


class _Unpacker:
    """Turns a header's JSON back into values, taking tensors' bytes from the body in turn."""

    def __init__(self, bounds: Bounds, body: bytes):
        self.bounds, self.body, self.place, self.nodes, self.size = bounds, body, 0, 0, 0

    def value(self, node, depth: int):
        self.nodes += 1
        if depth > self.bounds.depth or self.nodes > self.bounds.nodes:
            raise WireError(f"it is nested too deeply, or has more than {self.bounds.nodes:,} values")
        if node is None or type(node) in (bool, int, float):
            return node
        if type(node) is str:
            return _bounded_text(node, self.bounds)
        if type(node) is list:
            return [self.value(item, depth + 1) for item in node]
        if len(node) != 1:
            raise WireError("it holds a mark that is not known")
        ((kind, content),) = node.items()
        if kind not in ("tuple", "dict", "strange", "tensor") or type(content) is not list:
            raise WireError("it holds a mark that is not known")
        if kind == "tuple":
            return tuple(self.value(item, depth + 1) for item in content)
        return getattr(self, kind)(content, depth)

    def dict(self, content: list, depth: int) -> dict:
        if not all(type(pair) is list and len(pair) == 2 for pair in content):
            raise WireError("it holds a dict that is not made of pairs")
        return {_key(key, self.bounds): self.value(item, depth + 1) for key, item in content}

    def strange(self, content: list, depth: int) -> Strange:
        if [type(text) for text in content] != [str, str]:
            raise WireError("it holds a strange value without a name")
        return Strange(*(_bounded_text(text, self.bounds) for text in content))

    def tensor(self, content: list, depth: int) -> torch.Tensor:
        if len(content) != 4:
            raise WireError("it holds a tensor that is not described by four values")
        name, shape, stride, span = content
        counts = [type(numbers) is list and len(numbers) <= self.bounds.dims and all(map(_is_count, numbers))
                  for numbers in (shape, stride, [span])]
        if type(name) is not str or name not in DTYPES or not all(counts) or len(shape) != len(stride):
            raise WireError("it holds a tensor of an unknown dtype or an impossible shape")
        dtype, numel = DTYPES[name], math.prod(shape)  # Python's integers do not overflow
        self.size += max(span, numel) * dtype.itemsize
        end = self.place + span * dtype.itemsize
        astronomic = math.prod(size or 1 for size in shape) >= 2**62  # though it is empty
        if astronomic or span != _span(shape, stride) or self.size > self.bounds.body or end > len(self.body):
            raise WireError("it holds a tensor that is larger than allowed, or than its bytes")
        flat = _flat(self.body, self.place, span, dtype)
        self.place = end
        try:
            return flat.as_strided(shape, stride)
        except RuntimeError:  # an empty tensor of astronomic shape, or strides that overflow
            raise WireError("it holds a tensor of an impossible shape") from None


def _is_count(number) -> bool:
    return type(number) is int and 0 <= number < 2**62


def _flat(body: bytes, place: int, span: int, dtype: torch.dtype) -> torch.Tensor:
    """`span` elements of the body from byte `place` on, as a tensor with memory of its own."""
    if not span:
        return torch.empty(0, dtype=dtype, device="cpu")
    raw = torch.frombuffer(bytearray(memoryview(body)[place : place + span * dtype.itemsize]), dtype=torch.uint8)
    # A bool whose byte is 2 is equal to both True and False in some of torch's kernels.
    return raw.ne(0) if dtype == torch.bool else raw.clone().view(dtype)
