"""Lettering: which letters a font can draw, which form they take, and in which order they stand.

A PDF takes glyphs from left to right. What text processors do is done here for names and descriptions: Arabic letters
get the form that their neighbours ask for, and text from right to left is put in the order of the eye (Unicode
Standard Annex 9, without explicit embeddings, which names do not have). Scripts that need more, such as those of
India, count as not drawable: a name drawn wrongly is worse than one that is pointed at.
"""

from __future__ import annotations

import functools
import itertools
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FORMS = ("<isolated>", "<final>", "<initial>", "<medial>")
PRESENTATION_FORMS = (*range(0xFB50, 0xFDFC), *range(0xFE70, 0xFEFD))
LAM_ALEF = range(0xFEF5, 0xFEFD)
"""Lam with an alef behind it is one letter, always; other ligatures are a matter of taste."""
TATWEEL = "\u0640"
UNSHAPED = ((0x0700, 0x0860), (0x0900, 0x0E00), (0x0E80, 0x10A0), (0x1700, 0x1C90), (0xA800, 0xAC00))
"""Scripts whose letters would have to be moved or joined by rules that are not here: Syriac, India, Tibet, Khmer."""
THAI = (0x0E00, 0x0E80)
NUMBER_SEPARATORS = (("ES", {"EN"}), ("CS", {"EN"}), ("CS", {"AN"}))
"""What may stand between two figures of a number (rule W4)."""
MIRRORED = dict(zip("()[]{}<>«»", ")(][}{><»«", strict=True))


class _Shapes(NamedTuple):
    """The forms of letters, and of lam with alef, by FORMS."""

    letters: dict[str, dict[str, str]]
    ligatures: dict[str, dict[str, str]]


def is_shaped(text: str) -> bool:
    """Whether the rules of this module are enough for a text: some scripts and most marks need more."""
    return not any(_needs_more(letter) for letter in unicodedata.normalize("NFC", text))


def _needs_more(letter: str) -> bool:
    if unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        # Thai fonts have marks that stand where they belong by themselves.
        return not THAI[0] <= ord(letter) < THAI[1]
    return any(low <= ord(letter) < high for low, high in UNSHAPED)


def visual(text: str) -> str:
    """A text as its glyphs stand from left to right, Arabic letters joined.

    Examples:
        >>> visual("abc")
        'abc'
        >>> [hex(ord(letter)) for letter in visual("\u05d0\u05d1")]
        ['0x5d1', '0x5d0']
    """
    return _in_order(joined(unicodedata.normalize("NFC", text)))


def joined(text: str) -> str:
    """A text, in the order of its letters, with the forms of Arabic letters that stand beside each other."""
    letters = _with_ligatures(text)
    return "".join(_form(letters, place, _shapes()) for place in range(len(letters)))


def _with_ligatures(text: str) -> list[str]:
    """Letters, of which lam and the alef behind it are one."""
    letters: list[str] = []
    for letter in text:
        if letters and letters[-1] + letter in _shapes().ligatures:
            letters[-1] += letter
        else:
            letters.append(letter)
    return letters


def _form(letters: Sequence[str], place: int, shapes: _Shapes) -> str:
    """The form of a letter: joined to the one before, the one behind, both or none."""
    forms = shapes.letters.get(letters[place]) or shapes.ligatures.get(letters[place])
    if forms is None:
        return letters[place]
    before = "<final>" in forms and place > 0 and _joins_behind(letters[place - 1], shapes)
    behind = "<initial>" in forms and place + 1 < len(letters) and _joins_before(letters[place + 1], shapes)
    if len(letters[place]) == 1 and not before and not behind:
        # Fonts draw the letter itself so; not all have its isolated form, too.
        return letters[place]
    return forms.get(FORMS[int(before) + 2 * int(behind)], letters[place])


def _joins_behind(letter: str, shapes: _Shapes) -> bool:
    return letter == TATWEEL or "<initial>" in shapes.letters.get(letter, {})


def _joins_before(letter: str, shapes: _Shapes) -> bool:
    return letter == TATWEEL or "<final>" in (shapes.letters.get(letter) or shapes.ligatures.get(letter) or {})


