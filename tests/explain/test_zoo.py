"""The doctor over two zoos of scripts: each sick one is named by its code first, and nothing is said against a healthy one.

What it is known to miss is marked in cures.toml, and must be missed: so a doctor that learns it is noticed.

`python -m tests.explain.zoo` prints the table, and with `--write` puts it into docs/doctor.md.
"""

import re

import pytest

from micrograd_plus.explain.doctor.catalogue import MISTAKES

from .zoo import ROOT, cured, diagnosed, documented, examples, healthy, mistakes, sick

HUNDREDS = ("mg10", "mg11", "mg2", "mg3", "mg4")
# Cured ones are healthy too; these cost least.
CURED = [name for name in mistakes() if name.startswith(("mg11", "mg20"))]
COUNTS = r"Of (\d+) sick scripts, (\d+) are named by their code first. Of (\d+) healthy ones, (\d+) of them .*, (\d+) get nothing but notes"


def wrong(found):
    """What is not as it should be, in lines to be read."""
    return [f"{row.name}: {row.told}" for row in found if not row.right]


@pytest.mark.parametrize("codes", HUNDREDS)
def test_each_sick_script_is_named_by_its_code_first(codes):
    found = diagnosed(path for path in sick() if path.stem.startswith(codes))
    missed = {name for name, entry in mistakes().items() if entry.get("missed") and name.startswith(codes)}
    assert found and {row.name for row in found if not row.right} == missed, wrong(found)


@pytest.mark.parametrize("half", [0, 1])
def test_nothing_is_said_against_a_healthy_script(half):
    found = diagnosed(healthy()[half::2])
    assert found and not wrong(found)


def test_nothing_is_said_against_the_examples(request):
    found = [row for path, arguments in examples(request.getfixturevalue("shared_data")) for row in diagnosed([path], arguments)]
    assert len(found) == len(list(ROOT.glob("examples/*.py"))) and not wrong(found)


def test_nothing_is_said_against_scripts_that_were_cured(tmp_path):
    found = diagnosed(cured(name, tmp_path) for name in CURED)
    assert found and not wrong(found)


def test_every_code_has_a_script_and_a_section_of_the_page():
    assert {path.stem[:5].upper() for path in sick()} == set(MISTAKES)
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r'<a id="(mg\d+)"></a>\n\n### (?:MG\d+): ', page)) == sorted(code.lower() for code in MISTAKES)


def test_every_script_has_a_mistake_and_a_cure_that_fits():
    assert [path.stem for path in sick()] == sorted(mistakes())
    for path in sick():
        text = path.read_text(encoding="utf-8")
        for old, _ in mistakes()[path.stem]["cure"]:
            assert text.count(old) == 1, f"{path.name}: {old!r}"


def test_the_page_shows_every_script_once():
    page = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
    assert sorted(documented(page)) == sorted(path.stem for path in [*sick(), *healthy(), *ROOT.glob("examples/*.py")])
    total, named, well, examples, spared = map(int, re.search(COUNTS, page).groups())
    assert (total, well, examples) == (len(sick()), len(documented(page)) - total, len(list(ROOT.glob("examples/*.py"))))
    assert total + well - named - spared == len(re.findall(r"\*\* \|$", page, re.MULTILINE))
