"""Conference rooms: what an office expects of one, as pure machines.

`settings` says what a room is like, `vocabulary` what it is told and what it wants done, `phrases` what is heard there.
`room.Conference` is the machine of one room, `conferences.Conferences` all of them by name, `audio` the same effects as
commands of the media engine.

    conferences:
      board:
        pin: "4711"             # asked of guests; absent: anybody may join
        host_pin: "0815"        # makes whoever knows it a host
        wait_for_host: true     # guests hear music until a host is there, and again when the last one has left
        lobby: true             # each guest waits until a host admits it (*9)
        limit: 20               # guests beyond are turned away; hosts are not
        lock: false             # begin locked: only hosts, and whom they dial, come in
        entry: names            # tones | names | none: what is heard when somebody comes or goes
        end_with_host: true     # the last host ends it
        record: true            # from the first member on
        music: default          # class of hold music while waiting
        announce_count: true    # tell newcomers how many are there
        mute_guests: false      # guests begin muted; a host unmutes them (*5)
        language: de            # of prompts and speech; absent: that of `media.sounds`
        talkers: true           # tell who talks to whoever shows it
        host_menu: {"1": mute, "2": lock}   # what follows *; absent: the usual ones

On the telephone, `*` opens the menu and the next digit chooses; `*#` leaves it. Only who opened it hears the answer;
whom a host mutes is told, and of a recording all are.

    *1  mute oneself        *4  *6  quieter, louder        *0  help        *#  leave the menu
    host: *2 lock   *3 remove the last one   *5 mute all guests   *7 record   *8 roll call   *9 admit the next one

Prompts are `conference/NAME` below the prompt directories (`texts.TEXTS` has the names); what is missing there is
spoken by the text-to-speech engine.
"""
