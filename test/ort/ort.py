"""Runs an ONNX file in ONNX Runtime, whole or with every quantized tensor as an output."""
import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

onnxruntime.set_default_logger_severity(3)


def constants(model):
    """{name: elements} of the initializers."""
    return {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}


def inputs_of(file):
    """The first input's name and seeded noise for it; open sizes are 4."""
    found = session(str(file)).get_inputs()[0]
    shape = [d if isinstance(d, int) else 4 for d in found.shape]
    return found.name, np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def expose_integers(model, also=()):
    """The model with the outputs of its QuantizeLinear and QLinear* nodes (and float values) as graph outputs."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    have = {o.name for o in exposed.graph.output}
    types = {i.name: i.data_type for i in exposed.graph.initializer}
    names = []
    for node in exposed.graph.node:
        if not node.op_type.startswith(("QuantizeLinear", "QLinear")) or node.output[0] in have:
            continue
        zero_point = node.input[2] if node.op_type == "QuantizeLinear" and len(node.input) > 2 else ""
        dtype = types.get(zero_point, onnx.TensorProto.UINT8)
        exposed.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], dtype, None))
        names.append(node.output[0])
    for name in dict.fromkeys(also):
        if name not in have:
            exposed.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return exposed, names


def islands(model):
    """(float value, its QuantizeLinear's output) where floats that no integer kernel made become integers.

    An integer kernel's node reads DequantizeLinear outputs and constants only; one Relu or Clip may follow.
    """
    made = {o: n for n in model.graph.node for o in n.output}
    constant = {i.name for i in model.graph.initializer} | {""}
    outside = {i.name for i in model.graph.input}

    def integer(name, clamp=True):
        node = made.get(name)
        if node is None or node.op_type == "DequantizeLinear":
            return False
        reads = [i for i in node.input if i not in constant]
        if clamp and node.op_type in ("Relu", "Clip") and integer(reads[0], clamp=False):
            return True
        return bool(reads) and all(i in made and made[i].op_type == "DequantizeLinear" for i in reads)

    return [(n.input[0], n.output[0]) for n in model.graph.node
            if n.op_type == "QuantizeLinear" and n.input[0] not in outside and not integer(n.input[0])]


def cut(model, found, names, values):
    """`model` with the integers behind its islands (their values and so their types and shapes are given) as
    inputs: its outputs are the islands' floats and the integer tensors `names` that are left."""
    behind = {q for _, q in found}
    graph = onnx.GraphProto()
    graph.name = "cut"
    graph.node.extend(n for n in model.graph.node if not behind & set(n.output))
    graph.initializer.extend(model.graph.initializer)
    graph.input.extend(model.graph.input)
    for name in sorted(behind):
        dtype = onnx.helper.np_dtype_to_tensor_dtype(values[name].dtype)
        graph.input.append(onnx.helper.make_tensor_value_info(name, dtype, values[name].shape))
    for name in dict.fromkeys(f for f, _ in found):
        graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    graph.output.extend(o for o in model.graph.output if o.name in names and o.name not in behind)
    left = onnx.ModelProto()
    left.CopyFrom(model)
    left.graph.CopyFrom(graph)
    return left


def session(model, threads=2):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    data = model if isinstance(model, (str, bytes)) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run(sess, inputs, batch):
    """All outputs over the samples of `inputs` (arrays by name, samples along axis 0), batch by batch."""
    names = [o.name for o in sess.get_outputs()]
    wanted = {i.name for i in sess.get_inputs()}
    feed = {k: v for k, v in inputs.items() if k in wanted}
    count = len(next(iter(feed.values())))
    parts = [sess.run(None, {k: v[i:i + batch] for k, v in feed.items()}) for i in range(0, count, batch)]
    return {name: np.concatenate([p[j] for p in parts]) for j, name in enumerate(names)}


def has_vnni():
    with open("/proc/cpuinfo") as f:
        flags = f.read()
    return "avx512_vnni" in flags or "avx_vnni" in flags
