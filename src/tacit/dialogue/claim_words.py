"""The everyday words by which a reply's claims are told: other names for kinds, who is spoken of, negation, parts."""

from __future__ import annotations

from collections.abc import Mapping

from tacit.dialogue.policy.facts import CAST_KEYS, CREATOR_KEYS, WRITER_KEYS


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Other words for a kind; beside these every kind is known by its own name and its plural.
KINDS: Mapping[str, tuple[str, ...]] = {
    "comedy": ("comedy", "comedies", "comedic"),
    "horror": ("horror", "horrors"),
    "romance": ("romance", "romances", "romantic"),
    "sci-fi": ("sci-fi", "sci fi", "scifi", "science fiction"),
    "animation": ("animation", "animated", "cartoon", "cartoons"),
    "documentary": ("documentary", "documentaries"),
    "biography": ("biography", "biopic"),
}
# Kinds that are everyday words, too: they count before a noun for items only.
EVERYDAY = word_set(
    "family war crime music history sport short adult news classic classics art life love school business"
)
NOUNS = word_set(
    "movie movies film films flick flicks book books novel novels song songs album albums game games show shows series"
)
POINTING = word_set(
    "it its it's this that that's these those they they're both he he's she she's his her him them er sie es dieser "
    "dieses diese beide"
)
PERSONAL = word_set(
    "i i'm i've i'd i'll me my you you're you've you'd your we our ich mich mir mein du dich dir dein ihr"
)
TASTE = word_set(
    "like likes liked love loves loved enjoy enjoyed want prefer mood into fan fans looking favorite favourite "
    "interested mag liebe suche gern gerne"
)
NOT = word_set("no not never without neither nor isn't wasn't aren't doesn't don't didn't hasn't nicht kein keine ohne")
ALL = word_set("all both these they are were movies films books songs albums games beide alle sind")
LIKENESS = word_set("like similar as than reminds resembles liked loved enjoyed wie")
ROLES: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (word_set("directed director directs directing author authored artist sung composed regisseur"), CREATOR_KEYS),
    (word_set("written wrote writes writer screenplay"), (*WRITER_KEYS, "author", "authors")),
    (word_set("starring stars starred star actor actress acted acts plays played cast casts"), CAST_KEYS),
)
FAR = 4  # words between a claim and the word that turns it or names a role
