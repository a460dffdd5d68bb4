"""Pictures in and out."""

import struct
import zlib

import numpy as np
import pytest
from media_files import psnr, smooth_frames
from PIL import Image, features

from paha.errors import PahaError
from paha.media.image_io import contact_sheet, fit_image, read_image, save_png

PICTURE = smooth_frames(1, height=40, width=60)[0]


def png(width: int, height: int, *, depth: int = 8, rows: bytes = b"\0" * 100) -> bytes:
    """A PNG file in RGB that announces any size, whatever its rows hold: what a decompression bomb is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_png_round_trip(tmp_path):
    save_png(tmp_path / "new" / "a.png", PICTURE)
    back = read_image(tmp_path / "new" / "a.png")
    assert (back.dtype, back.flags.writeable) == (np.uint8, True)
    np.testing.assert_array_equal(back, PICTURE)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]


@pytest.mark.parametrize("suffix", ["jpg", "webp", "bmp", "tiff", "gif", "avif"])
def test_formats(tmp_path, suffix):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this pillow was built without AVIF")
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PICTURE).save(path, quality=95)
    back = read_image(path)
    assert back.shape == PICTURE.shape
    assert psnr(back, PICTURE) > 28


def test_heic_where_the_plug_in_is_there(tmp_path):
    path = tmp_path / "a.heic"
    path.write_text("no picture")
    with pytest.raises(PahaError, match=r"a\.heic is no picture that can be read; pip install 'pillow-heif', or give"):
        read_image(path)
    heif = pytest.importorskip("pillow_heif", reason="no plug-in for HEIC: pip install pillow-heif")
    heif.from_pillow(Image.fromarray(PICTURE)).save(path, quality=95)
    assert psnr(read_image(path), PICTURE) > 28


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    stored = {
        1: PICTURE,
        2: PICTURE[:, ::-1],
        3: PICTURE[::-1, ::-1],
        4: PICTURE[::-1],
        5: PICTURE.transpose(1, 0, 2),
        6: np.rot90(PICTURE, 1),
        7: PICTURE[::-1, ::-1].transpose(1, 0, 2),  # about the other diagonal
        8: np.rot90(PICTURE, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PICTURE)


def test_transparency_lies_over_white(tmp_path):
    alpha = np.zeros((40, 60, 1), np.uint8)
    alpha[:, 20:40], alpha[:, 40:] = 128, 255
    Image.fromarray(np.concatenate([PICTURE, alpha], -1)).save(tmp_path / "a.png")
    back = read_image(tmp_path / "a.png")
    assert (back[:, :20] == 255).all()
    np.testing.assert_allclose(back[:, 20:40], (PICTURE[:, 20:40].astype(float) + 255) / 2, atol=1.5)
    np.testing.assert_array_equal(back[:, 40:], PICTURE[:, 40:])


def test_transparent_palette(tmp_path):
    image = Image.new("P", (32, 32), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (16, 0, 32, 32))
    image.save(tmp_path / "a.png", transparency=0)
    back = read_image(tmp_path / "a.png")
    assert (back[0, 0].tolist(), back[0, 31].tolist()) == ([255, 255, 255], [200, 100, 50])


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey(tmp_path, suffix):
    values = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    back = read_image(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(back, np.repeat(values[..., None] / 257, 3, -1), atol=0.51)


def test_16_bit_colour(tmp_path):
    rows = (b"\0" + struct.pack(">96H", *([40_000, 20_000, 60_000] * 32))) * 32
    (tmp_path / "a.png").write_bytes(png(32, 32, depth=16, rows=rows))
    np.testing.assert_allclose(read_image(tmp_path / "a.png")[3, 3], [40_000 / 257, 20_000 / 257, 60_000 / 257], atol=1)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "P", "CMYK", "F", "I"])
def test_other_modes(tmp_path, mode):
    grey = Image.fromarray(PICTURE[..., 1])
    suffix = "tiff" if mode in ("CMYK", "F", "I") else "png"
    source = grey.convert("RGB") if mode in ("CMYK", "P") else grey
    source.convert(mode).save(tmp_path / f"a.{suffix}")
    back = read_image(tmp_path / f"a.{suffix}")
    assert (back.dtype, back.shape) == (np.uint8, PICTURE.shape)
    expected = np.repeat(np.asarray(grey.convert("1").convert("L") if mode == "1" else grey)[..., None], 3, -1)
    assert psnr(back, expected) > (20 if mode == "P" else 28)  # the web palette is coarse


def test_cmyk_jpeg(tmp_path):
    Image.fromarray(PICTURE).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert psnr(read_image(tmp_path / "a.jpg"), PICTURE) > 25


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    for suffix in ("gif", "webp", "png"):
        frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
        assert read_image(tmp_path / f"a.{suffix}")[5, 5].tolist() == pytest.approx([255, 0, 0], abs=2)


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_too_small(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "a.png")
    with pytest.raises(PahaError, match=rf"a\.png is {size[0]}x{size[1]} pixels"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("size", [(10_001, 10_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_too_large_without_decoding_it(tmp_path, size, recwarn):
    (tmp_path / "a.png").write_bytes(png(*size))
    with pytest.raises(PahaError, match=r"a\.png .*megapixels"):
        read_image(tmp_path / "a.png")
    assert not recwarn.list


@pytest.mark.parametrize("keep", [10, 40, 0.3, 0.9])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "gif", "bmp"])
def test_truncated(tmp_path, suffix, keep):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep > 1 else int(len(data) * keep)])
    with pytest.raises(PahaError, match=rf"a\.{suffix}") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "gif"])
def test_random_damage_never_ends_in_another_error(tmp_path, suffix):
    rng, path = np.random.default_rng(1), tmp_path / f"a.{suffix}"
    Image.fromarray(PICTURE).save(path)
    data, refused = path.read_bytes(), 0
    for _ in range(40):
        broken = bytearray(data)
        for at in rng.integers(0, min(len(data), 400), 6):
            broken[at] = rng.integers(256)
        path.write_bytes(broken)
        try:
            assert read_image(path).ndim == 3
        except PahaError:
            refused += 1
    assert refused > 0


def test_what_is_no_picture(tmp_path, speech_wav):
    (tmp_path / "a.png").write_text("this is text")
    (tmp_path / "b.jpg").touch()
    (tmp_path / "c.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\nshowpage\n")
    for path in (tmp_path / "a.png", tmp_path / "b.jpg", tmp_path / "c.eps", speech_wav):
        with pytest.raises(PahaError, match=f"{path.name} is no picture"):
            read_image(path)
    with pytest.raises(PahaError, match="does not exist"):
        read_image(tmp_path / "none.png")
    with pytest.raises(PahaError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize(("width", "height"), [(20, 20), (60, 20), (10, 40), (128, 128), (3, 2)])
def test_fit_image_crops_the_centre(width, height):
    x = np.linspace(0, 250, 60)
    image = np.repeat(np.broadcast_to(x, (40, 60))[..., None], 3, -1).astype(np.uint8)
    out = fit_image(image, width=width, height=height)
    assert (out.dtype, out.shape) == (np.uint8, (height, width, 3))
    # A horizontal ramp shows which columns are kept: the middle crop_width of 60.
    crop_width = 60 * min(1, (width / height) / (60 / 40))
    ends = 125 + np.array([-1, 1]) * (crop_width / 2) * (250 / 59) * (1 - 1 / width)
    assert out.mean() == pytest.approx(125, abs=1)
    np.testing.assert_allclose(out[0, [0, -1], 0], ends, atol=3)


def test_fit_image_where_rounding_makes_the_crop_larger_than_the_picture():
    """21 / 38 of 38 pixels are 21.000000000000004 of 21: Pillow refused the box."""
    assert fit_image(np.zeros((21, 16, 3), np.uint8), width=16, height=38).shape == (38, 16, 3)


def test_fit_image_does_not_alias():
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    out = fit_image(stripes, width=32, height=32)
    assert np.abs(out.astype(int) - 127).max() <= 2
    np.testing.assert_array_equal(fit_image(PICTURE, width=60, height=40), PICTURE)


def test_contact_sheet():
    frames = smooth_frames(7, height=10, width=12)
    sheet = contact_sheet(frames, columns=3)
    assert sheet.shape == (3 * 10 + 2 * 2, 3 * 12 + 2 * 2, 3)
    for index, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]):
        y, x = row * 12, column * 14
        np.testing.assert_array_equal(sheet[y : y + 10, x : x + 12], frames[index])
    assert (sheet[10:12] == 255).all()
    assert (sheet[24:, 14:] == 255).all()
    assert contact_sheet(frames[:2], columns=9).shape == (10, 26, 3)


def test_save_png_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PahaError, match=r"cannot write .*a\.png"):
        save_png(tmp_path / "file" / "a.png", PICTURE)
    save_png(tmp_path / "grey.png", PICTURE[..., 0])
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png")[..., 2], PICTURE[..., 0])


def test_real_stills(shared):
    assert read_image(shared / "media/stills/astronaut.png").shape == (512, 512, 3)
    assert read_image(shared / "media/stills/echomimicv2_flux_0141.png").shape == (1024, 1024, 3)
