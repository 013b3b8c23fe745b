"""Words for the sentences that describe furniture."""

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def with_article(text: str) -> str:
    """The words with a or an in front."""
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def counted(number: int, noun: str) -> str:
    """A number and a noun, in the plural unless there is one."""
    word = NUMBERS[number] if number < len(NUMBERS) else str(number)
    return f"{word} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """The plural of a noun."""
    if noun.endswith(("sh", "ch", "s")):
        return f"{noun}es"
    return f"{noun[:-1]}ves" if noun.endswith("lf") else f"{noun}s"


def listed(*phrases: str) -> str:
    """The phrases that are not empty, with commas and an and."""
    kept = [phrase for phrase in phrases if phrase]
    return f"{', '.join(kept[:-1])} and {kept[-1]}" if len(kept) > 1 else "".join(kept)


def sentence(subject: str, *details: str) -> str:
    """A sentence of a subject and what it is with."""
    text = with_article(subject) + (f" with {listed(*details)}" if any(details) else "")
    return f"{text[0].upper()}{text[1:]}."
