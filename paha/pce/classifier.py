"""PCEClassifier (section 4.1.3, Fig. 4): UniVDM's encoder, pooled per frame, and a transformer with the audio.

Letters: B clips, T frames, C channels, H W latent size, D width of the transformer, A audio tokens of a frame,
S = 1 + 2T sequence.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from paha.config import ModelConfig, Section
from paha.errors import PahaError
from paha.pce.regions import Region
from paha.runtime.network import Network, register_to_config
from paha.univdm.conditioning import Conditioning
from paha.univdm.embeddings import sinusoids
from paha.univdm.univdm import UniVDM


class ClassifierConfig(Section):
    """What follows UniVDM's encoder in a PCE classifier. The defaults are ours: the paper gives none.

    width, num_layers, num_heads: of the transformer. face_crop: side in latent cells of the window around the face that
    the face classifier is shown, 0 for everything; everything else is zero there anyway. num_levels: cut the encoder
    after so many levels (cheaper, approximate); 0 keeps the whole way down and the middle. spatial_encoding: how E_s
    enters, as a table that is added (Eq. 4) or as a rotation of channel pairs. For small models, which learn to compare
    slowly (docs/log.md): frame_similarity adds to the logit, scaled, the mean cosine of each frame's video and audio
    token; audio_free_encoder keeps the audio from the encoder, so that only the transformer and that cosine have it.
    widen: factor on the sides of the face's box; above 1 a non-face classifier is not shown jaw, neck and hair, from
    which lips can be guessed.
    """

    width: int = Field(default=512, ge=2, multiple_of=2)
    num_layers: int = Field(default=4, ge=1)
    num_heads: int = Field(default=8, ge=1)
    face_crop: int = Field(default=0, ge=0)
    num_levels: int = Field(default=0, ge=0)
    spatial_encoding: Literal["table", "rotary"] = "table"
    frame_similarity: bool = False
    audio_free_encoder: bool = False
    widen: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.num_heads:
            raise ValueError(f"width is {self.width}; it must be divisible by num_heads, {self.num_heads}")
        return self


CLASSIFIERS = {
    "paper": ClassifierConfig(),
    # The face has 2 x 2 of the 8 x 8 cells: a window of 4 x 4 costs a quarter and loses nothing. The cosine of each
    # frame's tokens and an encoder without audio: loss 0.44 after 43 steps of pretraining, 0.67 after 99 without.
    "presenter": ClassifierConfig(
        width=128, num_layers=2, num_heads=4, face_crop=4, frame_similarity=True, audio_free_encoder=True
    ),
    "debug": ClassifierConfig(width=32, num_layers=1, num_heads=2, face_crop=4),
}
"""By the name of the preset; others have the paper's."""


