"""Templates of the intents about temperature and weather."""

from datasets.smart_home.grammar import Templates

__all__ = ["CLIMATE"]

_THERMOSTAT_SET = Templates(
    train="""
        (set|change|adjust) the (temperature|thermostat|heating|heat) to {degrees} [in the {room}]
        (set|make) the {room} [temperature] to {degrees}
        set the {room} (thermostat|heating|radiator) to {degrees}
        (turn|put) the (heating|thermostat|ac|heat|air conditioning) (to|on) {degrees}
        (turn|switch) (on|off) the (heating|heater|ac|air conditioning|heat|air conditioner|radiator) [in the {room}]
        (turn|switch) the (heating|heater|ac|air conditioning|heat|radiator) (on|off) [in the {room}]
        (turn|crank) up the (heating|heat|thermostat|temperature) [in the {room}|a bit|by {small_number} degrees]
        turn down the (heating|heat|thermostat|temperature|ac) [in the {room}|a bit|by {small_number} degrees]
        turn the (heating|heat|thermostat|temperature) (up|down) [in the {room}|a little]
        (raise|increase|lower|reduce|decrease) the (temperature|heat|thermostat) [in the {room}|to {degrees}]
        make (it|the {room}) (warmer|cooler|colder|hotter) [in here]
        make it {degrees} in (here|the {room})
        (heat|warm) [up] the {room} [to {degrees}]
        cool [down] the {room} [to {degrees}]
        heat the house to {degrees}
        ~thermostat [to] {degrees}
        ~(heating|ac|heater) (on|off) [in the {room}]
        ~temperature {degrees} in the {room}
        keep the {room} at {degrees}
        ~i want (it|the {room}) [to be] (warmer|cooler|{degrees})
        ~it's (cold|too cold|freezing|chilly|hot|too hot|boiling|too warm) in (here|the {room})
        ~i'm (cold|freezing|too hot|too cold|sweating|boiling)
        ~the {room} is (freezing|too cold|too hot|too warm)
        ~would you mind turning (up|down) the (heat|heating)
        ~we need (more|less) heat in the {room}
        ~(can|could) it be (warmer|cooler) in the {room}
        ~<want> (it|the {room}) [a bit] (warmer|cooler|colder)
        ~<want> the {room} at {degrees}
        ~(<want>|<wish>) (more|less) (heat|heating|warmth|cooling) [in the {room}]
        ~<gerund> (raising|lowering|turning up|turning down) the (heat|heating|thermostat|temperature)
        ~the {room} <must> (warmer|cooler|at {degrees})
        <ensure> the {room} is (warm|at {degrees}|cool)
        (bring|get|take|push) the (temperature|thermostat|heat) (up|down|to {degrees}) [in the {room}]
        (drop|bump|nudge) the (heat|temperature) [to {degrees}|a little|a degree]
        (start|stop|kill) the (heater|heating|ac) [in the {room}]
        ~my (toes|fingers|kids) are (cold|freezing)
        ~it's (so|very|quite|a little) (hot|cold|cool|stuffy|warm) in the {room}
        (program|fix|configure|move|regulate) the (thermostat|heating) (to|at|for) {degrees} [in the {room}]
        (program|fix|configure|move|regulate) the (temperature|climate) (to|at|for) {degrees} [in the {room}]
        (hold|maintain|leave|have) the (temperature|thermostat|{room}) at {degrees}
        (step|dial|notch|ease|slide) the (heat|heating|thermostat|temperature) (up|down) [a bit|in the {room}]
        (get|bring|let) the {room} (to {degrees}|nice and warm|cooler|warmer)
        (start|stop|begin|quit) (warming|heating up|cooling down|cooling) [the {room}]
        (fire up|activate|disable|shut off|power on|power off) the (heater|heating|radiator|air conditioner)
        (fire up|activate|disable|shut off|power on|power off) the (ac|furnace|boiler)
        ~(i'd like|let's have|give me) {degrees} in the {room}
        ~(i feel|we feel|it feels|it seems) (cold|hot|chilly|warm|freezing) (here|in here|in the {room})
        ~(we|the kids|my guests|my feet) are (cold|sweating|too hot|shivering|freezing)
        ~the {room} (feels|gets|seems) (cold|too cold|chilly|hot|stuffy|like an oven|like a fridge)
        ~{degrees} in the {room} (please|would be nice|is enough)
        ~(it's|it is) (like a sauna|an oven|an icebox|arctic) in (here|the {room})
        ~{person} is (cold|freezing|sweating|too hot)
        ~{person} (wants|needs|likes) it (warmer|cooler|colder) in the {room}
        ~{room} (to|at|on) {degrees}
        (climb|go|rise|sink|fall) to {degrees} in the {room}
        (add|give) [us|me] (a degree|two degrees|more warmth|some heat|some cool air) [in the {room}]
        (let|have|make) the (heater|thermostat|radiator|ac) (run|stop|hold|keep|go to) [{degrees}]
        ~(not warm|not cool|not cold) enough in the {room}
        ~i need a blanket it is so (cold|chilly) in here
        {room} temperature to {degrees}
    """,
    validation="""
        bring the {room} (up|down) to {degrees}
        (start|stop) (heating|cooling) the {room}
        bump the thermostat (up|down)
        ~it feels cold in the {room}
        ~i would prefer the {room} at {degrees}
        let the thermostat hold {degrees}
        put the {room} heating (up|down) a little
        ~we are freezing in here
    """,
    test="""
        get the {room} (to|up to|down to) {degrees}
        (nudge|dial) the (thermostat|temperature) (up|down|to {degrees})
        (bring|take) the (temperature|heat) (up|down) [a few degrees|a notch] in the {room}
        have the thermostat (set to|at) {degrees}
        ~i'd like (it|the {room}) (a bit|a little) (warmer|cooler)
        ~it's (a bit|a little|way too) (chilly|cold|warm|hot) in the {room}
        ~my (hands|feet) are (cold|freezing) turn up the heat
        ~the {room} (should|needs to) be (warmer|cooler|{degrees})
        (fire up|shut off) the (heating|heater|air conditioning|ac) [in the {room}]
        ~is it possible to get more heat in the {room}
        ~more (heat|heating) in the {room}
    """,
)

