"""Reading notebooks: what is none gets a sentence, and names are found without parsing."""

import pytest
from states import code, is_sentence, raw, solved

from course.grader.notebook import Unreadable, defined
from course.grader.submission import prepare, release


@pytest.mark.parametrize(
    "source, names",
    [
        ("def f(x):\n    g = 1\nclass K: pass\nasync def h(): pass", {"f", "K", "h"}),
        ("a = 1; b: int = 2\nc, (d) = e = 3", {"a", "b", "e"}),
        ("(p, q) = 1, 2\nx.y = 1\nx[0] = 2\nx == 3\nf(z=1)\nx += 1", {"p", "q"}),
        ("    def f(x):\n        pass", {"f"}),
        ("%%time\n@decorated\ndef f(): pass", {"f"}),
        ("é = 1\nif x != 1: pass\nprint('a = 1')", {"é"}),
    ],
)
def test_names_are_found_without_parsing(source, names):
    assert defined(source) == names


def too_many(make) -> bytes:
    return raw({"cells": make})


BAD = {
    "empty": (b"", "is empty"),
    "blanks": (b" \n" * 5000, "is empty"),
    "cut short": (raw(solved())[:30_000], "not whole"),
    "no JSON": (b"import torch\nprint(1)", "not whole, or no notebook"),
    "a merge conflict": (raw(solved()).replace(b'"cells"', b"<<<<<<< HEAD\n", 1), "not whole"),
    "a web page": (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "is a web page"),
    "a PDF": (b"%PDF-1.7 \xff", "is a PDF"),
    "an archive": (b"PK\3\4....", "is an archive"),
    "a list": (b"[1, 2]", "JSON but no notebook"),
    "a number": (b"7", "JSON but no notebook"),
    "null": (b"null", "JSON but no notebook"),
    "an object": (b'{"a": 1}', "no list of cells"),
    "cells are no list": (b'{"cells": {"a": 1}}', "no list of cells"),
    "not UTF-8": ('{"cells": ["é"]}'.encode("latin-1"), "not UTF-8"),
    "half of UTF-16": (b"\xff\xfe{\0\0\xd8", "not UTF-8"),
    "binary": (bytes(range(256)) * 9, ""),
    "deeply nested": (b'{"cells": ' + b"[" * 100_000, "nested too deeply"),
    "deeply nested metadata": (
        b'{"cells": [], "metadata": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        "nested too deeply",
    ),
    "a huge number": (b'{"cells": [], "n": ' + b"9" * 10_000 + b"}", "number that cannot be read"),
    "a million lists": (b'{"cells": [' + b"[]," * 3_000_000 + b"1]}", "more than 5,000,000 values"),
    "many cells": (too_many([{"cell_type": "code"}] * 6000), "6,000 cells"),
    "much code": (too_many([code("x = 1\n" * 1_000_000)]), "6,000,000 characters"),
    "much code in text": (
        too_many([{"cell_type": "markdown", "source": "Value = 1\n" + "#" * 90_000}] * 60),
        "characters",
    ),
    "500 MB of outputs": (bytes(100 * 2**20 + 1), "clear its outputs"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_read_gets_a_sentence(what):
    data, fragment = BAD[what]
    with pytest.raises(Unreadable) as caught:
        prepare(data, release("02"))
    assert is_sentence(str(caught.value)) and fragment in str(caught.value)
