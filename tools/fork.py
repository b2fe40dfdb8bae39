"""Give a fork its own address, everywhere the repository's stands.

    python -m tools.fork https://github.com/me/mybook [--branch main]

Setup cells install the package from the repository, pages link to it, badges open it: after this command all
of them mean the fork.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

SKIPPED = re.compile(r"_build|build|dist|__pycache__|.*\.egg-info|\.(?!ci$|github$|gitignore$).+")
"""Folders and files that hold nothing of ours: what tools made, and hidden ones but for the workflows."""


class Address(NamedTuple):
    """A repository: its address on the web, and the branch that is published."""

    url: str
    branch: str

    @property
    def slug(self) -> str:
        """The owner and the name: `me/mybook`."""
        return "/".join(self.url.split("/")[-2:])

    @property
    def pages(self) -> str:
        """Where GitHub publishes the book."""
        owner, name = self.slug.split("/")
        return f"{owner}.github.io/{name}"


def parse_address(url: str, branch: str) -> Address:
    """Check the address of a repository.

    Parameters
    ----------
    url
        Like ``https://github.com/me/mybook``.
    branch
        The branch that is published.

    Returns
    -------
    Address
        Both, as given.

    Raises
    ------
    ValueError
        If the address or the branch has another form.
    """
    if not re.fullmatch(r"https://[\w.-]+\.\w+/[\w.-]+/[\w.-]+(?<!\.git)", url):
        raise ValueError(
            f"{url!r} is no address of a repository; write it like https://github.com/me/mybook, "
            "without .git or a slash at the end"
        )
    if not re.fullmatch(r"\w[\w./-]*", branch):
        raise ValueError(f"{branch!r} is no name of a branch")
    return Address(url, branch)


def configured_address(root: Path) -> Address:
    """Return the address that `_config.yml` has now."""
    repository = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return Address(repository["url"], repository["branch"])


def move(text: str, old: Address, new: Address) -> str:
    """Return a text in which one address stands in place of another.

    Examples
    --------
    >>> old, new = Address("https://github.com/a/b", "main"), Address("https://github.com/me/c", "main")
    >>> move("https://mybinder.org/v2/gh/a/b/main?x and https://a.github.io/b/", old, new)
    'https://mybinder.org/v2/gh/me/c/main?x and https://me.github.io/c/'
    """
    slug = rf"(?<![\w.-]){re.escape(old.slug)}(?![\w-])"
    branch = rf"(?<=/){re.escape(old.branch)}(?![\w.-])"
    # First the branch: where it stands is known from what stands before it.
    text = re.sub(rf"({slug}(?:/(?:blob|raw|tree|edit))?/){branch}", rf"\g<1>{new.branch}", text)
    text = re.sub(
        rf"^( *branch(?:es)?: \[?){re.escape(old.branch)}\b", rf"\g<1>{new.branch}", text, flags=re.MULTILINE
    )
    text = text.replace(old.url, new.url).replace(old.pages, new.pages)
    return re.sub(slug, new.slug, text)


def fork(root: Path, new: Address) -> list[Path]:
    """Move a checkout of the book to another address.

    Parameters
    ----------
    root
        The checkout.
    new
        The address that it has from now on.

    Returns
    -------
    list of pathlib.Path
        The files that were changed.
    """
    old = configured_address(root)
    changed = []
    for path in _files(root):
        try:
            before = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:  # a picture or the like
            continue
        after = move(before, old, new)
        if after != before:
            path.write_bytes(after.encode("utf-8"))
            changed.append(path)
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.fork", description=__doc__.split("\n")[0])
    parser.add_argument("url", help="the fork's address, like https://github.com/me/mybook")
    parser.add_argument("--branch", default="main", help="its published branch (default: main)")
    options = parser.parse_args(arguments)
    root = Path.cwd()
    try:
        changed = fork(root, parse_address(options.url, options.branch))
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    for path in changed:
        print(f"changed {path.relative_to(root)}")
    print(f"{len(changed)} files now name {options.url}")
    return 0


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if SKIPPED.fullmatch(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        elif path.is_file():
            yield path


if __name__ == "__main__":
    sys.exit(main())
