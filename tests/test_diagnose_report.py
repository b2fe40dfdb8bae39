"""Reports: their order, words, HTML and figures; and what a diagnosis refuses."""

from __future__ import annotations

import html.parser
import re
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from diagnosed import diagnose, mlp, sgd, usual, wine
from torch import nn
from torch.nn import functional as F

import ddl
from ddl.diagnosis import checks
from ddl.diagnosis.measuring import LayerRow, Measured, ParameterRow
from ddl.diagnosis.ranking import EXPLAINS, ORDER, ranked
from ddl.diagnosis.report import Finding, Report

NAN = float("nan")


def finding(name, severity="error", **options):
    return Finding(name, severity, f"evidence of {name} < 3", "Why?", "Mend it.", **options)


def report(*findings, skipped=(), measured=None):
    return Report(findings, ("a", "b"), dict(skipped), measured or Measured((), ()))


# Order


def test_errors_come_first_and_causes_before_others():
    found = [finding("class-imbalance", "note"), finding("not-seeded", "warning"), finding("dead-units")]
    assert [f.name for f in ranked([*found, finding("double-softmax")])] == [
        "double-softmax", "dead-units", "not-seeded", "class-imbalance",
    ]  # fmt: skip


def test_a_cause_takes_its_symptoms_and_their_severity():
    found = ranked([finding("learning-rate-too-large"), finding("inputs-not-scaled", "warning")])
    assert [(f.name, f.severity, f.explains) for f in found] == [
        ("inputs-not-scaled", "error", ("learning-rate-too-large",))
    ]


def test_a_note_explains_nothing_and_a_warning_no_failure():
    found = ranked([finding("frozen-parameters", "note"), finding("learning-rate-too-small")])
    assert [f.name for f in found] == ["learning-rate-too-small", "frozen-parameters"]
    found = ranked([finding("frozen-parameters", "warning"), finding("step-fails")])
    assert [f.name for f in found] == ["step-fails", "frozen-parameters"]


def test_all_names_have_a_place():
    assert len(set(ORDER)) == len(ORDER)
    assert set(EXPLAINS) <= set(ORDER)
    assert set().union(*EXPLAINS.values()) <= set(ORDER)
    sources = "".join(
        Path(module.__file__).read_text(encoding="utf-8")
        for module in vars(checks).values()
        if hasattr(module, "CHECKS")
    )
    named = set(re.findall(r'^\s+"([a-z]+(?:-[a-z]+)+)"(?: if .*)?,$', sources, re.M))
    assert named >= {"double-softmax", "gradients-not-zeroed", "not-shuffled"}
    assert named - {"zero-initialisation"} <= set(ORDER)


# Words


def test_a_report_in_words():
    text = str(
        report(
            finding("double-softmax", explains=("initial-loss",)), skipped={"c": "no step", "d": "no step"}
        )
    )
    assert text.splitlines()[0] == "1 error (2 checks made, 2 skipped); the most probable cause first."
    assert "✗ double-softmax (error)\n  evidence of double-softmax < 3\n  Ask: Why?\n  Do:  Mend it." in text
    assert "This accounts for: initial-loss" in text
    assert "c, d: no step" in text
    assert str(report()) == "Nothing found: 2 checks made."


def test_a_report_as_a_collection():
    some = report(finding("double-softmax"), finding("not-seeded", "warning"))
    assert some.names == ("double-softmax", "not-seeded")
    assert [f.name for f in some.errors] == ["double-softmax"]
    assert "not-seeded" in some
    assert some["not-seeded"].severity == "warning"
    assert len(some) == 2
    assert report()
    with pytest.raises(KeyError, match="'dead-units' was not found; there are double-softmax, not-seeded"):
        some["dead-units"]


