"""The user study, in a browser too."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import json
import shutil
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from importlib.util import find_spec

import numpy as np
import pytest

from paha.errors import PahaError
from paha.evaluation.study.answers import Answer, Answers
from paha.evaluation.study.plan import ANSWERS, CHECK, PLAN, VIDEOS, create_study, expected_place, load_study, pages
from paha.evaluation.study.report import evaluate_answers, fleiss_kappa, percentages, report_study
from paha.evaluation.study.server import StudyServer, _byte_range
from paha.media.video_io import write_video
from paha.runtime.statistics import Interval


@pytest.fixture(scope="module")
def methods(tmp_path_factory):
    """Three methods of four videos each."""
    folder = tmp_path_factory.mktemp("methods")
    for number, name in enumerate(("ours", "theirs", "still")):
        for clip in range(4):
            frames = np.full((8, 32, 32, 3), 40 * number + 20 * clip, np.uint8)
            write_video(folder / name / f"clip{clip}.mp4", frames)
    return {name: folder / name for name in ("ours", "theirs", "still")}


@pytest.fixture
def folder(methods, tmp_path):
    create_study(methods, tmp_path / "study", videos=3)
    return tmp_path / "study"


@pytest.fixture
def server(folder):
    with StudyServer(folder, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server, path, *, headers=None):
    request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}{path}", headers=headers or {})
    return urllib.request.urlopen(request, timeout=60)


def post(server, path, form):
    data = urllib.parse.urlencode(form).encode()
    return urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}", data=data, timeout=60)


def test_the_folder_is_whole_and_tells_no_method(folder, methods):
    study = load_study(folder)
    files = sorted(path.name for path in (folder / VIDEOS).iterdir())
    assert len(files) == 9
    assert not any(name in file for file in files for name in (*methods, "clip"))
    assert [item.name for item in study.items].count(CHECK) == 1
    assert set(study.questions) == {"realness", "diversity", "synchrony", "overall"}
    assert "texture" in study.instruction
    for item in study.items:
        assert set(item.videos) == set(methods)


def test_defaults_are_the_paper_s(methods, tmp_path):
    with pytest.raises(PahaError, match="only 4 clips have a video of every method, 10 are wanted"):
        create_study(methods, tmp_path / "study")
    assert create_study(methods, tmp_path / "study", videos=2).raters == 16


def test_bad_studies_are_refused(methods, folder, tmp_path):
    with pytest.raises(PahaError, match="two methods"):
        create_study({"ours": methods["ours"]}, tmp_path / "other")
    with pytest.raises(PahaError, match="holds a study already"):
        create_study(methods, folder, videos=2)
    (folder / PLAN).write_text("{")
    with pytest.raises(PahaError, match="holds no study"):
        load_study(folder)


def test_every_method_stands_everywhere_equally_often(folder):
    study = load_study(folder)
    places = Counter()
    for participant in range(6):
        for page in pages(study, participant):
            assert sorted(page.order) == sorted(study.methods)
            if page.item != CHECK:
                places.update((page.item, method, place) for place, method in enumerate(page.order))
    assert set(places.values()) == {2}


def test_orders_are_the_same_whenever_they_are_asked_for_and_differ_between_people(folder):
    study = load_study(folder)
    assert pages(study, 1) == pages(study, 1)
    assert len({tuple(page.item for page in pages(study, n)) for n in range(12)}) > 2
    assert all(pages(study, n)[0].item != CHECK for n in range(12))


def test_percentages_are_the_shares():
    counts = np.array([[3, 1, 0], [2, 1, 1]])
    shares = percentages(counts)
    assert [s.mean for s in shares] == [62.5, 25.0, 12.5]
    assert all(s.low <= s.mean <= s.high for s in shares)
    assert shares[1].low == shares[1].high == 25.0


def test_kappa_of_known_ratings():
    # Fleiss 1971 as in its textbook example: 10 items, 14 raters, 5 categories.
    table = """0 0 0 0 14  0 2 6 4 2  0 0 3 5 6  0 3 9 2 0  2 2 8 1 1
               7 7 0 0 0   3 2 6 3 0  2 5 3 2 2  6 5 2 1 0  0 2 2 3 7"""
    assert fleiss_kappa(np.array(table.split(), float).reshape(10, 5)) == pytest.approx(0.210, abs=1e-3)
    assert fleiss_kappa(np.array([[4.0, 0], [0, 4]])) == pytest.approx(1)
    assert fleiss_kappa(np.array([[1.0, 0]])) is None
    assert fleiss_kappa(np.zeros((0, 2))) is None


def answers_of(study, participant, choose):
    made = []
    for page in pages(study, participant):
        for question in study.questions:
            method = choose(page, question)
            made.append(Answer(participant, page.item, question, method, page.order.index(method)))
    return made


def test_a_failed_attention_check_leaves_the_rater_out(folder):
    study = load_study(folder)

    def attentive(page, question):
        place = expected_place(study, page)
        return "ours" if place is None else page.order[place]

    def careless(page, question):
        place = expected_place(study, page)
        return "theirs" if place is None else page.order[(place + 1) % 3]

    result = evaluate_answers(study, answers_of(study, 0, attentive) + answers_of(study, 1, careless))
    assert result.raters == 1
    assert result.left_out == {1: "failed the attention check"}
    assert result.preferences["overall"]["ours"].mean == 100


def test_report_of_a_study_without_answers(folder, tmp_path):
    table = report_study(folder, tmp_path / "report")
    assert all(not row.measured for row in table.rows)
    assert (tmp_path / "report/table_4.md").is_file()


def test_participants_join_answer_and_come_back(server, folder):
    welcome = get(server, "/").read().decode()
    assert "3 pages with 3 videos" in welcome
    token = post(server, "/join", {}).url.rsplit("/", 1)[1]
    study, database = load_study(folder), Answers(folder / ANSWERS)
    number = database.participant(token)
    assert number is not None
    first = pages(study, number)[0]
    shown = get(server, f"/p/{token}").read().decode()
    assert all(f"/v/{name}" in shown for name in first.videos)
    assert not any(method in shown for method in study.methods)
    form = dict.fromkeys(study.questions, "1") | {"item": first.item}
    again = post(server, f"/p/{token}", form).read().decode()
    assert "Page 2 of 4" in again
    post(server, f"/p/{token}", form)  # sent twice: nothing happens
    assert {a.method for a in database.all()} == {first.order[1]}
    assert len(database.all()) == 4


def test_nonsense_is_refused_and_nothing_else_is_served(server, folder):
    token = post(server, "/join", {}).url.rsplit("/", 1)[1]
    first = pages(load_study(folder), 0)[0]
    for form in ({"item": first.item}, dict.fromkeys(load_study(folder).questions, "9") | {"item": first.item}):
        with pytest.raises(urllib.error.HTTPError) as error:
            post(server, f"/p/{token}", form)
        assert error.value.code == 400
    for path in ("/p/nobody", "/v/../study.json", "/v/study.json", "/answers.sqlite3", "/v/%2e%2e%2fstudy.json"):
        with pytest.raises(urllib.error.HTTPError) as error:
            get(server, path)
        assert error.value.code == 404
    assert Answers(folder / ANSWERS).all() == []


def test_videos_come_in_parts(server, folder):
    item = load_study(folder).items[0]
    name = next(iter(item.videos.values()))
    whole = get(server, f"/v/{name}").read()
    part = get(server, f"/v/{name}", headers={"Range": "bytes=10-19"})
    assert part.status == 206
    assert part.read() == whole[10:20]
    assert whole == (folder / VIDEOS / name).read_bytes()


@pytest.mark.parametrize(
    ("header", "expected"),
    [("", (0, 99)), ("bytes=0-", (0, 99)), ("bytes=90-200", (90, 99)), ("bytes=-10", (90, 99)), ("bytes=9-3", (0, 99))],
)
def test_byte_ranges(header, expected):
    assert _byte_range(header, 100) == expected


def test_the_same_port_twice_is_one_line(server, folder):
    with pytest.raises(PahaError, match="choose another --port"):
        StudyServer(folder, port=server.server_port)


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium of the system."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if find_spec("playwright") is None or path is None:
        pytest.skip("no browser: needs the playwright package and an installed chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def test_three_people_click_through_a_browser_and_one_reloads(browser, server, folder):
    study = load_study(folder)
    clicked = Counter()
    for person in range(3):
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.click("#start")
        for step, planned in enumerate(pages(study, person)):
            if person == 1 and step == 2:  # this one closes the page half-way and comes back by its address
                address = page.url
                page.close()
                page = browser.new_page()
                page.goto(address)
            assert f"Page {step + 1} of 4" in page.inner_text("body")
            assert page.locator("video").count() == 3
            check = expected_place(study, planned)
            for number, question in enumerate(study.questions):
                place = (person + step + number) % 3 if check is None else check
                page.locator(f"input[name={question}]").nth(place).check()
                if check is None:
                    clicked[question, planned.order[place]] += 1
            page.click("#next")
        assert "Thank you" in page.inner_text("#message")
        page.close()
    table = report_study(folder, folder / "report")
    assert sum(clicked.values()) == 3 * 3 * 4
    for row in table.rows:
        for question in study.questions:
            share = row.measured[question]
            assert isinstance(share, Interval)
            assert share.mean == pytest.approx(100 * clicked[question, row.name] / 9)
    assert json.loads((folder / "report/table_4.json").read_text())["provenance"]["raters"] == 3
