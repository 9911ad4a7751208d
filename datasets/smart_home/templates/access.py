"""Templates of the intents about doors and cameras."""

from datasets.smart_home.grammar import Templates

__all__ = ["ACCESS"]

_DOOR_LOCK = Templates(
    train="""
        (lock|secure|bolt) the {door}
        (lock|secure) (all|all the|every one of the) doors
        (lock|secure) (the house|the doors|every door|my {door})
        lock up [the house|the {door}|for the night|everything]
        (lock|secure) the {door} (now|tonight|behind me|immediately)
        lock the {door} and the {door}
        (close|shut) and lock the {door}
        (engage|activate|turn on|set) the [{door}] lock
        ~{door} lock
        ~{door} locked
        put the lock on the {door}
        (get|have) the {door} locked
        keep the {door} locked
        (double lock|lock down) the {door}
        lock the {door} (after|when) i leave
        (turn|set) the {door} to locked
        make the {door} (secure|locked)
        ~i (want|need) the {door} locked
        ~i forgot to lock the {door} [can you do it]
        ~i left the {door} unlocked lock it
        ~would you mind locking the {door}
        ~(can|could) you lock the {door} i am (leaving|in bed)
        ~i'm (leaving|going out|going to bed) lock the {door}
        ~the {door} should be locked
        ~nobody should get in lock the {door}
        ~<want> the {door} (locked|bolted|secured|locked up)
        ~<gerund> (locking|securing) the {door}
        ~the {door} <must> (locked|secure|bolted)
        <ensure> the {door} is (locked|secured|bolted)
        <ensure> (nobody can open the {door}|all doors are locked)
        (apply|throw|slide|turn|start) the (lock|bolt|deadbolt) (on|of) the {door}
        (see to|take care of) locking the {door}
        ~(it's|it is) (night|bedtime|dark) lock the {door}
        ~we (are|are all) (in|away|asleep) lock the {door}
        ~i (didn't|did not) lock the {door} (lock it|please do it)
        (seal|shut tight|close off|barricade|safeguard|protect|close up) the {door}
        (slide|push|turn|throw|drive) the (bolt|key|latch|deadbolt) on the {door}
        (flip|turn|snap|click|put|switch|move) the lock (on|of|at) the {door} (on|to locked|closed|shut)
        (have|let|get|make) the {door} (lock|locked up|lock up|lock now|bolted|secured)
        ~(the|my) {door} (needs|has) to (lock|be locked|be secured|stay locked)
        ~(no one|nobody) (should|may|can|must) (come|get|enter|walk) (in|through the {door}|inside)
        ~(no stranger|no burglar) (should|may|can|must) (come|get|enter|walk) (in|through the {door}|inside)
        keep (everyone|everybody|burglars|people|thieves|intruders) (out|out of the house|away from the {door})
        ~(i|we) (left|went out|drove off) without locking the {door}
        ~(time to|let's) (lock up|lock the {door}|secure the house)
        ~(good night|bye|we are off|i'm off) lock (up|the {door}|the house)
        ~lock on the {door}
        ~{person} (left|forgot to lock|did not lock) the {door} [lock it]
        ~the {door} is (open|unlocked|not locked) lock it
        ~(i|we) (feel|would feel) safer with the {door} locked
        (lock|secure|bolt) (it|up|everything) at the {door}
        ~(is the {door} still open|the {door} again) lock it
        {door} to locked
        ~(i'd like|i would like) to lock the {door}
        (do|use|close) the (bolt|lock|latch) (at|of|on) the {door}
    """,
    validation="""
        (fasten|latch) the {door}
        have the {door} lock itself
        ~i would prefer the {door} locked
        ~we are off to bed so lock the {door}
        see to it that the {door} locks
        switch the {door} lock on
        ~the {door} must be locked now
        keep strangers out at the {door}
    """,
    test="""
        (make sure|ensure|see that) the {door} (is locked|gets locked|is secured)
        (go and|quickly) (lock|secure) the {door}
        throw the (bolt|lock) on the {door}
        ~i'd like the {door} (locked|secured|bolted)
        ~(everyone is|we are all) (home|inside|out) (lock|secure) the {door}
        ~would it be possible to lock the {door} [tonight]
        ~did i forget to lock the {door} then lock it [now]
        lock both the {door} and the {door}
        ~the {door} (needs to be|has to be) (locked|secured)
        (start|apply|close) the lock on the {door}
        ~it's late (so|please) lock the {door}
    """,
)

