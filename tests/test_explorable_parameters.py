"""Which control the values of a parameter choose, and which values are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import ddl
from ddl.explorables import Parameter, Steps


@pytest.mark.parametrize(
    ("given", "kind", "labels"),
    [
        ([1, 3, 10], "slider", ("1", "3", "10")),
        (range(0, 4, 2), "slider", ("0", "2")),
        ([-0.35, 0.0, 1e-5], "slider", ("−0.35", "0", "1e−05")),
        ([1_000_000, 1_000_001], "slider", ("1000000", "1000001")),
        (np.array([0.5, 2.0]), "slider", ("0.5", "2")),
        (np.arange(2), "slider", ("0", "1")),
        ([False, True], "switch", ("off", "on")),
        (np.array([False, True]), "switch", ("off", "on")),
        (["tanh", "relu"], "choice", ("tanh", "relu")),
        ({"SGD": torch.optim.SGD, "none": None}, "choice", ("SGD", "none")),
        ({1: "one", 2: "two"}, "choice", ("1", "2")),
        ((character for character in "ab"), "choice", ("a", "b")),
        (ddl.steps([0, 1, 5]), "slider", ("0", "1", "5")),
        (ddl.steps(np.array([0, 1, 5])), "slider", ("0", "1", "5")),
    ],
)
def test_the_values_choose_the_control(given, kind, labels):
    parameter = Parameter.of("x", given)
    assert (parameter.kind, parameter.labels) == (kind, labels)
    assert parameter.playable == isinstance(given, Steps)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ([5], ValueError, ["x=[5]", "at least two values"]),
        ([], ValueError, ["x=[]", "at least two values"]),
        ([True], ValueError, ["x=[True]", "at least two values"]),
        ({"one": 1}, ValueError, ["x=[1]", "at least two values"]),
        (5, TypeError, ["x=5", "x=[5, …]"]),
        ("tanh", TypeError, ["x='tanh'", "x=['tanh', …]"]),
        (None, TypeError, ["x=None", "x=[None, …]"]),
        ([1, "two"], TypeError, ["x=[1, 'two']", "dict from label to value"]),
        ([None, 1], TypeError, ["x=[None, 1]", "dict from label to value"]),
        ([torch.optim.SGD, torch.optim.Adam], TypeError, ["torch.optim", "dict from label to value"]),
        ([True, False], ValueError, ["x=[True, False]", "[False, True]"]),
        ([False, True, True], ValueError, ["x=[False, True, True]", "[False, True]"]),
        ([1, 2, 1], ValueError, ["x", "look the same", "['1', '2', '1']", "dict from label to value"]),
        ([0.12345671, 0.12345672], ValueError, ["look the same", "['0.123457', '0.123457']"]),
        (["a", "a"], ValueError, ["look the same", "['a', 'a']"]),
        ({1: "one", "1": "won"}, ValueError, ["look the same", "['1', '1']"]),
        ([True, 2], TypeError, ["x=[True, 2]", "all numbers, all truth values"]),
    ],
)
def test_values_that_no_control_can_show_are_refused(given, error, says):
    with pytest.raises(error) as raised:
        Parameter.of("x", given)
    assert [part for part in says if part not in str(raised.value)] == []


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ([0, 2, 1], ValueError, ["must increase", "[0, 2, 1]", "sorted"]),
        ([0, 1, 1], ValueError, ["must increase", "[0, 1, 1]"]),
        ([0, math.nan], ValueError, ["must increase", "[0, nan]"]),
        (["start", "stop"], TypeError, ["must be numbers", "['start', 'stop']"]),
        ([False, True], TypeError, ["must be numbers", "[False, True]"]),
        ({"start": 0, "stop": 1}, TypeError, ["must be numbers", "['start', 'stop']"]),
        (5, TypeError, ["5", "steps([5, …])"]),
    ],
)
def test_moments_that_do_not_follow_each_other_are_refused(values, error, says):
    with pytest.raises(error) as raised:
        ddl.steps(values)
    assert [part for part in says if part not in str(raised.value)] == []
