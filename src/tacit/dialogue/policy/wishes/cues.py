"""The small words around a wish: what refuses, allows, forgets, asks again, and points at what was shown."""

from __future__ import annotations

import re

# Order decides where two begin at one place. Written for text as ``tokens`` leaves it: "don't" is "do not".
_CUES: list[tuple[str, str]] = [
    ("grown", r"for (?:the )?(?:adults?|grown ?ups?)(?: only)?|(?:adults?|grown ?ups?) only"),
    ("needless", 
        r"(?:is|are) not (?:a must|necessary|important|required|needed|essential|mandatory)|(?:is|"
        r"are) optional"
    ),
    ("reset", 
        r"start over|start again|from scratch|forget (?:what i said|everything|all (?:of )?that|it all|"
        r"all i said)|let us start over"
    ),
    ("undo", r"scratch that|forget that|strike that|never ?mind that|forget it"),
    ("lasting", 
        r"(?:have|has|had) not (?:seen|watched|had|read|heard|played) (?:a|an|any|some)\b(?! of)|"
        r"do not you have|do you not have|can not you|is there not|is not there|are there not|"
        r"are not there|why not|who does not"
    ),
    ("lasting", 
        r"(?:can not|could not) (?:decide|choose|pick)(?: between)?|"
        r"(?:can not|could not|never) (?:get enough of|go wrong with|beat|resist|say no to|get tired of|"
        r"have enough)|nothing (?:beats|but)|(?:(?:do|does|did) )?not (?:only|just|merely|"
        r"always)|would not mind|would not say no to|"
        r"would not hurt|can not wait"
    ),
    ("allow", 
        r"(?:is )?not that (?:i|we|he|she) (?:(?:would|do|does|have) )?(?:not )?(?:mind|dislike|"
        r"object to|hate|like|enjoy|"
        r"(?:have )?anything against|(?:am|is|are) against)|"
        r"nothing (?:wrong|against) with|nothing against|no (?:problem|problems|issue|issues|"
        r"objections?) (?:with|to)|(?:do|does) not mind|(?:fine|ok|okay|cool|good|alright) with|open to|"
        r"not (?:opposed to|against|averse to)"
    ),
    ("release", 
        r"(?:never ?mind|forget|scratch|drop|ignore|disregard)(?: about)?(?: (?:the|my|"
        r"that))?(?= \S+(?: \S+){0,2}(?: (?:part|thing|bit|requirement|rule|idea))?(?: [.,;!?]|$| (?:make|"
        r"lets?|give|and|but|instead|i|we|just|any|something)\b))"
    ),
    ("release", 
        r"(?:does not|do not|need not|did not|not) (?:really )?(?:have to|need to|necessarily|"
        r"got to)(?: be| have)?|need not be|not necessarily|no need (?:for|to be)|(?:do|"
        r"does) not (?:really )?(?:care|matter|mind) (?:about|if|whether|what|which|when)|"
        r"changed my mind (?:about|on)|i take back|can also be|could also be|may also be"
    ),
    ("any_key", 
        r"(?:any|whatever|every) (?P<any>year|decade|era|time|age|genre|kind|type|style|period)(?: (?:is|"
        r"will|works|would|ok|okay|fine|goes|at all|really)| *(?=[.,;!?]|$))|(?:the )?(?P<any2>year|"
        r"decade|era|age|genre|period) (?:does not matter|is not important|does not play a role|"
        r"is up to you)|from any (?P<any3>year|decade|era|time|period)"
    ),
    ("role_of", 
        r"(?:(?:the|that|same|other) )*(?:guy|man|dude|bloke|actor|actress|woman|girl|lady|star|stars|lead|leads|cast|"
        r"director|filmmaker|maker|makers|author|writer) (?:from|in|of|behind|(?:who|that) (?:(?:is|was|were|plays?|"
        r"played|stars?|starred) in|directed|made|wrote|did))|whoever (?:directed|made|wrote|did|(?:is|was|stars?|"
        r"starred|played) in)"
    ),
    ("sequel_of", 
        r"(?:(?:a|an|any|the|some) )?(?:sequels?|prequels?|follow ?ups?|next (?:one|part|movie|film|installment|book)|"
        r"continuation|rest|part (?:two|three|2|3)|(?:other|later|new|newer) (?:one|ones|films|movies|parts)) "
        r"(?:to|of|for|after|in)(?: the)?(?= (?:§|it\b|that\b|this\b))|"
        r"(?:what|whatever|anything|which) (?:(?:came|comes|come|happens|happened) )?(?:after|next in)"
        r"(?= (?:§|it\b|that\b))|"
        r"(?:another|any other|all the other|more|other)(?= §)"
    ),
    ("nth_of", r"(?:the )?(?P<nthof>second|third|fourth|fifth)(?= §)"),
    ("fallback", 
        r"if (?:you|they|there|we) (?:do|are|is|can|have|has)(?: not| no)(?: have| got| any|"
        r" find| know(?: of)?)*(?: any| a| an)?|"
        r"failing"
    ),
    ("unless", r"unless|except (?:if|when)"),
    ("stays", r"(?:(?:can|may|should|must|could|will) stay|stays?)(?= [.,;!?]|$| and\b| but\b)"),
    ("swap", r"(?:swap|trade|replace|exchange|substitute)(?= (?:\S+ ){1,4}(?:for|with|by)\b)"),
    ("just", r"just|purely|strictly"),
    ("question", 
        
        r"(?:do|did|would) you (?:like|love|enjoy|watch|think|prefer|know(?! of| any| a| some| another))|"
        r"have you (?:ever )?(?:seen|"
    
        r"watched|read|heard|played)|did you (?:see|watch)|what is your|are you (?:a|into)|if you (?:like|"
        r"love|want)|(?:is|was) (?:it|that|this)(?: one| movie| film| book)?(?= (?!possible|for)\w)|"
        r"(?:is|was|are|were|does|did|do|has) (?:the )?(?:first|second|third|fourth|fifth|last|[1-5]th)"
        r"(?: one| movie| film| book)?(?= \w)|how (?:long|old|many|much|scary|funny|violent|gory|sad|good|bad)\b|"
        r"is(?= (?:\w+ ){1,3}in (?:it|that|this|them)\b)|(?:are|were) (?:they|those|these)\b|(?:is|was|"
        r"are|were) §\d+|(?:does|"
    
        r"did) (?:it|that|this)(?: one)? have|what is that|who (?:is|was|plays?|played|directed|stars?|"
        r"starred)"
    ),
    ("bad", 
        r"(?:is|are|was|were|looks?|sounds?|seems?|feels?)(?: just| all| also| a bit| a little| kind of|"
        
        r" so| pretty| too| both)* (?:boring|awful|terrible|bad|stupid|dull|horrible|lame|overrated|"
        r"out(?= [.,;!?]|$| for )|"
    
        r"garbage|trash|disappointing|meh|rubbish|dreadful|off (?:the table|limits)|too (?:long|slow)|"
        r"the worst|a no|a no go|annoying|cringe|yuck|gross|crap|pointless)\b"
    ),
    ("bad", 
        r"(?:is|are|was|were|looks?|sounds?|seems?) not (?:exactly |so |that |all that )?(?:my|for me|"
        r"for us|appealing|interesting|great|good|fun|it|what|something|our|her|his|their|an option|"
        r"allowed|welcome)(?: (?:thing|cup of tea|style|taste|favou?rites?|jam|bag|speed|type|genre|"
        r"things|kind of thing))?"
    ),
    ("bad", 
        r"(?:not|never) (?:exactly |so )?(?:my|our|her|his) (?:thing|cup of tea|style|taste|jam|bag|genre|"
        
        r"type|favou?rites?)|bores? (?:me|us|her|him)|bored me|puts? (?:me|us|her|him) to sleep|"
        r"drives? (?:me|us) (?:up the wall|crazy|nuts|mad|insane)|gets? on (?:my|our) nerves|"
        r"annoys? (?:me|us)|irritates? (?:me|us)|(?:do|does) my head in|"
    
        r"gives? (?:me|us|her|him|them) (?:nightmares|the creeps|headaches|a headache)|freaks? (?:me|us|"
        r"her|him) out|scares? (?:me|us|her|him|them)|(?:do|does) nothing for (?:me|us)|(?:do|does|"
        r"did) not (?:do it|work|click|cut it) for (?:me|us)|sucks?|sucked|can wait|stresses? me out|"
        r"(?:make|makes) me (?:sick|cringe|sleepy|uncomfortable)|i (?:can|could|will) (?:pass|skip)|"
        
        r"no (?:thanks|thank you|way|go|no)|hard pass|a miss|for another (?:day|time|night)|not (?:today|"
        r"tonight|now|again|happening)|"
    
        r"i have had enough of(?= (?:it|that|them|those)\b| [.,;!?]|$)|"
        r"(?:must|has to|have to|should|can|could|needs to|need to) go(?= [.,;!?]|$| and\b| but\b)|"
        r"wears? me out|turns? (?:me|us) off|can (?:be left out|stay away|go away)|"
        r"(?:is|are) a (?:turn off|no no|dealbreaker|deal breaker|no for me)"
    ),
    ("good", 
        r"(?:is|are|would be|will be|can be|could be|might be|sounds?)(?: also| perfectly| actually| all|"
        r" just)? (?:fine|ok|okay|alright|all right|acceptable|allowed|cool|no problem|not a problem|"
        r"not (?:so|that|too) bad|welcome|an option|good|great|nicer?|better|preferable|ideal|best|lovely|"
        r"perfect|fun|awesome)\b|"
        r"after all|works?(?: too)? for (?:me|us)|will do|would (?:work|do)|(?:is|are) not (?:a problem|"
        r"an issue|off limits)"
    ),
    ("not", 
        r"(?:have |has )?had (?:my|our|his|her) fill of|(?:have |has )?(?:seen|watched|read|heard|had|eaten|played) "
        r"(?:more than )?enough(?: of)?(?= (?!of\b|it\b|that\b|them\b|those\b)\w)"
    ),
    ("unseen", 
        r"(?:have|had|has|did)(?: still| also)? (?:not|never) (?:actually |ever |yet |even |"
        r"heard of or )?(?:seen|see|watched|watch|read|heard of|played|saw)|never (?:seen|saw|watched|"
        r"read|heard of)|yet to (?:see|watch|read)|not (?:yet )?(?:seen|watched)|(?:want|wanted|like|love|"
        r"going|wants|need|hope|hoping|plan|planning|meaning) to (?:see|watch|read)|did not see"
    ),
    ("seen_all", 
        r"(?:(?:have|has|had) )?(?:already |just |basically )*(?:seen|watched|read|saw|know) (?:nearly |"
        r"almost |pretty much |basically )?(?:every|all(?: of)?(?: the| his| her| their)?|"
        r"everything)(?= (?!of (?:them|those|these)\b)(?!them|those|these))"
    ),
    ("seen", 
        r"(?:have |has |had )?(?:already |both |all |just |recently |also |actually |only |"
        r"literally )*(?:(?<=\d )(?:i|we) know(?= [.,;!?]|$)|read(?= (?:that|it|this|those|both)\b)|seen|"
        r"watched|saw|finished|rewatched)(?: already)?|(?:have|has|had)(?: already|"
        r" both| all)* read|already read|(?:already|i) (?:know|knew|own|have)(?= (?:it\b|that\b|those\b|"
        r"them\b|this\b|§|both\b|all\b))|(?:have |has )?got (?:it|that(?: one)?|them|those)"
        r"(?= already)|know(?= (?:that one|those|both))|caught(?= (?:it\b|that\b|§))|been there|"
        r"had(?= (?:it|that|those|these|them)\b(?! (?:was|is|were|are)))|"
        r"(?:have )?(?:already )?done(?= (?:it|that|those|these|them|both)\b)"
    ),
    ("told",
        r"(?:have |has )?(?:just |already |only )?(?:had|picked|chose|recommended|"
        r"put on|sat through|binged)(?= (?:a|an|one|two|"
        r"three|four|five|\d+|some|lots|plenty|so many|too many|nothing but|only|that|this|the)\b)|"
        r"(?:have|has) been (?:watching|reading|eating|cooking|playing|listening to|having|seeing) "
        r"(?:nothing but|only|too (?:many|much))|"
        r"used to (?:like|love|enjoy|adore|prefer|watch|read|eat|cook|play|own|have|listen to|be into|go for)|"
        r"(?:(?<=\bi )|(?<=\bwe )|(?<=\bjust ))(?:made|cooked|baked|ate|tried|rented|bought|ordered|booked|"
        r"grew up (?:with|on|watching|reading|hearing|listening to))"
    ),
    ("enough", r"enough(?! of)"),
    ("none_of", r"(?:neither|none) of (?:them|those|these)(?= [.,;!?]|$)"),
    ("reported", r"i (?:had )?(?:said|told you|asked for|mentioned) (?:no|not|nothing|without)\b(?! more)"),
    ("not_in_it",
        r"(?:(?:but |and )?not|(?:should|must|does|do|did) not be|without (?:him|her|them)) "
        r"(?:in front of (?:it|the camera)|acting(?: in it)?|starring|as an act(?:or|ress)|in it|on screen)"
    ),
    ("not_by",
        r"(?:did|does|do|has|have|was|is) (?:not|nothing to do with) ?(?:direct|directed|make|made|write|written|wrote|"
        r"star|act|appear|play|produce|it\b|involved)(?: in)?"
    ),
    ("by_same", r"(?:did|has|have|does) (?:he|she|they) (?:make|made|direct|directed|write|written|do|done|star|play)|"
        r"(?:by|from|with|starring) (?:her|him|(?:the|that|this) same (?:author|writer|director|actor|"
    r"actress|person|band|artist|singer|composer|group|guy)|"
        r"(?:that|this) (?:author|writer|director|actor|actress|band|artist|singer))"
        r"(?= (?:[.,;!?]|but|and|please|in|too|again)|$)"),
    ("not", 
        r"(?:am|are) off(?! to| work| on| for)|(?:walks?|runs?|switch(?:es)?|turns?) (?:out|off|away) "
        r"(?:if|when|at|over)(?: there (?:is|are))?|"
        r"not (?:a|one) single|not one|"
        r"too (?:old|young|grown up|mature|cool) for"
    ),
    ("except", 
        r"(?:anything|everything|anyone|anybody|everyone|whatever|(?:any|all|every)(?: (?:genre|kind|"
        r"type|sort|style|movie|film|book|one|thing|colou?r|brand|make|country|cuisine|language|year|decade|material|"
        r"size|flavou?r|artist|author|director|actor|label|place|region|time))?) (?:but|"
        r"except|other than|besides|apart from|that is not|which is not)(?: for)?|"
        r"except(?:ing)?(?: for)?|"
        
        r"excluding|other than|besides|apart from|short of|"
        r"bar(?:ring)?(?= (?:the|any|all|his|her|§\d+)\b)|(?<=, )bar\b|save for|"
        r"(?:someone|somebody|something|anything|"
        r"anyone) (?:else|other) than|different from|aside from|rather than|instead of|but not|and not|"
    
        r"but no|just not|just no|only not|minus"
    ),
    ("else", r"(?:anything|something|everything) (?:else|different)|for a change|a change from (?:that|those|it|them)"),
    ("not", 
        r"not(?: a| an| in the| too| so| big| huge| much| that)* (?:mood for|fan of|fans of|into|keen on|"
        r"crazy about|fond of|interested in|up for)"
    ),
    ("not", 
        r"(?:do|does|did|can|will|could|would|should|is|are|am|was|were|have|has) not(?: ever| even|"
        r" want(?: to)?| wish(?: to)?| need| like| love(?! stor| movie| film| affair)| enjoy| watch| see| eat| drink|"
        r" do| care for| stand| take|"
        r" handle| bear| tolerate| deal with| feel like| go for| appreciate| get| be| have| show me|"
        r" give me| recommend| suggest| include| think i want| feel| find| any| anything| another| a| an|"
        r" so| much| overly| watching)*"
    ),
    ("not", 
        
        r"the last thing (?:i|we) (?:want|need)(?: now| tonight| today)?(?: is)?|hates?|hated|hating|"
        
        r"refuses?(?: to (?:watch|see|read|eat))?|despises?|dislikes?|disliked|detests?|loathes?|"
        r"dreads?|abhors?|(?:can|could) not abide|"
        r"avoid(?:ing)?|can do without|"
    
    
        
        r"exclude|skip(?:ping)?(?: the)?|sick of|tired of|(?:have |has )?had it with|(?:am |"
        r"are )?done with|through with|could do without|bored (?:of|with|by)|fed up with|over with|"
    
        r"(?:had |have had )?enough of|enough with|leave out|leaving out|"
        r"(?:get|getting) rid of|(?:lose|ditch|cut|remove)(?: out)? the|"
        r"as (?:little|few)(?= \w)|the (?:less|fewer)|"
        r"(?:must nots?|cons|dislikes?|no gos?|do nots|deal ?breakers?|exclu(?:ded?|sions?)|"
        r"unwanted)(?= :)|keep out|stay away from|"
        r"steer clear of|free of|allergic to|lay off|no more|hold the|spare me(?: the)?|(?:fear|phobia|scared|"
        r"afraid|"
        r"terrified|frightened) (?:of|by)|without|nobody|no one|nothing|none(?: of)?|never|neither|nor|"
        r"no|not|zero|less|"
        r"fewer|lacking|devoid of|burned out on|burnt out on|burnt out by|ban|(?:am|is|are) (?:so |"
        r"kind of )?over"
    ),
    ("like_verb", 
        r"(?<!\S)(?:i|we|he|she|they|who|kids|wife|husband|both|all|also|do|does|did|always|still|"
        
        r"usually|generally|mostly|mainly|probably|might|may|tend to|friend|mom|mum|dad|family|girlfriend|"
        r"boyfriend|daughter|"
    
        r"son|partner|to|people|especially) (?:like|likes|liked)\b"
    ),
    ("sim", 
        r"(?:something |anything |stuff |movies? |films? |books? |ones? )?(?:(?:a lot |exactly |just |"
        r"more |much |kind of )?(?:similar to|along the lines of|reminiscent of|comparable to|"
        r"in line with|same (?:vibes?|style|kind|sort|type|feel|mood|vein|spirit|genre)(?: of \w+)? (?:as|"
        r"of)|in the (?:same )?(?:style|vein|spirit|mould|mold|manner|tradition) (?:of|as)|more of|"
        r"such as|as (?:good|funny|scary|great|fun) as|close to|like|ala|a la|resembling|resembles))\b"
    ),
    ("taste", 
        r"(?:(?:huge |big |great |massive |real )?fans? of|love|loves|loved|loving|enjoy|enjoys|enjoyed|"
        r"(?:mad|nuts|wild|passionate) (?:about|for)|keen on|hooked on|a sucker for|soft spot for|"
        r"into|adore|adores|dig|appreciate|partial to|obsessed with|crazy about|favou?rites? (?:is|are|"
        r"genre is|genres are)?|usually watch|liked)\b"
    ),
    ("want", 
        r"wants?|wanted|looking (?:for|to)|look for|searching for|search for|hunting for|after(?= (?:a|an|"
        r"some)\b)|give (?:me|us)|show (?:me|us)|find (?:me|us)|get (?:me|us)|hit me with|throw me|needs?|"
        r"needed|prefer(?:s|ably)?|recommend(?:ations?)?|suggest(?:ions?)?|would (?:like|love|prefer|"
        r"rather|enjoy)|like to|love to|in the mood for|mood for|feel like|feeling(?: like)?|how about|"
        r"what about|maybe|perhaps|something|some|let us|make it|go for|going for|craving|fancy|dying for|"
        r"ideally|must (?:be|have)|should (?:be|have)|has to (?:be|have)|have to be|needs? to be|only|"
        r"bring on|more|got any|have any|any good|anything|any|pick|choose|put on|let me|ready for|"
        r"time for|give it|try|rather|instead|i could|could do with|another"
    ),
    ("than", r"than|over|to"),
    ("non", r"non|un"),
    ("same", 
        r"(?:the )?same (?:with|for|goes for|thing with|thing for)|(?:and )?neither (?:is|are|do)|"
        r"so (?:is|are)"
    ),
    ("too", r"(?:way |far |a bit |a little )?too(?= \w)|"
        r"(?:a bit|a little|a tad|rather|somewhat|kind of)(?= (?!of\b)\w+ for (?:me|us|my|our|him|her|them)\b)"),
    ("sep", 
        r"thank you|thank|but|though|although|however|otherwise|still|then|while|whereas|even if|as long as|"
        r"except that|"
        r"so(?= (?:a|an|something|some|maybe|let us|give|show|how about|(?:i|we) (?:want|would|need))\b)|"
        r"yet|that said|well|hmm|actually|ok|okay|please|thanks|so long as|and then|plus|also|where|who|"
        r"because|cause|cuz|since (?:i|we|my|the|it|she|he|they)\b|as (?:i|we|my|she|he|they)\b"
    ),
    ("pron", 
        r"(?:the )?(?P<nth>(?:first|second)(?! world war)|third|fourth|fifth|last|1th|2th|3th|4th|5th)"
        r"(?: (?P<howmany>two|"
        r"three|four|couple))?(?: (?:one|ones|movie|film|book|title|suggestion|pick|"
        r"option))?(?: you (?:said|mentioned|named|gave|suggested|recommended))?|(?:number|option|"
        r"#) ?(?P<digit>[1-9]|one|two|three|four|five)|(?P<all>both(?: of (?:them|those|these))?|(?:all|"
        r"any|none|neither|either|each|most) of (?:them|those|these|the above)|all (?:three|four|five|"
        r"these|those)|(?:those|these|them)(?: all)?(?: (?:ones|two|three|four|five|movies|films|books|"
        r"both))?|they(?= (?:are|were|look|sound|all))|the others?)|(?P<one>(?:that|this)(?: (?:one|movie|"
        r"film|book|title|game))?|it)\b"
    ),
]  # fmt: skip
CUE = re.compile("|".join(f"(?P<c{n}>(?:{pattern}))(?!\\w)" for n, (_, pattern) in enumerate(_CUES)))
NAMES = [name for name, _ in _CUES]
ORDINAL = {
    **{word: n for n, word in enumerate(["first", "second", "third", "fourth", "fifth"])},
    **{f"{n}th": n - 1 for n in range(1, 6)},
    **{str(n): n - 1 for n in range(1, 10)},
    **{word: n for n, word in enumerate(["one", "two", "three", "four", "five"])},
}
HOW_MANY = {"two": 2, "couple": 2, "three": 3, "four": 4}

