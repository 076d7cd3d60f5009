"""The errors of minidl, in one form: the operation, what it expected, what it got, and the likely fix."""


class MinidlError(Exception):
    """Base of minidl's errors; ``except minidl.MinidlError`` catches them all.

    operation: the name of the function.
    expected: what it expected.
    got: what it was given instead.
    fix: what to type or to do, if that is known.

    >>> from minidl import MinidlError
    >>> str(MinidlError("matmul", "matrices that fit", "(2, 3) @ (2, 3)", "a @ b.T"))
    'matmul: expected matrices that fit, got (2, 3) @ (2, 3). Fix: a @ b.T'
    """

    def __init__(self, operation: str, expected: str, got: str, fix: str = "") -> None:
        super().__init__(operation, expected, got, fix)
        self.operation, self.expected, self.got, self.fix = operation, expected, got, fix

    def __str__(self) -> str:
        message = f"{self.operation}: expected {self.expected}, got {self.got}"
        return f"{message}. Fix: {self.fix}" if self.fix else message


class ShapeError(MinidlError, ValueError):
    """An array has the wrong rank or shape."""


class DTypeError(MinidlError, TypeError):
    """An argument has the wrong type, or an array the wrong dtype."""


class MissingAttributeError(DTypeError, AttributeError):
    """An object that is not an array, such as a `Box`, lacks an attribute of arrays."""


class RangeError(MinidlError, ValueError):
    """A number, label or pixel is outside its range, or not a number at all."""


class DataError(MinidlError, ValueError):
    """A file or data set is missing, damaged, or not what it should be; nothing of it was used."""


class BackendError(MinidlError, RuntimeError):
    """The array library or the kernels asked for cannot be used here."""


class MissingPackageError(MinidlError, ImportError):
    """A package that only some of the project needs is not installed."""
