"""Templates of what is no command of the set, by kind: the hard ones sound like a command and are none."""

from datasets.smart_home.grammar import Templates
from datasets.smart_home.templates.talk import FRAGMENTS, SMALL_TALK

__all__ = ["OUT_OF_SCOPE_KINDS"]

_UNSUPPORTED_AT_HOME = Templates(
    train="""
        (turn|switch) on the {appliance}
        (turn|switch) off the {appliance}
        (turn|switch|put) the {appliance} (on|off)
        (start|stop|restart|unplug) the {appliance} [in the {room}]
        (open|close|clean) the {appliance}
        set the {appliance} to (eco mode|high|low|three hundred)
        turn (up|down) the {appliance}
        (cancel|delete|stop|snooze|turn off) (the|my|all my) (alarm|alarms|timer|timers|timer for the {dish})
        ~how (much time|long) is left on (the|my) timer
        ~(what|which) alarms (are|do i have) (set|on) [for {day}]
        ~(is the {room} (light|lamp)|are the {room} lights) (on|off|still on)
        ~(did|have) i (leave|left) the {fixture} on
        ~is the {door} (locked|open|closed|unlocked)
        ~did i lock the {door}
        ~are the {covering} (open|closed|up|down) [in the {room}]
        ~what (song|album) is (this|playing)
        ~who (sings|wrote|plays) {song}
        ~how loud is the {player}
        ~how bright is the {room} (light|lamp)
        ~what color is the {room} (light|lamp|door|carpet)
        (stop|pause|dock) the {vacuum}
        send the {vacuum} (home|back to its dock)
        ~is the {vacuum} (charging|done|stuck|full)
        (don't|do not|never) (turn|switch) (on|off) the {fixture}
        (don't|do not) (open|close|lower|raise) the {covering} [in the {room}]
        (don't|do not) (lock|unlock) the {door}
        (don't|do not) (play|stop) (music|{artist}|the music)
        (don't|do not) (wake me|set an alarm|start the timer|make coffee|change the volume|vacuum)
        (turn on|arm|disarm) the (alarm system|security system|burglar alarm)
        (turn off|take down|repair|remove|unplug) the {spot} camera
        order (new bulbs|more coffee|a new {vacuum}|new {covering}|coffee beans)
        (wash|iron|hang) the {covering}
        (paint|decorate|tidy|redecorate) the {room}
        ~how (old|big) is the {room}
        ~how do i (clean|install|repair|fix) (the {covering}|a {fixture}|the {coffee_machine}|the thermostat|a {vacuum})
        ~why is the {room} (light|lamp) (flickering|not working|so expensive)
        ~<want> the {appliance} (on|off|fixed|clean)
        ~(<want>|<wish>) a new ({appliance}|lamp|{vacuum}|{coffee_machine})
        <ensure> the {appliance} is (on|off)
        ~<know> if the ({fixture}|{appliance}) (was left on|still works)
        ~<know> if the {door} is (locked|open|closed)
        ~is it possible that the {fixture} broke
        ~is the (music|radio|alarm|timer|heating|camera) (on|still on|off|broken)
        (plug in|charge|fix|clean|move|fill|empty|defrost|preheat) the {appliance}
        ~(where|when) did (i|we) (buy|get|put) the ({appliance}|{fixture}|{coffee_machine})
        ~who (turned|switched) (on|off) the ({fixture}|{appliance}|radio)
        ~(were|was) the (lights|windows|music|{covering}) (on|open|off) (yesterday|all night|when i left)
        (feed|walk|wash|water) the ({animal}|plants|flowers) [in the {room}]
        ~(when|at what time) (is|was|does) my (alarm|timer) (set for|ring|go off|over)
        ~(replace|buy) (the|a) (battery|bulb) (of|for) the ({fixture}|doorbell|thermostat)
        ~(how much|how many) (power|energy|lamps|doors|cameras) (does the {appliance} use|do we have|are there)
        ~(which|how many) (lights|doors|windows|{covering}) are (open|on|closed|locked)
        ~(when|how often) (was|did|does|is) the ({floor}|{room}|{vacuum}) (vacuumed|cleaned|painted|serviced)
        (rename|reset|update|connect) the ({appliance}|{fixture}|camera|{vacuum}|thermostat)
        (pair|register|reboot|uninstall) the ({appliance}|{fixture}|camera|{vacuum}|thermostat)
        (don't|do not|never|please don't) (make|brew|show|dim|brighten) (it|anything|the {room}|coffee)
        (don't|do not|never|please don't) (heat|mute|turn up|lower) (it|anything|the {room}|coffee)
        (open|close|shut) the (window|drawer|cupboard|mailbox|umbrella|book|lid)
        (empty|clean|wash|refill) the (dustbin|{vacuum}|{coffee_machine}|bathtub|sink|windows)
        ~what (kind|brand|model) of ({fixture}|{appliance}|{vacuum}|{coffee}) (is that|do we have|is best)
        (measure|photograph|sell|donate|carry) the ({appliance}|{fixture}|{covering})
        ~why (is|was) the ({door}|{appliance}|{vacuum}|music) (so loud|broken|open|dirty|slow)
    """,
    validation="""
        plug in the {appliance}
        turn the {appliance} on and off
        ~has the {vacuum} finished
        ~was the light in the {room} on all day
        never ever unlock the {door}
        ~when does my alarm ring
        ~how do you wash {covering}
        ~is somebody playing music in the {room}
        skip the alarm on {day}
        water the plants in the {room}
    """,
    test="""
        (power on|fire up|shut off) the {appliance} [in the {room}]
        get the {appliance} (going|started|turned off)
        ~is the {appliance} (on|done|broken)
        (remove|clear|drop) (my|the) {clock} alarm
        ~how many minutes does the {dish} timer have left
        ~when is my next alarm
        ~(were|are) the {room} lights (left on|on right now)
        ~can you check if the {door} is (locked|shut)
        ~(who|what band) is singing [this|this song]
        ~are the {covering_kind} still (up|down|open)
        leave the {fixture} as it is
        leave the {covering_kind} alone
        ~whatever you do don't (unlock|lock) the {door}
        ~how much (power|electricity) does the {fixture} use
        (empty|charge|replace) the {vacuum}
        ~where (can i buy|did we buy) the {covering_kind}
        ~how much does a {fixture} cost
        (descale|repair|return|sell) the {coffee_machine}
        ~who (installed|broke) the {spot} camera
        (furnish|mop up|rearrange) the {room}
    """,
)