ASKS_AGAIN = re.compile(
    r"\b(?:(?:something|anything|what|who|somewhere) else|another (?:one|movie|film|book|suggestion|recommendation)"
    r"|(?:any|some|other|more|few|one more|one other) (?:other |more |good |new )*"
    r"(?:suggestions?|recommendations?|ideas?|options?|ones?|movies?|films?|books?|others)|"
    r"any (?:more|others?)|different (?:one|movie|film|book)|next one"
    r"|(?:can|could|would|do|will) you (?:please |maybe |also )?(?:recommend|suggest|find|give|show|help)"
    r"|(?:recommend|suggest) (?:me|us|some|something|any|anything|a|an|one|another)\b"
    r"|what should i (?:watch|read|see|play)"
    r"|looking for|what do you (?:recommend|suggest|have|think i)|surprise me"
    r"|(?:anything|something|some|more|any) similar(?! to)|along (?:those|these|the same) lines(?! (?:of|as))"
    r"|(?:the )?same (?:vibes?|style|kind|sort|type|feel|mood|vein|spirit)(?! (?:of|as)\b)"
    r"|in (?:that|this|the same|a similar) (?:vein|style|spirit)(?! (?:of|as)))\b"
)
ASKS = re.compile(  # for something that nothing here reads: "an oscar winner", "I need some comfort"
    r"\b(?:want|need|would like|would love|fancy|feel like|mood for|craving) (?:an?|some|something|anything) \w+"
    r"|(?:give|show|find|get) (?:me|us) (?:an?|some|something|anything)\b"
    r"|what would you (?:pick|choose|recommend|suggest)\b"
    r"|(?:^|[.,!?;] )(?:(?:maybe|perhaps|preferably) )?an? (?:\w+ ){0,4}(?:winner|movie|film|flick|book|novel|album|"
    r"song|game|recipe)(?: (?:maybe|please|perhaps))?(?= [.!?]|$)"
    r"|(?:^|[.,!?;] |\b(?:maybe|perhaps|about|got) )(?:something|anything|an? (?:film|movie|flick|book|novel|one)|one) "
    r"(?:with|about|where|in which|set|in|on|from|for|like)\b"
    r"|^(?:\w+ ){1,3}please$"
)
SCREEN = re.compile(
    r"(?:with|starring|stars|star|featuring|feat|played by|acting|acts|cast|actor|actress|"
    r"having)(?: (?:the )?(?:actor|actress|great|legendary))?$"
)
DIRECTOR = re.compile(r"(?:directed by|director|by director|directors|direction of|filmmaker)$")
MAKER = re.compile(
    r"(?:by|written by|wrote|writer|author|written|composed by|from the mind of|made by|"
    r"created by)(?: (?:the )?(?:author|writer|great))?$"
)
SCREEN_AFTER = re.compile(
    r"^(?:in it|is in|in the lead|as the lead|stars|acting|acts|plays|being|playing|kicking|in a)\b"
)
DIRECTED_AFTER = re.compile(
    r"^(?:(?:, )?(?:but )?(?:as (?:a |the )?(?:director|filmmaker)|behind the camera|directing)|directed|"
    r"directs|made|shot)\b"
)
_WELL = r"(?:(?:oh|god|gosh|hell|ugh|eww?|lord|hmm+|well|um|uh|absolutely|definitely|please)(?: ,)? )*"
YES = re.compile(
    rf"^{_WELL}(?:yes|yeah|yep|yup|sure|ok|okay|absolutely|of course|definitely|certainly|please do|"
    r"sounds? good|i do|i would|love to|why not|exactly|indeed|correct|right|(?:i )?(?:love|adore) (?:it|them|those)|"
    r"that is (?:it|right)|you bet|gladly)\b"
)
LEAVES = re.compile(  # taking what was shown, thanking, taking leave
    r"\b(?:bye|goodbye|good night|see you|cheers|thanks|thank you|thx|ty|that (?:is|will be) all|"
    r"(?:have a )?(?:nice|good|great|lovely) (?:day|night|evening|weekend)|"
    r"i (?:will|am going to) (?:watch|take|try|read|go (?:with|for)|check|get|see|have|start|put)"
    r"(?! (?:something|anything|a|an)\b))\b"
)
DISMISSES = re.compile(  # "too cheesy", said of what was shown
    rf"^{_WELL}(?:(?:it|that|this|they|those|these)(?: one| all| both)? (?:is|are|looks?|sounds?|seems?|feels?) )?"
    r"(?:(?:a|bit|little|tad|way|far|all|just) )*too \w+"
)
NO = re.compile(
    rf"^{_WELL}(?:no|nope|nah|not(?: \w+)?$|not particularly|i do not|please no|no thanks|not at all|"
    r"rather not|(?:i )?(?:hate|can not stand|dislike) (?:it|them|those|that)|anything but(?: that)?$|never)\b"
)
