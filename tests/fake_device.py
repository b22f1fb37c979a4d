"""A device that is not there: NumPy computes; what CuPy refuses or waits for is noticed.

`xp` stands in the place of `cupy`. Its arrays are not NumPy arrays, so that code which forgets
where an array lives fails on any machine:

- a host array in arithmetic, as an argument or as `out` raises TypeError, and so does
  np.asarray(device_array);
- there are only the functions, methods and keywords that CuPy has (cupy_names.txt); NumPy's own
  functions reach a device array through __array_ufunc__ and __array_function__ only;
- a full reduction gives an array without axes, not a number;
- whatever makes the host wait for the device (float(), bool(), an array in an `if`, get(), item(),
  printing, x[mask], nonzero, unique ...) works and is counted, see `count_synchronisations`; so are
  the copies to the device, see `count_copies`, the operations, see `count_launches`, and the
  float64 arrays that are made, see `count_float64`.

Some things that CuPy allows, or does silently, are refused, since nobody wants them in a training
step:
- a host array or a list as an index, which CuPy copies to the device every time: TypeError;
- different values written to one place, as in a[[0, 0]] = [1, 2], where any of them may stay:
  RuntimeError;
- an index out of range, which CuPy wraps: IndexError;
- several values written through a mask, which CuPy reads differently from NumPy: TypeError.

A loop over an array of numbers counts as waiting, though it waits only when they are read.

Numbers, views and promotion are NumPy's, so that results are NumPy's bit for bit. There is no
`random`; of `cuda` there is what a captured step needs, in fake_graph.py.
"""

import contextlib
import operator
import sys
import types
from pathlib import Path

import make_cupy_names
import numpy as np

VERSION, NAMES = make_cupy_names.read()
SCALARS = (bool, int, float, complex, np.generic)

# Functions that need no array. Those in SHAPED read their arguments on the host, so that a device
# array there is an error.
SHAPED = {"arange", "empty", "eye", "identity", "indices", "linspace", "logspace", "ones", "tri",
          "zeros"}
FREE = SHAPED | {"broadcast_shapes", "can_cast", "diag_indices", "full", "isscalar", "issubdtype",
                 "min_scalar_type", "promote_types", "result_type", "tril_indices", "triu_indices"}

# Functions that read a value inside CuPy, for a check or for the shape of their result.
WAITING = {"argwhere", "average", "bincount", "choose", "compress", "delete", "extract",
           "flatnonzero", "histogram",
           "intersect1d", "linalg.cond", "mask_indices", "nonzero", "percentile", "place",
           "quantile",
           "ravel_multi_index", "setdiff1d", "setxor1d", "trim_zeros", "union1d", "unique",
           "unique_all", "unique_counts", "unique_inverse", "unique_values"}

# Functions whose answer is a plain number in NumPy, and an array on the device in CuPy.
ANSWERING = {"allclose", "array_equal", "array_equiv", "count_nonzero"}

# Functions that write into their first argument.
WRITING = {"copyto", "fill_diagonal", "place", "put", "putmask",
           "ndarray.fill", "ndarray.partition", "ndarray.put", "ndarray.sort"}

# The ufuncs of CuPy that can write at repeated places, and those that can reduce.
AT = {"add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"}
REDUCING = {"add", "multiply"}


recorder = None         # of fake_graph.py, while a stream captures


# Counting -----------------------------------------------------------------------------------------

_listeners = {"synchronisation": [], "copy": [], "float64": [], "launch": []}


def count_synchronisations():
    """Context: a list with a line, such as "float() in a/b.py:27", each time the host waits."""
    return _listen("synchronisation")


def count_copies():
    """Context: a list with a line, such as "asarray in a/b.py:29", for each copy to the device."""
    return _listen("copy")


def count_launches():
    """Context: a list with a line, such as "dot in a/b.py:43", for each operation there."""
    return _listen("launch")


def count_float64():
    """Context: a list with a line, such as "(8, 5) in a/b.py:43", for each float64 array made."""
    return _listen("float64")


@contextlib.contextmanager
def _listen(kind):
    events = []
    _listeners[kind].append(events)
    try:
        yield events
    finally:
        _listeners[kind] = [other for other in _listeners[kind] if other is not events]


