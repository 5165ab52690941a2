"""Words with which people talk about choosing something, so that they are no topic of it."""

from __future__ import annotations

from tacit.dialogue.policy.wishes.lexicon import NOUNS, word_set
from tacit.languages import ENGLISH

# People's everyday words about choosing something: those that the seekers of ReDial's training part (CC BY 4.0) use a
# fifth as often as the plots of its films do, or oftener, names and things left out.
_TALK = word_set(
    """able absolute absolutely acting actually add adding admit ads advertised advice afternoon ago agree agreed ahead
    ala alley along already alright also although alway animated another anymore anyway anywhere apparently
    appreciate appreciated appropriate arent asking asleep assuming available awful bad beat because beside bet
    billion boring both bout bro bunch busy butt bye came cant care category certain chat check checking cheer
    cheesy chick chill choice choose combination comedic compare completely confused confusing consider content
    conversation correct couldnt course cracked crap craving cry cup curious current currently cute def definitely
    delay depend deserved didnt directing disappointed doe doesnt doing done dont dry dude dvd earlier either else
    ended enjoy enjoying enough especially etc even evening ever exactly excellent except excited exciting expand
    expect familiar fan fantastic felt few fine finished forget forgot forward franchise freaky friendly funny gal
    gave give glitch gonna goo goodbye goodnight goofy google goosebump got gotta gotten graphic gross guess gut
    hank hasnt hate hated haven havent hear hearing hearted helped helpful helping hilarious historical honest hoot
    hopefully hoping howdy huge hype ill independant intense interest interested intriguing irreverent isnt ive joke
    kid know laugh laughing lean least lighter liked likely liking line list listen literally look looking lot
    lovely mainly many matter may mean meant merry might mind mine missed mix mixture morning mostly much multiple
    myself necessarily neither newest non nor nostalgic obvious omg open opinion option packed partially per perhap
    personally pick planning played plus prefer premise prequel pretty preview probably provoking psychological
    quite rated rather raunchy realistic realized reason rec recall recently regardless related relaxing remake
    remember reminded reminder rent rest revisit rip romantic sad said same saw say saying scare scared seeking seem
    seemed sequel sequence serious sery sexy shall shame should silly since sit slow sometime somewhat somewhere
    sorry sound speaking spelling started stick still stream submit such suggest super supposed surprised
    surprisingly suspense sweet talked talking taste tear tend thank theatre theme these theyd think thinking those
    though thought thrill thrilling till timeless tip tired today ton totally trailer tried trilogy truly twice
    typical understand unsure version very vintage visual wait wanted wanting warm wasnt watched week went werent
    weve whatever winner witty wonderful wondering wont worth wouldnt yesterday yet youre youve"""
)
# Words that say how an item is, or how it is watched, and not what it is about.
NO_TOPIC = ENGLISH.function_words | NOUNS | word_set(
    """twist twists ending endings end plot story cast message lead leads character characters humor humour pace budget
    rating soundtrack score heart happy strong good great best better nice big decent solid proper right different
    similar foreign popular famous favorite favourite favorites favourites recent random whole entire long short light
    fun cool interesting
    awesome amazing beautiful perfect weird crazy dumb stupid smart clever simple easy hard friend friends girlfriend
    boyfriend wife husband partner mom mum dad brother sister family kids popcorn wine beer dinner date tonight night
    day weekend hour hours minutes minute time year years watch watching see seeing seen read recommend suggestion
    mood feel feeling low high independent indie cult blockbuster hidden underrated overrated quality top
    thing things stuff way bit little couple people person someone somebody anyone everyone everything nothing idea
    main full self name kind type sort genre style like love want need please thanks maybe really subtitles subtitle
    english language tv netflix streaming theater cinema oscar award winning made based real true own next last first
    second third new old older newer modern classic original seriousness depth meaning substance anything
    something popularity reviews review stars star actor actress director again lately going
    goes gets getting trying being suggestions ideas options recommendations others picks choices hints tips
    around worse set experience dialogue most almost mostly
    problem problems worry worries clue doubt luck preference fuss hurry rush evening stuff gory
    side perspective view pov age ages must ought take takes taking place happen happens obsessed mad keen fond
    nothing here there where while also lol haha please
    half part
    other others find help tell make makes made making work works used use hope instance example moment back put end
    fiction wow possibly normally heard focus possible general given missing written fabulous special wrong later
    hell"""
) | _TALK  # fmt: skip
