"""The evidence of a thousand made courses, from docs/judgement.md and with nothing of Serin's code.

Writes the logarithm of each one's value: evidence.txt, which core/src/judge/independent.rs compares with
its own. Binomials are whole numbers of any size, so that no sum of theirs has a rounding error.
"""

import math
import struct

MULTIPLES = [1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 200.0]
SHARES = [0.02, 0.02, 0.06, 0.14, 0.25, 0.25, 0.1, 0.05, 0.05, 0.06]
SLOWER = [1.05, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0]


def single(x):
    """As four bytes keep it."""
    return struct.unpack("f", struct.pack("f", x))[0]


class Money:
    """Half of each share is bet at once; who has lost a factor of e^3 gets an instalment of the rest."""

    def __init__(self, shares):
        self.bet = [math.log(share / 2) for share in shares]
        self.rest = [share / 2 for share in shares]
        self.lost = [0.0 for _ in shares]
        self.paid = [0 for _ in shares]

    def play(self, factors):
        for n, factor in enumerate(factors):
            self.bet[n] = min(self.bet[n] + factor, math.log(10**12))
            self.lost[n] = single(self.lost[n] + single(factor))
            if self.lost[n] <= -3.0:
                self.lost[n] = 0.0
                self.paid[n] += 1
                amount = self.rest[n] * 0.6 / (self.paid[n] + 200)
                self.rest[n] -= amount
                high = max(self.bet[n], math.log(amount))
                low = min(self.bet[n], math.log(amount))
                self.bet[n] = high + math.log1p(math.exp(low - high))

    def value(self):
        return math.fsum(self.rest) + math.fsum(math.exp(bet) for bet in self.bet)


def worse(margin, batches):
    """Odds of failing beyond the margin's multiple of stable's."""
    ratios = [margin * times for times in MULTIPLES]
    money = Money(SHARES)
    for bad_c, of_c, bad_b, of_b in batches:
        bad, all_of = bad_c + bad_b, of_c + of_b
        if bad == 0:
            continue
        frequent = margin > 1 and bad > 1 and bad * 20 > all_of and min(of_c, bad) <= 64
        money.play([(fisher if frequent else bound)(ratio, margin, bad_c, of_c, bad, of_b) for ratio in ratios])
    return money.value()


def fisher(ratio, margin, bad_c, of_c, bad, of_b):
    """By Fisher's noncentral hypergeometric distribution, exactly."""
    fewest, most = max(0, bad - of_b), min(bad, of_c)
    ways = [math.comb(of_c, j) * math.comb(of_b, bad - j) for j in range(fewest, most + 1)]
    logs = [math.log(way) - math.log(ways[0]) for way in ways]

    def total(odds):
        terms = [log + j * math.log(odds) for j, log in enumerate(logs)]
        high = max(terms)
        return high + math.log(math.fsum(math.exp(term - high) for term in terms))

    return (bad_c - fewest) * math.log(ratio / margin) - total(ratio) + total(margin)


def bound(ratio, margin, bad_c, of_c, bad, of_b):
    """By the power of a binomial in which every failure is a trial."""
    if of_c + of_b == 0:
        return 0.0
    growth = of_c * (ratio - margin) / (of_c * margin + of_b)
    return bad_c * math.log(ratio / margin) - bad * math.log1p(growth)


def slower(_, batches):
    """Exceedances of a limit, at margin 1: a binomial in as few trials as there can be."""
    money = Money([1 / len(SLOWER)] * len(SLOWER))
    for bad_c, of_c, bad_b, of_b in batches:
        bad, all_of = bad_c + bad_b, of_c + of_b
        if bad == 0 or of_c == 0 or of_b == 0:
            money.play([0.0] * len(SLOWER))
            continue
        money.play([plain(ratio, bad_c, of_c, bad, of_b, all_of) for ratio in SLOWER])
    return money.value()


def plain(ratio, bad_c, of_c, bad, of_b, all_of):
    good = all_of - bad
    fewest = min(bad, of_c, of_b, good)
    if fewest in (bad, of_c):
        # The trials are the failures, or the candidate's requests.
        mean = of_c * bad / all_of
        power = fewest * math.log1p(mean / fewest * (ratio - 1))
    elif fewest == of_b:
        # Those failures that did not fall on stable.
        power = bad * math.log(ratio) + fewest * math.log1p(bad / all_of * (1 / ratio - 1))
    elif fewest == 0:
        power = of_c * math.log(ratio)
    else:
        # The candidate's requests that are not among the good ones.
        power = of_c * math.log(ratio) + fewest * math.log1p(of_c / all_of * (1 / ratio - 1))
    return bad_c * math.log(ratio) - power


def above(limit, batches):
    """The candidate's own rate, against a fixed limit."""
    money = Money([1 / len(MULTIPLES)] * len(MULTIPLES))
    for bad, of, _, _ in batches:
        if of == 0:
            continue
        factors = []
        for times in MULTIPLES:
            odds = times * limit / (1 - limit)
            rate = odds / (1 + odds)
            won = math.log(rate / limit)
            lost = math.log1p(-rate) - math.log1p(-limit)
            factors.append(bad * won + (of - bad) * lost)
        money.play(factors)
    return money.value()


class Luck:
    """splitmix64"""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        x = self.state
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    def below(self, bound):
        return self.next() % bound

    def pick(self, among):
        return among[self.below(len(among))]

    def bad(self, of, chance):
        return sum((self.next() >> 11) < int(min(chance, 1.0) * 2**53) for _ in range(of))


def course(seed):
    luck = Luck(seed)
    kind = luck.pick([worse, slower, above])
    parameter = 1.0
    if kind is worse:
        parameter = luck.pick([1.0, 1.5, 2.0])
    elif kind is above:
        parameter = luck.pick([0.0001, 0.001, 0.01, 0.3])
    chance = luck.pick([0.0, 0.001, 0.01, 0.1, 0.5, 0.9])
    times = luck.pick([0.5, 1.0, 1.0, 1.5, 3.0, 20.0])
    most = luck.pick([6, 40, 400])
    batches = []
    for _ in range(20 + luck.below(300)):
        of_c, of_b = luck.below(most), luck.below(3 * most)
        bad_c = luck.bad(of_c, chance * times)
        batches.append((bad_c, of_c, luck.bad(of_b, chance), of_b))
    return kind(parameter, batches)


for seed in range(1000):
    print(repr(math.log(course(seed))))
