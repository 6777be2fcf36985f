"""Files and archives: links, junk, bombs, damage, strange names, and what may not be read."""

import os
import stat
import tempfile
import zipfile
from pathlib import Path

import pytest
from folders import NOTEBOOK, archive, content, put
from states import is_sentence, raw, untouched

from course.grader import archives
from course.grader.finding import find
from course.grader.notebook import Unreadable


def test_junk_is_passed_over(tmp_path):
    put(tmp_path, "jane/02_autograd.ipynb", "jane/.ipynb_checkpoints/02_autograd-checkpoint.ipynb", "__MACOSX/jane/._02_autograd.ipynb",
        "jane/._02_autograd.ipynb", ".git/02_autograd.ipynb", "li/timestamp.txt", "li/02_autograd.ipynb")  # fmt: skip
    put(
        tmp_path,
        "eve.zip",
        data=archive(
            ["02_autograd.ipynb", "__MACOSX/._02_autograd.ipynb", ".ipynb_checkpoints/02_autograd-checkpoint.ipynb"]
        ),
    )
    found, unplaced = find(tmp_path)
    assert [one.student for one in found] == ["eve", "jane", "li"] and unplaced == []


def test_links_and_pipes_are_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    put(tmp_path, "secret_02_autograd.ipynb")
    (tmp_path / "in/jane_02_autograd.ipynb").symlink_to(tmp_path / "secret_02_autograd.ipynb")
    (tmp_path / "in/li").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "in/eve_02_autograd.ipynb")
    link = zipfile.ZipInfo("02_autograd.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "in/bob.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    found, unplaced = find(tmp_path / "in")
    assert found == []
    assert [one.origin for one in unplaced] == [
        "bob.zip/02_autograd.ipynb", "eve_02_autograd.ipynb", "jane_02_autograd.ipynb", "li",
    ]  # fmt: skip


def test_what_came_in_the_place_of_a_file_is_not_read(tmp_path):
    """Where students can write into the folder, between the listing and the reading."""
    put(tmp_path, "eve_02_autograd.ipynb", "li_02_autograd.ipynb")
    eve, li = find(tmp_path)[0]
    for replace in (lambda: eve.path.symlink_to(li.path), lambda: os.mkfifo(eve.path)):
        eve.path.unlink()
        replace()
        with pytest.raises(Unreadable, match="cannot be read"):
            eve.read()


def test_what_may_not_be_read_is_said(nobody):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put(folder, "jane/02_autograd.ipynb", "li/02_autograd.ipynb")
        (folder / "jane/02_autograd.ipynb").chmod(0)
        (folder / "li").chmod(0)
        folder.chmod(0o755)
        try:
            with nobody():
                found, unplaced = find(folder)
                with pytest.raises(Unreadable, match="Permission denied"):
                    found[0].read()
            assert [(one.origin, one.reason) for one in unplaced] == [("li", "It cannot be read: Permission denied.")]
        finally:
            (folder / "li").chmod(0o755)


def test_archives_inside_folders_and_archives(tmp_path):
    inner = archive({"work/02_autograd.ipynb": NOTEBOOK, "again.zip": archive(["01_tensors.ipynb"])})
    put(tmp_path, "doejane_1_1001_homework.zip", data=inner)
    put(
        tmp_path,
        "canvas.zip",
        data=archive({"liwei_2_1002_homework.zip": inner, "bob_3_1003_02_autograd.ipynb": NOTEBOOK}),
    )
    found, unplaced = find(tmp_path)
    assert [(one.student, one.lab) for one in found] == [
        ("doejane", "01"), ("liwei", "01"), ("bob", "02"), ("doejane", "02"), ("liwei", "02"),
    ]  # fmt: skip
    assert all(one.read() == content(one.origin) for one in found) and unplaced == []


def test_names_in_an_archive_lead_nowhere(tmp_path):
    names = [
        "../../li/02_autograd.ipynb", "/etc/02_autograd.ipynb", "a\\..\\b\\01_tensors.ipynb", "C:\\x\\04_modules.ipynb",
        "\x1b[31m/06_optimizers.ipynb", "..", "/",
    ]  # fmt: skip
    put(tmp_path, "jane.zip", data=archive(names))
    put(tmp_path, "li/02_autograd.ipynb", "bob/02_autograd.ipynb", "eve/02_autograd.ipynb", data=raw(untouched()))
    found, _ = find(tmp_path)
    assert {one.student for one in found} == {"jane", "li", "bob", "eve"}
    assert {one.origin for one in found if one.student == "li"} == {"li/02_autograd.ipynb"}
    assert all(one.origin.isprintable() for one in found)
    assert sorted(path.name for path in tmp_path.parent.iterdir() if path.name.startswith("li")) == []


def test_bombs_do_not_go_off(tmp_path):
    big = archive({"02_autograd.ipynb": bytes(300 * 2**20)})
    put(tmp_path, "jane.zip", data=big)
    liar = bytearray(archive({"02_autograd.ipynb": bytes(150 * 2**20)}))
    at = liar.rindex(b"PK\1\2")
    liar[at + 24 : at + 28] = (1000).to_bytes(4, "little")  # claims 1000 bytes
    put(tmp_path, "li.zip", data=bytes(liar))
    nest = NOTEBOOK
    for level in range(6):
        nest = archive({"02_autograd.ipynb" if not level else "inner.zip": nest})
    put(tmp_path, "bob.zip", data=nest)
    put(
        tmp_path,
        "eve.zip",
        data=archive({f"{n}.zip": archive({f"{m}.zip": archive([f"{m}.ipynb"]) for m in range(30)}) for n in range(2)}),
    )
    put(tmp_path, "zoe.zip", data=archive({"a.zip": archive({"inner.zip": bytes(101 * 2**20)})}))
    found, unplaced = find(tmp_path)
    reasons = [(one.origin, one.reason) for one in unplaced]
    for one in found:
        if one.student in ("jane", "li"):
            with pytest.raises(Unreadable, match="limit is 100 MB|does not give it back"):
                one.read()
    assert any("times over" in reason for origin, reason in reasons if origin.startswith("bob.zip"))
    assert any("holds more than 20 others" in reason for origin, reason in reasons if origin.startswith("eve.zip"))
    assert any("more than 100 MB" in reason for origin, reason in reasons if origin.startswith("zoe.zip"))


@pytest.mark.parametrize("damage", ["encrypted", "checksum", "cut", "method"])
def test_a_damaged_member_is_its_own_students(tmp_path, damage):
    data = bytearray(archive(["02_autograd.ipynb"]))
    entry = data.rindex(b"PK\1\2")
    if damage == "encrypted":
        data[6] |= 1
        data[entry + 8] |= 1
    elif damage == "checksum":
        data[entry + 16] ^= 255
        data[14] ^= 255
    elif damage == "method":
        data[8] = data[entry + 10] = 99
    else:
        data[100:200] = bytes(100)
    put(tmp_path, "jane.zip", data=bytes(data))
    put(tmp_path, "li.zip", data=archive(["02_autograd.ipynb"]))
    found, unplaced = find(tmp_path)
    assert [one.student for one in found] == ["jane", "li"] and found[1].read() == NOTEBOOK
    with pytest.raises(Unreadable) as caught:
        found[0].read()
    assert is_sentence(str(caught.value))


def test_names_that_are_no_utf_8(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"jos\xe9_02_autograd.ipynb")
    with open(path, "wb") as file:
        file.write(NOTEBOOK)
    put(tmp_path, "Jose\u0301 \u202e<script>alert(1)<\u2215script>_02_autograd.ipynb")
    found, _ = find(tmp_path)
    assert all(
        one.student.encode() and one.origin.encode() and one.student.isprintable() and one.read() == NOTEBOOK
        for one in found
    )
    assert any("<script>" in one.student and one.student.startswith("José ") for one in found) and len(found) == 2


def test_many_submissions_in_one_archive_take_linear_time(tmp_path):
    put(
        tmp_path,
        "moodle.zip",
        data=archive([f"Student {n}_{n}_assignsubmission_file_/02_autograd.ipynb" for n in range(1000)]),
    )
    archives._archive_at.cache_clear()
    found, unplaced = find(tmp_path)
    assert len({one.student for one in found}) == 1000 and unplaced == []
    assert all(one.read() == NOTEBOOK for one in found)
    assert archives._archive_at.cache_info().misses == 1


def test_a_member_without_a_name(tmp_path):
    """Found by test_fuzz.py: what follows a null byte in a name is not read."""
    put(tmp_path, "jane_02_autograd.zip", data=archive({"jane.ipynb": NOTEBOOK, "x.ipynb": b"{}"}).replace(b"x.ipynb", b"\0.ipynb"))
    assert [one.origin for one in find(tmp_path)[0]] == ["jane_02_autograd.zip/jane.ipynb"]
