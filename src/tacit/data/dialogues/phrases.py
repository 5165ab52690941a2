"""The words the bundled synthetic world is built from: all invented here, none taken from a data set."""

from __future__ import annotations

# A genre's nouns make titles and its plots make item texts, so that text alone tells much of a film's genre.
GENRES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "comedy": (
        ("Wedding", "Neighbour", "Picnic", "Landlord", "Reunion", "Parrot"),
        ("two rivals must share one flat and every plan they make ends in laughter", "a best man loses the rings"),
    ),
    "horror": (
        ("Cellar", "Scarecrow", "Séance", "Graveyard", "Whisper", "Hollow"),
        ("a family wakes something old in the cellar of its new house", "nobody who answers the phone survives"),
    ),
    "science fiction": (
        ("Orbit", "Android", "Colony", "Signal", "Nebula", "Paradox"),
        ("a crew far from Earth finds a ship that should not exist", "a machine learns to dream and runs away"),
    ),
    "romance": (
        ("Letter", "Summer", "Promise", "Garden", "Violin", "Kiss"),
        ("two strangers keep missing each other until one rainy night in spring", "an old love letter finds its way"),
    ),
    "thriller": (
        ("Alibi", "Witness", "Ransom", "Cipher", "Suspect", "Deadline"),
        ("a witness has one night to prove who pulled the trigger", "every clue leads the detective to her own door"),
    ),
    "action": (
        ("Convoy", "Strike", "Bullet", "Getaway", "Commando", "Storm"),
        ("a retired soldier takes on an army to bring one child home", "a chase crosses three countries in a day"),
    ),
    "animation": (
        ("Fox", "Lantern", "Balloon", "Robot", "Dragon", "Penguin"),
        ("a small fox sets out to find the end of the rainbow", "toys of a closed shop learn to fly"),
    ),
    "drama": (
        ("Harbour", "Daughter", "Verdict", "Winter", "Orchard", "Silence"),
        ("a fisherman's daughter returns to the village that cast her out", "a teacher fights for her last class"),
    ),
    "fantasy": (
        ("Kingdom", "Wizard", "Amulet", "Prophecy", "Throne", "Griffin"),
        ("a kitchen boy inherits a sword that speaks", "the last wizard must forget all magic to save the realm"),
    ),
    "western": (
        ("Saddle", "Sheriff", "Canyon", "Outlaw", "Railroad", "Dust"),
        ("a sheriff without a gun faces the gang that burned his town", "gold turns two brothers against each other"),
    ),
}
ADJECTIVES = (
    "Silent",
    "Crimson",
    "Broken",
    "Golden",
    "Last",
    "Hidden",
    "Wild",
    "Endless",
    "Frozen",
    "Midnight",
    "Lonely",
    "Burning",
    "Secret",
    "Paper",
    "Iron",
    "Velvet",
    "Distant",
    "Crooked",
    "Hungry",
    "Electric",
)
FIRST = (
    "Adela",
    "Bruno",
    "Carla",
    "Dmitri",
    "Elin",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kaia",
    "Leon",
    "Mira",
    "Nils",
    "Olga",
    "Pavel",
    "Rosa",
    "Sven",
    "Tilda",
    "Viktor",
    "Wanda",
    "Yusuf",
    "Zora",
    "Anton",
    "Bettina",
    "Casper",
    "Dora",
    "Emil",
)
LAST = (
    "Albrecht",
    "Bellamy",
    "Castellan",
    "Dunmore",
    "Eklund",
    "Fairweather",
    "Grimaldi",
    "Hollis",
    "Ivarsson",
    "Jarvela",
    "Korda",
    "Lindqvist",
    "Marchetti",
    "Novak",
    "Ostberg",
    "Petrov",
    "Quintero",
    "Rosler",
    "Santini",
    "Thorne",
    "Ulrich",
    "Varga",
    "Westerby",
    "Zielinski",
)
PLACES = (
    "a harbour town",
    "the capital",
    "a desert outpost",
    "a mountain village",
    "a small island",
)

AGENT_GREETS = (
    "Hello! What kind of films do you enjoy?",
    "Hi there, how can I help you tonight?",
    "Good evening! Tell me a film you liked.",
    "Hey! What are you in the mood for?",
)
USER_OPENS = (
    "Hi! I am looking for a good {genre} film, something like {title}.",
    "I love {genre} films. {title} is one of my favourites.",
    "Can you recommend something similar to {title}?",
    "Hello, I really enjoyed {title} and would like more {genre}.",
    "I am in the mood for {genre}. I liked {title} a lot.",
)
USER_ADDS = (
    "Anything with {person} would be great.",
    "I also liked {other}.",
    "I have the whole evening free.",
    "Not too old, please.",
)
AGENT_ASKS = (
    "What did you like most about {title}?",
    "Do you have a favourite actor or director?",
    "Are there films you did not like?",
    "Is it for you alone or for the family?",
)
USER_ANSWERS = (
    "Mostly the story, I enjoy good {genre}.",
    "I like anything with {person}.",
    "I did not like {other}, it was boring.",
    "Just for me, and {genre} is always fine.",
)
AGENT_OFFERS = (
    "Have you seen {title}? It is {genre} with {person}.",
    "You might like {title}, directed by {director}.",
    "I would suggest {title}. It is a great {genre} film.",
    "How about {title}? {person} is wonderful in it.",
    "Then {title} could be for you.",
    "I think you would enjoy {title}.",
)
AGENT_OFFERS_MORE = ("{title} and {second} are both worth a look.", "Try {title}, or maybe {second}.")
AGENT_OFFERS_THREE = ("I can offer {title}, {second} or {third}.",)
USER_LIKES = (
    "Oh, that sounds great! I love {genre}.",
    "That sounds wonderful, I have heard good things about it.",
    "Nice, {person} is amazing. I would love to see that.",
    "Perfect, that is exactly what I was looking for!",
    "Great suggestion, thank you.",
)
USER_DISLIKES = (
    "No, I am not a fan of {genre}.",
    "Hmm, that sounds boring to me. Anything else?",
    "I hate {genre}, sorry. Do you have something different?",
    "That one is not for me, it looks terrible.",
    "I do not really like {person}.",
)
USER_SEEN_LIKED = ("I have seen it and loved it! Something else like that?", "Yes, I saw that one, it was really good.")
USER_SEEN_DISLIKED = ("I have seen it, and it was awful.", "I saw that one and did not like it at all.")
USER_ACCEPTS = (
    "I will watch {title} tonight. Thank you so much!",
    "Great, I will check it out. Thanks for your help, bye!",
    "Thank you, I am looking forward to it. Have a nice evening!",
)
USER_LEAVES = ("I think I will look elsewhere. Bye.", "This is not helping, sorry. Goodbye.", "I have to go now. Bye.")
AGENT_CLOSES = ("Enjoy the film! Bye.", "You are welcome, have a lovely evening!", "Glad I could help. Goodbye!")
