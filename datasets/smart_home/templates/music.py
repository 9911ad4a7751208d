"""Templates of the intents about music."""

from datasets.smart_home.grammar import Templates

__all__ = ["MUSIC"]

_MUSIC_PLAY = Templates(
    train="""
        play [some] (music|{genre} music|{genre})
        play (some|the latest|songs by|music by|something by|anything by) {artist}
        play {artist}
        play {song} [by {artist}]
        play the song {song}
        play (my|the) {playlist} playlist
        play (my favorite|a|a good|a nice|another) (song|tune|album)
        play {artist} (in the {room}|on the speaker|on the living room speaker)
        play {genre} music (in the {room}|on the speakers|for dinner)
        (start|put on|turn on) (the music|some music|my music|{genre} music|the {playlist} playlist)
        put on [some] ({artist}|{genre}|{song})
        put on the (radio|record|album) [in the {room}]
        (turn on|play|start) the radio [in the {room}]
        play the (news|jazz|rock|local) (radio|station)
        play (the next|the previous) (song|track)
        (shuffle|start) my {playlist} playlist
        shuffle (my music|{artist}|{genre} music)
        (resume|continue) (the music|the song|playing)
        ~music [on] in the {room}
        ~{genre} music
        start playing ({artist}|{genre} music|{song})
        ~i (want|would love) to (hear|listen to) ({artist}|{song}|some music|{genre} music|{genre})
        ~i'm in the mood for ({genre} music|{artist}|some music)
        ~let's (hear|listen to) (some {genre}|{artist}|{song}|some music)
        ~would you mind playing ({artist}|{genre} music|{song})
        ~can we (hear|have) (some music|{genre} music|{artist}|{song})
        ~(<want>|<wish>) (some music|{genre} music|some {genre}|a song by {artist}|the {playlist} playlist)
        ~<gerund> (playing|putting on) (some {genre}|{artist}|{song})
        ~(i'd like|i want|we want|i love) to hear (some {genre}|a {genre} song|{artist}|{song}|my {playlist} playlist)
        (blast|throw on|get|crank) [some] {genre} music
        (queue|cue|load|launch|begin|open) (the song {song}|some {artist}|my {playlist} playlist|{genre} music)
        play (us|me) (some {genre}|{artist}|{song}|something good|a song)
        (begin|start) with (a song|a track|some music) by {artist}
        let (us|me) (hear|have) ({song}|{artist}|some {genre})
        find (me|) (a song by {artist}|some {genre} music|{song})
        ~{song} by {artist}
        ~some ({genre}|{artist}|{genre} music) [please|in the {room}]
        ~{artist} (please|playlist|in the {room}|songs)
        (spin|fire up|stream|run|hit|kick off|serve|select|pick|choose) (some {genre}|some {artist}|{song})
        (spin|fire up|stream|run|hit|kick off|serve|select|pick|choose) ({genre} music|the {playlist} playlist)
        (get|have|let) (some music|{artist}|some {genre}|the {playlist} playlist) (going|started|playing|on)
        (have|let|make) the {player} play (some {genre}|{artist}|{song}|{genre} music|music)
        (treat|entertain) (me|us) (to|with) (some {genre}|{artist}|{song}|music)
        (fill|cheer up) the {room} with (music|{genre} music|{artist})
        ~(how about|what about) (some {genre}|{artist}|{song}|a little music|a song by {artist})
        ~i feel like ({genre}|{artist}|some {genre}|{song}|music)
        ~(we|i|the kids) would (enjoy|like|love) (some {genre}|{artist}|{song}|to hear {artist}|a song)
        ~(the|my) {playlist} (playlist|mix) [please|in the {room}|now]
        ~(this|that|the) house needs (some {genre}|music|{artist})
        listen to ({artist}|{song}|some {genre}|{genre} music|my {playlist} playlist)
        search [for] (the song {song}|{genre} music|songs by {artist}) and play (it|them)
        tune [in] to (the {genre} station|a {genre} station|the radio|{genre} radio)
        ~{person} (wants|would like|likes) to hear ({artist}|{song}|some {genre})
        ~(anything|something|a song|an album|the best|the hits) (by|from|of) {artist}
        ~(let|make) the music (play|start|begin) [in the {room}]
        (dance|sing|party|relax) to (some {genre}|{artist}|{song})
        (sing|perform) {song} [by {artist}]
        ~(next|previous|another) (song|track|tune) [please]
        ~i (miss|need|love) (some {genre} music|music|that song by {artist}) (play|put on) (it|some)
        (go to|skip to|jump to|pick) the next (song|track)
        ~{genre} (songs|tunes|hits|tracks|beats) [please|in the {room}]
    """,
    validation="""
        queue (up|) ({song}|{artist})
        find and play {song}
        get some {genre} music going
        ~i feel like listening to ({artist}|{genre} music)
        ~we would enjoy hearing {song} by {artist}
        have the speaker play {artist}
        ~how about {genre} music
        play us something {genre}
    """,
    test="""
        (throw|stick) on (some {genre}|{artist}|{song} by {artist})
        give me (some|a little|a bit of) ({artist}|{genre}|{genre} music)
        (cue|fire) up ({song}|the {playlist} playlist|{artist})
        ~(i'd|we'd) (like|love) to (listen to|hear) ({song}|{artist}|some {genre})
        ~how about some ({genre}|{artist}|{genre} music)
        ~could i (hear|listen to) ({song} by {artist}|{artist}|the {playlist} playlist)
        play me (a song by {artist}|{song}|the {playlist} playlist|a {genre} song)
        play a (track|tune|record) (by|from) {artist}
        begin (playing|the music with) ({song}|{artist}|the {playlist} playlist)
        ~some {genre} music would be (nice|great|lovely) [in the {room}]
        let me (hear|listen to) ({artist}|{song}|{genre} music) [in the {room}]
    """,
)

