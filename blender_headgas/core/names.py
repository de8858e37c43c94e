# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Matching the names of other people's shape keys to an avatar's channels.

A name is taken apart into words: mouthSmileLeft, Mouth_Smile_L, left.mouthSmile are (mouth, smile) on the left. What
it moves is said in parts: ARKit's shapes, those that some people split (browInnerUp, mouthFunnel, …) in their halves
or quarters. So one source may drive several channels, several sources may share one, and their gains follow.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .arkit import NAMES
from .name_tables import HALVES, QUARTERS, rows

_Part = tuple[str, str, str]  # ARKit's name without its side; "U", "D" or ""; "left", "right" or ""
_Parts = dict[_Part, float]  # with their weights

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_SEPARATOR = re.compile(r"[^A-Za-z0-9]+")
_DUPLICATE = re.compile(r"\.\d{3}$")  # what Blender adds to a name that is taken
_SIDES = {"l": "left", "r": "right", "left": "left", "right": "right"}
_LIPS = {"ul": ("u", "left"), "ur": ("u", "right"), "dl": ("d", "left"), "dr": ("d", "right")}
# Words that programs write before the names of shape keys
_PREFIXES = {
    "arkit", "blend", "blendshape", "blendshapes", "bs", "ctrl", "ex", "expressions", "expression", "f", "face",
    "facial", "facs", "head", "key", "m", "morph", "morphs", "shape", "shapes", "target", "targets",
}  # fmt: skip
_EXACT, _SPELLED, _PREFIXED = 1.0, 0.95, 0.05  # confidences; what a dropped prefix costs
_SURE = _SPELLED - _PREFIXED


@dataclass(frozen=True)
class Match:
    """How one source drives one channel: clip(neutral + gain · source + offset, low, high), sources being summed."""

    source: str  # "" for a channel that nothing drives
    channel: str  # "" for a source that drives nothing
    gain: float = 1.0
    offset: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    confidence: float = 0.0  # 0 to 1
    note: str = ""  # what a user should know before accepting it


@dataclass(frozen=True)
class _Meaning:
    """What a name may say."""

    keys: tuple[str, ...]  # its spellings as one word, the whole name first, then without prefixes
    parts: _Parts
    confidence: float  # of the parts

    @property
    def is_movement(self) -> bool:
        """One of ARKit's movements, or several at full strength, and no blend of them."""
        return bool(self.parts) and all(weight == 1.0 for weight in self.parts.values())


def match(sources: Sequence[str], channels: Sequence[str]) -> list[Match]:
    """Every source with the channels that it drives best, in the sources' order; at the end what stayed alone.

    Args:
        sources: [S] names of shape keys, unique.
        channels: [C] names of the avatar's channels, unique.
    """
    shared = _shared_prefixes(sources)
    meanings = {channel: _meaning(channel) for channel in channels}
    found = [hit for source in sources for hit in _hits(source, _meaning(source, shared), meanings)]
    matches = [_explained(hit, found) for hit in found]
    matched_sources, matched_channels = {hit.source for hit in found}, {hit.channel for hit in found}
    matches += [Match(source, "") for source in sources if source not in matched_sources]
    return matches + [Match("", channel) for channel in channels if channel not in matched_channels]


def same(sources: Sequence[str], channels: Sequence[str]) -> dict[str, str]:
    """The channels that a source of the same meaning drives as it is, and that source: by its name, else in another
    spelling of it. What only adds to a channel, or is an estimate, is none."""
    hits = [hit for hit in match(sources, channels) if hit.gain == 1.0 and hit.confidence >= _SURE]
    count = Counter(hit.channel for hit in hits)
    found = {hit.channel: hit.source for hit in hits if count[hit.channel] == 1}
    return found | {channel: channel for channel in channels if channel in sources}


def _hits(source: str, meaning: _Meaning, channels: dict[str, _Meaning]) -> list[Match]:
    if source in channels:
        return [Match(source, source, confidence=_EXACT)]
    for dropped, key in enumerate(meaning.keys):
        same = [channel for channel, other in channels.items() if other.keys[0] == key]
        if len(same) == 1:
            return [Match(source, same[0], confidence=_SPELLED - _PREFIXED * bool(dropped))]
    hits = []
    for channel, other in channels.items():
        if not other.is_movement:
            continue
        gain = sum(meaning.parts.get(part, 0.0) for part in other.parts) / len(other.parts)
        if gain:
            hits.append(Match(source, channel, round(gain, 4), confidence=min(meaning.confidence, other.confidence)))
    return hits


def _explained(hit: Match, found: list[Match]) -> Match:
    """The same with a note on what shares its channel."""
    others = [other.source for other in found if other.channel == hit.channel and other.source != hit.source]
    notes = [f"adds to {', '.join(others[:3])}{' …' if len(others) > 3 else ''}"] if others else []
    if hit.confidence <= 0.6:
        notes.append("an estimate")
    return Match(hit.source, hit.channel, hit.gain, confidence=round(hit.confidence, 2), note="; ".join(notes))


