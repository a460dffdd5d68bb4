"""The networks that measure: pose extractor, pose autoencoder, and third-party ones where their files are at hand.

Where a network's file is missing its metrics are absent, with the reason; no other network replaces it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from paha.dataset.manifest import MANIFEST, read_manifest
from paha.errors import PahaError
from paha.evaluation.metrics.appearance import PictureFeatures, load_arcface, load_inception
from paha.evaluation.metrics.frechet import NUM_REPLICATES
from paha.evaluation.metrics.fvd_protocol import PROTOCOLS, FvdProtocol
from paha.evaluation.metrics.gestures import load_autoencoder
from paha.evaluation.metrics.sync import Embedder, SyncProtocol
from paha.extractors.choose import PoseExtractor, Readers, choose_pose, extractor_files, pose_extractor
from paha.extractors.pose import NoPose
from paha.extractors.weights import FOLDER_VARIABLE, cache_folder, file_sha256

if TYPE_CHECKING:
    # What brings torch, seconds of start-up, is imported where it is used: MediaPipe alone needs none.
    from paha.evaluation.metrics.fvd import Features
    from paha.evaluation.metrics.pose_autoencoder import PoseAutoencoder

SYNCNET_FILES = ("syncnet_v2.model",)
I3D_FILES = ("i3d_torchscript.pt", "i3d_pretrained_400.pt", "rgb_imagenet.pt")
INCEPTION_FILES = ("inception-2015-12-05.pt",)
ARCFACE_FILES = ("w600k_r50.onnx", "glintr100.onnx", "arcface.onnx")
EXACT, NONE = "exact", "none"
MEASUREMENT = 5
"""Raised whenever the same instruments would measure a video otherwise."""
BODY_EVERY, HANDS_EVERY = 6, 3
"""Frames between two in which MediaPipe reads them for a measurement; the face is read in every one."""
NO_POSE = (
    "nobody here can read these people's keypoints: pip install 'paha[extract]' and fetch MediaPipe's or DWPose's "
    "weights (`paha doctor` says where), or choose with --pose"
)


@dataclass(frozen=True)
class Instruments:
    """pose: None for exact keypoints. pose_name, pose_hash: which extractor. autoencoder, syncnet, i3d: None where
    absent, the reason then under their name in `absent`; so are inception (FID) and arcface (CSIM). expression: the
    pose extractor reads blendshapes (E-FID). hashes: sha256 of the networks by name. every: frames between
    two that are looked at for regions, errors and drift. replicates: of the bootstrap of Frechet distances. size: of
    the shorter side of all videos, which are brought to it first; None leaves them as they are.
    """

    pose: PoseExtractor | None
    pose_name: str
    pose_hash: str
    autoencoder: PoseAutoencoder | None
    syncnet: Embedder | None = None
    i3d: Features | None = None
    inception: PictureFeatures | None = None
    arcface: PictureFeatures | None = None
    expression: bool = False
    sync_protocol: SyncProtocol = field(default_factory=SyncProtocol)
    fvd_protocol: FvdProtocol = field(default_factory=FvdProtocol)
    hashes: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    every: int = 10
    replicates: int = NUM_REPLICATES
    size: int | None = None

    def key(self) -> str:
        """A short hash of everything that a clip's measurement depends on. The autoencoder works on it afterwards."""
        networks = {name: value for name, value in self.hashes.items() if name != "pose_autoencoder"}
        data = [self.pose_name, self.pose_hash, networks, asdict(self.sync_protocol), asdict(self.fvd_protocol)]
        return hashlib.sha256(json.dumps([MEASUREMENT, *data, self.every, self.size]).encode()).hexdigest()[:16]

    def _pace(self) -> dict[str, int]:
        paced = self.pose_name == "mediapipe"
        return {"body_every": BODY_EVERY if paced else 1, "hands_every": HANDS_EVERY if paced else 1}

    def heading(self) -> str:
        """What read the videos, for the head of a table."""
        pace = f" (face in every frame, hands in every {HANDS_EVERY}rd, body in every {BODY_EVERY}th)"
        every = pace if self.pose_name == "mediapipe" else ""
        names = {EXACT: "exact keypoints of the datasets", NONE: "no keypoints: nobody here could read them"}
        return names.get(self.pose_name, f"keypoints read by {self.pose_name}{every}")

    def provenance(self) -> dict[str, object]:
        """Plain data for the results."""
        return {
            "pose": {"extractor": self.pose_name, "sha256": self.pose_hash, **self._pace()},
            "pose_autoencoder": _autoencoder_record(self.autoencoder, self.hashes.get("pose_autoencoder", "")),
            "sync_protocol": asdict(self.sync_protocol) if self.syncnet else None,
            "fvd_protocol": asdict(self.fvd_protocol) if self.i3d else None,
            "weights_sha256": dict(self.hashes),
            "absent": dict(self.absent),
            "sampled_every": self.every,
            "shorter_side": self.size or "as it is",
            "bootstrap_replicates": self.replicates,
        }


