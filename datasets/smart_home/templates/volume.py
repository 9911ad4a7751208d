"""Templates of the intents about volume."""

from datasets.smart_home.grammar import Templates

__all__ = ["VOLUME"]

_VOLUME_UP = Templates(
    train="""
        turn up the {speaker} [in the {room}]
        turn the {speaker} up [in the {room}|a bit|a little|more]
        (raise|increase) the volume [in the {room}|a bit|a little|on the {player}|of the {player}]
        (turn|crank|pump) up the (volume|music|sound) [a bit|a little|a lot]
        ~volume up [in the {room}|a bit|please]
        ~(louder|a bit louder|much louder|a little louder|even louder) [in the {room}]
        ~louder (music|sound|volume)
        make (it|the music|the {speaker}|the sound) (louder|a bit louder|much louder)
        ~(more|higher) volume [in the {room}]
        turn it up [a bit|a little|in here|loud]
        boost the (volume|sound|music)
        (add|give me) more volume
        play (it|the music|this|that song) louder [in the {room}]
        (put|move|bring) the volume up [a bit|in the {room}]
        ~(up|higher) with the volume
        increase (the sound|loudness|the sound level)
        set the volume higher [in the {room}]
        ~i can't hear (the music|the radio|it|this song|the {speaker})
        ~i can (hardly|barely) hear (the music|it|the radio)
        ~(it's|the music is|the {player} is) too (quiet|soft)
        ~(the {player} is|it's) not loud enough
        ~i want (it|the music|the sound) louder
        ~would you mind turning up the {speaker}
        ~can we have it louder
        ~this is my favorite song turn it up
        ~<want> (it|the music|the sound|the radio) (louder|a bit louder)
        ~(<want>|<wish>) (more volume|a higher volume|louder music)
        ~<gerund> (turning up|raising|increasing) the (volume|music|sound)
        ~the (music|sound|volume|radio) <must> (louder|higher)
        (jack|bump|push|bring|notch) up the (music|volume|radio) [in the {room}]
        (blast|amplify|boost) (it|the music|the radio|this song) [in the {room}]
        (get|take) the (volume|sound) (up|higher) [a bit|a little|in the {room}]
        let (it|the music|the radio) (be|play|get) louder
        ~i (don't hear|barely hear|want to hear) the (music|radio|sound) [better]
        ~the (music|radio|sound) is (so|very|really|much too|a bit) (quiet|low|faint)
        ~the music in the {room} is too quiet
        (strengthen|lift|heighten|step up) the (volume|sound|music|audio|{speaker}) [in the {room}]
        (ramp up|dial up|jack up) the (volume|sound|music|audio|{speaker}) [in the {room}]
        (get|make|bring|have|let) the {player} (louder|up|to play louder|to be louder) [in the {room}]
        (give|add) (us|me|it|the {player}) (more|some more|a bit more) (volume|sound|power|noise)
        ~(a|one|two) (notch|step|notches|bit) (louder|higher) [on the {player}]
        ~(i|we|grandma) (need|want|like) (it|the {speaker}|the sound) louder [in the {room}]
        ~(nobody|no one|we|i|they) (hears|hear|can hear) (the words|anything|the {player}|a thing)
        ~(nobody|no one|we|i|they) (can barely hear|understand|can understand) (the words|anything|the {player}|a thing)
        ~the {player} (is|sounds|seems|plays) (too quiet|too low|so faint|very soft|too soft|hardly audible)
        ~the (volume|sound|audio) is (too low|very low|not high enough|too weak) [in the {room}]
        ~(louder|more volume|higher volume) (please|on the {player}|in the {room}|for this song)
        ~(speak|sing|talk) (up|louder)
        ~loud as (you can|possible)
        ~{person} can't hear (the {player}|the music|it)
        ~{person} (wants|likes|needs) it louder
        ~(turn|get|make) {artist} (up|louder)
        ~(up|raise|increase) the (loudness|noise|sound level) [in the {room}]
        ~(much|far|way|a bit) too (quiet|low|soft) [in the {room}]
        (let me|let us|we want to|i want to) hear (it|the music|the {player}) better
        ~{player} (louder|up) [please|in the {room}]
    """,
    validation="""
        pump the {speaker} up
        have the {player} play louder
        ~i would prefer a higher volume in the {room}
        ~the sound is too low in the {room}
        go up with the {speaker}
        ~nobody can hear the {speaker} in the {room}
        amplify the {speaker}
        ~we need more volume in the {room}
    """,
    test="""
        (bump|jack|bring) up the (volume|sound|music) [in the {room}]
        (get|make) the (music|radio|stereo) [in the {room}] (a little|somewhat|way) louder
        ~i'd like (the music|the sound|it) (a little|somewhat) louder [in the {room}]
        ~(the music|the song|the radio) (should|could|needs to) be louder [in the {room}]
        ~i (don't|do not) hear the (music|radio|stereo) (well|in the {room})
        ~the (music|stereo|radio) in the {room} is (very|a bit|way too) quiet
        take the volume up a notch [in the {room}]
        ~is it possible to (raise|increase) the (volume|sound level)
        blast the (music|stereo|radio) [in the {room}]
        ~could we get (some more|a bit more) volume [in the {room}]
        let the {player} play louder
    """,
)

