"""The rig's report: GRID's file names are read as its sentences, and what is counted is what is there."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.grid_speakers import Speaker, sentence_of
from experiments.rig_report import blink_seconds, correlation, grid_table, rig_opening
from paha.dataset.synth.face_motion import blinks
from paha.dataset.synth.speech import speak
from paha.errors import PahaError


def test_names_are_sentences() -> None:
    assert sentence_of("grid_bbaf2n") == "bin blue at f two now"
    assert sentence_of("swiz3n") == "set white in z three now"
    assert sentence_of("prwrzs") == "place red with r zero soon"
    with pytest.raises(PahaError, match="GRID"):
        sentence_of("latentsync_demo1")


def test_blinks_are_counted_and_timed() -> None:
    lengths = blink_seconds(blinks(np.array([0.5, 2.02]), np.arange(0, 3, 0.04)))
    assert len(lengths) == 2
    assert 0.1 < np.mean(lengths) < 0.2


def test_a_speaker_who_moves_as_the_rig_does_has_r_1_and_one_who_does_not_has_less() -> None:
    speech = speak("Every morning the famous painter opened a window.", voice="en-us")
    silent = Speaker("a", speech, np.zeros(round(speech.duration_s * 25)))
    opening = rig_opening(silent)
    assert correlation(Speaker("a", speech, opening), opening) == pytest.approx(1)
    late = Speaker("b", speech, np.roll(opening, 5))
    assert correlation(late, opening) < 0.6
    assert grid_table([late])[2].startswith("| b | ")
