"""Lettering: Arabic letters join, text runs as it is read, and what cannot be drawn is known beforehand."""

import pytest

from operators.write.lettering import is_shaped, joined, runs, visual

ALEF, BEH, DAL, LAM, MEEM, HAH = "\u0627\u0628\u062f\u0644\u0645\u062d"
ALEPH, BET = "\u05d0\u05d1"


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        (BEH, BEH),
        (BEH + BEH, "\ufe91\ufe90"),
        (BEH + BEH + BEH, "\ufe91\ufe92\ufe90"),
        (DAL + BEH, DAL + BEH),
        (BEH + DAL, "\ufe91\ufeaa"),
        # Mohammed: meem initial, hah medial, meem medial, dal final.
        (MEEM + HAH + MEEM + DAL, "\ufee3\ufea4\ufee4\ufeaa"),
        (LAM + ALEF, "\ufefb"),
        (BEH + LAM + ALEF, "\ufe91\ufefc"),
        (BEH + " " + BEH, BEH + " " + BEH),
        (BEH + "\u0640" + BEH, "\ufe91\u0640\ufe90"),
        ("\u067e\u0698", "\ufb58\ufb8b"),
    ],
    ids=["alone", "two", "three", "dal ends", "dal joins", "name", "lam alef", "joined", "space", "tatweel", "persian"],
)
def test_arabic_letters_have_the_form_of_their_place(text, forms):
    """The code charts of Unicode (FB50, FE70) name the forms."""
    assert joined(text) == forms


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Test, 12", "Test, 12"),
        (ALEPH + BET, BET + ALEPH),
        ("Test-" + ALEPH + BET, "Test-" + BET + ALEPH),
        (ALEPH + BET + " 12", "12 " + BET + ALEPH),
        (ALEPH + " a " + BET, BET + " a " + ALEPH),
        (ALEPH + " (" + BET + ")", "(" + BET + ") " + ALEPH),
        (ALEPH + " 1.5", "1.5 " + ALEPH),
        ("a " + ALEPH + ", " + BET + " b", "a " + BET + " ," + ALEPH + " b"),
        ("", ""),
    ],
    ids=["latin", "hebrew", "mixed", "number", "latin inside", "brackets", "decimal", "two words", "nothing"],
)
def test_text_is_in_the_order_of_the_eye(text, seen):
    assert visual(text) == seen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Иванов", True),
        ("Nguyễn", True),
        ("e\u0301", True),  # has a composed form
        ("\u0e17\u0e35\u0e48", True),  # Thai
        ("\u05e9\u05c1", False),  # Hebrew with a point: it would stand beside its letter
        ("\u0936\u0930\u094d\u092e\u093e", False),  # Devanagari
        ("a\u202eb", False),  # an explicit embedding
    ],
    ids=["cyrillic", "vietnamese", "decomposed", "thai", "pointed", "devanagari", "embedding"],
)
def test_what_needs_more_than_these_rules_is_known(text, expected):
    assert is_shaped(text) is expected


def test_letters_are_drawn_with_the_first_font_that_has_them():
    letters = {"first": "abc", "second": "cxyz"}

    pieces = runs("abxcya", ["first", "second"], lambda font, letter: letter in letters[font])

    assert pieces == [("first", "ab"), ("second", "x"), ("first", "c"), ("second", "y"), ("first", "a")]


def test_a_letter_that_no_font_has_makes_the_text_undrawable():
    assert runs("ab", ["only"], lambda _, letter: letter == "a") is None
