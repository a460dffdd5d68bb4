"""A few people of the rig and a tiny untrained presenter with classifiers, for the experiments' tests."""

import torch
from toy import toy_univdm

from experiments.guidance.motion_guidance import Protocol
from experiments.guidance.rig_people import draw_people
from paha.config import AudioConfig, override
from paha.motion.motion_codec import MotionCodec
from paha.pce.classifier import ClassifierConfig, PCEClassifier
from paha.pipeline.pipeline import PahaPipeline
from paha.presets import PRESENTER

TINY = override(
    PRESENTER,
    {
        "model.block_out_channels": (16, 16),
        "model.num_attention_heads": (2, 2),
        "model.audio_hidden_dim": 32,
        "model.audio_token_dim": 16,
        "model.audio_layers": 4,
        "num_frames": 12,
    },
).model_copy(update={"audio": AudioConfig(kind="logmel")})
FRAMES, SEED = 56, 5
PROTOCOL = Protocol(steps=4, cfg_scale=1.0, segments=5, seed=SEED)


def toy_people():
    """Three who speak and move their hands."""
    return draw_people(TINY, 3, seed=SEED, num_frames=FRAMES, held_out=True, hands=True)


def toy_pipeline():
    """With both classifiers."""
    univdm = toy_univdm(TINY)
    pipeline = PahaPipeline(univdm, MotionCodec(), TINY)
    pipeline.set_progress_bar_config(disable=True)
    for region in ("face", "non_face"):
        torch.manual_seed(1)
        config = ClassifierConfig(width=16, num_layers=1, num_heads=2, face_crop=4)
        pipeline.add_classifier(PCEClassifier.from_univdm(univdm, config, region=region).eval().requires_grad_(False))
    return pipeline
