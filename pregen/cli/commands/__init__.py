"""The commands, a module each, imported when that command is called and not before.

Each module has `describe`, which gives a parser the command's options, and `call`, which takes what was parsed and
returns a report or, where the command prints by itself, an exit code. They are run.py, check.py, delta.py, revoke.py,
hold.py, release.py, lookup.py, decode.py, serve.py, inspect.py, status.py, verify.py, history.py, rollback.py, gc.py,
engines.py, demo.py, import_.py, logs.py and asked.py.
"""
