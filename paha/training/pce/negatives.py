"""Negatives of the PCE classifiers (Fig. 5, 5.1, B.3): for each real clip a video by the pretrained UniVDM.

OUT/negatives.json          settings: model, features, sampling
OUT/pairs.jsonl             one line a pair, in order: everything that was drawn for it (`Pair`)
OUT/shards/00000.safetensors    the generated codec latents (T, C, h, w) fp16 of that shard's pairs, by pair number

What is drawn for a pair is a function of (seed, its number) alone, so that shards can be made anywhere in any order,
and a stopped run goes on with those that are missing. Letters: B clips, T frames, C channels, h w latent size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paha.config import PahaConfig
from paha.dataset.dataset import ClipFeatures, FeatureDataset
from paha.errors import PahaError
from paha.extractors.image import ImageEncoder
from paha.motion.sampled import band_limited, initial_noise
from paha.runtime.atomic import atomic_path, write_bytes
from paha.runtime.tensors import save_tensors
from paha.sampling.long_video import Segment, chain_segments, plan_segments, segment_noise
from paha.sampling.sampler import sample
from paha.sampling.schedule import Schedule
from paha.sampling.target import from_target, to_target
from paha.univdm.attention import ConditioningCache
from paha.univdm.audio_window import audio_windows
from paha.univdm.conditioning import Conditioning, predict
from paha.univdm.univdm import UniVDM

SETTINGS, PAIRS, SHARDS = "negatives.json", "pairs.jsonl", "shards"
PAPER_LENGTHS = (30, 60, 90, 120)
"""Frames of a negative, for UniVDM's 32 (5.1)."""


@dataclass(frozen=True)
class Pair:
    """A real window and the video generated for it. Real: frames start .. start + num_frames - 1 of clip_id.

    ref_frame: of the reference, in the same clip. audio_clip_id, audio_start: what the negative speaks; the real
    window's own audio unless --random-audio. noise_seed: of the segments' noise. face_box: of the reference frame,
    x0 y0 x1 y1 in [0, 1], for both members (design row 16).
    """

    number: int
    clip_id: str
    identity: str
    start: int
    num_frames: int
    ref_frame: int
    audio_clip_id: str
    audio_start: int
    noise_seed: int
    face_box: tuple[float, float, float, float]


