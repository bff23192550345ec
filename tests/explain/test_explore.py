"""The explorer's page, without a browser: what Python puts into it. test_explorer_page.py opens it."""

import base64
import html.parser
import json
import re
import tomllib
import webbrowser
import zlib
from pathlib import Path

import numpy as np
import pytest

import micrograd_plus as mg
from benchmarks.workloads import micrograd_plus as workloads
from benchmarks.workloads import problems
from micrograd_plus import Tensor, debug, explore, rules
from micrograd_plus.explain import explore as explaining
from micrograd_plus.explain import packing
from micrograd_plus.explain.grouping import grouped
from micrograd_plus.explain.sources import source_of
from micrograd_plus.explain.tape import record


def contents(page):
    """What a page holds: its description, with the numbers of each array."""
    parts = dict(re.findall(r'<script type="application/octet-stream" id="(\w+)">([^<]*)</script>', page))
    data, f4, f8 = (zlib.decompress(base64.b64decode(parts[name])) for name in ("data", "f4", "f8"))
    data, numbers, start = json.loads(data), {"f4": np.frombuffer(f4, "<f4"), "f8": np.frombuffer(f8, "<f8")}, {"f4": 0, "f8": 0}
    for array in data["arrays"]:
        kind, rows, columns = array[2:5]
        array.append(numbers[kind][start[kind] : start[kind] + rows * columns].reshape(rows, columns))
        start[kind] += rows * columns
    assert {kind: len(x) for kind, x in numbers.items()} == start
    return data


def contract():
    a = Tensor([2.0], requires_grad=True)
    b = Tensor([3.0], requires_grad=True)
    c = a * b + a
    return a, b, c.sum()


def numbers_of(data, ref):
    return data["arrays"][ref][-1].ravel().tolist()


def model_of(name, **changed):
    """The loss of one of the benchmarks' models, on its batch, and the model."""
    kind, settings = problems.FULL[name]
    model, loss_of = workloads.MODELS[kind]({**settings, **changed})
    return lambda: loss_of(model, *problems.problem(name).inputs), model


# -- the file ------------------------------------------------------------------------------------------------------------


def test_explore_writes_one_file_and_says_where(tmp_path):
    *_, loss = contract()
    explorer = explore(loss, tmp_path / "page.html")
    assert explorer.path == tmp_path / "page.html"
    assert explorer.path.read_text(encoding="utf-8") == explorer.html
    assert repr(explorer) == f"<explorer of 5 values and 5 steps back, in {tmp_path / 'page.html'}>"
    assert [x.name for x in tmp_path.iterdir()] == ["page.html"]


def test_one_value_and_one_step_are_in_the_singular(tmp_path):
    x = Tensor(2.0, requires_grad=True)
    assert repr(explore(x, tmp_path / "page.html")).startswith("<explorer of 1 value and 0 steps back,")
    assert repr(explore(x * 2.0, tmp_path / "page.html")).startswith("<explorer of 2 values and 1 step back,")


def test_without_a_name_it_is_in_a_folder_of_its_own():
    first, second = explore(contract()[2]), explore(contract()[2])
    try:
        assert first.path.is_file() and first.path.parent != second.path.parent
    finally:
        for explorer in (first, second):
            explorer.path.unlink()
            explorer.path.parent.rmdir()


