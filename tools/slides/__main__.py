"""Make the decks of the chapters, from the notebooks that the build of the book executed.

    jupyter-book build .          # first: executes the chapters
    python -m tools.slides        # every chapter; or name some: python -m tools.slides perceptron

Each deck is a folder that opens from disk with no network; `index.html` beside them lists them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbformat

from tools.execution import NotebookError, executed
from tools.slides.deck import chapters, describe, write_deck, write_index

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None, root: Path = ROOT) -> None:
    """Run the command.

    Parameters
    ----------
    arguments
        What stands behind the command's name; by default that of this process.
    root
        The repository.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tools.slides",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="name of a chapter; by default all")
    parser.add_argument("--out", type=Path, default=root / "_build" / "slides", help="folder of the decks")
    options = parser.parse_args(arguments)
    known = {path.stem: path for path in chapters(root)}
    if unknown := [name for name in options.chapters if name not in known]:
        sys.exit(f"no chapter is called {', '.join(unknown)}; _toc.yml has {', '.join(known)}")
    for name in options.chapters or known:
        try:
            deck = write_deck(executed(known[name], root), known[name], root=root, out=options.out)
        except (NotebookError, ValueError) as error:
            sys.exit(f"{known[name]}: {error}")
        print(f"{options.out / name / 'index.html'}: {deck.slides} slides")
    written = [path for path in known.values() if (options.out / path.stem / "index.html").exists()]
    write_index(
        [describe(nbformat.read(path, as_version=4), path) for path in written], root=root, out=options.out
    )
    print(f"{options.out / 'index.html'}: the list of decks")


if __name__ == "__main__":
    main()
