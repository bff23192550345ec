"""What explain() tells is what is so, it changes nothing, and its page stands by itself."""

import dataclasses
import html.parser
import pickle
import re

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus.compiler import build, compile, explain
from micrograd_plus.compiler.explain import Explanation, duration, listing, size
from micrograd_plus.compiler.page import page
from micrograd_plus.compiler.schedule import Place


@pytest.fixture(autouse=True)
def native():
    try:
        build.compiler(), build.products()
    except build.BuildError as error:
        pytest.skip(str(error))


def training(threads=1, width=16):
    """A compiled step with dropout, labels, an optimizer; its model; its arguments."""
    mg.set_seed(0)
    model = mg.Sequential(mg.Linear(8, width), mg.ReLU(), mg.Dropout(0.2), mg.Linear(width, 3))
    loss_fn, optimizer = mg.CrossEntropyLoss(), mg.Adam(model.parameters())

    @compile(strict=True, threads=threads)
    def train_step(x, y):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    args = mg.randn(32, 8), np.arange(32) % 3
    for _ in range(2):
        train_step(*args)
    return train_step, model, optimizer, args


def everything(model, optimizer):
    """All that a step writes, as bytes."""
    return pickle.dumps([*(p.data for p in model.parameters()), *(p.grad for p in model.parameters()), optimizer.state_dict()])


def test_explain_changes_nothing():
    first, second = training(), training()
    held = [p.grad for p in first[1].parameters()]
    before = everything(*first[1:3])
    copies = [g.copy() for g in held]
    first[0].explain()
    assert everything(*first[1:3]) == before
    assert all((a == b).all() for a, b in zip(held, copies, strict=True))
    mg.set_seed(1)
    first[0].explain()
    mine = [first[0](*first[3]).item() for _ in range(3)]
    mg.set_seed(1)
    assert mine == [second[0](*second[3]).item() for _ in range(3)]  # dropout's masks too


def test_counts_are_those_of_the_step():
    train_step, *_ = training()
    e, step = train_step.explain(), train_step.step
    assert isinstance(e, Explanation) and e.function == "train_step"
    assert sum(e.traced.values()) == len(step.before) and sum(e.simplified.values()) == len(step.nodes)
    assert sum(e.simplified.values()) < sum(e.traced.values())
    assert len(e.kernels) == len(step.plan.kernels) and e.arena == step.plan.arena
    assert e.traced["products"] == sum(kernel.kind == "products" for kernel in e.kernels) == 5
    assert len(e.buffers) == sum(not isinstance(where, Place) for where in step.plan.memory.values())
    assert e.arena <= e.stored <= e.values + 64 * len(e.buffers)
    assert set(e.seconds) == {"trace", "passes", "C"} and min(e.seconds.values()) > 0
    assert e.measured > 0 and sum(kernel.measured for kernel in e.kernels) > 0


def test_bytes_and_operations_of_kernels_that_can_be_counted_by_hand():
    w = mg.randn(32, 16)

    @compile(strict=True, threads=1)
    def f(x, i):
        return np.tanh(x @ w)[i].sum(axis=1)

    args = mg.randn(64, 32), np.array([3, 1])
    f(*args)
    e = f.explain()
    product = next(kernel for kernel in e.kernels if kernel.kind == "products")
    assert (product.read, product.written) == (4 * (64 * 32 + 32 * 16), 4 * 64 * 16)
    assert product.flops == 2 * 64 * 32 * 16 and product.inputs == ((64, 32), (32, 16)) and product.bound in ("products", "memory")
    loop = next(kernel for kernel in e.kernels if "tanh" in kernel.operations)
    assert (loop.read, loop.written) == (4 * 64 * 16, 4 * 64 * 16)
    last = next(kernel for kernel in e.kernels if "gather" in kernel.operations)
    assert last.operations[-1] == "sum" and last.written == 8
    assert 4 * 2 * 16 < last.read < 4 * 64 * 16  # the rows that are looked up, not the whole table
    assert f"static void {last.name}(" in last.source or f"KERNEL {last.name}(" in last.source
    assert last.source.rstrip().endswith("}") and "tanhf" not in last.source


def test_a_value_that_its_own_kernel_stores_is_not_read():
    @compile(strict=True, threads=1)
    def f(x):
        y = np.exp(x)
        return y, np.sin(y)

    f(mg.randn(64, 32))
    (kernel,) = f.explain().kernels
    assert (kernel.read, kernel.written) == (4 * 64 * 32, 2 * 4 * 64 * 32)


def test_kernels_name_the_users_lines():
    train_step, *_ = training()
    lines = {line.text for kernel in train_step.explain().kernels for line in kernel.lines}
    assert {"loss = loss_fn(model(x), y)", "loss.backward()", "optimizer.step()"} <= lines


def test_buffers_do_not_overlap_while_both_are_needed():
    e = training(width=64)[0].explain()
    for i, a in enumerate(e.buffers):
        assert 0 <= a.offset and a.offset + a.size <= e.arena and 0 <= a.first <= a.last < len(e.kernels)
        for b in e.buffers[i + 1 :]:
            apart = a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
            assert apart or a.last < b.first or b.last < a.first


def test_buffers_last_until_the_kernel_that_reads_them_last():
    train_step, *_ = training()
    buffers = train_step.explain().buffers
    for time, kernel in enumerate(train_step.step.plan.kernels):
        for node in kernel.reads:
            where = train_step.step.plan.memory[node]
            if not isinstance(where, Place):
                assert any(buffer.offset == where and buffer.first < time <= buffer.last for buffer in buffers)


