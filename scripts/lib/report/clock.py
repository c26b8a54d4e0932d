"""Time in one zone: labels, where a time axis is labelled, and where the clock was changed."""

import math
from datetime import datetime, timedelta, timezone

try:
    from zoneinfo import ZoneInfo
except ImportError:  # Python 3.8
    ZoneInfo = None

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MINUTE, HOUR, DAY = 60, 3600, 86400
TICK_STEPS = (MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR,
              12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 182 * DAY, 364 * DAY, 728 * DAY)


class Clock:
    """Turns seconds since 1970 into words of a time zone."""

    def __init__(self, name):
        self.name, self.zone = "UTC", timezone.utc
        if ZoneInfo is not None and name not in ("UTC", "Etc/UTC", "GMT"):
            try:
                self.zone = ZoneInfo(name)
                self.name = name
            except Exception:  # no such zone here, or no zone data: the page says which it uses
                pass

    def local(self, seconds):
        return datetime.fromtimestamp(seconds, self.zone)

    def time(self, seconds):
        return self.local(seconds).strftime("%H:%M")

    def date(self, seconds, year=False):
        at = self.local(seconds)
        return f"{DAYS[at.weekday()]} {at.day} {MONTHS[at.month - 1]}" + (f" {at.year}" if year else "")

    def moment(self, seconds):
        return f"{self.date(seconds, True)} {self.time(seconds)}"

    def offset(self, seconds):
        minutes = int(self.local(seconds).utcoffset().total_seconds() // 60)
        return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"

    def window(self, begin, end):
        """Words for a window: the day once, when both ends lie in it."""
        if self.local(begin).date() == self.local(end).date():
            return f"{self.date(begin, True)}, {self.time(begin)} to {self.time(end)}"
        return f"{self.moment(begin)} to {self.moment(end)}"

    def changes(self, begin, end):
        """Moments at which the zone's offset changes, with how many seconds it gains."""
        found, step, at = [], 6 * HOUR, begin
        while at < end and len(found) < 20:
            after = min(at + step, end)
            gain = (self.local(after).utcoffset() - self.local(at).utcoffset()).total_seconds()
            if gain:
                low, high = at, after
                while high - low > 1:
                    middle = math.floor((low + high) / 2)
                    if self.local(middle).utcoffset() == self.local(low).utcoffset():
                        low = middle
                    else:
                        high = middle
                found.append((high, gain))
            at = after
        return found

    def ticks(self, begin, end, most=8):
        """(seconds, label, is a new day) of round local times in a window: never more than `most`."""
        span = max(end - begin, 1)
        step = next((s for s in TICK_STEPS if span / s <= most), TICK_STEPS[-1] * math.ceil(span / TICK_STEPS[-1] / most))
        first = self.local(begin).replace(tzinfo=None)
        midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
        if step >= 7 * DAY:
            midnight -= timedelta(days=midnight.weekday())
        ticks, wall = [], midnight
        while len(ticks) <= most + 1:
            at = wall.replace(tzinfo=self.zone).timestamp()
            if at > end:
                break
            # A local time that the clock skipped does not come back the same.
            if at >= begin and self.local(at).replace(tzinfo=None) == wall:
                new_day = (wall.hour, wall.minute) == (0, 0)
                ticks.append((at, self.date(at) if new_day else wall.strftime("%H:%M"), new_day))
            wall += timedelta(seconds=step)
        return ticks
