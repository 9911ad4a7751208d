"""Templates of the intents about alarms, timers, the vacuum and coffee."""

from datasets.smart_home.grammar import Templates

__all__ = ["ROUTINES"]

_ALARM_SET = Templates(
    train="""
        set (an|the|my) alarm for {clock} [{morning}]
        set (an|the|my) alarm (at|to) {clock} [{morning}]
        set (an|my) alarm for {morning} at {clock}
        set (a morning|an early|a daily) alarm for {clock}
        set an alarm for {errand} [at {clock}]
        wake me [up] at {clock} [{morning}]
        wake me [up] (at|by|before) {clock} for {errand}
        wake me [up] {morning} at {clock}
        ~alarm (at|for) {clock} [{morning}]
        ~{clock} alarm [{morning}]
        (make|create|add|schedule) (an|a new) alarm (for|at) {clock} [{morning}]
        (put|turn) on (an|my|the) alarm for {clock}
        get me up at {clock} [{morning}]
        (change|move) my alarm to {clock}
        ring (at|me at) {clock} [{morning}]
        set my alarm clock (for|to) {clock}
        ~(give me|i need) a wake up call at {clock}
        set (two alarms|another alarm) for {clock}
        wake the kids at {clock}
        repeat the alarm every (day|{day}) at {clock}
        ~i (need|want|have) to (wake up|get up|be up) (at|by|before) {clock} [{morning}]
        ~i (need|want) an alarm (at|for) {clock}
        ~don't let me sleep (past|after) {clock}
        ~would you mind waking me at {clock}
        ~i have to get up for {errand} at {clock} set an alarm
        ~i have {errand} {morning} wake me at {clock}
        ~(<want>|<wish>) (an alarm|a wake up alarm|my alarm) (for|at) {clock} [{morning}]
        ~<gerund> (setting an alarm|waking me) (for|at) {clock}
        ~my alarm <must> at {clock} [{morning}]
        <ensure> (i am up|i wake up|my alarm rings) (at|by) {clock} [{morning}]
        (sound|program|prepare|place|start) (an alarm|my alarm|the alarm) (at|for) {clock} [{morning}]
        wake (us|me|everyone|my brother|the family) [up] (at|by) {clock} [{morning}]
        (pull|drag|kick) me out of bed at {clock}
        ~i (must|should|gotta|have to) (be awake|get up|leave bed|rise) (at|by) {clock} [{morning}]
        ~{errand} (is|starts) at {clock} wake me up
        ~can i be woken at {clock} [{morning}]
        (plan|arrange|enter|record) (an|my|a new) (alarm|wake up alarm|morning alarm) (at|for) {clock} [{morning}]
        (book|register|activate|configure) (an|my|a new) (alarm|wake up alarm) (at|for) {clock} [{morning}]
        (book|register|activate|configure) (an|my|a new) (morning alarm) (at|for) {clock} [{morning}]
        (rouse|awaken|alert|shake|get) (me|us) (up|awake|) at {clock} [{morning}]
        (have|let|make) (the|my|an) alarm (ring|sound|go|start|wake me) at {clock} [{morning}]
        (have|get) me (up|awake|out of bed) (at|by|before) {clock}
        ~(alarm|wake up|wake up call|wake up time) {clock} [{morning}|please]
        ~let (me|us) (sleep|rest|stay in bed) (until|till) {clock}
        ~(i|we) (want|would like|plan) to (get up|be awake|be woken|rise) at {clock} [{morning}]
        ~(i|we) (should|can) not (sleep|oversleep|stay in bed) (past|after|longer than) {clock}
        ~(tomorrow|{day}) (alarm|wake up) (at|for) {clock}
        ~i (start|leave for|have) {errand} at {clock} (wake me|get me up)
        ~make sure i don't (sleep|oversleep) past {clock}
        ~{person} (needs|has|wants) to (wake up|get up) at {clock} [set an alarm]
        ~(alarm|an alarm) please [at|for] {clock}
        ~(up|awake) at {clock} [{morning}]
        (ring|buzz|beep|sound) the alarm at {clock} [{morning}]
        ~(tomorrow|on {day}) (wake me|get me up|i get up|ring me) at {clock}
        ~{clock} (wake up|is when i get up|is my wake up time)
        ~i (don't|do not) want to (oversleep|be late) (wake me|set an alarm) (at|for) {clock}
        put an alarm (at|on|for) {clock} [{morning}]
    """,
    validation="""
        have the alarm go off at {clock}
        ~i would prefer an alarm at {clock}
        ~let me sleep until {clock} then wake me
        start the alarm at {clock} {morning}
        ~an alarm for {clock} {morning}
        ~i must be awake at {clock}
        wake all of us at {clock}
        program an alarm at {clock}
    """,
    test="""
        (get|have) (an|my) alarm (set|ready) for {clock} [{morning}]
        ~i'd like to (wake up|be woken|get up) at {clock} [{morning}]
        (make sure|see that) i (wake up|am awake|get up) (by|at) {clock} [{morning}]
        ~(can|could) my alarm (ring|go off) at {clock} [{morning}]
        (put|place) an alarm at {clock} for {errand}
        (sound|ring) the alarm at {clock} [{morning}]
        ~i (should|must) (get out of bed|be up) at {clock} for {errand}
        wake (my son|my wife|us|everyone) [up] at {clock}
        get me out of bed at {clock} [{morning}]
        set my alarm for {clock} because of {errand}
        ~is it possible to set an alarm (for|at) {clock} [{morning}]
    """,
)