def pair_lengths(num_frames: int) -> tuple[int, ...]:
    """30, 60, 90 and 120 frames scaled to UniVDM's number of frames; those of the paper at its 32."""
    return tuple(dict.fromkeys(max(1, length * num_frames // 32) for length in PAPER_LENGTHS))


def plan_pairs(
    clips: Sequence[ClipFeatures],
    count: int,
    *,
    lengths: Sequence[int],
    seed: int = 0,
    random_audio: bool = False,
    random_reference: bool = True,
) -> list[Pair]:
    """What is drawn for pairs 0 .. count - 1; clips come round in a shuffled order, each pair of another window.

    lengths: drawn uniformly among those that fit the clip. random_reference: else the window's first frame, Table 3's
    row without augmentation has that and one length. Raises PahaError where no clip is long enough.
    """
    usable = [clip for clip in clips if clip.num_frames >= min(lengths)]
    if not usable:
        raise PahaError(f"no clip has {min(lengths)} frames; make longer ones or give shorter --lengths")
    order = torch.randperm(len(usable), generator=torch.Generator().manual_seed(_seed(seed, "order", 0))).tolist()
    pairs = []
    for number in range(count):
        generator = torch.Generator().manual_seed(_seed(seed, "pair", number))

        def draw(stop: int, generator: torch.Generator = generator) -> int:
            return int(torch.randint(stop, (), generator=generator))

        clip = usable[order[number % len(usable)]]
        fitting = [length for length in lengths if length <= clip.num_frames]
        num_frames = fitting[draw(len(fitting))]
        start, ref = draw(clip.num_frames - num_frames + 1), draw(clip.num_frames)
        voices = [other for other in usable if other.num_frames >= num_frames] if random_audio else [clip]
        voice = voices[draw(len(voices))]
        voice_start = draw(voice.num_frames - num_frames + 1) if random_audio else start
        ref = ref if random_reference else start
        box = tuple(clip.tensors["face_box"][ref].tolist())
        names = (clip.clip_id, clip.identity)
        noise_seed = _seed(seed, "noise", number)
        pairs.append(Pair(number, *names, start, num_frames, ref, voice.clip_id, voice_start, noise_seed, box))
    return pairs


def shards_of(pairs: Sequence[Pair], size: int) -> list[list[Pair]]:
    """Shards of `size` pairs; within one the pairs of equal length lie together, so that they can be sampled in one
    batch."""
    ordered = [list(pairs[start : start + size]) for start in range(0, len(pairs), size)]
    return [sorted(shard, key=lambda pair: (pair.num_frames, pair.number)) for shard in ordered]


@torch.no_grad()
def generate_pairs(
    univdm: UniVDM,
    pairs: Sequence[Pair],
    clips: dict[str, ClipFeatures],
    *,
    config: PahaConfig,
    channel_scale: float = 1.0,
    image_encoder: ImageEncoder | None = None,
    steps: int = 30,
    device: torch.device | str = "cpu",
) -> list[Tensor]:
    """The negatives of pairs of one length: codec latents (T, C, h, w) float32 on the CPU.

    The window's first frame is given (first-frame mode), longer videos are chained as in B.4.1. image_encoder: makes
    the image tokens where the features do not hold them. The noise depends on the pair alone, not on the batch.
    """
    (num_frames,) = {pair.num_frames for pair in pairs}
    schedule, kind = Schedule(config.diffusion), config.diffusion.prediction_type
    real = [clips[pair.clip_id].tensors for pair in pairs]
    references = [clips[pair.clip_id].reference(pair.ref_frame) for pair in pairs]
    refs = torch.stack([latent for latent, _ in references]).to(device)
    own = [channels for _, channels in references if channels is not None]
    channels = torch.stack(own).to(device) if own else None
    firsts = torch.stack([t["latents"][p.start] for t, p in zip(real, pairs, strict=True)]).float().to(device)
    tokens = _image_tokens(real, pairs, refs if channels is None else channels, image_encoder)

    def sample_segment(segment: Segment, first: Tensor | None) -> Tensor:
        sounds = [clips[pair.audio_clip_id].tensors["audio"].float() for pair in pairs]
        frames = [segment.frames + pair.audio_start for pair in pairs]
        audio = [audio_windows(f, config.model.audio_margin, at) for f, at in zip(sounds, frames, strict=True)]
        sound = torch.stack(audio)
        conditioning = Conditioning.build(refs, tokens, sound, channel_scale=channel_scale, ref_channels=channels)
        common: dict[str, Any] = {"conditioning": conditioning, "schedule": schedule, "cache": ConditioningCache()}
        shape = (1, segment.length, *refs.shape[1:])
        noise = torch.cat([segment_noise(shape, seed=pair.noise_seed, index=segment.index) for pair in pairs])
        z_0 = sample(
            lambda z, t: predict(univdm, z, t, **common),
            initial_noise(noise, config).to(device),
            steps=steps,
            schedule=schedule,
            prediction_type=kind,
            first_frame=first,
            first_frame_timestep=config.diffusion.first_frame_timestep,
        )
        limited = band_limited(z_0, config, given_first=first is not None)
        return limited.transpose(0, 1)  # frames first: the chain passes on the last one, of all clips

    given = to_target(firsts[:, None], refs, config.diffusion)[:, 0]
    chain = chain_segments(sample_segment, plan_segments(num_frames, config.num_frames), first_latent=given)
    z_0 = torch.cat([latents[segment.emitted] for segment, latents in chain]).transpose(0, 1)
    return list(from_target(z_0, refs, config.diffusion).cpu())


def write_plan(out: Path, pairs: Sequence[Pair], settings: dict[str, Any]) -> None:
    """Write negatives.json and pairs.jsonl, or check that OUT was begun with the same. Raises PahaError where not.

    More pairs than were planned before extend the set.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / SETTINGS
    if path.is_file():
        before = _read_json(path)
        for key in sorted(before.keys() | settings.keys()):
            if key != "count" and before.get(key) != settings.get(key):
                change = f"'{key}' was {before.get(key)!r} and is now {settings.get(key)!r}"
                raise PahaError(f"{out} holds other negatives: {change}; set it back or choose another folder")
        if before["count"] > len(pairs):
            raise PahaError(f"{out} was begun for {before['count']} pairs; ask for as many or choose another folder")
    write_bytes(out / PAIRS, "".join(json.dumps(asdict(pair)) + "\n" for pair in pairs).encode())
    write_bytes(path, json.dumps(settings, indent=1).encode())


def read_pairs(out: Path) -> list[Pair]:
    """The pairs of a folder, in order. Raises PahaError where it holds none or a line is damaged."""
    try:
        lines = (out / PAIRS).read_text(encoding="utf-8").splitlines()
        return [Pair(**(data := json.loads(line)) | {"face_box": tuple(data["face_box"])}) for line in lines]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PahaError(f"no negatives in {out} ({error}); make them with `paha negatives`") from error


def load_negatives(out: Path) -> tuple[list[Pair], dict[int, Tensor]]:
    """The pairs whose videos are there, and the videos by pair number. Raises PahaError for a damaged shard."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    latents: dict[int, Tensor] = {}
    for path in sorted((out / SHARDS).glob("*.safetensors")):
        try:
            latents |= {int(name): value for name, value in load_file(path).items()}
        except (OSError, SafetensorError, ValueError) as error:
            raise PahaError(
                f"the shard {path} is damaged ({error}); remove it and run `paha negatives` again"
            ) from error
    pairs = [pair for pair in read_pairs(out) if pair.number in latents]
    if not pairs:
        raise PahaError(f"{out} holds no finished shard yet; run `paha negatives` on")
    return pairs, latents


def save_shard(path: Path, latents: dict[int, Tensor]) -> None:
    """Write one shard, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        save_tensors({str(number): value.half() for number, value in latents.items()}, temporary)


def make_shard(
    out: Path,
    index: int,
    shard: Sequence[Pair],
    *,
    batch_size: int,
    univdm: UniVDM,
    clips: dict[str, ClipFeatures],
    **options: Any,
) -> None:
    """Generate the pairs of a shard in batches of equal length and save them. Options as in `generate_pairs`."""
    latents: dict[int, Tensor] = {}
    for batch in _batches(shard, batch_size):
        generated = generate_pairs(univdm, batch, clips, **options)
        latents |= {pair.number: value for pair, value in zip(batch, generated, strict=True)}
    save_shard(shard_path(out, index), latents)


def is_whole(path: Path, shard: Sequence[Pair]) -> bool:
    """Whether the file holds every pair of the shard: not before it was made, nor after the set was extended."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return {str(pair.number) for pair in shard} <= set(file.keys())
    except (OSError, SafetensorError):
        return False


def shard_path(out: Path, index: int) -> Path:
    """Where shard number `index` lies."""
    return out / SHARDS / f"{index:05d}.safetensors"


def clips_by_id(dataset: FeatureDataset) -> dict[str, ClipFeatures]:
    """The clips of a dataset by name."""
    return {clip.clip_id: clip for clip in dataset.clips}


def _batches(shard: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    batch: list[Pair] = []
    for pair in shard:
        if batch and (len(batch) == size or batch[0].num_frames != pair.num_frames):
            yield batch
            batch = []
        batch.append(pair)
    if batch:
        yield batch


def _image_tokens(
    real: list[dict[str, Tensor]], pairs: Sequence[Pair], refs: Tensor, image_encoder: ImageEncoder | None
) -> Tensor:
    if image_encoder is None or "image_tokens" in real[0]:
        tokens = [t["image_tokens"][p.ref_frame].float() for t, p in zip(real, pairs, strict=True)]
        return torch.stack(tokens).to(refs.device)
    return image_encoder.encode(refs)


def _seed(seed: int, name: str, number: int) -> int:
    digest = hashlib.blake2b(f"negatives/{seed}/{name}/{number}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "little")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PahaError(f"{path} is damaged ({error}); choose another folder") from error