def note(kind, what):
    """Tells all who listen what happened, and in which line."""
    if _listeners[kind]:
        frame = sys._getframe(1)
        while frame.f_back and (frame.f_code.co_filename == __file__
                                or "numpy" in frame.f_globals["__name__"]):
            frame = frame.f_back
        place = "/".join(Path(frame.f_code.co_filename).parts[-2:])
        for events in _listeners[kind]:
            events.append(f"{what} in {place}:{frame.f_lineno}")
    if recorder is not None and kind in ("synchronisation", "copy"):
        recorder.refuse(what)


# Computing ----------------------------------------------------------------------------------------

def perform(function, *args, writes=(), **keywords):
    """Computes on the device: all work comes through here. writes: the arrays it changes."""
    if recorder is not None:
        return recorder.record(function, args, keywords, writes)
    result = function(*args, **keywords)
    if _listeners["launch"] and (len(writes) or made(result, args)):
        note("launch", getattr(function, "__name__", "operation"))
    return result


def made(result, args):
    """The arrays in a result that are new memory, not other ways to look at an argument."""
    if isinstance(result, (list, tuple)):
        return [array for part in result for array in made(part, args)]
    if not isinstance(result, (np.ndarray, np.generic)):
        return []
    return [] if any(isinstance(a, np.ndarray) and np.may_share_memory(result, a)
                     for a in args) else [result]


# Across the border --------------------------------------------------------------------------------

def unsupported(value):
    """CuPy's answer to an argument that is neither on the device nor a number."""
    return TypeError(f"Unsupported type {type(value)}")


def inside(value):
    """The NumPy array in a device array, lists and tuples opened. TypeError for host arrays."""
    if isinstance(value, DeviceArray):
        return value._array
    if isinstance(value, np.ndarray):
        raise unsupported(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(inside, value))
    return value


def outside(value, arguments=()):
    """What CuPy gives where NumPy gives `value`; an argument comes back as that argument."""
    if isinstance(value, np.ndarray):
        for argument in arguments:
            if argument._array is value:
                return argument
        return DeviceArray(value)
    if isinstance(value, np.generic):
        return DeviceArray(np.asarray(value))
    if isinstance(value, (list, tuple)):
        make = getattr(type(value), "_make", type(value))       # a named tuple has its own way
        return make(outside(part, arguments) for part in value)
    return value


def device_arrays(value):
    """All device arrays in the arguments of a call, lists and tuples opened."""
    if isinstance(value, DeviceArray):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [array for part in value for array in device_arrays(part)]
    return []


def check_keywords(name, keywords):
    """Raises TypeError for a keyword that CuPy's function does not have."""
    for keyword in keywords:
        if NAMES[name] is not None and keyword not in NAMES[name]:
            raise TypeError(f"{name}() of CuPy {VERSION} has no keyword {keyword!r}; "
                            f"it has {', '.join(NAMES[name])}")


def call(name, function, args, keywords):
    """Calls a function of NumPy as the function `name` of CuPy."""
    check_keywords(name, keywords)
    arguments = device_arrays([args, keywords])
    if name in WAITING or name == "where" and len(args) == 1:
        note("synchronisation", name)
    writes = device_arrays(keywords.get("out")) or device_arrays(args[:1] if name in WRITING
                                                                 else ())
    result = perform(function, *inside(args), writes=[array._array for array in writes],
                     **{key: inside(value) for key, value in keywords.items()})
    return outside(np.asarray(result) if name in ANSWERING else result, arguments)


# The array ----------------------------------------------------------------------------------------

