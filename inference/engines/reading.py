"""From token ids to text while the reply is still growing."""

from collections.abc import Callable, Sequence

BROKEN = "\ufffd"


class Reader:
    """Gives out whole characters only, and holds back what may be the beginning of a stop string.

    Only the last few ids are decoded each time: a token's text depends on the one before it, not on the whole reply.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()):
        self.text = ""
        self.stopped = False
        self._decode = decode
        self._stop = [string for string in stop if string]
        self._ids: list[int] = []
        self._context = 0  # ids from here on are decoded
        self._read = 0  # and those before here are in the text already
        self._given = 0

    def push(self, token: int) -> str:
        """Take the next token; what may be shown of the text now."""
        self._ids.append(token)
        self._take(wait=True)
        return self._give(len(self.text) - (0 if self.stopped else self._held()))

    def finish(self) -> str:
        """The rest of the text. A character cut off by the token limit is left out."""
        self._take(wait=False)
        return self._give(len(self.text))

    def _take(self, wait: bool) -> None:
        if self.stopped:
            return
        before = self._decode(self._ids[self._context : self._read])
        now = self._decode(self._ids[self._context :])
        if wait and now.endswith(BROKEN):
            return
        self._context, self._read = self._read, len(self._ids)
        searched = len(self.text) - max(map(len, self._stop), default=0)
        self.text += now[len(before) :].replace(BROKEN, "")
        ends = [at for string in self._stop if (at := self.text.find(string, max(0, searched))) >= 0]
        if ends:
            self.text, self.stopped = self.text[: min(ends)], True

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