def load_instruments(
    *,
    pose: str = "auto",
    real: Path | None = None,
    autoencoder: Path | None = None,
    syncnet: Path | None = None,
    i3d: Path | None = None,
    inception: Path | None = None,
    arcface: Path | None = None,
    fvd_protocol: FvdProtocol | None = None,
    sync_protocol: SyncProtocol | None = None,
    replicates: int = NUM_REPLICATES,
    size: int | None = None,
) -> Instruments:
    """Load what there is.

    pose: exact, presenter, mediapipe, dwpose, none, or auto: the presenter reader for a corpus of drawn presenters (by
    `real`'s manifest), else the best extractor whose package and weights are here, or none. syncnet, i3d, inception,
    arcface: files; by default those of their public names in $PAHA_WEIGHTS or the user's cache. Raises PahaError for
    files that are given and bad.
    """
    name = _pose_name(pose, real)
    hashes: dict[str, str] = {}
    absent: dict[str, str] = {} if name != NONE else {"pose": NO_POSE}
    drawn = name == "presenter" or (name == EXACT and _is_presenter_corpus(real))
    trained = _autoencoder(autoencoder, drawn, hashes, absent)
    syncnet_file = _find(syncnet, SYNCNET_FILES, "syncnet", hashes, absent)
    i3d_file = _find(i3d, I3D_FILES, "i3d", hashes, absent)
    inception_file = _find(inception, INCEPTION_FILES, "inception", hashes, absent)
    arcface_file = _find(arcface, ARCFACE_FILES, "arcface", hashes, absent)
    protocol = fvd_protocol or PROTOCOLS["paha"]
    return Instruments(
        pose=_reader(name),
        pose_name=name,
        pose_hash=_pose_hash(name),
        autoencoder=trained,
        syncnet=_syncnet(syncnet_file) if syncnet_file else None,
        i3d=_i3d(i3d_file, protocol) if i3d_file else None,
        inception=load_inception(inception_file) if inception_file else None,
        arcface=load_arcface(arcface_file) if arcface_file else None,
        expression=name == "mediapipe",
        sync_protocol=sync_protocol or SyncProtocol(),
        fvd_protocol=protocol,
        hashes=hashes,
        absent=absent,
        replicates=replicates,
        size=size,
    )


def _syncnet(path: Path) -> Embedder:
    from paha.evaluation.metrics.syncnet import load_syncnet

    return load_syncnet(path)


def _i3d(path: Path, protocol: FvdProtocol) -> Features:
    from paha.evaluation.metrics.fvd import load_i3d

    return load_i3d(path, protocol)


def _pose_name(pose: str, real: Path | None) -> str:
    if pose != "auto":
        return pose if pose in (EXACT, NONE) else choose_pose(pose)
    if _is_presenter_corpus(real):
        return "presenter"
    found = choose_pose("auto")
    # The reader of drawn presenters answers whatever it is shown: no reader is better.
    return NONE if found == "presenter" else found


def _reader(name: str) -> PoseExtractor | None:
    if name in (EXACT, NONE):
        return None if name == EXACT else NoPose()
    if name == "mediapipe":
        pace = {"body_every": BODY_EVERY, "hands_every": HANDS_EVERY}
        return Readers(lambda: pose_extractor(name, **pace, expression=True))
    return pose_extractor(name)


def _is_presenter_corpus(folder: Path | None) -> bool:
    """Whether all clips show drawn presenters; photographed ones are named after their still."""
    if folder is None or not (folder / MANIFEST).is_file():
        return False
    records = read_manifest(folder)
    drawn = [record.source.startswith("paha.synth") and not record.identity.startswith("still-") for record in records]
    return bool(drawn) and all(drawn)


def _pose_hash(name: str) -> str:
    files = extractor_files(name)
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest() if files else ""


def _autoencoder(
    folder: Path | None, drawn: bool, hashes: dict[str, str], absent: dict[str, str]
) -> PoseAutoencoder | None:
    if folder is None and not drawn:
        # The shipped one knows drawn presenters: its space would say little about photographed people.
        absent["pose_autoencoder"] = (
            "no pose autoencoder of this dataset; train one with `paha train pose-autoencoder` and give it with "
            "--pose-autoencoder"
        )
        return None
    try:
        model = load_autoencoder(folder)
    except PahaError as error:
        if folder is not None:
            raise
        absent["pose_autoencoder"] = str(error)
        return None
    hashes["pose_autoencoder"] = model.sha256()
    return model


def _autoencoder_record(model: PoseAutoencoder | None, sha256: str) -> dict[str, object] | None:
    if model is None:
        return None
    config = {k: v for k, v in dict(model.config).items() if not k.startswith("_") and k != "mean_pose"}
    return {**config, "sha256": sha256}


def _find(
    given: Path | None, names: tuple[str, ...], what: str, hashes: dict[str, str], absent: dict[str, str]
) -> Path | None:
    if given is not None and not given.is_file():
        raise PahaError(f"--{what} {given}: there is no such file")
    own = os.environ.get(FOLDER_VARIABLE)
    folders = [*([Path(own)] if own else []), cache_folder()]
    found = given or next((f / n for f in folders for n in names if (f / n).is_file()), None)
    if found is None:
        where = f"${FOLDER_VARIABLE} or {cache_folder()}"
        absent[what] = f"no weights ({' or '.join(names)}); put the file into {where}, or give it with --{what}"
        return None
    hashes[what] = file_sha256(found)
    return found
