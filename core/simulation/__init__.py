"""The whole engine in simulated time: the real daemon, the real database, pretended systems.

    scenario   what happens in one run: drawn from its seed, before anything runs
    loop       virtual time: an event loop that jumps to its next timer
    world      the systems outside, with their true state
    logins     one-time refresh tokens, before a system
    wires      the network between us and them, with everything that goes wrong there
    machine    the computer the daemon runs on: it crashes, its disk is full, its clock is set
    people     buyers, pickers, and whoever edits a mapping
    business   kits, locations, offer rules, a daily mail: what a plain day has not
    post       the mail server, with its habits
    mailing    the process that sends the mail of a day
    judge      what must hold after every step, and at the end
    truth      what is true outside, as the fakes have it
    rest       what is still on its way, once everything works
    expected   what every listing should show, reckoned a second time
    run        one seed from beginning to verdict

Imported by `truecount simulate` and by tests; nothing the daemon runs imports it.
"""
