"""Vectors of 16 float32 in kernels: with AVX-512, one instruction each loads, stores or adds them.

Shapes    a Vector has 16 numbers; arrays are one-dimensional, contiguous and float32
Differs   on processors with shorter registers the compiler splits each instruction; the results
          are the same, if the processor fuses a product with a sum
Read next nn/matmul.py, which is made of these functions

Numba's compiler finds vector instructions itself in a loop such as Σ x_i y_i.  It does not in a
product of matrices whose sums all stay in registers, so nn/matmul.py says which vectors it means.
Each function here writes the instructions of LLVM, the compiler inside Numba, that compute it.
They are not checked: an index outside the array reads or overwrites other memory.
"""
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

SIZE = 16
VECTOR = ir.VectorType(ir.FloatType(), SIZE)
INDEX = ir.IntType(32)
CONTRACT = ("contract",)           # a product and a sum become one instruction, rounded once
# of each quarter of two vectors a and b: a0 b0 a1 b1, and a2 b2 a3 b3
LOW = [k for j in range(0, SIZE, 4) for k in (j, SIZE + j, j + 1, SIZE + j + 1)]
HIGH = [k + 2 for k in LOW]


class _VectorType(types.Type):
    """Numba's type of a variable that holds a vector."""

    def __init__(self) -> None:
        super().__init__("Vector")


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    """A variable is one register."""

    def __init__(self, manager, numba_type) -> None:
        super().__init__(manager, numba_type, VECTOR)


vector = _VectorType()


@intrinsic
def zeros16(typing):
    """A vector of zeros."""
    return vector(), lambda context, builder, signature, args: ir.Constant(VECTOR, [0.0] * SIZE)


@intrinsic
def load16(typing, array, at):
    """array[at:at + 16]."""
    def build(context, builder, signature, args):
        return load(builder, address(context, builder, signature, args))
    return vector(array, types.intp), build


@intrinsic
def store16(typing, array, at, v):
    """array[at:at + 16] ← v."""
    def build(context, builder, signature, args):
        store(builder, args[2], address(context, builder, signature, args))
        return context.get_dummy_value()
    return types.void(array, types.intp, vector), build


@intrinsic
def add_scaled16(typing, s, x, v):
    """s + x v, for a number x."""
    def build(context, builder, signature, args):
        total, number, factor = args
        first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, INDEX(0))
        copies = shuffle(builder, first, first, [0] * SIZE)
        product = builder.fmul(copies, factor, flags=CONTRACT)
        return builder.fadd(total, product, flags=CONTRACT)
    return vector(vector, types.float32, vector), build


@intrinsic
def transpose16(typing, source, at, stride, target, to, width):
    """target[to + i·width + o] ← source[at + o·stride + i] for o, i = 0 .. 15.

    Four columns at a time: the 4 numbers of rows k, k + 4, k + 8, k + 12 are one vector, for
    k = 0 .. 3.  Each quarter of these vectors is a square of 4 x 4 numbers, and two rounds
    transpose all four squares at once.  A round puts the numbers of vectors k and k + 2 alternately
    into vectors 2k and 2k + 1.
    """
    def build(context, builder, signature, args):
        array = context.make_array(signature.args[3])(context, builder, args[3])
        begin, step = address(context, builder, signature, args), args[2]
        out, width = builder.gep(array.data, [args[4]]), args[5]

        def place(base, row, step, column=0):
            return builder.gep(base, [builder.add(builder.mul(step, step.type(row)),
                                                  step.type(column))])
        for column in range(0, SIZE, 4):
            rows = []
            for k in range(4):
                quarters = [load(builder, place(begin, row, step, column), 4)
                            for row in range(k, SIZE, 4)]
                rows.append(concatenate(builder, *(concatenate(builder, *quarters[half:half + 2])
                                                   for half in (0, 2))))
            for _ in range(2):
                rows = [shuffle(builder, a, b, order) for a, b in zip(rows[:2], rows[2:])
                        for order in (LOW, HIGH)]
            for k, row in enumerate(rows):
                store(builder, row, place(out, column + k, width))
        return context.get_dummy_value()
    integer = types.intp
    return types.void(source, integer, integer, target, integer, integer), build


@intrinsic
def prefetch(typing, array, at):
    """Ask for array[at] to be copied into the second cache; an index outside is ignored."""
    def build(context, builder, signature, args):
        pointer = builder.bitcast(address(context, builder, signature, args),
                                  ir.IntType(8).as_pointer())
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [pointer.type, INDEX, INDEX, INDEX]),
            "llvm.prefetch.p0")
        to_read, second_cache, data = INDEX(0), INDEX(2), INDEX(1)
        builder.call(function, [pointer, to_read, second_cache, data])
        return context.get_dummy_value()
    return types.void(array, types.intp), build


# ---- the instructions ----------------------------------------------------------------------------

def address(context, builder, signature, args):
    """The address of array[at], the first two arguments."""
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.gep(array.data, [args[1]])


def load(builder, pointer, size=SIZE):
    """The numbers at an address, which need not be a multiple of their size."""
    v = builder.load(builder.bitcast(pointer, ir.VectorType(ir.FloatType(), size).as_pointer()))
    v.align = 4
    return v


def store(builder, v, pointer):
    """Write the vector to an address."""
    builder.store(v, builder.bitcast(pointer, VECTOR.as_pointer())).align = 4


def shuffle(builder, a, b, order):
    """The numbers of a (0 .. n − 1) and b (n .. 2n − 1) that `order` names."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, len(order)), order))


def concatenate(builder, a, b):
    """The numbers of a, then those of b."""
    return shuffle(builder, a, b, list(range(2 * a.type.count)))
