"""Jobs in SQLite: nothing is lost, nothing ends twice, whoever dies when."""

import threading

import pytest

from paha.serve.store import MAX_DEATHS, Job, JobStore, QueueFullError

LIMITS = {"max_queued": 100, "max_per_client": 100}


@pytest.fixture
def store(tmp_path) -> JobStore:
    return JobStore(tmp_path)


def add(store: JobStore, *, address: str = "a", **limits: int) -> str:
    job_id = store.new_id()
    store.add(job_id, {"title": "t"}, address=address, client="c", **LIMITS | limits)
    return job_id


def claimed(store: JobStore, worker: str = "w") -> Job:
    job = store.claim(worker)
    assert job is not None
    return job


def state(store: JobStore, job_id: str) -> str:
    job = store.get(job_id)
    assert job is not None
    return job.state


def test_jobs_are_taken_in_order_and_by_one_worker_each(store):
    ids = [add(store) for _ in range(40)]
    taken: list[str] = []

    def take(worker: str) -> None:
        while job := store.claim(worker):
            taken.append(job.id)

    threads = [threading.Thread(target=take, args=(f"w{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(ids)
    assert store.claim("w") is None


def test_a_dead_workers_job_goes_to_the_next_one_and_ends_once(store):
    job_id = add(store)
    first = claimed(store, "a")
    assert store.requeue("b") == 0
    assert store.requeue("a") == 1
    second = claimed(store, "b")
    assert (second.id, second.attempt) == (job_id, 2)
    # The first one was not dead after all: whatever it says is not heard.
    assert not store.progress(first, done=1, total=2, warnings=[])
    assert not store.end(first, "done")
    assert store.progress(second, done=1, total=2, warnings=["w"])
    assert store.end(second, "done")
    assert not store.end(second, "done")
    ended = store.get(job_id)
    assert (ended.state, ended.endings, ended.warnings) == ("done", 1, ["w"])


def test_what_kills_its_worker_again_and_again_fails(store):
    job_id = add(store)
    for frames in (10, 20, *[20] * MAX_DEATHS):
        assert state(store, job_id) == "queued", "it came further"
        store.progress(claimed(store), done=frames, total=30, warnings=[])
        store.requeue()
    assert state(store, job_id) == "failed"
    assert "died again and again" in store.get(job_id).message
    assert store.claim("w") is None


def test_cancelled_jobs_are_not_taken_and_running_ones_are_told(store):
    waiting, running = add(store), add(store)
    store.cancel(waiting)
    job = claimed(store)
    assert job.id == running
    assert store.cancel(running)
    assert not store.cancel(running)
    assert not store.progress(job, done=1, total=2, warnings=[])
    assert not store.end(job, "done")
    assert [state(store, i) for i in (waiting, running)] == ["cancelled", "cancelled"]


def test_limits(store):
    add(store, address="a")
    with pytest.raises(QueueFullError, match="1 of your jobs"):
        add(store, address="a", max_per_client=1)
    add(store, address="b", max_per_client=1)
    with pytest.raises(QueueFullError, match="2 jobs wait"):
        add(store, address="c", max_queued=2)
    claimed(store)
    add(store, address="c", max_queued=2)


def test_deleting_takes_the_files_and_sweeping_the_orphans(store):
    job_id, orphan = add(store), store.new_id()
    assert store.files(job_id).is_dir()
    store.sweep()
    assert not store.files(orphan).exists()
    assert store.delete(job_id)
    assert not store.files(job_id).exists()
    assert not store.delete(job_id)


def test_names_cannot_be_guessed(store):
    names = {store.new_id() for _ in range(50)}
    assert len(names) == 50
    assert all(len(name) == 32 for name in names)
