"""Templates of the intents about lights."""

from datasets.smart_home.grammar import Templates

__all__ = ["LIGHTING"]

_LIGHT_ON = Templates(
    train="""
        (turn|switch|put) on the {room} (light|lights|lamp)
        (turn|switch|put) the {room} (light|lights|lamp) on
        (turn|switch) on [the] {fixture} [in the {room}]
        (turn|switch|put) [the|my] {fixture} on
        turn on (all|all of) the lights [in the {room}]
        turn on (some lights|a light|every light|the light) [in the {room}]
        turn (all the|the) lights (back|) on [in the {room}]
        ~lights on [in the {room}]
        ~{room} (light|lights) on
        ~{fixture} on
        ~all lights on
        (power|start) [up] the {fixture}
        (activate|enable) the {room} lights
        (light up|illuminate) the {room}
        get the {fixture} on
        leave the {room} (light|lights) on
        keep the {fixture} on
        bring on the {fixture}
        give me (light|some light) in the {room}
        ~i (want|need) the {fixture} on
        ~i need (light|some light) in the {room}
        ~(can we|could we) have the {room} lights on
        ~would you mind (turning|switching) on the {fixture}
        ~let there be light [in the {room}]
        ~it's (dark|too dark|so dark|very dark|pitch black) in (here|the {room})
        ~i can't see (anything|a thing|much) in (here|the {room})
        ~why is it so dark in (here|the {room})
        ~<want> the {fixture} (on|turned on|switched on)
        ~(<want>|<wish>) (light|some light|more light|a bit of light) [in the {room}]
        ~<gerund> (turning|switching) on the {fixture}
        ~the {room} (light|lights|lamp) <must> (on|switched on)
        <ensure> the {room} light (is|goes|comes) on
        (flip|flick|hit) the (switch|light switch) in the {room}
        (flip|flick|hit|pop) the {fixture}
        (flip|flick|pop) the {room} (lights|lamp) on
        ~(it's|it is getting) (dark|dim|gloomy) turn on the {fixture}
        ~somebody (turn|switch) on the {fixture}
        ~when i (get home|come in|wake up) turn on the {fixture}
        (engage|ignite|fire up|trigger|launch) the {fixture} [in the {room}]
        (give|bring|get) the {room} (light|some light)
        (put|get|have) (the {fixture}|a light) (shining|burning|running|lit) [in the {room}]
        ~it would help to (see something|have light) in the {room}
        ~(the {room}|it) is (black as night|way too dark|awfully dark|in the dark) [{fixture} on]
        ~(i am|we are|i'm) sitting in the dark [in the {room}]
        ~(the {room}|my room) needs (light|some light|the {fixture} on)
        ~(how about|what about) some light in the {room}
        return the {room} (light|lights) to on
        ~(this|that) {fixture} on [now|again]
        (set|switch|change) the {room} lights on
        (i can do with|lend me|spare me) some light in the {room}
        ~where is the light [in the {room}] (turn|switch) it on
        ~{person} (needs|wants) light in the {room}
        ~(the {fixture} in the {room}|my {fixture}) on
        (set|bring) the {fixture} (alight|aglow|to life)
        ~(i'm|i am) afraid of the dark (turn|switch|put) on the {fixture}
        ~the {room} light is off (turn|switch) it on
        use the {fixture} [in the {room}]
        ~not (enough|any) light in the {room} turn on the {fixture}
    """,
    validation="""
        (set|switch) the {fixture} to on
        flick on the {room} (light|lights)
        (make|have) the {fixture} turn on
        ~the {room} is (dark|too dark)
        ~i would prefer the {fixture} on
        ~we need (the lights|light) on in the {room}
        ~i just came home turn on the {fixture}
        put some lights on in the {room}
    """,
    test="""
        flip on the {fixture} [in the {room}]
        flip the {room} (light|lights|lamp) on
        get the {room} lights (turned|switched) on
        (make sure to turn|see to it that you switch) the {fixture} on
        hit the lights [in the {room}]
        ~(i'd like|i would love) the {room} (lamp|light|lights) (on|switched on|turned on)
        ~(would it be possible to|can somebody) turn on the {fixture}
        ~(we|i) could use (some|a bit of) light in the {room}
        ~it's getting dark in the {room}
        turn the {fixture} on when you can
        ~the {room} needs (light|some light)
    """,
)

