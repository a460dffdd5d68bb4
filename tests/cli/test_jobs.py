"""`paha animate --jobs`: the list is read and checked, each row runs, failures are told at the end."""

from pathlib import Path

import pytest

from paha.cli.jobs import AnimateJob, failures, read_jobs, run_jobs
from paha.errors import PahaError


def write(folder: Path, text: str) -> Path:
    path = folder / "jobs.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_are_read_relative_to_the_file(tmp_path):
    path = write(tmp_path, "\ufeffimage, audio, output, seed\na.png, s.wav, out/1.mp4, 7\n\n/b.png, s.wav, 2.mp4,\n")
    assert read_jobs(path) == [
        AnimateJob(2, tmp_path / "a.png", tmp_path / "s.wav", tmp_path / "out/1.mp4", 7),
        AnimateJob(4, Path("/b.png"), tmp_path / "s.wav", tmp_path / "2.mp4", None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,audio\na,b\n", "no column 'output'"),
        ("image,audio,output,sede\na,b,c,1\n", "unknown column 'sede'"),
        ("image,audio,output\n", "no jobs"),
        ("", "no column 'image'"),
        ("image,audio,output\na,,c\n", "row 2: audio is empty"),
        ("image,audio,output\na,b,c,d\n", "row 2: too many cells"),
        ("image,audio,output,seed\na,b,c,x\n", "row 2: seed 'x'"),
        ("image,audio,output\na,b,c\nd,e,c\n", "rows 2 and 3 have the same output"),
    ],
)
def test_a_bad_list_is_refused_before_anything_runs(tmp_path, text, message):
    with pytest.raises(PahaError, match=message):
        run_jobs(write(tmp_path, text), lambda job: pytest.fail("a job was run"))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00 image"])
def test_an_unreadable_list_is_named(tmp_path, content):
    path = tmp_path / "jobs.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PahaError, match=r"jobs\.csv"):
        read_jobs(path)


def test_a_failed_row_does_not_stop_the_others(tmp_path):
    path = write(tmp_path, "image,audio,output\na,s,1.mp4\nb,s,2.mp4\nc,s,3.mp4\n")
    ran = []

    def animate_job(job):
        ran.append(job.image.name)
        if job.image.name == "a":
            raise PahaError("no face")
        if job.image.name == "b":
            raise LookupError("big")

    results = run_jobs(path, animate_job)
    assert ran == ["a", "b", "c"]
    assert failures(results) == [
        f"row 2, {tmp_path / '1.mp4'}: no face",
        f"row 3, {tmp_path / '2.mp4'}: LookupError: big",
    ]


def test_resuming_skips_what_is_there(tmp_path):
    path = write(tmp_path, "image,audio,output\na,s,1.mp4\nb,s,2.mp4\n")
    (tmp_path / "1.mp4").touch()
    ran = []
    results = run_jobs(path, lambda job: ran.append(job.row), resume=True)
    assert ran == [3]
    assert [result.skipped for result in results] == [True, False]
    run_jobs(path, lambda job: ran.append(job.row))
    assert ran == [3, 2, 3]


def test_a_person_can_stop_the_list(tmp_path):
    def interrupted(job):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(write(tmp_path, "image,audio,output\na,s,1.mp4\n"), interrupted)
