"""`paha prepare`: raw files in, a dataset out; parallel, resumable, the same to the byte however often it was stopped.

OUT/prepare.json      the configuration; a folder that was begun with another one is refused
OUT/sources/          of every raw file its scan (.safetensors) and its result (.json)
OUT/clips/            mp4, wav and annotations of every clip
OUT/manifest.jsonl    the clips    OUT/rejected.jsonl  everything left out, and why    OUT/failed.jsonl  unusable files
OUT/splits.json       clip ids of `train` and `test`    OUT/README.md  the dataset card    OUT/report.html
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paha.dataset.manifest import MANIFEST, write_manifest
from paha.dataset.prepare.config import PrepareConfig
from paha.dataset.prepare.cutting import Listed
from paha.dataset.prepare.source import Source, is_whole, make_source, one_line, prepare_source, printable
from paha.dataset.splits import SPLITS
from paha.errors import PahaError
from paha.runtime.atomic import remove_stale, write_bytes
from paha.runtime.engine import check_engine, run_tasks
from paha.runtime.extras import need
from paha.runtime.paths import place_of
from paha.runtime.progress import progress_bar
from paha.runtime.workers import num_cores
from paha.types import ClipRecord

SETTINGS, REJECTED, FAILED = "prepare.json", "rejected.jsonl", "failed.jsonl"
CARD, REPORT, _FINISHED = "README.md", "report.html", "finished"
VIDEO_ENDINGS = frozenset(
    f".{name}"
    for name in "mp4 m4v mov mkv webm avi mpg mpeg ts mts m2ts wmv flv 3gp ogv mxf vob".split()  # noqa: SIM905
)
"""What is taken from a folder; a file that is named itself is always tried."""


@dataclass(frozen=True)
class Prepared:
    """What a run leaves. failed: (file, why) of every raw file that could not be used. new: files done this time.

    passing: how many of the failed ones are not remembered as the file's fault; another run tries them again.
    """

    records: list[ClipRecord]
    seconds: float
    failed: list[tuple[str, str]]
    new: int
    passing: int = 0

    @property
    def kept_s(self) -> float:
        """Seconds of all clips."""
        return sum(record.num_frames / record.fps for record in self.records)


def prepare_dataset(
    raw: Sequence[Path | str],
    out: Path | str,
    *,
    config: PrepareConfig,
    workers: int | None = None,
    engine: str = "local",
    identity: str = "",
    listed: Callable[[Path], Sequence[Listed]] | None = None,
    published: Mapping[str, str] | None = None,
    retry: bool = False,
    progress: bool = True,
) -> Prepared:
    """Make (or go on with) a dataset out of raw files and folders of such; what earlier runs put into it stays.

    identity: whose footage it is; "" takes each file's own name, "folder" the name of the folder it lies in. listed:
    path -> the stretches that a published list names in it (`paha.dataset.prepare.pats`). published: clip id ->
    `train` or `test`; other clips are split by `split_of`. retry: try files again that could not be used before.
    workers: processes, one a core by default. Raises PahaError where nothing is given, OUT was begun with other options
    or by another command, or another run is at work in it.
    """
    out = Path(out)
    if not raw:
        raise PahaError("give raw footage: files, or folders of videos")
    check_engine(engine)
    need("scenedetect")
    if not any(True for _ in raw_files(raw, without=out)):
        raise PahaError(f"no videos in {', '.join(map(str, raw))} ({', '.join(sorted(VIDEO_ENDINGS))})")
    with _locked(out):
        _check_settings(out, config)
        results = _earlier(out)
        known = {_content(source_id): source_id for source_id in results}
        sources, failed = _sources(raw, identity, listed, without=out, known=known)
        todo = [source for source in sources if not _is_finished(out, results.get(source.source_id), retry=retry)]
        passing = 0
        if todo:
            _clear_partial(out)
        cores = workers or num_cores()
        workers = min(cores, max(1, len(todo)))
        tasks = [(source, out, config, cores // workers) for source in todo]  # one long film has all cores
        outcomes = run_tasks(prepare_source, tasks, workers=workers, engine=engine)
        for index, result, error in _tracked(outcomes, todo, enabled=progress):
            source = todo[index]
            if error:
                results.pop(source.source_id, None)
                passing += 1
                failed.append((source.name, one_line(error, path=source.path, name=source.name)))
            else:
                results[source.source_id] = result
        finished = [_with_clips(out, result) for result in results.values()]
        done = _finish(out, config, finished, failed, new=len(todo), published=published or {})
        return replace(done, passing=passing)


def raw_files(raw: Iterable[Path | str], *, without: Path | None = None) -> Iterator[Path]:
    """The files themselves, and of folders every video below, sorted; links to folders are not followed.

    without: a folder that is left out: the dataset's own, where it lies among the footage.
    """
    own = None if without is None else place_of(without)
    for item in map(Path, raw):
        if not item.is_dir():
            yield item
            continue
        for folder, folders, names in os.walk(item):
            folders[:] = sorted(name for name in folders if place_of(Path(folder, name)) != own)
            yield from (Path(folder, n) for n in sorted(names) if Path(n).suffix.lower() in VIDEO_ENDINGS)


def split_of(clip_id: str, test_share: float) -> str:
    """`test` for that share of the clips, `train` for the others, decided by the clip's name alone."""
    return "test" if _number(clip_id) < test_share * 2**64 else "train"


def split_clips(clip_ids: Sequence[str], published: Mapping[str, str], test_share: float) -> dict[str, str]:
    """clip id -> `train` or `test`: as published, else by name; of two clips and more at least one is for testing."""
    split = {clip: published.get(clip) or split_of(clip, test_share) for clip in clip_ids}
    if len(split) > 1 and test_share > 0 and "test" not in split.values():
        split[min(split, key=_number)] = "test"
    return split


