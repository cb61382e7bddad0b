"""What a client has subscribed to, before and after more and less of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from alphapulse_nb.errors import InputError
from alphapulse_nb.events import Wanted

Names = str | Iterable[str] | None


def wanted(types: Names, symbols: Names) -> Wanted:
    """What somebody asks for. Raises `InputError` for no types or no symbols at all."""
    return Wanted(_names(types, "types"), _names(symbols, "symbols"))


def _names(given: Names, what: str) -> frozenset[str] | None:
    if given is None:
        return None
    found = frozenset([given] if isinstance(given, str) else given)
    if not found:
        raise InputError(f"name one of the {what} at least; None stands for all of them")
    return found


def more(held: Wanted | None, asked: Wanted) -> Wanted:
    """Both together."""
    if held is None:
        return asked
    return Wanted(_both(held.types, asked.types), _both(held.symbols, asked.symbols))


def less(held: Wanted | None, gone: Wanted, known: Collection[str]) -> Wanted | None:
    """What is left of it. `known` are all types; taking away without names ends it all."""
    if held is None or (gone.types is None and gone.symbols is None):
        return None
    types, symbols = held.types, held.symbols
    if gone.types is not None:
        if types is None and not known:
            raise InputError("which types there are is known once there was a connection")
        types = (frozenset(known) if types is None else types) - gone.types
    if gone.symbols is not None:
        if symbols is None:
            raise InputError("all symbols are subscribed to; unsubscribe from all of them first")
        symbols -= gone.symbols
    nothing = types == frozenset() or symbols == frozenset()
    return None if nothing else Wanted(types, symbols)


def _both(held: frozenset[str] | None, asked: frozenset[str] | None) -> frozenset[str] | None:
    return None if held is None or asked is None else held | asked