@functools.cache
def _shapes() -> _Shapes:
    """The forms as the Unicode Character Database has them: presentation forms decompose into their letters."""
    shapes = _Shapes({}, {})
    for code in PRESENTATION_FORMS:
        form, *letters = unicodedata.decomposition(chr(code)).split() or ("",)
        text = "".join(chr(int(letter, 16)) for letter in letters)
        if form in FORMS and len(text) == 1:
            shapes.letters.setdefault(text, {})[form] = chr(code)
        elif form in FORMS and len(text) == 2 and code in LAM_ALEF:
            shapes.ligatures.setdefault(text, {})[form] = chr(code)
    return shapes


def _in_order(text: str) -> str:
    """Put letters into the order of the eye: their embedding levels, then reversal (UAX 9, rules P2 to L4)."""
    levels = _levels([unicodedata.bidirectional(letter) for letter in text])
    order = list(range(len(text)))
    for lowest in range(max(levels, default=0), 0, -1):
        parts = itertools.groupby(order, lambda place: levels[place] >= lowest)  # noqa: B023 - used at once
        order = [place for turn, part in parts for place in (reversed(list(part)) if turn else part)]
    return "".join(MIRRORED.get(text[place], text[place]) if levels[place] % 2 else text[place] for place in order)


def _levels(kinds: Sequence[str]) -> list[int]:
    """Embedding levels by bidirectional class: even from left to right, odd from right to left."""
    strong = [kind for kind in kinds if kind in {"L", "R", "AL"}]
    base = int(bool(strong) and strong[0] != "L")
    resolved = _resolved(kinds, base)
    return [_level(resolved, place, base) for place in range(len(kinds))]


def _resolved(kinds: Sequence[str], base: int) -> list[str]:
    """L, R, EN, AN or nothing for each letter: what a number is depends on the letters before it (rules W2 to W7)."""
    last, numbered = "R" if base else "L", []
    for kind in kinds:
        last = kind if kind in {"L", "R", "AL"} else last
        numbered.append("AN" if kind == "EN" and last == "AL" else kind)
    for place, kind in enumerate(numbered[1:-1], start=1):
        around = {numbered[place - 1], numbered[place + 1]}
        if (kind, around) in NUMBER_SEPARATORS:
            numbered[place] = around.pop()
    last = "R" if base else "L"
    resolved = []
    for kind in numbered:
        last = {"L": "L", "R": "R", "AL": "R"}.get(kind, last)
        known = {"L": "L", "R": "R", "AL": "R", "AN": "AN", "EN": "L" if last == "L" else "EN"}
        resolved.append(known.get(kind, ""))
    return resolved


def _level(kinds: Sequence[str], place: int, base: int) -> int:
    """Level of one letter; between two of the same direction the rest follows them (rules N1, N2, I1, I2)."""
    kind = kinds[place]
    if not kind:
        before = next((k for k in reversed(kinds[:place]) if k), "R" if base else "L")
        behind = next((k for k in kinds[place + 1 :] if k), "R" if base else "L")
        before, behind = ("L" if k == "L" else "R" for k in (before, behind))
        if before != behind:
            return base
        kind = before
    if kind == "R":
        return 1
    if kind == "L":
        return 2 * base
    return 2


def runs(text: str, fonts: Sequence[str], covers: Callable[[str, str], bool]) -> list[tuple[str, str]] | None:
    """Split a visual text into pieces with a font each.

    Args:
        text: What `visual` gave.
        fonts: Names of fonts, the preferred one first.
        covers: Whether a font has a letter.

    Returns:
        Font and piece, from left to right; None where no font has one of the letters.
    """
    pieces: list[tuple[str, str]] = []
    for letter in text:
        font = next((name for name in fonts if covers(name, letter)), None)
        if font is None:
            return None
        if pieces and pieces[-1][0] == font:
            pieces[-1] = (font, pieces[-1][1] + letter)
        else:
            pieces.append((font, letter))
    return pieces


def shortened(text: str, fits: Callable[[str], bool]) -> str:
    """The text, or its beginning and its end: what tells segments apart, such as their side, often stands last.

    Examples:
        >>> shortened("Upper lobe of lung, left", lambda text: len(text) <= 15)
        'Upper ... left'
    """
    for kept in range(len(text), 0, -1):
        short = text if kept == len(text) else f"{text[: -(-kept // 2)]}...{text[len(text) - kept // 2 :]}"
        if fits(short):
            return short
    return "..."
