"""Replaced methods that several listeners share and that leave nothing behind."""

from __future__ import annotations

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import MethodType
from typing import Any, Generic, Protocol, Self, TypeVar

Listener = TypeVar("Listener")

INSTALLING = threading.RLock()
"""Held while hooks are put in or taken out."""

_MISSING = object()


class SharedHook(ABC, Generic[Listener]):
    """One method of one object, replaced on the instance while anybody listens to it.

    Listeners come and go in any order; the last one to leave puts the method back as it was. When somebody
    else has wrapped the method in the meantime, the hook stays inside that wrapper and only passes calls on.
    In a deep copy of the object the method is the object's own again.
    """

    def __init__(self, owner: Any, name: str) -> None:
        self.owner = owner
        self.name = name
        self.listeners: tuple[Listener, ...] = ()
        self.original: Callable[..., Any] = getattr(owner, name)
        self._earlier = vars(owner).get(name, _MISSING)

    @classmethod
    def of(cls, owner: Any, name: str) -> Self:
        """Return the hook installed on `owner.name`, or a new one, not yet installed."""
        present = vars(owner).get(name)
        return present if isinstance(present, cls) else cls(owner, name)

    def start(self, listener: Listener) -> None:
        """Add a listener; the first one replaces the method."""
        with INSTALLING:
            self.listeners = (*self.listeners, listener)
            if vars(self.owner).get(self.name) is not self:
                setattr(self.owner, self.name, self)

    def attach(self, hooks: ExitStack, listener: Listener) -> None:
        """Let a listener hear the calls until `hooks` are closed."""
        hooks.callback(self.stop, listener)
        self.start(listener)

    def stop(self, listener: Listener) -> None:
        """Remove a listener, if it is there; the last one puts the method back."""
        with INSTALLING:
            self.listeners = tuple(present for present in self.listeners if present is not listener)
            if self.listeners or vars(self.owner).get(self.name) is not self:
                return
            if self._earlier is _MISSING:
                delattr(self.owner, self.name)
            else:
                setattr(self.owner, self.name, self._earlier)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if self._earlier is not _MISSING:
            return copy.deepcopy(self._earlier, memo)
        return MethodType(getattr(type(self.owner), self.name), copy.deepcopy(self.owner, memo))

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the replaced method."""


class CallListener(Protocol):
    """Told of every call of a method, before it begins and once it has returned."""

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Receive the arguments, before the method can change them."""

    def after(self, result: Any) -> None:
        """Receive what the method returned."""


class CallHook(SharedHook[CallListener]):
    """Tells its listeners of each call of a method."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method as ever; tell the listeners before and after."""
        listeners = self.listeners
        for listener in listeners:
            listener.before(args, kwargs)
        result = self.original(*args, **kwargs)
        for listener in listeners:
            listener.after(result)
        return result


def hear_calls(hooks: ExitStack, module: Any, listener: CallListener) -> None:
    """Let a listener hear a module's calls until `hooks` are closed; those of a deep copy are not its own.

    Offloading puts other `forward` methods in place while a pipeline runs, so that a replaced one would be
    lost; torch's own hooks stay. What a module's `forward` is called for directly, they don't hear.
    """

    def before(called: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if called is module:
            listener.before(args, kwargs)

    def after(called: Any, args: tuple[Any, ...], result: Any) -> None:
        if called is module:
            listener.after(result)

    hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
    hooks.callback(module.register_forward_hook(after).remove)


class _Beside(threading.local):
    """Whose call beside the generation's own is running in this thread."""

    owner: Any = None


BESIDE = _Beside()


@contextmanager
def beside(owner: Any) -> Iterator[None]:
    """Mark the calls of this thread as not the generation's own, so that nobody else counts them."""
    BESIDE.owner = owner
    try:
        yield
    finally:
        BESIDE.owner = None
