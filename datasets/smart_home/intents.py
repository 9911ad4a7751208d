"""The label set: what each intent of the smart-home data means, and the label of everything else."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["INTENTS", "OUT_OF_SCOPE"]

OUT_OF_SCOPE = "out_of_scope"

INTENTS: Mapping[str, str] = MappingProxyType(
    {
        "light_on": "Switch lights on, or complain that a room is dark.",
        "light_off": "Switch lights off.",
        "light_brightness": "Dim or brighten lights, or set them to a level.",
        "light_color": "Change the colour of lights.",
        "thermostat_set": "Set, raise, lower or switch the heating or cooling, or complain of cold or heat indoors.",
        "thermostat_query": "Ask for the temperature indoors or the thermostat's setting.",
        "blinds_open": "Open or raise blinds, curtains, shades or shutters.",
        "blinds_close": "Close or lower blinds, curtains, shades or shutters.",
        "door_lock": "Lock a door or a gate.",
        "door_unlock": "Unlock a door or a gate.",
        "camera_show": "Show the picture of a security camera.",
        "music_play": "Play music: a song, an artist, a genre, a playlist or a radio station.",
        "music_stop": "Stop or pause the music.",
        "volume_up": "Make the sound louder.",
        "volume_down": "Make the sound quieter.",
        "volume_set": "Set the sound to a level, or mute it.",
        "alarm_set": "Set an alarm for a time of day.",
        "timer_set": "Start a countdown of some length.",
        "weather_query": "Ask about the weather, today or later, here or elsewhere.",
        "vacuum_start": "Send the robot vacuum to clean.",
        "coffee_make": "Make a coffee, or start the coffee machine.",
        OUT_OF_SCOPE: "Anything else: other requests, questions about the home, negated commands, talk, fragments.",
    }
)
"""What every label means, in the order of the labels."""
