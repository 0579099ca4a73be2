"""Several failures at once."""


def fail(error):
    raise error


errors = []
for error in [ValueError("one"), KeyError("two")]:
    try:
        fail(error)
    except Exception as caught:
        errors.append(caught)
raise ExceptionGroup("both failed", errors)
