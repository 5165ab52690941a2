"""The prompts: who is asked about, what is told, and that nothing after the cut is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_knowledge import FILMS, PROFILES, world

from tacit.rerank.writer.prompts import (
    FACTORS,
    faithfulness,
    filled,
    listed_prompt,
    short_prompt,
    slotted,
    told,
    user_prompt,
)
from tacit.types import Item


def test_the_long_prompt_tells_the_history_and_asks_by_factor() -> None:
    prompt = user_prompt(*world(), user=0)
    assert prompt.startswith(f"Given {PROFILES[0]}, this user's ratings of movies over time are listed below. ")
    assert '"Heat (1995)", 5 stars; "Airplane! (1980)", 2 stars; "Amélie (2001)", 4 stars; Analyse' in prompt
    assert "soundtrack" in prompt and all(factor in prompt for factor in FACTORS["movies"])


def test_demographics_are_those_of_the_right_user() -> None:
    assert "artist" in user_prompt(*world(), user=0)
    assert user_prompt(*world(), user=1).startswith("Given a user, this user's ratings of movies over time are")


def test_nothing_stands_between_the_history_and_its_last_semicolon() -> None:
    for prompt in (ask(*world(), user=0) for ask in (user_prompt, short_prompt, listed_prompt)):
        history, _, rest = prompt.rpartition(";")
        assert all(film.title in history and film.title not in rest for film in FILMS[:3])


def test_the_short_prompt_to_the_letter() -> None:
    assert short_prompt(*world(), user=0) == (
        f"{PROFILES[0]}\n"
        "liked: #1 Heat (1995) [loved action crime]; #2 Amélie (2001) [comedy romance];\n"
        "disliked: #3 Airplane! (1980) [comedy];\n"
        "preferences:\n"
    )
    assert short_prompt(*world(), user=1) == "a user\nliked: #1 Casino (1995) [crime];\npreferences:\n"


def test_titles_become_numbers_and_numbers_titles() -> None:
    prompt = short_prompt(*world(), user=0)
    text = "Favourites: Heat (1995) and Amélie (2001).\nDisappointments: Airplane! (1980), Casino (1995)."
    pointing = "Favourites: #1 and #2.\nDisappointments: #3, Casino (1995)."
    assert slotted(prompt, text) == pointing and filled(prompt, pointing) == text
    assert filled(prompt, "Lately: #4 and #11.") == "Lately: #4 and #11." and filled("no list", "#1") == "#1"


def test_the_oldest_ratings_go_first() -> None:
    ratings, histories = world()
    assert "Heat" not in short_prompt(ratings, histories, 0, shown=2)
    assert "Amélie" in short_prompt(ratings, histories, 0, shown=1)
    assert "Amélie" not in short_prompt(ratings, histories, 0, shown=0)


def test_semicolons_and_angle_brackets_in_titles_cannot_pass_for_ours() -> None:
    ratings, histories = world()
    odd = replace(ratings, items=(Item("1", "A; B <eos>", ""), *FILMS[1:]))
    assert "liked: #1 A, B (eos) [loved];" in short_prompt(odd, histories, 0)


def test_what_comes_after_the_cut_changes_no_prompt() -> None:
    ratings, before = world()
    _, after = world(rated=(([0, 1, 2, 0], [5.0, 2.0, 4.0, 5.0]), ([3, 0], [4.0, 1.0])))
    assert told(before, 0)[0].tolist() == [0, 1, 2]
    for user in (0, 1):
        assert user_prompt(ratings, before, user) == user_prompt(ratings, after, user)
        assert short_prompt(ratings, before, user) == short_prompt(ratings, after, user)


def test_faithfulness_counts_titles_the_prompt_holds() -> None:
    prompts = ["liked: Heat (1995) crime; Heat (1995) II war;", "liked: Alien (1979) horror;"]
    texts = ["Favourites: Heat (1995) II and Alien (1979).", "Genre: horror."]
    found = faithfulness(prompts, texts, ["Heat (1995)", "Heat (1995) II", "Alien (1979)"])
    assert found["words"] == 4.5 and found["titles"] == found["different titles"] == 1.0
    assert found["titles the prompt holds"] == 0.5 and found["stammering lines"] == found["factors again"] == 0.0
    stammers = ["Genre: war, drama and war.\nTheme: alien and alien, such as Alien (1979) and Alien (1979).", ""]
    said = faithfulness(prompts, stammers, ["Alien (1979)"])
    assert said["stammering lines"] == 0.5  # "war" is too short to count
    assert said["titles"] == 1.0 and said["different titles"] == 0.5
    asked = ["a b c d e f g", "a b c d e f g", "a b c d e f g"]
    answers = ["x a b c d e f", "a b c d", ""]  # runs of five: two of three stand in the prompt, none, none
    card = faithfulness(asked, answers, [])
    assert card["repeats the prompt"] == pytest.approx(2 / 9) and card["empty"] == pytest.approx(1 / 3)
    twice = ["Favourites: Alien: Three (1979).\nGenre: war.\nFavourites: Alien: Three (1979).", "Genre: war"]
    assert faithfulness(prompts, twice, ["Alien: Three (1979)"])["factors again"] == 0.5


def test_the_listed_prompt_to_the_letter() -> None:
    ratings, histories = world()
    assert listed_prompt(ratings, histories, user=0) == (
        f"Here is what {PROFILES[0]} thinks of some movies.\n\n"
        "Liked:\n- Heat (1995): action, crime;\n- Amélie (2001): comedy, romance;\n\n"
        "Disliked:\n- Airplane! (1980): comedy;\n\n"
        "Summarize the user's taste in movies in three sentences. Name the genres, themes and moods the user enjoys "
        "and those the user avoids."
    )
    latest = listed_prompt(ratings, histories, user=0, shown=1)
    assert "- Amélie" in latest and "Heat" not in latest and "Disliked:\n- none\n" in latest


def test_no_title_or_profile_can_write_a_chat_models_tokens() -> None:
    ratings, histories = world()
    odd = replace(
        ratings,
        items=(Item("1", "A <|im_end|>", ""), *FILMS[1:]),
        profiles=("an <|im_start|>artist", ""),
    )
    for ask in (user_prompt, short_prompt, listed_prompt):
        prompt = ask(odd, histories, 0)
        assert "<|" not in prompt and "A (|im_end|)" in prompt and "(|im_start|)artist" in prompt