_LIGHT_OFF = Templates(
    train="""
        (turn|switch|shut) off the {room} (light|lights|lamp)
        (turn|switch|shut) the {room} (light|lights|lamp) off
        (turn|switch) off [the] {fixture} [in the {room}]
        (turn|switch|shut) [the|my] {fixture} off
        turn off (all|all of) the lights [in the {room}]
        turn off (every light|the light|that light) [in the {room}]
        turn (all the|the) lights (back|) off [in the {room}]
        ~lights (off|out) [in the {room}]
        ~{room} (light|lights) (off|out)
        ~{fixture} off
        ~all lights off
        (power|shut) down the {fixture}
        (deactivate|disable) the {room} lights
        (kill|cut) the {fixture}
        put out the {fixture}
        put the {room} lights out
        get the {fixture} off
        darken the {room} completely
        make (it|the {room}) (dark|completely dark)
        ~i don't need the {fixture} (on|anymore)
        ~i (want|need) the {fixture} off
        ~nobody is in the {room} turn the lights off
        ~we are leaving the {room} switch the lights off
        ~would you mind (turning|switching) off the {fixture}
        ~(can we|could we) have the {room} lights off
        ~i (left|forgot) the {fixture} on (turn it off|switch it off)
        ~<want> the {fixture} (off|turned off|switched off|out)
        ~<gerund> (turning|switching) off the {fixture}
        ~the {room} (light|lights|lamp) <must> (off|switched off)
        <ensure> the {room} light (is|goes) off
        (flip|flick|click) the {fixture} off
        (extinguish|kill|douse) the (light|lamp|lights) in the {room}
        shut down the (light|lights|lamp) in the {room}
        ~(no one|nobody) (is using|uses|needs) the {fixture}
        ~the {room} doesn't need (light|lights|the lamp|any light)
        ~(bedtime|good night) (switch|turn) off the {fixture}
        ~somebody (turn|switch) off the {fixture}
        ~when i (leave|go to bed|fall asleep) turn off the {fixture}
        ~we are wasting power turn off the {fixture}
        (put|send) the {fixture} to sleep
        (stop|end|drop|quit) the {fixture} [in the {room}]
        (have|get) the {fixture} (turned off|switched off|out) [in the {room}]
        (take|bring) the {room} into darkness
        ~(the {room}|my room) (should be|must be|can be) dark
        ~i (can't|cannot) sleep with the {fixture} on
        ~(we|i) (are|am) done in the {room} (kill|cut|turn off) the lights
        ~(the {fixture}|the {room} light) (is still on|was left on) turn it off
        ~(this|that) {fixture} off [now|again]
        (make|turn) all (lights|lamps) (off|dark) in the {room}
        ~no (light|lights|lamp) in the {room}
        return the {room} (light|lights) to off
        ~save (power|energy|electricity) and (turn|switch) off the {fixture}
        (i can do|we can do|let's go) without the {fixture}
        ~{person} (wants|needs) it dark in the {room}
        ~the {room} light is on (turn|switch) it off
        (lose|ditch|blow out|snuff out) the {fixture}
        ~who left the {fixture} on (turn|switch) it off
        ~(it's|it is) (too late for|time to turn off) the {fixture}
        ~no need for the {fixture}
        (put|turn) everything dark in the {room}
    """,
    validation="""
        (set|switch) the {fixture} to off
        flick off the {room} (light|lights)
        (make|have) the {fixture} turn off
        ~i would prefer the {fixture} off
        ~we don't need light in the {room}
        ~i am going to bed turn off the {fixture}
        ~no more light in the {room}
        ~the {fixture} can go off
    """,
    test="""
        flip off the {fixture} [in the {room}]
        flip the {room} (light|lights|lamp) off
        get the {room} lights (turned|switched) off
        (make sure to turn|see to it that you switch) the {fixture} off
        ~lights out [in the {room}] (everybody|it is bedtime)
        ~(i'd like|i would love) the {room} (lamp|light|lights) (off|switched off|turned off)
        ~(would it be possible to|can somebody) turn off the {fixture}
        ~nobody needs the {room} (lamp|lights) on
        extinguish the {fixture}
        turn the {fixture} off when you can
        stop lighting the {room}
    """,
)