def test_open_shows_the_file_in_the_browser(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    explore(contract()[2], tmp_path / "a.html")
    assert opened == []
    explore(contract()[2], tmp_path / "b.html", open=True)
    assert opened == [(tmp_path / "b.html").as_uri()]


def test_jupyter_shows_the_page_in_a_frame_of_its_own(tmp_path):
    explorer = explore(contract()[2], tmp_path / "page.html")
    found = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(explorer._repr_html_())
    [(tag, attributes)] = found
    assert tag == "iframe" and attributes["srcdoc"] == explorer.html and attributes["sandbox"] == "allow-scripts"
    assert "5 values" in attributes["title"]


def test_the_page_refers_to_nothing_outside_of_it(tmp_path):
    page = explore(contract()[2], tmp_path / "page.html").html
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|\bsrc=|\bhref=|url\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|\bimport\(", page)
    assert page.count("<script") == page.count("</script>") == 4


def test_files_of_the_page_are_package_data():
    project = tomllib.loads((Path(mg.__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    [pattern] = project["tool"]["setuptools"]["package-data"]["micrograd_plus.explain"]
    folder = Path(explaining.__file__).parent
    assert {path.name for path in folder.glob(pattern)} == {*explaining.PARTS, "template.html"}


@pytest.mark.parametrize("name", ["page", "page.htlm", "page.svg"])
def test_another_suffix_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=rf"^explore\(\) writes an HTML file, whose name must end in \.html or \.htm, got '.*{name}'"):
        explore(contract()[2], tmp_path / name)


def test_a_graph_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(explaining, "MAX_VALUES", 4)
    with pytest.raises(ValueError, match=r"at most 4 values, this one has 5\. Explore fewer steps"):
        explore(contract()[2], tmp_path / "page.html")
    monkeypatch.setattr(explaining, "MAX_VALUES", 20_000)
    monkeypatch.setattr(explaining, "MAX_BYTES", 50_000)
    with pytest.raises(ValueError, match="which the 5 values of this graph exceed"):
        explore(contract()[2], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda: 3.0, TypeError, r"^explore\(\) needs a Tensor"),
        (lambda: Tensor(3.0), ValueError, r"^explore\(\) needs a graph.*requires_grad=True"),
        (lambda: Tensor([1.0, 2.0], requires_grad=True) * 2.0, RuntimeError, r"^explore\(\) needs a scalar.*or pass gradient="),
    ],
)
def test_what_has_no_backward_pass_is_refused(loss, error, message):
    with pytest.raises(error, match=message):
        explore(loss())


def test_a_wrong_model_is_refused():
    with pytest.raises(TypeError, match=r"^explore\(\) needs a Module as model=, got int\.$"):
        explore(contract()[2], model=3)


def test_after_backward_the_graph_is_gone():
    *_, loss = contract()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"^explore\(\) needs the whole graph.*retain_graph=True"):
        explore(loss)


def test_nothing_of_the_graph_changes(tmp_path):
    a, b, loss = contract()
    a.grad = np.array([7.0])
    explore(loss, tmp_path / "page.html")
    assert a.grad == [7.0]
    loss.backward()
    assert a.grad == [11.0] and b.grad == [2.0]


# -- the numbers ---------------------------------------------------------------------------------------------------------


def test_values_and_steps_are_the_engines(tmp_path):
    a, b, loss = contract()
    data = contents(explore(loss, tmp_path / "page.html").html)
    nodes = data["nodes"]
    assert [node["name"] for node in nodes] == ["leaf", "leaf", "multiply", "add", "sum"]
    assert [node["variable"] for node in nodes] == ["a", "b", "v1", "v2", "loss"]
    assert [numbers_of(data, node["data"]) for node in nodes] == [list(a.data), list(b.data), [6.0], [8.0], [8.0]]
    assert [numbers_of(data, node["grad"]) for node in nodes] == [[4.0], [2.0], [1.0], [1.0], [1.0]]
    assert [node["formula"] for node in nodes[2:]] == ["a * b", "v1 + a", "sum(v2)"]
    steps = [
        (step["source"], step["target"], *(numbers_of(data, step[name]) for name in ("contribution", "total"))) for step in data["steps"]
    ]
    assert steps == [(4, 3, [1.0], [1.0]), (3, 2, [1.0], [1.0]), (3, 0, [1.0], [1.0]), (2, 0, [3.0], [4.0]), (2, 1, [2.0], [2.0])]
    assert [step["local"] is None or numbers_of(data, step["local"]) for step in data["steps"]] == [True, [1.0], [1.0], [3.0], [2.0]]
    assert [step["first"] for step in data["steps"]] == [True, True, True, False, True]
    assert data["result"] == 4


def test_an_unbroadcast_step_has_its_axes_and_both_arrays(tmp_path):
    a, b = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True), Tensor([1.0, 2.0, 3.0], requires_grad=True)
    data = contents(explore((a * b).sum(), tmp_path / "page.html").html)
    step = data["steps"][-1]
    assert step["axes"] == [0]
    assert numbers_of(data, step["contribution"]) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert numbers_of(data, step["reduced"]) == [3.0, 5.0, 7.0]


def test_numbers_keep_all_their_digits(tmp_path):
    x = Tensor(np.array([0.1, 1e-300, np.nan, np.inf]), requires_grad=True, dtype=np.float64)
    data = contents(explore((x * np.pi).sum(), tmp_path / "page.html").html)
    np.testing.assert_array_equal(numbers_of(data, data["nodes"][0]["data"]), [0.1, 1e-300, np.nan, np.inf])
    assert [node["numbers"] for node in data["nodes"] if "numbers" in node] == [[None, str(np.pi)]]


