"""Sound in and out: formats, lengths, damage, hostile names."""

import wave

import numpy as np
import pytest
from media_files import numbered_frames, write_sound, write_timed

from paha.errors import PahaError
from paha.media.audio_io import as_audio, is_silent, num_video_frames, read_audio, to_mono_16k, write_wav


def tones(seconds: float, rate_hz: int, channels: int = 1) -> np.ndarray:
    """(N, channels): another pitch in every channel."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.stack([0.3 * np.sin(2 * np.pi * (220 + 110 * c) * t) for c in range(channels)], 1).astype(np.float32)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    n = min(len(a), len(b))
    return float(np.corrcoef(a[:n].ravel(), b[:n].ravel())[0, 1])


def write_riff(path, samples: np.ndarray, *, data_size: int, kind: int = 3) -> None:
    """A mono 16 kHz float WAV whose header announces `data_size` bytes."""
    data = samples.astype("<f4").tobytes()
    head = b"RIFF" + (0xFFFFFFFF).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    head += kind.to_bytes(2, "little") + (1).to_bytes(2, "little") + (16_000).to_bytes(4, "little")
    head += (64_000).to_bytes(4, "little") + (4).to_bytes(2, "little") + (32).to_bytes(2, "little")
    path.write_bytes(head + b"data" + data_size.to_bytes(4, "little") + data)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate_hz", [8000, 22050, 48000])
def test_wav_round_trip_is_exact_to_the_16th_bit(tmp_path, rate_hz, channels):
    samples = tones(0.31, rate_hz, channels)
    write_wav(tmp_path / "a.wav", samples, rate_hz)
    back, rate = read_audio(tmp_path / "a.wav")
    assert (rate, back.dtype, back.shape) == (rate_hz, np.float32, samples.shape)
    np.testing.assert_allclose(back, samples, atol=0.51 / 32768)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_write_wav_takes_mono_vectors_and_clips(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([0.0, 2.0, -2.0, 0.5], np.float32), 16_000)
    back, _ = read_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(back[:, 0], [0, 32767 / 32768, -1, 0.5])


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "layout", "channels", "exact"),
    [
        ("a.flac", "flac", 44100, "stereo", 2, True),
        ("a.m4a", "aac", 22050, "mono", 1, True),
        ("a.m4a", "aac", 44100, "stereo", 2, True),
        ("a.m4a", "aac", 48000, "5.1", 6, True),
        ("a.mp3", "libmp3lame", 44100, "stereo", 2, False),
        ("a.mp3", "libmp3lame", 16000, "mono", 1, False),
        ("a.ogg", "libopus", 48000, "mono", 1, False),
        ("a.opus", "libopus", 48000, "stereo", 2, False),
        ("a.mka", "pcm_s24le", 96000, "7.1", 8, True),
        ("a.aac", "aac", 16000, "mono", 1, False),
    ],
)
def test_formats_keep_rate_channels_length_and_alignment(tmp_path, name, codec, rate_hz, layout, channels, exact):
    samples = tones(0.7, rate_hz, channels)
    back, rate = read_audio(write_sound(tmp_path / name, samples, rate_hz, codec=codec, layout=layout))
    assert (rate, back.shape[1]) == (rate_hz, channels)
    if exact:
        assert len(back) == len(samples)
    else:  # padding that the format does not declare
        assert abs(len(back) - len(samples)) <= 3000
    if codec != "aac" or exact:  # bare AAC does not say how many samples lead in
        shown = [0, 1] if channels > 1 else [0]  # lossy codecs band-limit the low-frequency channel
        assert correlation(back[:, shown], samples[:, shown]) > 0.98


def test_more_channels_than_any_layout(tmp_path):
    samples = tones(0.2, 16_000, 11)
    write_wav(tmp_path / "a.wav", samples, 16_000)
    back, _ = read_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(back, samples, atol=0.51 / 32768)


def test_cover_art_is_no_picture(tmp_path):
    from paha.media.video_io import read_video

    samples = tones(0.5, 44100)
    path = write_sound(tmp_path / "a.mp3", samples, 44100, codec="libmp3lame", layout="mono", cover=True)
    back, _ = read_audio(path)
    assert correlation(back, samples) > 0.98
    with pytest.raises(PahaError, match=r"a\.mp3 has no picture"):
        read_video(path)


def test_sound_that_starts_after_its_picture_is_led_in_by_silence(tmp_path):
    samples = tones(0.5, 16_000)[:, 0]
    path = write_timed(
        tmp_path / "a.mkv", numbered_frames(20), [40 * k for k in range(20)], samples=samples, sound_at_ms=200
    )
    back, _ = read_audio(path)
    assert len(back) == 3200 + len(samples)
    assert np.abs(back[:3200]).max() == 0
    np.testing.assert_allclose(back[3200:, 0], samples, atol=2 / 32768)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_wav_from_a_pipe_has_no_length_in_its_header(tmp_path, size):
    samples = tones(0.3, 16_000)[:, 0]
    write_riff(tmp_path / "a.wav", samples, data_size=size)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0][:, 0], samples)


def test_samples_that_are_not_numbers(tmp_path):
    write_riff(tmp_path / "a.wav", np.array([0.1, np.nan, 0.1] * 100), data_size=1200)
    with pytest.raises(PahaError, match=r"a\.wav holds samples that are not numbers"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(("name", "codec"), [("a.flac", "flac"), ("a.m4a", "aac"), ("a.wav", "pcm_s16le")])
def test_truncated_sound_is_named(tmp_path, name, codec):
    noise = np.random.default_rng(0).normal(0, 0.1, (32_000, 1))
    path = write_sound(tmp_path / name, noise, 16_000, codec=codec, layout="mono")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(PahaError, match=name.replace(".", r"\.")) as caught:
        read_audio(path)
    assert "\n" not in str(caught.value)


def test_damage_in_the_middle_is_named(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, (32_000, 1))
    path = write_sound(tmp_path / "a.m4a", noise, 16_000, codec="aac", layout="mono")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 1500] = b"\xff" * 1500
    path.write_bytes(data)
    with pytest.raises(PahaError, match=r"a\.m4a is damaged"):
        read_audio(path)


@pytest.mark.parametrize("name", ["words.txt", "words.wav", "words.mp4", "words"])
def test_text_is_no_sound(tmp_path, name):
    (tmp_path / name).write_text("this is text, line after line\n" * 50)
    with pytest.raises(PahaError, match=name):
        read_audio(tmp_path / name)


def test_playlists_do_not_reach_other_files(tmp_path):
    write_wav(tmp_path / "secret.wav", tones(0.5, 16_000), 16_000)
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n")
    concat = tmp_path / "list.ffconcat"
    concat.write_text("ffconcat version 1.0\nfile secret.wav\n")
    for path in (playlist, concat):
        with pytest.raises(PahaError, match=path.name):
            read_audio(path)


def test_missing_folder_empty_and_soundless(tmp_path):
    with pytest.raises(PahaError, match="does not exist"):
        read_audio(tmp_path / "nothing.wav")
    with pytest.raises(PahaError, match="is a folder"):
        read_audio(tmp_path)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(PahaError, match=r"empty\.wav"):
        read_audio(tmp_path / "empty.wav")
    write_wav(tmp_path / "none.wav", np.zeros((0, 1), np.float32), 16_000)
    with pytest.raises(PahaError, match=r"none\.wav"):
        read_audio(tmp_path / "none.wav")
    silent = write_timed(tmp_path / "mute.mp4", numbered_frames(5), [40 * k for k in range(5)])
    with pytest.raises(PahaError, match=r"mute\.mp4 has no sound"):
        read_audio(silent)


@pytest.mark.parametrize("name", ["a:b.wav", "%03d.wav", "-o.wav", "sp ace 语音.wav"])
def test_names_that_ffmpeg_would_read_otherwise(tmp_path, name):
    write_wav(tmp_path / name, tones(0.3, 16_000), 16_000)
    assert len(read_audio(tmp_path / name)[0]) == 4800


def test_write_wav_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PahaError, match=r"cannot write .*out\.wav"):
        write_wav(tmp_path / "file" / "out.wav", tones(0.1, 16_000), 16_000)
    with pytest.raises(PahaError, match="it is a folder"):
        write_wav(tmp_path, tones(0.1, 16_000), 16_000)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 44100, 48000])
def test_to_mono_16k_keeps_time_and_pitch(rate_hz):
    stereo = tones(1.0, rate_hz, 2)
    mono = to_mono_16k(stereo, rate_hz)
    expected = tones(1.0, 16_000, 2).mean(axis=1)
    assert (mono.dtype, len(mono)) == (np.float32, 16_000)
    # Away from the ends, where a resampler sees only half of its window.
    np.testing.assert_allclose(mono[400:-400], expected[400:-400], atol=2e-3)
    np.testing.assert_array_equal(to_mono_16k(stereo[:, 0], rate_hz), to_mono_16k(stereo[:, :1], rate_hz))


def test_is_silent_at_minus_60_dbfs():
    assert is_silent(np.zeros(0, np.float32))
    assert is_silent(np.zeros(1000, np.float32))
    assert is_silent(np.full(1000, 0.00099, np.float32))
    assert not is_silent(np.full(1000, 0.00101, np.float32))


def test_num_video_frames_rounds_half_up():
    assert num_video_frames(0, 16_000) == 1
    assert num_video_frames(16_000, 16_000) == 25
    assert num_video_frames(16_000 + 320, 16_000) == 26
    assert num_video_frames(16_000 + 319, 16_000) == 25
    assert num_video_frames(212_893, 22_050) == 241
    assert num_video_frames(3 * 44_100 * 3600, 44_100) == 3 * 90_000


def test_speech_fixture_is_16_bit_mono(speech_wav, speech_samples):
    with wave.open(str(speech_wav)) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getnframes()) == (1, 16_000, len(speech_samples))
    assert not is_silent(speech_samples)


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels", "seconds"),
    [
        ("audio/jfk.flac", 44_100, 2, 11.0),
        ("audio/LJ001-0001.wav", 22_050, 1, 9.655),
        ("audio/librispeech-1995-1837-0001.wav", 16_000, 1, 8.73),
        ("audio/aishell-BAC009S0724W0121.wav", 16_000, 1, 4.281),
        ("clips/latentsync_demo1.mp4", 44_100, 2, 10.008),
        ("clips/grid_bbaf2n.mpg", 44_100, 2, 2.978),
    ],
)
def test_real_recordings(shared, name, rate_hz, channels, seconds):
    samples, rate = read_audio(shared / "media" / name)
    assert (rate, samples.shape[1]) == (rate_hz, channels)
    assert len(samples) / rate == pytest.approx(seconds, abs=0.001)
    mono = to_mono_16k(samples, rate)
    assert not is_silent(mono)
    assert np.abs(mono).max() <= 1.1


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32])
def test_integers_are_taken_by_the_range_of_their_type(dtype):
    """Unsigned 8-bit sound is silent at 128."""
    wave_ = 0.5 * np.sin(np.arange(8000) * 0.05)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    middle = (int(low) + int(high) + 1) // 2
    coded = np.rint(wave_ * (high - middle) + middle).astype(dtype)
    samples, rate_hz = as_audio((coded, 16_000))
    assert (rate_hz, samples.shape, samples.dtype) == (16_000, (8000, 1), np.float32)
    np.testing.assert_allclose(samples[:, 0], wave_, atol=0.01)
    silent, _ = as_audio((np.full(8000, middle, dtype), 16_000))
    assert is_silent(silent[:, 0])


@pytest.mark.parametrize("empty", [np.zeros(0), np.zeros((0, 2)), np.zeros(0, np.int16), []])
def test_no_samples_at_all_are_refused_in_one_line(empty):
    with pytest.raises(PahaError, match=r"0\.00 s long"):
        as_audio((empty, 16_000))


@pytest.mark.parametrize(("shape", "rate_hz"), [((8000, 1, 1), 16_000), ((8000,), 0), ((8000,), -1)])
def test_sound_of_no_shape_or_rate_is_refused(shape, rate_hz):
    with pytest.raises(PahaError, match="samples"):
        as_audio((np.ones(shape, np.float32), rate_hz))
