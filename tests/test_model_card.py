"""Model cards: nothing is left out, and every number is one that was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ddl import model_card
from ddl.model_card import SECTIONS

TEXTS = {section: f"About {title.lower()}." for section, title in SECTIONS.items()}
COMPLETE = TEXTS | {
    "metrics": "Accuracy {home:.1%} at home, {away:.1%} away.",
    "training_data": "  {rows:,} rows, {{braces}} kept.\n",
}
NUMBERS = {"home": 0.9812, "away": np.float32(0.5), "rows": 12_000}


def test_a_card_has_all_sections_in_order_and_the_numbers_in_their_places():
    shuffled = dict(reversed(COMPLETE.items()))
    lines = str(model_card.fill("Scan reader", shuffled, NUMBERS)).splitlines()
    assert lines[0] == "# Model card: Scan reader"
    assert [line[3:] for line in lines if line.startswith("## ")] == list(SECTIONS.values())
    assert lines[lines.index("## Metrics") + 2] == "Accuracy 98.1% at home, 50.0% away."
    assert lines[lines.index("## Training data") + 2] == "12,000 rows, {braces} kept."
    assert lines[lines.index("## Factors") + 2] == "About factors."


def test_notebooks_show_it_without_headings_and_name_it_without_numbers():
    card = model_card.fill("Scan reader", COMPLETE, NUMBERS)
    assert repr(card) == "Model card: Scan reader, 9 sections, 3 measured numbers"
    shown = card._repr_markdown_()
    assert "#" not in shown
    assert shown.startswith("**Model card: Scan reader**\n\n**Model details**\n\nAbout model details.")
    assert shown.replace("**", "") == str(card).replace("## ", "").replace("# ", "")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_missing_section_is_called_by_its_name(section):
    texts = {name: text for name, text in TEXTS.items() if name != section}
    with pytest.raises(ValueError, match=f"section missing: {section}; write a text for it"):
        model_card.fill("net", texts, {})
    with pytest.raises(ValueError, match=f"section {section} is empty; if there is nothing to say, say why"):
        model_card.fill("net", TEXTS | {section: " \n"}, {})


def lacking(*names):
    return {name: value for name, value in NUMBERS.items() if name not in names}


@pytest.mark.parametrize(
    ("sections", "measured", "error", "words"),
    [
        (
            COMPLETE | {"conclusion": "x"},
            NUMBERS,
            ValueError,
            "section unknown: conclusion; the sections are",
        ),
        (COMPLETE | {"factors": 3}, NUMBERS, TypeError, "section factors is 3; give a text"),
        (COMPLETE, lacking("home", "away"), ValueError, "number missing: away, home; measure it"),
        (COMPLETE, NUMBERS | {"loss": 1}, ValueError, "number unknown: loss; name it in a text, or leave"),
        (COMPLETE, NUMBERS | {"home": math.nan}, ValueError, "number home is nan; a card holds what was"),
        (COMPLETE, NUMBERS | {"away": np.inf}, ValueError, "number away is inf"),
        (COMPLETE, NUMBERS | {"rows": "many"}, TypeError, "number rows is 'many'; give one number"),
        (COMPLETE, NUMBERS | {"rows": None}, TypeError, "number rows is None"),
        (COMPLETE, NUMBERS | {"rows": True}, TypeError, "number rows is True"),
    ],
)
def test_what_does_not_belong_is_called_by_its_name(sections, measured, error, words):
    with pytest.raises(error, match=words):
        model_card.fill("net", sections, measured)