_THERMOSTAT_QUERY = Templates(
    train="""
        ~what's the (temperature|temp) (in here|inside|indoors|in the house)
        ~what's the (temperature|temp) in the {room}
        ~what's the {room} temperature
        ~what temperature is (it|the {room}|the {room} at) [inside|right now]
        ~what temperature is it (inside|indoors|in here|in the {room})
        ~what's the thermostat [set] (at|to) [in the {room}]
        ~what's the thermostat (temperature|setting|reading)
        ~what does the thermostat say [in the {room}]
        ~how (warm|hot|cold|cool) is (it in here|it inside|the {room}|it in the {room}|the house)
        ~how many degrees is it (inside|in here|in the {room})
        ~how many degrees (is|are there in) the {room}
        (tell|give) me the (indoor|inside|room) temperature
        (tell|give) me the temperature (of|in) the {room}
        (check|read) the (thermostat|indoor temperature|inside temperature) [in the {room}]
        check the temperature in (here|the {room}|the house)
        (read|show) [me] the {room} (temperature|thermostat)
        ~(current|indoor|inside) temperature in the {room}
        ~(indoor|inside) temperature
        ~{room} temperature
        ~is it (warm|cold|hot|warmer than {degrees}|over {degrees}|below {degrees}) (inside|in the {room})
        ~is the {room} (warm|cold|above {degrees}|below {degrees}|warm enough)
        ~what is the heating set to [in the {room}]
        ~do you know the temperature in the {room}
        ~i want to know the (indoor temperature|temperature in the {room})
        ~what's the current (indoor|inside|room) temperature
        ~how's the temperature in the {room}
        ~<know> (the temperature|how warm it is|how cold it is|how hot it is) (in the {room}|inside|indoors|in here)
        ~<know> how (warm|cold|hot) the {room} is
        ~<know> what the thermostat (says|is set to|shows)
        ~<know> if (it's|it is) (warm|cold|{degrees}) in the {room}
        ~what (degree|temp) is the {room} [at|on]
        ~how (warm|cold|hot|comfortable|chilly) (does it get|is it now|does it feel|is it) in the {room}
        ~is the (thermostat|heating) [set] (at|to|on) {degrees} [in the {room}]
        ~is the {room} (at|already|still|really) {degrees}
        ~is it (still|already|really) {degrees} in the {room}
        ~what (is it|do you read|are the degrees) in the {room}
        ~(temp|temperature|degrees) (inside|indoors|of the {room}|for the {room})
        ~did it (get|become) (warm|cold) in the {room}
        (check|read|report|show|look at|see) the (thermostat|temperature) [for me]
        (check|read|report|show|look at|see) the ({room} temperature|temperature in the {room}) [for me]
        ~(how|exactly how) (hot|cold|warm|cool|chilly) (does it get|has it gotten|is it getting) in the {room}
        ~(how|exactly how) (hot|cold|warm|cool|chilly) (is it now|is it right now) in the {room}
        ~(did|does|has|will) the {room} (reach|get to|hit|hit already|stay at) {degrees}
        ~how many degrees (do we have|does it have|are there|are we at|is it) in the {room}
        ~(is|has) the {room} (already|still|really|now) (at {degrees}|warm enough|warm)
        ~(is|has) the {room} (already|still|really|now) (cold|above {degrees}|below {degrees})
        ~what (number|value|temperature|reading) (does|is) the (thermostat|{room} thermostat) (show|on|at|set to|giving)
        ~what (number|value|temperature|reading) (does|is) the ({room} sensor) (show|on|at|set to|giving)
        ~(give me|get me|i need|i'd like) the (temperature|reading|room temperature|degrees) (of|in|for) the {room}
        ~the (temperature|temp|degrees) in the {room} please
        ~(what|which) temperature did i (set|choose|pick) [for the {room}]
        ~is it (above|below|over|under|around) {degrees} in the {room}
        ~are we (at|above|below) {degrees} (in here|inside|in the {room})
        ~(how|is) the {room} (warm|cold|doing on temperature|heated) [right now|at the moment]
        ~(is it|is) (still|already) (warm|cold|freezing|hot|cool) in the {room}
        ~(say|name|report) the temperature (in|of) the {room}
        ~at (what|which) temperature is the {room} [now]
        ~the {room} has how many degrees
        ~(what|which) temperature (do we have|does it have|is it|have we got) in the {room}
        ~(what's|how's) the (heat|warmth|climate) like in the {room}
        ~is the (heating|thermostat|ac) (set to|at|above|below|on) {degrees}
        ~(could|can) you (read|check|see) the temperature in the {room}
    """,
    validation="""
        ~what is the temperature reading in the {room}
        ~at how many degrees is the thermostat
        ~has the {room} reached {degrees}
        let me know the temperature in the {room}
        ~which temperature does the {room} have
        look up the {room} temperature
        ~is the heating at {degrees} in the {room}
        ~how hot has it become in the {room}
    """,
    test="""
        ~(can|could) you tell me how (warm|cold|hot) (it is in the {room}|the {room} is)
        ~(what|which) (setting|temperature) is the thermostat (at|on) [in the {room}]
        ~how (chilly|toasty|warm) is the {room} [right now|at the moment]
        ~what temperature do we have in the {room}
        (report|say|announce) the (temperature in the {room}|{room} temperature|indoor temperature)
        find out (how warm the {room} is|the temperature in the {room})
        ~did the {room} (get to|reach) {degrees} [yet]
        ~i wonder how (warm|cold) it is in the {room}
        ~is it {degrees} (by now|yet) in the {room}
        ~temperature in the {room} (right now|at the moment)
        ~what are we at (in the {room}|indoors) in degrees
    """,
)