_TIMER_SET = Templates(
    train="""
        set (a|the|my) timer for {duration} [for the {dish}]
        set (a|the) timer (to|of) {duration}
        set a {timer_length} timer [for the {dish}]
        start (a|the) timer for {duration}
        start a {timer_length} timer [for the {dish}]
        ~timer [for] {duration}
        ~{timer_length} timer [for the {dish}]
        ~{duration} on the timer
        (set|start|create) a {dish} timer for {duration}
        (create|make|add|begin) a timer for {duration}
        (create|add|begin|run) a {timer_length} timer
        put {duration} on the (timer|clock)
        (put on|turn on) a timer for {duration}
        count down [from] {duration}
        (start|begin) a countdown (of|for) {duration}
        ~{duration} countdown
        time (me|{duration}|the {dish}) for {duration}
        ~(give me|i need) a {timer_length} timer
        (tell|alert|notify) me (in|after) {duration}
        beep (in|after) {duration}
        set another timer for {duration}
        set (two timers|a second timer) for {duration}
        ~i (need|want) a timer for {duration}
        ~the {dish} will (take|need) {duration} [set a timer]
        ~would you mind setting a timer for {duration}
        ~let me know when {duration} (are up|have passed|are over)
        ~(<want>|<wish>) (a timer for {duration}|a {timer_length} timer|a countdown of {duration}) [for the {dish}]
        ~<gerund> (setting|starting) a timer for {duration}
        ~the timer <must> {duration}
        (launch|open|use|prepare) a ({timer_length} timer|timer for {duration}) [for the {dish}]
        get (a|the) ({timer_length} timer|timer for {duration}) (started|ready)
        (buzz|call|ring|ping|warn) me when {duration} (are over|have passed)
        let the timer (run|go) for {duration}
        ~the {dish} (must|has to|will) (cook|bake|boil|rest) for {duration} [start a timer]
        ~i am (cooking|baking|making) {dish} set a timer for {duration}
        ~{duration} for the {dish}
        (arrange|enter|activate|configure|trigger|kick off|fire up|do) a (timer|countdown) (for|of|over) {duration}
        (arrange|trigger|kick off|have|do|fire up) a {timer_length} (timer|countdown) [for the {dish}]
        (have|let|make) (the|a) (timer|countdown|clock) (ring|stop|run|beep|tick|end) (after|in|for) {duration}
        (count|measure|clock|track) {duration} [for the {dish}|for me]
        (remind|ping|wake|shout at|call) me (in|after) {duration}
        ~(timer|countdown) (please|for the {dish}) {duration}
        ~(the {dish}|it|this) (comes out|is done|is ready|needs to come out|goes out) (in|after) {duration}
        ~(the {dish}|it|this) (should|can|has to) (stay in the oven|simmer|steam|rest|sit) {duration}
        ~(warn|tell|alert) me when the {dish} had {duration}
        ~{duration} (please|starting now|from now|and then beep)
        ~i'd like {duration} on the (timer|clock)
        ~(let's|we should) (time|count down) {duration}
        ~{person} (needs|wants) a timer for {duration}
        ~(how about|what about) a {timer_length} timer
        (ring|beep|buzz|alarm) (in|after) {duration} [for the {dish}]
        ~(pasta|tea|egg|pizza|nap|workout) timer [for] {duration}
        ~{duration} (until|till) the {dish} (is ready|is done|comes out)
        ~(check|take out|turn over|stir) the {dish} in {duration} [set a timer]
        ~(nap|break|workout|exercise) (of|for) {duration} set a timer
        timer {duration} (go|start|please)
    """,
    validation="""
        have a timer run for {duration}
        ~i would prefer a timer of {duration}
        time {duration} for the {dish}
        ring when {duration} are over
        ~the {dish} must come out in {duration}
        clock {duration}
        let the timer run {duration}
        open a timer with {duration}
    """,
    test="""
        (get|have) a timer (going|running) for {duration}
        (kick off|launch|run) a (timer|countdown) for {duration}
        (kick off|launch|use) a {timer_length} (timer|countdown)
        ~i'd like a (timer for {duration}|{timer_length} timer) [for the {dish}]
        ~could i (get|have) a (timer for {duration}|{timer_length} timer|timer of {duration})
        (ping|buzz) me (in|after) {duration} [for the {dish}]
        ~the {dish} should (cook|bake) for {duration} (start|set) a timer
        set the {dish} timer to {duration}
        ~is it possible to set a timer for {duration}
        time my {dish} for {duration}
        make the timer (ring|go off) in {duration}
    """,
)

