"""More words for the training split: breadth, so that a sentence is known by its frame and not by its slot words.

A slot word that training has seen under only one label becomes evidence for that label wherever it turns up. With
some hundred rooms, colours and artists, and with compounds of a modifier and a head ("tall bedside lantern"), no single
word carries much, and an unknown one does little harm. Words that validation or test hold are left out.
"""

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

__all__ = ["MORE_TRAINING_WORDS"]


def _words(listing: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in listing.split(","))


def _compounds(modifiers: str, heads: str) -> tuple[str, ...]:
    return tuple(f"{modifier} {head}" for modifier, head in product(_words(modifiers), _words(heads)))


_LOOKS = (
    "small, tall, round, brass, antique, modern, second, middle, favorite, fancy, smart, hidden, square, new, "
    "upper, glass, kids, bathroom, left, far, vintage, corner, plastic, folding"
)
_PLACES = (
    "attic, stable, cabin, tool room, boiler room, greenhouse, deck, pond, lawn, fence, tree, pool house, bath, tower, "
    "lobby, elevator, storage, shower, sauna, closet, doorbell, driveway, backyard, street, roof, nursery, office, "
    "cellar, corridor, bar, tv, bed, table, entrance, mirror cabinet, veranda, steps, wardrobe, cottage, side"
)
_TASTES = (
    "sweet, creamy, spiced, instant, bitter, warm, regular, medium, quick, triple, soy, almond, coconut, cinnamon, "
    "chocolate, pumpkin, maple, greek, italian, colombian, organic, tall"
)
_ROOMS = """
    craft room, sewing room, music room, tv room, media room, cinema room, storage room, boiler room, box room, girls
    room, baby room, break room, meeting room, waiting room, server room, tool room, bike room, boot room, reception,
    lobby, vestibule, passage, gallery, parlor, salon, ballroom, chapel, breakfast nook, alcove, veranda, deck,
    greenhouse, pool house, stable, cabin, cottage, penthouse, upstairs, downstairs, third floor, toilet, restroom,
    washroom, powder room, ensuite, sauna, steam room, spa, wardrobe, larder, scullery, canteen, cafeteria, store room,
    vault, elevator, annex, wing, dining area, kitchen corner, tv corner, classroom, laboratory, shop, wash house, bath,
    toddler room, twins room, grandma's room, emma's room, my room, our room, tower, bunker, hobby room, piano room,
    map room, smoking room, trophy room, plant room, locker room, yoga room, summer house, guest house, hut, tent
"""

