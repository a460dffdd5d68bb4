"""The items of the report: what each one runs on, its results, its table and its pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.presenter import everybody, hands, lips, lips_tables, long_video, real_speech, speed
from experiments.presenter.curves import curves_picture
from experiments.presenter.people import Case, Sentences, read_stills
from experiments.presenter.setup import Setup, Store, crashed
from experiments.presenter.tables import Line
from paha.errors import PahaError
from paha.media.image_io import save_png
from paha.motion.landmarks import landmark_reader
from paha.types import SAMPLE_RATE_HZ

PEOPLE, QUICK_PEOPLE = 40, 6
SHORT_S = 2.0
HAND_SECONDS = 12.0
LONG_CASE = 10
"""Place of the photograph of the long video and of the timed ones among the test stills: a portrait."""


@dataclass(frozen=True)
class Item:
    """title: of the section. lines: its table. rows: the results behind it. pictures: files in the report's folder."""

    title: str
    lines: list[Line]
    rows: Any
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bench:
    """What items are measured with. out: the report's folder."""

    setup: Setup
    store: Store
    out: Path
    workers: int

    @property
    def count(self) -> int:
        """People of the lips' table."""
        return QUICK_PEOPLE if self.setup.quick else PEOPLE

    def cases(self) -> list[Case]:
        """All test stills, each with its sentence."""
        speech = Sentences(self.setup.speech)
        return [Case(i, still, speech.one(i)) for i, still in enumerate(read_stills(self.setup.stills))]

    def said(self, number: int, seconds: float) -> Case:
        """A test still with that much speech."""
        speech = Sentences(self.setup.speech).many(number, seconds=seconds)
        return Case(number, read_stills(self.setup.stills)[number], speech)


def lip_rows(bench: Bench) -> dict[str, lips.Row]:
    """The first `count` cases whose photograph is not refused, and those refused before them; a crash is no refusal."""
    cases, upto = bench.cases(), bench.count
    while True:
        rows = _each(bench, "lips", lips.measure_case, cases[:upto])
        missing = bench.count - sum(not row.get("refused") or crashed(row) for row in rows.values())
        if missing <= 0 or upto >= len(cases):
            return rows
        upto += missing


def lips_item(bench: Bench) -> Item:
    """Lips off rendered frames."""
    rows = lip_rows(bench)
    save_png(bench.out / "lips.png", curves_picture(rows))
    return Item(
        "Lips on rendered frames, held-out people and speech", lips_tables.lip_lines(rows), _short(rows), ("lips.png",)
    )


def sharp_item(bench: Bench) -> Item:
    """Of the lips' videos."""
    rows = lip_rows(bench)
    return Item("Sharpness, untouched picture, seams", lips_tables.sharpness_lines(rows), _short(rows))


def own_item(bench: Bench) -> Item:
    """The lips' cases with the shipped estimator's landmarks."""
    landmark_reader("own")  # raises PahaError where it has no weights
    setup = replace(bench.setup, landmarks="own")
    own = replace(bench, setup=setup, store=Store(bench.store.folder, setup))
    rows = _each(own, "own", lips.measure_case, own.cases()[: bench.count])
    return Item("Lips with the landmarks of the shipped estimator", lips_tables.lip_lines(rows), _short(rows))


def real_item(bench: Bench) -> Item:
    """GRID's clips, and Mandarin to look at."""
    clips = real_speech.clips_of(bench.setup.media)
    if not clips:
        raise PahaError(f"no grid_*.mpg in {bench.setup.media / 'clips'}")
    names = [clip.stem for clip in clips]
    tasks = [(clip, bench.out / f"real_{clip.stem}.png") for clip in clips]
    options = {"setup": bench.setup, "workers": bench.workers}
    rows = bench.store.each("real", real_speech.measure_clip, tasks, names, **options)
    shown = [(bench.setup.media, bench.out / "mandarin.png")]
    bench.store.each("mandarin", real_speech.show_mandarin, shown, ["aishell"], **options)
    pictures = (*(f"real_{name}.png" for name in names), "mandarin.png")
    return Item("Real speech (GRID), the speaker's first frame and sound", real_speech.real_lines(rows), rows, pictures)


def long_item(bench: Bench) -> Item:
    """A minute."""
    case = bench.said(LONG_CASE, 10.0 if bench.setup.quick else 60.0)
    row = _each(bench, "long", long_video.measure_long, [case])[case.name]
    return Item("A long video", long_video.long_lines(row), row)


def hands_item(bench: Bench) -> Item:
    """Half-bodies with hands."""
    stills, speech = read_stills(bench.setup.stills), Sentences(bench.setup.speech)
    chosen = [i for i, still in enumerate(stills) if still.hands][: bench.count]
    cases = [Case(i, stills[i], speech.many(i, seconds=HAND_SECONDS)) for i in chosen]
    rows = _each(bench, "hands", hands.measure_hands, cases)
    return Item("Hands", hands.hand_lines(rows), rows)


def speed_item(bench: Bench) -> Item:
    """Two lengths of `paha animate`, and the parts of the short one."""
    lengths = (2.0, 6.0) if bench.setup.quick else (6.0, 60.0)
    cases = (bench.said(LONG_CASE, lengths[0]), bench.said(LONG_CASE, lengths[1]))
    row = bench.store.once("speed", lambda: speed.measure_speed(bench.setup, cases))
    return Item("Speed and memory on two cores", speed.speed_lines(row), row)


def everybody_item(bench: Bench) -> Item:
    """All test stills and the media's."""
    stills = [still.path for still in read_stills(bench.setup.stills)]
    stills = stills[: bench.count] if bench.setup.quick else stills + sorted((bench.setup.media / "stills").glob("*.*"))
    speech = Sentences(bench.setup.speech).many(0, seconds=SHORT_S)
    folder = bench.out / "everybody"
    tasks = [(path, (speech.samples, SAMPLE_RATE_HZ), folder / f"{path.stem}.mp4") for path in stills]
    names = [path.stem for path in stills]
    rows = bench.store.each(
        "everybody", everybody.measure_still, tasks, names, setup=bench.setup, workers=bench.workers
    )
    made = [folder / f"{name}.png" for name, row in rows.items() if row["ended"] == "video"]
    if made:
        save_png(bench.out / "everybody.png", everybody.contact_sheet(made))
    pictures = ("everybody.png",) if made else ()
    return Item("Every photograph with 2 s of speech", everybody.everybody_lines(rows), rows, pictures)


ITEMS = {
    "lips": lips_item,
    "sharp": sharp_item,
    "real": real_item,
    "long": long_item,
    "hands": hands_item,
    "speed": speed_item,
    "everybody": everybody_item,
    "own": own_item,
}
"""Each by the name that --only takes, in the report's order."""


def _each(bench: Bench, what: str, measure: Any, cases: list[Case]) -> dict[str, Any]:
    names = [case.name for case in cases]
    return bench.store.each(what, measure, cases, names, setup=bench.setup, workers=bench.workers)


def _short(rows: dict[str, lips.Row]) -> dict[str, Any]:
    """Scores by case, and the lines of those without a video; the curves stay in the items' own files."""
    refused = {name: row for name, row in rows.items() if "refused" in row}
    return lips.all_numbers(rows) | refused
