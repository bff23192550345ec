import builtins
import itertools
import re
import struct
import types
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from micrograd_plus import CrossEntropyLoss, Linear, ReLU, Sequential, Tensor, apply, no_grad, plots, randn
from micrograd_plus.explain.tape import unwalked
from micrograd_plus.utils import plot_training_history, visualize_computation_graph

pytest.importorskip("matplotlib")


def png_size(path):
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


def svg_texts(path):
    return [text for element in ET.parse(path).iter() if element.tag.endswith("}text") for text in element.itertext()]


def dot(tensor, folder, names=types.MappingProxyType({})):
    """The labels by node, and the edges, of the DOT text of a tensor's graph."""
    path = folder / "graph.dot"
    visualize_computation_graph(tensor, path, names)
    return parsed(path)


def parsed(path):
    text = path.read_text()
    assert text.startswith("digraph computation {\n") and text.endswith("}\n")
    labels = {name: label.split("\\n") for name, label in re.findall(r'(n\d+) \[label="([^"]*)"', text)}
    return labels, re.findall(r"(n\d+) -> (n\d+);", text)


@pytest.fixture
def numbers():
    return Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)


@pytest.fixture
def mlp_loss():
    model = Sequential(Linear(2, 8), ReLU(), Linear(8, 3))
    return CrossEntropyLoss()(model(randn(4, 2)), np.array([0, 1, 2, 0]))


def mlp_loss_leaves(loss):
    return [value.edge for value in unwalked(loss).values if value.kind == "leaf"]


def chain(x, length):
    for _ in range(length):
        x = x.tanh()
    return x


# -- training history ----------------------------------------------------------------------------------------------------


def test_losses_and_accuracies_have_axes_of_their_own():
    history = {"loss": [1.0, 0.5], "val_loss": [1.1, 0.7], "accuracy": [0.5, 0.9], "lr": [0.1, 0.01]}
    figure = plot_training_history(history)
    curves = {axes.get_title(): [list(line.get_ydata()) for line in axes.get_lines()] for axes in figure.axes}
    assert curves == {"loss": [[1.0, 0.5], [1.1, 0.7]], "accuracy": [[0.5, 0.9]], "lr": [[0.1, 0.01]]}
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["loss", "val loss"]
    assert list(figure.axes[0].get_lines()[0].get_xdata()) == [1, 2]


def test_a_history_is_written_where_named(tmp_path):
    plot_training_history({"loss": [1, 2], "accuracy": np.array([0.5, 0.6])}, tmp_path / "history.png")
    assert png_size(tmp_path / "history.png") == (1500, 540)
    plot_training_history({"loss": [1.0]}, str(tmp_path / "history.svg"))
    assert {"loss", "epoch"} <= set(svg_texts(tmp_path / "history.svg"))


def test_curves_may_hold_nan_and_be_many():
    figure = plot_training_history({f"loss {i}": [1.0, np.nan, 2.0] for i in range(9)})
    assert len(figure.axes[0].get_lines()) == 9


@pytest.mark.parametrize(
    ("history", "got"), [({}, "got none"), ({"loss": []}, r"got 'loss' of shape \(0,\)"), ({"loss": 3.0}, r"got 'loss' of shape \(\)")]
)
def test_a_history_without_curves_is_an_error(history, got):
    with pytest.raises(ValueError, match=rf"a history needs curves, each a sequence of one number per epoch, {got}\."):
        plot_training_history(history)


def test_a_history_in_another_format_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"a picture's file must end in \.png, \.svg, \.pdf, got 'history\.jpeg'\."):
        plot_training_history({"loss": [1.0]}, "history.jpeg")


# -- the graph -----------------------------------------------------------------------------------------------------------


def test_the_graph_of_a_product_and_a_sum(numbers, tmp_path):
    a, b = numbers
    labels, edges = dot(a * b + a, tmp_path)
    assert labels == {
        "n0": ["leaf", "= 2", "grad 4"],
        "n1": ["leaf", "= 3", "grad 2"],
        "n2": ["multiply", "= 6", "grad 1"],
        "n3": ["add", "= 8", "grad 1"],
    }
    assert sorted(edges) == [("n0", "n2"), ("n0", "n3"), ("n1", "n2"), ("n2", "n3")]


