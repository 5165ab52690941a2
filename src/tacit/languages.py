"""Which language texts are in, and what the title linker must know of it: function words, articles, common words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[^\W\d_]+")
ENOUGH_WORDS = 40  # fewer say nothing of their language
LATIN_ENDS = "\u0250"
RECOGNISED = 0.06  # share of function words from which a language is taken for read

# Words that are frequent in one of these languages and in none of the others.
_TELLING: Mapping[str, frozenset[str]] = {
    name: _words(words)
    for name, words in {
        "English": "the and is to of for that it you this with are not have i my like what would was but be your",
        "German": "der das und ist nicht ich ein eine einen mit für auf dem den zu auch wie aber von hat sich mir es",
        "French": "le les et est je vous une des pas pour dans qui sur avec ce du au mais nous cette j c",
        "Spanish": "el los y es yo una las por para con que pero muy lo su como más del me gusta está",
        "Italian": "il gli è che di non per della sono mi ho anche questo una molto con più nel piace ma",
        "Portuguese": "o os e é eu um uma não para com que muito do da em mais mas você gosto isso",
        "Dutch": "het een en ik niet van voor met op zijn maar ook dat hij naar wat je deze wel heb",
        "Swedish": "och att det är jag en som på inte för med av den har men om du ett kan vill",
        "Polish": "i w na nie to się jest że do jak ale co mi dla już czy tak lubię tym ten",
    }.items()
}


@dataclass(frozen=True)
class Detected:
    """The language of some texts: its name, "" where none was recognised; shares of its and of English function words
    among all words."""

    name: str
    share: float
    english: float

    @property
    def is_english(self) -> bool:
        return self.name == "English"


def language_of(texts: Iterable[str]) -> Detected:
    """By the share of function words; fewer than ``ENOUGH_WORDS`` words in Latin letters are taken for English."""
    count = Counter(word for text in texts for word in _WORD.findall(unicodedata.normalize("NFC", text).lower()))
    total = sum(count.values())
    letters = sum(len(word) * times for word, times in count.items())
    latin = sum(times * sum(letter < LATIN_ENDS for letter in word) for word, times in count.items())
    if total < ENOUGH_WORDS and 2 * latin >= letters:
        return Detected("English", 0.0, 0.0)
    shares = {name: sum(count[word] for word in words) / max(total, 1) for name, words in _TELLING.items()}
    best = max(shares, key=lambda name: (shares[name], name == "English"))
    return Detected(best if shares[best] >= RECOGNISED else "", shares[best], shares["English"])


@dataclass(frozen=True)
class Grammar:
    """What tells a title from everyday words. All words without accents, in lower case."""

    function_words: frozenset[str]
    articles: Mapping[str, str] = field(default_factory=dict)  # a form → the form under which titles are kept
    common_words: frozenset[str] = frozenset()  # known where the catalogue's own texts are too few to show them
    capital_nouns: bool = False  # nouns stand with a capital, so that a capital is no sign of a title


# Words that open or glue English sentences: a title made of these alone is linked only with its year or in quotes.
ENGLISH = Grammar(
    _words(
        """a about after again all am an and any are as at be been before but by can come could did do does down for
        from get go good had has have he her hello here hi him his how i if in into is it its just let like lol love
        loved me more my never no not now of off oh ok on once one or our out over please she so some stop sure than
        thanks that the their them then there they this to too two up us was way we well were what when where which who
        why will wish with would yes you your"""
    ),
    {"the": "the", "a": "a", "an": "an"},
    _words(
        """alive alone always away back bad beautiful beloved best better big black blood blue body book books born
        boy boys brave bright brother brothers child children city cold cool crash crazy dark daughter day days dead
        death dream dreams early earth easy educated empty end enough ever evil eyes face faith family father fear
        fire first flight forever found free friend friends fun funny game game games girl girls gone great green
        happy hard hate heart heat help hero high history home hope house human hunger ice joy kids kill king lady
        last late life light little living lonely long lost man men mercy miracle misery money monster moon mother
        movie music names new next nice night nothing old open outside paradise party passion people perfect persuasion
        play power pride queen quiet rain read red rest right river road room safe same school sea secret seven shame
        short signs silence silver single sister sleep small snow something song soon soul speed spring star stay still
        story strange strong summer sun sweet tell terror time today together tomorrow tonight trust truth twilight
        under voice wait war water wife wild wind winter wish woman women wonder wonderful work world wrong year years
        young"""
    ),
)

GERMAN = Grammar(
    _words(
        """aber alle allem allen aller alles als also am an andere anderen anderes anders auch auf aus bei beim bin bis
        bist bitte da dabei dafur damit danach danke dann daran darauf darin das dass dein deine dem den denn der des
        deshalb dich die dies diese diesem diesen dieser dieses dir doch dort du durch ein eine einem einen einer eines
        einige einmal er es etwas euch euer fast fur gar gegen gerade gern gerne genau gut gute guten guter habe haben
        hallo hast hat hatte hatten hier hinter ich ihm ihn ihnen ihr ihre im immer in ins ist ja jede jeden jeder jedes
        jetzt kann kannst kein keine keinen konnen konnte lieber lese lesen liebe ma mal man manche mehr mein meine
        meinen mich mir mit mochte muss nach naturlich nein nicht nichts nie noch nun nur ob oder ohne schon sehr sein
        seine seinen seit sich sie sind so sogar soll sondern sonst suche super toll uber um und uns unser unter viel
        viele vielen vielleicht vom von vor war waren warum was weder weil weiter welche welchen welcher wenn wer werde
        werden wie wieder will wir wird wirklich wo wohl wurde wurden zu zum zur zwar zwei zwischen"""
    ),
    {
        **dict.fromkeys(("der", "die", "das", "den", "dem", "des"), "der"),
        **dict.fromkeys(("ein", "eine", "einen", "einem", "einer", "eines"), "ein"),
    },
    _words(
        """abend abenteuer alter anfang angst arbeit auge augen autor autorin bild blut brief briefe bruder buch bucher
        dorf ehe ende engel erbe erde erinnerung erzahlung familie fantasy farbe fest feuer figur figuren film filme
        frau frauen freiheit freund freunde freundin frieden fruhling garten geduld gefuhl geheimnis geist geld gesang
        geschichte geschichten gesellschaft gewalt gluck gott grund hand haus heimat held helden herbst herz himmel
        hoffnung horror hund idee insel jahr jahre jugend junge kampf katze kind kinder klassiker konig krieg krimi
        krimis kunst land leben licht lied leute macht madchen mann manner mauer meer mensch menschen mond mord morgen
        musik mutter nacht nahe name natur regen reise ring roman romane ruhe ruhm sache satire schatten schlaf schnee
        schuld schwester see sehnsucht seite seiten sohn sommer sonne spannung spiel sprache stadt stille stimme stoff
        strasse stunde sturm suche tag tage thriller tier tiere tipp tochter tod traum traume treue vater verrat verlag
        vertrauen wahrheit wald wasser weg welt wetter wind winter wissen woche wort worte wunder wunsch zeit zeiten
        zimmer zorn zufall zukunft"""
    ),
    capital_nouns=True,
)
_GRAMMARS = {"German": GERMAN}


def grammar_of(texts: Iterable[str]) -> Grammar:
    """The rules for the language of a catalogue's texts; the English ones where there are none of its own."""
    return _GRAMMARS.get(language_of(texts).name, ENGLISH)
