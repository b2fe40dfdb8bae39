"""The controls of an explorable where a kernel runs: JupyterLab, VS Code, Colab (ipywidgets 7.7.1 and 8)."""

from __future__ import annotations

import html
import threading
import traceback
from collections.abc import Callable

import ipywidgets as widgets
from IPython import get_ipython

from ddl.explorables import PLAY_INTERVAL, Explorable, Parameter

ERROR_STYLE = "color: #b00020; background: white; padding: .5em; white-space: pre-wrap"
"""Readable in light and dark notebooks, without a style sheet."""


def build_widget(explorable: Explorable) -> widgets.VBox:
    """Return the controls of an explorable above its figure, which follows them.

    Parameters
    ----------
    explorable
        What is to be moved.

    Returns
    -------
    ipywidgets.VBox
        The controls, the figure, and the caption. An error in the explorable's function is shown in
        place of the figure.
    """
    controls = [_control(parameter) for parameter in explorable.parameters]
    picture = widgets.HTML()

    def show() -> None:
        state = tuple(int(control.value) for control in controls)
        try:
            frame = explorable.frame(state)
        except Exception:
            error = html.escape(traceback.format_exc())
            picture.value = f'<pre role="alert" style="{ERROR_STYLE}">{error}</pre>'
        else:
            picture.value = (
                f'<img src="data:image/png;base64,{frame.encoded("png")}" alt="{html.escape(frame.alt)}" '
                f'style="max-width: 100%; width: {frame.picture.width * 2 // 3}px; background: white">'
            )

    for control in controls:
        control.observe(lambda change: _in_main_thread(show), names="value")
    show()
    rows = [
        _with_play(control) if parameter.playable else control
        for parameter, control in zip(explorable.parameters, controls, strict=True)
    ]
    for row in rows:
        row.layout.margin = "2px 1.5em 2px 2px"
    caption = widgets.HTML(f"<em>{html.escape(explorable.caption)}</em>")
    return widgets.VBox([widgets.HBox(rows, layout={"flex_flow": "row wrap"}), picture, caption])


def _control(parameter: Parameter) -> widgets.Widget:
    """Return a widget whose value is the position of the parameter's value."""
    style = {"description_width": "initial"}
    if parameter.kind == "switch":
        return widgets.Checkbox(value=False, description=parameter.title, indent=False)
    kind = widgets.SelectionSlider if parameter.kind == "slider" else widgets.Dropdown
    options = [(label, position) for position, label in enumerate(parameter.labels)]
    return kind(options=options, value=0, description=parameter.title, style=style)


def _with_play(slider: widgets.SelectionSlider) -> widgets.HBox:
    play = widgets.Play(min=0, max=len(slider.options) - 1, interval=PLAY_INTERVAL)
    widgets.link((play, "value"), (slider, "value"))
    return widgets.HBox([play, slider])


def _in_main_thread(function: Callable[[], None]) -> None:
    """Call the function: now, or once the main thread is free if this is another.

    JupyterLab lets a thread of its own ("subshell") answer the controls, while a cell may be running; pyplot,
    with its one current figure, cannot serve two threads.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None or threading.current_thread() is threading.main_thread():
        function()
    else:
        kernel.io_loop.add_callback(function)
