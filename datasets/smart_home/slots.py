"""The slot words: replacements of `{room}`, `{color}` or `{clock}` in a template.

Open classes (rooms, colours, songs, numbers ...) have different words in each split, so that the test measures words
that training never saw. Closed classes (weekdays, "inside") are the same everywhere.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from datasets.smart_home.grammar import Slot
from datasets.smart_home.training_words import MORE_TRAINING_WORDS

__all__ = ["SLOTS"]

_PARTITION_PERIOD = 5
"""Of every five numbers three go to training, one to validation and one to test."""

_UNITS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
"""
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety"


def _words(listing: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in listing.split(","))


def _open(train: str, validation: str, test: str) -> Slot:
    """A class of words that is held out: three disjoint listings, separated by commas."""
    return Slot(_words(train), _words(validation), _words(test))


def _broadened(slot: Slot, more: tuple[str, ...]) -> Slot:
    """Adds words for training; the words that were there before stay about half of those drawn."""
    held_out = {*slot.validation, *slot.test}
    new = tuple(word for word in dict.fromkeys(more) if word not in held_out)
    return slot._replace(train=slot.train * max(1, round(len(new) / len(slot.train))) + new)


def _closed(listing: str) -> Slot:
    words = _words(listing)
    return Slot(words, words, words)


def _partition(groups: Iterable[tuple[str, ...]]) -> Slot:
    """Deals groups out to the splits; the spellings of one number ("7", "seven") stay together."""
    train: list[str] = []
    validation: list[str] = []
    test: list[str] = []
    for index, group in enumerate(groups):
        turn = index % _PARTITION_PERIOD
        target = {_PARTITION_PERIOD - 2: validation, _PARTITION_PERIOD - 1: test}.get(turn, train)
        target.extend(group)
    return Slot(tuple(train), tuple(validation), tuple(test))


def _number_words(number: int) -> str:
    if number == 100:
        return "a hundred"
    units = _UNITS.split()
    if number < len(units):
        return units[number]
    tens, unit = divmod(number, 10)
    word = _TENS.split()[tens]
    return word if unit == 0 else f"{word} {units[unit]}"


def _both_spellings(number: int) -> tuple[str, str]:
    return str(number), _number_words(number)


def _percents() -> Slot:
    return _partition(
        (f"{number} percent", f"{number}%", f"{_number_words(number)} percent") for number in range(5, 101, 5)
    )


def _degrees() -> Slot:
    return _partition(
        (*_both_spellings(number), f"{number} degrees", f"{_number_words(number)} degrees")
        for number in (*range(15, 29), *range(58, 81))
    )


def _durations() -> Slot:
    lengths = [(number, "second") for number in range(10, 100, 5)]
    lengths += [(number, "minute") for number in (*range(2, 30), *range(30, 65, 5), 90)]
    lengths += [(number, "hour") for number in range(2, 13)]
    return _partition((f"{number} {unit}s", f"{_number_words(number)} {unit}s") for number, unit in lengths)


def _timer_lengths() -> Slot:
    """Lengths as an adjective: "a five minute timer"."""
    lengths = [(number, "minute") for number in (*range(1, 30), *range(30, 65, 5))]
    lengths += [(number, "second") for number in range(10, 100, 10)] + [(number, "hour") for number in range(1, 7)]
    return _partition((f"{number} {unit}", f"{_number_words(number)} {unit}") for number, unit in lengths)


def _clock_times() -> Slot:
    times = [(hour, minute) for minute in (0, 30, 15, 45, 20, 50, 5, 10) for hour in range(1, 13)]
    return _partition(_clock_spellings(hour, minute) for hour, minute in times)


def _clock_spellings(hour: int, minute: int) -> tuple[str, ...]:
    half = "am" if 4 <= hour <= 11 else "pm"
    if minute == 0:
        return f"{hour} {half}", f"{hour}{half}", f"{_number_words(hour)} o'clock", f"{_number_words(hour)} {half}"
    spoken = {30: f"half past {_number_words(hour)}", 15: f"quarter past {_number_words(hour)}"}
    spelled = spoken.get(minute, f"{_number_words(hour)} {'oh five' if minute == 5 else _number_words(minute)}")
    return f"{hour}:{minute:02d}", f"{hour}:{minute:02d} {half}", spelled


