"""The pages say what is so: their code runs, prints what they show, and their links lead somewhere.

Blocks marked `python` run in order, in one namespace per page, or per `##` section where the page holds `<!-- a namespace
per section -->`, with seed 0, in an empty folder. A `text` block that follows a `python` block is what that one prints,
warnings included, and at its end the error that it raises, if any; `...` in it stands for any text within a line.
"""

import contextlib
import io
import linecache
import re
import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest

from micrograd_plus import debug, set_seed
from micrograd_plus.compiler import build

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PER_SECTION = "<!-- a namespace per section -->"


def sections(text):
    """(title, code, line, expected) of every python block, in lists that share a namespace."""
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE) if PER_SECTION in text else [text]
    before = 0
    for part in parts:
        found = list(BLOCK.finditer(part))
        blocks = []
        for block, following in zip(found, [*found[1:], None], strict=False):
            if block[1] == "python":
                answered = following is not None and following[1] == "text" and not part[block.end() : following.start()].strip()
                line = before + part[: block.start(2)].count("\n")
                blocks.append((block[2], line, following[2] if answered else None))
        if blocks:
            yield part.partition("\n")[0].strip("# ") if len(parts) > 1 else "", blocks
        before += part.count("\n")


def program(text):
    """The python blocks of a page, each at its lines, and nothing else."""
    lines = [""] * len(text.splitlines())
    for block in BLOCK.finditer(text):
        if block[1] == "python":
            start, code = text[: block.start(2)].count("\n"), block[2].splitlines()
            lines[start : start + len(code)] = code
    return "\n".join(lines) + "\n"


def skip_where_nothing_can_be_compiled(blocks):
    """Snippets that import `compile` show native code."""
    if any(re.search(r"^from micrograd_plus import .*\bcompile\b", code, re.MULTILINE) for code, _, _ in blocks):
        try:
            build.compiler(), build.products()
        except build.BuildError as error:
            pytest.skip(str(error))


def run(code, line, page, namespace):
    """What a block prints, with warnings and the last line of a traceback as lines of their own."""

    def show(message, category, *rest, **options):
        print(f"{category.__name__}: {message}")

    with contextlib.redirect_stdout(io.StringIO()) as output, warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        try:
            exec(compile("\n" * line + code, page, "exec"), namespace)
        except Exception as error:
            print("".join(traceback.format_exception_only(error)), end="")
            return output.getvalue(), error
    return output.getvalue(), None


def matches(expected, printed):
    pattern = "".join(".*" if part == "..." else re.escape(part) for part in re.split(r"(\.\.\.)", expected))
    return re.fullmatch(pattern, printed) is not None


CASES = [
    pytest.param(page, blocks, id=f"{page}:{title}".rstrip(":"))
    for page in PAGES
    for title, blocks in sections((ROOT / page).read_text(encoding="utf-8"))
]


@pytest.fixture
def settings_kept():
    """What a page may set and leave so."""
    with np.errstate(), debug(False):
        yield


@pytest.mark.parametrize(("page", "blocks"), CASES)
@pytest.mark.usefixtures("settings_kept")
def test_the_snippets_of_a_page_print_what_it_shows(page, blocks, tmp_path, monkeypatch):
    skip_where_nothing_can_be_compiled(blocks)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(linecache.cache, page, (0, None, (ROOT / page).read_text(encoding="utf-8").splitlines(keepends=True), page))
    set_seed(0)
    source = program((ROOT / page).read_text(encoding="utf-8"))
    monkeypatch.setitem(linecache.cache, page, (len(source), None, source.splitlines(keepends=True), page))  # for errors that show lines
    namespace = {"__name__": "__main__"}
    for code, line, expected in blocks:
        printed, error = run(code, line, page, namespace)
        if expected is None:
            assert not printed, f"{page}:{line}: this block prints or raises what the page does not show:\n{printed}"
        else:
            told = f"{page}:{line}: the block prints\n{printed}\nwhere the page shows\n{expected}"
            assert matches(expected, printed), told if error is None else f"{told}\n{''.join(traceback.format_exception(error))}"


def test_the_runner_sees_output_warnings_and_errors():
    text = "# A\n\n```python\nimport warnings\nprint(1)\nwarnings.warn('careful')\nx = 1 / 0\n```\n\n```text\n1\n```\n"
    [(title, [(code, line, expected)])] = sections(text)
    assert (title, line, expected) == ("", 3, "1\n")
    printed, error = run(code, line, "page", {})
    assert printed == "1\nUserWarning: careful\nZeroDivisionError: division by zero\n"
    assert error.__traceback__.tb_next.tb_lineno == 7
    assert matches("a ... c\n", "a 1.5 c\n") and not matches("a ... c\n", "a\nb c\n") and not matches("a", "a\n")


def test_sections_have_namespaces_of_their_own_where_a_page_says_so():
    text = "# P\n{}\n## One\n```python\na = 1\n```\n## Two\n```python\nb = 2\n```\n"
    assert [title for title, blocks in sections(text.format(""))] == [""]
    assert [(title, blocks[0][1]) for title, blocks in sections(text.format(PER_SECTION))] == [("One", 4), ("Two", 8)]


def test_the_program_of_a_page_has_its_lines():
    text = "# A\n\n```python\na = 1\n```\n\n```text\n1\n```\n```python\nb = 2\n```\n"
    assert program(text).splitlines() == ["", "", "", "a = 1", *[""] * 6, "b = 2", ""]


def anchors(text):
    """The anchors of a page: those of its headings, as the common renderers of Markdown make them, and those that it sets itself."""
    prose = BLOCK.sub("", text)
    slugs = [re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", prose, re.MULTILINE)]
    headings = [slug + (f"-{slugs[:i].count(slug)}" if slug in slugs[:i] else "") for i, slug in enumerate(slugs)]
    return headings + re.findall(r'<a id="([^"]+)"></a>', prose)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", text)):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), f"{page} links to {link}, which is not there"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page} links to {link}, but that page has no such heading"
