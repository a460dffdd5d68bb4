"""Random windows of clips out of cached features, as `ClipBatch`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from paha.config import PahaConfig, TrainConfig
from paha.dataset.features import CLIP_TENSORS, INDEX, channel_scale, clip_features, find_features, stored_source
from paha.dataset.splits import SplitName, split_records
from paha.dataset.training_data import TrainedOn
from paha.errors import PahaError
from paha.extractors.audio import AudioEncoder
from paha.extractors.codec import Codec
from paha.extractors.image import ImageEncoder
from paha.types import BatchContext, ClipBatch
from paha.univdm.audio_window import window_frames

FIXED_SEED = 1
RAM_LIMIT_BYTES = 8 * 2**30
"""Larger sets of features stay memory-mapped: the system reads what a batch touches."""
DEVICE_SHARE = 0.4
"""Of an accelerator's free memory that the features may take; more of them stay in the machine's own."""


OWN_REFERENCE = "ref_channels"
"""Where a clip has it, its latents count from one reference, in whatever frame: motion latents."""


@dataclass(frozen=True)
class ClipFeatures:
    """Features of one clip, as `paha.dataset.features.CLIP_TENSORS` says."""

    clip_id: str
    identity: str
    tensors: dict[str, Tensor]

    @property
    def num_frames(self) -> int:
        """T of the whole clip."""
        return len(self.tensors["latents"])

    def reference(self, frame: int) -> tuple[Tensor, Tensor | None]:
        """f_ref (C, h, w) of a frame, and the channel half where it is not f_ref unscaled; float32."""
        latent = self.tensors["latents"][frame].float()
        if OWN_REFERENCE in self.tensors:
            return torch.zeros_like(latent), self.tensors[OWN_REFERENCE][0].float()
        return latent, None


class DrawnBatches:
    """What a training asks of a dataset that draws `batch` by a generator."""

    def training_batch(self, context: BatchContext, train: TrainConfig) -> ClipBatch:
        """The clips of a part of a step (`paha.training.job.StepContext`)."""
        return self.batch(context.generator("batch"), train.batch_size)

    def fixed_batches(self, count: int, batch_size: int) -> list[ClipBatch]:
        """The same few batches at every call."""
        generator = torch.Generator().manual_seed(FIXED_SEED)
        return [self.batch(generator, batch_size) for _ in range(count)]

    def batch(self, generator: torch.Generator, batch_size: int) -> ClipBatch:
        """batch_size windows."""
        raise NotImplementedError


class FeatureDataset(DrawnBatches):
    """Every window of `config.num_frames` frames of every clip long enough; drawing one is uniform over the windows.

    folder: features/<key>, or a folder with only one of them below. image_encoder: makes the image tokens from the
    reference latent where the features do not hold them. skipped: ids of clips shorter than a window. split: only the
    clips of that part, where the dataset has parts (`paha.dataset.splits`). device: of the batches; the features
    themselves lie there too where they fit, so that a batch costs a few gathers.
    Raises PahaError where the features were made for another configuration, or a file is missing or damaged.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: PahaConfig,
        image_encoder: ImageEncoder | None = None,
        split: SplitName = "train",
        device: torch.device | str = "cpu",
        ram_limit_bytes: int = RAM_LIMIT_BYTES,
    ) -> None:
        self.folder = find_features(folder)
        index = _read_index(self.folder)
        _check_index(index, config, self.folder)
        listed = _of_split(index["clips"], split, self.folder)
        self.split, self._splits_sha256, self._data = split, index.get("splits_sha256", ""), index.get("data", "")
        files = [self.folder / f"{clip['clip_id']}.safetensors" for clip in listed]
        in_ram = sum(path.stat().st_size for path in files if path.exists()) <= ram_limit_bytes
        clips = [_load_clip(path, clip) for path, clip in zip(files, listed, strict=True)]
        options = {"image_encoder": image_encoder, "device": device, "in_ram": in_ram}
        self._hold(clips, config, float(index["channel_scale"]), **options)

    @classmethod
    def from_raw(
        cls,
        data_dir: Path,
        *,
        config: PahaConfig,
        codec: Codec,
        audio_encoder: AudioEncoder,
        image_encoder: ImageEncoder | None = None,
        split: SplitName = "train",
        device: torch.device | str = "cpu",
    ) -> Self:
        """The same dataset from the clips themselves, without cached features: all are encoded now and kept in memory.

        For small sets, and to see that features are right: the batches are equal. image_encoder: as `make_features`
        takes it. Raises PahaError where a clip is unreadable.
        """
        dataset = cls.__new__(cls)
        dataset.folder = data_dir
        dataset.split, dataset._splits_sha256, dataset._data = split, "", data_dir.name
        encoders = (codec, audio_encoder, image_encoder if config.image.kind == "clip" else None)
        clips = []
        for record in split_records(data_dir, split):
            tensors = clip_features(data_dir, record, config, *encoders, device=device)
            clips.append(ClipFeatures(record.clip_id, record.identity, tensors))
        dataset._hold(clips, config, channel_scale(codec), image_encoder=None, device=device, in_ram=True)
        return dataset

    def _hold(
        self,
        clips: list[ClipFeatures],
        config: PahaConfig,
        scale: float,
        *,
        image_encoder: ImageEncoder | None,
        device: torch.device | str,
        in_ram: bool,
    ) -> None:
        self.num_frames = config.num_frames
        self.audio_margin = config.model.audio_margin
        self.device = torch.device(device)
        self.image_encoder = image_encoder or _image_encoder(config)
        self.channel_scale = scale
        """What the reference channels are, relative to the latents (`paha.dataset.features.channel_scale`)."""
        self.clips = [clip for clip in clips if clip.num_frames >= self.num_frames]
        self.skipped = [clip.clip_id for clip in clips if clip.num_frames < self.num_frames]
        if not self.clips:
            raise PahaError(f"no clip in {self.folder} has {self.num_frames} frames; make longer ones")
        _check_shapes(self.clips[0], config, self.folder)
        self._lengths = torch.tensor([clip.num_frames for clip in self.clips])
        self._audio_lengths = torch.tensor([len(clip.tensors["audio"]) for clip in self.clips])
        self._window_ends = (self._lengths - self.num_frames + 1).cumsum(0)
        self._stores = _end_to_end(self.clips, self.device) if in_ram else {}

    @property
    def num_windows(self) -> int:
        """How many different windows there are."""
        return int(self._window_ends[-1])

    @property
    def fingerprint(self) -> Mapping[str, object]:
        """What a resumed run must share."""
        own = {"split": self.split, "splits_sha256": self._splits_sha256} if self._splits_sha256 else {}
        return {"features": self.folder.name, "windows": self.num_windows} | own

    @property
    def records(self) -> list[TrainedOn]:
        """What a model that is trained on this keeps (`paha.dataset.training_data`)."""
        clips = {
            clip.clip_id: (stored_source(self.folder / f"{clip.clip_id}.safetensors") or "") for clip in self.clips
        }
        return [
            TrainedOn(
                data=self._data,
                split=self.split,
                splits_sha256=self._splits_sha256,
                features=self.folder.name,
                clips={name: value[:16] for name, value in clips.items()},
            )
        ]

    def batch(self, generator: torch.Generator, batch_size: int) -> ClipBatch:
        """batch_size windows, each with a uniformly random reference frame of its clip, on the dataset's device."""
        windows = torch.randint(self.num_windows, (batch_size,), generator=generator)
        clips = torch.searchsorted(self._window_ends, windows, right=True)
        from_end = self._window_ends[clips] - windows  # 1 for the clip's last window
        lengths = self._lengths[clips]
        starts = lengths - self.num_frames + 1 - from_end
        fractions = torch.rand(batch_size, generator=generator, dtype=torch.float64)
        refs = (fractions * lengths).long()
        return self.windows(clips.tolist(), starts.tolist(), refs.tolist())

    def windows(self, clips: list[int], starts: list[int], refs: list[int]) -> ClipBatch:
        """The windows that start at frame `starts[b]` of clip `clips[b]`, with reference frame `refs[b]` of that
        clip."""
        clip_B, start_B, ref_B = torch.tensor(clips), torch.tensor(starts), torch.tensor(refs)
        frames_BT = start_B[:, None] + torch.arange(self.num_frames)
        ref_latent = self._gather("latents", clip_B, ref_B)
        channels = None
        if OWN_REFERENCE in self.clips[0].tensors:
            ref_latent, channels = torch.zeros_like(ref_latent), self._gather(OWN_REFERENCE, clip_B, ref_B * 0)
        stored, encoder = "image_tokens" in self.clips[0].tensors, self.image_encoder
        seen = ref_latent if channels is None else channels
        tokens = self._gather("image_tokens", clip_B, ref_B) if stored or not encoder else encoder.encode(seen)
        return ClipBatch(
            latents=self._gather("latents", clip_B, frames_BT),
            ref_latent=ref_latent,
            ref_channels=channels,
            audio=self._audio(clip_B, frames_BT),
            image_tokens=tokens,
            points=self._gather("points", clip_B, frames_BT),
            scores=self._gather("scores", clip_B, frames_BT),
            face_box=self._gather("face_box", clip_B, ref_B),
            clip_ids=tuple(self.clips[i].clip_id for i in clips),
        )

    def _audio(self, clip_B: Tensor, frames_BT: Tensor) -> Tensor:
        """A(f) of every frame, (B, T, 2m+1, L, D): true neighbours outside the window, clamped at the clip's ends."""
        last = self._audio_lengths[clip_B, None, None] - 1
        return self._gather("audio", clip_B, window_frames(frames_BT, self.audio_margin, last=last))

    def _gather(self, name: str, clip_B: Tensor, frames: Tensor) -> Tensor:
        """Frames (B, ...) of clips (B,) of one tensor: (B, ..., its shape) float32 on the dataset's device."""
        if self._stores:
            return self._stores[name].gather(clip_B, frames).to(self.device)
        parts = [self.clips[i].tensors[name][wanted] for i, wanted in zip(clip_B.tolist(), frames, strict=True)]
        return torch.stack(parts).float().to(self.device)