class DeviceArray:
    """An array on the device. What it holds is reached by CuPy's own ways only."""

    __slots__ = ("_array",)
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, array):
        self._array = array
        if array.dtype == np.float64:
            note("float64", f"{array.shape}")

    def __getattr__(self, name):
        if name.startswith("_"):        # NumPy must not find __array_interface__ and the like
            raise AttributeError(name)
        full = f"ndarray.{name}"
        if full not in NAMES or not hasattr(np.ndarray, name) or name in ("data", "flat", "dump",
                                                                          "dumps", "tofile"):
            raise AttributeError(f"an array of CuPy {VERSION} has no {name!r}" if full not in NAMES
                                 else f"the fake device does not model {name!r}")
        if NAMES[full] is None:
            return outside(getattr(self._array, name))

        def method(*args, **keywords):
            if name in WAITING:
                note("synchronisation", f"{name}()")
            return call(full, getattr(np.ndarray, name), (self, *args), keywords)
        return method

    # Reading: each of these waits for the device.

    def get(self):
        """A copy on the host."""
        note("synchronisation", "get()")
        return self._array.copy()

    def _read(self, function, name):
        note("synchronisation", name)
        return function(self._array)

    def __bool__(self):
        return self._read(bool, "bool()")

    def __int__(self):
        return self._read(int, "int()")

    def __float__(self):
        return self._read(float, "float()")

    def __complex__(self):
        return self._read(complex, "complex()")

    def __repr__(self):
        return self._read(repr, "repr()")

    def __str__(self):
        return self._read(str, "str()")

    def __format__(self, spec):
        return self._read(lambda array: format(array, spec), "format()")

    def __reduce__(self):
        return copied, (self._read(np.copy, "pickle"),)

    def item(self):
        return self._read(np.ndarray.item, "item()")

    def tolist(self):
        return self._read(np.ndarray.tolist, "tolist()")

    def tobytes(self):
        return self._read(np.ndarray.tobytes, "tobytes()")

    def __iter__(self):
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        if self.ndim == 1:
            note("synchronisation", "a loop over an array of numbers")
        return (self[i] for i in range(len(self)))

    # What stays on the device.

    @property
    def data(self):
        """Where the memory is."""
        return types.SimpleNamespace(ptr=self._array.ctypes.data)

    def __len__(self):
        return len(self._array)

    def __copy__(self):
        return DeviceArray(perform(np.copy, self._array))

    def __deepcopy__(self, memo):
        return DeviceArray(perform(np.copy, self._array))

    def set(self, array, stream=None):
        """Copies an array of the host into this one."""
        if not isinstance(array, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if (self.dtype, self.shape) != (array.dtype, array.shape):
            raise ValueError(
                f"{array.dtype} {array.shape} cannot be set to {self.dtype} {self.shape}")
        note("copy", "set()")
        self._array[...] = array

    def __getitem__(self, index):
        index = index_inside(index)
        if has_mask(index):
            note("synchronisation", "x[mask]")
        return outside(perform(np.ndarray.__getitem__, self._array, index))

    def __setitem__(self, index, value):
        if isinstance(index, slice) and index == slice(None) and isinstance(
            value, np.ndarray) and value.ndim:
            return self.set(value)
        if isinstance(value, np.ndarray):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if not isinstance(value, (DeviceArray, *SCALARS)):
            raise unsupported(value)
        index, value = index_inside(index), inside(value)
        if has_mask(index) and np.ndim(value):
            raise TypeError("through a mask only one value can be written; use xp.where")
        if isinstance(value, np.ndarray) and is_same(self._array[index], value):
            return                      # the end of x[...] += y, which CuPy leaves out, too
        perform(assign, self._array, index, value, writes=[self._array])

    # How NumPy's own functions come here.

    def __array__(self, *args, **keywords):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. "
                        "Please use `.get()` to construct a NumPy array explicitly.")

    def __array_ufunc__(self, ufunc, method, *args, **keywords):
        if method != "__call__" or not hasattr(xp, ufunc.__name__):
            return NotImplemented
        if "out" in keywords:
            keywords["out"], = keywords["out"]
        return getattr(xp, ufunc.__name__)(*args, **keywords)

    def __array_function__(self, function, types, args, keywords):
        there = xp
        for part in [*function.__module__.split(".")[1:], function.__name__]:
            there = getattr(there, part, None)
        if there is None or not all(issubclass(kind, (DeviceArray, np.ndarray)) for kind in types):
            return NotImplemented
        return there(*args, **keywords)


def assign(array, index, value):
    """array[index] = value. Raises RuntimeError where different values are written to one place."""
    array[index] = value
    if np.ndim(value) and any(isinstance(part, np.ndarray) for part in index):
        there = array[index]
        wanted = np.broadcast_to(value.astype(there.dtype), there.shape)
        if not np.array_equal(there, wanted, equal_nan=there.dtype.kind in "fc"):
            raise RuntimeError(
                "an index names one place twice, and different values are written there: on a "
                               "device any of them may stay")