def test_the_graph_of_a_network(mlp_loss, tmp_path):
    labels, edges = dot(mlp_loss, tmp_path)
    titles = [label[0] for label in labels.values()]
    assert titles.count("Parameter") == 4 and titles.count("constant") == 3  # the inputs, the labels and what they count
    assert [title for title in titles if title not in ("Parameter", "constant")] == ["affine", "relu", "affine", "cross_entropy", "mean"]
    mlp_loss.backward(retain_graph=True)
    leaves = [box for box in labels.values() if box[:2] == ["Parameter", "(2, 8)"]]
    (weight,) = (x for x in mlp_loss_leaves(mlp_loss) if x.shape == (2, 8))
    assert leaves == [["Parameter", "(2, 8)", f"|grad| {np.linalg.norm(weight.grad):.4g}"]]
    assert labels["n11"] == ["mean", f"= {mlp_loss.item():.4g}", "grad 1"] and len(edges) == 11


def test_a_tensor_used_twice_has_two_arrows_from_one_box(numbers, tmp_path):
    a, _ = numbers
    labels, edges = dot(a * a, tmp_path)
    assert len(labels) == 2 and edges == [("n0", "n1"), ("n0", "n1")]


def test_equal_numbers_are_boxes_of_their_own_and_a_constant_array_is_one(numbers, tmp_path):
    a, b = numbers
    x = Tensor([1.0, 2.0])
    labels, _ = dot(((a**2) * x + (b**2) * x).sum(), tmp_path)
    assert sorted(label[1] for label in labels.values() if label[0] == "constant") == ["(2,) = [1, 2]", "= 2", "= 2"]


def test_a_value_is_told_only_where_it_is_known(numbers, tmp_path):
    a, b = numbers
    labels, _ = dot(((a + 1) * 1.0 + (b + 1)).exp(), tmp_path)
    told = [tuple(label[:2]) for label in labels.values()]
    assert ("add", "= 3") in told  # its consumer keeps it
    assert ("add", "") in told  # of this one nothing is kept, and the 1 is not either
    assert ("exp", "= 1097") in told


def test_arrays_of_few_elements_and_gradients_are_told(numbers, tmp_path):
    x, y = Tensor([1.0, 2.0], requires_grad=True), Tensor(np.ones((5, 5)), requires_grad=True)
    labels, _ = dot((x * 3.0).sum() + (y * 2.0).sum(), tmp_path)
    told = [tuple(label) for label in labels.values()]
    assert ("leaf", "(2,) = [1, 2]", "grad [3, 3]") in told and ("leaf", "(5, 5)", "|grad| 10") in told
    labels, _ = dot(x * 3.0, tmp_path)  # of two elements: no gradient without a cotangent
    assert labels["n0"] == ["leaf", "(2,) = [1, 2]"]
    assert x._grad is None


def test_variables_parameters_and_names_are_told(tmp_path):
    model = Sequential(Linear(2, 8))
    inputs, weights = randn(3, 2), {"a": Tensor(2.0, requires_grad=True), 'q"': Tensor(3.0, requires_grad=True)}
    hidden = model(inputs)
    loss = hidden.sum() * weights["a"] * weights['q"']
    visualize_computation_graph(loss, tmp_path / "graph.dot")
    labels, _ = parsed(tmp_path / "graph.dot")
    titles = [label[0] for label in labels.values()]
    assert titles[:4] == ["inputs", "model.layers.0.weight", "model.layers.0.bias", "hidden = affine"]
    assert titles[-1] == "loss = multiply" and "weights['a']" in titles
    text = (tmp_path / "graph.dot").read_text()
    assert r"weights['q\"']" in text
    labels, _ = dot(loss, tmp_path, {"net": model})
    assert [label[0] for label in labels.values()][:4] == ["constant", "net.layers.0.weight", "net.layers.0.bias", "affine"]


def test_a_leaf_alone_and_the_outputs_of_a_rule_with_several(tmp_path):
    assert dot(Tensor([1.0, 2.0], requires_grad=True), tmp_path) == ({"n0": ["leaf", "(2,) = [1, 2]"]}, [])

    def split(x):
        return (x[:1], x[1:]), (lambda g: np.concatenate(g),)

    first, second = apply(split, Tensor([1.0, 2.0], requires_grad=True))
    labels, edges = dot(first + second, tmp_path)
    assert [label[0] for label in labels.values()] == ["leaf", "split", "output 0", "output 1", "add"]
    assert len(edges) == 5 and labels["n1"] == ["split", "2 outputs"] and labels["n3"][1:] == ["(1,) = [2]", "grad [1]"]


