#!/usr/bin/env python3
"""Writes the example's classifier of Fashion-MNIST as it is before training, and the wider one that teaches it.

    .venv/bin/python examples/fashion_mnist/untrained.py examples/fashion_mnist

A residual network (He et al. 2016) of three blocks on 28 x 28 pixels: fashion_untrained.onnx has 92,378 parameters,
fashion_teacher_untrained.onnx, twice as wide, 364,970. Weights are 0: the step `train` makes them anew.
"""
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Network:
    """Nodes and constants of a graph; every method returns the name of what it appended."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, shape, value=0):
        self.constants.append(numpy_helper.from_array(np.full(shape, value, np.float32), name))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(self, x, inputs, outputs, kernel, stride, name):
        weight = self.constant(f"{name}.weight", (outputs, inputs, kernel, kernel))
        return self.node("Conv", [x, weight], name, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                         pads=[kernel // 2] * 4)

    def norm(self, x, channels, name):
        inputs = [x] + [self.constant(f"{name}.{part}", (channels,), value) for part, value in
                        (("gamma", 1), ("beta", 0), ("mean", 0), ("variance", 1))]
        return self.node("BatchNormalization", inputs, name, epsilon=1e-5, momentum=0.9)

    def block(self, x, inputs, outputs, stride, name):
        """Two 3x3 convolutions and a shortcut, a 1x1 convolution where shapes change."""
        y = self.norm(self.conv(x, inputs, outputs, 3, stride, f"{name}.conv1"), outputs, f"{name}.norm1")
        y = self.node("Relu", [y], f"{name}.relu1")
        y = self.norm(self.conv(y, outputs, outputs, 3, 1, f"{name}.conv2"), outputs, f"{name}.norm2")
        if inputs != outputs or stride != 1:
            x = self.norm(self.conv(x, inputs, outputs, 1, stride, f"{name}.shortcut"), outputs, f"{name}.norm3")
        return self.node("Relu", [self.node("Add", [y, x], f"{name}.add")], f"{name}.relu2")


def classifier(width, name):
    net = Network()
    x = net.conv("image", 1, width, 3, 1, "stem.conv")
    x = net.node("Relu", [net.norm(x, width, "stem.norm")], "stem.relu")
    x = net.block(x, width, 2 * width, 2, "block1")
    x = net.block(x, 2 * width, 2 * width, 1, "block2")
    x = net.block(x, 2 * width, 4 * width, 2, "block3")
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x], "pool")], "features")
    net.node("Gemm", [x, net.constant("classes.weight", (10, 4 * width)), net.constant("classes.bias", (10,))],
             "logits", transB=1)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(net.nodes, name, [value("image", ["N", 1, 28, 28])], [value("logits", ["N", 10])],
                              net.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    folder = Path(sys.argv[1])
    for file, width in (("fashion_untrained", 16), ("fashion_teacher_untrained", 32)):
        model = classifier(width, file)
        onnx.save(model, folder / f"{file}.onnx")
        print(f"{file}.onnx: {sum(np.prod(c.dims) for c in model.graph.initializer):,} parameters")


if __name__ == "__main__":
    main()