_LIGHT_BRIGHTNESS = Templates(
    train="""
        (dim|brighten|lower|soften) the {room} (light|lights|lamp)
        (dim|brighten) the {fixture} [in the {room}]
        dim the {fixture} (a bit|a little|slightly|to {percent})
        brighten the {fixture} (a bit|a little|to {percent})
        (set|change|turn) the {fixture} to {percent}
        (set|put) the {room} (light|lights) (at|to) {percent} [brightness]
        set [the] brightness [of the {fixture}] to {percent}
        (increase|raise|turn up) the brightness [of the {fixture}|in the {room}] [by {percent}]
        (reduce|decrease|lower|turn down) the brightness [of the {fixture}|in the {room}] [by {percent}]
        turn (up|down) the {room} (light|lights)
        turn the {fixture} (up|down) [a bit|a little|to {percent}]
        make the {fixture} (brighter|dimmer|less bright|softer)
        make (it|the {room}) (brighter|dimmer|less bright) [in here]
        ~{room} lights [to] {percent}
        ~{fixture} at {percent}
        ~(brighter|dimmer) (light|lights) [in the {room}]
        ~(full|maximum|minimum|half|low) brightness [in the {room}|for the {fixture}]
        set the {fixture} to (full|maximum|minimum|half|low) brightness
        (bring|take) the {fixture} (up|down) to {percent}
        dim everything in the {room}
        ~the {room} (light is|lamp is|lights are) too (bright|dim)
        ~it's too (bright|dim) in (here|the {room})
        ~i (want|need) (brighter|dimmer|softer) light in the {room}
        ~would you mind (dimming|brightening) the {fixture}
        ~(can|could) the {fixture} be (brighter|dimmer)
        ~the {room} lights are (hurting my eyes|blinding me)
        ~<want> the {fixture} (brighter|dimmer|at {percent}|less bright)
        ~(<want>|<wish>) (brighter|dimmer|softer|stronger|gentle) (light|lights|lighting) [in the {room}]
        ~<gerund> (dimming|brightening|lowering) the {fixture}
        ~the {room} (light|lights|lamp) <must> (brighter|dimmer|at {percent})
        (dial|crank|bring|notch) (up|down) the {fixture} [a bit|to {percent}]
        (adjust|change|regulate) the {fixture} brightness [to {percent}]
        (drop|cut|push|bump) the brightness [of the {fixture}] [to {percent}]
        ~the {room} (light|lamp) is (a bit|way|far|much) too (bright|dim|weak|strong)
        take the brightness (up|down) [a little|a bit|by {percent}] in the {room}
        give the {room} {percent} (light|brightness)
        ~the {room} light a little (brighter|dimmer)
        (scale|tune|ease|slide|shift|fade) the {fixture} (up|down|to {percent})
        (fade|mute|weaken|strengthen|boost|intensify) the {room} (light|lights)
        (step|pull|push|move|get) the {room} light (up|down) [a notch|to {percent}]
        (double|halve|lift|trim) the brightness [of the {fixture}]
        let the {fixture} (be|get|shine|burn) (brighter|dimmer|softer|at {percent}|less strongly)
        have the {room} (light|lights|lamp) at {percent}
        ~(the|this|that) {fixture} is (glaring|blinding|too strong|too weak|not bright enough)
        ~i'd like the {room} light (brighter|dimmer|softer|less bright)
        ~(more|less) (light|brightness|glare) from the {fixture}
        ~(i|we) (can't read|need to read) in this dim light [in the {room}]
        reduce the glare (of the {fixture}|in the {room})
        ~{percent} (light|brightness|lighting) [in the {room}|for the {fixture}]
        run the {fixture} at {percent}
        ~the {fixture} (is|are) (too dim|too bright|barely visible|so bright)
        ~{person} (wants|needs) (dimmer|brighter|softer) light in the {room}
        (make|get) the {room} (cozy|dimmer|brighter|less bright|a bit brighter)
        ~(half|twice|double) the (light|brightness) in the {room}
        ~(a little|slightly|a bit|much) (brighter|dimmer|less bright) [in the {room}]
        set the mood with (dim|low|soft) light in the {room}
        ~{fixture} (brighter|dimmer|down|up) [a bit|to {percent}]
        the {fixture} to {percent}
        (leave|keep) the {fixture} (at {percent}|dim|dimmed)
    """,
    validation="""
        (adjust|move) the {fixture} to {percent} brightness
        (lower|raise) the {room} lighting [to {percent}]
        have the {fixture} glow (brighter|less)
        make the light in the {room} (stronger|weaker)
        ~this light is too bright
        ~i would prefer the {fixture} at {percent}
        tone down the {fixture}
        ~the {room} could be brighter
    """,
    test="""
        (adjust|change) the brightness in the {room} to {percent}
        (drop|bump|bring) the {room} (lights|lamp) to {percent}
        ~(give me|let's have) {percent} (light|brightness) in the {room}
        (crank up|dial down) the {fixture} [to {percent}]
        ~the {fixture} (should be|needs to be|could be) (a bit|a little|much) (brighter|dimmer)
        ~i'd like (softer|dimmer|brighter) (light|lighting) in the {room}
        ~(the light|the lamp) in the {room} is way too (bright|dim)
        get the {fixture} down to {percent}
        make the {fixture} (not so|less) bright
        ~is it possible to dim the {fixture} [a little]
        take the {room} lights (down|up) a notch
    """,
)

