"""Whose file is which lab: every layout that platforms and people make, and the mapping file for the rest."""

import os
import re

import pytest
from folders import NOTEBOOK, OTHER, archive, placed, put
from states import code, ids_lost, is_sentence, only_answers, raw, solved, untouched

from course.grader.finding import MAX_NOTEBOOKS, MappingError, find, named_otherwise
from course.grader.notebook import Unreadable
from course.grader.submission import labs

LAYOUTS = {
    "flat": (["jane_02_autograd.ipynb", "Li Wei_02_autograd.ipynb", "s0123_01_tensors.ipynb"],
     [("jane", "02"), ("Li Wei", "02"), ("s0123", "01")]),
    "flat, other ways": (
        ["Jane Doe - 02_autograd.ipynb", "02_autograd_li.ipynb", "bob-lab02.ipynb", "LAB 2 eve.ipynb", "2024_17_02-autograd final.ipynb",
         "12_02_autograd.IPYNB", "zoe_02_autograd.ipynb.txt"],
        [("Jane Doe", "02"), ("li", "02"), ("bob", "02"), ("eve", "02"), ("2024_17", "02"), ("12", "02"), ("zoe", "02")],
    ),
    "a folder a student": (
        ["Jane Doe/02_autograd.ipynb", "Jane Doe/01_tensors.ipynb", "li/Copy of 02_autograd.ipynb", "bob/02_autograd (1).ipynb",
         "02/02_autograd.ipynb", "eve/work/solution.ipynb", "eve/work/data/x.csv", "lee_v1/02_autograd.ipynb", "lee_v2/02_autograd.ipynb"],
        [("Jane Doe", "02"), ("Jane Doe", "01"), ("li", "02"), ("bob", "02"), ("02", "02"), ("eve", "02"), ("lee_v1", "02"),
         ("lee_v2", "02")],
    ),
    "nbgrader": (
        ["submitted/jane/02_autograd/02_autograd.ipynb", "submitted/jane/01_tensors/01_tensors.ipynb", "submitted/li/ps2/02_autograd.ipynb",
         "submitted/li/ps2/timestamp.txt", "source/02_autograd/02_autograd.ipynb", "release/02_autograd/02_autograd.ipynb",
         "autograded/jane/02_autograd/02_autograd.ipynb", "feedback/jane/02_autograd/02_autograd.html"],
        [("jane", "02"), ("jane", "01"), ("li", "02")],
    ),
    "nbgrader's submitted folder": (["jane/02_autograd/work.ipynb", "li/02_autograd/02_autograd.ipynb"], [("jane", "02"), ("li", "02")]),
    "a folder a lab": (["Lab 02/jane/a.ipynb", "Lab 02/li/a.ipynb", "Lab 01/li/a.ipynb"], [("jane", "02"), ("li", "02"), ("li", "01")]),
    "GitHub Classroom": (["lab02-submissions/lab02-jane/a.ipynb", "lab02-submissions/lab02-li/a.ipynb"], [("jane", "02"), ("li", "02")]),
    "sections": (["A/jane/02_autograd.ipynb", "A/li/02_autograd.ipynb", "B/bob/02_autograd.ipynb", "B/eve/02_autograd.ipynb"],
                 [("jane", "02"), ("li", "02"), ("bob", "02"), ("eve", "02")]),
    "flat in sections": (["Section A/jane_02_autograd.ipynb", "Section A/li_02_autograd.ipynb"], [("jane", "02"), ("li", "02")]),
    "Moodle, in folders": (
        ["Jane Doe_4711_assignsubmission_file_/02_autograd.ipynb", "José Núñez_4712_assignsubmission_file/sub/02_autograd.ipynb",
         "Jane Doe_4711_assignsubmission_onlinetext_/onlinetext.html"],
        [("Jane Doe", "02"), ("José Núñez", "02")],
    ),
    "Moodle, files": (["Jane Doe_4711_assignsubmission_file_02_autograd.ipynb", "Li_4712_assignsubmission_file_lab2 v3.ipynb"],
     [("Jane Doe", "02"), ("Li", "02")]),
    "Moodle, blind": (["Participant_1_assignsubmission_file_/02_autograd.ipynb", "Participant_2_assignsubmission_file_/02_autograd.ipynb"],
                      [("Participant 1", "02"), ("Participant 2", "02")]),
    "Moodle, groups": (["Group A_77_assignsubmission_file_/02_autograd.ipynb", "Default group_assignsubmission_file_/02_autograd.ipynb"],
                       [("Group A", "02"), ("Default group", "02")]),
    "Moodle, one name twice": (
        ["Jane Doe_1_assignsubmission_file_/02_autograd.ipynb", "Jane Doe_2_assignsubmission_file_/02_autograd.ipynb",
         "Li_3_assignsubmission_file_/02_autograd.ipynb", "Li_9_assignsubmission_file_/01_tensors.ipynb"],
        [("Jane Doe 1", "02"), ("Jane Doe 2", "02"), ("Li", "02"), ("Li", "01")],
    ),
    "Canvas": (
        ["doejane_12345_678901_02_autograd.ipynb", "liwei_LATE_12346_678902_02_autograd-1.ipynb", "núñezjosé_late_12347_678903_lab2.ipynb",
         "anon_aB3dE_678904_02_autograd.ipynb", "LATE_anon_xY9zW_678905_02_autograd.ipynb"],
        [("doejane", "02"), ("liwei", "02"), ("núñezjosé", "02"), ("anon aB3dE", "02"), ("anon xY9zW", "02")],
    ),
    "Canvas, the newest counts": (
        ["doejane_12345_678901_02_autograd.ipynb", "doejane_LATE_12345_678999_02_autograd-1.ipynb",
         "doejane_12345_678950_02_autograd-2.ipynb"],
        [("doejane", "02")],
    ),
    "Canvas, one name twice": (["doejane_1_1001_02_autograd.ipynb", "doejane_2_1002_01_tensors.ipynb"],
     [("doejane 1", "02"), ("doejane 2", "01")]),
    "Blackboard": (["Lab 02_jdoe_attempt_2024-01-30-20-30-10_work.ipynb", "Lab 02_jdoe_attempt_2024-02-01-20-30-10_work.ipynb"],
     [("jdoe", "02")]),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wrap", ["folder", "zip", "zip in a folder"])
def test_layouts(tmp_path, layout, wrap):
    names, want = LAYOUTS[layout]
    if wrap == "folder":
        put(tmp_path, *names)
    else:
        put(
            tmp_path,
            "download.zip" if wrap == "zip" else "Lab submissions/CS101-Deep Learning-99.zip",
            data=archive(names),
        )
        if "source/02_autograd/02_autograd.ipynb" in names:
            pytest.skip("nobody zips a whole nbgrader course")
    assert sorted(placed(tmp_path)) == sorted(want)
    for one in find(tmp_path)[0]:
        assert one.read() in (NOTEBOOK, OTHER) and (tmp_path / one.origin.split(".zip")[0]).parent.exists()


def test_cells_count_more_than_the_name_of_a_file(tmp_path):
    put(tmp_path, "jane_01_tensors.ipynb", "submitted/li/01_tensors/01_tensors.ipynb", data=NOTEBOOK)
    put(tmp_path, "bob_01_tensors.ipynb")
    assert sorted(placed(tmp_path)) == [("bob", "01"), ("jane", "02"), ("li", "02")]
    found, unplaced = find(tmp_path, "01")
    assert [one.student for one in found] == ["bob"]
    assert [one.reason for one in unplaced] == ["Its name says lab 01, and it holds the cells of lab 02."] * 2
    assert [one.student for one in find(tmp_path, "02")[0]] == ["jane", "li"]
    for origin in ("jane_01_tensors.ipynb", "a.zip/01_tensors/01_tensors.ipynb"):
        assert is_sentence(named_otherwise(origin, "02"))
        assert named_otherwise(origin, "01") == ""
    assert named_otherwise("jane/work.ipynb", "02") == ""


def test_what_the_mapping_says_counts_more_than_cells(tmp_path):
    put(tmp_path, "jane_01_tensors.ipynb", data=NOTEBOOK)
    (tmp_path / "map.csv").write_text("file,student,lab\njane_01_tensors.ipynb,,01\n")
    assert ("jane", "01") in placed(tmp_path, mapping=tmp_path / "map.csv")


def test_one_cell_of_another_lab_changes_nothing(tmp_path):
    notebook = only_answers(solved("01"))
    notebook["cells"].append(solved("02")["cells"][-3])
    put(tmp_path, "jane_01_tensors.ipynb", data=raw(notebook))
    assert placed(tmp_path) == [("jane", "01")]


def test_a_mapping_file_names_a_file_as_a_spreadsheet_may_hold_it(tmp_path):
    put(tmp_path, "=1+2.ipynb", "'quoted.ipynb")
    (tmp_path / "map.csv").write_text("file,student,lab\n'=1+2.ipynb,jane,02\n'quoted.ipynb,li,02\n")
    assert placed(tmp_path, mapping=tmp_path / "map.csv") == [("jane", "02"), ("li", "02")]


def test_the_newest_of_several_counts_and_the_others_are_listed(tmp_path):
    put(tmp_path, *LAYOUTS["Canvas, the newest counts"][0])
    [one], unplaced = find(tmp_path)
    assert one.origin == "doejane_LATE_12345_678999_02_autograd-1.ipynb"
    assert [one.origin for one in unplaced] == [
        "doejane_12345_678901_02_autograd.ipynb",
        "doejane_12345_678950_02_autograd-2.ipynb",
    ]
    assert all("counts for doejane" in one.reason and is_sentence(one.reason.capitalize()) for one in unplaced)


@pytest.mark.parametrize(
    "older, newer",
    [
        ("02_autograd.ipynb", "02_autograd (1).ipynb"),
        ("02_autograd (9).ipynb", "02_autograd (10).ipynb"),
        ("02_autograd-1.ipynb", "02_autograd-2.ipynb"),
    ],
)
def test_numbered_downloads_count_up(tmp_path, older, newer):
    put(tmp_path, f"jane/{newer}", f"jane/{older}", "li/02_autograd.ipynb")
    assert {one.student: one.origin for one in find(tmp_path)[0]}["jane"] == f"jane/{newer}"


def test_of_copies_the_one_saved_last_counts(tmp_path):
    put(
        tmp_path, "jane/02_autograd.ipynb", "jane/02_autograd-Copy1.ipynb", "jane/backup/Copy of 02_autograd.ipynb",
        "li/02_autograd.ipynb",
    )  # fmt: skip
    os.utime(tmp_path / "jane/02_autograd-Copy1.ipynb", (2_000_000_000, 2_000_000_000))
    assert {one.student: one.origin for one in find(tmp_path)[0]}["jane"] == "jane/02_autograd-Copy1.ipynb"


def test_what_cannot_be_placed_is_listed_and_can_be_mapped(tmp_path):
    put(
        tmp_path, "02_autograd.ipynb", "eve/essay.pdf", "eve/notes/plan.txt", "bob.rar", "li/02_autograd.ipynb",
        "zoe/broken.zip", "x/y.zip",
    )  # fmt: skip
    put(tmp_path, "ann/poem.ipynb", data=raw({"cells": [code("print('roses')")]}))
    found, unplaced = find(tmp_path)
    assert [(one.student, one.lab) for one in found] == [("li", "02")]
    reasons = {one.origin: one.reason for one in unplaced}
    assert sorted(reasons) == [
        "02_autograd.ipynb", "ann/poem.ipynb", "bob.rar", "eve/essay.pdf", "eve/notes/plan.txt", "x/y.zip",
        "zoe/broken.zip",
    ]  # fmt: skip
    assert "whose it is" in reasons["02_autograd.ipynb"] and "no cell of any lab" in reasons["ann/poem.ipynb"]
    assert (
        "no notebook" in reasons["eve/essay.pdf"]
        and "not opened" in reasons["bob.rar"]
        and "no whole .zip" in reasons["x/y.zip"]
    )
    assert all(map(is_sentence, reasons.values()))

    table = tmp_path.parent / f"{tmp_path.name}.csv"
    table.write_text(
        "file;student;lab\n02_autograd.ipynb;Jane Doe;\nann;Ann;02_autograd\nli;-;\ngone.ipynb;x;\n",
        encoding="utf-8-sig",
    )
    found, unplaced = find(tmp_path, mapping=table)
    assert [(one.student, one.lab) for one in found] == [("Ann", "02"), ("Jane Doe", "02")]
    assert "no such file" in {one.origin: one.reason for one in unplaced}["gone.ipynb"]


@pytest.mark.parametrize(
    "text, fragment",
    [
        ("a,b\n1,2\n", "file,student,lab"),
        ("file,student,lab\nx,y,77\n", "line 2: there is no lab 77"),
        ("", "file,student,lab"),
    ],
)
def test_a_wrong_mapping_file_is_refused(tmp_path, text, fragment):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(MappingError, match=re.escape(fragment)):
        find(tmp_path, mapping=tmp_path / "map.csv")
    with pytest.raises(MappingError, match="cannot be read"):
        find(tmp_path, mapping=tmp_path / "none.csv")


def test_the_lab_is_told_from_the_cells_where_no_name_tells_it(tmp_path):
    for lab in labs():
        put(tmp_path, f"jane{lab}/work.ipynb", data=raw(untouched(lab)))
        put(tmp_path, f"li{lab}/work.ipynb", data=raw(ids_lost(only_answers(solved(lab)))))
    assert {lab for student, lab in placed(tmp_path) if not student.endswith(lab)} == set()
    assert len(placed(tmp_path)) == 2 * len(labs())


def test_one_lab_only(tmp_path):
    put(tmp_path, "jane/02_autograd.ipynb", "li/01_tensors.ipynb", "eve/lab 4.ipynb")
    put(tmp_path, "li/02_autograd.ipynb", "bob/lab 4.ipynb", data=raw(untouched("04")))
    put(tmp_path, "ann/poem.ipynb", data=b"{")
    assert placed(tmp_path, "02") == [("ann", "02"), ("eve", "02"), ("jane", "02")]  # li's is lab 04's
    assert [one.origin for one in find(tmp_path, "02")[1]] == ["li/02_autograd.ipynb"]
    with pytest.raises(ValueError, match="no lab '77'"):
        find(tmp_path, "77")


def test_broken_files_stay_their_students(tmp_path):
    put(tmp_path, "jane/02_autograd.ipynb", "li/work.ipynb", data=b"{")
    (tmp_path / "eve").mkdir()
    with (tmp_path / "eve/02_autograd.ipynb").open("wb") as file:
        file.truncate(500 * 2**20)
    found, unplaced = find(tmp_path)
    assert [(one.student, one.lab) for one in found] == [("li", ""), ("eve", "02"), ("jane", "02")] and unplaced == []
    with pytest.raises(Unreadable, match="not whole"):
        found[0].read()
    with pytest.raises(Unreadable, match="500 MB, the limit is 100 MB: clear its outputs"):
        found[1].read()
    (tmp_path / "jane/02_autograd.ipynb").unlink()
    with pytest.raises(Unreadable, match="No such file"):
        found[2].read()


@pytest.mark.parametrize(
    "forged",
    [
        "li_2_1002_02_autograd.ipynb", "li/02_autograd.ipynb", "li_02_autograd.ipynb",
        "Li_2_assignsubmission_file_/02_autograd.ipynb", "submitted/li/02_autograd/a.ipynb",
    ],
)  # fmt: skip
@pytest.mark.parametrize("layout", ["flat", "folders", "Canvas", "Moodle"])
def test_no_student_can_hand_in_for_another(tmp_path, forged, layout):
    own = {"flat": "{}_02_autograd.ipynb", "folders": "{}/02_autograd.ipynb", "Canvas": "{}_{}_100{}_02_autograd.ipynb",
           "Moodle": "{}_{}_assignsubmission_file_/02_autograd.ipynb"}[layout]  # fmt: skip
    for number, name in enumerate(["bob", "li", "eve", "Li"]):
        put(tmp_path, own.format(name, number, number))
    theirs = {
        "flat": "mallory.zip",
        "folders": "mallory.zip",
        "Canvas": "mallory_9_1009_x.zip",
        "Moodle": "mallory_9_assignsubmission_file_/x.zip",
    }[layout]
    put(tmp_path, theirs, data=archive([forged, "mallory_02_autograd.ipynb"]))
    for path in tmp_path.rglob("*.ipynb"):
        os.utime(path, (1, 1))
    found, _ = find(tmp_path)
    honest = [one for one in found if one.student in ("li", "Li")]
    assert [one.student for one in found if ".zip" in one.origin] == ["mallory"]
    assert len(honest) == 2 and not [one for one in honest if ".zip" in one.origin]


def test_a_students_folders_are_not_other_students(tmp_path):
    put(
        tmp_path, "bob/02_autograd.ipynb", "eve/02_autograd.ipynb", "mallory/li/02_autograd.ipynb",
        "mallory/me/02_autograd.ipynb",
    )  # fmt: skip
    assert placed(tmp_path) == [("bob", "02"), ("eve", "02"), ("mallory", "02")]


def test_the_number_of_a_platform_is_in_the_outermost_name(tmp_path):
    """Eve has called a file in her own archive as Canvas calls Alice's."""
    put(tmp_path, "carol_4712_100002_02_autograd.ipynb")
    put(tmp_path, "eve_5000_100003_mine.zip", data=archive(["x_4711_123456_02_autograd.ipynb"]))
    assert {one.student: one.platform for one in find(tmp_path)[0]} == {"carol": "canvas 4712", "eve": "canvas 5000"}
    put(tmp_path / "moodle", "Jane Doe_4711_assignsubmission_file_/02_autograd.ipynb", "Participant_9_assignsubmission_file_/a.ipynb")
    numbers = {one.student: one.platform for one in find(tmp_path / "moodle")[0]}
    assert numbers == {"Jane Doe": "moodle 4711", "Participant 9": "moodle 9"}


@pytest.mark.parametrize("around", ["", "submitted/"])
def test_a_platforms_name_in_a_students_own_folder_is_nobodys(tmp_path, around):
    put(tmp_path, *(f"{around}{name}/02_autograd.ipynb" for name in ("bob", "carol", "li")))
    put(tmp_path, f"{around}eve/alice_4711_123456_02_autograd.ipynb",
        f"{around}eve/02/dave_4711_assignsubmission_file_02_autograd.ipynb")  # fmt: skip
    put(tmp_path, f"{around}mallory.zip", data=archive(["carol_4711_123_02.ipynb", "m/zed_assignsubmission_file_/02.ipynb"]))
    found, unplaced = find(tmp_path)
    assert [(one.student, one.platform) for one in found] == [("bob", ""), ("carol", ""), ("li", "")]
    (tmp_path / "map.csv").write_text(f"file,student,lab\n{around}eve/alice_4711_123456_02_autograd.ipynb,eve,02\n")
    eve = next(one for one in find(tmp_path, mapping=tmp_path / "map.csv")[0] if one.student == "eve")
    assert eve.platform == ""  # the number in the name is Alice's
    assert len(unplaced) == 4 and all("learning platform" in one.reason and is_sentence(one.reason) for one in unplaced)


def test_a_platforms_download_may_lie_beside_late_submissions(tmp_path):
    students = [f"s{number}_47{number}_100000_02_autograd.ipynb" for number in range(10, 15)]
    put(tmp_path, "canvas.zip", data=archive(students))
    put(tmp_path, "ann_02_autograd.ipynb", "ben_02_autograd.ipynb", "late/cy/02_autograd.ipynb", "late/dan/02_autograd.ipynb")
    assert {one.student for one in find(tmp_path)[0]} == {*(f"s{number}" for number in range(10, 15)), "ann", "ben", "cy", "dan"}


@pytest.mark.parametrize("part", ["notebook______", "my_", "final ", "_", "1_1_", "lab ", "a_assignsubmission_", "copy (1)", "02 . "])
def test_no_name_of_a_file_takes_long_to_read(tmp_path, part):
    put(tmp_path, (part * 255)[:249] + ".ipynb")
    find(tmp_path)


def test_of_thousands_of_notebooks_the_newest_are_looked_at(tmp_path):
    names = [f"jane_4711_{number}_02_autograd.ipynb" for number in range(100_000, 100_000 + 3 * MAX_NOTEBOOKS)]
    put(tmp_path, *names, "li_4712_100000_02_autograd.ipynb", data=b"{}")
    put(tmp_path, names[-1])
    found, unplaced = find(tmp_path)
    assert [(one.student, one.origin) for one in found if one.student == "jane" and one.lab == "02"] == [("jane", names[-1])]
    assert [one.origin for one in unplaced if "not looked at" in one.reason] == names[:1] and len(unplaced) < 1.5 * MAX_NOTEBOOKS
