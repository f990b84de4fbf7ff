"""How the judges of the protocol keep a check, and what every answer of a tool must have."""


class Tally:
    def __init__(self):
        self.passed = self.failed = 0
        self.where = ""

    def check(self, what):
        return Check(self, what)

    def skip(self, what, why):
        print(f"skip  {self.where}: {what} ({why})", flush=True)


class Check:
    def __init__(self, tally, what):
        self.tally, self.what = tally, what

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if kind is None:
            self.tally.passed += 1
            print(f"ok    {self.tally.where}: {self.what}", flush=True)
            return True
        if not issubclass(kind, Exception):
            return False
        self.tally.failed += 1
        while isinstance(error, ExceptionGroup):  # what went wrong in a task of ours or of the client's
            error = error.exceptions[0]
        kind = type(error)
        reason = str(error).strip() or kind.__name__
        if kind is not AssertionError:
            reason = f"{kind.__name__}: {reason}"
        print(f"FAIL  {self.tally.where}: {self.what}: {' '.join(reason.split())[:600]}", flush=True)
        return True


def expect(truth, otherwise):
    if not truth:
        raise AssertionError(otherwise)


def text(result):
    return "\n".join(c.text for c in result.content if c.type == "text")


def good(result):
    expect(not result.is_error, f"the tool failed: {text(result)}")
    expect(text(result).strip(), "no text for a person to read")
    expect(result.structured_content is not None, "no structuredContent")
    return result


def bad(result, *words):
    expect(result.is_error, f"no isError, but: {text(result)}")
    for word in words:
        expect(word in text(result), f"the error does not say {word!r}: {text(result)}")
    expect(len(text(result).split()) >= 5, f"too short to be of help: {text(result)!r}")


async def follow(list_page, field):
    """Every page of a list."""
    rows, cursor = [], None
    for _ in range(100):
        page = await list_page(cursor=cursor)
        rows += getattr(page, field)
        cursor = page.next_cursor
        if cursor is None:
            return rows
    raise AssertionError("100 pages and no end")
