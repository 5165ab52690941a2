"""Which language some texts are in."""

from __future__ import annotations

import pytest

from tacit.languages import ENGLISH, GERMAN, grammar_of, language_of

SENTENCES = {
    "English": "I am looking for a book that is like the one you told me of, and it should be for my brother.",
    "German": "Ich suche ein Buch für meinen Bruder, und es ist mir nicht wichtig, wie lang der Roman ist.",
    "French": "Je cherche un livre pour mon frère, et il est important que ce soit dans le style de la collection.",
    "Spanish": "Busco un libro para mi hermano, y me gusta que la historia sea como las de su autor favorito.",
    "Italian": "Sono alla ricerca di un libro che mi piace, ma non è molto lungo, con una storia come questo.",
    "Dutch": "Ik zoek een boek voor mijn broer, en het is niet erg dat de schrijver van het boek niet bekend is.",
}


@pytest.mark.parametrize("name", list(SENTENCES))
def test_a_language_is_told_by_its_function_words(name: str) -> None:
    detected = language_of([SENTENCES[name]] * 4)
    assert (detected.name, detected.is_english) == (name, name == "English")


def test_shares_are_of_all_words() -> None:
    detected = language_of(["the cat saw the dog " * 8 + "und " * 10])  # 16 "the" and 10 "und" among 50 words
    assert detected.name == "English"
    assert (detected.share, detected.english) == (16 / 50, 16 / 50)


def test_little_text_is_taken_for_english_and_an_unknown_language_has_no_name() -> None:
    assert language_of(["Danke und auf Wiedersehen"]).is_english
    assert language_of(["猫が好きです"]).name == ""
    assert language_of(["я люблю читать книги о море"]).name == ""
    assert language_of([]).is_english


def test_decomposed_accents_count() -> None:
    assert language_of(["fu\u0308r " * 50]).name == "German"


def test_the_grammar_follows_the_texts() -> None:
    assert grammar_of([SENTENCES["German"]] * 4) is GERMAN
    assert grammar_of([SENTENCES["French"]] * 4) is ENGLISH  # none of its own
    assert grammar_of([]) is ENGLISH