_HOME = {
    "room": _open(
        "kitchen, living room, bedroom, bathroom, hallway, office, dining room, garage, basement, kids room, guest "
        "room, attic, laundry room, nursery, study, master bedroom, lounge, den, hall, upstairs bathroom, playroom, "
        "family room, bar, corridor, closet, cloakroom, dormitory, kitchenette, gym, porch, stairwell, shower room, "
        "sitting room, wine cellar, rec room, back room, front room, staircase, kitchen, living room, bedroom",
        "studio, entryway, library, home office, cellar, boys room",
        "conservatory, pantry, mudroom, sunroom, loft, utility room, landing, games room, foyer, workshop, spare "
        "room, dressing room",
    ),
    "fixture": _open(
        "light, lights, lamp, lamps, ceiling light, floor lamp, bedside lamp, main light, spotlights, fairy lights, "
        "led strip, night light, table lamp, overhead lights, christmas lights, kitchen island lights, bulbs, "
        "outside lights, chandelier, patio lights, stair lights, bed light, closet light, office lamp, fridge light, "
        "sink light, tv lights, tree lights, hanging lamp, corner light, fan light, counter lights, led lights",
        "wall lights, big light, garden lights, reading lamp, mirror light",
        "string lights, pendant light, desk lamp, porch light, track lights, lava lamp, cabinet lights, reading "
        "light, standing lamp, shelf lights",
    ),
    "color": _open(
        "red, blue, green, purple, pink, orange, yellow, warm white, white, cyan, violet, gold, light blue, dark "
        "red, soft white, deep purple, sky blue, bright green, rose, silver, maroon, beige, fuchsia, mustard, "
        "copper, bronze, emerald, ruby, sapphire, aqua, burgundy, cream, salmon pink, dark green, pale yellow, neon "
        "green, ice blue, cherry red, plum, lilac, olive, ivory, candlelight, multicolor, sunset orange, forest "
        "green",
        "magenta, lime green, peach, cool white, scarlet",
        "turquoise, lavender, teal, amber, crimson, indigo, coral, mint green, daylight white, navy blue, hot pink",
    ),
    "covering": _closed("blinds, curtains, shades, shutters, drapes"),
    "covering_kind": _open(
        "roller blinds, bedroom curtains, window shades, kitchen blinds, wooden shutters, blackout curtains, "
        "venetian blinds, left blind, patio blinds, skylight blind, heavy curtains, front shutters, big curtains, "
        "bathroom shades, cellular shades, sun blinds, lace curtains, metal shutters, pleated shades, silk curtains, "
        "door blinds, vertical blinds, right curtain, office drapes",
        "bathroom blind, back shades, balcony curtains",
        "roman blinds, bay window curtains, linen drapes, rear shutters, velvet curtains, honeycomb shades, right "
        "hand blind",
    ),
    "door": _open(
        "front door, back door, garage door, side door, main door, kitchen door, patio door, basement door, gate, "
        "front gate, garage, house door, office door, sliding door, deadbolt, cellar door, attic door, glass door, "
        "bedroom door, yard gate, pool gate, inner door, apartment door, hallway door, upper door, iron gate, big "
        "door, storage door, screen door, laundry door",
        "shed door, rear door, terrace door",
        "entrance door, balcony door, driveway gate, garden gate, porch door, conservatory door, barn door, french "
        "door",
    ),
    "spot": _open(
        "front door, driveway, backyard, garage, front yard, nursery, porch, living room, hallway, garden, kitchen, "
        "back door, side gate, doorbell, baby, street, roof, bedroom, entrance, hall, gate, mailbox, lawn, fence, "
        "playground, alley, chicken coop, workshop, crib, attic, dog, corner, yard, lobby, front window, sidewalk, "
        "cellar, kids room, greenhouse",
        "balcony, pool, basement",
        "carport, patio, shed, letterbox, terrace, stairwell, parking spot, barn, courtyard",
    ),
    "floor": _open(
        "kitchen, living room, bedroom, hallway, whole house, dining room, office, downstairs, ground floor, lounge, "
        "kids room, rug, upstairs, bathroom, carpet, apartment, basement, hall, study, guest room, stairs, attic, "
        "nursery, laundry room, house, den, garage, gym, playroom, corridor, tiles, first floor, family room, "
        "closet, back room, sitting room, corner",
        "studio, entryway, second floor",
        "conservatory, loft, landing, foyer, sunroom, top floor, flat, mudroom, hardwood floor",
    ),
    "vacuum": _closed("vacuum, robot vacuum, vacuum cleaner, robot, vacuum robot, hoover"),
    "mess": _open(
        "crumbs, dust, dog hair, cat hair, dirt, cereal, sand, dust bunnies, flour, sugar, popcorn, fur, chips, "
        "soil, hair, bread crumbs, salt, coffee grounds, ashes",
        "cookie crumbs, mud",
        "pet hair, glitter, rice, sawdust, leaves",
    ),
    "coffee": _open(
        "coffee, espresso, cappuccino, latte, black coffee, double espresso, cup of coffee, americano, strong "
        "coffee, pot of coffee, mug of coffee, decaf coffee, coffee, iced coffee, white coffee, cold brew, vanilla "
        "latte, doppio, hot coffee, oat latte, weak coffee, drip coffee, irish coffee, big coffee, caramel latte, "
        "tiny espresso, fresh coffee, nice coffee, turkish coffee, chai latte, skinny latte, frappe, short espresso, "
        "cafe au lait, mochaccino, hazelnut coffee, cup of joe, macchiato, mocha, cortado",
        "flat white, small coffee, iced latte",
        "small latte, lungo, long black, ristretto, large coffee, filter coffee, milky coffee, decaf espresso, iced "
        "americano, double macchiato, vanilla cappuccino",
    ),
    "coffee_machine": _closed("coffee machine, coffee maker, espresso machine, coffee pot"),
}

