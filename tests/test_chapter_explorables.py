"""With a kernel a frame is drawn when it is asked for: what it is drawn from must still be there by then."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from symtable import SymbolTable, symtable

import books
import nbformat
import pytest

from tools import chapters


def rebound(sources: list[str]) -> list[str]:
    """Say which names an explorable draws from, if only through a function, that a later cell binds anew."""
    functions: dict[str, SymbolTable] = {}
    explorables: list[tuple[int, str]] = []
    bound = []
    for cell, source in enumerate(sources):
        table = symtable(source, f"cell {cell}", "exec")
        functions |= {child.get_name(): child for child in table.get_children()}
        explorables += [(cell, name) for name in decorated(source)]
        bound.append({symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()})
    return [
        f"{explorable} draws from {name}, which a later cell ({later}) binds anew; name that otherwise"
        for cell, explorable in explorables
        for later in range(cell + 1, len(sources))
        for name in sorted(drawn_from(explorable, functions) & bound[later])
    ]


def decorated(source: str) -> Iterator[str]:
    """Find the functions that a cell makes explorables of."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and "ddl.explore(" in "".join(
            map(ast.unparse, node.decorator_list)
        ):
            yield node.name


def drawn_from(name: str, functions: dict[str, SymbolTable]) -> set[str]:
    """Collect the global names a function needs, its own among them, and those that its callees need."""
    needed, open_names = set(), {name}
    while open_names:
        name = open_names.pop()
        needed.add(name)
        if name in functions:
            open_names |= global_names(functions[name]) - needed
    return needed


def global_names(table: SymbolTable) -> set[str]:
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    return own.union(*map(global_names, table.get_children()))


@pytest.mark.parametrize("path", chapters.paths(books.REPOSITORY), ids=lambda path: path.stem)
def test_explorables_of_a_chapter_keep_what_they_draw_from(path):
    cells = nbformat.read(path, as_version=4).cells
    found = rebound([cell.source for cell in cells if cell.cell_type == "code"])
    assert not found, "\n".join(found)


DATA = "import ddl\ndata = [1, 2]\ndef mean(x):\n    return [sum(data) / value for value in x]"
EXPLORABLE = (
    "@ddl.explore(x=[1, 2])\ndef shown(x):\n    '''Shown.'''\n    local = mean([x])\n    return local"
)


@pytest.mark.parametrize(
    ("later", "name"),
    [
        ("data = 3", "data"),
        ("for data in [3]:\n    pass", "data"),
        ("def mean(x):\n    return 0", "mean"),
        ("mean, local = 1, 2", "mean"),
        ("shown = 1", "shown"),
        ("local = x = value = 1", None),
        ("def other(data):\n    mean = data\n    return mean", None),
        ("[data for data in range(3)]", None),
    ],
)
def test_a_name_bound_anew_is_found(later, name):
    found = rebound([DATA, EXPLORABLE, "1 + 1", later])
    assert [line.split(",")[0] for line in found] == ([f"shown draws from {name}"] if name else [])
    assert rebound([DATA, later, EXPLORABLE]) == []
