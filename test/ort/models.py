"""The models that are measured: file, calibration and evaluation records (as `lapidary quantize` takes them)."""
from dataclasses import dataclass
from pathlib import Path

FASHION = "/usr/share/datasets/fashion-mnist"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples/fashion_mnist"


@dataclass
class Model:
    file: Path
    calib: str
    evaluation: str = ""


def table(assets, resnets):
    """Short name -> Model: the example's classifier, the classifiers and the detector of an assets folder, and, where
    `resnets` is a folder that holds resnet18_random_fp32.onnx and resnet50_random_fp32.onnx, those two (timed only)."""
    cifar = f"{assets}/data/cifar10"
    unit = "scale: 0.00392156862745098"
    cifar_norm = f"{unit}, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]"
    fashion_norm = f"{unit}, mean: [0.286], std: [0.353]"
    half = "scale: 0.00784313725490196, mean: [1.0], std: [1.0]"
    calib200, val500 = f"{assets}/data/imagenet_calib200", f"{assets}/data/imagenet_val500"
    labels = "labels: {}/labels.csv, label_column: class_index"

    def cifar10(norm):
        return (f"{{kind: cifar10, path: {cifar}/data_batch_1.bin, limit: 512, {norm}}}",
                f"{{kind: cifar10, path: {cifar}/test_batch.bin, {norm}}}")

    def imagenet(norm):
        size = "resize: 256, crop: 224"
        return (f"{{kind: images, path: {calib200}, {labels.format(calib200)}, {size}, {norm}}}",
                f"{{kind: images, path: {val500}, {labels.format(val500)}, {size}, {norm}}}")

    fashion = (f"{{kind: idx, path: {FASHION}/train-images-idx3-ubyte.gz, limit: 512, {fashion_norm}}}",
               f"{{kind: idx, path: {FASHION}/t10k-images-idx3-ubyte.gz, "
               f"labels: {FASHION}/t10k-labels-idx1-ubyte.gz, {fashion_norm}}}")
    vww = (f"kind: raw, path: {assets}/data/vww256/images_u8_256x96x96x3.bin, shape: [96, 96, 3], dtype: u8, "
           f"layout: nhwc, labels: {assets}/data/vww256/labels.csv, label_column: person, {unit}")
    coco = (f"{{kind: images, path: {assets}/data/coco_val128/images, channels: bgr, "
            "letterbox: {size: [416, 416], fill: 114, align: top_left}, limit: 16}")
    few = imagenet(half)[0].replace("{kind", "{limit: 16, kind", 1)
    found = {
        "fashion_resnet": (EXAMPLE / "fashion_resnet", *fashion),
        "resnet20": ("resnet20_cifar10_fp32", *cifar10(cifar_norm)),
        "resnet56": ("resnet56_cifar10_fp32", *cifar10(cifar_norm)),
        "resnet8": ("resnet8_mlperftiny_cifar10_fp32", *cifar10("scale: 1.0")),
        "mobilenet_v2": ("mobilenet_v2_1.0_224_imagenet_deq_fp32", *imagenet(half)),
        "mobilenet_v1": ("mobilenet_v1_0.25_224_imagenet_fp32", *imagenet(half)),
        "squeezenet": ("squeezenet_imagenet_fp32", *imagenet("channels: bgr, mean: [103.94, 116.78, 123.68]")),
        "tiny_darknet": ("tiny_darknet_imagenet_fp32", *imagenet(unit)),
        "vww": ("vww_mobilenetv1_025_96_fp32", f"{{{vww}, limit: 128}}", f"{{{vww}, skip: 128}}"),
        "dscnn": ("fmnist_dscnn_fp32", *fashion),
        "vit": ("fmnist_vit_fp32", *fashion),
        "yolox": ("yolox_nano_coco_fp32", coco),
    }
    out = {name: Model(Path(assets) / "models" / f"{file}.onnx", *records)
           for name, (file, *records) in found.items()}
    for name in ("resnet18", "resnet50") if resnets else ():
        out[name] = Model(Path(resnets) / f"{name}_random_fp32.onnx", few)
    return out