_DOOR_UNLOCK = Templates(
    train="""
        (unlock|unbolt|unlatch) the {door}
        unlock (all|all the|every one of the) doors
        unlock (the house|the doors|every door|my {door})
        unlock [the {door}] (now|right away|for me|quickly)
        unlock the {door} for (the guests|the cleaner|the delivery|{person}|my friend|the postman)
        unlock the {door} and the {door}
        unlock and open the {door}
        (release|disengage|deactivate|turn off|undo) the [{door}] lock
        ~{door} unlock
        ~{door} unlocked
        take the lock off the {door}
        (get|have) the {door} unlocked
        keep the {door} unlocked
        leave the {door} unlocked [for {person}]
        unlock the {door} when i (arrive|get home)
        (turn|set) the {door} to unlocked
        make the {door} unlocked
        let (me|us|{person}|the guests|him|her) in [through the {door}]
        ~i (want|need) the {door} unlocked
        ~i'm (home|back|outside|at the door) unlock the {door}
        ~would you mind unlocking the {door}
        ~i forgot my (key|keys) unlock the {door}
        ~i'm locked out [open the lock]
        ~(my friend|{person}|the delivery) is here unlock the {door}
        ~my hands are full unlock the {door}
        ~the {door} should be unlocked
        ~<want> the {door} (unlocked|unbolted)
        ~<gerund> unlocking the {door} [for {person}]
        ~the {door} <must> (unlocked|unbolted)
        <ensure> the {door} is (unlocked|not locked)
        <ensure> {person} can (get in|come in)
        (open|remove|pull back|free|slide back) the (lock|bolt|deadbolt) (on|of) the {door}
        (see to|take care of) unlocking the {door}
        ~(my guests|the kids|my parents|{person}) (are|is) (waiting|at the {door}) (unlock it|let them in)
        ~i (lost|don't have|left) my (keys|key) [inside] unlock the {door}
        ~{person} wants to come in unlock the {door}
        (slide|push|turn|pull|draw) the (bolt|key|latch|deadbolt) (off|back) on the {door}
        (flip|turn|snap|click|switch|move) the lock (on|of|at) the {door} (off|to unlocked|open)
        (have|let|get|make) the {door} (unlock|unlocked|unlock now|unbolted|open its lock)
        ~(the|my) {door} (needs|has) to (unlock|be unlocked|stay unlocked)
        (allow|give|grant) ({person}|the guests|the cleaner) (in|access|entry|to come in) [through the {door}]
        (allow|give|grant) (the visitors|everybody|the neighbor) (in|access|entry|to come in) [through the {door}]
        let (everyone|everybody|the cleaner|the plumber) (in|inside|enter) [through the {door}|at the {door}]
        let (the delivery man|my family|the dog walker) (in|inside|enter) [through the {door}|at the {door}]
        (welcome|admit) ({person}|the guests) at the {door}
        ~({person}|somebody|my friend) (is standing|is waiting) (at|outside) the {door} [let them in|unlock it]
        ~({person}|somebody|my friend) (stands|has arrived) (at|outside) the {door} [let them in|unlock it]
        ~(a guest|the cleaner) (is standing|is waiting) (at|outside) the {door} [let them in|unlock it]
        ~(a guest|the cleaner) (stands|has arrived) (at|outside) the {door} [let them in|unlock it]
        ~(i|we) (can't|cannot|could not) get (in|inside|into the house) [unlock the {door}]
        ~(it's|it is) (me|only me|us|{person}) (let me in|unlock the {door}|let us in)
        ~unlock for ({person}|the guests|the delivery|me)
        ~{person} (forgot|lost|has no) (the key|keys) unlock the {door}
        ~the {door} is (locked|bolted|still locked) unlock it
        ~(i'd like|i would like) to (unlock|get in through) the {door}
        {door} to unlocked
        (undo|open|release) the (bolt|lock|latch|locks) (at|of|on) the {door}
        ~i'm (standing|waiting) (outside|at the {door}) (let me in|unlock it|unlock)
        ~(unlock|let me in) i (forgot|lost) my keys
        make it possible to enter through the {door}
    """,
    validation="""
        (unfasten|free) the {door} lock
        have the {door} unlock itself
        ~i would prefer the {door} unlocked
        ~we are back so unlock the {door}
        see to it that the {door} unlocks
        switch the {door} lock off
        ~somebody wants to come in unlock the {door}
        let the visitors in by the {door}
    """,
    test="""
        (make sure|ensure|see that) the {door} (is unlocked|gets unlocked|is not locked)
        (go and|quickly) unlock the {door}
        (pull|slide) back the bolt on the {door}
        ~i'd like the {door} (unlocked|unbolted)
        ~(everyone is|my parents are|{person} is) waiting outside unlock the {door}
        ~would it be possible to unlock the {door} [for {person}]
        ~i don't have my keys [with me] unlock the {door}
        unlock both the {door} and the {door}
        ~the {door} (needs to be|has to be) unlocked [for {person}]
        (remove|open) the lock on the {door}
        let {person} into the house [through the {door}]
    """,
)