@dataclass(frozen=True)
class _Store:
    """One tensor of all clips, end to end (N, ...), on the batches' device where it fits; where each clip begins."""

    values: Tensor
    first: Tensor

    def gather(self, clip_B: Tensor, frames: Tensor) -> Tensor:
        index = self.first[clip_B].view(-1, *[1] * (frames.ndim - 1)) + frames
        return self.values[index.to(self.values.device, non_blocking=True)].float()


def _end_to_end(clips: list[ClipFeatures], device: torch.device) -> dict[str, _Store]:
    """A store of every tensor; the clips' own become views of it, or of a copy where it lies on an accelerator."""
    size = sum(value.nbytes for clip in clips for value in clip.tensors.values())
    fits = device.type != "cuda" or size <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]
    stores = {}
    for name in list(clips[0].tensors):
        lengths = [len(clip.tensors[name]) for clip in clips]
        values = torch.cat([clip.tensors[name] for clip in clips])
        for clip, own in zip(clips, values.split(lengths), strict=True):
            clip.tensors[name] = own
        counts = torch.tensor(lengths)
        stores[name] = _Store(values.to(device) if fits else values, counts.cumsum(0) - counts)
    return stores


def to_device(batch: ClipBatch, device: torch.device | str) -> ClipBatch:
    """The same batch on another device."""
    tensors = {f.name: getattr(batch, f.name) for f in fields(batch) if f.name != "clip_ids"}
    return replace(batch, **{name: value.to(device) for name, value in tensors.items() if value is not None})


