"""Turns a head's front view: a 2.5-D warp that moves each point by its depth, then a roll about the neck.

The warp is defined backwards, for a point u of the turned head: front view point c = u - depth(u) (turn_x, turn_y).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from paha.dataset.synth.character import Character

MAX_ANGLE = np.deg2rad(15.0)
"""Turn of the head at a signal of 1."""
PIVOT = np.array([0.0, 0.5], dtype=np.float32)
"""The top of the neck, which the head rolls about, in head units."""
TURN = np.array([0.125, 0.105], dtype=np.float32)
"""How far a point of depth 1 moves at yaw 1 and pitch 1."""
_STEP = 0.05


def depth(points: np.ndarray) -> np.ndarray:
    """Depth (...) towards the viewer of points (..., 2): a dome of 1 over the face with the nose upon it."""
    x, y = points[..., 0], points[..., 1]
    dome = np.clip(1 - (x / 0.5) ** 2 - ((y - 0.03) / 0.7) ** 2, 0, None)
    nose = 0.34 * np.exp(-((x / 0.085) ** 2) - ((y - 0.17) / 0.12) ** 2)
    return dome + nose


@dataclass(frozen=True)
class HeadPose:
    """Turn (2,) in head units, roll in radians and the pivot's place (2,) in 128ths of the frame."""

    turn: np.ndarray
    roll: float
    pivot: np.ndarray


def pose_head(character: Character, *, yaw: float, pitch: float, roll: float, lift: float) -> HeadPose:
    """Pose for head signals in [-1, 1]; `lift` moves the head up (128ths of the frame)."""
    framing = character.framing
    height = framing.face_height
    eye_y = framing.shoulder_y - (0.56 + framing.neck_length) * height
    sway = np.array([0.055 * yaw, 0.03 * pitch], dtype=np.float32) * height
    pivot = np.array([framing.centre_x, eye_y - lift]) + PIVOT * height + sway
    return HeadPose(turn=TURN * (yaw, pitch), roll=float(roll * MAX_ANGLE), pivot=pivot)


def rotation(angle: float) -> np.ndarray:
    """(2, 2) matrix that turns image coordinates clockwise."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def place(points: np.ndarray, pose: HeadPose, *, height: float) -> np.ndarray:
    """Front view points (N, 2) in head units to the frame (128ths): inverts the backward warp by iteration."""
    moved = points
    for _ in range(5):
        moved = points + depth(moved)[..., None] * pose.turn
    return pose.pivot + (moved - PIVOT) @ rotation(pose.roll).T * height


class HeadWarp:
    """Warps textures of `scale` pixels a head unit, whose corner is `low`, onto a frame of `zoom` pixels a 128th."""

    def __init__(self, *, low: np.ndarray, size: tuple[int, int], scale: float, zoom: float, height: float) -> None:
        self.zoom, self.height, self.low = zoom, height, low
        high = low + np.array([size[1], size[0]]) / scale
        self.corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])], dtype=np.float32)
        self.start = low - 0.2
        nx, ny = np.ceil((high - low + 0.4) / _STEP).astype(int) + 1
        x, y = np.meshgrid(np.arange(nx), np.arange(ny))
        nodes = (np.stack([x, y], -1) * _STEP + self.start).astype(np.float32)
        self.base = ((nodes - low) * scale - 0.5).astype(np.float32)
        self.lift = (depth(nodes)[..., None] * scale).astype(np.float32)

    def warp(self, picture: np.ndarray, pose: HeadPose, *, side: int) -> tuple[np.ndarray, tuple[int, int]] | None:
        """The turned picture and the frame pixel (x, y) of its corner; None when it is out of the frame."""
        turn = rotation(pose.roll)
        corners = (pose.pivot + (self.corners - PIVOT) @ turn.T * self.height) * self.zoom
        x0, y0 = np.maximum(np.floor(corners.min(0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int), side)
        if x1 <= x0 or y1 <= y0:
            return None
        nodes = self.base - self.lift * pose.turn.astype(np.float32)
        # Frame pixel -> head unit -> node of the coarse map, which is smooth enough to be interpolated.
        linear = turn.T / (self.zoom * self.height * _STEP)
        offset = linear @ (np.array([x0 + 0.5, y0 + 0.5]) - pose.pivot * self.zoom) + (PIVOT - self.start) / _STEP
        matrix = np.concatenate([linear, offset[:, None]], 1)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (int(x1 - x0), int(y1 - y0))
        coordinates = cv2.warpAffine(nodes, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        x, y = cv2.split(coordinates)
        turned = cv2.remap(picture, x, y, cv2.INTER_LINEAR)
        return turned, (int(x0), int(y0))
