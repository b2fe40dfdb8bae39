"""Verdicts, and what holds for every checker: answers that are missing, unfinished or no answers at all."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from verdicts import assert_hint

from ddl.exercises import backprop, perceptron
from ddl.exercises.verdict import Hint, checker

# Verdicts


@checker
def even(answer, words=""):
    """Check that a number is even."""
    if answer % 2:
        raise Hint(f"odd {words}")
    return f"Right {words}"


@pytest.mark.parametrize(
    ("answer", "right", "attempted", "text", "state"),
    [
        (2, True, True, "✓ Right <b>&", "right"),
        (3, False, True, "✗ odd <b>&", "wrong"),
        (..., False, False, "… Not attempted yet: replace the dots.", "open"),
    ],
)
def test_a_verdict_says_what_it_is(answer, right, attempted, text, state):
    verdict = even(answer, "<b>&")
    assert (verdict.right, verdict.attempted) == (right, attempted)
    assert str(verdict) == repr(verdict) == text
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, attributes))
    parser.handle_data = found.append
    parser.feed(verdict._repr_html_())
    assert found == [("div", [("class", f"ddl-verdict ddl-verdict-{state}")]), text]


@pytest.mark.parametrize("answer", [[1, ...], (..., 2), [[1, 2], [..., 4]]], ids=str)
def test_dots_left_in_a_list_are_an_exercise_not_attempted(answer):
    assert even(answer).attempted is False


def test_an_error_in_checking_is_shown_with_its_kind_and_not_raised():
    assert_hint(even(None), "Your answer raised TypeError: unsupported operand")
    assert_hint(even(), "even() missing 1 required positional argument: 'answer'")


def test_a_reader_can_still_interrupt():
    @checker
    def endless():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        endless()


def test_a_checker_keeps_its_name_and_its_description():
    assert even.__name__ == "even"
    assert even.__doc__ == "Check that a number is even."


# All checkers

NUMBERS = {
    perceptron.and_gate: ([1.0, 1.0], -1.5),
    perceptron.parity: (np.ones((3, 3)), [-0.5, -1.5, -2.5], [1, -1, 1], -0.5),
    backprop.first_slope: (15.0,),
    backprop.pieces_of_pieces: (10, 10),
}
FUNCTIONS = [
    perceptron.mistake_bound,
    perceptron.feature,
    perceptron.logistic_step,
    perceptron.collapse,
    perceptron.silu_slope,
    perceptron.separable_labellings,
    backprop.sigmoid_backward,
    backprop.sweep,
    backprop.centre_and_weigh_backward,
    backprop.multiplications,
    backprop.spread,
    backprop.fold,
]
NAMES = {
    perceptron.and_gate: ["w", "b"],
    perceptron.parity: ["W", "b", "v", "c"],
    backprop.first_slope: ["slope"],
    backprop.pieces_of_pieces: ["pieces", "smaller"],
}
WORDS = [backprop.order_back]
EACH_ANSWER = pytest.mark.parametrize(
    ("check", "place"),
    [
        pytest.param(check, place, id=f"{check.__name__}, {NAMES[check][place]}")
        for check, answers in NUMBERS.items()
        for place in range(len(answers))
    ],
)
EACH_FUNCTION = pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)


def judged(check, place, answer):
    """The verdict on right answers of which one is replaced."""
    answers = list(NUMBERS[check])
    answers[place] = answer
    return check(*answers)


def stub(*_):
    raise NotImplementedError


def dots(*_):
    return ...


def test_every_checker_is_tested_here():
    public = {
        value
        for module in (backprop, perceptron)
        for value in vars(module).values()
        if callable(value) and hasattr(value, "__wrapped__")
    }
    assert public == {*NUMBERS, *FUNCTIONS, *WORDS}
    assert all(check.__doc__ for check in public)


@EACH_ANSWER
def test_numbers_that_are_still_dots_are_not_attempted(check, place):
    for answer in (..., [...], [1, ...]):
        verdict = judged(check, place, answer)
        assert (verdict.right, verdict.attempted) == (False, False)
        assert str(verdict) == "… Not attempted yet: replace the dots."


@EACH_FUNCTION
@pytest.mark.parametrize("function", [stub, dots])
def test_functions_that_are_not_written_are_not_attempted(check, function):
    verdict = check(function)
    assert (verdict.right, verdict.attempted) == (False, False)
    assert str(verdict) == "… Not attempted yet: write the function."


@EACH_ANSWER
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "{name} is None; numbers are wanted."),
        ("one", "{name} is 'one'; numbers are wanted."),
        ([[1, 2], [3]], "{name} is [[1, 2], [3]]; numbers are wanted."),
        ({}, "{name} is {{}}; numbers are wanted."),
        ([1j, 2j], "{name} is [1j, 2j]; numbers are wanted."),
        (np.ones((2, 2, 2)), "{name} has shape (2, 2, 2); "),
        ([1, 2, 3, 4, 5], "{name} has shape (5,); "),
    ],
    ids=str,
)
def test_what_are_no_numbers_of_the_right_shape_is_said(check, place, answer, words):
    assert_hint(judged(check, place, answer), words.format(name=NAMES[check][place]))


@EACH_ANSWER
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_must_be_finite(check, place, value):
    answer = np.array(NUMBERS[check][place], dtype=float)
    answer.flat[0] = value
    hint = f"{NAMES[check][place]} holds {value}; finite numbers are wanted."
    assert_hint(judged(check, place, answer), hint)


def test_long_answers_are_cut_in_hints():
    assert len(judged(perceptron.and_gate, 0, ["one"] * 1000).message) < 120


@EACH_FUNCTION
def test_a_function_that_returns_nothing_is_said(check):
    assert_hint(check(lambda *_: None), "Your function returns None. Does it end with `return`?")


@EACH_FUNCTION
@pytest.mark.parametrize("answer", [None, 5, "f", torch.ones(2)], ids=str)
def test_what_is_no_function_is_said(check, answer):
    assert_hint(check(answer), f"{answer!r} is no function: hand in its name, without parentheses.")


@EACH_FUNCTION
@pytest.mark.parametrize("error", [ZeroDivisionError, NameError, AssertionError, RecursionError, ValueError])
def test_an_error_in_the_readers_function_is_shown_and_not_raised(check, error):
    def broken(*_):
        raise error("an <odd> thing")

    verdict = check(broken)
    assert_hint(verdict, f"Your answer raised {error.__name__}: an <odd> thing")
    assert "an &lt;odd&gt; thing" in verdict._repr_html_()


@EACH_FUNCTION
def test_a_function_with_other_arguments_is_shown_the_error(check):
    assert_hint(check(lambda: 1), "Your answer raised TypeError: ")


@pytest.mark.parametrize("value", ["five", [[1, 2], [3]], {"W": 1}, 1j], ids=str)
@pytest.mark.parametrize(
    ("check", "name"),
    [
        (perceptron.mistake_bound, "Your bound"),
        (perceptron.feature, "Your feature"),
        (perceptron.silu_slope, "Your slope"),
        (perceptron.separable_labellings, "Your count"),
        (backprop.sigmoid_backward, "Your gradient"),
        (backprop.multiplications, "Your counts"),
        (backprop.spread, "Your spread"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_function_that_returns_no_numbers_is_said(check, name, value):
    assert_hint(check(lambda *_: value), f"{name} is {value!r}; numbers are wanted.")