MORE_TRAINING_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "room": _words(_ROOMS),
        "fixture": _compounds(_LOOKS, "lamp, light, lights, bulb, lantern, lamps, spotlight, sconces")
        + _compounds(_PLACES, "lamp, light, lights"),
        "covering_kind": _compounds(_LOOKS, "blinds, curtains, shades, shutters, drapes, blind, curtain"),
        "door": _compounds(_LOOKS, "door, gate") + _compounds(_PLACES, "door"),
        "coffee": _compounds(_TASTES, "coffee, espresso, latte, cappuccino, mocha, americano, brew"),
        "color": _words(
            "grey, black, brown, tan, khaki, charcoal, jade, pistachio, apple green, grass green, sea green, moss "
            "green, royal blue, baby blue, electric blue, midnight blue, ocean blue, steel blue, denim, cobalt, azure, "
            "ultramarine, mauve, orchid, grape, eggplant, raspberry, strawberry, watermelon, cherry, brick red, fire "
            "red, rust, terracotta, caramel, honey, lemon, banana, butter, apricot, tangerine, pumpkin, mango, "
            "champagne, pearl, snow white, bright white, natural white, milky white, blush, bubblegum pink, baby "
            "pink, neon pink, neon blue, rainbow, pastel blue, pastel pink, dark blue, dark purple, light green, "
            "light pink, light purple, pale blue, pale pink, deep blue, deep red, deep orange, bright red, bright "
            "blue, bright pink, soft yellow, soft pink, warm yellow, warm orange, golden, rosy, greenish, bluish, "
            "reddish, mint, sand, ocean, forest, chestnut, platinum, sepia, wine red, marine, poppy, saffron, slate"
        ),
        "spot": _words(_ROOMS)
        + _words(
            "lake, pond, bench, tree, swing, trampoline, treehouse, orchard, field, meadow, path, bridge, dock, beach, "
            "car, truck, bike, motorcycle, trailer, bins, wall, hedge, flower bed, sandbox, dog house, horse, cat, "
            "puppy, twins, toddler, kids, cash register, counter, stairs, staircase, steps, ramp, side entrance, back "
            "entrance, parking lot, car park, loading bay, warehouse, fish tank, aquarium, cage, kennel, bird feeder, "
            "nest, beehive, fountain, statue, tennis court, tent, river, gatehouse, front steps, crossing, market, "
            "rabbit, hamster, fridge, safe, vegetable patch, compost, bus stop, well, windmill"
        ),
        "floor": _words(_ROOMS)
        + _words("mat, runner, parquet, laminate, vinyl, marble, doormat, third floor, upper floor, lower floor"),
        "mess": _words(
            "lint, ash, gravel, pollen, confetti, paper scraps, pine needles, cobwebs, oats, cornflakes, crackers, "
            "granola, seeds, nuts, straw, hay, wool, pebbles, coffee beans, lentils, peas, pepper, spices, chalk, "
            "plaster, wood chips, beads, sprinkles, pretzels, cat litter, bird seed, feathers, fluff, grass, threads"
        ),
        "artist": _words(
            "elton john, michael jackson, bob dylan, paul simon, leonard cohen, bruce springsteen, tom waits, talking "
            "heads, the clash, the police, the who, the kinks, the beach boys, led zeppelin, black sabbath, iron "
            "maiden, deep purple, pearl jam, foo fighters, the killers, the strokes, lana del rey, lorde, dua lipa, "
            "harry styles, justin bieber, ariana grande, katy perry, britney spears, alicia keys, john legend, usher, "
            "jay z, snoop dogg, missy elliott, lauryn hill, amy winehouse, norah jones, billie holiday, duke "
            "ellington, charlie parker, thelonious monk, chet baker, ray charles, james brown, otis redding, marvin "
            "gaye, diana ross, donna summer, bee gees, kraftwerk, moby, massive attack, portishead, gorillaz, sigur "
            "ros, enya, the cranberries, genesis, phil collins, dire straits, eric clapton, jimi hendrix, janis "
            "joplin, carole king, james taylor, neil young, willie nelson, shania twain, tchaikovsky, handel, haydn, "
            "liszt, debussy, ravel, satie, verdi, puccini, wagner, mahler, dvorak, hans zimmer, john williams, ennio "
            "morricone, andrea bocelli, pavarotti, george michael, lionel richie, the smiths, interpol, beck, pulp"
        ),
        "genre": _words(
            "modern, baroque, medieval, irish, african, arabic, indian, hawaiian, brazilian, cuban, mexican, french, "
            "italian, spanish, hard rock, soft rock, indie rock, alternative, britpop, synth pop, electro, drum and "
            "bass, jungle, garage, trap, drill, industrial, new wave, emo, psychedelic, progressive, fusion, smooth "
            "jazz, big band, ragtime, boogie, motown, doo wop, rockabilly, mariachi, reggaeton, bachata, merengue, "
            "rumba, mambo, calypso, dub, afrobeat, klezmer, polka, waltz, chamber, violin, harp, flute, saxophone, "
            "drum, organ, cello, church, children's, lullaby, birthday, halloween, easter, carnival, beach, running, "
            "morning, evening, calm, upbeat, cheerful, slow, fast, old, twenties, thirties, fifties, nostalgic, epic, "
            "video game, anime, disney, musical, lounge, background, focus, study, nature, world, bollywood, choral"
        ),
        "song": _words(
            "stand by me, lean on me, shallow, someone like you, hello, skyfall, perfect, uptown funk, silent night, "
            "last christmas, auld lang syne, la vie en rose, volare, la bamba, macarena, despacito, single ladies, "
            "poker face, firework, roar, diamonds, we will rock you, radio ga ga, somebody to love, come together, "
            "penny lane, eleanor rigby, something, satisfaction, paint it black, angie, heroes, changes, starman, "
            "sweet dreams, take on me, the final countdown, eye of the tiger, november rain, enter sandman, beautiful "
            "day, everybody hurts, californication, black hole sun, lithium, basket case, seven nation army, fix you, "
            "paradise, the scientist, american pie, vincent, desperado, free bird, country roads, ring of fire, proud "
            "mary, natural woman, sir duke, my girl, autumn leaves, blue in green, feeling good, moonlight sonata, fur "
            "elise, swan lake, the nutcracker, ode to joy, bolero, canon in d, ave maria, carmen, the magic flute"
        ),
        "playlist": _words(
            "travel, beach, dance, relax, gaming, reading, writing, office, coding, sunset, winter, autumn, spring, "
            "christmas, birthday, wedding, date night, kitchen, garden, coffee, jogging, driving, motivation, oldies, "
            "top forty, country, rock, jazz, mellow, happy, sad, evening, night, monday, weekend, family, baby, "
            "shower, walking, hiking, power, sleepy, calm, house party, garage, tuesday, roadhouse, painting, angry"
        ),
        "city": _words(
            "hamburg, cologne, frankfurt, milan, naples, venice, florence, turin, lyon, nice, marseille, brussels, "
            "antwerp, rotterdam, geneva, basel, budapest, bucharest, sofia, belgrade, zagreb, istanbul, ankara, cairo, "
            "tunis, casablanca, lagos, accra, cape town, johannesburg, dubai, doha, tehran, delhi, bangalore, karachi, "
            "dhaka, bangkok, hanoi, singapore, jakarta, manila, hong kong, shanghai, beijing, seoul, osaka, kyoto, "
            "perth, brisbane, auckland, vancouver, ottawa, calgary, houston, phoenix, atlanta, detroit, nashville, "
            "portland, las vegas, san diego, philadelphia, washington, mexico city, havana, lima, bogota, santiago, "
            "rio, sao paulo, glasgow, belfast, cardiff, liverpool, cork, porto, seville, valencia, helsinki, stockholm"
        ),
        "errand": _words(
            "class, the concert, the bus, the wedding, the funeral, the game, practice, my run, the race, training, "
            "choir, the conference, the hike, the ferry, my appointment, the lecture, the call, kindergarten, soccer, "
            "a test, the night shift, swimming, surgery, the photo shoot, fishing, the parade, my date"
        ),
        "dish": _words(
            "bacon, sausages, fish, tofu, carrots, corn, spinach, asparagus, pie, tart, pancakes, waffle, crepes, "
            "quiche, gratin, roast, ham, lamb, ribs, meatloaf, chili, curry, ramen, risotto, couscous, lentils, "
            "chickpeas, dough, pretzels, bagels, scones, cupcakes, pudding, custard, jam, sauce, stock, ravioli, "
            "gnocchi, spaghetti, macaroni, toast, popcorn, nuggets, fries, burger, mushrooms, onions, pumpkin, washing"
        ),
        "appliance": _words(
            "freezer, fridge, air purifier, playstation, tablet, phone, router, wifi, modem, iron, "
            "hair dryer, electric blanket, mixer, food processor, juicer, waffle maker, bread maker, ice machine, car, "
            "engine, generator, pump, fountain, drill, saw, leaf blower, pressure washer, scanner, copier, monitor, "
            "drone, charger, hot plate, grill, barbecue, smoker, deep fryer, steamer, sauna, fax machine, water"
        ),
        "person": _words(
            "peter, paul, mary, james, robert, linda, susan, karen, nancy, betty, helen, sandra, george, kevin, brian, "
            "edward, ronald, kim, lee, chen, ahmed, fatima, maria, jose, juan, luis, ana, sofia, ivan, olga, yuki, "
            "grandpa, my aunt, my cousin, my teacher, my roommate, the landlady, the babysitter, the electrician, the "
            "dentist, the vet, the school, my son, my friend, my colleague, my coach, santa, the mayor, aunt jane"
        ),
        "country": _words(
            "austria, switzerland, belgium, denmark, greece, turkey, russia, ukraine, hungary, romania, ireland, "
            "scotland, england, chile, colombia, cuba, nigeria, ghana, ethiopia, south africa, iran, iraq, pakistan, "
            "nepal, thailand, indonesia, the philippines, south korea, mongolia, jamaica, bolivia, ecuador"
        ),
        "food": _words(
            "spaghetti, burgers, hot dogs, fish and chips, dumpling soup, onion rings, potato salad, caesar salad, "
            "coleslaw, carrot cake, brownie, cupcakes, muesli, porridge oats, scrambled eggs, french toast, burritos, "
            "nachos, quesadillas, enchiladas, kebab, gyros, moussaka, biryani, samosas, naan, spring rolls, noodles, "
            "tempura, kimchi, cornbread, meatloaf, roast beef, turkey pie, pumpkin soup, apple crumble, ice cream"
        ),
        "animal": _words(
            "mouse, rat, hamster, parrot, duck, goose, chicken, turkey, pig, sheep, donkey, wolf, fox, bear, deer, "
            "moose, monkey, gorilla, zebra, hippo, rhino, crocodile, snake, lizard, turtle, frog, toad, fish, salmon, "
            "crab, lobster, jellyfish, bee, ant, butterfly, beetle, snail, worm, bat, eagle, hawk, raven, swan"
        ),
        "thing": _words(
            "pants, dress, skirt, sweater, coat, hat, cap, gloves, socks, boots, sandals, belt, ring, necklace, "
            "bracelet, purse, briefcase, pen, pencil, notebook, calendar, newspaper, magazine, map, ticket, passport, "
            "card, coin, bottle, cup, plate, fork, knife, spoon, pan, pot, bowl, chair, desk, shelf, bed, pillow case, "
            "towel, soap, toothbrush, mirror, brush, comb, ladder, hammer, rope, ball, doll, kite, puzzle, drum, violin"
        ),
        "team": _words(
            "the eagles, the bears, the cowboys, the packers, the knicks, the warriors, the heat, the mets, the cubs, "
            "the rangers, the bruins, psg, porto, benfica, roma, napoli, ac milan, dortmund, atletico, leeds, celtic"
        ),
    }
)
"""Words by slot, to be added to those that `slots` lists for training."""
