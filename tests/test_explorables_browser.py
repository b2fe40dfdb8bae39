"""Explorables on a page in a real browser: by mouse, by key, by ear, in print, and without a script."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import matplotlib.pyplot as plt
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from explorable_pages import dragging, expect_state, learning, write_page
from playwright.sync_api import Locator, Page, expect

import ddl
from ddl.explorables import Explorable

pytest_plugins = ["browser"]

INTERVAL = 350
"""Milliseconds between two steps of a playing explorable."""


@ddl.explore(angle=[0, 45, 90])
def turning(angle):
    """A line turns."""
    return plt.figure(figsize=(4, 1), facecolor=(angle / 90, 0.5, 0.5))


@ddl.explore(
    number_of_hidden_units_in_each_layer=[1, 1_000_000],
    activation={"ReLU": 0, "a hyperbolic tangent, scaled and shifted to lie between 0 and 1": 1},
    batch_normalisation_before_the_activation=[False, True],
    moment=ddl.steps([0, 1_000_000]),
)
def wordy(
    number_of_hidden_units_in_each_layer, activation, batch_normalisation_before_the_activation, moment
):
    """Long names & labels."""
    return plt.figure(
        figsize=(9, 2), facecolor=(number_of_hidden_units_in_each_layer > 1, activation, moment > 1)
    )


@pytest.fixture
def page(open_page, tmp_path) -> Iterator[Page]:
    """A page with one explorable on it."""
    with open_page(write_page(tmp_path, learning)) as (page, watch):
        yield page
        assert watch.faults == []


def expect_spoken(within: Page | Locator, explorable: Explorable, *state: int) -> None:
    expect(within.locator("[aria-live=polite]")).to_have_text(explorable.frame(state).alt)


# Controls


def test_it_starts_with_the_first_value_of_everything(page):
    expect_state(page, learning, 0, 0, 0)
    expect(page.locator(".ddl-controls")).to_be_visible()
    expect(page.locator("[aria-live=polite]")).to_have_text("")


def test_the_figure_follows_the_mouse_while_it_drags(page):
    with dragging(page, page.get_by_role("slider", name="epoch")) as to:
        for position in (1, 3, 2, 0, 3):
            to(position / 3)
            expect_state(page, learning, position, 0, 0)


def test_keys_move_a_slider(page):
    slider = page.get_by_role("slider", name="epoch")
    slider.focus()
    for key, position in [
        ("ArrowRight", 1),
        ("ArrowUp", 2),
        ("ArrowLeft", 1),
        ("End", 3),
        ("ArrowRight", 3),
        ("Home", 0),
    ]:
        slider.press(key)
        expect_state(page, learning, position, 0, 0)


def test_choices_and_switches_move_the_figure(page):
    page.get_by_label("shape").select_option("ring")
    expect_state(page, learning, 0, 1, 0)
    page.get_by_role("switch", name="dense").check()
    expect_state(page, learning, 0, 1, 1)
    page.get_by_role("slider").press("End")
    expect_state(page, learning, 3, 1, 1)
    page.get_by_role("switch", name="dense").press("Space")
    expect_state(page, learning, 3, 1, 0)
    page.get_by_label("shape").press("ArrowUp")
    expect_state(page, learning, 3, 0, 0)


def test_all_controls_are_reached_by_the_tabulator(page):
    names = []
    for _ in range(4):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.type"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert names == ["range", "button", "select-one", "checkbox"]


def test_every_state_can_be_reached(page):
    slider = page.get_by_role("slider", name="epoch")
    for epoch, shape, dense in learning.states():
        page.get_by_label("shape").select_option(str(shape))
        page.get_by_role("switch").set_checked(bool(dense))
        slider.press("Home")
        for _ in range(epoch):
            slider.press("ArrowRight")
        expect_state(page, learning, epoch, shape, dense)


def test_explorables_on_one_page_move_apart(open_page, tmp_path):
    with open_page(write_page(tmp_path, learning, turning, learning)) as (page, watch):
        first, second, third = page.locator("ddl-explorable").all()
        second.get_by_role("slider").press("End")
        third.get_by_role("slider").press("ArrowRight")
        third.get_by_role("switch").check()
        expect_state(first, learning, 0, 0, 0)
        expect_state(second, turning, 2)
        expect_state(third, learning, 1, 0, 1)
        assert watch.faults == []


def test_text_that_looks_like_markup_breaks_neither_script_nor_page(open_page, tmp_path):
    nasty = """</script><!--<script> "quoted" & 'so' <b>bold</b>"""

    def shown(choice):
        return ddl.describe(plt.figure(figsize=(1, 1), facecolor="rg"[choice]), nasty)

    shown.__doc__ = nasty
    explorable = ddl.explore(choice={"plain": 0, nasty: 1})(shown)
    with open_page(write_page(tmp_path, explorable, turning)) as (page, watch):
        first, second = page.locator("ddl-explorable").all()
        first.get_by_label("choice").select_option(nasty)
        expect_state(first, explorable, 1)
        expect(first.locator(".ddl-caption")).to_have_text(nasty)
        second.get_by_role("slider").press("End")
        expect_state(second, turning, 2)
        assert watch.faults == []


def test_nothing_is_asked_for_but_the_page_itself(open_page, tmp_path):
    address = write_page(tmp_path, learning, turning)
    with open_page(address) as (page, watch):
        page.get_by_role("slider", name="epoch").press("End")
        expect_state(page.locator("ddl-explorable").first, learning, 3, 0, 0)
        assert [url for url in watch.requests if not url.startswith("data:")] == [address]


# The play button


@pytest.fixture
def playing(page) -> Page:
    """The page with one explorable, for a reader who does not mind motion; its clock stands still."""
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.emulate_media(reduced_motion="no-preference")
    return page


def test_play_goes_through_all_steps_and_stops_at_the_end(playing):
    button = playing.get_by_role("button")
    expect(button).to_have_text("Play")
    button.click()
    for position in range(4):
        expect(button).to_have_text("Pause" if position < 3 else "Play")
        expect_state(playing, learning, position, 0, 0)
        playing.clock.run_for(INTERVAL - 1)
        expect_state(playing, learning, position, 0, 0)
        playing.clock.run_for(1)
    playing.clock.run_for(10 * INTERVAL)
    expect_state(playing, learning, 3, 0, 0)


def test_play_begins_anew_after_the_end(playing):
    playing.get_by_role("slider").press("End")
    playing.get_by_role("button").click()
    expect_state(playing, learning, 0, 0, 0)
    playing.clock.run_for(INTERVAL)
    expect_state(playing, learning, 1, 0, 0)


def test_pause_stops_where_it_is_and_play_goes_on_from_there(playing):
    button = playing.get_by_role("button")
    button.click()
    playing.clock.run_for(INTERVAL)
    button.click()
    expect(button).to_have_text("Play")
    playing.clock.run_for(10 * INTERVAL)
    expect_state(playing, learning, 1, 0, 0)
    button.click()
    playing.clock.run_for(INTERVAL)
    expect_state(playing, learning, 2, 0, 0)


def test_a_hand_on_the_slider_stops_the_playing(playing):
    playing.get_by_role("button").click()
    playing.get_by_role("slider").press("ArrowRight")
    expect(playing.get_by_role("button")).to_have_text("Play")
    playing.clock.run_for(10 * INTERVAL)
    expect_state(playing, learning, 1, 0, 0)


def test_a_playing_explorable_is_spoken_of_only_when_it_stands(playing):
    button = playing.get_by_role("button")
    button.click()
    playing.clock.run_for(INTERVAL)
    expect_state(playing, learning, 1, 0, 0)
    expect(playing.locator("[aria-live=polite]")).to_have_text("")
    button.click()
    expect_spoken(playing, learning, 1, 0, 0)
    button.click()
    playing.clock.run_for(10 * INTERVAL)
    expect_spoken(playing, learning, 3, 0, 0)


def test_for_readers_who_want_little_motion_the_button_makes_one_step(page):
    page.clock.install()
    button = page.get_by_role("button")
    for position in (1, 2, 3, 0, 1):
        expect(button).to_have_text("Next")
        button.click()
        page.clock.run_for(10 * INTERVAL)
        expect_state(page, learning, position, 0, 0)
        expect_spoken(page, learning, position, 0, 0)


def test_playing_stops_when_the_reader_asks_for_less_motion(playing):
    playing.get_by_role("button").click()
    playing.clock.run_for(INTERVAL)
    playing.emulate_media(reduced_motion="reduce")
    expect(playing.get_by_role("button")).to_have_text("Next")
    playing.clock.run_for(10 * INTERVAL)
    expect_state(playing, learning, 1, 0, 0)


# Readers who hear, print, block scripts, or hold a phone


def test_each_move_is_spoken(page):
    page.get_by_role("slider").press("ArrowRight")
    expect_spoken(page, learning, 1, 0, 0)
    assert learning.frame((1, 0, 0)).alt == "epoch 1, shape disc, dense off: the disc after 1 epochs."
    page.get_by_role("switch").check()
    expect_spoken(page, learning, 1, 0, 1)
    # The value beside a slider would be a second voice: it is the slider's own already.
    expect(page.locator("output")).to_have_attribute("aria-hidden", "true")


def test_the_group_the_figure_and_the_controls_have_names(page):
    group = page.get_by_role("group", name="learning")
    expect(group.get_by_role("img", name="epoch 0, shape disc")).to_be_visible()
    expect(group.get_by_role("slider", name="epoch", exact=True)).to_be_visible()
    expect(group.get_by_role("combobox", name="shape", exact=True)).to_be_visible()
    expect(group.get_by_role("switch", name="dense", exact=True)).to_be_visible()


def test_without_scripts_the_first_frame_stands_alone(open_page, tmp_path):
    with open_page("about:blank") as (page, _):
        context = page.context.browser.new_context(java_script_enabled=False)
        scriptless = context.new_page()
        scriptless.goto(write_page(tmp_path, learning))
        frame = learning.frame((0, 0, 0))
        image = scriptless.get_by_role("img", name=frame.alt)
        expect(image).to_be_visible()
        assert image.bounding_box()["width"] > 200
        expect(scriptless.locator(".ddl-controls")).to_be_hidden()
        expect(scriptless.get_by_text("A network learns a shape.")).to_be_visible()
        context.close()


def test_in_print_the_figure_stands_without_controls(page):
    page.emulate_media(media="print")
    expect(page.locator("img.ddl-frame")).to_be_visible()
    expect(page.get_by_text("A network learns a shape.")).to_be_visible()
    expect(page.locator(".ddl-controls")).to_be_hidden()


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_scrolls_a_wide_figure_under_controls_that_stay(open_page, tmp_path, width):
    with open_page(write_page(tmp_path, learning, wordy), width=width, height=844) as (page, _):
        for explorable in page.locator("ddl-explorable").all():
            start = explorable.locator("img").bounding_box()
            assert start["width"] == 560
            for way in (0, 560):
                explorable.evaluate("(explorable, way) => { explorable.scrollLeft = way }", way)
                for part in explorable.locator("input, select, button, output, label, .ddl-caption").all():
                    box, text = part.bounding_box(), part.evaluate("part => part.outerHTML.slice(0, 90)")
                    assert 0 <= box["x"] <= box["x"] + box["width"] <= width, text
            end = explorable.locator("img").bounding_box()
            assert 0 <= start["x"] <= end["x"] + end["width"] <= width
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_phone_controls_are_large_enough_for_a_finger(open_page, tmp_path):
    with open_page(write_page(tmp_path, learning, wordy), width=320, height=844) as (page, _):
        for control in page.locator("ddl-explorable :is(input[type=range], select, button, label)").all():
            assert control.bounding_box()["height"] >= 24, control.evaluate("e => e.outerHTML.slice(0, 90)")
        for slider in page.get_by_role("slider").all():
            width_before = slider.bounding_box()["width"]
            slider.press("End")
            assert slider.bounding_box()["width"] == width_before >= 80


def test_where_there_is_room_a_name_stands_beside_its_slider(open_page, tmp_path):
    with open_page(write_page(tmp_path, wordy), width=930) as (page, _):
        for label in page.locator(".ddl-control-slider label").all():
            assert label.bounding_box()["height"] < 30


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_in_light_and_dark(open_page, tmp_path, dark):
    with open_page(write_page(tmp_path, learning, wordy), dark=dark) as (page, _):
        page.get_by_role("switch", name="dense").check()
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response
        assert [violation["id"] for violation in found["violations"]] == []
        assert {"color-contrast", "image-alt", "label"} <= {rule["id"] for rule in found["passes"]}


# Speed

STEPS = """async () => {
    const slider = document.querySelector('input[type=range]');
    const frame = () => new Promise(requestAnimationFrame);
    const handled = [], decoded = [];
    await new Promise((resolve) => setTimeout(resolve, 1000));
    while (slider.value !== slider.max) {
        await frame();
        const start = performance.now();
        slider.value = Number(slider.value) + 1;
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        handled.push(performance.now() - start);
        await document.querySelector('.ddl-frame').decode();
        decoded.push(performance.now() - start);
    }
    return [handled, decoded];
}"""
"""Steps once through all frames, after a second in which the page has time to prepare them."""


def test_a_step_takes_less_than_16_ms(open_page, tmp_path):
    noise = np.random.default_rng(0)

    @ddl.explore(epoch=ddl.steps(range(12)))
    def busy(epoch):
        """A frame as large and as full as those of chapters."""
        figure, axes = plt.subplots(1, 2, figsize=(8.8, 3.6))
        for ax in axes:
            ax.scatter(*noise.normal(size=(2, 300)), c=noise.random(300))
            ax.contourf(noise.normal(size=(9, 9)), 20, extent=(-1, 1, -1, 1))
        return figure

    with open_page(write_page(tmp_path, busy)) as (page, _):
        handled, decoded = (median(times) for times in page.evaluate(STEPS))
    # Measured on two cores without a graphics card: 0.4 and 4 ms.
    assert handled < 4
    assert decoded < 16
