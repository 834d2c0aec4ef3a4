"""From token ids to text while the reply is still growing."""

from collections.abc import Callable, Sequence

BROKEN = "\ufffd"


class Cut:
    """Ends a growing text at the first stop string, and holds back what may be the beginning of one."""

    def __init__(self, stop: Sequence[str] = ()):
        self.text = ""
        self.stopped = False
        self._stop = [string for string in stop if string]
        self._longest = max(map(len, self._stop), default=0)
        self._given = 0

    def push(self, text: str) -> str:
        """Take the next piece; what may be shown of the text now."""
        if self.stopped or not text:
            return ""
        searched = max(0, len(self.text) - self._longest)
        self.text += text
        ends = [at for string in self._stop if (at := self.text.find(string, searched)) >= 0]
        if ends:
            self.text, self.stopped = self.text[: min(ends)], True
        return self._give(len(self.text) - (0 if self.stopped else self._held()))

    def finish(self) -> str:
        """The rest of the text."""
        return self._give(len(self.text))

    def _held(self) -> int:
        """How many characters at the end begin a stop string."""
        return max(
            (
                size
                for string in self._stop
                for size in range(1, min(len(string), len(self.text) + 1))
                if self.text.endswith(string[:size])
            ),
            default=0,
        )

    def _give(self, end: int) -> str:
        piece = self.text[self._given : end]
        self._given = max(self._given, end)
        return piece


class Reader:
    """Gives out whole characters only, up to the first stop string.

    Only the last few ids are decoded each time: a token's text depends on the one before it, not on the whole reply.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()):
        self._decode = decode
        self._cut = Cut(stop)
        self._ids: list[int] = []
        self._context = 0  # ids from here on are decoded
        self._read = 0  # and those before here are in the text already

    @property
    def text(self) -> str:
        return self._cut.text

    @property
    def stopped(self) -> bool:
        return self._cut.stopped

    def push(self, token: int) -> str:
        """Take the next token; what may be shown of the text now."""
        self._ids.append(token)
        return self._cut.push(self._new(wait=True))

    def finish(self) -> str:
        """The rest of the text. A character cut off by the token limit is left out."""
        return self._cut.push(self._new(wait=False)) + self._cut.finish()

    def _new(self, wait: bool) -> str:
        if self.stopped:
            return ""
        before = self._decode(self._ids[self._context : self._read])
        now = self._decode(self._ids[self._context :])
        if wait and now.endswith(BROKEN):
            return ""
        self._context, self._read = self._read, len(self._ids)
        return now[len(before) :].replace(BROKEN, "")