_VACUUM_START = Templates(
    train="""
        (start|run|turn on|activate|switch on|launch) the {vacuum}
        (start|run|turn on) the {vacuum} in the {floor}
        (start|begin) (vacuuming|cleaning|hoovering) [the {floor}]
        (vacuum|hoover) the {floor} [now|again|today]
        vacuum (under the table|under the bed|under the sofa|everywhere|the stairs|my room|now)
        (clean|sweep) the (floor|floors|carpet|{floor}|{floor} floor)
        clean (up|) the {floor} with the {vacuum}
        (send|get|let) the {vacuum} (to|into) the {floor}
        have the {vacuum} clean the {floor}
        let the {vacuum} (clean|run|start|go)
        ~{vacuum} (start|go|on)
        (start|run) a (cleaning|cleaning cycle|vacuum cycle) [in the {floor}]
        clean up the {mess} [in the {floor}]
        (vacuum|hoover) [up] the {mess} [in the {floor}]
        tell the {vacuum} to (start|clean|clean the {floor}|go to the {floor})
        make the {vacuum} (clean|start|go)
        do the (vacuuming|floors|hoovering) [in the {floor}]
        vacuum the {floor} and the {floor}
        ~the {floor} (is|looks) (dirty|dusty|filthy)
        ~i (found|see) {mess} (on the floor|on the carpet|all over the {floor})
        ~i want the {floor} (vacuumed|cleaned|hoovered)
        ~the {floor} needs (vacuuming|cleaning|a clean)
        ~would you mind (vacuuming|cleaning) the {floor}
        ~i spilled {mess} start the {vacuum}
        ~guests are coming vacuum the {floor}
        ~time to (vacuum|clean the floors) [the {floor}]
        ~<want> the {floor} (vacuumed|cleaned|swept|hoovered)
        ~<want> the {vacuum} (to clean|to start|to run) [in the {floor}]
        ~<gerund> (vacuuming|cleaning|hoovering) the {floor}
        ~the {floor} <must> (vacuumed|clean|swept)
        <ensure> the {vacuum} cleans the {floor}
        (get|set) the {vacuum} (to clean|working|moving|to run) [in the {floor}]
        (deploy|release|send out|use|bring) the {vacuum} [in the {floor}]
        give the {floor} a (quick clean|once over|hoover|cleaning)
        (remove|suck up|get rid of|pick up) the {mess} [in the {floor}|on the carpet]
        ~(i|we|the kids|the cat|{person}) (dropped|spilled|left) {mess} (on|in) the {floor}
        ~can the {vacuum} (clean|do|sweep) the {floor}
        ~the floor (is|looks) (dirty|dusty) in the {floor}
        (order|command|direct|ask|drive|steer|dispatch) the {vacuum} to (clean|the {floor}|clean the {floor}|start)
        (trigger|kick off|fire up|wake|boot|power up|engage) the {vacuum} [in the {floor}]
        (kick off|trigger|do|schedule|perform) a (cleaning|cleaning run|cleaning round) [in the {floor}]
        (kick off|trigger|do|schedule|perform) a (vacuum run|robot run) [in the {floor}]
        (dust|wipe up|freshen up|tidy up|take care of|do) the {floor} with the {vacuum}
        (collect|clear|lift|suck in|eliminate|handle|get) the {mess} (in|from) the {floor}
        (have|get|let) the {floor} (vacuumed|cleaned|hoovered|swept) [by the {vacuum}]
        ~the {floor} (could use|is due for|is in need of|wants|should get) (a clean|vacuuming|cleaning|the {vacuum})
        ~there (is|are) {mess} (on|in|all over|under) the {floor}
        ~{mess} (everywhere|on the floor|all over the place|in the {floor})
        ~(we|i|somebody) (made|left) a mess in the {floor}
        ~(the {vacuum}|our {vacuum}) (should|can|must|may) (clean|start|run|do the {floor}|go)
        ~{vacuum} (in|to) the {floor}
        ~{person} (wants|would like) the {floor} (clean|vacuumed|hoovered)
        ~the {floor} is (full of|covered in|covered with) {mess}
        ~(so much|too much|all that) {mess} (in|on) the {floor}
        (go|drive|move) (over|across|through) the {floor} with the {vacuum}
        ~{vacuum} clean the {floor}
        ~the {vacuum} to the {floor} [please]
        ~(the|our) floor needs (the {vacuum}|a clean|vacuuming|hoovering) [in the {floor}]
        (vacuum|hoover|clean) up (after the party|after dinner|here|in here|in the {floor})
    """,
    validation="""
        put the {vacuum} to work [in the {floor}]
        ~i would prefer the {floor} vacuumed
        wake up the {vacuum} and clean
        begin a cleaning run in the {floor}
        ~we have {mess} in the {floor} so vacuum it
        go and vacuum the {floor}
        ~the floor of the {floor} is dirty
        remove the {mess} with the {vacuum}
    """,
    test="""
        (get|set) the {vacuum} (going|running|started) [in the {floor}]
        (fire up|deploy|dispatch) the {vacuum} [in the {floor}]
        give the {floor} a (vacuum|clean|good vacuuming|sweep)
        ~i'd like the {vacuum} to (clean|do|start in) the {floor}
        ~(somebody|the dog|my son) left {mess} in the {floor} (vacuum it|clean it up)
        get rid of the {mess} (in the {floor}|on the floor)
        ~could the {vacuum} (do|go over|clean) the {floor}
        ~the {floor} (should|has to) be (vacuumed|hoovered|cleaned)
        ~is it possible to vacuum the {floor} [now]
        send out the {vacuum} [to the {floor}]
        ~i can see {mess} all over the {floor}
    """,
)

