"""General language about kinds of things: words that ask for a horror film, a book of verse, or something for children.

A concept names the words by which catalogues file it (``filed``: a value that holds one of these word sequences is of
the concept) and the words by which people ask for it. A catalogue that files nothing under a concept does not know it,
and its words are then no wish. ``spoken`` words that are everyday words too count only beside a noun for items.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Concept:
    filed: tuple[str, ...]
    spoken: tuple[str, ...]


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _concept(filed: str, spoken: str = "") -> Concept:
    return Concept(_split(filed), _split(spoken))


# Things by which people ask for a kind, singular: "zombies" for horror. Of the first, what has the thing is meant, of
# that kind if it may be; of the others, the kind, with the thing in it if it may be.
THINGS = word_set(
    "haunted "
    "zombie zomby vampire ghost alien robot android space spaceship dragon wizard elf hobbit unicorn pirate heist "
    "travel exorcism boxer boxing football baseball basketball soccer hockey golf surfing wrestling olympics karate "
    "musician"
)
ROLES = word_set(
    "cowboy outlaw gunslinger gangster mobster mafia spy cop detective soldier superhero superheroe killer monster"
)
BRANDS = word_set("marvel pixar dc")  # asked for, the kind that they make; refused, themselves alone
CONCEPTS: dict[str, Concept] = {
    "horror": _concept(
        "horror, slasher",
        "scary, scarier, scare, scares, scared, frightening, fright, terrifying, terror, creepy, spooky, slasher, "
        "slashers, jump scares, jumpscares, horrors, horrifying, haunted, haunting, haunted house, gore, gory, "
        "gorey, "
        "bloody, blood, nightmare fuel, chilling, spine chilling, ghost story, ghost stories, "
        "ghost, ghosts, spook me, spooks, christmas horror, monsters, vampires, "
        "zombies, zombie, vampire, demonic, possession, exorcism, hair raising, freaky, eerie, halloween",
    ),
    "comedy": _concept(
        "comedy, comedies, humor, humour, humorous, parody, satire",
        "funny, funnier, funniest, hilarious, laugh, laughs, laughing, laughter, humor, humour, humorous, comedic, "
        "silly, goofy, giggle, giggles, chuckle, witty, slapstick, spoof, parody, satire, satirical, lighthearted, "
        "light hearted, light, lighter, "
        "lighten, cheer me up, crack me up, stand up, comical, comic relief, feel good, cheerful, "
        "ridiculous, absurd, comedys, laugh out loud, jokes",
    ),
    "drama": _concept(
        "drama, dramas",
        "dramatic, dramas, tearjerker, tear jerker, tearjerkers, make me cry, cry, weepy, emotional, sad, sadder, "
        "moving, touching, serious, heartbreaking, heart breaking, thought provoking, makes me cry, makes you cry, "
        "make you cry, bawl, heartfelt, heavy, depressing, poignant, sob, sob story, weepie, weepies, "
        "weeper, tear jerking, tearjerking",
    ),
    "action": _concept(
        "action, martial arts",
        "action packed, explosions, explosion, blow things up, blowing up, blows up, blow up, exploding, explode, "
        "shoot em up, shootout, shootouts, fights, fighting, fight scenes, car chases, car chase, chases, "
        "adrenaline, "
        "martial arts, kung fu, karate, gun fights, gunfights, kick ass, ass kicking, butt kicking, high octane, "
        "superhero, superheroes, super hero, super heroes, marvel, fast paced, actiony",
    ),
    "adventure": _concept(
        "adventure, adventures",
        "adventurous, quest, swashbuckling, swashbuckler, treasure hunt, treasure, expedition, pirates, pirate, epic "
        "journey, exploring, adventures",
    ),
    "sci-fi": _concept(
        "sci fi, scifi, science fiction",
        "sci fi, scifi, science fiction, sf, in space, outer space, space, spaceship, spaceships, aliens, alien "
        "invasion, robots, robot, futuristic, future, dystopian, dystopia, time travel, time travelling, space "
        "opera, "
        "androids, cyberpunk, syfy, extraterrestrial, extraterrestrials, time machine, another planet, other planets",
    ),
    "fantasy": _concept(
        "fantasy",
        "fantasies, magic, magical, wizard, wizards, dragon, dragons, elves, hobbits, sword and sorcery, fairy tale, "
        "fairy tales, fairytale, fairytales, mythical, sorcery, enchanted, unicorns, witches and wizards",
    ),
    "romance": _concept(
        "romance, romantic",
        "romances, romantic, love story, love stories, lovey dovey, about love, falling in love, fall in love, "
        "sappy, "
        "mushy, soppy, chick flick, chick flicks, kissing, date night, date movie, valentines, romanticism, "
        "love affair, smoochy, love movie, love movies, love film, love films, swoon",
    ),
    "thriller": _concept(
        "thriller, thrillers, suspense",
        "thrilling, thrillers, suspense, suspenseful, edge of my seat, edge of your seat, edge of the seat, tense, "
        "tension, gripping, nail biter, nail biting, nailbiter, psychological thriller, mind bending, spy, spies, "
        "espionage, thrills, keep me guessing, keeps me guessing, keeps you guessing, mind games, twists and turns",
    ),
    "mystery": _concept(
        "mystery, mysteries, detective",
        "mysteries, whodunit, whodunnit, who done it, detective, detectives, murder mystery, mysterious, clues, sleuth",
    ),
    "crime": _concept(
        "crime, gangster, heist",
        "gangster, gangsters, mafia, mob, mobster, mobsters, heist, heists, bank robbery, robbery, cops, cop, "
        "criminal, "
        "criminals, con artist, con artists, serial killer, serial killers, murder, murders, drug lord, drug lords, "
        "crimes, true crime, police, detective story, robbers, underworld",
    ),
    "war": _concept(
        "war, military",
        "wars, world war, wwii, ww2, wwi, ww1, world war two, world war ii, second world war, soldiers, soldier, "
        "military, battlefield, vietnam war, army, trenches, combat",
    ),
    "western": _concept(
        "western, westerns",
        "westerns, cowboy, cowboys, wild west, gunslinger, gunslingers, old west, spaghetti western, spaghetti "
        "westerns, outlaws, saloon",
    ),
    "animation": _concept(
        "animation, animated, anime, cartoon, cartoons",
        "animated, cartoon, cartoons, animations, anime, pixar, cgi animation, toons, animes, claymation, stop motion",
    ),
    "documentary": _concept(
        "documentary, documentaries",
        "documentaries, docu, docs, doc, docuseries, documentarys, real footage, mockumentary, non fiction film",
    ),
    "biography": _concept(
        "biography, biographical, biographies, autobiography, memoir",
        "biopic, biopics, biographical, biographies, life story, life stories, life of a real person, real lives, "
        "real person, "
        "real people, bio pic, bio pics, memoir, memoirs, autobiography",
    ),
    "true story": _concept(
        "biography, biographical, documentary, history, historical",
        "true story, true stories, real life, real events, true events, based on fact, really happened, actually "
        "happened, real story, real stories, true tale, true tales",
    ),
    "history": _concept(
        "history, historical",
        "historical, historic, period piece, period pieces, period drama, costume drama, "
        "medieval, middle ages, historicals, regency, victorian, edwardian, tudor, elizabethan",
    ),
    "musical": _concept(
        "musical, musicals",
        "musicals, singing, sing, sings, song and dance, sing along, songs, broadway, show tunes, people "
        "bursting into "
        "song",
    ),
    "music": _concept("music", "about music, musicians, musician, bands, rock band, rock stars, rock star, concert"),
    "sport": _concept(
        "sport, sports",
        "sports, sporty, boxing, boxer, football, baseball, basketball, soccer, hockey, athlete, athletes, athletic, "
        "underdog team, golf, surfing, wrestling, olympics",
    ),
    "noir": _concept("noir, film noir", "noir, noirs, film noir, film noirs, noirish, hardboiled, hard boiled"),
    "short": _concept("short", "short film, short films, shorts"),
    "poetry": _concept("poetry, poems, verse", "poem, poems, poet, poets, verse, poetic"),
    "self-help": _concept("self help, personal growth", "self improvement, self help, habits, motivation"),
    "cooking": _concept(
        "cooking, cookery, cookbook, cookbooks, food", "cookbook, cookbooks, recipes, recipe, cook, baking"
    ),
    "vegetarian": _concept("vegetarian", "veggie, veggies, veg, meatless, meat free, no meat, without meat"),
    "vegan": _concept("vegan, plant based", "plant based, no animal products, without animal products"),
    "dessert": _concept("dessert, desserts", "pudding, puddings, something sweet, sweet, afters, sweet tooth"),
    "starter": _concept("starter, starters, appetizer, appetizers", "appetizer, appetizers, starters, first course"),
    "main": _concept("main, main course, mains", "mains, main course, main dish"),
    "breakfast": _concept("breakfast, brunch", "brunch"),
    "mellow": _concept(
        "mellow, calm, relaxing, chill",
        "calm, calmer, relaxing, relaxed, chilled, soothing, peaceful, laid back, mellower",
    ),
    "upbeat": _concept("upbeat, energetic, happy", "energetic, lively, livelier, happy, happier, bouncy, danceable"),
    "travel": _concept("travel", "travelling, traveling, journeys abroad, travelogue"),
    "strategy": _concept("strategy", "strategic, tactical, tactics"),
    "puzzle": _concept("puzzle, puzzles", "puzzles, brain teaser, brain teasers"),
    "nonfiction": _concept("nonfiction, non fiction", "nonfiction, non fiction, factual"),
    "young adult": _concept("young adult, teen", "teenager, teenagers, teens, teen, young adults, ya, adolescents"),
    "country music": _concept("country", "country music"),
    "electronic": _concept("electronic, dance, edm", "danceable, techno, club music"),
}

# What to take a kind for that a catalogue files nothing under, first choice first: a whodunit where there is but crime.
NEAR: dict[str, tuple[str, ...]] = {
    "mystery": ("crime", "thriller"), "crime": ("mystery", "thriller"), "thriller": ("crime", "mystery"),
    "noir": ("crime", "mystery"), "true story": ("nonfiction",), "musical": ("music",), "music": ("musical",),
    "biography": ("true story", "history"), "self-help": ("nonfiction",), "adventure": ("action",), 
    "action": ("adventure",),
}  # fmt: skip

# For children: how catalogues file it, first choice first, and what must then stay away.
CHILDREN_FILED = (
    "family, children, childrens, children s, kids",
    "animation, animated, cartoon",
    "child, junior, toy, toys, baby, toddler",
)
CHILDREN_NAMED = word_set("child children childrens kid kids junior toddler toddlers")
CHILDREN_AVOID = "horror, slasher, erotic, erotica, adult"
CHILDREN_RATINGS = ("g", "pg", "tv g", "tv y", "tv y7", "u", "all ages", "everyone", "e")
CHILDREN = _split(
    "for the kids, for kids, for my kids, kids, kid, kiddos, kiddo, kiddie, kiddies, kiddy, childish,  "
    "children, child, childrens, children s, "
    "my son, my daughter, "
    "my nephew, my nephews, my niece, my nieces, my grandson, my granddaughter, grandkids, grandchildren, toddler, "
    "toddlers, little ones, little one, my little boy, my little girl, my boys, my girls, preschooler, preschoolers, "
    "family friendly, kid friendly, child friendly, family movie, family movies, family film, family films, family "
    "night, family movie night, whole family, entire family, for the family, with the family, with my family, with "
    "family, my family, family fun, families, all ages, year old, years old, year olds, yr old, kindergartner, "
    "disney, babysitting, pg rated, rated g, rated pg, g rated, family"
)
CHILDREN_NOT = _split(
    "as a kid, as a child, was a kid, was a child, were kids, were kids, were children, was young, kid in me, "
    "my inner child, "
    "kids are in bed, kids are asleep, kids are away, kids are at, kids are gone, kids in bed, kids asleep, "
    "without the kids, child in me, inner child, since i was little, when i was little, kids went to bed, kids have "
    "gone to bed, kids are sleeping, kids are finally in bed, kids are finally asleep, kids are out, no kids around, "
    "you kid, kid you, kidding, star wars"
)

# Short first names and the long ones that a catalogue may have in their place.
NICKNAMES: dict[str, tuple[str, ...]] = {
    short: _split(full)
    for short, full in {
        "al": "alfred, alan, albert", "alex": "alexander, alexandra", "andy": "andrew", "arnie": "arnold",
        "ben": "benjamin",
        "bill": "william", "bob": "robert", "bobby": "robert", "cate": "catherine", "charlie": "charles",
        "chris": "christopher", "christopher": "chris", "dan": "daniel", "danny": "daniel", "dave": "david",
        "don": "donald", "ed": "edward", "eddie": "edward", "gabe": "gabriel", "greg": "gregory", "jack": "john",
        "jake": "jacob", "jeff": "jeffrey", "jen": "jennifer", "jenny": "jennifer", "jim": "james, jimmy",
        "jimmy": "james", "joe": "joseph", "josh": "joshua", "kate": "katherine, catherine", "ken": "kenneth",
        "larry": "lawrence", "leo": "leonardo", "liz": "elizabeth", "maggie": "margaret", "matt": "matthew",
        "matthew": "matt", "meg": "margaret", "mike": "michael", "nick": "nicholas", "nic": "nicolas",
        "pat": "patrick, patricia", "phil": "philip, phillip", "ray": "raymond", "rob": "robert", "robert": "rob",
        "ron": "ronald", "sam": "samuel", "steve": "steven, stephen", "stephen": "steven", "steven": "stephen",
        "ted": "theodore", "tim": "timothy", "tom": "thomas", "tony": "anthony", "vince": "vincent", "wes": "wesley",
        "will": "william",
    }.items()
}  # fmt: skip

# Words after a surname that means several of one family: "the Coen brothers".
FAMILY = word_set("brothers bros sisters siblings")

# What people say who do not want to be frightened.
FAINT = _split(
    "scare easily, scares easily, scared easily, easily scared, easily frightened, get scared, gets scared, get "
    "scared "
    "easily, gets scared easily, spook easily, spooks easily, scaredy cat, a wimp, a big wimp, a chicken, a coward, "
    "squeamish, faint of heart, faint hearted, get nightmares, gets nightmares, have nightmares, has nightmares"
)

# One phrase that asks for two things at once; refused, it is the first that is refused.
PAIRS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        _split("romcom, romcoms, rom com, rom coms, romantic comedy, romantic comedies"), ("romance", "comedy")
    ),
    **dict.fromkeys(_split("dramedy, dramedies, comedy drama, tragicomedy"), ("comedy", "drama")),
    "dark comedy": ("comedy", "comedy"),
    "buddy cop": ("action", "comedy"),
}

# Qualities that several kinds share: refused, all of them go; wanted, any will do.
SPREAD: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "violence": (
        _split("violent, violence, brutal, graphic, guns, killing, bloodshed, shooting, bloodbath, gruesome, grisly"),
        ("horror", "war", "action", "crime", "thriller"),
    ),
    "heartwarming": (
        _split("heartwarming, heart warming, uplifting, wholesome, cozy, cosy, charming, feelgood"),
        ("romance", "comedy"),
    ),
}

# How catalogues name what an item has won, and how people ask for it.
AWARD_KEYS = word_set("award awards prize prizes oscars honour honours honor honors won")
AWARDED = _split(
    "prize winner, prize winners, prizewinner, prizewinners, prize winning, award winner, award winners, "
    "award winning, "
    "won a prize, won an award, won prizes, won awards, won something, with an award, with a prize, with awards"
)

# Days at which people want a film or a book about them.
SEASONS = word_set("christmas xmas halloween thanksgiving easter hanukkah")

# Values that are everyday words as well: they count beside a noun for items, or alone in their clause.
EVERYDAY = word_set(
    "short news family music history sport fiction reality television adult love life school home work science art "
    "business general other new old heavy space future serious moving cry blood sing songs doc docs cop country "
    "dance classic classics mob army cook food travel teen books book religion nature health time people talk "
    "charming absurd ridiculous touching possession monsters treasure murder combat police football golf poet verse "
    "habits motivation graphic shooting light"
)
NOUNS = word_set(
    "role roles "
    "movie movies film films flick flicks picture pictures show shows book books novel novels read reads song songs "
    "album albums game games story stories comic comics series title titles one ones thing things stuff podcast "
    "podcasts recipe recipes product products item items genre genres piece type kind fare cinema scene scenes"
)
