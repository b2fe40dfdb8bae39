"""Claims: what holds, what does not, and what is no claim at all."""

from __future__ import annotations

import decimal
import re
from html.parser import HTMLParser
from pathlib import Path

import IPython
import numpy as np
import pytest
import torch

import ddl
from ddl import ClaimError, claim, claims, evidence


@pytest.fixture(autouse=True)
def no_claims_yet(monkeypatch):
    """A reader's own run, at the start of a chapter."""
    monkeypatch.delenv("DDL_STRICT", raising=False)
    evidence.forget()
    yield
    evidence.forget()


@pytest.fixture
def strict(monkeypatch):
    """The build and the tests of the book."""
    monkeypatch.setenv("DDL_STRICT", "1")


# What holds and what does not


def test_a_claim_that_holds_says_so_with_its_numbers(capsys):
    assert claim("Trees are tall", True, height=12.3456) is None
    assert capsys.readouterr().out == "✓ Trees are tall [height 12.3]\n"
    assert claims()[0].holds is True


def test_a_claim_that_fails_says_so_and_the_readers_run_goes_on(capsys):
    claim("Trees are tall", False, height=0.2)
    assert capsys.readouterr().out == "✗ Trees are tall [height 0.2]\n"
    assert claims()[0].holds is False


def test_a_claim_that_holds_is_no_error_in_strict_mode(strict, capsys):
    claim("Trees are tall", True, height=12)
    assert capsys.readouterr().out == "✓ Trees are tall [height 12]\n"


def test_a_claim_that_fails_is_an_error_in_strict_mode_after_it_was_shown(strict, capsys):
    with pytest.raises(ClaimError) as error:
        claim("Trees are tall", False, height=0.25, trees=7)
    assert str(error.value) == "Trees are tall [height 0.25, trees 7]"
    assert capsys.readouterr().out == "✗ Trees are tall [height 0.25, trees 7]\n"
    assert [entry.holds for entry in claims()] == [False]


def test_only_the_value_one_makes_claims_strict(monkeypatch):
    for value in ("0", "", "yes"):
        monkeypatch.setenv("DDL_STRICT", value)
        claim("Trees are tall", False, height=0.2)


def test_an_assertion_error_is_what_other_tools_expect():
    assert issubclass(ClaimError, AssertionError)


# What decides


@pytest.mark.parametrize(
    "holds",
    [
        True,
        np.bool_(True),
        np.array(True),
        np.array([True]),
        np.array([1, 2]).min() == 1,
        torch.tensor(True),
        torch.tensor([[True]]),
        torch.tensor([1.0, 2.0]).max() > 1.5,
    ],
    ids=repr,
)
def test_one_truth_value_of_any_library_decides(holds):
    claim("Trees are tall", holds, height=12)
    assert claims()[0].holds is True
    claim("Trees are tall", not holds, height=12)
    assert claims()[0].holds is False


@pytest.mark.parametrize(
    ("holds", "quoted"),
    [
        (0.97, "0.97"),
        (1, "1"),
        (0, "0"),
        (None, "None"),
        ("true", "'true'"),
        (np.float64(1.0), "1.0"),
        (np.int64(1), "1"),
        (torch.tensor(1.0), "1.0"),
        (torch.tensor(1), "1"),
        ([True], "[True]"),
        ([], "[]"),
        (np.array([True, True]), "array([ True,  True])"),
        (np.array([], dtype=bool), "array([], dtype=bool)"),
        (torch.tensor([True, False]), "tensor([ True, False])"),
    ],
    ids=repr,
)
def test_anything_but_one_truth_value_is_refused(holds, quoted):
    remedy = "pass one truth value, as in accuracy > 0.9, and reduce an array of them with all() or any()"
    with pytest.raises(TypeError, match=re.escape(f"a claim holds or not; got {quoted}: {remedy}")):
        claim("Trees are tall", holds, height=12)
    assert len(claims()) == 0


@pytest.mark.parametrize("statement", ["", "  \n", None, 3, True])
def test_a_claim_needs_a_sentence(statement):
    with pytest.raises(ValueError, match="a claim needs a sentence, not ") as error:
        claim(statement, True, height=12)
    assert str(error.value).endswith(repr(statement))
    assert len(claims()) == 0


def test_a_claim_needs_a_measured_number():
    with pytest.raises(ValueError, match=r"'Trees are tall' shows no measured number; pass some"):
        claim("Trees are tall", True)
    assert len(claims()) == 0


@pytest.mark.parametrize(
    "nothing",
    [
        float("nan"),
        np.float32("nan"),
        np.array([np.nan]),
        torch.tensor(float("nan")),
        torch.tensor(float("nan"), dtype=torch.bfloat16, requires_grad=True),
        np.array([1.0, np.nan]),
        torch.tensor([[1.0, 2.0], [3.0, float("nan")]]),
        [0.5, float("nan")],
        (0.5, torch.tensor(float("nan"))),
    ],
    ids=repr,
)
def test_nan_makes_a_claim_fail_whatever_the_check_says(nothing, strict):
    with pytest.raises(ClaimError, match="nan"):
        claim("Trees are tall", True, trees=3, height=nothing)


