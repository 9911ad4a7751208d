"""Templates of the intents about blinds."""

from datasets.smart_home.grammar import Templates

__all__ = ["WINDOWS"]

_BLINDS_OPEN = Templates(
    train="""
        (open|raise|lift) the {covering} [in the {room}]
        (open|raise|lift) the {room} {covering}
        (open|raise|pull up) the {covering_kind} [in the {room}]
        open (all the|all|my|both) {covering} [in the {room}]
        (pull|roll|put|draw) up the {covering} [in the {room}]
        (pull|roll|put) the {covering} up [in the {room}]
        ~{covering} (up|open) [in the {room}]
        ~{room} {covering} (up|open)
        raise the {covering_kind} (halfway|all the way|to {percent}|a little)
        open the {covering} (halfway|all the way|fully|to {percent}|a bit)
        set the {covering} to (open|fully open|{percent} open) [in the {room}]
        move the {covering} up [in the {room}]
        (pull|draw) back the (curtains|drapes) [in the {room}]
        pull the (curtains|drapes) (open|apart) [in the {room}]
        get the {covering} open [in the {room}]
        let (the sun|sunlight|the daylight|some sun) in [in the {room}]
        let (the sun|sunlight|daylight) into the {room}
        (take|bring) the {covering_kind} up
        open up the {covering} [in the {room}]
        uncover the {room} windows
        ~i want the {covering} (open|up) [in the {room}]
        ~i want to (see outside|look out of the window|see the view) open the {covering}
        ~would you mind (opening|raising) the {covering}
        ~(can|could) we have the {covering} open
        ~good morning open the {covering} [in the {room}]
        ~it's morning (raise|open) the {covering}
        ~<want> the {covering} (open|up|raised|opened) [in the {room}]
        ~(<want>|<wish>) (some sun|daylight|sunlight) in the {room}
        ~<gerund> (opening|raising|pulling up) the {covering} [in the {room}]
        ~the {covering_kind} <must> (open|up|raised)
        <ensure> the {covering} in the {room} are (open|up)
        (slide|wind|crank|hoist) (up|open) the {covering} [in the {room}]
        (get|have|bring) the {covering_kind} (up|open|raised)
        make the {covering} (open|go up) [in the {room}]
        let the (morning light|sunshine|light) (in|into the {room})
        ~the {room} is too dark (open|raise) the {covering}
        roll the {covering_kind} up
        (spread|part|separate|tilt open|throw open|swing open|push open) the {covering} [in the {room}]
        (elevate|heave|haul|drive|run|push) the {covering} (up|upwards|to the top) [in the {room}]
        (unveil|clear|free) the (window|windows) in the {room}
        (get|have|let) the {covering} (go up|come up|roll up|move up|open up|raised|lifted)
        ~(the|my) {covering_kind} (all the way|halfway|fully) (up|open)
        ~i'd like (to see|to look) (outside|the garden|the sky) from the {room}
        ~(the {room}|we|my plants) (needs|need|could use) (daylight|sunlight|natural light|some sun)
        ~time to (open|raise|lift) the {covering}
        ~(let's have|how about) (daylight|some sunlight|the sun) in the {room}
        bring (daylight|the sunlight|the morning sun) into the {room}
        ~{person} (wants|needs|would like) the {covering} (open|up)
        ~the {covering} (are|is) (closed|down) (open|raise|lift) (them|it)
        (put|get|bring) the {covering_kind} (to the top|upwards|all the way up)
        ~it's (so nice|sunny|beautiful) outside (open|raise|pull up) the {covering}
        let (in the sun|the sun shine in|light come in) [in the {room}]
        ~{covering} (at|to) {percent} open
        wake up the {room} with (daylight|sunlight)
        the {covering} in the {room} (up|open)
    """,
    validation="""
        have the {covering} go up [in the {room}]
        let daylight through the {covering_kind}
        (crack|slide) open the {covering} [in the {room}]
        ~i would prefer the {covering_kind} up
        send the {covering} up in the {room}
        ~we want sun in the {room} so open the {covering}
        make the {covering} rise
        ~the {room} {covering} can go up
    """,
    test="""
        get the {covering_kind} (up|open|raised|opened)
        (make sure|see that) the {covering} in the {room} (are open|are up|get opened)
        (wind|hoist|roll) up the {covering_kind}
        (draw|slide) the {covering} open in the {room}
        ~i'd like the {room} {covering} (open|opened|up|raised)
        ~(the {covering_kind}|the {room} {covering}) should be (open|up)
        let some (daylight|sunshine|sun) (into|in through) the {room} {covering}
        ~would it be possible to open the {covering_kind}
        open every one of the {covering} in the {room}
        ~time to wake up raise the {room} {covering}
        open the {covering_kind} (half way|completely|a little bit)
    """,
)