def test_pictures_are_drawn(numbers, mlp_loss, tmp_path):
    a, b = numbers
    visualize_computation_graph(a * b + a, tmp_path / "small.svg")
    assert sorted(svg_texts(tmp_path / "small.svg")) == sorted(
        ["a", "b", "= 2", "= 3", "grad 4", "grad 2", "multiply", "= 6", "add", "= 8", *["grad 1"] * 2]
    )
    visualize_computation_graph(mlp_loss, tmp_path / "mlp.PNG")
    width, height = png_size(tmp_path / "mlp.PNG")
    assert width > 1.5 * height > 300
    visualize_computation_graph(mlp_loss, tmp_path / "mlp.pdf")
    assert (tmp_path / "mlp.pdf").read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlp.PNG", "mlp.pdf", "small.svg"]


def test_the_same_graph_gives_the_same_bytes(numbers, tmp_path):
    a, b = numbers
    for name in ("first.svg", "second.svg"):
        visualize_computation_graph(a * b + a, tmp_path / name)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


def test_boxes_of_a_column_do_not_overlap_and_lines_go_right(tmp_path):
    xs = [Tensor(float(i), requires_grad=True) for i in range(6)]
    layer = [sum((x * (i + 1.0) for x in xs), xs[0]).tanh() for i in range(4)]
    columns = plots._columns(plots._boxes(sum(layer, xs[5]), {}))
    plots._arrange(columns)
    for cells, following in zip(columns, [*columns[1:], []], strict=True):
        for upper, lower in itertools.pairwise(cells):
            assert lower.y - upper.y >= (upper.height + lower.height) / 2
        assert all(other in following for cell in cells for other in cell.after)
    assert len(columns[-1]) == 1 and columns[-1][0].box.kind == "result"


def test_a_deep_graph_is_drawn_within_bounds(numbers, tmp_path):
    visualize_computation_graph(chain(numbers[0], 200), tmp_path / "deep.png")
    width, height = png_size(tmp_path / "deep.png")
    assert width <= plots.MAX_SIDE and width * height <= plots.MAX_PIXELS * 1.01


def test_too_large_a_graph_is_an_error_but_not_as_text(numbers, tmp_path):
    large = chain(numbers[0], 1500)
    with pytest.raises(ValueError, match=r"at most 500 boxes, this one needs 1,501\. Draw an intermediate result or a smaller model, or"):
        visualize_computation_graph(large, tmp_path / "large.svg")
    assert not list(tmp_path.iterdir())
    assert len(dot(large, tmp_path)[0]) == 1501


def test_a_freed_graph_is_an_error(mlp_loss, tmp_path):
    mlp_loss.backward(retain_graph=True)
    visualize_computation_graph(mlp_loss, tmp_path / "graph.gv")
    mlp_loss.backward()
    with pytest.raises(RuntimeError, match=r"^visualize_computation_graph\(\) needs the whole graph, but a backward\(\) has freed"):
        visualize_computation_graph(mlp_loss, tmp_path / "graph.dot")


def test_a_tensor_without_a_graph_is_an_error(numbers, tmp_path):
    with no_grad():
        product = numbers[0] * numbers[1]
    with pytest.raises(ValueError, match=r"recorded only for what requires a gradient, got a tensor of shape \(\) that doesn't\."):
        visualize_computation_graph(product, tmp_path / "graph.dot")


@pytest.mark.parametrize("given", [3.0, None, np.ones(1), np.ones(2)])
def test_what_is_no_tensor_is_an_error(given, tmp_path):
    message = rf"^visualize_computation_graph\(\) needs a Tensor, the loss itself, got {type(given).__name__}\. Pass it before"
    with pytest.raises(TypeError, match=message):
        visualize_computation_graph(given, tmp_path / "graph.dot")


def test_another_format_is_an_error(numbers, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.png, \.svg, \.pdf, \.dot, \.gv, got 'graph'\."):
        visualize_computation_graph(numbers[0] * 2, "graph")


def test_without_matplotlib_the_error_names_the_extra(numbers, tmp_path, monkeypatch):
    real = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    for draw in (lambda: plot_training_history({"loss": [1.0]}), lambda: visualize_computation_graph(numbers[0] * 2, tmp_path / "g.png")):
        with pytest.raises(ImportError, match=r'pictures need the extra "train": pip install "micrograd-plus\[train\]"\.'):
            draw()
    visualize_computation_graph(numbers[0] * 2, tmp_path / "g.dot")