def measure_residual_std(dataset: FeatureDataset, *, frames_per_clip: int = 64) -> float:
    """Standard deviation of z_0 - z_ref over random pairs of frames of one clip: `diffusion.residual_std`.

    Deterministic: the pairs come from a fixed seed. Raises PahaError where nothing moves.
    """
    generator = torch.Generator().manual_seed(0)
    square, count = 0.0, 0
    for clip in dataset.clips:
        frames, refs = torch.randint(clip.num_frames, (2, frames_per_clip), generator=generator)
        residual = clip.tensors["latents"][frames].double() - clip.tensors["latents"][refs].double()
        square, count = square + residual.square().sum().item(), count + residual.numel()
    std = (square / count) ** 0.5
    if not std > 0:
        raise PahaError(f"all frames of every clip in {dataset.folder} are equal; there is no motion to learn")
    return std


def _image_encoder(config: PahaConfig) -> ImageEncoder | None:
    if config.image.kind == "clip":
        return None  # its tokens are among the features
    from paha.extractors.image import load_image_encoder

    return load_image_encoder(config.image)


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PahaError(f"cannot read {folder / INDEX}: {error}; make the features again") from error


def _check_index(index: dict[str, Any], config: PahaConfig, folder: Path) -> None:
    wanted = {
        "width": config.width,
        "height": config.height,
        "codec": config.codec.model_dump(mode="json"),
        "audio": config.audio.model_dump(mode="json"),
    }
    image = config.image.model_dump(mode="json")
    if "clip" in (image["kind"], (index.get("image") or image)["kind"]):  # pooled tokens are made of the latents
        wanted["image"] = image
    for key, value in wanted.items():
        if index.get(key) != value:
            raise PahaError(f"{folder} was made with {key} {index.get(key)}, not {value}; run `paha features` again")


def _of_split(clips: list[dict[str, str]], split: SplitName, folder: Path) -> list[dict[str, str]]:
    """The clips of a split; all of a dataset without one."""
    if any("split" not in clip for clip in clips):
        raise PahaError(f"{folder} does not say which clips are for testing; run `paha features` again")
    chosen = [clip for clip in clips if split == "all" or clip["split"] in (split, "")]
    if clips and not chosen:
        raise PahaError(f"no features of {folder} are of --split {split}; run `paha features`, or give another split")
    return chosen


def _load_clip(path: Path, entry: dict[str, str]) -> ClipFeatures:
    try:
        tensors = load_file(path)  # pages of the file, read when touched
    except (OSError, SafetensorError) as error:
        raise PahaError(f"cannot read the features {path}: {error}; remove it and run `paha features` again") from error
    missing = [name for name in CLIP_TENSORS if name not in tensors]
    if missing:
        raise PahaError(f"{path} has no '{missing[0]}'; remove it and run `paha features` again")
    return ClipFeatures(entry["clip_id"], entry["identity"], tensors)


def _check_shapes(clip: ClipFeatures, config: PahaConfig, folder: Path) -> None:
    model = config.model
    size = (config.height // config.codec.downsample, config.width // config.codec.downsample)
    for name, wanted in {
        "latents": (model.latent_channels, *size),
        "audio": (model.audio_layers, model.audio_dim),
    }.items():
        found = tuple(clip.tensors[name].shape[1:])
        if found != wanted:
            raise PahaError(
                f"{name} in {folder} are {found} a frame, the model wants {wanted}; choose a fitting preset"
            )
