"""One raw file, from its scan to its clips: a function of the file and the configuration, resumable at every clip."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from paha.dataset.manifest import ClipAnnotations, save_annotations
from paha.dataset.prepare.config import PrepareConfig
from paha.dataset.prepare.cutting import Cut, Listed, plan_cuts
from paha.dataset.prepare.presence import check_presence
from paha.dataset.prepare.scan import Scan, load_scan, save_scan, scan_file
from paha.dataset.prepare.smoothing import smooth_keypoints
from paha.errors import MediaError, PahaError
from paha.extractors.choose import PoseExtractor, Readers, pose_extractor
from paha.extractors.faces import PeopleReaders
from paha.extractors.pose import PoseTrack
from paha.extractors.presence import PartFeatures, PresentPose
from paha.media.audio_io import read_audio, to_mono_16k, write_wav
from paha.media.image_io import fit_image
from paha.media.video_io import iter_video, write_video
from paha.runtime.atomic import write_bytes
from paha.types import FACE, FPS, SAMPLE_RATE_HZ, ClipRecord

_FINGERPRINT_BYTES = 1 << 20
_CRF = 12


@dataclass(frozen=True)
class Source:
    """A raw file to work on. source_id: of its content. name: of the file, printable. listed: see `plan_cuts`."""

    path: str
    source_id: str
    name: str
    identity: str
    listed: tuple[Listed, ...] = ()


def make_source(path: Path, *, identity: str = "") -> Source:
    """What a file is called. identity: `` for the file's own name. Raises PahaError where it cannot be read."""
    name = printable(path.name)
    stem = slug(printable(path.stem))
    return Source(str(path), f"{stem}-{fingerprint(path)}", name, slug(identity) if identity else stem)


def fingerprint(path: Path) -> str:
    """12 hexadecimal digits of a file's length, first and last megabyte. Raises PahaError where it cannot be read."""
    try:
        size = path.stat().st_size
        if not path.is_file():  # a pipe, say, which would be waited for
            raise PahaError(f"{printable(path)} is no file; give a video")
        if not size:
            raise PahaError(f"{printable(path)} is empty; copy it again")
        digest = hashlib.sha256(str(size).encode())
        with path.open("rb") as file:
            digest.update(file.read(_FINGERPRINT_BYTES))
            file.seek(max(0, size - _FINGERPRINT_BYTES))
            digest.update(file.read(_FINGERPRINT_BYTES))
    except OSError as error:
        raise PahaError(f"cannot read {printable(path)}: {error.strerror or error}") from error
    return digest.hexdigest()[:12]


def printable(path: Path | str) -> str:
    """A file's name with what is no UTF-8 replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def one_line(error: Exception | str, *, path: Path | str, name: str) -> str:
    """What went wrong, with the file's name in place of its path."""
    return " ".join(printable(str(error)).replace(printable(path), name).split())


def slug(text: str) -> str:
    """A name that is safe in file names: letters, digits, '_' and '-', at most 40 characters."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:40] or "video"


def result_path(out: Path, source: Source) -> Path:
    """Where a finished source's result lies."""
    return out / "sources" / f"{source.source_id}.json"


def prepare_source(source: Source, out: Path, config: PrepareConfig, threads: int = 1) -> dict[str, Any]:
    """Scan, cut, write; returns the source's result and leaves it in OUT/sources/<source_id>.json.

    threads: that may read people at once. A scan and clips that are there already are kept: they are whole, being
    written under temporary names. A file that cannot be used gives a result with its `error`, one line. Raises
    PahaError for what is no fault of the file: a full disk, missing weights.
    """
    try:
        scan = _scanned(source, out, config, threads)
        cuts, rejected = plan_cuts(scan, config, source.listed)
        records = write_clips(source, cuts, out, config, threads=threads)
        result = _result(source, scan=scan, clips=records, rejected=[asdict(item) for item in rejected])
    except MediaError as error:  # anything else may pass, and is not remembered as the file's fault
        result = _result(source, error=one_line(error, path=source.path, name=source.name))
    write_bytes(result_path(out, source), json.dumps(result, indent=1).encode())
    return result


def write_clips(
    source: Source, cuts: list[Cut], out: Path, config: PrepareConfig, *, threads: int = 1
) -> list[ClipRecord]:
    """Write the clips of a source that are not there yet; returns the records of all."""
    records = [_record(source, cut, config) for cut in cuts]
    missing = [(cut, record) for cut, record in zip(cuts, records, strict=True) if not is_whole(out, record)]
    if missing:
        samples, rate_hz = read_audio(source.path)
        mono = to_mono_16k(samples, rate_hz)
        reader: PoseExtractor = _readers(config.pose, threads)
        if config.presence:
            reader = PresentPose(reader, _part_features(config.presence), limit=config.presence_limit)
        for (_, record), cut, frames in _frames_of(Path(source.path), missing, config):
            track = reader.detect(frames)
            _write_clip(frames, track, cut, record, out, config, sound=(samples, rate_hz), mono=mono, name=source.name)
    return records


