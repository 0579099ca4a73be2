"""A shop that says what it does, as plain text: a line for each order, now and then a traceback."""

import logging
import os
import signal
import sys

PER_SECOND = float(os.environ.get("ORDERS_PER_SECOND", "2"))
# Orders that were accepted when the stop comes; they are finished before the end.
WAITING = int(os.environ.get("ORDERS_WAITING", "5"))

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(message)s")
PRICES = {"tea": 3, "cake": 4, "coffee": 2}


def handle(number):
    goods = ["tea", "cake", "coffee", "tea", "soup"][number % 5]
    try:
        logging.info("order %d: %s for %d", number, goods, PRICES[goods])
    except KeyError:
        logging.exception("order %d: no price", number)


# Taken by sigtimedwait alone, so a stop never comes in the middle of a line.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
number = 0
while signal.sigtimedwait([signal.SIGTERM], 1 / PER_SECOND) is None:
    number += 1
    handle(number)
for number in range(number + 1, number + WAITING + 1):
    handle(number)
logging.info("closed after %d orders", number)