_MENTIONS = Templates(
    train="""
        ~i bought a (lamp|new lamp|new {vacuum}|camera|thermostat) (yesterday|last week|for {person}|online)
        ~the light in this (painting|photo|movie|picture) is (beautiful|amazing|strange)
        ~my (lamp|{vacuum}|camera|thermostat|radio|speaker) (broke|arrived|died|stopped working) (yesterday|today|again)
        ~{person} (likes|loves|hates|prefers) (coffee|loud music|the dark|{genre} music|{artist}|{coffee}|warm rooms)
        ~we (painted|cleaned|renovated|sold) the {room} (last week|last year|yesterday)
        ~the {room} (was|looked) (nice|lovely|messy|empty) (yesterday|last time)
        ~i (met|saw) {person} (in|near) the {room}
        ~{person} (locked|unlocked|slammed|painted) the {door} (yesterday|last night|an hour ago)
        ~(the|our) {covering} (were|are) (expensive|new|ugly|from my mother)
        ~{color} is my (favorite|least favorite) color
        ~(i think|i guess) {color} (suits|looks good on) {person}
        ~i (drank|had) (three cups of coffee|a {coffee}|too much coffee) (this morning|yesterday|at work)
        ~(coffee|{coffee}) (is bad for you|tastes better in italy|has a lot of caffeine|keeps me awake)
        ~it (rained|snowed) (yesterday|all last week|when we were in {city})
        ~{city} was (cold|rainy|sunny|windy) (last summer|when we visited|last year)
        ~i (slept|woke up) (badly|well|late|at {clock}) (yesterday|last night|today)
        ~{artist} (is|was) (great|overrated|on tv yesterday|my first concert)
        ~i (saw|met|like) {artist} [in {city}]
        ~{song} is (a sad song|about love|my mother's favorite)
        ~(light|sound) travels (fast|faster than sound|in waves)
        ~she has the key to (the {door}|my heart|success)
        ~the door to (success|the past) is never locked
        ~time is (money|running out|on my side)
        ~he is a (bright|dim|cool|loud|warm) (student|person|man|kid)
        ~there is (light at the end of the tunnel|no smoke without fire)
        ~let's (lock|open) (the deal|a bank account|a restaurant)
        ~the (meeting|movie|party) (was too loud|ran for {duration}|starts at {clock})
        ~(somebody|{person}) stole (the camera|my radio|our lamp|my speakers)
        ~my {appliance} (is in|stands in) the {room}
        ~the {room} is (next to|above|bigger than) the {room}
        ~i read a book about (light|music|the weather|coffee|windows|doors)
        ~i (want|need) to (think about|talk about|draw|describe) the ({fixture}|{door}|{covering})
        ~{person} (said|thinks|told me) the {room} (is too big|needs paint|looks great|smells)
        ~(make sure|remember) that ({person} is invited|you vote|you eat well)
        ~(we|they|{person}) (talked|argued|laughed) about ({artist}|the weather|{coffee}) (yesterday|for {duration})
        ~(we|they|{person}) (talked|argued|laughed) about ({artist}|the weather|{coffee}) (at work)
        ~(we|they|{person}) (wrote|sang) about ({artist}|the weather|{coffee}) (yesterday|for {duration}|at work)
        ~(we|they|{person}) (talked|argued|laughed) about ({color}|the {room}) (yesterday|for {duration}|at work)
        ~(we|they|{person}) (wrote|sang) about ({color}|the {room}) (yesterday|for {duration}|at work)
        ~(the|my) (old|first|last) ({fixture}|{vacuum}) (was|had been) ({color}|expensive|a gift|broken)
        ~(the|my) (old|first|last) ({coffee_machine}|{door}) (was|had been) ({color}|expensive|a gift|broken)
        ~(i|we) used to (live|sleep|work|play) (in|above|near) (a|the) ({room}|{city})
        ~({coffee}|{genre} music|{color}) (reminds me of|makes me think of) ({city}|{person}|my childhood)
        ~(we|i|they) (stood|sat|waited|slept) (in|outside|near) the ({room}|{door}) for {duration}
        ~(yesterday|last night|last week) ({person}|i|we) (turned|switched|left) the ({fixture}|{door}|{covering})
        ~(yesterday|last night|last week) ({person}|i|we) (opened|closed) the ({fixture}|{door}|{covering})
        ~(there was|we had|they had) (a|an) ({color} {thing}|{coffee}|alarm|storm|party) (in|at) the {room}
        ~(the|that) ({artist}|{genre}) (concert|album|film|show) (was|is|sounds) (great|boring|sold out|loud)
        ~{person} (works|lives|grew up|studies) in ({city}|{country})
        ~({person}|she|he) (said|wrote|thought) that the ({door}|{room}) (is|was) (nice|terrible|{color})
        ~({person}|she|he) (said|wrote|thought) that the ({coffee}|weather) (is|was) (nice|terrible|{color})
        ~(in|near) {city} (the|every) ({door}|house|{room}) (is|was) {color}
    """,
    validation="""
        ~our old lamp was {color}
        ~{person} had the {covering} cleaned last month
        ~the music at the wedding was wonderful
        ~i used to live above a {room}
        ~they talked about the weather for {duration}
        ~the last {coffee} i had was awful
        ~a lock is only as good as its key
        ~{artist} played in {city} last year
        ~we waited for {duration} outside the {door}
    """,
    test="""
        ~{person} gave me a (lamp|speaker|coffee maker|light bulb) for my birthday
        ~the (sunlight|lighting) in that (film|museum|church) was (gorgeous|odd)
        ~(yesterday|last week) the {fixture} fell on (my foot|the floor)
        ~i love how the {covering_kind} look in your {room}
        ~we (had|ate|threw) (dinner|a party) in the {room} (on {day}|last night)
        ~{person} forgot to lock the {door} (last night|again)
        ~the {color} (one|dress|car) looks better than the {color} one
        ~i used to (drink|order) a {coffee} every (morning|day)
        ~it was (raining|snowing|freezing) when we (left|arrived in) {city}
        ~{person} (sang|danced to) {song} at the (wedding|party)
        ~my favorite album (is|was) by {artist}
        ~the neighbours played {genre} music all night
        ~(we got|{person} got) locked out of the (hotel|car) in {city}
        ~the (thermostat|camera|vacuum) in our old flat was (useless|noisy)
        ~somebody rang the bell at {clock} last night
        ~the {room} (has|had) (two windows|three lamps|a wooden door)
        ~they (fixed|stole) the {spot} camera (last month|on {day})
        ~the alarm went off (at {clock} yesterday|for no reason|during the exam)
        ~turn left at the traffic light
        ~he turned down (the job|her offer|the invitation)
    """,
)

