"""A model card: what a model is for and how well it works, with numbers that code has measured."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

SECTIONS = {
    "model_details": "Model details",
    "intended_use": "Intended use",
    "factors": "Factors",
    "metrics": "Metrics",
    "evaluation_data": "Evaluation data",
    "training_data": "Training data",
    "quantitative_analyses": "Quantitative analyses",
    "ethical_considerations": "Ethical considerations",
    "caveats_and_recommendations": "Caveats and recommendations",
}
"""Names and titles of the sections, in their order.

M. Mitchell, S. Wu, A. Zaldivar, P. Barnes, L. Vasserman, B. Hutchinson, E. Spitzer, I. D. Raji and T. Gebru,
Model cards for model reporting, *FAT\\* 2019*, 220–229, doi:10.1145/3287560.3287596.
"""


@dataclass(frozen=True)
class ModelCard:
    """A finished card; ``str`` gives its Markdown, for a file, and notebooks show it set."""

    name: str
    """Of the model."""
    sections: dict[str, str]
    """The text of each section, numbers and all."""
    measured: dict[str, object]
    """The numbers."""

    def __str__(self) -> str:
        parts = [f"# Model card: {self.name}"]
        parts += [f"## {SECTIONS[section]}\n\n{text}" for section, text in self.sections.items()]
        return "\n\n".join(parts) + "\n"

    def __repr__(self) -> str:
        return (
            f"Model card: {self.name}, {len(self.sections)} sections, {len(self.measured)} measured numbers"
        )

    def _repr_markdown_(self) -> str:
        # Headings in an output would come between those of the chapter.
        return re.sub(r"^#+ (.*)$", r"**\1**", str(self), flags=re.MULTILINE)


def fill(name: str, sections: Mapping[str, str], measured: Mapping[str, object]) -> ModelCard:
    """Fill in a model card, and refuse to leave anything out.

    Parameters
    ----------
    name
        Of the model.
    sections
        A text for each of :data:`SECTIONS`, in Markdown, with places for numbers such as
        ``{accuracy_at_home:.1%}``. A brace that is meant itself is written twice.
    measured
        The numbers, by those names.

    Returns
    -------
    ModelCard
        The card.

    Raises
    ------
    TypeError
        If a text is no text, or a number no number.
    ValueError
        If a section is missing, empty or unknown; if a number is named and was not measured, or measured and
        not named; or if one is not finite. Each is called by its name.

    Examples
    --------
    >>> texts = dict.fromkeys(SECTIONS, "To be written.")
    >>> fill("Lamp", texts | {"metrics": "Accuracy: {hits:.0%}."}, {"hits": 0.97}).sections["metrics"]
    'Accuracy: 97%.'
    """
    _same("section", SECTIONS, sections, "write a text for it", "the sections are " + ", ".join(SECTIONS))
    for section, text in sections.items():
        if not isinstance(text, str):
            raise TypeError(f"section {section} is {text!r}; give a text")
        if not text.strip():
            raise ValueError(f"section {section} is empty; if there is nothing to say, say why")
    named = {
        field.partition(".")[0].partition("[")[0]
        for text in sections.values()
        for _, field, _, _ in Formatter().parse(text)
        if field is not None
    }
    _same("number", named, measured, "measure it", "name it in a text, or leave it out")
    for key, value in measured.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"number {key} is {value!r}; give one number, as float(...) makes it")
        if not math.isfinite(value):
            raise ValueError(f"number {key} is {value}; a card holds what was measured, and this was not")
    texts = {section: sections[section].strip().format_map(measured) for section in SECTIONS}
    return ModelCard(name, texts, dict(measured))


def _same(kind: str, wanted: object, given: Mapping[str, object], missing: str, unknown: str) -> None:
    """Refuse names that are wanted and not given, and those given and not wanted."""
    if lacking := [key for key in wanted if key not in given]:
        raise ValueError(f"{kind} missing: {', '.join(sorted(lacking))}; {missing}")
    if strange := [key for key in given if key not in wanted]:
        raise ValueError(f"{kind} unknown: {', '.join(strange)}; {unknown}")