_COFFEE_MAKE = Templates(
    train="""
        make [me] (a {coffee}|some coffee)
        make (me|us) (a|one|another) {coffee}
        make [me] a {coffee} (now|with milk|without sugar|with sugar|to go)
        (brew|prepare|pour) [me] (a {coffee}|some coffee)
        (start|turn on|switch on|run|activate) the {coffee_machine}
        start (brewing|making) (a {coffee}|coffee|some coffee)
        start the coffee
        put (the coffee|some coffee|the kettle for coffee|the {coffee_machine}) on
        put on (the coffee|some coffee|a pot of coffee|the {coffee_machine})
        get [me] (a {coffee}|some coffee) (ready|going|started)
        get the {coffee_machine} (going|ready)
        ~(a|one|another) {coffee} [please|for me|with milk]
        ~{coffee} please
        ~{coffee_machine} on
        have a {coffee} ready (at {clock}|in {duration}|when i wake up)
        brew coffee for {small_number} people
        (warm|heat) up the {coffee_machine}
        make coffee (at {clock}|now|for everyone|for breakfast)
        fix me a {coffee}
        ~i (want|need|would like|could do with) (a|some|another) {coffee}
        ~i'm (tired|sleepy) make me a {coffee}
        ~i feel like a {coffee}
        ~can i (have|get) a {coffee}
        ~would you mind making [me] a {coffee}
        ~time for (a {coffee}|some coffee)
        ~it's time for coffee
        ~(<want>|<wish>) (a|another) {coffee}
        ~(<want>|<wish>) (coffee|some coffee|a coffee with milk|my morning coffee|a hot coffee)
        ~<gerund> (making|brewing) (coffee|a {coffee})
        ~a {coffee} <must> ready [at {clock}]
        ~a {coffee} would be (good|perfect|wonderful)
        <ensure> a {coffee} is ready (at {clock}|when i wake up)
        (fetch|serve|bring|fix|grab|do|cook) (me|us) a {coffee}
        set the {coffee_machine} to (start|brew)
        get the {coffee_machine} (to make|to start|brewing) (a {coffee}|coffee)
        let the {coffee_machine} (make|brew) (coffee|a {coffee})
        ~(my husband|our guest|my friend|{person}) (wants|would like|needs) a {coffee}
        ~can there be coffee
        ~i could (drink|use) a {coffee}
        (conjure up|cook up|rustle up|mix|create|craft|froth|drip|deliver|draw) (me|us|) a {coffee}
        (have|let|make) the {coffee_machine} (prepare|pour|do|produce|start|run|go) [a {coffee}|some coffee]
        (order|treat|get) (me|us|myself) (to a|a) {coffee} from the {coffee_machine}
        (trigger|kick off|fire up|boot|engage|power up|use) the {coffee_machine}
        (give|hand|pass) (me|us|{person}) a {coffee} (please|now|with milk|with sugar)
        ~(how about|what about|maybe) (some coffee|a coffee|a cup of coffee|one more {coffee})
        ~(i|we) (crave|would love|would enjoy|am dying for|must have|desire) (a {coffee}|some coffee|coffee)
        ~(i'll|i will|we will|we'll) (have|take) (a {coffee}|another {coffee}|coffee)
        ~(a|one) {coffee} (with|without) (milk|sugar|foam|cream|ice)
        ~(two|three|four) (coffees|espressos|lattes|cups of coffee) (please|for us|for the guests)
        ~no day without (coffee|a {coffee})
        ~(coffee|caffeine) (please|now|time|for two)
        ~{person} (would love|is waiting for|asked for|ordered) a {coffee}
        ~(a|one) (cup|mug|pot|shot) of {coffee}
        ~(make|prepare) it a {coffee} [please]
        ~(where is|where's) my {coffee} (make|brew) one
        ~i (haven't had|need|could use) (my coffee|a {coffee}|caffeine) (yet|today|first)
        ~{coffee} (now|time|for me|for {person}|with milk|without sugar)
        ~(wake me up|cheer me up|help me wake up) with a {coffee}
        ~nothing better than a {coffee} make (me|us) one
    """,
    validation="""
        whip up a {coffee}
        have the {coffee_machine} make a {coffee}
        ~we would enjoy a {coffee}
        ~how about a {coffee}
        let the {coffee_machine} run
        ~i must have a {coffee} now
        produce a {coffee} with the {coffee_machine}
        ~may i have a {coffee}
    """,
    test="""
        (fire|power) up the {coffee_machine} [for a {coffee}]
        (get|set) the {coffee_machine} (to make|to brew|brewing|making) a {coffee}
        ~i'd (love|like|kill for) a {coffee} [right now|now]
        ~could i (have|get) one {coffee} [with milk|without sugar]
        (do|serve|fetch) me a {coffee}
        ~is it possible to (get|make) a {coffee} [now]
        ~let's (have|make) a {coffee} [now]
        make sure (there is|i have) a {coffee} (when i get up|at {clock})
        ~a {coffee} would be (nice|great|lovely) [now]
        ~(my wife|my guest|the boss) wants a {coffee}
        let the {coffee_machine} (start|brew a {coffee}|make a {coffee})
    """,
)

ROUTINES = {
    "alarm_set": _ALARM_SET,
    "timer_set": _TIMER_SET,
    "vacuum_start": _VACUUM_START,
    "coffee_make": _COFFEE_MAKE,
}
