"""What a study asks: its folder, its questions, and for every participant an order of videos and of hidden methods.

STUDY/study.json   the plan: methods by hidden name, items, questions, seed
STUDY/videos/      one file a video and method, under names that tell neither (the browser sees them)
STUDY/answers.sqlite3   made by `paha study serve`
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from paha.errors import PahaError
from paha.evaluation.metrics.clips import find_clips
from paha.runtime.atomic import write_bytes

PLAN, VIDEOS, ANSWERS = "study.json", "videos", "answers.sqlite3"
FORMAT = 1
QUESTIONS = {
    "realness": "Which one looks most like a real person speaking?",
    "diversity": "Whose gestures are the most varied?",
    "synchrony": "Whose lips and gestures fit the speech best?",
    "overall": "Which one is the best video overall?",
}
"""The paper's four criteria (5.4, Table 4)."""
INSTRUCTION = (
    "When you judge motion (diversity and synchrony), ignore texture and facial expression. "
    "Please turn on the sound, and watch every video to its end before you answer."
)
NUM_VIDEOS, NUM_RATERS = 10, 16
"""The paper's."""
CHECK = "check"
"""Name of the attention check among the items."""


@dataclass(frozen=True)
class Item:
    """One page: the videos of all methods for one clip. videos: file by method. expected: for an attention check, the
    method that must be chosen, else ''.
    """

    name: str
    videos: Mapping[str, str]
    expected: str = ""


@dataclass(frozen=True)
class Study:
    """A plan. methods: shown nowhere but in the report."""

    title: str
    methods: Sequence[str]
    items: Sequence[Item]
    questions: Mapping[str, str]
    instruction: str
    raters: int
    seed: int


@dataclass(frozen=True)
class Page:
    """What a participant sees at one step: the item and the order of its methods from left to right."""

    item: str
    order: tuple[str, ...]
    videos: tuple[str, ...]


def create_study(
    methods: Mapping[str, Path],
    out: Path,
    *,
    videos: int = NUM_VIDEOS,
    raters: int = NUM_RATERS,
    title: str = "Talking people",
    seed: int = 0,
    check: bool = True,
) -> Study:
    """Choose clips that all methods have, copy their videos under meaningless names, write STUDY/study.json.

    methods: folder of videos by name. check: add a page that tells which video to choose (an attention check).
    Raises PahaError for fewer than two methods, too few common clips, or a folder that holds a study already.
    """
    if len(methods) < 2:
        raise PahaError("a study compares at least two methods; give --method NAME=FOLDER twice or more")
    if (out / PLAN).exists():
        raise PahaError(f"{out} holds a study already; choose another folder")
    found = {name: {clip.clip_id: clip.video for clip in find_clips(folder)} for name, folder in methods.items()}
    common = sorted(set.intersection(*(set(clips) for clips in found.values())))
    if len(common) < videos:
        raise PahaError(f"only {len(common)} clips have a video of every method, {videos} are wanted (--videos)")
    chosen = random.Random(seed).sample(common, videos)
    items = [_item(clip, {name: found[name][clip] for name in methods}, out, seed) for clip in chosen]
    if check:
        first = items[0]
        expected = random.Random(f"{seed}/check").choice(list(methods))
        items.append(Item(CHECK, first.videos, expected))
    study = Study(title, list(methods), items, QUESTIONS, INSTRUCTION, raters, seed)
    data = {"format": FORMAT, **asdict(study), "sources": {name: str(path) for name, path in methods.items()}}
    write_bytes(out / PLAN, json.dumps(data, indent=1).encode())
    return study


def load_study(folder: Path) -> Study:
    """Read a study's plan. Raises PahaError where there is none or it is damaged."""
    try:
        data = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        items = [Item(**item) for item in data["items"]]
        names = ("title", "methods", "questions", "instruction", "raters", "seed")
        return Study(items=items, **{name: data[name] for name in names})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PahaError(f"{folder} holds no study ({error}); make one with `paha study create`") from error


def pages(study: Study, participant: int) -> list[Page]:
    """The pages of participant number 0, 1, ... in their order: a function of the study alone, so that it resumes.

    Items are shuffled for everyone. Methods follow a Latin square: over as many participants as there are methods every
    method stands at every place of an item once, with the square's rows in random order for each item.
    """
    rng = random.Random(f"{study.seed}/{participant}")
    methods, shown = list(study.methods), []
    for number, item in enumerate(study.items):
        square = list(methods)
        random.Random(f"{study.seed}/{item.name}/{participant // len(methods)}").shuffle(square)
        turn = (participant + number) % len(methods)
        order = tuple(square[turn:] + square[:turn])
        shown.append(Page(item.name, order, tuple(item.videos[name] for name in order)))
    rng.shuffle(shown)
    # An attention check on the first page would be met before the pages are understood.
    if len(shown) > 1 and shown[0].item == CHECK:
        shown[0], shown[1] = shown[1], shown[0]
    return shown


def expected_place(study: Study, page: Page) -> int | None:
    """Where the video stands that an attention check wants, from 0; None on other pages."""
    item = next(item for item in study.items if item.name == page.item)
    return page.order.index(item.expected) if item.expected else None


def _item(clip: str, sources: Mapping[str, Path], out: Path, seed: int) -> Item:
    videos: dict[str, str] = {}
    (out / VIDEOS).mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        hidden = hashlib.sha256(f"{seed}/{clip}/{name}".encode()).hexdigest()[:16] + source.suffix.lower()
        shutil.copyfile(source, out / VIDEOS / hidden)
        videos[name] = hidden
    return Item(clip, videos)