_VOLUME_DOWN = Templates(
    train="""
        turn down the {speaker} [in the {room}]
        turn the {speaker} down [in the {room}|a bit|a little|more]
        (lower|reduce|decrease) the volume [in the {room}|a bit|a little|on the {player}|of the {player}]
        turn down the (volume|music|sound) [a bit|a little|a lot]
        ~volume down [in the {room}|a bit|please]
        ~(quieter|a bit quieter|much quieter|softer|a little softer) [in the {room}]
        ~(quieter|softer) (music|sound|volume)
        make (it|the music|the {speaker}|the sound) (quieter|a bit quieter|softer|less loud)
        ~(less|lower) volume [in the {room}]
        turn it down [a bit|a little|in here]
        (keep|hold) the (volume|noise|music) down
        (cut|drop) the volume [a bit]
        play (it|the music|this|that song) (quieter|softer|more quietly) [in the {room}]
        (put|move|bring) the volume down [a bit|in the {room}]
        ~(down|lower) with the volume
        (lower|decrease) (the sound|the sound level|the music)
        set the volume lower [in the {room}]
        ~not so loud [in the {room}]
        ~(it's|the music is|the {player} is) (too|way too|so) loud
        ~the music is (hurting my ears|giving me a headache)
        ~i can't (hear myself think|hear you over the music)
        ~i want (it|the music|the sound) (quieter|softer)
        ~would you mind turning down the {speaker}
        ~can we have it (quieter|softer)
        ~the baby is sleeping turn (it|the volume) down
        ~<want> (it|the music|the sound|the radio) (quieter|softer|less loud)
        ~(<want>|<wish>) (less volume|a lower volume|quieter music|less noise)
        ~<gerund> (turning down|lowering|reducing) the (volume|music|sound)
        ~the (music|sound|volume|radio) <must> (quieter|lower|softer)
        (dial|bump|push|bring|notch|tone) down the (music|volume|radio) [in the {room}]
        (quiet|soften|hush) (it|the music|the radio|this song) [in the {room}]
        (get|take) the (volume|sound) (down|lower) [a bit|a little|in the {room}]
        let (it|the music|the radio) (be|play|get) (quieter|softer)
        ~the (music|radio|sound) is (so|very|really|much too|a bit) (loud|noisy)
        ~the music in the {room} is too loud
        (weaken|calm|ease|step down) the (volume|sound|music|audio|{speaker}) [in the {room}]
        (ramp down|dial down|tune down|damp) the (volume|sound|music|audio|{speaker}) [in the {room}]
        (get|make|bring|have|let) the {player} (quieter|down|to play softer|to be quieter|less loud) [in the {room}]
        (take|cut) (some|a bit of) (volume|sound|noise) (off|away)
        ~(a|one|two) (notch|step|notches|bit) (quieter|softer|lower) [on the {player}]
        ~(i|we|grandma) (need|want|like) (it|the {speaker}|the sound) (quieter|softer) [in the {room}]
        ~(everybody|the whole street|the neighbor|my mother) (hears|can hear|complains about|is annoyed by) the {player}
        ~the {player} (is|sounds|seems|plays) (too loud|way too loud|so noisy|very loud|deafening)
        ~the (volume|sound|audio) is (too high|very high|too loud|too strong) [in the {room}]
        ~(quieter|less volume|lower volume|less noise) (please|on the {player}|in the {room}|for the baby)
        ~(speak|sing|talk) (quietly|softer|lower)
        ~(the kids|my parents|the twins) (are|are already) (sleeping|asleep|in bed) (turn|keep) (it|the {speaker}) down
        ~my ears (hurt|are ringing) (from|because of) the (music|noise|{player})
        ~{person} (is sleeping|is on the phone|has a headache) turn (it|the {speaker}) down
        ~{person} (wants|likes|needs) it (quieter|softer)
        ~(turn|get|make) {artist} (down|quieter|softer)
        ~(down|reduce|decrease|lower) the (loudness|noise|sound level) [in the {room}]
        ~(much|far|way|a bit) too (loud|noisy) [in the {room}]
        ~{player} (quieter|down|softer|lower) [please|in the {room}]
        ~i can't (talk|think|sleep|work|concentrate) with (it|the {player}) so loud
    """,
    validation="""
        quiet the {speaker} down
        have the {player} play softer
        ~i would prefer a lower volume in the {room}
        ~the sound is too loud in the {room}
        go down with the {speaker}
        ~the neighbors complain about the loud {speaker}
        soften the {speaker}
        ~we need less volume in the {room}
    """,
    test="""
        (dial|bring) down the (volume|sound|music) [in the {room}]
        (get|make) the (music|radio|stereo) [in the {room}] (a little|somewhat|way) (quieter|softer)
        ~i'd like (the music|the sound|it) (a little|somewhat) (quieter|softer) [in the {room}]
        ~(the music|the song|the radio) (should|could|needs to) be (quieter|less loud) [in the {room}]
        ~my ears hurt turn down the (music|radio|stereo)
        ~the (music|stereo|radio) in the {room} is (very|a bit|far too) loud
        take the volume down a notch [in the {room}]
        ~is it possible to (lower|reduce) the (volume|sound level)
        tone down the (music|stereo|radio) [in the {room}]
        ~could we get (somewhat|a bit) less volume [in the {room}]
        let the {player} play (softer|more quietly)
    """,
)

