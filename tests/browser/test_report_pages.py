"""The grader's pages in a real Chromium, desktop and phone, dark and light, with students who try to break them."""

from types import SimpleNamespace

import pytest
from lab_page import browser_page

from course.grader import report, tables
from course.grader.entries import Lab
from course.grader.results import FAULT, NOT_RUN, ExerciseResult, Graded, WrittenAnswer

HTML = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\"><style>*{display:none}</style>"
NAMES = {
    "script": "<script>alert(1)</script>",
    "image": '"><img src=http://127.0.0.1:9/x onerror=alert(2)>',
    "slashes": "../../etc/passwd",
    "empty": "",
    "long": "N" * 300,
    "right to left": "مريم \u202eالخوارزمي",
    "link": "javascript:alert(1)",
    "plain": "Ana Müller",
}
OUTCOMES = ["correct", "partly", "wrong", "not attempted", "error", NOT_RUN, FAULT, "an outcome of next year"]
COURSE = {f"{n:02}": Lab(f"{n:02}", f"{n:02}_name", f"A lab {HTML}") for n in range(1, 13)}


def work(student: str, lab: str) -> Graded:
    """A submission with every outcome, and HTML wherever a text may be."""
    code = f"def f(x):\n    print({HTML!r})\n    return " + " + ".join(["x"] * 200) + "  # \u202e مرحبا"
    items = [
        ExerciseResult(
            f"{lab}.{n}",
            f"Title {HTML}",
            None if outcome == FAULT else 1.0,
            2,
            outcome,
            f"Got `{HTML}`\n{'w' * 400}",
            f"You forgot {HTML}.",
            code,
        )
        for n, outcome in enumerate(OUTCOMES, start=1)
    ]
    written = [
        WrittenAnswer("written-1", f"**Why?** {HTML}", f"{HTML}\n\n{'long' * 200}"),
        WrittenAnswer("written-2", "", ""),
    ]
    flags = {"attack": f"A forged reply {HTML}", "time-out": "Too long.", HTML: HTML}
    return Graded(
        student,
        lab,
        f"{student}/{HTML}.ipynb",
        items,
        written,
        notes=[f"A cell stopped: {HTML}", "v" * 300],
        flags=flags,
        unsafe=lab == "02",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grades")
    graded = [work(name, lab) for name in NAMES.values() for lab in ("02", "03")] + [
        work("Ana Müller", lab) for lab in COURSE if lab > "03"
    ]
    graded += [Graded("Zoe", "02", "z.ipynb", problem=f"No notebook: {HTML}"), work("Ana Müller", "02")]
    report.write_all(folder, graded, [SimpleNamespace(origin=f"lost/{HTML}", reason=f"Whose? {HTML}")], COURSE)
    return folder


def pages(folder) -> list:
    return [folder / "index.html", *(folder / "feedback" / report.page_name(name) for name in NAMES.values())]


@pytest.fixture(scope="module", params=[1280, 390], ids=["desktop", "phone"])
def page(request, system_program):
    with browser_page(system_program("chromium"), width=request.param) as page:
        yield page


@pytest.fixture
def watched(page):
    """The page, and a list of what must not happen: a dialog, a request elsewhere, an error."""
    seen = []
    page.on("dialog", lambda dialog: (seen.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda request: (
            seen.append(request.url)
            if not (request.url.startswith("file://") and request.is_navigation_request())
            else None
        ),
    )
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("console", lambda message: seen.append(message.text))
    yield page, seen
    for event in ("dialog", "request", "pageerror", "console"):
        for listener in list(page._impl_obj.listeners(event)):
            page._impl_obj.remove_listener(event, listener)


def open_all(page, path) -> None:
    page.goto(path.as_uri())
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true; })")


def test_nothing_runs_nothing_is_asked_for_and_nothing_is_hidden(folder, watched):
    page, seen = watched
    for path in pages(folder):
        open_all(page, path)
        page.wait_for_timeout(50)
        assert page.title() in ("Overview of the grading",) or page.title().startswith("Feedback for")
        assert (
            page.locator("script, img, iframe, object, link, form, main style, [onerror], a[href^=javascript]").count()
            == 0
        )
        assert page.locator("main").evaluate("main => main.innerText").count("<script>") > 5
    assert seen == []


def test_nothing_scrolls_sideways_but_code(folder, page):
    for path in pages(folder):
        open_all(page, path)
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"), path.name
        beyond = """() => [...document.querySelectorAll('main *')].filter(one => !one.closest('pre') &&
            one.getBoundingClientRect().right > window.innerWidth + 1).map(one => one.outerHTML.slice(0, 200))"""
        assert page.evaluate(beyond) == [], path.name


CONTRAST = """() => {
  const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = one => { for (; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (!/^rgba.*, 0\\)$/.test(color)) return color; } return 'rgb(255, 255, 255)'; };
  const poor = new Set();
  for (const one of document.querySelectorAll('body *')) {
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.add(one.tagName + '.' + one.className + ' ' + one.textContent.slice(0, 40));
  }
  return [...poor]; }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_both_schemes(folder, page, scheme):
    """Contrast of 4.5 and more, as the Web Content Accessibility Guidelines ask for."""
    page.emulate_media(color_scheme=scheme)
    backgrounds = set()
    for path in pages(folder)[:2]:
        open_all(page, path)
        assert page.evaluate(CONTRAST) == []
        backgrounds.add(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    assert backgrounds == {"rgb(245, 245, 242)" if scheme == "light" else "rgb(20, 23, 26)"}


def test_the_overview_leads_to_every_student(folder, page):
    page.goto((folder / "index.html").as_uri())
    for name in NAMES.values():
        page.goto((folder / "index.html").as_uri())
        page.locator(f'#students a[href="feedback/{report.page_name(name)}"]').click()
        assert page.locator("h1").inner_text().strip() == tables.readable(tables.shown(name))


def test_unsafe_and_every_outcome_are_said_in_words(folder, page):
    for path in pages(folder):
        open_all(page, path)
        assert page.locator(".banner").inner_text().count("without a sandbox") == 1
        for outcome in OUTCOMES:
            assert page.get_by_text(tables.outcome(outcome)[2]).count() > 0
