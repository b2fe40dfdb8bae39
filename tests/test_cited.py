"""Numbers from elsewhere stand in tables that link to where they come from."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from ddl import cited

TABLES = pytest.mark.parametrize("table", [cited.network_sizes, cited.nervous_systems])


def small(**changes):
    """A table of two rows, with these columns changed or added."""
    columns = {
        "name": ["first", "second"],
        "year": [1960, 2024],
        "size": [1234567.0, np.nan],
        "source": ["Ada (1960)", "Bo (2024)"],
        "url": ["https://a.example/1", "https://b.example/2"],
    }
    return pd.DataFrame({**columns, **changes})


class Page(HTMLParser):
    """The head, the rows and the links of a table."""

    def __init__(self, html):
        super().__init__()
        self.cells, self.links, self.classes, self.tags = [], [], [], []
        self.feed(html)
        width = self.tags.count("th")
        self.rows = [self.cells[i : i + width] for i in range(0, len(self.cells), width)]

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.classes.append((tag, attributes.get("class")))
        if tag in ("th", "td"):
            self.cells.append("")
        elif tag == "a":
            self.links.append(attributes["href"])

    def handle_data(self, data):
        if self.cells and data.strip():
            self.cells[-1] += data


# Any table


def test_the_table_shows_its_columns_and_the_source_as_a_link():
    page = Page(cited.CitedTable(small(), ["name", "year", "size"])._repr_html_())
    assert page.rows == [
        ["name", "year", "size", "source"],
        ["first", "1960", "1,234,567", "Ada (1960)"],
        ["second", "2024", "", "Bo (2024)"],
    ]
    assert page.links == ["https://a.example/1", "https://b.example/2"]
    assert page.classes[0] == ("div", "ddl-table")


def test_only_the_chosen_columns_are_shown():
    table = cited.CitedTable(small(), ["size", "name"])
    assert Page(table._repr_html_()).rows[0] == ["size", "name", "source"]
    assert repr(table).splitlines()[0].split() == ["size", "name", "source"]


def test_text_in_cells_sources_and_addresses_is_escaped():
    nasty = "<b>&\"'</b>"
    url = 'https://a.example/?q="><script>&x=1'
    page = Page(
        cited.CitedTable(
            small(name=[nasty, "b"], source=[nasty, "B"], url=[url, "https://b"]), ["name"]
        )._repr_html_()
    )
    assert page.rows[1] == [nasty, nasty]
    assert page.links[0] == url
    assert not {"b", "script"} & set(page.tags)


def test_long_texts_are_whole_on_the_page_and_short_in_print():
    long = " and".join(["a very long remark"] * 20)
    table = cited.CitedTable(small(remark=[long, "-"]), ["name", "remark"])
    assert Page(table._repr_html_()).rows[1][1] == long
    assert max(map(len, repr(table).splitlines())) < 70


def test_in_print_there_is_one_line_a_row_and_no_index():
    lines = repr(cited.CitedTable(small(), ["name", "year", "size"])).splitlines()
    assert lines[0].split() == ["name", "year", "size", "source"]
    assert lines[1].split() == ["first", "1960", "1,234,567", "Ada", "(1960)"]
    assert lines[2].split() == ["second", "2024", "Bo", "(2024)"]
    assert len(lines) == 3


def test_showing_a_table_leaves_its_numbers_alone():
    table = cited.CitedTable(small(), ["name", "size"])
    repr(table), table._repr_html_()
    pd.testing.assert_frame_equal(table.frame, small())


@pytest.mark.parametrize("column", ["source", "url"])
@pytest.mark.parametrize("missing", [None, np.nan, "", "  "])
def test_a_row_without_source_or_address_is_refused(column, missing):
    frame = small()
    frame[column] = [frame[column][0], missing]
    with pytest.raises(ValueError, match=r"rows without a source: \['second'\]; cite one for each"):
        cited.CitedTable(frame, ["name"])


# The book's tables


@TABLES
def test_each_row_links_to_an_address_on_the_web(table):
    page = Page(table()._repr_html_())
    assert page.links == table().frame["url"].tolist()
    assert len(page.links) == len(page.rows) - 1
    for url in page.links:
        parts = urlsplit(url)
        assert parts.scheme == "https"
        assert "." in parts.netloc
        assert len(parts.path) > 1
        assert url == url.strip()
        assert " " not in url


@TABLES
def test_sizes_are_numbers_and_what_is_shown_is_what_is_documented(table):
    columns = table().columns
    assert all(f" {name}" in table.__doc__ for name in columns)
    assert {*columns, "source", "url"} <= set(table().frame.columns)
    sizes = table().frame.select_dtypes("number").drop(columns="year", errors="ignore")
    assert list(sizes) == columns[-3:-1]
    assert (sizes.min() > 0).all()
    assert sizes.notna().any(axis=1).all()


def test_networks_stand_in_the_order_of_their_years():
    years = cited.network_sizes().frame["year"]
    assert years.is_monotonic_increasing
    assert years.between(1943, 2100).all()


def test_each_call_reads_the_numbers_afresh():
    changed = cited.network_sizes().frame
    changed["parameters"] = 0
    assert cited.network_sizes().frame["parameters"].max() > 1e12