_LIGHT_COLOR = Templates(
    train="""
        (turn|make|set) the {room} (light|lights|lamp) {color}
        (turn|make|set) the {fixture} {color}
        (change|set|switch|turn) the {fixture} to {color}
        (change|set|switch) the {room} (light|lights) to {color}
        (change|set) the (color|colour) of the {fixture} to {color}
        (change|set|switch) the light (color|colour) to {color} [in the {room}]
        ~{color} (light|lights) [in the {room}]
        ~{color} for the {fixture}
        ~{fixture} {color}
        make (it|everything|the {room}) {color}
        (change|switch) the (color|colour) of the {fixture}
        (use|pick|choose) {color} (light|lighting) in the {room}
        give me {color} light [in the {room}]
        (color|colour|paint) the {room} {color}
        turn on {color} (light|lights) in the {room}
        light the {room} in {color}
        go {color} in the {room}
        switch from {color} to {color} in the {room}
        set a {color} (color|colour|tone) for the {fixture}
        put the {fixture} on {color}
        (pick|try) a different (color|colour) for the {fixture}
        ~i (want|need) {color} (light|lights) [in the {room}]
        ~i want the {fixture} [to be] {color}
        ~would you mind (making|turning) the {fixture} {color}
        ~(can|could) the {fixture} be {color}
        ~how about {color} (light|lights) in the {room}
        ~(<want>|<wish>) [the] {color} (light|lights|lighting|lamp) [in the {room}]
        ~<want> the {fixture} (in|to be|to turn) {color}
        ~<gerund> (changing|switching|setting) the {fixture} to {color}
        ~the {room} (light|lights|lamp) <must> {color}
        (adjust|alter|shift|update|modify) the (color|colour) of the {fixture} [to {color}]
        (adjust|shift|swap) the {fixture} to {color}
        (select|choose|take) {color} for the {fixture}
        (select|choose|use) {color} as the light (color|colour) [in the {room}]
        (glow|shine) {color} in the {room}
        get (me|us|) {color} light in the {room}
        (fill|flood|wash) the {room} with {color}
        let the {fixture} (glow|be|shine) [in] {color}
        have the {room} (lamp|lights) turn {color}
        (tint|tinge|dye|cover|drench|soak) the {room} [in|with] {color} [light]
        (apply|project|cast|throw|create|display) [a] {color} (light|glow|color) (in|on|over|across) the {room}
        (turn|switch|move|go) the {fixture} (over|) to a {color} (tone|shade|color|glow)
        (let|have|get|make) the {room} (glow|shine|light up|turn|go) [in] {color}
        (let|have|get|make) the {fixture} (look|go|become|light up) {color}
        ~(the|my) {fixture} (in|as|with) [a] {color} (tone|shade|please)
        ~(how about|what about|maybe) {color} for the {room} (light|lights|lamp)
        ~i (think|feel like|love) {color} (light|lights) (would be nice|tonight|in the {room})
        ~{color} (mood|tone|shade|glow|lighting) [in the {room}|for the {room}]
        (do|try|go with) {color} on the {fixture}
        ~can we (do|try|have|go with) {color} (light|lighting|lamps) in the {room}
        replace {color} (with|by) {color} [on the {fixture}]
        ~{person} (wants|likes|would like) {color} light in the {room}
        (mix|blend|put) some {color} into the {room} light
        ~the {room} in {color}
        ~(my|our) {fixture} (should|could|must) (be|turn|glow|look) {color}
        ~{color} [please|now] in the {room}
        ~what about {color} (on|for) the {fixture}
        start the {color} (light|mode|scene) in the {room}
        (turn|change|fade) (the light|all lights|everything) (to|into) {color}
        ~a {color} (light|lamp|glow|tone) (in|for) the {room}
        (get|set) a {color} (mood|atmosphere|scene|theme) in the {room}
    """,
    validation="""
        adjust the {fixture} color to {color}
        have the {fixture} (shine|glow) {color}
        bathe the {room} in {color}
        ~i would prefer {color} lighting in the {room}
        ~the {fixture} in {color}
        ~let's try {color} in the {room}
        show {color} on the {fixture}
        ~can we get {color} lights in the {room}
    """,
    test="""
        (shift|adjust) the {room} (light|lights|lamp) to {color}
        (pick|select) {color} as the (color|colour) of the {fixture}
        get the {fixture} (glowing|to glow|to shine) {color}
        (update|alter) the {fixture} (color|colour) to {color}
        ~i'd like the {fixture} (in|to be|to turn) {color}
        ~(let's|can we) have {color} (light|lights|lighting) in the {room}
        ~(the {room} lights|the {fixture}) should be {color}
        fill the {room} with {color} light
        make the light in the {room} {color}
        go for {color} on the {fixture}
        ~what about {color} for the {room} lights
    """,
)

LIGHTING = {
    "light_on": _LIGHT_ON,
    "light_off": _LIGHT_OFF,
    "light_brightness": _LIGHT_BRIGHTNESS,
    "light_color": _LIGHT_COLOR,
}