def _number(clip_id: str) -> int:
    """Uniform below 2^64."""
    return int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big")


def _sources(
    raw: Sequence[Path | str],
    identity: str,
    listed: Callable[[Path], Sequence[Listed]] | None,
    *,
    without: Path,
    known: Mapping[str, str],
) -> tuple[list[Source], list[tuple[str, str]]]:
    """The sources, and what is none. known: content -> the name that it has in the dataset already."""
    sources: dict[str, Source] = {}
    failed = []
    for path in raw_files(raw, without=without):
        try:
            source = make_source(path, identity=path.resolve().parent.name if identity == "folder" else identity)
        except (PahaError, RuntimeError, OSError) as error:  # links in a circle among them
            name = printable(path.name)
            failed.append((name, one_line(error, path=path, name=name)))
            continue
        if listed is not None:
            source = replace(source, listed=tuple(listed(path)))
            if not source.listed:
                failed.append((source.name, "no interval of the list is in it"))
                continue
        source = replace(source, source_id=known.get(_content(source.source_id), source.source_id))
        if _content(source.source_id) in map(_content, sources):
            failed.append((source.name, "the same footage was given twice"))
        else:
            sources[source.source_id] = source
    return list(sources.values()), failed


def _content(source_id: str) -> str:
    """The part of a source's name that stands for its content."""
    return source_id.rsplit("-", 1)[-1]


def _earlier(out: Path) -> dict[str, dict[str, Any]]:
    """The results of all sources that earlier runs finished, by name."""
    found = {}
    for path in sorted((out / "sources").glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            [ClipRecord.model_validate(clip) for clip in result["clips"]]
            found[str(result["source_id"])] = result
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _is_finished(out: Path, result: dict[str, Any] | None, *, retry: bool) -> bool:
    """Whether a source needs no work: its clips are all there, or its file is known to be of no use."""
    if result is None or (retry and result["error"]):
        return False
    return len(_with_clips(out, result)["clips"]) == len(result["clips"])


def _with_clips(out: Path, result: dict[str, Any]) -> dict[str, Any]:
    """A result without the clips whose files somebody has removed since."""
    return {**result, "clips": [c for c in result["clips"] if is_whole(out, ClipRecord.model_validate(c))]}


def _finish(
    out: Path,
    config: PrepareConfig,
    results: list[dict[str, Any]],
    failed: list[tuple[str, str]],
    *,
    new: int,
    published: Mapping[str, str],
) -> Prepared:
    """Write everything that follows from the sources' results; nothing is touched where nothing is new."""
    results.sort(key=lambda result: (result["source"], result["source_id"]))
    failed = sorted(failed + [(r["source"], r["error"]) for r in results if r["error"]])
    records = [ClipRecord.model_validate(clip) for result in results for clip in result["clips"]]
    prepared = Prepared(records, sum(r["seconds"] for r in results), failed, new)
    rejected = [{"source": r["source"], **item} for r in results for item in r["rejected"]]
    split = split_clips([c.clip_id for c in records], published, config.test_share)
    splits = {name: [key for key, own in split.items() if own == name] for name in ("train", "test")}
    state = hashlib.sha256(json.dumps([results, failed, splits]).encode()).hexdigest().encode()
    marker = out / "sources" / _FINISHED
    if not marker.is_file() or marker.read_bytes() != state:
        from paha.dataset.prepare.card import write_card
        from paha.dataset.prepare.report import write_report

        write_bytes(out / REJECTED, _lines(rejected))
        write_bytes(out / FAILED, _lines({"source": name, "error": error} for name, error in failed))
        write_bytes(out / SPLITS, json.dumps(splits, indent=1).encode())
        write_card(out / CARD, config, records, rejected, failed)
        write_manifest(out, records)
        write_report(out / REPORT, config, out, results, failed)
        write_bytes(marker, state)  # last: a run that is stopped before does all of this again
    return prepared


def _lines(items: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items).encode()


def _check_settings(out: Path, config: PrepareConfig) -> None:
    path = out / SETTINGS
    if (out / MANIFEST).is_file() and not path.is_file():
        raise PahaError(f"{out} holds a dataset that `paha prepare` did not make: give another folder")
    settings = json.dumps({"digest": config.digest, **config.model_dump(mode="json")}, indent=1).encode()
    if path.is_file() and path.read_bytes() != settings:
        raise PahaError(f"{out} was begun with other options (see {path}): repeat those, or give another folder")
    if not path.is_file():
        write_bytes(path, settings)


def _clear_partial(out: Path) -> None:
    """Remove what killed runs left unfinished; nobody else writes here while the folder is locked."""
    for folder in (out, out / "clips", out / "sources"):
        remove_stale(folder)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """One run at a time in a folder. The system gives the lock back when a process ends, however it ends."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / ".lock").open("w")
    except OSError as error:
        raise PahaError(f"cannot write to {out}: {error.strerror or error}") from error
    with file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows
            pass
        except OSError as error:
            raise PahaError(f"another `paha prepare` is at work in {out}; wait for it") from error
        yield


def _tracked(outcomes: Iterator, todo: list[Source], *, enabled: bool) -> Iterator:
    """The outcomes, with a bar that counts megabytes of raw footage and estimates the rest."""
    sizes = [Path(source.path).stat().st_size for source in todo]
    with progress_bar(enabled=enabled and bool(todo), in_bytes=True) as bar:
        task = bar.add_task(f"preparing {len(todo)} files", total=sum(sizes))
        for outcome in outcomes:
            bar.advance(task, sizes[outcome[0]])
            yield outcome