def test_where_a_step_is_found_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv(build.CACHE_VARIABLE, str(tmp_path))
    assert not training()[0].explain().cached
    again = training()[0].explain()
    assert again.cached and "from the cache" in str(again)


def test_several_threads_and_barriers():
    train_step, *_ = training(threads=2, width=2048)
    e = train_step.explain()
    if e.threads < 2:
        pytest.skip("the step is too small for two threads")
    assert e.barriers == sum(kernel.waits for kernel in e.kernels) > 0
    assert any(kernel.parallel for kernel in e.kernels) and "2 threads" in str(e)
    assert all(kernel.measured >= 0 for kernel in e.kernels)


def test_the_text_has_a_row_for_each_kernel():
    e = training()[0].explain()
    text = str(e)
    assert repr(e) == text and text.startswith("train_step: a native step of ")
    assert len(re.findall(r"^ *\d+  \w", text, re.MULTILINE)) == len(e.kernels)
    assert f"{len(e.kernels)} kernels" in text and "test_explain.py, line " in text
    assert max(map(len, text.splitlines())) < 140


def test_the_text_of_many_kernels_shows_the_slowest(monkeypatch):
    monkeypatch.setattr(explain, "SHOWN", 3)
    e = training()[0].explain()
    rows = re.findall(r"^ *(\d+)  \w", str(e), re.MULTILINE)
    slowest = sorted(e.kernels, key=lambda kernel: -kernel.measured)[:3]
    assert rows == [str(index) for index in sorted(kernel.index for kernel in slowest)]
    assert f"and {len(e.kernels) - 3} more kernels" in str(e)


def test_a_busy_machine_is_told_of():
    e = training()[0].explain()
    slow, fast = dataclasses.replace(e, measured=1.0), dataclasses.replace(e, measured=0.0)
    assert "busy" in str(slow) and "busy" in page(slow)
    assert "busy" not in str(fast) and "busy" not in page(fast)


def test_without_a_native_step_the_error_says_why():
    @compile
    def branches(x):
        return x if x.sum() > 0 else -x

    with pytest.raises(RuntimeError, match="branches has no native step: it has not been called yet"):
        branches.explain()
    with pytest.warns(RuntimeWarning, match="runs eagerly"):
        branches(mg.randn(3))
    with pytest.raises(RuntimeError, match="no native step: it runs eagerly, for a compiled function can't branch on a traced value"):
        branches.explain()


def test_arguments_that_were_overwritten_with_labels_out_of_range():
    train_step, _, _, args = training()
    args[1][0] = 7
    with pytest.raises(RuntimeError, match="a check on values fails: they have been overwritten"):
        train_step.explain()


class Reader(html.parser.HTMLParser):
    """What a page is made of; raises where a tag is closed that is not open."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.texts = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_whole_and_needs_nothing_else(tmp_path):
    train_step, *_ = training()
    path = tmp_path / "step.html"
    e = train_step.explain(html=path)
    text = path.read_text(encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["step.html"]
    assert not re.search(r"https?://|@import|url\(|src=", text) and "default-src 'none'" in text and "prefers-color-scheme: dark" in text
    reader = Reader()
    reader.feed(text)
    assert not reader.open and len(set(reader.ids)) == len(reader.ids)
    targets = [attrs["href"][1:] for tag, attrs in reader.tags if tag == "a"]
    assert targets and set(targets) <= set(reader.ids)
    assert sum(tag == "tbody" and "id" in attrs for tag, attrs in reader.tags) == len(e.kernels)
    assert sum(tag == "rect" for tag, _ in reader.tags) == len(e.kernels) + len(e.buffers)
    controlled = [attrs["aria-controls"] for _, attrs in reader.tags if "aria-controls" in attrs]
    assert len(controlled) == len(e.kernels) and set(controlled) <= set(reader.ids)
    code = re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL)
    assert len(code) == len(e.kernels) and not [x for x in code if re.search(r"<(?!/?span)|&(?!lt;|gt;|amp;)", x)]
    words = "".join(reader.texts)
    assert all(kernel.source.strip() in words for kernel in e.kernels) and "optimizer.step()" in words


def test_a_folder_that_is_not_there_leaves_no_page(tmp_path):
    with pytest.raises(FileNotFoundError, match="the folder of a file to write must exist"):
        training()[0].explain(html=tmp_path / "missing" / "step.html")


def test_a_notebook_shows_the_page():
    shown = training()[0].explain()._repr_html_()
    assert shown.startswith("<iframe") and "&lt;!doctype html&gt;" in shown and shown.count("<") == 2


def test_a_listing_numbers_nodes_after_their_inputs():
    train_step, *_ = training()
    lines = listing(train_step.step.nodes).splitlines()
    assert len(lines) == len(train_step.step.nodes)
    for i, line in enumerate(lines):
        name, _, rest = line.partition(" = ")
        assert name.strip() == f"n{i}"
        assert all(int(number) < i for number in re.findall(r"\bn(\d+)\b", rest))


def test_numbers_have_units_that_fit():
    values = (0.0, 2.5e-7, 1.25e-5, 2.5e-4, 0.0125, 2.0, 1234.0)
    assert [duration(x) for x in values] == ["0.00 µs", "0.25 µs", "12.5 µs", "250 µs", "12.5 ms", "2 s", "1234 s"]
    assert [size(x) for x in (0, 999, 1500, 2.5e6, 3e9)] == ["0 B", "999 B", "1.5 kB", "2.5 MB", "3 GB"]