class SyncHead(nn.Module):
    """From tokens of video and audio to the logit of their being in sync; also where the video's come from
    elsewhere."""

    def build_head(self, width: int, *, num_layers: int, num_heads: int, frame_similarity: bool) -> None:
        """Make the parts, with the names that they have in a classifier's files. Options: see `ClassifierConfig`."""
        self.cls_token = nn.Parameter(0.02 * torch.randn(width))
        self.modal_encoding = nn.Parameter(0.02 * torch.randn(2, width))
        layer = nn.TransformerEncoderLayer(
            width, num_heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        # Scale and shift of the mean cosine.
        self.similarity = nn.Parameter(torch.tensor([10.0, -2.0])) if frame_similarity else None

    def logits(self, video: Tensor, audio: Tensor) -> Tensor:
        """Logits (B,) of the tokens of video and audio, (B, T, D) each."""
        similarity = 0.0
        if self.similarity is not None:
            cosine_B = F.cosine_similarity(video.float(), audio.float(), dim=-1).mean(dim=1)
            similarity = self.similarity[0] * cosine_B + self.similarity[1]
        # Eq. 4, 5
        times_TD = sinusoids(torch.arange(video.shape[1], device=video.device), video.shape[2]).to(video)
        video = video + self.modal_encoding[0] + times_TD
        audio = audio + self.modal_encoding[1] + times_TD
        # Eq. 6
        cls = self.cls_token.expand(len(video), 1, -1)
        encoded_BSD = self.encoder(torch.cat([cls, video, audio], dim=1))
        return self.head(encoded_BSD[:, 0]).squeeze(-1) + similarity


class PCEClassifier(SyncHead, Network):
    """Tells real from generated, in sync from not, in one region of noisy latents: D_face or D_non_face.

    univdm: the options of the UniVDM whose encoder it starts from (`ModelConfig`). region: what it is shown of the
    latents (`paha.pce.regions.select_region`, with `crop` and `widen`); the model itself takes what it is given.
    Others: see `ClassifierConfig`. Build it with `from_univdm`.
    """

    @register_to_config
    def __init__(
        self,
        *,
        univdm: dict[str, Any],
        region: Region,
        width: int,
        num_layers: int,
        num_heads: int,
        crop: int = 0,
        num_levels: int = 0,
        spatial_encoding: str = "table",
        frame_similarity: bool = False,
        audio_free_encoder: bool = False,
        widen: float = 1.0,
    ) -> None:
        super().__init__()
        options = ModelConfig(**univdm)
        self.trunk = UniVDM.from_model_config(options, encoder_only=True)
        channels = _cut(self.trunk, num_levels)
        if crop % self.size_factor:
            raise PahaError(f"the classifier's crop of {crop} cells must be divisible by {self.size_factor}")
        self.video_proj = nn.Linear(channels, width)
        self.audio_proj = nn.Linear(options.audio_token_dim, width)
        self.build_head(width, num_layers=num_layers, num_heads=num_heads, frame_similarity=frame_similarity)

    @classmethod
    def from_univdm(cls, univdm: Any, config: ClassifierConfig, *, region: Region) -> Self:
        """A classifier whose encoder has UniVDM's weights (as `UniVDM.encoder_copy`) and whose rest is random."""
        source = ModelConfig(**{name: univdm.config[name] for name in ModelConfig.model_fields})
        options = config.model_dump(exclude={"face_crop"})
        crop = config.face_crop if region == "face" else 0
        classifier = cls(univdm=source.model_dump(mode="json"), region=region, crop=crop, **options)
        own = univdm.state_dict()
        classifier.trunk.load_state_dict({key: own[key].float() for key in classifier.trunk.state_dict()})
        return classifier

    @property
    def region(self) -> Region:
        """The region that it was trained on."""
        return self.config["region"]

    @property
    def crop(self) -> int:
        """Side of the window around the face that it was trained on, in cells; 0 for everything."""
        return self.config["crop"]

    @property
    def widen(self) -> float:
        """Factor on the sides of the face's box in its training."""
        return self.config["widen"]

    @property
    def size_factor(self) -> int:
        """What the latent's height and width must be divisible by."""
        return 2 ** (len(self.trunk.down_blocks) - 1)

    def forward(self, z_BTCHW: Tensor, time_BT: Tensor, audio_BTWLD: Tensor) -> Tensor:
        """Logits (B,) of the synchronisation score s = sigmoid(logit): 1 real and in sync, 0 not.

        z_BTCHW: noisy latents, already masked and cropped, any T. time_BT: ln(sigma/alpha)/4 of each frame.
        audio_BTWLD: the windows A(f) of raw audio features.
        """
        return self.logits(self.encode_video(z_BTCHW, time_BT, audio_BTWLD), self.encode_audio(audio_BTWLD))

    def encode_video(
        self, z_BTCHW: Tensor, time_BT: Tensor, audio_BTWLD: Tensor, *, audio_free: bool = False
    ) -> Tensor:
        """One token a frame of the video, (B, T, D), before its encodings. audio_free: with the audio's tokens zero."""
        conditioning = Conditioning.without_reference(
            z_BTCHW, audio_BTWLD, token_dim=self.trunk.config["cross_attention_dim"]
        )
        audio_free = audio_free or self.config["audio_free_encoder"]
        trained = torch.is_grad_enabled() and self.video_proj.weight.requires_grad
        if audio_free and trained:  # every weight needs its (zero) gradient
            conditioning = conditioning.without_audio()
        features = self.trunk.encode(z_BTCHW, time_BT, conditioning, audio_free=audio_free and not trained)
        return self.video_proj(pool_frames(features, self.config["spatial_encoding"]))

    def encode_audio(self, audio_BTWLD: Tensor) -> Tensor:
        """One token a frame of the audio, (B, T, D), before its encodings."""
        return self.audio_proj(self.trunk.audio_tokens(audio_BTWLD).mean(dim=2))


# Eq. 7
def bce_loss(logits: Tensor, target: Tensor) -> Tensor:
    """-(y log s + (1 - y) log(1 - s)), the mean over clips. target: y (B,), 1 real and 0 generated (design row 11)."""
    return F.binary_cross_entropy_with_logits(logits.float(), target.float())


# Eq. 4
def pool_frames(features_BTCHW: Tensor, encoding: str = "table") -> Tensor:
    """GMP of each frame's features with their positions E_s in time, height and width: (B, T, C).

    The encoding comes before the pooling, which removes space: added after it, it would say nothing (design row 9).
    """
    dtype = torch.promote_types(features_BTCHW.dtype, torch.float32)
    table = _position_table(tuple(features_BTCHW.shape[1:]), encoding, features_BTCHW.device, dtype)
    table = table.to(features_BTCHW.dtype)
    if encoding == "rotary":
        (first, second), (cos, sin) = features_BTCHW.unflatten(2, (-1, 2)).unbind(3), table
        rotated = torch.stack([first * cos - second * sin, first * sin + second * cos], dim=3).flatten(2, 3)
        return rotated.amax(dim=(3, 4))
    return (features_BTCHW + table).amax(dim=(3, 4))


@lru_cache(maxsize=8)
def _position_table(shape: tuple[int, ...], encoding: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    """E_s of features (T, C, H, W): waves of that shape, or for rotary the cosine and sine of each channel pair.

    Kept where it is used (drawn anew on the CPU at every step it would hold up a GPU), in float32 or better: half
    precision is too coarse for angles.
    """
    angles = rotary_angles(shape).to(device, dtype)
    if encoding == "rotary":
        return torch.stack([angles[:, 0::2].cos(), angles[:, 0::2].sin()])
    even = torch.arange(shape[1], device=device)[:, None, None] % 2 == 0
    return torch.where(even, angles.cos(), angles.sin())


def rotary_angles(shape: tuple[int, ...]) -> Tensor:
    """Angles (T, C, H, W) of 3D RoPE for shape (T, C, H, W): a third of the channel pairs for each of time, height and
    width, at frequencies from 1 down towards 1/10000. Both channels of a pair have one angle; left-over pairs have 0.
    """
    T, C, H, W = shape
    pairs = C // 6
    frequencies = torch.exp(-math.log(10_000) / max(1, pairs) * torch.arange(pairs))
    angles = torch.zeros(T, C // 2, H, W)
    for axis, (length, where) in enumerate(((T, (0, 1)), (H, (2, 1)), (W, (3, 1)))):
        along = torch.arange(length)[:, None] * frequencies  # length, pairs
        place = [1, pairs, 1, 1]
        place[where[0]] = length
        block = along.T.reshape(place) if where[0] else along.reshape(length, pairs, 1, 1)
        angles[:, axis * pairs : (axis + 1) * pairs] += block
    return angles.repeat_interleave(2, dim=1)


class _NoMiddle(nn.Module):
    """The middle of an encoder that is cut before it."""

    def forward(self, x_BTHWC: Tensor, context: object) -> Tensor:
        """The features as they are."""
        return x_BTHWC


def _cut(trunk: UniVDM, num_levels: int) -> int:
    """Cut the encoder after `num_levels` levels (0: not at all); returns the channels of its features."""
    widths = trunk.config["block_out_channels"]
    if num_levels == 0:
        return widths[-1]
    if not 1 <= num_levels <= len(widths):
        raise PahaError(f"the classifier's num_levels is {num_levels}; this UniVDM has {len(widths)} levels")
    trunk.down_blocks = trunk.down_blocks[:num_levels]
    trunk.down_blocks[-1].downsamplers = nn.ModuleList()
    trunk.mid_block = _NoMiddle()  # pyright: ignore[reportAttributeAccessIssue]
    return widths[num_levels - 1]