_VOLUME_SET = Templates(
    train="""
        (set|put|change|adjust) the volume to ({level}|{percent}) [in the {room}]
        (set|put|change) the {player} (volume|level) to ({level}|{percent})
        (turn|put) the volume (to|at) ({level}|{percent})
        set the {player} to ({level}|{percent})
        set volume ({level}|{percent})
        ~volume [to|at|level] ({level}|{percent}) [in the {room}]
        ~volume (at|to) (half|full|maximum|minimum|zero)
        (set|put) the volume to (half|maximum|minimum|medium|full|zero)
        (turn|bring) the {player} (up|down) to ({level}|{percent})
        (raise|lower|increase|reduce) the volume to ({level}|{percent})
        turn the volume (up|down) to ({level}|{percent})
        make the volume ({level}|{percent})
        play (the music|this|it) at ({level}|{percent}) [volume]
        ~(full|half|maximum|medium) volume [in the {room}]
        ~{player} at volume {level}
        ~sound level ({level}|{percent})
        keep the volume at ({level}|{percent})
        mute [the {speaker}|the sound|yourself|it|everything] [in the {room}]
        (mute|unmute) the (tv|speaker|sound|music|audio)
        unmute [the {speaker}] [in the {room}]
        (turn off|kill) the volume
        ~no sound [in the {room}]
        put the {player} on mute
        ~i want the volume at ({level}|{percent})
        ~would you mind setting the volume to ({level}|{percent})
        ~(can|could) the volume be ({level}|{percent})
        ~<want> (the volume|the sound|the volume level) (at|on|to be) ({level}|{percent})
        ~(<want>|<wish>) volume ({level}|{percent})
        ~<gerund> (setting|putting|changing) the volume to ({level}|{percent})
        ~the (volume|sound|sound level) <must> (at|on) ({level}|{percent})
        (get|take|move|bring|fix) the (volume|sound) to [level] ({level}|{percent}) [in the {room}]
        (choose|pick|use|select) volume [level] ({level}|{percent})
        (leave|keep|have) the (volume|speaker volume|sound) at ({level}|{percent})
        (silence|mute) (the {speaker}|all speakers|every sound) [in the {room}]
        (program|configure|fix) the (volume|sound|loudness|audio) (to|at) ({level}|{percent}) [in the {room}]
        (hold|maintain) the (volume|sound|loudness|audio) (to|at) ({level}|{percent}) [in the {room}]
        (lock|drop|push|raise) the (volume|sound|loudness|audio) (to|at) ({level}|{percent}) [in the {room}]
        (have|let|get|run) the {player} (play|at|run|go) (at|to|on) (volume|level) ({level}|{percent})
        (jump|switch|go|move|skip) to (volume|sound level) ({level}|{percent})
        ~(i'd like|let's have|give me|we need) volume ({level}|{percent}) [in the {room}|on the {player}]
        ~the {player} at ({level}|{percent}) [volume|please]
        ~volume ({level}|{percent}) (please|for the {room}|is enough|is fine)
        ~{percent} volume [on the {player}|in the {room}|please]
        (shut|close|switch off|disable|cancel|drop) (all sound|the sound|all audio|the audio) [in the {room}]
        (put|set|turn|bring) the sound (off|on mute|to zero|back on)
        ~(complete|total) silence [in the {room}]
        ~(mute|unmute|silence) [please|now|the {room}]
        ~{person} (wants|likes) the volume (at|on) ({level}|{percent})
        ~(set|put|turn) (it|the music|the {player}) to (volume|level) ({level}|{percent})
        ~(level|volume|loudness) ({level}|{percent}) (in|for) the {room}
        ~volume (up|down) to ({level}|{percent})
        ~({level}|{percent}) (as the volume|on the volume|for the volume)
        ~(exactly|about) {percent} (loudness|volume)
        (put|set|turn|make) (it|the {player}|the {speaker}) (mute|silent|muted)
    """,
    validation="""
        bring the sound level to {percent}
        make the {player} play at volume {level}
        ~i would prefer volume {level}
        have the volume at {percent} in the {room}
        silence the {speaker}
        fix the volume at {level}
        choose volume {level} for the {room}
        go to volume {level}
    """,
    test="""
        (move|get|take) the volume to ({level}|{percent}) [in the {room}]
        (adjust|change) the (sound|sound level) [in the {room}] to ({level}|{percent})
        ~i'd like the volume (at|on|to be) ({level}|{percent}) [in the {room}]
        ~the volume (should be|needs to be) ({level}|{percent}) [in the {room}]
        (select|use) volume [level] {level} [for the {player}]
        mute (all the|every|both) (speakers|sounds) [in the {room}]
        have the {player} at volume ({level}|{percent})
        (leave|hold) the volume (on|at) ({level}|{percent}) [in the {room}]
        ~is it possible to have the volume at ({level}|{percent})
        make the {player} [go] mute [in the {room}]
        ~volume (exactly|up to|down to) ({level}|{percent}) [in the {room}]
    """,
)

VOLUME = {
    "volume_up": _VOLUME_UP,
    "volume_down": _VOLUME_DOWN,
    "volume_set": _VOLUME_SET,
}