def test_large_arrays_are_sampled_evenly_and_their_statistics_are_of_all():
    x = np.arange(90 * 70, dtype=np.float32).reshape(90, 70)
    x[3, 3], x[4, 4] = np.nan, -np.inf
    pack = packing.Pack(100)
    pack.add(x)
    [described] = pack.described
    assert described == [[90, 70], "float32", "f4", 10, 10, 0.0, 6299.0, described[7], 6299.0, 2]
    assert described[7] == pytest.approx(np.mean(x[np.isfinite(x)], dtype=np.float64))
    kept = np.frombuffer(pack.numbers("f4"), "<f4").reshape(10, 10)
    rows, columns = packing.spaced(90, 10), packing.spaced(70, 10)
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (0, 89, 0, 69) and set(np.diff(rows)) == {9, 10}
    np.testing.assert_array_equal(kept, x[np.ix_(rows, columns)])


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5000,), (5000, 1), (1, 5000), (2, 3, 4, 500)])
def test_any_shape_is_kept_within_the_limit(shape):
    pack = packing.Pack(256)
    pack.add(np.ones(shape))
    rows, columns = pack.described[0][3:5]
    assert rows * columns <= 256 and len(pack.numbers("f8")) == 8 * rows * columns
    assert rows * columns == min(np.prod(shape, dtype=int), 256)


def test_an_array_is_kept_once_and_equal_small_ones_too():
    pack, x, large = packing.Pack(1024), np.ones(3, np.float32), np.ones(100)
    assert [pack.add(x), pack.add(x.copy()), pack.add(large), pack.add(large), pack.add(large.copy())] == [0, 0, 1, 1, 2]
    assert pack.add((x, None)) == [0, None] and pack.add(None) is None
    assert pack.add(np.ones((3, 1), np.float32)) == 3  # of another shape


def test_a_gpts_page_is_small_and_says_what_is_sampled(tmp_path):
    loss_of, model = model_of("gpt")
    explorer = explore(loss_of(), tmp_path / "page.html", model=model)
    assert len(explorer.html.encode()) < 2_000_000
    data = contents(explorer.html)
    assert data["limit"] < 1024 and any(array[3] * array[4] < np.prod(array[0]) for array in data["arrays"])


# -- groups --------------------------------------------------------------------------------------------------------------


def tree(values, model=None):
    """Each operation and leaf with the names of the groups around it."""
    groups, places, kind = grouped(values, model)

    def path(place):
        return () if place is None else (*path(groups[place].parent), groups[place].name)

    return {value.index: path(place) for value, place in zip(values, places, strict=True)}, groups, kind


class Block(mg.Module):
    def __init__(self):
        self.norm, self.inner = mg.LayerNorm(4), mg.Linear(4, 4)
        self.scale = Tensor(2.0, requires_grad=True)

    def forward(self, x):
        return x + self.inner(self.norm(x)).tanh() * self.scale


def test_under_debug_groups_are_modules():
    model = mg.Sequential(Block(), Block())
    with debug():
        loss = model(np.ones((2, 4), np.float32)).mean()
    tape = record(loss, model=model)
    paths, groups, kind = tree(tape.values, model)
    assert kind == "module"
    assert [(group.name, group.kind) for group in groups] == [
        ("Sequential", ""), ("layers.0", "Block"), ("layers.1", "Block"), ("norm", "LayerNorm"), ("norm", "LayerNorm")
    ]  # fmt: skip
    named = {value.name: paths[value.index] for value in tape.values}
    assert named["mean"] == ()
    assert named["layers.1.norm.weight"] == ("Sequential", "layers.1", "norm")
    assert named["layers.0.scale"] == named["layers.0.inner.weight"] == ("Sequential", "layers.0")  # a group of one is left out


def test_without_debug_groups_are_the_layers_of_the_parameters():
    model = mg.Sequential(Block(), Block())
    tape = record(model(np.ones((2, 4), np.float32)).mean(), model=model)
    paths, _, kind = tree(tape.values, model)
    assert kind == "layer"
    assert {paths[value.index] for value in tape.values if value.name == "tanh"} == {("Sequential", "layers.0"), ("Sequential", "layers.1")}
    assert {paths[value.index] for value in tape.values if value.name == "mean"} == {()}