_CAMERA_SHOW = Templates(
    train="""
        show [me] the {spot} camera
        show [me] the camera (at|in|by|on) the {spot}
        show me (what is happening|what is going on) (at|in) the {spot}
        show me the (video|picture|view|feed|stream|footage) (of|from) the {spot} [camera]
        (open|pull up|bring up|display|view) the {spot} camera [feed]
        (open|pull up|bring up|display) the (camera|cameras|security camera|video feed|live feed|camera feed)
        (turn on|switch on|start) the {spot} camera
        show [me] the (security|doorbell|outdoor|indoor) (camera|cameras|video)
        show [me] (all|all the|my) (cameras|security cameras)
        put the {spot} camera on (the screen|the tv|my phone)
        stream the {spot} camera [to the tv|to my phone]
        ~(live|camera|video) (view|feed|picture) of the {spot}
        ~{spot} camera
        check the {spot} camera
        ~camera (at|in|for) the {spot}
        let me see the {spot} [camera]
        let me look at the {spot}
        switch to the {spot} camera
        (check|see) who is at the (front door|door|gate|back door)
        ~who's (at|outside) the (door|front door|gate)
        ~who just rang [the doorbell]
        ~is (somebody|someone|anyone) (at the door|in the {spot}|outside)
        ~i want to see (the {spot} camera|the {spot}|who is at the door)
        ~can i see the {spot}
        ~what does the {spot} camera (see|show)
        ~would you mind showing me the {spot} camera
        ~(<want>|<wish>) (the {spot} camera|the {spot} video|a view of the {spot}|the feed of the {spot})
        ~<gerund> (showing|opening) the {spot} camera
        ~<know> who is (at the door|in the {spot}|outside)
        ~i'd like to (see|look at|check) the {spot} [camera]
        ~(who|what) is (in|near|at|next to|moving around) the {spot}
        ~who is (standing|walking|waiting|hiding) (in|at|by) the {spot}
        ~is (anybody|a stranger|a car|a person) (in|near|by|at) the {spot}
        (access|get|launch|load|start) the {spot} (camera|video|feed|stream|cam)
        (get|bring|put) the {spot} (camera|cam|video|feed) (up|on the screen|on the display)
        (watch|monitor|look at|view) the {spot} [camera|video]
        see (what is going on|what is happening|who is) (in|at) the {spot}
        (turn|switch|point|bring) (me|us|the screen|the tv) to the {spot} (camera|cam|video|feed)
        (play|stream|show) the (live|current|latest|live video) (picture|image|video) (from|of|at) the {spot}
        (open|display|run) the (live|current|latest|live video) (picture|image|video) (from|of|at) the {spot}
        (play|stream|show) the (live|current|latest|live video) (stream|feed|recording) (from|of|at) the {spot}
        (open|display|run) the (live|current|latest|live video) (stream|feed|recording) (from|of|at) the {spot}
        (give|get|bring|send) (me|us) (a picture|a view|an image|the image) (of|on|from) the {spot}
        (give|get|bring|send) (me|us) (the view|a peek|the video|eyes) (of|on|from) the {spot}
        (take|have|let me take) a (look|peek|glance) at the {spot}
        keep an eye on the {spot}
        ~(what|who) (happens|is happening|moves|is moving|was that|made that noise) (in|at|near|by|around) the {spot}
        ~(did|has) (someone|anyone|somebody|a person|a car) (enter|pass|come to) the {spot}
        ~(did|has) (someone|anyone|somebody|a person|a car) (walk by|left something at|stop at) the {spot}
        ~(is|are) (there|) (someone|anyone|somebody|people|a visitor|an animal) (in|at|near|by|on|around) the {spot}
        ~how does (it look|the {spot} look) [at the {spot}|right now|on camera]
        ~(i|we) (heard|hear) (a noise|something|footsteps) (in|at|near) the {spot} (show me|who is it)
        ~{spot} (cam|video|feed|view|stream|live) [on|please]
        ~see the {spot} (on camera|live|on the screen)
        ~(everything|all) (ok|quiet|fine) (in|at|near) the {spot} [show me]
        ~(i want|i need|i'd like|we want) (to check on|to keep an eye on|a look at|to watch) the {spot}
        ~(which|what) (car|person|animal|people) is (in|at|near|by|on) the {spot}
        ~is (the|my) {animal} (in|at|near|on) the {spot} [check the camera]
        ~(anybody|anyone|somebody|someone) (in|at|near|by) the {spot}
        (zoom|look) (in on|into|at|around) the {spot} [camera|with the camera]
        ~(the|our) {spot} (camera|cam|video|feed) (on the tv|on my phone|please|now)
        (go|jump|change) to the {spot} (camera|cam|feed|view)
        find out who is (at|in|near) the {spot}
        ~(video|footage|image|images|pictures) (from|of) the {spot}
        ~{person} is (at|in) the {spot} show me
    """,
    validation="""
        give me a look at the {spot}
        ~what is going on in the {spot}
        load the {spot} video
        ~i would prefer to see the camera of the {spot}
        get the {spot} camera up
        play the live picture from the {spot}
        ~is there anybody near the {spot}
        watch the {spot} on camera
    """,
    test="""
        (get|give) me (the video|a view|the live feed) of the {spot}
        ~(can i|could i|let me) (have|take) a look at the {spot} camera
        (access|view|launch) the {spot} (cam|camera|video)
        ~i'd like to (see|watch|view) the {spot} (camera|feed|video)
        ~is there (someone|anyone|a person) (by|near|on) the {spot}
        ~what's (happening|moving) (by|near|on) the {spot}
        put the {spot} (feed|camera|video) up on the display
        ~who is standing (by|near) the {spot}
        show what the {spot} camera (is recording|sees)
        see what is going on (by|near) the {spot}
        bring the {spot} camera up on the (tablet|television|screen)
    """,
)

ACCESS = {
    "door_lock": _DOOR_LOCK,
    "door_unlock": _DOOR_UNLOCK,
    "camera_show": _CAMERA_SHOW,
}
