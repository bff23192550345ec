"""The page of a run in Chromium, live and from its file: what it shows are the run's numbers."""

import contextlib
import json
import re
import subprocess
import sys
import time

import pytest

from micrograd_plus.training.recording import Recording
from micrograd_plus.training.report import live_page, policy, write_report

ROWS = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"


def test_a_text_in_the_data_is_no_html():
    recording = Recording()
    recording.begin({"data": "</script><script>alert(1)</script><!--{{script}}"})
    page = write_report(recording)
    assert page.count("</script>") == live_page().count("</script>") == 2
    data = re.search(r'<script type="application/json" id="recording">(.*?)</script>', page)[1]
    assert json.loads(data)["run"]["data"].startswith("</script><script>alert(1)")


def test_the_file_may_connect_to_nothing():
    assert "connect-src 'none'" in policy(live=False) and "connect-src 'none'" in write_report(Recording())
    assert "connect-src 'self'" in policy(live=True)


@pytest.fixture
def opened(browser):
    """Opens pages; at the end, nothing went wrong in one and each asked for nothing but what it came from."""
    wrong, pages, asked = [], [], []

    def open_page(url=None, **options):
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: request.url in (page.url, f"{page.url}events", "data:,") or asked.append(request))
        if url is not None:
            page.goto(url)
        pages.append(page)
        return page

    yield open_page
    wrong += [request.url for request in asked if not request.is_navigation_request()]
    for page in pages:
        page.close()
    assert wrong == []


def wait_until(page, condition, argument=None):
    """As `page.wait_for_function`, which the page's policy forbids: it would evaluate text within the page."""
    until = time.monotonic() + 30
    while not page.evaluate(condition, argument):
        assert time.monotonic() < until, condition
        page.wait_for_timeout(20)


def shown(page, name):
    """What the tile of that name shows."""
    return page.locator(f"#tiles div:has(dt:text-is('{name}')) dd").first.inner_text()


def rows_of(metrics):
    """The rows of the table of epochs, as `metrics.jsonl` has them."""
    rows = []
    for m in map(json.loads, metrics.read_text().splitlines()):
        training, validation = (f"{100 * m[name]:.2f} %" for name in ("accuracy", "validation_accuracy"))
        rows.append([str(m["epoch"]), f"{m['loss']:.4f}", training, f"{m['validation_loss']:.4f}", validation])
    return rows


def close_to(ours, theirs):
    """Equal numbers, up to rounding of a half in the last place, which JavaScript and Python do differently."""
    numbers = [[float(cell.rstrip(" %")) for cell in row] for row in (ours, theirs)]
    return len(ours) == len(theirs) and all(abs(a - b) < 0.011 for a, b in zip(*numbers, strict=True)) and ours[0] == theirs[0]


@contextlib.contextmanager
def stopping(process):
    """Ends the process where the test fails before it does."""
    try:
        yield
    finally:
        process.kill()