_AUDIO = {
    "artist": _open(
        "the beatles, adele, queen, taylor swift, bob marley, mozart, miles davis, coldplay, abba, drake, beyonce, "
        "johnny cash, radiohead, elvis, madonna, nina simone, metallica, bach, ed sheeran, david bowie, rihanna, "
        "pink floyd, the rolling stones, billie eilish, louis armstrong, sting, u2, nirvana, shakira, eminem, the "
        "doors, bjork, santana, whitney houston, frank sinatra, kanye west, aretha franklin, green day, bon jovi, "
        "lady gaga, oasis, the cure, toto, schubert, brahms, muse, cher, depeche mode, herbie hancock, john "
        "coltrane, tina turner, sade, linkin park",
        "stevie wonder, vivaldi, blur, dolly parton",
        "fleetwood mac, bruno mars, chopin, ella fitzgerald, arctic monkeys, prince, kendrick lamar, joni mitchell, "
        "daft punk, beethoven",
    ),
    "genre": _open(
        "jazz, rock, pop, classical, hip hop, country, blues, reggae, techno, disco, folk, heavy metal, soul, "
        "christmas, relaxing, chill, eighties, dance, piano, indie, punk, dinner, party, lofi, grunge, house, "
        "electronic, latin, rap, samba, ska, celtic, flamenco, spa, guitar, film, holiday, summer, sixties, "
        "romantic, happy, sad, k pop, dubstep, tango, orchestral, choir, wedding",
        "funk, acoustic, nineties, workout",
        "bossa nova, rhythm and blues, ambient, bluegrass, salsa, opera, gospel, meditation, trance, swing, seventies",
    ),
    "song": _open(
        "yesterday, bohemian rhapsody, hey jude, dancing queen, imagine, thriller, let it be, rolling in the deep, "
        "wonderwall, jingle bells, hallelujah, billie jean, hotel california, shape of you, moon river, respect, "
        "here comes the sun, purple rain, like a prayer, fast car, creep, roxanne, jolene, hurt, smells like teen "
        "spirit, viva la vida, waterloo, help, valerie, no woman no cry, what a wonderful world, my way, fly me to "
        "the moon, blackbird, under pressure, halo, crazy, happy, waterfalls, zombie, the river, angels, sunday "
        "morning",
        "karma police, superstition, summertime",
        "take five, clocks, stairway to heaven, mamma mia, redemption song, smooth operator, africa, space oddity, "
        "dreams",
    ),
    "playlist": _open(
        "workout, party, favorites, sleep, chill, running, dinner, morning, road trip, study, focus, cooking, kids",
        "yoga, friday night, rainy day",
        "cleaning, gym, sunday brunch, bedtime, summer, barbecue, commute, lazy sunday",
    ),
    "speaker": _closed("speaker, speakers, music, radio, stereo"),
    "player": _closed("speaker, radio, stereo, record player"),
    "level": _open(
        "two, 3, four, 5, six, 8, ten, 1, 7, eleven, 12, fifteen, 18",
        "9, 14, sixteen",
        "three, 4, eight, 13, seventeen, 6, twelve",
    ),
}

