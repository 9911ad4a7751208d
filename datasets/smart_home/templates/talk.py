"""Templates of what is said and asks for nothing: small talk, and fragments of sentences."""

from datasets.smart_home.grammar import Templates

__all__ = ["FRAGMENTS", "SMALL_TALK"]

SMALL_TALK = Templates(
    train="""
        ~(hello|hi|hey|good morning|good evening|hi there|hello there) [how are you]
        ~how (are you|are you doing|was your day|old are you|smart are you)
        ~what's (your name|up|new|your favorite color|your favorite song|the meaning of life)
        ~who (are you|made you|is your boss|do you work for)
        ~(are you|are you really) (a robot|human|listening|smart|alive|there)
        ~do you (like|love|know|remember) (me|{animal}s|music|{artist}|{food}|coffee|{person})
        ~(thanks|thank you) [so much|very much|for your help]
        ~(good night|goodbye|bye|see you later|bye bye|sleep well)
        ~(ok|okay|sure|fine|alright|great|cool) (thanks|then|whatever|got it|that works)
        ~(yes|no|maybe|nope|yeah) [please|thanks|of course|not now]
        ~i (love|like|hate|miss) (you|{person}|my job|{day}s|{food}|{animal}s)
        ~i'm (happy|sad|bored|hungry|lonely|angry|excited|confused|so proud)
        ~you are (funny|stupid|great|annoying|the best|useless|so smart)
        ~(never mind|forget it|that's all|nothing|i changed my mind|not you|wrong one)
        ~what (can you do|are you|do you think|did you say|should i do)
        ~(say that|repeat that|come) again
        ~my (name is {person}|birthday is on {day}|{animal} is sick|head hurts|back hurts)
        ~{person} (is coming over|just called|is late|says hi|is asleep) [on {day}|again]
        ~(today|yesterday) was (a long day|a good day|terrible|exhausting)
        ~i (went|am going) to {city} (with {person}|on {day}|last year)
        ~i (need|want|bought) [a] new {thing}
        ~where (are|is) my (keys|glasses|{thing})
        ~we (watched|missed) the {team} game
        ~the {animal} (ate my homework|is on the table|is hungry|sleeps all day)
        ~i have (a meeting|an exam|a date|nothing to do) (on {day}|at {clock})
        ~what (should|shall) (i|we) (eat|cook|wear|watch|read) [on {day}]
        ~i am (cooking|making|eating) {food} [with {person}]
        ~do you want to (play|talk|go out|hear a joke)
        ~(can|will) you (marry me|help me|sing|dance|keep a secret)
        ~this is (not what i meant|wrong|amazing|a test|not working)
        ~(stop talking|shut up|be quiet|leave me alone|go away|stop listening)
        ~(<want>|<wish>) (a hug|a holiday|a friend|a new job|some {food}|more time|to sleep|a break)
        ~what about (you|{person}|dinner|tomorrow|the {animal})
        ~is it (true|normal|weird|bad) that (i talk to you|{animal}s dream|{person} left)
        ~(welcome|good afternoon|good day|greetings|howdy) [{person}|everyone|my friend]
        ~(i|we) (am|are) (so tired|late|fine|old|in love|lost|from {country}|vegetarian)
        ~(you|she|he|they) (should|could|must|will) (know|see|understand|visit) ({person}|me|that|{city})
        ~(what|how) (a day|a mess|lovely|funny|strange|about that|come)
        ~(did|do|does) (you|{person}|she|he) (sleep well|eat|understand|speak {country}|have a {animal}|like {city})
        ~({person}|she|he|my {animal}) (is|was) (funny|angry|tall|sick|born on {day}|a teacher|very old)
        ~(congratulations|happy birthday|sorry|excuse me|bless you|cheers|well done) [{person}]
        ~(tell|ask) {person} (about it|hello|the truth|to wait|i said hi)
        ~(no|yes) (i|you|we|they) (don't|do|can|can't|will|won't)
    """,
    validation="""
        ~nice to meet you
        ~(where|when) were you born
        ~are we friends
        ~i think {person} is upset
        ~we ate {food} at the restaurant
        ~tell {person} nothing
        ~do you get tired
        ~the {team} fans were singing
        ~i lost my {thing} in {city}
        ~sorry that was not for you
        ~you did well today
        ~my {animal} loves {food}
    """,
    test="""
        ~(long time no see|pleased to meet you|welcome back|how have you been)
        ~do you (dream|ever sleep|have feelings|believe in ghosts|have a girlfriend)
        ~(tell me|say something) about yourself
        ~what's your opinion on (politics|{food}|{team}|{artist})
        ~i (can't stand|adore|really enjoy) ({food}|{animal}s|{team}|{artist})
        ~{person} and i (broke up|are moving to {city}|had an argument)
        ~i'm (so stressed|in love|a bit nervous|feeling great|on a diet)
        ~you (make me smile|never listen|are not very helpful|sound strange)
        ~(no worries|my mistake|oops|just kidding|ignore that|as you were)
        ~have you (seen|read|tried) (the news|this book|{food}|my {thing})
        ~we (adopted|found|saw) a {animal} (on {day}|in {city})
        ~i ordered {thing} but (they never came|the size is wrong)
        ~{person} (cooked|made|burned) {food} (on {day}|last night)
        ~i wish (i could fly|it was {day}|i was in {city})
        ~(any plans|what are you doing) (on {day}|later|this summer)
        ~my {animal} (chewed|ate|sat on) my {thing}
        ~i moved from {city} to {city} (last year|{small_number} years ago)
        ~my {thing} (is|are) (too small|brand new|in the car|missing)
    """,
)

