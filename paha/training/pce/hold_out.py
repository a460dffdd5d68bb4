"""Which clips a classifier is measured on and never trained on: by identity, or by clip where there are few people."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

Split: TypeAlias = Literal["train", "held_out"]
MANY = 2
"""Identities that the share must come to for the hold-out to be by identity: of PATS's four nobody is spared."""


class Named(Protocol):
    """What a hold-out asks of a clip."""

    @property
    def clip_id(self) -> str:
        """Its name."""
        ...

    @property
    def identity(self) -> str:
        """Who is seen."""
        ...


def held_out_ids(clips: Iterable[Named], share: float) -> set[str]:
    """The ids of about `share` of the clips, at least one if there are two; the same for the same names in any order.

    By identity where there are so many that the share comes to MANY of them, or each has a single clip. Else by clip
    within each identity that has two or more. What is added later does not move clips from one part to the other,
    except where a part would have been empty.
    """
    if share == 0:
        return set()
    by_identity: dict[str, list[str]] = {}
    for clip in clips:
        by_identity.setdefault(clip.identity, []).append(clip.clip_id)
    if is_by_identity(by_identity, share):
        return {clip for identity in _drawn(list(by_identity), share) for clip in by_identity[identity]}
    return {clip for names in by_identity.values() for clip in _drawn(names, share)}


def is_by_identity(by_identity: Mapping[str, Sequence[str]], share: float) -> bool:
    """Whether whole identities are held out. by_identity: their clips' ids."""
    return share * len(by_identity) >= MANY or all(len(clips) == 1 for clips in by_identity.values())


def _drawn(names: Sequence[str], share: float) -> set[str]:
    """Those whose hash falls below the share; at least one name is drawn and one is not, where there are two."""
    if len(names) < 2:
        return set()
    ordered = sorted(names, key=_place)
    count = sum(_place(name) < share for name in names)
    return set(ordered[: min(max(1, count), len(names) - 1)])


def _place(name: str) -> float:
    """A number from 0 to 1 that is a function of the name alone."""
    digest = hashlib.blake2b(name.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") / 2**32