_TIME_AND_PLACE = {
    "city": _open(
        "london, paris, new york, berlin, tokyo, chicago, madrid, rome, boston, seattle, dublin, sydney, amsterdam, "
        "los angeles, vienna, toronto, mumbai, denver, miami, zurich, prague, manchester",
        "oslo, dallas, leeds, munich",
        "lisbon, san francisco, edinburgh, copenhagen, austin, warsaw, melbourne, nairobi, montreal, athens, bristol",
    ),
    "day": _closed("monday, tuesday, wednesday, thursday, friday, saturday, sunday"),
    "when": _closed("today, tomorrow, tonight, this weekend, this afternoon, this evening, on {day}, next week, now"),
    "morning": _closed("tomorrow, tomorrow morning, on {day}, every {day}, every morning, on weekdays"),
    "errand": _open(
        "work, school, the gym, my flight, the meeting, church, breakfast, my medicine, the early train, football",
        "the exam, my shift",
        "yoga class, the airport, my interview, the market, rowing practice, the dentist",
    ),
    "dish": _open(
        "pasta, eggs, pizza, rice, cookies, chicken, tea, bread, cake, oven, laundry, potatoes, soup, noodles, steak",
        "muffins, beans, turkey",
        "lasagna, broccoli, dumplings, casserole, quinoa, salmon, brownies, porridge, stew",
    ),
    "percent": _percents(),
    "degrees": _degrees(),
    "duration": _durations(),
    "timer_length": _timer_lengths(),
    "clock": _clock_times(),
}

_ELSEWHERE = {
    "appliance": _open(
        "oven, dishwasher, washing machine, tv, television, dryer, computer, printer, toaster, microwave, "
        "sprinklers, laptop, kettle, shower, xbox, projector",
        "stove, blender, rice cooker",
        "air fryer, tumble dryer, dehumidifier, hot tub, games console, slow cooker, lawn mower, treadmill",
    ),
    "person": _open(
        "mom, dad, john, sarah, my wife, my husband, my boss, anna, david, grandma, emma, mike, my brother, the "
        "bank, lisa, tom, my sister, the doctor",
        "julia, my neighbour, ben",
        "olivia, my landlord, uncle joe, priya, the plumber, carlos, my daughter, hannah",
    ),
    "country": _open(
        "france, germany, japan, brazil, canada, spain, india, egypt, mexico, australia, italy, sweden, china",
        "norway, peru, kenya",
        "portugal, iceland, vietnam, morocco, argentina, finland, new zealand, poland",
    ),
    "food": _open(
        "pancakes, lasagne, chicken curry, chocolate cake, tomato soup, sushi, apple pie, chili, risotto, tacos, "
        "banana bread, omelette, fried rice",
        "waffles, hummus, ramen",
        "paella, meatballs, guacamole, beef stew, falafel, cheesecake, pad thai, goulash",
    ),
    "animal": _open(
        "cat, dog, horse, elephant, lion, bird, penguin, shark, rabbit, cow, tiger, spider",
        "goat, whale, owl",
        "giraffe, hedgehog, octopus, kangaroo, squirrel, dolphin, camel, badger",
    ),
    "thing": _open(
        "shoes, phone, car, jacket, bicycle, book, guitar, backpack, watch, sofa, camera lens, t shirt, headphones",
        "umbrella, suitcase, scarf",
        "sneakers, mattress, raincoat, keyboard, tent, wallet, skateboard, sunglasses",
    ),
    "small_number": _partition(_both_spellings(number) for number in range(2, 60)),
    "team": _open(
        "liverpool, the lakers, real madrid, the yankees, arsenal, barcelona, the bulls, chelsea, juventus",
        "ajax, the giants, everton",
        "bayern, the celtics, the red sox, manchester united, the dodgers, inter milan",
    ),
}

_ALL = {**_HOME, **_AUDIO, **_TIME_AND_PLACE, **_ELSEWHERE}

SLOTS: Mapping[str, Slot] = MappingProxyType(
    {name: _broadened(slot, MORE_TRAINING_WORDS.get(name, ())) for name, slot in _ALL.items()}
)
"""Every slot that a template may name."""