_MUSIC_STOP = Templates(
    train="""
        (stop|pause|end) (the music|the song|this song|the radio|the playlist|my music|this track)
        (stop|pause) the music (in the {room}|on the speaker|everywhere|in here)
        stop (playing|playing music|playing {artist}|playing {song}|that song|this noise)
        (turn|switch|shut) off the (music|radio|song|stereo|speaker|speakers) [in the {room}]
        (turn|switch|shut) the (music|radio|stereo|speaker|song) off [in the {room}]
        ~(music|radio|stereo) off [in the {room}]
        (cut|kill) the (music|radio|sound|song)
        ~(no more|enough) (music|songs|radio|{artist}|{genre} music)
        pause (the {playlist} playlist|{artist}|{song}|this)
        stop the {playlist} playlist
        (halt|quit) (the music|playing|the song)
        end the (music|radio|playback) [in the {room}]
        (stop|pause) playback [in the {room}]
        stop the {genre} music
        shut the music off
        put the music on pause
        make the music stop
        stop (this|that) (awful|terrible|stupid) (song|music)
        ~i don't want to (hear|listen to) (music|this song|{artist}|this) [anymore]
        ~i want the music (off|to stop)
        ~would you mind (stopping|pausing) the music
        ~(can|could) you stop the music i am (on the phone|working|sleeping)
        ~i have had enough of (this song|{artist}|this music)
        ~i'm on the phone (pause|stop) the music
        ~the baby is sleeping (turn off|stop) the music
        ~<want> (the music|the radio|this song) (off|stopped|paused|to stop)
        ~<gerund> (stopping|pausing|turning off) the (music|radio|song)
        ~the (music|radio|song|stereo) <must> (off|stopped|paused)
        <ensure> the (music|radio) is off [in the {room}]
        (quit|freeze|interrupt|suspend|finish|abort) (the music|the song|the tune|the {playlist} playlist)
        (quit|cease) playing ({artist}|music|the radio|this)
        (take|get) (this song|that music|the {genre} music) off
        stop (that|this|the) (noise|tune|racket|album|band|beat) [in the {room}]
        ~(that's|that is) enough (songs|music|noise|of {artist}|of this)
        ~i'm (bored|done|fed up) with (this song|the music|{artist}) (stop|pause) it
        ~i (hate|can't stand) this song (stop it|turn it off)
        ~silence [in the {room}] stop the music
        (drop|lose|ditch|forget|close|shut) (the music|this song|the {genre} music|the {playlist} playlist|{artist})
        (have|let|make) the (music|radio|song|{player}) (stop|pause|go off|end|rest)
        (get|put|switch|bring) the music (off|to a stop|to an end|away) [in the {room}]
        (wait|break|rest) (with|from) the music
        (don't|do not) continue (the song|playing|the playlist)
        ~(i am|i'm|we are|we're) (tired|sick) of (this music|{artist}|{genre} music|this song)
        ~(we|i) (don't|do not) (need|want) (music|the radio|any music|{genre} music) (now|anymore|any more|today)
        ~(music|song|playback|radio|playlist) (stop|pause|over|out)
        ~(please|just) stop ({artist}|{song}|it|playing that)
        ~(time|it's time) to (stop|pause|end) the (music|song|radio)
        ~the music (can|may|should) (stop|end|pause|rest) [now]
        stop playback of ({artist}|{song}|the {playlist} playlist)
        ~{person} (can't sleep|is sleeping|is on the phone) (stop|pause) the music
        ~(i|we) (heard|have heard) enough (music|of {artist}|{genre} music)
        (silence|mute) is better than (this song|{artist}) stop (it|the music)
        ~stop (please|now|it) (the music|the song)
        ~(playlist|radio|music|song) (off|stop) (please|now)
        the music off
        (turn off|stop|pause) ({artist}|{song}|the {genre} station)
        ~(leave|skip) the music for now
        ~no (music|songs|radio) (now|please|in the {room}|during dinner)
    """,
    validation="""
        hold the music
        ~that is enough music for today
        cease playing [music]
        ~i would prefer the music off
        get rid of this music
        ~we can stop the {playlist} playlist now
        have the radio stop in the {room}
        interrupt the song
    """,
    test="""
        (get|take) (the music|the radio|{artist}) off [in the {room}]
        (make sure|see that) the (music|radio) (stops|is off|goes off) in the {room}
        ~(the music|the song|this playlist) (can|should) stop [now]
        ~i'd like (the music|the radio|this song) (paused|stopped|turned off)
        ~i'm (tired|sick) of (this song|{artist}|{genre} music) (stop it|turn it off)
        quit playing ({artist}|{song}|{genre} music|the {playlist} playlist)
        ~would it be possible to (pause|stop) the (music|radio|song)
        (freeze|suspend|pause) (the track|the album|the {playlist} playlist)
        ~that's enough (music|{artist}|{genre}) (for now|for today|stop)
        stop (that|the) (racket|{genre} song|tune) [in the {room}]
        switch the {genre} station off
    """,
)

MUSIC = {
    "music_play": _MUSIC_PLAY,
    "music_stop": _MUSIC_STOP,
}
