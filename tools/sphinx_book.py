"""The book's Sphinx extension: executes what is stale before Sphinx reads, and marks up notes.

Jupyter Book loads it because `_config.yml` names it among its local extensions.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from filelock import FileLock, Timeout
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

from tools import execution, markup

LOGGER = logging.getLogger(__name__)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect the extension to Sphinx's events."""
    app.connect("config-inited", lock_build, priority=1)
    app.connect("config-inited", choose_cache)
    app.connect("env-get-outdated", remove_old_pages)
    app.connect("env-get-outdated", execute_stale)
    app.connect("doctree-read", mark_notes)
    app.connect("doctree-read", register_html_anchors)
    app.connect("html-page-context", leave_out_thebe, priority=900)
    # Light or dark as the reader's system is. The theme's own setting for it leaves pages without colours
    # where scripts are off; with none, its script complains of an empty mode.
    app.add_js_file(None, body='document.documentElement.dataset.mode ||= "auto";')
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def lock_build(app: Sphinx, config: Config) -> None:
    """Let builds of one checkout take turns, so that they do not write the same pages at once."""
    lock = FileLock(Path(app.outdir).parent / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        LOGGER.info("another build is running in %s; waiting for it", Path(app.outdir).parent)
        lock.acquire()
    app.connect("build-finished", lambda app, exception: lock.release(), priority=999)


def choose_cache(app: Sphinx, config: Config) -> None:
    """Set the cache's folder; where it is another than in the last build, Sphinx reads every page again."""
    folder = execution.cache_folder(Path(app.srcdir))
    execution.forget_old_caches(folder)
    config["nb_execution_cache_path"] = str(folder)


def execute_stale(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Execute the notebooks that are not in the cache; return their names, to be read again."""
    names = {Path(env.doc2path(name)): name for name in sorted(env.found_docs)}
    folder = Path(app.config.nb_execution_cache_path)
    stale = execution.stale((path for path in names if path.suffix == ".ipynb"), folder)
    if not stale:
        return []
    LOGGER.info("executing %d notebook(s)", len(stale))

    def report(path: Path, seconds: float) -> None:
        LOGGER.info("executed %s in %.1f s", path.relative_to(app.srcdir), seconds)

    try:
        execution.execute_into(folder, stale, report)
    except execution.NotebookError as error:
        # An exception would end in a page of Jupyter Book's traceback; this leaves the message last.
        sys.exit(f"\n{error}\n\nThe book was not built: a notebook failed.")
    return [names[path] for path in stale]


def remove_old_pages(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Remove the pages of chapters that are gone, which Sphinx leaves to be published; return no names."""
    if app.builder.format == "html":
        for name in removed:
            Path(app.builder.get_outfilename(name)).unlink(missing_ok=True)
    return []


def mark_notes(app: Sphinx, doctree: nodes.document) -> None:
    """Give the block quotes that are notes their classes."""
    for quote in doctree.findall(nodes.block_quote):
        strong = next(iter(quote.findall(nodes.strong)), None)
        if strong is not None and quote.astext().startswith(strong.astext()):
            quote["classes"] += markup.note_classes(strong.astext())


def register_html_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Let Markdown links lead to anchors in HTML (`<a id="rosenblatt-1958">`), as they do on GitHub."""
    metadata = app.env.metadata[app.env.docname]
    for raw in doctree.findall(nodes.raw):
        for identifier in markup.html_ids(raw.astext()):
            # MyST keeps for each anchor its line, its identifier in the page and the text of bare links.
            metadata.setdefault("myst_slugs", {})[identifier] = (raw.line, identifier, identifier)


def leave_out_thebe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Leave out what Jupyter Book always loads for Thebe: we do without, and its script stops at an error."""
    for files in ("css_files", "script_files"):
        context[files] = [
            file for file in context[files] if "thebe" not in f"{file.filename} {file.attributes.get('body')}"
        ]
