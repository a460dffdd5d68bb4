"""The import graph of the package: which rooms there are, what imports what, and whether it runs one way.

python -m experiments.layout [--arrows]

A room is a folder of modules; modules that lie directly in `paha/` (configuration, types, presets, errors) are one room
together. An arrow is an import anywhere in a file, inside functions too, but not one for type checkers alone: what
never runs holds nothing together. Rooms lie on floors: each one above all that it imports. An arrow upward is one
that closes a circle.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1] / "paha"


@dataclass(frozen=True)
class Layout:
    """The graph. rooms: by name ("" is paha/ itself), their modules. arrows: (room, room) -> the imports that make it,
    "module imports module"."""

    rooms: dict[str, list[str]]
    arrows: dict[tuple[str, str], list[str]]

    def reachable(self, room: str) -> set[str]:
        """The rooms that a room needs, directly or not."""
        found: set[str] = set()
        waiting = [room]
        while waiting:
            here = waiting.pop()
            new = {b for a, b in self.arrows if a == here} - found
            found |= new
            waiting += new
        return found

    def circles(self) -> list[list[str]]:
        """Groups of rooms that need each other."""
        needs = {room: self.reachable(room) for room in self.rooms}
        groups = {tuple(sorted(b for b in needs[a] if a in needs[b])) for a in self.rooms if a in needs[a]}
        return sorted(map(list, groups))

    def upward(self) -> list[str]:
        """The imports inside circles."""
        inside = [set(circle) for circle in self.circles()]
        return sorted(w for (a, b), why in self.arrows.items() if any({a, b} <= c for c in inside) for w in why)

    def floors(self) -> list[list[str]]:
        """The rooms from the lowest floor up; those of a circle share one."""
        needs = {room: self.reachable(room) for room in self.rooms}
        height: dict[str, int] = {}
        while len(height) < len(self.rooms):
            for room in self.rooms.keys() - height.keys():
                below = {other for other in needs[room] if room not in needs[other]}
                if below <= height.keys():
                    height[room] = 1 + max((height[other] for other in below), default=-1)
        return [sorted(r for r in height if height[r] == floor) for floor in range(max(height.values()) + 1)]


def read_layout(root: Path = ROOT) -> Layout:
    """The graph of a package, from its source text."""
    files = {_module(path, root): path for path in sorted(root.rglob("*.py"))}
    room_of = {name: ".".join(path.relative_to(root).parts[:-1]) for name, path in files.items()}
    rooms: dict[str, list[str]] = {}
    arrows: dict[tuple[str, str], list[str]] = {}
    for name, path in files.items():
        if path.name != "__init__.py":
            rooms.setdefault(room_of[name], []).append(name)
        for wanted in sorted(set(_imports(ast.parse(path.read_text(encoding="utf-8")), files))):
            if room_of[wanted] != room_of[name]:
                arrows.setdefault((room_of[name], room_of[wanted]), []).append(f"{name} imports {wanted}")
    return Layout(rooms, arrows)


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(node: ast.AST, modules: Collection[str]) -> Iterator[str]:
    """The modules of the package that a tree imports when it runs."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
    found = {name for name in names if name in modules}
    yield from (name for name in found if not any(other.startswith(f"{name}.") for other in found))
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, modules)


def report(layout: Layout, *, arrows: bool = False) -> str:
    """The graph in words: the counts, then the floors from the top."""
    counts = {
        "rooms": len(layout.rooms),
        "arrows": len(layout.arrows),
        "upward arrows": len(layout.upward()),
        "circles": len(layout.circles()),
        "modules directly in paha/": len(layout.rooms.get("", [])),
        "imports of cli/ from elsewhere": sum(len(w) for (a, b), w in layout.arrows.items() if b == "cli" and a),
    }
    lines = [f"{name}: {count}" for name, count in counts.items()]
    for number, floor in reversed(list(enumerate(layout.floors()))):
        lines.append(f"floor {number}: " + ", ".join(f"{room or 'paha'} ({len(layout.rooms[room])})" for room in floor))
    lines += [f"circle: {', '.join(circle)}" for circle in layout.circles()] + layout.upward()
    if arrows:
        lines += [f"{a or 'paha'} -> {b or 'paha'} ({len(why)})" for (a, b), why in sorted(layout.arrows.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    print(report(read_layout(), arrows="--arrows" in sys.argv))
