"""Runs an ONNX file in ONNX Runtime, whole or with every quantized tensor as an output."""
import numpy as np
import onnx
import onnxruntime

onnxruntime.set_default_logger_severity(3)


def expose_integers(model):
    """The model with the outputs of its QuantizeLinear and QLinear* nodes as graph outputs too."""
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
    return exposed, names


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