_OTHER_ASSISTANTS = Templates(
    train="""
        (book|find|reserve) (a|me a) (flight|hotel|train|table) (to|in) {city} [for {day}]
        ~how (far|long) is (it to|the drive to|the flight to) {city}
        ~when (does|is) (my|the next) (flight|train|bus) [to {city}]
        ~do i need a visa for {country}
        navigate to (the nearest gas station|{city}|the airport|home)
        ~how is the traffic (to work|on the highway|in {city})
        call (me a taxi|an uber|{person}|the police|{person} on speaker)
        (text|call|email|message) {person} [that i am late|and say hello]
        send (a message|an email|a text) to {person}
        (read|check) my (messages|emails|mail|voicemail)
        ~what's my (account balance|bank balance|credit score)
        (transfer|send|pay) {small_number} (dollars|euros|pounds) to {person}
        (pay|show) my (electricity|phone|water|credit card) bill
        ~what's the (stock price of|exchange rate in) ({city}|{country}|gold|apple)
        tell me a (joke|story|riddle|fun fact|bedtime story)
        tell me something (funny|interesting|about {animal}s)
        ~what's {small_number} (times|plus|minus|divided by) {small_number}
        ~what is the square root of {small_number}
        convert {small_number} (pounds to kilos|miles to kilometers|inches to centimeters)
        ~what's the capital of {country}
        ~who is the (president|king|prime minister) of {country}
        ~how many people live in ({country}|{city})
        ~who won the {team} game [last night|yesterday]
        ~(when do|did) {team} play
        ~what's the score of the {team} (match|game)
        ~how (do i|do you|can i) (make|cook|bake) {food}
        (find|show me|give me) a recipe for {food}
        ~how many calories are in {food}
        ~what's (a good substitute for|in) {food}
        add ({food}|milk|eggs|coffee|light bulbs) to [my] (shopping list|grocery list)
        (order|buy) ({food}|a pizza|new {thing}|flowers for {person})
        ~where is my (package|order|phone|car)
        remind me to (call {person}|buy milk|pay the rent|lock the door|water the plants) [at {clock}|on {day}]
        (add|create|cancel) (a meeting|an appointment|an event) (with {person}|on {day}) [at {clock}]
        ~what's on my (calendar|schedule|to do list) [on {day}]
        ~how do you say (hello|thank you|good night|window|{animal}) in (french|spanish|german|japanese)
        translate (this|good morning|the menu) (to|into) (french|spanish|italian)
        (define|spell) (entropy|necessary|irony|photosynthesis|ambiguous)
        ~what does (ambiguous|irony|carpe diem) mean
        ~how (tall|old) is (mount everest|the moon|the eiffel tower|{artist})
        ~how (fast|big|heavy) (is|can) a {animal} [get|run]
        play (a game|chess|trivia|hide and seek|the movie|a video|the trailer)
        (show|find) me (pictures|photos|videos) of ({animal}s|{city}|{country})
        (start|stop) (recording|a video call|my workout)
        take a (picture|selfie|screenshot|note)
        (open|close) (youtube|the browser|my email|the app|a new tab|the file)
        ~what (movies|shows) are (playing|on) [in {city}|on {day}]
        (set|change) my (password|ringtone|wallpaper|language|status)
        ~what (day|date) is (it|{day}|christmas)
        ~what time is it [in {city}|now]
        ~how many days until (christmas|{day}|my birthday)
        ~(<want>|<wish>) (a ticket to {city}|a taxi|a flight to {city}|a table for two|a recipe for {food}|the news)
        ~(<want>|<wish>) (a new {thing}|some {food}|the phone number of {person}|a joke)
        ~<gerund> (calling {person}|ordering {food}|booking a hotel|telling a joke|texting {person}|reading my emails)
        ~<know> (the time|the date|who won|how to make {food}|the score|where {person} is|the capital of {country})
        ~<know> how (far|big|old) {city} is
        <ensure> {person} (gets my message|is invited|knows)
        ~is it (possible|safe|expensive) to (fly|drive|move|travel) to {country}
        (download|install|delete|update|search for) (an app|the {team} app|a photo|my files|a podcast)
        ~(which|what) (bus|train|road|exit|hotel|restaurant|doctor) (goes|is best|is open|is nearest) (to|in) {city}
        ~(how|where) (can|do) i (buy|find|get|rent|sell|repair) (a|an|my) ({thing}|{animal}|{appliance}|ticket)
        (schedule|move|postpone) (the|my) (meeting|appointment|dinner|call) (with {person}|on {day}|to {clock})
        (confirm|decline) (the|my) (meeting|appointment|dinner|call) (with {person}|on {day}|to {clock})
        ~(what|which) (is|was) the (biggest|oldest|longest|fastest) ({animal}|river|city|building) in {country}
        ~(who|what) (invented|discovered|painted|founded|directed) (the {thing}|the telephone|{country})
        ~(who|what) (invented|discovered|painted|founded|directed) (coffee|the light bulb)
        (write|draft|print|scan|sign) (a letter|an email|a report) (to {person}|for {person}|about {country})
        (write|draft|print|scan|sign) (the form|a note) (to {person}|for {person}|about {country})
        ~(how|when) (did|does|will) (the war|the movie|the book|the season|the {team} season) (start|end|begin)
        (count|sort|list) (to {small_number}|the {animal}s|the planets|my contacts|the states)
        (pick|choose|generate|guess) a (number|name|password|card|random {animal})
        ~what (rhymes with|is the opposite of|is another word for) ({animal}|{color}|loud|dark|warm)
        ~(is|are) ({food}|{animal}s|{dish}) (healthy|dangerous|expensive|good for {animal}s|vegan)
    """,
    validation="""
        rent a car in {city}
        ~which gate does my flight leave from
        ring {person} back
        ~how much money do i have
        ~give me the news about {country}
        ~what's the plural of {animal}
        ~is {small_number} a prime number
        ~who scored for {team}
        ~which wine goes with {food}
        note that {person} called
        ~when was {artist} born
        ~what language do they speak in {country}
        install the update on my phone
        roll a dice
        write a poem about a {animal}
    """,
    test="""
        ~are there (cheap|any) flights to {city} (on {day}|next month)
        (cancel|change) my (hotel|reservation) in {city}
        ~which currency do they use in {country}
        ~what's the quickest way to {city}
        (dial|phone|facetime) {person}
        let {person} know (i am on my way|dinner is ready)
        ~did {person} (reply|write back) [to my message]
        ~how much did i spend (on {day}|last month)
        (freeze|block) my credit card
        make me laugh
        ~do you know any good (jokes|riddles|stories) [about a {animal}]
        add {small_number} and {small_number}
        ~what is {small_number} percent of {small_number}
        ~how many (ounces|grams) are in {small_number} pounds
        ~which continent is {country} in
        ~did {team} (win|lose) [on {day}]
        ~who is the coach of {team}
        ~what (ingredients|spices) do i need for {food}
        ~how long does {food} keep in the fridge
        put {food} on the menu for {day}
        search for {thing} on sale
        ~(where can i|i want to) (return|exchange) (these|my) {thing}
        ~don't let me forget to (call {person}|buy {thing}) [on {day}]
        (postpone|move) my (meeting|appointment) with {person} to {day}
        ~what do (a {animal}|{animal}s) eat
        ~how long do {animal}s live
        ~what is the word for {animal} in (dutch|korean|swedish)
        download (the game|the new album cover|this file)
        (zoom in|scroll down|go back a page|refresh the page)
        ~when is (mother's day|the next full moon|easter)
    """,
)

OUT_OF_SCOPE_KINDS = {
    "unsupported_at_home": _UNSUPPORTED_AT_HOME,
    "mentions": _MENTIONS,
    "other_assistants": _OTHER_ASSISTANTS,
    "small_talk": SMALL_TALK,
    "fragments": FRAGMENTS,
}
"""The kinds by name; a text is drawn from all lines of all kinds alike."""
