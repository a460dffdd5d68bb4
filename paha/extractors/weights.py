"""The one registry of downloadable weights: name, address, size, sha256, licence; and where a file is found.

A weight is looked up in the folder $PAHA_WEIGHTS, then in the user's cache, and only then fetched into that cache, with
a progress bar, and checked against its sha256. A file that a person put in place is taken as it is.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paha.errors import PahaError
from paha.runtime.atomic import atomic_path

FOLDER_VARIABLE = "PAHA_WEIGHTS"
_MEDIAPIPE = "https://storage.googleapis.com/mediapipe-models"
_DWPOSE = "https://huggingface.co/yzd-v/DWPose/resolve/main"


@dataclass(frozen=True)
class Weight:
    """One downloadable file. size: bytes. also: other names that the same model goes by; found, but never fetched."""

    file: str
    url: str
    size: int
    sha256: str
    licence: str
    what: str
    also: tuple[str, ...] = ()


WEIGHTS: dict[str, Weight] = {
    "mediapipe-face-detector": Weight(
        file="blaze_face_short_range.tflite",
        url=f"{_MEDIAPIPE}/face_detector/blaze_face_short_range/float16/1/blaze_face_short_range.tflite",
        size=229_746,
        sha256="b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
        licence="Apache-2.0",
        what="BlazeFace: face boxes with scores",
    ),
    "mediapipe-face-landmarker": Weight(
        file="face_landmarker.task",
        url=f"{_MEDIAPIPE}/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        size=3_758_596,
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        licence="Apache-2.0",
        what="478 face points and 52 blendshapes",
        also=("face_landmarker_v2_with_blendshapes.task",),
    ),
    "mediapipe-hand-landmarker": Weight(
        file="hand_landmarker.task",
        url=f"{_MEDIAPIPE}/hand_landmarker/hand_landmarker/float16/1/hand_landmarker.task",
        size=7_819_105,
        sha256="fbc2a30080c3c557093b5ddfc334698132eb341044ccee322ccf8bcf3607cde1",
        licence="Apache-2.0",
        what="21 points of each hand",
    ),
    "mediapipe-pose-landmarker": Weight(
        file="pose_landmarker_full.task",
        url=f"{_MEDIAPIPE}/pose_landmarker/pose_landmarker_full/float16/1/pose_landmarker_full.task",
        size=9_398_198,
        sha256="4eaa5eb7a98365221087693fcc286334cf0858e2eb6e15b506aa4a7ecdcec4ad",
        licence="Apache-2.0",
        what="33 body points with visibility and presence",
        also=("pose_landmarker.task",),
    ),
    "dwpose-detector": Weight(
        file="yolox_l.onnx",
        url=f"{_DWPOSE}/yolox_l.onnx",
        size=216_746_733,
        sha256="7860ae79de6c89a3c1eb72ae9a2756c0ccfbe04b7791bb5880afabd97855a411",
        licence="Apache-2.0",
        what="YOLOX-l: person boxes",
    ),
    "dwpose-pose": Weight(
        file="dw-ll_ucoco_384.onnx",
        url=f"{_DWPOSE}/dw-ll_ucoco_384.onnx",
        size=134_399_116,
        sha256="724f4ff2439ed61afb86fb8a1951ec39c6220682803b4a8bd4f598cd913b1843",
        licence="Apache-2.0",
        what="DWPose-l: 133 whole-body keypoints",
    ),
}
"""Every weight that this project may download as a file. Models of a hub (SVD, CLIP, wav2vec 2.0) go by their names."""


@dataclass(frozen=True)
class ModelFolder:
    """A model in transformers' layout (config.json, model.safetensors), a folder of its own name. It is found, never
    fetched. hub: its name there."""

    hub: str
    licence: str
    what: str


DINOV2 = ("dinov2-small", "dinov2-base", "dinov2-large", "dinov2-giant")
"""Any will do; the first that is here is taken."""
MODEL_FOLDERS: dict[str, ModelFolder] = {
    name: ModelFolder(f"facebook/{name}", "Apache-2.0", "patch features: are body parts present?") for name in DINOV2
} | {"kokoro": ModelFolder("onnx-community/Kokoro-82M-v1.0-ONNX", "Apache-2.0", "natural English voices of --text")}
"""Models that are used where a person has put their folder into $PAHA_WEIGHTS or the cache."""


def weight(name: str, *, download: bool = True) -> Path:
    """The file of a registered weight, fetched if it is nowhere and `download` is set.

    Raises PahaError for an unknown name, and where the file is not to be had: it names the file, where to put it and
    the command that fetches it.
    """
    entry = _entry(name)
    found = find_weight(name)
    if found is not None:
        return found
    place = cache_folder() / entry.file
    if not download:
        raise _missing(name, place, "it is nowhere on this machine")
    _fetch(name, entry, place)
    return place


def find_weight(name: str) -> Path | None:
    """The file of a registered weight if it is on this machine, else None. Nothing is fetched.

    Raises PahaError where $PAHA_WEIGHTS is set to something that is no folder.
    """
    entry = _entry(name)
    for folder in _folders():
        for file in (entry.file, *entry.also):
            if (folder / file).is_file():
                return folder / file
    return None


def find_model_folder(name: str) -> Path | None:
    """The folder of a registered model if it is on this machine, else None."""
    return next((folder / name for folder in _folders() if (folder / name / "config.json").is_file()), None)


def model_folder(name: str) -> Path:
    """The folder of a registered model. Raises PahaError that names where to put it and the command that fetches it."""
    found = find_model_folder(name)
    if found is None:
        entry, place = MODEL_FOLDERS[name], cache_folder() / name
        raise PahaError(
            f"the model '{name}' ({entry.licence}) is nowhere on this machine; fetch it with `hf download {entry.hub} "
            f"--local-dir {place}`, or put its folder into another one and set ${FOLDER_VARIABLE} to that"
        )
    return found


def cache_folder() -> Path:
    """Where fetched weights are kept: paha/weights in the user's cache ($XDG_CACHE_HOME or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paha" / "weights"


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(name: str) -> Weight:
    if name not in WEIGHTS:
        raise PahaError(f"unknown weight '{name}'; known: {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


def _folders() -> Iterator[Path]:
    own = os.environ.get(FOLDER_VARIABLE)
    if own:
        if not Path(own).is_dir():
            raise PahaError(f"${FOLDER_VARIABLE} is '{own}', which is no folder; make it or unset the variable")
        yield Path(own)
    yield cache_folder()


def _fetch(name: str, entry: Weight, place: Path) -> None:
    from huggingface_hub.file_download import http_get

    # It tells of every retry in two lines; what comes of them is told in one.
    logging.getLogger("huggingface_hub.file_download").setLevel(logging.ERROR)
    with atomic_path(place) as temporary:
        try:
            with temporary.open("wb") as file:  # retries and resumes by itself; no token is sent
                http_get(entry.url, file, expected_size=entry.size, displayed_filename=entry.file)
        except Exception as error:  # its HTTP client, and so the classes of its errors, change with its version
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise _missing(name, place, f"fetching failed ({reason})") from error
        found = file_sha256(temporary)
        if found != entry.sha256:
            raise _missing(name, place, f"what came has the sha256 {found}, not {entry.sha256}")


def _missing(name: str, place: Path, reason: str) -> PahaError:
    entry = WEIGHTS[name]
    size_mb = entry.size / 1e6
    command = f"curl -L --create-dirs -o {place} {entry.url}"
    return PahaError(
        f"the weights '{name}' ({entry.file}, {size_mb:.1f} MB, {entry.licence}) are missing: {reason}; fetch them "
        f"with `{command}`, or put the file into a folder and set ${FOLDER_VARIABLE} to it"
    )