@pytest.mark.parametrize("something", [np.inf, -np.inf, 0, "nan", np.array([]), None])
def test_what_is_not_nan_lets_the_check_decide(something, strict):
    claim("Trees are tall", True, height=something)


# What is shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (123456, "123456"),
        (True, "True"),
        (0.123456, "0.123"),
        (1234567.0, "1.23e+06"),
        (np.float32(0.1), "0.1"),
        (np.int64(7), "7"),
        (torch.tensor(2.0, requires_grad=True), "2"),
        (np.array([0.12345, 2]), "(0.123, 2)"),
        (torch.tensor([[1, 2], [3, 4]]), "((1, 2), (3, 4))"),
        ([1, 0.33333], "(1, 0.333)"),
        ("two", "two"),
        ({1: [2]}, "{1: (2)}"),
        (decimal.Decimal("0.5"), "0.5"),
    ],
    ids=repr,
)
def test_numbers_are_short_and_hold_no_brackets(value, text):
    claim("Trees are tall", True, height=value)
    assert str(claims()[0]) == f"✓ Trees are tall [height {text}]"


def test_comparison_of_outputs_ignores_all_numbers():
    settings = (Path(__file__).parent / "nbval_sanitize.cfg").read_text()
    pattern = re.search(r"^regex: (.*)$", settings, re.MULTILINE)[1]
    claim("Trees are tall", True, heights=[1, 2], trees=np.arange(3), kind="[oak]", last=4)
    assert re.sub(pattern, "[…]", str(claims()[0])) == "✓ Trees are tall […]"


def test_underscores_in_names_are_spaces_and_the_order_of_numbers_is_kept():
    claim("Trees are tall", True, z_last_one=1, a_first=2)
    assert str(claims()[0]) == "✓ Trees are tall [z last one 1, a first 2]"


def test_measured_numbers_may_have_any_name():
    claim("Trees are tall", True, statement=1, holds=2)
    assert str(claims()[0]) == "✓ Trees are tall [statement 1, holds 2]"


def test_in_a_notebook_the_claim_is_displayed(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(IPython, "get_ipython", object)
    monkeypatch.setattr(IPython.display, "display", shown.append)
    claim("Trees are tall", True, height=12)
    assert shown == [claims()[0]]
    assert capsys.readouterr().out == ""


def test_text_and_repr_are_the_same():
    claim("Trees are tall", True, height=12)
    assert repr(claims()[0]) == str(claims()[0])
    assert repr(claims()) == str(claims())


class Elements(HTMLParser):
    """The start tags of a piece of HTML and its text; it fails where tags do not close in order."""

    def __init__(self, html):
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    ("holds", "state", "word"), [(True, "holds", "Holds:"), (False, "fails", "Does not hold:")]
)
def test_html_of_a_claim(holds, state, word):
    claim("x < 3 & <b>bold</b>", holds, kind="<i>'\"")
    page = Elements(claims()[0]._repr_html_())
    assert page.found == [
        ("div", {"class": f"ddl-claim ddl-claim-{state}"}),
        ("span", {"class": "ddl-claim-mark", "role": "img", "aria-label": word}),
        ("span", {"class": "ddl-claim-statement"}),
        ("span", {"class": "ddl-claim-measured"}),
    ]
    assert page.text == f"{'✓' if holds else '✗'} x < 3 & <b>bold</b> [kind <i>'\"]"


# The chapter's list


def test_claims_are_listed_in_the_order_in_which_they_were_first_made():
    for name in ("c", "a", "b"):
        claim(name, True, n=1)
    claim("a", False, n=2)
    assert [str(entry) for entry in claims()] == ["✓ c [n 1]", "✗ a [n 2]", "✓ b [n 1]"]


def test_a_cell_that_runs_again_replaces_its_claim():
    claim("Trees are tall", False, height=0.2)
    claim(" Trees are tall\n", True, height=12)
    assert [str(entry) for entry in claims()] == ["✓ Trees are tall [height 12]"]


def test_a_list_that_was_shown_stays_as_it_is():
    claim("a", True, n=1)
    before = claims()
    claim("b", True, n=1)
    assert len(before) == 1


@pytest.mark.parametrize(
    ("outcomes", "head"),
    [
        ([], "0 claims, all hold"),
        ([True], "1 claim, all hold"),
        ([False], "1 claim, 1 does not hold"),
        ([True, True, True], "3 claims, all hold"),
        ([True, False, True], "3 claims, 1 does not hold"),
        ([False, True, False], "3 claims, 2 do not hold"),
    ],
)
def test_the_list_counts_what_holds(outcomes, head):
    for number, holds in enumerate(outcomes):
        claim(f"claim {number}", holds, n=number)
    lines = [f"{'✓' if holds else '✗'} claim {number} [n {number}]" for number, holds in enumerate(outcomes)]
    assert str(claims()).splitlines() == [head, *lines]
    html = claims()._repr_html_()
    assert html.startswith(f'<p class="ddl-claims-head">{head}</p>')
    assert html.endswith("".join(entry._repr_html_() for entry in claims()))
    assert Elements(html).text == head + "".join(lines)


def test_setup_begins_a_new_list(monkeypatch, capsys):
    claim("Trees are tall", True, height=12)
    ddl.setup()
    assert len(claims()) == 0
