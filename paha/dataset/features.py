"""Cached features: everything that training needs of a clip and that no step changes, computed once.

DATA/features/<key>/features.json            what made them, and the clips
DATA/features/<key>/<clip_id>.safetensors    the tensors of `CLIP_TENSORS`

The key is a hash of the frame size, the extractors' configuration and their weights: other extractors, another folder.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paha.config import PahaConfig
from paha.dataset.manifest import ClipAnnotations, load_annotations, read_manifest
from paha.dataset.splits import SplitName, check_complete, read_splits, split_records, splits_digest
from paha.errors import PahaError
from paha.extractors.audio import AudioEncoder
from paha.extractors.codec import Codec
from paha.extractors.image import ImageEncoder
from paha.media.audio_io import read_audio, to_mono_16k
from paha.media.pixels import fit_points, frames_to_pixels
from paha.media.video_io import read_video
from paha.runtime.atomic import atomic_path, remove_stale, write_bytes
from paha.runtime.progress import tracked
from paha.runtime.tensors import save_tensors
from paha.types import ClipRecord

FORMAT = 1
INDEX = "features.json"
CLIP_TENSORS = ("latents", "audio", "points", "scores", "face_box")
"""latents (T, C, h, w) fp16, scaled. audio (T, L, D) fp16. points (T, 133, 2) and face_box (T, 4) float32 in [0, 1]
of width and height, beyond them outside the frame. scores (T, 133) float32. And image_tokens (T, S, D) fp16 where the
image encoder works on pixels; ref_channels (1, C, h, w) fp16 where the latents count from a reference of the clip's own
(motion)."""


HEAD_ABOVE, HEAD_BELOW = 0.7, 0.3
CUT_LIMIT = 0.02


class CutFaceWarning(UserWarning):
    """Faces that the training would see in part."""


def make_features(
    data_dir: Path,
    out: Path | None = None,
    *,
    config: PahaConfig,
    codec: Codec,
    audio_encoder: AudioEncoder,
    image_encoder: ImageEncoder | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 32,
    shard: tuple[int, int] = (0, 1),
    split: SplitName = "all",
    progress: bool = True,
) -> Path:
    """Compute the features of every clip of DATA_DIR/manifest.jsonl; returns their folder, OUT/<key>.

    codec, audio_encoder, image_encoder: the extractors of `config` (image_encoder only where it needs pixels: CLIP).
    out: DATA_DIR/features by default. shard: (i, n) does the i-th of n equal parts, so that n machines share the work;
    the index lists what is there, whoever ends last writes all of it. split: only these clips of splits.json; the index
    says of every clip which part it is in. Clips whose features are there and whose files
    have not changed are skipped, so a stopped run goes on where it was. DATA_DIR may be a folder of features itself,
    taken as it is: its clips may lie on another machine. Raises PahaError after the last clip if some failed, naming
    each with its reason.
    """
    if (data_dir / INDEX).is_file():
        return data_dir
    records = split_records(data_dir, split)
    if not records:
        raise PahaError(f"{data_dir} has no clips; make some with `paha synth` or `paha prepare`")
    part, parts = shard
    if not 0 <= part < parts:
        raise PahaError(f"shard {part} of {parts}: give 0 <= i < n")
    extractors = [codec, audio_encoder] + ([image_encoder] if config.image.kind == "clip" else [])
    folder = (out or data_dir / "features") / features_key(config, extractors)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PahaError(f"cannot write to {folder}: {error.strerror}; give another folder by --out") from error
    remove_stale(folder)
    for extractor in extractors:
        extractor.to(device)
    failures, cut = [], {}
    mine = records[part::parts]
    for record in tracked(mine, "features", total=len(mine), enabled=progress):
        path = folder / f"{record.clip_id}.safetensors"
        try:
            source = source_hash(data_dir, record) + _crop_tag(data_dir, record, config)
            if stored_source(path) != source:
                tensors = clip_features(data_dir, record, config, *extractors, device=device, batch_size=batch_size)
                save_clip(path, tensors, source)
                cut[record.clip_id] = cut_faces(tensors["face_box"])
        except PahaError as error:
            failures.append(f"{record.clip_id}: {error}")
    _warn_of_cut_faces(cut, config)
    own = {"channel_scale": channel_scale(codec), "data": data_dir.resolve().name}
    _write_index(folder, features_index(config, [], **own) | _listed(folder, data_dir))
    if failures:
        raise PahaError(f"{len(failures)} of {len(records)} clips failed, the others are done: {'; '.join(failures)}")
    return folder


def list_again(folder: Path, data_dir: Path) -> None:
    """Bring the list of clips in a folder's index up to date: shards that end together may each miss the other's."""
    _write_index(folder, json.loads((folder / INDEX).read_text()) | _listed(folder, data_dir))


def _write_index(folder: Path, index: Mapping[str, object]) -> None:
    """Nothing is written where nothing is new: complete features may lie on a disk that only reads."""
    data = json.dumps(index, indent=1).encode()
    if not (folder / INDEX).is_file() or (folder / INDEX).read_bytes() != data:
        write_bytes(folder / INDEX, data)


@torch.inference_mode()
def clip_features(
    data_dir: Path,
    record: ClipRecord,
    config: PahaConfig,
    codec: Codec,
    audio_encoder: AudioEncoder,
    image_encoder: ImageEncoder | None = None,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 32,
) -> dict[str, Tensor]:
    """The tensors of one clip (`CLIP_TENSORS`). Raises PahaError where its files are unreadable or do not fit
    together."""
    annotations = load_annotations(data_dir / record.annotations)
    at = crop_place(annotations.face_box, record, config.width / config.height)
    frames = read_video(data_dir / record.video, size=(config.width, config.height), at=at)
    if len(frames) != len(annotations.face_box):
        lengths = f"{len(frames)} frames, its annotations {len(annotations.face_box)}"
        raise PahaError(f"{record.video} has {lengths}; make the clip again")
    mono = to_mono_16k(*read_audio(data_dir / record.audio))
    latents, tokens = [], []
    for pixels in frames_to_pixels(frames, batch_size=batch_size):
        pixels = pixels.to(device)
        latents.append(codec.encode(pixels))
        if image_encoder is not None:
            tokens.append(image_encoder.encode(latents[-1], image=pixels).half().cpu())
    features = {
        "latents": torch.cat(latents).half().cpu(),
        "audio": audio_encoder.encode(mono, len(frames)).half().cpu(),
        **_normalised(annotations, record, config, at),
    }
    return features | ({"image_tokens": torch.cat(tokens)} if tokens else {})


def crop_place(face_box: np.ndarray, record: ClipRecord, aspect: float) -> tuple[float, float]:
    """Where a clip is cropped to `aspect`, as `fit_image` takes it: in the middle, moved as far as the head asks.

    face_box: (T, 4) px. A head is 0.7 face heights above the brows and 0.3 below the chin, half a width to both sides;
    a portrait clip (CNAS: 512 x 896) in a square loses its lower end, not the face.
    """
    boxes = face_box[(face_box[:, 3] > face_box[:, 1])]
    if not len(boxes):
        return 0.5, 0.5
    low, high = np.percentile(boxes[:, :2], 2, axis=0), np.percentile(boxes[:, 2:], 98, axis=0)
    margin = np.median(boxes[:, 2:] - boxes[:, :2], axis=0)
    low, high = low - margin * [0.5, HEAD_ABOVE], high + margin * [0.5, HEAD_BELOW]
    size = np.array([record.width, record.height], np.float64)
    room = size - np.minimum(size, size[::-1] * [aspect, 1 / aspect])
    start = np.clip(room / 2, high - (size - room), low)  # the top decides where both cannot be
    start = np.clip(np.minimum(start, low), 0, room)
    at = np.where(room > 0.5, start / np.maximum(room, 1e-6), 0.5)
    return round(float(at[0]), 4), round(float(at[1]), 4)


def cut_faces(face_box: Tensor) -> float:
    """Share of frames whose face box (T, 4), in [0, 1] of the frame, leaves the frame by more than 1 % of its side."""
    outside = (face_box < -0.01).any(1) | (face_box > 1.01).any(1)
    return float(outside.float().mean())


def _crop_tag(data_dir: Path, record: ClipRecord, config: PahaConfig) -> str:
    """Beside a clip's hash where it is not cropped in the middle, so that features of another crop are made again."""
    aspect = config.width / config.height
    if abs(record.width / record.height - aspect) < 1e-6:
        return ""
    at = crop_place(load_annotations(data_dir / record.annotations).face_box, record, aspect)
    return "" if at == (0.5, 0.5) else f"@{at[0]},{at[1]}"