def is_same(one, other):
    """Whether two arrays are the same view of the same memory."""
    return (one.ctypes.data, one.shape, one.strides) == (other.ctypes.data, other.shape,
                                                         other.strides)


def index_inside(index):
    """The index for NumPy, with an ellipsis, so that even one value is a view without axes."""
    index = index if isinstance(index, tuple) else (index,)
    for part in index:
        if isinstance(part, (np.ndarray, list, tuple)):
            raise TypeError(
                f"{type(part).__name__} as an index: CuPy would copy it to the device every time; "
                            "copy it once, with xp.asarray")
    index = inside(index)
    return index if any(part is Ellipsis for part in index) else (*index, Ellipsis)


def has_mask(index):
    return any(isinstance(part, np.ndarray) and part.dtype == bool for part in index)


def copied(array):
    """A copy of a host array on the device."""
    return DeviceArray(np.array(array))


def operand(value):
    """What stands beside a device array in arithmetic: another one or a number, or TypeError."""
    if not isinstance(value, (DeviceArray, *SCALARS)):
        raise unsupported(value)
    return inside(value)


def binary(function):
    return lambda self, other: outside(perform(function, self._array, operand(other)))


def reflected(function):
    return lambda self, other: outside(perform(function, operand(other), self._array))


def unary(function):
    return lambda self: outside(perform(function, self._array))


def in_place(function):
    def method(self, other):
        other = operand(other)
        if self.dtype != np.float64 and np.result_type(self._array, other) == np.float64:
            note("float64", "in-place arithmetic")
        perform(function, self._array, other, writes=[self._array])
        return self
    return method


ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and",
              "or", "xor")
for _name in ARITHMETIC:                        # CuPy has no in-place matrix product
    setattr(DeviceArray, f"__i{_name}__", in_place(getattr(operator, f"i{_name}")))
for _name in (*ARITHMETIC, "matmul"):
    setattr(DeviceArray, f"__{_name}__", binary(getattr(operator, f"__{_name}__")))
    setattr(DeviceArray, f"__r{_name}__", reflected(getattr(operator, f"__{_name}__")))
for _name in ("lt", "le", "eq", "ne", "gt", "ge"):
    setattr(DeviceArray, f"__{_name}__", binary(getattr(operator, _name)))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(DeviceArray, f"__{_name}__", unary(getattr(operator, _name)))


# The module ---------------------------------------------------------------------------------------

class Function:
    """A function of NumPy under its name in CuPy."""

    def __init__(self, name, function):
        self.name, self.function = name, function
        self.__name__ = name

    def __call__(self, *args, **keywords):
        arrays = device_arrays([args, keywords])
        if arrays and self.name in SHAPED:
            raise TypeError(f"{self.name} needs its arguments on the host; got a device array")
        if not arrays and self.name not in FREE:
            raise TypeError(f"{self.name} needs a device array; "
                            f"got {', '.join(type(a).__name__ for a in args)}")
        return call(self.name, self.function, args, keywords)


