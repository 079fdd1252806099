"""Another engine, timed in a process of its own.

usage: python3 peer.py ENGINE MODEL THREADS INPUTS.npz
Answers on stdout with one JSON object a line: first {"version": ...} or {"error": ...}, then for every line
on stdin, which holds seconds, {"ms": [time of each inference]}.
"""

import json
import sys
import time


def onnxruntime(model, threads, arrays):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()  # inputs and outputs are bound once
    for wanted in session.get_inputs():
        value = ort.OrtValue.ortvalue_from_numpy(arrays[wanted.name])
        binding.bind_ortvalue_input(wanted.name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    return ort.__version__, lambda: session.run_with_iobinding(binding)


def openvino(model, threads, arrays, precision=None):
    import openvino as ov

    core = ov.Core()
    read = core.read_model(model)
    read.reshape({name: list(array.shape) for name, array in arrays.items()})
    config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": threads}
    if precision is not None:
        config["INFERENCE_PRECISION_HINT"] = precision
    request = core.compile_model(read, "CPU", config).create_infer_request()
    for name, array in arrays.items():
        request.set_tensor(name, ov.Tensor(array, shared_memory=True))
    return ov.__version__.split("-")[0], request.infer


def litert(model, threads, arrays):
    import numpy as np
    import ai_edge_litert
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=model, num_threads=threads)
    interpreter.allocate_tensors()
    wanted = interpreter.get_input_details()
    given = list(arrays.values())
    if len(wanted) != len(given):
        raise ValueError(f"the file has {len(wanted)} inputs, the model {len(given)}")
    ready = []
    for detail, array in zip(wanted, given):
        if array.ndim == 4 and tuple(detail["shape"]) != array.shape:
            array = array.transpose(0, 2, 3, 1)  # NCHW -> NHWC
        if tuple(detail["shape"]) != array.shape:
            raise ValueError(f"the file wants {list(detail['shape'])}, not {list(array.shape)}")
        ready.append((detail["index"], np.ascontiguousarray(array.astype(detail["dtype"]))))

    def run():
        for index, array in ready:
            interpreter.set_tensor(index, array)
        interpreter.invoke()

    return getattr(ai_edge_litert, "__version__", "?"), run


ENGINES = {
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "openvino-f32": lambda *a: openvino(*a, precision="f32"),
    "openvino-bf16": lambda *a: openvino(*a, precision="bf16"),
    "litert": litert,
}


def main():
    engine, model, threads, inputs = sys.argv[1:5]
    answers = sys.stdout
    sys.stdout = sys.stderr  # what engines print must not be taken for an answer

    def say(answer):
        print(json.dumps(answer), file=answers, flush=True)

    try:
        import numpy as np

        with np.load(inputs) as stored:
            arrays = {name: np.ascontiguousarray(stored[name]) for name in stored.files}
        version, run = ENGINES[engine](model, int(threads), arrays)
        for _ in range(3):
            run()
    except Exception as error:  # whatever an engine throws is said, not shown as a trace
        say({"error": f"{type(error).__name__}: {error}"})
        return
    say({"version": version})
    for line in sys.stdin:
        end = time.perf_counter() + float(line)
        times = []
        while True:
            start = time.perf_counter()
            run()
            stop = time.perf_counter()
            times.append(1e3 * (stop - start))
            if stop >= end:
                break
        say({"ms": times})


main()