@pytest.mark.browser
def test_a_real_run_is_followed_and_its_report_shows_the_same(opened, tmp_path):
    folder, page = tmp_path / "run", opened()  # the browser may take longer to open a page than the run would last
    command = [sys.executable, "-m", "micrograd_plus", "train", "--epochs", "100", "--hidden", "64,32", "--live", "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process, stopping(process):
        page.goto(re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0])
        wait_until(page, "record.epochs.length >= 2 && record.snapshots.length >= 2 && document.querySelector('#tiles dd')")
        assert re.fullmatch(r"training: epoch \d+ of 100", page.locator("#state").inner_text())
        early = page.evaluate("[record.epochs.length, record.points.length, record.snapshots.length]")
        loss, moment = shown(page, "validation loss"), page.locator("#moment-text").inner_text()
        wait_until(page, "([e, p, s]) => record.epochs.length > e + 10 && record.points.length > p && record.snapshots.length > s", early)
        wait_until(page, "old => document.getElementById('moment-text').textContent !== old", moment)
        assert shown(page, "validation loss") != loss
        assert process.poll() is None  # all of that was during the run
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    wait_until(page, "document.getElementById('state').className === 'finished'")
    assert page.locator("#state").inner_text() == f"finished: 100 of 100 epochs. Run folder: {folder}"
    results = json.loads((folder / "results.json").read_text())
    expected = rows_of(folder / "metrics.jsonl")
    report = opened((folder / "report.html").as_uri())
    for place in (page, report):
        table = place.eval_on_selector_all("#table-epochs tr", ROWS)
        assert len(table) == 100 and all(close_to(row[:5], right) for row, right in zip(table, expected, strict=True))
        assert shown(place, "test accuracy") == f"{100 * results['test_accuracy']:.2f} %"
    assert page.evaluate("JSON.stringify([record.points, record.snapshots])") == report.evaluate(
        "JSON.stringify([record.points, record.snapshots])"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """That of a short run with many snapshots."""
    from micrograd_plus.training import Configuration, prepare, statistics, train

    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "SHARE", 0.2)
        train(prepare(Configuration(hidden=(32, 16), dropout=0.0, epochs=6)), folder)
    return folder


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_moment_is_chosen_by_keyboard_and_pointer(opened, folder, scheme):
    page = opened((folder / "report.html").as_uri(), color_scheme=scheme)
    count = page.evaluate("record.snapshots.length")
    assert count > 4
    slider = page.get_by_label("Moment", exact=True)
    assert slider.input_value() == str(count - 1)
    at = "i => { const s = record.snapshots[i]; return `epoch ${s.x.toFixed(2)}, step ${s.step}`; }"
    said = page.locator("#moment-text")
    said.filter(has_text=page.evaluate(at, count - 1)).wait_for()
    slider.press("Home")
    said.filter(has_text=page.evaluate(at, 0)).wait_for()
    slider.press("ArrowRight")
    said.filter(has_text=page.evaluate(at, 1)).wait_for()
    assert slider.get_attribute("aria-valuetext") == said.inner_text()
    assert page.locator("#latest").get_attribute("aria-pressed") == "false"
    # Tables, predictions and pictures are of that moment.
    snapshot, run = page.evaluate("[record.snapshots[1], record.run]")
    rows = page.eval_on_selector_all("#table-layers tr", ROWS)
    assert [row[0] for row in rows] == ["64 → 32", "32 → 16", "16 → 10"]
    assert [row[5] for row in rows] == [f"{snapshot['layers'][0]['dead']} of 32", f"{snapshot['layers'][1]['dead']} of 16", "–"]
    assert float(rows[0][1]) == pytest.approx(snapshot["layers"][0]["weights"][1], rel=0.01)
    texts = page.locator("#samples p").all_inner_texts()
    assert len(texts) == len(snapshot["samples"]) == 12
    for text, shares, label in zip(texts, snapshot["samples"], run["labels"], strict=True):
        top = max(range(10), key=lambda k: (shares[k], -k))
        assert text == f"true {label}, predicted {top} {'✓' if top == label else '✗'} with {shares[top] / 10:.1f} %"
    for chart in page.get_by_role("img").filter(has=page.locator("path.series")).all():
        assert re.search(r"over the epochs.* At epoch [\d.]+: ", chart.get_attribute("aria-label"))
    page.locator("#latest").click()
    said.filter(has_text=page.evaluate(at, count - 1)).wait_for()
    # The pointer over the first half of a chart.
    box = page.locator("#curves svg").first.bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    said.filter(has_text="epoch 0.").wait_for()
    page.mouse.move(5, 5)
    said.filter(has_text=page.evaluate(at, count - 1)).wait_for()
    # Heat maps are painted.
    assert page.evaluate(
        "heats.every(({ canvas }) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(v => v > 0))"
    )


@pytest.mark.browser
def test_it_fits_a_phone(opened, folder):
    page = opened((folder / "report.html").as_uri(), viewport={"width": 360, "height": 740})
    wait_until(page, "charts.length > 0 && document.querySelector('#curves path.series')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