_WEATHER_QUERY = Templates(
    train="""
        ~what's the weather [like] [{when}|outside|in {city}|in {city} {when}]
        ~how's the weather [{when}|outside|in {city}]
        ~(weather|forecast) [{when}|in {city}|for {city}|for {day}]
        ~what's the (forecast|weather forecast) [for {when}|for {city}|for {day}]
        (tell|give|show) me the (weather|forecast|weather forecast) [for {city}|for {day}|{when}]
        (check|get|read) the (weather|forecast|weather report) [for {day}|in {city}|{when}]
        ~is it (raining|snowing|sunny|windy|cloudy|cold|hot) (outside|out|in {city})
        ~(is it going to|will it) (rain|snow|be sunny|be cold|be windy|storm) [{when}|in {city}]
        ~(is it going to|will it) be (warm|hot|freezing|nice|cloudy|stormy) {when} [in {city}]
        ~do i need (an umbrella|a jacket|a coat|sunscreen|rain boots) [{when}]
        ~should i (take an umbrella|wear a coat|bring a jacket) [{when}]
        ~(what's the temperature|how many degrees is it) (outside|in {city})
        ~how (cold|warm|hot|windy) is it (outside|out there|in {city})
        ~how (cold|warm|hot|windy) will it (be|get) [{when}|in {city} {when}]
        ~what's the (chance|probability) of (rain|snow) [{when}|in {city}]
        ~when will (it stop raining|the rain stop|it rain|it start to snow)
        ~will the (sun|rain|snow) come (out|back) [{when}]
        ~does it look like (rain|snow) [{when}]
        ~(will|does) {city} (get|have|see) (rain|snow|sun) [{when}]
        ~any (rain|snow|storms|wind) (expected|coming) [{when}|in {city}]
        ~what's the (high|low) [temperature] (today|tomorrow|for {day}) [in {city}]
        ~what's the humidity (outside|today|in {city})
        ~is there (a storm|rain|snow|fog) (coming|outside|in {city}) [{when}]
        ~can i expect (sun|rain|snow) {when}
        ~i want to know the weather [in {city}|{when}]
        ~<know> (the weather|the forecast|if it will rain|if it's raining|how cold it gets) [in {city}|{when}]
        ~what (weather|forecast) (is there|do they have|should i expect) [in {city}|{when}]
        ~are we (getting|having) (a storm|rain|snow|a sunny day) {when}
        ~(are|is) there any (rain|snow|sun|wind|clouds) (outside|in {city}|{when})
        ~how (much rain|bad|wet|rainy|sunny) (will it be|is it) (outside|in {city}) [{when}]
        ~how (are conditions|does it look|is it looking) (outside|in {city}) [{when}]
        ~what's it like (outside|in {city}) [{when}]
        ~(do i need|should i wear) (boots|a hat|a sweater|a raincoat) {when}
        ~is {city} (warm|wet|snowy|hot) {when}
        ~(sunshine|rain|snow|storm) {when}
        ~(what|how) (are|is) the (skies|sky|clouds) (like|doing|looking) [outside|in {city}] [{when}]
        ~(what|how) (are|is) the (wind|conditions|air) (like|doing|looking) [outside|in {city}] [{when}]
        ~(is|are) (the sky|the skies|it|the clouds) (clear|blue|grey) (in|over) {city} [{when}]
        ~(is|are) (the sky|the skies|it|the clouds) (dark|overcast|clearing up) (in|over) {city} [{when}]
        ~(chance|chances|risk|probability) of (rain|snow|thunder|storms|sun|hail) [in {city}] [{when}]
        ~(rain|snow|sun|wind|a thunderstorm|hail|frost) (expected|coming|likely|in the forecast) (in {city}|{when})
        ~(should|can|could) (i|we) (go out|go for a walk|hang the laundry outside) {when}
        ~(should|can|could) (i|we) (have a picnic|go swimming|ride my bike) {when}
        ~will (i|we) (need|want) (an umbrella|a jacket|a coat|sunscreen|gloves|sunglasses) [in {city}] {when}
        ~will {day} be (sunny|nice|rainy|cold|cloudy|dry|warm)
        ~(does|will) it (look|stay|get|remain|turn) (dry|nice|sunny|rainy|cloudy|warm|stormy) [in {city}] {when}
        (show|read|give|pull up) [me|us] the (weather|forecast|weather report|outlook) [for {city}] [{when}]
        (look up|check|see) [me|us] the (weather|forecast|weather report|outlook) [for {city}] [{when}]
        ~(how|what) about the weather (in {city}|{when})
        ~(which|what kind of|what type of) weather (is coming|is it|awaits us|does {city} have) [{when}]
        ~how (hot|cold|windy|humid|stormy|icy) (will it get|does it get|is it going to be|will {city} be) {when}
        ~(any|some|more) (rain|snow|sun|storms|showers) (in {city}|{when}|on the way)
        ~how much (snow|rain|sun|wind) (falls|will fall|is coming|do we get) (in {city}|{when})
        ~(what are|how are) the temperatures (outside|in {city}) [{when}]
        ~is it (beach|barbecue|t shirt|shorts|jacket) weather {when}
        ~{city} weather [{when}]
        ~{when} in {city} (sunny|rain|cold|dry)
        ~(could|might|will) it (thunder|hail|snow|pour|drizzle|freeze) (in {city}|{when})
        ~when (will|does) (the rain|the snow|the storm) (start|stop|end|arrive) [in {city}]
        ~is (it|the air) (humid|freezing|dry|smoky|warm) outside
        ~weather (update|news|report|outlook) [for {city}] [{when}]
    """,
    validation="""
        ~what sort of weather (do we have|will we get) {when}
        ~is rain (likely|on the way) {when}
        ~how does the sky look in {city}
        ~what will the weather be {when}
        let me know the weather for {city}
        ~are there clouds over {city}
        ~will i get wet if i go out {when}
        ~does {day} look sunny
    """,
    test="""
        ~(can|could) you tell me if it will (rain|snow|be sunny) {when}
        ~what (is it like|are conditions like) outside [{when}|right now]
        ~(how much|are we getting any) (rain|snow) [in {city}] {when}
        ~what kind of weather (can i expect|is coming|does {city} have) [{when}]
        ~(is|will) {city} (be|) (sunny|rainy|cold|windy) {when}
        look up the (weather|forecast) (in|for) {city} [{when}]
        ~(should i pack|do i need) (rain gear|gloves|sunglasses) {when}
        ~is the sun (shining|out) [in {city}] {when}
        ~what's it going to be like outside on {day}
        ~are we in for (a storm|showers|sunshine|a heatwave) {when}
        ~weather report for {city} [{when}]
    """,
)

CLIMATE = {
    "thermostat_set": _THERMOSTAT_SET,
    "thermostat_query": _THERMOSTAT_QUERY,
    "weather_query": _WEATHER_QUERY,
}