class Ufunc(Function):
    """An elementwise function: of device arrays and numbers."""

    def __call__(self, *args, **keywords):
        for value in args:
            operand(value)
        out = keywords.get("out")
        if not isinstance(out, (DeviceArray, tuple, type(None))):
            raise unsupported(out)
        return call(self.name, self.function, args, keywords)

    def at(self, array, index, *values):
        """Unbuffered, in place: repeated places count each time."""
        if self.name not in AT:
            raise NotImplementedError(f"{self.name}.at")
        perform(self.function.at, array._array, index_inside(index), *map(operand, values),
                writes=[array._array])

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        return self._along("reduce", array, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        return self._along("accumulate", array, axis=axis, dtype=dtype, out=out)

    def _along(self, method, array, **keywords):
        if self.name not in REDUCING:
            raise NotImplementedError(f"{self.name}.{method}")
        return outside(perform(getattr(self.function, method), inside(array),
                               writes=inside(device_arrays(keywords)),
                               **{k: inside(v) for k, v in keywords.items()}))


class Module(types.ModuleType):
    """A namespace of CuPy, with the functions that NumPy has under the same names."""

    def __init__(self, name, path=""):
        super().__init__(name, __doc__)
        self._path = path

    def __getattr__(self, name):
        full = self._path + name
        if name.startswith("__") or full not in NAMES and full not in make_cupy_names.NAMESPACES:
            raise AttributeError(f"CuPy {VERSION} has no {full!r}")
        thing = np
        for part in full.split("."):
            thing = getattr(thing, part, None)
        if thing is None or full in ("random", "cuda", "testing"):
            raise AttributeError(
                f"CuPy {VERSION} has {full!r}, but the fake device does not model it")
        if isinstance(thing, types.ModuleType):
            thing = Module(f"{self.__name__}.{name}", f"{full}.")
        elif isinstance(thing, np.ufunc):
            thing = Ufunc(full, thing)
        elif callable(thing) and not isinstance(thing, type):
            thing = Function(full, thing)
        setattr(self, name, thing)
        return thing


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0):
    """cupy.array: a copy of anything on the device."""
    if device_arrays(obj):
        if isinstance(obj, (list, tuple)) and not all(device_arrays(part) for part in obj):
            raise TypeError("device arrays and host values in one list")
        return call("array", np.array, (obj,),
                    dict(dtype=dtype, copy=copy or None, order=order, ndmin=ndmin))
    host = np.array(obj, dtype=dtype, order=order, ndmin=ndmin)
    if host.dtype.kind not in "?biufc":
        raise ValueError(f"Unsupported dtype {host.dtype}")
    note("copy", "asarray or array")
    return DeviceArray(host)


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    """cupy.asarray: a device array as it is, a copy of anything else."""
    if isinstance(a, DeviceArray) and copy is None and dtype in (None, a.dtype):
        return a
    return array(a, dtype, bool(copy), order or "K")


def asnumpy(a):
    """cupy.asnumpy: a copy on the host."""
    return a.get() if isinstance(a, DeviceArray) else np.asarray(a)


def get_array_module(*args):
    """cupy.get_array_module: which module the arrays belong to."""
    return xp if any(isinstance(arg, DeviceArray) for arg in args) else np


class ElementwiseKernel:
    """cupy.ElementwiseKernel for one type T: NumPy runs the body, which must also be Python.

    Outputs that the body reads are changed in place. Arrays of two types are refused, as by CuPy.
    """

    def __init__(self, in_params, out_params, operation, name="kernel"):
        self.inputs, self.outputs = ([declared(part) for part in params.split(",")]
                                     for params in (in_params, out_params))
        self.name, self.code = name, compile(operation, name, "exec")

    def __call__(self, *args):
        arguments = dict(zip(self.inputs + self.outputs, args, strict=True))
        types = {array.dtype for array in device_arrays(args)}
        if len(types) != 1 or not all(isinstance(arguments[name], DeviceArray)
                                      for name in self.outputs):
            raise TypeError(f"{self.name}: type is mismatched: {sorted(map(str, types))}")
        perform(self.run, *map(operand, args),
                writes=[arguments[name]._array for name in self.outputs])

    def run(self, *values):
        names = dict(zip(self.inputs + self.outputs, values), sqrt=np.sqrt)
        outputs = [names[name] for name in self.outputs]
        # a new value counts once the body says so
        names |= {name: names[name].copy() for name in self.outputs}
        exec(self.code, {"__builtins__": {}}, names)
        for name, output in zip(self.outputs, outputs):
            if names[name].dtype != output.dtype:
                raise TypeError(f"{self.name}: {name} became {names[name].dtype}")
            output[...] = names[name]


def declared(parameter):
    """The name in "T name"."""
    kind, name = parameter.split()
    if kind != "T":
        raise NotImplementedError(
            f"a kernel's parameter of type {kind!r}: the fake device models T alone")
    return name


xp = Module("fake")
xp.ElementwiseKernel = ElementwiseKernel
xp.ndarray = DeviceArray
xp.array, xp.asarray, xp.asanyarray, xp.asnumpy = array, asarray, asarray, asnumpy
xp.get_array_module = get_array_module