_BLINDS_CLOSE = Templates(
    train="""
        (close|lower|shut) the {covering} [in the {room}]
        (close|lower|shut) the {room} {covering}
        (close|lower|pull down) the {covering_kind} [in the {room}]
        close (all the|all|my|both) {covering} [in the {room}]
        (pull|roll|put|let) down the {covering} [in the {room}]
        (pull|roll|put|let) the {covering} down [in the {room}]
        ~{covering} (down|closed|shut) [in the {room}]
        ~{room} {covering} (down|closed)
        lower the {covering_kind} (halfway|all the way|to {percent}|a little)
        close the {covering} (halfway|all the way|fully|to {percent}|a bit)
        set the {covering} to (closed|fully closed|{percent} closed) [in the {room}]
        move the {covering} down [in the {room}]
        draw the (curtains|drapes|blinds) [in the {room}]
        pull the (curtains|drapes) (closed|shut|together) [in the {room}]
        get the {covering} closed [in the {room}]
        (block|keep) out the (sun|sunlight|daylight) [in the {room}]
        keep the (sun|light) out of the {room}
        (take|bring) the {covering_kind} down
        close up the {covering} [in the {room}]
        cover the {room} windows
        ~i want the {covering} (closed|down|shut) [in the {room}]
        ~the sun is (blinding me|in my eyes|too strong) [close the {covering}]
        ~would you mind (closing|lowering) the {covering}
        ~(can|could) we have the {covering} closed
        ~the neighbors can see me (close|lower) the {covering}
        ~it's getting late (lower|close) the {covering}
        ~<want> the {covering} (closed|down|lowered|shut) [in the {room}]
        ~(<want>|<wish>) (no sun|no daylight|less sun) in the {room}
        ~<gerund> (closing|lowering|pulling down) the {covering} [in the {room}]
        ~the {covering_kind} <must> (closed|down|shut)
        <ensure> the {covering} in the {room} are (closed|down)
        (slide|wind|crank|drop) (down|shut|closed) the {covering} [in the {room}]
        (get|have|bring) the {covering_kind} (down|shut|lowered)
        make the {covering} (close|go down) [in the {room}]
        (stop|block) the (morning light|sunshine|light|sun) [in the {room}]
        ~the sun is too bright (close|lower) the {covering}
        roll the {covering_kind} down
        (drop|sink|unroll|tilt shut|swing shut|push shut|seal) the {covering} [in the {room}]
        (drive|run|push|bring) the {covering} (down|downwards|to the bottom) [in the {room}]
        (block|cover|shade|hide|darken|screen) the (window|windows) (in|of) the {room}
        (get|have|let) the {covering} (go down|come down|roll down|move down|closed|lowered|drop)
        ~(the|my) {covering_kind} (all the way|halfway|fully) (down|closed|shut)
        ~(people|strangers|the neighbors|someone) can (look|see) (in|inside|into the {room})
        ~(i|we) (want|need) (privacy|shade|darkness|some shade) in the {room}
        ~time to (close|lower|shut) the {covering}
        ~(the sun|sunlight|the light) (is shining|comes|is coming) (in|into the {room}) (close|lower) the {covering}
        ~(the sun|sunlight|the light) (is shining|comes|is coming) (on the screen) (close|lower) the {covering}
        keep (daylight|the sunlight|the morning sun|prying eyes) out of the {room}
        ~{person} (wants|needs|would like) the {covering} (closed|down|shut)
        ~the {covering} (are|is) (open|up) (close|shut|lower) (them|it)
        (put|get|bring) the {covering_kind} (to the bottom|downwards|all the way down)
        ~it's (so hot|too sunny|night|dark) outside (close|lower|pull down) the {covering}
        (shut out|lock out|keep away) (the sun|the daylight|the world) [in the {room}]
        ~{covering} (at|to) {percent} closed
        ~nobody should (see|look) (in|inside|into the {room})
        the {covering} in the {room} (down|shut)
    """,
    validation="""
        have the {covering} go down [in the {room}]
        block daylight with the {covering_kind}
        (drop|slide) shut the {covering} [in the {room}]
        ~i would prefer the {covering_kind} down
        send the {covering} down in the {room}
        ~we want privacy in the {room} so close the {covering}
        make the {covering} come down
        ~the {room} {covering} can go down
    """,
    test="""
        get the {covering_kind} (down|closed|lowered|shut)
        (make sure|see that) the {covering} in the {room} (are closed|are down|get closed)
        (wind|drop|roll) down the {covering_kind}
        (draw|slide) the {covering} shut in the {room}
        ~i'd like the {room} {covering} (closed|shut|down|lowered)
        ~(the {covering_kind}|the {room} {covering}) should be (closed|down)
        (stop|block) the (sunshine|sun) (coming into|from) the {room} with the {covering}
        ~would it be possible to close the {covering_kind}
        close every one of the {covering} in the {room}
        ~there is too much sun in the {room} lower the {covering}
        close the {covering_kind} (half way|completely|a little bit)
    """,
)

WINDOWS = {
    "blinds_open": _BLINDS_OPEN,
    "blinds_close": _BLINDS_CLOSE,
}