def test_without_modules_groups_are_lines():
    with debug():
        x = Tensor(2.0, requires_grad=True)
        for _ in range(3):
            y = ((x + x) * x - x).tanh() + x.sin()
            x = (y * y).cos().sin() + y.cos() - y
    paths, _, kind = tree(record(x).values)
    assert kind == "line" and len({path for path in paths.values() if path}) == 2
    assert all(len(path) == 1 and path[0].startswith("test_explore.py, line ") for path in paths.values() if path)


def test_long_stretches_are_cut_and_cut_again():
    x = Tensor(1.0, requires_grad=True)
    for _ in range(21_000):
        x = -x
    paths, _, kind = tree(record(x).values)
    assert kind == "" and {len(path) for path in paths.values()} == {2}
    assert paths[1] == ("part 1 to 10,000", "part 1 to 100") and paths[21_000] == ("part 20,001 to 21,000", "part 20,901 to 21,000")


def test_a_group_is_a_stretch_and_shared_leaves_lie_outside():
    model = mg.Sequential(Block(), Block(), Block())
    model[2].inner = model[0].inner
    with debug():
        loss = model(np.ones((2, 4), np.float32)).mean()
    tape = record(loss, model=model)
    groups, places, _ = grouped(tape.values, model)
    made = [value.index for value in tape.values if value.rule is not None]
    for group in range(len(groups)):
        inside = [i for i in made if places[i] == group]
        between = [i for i in made if min(inside, default=0) < i < max(inside, default=0)]
        around = {group}
        for g, other in enumerate(groups):  # a group comes after the one around it
            around |= {g} if other.parent in around else set()
        assert all(places[i] in around for i in between)
    owners = {value.name: groups[places[value.index]].name for value in tape.values if value.kind == "leaf"}
    assert owners["layers.0.inner.weight"] == "Sequential" and owners["layers.1.inner.weight"] == "layers.1"


# -- sources -------------------------------------------------------------------------------------------------------------


def test_a_rule_has_its_own_source_and_that_of_each_pullback():
    source = source_of(rules.multiply)
    assert source.text.startswith("def multiply(x: Array, y: Array) -> Pulled:") and source.place.startswith("arithmetic.py, line ")
    assert source.inputs == ("x", "y") and source.pullbacks == ("lambda g: g * y", "lambda g: g * x")


def test_pullbacks_that_are_functions_and_those_of_another_rule_are_found():
    assert [text.splitlines()[0] for text in source_of(rules.matmul).pullbacks] == [f"def pullback_{x}(g: Array) -> Array:" for x in "xy"]
    assert source_of(rules.affine).pullbacks == (*source_of(rules.matmul).pullbacks, "lambda g: g")
    assert source_of(rules.where).pullbacks[0] is None and "condition" in source_of(rules.where).pullbacks[1]


def test_most_rules_have_a_source_for_every_pullback():
    public = {name: getattr(rules, name) for name in rules.__all__ if name[0].islower()}
    without = {name for name, rule in public.items() if not source_of(rule).pullbacks}
    assert without <= {"linear", "primitive", "concatenate", "stack", "einsum", "unstack", "max", "min"}


def test_a_rule_of_the_users_shows_as_well(tmp_path):
    @mg.custom_rule
    def cube(x):
        return x**3, (lambda g: 3 * g * x**2,)

    data = contents(explore(cube(Tensor(2.0, requires_grad=True)), tmp_path / "page.html").html)
    [source] = data["sources"]
    assert "return x**3, (lambda g: 3 * g * x**2,)" in source["text"] and source["pullbacks"] == ["lambda g: 3 * g * x**2"]
    assert source["place"].startswith("test_explore.py, line ")


def test_a_rule_without_a_source_is_shown_without(tmp_path):
    namespace = {}
    exec("def double(x):\n    return 2 * x, (lambda g: 2 * g,)", namespace)
    data = contents(explore(mg.custom_rule(namespace["double"])(Tensor(2.0, requires_grad=True)), tmp_path / "page.html").html)
    assert data["sources"] == [{}]


def test_lines_of_the_user_come_with_those_around(tmp_path):
    with debug():
        a = Tensor([2.0], requires_grad=True)
        loss = (a * 3.0).sum()
    data = contents(explore(loss, tmp_path / "page.html").html)
    line = data["lines"][data["nodes"][-1]["line"]]
    assert line["place"].startswith("test_explore.py, line ")
    [text] = [text for number, text in line["around"] if number == line["number"]]
    assert text.strip() == "loss = (a * 3.0).sum()" and len(line["around"]) == 5
