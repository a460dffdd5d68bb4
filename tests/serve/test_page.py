"""The page in headless Chromium, as a person uses it: `pytest -m slow tests/serve/test_page.py`.

PAHA_PICTURES=DIR keeps the pictures that it takes on the way, at the width of a phone and of a desktop.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from toy import toy_image

from experiments.serve.server_process import Server
from paha.media.image_io import save_png
from paha.pipeline.loading import SHIPPED_MODEL

pytest.importorskip("fastapi")
pytest.importorskip("multipart")
pytestmark = pytest.mark.slow
IMAGES = SHIPPED_MODEL.with_name("presenter_images")
PICTURE, SPEECH = IMAGES / "astronaut.png", IMAGES / "astronaut_speech.ogg"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
LONG = 600_000
"""Milliseconds: a slow machine that does other things too."""
GIVEN_UP = ("/stream", "/video", "/picture", "/events", "blob:")
"""Requests that a browser breaks off where the page has shown something else meanwhile."""


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs the playwright package")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs an installed chromium")
    devices = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", *devices]
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=arguments)
        yield started
        started.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("page") / "data", "--device", "cpu") as running:
        yield running


@pytest.fixture(params=sorted(SIZES))
def page(browser, server, request):
    width, height = SIZES[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, permissions=["camera", "microphone"])
    opened = context.new_page()
    opened.set_default_timeout(LONG)
    opened.problems = []
    opened.on("dialog", lambda dialog: dialog.accept())  # "Delete ...?"
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.on("requestfailed", lambda failed: opened.problems.append(failed.url))
    opened.name_of_size = request.param
    opened.goto(server.address)
    yield opened
    assert not [line for line in opened.problems if not any(part in line for part in GIVEN_UP)]
    context.close()


def until(page, condition: str, timeout_s: float = LONG / 1000) -> None:
    """Wait until an expression is true. The page's policy forbids what playwright would do for it."""
    end = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def shot(page, name: str) -> None:
    folder = os.environ.get("PAHA_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{page.name_of_size}_{name}.png", full_page=True)


def give_picture(page, path: Path = PICTURE) -> None:
    page.set_input_files("#image", path)
    until(page, "document.getElementById('picture-said').textContent.includes('will move')")


def start(page) -> None:
    page.click("#start")
    page.wait_for_selector("#now:not([hidden])")
    assert page.evaluate("document.getElementById('player').poster").endswith("/picture")


def wait_said(page, text: str) -> None:
    until(page, f"document.getElementById('now-said').textContent.includes('{text}')")


def test_upload_plays_while_it_is_made_and_stays_in_the_gallery(page):
    give_picture(page)
    shot(page, "1_preview")
    page.set_input_files("#audio", SPEECH)
    page.click("summary")
    page.fill("#size", "256")
    start(page)
    # It plays before it is done.
    until(
        page, "document.getElementById('player').currentTime > 0.2 && document.getElementById('player').videoWidth > 0"
    )
    said = page.text_content("#now-said")
    shot(page, "2_playing")
    assert "frames" in said or said == "done"
    wait_said(page, "done")
    assert page.get_attribute("#download", "href").endswith("/video")
    page.wait_for_selector("#gallery video")
    assert page.text_content("#gallery p") == SPEECH.name
    shot(page, "3_done")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no sideways scrolling"
    page.click("#gallery button:has-text('Delete')")
    until(page, "!document.querySelector('#gallery li')")


def test_text_progress_reload_in_the_middle_and_cancel(page):
    give_picture(page)
    page.click("[data-tab=words]")
    page.fill("#text", "This is a rather long text, " * 30)
    shot(page, "4_text")
    start(page)
    wait_said(page, "frames")
    page.reload()
    wait_said(page, "frames")
    shot(page, "5_reloaded")
    page.click("#cancel")
    wait_said(page, "cancelled")
    assert page.is_hidden("#player")
    shot(page, "6_cancelled")


def test_a_recording_of_the_microphone(page):
    give_picture(page)
    page.click("[data-tab=record]")
    page.click("#record")
    time.sleep(1.5)
    shot(page, "7_recording")
    page.click("#record")
    page.wait_for_selector("#heard:not([hidden])")
    shot(page, "7_recorded")
    start(page)
    wait_said(page, "done")


def test_a_picture_without_a_face_is_said_before_anything_is_made(page, tmp_path):
    save_png(tmp_path / "noise.png", toy_image(height=200, width=200))
    page.set_input_files("#image", tmp_path / "noise.png")
    until(page, "document.getElementById('picture-problem').textContent.includes('no face was found')")
    shot(page, "8_no_face")
    page.click("#start")
    assert "give a photograph first" in page.text_content("#problem")


def test_a_photograph_taken_here(page):
    page.click("#camera")
    until(page, "document.getElementById('viewfinder').videoWidth > 0")
    page.click("#shoot")
    # The fake camera shows a disc, no person.
    until(page, "document.getElementById('picture-problem').textContent.includes('no face was found')")
    shot(page, "9_camera")


def test_a_guided_video(page):
    give_picture(page)
    page.click("[data-tab=words]")
    page.fill("#text", "Hello.")
    page.click("summary")
    page.fill("#size", "256")
    page.select_option("#guidance", "sg")
    assert "times as long" in page.text_content("#guidance option:checked")
    shot(page, "A_guidance")
    start(page)
    wait_said(page, "done")
