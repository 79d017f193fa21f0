"""Which interface an application has, WSGI or ASGI, as far as that can be told without calling it.

``mod_wsgi-express`` gives this text to the process that tries an application, too: it imports nothing of the package.
"""

import functools
import types

#: The flag of the code of an `async def`.
CO_COROUTINE = 0x80


def is_asgi(application):
    """Whether an application is certain to be one of ASGI: a call gives a coroutine, or needs three arguments."""
    function = application
    while isinstance(function, functools.partial):
        function = function.func
    if type(function) is types.FunctionType and function.__code__.co_flags & CO_COROUTINE:
        return True
    if type(application) is types.FunctionType:
        # What `inspect` would say, which few plain applications need otherwise.
        code, defaults = application.__code__, application.__defaults__ or ()
        return code.co_argcount - len(defaults) == 3
    import inspect

    coroutine = any(map(inspect.iscoroutinefunction, (function, getattr(function, "__call__", None))))
    return (coroutine and not inspect.isclass(function)) or (takes(application, 3) and not takes(application, 2))


def takes(application, number):
    """Whether the application can be called with so many arguments, as far as it tells."""
    import inspect

    try:
        inspect.signature(application).bind(*range(number))
    except TypeError:
        return False
    except ValueError:  # what is written in C does not tell
        pass
    return True
