"""Fails, while it handles another failure, because of a third."""


class Refused(Exception):
    pass


def ask(question):
    return {}[question]


def answer():
    try:
        ask("why")
    except KeyError as error:
        raise Refused("no answer") from error


try:
    answer()
except Refused:
    error = ValueError("and nothing to say")
    error.add_note("  a note of two lines:\n  the second")
    raise error