class Tags(html.parser.HTMLParser):
    """Checks that tags are closed in their order."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def test_a_report_as_html():
    markup = report(
        finding("double-softmax"), finding("not-seeded", "note"), skipped={"c": "no <step>"}
    )._repr_html_()
    tags = Tags()
    tags.feed(markup)
    tags.close()
    assert tags.open == []
    words = " ".join(tags.text)
    assert "evidence of double-softmax < 3" in words
    assert "no <step>" in words
    assert "ddl-report-error" in markup
    assert "http" not in markup
    assert "color:#" not in markup.replace("border-color:#", "")  # words take the colour of the page
    assert "double-softmax" in finding("double-softmax")._repr_html_()


# Figures


def test_a_plot_shows_what_was_measured():
    measured = Measured(
        (ParameterRow("a.weight", 0.5, 2.0, 0.002), ParameterRow("a.bias", 0.0, 0.0, NAN)),
        (LayerRow("a", 0.1, 1.0, NAN, NAN), LayerRow("relu", 0.3, 0.5, NAN, 0.25)),
    )
    figure = report(measured=measured).plot()
    left, middle, right = figure.axes
    drawn = {line.get_label(): line for line in left.lines}
    assert drawn["exactly 0"].get_ydata().tolist() == [1]
    assert left.lines[0].get_xdata().tolist() == [0.5]
    assert [label.get_text() for label in left.get_yticklabels()] == ["a.weight", "a.bias"]
    assert middle.lines[0].get_xdata() == pytest.approx([0.001])
    assert "usual: 0.001" in [line.get_label() for line in middle.lines]
    assert right.lines[0].get_xdata().tolist() == [0.1, 0.3]
    assert [text.get_text() for text in right.texts] == ["25% dead"]
    plt.close(figure)


def test_a_plot_says_what_was_not_measured():
    figure = ddl.diagnose(mlp(), wine()[0], loss=F.cross_entropy).plot()
    assert [ax.texts[0].get_text() if ax.texts and not ax.lines else "" for ax in figure.axes][
        1
    ] == "not measured"
    assert len(figure.axes[0].lines[0].get_xdata()) == 4
    plt.close(figure)
    figure = report().plot()
    assert all("not measured" in [text.get_text() for text in ax.texts] for ax in figure.axes)
    plt.close(figure)


def test_measuring_does_not_draw():
    before = plt.get_fignums()
    measured = diagnose().measured
    assert plt.get_fignums() == before
    assert [row.name for row in measured.layers] == ["hidden1", "activation1", "output"]
    assert all(np.isfinite([row.gradient, row.ratio]).all() for row in measured.parameters)


# What is skipped, and what is refused


def test_without_optimiser_and_step_the_report_says_what_to_pass():
    found = ddl.diagnose(mlp(), wine()[0], loss=F.cross_entropy)
    assert found.names == ()
    assert "pass optimizer=… or step=…" in found.skipped["gradients-not-zeroed"]
    assert "pass validation=…" in found.skipped["train-validation-overlap"]
    assert "double-softmax" in found.checked
    assert not set(found.checked) & set(found.skipped)


def test_an_optimiser_alone_is_enough():
    model = mlp()
    found = ddl.diagnose(model, wine()[0], loss=F.cross_entropy, optimizer=sgd(model))
    assert "gradients-not-zeroed" in found.checked
    assert "pass step=…" in found.skipped["training-in-eval-mode"]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((nn.Linear, (torch.ones(2, 2), torch.ones(2))), {}, TypeError, "an instance, not a class"),
        ((nn.LazyLinear(1), (torch.ones(2, 2), torch.ones(2, 1))), {}, ValueError, "call the model once"),
        ((nn.Linear(2, 1), torch.ones(2, 2)), {}, TypeError, r"a tensor of shape \(2, 2\); give a pair"),
        ((nn.Linear(2, 1), ([1.0], [2.0])), {}, TypeError, "a tuple of 2; give a pair of tensors"),
        ((nn.Linear(2, 1), iter([])), {}, TypeError, "can be read only once"),
        ((nn.Linear(2, 1), []), {}, ValueError, "yields no batches"),
        ((nn.Linear(2, 1), [torch.ones(2, 2)] * 3), {}, TypeError, "let it yield pairs"),
        ((nn.Linear(2, 1), (torch.ones(3, 2), torch.ones(2, 1))), {}, ValueError, "3 examples but 2 targets"),
        ((nn.Linear(2, 1), (torch.ones(0, 2), torch.ones(0, 1))), {}, ValueError, "at least one example"),
        ((nn.Linear(2, 1), None), {"loss": nn.MSELoss}, TypeError, "with its parentheses"),
        ((nn.Linear(2, 1), None), {"optimizer": "sgd"}, TypeError, "optimizer is 'sgd'; give a torch.optim"),
        ((nn.Linear(2, 1), None), {"step": 3}, TypeError, "step is 3; give a function"),
        ((nn.Linear(2, 1), None), {"evaluate": 0.5}, TypeError, "evaluate is 0.5; give a function"),
        ((nn.Linear(2, 1), None), {"seed": -1}, ValueError, "seed is -1; it must be at least 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, options, error, words):
    with pytest.raises(error, match=words):
        ddl.diagnose(*arguments, **{"loss": F.mse_loss} | options)


def test_a_network_for_mnist_takes_less_than_five_seconds():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data = ddl.datasets.mnist()
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
    x, y = data.x.flatten(1)[order], data.y[order]
    model, loss = mlp((784, 100, 10)), nn.CrossEntropyLoss()
    optimizer = sgd(model)
    try:
        start = time.perf_counter()
        found = ddl.diagnose(
            model, (x[:4000], y[:4000]), loss=loss, optimizer=optimizer, step=usual(model, loss, optimizer),
            validation=(x[4000:], y[4000:]), build=mlp,
            evaluate=lambda: loss(model.eval()(x[4000:]), y[4000:]).item(),
        )  # fmt: skip
        assert time.perf_counter() - start < 5
    finally:
        torch.set_num_threads(threads)
    assert found.names == ()
