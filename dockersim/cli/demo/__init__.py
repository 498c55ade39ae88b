"""``dockersim demo``: the tutorial's whole way in one command, nothing of it played.

    story       what the watcher reads: acts, sentences, command lines with their real output
    stage       where it happens: a scratch root, a folder with the app, commands as processes of their own
    building    acts about images: build, look, build again, break and repair
    sharing     acts about registries and containers: push, pull, run, fetch the page
    command     the command: the acts in their order, cleaning up, the exit code

The law of this package: every act checks what it claims, from the trace, the store or the wire and never from having
got this far. The exit code is 0 only if every check of every act held.
"""