FRAGMENTS = Templates(
    train="""
        ~(kitchen|bedroom|table|window|door|lamp|garage|sofa|{room}|{appliance})
        ~(the|my|in the|on the|from the) ({room}|{appliance}|{door}|{thing}|{animal})
        ~(red|blue|maybe green|{color}|the {color} one)
        ~({small_number}|{percent}|{clock}|{degrees}|{duration})
        ~({city}|{country}|{artist}|{person}|{team}|{food}|{animal}|{thing})
        ~({day}|on {day}|next {day}|last {day}) [at {clock}]
        ~(asdf|asdfgh|qwerty|blah blah|bla|lkjh|zzz|aaaa|hjkl|xyz|foo bar|test|testing|test test|abc|lol|haha|wtf)
        ~(what|why|who|when|where|how|huh|which one|and then|because|if)
        ~(turn|set|make|open|put|get|start|play the|can you|could you|i want|i need|switch the) [{small_number}|uh|um]
        ~(turn|set|put) the
        ~(a|the|this|that) (thing|one|other one|stuff)
        ~(and|or|but|with) (the|a) ({thing}|{animal}|{appliance}|{room})
        ~({animal} {thing}|{thing} {food}|{food} {animal}|{country} {thing})
        ~(is it|it is|was it|they are|you were|he said|she is)
        ~({small_number} {small_number}|{small_number} {animal}s|{small_number} {thing}|{small_number} {food})
        ~({room}|{door}|{fixture}|{covering}|{vacuum}|{coffee_machine}) (and|or) ({room}|{door}|{thing}|{person})
        ~(behind|under|below|near|beside|without|after|during) (the {room}|the {door}|{clock}|{day}|the {thing})
        ~(many|few|another|every|no|less|your|her|his) ({thing}|{animal}|{food})
        ~(take|push|hold|use|show|see|have|let|need|leave) (the|a|it|this|that|my)
        ~(with|for|to|by|about|as|like) ({person}|{animal}s|{thing}|{city})
        ~(wall|roof|garden|table leg|shelf|plug|cable|button|remote|blanket|spoon|drawer|socket)
        ~(rtyu|vbnm|ghjk|wer|poiu|lala|tralala|hm|mhm|ahh|ooh|ew|psst|boo|blub|xxx|qqq|jkl|dsa|fgfg|nananana)
    """,
    validation="""
        ~(fridge|chair|bathtub|pillow|carpet)
        ~(dfgh|uiop|mmm|yada yada|ding dong)
        ~(inside|above) the {room}
        ~(between|before) {clock}
        ~(some|more) {thing}
        ~(do|give|bring|hold) the
        ~like {person}
        ~not {day}
    """,
    test="""
        ~(roof|balcony|cupboard|ladder|bookshelf|doorknob|mirror|fence|desk|candle)
        ~(the other|near the|under the|by the|behind the) ({room}|{animal}|{thing}|{appliance})
        ~(wsxedc|poiu|nnnn|gfdsa|hahaha|brrr|meh|tralala|vbnm|yo|pff|ugh|ello|mhm)
        ~(about|around|almost|after) ({clock}|{small_number}|{duration}|{percent})
        ~({thing}|{animal}|{food}|{country}|{city}) (and|or) ({thing}|{animal}|{food}|{person})
        ~(whose|whom|whatever|somehow|otherwise|therefore)
        ~(would|should|take|try|let|have) (the|a|to|my)
        ~(maybe|only|perhaps|not) ({person}|{artist}|{team}|{food}|{color})
        ~no the {color} one
    """,
)