def _meaning(name: str, shared: Sequence[str] = ()) -> _Meaning:
    """What a name says; `shared` are prefixes of most of the names beside it."""
    spellings = list(dict.fromkeys(spelling for words in _spellings(name, shared) if (spelling := _stem(words))[0]))
    keys = tuple(stem + side for stem, side in spellings) or (name,)
    for dropped, (stem, side) in enumerate(spellings):
        parts, confidence = _parts_of(stem, side)
        if parts:
            return _Meaning(keys, parts, confidence - _PREFIXED * bool(dropped))
    return _Meaning(keys, {}, 0.0)


def _spellings(name: str, shared: Sequence[str]) -> Iterator[list[str]]:
    """The words of a name: all of them, without every shared prefix, and without every known word in front."""
    base = _DUPLICATE.sub("", name)
    for start in (base, *(base.removeprefix(prefix) for prefix in shared)):
        words = _words(start)
        yield words
        while len(words) > 1 and _is_prefix(words):
            words = words[1:]
            yield words


def _is_prefix(words: list[str]) -> bool:
    numbered = len(words[0]) == 1 and words[1].isdigit()  # A25_Jaw_Open
    return words[0] in _PREFIXES or words[0].isdigit() or numbered


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _stem(words: list[str]) -> tuple[str, str]:
    """The words as one, and the side that exactly one of them says; AU01 is au1."""
    if len(words) > 2 and words[-1] in _LIPS:  # mouthFunnelUL
        words = [*words[:-1], *_LIPS[words[-1]]]
    if words and words[-1] not in _SIDES:  # eyeblinkleft
        for side in ("left", "right"):
            if words[-1].endswith(side):
                words = [*words[:-1], words[-1].removesuffix(side), side]
                break
    words = [word.lstrip("0") or "0" if i and words[i - 1] == "au" else word for i, word in enumerate(words)]
    sides = [i for i, word in enumerate(words) if word in _SIDES]
    others = [word for word in words if word not in _SIDES]
    if not any(word.isalpha() for word in others):  # l_14 is a sound
        return "".join(words), ""
    if len(sides) == 1:
        return "".join(others), _SIDES[words[sides[0]]]
    return "".join(_SIDES.get(word, word) for word in words), ""


def _parts_of(stem: str, side: str) -> tuple[_Parts, float]:
    """What a name moves, and how sure that is; nothing where it is not known."""
    table = _table()
    if stem + side in table:
        return table[stem + side]
    action_unit = re.match(r"au\d+(?=[a-z])", stem)  # au1innerbrowraiser
    for key in (stem, action_unit[0] if action_unit else ""):
        if key in table:
            parts, confidence = table[key]
            return {part: weight for part, weight in parts.items() if not side or part[2] == side}, confidence
    return {}, 0.0


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[_Parts, float]]:
    """Names as one word, with what they move and how sure that is. ARKit's own names go before all others."""
    table: dict[str, tuple[_Parts, float]] = {}
    for confidence, names, shapes in rows():
        parts = {part: weight for shape in shapes.split() for part, weight in _shape(shape)}
        for name in names.split():
            table.setdefault(name, (parts, confidence))
    for base in _parts_by_base():
        table[base.lower()] = ({part: 1.0 for part in _parts_by_base()[base]}, _SPELLED)
    return table


def _shape(text: str) -> list[tuple[_Part, float]]:
    """The parts that `name`, `name*weight` or `name/L` stands for."""
    shape, _, weight = text.partition("*")
    base, _, place = shape.partition("/")
    place = {"L": "left", "R": "right"}.get(place, place)
    return [(part, float(weight or 1)) for part in _parts_by_base()[base] if not place or place in part[1:]]


@lru_cache(maxsize=1)
def _parts_by_base() -> dict[str, list[_Part]]:
    """ARKit's shapes without their sides, with their parts."""
    result: dict[str, list[_Part]] = {}
    for name in NAMES:
        base = re.sub("(Left|Right)$", "", name)
        if base in ("jaw", "mouth"):  # jawLeft goes to the left; it is not the left half of anything
            result[name] = [(name, "", "")]
        elif base != name:
            result[base] = [(base, "", "left"), (base, "", "right")]
        elif name in HALVES:
            result[name] = [(name, "", "left"), (name, "", "right")]
        elif name in QUARTERS:
            result[name] = [(name, lip, side) for lip in "UD" for side in ("left", "right")]
        else:
            result[name] = [(name, "", "")]
    return result


def _shared_prefixes(names: Sequence[str]) -> list[str]:
    """Prefixes up to a separator that more than half of the names have, the shortest first."""
    if len(names) < 3:
        return []
    count = Counter(name[: separator.end()] for name in names for separator in _SEPARATOR.finditer(name))
    return sorted((prefix for prefix, times in count.items() if 2 * times > len(names)), key=len)