def is_whole(out: Path, record: ClipRecord) -> bool:
    """Whether a clip's three files are there. The annotations are written last, and none appears before it is whole."""
    return all((out / name).is_file() for name in (record.annotations, record.video, record.audio))


def cut_sound(samples: np.ndarray, rate_hz: int, cut: Cut) -> np.ndarray:
    """The samples (N, ...) under a clip's frames, as many as they last; silence where the recording ends early."""
    start, stop = (round(frame * rate_hz / FPS) for frame in (cut.start, cut.stop))
    part = samples[start:stop]
    return np.pad(part, [(0, stop - start - len(part)), *[(0, 0)] * (samples.ndim - 1)])


def filled_boxes(boxes: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Face boxes (T, 4); frames without one (found (T,) False) take it from their neighbours in time, linearly."""
    if found.all() or not found.any():
        return boxes
    at = np.flatnonzero(found)
    columns = [np.interp(np.arange(len(boxes)), at, boxes[at, k]) for k in range(4)]
    return np.stack(columns, axis=1).astype(np.float32)


@cache
def _readers(kind: str, threads: int) -> Readers:
    """One set a process: loading takes seconds. Only MediaPipe's read in several threads."""
    import torch

    torch.set_num_threads(1)  # a worker a core; and the same sums in the same order everywhere
    return Readers(lambda: pose_extractor(kind), threads=threads if kind == "mediapipe" else 1)


@cache
def _part_features(name: str) -> PartFeatures:
    """One a process."""
    return PartFeatures.load(name)


def _scanned(source: Source, out: Path, config: PrepareConfig, threads: int) -> Scan:
    path = out / "sources" / f"{source.source_id}.safetensors"
    scan = load_scan(path)
    if scan is None:
        readers = _readers(config.pose, threads)
        reader = PeopleReaders(config.pose, readers)
        scan = scan_file(Path(source.path), reader, config, threads=readers.threads)
        if config.presence:
            scan = check_presence(scan, Path(source.path), _part_features(config.presence), limit=config.presence_limit)
        save_scan(path, scan)
    return scan


def _frames_of(
    path: Path, wanted: Sequence[tuple[Cut, ClipRecord]], config: PrepareConfig
) -> Iterator[tuple[tuple[Cut, ClipRecord], Cut, np.ndarray]]:
    """Every clip's frames (T, H, W, 3) uint8 at its size, in one pass over the file."""
    position, frames = 0, []
    for number, frame in enumerate(iter_video(path)):
        cut = wanted[position][0]
        if number < cut.start:
            continue
        x, y, width, height = cut.crop
        frames.append(fit_image(frame[y : y + height, x : x + width], width=config.width, height=config.height))
        if number + 1 == cut.stop:
            yield wanted[position], cut, np.stack(frames)
            position, frames = position + 1, []
            if position == len(wanted):
                return


def _write_clip(
    frames: np.ndarray,
    track: PoseTrack,
    cut: Cut,
    record: ClipRecord,
    out: Path,
    config: PrepareConfig,
    *,
    sound: tuple[np.ndarray, int],
    mono: np.ndarray,
    name: str,
) -> None:
    keypoints = smooth_keypoints(track.keypoints, config.smooth)
    found = np.asarray((track.keypoints.scores[:, FACE] > 0).any(1))
    samples, rate_hz = sound
    part = cut_sound(samples, rate_hz, cut)
    if config.sound_rate_hz is not None and config.sound_rate_hz != rate_hz:
        import soxr

        part, rate_hz = soxr.resample(part, rate_hz, config.sound_rate_hz), config.sound_rate_hz
    comment = f"cut from {name} at {cut.start / FPS:.2f} s by paha prepare"
    write_wav(out / record.audio, cut_sound(mono, SAMPLE_RATE_HZ, cut), SAMPLE_RATE_HZ)
    write_video(out / record.video, frames, audio=(part, rate_hz), crf=_CRF, comment=comment)
    save_annotations(out / record.annotations, ClipAnnotations(keypoints, filled_boxes(track.face_box, found)))


def _record(source: Source, cut: Cut, config: PrepareConfig) -> ClipRecord:
    clip_id = cut.listed.clip_id if cut.listed else f"{source.source_id}-{cut.start:07d}"
    return ClipRecord(
        clip_id=clip_id,
        video=f"clips/{clip_id}.mp4",
        audio=f"clips/{clip_id}.wav",
        annotations=f"clips/{clip_id}.safetensors",
        num_frames=cut.stop - cut.start,
        width=config.width,
        height=config.height,
        identity=cut.listed.identity if cut.listed else source.identity,
        source=f"{source.name} {cut.start / FPS:.2f}-{cut.stop / FPS:.2f} s",
        language=config.language,
        licence=config.licence,
    )


def _result(source: Source, *, scan: Scan | None = None, error: str = "", **more: Any) -> dict[str, Any]:
    clips = [record.model_dump(mode="json") for record in more.get("clips", [])]
    return {
        "source": source.name,
        "source_id": source.source_id,
        "error": error,
        "seconds": scan.num_frames / FPS if scan else 0.0,
        "clips": clips,
        "rejected": more.get("rejected", []),
    }