def _warn_of_cut_faces(cut: dict[str, float], config: PahaConfig) -> None:
    bad = {name: share for name, share in cut.items() if share > CUT_LIMIT}
    if bad:
        worst = max(bad, key=lambda name: bad[name])
        text = (
            f"in {len(bad)} of {len(cut)} clips the face leaves the {config.width} x {config.height} frame (most in "
            f"{worst}: {bad[worst]:.0%} of its frames); prepare them with --size {config.width}x{config.height}"
        )
        warnings.warn(text, CutFaceWarning, stacklevel=2)


def channel_scale(codec: Any) -> float:
    """What SVD-style reference channels are, relative to scaled latents (design row 1): the unscaled latent.

    1 for a codec whose latents have one scale; 1 / scaling_factor for SVD's VAE.
    """
    return 1.0 / float(getattr(codec, "vae", codec).config["scaling_factor"])


def features_key(config: PahaConfig, extractors: Iterable[object]) -> str:
    """16 hexadecimal digits out of the frame size, the extractors' configuration and their weights."""
    settings = {
        "format": FORMAT,
        "size": [config.width, config.height],
        "codec": config.codec.model_dump(mode="json"),
        "audio": config.audio.model_dump(mode="json"),
        # Pooled tokens are computed from the latent when a batch is drawn; nothing of them is stored.
        "image": config.image.model_dump(mode="json") if config.image.kind == "clip" else None,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for extractor in extractors:
        for module in _modules(extractor):
            for name, value in sorted(module.state_dict().items()):
                if name.startswith(getattr(module, "decoder_only", ())):
                    continue
                digest.update(name.encode())
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def find_features(folder: Path) -> Path:
    """The features in `folder`: itself, or the only features/<key> below it. Raises PahaError if none or several."""
    if (folder / INDEX).is_file():
        return folder
    found = sorted(path.parent for pattern in (f"*/{INDEX}", f"features/*/{INDEX}") for path in folder.glob(pattern))
    if not found:
        raise PahaError(f"{folder} holds no features; make them with `paha features {folder}`")
    if len(found) > 1:
        raise PahaError(f"{folder} holds several sets of features; give one of {', '.join(map(str, found))}")
    return found[0]


def _modules(extractor: object) -> list[nn.Module]:
    if isinstance(extractor, nn.Module):
        return [extractor]
    return [value for _, value in sorted(vars(extractor).items()) if isinstance(value, nn.Module)]


def _normalised(
    annotations: ClipAnnotations, record: ClipRecord, config: PahaConfig, at: tuple[float, float]
) -> dict[str, Tensor]:
    crop = partial(fit_points, width=record.width, height=record.height, aspect=config.width / config.height, at=at)
    return {
        "points": torch.from_numpy(crop(annotations.keypoints.points)),
        "scores": torch.from_numpy(np.ascontiguousarray(annotations.keypoints.scores, np.float32)),
        "face_box": torch.from_numpy(crop(annotations.face_box.reshape(-1, 2, 2))).reshape(-1, 4),
    }


def save_clip(path: Path, tensors: dict[str, Tensor], source: str) -> None:
    """Write a clip's tensors, and what they were made of. Raises PahaError for numbers that are not finite."""
    bad = [name for name, value in tensors.items() if name != "points" and not torch.isfinite(value).all()]
    if bad:
        raise PahaError(f"its {bad[0]} are not finite; look at the clip")
    with atomic_path(path) as temporary:
        save_tensors(tensors, temporary, metadata={"source": source})


def stored_source(path: Path) -> str | None:
    """What a clip's tensors were made of, as `save_clip` was told; None where there are none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("source")
    except (OSError, SafetensorError):
        return None


def source_hash(data_dir: Path, record: ClipRecord) -> str:
    """sha256 of a clip's video, sound and annotations. Raises PahaError where one cannot be read."""
    digest = hashlib.sha256()
    for name in (record.video, record.audio, record.annotations):
        try:
            digest.update((data_dir / name).read_bytes())
        except OSError as error:
            raise PahaError(f"cannot read {data_dir / name}: {error.strerror or error}") from error
    return digest.hexdigest()


def features_index(
    config: PahaConfig, clips: list[dict[str, str]], *, channel_scale: float, data: str
) -> dict[str, Any]:
    """What features.json says. clips: clip_id, identity and split of each. data: name of what they were made of."""
    return {
        "format": FORMAT,
        "data": data,
        "width": config.width,
        "height": config.height,
        "channel_scale": channel_scale,
        "codec": config.codec.model_dump(mode="json"),
        "audio": config.audio.model_dump(mode="json"),
        "image": config.image.model_dump(mode="json"),
        "clips": clips,
    }


def _listed(folder: Path, data_dir: Path) -> dict[str, Any]:
    """The clips of a dataset whose features are there, with the part of the split that each is in ("": no split)."""
    records, parts = read_manifest(data_dir), read_splits(data_dir)
    check_complete(data_dir, records, parts)
    done = [record for record in records if (folder / f"{record.clip_id}.safetensors").exists()]
    clips = [{"clip_id": r.clip_id, "identity": r.identity, "split": parts.get(r.clip_id, "")} for r in done]
    return {"splits_sha256": splits_digest(parts), "clips": clips}
